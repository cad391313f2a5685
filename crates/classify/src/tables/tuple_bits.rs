//! Where tuples have entries: what keeps packets from being looked up in all of them.

use super::condition::Conditions;
use super::table::Table;
use super::tuples::{SPREAD, Tuples};

/// How many values 16 bits have.
const UPPER: usize = 1 << 16;

/// Where each IPv4 tuple has entries: what keeps packets from being looked up in all of them.
pub(super) struct TupleBits {
    pub(super) src: Vec<u16>,
    pub(super) dst: Vec<u16>,
    pub(super) classes: Vec<u16>,
}

impl TupleBits {
    pub(super) fn of(tuples: &Tuples, conditions: &Conditions) -> Self {
        let mut bits =
            Self { src: vec![0; UPPER], dst: vec![0; UPPER], classes: vec![0; conditions.count] };
        for (at, tuple) in tuples.entries_by_tuple().enumerate() {
            let bit = 1u16 << at;
            let (mut src, mut dst) = (vec![0i32; UPPER + 1], vec![0i32; UPPER + 1]);
            let mut seen = vec![false; conditions.classes_of.len()];
            for packed in tuple {
                let [from, to, lengths, _] = *packed else { continue };
                for (marks, prefix, length) in
                    [(&mut src, from, lengths >> 24), (&mut dst, to, lengths >> 16 & 0xff)]
                {
                    let upper = prefix >> 16;
                    let count = 1u32 << 16u32.saturating_sub(length);
                    marks[upper as usize] += 1;
                    marks[(upper + count) as usize] -= 1;
                }
                let condition = (lengths & 0xffff) as usize;
                if !std::mem::replace(&mut seen[condition], true) {
                    let held = conditions.classes_of[condition].iter();
                    held.for_each(|class| bits.classes[class] |= bit);
                }
            }
            spread(&src, bit, &mut bits.src);
            spread(&dst, bit, &mut bits.dst);
        }
        bits
    }
}

/// Sets a bit wherever more ranges have begun than ended.
fn spread(marks: &[i32], bit: u16, bits: &mut [u16]) {
    let mut open = 0;
    for (slot, mark) in bits.iter_mut().zip(marks) {
        open += mark;
        if open > 0 {
            *slot |= bit;
        }
    }
}

/// The same for IPv6, by a hash of the first 48 bits of an address.
#[derive(Debug)]
pub(crate) struct TupleBitsV6 {
    pub(crate) src: Table,
    pub(crate) dst: Table,
    /// By condition class.
    pub(crate) classes: Table,
}

/// Hashes that the entries of one side of a tuple may take; with more, the tuple is looked up
/// wherever the address is.
const MOST_HASHED: u64 = 1 << 22;

impl Default for TupleBitsV6 {
    fn default() -> Self {
        let none = || Table::none();
        Self { src: none(), dst: none(), classes: none() }
    }
}

impl TupleBitsV6 {
    pub(super) fn of(tuples: &Tuples, conditions: &Conditions) -> Self {
        if tuples.all.is_empty() {
            return Self::default();
        }
        let (mut src, mut dst) = (vec![0; UPPER], vec![0; UPPER]);
        let mut classes = vec![0; conditions.count];
        for (at, tuple) in tuples.entries_by_tuple().enumerate() {
            let bit = 1u16 << at;
            let mut sides = [Vec::new(), Vec::new()];
            let mut seen = vec![false; conditions.classes_of.len()];
            for packed in tuple {
                let [from0, from1, .., lengths, _] = *packed else { continue };
                let (to0, to1) = (packed[tuples.words], packed[tuples.words + 1]);
                sides[0].push((from0, from1, lengths >> 24));
                sides[1].push((to0, to1, lengths >> 16 & 0xff));
                let condition = (lengths & 0xffff) as usize;
                if !std::mem::replace(&mut seen[condition], true) {
                    let held = conditions.classes_of[condition].iter();
                    held.for_each(|class| classes[class] |= bit);
                }
            }
            let [from, to] = sides;
            mark(from, bit, &mut src);
            mark(to, bit, &mut dst);
        }
        Self { src: Table::new(&src), dst: Table::new(&dst), classes: Table::new(&classes) }
    }

    /// Where the bits of an address are, by its first two words.
    pub(crate) const fn hash(first: u32, second: u32) -> u32 {
        (first.wrapping_mul(SPREAD[0]) ^ (second >> 16).wrapping_mul(SPREAD[1])) >> 16
    }

    pub(super) fn memory_bytes(&self) -> usize {
        [&self.src, &self.dst, &self.classes].into_iter().map(Table::memory_bytes).sum()
    }
}

/// Sets a bit wherever an address of one of the prefixes may hash.
fn mark(mut prefixes: Vec<(u32, u32, u32)>, bit: u16, bits: &mut [u16]) {
    prefixes.sort_unstable();
    prefixes.dedup();
    let hashes = |length: u32| 1u64 << 48u32.saturating_sub(length);
    let count = prefixes.iter().map(|it| hashes(it.2)).fold(0, u64::saturating_add);
    if count > MOST_HASHED {
        for slot in bits {
            *slot |= bit;
        }
        return;
    }
    for (first, second, length) in prefixes {
        let start = u64::from(first) << 16 | u64::from(second) >> 16;
        for upper in start..start + hashes(length) {
            let hash = TupleBitsV6::hash((upper >> 16) as u32, (upper as u32) << 16);
            bits[hash as usize] |= bit;
        }
    }
}
