//! Packets that are not the first of a connection, and that rules are asked about by their state.
//!
//! A firewall that compares every packet with its rules offers them the packet's state, too. What
//! its rules say of one state is what a firewall says of first packets whose rules for other states
//! are switched off: so it is written out, and compared outside of what first packets differ by.

use std::collections::BTreeSet;
use std::sync::Arc;

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::Ranges;
use parefeu_policy::{
    ConnectionState, LinkedAction, LinkedFirewall, LinkedLayer, LinkedMatch, LinkedRuleBase,
    RuleBaseId, RuleId, Sees, Span, StateSet,
};

use crate::accept::Terms;
use crate::compare::{Answer, Assumed, Compared, Request, Unproved, open};
use crate::confirm;
use crate::finding::{Finding, told};
use crate::flatten::{Case, Family, NotFlattened, Obstacle, ProtocolClass, flatten_others};
use crate::following::passes_all;
use crate::pairing::Pairing;
use crate::parallel::map_each;
use crate::problem::{Field, Outcome, Side, Translate};
use crate::region::regions_until;
use crate::scope::Sets;
use crate::solve::{SolveLimits, solve};

/// What packets are that are compared by their state.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PacketState {
    /// ICMP errors about a connection, and first packets of connections another one announced.
    Related,
    /// Packets of no connection, which open none: wrong checksums, wrong flags, outside of the
    /// window.
    Invalid,
    /// Neighbour discovery and multicast listener messages of IPv6, which belong to no connection
    /// (RFC 4861, RFC 3810).
    Untracked,
    /// TCP segments that open a connection with SYN and further flags, such as those of ECN
    /// (RFC 3168 §6.1.1).
    FlaggedSyn,
    /// TCP segments without SYN that open a connection, where that is let happen.
    MidStream,
}

impl PacketState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Related, Self::Invalid, Self::Untracked, Self::FlaggedSyn, Self::MidStream];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
            Self::FlaggedSyn => "syn-with-flags",
            Self::MidStream => "mid-stream",
        }
    }

    /// The state of a finding; `None` of one that is of first packets.
    pub fn of(finding: &Finding) -> Option<Self> {
        let outcomes = [&finding.old.outcome, &finding.new.outcome];
        let refused = outcomes.into_iter().find_map(|outcome| match outcome {
            Outcome::Deny(how) => how.split_once(' '),
            _ => None,
        });
        Self::ALL.into_iter().find(|state| refused.is_some_and(|(_, it)| it == state.refused()))
    }

    /// What is refused, behind the word for how.
    const fn refused(self) -> &'static str {
        match self {
            Self::Related => "related packets",
            Self::Invalid => "invalid packets",
            Self::Untracked => "untracked packets",
            Self::FlaggedSyn => "SYN with further flags",
            Self::MidStream => "packets in mid-stream",
        }
    }

    /// What the rules of a firewall are told.
    pub(crate) const fn told(self, firewall: &LinkedFirewall) -> ConnectionState {
        match self {
            Self::Related => ConnectionState::Related,
            Self::Invalid => ConnectionState::Invalid,
            Self::Untracked if firewall.behaviour.filter_every_packet => ConnectionState::Untracked,
            // Where sessions are kept, each such message has one of its own.
            Self::Untracked | Self::FlaggedSyn | Self::MidStream => ConnectionState::New,
        }
    }

    /// What becomes of packets of the state.
    fn treatment(self, firewall: &LinkedFirewall) -> Treatment {
        let behaviour = &firewall.behaviour;
        let asked = match self {
            Self::Related => behaviour.filter_every_packet || !behaviour.icmp_errors_related,
            Self::Invalid => behaviour.filter_every_packet,
            Self::Untracked | Self::FlaggedSyn => true,
            Self::MidStream => behaviour.tcp_loose,
        };
        match self {
            _ if asked => Treatment::Asked,
            Self::Related => Treatment::Passed,
            _ => Treatment::Dropped,
        }
    }

    /// The values that make a packet of a case one of the state, beside those asked about; `None`
    /// where no packet is.
    fn within(self, case: &Case, is_shared: bool) -> Option<Vec<(Field, Ranges)>> {
        match (self, case.protocols) {
            (Self::Related, ProtocolClass::Icmp) => {
                Some(vec![(Field::SrcPort, errors(case.family))])
            }
            // Which connections are announced is for the firewall to say that expects them.
            (Self::Related, _) if is_shared => Some(Vec::new()),
            (Self::Invalid, _) => Some(Vec::new()),
            (Self::Untracked, ProtocolClass::Icmp) if case.family == Family::V6 => {
                let types: Ranges = [(130, 136), (143, 143)].into_iter().collect();
                Some(vec![(Field::SrcPort, types)])
            }
            (Self::FlaggedSyn | Self::MidStream, ProtocolClass::WithPorts) => {
                let tcp = Ranges::one(Protocol::TCP.0);
                Some(vec![(Field::Protocol, tcp), (Field::Flags, self.flags())])
            }
            _ => None,
        }
    }

    /// Whether packets of the state open connections, which are translated as usual.
    pub(crate) const fn opens(self) -> bool {
        matches!(self, Self::FlaggedSyn | Self::MidStream)
    }

    /// The TCP flags of packets that open a connection: of SYN, ACK, FIN and RST one alone, and
    /// beside SYN others, for it alone is what first packets have.
    fn flags(self) -> Ranges {
        let told = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
        let opening = if self == Self::FlaggedSyn { TcpFlags::SYN.0 } else { TcpFlags::ACK.0 };
        let fits = |flags: &u8| flags & told == opening && *flags != TcpFlags::SYN.0;
        (0..=u8::MAX).filter(fits).map(|flags| (flags.into(), flags.into())).collect()
    }
}

