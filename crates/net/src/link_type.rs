//! Link types: what the first byte of a frame is.

use std::fmt;

/// A link type of the pcap registry (`LINKTYPE_` values,
/// <https://www.tcpdump.org/linktypes.html>), the ones capture files carry.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet, without preamble and checksum.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without the HDLC address and control bytes (RFC 1662).
    pub const PPP: Self = Self(9);
    /// Raw IP as OpenBSD and some Linux programs write it.
    pub const RAW_BSD: Self = Self(12);
    /// Raw IP as OpenBSD's `DLT_RAW` wrote it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPP in HDLC-like framing (RFC 1662).
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session packets without their Ethernet header (RFC 2516).
    pub const PPP_ETHER: Self = Self(51);
    /// LLC over ATM (RFC 1483 §4.1).
    pub const ATM_RFC1483: Self = Self(100);
    /// Raw IP: an IPv4 or IPv6 header first.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC (RFC 1547 §4.3).
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// Frame relay (RFC 2427).
    pub const FRAME_RELAY: Self = Self(107);
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" capture, 16-byte header.
    pub const LINUX_SLL: Self = Self(113);
    /// The log device of pf.
    pub const PFLOG: Self = Self(117);
    /// IEEE 802.11 behind a radiotap header.
    pub const IEEE802_11_RADIOTAP: Self = Self(127);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux netfilter's log (`nflog`): attributes, the packet among them.
    pub const NFLOG: Self = Self(239);
    /// Linux "cooked" capture, 20-byte header.
    pub const LINUX_SLL2: Self = Self(276);

    /// Whether [`decode`](crate::decode()) reads frames of this type.
    pub const fn is_known(self) -> bool {
        self.name().is_some()
    }

    /// The registry's name without `LINKTYPE_`, in lower case, for the types decoded here.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "null",
            Self::ETHERNET => "ethernet",
            Self::PPP => "ppp",
            Self::RAW_BSD | Self::RAW_OPENBSD | Self::RAW => "raw",
            Self::PPP_HDLC => "ppp-hdlc",
            Self::PPP_ETHER => "ppp-ether",
            Self::ATM_RFC1483 => "atm-rfc1483",
            Self::C_HDLC => "c-hdlc",
            Self::IEEE802_11 => "ieee802-11",
            Self::FRAME_RELAY => "frelay",
            Self::LOOP => "loop",
            Self::LINUX_SLL => "linux-sll",
            Self::PFLOG => "pflog",
            Self::IEEE802_11_RADIOTAP => "ieee802-11-radiotap",
            Self::IPV4 => "ipv4",
            Self::IPV6 => "ipv6",
            Self::NFLOG => "nflog",
            Self::LINUX_SLL2 => "linux-sll2",
            _ => return None,
        })
    }
}

/// The name where this crate decodes the type, else the number.
impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
