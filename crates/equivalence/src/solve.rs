//! The comparison of two lists in lock step: boxes on which they agree are left, boxes on which
//! they do not are kept, others are cut in two.

use crate::align::merge;
use crate::outcome::{Agreement, Outcomes};
use crate::problem::{Entry, Origin, OutcomeId, Problem, Side, Step};
use crate::proof::{Part, Place, Proof, Recorder};
use crate::tree::{Lists, Node};

/// How far a comparison goes, and what it compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SolveLimits {
    /// Entries looked at, counted once for each box they are looked at on, before the rest is left
    /// open. A count and not a time: the same problem ends at the same point everywhere.
    pub work: u64,
    /// Boxes kept, different and open, before the rest is left open. Up to as many more are kept
    /// as the search is deep at that moment.
    pub boxes: usize,
    /// Whether two kinds of refusal differ.
    pub compare_refusals: bool,
    /// Whether [`Solution::proof`] is written. It costs 24 bytes for each box looked at.
    pub record: bool,
}

impl Default for SolveLimits {
    fn default() -> Self {
        Self { work: 1_000_000_000, boxes: 1_000_000, compare_refusals: false, record: false }
    }
}

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Comparison {
    /// On every point both sides do the same.
    Equal,
    /// There are points on which they do not; with nothing open, all are known.
    Different,
    /// No difference was found, and part of the space is open.
    Undecided,
}

/// A box of points, by class: for each dimension the first and the last.
pub type Area = Box<[(u32, u32)]>;

/// What becomes of a box on one side.
///
/// All its points have this outcome, and the entry named holds the whole box. Earlier entries with
/// the same outcome may be the first to match some of the points, or all: the list itself says
/// which entry decides a point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decided {
    /// The outcome.
    pub outcome: OutcomeId,
    /// The rules of the entry named.
    pub origin: Origin,
}

/// A box on every point of which the two sides differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DifferenceBox {
    /// The points.
    pub area: Area,
    /// What the old firewall does.
    pub old: Decided,
    /// What the new firewall does.
    pub new: Decided,
}

/// Why a box is open.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum OpenReason {
    /// [`SolveLimits::work`] was reached.
    Work,
    /// [`SolveLimits::boxes`] was reached.
    Boxes,
    /// The sides agree on some values of a class and not on others: the class is too coarse.
    WithinClass,
    /// A list decides nothing for some of the points.
    NoDecision,
}

/// A box on which it is not known whether the two sides differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenBox {
    /// The points.
    pub area: Area,
    /// Why.
    pub reason: OpenReason,
    /// The rules of entries that may make the sides differ here: those of one list only, the first
    /// [`OpenBox::INVOLVED`] of them in order.
    pub involved: Vec<(Side, Origin)>,
}

impl OpenBox {
    /// How many entries are named at most.
    pub const INVOLVED: usize = 64;
}

/// The answer to a comparison.
///
/// No two boxes share a point. Every point on which the sides differ is in `differences` or in
/// `open`, and on every point of `differences` they do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Solution {
    /// What it comes to.
    pub verdict: Comparison,
    /// Where the sides differ.
    pub differences: Vec<DifferenceBox>,
    /// Where it is not known.
    pub open: Vec<OpenBox>,
    /// Entries looked at, as [`SolveLimits::work`] counts them.
    pub work: u64,
    /// How the search took the space apart, where [`SolveLimits::record`] asks for it.
    pub proof: Option<Proof>,
}

/// Compares the two lists of a problem on every point of its space.
pub fn solve(problem: &Problem, limits: &SolveLimits) -> Solution {
    let outcomes = Outcomes::new(problem, limits.compare_refusals);
    let merged = merge(problem, &outcomes);
    let lists = Lists { problem, outcomes, merged };
    let recorder = Recorder::new(limits.record);
    let mut search = Search { lists, limits, differences: vec![], open: vec![], work: 0, recorder };
    search.run();
    let Search { differences, open, work, recorder, .. } = search;
    let verdict = match (differences.is_empty(), open.is_empty()) {
        (false, _) => Comparison::Different,
        (true, false) => Comparison::Undecided,
        (true, true) => Comparison::Equal,
    };
    Solution { verdict, differences, open, work, proof: recorder.finish() }
}

struct Search<'a> {
    lists: Lists<'a>,
    limits: &'a SolveLimits,
    differences: Vec<DifferenceBox>,
    open: Vec<OpenBox>,
    work: u64,
    recorder: Recorder,
}

