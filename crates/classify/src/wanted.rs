//! What one rule wants of each field, as the structures compare it.

use parefeu_net::Protocol;
use parefeu_policy::set::PortSet;
use parefeu_policy::{
    LinkedAddresses, LinkedMatch, LinkedService, LinkedServices, StateSet, ZoneRelation,
};

/// What one rule wants of a field.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Wanted<T> {
    /// Every value may match.
    Anything,
    /// Disjoint inclusive ranges, ascending.
    Ranges(Vec<(T, T)>),
}

/// The IPv4 addresses that may match.
pub(crate) fn v4(addresses: &LinkedAddresses) -> Wanted<u32> {
    match v4_ranges(addresses) {
        [(0, u32::MAX)] => Wanted::Anything,
        ranges => Wanted::Ranges(ranges.to_vec()),
    }
}

/// The IPv6 addresses that may match.
pub(crate) fn v6(addresses: &LinkedAddresses) -> Wanted<u128> {
    match v6_ranges(addresses) {
        [(0, u128::MAX)] => Wanted::Anything,
        ranges => Wanted::Ranges(ranges.to_vec()),
    }
}

/// The IPv4 addresses that may match, as disjoint ranges.
pub(crate) fn v4_ranges(addresses: &LinkedAddresses) -> &[(u32, u32)] {
    if is_inexact(addresses) { &[(0, u32::MAX)] } else { addresses.set.v4_ranges() }
}

/// The IPv6 addresses that may match, as disjoint ranges.
pub(crate) fn v6_ranges(addresses: &LinkedAddresses) -> &[(u128, u128)] {
    if is_inexact(addresses) { &[(0, u128::MAX)] } else { addresses.set.v6_ranges() }
}

/// The ports of one side that may match.
pub(crate) fn ports(
    services: &LinkedServices,
    side: fn(&LinkedService) -> &PortSet,
) -> Wanted<u16> {
    let with_ports = |term: &&LinkedService| term.protocols.iter().any(Protocol::has_ports);
    let terms: Vec<_> = services.terms.iter().filter(with_ports).collect();
    if !services.atoms.is_empty() || terms.iter().any(|term| side(term).is_all()) {
        return Wanted::Anything;
    }
    ranges(&terms.iter().flat_map(|term| side(term).ranges()).copied().collect())
}

/// The ranges of a set of ports.
pub(crate) fn ranges(ports: &PortSet) -> Wanted<u16> {
    if ports.is_all() {
        return Wanted::Anything;
    }
    Wanted::Ranges(ports.ranges().iter().map(|range| (range.first(), range.last())).collect())
}

/// The prefixes that make up ranges of addresses of `width` bits, and their lengths; `None` for
/// more than `most`.
pub(crate) fn prefixes<T: Copy + Into<u128>>(
    wanted: &Wanted<T>,
    width: u32,
    most: usize,
) -> Option<Vec<(u128, u8)>> {
    let Wanted::Ranges(ranges) = wanted else { return Some(vec![(0, 0)]) };
    let blocks = ranges.iter().flat_map(|&(first, last)| blocks(first.into(), last.into(), width));
    let found: Vec<(u128, u8)> = blocks.take(most + 1).collect();
    (found.len() <= most).then_some(found)
}

/// The prefixes that make up one range of addresses of `width` bits, and their lengths.
pub(crate) fn blocks(
    first: u128,
    last: u128,
    width: u32,
) -> impl Iterator<Item = (u128, u8)> + Clone {
    let mut next = Some(first);
    std::iter::from_fn(move || {
        // The longest block that starts at `first` and ends by `last`.
        let first = next?;
        let aligned = first.trailing_zeros().min(width);
        let fits = (last - first).checked_add(1).map_or(width, u128::ilog2);
        let host_bits = aligned.min(fits);
        let after = 1u128.checked_shl(host_bits).and_then(|size| first.checked_add(size));
        next = after.filter(|after| *after <= last);
        Some((first, (width - host_bits) as u8))
    })
}

/// Whether addresses, services, interfaces and zones are all that the headers of a packet have to
/// match: a candidate then needs no further check, where the packet states those fields.
pub(crate) fn is_all_compared(matches: &LinkedMatch) -> bool {
    let services = &matches.services;
    !is_inexact(&matches.src)
        && !is_inexact(&matches.dst)
        && services.atoms.is_empty()
        && services.terms.iter().all(|term| term.icmp.is_none())
        && matches.states == StateSet::ALL
        && matches.tcp_flags.is_empty()
        && matches.devices.is_empty()
        && matches.relation == ZoneRelation::Any
        && matches.schedule.is_none()
        && matches.atoms.is_empty()
}

/// Whether ranges alone do not say which addresses may match.
fn is_inexact(addresses: &LinkedAddresses) -> bool {
    addresses.negated || !addresses.atoms.is_empty() || !addresses.set.masked().is_empty()
}
