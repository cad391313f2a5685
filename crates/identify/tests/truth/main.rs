//! What the crate says of real captures, against what other people's engines said of them.
//!
//! The captures and the tables lie outside the repository; each test skips aloud without them.
#![expect(clippy::print_stderr, reason = "tests report what they measured")]

mod capture;
mod ndpi;
mod zeek;

use std::path::PathBuf;

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
