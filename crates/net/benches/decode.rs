//! What decoding costs, a frame at a time.

#![expect(clippy::expect_used, reason = "a bench that cannot build its input must stop")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etherparse::{PacketBuilder, VlanId};
use parefeu_net::{Decapsulate, DecodeLimits, LinkType, Packet, decode, transport_checksum};

const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 7]);
const V6: ([u8; 16], [u8; 16]) = ([0x20; 16], [0x21; 16]);
const PAYLOAD: [u8; 512] = [0x5a; 512];

/// A TCP segment of an established session, timestamps included.
fn tcp_v4() -> Vec<u8> {
    let mut options = vec![1, 1, 8, 10];
    options.extend([7; 8]);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(MACS.0, MACS.1)
        .ipv4(V4.0, V4.1, 64)
        .tcp(40_000, 443, 1, 65_535)
        .ack(1)
        .options_raw(&options)
        .expect("12 bytes of options fit")
        .write(&mut frame, &PAYLOAD)
        .expect("a Vec takes every write");
    frame
}

fn tcp_v6() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(MACS.0, MACS.1)
        .ipv6(V6.0, V6.1, 64)
        .tcp(40_000, 443, 1, 65_535)
        .ack(1)
        .write(&mut frame, &PAYLOAD)
        .expect("a Vec takes every write");
    frame
}

fn udp_v4_vlan() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(MACS.0, MACS.1)
        .single_vlan(VlanId::try_new(42).expect("42 is a VLAN identifier"))
        .ipv4(V4.0, V4.1, 64)
        .udp(40_000, 53)
        .write(&mut frame, &PAYLOAD)
        .expect("a Vec takes every write");
    frame
}

/// Eight extension headers: the longest chain the default limits follow.
fn udp_v6_extensions() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv6(V6.0, V6.1, 64)
        .udp(40_000, 53)
        .write(&mut frame, &PAYLOAD)
        .expect("a Vec takes every write");
    let chain: Vec<u8> =
        (0..8).flat_map(|i| [if i == 7 { 17 } else { 60 }, 0, 1, 4, 0, 0, 0, 0]).collect();
    let len = u16::from_be_bytes([frame[4], frame[5]]) + 64;
    frame[4..6].copy_from_slice(&len.to_be_bytes());
    frame[6] = 60;
    frame.splice(40..40, chain);
    frame
}

/// VXLAN around an Ethernet frame.
fn vxlan() -> Vec<u8> {
    let mut inner = vec![8, 0, 0, 0, 0, 0, 1, 0];
    inner.extend(tcp_v4());
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(MACS.0, MACS.1)
        .ipv4(V4.0, V4.1, 64)
        .udp(40_000, 4789)
        .write(&mut frame, &inner)
        .expect("a Vec takes every write");
    frame
}

fn frames(c: &mut Criterion) {
    let plain = DecodeLimits::default();
    let entering = DecodeLimits { decapsulate: Decapsulate::ALL, ..plain };
    let mut group = c.benchmark_group("decode/frame");
    group.throughput(Throughput::Elements(1));
    for (name, link, frame, limits) in [
        ("tcp/ipv4", LinkType::ETHERNET, tcp_v4(), plain),
        ("tcp/ipv6", LinkType::ETHERNET, tcp_v6(), plain),
        ("udp/ipv4-vlan", LinkType::ETHERNET, udp_v4_vlan(), plain),
        ("udp/ipv6-8-extensions", LinkType::RAW, udp_v6_extensions(), plain),
        ("tcp/vxlan", LinkType::ETHERNET, vxlan(), entering),
    ] {
        let packet = decode(link, &frame, frame.len(), &limits);
        assert!(packet.malformed.is_none() && packet.five_tuple().is_some(), "{name}");
        group.bench_function(name, |b| {
            b.iter(|| decode(link, black_box(&frame), frame.len(), black_box(&limits)));
        });
    }
    group.finish();
}

fn checksums(c: &mut Criterion) {
    let frame = tcp_v4();
    let packet: Packet<'_> =
        decode(LinkType::ETHERNET, &frame, frame.len(), &DecodeLimits::default());
    let network = packet.network.expect("the frame carries IP");
    let mut group = c.benchmark_group("decode/checksum");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("tcp/ipv4/512", |b| b.iter(|| transport_checksum(black_box(&network))));
    group.finish();
}

criterion_group!(benches, frames, checksums);
criterion_main!(benches);
