//! Sets of a region by the names a firewall has for them.

use std::cmp::Reverse;
use std::collections::HashMap;

use parefeu_policy::set::{AddressSet, PortSet, Ranges};
use parefeu_policy::{LinkedService, Objects};

use crate::finding::Finding;
use crate::flatten::{Family, ProtocolClass};
use crate::problem::Field;

/// The objects of one firewall, to be found by what they stand for.
///
/// An address object stands for its addresses of one family where the other is not asked about,
/// and a service object for its protocols of one class.
#[derive(Debug, Default)]
pub struct ObjectNames {
    v4: Index,
    v6: Index,
    /// Services by the source ports all their terms have in common.
    services: HashMap<Ranges, Index>,
    /// What was asked before.
    known: HashMap<(Subject, Ranges), Vec<Box<str>>>,
}

/// The names of a region's sets on one side; empty where no few names are exactly the set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RegionNames {
    /// Of the sources.
    pub source: Vec<Box<str>>,
    /// Of the destinations.
    pub destination: Vec<Box<str>>,
    /// Of protocols with destination ports or ICMP types.
    pub service: Vec<Box<str>>,
}

impl RegionNames {
    /// Whether nothing has a name.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty() && self.destination.is_empty() && self.service.is_empty()
    }
}

/// Whose names are looked for.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Subject {
    Addresses(Family),
    /// Services, with these source ports.
    Services(Ranges),
}

impl ObjectNames {
    /// A set is written as the union of this many objects at most.
    pub const MOST_NAMES: usize = 8;

    /// Ranges of objects looked at for one set, at most; past that it has no name.
    pub const MOST_WORK: usize = 1 << 18;

    /// The names of the objects of a firewall. `O(n log n)` in their ranges.
    pub fn of(objects: &Objects) -> Self {
        let mut names = Self::default();
        for object in &objects.addresses {
            if object.value.masked().is_empty() {
                names.v4.add(&object.name, address_ranges(&object.value, Family::V4));
                names.v6.add(&object.name, address_ranges(&object.value, Family::V6));
            }
        }
        for object in &objects.services {
            let Some((src_ports, set)) = service_ranges(&object.value.terms) else { continue };
            for class in ProtocolClass::ALL {
                let part = set.intersection(&numbers(&class.values(), &every_port()));
                // Only protocols with ports have source ports.
                let src_ports = match class {
                    ProtocolClass::WithPorts => src_ports.clone(),
                    ProtocolClass::Icmp | ProtocolClass::Other => every_port(),
                };
                names.services.entry(src_ports).or_default().add(&object.name, part);
            }
        }
        let services = names.services.values_mut();
        services.chain([&mut names.v4, &mut names.v6]).for_each(Index::sort);
        names
    }

    /// The names of the sets of a finding that are not all there is.
    pub fn name(&mut self, finding: &Finding) -> RegionNames {
        let mut found = RegionNames::default();
        if let Some(family) = finding.family {
            for (field, names) in
                [(Field::Src, &mut found.source), (Field::Dst, &mut found.destination)]
            {
                if let Some(set) = finding.sets.get(&field) {
                    *names = self.named(Subject::Addresses(family), set);
                }
            }
        }
        if let Some((src_ports, set)) = services_of(finding) {
            found.service = self.named(Subject::Services(src_ports), &set);
        }
        found
    }

    fn named(&mut self, subject: Subject, set: &Ranges) -> Vec<Box<str>> {
        let key = (subject, set.clone());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let index = match &key.0 {
            Subject::Addresses(Family::V4) => Some(&self.v4),
            Subject::Addresses(Family::V6) => Some(&self.v6),
            Subject::Services(src_ports) => self.services.get(src_ports),
        };
        let names = index.map_or_else(Vec::new, |index| index.names(set));
        self.known.insert(key, names.clone());
        names
    }
}

