//! A whole capture from memory through one firewall, and through two in lockstep.
//!
//! The captures in `pcaps/` are played many times over between other hosts, so that the mix of
//! packets and connections is that of real programs.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::fs::File;
use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_engine::EngineConfig;
use parefeu_net::{DecodeLimits, LinkType, decode};
use parefeu_policy::{LinkedFirewall, Source, link, native};
use parefeu_replay::{
    Capture, CaptureInterfaceId, CaptureLimits, CaptureWriter, CapturedAt, IngressChoice, Lockstep,
    LockstepLimits, MergedCaptures, MergedFrame, ReplayFrame, Side,
};
use parefeu_testkit::traffic::Traffic;

const PCAPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pcaps");
const FIREWALL: &str = include_str!("../../../benches/versus/replay.toml");
const ROUNDS: u16 = 40;

/// The capture, and how many frames it has.
fn capture() -> (Vec<u8>, u64) {
    let mut traffic = Traffic::default();
    let folder = std::fs::read_dir(Path::new(PCAPS)).expect("the folder of captures");
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|it| it != "toml")) {
        let file = File::open(path).expect("a file");
        // The folder holds a text and a script too.
        let Ok(mut capture) = Capture::open(file, "bench", CaptureLimits::default()) else {
            continue;
        };
        let mut frames = Vec::new();
        while let Some(frame) = capture.next_frame().expect("a whole capture") {
            if frame.link_type == LinkType::ETHERNET {
                frames.push((frame.time, frame.data.to_vec()));
            }
        }
        traffic.add(frames);
    }
    let mut writer = CaptureWriter::pcap(Vec::new(), LinkType::ETHERNET).expect("a header");
    let write = |time, frame: &[u8]| writer.write_frame(CaptureInterfaceId(0), time, frame);
    traffic.play(ROUNDS, write).expect("frames that can be written");
    (writer.into_inner(), traffic.len() as u64 * u64::from(ROUNDS))
}

fn firewall() -> Arc<LinkedFirewall> {
    let (firewall, mut problems) = native::read(Source::new("replay.toml", FIREWALL));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    Arc::new(linked.expect("a firewall that links"))
}

fn side(firewall: &Arc<LinkedFirewall>, identifies: bool, events: bool) -> Side {
    let standard = EngineConfig { events, verify_checksums: false, ..EngineConfig::default() };
    let identify = standard.identify.filter(|_| identifies);
    let config = EngineConfig { identify, ..standard };
    Side::new(Arc::clone(firewall), &IngressChoice::default(), config).expect("no interfaces named")
}

/// Shows every frame of the capture to `handle`.
fn for_each(bytes: &'static [u8], mut handle: impl FnMut(ReplayFrame<'_>)) {
    let capture = Capture::open(Cursor::new(bytes), "bench", CaptureLimits::default());
    let mut merged = MergedCaptures::new(vec![capture.expect("a capture")]);
    while let Some(next) = merged.next_frame().expect("a whole capture") {
        let MergedFrame { clock, frame, interface_name, .. } = next;
        handle(ReplayFrame {
            now: clock,
            captured: CapturedAt { file: 0, interface: frame.interface.0, name: interface_name },
            link_type: frame.link_type,
            data: frame.data,
            wire_len: frame.wire_len,
        });
    }
}

fn one(bytes: &'static [u8], mut side: Side) -> u64 {
    let limits = DecodeLimits::default();
    let mut ended = 0;
    for_each(bytes, |frame| {
        let ReplayFrame { now, captured, link_type, data, wire_len } = frame;
        let packet = decode(link_type, data, wire_len as usize, &limits);
        black_box(side.decide(now, captured, &packet, wire_len));
        while side.poll_session().is_some() {
            ended += 1;
        }
    });
    ended
}

fn lockstep(bytes: &'static [u8], old: Side, new: Side) -> u64 {
    let limits = LockstepLimits::default();
    let mut lockstep = Lockstep::new(old, new, DecodeLimits::default(), limits);
    for_each(bytes, |frame| {
        black_box(lockstep.handle_frame(frame));
    });
    lockstep.finish().differences.flows()
}

fn replay(c: &mut Criterion) {
    let (bytes, frames) = capture();
    let bytes: &'static [u8] = bytes.leak();
    let firewall = firewall();
    let mut group = c.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(frames));
    for (shape, identifies) in [("headers", false), ("identified", true)] {
        let side = |events| side(&firewall, identifies, events);
        group.bench_function(BenchmarkId::new(format!("one/{shape}"), frames), |b| {
            b.iter(|| black_box(one(bytes, side(true))));
        });
        group.bench_function(BenchmarkId::new(format!("lockstep/{shape}"), frames), |b| {
            b.iter(|| black_box(lockstep(bytes, side(false), side(false))));
        });
    }
    group.finish();
}

criterion_group!(benches, replay);
criterion_main!(benches);
