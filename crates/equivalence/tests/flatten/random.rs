//! Random pairs of small firewalls, flow by flow.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use parefeu_equivalence::{
    Case, Family, Field, Obstacle, Passage, Place, Problem, Side, SolveLimits, flatten, solve,
};
use parefeu_net::{MacAddress, PortRange, Protocol, TcpFlags};
use parefeu_policy::set::Ranges;
use parefeu_policy::{
    AddressItem, AddressMatch, At, ConnectionState, Firewall, LinkedFirewall, Match, PacketKey,
    PortTranslation, Span, Translation,
};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::oracle::{Flow, address, bits, check_flow, check_form, class_of, moment};

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
        device: key.device.or(Some(MacAddress([2, 0, 0, 0, 0, 9]))),
        ..key
    }
}

/// Leaves out, mostly, what is refused, so that lists are written out.
fn mostly_supported(mut firewall: Firewall, random: &mut Random) -> Firewall {
    if random.percent(30) {
        for category in &mut firewall.url_categories {
            category.patterns.push(At::new("example.org".to_owned(), NOWHERE));
        }
    }
    for is_dst in [true, false] {
        retranslate(&mut firewall, is_dst, random);
    }
    firewall
}

/// Gives rules of a translation table, most of the time, something to translate that can be
/// written out; every third table goes.
fn retranslate(firewall: &mut Firewall, is_dst: bool, random: &mut Random) {
    let table = if is_dst { &mut firewall.destination_nat } else { &mut firewall.source_nat };
    if random.percent(33) {
        table.rules.clear();
    }
    for rule in &mut table.rules {
        if random.percent(50) {
            rule.matches = Match::default();
        }
        if random.percent(5) {
            continue;
        }
        let is_v4 = random.percent(75);
        let length = *random.pick(&[32u8, 32, 31, 30, 24]).unwrap();
        let from = network(is_v4, length, random);
        let to = network(is_v4, length, random);
        let port = port(random);
        let several = random.percent(15);
        let to = if several { network(is_v4, 32, random) } else { to };
        let pool = |to: &[IpNet]| {
            to.iter().map(|to| At::new(AddressItem::Network(*to), NOWHERE)).collect()
        };
        rule.translation = match random.below(8) {
            0 => Translation::Keep,
            1 if !is_dst => Translation::EgressInterface,
            2 => Translation::Pool { to: pool(&[to]), port },
            3 => Translation::Pool { to: pool(&[to, network(is_v4, 32, random)]), port },
            4 if !is_dst => {
                let to = vec![At::new(AddressItem::Unknown("a provider's".to_owned()), NOWHERE)];
                Translation::Pool { to, port }
            }
            _ => Translation::Prefix { to, port },
        };
        let compared = if is_dst { &mut rule.matches.dst } else { &mut rule.matches.src };
        let prefix = matches!(rule.translation, Translation::Prefix { .. });
        if prefix || random.percent(60) {
            *compared = AddressMatch::one(AddressItem::Network(from), NOWHERE);
        }
    }
}

const NOWHERE: Span = Span { source: 0, start: 0, end: 0 };

/// A network of the small universe addresses come from.
fn network(is_v4: bool, length: u8, random: &mut Random) -> IpNet {
    let (net, host) = (random.below(3) as u8, random.below(16) as u8);
    let address = if is_v4 {
        IpAddr::from([10, 0, net, host])
    } else {
        IpAddr::from([0x2001, 0xdb8, 0, net.into(), 0, 0, 0, host.into()])
    };
    let length = if is_v4 { length } else { length + 96 };
    IpNet::new(address, length).unwrap().trunc()
}

