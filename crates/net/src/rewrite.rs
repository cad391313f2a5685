//! Address translation of a packet in place, its checksums kept true (RFC 3022, RFC 5508).

use std::net::IpAddr;

use crate::checksum::{ChecksumChange, sctp_checksum};
use crate::{FiveTuple, Protocol};

/// What a packet is to say when it leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rewrite {
    /// Its flow. Ports are written where the protocol has them, the source port as the identifier
    /// of an ICMP query or answer.
    pub flow: FiveTuple,
    /// The flow of the packet that an ICMP error quotes, in the direction in which that was sent;
    /// `None` leaves the quote alone.
    pub quoted: Option<FiveTuple>,
}

/// Why a packet was left as it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// What has to be written was not captured, or the header contradicts itself.
    #[error("the packet is too short, or its header is malformed")]
    Unreadable,
    /// The new addresses are of another family.
    #[error("the packet is of another address family than its translation")]
    OtherFamily,
    /// The packet is under way along a route it states: its checksum counts a destination other
    /// than the header's.
    #[error("the packet states a route that it has not finished")]
    SourceRouted,
    /// Ports of SCTP change in a packet that is not here whole: its checksum cannot be computed.
    #[error("the SCTP packet is not whole")]
    PartialSctp,
    /// The packet is no ICMP error, or quotes too little to be told from another.
    #[error("the packet quotes none that could be translated")]
    NoQuote,
}

/// Rewrites a packet, from its IP header on, to leave as `to` says. Lifetime (TTL) and length stay.
///
/// The checksums of the IPv4 header, TCP, UDP, UDP-Lite, DCCP and ICMP are changed by what changes
/// (RFC 1624): one that was wrong stays wrong, a UDP checksum of 0 stays none. That of SCTP is
/// computed anew. Of a fragment after the first, addresses alone are written: its first one holds
/// the ports and the checksum. A checksum that was not captured is not missed.
///
/// Of a quote, the header and as much of the transport as is there is translated, with the
/// checksums in it.
///
/// Cost: constant, but for SCTP, which is linear. Allocates nothing.
///
/// # Errors
/// [`RewriteError`]; the packet is then unchanged.
pub fn rewrite(packet: &mut [u8], to: &Rewrite) -> Result<(), RewriteError> {
    let outer = Layout::read(packet)?;
    outer.check(packet, &to.flow)?;
    let quote = match to.quoted {
        Some(flow) => Some((outer.quote(packet)?, flow)),
        None => None,
    };
    if let Some((at, flow)) = quote {
        let quoted = packet.get(at..).unwrap_or_default();
        let inner = Layout::read(quoted)?;
        inner.check_quoted(quoted, &flow)?;
        let mut change = ChecksumChange::new();
        if let Some(quoted) = packet.get_mut(at..) {
            inner.write(quoted, &flow, &mut change);
        }
        let checksum = outer.transport + 2;
        if let Some(stored) = read_u16(packet, checksum) {
            write_u16(packet, checksum, change.apply(stored), &mut ChecksumChange::new());
        }
    }
    outer.write(packet, &to.flow, &mut ChecksumChange::new());
    if outer.protocol == Protocol::SCTP && !outer.is_fragment {
        let whole = packet.get_mut(outer.transport..outer.end).unwrap_or_default();
        if let Some(checksum) = sctp_checksum(whole) {
            whole[8..12].copy_from_slice(&checksum);
        }
    }
    Ok(())
}

/// Where the parts of a packet are, in bytes from its start.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the header")]
struct Layout {
    v6: bool,
    protocol: Protocol,
    /// Where the transport begins.
    transport: usize,
    /// Where the packet ends, as its header says.
    end: usize,
    /// Whether it is a fragment, and one after the first.
    is_fragment: bool,
    is_later: bool,
    /// Whether it states a route it has not finished.
    on_a_route: bool,
}

/// IANA protocol numbers (RFC 4340, RFC 3828).
const DCCP: Protocol = Protocol(33);
const UDP_LITE: Protocol = Protocol(136);

/// Extension headers of IPv6 followed at most.
const MAX_EXTENSION_HEADERS: usize = 8;

