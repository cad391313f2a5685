//! What follows the first packet of a connection both firewalls admit: later packets, and answers.
//!
//! A firewall that keeps sessions passes them; one that compares every packet with its rules asks
//! its rules again. Such a firewall is written out as one with more layers: those that judge the
//! first packet, the same for what follows it, and the same turned round for the answers. Every
//! layer has to accept, so that it lets through exactly the connections it goes on to serve.

use std::collections::BTreeMap;
use std::sync::Arc;

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::{IdSet, PortSet, ProtocolSet};
use parefeu_policy::{
    ConnectionState, IcmpMatch, LinkedAction, LinkedAddresses, LinkedFirewall, LinkedLayer,
    LinkedMatch, LinkedRule, LinkedRuleBase, LinkedService, LinkedServices, ResetSide, RuleBaseId,
    RuleId, Sees, Span, StateSet, TcpFlagMatch, ZoneRelation,
};

use crate::accept::Terms;
use crate::compare::{Answer, Compared, Part, Request, Unproved, parts};
use crate::confirm;
use crate::finding::{Finding, told};
use crate::flatten::{Case, Family, NotFlattened, Obstacle, flatten_supposing, refusal};
use crate::flows::{Ends, Found, Search, Wanted, cases};
use crate::pairing::Pairing;
use crate::parallel::map_each;
use crate::problem::{Outcome, OutcomeId, Problem, Side, Translate};
use crate::region::regions_until;
use crate::solve::{DifferenceBox, SolveLimits, Stop, solve};

/// Compares what follows the first packets both firewalls let through: an answer whose differences
/// are connections one side serves, and of which the other refuses what follows.
///
/// Connections that only one side admits are no part of it, and translations are not compared:
/// [`compare`](crate::compare()) tells those. `None` where neither side asks its rules about what
/// follows, or rules let it all through: there is nothing to tell.
///
/// A later packet is one of an established connection, over TCP with ACK and no other flag. ICMP
/// other than the queries that have answers has nothing that follows.
///
/// Cost: that of [`compare`](crate::compare()) for lists of up to three times the length.
pub fn compare_following(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    request: &Request,
) -> Option<Answer> {
    let sides = [Unfolded::of(old), Unfolded::of(new)];
    if sides.iter().all(|side| side.phases == 0) {
        return None;
    }
    let asked = |family| [old, new].iter().any(|firewall| asks(firewall, Some(family)));
    let parts = parts(sides.each_ref().map(|side| &side.firewall), request, asked);
    let found = map_each(&parts, request.threads, |part| one_case(&sides, request, part));
    Some(parts.iter().zip(found).collect())
}

/// The findings of what follows, those parts of them told apart that are accepted: of a side that
/// refuses, the rules that do.
pub fn findings_following(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
    terms: &Terms<'_>,
) -> Vec<Finding> {
    let mut found = told(old, new, answer, pairing, terms);
    let applications = answer.applications();
    for it in terms.confirmed(&mut found) {
        let way = &it.witness_way;
        let sides = [(old, way.old, &it.old), (new, way.new, &it.new)];
        it.opinions = sides.map(|(firewall, passage, decision)| {
            let expected = matches!(decision.outcome, Outcome::Allow(_));
            confirm::ask_following(firewall, passage, &it.witness, applications, expected)
        });
    }
    found
}

/// Looks for connections one firewall lets in, of which it refuses what follows. `None` where there
/// is nothing to ask.
pub(crate) fn search_unserved(
    firewall: &LinkedFirewall,
    search: &Search,
    ends: &Ends,
) -> Option<Found> {
    if !asks(firewall, None) {
        return None;
    }
    let side = Unfolded::of(firewall);
    let pairing = Pairing::of(firewall, firewall, &BTreeMap::new());
    let search = Search { wanted: Wanted::Deny, ..search.clone() };
    let written = |case: &Case| write_out([&side; 2], case, search.limits.stop);
    // An answer leaves where the first packet came from: its rules tell more ways apart.
    let answer = cases(&side.firewall, &pairing, (&search, ends), &written);
    let terms = Terms { stop: search.limits.stop, ..Terms::default() };
    let mut flows = told(firewall, firewall, &answer, &pairing, &terms);
    for it in terms.confirmed(&mut flows) {
        let (passage, names) = (it.witness_way.old, answer.applications());
        it.opinions[0] = confirm::ask_following(firewall, passage, &it.witness, names, false);
    }
    Some(Found { answer, flows })
}

