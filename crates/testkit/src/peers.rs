//! What other people's programs said of the same traffic, and how far that agrees with ours.

use std::path::PathBuf;

/// A folder of the test data that lie beside the checkout, or `None` after saying that the test is
/// skipped.
#[expect(clippy::print_stderr, reason = "a skip is told")]
pub fn data(folder: &str) -> Option<PathBuf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let path = PathBuf::from(root).join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// How many of the rows compared agree.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// Rows that agree.
    pub agreed: usize,
    /// Rows compared.
    pub of: usize,
    differences: Vec<String>,
}

impl Agreement {
    /// Counts a row, and keeps what differs in one that does not agree.
    pub fn note(&mut self, agrees: bool, difference: impl FnOnce() -> String) {
        self.of += 1;
        if agrees {
            self.agreed += 1;
        } else {
            self.differences.push(difference());
        }
    }

    /// Counts the rows of another measure as well, whose differences `name` is put before.
    pub fn add(&mut self, other: &Self, name: &str) {
        self.agreed += other.agreed;
        self.of += other.of;
        self.differences.extend(other.differences.iter().map(|text| format!("{name}{text}")));
    }

    /// Prints the differences and the measure.
    ///
    /// # Panics
    /// Where fewer than `floor` in a thousand agree, or nothing was compared.
    #[track_caller]
    #[expect(clippy::print_stderr, reason = "tests report what they measured")]
    pub fn check(&self, what: &str, floor: usize) {
        for difference in &self.differences {
            eprintln!("  {what}: {difference}");
        }
        eprintln!("{what}: {} of {} agree", self.agreed, self.of);
        assert!(self.of > 0, "{what}: nothing was compared");
        assert!(self.agreed * 1000 >= self.of * floor, "{what}: {} of {}", self.agreed, self.of);
    }
}
