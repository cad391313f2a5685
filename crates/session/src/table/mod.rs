//! The session table: both directions of a connection under one entry.

mod calendar;
mod index;
mod saved;
mod slots;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::time::Duration;

use foldhash::SharedSeed;
use foldhash::quality::{FoldHasher, SeedableRandomState};
use parefeu_net::{
    Direction, FiveTuple, Packet, Protocol, Quoted, TcpSegment, Timestamp, Transport,
};
use parefeu_policy::{Behaviour, ConnectionState};

use crate::plain::Plain;
use crate::session::{Carried, EndedSession, Opening, Session, SessionId, Sought};
use crate::state::{Progress, Timer, Tracker};
use crate::step::{EndReason, InvalidReason, OpenError, Step};
use calendar::Calendar;
use index::{Home, Index};
use slots::{Entry, Query, Slots, Stepped};

/// Bounds of a table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableLimits {
    /// The most sessions kept at once, at most `u32::MAX` − 8. As many again may have ended and
    /// wait to be collected.
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
    /// It takes the place of the oldest session that is not assured: whose handshake waits for an
    /// answer or for the answer to that, datagrams that do not go both ways for long, pings. Where
    /// all are assured it is refused. Linux looks for one among a few, and never gives up an
    /// assured one either.
    DropUnanswered,
    /// It is refused; and while the table is nearly full, sessions are given less time (accelerated
    /// aging, as PAN-OS calls it).
    Age(Aging),
}

/// When sessions are given less time, and how much less.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Aging {
    /// It begins when so many per cent of the sessions live that may, and ends when five fewer do.
    pub above_percent: u8,
    /// The idle timers run for so many times less.
    pub divisor: u8,
}

impl Default for Aging {
    /// PAN-OS: 80 per cent, half the time ("Accelerated Aging" of its session settings; from
    /// memory).
    fn default() -> Self {
        Self { above_percent: 80, divisor: 2 }
    }
}

impl Aging {
    /// Whether it holds on with so many sessions of those that may live.
    fn holds(self, is_on: bool, live: usize, most: usize) -> bool {
        let percent = u64::from(self.above_percent.saturating_sub(if is_on { 5 } else { 0 }));
        live as u64 * 100 >= most as u64 * percent
    }
}

impl Default for TableLimits {
    fn default() -> Self {
        Self { max_sessions: 1_000_000, when_full: WhenFull::DropNew }
    }
}

/// The room there is in tables that share a bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Room {
    /// How many more sessions fit.
    pub left: usize,
    /// Whether one of the tables gives a session up for another one.
    pub on_demand: bool,
}

impl TableLimits {
    /// The most sessions there are numbers for.
    fn sessions(&self) -> usize {
        self.max_sessions.min(u32::MAX as usize - 8)
    }
}

/// Sessions by flow, with their timers.
///
/// A lookup is one keyed hash, one cache line of the index and one of the session; opening and
/// closing cost as much again, timers `O(log n)` in the number of tenths of seconds on which
/// sessions may end. [`SessionTable::find_batch`] waits for many lookups at once. Structures, costs
/// and figures: `DESIGN.md` beside the crate.
#[derive(Debug)]
pub struct SessionTable<T> {
    slots: Slots<T>,
    index: Index,
    calendar: Calendar,
    hash_key: u64,
    /// Its constants, made from the key too: a flow that meets a known one cancels the key.
    hash_seed: SharedSeed,
    ended: VecDeque<EndedSession<T>>,
    behaviour: Behaviour,
    limits: TableLimits,
    /// What room there is, where the bound is shared with other tables.
    room: Option<Room>,
    /// By how much idle timers are divided now.
    haste: u32,
    /// Packets refused, by [`InvalidReason`].
    invalid: [u64; InvalidReason::ALL.len()],
    /// Sessions as they were opened, those that are assured or ended perhaps among them: kept where
    /// a full table makes room.
    unanswered: VecDeque<SessionId>,
}

