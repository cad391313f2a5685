//! The comparison against every point of small spaces, evaluated one by one.
#![expect(clippy::unwrap_used, reason = "a difference that names no rule has failed")]

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

use parefeu_equivalence::{
    Area, Comparison, Decided, DifferenceBox, Dimension, DimensionId, Entry, Field, Function, List,
    OpenReason, Origin, Outcome, OutcomeId, Part, Problem, Proof, Set, SetId, Solution,
    SolveLimits, Step, Stop, Translate, solve,
};
use parefeu_policy::RuleId;
use parefeu_testkit::Random;
use proptest::prelude::*;

/// An entry as it is drawn: for each dimension the classes it matches, as bits (0 for any), and
/// an outcome, or how many entries to skip.
#[derive(Clone, Debug, PartialEq)]
struct Raw {
    masks: Vec<u8>,
    step: Result<usize, u32>,
}

fn ranges(mask: u8) -> Set {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for class in (0..8).filter(|class| mask >> class & 1 == 1) {
        match ranges.last_mut() {
            Some(last) if last.1 + 1 == class => last.1 = class,
            _ => ranges.push((class, class)),
        }
    }
    ranges.into()
}

/// A problem from the widths of the classes of each dimension and two lists without the default.
fn problem(widths: &[Vec<u128>], old: &[Raw], new: &[Raw], defaults: [usize; 2]) -> Problem {
    let fields = [Field::Src, Field::DstPort, Field::Dst, Field::Protocol, Field::Time];
    let dimensions: Vec<Dimension> = fields
        .into_iter()
        .zip(widths)
        .map(|(field, widths)| {
            let starts = widths.iter().scan(0, |at, width| {
                *at += width;
                Some(*at - width)
            });
            Dimension { field, starts: starts.collect(), last: widths.iter().sum::<u128>() - 1 }
        })
        .collect();
    let mut sets: Vec<Set> = Vec::new();
    let mut known = HashMap::new();
    let mut list = |raw: &[Raw], default| {
        let length = raw.len() as u32 + 1;
        let mut entries = Vec::new();
        let last = Raw { masks: vec![0; dimensions.len()], step: Ok(default) };
        for (at, raw) in (0..).zip(raw.iter().chain([&last])) {
            let mut entry_sets = Vec::new();
            for (id, (mask, dimension)) in (0..).zip(raw.masks.iter().zip(&dimensions)) {
                let every = ((1_u16 << dimension.classes()) - 1) as u8;
                if mask & every != 0 {
                    let set = *known.entry(mask & every).or_insert_with_key(|mask| {
                        sets.push(ranges(*mask));
                        SetId(sets.len() as u32 - 1)
                    });
                    entry_sets.push((DimensionId(id), set));
                }
            }
            let step = match raw.step {
                Ok(outcome) => Step::Decide(OutcomeId(outcome as u32)),
                Err(by) => Step::Skip((at + 1 + by).min(length - 1)),
            };
            let origin = Origin { rule: Some(RuleId(at)), ..Origin::default() };
            entries.push(Entry { sets: entry_sets.into(), step, origin });
        }
        List { entries }
    };
    let (old, new) = (list(old, defaults[0]), list(new, defaults[1]));
    Problem { dimensions, sets, outcomes: outcomes(), old, new, ..Problem::default() }
}

/// Outcomes some of which are one function, or one on some values.
fn outcomes() -> Vec<Outcome> {
    let allow = Translate::default;
    let src = |src| Outcome::Allow(Translate { src, ..allow() });
    let dst = |dst| Outcome::Allow(Translate { dst, ..allow() });
    vec![
        Outcome::Deny("drop".into()),
        Outcome::Allow(allow()),
        Outcome::Deny("reset".into()),
        Outcome::Outside,
        src(Function::Shift(0)),
        src(Function::Constant(1)),
        src(Function::Shift(1)),
        src(Function::Shift(u128::MAX)),
        dst(Function::Constant(2)),
        dst(Function::Shift(2)),
        src(Function::Chosen("pool".into())),
        Outcome::Allow(Translate {
            src: Function::Constant(2),
            dst: Function::Constant(3),
            dst_port: Function::Shift(1),
            ..allow()
        }),
        Outcome::Allow(Translate {
            src: Function::Shift(1),
            dst: Function::Shift(1),
            dst_port: Function::Constant(2),
            ..allow()
        }),
        Outcome::Allow(Translate { src_port: Function::Constant(9), ..allow() }),
    ]
}

