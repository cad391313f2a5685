//! The session table at size: 95 % of operations find a session and advance it, 5 % close one and
//! open another, keys uniform; packets come in batches, as a driver hands them over.
//!
//! Beside it, maps of the same keys whose values are as large as what the table keeps: they find
//! and change a value, and know neither states nor timers. `PAREFEU_BENCH_SESSIONS` gives the
//! sizes, such as `1000000,10000000`.

#![expect(clippy::expect_used, reason = "a bench may stop")]
#![expect(clippy::print_stdout, reason = "memory is part of what is measured")]

use std::collections::HashMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dashmap::DashMap;
use parefeu_net::{
    Direction, FiveTuple, Link, Network, Packet, Protocol, Timestamp, Transport, TunnelStack,
    UdpDatagram,
};
use parefeu_policy::{Behaviour, Preset};
use parefeu_session::{
    EndReason, Opening, SessionId, SessionTable, Sought, Step, TableLimits, WhenFull,
};

const OPERATIONS: usize = 100_000;

/// Packets that are handled together.
const BATCH: usize = 32;

/// The sizes asked for; small ones where the bench is only tested.
fn sizes() -> Vec<u64> {
    let asked = std::env::var("PAREFEU_BENCH_SESSIONS");
    let sizes = asked.unwrap_or_else(|_| "10000,1000000".to_owned());
    sizes.split(',').filter_map(|size| size.trim().parse().ok()).collect()
}

fn mixed(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/mixed");
    group.sample_size(20);
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    for size in sizes() {
        let mut bench = Bench::new(size);
        let each = bench.table.memory_bytes() / bench.table.len();
        println!("{size} sessions: {each} bytes each");
        group.bench_function(BenchmarkId::new("batch", size), |b| {
            b.iter(|| black_box(bench.run_batches(OPERATIONS)));
        });
        group.bench_function(BenchmarkId::new("single", size), |b| {
            b.iter(|| black_box(bench.run(OPERATIONS, true)));
        });
        group.bench_function(BenchmarkId::new("find-only", size), |b| {
            b.iter(|| black_box(bench.run(OPERATIONS, false)));
        });
        drop(bench);
        let mut peer =
            Peer::new(size, HashMap::with_hasher(foldhash::quality::FixedState::default()));
        group.bench_function(BenchmarkId::new("hashbrown", size), |b| {
            b.iter(|| black_box(peer.run(OPERATIONS)));
        });
        drop(peer);
        let mut peer = Peer::new(size, DashMap::new());
        group.bench_function(BenchmarkId::new("dashmap", size), |b| {
            b.iter(|| black_box(peer.run(OPERATIONS)));
        });
    }
    group.finish();
}

/// New sessions that nobody answers, into a table that is full of such, ten thousand answered ones
/// among them, of which one is used for each hundred of the others; time goes on by a microsecond a
/// session. In the end the ten thousand have to be there.
fn flood(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/flood");
    group.sample_size(20);
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    for size in sizes() {
        let mut bench = Bench::new(size);
        bench.table = table(size, WhenFull::DropUnanswered);
        let mut answered = Vec::new();
        for n in 0..size {
            let (id, flow) = bench.open();
            if n < (size / 2).min(10_000) {
                let step = bench.table.advance(bench.now, id, Direction::Reply, &bench.packet, 1);
                assert!(matches!(step, Step::Accept(_)), "{flow} was not answered: {step:?}");
                answered.push(id);
            }
        }
        let mut used = answered.iter().copied().cycle();
        let full = bench.table.memory_bytes();
        group.bench_function(BenchmarkId::new("unanswered", size), |b| {
            b.iter(|| {
                for operation in 0..OPERATIONS {
                    bench.now = bench.now + Duration::from_micros(1);
                    bench.table.handle_timeout(bench.now);
                    if operation.is_multiple_of(100)
                        && let Some(id) = used.next()
                    {
                        let (now, packet) = (bench.now, &bench.packet);
                        black_box(bench.table.advance(now, id, Direction::Original, packet, 1));
                    }
                    black_box(bench.try_open());
                    while let Some(ended) = bench.table.poll_ended() {
                        black_box(ended);
                    }
                }
            });
        });
        let left = answered.iter().filter(|id| bench.table.session(**id).is_some()).count();
        assert_eq!(left, answered.len(), "answered sessions stay");
        let now = bench.table.memory_bytes();
        println!("{size} sessions: memory {:.3} of what it was before", now as f64 / full as f64);
    }
    group.finish();
}

