//! What a rule matches, as cells: from linked matches to sets of packets.
//!
//! A match that holds atoms has two extents: where it *surely* matches and where it matches *surely
//! or perhaps*. Where a set cannot be written as ranges each extent has a smaller and a larger
//! approximation, and who asks says which one keeps its answer true.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use parefeu_net::{MacAddress, Protocol, Timestamp};

use super::cell::{Cell, Field};
use crate::linked::{LinkedAddresses, LinkedFirewall, LinkedMatch, LinkedSchedule, LinkedService};
use crate::model::{IcmpMatch, ZoneRelation};
use crate::set::{IdSet, MaskedAddress, PortSet, ProtocolSet, Ranges};

/// Which extent of a match is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extent {
    /// Only packets that surely match.
    Sure,
    /// Every packet that surely matches, perhaps others.
    SureOrMore,
    /// Every packet that surely or perhaps matches.
    Possible,
    /// Only packets that surely or perhaps match.
    PossibleOrLess,
    /// [`Extent::Possible`], and packets of sessions whose application may still become one the
    /// rule names.
    Tentative,
}

impl Extent {
    /// Whether what has no value at analysis time counts as a match.
    const fn with_atoms(self) -> bool {
        matches!(self, Self::Possible | Self::PossibleOrLess | Self::Tentative)
    }

    /// Whether approximations may be too large rather than too small.
    const fn outward(self) -> bool {
        matches!(self, Self::SureOrMore | Self::Possible | Self::Tentative)
    }
}

/// A rule is described by this many cells at most, else approximated.
const MAX_CELLS: usize = 256;

/// A discontiguous mask is written as this many ranges at most, else approximated.
const MAX_RANGES_OF_PATTERN: u32 = 1 << 10;

/// The numbers that stand for the values of each field of one firewall.
pub(super) struct Space<'a> {
    firewall: &'a LinkedFirewall,
    /// Whether the list looked at may meet packets whose addresses differ in family.
    pub(super) mixes_families: bool,
    /// Whether matches compare applications, URL categories and users: translations do not.
    pub(super) identifies: bool,
    devices: Vec<MacAddress>,
    moments: Moments,
    interned: HashMap<Ranges, Rc<Ranges>>,
}

impl<'a> Space<'a> {
    pub(super) fn new(firewall: &'a LinkedFirewall) -> Self {
        let nat = [&firewall.destination_nat, &firewall.source_nat];
        let nat = nat.into_iter().flat_map(|table| table.rules.iter().map(|rule| &rule.matches));
        let matches = firewall.rules.iter().map(|rule| &rule.matches).chain(nat);
        let mut devices: Vec<_> = matches.flat_map(|it| it.devices.iter().copied()).collect();
        devices.sort_unstable();
        devices.dedup();
        Self {
            firewall,
            mixes_families: false,
            identifies: true,
            devices,
            moments: Moments::new(&firewall.schedules),
            interned: HashMap::new(),
        }
    }

    /// Whether the extents of a match are known exactly. If not, each has two approximations.
    pub(super) fn is_exact(&self, matches: &LinkedMatch) -> bool {
        let narrow = |addresses: &LinkedAddresses| {
            addresses.set.masked().iter().all(|it| ranges_of(*it).is_some())
        };
        narrow(&matches.src)
            && narrow(&matches.dst)
            && (matches.schedule.is_none() || self.moments.known)
            && [&matches.applications, &matches.url_categories, &matches.users]
                .into_iter()
                .all(|set| !matches!(set, IdSet::AllBut(_)))
            && self.count(matches) <= MAX_CELLS
    }

    /// An upper bound of the cells of a match.
    fn count(&self, matches: &LinkedMatch) -> usize {
        let services = if matches.services.application_default && self.identifies {
            let defaults = self.firewall.applications.iter().map(|it| it.default_services.len());
            defaults.sum::<usize>() + 1
        } else {
            matches.services.terms.len()
        };
        let zones = match matches.relation {
            ZoneRelation::Any => 1,
            _ => self.firewall.zones.len(),
        };
        4 * 2 * services * zones
    }

