//! Where sessions are kept: what every packet needs in one cache line, the rest apart.

use std::net::{IpAddr, Ipv4Addr};

use parefeu_net::{Direction, FiveTuple, Protocol, Timestamp, icmp_across};

use super::calendar::NOWHERE;
use crate::session::{Carried, SessionId, Sought};
use crate::state::{Plain, Tracker};

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// What every packet of a session needs: 64 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Hot {
    pub(super) last: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) tag: u32,
    pub(super) generation: u32,
    /// The ends of the original flow; of a session whose flows are kept apart, where they are.
    ends: Ends,
    protocol: Protocol,
    flags: u8,
    plain: Plain,
    packets: [[u8; 5]; 2],
    bytes: [[u8; 6]; 2],
}

/// Addresses and ports of an IPv4 flow, the source in the upper halves.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(C)]
struct Ends {
    ports: u32,
    /// In two words, for the sake of alignment.
    src: u32,
    dst: u32,
}

impl Ends {
    const fn reverse(self) -> Self {
        Self { ports: self.ports.rotate_left(16), src: self.dst, dst: self.src }
    }
}

/// A flow that sessions are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    /// Of an IPv4 flow.
    ends: Option<Ends>,
    sought: &'a Sought,
}

impl<'a> Query<'a> {
    #[inline]
    pub(super) const fn new(sought: &'a Sought) -> Self {
        let flow = &sought.flow;
        let ends = match (flow.src, flow.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some(Ends {
                ports: (flow.src_port as u32) << 16 | flow.dst_port as u32,
                src: src.to_bits(),
                dst: dst.to_bits(),
            }),
            _ => None,
        };
        Self { ends, sought }
    }

    pub(super) const fn flow(&self) -> &FiveTuple {
        &self.sought.flow
    }

    /// The same two words for both directions of an IPv4 flow.
    #[inline]
    pub(super) fn words(&self) -> Option<(u64, u64)> {
        let ends = self.ends?;
        let ends = ends.min(ends.reverse());
        let addresses = u64::from(ends.src) << 32 | u64::from(ends.dst);
        Some((addresses, u64::from(ends.ports) << 8 | u64::from(self.sought.flow.protocol.0)))
    }
}

/// The slot holds a session.
const LIVE: u8 = 1;
/// Its flows are kept apart: IPv6, or translated.
const APART: u8 = 2;
/// Its tracker is kept apart: TCP or SCTP.
const TRACKED: u8 = 4;
/// From here on, in how many tunnels it is.
const DEPTH: u32 = 4;
const _: () = assert!(Sought::MAX_DEPTH == u8::MAX >> DEPTH);

const _: () = assert!(size_of::<Hot>() == 64);

/// What few packets need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cold {
    pub(super) start: Timestamp,
    /// Neighbours in the calendar, and the page they share; in a free slot, what is after it is the
    /// next free one.
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) page: u32,
    /// Where its tracker is.
    tracker: u32,
}

/// Both flows of a session that one does not tell.
#[derive(Clone, Copy, Debug)]
struct Flows {
    original: FiveTuple,
    reply: FiveTuple,
}

/// A list whose elements never move: parts of doubling length, then of equal length.
#[derive(Debug)]
struct Parts<E> {
    parts: Vec<Vec<E>>,
}

/// The binary logarithm of how many elements a part holds.
const PART_BITS: u32 = 15;

impl<E> Parts<E> {
    const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    #[inline]
    fn get(&self, at: u32) -> Option<&E> {
        self.parts.get((at >> PART_BITS) as usize)?.get((at & ((1 << PART_BITS) - 1)) as usize)
    }

    #[inline]
    fn get_mut(&mut self, at: u32) -> Option<&mut E> {
        let part = self.parts.get_mut((at >> PART_BITS) as usize)?;
        part.get_mut((at & ((1 << PART_BITS) - 1)) as usize)
    }

    fn push(&mut self, element: E) {
        let full = self.parts.last().is_none_or(|part| part.len() == 1 << PART_BITS);
        if full {
            self.parts.push(Vec::new());
        }
        if let Some(part) = self.parts.last_mut() {
            if part.len() == part.capacity() {
                // By half: large parts are not moved often, small tables stay small.
                let more = (part.len() / 2).max(16).min((1 << PART_BITS) - part.len());
                part.reserve_exact(more);
            }
            part.push(element);
        }
    }

