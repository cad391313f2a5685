//! What the engine reports besides decisions: sessions that ended.

use parefeu_identify::{Application, Status};
use parefeu_net::{FiveTuple, TcpFlags, Timestamp};
use parefeu_policy::{Hit, InterfaceId, ZoneId};
use parefeu_session::EndReason;

use crate::Verdict;

/// Something worth a log line.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A session ended, or a refused flow was forgotten.
    SessionEnded(SessionSummary),
}

/// A session in full, the way traffic logs tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSummary {
    /// Number from 1, in the order sessions were first seen.
    pub id: u64,
    /// When the first packet came.
    pub start: Timestamp,
    /// When the last packet came.
    pub end: Timestamp,
    /// The flow as it arrived.
    pub flow: FiveTuple,
    /// ICMP type and code of the first packet.
    pub icmp: Option<(u8, u8)>,
    /// The flow as it left, when translated.
    pub translated: Option<FiveTuple>,
    /// Ingress interface.
    pub ingress: Option<InterfaceId>,
    /// Egress interface.
    pub egress: Option<InterfaceId>,
    /// Ingress zone.
    pub from: Option<ZoneId>,
    /// Egress zone.
    pub to: Option<ZoneId>,
    /// What identification took it for.
    pub application: Option<Application>,
    /// The layers of it, such as `tcp`, `tls`, `youtube`.
    pub application_path: Vec<&'static str>,
    /// How identification ended.
    pub status: Status,
    /// Host name from HTTP, TLS, QUIC or DNS.
    pub hostname: Option<Box<str>>,
    /// Host and path.
    pub url: Option<Box<str>>,
    /// The first URL category of the policy that covers it.
    pub category: Option<Box<str>>,
    /// Issuer of the server certificate.
    pub certificate_issuer: Option<Box<str>>,
    /// Subject of the server certificate.
    pub certificate_subject: Option<Box<str>>,
    /// The rule or default that decided last.
    pub hit: Option<Hit>,
    /// The verdict that decided last.
    pub verdict: Verdict,
    /// The packet of the session, from 1, on which that verdict fell.
    pub verdict_packet: u64,
    /// Packets seen, `[original, reply]`.
    pub packets: [u64; 2],
    /// Bytes seen on the wire, `[original, reply]`.
    pub bytes: [u64; 2],
    /// Of a TCP session, every flag that was seen, `[original, reply]`: what IPFIX calls
    /// tcpControlBits (information element 6).
    pub tcp_flags: Option<[TcpFlags; 2]>,
    /// Bytes that had passed when the session was refused.
    pub bytes_before_refusal: u64,
    /// Why it ended.
    pub end_reason: EndReason,
}
