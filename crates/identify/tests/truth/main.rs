//! What the crate says of real captures, against what other people's engines said of them.
//!
//! The captures and the tables lie outside the repository; each test skips aloud without them.
#![expect(clippy::print_stderr, reason = "tests report what they measured")]

mod capture;
mod ndpi;
mod zeek;

use std::path::{Path, PathBuf};

use parefeu_identify::Status;
use parefeu_testkit::peers::data;

/// Captures under a folder, in order of their paths.
fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            captures(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "pcap" || kind == "pcapng") {
            found.push(path);
        }
    }
}

#[test]
fn every_capture_is_tolerated() {
    let mut sessions = 0;
    for folder in ["arkime", "geneva", "ja4", "retina", "suricata-verify", "tcpdump-tests"] {
        let Some(folder) = data(folder) else { continue };
        let mut paths = Vec::new();
        captures(&folder, &mut paths);
        for path in paths {
            for session in &capture::read(&path).all {
                let facts = session.flow.facts();
                assert_eq!(facts.status == Status::Identified, session.is_named(), "{path:?}");
                sessions += 1;
            }
        }
    }
    eprintln!("{sessions} sessions read");
}
