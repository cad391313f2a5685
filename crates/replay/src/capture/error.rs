//! Why a capture cannot be opened, or not be read further.

use std::fmt;
use std::io;

use super::compression::Compression;

/// Why a file is no capture that can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenCaptureError {
    /// There is not a single byte.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are those of neither pcap nor pcapng.
    #[error("not a pcap or pcapng capture")]
    NotACapture,
    /// The file begins as a capture and ends within its first header.
    #[error("the file ends within its first header")]
    Truncated,
    /// The file has the record header of a modified libpcap (`0xa1b2cd34`), which is not read.
    #[error("a capture of a modified libpcap (magic 0xa1b2cd34); convert it with `editcap`")]
    ModifiedPcap,
    /// The format's version is one whose records are laid out differently.
    #[error("version {major}.{minor} of the capture format is not supported")]
    Version {
        /// The version's first number.
        major: u16,
        /// The version's second number.
        minor: u16,
    },
    /// More compression layers than two.
    #[error("compressed more than twice")]
    NestedCompression,
    /// The first pcapng block is damaged.
    #[error("the first block is damaged: {0}")]
    Malformed(BlockFault),
    /// The compressed data is damaged.
    #[error("damaged {0} data")]
    Decompress(Compression),
    /// The reader failed.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// Why a capture ends before its last frame. Nothing is read after one of these.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadCaptureError {
    /// The file ends in the middle of a record, or its compressed data does.
    #[error("the capture ends early, before frame {frame} is whole")]
    Truncated {
        /// The frame that would have come next, from 1.
        frame: u64,
    },
    /// A frame is longer than [`CaptureLimits::max_frame_bytes`](crate::CaptureLimits).
    #[error("frame {frame} says it has {bytes} bytes, more than the limit of {limit}")]
    FrameTooLong {
        /// The frame, from 1.
        frame: u64,
        /// The captured length it states.
        bytes: u32,
        /// The limit.
        limit: u32,
    },
    /// A pcapng block that has to be understood is longer than a frame and its options can be.
    #[error("a block of {bytes} bytes before frame {frame}, more than the limit of {limit}")]
    BlockTooLong {
        /// The frame that would have come next, from 1.
        frame: u64,
        /// The block's stated length.
        bytes: u32,
        /// The limit.
        limit: u64,
    },
    /// A pcapng block contradicts itself.
    #[error("a damaged block before or at frame {frame}: {fault}")]
    MalformedBlock {
        /// The frame that would have come next, from 1.
        frame: u64,
        /// What is wrong with the block.
        fault: BlockFault,
    },
    /// A frame belongs to an interface that its section does not describe.
    #[error("frame {frame} names interface {interface}, which its section does not describe")]
    UnknownInterface {
        /// The frame, from 1.
        frame: u64,
        /// The number the frame states, from 0 within its section.
        interface: u32,
    },
    /// More interfaces than [`CaptureLimits::max_interfaces`](crate::CaptureLimits).
    #[error("more than {limit} interfaces before frame {frame}")]
    TooManyInterfaces {
        /// The frame that would have come next, from 1.
        frame: u64,
        /// The limit.
        limit: u32,
    },
    /// The compressed data is damaged.
    #[error("damaged {compression} data before frame {frame}")]
    Decompress {
        /// The frame that would have come next, from 1.
        frame: u64,
        /// The outermost compression.
        compression: Compression,
    },
    /// The reader failed.
    #[error("before frame {frame}: {kind}")]
    Io {
        /// The frame that would have come next, from 1.
        frame: u64,
        /// What the reader said.
        kind: io::ErrorKind,
    },
}

impl ReadCaptureError {
    /// Whether the file merely ends early: what was delivered before stands.
    pub const fn is_truncated(&self) -> bool {
        matches!(self, Self::Truncated { .. })
    }
}

/// What is wrong with a pcapng block (draft-ietf-opsawg-pcapng §3.1, §4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BlockFault {
    /// The block's length is below 12, no multiple of four, or differs from its trailing copy.
    Frame,
    /// The section header's byte-order magic is neither order.
    ByteOrder,
    /// The section's major version is not 1.
    Version,
    /// The block is too short for its fixed fields.
    Short,
    /// The captured length exceeds the block.
    CapturedLength,
    /// An option runs past its block, or one that sets the clock has the wrong length.
    Options,
}

impl fmt::Display for BlockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frame => "its length fields contradict each other",
            Self::ByteOrder => "its byte-order magic is unknown",
            Self::Version => "its section is not of major version 1",
            Self::Short => "it is too short for its fixed fields",
            Self::CapturedLength => "its captured length exceeds the block",
            Self::Options => "its options are unreadable",
        })
    }
}
