//! Places by hash: buckets of one cache line.

/// How many places a bucket holds; with their tags and a counter they fill 64 bytes.
const WAYS: usize = 12;

/// Places of sessions by the hash of their flows.
///
/// A bucket is one cache line: a byte of the hash for each of its twelve places, so that a lookup
/// touches no session that is not very likely meant, and how many entries were sent on to the next
/// bucket because this one was full. A lookup stops at the first bucket that sent none on. Buckets
/// are chosen by multiplication, so their number is any, and grows by half.
#[derive(Debug)]
pub(super) struct Index {
    buckets: Vec<Bucket>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Bucket {
    /// A byte of the hash, 0 where the place is free.
    tags: [u8; WAYS],
    /// Entries that would be here and are further on.
    sent_on: u32,
    places: [u32; WAYS],
}

impl Bucket {
    const EMPTY: Self = Self { tags: [0; WAYS], sent_on: 0, places: [0; WAYS] };

    /// The ways whose tag is this one, as bits; 0 finds the free ones.
    #[inline]
    fn with_tag(&self, tag: u8) -> u32 {
        let low = self.tags.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let high = self.tags.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        equal_bytes(low, tag) | (equal_bytes(high.into(), tag) & 0xf) << 8
    }
}

/// Which bytes of a word are this one, as bits.
#[inline]
const fn equal_bytes(word: u64, byte: u8) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differs = word ^ (byte as u64 * 0x0101_0101_0101_0101);
    // A byte is 0 exactly where neither its high bit nor, after an addition that does not leave the
    // byte, its lower bits are set.
    let zero = !(((differs & LOW) + LOW) | differs | LOW);
    // Each mark, moved to the lowest bit of its byte, is multiplied into a bit of the highest byte.
    ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
}

/// Where the entries of a hash are sought, and by what they are told from others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Home {
    bucket: u32,
    tag: u8,
}

/// Of a bucket's twelve ways at most this many are in use on average, in sixteenths of the whole.
const FULL_SIXTEENTHS: usize = 12;

impl Index {
    pub(super) const fn new() -> Self {
        Self { buckets: Vec::new(), len: 0 }
    }

    /// Where the search for a hash begins.
    #[inline]
    pub(super) const fn home(&self, hash: u64) -> Home {
        // The upper half chooses the bucket, the lowest byte is the tag.
        let bucket = (((hash >> 32) * self.buckets.len() as u64) >> 32) as u32;
        let tag = hash as u8;
        Home { bucket, tag: if tag == 0 { 1 } else { tag } }
    }

    /// Reads something of the home bucket, to have its line on the way before it is searched.
    #[inline]
    pub(super) fn touch(&self, home: Home) -> u8 {
        self.buckets.get(home.bucket as usize).map_or(0, |bucket| bucket.tags[0])
    }

    /// The ways of the home bucket that may be meant, as bits, and the place of the first one; if
    /// there is none, some place.
    #[inline]
    pub(super) fn candidate(&self, home: Home) -> (u32, u32) {
        let Some(bucket) = self.buckets.get(home.bucket as usize) else { return (0, 0) };
        let ways = bucket.with_tag(home.tag);
        (ways, bucket.places[ways.trailing_zeros() as usize % WAYS])
    }

    /// Calls `visit` with every place whose hash may be this one, until it returns `true`.
    pub(super) fn search(&self, home: Home, visit: impl FnMut(u32) -> bool) {
        self.search_from(home, self.candidate(home).0, visit);
    }

