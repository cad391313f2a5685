//! Whether several cells together hold another one, exactly, within a budget of work.

use super::cell::Cell;

/// The answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Covered {
    /// Every packet is held; these candidates were enough, in their order.
    By(Vec<usize>),
    /// Some packet is held by none.
    No,
    /// The budget ran out first.
    NotDecided,
}

/// Packets tried before the exact answer is worked out: most questions end with one of them.
const PROBES: u64 = 24;

/// Whether every packet of `cell` is in one of `candidates`, all of which overlap it.
///
/// The cell is cut along the candidates, those that take most of it first; a piece that is left
/// over ends the search. Every comparison and every range written takes one from `budget`.
pub(super) fn cover(cell: &Cell, candidates: &[&Cell], budget: &mut u64) -> Covered {
    for seed in 0..PROBES {
        let point = cell.pick(seed);
        if !spend(budget, candidates.len() as u64) {
            return Covered::NotDecided;
        }
        if !candidates.iter().any(|it| it.contains(&point)) {
            return Covered::No;
        }
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|id| std::cmp::Reverse(candidates[*id].fields_covering(cell)));
    let mut used = vec![false; candidates.len()];
    let mut open = vec![(cell.clone(), 0)];
    let mut pieces = Vec::new();
    while let Some((piece, start)) = open.pop() {
        let mut next = start;
        let hit = loop {
            let Some(&id) = order.get(next) else { return Covered::No };
            if !spend(budget, 1) {
                return Covered::NotDecided;
            }
            next += 1;
            if candidates[id].overlaps(&piece) {
                break id;
            }
        };
        used[hit] = true;
        let cost = piece.subtract(candidates[hit], &mut pieces);
        if !spend(budget, cost) {
            return Covered::NotDecided;
        }
        open.extend(pieces.drain(..).map(|piece| (piece, next)));
    }
    Covered::By((0..candidates.len()).filter(|id| used[*id]).collect())
}

fn spend(budget: &mut u64, work: u64) -> bool {
    let left = budget.checked_sub(work);
    *budget = left.unwrap_or(0);
    left.is_some()
}
