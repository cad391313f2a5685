//! Captures: frames out of pcap and pcapng, streaming, in memory independent of their length.

mod compression;
mod error;
mod interface;
mod limits;
mod merge;
mod pcap;
mod pcapng;
mod window;
mod writer;

use std::io::{self, Read};

use parefeu_net::{LinkType, Timestamp};

pub use self::compression::Compression;
pub use self::error::{BlockFault, OpenCaptureError, ReadCaptureError};
pub use self::interface::{CaptureInterface, CaptureInterfaceId};
pub use self::limits::CaptureLimits;
pub use self::merge::{CaptureFileId, MergedCaptures, MergedFrame, ReadMergedError};
pub use self::writer::{CaptureWriter, WriteCaptureError};

use self::compression::{is_damage, opening, unwrap_layers};
use self::pcap::PcapFile;
use self::pcapng::PcapngFile;
use self::window::Window;

/// One capture, read from its first frame to its last.
///
/// The format (pcap with micro- or nanoseconds, pcapng) and up to two layers of compression (gzip,
/// zstd, lz4) are recognised by content, in either byte order. Only [`Read`] is asked of the
/// source, so standard input works. No frame is copied or allocated.
pub struct Capture {
    name: Box<str>,
    window: Window,
    format: Format,
    compression: Option<Compression>,
    interfaces: Vec<CaptureInterface>,
    limits: CaptureLimits,
    frames: u64,
    finished: bool,
}

impl Capture {
    /// Opens a capture and reads its first header; `name` is what messages call it.
    ///
    /// # Errors
    /// [`OpenCaptureError`] when the bytes are no capture that can be read.
    pub fn open(
        source: impl Read + Send + 'static,
        name: &str,
        limits: CaptureLimits,
    ) -> Result<Self, OpenCaptureError> {
        let (source, compression) = unwrap_layers(Box::new(source))?;
        let mut window = Window::new(source);
        let whole = window.fill_to(4).map_err(|error| opening(&error, compression))?;
        let magic = window.filled().first_chunk().copied().filter(|_| whole);
        let mut interfaces = Vec::new();
        let format = match magic.map(u32::from_be_bytes) {
            Some(0xa1b2_c3d4 | 0xd4c3_b2a1 | 0xa1b2_3c4d | 0x4d3c_b2a1) => {
                let (file, interface) = PcapFile::open(&mut window, compression, limits)?;
                interfaces.push(interface);
                Format::Pcap(file)
            }
            Some(0x0a0d_0d0a) => {
                let mut file = PcapngFile::new(limits);
                file.open(&mut window).map_err(|fault| fault.opening(compression))?;
                Format::Pcapng(file)
            }
            Some(0xa1b2_cd34 | 0x34cd_b2a1) => return Err(OpenCaptureError::ModifiedPcap),
            _ => return Err(OpenCaptureError::NotACapture),
        };
        let name = name.into();
        let (frames, finished) = (0, false);
        Ok(Self { name, window, format, compression, interfaces, limits, frames, finished })
    }

    /// The next frame in file order; `None` after the last one and after an error.
    ///
    /// # Errors
    /// [`ReadCaptureError`], once: every frame before it has been delivered, and nothing after it
    /// can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ReadCaptureError> {
        Ok(self.advance()?.map(|record| self.frame(record)))
    }

    /// What messages call this capture.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interfaces described so far, indexed by [`CaptureInterfaceId`]. A pcapng file may
    /// describe more between its frames.
    pub fn interfaces(&self) -> &[CaptureInterface] {
        &self.interfaces
    }

    /// The outermost compression of the file.
    pub fn compression(&self) -> Option<Compression> {
        self.compression
    }

    /// Frames delivered so far.
    pub fn frame_count(&self) -> u64 {
        self.frames
    }

    /// Moves to the next record, whose bytes stay in the window until the next call.
    fn advance(&mut self) -> Result<Option<Record>, ReadCaptureError> {
        if self.finished {
            return Ok(None);
        }
        let step = match &mut self.format {
            Format::Pcap(file) => file.next(&mut self.window),
            Format::Pcapng(file) => file.next(&mut self.window, &mut self.interfaces),
        };
        match step {
            Ok(Some(record)) => {
                self.frames += 1;
                Ok(Some(record))
            }
            Ok(None) => {
                self.finished = true;
                Ok(None)
            }
            Err(fault) => {
                self.finished = true;
                Err(fault.reading(self.frames + 1, self.compression, self.limits))
            }
        }
    }

    /// The frame of the record that [`Capture::advance`] returned last.
    fn frame(&self, record: Record) -> Frame<'_> {
        Frame {
            number: self.frames,
            time: record.time,
            interface: record.interface,
            link_type: record.link_type,
            wire_len: record.wire_len,
            data: self.window.slice(record.at, record.len),
        }
    }
}

