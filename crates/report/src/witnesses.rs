//! The witness of every region as a packet that can be sent through real devices.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, PacketBuilder,
    PacketBuilderStep, TcpHeader, TcpOptionElement,
};
use parefeu_equivalence::{Field, Finding, Witness};
use parefeu_net::{LinkType, Protocol, Timestamp};
use parefeu_replay::{CaptureInterfaceId, CaptureWriter, WriteCaptureError};

/// How a capture of witnesses is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WitnessFormat {
    /// One interface without a name.
    Pcap,
    /// An interface for each place where the witnesses enter, named as the old firewall does.
    Pcapng,
}

/// Writes a capture whose packet *n* is the witness of region *n*.
///
/// Packets are [`APART`], so that nothing an earlier one left behind decides on a later one: a
/// session, or a port that a translation took. Frames go from
/// `02:00:00:00:00:01` to `02:00:00:00:00:02`. The same findings give the same bytes.
///
/// # Errors
/// [`WriteCaptureError::Io`] when the writer fails, and the others for names and numbers of regions
/// that no capture can hold.
pub fn write_witnesses<W: Write>(
    writer: W,
    format: WitnessFormat,
    findings: &[Finding],
    applications: &[Box<str>],
) -> Result<W, WriteCaptureError> {
    let mut capture = match format {
        WitnessFormat::Pcap => CaptureWriter::pcap(writer, LinkType::ETHERNET)?,
        WitnessFormat::Pcapng => CaptureWriter::pcapng(writer)?,
    };
    let mut interfaces = BTreeMap::new();
    let mut now = Timestamp::EPOCH;
    for finding in findings {
        let interface = match format {
            WitnessFormat::Pcap => CaptureInterfaceId(0),
            WitnessFormat::Pcapng => {
                let name = entry(finding);
                if let Some(known) = interfaces.get(name) {
                    *known
                } else {
                    let added = capture.add_interface(name, LinkType::ETHERNET)?;
                    interfaces.insert(name, added);
                    added
                }
            }
        };
        now = now + APART;
        let frame = witness_frame(&finding.witness, application(finding, applications));
        capture.write_frame(interface, now, &frame)?;
    }
    Ok(capture.into_inner())
}

/// What lies between two witnesses: longer than a firewall usually remembers a flow that no answer
/// came to. A pcap file has room for a million of them before 2106.
pub const APART: Duration = Duration::from_secs(3600);

/// The application a region is limited to, if it has a name.
fn application<'a>(finding: &Finding, applications: &'a [Box<str>]) -> Application<'a> {
    if !finding.sets.contains_key(&Field::Application) {
        return Application::Any;
    }
    let mut others = finding.witness.others.iter();
    let value = others.find(|(field, _)| *field == Field::Application).map(|(_, value)| *value);
    let at = value.and_then(|value| value.checked_sub(1));
    let name = at.and_then(|at| applications.get(at as usize));
    name.map_or(Application::Other, |name| Application::Named(name))
}

/// What a packet should look like to those who identify applications.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Application<'a> {
    /// Whatever its ports suggest.
    Any,
    /// Nothing that has a name.
    Other,
    /// This application.
    Named(&'a str),
}

/// The name of the place where a witness enters.
fn entry(finding: &Finding) -> &str {
    let [old, new] = &finding.witness_way.from;
    old.as_deref().or(new.as_deref()).unwrap_or("any")
}

