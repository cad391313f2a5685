//! The plain evaluation: every rule in order, nothing compiled.
//!
//! Slow on purpose, and short enough to check by reading: it is what every lookup and every
//! comparison is tested against. Order of evaluation: `docs/semantics.md`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use parefeu_net::FiveTuple;

use crate::Span;
use crate::evaluation::{Evaluation, Hit};
use crate::key::{Cause, Knowledge, PacketKey, Truth};
use crate::linked::{
    LinkedAction, LinkedFirewall, LinkedLayer, LinkedNatRule, LinkedNatTable, LinkedRule,
    RuleBaseId, RuleId,
};
use crate::model::Sees;
use crate::nat::{Circumstances, Endpoint, Translated, flow_as_it_leaves};

/// What the whole pipeline does with the first packet of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// The packet with the interfaces and zones the pipeline found; addresses as they arrived.
    pub key: PacketKey,
    /// Index of the destination translation rule that matched.
    pub destination_nat: Option<usize>,
    /// Index of the source translation rule that matched.
    pub source_nat: Option<usize>,
    /// The flow after translation, as far as no session has to choose a port.
    pub translated: FiveTuple,
    /// Whether [`Judgement::translated`] leaves a choice to the session table.
    pub session_chooses: bool,
    /// The first translation rule, above the one that matched, whose match is not modelled; else
    /// the one that matched, where it cannot be told what it makes of an address that is compared.
    pub doubtful_nat: Option<Span>,
    /// What the filter layers answer together.
    pub evaluation: Evaluation,
}

/// Judges a new connection, or a packet of another state by itself: what belongs to no connection
/// is not translated ([`Behaviour::judges_alone`](crate::Behaviour::judges_alone)). `key.egress`,
/// `key.from` and `key.to` are filled in from routes where the firewall has them and `key` leaves
/// them open.
pub fn judge(firewall: &LinkedFirewall, key: &PacketKey, known: &Knowledge<'_>) -> Judgement {
    let mut key = *key;
    key.from = key.from.or(key.ingress.and_then(|id| firewall.zone_of(id)));
    let arrived = key;

    let before = routed(firewall, arrived, arrived.dst);
    let (destination_nat, doubtful_dst) =
        first_nat(firewall, &firewall.destination_nat, (&before, key.dst));
    let dst = Endpoint { address: key.dst, port: key.dst_port };
    let given = Circumstances { client: key.src, like: key.dst, egress: None };
    let new_dst = destination_nat.map(|(_, rule)| rule.translation.apply(dst, given));
    let dst_chosen = new_dst.flatten().map_or(dst, |new| new.endpoint);

    let key = routed(firewall, arrived, dst_chosen.address);
    let translated_dst = PacketKey { dst: dst_chosen.address, dst_port: dst_chosen.port, ..key };
    let seen_by_source_nat = match firewall.source_nat.sees {
        Sees::Original => before,
        Sees::Translated => translated_dst,
    };
    let compared = (&seen_by_source_nat, dst_chosen.address);
    let (source_nat, doubtful_src) = first_nat(firewall, &firewall.source_nat, compared);
    let src = Endpoint { address: key.src, port: key.src_port };
    let egress = firewall.address_of(key.egress, dst_chosen.address);
    let given = Circumstances { client: key.src, like: dst_chosen.address, egress };
    let new_src = source_nat.map(|(_, rule)| rule.translation.apply(src, given));
    let src_chosen = new_src.flatten().map_or(src, |new| new.endpoint);

    // Where nobody can tell what an address becomes, nor can what depends on it: the route of a
    // destination, and layers that compare the packet as it leaves.
    let compares_src = firewall.layers.iter().any(|layer| layer.sees_src == Sees::Translated);
    let untold = |rule: Option<(usize, &LinkedNatRule)>, new: Option<Translated>| {
        rule.map(|(_, rule)| rule.at).filter(|_| new.is_none())
    };
    let doubtful_dst = doubtful_dst.or(untold(destination_nat, new_dst.flatten()));
    let untold_src = untold(source_nat, new_src.flatten());
    let doubtful_src = doubtful_src.or(untold_src.filter(|_| compares_src));
    // What can leave as no packet is doubtful whatever is compared.
    let leaves = flow_as_it_leaves(&key, src_chosen, dst_chosen);
    let last = destination_nat.or(source_nat).map(|(_, rule)| rule.at);
    let doubtful_flow = last.filter(|_| leaves.is_none());

    let layers = firewall.layers.iter().map(|layer| {
        let mut seen = key;
        if layer.sees_dst == Sees::Translated {
            (seen.dst, seen.dst_port) = (dst_chosen.address, dst_chosen.port);
        }
        if layer.sees_src == Sees::Translated {
            (seen.src, seen.src_port) = (src_chosen.address, src_chosen.port);
        }
        evaluate_layer(firewall, layer, &seen, known)
    });
    Judgement {
        key,
        destination_nat: destination_nat.map(|(index, _)| index),
        source_nat: source_nat.map(|(index, _)| index),
        translated: leaves.unwrap_or(FiveTuple {
            src: src_chosen.address,
            dst: dst_chosen.address,
            src_port: src_chosen.port,
            dst_port: dst_chosen.port,
            protocol: key.protocol,
        }),
        session_chooses: [new_dst, new_src].into_iter().flatten().any(is_open),
        doubtful_nat: doubtful_dst.or(doubtful_src).or(doubtful_flow),
        evaluation: layers.reduce(Evaluation::and).unwrap_or(ACCEPTED_WITHOUT_LAYERS),
    }
}

