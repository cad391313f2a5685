//! The state of an engine, written down and taken up again.

use std::fmt::{self, Write};
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::{FixedState, FoldHasher};
use parefeu_net::SavedFragments;
use parefeu_policy::LinkedFirewall;
use parefeu_session::{OpenError, SavedSession};
use serde::{Deserialize, Serialize};

use crate::Engine;
use crate::core::Core;
use crate::decision::Counters;
use crate::expect::Announced;
use crate::kept::Kept;

/// What a snapshot begins with.
const MAGIC: [u8; 16] = *b"parefeu snapshot";

/// The form of what follows.
const VERSION: u16 = 4;

/// Why a snapshot was not taken up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It does not begin as one.
    #[error("this is no snapshot of an engine")]
    NoSnapshot,
    /// Another version of this program wrote it.
    #[error("the snapshot was written by parefeu {found}, and this is {own}")]
    OtherVersion {
        /// The version that wrote it.
        found: Box<str>,
        /// This one.
        own: &'static str,
    },
    /// It is cut, or changed.
    #[error("the snapshot is damaged")]
    Damaged,
    /// Its sessions are those of another firewall, whose rules and interfaces they name.
    #[error("the snapshot was taken of another firewall")]
    OtherFirewall,
    /// The engine is not new.
    #[error("the engine has sessions of its own")]
    InUse,
    /// A session does not fit.
    #[error("a session of the snapshot cannot be taken up: {0}")]
    Session(OpenError),
}

/// What stands before the state.
#[derive(Deserialize, Serialize)]
struct Head<'a> {
    version: &'a str,
    firewall: u64,
}

/// The state.
#[derive(Deserialize, Serialize)]
struct State<S> {
    next_serial: u64,
    epoch: u32,
    /// Whether sessions were given less time, because there were many.
    hasty: bool,
    /// In the order in which they were opened.
    sessions: Vec<SavedSession<S>>,
    /// In the order in which they were made.
    announced: Vec<Announced>,
    fragments: SavedFragments,
    invalid: Vec<u64>,
    counters: Counters,
}

impl Engine {
    /// The state of every session, for [`Engine::restore`]: with the same frames after it, an
    /// engine that takes it up decides as this one, and numbers and ends sessions as it does.
    /// Events are not part of it: those of sessions that have ended are to be collected afterwards.
    /// Nor are the users of addresses.
    ///
    /// A snapshot belongs to one version of this program and to one firewall. Cost: linear in the
    /// sessions, about 300 bytes each, more while an application is being identified.
    pub fn snapshot(&mut self) -> Vec<u8> {
        self.collect_ended();
        let mut sessions: Vec<SavedSession<&Kept>> =
            self.cores.iter().flat_map(Core::saved).collect();
        sessions.sort_unstable_by_key(|saved| saved.data.serial);
        let announced = self.cores.iter().flat_map(|core| core.expectations().saved());
        let mut announced: Vec<Announced> = announced.collect();
        Announced::put_in_order(&mut announced);
        let counts = self.cores.iter().map(|core| core.invalid_counts().collect::<Vec<_>>());
        let invalid = counts.reduce(|sum, more| sum.iter().zip(more).map(|(a, b)| a + b).collect());
        let state = State {
            next_serial: self.next_serial,
            epoch: self.cores[0].epoch,
            hasty: self.cores[0].is_hasty(),
            sessions,
            announced,
            fragments: self.saved_fragments(),
            invalid: invalid.unwrap_or_default(),
            counters: self.counters.clone(),
        };
        let head = Head { version: env!("CARGO_PKG_VERSION"), firewall: mark(self.firewall()) };
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        // Writing into memory does not fail.
        let bytes = postcard::to_extend(&head, bytes).unwrap_or_default();
        let mut bytes = postcard::to_extend(&state, bytes).unwrap_or_default();
        bytes.extend(sum(&bytes).to_le_bytes());
        bytes
    }

    /// Takes up the state that [`Engine::snapshot`] wrote down, into any number of shards. The
    /// engine has to be new, with the same firewall; its configuration should be the same. What is
    /// damaged is refused; what somebody made up is believed, as a configuration is.
    ///
    /// # Errors
    /// [`RestoreError`] when the snapshot is none, or none of this program, version and firewall,
    /// or holds more sessions than the engine may. After an error the engine holds what was taken
    /// up before it.
    pub fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        if self.next_serial != 1 || self.counters.frames() != 0 {
            return Err(RestoreError::InUse);
        }
        let rest = snapshot.strip_prefix(&MAGIC).ok_or(RestoreError::NoSnapshot)?;
        let (version, rest) = rest.split_first_chunk().ok_or(RestoreError::Damaged)?;
        let own = env!("CARGO_PKG_VERSION");
        if u16::from_le_bytes(*version) != VERSION {
            let found = format!("with form {}", u16::from_le_bytes(*version)).into();
            return Err(RestoreError::OtherVersion { found, own });
        }
        let (body, stated) = snapshot.split_last_chunk().ok_or(RestoreError::Damaged)?;
        if sum(body) != u64::from_le_bytes(*stated) {
            return Err(RestoreError::Damaged);
        }
        let rest = &rest[..rest.len() - stated.len()];
        let (head, rest): (Head<'_>, &[u8]) =
            postcard::take_from_bytes(rest).map_err(|_| RestoreError::Damaged)?;
        if head.version != own {
            return Err(RestoreError::OtherVersion { found: head.version.into(), own });
        }
        if head.firewall != mark(self.firewall()) {
            return Err(RestoreError::OtherFirewall);
        }
        let state: State<Kept> = postcard::from_bytes(rest).map_err(|_| RestoreError::Damaged)?;
        let State { next_serial, epoch, sessions, announced, fragments, .. } = state;
        if sessions.len() > self.config.sessions.max_sessions {
            return Err(RestoreError::Session(OpenError::TableFull));
        }
        self.take_up(sessions, announced).map_err(RestoreError::Session)?;
        for core in &mut self.cores {
            core.epoch = epoch;
            core.set_hasty(state.hasty);
        }
        self.cores[0].add_invalid(state.invalid);
        self.restore_fragments(fragments);
        (self.next_serial, self.counters) = (next_serial, state.counters);
        Ok(())
    }
}

/// A number that another firewall hardly has.
fn mark(firewall: &LinkedFirewall) -> u64 {
    struct Marker(FoldHasher<'static>);

    impl Write for Marker {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.write(text.as_bytes());
            Ok(())
        }
    }

    let mut marker = Marker(FixedState::default().build_hasher());
    // A hasher takes whatever is written.
    let _ = write!(marker, "{firewall:?}");
    marker.0.finish()
}

fn sum(bytes: &[u8]) -> u64 {
    FixedState::default().hash_one(bytes)
}