    fn len(&self) -> usize {
        let last = self.parts.last().map_or(0, Vec::len);
        (self.parts.len().saturating_sub(1) << PART_BITS) + last
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.capacity() * size_of::<E>()).sum()
    }
}

/// Elements by number, whose numbers are used again.
#[derive(Debug)]
struct Slab<E> {
    places: Parts<Place<E>>,
    /// The free place used next.
    free: u32,
}

#[derive(Debug)]
enum Place<E> {
    Taken(E),
    /// What the next free one is.
    Free(u32),
}

impl<E> Slab<E> {
    const fn new() -> Self {
        Self { places: Parts::new(), free: NONE }
    }

    fn get(&self, at: u32) -> Option<&E> {
        match self.places.get(at)? {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    fn get_mut(&mut self, at: u32) -> Option<&mut E> {
        match self.places.get_mut(at)? {
            Place::Taken(element) => Some(element),
            Place::Free(_) => None,
        }
    }

    fn insert(&mut self, element: E) -> u32 {
        let at = self.free;
        if let Some(place) = self.places.get_mut(at)
            && let Place::Free(next) = *place
        {
            self.free = next;
            *place = Place::Taken(element);
            return at;
        }
        self.places.push(Place::Taken(element));
        self.places.len() as u32 - 1
    }

    fn remove(&mut self, at: u32) {
        if let Some(place) = self.places.get_mut(at) {
            *place = Place::Free(self.free);
            self.free = at;
        }
    }
}

/// The sessions of a table, by slot.
#[derive(Debug)]
pub(super) struct Slots<T> {
    hot: Parts<Hot>,
    cold: Parts<Cold>,
    data: Parts<Option<T>>,
    flows: Slab<Flows>,
    trackers: Slab<Tracker>,
    /// The free slot used next; the others follow from it.
    free: u32,
    live: usize,
}

/// A session to be put into a slot.
pub(super) struct Entry<T> {
    pub(super) tag: u32,
    pub(super) original: FiveTuple,
    pub(super) reply: FiveTuple,
    pub(super) depth: u8,
    pub(super) now: Timestamp,
    pub(super) deadline: Timestamp,
    pub(super) bytes: u64,
    pub(super) tracker: Tracker,
    pub(super) data: T,
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            hot: Parts::new(),
            cold: Parts::new(),
            data: Parts::new(),
            flows: Slab::new(),
            trackers: Slab::new(),
            free: NONE,
            live: 0,
        }
    }

    /// How many slots there are, in use or free.
    pub(super) fn count(&self) -> u32 {
        self.hot.len() as u32
    }

    pub(super) const fn live(&self) -> usize {
        self.live
    }

    pub(super) fn bytes(&self) -> usize {
        let kept = self.hot.bytes() + self.cold.bytes() + self.data.bytes();
        kept + self.flows.places.bytes() + self.trackers.places.bytes()
    }

    /// Reads something of a slot, to have its line on the way before it is compared.
    #[inline]
    pub(super) fn touch(&self, slot: u32) -> u8 {
        self.hot.get(slot).map_or(0, |hot| hot.flags)
    }

    /// The live session of a slot.
    #[inline]
    pub(super) fn hot(&self, slot: u32) -> Option<&Hot> {
        self.hot.get(slot).filter(|hot| hot.flags & LIVE != 0)
    }

    /// The live session of a slot.
    #[inline]
    pub(super) fn hot_mut(&mut self, slot: u32) -> Option<&mut Hot> {
        self.hot.get_mut(slot).filter(|hot| hot.flags & LIVE != 0)
    }

    pub(super) fn cold(&self, slot: u32) -> Option<&Cold> {
        self.cold.get(slot)
    }

    pub(super) fn cold_mut(&mut self, slot: u32) -> Option<&mut Cold> {
        self.cold.get_mut(slot)
    }

    pub(super) fn data(&self, slot: u32) -> Option<&T> {
        self.data.get(slot)?.as_ref()
    }

