//! The state of a session whose protocol knows no connections, in two bytes.

use std::time::Duration;

use parefeu_net::{Direction, Packet, Protocol, Transport, icmp_across};
use parefeu_policy::{Behaviour, ConnectionState, Timers};
use serde::{Deserialize, Serialize};

use crate::state::{Progress, state_of};
use crate::step::InvalidReason;

/// UDP, ICMP, GRE and all else that knows no connections, and flows that are refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Plain {
    /// What kind it is, and what was seen.
    bits: u8,
    /// The type of the ICMP message that opened it.
    opening: u8,
}

/// Kinds of sessions; a refused one is kept to drop its packets silently.
const OTHER: u8 = 0;
const UDP: u8 = 1;
const GRE: u8 = 2;
const ICMP: u8 = 3;
const REFUSED: u8 = 4;
const REFUSED_UDP: u8 = 5;
const REFUSED_TCP: u8 = 6;
const KIND: u8 = 7;
/// Packets of the reply direction were seen.
const REPLIED: u8 = 8;
/// The last packet came after the first answer.
const LASTING: u8 = 16;

impl Plain {
    /// Of the first packet of a protocol other than ICMP.
    pub(crate) const fn of(protocol: Protocol) -> Self {
        let bits = match protocol {
            Protocol::UDP => UDP,
            Protocol::GRE => GRE,
            _ => OTHER,
        };
        Self { bits, opening: 0 }
    }

    /// Of the first message of an ICMP session.
    pub(crate) const fn icmp(opening: u8) -> Self {
        Self { bits: ICMP, opening }
    }

    /// The same, of a flow that is refused from now on.
    pub(crate) const fn refused(self, protocol: Protocol) -> Self {
        let bits = match protocol {
            Protocol::UDP => REFUSED_UDP,
            Protocol::TCP => REFUSED_TCP,
            _ => REFUSED,
        };
        Self { bits, ..self }
    }

    const fn kind(self) -> u8 {
        self.bits & KIND
    }

    /// Whether it is that of a refused flow.
    pub(crate) const fn is_refused(self) -> bool {
        self.kind() >= REFUSED
    }

    /// Whether packets of the reply direction were seen.
    pub(crate) const fn is_answered(self) -> bool {
        self.bits & REPLIED != 0
    }

    /// The type of the message that opened it, or would have, where ICMP is the protocol.
    pub(crate) const fn opening(self, protocol: Protocol) -> Option<u8> {
        let is_it = self.kind() == ICMP || self.is_refused() && protocol.is_icmp();
        if is_it { Some(self.opening) } else { None }
    }

    /// Whether a session of ICMP holds a message of this type in a direction.
    pub(crate) const fn carries(self, direction: Direction, kind: u8) -> bool {
        match direction {
            Direction::Original => kind == self.opening,
            Direction::Reply => kind == answer_to(self.opening),
        }
    }

    /// Whether an ICMP message may be a session's next one.
    fn takes(self, reply: bool, packet: &Packet<'_>, behaviour: &Behaviour) -> bool {
        let Transport::Icmp(message) = &packet.transport else { return true };
        if message.id.is_none() || !behaviour.icmp_sessions {
            return true;
        }
        let answer = answer_to(self.opening);
        let kinds = [Some(answer), icmp_across(answer)];
        if reply {
            !message.request && kinds.contains(&Some(message.kind))
        } else {
            message.request
        }
    }

    #[inline]
    pub(crate) fn step(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        behaviour: &Behaviour,
    ) -> Progress {
        let reply = direction == Direction::Reply;
        if self.is_refused() {
            return Progress::counted(ConnectionState::New);
        }
        if self.kind() == ICMP && !self.takes(reply, packet, behaviour) {
            return Progress::invalid(InvalidReason::UnexpectedFlags);
        }
        if self.is_answered() {
            self.bits |= LASTING;
        }
        if reply {
            self.bits |= REPLIED;
        }
        Progress::counted(state_of(self.is_answered()))
    }

    /// Whether UDP goes both ways for longer than a question and its answer take.
    #[inline]
    fn is_stream(self, timers: &Timers, age: impl FnOnce() -> Duration) -> bool {
        let after = timers.udp_stream_after;
        if after.is_zero() { self.is_answered() } else { self.is_lasting() && age() > after }
    }

    const fn is_lasting(self) -> bool {
        self.bits & LASTING != 0
    }

    /// Whether the session, of an age that few have to tell, is not given up for another one.
    pub(crate) fn is_assured(self, timers: &Timers, age: impl FnOnce() -> Duration) -> bool {
        match self.kind() {
            UDP => self.is_stream(timers, age),
            GRE => self.is_lasting(),
            _ => false,
        }
    }

    /// How long the session, of an age that few have to tell, may be idle in its present state.
    #[inline]
    pub(crate) fn timeout(self, timers: &Timers, age: impl FnOnce() -> Duration) -> Duration {
        match self.kind() {
            UDP if self.is_stream(timers, age) => timers.udp_stream,
            UDP => timers.udp,
            GRE if self.is_lasting() => timers.gre_stream,
            GRE => timers.gre,
            ICMP => timers.icmp,
            REFUSED_TCP => timers.discard_tcp,
            REFUSED_UDP => timers.discard_udp,
            REFUSED => timers.discard_other,
            _ => timers.other,
        }
    }
}

/// The type of the answer to an ICMP query (RFC 792, RFC 950, RFC 4443).
const fn answer_to(query: u8) -> u8 {
    match query {
        8 => 0,
        query => query.wrapping_add(1),
    }
}