/// Whether a translation leaves something to the session table, or cannot be told.
fn is_open(translated: Option<Translated>) -> bool {
    translated.is_none_or(|translated| translated.port_is_allocated)
}

/// Evaluates one filter layer for a packet.
pub fn evaluate_layer(
    firewall: &LinkedFirewall,
    layer: &LinkedLayer,
    key: &PacketKey,
    known: &Knowledge<'_>,
) -> Evaluation {
    let at = firewall.rule_bases[layer.rule_base.index()].at;
    let default = Hit { rule: None, at, action: layer.default };
    let found = Evaluation::certain(default);
    let mut walk = Walk { firewall, key, known, default, found, forks: 0 };
    let start = Position { rule_base: layer.rule_base, next: 0 };
    if let End::Decided(hit) = walk.run(start, Callers::new(), None) {
        walk.found.decided = hit;
    }
    walk.found
}

/// More rules of unknown match that change the flow of evaluation than this make the answer
/// unknown.
pub const MAX_FORKS: u32 = 64;

/// Where evaluation goes on.
#[derive(Clone, Copy)]
struct Position {
    rule_base: RuleBaseId,
    next: usize,
}

/// Where to go on after the last rule of a rule base, innermost last.
type Callers = Vec<Position>;

enum End {
    Decided(Hit),
    FellThrough,
}

struct Walk<'a> {
    firewall: &'a LinkedFirewall,
    key: &'a PacketKey,
    known: &'a Knowledge<'a>,
    default: Hit,
    found: Evaluation,
    forks: u32,
}

