//! SCTP association tracking: phases and verification tags (RFC 9260).
//!
//! What the RFC leaves to a middlebox, which packets may begin an association for it among them,
//! follows Linux connection tracking, observed packet by packet.

use std::time::Duration;

use parefeu_net::Direction;
use parefeu_policy::Timers;
use serde::{Deserialize, Serialize};

use crate::step::InvalidReason;

/// Where an association stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Phase {
    /// INIT was sent.
    Opening,
    /// INIT ACK was sent in answer.
    CookieWait,
    /// COOKIE ECHO was sent.
    CookieEchoed,
    /// The handshake is complete, or a HEARTBEAT of a further path was acknowledged.
    Established,
    /// The original side has sent SHUTDOWN.
    ShutdownSent,
    /// The reply side has sent SHUTDOWN.
    ShutdownReceived,
    /// SHUTDOWN ACK was sent.
    ShutdownAckSent,
    /// The first packet was a HEARTBEAT: a further path of an association known elsewhere.
    HeartbeatSent,
    /// It is over, or began with what opens none.
    Closed,
}

/// What an association can be told from its packets.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Association {
    phase: Phase,
    /// The verification tag packets of each direction have to carry; 0 before it was agreed on,
    /// `None` where the capture was cut before it.
    tags: [Option<u32>; 2],
    /// Which directions have sent INIT since the last COOKIE ACK.
    opened: [bool; 2],
    /// The direction of the last HEARTBEAT with another tag, which its answer may confirm.
    doubted: Option<Direction>,
    /// Whether packets of the reply direction were seen.
    pub(crate) answered: bool,
}

/// What a packet did to its association.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SctpStep {
    /// It belongs to it.
    Accept,
    /// It belongs to it, and does not renew the timer.
    Ignore,
    /// It does not belong. The chunks before the one that told so were followed.
    Invalid(InvalidReason),
}

/// The chunks of a packet, as far as they were captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SctpPacket<'a> {
    pub(crate) verification_tag: u32,
    pub(crate) chunks: &'a [u8],
    /// Whether more of the packet was on the wire.
    pub(crate) is_cut: bool,
}

/// Chunk types (RFC 9260 §3.2); the others change no phase.
mod chunk {
    pub(super) const DATA: u8 = 0;
    pub(super) const INIT: u8 = 1;
    pub(super) const INIT_ACK: u8 = 2;
    pub(super) const HEARTBEAT: u8 = 4;
    pub(super) const HEARTBEAT_ACK: u8 = 5;
    pub(super) const ABORT: u8 = 6;
    pub(super) const SHUTDOWN: u8 = 7;
    pub(super) const SHUTDOWN_ACK: u8 = 8;
    pub(super) const ERROR: u8 = 9;
    pub(super) const COOKIE_ECHO: u8 = 10;
    pub(super) const COOKIE_ACK: u8 = 11;
    pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
}

/// One chunk (RFC 9260 §3.2).
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    kind: u8,
    /// The T bit of ABORT and SHUTDOWN COMPLETE: the tag is that of the other direction.
    reflects: bool,
    length: u16,
    /// Every byte of the packet behind the chunk's header.
    rest: &'a [u8],
}

/// The types of the chunks of a packet.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds(u16);

impl Kinds {
    const fn of(kinds: &[u8]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < kinds.len() {
            bits |= 1 << kinds[at];
            at += 1;
        }
        Self(bits)
    }

    /// Whether one of these types is there.
    const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// They stand alone in their packet (RFC 9260 §6.10).
const ALONE: Kinds = Kinds::of(&[chunk::INIT, chunk::INIT_ACK, chunk::SHUTDOWN_COMPLETE]);

/// They stand first in their packet (RFC 9260 §5.1).
const FIRST: Kinds = Kinds::of(&[chunk::COOKIE_ECHO, chunk::COOKIE_ACK]);

/// Their packets open nothing (RFC 9260 §8.4).
const OUT_OF_THE_BLUE: Kinds =
    Kinds::of(&[chunk::ABORT, chunk::COOKIE_ACK, chunk::SHUTDOWN_COMPLETE]);

/// They have rules of their own for the tag of their packet (RFC 9260 §8.5.1), as Linux has for
/// heartbeats, which may come by another path.
const OWN_TAG_RULE: Kinds = Kinds::of(&[
    chunk::INIT,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT_ACK,
    chunk::ABORT,
    chunk::SHUTDOWN_ACK,
    chunk::COOKIE_ECHO,
    chunk::SHUTDOWN_COMPLETE,
]);

impl<'a> SctpPacket<'a> {
    /// The chunks in order. Each takes four bytes or more, so there is an end.
    fn chunks(self) -> impl Iterator<Item = Chunk<'a>> {
        let mut left = self.chunks;
        std::iter::from_fn(move || {
            let (&[kind, flags, high, low], rest) = left.split_first_chunk()?;
            let length = u16::from_be_bytes([high, low]);
            left = left.get(usize::from(length).next_multiple_of(4).max(4)..).unwrap_or_default();
            Some(Chunk { kind, reflects: flags & 1 != 0, length, rest })
        })
    }