/// What a firewall does with packets of a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Treatment {
    /// Its rules decide.
    Asked,
    /// They pass with their connection.
    Passed,
    /// They belong to no connection.
    Dropped,
}

/// The types of ICMP errors (RFC 792, RFC 4443).
fn errors(family: Family) -> Ranges {
    let types: &[(u128, u128)] = match family {
        Family::V4 => &[(3, 5), (11, 12)],
        Family::V6 => &[(1, 4)],
    };
    types.iter().copied().collect()
}

/// Compares what becomes of packets by their state, for every case of `answer` and outside of its
/// regions. Where rules of both sides decide, the answer's regions differ; where one side's rules
/// decide and the other keeps sessions, and they do not come to the same, that is assumed not to
/// matter, and told so. Nothing is looked at where rules do not tell the states apart.
///
/// Translations are not compared. Related packets are those rules see: that there are connections
/// they are about is not looked at.
///
/// Cost: that of [`compare`](crate::compare()) for each state that rules tell apart.
pub fn compare_by_state(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    request: &Request,
    answer: &Answer,
) -> Answer {
    let mut found = Answer::default();
    for state in PacketState::ALL {
        let treatments = [old, new].map(|firewall| state.treatment(firewall));
        let is_shared = treatments == [Treatment::Asked; 2];
        let is_alike = treatments[0] == treatments[1] && !is_shared;
        let told = [old, new].into_iter().any(|firewall| tells(firewall, state));
        // That one side alone picks connections up is no matter of rules.
        if is_alike || (is_shared && !told) || (!is_shared && state == PacketState::MidStream) {
            continue;
        }
        let sides = [(old, treatments[0]), (new, treatments[1])]
            .map(|(firewall, treatment)| facing(firewall, state, treatment));
        let families = [Family::V4, Family::V6].map(|it| (it, written_apart(&sides, state, it)));
        let asked = |alike: &Compared| {
            let mut case = alike.case.clone();
            case.within.extend(state.within(&alike.case, is_shared)?);
            let one = |sides| one_case(sides, request, (alike, case.clone()), state);
            let of_family = families.iter().filter(|(family, _)| *family == case.family);
            let groups = of_family.flat_map(|(_, groups)| groups);
            Some(groups.map(one).collect::<Result<Vec<Compared>, _>>())
        };
        let mut assumed = BTreeSet::new();
        let compared = map_each(&answer.compared, request.threads, asked);
        for (alike, compared) in answer.compared.iter().zip(compared) {
            let (case, crossings) = (&alike.case, &alike.crossings);
            let compared = match compared {
                Some(Ok(compared)) => compared,
                Some(Err(because)) => {
                    found.leave_open(case, crossings, vec![because]);
                    continue;
                }
                None => continue,
            };
            let open = compared.iter().flat_map(|it| open(&it.solution)).collect();
            found.leave_open(case, crossings, open);
            if !is_shared {
                let asked = usize::from(treatments[1] == Treatment::Asked);
                let at = |it| first_decider([old, new][asked], asked, it);
                let told = compared.iter().filter_map(at);
                assumed.extend(told.map(|at| ([Side::Old, Side::New][asked], at)));
                continue;
            }
            // Layers that see the packet at one place and differ: what those at the others say of
            // it, nobody knows.
            let views = seen_differently(&sides, state, case.family)
                .filter(|_| compared.iter().any(|it| !it.solution.differences.is_empty()));
            match views {
                Some(refused) => found.leave_open(case, crossings, vec![refused.into()]),
                None => found.compared.extend(compared.into_iter().take(1)),
            }
        }
        // Of all the rules one tells enough.
        let first = assumed.into_iter().next();
        found.assumed.extend(first.map(|(side, at)| to_assume(state, side, at)));
    }
    found
}