fn points(problem: &Problem) -> Vec<Vec<u32>> {
    problem.dimensions.iter().fold(vec![vec![]], |points, dimension| {
        let longer = |point: &Vec<u32>| {
            let point = point.clone();
            (0..dimension.classes()).map(move |class| [point.clone(), vec![class]].concat())
        };
        points.iter().flat_map(longer).collect()
    })
}

fn matches(problem: &Problem, entry: &Entry, point: &[u32]) -> bool {
    entry.sets.iter().all(|(dimension, set)| {
        let class = point[dimension.0 as usize];
        problem.sets[set.0 as usize].iter().any(|range| range.0 <= class && class <= range.1)
    })
}

fn evaluate<'a>(problem: &'a Problem, list: &List, point: &[u32]) -> &'a Outcome {
    let mut at = 0;
    loop {
        let entry = &list.entries[at];
        at += 1;
        if matches(problem, entry, point) {
            match entry.step {
                Step::Decide(outcome) => return &problem.outcomes[outcome.0 as usize],
                Step::Skip(to) => at = to as usize,
            }
        }
    }
}

/// What a packet with these values becomes, as text.
fn becomes(outcome: &Outcome, values: [u128; 4], refusals: bool) -> String {
    match outcome {
        Outcome::Outside => "outside".into(),
        Outcome::Deny(how) => format!("deny {}", if refusals { how } else { "" }),
        Outcome::Allow(to) => [&to.src, &to.src_port, &to.dst, &to.dst_port]
            .into_iter()
            .zip(values)
            .map(|(function, value)| match function {
                Function::Keep => format!("{value} "),
                Function::Constant(to) => format!("{to} "),
                Function::Shift(by) => format!("{} ", value.wrapping_add(*by)),
                Function::Chosen(text) => format!("{text} "),
            })
            .collect(),
    }
}

/// Whether the outcomes are one on (some, all) packets of a point.
fn agree(
    problem: &Problem,
    one: &Outcome,
    other: &Outcome,
    point: &[u32],
    r: bool,
) -> (bool, bool) {
    let values = |field: Field| -> Vec<u128> {
        match problem.dimensions.iter().position(|dimension| dimension.field == field) {
            Some(at) => {
                let (from, to) = problem.dimensions[at].values(point[at]);
                (from..=to).collect()
            }
            // One value some outcome makes constant, and one that none does.
            None => vec![8, 9],
        }
    };
    let (mut some, mut all) = (false, true);
    for src in values(Field::Src) {
        for src_port in values(Field::SrcPort) {
            for dst in values(Field::Dst) {
                for dst_port in values(Field::DstPort) {
                    let packet = [src, src_port, dst, dst_port];
                    let same = becomes(one, packet, r) == becomes(other, packet, r);
                    some |= same;
                    all &= same;
                }
            }
        }
    }
    (some, all)
}

fn holds(area: &Area, point: &[u32]) -> bool {
    area.len() == point.len()
        && area.iter().zip(point).all(|(range, class)| range.0 <= *class && *class <= range.1)
}

fn contains(sets: &[Set], point: &[u32]) -> bool {
    let holds = |set: &Set, class: u32| set.iter().any(|it| it.0 <= class && class <= it.1);
    sets.len() == point.len() && sets.iter().zip(point).all(|(set, class)| holds(set, *class))
}

/// A difference that is a box: for each dimension one range.
#[track_caller]
fn area(found: &DifferenceBox) -> Vec<(u32, u32)> {
    let only = |set: &Set| {
        assert_eq!(set.len(), 1, "{set:?} has gaps");
        set[0]
    };
    found.sets.iter().map(only).collect()
}

