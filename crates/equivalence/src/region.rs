//! Where two firewalls differ, as people read it: few products of sets, with the rules that decide.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use parefeu_policy::set::Ranges;

use crate::merge::{Merger, Product};
use crate::near::{Near, matches, ranges};
use crate::problem::{
    Dimension, DimensionId, Entry, Field, Origin, OutcomeId, Problem, Set, SetId, Step,
};
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
/// Regions differ in their outcomes, or in the entry that settles them. They are merged as sets of
/// classes, and become values at the end.
pub fn regions(problem: &Problem, boxes: &[DifferenceBox]) -> Vec<Region> {
    let mut merger = Merger::default();
    let mut numbers: HashMap<&Set, u32, FixedState> = HashMap::default();
    let mut groups: BTreeMap<Settled, Vec<Product>> = BTreeMap::new();
    for it in boxes {
        let sets = it
            .sets
            .iter()
            .map(|set| *numbers.entry(set).or_insert_with(|| merger.number(ranges(set))));
        let settled = (it.old.outcome, it.new.outcome, it.old.origin, it.new.origin);
        groups.entry(settled).or_default().push(sets.collect());
    }
    let sets: Vec<Ranges> = problem.sets.iter().map(ranges).collect();
    let near = [&problem.old, &problem.new].map(|list| Near::new(problem, &sets, list));
    let mut found = Vec::new();
    for ((old, new, ..), products) in groups {
        for product in merger.merge(products) {
            let area: Vec<&Ranges> = product.iter().map(|number| merger.set(*number)).collect();
            let [old, new] = [(&near[0], old), (&near[1], new)]
                .map(|(near, outcome)| fate(problem, near.meeting(&area), outcome));
            let sets = problem.dimensions.iter().zip(area);
            let narrowed = sets.filter(|(dimension, classes)| !is_full(dimension, classes));
            let sets = narrowed.map(|(dimension, classes)| {
                let classes = classes.as_slice().iter();
                let values = classes.map(|&(low, high)| dimension.span(low as u32, high as u32));
                (dimension.field.clone(), values.collect())
            });
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
    let values = |dimension: DimensionId, set: SetId| -> Ranges {
        let dimension = &problem.dimensions[dimension.0 as usize];
        let classes = problem.sets[set.0 as usize].iter();
        classes.map(|&(low, high)| dimension.span(low, high)).collect()
    };
    let [old, new] =
        [(&problem.old, &region.old), (&problem.new, &region.new)].map(|(list, of)| {
            let entries = (0..).zip(&list.entries);
            let meeting =
                entries.filter_map(|(at, entry)| Some((at, entry, matches(entry, &area, values)?)));
            fate(problem, meeting, of.outcome)
        });
    Region { sets, old, new }
}

/// What tells regions apart: both outcomes, and the entries that settle them.
type Settled = (OutcomeId, OutcomeId, Origin, Origin);

fn is_full(dimension: &Dimension, classes: &Ranges) -> bool {
    classes.as_slice() == [(0, u128::from(dimension.classes() - 1))]
}

/// What decides the points of a region, all of which have this outcome: of the entries of a list
/// that match some of them, with their indices and whether they match all of them.
fn fate<'a>(
    problem: &Problem,
    meeting: impl Iterator<Item = (u32, &'a Entry, bool)>,
    outcome: OutcomeId,
) -> Fate {
    let allows = |outcome: OutcomeId| problem.outcomes[outcome.0 as usize].allows();
    let mut deciders = Vec::new();
    // Where every point goes on, and up to where some point may have gone on.
    let (mut resume, mut bypass) = (0, 0);
    for (at, entry, covers) in meeting {
        if at < resume {
            continue;
        }
        let certain = covers && at >= bypass;
        match entry.step {
            Step::Skip(to) if certain => resume = to,
            Step::Skip(to) => bypass = bypass.max(to),
            Step::Decide(decided) => {
                let alike = allows(decided) == allows(outcome);
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
