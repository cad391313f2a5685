//! Rules that came after the compiled ones, found by hash.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parefeu_policy::{LinkedAddresses, LinkedMatch, LinkedSchedule, PacketKey, Truth};

use super::RuleHandle;
use super::order::Order;
use super::trie::Trie;
use crate::wanted;

/// A rule with its place.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub(super) order: Order,
    pub(super) rule: RuleHandle,
    pub(super) matches: Arc<LinkedMatch>,
}

/// Added rules, in order wherever they stand together. Clones share what they have in common.
#[derive(Clone, Debug)]
pub(super) struct AddedRules {
    /// By a hash of the shape and the masked addresses.
    hashed: Trie<Added>,
    /// How many entries each shape has.
    shapes: [u32; SHAPES],
    /// Rules of too many prefixes.
    wide: Arc<[Added]>,
}

impl Default for AddedRules {
    fn default() -> Self {
        Self { hashed: Trie::default(), shapes: [0; SHAPES], wide: Arc::new([]) }
    }
}

/// What one side of a rule is hashed by: a family and a prefix length, the longest of these that
/// the rule's own is not shorter than.
const SIDES: [(u32, u8); 8] =
    [(32, 0), (32, 16), (32, 24), (32, 32), (128, 0), (128, 32), (128, 64), (128, 128)];

/// A way to be hashed on each side.
const SHAPES: usize = SIDES.len() * SIDES.len();

/// Entries one rule may have; rules with more are read one by one.
const MOST_ENTRIES: usize = 32;

impl AddedRules {
    pub(super) fn insert(&mut self, added: &Added) {
        let with = |rules: &[Added]| {
            let at = rules.partition_point(|it| it.order < added.order);
            let mut rules = rules.to_vec();
            rules.insert(at, added.clone());
            rules
        };
        self.change(&added.matches, with, 1);
    }

    pub(super) fn remove(&mut self, matches: &LinkedMatch, order: Order) {
        let without = |rules: &[Added]| {
            rules.iter().filter(|it| it.order != order).cloned().collect::<Vec<_>>()
        };
        self.change(matches, without, -1);
    }

    fn change(
        &mut self,
        matches: &LinkedMatch,
        change: impl Fn(&[Added]) -> Vec<Added>,
        count: i32,
    ) {
        let Some(entries) = entries(matches) else {
            self.wide = change(&self.wide).into();
            return;
        };
        for (shape, hash) in entries {
            self.hashed.update(hash, &change);
            self.shapes[shape] = self.shapes[shape].saturating_add_signed(count);
        }
    }

    /// The first added rule that surely matches. `O(shapes in use)` hash lookups.
    pub(super) fn first(&self, key: &PacketKey, schedules: &[LinkedSchedule]) -> Option<&Added> {
        let matches = |it: &&Added| it.matches.header_truth(key, schedules) == Truth::Yes;
        let mut best: Option<&Added> = self.wide.iter().find(matches);
        let ((src_width, src), (dst_width, dst)) = (bits(key.src), bits(key.dst));
        for shape in (0..SHAPES).filter(|shape| self.shapes[*shape] > 0) {
            let (src_side, dst_side) = (SIDES[shape / SIDES.len()], SIDES[shape % SIDES.len()]);
            if (src_side.0, dst_side.0) != (src_width, dst_width) {
                continue;
            }
            let hash = hash(shape, masked(src, src_side), masked(dst, dst_side));
            let earlier = |it: &&Added| best.is_none_or(|best| it.order < best.order);
            let found = self.hashed.values(hash).iter().take_while(earlier).find(matches);
            best = found.or(best);
        }
        best
    }
}

/// The shape and hash of each pair of prefixes of a rule, each once; `None` for too many.
fn entries(matches: &LinkedMatch) -> Option<Vec<(usize, u32)>> {
    let (src, dst) = (sides(&matches.src)?, sides(&matches.dst)?);
    if src.len() * dst.len() > MOST_ENTRIES {
        return None;
    }
    let pairs = src.iter().flat_map(|src| dst.iter().map(move |dst| (src, dst)));
    let entry = |(src, dst): (&(usize, u128), &(usize, u128))| {
        let shape = src.0 * SIDES.len() + dst.0;
        (shape, hash(shape, src.1, dst.1))
    };
    let mut entries: Vec<(usize, u32)> = pairs.map(entry).collect();
    // Two prefixes in one place, or two of one hash: the rule stands there once.
    entries.sort_unstable_by_key(|entry| entry.1);
    entries.dedup_by_key(|entry| entry.1);
    Some(entries)
}

/// How each prefix of one side is hashed, and its bits as far as they are.
fn sides(addresses: &LinkedAddresses) -> Option<Vec<(usize, u128)>> {
    let v4 = wanted::prefixes(&wanted::v4(addresses), 32, MOST_ENTRIES)?;
    let v6 = wanted::prefixes(&wanted::v6(addresses), 128, MOST_ENTRIES)?;
    let side = |(width, (bits, length)): (u32, (u128, u8))| {
        let fits = |side: &(u32, u8)| side.0 == width && side.1 <= length;
        let at = SIDES.iter().rposition(fits)?;
        Some((at, masked(bits, SIDES[at])))
    };
    let v4 = v4.into_iter().map(|prefix| (32, prefix));
    v4.chain(v6.into_iter().map(|prefix| (128, prefix))).map(side).collect()
}

/// The width of an address in bits, and the bits.
fn bits(address: IpAddr) -> (u32, u128) {
    match address {
        IpAddr::V4(address) => (32, address.to_bits().into()),
        IpAddr::V6(address) => (128, address.to_bits()),
    }
}

/// The first bits of an address, as many as a side is hashed by.
fn masked(bits: u128, (width, length): (u32, u8)) -> u128 {
    bits.checked_shr(width - u32::from(length)).unwrap_or(0)
}

fn hash(shape: usize, src: u128, dst: u128) -> u32 {
    let mut hasher = FixedState::with_seed(shape as u64).build_hasher();
    hasher.write_u128(src);
    hasher.write_u128(dst);
    hasher.finish() as u32
}