/// Writes out what becomes of connections once they are open.
fn write_out(sides: [&Unfolded; 2], case: &Case, stop: Stop) -> Result<Problem, NotFlattened> {
    for (unfolded, side) in sides.iter().zip([Side::Old, Side::New]) {
        if let Some(at) = unfolded.untold {
            return Err(NotFlattened { side, at, reason: Obstacle::Answers });
        }
    }
    let mut problem = flatten_supposing(&sides[0].firewall, &sides[1].firewall, case, stop)?;
    problem.outcomes = problem.outcomes.iter().map(what_follows).collect();
    for (list, side) in [&mut problem.old, &mut problem.new].into_iter().zip(sides) {
        for entry in &mut list.entries {
            entry.origin.rule = entry.origin.rule.and_then(|id| side.copied[id.index()]);
        }
    }
    Ok(problem)
}

fn one_case(
    sides: &[Unfolded; 2],
    request: &Request,
    (case, crossings): &Part,
) -> Result<Compared, Unproved> {
    if request.limits.stop.is_given() {
        return Err(Unproved::Stopped);
    }
    let stop = request.limits.stop;
    let problem = write_out(sides.each_ref(), case, stop)?;
    let limits = SolveLimits { record: false, compare_refusals: false, ..request.limits };
    let mut solution = solve(&problem, &limits);
    solution.differences.retain(|it| both_admit(&problem, it));
    let regions = regions_until(&problem, &mut solution, stop);
    let (case, crossings) = (case.clone(), Arc::clone(crossings));
    Ok(Compared { case, crossings, problem, solution, regions })
}

/// What becomes of a connection once it is open; none that does not open is meant.
fn what_follows(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Allow(_) => Outcome::Allow(Translate::default()),
        Outcome::Deny(how) => {
            let mut refused = Phase::ALL.into_iter().filter_map(|phase| phase.refused(how));
            refused.next().map_or(Outcome::Outside, Outcome::Deny)
        }
        Outcome::Outside | Outcome::Recorded(_) => Outcome::Outside,
    }
}

fn both_admit(problem: &Problem, it: &DifferenceBox) -> bool {
    let inside = |id: OutcomeId| problem.outcomes[id.0 as usize] != Outcome::Outside;
    inside(it.old.outcome) && inside(it.new.outcome)
}

/// What follows the first packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The same way as the first packet.
    Later,
    /// The other way.
    Answers,
}

impl Phase {
    const ALL: [Self; 2] = [Self::Later, Self::Answers];

    /// The actions by which layers of this phase refuse, for rules and defaults that deny, drop
    /// and reset; those of the first packet drop.
    const fn refusals(self) -> [LinkedAction; 3] {
        match self {
            Self::Later => [
                LinkedAction::Deny,
                LinkedAction::Reset(ResetSide::Both),
                LinkedAction::Reset(ResetSide::Server),
            ],
            Self::Answers => [
                LinkedAction::Reset(ResetSide::Client),
                LinkedAction::Reset(ResetSide::Sender),
                LinkedAction::Reset(ResetSide::SenderByIcmp),
            ],
        }
    }

    /// An action, refusing as layers of this phase do.
    const fn refusing(self, action: LinkedAction) -> LinkedAction {
        let [deny, drop, reset] = self.refusals();
        match action {
            LinkedAction::Deny => deny,
            LinkedAction::Drop => drop,
            LinkedAction::Reset(_) => reset,
            action => action,
        }
    }

    /// What reports call what is refused so, if layers of this phase refuse so.
    fn refused(self, how: &str) -> Option<Box<str>> {
        let words = ["deny", "drop", "reset"];
        let mut known = self.refusals().into_iter().zip(words);
        let (_, word) = known.find(|(action, _)| *refusal(*action) == *how)?;
        Some(match self {
            Self::Later => format!("{word} later packets").into(),
            Self::Answers => format!("{word} answers").into(),
        })
    }
}

/// A firewall that lets through the connections it serves.
struct Unfolded {
    firewall: LinkedFirewall,
    /// For each of its rules, the one it is a copy of.
    copied: Vec<Option<RuleId>>,
    /// How many phases its rules judge beside the first packet.
    phases: usize,
    /// A rule of which nobody can tell whether it matches an answer.
    untold: Option<Span>,
}

impl Unfolded {
    fn of(firewall: &LinkedFirewall) -> Self {
        let copied = (0..firewall.rules.len() as u32).map(|id| Some(RuleId(id))).collect();
        let mut found = Self { firewall: firewall.clone(), copied, phases: 0, untold: None };
        let all = &mut found.firewall;
        let actions = all.rules.iter_mut().map(|rule| &mut rule.action);
        let defaults = all.layers.iter_mut().map(|layer| &mut layer.default);
        let ends = all.rule_bases.iter_mut().filter_map(|it| it.default.as_mut());
        for action in actions.chain(defaults).chain(ends) {
            if is_refusal(*action) {
                *action = LinkedAction::Drop;
            }
        }
        for phase in Phase::ALL.into_iter().filter(|_| asks(firewall, None)) {
            found.append(firewall, phase);
        }
        found
    }

