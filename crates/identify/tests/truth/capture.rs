//! Captures to flows: the least a caller of the crate must do.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use parefeu_identify::{Application, Changes, FlowState, Identifier, Progress};
use parefeu_net::{
    Decapsulate, DecodeLimits, Direction, FiveTuple, FragmentLimits, LinkType, Packet, Reassembler,
    Reassembly, TcpFlags, Timestamp, Transport, decode,
};
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

/// One session of a capture and what was said of it.
pub(crate) struct Session {
    pub(crate) tuple: FiveTuple,
    pub(crate) flow: FlowState,
    /// Every host name it had, in order.
    pub(crate) hostnames: Vec<String>,
    /// Sequence number of each direction's first byte, and of the byte after the last one seen.
    base: [Option<(u32, u64)>; 2],
    initial: Option<u32>,
}

/// The sessions of a capture, in the order of their first packets.
pub(crate) struct Sessions {
    identifier: Identifier,
    reassembler: Reassembler,
    by_tuple: HashMap<FiveTuple, usize>,
    pub(crate) all: Vec<Session>,
}

/// Reads a whole capture, as far as it can be read.
#[expect(clippy::unwrap_used, reason = "a capture that cannot be opened fails the test")]
pub(crate) fn read(path: &Path) -> Sessions {
    let mut sessions = Sessions {
        identifier: Identifier::default(),
        reassembler: Reassembler::new(FragmentLimits::default()),
        by_tuple: HashMap::new(),
        all: Vec::new(),
    };
    if let Ok(mut reader) = PcapReader::new(File::open(path).unwrap()) {
        let link = LinkType(u32::from(reader.header().datalink) as u16);
        while let Some(Ok(packet)) = reader.next_packet() {
            sessions.frame(link, &packet.data, packet.orig_len as usize);
        }
        return sessions;
    }
    let Ok(mut reader) = PcapNgReader::new(File::open(path).unwrap()) else { return sessions };
    let mut links = Vec::new();
    while let Some(Ok(block)) = reader.next_block() {
        match block {
            Block::InterfaceDescription(interface) => {
                links.push(LinkType(u32::from(interface.linktype) as u16));
            }
            Block::EnhancedPacket(packet) => {
                if let Some(link) = links.get(packet.interface_id as usize) {
                    sessions.frame(*link, &packet.data, packet.original_len as usize);
                }
            }
            Block::SimplePacket(packet) => {
                if let Some(link) = links.first() {
                    sessions.frame(*link, &packet.data, packet.original_len as usize);
                }
            }
            _ => {}
        }
    }
    sessions
}

impl Sessions {
    fn frame(&mut self, link: LinkType, frame: &[u8], wire_len: usize) {
        let limits = DecodeLimits { decapsulate: Decapsulate::ALL, ..DecodeLimits::default() };
        let packet = decode(link, frame, wire_len, &limits);
        let mut reassembler =
            std::mem::replace(&mut self.reassembler, Reassembler::new(FragmentLimits::default()));
        match reassembler.handle_fragment(Timestamp::default(), &packet) {
            Reassembly::Complete(datagram) => self.packet(&datagram.decode(&limits)),
            _ => self.packet(&packet),
        }
        self.reassembler = reassembler;
    }

    fn packet(&mut self, packet: &Packet<'_>) {
        let Some(tuple) = packet.five_tuple() else { return };
        let syn = match &packet.transport {
            Transport::Tcp(tcp) => {
                let opens = tcp.flags.0 & (TcpFlags::SYN.0 | TcpFlags::ACK.0) == TcpFlags::SYN.0;
                opens.then_some(tcp.sequence)
            }
            _ => None,
        };
        let key = tuple.direction_free();
        let known = self.by_tuple.get(&key).copied().filter(|&index| {
            let session = &self.all[index];
            // Another SYN with another number reuses the ports for a new session.
            syn.is_none() || session.initial.is_none() || session.initial == syn
        });
        let index = known.unwrap_or(self.all.len());
        if known.is_none() {
            self.by_tuple.insert(key, index);
            let (flow, base) = (FlowState::default(), [None; 2]);
            let hostnames = Vec::new();
            self.all.push(Session { tuple, flow, hostnames, base, initial: syn });
        }
        let session = &mut self.all[index];
        let direction = if session.tuple == tuple { Direction::Original } else { Direction::Reply };
        let (offset, payload) = match &packet.transport {
            Transport::Tcp(tcp) => {
                let syn = tcp.flags.0 & TcpFlags::SYN.0 != 0;
                match session.place(direction, tcp.sequence, syn, tcp.payload) {
                    Some((offset, payload)) => (Some(offset), payload),
                    None => return,
                }
            }
            Transport::Udp(udp) => (None, udp.payload),
            _ => return,
        };
        let Session { tuple, flow, hostnames, .. } = session;
        let progress = self.identifier.inspect(flow, tuple, direction, offset, payload);
        if matches!(progress, Progress::Changed(changes) if changes.contains(Changes::HOSTNAME)) {
            hostnames.extend(flow.facts().hostname.map(str::to_owned));
        }
    }
}

impl Session {
    /// Whether an application other than an unknown one was found.
    pub(crate) fn is_named(&self) -> bool {
        let unknown = [Application::UNKNOWN_TCP, Application::UNKNOWN_UDP];
        self.flow.facts().application.is_some_and(|found| !unknown.contains(&found))
    }

    /// A segment's offset in its stream; a part before the stream's start is cut off.
    fn place<'a>(
        &mut self,
        direction: Direction,
        sequence: u32,
        syn: bool,
        payload: &'a [u8],
    ) -> Option<(u64, &'a [u8])> {
        let base = &mut self.base[direction.index()];
        let sequence = sequence.wrapping_add(u32::from(syn));
        let (first, reached) = base.get_or_insert((sequence, 0));
        if syn {
            (*first, *reached) = (sequence, 0);
        }
        let ahead = sequence.wrapping_sub(first.wrapping_add(*reached as u32)).cast_signed();
        let offset = reached.cast_signed() + i64::from(ahead);
        let before = usize::try_from(-offset.min(0)).ok()?;
        let payload = payload.get(before..)?;
        let offset = offset.max(0).cast_unsigned();
        *reached = (*reached).max(offset + payload.len() as u64);
        (!payload.is_empty()).then_some((offset, payload))
    }
}