fn check_named(problem: &Problem, list: &List, named: &Decided, point: &[u32], refusals: bool) {
    let RuleId(rule) = named.origin.rule.unwrap();
    let entry = &list.entries[rule as usize];
    assert!(matches(problem, entry, point), "the entry named holds the whole box");
    assert_eq!(entry.step, Step::Decide(named.outcome));
    let outcome = &problem.outcomes[named.outcome.0 as usize];
    let decided = evaluate(problem, list, point);
    assert!(agree(problem, outcome, decided, point, refusals).1, "not the outcome of {point:?}");
}

/// The leaves of a proof with their boxes.
fn leaves(proof: &Proof, area: &Area, part: Part) -> Vec<(Area, Part)> {
    let Part::Cut(index) = part else { return vec![(area.clone(), part)] };
    let cut = proof.cuts[index as usize];
    let at = cut.dimension.0 as usize;
    let (low, high) = area[at];
    assert!((low..high).contains(&cut.class), "a cut leaves points on either side");
    let (mut lower, mut upper) = (area.clone(), area.clone());
    (lower[at], upper[at]) = ((low, cut.class), (cut.class + 1, high));
    [leaves(proof, &lower, cut.lower), leaves(proof, &upper, cut.upper)].concat()
}

/// Holds the proof against the boxes of the solution, and what it calls the same against points.
fn check_proof(problem: &Problem, solution: &Solution, refusals: bool) {
    let proof = solution.proof.as_ref().unwrap();
    let space = problem.dimensions.iter().map(|dimension| (0, dimension.classes() - 1)).collect();
    let (mut different, mut open) = (vec![], vec![]);
    let leaves = leaves(proof, &space, proof.whole);
    assert_eq!(leaves.len(), proof.cuts.len() + 1, "every cut is reached once");
    for (area, part) in leaves {
        match part {
            Part::Different(index) => different.push((index, area)),
            Part::Open(index) => open.push((index, area)),
            _ => {
                for point in points(problem).iter().filter(|point| holds(&area, point)) {
                    let old = evaluate(problem, &problem.old, point);
                    let new = evaluate(problem, &problem.new, point);
                    assert!(agree(problem, old, new, point, refusals).1, "{point:?}");
                }
            }
        }
    }
    for list in [&mut different, &mut open] {
        list.sort_unstable();
    }
    let numbered =
        |areas: Vec<&Area>| -> Vec<(u32, Area)> { (0..).zip(areas.into_iter().cloned()).collect() };
    assert_eq!(different, numbered(proof.differences.iter().map(|found| &found.0).collect()));
    assert_eq!(open, numbered(proof.open.iter().map(|open| &open.0).collect()));
    for (area, [old, new]) in &proof.differences {
        for point in points(problem).iter().filter(|point| holds(area, point)) {
            let [one, other] =
                [&problem.old, &problem.new].map(|list| evaluate(problem, list, point));
            assert!(!agree(problem, one, other, point, refusals).0, "{point:?}");
            check_named(problem, &problem.old, old, point, refusals);
            check_named(problem, &problem.new, new, point, refusals);
        }
    }
}

/// Holds solutions against every point, and their proofs against them; with the lists as they are
/// written, and brought together first, which is the one returned.
fn check(problem: &Problem, limits: &SolveLimits) -> Solution {
    check_as_asked(problem, &SolveLimits { normalise: false, ..*limits });
    check_as_asked(problem, limits)
}

fn check_as_asked(problem: &Problem, limits: &SolveLimits) -> Solution {
    let mut solution = solve(problem, &SolveLimits { record: true, ..*limits });
    check_proof(problem, &solution, limits.compare_refusals);
    solution.proof = None;
    assert_eq!(solution, solve(problem, limits), "a proof changes nothing");
    let refusals = limits.compare_refusals;
    for point in points(problem) {
        let old = evaluate(problem, &problem.old, &point);
        let new = evaluate(problem, &problem.new, &point);
        let (some, all) = agree(problem, old, new, &point, refusals);
        let found: Vec<_> =
            solution.differences.iter().filter(|found| contains(&found.sets, &point)).collect();
        let open: Vec<_> = solution.open.iter().filter(|open| holds(&open.area, &point)).collect();
        assert!(found.len() + open.len() <= 1, "{point:?} is in two boxes");
        assert!(all || found.len() + open.len() == 1, "{point:?} was missed");
        for found in found {
            assert!(!some, "{point:?} is no difference");
            check_named(problem, &problem.old, &found.old, &point, refusals);
            check_named(problem, &problem.new, &found.new, &point, refusals);
        }
        for open in open {
            let partly = open.reason == OpenReason::WithinClass;
            assert_eq!(partly, partly && some && !all, "{point:?} needs no finer class");
        }
    }
    let expected = match (solution.differences.len(), solution.open.len()) {
        (0, 0) => Comparison::Equal,
        (0, _) => Comparison::Undecided,
        _ => Comparison::Different,
    };
    assert_eq!(solution.verdict, expected);
    solution
}

