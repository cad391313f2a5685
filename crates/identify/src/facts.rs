//! What is known about a flow, and what one packet changed about it.

use std::fmt;
use std::net::IpAddr;

use parefeu_net::{Direction, Protocol};
use serde::{Deserialize, Serialize};

use crate::Application;

/// What one call of [`crate::Identifier::inspect`] brought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// The application is not known yet; more payload may tell.
    Undecided,
    /// A fact became known or changed: policy should be looked up again.
    Changed(Changes),
    /// The application is known and this packet said nothing new; later ones may.
    Unchanged,
    /// Nothing further will be learned: the flow's payload need not be passed any more.
    Finished,
}

/// The set of facts that one packet changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Changes(u8);

impl Changes {
    /// Nothing changed.
    pub const NONE: Self = Self(0);
    /// [`Facts::application`] or its path.
    pub const APPLICATION: Self = Self(1);
    /// [`Facts::hostname`].
    pub const HOSTNAME: Self = Self(2);
    /// [`Facts::url`].
    pub const URL: Self = Self(4);
    /// [`Facts::certificate_issuer`] and [`Facts::certificate_subject`].
    pub const CERTIFICATE: Self = Self(8);
    /// [`Facts::alpn`].
    pub const ALPN: Self = Self(16);
    /// [`Facts::data_endpoints`]: data connections were announced, perhaps again.
    pub const DATA_ENDPOINTS: Self = Self(32);

    /// Whether nothing changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether every fact of `other` changed.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The facts of both sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How far identification came, in the terms firewalls log.
///
/// `docs/semantics.md` gives the rows; *not-applicable* (no payload was ever inspected because the
/// first lookup denied) is the engine's to say.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Status {
    /// No payload was seen.
    #[default]
    Incomplete,
    /// Payload was seen, and no signature has decided yet.
    InsufficientData,
    /// Enough TCP payload was seen and no signature matched.
    UnknownTcp,
    /// Enough UDP payload was seen and no signature matched.
    UnknownUdp,
    /// The application is known.
    Identified,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "incomplete",
            Self::InsufficientData => "insufficient-data",
            Self::UnknownTcp => "unknown-tcp",
            Self::UnknownUdp => "unknown-udp",
            Self::Identified => "identified",
        })
    }
}

/// The bound of [`crate::Limits`] that ended identification of a flow early.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum LimitReached {
    /// [`crate::Limits::undecided_packets`] or [`crate::Limits::undecided_bytes`].
    #[error("no signature matched within the inspection limit")]
    Undecided,
    /// [`crate::Limits::held_bytes`].
    #[error("too many bytes held for reassembly")]
    HeldBytes,
    /// [`crate::Limits::held_segments`].
    #[error("too many segments held for reassembly")]
    HeldSegments,
    /// [`crate::Limits::handshake_bytes`].
    #[error("handshake message too long")]
    HandshakeBytes,
}

/// Where a control connection said that a data connection will arrive.
///
/// A session helper opens a pinhole from it: PORT and PASV of RFC 959 §4.1.2, EPRT and EPSV of
/// RFC 2428; the port a TFTP request came from (RFC 1350 §4); the media of a session description
/// in SIP (RFC 8866 §5.14). The address is the one in the message, before any translation.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DataEndpoint {
    /// The address that will listen.
    pub address: IpAddr,
    /// The port that will listen.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The side of the control connection that announced it, and listens.
    pub listener: Direction,
}

impl DataEndpoint {
    /// How many one packet announces at most; more are not noted.
    pub const MOST_AT_ONCE: usize = 16;
}

/// What is known about a flow so far, borrowed from its [`crate::FlowState`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Facts<'a> {
    /// The most specific application known; [`Application::UNKNOWN_TCP`] or
    /// [`Application::UNKNOWN_UDP`] once identification gave up.
    pub application: Option<Application>,
    /// Transport, carriers and application, outermost first.
    pub application_path: ApplicationPath,
    /// The server's name in lower case: SNI, HTTP host, DNS query name or mail banner. Exactly
    /// what the peer sent, which need not be true.
    pub hostname: Option<&'a str>,
    /// Host and path of the newest HTTP request, without scheme and port.
    pub url: Option<&'a str>,
    /// The ALPN protocol the server selected, else the first the client offered.
    pub alpn: Option<&'a str>,
    /// Issuer of the server's certificate as an RFC 4514 string; TLS 1.3 hides it.
    pub certificate_issuer: Option<&'a str>,
    /// Subject of the server's certificate as an RFC 4514 string; TLS 1.3 hides it.
    pub certificate_subject: Option<&'a str>,
    /// The data connections that the newest announcement on this control connection names.
    pub data_endpoints: &'a [DataEndpoint],
    /// How far identification came.
    pub status: Status,
    /// The bound that ended identification early.
    pub limit: Option<LimitReached>,
    /// Whether nothing further will be learned.
    pub finished: bool,
}

/// Transport, carriers and application of a flow, outermost first: `tcp.tls.youtube`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ApplicationPath {
    names: [&'static str; Self::MAX],
    count: u8,
}

impl ApplicationPath {
    /// Transport, up to two carriers, the protocol, and the application above it.
    pub const MAX: usize = 5;

    /// The names, outermost first; empty while nothing is known.
    pub fn as_slice(&self) -> &[&'static str] {
        self.names.get(..usize::from(self.count)).unwrap_or_default()
    }

    pub(crate) fn push(&mut self, name: &'static str) {
        if let Some(slot) = self.names.get_mut(usize::from(self.count)) {
            *slot = name;
            self.count += 1;
        }
    }
}

impl fmt::Display for ApplicationPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.as_slice().iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}