/// The Ethernet frame that opens the connection a witness stands for: a SYN, a datagram, an ICMP
/// message of its type and code, or a packet of its protocol. Lengths and checksums are right.
pub fn witness_frame(witness: &Witness, application: Application<'_>) -> Vec<u8> {
    let (src_port, dst_port) = witness.ports.unwrap_or_default();
    let mut frame = Vec::new();
    let start = addressed(witness.src, witness.dst);
    let mut other = |start: PacketBuilderStep<IpHeaders>, payload: &[u8]| {
        start.write(&mut frame, IpNumber(witness.protocol.0), payload)
    };
    let written = match (witness.protocol, witness.icmp) {
        (Protocol::TCP, _) => start.tcp_header(syn(src_port, dst_port)).write(&mut frame, &[]),
        (Protocol::UDP, _) => {
            let payload = datagram(dst_port, application);
            start.udp(src_port, dst_port).write(&mut frame, &payload)
        }
        (Protocol::ICMP, Some((kind, code))) if witness.src.is_ipv4() => {
            let payload = icmp_payload(witness, kind, &[3, 4, 5, 11, 12]);
            start.icmpv4_raw(kind, code, icmp_rest(kind, &[0, 8])).write(&mut frame, &payload)
        }
        (Protocol::ICMPV6, Some((kind, code))) if witness.src.is_ipv6() => {
            let payload = icmp_payload(witness, kind, &[1, 2, 3, 4]);
            start.icmpv6_raw(kind, code, icmp_rest(kind, &[128, 129])).write(&mut frame, &payload)
        }
        (Protocol(1 | 58), Some((kind, code))) => {
            // ICMP of the other family: a firewall may have a rule for it, no host an answer.
            other(start, &summed(vec![kind, code, 0, 0, 0, 0, 0, 0], 2, Sum16BitWords::new()))
        }
        (Protocol::SCTP, _) => other(start, &sctp_init(src_port, dst_port)),
        (Protocol(33), _) => other(start, &dccp_request(witness, src_port, dst_port)),
        (Protocol(136), _) => other(start, &udp_lite(witness, src_port, dst_port)),
        _ => other(start, &body(witness.protocol)),
    };
    // A few bytes always fit, and memory takes them all.
    if written.is_err() { Vec::new() } else { frame }
}

fn addressed(src: IpAddr, dst: IpAddr) -> PacketBuilderStep<IpHeaders> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let v6 = |address: IpAddr| match address {
        IpAddr::V4(it) => it.to_ipv6_mapped().octets(),
        IpAddr::V6(it) => it.octets(),
    };
    // Lengths and protocols are filled in as the frame is written.
    ethernet.ip(if let (IpAddr::V4(src), IpAddr::V4(dst)) = (src, dst) {
        let (source, destination) = (src.octets(), dst.octets());
        let header =
            Ipv4Header { time_to_live: HOPS, source, destination, ..Ipv4Header::default() };
        IpHeaders::Ipv4(header, Ipv4Extensions::default())
    } else {
        let (source, destination) = (v6(src), v6(dst));
        let header = Ipv6Header { hop_limit: HOPS, source, destination, ..Ipv6Header::default() };
        IpHeaders::Ipv6(header, Ipv6Extensions::default())
    })
}

/// What hosts commonly start from.
const HOPS: u8 = 64;

fn syn(src_port: u16, dst_port: u16) -> TcpHeader {
    let mut header = TcpHeader::new(src_port, dst_port, SEQUENCE, u16::MAX);
    header.syn = true;
    // One option of four bytes always fits.
    let _ = header.set_options(&[TcpOptionElement::MaximumSegmentSize(1220)]);
    header
}

const SEQUENCE: u32 = 1000;

/// A question for the resolver where that is what is meant, else text that says what it is.
fn datagram(dst_port: u16, application: Application<'_>) -> Vec<u8> {
    if application == Application::Named("dns") || application == Application::Any && dst_port == 53
    {
        // RFC 1035 §4.1: one recursive question for the address of example.com.
        let header = b"\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00";
        return [&header[..], b"\x07example\x03com\x00\x00\x01\x00\x01"].concat();
    }
    TEXT.to_vec()
}

const TEXT: &[u8] = b"parefeu: witness of a region";

/// Identifier and sequence number, for the types that have them.
fn icmp_rest(kind: u8, echoes: &[u8]) -> [u8; 4] {
    if echoes.contains(&kind) { [0, 1, 0, 1] } else { [0; 4] }
}