/// The findings of packets by their state, those parts of them told apart that are accepted.
pub fn findings_by_state(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
    terms: &Terms<'_>,
) -> Vec<Finding> {
    let mut found = told(old, new, answer, pairing, terms);
    let applications = answer.applications();
    for it in terms.confirmed(&mut found) {
        let Some(state) = PacketState::of(it) else { continue };
        let way = &it.witness_way;
        let sides = [(old, way.old, &it.old), (new, way.new, &it.new)];
        it.opinions = sides.map(|(firewall, passage, decision)| {
            let expected = decision.outcome.allows();
            confirm::ask_by_state(firewall, passage, (&it.witness, state), applications, expected)
        });
    }
    found
}

/// Where a side says what its differences are; `None` where only implied rules do, which stand for
/// what its text does not hold and are assumed to agree already.
fn first_decider(firewall: &LinkedFirewall, side: usize, compared: &Compared) -> Option<Span> {
    let fates = compared.regions.iter().map(|region| [&region.old, &region.new][side]);
    let mut rules = fates.map(|fate| fate.deciders.first().and_then(|origin| origin.rule));
    let stated = |id: &Option<RuleId>| id.is_none_or(|id| !firewall.rules[id.index()].implied);
    let end = || {
        let layer = firewall.layers.last()?;
        Some(firewall.rule_bases[layer.rule_base.index()].at)
    };
    let rule = rules.find(stated)?;
    rule.map(|id| firewall.rules[id.index()].at).or_else(end).or(Some(Span::default()))
}

fn to_assume(state: PacketState, side: Side, at: Span) -> Assumed {
    let text = match state {
        PacketState::Related => {
            "errors about connections do not matter: rules here refuse some, and the other side \
             passes them with their connection"
        }
        _ => {
            "packets of no connection do not matter: rules here let some through, and the other \
             side drops them"
        }
    };
    Assumed { side, at, code: state.name(), text }
}

fn one_case(
    [old, new]: &[LinkedFirewall; 2],
    request: &Request,
    (alike, case): (&Compared, Case),
    state: PacketState,
) -> Result<Compared, Unproved> {
    if request.limits.stop.is_given() {
        return Err(Unproved::Stopped);
    }
    let different: Vec<&Sets> = alike.regions.iter().map(|region| &region.sets).collect();
    let flags = state == PacketState::Invalid || state.opens();
    let stop = request.limits.stop;
    let mut problem = flatten_others(old, new, &case, (&different, flags, stop))?;
    for outcome in &mut problem.outcomes {
        *outcome = match outcome {
            Outcome::Allow(_) => Outcome::Allow(Translate::default()),
            Outcome::Deny(how) => {
                let how = how.split(' ').next().unwrap_or("drop");
                Outcome::Deny(format!("{how} {}", state.refused()).into())
            }
            Outcome::Outside | Outcome::Recorded(_) => Outcome::Outside,
        };
    }
    let limits = SolveLimits { record: false, compare_refusals: false, ..request.limits };
    let mut solution = solve(&problem, &limits);
    let regions = regions_until(&problem, &mut solution, stop);
    let crossings = Arc::clone(&alike.crossings);
    Ok(Compared { case, crossings, problem, solution, regions })
}

