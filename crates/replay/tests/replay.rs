//! Replays captures that others made: nothing panics, every frame is decided and counted by its
//! reason, and memory keeps to its bounds.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so, and prints its table")]
#![expect(clippy::expect_used, reason = "helpers of tests may stop them")]
#![expect(unsafe_code, reason = "a counting allocator has to implement an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parefeu_engine::{EngineConfig, Reason, Verdict};
use parefeu_net::{Decapsulate, DecodeLimits, Timestamp, decode};
use parefeu_policy::{LinkedFirewall, Source, link, native};
use parefeu_replay::{
    Capture, CaptureLimits, CapturedAt, IngressChoice, Lockstep, LockstepLimits, MergedCaptures,
    ReplayFrame, Side,
};

/// Passes everything on to the system and keeps count of the bytes this thread holds.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that is ending has no counter left, and nothing to measure either.
    let live = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        live.get()
    });
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.unwrap_or(0))));
}

// SAFETY: every call is handed to `System` unchanged, so its guarantees are System's; the counters
// are thread-locals without destructors and allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promises about `layout` are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size().cast_signed()));
        // SAFETY: `block` came from `System` with this layout, as every block of this allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while `work` runs, above what was held before.
fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get() - before).unwrap_or(0)
}

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Every file below `folder`, in order; nothing, said aloud, where the data are absent.
fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(DATA).join(folder);
    if !root.is_dir() {
        eprintln!("skipped: {} is not here", root.display());
        return Vec::new();
    }
    let (mut files, mut folders) = (Vec::new(), vec![root]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Says which capture was being replayed when a panic passes by.
struct Named<'a>(&'a Path);

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("while replaying {}", self.0.display());
        }
    }
}

