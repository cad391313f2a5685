//! What follows the first packet where addresses are translated, against the engine: it is shown a
//! connection, an answer to what left, and a later packet.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Decision, Engine, EngineConfig, Frame};
use parefeu_equivalence::{
    Compared, Family, Field, Finding, Pairing, ProtocolClass, Request, Terms, compare_following,
    findings_following,
};
use parefeu_net::{FiveTuple, LinkType, Protocol, Timestamp};
use parefeu_policy::PacketKey;
use parefeu_testkit::{Random, firewalls, frames};

use crate::packets::{bits, holds};

/// Addresses inside, and outside: of those inside one is known by another address, and so is one
/// outside.
const INSIDE: [&str; 3] = ["10.0.0.5", "10.0.0.6", "10.0.0.7"];
const OUTSIDE: [&str; 3] = ["192.0.2.8", "192.0.2.9", "198.51.100.5"];
const NETWORKS: [&str; 9] = [
    "203.0.113.0-203.0.113.7",
    "10.0.0.5",
    "10.0.0.0/24",
    "10.0.0.6-10.0.0.7",
    "203.0.113.7",
    "192.0.2.9",
    "198.51.100.5",
    "192.0.2.0/24",
    "0.0.0.0/0",
];
const PORTS: [&str; 3] = ["53", "8053", "53,4000"];

/// A firewall that asks its rules about every packet, in layers before translations, between them
/// and behind them.
#[derive(Clone)]
struct Layered {
    /// The layer of each, and what it says.
    rules: Vec<(usize, String)>,
    translations: Vec<&'static str>,
}

const LAYERS: [(&str, &str, &str); 3] = [
    ("before", "original", "original"),
    ("between", "original", "translated"),
    ("behind", "translated", "translated"),
];

const TRANSLATIONS: [&str; 4] = [
    // Which of them is chosen is a condition.
    r#"[[source_nat]]
source = "10.0.0.6"
translation = { pool = "203.0.113.6-203.0.113.8" }
"#,
    r#"[[source_nat]]
source = "10.0.0.5"
translation = { prefix = "203.0.113.7" }
"#,
    r#"[[destination_nat]]
destination = "192.0.2.9"
service = "udp/53"
translation = { prefix = "198.51.100.5", port = "8053" }
"#,
    r#"[[destination_nat]]
destination = "203.0.113.7"
translation = { prefix = "10.0.0.5" }
"#,
];

impl Layered {
    fn random(random: &mut Random) -> Self {
        let mut rules = Vec::new();
        for layer in 0..LAYERS.len() {
            for _ in 0..random.below(3) {
                rules.push((layer, rule(random)));
            }
        }
        let translations = TRANSLATIONS.into_iter().filter(|_| random.percent(60)).collect();
        Self { rules, translations }
    }

    /// The same with one rule more or less.
    fn edited(&self, random: &mut Random) -> Self {
        let mut edited = self.clone();
        let at = random.below(edited.rules.len() + 1);
        if random.percent(50) && at < edited.rules.len() {
            edited.rules.remove(at);
        } else {
            edited.rules.insert(at, (random.below(LAYERS.len()), rule(random)));
        }
        edited
    }

    fn text(&self) -> String {
        let mut text = NETWORK.to_owned();
        for (at, (name, src, dst)) in LAYERS.into_iter().enumerate() {
            let rules = self.rules.iter().filter(|(layer, _)| *layer == at);
            let rules: String = rules.map(|(_, rule)| &**rule).collect();
            write!(
                text,
                "[[layer]]\nrule_base = \"{name}\"\ndefault = \"allow\"\n\
                 sees_source = \"{src}\"\nsees_destination = \"{dst}\"\n\
                 [[rule_base]]\nname = \"{name}\"\n{rules}"
            )
            .ok();
        }
        text + &self.translations.concat()
    }
}

const NETWORK: &str = r#"
destination_nat_sees = "original"
source_nat_sees = "translated"
[behaviour]
preset = "linux"
[[interface]]
name = "inside"
address = "10.0.0.1/24"
[[interface]]
name = "outside"
address = "192.0.2.1/24"
[[route]]
destination = "0.0.0.0/0"
interface = "outside"
[[route]]
destination = "203.0.113.7/32"
interface = "inside"
"#;

fn rule(random: &mut Random) -> String {
    let action = if random.percent(60) { "drop" } else { "allow" };
    let mut rule = format!("[[rule_base.rule]]\naction = \"{action}\"\n");
    for end in ["source", "destination"] {
        if random.percent(50) {
            writeln!(rule, "{end} = \"{}\"", random.pick(&NETWORKS).unwrap()).ok();
        }
    }
    match random.below(4) {
        0 => writeln!(rule, "service = \"udp/{}\"", random.pick(&PORTS).unwrap()).ok(),
        1 => writeln!(rule, "service = \"udp/{}>any\"", random.pick(&PORTS).unwrap()).ok(),
        _ => None,
    };
    match random.below(4) {
        0 => rule += "state = \"established\"\n",
        1 => rule += "ingress = \"outside\"\n",
        2 => rule += "egress = \"inside\"\n",
        _ => {}
    }
    rule
}

