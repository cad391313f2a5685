//! What stands behind a condition, in a word: the same on every machine and in every release.

use sha2::{Digest as _, Sha256};

/// The first 64 bits of the SHA-256 digest of texts, in order.
#[derive(Clone, Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Of one text.
    pub(crate) fn of(text: &str) -> Self {
        let mut digest = Self::default();
        digest.add(text);
        digest
    }

    /// Adds a text; where one ends and the next begins counts.
    pub(crate) fn add(&mut self, text: &str) {
        self.0.update(text);
        self.0.update([0]);
    }

    pub(crate) fn number(self) -> u64 {
        let digest = self.0.finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    /// As 16 hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        format!("{:016x}", self.number())
    }
}
