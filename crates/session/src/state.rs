//! The state of one session, by protocol.

use std::time::Duration;

use parefeu_net::{Direction, Packet, Protocol, SctpHeader, Transport};
use parefeu_policy::{Behaviour, ConnectionState, Timers};
use serde::{Deserialize, Serialize};

use crate::EndReason;
use crate::plain::Plain;
use crate::sctp::{Association, SctpPacket, SctpStep};
use crate::step::{InvalidReason, Step};
use crate::tcp::{Rules, TcpConnection, TcpState, TcpStep};

/// Protocol state of a session.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Tracker {
    Tcp(TcpConnection),
    Sctp(Association),
    Plain(Plain),
}

/// SCTP takes no more room than TCP does.
const _: () = assert!(size_of::<Association>() <= size_of::<TcpConnection>());

impl Tracker {
    /// Of a flow that is refused from its first packet.
    pub(crate) const fn refused(packet: &Packet<'_>, protocol: Protocol) -> Self {
        let opening = match &packet.transport {
            Transport::Icmp(message) => message.kind,
            _ => 0,
        };
        Self::Plain(Plain::icmp(opening).refused(protocol))
    }

    pub(crate) fn open(packet: &Packet<'_>, behaviour: &Behaviour) -> Result<Self, InvalidReason> {
        let protocol = packet.network.as_ref().map_or(Protocol(255), |network| network.protocol);
        match (&packet.transport, protocol) {
            (Transport::Tcp(segment), _) => {
                TcpConnection::open(segment, rules(behaviour)).map(Self::Tcp)
            }
            (Transport::Icmp(message), _) => {
                // A reply without its request opens nothing, where sessions pair them. Other
                // messages are sessions of their own, except where rules are offered the state of
                // every packet: there they are invalid.
                let lone = message.id.is_none() && !behaviour.filter_every_packet;
                let unpaired = message.id.is_some() && !behaviour.icmp_sessions;
                let opens = message.request || lone || unpaired;
                let opened = Self::Plain(Plain::icmp(message.kind));
                opens.then_some(opened).ok_or(InvalidReason::NotOpening)
            }
            (Transport::Sctp(header), _) => {
                Association::open(sctp_packet(header, packet)).map(Self::Sctp)
            }
            (_, Protocol::TCP) => Err(InvalidReason::NotOpening),
            // Linux finds no upper layer in it.
            (_, NO_NEXT_HEADER) if behaviour.filter_every_packet && is_v6(packet) => {
                Err(InvalidReason::NotOpening)
            }
            (_, protocol) => Ok(Self::Plain(Plain::of(protocol))),
        }
    }

    pub(crate) fn step(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        behaviour: &Behaviour,
    ) -> Progress {
        let state = match (&mut *self, &packet.transport) {
            (Self::Plain(plain), _) => return plain.step(direction, packet, behaviour),
            (Self::Tcp(connection), Transport::Tcp(segment)) => {
                let answered = connection.answered || direction == Direction::Reply;
                let step = connection.step(direction, segment, rules(behaviour));
                let state = state_of(answered);
                return match step {
                    TcpStep::Accept => Progress::counted(state),
                    TcpStep::Ignore => Progress::uncounted(Step::Accept(state)),
                    TcpStep::Reopen => Progress::uncounted(Step::Reopen),
                    TcpStep::Invalid(reason) => Progress::invalid(reason),
                    TcpStep::Parting(reason) => {
                        Progress { timer: Timer::Shortens, ..Progress::invalid(reason) }
                    }
                };
            }
            (Self::Tcp(_), _) => return Progress::invalid(InvalidReason::UnexpectedFlags),
            (Self::Sctp(association), Transport::Sctp(header)) => {
                match association.step(direction, sctp_packet(header, packet)) {
                    SctpStep::Accept => state_of(association.answered),
                    SctpStep::Ignore => {
                        return Progress::uncounted(Step::Accept(state_of(association.answered)));
                    }
                    SctpStep::Invalid(reason) => return Progress::invalid(reason),
                }
            }
            (Self::Sctp(_), _) => ConnectionState::New,
        };
        Progress::counted(state)
    }

