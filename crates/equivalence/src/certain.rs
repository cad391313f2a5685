//! Conditions without a value at analysis time, left out where they make no difference.

use crate::compare::Compared;
use crate::problem::{Entry, Field, List, Origin, Outcome, OutcomeId, Problem, Step};
use crate::region::{Region, part};
use crate::scope::{Sets, boxes, split};
use crate::solve::{SolveLimits, solve};

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
    let first = decided.len();
    for region in &doubtful {
        let header = without_atoms(&region.sets);
        for sets in outside(case, header, &decided) {
            found.push(part(&case.problem, region, sets.clone()));
            decided.push(sets);
        }
    }
    for region in doubtful {
        let rest = outside(case, region.sets.clone(), &decided[first..]);
        found.extend(rest.into_iter().map(|sets| part(&case.problem, &region, sets)));
    }
    found
}

/// More pairs of products than this are not looked at.
const MOST_PAIRS: usize = 1_000_000;

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

/// What of a product is outside of all of these.
fn outside(case: &Compared, sets: Sets, all: &[Sets]) -> Vec<Sets> {
    all.iter()
        .fold(vec![sets], |left, by| left.iter().flat_map(|sets| split(case, sets, by).1).collect())
}
