//! The session table: both directions of a connection under one entry.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;
use parefeu_net::{Direction, FiveTuple, Packet, Quoted, Timestamp, Transport};
use parefeu_policy::{Behaviour, ConnectionState};

use crate::state::{Progress, Timer, Tracker};
use crate::step::{Deadline, EndReason, InvalidReason, OpenError, Step};

/// Names a session as long as it lives; never names another one afterwards.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId {
    slot: u32,
    generation: u32,
}

/// Bounds of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableLimits {
    /// The most sessions kept at once, at most `u32::MAX`. As many again may have ended and wait to
    /// be collected.
    pub max_sessions: usize,
    /// What a further session does to a full table.
    pub when_full: WhenFull,
}

/// What becomes of a session that would exceed [`TableLimits::max_sessions`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenFull {
    /// It is refused with [`OpenError::TableFull`].
    #[default]
    DropNew,
    /// It takes the place of a session nobody has answered, found among a few; where all of those
    /// were answered it is refused. Linux does the same, and never gives up an answered one.
    DropUnanswered,
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { max_sessions: 1_000_000, when_full: WhenFull::DropNew }
    }
}

/// A session: addresses, state, counters, and what the caller keeps with it.
#[derive(Clone, Debug)]
pub struct Session<T> {
    /// The flow of the original direction, as its packets arrive.
    pub original: FiveTuple,
    /// The flow of the reply direction, as its packets arrive.
    pub reply: FiveTuple,
    /// When the first packet came.
    pub start: Timestamp,
    /// When the last accepted packet came.
    pub last: Timestamp,
    /// Packets, `[original, reply]`.
    pub packets: [u64; 2],
    /// Bytes on the wire, `[original, reply]`.
    pub bytes: [u64; 2],
    /// The caller's part.
    pub data: T,
    tag: u32,
    tracker: Tracker,
    deadline: Deadline,
}

impl<T> Session<T> {
    /// The flow of the original direction after translation.
    pub fn translated(&self) -> FiveTuple {
        self.reply.reverse()
    }

    /// The flow an ICMP error about this session quotes once it was translated; its source is then
    /// the destination of the error. `direction` is that of the error.
    pub const fn quoted_beyond(&self, direction: Direction) -> FiveTuple {
        match direction {
            Direction::Original => self.reply,
            Direction::Reply => self.original,
        }
    }

    /// Whether packets of the reply direction were seen.
    pub fn is_answered(&self) -> bool {
        self.tracker.is_answered()
    }

    /// Whether packets of the session are dropped silently.
    pub const fn is_refused(&self) -> bool {
        matches!(self.tracker, Tracker::Refused(_))
    }
}

/// A session that ended.
#[derive(Clone, Debug)]
pub struct EndedSession<T> {
    /// The session as it was.
    pub session: Session<T>,
    /// Why it ended.
    pub reason: EndReason,
}

/// Sessions by flow, with their timers.
///
/// Lookup is one keyed hash and a probe; every operation is `O(1)` amortised, timers `O(log n)`.
pub struct SessionTable<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    index: HashTable<Entry>,
    hasher: SeedableRandomState,
    deadlines: BinaryHeap<Reverse<(Deadline, u32, u32)>>,
    ended: VecDeque<EndedSession<T>>,
    behaviour: Behaviour,
    limits: TableLimits,
    /// Packets refused, by [`InvalidReason`].
    invalid: [u64; InvalidReason::ALL.len()],
    /// Where the search for an unanswered session goes on.
    eviction_cursor: usize,
}

/// How many sessions are looked at for one that nobody has answered, when the table is full.
const EVICTION_PROBES: usize = 64;

