//! Many narrow rules: hash tables over a few pairs of prefix lengths.
//!
//! A rule of one source and one destination prefix is an *entry* of a *tuple*, a pair of prefix
//! lengths no longer than its own. A packet is looked up in each tuple by its masked addresses;
//! what it finds there is a short run of entries in rule order.

use std::cmp::Reverse;
use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::table::Table32;

/// One source and one destination prefix of a rule.
///
/// IPv4 addresses take the first of four words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) src: [u32; 4],
    pub(crate) src_length: u8,
    pub(crate) dst: [u32; 4],
    pub(crate) dst_length: u8,
    /// What has to hold beside the addresses.
    pub(crate) condition: u16,
    pub(crate) rule: u32,
}

/// Hash tables for the entries of one address family.
#[derive(Debug)]
pub(crate) struct Tuples {
    /// Words of an address.
    pub(crate) words: usize,
    pub(crate) all: Vec<Tuple>,
    /// By slot: the first entry of a run and, in the lower [`RUN_BITS`], how many there are.
    pub(crate) index: Table32,
    /// [`Tuples::stride`] words an entry: source, destination, then condition (lower half) with
    /// source (upper byte) and destination prefix length, and the rule.
    pub(crate) entries: Table32,
}

/// One pair of prefix lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuple {
    pub(crate) src_mask: [u32; 4],
    pub(crate) dst_mask: [u32; 4],
    /// The first of its slots.
    pub(crate) base: u32,
    /// What is left of a hash after this shift is a slot.
    pub(crate) shift: u32,
    /// The first rule with an entry here.
    pub(crate) first_rule: u32,
}

/// Bits of an index word that count the entries of a run.
pub(crate) const RUN_BITS: u32 = 6;

/// The most tuples: each has a bit in the directories.
pub(crate) const MOST_TUPLES: usize = 16;

/// Entries of one key beyond which a tuple does not take them.
const MOST_OF_KEY: usize = 12;

/// Entries a sample for choosing tuples has.
const SAMPLE: usize = 8192;

/// Multipliers that spread addresses; odd, without a pattern.
pub(crate) const SPREAD: [u32; 3] = [0x9e37_79b1, 0x85eb_ca77, 0x2c1b_3c6d];

impl Tuples {
    /// Hash tables for `entries`, and the entries that no tuple takes.
    pub(crate) fn build(words: usize, entries: Vec<Entry>) -> (Self, Vec<Entry>) {
        let (chosen, left) = choose(words, entries);
        let mut left = left;
        let mut built = Self {
            words,
            all: Vec::new(),
            index: Table32::new(Vec::new()),
            entries: Table32::new(Vec::new()),
        };
        let (mut index, mut packed) = (Vec::new(), Vec::new());
        for (lengths, entries) in chosen {
            built.add(lengths, entries, (&mut index, &mut packed), &mut left);
        }
        built.index = Table32::new(index);
        built.entries = Table32::new(packed);
        (built, left)
    }

    /// Words of an entry.
    pub(crate) const fn stride(&self) -> usize {
        2 * self.words + 2
    }

    fn add(
        &mut self,
        (src_length, dst_length): (u8, u8),
        mut entries: Vec<Entry>,
        (index, packed): (&mut Vec<u32>, &mut Vec<u32>),
        left: &mut Vec<Entry>,
    ) {
        let bits = usize::BITS - (entries.len() * 2).leading_zeros();
        let tuple = Tuple {
            src_mask: mask(src_length, self.words),
            dst_mask: mask(dst_length, self.words),
            base: index.len() as u32,
            shift: 32 - bits.max(4),
            first_rule: 0,
        };
        let slot = |entry: &Entry| tuple.slot(self.words, &entry.src, &entry.dst);
        entries.sort_unstable_by_key(|entry| (slot(entry), entry.rule));
        let slots = 1usize << (32 - tuple.shift);
        let mut first_rule = u32::MAX;
        let start = index.len();
        index.resize(start + slots, 0);
        for run in entries.chunk_by(|a, b| slot(a) == slot(b)) {
            if run.len() >= 1 << RUN_BITS {
                left.extend_from_slice(run);
                continue;
            }
            let first = (packed.len() / self.stride()) as u32;
            index[slot(&run[0]) as usize] = first << RUN_BITS | run.len() as u32;
            for entry in run {
                entry.pack(self.words, packed);
                first_rule = first_rule.min(entry.rule);
            }
        }
        self.all.push(Tuple { first_rule, ..tuple });
    }

