//! What rule analysis costs, by shape and size of the rule base, and what it finds there.
//!
//! ClassBench filter sets are measured where they lie beside the checkout. What was found is
//! printed as each rule base is built: a fast answer that left things undecided would be no answer.

#![expect(clippy::print_stderr, reason = "findings are a result that criterion has no place for")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use parefeu_policy::analysis::{LintOptions, lint};
use parefeu_policy::{Firewall, LinkedFirewall};
use parefeu_testkit::classbench::{FilterSet, SETS};
use parefeu_testkit::firewalls::{self, Family, Large, Shape};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

fn generated(shape: Shape, family: Family, rules: usize) -> (String, usize, Arc<LinkedFirewall>) {
    let firewall = firewalls::linked(&Large { shape, family, rules, seed: 0x5eed }.generate());
    let family = if family == Family::V6 { "-ipv6" } else { "" };
    (format!("{}{family}", shape.name()), rules, firewall)
}

fn analysis(c: &mut Criterion) {
    let mut group = c.benchmark_group("policy/lint");
    group.sample_size(10);
    let v4 = Shape::ALL.map(|shape| (shape, Family::V4));
    let shapes: Vec<_> = v4.into_iter().chain([(Shape::AccessList, Family::V6)]).collect();
    let sizes = [1_000, 10_000];
    let own = sizes
        .iter()
        .flat_map(|rules| shapes.iter().map(|(shape, family)| generated(*shape, *family, *rules)));
    let sets = SETS.iter().filter(|name| !name.ends_with("100k")).filter_map(|name| {
        let set = FilterSet::open(Path::new(DATA), name, 1);
        if set.is_none() {
            eprintln!("{name}: skipped, no ClassBench data beside the checkout");
        }
        let firewall = set?.firewall;
        Some(((*name).to_owned(), firewall.rules.len(), firewall))
    });
    // Objects are no part of what is measured.
    let (written, options) = (Firewall::default(), LintOptions::default());
    for (shape, size, firewall) in own.chain(sets) {
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in lint(&written, &firewall, &options) {
            *kinds.entry(finding.kind.name()).or_default() += 1;
        }
        eprintln!("{shape} {size}: {kinds:?}");
        group.bench_function(BenchmarkId::new(shape, size), |b| {
            b.iter(|| lint(&written, &firewall, &options).len());
        });
    }
    group.finish();
}

criterion_group!(benches, analysis);
criterion_main!(benches);
