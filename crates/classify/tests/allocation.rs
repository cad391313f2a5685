//! Lookups allocate nothing: counted, on the thread that looks up.

use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy, FirstMatch};
use parefeu_policy::{Firewall, PacketKey, RuleBaseId};
use parefeu_testkit::allocation::{Counting, allocations_of};
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::keys::Known;
use parefeu_testkit::{Random, firewalls, keys};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often looking every packet up in every way allocates.
fn allocations(policy: &CompiledPolicy, packets: &[(PacketKey, Known)]) -> usize {
    let firewall = policy.firewall();
    let keys: Vec<PacketKey> = packets.iter().map(|(key, _)| *key).collect();
    let mut found = vec![FirstMatch::NONE; keys.len()];
    allocations_of(|| {
        for (key, known) in packets {
            for layer in 0..firewall.layers.len() {
                std::hint::black_box(policy.evaluate_layer(layer, key, &known.knowledge()));
            }
            std::hint::black_box((policy.destination_nat(key), policy.source_nat(key, key.dst)));
        }
        for rule_base in 0..firewall.rule_bases.len() as u32 {
            policy.first_match_batch(RuleBaseId(rule_base), &keys, &mut found);
        }
    })
}

#[track_caller]
fn check(firewall: &Firewall, packets: usize) {
    let firewall = firewalls::linked(firewall);
    let policy = CompiledPolicy::compile(Arc::clone(&firewall), &CompileLimits::default());
    let mut random = Random::new(0x5eed);
    let packets: Vec<_> = (0..packets)
        .map(|_| (keys::corner(&firewall, &mut random), Known::about(&firewall, &mut random)))
        .collect();
    assert_eq!(allocations(&policy, &packets), 0, "{}", firewall.name);
}

#[test]
fn the_counter_sees_allocations() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn lookups_in_large_rule_bases_allocate_nothing() {
    for shape in Shape::ALL {
        for family in [Family::V4, Family::V6] {
            check(&Large { shape, family, rules: 2000, seed: 1 }.generate(), 100);
        }
    }
}

#[test]
fn lookups_through_jumps_and_doubts_allocate_nothing() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        for strategy in [firewalls::small().boxed(), firewalls::doubtful().boxed()] {
            let tree = strategy.new_tree(&mut runner).expect("the strategies filter nothing out");
            check(&tree.current(), 20);
        }
    }
}
