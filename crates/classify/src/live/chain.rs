//! Added rules chained by hash.
//!
//! Links chain records, newest first, from the bucket of their hash. A link carries what decides
//! whether its rule is worth reading, so that each costs half a cache line.
//!
//! **Cuts.** A rule that is replaced again and again leaves links to ended records in one chain.
//! Where they are no fewer than the others, the others are linked once more, and behind them a
//! *cut*: lookups go no further, except those of versions before it, which pass over the copies and
//! read on in the chain as it was.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::places::Order;
use super::shape::Entry;
use super::version::Version;

/// Chains of links, written by one owner and read by anyone; see [`super::version`].
#[derive(Debug)]
pub(super) struct Chains {
    /// The first is [`NONE`], and never filled.
    links: Box<[Link]>,
    filled: AtomicU32,
    /// A power of two.
    buckets: Box<[Bucket]>,
}

/// The head of a chain.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    head: AtomicU32,
    /// Links up to the last cut.
    length: AtomicU32,
}

/// What a link says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Linked {
    pub(super) order: Order,
    /// The number of an [`Entry`], or any other.
    pub(super) entry: u32,
    pub(super) record: u32,
    /// The version that wrote it.
    pub(super) since: Version,
}

/// A link in a chain. Written before a head leads to it, and never again.
#[derive(Debug, Default)]
struct Link {
    order: [AtomicU64; 2],
    entry: AtomicU32,
    record: AtomicU32,
    since: AtomicU32,
    next: AtomicU32,
}

/// No link.
const NONE: u32 = 0;

/// The record of a link that is a cut.
const CUT: u32 = u32::MAX;

/// A chain as long as a power of two, and as this, is looked through for ended records.
const LONG: u32 = 16;

impl Chains {
    /// With room for `links`, and about as many buckets.
    pub(super) fn with_room(links: usize, buckets: usize) -> Self {
        Self {
            links: (0..=links).map(|_| Link::default()).collect(),
            filled: AtomicU32::new(1),
            buckets: (0..buckets.next_power_of_two()).map(|_| Bucket::default()).collect(),
        }
    }

    /// How many links can still be written.
    pub(super) fn room(&self) -> usize {
        self.links.len() - self.filled.load(Ordering::Relaxed) as usize
    }

    pub(super) fn bucket(&self, entry: Entry) -> &Bucket {
        &self.buckets[entry.hash() as usize & (self.buckets.len() - 1)]
    }

    /// The links of a chain a version sees, newest first. Of links to one record, one.
    pub(super) fn links(&self, bucket: &Bucket, version: Version) -> impl Iterator<Item = Linked> {
        let mut at = bucket.head.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            loop {
                let link = self.links.get(at as usize).filter(|_| at != NONE)?;
                let linked = link.linked();
                at = link.next.load(Ordering::Relaxed);
                match (linked.since <= version, linked.record) {
                    (true, CUT) => at = NONE,
                    (true, _) => return Some(linked),
                    (false, _) => {}
                }
            }
        })
    }

    /// Links a record. `is_live` tells of records whether they have not ended; those that have are
    /// cut off where that is due and leaves `reserve` links. Amortized `O(1)`.
    pub(super) fn push(
        &self,
        bucket: &Bucket,
        linked: Linked,
        reserve: usize,
        is_live: impl Fn(u32) -> bool,
    ) {
        self.write(bucket, linked);
        let length = bucket.length.load(Ordering::Relaxed) + 1;
        bucket.length.store(length, Ordering::Relaxed);
        if length >= LONG && length.is_power_of_two() {
            let old =
                Bucket { head: bucket.head.load(Ordering::Relaxed).into(), ..Bucket::default() };
            let live = || self.links(&old, linked.since).filter(|it| is_live(it.record));
            let count = live().count();
            if count <= length as usize / 2 && self.room() > count + reserve {
                self.write(bucket, Linked { record: CUT, ..linked });
                live().for_each(|it| self.write(bucket, Linked { since: linked.since, ..it }));
                bucket.length.store(count as u32, Ordering::Relaxed);
            }
        }
    }

    fn write(&self, bucket: &Bucket, linked: Linked) {
        let at = self.filled.load(Ordering::Relaxed);
        self.filled.store(at + 1, Ordering::Relaxed);
        self.links[at as usize].write(linked, bucket.head.load(Ordering::Relaxed));
        // Whoever reads this head finds the link written.
        bucket.head.store(at, Ordering::Release);
    }
}