/// One captured frame, borrowed from its capture until the next is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Its number within its file, from 1.
    pub number: u64,
    /// When it was captured, as recorded. A pcapng simple packet records no time and takes that of
    /// the frame before it, the epoch if it is the first.
    pub time: Timestamp,
    /// Where it was captured.
    pub interface: CaptureInterfaceId,
    /// What its first byte is.
    pub link_type: LinkType,
    /// Its length on the wire in bytes, never less than `data`'s.
    pub wire_len: u32,
    /// The captured bytes: fewer than `wire_len` where a snap length cut the frame.
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// Whether a snap length cut bytes off the end.
    pub fn is_cut(&self) -> bool {
        self.data.len() < self.wire_len as usize
    }
}

enum Format {
    Pcap(PcapFile),
    Pcapng(PcapngFile),
}

/// A frame by its position in the window.
#[derive(Clone, Copy)]
struct Record {
    time: Timestamp,
    interface: CaptureInterfaceId,
    link_type: LinkType,
    wire_len: u32,
    at: usize,
    len: usize,
}

/// Why a format cannot go on, before it is known at which frame.
enum Fault {
    Truncated,
    FrameTooLong(u32),
    BlockTooLong(u32),
    Block(BlockFault),
    UnknownInterface(u32),
    TooManyInterfaces,
    Io(io::Error),
}

impl Fault {
    fn opening(self, compression: Option<Compression>) -> OpenCaptureError {
        match self {
            Self::Io(error) => opening(&error, compression),
            Self::Block(fault) => OpenCaptureError::Malformed(fault),
            Self::BlockTooLong(_) => OpenCaptureError::Malformed(BlockFault::Frame),
            Self::Truncated => OpenCaptureError::Truncated,
            Self::FrameTooLong(_) | Self::UnknownInterface(_) | Self::TooManyInterfaces => {
                unreachable!("the first block is a section header")
            }
        }
    }

    fn reading(
        self,
        frame: u64,
        compression: Option<Compression>,
        limits: CaptureLimits,
    ) -> ReadCaptureError {
        match self {
            Self::Truncated => ReadCaptureError::Truncated { frame },
            Self::FrameTooLong(bytes) => {
                ReadCaptureError::FrameTooLong { frame, bytes, limit: limits.max_frame_bytes }
            }
            Self::BlockTooLong(bytes) => {
                ReadCaptureError::BlockTooLong { frame, bytes, limit: limits.block_bytes() }
            }
            Self::Block(fault) => ReadCaptureError::MalformedBlock { frame, fault },
            Self::UnknownInterface(interface) => {
                ReadCaptureError::UnknownInterface { frame, interface }
            }
            Self::TooManyInterfaces => {
                ReadCaptureError::TooManyInterfaces { frame, limit: limits.max_interfaces }
            }
            Self::Io(error) => match (error.kind(), compression) {
                (io::ErrorKind::UnexpectedEof, _) => ReadCaptureError::Truncated { frame },
                (kind, Some(compression)) if is_damage(kind) => {
                    ReadCaptureError::Decompress { frame, compression }
                }
                (kind, _) => ReadCaptureError::Io { frame, kind },
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests;
