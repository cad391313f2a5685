//! Port ranges.

use std::fmt;

/// A non-empty, inclusive range of TCP, UDP or SCTP ports.
///
/// Invariant: `first <= last`. Code holding a `PortRange` never re-checks it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port, 0 included.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The range `first..=last`.
    ///
    /// # Errors
    /// [`InvertedPortRange`] when `first > last`.
    pub const fn new(first: u16, last: u16) -> Result<Self, InvertedPortRange> {
        if first > last {
            return Err(InvertedPortRange { first, last });
        }
        Ok(Self { first, last })
    }

    /// The range that holds one port.
    pub const fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// The lowest port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` lies in the range.
    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

/// A port range whose first port is above its last.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("port range {first}-{last} is inverted")]
pub struct InvertedPortRange {
    /// The port written first.
    pub first: u16,
    /// The port written last.
    pub last: u16,
}
