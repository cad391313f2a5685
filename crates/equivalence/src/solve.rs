//! The comparison of two lists: what is asked, and what is answered.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::align::{alike, merge};
use crate::lines::Lines;
use crate::normalise::normalise;
use crate::outcome::Outcomes;
use crate::problem::{Origin, OutcomeId, Problem, Set, Side};
use crate::proof::Proof;
use crate::search::Search;
use crate::tree::Lists;

/// How far a comparison goes, and what it compares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SolveLimits {
    /// Entries looked at, counted once for each box they are looked at on, before the rest is left
    /// open. A count and not a time: the same problem ends at the same point everywhere. It is
    /// dealt out in rounds, to every part of the space alike, so that a hard part leaves the
    /// others enough.
    pub work: u64,
    /// Boxes kept, different and open, before the rest is left open. As many more are kept as are
    /// pending at that moment.
    pub boxes: usize,
    /// Whether two kinds of refusal differ.
    pub compare_refusals: bool,
    /// Whether rules that were split, joined, moved or are never reached are put back before the
    /// lists are compared. The answer is the same points, found sooner where much was rewritten;
    /// of the proof, what is called the same may then be so for less plain reasons.
    pub normalise: bool,
    /// Whether [`Solution::proof`] is written. It is a search of its own, with as much work, and
    /// costs 24 bytes for each box it looks at.
    pub record: bool,
    /// A sign at which the rest is left open.
    pub stop: Stop,
}

/// A sign to stop, given by somebody else: a signal, a clock. By itself never.
///
/// An answer that was stopped depends on when; one that reached a limit of work does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stop(Sign);

/// Who gives the sign.
#[derive(Clone, Copy, Debug, Default)]
enum Sign {
    #[default]
    Nobody,
    Flag(&'static AtomicBool),
    Count(&'static AtomicU64),
}

impl Stop {
    /// Stops once this holds.
    pub const fn when(sign: &'static AtomicBool) -> Self {
        Self(Sign::Flag(sign))
    }

    /// Stops once it has been asked for so often: on one thread, at the same point every time.
    pub const fn after(asked: &'static AtomicU64) -> Self {
        Self(Sign::Count(asked))
    }

    /// Whether it is time to stop.
    pub fn is_given(self) -> bool {
        match self.0 {
            Sign::Nobody => false,
            Sign::Flag(sign) => sign.load(Ordering::Relaxed),
            Sign::Count(left) => {
                let less = |left: u64| left.checked_sub(1);
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err()
            }
        }
    }
}

impl Eq for Stop {}

impl PartialEq for Stop {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Sign::Nobody, Sign::Nobody) => true,
            (Sign::Flag(one), Sign::Flag(other)) => std::ptr::eq(one, other),
            (Sign::Count(one), Sign::Count(other)) => std::ptr::eq(one, other),
            _ => false,
        }
    }
}

impl Default for SolveLimits {
    fn default() -> Self {
        Self {
            work: 1_000_000_000,
            boxes: 1_000_000,
            compare_refusals: false,
            normalise: true,
            record: false,
            stop: Stop::default(),
        }
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

/// A product of sets on every point of which the two sides differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DifferenceBox {
    /// The points: for each dimension the classes.
    pub sets: Box<[Set]>,
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
    /// [`SolveLimits::stop`] was given.
    Stopped,
    /// The sides agree on some values of a class and not on others: the class is too coarse.
    WithinClass,
    /// A list decides nothing for some of the points.
    NoDecision,
}

/// A box on which it is not known whether the two sides differ, or not told in which way.
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
/// No two boxes share a point, unless differences were not told before the sign to stop was given:
/// these are open then, with what lies between their parts. Every point on which the sides differ
/// is in `differences` or in `open`, and on every point of `differences` they do.
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
    let mut lines = Lines::new(problem, &outcomes);
    let mut pairs = alike(problem, &outcomes);
    let mut work = 0;
    if limits.normalise {
        let budget = (limits.work / 2).saturating_mul(PAIRS);
        let left;
        (pairs, left) = normalise(&mut lines, problem, pairs, (budget, limits.stop));
        work = (budget - left) / PAIRS;
    }
    let merged = merge(&lines, &pairs);
    let lists = Lists::new(problem, outcomes, lines, merged);
    let proof = limits.record.then(|| prove(&lists, limits, work));
    let mut search = Search::new(&lists, limits, work, false);
    search.run();
    let Search { differences, open, work, .. } = search;
    let verdict = match (differences.is_empty(), open.is_empty()) {
        (false, _) => Comparison::Different,
        (true, false) => Comparison::Undecided,
        (true, true) => Comparison::Equal,
    };
    Solution { verdict, differences, open, work, proof }
}

/// Searches once more, by intervals alone, as somebody else can do it again.
fn prove(lists: &Lists<'_>, limits: &SolveLimits, work: u64) -> Proof {
    let mut search = Search::new(lists, limits, work, true);
    search.run();
    search.into_proof()
}

/// To look at so many pairs of entries, to put lists in order, is to look at one on a box.
const PAIRS: u64 = 16;
