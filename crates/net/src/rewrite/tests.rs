use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{Icmpv4Type, Icmpv6Type, IpNumber, PacketBuilder};
use proptest::prelude::*;

use super::*;
use crate::{DecodeLimits, LinkType, decode};

const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 7], [198, 51, 100, 9]);

fn v6(last: u8) -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).octets()
}

/// A packet from the IP header on, of the kind asked for.
fn packet(v6_addresses: bool, kind: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    macro_rules! build {
        ($ip:expr) => {
            match kind {
                0 => $ip.tcp(ports.0, ports.1, 7, 64).write(&mut bytes, payload),
                1 => $ip.udp(ports.0, ports.1).write(&mut bytes, payload),
                2 if v6_addresses => {
                    let echo = etherparse::IcmpEchoHeader { id: ports.0, seq: 3 };
                    $ip.icmpv6(Icmpv6Type::EchoRequest(echo)).write(&mut bytes, payload)
                }
                2 => {
                    let echo = etherparse::IcmpEchoHeader { id: ports.0, seq: 3 };
                    $ip.icmpv4(Icmpv4Type::EchoRequest(echo)).write(&mut bytes, payload)
                }
                3 => {
                    let mut sctp = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes()].concat();
                    sctp.extend([0, 0, 0, 9, 0, 0, 0, 0]);
                    sctp.extend(payload);
                    let checksum = sctp_checksum(&sctp).unwrap_or_default();
                    sctp[8..12].copy_from_slice(&checksum);
                    $ip.write(&mut bytes, IpNumber(132), &sctp)
                }
                4 | 5 => {
                    // UDP-Lite whose checksum covers all, or DCCP: both keep it in the same place.
                    let protocol = if kind == 4 { 136 } else { 33 };
                    let mut body = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
                    body.extend([if kind == 4 { 0 } else { 4 }, 0, 0, 0]);
                    body.extend(payload);
                    let (src, dst) = if v6_addresses {
                        (v6(7).to_vec(), v6(9).to_vec())
                    } else {
                        (V4.0.to_vec(), V4.1.to_vec())
                    };
                    let len = body.len() as u16;
                    let sum = [&src[..], &dst, &[0, protocol], &len.to_be_bytes(), &body].concat();
                    let words = sum.chunks(2).map(|word| {
                        u32::from(word[0]) << 8 | word.get(1).map_or(0, |byte| (*byte).into())
                    });
                    let left = 0xffff - (words.sum::<u32>() % 0xffff) as u16;
                    body[6..8].copy_from_slice(&left.to_be_bytes());
                    $ip.write(&mut bytes, IpNumber(protocol), &body)
                }
                _ => $ip.write(&mut bytes, IpNumber(47), payload),
            }
        };
    }
    let written = if v6_addresses {
        build!(PacketBuilder::ipv6(v6(7), v6(9), 64))
    } else {
        build!(PacketBuilder::ipv4(V4.0, V4.1, 64))
    };
    assert!(written.is_ok());
    bytes
}

/// Whether the checksums of a whole packet agree, summed word by word as RFC 1071 §1 has it, and
/// SCTP's bit by bit (RFC 9260, appendix A): nothing here is what `rewrite` uses.
fn is_valid(packet: &[u8]) -> bool {
    let sum = |bytes: &[u8]| {
        let words = bytes.chunks(2);
        let words =
            words.map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |b| (*b).into()));
        words.sum::<u32>()
    };
    let folded = |sum: u32| sum.is_multiple_of(0xffff) && sum != 0;
    let (header, protocol, addresses) = if packet[0] >> 4 == 4 {
        (20, packet[9], &packet[12..20])
    } else {
        (40, packet[6], &packet[8..40])
    };
    let transport = &packet[header..];
    let pseudo = sum(addresses) + u32::from(protocol) + transport.len() as u32;
    let agrees = match protocol {
        1 => folded(sum(transport)),
        17 if transport[6..8] == [0, 0] => true,
        6 | 17 | 33 | 58 => folded(sum(transport) + pseudo),
        // A checksum of 0 is not allowed (RFC 3828 §3.1).
        136 => folded(sum(transport) + pseudo) && transport[6..8] != [0, 0],
        132 => {
            let mut crc = u32::MAX;
            for (at, byte) in transport.iter().enumerate() {
                crc ^= u32::from(if (8..12).contains(&at) { 0 } else { *byte });
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                }
            }
            (!crc).to_le_bytes() == transport[8..12]
        }
        _ => true,
    };
    agrees && (packet[0] >> 4 == 6 || folded(sum(&packet[..20])))
}

