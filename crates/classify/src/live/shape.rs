//! By what an added rule is found: the hash of its masked addresses, in one of 64 shapes.

use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::fast::FixedState;
use parefeu_policy::{LinkedAddresses, LinkedMatch, PacketKey};

use crate::wanted;

/// Where a pair of prefixes is found: its hash, a one, and six bits of shape.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Entry(NonZeroU32);

/// A match with what it is found by.
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    pub(super) matches: Arc<LinkedMatch>,
    /// The only entry, as most rules have it.
    only: Option<Entry>,
}

/// The bits of an entry below its hash: shape, and a one above it.
const SHAPE_BITS: u32 = 7;
const ONE: NonZeroU32 = NonZeroU32::new(1 << (SHAPE_BITS - 1)).unwrap();

/// Entries one rule may have; rules with more are found by none, and read one by one.
pub(super) const MOST_ENTRIES: usize = 32;

/// What one side of a rule is hashed by: a width and as many leading bits, the most of these that
/// its prefix has. The first four are of IPv4, the others of IPv6.
const SIDES: [(u32, u8); 8] =
    [(32, 0), (32, 16), (32, 24), (32, 32), (128, 0), (128, 32), (128, 64), (128, 128)];

/// A side of [`SIDES`] and the leading bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Side(u8, u128);

impl Hashed {
    pub(super) fn of(matches: Arc<LinkedMatch>) -> Self {
        let only = entries(&matches).and_then(|mut entries| {
            let first = entries.next()?;
            entries.next().is_none().then_some(first)
        });
        Self { matches, only }
    }

    /// The entries, nearly always each once; `None` for too many.
    pub(super) fn entries(&self) -> Option<impl Iterator<Item = Entry>> {
        let several = if self.only.is_none() { Some(entries(&self.matches)?) } else { None };
        Some(self.only.into_iter().chain(several.into_iter().flatten()))
    }
}

fn entries(matches: &LinkedMatch) -> Option<impl Iterator<Item = Entry>> {
    let count = |addresses| sides(addresses).take(MOST_ENTRIES + 1).count();
    let few = count(&matches.src) * count(&matches.dst) <= MOST_ENTRIES;
    let pairs = move |src| sides(&matches.dst).map(move |dst| Entry::of(src, dst));
    few.then(|| sides(&matches.src).flat_map(pairs))
}

/// Where rules that match a packet may be found, as far as `shapes` has a bit for each shape.
pub(super) fn places(key: &PacketKey, shapes: u64) -> impl Iterator<Item = Entry> {
    let (src, dst) = (sides_of(key.src), sides_of(key.dst));
    let pairs = src.into_iter().flat_map(move |src| dst.into_iter().map(move |dst| (src, dst)));
    pairs
        .filter(move |(src, dst)| shapes >> shape(*src, *dst) & 1 == 1)
        .map(|(src, dst)| Entry::of(src, dst))
}

impl Entry {
    fn of(src: Side, dst: Side) -> Self {
        let shape = shape(src, dst);
        let mut hasher = FixedState::with_seed(0).build_hasher();
        hasher.write_u8(shape);
        hasher.write_u128(src.1);
        hasher.write_u128(dst.1);
        let hash = (hasher.finish() as u32) << SHAPE_BITS;
        Self(ONE | hash | u32::from(shape))
    }

    pub(super) const fn number(self) -> u32 {
        self.0.get()
    }

    /// The hash alone.
    pub(super) const fn hash(self) -> u32 {
        self.0.get() >> SHAPE_BITS
    }

    /// Less than 64.
    pub(super) const fn shape(self) -> u32 {
        self.0.get() & ((1 << (SHAPE_BITS - 1)) - 1)
    }
}

const fn shape(src: Side, dst: Side) -> u8 {
    src.0 * SIDES.len() as u8 + dst.0
}

/// The sides of the prefixes that make up addresses. Neighbours that are one are given once.
fn sides(addresses: &LinkedAddresses) -> impl Iterator<Item = Side> {
    let v4 = wanted::v4_ranges(addresses).iter();
    let v4 = v4.flat_map(|&(first, last)| wanted::blocks(first.into(), last.into(), 32));
    let v6 = wanted::v6_ranges(addresses).iter();
    let v6 = v6.flat_map(|&(first, last)| wanted::blocks(first, last, 128));
    let v4 = v4.map(|(bits, length)| match length {
        0..16 => side(0, bits),
        16..24 => side(1, bits),
        24..32 => side(2, bits),
        _ => side(3, bits),
    });
    let v6 = v6.map(|(bits, length)| match length {
        0..32 => side(4, bits),
        32..64 => side(5, bits),
        64..128 => side(6, bits),
        _ => side(7, bits),
    });
    let mut previous = None;
    v4.chain(v6).filter(move |side| previous.replace(*side) != Some(*side))
}

/// The sides an address belongs to.
fn sides_of(address: IpAddr) -> [Side; 4] {
    let (first, bits) = match address {
        IpAddr::V4(address) => (0, address.to_bits().into()),
        IpAddr::V6(address) => (4, address.to_bits()),
    };
    [0, 1, 2, 3].map(|at| side(first + at, bits))
}

fn side(at: u8, bits: u128) -> Side {
    let (width, length) = SIDES[usize::from(at)];
    Side(at, bits.checked_shr(width - u32::from(length)).unwrap_or(0))
}
