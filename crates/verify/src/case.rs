//! The cases of a certificate, and whether together they are all packets.

use std::collections::BTreeMap;

use parefeu_policy::set::IdSet;
use parefeu_policy::{InterfaceId, LinkedFirewall, LinkedMatch, ZoneId, ZoneRelation};

use crate::header::Header;
use crate::place::{Name, Passage, Place, unnamed};
use crate::ranges::{Range, Ranges, both, joined, others};
use crate::rejection::{Rejection, Why};
use crate::rule::ways;
use crate::space::{Class, DST, Dim, Family, Region, Space};
use crate::text::{Lines, Words};

/// The first lines of a case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) family: Family,
    pub(crate) class: Class,
    /// The ways through both firewalls; never empty.
    pub(crate) ways: Vec<Way>,
}

/// A way through both firewalls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Way {
    /// Where packets enter the old and the new firewall.
    enters: [Name; 2],
    /// Where they leave them; [`Name::Any`] where routes are to tell.
    leaves: [Name; 2],
    /// The line that says so.
    pub(crate) line: u32,
}

impl Case {
    pub(crate) fn read(lines: &mut Lines<'_>) -> Result<Self, Rejection> {
        let mut words = lines.next()?;
        words.expect("case")?;
        let name = words.word();
        let family = Family::ALL.into_iter().find(|family| family.name() == name);
        let family = family.ok_or_else(|| words.wrong("`v4` or `v6`"))?;
        let name = words.word();
        let class = Class::ALL.into_iter().find(|class| class.name() == name);
        let class = class.ok_or_else(|| words.wrong("`ports`, `icmp` or `other`"))?;
        words.end()?;
        let mut ways = vec![Way::read(&mut lines.next()?)?];
        while lines.peek() == "way" {
            let mut words = lines.next()?;
            let way = Way::read(&mut words)?;
            let is_known =
                |known: &Way| (&known.enters, &known.leaves) == (&way.enters, &way.leaves);
            if ways.iter().any(is_known) {
                return Err(words.reject(Why::Twice("a way")));
            }
            ways.push(way);
        }
        Ok(Self { family, class, ways })
    }
}

