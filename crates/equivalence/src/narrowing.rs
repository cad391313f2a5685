//! Rules for ports that became rules for applications: where the old firewall lets a header through
//! whatever its application, and the new one with some application.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use crate::compare::Compared;
use crate::flows::{Wanted, one_sided};
use crate::merge::{Merger, Product};
use crate::problem::{Field, Outcome, Side};
use crate::scope::{Sets, are_apart, boxes, every, split, volume};
use crate::solve::{SolveLimits, Stop, solve};

/// The headers of a case by what applications they may have, without the application itself.
pub(crate) struct Narrowing {
    /// The new firewall lets some application through.
    allowed: Vec<Sets>,
    /// The old firewall refuses some application, or may.
    refused: Vec<Sets>,
    /// How many pairs of products may still be looked at in this case.
    work: Cell<u64>,
}

/// Pairs of products looked at in one case, at most: with these used up, nothing more is taken for
/// narrowing.
const MOST_WORK: u64 = 1 << 22;

/// Products of headers kept of one side, at most. Those left out are not known to be let through,
/// or count as refused.
const MOST_HEADERS: usize = 1 << 13;

impl Narrowing {
    /// What a case tells; `None` where no difference names an application.
    pub(crate) fn of(case: &Compared, limits: &SolveLimits) -> Option<Self> {
        let outcome = |fate: &crate::region::Fate| &case.problem.outcomes[fate.outcome.0 as usize];
        let closed = case.regions.iter().any(|region| {
            region.sets.contains_key(&Field::Application)
                && matches!(outcome(&region.old), Outcome::Allow(_))
                && matches!(outcome(&region.new), Outcome::Deny(_))
        });
        let largest_first = |mut found: Vec<Sets>| {
            found.sort_by(|one, other| volume(case, other).total_cmp(&volume(case, one)));
            found
        };
        closed.then(|| Self {
            allowed: largest_first(headers(case, Side::New, Wanted::Allow, limits, false)),
            refused: largest_first(headers(case, Side::Old, Wanted::Deny, limits, true)),
            work: Cell::new(MOST_WORK),
        })
    }

    /// The parts of a closed product that are narrowed only, and those that are not. One that comes
    /// to too many parts is none.
    pub(crate) fn split(&self, case: &Compared, sets: &Sets) -> (Vec<Sets>, Vec<Sets>) {
        self.parts(case, sets).unwrap_or_else(|| (Vec::new(), vec![sets.clone()]))
    }

    fn parts(&self, case: &Compared, sets: &Sets) -> Option<(Vec<Sets>, Vec<Sets>)> {
        let (mut narrowed, mut left) = (Vec::new(), vec![sets.clone()]);
        for by in self.near(&self.allowed, sets)? {
            self.spend(left.len())?;
            left = apart(case, left, by, &mut narrowed);
            (left.len() + narrowed.len() <= MOST_PARTS).then_some(())?;
        }
        let mut narrowed = merged(case, &narrowed);
        for by in self.near(&self.refused, sets)? {
            self.spend(narrowed.len())?;
            narrowed = apart(case, narrowed, by, &mut left);
            (left.len() + narrowed.len() <= MOST_PARTS).then_some(())?;
        }
        Some((merged(case, &narrowed), merged(case, &left)))
    }

    /// The headers that meet a product, but those that lie in another one of them: largest first.
    fn near<'a>(&self, headers: &'a [Sets], sets: &Sets) -> Option<Vec<&'a Sets>> {
        self.spend(headers.len())?;
        let mut found: Vec<(&Sets, Sets)> = Vec::new();
        for header in headers.iter().filter(|header| !are_apart(header, sets)) {
            self.spend(found.len())?;
            let within = header.iter().map(|(field, set)| {
                let within = sets.get(field).map_or_else(|| set.clone(), |it| set.intersection(it));
                (field.clone(), within)
            });
            let within: Sets = within.collect();
            let lies_in = |other: &Sets| {
                let bound = |field: &Field| within.get(field).or_else(|| sets.get(field));
                other.iter().all(|(field, set)| bound(field).is_some_and(|it| set.covers(it)))
            };
            if !found.iter().any(|(_, other)| lies_in(other)) {
                found.push((header, within));
            }
        }
        Some(found.into_iter().map(|(header, _)| header).collect())
    }

    fn spend(&self, pairs: usize) -> Option<()> {
        self.work.set(self.work.get().checked_sub(pairs as u64)?);
        Some(())
    }
}

/// A product is not taken apart further than this.
const MOST_PARTS: usize = 1 << 14;

/// What of the products is outside of another one; what is inside is put into `inside`.
fn apart(case: &Compared, products: Vec<Sets>, by: &Sets, inside: &mut Vec<Sets>) -> Vec<Sets> {
    let outside = products.into_iter().flat_map(|sets| {
        if are_apart(&sets, by) {
            return vec![sets];
        }
        let (within, rest) = split(case, &sets, by);
        inside.extend(within);
        rest
    });
    outside.collect()
}

/// The headers with which a side lets some application through, or refuses one. They may overlap.
fn headers(
    case: &Compared,
    side: Side,
    wanted: Wanted,
    limits: &SolveLimits,
    with_open: bool,
) -> Vec<Sets> {
    let problem = one_sided(&case.problem, side, wanted, true);
    let boxes_kept = limits.boxes.min(MOST_HEADERS);
    let solution = solve(&problem, &SolveLimits { record: false, boxes: boxes_kept, ..*limits });
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
    let merged = merger.merge(numbered, Stop::default());
    let sets = merged.iter().map(|product| {
        let sets = fields.iter().zip(product.iter());
        let sets = sets.map(|(field, number)| ((*field).clone(), merger.set(*number).clone()));
        sets.filter(|(field, set)| *set != every(case, field)).collect()
    });
    sets.collect()
}
