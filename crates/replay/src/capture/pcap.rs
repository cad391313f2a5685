//! The classic pcap format (draft-ietf-opsawg-pcap), both byte orders, both clock units.

use parefeu_net::{LinkType, Timestamp};
use pcap_file::pcap::PcapParser;
use pcap_file::{Endianness, PcapError, TsResolution};

use super::compression::{Compression, opening};
use super::error::OpenCaptureError;
use super::interface::{CaptureInterface, CaptureInterfaceId};
use super::limits::CaptureLimits;
use super::window::Window;
use super::{Fault, Record};

/// A pcap file past its header.
pub(super) struct PcapFile {
    parser: PcapParser,
    endianness: Endianness,
    lengths: LengthOrder,
    nanos_per_unit: u64,
    link_type: LinkType,
    max_frame_bytes: u32,
}

impl PcapFile {
    /// Reads the file header.
    pub(super) fn open(
        window: &mut Window,
        compression: Option<Compression>,
        limits: CaptureLimits,
    ) -> Result<(Self, CaptureInterface), OpenCaptureError> {
        let whole = window.fill_to(HEADER_BYTES).map_err(|error| opening(&error, compression))?;
        if !whole {
            return Err(OpenCaptureError::Truncated);
        }
        let (_, parser) = PcapParser::new(window.filled()).map_err(|error| match error {
            PcapError::IncompleteBuffer => OpenCaptureError::Truncated,
            _ => OpenCaptureError::NotACapture,
        })?;
        window.consume(HEADER_BYTES);
        let header = parser.header();
        let lengths = match (header.version_major, header.version_minor) {
            (2, 4) => LengthOrder::CapturedThenWire,
            (2, 3) => LengthOrder::EitherWay,
            (2, 0..3) => LengthOrder::WireThenCaptured,
            (major, minor) => return Err(OpenCaptureError::Version { major, minor }),
        };
        // The upper half of the field holds the frame check sequence's length, not a type.
        let link_type = LinkType((u32::from(header.datalink) & 0xffff) as u16);
        let file = Self {
            parser,
            endianness: header.endianness,
            lengths,
            nanos_per_unit: match header.ts_resolution {
                TsResolution::MicroSecond => 1000,
                TsResolution::NanoSecond => 1,
            },
            link_type,
            max_frame_bytes: limits.max_frame_bytes,
        };
        let snap_len = header.snaplen;
        Ok((file, CaptureInterface { name: None, description: None, link_type, snap_len }))
    }

    /// The next record; `None` at the end of the file.
    ///
    /// The raw records of the parser are used: its checked ones refuse captures whose frames are
    /// longer than the snap length or their wire length, which common tools write.
    pub(super) fn next(&self, window: &mut Window) -> Result<Option<Record>, Fault> {
        if self.lengths != LengthOrder::CapturedThenWire && window.fill_to(RECORD_BYTES)? {
            self.order_lengths(window.filled_mut());
        }
        loop {
            let filled = window.filled();
            let wanted = match self.parser.next_raw_packet(filled) {
                Ok((rest, packet)) => {
                    let captured = packet.incl_len;
                    if captured > self.max_frame_bytes {
                        return Err(Fault::FrameTooLong(captured));
                    }
                    let nanos = u64::from(packet.ts_sec) * 1_000_000_000
                        + u64::from(packet.ts_frac) * self.nanos_per_unit;
                    let record = Record {
                        time: Timestamp::from_nanos(nanos),
                        interface: CaptureInterfaceId(0),
                        link_type: self.link_type,
                        wire_len: packet.orig_len.max(captured),
                        at: window.position() + RECORD_BYTES,
                        len: captured as usize,
                    };
                    let taken = filled.len() - rest.len();
                    window.consume(taken);
                    return Ok(Some(record));
                }
                Err(PcapError::IncompleteBuffer) => self.wanted(filled)?,
                Err(_) => unreachable!("a raw record has no field that can be wrong"),
            };
            if !window.fill_to(wanted)? {
                let at_end = window.filled().is_empty();
                return if at_end { Ok(None) } else { Err(Fault::Truncated) };
            }
        }
    }

    /// Puts the captured length of an old record first, once per record.
    fn order_lengths(&self, record: &mut [u8]) {
        let Some((captured, wire)) = record.get_mut(8..16).map(|lengths| lengths.split_at_mut(4))
        else {
            return;
        };
        let swapped = match (self.lengths, self.endianness) {
            (LengthOrder::CapturedThenWire, _) => false,
            (LengthOrder::WireThenCaptured, _) => true,
            (LengthOrder::EitherWay, Endianness::Big) => captured > wire,
            (LengthOrder::EitherWay, Endianness::Little) => {
                captured.iter().rev().gt(wire.iter().rev())
            }
        };
        if swapped {
            captured.swap_with_slice(wire);
        }
    }

    /// How many bytes the record at the start of `filled` needs, as far as they can be told.
    fn wanted(&self, filled: &[u8]) -> Result<usize, Fault> {
        let Some(&[a, b, c, d]) = filled.get(8..12).and_then(|field| field.first_chunk()) else {
            return Ok(RECORD_BYTES);
        };
        let captured = match self.endianness {
            Endianness::Big => u32::from_be_bytes([a, b, c, d]),
            Endianness::Little => u32::from_le_bytes([a, b, c, d]),
        };
        if captured > self.max_frame_bytes {
            return Err(Fault::FrameTooLong(captured));
        }
        Ok(RECORD_BYTES + captured as usize)
    }
}

/// How a record's two lengths are ordered. Version 2.3 put the captured length first; programs of
/// that time wrote both orders, and a frame is never captured longer than it was.
#[derive(Clone, Copy, Eq, PartialEq)]
enum LengthOrder {
    /// Version 2.4.
    CapturedThenWire,
    /// Version 2.3, whichever way round.
    EitherWay,
    /// Versions 2.0 to 2.2.
    WireThenCaptured,
}

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 16;