    /// The same, with the ways [`Index::candidate`] found.
    #[inline]
    pub(super) fn search_from(
        &self,
        home: Home,
        mut ways: u32,
        mut visit: impl FnMut(u32) -> bool,
    ) {
        let mut at = home.bucket as usize;
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            while ways != 0 {
                if visit(bucket.places[ways.trailing_zeros() as usize]) {
                    return;
                }
                ways &= ways - 1;
            }
            if bucket.sent_on == 0 {
                return;
            }
            at = self.next(at);
            ways = self.buckets[at].with_tag(home.tag);
        }
    }

    const fn next(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }

    /// Whether two more entries fit.
    #[inline]
    pub(super) const fn has_room(&self) -> bool {
        (self.len + 2) * 16 <= self.buckets.len() * WAYS * FULL_SIXTEENTHS
    }

    /// Grows by half where two more entries do not fit, up to `most` entries if those are enough.
    /// `entries` adds each entry anew.
    pub(super) fn reserve(&mut self, most: usize, mut entries: impl FnMut(&mut Self)) {
        if self.has_room() {
            return;
        }
        let needed = self.len + 2;
        let wished = (needed + needed / 2).max(64);
        let wished = if most >= needed { wished.min(most) } else { wished };
        let buckets = (wished * 16).div_ceil(WAYS * FULL_SIXTEENTHS);
        self.buckets = Vec::new();
        self.buckets.resize(buckets, Bucket::EMPTY);
        self.len = 0;
        entries(self);
    }

    /// Adds a place; [`Index::reserve`] has to have made room.
    pub(super) fn insert(&mut self, hash: u64, place: u32) {
        let Home { bucket, tag } = self.home(hash);
        let mut at = bucket as usize;
        for _ in 0..self.buckets.len() {
            let bucket = &mut self.buckets[at];
            let free = bucket.with_tag(0).trailing_zeros() as usize;
            if free < WAYS {
                (bucket.tags[free], bucket.places[free]) = (tag, place);
                self.len += 1;
                return;
            }
            bucket.sent_on += 1;
            at = self.next(at);
        }
    }

    /// Takes a place out that is there under this hash.
    pub(super) fn remove(&mut self, hash: u64, place: u32) {
        let Home { bucket: home, tag } = self.home(hash);
        let home = home as usize;
        let mut at = home;
        for steps in 0..self.buckets.len() {
            let bucket = &mut self.buckets[at];
            let mut ways = bucket.with_tag(tag);
            while ways != 0 && bucket.places[ways.trailing_zeros() as usize] != place {
                ways &= ways - 1;
            }
            if ways != 0 {
                let way = ways.trailing_zeros() as usize;
                bucket.tags[way] = 0;
                self.len -= 1;
                let mut passed = home;
                for _ in 0..steps {
                    self.buckets[passed].sent_on -= 1;
                    passed = self.next(passed);
                }
                return;
            }
            if bucket.sent_on == 0 {
                return;
            }
            at = self.next(at);
        }
    }

    /// How many buckets a search for this hash looks at, at most.
    #[cfg(test)]
    pub(super) fn reach(&self, hash: u64) -> usize {
        let mut at = self.home(hash).bucket as usize;
        for steps in 1..=self.buckets.len() {
            if self.buckets[at].sent_on == 0 {
                return steps;
            }
            at = self.next(at);
        }
        self.buckets.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// An index and the entries it should hold.
    #[derive(Debug)]
    struct Pair {
        index: Index,
        held: HashMap<u32, u64>,
    }

    impl Pair {
        fn insert(&mut self, hash: u64, place: u32) {
            let held = &self.held;
            self.index.reserve(usize::MAX, |index| {
                for (place, hash) in held {
                    index.insert(*hash, *place);
                }
            });
            self.index.insert(hash, place);
            self.held.insert(place, hash);
        }

        fn found(&self, hash: u64) -> Vec<u32> {
            let mut found = Vec::new();
            self.index.search(self.index.home(hash), |place| {
                found.push(place);
                false
            });
            found.retain(|place| self.held.get(place) == Some(&hash));
            found.sort_unstable();
            found
        }
    }

    proptest! {
        #[test]
        fn every_entry_is_found_and_no_other(
            calls in prop::collection::vec((any::<bool>(), 0..40u64, any::<u8>()), 1..400),
        ) {
            let mut pair = Pair { index: Index::new(), held: HashMap::new() };
            for (at, (adds, hash, pick)) in (0u32..).zip(calls) {
                // Few hashes, and of them many alike in the bucket they choose.
                let hash = ((hash % 7) << 61) | hash;
                if adds {
                    pair.insert(hash, at);
                } else if !pair.held.is_empty() {
                    let mut places: Vec<u32> = pair.held.keys().copied().collect();
                    places.sort_unstable();
                    let place = places[usize::from(pick) % places.len()];
                    let Some(hash) = pair.held.remove(&place) else { continue };
                    pair.index.remove(hash, place);
                }
                prop_assert_eq!(pair.index.len, pair.held.len());
                let mut expected: Vec<u32> =
                    pair.held.iter().filter(|(_, h)| **h == hash).map(|(p, _)| *p).collect();
                expected.sort_unstable();
                prop_assert_eq!(pair.found(hash), expected);
            }
            let held = std::mem::take(&mut pair.held);
            for (place, hash) in held {
                pair.index.remove(hash, place);
            }
            prop_assert!(pair.index.buckets.iter().all(|bucket| bucket.sent_on == 0));
        }
    }

    proptest! {
        #[test]
        fn equal_bytes_are_marked(bytes in any::<[u8; 8]>(), byte: u8) {
            for byte in [byte, 0, bytes[3]] {
                let marks = equal_bytes(u64::from_le_bytes(bytes), byte);
                for (at, other) in bytes.iter().enumerate() {
                    prop_assert_eq!(marks >> at & 1 == 1, *other == byte);
                }
                prop_assert!(marks < 256);
            }
        }
    }

    #[test]
    fn searches_stay_short_when_the_index_is_as_full_as_it_gets() {
        let mut pair = Pair { index: Index::new(), held: HashMap::new() };
        let hasher = foldhash::quality::FixedState::with_seed(7);
        let mut place = 0u32;
        let is_full = |index: &Index| {
            index.len > 100_000
                && (index.len + 3) * 16 > index.buckets.len() * WAYS * FULL_SIXTEENTHS
        };
        while !is_full(&pair.index) {
            pair.insert(std::hash::BuildHasher::hash_one(&hasher, place), place);
            place += 1;
        }
        let reaches: Vec<usize> = pair.held.values().map(|hash| pair.index.reach(*hash)).collect();
        let mean = reaches.iter().sum::<usize>() as f64 / reaches.len() as f64;
        let most = reaches.iter().max();
        assert!(mean < 2.0 && most < Some(&40), "{mean} buckets a search, at most {most:?}");
    }
}
