//! Where packets leave: whether cases are about every way out, and what they take for granted.

use std::collections::BTreeSet;

use parefeu_policy::{LinkedFirewall, LinkedTranslation, Span};

use crate::case::{Limited, Places};
use crate::place::{Name, Passage, Place};
use crate::ranges::{Range, Ranges, both, joined, meets, others};
use crate::rejection::Why;
use crate::rule::{addresses, ways};
use crate::space::Family;

/// Something taken for granted of where packets leave.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Granted {
    /// That a firewall without a route sends packets where the other one does: the old firewall, or
    /// the new one.
    Route(usize),
    /// That it does not matter where routes of both send packets, to places that do not stand for
    /// each other.
    Egress,
}

impl Granted {
    /// The names it may have as an assumption: the first one, unless something else has that.
    pub(crate) fn names(
        self,
        firewalls: [&LinkedFirewall; 2],
    ) -> impl Iterator<Item = String> + use<> {
        let (side, code) = match self {
            Self::Route(side) => (side, "route"),
            Self::Egress => (1, "egress"),
        };
        let line = firewalls[side].sources.line_number(Span::default());
        let name = format!("{}-{code}-{line}", ["old", "new"][side]);
        let again = name.clone();
        let others = (2u32..).map(move |time| format!("{again}-{time}"));
        std::iter::once(name).chain(others)
    }

    /// Why it has to be assumed.
    pub(crate) const fn because(self) -> &'static str {
        match self {
            Self::Route(_) => "no route tells where packets leave that the other firewall routes",
            Self::Egress => "routes send packets to places that do not stand for each other",
        }
    }
}

/// Where packets of a family leave both firewalls that enter at a pair of places.
pub(crate) struct Leaving<'s, 'a> {
    firewalls: [&'a LinkedFirewall; 2],
    places: &'s [Places<'a>; 2],
    pairs: &'s [[Name; 2]],
    ways: [Ways; 2],
    /// The routing tables that lead there.
    pub(crate) routers: [u32; 2],
}

/// Where routes of one firewall send packets.
struct Ways {
    /// The destinations routes send to each place.
    told: Vec<(Place, Ranges)>,
    /// Those no route sends anywhere.
    open: Ranges,
    /// Those no translation may replace.
    unchanged: Ranges,
}

impl Ways {
    fn new(firewall: &LinkedFirewall, enters: Place, family: Family) -> Self {
        let (mut told, mut open) = (Vec::new(), joined([]));
        for ((interface, zone), to) in ways(firewall, Passage { enters, leaves: None }, family) {
            match interface {
                Some(_) => told.push((Place { interface, zone }, to)),
                None => open = to,
            }
        }
        let unchanged = others(&redirected(firewall, family), family.last());
        Self { told, open, unchanged }
    }
}