impl Link {
    fn write(&self, linked: Linked, next: u32) {
        let Linked { order: Order(order), entry, record, since } = linked;
        self.order[0].store(order as u64, Ordering::Relaxed);
        self.order[1].store((order >> 64) as u64, Ordering::Relaxed);
        self.entry.store(entry, Ordering::Relaxed);
        self.record.store(record, Ordering::Relaxed);
        self.since.store(since.number(), Ordering::Relaxed);
        self.next.store(next, Ordering::Relaxed);
    }

    fn linked(&self) -> Linked {
        let [low, high] = [0, 1].map(|half| u128::from(self.order[half].load(Ordering::Relaxed)));
        Linked {
            order: Order(high << 64 | low),
            entry: self.entry.load(Ordering::Relaxed),
            record: self.record.load(Ordering::Relaxed),
            since: Version::of(self.since.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Records that come and end in three chains, and what there is of each chain by version.
    struct Model {
        chains: Chains,
        buckets: [Bucket; 3],
        /// The chain of each record, and the version that ended it.
        records: Vec<(usize, Option<Version>)>,
        live: Vec<u32>,
        version: Version,
        history: Vec<(Version, [BTreeSet<u32>; 3])>,
    }

    impl Model {
        fn with_room(links: usize) -> Self {
            Self {
                chains: Chains::with_room(links, 1),
                buckets: Default::default(),
                records: Vec::new(),
                live: Vec::new(),
                version: Version::FIRST,
                history: Vec::new(),
            }
        }

        fn add(&mut self, bucket: usize) {
            let record = self.records.len() as u32;
            self.records.push((bucket, None));
            self.live.push(record);
            let order = Order(u128::MAX / 3 - u128::from(record));
            let linked = Linked { order, entry: record ^ 7, record, since: self.version };
            let is_live = |record: u32| self.records[record as usize].1.is_none();
            self.chains.push(&self.buckets[bucket], linked, 0, is_live);
        }

        fn end(&mut self, at: usize) {
            let record = self.live.swap_remove(at);
            self.records[record as usize].1 = Some(self.version);
        }

        fn step(&mut self, change: impl FnOnce(&mut Self)) {
            self.version = self.version.next().expect("versions are far from their end");
            change(self);
            let mut sets: [BTreeSet<u32>; 3] = Default::default();
            for record in &self.live {
                sets[self.records[*record as usize].0].insert(*record);
            }
            self.history.push((self.version, sets));
        }

        /// Every version still reads as it did when it was the newest.
        #[track_caller]
        fn check(&self) {
            for (version, sets) in &self.history {
                for (bucket, set) in self.buckets.iter().zip(sets) {
                    let has_ended = |record: u32| {
                        self.records[record as usize].1.is_some_and(|end| end <= *version)
                    };
                    let found: Vec<Linked> = self.chains.links(bucket, *version).collect();
                    let found: Vec<u32> = found
                        .iter()
                        .filter(|it| !has_ended(it.record))
                        .inspect(|it| assert_eq!(it.entry, it.record ^ 7))
                        .inspect(|it| assert_eq!(it.order.0, u128::MAX / 3 - u128::from(it.record)))
                        .map(|it| it.record)
                        .collect();
                    assert_eq!(found.len(), set.len(), "{version:?}: a link is found twice");
                    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), *set, "{version:?}");
                }
            }
        }
    }

    #[test]
    fn every_version_reads_what_it_was() {
        let mut model = Model::with_room(10_000);
        for step in 0..1500u32 {
            let dice = (step.wrapping_mul(0x9e37_79b1) >> 12) as usize;
            model.step(|model| {
                // Often two changes in one version, as a replacement is.
                if dice % 5 < 3 && !model.live.is_empty() {
                    model.end(dice % model.live.len());
                }
                if dice % 7 < 5 {
                    model.add(dice % 11 % 3);
                }
            });
        }
        model.check();
    }

    #[test]
    fn what_is_replaced_for_ever_stays_a_short_chain() {
        let mut model = Model::with_room(10_000);
        model.step(|model| (0..3).for_each(|_| model.add(0)));
        for _ in 0..2000 {
            model.step(|model| {
                model.end(0);
                model.add(0);
            });
            let length = model.chains.links(&model.buckets[0], model.version).count();
            assert!(length <= LONG as usize, "{length} links for three records");
        }
        model.check();
    }

    #[test]
    fn without_room_for_copies_a_chain_is_left_alone() {
        let mut model = Model::with_room(LONG as usize);
        for _ in 0..LONG {
            model.step(|model| {
                model.add(1);
                model.end(0);
            });
        }
        assert_eq!(model.chains.room(), 0);
        model.check();
    }
}
