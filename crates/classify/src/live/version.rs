//! Which changes a lookup sees.
//!
//! Nothing that lookups read is overwritten. A change numbers what it adds and what it ends with
//! the version it makes, and publishes all of it by one store of that number. A lookup loads the
//! number once and goes by it: it sees what began at or before that version and has not ended by
//! then, whatever else the owner has meanwhile written.
//!
//! **Memory order.** The owner alone writes. It stores [`Newest`] with `Release` after everything
//! else of a change, and a lookup loads it with `Acquire`: all stores of the versions up to the one
//! it goes by happened before, and are seen. Stores of later versions may be seen as well, each by
//! itself and in any order. Those carry a later number (an [`End`] that reads as *never* or as a
//! later version means the same to this lookup), and are passed over.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many changes came before; later versions are greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Version(u32);

/// The version lookups go by.
#[derive(Debug)]
pub(super) struct Newest(AtomicU32);

/// The version that ended something. Set once.
#[derive(Debug)]
pub(super) struct End(AtomicU32);

/// Stands for no version.
const NEVER: u32 = u32::MAX;

impl Version {
    /// Before any change.
    pub(super) const FIRST: Self = Self(0);

    /// The last there can be.
    pub(super) const LAST: Self = Self(NEVER - 1);

    /// The next one; `None` where numbers end.
    pub(super) fn next(self) -> Option<Self> {
        (self < Self::LAST).then(|| Self(self.0 + 1))
    }

    pub(super) const fn of(number: u32) -> Self {
        Self(number)
    }

    pub(super) const fn number(self) -> u32 {
        self.0
    }
}

impl Newest {
    pub(super) const fn new(version: Version) -> Self {
        Self(AtomicU32::new(version.0))
    }

    /// What a lookup goes by from here on.
    pub(super) fn load(&self) -> Version {
        Version(self.0.load(Ordering::Acquire))
    }

    /// Shows a version, of which everything is written.
    pub(super) fn publish(&self, version: Version) {
        self.0.store(version.0, Ordering::Release);
    }
}

impl End {
    pub(super) const fn never() -> Self {
        Self(AtomicU32::new(NEVER))
    }

    pub(super) fn set(&self, version: Version) {
        self.0.store(version.0, Ordering::Relaxed);
    }

    /// Whether it came at or before a version.
    pub(super) fn is_by(&self, version: Version) -> bool {
        self.0.load(Ordering::Relaxed) <= version.0
    }

    /// Whether it came at all.
    pub(super) fn is_set(&self) -> bool {
        self.is_by(Version::LAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_holds_from_its_version_on() {
        let versions = [0, 1, 7, NEVER - 2, NEVER - 1].map(Version);
        for version in versions {
            let end = End::never();
            assert!(!end.is_set() && versions.iter().all(|other| !end.is_by(*other)));
            end.set(version);
            assert!(end.is_set());
            for other in versions {
                assert_eq!(end.is_by(other), version <= other);
            }
        }
    }

    #[test]
    fn versions_end_before_never() {
        assert_eq!(Version(NEVER - 2).next(), Some(Version::LAST));
        assert_eq!(Version::LAST.next(), None);
    }
}
