//! What a capture may cost.

/// The bounds a capture is read within; each one reached is a named [`ReadCaptureError`].
///
/// Memory for one open capture is about `max_frame_bytes` plus the decompressor's window, whatever
/// the capture's length.
///
/// [`ReadCaptureError`]: crate::ReadCaptureError
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaptureLimits {
    /// The longest frame, in captured bytes. libpcap's `MAXIMUM_SNAPLEN` is the default: a length
    /// above it is a damaged file, and must not become an allocation.
    pub max_frame_bytes: u32,
    /// The most interfaces a pcapng file may describe, over all its sections: each costs memory
    /// until the file is closed.
    pub max_interfaces: u32,
}

impl CaptureLimits {
    /// The longest block kept in memory: a frame, its fixed fields and as many option bytes as one
    /// 16-bit option length can announce.
    pub(super) const fn block_bytes(self) -> u64 {
        self.max_frame_bytes as u64 + 65_536 + 64
    }
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self { max_frame_bytes: 262_144, max_interfaces: 4096 }
    }
}