fn check_complete(problem: &Problem, refusals: bool) -> Solution {
    let limits = SolveLimits { compare_refusals: refusals, ..SolveLimits::default() };
    let solution = check(problem, &limits);
    assert!(solution.open.iter().all(|open| open.reason == OpenReason::WithinClass));
    solution
}

fn widths(width: impl Strategy<Value = u128> + Clone) -> impl Strategy<Value = Vec<Vec<u128>>> {
    let few = prop::collection::vec(width.clone(), 2..=3);
    let many = prop::collection::vec(width, 4..=6);
    prop::collection::vec(prop_oneof![4 => few, 1 => many], 3..=5)
}

fn raw(skips: u32) -> impl Strategy<Value = Raw> {
    let mask = prop_oneof![2 => Just(0_u8), 3 => any::<u8>()];
    let step = prop_oneof![
        8 => prop_oneof![Just(0), Just(1), 0..outcomes().len()].prop_map(Ok),
        skips => (0..5_u32).prop_map(Err),
    ];
    (prop::collection::vec(mask, 5), step).prop_map(|(masks, step)| Raw { masks, step })
}

fn list(skips: u32) -> impl Strategy<Value = Vec<Raw>> {
    prop::collection::vec(raw(skips), 0..=11)
}

/// A copy with some entries left out, added, changed or exchanged.
fn edited(skips: u32) -> impl Strategy<Value = (Vec<Raw>, Vec<Raw>)> {
    let edits = prop::collection::vec((0..5_u8, 0..12_usize, raw(skips)), 0..=3);
    (list(skips), edits).prop_map(|(old, edits)| {
        let mut new = old.clone();
        for (kind, at, raw) in edits {
            let at = at.min(new.len());
            match kind {
                0 => new.insert(at, raw),
                1 if at < new.len() => drop(new.remove(at)),
                2 if at < new.len() => new[at].step = raw.step,
                3 if at < new.len() => new[at].masks[0] = raw.masks[0],
                _ if at + 1 < new.len() => new.swap(at, at + 1),
                _ => {}
            }
        }
        (old, new)
    })
}

/// A list being written differently, each entry with the number of the one it comes from.
struct Rewrite<'a> {
    widths: &'a [Vec<u128>],
    old: &'a [Raw],
    new: Vec<(usize, Raw)>,
}

