//! What a decoded frame says: link, tunnels, network layer and transport.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{FiveTuple, Protocol};

/// One decoded frame, borrowed from its bytes.
///
/// Decoding goes as far as the captured bytes allow: a frame cut by a snap length yields the layers
/// that are whole, and [`Packet::truncated`] says that more was on the wire.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Packet<'a> {
    /// Link-layer addresses and VLAN tags; empty where the link type has none.
    pub link: Link,
    /// Tunnels entered on the way to [`Packet::network`], outermost first.
    pub tunnels: TunnelStack,
    /// The IP layer that is judged; `None` for a frame that carries no IP.
    pub network: Option<Network<'a>>,
    /// The transport layer of [`Packet::network`].
    pub transport: Transport<'a>,
    /// The first way in which the frame contradicts itself; layers read before and after it stand.
    ///
    /// A frame cut by the capture is not malformed: the sender is not to blame.
    pub malformed: Option<MalformedReason>,
    /// Whether the capture holds fewer bytes than were on the wire.
    pub truncated: bool,
}

impl Packet<'_> {
    /// A frame of which nothing was read yet.
    pub(crate) const EMPTY: Self = Self {
        link: Link { src: None, dst: None, vlans: VlanTags { ids: [0; VlanTags::MAX], count: 0 } },
        tunnels: TunnelStack { kinds: [None; TunnelStack::MAX] },
        network: None,
        transport: Transport::Absent,
        malformed: None,
        truncated: false,
    };

    /// The flow this packet belongs to; `None` without an IP layer.
    ///
    /// Fragments after the first, and transports without ports, give port 0. ICMP queries give
    /// their identifier as both ports.
    pub fn five_tuple(&self) -> Option<FiveTuple> {
        let network = self.network.as_ref()?;
        let (src_port, dst_port) = match &self.transport {
            Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port),
            Transport::Udp(udp) => (udp.src_port, udp.dst_port),
            Transport::Sctp(sctp) => (sctp.src_port, sctp.dst_port),
            Transport::Icmp(icmp) => icmp.id.map_or((0, 0), |id| (id, id)),
            Transport::Other(bytes) if network.protocol.has_ports() => leading_ports(bytes),
            Transport::Other(_) | Transport::Absent => (0, 0),
        };
        let Network { src, dst, protocol, .. } = *network;
        Some(FiveTuple { src, dst, src_port, dst_port, protocol })
    }
}

/// The ports every transport with ports starts with; 0 and 0 when they were not captured.
fn leading_ports(bytes: &[u8]) -> (u16, u16) {
    let ports = bytes.first_chunk::<4>();
    ports.map_or((0, 0), |&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

/// Link-layer addresses and VLAN tags.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// Source MAC address.
    pub src: Option<MacAddress>,
    /// Destination MAC address.
    pub dst: Option<MacAddress>,
    /// VLAN identifiers, outermost first.
    pub vlans: VlanTags,
}

/// Up to four VLAN identifiers (IEEE 802.1Q, 802.1ad), outermost first.
///
/// Identifier 0 marks a priority tag, which names no VLAN: it is never held.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct VlanTags {
    ids: [u16; Self::MAX],
    count: u8,
}

impl VlanTags {
    /// More tags than this stop the decoding with [`MalformedReason::TooManyTags`].
    pub const MAX: usize = 4;

    /// Adds a tag inside the present ones; `false` when [`VlanTags::MAX`] are held already.
    pub fn push(&mut self, id: u16) -> bool {
        let Some(slot) = self.ids.get_mut(usize::from(self.count)) else { return false };
        *slot = id & 0x0fff;
        self.count += 1;
        true
    }

    /// The identifiers, outermost first.
    pub fn as_slice(&self) -> &[u16] {
        &self.ids[..usize::from(self.count)]
    }
}

