//! The lists two firewalls are written out as, against the reference evaluation.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where what it states does not hold"
)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use parefeu_equivalence::{
    Case, Family, Field, List, Obstacle, Outcome, Passage, Place, Problem, ProtocolClass, Side,
    SolveLimits, Step, Translate, flatten, solve, ways,
};
use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::{AddressSet, PortSet, ProtocolSet, Ranges};
use parefeu_policy::{
    AtomId, ConnectionState, Evaluation, Firewall, Identified, Knowledge, LinkedAction,
    LinkedAddresses, LinkedFirewall, LinkedService, Names, NatTable, PacketKey, ResetSide, RuleId,
    Source, UserKnowledge, link, native, reference,
};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A point of the space in values: the packet, the application, and what the atoms turn out to be.
struct Flow {
    key: PacketKey,
    application: Option<Box<str>>,
    atoms: BTreeMap<String, bool>,
}

impl Flow {
    fn value(&self, field: &Field, names: &[Box<str>]) -> u128 {
        let icmp = self.key.icmp;
        match field {
            Field::Src => bits(self.key.src),
            Field::Dst => bits(self.key.dst),
            Field::Protocol => self.key.protocol.0.into(),
            Field::SrcPort => icmp.map_or(self.key.src_port.into(), |(kind, _)| kind.into()),
            Field::DstPort => icmp.map_or(self.key.dst_port.into(), |(_, code)| code.into()),
            Field::Application => self.application.as_ref().map_or(0, |name| {
                names.iter().position(|known| **known == **name).unwrap() as u128 + 1
            }),
            Field::Atom(text) => u128::from(self.atoms.get(&**text).copied().unwrap_or(false)),
            other => panic!("{other:?} is no field of a flow"),
        }
    }

    fn class(&self, problem: &Problem, dimension: usize, names: &[Box<str>]) -> u32 {
        let dimension = &problem.dimensions[dimension];
        let value = self.value(&dimension.field, names);
        assert!(value <= dimension.last);
        dimension.starts.partition_point(|start| *start <= value) as u32 - 1
    }
}

/// The first match, by definition.
fn decide<'a>(
    problem: &'a Problem,
    list: &List,
    flow: &Flow,
    names: &[Box<str>],
) -> (&'a Outcome, Option<RuleId>) {
    let mut at = 0;
    loop {
        let entry = &list.entries[at];
        let matches = entry.sets.iter().all(|(dimension, set)| {
            let class = flow.class(problem, dimension.0 as usize, names);
            problem.sets[set.0 as usize].iter().any(|&(a, b)| a <= class && class <= b)
        });
        match entry.step {
            Step::Decide(outcome) if matches => {
                return (&problem.outcomes[outcome.0 as usize], entry.origin.rule);
            }
            Step::Skip(next) if matches => at = next as usize,
            _ => at += 1,
        }
    }
}

/// The firewall in the world in which the atoms turn out so: nothing is left open.
fn settled(firewall: &LinkedFirewall, atoms: &BTreeMap<String, bool>) -> LinkedFirewall {
    let mut settled = firewall.clone();
    let holds = |role: &str, id: &AtomId| {
        atoms.get(&format!("{role} {}", firewall.atoms[id.index()].text)).copied().unwrap_or(false)
    };
    let addresses = |list: &mut LinkedAddresses, role: &str| {
        if list.atoms.iter().any(|id| holds(role, id)) {
            list.set = AddressSet::all();
        }
        list.atoms.clear();
    };
    for rule in &mut settled.rules {
        let matches = &mut rule.matches;
        rule.disabled |= !matches.atoms.iter().all(|id| holds("condition", id));
        matches.atoms.clear();
        addresses(&mut matches.src, "source");
        addresses(&mut matches.dst, "destination");
        if matches.services.atoms.iter().any(|id| holds("service", id)) {
            matches.services.terms.push(LinkedService {
                protocols: ProtocolSet::ALL,
                src_ports: PortSet::all(),
                dst_ports: PortSet::all(),
                icmp: None,
            });
        }
        matches.services.atoms.clear();
    }
    settled
}

fn outcome(action: LinkedAction) -> Outcome {
    let refusal = match action {
        LinkedAction::Allow => return Outcome::Allow(Translate::default()),
        LinkedAction::Deny => "deny",
        LinkedAction::Drop => "drop",
        LinkedAction::Reset(ResetSide::Client) => "reset client",
        LinkedAction::Reset(ResetSide::Server) => "reset server",
        LinkedAction::Reset(ResetSide::Both) => "reset both",
        other => panic!("{other:?} decides nothing"),
    };
    Outcome::Deny(refusal.into())
}

