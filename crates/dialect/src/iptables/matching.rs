//! Conditions that all have to hold become matches of the model.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_net::{PortRange, Protocol, Timestamp};
use parefeu_policy::set::{AddressSet, PortSet, ProtocolSet};
use parefeu_policy::{
    AddressItem, AddressMatch, At, ConnectionState, IcmpMatch, Match, Names, Schedule, ServiceItem,
    ServiceTerm, Span, StateSet, TcpFlagMatch,
};

use super::condition::{Condition, Family, IcmpType, Kind};

/// Interface names: those the text mentions, and stand-ins for those it does not.
///
/// A name that ends in `+` stands for every interface it covers that has no entry of its own; the
/// bare `+` for every other interface.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    names: Vec<At<String>>,
    known: BTreeSet<String>,
}

impl Interfaces {
    /// Notes the names of a rule's conditions.
    pub(super) fn mention(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            if let Kind::Ingress(name) | Kind::Egress(name) = &condition.kind
                && name != "+"
                && self.known.insert(name.clone())
            {
                self.names.push(At::new(name.clone(), condition.at));
            }
        }
    }

    /// Every name; the bare `+` comes last, where there are others.
    pub(super) fn finish(&mut self) -> &[At<String>] {
        if let Some(first) = self.names.first() {
            let other = At::new("+".to_owned(), first.at);
            self.names.push(other);
        }
        &self.names
    }

    /// The names that fulfil every condition, each a pattern and whether it is turned round.
    fn select(&self, conditions: &[(&str, bool, Span)]) -> Names {
        // Every interface fulfils the bare `+`, and a packet without one does as well.
        let conditions: Vec<_> = conditions.iter().filter(|(it, ..)| *it != "+").collect();
        let Some((_, _, at)) = conditions.first() else { return Names::Any };
        let fits = |name: &str| {
            conditions.iter().all(|(pattern, negated, _)| covers(pattern, name) != *negated)
        };
        let exact = |pattern: &str| !pattern.ends_with('+');
        let place = |name: &str| At::new(name.to_owned(), *at);
        if let Some((name, ..)) = conditions.iter().find(|(it, negated, _)| exact(it) && !negated) {
            return Names::OneOf(fits(name).then(|| place(name)).into_iter().collect());
        }
        // What is none of some names may have no name at all.
        if conditions.iter().all(|(_, negated, _)| *negated) {
            let others = self.names.iter().filter(|name| !fits(&name.value));
            return Names::NoneOf(others.map(|name| place(&name.value)).collect());
        }
        let chosen = self.names.iter().filter(|name| fits(&name.value));
        Names::OneOf(chosen.map(|name| place(&name.value)).collect())
    }
}

fn covers(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('+').map_or(pattern == name, |stem| name.starts_with(stem))
}

/// What a list of conditions becomes.
#[derive(Debug, Default)]
pub(super) struct Matches {
    /// One of these has to match; none when the conditions contradict each other.
    pub(super) alternatives: Vec<Match>,
    /// Conditions that are not modelled, as written; they are atoms of every alternative.
    pub(super) unmodelled: Vec<At<String>>,
}

/// Where conditions are read: the interfaces of the text, and the schedules found so far.
pub(super) struct Context<'a> {
    pub(super) interfaces: &'a Interfaces,
    pub(super) schedules: &'a mut BTreeMap<String, Schedule>,
}

impl Context<'_> {
    /// The matches of one family that fulfil every condition.
    pub(super) fn matches(&mut self, conditions: &[Condition], family: Family) -> Matches {
        let mut builder = Builder::default();
        for condition in conditions {
            builder.add(condition, family, self.schedules);
        }
        let mut matches = Match {
            ingress: self.interfaces.select(&builder.ingress),
            egress: self.interfaces.select(&builder.egress),
            states: builder.states,
            tcp_flags: builder.flags,
            ..Match::default()
        };
        let mut unmodelled = builder.atoms;
        let restricted = builder.dst.iter().any(|(_, negated, _)| !negated);
        matches.src = addresses(&builder.src, family, !restricted, &mut unmodelled);
        matches.dst = addresses(&builder.dst, family, false, &mut unmodelled);
        matches.services = builder.services.items(family, &mut unmodelled);
        matches.devices = builder.device.into_iter().collect();
        matches.schedule = builder.schedule;
        matches.unknown = unmodelled
            .iter()
            .map(|atom| At::new(format!("iptables: {}", atom.value), atom.at))
            .collect();
        if builder.impossible {
            return Matches { alternatives: Vec::new(), unmodelled };
        }
        let Some((also, or)) = builder.states_or else {
            return Matches { alternatives: vec![matches], unmodelled };
        };
        // `ESTABLISHED,DNAT` holds in the state, or where the atom does.
        let mut by_atom = matches.clone();
        matches.states = intersection(matches.states, also);
        by_atom.unknown.push(At::new(format!("iptables: {}", or.value), or.at));
        unmodelled.push(or);
        Matches { alternatives: vec![matches, by_atom], unmodelled }
    }
}