impl Way {
    fn read(words: &mut Words<'_>) -> Result<Self, Rejection> {
        words.expect("way")?;
        let mut end = |side: &'static str| {
            words.expect(side)?;
            let enters = Name::read(words)?;
            words.expect("leaving")?;
            Ok::<_, Rejection>((enters, Name::read(words)?))
        };
        let ((old, old_leaves), (new, new_leaves)) = (end("old")?, end("new")?);
        words.end()?;
        let (enters, leaves) = ([old, new], [old_leaves, new_leaves]);
        Ok(Self { enters, leaves, line: words.line })
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
            for way in &case.ways {
                let key = (case.family, case.class, way.enters.clone());
                let destinations = region.0[DST].clone();
                self.0.entry(key).or_default().push((way.leaves.clone(), destinations));
            }
        }
    }

    /// Whether every packet that can enter either firewall is in a case, and how many places there
    /// are of whose packets nothing is said.
    pub(crate) fn check(
        &self,
        firewalls: [&LinkedFirewall; 2],
        header: &Header,
    ) -> Result<u64, Why> {
        let pairs = &header.pairs;
        let places = firewalls.map(Places::new);
        let mut left_out = 0;
        for (side, places) in places.iter().enumerate() {
            let resolved = |names: &mut dyn Iterator<Item = &Name>| {
                names.map(|name| name.resolve(firewalls[side])).collect::<Result<Vec<_>, _>>()
            };
            let paired = resolved(&mut pairs.iter().map(|pair| &pair[side]))?;
            let alone = resolved(&mut header.alone[side].iter())?;
            for (place, name) in &places.all {
                let is_in = |named: &[Place]| named.iter().any(|it| places.stands_for(*it, *place));
                if !is_in(&paired) {
                    left_out += 1;
                    if !is_in(&alone) {
                        let side = ["old", "new"][side];
                        let what = format!("packets that enter the {side} firewall at {name}");
                        return Err(Why::NotCovered(what));
                    }
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
        Ok(left_out)
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
    // Every way out is stated: on one side, or on both as they stand for each other.
    let every = |outs: &mut dyn Iterator<Item = [Name; 2]>| {
        let sets = outs.map(|out| to(&out));
        sets.reduce(|all, these| both(&all, &these).into()).unwrap_or_else(|| joined([]))
    };
    let sides = [0, 1];
    let mut found: Vec<Range> = every(&mut pairs.iter().cloned()).to_vec();
    for stated in sides {
        found.extend_from_slice(&every(&mut pairs.iter().map(|out| only(stated, &out[stated]))));
    }
    // Where routes tell the way out on both sides, nothing is left to state.
    found.extend_from_slice(&to(&[Name::Any, Name::Any]));
    // Where they tell it on one side, it is stated on the other as all that stands for it. What is
    // translated leaves by the route to where it goes then.
    for routed in sides {
        if firewalls[routed].destination_nat.rules.iter().any(|rule| !rule.disabled) {
            continue;
        }
        let stated = 1 - routed;
        let enters = pair[routed].resolve(firewalls[routed])?;
        let ways = ways(firewalls[routed], Passage { enters, leaves: None }, family);
        for ((egress, zone), destinations) in ways.iter().filter(|((way, _), _)| way.is_some()) {
            let way = Place { interface: *egress, zone: *zone };
            let mut outs = Vec::new();
            for out in pairs {
                let named = out[routed].resolve(firewalls[routed])?;
                if out[routed] != Name::Any && places[routed].stands_for(named, way) {
                    outs.push(only(stated, &out[stated]));
                }
            }
            found.extend(both(&every(&mut outs.into_iter()), destinations));
        }
    }
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
    /// neither, without either. Where interfaces are known from rules alone, there may be more; and
    /// where there are zones, what has no zone, no address and no rule is not in use.
    fn new(firewall: &'a LinkedFirewall) -> Self {
        let rules = firewall.rules.iter().filter(|rule| !rule.disabled).map(|rule| &rule.matches);
        let tables = [&firewall.source_nat, &firewall.destination_nat];
        let changes = tables.into_iter().flat_map(|table| &table.rules);
        let changes = changes.filter(|rule| !rule.disabled).map(|rule| &rule.matches);
        let rules: Vec<&LinkedMatch> = rules.chain(changes).collect();
        let has_zones = !firewall.zones.is_empty();
        let names = |set: &IdSet, id| !set.is_any() && set.contains(id) != set.holds_unnamed();
        let is_named =
            |id: u32| rules.iter().any(|it| names(&it.ingress, id) || names(&it.egress, id));
        let mut all = Vec::new();
        for (id, interface) in (0..).zip(&firewall.interfaces) {
            let is_out = has_zones && interface.zone.is_none() && interface.addresses.is_empty();
            if !is_out || is_named(id) {
                let place = Place { interface: Some(InterfaceId(id)), zone: interface.zone };
                all.push((place, format!("interface `{}`", interface.name)));
            }
        }
        let is_bare = firewall.interfaces.iter().all(|interface| interface.addresses.is_empty());
        if !all.is_empty() && is_bare && !has_zones {
            let place = Place { interface: Some(unnamed(firewall)), zone: None };
            all.push((place, "an unnamed interface".to_owned()));
        }
        if firewall.interfaces.is_empty() {
            all.extend((0..).zip(&firewall.zones).map(|(id, zone)| {
                let place = Place { interface: None, zone: Some(ZoneId(id)) };
                (place, format!("zone `{zone}`"))
            }));
        }
        if all.is_empty() {
            all.push((Place::default(), "any place".to_owned()));
        }
        let by_interface = |it: &&LinkedMatch| !it.ingress.is_any() || !it.egress.is_any();
        let by_zone = |it: &&LinkedMatch| {
            !it.from.is_any() || !it.to.is_any() || it.relation != ZoneRelation::Any
        };
        let compares = [rules.iter().any(by_interface), rules.iter().any(by_zone)];
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
