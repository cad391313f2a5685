//! Rules that came after the compiled ones.
//!
//! A store is filled and never emptied: one that is full is followed by a fresh one of what is
//! left.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parefeu_policy::{LinkedSchedule, PacketKey, Truth};

use super::RuleHandle;
use super::chain::{Bucket, Chains, Linked};
use super::places::Order;
use super::shape::{self, Hashed, MOST_ENTRIES};
use super::version::{End, Version};

/// Added rules, written by one owner and read by anyone; see [`super::version`].
#[derive(Debug)]
pub(super) struct Store {
    records: Box<[OnceLock<Record>]>,
    filled: AtomicU32,
    chains: Chains,
    /// A bit for each shape that some rule has.
    shapes: AtomicU64,
    /// Rules of too many prefixes.
    wide: Bucket,
}

/// A rule with its place.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) rule: RuleHandle,
    pub(super) order: Order,
    pub(super) hashed: Hashed,
    pub(super) removed: End,
}

/// The rules a store has room for at least, half of them new ones.
const LEAST_ROOM: usize = 1024;

impl Record {
    pub(super) const fn new(rule: RuleHandle, order: Order, hashed: Hashed) -> Self {
        Self { rule, order, hashed, removed: End::never() }
    }
}

impl Store {
    pub(super) fn new() -> Self {
        Self::with_room(0, 0)
    }

    /// What is left of a store that is full, with room for as much again, and for `more` rules.
    /// `moved` is told where each rule is found from `version` on. `O(rules left + more)`.
    pub(super) fn renewed(
        &self,
        version: Version,
        more: usize,
        mut moved: impl FnMut(&Record, u32),
    ) -> Self {
        let live = || self.records().filter(|record| !record.removed.is_set());
        let links = |it: &Record| it.hashed.entries().map_or(1, Iterator::count);
        let links: usize = live().map(links).sum();
        let new = Self::with_room(live().count().max(more), links.max(more * MOST_ENTRIES));
        for record in live() {
            let copy = Record::new(record.rule, record.order, record.hashed.clone());
            moved(record, new.add(copy, version, more));
        }
        new
    }

    /// With room for twice as many.
    fn with_room(records: usize, links: usize) -> Self {
        let records = LEAST_ROOM.max(2 * records);
        Self {
            records: (0..records).map(|_| OnceLock::new()).collect(),
            filled: AtomicU32::new(0),
            chains: Chains::with_room(2 * records.max(links), records),
            shapes: AtomicU64::new(0),
            wide: Bucket::default(),
        }
    }

    /// How many rules were added, those removed since among them.
    pub(super) fn added(&self) -> u32 {
        self.filled.load(Ordering::Relaxed)
    }

    /// Whether there is room for so many more rules, whatever they are.
    pub(super) fn has_room(&self, rules: usize) -> bool {
        self.records.len() - self.added() as usize >= rules
            && self.chains.room() >= rules * MOST_ENTRIES
    }

    /// Adds a rule that lookups see from `version` on, and leaves room for `more` if it had it.
    /// `O(entries)`, amortized.
    pub(super) fn add(&self, record: Record, version: Version, more: usize) -> u32 {
        let number = self.added();
        self.filled.store(number + 1, Ordering::Relaxed);
        let record = self.records[number as usize].get_or_init(|| record);
        let linked = Linked { order: record.order, entry: 0, record: number, since: version };
        let reserve = (more + 1) * MOST_ENTRIES;
        let is_live = |number| !self.record(number).removed.is_set();
        let Some(entries) = record.hashed.entries() else {
            self.chains.push(&self.wide, linked, reserve, is_live);
            return number;
        };
        let mut shapes = self.shapes.load(Ordering::Relaxed);
        for entry in entries {
            shapes |= 1 << entry.shape();
            let linked = Linked { entry: entry.number(), ..linked };
            self.chains.push(self.chains.bucket(entry), linked, reserve, is_live);
        }
        self.shapes.store(shapes, Ordering::Relaxed);
        number
    }

    /// One of the rules that were added.
    pub(super) fn record(&self, number: u32) -> &Record {
        let Some(record) = self.records[number as usize].get() else {
            unreachable!("a record is written before its number is given away")
        };
        record
    }

    /// The first rule that surely matches, as of a version, of those that stand before another.
    /// `O(shapes in use)`, and half a cache line for each rule of the same hash.
    pub(super) fn first(
        &self,
        key: &PacketKey,
        schedules: &[LinkedSchedule],
        version: Version,
        before: Option<Order>,
    ) -> Option<RuleHandle> {
        let mut first = before.unwrap_or(Order::LAST);
        let mut found = None;
        let mut look = |bucket, entry| {
            for link in self.chains.links(bucket, version) {
                if link.order >= first || link.entry != entry {
                    continue;
                }
                let Record { rule, hashed, removed, .. } = self.record(link.record);
                let surely = || hashed.matches.header_truth(key, schedules) == Truth::Yes;
                if !removed.is_by(version) && surely() {
                    (first, found) = (link.order, Some(*rule));
                }
            }
        };
        look(&self.wide, 0);
        for entry in shape::places(key, self.shapes.load(Ordering::Relaxed)) {
            look(self.chains.bucket(entry), entry.number());
        }
        found
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter().map_while(OnceLock::get)
    }
}
