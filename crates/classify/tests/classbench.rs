//! The nine ClassBench filter sets: `first_match` against the rule a linear scan found.
//!
//! Traces have 100,000 headers; all are asked about.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use parefeu_classify::{
    BatchScratch, CompileLimits, CompiledPolicy, FirstMatch, HeadersV4, Instructions,
};
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
    let mut found = vec![FirstMatch::NONE; keys.len()];
    policy.first_match_batch(RuleBaseId(0), &keys, &mut found);
    for ((key, expected), found) in set.trace.iter().zip(found) {
        let found = found.rule();
        assert_eq!(found.map(|id| id.0), *expected, "{name}: {key:?}");
        assert_eq!(policy.first_match(RuleBaseId(0), key), found, "{name}: {key:?}");
    }
    let expected: Vec<Option<u32>> = set.trace.iter().map(|(_, expected)| *expected).collect();
    for instructions in Instructions::ALL {
        assert_eq!(by_headers(&policy, &keys, instructions), expected, "{name}");
    }
}

/// What the packets hit, given field by field.
fn by_headers(
    policy: &CompiledPolicy,
    keys: &[PacketKey],
    instructions: Instructions,
) -> Vec<Option<u32>> {
    let bits = |address| match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => 0,
    };
    let src: Vec<u32> = keys.iter().map(|key| bits(key.src)).collect();
    let dst: Vec<u32> = keys.iter().map(|key| bits(key.dst)).collect();
    let src_port: Vec<u16> = keys.iter().map(|key| key.src_port).collect();
    let dst_port: Vec<u16> = keys.iter().map(|key| key.dst_port).collect();
    let protocol: Vec<u8> = keys.iter().map(|key| key.protocol.0).collect();
    let headers = HeadersV4 {
        src: &src,
        dst: &dst,
        src_port: &src_port,
        dst_port: &dst_port,
        protocol: &protocol,
    };
    let mut found = vec![FirstMatch::NONE; keys.len()];
    let mut scratch = BatchScratch::with(instructions);
    policy.first_match_headers(RuleBaseId(0), &headers, &mut found, &mut scratch);
    found.into_iter().map(|found| found.rule().map(|id| id.0)).collect()
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
        check(name, 100_000);
    }
}

#[test]
fn filter_sets_of_a_hundred_thousand_rules_hit_the_rule_a_scan_finds() {
    for name in ["acl1_100k", "fw1_100k", "ipc1_100k"] {
        check(name, 100_000);
    }
}
