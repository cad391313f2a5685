//! Bytes of a layer, of which the capture may hold only the beginning.

/// The captured bytes of a layer, and how long the layer was on the wire.
///
/// Invariant: `bytes.len() <= wire_len`. The difference tells a header that the sender left out
/// from one that the capture lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    bytes: &'a [u8],
    wire_len: usize,
}

impl<'a> View<'a> {
    /// A layer of `wire_len` bytes; captured bytes beyond a shorter `wire_len` count as sent.
    pub(crate) const fn new(bytes: &'a [u8], wire_len: usize) -> Self {
        let wire_len = if wire_len < bytes.len() { bytes.len() } else { wire_len };
        Self { bytes, wire_len }
    }

    /// The bytes captured.
    pub(crate) const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The length on the wire.
    pub(crate) const fn wire_len(self) -> usize {
        self.wire_len
    }

    /// The first `N` bytes, when captured.
    pub(crate) fn header<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.bytes.first_chunk()
    }

    /// The layer after its first `len` bytes.
    pub(crate) fn skip(self, len: usize) -> Self {
        let bytes = self.bytes.get(len..).unwrap_or_default();
        Self { bytes, wire_len: self.wire_len.saturating_sub(len) }
    }

    /// The layer when a header declares it to be `len` bytes long: padding goes, and what is
    /// declared but absent counts as lost.
    pub(crate) fn declare(self, len: usize) -> Self {
        let bytes = self.bytes.get(..len).unwrap_or(self.bytes);
        Self { bytes, wire_len: len }
    }

    /// The layer cut to its first `len` bytes; unchanged when it is no longer than that.
    pub(crate) fn up_to(self, len: usize) -> Self {
        if len < self.wire_len { self.declare(len) } else { self }
    }
}
