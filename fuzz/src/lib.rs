//! The properties that fuzzing tries to break. Each takes any bytes and panics only when one does.

use std::io::Cursor;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parefeu::classify::{
    CompileLimits, CompiledPolicy, FirstMatch, Instructions, LiveRules, Place, RuleHandle,
};
use parefeu::dialect::{Dialect, read_bytes};
use parefeu::engine::{Arrived, Engine, EngineConfig, Frame, OneByOne};
use parefeu::net::{
    ChecksumVerdict, DecodeLimits, FiveTuple, LinkType, Packet, Protocol, Rewrite, Timestamp,
    Transport, ip_header_checksum, prohibited, reset_to_receiver, reset_to_sender,
    transport_checksum,
};
use parefeu::policy::{
    Behaviour, Diagnostics, LinkedFirewall, LinkedMatch, LinkedRule, PacketKey, Preset, RuleBaseId,
    RuleId, Source, Truth, link, native, reference,
};
use parefeu::replay::{Capture, CaptureLimits};
use parefeu::session::{
    EndReason, Opening, SessionId, SessionTable, Sought, TableLimits, WhenFull,
};
use parefeu_testkit::{Random, firewalls, keys};
use parefeu_verify::{Input, Limits, verify};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

mod announced;
mod fragments;

pub use announced::{announced, ways_opened};
pub use fragments::fragments;

/// Decoding never panics, and never reads past what was captured. Two bytes choose the link type.
pub fn decode(data: &[u8]) {
    let Some((head, frame)) = data.split_first_chunk::<2>() else { return };
    let link_type = LinkType(u16::from_be_bytes(*head) % 300);
    for wire_len in [frame.len(), frame.len() + 100] {
        let packet = parefeu::net::decode(link_type, frame, wire_len, &DecodeLimits::default());
        assert!(packet.transport.payload().len() <= frame.len());
        answer(&packet);
    }
}

/// What tells of a refusal goes to the sender or the receiver, and is in order.
fn answer(packet: &Packet<'_>) {
    let Some(flow) = packet.five_tuple() else { return };
    for (answer, to) in [
        (reset_to_sender(packet), flow.src),
        (prohibited(packet, flow.dst), flow.src),
        (reset_to_receiver(packet, &flow), flow.dst),
    ] {
        let Some(answer) = answer else { continue };
        let limits = DecodeLimits::default();
        let said = parefeu::net::decode(LinkType::RAW, &answer, answer.len(), &limits);
        assert_eq!((said.malformed, said.five_tuple().map(|flow| flow.dst)), (None, Some(to)));
        let network = said.network.as_ref();
        assert_eq!(network.map(transport_checksum), Some(ChecksumVerdict::Valid));
        // Nobody answers a reset with another, nor an error with an error.
        assert_eq!(reset_to_sender(&said), None);
        assert!(matches!(said.transport, Transport::Tcp(_)) || prohibited(&said, to).is_none());
    }
}

/// A packet is translated, or left as it was with an error. One whose checksums agree is as valid
/// afterwards, says what was asked for, and translates back. Seven bytes choose the translation.
pub fn rewrite(data: &[u8]) {
    let Some((head, packet)) = data.split_first_chunk::<7>() else { return };
    let [a, b, c, d, e, f, quotes] = *head;
    let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
    let address = |last: u8| -> IpAddr {
        if is_v6 {
            [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last].into()
        } else {
            [10, 0, 0, last].into()
        }
    };
    let told = |bytes: &[u8]| {
        let limits = DecodeLimits::default();
        let packet = parefeu::net::decode(LinkType::RAW, bytes, bytes.len(), &limits);
        let network = packet.network?;
        let valid = |verdict| verdict == ChecksumVerdict::Valid;
        let agree = valid(ip_header_checksum(&network)) && valid(transport_checksum(&network));
        let flow = packet.five_tuple()?;
        // What the decoder doubts has no one flow.
        (packet.malformed.is_none()).then_some((agree, flow, network.fragment.is_some()))
    };
    let protocol = told(packet).map_or(Protocol::TCP, |(_, flow, _)| flow.protocol);
    let (src_port, dst_port) = (u16::from_be_bytes([c, d]), u16::from_be_bytes([e, f]));
    let (src_port, dst_port) = match protocol {
        protocol if protocol.is_icmp() => (src_port, src_port),
        protocol if protocol.has_ports() => (src_port, dst_port),
        _ => (0, 0),
    };
    let flow = FiveTuple { src: address(a), dst: address(b), src_port, dst_port, protocol };
    let quoted = (quotes & 1 == 1).then_some(flow);
    let mut changed = packet.to_vec();
    if parefeu::net::rewrite(&mut changed, &Rewrite { flow, quoted }).is_err() {
        assert_eq!(changed, packet);
        return;
    }
    let Some((true, before, false)) = told(packet) else { return };
    let after = told(&changed);
    assert!(after.is_some_and(|(agree, ..)| agree), "{packet:02x?} {changed:02x?}");
    let is_query = !protocol.is_icmp() || before.src_port != 0;
    if quoted.is_none() && is_query && protocol != Protocol::ICMPV6 {
        assert_eq!(after.map(|(_, flow, _)| flow), Some(flow));
        let back = Rewrite { flow: before, quoted: None };
        assert_eq!(parefeu::net::rewrite(&mut changed, &back), Ok(()));
        assert_eq!(told(&changed), told(packet));
    }
}

