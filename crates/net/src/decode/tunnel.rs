//! Tunnel headers between the link, or an outer IP layer, and the IP layer that is judged.

use crate::{MalformedReason, Protocol, Transport, TunnelKind};

use super::link::ether_type;
use super::{Decoder, Next, View};

/// Destination ports by which UDP tunnels are recognised.
const VXLAN_PORT: u16 = 4789;
const GENEVE_PORT: u16 = 6081;

impl<'a> Decoder<'a, '_> {
    /// A PPPoE session header (RFC 2516 §4); the discovery stage has another EtherType.
    pub(super) fn pppoe(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[version_and_type, code, _, _, l0, l1]) = view.header() else {
            return self.short(view, 6, MalformedReason::BadTunnel);
        };
        let payload = view.skip(6);
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if version_and_type != 0x11 || len > payload.wire_len() {
            return self.fail(MalformedReason::BadTunnel);
        }
        if code != 0 || !self.enter(TunnelKind::Pppoe) {
            return Next::Stop;
        }
        Next::Ppp(payload.declare(len))
    }

    /// An MPLS label stack (RFC 3032). It does not say what follows, so the next nibble decides:
    /// 4 and 6 are IP, 0 is the control word of an Ethernet pseudowire (RFC 4385, RFC 4448).
    pub(super) fn mpls(&mut self, view: View<'a>) -> Next<'a> {
        let mut rest = view;
        loop {
            let Some(&[_, _, third, _]) = rest.header() else {
                return self.short(rest, 4, MalformedReason::BadTunnel);
            };
            rest = rest.skip(4);
            if third & 1 == 1 {
                break;
            }
        }
        if !self.enter(TunnelKind::Mpls) {
            return Next::Stop;
        }
        match rest.bytes().first().map(|first| first >> 4) {
            Some(4 | 6) => Next::Ip(rest),
            Some(0) => Next::InnerEthernet(rest.skip(4)),
            _ => Next::Stop,
        }
    }

    /// Enters the tunnel that the judged IP packet is, where the configuration says so.
    ///
    /// The outer layers stay judged when what the tunnel carries turns out not to be IP.
    pub(super) fn tunnel(&mut self, protocol: Protocol, payload: View<'a>) -> Next<'a> {
        let six = self.packet.network.is_some_and(|network| network.src.is_ipv6());
        let kind = match (protocol, self.packet.transport) {
            (Protocol::IPIP, _) => TunnelKind::IpInIp,
            (Protocol::IPV6, _) if six => TunnelKind::IpInIp,
            (Protocol::IPV6, _) => TunnelKind::SixInFour,
            (Protocol::GRE, _) => TunnelKind::Gre,
            (_, Transport::Udp(udp)) if udp.dst_port == VXLAN_PORT => TunnelKind::Vxlan,
            (_, Transport::Udp(udp)) if udp.dst_port == GENEVE_PORT => TunnelKind::Geneve,
            _ => return Next::Stop,
        };
        if !self.limits.decapsulate.contains(kind) {
            return Next::Stop;
        }
        let inner = match kind {
            TunnelKind::IpInIp if protocol == Protocol::IPIP => {
                Next::EtherType(ether_type::IPV4, payload)
            }
            TunnelKind::IpInIp | TunnelKind::SixInFour => {
                Next::EtherType(ether_type::IPV6, payload)
            }
            TunnelKind::Gre => self.gre(payload),
            TunnelKind::Vxlan => self.vxlan(payload.skip(8)),
            TunnelKind::Geneve => self.geneve(payload.skip(8)),
            TunnelKind::Pppoe | TunnelKind::Mpls => Next::Stop,
        };
        if matches!(inner, Next::Stop) || !self.enter(kind) {
            return Next::Stop;
        }
        inner
    }

    /// GRE version 0 with its optional checksum, key and sequence number (RFC 2784, RFC 2890).
    ///
    /// Version 1 (PPTP, RFC 2637) and the source routes of RFC 1701 are left undecoded.
    fn gre(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[flags, version, t0, t1]) = view.header() else {
            return self.short(view, 4, MalformedReason::BadTunnel);
        };
        if version & 0x07 != 0 || flags & 0x40 != 0 {
            return Next::Stop;
        }
        let options = (flags & 0x80 != 0, flags & 0x20 != 0, flags & 0x10 != 0);
        let option_count = usize::from(options.0) + usize::from(options.1) + usize::from(options.2);
        self.encapsulated(u16::from_be_bytes([t0, t1]), view, 4 + 4 * option_count)
    }

    /// A VXLAN header (RFC 7348 §5), which Ethernet follows.
    fn vxlan(&mut self, view: View<'a>) -> Next<'a> {
        match view.header::<8>() {
            Some([flags, ..]) if flags & 0x08 != 0 => Next::InnerEthernet(view.skip(8)),
            Some(_) => self.fail(MalformedReason::BadTunnel),
            None => self.short(view, 8, MalformedReason::BadTunnel),
        }
    }

    /// A Geneve header and its options (RFC 8926 §3.4).
    fn geneve(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[version_and_len, _, t0, t1, _, _, _, _]) = view.header() else {
            return self.short(view, 8, MalformedReason::BadTunnel);
        };
        if version_and_len >> 6 != 0 {
            return self.fail(MalformedReason::BadTunnel);
        }
        let options_len = 4 * usize::from(version_and_len & 0x3f);
        self.encapsulated(u16::from_be_bytes([t0, t1]), view, 8 + options_len)
    }

    /// What a tunnel header of `header_len` bytes announces by EtherType.
    fn encapsulated(&mut self, ether_type: u16, view: View<'a>, header_len: usize) -> Next<'a> {
        if header_len > view.wire_len() {
            return self.fail(MalformedReason::BadTunnel);
        }
        let payload = view.skip(header_len);
        match ether_type {
            ether_type::TRANSPARENT_ETHERNET => Next::InnerEthernet(payload),
            ether_type::IPV4
            | ether_type::IPV6
            | ether_type::PPP
            | ether_type::MPLS_UNICAST
            | ether_type::MPLS_MULTICAST => Next::EtherType(ether_type, payload),
            _ => Next::Stop,
        }
    }
}