/// Names by the sets they stand for.
#[derive(Debug, Default)]
struct Index {
    /// Each set once, with the first object that stands for it: by the least number in it.
    sets: Vec<(Ranges, Box<str>)>,
    places: HashMap<Ranges, Box<str>>,
}

impl Index {
    fn add(&mut self, name: &str, set: Ranges) {
        if !set.is_empty() && !self.places.contains_key(&set) {
            self.places.insert(set.clone(), name.into());
            self.sets.push((set, name.into()));
        }
    }

    fn sort(&mut self) {
        self.sets.sort_by_key(|(set, _)| set.hull());
    }

    /// One object that is the set, else few that together are; nothing where that fails.
    ///
    /// The largest objects within the set are taken first, so that a group stands before its
    /// members. Not every union there is will be found; one that is given is exact.
    fn names(&self, wanted: &Ranges) -> Vec<Box<str>> {
        if let Some(name) = self.places.get(wanted) {
            return vec![name.clone()];
        }
        let inside = wanted.as_slice().iter().flat_map(|&(first, last)| {
            let begins = |(set, _): &(Ranges, _)| set.hull().map_or(0, |hull| hull.0);
            let from = self.sets.partition_point(|it| begins(it) < first);
            let to = self.sets.partition_point(|it| begins(it) <= last);
            &self.sets[from..to]
        });
        let mut inside: Vec<(u128, &(Ranges, Box<str>))> =
            inside.map(|it| (size(&it.0), it)).collect();
        inside.sort_by_key(|(size, _)| Reverse(*size));
        let (mut rest, mut names, mut work) = (wanted.clone(), Vec::new(), 0);
        for (largest, (set, name)) in inside {
            let more = (ObjectNames::MOST_NAMES - names.len()) as u128;
            work += set.len() + rest.len();
            if largest.saturating_mul(more) < size(&rest) || work > ObjectNames::MOST_WORK {
                break;
            }
            if wanted.covers(set) && rest.overlaps(set) {
                rest = rest.difference(set);
                names.push(name.clone());
            }
            if rest.is_empty() {
                names.sort_unstable();
                return names;
            }
        }
        Vec::new()
    }
}

/// How many numbers there are, as far as they can be counted.
fn size(set: &Ranges) -> u128 {
    let sizes = set.as_slice().iter().map(|&(first, last)| (last - first).saturating_add(1));
    sizes.fold(0, u128::saturating_add)
}

/// The addresses of a family.
pub(crate) fn address_ranges(set: &AddressSet, family: Family) -> Ranges {
    match family {
        Family::V4 => {
            set.v4_ranges().iter().map(|&(first, last)| (first.into(), last.into())).collect()
        }
        Family::V6 => set.v6_ranges().iter().copied().collect(),
    }
}

/// The source ports all terms have in common, and the rest of them as numbers; `None` where they
/// have none in common.
///
/// The number of a service is its protocol, then 16 bits: the destination port, or the type and
/// code of ICMP.
pub(crate) fn service_ranges(terms: &[LinkedService]) -> Option<(Ranges, Ranges)> {
    let src_ports = ports(&terms.first()?.src_ports);
    let alike = |term: &LinkedService| ports(&term.src_ports) == src_ports;
    if !terms.iter().all(alike) {
        return None;
    }
    let parts = terms.iter().flat_map(|term| {
        let protocols = |class: ProtocolClass| -> Ranges {
            let numbers = term.protocols.iter().filter(|it| class.contains(*it));
            numbers.map(|it| (it.0.into(), it.0.into())).collect()
        };
        let icmp = term.icmp.map_or_else(every_port, |icmp| {
            let kind = u128::from(icmp.kind) << 8;
            let codes = icmp.code.map_or((0, 255), |code| (code.into(), code.into()));
            Ranges::span(kind | codes.0, kind | codes.1)
        });
        [
            numbers(&protocols(ProtocolClass::WithPorts), &ports(&term.dst_ports)),
            numbers(&protocols(ProtocolClass::Icmp), &icmp),
            numbers(&protocols(ProtocolClass::Other), &every_port()),
        ]
    });
    let ranges = parts.flat_map(|part| part.as_slice().to_vec());
    Some((src_ports, ranges.collect()))
}