/// An error quotes a packet of the host it is sent to (RFC 792, RFC 4443 §2.4).
fn icmp_payload(witness: &Witness, kind: u8, errors: &[u8]) -> Vec<u8> {
    if !errors.contains(&kind) {
        return TEXT.to_vec();
    }
    let mut quoted = Vec::new();
    let start = addressed(witness.dst, witness.src).udp(49_152, 443);
    let _ = start.write(&mut quoted, &[]);
    quoted.split_off(ETHERNET_BYTES.min(quoted.len()))
}

const ETHERNET_BYTES: usize = 14;

/// INIT, alone in its packet (RFC 9260 §3.3.2).
fn sctp_init(src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut packet = ports(src_port, dst_port);
    packet.extend([0; 8]);
    packet.extend([1, 0, 0, 20]);
    packet.extend(SEQUENCE.to_be_bytes());
    packet.extend([0, 1, 0, 0, 0, 1, 0, 1]);
    packet.extend(SEQUENCE.to_be_bytes());
    let sum = !packet.iter().fold(u32::MAX, |crc, byte| {
        let shifted = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), shifted)
    });
    packet[8..12].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// A Request with a long sequence number (RFC 4340 §5.1, §5.2).
fn dccp_request(witness: &Witness, src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut packet = ports(src_port, dst_port);
    packet.extend([5, 0, 0, 0, 1, 0, 0, 0]);
    packet.extend(SEQUENCE.to_be_bytes());
    packet.extend([0; 4]);
    let length = packet.len() as u32;
    summed(packet, 6, pseudo_header(witness, length))
}

/// A datagram whose checksum covers all of it (RFC 3828 §3.1).
fn udp_lite(witness: &Witness, src_port: u16, dst_port: u16) -> Vec<u8> {
    let mut packet = ports(src_port, dst_port);
    packet.extend([0; 4]);
    packet.extend_from_slice(TEXT);
    let length = packet.len() as u32;
    summed(packet, 6, pseudo_header(witness, length))
}

fn ports(src_port: u16, dst_port: u16) -> Vec<u8> {
    [src_port.to_be_bytes(), dst_port.to_be_bytes()].concat()
}

/// The sum of what a transport checksum counts besides the packet (RFC 768, RFC 8200 §8.1).
fn pseudo_header(witness: &Witness, length: u32) -> Sum16BitWords {
    let add = |sum: Sum16BitWords, address: IpAddr| match address {
        IpAddr::V4(it) => sum.add_slice(&it.octets()),
        IpAddr::V6(it) => sum.add_slice(&it.octets()),
    };
    let sum = add(add(Sum16BitWords::new(), witness.src), witness.dst);
    sum.add_slice(&length.to_be_bytes()).add_2bytes([0, witness.protocol.0])
}

