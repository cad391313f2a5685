//! Tunnel headers between the link, or an outer IP layer, and the IP layer that is judged.

use crate::{MalformedReason, Protocol, Transport, TunnelKind};

use super::link::ether_type;
use super::{Decoder, Next, View, udp_tunnel};

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
            (_, Transport::Udp(udp)) => match udp_tunnel::kind_of(&udp) {
                Some(kind) => kind,
                None => return Next::Stop,
            },
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
            TunnelKind::Gre if protocol == Protocol::GRE => self.gre(payload),
            TunnelKind::Gre => self.gre(payload.skip(8)),
            TunnelKind::Vxlan => self.vxlan(payload.skip(8)),
            TunnelKind::Geneve => self.geneve(payload.skip(8)),
            TunnelKind::GtpU => self.gtp_u(payload.skip(8)),
            TunnelKind::Teredo => udp_tunnel::teredo(payload.skip(8)),
            TunnelKind::Ayiya => self.ayiya(payload.skip(8)),
            TunnelKind::Pppoe | TunnelKind::Mpls => Next::Stop,
        };
        if matches!(inner, Next::Stop) || !self.enter(kind) {
            return Next::Stop;
        }
        inner
    }

    /// GRE version 0 with its optional checksum, key and sequence number (RFC 2784, RFC 2890), or
    /// version 1 (PPTP). The source routes of RFC 1701 are left undecoded.
    fn gre(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[flags, version, t0, t1]) = view.header() else {
            return self.short(view, 4, MalformedReason::BadTunnel);
        };
        let ether_type = u16::from_be_bytes([t0, t1]);
        let has_sequence = flags & 0x10 != 0;
        match version & 0x07 {
            0 if flags & 0x40 == 0 => {}
            1 if ether_type == ether_type::PPP => {
                return self.pptp(view, has_sequence, version & 0x80 != 0);
            }
            _ => return Next::Stop,
        }
        let options = (flags & 0x80 != 0, flags & 0x20 != 0, has_sequence);
        let option_count = usize::from(options.0) + usize::from(options.1) + usize::from(options.2);
        let header_len = 4 + 4 * option_count;
        // Mirrored frames come behind a header of their own, type I excepted, which has no sequence
        // number (draft-foschiano-erspan-03 §4).
        match ether_type {
            ether_type::ERSPAN if !has_sequence => {
                self.encapsulated(ether_type::TRANSPARENT_ETHERNET, view, header_len)
            }
            ether_type::ERSPAN => {
                self.encapsulated(ether_type::TRANSPARENT_ETHERNET, view, header_len + 8)
            }
            ether_type::ERSPAN_III => {
                let has_subheader =
                    view.bytes().get(header_len + 11).is_some_and(|byte| byte & 1 != 0);
                let len = header_len + if has_subheader { 20 } else { 12 };
                self.encapsulated(ether_type::TRANSPARENT_ETHERNET, view, len)
            }
            _ => self.encapsulated(ether_type, view, header_len),
        }
    }

    /// The GRE of PPTP (RFC 2637 §4.1): a payload length and a call, then the numbers of this
    /// packet and of the last one received, each where its flag is set.
    fn pptp(&mut self, view: View<'a>, has_sequence: bool, has_acknowledgement: bool) -> Next<'a> {
        let Some(&[_, _, _, _, l0, l1, _, _]) = view.header() else {
            return self.short(view, 8, MalformedReason::BadTunnel);
        };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let numbers = usize::from(has_sequence) + usize::from(has_acknowledgement);
        let payload = view.skip(8 + 4 * numbers);
        if len > payload.wire_len() {
            return self.fail(MalformedReason::BadTunnel);
        }
        if len == 0 { Next::Stop } else { Next::Ppp(payload.declare(len)) }
    }

    /// What a tunnel header of `header_len` bytes announces by EtherType.
    pub(super) fn encapsulated(
        &mut self,
        ether_type: u16,
        view: View<'a>,
        header_len: usize,
    ) -> Next<'a> {
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