/// The services of a finding, as those of objects; `None` where it names none.
pub(crate) fn services_of(finding: &Finding) -> Option<(Ranges, Ranges)> {
    let class = finding.protocols?;
    let every = class.values();
    let protocols = finding.sets.get(&Field::Protocol).map(|set| set.intersection(&every));
    let [first, second] = [Field::SrcPort, Field::DstPort].map(|field| finding.sets.get(&field));
    let whole = protocols.as_ref().is_none_or(|set| *set == every);
    if whole && first.is_none() && second.is_none() {
        return None;
    }
    let protocols = protocols.unwrap_or(every);
    let or_every = |ports: Option<&Ranges>| ports.cloned().unwrap_or_else(every_port);
    Some(match class {
        ProtocolClass::WithPorts => (or_every(first), numbers(&protocols, &or_every(second))),
        ProtocolClass::Other => (every_port(), numbers(&protocols, &every_port())),
        ProtocolClass::Icmp => {
            let every = Ranges::span(0, u8::MAX.into());
            let (types, codes) = (first.unwrap_or(&every), second.unwrap_or(&every));
            let types = types.as_slice().iter().flat_map(|&(first, last)| first..=last);
            let pairs = types.flat_map(|kind| {
                codes
                    .as_slice()
                    .iter()
                    .map(move |&(first, last)| (kind << 8 | first, kind << 8 | last))
            });
            (every_port(), numbers(&protocols, &pairs.collect()))
        }
    })
}

/// Protocols with what follows them, as one number each.
fn numbers(protocols: &Ranges, rest: &Ranges) -> Ranges {
    let protocols = protocols.as_slice().iter().flat_map(|&(first, last)| first..=last);
    let numbers = protocols.flat_map(|protocol| {
        rest.as_slice()
            .iter()
            .map(move |&(first, last)| (protocol << 16 | first, protocol << 16 | last))
    });
    numbers.collect()
}

fn ports(set: &PortSet) -> Ranges {
    set.ranges().iter().map(|range| (range.first().into(), range.last().into())).collect()
}

