//! The ways through both firewalls: where packets enter, and where that is to be stated, leave.

use std::collections::{BTreeMap, HashMap, HashSet};

use parefeu_policy::set::{IdSet, Ranges};
use parefeu_policy::{
    InterfaceId, LinkedFirewall, LinkedMatch, LinkedTranslation, ZoneId, ZoneRelation,
};

use crate::flatten::{Family, Passage, Place, possible, ways};
use crate::gate::{Gate, Gates, matches};
use crate::pairing::{Pair, Pairing};
use crate::problem::Side;
use crate::solve::{SolveLimits, Stop};

/// The names of a place on either side; `None` where that side has none for it.
pub type Names = [Option<Box<str>>; 2];

/// One way through both firewalls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Crossing {
    /// Where packets enter.
    pub from: Names,
    /// Where they leave, if that is stated and not left to routes.
    pub to: Option<Names>,
    /// Through the old firewall.
    pub old: Passage,
    /// Through the new firewall.
    pub new: Passage,
    /// The destinations that go this way; `None` for all.
    pub destinations: Option<Ranges>,
    /// What is taken for granted of the way out.
    pub granted: Option<Granted>,
}

/// What is taken for granted of where packets leave.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Granted {
    /// This firewall has no route there: that it sends them where the other one does.
    Route(Side),
    /// That places do not matter which are no partners: one firewall sends some of them to one, the
    /// other to the other.
    Egress,
}

/// Where a firewall sends some destinations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Routes tell, or no rule asks. The gate, where there is one.
    Settled(Option<usize>),
    /// Rules ask and no route tells: every way has to be looked at.
    Open,
}

/// Destinations by the way a firewall sends them when they enter at a place.
fn parts(
    firewall: &LinkedFirewall,
    gates: &Gates,
    ingress: Place,
    family: Family,
) -> Vec<(Way, Ranges)> {
    // A translation to the address of the way out asks too, but has no answer without routes.
    let asks = matches(firewall)
        .any(|it| !it.egress.is_any() || !it.to.is_any() || it.relation != ZoneRelation::Any);
    if !asks {
        return vec![(Way::Settled(None), Ranges::span(0, family.last()))];
    }
    // A destination that may be translated leaves where routes send what it becomes.
    let routed = !firewall.routes.is_empty();
    let translated = if routed { translated(firewall, family) } else { Ranges::default() };
    let mut parts = vec![(Way::Settled(None), translated.clone())];
    for (interface, destinations) in ways(firewall, ingress.interface, family) {
        let way = interface.map_or(Way::Open, |id| Way::Settled(gates.of_interface(id)));
        parts.push((way, destinations.difference(&translated)));
    }
    parts.retain(|(_, destinations)| !destinations.is_empty());
    parts
}

/// The destinations some translation may replace.
pub(crate) fn translated(firewall: &LinkedFirewall, family: Family) -> Ranges {
    let rules = firewall.destination_nat.rules.iter();
    let rules = rules.filter(|rule| !rule.disabled && rule.translation != LinkedTranslation::Keep);
    let ranges = rules.map(|rule| possible(&rule.matches.dst, family));
    ranges.flat_map(|set| set.as_slice().to_vec()).collect()
}

/// Every way of a family through both firewalls, of those that leave by a place called `to` where
/// one is asked for. Those that no rule tells apart stand together.
///
/// Once there are as many as sets of packets may be kept, or the sign to stop is given, ways out
/// that no route tells stay unstated.
pub(crate) fn crossings(
    [old, new]: [&LinkedFirewall; 2],
    pairing: &Pairing,
    (family, to): (Family, Option<&str>),
    limits: &SolveLimits,
) -> Vec<Vec<Crossing>> {
    let mut found: Vec<Crossing> = Vec::new();
    let mut known = [BTreeMap::new(), BTreeMap::new()];
    for ingress in &pairing.pairs {
        for [from_old, from_new] in places(pairing, ingress) {
            let entering = [(old, &pairing.old, from_old), (new, &pairing.new, from_new)];
            for (known, (firewall, gates, place)) in known.iter_mut().zip(entering) {
                // Routes ask no more of a place than which router it belongs to.
                known
                    .entry(router(firewall, place))
                    .or_insert_with(|| parts(firewall, gates, place, family));
            }
            let parts = [&known[0][&router(old, from_old)], &known[1][&router(new, from_new)]];
            let most = limits.boxes.saturating_sub(found.len());
            for Leaving { to, stated, destinations, granted } in
                leaving(pairing, parts, (family, to), (most, limits.stop))
            {
                let [egress_old, egress_new] = stated;
                found.push(Crossing {
                    from: names(pairing, ingress),
                    to,
                    old: Passage { ingress: from_old, egress: egress_old },
                    new: Passage { ingress: from_new, egress: egress_new },
                    destinations,
                    granted,
                });
            }
        }
    }
    grouped([old, new], found)
}