/// Whether the checksums of a packet agree, and its flow.
fn told(packet: &[u8]) -> (bool, FiveTuple) {
    let decoded = decode(LinkType::RAW, packet, packet.len(), &DecodeLimits::default());
    (is_valid(packet), decoded.five_tuple().unwrap_or_else(|| unreachable!("{decoded:?}")))
}

fn flow(is_v6: bool, hosts: (u32, u32), ports: (u16, u16), like: FiveTuple) -> FiveTuple {
    let address = |host: u32| {
        if is_v6 {
            IpAddr::V6(Ipv6Addr::from_bits(u128::from(host) << 70 | u128::from(host)))
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(host))
        }
    };
    let (src_port, dst_port) = match like.protocol {
        protocol if protocol.is_icmp() => (ports.0, ports.0),
        protocol if protocol.has_ports() => ports,
        _ => (0, 0),
    };
    let (src, dst) = (address(hosts.0), address(hosts.1));
    FiveTuple { src, dst, src_port, dst_port, ..like }
}

/// What a router answers about a packet.
fn error_about(is_v6: bool, quote: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = if is_v6 {
        let unreachable = Icmpv6Type::Unknown { type_u8: 1, code_u8: 3, bytes5to8: [0; 4] };
        let ip = PacketBuilder::ipv6(v6(1), v6(7), 64);
        ip.icmpv6(unreachable).write(&mut bytes, quote)
    } else {
        let unreachable = Icmpv4Type::Unknown { type_u8: 3, code_u8: 1, bytes5to8: [0; 4] };
        let ip = PacketBuilder::ipv4([192, 0, 2, 1], V4.0, 64);
        ip.icmpv4(unreachable).write(&mut bytes, quote)
    };
    assert!(written.is_ok());
    bytes
}

fn ports() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![any::<(u16, u16)>(), (0..3u16, 0..3u16), (0xfffd..=u16::MAX, 0xfffd..=u16::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_translated_packet_is_valid_and_translates_back(
        is_v6: bool,
        kind in 0..7u8,
        (old, new) in (ports(), ports()),
        hosts in any::<(u32, u32)>(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let original = packet(is_v6, kind, old, &payload);
        let (valid, before) = told(&original);
        prop_assert!(valid);
        let wanted = flow(is_v6, hosts, new, before);
        let mut changed = original.clone();
        prop_assert_eq!(rewrite(&mut changed, &Rewrite { flow: wanted, quoted: None }), Ok(()));
        prop_assert_eq!(told(&changed), (true, wanted));
        prop_assert_eq!(rewrite(&mut changed, &Rewrite { flow: before, quoted: None }), Ok(()));
        // Ones' complement has two zeros: what comes back is as valid, and otherwise the same.
        prop_assert_eq!(told(&changed), (true, before));
        let differ = changed.iter().zip(&original).filter(|(a, b)| a != b);
        prop_assert!(differ.clone().count() <= 4 && differ.clone().all(|(a, b)| a ^ b == 255));
    }

    #[test]
    fn an_error_is_translated_with_its_quote(
        is_v6: bool,
        kind in 0..3u8,
        (old, new) in (ports(), ports()),
        hosts in any::<(u32, u32)>(),
        // Half a checksum at the end of a quote is left as it is.
        words in 4..30usize,
    ) {
        let sent = packet(is_v6, kind, old, &[5; 40]);
        let header = if is_v6 { 40 } else { 20 };
        let mut error = error_about(is_v6, &sent[..(header + 2 * words).min(sent.len())]);
        let (valid, outer) = told(&error);
        prop_assert!(valid);
        let (_, quoted) = told(&sent);
        let after = flow(is_v6, hosts, new, quoted);
        let to = Rewrite { flow: FiveTuple { dst: after.src, ..outer }, quoted: Some(after) };
        prop_assert_eq!(rewrite(&mut error, &to), Ok(()));
        let decoded = decode(LinkType::RAW, &error, error.len(), &DecodeLimits::default());
        prop_assert_eq!(told(&error), (true, to.flow));
        let crate::Transport::Icmp(message) = decoded.transport else { unreachable!() };
        prop_assert_eq!(message.quoted.map(|quoted| quoted.flow), Some(after));
        // The quote is what the packet would have been, had it been sent so.
        let mut sent = sent;
        prop_assert_eq!(rewrite(&mut sent, &Rewrite { flow: after, quoted: None }), Ok(()));
        prop_assert_eq!(message.payload, &sent[..message.payload.len()]);
    }

    #[test]
    fn any_bytes_are_translated_or_left(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        version in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60]),
        protocol in prop::sample::select(vec![1u8, 6, 17, 33, 43, 44, 51, 58, 60, 132, 136]),
        with_quote: bool,
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = version;
        }
        let is_v6 = version == 0x60;
        if let Some(next) = bytes.get_mut(if is_v6 { 6 } else { 9 }) {
            *next = protocol;
        }
        let before = bytes.clone();
        let like = FiveTuple {
            src: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            src_port: 0,
            dst_port: 0,
            protocol: Protocol(protocol),
        };
        let wanted = flow(is_v6, (1, 2), (3, 4), like);
        let to = Rewrite { flow: wanted, quoted: with_quote.then_some(wanted) };
        let done = rewrite(&mut bytes, &to);
        prop_assert!(done.is_ok() || bytes == before);
    }
}

