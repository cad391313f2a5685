//! Which entries of a list match some point of a product of sets, without a look at each.
//!
//! The classes of each dimension are divided among buckets. A row of bits, one for each entry, says
//! for each bucket which entries may match a class in it, so that few words tell the few entries
//! worth a look.

use std::borrow::Borrow;

use parefeu_policy::set::Ranges;

use crate::problem::{Dimension, DimensionId, Entry, List, Problem, Set, SetId};

/// The entries of a list by the classes they match.
pub(crate) struct Near<'a> {
    sets: &'a [Ranges],
    entries: &'a [Entry],
    /// Of each dimension, how far right a class is shifted to be the number of a bucket.
    shifts: Vec<u32>,
    /// Of each dimension that some entry narrows, bucket by bucket, a bit for each entry; the first
    /// row is for entries that match classes of many buckets, as all that do not narrow it.
    rows: Vec<Vec<u64>>,
}

/// Buckets of a dimension, at most.
const BUCKETS: u32 = 512;

/// Buckets of a dimension that one product or one entry has a part in. More of them tell little.
const MOST_MET: usize = 16;

/// Words looked at side by side.
const WORDS: usize = 32;

/// Classes as numbers of any width.
pub(crate) fn ranges(classes: &Set) -> Ranges {
    classes.iter().map(|&(low, high)| (low.into(), high.into())).collect()
}

impl<'a> Near<'a> {
    /// `O(entries × dimensions)`; 64 bytes for each entry and dimension at most.
    ///
    /// `sets` are those of the problem.
    pub(crate) fn new(problem: &Problem, sets: &'a [Ranges], list: &'a List) -> Self {
        let entries = &list.entries[..];
        let words = entries.len().div_ceil(64);
        let classes: Vec<u32> = problem.dimensions.iter().map(Dimension::classes).collect();
        let shift = |classes: &u32| {
            let bits = u32::BITS - (classes - 1).leading_zeros();
            bits.saturating_sub(BUCKETS.ilog2())
        };
        let shifts: Vec<u32> = classes.iter().map(shift).collect();
        let mut rows = vec![Vec::new(); shifts.len()];
        for (dimension, _) in entries.iter().flat_map(|entry| &entry.sets) {
            let at = dimension.0 as usize;
            let buckets = ((classes[at] - 1) >> shifts[at]) as usize + 1;
            rows[at].resize(words * (buckets + 1), 0);
        }
        for (at, entry) in entries.iter().enumerate() {
            let (word, bit) = (at / 64, 1 << (at % 64));
            for (number, rows) in rows.iter_mut().enumerate().filter(|(_, rows)| !rows.is_empty()) {
                let own = entry.sets.iter().find(|(dimension, _)| dimension.0 as usize == number);
                let met = own.and_then(|(_, set)| buckets(&sets[set.0 as usize], shifts[number]));
                match met {
                    Some(met) => met.iter().for_each(|bucket| {
                        rows[(bucket + 1) * words + word] |= bit;
                    }),
                    None => rows[word] |= bit,
                }
            }
        }
        Self { sets, entries, shifts, rows }
    }

    /// The entries that match some point of a product of sets of classes, one for each dimension:
    /// with their indices, ascending, and whether they match all of it.
    pub(crate) fn meeting<'b>(
        &'b self,
        area: &'b [&'b Ranges],
    ) -> impl Iterator<Item = (u32, &'a Entry, bool)> + 'b {
        let words = self.entries.len().div_ceil(64);
        let dimensions = self.rows.iter().zip(area).zip(&self.shifts);
        let narrow: Vec<Vec<&[u64]>> = dimensions
            .filter_map(|((rows, area), shift)| {
                let met = buckets(area, *shift).filter(|_| !rows.is_empty())?;
                // A product with a part in every bucket leaves no entry out.
                if (met.len() + 1) * words == rows.len() {
                    return None;
                }
                let met = met.into_iter().map(|bucket| bucket + 1);
                let row = |at: usize| &rows[at * words..][..words];
                Some([0].into_iter().chain(met).map(row).collect())
            })
            .collect();
        let candidates = (0..words).step_by(WORDS).flat_map(move |first| {
            let last = words.min(first + WORDS);
            let mut bits = [u64::MAX; WORDS];
            for rows in &narrow {
                let mut any = [0; WORDS];
                for row in rows {
                    any.iter_mut().zip(&row[first..last]).for_each(|(any, row)| *any |= row);
                }
                bits.iter_mut().zip(any).for_each(|(bits, any)| *bits &= any);
            }
            (first..last).zip(bits).flat_map(|(word, mut bits)| {
                std::iter::from_fn(move || {
                    let bit = (bits != 0).then(|| bits.trailing_zeros())?;
                    bits &= bits - 1;
                    Some(word as u32 * 64 + bit)
                })
            })
        });
        candidates.filter_map(|at| {
            // Where nothing told entries apart, bits behind the last one are set too.
            let entry = self.entries.get(at as usize)?;
            let covers = matches(entry, area, |_, set| &self.sets[set.0 as usize])?;
            Some((at, entry, covers))
        })
    }
}

