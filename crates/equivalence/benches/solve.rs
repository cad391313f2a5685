//! What the exact comparison costs, by shape and size of the rule base and by what was done to it.
//!
//! What a comparison comes to is printed as it is built: a fast answer that leaves things open
//! would be no answer. Sizes above 1,000 are left out where nothing is measured. The bench `table`
//! measures the same problems once each, with memory and the steps besides `solve`.

#![expect(clippy::print_stderr, reason = "answers are a result that criterion has no place for")]

mod lists;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lists::{Base, Done, sizes};
use parefeu_equivalence::{SolveLimits, solve};

fn compare(c: &mut Criterion) {
    let mut group = c.benchmark_group("equivalence/solve");
    group.sample_size(10);
    for base in sizes().flat_map(Base::all) {
        let Some(old) = base.firewall() else { continue };
        for done in Done::ALL {
            let problem = base.problem(&old, &done.to(&old));
            let shape = format!("{}/{}", base.name(), done.name());
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