    /// The first rule at or after `from` with an entry that matches.
    pub(crate) fn next(
        &self,
        (src, dst): (&[u32; 4], &[u32; 4]),
        holds: impl Fn(u32) -> bool,
        from: u32,
    ) -> Option<u32> {
        let mut best = None;
        for tuple in &self.all {
            if best.is_some_and(|best| best < tuple.first_rule) {
                continue;
            }
            let slot = tuple.slot(self.words, src, dst);
            let run = self.index.at(slot as usize);
            let first = (run >> RUN_BITS) as usize;
            let count = (run & ((1 << RUN_BITS) - 1)) as usize;
            let found = (first..first + count).find_map(|at| {
                let entry = &self.entries.values()[at * self.stride()..][..self.stride()];
                let [lengths, rule] = entry[2 * self.words..] else { return None };
                let matches = rule >= from
                    && shares(&entry[..self.words], src, lengths >> 24)
                    && shares(&entry[self.words..], dst, lengths >> 16 & 0xff)
                    && holds(lengths & 0xffff);
                matches.then_some(rule)
            });
            best = [best, found].into_iter().flatten().min();
        }
        best
    }

    /// The packed entries of each tuple.
    pub(crate) fn entries_by_tuple(&self) -> impl Iterator<Item = impl Iterator<Item = &[u32]>> {
        self.all.iter().map(|tuple| {
            let slots = 1usize << (32 - tuple.shift);
            let runs = &self.index.values()[tuple.base as usize..][..slots];
            runs.iter().filter(|run| **run != 0).flat_map(|run| {
                let first = (run >> RUN_BITS) as usize * self.stride();
                let count = (run & ((1 << RUN_BITS) - 1)) as usize;
                self.entries.values()[first..][..count * self.stride()].chunks(self.stride())
            })
        })
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.index.memory_bytes() + self.entries.memory_bytes()
    }
}

impl Tuple {
    /// Where in the index the run for a pair of addresses is.
    #[inline]
    fn slot(&self, words: usize, src: &[u32; 4], dst: &[u32; 4]) -> u32 {
        let fold = |address: &[u32; 4], mask: &[u32; 4], spread: u32| {
            (0..words).fold(0u32, |sum, word| {
                (sum.rotate_left(11) ^ (address[word] & mask[word])).wrapping_mul(spread)
            })
        };
        let src = fold(src, &self.src_mask, SPREAD[0]);
        let dst = fold(dst, &self.dst_mask, SPREAD[1]).rotate_left(15);
        let mixed = src ^ dst;
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(SPREAD[2]);
        self.base + (mixed >> self.shift)
    }
}

impl Entry {
    fn pack(&self, words: usize, packed: &mut Vec<u32>) {
        packed.extend_from_slice(&self.src[..words]);
        packed.extend_from_slice(&self.dst[..words]);
        let lengths = u32::from(self.src_length) << 24 | u32::from(self.dst_length) << 16;
        packed.extend([lengths | u32::from(self.condition), self.rule]);
    }
}

/// Whether an address begins with the first `length` bits of `prefix`.
#[inline]
fn shares(prefix: &[u32], address: &[u32; 4], length: u32) -> bool {
    let mut left = length;
    prefix.iter().zip(address).all(|(prefix, address)| {
        let bits = left.min(32);
        left -= bits;
        // A shift by all 32 bits leaves nothing to differ.
        (prefix ^ address).checked_shr(32 - bits).unwrap_or(0) == 0
    })
}

