//! What follows the first packet, against the reference evaluation of later packets and answers.

#[path = "../packets/mod.rs"]
mod packets;
mod served;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use packets::{bits, draw, holds, lets_through, lies_in, opening_of, supported};
use parefeu_equivalence::{
    Addresses, Change, Crossing, Family, Field, Finding, Intent, Pairing, Passage, Place,
    ProtocolClass, Request, Scope, Side, SolveLimits, Standing, Terms, Wanted, compare_following,
    findings_following, prove,
};
use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::Ranges;
use parefeu_policy::{Behaviour, ConnectionState, Firewall, LinkedFirewall, PacketKey, Preset};
use parefeu_testkit::firewalls::{self, between};
use parefeu_testkit::{Random, keys};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Whether a firewall serves a connection: `None` where that cannot be told, else whether it admits
/// the first packet, and whether it lets through a later packet and an answer.
fn serves(
    firewall: &LinkedFirewall,
    passage: Passage,
    key: &PacketKey,
    name: Option<&str>,
) -> Option<(bool, bool)> {
    let admits = lets_through(firewall, passage, key, name)?;
    // ICMP queries, as RFC 792, RFC 950 and RFC 4443 number them.
    let answer = match key.icmp {
        None => None,
        Some((kind @ (8 | 13 | 15 | 17 | 128), code)) => Some(match kind {
            8 => (0, code),
            kind => (kind + 1, code),
        }),
        Some(_) => return Some((admits, true)),
    };
    if !firewall.behaviour.filter_every_packet {
        return Some((admits, true));
    }
    let later = PacketKey {
        state: ConnectionState::Established,
        tcp_flags: key.tcp_flags.map(|_| TcpFlags::ACK),
        ..*key
    };
    let later_passes = lets_through(firewall, passage, &later, name);
    let leaves = passage.egress.unwrap_or_else(|| {
        let interface = firewall.route(passage.ingress.interface, key.dst);
        Place { interface, zone: interface.and_then(|id| firewall.zone_of(id)) }
    });
    let enters = passage.ingress;
    let zone = enters.zone.or(enters.interface.and_then(|id| firewall.zone_of(id)));
    let back = Passage { ingress: leaves, egress: Some(Place { zone, ..enters }) };
    let answers = PacketKey {
        src: key.dst,
        dst: key.src,
        src_port: key.dst_port,
        dst_port: key.src_port,
        icmp: answer,
        ..later
    };
    let answers_pass = lets_through(firewall, back, &answers, name);
    Some((admits, later_passes? && answers_pass?))
}

/// Random packets through every case; says how many connections were in a finding, and how many
/// that both admit were in none.
fn check_pair(sides: [Firewall; 2], seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let presets = [Preset::Linux, if random.percent(50) { Preset::Linux } else { Preset::Panos }];
    let [old, new] = sides;
    let [old, new] = [(old, presets[0]), (new, presets[1])].map(|(side, preset)| {
        let behaviour = Behaviour::preset(preset);
        firewalls::linked(&Firewall { behaviour, ..supported(side) })
    });
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let request = Request::all(pairing.clone());
    let Some(answer) = compare_following(&old, &new, &request) else { return (0, 0) };
    let found = findings_following(&old, &new, &answer, &pairing, &Terms::default());
    assert!(found.iter().all(|it| !it.is_contradicted()), "{found:#?}");
    let (mut inside, mut outside) = (0, 0);
    for case in &answer.compared {
        for _ in 0..20 {
            let drawn = draw([&old, &new], case, &mut random);
            let Some((mut key, application, name)) = drawn else { continue };
            if let Some((kind, _)) = key.icmp.as_mut().filter(|_| random.percent(50)) {
                *kind = [8, 13, 128][random.below(3)];
            }
            let sides = [(&old, case.case.old), (&new, case.case.new)];
            let answers = sides.map(|(side, passage)| serves(side, passage, &key, name));
            let [Some((true, old_serves)), Some((true, new_serves))] = answers else { continue };
            let held = found.iter().any(|it| holds(it, case, &key, application));
            if old_serves != new_serves {
                assert!(held, "{answers:?} {key:?} {name:?} {:?}", case.case);
            } else if old_serves {
                assert!(!held, "{answers:?} {key:?} {name:?} {:?}", case.case);
            }
            inside += usize::from(held);
            outside += usize::from(!held);
        }
    }
    for finding in &found {
        inside += usize::from(check_witness([&old, &new], finding, answer.applications()));
    }
    outside += usize::from(check_intent(&old, &mut random));
    (inside, outside)
}

