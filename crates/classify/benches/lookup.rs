//! What a lookup and a compilation cost: `classify/OPERATION/SHAPE-FAMILY[-TRACE]/RULES`.
//!
//! *single* asks for headers one by one, *batch* for 256 at a time, *evaluate* for the decision of
//! a layer, *compile* builds. Lookups are timed over whole traces, so that neither cache nor branch
//! predictor knows the answer. Each lookup is compared with the first pass over its trace before
//! anything is timed, and with the rule expected where a filter set says it.
//!
//! Rule bases come from the generator, with ClassBench filter sets where they lie beside the
//! checkout. They are built when their bench is selected and dropped after it, so a filter pays for
//! what it names: `cargo bench -p parefeu-classify -- single/perimeter-ipv6`. Sizes reach a million
//! rules; run as a test, each bench runs once with the least of them.

#![expect(clippy::print_stderr, reason = "memory is a result that criterion has no place for")]

use std::cell::OnceCell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parefeu_classify::{CompileLimits, CompiledPolicy, FirstMatch};
use parefeu_policy::{Knowledge, LinkedFirewall, PacketKey, RuleBaseId, RuleId};
use parefeu_testkit::classbench::{FilterSet, SETS};
use parefeu_testkit::firewalls::{self, Family, Large, Shape};
use parefeu_testkit::traces::{Kind, Trace};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");
const SEED: u64 = 0x5eed;
const MAIN: RuleBaseId = RuleBaseId(0);
const BATCH: usize = 256;

/// Packets of a trace: more than the nearest caches hold.
const PACKETS: usize = 50_000;

/// A rule base and packets to look up in it.
struct Case {
    firewall: Arc<LinkedFirewall>,
    keys: Vec<PacketKey>,
    /// The first match of each packet, where somebody else found it.
    expected: Option<Vec<Option<RuleId>>>,
}

/// A case that is not built yet.
struct Recipe {
    name: String,
    size: usize,
    kind: Source,
}

enum Source {
    Generated(Large, Kind),
    FilterSet(&'static str),
}

impl Recipe {
    fn generated(shape: Shape, family: Family, kind: Kind, rules: usize) -> Self {
        let large = Large { shape, family, rules, seed: SEED };
        let name = format!("{}-{}-{}", shape.name(), family.name(), kind.name());
        Self { name, size: rules, kind: Source::Generated(large, kind) }
    }

    fn filter_set(name: &'static str) -> Self {
        let (shape, size) = name.split_once('_').unwrap_or((name, "0k"));
        let size = size.trim_end_matches('k').parse().unwrap_or(0) * 1_000;
        Self { name: format!("classbench-{shape}"), size, kind: Source::FilterSet(name) }
    }

    fn packets() -> usize {
        if runs_as_test() { 500 } else { PACKETS }
    }