    /// The cells of an extent of `matches`; together they hold it exactly if
    /// [`Space::is_exact`], else the approximation the extent asks for.
    pub(super) fn cells(&mut self, matches: &LinkedMatch, extent: Extent) -> Vec<Cell> {
        if !matches.atoms.is_empty() && !extent.with_atoms() {
            return Vec::new();
        }
        let fixed = self.fixed_fields(matches, extent);
        let services = self.services(matches, extent);
        let zones = self.zone_pairs(matches);
        let mut cells = Vec::new();
        for (family, src, dst) in self.address_pairs(matches, extent) {
            for service in &services {
                for (from, to) in &zones {
                    let mut sets = fixed.clone();
                    sets[Field::Family as usize] = Ranges::one(family);
                    sets[Field::Src as usize] = src.clone();
                    sets[Field::Dst as usize] = dst.clone();
                    sets[Field::Protocol as usize] = service.protocols.clone();
                    sets[Field::SrcPort as usize] = service.src.clone();
                    sets[Field::DstPort as usize] = service.dst.clone();
                    if let Some(applications) = &service.applications {
                        sets[Field::Application as usize] = applications.clone();
                    }
                    sets[Field::From as usize] = from.clone();
                    sets[Field::To as usize] = to.clone();
                    if sets.iter().any(Ranges::is_empty) {
                        continue;
                    }
                    cells.push(Cell(sets.map(|set| self.intern(set))));
                }
            }
        }
        if cells.len() > MAX_CELLS {
            if extent.outward() {
                let hull = self.hull(&cells);
                return vec![hull];
            }
            cells.truncate(MAX_CELLS);
        }
        cells
    }

    fn intern(&mut self, set: Ranges) -> Rc<Ranges> {
        if let Some(known) = self.interned.get(&set) {
            return Rc::clone(known);
        }
        let shared = Rc::new(set.clone());
        self.interned.insert(set, Rc::clone(&shared));
        shared
    }

    /// The smallest single cell that holds all of `cells`.
    fn hull(&mut self, cells: &[Cell]) -> Cell {
        Cell(std::array::from_fn(|field| {
            let hulls = cells.iter().filter_map(|cell| cell.0[field].hull());
            let bounds = hulls.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            let (first, last) = bounds.unwrap_or((1, 0));
            self.intern(Ranges::span(first, last))
        }))
    }

    /// The fields that every cell of a match shares; the others are left empty.
    fn fixed_fields(&self, matches: &LinkedMatch, extent: Extent) -> [Ranges; Field::COUNT] {
        let firewall = self.firewall;
        let mut sets: [Ranges; Field::COUNT] = std::array::from_fn(|_| Ranges::default());
        let mut set = |field: Field, ranges: Ranges| sets[field as usize] = ranges;
        set(Field::Ingress, ids(&matches.ingress, firewall.interfaces.len()));
        set(Field::Egress, ids(&matches.egress, firewall.interfaces.len()));
        let any = |count: usize| Ranges::span(0, count as u128);
        let (applications, categories, users) =
            (firewall.applications.len(), firewall.url_categories.len(), firewall.users.len());
        let waits = extent == Extent::Tentative && matches.implicit_applications.iter().count() > 0;
        if !self.identifies || waits {
            set(Field::Application, any(applications));
        } else {
            set(Field::Application, application_ids(&matches.applications, applications, extent));
        }
        if self.identifies {
            set(Field::Category, memberships(&matches.url_categories, categories, extent));
            set(Field::User, memberships(&matches.users, users, extent));
        } else {
            set(Field::Category, any(categories));
            set(Field::User, any(users));
        }
        let states = matches.states.bits();
        let states = (0..8u128).filter(|bit| states >> bit & 1 == 1);
        set(Field::State, states.map(|state| (state, state)).collect());
        set(Field::Flags, flags(matches));
        set(Field::Device, self.devices_of(matches));
        set(
            Field::Time,
            match matches.schedule {
                Some(id) => self.moments.of(id.index(), extent.outward()),
                None => self.moments.all(),
            },
        );
        sets
    }

    fn devices_of(&self, matches: &LinkedMatch) -> Ranges {
        if matches.devices.is_empty() {
            // One more than there are: another device, or none stated.
            return Ranges::span(0, self.devices.len() as u128);
        }
        let ids = matches.devices.iter().filter_map(|it| self.devices.binary_search(it).ok());
        ids.map(|id| (id as u128, id as u128)).collect()
    }

    /// Source and destination for each pair of families, with the number of the pair.
    fn address_pairs(&self, matches: &LinkedMatch, extent: Extent) -> Vec<(u32, Ranges, Ranges)> {
        let (src, dst) = (addresses(&matches.src, extent), addresses(&matches.dst, extent));
        let mut pairs = vec![(0, src.0.clone(), dst.0.clone()), (1, src.1.clone(), dst.1.clone())];
        if self.mixes_families {
            pairs.extend([(2, src.0, dst.1), (3, src.1, dst.0)]);
        }
        pairs.retain(|(_, src, dst)| !src.is_empty() && !dst.is_empty());
        pairs
    }

