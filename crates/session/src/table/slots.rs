//! Where sessions are kept: what every packet needs in one cache line, the rest apart.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use parefeu_net::{Direction, FiveTuple, Packet, Protocol, Timestamp, icmp_across};
use parefeu_policy::{Behaviour, Timers};

use super::calendar::Note;
use crate::plain::Plain;
use crate::session::{Carried, SessionId, Sought};
use crate::state::{Progress, Tracker};

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

/// Addresses and ports of an IPv4 flow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Ends {
    /// That of the source in the upper half.
    ports: u32,
    /// In two words, for the sake of alignment.
    src: u32,
    dst: u32,
}

impl Ends {
    /// Source and destination, an address and a port each.
    #[inline]
    const fn words(self) -> [u64; 2] {
        let src = (self.src as u64) << 16 | (self.ports >> 16) as u64;
        [src, (self.dst as u64) << 16 | (self.ports & 0xffff) as u64]
    }
}

/// A flow that sessions are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    /// Source and destination of an IPv4 flow, an address and a port each.
    ends: Option<[u64; 2]>,
    sought: &'a Sought,
}

impl<'a> Query<'a> {
    #[inline]
    pub(super) const fn new(sought: &'a Sought) -> Self {
        let flow = &sought.flow;
        let ends = match (flow.src, flow.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => Some([
                (src.to_bits() as u64) << 16 | flow.src_port as u64,
                (dst.to_bits() as u64) << 16 | flow.dst_port as u64,
            ]),
            _ => None,
        };
        Self { ends, sought }
    }

    pub(super) const fn flow(&self) -> &FiveTuple {
        &self.sought.flow
    }

    /// Whether its ICMP message is known, where it is one.
    #[inline]
    pub(super) const fn tells_messages(&self) -> bool {
        self.sought.carried.is_some() || !self.sought.flow.protocol.is_icmp()
    }

