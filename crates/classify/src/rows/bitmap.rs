//! Rows of bits, one bit a rule, with a summary that lets an intersection skip empty stretches.

use std::collections::HashMap;

use crate::bits::BitSet;

/// Equal rows are stored once.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Summary words, then the words, of one row after the other.
    words: Vec<u64>,
    bits: usize,
    summary_words: usize,
    row_words: usize,
}

/// A row of [`Rows`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RowId(u32);

impl Rows {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    fn row(&self, id: RowId) -> Row<'_> {
        let stride = self.summary_words + self.row_words;
        let row = &self.words[id.0 as usize * stride..][..stride];
        let (summary, words) = row.split_at(self.summary_words);
        Row { summary, words }
    }

    /// The lowest bit at or after `from` that is set in every one of `ids`.
    pub(crate) fn first_common(&self, ids: &[RowId], from: usize) -> Option<usize> {
        if from >= self.bits {
            return None;
        }
        let start = from / 64;
        for block in start / 64..self.summary_words {
            let mut live = ids.iter().fold(u64::MAX, |all, id| all & self.row(*id).summary[block]);
            if block == start / 64 {
                live &= u64::MAX << (start % 64);
            }
            while live != 0 {
                let word = block * 64 + live.trailing_zeros() as usize;
                live &= live - 1;
                let mut common =
                    ids.iter().fold(u64::MAX, |all, id| all & self.row(*id).words[word]);
                if word == start {
                    common &= u64::MAX << (from % 64);
                }
                if common != 0 {
                    return Some(word * 64 + common.trailing_zeros() as usize);
                }
            }
        }
        None
    }
}

struct Row<'a> {
    summary: &'a [u64],
    words: &'a [u64],
}

/// Collects rows while a rule base is compiled.
pub(crate) struct RowsBuilder {
    rows: Rows,
    known: HashMap<BitSet, RowId>,
}

impl RowsBuilder {
    pub(crate) fn new(bits: usize) -> Self {
        let row_words = bits.div_ceil(64).max(1);
        let summary_words = row_words.div_ceil(64);
        let rows = Rows { words: Vec::new(), bits, summary_words, row_words };
        Self { rows, known: HashMap::new() }
    }

    /// A row without any bit set, to be filled in and given to [`RowsBuilder::add`].
    pub(crate) fn blank(&self) -> BitSet {
        BitSet::empty(self.rows.bits.max(1))
    }

    pub(crate) fn add(&mut self, set: &BitSet) -> RowId {
        if let Some(id) = self.known.get(set) {
            return *id;
        }
        let id = RowId(self.known.len() as u32);
        let summary = set.words().chunks(64).map(|chunk| {
            let bits = chunk.iter().enumerate();
            bits.fold(0, |sum, (at, word)| sum | u64::from(*word != 0) << at)
        });
        self.rows.words.extend(summary);
        self.rows.words.extend_from_slice(set.words());
        self.known.insert(set.clone(), id);
        id
    }

    pub(crate) fn finish(mut self) -> Rows {
        self.rows.words.shrink_to_fit();
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_common_bit_is_found_across_words_and_blocks() {
        let mut builder = RowsBuilder::new(10_000);
        let (mut a, mut b) = (builder.blank(), builder.blank());
        for bit in (0..10_000).step_by(7) {
            a.set(bit);
        }
        for bit in (0..10_000).step_by(1000) {
            b.set(bit);
        }
        let (a, b) = (builder.add(&a), builder.add(&b));
        let rows = builder.finish();
        assert_eq!(rows.first_common(&[a, b], 0), Some(0));
        assert_eq!(rows.first_common(&[a, b], 1), Some(7000));
        assert_eq!(rows.first_common(&[a, b], 7000), Some(7000));
        assert_eq!(rows.first_common(&[a, b], 7001), None);
        assert_eq!(rows.first_common(&[], 9999), Some(9999));
        assert_eq!(rows.first_common(&[], 10_000), None);
    }
}
