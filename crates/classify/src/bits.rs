//! Sets of small numbers, one bit each.

/// A set of numbers below a bound fixed when it is made.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct BitSet(Box<[u64]>);

impl BitSet {
    /// The empty set of numbers below `bound`.
    pub(crate) fn empty(bound: usize) -> Self {
        Self(vec![0; bound.div_ceil(64)].into())
    }

    /// Some numbers below `bound`.
    pub(crate) fn of(bound: usize, numbers: impl IntoIterator<Item = usize>) -> Self {
        let mut set = Self::empty(bound);
        for number in numbers {
            set.set(number);
        }
        set
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.0
    }

    pub(crate) fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn clear(&mut self, bit: usize) {
        self.0[bit / 64] &= !(1 << (bit % 64));
    }

    pub(crate) fn contains(&self, bit: usize) -> bool {
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// What is in both sets, which have the same bound.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine & theirs).collect())
    }

    /// Takes out what is in `other` and returns it.
    pub(crate) fn take(&mut self, other: &Self) -> Self {
        let taken = self.intersection(other);
        self.0.iter_mut().zip(&taken.0).for_each(|(word, taken)| *word &= !taken);
        taken
    }

    /// The numbers in the set, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let rest = std::iter::successors((word != 0).then_some(word), |word| {
                let next = word & (word - 1);
                (next != 0).then_some(next)
            });
            rest.map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_what_both_hold() {
        let mut set = BitSet::of(200, [0, 63, 64, 199]);
        let other = BitSet::of(200, [63, 70, 199]);
        let taken = set.take(&other);
        assert_eq!(taken.iter().collect::<Vec<_>>(), [63, 199]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64]);
        assert_eq!((set.contains(64), set.is_empty()), (true, false));
    }
}
