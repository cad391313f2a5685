//! From values to classes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Space;
use super::values::Values;
use super::walk::{DraftStep, Drafts};
use crate::{
    Dimension, DimensionId, Entry, Field, Function, List, Outcome, OutcomeId, Problem, Set, SetId,
    Step, Translate,
};

/// Cuts the values of each field wherever a set of either list begins or ends; `None` where the
/// sign to stop is given before that is done.
pub(super) fn problem(space: &Space<'_>, old: &Drafts, new: &Drafts) -> Option<Problem> {
    let mut starts: BTreeMap<Field, Vec<u128>> = BTreeMap::new();
    for field in space.usual_fields() {
        starts.insert(field.clone(), Vec::new());
    }
    for draft in [old, new].into_iter().flat_map(|list| &list.entries) {
        go_on(space)?;
        for (field, values) in sets(draft) {
            let last = space.last(field);
            if !starts.contains_key(field) {
                starts.insert(field.clone(), Vec::new());
            }
            let Some(starts) = starts.get_mut(field) else { continue };
            for &(first, end) in values.ranges() {
                starts.push(first);
                starts.extend(end.checked_add(1).filter(|next| *next <= last));
            }
        }
    }
    for (field, meetings) in meetings(space, old, new) {
        let Some(starts) = starts.get_mut(&field) else { continue };
        let last = space.last(&field);
        for value in meetings.into_iter().filter(|value| *value <= last) {
            starts.push(value);
            starts.extend(value.checked_add(1).filter(|next| *next <= last));
        }
    }
    let dimensions = starts.into_iter().map(|(field, mut starts)| {
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let last = space.last(&field);
        Dimension { field, starts, last }
    });
    let dimensions: Vec<Dimension> = dimensions.collect();
    let mut interning = Interning {
        dimensions: &dimensions,
        sets: BTreeMap::new(),
        outcomes: Vec::new(),
        numbers: HashMap::new(),
    };
    let (old, new) = (interning.list(space, old)?, interning.list(space, new)?);
    let Interning { sets, outcomes, .. } = interning;
    let mut named: Vec<(Set, SetId)> = sets.into_iter().collect();
    named.sort_unstable_by_key(|(_, id)| *id);
    let sets = named.into_iter().map(|(set, _)| set).collect();
    let applications = space.applications.iter().map(|name| (*name).into()).collect();
    let moments = space.moments.as_ref().map_or_else(Vec::new, |known| known.moments.clone());
    Some(Problem { dimensions, sets, outcomes, old, new, applications, moments })
}

fn go_on(space: &Space<'_>) -> Option<()> {
    (!space.stop.is_given()).then_some(())
}

fn sets(draft: &super::walk::Draft) -> impl Iterator<Item = (&Field, &Values)> {
    draft.region.sets().iter()
}

/// The values on which a constant and a shift come to the same: where two outcomes meet, and where
/// both would else agree on part of a class.
fn meetings(space: &Space<'_>, old: &Drafts, new: &Drafts) -> BTreeMap<Field, BTreeSet<u128>> {
    let mut changes: BTreeMap<Field, Changes> = BTreeMap::new();
    for draft in [old, new].into_iter().flat_map(|list| &list.entries) {
        let DraftStep::Decide(Outcome::Allow(translate)) = &draft.step else { continue };
        let Translate { src, src_port, dst, dst_port } = translate;
        let functions = [
            (Field::Src, src),
            (Field::SrcPort, src_port),
            (Field::Dst, dst),
            (Field::DstPort, dst_port),
        ];
        for (field, function) in functions {
            let known = draft.region.sets().get(&field).map(Values::ranges);
            let all = [(0, space.last(&field))];
            changes.entry(field).or_default().note(function, known.unwrap_or(&all));
        }
    }
    changes.into_iter().map(|(field, changes)| (field, changes.meetings())).collect()
}

/// What outcomes make of one field.
#[derive(Default)]
struct Changes {
    constants: BTreeSet<u128>,
    /// What is added, with the least and the greatest value it is added to.
    shifts: BTreeMap<u128, (u128, u128)>,
}

impl Changes {
    fn note(&mut self, function: &Function, values: &[(u128, u128)]) {
        let (Some(&(first, _)), Some(&(_, last))) = (values.first(), values.last()) else { return };
        let by = match function {
            Function::Constant(to) => {
                self.constants.insert(*to);
                return;
            }
            Function::Chosen(_) => return,
            Function::Keep => 0,
            Function::Shift(by) => *by,
        };
        let known = self.shifts.entry(by).or_insert((first, last));
        *known = (known.0.min(first), known.1.max(last));
    }

    fn meetings(&self) -> BTreeSet<u128> {
        // No sum leaves the range of the field, and so none of those between.
        let met = self.shifts.iter().flat_map(|(by, (first, last))| {
            let sums = first.wrapping_add(*by)..=last.wrapping_add(*by);
            self.constants.range(sums).map(|to| to.wrapping_sub(*by))
        });
        met.collect()
    }
}

struct Interning<'a> {
    dimensions: &'a [Dimension],
    sets: BTreeMap<Set, SetId>,
    outcomes: Vec<Outcome>,
    numbers: HashMap<Outcome, OutcomeId>,
}

impl Interning<'_> {
    fn list(&mut self, space: &Space<'_>, drafts: &Drafts) -> Option<List> {
        let entries = drafts.entries.iter().map(|draft| {
            go_on(space)?;
            let sets = sets(draft).map(|(field, values)| self.set(field, values)).collect();
            let step = match &draft.step {
                DraftStep::Decide(outcome) => Step::Decide(self.outcome(outcome)),
                DraftStep::GoTo(label) => Step::Skip(drafts.position(*label)),
            };
            Some(Entry { sets, step, origin: draft.origin })
        });
        Some(List { entries: entries.collect::<Option<_>>()? })
    }

    fn set(&mut self, field: &Field, values: &Values) -> (DimensionId, SetId) {
        // Every field of a set has a dimension, and every bound of a set starts a class.
        let at = self.dimensions.partition_point(|dimension| dimension.field < *field);
        let starts = &self.dimensions[at].starts;
        let class = |value: u128| starts.partition_point(|start| *start <= value) as u32 - 1;
        let set = values.ranges().iter().map(|&(first, last)| (class(first), class(last)));
        let next = SetId(self.sets.len() as u32);
        let id = *self.sets.entry(set.collect()).or_insert(next);
        (DimensionId(at as u32), id)
    }

    fn outcome(&mut self, outcome: &Outcome) -> OutcomeId {
        if let Some(known) = self.numbers.get(outcome) {
            return *known;
        }
        let next = OutcomeId(self.outcomes.len() as u32);
        self.outcomes.push(outcome.clone());
        self.numbers.insert(outcome.clone(), next);
        next
    }
}
