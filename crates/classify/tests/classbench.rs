//! The nine ClassBench filter sets: `first_match` against the rule a linear scan found.
//!
//! Traces have 100,000 headers. All are asked about at 1,000 rules, every fifth at 10,000 and every
//! fiftieth at 100,000, to keep a run without full optimisation short.

use std::path::Path;
use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_policy::{PacketKey, RuleBaseId};
use parefeu_testkit::classbench::FilterSet;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

#[track_caller]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn check(name: &str, most_headers: usize) {
    let Some(set) = FilterSet::open(Path::new(DATA), name, most_headers) else {
        eprintln!("skipped: {DATA} has no filter set {name}");
        return;
    };
    assert!(set.trace.len() > most_headers / 2, "{name}: {} headers", set.trace.len());
    let policy = CompiledPolicy::compile(Arc::clone(&set.firewall), &CompileLimits::default());
    let keys: Vec<PacketKey> = set.trace.iter().map(|(key, _)| *key).collect();
    let mut found = vec![None; keys.len()];
    policy.first_match_batch(RuleBaseId(0), &keys, &mut found);
    for ((key, expected), found) in set.trace.iter().zip(found) {
        assert_eq!(found.map(|id| id.0), *expected, "{name}: {key:?}");
        assert_eq!(policy.first_match(RuleBaseId(0), key), found, "{name}: {key:?}");
    }
}

#[test]
fn filter_sets_of_a_thousand_rules_hit_the_rule_a_scan_finds() {
    for name in ["acl1_1k", "fw1_1k", "ipc1_1k"] {
        check(name, 100_000);
    }
}

#[test]
fn filter_sets_of_ten_thousand_rules_hit_the_rule_a_scan_finds() {
    for name in ["acl1_10k", "fw1_10k", "ipc1_10k"] {
        check(name, 20_000);
    }
}

#[test]
fn filter_sets_of_a_hundred_thousand_rules_hit_the_rule_a_scan_finds() {
    for name in ["acl1_100k", "fw1_100k", "ipc1_100k"] {
        check(name, 2_000);
    }
}