    /// Which chunks there are, where they may be together.
    fn kinds(self) -> Result<Kinds, InvalidReason> {
        let mut kinds = Kinds::default();
        for (at, chunk) in self.chunks().enumerate() {
            let kind = chunk.kinds();
            let misplaced = at > 0 && (kind.intersects(FIRST) || kind.intersects(ALONE));
            if misplaced || kinds.intersects(ALONE) || chunk.length == 0 {
                return Err(InvalidReason::BadChunks);
            }
            kinds.0 |= kind.0;
        }
        if self.chunks.len() < 4 && !self.is_cut {
            return Err(InvalidReason::BadChunks);
        }
        Ok(kinds)
    }

    /// The tag that an INIT or INIT ACK asks to be addressed by (RFC 9260 §3.3.2); `None` where it
    /// was not captured.
    fn initiate_tag(self, chunk: &Chunk<'_>) -> Result<Option<u32>, InvalidReason> {
        // Initiate tag, receiver window, streams both ways, first sequence number.
        if chunk.rest.len() < 16 && !self.is_cut {
            return Err(InvalidReason::BadChunks);
        }
        Ok(chunk.rest.first_chunk().map(|bytes| u32::from_be_bytes(*bytes)))
    }
}

impl Chunk<'_> {
    const fn kinds(&self) -> Kinds {
        Kinds(if self.kind < 16 { 1 << self.kind } else { 0 })
    }

    /// Whether it says where the association stands: heartbeats, data and what goes with them, and
    /// types not known here do not.
    const fn is_control(&self) -> bool {
        const CONTROL: Kinds = Kinds::of(&[
            chunk::INIT,
            chunk::INIT_ACK,
            chunk::ABORT,
            chunk::SHUTDOWN,
            chunk::SHUTDOWN_ACK,
            chunk::ERROR,
            chunk::COOKIE_ECHO,
            chunk::COOKIE_ACK,
            chunk::SHUTDOWN_COMPLETE,
        ]);
        self.kinds().intersects(CONTROL)
    }
}

impl Phase {
    /// What an association is that begins with a chunk; `None` where none does. What is neither
    /// INIT nor HEARTBEAT is let through, to be answered, and forgotten soon (RFC 9260 §8.4).
    const fn opened_by(chunk: &Chunk<'_>) -> Option<Self> {
        Some(match chunk.kind {
            chunk::INIT => Self::Opening,
            chunk::HEARTBEAT => Self::HeartbeatSent,
            chunk::SHUTDOWN_ACK => Self::ShutdownAckSent,
            chunk::HEARTBEAT_ACK => Self::Closed,
            _ if chunk.is_control() && !chunk.kinds().intersects(OUT_OF_THE_BLUE) => Self::Closed,
            _ => return None,
        })
    }

    /// The phase after a chunk; `None` where it may not come.
    const fn after(self, chunk: &Chunk<'_>, direction: Direction) -> Option<Self> {
        use Direction::{Original, Reply};
        Some(match (self, chunk.kind, direction) {
            (Self::HeartbeatSent, _, _) => return Self::after_heartbeat(chunk, direction),
            // An ERROR tells of a stale cookie there (RFC 9260 §5.2.6).
            (_, chunk::ABORT, _)
            | (Self::CookieEchoed, chunk::ERROR, Reply)
            | (Self::ShutdownAckSent, chunk::SHUTDOWN_COMPLETE, _) => Self::Closed,
            (Self::Opening | Self::Closed, chunk::INIT, _)
            | (Self::ShutdownSent | Self::ShutdownReceived, chunk::INIT, Original) => Self::Opening,
            (Self::Opening | Self::Closed, chunk::INIT_ACK, Reply) => Self::CookieWait,
            (Self::CookieWait, chunk::COOKIE_ECHO, _) => Self::CookieEchoed,
            (Self::CookieEchoed, chunk::COOKIE_ACK, _) => Self::Established,
            (Self::Established, chunk::SHUTDOWN, Original) => Self::ShutdownSent,
            (Self::Established, chunk::SHUTDOWN, Reply) => Self::ShutdownReceived,
            (Self::ShutdownSent | Self::ShutdownReceived, chunk::SHUTDOWN_ACK, _) => {
                Self::ShutdownAckSent
            }
            _ => self,
        })
    }

