//! Where packets leave, by destination.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_policy::set::Ranges;
use parefeu_policy::{InterfaceId, LinkedFirewall, ZoneId};

use super::values::Values;
use super::{Family, Passage, Place};

/// A way out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Way {
    pub(super) egress: Option<InterfaceId>,
    pub(super) to: Option<ZoneId>,
}

impl Place {
    /// The place with the zone of its interface, unless another one is stated.
    pub(crate) fn with_zone(self, firewall: &LinkedFirewall) -> Self {
        let zone = self.zone.or(self.interface.and_then(|id| firewall.zone_of(id)));
        Self { zone, ..self }
    }
}

/// The destinations of each way out of a passage: of all of them together, every address.
pub(super) fn out(
    firewall: &LinkedFirewall,
    passage: Passage,
    family: Family,
) -> BTreeMap<Way, Values> {
    let stated = passage.egress.unwrap_or_default();
    let routed = match stated.interface {
        Some(_) => vec![(stated.interface, Ranges::span(0, family.last()))],
        None => ways(firewall, passage.ingress.interface, family),
    };
    let mut found: BTreeMap<_, Vec<(u128, u128)>> = BTreeMap::new();
    for (egress, destinations) in routed {
        let to = Place { interface: egress, zone: stated.zone }.with_zone(firewall).zone;
        found.entry(Way { egress, to }).or_default().extend(destinations.as_slice());
    }
    found.into_iter().map(|(way, ranges)| (way, Values::of(ranges))).collect()
}

/// The destinations each interface is the way to, for packets that enter by `ingress`; those no
/// route leads to come first, without an interface. Together they are every address.
pub fn ways(
    firewall: &LinkedFirewall,
    ingress: Option<InterfaceId>,
    family: Family,
) -> Vec<(Option<InterfaceId>, Ranges)> {
    let is_v4 = family == Family::V4;
    let last = family.last();
    let mut starts = vec![0];
    for (first, end) in firewall.routes.ranges(is_v4) {
        starts.push(bits(first));
        starts.extend(bits(end).checked_add(1).filter(|next| *next <= last));
    }
    starts.sort_unstable();
    starts.dedup();
    let mut found: BTreeMap<_, Vec<(u128, u128)>> = BTreeMap::new();
    for (at, &first) in starts.iter().enumerate() {
        let end = starts.get(at + 1).map_or(last, |next| next - 1);
        let egress = firewall.route(ingress, address(first, is_v4));
        found.entry(egress).or_default().push((first, end));
    }
    found.into_iter().map(|(egress, ranges)| (egress, ranges.into_iter().collect())).collect()
}

pub(super) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(super) const fn address(bits: u128, is_v4: bool) -> IpAddr {
    if is_v4 {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}
