//! Packet vocabulary, frame decoding and bounded defragmentation.
//!
//! This crate answers one question: *what does this frame say?* It knows nothing of rules, sessions
//! or files, reads no clock and allocates nothing while decoding.

mod flow;
mod packet;
mod port;
mod protocol;
mod timestamp;

pub use flow::{Direction, FiveTuple};
pub use packet::{
    FragmentHeader, IcmpMessage, Link, MacAddress, MalformedReason, Network, Packet, Quoted,
    SackBlocks, SctpHeader, TcpFlags, TcpSegment, Transport, TunnelKind, TunnelStack, UdpDatagram,
    VlanTags,
};
pub use port::{InvertedPortRange, PortRange};
pub use protocol::Protocol;
pub use timestamp::{ParseTimestampError, Timestamp};
