//! The destinations that leave a firewall by one of its gates.

use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, LinkedNatRule, LinkedTranslation};

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
    let rules = firewall.destination_nat.rules.iter();
    let redirecting =
        rules.filter(|rule| !rule.disabled && rule.translation != LinkedTranslation::Keep);
    let redirected: Ranges =
        redirecting.flat_map(|rule| destinations(rule, family).as_slice().to_vec()).collect();
    let all = Ranges::span(0, family.last());
    all.difference(&elsewhere.difference(&redirected))
}

/// The destinations a translation may match.
fn destinations(rule: &LinkedNatRule, family: Family) -> Ranges {
    let dst = &rule.matches.dst;
    if dst.negated || !dst.atoms.is_empty() || !dst.set.masked().is_empty() {
        return Ranges::span(0, family.last());
    }
    match family {
        Family::V4 => {
            let ranges = dst.set.v4_ranges().iter();
            ranges.map(|&(first, last)| (first.into(), last.into())).collect()
        }
        Family::V6 => dst.set.v6_ranges().iter().copied().collect(),
    }
}
