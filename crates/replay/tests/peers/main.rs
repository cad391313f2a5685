//! Sessions of real captures, against what other people's monitors made of them.
//!
//! The captures and the tables lie outside the repository; each test skips aloud without them.
#![expect(clippy::print_stderr, reason = "tests report what they measured")]
#![expect(clippy::expect_used, reason = "helpers of tests may stop them")]

mod suricata;
mod zeek;

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parefeu_engine::{EngineConfig, SessionSummary};
use parefeu_net::{Decapsulate, DecodeLimits, decode};
use parefeu_policy::{Source, link, native};
use parefeu_replay::{Capture, CaptureLimits, CapturedAt, IngressChoice, MergedCaptures, Side};
use parefeu_session::EndReason;

/// The folder of test data, or `None` after saying that the test is skipped.
fn data(folder: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let path = PathBuf::from(root).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// A firewall that admits everything and follows connections as a monitor does: from wherever they
/// are first seen, and whichever halves of them are seen. The monitor's timers follow.
const MONITOR: &str = r#"
[behaviour]
preset = "panos"
tcp-loose = true
tcp-asymmetric = true
icmp-sessions = false
"#;

const ADMITS_ALL: &str = r#"
[[rule_base]]
name = "all"
default = "allow"
[[layer]]
rule_base = "all"
"#;

/// How a capture is looked at.
#[derive(Clone, Copy)]
struct Look {
    /// The monitor's timers.
    timers: &'static str,
    /// Packets with a wrong checksum belong to no session.
    checksums: bool,
    /// Sessions inside tunnels, instead of the tunnels.
    inside: bool,
}

/// The sessions of a capture, in the order they ended.
fn sessions(capture: &Path, look: Look) -> Vec<SessionSummary> {
    let text = format!("{MONITOR}{}{ADMITS_ALL}", look.timers);
    let (firewall, mut problems) = native::read(Source::new("monitor.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let firewall = Arc::new(linked.unwrap_or_else(|| unreachable!("{problems:?}")));
    let decapsulate = if look.inside { Decapsulate::ALL } else { Decapsulate::NONE };
    let config = EngineConfig {
        decode: DecodeLimits { decapsulate, ..DecodeLimits::default() },
        verify_checksums: look.checksums,
        identify: None,
        ..EngineConfig::default()
    };
    let limits = config.decode;
    let bytes = std::fs::read(capture).expect("a capture that can be read");
    let source = Cursor::new(bytes);
    let capture = Capture::open(source, "test", CaptureLimits::default()).expect("a capture");
    let mut frames = MergedCaptures::new(vec![capture]);
    let mut side = Side::new(firewall, &IngressChoice::default(), config).expect("no interface");
    let mut sessions = Vec::new();
    // A capture that ends early has its sessions up to there.
    while let Ok(Some(frame)) = frames.next_frame() {
        let captured = CapturedAt { file: 0, interface: frame.frame.interface.0, name: None };
        let wire_len = frame.frame.wire_len;
        let packet = decode(frame.frame.link_type, frame.frame.data, wire_len as usize, &limits);
        side.decide(frame.clock, captured, &packet, wire_len);
        sessions.extend(std::iter::from_fn(|| side.poll_session()));
    }
    side.engine_mut().close_all(EndReason::CaptureEnd);
    sessions.extend(std::iter::from_fn(|| side.poll_session()));
    sessions
}

/// How many of the rows compared agree.
#[derive(Default)]
struct Agreement {
    agreed: usize,
    of: usize,
    differences: Vec<String>,
}

impl Agreement {
    fn add(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.of += other.of;
        self.differences.extend(other.differences);
    }

    fn note(&mut self, agrees: bool, difference: impl FnOnce() -> String) {
        self.of += 1;
        if agrees {
            self.agreed += 1;
        } else {
            self.differences.push(difference());
        }
    }

    /// Prints the differences and the measure, and fails below `floor` per mille.
    #[track_caller]
    fn check(&self, what: &str, floor: usize) {
        for difference in &self.differences {
            eprintln!("  {what}: {difference}");
        }
        eprintln!("{what}: {} of {} agree", self.agreed, self.of);
        assert!(self.of > 0, "{what}: nothing was compared");
        assert!(self.agreed * 1000 >= self.of * floor, "{what}: {} of {}", self.agreed, self.of);
    }
}
