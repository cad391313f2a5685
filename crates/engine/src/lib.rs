//! The firewall pipeline: frame in, explained decision out.
//!
//! [`Engine`] joins the stages: decoding, defragmentation, the session table, translation, filter
//! layers and identification. It reads no clock and does no IO: whoever feeds it says what time it
//! is. Every [`Decision`] names its verdict, its reason, its rule and the source line; nothing in
//! the path of a frame blocks or grows without a limit, and in steady state nothing allocates.
//!
//! The order of evaluation is `docs/semantics.md`; tests cite its clauses.

mod batch;
mod core;
mod decision;
mod engine;
mod event;
mod expect;
mod kept;
mod knowledge;
mod mapping;
mod pipeline;
mod snapshot;
mod translated;

pub use batch::{Arrived, OneByOne, Workers};
pub use decision::{Counters, Decision, Reason, Verdict};
pub use engine::{Engine, EngineConfig, Frame};
pub use event::{Event, SessionSummary};
pub use knowledge::UserTable;
pub use pipeline::judge;
pub use snapshot::RestoreError;
