//! What tells two ends that a packet was refused: TCP resets and ICMP errors, from an IP header on.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::icmpv6::DestUnreachableCode;
use etherparse::{Icmpv4Type, Icmpv6Type, IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};

use crate::{FiveTuple, Network, Packet, TcpFlags, TcpSegment, Transport};

/// Hops an answer may take: the value RFC 1700 recommends.
const TTL: u8 = 64;

/// A reset for the sender of a TCP segment, as a closed port answers (RFC 9293 §3.10.7.1).
///
/// `None` where there is nothing to reset: for another protocol, a segment that is a reset, and a
/// packet that no single host has sent or is to receive. Allocates the answer.
pub fn reset_to_sender(packet: &Packet<'_>) -> Option<Vec<u8>> {
    let segment = resettable(packet)?;
    let flow = packet.five_tuple()?.reverse();
    if segment.flags.contains(TcpFlags::ACK) {
        return reset(&flow, segment.acknowledgement, None);
    }
    let ends = [TcpFlags::SYN, TcpFlags::FIN].map(|flag| u32::from(segment.flags.contains(flag)));
    let length = ends.iter().fold(segment.payload_len, |sum, end| sum.wrapping_add(*end));
    reset(&flow, 0, Some(segment.sequence.wrapping_add(length)))
}

/// A reset for the receiver of a TCP segment, as from its sender, between the ends of `flow`: those
/// the receiver knows. `None` as of [`reset_to_sender`], and for a first SYN, of which the receiver
/// has not heard.
pub fn reset_to_receiver(packet: &Packet<'_>, flow: &FiveTuple) -> Option<Vec<u8>> {
    let segment = resettable(packet)?;
    let acknowledges = segment.flags.contains(TcpFlags::ACK);
    if segment.flags.contains(TcpFlags::SYN) && !acknowledges {
        return None;
    }
    reset(flow, segment.sequence, acknowledges.then_some(segment.acknowledgement))
}

fn reset(flow: &FiveTuple, sequence: u32, acknowledgement: Option<u32>) -> Option<Vec<u8>> {
    let header = TcpHeader {
        rst: true,
        ack: acknowledgement.is_some(),
        acknowledgment_number: acknowledgement.unwrap_or(0),
        ..TcpHeader::new(flow.src_port, flow.dst_port, sequence, 0)
    };
    let mut answer = Vec::new();
    ip(flow.src, flow.dst)?.tcp_header(header).write(&mut answer, &[]).ok()?;
    Some(answer)
}

/// An ICMP error, *communication administratively prohibited* (RFC 1812 §5.2.7.1, RFC 4443 §3.1),
/// for the sender of a packet, as from the address `own`.
///
/// `None` where RFC 1122 §3.2.2 and RFC 4443 §2.4 forbid one: about ICMP other than queries, a
/// later fragment, and a packet that no single host has sent or is to receive. The quote is as long
/// as they say: the error has at most 576 bytes in IPv4, 1,280 in IPv6.
pub fn prohibited(packet: &Packet<'_>, own: IpAddr) -> Option<Vec<u8>> {
    let network = answerable(packet)?;
    if network.protocol.is_icmp()
        && !matches!(&packet.transport, Transport::Icmp(message) if message.request)
    {
        return None;
    }
    let header = ip(own, network.src)?;
    let mut quoted = [network.header, network.payload].concat();
    let mut answer = Vec::new();
    let written = if own.is_ipv4() {
        quoted.truncate(576 - 28);
        let kind = Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::FilterProhibited);
        header.icmpv4(kind).write(&mut answer, &quoted)
    } else {
        quoted.truncate(1280 - 48);
        let kind = Icmpv6Type::DestinationUnreachable(DestUnreachableCode::Prohibited);
        header.icmpv6(kind).write(&mut answer, &quoted)
    };
    written.ok().map(|()| answer)
}

fn resettable<'p, 'a>(packet: &'p Packet<'a>) -> Option<&'p TcpSegment<'a>> {
    answerable(packet)?;
    match &packet.transport {
        Transport::Tcp(segment) => Some(segment).filter(|it| !it.flags.contains(TcpFlags::RST)),
        _ => None,
    }
}

/// The IP layer of a packet from one host to another, in no tunnel, and no later fragment.
fn answerable<'p, 'a>(packet: &'p Packet<'a>) -> Option<&'p Network<'a>> {
    let network = packet.network.as_ref().filter(|_| packet.tunnels.depth() == 0)?;
    let is_later = network.fragment.is_some_and(|fragment| fragment.offset_bytes > 0);
    (!is_later && is_host(network.src) && is_host(network.dst)).then_some(network)
}