/// Crossings, those together that no rule tells apart.
pub(crate) fn grouped(
    firewalls: [&LinkedFirewall; 2],
    crossings: impl IntoIterator<Item = Crossing>,
) -> Vec<Vec<Crossing>> {
    let mut asking = firewalls.map(Asking::of);
    let mut groups: BTreeMap<Key, usize> = BTreeMap::new();
    let mut found: Vec<Vec<Crossing>> = Vec::new();
    for crossing in crossings {
        let [old, new] = &mut asking;
        let seen = (old.signature(&crossing.old), new.signature(&crossing.new));
        let key = (seen.0, seen.1, crossing.destinations.clone());
        let group = *groups.entry(key).or_insert(found.len());
        match found.get_mut(group) {
            Some(group) => group.push(crossing),
            None => found.push(vec![crossing]),
        }
    }
    found
}

/// The ways through one firewall between two of its gates, for every destination.
pub(crate) fn stated(from: &Gate, to: &Gate) -> Vec<Crossing> {
    let pairs =
        from.places.iter().flat_map(|enter| to.places.iter().map(move |leave| (enter, leave)));
    let ways = pairs.map(|(enter, leave)| {
        let passage = Passage { ingress: *enter, egress: Some(*leave) };
        let names = |gate: &Gate| [gate.name.clone(), gate.name.clone()];
        Crossing {
            from: names(from),
            to: Some(names(to)),
            old: passage,
            new: passage,
            destinations: None,
            granted: None,
        }
    });
    ways.collect()
}

/// A way out of both firewalls.
struct Leaving {
    to: Option<Names>,
    /// Where it is to be stated, the place.
    stated: [Option<Place>; 2],
    /// The destinations that go this way; `None` for all.
    destinations: Option<Ranges>,
    granted: Option<Granted>,
}

/// The ways out, together for every destination. Where the way of one side only is known, the
/// other side's is its partner; where neither is, every pair is looked at.
///
/// Where routes tell of both, only what leaves by a place called `to` is kept, if one is asked for;
/// what may be translated first is. Past `most` ways out no more are told apart, and none once the
/// sign to stop is given.
fn leaving(
    pairing: &Pairing,
    parts: [&Vec<(Way, Ranges)>; 2],
    (family, to): (Family, Option<&str>),
    (most, stop): (usize, Stop),
) -> Vec<Leaving> {
    let [of_old, of_new] = parts;
    let called = |gates: &Gates, at: usize| {
        gates.gates.get(at).is_some_and(|gate| gate.name.as_deref() == to)
    };
    let both = of_old.iter().flat_map(|old| of_new.iter().map(move |new| (old, new)));
    let asked = |it: Ranges| Some(it).filter(|it| *it != Ranges::span(0, family.last()));
    let (mut routed, mut found) = (Vec::new(), Vec::new());
    let mut granted = None;
    for ((old, to_old), (new, to_new)) in both {
        let destinations = to_old.intersection(to_new);
        if destinations.is_empty() {
            continue;
        }
        if let (Way::Settled(old), Way::Settled(new)) = (*old, *new) {
            if let Some((old, new)) = old.zip(new) {
                if to.is_some() && !called(&pairing.old, old) && !called(&pairing.new, new) {
                    continue;
                }
                let partners = |pair: &Pair| pair.old == old && pair.new == new;
                let apart = !pairing.pairs.iter().any(partners);
                granted = granted.or(apart.then_some(Granted::Egress));
            }
            routed.extend_from_slice(destinations.as_slice());
            continue;
        }
        let fits = |way: &Way, gate: usize| match way {
            Way::Settled(Some(known)) => *known == gate,
            Way::Settled(None) | Way::Open => true,
        };
        let pairs = pairing.pairs.iter();
        let pairs: Vec<&Pair> =
            pairs.filter(|pair| fits(old, pair.old) && fits(new, pair.new)).collect();
        let granted = match (old, new) {
            (Way::Settled(Some(_)), Way::Open) => Some(Granted::Route(Side::New)),
            (Way::Open, Way::Settled(Some(_))) => Some(Granted::Route(Side::Old)),
            _ => None,
        };
        let destinations = asked(destinations);
        if pairs.is_empty() || found.len() >= most || stop.is_given() {
            found.push(Leaving { to: None, stated: [None; 2], destinations, granted });
            continue;
        }
        for pair in pairs {
            for [place_old, place_new] in places(pairing, pair) {
                let stated = [(old, place_old), (new, place_new)];
                let stated = stated.map(|(way, place)| (*way == Way::Open).then_some(place));
                let (to, destinations) = (Some(names(pairing, pair)), destinations.clone());
                found.push(Leaving { to, stated, destinations, granted });
            }
        }
    }
    let routed: Ranges = routed.into_iter().collect();
    if !routed.is_empty() {
        let (stated, destinations) = ([None; 2], asked(routed));
        found.insert(0, Leaving { to: None, stated, destinations, granted });
    }
    found
}

