//! Where two firewalls differ, as people read it: few products of sets, with the rules that decide.

use std::collections::BTreeMap;

use parefeu_policy::set::Ranges;

use crate::merge::{Merger, Product};
use crate::problem::{Dimension, Entry, Field, List, Origin, OutcomeId, Problem, Set, SetId, Step};
use crate::solve::DifferenceBox;

/// A product of sets on every point of which two lists differ in the same way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Region {
    /// The values of each field; a field not listed has every value.
    pub sets: BTreeMap<Field, Ranges>,
    /// What the old firewall does.
    pub old: Fate,
    /// What the new firewall does.
    pub new: Fate,
}

/// What one firewall does with the packets of a region.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fate {
    /// The outcome of all of them.
    pub outcome: OutcomeId,
    /// What may decide one of them, in order: each lets through or refuses as the outcome does, and
    /// meets the region.
    pub deciders: Vec<Origin>,
}

/// The boxes of an answer as regions: disjoint, and together the same points.
///
/// Regions differ in their outcomes, or in the entry that settles them. Those of the same entries
/// lie near one another, so that only what meets the hull of all of them is looked at for each.
pub fn regions(problem: &Problem, boxes: &[DifferenceBox]) -> Vec<Region> {
    let mut merger = Merger::default();
    let mut groups: BTreeMap<Settled, (Vec<Product>, Hull)> = BTreeMap::new();
    for it in boxes {
        let sets = it.sets.iter().zip(&problem.dimensions).map(|(set, dimension)| {
            let values =
                |&(low, high): &(u32, u32)| (dimension.values(low).0, dimension.values(high).1);
            merger.number(set.iter().map(values).collect())
        });
        let settled = (it.old.outcome, it.new.outcome, it.old.origin, it.new.origin);
        let sets = sets.collect();
        let (products, hull) = groups.entry(settled).or_default();
        products.push(sets);
        widen(hull, &it.sets);
    }
    let hulls = [&problem.old, &problem.new].map(|list| Hulls::new(problem, list));
    let sets = problem.sets.iter().map(|_| BTreeMap::new()).collect();
    let mut reader = Reader { problem, sets };
    let mut found = Vec::new();
    for ((old, new, ..), (products, hull)) in groups {
        let merged = merger.merge(products);
        let near = hulls.each_ref().map(|hulls| hulls.near(&hull));
        for product in merged {
            let area: Vec<&Ranges> = product.iter().map(|number| merger.set(*number)).collect();
            let [old, new] = [(&near[0], old), (&near[1], new)]
                .map(|(entries, outcome)| reader.fate(entries, outcome, &area));
            let sets = problem.dimensions.iter().zip(&area);
            let narrowed = sets.filter(|(dimension, set)| !is_full(dimension, set));
            let sets = narrowed.map(|(dimension, set)| (dimension.field.clone(), (*set).clone()));
            found.push(Region { sets: sets.collect(), old, new });
        }
    }
    found
}

/// The part of a region that has these values, with what decides there.
pub(crate) fn part(problem: &Problem, region: &Region, sets: BTreeMap<Field, Ranges>) -> Region {
    let every: Vec<Ranges> =
        problem.dimensions.iter().map(|dimension| Ranges::span(0, dimension.last)).collect();
    let area = problem.dimensions.iter().zip(&every);
    let area: Vec<&Ranges> =
        area.map(|(dimension, every)| sets.get(&dimension.field).unwrap_or(every)).collect();
    let mut reader = Reader { problem, sets: vec![BTreeMap::new(); problem.sets.len()] };
    let [old, new] =
        [(&problem.old, &region.old), (&problem.new, &region.new)].map(|(list, of)| {
            let entries: Vec<_> = (0..).zip(&list.entries).collect();
            reader.fate(&entries, of.outcome, &area)
        });
    Region { sets, old, new }
}

/// What tells regions apart: both outcomes, and the entries that settle them.
type Settled = (OutcomeId, OutcomeId, Origin, Origin);

/// From the first to the last class of each dimension.
type Hull = Box<[(u32, u32)]>;