fn is_host(address: IpAddr) -> bool {
    let is_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

/// The start of an answer; `None` between addresses of two families.
fn ip(src: IpAddr, dst: IpAddr) -> Option<PacketBuilderStep<IpHeaders>> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            Some(PacketBuilder::ipv4(src.octets(), dst.octets(), TTL))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            Some(PacketBuilder::ipv6(src.octets(), dst.octets(), TTL))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ChecksumVerdict, DecodeLimits, LinkType, decode, ip_header_checksum, transport_checksum,
    };

    /// A packet from its IP header on.
    fn packet(
        src: &str,
        dst: &str,
        rest: impl FnOnce(PacketBuilderStep<IpHeaders>) -> Vec<u8>,
    ) -> Vec<u8> {
        rest(ip(src.parse().unwrap(), dst.parse().unwrap()).unwrap())
    }

    fn segment(src: &str, dst: &str, header: TcpHeader, payload: &[u8]) -> Vec<u8> {
        packet(src, dst, |ip| {
            let mut bytes = Vec::new();
            ip.tcp_header(header).write(&mut bytes, payload).unwrap();
            bytes
        })
    }

    fn read(bytes: &[u8]) -> Packet<'_> {
        decode(LinkType::RAW, bytes, bytes.len(), &DecodeLimits::default())
    }

    /// The flow of an answer, whose checksums have to be right, and what it says.
    #[track_caller]
    fn said(answer: &[u8]) -> String {
        let packet = read(answer);
        let network = packet.network.as_ref().unwrap();
        assert_ne!(ip_header_checksum(network), ChecksumVerdict::Invalid);
        assert_eq!(transport_checksum(network), ChecksumVerdict::Valid);
        assert_eq!(packet.malformed, None);
        let flow = packet.five_tuple().unwrap();
        match &packet.transport {
            Transport::Tcp(tcp) => {
                let TcpSegment { flags, sequence, acknowledgement, .. } = tcp;
                assert!(flags.contains(TcpFlags::RST) && tcp.payload_len == 0);
                let acknowledges = flags.contains(TcpFlags::ACK).then_some(acknowledgement);
                format!("{flow} {sequence} {acknowledges:?}")
            }
            Transport::Icmp(message) => {
                let quoted = message.quoted.as_ref().unwrap();
                format!("{flow} {}/{} {}", message.kind, message.code, quoted.flow)
            }
            other => format!("{other:?}"),
        }
    }

    const CLIENTS: [[&str; 2]; 2] = [["192.0.2.7", "198.51.100.9"], ["2001:db8::7", "2001:db8::9"]];

    #[test]
    fn a_segment_is_answered_as_by_a_closed_port() {
        for [src, dst] in CLIENTS {
            let bracket = |text: &str| {
                if text.contains(':') { format!("[{text}]") } else { text.to_owned() }
            };
            let (here, there) = (bracket(src), bracket(dst));
            let syn = TcpHeader { syn: true, ..TcpHeader::new(4000, 80, 100, 9) };
            let first = segment(src, dst, syn, b"fast");
            let back = reset_to_sender(&read(&first)).unwrap();
            assert_eq!(said(&back), format!("tcp {there}:80 > {here}:4000 0 Some(105)"));
            let flow = read(&first).five_tuple().unwrap();
            assert_eq!(reset_to_receiver(&read(&first), &flow), None);

            let later = TcpHeader {
                ack: true,
                acknowledgment_number: 7,
                ..TcpHeader::new(4000, 80, u32::MAX, 9)
            };
            let later = segment(src, dst, later, b"more");
            let back = reset_to_sender(&read(&later)).unwrap();
            assert_eq!(said(&back), format!("tcp {there}:80 > {here}:4000 7 None"));
            let hidden = FiveTuple { src_port: 2000, ..flow };
            let onward = reset_to_receiver(&read(&later), &hidden).unwrap();
            assert_eq!(said(&onward), format!("tcp {here}:2000 > {there}:80 4294967295 Some(7)"));

            let reset = TcpHeader { rst: true, ..TcpHeader::new(4000, 80, 100, 9) };
            let reset = segment(src, dst, reset, b"");
            assert_eq!(reset_to_sender(&read(&reset)), None);
            assert_eq!(reset_to_receiver(&read(&reset), &flow), None);
        }
    }

    #[test]
    fn an_error_quotes_what_fits_and_is_never_about_an_error() {
        for ([src, dst], own, most) in
            [(CLIENTS[0], "192.0.2.1", 576), (CLIENTS[1], "2001:db8::1", 1280)]
        {
            let own: IpAddr = own.parse().unwrap();
            let long = packet(src, dst, |ip| {
                let mut bytes = Vec::new();
                ip.udp(4000, 53).write(&mut bytes, &[7; 1300]).unwrap();
                bytes
            });
            let error = prohibited(&read(&long), own).unwrap();
            assert_eq!(error.len(), most);
            let flow = read(&long).five_tuple().unwrap();
            let (name, kinds) = if own.is_ipv4() { ("icmp", "3/13") } else { ("icmpv6", "1/1") };
            assert_eq!(said(&error), format!("{name} {own} > {src} {kinds} {flow}"));
            assert_eq!(prohibited(&read(&error), own), None, "about an error");
            let other = if own.is_ipv4() { CLIENTS[1][0] } else { CLIENTS[0][0] };
            assert_eq!(prohibited(&read(&long), other.parse().unwrap()), None);
        }
        for (src, dst) in
            [("192.0.2.7", "224.0.0.1"), ("0.0.0.0", "192.0.2.1"), ("192.0.2.7", "255.255.255.255")]
        {
            let bytes = packet(src, dst, |ip| {
                let mut bytes = Vec::new();
                ip.udp(4000, 53).write(&mut bytes, b"x").unwrap();
                bytes
            });
            assert_eq!(prohibited(&read(&bytes), [192, 0, 2, 1].into()), None, "{src} > {dst}");
        }
    }
}
