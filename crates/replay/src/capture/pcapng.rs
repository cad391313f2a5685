//! The pcapng format (draft-ietf-opsawg-pcapng), every block that carries a frame.
//!
//! The block layer is `pcap_file`'s; the fields and options inside a block are read here, because
//! its typed blocks refuse names that are not UTF-8, options without an end mark and powers of two
//! as clock units, and read the obsolete packet block's time in the wrong word order.

use parefeu_net::{LinkType, Timestamp};
use pcap_file::pcapng::RawBlock;
use pcap_file::pcapng::blocks::{
    ENHANCED_PACKET_BLOCK, INTERFACE_DESCRIPTION_BLOCK, PACKET_BLOCK, SECTION_HEADER_BLOCK,
    SIMPLE_PACKET_BLOCK,
};
use pcap_file::{Endianness, PcapError};

use byteorder_slice::{BigEndian, LittleEndian};

use super::error::BlockFault;
use super::interface::{CaptureInterface, CaptureInterfaceId, TimeScale};
use super::limits::CaptureLimits;
use super::window::Window;
use super::{Fault, Record};

/// A pcapng file: its current section and the interfaces met so far.
pub(super) struct PcapngFile {
    endianness: Endianness,
    /// The first interface of the current section, as an index into all of them.
    section_base: usize,
    scales: Vec<TimeScale>,
    last_time: Timestamp,
    limits: CaptureLimits,
}

impl PcapngFile {
    /// A file before its first section header.
    pub(super) fn new(limits: CaptureLimits) -> Self {
        Self {
            endianness: Endianness::Little,
            section_base: 0,
            scales: Vec::new(),
            last_time: Timestamp::EPOCH,
            limits,
        }
    }

    /// Reads the first section header, which sets the byte order.
    pub(super) fn open(&mut self, window: &mut Window) -> Result<(), Fault> {
        if self.step(window, &mut Vec::new())?.is_none() {
            return Err(Fault::Truncated);
        }
        Ok(())
    }

    /// The next record; `None` at the end of the file. Interfaces met on the way are appended.
    pub(super) fn next(
        &mut self,
        window: &mut Window,
        interfaces: &mut Vec<CaptureInterface>,
    ) -> Result<Option<Record>, Fault> {
        loop {
            match self.step(window, interfaces)? {
                Some(Step::Frame(record)) => return Ok(Some(record)),
                Some(Step::Other) => {}
                None => return Ok(None),
            }
        }
    }

    /// Takes one block; `None` at the end of the file.
    fn step(
        &mut self,
        window: &mut Window,
        interfaces: &mut Vec<CaptureInterface>,
    ) -> Result<Option<Step>, Fault> {
        loop {
            let filled = window.filled();
            let block = match self.endianness {
                Endianness::Big => RawBlock::from_slice::<BigEndian>(filled),
                Endianness::Little => RawBlock::from_slice::<LittleEndian>(filled),
            };
            match block {
                Ok((rest, block)) => {
                    let taken = filled.len() - rest.len();
                    let step = self.read_block(&block, window.position() + 8, interfaces)?;
                    window.consume(taken);
                    return Ok(Some(step));
                }
                Err(PcapError::IncompleteBuffer) => match self.await_block(window)? {
                    Awaited::Whole => {}
                    Awaited::Skipped => return Ok(Some(Step::Other)),
                    Awaited::End => return Ok(None),
                },
                Err(_) => return Err(Fault::Block(frame_fault(filled))),
            }
        }
    }

    /// Brings the block at the start of the window into memory, or drops it unread when nothing in
    /// it matters here: such a block may have any length.
    fn await_block(&self, window: &mut Window) -> Result<Awaited, Fault> {
        if !window.fill_to(BLOCK_OVERHEAD)? {
            let at_end = window.filled().is_empty();
            return if at_end { Ok(Awaited::End) } else { Err(Fault::Truncated) };
        }
        let mut fields = Fields { bytes: window.filled(), endianness: self.endianness };
        let kind = fields.u32()?;
        if kind == SECTION_HEADER_BLOCK {
            let Some(magic) = fields.bytes.get(4..8).and_then(|bytes| bytes.first_chunk()) else {
                return Err(Fault::Block(BlockFault::Short));
            };
            fields.endianness = byte_order(*magic)?;
        }
        let len = fields.u32()?;
        if (len as usize) < BLOCK_OVERHEAD || len % 4 != 0 {
            return Err(Fault::Block(BlockFault::Frame));
        }
        if !is_read(kind) {
            let whole = window.skip(u64::from(len))?;
            return if whole { Ok(Awaited::Skipped) } else { Err(Fault::Truncated) };
        }
        if u64::from(len) > self.limits.block_bytes() {
            return Err(Fault::BlockTooLong(len));
        }
        if window.fill_to(len as usize)? { Ok(Awaited::Whole) } else { Err(Fault::Truncated) }
    }