/// Widens a hull, or one that holds nothing yet, to hold a product too.
fn widen(hull: &mut Hull, sets: &[Set]) {
    let own = sets.iter().map(|set| set.first().zip(set.last()).map_or((u32::MAX, 0), ends));
    if hull.is_empty() {
        *hull = own.collect();
        return;
    }
    for (hull, own) in hull.iter_mut().zip(own) {
        *hull = (hull.0.min(own.0), hull.1.max(own.1));
    }
}

fn ends((first, last): (&(u32, u32), &(u32, u32))) -> (u32, u32) {
    (first.0, last.1)
}

/// The entries of a list with the hulls of their sets, which are looked at once for every group of
/// regions.
struct Hulls<'a> {
    entries: &'a [Entry],
    /// For each entry, where its part of `sides` ends.
    until: Vec<u32>,
    /// The dimension, and the first and the last class.
    sides: Vec<(u32, u32, u32)>,
}

impl<'a> Hulls<'a> {
    fn new(problem: &Problem, list: &'a List) -> Self {
        let (mut until, mut sides) = (Vec::with_capacity(list.entries.len()), Vec::new());
        for entry in &list.entries {
            for (dimension, set) in &entry.sets {
                let set = &problem.sets[set.0 as usize];
                let (low, high) = set.first().zip(set.last()).map_or((u32::MAX, 0), ends);
                sides.push((dimension.0, low, high));
            }
            until.push(sides.len() as u32);
        }
        Self { entries: &list.entries, until, sides }
    }

    /// The entries, with their indices, that may match something within a hull.
    fn near(&self, hull: &[(u32, u32)]) -> Vec<(u32, &'a Entry)> {
        let mut from = 0;
        let entries = (0..).zip(self.entries).zip(&self.until).filter(|(_, until)| {
            let own = &self.sides[from..**until as usize];
            from = **until as usize;
            own.iter().all(|&(dimension, low, high)| {
                let (first, last) = hull[dimension as usize];
                low <= last && first <= high
            })
        });
        entries.map(|(entry, _)| entry).collect()
    }
}

fn is_full(dimension: &Dimension, set: &Ranges) -> bool {
    set.as_slice() == [(0, dimension.last)]
}

/// Looks entries of a problem up by the values of their fields.
struct Reader<'a> {
    problem: &'a Problem,
    /// The values of each set, by the dimension it is used in.
    sets: Vec<BTreeMap<u32, Ranges>>,
}

impl Reader<'_> {
    /// What decides the points of a region, all of which have this outcome: of these entries.
    fn fate(&mut self, near: &[(u32, &Entry)], outcome: OutcomeId, area: &[&Ranges]) -> Fate {
        let mut deciders = Vec::new();
        // Where every point goes on, and up to where some point may have gone on.
        let (mut resume, mut bypass) = (0, 0);
        for &(at, entry) in near {
            let Some(covers) = (at >= resume).then(|| self.meets(entry, area)).flatten() else {
                continue;
            };
            let certain = covers && at >= bypass;
            match entry.step {
                Step::Skip(to) if certain => resume = to,
                Step::Skip(to) => bypass = bypass.max(to),
                Step::Decide(decided) => {
                    let alike = self.is_allow(decided) == self.is_allow(outcome);
                    if alike && deciders.last() != Some(&entry.origin) {
                        deciders.push(entry.origin);
                    }
                    if certain {
                        break;
                    }
                }
            }
        }
        Fate { outcome, deciders }
    }

    fn is_allow(&self, outcome: OutcomeId) -> bool {
        self.problem.outcomes[outcome.0 as usize].allows()
    }

    /// Whether an entry matches every point; `None` when it matches none.
    fn meets(&mut self, entry: &Entry, area: &[&Ranges]) -> Option<bool> {
        let mut covers = true;
        for &(dimension, set) in &entry.sets {
            let values = self.values(dimension.0, set);
            let area = area[dimension.0 as usize];
            if !values.overlaps(area) {
                return None;
            }
            covers &= values.covers(area);
        }
        Some(covers)
    }

    fn values(&mut self, dimension: u32, set: SetId) -> &Ranges {
        let problem = self.problem;
        self.sets[set.0 as usize].entry(dimension).or_insert_with(|| {
            let classes = &problem.dimensions[dimension as usize];
            let ranges = problem.sets[set.0 as usize].iter();
            ranges.map(|&(low, high)| (classes.values(low).0, classes.values(high).1)).collect()
        })
    }
}
