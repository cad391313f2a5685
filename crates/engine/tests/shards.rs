//! An engine of several shards does what one of a single shard does, in the same order.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{
    Arrived, Decision, Engine, EngineConfig, Event, OneByOne, RestoreError, Workers,
};
use parefeu_net::{DecodeLimits, LinkType, Packet, Timestamp, decode};
use parefeu_policy::{Source, link, native};
use parefeu_session::{Aging, EndReason, OpenError, TableLimits, WhenFull};
use parefeu_testkit::{Random, frames};
use proptest::prelude::*;

const RULES: &str = r#"
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "some"
service = ["tcp/21", "tcp/80", "udp/69", "udp/5060", "udp/53"]
action = "allow"
[[rule_base.rule]]
name = "ping"
service = ["icmp"]
action = "allow"
[[layer]]
rule_base = "policy"
"#;

const HIDDEN: &str = r#"
[[source_nat]]
name = "out"
source = "10.0.0.0/30"
translation = { pool = "203.0.113.9", port = "allocate 2000-2009" }
"#;

fn policy(behaviour: &str, rules: &str) -> Arc<CompiledPolicy> {
    let text = format!("{rules}\n[behaviour]\n{behaviour}");
    let (firewall, mut problems) = native::read(Source::new("test.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
    Arc::new(CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default()))
}

/// A thread for each task.
struct Threads;

impl Workers for Threads {
    fn run<T: Send>(&self, tasks: &mut [T], work: impl Fn(&mut T) + Sync) {
        std::thread::scope(|scope| {
            for task in tasks {
                scope.spawn(|| work(task));
            }
        });
    }
}

/// A frame between one of few clients and one of few servers.
fn frame(random: &mut Random) -> Vec<u8> {
    let client = format!("10.0.0.{}", 1 + random.below(6));
    let server = format!("192.0.2.{}", 1 + random.below(3));
    let port = 4000 + random.below(3);
    let (tcp, udp) = ([21, 80, 81][random.below(3)], [53, 54, 69, 5060][random.below(4)]);
    let forth = random.percent(60);
    let ends = |service: u16| {
        let (client, server) = (format!("{client}:{port}"), format!("{server}:{service}"));
        if forth { format!("{client} > {server}") } else { format!("{server} > {client}") }
    };
    let text = match random.below(12) {
        0..=2 => format!("{} {}", ends(tcp), ["S", "S.", "R", "F.", "R."][random.below(5)]),
        3 | 4 => format!("{} . seq=1 ack=1", ends(tcp)),
        5 => {
            let port = 4100 + random.below(3);
            let [high, low] = [port / 256, port % 256];
            let address = client.replace('.', ",");
            let says = format!("PORT {address},{high},{low}\\r\\n");
            format!("{} P. seq={} ack=1 \"{says}\"", ends(21), random.below(2))
        }
        6 => format!("{server}:20 > {client}:{} S", 4100 + random.below(3)),
        7 | 8 => format!("{} udp \"x\"", ends(udp)),
        9 => format!(r#"{client}:{port} > {server}:69 udp "\x00\x01a\x00octet\x00""#),
        10 => format!("{server}:{} > {client}:{port} udp \"y\"", 3000 + random.below(3)),
        _ if forth => format!("{client} > {server} echo id=7"),
        _ => format!("{server} > {client} echo-reply id=7"),
    };
    let mut bytes = frames::frame(&text);
    if random.percent(3) {
        // Somebody on the way complains about it.
        let about = format!("198.51.100.1 > {} icmp=3/1", if forth { &client } else { &server });
        bytes = frames::frame_with(&about, &bytes[14..bytes.len().min(14 + 60)]);
    } else if random.percent(2) {
        // A first fragment whose rest never comes, or nothing at all.
        if random.percent(50) { bytes[20] |= 0x20 } else { bytes.truncate(20) }
    }
    bytes
}

/// What becomes of frames, in batches of different length, each of them decided by an engine that
/// takes up what the one before it has written down, if `next` makes one.
fn play_slices(
    mut engine: Engine,
    frames: &[(Timestamp, Vec<u8>)],
    slice: usize,
    mut next: impl FnMut() -> Engine,
) -> (Vec<Decision>, Vec<Event>) {
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    for slice in frames.chunks(slice) {
        let snapshot = engine.snapshot();
        events.extend(std::iter::from_fn(|| engine.poll_event()));
        engine = next();
        assert_eq!(engine.restore(&snapshot), Ok(()));
        assert_eq!(engine.snapshot(), snapshot, "nothing is lost");
        let (more, told) = play_on(&mut engine, slice, None::<(usize, &OneByOne)>);
        decisions.extend(more);
        events.extend(told);
    }
    engine.close_all(EndReason::CaptureEnd);
    events.extend(std::iter::from_fn(|| engine.poll_event()));
    assert_eq!(engine.counters().frames(), frames.len() as u64);
    (decisions, events)
}

/// What becomes of frames, in batches of different length.
fn play(
    mut engine: Engine,
    frames: &[(Timestamp, Vec<u8>)],
    batch: Option<(usize, &impl Workers)>,
) -> (Vec<Decision>, Vec<Event>) {
    let (decisions, mut events) = play_on(&mut engine, frames, batch);
    assert_eq!(engine.counters().frames(), frames.len() as u64);
    engine.close_all(EndReason::CaptureEnd);
    events.extend(std::iter::from_fn(|| engine.poll_event()));
    (decisions, events)
}

fn play_on(
    engine: &mut Engine,
    frames: &[(Timestamp, Vec<u8>)],
    batch: Option<(usize, &impl Workers)>,
) -> (Vec<Decision>, Vec<Event>) {
    let limits = DecodeLimits::default();
    let decoded: Vec<(Timestamp, Packet<'_>)> = frames
        .iter()
        .map(|(now, bytes)| (*now, decode(LinkType::ETHERNET, bytes, bytes.len(), &limits)))
        .collect();
    let mut decisions = Vec::new();
    match batch {
        None => {
            for (now, packet) in &decoded {
                decisions.push(engine.handle_packet(*now, None, packet, 100));
            }
        }
        Some((size, workers)) => {
            for chunk in decoded.chunks(size) {
                let batch: Vec<Arrived<'_>> = chunk
                    .iter()
                    .map(|(now, packet)| Arrived {
                        now: *now,
                        ingress: None,
                        packet,
                        wire_len: 100,
                    })
                    .collect();
                engine.handle_batch(&batch, &mut decisions, workers);
            }
        }
    }
    (decisions, std::iter::from_fn(|| engine.poll_event()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shards_change_nothing(
        seed: u64,
        preset in prop::sample::select(&["linux", "panos", "asa", "pf"][..]),
        hides: bool,
        max_sessions in prop::sample::select(&[6, 40, 100_000][..]),
        when_full in prop::sample::select(&[
            WhenFull::DropNew,
            WhenFull::DropUnanswered,
            WhenFull::Age(Aging { above_percent: 60, divisor: 4 }),
        ][..]),
        size in prop::sample::select(&[70, 333, 5000][..]),
    ) {
        let behaviour = format!("preset = \"{preset}\"\nexpect-ftp = true\nexpect-tftp = true\n");
        let rules = if hides { format!("{RULES}{HIDDEN}") } else { RULES.to_owned() };
        let policy = policy(&behaviour, &rules);
        let engine = |shards| {
            let config = EngineConfig {
                sessions: TableLimits { max_sessions, when_full },
                shards: NonZeroUsize::new(shards).unwrap(),
                ..EngineConfig::default()
            };
            Engine::new(Arc::clone(&policy), config)
        };
        let mut random = Random::new(seed);
        let mut now = Timestamp::from_secs(1_700_000_000);
        let frames: Vec<(Timestamp, Vec<u8>)> = (0..2000)
            .map(|_| {
                let pauses = [(80, 0), (12, 1), (6, 700), (1, 9_000), (1, 70_000)];
                now = now + Duration::from_millis(random.weighted(&pauses).unwrap());
                (now, frame(&mut random))
            })
            .collect();
        let expected = play(engine(1), &frames, None::<(usize, &OneByOne)>);
        prop_assert!(!expected.1.is_empty());
        for shards in [1, 2, 8] {
            let batched = play(engine(shards), &frames, Some((size, &OneByOne)));
            prop_assert_eq!(&batched.0, &expected.0, "decisions of {} shards", shards);
            prop_assert_eq!(&batched.1, &expected.1, "events of {} shards", shards);
        }
        let threaded = play(engine(3), &frames, Some((size, &Threads)));
        prop_assert!(threaded == expected, "threads");
        let in_turn = play(engine(8), &frames, None::<(usize, &OneByOne)>);
        prop_assert!(in_turn == expected, "one by one");
        let mut shards = [1, 3, 8].into_iter().cycle();
        let next = || engine(shards.next().unwrap_or(1));
        let sliced = play_slices(engine(2), &frames, size.min(700), next);
        prop_assert_eq!(&sliced.0, &expected.0, "decisions of slices");
        prop_assert_eq!(&sliced.1, &expected.1, "events of slices");
    }
}

#[test]
fn shards_become_one_when_a_policy_comes_that_translates() {
    let [plain, hiding] = [RULES.to_owned(), format!("{RULES}{HIDDEN}")]
        .map(|rules| policy("preset = \"panos\"", &rules));
    let mut random = Random::new(7);
    let mut now = Timestamp::from_secs(1_700_000_000);
    let frames: Vec<(Timestamp, Vec<u8>)> = (0..3000)
        .map(|_| {
            now = now + Duration::from_millis(40);
            (now, frame(&mut random))
        })
        .collect();
    let (before, after) = frames.split_at(1000);
    let played = [1, 8].map(|shards| {
        let shards = NonZeroUsize::new(shards).unwrap();
        let config = EngineConfig { shards, ..EngineConfig::default() };
        let mut engine = Engine::new(Arc::clone(&plain), config);
        let first = play_on(&mut engine, before, Some((500, &OneByOne)));
        engine.install_policy(Arc::clone(&hiding));
        (first, play_on(&mut engine, after, Some((500, &OneByOne))).0)
    });
    assert!(played[0].0.0 == played[1].0.0 && played[0].1 == played[1].1);
    assert!(played[0].1.iter().any(|decision| decision.translated.is_some()));
}

#[test]
fn a_snapshot_that_is_none_or_not_of_this_engine_is_refused() {
    let (panos, linux) = (policy("preset = \"panos\"", RULES), policy("preset = \"linux\"", RULES));
    let engine =
        |policy: &Arc<CompiledPolicy>| Engine::new(Arc::clone(policy), EngineConfig::default());
    let mut random = Random::new(7);
    let start = Timestamp::from_secs(1_700_000_000);
    let frames: Vec<(Timestamp, Vec<u8>)> = (0..200).map(|_| (start, frame(&mut random))).collect();
    let mut used = engine(&panos);
    play_on(&mut used, &frames, None::<(usize, &OneByOne)>);
    let snapshot = used.snapshot();
    assert!(used.session_count() > 20);
    assert_eq!(used.restore(&snapshot), Err(RestoreError::InUse));
    assert_eq!(engine(&linux).restore(&snapshot), Err(RestoreError::OtherFirewall));
    assert_eq!(engine(&panos).restore(b"parefeu"), Err(RestoreError::NoSnapshot));
    for at in (16..snapshot.len()).step_by(41).chain([snapshot.len() - 1]) {
        let mut broken = snapshot.clone();
        broken[at] ^= 1;
        assert!(engine(&panos).restore(&broken).is_err(), "byte {at}");
        assert!(engine(&panos).restore(&snapshot[..at]).is_err(), "{at} bytes");
    }
    let limits = TableLimits { max_sessions: 10, ..TableLimits::default() };
    let small = EngineConfig { sessions: limits, ..EngineConfig::default() };
    let too_many = Engine::new(Arc::clone(&panos), small).restore(&snapshot);
    assert_eq!(too_many, Err(RestoreError::Session(OpenError::TableFull)));
    assert_eq!(engine(&panos).restore(&snapshot), Ok(()));
}