struct Slot<T> {
    generation: u32,
    session: Option<Session<T>>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
struct Entry {
    slot: u32,
    direction: Direction,
}

impl<T> SessionTable<T> {
    /// An empty table. `hash_key` keeps the flows of strangers from being steered into one bucket.
    pub fn new(limits: TableLimits, behaviour: Behaviour, hash_key: u64) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: SeedableRandomState::with_seed(hash_key, foldhash::SharedSeed::global_fixed()),
            deadlines: BinaryHeap::new(),
            ended: VecDeque::new(),
            behaviour,
            limits,
            invalid: [0; InvalidReason::ALL.len()],
            eviction_cursor: 0,
        }
    }

    /// Takes over another state policy; live sessions follow it from their next packet.
    pub fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    /// The session a packet belongs to, and its direction there. `tag` is where the packet entered.
    ///
    /// The original direction belongs to the tag it began with; one five-tuple that enters by two
    /// tags is two sessions, provided that translation keeps their replies apart. Replies match
    /// whatever their tag. A session past its deadline is found until
    /// [`SessionTable::handle_timeout`] was called.
    pub fn find(&self, tag: u32, flow: &FiveTuple) -> Option<(SessionId, Direction)> {
        let entry = self.entry(tag, flow)?;
        let generation = self.slots[entry.slot as usize].generation;
        Some((SessionId { slot: entry.slot, generation }, entry.direction))
    }

    fn entry(&self, tag: u32, flow: &FiveTuple) -> Option<Entry> {
        let is_it = |entry: &Entry| {
            self.slots[entry.slot as usize].session.as_ref().is_some_and(|session| {
                match entry.direction {
                    Direction::Original => session.tag == tag && session.original == *flow,
                    Direction::Reply => session.reply == *flow,
                }
            })
        };
        self.index.find(self.hash(flow), is_it).copied()
    }

    /// The keyed hash of a flow, by which the table finds it.
    pub fn hash(&self, flow: &FiveTuple) -> u64 {
        self.hasher.hash_one(flow)
    }

    /// A live session.
    pub fn session(&self, id: SessionId) -> Option<&Session<T>> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.session.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// A live session, to be changed.
    pub fn session_mut(&mut self, id: SessionId) -> Option<&mut Session<T>> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        slot.session.as_mut().filter(|_| slot.generation == id.generation)
    }

    /// The session an ICMP error is about, and the direction in which the error travels.
    ///
    /// `dst` is the destination of the error itself, which has to be the sender of the quoted
    /// packet. The quoted sequence number is not checked (as Linux). Translate the error with
    /// [`Session::quoted_beyond`]. `None` also when the quote is too short to know the flow, and
    /// when it quotes an answer where the session holds the query.
    pub fn related(
        &self,
        tag: u32,
        quoted: &Quoted,
        dst: IpAddr,
    ) -> Option<(SessionId, Direction)> {
        if !quoted.ports_known || quoted.flow.src != dst {
            return None;
        }
        let (id, direction) = self.find(tag, &quoted.flow.reverse())?;
        let session = self.session(id)?;
        let sent = quoted.icmp_kind.filter(|_| self.behaviour.icmp_sessions);
        let fits = sent.is_none_or(|kind| session.tracker.carries(direction.reverse(), kind));
        fits.then_some((id, direction))
    }

    /// How many packets were refused for this reason.
    pub const fn invalid_count(&self, reason: InvalidReason) -> u64 {
        self.invalid[reason as usize]
    }

    /// As rules name the state of a packet that belongs to no session.
    ///
    /// Neighbour discovery and multicast listener messages are never tracked (RFC 4861, RFC 3810).
    pub fn state_without_session(&self, packet: &Packet<'_>) -> ConnectionState {
        let v6 = packet.network.as_ref().is_some_and(|network| network.src.is_ipv6());
        if let Transport::Icmp(message) = &packet.transport
            && v6
            && matches!(message.kind, 130..=136 | 143)
        {
            return ConnectionState::Untracked;
        }
        match Tracker::open(packet, &self.behaviour) {
            Ok(_) => ConnectionState::New,
            Err(_) => ConnectionState::Invalid,
        }
    }

    /// Opens a session with its first packet.
    ///
    /// # Errors
    /// [`OpenError`] when the packet may not open one, the table is full, or a live session has the
    /// flow or its translated reply.
    pub fn open(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        opening: Opening<T>,
    ) -> Result<SessionId, OpenError> {
        let tracker = if opening.refused {
            Tracker::Refused(opening.original.protocol)
        } else {
            Tracker::open(packet, &self.behaviour).map_err(OpenError::Invalid)?
        };
        let Opening { tag, original, translated, data, bytes, .. } = opening;
        let reply = translated.reverse();
        if self.entry(tag, &original).is_some() || self.has_reply(&reply) {
            return Err(OpenError::Clash);
        }
        self.make_room()?;
        let deadline = now + tracker.timeout(&self.behaviour.timers, Duration::ZERO);
        let session = Session {
            original,
            reply,
            start: now,
            last: now,
            packets: [1, 0],
            bytes: [bytes, 0],
            data,
            tag,
            tracker,
            deadline,
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, session: None });
            self.slots.len() as u32 - 1
        });
        let generation = self.slots[slot as usize].generation;
        self.slots[slot as usize].session = Some(session);
        self.insert(slot, Direction::Original, &original);
        // A packet to itself is its own reply; one entry then stands for both.
        if reply != original {
            self.insert(slot, Direction::Reply, &reply);
        }
        self.schedule(slot, generation, deadline);
        Ok(SessionId { slot, generation })
    }

    /// Makes sure that one more session fits.
    fn make_room(&mut self) -> Result<(), OpenError> {
        let limit = self.limits.max_sessions.min(u32::MAX as usize);
        if self.ended.len() >= limit {
            return Err(OpenError::TableFull);
        }
        if self.len() < limit {
            return Ok(());
        }
        if self.limits.when_full == WhenFull::DropNew {
            return Err(OpenError::TableFull);
        }
        for _ in 0..EVICTION_PROBES.min(self.slots.len()) {
            self.eviction_cursor = (self.eviction_cursor + 1) % self.slots.len();
            let session = self.slots[self.eviction_cursor].session.as_ref();
            if session.is_some_and(|session| !session.tracker.is_answered()) {
                let reason = EndReason::ResourcesUnavailable;
                self.remove(self.eviction_cursor as u32, Some(reason));
                return Ok(());
            }
        }
        Err(OpenError::TableFull)
    }

    /// Whether a live session expects replies of this flow.
    pub fn has_reply(&self, reply: &FiveTuple) -> bool {
        let is_reply = |entry: &Entry| {
            entry.direction == Direction::Reply
                && self.slots[entry.slot as usize]
                    .session
                    .as_ref()
                    .is_some_and(|session| session.reply == *reply)
        };
        self.index.find(self.hash(reply), is_reply).is_some()
    }

    fn insert(&mut self, slot: u32, direction: Direction, flow: &FiveTuple) {
        let hash = self.hash(flow);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, Entry { slot, direction }, |entry| {
            let session = slots[entry.slot as usize].session.as_ref();
            session.map_or(0, |session| hasher.hash_one(flow_of(session, entry.direction)))
        });
    }

    /// Advances a session by one of its packets; one that is invalid changes nothing, but the
    /// second attempt to part outside the window ends it sooner.
    pub fn advance(
        &mut self,
        now: Timestamp,
        id: SessionId,
        direction: Direction,
        packet: &Packet<'_>,
        bytes: u64,
    ) -> Step {
        let slot = self.slots.get_mut(id.slot as usize).filter(|it| it.generation == id.generation);
        let Some(session) = slot.and_then(|slot| slot.session.as_mut()) else { return Step::Gone };
        let Progress { step, timer } = session.tracker.step(direction, packet, &self.behaviour);
        if let Step::Invalid(reason) = step {
            self.invalid[reason as usize] += 1;
        }
        if matches!(step, Step::Accept(_)) {
            session.packets[direction.index()] += 1;
            session.bytes[direction.index()] += bytes;
            session.last = now;
        }
        let timers = &self.behaviour.timers;
        let deadline = match timer {
            Timer::Renews => now + session.tracker.timeout(timers, now.since(session.start)),
            Timer::Shortens if !timers.tcp_unacknowledged.is_zero() => {
                session.deadline.min(now + timers.tcp_unacknowledged)
            }
            Timer::Shortens | Timer::Stays => return step,
        };
        let sooner = deadline < session.deadline;
        session.deadline = deadline;
        if sooner {
            self.schedule(id.slot, id.generation, deadline);
        }
        step
    }

    /// Turns a session into a refused one, whose packets are dropped silently until its timer ends.
    pub fn refuse(&mut self, now: Timestamp, id: SessionId) {
        let timers = self.behaviour.timers;
        let Some(session) = self.session_mut(id) else { return };
        session.tracker = Tracker::Refused(session.original.protocol);
        let deadline = now + session.tracker.timeout(&timers, now.since(session.start));
        session.deadline = deadline;
        self.schedule(id.slot, id.generation, deadline);
    }

    /// Ends a session; it can then be collected with [`SessionTable::poll_ended`].
    pub fn close(&mut self, id: SessionId, reason: EndReason) {
        if self.session(id).is_some() {
            self.remove(id.slot, Some(reason));
        }
    }

    /// Ends every session, oldest deadline first.
    pub fn close_all(&mut self, reason: EndReason) {
        let mut order: Vec<(Timestamp, u32)> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| Some((slot.session.as_ref()?.start, at as u32)))
            .collect();
        order.sort_unstable();
        for (_, slot) in order {
            // Sessions that have come to an end by themselves keep that reason.
            let own = self.slots[slot as usize].session.as_ref().map(|it| it.tracker.end_reason());
            let reason = own.filter(|own| *own != EndReason::AgedOut).unwrap_or(reason);
            self.remove(slot, Some(reason));
        }
        self.deadlines.clear();
    }

    fn remove(&mut self, slot: u32, reason: Option<EndReason>) {
        let Some(session) = self.slots[slot as usize].session.as_ref() else { return };
        let flows = [(Direction::Original, session.original), (Direction::Reply, session.reply)];
        for (direction, flow) in flows {
            let hash = self.hash(&flow);
            let entry = Entry { slot, direction };
            if let Ok(found) = self.index.find_entry(hash, |other| *other == entry) {
                found.remove();
            }
        }
        let kept = &mut self.slots[slot as usize];
        let Some(session) = kept.session.take() else { return };
        kept.generation = kept.generation.wrapping_add(1);
        self.free.push(slot);
        let reason = reason.unwrap_or_else(|| session.tracker.end_reason());
        self.ended.push_back(EndedSession { session, reason });
    }

    fn schedule(&mut self, slot: u32, generation: u32, deadline: Deadline) {
        self.deadlines.push(Reverse((deadline, slot, generation)));
        if self.deadlines.len() > 2 * self.slots.len() + 1024 {
            // Deadlines that were moved forward leave stale entries behind; drop them all.
            let live = self.slots.iter().enumerate().filter_map(|(at, slot)| {
                let session = slot.session.as_ref()?;
                Some(Reverse((session.deadline, at as u32, slot.generation)))
            });
            let mut entries = std::mem::take(&mut self.deadlines).into_vec();
            entries.clear();
            entries.extend(live);
            self.deadlines = entries.into();
        }
    }

    /// Ends every session whose deadline is at or before `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(&Reverse((deadline, slot, generation))) = self.deadlines.peek() {
            if deadline > now {
                return;
            }
            self.deadlines.pop();
            let id = SessionId { slot, generation };
            match self.session(id).map(|session| session.deadline) {
                Some(real) if real <= now => self.remove(slot, None),
                Some(real) => self.deadlines.push(Reverse((real, slot, generation))),
                None => {}
            }
        }
    }

    /// When [`SessionTable::handle_timeout`] may next have work.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadlines.peek().map(|Reverse((deadline, ..))| *deadline)
    }

    /// The oldest ended session not yet collected.
    pub fn poll_ended(&mut self) -> Option<EndedSession<T>> {
        self.ended.pop_front()
    }

    /// How many sessions live.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no session lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the table takes, what the callers' parts point to not counted.
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>()
            + self.free.capacity() * 4
            + self.index.capacity() * (size_of::<Entry>() + 1)
            + self.deadlines.capacity() * size_of::<(Deadline, u32, u32)>()
    }
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct Opening<T> {
    /// Where its first packet entered.
    pub tag: u32,
    /// Its flow as it arrived.
    pub original: FiveTuple,
    /// Its flow as it leaves.
    pub translated: FiveTuple,
    /// The caller's part.
    pub data: T,
    /// Bytes of the first packet on the wire.
    pub bytes: u64,
    /// Whether its packets are to be dropped silently.
    pub refused: bool,
}

const fn flow_of<T>(session: &Session<T>, direction: Direction) -> &FiveTuple {
    match direction {
        Direction::Original => &session.original,
        Direction::Reply => &session.reply,
    }
}
