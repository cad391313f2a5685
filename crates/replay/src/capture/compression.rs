//! Compression recognised by content and undone while streaming.

use std::fmt;
use std::io::{self, Cursor, Read};

use super::error::OpenCaptureError;

/// A compression a capture may be wrapped in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Compression {
    /// gzip, any number of members (RFC 1952).
    Gzip,
    /// Zstandard, any number of frames (RFC 8878).
    Zstd,
    /// LZ4 frames.
    Lz4,
}

impl Compression {
    /// The compression whose magic number `head` begins with.
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }

    fn undo(self, source: Source) -> io::Result<Source> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(source)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(source)?),
            Self::Lz4 => Box::new(Lz4Frames::new(source)),
        })
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// Any byte stream.
pub(super) type Source = Box<dyn Read + Send>;

/// The plain bytes behind `source`, whatever wraps them, and the outermost compression found.
pub(super) fn unwrap_layers(
    mut source: Source,
) -> Result<(Source, Option<Compression>), OpenCaptureError> {
    let mut outermost = None;
    for layer in 0..=MAX_LAYERS {
        let mut head = [0; 4];
        let filled = fill(&mut source, &mut head).map_err(|error| opening(&error, outermost))?;
        let head = head.get(..filled).unwrap_or_default();
        if head.is_empty() {
            return Err(OpenCaptureError::Empty);
        }
        let found = Compression::of(head);
        source = Box::new(Cursor::new(head.to_vec()).chain(source));
        let Some(compression) = found else {
            return Ok((source, outermost));
        };
        if layer == MAX_LAYERS {
            break;
        }
        outermost = outermost.or(found);
        source = compression.undo(source).map_err(|error| opening(&error, outermost))?;
    }
    Err(OpenCaptureError::NestedCompression)
}

/// What an IO error means while the first bytes are read.
pub(super) fn opening(error: &io::Error, compression: Option<Compression>) -> OpenCaptureError {
    match (error.kind(), compression) {
        (io::ErrorKind::UnexpectedEof, _) => OpenCaptureError::Truncated,
        (kind, Some(compression)) if is_damage(kind) => OpenCaptureError::Decompress(compression),
        (kind, _) => OpenCaptureError::Io(kind),
    }
}

/// Whether a decompressor means "damaged data" by this kind; a failing disk has other kinds.
pub(super) fn is_damage(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other)
}

/// Reads until `room` is full or the source ends; returns the bytes read.
fn fill(source: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// LZ4 frames one after the other, with an end in mid-frame told apart from the end of the file.
///
/// The decoder answers "no more bytes" both after a frame's end mark and where the data stops short
/// of a block header; only the second reached the end of its source with a frame still open.
struct Lz4Frames {
    decoder: lz4_flex::frame::FrameDecoder<Tap>,
    between_frames: bool,
}

impl Lz4Frames {
    fn new(source: Source) -> Self {
        let tap = Tap { source, bytes: 0, ended: false };
        Self { decoder: lz4_flex::frame::FrameDecoder::new(tap), between_frames: true }
    }
}

impl Read for Lz4Frames {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        loop {
            let before = self.decoder.get_ref().bytes;
            let read = self.decoder.read(room)?;
            if read > 0 {
                self.between_frames = false;
                return Ok(read);
            }
            let tap = self.decoder.get_ref();
            let idle = tap.bytes == before;
            if tap.ended {
                let clean = self.between_frames && idle;
                return if clean { Ok(0) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
            if idle {
                return Ok(0);
            }
            // An end mark: the next call starts the next frame, if there is one.
            self.between_frames = true;
        }
    }
}

/// A source that counts what was taken from it and remembers that it ended.
struct Tap {
    source: Source,
    bytes: u64,
    ended: bool,
}

impl Read for Tap {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(room)?;
        self.bytes += read as u64;
        self.ended |= read == 0 && !room.is_empty();
        Ok(read)
    }
}

/// A capture compressed twice is a habit of archives (`.pcap.gz` in a `.zst`); a third layer is an
/// attack or an accident.
const MAX_LAYERS: usize = 2;
