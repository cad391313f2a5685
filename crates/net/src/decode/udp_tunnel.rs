//! Tunnels inside UDP, told by their ports: VXLAN, Geneve, GRE, GTP-U, Teredo and AYIYA.

use crate::{MalformedReason, TunnelKind, UdpDatagram};

use super::link::ether_type;
use super::{Decoder, Next, View};

/// Ports of datagrams towards the end of a tunnel.
const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;
const GRE_PORT: u16 = 4754;
const GTP_U_PORT: u16 = 2152;

/// Ports of a server, whose answers come from it.
const TEREDO_PORT: u16 = 3544;
const AYIYA_PORT: u16 = 5072;

/// Extension headers of GTP-U followed at most; TS 29.281 names a handful.
const MAX_GTP_EXTENSIONS: usize = 8;

/// The tunnel a datagram's ports stand for.
pub(super) const fn kind_of(udp: &UdpDatagram<'_>) -> Option<TunnelKind> {
    match (udp.src_port, udp.dst_port) {
        (_, VXLAN_PORT) => Some(TunnelKind::Vxlan),
        (_, GENEVE_PORT) => Some(TunnelKind::Geneve),
        (_, GRE_PORT) => Some(TunnelKind::Gre),
        (_, GTP_U_PORT) => Some(TunnelKind::GtpU),
        (_, TEREDO_PORT) | (TEREDO_PORT, _) => Some(TunnelKind::Teredo),
        (_, AYIYA_PORT) | (AYIYA_PORT, _) => Some(TunnelKind::Ayiya),
        _ => None,
    }
}

impl<'a> Decoder<'a, '_> {
    /// A VXLAN header (RFC 7348 §5), which Ethernet follows.
    pub(super) fn vxlan(&mut self, view: View<'a>) -> Next<'a> {
        match view.header::<8>() {
            Some([flags, ..]) if flags & 0x08 != 0 => Next::InnerEthernet(view.skip(8)),
            Some(_) => self.fail(MalformedReason::BadTunnel),
            None => self.short(view, 8, MalformedReason::BadTunnel),
        }
    }

    /// A Geneve header and its options (RFC 8926 §3.4).
    pub(super) fn geneve(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[version_and_len, _, t0, t1, _, _, _, _]) = view.header() else {
            return self.short(view, 8, MalformedReason::BadTunnel);
        };
        if version_and_len >> 6 != 0 {
            return self.fail(MalformedReason::BadTunnel);
        }
        let options_len = 4 * usize::from(version_and_len & 0x3f);
        self.encapsulated(u16::from_be_bytes([t0, t1]), view, 8 + options_len)
    }

    /// A user packet of GTP-U version 1 and its extension headers (3GPP TS 29.281 §5).
    ///
    /// The length of an extension header, in its first byte, counts units of four bytes; its last
    /// byte names the next one, zero none. Other messages than user packets carry none of ours.
    pub(super) fn gtp_u(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[flags, kind, ..]) = view.header::<8>() else {
            return self.short(view, 8, MalformedReason::BadTunnel);
        };
        let is_version_1 = flags & 0xf0 == 0x30;
        if !is_version_1 || kind != 255 {
            return Next::Stop;
        }
        let mut rest = view.skip(8);
        if flags & 0x07 != 0 {
            let Some(&[_, _, _, next]) = rest.header() else {
                return self.short(rest, 4, MalformedReason::BadTunnel);
            };
            rest = rest.skip(4);
            let mut next = if flags & 0x04 == 0 { 0 } else { next };
            for _ in 0..MAX_GTP_EXTENSIONS {
                if next == 0 {
                    break;
                }
                let len = rest.bytes().first().map_or(0, |units| 4 * usize::from(*units));
                if len == 0 || len > rest.wire_len() {
                    return self.fail(MalformedReason::BadTunnel);
                }
                let Some(last) = rest.bytes().get(len - 1) else { return Next::Stop };
                next = *last;
                rest = rest.skip(len);
            }
            if next != 0 {
                return self.fail(MalformedReason::BadTunnel);
            }
        }
        ip_or_stop(rest)
    }

    /// An AYIYA packet that forwards another (draft-massar-v6ops-ayiya-02 §4): the lengths of
    /// identity (a power of two) and signature (in units of four bytes), then the two themselves.
    pub(super) fn ayiya(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[identity, signature, operation, next, ..]) = view.header::<8>() else {
            return self.short(view, 8, MalformedReason::BadTunnel);
        };
        if operation & 0x0f != 1 {
            return Next::Stop;
        }
        let identity_len = 1usize << (identity >> 4);
        let len = 8 + identity_len + 4 * usize::from(signature >> 4);
        if len > view.wire_len() {
            return Next::Stop;
        }
        match next {
            4 => Next::EtherType(ether_type::IPV4, view.skip(len)),
            41 => Next::EtherType(ether_type::IPV6, view.skip(len)),
            _ => Next::Stop,
        }
    }
}

/// A Teredo packet (RFC 4380 §5.1.1): authentication and origin indications, then IPv6.
pub(super) fn teredo(view: View<'_>) -> Next<'_> {
    let mut rest = view;
    if let Some(&[0, 1, identifier, authentication]) = rest.header() {
        // Two lengths, what they count, a nonce of eight bytes and a confirmation byte.
        rest = rest.skip(4 + usize::from(identifier) + usize::from(authentication) + 9);
    }
    if let Some(&[0, 0]) = rest.header() {
        rest = rest.skip(8);
    }
    match rest.bytes().first() {
        Some(first) if first >> 4 == 6 => Next::EtherType(ether_type::IPV6, rest),
        _ => Next::Stop,
    }
}

/// What its first nibble says is IP.
fn ip_or_stop(view: View<'_>) -> Next<'_> {
    match view.bytes().first().map(|first| first >> 4) {
        Some(4 | 6) => Next::Ip(view),
        _ => Next::Stop,
    }
}