impl<T> SessionTable<T> {
    /// An empty table. `hash_key` keeps the flows of strangers from being steered into one bucket.
    pub fn new(limits: TableLimits, behaviour: Behaviour, hash_key: u64) -> Self {
        Self {
            slots: Slots::new(),
            index: Index::new(),
            calendar: Calendar::new(),
            hash_key,
            hash_seed: SharedSeed::from_u64(hash_key),
            ended: VecDeque::new(),
            behaviour,
            limits,
            room: None,
            haste: 1,
            invalid: [0; InvalidReason::ALL.len()],
            unanswered: VecDeque::new(),
        }
    }

    /// Takes over another state policy; live sessions follow it from their next packet.
    pub fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.behaviour = behaviour;
    }

    /// What the session of a packet is sought by; `None` for a packet without a flow.
    pub fn sought(&self, tag: u32, packet: &Packet<'_>) -> Option<Sought> {
        let mut flow = packet.five_tuple()?;
        let mut carried = None;
        match &packet.transport {
            Transport::Icmp(message) => {
                carried = Some(Carried { kind: message.kind, against: false });
            }
            Transport::Other(bytes) if self.behaviour.ipsec_by_spi => {
                let at = match flow.protocol {
                    Protocol::ESP => 0,
                    Protocol::AH => 4,
                    _ => bytes.len(),
                };
                if let Some(&[a, b, c, d]) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
                    (flow.src_port, flow.dst_port) =
                        (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                }
            }
            _ => {}
        }
        let depth = if self.behaviour.tunnels_apart { packet.tunnels.depth() as u8 } else { 0 };
        Some(Sought { tag, flow, carried, depth: depth.min(Sought::MAX_DEPTH) })
    }

    /// The session a packet belongs to, and its direction there.
    ///
    /// The original direction belongs to the tag it began with; one five-tuple that enters by two
    /// tags is two sessions, provided that translation keeps their replies apart. Replies match
    /// whatever their tag. A session past its deadline is found until
    /// [`SessionTable::handle_timeout`] was called.
    pub fn find(&self, sought: &Sought) -> Option<(SessionId, Direction)> {
        let query = Query::new(sought);
        self.find_hashed(&query, self.place_hash(&query))
    }

    /// Finds the sessions of many packets, each as [`SessionTable::find`] does: `found` takes the
    /// answer to the query of the same number. The memory they need is waited for together: some
    /// thirty queries cost little more than three by themselves.
    ///
    /// Queries beyond the length of the shorter slice are left alone.
    pub fn find_batch(&self, queries: &[Sought], found: &mut [Option<(SessionId, Direction)>]) {
        const BATCH: usize = 32;
        let batches = queries.chunks(BATCH).zip(found.chunks_mut(BATCH));
        for (queries, found) in batches {
            let mut homes = [Home::default(); BATCH];
            for (home, query) in homes.iter_mut().zip(queries) {
                *home = self.index.home(self.place_hash(&Query::new(query)));
            }
            let homes = &homes[..queries.len()];
            // A round that only asks for memory keeps all its requests under way at once; the next
            // one finds it there.
            let mut seen = 0;
            for home in homes {
                seen |= self.index.touch(*home);
            }
            let mut candidates = [(0, 0); BATCH];
            for (candidate, home) in candidates.iter_mut().zip(homes) {
                *candidate = self.index.candidate(*home);
            }
            for (_, slot) in &candidates[..queries.len()] {
                seen |= self.slots.touch(*slot);
            }
            std::hint::black_box(seen);
            let known = homes.iter().zip(&candidates);
            for ((found, query), (home, candidate)) in found.iter_mut().zip(queries).zip(known) {
                *found = self.find_from(&Query::new(query), *home, *candidate);
            }
        }
    }

    fn find_hashed(&self, query: &Query<'_>, hash: u64) -> Option<(SessionId, Direction)> {
        let home = self.index.home(hash);
        self.find_from(query, home, self.index.candidate(home))
    }

    #[inline]
    fn find_from(
        &self,
        query: &Query<'_>,
        home: Home,
        (ways, candidate): (u32, u32),
    ) -> Option<(SessionId, Direction)> {
        // The first place that may be meant most often is.
        if ways != 0
            && let Some((id, direction)) = self.slots.found_at(candidate, query)
            && (direction == Direction::Original || self.are_replies_alone(query))
        {
            return Some((id, direction));
        }
        let mut found = None;
        self.index.search_from(home, ways, |slot| {
            let Some((id, direction)) = self.slots.found_at(slot, query) else { return false };
            found = Some((id, direction));
            direction == Direction::Original
        });
        found
    }

    /// Whether a flow that is the reply of one session cannot be the original of another: it can be
    /// where a session is translated, or where ICMP messages are not told apart.
    #[inline]
    fn are_replies_alone(&self, query: &Query<'_>) -> bool {
        !self.slots.has_translated() && query.tells_messages()
    }

    /// The keyed hash of a flow.
    pub fn hash(&self, flow: &FiveTuple) -> u64 {
        // Not the index's hash: this one seeds the choice of translated ports, which reports show.
        SeedableRandomState::with_seed(self.hash_key, SharedSeed::global_fixed()).hash_one(flow)
    }

    /// The keyed hash both directions of a flow share, by which the index finds it.
    #[inline]
    fn place_hash(&self, query: &Query<'_>) -> u64 {
        let Some((addresses, ports)) = query.words() else { return self.wide_hash(query) };
        let mut hasher = self.hasher();
        hasher.write_u64(addresses);
        hasher.write_u64(ports);
        hasher.finish()
    }

    fn wide_hash(&self, query: &Query<'_>) -> u64 {
        let mut hasher = self.hasher();
        query.flow().direction_free().hash(&mut hasher);
        hasher.finish()
    }

    #[inline]
    const fn hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.hash_key, &self.hash_seed)
    }

    fn hash_of(&self, flow: &FiveTuple) -> u64 {
        self.place_hash(&Query::new(&Sought::new(0, *flow)))
    }

    /// A live session, as it is now.
    pub fn session(&self, id: SessionId) -> Option<Session<&T>> {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)?;
        let (original, reply) = self.slots.flows(hot);
        Some(Session {
            original,
            reply,
            start: self.slots.cold(id.slot)?.start,
            last: hot.last,
            packets: hot.packets(),
            bytes: hot.bytes(),
            data: self.slots.data(id.slot)?,
            is_answered: self.slots.tracker(id.slot)?.is_answered(),
            is_refused: hot.is_refused(),
        })
    }

    /// The flows of a live session, as its packets arrive: of the original direction and of the
    /// reply.
    pub fn flows(&self, id: SessionId) -> Option<(FiveTuple, FiveTuple)> {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)?;
        Some(self.slots.flows(hot))
    }

    /// As [`SessionTable::flows`], of a live session that is translated.
    pub fn flows_translated(&self, id: SessionId) -> Option<(FiveTuple, FiveTuple)> {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)?;
        self.slots.flows_apart(hot).filter(|(original, reply)| *reply != original.reverse())
    }

    /// Whether this is a live session whose packets are dropped silently.
    pub fn is_refused(&self, id: SessionId) -> bool {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation);
        hot.is_some_and(slots::Hot::is_refused)
    }

    /// What the caller keeps with a live session.
    pub fn data(&self, id: SessionId) -> Option<&T> {
        self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)?;
        self.slots.data(id.slot)
    }

    /// What the caller keeps with a live session, to be changed.
    pub fn data_mut(&mut self, id: SessionId) -> Option<&mut T> {
        self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)?;
        self.slots.data_mut(id.slot)
    }

    /// The session an ICMP error is about, and the direction in which the error travels.
    ///
    /// `error` is what its own session would be sought by; its destination has to be the sender of
    /// the quoted packet. The quoted sequence number is not checked (as Linux). Translate the error
    /// with [`Session::quoted_beyond`]. `None` also when the quote is too short to know the flow,
    /// and when it quotes an answer where the session holds the query.
    pub fn related(&self, error: &Sought, quoted: &Quoted) -> Option<(SessionId, Direction)> {
        if !quoted.ports_known || quoted.flow.src != error.flow.dst {
            return None;
        }
        let carried = quoted.icmp_kind.map(|kind| Carried { kind, against: true });
        self.find(&Sought { flow: quoted.flow.reverse(), carried, ..*error })
    }

    /// Counts packets refused elsewhere, by [`InvalidReason`].
    pub fn add_invalid(&mut self, counts: impl IntoIterator<Item = u64>) {
        for (sum, more) in self.invalid.iter_mut().zip(counts) {
            *sum += more;
        }
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
            Tracker::refused(packet, opening.original.protocol)
        } else {
            Tracker::open(packet, &self.behaviour).map_err(OpenError::Invalid)?
        };
        let Opening { tag, original, translated, data, bytes, .. } = opening;
        let reply = translated.reverse();
        let as_it_is = self.sought(tag, packet).unwrap_or_else(|| Sought::new(tag, original));
        let sought = Sought { flow: original, ..as_it_is };
        let answer = sought.leaving_as(translated).reverse();
        let query = Query::new(&sought);
        let hash = self.place_hash(&query);
        if self.find_hashed(&query, hash).is_some() || self.has_reply(&answer) {
            return Err(OpenError::Clash);
        }
        if self.is_full() && !self.drop_unanswered() {
            return Err(OpenError::TableFull);
        }
        let deadline =
            now + hastened(tracker.timeout(&self.behaviour.timers, || Duration::ZERO), self.haste);
        let depth = sought.depth;
        let entry = Entry { tag, original, reply, depth, now, deadline, bytes, tracker, data };
        let id = self.place(entry, hash);
        self.age_by_number();
        Ok(id)
    }

    /// Puts a session into a free slot and into the index, by the hash of its original flow.
    fn place(&mut self, entry: Entry<T>, hash: u64) -> SessionId {
        let reply_hash = if entry.is_translated() { self.hash_of(&entry.reply) } else { hash };
        if !self.index.has_room() {
            self.grow();
        }
        let (slot, generation) = self.slots.insert(entry);
        self.room = self.room.map(|it| Room { left: it.left.saturating_sub(1), ..it });
        self.index.insert(hash, slot);
        if reply_hash != hash {
            self.index.insert(reply_hash, slot);
        }
        self.calendar.note(&mut self.slots, slot);
        let id = SessionId { slot, generation };
        if self.limits.when_full == WhenFull::DropUnanswered && self.gives_way(id) {
            self.await_answer(id);
        }
        id
    }

    /// Notes a session that may have to make room.
    fn await_answer(&mut self, id: SessionId) {
        if self.unanswered.len() >= 2 * self.len() + 64 {
            let mut waiting = std::mem::take(&mut self.unanswered);
            waiting.retain(|id| self.gives_way(*id));
            self.unanswered = waiting;
        }
        self.unanswered.push_back(id);
    }

    /// Makes the index take more sessions.
    fn grow(&mut self) {
        let mut index = std::mem::replace(&mut self.index, Index::new());
        index.reserve(self.limits.sessions(), |index| {
            for slot in 0..self.slots.count() {
                let Some(hot) = self.slots.hot(slot) else { continue };
                let (original, reply) = self.slots.flows(hot);
                let hashes = [self.hash_of(&original), self.hash_of(&reply)];
                index.insert(hashes[0], slot);
                if hashes[0] != hashes[1] {
                    index.insert(hashes[1], slot);
                }
            }
        });
        self.index = index;
    }

    /// Whether no further session fits.
    fn is_full(&self) -> bool {
        let limit = self.limits.sessions();
        let is_full = self.room.map_or(self.len() >= limit, |room| room.left == 0);
        self.ended.len() >= limit || is_full
    }

    /// Whether a further session fits, perhaps in the place of one that is given up for it.
    pub fn has_room(&mut self) -> bool {
        if !self.is_full() {
            return true;
        }
        match self.room {
            Some(room) => room.on_demand,
            None => {
                self.limits.when_full == WhenFull::DropUnanswered
                    && self.ended.len() < self.limits.sessions()
                    && self.longest_unanswered().is_some()
            }
        }
    }

    /// Shares the bound of sessions with other tables: there is this room for now, and who makes
    /// more of it is the caller's choice. `None` ends that.
    pub fn set_room(&mut self, room: Option<Room>) {
        self.room = room;
    }

    /// Whether this is a live session that is not assured.
    fn gives_way(&self, id: SessionId) -> bool {
        let Some(hot) = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation)
        else {
            return false;
        };
        let timers = &self.behaviour.timers;
        let age = || hot.last.since(self.slots.cold(id.slot).map_or(hot.last, |cold| cold.start));
        self.slots.tracker(id.slot).is_some_and(|tracker| !tracker.is_assured(timers, age))
    }

    /// The oldest session that is not assured, where a full table makes room.
    pub fn longest_unanswered(&mut self) -> Option<SessionId> {
        while let Some(id) = self.unanswered.front().copied() {
            if self.gives_way(id) {
                return Some(id);
            }
            self.unanswered.pop_front();
        }
        None
    }

    /// Ends the oldest session that is not assured, and says whether there was one.
    fn drop_unanswered(&mut self) -> bool {
        if self.ended.len() >= self.limits.sessions() || self.room.is_some() {
            return false;
        }
        let Some(id) = self.longest_unanswered() else { return false };
        self.remove(id.slot, Some(EndReason::ResourcesUnavailable));
        true
    }

    /// Whether a live session expects such replies, wherever they enter.
    pub fn has_reply(&self, reply: &Sought) -> bool {
        self.expecting(reply).is_some()
    }

    fn expecting(&self, reply: &Sought) -> Option<SessionId> {
        let query = Query::new(reply);
        let mut found = None;
        self.index.search(self.index.home(self.place_hash(&query)), |slot| {
            let here = self.slots.found_at(slot, &query);
            found = here.filter(|(_, direction)| *direction == Direction::Reply);
            found.is_some()
        });
        found.map(|(id, _)| id)
    }

    /// The live session that expects such replies, if it gives its port up to a connection which
    /// this segment opens: one whose source is translated, that is over or as good as over, and
    /// behind whose sequence numbers the new ones begin, so that none is mistaken for an old one
    /// (Linux, `nf_nat_used_tuple_harder`, net/netfilter/nf_nat_core.c; measured).
    pub fn gives_port_up(&self, reply: &Sought, opening: &TcpSegment<'_>) -> Option<SessionId> {
        let id = self.expecting(reply)?;
        let (original, reply) = self.flows(id)?;
        let is_translated = (original.src, original.src_port) != (reply.dst, reply.dst_port);
        let Some(Tracker::Tcp(connection)) = self.slots.tracker(id.slot) else { return None };
        (is_translated && connection.gives_port_up(opening)).then_some(id)
    }

    /// Whether packets of such a flow belong to a live session already, as its replies or, wherever
    /// they enter, as its own: no other session can have them as replies.
    pub fn is_taken(&self, reply: &Sought) -> bool {
        let query = Query::new(reply);
        let mut is_taken = false;
        self.index.search(self.index.home(self.place_hash(&query)), |slot| {
            let Some(hot) = self.slots.hot(slot) else { return false };
            let here = Sought { tag: hot.tag, ..*reply };
            is_taken = self.slots.found_at(slot, &Query::new(&here)).is_some();
            is_taken
        });
        is_taken
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
        let Self { slots, behaviour, invalid, haste, .. } = self;
        let haste = *haste;
        let timers = &behaviour.timers;
        let Some(mut session) = slots.stepped(id) else { return Step::Gone };
        let Progress { step, timer } = session.step(direction, packet, behaviour);
        let renewed = (timer == Timer::Renews).then(|| session.timeout(timers, now));
        let hot = session.hot;
        match step {
            Step::Accept(_) => {
                hot.count(direction.index(), bytes);
                hot.last = now;
            }
            Step::Invalid(reason) => invalid[reason as usize] += 1,
            Step::Reopen | Step::Gone => {}
        }
        let deadline = match (timer, renewed) {
            (_, Some(timeout)) => now + hastened(timeout, haste),
            (Timer::Shortens, _) if !timers.tcp_unacknowledged.is_zero() => {
                hot.deadline.min(now + timers.tcp_unacknowledged)
            }
            _ => return step,
        };
        let sooner = deadline < hot.deadline;
        hot.deadline = deadline;
        if sooner {
            self.reschedule(id.slot);
        }
        step
    }

    /// A TCP connection is over, as if a reset had ended it: one was sent in its name.
    pub fn end_connection(&mut self, now: Timestamp, id: SessionId) {
        let Some(Stepped { hot, tracker: Some(Tracker::Tcp(connection)), .. }) =
            self.slots.stepped(id)
        else {
            return;
        };
        if !connection.end() {
            return;
        }
        hot.deadline = now + hastened(self.behaviour.timers.tcp_reset, self.haste);
        self.reschedule(id.slot);
    }

    /// Counts a packet of another flow for a session, as of an ICMP error about it, in the
    /// direction it goes. Nothing else of the session changes.
    pub fn count(&mut self, id: SessionId, direction: Direction, bytes: u64) {
        let hot = self.slots.hot_mut(id.slot).filter(|hot| hot.generation == id.generation);
        if let Some(hot) = hot {
            hot.count(direction.index(), bytes);
        }
    }

    fn reschedule(&mut self, slot: u32) {
        self.calendar.renote(&mut self.slots, slot);
    }

    /// Turns a session into a refused one, whose packets are dropped silently until its timer ends.
    pub fn refuse(&mut self, now: Timestamp, id: SessionId) {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation);
        let Some(protocol) = hot.map(|hot| self.slots.flows(hot).0.protocol) else { return };
        self.slots.refuse(id.slot);
        let refused = Plain::default().refused(protocol);
        let timeout = refused.timeout(&self.behaviour.timers, || Duration::ZERO);
        if let Some(hot) = self.slots.hot_mut(id.slot) {
            hot.deadline = now + hastened(timeout, self.haste);
        }
        self.reschedule(id.slot);
    }

    /// Whether sessions are given less time now, because there are many.
    pub const fn is_hasty(&self) -> bool {
        self.haste > 1
    }

    /// Takes up that sessions were given less time, those that are taken up among them.
    pub fn set_hasty(&mut self, hasty: bool) {
        if let WhenFull::Age(aging) = self.limits.when_full {
            self.haste = if hasty { u32::from(aging.divisor.max(1)) } else { 1 };
        }
    }

    /// Gives sessions less time from now on, or as much as before, as many as there are. Those that
    /// have less already get more with their next packet.
    ///
    /// Cost: linear in the sessions where it begins, which it does once for each twentieth of them
    /// that has come and gone.
    fn age_by_number(&mut self) {
        let WhenFull::Age(aging) = self.limits.when_full else { return };
        let is_on = self.haste > 1;
        let holds = aging.holds(is_on, self.len(), self.limits.sessions());
        if holds == is_on {
            return;
        }
        self.haste = if holds { u32::from(aging.divisor.max(1)) } else { 1 };
        for slot in 0..self.slots.count() {
            if self.haste > 1
                && let Some(hot) = self.slots.hot_mut(slot)
            {
                hot.deadline = hot.last + hot.deadline.since(hot.last) / self.haste;
                self.reschedule(slot);
            }
        }
    }

    /// Ends a session; it can then be collected with [`SessionTable::poll_ended`].
    pub fn close(&mut self, id: SessionId, reason: EndReason) {
        let hot = self.slots.hot(id.slot).filter(|hot| hot.generation == id.generation);
        if hot.is_some() {
            self.remove(id.slot, Some(reason));
        }
    }

    /// Ends every session, oldest first.
    pub fn close_all(&mut self, reason: EndReason) {
        let live = |slot| self.slots.hot(slot).and_then(|_| self.slots.cold(slot));
        let mut order: Vec<(Timestamp, u32)> =
            (0..self.slots.count()).filter_map(|slot| Some((live(slot)?.start, slot))).collect();
        order.sort_unstable();
        for (_, slot) in order {
            // Sessions that have come to an end by themselves keep that reason.
            let own = self.slots.tracker(slot).map(|tracker| tracker.end_reason());
            let reason = own.filter(|own| *own != EndReason::AgedOut).unwrap_or(reason);
            self.remove(slot, Some(reason));
        }
    }

    fn remove(&mut self, slot: u32, reason: Option<EndReason>) {
        // Both lines of the session are on their way before either is waited for.
        std::hint::black_box(self.slots.touch(slot) | self.slots.touch_cold(slot));
        let Some(hot) = self.slots.hot(slot) else { return };
        let id = SessionId { slot, generation: hot.generation };
        let due = reason.is_none().then_some(hot.deadline);
        let Some(session) = self.session(id) else { return };
        let Session { original, reply, start, last, packets, bytes, .. } = session;
        let Session { is_answered, is_refused, .. } = session;
        let own = self.slots.tracker(slot).map_or(EndReason::Unknown, |it| it.end_reason());
        let hash = self.hash_of(&original);
        let reply_hash = if session.is_translated() { self.hash_of(&reply) } else { hash };
        self.index.remove(hash, slot);
        if reply_hash != hash {
            self.index.remove(reply_hash, slot);
        }
        let Some(data) = self.slots.remove(slot) else { return };
        self.room = self.room.map(|it| Room { left: it.left + 1, ..it });
        self.age_by_number();
        let session =
            Session { original, reply, start, last, packets, bytes, data, is_answered, is_refused };
        self.ended.push_back(EndedSession { session, reason: reason.unwrap_or(own), due });
    }

    /// Ends every session whose deadline is at or before `now`, in the order of deadlines.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        while let Some(slot) = self.calendar.pop_due(&mut self.slots, now) {
            self.remove(slot, None);
        }
    }

    /// When [`SessionTable::handle_timeout`] may next have work.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        if self.is_empty() {
            return None;
        }
        self.calendar.next_due()
    }

    /// The oldest ended session not yet collected.
    pub fn poll_ended(&mut self) -> Option<EndedSession<T>> {
        self.ended.pop_front()
    }

    /// How many sessions live.
    pub const fn len(&self) -> usize {
        self.slots.live()
    }

    /// Whether no session lives.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes the table takes, what the callers' parts point to not counted, nor what ended and
    /// waits to be collected.
    pub fn memory_bytes(&self) -> usize {
        let unanswered = self.unanswered.capacity() * size_of::<SessionId>();
        self.slots.bytes() + self.index.bytes() + self.calendar.bytes() + unanswered
    }
}

/// A part of an idle time: all of it, without a division, unless sessions age sooner.
#[inline]
fn hastened(timeout: Duration, haste: u32) -> Duration {
    if haste > 1 { timeout / haste } else { timeout }
}

#[cfg(test)]
mod tests;