    /// The same two words for both directions of an IPv4 flow.
    #[inline]
    pub(super) fn words(&self) -> Option<(u64, u64)> {
        let [src, dst] = self.ends?;
        Some((src.min(dst), src.max(dst) << 8 | u64::from(self.sought.flow.protocol.0)))
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
pub(super) struct Cold<T> {
    pub(super) start: Timestamp,
    /// Where it stands in the calendar, which free slots may do as well.
    pub(super) note: Note,
    /// Where its tracker is; of a free slot, what the next free one is.
    elsewhere: u32,
    /// What the caller keeps.
    data: Option<T>,
}

/// Both flows of a session that one does not tell.
#[derive(Clone, Copy, Debug)]
struct Flows {
    original: FiveTuple,
    reply: FiveTuple,
}

impl Flows {
    fn is_translated(&self) -> bool {
        self.reply != self.original.reverse()
    }
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

    fn remove(&mut self, at: u32) -> Option<E> {
        let place = self.places.get_mut(at).filter(|place| matches!(place, Place::Taken(_)))?;
        let was = std::mem::replace(place, Place::Free(self.free));
        self.free = at;
        if let Place::Taken(element) = was { Some(element) } else { None }
    }
}

/// The sessions of a table, by slot.
#[derive(Debug)]
pub(super) struct Slots<T> {
    hot: Parts<Hot>,
    cold: Parts<Cold<T>>,
    flows: Slab<Flows>,
    trackers: Slab<Tracker>,
    /// The free slot used next; the others follow from it.
    free: u32,
    live: usize,
    /// How many live sessions are translated.
    translated: usize,
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

impl<T> Entry<T> {
    /// Whether addresses or ports are translated.
    pub(super) fn is_translated(&self) -> bool {
        self.reply != self.original.reverse()
    }
}

impl<T> Slots<T> {
    pub(super) const fn new() -> Self {
        Self {
            hot: Parts::new(),
            cold: Parts::new(),
            flows: Slab::new(),
            trackers: Slab::new(),
            free: NONE,
            live: 0,
            translated: 0,
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
        let kept = self.hot.bytes() + self.cold.bytes();
        kept + self.flows.places.bytes() + self.trackers.places.bytes()
    }

    /// Reads something of a slot, to have its line on the way before it is compared.
    #[inline]
    pub(super) fn touch(&self, slot: u32) -> u8 {
        self.hot.get(slot).map_or(0, |hot| hot.flags)
    }

    /// The same of what few packets need.
    #[inline]
    pub(super) fn touch_cold(&self, slot: u32) -> u8 {
        self.cold.get(slot).map_or(0, |cold| cold.elsewhere as u8)
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

    pub(super) fn cold(&self, slot: u32) -> Option<&Cold<T>> {
        self.cold.get(slot)
    }

    /// Where a slot stands in the calendar.
    pub(super) fn note_mut(&mut self, slot: u32) -> Option<&mut Note> {
        self.cold.get_mut(slot).map(|cold| &mut cold.note)
    }

    pub(super) fn data(&self, slot: u32) -> Option<&T> {
        self.cold.get(slot)?.data.as_ref()
    }

    pub(super) fn data_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.cold.get_mut(slot)?.data.as_mut()
    }

    /// Puts a session into a slot, which it returns with its generation.
    pub(super) fn insert(&mut self, entry: Entry<T>) -> (u32, u32) {
        let is_translated = entry.is_translated();
        let Entry { tag, original, reply, depth, now, deadline, bytes, tracker, data } = entry;
        let mut flags = LIVE | depth << DEPTH;
        let ends = match (original.src, original.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) if !is_translated => Ends {
                ports: u32::from(original.src_port) << 16 | u32::from(original.dst_port),
                src: src.to_bits(),
                dst: dst.to_bits(),
            },
            _ => {
                flags |= APART;
                Ends { ports: 0, src: self.flows.insert(Flows { original, reply }), dst: 0 }
            }
        };
        let (plain, elsewhere) = if let Tracker::Plain(plain) = tracker {
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
        self.live += 1;
        self.translated += usize::from(is_translated);
        let slot = self.free;
        if let (Some(old), Some(cold)) = (self.hot.get_mut(slot), self.cold.get_mut(slot)) {
            self.free = cold.elsewhere;
            hot.generation = old.generation;
            *old = hot;
            *cold = Cold { start: now, note: cold.note, elsewhere, data: Some(data) };
            return (slot, hot.generation);
        }
        self.hot.push(hot);
        self.cold.push(Cold { start: now, note: Note::NOWHERE, elsewhere, data: Some(data) });
        (self.count() - 1, 0)
    }

    /// Empties a slot and hands out what the caller kept there. Where it stands in the calendar it
    /// stays.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let hot = self.hot.get_mut(slot)?;
        if hot.flags & APART != 0 {
            let flows = self.flows.remove(hot.ends.src);
            self.translated -= usize::from(flows.is_some_and(|flows| flows.is_translated()));
        }
        let tracked = hot.flags & TRACKED != 0;
        hot.flags = 0;
        hot.generation = hot.generation.wrapping_add(1);
        let cold = self.cold.get_mut(slot)?;
        if tracked {
            self.trackers.remove(cold.elsewhere);
        }
        cold.elsewhere = self.free;
        self.free = slot;
        self.live -= 1;
        cold.data.take()
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

    /// The live session of a slot and the direction a flow, of a packet that entered at a tag, has
    /// there; `None` where it is another's.
    ///
    /// A session that is its own reply has no reply direction.
    #[inline]
    pub(super) fn found_at(&self, slot: u32, query: &Query<'_>) -> Option<(SessionId, Direction)> {
        let hot = self.hot(slot)?;
        let Sought { tag, flow, carried, depth } = query.sought;
        if hot.flags >> DEPTH != *depth {
            return None;
        }
        let id = SessionId { slot, generation: hot.generation };
        if hot.flags & APART != 0 {
            return self.matches_apart(hot, query.sought).map(|direction| (id, direction));
        }
        let [src, dst] = query.ends?;
        let ends = hot.ends.words();
        let (there, back) = (ends == [src, dst], ends == [dst, src]);
        let is_of_it = (there || back) && hot.protocol == flow.protocol;
        if !is_of_it || (there && hot.tag != *tag) {
            return None;
        }
        let direction = if there { Direction::Original } else { Direction::Reply };
        let is_it = carried.is_none_or(|carried| hot.carries(carried, direction, false));
        is_it.then_some((id, direction))
    }

    /// Whether a session is translated.
    #[inline]
    pub(super) const fn has_translated(&self) -> bool {
        self.translated != 0
    }

    fn matches_apart(&self, hot: &Hot, sought: &Sought) -> Option<Direction> {
        let Sought { tag, flow, carried, .. } = sought;
        let (original, reply) = self.flows_apart(hot)?;
        let direction = if original == *flow {
            (hot.tag == *tag).then_some(Direction::Original)?
        } else {
            (reply == *flow).then_some(Direction::Reply)?
        };
        let crosses = reply.protocol != original.protocol;
        let is_it = carried.is_none_or(|carried| hot.carries(carried, direction, crosses));
        is_it.then_some(direction)
    }

    /// A live session, with its tracker where that is kept apart, and where it is told when the
    /// session began, which few have to know.
    #[inline]
    pub(super) fn stepped(&mut self, id: SessionId) -> Option<Stepped<'_, T>> {
        let Self { hot, cold, trackers, .. } = self;
        let hot = hot.get_mut(id.slot)?;
        if hot.flags & LIVE == 0 || hot.generation != id.generation {
            return None;
        }
        let tracker = if hot.flags & TRACKED == 0 {
            None
        } else {
            Some(trackers.get_mut(cold.get(id.slot)?.elsewhere)?)
        };
        Some(Stepped { hot, tracker, cold, slot: id.slot })
    }

    /// The tracker of a live session.
    pub(super) fn tracker(&self, slot: u32) -> Option<Tracker> {
        let hot = self.hot(slot)?;
        if hot.flags & TRACKED == 0 {
            return Some(Tracker::Plain(hot.plain));
        }
        self.trackers.get(self.cold.get(slot)?.elsewhere).copied()
    }

    /// Turns a live session into one whose packets are dropped.
    pub(super) fn refuse(&mut self, slot: u32) {
        let Some(hot) = self.hot.get_mut(slot).filter(|hot| hot.flags & LIVE != 0) else { return };
        if hot.flags & TRACKED != 0
            && let Some(cold) = self.cold.get(slot)
        {
            self.trackers.remove(cold.elsewhere);
        }
        hot.flags &= !TRACKED;
        hot.plain = hot.plain.refused(hot.protocol);
    }
}

/// A live session about to be advanced.
pub(super) struct Stepped<'a, T> {
    pub(super) hot: &'a mut Hot,
    /// That of TCP or SCTP.
    pub(super) tracker: Option<&'a mut Tracker>,
    cold: &'a Parts<Cold<T>>,
    slot: u32,
}

impl<T> Stepped<'_, T> {
    /// Steps its state by a packet.
    #[inline]
    pub(super) fn step(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        behaviour: &Behaviour,
    ) -> Progress {
        match &mut self.tracker {
            None => self.hot.plain.step(direction, packet, behaviour),
            Some(tracker) => tracker.step(direction, packet, behaviour),
        }
    }

    /// How long it may be idle in its present state.
    #[inline]
    pub(super) fn timeout(&self, timers: &Timers, now: Timestamp) -> Duration {
        let start = || self.cold.get(self.slot).map_or(self.hot.last, |cold| cold.start);
        let age = || now.since(start());
        match &self.tracker {
            None => self.hot.plain.timeout(timers, age),
            Some(tracker) => tracker.timeout(timers, age),
        }
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

    /// Whether a session of ICMP holds such a message in a direction; one that is translated to the
    /// other family is answered in that one.
    fn carries(&self, carried: Carried, direction: Direction, crosses: bool) -> bool {
        let Carried { kind, against } = carried;
        let is_reply = direction == Direction::Reply;
        let kind = if crosses && is_reply { icmp_across(kind) } else { Some(kind) };
        let direction = if against { direction.reverse() } else { direction };
        kind.is_some_and(|kind| self.plain.carries(direction, kind))
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
