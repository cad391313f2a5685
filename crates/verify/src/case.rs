//! The cases of a certificate, and whether together they are all packets.

use std::collections::BTreeMap;

use parefeu_policy::{InterfaceId, LinkedFirewall, LinkedMatch, ZoneId, ZoneRelation};

use crate::place::{Name, Passage, Place};
use crate::ranges::{Range, Ranges, both, joined, others};
use crate::rejection::{Rejection, Why};
use crate::rule::ways;
use crate::space::{Class, DST, Dim, Family, Region, Space};
use crate::text::Words;

/// The first line of a case.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Case {
    pub(crate) family: Family,
    pub(crate) class: Class,
    /// Where packets enter the old and the new firewall.
    pub(crate) enters: [Name; 2],
    /// Where they leave them; [`Name::Any`] where routes are to tell.
    pub(crate) leaves: [Name; 2],
}

impl Case {
    pub(crate) fn read(words: &mut Words<'_>) -> Result<Self, Rejection> {
        words.expect("case")?;
        let name = words.word();
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        let family = family.ok_or_else(|| words.wrong("`v4` or `v6`"))?;
        let name = words.word();
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        let class = class.ok_or_else(|| words.wrong("`ports`, `icmp` or `other`"))?;
        let [old, new] = ["old", "new"].map(|side| {
            words.expect(side)?;
            let enters = Name::read(words)?;
            words.expect("leaving")?;
            Ok::<_, Rejection>((enters, Name::read(words)?))
        });
        let ((old_enters, old_leaves), (new_enters, new_leaves)) = (old?, new?);
        words.end()?;
        Ok(Self {
            family,
            class,
            enters: [old_enters, new_enters],
            leaves: [old_leaves, new_leaves],
        })
    }

    /// The way through either firewall.
    pub(crate) fn passages(&self, firewalls: [&LinkedFirewall; 2]) -> Result<[Passage; 2], Why> {
        let passage = |side: usize| {
            let leaves = match &self.leaves[side] {
                Name::Any => None,
                name => Some(name.resolve(firewalls[side])?),
            };
            Ok(Passage { enters: self.enters[side].resolve(firewalls[side])?, leaves })
        };
        Ok([passage(0)?, passage(1)?])
    }
}

/// Values a case is limited to: a field, and its values.
pub(crate) fn read_within(
    words: &mut Words<'_>,
    space: &Space,
) -> Result<(Dim, Ranges), Rejection> {
    words.expect("within")?;
    let dim = space.read_field(words)?;
    let mut found: Vec<Range> = Vec::new();
    while !words.is_done() {
        let (first, last) = (space.read_value(dim, words)?, space.read_value(dim, words)?);
        if first > last {
            return Err(words.wrong("a range that runs upwards"));
        }
        found.push((first, last));
    }
    Ok((dim, joined(found)))
}

/// What the cases of one pair of places cover.
#[derive(Default)]
pub(crate) struct Covered(BTreeMap<(Family, Class, [Name; 2]), Vec<Limited>>);

/// Where the packets of a case leave either firewall, and their destinations.
type Limited = ([Name; 2], Ranges);

impl Covered {
    /// Notes a case and the packets it is about. One that is limited otherwise than by destination
    /// covers nothing.
    pub(crate) fn note(&mut self, case: &Case, region: &Region, space: &Space) {
        let whole = space.whole();
        if region.with(DST, whole.0[DST].clone()) == whole {
            let key = (case.family, case.class, case.enters.clone());
            let destinations = region.0[DST].clone();
            self.0.entry(key).or_default().push((case.leaves.clone(), destinations));
        }
    }

