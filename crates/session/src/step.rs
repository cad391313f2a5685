//! What a packet does to its session, and why sessions end.

use std::fmt;

use parefeu_policy::ConnectionState;
use serde::{Deserialize, Serialize};

/// What a packet did to its session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// It belongs to the session; as rules name the connection's state.
    Accept(ConnectionState),
    /// It would open the connection anew: close the session with [`EndReason::TcpReuse`] and open
    /// one.
    Reopen,
    /// It does not belong and changed nothing.
    Invalid(InvalidReason),
    /// The session is gone.
    Gone,
}

/// Why a packet fits no session, or may not open one.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum InvalidReason {
    /// TCP flags no connection produces.
    IllegalFlags,
    /// The packet may not open a connection: no SYN, an ICMP reply, SCTP out of the blue
    /// (RFC 9260 §8.4).
    NotOpening,
    /// The flags, or a chunk of SCTP, do not fit the state of the connection.
    UnexpectedFlags,
    /// Data beyond the receive window (RFC 9293 §3.10.7.4).
    SequenceBeyondWindow,
    /// It acknowledges what was never sent.
    AcknowledgesUnsent,
    /// A reset that misses the expected sequence number (RFC 5961 §3.2).
    InexactReset,
    /// An SCTP packet without the association's verification tag (RFC 9260 §8.5).
    WrongVerificationTag,
    /// An SCTP packet without a chunk, with one of length 0 or too short, or with chunks that do
    /// not go together (RFC 9260 §6.10).
    BadChunks,
}

impl InvalidReason {
    /// Every reason, in the order of counters.
    pub const ALL: [Self; 8] = [
        Self::IllegalFlags,
        Self::NotOpening,
        Self::UnexpectedFlags,
        Self::SequenceBeyondWindow,
        Self::AcknowledgesUnsent,
        Self::InexactReset,
        Self::WrongVerificationTag,
        Self::BadChunks,
    ];

    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IllegalFlags => "illegal-flags",
            Self::NotOpening => "not-opening",
            Self::UnexpectedFlags => "unexpected-flags",
            Self::SequenceBeyondWindow => "sequence-beyond-window",
            Self::AcknowledgesUnsent => "acknowledges-unsent",
            Self::InexactReset => "inexact-reset",
            Self::WrongVerificationTag => "wrong-verification-tag",
            Self::BadChunks => "bad-chunks",
        }
    }
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a session ended, highest priority first (PAN-OS "session end reason"), then the end of the
/// traffic itself.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum EndReason {
    /// A threat was found.
    Threat,
    /// A rule refused it.
    PolicyDeny,
    /// The client reset it.
    TcpRstFromClient,
    /// The server reset it.
    TcpRstFromServer,
    /// A limit was reached.
    ResourcesUnavailable,
    /// Both sides closed it.
    TcpFin,
    /// A new connection took its place.
    TcpReuse,
    /// Its idle timer ran out.
    AgedOut,
    /// None of these.
    Unknown,
    /// The capture ended while it was live.
    CaptureEnd,
}

impl EndReason {
    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Threat => "threat",
            Self::PolicyDeny => "policy-deny",
            Self::TcpRstFromClient => "tcp-rst-from-client",
            Self::TcpRstFromServer => "tcp-rst-from-server",
            Self::ResourcesUnavailable => "resources-unavailable",
            Self::TcpFin => "tcp-fin",
            Self::TcpReuse => "tcp-reuse",
            Self::AgedOut => "aged-out",
            Self::Unknown => "unknown",
            Self::CaptureEnd => "capture-end",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The table holds as many sessions as it may.
    #[error("the session table is full")]
    TableFull,
    /// The packet may not open a session.
    #[error("the packet may not open a session: {0}")]
    Invalid(InvalidReason),
    /// A live session has one of the two flows already.
    #[error("a live session has the same flow")]
    Clash,
}
