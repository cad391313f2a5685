//! Reads captures that others made: each to its end, or to an error that says where.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so, and prints its table")]
#![expect(clippy::expect_used, reason = "helpers of tests may stop them")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use parefeu_replay::{
    Capture, CaptureInterface, CaptureLimits, MergedCaptures, OpenCaptureError, ReadCaptureError,
};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Every file below `folder`, in order; nothing, said aloud, where the data are absent.
fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(DATA).join(folder);
    if !root.is_dir() {
        eprintln!("skipped: {} is not here", root.display());
        return Vec::new();
    }
    let mut files = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn is_named_capture(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".pcap", ".pcapng", ".cap"].iter().any(|suffix| name.ends_with(suffix))
}

/// A frame by its time, interface, wire length and bytes, and the interfaces known when it came.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    nanos: u64,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
    known_interfaces: usize,
}

/// All that a capture says.
#[derive(Debug, Eq, PartialEq)]
struct Read {
    frames: Vec<Seen>,
    interfaces: Vec<CaptureInterface>,
    end: Option<ReadCaptureError>,
}

/// Reads a capture to its end and checks what holds for any: numbers count up from one, lengths
/// keep to their bounds, and an error is the last word.
#[track_caller]
fn read(bytes: &[u8]) -> Result<Read, OpenCaptureError> {
    let limits = CaptureLimits::default();
    let mut capture = Capture::open(Cursor::new(bytes.to_vec()), "test", limits)?;
    let mut frames = Vec::new();
    let end = loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.number, frames.len() as u64 + 1);
                assert!(frame.data.len() <= limits.max_frame_bytes as usize);
                assert!(frame.wire_len as usize >= frame.data.len());
                frames.push(Seen {
                    nanos: frame.time.as_nanos(),
                    interface: frame.interface.0,
                    wire_len: frame.wire_len,
                    data: frame.data.to_vec(),
                    known_interfaces: 0,
                });
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
        if let Some(last) = frames.last_mut() {
            last.known_interfaces = capture.interfaces().len();
        }
    };
    assert_eq!(capture.next_frame(), Ok(None));
    assert_eq!(capture.frame_count(), frames.len() as u64);
    Ok(Read { frames, interfaces: capture.interfaces().to_vec(), end })
}

/// One word for how reading ended.
fn outcome(read: &Result<Read, OpenCaptureError>) -> String {
    let text = match read {
        Ok(Read { end: None, .. }) => return "whole".to_owned(),
        Ok(Read { end: Some(error), .. }) => format!("{error:?}"),
        Err(error) => format!("{error:?}"),
    };
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// What the suite promises of a frame.
struct Promised {
    /// The interfaces before its section, and before it.
    section: usize,
    known: usize,
    simple: bool,
}

/// What the block sequence in a `.txt` of the suite promises: frames, and how many interfaces.
fn promised(text: &str) -> Option<(Vec<Promised>, usize)> {
    let sequence = text.lines().find_map(|line| line.strip_prefix("Block sequence: "))?;
    let (mut frames, mut interfaces, mut section) = (Vec::new(), 0, 0);
    for block in sequence.split(", ") {
        match block {
            "SHB" => section = interfaces,
            "IDB" => interfaces += 1,
            "EPB" | "PB" | "SPB" => {
                frames.push(Promised { section, known: interfaces, simple: block == "SPB" });
            }
            _ => {}
        }
    }
    Some((frames, interfaces))
}

#[test]
fn the_pcapng_suite_is_read_as_described() {
    let mut orders: BTreeMap<String, Read> = BTreeMap::new();
    for path in files("pcapng-suite") {
        if path.extension().is_none_or(|extension| extension != "pcapng") {
            continue;
        }
        let at = path.display();
        let text = fs::read_to_string(path.with_extension("txt")).expect("a description");
        let (frames, interfaces) = promised(&text).expect("a block sequence");
        let read = read(&fs::read(&path).expect("a file")).expect("a capture");
        assert_eq!(read.end, None, "{at}");
        assert_eq!(read.interfaces.len(), interfaces, "{at}");
        assert_eq!(read.frames.len(), frames.len(), "{at}");
        for (seen, Promised { section, known, simple }) in read.frames.iter().zip(frames) {
            assert_eq!(seen.known_interfaces, known, "{at}");
            let interface = seen.interface as usize;
            let fits = if simple { section..section + 1 } else { section..known };
            assert!(fits.contains(&interface), "{at}: interface {interface} in {fits:?}");
        }
        // The same test in the other byte order says the same.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(other) = orders.get(&name) {
            assert_eq!(&read, other, "{at}");
        }
        orders.insert(name, read);
    }
}

