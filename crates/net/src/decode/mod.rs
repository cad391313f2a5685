//! From a frame's bytes to a [`Packet`].

mod carrier;
mod icmp;
mod ip;
mod limits;
mod link;
mod transport;
mod tunnel;
mod udp_tunnel;
mod view;

pub use limits::{Decapsulate, DecodeLimits};
pub use transport::decode_transport;

pub(crate) use ip::MAX_DATAGRAM_LEN;

use ip::FragmentedPart;
use view::View;

use crate::{
    Link, LinkType, MalformedReason, Network, Packet, Protocol, Transport, TunnelKind, TunnelStack,
};

/// Decodes one frame as far as its captured bytes allow.
///
/// `wire_len` is the frame's length on the wire, in bytes: a longer one than `frame` says that the
/// capture was cut ([`Packet::truncated`]), and a layer that ends where the capture does is not
/// held against the sender. It never fails: what is wrong with a frame is
/// [`Packet::malformed`], and reading goes on past it where that makes sense.
///
/// A header lost to the capture leaves its layer out, with two exceptions, since ports decide
/// rules: a TCP header is given from its first 16 bytes on (options then read as absent), an SCTP
/// header from its first 8.
///
/// Allocates nothing; time is linear in the headers, not in the payload.
pub fn decode<'a>(
    link: LinkType,
    frame: &'a [u8],
    wire_len: usize,
    limits: &DecodeLimits,
) -> Packet<'a> {
    let mut packet = Packet::EMPTY;
    packet.truncated = frame.len() < wire_len;
    let mut decoder = Decoder::new(&mut packet, *limits);
    let first = decoder.link(link, View::new(frame, wire_len));
    decoder.run(first);
    packet
}

/// The layer to read next.
#[derive(Clone, Copy)]
enum Next<'a> {
    /// Nothing more to read.
    Stop,
    /// An Ethernet header inside a tunnel.
    InnerEthernet(View<'a>),
    /// What an EtherType announces.
    EtherType(u16, View<'a>),
    /// An IEEE 802.2 LLC header.
    Llc(View<'a>),
    /// A PPP protocol field.
    Ppp(View<'a>),
    /// An IP header of the version its first nibble names.
    Ip(View<'a>),
}

/// Decoding in progress. Layers hand over to one another through [`Next`]: no recursion.
struct Decoder<'a, 'p> {
    packet: &'p mut Packet<'a>,
    limits: DecodeLimits,
    /// Tunnels entered so far; the packet takes them over when an IP layer is found inside.
    entered: TunnelStack,
    /// VLAN tags met so far, priority tags included.
    tag_count: usize,
}

impl<'a, 'p> Decoder<'a, 'p> {
    fn new(packet: &'p mut Packet<'a>, limits: DecodeLimits) -> Self {
        Self { packet, limits, entered: TunnelStack::default(), tag_count: 0 }
    }

    /// Reads layers until none is left. Each step but the hand-over to IP consumes bytes.
    fn run(&mut self, first: Next<'a>) {
        let mut next = first;
        loop {
            next = match next {
                Next::Stop => return,
                Next::InnerEthernet(view) => self.inner_ethernet(view),
                Next::EtherType(ether_type, view) => self.ether_type(ether_type, view),
                Next::Llc(view) => self.llc(view),
                Next::Ppp(view) => self.ppp(view),
                Next::Ip(view) => self.ip(view),
            }
        }
    }

    /// Reads the transport of the IP layer just set, and enters the tunnel it may be.
    fn upper(&mut self, protocol: Protocol, payload: View<'a>, part: FragmentedPart) -> Next<'a> {
        self.packet.tunnels = self.entered;
        self.packet.transport = Transport::Absent;
        if part == FragmentedPart::Unreadable {
            return Next::Stop;
        }
        let transport = &mut self.packet.transport;
        if let Some(reason) = transport::read(protocol, payload, part, transport) {
            self.note(reason);
        }
        if part == FragmentedPart::Whole && self.limits.decapsulate != Decapsulate::NONE {
            return self.tunnel(protocol, payload);
        }
        Next::Stop
    }

    /// Pushes a tunnel; `false`, with the reason noted, when the limit is reached.
    fn enter(&mut self, kind: TunnelKind) -> bool {
        let admitted = self.limits.admits_tunnel(self.entered) && self.entered.push(kind);
        if !admitted {
            self.note(MalformedReason::TunnelTooDeep);
        }
        admitted
    }

    /// Notes a contradiction; the first one is kept.
    fn note(&mut self, reason: MalformedReason) {
        self.packet.malformed.get_or_insert(reason);
    }

    /// Stops at a contradiction.
    fn fail(&mut self, reason: MalformedReason) -> Next<'a> {
        self.note(reason);
        Next::Stop
    }

    /// Stops at a header of `needed` bytes that was not captured whole; the sender is to blame when
    /// it was not on the wire either.
    fn short(&mut self, view: View<'a>, needed: usize, reason: MalformedReason) -> Next<'a> {
        if needed > view.wire_len() { self.fail(reason) } else { Next::Stop }
    }
}

/// Decodes the IP layer of a reassembled datagram, tunnels inside it included.
pub(crate) fn decode_datagram(
    outer: (Link, TunnelStack),
    network: Network<'_>,
    limits: DecodeLimits,
) -> Packet<'_> {
    let mut packet = Packet::EMPTY;
    let mut decoder = Decoder::new(&mut packet, limits);
    (decoder.packet.link, decoder.entered) = outer;
    let next = decoder.reassembled(network);
    decoder.run(next);
    packet
}

#[cfg(test)]
mod tests;