/// What the reference says of a flow on its way through.
fn judged(firewall: &LinkedFirewall, passage: Passage, flow: &Flow) -> (Outcome, Option<RuleId>) {
    let firewall = settled(firewall, &flow.atoms);
    let named = |name: &str| firewall.applications.iter().position(|known| &*known.name == name);
    let id = flow.application.as_ref().and_then(|name| named(name));
    let known = Knowledge {
        application: Identified::Finally(id.map(|id| parefeu_policy::ApplicationId(id as u32))),
        users: UserKnowledge::NotStated,
        ..Knowledge::NOTHING
    };
    let (enters, leaves) = (passage.ingress, passage.egress.unwrap_or_default());
    let (ingress, from) = (enters.interface, enters.zone);
    let (egress, to) = (leaves.interface, leaves.zone);
    let key = PacketKey { ingress, from, egress, to, ..flow.key };
    let evaluation = reference::judge(&firewall, &key, &known).evaluation;
    assert_eq!(evaluation, Evaluation::certain(evaluation.decided), "nothing is left open");
    (outcome(evaluation.decided.action), evaluation.decided.rule)
}

#[track_caller]
fn check_flow(sides: [&LinkedFirewall; 2], case: &Case, problem: &Problem, flow: &Flow) {
    let names = &problem.applications;
    let asked = |(field, asked): &(Field, Ranges)| asked.contains(flow.value(field, names));
    let asked = case.within.iter().all(asked);
    let sides = [(sides[0], case.old, &problem.old), (sides[1], case.new, &problem.new)];
    let expected =
        sides.map(
            |(firewall, passage, _)| {
                if asked { judged(firewall, passage, flow) } else { (Outcome::Outside, None) }
            },
        );
    for ((_, _, list), expected) in sides.into_iter().zip(&expected) {
        let (found, rule) = decide(problem, list, flow, names);
        assert_eq!((found.clone(), rule), *expected, "{:?} {:?}", flow.key, flow.atoms);
    }
    let solution = solve(problem, &SolveLimits::default());
    assert!(solution.open.is_empty());
    let inside = solution.differences.iter().any(|difference| {
        difference.area.iter().enumerate().all(|(dimension, (first, last))| {
            (*first..=*last).contains(&flow.class(problem, dimension, names))
        })
    });
    let [old, new] = expected.map(|(outcome, _)| matches!(outcome, Outcome::Allow(_)));
    assert_eq!(inside, old != new, "{:?} {:?}", flow.key, flow.atoms);
}

