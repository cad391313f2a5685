//! Captures written: pcap and pcapng with nanoseconds.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use parefeu_net::{LinkType, Timestamp};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use super::interface::CaptureInterfaceId;

/// Writes frames to a pcap or pcapng file, little-endian, time in nanoseconds.
///
/// The same frames give the same bytes on every machine. Each frame costs several small writes:
/// wrap a file in a [`BufWriter`](io::BufWriter).
pub struct CaptureWriter<W: Write> {
    format: Format<W>,
    interfaces: u32,
}

impl<W: Write> CaptureWriter<W> {
    /// A pcap file, whose one interface is `CaptureInterfaceId(0)`.
    ///
    /// # Errors
    /// [`WriteCaptureError::Io`] when the header cannot be written.
    pub fn pcap(writer: W, link_type: LinkType) -> Result<Self, WriteCaptureError> {
        let header = PcapHeader {
            datalink: DataLink::from(u32::from(link_type.0)),
            endianness: Endianness::Little,
            snaplen: SNAP_LEN,
            ts_resolution: TsResolution::NanoSecond,
            ..PcapHeader::default()
        };
        let writer = PcapWriter::with_header(writer, header).map_err(|error| failure(&error))?;
        Ok(Self { format: Format::Pcap(writer), interfaces: 1 })
    }

    /// A pcapng file of one section without interfaces.
    ///
    /// # Errors
    /// [`WriteCaptureError::Io`] when the section header cannot be written.
    pub fn pcapng(writer: W) -> Result<Self, WriteCaptureError> {
        let writer = PcapNgWriter::with_endianness(writer, Endianness::Little)
            .map_err(|error| failure(&error))?;
        Ok(Self { format: Format::Pcapng(writer), interfaces: 0 })
    }

    /// Describes an interface for the frames that follow.
    ///
    /// # Errors
    /// [`WriteCaptureError::SingleInterface`] in a pcap file, [`WriteCaptureError::NameTooLong`],
    /// [`WriteCaptureError::Io`].
    pub fn add_interface(
        &mut self,
        name: &str,
        link_type: LinkType,
    ) -> Result<CaptureInterfaceId, WriteCaptureError> {
        let Format::Pcapng(writer) = &mut self.format else {
            return Err(WriteCaptureError::SingleInterface);
        };
        if u16::try_from(name.len()).is_err() {
            return Err(WriteCaptureError::NameTooLong { bytes: name.len() });
        }
        let block = InterfaceDescriptionBlock {
            linktype: DataLink::from(u32::from(link_type.0)),
            snaplen: SNAP_LEN,
            options: vec![
                InterfaceDescriptionOption::IfName(Cow::Borrowed(name)),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        };
        writer.write_pcapng_block(block).map_err(|error| failure(&error))?;
        let id = CaptureInterfaceId(self.interfaces);
        self.interfaces += 1;
        Ok(id)
    }

    /// Writes one frame, captured whole.
    ///
    /// # Errors
    /// [`WriteCaptureError`]; after [`WriteCaptureError::Io`] the file is not usable.
    pub fn write_frame(
        &mut self,
        interface: CaptureInterfaceId,
        time: Timestamp,
        data: &[u8],
    ) -> Result<(), WriteCaptureError> {
        if interface.0 >= self.interfaces {
            return Err(WriteCaptureError::UnknownInterface { interface });
        }
        let wire_len = match u32::try_from(data.len()) {
            Ok(len) if len <= SNAP_LEN => len,
            _ => return Err(WriteCaptureError::FrameTooLong { bytes: data.len() }),
        };
        let timestamp = Duration::from_nanos(time.as_nanos());
        match &mut self.format {
            Format::Pcap(writer) => {
                if u32::try_from(timestamp.as_secs()).is_err() {
                    return Err(WriteCaptureError::Time { time });
                }
                writer.write_packet(&PcapPacket::new(timestamp, wire_len, data))
            }
            Format::Pcapng(writer) => {
                let mut block = EnhancedPacketBlock::default();
                block.interface_id = interface.0;
                block.timestamp = timestamp;
                block.original_len = wire_len;
                block.data = Cow::Borrowed(data);
                writer.write_pcapng_block(block)
            }
        }
        .map_err(|error| failure(&error))?;
        Ok(())
    }

    /// The writer, with everything written to it and nothing flushed.
    pub fn into_inner(self) -> W {
        match self.format {
            Format::Pcap(writer) => writer.into_writer(),
            Format::Pcapng(writer) => writer.into_inner(),
        }
    }
}

/// Why a frame or an interface cannot be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteCaptureError {
    /// A pcap file describes exactly one interface.
    #[error("a pcap file has one interface; write pcapng")]
    SingleInterface,
    /// The name does not fit a pcapng option, 65,535 bytes.
    #[error("an interface name of {bytes} bytes is longer than 65535")]
    NameTooLong {
        /// The name's length.
        bytes: usize,
    },
    /// No interface has been added under this number.
    #[error("interface {} has not been added", interface.0)]
    UnknownInterface {
        /// The number.
        interface: CaptureInterfaceId,
    },
    /// The frame is longer than the snap length written in the file, 262,144 bytes.
    #[error("a frame of {bytes} bytes is longer than 262144")]
    FrameTooLong {
        /// The frame's length.
        bytes: usize,
    },
    /// The second does not fit the 32 bits of pcap, which end in 2106.
    #[error("{time} is beyond what pcap can record; write pcapng")]
    Time {
        /// The time.
        time: Timestamp,
    },
    /// The writer failed.
    #[error("{0}")]
    Io(io::ErrorKind),
}

enum Format<W: Write> {
    Pcap(PcapWriter<W>),
    Pcapng(PcapNgWriter<W>),
}

/// Fields are checked before they reach the crate, so only the writer is left to fail.
fn failure(error: &PcapError) -> WriteCaptureError {
    match error {
        PcapError::IoError(error) => WriteCaptureError::Io(error.kind()),
        _ => WriteCaptureError::Io(io::ErrorKind::InvalidInput),
    }
}

/// libpcap's `MAXIMUM_SNAPLEN`.
const SNAP_LEN: u32 = 262_144;
/// `if_tsresol` of a clock in nanoseconds.
const NANOSECONDS: u8 = 9;