/// What is found out about a box.
enum Answer {
    Same,
    Different(Decided, Decided),
    Open(OpenReason),
    /// It has to be cut: the dimension, and the class behind which.
    Cut((usize, u32)),
}

impl Search<'_> {
    fn run(&mut self) {
        let mut pending = vec![(Node::root(&self.lists), Place::Whole)];
        while let Some((mut node, mut place)) = pending.pop() {
            let answer = match self.exhausted() {
                Some(reason) => self.leave(&mut node, reason),
                None => self.visit(&mut node, &mut place),
            };
            let part = match answer {
                Answer::Same => Part::Same,
                Answer::Different(old, new) => {
                    let area = node.area.into();
                    self.differences.push(DifferenceBox { area, old, new });
                    Part::Different(self.differences.len() as u32 - 1)
                }
                Answer::Open(reason) => {
                    self.open.push(self.open_box(&node, reason));
                    Part::Open(self.open.len() as u32 - 1)
                }
                Answer::Cut(cut) => {
                    let places = self.recorder.cut(place, cut);
                    let upper = node.split(&self.lists, cut);
                    pending.extend([(upper, places.1), (node, places.0)]);
                    continue;
                }
            };
            self.recorder.write(place, part);
        }
    }

    fn exhausted(&self) -> Option<OpenReason> {
        if self.work >= self.limits.work {
            return Some(OpenReason::Work);
        }
        let boxes = self.differences.len() + self.open.len();
        (boxes >= self.limits.boxes).then_some(OpenReason::Boxes)
    }

    /// Answers for a box, or says where to cut it.
    fn visit(&mut self, node: &mut Node, place: &mut Place) -> Answer {
        let closing = loop {
            self.work += node.items.len() as u64;
            let closing = node.settle(&self.lists);
            node.trim(&self.lists, closing);
            if node.unpaired().next().is_none() {
                return Answer::Same;
            }
            match node.shrink(&self.lists) {
                Some(from) => *place = self.recorder.shrink(*place, &from, &node.area),
                None => break closing,
            }
        };
        if let ([Some(old), Some(new)], [1, 1]) = (closing, [0, 1].map(|side| node.left_on(side))) {
            return self.decide(node, (old, new));
        }
        match node.cut(&self.lists) {
            Some(cut) if node.left_on(0) > 0 && node.left_on(1) > 0 => Answer::Cut(cut),
            _ => Answer::Open(OpenReason::NoDecision),
        }
    }

    /// Answers for a box for which one entry of either side is left.
    fn decide(&self, node: &Node, (old, new): (u32, u32)) -> Answer {
        let decided = |place, side| decided(self.lists.entry(place, side)?);
        let (Some(old), Some(new)) = (decided(old, 0), decided(new, 1)) else {
            return Answer::Open(OpenReason::NoDecision);
        };
        let numbers = [old, new].map(|one| self.lists.outcomes.number(one.outcome));
        let numbers = (numbers[0], numbers[1]);
        match self.lists.outcomes.compare(self.lists.problem, numbers, &node.area) {
            Agreement::Everywhere => Answer::Same,
            Agreement::Nowhere => Answer::Different(old, new),
            Agreement::Cut(dimension, class) => Answer::Cut((dimension, class)),
            Agreement::WithinClass => Answer::Open(OpenReason::WithinClass),
        }
    }

    /// Leaves a box open, unless it is plain that both sides agree there.
    fn leave(&self, node: &mut Node, reason: OpenReason) -> Answer {
        node.settle(&self.lists);
        match node.unpaired().next() {
            Some(_) => Answer::Open(reason),
            None => Answer::Same,
        }
    }

    fn open_box(&self, node: &Node, reason: OpenReason) -> OpenBox {
        let sides = [Side::Old, Side::New].into_iter().enumerate();
        let involved = node.unpaired().flat_map(|item| {
            let on = sides.clone().filter(|(side, _)| item.on[*side]);
            on.filter_map(|(at, side)| Some((side, self.lists.entry(item.place, at)?.origin)))
        });
        let involved = involved.take(OpenBox::INVOLVED).collect();
        OpenBox { area: node.area.clone().into(), reason, involved }
    }
}

fn decided(entry: &Entry) -> Option<Decided> {
    match entry.step {
        Step::Decide(outcome) => Some(Decided { outcome, origin: entry.origin }),
        Step::Skip(_) => None,
    }
}
