//! A session as its table shows it, and as it is when it ended.

use parefeu_net::{Direction, FiveTuple, Timestamp, icmp_across};
use serde::{Deserialize, Serialize};

use crate::EndReason;
use crate::state::Tracker;

/// Names a session as long as it lives; never names another one afterwards.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// What a session is sought by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Sought {
    /// Where the packet entered.
    pub tag: u32,
    /// The flow of the packet.
    pub flow: FiveTuple,
    /// The ICMP message, where it is one: queries of either side and of different types are
    /// different sessions, whatever their identifiers.
    pub carried: Option<Carried>,
    /// In how many tunnels, up to 15, where those tell sessions apart; else 0.
    pub depth: u8,
}

/// An ICMP message, as far as it tells sessions of one flow apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Carried {
    /// Its type.
    pub kind: u8,
    /// Whether it goes the other way than the flow.
    pub against: bool,
}

impl Sought {
    /// The deepest a session is told to be.
    pub(crate) const MAX_DEPTH: u8 = 15;

    /// The session of a flow, be it of whatever ICMP messages.
    pub const fn new(tag: u32, flow: FiveTuple) -> Self {
        Self { tag, flow, carried: None, depth: 0 }
    }

    /// The same packet as it leaves between other ends; a ping may become one of the other family.
    #[must_use]
    pub fn leaving_as(self, flow: FiveTuple) -> Self {
        let across = |it: Carried| Some(Carried { kind: icmp_across(it.kind)?, ..it });
        let stays = flow.protocol == self.flow.protocol;
        let carried = if stays { self.carried } else { self.carried.and_then(across) };
        Self { flow, carried, ..self }
    }

    /// The session of the packet that goes the other way than this one's flow.
    #[must_use]
    pub fn reverse(self) -> Self {
        let carried = self.carried.map(|it| Carried { against: !it.against, ..it });
        Self { flow: self.flow.reverse(), carried, ..self }
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

/// A session: addresses, state, counters, and what the caller keeps with it.
#[derive(Clone, Copy, Debug)]
pub struct Session<T> {
    /// The flow of the original direction, as its packets arrive.
    pub original: FiveTuple,
    /// The flow of the reply direction, as its packets arrive.
    pub reply: FiveTuple,
    /// When the first packet came.
    pub start: Timestamp,
    /// When the last accepted packet came.
    pub last: Timestamp,
    /// Packets, `[original, reply]`; counted up to 2⁴⁰.
    pub packets: [u64; 2],
    /// Bytes on the wire, `[original, reply]`; counted up to 2⁴⁸.
    pub bytes: [u64; 2],
    /// The caller's part.
    pub data: T,
    /// Whether packets of the reply direction were seen.
    pub is_answered: bool,
    /// Whether packets of the session are dropped silently.
    pub is_refused: bool,
}

impl<T> Session<T> {
    /// The flow of the original direction after translation.
    pub const fn translated(&self) -> FiveTuple {
        self.reply.reverse()
    }

    /// Whether addresses or ports are translated.
    pub fn is_translated(&self) -> bool {
        self.reply != self.original.reverse()
    }

    /// The flow an ICMP error about this session quotes once it was translated; its source is then
    /// the destination of the error. `direction` is that of the error.
    pub const fn quoted_beyond(&self, direction: Direction) -> FiveTuple {
        match direction {
            Direction::Original => self.reply,
            Direction::Reply => self.original,
        }
    }
}

/// A live session as it is written down and taken up again, by one version of this crate.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct SavedSession<T> {
    pub(crate) tag: u32,
    pub(crate) original: FiveTuple,
    pub(crate) reply: FiveTuple,
    pub(crate) depth: u8,
    pub(crate) start: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) deadline: Timestamp,
    pub(crate) packets: [u64; 2],
    pub(crate) bytes: [u64; 2],
    pub(crate) tracker: Tracker,
    /// The caller's part.
    pub data: T,
}

impl<T> SavedSession<T> {
    /// Its flow as it arrives.
    pub const fn original(&self) -> FiveTuple {
        self.original
    }

    /// The same session with another caller's part.
    pub fn with<U>(self, data: U) -> SavedSession<U> {
        let Self { tag, original, reply, depth, start, last, .. } = self;
        let Self { deadline, packets, bytes, tracker, .. } = self;
        SavedSession {
            tag,
            original,
            reply,
            depth,
            start,
            last,
            deadline,
            packets,
            bytes,
            tracker,
            data,
        }
    }
}

/// A session that ended.
#[derive(Clone, Debug)]
pub struct EndedSession<T> {
    /// The session as it was.
    pub session: Session<T>,
    /// Why it ended.
    pub reason: EndReason,
    /// The deadline that came, where it ended by itself.
    pub due: Option<Timestamp>,
}
