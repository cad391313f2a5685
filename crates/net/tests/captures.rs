//! Decodes captures that others made: nothing panics, and fragments end as in the Linux kernel.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::expect_used, reason = "helpers of tests may stop them")]

use std::fs;
use std::path::{Path, PathBuf};

use parefeu_net::{
    ChecksumVerdict, Decapsulate, DecodeLimits, FragmentLimits, LinkType, Reassembler, Reassembly,
    Timestamp, decode, ip_header_checksum, transport_checksum,
};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// A classic capture file, read whole.
struct Capture {
    bytes: Vec<u8>,
    big_endian: bool,
    nanoseconds: bool,
}

impl Capture {
    /// `None` when the file is no classic capture.
    fn open(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let (big_endian, nanoseconds) = match bytes.first_chunk()? {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            _ => return None,
        };
        Some(Self { bytes, big_endian, nanoseconds })
    }

    fn word(&self, at: usize) -> Option<u32> {
        let word = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn link(&self) -> LinkType {
        LinkType(self.word(20).unwrap_or(0) as u16)
    }

    /// Each frame with its time and its length on the wire, up to the first record that is cut.
    fn frames(&self) -> impl Iterator<Item = (Timestamp, &[u8], usize)> {
        let mut at = 24;
        std::iter::from_fn(move || {
            let (secs, fraction) = (self.word(at)?, self.word(at + 4)?);
            let (len, wire_len) = (self.word(at + 8)? as usize, self.word(at + 12)? as usize);
            let frame = self.bytes.get(at + 16..)?.get(..len)?;
            at += 16 + len;
            let nanos = u64::from(fraction) * if self.nanoseconds { 1 } else { 1000 };
            let time = u64::from(secs) * 1_000_000_000 + nanos;
            Some((Timestamp::from_nanos(time), frame, wire_len))
        })
    }
}

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

/// Decodes every frame of a folder's captures under every link type: `(frames, with IP)` as the
/// captures say what they are.
fn decode_folder(folder: &str) -> (usize, usize) {
    let limits = DecodeLimits { decapsulate: Decapsulate::ALL, ..DecodeLimits::default() };
    let (mut frames, mut with_ip) = (0, 0);
    for path in files(folder) {
        let Some(capture) = Capture::open(&path) else { continue };
        let mut reassembler = Reassembler::new(FragmentLimits::default());
        for (time, frame, wire_len) in capture.frames() {
            let packet = decode(capture.link(), frame, wire_len, &limits);
            frames += 1;
            with_ip += usize::from(packet.network.is_some());
            reassembler.handle_timeout(time);
            if let Reassembly::Complete(datagram) = reassembler.handle_fragment(time, &packet) {
                assert!(datagram.decode(&limits).network.is_some(), "{}", path.display());
            }
            if let Some(network) = &packet.network {
                ip_header_checksum(network);
                transport_checksum(network);
            }
            for link in LINKS {
                decode(LinkType(link), frame, wire_len, &limits);
            }
        }
    }
    eprintln!("{folder}: {frames} frames, {with_ip} with IP");
    (frames, with_ip)
}

const LINKS: [u16; 16] = [0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 117, 228, 229, 239, 276];

/// At least `percent` of the frames carry IP; the rest is ARP, spanning tree and the like.
#[track_caller]
fn check(folder: &str, percent: usize) {
    let (frames, with_ip) = decode_folder(folder);
    assert!(with_ip * 100 >= frames * percent, "{folder}: {with_ip} of {frames} frames");
}

#[test]
fn ndpi_captures_decode() {
    check("ndpi", 95);
}

#[test]
fn suricata_captures_decode() {
    check("suricata-verify", 90);
}

#[test]
fn zeek_captures_decode() {
    check("zeek", 90);
}

#[test]
fn arkime_captures_decode() {
    check("arkime", 90);
}

#[test]
fn tcpdump_captures_decode() {
    check("tcpdump-tests", 30);
}

/// The reassembler's answers to the fragments of one capture of the kernel's, one word each.
fn fragment_answers(name: &str) -> Option<Vec<String>> {
    let path = Path::new(DATA).join("kernel-oracle/scenario").join(name);
    let Some(capture) = Capture::open(&path) else {
        eprintln!("skipped: {} is not here", path.display());
        return None;
    };
    let limits = DecodeLimits::default();
    let mut reassembler = Reassembler::new(FragmentLimits::default());
    let answers = capture.frames().map(|(time, frame, wire_len)| {
        let packet = decode(capture.link(), frame, wire_len, &limits);
        match reassembler.handle_fragment(time, &packet) {
            Reassembly::Complete(datagram) => {
                let whole = datagram.decode(&limits);
                let flow = whole.five_tuple().map_or(String::new(), |flow| flow.to_string());
                let checksum = whole.network.map(|network| transport_checksum(&network));
                let bad =
                    if checksum == Some(ChecksumVerdict::Invalid) { " bad checksum" } else { "" };
                format!("{flow}{bad}")
            }
            Reassembly::Discard(reason) => reason.name().to_owned(),
            Reassembly::Hold => "hold".to_owned(),
            Reassembly::Whole => "whole".to_owned(),
            Reassembly::Duplicate => "duplicate".to_owned(),
        }
    });
    Some(answers.collect())
}

/// The kernel's verdicts are in the `.json` beside each capture: "held-or-drop" for every fragment
/// of a datagram that never completes, and a TCP checksum found bad only after reassembly.
#[test]
fn fragments_end_as_in_the_linux_kernel() {
    for (name, expected) in [
        ("frag_missing_first.pcap", &["hold", "hold"][..]),
        ("frag_ping_of_death.pcap", &["hold", "datagram-too-long"]),
        ("frag_tiny_tcp.pcap", &["hold", "tcp 10.1.0.5:1 > 198.51.100.9:80 bad checksum"]),
        ("v6_frag_overlap.pcap", &["hold", "fragment-overlap", "hold"]),
    ] {
        let Some(answers) = fragment_answers(name) else { return };
        assert_eq!(answers, expected, "{name}");
    }
}
