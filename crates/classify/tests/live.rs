//! A rule base under change against a plain list, and readers beside a writer.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a change that fails has failed the test"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parefeu_classify::{ChangeError, CompileLimits, LiveRules, Place, RuleHandle};
use parefeu_policy::{LinkedFirewall, LinkedMatch, PacketKey, Truth};
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// The rules of a firewall, whatever rule base they stand in.
fn matches_of(firewall: &LinkedFirewall) -> Vec<LinkedMatch> {
    firewall.rules.iter().map(|rule| rule.matches.clone()).collect()
}

fn live(firewall: &LinkedFirewall, rules: Vec<LinkedMatch>, limits: CompileLimits) -> LiveRules {
    let dimensions = (firewall.interfaces.len() as u32, firewall.zones.len() as u32);
    LiveRules::new(rules, dimensions, firewall.schedules.clone().into(), limits)
}

/// The same rules as a list that is read from the top.
struct Model(Vec<(RuleHandle, LinkedMatch)>);

impl Model {
    fn first_match(&self, firewall: &LinkedFirewall, key: &PacketKey) -> Option<RuleHandle> {
        let surely = |it: &&(RuleHandle, LinkedMatch)| {
            it.1.header_truth(key, &firewall.schedules) == Truth::Yes
        };
        self.0.iter().find(surely).map(|(rule, _)| *rule)
    }

    fn at(&self, rule: RuleHandle) -> usize {
        self.0.iter().position(|it| it.0 == rule).expect("the model knows every rule")
    }

    fn index(&self, place: Place) -> usize {
        match place {
            Place::First => 0,
            Place::Before(rule) => self.at(rule),
            Place::After(rule) => self.at(rule) + 1,
            _ => self.0.len(),
        }
    }
}

/// One random change to both.
fn change(live: &mut LiveRules, model: &mut Model, pool: &[LinkedMatch], random: &mut Random) {
    let some = |random: &mut Random| random.pick(&model.0).map(|(rule, _)| *rule);
    let place = match (random.below(4), some(random)) {
        (0, Some(rule)) => Place::Before(rule),
        (1, Some(rule)) => Place::After(rule),
        (2, _) => Place::First,
        _ => Place::Last,
    };
    let matches = random.pick(pool).expect("the pool holds rules").clone();
    match (random.below(5), some(random)) {
        (0, Some(rule)) => {
            live.remove(rule).unwrap();
            model.0.remove(model.at(rule));
        }
        (1, Some(rule)) => {
            live.replace(rule, matches.clone()).unwrap();
            let at = model.at(rule);
            model.0[at].1 = matches;
        }
        (2, Some(rule)) => {
            live.reorder(rule, place).unwrap();
            if !matches!(place, Place::Before(to) | Place::After(to) if to == rule) {
                let moved = model.0.remove(model.at(rule));
                let at = model.index(place);
                model.0.insert(at, moved);
            }
        }
        _ => {
            let rule = live.insert(place, matches.clone()).unwrap();
            let at = model.index(place);
            model.0.insert(at, (rule, matches));
        }
    }
}

#[track_caller]
fn check(firewall: &LinkedFirewall, limits: CompileLimits, changes: usize, seed: u64) {
    let mut random = Random::new(seed);
    let pool = matches_of(firewall);
    let start: Vec<LinkedMatch> = pool.iter().take(pool.len() / 2).cloned().collect();
    let mut live = live(firewall, start, limits);
    let mut model = Model(live.rules().map(|(rule, it)| (rule, it.clone())).collect());
    let reader = live.reader();
    for step in 0..changes {
        change(&mut live, &mut model, &pool, &mut random);
        if step % 50 == 49 {
            live.compile();
            assert_eq!(live.pending(), 0);
        }
        let keys: Vec<PacketKey> = (0..8).map(|_| keys::corner(firewall, &mut random)).collect();
        let expected: Vec<_> = keys.iter().map(|key| model.first_match(firewall, key)).collect();
        let mut found = vec![None; keys.len()];
        reader.first_match_batch(&keys, &mut found);
        assert_eq!(found, expected, "step {step}: {keys:#?}");
    }
    let order: Vec<RuleHandle> = live.rules().map(|(rule, _)| rule).collect();
    assert_eq!(order, model.0.iter().map(|(rule, _)| *rule).collect::<Vec<_>>());
    assert_eq!(live.len(), model.0.len());
}

#[test]
fn changes_are_exact_at_once_for_every_kind_of_field() {
    let mut runner = TestRunner::deterministic();
    let user = CompileLimits::default();
    let tables = CompileLimits { min_table_rules: 0, ..user };
    let tuples = CompileLimits { max_paired_rules: 0, ..tables };
    for seed in 0..40 {
        let tree = firewalls::small().new_tree(&mut runner).expect("nothing is filtered out");
        let firewall = firewalls::linked(&tree.current());
        if firewall.rules.is_empty() {
            continue;
        }
        for limits in [user, tables, tuples] {
            check(&firewall, limits, 120, seed);
        }
    }
}

#[test]
fn changes_are_exact_at_once_in_large_rule_bases() {
    for shape in Shape::ALL {
        for family in [Family::V4, Family::V6] {
            let large = Large { shape, family, rules: 2000, seed: 3 }.generate();
            check(&firewalls::linked(&large), CompileLimits::default(), 120, 7);
        }
    }
}

