//! How much work and memory one flow may cost.

/// Bounds on what identification keeps and reads for one flow.
///
/// Reaching one is never silent: the flow ends with the matching [`crate::LimitReached`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Payload packets, both directions together, before an undecided flow is called unknown
    /// while one side is still silent.
    pub undecided_packets: u32,
    /// Payload bytes, both directions together, with the same effect.
    pub undecided_bytes: u64,
    /// Bytes held per direction: contiguous bytes no parser could use yet, plus segments that
    /// arrived ahead of a hole.
    pub held_bytes: usize,
    /// Segments held per direction ahead of a hole.
    pub held_segments: usize,
    /// Bytes of one TLS handshake message, or of the QUIC CRYPTO stream.
    pub handshake_bytes: usize,
    /// Bytes of a URL; a longer one is cut, which keeps its host and the start of its path.
    pub url_bytes: usize,
    /// Bytes of one certificate name; a longer one is cut.
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            undecided_packets: 12,
            undecided_bytes: 16 * 1024,
            held_bytes: 16 * 1024,
            held_segments: 64,
            handshake_bytes: 32 * 1024,
            url_bytes: 4096,
            name_bytes: 1024,
        }
    }
}
