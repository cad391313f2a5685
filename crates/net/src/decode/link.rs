//! Link layers: how each one says that IP follows.

use crate::{Link, LinkType, MacAddress, MalformedReason, VlanTags};

use super::{Decoder, Next, View};

/// EtherTypes (IEEE 802 numbers) that lead to IP.
pub(super) mod ether_type {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(in super::super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    pub(in super::super) const PPP: u16 = 0x880b;
    pub(in super::super) const MPLS_UNICAST: u16 = 0x8847;
    pub(in super::super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(in super::super) const ERSPAN: u16 = 0x88be;
    pub(in super::super) const ERSPAN_III: u16 = 0x22eb;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const VN_TAG: u16 = 0x8926;
    pub(super) const E_TAG: u16 = 0x893f;
    pub(super) const VLAN: u16 = 0x8100;
    pub(super) const PROVIDER_BRIDGE: u16 = 0x88a8;
    pub(super) const QINQ_OLD: u16 = 0x9100;
}

/// Below this, an EtherType field is an IEEE 802.3 length.
const FIRST_ETHER_TYPE: u16 = 0x0600;

impl<'a> Decoder<'a, '_> {
    /// Reads the link-layer header of a frame.
    pub(super) fn link(&mut self, link: LinkType, view: View<'a>) -> Next<'a> {
        match link {
            LinkType::ETHERNET => self.ethernet(view),
            LinkType::LINUX_SLL => self.cooked(view),
            LinkType::LINUX_SLL2 => self.cooked_v2(view),
            LinkType::RAW | LinkType::RAW_BSD | LinkType::RAW_OPENBSD => Next::Ip(view),
            LinkType::IPV4 => Next::EtherType(ether_type::IPV4, view),
            LinkType::IPV6 => Next::EtherType(ether_type::IPV6, view),
            LinkType::NULL | LinkType::LOOP => self.loopback(view),
            LinkType::PPP | LinkType::PPP_HDLC => Next::Ppp(view),
            LinkType::PPP_ETHER => self.pppoe(view),
            LinkType::C_HDLC => self.cisco_hdlc(view),
            LinkType::FRAME_RELAY => self.frame_relay(view),
            LinkType::ATM_RFC1483 => Next::Llc(view),
            LinkType::IEEE802_11 => self.wireless(view),
            LinkType::IEEE802_11_RADIOTAP => self.radiotap(view),
            LinkType::PFLOG => self.pflog(view),
            LinkType::NFLOG => self.nflog(view),
            _ => self.fail(MalformedReason::UnknownLinkType),
        }
    }

    fn ethernet(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1]) = view.header() else {
            return self.short(view, 14, MalformedReason::ShortLink);
        };
        self.packet.link = Link {
            src: Some(MacAddress([s0, s1, s2, s3, s4, s5])),
            dst: Some(MacAddress([d0, d1, d2, d3, d4, d5])),
            ..self.packet.link
        };
        Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(14))
    }

    /// An Ethernet header inside a tunnel: the link stays the outermost one.
    pub(super) fn inner_ethernet(&mut self, view: View<'a>) -> Next<'a> {
        match view.header::<14>() {
            Some(&[.., t0, t1]) => Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(14)),
            None => self.short(view, 14, MalformedReason::BadTunnel),
        }
    }

    /// Linux cooked capture v1: packet type, ARPHRD, address length, address, protocol.
    fn cooked(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[_, _, _, _, l0, l1, s0, s1, s2, s3, s4, s5, _, _, t0, t1]) = view.header()
        else {
            return self.short(view, 16, MalformedReason::ShortLink);
        };
        if [l0, l1] == [0, 6] {
            self.packet.link.src = Some(MacAddress([s0, s1, s2, s3, s4, s5]));
        }
        Self::cooked_protocol(u16::from_be_bytes([t0, t1]), view.skip(16))
    }

    /// Linux cooked capture v2: protocol, reserved, interface, ARPHRD, packet type, address.
    fn cooked_v2(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[t0, t1, _, _, _, _, _, _, _, _, _, len, s0, s1, s2, s3, s4, s5, _, _]) =
            view.header()
        else {
            return self.short(view, 20, MalformedReason::ShortLink);
        };
        if len == 6 {
            self.packet.link.src = Some(MacAddress([s0, s1, s2, s3, s4, s5]));
        }
        Self::cooked_protocol(u16::from_be_bytes([t0, t1]), view.skip(20))
    }

    /// The protocol field of a cooked header: an EtherType, or 4 for a frame with an LLC header.
    fn cooked_protocol(protocol: u16, view: View<'a>) -> Next<'a> {
        match protocol {
            4 => Next::Llc(view),
            _ if protocol < FIRST_ETHER_TYPE => Next::Stop,
            _ => Next::EtherType(protocol, view),
        }
    }

    /// BSD loopback. The address family is in the capturing host's byte order; its value for IPv6
    /// differs between systems: Linux 10, Windows 23, NetBSD 24, FreeBSD 28, macOS 30.
    fn loopback(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&family) = view.header::<4>() else {
            return self.short(view, 4, MalformedReason::ShortLink);
        };
        let family = u32::from_le_bytes(family).min(u32::from_be_bytes(family));
        Self::family(u8::try_from(family).unwrap_or(0), view.skip(4))
    }

    /// The header of pf's log device: its own length first, then the address family.
    fn pflog(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[len, family]) = view.header() else {
            return self.short(view, 2, MalformedReason::ShortLink);
        };
        // The packet starts at the next multiple of four: the length field leaves the padding out.
        let len = usize::from(len).next_multiple_of(4);
        if len < 4 || len > view.wire_len() {
            return self.fail(MalformedReason::ShortLink);
        }
        Self::family(family, view.skip(len))
    }

    /// Netfilter's log: address family, version 0, and two bytes; then attributes, each with its
    /// length and type in the capturing host's byte order. No field tells which that is, but the
    /// types are below 256: their zero byte does.
    fn nflog(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[family, 0, _, _]) = view.header() else {
            return self.short(view, 4, MalformedReason::ShortLink);
        };
        let mut rest = view.skip(4);
        while let Some(&[l0, l1, t0, t1]) = rest.header() {
            let is_little = t1 == 0;
            let len = if is_little { [l1, l0] } else { [l0, l1] };
            let (len, kind) = (usize::from(u16::from_be_bytes(len)), t0.max(t1));
            if len < 4 || len > rest.wire_len() {
                return self.fail(MalformedReason::ShortLink);
            }
            if kind == 9 {
                return Self::family(family, rest.declare(len).skip(4));
            }
            rest = rest.skip(len.next_multiple_of(4));
        }
        Next::Stop
    }

    fn family(family: u8, view: View<'a>) -> Next<'a> {
        match family {
            2 => Next::EtherType(ether_type::IPV4, view),
            10 | 23 | 24 | 28 | 30 => Next::EtherType(ether_type::IPV6, view),
            _ => Next::Stop,
        }
    }

    /// Cisco HDLC: address 0x0f (unicast) or 0x8f, a zero byte, and an EtherType.
    fn cisco_hdlc(&mut self, view: View<'a>) -> Next<'a> {
        match view.header() {
            Some(&[0x0f | 0x8f, 0, t0, t1]) => {
                Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(4))
            }
            Some(&[_, _, _, _]) => Next::Stop,
            None => self.short(view, 4, MalformedReason::ShortLink),
        }
    }

    /// Follows an EtherType: IP, a VLAN tag, a session of PPPoE, an MPLS stack, or nothing of ours.
    pub(super) fn ether_type(&mut self, ether_type: u16, view: View<'a>) -> Next<'a> {
        match ether_type {
            ether_type::IPV4 => self.versioned_ip(4, view),
            ether_type::IPV6 => self.versioned_ip(6, view),
            ether_type::VLAN | ether_type::PROVIDER_BRIDGE | ether_type::QINQ_OLD => {
                self.vlan(view)
            }
            ether_type::VN_TAG => self.port_extender(4, view),
            ether_type::E_TAG => self.port_extender(6, view),
            ether_type::PPPOE_SESSION => self.pppoe(view),
            ether_type::PPP => Next::Ppp(view),
            ether_type::MPLS_UNICAST | ether_type::MPLS_MULTICAST => self.mpls(view),
            _ if ether_type < FIRST_ETHER_TYPE => Next::Llc(view.up_to(usize::from(ether_type))),
            _ => Next::Stop,
        }
    }

    fn versioned_ip(&mut self, version: u8, view: View<'a>) -> Next<'a> {
        match view.bytes().first() {
            Some(first) if first >> 4 == version => Next::Ip(view),
            Some(_) => self.fail(MalformedReason::BadIpVersion),
            None => self.short(view, 1, MalformedReason::BadIpHeader),
        }
    }

    fn vlan(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[c0, c1, t0, t1]) = view.header() else {
            return self.short(view, 4, MalformedReason::ShortLink);
        };
        self.tag_count += 1;
        if self.tag_count > VlanTags::MAX {
            return self.fail(MalformedReason::TooManyTags);
        }
        let id = u16::from_be_bytes([c0, c1]) & 0x0fff;
        // A tag with identifier 0 carries a priority only, and inner tags are not the link's.
        if id != 0 && self.entered.depth() == 0 {
            self.packet.link.vlans.push(id);
        }
        Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(4))
    }

    /// The tag of a port extender, whose last two bytes are the next EtherType: VN-Tag, or the
    /// E-TAG of IEEE 802.1BR. It says which port of the extender a frame is for, and no VLAN.
    fn port_extender(&mut self, tag_len: usize, view: View<'a>) -> Next<'a> {
        let rest = view.skip(tag_len);
        self.tag_count += 1;
        if self.tag_count > VlanTags::MAX {
            return self.fail(MalformedReason::TooManyTags);
        }
        match rest.header() {
            Some(&[t0, t1]) => Next::EtherType(u16::from_be_bytes([t0, t1]), rest.skip(2)),
            None => self.short(view, tag_len + 2, MalformedReason::ShortLink),
        }
    }

    /// IEEE 802.2 LLC: IP directly (SAP 6), or SNAP with an EtherType (RFC 1042).
    pub(super) fn llc(&mut self, view: View<'a>) -> Next<'a> {
        match view.header::<3>() {
            Some([0xaa, 0xaa, 0x03]) => match view.header::<8>() {
                Some(&[_, _, _, 0, 0, 0 | 0xf8, t0, t1]) => {
                    Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(8))
                }
                Some(_) => Next::Stop,
                None => self.short(view, 8, MalformedReason::ShortLink),
            },
            Some([0x06, 0x06, 0x03]) => Next::EtherType(ether_type::IPV4, view.skip(3)),
            Some(_) => Next::Stop,
            None => self.short(view, 3, MalformedReason::ShortLink),
        }
    }

    /// A PPP protocol field, which may follow HDLC's address and control bytes and may be
    /// compressed to one byte (RFC 1661 §6.5).
    pub(super) fn ppp(&mut self, view: View<'a>) -> Next<'a> {
        let view = if view.bytes().starts_with(&[0xff, 0x03]) { view.skip(2) } else { view };
        let (protocol, rest) = match *view.bytes() {
            [first, ..] if first & 1 == 1 => (u16::from(first), view.skip(1)),
            [first, second, ..] => (u16::from_be_bytes([first, second]), view.skip(2)),
            _ => return self.short(view, 2, MalformedReason::ShortLink),
        };
        match protocol {
            0x0021 => Next::EtherType(ether_type::IPV4, rest),
            0x0057 => Next::EtherType(ether_type::IPV6, rest),
            0x0281 | 0x0283 => Next::EtherType(ether_type::MPLS_UNICAST, rest),
            _ => Next::Stop,
        }
    }
}
