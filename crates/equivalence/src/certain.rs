//! Conditions without a value at analysis time, left out where they make no difference.

use std::cell::Cell;

use crate::compare::Compared;
use crate::problem::{Entry, Field, List, Origin, Outcome, OutcomeId, Problem, Step};
use crate::region::{Region, part};
use crate::scope::{Sets, boxes, split};
use crate::solve::{SolveLimits, Stop, solve};

/// The regions of a one-sided case: where each header has the same outcome whichever conditions
/// hold, told without them; disjoint, and together the same packets.
///
/// Left as they are where outcomes differ by translation, or where this took too long.
pub(crate) fn certain(case: &Compared, limits: &SolveLimits) -> Vec<Region> {
    let (doubtful, mut found): (Vec<Region>, Vec<Region>) =
        case.regions.iter().cloned().partition(|region| region.sets.keys().any(is_atom));
    let Some(wanted) = only_outcome(&case.problem).filter(|_| !doubtful.is_empty()) else {
        return case.regions.clone();
    };
    let mut decided = otherwise(&case.problem, wanted, limits);
    if decided.len().saturating_mul(doubtful.len()) > MOST_PAIRS {
        return case.regions.clone();
    }
    let (first, stop) = (decided.len(), limits.stop);
    for region in &doubtful {
        let header = without_atoms(&region.sets);
        let sets = outside(case, header, (&decided, stop));
        let Some(sets) = sets else { return case.regions.clone() };
        for sets in sets {
            if stop.is_given() {
                return case.regions.clone();
            }
            found.push(part(&case.problem, region, sets.clone()));
            decided.push(sets);
        }
    }
    for region in doubtful {
        let rest = outside(case, region.sets.clone(), (&decided[first..], stop));
        let Some(rest) = rest else { return case.regions.clone() };
        for sets in rest {
            if stop.is_given() {
                return case.regions.clone();
            }
            found.push(part(&case.problem, &region, sets));
        }
    }
    found
}

/// Tells which differences there are whatever the conditions without a value turn out to be.
pub(crate) struct Certainty<'a> {
    case: &'a Compared,
    /// How many pairs of products may still be looked at.
    pairs: Cell<usize>,
    stop: Stop,
}

impl<'a> Certainty<'a> {
    pub(crate) const fn of(case: &'a Compared, stop: Stop) -> Self {
        Self { case, pairs: Cell::new(MOST_PAIRS), stop }
    }

    /// Whether the sides differ on every header of a product of its regions, whichever conditions
    /// hold; no where finding out took too long.
    pub(crate) fn holds(&self, sets: &Sets) -> bool {
        if !sets.keys().any(is_atom) {
            return true;
        }
        let mut left = vec![without_atoms(sets)];
        for region in &self.case.regions {
            let Some(pairs) = self.pairs.get().checked_sub(left.len()) else { return false };
            self.pairs.set(pairs);
            let rest = left.iter().flat_map(|sets| split(self.case, sets, &region.sets).1);
            left = rest.collect();
            if left.len() > MOST_PARTS || self.stop.is_given() {
                return false;
            }
        }
        left.is_empty()
    }
}

/// More pairs of products than this are not looked at.
const MOST_PAIRS: usize = 1_000_000;

/// A product is not taken apart further than this.
const MOST_PARTS: usize = 1 << 14;

const fn is_atom(field: &Field) -> bool {
    matches!(field, Field::Atom(_))
}

fn without_atoms(sets: &Sets) -> Sets {
    let known = sets.iter().filter(|(field, _)| !is_atom(field));
    known.map(|(field, set)| (field.clone(), set.clone())).collect()
}

/// The outcome of all packets that are found, if there is one only. Kinds of refusal are one.
fn only_outcome(problem: &Problem) -> Option<OutcomeId> {
    let inside = (0..).zip(&problem.outcomes).filter(|(_, it)| **it != Outcome::Outside);
    let mut found: Option<(u32, &Outcome)> = None;
    for (at, outcome) in inside {
        match (found, outcome) {
            (None, _) => found = Some((at, outcome)),
            (Some(_), Outcome::Deny(_)) => {}
            (Some((_, known)), _) if known == outcome => {}
            _ => return None,
        }
    }
    found.map(|(at, _)| OutcomeId(at))
}

/// The headers with which some packet has, or may have, another outcome. They may overlap.
fn otherwise(problem: &Problem, wanted: OutcomeId, limits: &SolveLimits) -> Vec<Sets> {
    let all = Entry { sets: Box::new([]), step: Step::Decide(wanted), origin: Origin::default() };
    let problem = Problem { new: List { entries: vec![all] }, ..problem.clone() };
    let solution = solve(&problem, &SolveLimits { record: false, ..*limits });
    let boxes = boxes(&problem, &solution, true);
    let mut found: Vec<Sets> = boxes.iter().map(without_atoms).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What of a product is outside of all of these; `None` if that comes to too many parts, or the
/// sign to stop is given.
fn outside(case: &Compared, sets: Sets, (all, stop): (&[Sets], Stop)) -> Option<Vec<Sets>> {
    all.iter().try_fold(vec![sets], |left, by| {
        let left: Vec<Sets> = left.iter().flat_map(|sets| split(case, sets, by).1).collect();
        (left.len() <= MOST_PARTS && !stop.is_given()).then_some(left)
    })
}
