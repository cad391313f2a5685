//! Compiled lookup against the plain evaluation, on random firewalls.
//!
//! On failure proptest prints the smallest firewall it finds; the assertion prints the packet, what
//! was known of it, and both answers.

use std::sync::Arc;

use parefeu_classify::{
    CompileLimits, CompiledPolicy, FirstMatch, Instructions, NatLookup, Structure,
};
use parefeu_policy::{
    Evaluation, Firewall, LinkedFirewall, LinkedMatch, LinkedNatTable, PacketKey, RuleBaseId,
    RuleId, Source, Truth, native, reference,
};
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::keys::Known;
use parefeu_testkit::{Random, firewalls, keys};
use proptest::prelude::*;

/// Every structure lists are compiled to, whatever their size: pair tables, hashed tuples, and rows
/// so coarse that intervals share them. The last is what a user gets.
fn compiled(firewall: &Arc<LinkedFirewall>) -> [CompiledPolicy; 4] {
    let user = CompileLimits::default();
    let tables = CompileLimits { min_table_rules: 0, ..user };
    let tuples = CompileLimits { max_paired_rules: 0, ..tables };
    let coarse = CompileLimits { max_bytes_per_rule_base: 0, ..user };
    [tables, tuples, coarse, user]
        .map(|limits| CompiledPolicy::compile(Arc::clone(firewall), &limits))
}

/// Everything a compiled policy answers about one packet.
#[derive(Debug, PartialEq)]
struct Answers {
    layers: Vec<Option<Evaluation>>,
    destination_nat: NatLookup,
    source_nat: NatLookup,
    first: Vec<Option<RuleId>>,
}

fn answers(policy: &CompiledPolicy, key: &PacketKey, known: &Known) -> Answers {
    let firewall = policy.firewall();
    let rule_bases = (0..firewall.rule_bases.len() as u32).map(RuleBaseId);
    Answers {
        layers: (0..=firewall.layers.len())
            .map(|layer| policy.evaluate_layer(layer, key, &known.knowledge()))
            .collect(),
        destination_nat: policy.destination_nat(key),
        source_nat: policy.source_nat(key, key.dst),
        first: rule_bases.map(|id| policy.first_match(id, key)).collect(),
    }
}

/// The same by reading every rule. Translations are judged here, not by the pipeline of
/// [`reference::judge`], so that packets it would never show a table are covered too.
fn expected(firewall: &LinkedFirewall, key: &PacketKey, known: &Known) -> Answers {
    let layer = |layer| Some(reference::evaluate_layer(firewall, layer, key, &known.knowledge()));
    let rule_bases = (0..firewall.rule_bases.len() as u32).map(RuleBaseId);
    Answers {
        layers: firewall.layers.iter().map(layer).chain([None]).collect(),
        destination_nat: first_translation(firewall, &firewall.destination_nat, key),
        source_nat: first_translation(firewall, &firewall.source_nat, key),
        first: rule_bases.map(|id| first_match(firewall, id, key)).collect(),
    }
}

fn first_translation(
    firewall: &LinkedFirewall,
    table: &LinkedNatTable,
    key: &PacketKey,
) -> NatLookup {
    let truth = |matches: &LinkedMatch| matches.header_truth(key, &firewall.schedules);
    let live = table.rules.iter().enumerate().filter(|(_, rule)| !rule.disabled);
    let mut live = live.filter(|(_, rule)| rule.translation.applies_to(key.dst));
    let sure = live.clone().find(|(_, rule)| truth(&rule.matches) == Truth::Yes);
    let rule = sure.map(|(index, _)| index);
    let doubtful = live
        .find(|(index, it)| {
            rule.is_none_or(|rule| *index < rule) && truth(&it.matches) != Truth::No
        })
        .map(|(_, rule)| rule.at);
    NatLookup { rule, doubtful }
}

fn first_match(firewall: &LinkedFirewall, id: RuleBaseId, key: &PacketKey) -> Option<RuleId> {
    let sure = |matches: &LinkedMatch| matches.header_truth(key, &firewall.schedules);
    let rules = firewall.rules_of(id).iter().enumerate();
    let mut live = rules.filter(|(_, rule)| !rule.disabled);
    let (index, _) = live.find(|(_, rule)| sure(&rule.matches) == Truth::Yes)?;
    Some(RuleId(firewall.rule_bases[id.index()].first.0 + index as u32))
}