/// A flow for each number.
type Flows = fn(u64) -> FiveTuple;

/// Flows chosen to meet in one bucket, or to have one hash, beside flows that are not: a hundred
/// thousand of each.
fn crafted(c: &mut Criterion) {
    let mut group = c.benchmark_group("session/crafted");
    group.sample_size(20);
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    let kinds: [(&str, Flows); 6] = [
        ("ipv4", flow),
        ("ipv4 addresses in a row", |n| v4(0x0a00_0000 + n as u32, 4000)),
        ("ipv4 equal low bits", |n| v4((n as u32) << 14 | 1, 4000 + (n >> 18) as u16)),
        ("ipv4 ports in a row", |n| v4(0x0a00_0000 + (n >> 15) as u32, (n & 0x7fff) as u16)),
        ("ipv6", |n| v6(n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n)),
        ("ipv6 one hash under a key everyone knows", |n| v6(CANCELS, n)),
    ];
    for (name, flow_of) in kinds {
        let mut bench = Bench::of(100_000, flow_of);
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            b.iter(|| black_box(bench.run_batches(OPERATIONS)));
        });
    }
    group.finish();
}

/// The network that cancels a key beside constants everyone knows: the first of foldhash 0.2's
/// fixed seed.
const CANCELS: u64 = 0xc0ac_29b7_c97c_50dd;

fn v4(src: u32, src_port: u16) -> FiveTuple {
    FiveTuple { src: Ipv4Addr::from(src).into(), src_port, ..flow(0) }
}

fn v6(network: u64, identifier: u64) -> FiveTuple {
    let src = Ipv6Addr::from(u128::from(network) << 64 | u128::from(identifier));
    let dst = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 9);
    FiveTuple { src: src.into(), dst: dst.into(), ..flow(0) }
}

fn table(size: u64, when_full: WhenFull) -> SessionTable<u32> {
    let limits = TableLimits { max_sessions: size as usize, when_full };
    SessionTable::new(limits, Behaviour::preset(Preset::Panos), 0x5eed)
}

/// What a map keeps of a session: as much as the table does.
#[derive(Clone, Copy)]
struct Kept {
    last: u64,
    bytes: [u64; 2],
    _rest: [u64; 5],
}

/// A map from flows to what is kept.
trait Peers {
    fn add(&mut self, flow: FiveTuple, kept: Kept);
    fn take(&mut self, flow: &FiveTuple);
    fn count(&mut self, flow: &FiveTuple, now: u64) -> bool;
}

impl Peers for HashMap<FiveTuple, Kept, foldhash::quality::FixedState> {
    fn add(&mut self, flow: FiveTuple, kept: Kept) {
        self.insert(flow, kept);
    }

    fn take(&mut self, flow: &FiveTuple) {
        self.remove(flow);
    }

    fn count(&mut self, flow: &FiveTuple, now: u64) -> bool {
        let Some(kept) = self.get_mut(flow) else { return false };
        (kept.last, kept.bytes[0]) = (now, kept.bytes[0] + 100);
        true
    }
}

impl Peers for DashMap<FiveTuple, Kept> {
    fn add(&mut self, flow: FiveTuple, kept: Kept) {
        self.insert(flow, kept);
    }

    fn take(&mut self, flow: &FiveTuple) {
        self.remove(flow);
    }

    fn count(&mut self, flow: &FiveTuple, now: u64) -> bool {
        let Some(mut kept) = self.get_mut(flow) else { return false };
        (kept.last, kept.bytes[0]) = (now, kept.bytes[0] + 100);
        true
    }
}

/// A map under the same load as the table.
struct Peer<M> {
    map: M,
    /// The numbers of the flows present.
    flows: Vec<u64>,
    next: u64,
    random: u64,
}

impl<M: Peers> Peer<M> {
    fn new(size: u64, mut map: M) -> Self {
        let kept = Kept { last: 1, bytes: [100, 0], _rest: [0; 5] };
        let flows: Vec<u64> = (0..size).collect();
        for n in &flows {
            map.add(flow(*n).direction_free(), kept);
        }
        Self { map, flows, next: size, random: 0x5eed }
    }