/// Any calls leave a session table with the sessions a list has: those found, counted and ended.
/// Four bytes a call.
pub fn sessions(data: &[u8]) {
    const LIMIT: usize = 5;
    let limits = TableLimits { max_sessions: LIMIT, when_full: WhenFull::DropUnanswered };
    let mut table = SessionTable::new(limits, Behaviour::preset(Preset::Fortios), 7);
    let mut list: Vec<(SessionId, u32, FiveTuple, FiveTuple)> = Vec::new();
    let (mut now, mut next) = (Timestamp::from_secs(1_700_000_000), 0u32);
    let flow = |bits: u8| {
        let address = |last: u8| -> IpAddr {
            if bits & 1 == 1 {
                [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last].into()
            } else {
                [10, 0, 0, last].into()
            }
        };
        let (src, dst) = (address(bits >> 1 & 1), address(bits >> 2 & 1));
        let (src_port, dst_port) = (u16::from(bits >> 3 & 3), u16::from(bits >> 5 & 3));
        FiveTuple { src, dst, src_port, dst_port, protocol: Protocol::UDP }
    };
    for &[call, first, second, amount] in data.as_chunks::<4>().0 {
        let (tag, original) = (u32::from(call >> 7), flow(first));
        // A bare datagram; what the table knows of it is that it is UDP.
        let bytes = [
            0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 1, 0, 2, 0, 8,
            0, 0,
        ];
        let packet =
            parefeu::net::decode(LinkType::RAW, &bytes, bytes.len(), &DecodeLimits::default());
        match call % 5 {
            0 | 1 => {
                let other = flow(second & !1 | first & 1);
                let translated = if call & 8 == 0 { original } else { other };
                let opening = Opening {
                    tag,
                    original,
                    translated,
                    data: next,
                    bytes: 1,
                    refused: call & 0x70 == 0x70,
                };
                if let Ok(id) = table.open(now, &packet, opening) {
                    list.push((id, next, original, translated.reverse()));
                    next += 1;
                }
            }
            2 => {
                if let Some((id, direction)) = table.find(&Sought::new(tag, original)) {
                    assert!(list.iter().any(|it| it.0 == id));
                    table.advance(now, id, direction, &packet, amount.into());
                }
            }
            3 => {
                if let Some((id, ..)) = list.get(usize::from(amount) % list.len().max(1)) {
                    if call & 8 == 0 {
                        table.close(*id, EndReason::Threat)
                    } else {
                        table.refuse(now, *id)
                    }
                }
            }
            _ => {
                now = now + Duration::from_millis(u64::from(amount) * u64::from(second));
                table.handle_timeout(now);
                assert!(table.poll_timeout().is_none_or(|due| due > now));
            }
        }
        while let Some(ended) = table.poll_ended() {
            let at = list.iter().position(|it| it.1 == ended.session.data);
            let (_, _, original, reply) = list.remove(at.expect("it was open"));
            assert_eq!((original, reply), (ended.session.original, ended.session.reply));
        }
        assert_eq!(table.len(), list.len());
        assert!(list.len() <= LIMIT);
        for (id, number, original, reply) in &list {
            let session = table.session(*id).expect("it is open");
            assert_eq!(
                (session.original, session.reply, *session.data),
                (*original, *reply, *number)
            );
            assert!(reply == original || table.has_reply(&Sought::new(0, *reply)));
        }
    }
}

