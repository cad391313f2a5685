use std::net::IpAddr;

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::{DecodeLimits, LinkType, decode};

/// The verdicts on header and transport of a raw IP packet.
fn verdicts(frame: &[u8], wire_len: usize) -> (ChecksumVerdict, ChecksumVerdict) {
    let packet = decode(LinkType::RAW, frame, wire_len, &DecodeLimits::default());
    let network = packet.network.expect("an IP layer");
    (ip_header_checksum(&network), transport_checksum(&network))
}

/// One packet of each protocol and family, as another implementation writes it.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let v4 = || PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 7], 64);
    let v6 = || PacketBuilder::ipv6([0x20; 16], [0xfe; 16], 64);
    let payload = b"an odd number of bytes.";
    let build = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = Vec::new();
        write(&mut frame);
        frame
    };
    vec![
        ("tcp4", build(&|f| v4().tcp(1, 2, 3, 4).write(f, payload).unwrap())),
        ("udp4", build(&|f| v4().udp(1, 2).write(f, payload).unwrap())),
        ("icmp4", build(&|f| v4().icmpv4_echo_request(1, 2).write(f, payload).unwrap())),
        ("tcp6", build(&|f| v6().tcp(1, 2, 3, 4).write(f, payload).unwrap())),
        ("udp6", build(&|f| v6().udp(1, 2).write(f, payload).unwrap())),
        ("icmp6", build(&|f| v6().icmpv6_echo_request(1, 2).write(f, payload).unwrap())),
    ]
}

/// An INIT of RFC 9260 with the CRC32c that the Linux kernel's `sctp_compute_cksum` gives it:
/// CRC-32C of the 32 bytes with the field zero, least significant byte first.
fn sctp_packet() -> Vec<u8> {
    let mut packet = vec![
        0x45, 0, 0, 52, 0, 0, 0, 0, 64, 132, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2, // IPv4
    ];
    // The first test vector of RFC 3720 §B.4 is 32 bytes of zeroes: CRC aa 36 91 8a.
    packet.extend([0; 32]);
    packet[28..32].copy_from_slice(&[0xaa, 0x36, 0x91, 0x8a]);
    packet
}

#[test]
fn checksums_of_another_implementation_are_valid_and_any_changed_byte_is_not() {
    for (name, frame) in samples() {
        let valid = (ChecksumVerdict::Valid, ChecksumVerdict::Valid);
        assert_eq!(verdicts(&frame, frame.len()), valid, "{name}");
        let mut damaged = frame.clone();
        *damaged.last_mut().unwrap() ^= 0x10;
        assert_eq!(verdicts(&damaged, frame.len()).1, ChecksumVerdict::Invalid, "{name}");
        let cut = &frame[..frame.len() - 1];
        assert_eq!(verdicts(cut, frame.len()).1, ChecksumVerdict::Unknown, "{name}");
    }
    let mut ttl = samples().swap_remove(0).1;
    ttl[8] -= 1;
    assert_eq!(verdicts(&ttl, ttl.len()), (ChecksumVerdict::Invalid, ChecksumVerdict::Valid));
}

/// A replay shows a firewall the packet as it would have been addressed there.
#[test]
fn a_packet_given_other_addresses_is_judged_by_the_bytes_sent() {
    for (name, frame) in samples() {
        for damage in [0, 0x10] {
            let mut frame = frame.clone();
            *frame.last_mut().unwrap() ^= damage;
            let before = verdicts(&frame, frame.len());
            let mut network = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default())
                .network
                .expect("an IP layer");
            (network.src, network.dst) = match network.src {
                IpAddr::V4(_) => ([203, 0, 113, 1].into(), [203, 0, 113, 2].into()),
                IpAddr::V6(_) => ([1; 16].into(), [2; 16].into()),
            };
            let after = (ip_header_checksum(&network), transport_checksum(&network));
            assert_eq!(after, before, "{name}");
        }
    }
}

#[test]
fn sctp_counts_crc32c() {
    let mut packet = sctp_packet();
    assert_eq!(verdicts(&packet, packet.len()).1, ChecksumVerdict::Valid);
    packet[40] = 1;
    assert_eq!(verdicts(&packet, packet.len()).1, ChecksumVerdict::Invalid);
}

#[test]
fn udp_without_checksum_is_valid() {
    let mut frame = samples().swap_remove(1).1;
    frame[26..28].fill(0);
    assert_eq!(verdicts(&frame, frame.len()).1, ChecksumVerdict::Valid);
}

#[test]
fn a_destination_still_to_come_makes_the_transport_unknown() {
    let mut frame = samples().swap_remove(3).1;
    // A routing header of type 4 with one segment left, before TCP.
    frame[6] = 43;
    frame[5] += 24;
    let routing = [6, 2, 4, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    frame.splice(40..40, routing);
    assert_eq!(verdicts(&frame, frame.len()).1, ChecksumVerdict::Unknown);
    frame[43] = 0;
    assert_eq!(verdicts(&frame, frame.len()).1, ChecksumVerdict::Valid);
}

proptest! {
    /// Rewriting addresses and ports in place agrees with the checksum summed anew.
    #[test]
    fn a_change_keeps_checksums_true(
        index in 0usize..6, src: u128, dst: u128, port: u16,
    ) {
        let (_, mut frame) = samples().swap_remove(index);
        let six = frame[0] >> 4 == 6;
        let network = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default())
            .network
            .unwrap();
        let address = |bits: u128| if six {
            IpAddr::from(bits.to_be_bytes())
        } else {
            IpAddr::from((bits as u32).to_be_bytes())
        };
        let (protocol, header_len) = (network.protocol, network.header.len());
        let addresses = ChecksumChange::new()
            .replace_address(network.src, address(src))
            .replace_address(network.dst, address(dst));
        let old_port = u16::from_be_bytes([frame[header_len], frame[header_len + 1]]);
        let all = match protocol {
            Protocol::TCP | Protocol::UDP => addresses.replace_u16(old_port, port),
            Protocol::ICMPV6 => addresses,
            _ => ChecksumChange::new(),
        };
        if protocol.has_ports() {
            frame[header_len..header_len + 2].copy_from_slice(&port.to_be_bytes());
        }
        let at = header_len + checksum_offset(protocol).unwrap();
        let stored = u16::from_be_bytes([frame[at], frame[at + 1]]);
        let changed =
            if protocol == Protocol::UDP { all.apply_udp(stored) } else { all.apply(stored) };
        frame[at..at + 2].copy_from_slice(&changed.to_be_bytes());
        if six {
            frame[8..24].copy_from_slice(&src.to_be_bytes());
            frame[24..40].copy_from_slice(&dst.to_be_bytes());
        } else {
            let header = u16::from_be_bytes([frame[10], frame[11]]);
            frame[10..12].copy_from_slice(&addresses.apply(header).to_be_bytes());
            frame[12..16].copy_from_slice(&(src as u32).to_be_bytes());
            frame[16..20].copy_from_slice(&(dst as u32).to_be_bytes());
        }
        let valid = (ChecksumVerdict::Valid, ChecksumVerdict::Valid);
        prop_assert_eq!(verdicts(&frame, frame.len()), valid);
    }
}