fn names(pairing: &Pairing, pair: &Pair) -> Names {
    [pairing.old.gates[pair.old].name.clone(), pairing.new.gates[pair.new].name.clone()]
}

/// Every pair of places of two gates.
fn places(pairing: &Pairing, pair: &Pair) -> Vec<[Place; 2]> {
    let others = &pairing.new.gates[pair.new].places;
    let all = pairing.old.gates[pair.old].places.iter();
    all.flat_map(|old| others.iter().map(|new| [*old, *new])).collect()
}

/// What of a crossing rules tell apart: crossings with one key are one question.
type Key = (Signature, Signature, Option<Ranges>);

/// What the rules of a firewall, and its routes, see of a passage.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Signature {
    /// The class of the place where packets enter, and of where they leave.
    classes: [u32; 2],
    /// Where rules compare both zones: that of entry, and whether it is the other one. Which zone
    /// it is matters to how it relates to those routes lead to.
    zones: Option<(Option<ZoneId>, Option<bool>)>,
    /// The interface that gives an address, where some rule asks for one.
    egress: Option<InterfaceId>,
    router: u32,
}

/// What the rules of a firewall ask of places.
struct Asking<'a> {
    firewall: &'a LinkedFirewall,
    /// Where packets enter and leave, as rules compare it, each comparison once.
    compared: Vec<&'a LinkedMatch>,
    /// Whether some rule compares both zones.
    relates: bool,
    /// Whether some rule translates to the address of the way out.
    translates: bool,
    /// Places of entry and of exit by class: those of one class are alike to every rule.
    classes: [BTreeMap<Option<Place>, u32>; 2],
    known: [HashMap<Vec<u8>, u32>; 2],
}

impl<'a> Asking<'a> {
    fn of(firewall: &'a LinkedFirewall) -> Self {
        let mut known = HashSet::new();
        let compared = matches(firewall).filter(|it| names_places(it));
        let compared = compared
            .filter(|it| known.insert((&it.ingress, &it.from, &it.egress, &it.to, it.relation)));
        let compared: Vec<&LinkedMatch> = compared.collect();
        let tables = [&firewall.destination_nat, &firewall.source_nat];
        let mut translations = tables.into_iter().flat_map(|table| &table.rules);
        let interface = LinkedTranslation::EgressInterface;
        Self {
            firewall,
            relates: compared.iter().any(|it| it.relation != ZoneRelation::Any),
            compared,
            translates: translations.any(|rule| rule.translation == interface),
            classes: Default::default(),
            known: Default::default(),
        }
    }

    fn signature(&mut self, passage: &Passage) -> Signature {
        let Passage { ingress, egress } = *passage;
        let zone = |place: Place| place.with_zone(self.firewall).zone;
        let (from, to) = (zone(ingress), egress.and_then(zone));
        let zones = self.relates.then(|| (from, from.zip(to).map(|(from, to)| from == to)));
        let address = egress.filter(|_| self.translates).and_then(|place| place.interface);
        let router = router(self.firewall, ingress);
        let classes = [self.class(0, Some(ingress)), self.class(1, egress)];
        Signature { classes, zones, egress: address, router }
    }

    /// The class of a place, or of a way out that is not stated.
    fn class(&mut self, end: usize, place: Option<Place>) -> u32 {
        if let Some(known) = self.classes[end].get(&place) {
            return *known;
        }
        let seen = self.compared.iter().flat_map(|it| {
            let (interfaces, zones) = [(&it.ingress, &it.from), (&it.egress, &it.to)][end];
            let (interface, zone) = place.map_or((None, None), |place| {
                (place.interface, place.with_zone(self.firewall).zone)
            });
            let holds = |set: &IdSet, id: Option<u32>| match id {
                _ if set.is_any() => 1,
                Some(id) => u8::from(set.contains(id)),
                None => 2,
            };
            [holds(interfaces, interface.map(|id| id.0)), holds(zones, zone.map(|id| id.0))]
        });
        // Where no place is stated, routes tell.
        let seen = std::iter::once(u8::from(place.is_none())).chain(seen);
        let next = self.known[end].len() as u32;
        let class = *self.known[end].entry(seen.collect()).or_insert(next);
        self.classes[end].insert(place, class);
        class
    }
}

/// The router a place belongs to.
pub(crate) fn router(firewall: &LinkedFirewall, place: Place) -> u32 {
    let interface = place.interface.and_then(|id| firewall.interfaces.get(id.index()));
    interface.map_or(0, |interface| interface.router)
}

/// Whether a rule asks where the packet enters or leaves.
fn names_places(it: &LinkedMatch) -> bool {
    let sets = [&it.ingress, &it.from, &it.egress, &it.to];
    it.relation != ZoneRelation::Any || sets.iter().any(|set| !set.is_any())
}
