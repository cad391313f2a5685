//! Sessions written down, and taken up again.

use super::slots::Entry;
use super::{Query, SessionTable};
use crate::session::{Carried, SavedSession, SessionId, Sought};
use crate::state::Tracker;
use crate::step::OpenError;

impl<T> SessionTable<T> {
    /// Every live session, to be written down.
    pub fn saved(&self) -> impl Iterator<Item = SavedSession<&T>> {
        (0..self.slots.count()).filter_map(|slot| {
            let saved = self.saved_at(slot)?;
            Some(saved.with(self.slots.data(slot)?))
        })
    }

    /// Every live session, taken out.
    pub fn into_saved(mut self) -> impl Iterator<Item = SavedSession<T>> {
        (0..self.slots.count()).filter_map(move |slot| {
            let saved = self.saved_at(slot)?;
            Some(saved.with(self.slots.remove(slot)?))
        })
    }

    fn saved_at(&self, slot: u32) -> Option<SavedSession<()>> {
        let hot = self.slots.hot(slot)?;
        let (original, reply) = self.slots.flows(hot);
        Some(SavedSession {
            tag: hot.tag,
            original,
            reply,
            depth: hot.depth(),
            start: self.slots.cold(slot)?.start,
            last: hot.last,
            deadline: hot.deadline,
            packets: hot.packets(),
            bytes: hot.bytes(),
            tracker: self.slots.tracker(slot)?,
            data: (),
        })
    }

    /// Takes up a session that was written down. Those that were opened earlier come first, for a
    /// full table to know which are the oldest.
    ///
    /// # Errors
    /// [`OpenError`] when a live session has its flow or its reply, or the table is full.
    pub fn restore(&mut self, saved: SavedSession<T>) -> Result<SessionId, OpenError> {
        let SavedSession { tag, original, reply, depth, start, last, .. } = saved;
        let SavedSession { deadline, packets, bytes, tracker, data, .. } = saved;
        let depth = depth.min(Sought::MAX_DEPTH);
        let carried = match tracker {
            Tracker::Plain(plain) => plain.opening(original.protocol),
            _ => None,
        };
        let carried = carried.map(|kind| Carried { kind, against: false });
        let sought = Sought { tag, flow: original, carried, depth };
        let answer = sought.leaving_as(reply.reverse()).reverse();
        let hash = self.place_hash(&Query::new(&sought));
        if self.find_hashed(&Query::new(&sought), hash).is_some() || self.has_reply(&answer) {
            return Err(OpenError::Clash);
        }
        if self.is_full() {
            return Err(OpenError::TableFull);
        }
        let entry =
            Entry { tag, original, reply, depth, now: start, deadline, bytes: 0, tracker, data };
        let id = self.place(entry, hash);
        if let Some(hot) = self.slots.hot_mut(id.slot) {
            hot.last = last;
            hot.set_counts(packets, bytes);
        }
        Ok(id)
    }
}
