//! Whether the generators reach what they are meant to reach: a differential test that never sees a
//! jump, a doubt or a translation proves nothing about them.

use std::collections::BTreeMap;

use parefeu_policy::{
    Answer, Evaluation, Firewall, Hit, LinkedAction, LinkedFirewall, LinkedLayer, PacketKey, Truth,
    reference,
};
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::keys::Known;
use parefeu_testkit::traces::{Kind, Trace};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// How often each thing was seen.
type Seen = BTreeMap<&'static str, usize>;

/// Asks 40 packets about each of 500 firewalls; fixed seeds.
#[expect(clippy::expect_used, reason = "a test that cannot draw its input must stop")]
fn survey(strategy: impl Strategy<Value = Firewall>) -> Seen {
    let mut runner = TestRunner::deterministic();
    let mut random = Random::new(0x5eed);
    let mut seen = Seen::new();
    for _ in 0..500 {
        let firewall =
            strategy.new_tree(&mut runner).expect("a strategy without filters").current();
        let firewall = firewalls::linked(&firewall);
        for _ in 0..40 {
            let key = keys::corner(&firewall, &mut random);
            let known = Known::about(&firewall, &mut random);
            for layer in &firewall.layers {
                let found = reference::evaluate_layer(&firewall, layer, &key, &known.knowledge());
                note(&mut seen, &firewall, layer, &key, &found);
            }
            let judged = reference::judge(&firewall, &key, &known.knowledge());
            count(&mut seen, "destination translated", judged.destination_nat.is_some());
            count(&mut seen, "source translated", judged.source_nat.is_some());
            count(&mut seen, "doubtful translation", judged.doubtful_nat.is_some());
        }
    }
    seen
}

fn count(seen: &mut Seen, what: &'static str, happened: bool) {
    *seen.entry(what).or_default() += usize::from(happened);
}

fn note(
    seen: &mut Seen,
    firewall: &LinkedFirewall,
    layer: &LinkedLayer,
    key: &PacketKey,
    found: &Evaluation,
) {
    let main = &firewall.rule_bases[0];
    let in_main = |id: parefeu_policy::RuleId| id.0 < main.first.0 + main.count;
    let decided = found.decided.rule;
    count(seen, "decided by a rule", decided.is_some());
    count(seen, "decided by a default", decided.is_none());
    count(seen, "decided after a jump", decided.is_some_and(|id| !in_main(id)));
    count(seen, "certain", matches!(found.answer(), Answer::Certain(_)));
    count(seen, "depends", matches!(found.answer(), Answer::Depends(_)));
    count(seen, "unknown", matches!(found.answer(), Answer::Unknown(_)));
    count(seen, "tentative allow", found.tentative_allow.is_some());
    count(seen, "tentative deny", found.tentative_deny.is_some());
    count(seen, "possible allow", found.possible_allow.is_some());
    count(seen, "possible deny", found.possible_deny.is_some());
    // The mark of an evaluation that gave up: its first rule base states no default, and still both
    // an allow and a refusal are noted where it stands.
    let start = &firewall.rule_bases[layer.rule_base.index()];
    let noted_there = |hit: Option<Hit>| hit.is_some_and(|hit| hit.at == start.at);
    let gave_up = start.default.is_none()
        && noted_there(found.possible_allow)
        && noted_there(found.possible_deny);
    count(seen, "too many forks", gave_up);
    for rule in &firewall.rules {
        let truth = rule.matches.header_truth(key, &firewall.schedules);
        let sure = truth == Truth::Yes && !rule.disabled;
        count(seen, "sure return", sure && rule.action == LinkedAction::Return);
        count(seen, "sure jump", sure && matches!(rule.action, LinkedAction::Jump(_)));
        count(seen, "sure goto", sure && matches!(rule.action, LinkedAction::Goto(_)));
    }
}

#[track_caller]
fn check(seen: &Seen, least: &[(&str, usize)]) {
    for (what, least) in least {
        let found = seen.get(what).copied().unwrap_or(0);
        assert!(found >= *least, "{what}: {found}, expected at least {least}\nall: {seen:#?}");
    }
}

#[test]
fn small_firewalls_show_every_answer() {
    let seen = survey(firewalls::small());
    check(
        &seen,
        &[
            ("decided by a rule", 5000),
            ("decided by a default", 2000),
            ("decided after a jump", 1000),
            ("certain", 5000),
            ("depends", 500),
            ("unknown", 2000),
            ("tentative allow", 500),
            ("tentative deny", 500),
            ("possible allow", 2000),
            ("possible deny", 2000),
            ("sure return", 1000),
            ("sure jump", 1000),
            ("sure goto", 1000),
            ("destination translated", 2000),
            ("source translated", 2000),
            ("doubtful translation", 1000),
        ],
    );
}

#[test]
fn doubtful_firewalls_run_out_of_forks() {
    let seen = survey(firewalls::doubtful());
    check(&seen, &[("too many forks", 300), ("unknown", 5000), ("decided after a jump", 500)]);
}

#[test]
fn the_same_seed_gives_the_same_rules_and_packets() {
    for shape in Shape::ALL {
        for family in [Family::V4, Family::V6] {
            let large = Large { shape, family, rules: 300, seed: 9 };
            let (one, other) = (large.generate(), large.generate());
            assert_eq!(one.rule_bases, other.rule_bases);
            let different = Large { seed: 10, ..large }.generate();
            let alike = one.rule_bases == different.rule_bases;
            assert!(!alike, "{shape:?} does not depend on its seed");
            let linked = firewalls::linked(&one);
            for kind in Kind::ALL {
                let trace = Trace { kind, family, packets: 100, seed: 3 };
                let packets = trace.draw(&linked);
                assert_eq!(packets, trace.draw(&linked));
                assert_ne!(packets, Trace { seed: 4, ..trace }.draw(&linked));
            }
        }
    }
}