impl<'s, 'a> Leaving<'s, 'a> {
    pub(crate) fn new(
        (firewalls, places): ([&'a LinkedFirewall; 2], &'s [Places<'a>; 2]),
        pairs: &'s [[Name; 2]],
        (pair, family): (&[Name; 2], Family),
    ) -> Result<Self, Why> {
        let enters = [pair[0].resolve(firewalls[0])?, pair[1].resolve(firewalls[1])?];
        let ways = [0, 1].map(|side| Ways::new(firewalls[side], enters[side], family));
        let routers = [0, 1].map(|side| enters[side].router(firewalls[side]));
        Ok(Self { firewalls, places, pairs, ways, routers })
    }

    /// The destinations to which every packet is in a case, wherever it leaves.
    pub(crate) fn covered(&self, cases: &[Limited]) -> Result<Ranges, Why> {
        // Where routes tell the way out on both sides, nothing is left to state.
        let mut found = to(cases, &[Name::Any, Name::Any]).to_vec();
        // Where no route tells, every way out is stated: on both sides as they stand for each
        // other.
        let stated = every(cases, self.pairs.iter().cloned());
        let [old, new] = &self.ways;
        found.extend(both(&stated, &both(&old.open, &new.open)));
        for side in [0, 1] {
            // Or on one side, all of them.
            let outs = self.pairs.iter().map(|out| only(side, &out[side]));
            found.extend_from_slice(&every(cases, outs));
            found.extend_from_slice(&self.routed(cases, side)?);
        }
        Ok(joined(found))
    }

    /// The destinations for which routes of one side tell the way out, and on the other side, which
    /// has none, all is stated that stands for it. What is translated leaves by the route to where
    /// it goes then.
    fn routed(&self, cases: &[Limited], routed: usize) -> Result<Ranges, Why> {
        let (ways, stated) = (&self.ways[routed], 1 - routed);
        let asked = both(&ways.unchanged, &self.ways[stated].open);
        let mut found: Vec<Range> = Vec::new();
        for (way, destinations) in &ways.told {
            let mut outs = Vec::new();
            for out in self.pairs {
                let named = out[routed].resolve(self.firewalls[routed])?;
                if out[routed] != Name::Any && self.places[routed].stands_for(named, *way) {
                    outs.push(only(stated, &out[stated]));
                }
            }
            let all = every(cases, outs.into_iter());
            found.extend(both(&both(&all, destinations), &asked));
        }
        Ok(joined(found))
    }

    /// What is taken for granted, where rules of both sides compare the way out.
    pub(crate) fn rests_on(&self) -> Result<BTreeSet<Granted>, Why> {
        let mut found = BTreeSet::new();
        if !self.places.iter().all(|side| side.compares_leaving) {
            return Ok(found);
        }
        let [old, new] = &self.ways;
        let unchanged = both(&old.unchanged, &new.unchanged);
        let told = |side: usize| -> Vec<(Place, Vec<Range>)> {
            let told = self.ways[side].told.iter();
            let used = told.filter(|(way, _)| self.places[side].holds(*way));
            used.map(|(way, to)| (*way, both(to, &unchanged))).collect()
        };
        let (of_old, of_new) = (told(0), told(1));
        for (told, open, side) in [(&of_new, &old.open, 0), (&of_old, &new.open, 1)] {
            if told.iter().any(|(_, to)| meets(to, open)) {
                found.insert(Granted::Route(side));
            }
        }
        for (way, to) in &of_old {
            for (other, _) in of_new.iter().filter(|(_, also)| meets(to, also)) {
                if !self.stand_for_each_other([*way, *other])? {
                    found.insert(Granted::Egress);
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    fn stand_for_each_other(&self, places: [Place; 2]) -> Result<bool, Why> {
        for pair in self.pairs {
            let mut all = true;
            for side in [0, 1] {
                let named = pair[side].resolve(self.firewalls[side])?;
                all &= self.places[side].stands_for(named, places[side]);
            }
            if all {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The destinations of the cases with these ways out.
fn to(cases: &[Limited], leaves: &[Name; 2]) -> Ranges {
    let those = cases.iter().filter(|(known, _)| known == leaves);
    joined(those.flat_map(|(_, to)| to.to_vec()))
}

/// A way out that is stated on one side.
fn only(side: usize, name: &Name) -> [Name; 2] {
    let mut leaves = [Name::Any, Name::Any];
    leaves[side] = name.clone();
    leaves
}

/// The destinations with a case for every one of these ways out; none without any.
fn every(cases: &[Limited], outs: impl Iterator<Item = [Name; 2]>) -> Ranges {
    let sets = outs.map(|out| to(cases, &out));
    sets.reduce(|all, these| both(&all, &these).into()).unwrap_or_else(|| joined([]))
}

/// The destinations a translation may replace, and with them where routes lead; none without
/// routes.
fn redirected(firewall: &LinkedFirewall, family: Family) -> Ranges {
    let rules = firewall.destination_nat.rules.iter();
    let rules = rules.filter(|_| !firewall.routes.is_empty());
    let rules = rules.filter(|rule| !rule.disabled && rule.translation != LinkedTranslation::Keep);
    let sets = rules.map(|rule| {
        let wanted = &rule.matches.dst;
        let told = !wanted.negated && wanted.atoms.is_empty();
        let set = told.then(|| addresses(&wanted.set, family)).flatten();
        set.unwrap_or_else(|| joined([(0, family.last())]))
    });
    joined(sets.flat_map(|set| set.to_vec()))
}
