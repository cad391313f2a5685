//! Timers on which two firewalls do not agree, and the pauses of the traffic that fall in between:
//! sessions one of them would have forgotten and the other not.

use std::time::Duration;

use parefeu_net::{FiveTuple, Packet, Protocol, TcpFlags, Timestamp, Transport};
use parefeu_policy::{Behaviour, Timers};

/// A timer that differs, and what the traffic shows of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimerHazard {
    /// The timer, by its name among [`Timers`].
    pub timer: &'static str,
    /// What the old firewall waits.
    pub old: Duration,
    /// What the new firewall waits.
    pub new: Duration,
    /// Sessions that waited under it at least once.
    pub sessions: u64,
    /// Sessions with a pause the old firewall keeps and the new one cuts.
    pub cut: u64,
    /// Sessions with a pause the old firewall cuts and the new one keeps.
    pub kept: u64,
    /// The longest pause under it that at least one firewall waits for.
    pub longest: Option<Pause>,
    /// Whether the new firewall takes a connection up again in its middle, so that a cut is felt
    /// only where rules would no longer admit it. TCP that is established.
    pub picked_up: bool,
}

/// A session without a packet for some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pause {
    /// The session.
    pub flow: FiveTuple,
    /// For how long.
    pub length: Duration,
    /// When it ended.
    pub until: Timestamp,
}

/// The timers that differ between two firewalls, in the order of [`Timers`], with no traffic yet.
pub fn timer_hazards(old: &Behaviour, new: &Behaviour) -> Vec<TimerHazard> {
    let timers = waits(&old.timers).zip(waits(&new.timers)).filter(|(old, new)| old.1 != new.1);
    let hazards = timers.map(|((timer, old), (_, after))| TimerHazard {
        timer,
        old,
        new: after,
        sessions: 0,
        cut: 0,
        kept: 0,
        longest: None,
        picked_up: timer == "tcp-established" && new.tcp_loose,
    });
    hazards.collect()
}

/// How long sessions wait, by the names of timers; one that is zero because another one goes on is
/// as that. `udp-stream-after` is an age, under which nothing waits.
fn waits(timers: &Timers) -> impl Iterator<Item = (&'static str, Duration)> {
    let of = *timers;
    timers.iter().filter(|(name, _)| *name != "udp-stream-after").map(move |(name, wait)| {
        let instead = match name {
            "tcp-unacknowledged" => of.tcp_established,
            "tcp-close-wait" => of.tcp_half_closed,
            "tcp-last-ack" => of.tcp_time_wait,
            _ => wait,
        };
        (name, if wait.is_zero() { instead } else { wait })
    })
}

/// What the packets of a flow tell about the timer it waits under.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    /// Which end spoke: the first one, the other.
    spoke: [bool; 2],
    /// Packets so far, as far as they matter.
    packets: u8,
    /// It began with a SYN, and the handshake is not complete.
    shaking_hands: bool,
    finished: [bool; 2],
    reset: bool,
    /// Timers it was counted under: waiting, cut, kept; a bit for each that differs.
    counted: [u32; 3],
}

impl Waiting {
    /// Takes a packet in, of the end that spoke first or of the other one.
    pub(crate) fn note(&mut self, packet: &Packet<'_>, forwards: bool) {
        let end = usize::from(!forwards);
        if let Transport::Tcp(segment) = &packet.transport {
            let flags = segment.flags;
            let has_syn = flags.contains(TcpFlags::SYN);
            if self.packets == 0 {
                self.shaking_hands = has_syn;
            } else if forwards && self.spoke[1] && flags.contains(TcpFlags::ACK) && !has_syn {
                self.shaking_hands = false;
            }
            self.finished[end] |= flags.contains(TcpFlags::FIN);
            self.reset |= flags.contains(TcpFlags::RST);
        }
        self.spoke[end] = true;
        self.packets = self.packets.saturating_add(1);
    }

    /// The name of the timer it waits under.
    const fn timer(&self, protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::TCP => match (self.reset, self.finished, self.shaking_hands, self.spoke[1]) {
                (true, ..) => "tcp-reset",
                (_, [true, true], ..) => "tcp-time-wait",
                (_, [true, _] | [_, true], ..) => "tcp-half-closed",
                (_, _, true, false) => "tcp-syn",
                (_, _, true, true) => "tcp-handshake",
                _ => "tcp-established",
            },
            Protocol::UDP if self.spoke[1] => "udp-stream",
            Protocol::UDP => "udp",
            // INIT, INIT ACK, COOKIE ECHO, COOKIE ACK (RFC 9260, section 5.1).
            Protocol::SCTP if self.packets < 2 => "sctp-init",
            Protocol::SCTP if self.packets < 4 => "sctp-handshake",
            Protocol::SCTP => "sctp-established",
            Protocol::GRE if self.spoke[1] => "gre-stream",
            Protocol::GRE => "gre",
            protocol if protocol.is_icmp() => "icmp",
            _ => "other",
        }
    }
}

/// The timers that differ, as a replay goes on.
#[derive(Clone, Debug)]
pub(crate) struct Hazards(Vec<TimerHazard>);

impl Hazards {
    pub(crate) fn new(old: &Behaviour, new: &Behaviour) -> Self {
        Self(timer_hazards(old, new))
    }

    /// Takes in that a flow both firewalls let through was silent until now.
    pub(crate) fn pause(&mut self, flow: FiveTuple, waiting: &mut Waiting, (from, until): Span) {
        let name = waiting.timer(flow.protocol);
        let Some(at) = self.0.iter().position(|it| it.timer == name) else { return };
        let hazard = &mut self.0[at];
        let length = until.since(from);
        let cut = hazard.new < length && length <= hazard.old;
        let kept = hazard.old < length && length <= hazard.new;
        let counts =
            [(true, &mut hazard.sessions), (cut, &mut hazard.cut), (kept, &mut hazard.kept)];
        for ((holds, count), counted) in counts.into_iter().zip(&mut waiting.counted) {
            if holds && *counted & 1 << at == 0 {
                *counted |= 1 << at;
                *count += 1;
            }
        }
        let longer = hazard.longest.is_none_or(|known| known.length < length);
        if longer && length <= hazard.old.max(hazard.new) {
            hazard.longest = Some(Pause { flow, length, until });
        }
    }

    pub(crate) fn finish(&self) -> Vec<TimerHazard> {
        self.0.clone()
    }
}

/// From the last packet before a pause to the first one after it.
type Span = (Timestamp, Timestamp);

/// A bit for each timer.
const _: () = assert!(Timers::COUNT <= 32);