/// What the types of a problem promise.
fn check_form(problem: &Problem) {
    for set in &problem.sets {
        assert!(!set.is_empty() && set.iter().all(|(first, last)| first <= last));
        assert!(set.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{set:?}");
    }
    for list in [&problem.old, &problem.new] {
        for (at, entry) in list.entries.iter().enumerate() {
            assert!(entry.sets.is_sorted_by(|a, b| a.0 < b.0));
            for (dimension, set) in &entry.sets {
                let classes = problem.dimensions[dimension.0 as usize].classes();
                let set = &problem.sets[set.0 as usize];
                assert!(set.last().is_some_and(|(_, last)| *last < classes));
                assert_ne!(**set, [(0, classes - 1)], "a full set narrows nothing");
            }
            if let Step::Skip(next) = entry.step {
                assert!(next as usize > at && (next as usize) < list.entries.len());
            }
        }
        assert!(list.entries.last().is_some_and(|last| last.sets.is_empty()));
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn class_of(protocol: Protocol) -> ProtocolClass {
    match protocol {
        _ if protocol.has_ports() => ProtocolClass::WithPorts,
        _ if protocol.is_icmp() => ProtocolClass::Icmp,
        _ => ProtocolClass::Other,
    }
}

/// A packet as the first of a connection of its case.
fn opening(key: PacketKey, random: &mut Random) -> PacketKey {
    let kind = (random.next_u64() as u8, random.below(4) as u8);
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        icmp: key.protocol.is_icmp().then(|| key.icmp.unwrap_or(kind)),
        tcp_flags: (key.protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        ..key
    }
}

/// Leaves out, mostly, what is refused, so that lists are written out.
fn mostly_supported(mut firewall: Firewall, random: &mut Random) -> Firewall {
    firewall.destination_nat = NatTable::default();
    firewall.source_nat = NatTable::default();
    for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
        if random.percent(98) {
            rule.matches.users = Names::Any;
            rule.matches.devices.clear();
            rule.matches.schedule = None;
            rule.matches.url_categories = Names::Any;
        }
    }
    firewall
}

/// The way of a packet through; every second time, no way out is stated.
fn passage(key: &PacketKey, random: &mut Random) -> Passage {
    let ingress = Place { interface: key.ingress, zone: key.from };
    let egress = Place { interface: key.egress, zone: key.to };
    Passage { ingress, egress: Some(egress).filter(|_| random.percent(50)) }
}

/// Sets that, every second time, leave something out, and now and then the destination.
fn within(dst: IpAddr, random: &mut Random) -> Vec<(Field, Ranges)> {
    let ports = Ranges::span(random.below(2) as u128, random.between(80, u16::MAX.into()));
    let holds = Field::Atom("condition -m limit".into());
    let all = [
        (Field::Dst, Ranges::one(bits(dst) ^ u128::from(random.percent(10)))),
        (Field::DstPort, ports),
        (Field::Application, Ranges::span(0, random.below(3) as u128)),
        (holds, Ranges::one(random.below(2) as u128)),
    ];
    all.into_iter().filter(|_| random.percent(15)).collect()
}

/// Random flows through a pair of firewalls; says how many were asked about and how many answered.
fn check_pair(old: Firewall, new: Firewall, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let old = firewalls::linked(&mostly_supported(old, &mut random));
    let new = firewalls::linked(&mostly_supported(new, &mut random));
    let (mut asked, mut answered) = (0, 0);
    for number in 0..40 {
        let side = if number % 2 == 0 { &old } else { &new };
        let (mut key, other) = (keys::corner(side, &mut random), keys::corner(side, &mut random));
        if number % 10 == 9 {
            key = keys::uniform(&mut random);
        }
        if key.src.is_ipv4() != key.dst.is_ipv4() {
            continue;
        }
        let case = Case {
            family: if key.src.is_ipv4() { Family::V4 } else { Family::V6 },
            protocols: class_of(key.protocol),
            old: passage(&key, &mut random),
            new: passage(&other, &mut random),
            within: within(key.dst, &mut random),
        };
        asked += 1;
        let problem = match flatten(&old, &new, &case) {
            Ok(problem) => problem,
            Err(refused) => {
                let passage = if refused.side == Side::Old { case.old } else { case.new };
                let leaves = passage.egress.unwrap_or_default();
                let stated = leaves.interface.is_some() && leaves.zone.is_some();
                assert!(!stated || refused.reason != Obstacle::Egress, "{case:?}");
                continue;
            }
        };
        answered += 1;
        check_form(&problem);
        let atoms = problem.dimensions.iter().filter_map(|dimension| match &dimension.field {
            Field::Atom(text) => Some((text.to_string(), random.percent(50))),
            _ => None,
        });
        let atoms = atoms.collect();
        let application = random.pick(&problem.applications).cloned();
        let application = application.filter(|_| random.percent(80));
        let flow = Flow { key: opening(key, &mut random), application, atoms };
        check_flow([&old, &new], &case, &problem, &flow);
    }
    (asked, answered)
}

#[test]
fn lists_decide_as_the_reference_does() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let run = TestRunner::new(Config::default()).run(&pairs, |(old, new, seed)| {
        let (asked, answered) = check_pair(old, new, seed);
        counts.set((counts.get().0 + asked, counts.get().1 + answered));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (asked, answered) = counts.get();
    assert!(answered * 4 > asked, "{answered} of {asked} answered");
}

/// Links a firewall written in the native syntax.
#[track_caller]
fn linked(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:#?}"))
}

const ANY_WAY: Passage = Passage { ingress: Place { interface: None, zone: None }, egress: None };

const TCP_V4: Case = Case {
    family: Family::V4,
    protocols: ProtocolClass::WithPorts,
    old: ANY_WAY,
    new: ANY_WAY,
    within: Vec::new(),
};

/// Asks both the list and the reference about a TCP packet to port 80, and expects the name of the
/// rule that decides.
#[track_caller]
fn check(text: &str, src: &str, holding: &[&str], expected: Option<&str>) {
    let firewall = linked(text);
    let problem = flatten(&firewall, &firewall, &TCP_V4).unwrap();
    let atoms = problem.dimensions.iter().filter_map(|dimension| match &dimension.field {
        Field::Atom(text) => Some((text.to_string(), holding.contains(&&**text))),
        _ => None,
    });
    let key = PacketKey {
        src: src.parse().unwrap(),
        protocol: Protocol::TCP,
        dst_port: 80,
        tcp_flags: Some(TcpFlags::SYN),
        ..PacketKey::UNSTATED
    };
    let flow = Flow { key, application: None, atoms: atoms.collect() };
    check_form(&problem);
    check_flow([&firewall, &firewall], &TCP_V4, &problem, &flow);
    let (_, rule) = decide(&problem, &problem.old, &flow, &[]);
    assert_eq!(rule.map(|rule| &*firewall.rule(rule).name), expected, "{src} {holding:?}");
}

const CHAINS: &str = r#"
    [[rule_base]]
    name = "main"
    [[rule_base.rule]]
    name = "to servers"
    source = ["10.0.0.0/8"]
    action = "jump:servers"
    [[rule_base.rule]]
    name = "to leaf"
    source = ["10.0.0.0/15"]
    action = "goto:leaf"
    [[rule_base.rule]]
    name = "rest"
    action = "drop"
    [[rule_base]]
    name = "servers"
    [[rule_base.rule]]
    name = "back"
    source = ["10.1.0.0/16", "10.3.0.0/16"]
    action = "return"
    [[rule_base.rule]]
    name = "out"
    source = ["10.4.0.0/16"]
    action = "goto:leaf"
    [[rule_base.rule]]
    name = "served"
    source = ["10.1.0.0/16", "10.2.0.0/16"]
    action = "allow"
    [[rule_base]]
    name = "leaf"
    [[rule_base.rule]]
    name = "one"
    source = ["10.0.0.1"]
    action = "deny"
    [[layer]]
    rule_base = "main"
    default = "deny"
"#;

#[test]
fn jumps_come_back_and_gotos_do_not() {
    for (src, expected) in [
        ("10.2.0.1", Some("served")),
        ("10.3.0.1", Some("rest")), // returned, and no longer met by "served"
        ("10.4.0.1", Some("rest")), // gone from "servers", back to "main"
        ("10.0.0.1", Some("one")),
        ("10.1.0.1", None), // returned, then gone from "main" for good: the default
        ("192.0.2.1", Some("rest")),
    ] {
        check(CHAINS, src, &[], expected);
    }
}

/// One rule with these lines, above one that drops the rest.
fn one_rule(lines: &str) -> String {
    format!(
        r#"
        [[rule_base]]
        name = "main"
        [[rule_base.rule]]
        name = "it"
        action = "allow"
        {lines}
        [[rule_base.rule]]
        name = "rest"
        action = "drop"
        [[layer]]
        rule_base = "main"
        "#
    )
}

#[test]
fn an_atom_adds_to_a_list_and_takes_from_its_opposite() {
    let list = r#"source = ["10.0.0.0/8", "unknown:fqdn a"]"#;
    let rest = format!("{list}\nnegate_source = true");
    let holds = &["source fqdn a"][..];
    for (src, holding, listed) in [
        ("10.0.0.1", &[][..], true),
        ("10.0.0.1", holds, true),
        ("192.0.2.1", &[], false),
        ("192.0.2.1", holds, true),
    ] {
        let [it, rest_of] = if listed { ["it", "rest"] } else { ["rest", "it"] };
        check(&one_rule(list), src, holding, Some(it));
        check(&one_rule(&rest), src, holding, Some(rest_of));
    }
    let condition = "unknown = [\"-m limit\"]";
    check(&one_rule(condition), "192.0.2.1", &[], Some("rest"));
    check(&one_rule(condition), "192.0.2.1", &["condition -m limit"], Some("it"));
}

#[test]
fn a_list_holds_sources_and_destinations_apart() {
    let [old, new] = ["source", "destination"]
        .map(|field| linked(&one_rule(&format!("{field} = [\"unknown:fqdn a\"]"))));
    let problem = flatten(&old, &new, &TCP_V4).unwrap();
    assert_ne!(problem.old, problem.new);
}

/// What is refused, and the text that states it.
#[track_caller]
fn check_refused(text: &str, expected: Obstacle, place: &str) {
    let (old, new) = (linked(&one_rule("")), linked(text));
    let refused = flatten(&old, &new, &TCP_V4).unwrap_err();
    assert_eq!((refused.reason, refused.side), (expected, Side::New));
    let at = refused.at;
    let found = &text[at.start as usize..at.end as usize];
    assert!(found.contains(place), "{found}");
}

#[test]
fn what_is_not_exact_is_refused_by_name() {
    let zone = "[[zone]]\nname = \"inside\"\n";
    for (lines, expected) in [
        ("from = [\"inside\"]", Obstacle::Ingress),
        ("to = [\"inside\"]", Obstacle::Egress),
        ("user = [\"alice\"]", Obstacle::User),
        ("device = [\"02:00:00:00:00:01\"]", Obstacle::Device),
        ("destination = [\"10.0.0.1/255.0.0.255\"]", Obstacle::Masked),
    ] {
        check_refused(&format!("{zone}{}", one_rule(lines)), expected, "it");
    }
}

#[test]
fn a_rule_that_unfolds_without_bound_is_refused() {
    let atoms = |key: &str| {
        let texts: Vec<String> = (0..170).map(|at| format!("\"unknown:{at}\"")).collect();
        format!("{key} = [{}]\n", texts.join(", "))
    };
    let lines: String = ["source", "destination", "service"].map(atoms).concat();
    check_refused(&one_rule(&lines), Obstacle::TooLong, "it");
}

#[test]
fn a_mask_with_holes_becomes_its_ranges() {
    let text = one_rule(r#"source = ["10.0.0.0/255.250.255.0"]"#);
    for (src, expected) in [
        ("10.0.0.0", "it"),
        ("10.1.0.255", "it"),
        ("10.5.0.7", "it"),
        ("10.4.1.0", "rest"),
        ("10.2.0.7", "rest"),
        ("11.0.0.7", "rest"),
    ] {
        check(&text, src, &[], Some(expected));
    }
}

const TWO_WAYS: &str = r#"
    [[zone]]
    name = "inside"
    [[zone]]
    name = "outside"
    [[interface]]
    name = "lan"
    zone = "inside"
    address = ["10.0.0.1/8"]
    [[interface]]
    name = "wan"
    zone = "outside"
    address = ["192.0.2.1/24"]
    [[rule_base]]
    name = "main"
    [[rule_base.rule]]
    name = "out"
    to = ["outside"]
    action = "allow"
    [[layer]]
    rule_base = "main"
    default = "deny"
"#;

#[test]
fn a_stated_way_out_counts_for_every_destination() {
    let firewall = linked(TWO_WAYS);
    assert_eq!(flatten(&firewall, &firewall, &TCP_V4).unwrap_err().reason, Obstacle::Egress);
    let to = |name: &str| {
        let egress = Place { interface: firewall.interface_named(name), zone: None };
        Passage { egress: Some(egress), ..ANY_WAY }
    };
    let within = vec![(Field::Protocol, Ranges::one(Protocol::TCP.0))];
    let case = Case { old: to("lan"), new: to("wan"), within, ..TCP_V4 };
    let problem = flatten(&firewall, &firewall, &case).unwrap();
    let solution = solve(&problem, &SolveLimits::default());
    let [difference] = &*solution.differences else { panic!("{:?}", solution.differences) };
    for (dimension, &(first, last)) in problem.dimensions.iter().zip(&difference.area) {
        let values = (dimension.values(first).0, dimension.values(last).1);
        match dimension.field {
            Field::Protocol => assert_eq!(values, (6, 6)),
            _ => assert_eq!(values, (0, dimension.last)),
        }
    }
}

#[test]
fn ways_are_every_address_by_the_interface_it_is_routed_to() {
    let firewall = linked(TWO_WAYS);
    let found = ways(&firewall, None, Family::V4);
    let [lan, wan] = ["lan", "wan"].map(|name| firewall.interface_named(name));
    let names: Vec<_> = found.iter().map(|(egress, _)| *egress).collect();
    assert_eq!(names, [None, lan, wan]);
    assert_eq!(found[1].1, Ranges::span(0x0a00_0000, 0x0aff_ffff));
    assert_eq!(found[2].1, Ranges::span(0xc000_0200, 0xc000_02ff));
    let all = found.iter().fold(Ranges::default(), |all, (_, part)| all.union(part));
    assert_eq!(all, Ranges::span(0, u32::MAX.into()));
    assert!(found[0].1.intersection(&found[1].1.union(&found[2].1)).is_empty());
}

#[test]
fn applications_are_numbered_by_name() {
    let application = |name: &str| format!("[[application]]\nname = \"{name}\"\n");
    let rule = |name: &str| {
        let lines = format!("application = [\"{name}\"]");
        linked(&format!("{}{}", application(name), one_rule(&lines)))
    };
    let problem = flatten(&rule("web"), &rule("dns"), &TCP_V4).unwrap();
    assert_eq!(problem.applications, ["dns".into(), "web".into()]);
    let known = problem.dimensions.iter().find(|it| it.field == Field::Application).unwrap();
    assert_eq!(known.last, 2);
}