    /// Reads a whole block whose body lies at position `at` of the window.
    fn read_block(
        &mut self,
        block: &RawBlock<'_>,
        at: usize,
        interfaces: &mut Vec<CaptureInterface>,
    ) -> Result<Step, Fault> {
        let fields = Fields { bytes: &block.body, endianness: self.endianness };
        match block.type_ {
            ENHANCED_PACKET_BLOCK => self.read_packet(fields, at, interfaces, false),
            SIMPLE_PACKET_BLOCK => self.read_simple_packet(fields, at, interfaces),
            PACKET_BLOCK => self.read_packet(fields, at, interfaces, true),
            INTERFACE_DESCRIPTION_BLOCK => self.read_interface(fields, interfaces),
            SECTION_HEADER_BLOCK => self.read_section(fields.bytes, interfaces.len()),
            _ => Ok(Step::Other),
        }
    }

    /// Section header, §4.1.
    fn read_section(&mut self, body: &[u8], known_interfaces: usize) -> Result<Step, Fault> {
        let magic = body.first_chunk().ok_or(Fault::Block(BlockFault::Short))?;
        self.endianness = byte_order(*magic)?;
        let mut fields =
            Fields { bytes: body.get(4..).unwrap_or_default(), endianness: self.endianness };
        let (major, _minor) = (fields.u16()?, fields.u16()?);
        let (_, _) = (fields.u32()?, fields.u32()?); // the section's length: not needed to stream
        if major != 1 {
            return Err(Fault::Block(BlockFault::Version));
        }
        self.section_base = known_interfaces;
        Ok(Step::Other)
    }

    /// Interface description, §4.2.
    fn read_interface(
        &mut self,
        mut fields: Fields<'_>,
        interfaces: &mut Vec<CaptureInterface>,
    ) -> Result<Step, Fault> {
        if interfaces.len() >= self.limits.max_interfaces as usize {
            return Err(Fault::TooManyInterfaces);
        }
        let (link_type, _reserved) = (LinkType(fields.u16()?), fields.u16()?);
        let snap_len = fields.u32()?;
        let (mut name, mut description) = (None, None);
        let (mut resolution, mut offset_secs) = (None, None);
        while let Some((code, value)) = fields.option()? {
            match code {
                2 => name = name.or_else(|| text(value)),
                3 => description = description.or_else(|| text(value)),
                9 => match value {
                    [unit] => resolution = resolution.or(Some(*unit)),
                    _ => return Err(Fault::Block(BlockFault::Options)),
                },
                14 => {
                    let bytes = value.try_into().map_err(|_| Fault::Block(BlockFault::Options))?;
                    let secs = match self.endianness {
                        Endianness::Big => i64::from_be_bytes(bytes),
                        Endianness::Little => i64::from_le_bytes(bytes),
                    };
                    offset_secs = offset_secs.or(Some(secs));
                }
                _ => {}
            }
        }
        let resolution = resolution.unwrap_or(TimeScale::MICROSECONDS);
        self.scales.push(TimeScale::new(resolution, offset_secs.unwrap_or(0)));
        interfaces.push(CaptureInterface { name, description, link_type, snap_len });
        Ok(Step::Other)
    }

    /// Enhanced packet, §4.3, or the obsolete packet block, appendix A, whose interface number is
    /// half as wide and followed by a drop count.
    fn read_packet(
        &mut self,
        mut fields: Fields<'_>,
        at: usize,
        interfaces: &[CaptureInterface],
        obsolete: bool,
    ) -> Result<Step, Fault> {
        let interface = if obsolete {
            let (interface, _drops) = (fields.u16()?, fields.u16()?);
            u32::from(interface)
        } else {
            fields.u32()?
        };
        let (high, low) = (fields.u32()?, fields.u32()?);
        let (captured, wire_len) = (fields.u32()?, fields.u32()?);
        if captured as usize > fields.bytes.len() {
            return Err(Fault::Block(BlockFault::CapturedLength));
        }
        let units = (u64::from(high) << 32) | u64::from(low);
        let (id, link_type, scale, _) = self.interface(interface, interfaces)?;
        let time = scale.moment(units);
        self.frame(Record {
            time,
            interface: id,
            link_type,
            wire_len: wire_len.max(captured),
            at: at + 20,
            len: captured as usize,
        })
    }

