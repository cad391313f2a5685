//! The destinations that leave a firewall by one of its gates.

use parefeu_policy::LinkedFirewall;
use parefeu_policy::set::Ranges;

use crate::crossing::translated;
use crate::flatten::{Family, Place, ways};
use crate::gate::Gates;

/// The destinations that may leave by a gate when they enter at a place: those routes lead there,
/// those no route leads anywhere, and those a translation may send elsewhere than routes say.
pub(crate) fn leaving(
    firewall: &LinkedFirewall,
    gates: &Gates,
    ingress: Place,
    gate: usize,
    family: Family,
) -> Ranges {
    let routed = ways(firewall, ingress.interface, family).into_iter();
    let elsewhere = routed.filter(|(interface, _)| {
        interface.is_some_and(|interface| gates.of_interface(interface) != Some(gate))
    });
    let elsewhere: Ranges = elsewhere.flat_map(|(_, to)| to.as_slice().to_vec()).collect();
    let redirected = translated(firewall, family);
    let all = Ranges::span(0, family.last());
    all.difference(&elsewhere.difference(&redirected))
}
