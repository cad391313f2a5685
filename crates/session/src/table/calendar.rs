//! Deadlines: a calendar of days, of which the present one is in exact order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parefeu_net::Timestamp;

use super::slots::{NONE, Slots};

/// The binary logarithm of a day's length in nanoseconds: 0.13 seconds.
const DAY_BITS: u32 = 27;

/// How many days the calendar has, nine minutes in all. Who is due later is noted on the last.
const DAYS: usize = 4096;

/// Which sessions may be due, and when.
///
/// A session is noted on the day of a deadline it had; where its deadline has moved on since, it is
/// noted again when that day comes. The notes of a day are chained through the slots. A session
/// that ends leaves its note, which the next one in its slot takes over unless its own day is
/// sooner: opening and closing touch no neighbour. Those due today lie in a heap, in the exact
/// order of their deadlines.
#[derive(Debug)]
pub(super) struct Calendar {
    /// The first slot of each day after today, by the day modulo [`DAYS`].
    first: Box<[u32]>,
    /// Which days somebody is noted on, a bit each.
    taken: [u64; DAYS / 64],
    /// Sessions that may be due today: deadline, slot, generation.
    due: BinaryHeap<Reverse<(Timestamp, u32, u32)>>,
    today: u64,
    /// Chains of the days that have come.
    come: Vec<u32>,
}

/// Where a slot stands in the calendar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note {
    /// The neighbours on its day, or what tells that it is in no chain.
    before: u32,
    after: u32,
    /// Its day, modulo [`DAYS`].
    page: u32,
}

/// What stands for the neighbour before of a session that is in no chain: it lies in the heap, or
/// nowhere.
const IN_HEAP: u32 = NONE - 1;
const NOWHERE: u32 = NONE - 2;

impl Note {
    pub(super) const NOWHERE: Self = Self { before: NOWHERE, after: NONE, page: 0 };
}

impl Calendar {
    pub(super) fn new() -> Self {
        Self {
            first: vec![NONE; DAYS].into(),
            taken: [0; DAYS / 64],
            due: BinaryHeap::new(),
            today: 0,
            come: Vec::with_capacity(DAYS),
        }
    }

    /// Notes a live session for its deadline, unless it is noted for an earlier day or that one.
    pub(super) fn note<T>(&mut self, slots: &mut Slots<T>, slot: u32) {
        let Some(hot) = slots.hot(slot) else { return };
        let (deadline, generation) = (hot.deadline, hot.generation);
        let day = (deadline.as_nanos() >> DAY_BITS).min(self.today + DAYS as u64 - 1);
        let Some(note) = slots.note_mut(slot) else { return };
        if !matches!(note.before, IN_HEAP | NOWHERE) {
            if self.day_of(note.page) <= day {
                return;
            }
            self.strike(slots, slot);
        }
        let Some(note) = slots.note_mut(slot) else { return };
        if day <= self.today {
            note.before = IN_HEAP;
            self.due.push(Reverse((deadline, slot, generation)));
            return;
        }
        let page = day as usize % DAYS;
        let first = std::mem::replace(&mut self.first[page], slot);
        self.taken[page / 64] |= 1 << (page % 64);
        *note = Note { before: NONE, after: first, page: page as u32 };
        if let Some(next) = slots.note_mut(first) {
            next.before = slot;
        }
    }

    /// The day after today that a page stands for.
    const fn day_of(&self, page: u32) -> u64 {
        let ahead = (page as usize + DAYS - self.today as usize % DAYS) % DAYS;
        self.today + ahead as u64
    }

    /// A session's deadline is sooner than it was.
    pub(super) fn renote<T>(&mut self, slots: &mut Slots<T>, slot: u32) {
        self.strike(slots, slot);
        self.note(slots, slot);
    }

    /// Strikes a slot out of its day. What lies in the heap is found to be stale in its turn.
    fn strike<T>(&mut self, slots: &mut Slots<T>, slot: u32) {
        let Some(note) = slots.note_mut(slot) else { return };
        let Note { before, after, page } = std::mem::replace(note, Note::NOWHERE);
        if matches!(before, IN_HEAP | NOWHERE) {
            return;
        }
        if let Some(next) = slots.note_mut(after) {
            next.before = before;
        }
        if let Some(last) = slots.note_mut(before) {
            last.after = after;
            return;
        }
        let page = page as usize % DAYS;
        self.first[page] = after;
        if after == NONE {
            self.taken[page / 64] &= !(1 << (page % 64));
        }
    }

    /// The next session whose deadline is at or before `now`, in the order of deadlines; the caller
    /// ends it.
    pub(super) fn pop_due<T>(&mut self, slots: &mut Slots<T>, now: Timestamp) -> Option<u32> {
        let day = now.as_nanos() >> DAY_BITS;
        if day > self.today {
            self.turn_pages(slots, day);
        }
        while let Some(&Reverse((deadline, slot, generation))) = self.due.peek() {
            if deadline > now {
                return None;
            }
            self.due.pop();
            let hot = slots.hot(slot).filter(|hot| hot.generation == generation);
            let real = hot.map(|hot| hot.deadline);
            let in_heap = slots.note_mut(slot).is_some_and(|note| note.before == IN_HEAP);
            match real {
                Some(real) if real == deadline => return Some(slot),
                // Its deadline has moved on: it waits for its turn, be that today.
                Some(real) if real > deadline && in_heap => self.note(slots, slot),
                _ => {}
            }
        }
        None
    }

    /// Makes `day` today, and notes again who was noted on a day up to it.
    fn turn_pages<T>(&mut self, slots: &mut Slots<T>, day: u64) {
        let mut come = std::mem::take(&mut self.come);
        while let Some(next) = self.next_day().filter(|next| *next <= day) {
            let page = next as usize % DAYS;
            come.push(std::mem::replace(&mut self.first[page], NONE));
            self.taken[page / 64] &= !(1 << (page % 64));
        }
        self.today = day;
        for first in come.drain(..) {
            let mut slot = first;
            while slot != NONE {
                let Some(note) = slots.note_mut(slot) else { break };
                let after = std::mem::replace(note, Note::NOWHERE).after;
                self.note(slots, slot);
                slot = after;
            }
        }
        self.come = come;
    }

    /// The first day after today on which somebody is noted.
    fn next_day(&self) -> Option<u64> {
        let start = (self.today + 1) as usize % DAYS;
        let words = self.taken.len();
        // The first word is looked at twice: from the start on, and at last before it.
        let page = (0..=words).find_map(|step| {
            let at = (start / 64 + step) % words;
            let from_start = u64::MAX << (start % 64);
            let mask = match step {
                0 => from_start,
                _ if step == words => !from_start,
                _ => u64::MAX,
            };
            let taken = self.taken[at] & mask;
            (taken != 0).then(|| at * 64 + taken.trailing_zeros() as usize)
        })?;
        let ahead = (page + DAYS - start) % DAYS;
        Some(self.today + 1 + ahead as u64)
    }

    /// The earliest time at which a session may be due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let today = self.due.peek().map(|Reverse((deadline, ..))| *deadline);
        let later = self.next_day().map(|day| Timestamp::from_nanos(day << DAY_BITS));
        today.into_iter().chain(later).min()
    }

    pub(super) fn bytes(&self) -> usize {
        self.due.capacity() * size_of::<(Timestamp, u32, u32)>()
            + self.first.len() * 4
            + self.come.capacity() * 4
    }
}
