//! Packets that are not first ones, by their state, against the reference evaluation.

mod packets;

use std::cell::Cell;
use std::collections::BTreeMap;

use packets::{draw, holds, lets_through, lies_in, opening_of, supported};
use parefeu_equivalence::{
    Answer, Change, Compared, Family, Field, Finding, PacketState, Pairing, Request, Stated, Terms,
    Verdict, compare, compare_by_state, conclude, findings, findings_by_state,
};
use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::{
    Behaviour, ConnectionState, Diagnostics, Firewall, LinkedFirewall, PacketKey, Preset, StateSet,
    TcpFlagMatch,
};
use parefeu_testkit::Random;
use parefeu_testkit::firewalls::{self, between};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Both comparisons of two firewalls, with their findings.
struct Both {
    pairing: Pairing,
    first: (Answer, Vec<Finding>),
    others: (Answer, Vec<Finding>),
}

impl Both {
    fn of(old: &LinkedFirewall, new: &LinkedFirewall) -> Self {
        let pairing = Pairing::of(old, new, &BTreeMap::new());
        let request = Request::all(pairing.clone());
        let answer = compare(old, new, &request);
        let found = findings(old, new, &answer, &pairing);
        let others = compare_by_state(old, new, &request, &answer);
        let of_others = findings_by_state(old, new, &others, &pairing, &Terms::default());
        assert!(of_others.iter().all(|it| !it.is_contradicted()), "{of_others:#?}");
        Self { pairing, first: (answer, found), others: (others, of_others) }
    }

    /// Of the findings by state: the state, what changes and the protocols.
    fn told(&self) -> Vec<(PacketState, Change)> {
        let told = self.others.1.iter();
        let mut told: Vec<_> = told.map(|it| (state_of(it), it.change)).collect();
        told.sort_unstable();
        told.dedup();
        told
    }
}

#[track_caller]
fn state_of(finding: &Finding) -> PacketState {
    let Some(state) = PacketState::of(finding) else { unreachable!("{finding:?} has no state") };
    state
}

/// A packet of the state with the headers of a first packet; `None` where there is none.
fn of_state(
    first: PacketKey,
    family: Family,
    state: PacketState,
    random: &mut Random,
) -> Option<PacketKey> {
    let is_tcp = first.protocol == Protocol::TCP;
    let any = TcpFlags(random.next_u64() as u8);
    let set = |flags| is_tcp.then_some(flags);
    Some(match state {
        PacketState::Related => {
            let kinds: &[u8] =
                if family == Family::V4 { &[3, 4, 5, 11, 12] } else { &[1, 2, 3, 4] };
            let kind = kinds[random.below(kinds.len())];
            let icmp = first.icmp.map(|(_, code)| (kind, code));
            PacketKey { state: ConnectionState::Related, icmp, ..first }
        }
        PacketState::Invalid => {
            PacketKey { state: ConnectionState::Invalid, tcp_flags: set(any), ..first }
        }
        PacketState::Untracked => {
            let is_v6 = family == Family::V6;
            let kind = [130, 131, 132, 133, 134, 135, 136, 143][random.below(8)];
            let icmp = first.icmp.map(|(_, code)| (kind, code));
            let key = PacketKey { state: ConnectionState::Untracked, icmp, ..first };
            return (is_v6 && icmp.is_some()).then_some(key);
        }
        PacketState::FlaggedSyn | PacketState::MidStream => {
            let told = TcpFlags::SYN.0 | TcpFlags::ACK.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;
            let flags = TcpFlags(match state {
                PacketState::FlaggedSyn => any.0 & !told | TcpFlags::SYN.0 | TcpFlags::ECE.0,
                _ => any.0 & !told | TcpFlags::ACK.0,
            });
            return is_tcp.then_some(PacketKey { tcp_flags: Some(flags), ..first });
        }
    })
}

