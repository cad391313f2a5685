//! Cost of identification: a flow decided by its first packet, and one that never is.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parefeu_identify::{FlowState, Identifier};
use parefeu_net::{Direction, FiveTuple, Protocol};

fn tuple(protocol: Protocol, dst_port: u16) -> FiveTuple {
    FiveTuple {
        src: [198, 51, 100, 7].into(),
        dst: [192, 0, 2, 1].into(),
        src_port: 40_000,
        dst_port,
        protocol,
    }
}

/// A TLS 1.2 ClientHello with a server name and the padding of a present-day browser's size.
fn client_hello() -> Vec<u8> {
    let name = b"www.example.com";
    let mut extensions = vec![0, 0, 0, 20, 0, 18, 0, 0, 15];
    extensions.extend(name);
    extensions.extend([0, 21, 1, 144]);
    extensions.extend([0; 400]);
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut record = vec![22, 3, 1];
    record.extend((body.len() as u16 + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

fn first_packet(c: &mut Criterion) {
    let identifier = Identifier::default();
    let request = b"GET /index.html?x=1 HTTP/1.1\r\nHost: www.example.com\r\n\
        User-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n";
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let mut group = c.benchmark_group("identify/first-packet");
    group.throughput(Throughput::Elements(1));
    for (name, protocol, port, payload) in [
        ("tls-hello", Protocol::TCP, 443, client_hello()),
        ("http-request", Protocol::TCP, 80, request.to_vec()),
        ("dns-query", Protocol::UDP, 53, query.to_vec()),
        ("noise-tcp", Protocol::TCP, 9, vec![0xee; 1400]),
        ("noise-udp", Protocol::UDP, 9, vec![0xee; 1200]),
    ] {
        let tuple = tuple(protocol, port);
        let offset = (protocol == Protocol::TCP).then_some(0);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut flow = FlowState::default();
                let payload = black_box(&payload);
                identifier.inspect(&mut flow, &tuple, Direction::Original, offset, payload);
                flow
            });
        });
    }
    group.finish();
}

/// A flow that is kept undecided as long as the limits allow, packet by packet.
fn undecided(c: &mut Criterion) {
    let identifier = Identifier::default();
    let tuple = tuple(Protocol::TCP, 9);
    // The start of an HTTP request whose line never ends.
    let payload = [b"GET /".to_vec(), vec![b'a'; 995]].concat();
    let mut group = c.benchmark_group("identify/undecided");
    let packets = 12;
    group.throughput(Throughput::Elements(packets));
    group.bench_function("endless-request-line", |b| {
        b.iter(|| {
            let mut flow = FlowState::default();
            for packet in 0..packets {
                let offset = Some(packet * 1000);
                let payload = black_box(&payload);
                identifier.inspect(&mut flow, &tuple, Direction::Original, offset, payload);
            }
            flow
        });
    });
    group.finish();
}

/// Packets of flows that are decided: what the rest of every session costs.
fn decided(c: &mut Criterion) {
    let identifier = Identifier::default();
    let payload = vec![0x5a; 1400];
    let mut group = c.benchmark_group("identify/decided");
    group.throughput(Throughput::Elements(1));
    let tuple = tuple(Protocol::TCP, 22);
    let mut flow = FlowState::default();
    let banner = b"SSH-2.0-example\r\n";
    identifier.inspect(&mut flow, &tuple, Direction::Original, Some(0), banner);
    group.bench_function("finished", |b| {
        b.iter(|| {
            identifier.inspect(&mut flow, &tuple, Direction::Reply, Some(0), black_box(&payload))
        });
    });
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    let mut flow = FlowState::default();
    identifier.inspect(&mut flow, &tuple, Direction::Reply, Some(0), head);
    let mut offset = head.len() as u64;
    group.bench_function("http-body", |b| {
        b.iter(|| {
            let payload = black_box(&payload);
            let progress =
                identifier.inspect(&mut flow, &tuple, Direction::Reply, Some(offset), payload);
            offset += payload.len() as u64;
            progress
        });
    });
    group.finish();
}

criterion_group!(benches, first_packet, undecided, decided);
criterion_main!(benches);