/// Whether a firewall admits a connection over UDP, and whether it lets through an answer to what
/// left and a later packet.
fn serves(policy: &Arc<CompiledPolicy>, ways: [&str; 2], flow: &FiveTuple) -> (bool, bool) {
    let mut engine = Engine::new(Arc::clone(policy), EngineConfig::default());
    let opening = show(&mut engine, ways[0], flow);
    if !opening.verdict.passes() {
        return (false, false);
    }
    let left = opening.translated.unwrap_or(*flow);
    let answer = show(&mut engine, ways[1], &left.reverse());
    assert_eq!(answer.session, opening.session, "{flow} {left}");
    let later = show(&mut engine, ways[0], flow);
    (true, answer.verdict.passes() && later.verdict.passes())
}

fn show(engine: &mut Engine, interface: &str, flow: &FiveTuple) -> Decision {
    let ends = [(flow.src, flow.src_port), (flow.dst, flow.dst_port)];
    let [src, dst] = ends.map(|(address, port)| SocketAddr::new(address, port));
    let data = frames::frame(&format!("{src} > {dst} udp"));
    let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len: data.len() as u32 };
    let ingress = engine.firewall().interface_named(interface);
    engine.handle_frame(Timestamp::from_secs(1_700_000_000), ingress, frame)
}

/// Whether the case is about packets that enter there and go to this destination.
fn asks(case: &Compared, interface: &str, dst: IpAddr) -> bool {
    let mut within = case.case.within.iter().filter(|(field, _)| *field == Field::Dst);
    case.crossings.iter().any(|way| way.from[0].as_deref() == Some(interface))
        && within.all(|(_, destinations)| destinations.contains(bits(dst)))
}

/// Every connection between the two sides, with the interfaces it enters and leaves by.
fn connections() -> Vec<(IpAddr, IpAddr, u16, [&'static str; 2])> {
    let inwards = [INSIDE[0], INSIDE[1], "203.0.113.7"];
    let sides =
        [(INSIDE, OUTSIDE, ["inside", "outside"]), (OUTSIDE, inwards, ["outside", "inside"])];
    let mut all = Vec::new();
    for (from, to, ways) in sides {
        for (src, dst) in from.iter().flat_map(|src| to.map(|dst| (src, dst))) {
            let [src, dst] = [src, dst].map(|address| address.parse().unwrap());
            all.extend([53, 8053].map(|port| (src, dst, port, ways)));
        }
    }
    all
}

/// Every connection between the two sides; says how many are in findings, how many may be, and how
/// many both serve or refuse alike.
fn check_pair(random: &mut Random) -> [usize; 3] {
    let old = Layered::random(random);
    let texts = [old.text(), old.edited(random).text()];
    let [old, new] = texts.each_ref().map(|text| Arc::new(firewalls::stated(text)));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let request = Request {
        families: vec![Family::V4],
        protocols: vec![ProtocolClass::WithPorts],
        ..Request::all(pairing.clone())
    };
    let Some(answer) = compare_following(&old, &new, &request) else { return [0; 3] };
    assert!(answer.undecided.is_empty(), "{:?}\n{}", answer.undecided, texts.concat());
    let found = findings_following(&old, &new, &answer, &pairing, &Terms::default());
    assert!(found.iter().all(|it| !it.is_contradicted()), "{found:#?}");
    let policies = [old, new]
        .map(|firewall| Arc::new(CompiledPolicy::compile(firewall, &CompileLimits::default())));
    let [mut inside, mut supposed, mut alike] = [0; 3];
    for (src, dst, dst_port, ways) in connections() {
        let flow = FiveTuple { src, dst, src_port: 4000, dst_port, protocol: Protocol::UDP };
        let key = PacketKey {
            src,
            dst,
            src_port: flow.src_port,
            dst_port,
            protocol: flow.protocol,
            ..PacketKey::UNSTATED
        };
        let [(old_admits, old_serves), (new_admits, new_serves)] =
            policies.each_ref().map(|policy| serves(policy, ways, &flow));
        let cases = answer.compared.iter().filter(|case| asks(case, ways[0], dst));
        let holding = cases.flat_map(|case| found.iter().filter(|it| holds(it, case, &key, 0)));
        let holding: Vec<&Finding> = holding.collect();
        let differs = old_admits && new_admits && old_serves != new_serves;
        // One that depends on which address is chosen may not be of this connection.
        let certain = holding.iter().any(|it| it.certain);
        let agrees = if differs { !holding.is_empty() } else { !certain };
        assert!(agrees, "{flow} {ways:?} {found:#?}\n{}", texts.join("\n\n"));
        inside += usize::from(certain);
        supposed += usize::from(!certain && !holding.is_empty());
        alike += usize::from(old_admits && new_admits && holding.is_empty());
    }
    [inside, supposed, alike]
}

#[test]
fn connections_are_served_as_the_engine_serves_them() {
    let mut random = Random::new(1);
    let mut counts = [0; 3];
    for _ in 0..200 {
        let found = check_pair(&mut random);
        counts = std::array::from_fn(|at| counts[at] + found[at]);
    }
    let [inside, supposed, alike] = counts;
    assert!(inside > 100 && supposed > 5 && alike > 1_000, "{counts:?}");
}
