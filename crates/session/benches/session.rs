//! The session table at size: 95 % of operations find a session and advance it, 5 % open one and
//! close another, keys uniform.

#![expect(clippy::expect_used, reason = "a bench may stop")]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_net::{
    Direction, FiveTuple, Link, Network, Packet, Protocol, Timestamp, Transport, TunnelStack,
    UdpDatagram,
};
use parefeu_policy::{Behaviour, Preset};
use parefeu_session::{EndReason, Opening, SessionId, SessionTable, TableLimits};

const OPERATIONS: usize = 100_000;

fn mixed(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/mixed");
    group.sample_size(20);
    for size in [10_000u64, 1_000_000] {
        let mut bench = Bench::new(size);
        group.throughput(Throughput::Elements(OPERATIONS as u64));
        group.bench_function(BenchmarkId::new("uniform", size), |b| {
            b.iter(|| black_box(bench.run(OPERATIONS, true)));
        });
        group.bench_function(BenchmarkId::new("uniform-find-only", size), |b| {
            b.iter(|| black_box(bench.run(OPERATIONS, false)));
        });
    }
    group.finish();
}

struct Bench {
    table: SessionTable<u32>,
    ids: Vec<SessionId>,
    /// The flows present, at the place of their id.
    flows: Vec<FiveTuple>,
    next: u64,
    random: u64,
    now: Timestamp,
}

impl Bench {
    fn new(size: u64) -> Self {
        let limits = TableLimits { max_sessions: size as usize + 1, ..TableLimits::default() };
        let mut bench = Self {
            table: SessionTable::new(limits, Behaviour::preset(Preset::Panos), 0x5eed),
            ids: Vec::new(),
            flows: Vec::new(),
            next: 0,
            random: 0x5eed,
            now: Timestamp::from_secs(1),
        };
        for _ in 0..size {
            let (id, flow) = bench.open();
            bench.ids.push(id);
            bench.flows.push(flow);
        }
        bench
    }

    fn open(&mut self) -> (SessionId, FiveTuple) {
        let flow = flow(self.next);
        self.next += 1;
        let opening = Opening {
            tag: 0,
            original: flow,
            translated: flow,
            data: 0,
            bytes: 100,
            refused: false,
        };
        let id = self.table.open(self.now, &packet(&flow), opening).expect("there is room");
        (id, flow)
    }

    fn random(&mut self) -> u64 {
        // xorshift64 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn run(&mut self, operations: usize, change: bool) -> usize {
        let mut found = 0;
        for operation in 0..operations {
            let at = (self.random() % self.flows.len() as u64) as usize;
            if change && operation.is_multiple_of(20) {
                self.table.close(self.ids[at], EndReason::AgedOut);
                black_box(self.table.poll_ended());
                (self.ids[at], self.flows[at]) = self.open();
                continue;
            }
            let flow = if at.is_multiple_of(2) { self.flows[at] } else { self.flows[at].reverse() };
            let Some((id, direction)) = self.table.find(0, &flow) else { continue };
            found += usize::from(direction == Direction::Original);
            if change {
                black_box(self.table.advance(self.now, id, direction, &packet(&flow), 100));
            }
        }
        found
    }
}

/// The flow number `n`; neighbours share nothing but the network.
fn flow(n: u64) -> FiveTuple {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    FiveTuple {
        src: IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | (n >> 6) as u32 & 0x00ff_ffff)),
        dst: IpAddr::V4(Ipv4Addr::from(0xc000_0000 | (mixed >> 40) as u32)),
        src_port: 1024 + (n & 63) as u16,
        dst_port: 443,
        protocol: Protocol::UDP,
    }
}

fn packet(flow: &FiveTuple) -> Packet<'static> {
    let datagram = UdpDatagram { src_port: flow.src_port, dst_port: flow.dst_port, payload: &[] };
    Packet {
        link: Link::default(),
        tunnels: TunnelStack::default(),
        network: Some(Network {
            src: flow.src,
            dst: flow.dst,
            protocol: flow.protocol,
            ttl: 64,
            fragment: None,
            source_routed: false,
            header: &[],
            payload: &[],
            payload_len: 8,
        }),
        transport: Transport::Udp(datagram),
        malformed: None,
        truncated: false,
    }
}

criterion_group!(benches, mixed);
criterion_main!(benches);
