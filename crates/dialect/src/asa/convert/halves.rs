//! The two halves of each `nat` rule, and how they hold together.
//!
//! "A single rule translates both the source and destination. A matching packet only matches the
//! one rule, and further rules are not checked" (Cisco ASA firewall CLI guide, "Comparing Network
//! Object NAT and Twice NAT"). So both tables compare the packet as it arrives: where the
//! destination half of twice NAT holds, the source half of the same rule does. Where object NAT or
//! twice NAT without `destination` translates the destination, another rule may translate the
//! source; it goes by the interface the real destination leaves by, which is not the one of the
//! route to the mapped one. Such packets therefore have a copy of the rules they can meet.

use parefeu_net::PortRange;
use parefeu_policy::set::PortSet;
use parefeu_policy::{At, Match, Names, NatRule, ServiceItem, ServiceTerm, Translation};

/// A rule of the destination table, and what becomes of the source of what it matches.
pub(super) struct Arrival {
    pub(super) rule: NatRule,
    pub(super) source: Source,
}

/// What becomes of the source of a packet whose destination a rule has matched.
pub(super) enum Source {
    /// What these rules say, of which the last one holds for all such packets.
    Tied(Vec<NatRule>),
    /// What the first other rule says that holds for packets which leave so; with what all of them
    /// match.
    Other(WayOut, Box<Match>),
    /// The rule above says it too.
    AsBefore,
    /// Whether the rule matches is not known.
    Open,
}

/// Where packets leave whose destination was translated.
#[derive(Clone)]
pub(super) enum WayOut {
    /// Where the route to the destination leads that they arrived with.
    AsArrived,
    /// By this interface.
    By(String),
    /// By one that is not known.
    Unknown,
}

/// The source table is not to hold more rules than this.
const MAX_RULES: usize = 1 << 17;

/// The source table; `plain` are the rules that translate the source alone, in order. `None` when
/// it would be too large.
pub(super) fn sources(arrivals: &[Arrival], plain: Vec<NatRule>) -> Option<Vec<NatRule>> {
    let last_tied = arrivals.iter().rposition(|it| matches!(it.source, Source::Tied(_)));
    let mut found = Vec::new();
    for (index, arrival) in arrivals.iter().enumerate() {
        let is_followed = last_tied.is_some_and(|last| index < last);
        match &arrival.source {
            Source::Tied(rules) => found.extend(rules.iter().cloned()),
            Source::Other(way, matches) => {
                let own = &NatRule { matches: (**matches).clone(), ..arrival.rule.clone() };
                let others = plain.iter().filter(|it| meet(&own.matches, &it.matches).is_some());
                let others: Vec<&NatRule> = others.collect();
                let is_told = matches!(way, WayOut::AsArrived)
                    || others.iter().all(|it| it.matches.egress == Names::Any);
                if is_told && !is_followed {
                    continue;
                }
                found.extend(others.iter().filter_map(|other| leaving(own, other, way)));
                found.push(NatRule { translation: Translation::Keep, ..own.clone() });
            }
            Source::AsBefore | Source::Open => {}
        }
        if found.len() > MAX_RULES {
            return None;
        }
    }
    found.extend(plain);
    (found.len() <= MAX_RULES).then_some(found)
}

/// A rule that translates the source, held to packets whose destination another one matches.
fn leaving(own: &NatRule, other: &NatRule, way: &WayOut) -> Option<NatRule> {
    let mut matches = meet(&own.matches, &other.matches)?;
    match (way, &mut matches.egress) {
        (WayOut::AsArrived, _) | (_, Names::Any) => {}
        (WayOut::By(name), egress) => {
            if !egress.listed().iter().any(|listed| listed.value == *name) {
                return None;
            }
            *egress = Names::Any;
        }
        (WayOut::Unknown, egress) => {
            *egress = Names::Any;
            let text = format!("asa: the way out of {} for {}", own.name, other.name);
            matches.unknown.push(At::new(text, own.at));
        }
    }
    let disabled = own.disabled || other.disabled;
    Some(NatRule { matches, disabled, ..other.clone() })
}

/// What both rules match, where the first states a destination alone, and the second none; `None`
/// where that is nothing. The egress interface is the second one's.
pub(super) fn meet(arrived: &Match, plain: &Match) -> Option<Match> {
    let ingress = match (&arrived.ingress, &plain.ingress) {
        (Names::OneOf(a), Names::OneOf(b)) => {
            let both = a.iter().filter(|a| b.iter().any(|b| a.value == b.value));
            let both: Vec<_> = both.cloned().collect();
            (!both.is_empty()).then_some(Names::OneOf(both))?
        }
        (Names::Any, names) | (names, _) => names.clone(),
    };
    let mut services = Vec::new();
    for a in &arrived.services {
        for b in &plain.services {
            let item = match (&a.value, &b.value) {
                (ServiceItem::Term(a), ServiceItem::Term(b)) => both(a, b).map(ServiceItem::Term),
                (ServiceItem::Any, item) | (item, _) => Some(item.clone()),
            };
            services.extend(item.map(|item| At::new(item, b.at)));
        }
    }
    if services.is_empty() {
        return None;
    }
    let dst = arrived.dst.clone();
    Some(Match { ingress, dst, services, ..plain.clone() })
}

/// The packets of two service terms; `None` where there are none.
fn both(a: &ServiceTerm, b: &ServiceTerm) -> Option<ServiceTerm> {
    let protocols = a.protocols.intersection(b.protocols);
    let src_ports = ports(&a.src_ports, &b.src_ports);
    let dst_ports = ports(&a.dst_ports, &b.dst_ports);
    let is_empty = protocols.is_empty() || src_ports.is_empty() || dst_ports.is_empty();
    let icmp = a.icmp.or(b.icmp);
    (!is_empty).then_some(ServiceTerm { protocols, src_ports, dst_ports, icmp })
}

fn ports(a: &PortSet, b: &PortSet) -> PortSet {
    let pairs = a.ranges().iter().flat_map(|a| b.ranges().iter().map(move |b| (a, b)));
    let shared = pairs
        .filter_map(|(a, b)| PortRange::new(a.first().max(b.first()), a.last().min(b.last())).ok());
    shared.collect()
}
