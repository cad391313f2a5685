//! What is kept with each session, and what the policy makes of it.

use parefeu_identify::{Application, Changes, FlowState};
use parefeu_net::{Direction, FiveTuple, Packet, TcpFlags, Timestamp, Transport};
use parefeu_policy::set::IdSet;
use parefeu_policy::{Behaviour, Evaluation, Hit, Identified, NatMapping, Pending};
use serde::{Deserialize, Serialize};

use crate::decision::{Decision, Reason, Verdict};
use crate::event::SessionSummary;
use crate::knowledge::Users;
use crate::pipeline::OpenRoute;

/// What the engine keeps with each session.
#[derive(Deserialize, Serialize)]
pub(crate) struct Kept {
    pub(crate) serial: u64,
    pub(crate) epoch: u32,
    pub(crate) route: OpenRoute,
    pub(crate) standing: Standing,
    pub(crate) flow: FlowState,
    /// First sequence number of each direction's payload.
    pub(crate) stream_start: [Option<u32>; 2],
    pub(crate) users: Users,
    pub(crate) identified: Identified,
    /// The categories of its URL, as far as that is known.
    #[serde(skip)]
    pub(crate) url_categories: Option<IdSet>,
    /// Flags of the TCP segments that belong to it, by direction.
    pub(crate) tcp_flags: [TcpFlags; 2],
    /// Packets seen in both directions.
    pub(crate) packets: u64,
    pub(crate) verdict_packet: u64,
    pub(crate) bytes_passed: u64,
    pub(crate) bytes_before_refusal: u64,
    /// Admitted because another session announced it: no rule judges it.
    pub(crate) predicted: bool,
    /// For which connections of its client its port was chosen.
    pub(crate) mapping: NatMapping,
}

/// What the policy says of a session now.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Standing {
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) hit: Option<Hit>,
}

/// A session that ended.
pub(crate) struct Settled {
    /// The deadline that came, where it ended by itself.
    pub(crate) due: Option<Timestamp>,
    pub(crate) summary: SessionSummary,
}

impl Settled {
    /// Where it stands among those that ended at one time: sessions that were ended first, then
    /// those that ended by themselves, in the order of deadlines and of numbers.
    pub(crate) const fn order(&self) -> (Option<Timestamp>, u64) {
        (self.due, if self.due.is_some() { self.summary.id } else { 0 })
    }
}

/// What of identification's news can move a verdict.
pub(crate) const fn matters(changes: Changes) -> bool {
    changes.contains(Changes::APPLICATION)
        || changes.contains(Changes::HOSTNAME)
        || changes.contains(Changes::URL)
}

/// How an evaluation stands under a pending policy (`docs/semantics.md` S3.2, S3.4).
pub(crate) fn standing_of(evaluation: &Evaluation, pending: Pending) -> Standing {
    let tentative = evaluation.tentative_allow.filter(|_| pending == Pending::Allow);
    let decided = evaluation.decided;
    // A tentative rule stands above the deciding one, whichever way that one goes.
    let hit = tentative.unwrap_or(decided);
    let doubtful = if hit.allows() { evaluation.possible_deny } else { evaluation.possible_allow };
    if let Some(doubtful) = doubtful {
        let (verdict, reason) = (Verdict::Unknown, Reason::NotModelled);
        return Standing { verdict, reason, hit: Some(doubtful) };
    }
    let reason = match (tentative, hit.rule) {
        (Some(_), _) => Reason::Tentative,
        (None, Some(_)) => Reason::Rule,
        (None, None) => Reason::DefaultRule,
    };
    Standing { verdict: hit.action.into(), reason, hit: Some(hit) }
}

pub(crate) fn decision_of(kept: &Kept, translated: Option<FiveTuple>) -> Decision {
    let Standing { verdict, reason, hit } = kept.standing;
    let application = kept.flow.application();
    let session = (kept.serial != 0).then_some(kept.serial);
    let direction = Direction::Original;
    Decision { verdict, reason, hit, session, direction, application, translated, quoted: None }
}

/// The flags of a TCP segment; none for other packets.
pub(crate) const fn tcp_flags(packet: &Packet<'_>) -> TcpFlags {
    match &packet.transport {
        Transport::Tcp(segment) => segment.flags,
        _ => TcpFlags(0),
    }
}

/// Whether connections that a session of this application announces are expected.
pub(crate) fn is_followed(flow: &FlowState, behaviour: &Behaviour) -> bool {
    match flow.application() {
        Some(Application::FTP) => behaviour.expect_ftp,
        Some(Application::TFTP) => behaviour.expect_tftp,
        Some(Application::SIP) => behaviour.expect_sip,
        _ => false,
    }
}

/// Remembers where a direction's TCP payload starts: after its SYN, or at the first segment seen.
pub(crate) fn note_stream_start(
    starts: &mut [Option<u32>; 2],
    packet: &Packet<'_>,
    direction: Direction,
) {
    let Transport::Tcp(segment) = &packet.transport else { return };
    let syn = segment.flags.contains(TcpFlags::SYN);
    let start = &mut starts[direction.index()];
    if syn {
        *start = Some(segment.sequence.wrapping_add(1));
    } else if start.is_none() {
        *start = Some(segment.sequence);
    }
}

/// Where in its direction's stream a segment begins; `None` for a datagram.
pub(crate) fn stream_offset(
    starts: &[Option<u32>; 2],
    packet: &Packet<'_>,
    direction: Direction,
) -> Option<u64> {
    let Transport::Tcp(segment) = &packet.transport else { return None };
    let syn = u32::from(segment.flags.contains(TcpFlags::SYN));
    let start = starts[direction.index()]?;
    // Identification reads the beginning of a stream only: 32 bits of offset are enough.
    Some(segment.sequence.wrapping_add(syn).wrapping_sub(start).into())
}