    /// Adds the layers once more, for a phase.
    fn append(&mut self, written: &LinkedFirewall, phase: Phase) {
        let Self { firewall, copied, phases, untold } = self;
        *phases += 1;
        let (first_rule, first_base) = (firewall.rules.len() as u32, firewall.rule_bases.len());
        let moved = |action: LinkedAction| {
            let to = |id: RuleBaseId| RuleBaseId(id.0 + first_base as u32);
            match phase.refusing(action) {
                LinkedAction::Jump(id) => LinkedAction::Jump(to(id)),
                LinkedAction::Goto(id) => LinkedAction::Goto(to(id)),
                action => action,
            }
        };
        for (rule, id) in written.rules.iter().zip((0..).map(RuleId)) {
            let mut rule = LinkedRule { action: moved(rule.action), ..rule.clone() };
            rule.disabled |= !meets_established(&rule.matches);
            if phase == Phase::Answers && is_one_way(&rule.matches) && !rule.disabled {
                untold.get_or_insert(rule.at);
            }
            follow(&mut rule.matches, phase);
            firewall.rules.push(rule);
            copied.push(Some(id));
        }
        for rule_base in &written.rule_bases {
            firewall.rule_bases.push(LinkedRuleBase {
                first: RuleId(rule_base.first.0 + first_rule),
                default: rule_base.default.map(moved),
                ..rule_base.clone()
            });
        }
        for layer in &written.layers {
            let to = RuleBaseId(layer.rule_base.0 + first_base as u32);
            let first = RuleId(firewall.rules.len() as u32);
            let at = written.rule_bases[layer.rule_base.index()].at;
            firewall.rules.extend([nothing_follows(at), goes_on(to, at)]);
            copied.extend([None, None]);
            let rule_base = RuleBaseId(firewall.rule_bases.len() as u32);
            let name = layer.name.clone();
            firewall.rule_bases.push(LinkedRuleBase { name, first, count: 2, default: None, at });
            let default = moved(layer.default);
            let (sees_src, sees_dst) = match phase {
                Phase::Later => (layer.sees_src, layer.sees_dst),
                // The translation of one end is undone where it was made.
                Phase::Answers => (beyond(layer.sees_dst), beyond(layer.sees_src)),
            };
            let layer = LinkedLayer { rule_base, default, sees_src, sees_dst, ..layer.clone() };
            firewall.layers.push(layer);
        }
    }
}

/// The other side of a translation.
const fn beyond(sees: Sees) -> Sees {
    match sees {
        Sees::Original => Sees::Translated,
        Sees::Translated => Sees::Original,
    }
}

const fn is_refusal(action: LinkedAction) -> bool {
    matches!(action, LinkedAction::Deny | LinkedAction::Drop | LinkedAction::Reset(_))
}

/// Whether a firewall asks its rules about what follows, of one family or of either, and may
/// refuse it.
fn asks(firewall: &LinkedFirewall, family: Option<Family>) -> bool {
    let asked = |layer: &LinkedLayer| !passes_all(firewall, layer, family, meets_established);
    firewall.behaviour.filter_every_packet && firewall.layers.iter().any(asked)
}

/// Whether a layer surely lets all packets of a family through, or of either, as far as rules are
/// about them: the first rule that is lets them all through.
pub(crate) fn passes_all(
    firewall: &LinkedFirewall,
    layer: &LinkedLayer,
    family: Option<Family>,
    is_about: impl Fn(&LinkedMatch) -> bool,
) -> bool {
    let rules = firewall.rules_of(layer.rule_base).iter().filter(|rule| !rule.disabled);
    let rules = rules.filter(|rule| rule.action != LinkedAction::Continue);
    let mut rules = rules.filter(|rule| family.is_none_or(|family| is_of(&rule.matches, family)));
    if let Some(rule) = rules.find(|rule| is_about(&rule.matches)) {
        return rule.action == LinkedAction::Allow && is_unconditional(&rule.matches, family);
    }
    let end = firewall.rule_bases[layer.rule_base.index()].default;
    end.unwrap_or(layer.default) == LinkedAction::Allow
}

/// Whether some packet of a family may match, as far as sources say.
fn is_of(matches: &LinkedMatch, family: Family) -> bool {
    let LinkedAddresses { set, atoms, negated } = &matches.src;
    let none = match family {
        Family::V4 => set.v4_ranges().is_empty() && set.masked().is_empty(),
        Family::V6 => set.v6_ranges().is_empty(),
    };
    *negated || !atoms.is_empty() || !none
}

/// Whether some packet of an established connection may match.
fn meets_established(matches: &LinkedMatch) -> bool {
    let flags = &matches.tcp_flags;
    matches.states.contains(ConnectionState::Established)
        && (flags.is_empty() || flags.iter().any(|flags| flags.holds(TcpFlags::ACK.0)))
}

