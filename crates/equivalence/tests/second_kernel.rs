//! The comparison against a second one that shares nothing with it: binary decision diagrams over
//! the bits of the classes, built entry by entry from the lists as they are written.
#![expect(clippy::unwrap_used, reason = "a test stops when the diagrams outgrow their room")]

use std::hash::RandomState;

use oxidd::bdd::{BDDFunction, BDDManagerRef};
use oxidd::util::SatCountCache;
use oxidd::{BooleanFunction, Manager, ManagerRef};
use parefeu_equivalence::{
    Case, Comparison, Family, List, Outcome, Passage, Problem, ProtocolClass, Set, SolveLimits,
    Step, flatten, solve,
};
use parefeu_testkit::firewalls::{self, Large, Rewriting, Shape};

/// The space in bits: those of one dimension after the other, the highest first.
struct Diagrams {
    manager: BDDManagerRef,
    /// For each dimension its first bit and how many it has.
    bits: Vec<(u32, u32)>,
}

impl Diagrams {
    fn new(problem: &Problem) -> Self {
        let manager = oxidd::bdd::new_manager(1 << 22, 1 << 20, 1);
        let mut next = 0;
        let bits = problem.dimensions.iter().map(|dimension| {
            let count = u32::BITS - (dimension.classes() - 1).leading_zeros();
            next += count;
            (next - count, count)
        });
        let bits = bits.collect();
        manager.with_manager_exclusive(|manager| manager.add_vars(next));
        Self { manager, bits }
    }

    fn constant(&self, value: bool) -> BDDFunction {
        self.manager.with_manager_shared(|manager| {
            if value { BDDFunction::t(manager) } else { BDDFunction::f(manager) }
        })
    }

    /// The points whose class in a dimension is at most, or at least, this one.
    fn bound(&self, dimension: usize, class: u32, at_most: bool) -> BDDFunction {
        let (first, count) = self.bits[dimension];
        (0..count).fold(self.constant(true), |rest, place| {
            let bit = self.manager.with_manager_shared(|manager| {
                BDDFunction::var(manager, first + count - 1 - place).unwrap()
            });
            // From the lowest bit: equal so far, or already on the right side.
            match (class >> place & 1 == 1, at_most) {
                (true, true) => bit.not().unwrap().or(&rest).unwrap(),
                (false, true) => bit.not().unwrap().and(&rest).unwrap(),
                (true, false) => bit.and(&rest).unwrap(),
                (false, false) => bit.or(&rest).unwrap(),
            }
        })
    }

    fn range(&self, dimension: usize, (low, high): (u32, u32)) -> BDDFunction {
        self.bound(dimension, low, false).and(&self.bound(dimension, high, true)).unwrap()
    }

    fn area(&self, area: &[(u32, u32)]) -> BDDFunction {
        area.iter().enumerate().fold(self.constant(true), |all, (dimension, range)| {
            all.and(&self.range(dimension, *range)).unwrap()
        })
    }

    fn product(&self, sets: &[Set]) -> BDDFunction {
        sets.iter().enumerate().fold(self.constant(true), |all, (dimension, set)| {
            let ranges = set.iter().map(|range| self.range(dimension, *range));
            let set = ranges.fold(self.constant(false), |any, range| any.or(&range).unwrap());
            all.and(&set).unwrap()
        })
    }

    /// The points a list gives an outcome.
    fn given(&self, problem: &Problem, list: &List, outcome: &Outcome) -> BDDFunction {
        // What becomes of the points that come to each entry, from the last to the first.
        let mut from: Vec<BDDFunction> = vec![self.constant(false); list.entries.len() + 1];
        for (at, entry) in list.entries.iter().enumerate().rev() {
            let matches = entry.sets.iter().fold(self.constant(true), |all, (dimension, set)| {
                let ranges = problem.sets[set.0 as usize].iter();
                let set = ranges.fold(self.constant(false), |any, range| {
                    any.or(&self.range(dimension.0 as usize, *range)).unwrap()
                });
                all.and(&set).unwrap()
            });
            let then = match entry.step {
                Step::Decide(id) => self.constant(problem.outcomes[id.0 as usize] == *outcome),
                Step::Skip(to) => from[to as usize].clone(),
            };
            from[at] = matches.ite(&then, &from[at + 1]).unwrap();
        }
        from.swap_remove(0)
    }

