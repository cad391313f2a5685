//! Captures replayed through one firewall, or through two in lockstep.
//!
//! [`Capture`] and [`MergedCaptures`] read pcap and pcapng as a stream. [`Side`] is one firewall at
//! work on captured frames; [`Lockstep`] shows the same frames to two and keeps what they do not
//! treat alike, grouped by the rules that decided. Memory grows with the flows live at once, never
//! with the length of a capture. The crate knows no vendor text and no terminal, and no file system
//! either: it reads what it is handed.

mod batch;
mod capture;
mod counterpart;
mod difference;
mod hazard;
mod ingress;
mod lockstep;
mod side;

pub use batch::{Batch, Decided, Threads};
pub use capture::{
    BlockFault, Capture, CaptureFileId, CaptureInterface, CaptureInterfaceId, CaptureLimits,
    CaptureWriter, Compression, Frame, MergedCaptures, MergedFrame, OpenCaptureError,
    ReadCaptureError, ReadMergedError, WriteCaptureError,
};
pub use difference::{
    Comparison, DifferenceClass, DifferenceReport, Group, GroupSide, Timeline, Totals,
};
pub use hazard::{Pause, TimerHazard, timer_hazards};
pub use ingress::{CapturedAt, IngressChoice, IngressMap, UnknownInterface};
pub use lockstep::{Lockstep, LockstepLimits, ReplayFrame, SettledFlow};
pub use side::{RuleHits, Side};
