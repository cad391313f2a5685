//! What is recorded of packets both sides treat alike, against the reference evaluation of one
//! layer and one logging rule at a time.

mod packets;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use packets::{draw, holds, judged, lets_through, lies_in, opening_of, supported};
use parefeu_equivalence::{
    Change, Finding, Outcome, Pairing, Passage, Record, Request, Terms, compare, compare_records,
    findings_of_records,
};
use parefeu_policy::{
    Action, Evaluation, Firewall, Hit, LinkedAction, LinkedFirewall, PacketKey, Profile, RuleId,
    Span,
};
use parefeu_testkit::Random;
use parefeu_testkit::firewalls::{self, stated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What decides in a firewall; `None` where that depends on what is not modelled.
fn decided(
    firewall: &LinkedFirewall,
    passage: Passage,
    key: &PacketKey,
    name: Option<&str>,
) -> Option<Hit> {
    let found = judged(firewall, passage, key, name);
    (found == Evaluation::certain(found.decided)).then_some(found.decided)
}

/// What a firewall records of a packet: whether it lets it through, whether it logs it, and the
/// profiles the packet passes, by what they are.
fn recorded(
    firewall: &LinkedFirewall,
    passage: Passage,
    key: &PacketKey,
    name: Option<&str>,
) -> Option<(bool, bool, BTreeSet<String>)> {
    let kind = |name: &str| {
        let defined = firewall.profiles.iter().find(|it| it.name == name);
        defined.map_or(format!("called {name}"), |it| it.definition.clone())
    };
    let (mut log, mut profiles) = (false, BTreeSet::new());
    for layer in &firewall.layers {
        let one = LinkedFirewall { layers: vec![layer.clone()], ..firewall.clone() };
        for (at, rule) in firewall.rules.iter().enumerate() {
            if rule.log && rule.action == LinkedAction::Continue {
                let mut stops = one.clone();
                stops.rules[at].action = LinkedAction::Deny;
                let by = decided(&stops, passage, key, name)?.rule;
                log |= by == Some(RuleId(at as u32));
            }
        }
        let rule = decided(&one, passage, key, name)?.rule.map(|id| firewall.rule(id));
        log |= rule.is_some_and(|rule| rule.log);
        if !lets_through(&one, passage, key, name)? {
            return Some((false, log, BTreeSet::new()));
        }
        profiles.extend(rule.into_iter().flat_map(|rule| &rule.profiles).map(|it| kind(it)));
    }
    Some((true, log, profiles))
}

/// A profile that is not defined, or in one of two ways.
fn defined(name: &str, random: &mut Random) -> Option<Profile> {
    let definition = ["scans", "scans more", ""][random.below(3)].to_owned();
    let at = Span::default();
    (!definition.is_empty()).then(|| Profile { name: name.to_owned(), definition, at })
}

/// Makes rules log, inspect, or log and go on.
fn noting(mut firewall: Firewall, random: &mut Random) -> Firewall {
    for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
        rule.log = random.percent(40);
        let profiles = ["antivirus", "strict"].into_iter().filter(|_| random.percent(25));
        rule.profiles = profiles.map(str::to_owned).collect();
        if random.percent(20) {
            rule.action = Action::Continue;
        }
    }
    firewall
        .profiles
        .extend(["antivirus", "strict"].into_iter().filter_map(|it| defined(it, random)));
    firewall
}

/// Random packets through every case; says how many were in a finding, and how many that both
/// sides treat alike were in none.
fn check_pair(sides: [Firewall; 2], seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let [old, new] = sides.map(supported);
    // Every other pair differs in what it records alone.
    let (one, other) = (noting(old.clone(), &mut random), noting(new, &mut random));
    let other = if seed.is_multiple_of(2) { renoted(&one, &mut random) } else { other };
    let [old, new] = [one, other].map(|side| firewalls::linked(&side));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let request = Request::all(pairing.clone());
    let answer = compare(&old, &new, &request);
    let records = compare_records(&old, &new, &request, &answer);
    let found = findings_of_records(&old, &new, &records, &pairing, &Terms::default());
    assert!(found.iter().all(|it| it.change == Change::Logging && !it.by_application));
    assert!(found.iter().all(|it| !it.is_contradicted()), "{found:#?}");
    let (mut inside, mut outside) = (0, 0);
    for case in &records.compared {
        for _ in 0..20 {
            let drawn = draw([&old, &new], case, &mut random);
            let Some((key, application, name)) = drawn else { continue };
            let sides = [(&old, case.case.old), (&new, case.case.new)];
            let answers = sides.map(|(side, passage)| recorded(side, passage, &key, name));
            let [Some(of_old), Some(of_new)] = answers else { continue };
            let held = found.iter().any(|it| holds(it, case, &key, application));
            let expected = of_old.0 == of_new.0 && of_old != of_new;
            assert_eq!(held, expected, "{of_old:?} {of_new:?} {key:?} {name:?} {:?}", case.case);
            inside += usize::from(held);
            outside += usize::from(!held && of_old.0 == of_new.0);
        }
    }
    for finding in &found {
        inside += usize::from(check_witness([&old, &new], finding, records.applications()));
    }
    (inside, outside)
}

/// The same firewall, recording otherwise.
fn renoted(firewall: &Firewall, random: &mut Random) -> Firewall {
    let mut firewall = firewall.clone();
    let rules = firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules);
    for rule in rules.filter(|_| random.percent(20)) {
        rule.log = !rule.log;
    }
    if random.percent(30) {
        firewall.profiles = defined("strict", random).into_iter().collect();
    }
    firewall
}