fn every_port() -> Ranges {
    Ranges::span(0, u16::MAX.into())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use parefeu_net::{PortRange, Protocol};
    use parefeu_policy::set::ProtocolSet;
    use parefeu_policy::{LinkedServices, Resolved, Span};
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn host(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, number).into()
    }

    fn number(last: u8) -> u128 {
        Ipv4Addr::new(10, 0, 0, last).to_bits().into()
    }

    fn object<T>(name: String, value: T) -> Resolved<T> {
        Resolved { name: name.into(), value, at: Span::default() }
    }

    fn of_hosts(name: String, hosts: impl IntoIterator<Item = u8>) -> Resolved<AddressSet> {
        let mut set = AddressSet::default();
        for it in hosts {
            assert!(set.insert_range(host(it), host(it)).is_ok());
        }
        object(name, set)
    }

    proptest! {
        /// Objects of single hosts; a set is some of them together, or any hosts. Whatever names
        /// are given, the hosts they list are those of the set.
        #[test]
        fn the_named_union_is_exactly_the_set(
            objects in vec(btree_set(0u8..24, 1..8), 1..12),
            picked in vec(any::<proptest::sample::Index>(), 1..4),
            hosts in btree_set(0u8..24, 1..12),
            from_objects: bool,
        ) {
            let resolved = (0..).zip(&objects).map(|(at, it)| of_hosts(format!("o{at}"), it.clone()));
            let addresses = resolved.collect();
            let mut names = ObjectNames::of(&Objects { addresses, services: Vec::new() });
            let picked: Vec<_> = picked.iter().map(|at| at.get(&objects)).collect();
            let together = picked.iter().copied().flatten().copied().collect();
            let wanted = if from_objects { together } else { hosts };
            let set: Ranges = wanted.iter().map(|it| (number(*it), number(*it))).collect();
            let found = names.named(Subject::Addresses(Family::V4), &set);
            let listed: std::collections::BTreeSet<u8> = found
                .iter()
                .flat_map(|name| objects[name[1..].parse::<usize>().unwrap()].clone())
                .collect();
            prop_assert!(found.is_empty() || listed == wanted, "{found:?}");
            if objects.contains(&wanted) {
                prop_assert_eq!(found.len(), 1, "one object is the set");
            }
            let apart = picked.iter().map(|it| it.len()).sum::<usize>() == wanted.len();
            let alone = objects.iter().filter(|it| it.is_subset(&wanted)).count() == picked.len();
            if from_objects && apart && alone {
                prop_assert_eq!(found.len(), picked.len(), "there is no other union to take");
            }
        }
    }

    #[test]
    fn a_group_stands_before_its_members_and_many_names_are_none() {
        let members = (0..20).map(|it| of_hosts(format!("h{it:02}"), [it * 2]));
        let group = of_hosts("group".to_owned(), (0..10).map(|it| it * 2));
        let addresses = members.chain([group]).collect();
        let mut names = ObjectNames::of(&Objects { addresses, services: Vec::new() });
        let mut check = |count: u8, expected: &[&str]| {
            let set = (0..count).map(|it| (number(it * 2), number(it * 2))).collect();
            let found = names.named(Subject::Addresses(Family::V4), &set);
            assert_eq!(found.iter().map(|it| &**it).collect::<Vec<_>>(), expected, "{count}");
        };
        check(1, &["h00"]);
        check(10, &["group"]);
        check(12, &["group", "h10", "h11"]);
        check(20, &[]);
        check(8, &["h00", "h01", "h02", "h03", "h04", "h05", "h06", "h07"]);
        check(9, &[]);
    }

    #[test]
    fn services_are_protocols_with_ports_or_types() {
        let term = |protocol, ports: (u16, u16)| LinkedService {
            protocols: ProtocolSet::single(protocol),
            src_ports: PortSet::all(),
            dst_ports: PortRange::new(ports.0, ports.1).map(PortSet::from).unwrap(),
            icmp: None,
        };
        let mut ping = term(Protocol::ICMP, (0, u16::MAX));
        ping.icmp = Some(parefeu_policy::IcmpMatch { kind: 8, code: Some(0) });
        let (tcp, udp) = (term(Protocol::TCP, (53, 53)), term(Protocol::UDP, (53, 53)));
        let numbers = |terms: &[LinkedService]| service_ranges(terms).unwrap().1;
        let both = numbers(&[udp.clone(), tcp.clone()]);
        assert_eq!(
            both.as_slice(),
            [((6 << 16) + 53, (6 << 16) + 53), ((17 << 16) + 53, (17 << 16) + 53)]
        );
        assert_eq!(numbers(std::slice::from_ref(&ping)), Ranges::one((1u32 << 16) + (8 << 8)));
        let mut narrow = tcp.clone();
        narrow.src_ports = PortSet::single(1);
        assert_eq!(service_ranges(&[narrow, udp.clone()]), None, "source ports in common");
        let of = |name: &str, terms: &[LinkedService]| {
            let terms = terms.to_vec();
            object(name.to_owned(), LinkedServices { terms, ..LinkedServices::default() })
        };
        let services = vec![of("dns", &[tcp, udp]), of("ping", &[ping])];
        let mut names = ObjectNames::of(&Objects { addresses: Vec::new(), services });
        let dns = names.named(Subject::Services(every_port()), &both);
        assert_eq!(dns, [Box::from("dns")]);
        let every = numbers(&[term(Protocol::TCP, (0, u16::MAX))]);
        assert_eq!(names.named(Subject::Services(every_port()), &every), Vec::<Box<str>>::new());
    }
}