/// The mask of a prefix length.
fn mask(length: u8, words: usize) -> [u32; 4] {
    let mut left = u32::from(length);
    std::array::from_fn(|word| {
        if word >= words {
            return 0;
        }
        let bits = left.min(32);
        left -= bits;
        u32::MAX.checked_shl(32 - bits).unwrap_or(0)
    })
}

/// The entries of each tuple, and the pair of prefix lengths it has.
type Chosen = Vec<((u8, u8), Vec<Entry>)>;

/// Chooses tuples greedily: each time the pair of prefix lengths that takes most of what is left,
/// judged on a sample, without long runs. `O(tuples × pairs of lengths × sample + entries)`.
fn choose(words: usize, entries: Vec<Entry>) -> (Chosen, Vec<Entry>) {
    let enough = (entries.len() / 500).max(1);
    let (mut left, mut chosen) = (entries, Chosen::new());
    while !left.is_empty() && chosen.len() < MOST_TUPLES {
        let step = left.len().div_ceil(SAMPLE);
        let sample: Vec<&Entry> = left.iter().step_by(step).collect();
        let (src_lengths, dst_lengths) =
            (lengths(&sample, |it| it.src_length), { lengths(&sample, |it| it.dst_length) });
        let most = (MOST_OF_KEY / step).max(1);
        let pairs = src_lengths.iter().flat_map(|src| dst_lengths.iter().map(|dst| (*src, *dst)));
        let taken = |pair: (u8, u8)| {
            let counts = count_keys(words, sample.iter().copied(), pair);
            counts.values().filter(|count| **count <= most).sum::<usize>() * step
        };
        // Of equal ones the coarsest: it takes more of what the sample does not show.
        let best = pairs
            .filter(|(src, dst)| u16::from(*src) + u16::from(*dst) >= 16)
            .map(|pair| (taken(pair), Reverse(u16::from(pair.0) + u16::from(pair.1)), pair))
            .max();
        let Some((count, _, pair)) = best.filter(|best| best.0 >= enough) else { break };
        let counts = count_keys(words, left.iter(), pair);
        let (taken, rest): (Vec<Entry>, Vec<Entry>) = left.iter().partition(|entry| {
            key(words, entry, pair).is_some_and(|key| counts[&key] <= MOST_OF_KEY)
        });
        if taken.len() < enough.min(count) {
            break;
        }
        chosen.push((pair, taken));
        left = rest;
    }
    (chosen, left)
}

/// The prefix lengths worth trying, ascending.
fn lengths(sample: &[&Entry], side: fn(&Entry) -> u8) -> Vec<u8> {
    let mut lengths: Vec<u8> = sample.iter().map(|entry| side(entry)).chain([0]).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths.retain(|length| *length == 0 || *length >= 12);
    lengths
}

type Key = ([u32; 4], [u32; 4]);

/// What an entry is found by in a tuple; `None` where its own prefixes are shorter.
fn key(words: usize, entry: &Entry, (src_length, dst_length): (u8, u8)) -> Option<Key> {
    if entry.src_length < src_length || entry.dst_length < dst_length {
        return None;
    }
    let (src_mask, dst_mask) = (mask(src_length, words), mask(dst_length, words));
    let masked = |address: &[u32; 4], mask: &[u32; 4]| {
        std::array::from_fn(|word| address[word] & mask[word])
    };
    Some((masked(&entry.src, &src_mask), masked(&entry.dst, &dst_mask)))
}

fn count_keys<'a>(
    words: usize,
    entries: impl Iterator<Item = &'a Entry>,
    pair: (u8, u8),
) -> HashMap<Key, usize, FixedState> {
    let mut counts: HashMap<Key, usize, FixedState> = HashMap::default();
    entries.filter_map(|entry| key(words, entry, pair)).for_each(|key| {
        *counts.entry(key).or_default() += 1;
    });
    counts
}