impl Rewrite<'_> {
    /// The classes an entry matches in a dimension.
    fn mask(&self, raw: &Raw, dimension: usize) -> u8 {
        let every = ((1_u16 << self.widths[dimension].len()) - 1) as u8;
        if raw.masks[dimension] & every == 0 { every } else { raw.masks[dimension] & every }
    }

    /// Writes an entry as two.
    fn split(&mut self, at: usize, dimension: usize, bits: u8) {
        let (from, mut other) = self.new[at].clone();
        let mask = self.mask(&other, dimension);
        if other.step.is_ok() && mask & bits != 0 && mask & !bits != 0 {
            self.new[at].1.masks[dimension] = mask & bits;
            other.masks[dimension] = mask & !bits;
            self.new.insert(at + 1, (from, other));
        }
    }

    /// Adds an entry that is never reached.
    fn shadow(&mut self, at: usize, dimension: usize, bits: u8, outcome: usize) {
        let (from, mut raw) = self.new[at].clone();
        let mask = self.mask(&raw, dimension);
        raw.masks[dimension] = if mask & bits == 0 { mask } else { mask & bits };
        if raw.step.is_ok() {
            raw.step = Ok(outcome);
            self.new.insert(at + 1, (from, raw));
        }
    }

    /// Exchanges neighbours where that changes nothing.
    fn exchange(&mut self, at: usize) {
        let Some([(one, a), (other, b)]) = self.new.get(at..at + 2) else { return };
        let target = |(from, raw): (usize, &Raw)| Some(from + 1 + raw.step.err()? as usize);
        let between = |to: usize| *one < to && to <= *other;
        let led_to = self.old.iter().enumerate().filter_map(target).any(between);
        let mut dimensions = 0..self.widths.len();
        let apart = dimensions.any(|at| self.mask(a, at) & self.mask(b, at) == 0);
        if a.step.is_ok() && b.step.is_ok() && !led_to && (apart || a.step == b.step) {
            // The number says which skips lead before an entry: it stays with the place.
            let (one, other) = (*one, *other);
            self.new.swap(at, at + 1);
            (self.new[at].0, self.new[at + 1].0) = (one, other);
        }
    }

    /// The list, whose skips lead where they did.
    fn finish(self) -> Vec<Raw> {
        let starts: Vec<usize> = self.new.iter().map(|(from, _)| *from).collect();
        let mut new: Vec<Raw> = self.new.into_iter().map(|(_, raw)| raw).collect();
        for (at, raw) in new.iter_mut().enumerate() {
            if let Err(by) = &mut raw.step {
                let to = starts[at] + 1 + *by as usize;
                *by = (starts.partition_point(|start| *start < to) - at - 1) as u32;
            }
        }
        new
    }
}