    fn services(&self, matches: &LinkedMatch, extent: Extent) -> Vec<Service> {
        let mut found = Vec::new();
        if !matches.services.atoms.is_empty() && extent.with_atoms() {
            found.push(Service::any());
        }
        for term in &matches.services.terms {
            Service::add(term, &mut found);
        }
        if self.identifies && matches.services.application_default {
            found = self.default_services(matches, extent, &found);
        }
        if !matches.tcp_flags.is_empty() {
            let tcp = Ranges::one(Protocol::TCP.0);
            for service in &mut found {
                service.protocols = service.protocols.intersection(&tcp);
            }
        }
        merge(&mut found, |it| (it.protocols.clone(), it.src.clone()), |it| &mut it.dst);
        merge(&mut found, |it| (it.dst.clone(), it.src.clone()), |it| &mut it.protocols);
        found
    }

    /// For `application-default`: what is also a default service of the application, for each of
    /// them. A rule that names no application may also match one that nobody names, on ports
    /// nobody knows.
    fn default_services(
        &self,
        matches: &LinkedMatch,
        extent: Extent,
        named: &[Service],
    ) -> Vec<Service> {
        let mut places: HashMap<&[LinkedService], usize> = HashMap::new();
        let mut alike: Vec<(&[LinkedService], Vec<u128>)> = Vec::new();
        for (id, application) in self.firewall.applications.iter().enumerate() {
            if matches.applications.contains(id as u32) {
                let terms = &*application.default_services;
                let place = *places.entry(terms).or_insert(alike.len());
                if place == alike.len() {
                    alike.push((terms, Vec::new()));
                }
                alike[place].1.push(id as u128);
            }
        }
        let mut found = Vec::new();
        for (terms, ids) in alike {
            let mut defaults = Vec::new();
            for term in terms {
                Service::add(term, &mut defaults);
            }
            let applications: Ranges = ids.into_iter().map(|id| (id, id)).collect();
            let pairs =
                defaults.iter().flat_map(|default| named.iter().map(move |it| (default, it)));
            found.extend(pairs.map(|(default, it)| it.within(default, applications.clone())));
        }
        if matches.applications.holds_unnamed() && extent.with_atoms() {
            let nameless = Ranges::one(self.firewall.applications.len() as u32);
            found.extend(named.iter().map(|it| it.within(&Service::any(), nameless.clone())));
        }
        found
    }

    fn zone_pairs(&self, matches: &LinkedMatch) -> Vec<(Ranges, Ranges)> {
        let count = self.firewall.zones.len();
        let (from, to) = (ids(&matches.from, count), ids(&matches.to, count));
        let zones = (0..count as u32).map(Ranges::one);
        match matches.relation {
            ZoneRelation::Any => vec![(from, to)],
            ZoneRelation::Intrazone => {
                let both = from.intersection(&to);
                zones.filter(|zone| both.covers(zone)).map(|zone| (zone.clone(), zone)).collect()
            }
            ZoneRelation::Interzone => {
                let stated = to.difference(&Ranges::one(count as u32));
                let from_zones = zones.filter(|zone| from.covers(zone));
                from_zones.map(|zone| (zone.clone(), stated.difference(&zone))).collect()
            }
        }
    }
}

/// Protocols with ports or ICMP type and code, and the applications they hold for if not all.
#[derive(Clone)]
struct Service {
    applications: Option<Ranges>,
    protocols: Ranges,
    src: Ranges,
    dst: Ranges,
}

impl Service {
    fn any() -> Self {
        let protocols = Ranges::span(0, u128::from(u8::MAX));
        Self { applications: None, protocols, src: all_ports(), dst: all_ports() }
    }

    /// What is in `other` too, for some applications.
    fn within(&self, other: &Self, applications: Ranges) -> Self {
        Self {
            applications: Some(applications),
            protocols: self.protocols.intersection(&other.protocols),
            src: self.src.intersection(&other.src),
            dst: self.dst.intersection(&other.dst),
        }
    }