/// An IEEE 802 MAC-48 address.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ":" };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A tunnel header between the link and the judged IP layer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum TunnelKind {
    /// PPP over Ethernet (RFC 2516).
    Pppoe,
    /// MPLS label stack (RFC 3032).
    Mpls,
    /// GRE (RFC 2784, RFC 2890), over UDP too (RFC 8086), with mirrored frames (ERSPAN) or PPP
    /// (PPTP, RFC 2637) inside.
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// Geneve (RFC 8926).
    Geneve,
    /// IPv4 or IPv6 in IPv4 or IPv6 (RFC 2003, RFC 2473).
    IpInIp,
    /// IPv6 in IPv4 (RFC 4213).
    SixInFour,
    /// GTP-U (3GPP TS 29.281).
    GtpU,
    /// Teredo (RFC 4380).
    Teredo,
    /// AYIYA (draft-massar-v6ops-ayiya).
    Ayiya,
}

impl TunnelKind {
    /// Every kind, in the order reports print them.
    pub const ALL: [Self; 10] = [
        Self::Pppoe,
        Self::Mpls,
        Self::Gre,
        Self::Vxlan,
        Self::Geneve,
        Self::IpInIp,
        Self::SixInFour,
        Self::GtpU,
        Self::Teredo,
        Self::Ayiya,
    ];

    /// The name that appears in configuration and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pppoe => "pppoe",
            Self::Mpls => "mpls",
            Self::Gre => "gre",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::IpInIp => "ip-in-ip",
            Self::SixInFour => "6in4",
            Self::GtpU => "gtp-u",
            Self::Teredo => "teredo",
            Self::Ayiya => "ayiya",
        }
    }
}

impl fmt::Display for TunnelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The tunnels entered, outermost first; at most [`TunnelStack::MAX`].
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct TunnelStack {
    kinds: [Option<TunnelKind>; Self::MAX],
}

impl TunnelStack {
    /// The deepest nesting the stack can describe; configuration may set a lower limit.
    pub const MAX: usize = 8;

    /// Enters one more tunnel; `false` when [`TunnelStack::MAX`] are held already.
    pub fn push(&mut self, kind: TunnelKind) -> bool {
        let free = self.kinds.iter_mut().find(|slot| slot.is_none());
        free.map(|slot| *slot = Some(kind)).is_some()
    }

    /// How many tunnels were entered.
    pub fn depth(&self) -> usize {
        self.iter().count()
    }

    /// The tunnels, outermost first.
    pub fn iter(&self) -> impl Iterator<Item = TunnelKind> + '_ {
        self.kinds.iter().flatten().copied()
    }
}

/// The IP layer that is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network<'a> {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// The upper-layer protocol, after any IPv6 extension headers.
    ///
    /// Where they cannot be followed to their end (a later fragment, a cut capture, a limit), the
    /// number of the first header that was not read. An Authentication Header is an extension
    /// header in IPv6 (RFC 8200 §4) and the protocol itself in IPv4, as packet filters have it.
    pub protocol: Protocol,
    /// Time to live, or IPv6 hop limit.
    pub ttl: u8,
    /// Set when this packet is a fragment.
    pub fragment: Option<FragmentHeader>,
    /// Whether IPv4 source routing (loose or strict) or an IPv6 type 0 routing header is present.
    pub source_routed: bool,
    /// The IP header with its options or extension headers: every byte before `payload`.
    pub header: &'a [u8],
    /// Bytes after `header` that were captured, without link-layer padding.
    ///
    /// In a fragment they are the fragmentable part (RFC 8200 §4.5): extension headers that follow
    /// the Fragment header are in them.
    pub payload: &'a [u8],
    /// Length of `payload` on the wire, in bytes, as the header declares it.
    ///
    /// An IPv4 total length or IPv6 payload length of 0, which segmentation offload leaves in
    /// captures of the sending host, counts as the rest of the frame.
    pub payload_len: u32,
}

impl Network<'_> {
    /// Whether an Authentication Header (RFC 4302) is among the IPv6 extension headers.
    pub fn is_authenticated(&self) -> bool {
        let Some((base, extensions)) = self.header.split_first_chunk::<40>() else { return false };
        let (mut kind, mut rest) = (Protocol(base[6]), extensions);
        while let [next, words, ..] = *rest
            && self.src.is_ipv6()
        {
            if kind == Protocol::AH {
                return true;
            }
            kind = Protocol(next);
            rest = rest.get((usize::from(words) + 1) * 8..).unwrap_or_default();
        }
        false
    }
}

