//! Lookups allocate nothing: counted, on the thread that looks up.
#![expect(unsafe_code, reason = "a counting allocator has to implement an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_policy::{Firewall, PacketKey, RuleBaseId};
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::keys::Known;
use parefeu_testkit::{Random, firewalls, keys};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// Passes everything on to the system and counts what this thread asks for.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no counter left, and nothing to measure either.
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call is handed to `System` unchanged, so its guarantees are System's; the counter
// is a thread-local without a destructor and allocates nothing itself.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises about `layout` are those `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: `block` came from `System` with this layout, as every block of this allocator.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` with this layout, as every block of this allocator.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often looking every packet up in every way allocates.
fn allocations(policy: &CompiledPolicy, packets: &[(PacketKey, Known)]) -> usize {
    let firewall = policy.firewall();
    let keys: Vec<PacketKey> = packets.iter().map(|(key, _)| *key).collect();
    let mut found = vec![None; keys.len()];
    let before = ALLOCATIONS.get();
    for (key, known) in packets {
        for layer in 0..firewall.layers.len() {
            std::hint::black_box(policy.evaluate_layer(layer, key, &known.knowledge()));
        }
        std::hint::black_box((policy.destination_nat(key), policy.source_nat(key)));
    }
    for rule_base in 0..firewall.rule_bases.len() as u32 {
        policy.first_match_batch(RuleBaseId(rule_base), &keys, &mut found);
    }
    ALLOCATIONS.get() - before
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
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get() - before, 1);
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
