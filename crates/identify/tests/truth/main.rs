//! What the crate says of real captures, against what other people's engines said of them.
//!
//! The captures and the tables lie outside the repository; each test skips aloud without them.
#![expect(clippy::print_stderr, reason = "tests report what they measured")]

mod capture;
mod ndpi;
mod zeek;

use std::path::{Path, PathBuf};

use parefeu_identify::Status;

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

/// How many of the rows compared agree.
#[derive(Default)]
struct Agreement {
    agreed: usize,
    of: usize,
    differences: Vec<String>,
}

impl Agreement {
    fn note(&mut self, agrees: bool, difference: impl FnOnce() -> String) {
        self.of += 1;
        if agrees {
            self.agreed += 1;
        } else {
            self.differences.push(difference());
        }
    }

    /// Prints the measure and the differences, and fails below `floor` per mille.
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