/// Where a fragment belongs in its datagram.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FragmentHeader {
    /// Identification: 16 bits for IPv4, 32 for IPv6.
    pub id: u32,
    /// Offset of the payload in the datagram's payload, in bytes.
    pub offset_bytes: u32,
    /// Whether more fragments follow.
    pub more: bool,
    /// What the fragmentable part starts with: the IPv4 protocol, or the Next Header of the IPv6
    /// Fragment header.
    pub next: Protocol,
}

/// The transport layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport<'a> {
    /// A TCP segment.
    Tcp(TcpSegment<'a>),
    /// A UDP datagram.
    Udp(UdpDatagram<'a>),
    /// An SCTP packet.
    Sctp(SctpHeader<'a>),
    /// An ICMP message of either family.
    Icmp(IcmpMessage<'a>),
    /// Another protocol (GRE, ESP, AH, …), with its bytes.
    Other(&'a [u8]),
    /// No transport header: a later fragment, a cut capture, or no IP at all.
    Absent,
}

impl<'a> Transport<'a> {
    /// The application bytes captured.
    pub fn payload(&self) -> &'a [u8] {
        match self {
            Self::Tcp(tcp) => tcp.payload,
            Self::Udp(udp) => udp.payload,
            Self::Sctp(sctp) => sctp.payload,
            Self::Icmp(icmp) => icmp.payload,
            Self::Other(bytes) => bytes,
            Self::Absent => &[],
        }
    }
}

/// A TCP segment (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TcpSegment<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number; meaningful with [`TcpFlags::ACK`].
    pub acknowledgement: u32,
    /// Control flags.
    pub flags: TcpFlags,
    /// Receive window as sent, unscaled.
    pub window: u16,
    /// Maximum segment size option, in bytes (RFC 9293 §3.7.1).
    pub mss: Option<u16>,
    /// Window scale option: the shift count, at most 14 (RFC 7323 §2.2, §2.3).
    pub window_scale: Option<u8>,
    /// Whether the SACK-permitted option is present (RFC 2018 §2).
    pub sack_permitted: bool,
    /// SACK blocks (RFC 2018 §3).
    pub sack: SackBlocks,
    /// Whether the timestamps option is present (RFC 7323 §3.2).
    pub timestamps: bool,
    /// Payload bytes captured.
    pub payload: &'a [u8],
    /// Payload bytes on the wire: what sequence numbers advance by.
    pub payload_len: u32,
}

/// Up to four SACK blocks, each `left..right` in sequence space.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SackBlocks {
    blocks: [(u32, u32); 4],
    count: u8,
}

impl SackBlocks {
    /// Adds a block; the option has room for four, further ones are ignored.
    pub fn push(&mut self, left: u32, right: u32) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.count)) {
            *slot = (left, right);
            self.count += 1;
        }
    }

    /// The blocks in the order received.
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.blocks[..usize::from(self.count)]
    }
}

/// TCP control flags (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// Whether every flag of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any flag of `other` is set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `syn|ack`, in the order of the bits from FIN on; `none` without any.
impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];
        if self.0 == 0 {
            return f.write_str("none");
        }
        let set = (0..8).zip(NAMES).filter(|(bit, _)| self.0 >> bit & 1 == 1);
        for (index, (_, name)) in set.enumerate() {
            f.write_str(if index == 0 { "" } else { "|" })?;
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// A UDP datagram (RFC 768).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Payload bytes captured.
    pub payload: &'a [u8],
}

/// An SCTP packet (RFC 9260 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SctpHeader<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub verification_tag: u32,
    /// Type of the first chunk (1 is INIT, 2 INIT ACK, …); `None` when it was not captured.
    pub first_chunk: Option<u8>,
    /// The chunks captured.
    pub payload: &'a [u8],
}

