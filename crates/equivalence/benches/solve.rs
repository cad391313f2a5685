//! What the exact comparison costs, by shape and size of the rule base and by what was done to it.
//!
//! ClassBench filter sets, with half of the rules denying at random, are measured where they lie
//! beside the checkout. What a comparison comes to is printed as it is built: a fast answer that
//! leaves things open would be no answer. Sizes above 1,000 are left out where nothing is measured.

#![expect(clippy::print_stderr, reason = "answers are a result that criterion has no place for")]
#![expect(clippy::expect_used, reason = "a rule base that cannot be written out stops the bench")]

use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use parefeu_equivalence::{
    Case, Family, Passage, Problem, ProtocolClass, SolveLimits, flatten, solve,
};
use parefeu_policy::{LinkedAction, LinkedFirewall};
use parefeu_testkit::classbench::{FilterSet, SETS};
use parefeu_testkit::firewalls::{self, Large, Rewriting, Shape};
use parefeu_testkit::{Random, firewalls::Family as Addresses};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

/// A rule base with what reports call it.
type Named = (String, Addresses, LinkedFirewall);

fn generated(shape: Shape, family: Addresses, rules: usize) -> Named {
    let firewall = firewalls::linked(&Large { shape, family, rules, seed: 0x5eed }.generate());
    (format!("{}-{}", shape.name(), family.name()), family, (*firewall).clone())
}

fn classbench(name: &str) -> Option<Named> {
    let Some(set) = FilterSet::open(Path::new(DATA), name, 1) else {
        eprintln!("{name}: skipped, no ClassBench data beside the checkout");
        return None;
    };
    let mut firewall = (*set.firewall).clone();
    let mut random = Random::new(7);
    for rule in &mut firewall.rules {
        if random.percent(50) {
            rule.action = LinkedAction::Deny;
        }
    }
    Some((name.to_owned(), Addresses::V4, firewall))
}

/// The rule base against itself rewritten and edited; fixed seeds.
fn problem(old: &LinkedFirewall, family: Addresses, rewrite: bool, edits: usize) -> Problem {
    let rewritten = rewrite.then(|| Rewriting::STRUCTURAL.apply(old, 1));
    let new = firewalls::edited(rewritten.as_ref().unwrap_or(old), edits, 1);
    let family = match family {
        Addresses::V4 => Family::V4,
        Addresses::V6 => Family::V6,
    };
    let (protocols, passage) = (ProtocolClass::WithPorts, Passage::default());
    let case = Case { family, protocols, old: passage, new: passage, within: Vec::new() };
    flatten(old, &new, &case).expect("plain rules")
}

fn compare(c: &mut Criterion) {
    let mut group = c.benchmark_group("equivalence/solve");
    group.sample_size(10);
    let measured = std::env::args().any(|argument| argument == "--bench");
    let most = if measured { 100_000 } else { 1_000 };
    let shapes = [Shape::AccessList, Shape::Perimeter, Shape::Chain];
    let own = [1_000, 10_000, 30_000, 100_000].into_iter().filter(|size| *size <= most);
    let own = own.flat_map(|rules| {
        let families = Addresses::ALL.into_iter();
        let every = families.flat_map(|family| shapes.map(|shape| (shape, family)));
        every.map(move |(shape, family)| generated(shape, family, rules))
    });
    let sets = SETS.iter().filter(|name| measured || name.ends_with("_1k"));
    for (name, family, old) in own.chain(sets.filter_map(|name| classbench(name))) {
        for (rewrite, edits) in [(false, 1), (false, 10), (false, 100), (true, 0), (true, 10)] {
            let problem = problem(&old, family, rewrite, edits);
            let done = if rewrite { "rewritten" } else { "edited" };
            let shape = format!("{name}/{done}-{edits}");
            let limits = SolveLimits::default();
            let found = solve(&problem, &limits);
            let (different, open) = (found.differences.len(), found.open.len());
            let rules = old.rules.len();
            eprintln!("{shape}/{rules}: {:?}, {different} boxes, {open} open", found.verdict);
            group.bench_function(BenchmarkId::new(shape, rules), |b| {
                b.iter(|| solve(&problem, &limits).work);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compare);
criterion_main!(benches);
