//! Two lists merged into one, entries that do the same on both sides paired.
//!
//! Let the pairs be in one order on both sides. A point that no unpaired entry matches meets the
//! same entries in the same order on both sides, hence one fate: only points that an unpaired entry
//! matches need to be looked at, and no index of earlier rules is needed to say so.

use std::collections::HashMap;

use crate::lines::{LineStep, Lines};
use crate::outcome::Outcomes;
use crate::problem::{DimensionId, Entry, Problem, SetId, Step};

/// A line of the merged list: its index in the old list, in the new list, or in both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Merged {
    /// Index in each list, old and new.
    pub(crate) index: [Option<u32>; 2],
    /// For a skip, the place in the merged list where it goes on, on each side.
    pub(crate) target: [u32; 2],
}

/// The merged list, in which the order of each side is kept: of the pairs, which ascend in the
/// first number, those that ascend in the second too are one line.
pub(crate) fn merge(lines: &Lines, pairs: &[(u32, u32)]) -> Vec<Merged> {
    let mut merged: Vec<Merged> = Vec::new();
    let mut places = lines.sides.each_ref().map(|side| Vec::with_capacity(side.len() + 1));
    let ends = lines.sides.each_ref().map(|side| side.len() as u32);
    let mut next = [0, 0];
    for pair in in_order(lines, pairs).into_iter().map(Some).chain([None]) {
        let until = pair.map_or(ends, |(old, new)| [old, new]);
        for (side, places) in places.iter_mut().enumerate() {
            for at in next[side]..until[side] {
                places.push(merged.len() as u32);
                let mut index = [None; 2];
                index[side] = Some(at);
                merged.push(Merged { index, target: [0; 2] });
            }
            next[side] = until[side] + 1;
        }
        for places in &mut places {
            places.push(merged.len() as u32);
        }
        if pair.is_some() {
            merged.push(Merged { index: until.map(Some), target: [0; 2] });
        }
    }
    for entry in &mut merged {
        for (side, places) in places.iter().enumerate() {
            let step = entry.index[side].map(|at| lines.sides[side][at as usize].step);
            if let Some(LineStep::Skip(to)) = step {
                entry.target[side] = places[to as usize];
            }
        }
    }
    merged
}

/// What makes two entries alike. Skips are told apart by where they go on later.
type Key<'a> = (&'a [(DimensionId, SetId)], Option<u32>);

fn key<'a>(entry: &'a Entry, outcomes: &Outcomes) -> Key<'a> {
    let outcome = match entry.step {
        Step::Decide(outcome) => Some(outcomes.number(outcome)),
        Step::Skip(_) => None,
    };
    (&entry.sets, outcome)
}

/// The entries that are alike, ascending on the old side.
pub(crate) fn alike(problem: &Problem, outcomes: &Outcomes) -> Vec<(u32, u32)> {
    let mut places: HashMap<Key<'_>, (usize, Vec<u32>)> = HashMap::new();
    for (at, entry) in (0..).zip(&problem.new.entries) {
        places.entry(key(entry, outcomes)).or_default().1.push(at);
    }
    let mut alike = Vec::new();
    for (at, entry) in (0..).zip(&problem.old.entries) {
        if let Some((used, places)) = places.get_mut(&key(entry, outcomes))
            && let Some(place) = places.get(*used)
        {
            alike.push((at, *place));
            *used += 1;
        }
    }
    alike
}

/// Of the pairs, those that are in order on both sides.
fn in_order(lines: &Lines, pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let pairs = longest_increasing(pairs);
    // Two skips are one if they go on before the same pair. Taking a pair away keeps that.
    let same_target = |&(old, new): &(u32, u32)| {
        let [old, new] = [(0, old), (1, new)].map(|(side, at)| lines.sides[side][at as usize].step);
        match (old, new) {
            (LineStep::Skip(old), LineStep::Skip(new)) => {
                pairs.partition_point(|pair| pair.0 < old)
                    == pairs.partition_point(|pair| pair.1 < new)
            }
            _ => true,
        }
    };
    pairs.iter().copied().filter(same_target).collect()
}

/// The longest part of the pairs that ascends in the second number too.
fn longest_increasing(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    // For each length, the pair with the least second number that ends a run of that length.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = Vec::with_capacity(pairs.len());
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < pair.1);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut run: Vec<_> =
        std::iter::successors(ends.last().copied(), |at| before[*at]).map(|at| pairs[at]).collect();
    run.reverse();
    run
}