/// Whether a match compares what an answer does not turn round.
fn is_one_way(matches: &LinkedMatch) -> bool {
    !matches.users.is_any() || !matches.devices.is_empty() || matches.services.application_default
}

/// Whether a match compares nothing but states, of a packet of this family or of any.
fn is_unconditional(matches: &LinkedMatch, family: Option<Family>) -> bool {
    let sets = [&matches.ingress, &matches.egress, &matches.from, &matches.to];
    let known = [&matches.applications, &matches.url_categories, &matches.users];
    sets.into_iter().chain(known).all(IdSet::is_any)
        && matches.relation == ZoneRelation::Any
        && covers(&matches.src, family)
        && covers(&matches.dst, family)
        && matches.services.terms.iter().any(LinkedService::is_any)
        && !matches.services.application_default
        && matches.tcp_flags.is_empty()
        && matches.devices.is_empty()
        && matches.schedule.is_none()
        && matches.atoms.is_empty()
}

/// Whether all addresses are meant, of one family or of both.
fn covers(addresses: &LinkedAddresses, family: Option<Family>) -> bool {
    let set = &addresses.set;
    match family {
        None => addresses.is_any(),
        Some(_) if addresses.negated => false,
        Some(Family::V4) => *set.v4_ranges() == [(0, u32::MAX)],
        Some(Family::V6) => *set.v6_ranges() == [(0, u128::MAX)],
    }
}

/// Makes a match on an established connection's packet one on its first packet.
fn follow(matches: &mut LinkedMatch, phase: Phase) {
    matches.states = StateSet::ALL;
    if !matches.tcp_flags.is_empty() {
        // Flags that fit are those of every later packet; what is left is that it is TCP.
        matches.tcp_flags = vec![TcpFlagMatch { mask: 0, value: 0, negated: false }];
    }
    if phase == Phase::Later {
        return;
    }
    std::mem::swap(&mut matches.src, &mut matches.dst);
    std::mem::swap(&mut matches.ingress, &mut matches.egress);
    std::mem::swap(&mut matches.from, &mut matches.to);
    for term in &mut matches.services.terms {
        std::mem::swap(&mut term.src_ports, &mut term.dst_ports);
    }
    for term in &mut matches.services.terms {
        let Some(icmp) = &mut term.icmp else { continue };
        match query_of(icmp.kind) {
            Some(query) => icmp.kind = query,
            // No answer; of protocols without types the term says what it said.
            None => term.protocols = term.protocols.intersection(icmp_protocols().complement()),
        }
    }
}

fn icmp_protocols() -> ProtocolSet {
    [Protocol::ICMP, Protocol::ICMPV6].into_iter().collect()
}

/// Queries of ICMP and the type of their answers, RFC 792, RFC 950 and RFC 4443; both families
/// have their own numbers for them.
const QUERIES: [(u8, u8); 5] = [(8, 0), (13, 14), (15, 16), (17, 18), (128, 129)];

/// The query an answer's type belongs to.
fn query_of(answer: u8) -> Option<u8> {
    QUERIES.into_iter().find(|(_, it)| *it == answer).map(|(query, _)| query)
}

/// The type of the answer to a query.
pub(crate) fn answer_of(query: u8) -> Option<u8> {
    QUERIES.into_iter().find(|(it, _)| *it == query).map(|(_, answer)| answer)
}

/// A rule that lets all ICMP through that nothing follows.
fn nothing_follows(at: Span) -> LinkedRule {
    let alone = (0..=u8::MAX).filter(|kind| answer_of(*kind).is_none());
    let terms = alone.map(|kind| LinkedService {
        protocols: icmp_protocols(),
        src_ports: PortSet::all(),
        dst_ports: PortSet::all(),
        icmp: Some(IcmpMatch { kind, code: None }),
    });
    implied(LinkedAction::Allow, terms.collect(), at)
}

/// A rule that sends all else to the rules that were written.
fn goes_on(to: RuleBaseId, at: Span) -> LinkedRule {
    let any = LinkedService {
        protocols: ProtocolSet::ALL,
        src_ports: PortSet::all(),
        dst_ports: PortSet::all(),
        icmp: None,
    };
    implied(LinkedAction::Goto(to), vec![any], at)
}

fn implied(action: LinkedAction, terms: Vec<LinkedService>, at: Span) -> LinkedRule {
    let services = LinkedServices { terms, ..LinkedServices::default() };
    let matches = LinkedMatch { services, ..LinkedMatch::anything() };
    let (disabled, implied, log) = (false, true, false);
    let (name, profiles) = ("implied".into(), Vec::new());
    LinkedRule { name, at, disabled, implied, matches, action, log, profiles }
}