/// A capture is read to its end, to an error, or refused; reading always stops.
pub fn capture(data: &[u8]) {
    let source = Cursor::new(data.to_vec());
    let Ok(mut capture) = Capture::open(source, "fuzz", CaptureLimits::default()) else { return };
    let mut frames = 0u64;
    while let Ok(Some(frame)) = capture.next_frame() {
        frames += 1;
        assert_eq!(frame.number, frames);
        if frames > 100_000 {
            break;
        }
    }
}

/// Any text is read as any dialect without a panic, and what is read links or says why not.
pub fn dialect(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let dialect = Dialect::ALL.get(usize::from(*first) % (Dialect::ALL.len() + 1)).copied();
    let import = read_bytes("fuzz", text, dialect);
    let mut problems = Diagnostics::default();
    if let Some(firewall) = import.firewall {
        let linked = link(&firewall, &mut problems);
        assert!(linked.is_some() || problems.has_errors() || import.problems.has_errors());
    }
}

/// What the native format writes reads back as the same text.
pub fn native(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (firewall, problems) = native::read(Source::new("fuzz.toml", text));
    let Some(firewall) = firewall.filter(|_| !problems.has_errors()) else { return };
    let written = native::write(&firewall);
    let (again, problems) = native::read(Source::new("again.toml", &written));
    assert!(!problems.has_errors(), "{problems:?}\n{written}");
    let again = again.map(|firewall| native::write(&firewall));
    assert_eq!(again.as_deref(), Some(written.as_str()));
}

/// Any text, sealed as a certificate is, is accepted or rejected without a panic, and within the
/// work allowed.
pub fn certificate(data: &[u8]) {
    static FIREWALL: LazyLock<Option<LinkedFirewall>> = LazyLock::new(|| {
        let (firewall, mut problems) = native::read(Source::new("fuzz.toml", CERTIFIED));
        link(&firewall?, &mut problems)
    });
    let firewall = FIREWALL.as_ref().expect("the firewall is usable");
    let head = "parefeu/certificate/1\nby \"\"\n\
        old \"\" sha256 0 dialect \"parefeu\" layers \"main\"\n\
        new \"\" sha256 0 dialect \"parefeu\" layers \"main\"\n\
        refusals alike\nverdict equivalent\n";
    let text = [head.as_bytes(), data, b"\n"].concat();
    let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let sealed = [&text[..], format!("sha256 {digest}\n").as_bytes()].concat();
    let problems = &Diagnostics::default();
    let input = Input { firewall, problems, sha256: "0", dialect: "parefeu" };
    let limits = Limits { work: 100_000, ..Limits::default() };
    for certificate in [data, &sealed] {
        if let Ok(accepted) = verify(certificate, [&input, &input], &limits) {
            assert!(accepted.work <= limits.work);
        }
    }
}

/// What certificates are checked against.
const CERTIFIED: &str = r#"
    [[interface]]
    name = "a"
    address = ["192.0.2.1/24"]
    [[rule_base]]
    name = "main"
    [[rule_base.rule]]
    name = "web"
    source = ["10.0.0.0/8", "unknown:x"]
    service = ["tcp/80-443", "icmp"]
    action = "allow"
    [[layer]]
    rule_base = "main"
    default = "deny"
    [[source_nat]]
    name = "hide"
    source = ["10.0.0.0/9"]
    translation = "egress-interface"
"#;

/// Compiled lookup answers what reading the rules one by one answers, one by one and side by side,
/// with the instructions of every kind the processor has. The first byte chooses the structures
/// and where the firewall comes from: the rest seeds the generators, or is a configuration of any
/// dialect.
pub fn lookup(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let firewall = if first % 2 == 0 { generated(rest) } else { written(rest) };
    let Some(firewall) = firewall else { return };
    let policy = CompiledPolicy::compile(Arc::clone(&firewall), &structures(first >> 1));
    let mut random = Random::new(folded(data));
    let keys: Vec<PacketKey> = (0..20).map(|_| keys::corner(&firewall, &mut random)).collect();
    for key in &keys {
        let known = keys::Known::about(&firewall, &mut random);
        for (index, layer) in firewall.layers.iter().enumerate() {
            let plain = reference::evaluate_layer(&firewall, layer, key, &known.knowledge());
            let fast = policy.evaluate_layer(index, key, &known.knowledge());
            assert_eq!(fast, Some(plain), "{key:?}");
        }
    }
    for id in (0..firewall.rule_bases.len() as u32).map(RuleBaseId) {
        let plain: Vec<FirstMatch> =
            keys.iter().map(|key| first_match(&firewall, id, key).into()).collect();
        for instructions in Instructions::ALL {
            let mut found = vec![Some(RuleId(u32::MAX - 1)).into(); keys.len()];
            policy.first_match_batch_with(instructions, id, &keys, &mut found);
            assert_eq!(found, plain, "{} {keys:?}", instructions.name());
        }
    }
}