/// Whether an entry matches every point of a product of sets, one for each dimension; `None` when
/// it matches none. The sets are of classes or of values, those of the entry as those of the
/// product.
pub(crate) fn matches<S: Borrow<Ranges>>(
    entry: &Entry,
    area: &[&Ranges],
    set_of: impl Fn(DimensionId, SetId) -> S,
) -> Option<bool> {
    let mut covers = true;
    for &(dimension, set) in &entry.sets {
        let (own, area) = (set_of(dimension, set), area[dimension.0 as usize]);
        if !own.borrow().overlaps(area) {
            return None;
        }
        covers = covers && own.borrow().covers(area);
    }
    Some(covers)
}

/// The buckets that a set of classes has a part in; `None` for too many.
fn buckets(classes: &Ranges, shift: u32) -> Option<Vec<usize>> {
    let mut met = Vec::new();
    for &(low, high) in classes.as_slice() {
        let (low, high) = ((low >> shift) as usize, (high >> shift) as usize);
        let low = met.last().map_or(low, |last| low.max(last + 1));
        if (high + 1).saturating_sub(low) + met.len() > MOST_MET {
            return None;
        }
        met.extend(low..=high);
    }
    Some(met)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::problem::{Field, Origin, OutcomeId, Step};

    /// Classes of the two dimensions: more than there are buckets, and fewer.
    const CLASSES: [u32; 2] = [1500, 7];

    /// Up to three ranges of classes of a dimension.
    fn classes(dimension: usize) -> impl Strategy<Value = Ranges> {
        let last = u128::from(CLASSES[dimension] - 1);
        let range = (0..=last, 0..300u128).prop_map(move |(low, more)| (low, last.min(low + more)));
        vec(range, 1..4).prop_map(|ranges| ranges.into_iter().collect())
    }

    fn problem(entries: &[[Option<Ranges>; 2]]) -> Problem {
        let mut sets = Vec::new();
        let mut set = |classes: &Ranges| {
            let classes = classes.as_slice().iter();
            sets.push(classes.map(|&(low, high)| (low as u32, high as u32)).collect());
            SetId(sets.len() as u32 - 1)
        };
        let entries = entries.iter().map(|sides| {
            let sets = (0..).map(DimensionId).zip(sides);
            let sets = sets.filter_map(|(at, side)| Some((at, set(side.as_ref()?))));
            let step = Step::Decide(OutcomeId(0));
            Entry { sets: sets.collect(), step, origin: Origin::default() }
        });
        let entries: Vec<Entry> = entries.collect();
        let dimensions = [Field::Src, Field::Dst].into_iter().zip(CLASSES);
        let dimensions = dimensions.map(|(field, count)| {
            let last = u128::from(count - 1);
            Dimension { field, starts: (0..=last).collect(), last }
        });
        Problem { dimensions: dimensions.collect(), sets, old: List { entries }, ..empty() }
    }

    fn empty() -> Problem {
        Problem {
            dimensions: Vec::new(),
            sets: Vec::new(),
            outcomes: Vec::new(),
            applications: Vec::new(),
            moments: Vec::new(),
            old: List { entries: Vec::new() },
            new: List { entries: Vec::new() },
        }
    }

    proptest! {
        /// Rows of bits leave out no entry that reading all of them finds.
        #[test]
        fn entries_that_meet_a_product_are_found(
            entries in vec([option::of(classes(0)), option::of(classes(1))], 0..200),
            areas in vec((classes(0), classes(1)), 1..10),
        ) {
            let problem = problem(&entries);
            let sets: Vec<Ranges> = problem.sets.iter().map(ranges).collect();
            let near = Near::new(&problem, &sets, &problem.old);
            for (src, dst) in &areas {
                let area = [src, dst];
                let found: Vec<(u32, bool)> =
                    near.meeting(&area).map(|(at, _, covers)| (at, covers)).collect();
                let sides = |sides: &[Option<Ranges>; 2], test: fn(&Ranges, &Ranges) -> bool| {
                    let both = sides.iter().zip(area);
                    both.clone().all(|(own, area)| own.as_ref().is_none_or(|own| test(own, area)))
                };
                let expected = (0..).zip(&entries).filter(|(_, it)| sides(it, Ranges::overlaps));
                let expected: Vec<(u32, bool)> =
                    expected.map(|(at, it)| (at, sides(it, Ranges::covers))).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