/// The packet with its checksum, of itself and of what else counts, at `at`.
fn summed(mut packet: Vec<u8>, at: usize, more: Sum16BitWords) -> Vec<u8> {
    let sum = more.add_slice(&packet).to_ones_complement_with_no_zero().to_be();
    packet[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// What a protocol without ports carries.
fn body(protocol: Protocol) -> Vec<u8> {
    let header: &[u8] = match protocol {
        // No checksum, no key; the type IEEE 802 leaves to experiments (RFC 2784 §2.1).
        Protocol::GRE => &[0, 0, 0x88, 0xb5],
        // A security parameters index outside the reserved ones, and the first sequence number
        // (RFC 4303 §2).
        Protocol::ESP => &[0, 0, 0x10, 0, 0, 0, 0, 1],
        _ => &[],
    };
    [header, TEXT].concat()
}

#[cfg(test)]
mod tests {
    use parefeu_net::{
        ChecksumVerdict, DecodeLimits, Network, Transport, decode, ip_header_checksum,
        transport_checksum,
    };

    use super::*;

    fn witness(family: u8, protocol: Protocol) -> Witness {
        let [src, dst] = match family {
            4 => ["198.51.100.10", "203.0.113.10"],
            _ => ["2001:db8::10", "2001:db8:0:1::10"],
        };
        let icmp = protocol.is_icmp().then_some((if family == 4 { 8 } else { 128 }, 0));
        Witness {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            protocol,
            ports: protocol.has_ports().then_some((49_152, 443)),
            icmp,
            others: Vec::new(),
        }
    }

    /// The frame decodes to the witness, whole; says what its transport checksum is.
    #[track_caller]
    fn check(witness: &Witness) -> ChecksumVerdict {
        let frame = witness_frame(witness, Application::Any);
        let packet = decode(LinkType::ETHERNET, &frame, frame.len(), &DecodeLimits::default());
        assert_eq!((packet.malformed, packet.truncated), (None, false), "{witness:?}");
        let flow = packet.five_tuple().unwrap();
        assert_eq!(
            (flow.src, flow.dst, flow.protocol),
            (witness.src, witness.dst, witness.protocol)
        );
        match (&packet.transport, witness.icmp) {
            (Transport::Icmp(icmp), Some(stated)) => assert_eq!((icmp.kind, icmp.code), stated),
            (_, Some(_)) => panic!("no ICMP message: {packet:?}"),
            (_, None) => {
                let ports = witness.ports.unwrap_or_default();
                assert_eq!((flow.src_port, flow.dst_port), ports);
            }
        }
        let network = packet.network.unwrap();
        assert_eq!(ip_header_checksum(&network), ChecksumVerdict::Valid);
        match network.protocol {
            // The decoder checks neither DCCP nor UDP-Lite.
            Protocol(33 | 136) if sums_up(&network) => ChecksumVerdict::Valid,
            Protocol(33 | 136) => ChecksumVerdict::Invalid,
            _ => transport_checksum(&network),
        }
    }

    /// Whether the words of packet and pseudo-header add up to ones (RFC 1071 §1).
    fn sums_up(network: &Network<'_>) -> bool {
        let octets = |address: IpAddr| match address {
            IpAddr::V4(it) => it.octets().to_vec(),
            IpAddr::V6(it) => it.octets().to_vec(),
        };
        let length = vec![0, network.payload.len() as u8, 0, network.protocol.0];
        let parts = [octets(network.src), octets(network.dst), length, network.payload.to_vec()];
        let words = parts.iter().flat_map(|part| part.chunks(2));
        let word = |word: &[u8]| u32::from(word[0]) << 8 | word.get(1).map_or(0, |it| (*it).into());
        let sum: u32 = words.map(word).sum();
        (sum & 0xffff) + (sum >> 16) == 0xffff
    }

    #[test]
    fn frames_decode_to_the_witness_with_valid_checksums() {
        for family in [4, 6] {
            let icmp = if family == 4 { Protocol::ICMP } else { Protocol::ICMPV6 };
            let ports = [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol(33), Protocol(136)];
            for protocol in ports.into_iter().chain([icmp]) {
                let verdict = check(&witness(family, protocol));
                assert_eq!(verdict, ChecksumVerdict::Valid, "{family} {protocol}");
            }
            for protocol in [Protocol::GRE, Protocol::ESP, Protocol(89)] {
                check(&witness(family, protocol));
            }
        }
    }

    #[test]
    fn every_icmp_type_and_code_is_written_as_stated() {
        for (family, protocol) in [(4, Protocol::ICMP), (6, Protocol::ICMPV6)] {
            for kind in 0..=u8::MAX {
                let witness = Witness { icmp: Some((kind, 1)), ..witness(family, protocol) };
                assert_eq!(check(&witness), ChecksumVerdict::Valid, "{family} {kind}");
            }
        }
    }

    #[test]
    fn a_resolver_is_asked_a_question_unless_another_application_is_meant() {
        let asks = |port, application| {
            let ports = Some((49_152, port));
            let frame = witness_frame(&Witness { ports, ..witness(4, Protocol::UDP) }, application);
            frame.windows(7).any(|window| window == b"example")
        };
        assert!(asks(53, Application::Any) && !asks(443, Application::Any));
        assert!(!asks(53, Application::Named("ntp")) && !asks(53, Application::Other));
        assert!(asks(5353, Application::Named("dns")));
    }
}