/// The records a finding states of its witness are those of either side, unless that cannot be
/// told; says whether it could be.
#[track_caller]
fn check_witness(sides: [&LinkedFirewall; 2], finding: &Finding, names: &[Box<str>]) -> bool {
    let (key, application) = opening_of(&finding.witness);
    assert!(lies_in(finding, &key, application), "{finding:?}");
    let name = application.checked_sub(1).and_then(|at| names.get(at as usize));
    let way = &finding.witness_way;
    let asked = [(sides[0], way.old, &finding.old), (sides[1], way.new, &finding.new)];
    let agrees = asked.map(|(side, passage, decision)| {
        let (allows, log, profiles) = recorded(side, passage, &key, name.map(|name| &**name))?;
        let Outcome::Recorded(stated) = &decision.outcome else { return Some(false) };
        let same = stated.profiles.len() == profiles.len();
        Some(allows == stated.refusal.is_none() && log == stated.log && same)
    });
    assert!(!agrees.contains(&Some(false)), "{agrees:?} {finding:?}");
    agrees == [Some(true); 2]
}

#[test]
fn packets_recorded_otherwise_are_found_and_no_other() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let config = Config { cases: 100, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed)| {
        let (inside, outside) = check_pair([old, new], seed);
        counts.set((counts.get().0 + inside, counts.get().1 + outside));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (inside, outside) = counts.get();
    assert!(inside > 100 && outside > 100, "{inside} inside, {outside} outside");
}

/// A firewall with these rules, refusing all else without a word.
fn with(rules: &str) -> LinkedFirewall {
    stated(&format!(
        r#"
        [[layer]]
        name = "filter"
        rule_base = "rules"
        default = "drop"

        [[rule_base]]
        name = "rules"
        {rules}
        "#
    ))
}

fn found(old: &LinkedFirewall, new: &LinkedFirewall) -> Vec<Finding> {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let request = Request::all(pairing.clone());
    let answer = compare(old, new, &request);
    let records = compare_records(old, new, &request, &answer);
    assert!(records.undecided.is_empty(), "{:?}", records.undecided);
    findings_of_records(old, new, &records, &pairing, &Terms::default())
}

const WEB: &str = "[[rule_base.rule]]\nname = \"web\"\nservice = \"tcp/443\"\naction = \"allow\"\n";
const LOG: &str = "[[rule_base.rule]]\nname = \"log\"\nlog = true\naction = \"continue\"\n";

#[test]
fn a_rule_that_no_longer_logs_is_a_difference_of_its_packets_alone() {
    let logged = with(&format!("{WEB}log = true"));
    let regions = found(&logged, &with(WEB));
    let [region] = &regions[..] else { panic!("{regions:#?}") };
    assert_eq!(region.change.name(), "logging");
    assert_eq!(region.witness.ports.unwrap().1, 443);
    let records = [&region.old, &region.new].map(|it| it.outcome.clone());
    let record = |log| Outcome::Recorded(Record { log, ..Record::default() });
    assert_eq!(records, [record(true), record(false)]);
    assert_eq!(found(&with(WEB), &with(WEB)), [], "nothing to compare");
    assert_eq!(found(&logged, &logged), []);
}

#[test]
fn a_rule_that_only_logs_is_named_for_what_others_decide() {
    let both = with(&format!("{LOG}{WEB}"));
    let regions = found(&with(WEB), &both);
    let refused = regions.iter().filter(|it| it.new.outcome.refuses()).count();
    assert!(0 < refused && refused < regions.len(), "{regions:#?}");
    assert!(regions.iter().all(|it| it.new.deciders.iter().all(|by| by.rule == Some(RuleId(0)))));
    let late = with(&format!("{WEB}{LOG}"));
    let regions = found(&both, &late);
    assert!(regions.iter().all(|it| it.new.outcome.allows()), "refused ones are logged by both");
}

#[test]
fn profiles_count_where_packets_are_let_through() {
    let strict = with(&format!("{WEB}profiles = [\"strict\", \"antivirus\"]"));
    let regions = found(&strict, &with(WEB));
    let [region] = &regions[..] else { panic!("{regions:#?}") };
    let Outcome::Recorded(record) = &region.old.outcome else { panic!("{region:?}") };
    assert_eq!(record.profiles, ["antivirus".into(), "strict".into()]);
    let refuses = WEB.replace("allow", "deny");
    let inspected = with(&format!("{refuses}profiles = [\"strict\"]"));
    assert_eq!(found(&inspected, &with(&refuses)), [], "nothing passes them");
}

/// What a profile does is what it is, as far as that is known; else its name.
#[test]
fn profiles_of_one_name_are_told_apart_by_what_they_do() {
    let defined = |name: &str, definition: &str| {
        let profile = format!("[[profile]]\nname = \"{name}\"\ndefinition = \"{definition}\"");
        with(&format!("{WEB}profiles = [\"{name}\"]\n{profile}"))
    };
    let undefined = with(&format!("{WEB}profiles = [\"strict\"]"));
    let strict = defined("strict", "scans");
    assert_eq!(found(&strict, &strict), []);
    assert_eq!(found(&undefined, &undefined), []);
    assert_eq!(found(&strict, &defined("renamed", "scans")), []);
    for other in [defined("strict", "scans more"), undefined] {
        let regions = found(&strict, &other);
        let [region] = &regions[..] else { panic!("{regions:#?}") };
        let names = [&region.old, &region.new].map(|it| match &it.outcome {
            Outcome::Recorded(record) => record.profiles.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(names, [["strict".into()], ["strict (another)".into()]]);
    }
}

#[test]
fn packets_that_are_treated_otherwise_are_no_part_of_it() {
    let logged = with(&format!("{WEB}log = true"));
    let refused = with(&format!("{}log = false", WEB.replace("allow", "deny")));
    assert_eq!(found(&logged, &refused), []);
}