impl Layout {
    fn read(packet: &[u8]) -> Result<Self, RewriteError> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => Self::read_v4(packet),
            Some(6) => Self::read_v6(packet),
            _ => Err(RewriteError::Unreadable),
        }
    }

    fn read_v4(packet: &[u8]) -> Result<Self, RewriteError> {
        let header = packet.first_chunk::<20>().ok_or(RewriteError::Unreadable)?;
        let transport = usize::from(header[0] & 0x0f) * 4;
        let options = packet.get(20..transport).ok_or(RewriteError::Unreadable)?;
        let place = u16::from_be_bytes([header[6], header[7]]);
        Ok(Self {
            v6: false,
            protocol: Protocol(header[9]),
            transport,
            end: end(packet, 0, [header[2], header[3]]),
            is_fragment: place & 0x3fff != 0,
            is_later: place & 0x1fff != 0,
            on_a_route: states_route(options),
        })
    }

    fn read_v6(packet: &[u8]) -> Result<Self, RewriteError> {
        let header = packet.first_chunk::<40>().ok_or(RewriteError::Unreadable)?;
        let mut layout = Self {
            v6: true,
            protocol: Protocol(header[6]),
            transport: 40,
            end: end(packet, 40, [header[4], header[5]]),
            is_fragment: false,
            is_later: false,
            on_a_route: false,
        };
        for _ in 0..=MAX_EXTENSION_HEADERS {
            // Hop-by-hop, routing, fragment, authentication, destination options, mobility.
            if !matches!(layout.protocol.0, 0 | 43 | 44 | 51 | 60 | 135) || layout.is_later {
                return Ok(layout);
            }
            let rest = packet.get(layout.transport..).unwrap_or_default();
            let &[next, len, place, last, ..] =
                rest.first_chunk::<8>().ok_or(RewriteError::Unreadable)?;
            let len = match layout.protocol.0 {
                44 => {
                    let place = u16::from_be_bytes([place, last]);
                    layout.is_fragment |= place & 0xfff9 != 0;
                    layout.is_later = place & 0xfff8 != 0;
                    8
                }
                51 => (usize::from(len) + 2) * 4,
                kind => {
                    layout.on_a_route |= kind == 43 && last != 0;
                    (usize::from(len) + 1) * 8
                }
            };
            layout.protocol = Protocol(next);
            layout.transport += len;
        }
        Err(RewriteError::Unreadable)
    }

    /// Where source and destination are.
    const fn addresses(&self) -> (usize, usize) {
        if self.v6 { (8, 24) } else { (12, 16) }
    }

    /// Whether the packet can be written as `flow` says.
    fn check(&self, packet: &[u8], flow: &FiveTuple) -> Result<(), RewriteError> {
        self.check_quoted(packet, flow)?;
        let is_whole = !self.is_fragment && self.end <= packet.len();
        if self.protocol == Protocol::SCTP && !self.is_later && !is_whole {
            let ports = self.ports(packet);
            if ports != Some((flow.src_port, flow.dst_port)) {
                return Err(RewriteError::PartialSctp);
            }
        }
        Ok(())
    }

    /// The same for a quote, whose end is missing as a rule.
    fn check_quoted(&self, packet: &[u8], flow: &FiveTuple) -> Result<(), RewriteError> {
        if flow.src.is_ipv6() != self.v6 || flow.dst.is_ipv6() != self.v6 {
            return Err(RewriteError::OtherFamily);
        }
        if self.on_a_route {
            return Err(RewriteError::SourceRouted);
        }
        let needed = if self.is_later {
            0
        } else if self.protocol.is_icmp() {
            8
        } else if self.has_ports() {
            4
        } else {
            0
        };
        let is_there = self.transport + needed <= packet.len();
        is_there.then_some(()).ok_or(RewriteError::Unreadable)
    }

    const fn has_ports(&self) -> bool {
        matches!(self.protocol, Protocol::TCP | Protocol::UDP | Protocol::SCTP | DCCP | UDP_LITE)
    }

    fn ports(&self, packet: &[u8]) -> Option<(u16, u16)> {
        Some((read_u16(packet, self.transport)?, read_u16(packet, self.transport + 2)?))
    }

    /// Where the packet begins that this one, an ICMP error, quotes.
    fn quote(&self, packet: &[u8]) -> Result<usize, RewriteError> {
        let kind = packet.get(self.transport).copied().unwrap_or_default();
        let is_error = match self.protocol {
            Protocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
            Protocol::ICMPV6 => kind < 128,
            _ => false,
        };
        let at = self.transport + 8;
        let is_there = is_error && !self.is_later && at < packet.len();
        is_there.then_some(at).ok_or(RewriteError::NoQuote)
    }

    /// Where the transport keeps its checksum, and whether that counts the addresses.
    const fn checksum(&self) -> Option<(usize, bool)> {
        match self.protocol {
            Protocol::TCP => Some((16, true)),
            Protocol::UDP | UDP_LITE | DCCP => Some((6, true)),
            Protocol::ICMP => Some((2, false)),
            Protocol::ICMPV6 => Some((2, true)),
            _ => None,
        }
    }

    /// Whether this ICMP message has an identifier, as [`crate::IcmpMessage::id`] says.
    fn has_identifier(&self, packet: &[u8]) -> bool {
        let kind = packet.get(self.transport).copied();
        match (self.protocol, kind) {
            (Protocol::ICMP, Some(kind)) => matches!(kind, 0 | 8 | 13..=18),
            (Protocol::ICMPV6, Some(kind)) => matches!(kind, 128 | 129),
            _ => false,
        }
    }

    /// Writes a flow, and counts in `all` every change that was made.
    fn write(&self, packet: &mut [u8], flow: &FiveTuple, all: &mut ChecksumChange) {
        let (src, dst) = self.addresses();
        let mut addresses = ChecksumChange::new();
        for (at, address) in [(src, flow.src), (dst, flow.dst)] {
            match address {
                IpAddr::V4(v4) => write(packet, at, &v4.octets(), &mut addresses),
                IpAddr::V6(v6) => write(packet, at, &v6.octets(), &mut addresses),
            }
        }
        *all = all.and(addresses);
        if !self.v6
            && let Some(stored) = read_u16(packet, 10)
        {
            write_u16(packet, 10, addresses.apply(stored), all);
        }
        if self.is_later {
            return;
        }
        let mut own = ChecksumChange::new();
        if self.has_ports() {
            write_u16(packet, self.transport, flow.src_port, &mut own);
            write_u16(packet, self.transport + 2, flow.dst_port, &mut own);
        } else if self.has_identifier(packet) {
            write_u16(packet, self.transport + 4, flow.src_port, &mut own);
        }
        *all = all.and(own);
        let Some((at, counts_addresses)) = self.checksum() else { return };
        let change = if counts_addresses { own.and(addresses) } else { own };
        let at = self.transport + at;
        if let Some(stored) = read_u16(packet, at) {
            let changed = match self.protocol {
                Protocol::UDP | UDP_LITE => change.apply_udp(stored),
                _ => change.apply(stored),
            };
            write_u16(packet, at, changed, all);
        }
    }
}