/// An ICMP message of either family (RFC 792, RFC 4443).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IcmpMessage<'a> {
    /// Message type.
    pub kind: u8,
    /// Message code.
    pub code: u8,
    /// Identifier of a query (echo, timestamp, address mask, information, node information);
    /// `None` for the rest.
    pub id: Option<u16>,
    /// Whether this message asks (`true`) or answers, for those with an identifier.
    pub request: bool,
    /// The packet quoted by an error message.
    pub quoted: Option<Quoted>,
    /// Bytes after the 8-byte ICMP header.
    pub payload: &'a [u8],
}

/// The type of the ICMP query that a message of this type answers; `None` for one that is no
/// answer (RFC 792, RFC 950, RFC 4443, RFC 4620). The numbers of both families are apart.
pub const fn icmp_query_of(kind: u8) -> Option<u8> {
    match kind {
        0 => Some(8),
        14 | 16 | 18 | 129 | 140 => Some(kind - 1),
        _ => None,
    }
}

/// The type of an ICMP echo message in the other family (RFC 7915 §4.2, §5.2); `None` for other
/// messages.
pub const fn icmp_across(kind: u8) -> Option<u8> {
    match kind {
        8 => Some(128),
        0 => Some(129),
        128 => Some(8),
        129 => Some(0),
        _ => None,
    }
}

/// The packet an ICMP error quotes, as far as it can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quoted {
    /// The flow of the quoted packet, in the direction in which it was sent.
    pub flow: FiveTuple,
    /// Whether `flow` is whole: false when a quote too short, or of a later fragment, hides the
    /// ports or the identifier. True for protocols without ports, where the IP header is whole.
    pub ports_known: bool,
    /// Sequence number of a quoted TCP segment.
    pub tcp_sequence: Option<u32>,
    /// Type of a quoted ICMP query or answer.
    pub icmp_kind: Option<u8>,
}

/// How a frame contradicts itself, or why it could not be decoded to its transport layer.
///
/// One counter exists for each variant; a malformed frame is a decision, not an error.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum MalformedReason {
    /// The link type is not one this crate decodes.
    UnknownLinkType,
    /// The frame ends inside the link-layer header.
    ShortLink,
    /// More VLAN tags than [`VlanTags::MAX`].
    TooManyTags,
    /// Tunnels nested deeper than the limit.
    TunnelTooDeep,
    /// The frame ends inside a tunnel header, or the header contradicts itself.
    BadTunnel,
    /// The IP version is neither 4 nor 6, or contradicts the link layer.
    BadIpVersion,
    /// The IP header is cut or contradicts itself.
    BadIpHeader,
    /// The IP packet is longer than the frame and the capture is not cut.
    LengthBeyondFrame,
    /// IPv6 extension headers beyond the limit, or cut.
    BadExtensionHeader,
    /// A fragment whose size or offset is impossible.
    BadFragment,
    /// The transport header is cut or contradicts itself.
    BadTransport,
}

impl MalformedReason {
    /// Every variant, in the order counters are printed.
    pub const ALL: [Self; 11] = [
        Self::UnknownLinkType,
        Self::ShortLink,
        Self::TooManyTags,
        Self::TunnelTooDeep,
        Self::BadTunnel,
        Self::BadIpVersion,
        Self::BadIpHeader,
        Self::LengthBeyondFrame,
        Self::BadExtensionHeader,
        Self::BadFragment,
        Self::BadTransport,
    ];

    /// The name that appears in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownLinkType => "unknown-link-type",
            Self::ShortLink => "short-link",
            Self::TooManyTags => "too-many-tags",
            Self::TunnelTooDeep => "tunnel-too-deep",
            Self::BadTunnel => "bad-tunnel",
            Self::BadIpVersion => "bad-ip-version",
            Self::BadIpHeader => "bad-ip-header",
            Self::LengthBeyondFrame => "length-beyond-frame",
            Self::BadExtensionHeader => "bad-extension-header",
            Self::BadFragment => "bad-fragment",
            Self::BadTransport => "bad-transport",
        }
    }
}

impl fmt::Display for MalformedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