/// An intent that a random host reaches another one is held only where it is served, and broken
/// only where it is not; says whether it was either.
fn check_intent(firewall: &LinkedFirewall, random: &mut Random) -> bool {
    let key = keys::corner(firewall, random);
    if key.src.is_ipv4() != key.dst.is_ipv4() || key.protocol.is_icmp() {
        return false;
    }
    let key = PacketKey {
        tcp_flags: (key.protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        ..key
    };
    let is_v4 = key.src.is_ipv4();
    let host = |address: IpAddr| {
        let set = Ranges::one(bits(address));
        let (v4, v6) = if is_v4 { (set, Ranges::default()) } else { (Ranges::default(), set) };
        Some(Addresses { v4, v6 })
    };
    let port = |port: u16| key.protocol.has_ports().then(|| Ranges::one(port));
    let scope = Scope {
        src: host(key.src),
        dst: host(key.dst),
        protocols: Some(Ranges::one(key.protocol.0)),
        src_ports: port(key.src_port),
        dst_ports: port(key.dst_port),
        ..Scope::default()
    };
    let pairing = Pairing::of(firewall, firewall, &BTreeMap::new());
    let intent = Intent { name: "it".into(), scope, expect: Wanted::Allow, line: 1 };
    let proved = prove(firewall, (&pairing, Side::Old), &intent, SolveLimits::default());
    let names = firewall.applications.iter().map(|it| Some(&*it.name)).chain([None]);
    let names: Vec<Option<&str>> = names.collect();
    let Some(against) = proved.against else { return false };
    match proved.standing {
        Standing::Held => {
            let ways = against.answer.compared.iter().flat_map(|case| case.crossings.iter());
            for way in ways.filter(|way| goes(way, key.dst)) {
                let mut served = names.iter().map(|name| serves(firewall, way.old, &key, *name));
                let refused = |it: &Option<(bool, bool)>| it.is_some_and(|(a, b)| !(a && b));
                assert!(!served.any(|it| refused(&it)), "{intent:?} {way:?}");
            }
        }
        Standing::Broken => {
            let mut flows = against.flows.iter().filter(|it| it.sets.keys().all(is_plain));
            let Some(flow) = flows.next() else { unreachable!("nothing breaks it") };
            let (key, application) = opening_of(&flow.witness);
            let known =
                application.checked_sub(1).map(|at| &against.answer.applications()[at as usize]);
            let name = known.map(|name| &**name);
            let found = serves(firewall, flow.witness_way.old, &key, name);
            assert_ne!(found, Some((true, true)), "{intent:?} {flow:#?}");
        }
        Standing::Undecided => return false,
    }
    true
}

/// Whether a packet to this destination goes this way.
fn goes(way: &Crossing, dst: IpAddr) -> bool {
    way.destinations.as_ref().is_none_or(|destinations| destinations.contains(bits(dst)))
}

const fn is_plain(field: &Field) -> bool {
    !matches!(field, Field::Atom(_))
}

/// Of a witness both sides admit it and one serves it, unless that cannot be told; says whether it
/// could be.
#[track_caller]
fn check_witness(sides: [&LinkedFirewall; 2], finding: &Finding, names: &[Box<str>]) -> bool {
    let (key, application) = opening_of(&finding.witness);
    assert!(lies_in(finding, &key, application), "{finding:?}");
    let name = application.checked_sub(1).and_then(|at| names.get(at as usize));
    let way = &finding.witness_way;
    let serves = [(sides[0], way.old), (sides[1], way.new)]
        .map(|(side, passage)| serves(side, passage, &key, name.map(|name| &**name)));
    let [Some((old_admits, old_serves)), Some((new_admits, new_serves))] = serves else {
        return false;
    };
    assert!(old_admits && new_admits && old_serves != new_serves, "{finding:?}");
    assert_eq!(finding.change == Change::Closed, old_serves);
    true
}

#[test]
fn connections_one_side_does_not_serve_are_found_and_no_other() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let config = Config { cases: 100, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed)| {
        // Half of the pairs are one firewall that may go on otherwise.
        let new = if seed % 2 == 0 { old.clone() } else { new };
        let (inside, outside) = check_pair([old, new], seed);
        counts.set((counts.get().0 + inside, counts.get().1 + outside));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (inside, outside) = counts.get();
    assert!(inside > 5 && outside > 100, "{inside} inside, {outside} outside");
}

fn found(old: &LinkedFirewall, new: &LinkedFirewall) -> Option<Vec<Finding>> {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let answer = compare_following(old, new, &Request::all(pairing.clone()))?;
    assert!(answer.undecided.is_empty(), "{:?}", answer.undecided);
    Some(findings_following(old, new, &answer, &pairing, &Terms::default()))
}

const WEB: &str = r#"
    [[rule_base.rule]]
    name = "web"
    source = "10.0.0.0/24"
    ingress = "inside"
    egress = "outside"
    service = "tcp/443"
    action = "allow"
"#;

const ESTABLISHED: &str = r#"
    [[rule_base.rule]]
    name = "established"
    state = ["established"]
    action = "allow"
"#;

#[test]
fn a_side_that_keeps_no_sessions_refuses_answers_without_a_rule_for_them() {
    let keeps = between("asa", WEB);
    let asks = between("linux", WEB);
    let regions = found(&keeps, &asks).unwrap();
    let [region] = &regions[..] else { panic!("{regions:#?}") };
    assert_eq!(region.change.name(), "closed");
    assert_eq!(region.family, Some(Family::V4));
    assert_eq!(region.protocols, Some(ProtocolClass::WithPorts));
    assert_eq!(region.witness.protocol, Protocol::TCP);
    assert_eq!(region.witness.ports.unwrap().1, 443);
    assert_eq!(region.opinions.clone().map(|it| it.agrees), [Some(true); 2]);
    assert_eq!(found(&asks, &asks).unwrap(), [], "both refuse the answers");
}

#[test]
fn a_rule_for_established_connections_serves_them_wherever_it_stands() {
    let keeps = between("asa", WEB);
    let first = between("linux", &format!("{ESTABLISHED}{WEB}"));
    assert_eq!(found(&keeps, &first), None, "nothing to ask");
    let last = between("linux", &format!("{WEB}{ESTABLISHED}"));
    assert_eq!(found(&keeps, &last).unwrap(), []);
}

#[test]
fn a_rule_for_answers_serves_those_it_matches() {
    let keeps = between("asa", WEB);
    let answers = r#"
        [[rule_base.rule]]
        name = "answers"
        destination = ["10.0.0.128/25"]
        service = "tcp/443>any"
        action = "allow"
    "#;
    let asks = between("linux", &format!("{WEB}{answers}"));
    let regions = found(&keeps, &asks).unwrap();
    let [region] = &regions[..] else { panic!("{regions:#?}") };
    let low = u32::from_be_bytes([10, 0, 0, 0]).into();
    let sources = region.sets[&Field::Src].as_slice();
    assert_eq!(sources, [(low, low + 127)], "the others are answered");
}

#[test]
fn a_rule_for_the_opening_packet_alone_stops_what_follows() {
    let opens = WEB.replace("action", "tcp_flags = \"syn,ack,rst=syn\"\n    action");
    let asks = between("linux", &opens);
    let regions = found(&between("asa", WEB), &asks).unwrap();
    assert_eq!(regions.len(), 1, "{regions:#?}");
}