    pub(super) fn data_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.data.get_mut(slot)?.as_mut()
    }

    /// Puts a session into a slot, which it returns with its generation.
    pub(super) fn insert(&mut self, entry: Entry<T>) -> (u32, u32) {
        let Entry { tag, original, reply, depth, now, deadline, bytes, tracker, data } = entry;
        let mut flags = LIVE | depth << DEPTH;
        let ends = match Query::new(&Sought::new(tag, original)).ends {
            Some(ends) if reply == original.reverse() => ends,
            _ => {
                flags |= APART;
                Ends { ports: 0, src: self.flows.insert(Flows { original, reply }), dst: 0 }
            }
        };
        let (plain, aside) = if let Some(plain) = tracker.plain() {
            (plain, NONE)
        } else {
            flags |= TRACKED;
            (Plain::default(), self.trackers.insert(tracker))
        };
        let mut hot = Hot {
            last: now,
            deadline,
            tag,
            generation: 0,
            ends,
            protocol: original.protocol,
            flags,
            plain,
            packets: [[0; 5]; 2],
            bytes: [[0; 6]; 2],
        };
        hot.count(0, bytes);
        let cold = Cold { start: now, before: NOWHERE, after: NONE, page: 0, tracker: aside };
        self.live += 1;
        let slot = self.free;
        if let (Some(old), Some(links), Some(kept)) =
            (self.hot.get_mut(slot), self.cold.get_mut(slot), self.data.get_mut(slot))
        {
            self.free = links.after;
            hot.generation = old.generation;
            (*old, *links, *kept) = (hot, cold, Some(data));
            return (slot, hot.generation);
        }
        self.hot.push(hot);
        self.cold.push(cold);
        self.data.push(Some(data));
        (self.count() - 1, 0)
    }

    /// Empties a slot and hands out what the caller kept there.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let hot = self.hot.get_mut(slot)?;
        if hot.flags & APART != 0 {
            self.flows.remove(hot.ends.src);
        }
        let tracked = hot.flags & TRACKED != 0;
        hot.flags = 0;
        hot.generation = hot.generation.wrapping_add(1);
        let cold = self.cold.get_mut(slot)?;
        if tracked {
            self.trackers.remove(cold.tracker);
        }
        cold.after = self.free;
        self.free = slot;
        self.live -= 1;
        self.data.get_mut(slot)?.take()
    }

    /// Both flows of a live session.
    #[inline]
    pub(super) fn flows(&self, hot: &Hot) -> (FiveTuple, FiveTuple) {
        self.flows_apart(hot).unwrap_or_else(|| {
            let original = hot.own_flow();
            (original, original.reverse())
        })
    }

    /// Both flows of a live session, where one does not tell the other.
    #[inline]
    pub(super) fn flows_apart(&self, hot: &Hot) -> Option<(FiveTuple, FiveTuple)> {
        if hot.flags & APART == 0 {
            return None;
        }
        self.flows.get(hot.ends.src).map(|flows| (flows.original, flows.reply))
    }

    /// Whether a flow, of a packet that entered at a tag, is a session's original or its reply.
    ///
    /// A session that is its own reply has no reply direction.
    #[inline]
    pub(super) fn matches(&self, hot: &Hot, query: &Query<'_>) -> (bool, bool) {
        let Sought { tag, flow, carried, depth } = query.sought;
        if hot.flags >> DEPTH != *depth {
            return (false, false);
        }
        let (is_original, is_reply, crosses) = if hot.flags & APART == 0 {
            let Some(ends) = query.ends else { return (false, false) };
            if hot.protocol != flow.protocol {
                return (false, false);
            }
            let back = ends.reverse();
            (hot.ends == ends && hot.tag == *tag, hot.ends == back && back != ends, false)
        } else {
            let (original, reply) = self.flows(hot);
            let is_original = original == *flow && hot.tag == *tag;
            let crosses = reply.protocol != original.protocol;
            (is_original, reply == *flow && reply != original, crosses)
        };
        let Some(Carried { kind, against }) = carried else { return (is_original, is_reply) };
        let carries = |direction: Direction, kind| {
            hot.plain.carries(if *against { direction.reverse() } else { direction }, kind)
        };
        // A ping that is translated to the other family is answered in that one.
        let there = if crosses { icmp_across(*kind) } else { Some(*kind) };
        let is_carried = there.is_some_and(|kind| carries(Direction::Reply, kind));
        (is_original && carries(Direction::Original, *kind), is_reply && is_carried)
    }

    /// Works on the tracker of a live session; the second argument tells when the session began,
    /// which few have to know.
    #[inline]
    pub(super) fn with_tracker<R>(
        &mut self,
        id: SessionId,
        work: impl FnOnce(&mut Tracker, &dyn Fn() -> Timestamp) -> R,
    ) -> Option<(R, &mut Hot)> {
        let Self { hot, cold, trackers, .. } = self;
        let hot = hot.get_mut(id.slot)?;
        if hot.flags & LIVE == 0 || hot.generation != id.generation {
            return None;
        }
        let last = hot.last;
        let start = || cold.get(id.slot).map_or(last, |cold| cold.start);
        if hot.flags & TRACKED != 0 {
            let at = cold.get(id.slot)?.tracker;
            let done = work(trackers.get_mut(at)?, &start);
            return Some((done, hot));
        }
        let mut tracker = Tracker::from_plain(hot.plain, hot.protocol);
        let done = work(&mut tracker, &start);
        if let Some(plain) = tracker.plain() {
            hot.plain = plain;
        }
        Some((done, hot))
    }

    /// The tracker of a live session.
    pub(super) fn tracker(&self, slot: u32) -> Option<Tracker> {
        let hot = self.hot(slot)?;
        if hot.flags & TRACKED != 0 {
            let at = self.cold.get(slot)?.tracker;
            return self.trackers.get(at).copied();
        }
        Some(Tracker::from_plain(hot.plain, hot.protocol))
    }

    /// Turns a live session into one whose packets are dropped.
    pub(super) fn refuse(&mut self, slot: u32) {
        let Some(hot) = self.hot.get_mut(slot).filter(|hot| hot.flags & LIVE != 0) else { return };
        if hot.flags & TRACKED != 0
            && let Some(cold) = self.cold.get(slot)
        {
            self.trackers.remove(cold.tracker);
        }
        hot.flags &= !TRACKED;
        hot.plain = hot.plain.refused();
    }
}

