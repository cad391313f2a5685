//! What is said of rules, against looking at every packet of a small space.

#![expect(clippy::panic, reason = "a test stops where what it states does not hold")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use parefeu_equivalence::{
    Answer, EXPLAIN_WORK, Explanation, Family, Field, Obstacle, Pairing, ProtocolClass, Request,
    Side, Stop, Undecided, Unproved, compare, explain,
};
use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, RuleId, Source, Span, link, native};
use proptest::collection::vec;
use proptest::prelude::*;

#[track_caller]
fn linked(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// A rule over eight hosts and eight ports.
#[derive(Clone, Debug)]
struct Small {
    hosts: (u8, u8),
    ports: (u16, u16),
    allows: bool,
}

impl Small {
    fn matches(&self, host: u8, port: u16) -> bool {
        (self.hosts.0..=self.hosts.1).contains(&host)
            && (self.ports.0..=self.ports.1).contains(&port)
    }
}

const HOSTS: u8 = 8;
const PORTS: u16 = 8;

fn rules() -> impl Strategy<Value = Vec<Small>> {
    let rule = (0..HOSTS, 0..HOSTS, 0..PORTS, 0..PORTS, any::<bool>());
    let rule = rule.prop_map(|(a, b, c, d, allows)| Small {
        hosts: (a.min(b), a.max(b)),
        ports: (c.min(d), c.max(d)),
        allows,
    });
    vec(rule, 0..7)
}

fn written(rules: &[Small]) -> String {
    let mut text = "[[rule_base]]\nname = \"main\"\n".to_owned();
    for (at, Small { hosts, ports, allows }) in rules.iter().enumerate() {
        let _ = writeln!(
            text,
            "[[rule_base.rule]]\nname = \"r{at}\"\nsource = [\"10.0.0.{}-10.0.0.{}\"]\n\
             service = [\"tcp/{}-{}\"]\naction = \"{}\"",
            hosts.0,
            hosts.1,
            ports.0,
            ports.1,
            if *allows { "allow" } else { "deny" },
        );
    }
    text + "[[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n"
}

/// The small space: eight hosts, eight ports, one destination.
fn asked(old: &LinkedFirewall, new: &LinkedFirewall) -> Answer {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let mut request = Request::all(pairing);
    request.families = vec![Family::V4];
    let first = 0x0a00_0000;
    request.within = vec![
        (Field::Src, Ranges::span(first, first + u128::from(HOSTS) - 1)),
        (Field::Dst, Ranges::one(0xc000_0201u32)),
        (Field::Protocol, Ranges::one(6u8)),
        (Field::SrcPort, Ranges::one(40_000u16)),
        (Field::DstPort, Ranges::span(0, u128::from(PORTS) - 1)),
    ];
    let answer = compare(old, new, &request);
    assert_eq!(answer.undecided, []);
    answer
}

/// The deciding rules of either side for every packet.
fn every_packet(sides: [&[Small]; 2]) -> Vec<[Option<RuleId>; 2]> {
    let packets = (0..HOSTS).flat_map(|host| (0..PORTS).map(move |port| (host, port)));
    let decided = packets.map(|(host, port)| {
        sides.map(|rules| {
            let first = rules.iter().position(|rule| rule.matches(host, port));
            first.map(|at| RuleId(at as u32))
        })
    });
    decided.collect()
}

fn explained(old: &[Small], new: &[Small], work: u64) -> Explanation {
    let [old, new] = [old, new].map(|rules| linked(&written(rules)));
    explain([&old, &new], &asked(&old, &new), (work, Stop::default()))
}

proptest! {
    #[test]
    fn shares_and_idle_rules_are_those_of_every_packet(old in rules(), new in rules()) {
        let packets = every_packet([&old, &new]);
        let found = explained(&old, &new, EXPLAIN_WORK);
        let mut expected: BTreeMap<Option<RuleId>, BTreeMap<Option<RuleId>, f64>> = BTreeMap::new();
        for [old, new] in &packets {
            *expected.entry(*old).or_default().entry(*new).or_default() += 1.0;
        }
        prop_assert_eq!(found.mapping.len(), expected.len());
        for mapping in &found.mapping {
            let expected = &expected[&mapping.old];
            let all: f64 = expected.values().sum();
            prop_assert!(mapping.whole);
            prop_assert_eq!(mapping.new.len(), expected.len());
            for carrier in &mapping.new {
                let share = expected[&carrier.rule] / all;
                prop_assert!((carrier.share - share).abs() < 1e-9, "{found:?}");
            }
        }
        for (side, rules) in [&old, &new].into_iter().enumerate() {
            let seen: BTreeSet<_> = packets.iter().map(|packet| packet[side]).collect();
            let all = (0..rules.len() as u32).map(RuleId);
            let idle: Vec<_> = all.filter(|id| !seen.contains(&Some(*id))).collect();
            prop_assert_eq!(&found.idle[side], &idle);
            prop_assert_eq!(&found.open[side], &[]);
        }
    }

    #[test]
    fn less_work_says_less_and_nothing_else(old in rules(), new in rules(), work in 0u64..3000) {
        let [all, part] = [EXPLAIN_WORK, work].map(|work| explained(&old, &new, work));
        check_part(&all, &part);
    }
}

/// With less work, nothing is said that more work takes back.
#[track_caller]
fn check_part(all: &Explanation, part: &Explanation) {
    for mapping in &part.mapping {
        let whole = all.mapping.iter().find(|it| it.old == mapping.old);
        let Some(whole) = whole else { panic!("{:?} decides nothing", mapping.old) };
        assert!(!mapping.whole || mapping.new == whole.new);
        for carrier in &mapping.new {
            let share = whole.new.iter().find(|it| it.rule == carrier.rule);
            let share = share.map_or(0.0, |it| it.share);
            assert!(carrier.share <= share + 1e-9, "{part:?} {all:?}");
        }
    }
    for side in 0..2 {
        let surely = |id: &RuleId| all.idle[side].contains(id);
        assert!(part.idle[side].iter().all(surely));
        let told = |id: &RuleId| part.idle[side].contains(id) || part.open[side].contains(id);
        assert!(all.idle[side].iter().all(told));
    }
}

#[test]
fn a_share_left_open_is_the_least_it_can_be() {
    let rule = |host: u8| Small { hosts: (host, host), ports: (0, u16::from(host)), allows: true };
    let old = [Small { hosts: (0, 7), ports: (0, 7), allows: true }];
    let new: Vec<Small> = (0..HOSTS).map(rule).collect();
    let all = explained(&old, &new, EXPLAIN_WORK);
    let mut partly = 0;
    for work in (0..3000).step_by(7) {
        let part = explained(&old, &new, work);
        check_part(&all, &part);
        partly += usize::from(part.mapping.iter().any(|it| !it.whole));
    }
    assert!(partly > 20, "{partly} answers in part");
}

#[test]
fn without_work_everything_is_open() {
    let rule = Small { hosts: (0, 3), ports: (0, 7), allows: true };
    let found = explained(std::slice::from_ref(&rule), &[], 0);
    assert_eq!((found.mapping, found.idle), (vec![], [vec![], vec![]]));
    assert_eq!(found.open, [vec![RuleId(0)], vec![]]);
}

#[test]
fn where_a_case_has_no_answer_no_rule_is_called_idle() {
    let rule = Small { hosts: (0, 3), ports: (0, 7), allows: true };
    let [old, new] = [&[rule.clone(), rule][..], &[]].map(|rules| linked(&written(rules)));
    let mut answer = asked(&old, &new);
    let idle = |answer: &Answer| {
        let found = explain([&old, &new], answer, (EXPLAIN_WORK, Stop::default()));
        (found.idle, found.open)
    };
    assert_eq!(idle(&answer), ([vec![RuleId(1)], vec![]], [vec![], vec![]]));
    answer.undecided.push(Undecided {
        family: Family::V6,
        protocols: ProtocolClass::Other,
        crossings: Vec::new().into(),
        because: Unproved::NotWrittenOut {
            side: Side::New,
            at: Span::default(),
            obstacle: Obstacle::Schedule,
        },
    });
    assert_eq!(idle(&answer), ([vec![], vec![]], [vec![RuleId(1)], vec![]]));
}
