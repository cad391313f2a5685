//! What a decision costs, by kind of packet: sessions that stand, sessions that open, refusals.
//!
//! Frames go round between many hosts, so that sessions come from memory as they do at work.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Engine, EngineConfig, Frame};
use parefeu_net::{LinkType, Timestamp};
use parefeu_policy::{InterfaceId, Source, link, native};
use parefeu_testkit::frames;

const SESSIONS: usize = 10_000;

const FIREWALL: &str = r#"
[[zone]]
name = "outside"
[[zone]]
name = "inside"
[[interface]]
name = "wan"
zone = "outside"
address = ["203.0.113.1/24", "2001:db8:ffff::1/64"]
[[interface]]
name = "lan"
zone = "inside"
address = ["10.0.0.1/8", "2001:db8::1/64"]
[[route]]
destination = "0.0.0.0/0"
next_hop = "203.0.113.254"
[[route]]
destination = "::/0"
next_hop = "2001:db8:ffff::fe"
[[source_nat]]
name = "mail-relay"
service = ["tcp/25"]
source = ["10.0.0.0/8"]
egress = ["wan"]
translation = "egress-interface"
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "no-telnet"
service = ["tcp/23"]
action = "deny"
[[rule_base.rule]]
name = "out"
from = ["inside"]
action = "allow"
[[layer]]
rule_base = "policy"
"#;

/// The engine of a firewall of this behaviour, and its inner interface.
fn engine(behaviour: &str) -> (Engine, Option<InterfaceId>) {
    let text = format!("behaviour = \"{behaviour}\"\n{FIREWALL}");
    let (firewall, mut problems) = native::read(Source::new("bench.toml", &text));
    let linked = firewall.and_then(|it| link(&it, &mut problems)).expect("a firewall that links");
    let lan = linked.interface_named("lan");
    let policy = CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default());
    let config = EngineConfig { events: false, ..EngineConfig::default() };
    (Engine::new(Arc::new(policy), config), lan)
}

/// `what` from each of [`SESSIONS`] clients, `CLIENT4` and `CLIENT6` standing for their addresses.
fn from_clients(what: &str) -> Vec<Vec<u8>> {
    let frame = |client: usize| {
        let (high, low) = (client / 250, client % 250 + 2);
        let v4 = format!("10.0.{high}.{low}");
        let v6 = format!("2001:db8::{high:x}:{low:x}");
        frames::frame(&what.replace("CLIENT4", &v4).replace("CLIENT6", &v6))
    };
    (0..SESSIONS).map(frame).collect()
}

fn feed(engine: &mut Engine, now: Timestamp, lan: Option<InterfaceId>, frames: &[Vec<u8>]) -> u64 {
    let mut passed = 0;
    for data in frames {
        let frame = Frame { link_type: LinkType::ETHERNET, data, wire_len: data.len() as u32 };
        passed += u64::from(engine.handle_frame(now, lan, frame).verdict.passes());
    }
    passed
}

/// Packets of sessions that exist: bench name, behaviour, first packet, packet measured.
const HITS: [(&str, &str, &str, &str); 8] = [
    ("tcp-ipv4", "panos", "CLIENT4:4000 > 192.0.2.9:443 S", "CLIENT4:4000 > 192.0.2.9:443 S"),
    (
        "tcp-ipv6",
        "panos",
        "[CLIENT6]:4000 > [2001:db8:9::9]:443 S",
        "[CLIENT6]:4000 > [2001:db8:9::9]:443 S",
    ),
    ("tcp-translated", "panos", "CLIENT4:4000 > 192.0.2.9:25 S", "CLIENT4:4000 > 192.0.2.9:25 S"),
    (
        "udp-ipv4",
        "panos",
        "CLIENT4:4000 > 192.0.2.9:4500 udp len=100",
        "CLIENT4:4000 > 192.0.2.9:4500 udp len=100",
    ),
    ("ping", "panos", "CLIENT4 > 192.0.2.9 echo id=7", "CLIENT4 > 192.0.2.9 echo id=7 seq=1"),
    (
        "every-packet-filtered",
        "linux",
        "CLIENT4:4000 > 192.0.2.9:4500 udp",
        "CLIENT4:4000 > 192.0.2.9:4500 udp",
    ),
    ("refused-kept", "panos", "CLIENT4:4000 > 192.0.2.9:23 S", "CLIENT4:4000 > 192.0.2.9:23 S"),
    (
        "invalid",
        "panos",
        "CLIENT4:4000 > 192.0.2.9:443 S",
        "CLIENT4:4000 > 192.0.2.9:443 . seq=90000000 ack=9",
    ),
];

fn hit(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine/hit");
    group.throughput(Throughput::Elements(SESSIONS as u64));
    for (name, behaviour, first, next) in HITS {
        let (mut engine, lan) = engine(behaviour);
        let mut now = Timestamp::from_secs(1);
        feed(&mut engine, now, lan, &from_clients(first));
        assert_eq!(engine.session_count(), SESSIONS, "{name}");
        let frames = from_clients(next);
        group.bench_function(BenchmarkId::new(name, SESSIONS), |b| {
            b.iter(|| {
                // Time goes on, as it does at work, and slowly enough for every idle timer.
                now = now + Duration::from_millis(1);
                black_box(feed(&mut engine, now, lan, &frames))
            });
        });
        assert_eq!(engine.session_count(), SESSIONS, "{name}");
    }
    group.finish();
}

/// First packets: bench name, behaviour, packet measured.
const MISSES: [(&str, &str, &str); 5] = [
    ("opened-tcp-ipv4", "panos", "CLIENT4:4000 > 192.0.2.9:443 S"),
    ("opened-tcp-ipv6", "panos", "[CLIENT6]:4000 > [2001:db8:9::9]:443 S"),
    ("opened-translated", "panos", "CLIENT4:4000 > 192.0.2.9:25 S"),
    ("refused-kept", "panos", "CLIENT4:4000 > 192.0.2.9:23 S"),
    ("invalid", "panos", "CLIENT4:4000 > 192.0.2.9:443 . seq=5 ack=9"),
];

fn miss(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine/miss");
    group.sample_size(20).throughput(Throughput::Elements(SESSIONS as u64));
    for (name, behaviour, first) in MISSES {
        let frames = from_clients(first);
        group.bench_function(BenchmarkId::new(name, SESSIONS), |b| {
            b.iter_batched(
                || engine(behaviour),
                |(mut engine, lan)| {
                    black_box(feed(&mut engine, Timestamp::from_secs(1), lan, &frames));
                    engine
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, hit, miss);
criterion_main!(benches);
