//! What one session keeps between packets.

use parefeu_net::Direction;
use serde::{Deserialize, Serialize};

use crate::nomination::Candidates;
use crate::protocol::{Decoder, Role};
use crate::record::Identity;
use crate::stream::Stream;
use crate::{Application, ApplicationPath, Facts, LimitReached, Progress, Status};

/// The identification scratch of one session: small, and without buffers once decided.
///
/// Starts empty; belongs to whoever owns the session.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct FlowState {
    /// Buffers and parser; gone once finished.
    pub(crate) work: Option<Box<Work>>,
    /// What was learned; absent while that is nothing.
    pub(crate) identity: Option<Box<Identity>>,
    pub(crate) transport: Transport,
    pub(crate) status: Status,
    pub(crate) limit: Option<LimitReached>,
    pub(crate) finished: bool,
}

/// What carries the payload, as the first name of an application path.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Transport {
    #[default]
    None,
    Tcp,
    Udp,
}

/// Buffers and progress of an undecided or decoding flow.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Work {
    pub(crate) streams: [Stream; 2],
    pub(crate) state: State,
}

/// All of [`Work`] but the streams, so that a stream can hand its bytes to it.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct State {
    /// Signatures still possible for each direction.
    pub(crate) candidates: [Candidates; 2],
    /// Whether each direction has sent payload.
    pub(crate) spoken: [bool; 2],
    /// Directions given up, whose bytes are no longer kept.
    pub(crate) deaf: [bool; 2],
    pub(crate) packets: u32,
    pub(crate) bytes: u64,
    /// The signature a datagram resembled; a second one like it confirms.
    pub(crate) sighted: Option<usize>,
    pub(crate) phase: Phase,
}

/// Whether the protocol is known.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Phase {
    Undecided,
    Decoding {
        decoder: Decoder,
        /// The direction in which the protocol's client sends.
        client: Direction,
        /// Whether the decoder is new and has not seen what the other direction holds.
        fresh: bool,
    },
    Over(Option<LimitReached>),
}

impl Default for Work {
    fn default() -> Self {
        Self {
            streams: [Stream::default(), Stream::default()],
            state: State {
                candidates: [Candidates::ALL; 2],
                spoken: [false; 2],
                deaf: [false; 2],
                packets: 0,
                bytes: 0,
                sighted: None,
                phase: Phase::Undecided,
            },
        }
    }
}

impl State {
    /// Which side of the protocol sends in `direction`.
    pub(crate) fn role(direction: Direction, client: Direction) -> Role {
        if direction == client { Role::Client } else { Role::Server }
    }
}

impl FlowState {
    /// What is known so far. Cost: constant, no allocation.
    pub fn facts(&self) -> Facts<'_> {
        let mut facts = Facts {
            status: self.status,
            limit: self.limit,
            finished: self.finished,
            ..Facts::default()
        };
        let Some(identity) = self.identity.as_deref() else { return facts };
        facts.application = self.application();
        facts.application_path = self.path(identity);
        facts.hostname = text(&identity.hostname);
        facts.url = text(&identity.url);
        facts.alpn = text(&identity.alpn);
        facts.certificate_issuer = text(&identity.issuer);
        facts.certificate_subject = text(&identity.subject);
        facts.data_endpoints = &identity.data_endpoints;
        facts
    }

    /// [`Facts::application`] alone.
    pub fn application(&self) -> Option<Application> {
        let identity = self.identity.as_deref()?;
        identity.service.or(identity.protocol)
    }

    /// [`Facts::finished`] alone.
    pub const fn is_finished(&self) -> bool {
        self.finished
    }

    fn path(&self, identity: &Identity) -> ApplicationPath {
        let mut path = ApplicationPath::default();
        match self.transport {
            Transport::None => {}
            Transport::Tcp => path.push("tcp"),
            Transport::Udp => path.push("udp"),
        }
        let carriers = identity.carriers.iter().flatten();
        for application in carriers.chain(&identity.protocol).chain(&identity.service) {
            path.push(application.name());
        }
        path
    }

    /// What a packet without payload, or one that taught nothing, leaves.
    pub(crate) fn standing(&self) -> Progress {
        if self.finished {
            Progress::Finished
        } else if self.status == Status::Identified {
            Progress::Unchanged
        } else {
            Progress::Undecided
        }
    }
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
