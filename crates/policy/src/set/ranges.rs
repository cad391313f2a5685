//! Sets of numbers, as every field of a match is compared in an analysis or a comparison.

/// A set of numbers: sorted, disjoint, non-adjacent inclusive ranges.
///
/// Addresses, ports, protocols and identifiers alike become such numbers, so that one arithmetic
/// serves every field.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// The numbers `first..=last`; empty when the bounds run backwards.
    pub fn span(first: u128, last: u128) -> Self {
        Self(if first <= last { vec![(first, last)] } else { Vec::new() })
    }

    /// One number.
    pub fn one(value: impl Into<u128>) -> Self {
        let value = value.into();
        Self::span(value, value)
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, both bounds inclusive.
    pub fn as_slice(&self) -> &[(u128, u128)] {
        &self.0
    }

    /// How many ranges: what work on the set costs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The least and the greatest number; `None` for the empty set.
    pub fn hull(&self) -> Option<(u128, u128)> {
        Some((self.0.first()?.0, self.0.last()?.1))
    }

    /// Whether a number is in the set. `O(log ranges)`.
    pub fn contains(&self, value: u128) -> bool {
        let at = self.0.partition_point(|range| range.1 < value);
        self.0.get(at).is_some_and(|range| range.0 <= value)
    }

    /// Whether every number of `other` is in this set. `O(ranges of other × log ranges)`.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|&(first, last)| {
            let at = self.0.partition_point(|range| range.1 < last);
            self.0.get(at).is_some_and(|range| range.0 <= first)
        })
    }

    /// Whether some number is in both sets. `O(ranges of the shorter × log ranges of the longer)`.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        few.0.iter().any(|&(first, last)| {
            let at = many.0.partition_point(|range| range.1 < first);
            many.0.get(at).is_some_and(|range| range.0 <= last)
        })
    }

    /// Both sets together.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut i, mut j) = (0, 0);
        let mut found = Vec::new();
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                found.push((first, last));
            }
            if a.1 < b.1 {
                i += 1;
            } else {
                j += 1;
            }
        }
        Self(found)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut found = Vec::new();
        let mut next = 0;
        for &(first, last) in &self.0 {
            let mut start = Some(first);
            while let Some(cut) = other.0.get(next) {
                let Some(from) = start else { break };
                if cut.1 < from {
                    next += 1;
                    continue;
                }
                if cut.0 > last {
                    break;
                }
                if from < cut.0 {
                    found.push((from, cut.0 - 1));
                }
                start = cut.1.checked_add(1).filter(|start| *start <= last);
            }
            if let Some(start) = start {
                found.push((start, last));
            }
        }
        Self(found)
    }

    /// Some number of the set, picked by `seed` among its ranges and their ends; `None` when empty.
    pub fn pick(&self, seed: u64) -> Option<u128> {
        let (first, last) = *self.0.get(seed as usize % self.0.len().max(1))?;
        let inside = u128::from(seed.rotate_left(23)) << 64 | u128::from(seed);
        Some(match seed >> 60 {
            0..4 => first,
            4..8 => last,
            _ => (last - first).checked_add(1).map_or(inside, |count| first + inside % count),
        })
    }
}

/// Any ranges, in any order; those that run backwards are left out.
impl FromIterator<(u128, u128)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u128, u128)>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(before) if before.1.checked_add(1).is_none_or(|next| first <= next) => {
                    before.1 = before.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Bits of a small universe at both ends of the numbers: 0..16 and the last 16.
    fn universe() -> impl Iterator<Item = u128> {
        (0..16).chain(u128::MAX - 15..=u128::MAX)
    }

    fn ranges() -> impl Strategy<Value = Ranges> {
        let value = || prop_oneof![0..16u128, u128::MAX - 15..=u128::MAX];
        vec((value(), value()), 0..5).prop_map(|ranges| ranges.into_iter().collect())
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_single_numbers(a in ranges(), b in ranges(), seed: u64) {
            let (both, rest) = (a.intersection(&b), a.difference(&b));
            for value in universe() {
                let (in_a, in_b) = (a.contains(value), b.contains(value));
                prop_assert_eq!(both.contains(value), in_a && in_b);
                prop_assert_eq!(rest.contains(value), in_a && !in_b);
            }
            prop_assert_eq!(a.overlaps(&b), !both.is_empty());
            prop_assert_eq!(b.covers(&a), rest.is_empty());
            prop_assert_eq!(a.pick(seed).is_none(), a.is_empty());
            prop_assert!(a.pick(seed).is_none_or(|value| a.contains(value)));
        }
    }

    #[test]
    fn touching_ranges_become_one() {
        let set: Ranges = [(4, 9), (0, 3), (20, 10)].into_iter().collect();
        assert_eq!(set, Ranges::span(0, 9));
        assert_eq!(set.hull(), Some((0, 9)));
    }
}