/// Where a packet ends whose header says how long it is from `start` on; a length of 0, as
/// segmentation offload leaves it, stands for all there is.
fn end(packet: &[u8], start: usize, length: [u8; 2]) -> usize {
    match u16::from_be_bytes(length) {
        0 => packet.len(),
        length => start + usize::from(length),
    }
}

/// Whether IPv4 options state a source route with places left (RFC 791 §3.1).
fn states_route(options: &[u8]) -> bool {
    let mut rest = options;
    while let &[kind, ..] = rest {
        let len = match (kind, rest) {
            (0, _) => return false,
            (1, _) => 1,
            (_, [_, len, ..]) if *len >= 2 => usize::from(*len),
            _ => return false,
        };
        let pointer = rest.get(2).copied().map_or(0, usize::from);
        if matches!(kind, 131 | 137) && pointer <= len {
            return true;
        }
        rest = rest.get(len..).unwrap_or_default();
    }
    false
}

fn read_u16(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*packet.get(at..)?.first_chunk()?))
}

fn write_u16(packet: &mut [u8], at: usize, new: u16, change: &mut ChecksumChange) {
    write(packet, at, &new.to_be_bytes(), change);
}

/// Writes an even number of bytes at an even place.
fn write(packet: &mut [u8], at: usize, new: &[u8], change: &mut ChecksumChange) {
    let Some(old) = packet.get_mut(at..at + new.len()) else { return };
    for (old, new) in old.as_chunks_mut::<2>().0.iter_mut().zip(new.as_chunks::<2>().0) {
        *change = change.replace_u16(u16::from_be_bytes(*old), u16::from_be_bytes(*new));
        *old = *new;
    }
}

#[cfg(test)]
mod tests;
