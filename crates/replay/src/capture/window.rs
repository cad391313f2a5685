//! A sliding window over a byte stream: records are parsed where they lie.

use std::io::{self, Read};

use super::compression::Source;

/// The bytes of a stream that are in memory, of which the first are those not yet consumed.
///
/// Consumed bytes stay readable through [`Window::slice`] until the next call that reads.
pub(super) struct Window {
    source: Source,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Window {
    /// A window over `source`, empty until [`Window::fill_to`].
    pub(super) fn new(source: Source) -> Self {
        Self { source, bytes: vec![0; INITIAL_BYTES], start: 0, end: 0 }
    }

    /// The bytes read and not consumed.
    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to correct a header in place.
    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Where [`Window::filled`] begins, for [`Window::slice`].
    pub(super) const fn position(&self) -> usize {
        self.start
    }

    /// `len` bytes from position `at`, consumed or not.
    pub(super) fn slice(&self, at: usize, len: usize) -> &[u8] {
        self.bytes.get(at..at.saturating_add(len)).unwrap_or_default()
    }

    /// Drops the first `len` bytes of what is filled.
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    /// Reads until `wanted` bytes are filled; false when the stream ends before.
    ///
    /// The window grows as bytes arrive, to `wanted` at most: the caller bounds it.
    pub(super) fn fill_to(&mut self, wanted: usize) -> io::Result<bool> {
        while self.end - self.start < wanted {
            if self.bytes.len() - self.start < wanted && self.start > 0 {
                self.bytes.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.bytes.len() {
                self.bytes.resize(wanted.min(self.bytes.len().saturating_mul(2)), 0);
            }
            let room = self.bytes.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end = self.end.saturating_add(read).min(self.bytes.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Drops the next `len` bytes, read or not; false when the stream ends before.
    pub(super) fn skip(&mut self, mut len: u64) -> io::Result<bool> {
        while len > 0 {
            if self.filled().is_empty() && !self.fill_to(1)? {
                return Ok(false);
            }
            let dropped = len.min(self.filled().len() as u64);
            self.consume(dropped as usize);
            len -= dropped;
        }
        Ok(true)
    }
}

/// Large enough that compaction and system calls vanish beside parsing, small enough that many
/// captures can be merged.
const INITIAL_BYTES: usize = 256 * 1024;