/// Random packets of every state through every case; says how many were in a finding, and how many
/// in none.
fn check_pair(sides: [Firewall; 2], seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let is_translating = random.percent(50);
    let [old, new] = sides.map(|side| {
        let behaviour = Behaviour::preset(Preset::Linux);
        let tables = (side.destination_nat.clone(), side.source_nat.clone());
        let mut side = Firewall { behaviour, ..supported(side) };
        if is_translating {
            (side.destination_nat, side.source_nat) = tables;
        }
        firewalls::linked(&side)
    });
    let both = Both::of(&old, &new);
    assert!(both.others.0.assumed.is_empty(), "{:?}", both.others.0.assumed);
    let (mut inside, mut outside) = (0, 0);
    // What cannot be written out for one of the states has no answer.
    let is_open = |case: &Compared| {
        let mut open = both.others.0.undecided.iter();
        open.any(|it| (it.family, it.protocols) == (case.case.family, case.case.protocols))
    };
    for case in both.first.0.compared.iter().filter(|case| !is_open(case)) {
        for _ in 0..60 {
            let drawn = draw([&old, &new], case, &mut random);
            let Some((first, application, name)) = drawn else { continue };
            let state = PacketState::ALL[random.below(5)];
            let key = of_state(first, case.case.family, state, &mut random);
            let Some(key) = key else { continue };
            // Related packets are translated with a connection.
            if is_translating && state == PacketState::Related {
                continue;
            }
            let sides = [(&old, case.case.old), (&new, case.case.new)];
            let answers = sides.map(|(side, passage)| lets_through(side, passage, &key, name));
            let [Some(old_passes), Some(new_passes)] = answers else { continue };
            if both.first.1.iter().any(|it| holds(it, case, &key, application)) {
                continue;
            }
            let mut found = both.others.1.iter().filter(|it| PacketState::of(it) == Some(state));
            let held = found.any(|it| holds(it, case, &key, application));
            let differs = old_passes != new_passes;
            assert_eq!(held, differs, "{state:?} {answers:?} {key:?} {name:?} {:?}", case.case);
            inside += usize::from(held);
            outside += usize::from(!held);
        }
    }
    let told = |it: &&Finding| !is_translating || state_of(it) != PacketState::Related;
    for finding in both.others.1.iter().filter(told) {
        check_witness([&old, &new], finding, both.others.0.applications());
        inside += 1;
    }
    (inside, outside)
}

/// Of a witness one side lets through and the other refuses, unless that cannot be told.
#[track_caller]
fn check_witness(sides: [&LinkedFirewall; 2], finding: &Finding, names: &[Box<str>]) {
    let state = state_of(finding);
    let (first, application) = opening_of(&finding.witness);
    let told = finding.witness.others.iter().find(|(field, _)| *field == Field::Flags);
    let flags = told.map_or(TcpFlags::ACK, |(_, flags)| TcpFlags(*flags as u8));
    let tcp_flags = match state {
        PacketState::Related => first.tcp_flags,
        _ => first.tcp_flags.map(|_| flags),
    };
    let told = match state {
        PacketState::Related => ConnectionState::Related,
        PacketState::Invalid => ConnectionState::Invalid,
        PacketState::Untracked => ConnectionState::Untracked,
        PacketState::FlaggedSyn | PacketState::MidStream => ConnectionState::New,
    };
    let key = PacketKey { state: told, tcp_flags, ..first };
    assert!(lies_in(finding, &key, application), "{finding:?}");
    let name = application.checked_sub(1).and_then(|at| names.get(at as usize));
    let way = &finding.witness_way;
    let passes = [(sides[0], way.old), (sides[1], way.new)]
        .map(|(side, passage)| lets_through(side, passage, &key, name.map(|name| &**name)));
    if let [Some(old), Some(new)] = passes {
        assert_eq!(finding.change, if old { Change::Closed } else { Change::Opened });
        assert_ne!(old, new, "{finding:?}");
    }
}

/// The same firewall, some of whose rules ask for other states and flags.
fn edited(mut firewall: Firewall, random: &mut Random) -> Firewall {
    for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
        if random.percent(40) {
            let states = ConnectionState::ALL.into_iter().filter(|_| random.percent(60));
            rule.matches.states = states.fold(StateSet::NONE, StateSet::with);
        }
        if random.percent(20) {
            let [mask, value] = [0, 1].map(|_| random.next_u64() as u8 & 0x57);
            let negated = random.percent(50);
            rule.matches.tcp_flags = vec![TcpFlagMatch { mask, value: value & mask, negated }];
        }
    }
    firewall
}

