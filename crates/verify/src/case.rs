//! The cases of a certificate, and whether together they are all packets.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::set::IdSet;
use parefeu_policy::{InterfaceId, LinkedFirewall, LinkedMatch, ZoneId, ZoneRelation};

use crate::header::Header;
use crate::leaving::{Granted, Leaving};
use crate::place::{Name, Nameless, Passage, Place, unnamed};
use crate::ranges::{Range, Ranges, joined, others};
use crate::rejection::{Rejection, Why};
use crate::rule::compares_way;
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
pub(crate) type Limited = ([Name; 2], Ranges);

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

    /// Whether every packet that can enter either firewall is in a case, and what that leaves out
    /// or rests on.
    pub(crate) fn check(
        &self,
        firewalls: [&LinkedFirewall; 2],
        header: &Header,
    ) -> Result<Coverage, Why> {
        let pairs = &header.pairs;
        let places = firewalls.map(Places::new);
        let (mut left_out, mut rests_on) = (0, BTreeSet::new());
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
        // What is taken for granted depends on routes, whoever of those that share them enters.
        let mut seen = BTreeSet::new();
        for (pair, family) in
            pairs.iter().flat_map(|pair| Family::ALL.into_iter().map(move |family| (pair, family)))
        {
            let leaving = Leaving::new((firewalls, &places), pairs, (pair, family))?;
            if seen.insert((family, leaving.routers)) {
                rests_on.extend(leaving.rests_on()?);
            }
            for class in Class::ALL {
                let cases = self.0.get(&(family, class, pair.clone()));
                let found = leaving.covered(cases.map(Vec::as_slice).unwrap_or_default())?;
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
        Ok(Coverage { left_out, rests_on })
    }
}

/// What cases that together are all packets leave out, and what they take for granted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Coverage {
    /// How many places there are of whose packets nothing is said.
    pub(crate) left_out: u64,
    /// What is taken for granted of where packets leave.
    pub(crate) rests_on: BTreeSet<Granted>,
}

/// The places of a firewall.
pub(crate) struct Places<'a> {
    firewall: &'a LinkedFirewall,
    /// Those where packets enter it, with their names.
    all: Vec<(Place, String)>,
    /// Whether a rule compares an interface, and whether one compares a zone.
    compares: [bool; 2],
    /// Whether a rule compares where packets leave.
    pub(crate) compares_leaving: bool,
}

impl<'a> Places<'a> {
    /// Packets enter by interfaces and, where a configuration does not tell which of its interfaces
    /// are in a zone, by that zone; where it tells neither, without either. Where interfaces are
    /// known from rules alone, there may be more; and where there are zones, what has no zone, no
    /// address and no rule is not in use.
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
        for (id, zone) in (0..).map(ZoneId).zip(&firewall.zones) {
            if !firewall.interfaces.iter().any(|interface| interface.zone == Some(id)) {
                let place = Place { interface: None, zone: Some(id) };
                all.push((place, format!("zone `{zone}`")));
            }
        }
        if all.is_empty() && rules.iter().any(|it| it.relation != ZoneRelation::Any) {
            let both = Nameless::BOTH.map(|zone| (zone.place(), zone.text().to_owned()));
            all.extend(both);
        } else if all.is_empty() {
            all.push((Place::default(), "any place".to_owned()));
        }
        let by_interface = |it: &&LinkedMatch| !it.ingress.is_any() || !it.egress.is_any();
        let by_zone = |it: &&LinkedMatch| {
            !it.from.is_any() || !it.to.is_any() || it.relation != ZoneRelation::Any
        };
        let compares = [rules.iter().any(by_interface), rules.iter().any(by_zone)];
        let compares_leaving = rules.iter().any(|it| compares_way(it));
        Self { firewall, all, compares, compares_leaving }
    }

    /// Whether packets enter there.
    pub(crate) fn holds(&self, place: Place) -> bool {
        self.all.iter().any(|(known, _)| *known == place)
    }

    /// Whether what is said of packets at one place, which is perhaps stated by half, holds for
    /// those at another one.
    pub(crate) fn stands_for(&self, named: Place, place: Place) -> bool {
        let [by_interface, by_zone] = self.compares;
        let has_own_routes = place.router(self.firewall) != 0;
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