/// Whether rules of a firewall, where they decide, say something else of packets of the state than
/// of first ones with the same headers.
fn tells(firewall: &LinkedFirewall, state: PacketState) -> bool {
    let rules = firewall.rules.iter().filter(|rule| !rule.disabled);
    let mut rules = rules.map(|rule| &rule.matches);
    let flags = |matches: &LinkedMatch| !matches.tcp_flags.is_empty();
    if state.opens() {
        let tables = [&firewall.destination_nat, &firewall.source_nat];
        let mut turns = tables.into_iter().flat_map(|table| &table.rules);
        return rules.any(flags) || turns.any(|rule| !rule.disabled && flags(&rule.matches));
    }
    let told = state.told(firewall);
    let apart = |matches: &LinkedMatch| {
        matches.states.contains(told) != matches.states.contains(ConnectionState::New)
    };
    rules.any(|matches| apart(matches) || flags(matches)) || confirm::translates(firewall)
}

/// The firewall as it faces packets of a state: one that faces first packets so.
fn facing(firewall: &LinkedFirewall, state: PacketState, treatment: Treatment) -> LinkedFirewall {
    let mut found = firewall.clone();
    let end = match treatment {
        Treatment::Asked => {
            let told = state.told(firewall);
            for rule in &mut found.rules {
                rule.disabled |= !rule.matches.states.contains(told);
                rule.matches.states = StateSet::ALL;
            }
            return found;
        }
        Treatment::Passed => LinkedAction::Allow,
        Treatment::Dropped => LinkedAction::Drop,
    };
    let at = Span::default();
    found.rules.clear();
    found.rule_bases =
        vec![LinkedRuleBase { name: "".into(), first: RuleId(0), count: 0, default: None, at }];
    found.layers = vec![LinkedLayer {
        name: "".into(),
        rule_base: RuleBaseId(0),
        default: end,
        sees_src: Sees::Original,
        sees_dst: Sees::Original,
        before_sessions: false,
    }];
    found
}

/// Both sides, once for each place at which some layer sees packets where that makes a difference;
/// without their translations, where packets of the state have none of their own.
fn written_apart(
    sides: &[LinkedFirewall; 2],
    state: PacketState,
    family: Family,
) -> Vec<[LinkedFirewall; 2]> {
    let parted = seen_differently(sides, state, family).is_some();
    let views: BTreeSet<_> = views(sides, family).filter(|_| parted).map(Some).collect();
    let views = if views.is_empty() { BTreeSet::from([None]) } else { views };
    let part = |view: Option<[bool; 2]>| {
        sides.clone().map(|mut firewall| {
            firewall.layers.retain(|layer| view.is_none_or(|view| view == view_of(layer)));
            if !state.opens() {
                firewall.destination_nat.rules.clear();
                firewall.source_nat.rules.clear();
            }
            firewall
        })
    };
    views.into_iter().map(part).collect()
}

/// A rule that translates, where layers compare what it leaves alone and what it makes: related
/// packets are translated with connections nobody knows.
fn seen_differently(
    sides: &[LinkedFirewall; 2],
    state: PacketState,
    family: Family,
) -> Option<NotFlattened> {
    let is_parted = || views(sides, family).collect::<BTreeSet<_>>().len() > 1;
    if state != PacketState::Related || !is_parted() {
        return None;
    }
    let mut rules = sides.iter().zip([Side::Old, Side::New]).flat_map(|(firewall, side)| {
        let tables = [&firewall.destination_nat, &firewall.source_nat];
        tables.into_iter().flat_map(|table| &table.rules).map(move |rule| (rule, side))
    });
    let (rule, side) = rules.find(|(rule, _)| !rule.disabled)?;
    Some(NotFlattened { side, at: rule.at, reason: Obstacle::Views })
}

/// How the layers see packets of a family that do not let all of them through.
fn views(sides: &[LinkedFirewall; 2], family: Family) -> impl Iterator<Item = [bool; 2]> {
    sides.iter().flat_map(move |firewall| {
        let asked = firewall
            .layers
            .iter()
            .filter(move |it| !passes_all(firewall, it, Some(family), |_| true));
        asked.map(view_of)
    })
}

/// Whether a layer sees the source, and the destination, translated.
fn view_of(layer: &LinkedLayer) -> [bool; 2] {
    [layer.sees_src, layer.sees_dst].map(|sees| sees == Sees::Translated)
}
