//! Where two firewalls differ, as people read it: few products of sets, with the rules that decide.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;
use parefeu_policy::set::Ranges;

use crate::merge::{Merger, Product};
use crate::near::{Near, matches, ranges};
use crate::problem::{
    Dimension, DimensionId, Entry, Field, Origin, OutcomeId, Problem, Set, SetId, Side, Step,
};
use crate::solve::{Decided, DifferenceBox, OpenBox, OpenReason, Solution, Stop};

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
    Telling::of(problem, boxes, Stop::default()).regions
}

/// The differences of a solution as regions; those that are not told when the sign to stop is given
/// become open. One is told in any case: that the sides differ stays known.
pub(crate) fn regions_until(problem: &Problem, found: &mut Solution, stop: Stop) -> Vec<Region> {
    let Telling { regions, told, untold } = Telling::of(problem, &found.differences, stop);
    if !untold.is_empty() {
        found.differences = told;
        let open = untold.iter().map(|it| OpenBox {
            area: it.sets.iter().map(hull).collect(),
            reason: OpenReason::Stopped,
            involved: vec![(Side::Old, it.old.origin), (Side::New, it.new.origin)],
        });
        found.open.extend(open);
    }
    regions
}

/// Boxes that became regions, and those that did not.
struct Telling {
    regions: Vec<Region>,
    /// The boxes of the regions, merged as they are; none unless some are untold.
    told: Vec<DifferenceBox>,
    untold: Vec<DifferenceBox>,
}

impl Telling {
    fn of(problem: &Problem, boxes: &[DifferenceBox], stop: Stop) -> Self {
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
        let mut regions = Vec::new();
        let mut products = Vec::new();
        for (settled, group) in groups {
            for product in merger.merge(group, stop) {
                if regions.is_empty() || !stop.is_given() {
                    let area = product.iter().map(|number| merger.set(*number)).collect();
                    regions.push(region(problem, &near, settled, area));
                }
                products.push((settled, product));
            }
        }
        let all_told = products.len() == regions.len();
        let boxes = products.iter().filter(|_| !all_told);
        let mut boxes = boxes.map(|(settled, product)| difference(&merger, *settled, product));
        let told = boxes.by_ref().take(regions.len()).collect();
        Self { regions, told, untold: boxes.collect() }
    }
}

/// A product of sets of classes as a region.
fn region(
    problem: &Problem,
    near: &[Near<'_>; 2],
    (old, new, ..): Settled,
    area: Vec<&Ranges>,
) -> Region {
    let [old, new] = [(&near[0], old), (&near[1], new)]
        .map(|(near, outcome)| fate(problem, near.meeting(&area), outcome));
    let sets = problem.dimensions.iter().zip(area);
    let narrowed = sets.filter(|(dimension, classes)| !is_full(dimension, classes));
    let sets = narrowed.map(|(dimension, classes)| {
        let classes = classes.as_slice().iter();
        let values = classes.map(|&(low, high)| dimension.span(low as u32, high as u32));
        (dimension.field.clone(), values.collect())
    });
    Region { sets: sets.collect(), old, new }
}

/// A product of sets of classes as a box.
fn difference(merger: &Merger, settled: Settled, product: &Product) -> DifferenceBox {
    let classes = |number: &u32| -> Set {
        let ranges = merger.set(*number).as_slice().iter();
        ranges.map(|&(low, high)| (low as u32, high as u32)).collect()
    };
    let (old, new, of_old, of_new) = settled;
    DifferenceBox {
        sets: product.iter().map(classes).collect(),
        old: Decided { outcome: old, origin: of_old },
        new: Decided { outcome: new, origin: of_new },
    }
}

/// From the first class of a set to its last.
fn hull(set: &Set) -> (u32, u32) {
    set.first().zip(set.last()).map_or((0, 0), |(low, high)| (low.0, high.1))
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