    /// The phase after a chunk on a path that was opened by a HEARTBEAT: before its answer the
    /// other side says nothing there about the association.
    const fn after_heartbeat(chunk: &Chunk<'_>, direction: Direction) -> Option<Self> {
        use Direction::{Original, Reply};
        Some(match (chunk.kind, direction) {
            (chunk::HEARTBEAT_ACK, Reply) => Self::Established,
            _ if !chunk.is_control() => Self::HeartbeatSent,
            (_, Reply) => return None,
            (chunk::INIT, Original) => Self::CookieWait,
            (chunk::SHUTDOWN_ACK, Original) => Self::ShutdownAckSent,
            (_, Original) => Self::Closed,
        })
    }
}

impl Association {
    /// The association a packet begins.
    pub(crate) fn open(packet: SctpPacket<'_>) -> Result<Self, InvalidReason> {
        let kinds = packet.kinds()?;
        let Some(first) = packet.chunks().next() else {
            // Cut before its first chunk: nothing speaks against it.
            return Ok(Self::new(Phase::Opening, [None; 2]));
        };
        let phase = Phase::opened_by(&first).ok_or(InvalidReason::NotOpening)?;
        let mut tags = [Some(0); 2];
        for chunk in packet.chunks() {
            if Phase::opened_by(&chunk).is_none() {
                return Err(InvalidReason::NotOpening);
            }
            match chunk.kind {
                chunk::HEARTBEAT => tags[0] = Some(packet.verification_tag),
                chunk::SHUTDOWN_ACK => tags[1] = Some(packet.verification_tag),
                _ => {}
            }
        }
        let mut association = Self::new(phase, tags);
        match association.follow(Direction::Original, packet, kinds) {
            SctpStep::Invalid(reason) => Err(reason),
            SctpStep::Accept | SctpStep::Ignore => Ok(association),
        }
    }

    const fn new(phase: Phase, tags: [Option<u32>; 2]) -> Self {
        let opened = [matches!(phase, Phase::Opening), false];
        Self { phase, tags, opened, doubted: None, answered: false }
    }

    /// Advances the association by a packet, chunk by chunk. Constant memory, linear in the chunks.
    pub(crate) fn step(&mut self, direction: Direction, packet: SctpPacket<'_>) -> SctpStep {
        let step = packet.kinds().map(|kinds| self.follow(direction, packet, kinds));
        let step = step.unwrap_or_else(SctpStep::Invalid);
        if !matches!(step, SctpStep::Invalid(_)) {
            self.answered |= direction == Direction::Reply;
        }
        step
    }

    fn follow(&mut self, direction: Direction, packet: SctpPacket<'_>, kinds: Kinds) -> SctpStep {
        let tag = packet.verification_tag;
        // Of a packet that was cut before its first chunk nothing is known.
        let is_judged = packet.chunks.len() >= 4 && !kinds.intersects(OWN_TAG_RULE);
        if is_judged && !self.is_tag(direction, tag) {
            return SctpStep::Invalid(InvalidReason::WrongVerificationTag);
        }
        let has_data = kinds.intersects(Kinds::of(&[chunk::DATA]));
        let mut step = SctpStep::Accept;
        for chunk in packet.chunks() {
            let is_right = match chunk.kind {
                chunk::INIT => tag == 0,
                chunk::ABORT | chunk::SHUTDOWN_COMPLETE if chunk.reflects => {
                    self.is_tag(direction.reverse(), tag)
                }
                chunk::ABORT | chunk::SHUTDOWN_COMPLETE | chunk::COOKIE_ECHO => {
                    self.is_tag(direction, tag)
                }
                chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if !self.takes_up(direction, tag) => {
                    let is_alone = !has_data && step == SctpStep::Accept;
                    if chunk.kind == chunk::HEARTBEAT && is_alone {
                        self.doubted = Some(direction);
                        step = SctpStep::Ignore;
                        continue;
                    }
                    is_alone && self.confirms(direction, tag)
                }
                _ => true,
            };
            if !is_right {
                return SctpStep::Invalid(InvalidReason::WrongVerificationTag);
            }
            let Some(phase) = self.phase.after(&chunk, direction) else {
                return SctpStep::Invalid(InvalidReason::UnexpectedFlags);
            };
            if let Err(reason) = self.agree(direction, packet, &chunk) {
                return SctpStep::Invalid(reason);
            }
            // An INIT sent again does not hold the association: its port may be another client's.
            let is_over = matches!(self.phase, Phase::Opening | Phase::Closed);
            if chunk.kind == chunk::INIT && is_over {
                step = SctpStep::Ignore;
            }
            self.phase = phase;
        }
        step
    }

