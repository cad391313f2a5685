//! The example of RFC 9001, and hellos spread over packets.

use aes_gcm::aead::AeadInOut as _;
use parefeu_net::{Direction, FiveTuple, Protocol};

use super::*;
use crate::{FlowState, Identifier};

const CONNECTION: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

/// The CRYPTO frame of RFC 9001 appendix A.2: a hello for example.com.
const FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868\
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578\
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005\
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba\
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400\
    0d0010000e0403050306030203080408050806002d00020101001c0002400100\
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000\
    75300901100f088394c8f03e51570806048000ffff";

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Protects frames, padded to 1,162 bytes, as a client's Initial with this packet number.
fn seal(version: u32, number: u32, frames: &[u8]) -> Vec<u8> {
    let keys = Keys::derive(version, &CONNECTION).unwrap();
    let first = if version == V2 { 0xd3 } else { 0xc3 };
    let mut packet = vec![first];
    packet.extend(version.to_be_bytes());
    packet.push(CONNECTION.len() as u8);
    packet.extend(CONNECTION);
    packet.extend([0, 0, 0x44, 0x9e]);
    let header_len = packet.len();
    packet.extend(number.to_be_bytes());
    let mut nonce = keys.secrets.iv;
    for (byte, digit) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= digit;
    }
    let mut body = frames.to_vec();
    body.resize(1162, 0);
    let buffer = body.as_mut_slice().into();
    let tag = keys.payload.encrypt_inout_detached(&nonce.into(), &packet, buffer).unwrap();
    packet.extend(body);
    packet.extend(tag.iter());
    let sample: [u8; 16] = packet[header_len + 4..header_len + 20].try_into().unwrap();
    let mut mask = sample.into();
    keys.header.encrypt_block(&mut mask);
    packet[0] ^= mask[0] & 0x0f;
    for at in 0..4 {
        packet[header_len + at] ^= mask[1 + at];
    }
    packet
}

/// The hello's bytes from `start` to `end` as a CRYPTO frame.
fn part(start: usize, end: usize) -> Vec<u8> {
    let hello = &hex(FRAME)[4..];
    let bytes = &hello[start..end];
    let lengths = [start, bytes.len()].map(|number| 0x4000 | number as u16);
    [&[6][..], &lengths[0].to_be_bytes(), &lengths[1].to_be_bytes(), bytes].concat()
}

#[track_caller]
fn check(datagrams: &[Vec<u8>], expected: Option<&str>) {
    let tuple = FiveTuple {
        src: [198, 51, 100, 7].into(),
        dst: [192, 0, 2, 1].into(),
        src_port: 40_000,
        dst_port: 443,
        protocol: Protocol::UDP,
    };
    let identifier = Identifier::default();
    let mut flow = FlowState::default();
    for datagram in datagrams {
        identifier.inspect(&mut flow, &tuple, Direction::Original, None, datagram);
    }
    let facts = flow.facts();
    assert_eq!(facts.application_path.to_string(), "udp.quic");
    assert_eq!(facts.hostname, expected);
    assert_eq!(facts.finished, expected.is_some());
}

#[test]
fn protection_is_that_of_rfc_9001() {
    let packet = seal(1, 2, &hex(FRAME));
    let start = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11";
    let end = "e221af44860018ab0856972e194cd934";
    assert_eq!(packet[..32], hex(start));
    assert_eq!(packet[packet.len() - 16..], hex(end));
}

#[test]
fn a_hello_is_read_however_it_is_spread() {
    let whole = hex(FRAME);
    for version in [1, V2, 0xff00_001d, 0xff00_0017, 0xface_b001] {
        check(&[seal(version, 0, &whole)], Some("example.com"));
    }
    let shuffled = [part(200, 241), vec![0, 1], part(60, 200), part(0, 61)].concat();
    check(&[seal(1, 0, &shuffled)], Some("example.com"));
    let (tail, head) = (seal(1, 1, &part(100, 241)), seal(1, 0, &part(0, 100)));
    check(&[tail.clone(), head], Some("example.com"));
    check(&[tail], None);
}

#[test]
fn a_packet_that_is_not_authentic_says_only_quic() {
    let mut forged = seal(1, 0, &hex(FRAME));
    forged[100] ^= 1;
    check(&[forged], None);
}
