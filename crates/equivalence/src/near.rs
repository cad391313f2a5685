//! Which entries of a list match some point of a product of sets, without a look at each.
//!
//! The classes of each dimension are divided among 64 buckets. A row of bits, one for each entry,
//! says for each bucket which entries may match a class in it, so that few words tell the few
//! entries worth a look.

use parefeu_policy::set::Ranges;

use crate::problem::{Entry, List, Problem};

/// The entries of a list by the classes they match.
pub(crate) struct Near<'a> {
    problem: &'a Problem,
    entries: &'a [Entry],
    /// Of each dimension, how far right a class is shifted to be the number of a bucket.
    shifts: Vec<u32>,
    /// Of each dimension that some entry narrows, bucket by bucket, a bit for each entry.
    rows: Vec<Vec<u64>>,
}

/// Buckets of a dimension: as many as bits of a word.
const BUCKETS: usize = 64;

impl<'a> Near<'a> {
    /// `O(entries × ranges of their sets)` and eight bytes for each entry and dimension.
    pub(crate) fn new(problem: &'a Problem, list: &'a List) -> Self {
        let entries = &list.entries[..];
        let words = entries.len().div_ceil(64);
        let shift = |classes: u32| {
            let bits = u32::BITS - (classes - 1).leading_zeros();
            bits.saturating_sub(BUCKETS.ilog2())
        };
        let shifts: Vec<u32> = problem.dimensions.iter().map(|it| shift(it.classes())).collect();
        let mut rows = vec![Vec::new(); shifts.len()];
        let narrowed = entries.iter().flat_map(|entry| &entry.sets);
        narrowed.for_each(|(dimension, _)| rows[dimension.0 as usize].resize(BUCKETS * words, 0));
        for (at, entry) in entries.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            for (number, row) in rows.iter_mut().enumerate().filter(|(_, row)| !row.is_empty()) {
                let own = entry.sets.iter().find(|(dimension, _)| dimension.0 as usize == number);
                let classes = own.map(|(_, set)| problem.sets[set.0 as usize].iter());
                let ranges = classes.map(|it| it.map(|&(low, high)| (low.into(), high.into())));
                let met = ranges.map_or(u64::MAX, |ranges| buckets(ranges, shifts[number]));
                for bucket in (0..BUCKETS).filter(|bucket| met >> bucket & 1 == 1) {
                    row[bucket * words + word] |= bit;
                }
            }
        }
        Self { problem, entries, shifts, rows }
    }

    /// The entries that match some point of a product of sets of classes, one for each dimension:
    /// with their indices, ascending, and whether they match all of it.
    pub(crate) fn meeting<'b>(
        &'b self,
        area: &'b [&'b Ranges],
    ) -> impl Iterator<Item = (u32, &'a Entry, bool)> + 'b {
        let words = self.entries.len().div_ceil(64);
        // Dimensions, of each the rows of its buckets; one that has all buckets tells nothing.
        let dimensions = self.rows.iter().zip(area).zip(&self.shifts);
        let dimensions = dimensions.filter(|((row, _), _)| !row.is_empty());
        let rows = dimensions
            .map(|((row, area), shift)| (row, buckets(area.as_slice().iter().copied(), *shift)));
        let rows: Vec<Vec<&[u64]>> = rows
            .filter(|(_, met)| *met != u64::MAX)
            .map(|(row, met)| {
                let met = (0..BUCKETS).filter(|bucket| met >> bucket & 1 == 1);
                met.map(|bucket| &row[bucket * words..][..words]).collect()
            })
            .collect();
        let candidates = (0..words).flat_map(move |word| {
            let left = self.entries.len() - word * 64;
            let all = u64::MAX >> 64usize.saturating_sub(left);
            let any = |rows: &Vec<&[u64]>| rows.iter().fold(0, |any, row| any | row[word]);
            let mut bits = rows.iter().fold(all, |bits, rows| bits & any(rows));
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                bits &= bits - 1;
                Some(word as u32 * 64 + bit)
            })
        });
        candidates.filter_map(|at| {
            let entry = &self.entries[at as usize];
            Some((at, entry, self.matches(entry, area)?))
        })
    }

    /// Whether an entry matches every point; `None` when it matches none.
    fn matches(&self, entry: &Entry, area: &[&Ranges]) -> Option<bool> {
        let mut covers = true;
        for (dimension, set) in &entry.sets {
            let classes = &self.problem.sets[set.0 as usize];
            let area = area[dimension.0 as usize].as_slice();
            if !overlap(classes, area) {
                return None;
            }
            covers = covers && hold(classes, area);
        }
        Some(covers)
    }
}

/// The buckets that some ranges of classes have a part in.
fn buckets(ranges: impl Iterator<Item = (u128, u128)>, shift: u32) -> u64 {
    ranges.fold(0, |met, (low, high)| {
        let (first, last) = ((low >> shift) as u32, (high >> shift) as u32);
        met | u64::MAX >> (63 - (last - first)) << first
    })
}

/// Whether some class is in both sets. `O(ranges of the shorter × log ranges of the longer)`.
fn overlap(one: &[(u32, u32)], other: &[(u128, u128)]) -> bool {
    if one.len() <= other.len() {
        one.iter().any(|&(low, high)| {
            let at = other.partition_point(|range| range.1 < low.into());
            other.get(at).is_some_and(|range| range.0 <= high.into())
        })
    } else {
        other.iter().any(|&(low, high)| {
            let at = one.partition_point(|range| u128::from(range.1) < low);
            one.get(at).is_some_and(|range| u128::from(range.0) <= high)
        })
    }
}

/// Whether each class of the second set is in the first.
fn hold(one: &[(u32, u32)], other: &[(u128, u128)]) -> bool {
    other.iter().all(|&(low, high)| {
        let at = one.partition_point(|range| u128::from(range.1) < high);
        one.get(at).is_some_and(|range| u128::from(range.0) <= low)
    })
}