/// One of the ways to compile: as users do, with tables for few rules, and with hashed rules.
fn structures(choice: u8) -> CompileLimits {
    let default = CompileLimits::default();
    match choice % 3 {
        0 => default,
        1 => CompileLimits { min_table_rules: 0, ..default },
        _ => CompileLimits { min_table_rules: 0, max_paired_rules: 0, ..default },
    }
}

fn first_match(firewall: &LinkedFirewall, id: RuleBaseId, key: &PacketKey) -> Option<RuleId> {
    let sure = |rule: &LinkedRule| {
        !rule.disabled && rule.matches.header_truth(key, &firewall.schedules) == Truth::Yes
    };
    let index = firewall.rules_of(id).iter().position(sure)?;
    Some(RuleId(firewall.rule_bases[id.index()].first.0 + index as u32))
}

/// A rule base under change answers what a plain list does. The first byte chooses the structures,
/// eight bytes the rules; each byte after them is a change.
pub fn live(data: &[u8]) {
    let Some((seed, changes)) = data.split_first_chunk::<9>() else { return };
    let Some(firewall) = generated(&seed[1..]) else { return };
    let rules = || firewall.rules.iter().map(|rule| rule.matches.clone());
    let dimensions = (firewall.interfaces.len() as u32, firewall.zones.len() as u32);
    let schedules = firewall.schedules.clone().into();
    let mut live = LiveRules::new(rules().collect(), dimensions, schedules, structures(seed[0]));
    let mut plain: Vec<(RuleHandle, LinkedMatch)> =
        live.rules().map(|(rule, matches)| (rule, matches.clone())).collect();
    let pool: Vec<LinkedMatch> = rules().collect();
    let reader = live.reader();
    let mut random = Random::new(folded(data));
    for byte in changes.iter().take(200) {
        let at = random.below(plain.len().max(1));
        let some = plain.get(at).map(|(rule, _)| *rule);
        match (byte % 5, some, random.pick(&pool)) {
            (0, Some(rule), _) => {
                live.remove(rule).expect("the rule is there");
                plain.remove(at);
            }
            (1, Some(rule), Some(matches)) => {
                live.replace(rule, matches.clone()).expect("the rule is there");
                plain[at].1 = matches.clone();
            }
            (2, Some(rule), _) => {
                live.reorder(rule, Place::First).expect("the rule is there");
                let moved = plain.remove(at);
                plain.insert(0, moved);
            }
            (3, _, _) => live.compile(),
            (_, Some(rule), Some(matches)) => {
                let new = live.insert(Place::After(rule), matches.clone());
                plain.insert(at + 1, (new.expect("the rule is there"), matches.clone()));
            }
            _ => {}
        }
        let key = keys::corner(&firewall, &mut random);
        let surely = |(_, matches): &&(RuleHandle, LinkedMatch)| {
            matches.header_truth(&key, &firewall.schedules) == Truth::Yes
        };
        let expected = plain.iter().find(surely).map(|(rule, _)| *rule);
        assert_eq!(reader.first_match(&key), expected, "{key:?}");
    }
}

/// A small firewall of the generators. The bytes are a seed, not the numbers drawn: proptest's
/// pass-through generator gives zeros once they are used up, and sampling that rejects zero would
/// never end.
fn generated(data: &[u8]) -> Option<Arc<LinkedFirewall>> {
    let mut random = Random::new(folded(data));
    let mut seed = [0; 32];
    seed.fill_with(|| random.next_u64() as u8);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let tree = firewalls::small().new_tree(&mut runner).ok()?;
    Some(firewalls::linked(&tree.current()))
}

/// The firewall of a configuration in any dialect, when the text is one.
fn written(data: &[u8]) -> Option<Arc<LinkedFirewall>> {
    let mut import = read_bytes("fuzz", data, None);
    link(&import.firewall?, &mut import.problems).map(Arc::new)
}

