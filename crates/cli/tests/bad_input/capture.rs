//! Captures that cannot be read, or not to their end.

use std::fs;

use crate::folder::{Folder, PERMISSIVE, RAW, SYN, pcap, pcapng};

#[test]
fn files_that_are_no_capture() {
    let folder = Folder::new();
    let whole = pcap(RAW, &[(1, SYN)]);
    let magic = |magic: u32| [&magic.to_le_bytes()[..], &whole[4..]].concat();
    fs::create_dir(folder.path("folder")).unwrap();
    for (name, bytes, says) in [
        ("empty", Vec::new(), "the file is empty"),
        ("text", PERMISSIVE.as_bytes().to_vec(), "not a pcap or pcapng capture"),
        ("wrong-magic", magic(0xa1b2_c3d5), "not a pcap or pcapng capture"),
        ("modified", magic(0xa1b2_cd34), "editcap"),
        ("short", whole[..3].to_vec(), "cannot replay `short`"),
        ("header", whole[..23].to_vec(), "within its first header"),
        ("old", [&whole[..4], &[9, 0], &whole[6..]].concat(), "version 9.4"),
        ("unknown-type", pcap(60_000, &[(1, SYN)]), "link type 60000 is not known"),
        ("unknown-type-ng", pcapng(60_000, &[SYN]), "link type 60000 is not known"),
        ("long-first-block", [&pcapng(RAW, &[])[..4], &[0xff; 24]].concat(), "first block"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03damaged".to_vec(), "cannot replay `gzip`"),
        ("zstd", b"\x28\xb5\x2f\xfddamaged".to_vec(), "cannot replay `zstd`"),
        ("lz4", b"\x04\x22\x4d\x18damaged".to_vec(), "cannot replay `lz4`"),
    ] {
        folder.write(name, bytes);
        folder.refuses_capture(name, says);
    }
    folder.refuses_capture("missing", "cannot read `missing`");
    folder.refuses_capture("folder", "cannot read `folder`");
}

#[test]
fn captures_cut_at_every_byte() {
    let folder = Folder::new();
    let header = pcap(RAW, &[]).len();
    let frames = [(1, SYN), (2, SYN), (3, SYN)];
    let whole = pcap(RAW, &frames);
    let ends: Vec<usize> = (0..=3).map(|count| pcap(RAW, &frames[..count]).len()).collect();
    for cut in (1..header).step_by(5) {
        folder.write("cut", &whole[..cut]);
        folder.refuses_capture("cut", "cannot replay `cut`");
    }
    for cut in header..=whole.len() {
        folder.write("cut", &whole[..cut]);
        let frames = ends.iter().filter(|end| **end <= cut).count() - 1;
        let is_whole = ends.contains(&cut);
        let says = if is_whole { "" } else { "parefeu: `cut`: the capture ends early" };
        let summary = folder.summary("cut", if is_whole { 0 } else { 3 }, says);
        assert_eq!(summary["frames"], frames);
        assert_eq!(summary["captures"][0]["ended_early"].is_null(), is_whole);
    }
}

#[test]
fn captures_with_absurd_lengths() {
    let folder = Folder::new();
    let first = pcap(RAW, &[(1, SYN)]);
    for length in [SYN.len() as u32 + 1, 262_145, u32::MAX / 2, u32::MAX] {
        let mut bytes = first.clone();
        bytes.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(SYN);
        folder.write("frame", &bytes);
        let summary = folder.summary("frame", 3, "parefeu: `frame`: ");
        assert_eq!(summary["frames"], 1);
        assert!(summary["peak_memory"].as_u64() < Some(MOST_MEMORY));
    }
    let first = pcapng(RAW, &[SYN]);
    for length in [0, 1, 11, 13, 0x1000_0000, u32::MAX - 3, u32::MAX] {
        let mut bytes = first.clone();
        bytes.extend_from_slice(&6u32.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[0; 64]);
        folder.write("block", &bytes);
        let summary = folder.summary("block", 3, "parefeu: `block`: ");
        assert_eq!(summary["frames"], 1);
        assert!(summary["peak_memory"].as_u64() < Some(MOST_MEMORY));
    }
    // A frame whose own headers lie is a frame like any other.
    let mut lying = SYN.to_vec();
    lying[2..4].copy_from_slice(&[0xff, 0xff]);
    folder.write("packet", pcap(RAW, &[(1, SYN), (2, &lying)]));
    let summary = folder.summary("packet", 0, "");
    assert_eq!(summary["frames"], 2);
    assert_eq!(summary["undecodable"]["length-beyond-frame"], 1);
}

/// What replaying a few frames may take at most.
const MOST_MEMORY: u64 = 100 << 20;

#[test]
fn time_that_runs_backwards_is_held_and_counted() {
    let folder = Folder::new();
    folder.write("back", pcap(RAW, &[(50, SYN), (20, SYN), (60, SYN), (59, SYN)]));
    let summary = folder.summary("back", 0, "time runs backwards at 2 frames");
    assert_eq!((&summary["frames"], &summary["clock_held"]), (&4.into(), &2.into()));
    folder.check(
        &["diff", "good.toml", "good.toml", "-r", "back"],
        0,
        "runs backwards at 2 frames",
    );
    let quiet = folder.run(&["replay", "good.toml", "-r", "back", "-q"]);
    assert!(quiet.stderr.is_empty());
}