    /// Whether this is the tag of a direction.
    fn is_tag(&self, direction: Direction, tag: u32) -> bool {
        self.tags[direction.index()].is_none_or(|expected| expected == tag)
    }

    /// Whether a heartbeat has the tag of its direction, which is agreed on with the first one.
    fn takes_up(&mut self, direction: Direction, tag: u32) -> bool {
        let own = &mut self.tags[direction.index()];
        match *own {
            None => {}
            Some(0) => *own = Some(tag),
            Some(expected) if expected == tag => self.doubted = None,
            Some(_) => return false,
        }
        true
    }

    /// Whether this answers the heartbeat that came with another tag: the two ends have an
    /// association anew, of which this is one tag.
    fn confirms(&mut self, direction: Direction, tag: u32) -> bool {
        let confirms = self.doubted == Some(direction.reverse());
        if confirms {
            self.doubted = None;
            self.tags[direction.index()] = Some(tag);
            self.tags[direction.reverse().index()] = Some(0);
        }
        confirms
    }

    /// Takes down the tag that an INIT or INIT ACK asks for.
    ///
    /// An INIT begins the association anew, whoever sends it (RFC 9260 §5.2.2). An INIT ACK may
    /// name another tag than is known only in answer to the one INIT there is: where both sides
    /// have sent INIT, theirs are the tags (RFC 9260 §5.2.1).
    fn agree(
        &mut self,
        direction: Direction,
        packet: SctpPacket<'_>,
        chunk: &Chunk<'_>,
    ) -> Result<(), InvalidReason> {
        let (own, other) = (direction.index(), direction.reverse().index());
        match chunk.kind {
            chunk::INIT => {
                let tag = packet.initiate_tag(chunk)?;
                // One that is sent again is not another one.
                if self.tags[other] != tag {
                    self.tags[other] = tag;
                    self.opened[other] &= !self.opened[own];
                    self.opened[own] = true;
                }
            }
            chunk::INIT_ACK => {
                let tag = packet.initiate_tag(chunk)?;
                let known = self.tags[other];
                let free = if self.opened[other] { !self.opened[own] } else { known == Some(0) };
                if !free && tag.is_some_and(|tag| !self.is_tag(direction.reverse(), tag)) {
                    return Err(InvalidReason::WrongVerificationTag);
                }
                self.tags[other] = tag;
            }
            chunk::COOKIE_ACK => self.opened = [false; 2],
            _ => {}
        }
        Ok(())
    }

    /// Whether both sides have agreed on it, and it is not over.
    pub(crate) const fn is_agreed(&self) -> bool {
        use Phase::{Established, ShutdownAckSent, ShutdownReceived, ShutdownSent};
        let is_open =
            matches!(self.phase, Established | ShutdownSent | ShutdownReceived | ShutdownAckSent);
        self.answered && is_open
    }

    /// How long it may be idle.
    pub(crate) const fn timeout(&self, timers: &Timers) -> Duration {
        match self.phase {
            Phase::Opening => timers.sctp_init,
            Phase::CookieWait | Phase::CookieEchoed => timers.sctp_handshake,
            Phase::Established => timers.sctp_established,
            Phase::ShutdownSent | Phase::ShutdownReceived | Phase::ShutdownAckSent => {
                timers.sctp_shutdown
            }
            Phase::HeartbeatSent => timers.sctp_heartbeat,
            Phase::Closed => timers.sctp_closed,
        }
    }
}

#[cfg(test)]
mod tests;