/// A firewall that lets everything pass, and has to know the application to say by which rule.
fn permissive(behaviour: &str) -> Arc<LinkedFirewall> {
    let text = format!(
        r#"behaviour = "{behaviour}"
        [[application]]
        name = "web"
        identified_as = ["http", "tls", "quic"]
        [[rule_base]]
        name = "policy"
        default = "deny"
        [[rule_base.rule]]
        name = "web"
        application = ["web"]
        action = "allow"
        [[rule_base.rule]]
        name = "rest"
        action = "allow"
        [[layer]]
        rule_base = "policy""#
    );
    let (firewall, mut problems) = native::read(Source::new("permissive.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    Arc::new(linked.unwrap_or_else(|| unreachable!("{problems:?}")))
}

/// How frames are replayed.
struct Way {
    firewall: Arc<LinkedFirewall>,
    config: EngineConfig,
}

impl Way {
    /// As a Linux firewall, tunnels judged as they are, the limits as they come. Checksums pass:
    /// many captures were taken on the sending host, which had not finished them.
    fn plain() -> Self {
        let config = EngineConfig { verify_checksums: false, ..EngineConfig::default() };
        Self { firewall: permissive("linux"), config }
    }

    /// As a PAN-OS firewall that looks into tunnels, with room for few sessions and fragments, so
    /// that limits are reached.
    fn cramped() -> Self {
        let mut config = EngineConfig::default();
        config.decode = DecodeLimits { decapsulate: Decapsulate::ALL, ..config.decode };
        config.sessions.max_sessions = 16;
        config.fragments.max_datagrams = 4;
        config.fragments.max_bytes = 16 * 1024;
        Self { firewall: permissive("panos"), config }
    }

    fn side(&self) -> Side {
        let choice = IngressChoice::default();
        Side::new(Arc::clone(&self.firewall), &choice, self.config.clone()).expect("no interface")
    }
}

/// What replaying a capture came to.
#[derive(Default)]
struct Replayed {
    frames: u64,
    sessions: u64,
    ended_early: bool,
    decisions: BTreeMap<(Verdict, Reason), u64>,
}

/// The bytes as a capture, with a merge around it that holds the clock; `None` when they are none.
fn open(bytes: &[u8]) -> Option<MergedCaptures> {
    let source = Cursor::new(bytes.to_vec());
    let capture = Capture::open(source, "test", CaptureLimits::default()).ok()?;
    Some(MergedCaptures::new(vec![capture]))
}

/// Replays a capture through one firewall and checks what holds for any.
fn replay(bytes: &[u8], way: &Way) -> Option<Replayed> {
    let mut frames = open(bytes)?;
    let mut side = way.side();
    let (mut seen, mut wire_bytes) = (Replayed::default(), 0);
    let mut sessions = Sessions::default();
    loop {
        let frame = match frames.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(_) => {
                seen.ended_early = true;
                continue;
            }
        };
        let captured = CapturedAt { file: 0, interface: frame.frame.interface.0, name: None };
        let wire_len = frame.frame.wire_len;
        let limits = &way.config.decode;
        let packet = decode(frame.frame.link_type, frame.frame.data, wire_len as usize, limits);
        let decision = side.decide(frame.clock, captured, &packet, wire_len);
        seen.frames += 1;
        wire_bytes += u64::from(wire_len);
        *seen.decisions.entry((decision.verdict, decision.reason)).or_default() += 1;
        if let Some(reason) = packet.malformed {
            let expected = (Verdict::Drop, Reason::Malformed(reason));
            assert_eq!((decision.verdict, decision.reason), expected, "frame {}", seen.frames);
        }
        let engine = side.engine();
        assert!(engine.session_count() <= way.config.sessions.max_sessions);
        sessions.collect(&mut side);
    }
    side.engine_mut().handle_timeout(Timestamp::from_nanos(u64::MAX));
    sessions.collect(&mut side);
    assert_eq!(side.engine().session_count(), 0);
    assert_eq!(frames.captures().map(Capture::frame_count).sum::<u64>(), seen.frames);
    let counted = side.engine().counters().iter();
    let counted: BTreeMap<_, _> =
        counted.map(|(verdict, reason, n)| ((verdict, reason), n)).collect();
    assert_eq!(counted, seen.decisions);
    assert!(sessions.packets <= seen.frames, "{} in sessions", sessions.packets);
    assert!(sessions.bytes <= wire_bytes, "{} of {wire_bytes} bytes", sessions.bytes);
    seen.sessions = sessions.count;
    Some(seen)
}

/// Ended sessions, added up.
#[derive(Default)]
struct Sessions {
    count: u64,
    packets: u64,
    bytes: u64,
}

impl Sessions {
    fn collect(&mut self, side: &mut Side) {
        while let Some(session) = side.poll_session() {
            self.count += 1;
            self.packets += session.packets.iter().sum::<u64>();
            self.bytes += session.bytes.iter().sum::<u64>();
            assert!(session.start <= session.end, "{session:?}");
        }
    }
}

/// The same firewall on both sides never differs from itself.
fn compare_with_itself(bytes: &[u8], way: &Way) {
    let Some(mut frames) = open(bytes) else { return };
    let (decode, limits) = (way.config.decode, LockstepLimits::default());
    let mut lockstep = Lockstep::new(way.side(), way.side(), decode, limits);
    loop {
        let frame = match frames.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            Err(_) => continue,
        };
        let (old, new) = lockstep.handle_frame(ReplayFrame {
            now: frame.clock,
            captured: CapturedAt { file: 0, interface: frame.frame.interface.0, name: None },
            link_type: frame.frame.link_type,
            data: frame.frame.data,
            wire_len: frame.frame.wire_len,
        });
        assert_eq!(old, new, "frame {}", frame.frame.number);
    }
    let comparison = lockstep.finish();
    assert_eq!(comparison.differences.different(), 0);
}

/// How many whole records a classic capture of the common version holds, counted by its length
/// fields alone; `None` for any other file.
fn whole_records(bytes: &[u8]) -> Option<u64> {
    let swapped = match bytes.first_chunk()? {
        [0xd4, 0xc3, 0xb2, 0xa1] | [0x4d, 0x3c, 0xb2, 0xa1] => true,
        [0xa1, 0xb2, 0xc3, 0xd4] | [0xa1, 0xb2, 0x3c, 0x4d] => false,
        _ => return None,
    };
    let version = bytes.get(4..8)?;
    if version != [2, 0, 4, 0] && version != [0, 2, 0, 4] {
        return None;
    }
    let (mut at, mut records) = (24, 0);
    while let Some(field) = bytes.get(at + 8..at + 12).and_then(|field| field.first_chunk()) {
        let length = if swapped { u32::from_le_bytes(*field) } else { u32::from_be_bytes(*field) };
        at += 16 + length as usize;
        if length > CaptureLimits::default().max_frame_bytes || bytes.len() < at {
            break;
        }
        records += 1;
    }
    Some(records)
}