    /// Whether every packet that can enter either firewall is in a case.
    pub(crate) fn check(
        &self,
        firewalls: [&LinkedFirewall; 2],
        pairs: &[[Name; 2]],
    ) -> Result<(), Why> {
        let places = firewalls.map(Places::new);
        for (side, places) in places.iter().enumerate() {
            let mut named = Vec::new();
            for pair in pairs {
                named.push(pair[side].resolve(firewalls[side])?);
            }
            for (place, name) in &places.all {
                if !named.iter().any(|named| places.stands_for(*named, *place)) {
                    let side = ["old", "new"][side];
                    let what = format!("packets that enter the {side} firewall at {name}");
                    return Err(Why::NotCovered(what));
                }
            }
        }
        for pair in pairs {
            for (family, class) in Family::ALL
                .into_iter()
                .flat_map(|family| Class::ALL.into_iter().map(move |class| (family, class)))
            {
                let cases = self.0.get(&(family, class, pair.clone()));
                let cases = cases.map(Vec::as_slice).unwrap_or_default();
                let found = covered(cases, (firewalls, &places), pairs, (pair, family))?;
                if let Some(&(first, last)) = others(&found, family.last()).first() {
                    let [first, last] = [first, last].map(|at| crate::rule::address(at, family));
                    let (class, family) = (class.name(), family.name());
                    let [old, new] = [&pair[0], &pair[1]].map(Name::text);
                    return Err(Why::NotCovered(format!(
                        "{family} {class} packets to {first}-{last} that enter at {old} (old) and \
                         {new} (new)"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The destinations to which every packet is in a case, wherever it leaves.
fn covered(
    cases: &[Limited],
    (firewalls, places): ([&LinkedFirewall; 2], &[Places<'_>; 2]),
    pairs: &[[Name; 2]],
    (pair, family): (&[Name; 2], Family),
) -> Result<Ranges, Why> {
    let to = |leaves: &[Name; 2]| {
        let those = cases.iter().filter(|(known, _)| known == leaves);
        joined(those.flat_map(|(_, to)| to.to_vec()))
    };
    let only = |side: usize, name: &Name| {
        let mut leaves = [Name::Any, Name::Any];
        leaves[side] = name.clone();
        leaves
    };
    // Where routes tell the way out on both sides, nothing is left to state.
    let mut found: Vec<Range> = to(&[Name::Any, Name::Any]).to_vec();
    // Where they tell it on one side, it is stated on the other as what stands for it. What is
    // translated leaves by the route to where it goes then.
    for (routed, stated) in [(0, 1), (1, 0)] {
        if firewalls[routed].destination_nat.rules.iter().any(|rule| !rule.disabled) {
            continue;
        }
        let enters = pair[routed].resolve(firewalls[routed])?;
        let ways = ways(firewalls[routed], Passage { enters, leaves: None }, family);
        for ((egress, zone), destinations) in ways.iter().filter(|((way, _), _)| way.is_some()) {
            let way = Place { interface: *egress, zone: *zone };
            for out in pairs.iter().filter(|out| out[routed] != Name::Any) {
                if places[routed].stands_for(out[routed].resolve(firewalls[routed])?, way) {
                    found.extend(both(&to(&only(stated, &out[stated])), destinations));
                }
            }
        }
    }
    // Where they tell it nowhere, every way out is stated: on one side, or on both as they stand
    // for each other.
    let every = |leaves: &dyn Fn(&[Name; 2]) -> [Name; 2]| {
        let sets = pairs.iter().map(|out| to(&leaves(out)));
        sets.reduce(|all, these| both(&all, &these).into())
    };
    let stated =
        [every(&|out| out.clone()), every(&|out| only(0, &out[0])), every(&|out| only(1, &out[1]))];
    found.extend(stated.iter().flatten().flat_map(|all| all.to_vec()));
    Ok(joined(found))
}

/// The places of a firewall.
struct Places<'a> {
    firewall: &'a LinkedFirewall,
    /// Those where packets enter it, with their names.
    all: Vec<(Place, String)>,
    /// Whether a rule compares an interface, and whether one compares a zone.
    compares: [bool; 2],
}

impl<'a> Places<'a> {
    /// Packets enter by interfaces; where a configuration tells none, by zones; where it tells
    /// neither, without either.
    fn new(firewall: &'a LinkedFirewall) -> Self {
        let interfaces = (0..).zip(&firewall.interfaces).map(|(id, interface)| {
            let place = Place { interface: Some(InterfaceId(id)), zone: None };
            (place.with_zone(firewall), format!("interface `{}`", interface.name))
        });
        let zones = (0..).zip(&firewall.zones).map(|(id, zone)| {
            (Place { interface: None, zone: Some(ZoneId(id)) }, format!("zone `{zone}`"))
        });
        let mut all: Vec<_> = interfaces.collect();
        if all.is_empty() {
            all.extend(zones);
        }
        if all.is_empty() {
            all.push((Place::default(), "any place".to_owned()));
        }
        let rules = firewall.rules.iter().map(|rule| &rule.matches);
        let tables = [&firewall.source_nat, &firewall.destination_nat];
        let rules = rules.chain(tables.into_iter().flat_map(|it| &it.rules).map(|it| &it.matches));
        let by_interface = |it: &LinkedMatch| !it.ingress.is_any() || !it.egress.is_any();
        let by_zone = |it: &LinkedMatch| {
            !it.from.is_any() || !it.to.is_any() || it.relation != ZoneRelation::Any
        };
        let compares = [rules.clone().any(by_interface), { rules }.any(by_zone)];
        Self { firewall, all, compares }
    }

    /// Whether what is said of packets at one place, which is perhaps stated by half, holds for
    /// those at another one.
    fn stands_for(&self, named: Place, place: Place) -> bool {
        let [by_interface, by_zone] = self.compares;
        let has_own_routes = place.interface.is_some_and(|id| {
            self.firewall.interfaces.get(id.index()).is_some_and(|it| it.router != 0)
        });
        let interface = match named.interface {
            Some(named) => Some(named) == place.interface,
            None => place.interface.is_none() || !by_interface && !has_own_routes,
        };
        let zone = match named.with_zone(self.firewall).zone {
            Some(named) => Some(named) == place.zone,
            None => place.zone.is_none() || !by_zone,
        };
        interface && zone
    }
}