/// Reads the captures of a folder; prints how each ended and returns the count of each outcome.
fn outcomes(folder: &str, wanted: impl Fn(&Path) -> bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut frames = 0;
    for path in files(folder).into_iter().filter(|path| wanted(path)) {
        let read = read(&fs::read(&path).expect("a file"));
        let outcome = outcome(&read);
        if outcome != "whole" && is_named_capture(&path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match &read {
                Ok(Read { end: Some(error), .. }) => eprintln!("{folder}/{name}: {error}"),
                Err(error) => eprintln!("{folder}/{name}: {error}"),
                Ok(_) => {}
            }
        }
        frames += read.map_or(0, |read| read.frames.len());
        *counts.entry(outcome).or_default() += 1;
    }
    eprintln!("{folder}: {frames} frames, {counts:?}");
    counts
}

#[test]
fn captures_of_other_projects_are_read_to_their_end() {
    for folder in
        ["arkime", "ja4", "kernel-oracle", "ndpi", "retina", "suricata-verify", "zeek", "geneva"]
    {
        let outcomes = outcomes(folder, is_named_capture);
        let whole = outcomes.get("whole").copied().unwrap_or(0);
        // A few are damaged, some on purpose: libpcap stops at the same frames.
        for (outcome, count) in outcomes {
            let fits = matches!(outcome.as_str(), "whole" | "Truncated" | "FrameTooLong");
            let few = outcome == "whole" || 100 * count <= whole;
            assert!(fits && few, "{folder}: {count} ended with {outcome}");
        }
    }
}

#[test]
fn hostile_captures_end_with_an_error_that_has_a_name() {
    let named = outcomes("tcpdump-tests", is_named_capture);
    if !named.is_empty() {
        let whole = named.get("whole").copied().unwrap_or(0);
        assert!(2 * whole > named.values().sum::<usize>(), "most are whole: {named:?}");
    }
    // Fuzzer seeds for parsers of payload: nearly none is a capture, and none may pretend to be.
    outcomes("ndpi-fuzz", |_| true);
}

/// How many bytes of a capture are cut at each of its bytes.
const SMALL_BYTES: usize = 3000;

#[test]
fn small_captures_cut_anywhere_keep_their_whole_frames() {
    for folder in ["pcapng-suite", "suricata-verify", "tcpdump-tests", "zeek"] {
        let small = files(folder).into_iter().filter(|path| is_named_capture(path));
        let small = small.filter_map(|path| fs::read(path).ok());
        for bytes in small.filter(|bytes| bytes.len() <= SMALL_BYTES).take(25) {
            let Ok(whole) = read(&bytes) else { continue };
            for cut in 0..bytes.len() {
                match read(&bytes[..cut]) {
                    Ok(part) => {
                        let count = part.frames.len();
                        assert_eq!(part.frames, whole.frames[..count]);
                        let end = part.end.is_none_or(|end| end.is_truncated());
                        let shared = part.end == whole.end;
                        assert!(end || shared, "cut at {cut}: {:?}", part.end);
                    }
                    Err(error) => assert!(
                        matches!(
                            error,
                            OpenCaptureError::Empty
                                | OpenCaptureError::NotACapture
                                | OpenCaptureError::Truncated
                        ),
                        "cut at {cut}: {error}"
                    ),
                }
            }
        }
    }
}

#[test]
fn a_capture_merged_with_itself_gives_every_frame_twice() {
    for path in files("kernel-oracle").into_iter().filter(|path| is_named_capture(path)).take(20) {
        let bytes = fs::read(&path).expect("a file");
        let alone = read(&bytes).expect("a capture").frames.len();
        let twice = (0..2)
            .map(|_| Capture::open(Cursor::new(bytes.clone()), "test", CaptureLimits::default()))
            .collect::<Result<Vec<_>, _>>()
            .expect("a capture");
        let mut merged = MergedCaptures::new(twice);
        let (mut seen, mut clock) = ([0; 2], None);
        while let Some(next) = merged.next_frame().expect("a whole capture") {
            assert!(clock <= Some(next.clock), "the clock runs backwards");
            clock = Some(next.clock);
            seen[next.file.0 as usize] += 1;
            assert_eq!(next.frame.number, seen[next.file.0 as usize]);
        }
        assert_eq!(seen, [alone as u64; 2], "{}", path.display());
    }
}