/// What replaying one of these captures may take beside the file itself: a reader's window of less
/// than 1 MiB, and what a few thousand sessions and fragments hold.
const MOST_BYTES: usize = 16 << 20;

/// Replays every capture of a folder in every way; prints what happened to the frames.
fn check(folder: &str) {
    let ways = [Way::plain(), Way::cramped()];
    let mut all = Replayed::default();
    let (mut captures, mut cut, mut most_bytes) = (0, 0, 0);
    for path in files(folder) {
        let _named = Named(&path);
        let bytes = fs::read(&path).expect("a file that can be read");
        for way in &ways {
            let mut replayed = None;
            let peak = peak_bytes(|| replayed = replay(&bytes, way));
            assert!(peak <= bytes.len() + MOST_BYTES, "{peak} bytes at once");
            most_bytes = most_bytes.max(peak - bytes.len().min(peak));
            let Some(replayed) = replayed else { break };
            if let Some(records) = whole_records(&bytes) {
                assert_eq!(replayed.frames, records);
            }
            captures += 1;
            cut += u64::from(replayed.ended_early);
            all.frames += replayed.frames;
            all.sessions += replayed.sessions;
            for (decision, count) in replayed.decisions {
                *all.decisions.entry(decision).or_default() += count;
            }
            compare_with_itself(&bytes, way);
        }
    }
    eprintln!(
        "{folder}: {captures} replays ({cut} cut), {} frames, {} sessions, {most_bytes} bytes",
        all.frames, all.sessions
    );
    for ((verdict, reason), count) in &all.decisions {
        eprintln!("{count:>10}  {verdict} {reason}");
    }
    assert_eq!(all.decisions.values().sum::<u64>(), all.frames);
    assert!(captures > 0 || !Path::new(DATA).join(folder).is_dir(), "{folder} holds no capture");
}

#[test]
fn arkime_captures_replay() {
    check("arkime");
}

#[test]
fn ja4_captures_replay() {
    check("ja4");
}

#[test]
fn kernel_oracle_captures_replay() {
    check("kernel-oracle");
}

#[test]
fn ndpi_captures_replay() {
    check("ndpi");
}

#[test]
fn pcapng_suite_replays() {
    check("pcapng-suite");
}

#[test]
fn retina_captures_replay() {
    check("retina");
}

#[test]
fn suricata_captures_replay() {
    check("suricata-verify");
}

#[test]
fn tcpdump_captures_replay() {
    check("tcpdump-tests");
}

#[test]
fn zeek_captures_replay() {
    check("zeek");
}

/// Seeds for fuzzers of payload parsers: most are no captures, and the bytes of each are one frame
/// after another to an engine.
#[test]
fn fuzzer_seeds_are_frames_that_do_no_harm() {
    let ways = [Way::plain(), Way::cramped()];
    for path in files("ndpi-fuzz") {
        let _named = Named(&path);
        let bytes = fs::read(&path).expect("a file that can be read");
        for way in &ways {
            let mut side = way.side();
            let peak = peak_bytes(|| {
                replay(&bytes, way);
                let chunks = [64, 500, 1500].into_iter().flat_map(|size| bytes.chunks(size));
                for (at, frame) in (0..).zip(chunks) {
                    for link_type in [1, 101] {
                        let link_type = parefeu_net::LinkType(link_type);
                        let packet = decode(link_type, frame, frame.len(), &way.config.decode);
                        let captured = CapturedAt { file: 0, interface: 0, name: None };
                        let now = Timestamp::from_secs(at);
                        side.decide(now, captured, &packet, frame.len() as u32);
                    }
                }
            });
            assert!(peak <= bytes.len() + MOST_BYTES, "{peak} bytes at once");
        }
    }
}