fn port(random: &mut Random) -> PortTranslation {
    let port = |random: &mut Random| *random.pick(&[0u16, 1, 80, 443, 1024, u16::MAX]).unwrap();
    match random.below(5) {
        0 | 1 => PortTranslation::Keep,
        2 => PortTranslation::Shift { from: port(random), to: port(random) },
        3 => PortTranslation::To(port(random)),
        _ => {
            let ports = PortRange::new(1024 + random.below(2) as u16, u16::MAX).unwrap();
            PortTranslation::Allocate(ports.into())
        }
    }
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

/// A packet at the corners of the rules, or one that a translation matches.
fn candidate(side: &LinkedFirewall, family: Family, random: &mut Random) -> PacketKey {
    let table = if random.percent(50) { &side.source_nat } else { &side.destination_nat };
    let family = if family == Family::V4 { firewalls::Family::V4 } else { firewalls::Family::V6 };
    let rule = random.pick(&table.rules).filter(|_| random.percent(60));
    let inside = rule.and_then(|rule| keys::inside(&rule.matches, family, random));
    inside.unwrap_or_else(|| keys::corner(side, random))
}

/// A flow like `key` that lies at an end of a class in most fields, or in few.
fn beside(
    sides: [&LinkedFirewall; 2],
    key: PacketKey,
    problem: &Problem,
    random: &mut Random,
) -> Flow {
    let kept = *random.pick(&[20, 85]).unwrap();
    let mut flow = Flow { key, application: None, holding: BTreeSet::new(), moment: 0 };
    for dimension in &problem.dimensions {
        let (first, last) = dimension.values(random.below(dimension.classes() as usize) as u32);
        let value = if random.percent(50) { first } else { last };
        let keeps = random.percent(kept);
        flow.set(&dimension.field, value, problem, keeps);
    }
    flow.moment = moment(sides, problem, flow.key.time);
    flow
}

impl Flow {
    fn set(&mut self, field: &Field, value: u128, problem: &Problem, keeps: bool) {
        let key = &mut self.key;
        match field {
            Field::Category(_) | Field::User(_) | Field::Atom(_) => {
                self.holding.extend((value == 1).then(|| field.clone()));
            }
            Field::Application => {
                let named = (value as usize).checked_sub(1);
                self.application = named.map(|at| problem.applications[at].clone());
            }
            _ if keeps => {}
            Field::Src => key.src = address(value, key.src.is_ipv4()),
            Field::Dst => key.dst = address(value, key.dst.is_ipv4()),
            Field::Time => key.time = problem.moments[value as usize],
            Field::Device => {
                let octets = (value as u64).to_be_bytes();
                key.device = octets.last_chunk().copied().map(MacAddress);
            }
            Field::SrcPort => match &mut key.icmp {
                Some((kind, _)) => *kind = value as u8,
                None => key.src_port = value as u16,
            },
            Field::DstPort => match &mut key.icmp {
                Some((_, code)) => *code = value as u8,
                None => key.dst_port = value as u16,
            },
            _ => {}
        }
    }
}

/// How many cases were asked about, how many were answered, and how many flows of them were
/// translated.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    asked: usize,
    answered: usize,
    translated: usize,
    /// Answered in part.
    open: usize,
}

/// Random cases of a pair of firewalls, and random flows of each.
fn check_pair(old: Firewall, new: Firewall, seed: u64, counts: &mut Counts) {
    let mut random = Random::new(seed);
    let old = mostly_supported(old, &mut random);
    let mut new = mostly_supported(new, &mut random);
    if random.percent(40) {
        new = old.clone();
        retranslate(&mut new, random.percent(50), &mut random);
    }
    let (old, new) = (firewalls::linked(&old), firewalls::linked(&new));
    for number in 0..6 {
        let side = if number % 2 == 0 { &old } else { &new };
        let (mut key, other) = (keys::corner(side, &mut random), keys::corner(side, &mut random));
        if number == 5 {
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
        counts.asked += 1;
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
        counts.answered += 1;
        check_form(&problem);
        // Few pairs come to more work than this, and would to very much.
        let solution = solve(&problem, &SolveLimits { work: 10_000_000, ..Default::default() });
        counts.open += usize::from(!solution.open.is_empty());
        for _ in 0..20 {
            let side = if random.percent(50) { &old } else { &new };
            let other = candidate(side, case.family, &mut random);
            let of_case = |other: &PacketKey| {
                let family = [other.src, other.dst].map(|it| it.is_ipv4() == key.src.is_ipv4());
                family == [true, true] && class_of(other.protocol) == case.protocols
            };
            let key = opening(Some(other).filter(of_case).unwrap_or(key), &mut random);
            let flow = beside([&old, &new], key, &problem, &mut random);
            let old_fate = check_flow([&old, &new], &case, (&problem, &solution), &flow);
            counts.translated += usize::from(old_fate.is_translated(&flow));
        }
    }
}

#[test]
fn lists_decide_as_the_reference_does() {
    let counts = Cell::new(Counts::default());
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let run = TestRunner::new(Config::default()).run(&pairs, |(old, new, seed)| {
        let mut so_far = counts.get();
        check_pair(old, new, seed, &mut so_far);
        counts.set(so_far);
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let Counts { asked, answered, translated, open } = counts.get();
    assert!(answered * 3 > asked, "{answered} of {asked} answered");
    assert!(open * 20 <= answered, "{open} of {answered} partly open");
    assert!(translated * 2 > answered, "{translated} flows of {answered} cases translated");
}
