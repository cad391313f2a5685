//! From values to classes.

use std::collections::BTreeMap;

use super::Space;
use super::values::Values;
use super::walk::{DraftStep, Drafts};
use crate::{
    Dimension, DimensionId, Entry, Field, List, Origin, Outcome, OutcomeId, Problem, Set, SetId,
    Step,
};

/// Cuts the values of each field wherever a set of either list begins or ends.
pub(super) fn problem(space: &Space<'_>, old: &Drafts, new: &Drafts) -> Problem {
    let mut starts: BTreeMap<Field, Vec<u128>> = BTreeMap::new();
    for field in space.usual_fields() {
        starts.insert(field.clone(), Vec::new());
    }
    for (field, values) in [old, new].into_iter().flat_map(|list| &list.entries).flat_map(sets) {
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
    let dimensions = starts.into_iter().map(|(field, mut starts)| {
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let last = space.last(&field);
        Dimension { field, starts, last }
    });
    let dimensions: Vec<Dimension> = dimensions.collect();
    let mut interning =
        Interning { dimensions: &dimensions, sets: BTreeMap::new(), outcomes: Vec::new() };
    let (old, new) = (interning.list(old), interning.list(new));
    let Interning { sets, outcomes, .. } = interning;
    let mut named: Vec<(Set, SetId)> = sets.into_iter().collect();
    named.sort_unstable_by_key(|(_, id)| *id);
    let sets = named.into_iter().map(|(set, _)| set).collect();
    let applications = space.applications.iter().map(|name| (*name).into()).collect();
    Problem { dimensions, sets, outcomes, old, new, applications }
}

fn sets(draft: &super::walk::Draft) -> impl Iterator<Item = (&Field, &Values)> {
    draft.region.sets().iter()
}

struct Interning<'a> {
    dimensions: &'a [Dimension],
    sets: BTreeMap<Set, SetId>,
    outcomes: Vec<Outcome>,
}

impl Interning<'_> {
    fn list(&mut self, drafts: &Drafts) -> List {
        let entries = drafts.entries.iter().map(|draft| {
            let sets = sets(draft).map(|(field, values)| self.set(field, values)).collect();
            let step = match &draft.step {
                DraftStep::Decide(outcome) => Step::Decide(self.outcome(outcome)),
                DraftStep::GoTo(label) => Step::Skip(drafts.position(*label)),
            };
            Entry { sets, step, origin: Origin { rule: draft.rule, ..Origin::default() } }
        });
        List { entries: entries.collect() }
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
        let known = self.outcomes.iter().position(|known| known == outcome);
        let at = known.unwrap_or_else(|| {
            self.outcomes.push(outcome.clone());
            self.outcomes.len() - 1
        });
        OutcomeId(at as u32)
    }
}