impl Hot {
    fn own_flow(&self) -> FiveTuple {
        FiveTuple {
            src: IpAddr::V4(Ipv4Addr::from_bits(self.ends.src)),
            dst: IpAddr::V4(Ipv4Addr::from_bits(self.ends.dst)),
            src_port: (self.ends.ports >> 16) as u16,
            dst_port: self.ends.ports as u16,
            protocol: self.protocol,
        }
    }

    /// Whether packets of the session are dropped.
    pub(super) fn is_refused(&self) -> bool {
        self.flags & TRACKED == 0 && self.plain.is_refused()
    }

    /// Counts a packet of a direction.
    #[inline]
    pub(super) fn count(&mut self, direction: usize, bytes: u64) {
        let [packets, total] = [self.packets()[direction], self.bytes()[direction]];
        let packets = (packets + 1).min(0xff_ffff_ffff).to_le_bytes();
        let total = total.saturating_add(bytes).min(0xffff_ffff_ffff).to_le_bytes();
        self.packets[direction].copy_from_slice(&packets[..5]);
        self.bytes[direction].copy_from_slice(&total[..6]);
    }

    /// Takes up the counters of a session that was written down.
    pub(super) fn set_counts(&mut self, packets: [u64; 2], bytes: [u64; 2]) {
        for direction in 0..2 {
            let count = packets[direction].min(0xff_ffff_ffff).to_le_bytes();
            let total = bytes[direction].min(0xffff_ffff_ffff).to_le_bytes();
            self.packets[direction].copy_from_slice(&count[..5]);
            self.bytes[direction].copy_from_slice(&total[..6]);
        }
    }

    /// In how many tunnels it is, as far as that tells sessions apart.
    pub(super) const fn depth(&self) -> u8 {
        self.flags >> DEPTH
    }

    /// Packets by direction, up to 2⁴⁰.
    pub(super) fn packets(&self) -> [u64; 2] {
        self.packets.map(|[a, b, c, d, e]| u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]))
    }

    /// Bytes by direction, up to 2⁴⁸: 281 terabytes.
    pub(super) fn bytes(&self) -> [u64; 2] {
        self.bytes.map(|[a, b, c, d, e, f]| u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }
}