#[test]
fn packets_rules_tell_apart_by_their_state_are_found_and_no_other() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), any::<u64>());
    let config = Config { cases: 150, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, seed)| {
        let new = edited(old.clone(), &mut Random::new(seed));
        let (inside, outside) = check_pair([old, new], seed);
        counts.set((counts.get().0 + inside, counts.get().1 + outside));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (inside, outside) = counts.get();
    assert!(inside > 20 && outside > 300, "{inside} inside, {outside} outside");
}

fn rule(action: &str, more: &str) -> String {
    format!("[[rule_base.rule]]\nname = \"it\"\naction = \"{action}\"\n{more}\n")
}

/// Rules that let in TCP to 443, with what belongs to it, after `first`.
fn web(first: &str) -> String {
    let established = rule("allow", "state = [\"established\", \"related\"]");
    let new = rule("allow", "state = [\"new\"]\nservice = \"tcp/443\"");
    format!("{first}\n{established}\n{new}")
}

#[test]
fn a_rule_for_a_state_alone_is_a_difference_of_that_state() {
    use Change::{Closed, Opened};
    use PacketState::{FlaggedSyn, Invalid, MidStream, Related, Untracked};
    let plain = between("linux", &web(""));
    let check = |rules: &str, expected: &[(PacketState, Change)]| {
        let other = between("linux", rules);
        let both = Both::of(&plain, &other);
        assert!(both.first.1.is_empty(), "first packets pass alike: {:#?}", both.first.1);
        assert_eq!(both.told(), expected, "{rules}");
        let back = Both::of(&other, &plain).told();
        let turned = expected
            .iter()
            .map(|(state, change)| (*state, if *change == Opened { Closed } else { Opened }));
        assert!(back.into_iter().eq(turned), "{rules}");
    };
    check(&web(""), &[]);
    check(&web(&rule("drop", "state = [\"invalid\"]")), &[]);
    check(
        &web(&rule("allow", "state = [\"invalid\"]\nservice = \"udp/53\"")),
        &[(Invalid, Opened)],
    );
    check(&web(&rule("drop", "state = [\"related\"]\nservice = \"icmp\"")), &[(Related, Closed)]);
    let neighbours = "state = [\"untracked\"]\nservice = \"ipv6-icmp\"";
    check(&web(&rule("allow", neighbours)), &[(Untracked, Opened)]);
    let ecn = "state = [\"new\"]\nservice = \"tcp\"\ntcp_flags = [\"syn,ece=syn,ece\"]";
    check(&web(&rule("drop", ecn)), &[(FlaggedSyn, Closed)]);
    let not_syn = "state = [\"new\"]\nservice = \"tcp\"\ntcp_flags = [\"!syn,ack,fin,rst=syn\"]";
    check(&web(&rule("drop", not_syn)), &[(MidStream, Closed)]);
    let stateless = format!(
        "{}\n{}",
        rule("allow", "state = [\"established\", \"related\"]"),
        rule("allow", "service = \"tcp/443\"")
    );
    check(&stateless, &[(Invalid, Opened)]);
}

#[test]
fn what_a_firewall_that_keeps_sessions_drops_is_assumed_not_to_matter() {
    let verdict = |old: &LinkedFirewall, new: &LinkedFirewall| {
        let both = Both::of(old, new);
        assert_eq!(both.told(), [], "nothing is told as a difference");
        let problems = Diagnostics::default();
        let sides = [old, new].map(|firewall| Stated { firewall, problems: &problems });
        let answers = [&both.first.0, &both.others.0];
        let conclusion = conclude(sides, &answers, &both.first.1, &both.pairing);
        let names = conclusion.assumptions.iter().map(|it| it.id.clone());
        (conclusion.verdict, names.collect::<Vec<String>>())
    };
    let panos = between("panos", &rule("allow", "service = \"tcp/443\""));
    let strict = between("linux", &web(""));
    assert_eq!(verdict(&strict, &panos), (Verdict::Equivalent, vec![]));
    let (found, names) =
        verdict(&panos, &between("linux", &rule("allow", "service = \"tcp/443\"")));
    assert_eq!(found, Verdict::EquivalentUnderAssumptions);
    let is_named = |code: &str| names.iter().any(|name| name.starts_with(&format!("new-{code}-")));
    assert!(is_named("invalid") && is_named("related") && names.len() == 2, "{names:?}");
    assert_eq!(verdict(&panos, &panos), (Verdict::Equivalent, vec![]));
}