/// Asks about `packets` packets drawn from `seed`, one by one and side by side.
#[track_caller]
fn check(firewall: &Firewall, seed: u64, packets: usize) {
    let firewall = firewalls::linked(firewall);
    let policies = compiled(&firewall);
    let mut random = Random::new(seed);
    let keys: Vec<PacketKey> = (0..packets)
        .map(|_| {
            if random.percent(95) {
                keys::corner(&firewall, &mut random)
            } else {
                keys::uniform(&mut random)
            }
        })
        .collect();
    let mut first = Vec::new();
    for key in &keys {
        let known = Known::about(&firewall, &mut random);
        let expected = expected(&firewall, key, &known);
        for policy in &policies {
            let found = answers(policy, key, &known);
            assert_eq!(found, expected, "\npacket: {key:#?}\nknown: {known:#?}");
        }
        first.push(expected.first);
    }
    for rule_base in 0..firewall.rule_bases.len() {
        let expected: Vec<Option<RuleId>> = first.iter().map(|first| first[rule_base]).collect();
        check_batches(&policies, RuleBaseId(rule_base as u32), &keys, &expected);
    }
}

/// Asks about all packets at once with every set of instructions the processor has.
#[track_caller]
fn check_batches(
    policies: &[CompiledPolicy],
    rule_base: RuleBaseId,
    keys: &[PacketKey],
    expected: &[Option<RuleId>],
) {
    let expected: Vec<FirstMatch> = expected.iter().map(|rule| (*rule).into()).collect();
    let mut found = vec![Some(RuleId(u32::MAX - 1)).into(); keys.len()];
    for policy in policies {
        for instructions in Instructions::ALL {
            policy.first_match_batch_with(instructions, rule_base, keys, &mut found);
            assert_eq!(found, expected, "{} {keys:#?}", instructions.name());
        }
    }
}

/// `PROPTEST_CASES` asks for more than the thousand that take a few seconds.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(1000), failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn small_firewalls_answer_as_read_rule_by_rule(
        firewall in firewalls::small(),
        seed in any::<u64>(),
    ) {
        check(&firewall, seed, 64);
    }

    #[test]
    fn doubtful_paths_answer_as_read_rule_by_rule(
        firewall in firewalls::doubtful(),
        seed in any::<u64>(),
    ) {
        check(&firewall, seed, 16);
    }
}

/// `docs/semantics.md` S1.8: rule bases that lead to the next one twice and perhaps a third time,
/// and more rule bases on one way than are noted without allocation.
#[test]
fn shared_rule_bases_answer_as_read_rule_by_rule() {
    let rule_base = |name: &str, rules: &str| format!("[[rule_base]]\nname = \"{name}\"\n{rules}");
    let rule = |keys: String| format!("[[rule_base.rule]]\n{keys}\n");
    let lead = |action: &str, to: u32| rule(format!("action = \"{action}:r{to}\""));
    let doubtful = |action: &str| rule(format!("unknown = \"atom\"\naction = \"{action}\""));
    let deep = (0..60).map(|level| {
        let next = lead("jump", level + 1);
        let perhaps = doubtful(&format!("goto:r{}", level + 1));
        rule_base(&format!("r{level}"), &format!("{next}{perhaps}{next}"))
    });
    let deep = deep.collect::<String>() + &rule_base("r60", &doubtful("drop"));
    let ways: String = (1..=100).map(|way| lead("jump", way)).collect();
    let wide = (1..=100).map(|way| rule_base(&format!("r{way}"), &doubtful("jump:low")));
    let wide = rule_base("r0", &format!("{ways}{ways}")) + &wide.collect::<String>();
    let wide = wide + &rule_base("low", &doubtful("allow"));
    for rule_bases in [deep, wide] {
        let text = format!("[[layer]]\nrule_base = \"r0\"\n{rule_bases}");
        let (firewall, problems) = native::read(Source::new("shared", &text));
        check(&firewall.unwrap_or_else(|| panic!("{problems:?}")), 7, 20);
    }
}

/// Both families and each shape, with sizes around the width of a word.
#[test]
fn large_rule_bases_answer_as_read_rule_by_rule() {
    for shape in Shape::ALL {
        for family in [Family::V4, Family::V6] {
            for (rules, packets) in [(1, 20), (63, 200), (65, 200), (800, 200)] {
                let large = Large { shape, family, rules, seed: 0x5eed };
                check(&large.generate(), rules as u64, packets);
            }
        }
    }
}

/// More rules than a word of words has bits, in shapes that each end up in another structure.
#[test]
fn larger_rule_bases_answer_as_read_rule_by_rule() {
    for (shape, rules, structure) in [
        (Shape::Chain, 4097, Structure::Tables),
        (Shape::NestedPerimeter, 10_000, Structure::TablesWithoutSourcePorts),
        (Shape::ExactMatches, 10_000, Structure::TablesWithoutPorts),
        (Shape::AllOverlap, 4097, Structure::BitRows),
    ] {
        let large = Large { shape, family: Family::V4, rules, seed: 0x5eed }.generate();
        let linked = firewalls::linked(&large);
        let policy = CompiledPolicy::compile(linked, &CompileLimits::default());
        assert_eq!(policy.structure(RuleBaseId(0)), structure, "{}", shape.name());
        check(&large, rules as u64, 40);
    }
}