/// A number that depends on every byte.
fn folded(data: &[u8]) -> u64 {
    data.iter().fold(7, |seed, byte| seed.wrapping_mul(31) ^ u64::from(*byte))
}

/// An engine takes any frames at any times that do not run backwards; one of several shards, which
/// is put down and taken up again in between, does and tells the same. The first bit says whether
/// it translates.
pub fn engine(data: &[u8]) {
    static POLICIES: LazyLock<[Option<Arc<CompiledPolicy>>; 2]> = LazyLock::new(|| {
        [["", ""], [MAPPING, TRANSLATION]].map(|[before, behind]| {
            let text = format!("[behaviour]\npreset = \"panos\"\n{before}{POLICY_TEXT}{behind}");
            let firewall = written(text.as_bytes())?;
            Some(Arc::new(CompiledPolicy::compile(firewall, &CompileLimits::default())))
        })
    });
    let translates = data.first().is_some_and(|first| first >> 7 == 1);
    let engine = |shards| {
        let policy = POLICIES[usize::from(translates)].clone();
        let policy = policy.expect("the policies are written below");
        // Checksums that fuzzing cannot guess would keep every frame out.
        let shards = NonZeroUsize::new(shards).expect("some");
        Engine::new(policy, EngineConfig { verify_checksums: false, shards, ..Default::default() })
    };
    let limits = DecodeLimits::default();
    let (mut rest, mut now) = (data, Timestamp::EPOCH);
    let mut frames = Vec::new();
    while let Some((&[high, low, pause], more)) = rest.split_first_chunk::<3>() {
        // Two bytes, so that whole messages fit.
        let length = usize::from(u16::from_be_bytes([high % 8, low]));
        let (frame, more) = more.split_at(more.len().min(length));
        rest = more;
        now = now + std::time::Duration::from_millis(u64::from(pause) * u64::from(pause));
        let packet = parefeu::net::decode(LinkType::RAW, frame, frame.len(), &limits);
        frames.push((now, packet, frame));
    }
    let (mut decisions, mut events) = (Vec::new(), Vec::new());
    let mut alone = engine(1);
    for (at, (now, _, data)) in (1..).zip(&frames) {
        let frame = Frame { link_type: LinkType::RAW, data, wire_len: data.len() as u32 };
        decisions.push(alone.handle_frame(*now, None, frame));
        assert_eq!(alone.counters().frames(), at);
        events.extend(std::iter::from_fn(|| alone.poll_event()));
    }
    let arrived: Vec<Arrived<'_>> = frames
        .iter()
        .map(|(now, packet, data)| Arrived {
            now: *now,
            ingress: None,
            packet,
            wire_len: data.len() as u32,
        })
        .collect();
    let (first, second) = arrived.split_at(arrived.len() / 2);
    let (mut together, mut told) = (Vec::new(), Vec::new());
    let mut shared = engine(3);
    shared.handle_batch(first, &mut together, &OneByOne);
    let snapshot = shared.snapshot();
    told.extend(std::iter::from_fn(|| shared.poll_event()));
    let mut later = engine(2);
    later.restore(&snapshot).expect("it was just written");
    later.handle_batch(second, &mut together, &OneByOne);
    for (engine, told) in [(&mut alone, &mut events), (&mut later, &mut told)] {
        engine.close_all(EndReason::CaptureEnd);
        told.extend(std::iter::from_fn(|| engine.poll_event()));
    }
    assert_eq!(decisions, together);
    assert_eq!(events, told);
}

/// Lets everything pass, but has to know the application to say by which rule.
const POLICY_TEXT: &str = r#"
[[application]]
name = "web"
identified_as = ["http", "tls", "quic"]
[[rule_base]]
name = "all"
[[rule_base.rule]]
name = "web"
application = ["web"]
action = "allow"
[[rule_base.rule]]
name = "rest"
action = "allow"
[[layer]]
rule_base = "all"
"#;

/// Clients keep their ports, of which there are few.
const MAPPING: &str = "nat-mapping = \"endpoint-independent\"\nnat-port-parity = true\n";

/// Clients of either family go to servers of IPv4.
const TRANSLATION: &str = r#"
[[destination_nat]]
name = "embedded"
destination = "64:ff9b::/96"
translation = { embedded = "64:ff9b::/96" }
[[source_nat]]
name = "either family"
translation = { pool = "203.0.113.8-203.0.113.9", port = "allocate 2000-2003" }
"#;