#[test]
fn only_the_first_fragment_has_ports() {
    let mut packet = packet(false, 1, (1000, 53), &[1; 32]);
    // A later fragment, of eight bytes on.
    packet[7] = 1;
    let transport = packet[20..].to_vec();
    let (_, like) = told(&packet);
    let wanted = flow(false, (1, 2), (3, 4), FiveTuple { protocol: Protocol::UDP, ..like });
    assert_eq!(rewrite(&mut packet, &Rewrite { flow: wanted, quoted: None }), Ok(()));
    assert_eq!(packet[20..], transport);
    assert_eq!(packet[12..20], [0, 0, 0, 1, 0, 0, 0, 2]);
}

#[test]
fn what_cannot_be_translated_is_left() {
    let tcp = packet(false, 0, (1000, 80), &[]);
    let (_, like) = told(&tcp);
    let refused = |packet: &[u8], to: Rewrite| {
        let mut changed = packet.to_vec();
        let error = rewrite(&mut changed, &to);
        assert_eq!(changed, packet);
        error.err()
    };
    let plain = Rewrite { flow: flow(false, (1, 2), (3, 4), like), quoted: None };
    let other = Rewrite { flow: flow(true, (1, 2), (3, 4), like), quoted: None };
    assert_eq!(refused(&tcp, other), Some(RewriteError::OtherFamily));
    assert_eq!(refused(&tcp[..23], plain), Some(RewriteError::Unreadable));
    let quoting = Rewrite { quoted: Some(like), ..plain };
    assert_eq!(refused(&tcp, quoting), Some(RewriteError::NoQuote));
    let sctp = packet(false, 3, (1000, 80), &[1; 16]);
    assert_eq!(refused(&sctp[..40], plain), Some(RewriteError::PartialSctp));
    // A strict source route with a place left.
    let mut routed = tcp;
    routed[0] = 0x47;
    routed.splice(20..20, [137, 7, 4, 192, 0, 2, 1, 0]);
    assert_eq!(refused(&routed, plain), Some(RewriteError::SourceRouted));
    let error = error_about(false, &routed);
    let quoting = Rewrite { flow: told(&error).1, quoted: Some(like) };
    assert_eq!(refused(&error, quoting), Some(RewriteError::SourceRouted));
}

#[test]
fn a_datagram_without_a_checksum_stays_without() {
    let mut packet = packet(false, 1, (1000, 53), &[1; 5]);
    packet[26..28].fill(0);
    let (_, like) = told(&packet);
    let to = Rewrite { flow: flow(false, (1, 2), (3, 4), like), quoted: None };
    assert_eq!(rewrite(&mut packet, &to), Ok(()));
    assert_eq!(packet[26..28], [0, 0]);
}