/// A list and the same written differently, at most one entry of it with another outcome.
fn rewritten(skips: u32) -> impl Strategy<Value = (Vec<Vec<u128>>, Vec<Raw>, Vec<Raw>)> {
    let changes = prop::collection::vec((0..6_u8, 0..30_usize, 0..4_usize, any::<u8>()), 0..60);
    let edit = prop::option::of((0..11_usize, 0..4_usize));
    let widths = prop::collection::vec(prop_oneof![Just(vec![1; 3]), Just(vec![1; 6])], 3..=4);
    (widths, list(skips), changes, edit).prop_map(|(widths, old, changes, edit)| {
        let new = old.iter().cloned().enumerate().collect();
        let mut rewrite = Rewrite { widths: &widths, old: &old, new };
        for (kind, at, dimension, bits) in changes {
            match (kind, dimension % widths.len()) {
                (0, dimension) if at < rewrite.new.len() => rewrite.split(at, dimension, bits),
                (1, dimension) if at < rewrite.new.len() && at % 4 == 0 => {
                    rewrite.shadow(at, dimension, bits, usize::from(bits) % 4);
                }
                _ => rewrite.exchange(at),
            }
        }
        let mut new = rewrite.finish();
        if let Some((at, outcome)) = edit
            && at < new.len()
            && new[at].step.is_ok()
        {
            new[at].step = Ok(outcome);
        }
        (widths, old, new)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_lists_of_their_own(
        widths in widths(Just(1)), old in list(2), new in list(2),
        defaults in [0..4_usize, 0..4], refusals: bool,
    ) {
        let problem = problem(&widths, &old, &new, defaults);
        check_complete(&problem, refusals);
    }

    #[test]
    fn an_edited_copy(widths in widths(Just(1)), lists in edited(2), refusals: bool) {
        let problem = problem(&widths, &lists.0, &lists.1, [0, 0]);
        check_complete(&problem, refusals);
    }

    #[test]
    fn an_edited_copy_with_many_skips(widths in widths(Just(1)), lists in edited(8)) {
        let problem = problem(&widths, &lists.0, &lists.1, [0, 0]);
        check_complete(&problem, false);
    }

    #[test]
    fn classes_of_several_values(widths in widths(1..=2_u128), lists in edited(1)) {
        let problem = problem(&widths, &lists.0, &lists.1, [0, 1]);
        check_complete(&problem, false);
    }

    #[test]
    fn a_small_budget_leaves_the_rest_open(
        widths in widths(Just(1)), lists in edited(2), work in 0..120_u64, boxes in 0..6_usize,
    ) {
        let problem = problem(&widths, &lists.0, &lists.1, [0, 1]);
        check(&problem, &SolveLimits { work, ..SolveLimits::default() });
        check(&problem, &SolveLimits { boxes, ..SolveLimits::default() });
    }

    #[test]
    fn a_list_written_differently(lists in rewritten(0), refusals: bool) {
        let (widths, old, new) = lists;
        check_complete(&problem(&widths, &old, &new, [0, 0]), refusals);
    }

    #[test]
    fn a_list_written_differently_between_skips(lists in rewritten(3)) {
        let (widths, old, new) = lists;
        check_complete(&problem(&widths, &old, &new, [0, 0]), false);
    }

    #[test]
    fn entries_exchanged_where_that_changes_nothing(
        widths in widths(Just(1)), old in list(0),
        swaps in prop::collection::vec(0..11_usize, 0..30),
    ) {
        let mut new = old.clone();
        for at in swaps.into_iter().filter(|at| at + 1 < old.len()) {
            let every = |dimension: usize| ((1_u16 << widths[dimension].len()) - 1) as u8;
            let any = |mask: u8, every: u8| if mask & every == 0 { every } else { mask & every };
            let apart = (0..widths.len()).any(|dimension| {
                let every = every(dimension);
                let [one, other] = [at, at + 1].map(|at| any(new[at].masks[dimension], every));
                one & other == 0
            });
            if apart || new[at].step == new[at + 1].step {
                new.swap(at, at + 1);
            }
        }
        let solution = check_complete(&problem(&widths, &old, &new, [0, 0]), true);
        prop_assert_eq!(solution.verdict, Comparison::Equal);
    }
}

/// An entry of an example.
type Line = ([u8; 3], Result<usize, u32>);

/// Three dimensions of six values, with some given entries of either side over a denial.
fn example(old: &[Line], new: &[Line]) -> Problem {
    let raw = |entries: &[Line]| -> Vec<Raw> {
        entries.iter().map(|(masks, step)| Raw { masks: masks.to_vec(), step: *step }).collect()
    };
    problem(&vec![vec![1; 6]; 3], &raw(old), &raw(new), [0, 0])
}

const DENY: Result<usize, u32> = Ok(0);
const ALLOW: Result<usize, u32> = Ok(1);

#[test]
fn one_entry_more_is_one_box_less_what_is_above_it() {
    let old: [Line; 1] = [([0b11, 0, 0], ALLOW)];
    let problem = example(&old, &[old[0], ([0b110, 0b1000, 0], ALLOW)]);
    let solution = check_complete(&problem, false);
    assert_eq!(solution.differences.len(), 1);
    assert_eq!(area(&solution.differences[0]), [(2, 2), (3, 3), (0, 5)]);
    assert_eq!(solution.differences[0].new.origin.rule, Some(RuleId(1)));
}

#[test]
fn the_same_list_costs_one_look() {
    let list: [Line; 3] = [([0b11, 0, 0], ALLOW), ([0, 0b1010, 0], Err(1)), ([0, 0, 1], Ok(3))];
    let solution = check_complete(&example(&list, &list), true);
    assert_eq!((solution.verdict, solution.work), (Comparison::Equal, 4));
}

/// Whether the lists are found equal without a look at any part of the space.
#[track_caller]
fn check_brought_together(old: &[Line], new: &[Line]) {
    let limits = SolveLimits { record: true, ..SolveLimits::default() };
    for (old, new) in [(old, new), (new, old)] {
        let problem = example(old, new);
        check_complete(&problem, true);
        let proof = solve(&problem, &limits).proof.unwrap();
        assert_eq!((proof.whole, proof.cuts), (Part::Same, vec![]));
    }
}

#[test]
fn a_hard_part_leaves_the_others_enough() {
    // In one half of the first dimension nothing is alike; in the other half lies one difference.
    for (hard, easy) in [(0b1111, 7), (0b1111_0000, 0)] {
        let mut random = Random::new(5);
        let mut list = || -> Vec<Raw> {
            let mask = |random: &mut Random| 1 + random.below(255) as u8;
            (0..60)
                .map(|_| {
                    let masks = [hard, mask(&mut random), mask(&mut random), mask(&mut random), 0];
                    Raw { masks: masks.into(), step: Ok(random.below(2)) }
                })
                .collect()
        };
        let (old, mut new) = (list(), list());
        new.push(Raw { masks: vec![1 << easy, 2, 2, 2, 2], step: ALLOW });
        let problem = problem(&vec![vec![1; 8]; 5], &old, &new, [0, 0]);
        let all = solve(&problem, &SolveLimits::default());
        for part in [4, 8, 16] {
            let work = all.work / part;
            let solution = solve(&problem, &SolveLimits { work, ..SolveLimits::default() });
            let found = solution.differences.iter().any(|it| *it.sets[0] == [(easy, easy)]);
            assert!(found, "one in {part} of the work finds none of the easy part");
            assert!(solution.open.iter().all(|open| open.reason == OpenReason::Work));
            assert!(!solution.open.is_empty() && solution.work < all.work / 2);
        }
    }
}

#[test]
fn what_was_split_is_joined() {
    let whole: Line = ([0b11_1100, 0b11, 0], ALLOW);
    let parts = [([0b11_0000, 0b11, 0], ALLOW), ([0b1100, 0b11, 0], ALLOW)];
    check_brought_together(&[whole], &parts);
    // Past what shares no point with the part that moves.
    let (before, between): (Line, Line) = (([0b100, 0b11, 0], DENY), ([0b11, 0, 0], Ok(3)));
    check_brought_together(&[before, whole, between], &[before, parts[0], between, parts[1]]);
    // In two dimensions, one after the other.
    let quarters: Vec<Line> = [(0b11_0000, 1), (0b1100, 1), (0b1100, 2), (0b11_0000, 2)]
        .map(|(one, other)| ([one, other, 0], ALLOW))
        .into();
    check_brought_together(&[whole], &quarters);
    // Two of one side are two others of the other side together.
    let others = [([0b1_1100, 0b11, 0], ALLOW), ([0b11_1000, 0b11, 0], ALLOW)];
    check_brought_together(&parts, &others);
}

#[test]
fn what_was_moved_is_put_back() {
    let list: [Line; 3] = [([0b11, 0, 0], ALLOW), ([0b1100, 0, 0], DENY), ([0b1111, 1, 0], ALLOW)];
    check_brought_together(&list, &[list[1], list[0], list[2]]);
    let never: Line = ([0b1, 0b10, 0], DENY);
    check_brought_together(&list, &[list[0], list[1], never, list[2]]);
}

#[test]
fn nothing_moves_past_what_it_shares_a_point_with() {
    let (part, other): (Line, Line) = (([0b11_0000, 0, 0], ALLOW), ([0b1100, 0, 0], ALLOW));
    let between: Line = ([0b1_1000, 0, 0], DENY);
    let whole: Line = ([0b11_1100, 0, 0], ALLOW);
    let solution = check_complete(&example(&[whole, between], &[part, between, other]), false);
    assert_eq!(area(&solution.differences[0]), [(3, 3), (0, 5), (0, 5)]);
}

#[test]
fn nothing_moves_out_of_what_a_skip_goes_past() {
    let (part, other): (Line, Line) = (([0b11_0000, 0, 0], ALLOW), ([0b1100, 0, 0], ALLOW));
    let skip: Line = ([0, 0b1, 0], Err(1));
    let whole: Line = ([0b11_1100, 0, 0], ALLOW);
    let solution = check_complete(&example(&[skip, whole], &[skip, part, other]), false);
    assert_eq!(area(&solution.differences[0]), [(2, 3), (0, 0), (0, 5)]);
}

#[test]
fn a_difference_names_the_entries_that_were_joined() {
    let parts = [([0b11_0000, 0, 0], ALLOW), ([0b1100, 0, 0], ALLOW)];
    let changed: Line = ([0b11_1100, 0, 0], ALLOW);
    let above: Line = ([0, 0b1, 0], Ok(3));
    let problem = example(&[parts[0], parts[1], above], &[above, changed]);
    let solution = check_complete(&problem, false);
    let named: Vec<_> = solution.differences.iter().map(|it| it.old.origin.rule.unwrap()).collect();
    assert_eq!(named, [RuleId(1), RuleId(0)]);
}

#[test]
fn an_unequal_pair_out_of_order_is_found() {
    let (one, other): (Line, Line) = (([0b11, 0, 0], ALLOW), ([0b110, 0, 0], DENY));
    let solution = check_complete(&example(&[one, other], &[other, one]), false);
    assert_eq!(area(&solution.differences[0]), [(1, 1), (0, 5), (0, 5)]);
}

#[test]
fn a_part_return_keeps_what_covers_from_closing_the_list() {
    let cover: Line = ([0, 0, 0], ALLOW);
    let solution = check_complete(&example(&[cover], &[([1, 0, 0], Err(1)), cover]), false);
    assert_eq!(area(&solution.differences[0]), [(0, 0), (0, 5), (0, 5)]);
}

#[test]
fn returns_that_are_alike_but_go_on_elsewhere_are_no_pair() {
    let allow: Line = ([0b10, 0, 0], ALLOW);
    let list = |by| [([0b11, 0, 0], Err(by)), allow, ([0b11, 1, 0], Ok(3))];
    let solution = check_complete(&example(&list(0), &list(1)), false);
    assert!(solution.differences.iter().all(|found| *found.sets[0] == [(1, 1)]));
    assert_eq!(solution.verdict, Comparison::Different);
}

#[test]
fn a_different_default_is_found_under_equal_entries() {
    let list = [Raw { masks: vec![0b11, 0, 0], step: ALLOW }];
    let problem = problem(&vec![vec![1; 6]; 3], &list, &list, [0, 1]);
    let solution = check_complete(&problem, false);
    assert_eq!(area(&solution.differences[0]), [(2, 5), (0, 5), (0, 5)]);
}

#[test]
fn a_constant_is_a_shift_on_one_value() {
    let all = [0, 0, 0];
    let (constant, shift) = (5, 6);
    let problem = example(&[([0b1, 0, 0], Ok(constant))], &[([0b1, 0, 0], Ok(shift))]);
    assert_eq!(check_complete(&problem, false).verdict, Comparison::Equal);
    let problem = example(&[(all, Ok(constant))], &[(all, Ok(shift))]);
    let areas: Vec<_> =
        check_complete(&problem, false).differences.iter().map(|found| area(found)[0]).collect();
    assert_eq!(areas, [(1, 5)]);
}

#[test]
fn a_class_too_coarse_is_open_rather_than_wrong() {
    let list = |outcome| [Raw { masks: vec![0, 0, 0], step: Ok(outcome) }];
    let problem = problem(&vec![vec![2; 3]; 3], &list(5), &list(6), [0, 0]);
    let solution = check_complete(&problem, false);
    let open: Vec<_> = solution.open.iter().map(|open| open.area[0]).collect();
    assert_eq!(open, [(0, 0)]);
}

#[test]
fn a_sign_to_stop_leaves_everything_open() {
    static STOP: AtomicBool = AtomicBool::new(true);
    let old: [Line; 1] = [([0b11, 0, 0], ALLOW)];
    let problem = example(&old, &[old[0], ([0b110, 0b1000, 0], ALLOW)]);
    let limits = SolveLimits { stop: Stop::when(&STOP), ..SolveLimits::default() };
    let solution = solve(&problem, &limits);
    assert_eq!(solution.verdict, Comparison::Undecided);
    assert!(solution.open.iter().all(|it| it.reason == OpenReason::Stopped));
    assert_eq!(solve(&problem, &SolveLimits::default()).verdict, Comparison::Different);
}

#[test]
fn kinds_of_refusal_differ_where_asked() {
    let problem = example(&[([0, 0, 0], Ok(0))], &[([0, 0, 0], Ok(2))]);
    assert_eq!(check_complete(&problem, false).verdict, Comparison::Equal);
    assert_eq!(check_complete(&problem, true).verdict, Comparison::Different);
}

#[test]
fn a_list_that_decides_nothing_is_open() {
    let mut problem = example(&[], &[([0b11, 0, 0], ALLOW)]);
    problem.new.entries.pop();
    let solution = solve(&problem, &SolveLimits::default());
    assert_eq!(area(&solution.differences[0]), [(0, 1), (0, 5), (0, 5)]);
    assert_eq!(*solution.open[0].area, [(2, 5), (0, 5), (0, 5)]);
    assert_eq!(solution.open[0].reason, OpenReason::NoDecision);
}