    /// Adds what a term matches: protocols with ports, ICMP, and the others are compared apart.
    fn add(term: &LinkedService, found: &mut Vec<Self>) {
        let mut push = |protocols: ProtocolSet, src: Ranges, dst: Ranges| {
            let protocols: Ranges =
                protocols.iter().map(|it| (u128::from(it.0), u128::from(it.0))).collect();
            if !protocols.is_empty() && !src.is_empty() && !dst.is_empty() {
                found.push(Self { applications: None, protocols, src, dst });
            }
        };
        let with_ports: ProtocolSet =
            (0..=u8::MAX).map(Protocol).filter(|it| it.has_ports()).collect();
        let icmp: ProtocolSet = (0..=u8::MAX).map(Protocol).filter(|it| it.is_icmp()).collect();
        let mut plain = term.protocols;
        if !term.src_ports.is_all() || !term.dst_ports.is_all() {
            plain = plain.intersection(with_ports.complement());
            let ports = term.protocols.intersection(with_ports);
            push(ports, port_ranges(&term.src_ports), port_ranges(&term.dst_ports));
        }
        if let Some(IcmpMatch { kind, code }) = term.icmp {
            plain = plain.intersection(icmp.complement());
            let spread = |byte: u8| {
                let first = u128::from(byte) << 8;
                Ranges::span(first, first | 0xff)
            };
            let code = code.map_or_else(all_ports, spread);
            push(term.protocols.intersection(icmp), spread(kind), code);
        }
        push(plain, all_ports(), all_ports());
    }
}

/// Joins services that differ in one part only.
fn merge<K: Ord>(
    services: &mut Vec<Service>,
    key: impl Fn(&Service) -> K,
    part: impl Fn(&mut Service) -> &mut Ranges,
) {
    let mut joined: BTreeMap<(Option<Ranges>, K), Service> = BTreeMap::new();
    for mut service in services.drain(..) {
        match joined.entry((service.applications.clone(), key(&service))) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(service);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let known = part(place.get_mut());
                *known = known.union(part(&mut service));
            }
        }
    }
    services.extend(joined.into_values());
}

/// Ports, and 256 numbers for each ICMP type or code.
fn all_ports() -> Ranges {
    Ranges::span(0, u128::from(u16::MAX))
}

fn port_ranges(ports: &PortSet) -> Ranges {
    let bounds = |range: &parefeu_net::PortRange| (range.first().into(), range.last().into());
    ports.ranges().iter().map(bounds).collect()
}

/// Identifiers, and for *any* one number more: what has no identifier or is not stated. A negated
/// list surely holds the others that are stated.
fn ids(set: &IdSet, count: usize) -> Ranges {
    if set.is_any() {
        return Ranges::span(0, count as u128);
    }
    held(set, count).collect()
}

/// The same of an application: the number more stands for one that no rule names, which a negated
/// list holds, and for one not known yet, which it only may.
fn application_ids(set: &IdSet, count: usize, extent: Extent) -> Ranges {
    let is_held = set.is_any() || set.holds_unnamed() && extent.outward();
    let none = (count as u128, count as u128);
    held(set, count).chain(is_held.then_some(none)).collect()
}

/// The same of what a session may have several of, as a URL its categories. Of single numbers none
/// tells that none is on a negated list; and what is on one list may be on another as well, so that
/// no list keeps a rule below from being reached.
fn memberships(set: &IdSet, count: usize, extent: Extent) -> Ranges {
    match set {
        _ if extent == Extent::Tentative => ids(&IdSet::Any, count),
        IdSet::AllBut(_) if extent.outward() => ids(&IdSet::Any, count),
        IdSet::AllBut(_) => Ranges::default(),
        _ => ids(set, count),
    }
}

fn held(set: &IdSet, count: usize) -> impl Iterator<Item = (u128, u128)> {
    let ids = (0..count as u32).filter(|id| set.contains(*id));
    ids.map(|id| (u128::from(id), u128::from(id)))
}

/// The TCP flags a rule accepts, each combination a number.
fn flags(matches: &LinkedMatch) -> Ranges {
    let holds = |flags: &u8| {
        matches.tcp_flags.is_empty() || matches.tcp_flags.iter().any(|it| it.holds(*flags))
    };
    let accepted = (0..=u8::MAX).filter(holds);
    accepted.map(|flags| (flags.into(), flags.into())).collect()
}