    /// Simple packet, §4.4: no time, the first interface, captured up to its snap length.
    fn read_simple_packet(
        &mut self,
        mut fields: Fields<'_>,
        at: usize,
        interfaces: &[CaptureInterface],
    ) -> Result<Step, Fault> {
        let wire_len = fields.u32()?;
        let (interface, link_type, _, snap_len) = self.interface(0, interfaces)?;
        let captured = if snap_len == 0 { wire_len } else { wire_len.min(snap_len) };
        if captured as usize > fields.bytes.len() {
            return Err(Fault::Block(BlockFault::CapturedLength));
        }
        let (time, len) = (self.last_time, captured as usize);
        self.frame(Record { time, interface, link_type, wire_len, at: at + 4, len })
    }

    fn frame(&mut self, record: Record) -> Result<Step, Fault> {
        if record.len > self.limits.max_frame_bytes as usize {
            return Err(Fault::FrameTooLong(record.len as u32));
        }
        self.last_time = record.time;
        Ok(Step::Frame(record))
    }

    /// What is known of the section's interface `number`.
    fn interface(
        &self,
        number: u32,
        interfaces: &[CaptureInterface],
    ) -> Result<(CaptureInterfaceId, LinkType, TimeScale, u32), Fault> {
        let index = self.section_base.saturating_add(number as usize);
        match (interfaces.get(index), self.scales.get(index)) {
            (Some(interface), Some(scale)) => Ok((
                CaptureInterfaceId(index as u32),
                interface.link_type,
                *scale,
                interface.snap_len,
            )),
            _ => Err(Fault::UnknownInterface(number)),
        }
    }
}

/// What one block brought.
enum Step {
    Frame(Record),
    Other,
}

/// What became of a block that was not in memory.
enum Awaited {
    Whole,
    Skipped,
    End,
}

/// The fields of a block's body, taken from the front.
struct Fields<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
}

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (field, rest) =
            self.bytes.split_first_chunk().ok_or(Fault::Block(BlockFault::Short))?;
        self.bytes = rest;
        Ok(*field)
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        let field = self.take()?;
        Ok(match self.endianness {
            Endianness::Big => u16::from_be_bytes(field),
            Endianness::Little => u16::from_le_bytes(field),
        })
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let field = self.take()?;
        Ok(match self.endianness {
            Endianness::Big => u32::from_be_bytes(field),
            Endianness::Little => u32::from_le_bytes(field),
        })
    }

    /// The next option, §3.5; a list may stop without its end mark.
    fn option(&mut self) -> Result<Option<(u16, &'a [u8])>, Fault> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (code, len) = (self.u16()?, usize::from(self.u16()?));
        if code == 0 {
            return Ok(None);
        }
        let (value, _) =
            self.bytes.split_at_checked(len).ok_or(Fault::Block(BlockFault::Options))?;
        self.bytes = self.bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Ok(Some((code, value)))
    }
}

/// Whether the content of a block of this kind is read.
const fn is_read(kind: u32) -> bool {
    matches!(
        kind,
        SECTION_HEADER_BLOCK
            | INTERFACE_DESCRIPTION_BLOCK
            | PACKET_BLOCK
            | SIMPLE_PACKET_BLOCK
            | ENHANCED_PACKET_BLOCK
    )
}

fn byte_order(magic: [u8; 4]) -> Result<Endianness, Fault> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Ok(Endianness::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Ok(Endianness::Little),
        _ => Err(Fault::Block(BlockFault::ByteOrder)),
    }
}

/// Why the block layer refused the block at the start of `filled`.
fn frame_fault(filled: &[u8]) -> BlockFault {
    let is_section = filled.first_chunk() == Some(&SECTION_HEADER_BLOCK.to_be_bytes());
    let magic = filled.get(8..12).and_then(|bytes| bytes.first_chunk());
    match magic {
        Some(magic) if is_section && byte_order(*magic).is_err() => BlockFault::ByteOrder,
        _ => BlockFault::Frame,
    }
}

/// Option text: what is not UTF-8 is replaced, trailing NULs are dropped, nothing left is no text.
fn text(value: &[u8]) -> Option<Box<str>> {
    let text = String::from_utf8_lossy(value);
    let text = text.trim_end_matches('\0');
    (!text.is_empty()).then(|| text.into())
}

/// A block's type and its two lengths.
const BLOCK_OVERHEAD: usize = 12;