    /// Whether packets of the reply direction were seen.
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Self::Tcp(connection) => connection.answered,
            Self::Sctp(association) => association.answered,
            Self::Plain(plain) => plain.is_answered(),
        }
    }

    /// Whether the session is not given up for another one (Linux, *assured*): a connection or
    /// association whose handshake was seen, and datagrams that go both ways for longer than a
    /// question and its answer take. Pings, and protocols that are not followed, never are.
    pub(crate) fn is_assured(&self, timers: &Timers, age: impl FnOnce() -> Duration) -> bool {
        match self {
            Self::Tcp(connection) => connection.confirmed && connection.state != TcpState::Closed,
            Self::Sctp(association) => association.is_agreed(),
            Self::Plain(plain) => plain.is_assured(timers, age),
        }
    }

    /// How long the session, of an age that few have to tell, may be idle in its present state.
    pub(crate) fn timeout(&self, timers: &Timers, age: impl FnOnce() -> Duration) -> Duration {
        match self {
            Self::Tcp(connection) => tcp_timeout(connection, timers),
            Self::Sctp(association) => association.timeout(timers),
            Self::Plain(plain) => plain.timeout(timers, age),
        }
    }

    /// What the end of the session is called when its timer runs out now.
    pub(crate) fn end_reason(&self) -> EndReason {
        match self {
            Self::Tcp(connection) => match (connection.state, connection.reset_by) {
                (_, Some(Direction::Original)) => EndReason::TcpRstFromClient,
                (_, Some(Direction::Reply)) => EndReason::TcpRstFromServer,
                (TcpState::LastAck | TcpState::TimeWait, _) => EndReason::TcpFin,
                _ => EndReason::AgedOut,
            },
            Self::Plain(plain) if plain.is_refused() => EndReason::PolicyDeny,
            _ => EndReason::AgedOut,
        }
    }
}

fn tcp_timeout(connection: &TcpConnection, timers: &Timers) -> Duration {
    let usual = match connection.state {
        // A refused opening is over at once.
        TcpState::Closed if !connection.answered && connection.reset_by.is_some() => {
            return Duration::ZERO;
        }
        TcpState::SynSent | TcpState::SynCrossed => timers.tcp_syn,
        TcpState::SynReceived => timers.tcp_handshake,
        TcpState::Established => timers.tcp_established,
        TcpState::FinWait => timers.tcp_half_closed,
        TcpState::CloseWait if timers.tcp_close_wait.is_zero() => timers.tcp_half_closed,
        TcpState::CloseWait => timers.tcp_close_wait,
        TcpState::LastAck if !timers.tcp_last_ack.is_zero() => timers.tcp_last_ack,
        TcpState::LastAck | TcpState::TimeWait => timers.tcp_time_wait,
        TcpState::Closed => timers.tcp_reset,
    };
    let unacknowledged = timers.tcp_unacknowledged;
    let short = if unacknowledged.is_zero() { usual } else { usual.min(unacknowledged) };
    if connection.is_repeating() && short < usual {
        short
    } else if connection.state != TcpState::Closed
        && connection.is_doubted()
        && !timers.tcp_unverified_reset.is_zero()
    {
        timers.tcp_unverified_reset
    } else if connection.awaits_answer() {
        short
    } else {
        usual
    }
}

/// What a packet did to the protocol state.
pub(crate) struct Progress {
    pub(crate) step: Step,
    pub(crate) timer: Timer,
}

/// What a packet does to the idle timer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Timer {
    /// It starts again.
    Renews,
    /// It runs on.
    Stays,
    /// It runs on, not longer than [`Timers::tcp_unacknowledged`].
    Shortens,
}

impl Progress {
    pub(crate) const fn counted(state: ConnectionState) -> Self {
        Self { step: Step::Accept(state), timer: Timer::Renews }
    }

    const fn uncounted(step: Step) -> Self {
        Self { step, timer: Timer::Stays }
    }

    pub(crate) const fn invalid(reason: InvalidReason) -> Self {
        Self::uncounted(Step::Invalid(reason))
    }
}

/// What stands in the place of an upper layer where there is none (RFC 8200 §4.7).
const NO_NEXT_HEADER: Protocol = Protocol(59);

fn is_v6(packet: &Packet<'_>) -> bool {
    packet.network.as_ref().is_some_and(|network| network.src.is_ipv6())
}

/// The chunks of a packet, and whether the capture was cut before its end.
fn sctp_packet<'a>(header: &SctpHeader<'a>, packet: &Packet<'_>) -> SctpPacket<'a> {
    let network = packet.network.as_ref();
    SctpPacket {
        verification_tag: header.verification_tag,
        chunks: header.payload,
        is_cut: network.is_some_and(|it| it.payload.len() < it.payload_len as usize),
    }
}

pub(crate) const fn state_of(answered: bool) -> ConnectionState {
    if answered { ConnectionState::Established } else { ConnectionState::New }
}

const fn rules(behaviour: &Behaviour) -> Rules {
    Rules {
        loose: behaviour.tcp_loose,
        liberal: behaviour.tcp_be_liberal,
        windows: behaviour.tcp_windows,
        asymmetric: behaviour.tcp_asymmetric,
        eager_reopen: !behaviour.filter_every_packet,
    }
}