/// Items, whether they are turned round, and where they stand.
type Addresses<'c> = (&'c [AddressItem], bool, Span);

/// Conditions sorted by what they compare.
#[derive(Default)]
struct Builder<'c> {
    src: Vec<Addresses<'c>>,
    dst: Vec<Addresses<'c>>,
    ingress: Vec<(&'c str, bool, Span)>,
    egress: Vec<(&'c str, bool, Span)>,
    states: StateSet,
    states_or: Option<(StateSet, At<String>)>,
    services: Services,
    flags: Vec<TcpFlagMatch>,
    device: Option<parefeu_net::MacAddress>,
    schedule: Option<At<String>>,
    atoms: Vec<At<String>>,
    impossible: bool,
}

impl<'c> Builder<'c> {
    fn add(
        &mut self,
        condition: &'c Condition,
        family: Family,
        schedules: &mut BTreeMap<String, Schedule>,
    ) {
        let Condition { kind, negated, at } = condition;
        match kind {
            Kind::Protocol(set) => self.services.protocol(*set, *negated, *at),
            Kind::Src(items) => self.src.push((items, *negated, *at)),
            Kind::Dst(items) => self.dst.push((items, *negated, *at)),
            // No interface is called otherwise than anything.
            Kind::Ingress(name) | Kind::Egress(name) if name == "+" && *negated => {
                self.impossible = true;
            }
            Kind::Ingress(name) => self.ingress.push((name, *negated, *at)),
            Kind::Egress(name) => self.egress.push((name, *negated, *at)),
            Kind::SrcPorts(ports) => self.services.src_ports(ports, *negated),
            Kind::DstPorts(ports) => self.services.dst_ports(ports, *negated),
            Kind::EitherPorts(ports) => self.services.either_ports(ports, *negated),
            Kind::Icmp { wanted, v6 } => {
                // A type of the other family's protocol never occurs.
                self.impossible |= *v6 != (family == Family::V6);
                self.services.icmp(*wanted, *negated);
            }
            Kind::Flags { mask, value } => self.tcp_flags(*mask, *value, *negated, *at),
            Kind::States { states, or } => self.states(*states, or.as_ref(), *negated, *at),
            Kind::Device(device) if !negated && self.device.is_none_or(|it| it == *device) => {
                self.device = Some(*device);
            }
            Kind::Device(device) => self.atom(&format!("--mac-source {device}"), *negated, *at),
            Kind::Time { text, weekly, absolute } => {
                let name = format!("time {text}");
                let other = self.schedule.as_ref().is_some_and(|it| it.value != name);
                if *negated || other {
                    self.atom(&format!("-m time {text}"), *negated, *at);
                    return;
                }
                schedules.entry(name.clone()).or_insert_with(|| Schedule {
                    name: name.clone(),
                    weekly: weekly.clone(),
                    absolute: absolute
                        .iter()
                        .map(|(from, to)| (Timestamp::from_secs(*from), Timestamp::from_secs(*to)))
                        .collect(),
                    at: *at,
                });
                self.schedule = Some(At::new(name, *at));
            }
            Kind::Atom(text) => self.atom(text, *negated, *at),
        }
    }

    fn atom(&mut self, text: &str, negated: bool, at: Span) {
        let not = if negated { "! " } else { "" };
        self.atoms.push(At::new(format!("{not}{text}"), at));
    }

    fn states(&mut self, states: StateSet, or: Option<&String>, negated: bool, at: Span) {
        match (or, negated) {
            (None, _) => {
                let states = if negated { states.complement() } else { states };
                self.states = intersection(self.states, states);
            }
            (Some(atom), true) => {
                self.states = intersection(self.states, states.complement());
                self.atom(atom, true, at);
            }
            (Some(atom), false) if states == StateSet::NONE => self.atom(atom, false, at),
            (Some(atom), false) if self.states_or.is_none() => {
                self.states_or = Some((states, At::new(atom.clone(), at)));
            }
            (Some(atom), false) => {
                let text = format!("{atom} or state {:#x}", states.bits());
                self.atom(&text, false, at);
            }
        }
    }

    /// Conditions on flags that all have to hold; the model's list holds alternatives.
    fn tcp_flags(&mut self, mask: u8, value: u8, negated: bool, at: Span) {
        let condition = TcpFlagMatch { mask, value, negated };
        let Some(first) = self.flags.first_mut() else {
            self.flags.push(condition);
            return;
        };
        if *first == condition {
            return;
        }
        if first.negated || negated {
            self.atom(&format!("--tcp-flags {mask:#04x} {value:#04x}"), negated, at);
        } else if first.value & mask == value & first.mask {
            first.mask |= mask;
            first.value |= value;
        } else {
            self.impossible = true;
        }
    }
}

/// One side's addresses. `restrict` says whether they have to keep out the other family.
fn addresses(
    conditions: &[Addresses<'_>],
    family: Family,
    restrict: bool,
    unmodelled: &mut Vec<At<String>>,
) -> AddressMatch {
    let place = |items: &[AddressItem], at: Span| {
        items.iter().map(|item| At::new(item.clone(), at)).collect::<Vec<_>>()
    };
    match conditions {
        [] if restrict => AddressMatch::one(family.every(), Span::default()),
        [] => AddressMatch::any(),
        [(items, false, at)] => AddressMatch { items: place(items, *at), negated: false },
        [(items, true, at)] => {
            let mut items = place(items, *at);
            items.push(At::new(family.other().every(), *at));
            AddressMatch { items, negated: true }
        }
        [(.., at), ..] => {
            if let Some(set) = intersect(conditions, family) {
                return AddressMatch { items: ranges(&set, *at), negated: false };
            }
            // Discontiguous masks and names cannot be cut: the first condition stays, the others
            // become atoms.
            for (items, negated, at) in conditions.iter().skip(1) {
                let not = if *negated { "! " } else { "" };
                let shown: Vec<String> = items.iter().map(show).collect();
                unmodelled.push(At::new(format!("{not}address {}", shown.join(",")), *at));
            }
            addresses(conditions.get(..1).unwrap_or_default(), family, restrict, unmodelled)
        }
    }
}

fn show(item: &AddressItem) -> String {
    match item {
        AddressItem::Network(network) => network.to_string(),
        AddressItem::Range(first, last) => format!("{first}-{last}"),
        AddressItem::Masked(pattern) => {
            let dotted = std::net::Ipv4Addr::from_bits;
            format!("{}/{}", dotted(pattern.value), dotted(pattern.mask))
        }
        AddressItem::Unknown(text) => text.clone(),
        _ => "any".to_owned(),
    }
}

fn intersect(conditions: &[Addresses<'_>], family: Family) -> Option<AddressSet> {
    let mut all = match family {
        Family::V4 => AddressSet::all_v4(),
        Family::V6 => AddressSet::all_v6(),
    };
    for (items, negated, _) in conditions {
        let mut set = AddressSet::default();
        for item in *items {
            match item {
                AddressItem::Network(network) => set.insert_network(*network),
                AddressItem::Range(first, last) => set.insert_range(*first, *last).ok()?,
                AddressItem::Masked(pattern) => set.insert_masked(*pattern),
                AddressItem::AnyV4 => set.insert_set(&AddressSet::all_v4()),
                AddressItem::AnyV6 => set.insert_set(&AddressSet::all_v6()),
                _ => return None,
            }
        }
        let set = if *negated { set.complement()? } else { set };
        all = all.intersection(&set)?;
    }
    Some(all)
}

fn ranges(set: &AddressSet, at: Span) -> Vec<At<AddressItem>> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let v4 = set.v4_ranges().iter().map(|(first, last)| {
        let (first, last) = (Ipv4Addr::from_bits(*first), Ipv4Addr::from_bits(*last));
        AddressItem::Range(first.into(), last.into())
    });
    let v6 = set.v6_ranges().iter().map(|(first, last)| {
        let (first, last) = (Ipv6Addr::from_bits(*first), Ipv6Addr::from_bits(*last));
        AddressItem::Range(first.into(), last.into())
    });
    let masked = set.masked().iter().copied().map(AddressItem::Masked);
    v4.chain(v6).chain(masked).map(|item| At::new(item, at)).collect()
}

/// More conditions on "source or destination port" than this make a rule unmodelled.
const MAX_EITHER: usize = 4;

/// Protocol, ports and ICMP types that all have to fit.
struct Services {
    protocols: ProtocolSet,
    at: Span,
    src: PortSet,
    dst: PortSet,
    /// Each a set one of both ports has to be in.
    either: Vec<PortSet>,
    icmp: Option<Vec<IcmpMatch>>,
}

impl Default for Services {
    fn default() -> Self {
        Self {
            protocols: ProtocolSet::ALL,
            at: Span::default(),
            src: PortSet::all(),
            dst: PortSet::all(),
            either: Vec::new(),
            icmp: None,
        }
    }
}

impl Services {
    fn protocol(&mut self, set: ProtocolSet, negated: bool, at: Span) {
        let set = if negated { set.complement() } else { set };
        self.protocols = self.protocols.intersection(set);
        self.at = at;
    }

    fn src_ports(&mut self, ports: &PortSet, negated: bool) {
        self.src = both(&self.src, &turned(ports, negated));
    }

    fn dst_ports(&mut self, ports: &PortSet, negated: bool) {
        self.dst = both(&self.dst, &turned(ports, negated));
    }

    fn either_ports(&mut self, ports: &PortSet, negated: bool) {
        if negated {
            self.src_ports(ports, true);
            self.dst_ports(ports, true);
        } else {
            self.either.push(ports.clone());
        }
    }

    fn icmp(&mut self, wanted: IcmpType, negated: bool) {
        let types = match (wanted, negated) {
            (IcmpType::Any, false) => return,
            (IcmpType::Any, true) => Vec::new(),
            (IcmpType::Is(wanted), false) => vec![wanted],
            (IcmpType::Is(wanted), true) => others(wanted),
        };
        self.icmp = Some(match self.icmp.take() {
            None => types,
            Some(first) => {
                let pairs = first.iter().flat_map(|a| types.iter().map(|b| (*a, *b)));
                pairs.filter_map(|(a, b)| narrower(a, b)).collect()
            }
        });
    }

    fn items(&mut self, family: Family, unmodelled: &mut Vec<At<String>>) -> Vec<At<ServiceItem>> {
        let with_ports = !self.src.is_all() || !self.dst.is_all() || !self.either.is_empty();
        if with_ports {
            let carriers: ProtocolSet =
                (0..=u8::MAX).map(Protocol).filter(|it| it.has_ports()).collect();
            self.protocols = self.protocols.intersection(carriers);
        }
        if self.icmp.is_some() {
            let protocol = match family {
                Family::V4 => Protocol::ICMP,
                Family::V6 => Protocol::ICMPV6,
            };
            self.protocols = self.protocols.intersection(ProtocolSet::single(protocol));
        }
        if self.protocols.is_all() {
            return Match::default().services;
        }
        if self.protocols.is_empty() {
            return Vec::new();
        }
        let mut ports = vec![(self.src.clone(), self.dst.clone())];
        // Each doubles the terms; more than a few in one rule are no real rule.
        if self.either.len() > MAX_EITHER {
            unmodelled.push(At::new("many --ports".to_owned(), self.at));
        }
        for either in self.either.iter().take(MAX_EITHER) {
            let source = ports.iter().map(|(src, dst)| (both(src, either), dst.clone()));
            let destination = ports.iter().map(|(src, dst)| (src.clone(), both(dst, either)));
            ports = source.chain(destination).collect();
        }
        let types: Vec<Option<IcmpMatch>> = match &self.icmp {
            None => vec![None],
            Some(types) => types.iter().copied().map(Some).collect(),
        };
        let mut items = Vec::new();
        for (src_ports, dst_ports) in ports {
            for icmp in &types {
                let term = ServiceTerm {
                    protocols: self.protocols,
                    src_ports: src_ports.clone(),
                    dst_ports: dst_ports.clone(),
                    icmp: *icmp,
                };
                items.push(At::new(ServiceItem::Term(term), self.at));
            }
        }
        items
    }
}

/// Every type and code but this one.
fn others(wanted: IcmpMatch) -> Vec<IcmpMatch> {
    let other_types = (0..=u8::MAX).filter(|kind| *kind != wanted.kind);
    let mut all: Vec<_> = other_types.map(|kind| IcmpMatch { kind, code: None }).collect();
    if let Some(code) = wanted.code {
        let other_codes = (0..=u8::MAX).filter(|other| *other != code);
        all.extend(other_codes.map(|code| IcmpMatch { kind: wanted.kind, code: Some(code) }));
    }
    all
}

fn narrower(a: IcmpMatch, b: IcmpMatch) -> Option<IcmpMatch> {
    let same = a.kind == b.kind && (a.code.is_none() || b.code.is_none() || a.code == b.code);
    same.then(|| IcmpMatch { kind: a.kind, code: a.code.or(b.code) })
}

fn turned(ports: &PortSet, negated: bool) -> PortSet {
    if negated { ports.complement() } else { ports.clone() }
}

/// The ports that are in both sets.
pub(super) fn both(a: &PortSet, b: &PortSet) -> PortSet {
    let outside: Vec<PortRange> =
        a.complement().ranges().iter().chain(b.complement().ranges()).copied().collect();
    outside.into_iter().collect::<PortSet>().complement()
}

fn intersection(a: StateSet, b: StateSet) -> StateSet {
    let both = ConnectionState::ALL.into_iter().filter(|it| a.contains(*it) && b.contains(*it));
    both.fold(StateSet::NONE, StateSet::with)
}
