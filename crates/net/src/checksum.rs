//! Internet checksums: verifying them, and keeping them true when addresses or ports change.

use std::net::IpAddr;

use crate::{Network, Protocol};

/// What a checksum says about the bytes it covers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ChecksumVerdict {
    /// It agrees, or the packet rightly carries none.
    Valid,
    /// It disagrees. On the sending host this is usual: the network card fills it in later.
    Invalid,
    /// It cannot be checked: bytes were not captured, or the protocol is not one checked here.
    Unknown,
}

impl ChecksumVerdict {
    fn from_agreement(agrees: bool) -> Self {
        if agrees { Self::Valid } else { Self::Invalid }
    }
}

/// Checks the IPv4 header (RFC 791 §3.1). IPv6 has no header checksum: always valid.
pub fn ip_header_checksum(network: &Network<'_>) -> ChecksumVerdict {
    if network.src.is_ipv6() {
        return ChecksumVerdict::Valid;
    }
    if network.header.is_empty() {
        return ChecksumVerdict::Unknown;
    }
    ChecksumVerdict::from_agreement(fold(sum(network.header)) == u16::MAX)
}

/// Checks TCP, UDP, ICMP, ICMPv6 or SCTP; other protocols are [`ChecksumVerdict::Unknown`].
///
/// Unknown too are fragments, payloads that were not captured whole, and packets under way along a
/// source route, whose checksum counts a destination other than the header's (RFC 8200 §8.1).
/// A UDP checksum of 0 is none and valid, in IPv6 too (RFC 6935), as Linux connection tracking has
/// it. Linear in the payload.
pub fn transport_checksum(network: &Network<'_>) -> ChecksumVerdict {
    let Network { payload, payload_len, protocol, .. } = *network;
    let checked = checksum_offset(protocol).and_then(|at| payload.get(at..at + 2));
    let Some(stored) = checked else { return ChecksumVerdict::Unknown };
    let is_whole = payload.len() == payload_len as usize && network.fragment.is_none();
    if !is_whole || is_on_a_route(network) {
        return ChecksumVerdict::Unknown;
    }
    let agrees = match protocol {
        Protocol::SCTP => crc32c_agrees(payload),
        Protocol::ICMP => fold(sum(payload)) == u16::MAX,
        Protocol::UDP if stored == [0, 0] => true,
        _ => fold(sum(payload) + pseudo_header(network)) == u16::MAX,
    };
    ChecksumVerdict::from_agreement(agrees)
}

/// Where a transport header keeps its checksum, in bytes from its start.
const fn checksum_offset(protocol: Protocol) -> Option<usize> {
    match protocol {
        Protocol::TCP => Some(16),
        Protocol::UDP => Some(6),
        Protocol::ICMP | Protocol::ICMPV6 => Some(2),
        Protocol::SCTP => Some(8),
        _ => None,
    }
}

/// Whether the final destination may differ from the header's.
fn is_on_a_route(network: &Network<'_>) -> bool {
    if network.source_routed {
        return true;
    }
    if network.src.is_ipv4() {
        return false;
    }
    // Any other routing header with segments left (RFC 6554, RFC 8754) changes it as well.
    let mut next = network.header.get(6).copied().unwrap_or_default();
    let mut rest = network.header.get(40..).unwrap_or_default();
    while let &[following, len, _, segments_left, ..] = rest {
        if next == 43 && segments_left != 0 {
            return true;
        }
        let len = match next {
            44 => 8,
            51 => (usize::from(len) + 2) * 4,
            _ => (usize::from(len) + 1) * 8,
        };
        next = following;
        rest = rest.get(len..).unwrap_or_default();
    }
    false
}

/// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1).
///
/// The addresses are those of the bytes captured: a packet whose fields were given other addresses,
/// as a translation would, is still judged by what was sent.
fn pseudo_header(network: &Network<'_>) -> u64 {
    let captured = match network.header.first().map(|byte| byte >> 4) {
        Some(4) => network.header.get(12..20),
        Some(6) => network.header.get(8..40),
        _ => None,
    };
    let addresses =
        captured.map_or_else(|| sum_address(network.src) + sum_address(network.dst), sum);
    addresses + u64::from(network.payload_len) + u64::from(network.protocol.0)
}

fn sum_address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(v4) => sum(&v4.octets()),
        IpAddr::V6(v6) => sum(&v6.octets()),
    }
}

/// The sum of big-endian 32-bit words, zero-padded: congruent to that of 16-bit words, and far from
/// overflow for anything shorter than 16 GB.
fn sum(bytes: &[u8]) -> u64 {
    let (words, tail) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    let total: u64 = words.iter().map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    total + u64::from(u32::from_be_bytes(last))
}

/// A sum reduced to 16 bits with end-around carry.
const fn fold(sum: u64) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn crc32c_agrees(packet: &[u8]) -> bool {
    sctp_checksum(packet).is_some_and(|checksum| packet.get(8..12) == Some(&checksum))
}

/// SCTP's CRC32c of a whole packet, counted with its own field as zero (RFC 9260 §6.8, appendix A);
/// `None` for what is no SCTP header.
pub(crate) fn sctp_checksum(packet: &[u8]) -> Option<[u8; 4]> {
    let (before, rest) = packet.split_at_checked(8)?;
    let (_, after) = rest.split_first_chunk::<4>()?;
    let crc = crc32c(crc32c(crc32c(u32::MAX, before), &[0; 4]), after);
    Some((!crc).to_le_bytes())
}

fn crc32c(start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |crc, byte| {
        (crc >> 8) ^ CRC32C[usize::from((crc as u8) ^ byte)] // a byte indexes 256 entries
    })
}

const CRC32C: [u32; 256] = crc32c_table();

const fn crc32c_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

/// The change that rewritten fields make to a checksum, without summing the packet again
/// (RFC 1624 §3, equation 3).
///
/// Collect the replaced fields once, then apply the change to the IPv4 header and the transport
/// checksum: both count the addresses, only the transport counts the ports.
#[derive(Clone, Copy, Debug, Default)]
pub struct ChecksumChange {
    sum: u64,
}

impl ChecksumChange {
    /// No change yet.
    pub const fn new() -> Self {
        Self { sum: 0 }
    }

    /// Both changes together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum }
    }

    /// Counts a 16-bit field that was `old` and becomes `new`.
    #[must_use]
    pub const fn replace_u16(self, old: u16, new: u16) -> Self {
        Self { sum: self.sum + (!old as u64) + new as u64 }
    }

    /// Counts an address that was `old` and becomes `new`; the families may differ (NAT64).
    #[must_use]
    pub fn replace_address(self, old: IpAddr, new: IpAddr) -> Self {
        let removed = u64::from(!fold(sum_address(old)));
        Self { sum: self.sum + removed + sum_address(new) }
    }

    /// The checksum after the change.
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(!checksum as u64 + fold(self.sum) as u64)
    }

    /// The UDP checksum after the change: 0 means none and stays; a true sum of 0 is sent as all
    /// ones (RFC 768).
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        match (checksum, self.apply(checksum)) {
            (0, _) => 0,
            (_, 0) => u16::MAX,
            (_, changed) => changed,
        }
    }
}

#[cfg(test)]
mod tests;
