//! Rules for ports that became rules for applications: where the old firewall lets a header through
//! whatever its application, and the new one with some application.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::Compared;
use crate::flows::{Wanted, one_sided};
use crate::merge::{Merger, Product};
use crate::problem::{Field, Outcome, Problem, Side};
use crate::scope::{Sets, boxes, every, split};
use crate::solve::{SolveLimits, solve};

/// The headers of a case by what applications they may have, without the application itself.
pub(crate) struct Narrowing {
    /// The new firewall lets some application through.
    allowed: Vec<Sets>,
    /// The old firewall refuses some application, or may.
    refused: Vec<Sets>,
}

impl Narrowing {
    /// What a case tells; `None` where no difference names an application.
    pub(crate) fn of(case: &Compared, limits: &SolveLimits) -> Option<Self> {
        let outcome = |fate: &crate::region::Fate| &case.problem.outcomes[fate.outcome.0 as usize];
        let closed = case.regions.iter().any(|region| {
            region.sets.contains_key(&Field::Application)
                && matches!(outcome(&region.old), Outcome::Allow(_))
                && matches!(outcome(&region.new), Outcome::Deny(_))
        });
        closed.then(|| Self {
            allowed: headers(&case.problem, Side::New, Wanted::Allow, limits, false),
            refused: headers(&case.problem, Side::Old, Wanted::Deny, limits, true),
        })
    }

    /// The parts of a closed product that are narrowed only, and those that are not.
    pub(crate) fn split(&self, case: &Compared, sets: &Sets) -> (Vec<Sets>, Vec<Sets>) {
        let (mut narrowed, mut left) = (Vec::new(), vec![sets.clone()]);
        for by in &self.allowed {
            left = apart(case, left, by, &mut narrowed);
        }
        for by in &self.refused {
            narrowed = apart(case, narrowed, by, &mut left);
        }
        (merged(case, &narrowed), merged(case, &left))
    }
}

/// What of the products is outside of another one; what is inside is put into `inside`.
fn apart(case: &Compared, products: Vec<Sets>, by: &Sets, inside: &mut Vec<Sets>) -> Vec<Sets> {
    let outside = products.into_iter().flat_map(|sets| {
        let (within, rest) = split(case, &sets, by);
        inside.extend(within);
        rest
    });
    outside.collect()
}

/// The headers with which a side lets some application through, or refuses one. They may overlap.
fn headers(
    problem: &Problem,
    side: Side,
    wanted: Wanted,
    limits: &SolveLimits,
    with_open: bool,
) -> Vec<Sets> {
    let problem = one_sided(problem, side, wanted, true);
    let solution = solve(&problem, &SolveLimits { record: false, ..*limits });
    let mut found = boxes(&problem, &solution, with_open);
    for sets in &mut found {
        sets.remove(&Field::Application);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Disjoint products as few larger ones that hold the same packets.
fn merged(case: &Compared, products: &[Sets]) -> Vec<Sets> {
    let fields: BTreeSet<&Field> = products.iter().flat_map(BTreeMap::keys).collect();
    let mut merger = Merger::default();
    let numbered = products.iter().map(|sets| -> Product {
        let values = fields.iter().map(|field| {
            let set = sets.get(field).cloned().unwrap_or_else(|| every(case, field));
            merger.number(set)
        });
        values.collect()
    });
    let numbered = numbered.collect();
    let merged = merger.merge(numbered);
    let sets = merged.iter().map(|product| {
        let sets = fields.iter().zip(product.iter());
        let sets = sets.map(|(field, number)| ((*field).clone(), merger.set(*number).clone()));
        sets.filter(|(field, set)| *set != every(case, field)).collect()
    });
    sets.collect()
}
