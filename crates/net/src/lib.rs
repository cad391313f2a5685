//! Packet vocabulary, frame decoding and bounded defragmentation.
//!
//! This crate answers one question: *what does this frame say?* It knows nothing of rules, sessions
//! or files, reads no clock and allocates nothing while decoding.
//!
//! [`decode()`] turns a frame of one of the [`LinkType`]s into a [`Packet`], which borrows from the
//! frame. It cannot fail. A frame that contradicts itself says so in [`Packet::malformed`], one
//! that the capture cut says so in [`Packet::truncated`], and either way the layers that could be
//! read are there: what to do about it is a decision, and decisions are made elsewhere.
//!
//! The packet that is judged is the outermost IP packet. VLAN tags, PPPoE and MPLS belong to the
//! link and are always passed; GRE, VXLAN, Geneve and IP-in-IP are entered only where
//! [`DecodeLimits::decapsulate`] names them.
//!
//! A fragment tells little. [`Reassembler`] holds fragments, within [`FragmentLimits`], until the
//! datagram is whole and can be decoded as one packet. [`transport_checksum`] tells whether
//! the checksum of a packet agrees, [`rewrite()`] translates a packet and keeps it true;
//! [`reset_to_sender`] and its kin are what a refusal is answered with.
//!
//! It refuses to guess: no protocol is recognised by its payload, and no reassembly policy of a
//! particular host is imitated; overlapping fragments are discarded.
//!
//! ```
//! use parefeu_net::{DecodeLimits, LinkType, Protocol, TcpFlags, Transport, decode};
//!
//! // An IPv4 packet without a link layer: a TCP SYN from 192.0.2.7:40000 to 198.51.100.9:443.
//! let frame = [
//!     0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 7, 198, 51, 100, 9, // IPv4
//!     0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0, // TCP
//! ];
//! let packet = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default());
//!
//! assert_eq!(packet.malformed, None);
//! let flow = packet.five_tuple().expect("there is an IP layer");
//! assert_eq!(flow.to_string(), "tcp 192.0.2.7:40000 > 198.51.100.9:443");
//! assert_eq!(flow.protocol, Protocol::TCP);
//! assert!(matches!(packet.transport, Transport::Tcp(tcp) if tcp.flags == TcpFlags::SYN));
//! ```

mod checksum;
mod decode;
mod flow;
mod link_type;
mod packet;
mod port;
mod protocol;
mod reassembly;
mod refusal;
mod rewrite;
mod timestamp;

pub use checksum::{ChecksumChange, ChecksumVerdict, ip_header_checksum, transport_checksum};
pub use decode::{Decapsulate, DecodeLimits, decode, decode_transport};
pub use flow::{Direction, FiveTuple};
pub use link_type::LinkType;
pub use packet::{
    FragmentHeader, IcmpMessage, Link, MacAddress, MalformedReason, Network, Packet, Quoted,
    SackBlocks, SctpHeader, TcpFlags, TcpSegment, Transport, TunnelKind, TunnelStack, UdpDatagram,
    VlanTags, icmp_across, icmp_query_of,
};
pub use port::{InvertedPortRange, PortRange};
pub use protocol::Protocol;
pub use reassembly::{
    Datagram, DiscardReason, FragmentLimits, Reassembler, Reassembly, SavedFragments,
};
pub use refusal::{prohibited, reset_to_receiver, reset_to_sender};
pub use rewrite::{Rewrite, RewriteError, rewrite};
pub use timestamp::{ParseTimestampError, Timestamp};