#[test]
fn a_rule_that_does_not_exist_is_an_error() {
    let large = Large { shape: Shape::AccessList, family: Family::V4, rules: 2, seed: 1 };
    let firewall = firewalls::linked(&large.generate());
    let rules = matches_of(&firewall);
    let mut live = live(&firewall, rules.clone(), CompileLimits::default());
    let gone = live.insert(Place::First, rules[0].clone()).unwrap();
    live.remove(gone).unwrap();
    let unknown = ChangeError::UnknownRule(gone);
    assert_eq!(live.remove(gone), Err(unknown));
    assert_eq!(live.replace(gone, rules[0].clone()), Err(unknown));
    assert_eq!(live.reorder(gone, Place::First), Err(unknown));
    assert_eq!(live.insert(Place::After(gone), rules[0].clone()), Err(unknown));
    assert_eq!(live.len(), rules.len());
}

/// A rule that is replaced and moved again and again always matches one packet: no reader may see
/// a moment without it, nor what stands behind it.
#[test]
fn readers_see_the_rules_before_or_after_a_change() {
    let large = Large { shape: Shape::AccessList, family: Family::V4, rules: 500, seed: 9 };
    let firewall = firewalls::linked(&large.generate());
    let mut random = Random::new(5);
    let key =
        firewall.rules.iter().find_map(|it| keys::inside(&it.matches, Family::V4, &mut random));
    let key = key.expect("rules have insides");
    let all = LinkedMatch::clone(&firewall.rules.last().expect("there are rules").matches);
    let narrow = firewall.rules.iter().map(|rule| &rule.matches);
    let narrow: Vec<LinkedMatch> = narrow
        .filter(|it| it.header_truth(&key, &firewall.schedules) == Truth::Yes)
        .cloned()
        .collect();
    let mut live = live(&firewall, matches_of(&firewall), CompileLimits::default());
    let watched = live.insert(Place::First, narrow[0].clone()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (reader, stop) = (live.reader(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut looks = 0u32;
                while !stop.load(Ordering::Relaxed) && looks < 1_000_000 {
                    assert_eq!(reader.first_match(&key), Some(watched));
                    looks += 1;
                }
            })
        })
        .collect();
    for round in 0..5_000 {
        live.replace(watched, narrow[round % narrow.len()].clone()).unwrap();
        let other = live.insert(Place::Last, all.clone()).unwrap();
        live.reorder(watched, Place::First).unwrap();
        live.remove(other).unwrap();
        if round % 1_000 == 0 {
            live.compile();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().expect("no reader saw another rule");
    }
}

/// Two rules that match one packet change places, and the match of the first: a batch sees one of
/// them throughout.
#[test]
fn a_batch_sees_one_version() {
    let large = Large { shape: Shape::AccessList, family: Family::V4, rules: 500, seed: 9 };
    let firewall = firewalls::linked(&large.generate());
    let mut random = Random::new(5);
    let key =
        firewall.rules.iter().find_map(|it| keys::inside(&it.matches, Family::V4, &mut random));
    let key = key.expect("rules have insides");
    let rules = matches_of(&firewall);
    let is_match = |it: &&LinkedMatch| it.header_truth(&key, &firewall.schedules) == Truth::Yes;
    let narrow = rules.iter().find(is_match).expect("the packet is inside of a rule").clone();
    let mut live = live(&firewall, rules, CompileLimits::default());
    let pair = [(); 2].map(|()| live.insert(Place::First, narrow.clone()).unwrap());
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (reader, stop) = (live.reader(), Arc::clone(&stop));
            std::thread::spawn(move || {
                let mut found = [None; 16];
                for _ in 0..1_000_000 {
                    reader.first_match_batch(&[key; 16], &mut found);
                    assert!(pair.contains(&found[0].expect("a rule matches")));
                    assert_eq!(found, [found[0]; 16]);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        })
        .collect();
    let reader = live.reader();
    for round in 0..10_000 {
        let (first, second) = (pair[round % 2], pair[1 - round % 2]);
        live.reorder(first, Place::First).unwrap();
        assert_eq!(reader.first_match(&key), Some(first), "round {round}");
        live.replace(second, narrow.clone()).unwrap();
        if round % 3_000 == 0 {
            live.compile();
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.join().expect("no reader saw a mix");
    }
}

#[test]
fn the_handle_of_a_rule_that_is_gone_names_no_later_one() {
    let large = Large { shape: Shape::AccessList, family: Family::V4, rules: 20, seed: 1 };
    let firewall = firewalls::linked(&large.generate());
    let rules = matches_of(&firewall);
    let mut live = live(&firewall, rules.clone(), CompileLimits::default());
    let mut gone = Vec::new();
    for round in 0..200 {
        let rule = live.rules().nth(round % 20).expect("there are 20 rules").0;
        live.remove(rule).unwrap();
        gone.push(rule);
        live.insert(Place::Last, rules[round % 20].clone()).unwrap();
        if round % 50 == 0 {
            live.compile();
        }
        let known: Vec<RuleHandle> = live.rules().map(|(rule, _)| rule).collect();
        for rule in &gone {
            assert!(!known.contains(rule));
            assert_eq!(live.remove(*rule), Err(ChangeError::UnknownRule(*rule)));
        }
    }
    assert_eq!(live.len(), 20);
}
