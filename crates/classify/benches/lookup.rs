//! What a lookup and a compilation cost, by shape and size of the rule base.
//!
//! Lookups are timed over whole traces, so that neither cache nor branch predictor knows the
//! answer; times are per lookup. ClassBench filter sets are measured where they lie beside the
//! checkout. Each rule base's memory and the mean number of packets that hit a rule are printed as
//! it is built.

#![expect(clippy::print_stderr, reason = "memory is a result that criterion has no place for")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_policy::{Knowledge, LinkedFirewall, PacketKey, RuleBaseId};
use parefeu_testkit::classbench::{FilterSet, SETS};
use parefeu_testkit::firewalls;
use parefeu_testkit::firewalls::{Family, Large, Shape};
use parefeu_testkit::traces::{Kind, Trace};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");
const SIZES: [usize; 4] = [100, 1_000, 10_000, 100_000];
const MAIN: RuleBaseId = RuleBaseId(0);

/// A rule base with packets to look up in it.
struct Case {
    shape: String,
    size: String,
    firewall: Arc<LinkedFirewall>,
    trace: Vec<PacketKey>,
}

/// Every shape in IPv4 at every size, and one in IPv6; packets lie inside rules drawn uniformly.
fn generated() -> Vec<Case> {
    let v4 = Shape::ALL.map(|shape| (shape, Family::V4));
    let shapes = v4.into_iter().chain([(Shape::AccessList, Family::V6)]);
    shapes.flat_map(|(shape, family)| SIZES.map(|rules| case(shape, family, rules))).collect()
}

fn case(shape: Shape, family: Family, rules: usize) -> Case {
    let firewall = firewalls::linked(&Large { shape, family, rules, seed: 0x5eed }.generate());
    // Of the last-rule shape any packet will do: none but the last rule holds it.
    let kind = if shape == Shape::LastRuleHits { Kind::Random } else { Kind::Uniform };
    let trace = Trace { kind, family, packets: 4096, seed: 0x5eed }.draw(&firewall);
    let family = if family == Family::V6 { "-ipv6" } else { "" };
    Case { shape: format!("{}{family}", shape.name()), size: rules.to_string(), trace, firewall }
}

/// The ClassBench sets with the headers of their own traces.
fn filter_sets() -> Vec<Case> {
    let open = |name: &str| {
        let set = FilterSet::open(Path::new(DATA), name, 4096)?;
        let (shape, size) = name.split_once('_').unwrap_or((name, ""));
        let trace = set.trace.iter().map(|(key, _)| *key).collect();
        Some(Case {
            shape: format!("classbench-{shape}"),
            size: size.to_owned(),
            firewall: set.firewall,
            trace,
        })
    };
    let cases: Vec<Case> = SETS.iter().filter_map(|name| open(name)).collect();
    if cases.is_empty() {
        eprintln!("skipped: {DATA} holds no ClassBench sets");
    }
    cases
}

fn compiled(firewall: &Arc<LinkedFirewall>) -> CompiledPolicy {
    CompiledPolicy::compile(Arc::clone(firewall), &CompileLimits::default())
}

fn lookup(c: &mut Criterion) {
    for Case { shape, size, firewall, trace } in generated().into_iter().chain(filter_sets()) {
        let policy = compiled(&firewall);
        let hits = trace.iter().filter(|key| policy.first_match(MAIN, key).is_some()).count();
        let memory_kib = policy.memory_bytes() / 1024;
        eprintln!("{shape}/{size}: {memory_kib} KiB, {hits} of {} packets hit", trace.len());

        let mut group = c.benchmark_group(format!("policy/lookup/{shape}"));
        group.throughput(Throughput::Elements(trace.len() as u64)).sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(&size), |b| {
            let first = |key| policy.first_match(MAIN, black_box(key));
            b.iter(|| trace.iter().filter_map(first).count());
        });
        let mut found = vec![None; trace.len()];
        group.bench_function(BenchmarkId::new("batch", &size), |b| {
            b.iter(|| policy.first_match_batch(MAIN, black_box(&trace), &mut found));
        });
        group.finish();

        let mut group = c.benchmark_group(format!("policy/evaluate/{shape}"));
        group.throughput(Throughput::Elements(trace.len() as u64)).sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(&size), |b| {
            let decide = |key| policy.evaluate_layer(0, black_box(key), &Knowledge::NOTHING);
            b.iter(|| trace.iter().filter_map(decide).count());
        });
        group.finish();
    }
}

fn compile(c: &mut Criterion) {
    for Case { shape, size, firewall, .. } in generated().into_iter().chain(filter_sets()) {
        let mut group = c.benchmark_group(format!("policy/compile/{shape}"));
        group.throughput(Throughput::Elements(firewall.rules.len() as u64)).sample_size(10);
        group.bench_function(BenchmarkId::from_parameter(&size), |b| {
            b.iter_batched(|| Arc::clone(&firewall), |it| compiled(&it), BatchSize::PerIteration);
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = lookup, compile
}
criterion_main!(benches);
