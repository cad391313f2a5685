//! Sessions of real captures, against what other people's monitors made of them.
//!
//! The captures and the tables lie outside the repository; each test skips aloud without them.
#![expect(clippy::expect_used, reason = "helpers of tests may stop them")]

mod suricata;
mod zeek;

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use parefeu_engine::{EngineConfig, SessionSummary};
use parefeu_net::{Decapsulate, DecodeLimits, decode};
use parefeu_policy::{Source, link, native};
use parefeu_replay::{Capture, CaptureLimits, CapturedAt, IngressChoice, MergedCaptures, Side};
use parefeu_session::EndReason;

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
    /// Further settings of the behaviour.
    behaviour: &'static str,
}

/// The sessions of a capture, in the order they ended.
fn sessions(capture: &Path, look: Look) -> Vec<SessionSummary> {
    let text = format!("{MONITOR}{}{}{ADMITS_ALL}", look.behaviour, look.timers);
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