    /// The points on which the lists differ.
    fn differing(&self, problem: &Problem) -> BDDFunction {
        let space: Vec<_> =
            problem.dimensions.iter().map(|dimension| (0, dimension.classes() - 1)).collect();
        let differ = problem.outcomes.iter().fold(self.constant(false), |differ, outcome| {
            let [old, new] =
                [&problem.old, &problem.new].map(|list| self.given(problem, list, outcome));
            differ.or(&old.xor(&new).unwrap()).unwrap()
        });
        differ.and(&self.area(&space)).unwrap()
    }

    fn count(&self, points: &BDDFunction) -> u128 {
        let bits = self.bits.iter().map(|bits| bits.1).sum();
        points.sat_count(bits, &mut SatCountCache::<u128, RandomState>::default())
    }
}

/// Compares both kernels' answers as sets. Returns how many points differ.
fn check(problem: &Problem) -> u128 {
    let diagrams = Diagrams::new(problem);
    let expected = diagrams.differing(problem);
    let count = diagrams.count(&expected);
    for normalise in [true, false] {
        let limits = SolveLimits { normalise, compare_refusals: true, ..SolveLimits::default() };
        let solution = solve(problem, &limits);
        assert!(solution.open.is_empty());
        assert_eq!(solution.verdict == Comparison::Equal, count == 0);
        let points = solution.differences.iter().map(|it| {
            let size = |&(low, high): &(u32, u32)| u128::from(high - low) + 1;
            it.sets.iter().map(|set| set.iter().map(size).sum::<u128>()).product::<u128>()
        });
        assert_eq!(points.sum::<u128>(), count, "boxes share no point, and hold as many");
        let found = solution
            .differences
            .iter()
            .fold(diagrams.constant(false), |all, it| all.or(&diagrams.product(&it.sets)).unwrap());
        assert!(found == expected, "both kernels find the same points");
    }
    count
}

#[test]
fn both_kernels_find_the_same_points() {
    let case = |family| Case {
        family,
        protocols: ProtocolClass::WithPorts,
        old: Passage::default(),
        new: Passage::default(),
        within: Vec::new(),
    };
    for (seed, shape) in (0..).zip(Shape::REALISTIC) {
        for (family, rules) in [(Family::V4, 300), (Family::V6, 100)] {
            let own = match family {
                Family::V4 => firewalls::Family::V4,
                Family::V6 => firewalls::Family::V6,
            };
            let large = Large { shape, family: own, rules, seed };
            let old = firewalls::linked(&large.generate());
            let rewritten = Rewriting::STRUCTURAL.apply(&old, seed);
            let problem = flatten(&old, &rewritten, &case(family)).unwrap();
            assert_eq!(check(&problem), 0, "{large:?} written differently");
            let edited = firewalls::edited(&rewritten, 5, seed);
            check(&flatten(&old, &edited, &case(family)).unwrap());
        }
    }
}

#[test]
fn both_kernels_find_the_same_points_of_three_thousand_rules() {
    let case = Case {
        family: Family::V4,
        protocols: ProtocolClass::WithPorts,
        old: Passage::default(),
        new: Passage::default(),
        within: Vec::new(),
    };
    let large =
        Large { shape: Shape::AccessList, family: firewalls::Family::V4, rules: 3_000, seed: 3 };
    let old = firewalls::linked(&large.generate());
    let new = firewalls::edited(&Rewriting::STRUCTURAL.apply(&old, 3), 10, 3);
    assert_ne!(check(&flatten(&old, &new, &case).unwrap()), 0);
}