/// IPv4 and IPv6 addresses of an extent.
fn addresses(addresses: &LinkedAddresses, extent: Extent) -> (Ranges, Ranges) {
    let all = (Ranges::span(0, u128::from(u32::MAX)), Ranges::span(0, u128::MAX));
    let LinkedAddresses { set, atoms, negated } = addresses;
    match (atoms.is_empty(), *negated, extent.with_atoms()) {
        (false, false, true) => return all,
        (false, true, false) => return Default::default(),
        _ => {}
    }
    // What is taken out has to be approximated the other way round.
    let outward = extent.outward() != *negated;
    let mut v4: Vec<(u128, u128)> =
        set.v4_ranges().iter().map(|&(first, last)| (first.into(), last.into())).collect();
    for pattern in set.masked() {
        match ranges_of(*pattern) {
            Some(ranges) => v4.extend(ranges),
            None if outward => {
                v4.push((pattern.value.into(), (pattern.value | !pattern.mask).into()));
            }
            None => v4.push((pattern.value.into(), pattern.value.into())),
        }
    }
    let (v4, v6): (Ranges, Ranges) =
        (v4.into_iter().collect(), set.v6_ranges().iter().copied().collect());
    if *negated { (all.0.difference(&v4), all.1.difference(&v6)) } else { (v4, v6) }
}

/// A pattern as ranges; `None` when they would be too many.
fn ranges_of(pattern: MaskedAddress) -> Option<Vec<(u128, u128)>> {
    let MaskedAddress { value, mask } = pattern;
    let low = mask.trailing_zeros();
    // The free bits above the lowest one compared, counted through by carrying over the others.
    let free = !mask & u32::MAX.checked_shl(low).unwrap_or(0);
    let count = 1u32.checked_shl(free.count_ones())?;
    if count > MAX_RANGES_OF_PATTERN {
        return None;
    }
    let width = 1u128.checked_shl(low)?;
    let mut bits = 0u32;
    let mut ranges = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let first = u128::from(value | bits);
        ranges.push((first, first + width - 1));
        bits = bits.wrapping_sub(free) & free;
    }
    Some(ranges)
}

/// Time, as far as schedules tell moments apart.
struct Moments {
    /// Whether the moments were few enough to be told apart.
    known: bool,
    /// How many kinds of moments there are.
    kinds: u32,
    /// For each schedule the kinds of moments it is on.
    on: Vec<Ranges>,
}

/// Schedules are compared at this many moments at most.
const MAX_MOMENTS: usize = 100_000;

const WEEK_SECONDS: u64 = 7 * 86_400;

impl Moments {
    fn new(schedules: &[LinkedSchedule]) -> Self {
        let mut weekly: Vec<u64> = schedules
            .iter()
            .flat_map(|it| it.weekly.iter())
            .flat_map(|&(from, to)| [from, to])
            .map(|second| u64::from(second) % WEEK_SECONDS)
            .collect();
        weekly.sort_unstable();
        weekly.dedup();
        let mut absolute: Vec<Timestamp> = schedules
            .iter()
            .flat_map(|it| it.absolute.iter())
            .flat_map(|&(from, to)| [from, to])
            .chain([Timestamp::EPOCH])
            .collect();
        absolute.sort_unstable();
        absolute.dedup();
        if (weekly.len() + 1) * absolute.len() > MAX_MOMENTS {
            return Self { known: false, kinds: 1, on: Vec::new() };
        }
        // Between two bounds of absolute time, weekly bounds are where something changes.
        let mut kinds: BTreeMap<Vec<bool>, u32> = BTreeMap::new();
        for (at, &start) in absolute.iter().enumerate() {
            let end = absolute.get(at + 1);
            let second = start.as_nanos().div_ceil(1_000_000_000);
            let of_week = u64::from(Timestamp::from_secs(second).second_of_week());
            let changes = weekly.iter().map(|bound| {
                Timestamp::from_secs(second + (bound + WEEK_SECONDS - of_week) % WEEK_SECONDS)
            });
            let inside = changes.filter(|moment| end.is_none_or(|end| moment < end));
            for moment in std::iter::once(start).chain(inside) {
                let on = schedules.iter().map(|schedule| schedule.is_on(moment)).collect();
                let next = kinds.len() as u32;
                kinds.entry(on).or_insert(next);
            }
        }
        let on = (0..schedules.len()).map(|schedule| {
            let kinds = kinds.iter().filter(|(on, _)| on[schedule]);
            kinds.map(|(_, kind)| (u128::from(*kind), u128::from(*kind))).collect()
        });
        Self { known: true, kinds: kinds.len() as u32, on: on.collect() }
    }

    fn all(&self) -> Ranges {
        Ranges::span(0, u128::from(self.kinds) - 1)
    }

    fn of(&self, schedule: usize, outward: bool) -> Ranges {
        match self.on.get(schedule) {
            Some(kinds) => kinds.clone(),
            None if outward => self.all(),
            None => Ranges::default(),
        }
    }
}