impl Walk<'_> {
    /// Evaluates from `at` to the end. With `doubt` the path is only perhaps taken, and nothing
    /// found on it is certain.
    ///
    /// A rule base the path comes to again has gone back without deciding, or the path would have
    /// ended there; jumps form no cycle. For the same packet it does so again, and has noted
    /// already what it notes: it is not read twice (`docs/semantics.md` S1.8).
    fn run(&mut self, mut at: Position, mut callers: Callers, doubt: Option<Cause>) -> End {
        let mut entered = BTreeSet::new();
        if at.next == 0 {
            entered.insert(at.rule_base);
        }
        loop {
            let rule_base = &self.firewall.rule_bases[at.rule_base.index()];
            let Some(rule) = self.firewall.rules_of(at.rule_base).get(at.next) else {
                if let Some(action) = rule_base.default {
                    return self.settle(Hit { rule: None, at: rule_base.at, action }, doubt);
                }
                match callers.pop() {
                    Some(caller) => at = caller,
                    None => return End::FellThrough,
                }
                continue;
            };
            let id = RuleId(rule_base.first.0 + at.next as u32);
            let hit = Hit { rule: Some(id), at: rule.at, action: rule.action };
            at.next += 1;
            match (self.truth(rule), rule.action) {
                (Truth::No, _) | (_, LinkedAction::Continue) => {}
                (Truth::Maybe(cause), _) => {
                    let cause = doubt.map_or(cause, |doubt| doubt.min(cause));
                    self.perhaps(hit, cause, &callers);
                }
                (Truth::Yes, LinkedAction::Jump(to)) => {
                    if entered.insert(to) {
                        callers.push(at);
                        at = Position { rule_base: to, next: 0 };
                    }
                }
                (Truth::Yes, LinkedAction::Goto(to)) if entered.insert(to) => {
                    at = Position { rule_base: to, next: 0 };
                }
                (Truth::Yes, LinkedAction::Goto(_) | LinkedAction::Return) => match callers.pop() {
                    Some(caller) => at = caller,
                    None => return End::FellThrough,
                },
                (Truth::Yes, _) => return self.settle(hit, doubt),
            }
        }
    }

    fn truth(&self, rule: &LinkedRule) -> Truth {
        if rule.disabled {
            return Truth::No;
        }
        let header = rule.matches.header_truth(self.key, &self.firewall.schedules);
        let applications = &self.firewall.applications;
        header.and(rule.matches.identified_truth(self.key, self.known, applications))
    }

    /// What a rule may do that perhaps matches. Evaluation goes on with the next rule in any case.
    fn perhaps(&mut self, hit: Hit, cause: Cause, callers: &Callers) {
        let (next, callers) = match hit.action {
            LinkedAction::Return => match callers.split_last() {
                Some((caller, outer)) => (*caller, outer.to_vec()),
                None => return self.found.note(cause, self.default),
            },
            LinkedAction::Goto(to) => (Position { rule_base: to, next: 0 }, callers.clone()),
            // What follows the jump is evaluated by the path that goes on, so callers stay out.
            LinkedAction::Jump(to) => (Position { rule_base: to, next: 0 }, Callers::new()),
            _ => return self.found.note(cause, hit),
        };
        if !self.may_fork() {
            return;
        }
        let end = self.run(next, callers, Some(cause));
        if matches!(end, End::FellThrough) && !matches!(hit.action, LinkedAction::Jump(_)) {
            self.found.note(cause, self.default);
        }
    }

    /// A final action was reached: certain, unless the path to it was not.
    fn settle(&mut self, hit: Hit, doubt: Option<Cause>) -> End {
        if let Some(cause) = doubt {
            self.found.note(cause, hit);
        }
        End::Decided(hit)
    }

    /// Whether one more path that is only perhaps taken may be followed. Past [`MAX_FORKS`] the
    /// answer becomes unknown instead.
    fn may_fork(&mut self) -> bool {
        self.forks += 1;
        if self.forks > MAX_FORKS {
            for action in [LinkedAction::Allow, LinkedAction::Deny] {
                self.found.note(Cause::NotModelled, Hit { action, ..self.default });
            }
        }
        self.forks <= MAX_FORKS
    }
}

/// The interface, egress zone and all that follow from routing to `address`.
fn routed(firewall: &LinkedFirewall, key: PacketKey, address: IpAddr) -> PacketKey {
    let egress = key.egress.or_else(|| firewall.route(key.ingress, address));
    PacketKey { egress, to: key.to.or(egress.and_then(|id| firewall.zone_of(id))), ..key }
}

/// The first translation rule for packets of the family of `like` whose headers surely match, and
/// the first above it that may match.
fn first_nat<'a>(
    firewall: &LinkedFirewall,
    table: &'a LinkedNatTable,
    (key, like): (&PacketKey, IpAddr),
) -> (Option<(usize, &'a LinkedNatRule)>, Option<Span>) {
    let mut doubtful = None;
    let is_alone = firewall.behaviour.judges_alone(key.state);
    let rules = table.rules.iter().enumerate();
    let rules = rules.filter(|(_, rule)| !rule.disabled && !is_alone);
    for (index, rule) in rules.filter(|(_, rule)| rule.translation.applies_to(like)) {
        match rule.matches.header_truth(key, &firewall.schedules) {
            Truth::No => {}
            Truth::Maybe(_) => doubtful = doubtful.or(Some(rule.at)),
            Truth::Yes => return (Some((index, rule)), doubtful),
        }
    }
    (None, doubtful)
}

/// A firewall without a filter layer accepts everything that reaches it, by definition of the
/// model.
const ACCEPTED_WITHOUT_LAYERS: Evaluation = Evaluation::certain(Hit {
    rule: None,
    at: Span { source: u16::MAX, start: 0, end: 0 },
    action: LinkedAction::Allow,
});