    fn cook(&self) -> Case {
        match self.kind {
            Source::Generated(large, kind) => {
                let firewall = firewalls::linked(&large.generate());
                let family = large.family;
                let trace = Trace { kind, family, packets: Self::packets(), seed: SEED };
                Case { keys: trace.draw(&firewall), firewall, expected: None }
            }
            Source::FilterSet(name) => {
                let set = FilterSet::open(Path::new(DATA), name, Self::packets());
                let Some(set) = set else { unreachable!("{name} is listed because it is there") };
                let (keys, expected) =
                    set.trace.into_iter().map(|(key, rule)| (key, rule.map(RuleId))).unzip();
                Case { firewall: set.firewall, keys, expected: Some(expected) }
            }
        }
    }
}

/// Without `--bench`, which `cargo bench` adds, or with `--test`, nothing is timed.
fn runs_as_test() -> bool {
    let given = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    given("--test") || !given("--bench")
}

/// What is looked up: every realistic shape in both families at every size, other traces at two
/// sizes, worst cases, filter sets.
fn lookups() -> Vec<Recipe> {
    let mut recipes = Vec::new();
    let sizes = |all: &[usize]| if runs_as_test() { all[..1].to_vec() } else { all.to_vec() };
    for family in Family::ALL {
        for shape in Shape::REALISTIC {
            for rules in sizes(&[1_000, 10_000, 100_000, 1_000_000]) {
                recipes.push(Recipe::generated(shape, family, Kind::Uniform, rules));
            }
            for kind in [Kind::Zipf, Kind::NearMiss, Kind::Random] {
                for rules in sizes(&[1_000, 100_000]) {
                    recipes.push(Recipe::generated(shape, family, kind, rules));
                }
            }
        }
        for shape in Shape::WORST {
            // Of the last-rule shape any packet will do: none but the last rule holds it.
            let kind = if shape == Shape::LastRuleHits { Kind::Random } else { Kind::Uniform };
            for rules in sizes(&[1_000, 10_000, 100_000]) {
                recipes.push(Recipe::generated(shape, family, kind, rules));
            }
        }
    }
    recipes.extend(filter_sets());
    recipes
}

/// What is compiled: the sizes make a curve.
fn compilations() -> Vec<Recipe> {
    let sizes: &[usize] = if runs_as_test() {
        &[1_000]
    } else {
        &[1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    };
    let shapes = Family::ALL.into_iter().flat_map(|family| Shape::ALL.map(|it| (it, family)));
    let generated = shapes.flat_map(|(shape, family)| {
        sizes.iter().map(move |rules| Recipe::generated(shape, family, Kind::Uniform, *rules))
    });
    generated.chain(filter_sets()).collect()
}

/// The filter sets that are there.
fn filter_sets() -> Vec<Recipe> {
    let is_there = |name: &&str| {
        let file = |kind: &str| Path::new(DATA).join(format!("{name}.{kind}.gz"));
        file("rules").exists() && file("uniform.trace").exists()
    };
    let found: Vec<&str> = SETS.into_iter().filter(is_there).collect();
    if found.is_empty() {
        eprintln!("skipped: {DATA} holds no ClassBench sets");
    }
    let wanted = |name: &&str| !runs_as_test() || name.ends_with("_1k");
    found.into_iter().filter(wanted).map(Recipe::filter_set).collect()
}

fn compiled(firewall: &Arc<LinkedFirewall>) -> CompiledPolicy {
    CompiledPolicy::compile(Arc::clone(firewall), &CompileLimits::default())
}

/// A case compiled, with the answers of a first pass.
struct Prepared {
    policy: CompiledPolicy,
    keys: Vec<PacketKey>,
    found: Vec<Option<RuleId>>,
}

/// Whether a batch found what lookups one by one find.
fn same(batch: &[FirstMatch], found: &[Option<RuleId>]) -> bool {
    batch.iter().map(|found| found.rule()).eq(found.iter().copied())
}

impl Prepared {
    /// Panics when lookups find wrong rules: there is no use in timing them.
    fn new(recipe: &Recipe) -> Self {
        let Case { firewall, keys, expected } = recipe.cook();
        let policy = compiled(&firewall);
        let found: Vec<_> = keys.iter().map(|key| policy.first_match(MAIN, key)).collect();
        let mut batch = vec![FirstMatch::NONE; keys.len()];
        policy.first_match_batch(MAIN, &keys, &mut batch);
        let (name, size) = (&recipe.name, recipe.size);
        assert!(same(&batch, &found), "{name}/{size}: a batch finds other rules");
        assert!(expected.is_none_or(|it| it == found), "{name}/{size}: wrong rules are found");
        let hits = found.iter().flatten().count();
        let memory_kib = policy.memory_bytes() / 1024;
        eprintln!("{name}/{size}: {memory_kib} KiB, {hits} of {} packets hit", keys.len());
        Self { policy, keys, found }
    }
}

fn lookup(c: &mut Criterion) {
    for recipe in lookups() {
        let cell = OnceCell::new();
        let prepared = || cell.get_or_init(|| Prepared::new(&recipe));
        let id = |operation: &str| format!("classify/{operation}/{}", recipe.name);
        let throughput = Throughput::Elements(Recipe::packets() as u64);

        let mut group = c.benchmark_group(id("single"));
        group.throughput(throughput.clone()).sample_size(10);
        group.bench_function(recipe.size.to_string(), |b| {
            let Prepared { policy, keys, found } = prepared();
            let mut again = found.clone();
            b.iter(|| {
                for (key, slot) in black_box(keys).iter().zip(black_box(&mut again)) {
                    *slot = policy.first_match(MAIN, key);
                }
            });
            assert!(again == *found, "{}: answers changed", recipe.name);
        });
        group.finish();

        let mut group = c.benchmark_group(id("batch"));
        group.throughput(throughput.clone()).sample_size(10);
        group.bench_function(recipe.size.to_string(), |b| {
            let Prepared { policy, keys, found } = prepared();
            let mut again: Vec<FirstMatch> = found.iter().map(|rule| (*rule).into()).collect();
            b.iter(|| {
                let slots = black_box(&mut again).chunks_mut(BATCH);
                for (keys, slots) in black_box(keys).chunks(BATCH).zip(slots) {
                    policy.first_match_batch(MAIN, keys, slots);
                }
            });
            assert!(same(&again, found), "{}: answers changed", recipe.name);
        });
        group.finish();

        let mut group = c.benchmark_group(id("evaluate"));
        group.throughput(throughput).sample_size(10);
        group.bench_function(recipe.size.to_string(), |b| {
            let Prepared { policy, keys, .. } = prepared();
            let decide = |key| policy.evaluate_layer(0, black_box(key), &Knowledge::NOTHING);
            b.iter(|| keys.iter().filter_map(decide).count());
        });
        group.finish();
    }
}

fn compile(c: &mut Criterion) {
    for recipe in compilations() {
        let cell = OnceCell::new();
        let mut group = c.benchmark_group(format!("classify/compile/{}", recipe.name));
        group.throughput(Throughput::Elements(recipe.size as u64)).sample_size(10);
        group.bench_function(recipe.size.to_string(), |b| {
            let Case { firewall, .. } = cell.get_or_init(|| recipe.cook());
            let memory_kib = compiled(firewall).memory_bytes() / 1024;
            eprintln!("{}/{}: {memory_kib} KiB", recipe.name, recipe.size);
            b.iter_with_large_drop(|| compiled(black_box(firewall)));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = lookup, compile
}
criterion_main!(benches);