    fn run(&mut self, operations: usize) -> usize {
        let mut found = 0;
        for operation in 0..operations {
            let at = (xorshift(&mut self.random) % self.flows.len() as u64) as usize;
            if operation.is_multiple_of(20) {
                self.map.take(&flow(self.flows[at]).direction_free());
                self.flows[at] = self.next;
                let kept = Kept { last: 1, bytes: [100, 0], _rest: [0; 5] };
                self.map.add(flow(self.next).direction_free(), kept);
                self.next += 1;
                continue;
            }
            let flow = flow(self.flows[at]);
            let flow = if at.is_multiple_of(2) { flow } else { flow.reverse() };
            found += usize::from(self.map.count(&flow.direction_free(), operation as u64));
        }
        found
    }
}

/// xorshift64 (Marsaglia 2003).
fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

struct Bench {
    table: SessionTable<u32>,
    ids: Vec<SessionId>,
    /// The numbers of the flows present, at the place of their id: a packet brings its flow with
    /// it.
    flows: Vec<u64>,
    flow_of: Flows,
    next: u64,
    random: u64,
    now: Timestamp,
    /// What the states see of a packet is the same for all.
    packet: Packet<'static>,
}

impl Bench {
    fn new(size: u64) -> Self {
        Self::of(size, flow)
    }

    fn of(size: u64, flow_of: Flows) -> Self {
        let mut bench = Self {
            table: table(size, WhenFull::DropNew),
            ids: Vec::new(),
            flows: Vec::new(),
            flow_of,
            next: 0,
            random: 0x5eed,
            now: Timestamp::from_secs(1),
            packet: packet(&flow_of(0)),
        };
        for _ in 0..size {
            bench.flows.push(bench.next);
            let (id, _) = bench.open();
            bench.ids.push(id);
        }
        bench
    }

    fn open(&mut self) -> (SessionId, FiveTuple) {
        let flow = (self.flow_of)(self.next);
        (self.try_open().expect("there is room"), flow)
    }

    fn try_open(&mut self) -> Option<SessionId> {
        let flow = (self.flow_of)(self.next);
        self.next += 1;
        let opening = Opening {
            tag: 0,
            original: flow,
            translated: flow,
            data: 0,
            bytes: 100,
            refused: false,
        };
        self.table.open(self.now, &self.packet, opening).ok()
    }

    fn random(&mut self) -> usize {
        (xorshift(&mut self.random) % self.flows.len() as u64) as usize
    }

    /// Closes a session and opens another in its place.
    fn replace(&mut self, at: usize) {
        self.table.close(self.ids[at], EndReason::AgedOut);
        black_box(self.table.poll_ended());
        self.flows[at] = self.next;
        (self.ids[at], _) = self.open();
    }

    fn run_batches(&mut self, operations: usize) -> usize {
        let mut count = 0;
        let mut queries = Vec::with_capacity(BATCH);
        let mut answers = [None; BATCH];
        for batch in 0..operations / BATCH {
            queries.clear();
            // The packets are there before the table is asked.
            let mut packets = [0; BATCH];
            for at in &mut packets {
                *at = self.random();
                black_box((self.flows[*at], self.ids[*at]));
            }
            for (operation, at) in (batch * BATCH..).zip(packets) {
                if operation.is_multiple_of(20) {
                    self.replace(at);
                    continue;
                }
                let flow = (self.flow_of)(self.flows[at]);
                let flow = if at.is_multiple_of(2) { flow } else { flow.reverse() };
                queries.push(Sought::new(0, flow));
            }
            let answers = &mut answers[..queries.len()];
            self.table.find_batch(&queries, answers);
            for (id, direction) in answers.iter().flatten().copied() {
                count += usize::from(direction == Direction::Original);
                black_box(self.table.advance(self.now, id, direction, &self.packet, 100));
            }
        }
        count
    }

    fn run(&mut self, operations: usize, change: bool) -> usize {
        let mut found = 0;
        for operation in 0..operations {
            let at = self.random();
            if change && operation.is_multiple_of(20) {
                self.replace(at);
                continue;
            }
            let flow = (self.flow_of)(self.flows[at]);
            let flow = if at.is_multiple_of(2) { flow } else { flow.reverse() };
            let Some((id, direction)) = self.table.find(&Sought::new(0, flow)) else { continue };
            found += usize::from(direction == Direction::Original);
            if change {
                black_box(self.table.advance(self.now, id, direction, &self.packet, 100));
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

criterion_group!(benches, mixed, crafted, flood);
criterion_main!(benches);
