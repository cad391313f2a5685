//! The search in lock step: boxes on which the lists agree are left, boxes on which they do not are
//! kept, others are cut in two.

use crate::lines::Line;
use crate::outcome::Agreement;
use crate::problem::{Entry, List, Problem, Set, Side, Step};
use crate::proof::{Part, Place, Proof, Recorder};
use crate::small::{Found, MOST_WORK, Small};
use crate::solve::{Decided, DifferenceBox, OpenBox, OpenReason, SolveLimits};
use crate::tree::{Ends, Item, Lists, Node, slice};

/// The state of a search.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    lists: &'a Lists<'a>,
    limits: &'a SolveLimits,
    pub(crate) differences: Vec<DifferenceBox>,
    pub(crate) open: Vec<OpenBox>,
    pub(crate) work: u64,
    recorder: Recorder,
    ends: Ends,
    /// Items of pending boxes.
    kept: usize,
    /// The work done at which a box becomes pending.
    until: u64,
}

/// A box to be looked at in the next round.
struct Pending {
    area: Vec<(u32, u32)>,
    /// What is left of the lists on it; absent where too much is kept already.
    items: Option<Vec<Item>>,
    place: Place,
}

impl Pending {
    fn new(node: Node, place: Place) -> Self {
        Self { area: node.area, items: Some(node.items), place }
    }

    fn without_items(self) -> Self {
        Self { items: None, ..self }
    }

    /// The box with its items, which are searched for again if they were not kept.
    fn node(&mut self, lists: &Lists<'_>, work: &mut u64) -> Node {
        let area = std::mem::take(&mut self.area);
        if let Some(items) = self.items.take() {
            return Node { area, items };
        }
        let mut node = Node::root(lists);
        *work += node.items.len() as u64;
        for (at, to) in area.into_iter().enumerate() {
            node.restrict(lists, at, to);
        }
        node
    }
}

/// The work a box has in the first round, unless ten looks at the lists are more.
const FIRST_SHARE: u64 = 100_000;

/// The items of pending boxes kept, 16 bytes each.
const MOST_KEPT: usize = 4_000_000;

/// What is found out about a box.
enum Answer {
    Same,
    /// What differs on it is kept.
    Searched,
    Different(Decided, Decided),
    Open(OpenReason),
    /// It has to be cut: the dimension, and the class behind which.
    Cut((usize, u32)),
}

impl<'a> Search<'a> {
    /// A search of which so much work is done; one that records cuts by intervals alone.
    pub(crate) fn new(
        lists: &'a Lists<'a>,
        limits: &'a SolveLimits,
        work: u64,
        record: bool,
    ) -> Self {
        Self {
            lists,
            limits,
            differences: vec![],
            open: vec![],
            work,
            recorder: Recorder::new(record),
            ends: Ends::default(),
            kept: 0,
            until: 0,
        }
    }

    /// How it took the space apart.
    pub(crate) fn into_proof(self) -> Proof {
        let hull = |sets: &[Set]| {
            let hulls = sets.iter().map(|set| set.first().zip(set.last()));
            hulls.map(|hull| hull.map_or((0, 0), |(low, high)| (low.0, high.1))).collect()
        };
        let mut proof = self.recorder.finish();
        let boxes = self.differences.into_iter();
        proof.differences = boxes.map(|it| (hull(&it.sets), [it.old, it.new])).collect();
        proof.open = self.open.into_iter().map(|it| (it.area, it.reason)).collect();
        proof
    }

    /// Deals the work out in rounds: every box pending has the same share of a round, and ten times
    /// as much in the next one; at last what is left is shared.
    pub(crate) fn run(&mut self) {
        let mut pending = vec![Pending::new(Node::root(self.lists), Place::Whole)];
        let first = FIRST_SHARE.max(10 * self.lists.merged.len() as u64);
        let mut share = first.min(self.limits.work / 8);
        while !pending.is_empty() {
            let left = self.limits.work.saturating_sub(self.work);
            share = share.min(left / pending.len() as u64);
            self.kept = 0;
            for mut one in std::mem::take(&mut pending) {
                if one.items.is_none() && self.limits.stop.is_given() {
                    self.leave_unseen(one);
                    continue;
                }
                let node = one.node(self.lists, &mut self.work);
                self.run_box(node, one.place, self.work.saturating_add(share), &mut pending);
            }
            share = share.saturating_mul(10);
        }
    }

    /// Answers for a box, depth first. What is still to do when the work done comes to `until` goes
    /// to `pending`.
    fn run_box(&mut self, node: Node, place: Place, until: u64, pending: &mut Vec<Pending>) {
        self.until = until;
        let mut stack = vec![(node, place)];
        let mut visited = false;
        while let Some((mut node, mut place)) = stack.pop() {
            let exhausted = self.exhausted();
            if visited && exhausted.is_none() && self.work >= until {
                self.kept += node.items.len();
                let one = Pending::new(node, place);
                pending.push(if self.kept > MOST_KEPT { one.without_items() } else { one });
                continue;
            }
            visited = true;
            let answer = match exhausted {
                Some(reason) => self.leave(&mut node, reason),
                None => self.visit(&mut node, &mut place),
            };
            let part = match answer {
                Answer::Same => Part::Same,
                Answer::Searched => continue,
                Answer::Different(old, new) => {
                    let sets = node.area.iter().map(|range| Set::from([*range])).collect();
                    self.differences.push(DifferenceBox { sets, old, new });
                    Part::Different(self.differences.len() as u32 - 1)
                }
                Answer::Open(reason) => {
                    self.open.push(self.open_box(&node, reason));
                    Part::Open(self.open.len() as u32 - 1)
                }
                Answer::Cut(cut) => {
                    let places = self.recorder.cut(place, cut);
                    let upper = node.split(self.lists, cut);
                    stack.extend([(upper, places.1), (node, places.0)]);
                    continue;
                }
            };
            self.recorder.write(place, part);
        }
    }

    fn exhausted(&self) -> Option<OpenReason> {
        if self.limits.stop.is_given() {
            return Some(OpenReason::Stopped);
        }
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
            let closing = node.settle(self.lists);
            node.trim(self.lists, closing);
            if node.unpaired().next().is_none() {
                return Answer::Same;
            }
            match node.shrink(self.lists) {
                Some(from) => *place = self.recorder.shrink(*place, &from, &node.area),
                None => break closing,
            }
        };
        if let ([Some(old), Some(new)], [1, 1]) = (closing, [0, 1].map(|side| node.left_on(side))) {
            return self.decide(node, (old, new));
        }
        if self.small(node) {
            return Answer::Searched;
        }
        match node.cut(self.lists, &mut self.ends) {
            Some(cut) if node.left_on(0) > 0 && node.left_on(1) > 0 => Answer::Cut(cut),
            _ => Answer::Open(OpenReason::NoDecision),
        }
    }

    /// Searches a box over sets of classes, where that can be done; whether it was. Of a proof cuts
    /// are part, so that a search that writes one does without.
    fn small(&mut self, node: &Node) -> bool {
        if self.recorder.records() {
            return false;
        }
        // What is given up must leave enough to cut the box.
        let most = (self.until.saturating_sub(self.work) / 2).min(MOST_WORK);
        let Some(mut small) = Small::new(self.lists, node) else { return false };
        let ended = small.run(node, most);
        self.work += small.work;
        let boxes = self.differences.len() + self.open.len() + small.found.len();
        if !ended || boxes > self.limits.boxes || self.work > self.limits.work {
            return false;
        }
        let problem = self.lists.problem;
        let decided = |place, list: &List, side| {
            let line = self.lists.line(place, side)?;
            let entry = line.entries().next().map(|at| &list.entries[at as usize])?;
            let Step::Decide(outcome) = entry.step else { return None };
            Some(Decided { outcome, origin: entry.origin })
        };
        let named = small.found.into_iter().map(|Found { sets, closing: (old, new) }| {
            let old = decided(old, &problem.old, 0)?;
            Some(DifferenceBox { sets, old, new: decided(new, &problem.new, 1)? })
        });
        // All of them or none: a difference that cannot be named is not to be lost.
        let Some(found) = named.collect::<Option<Vec<_>>>() else { return false };
        self.differences.extend(found);
        true
    }

    /// Answers for a box for which one line of either side is left.
    fn decide(&self, node: &Node, (old, new): (u32, u32)) -> Answer {
        let numbers = (self.lists.outcome(old, 0), self.lists.outcome(new, 1));
        let (Some(one), Some(other)) = numbers else {
            return Answer::Open(OpenReason::NoDecision);
        };
        match self.lists.outcomes.compare(self.lists.problem, (one, other), &node.area) {
            Agreement::Everywhere => Answer::Same,
            Agreement::Nowhere => {
                match (self.named(old, 0, &node.area), self.named(new, 1, &node.area)) {
                    (Ok(old), Ok(new)) => Answer::Different(old, new),
                    (Err(answer), _) | (_, Err(answer)) => answer,
                }
            }
            Agreement::Cut(dimension, class) => Answer::Cut((dimension, class)),
            Agreement::WithinClass => Answer::Open(OpenReason::WithinClass),
        }
    }

    /// The entry that holds the box, of those a line stands for; else where one of them ends.
    fn named(&self, place: u32, side: usize, area: &[(u32, u32)]) -> Result<Decided, Answer> {
        let problem = self.lists.problem;
        let list = [&problem.old, &problem.new][side];
        let line = self.lists.line(place, side).into_iter();
        let mut cut = None;
        for entry in line.flat_map(Line::entries).map(|at| &list.entries[at as usize]) {
            match (overlap(problem, entry, area), entry.step) {
                (Overlap::Whole, Step::Decide(outcome)) => {
                    return Ok(Decided { outcome, origin: entry.origin });
                }
                (Overlap::Part(dimension, class), _) => cut = cut.or(Some((dimension, class))),
                _ => {}
            }
        }
        Err(cut.map_or(Answer::Open(OpenReason::NoDecision), Answer::Cut))
    }

    /// Leaves a box open, unless it is plain that both sides agree there.
    fn leave(&self, node: &mut Node, reason: OpenReason) -> Answer {
        node.settle(self.lists);
        match node.unpaired().next() {
            Some(_) => Answer::Open(reason),
            None => Answer::Same,
        }
    }

    /// Leaves a box open that nobody has time to look at again.
    fn leave_unseen(&mut self, one: Pending) {
        let (area, reason) = (one.area.into(), OpenReason::Stopped);
        self.open.push(OpenBox { area, reason, involved: vec![] });
        self.recorder.write(one.place, Part::Open(self.open.len() as u32 - 1));
    }

    fn open_box(&self, node: &Node, reason: OpenReason) -> OpenBox {
        let problem = self.lists.problem;
        let mut involved = Vec::new();
        for item in node.unpaired() {
            let sides = [(Side::Old, &problem.old), (Side::New, &problem.new)];
            for (at, (side, list)) in sides.into_iter().enumerate().filter(|it| item.on[it.0]) {
                let Some(line) = self.lists.line(item.place, at) else { continue };
                let entries = line.entries().map(|at| &list.entries[at as usize]);
                let here = entries.filter(|entry| {
                    !matches!(overlap(problem, entry, &node.area), Overlap::Nothing)
                });
                involved.extend(here.map(|entry| (side, entry.origin)));
            }
            if involved.len() >= OpenBox::INVOLVED {
                break;
            }
        }
        involved.truncate(OpenBox::INVOLVED);
        OpenBox { area: node.area.clone().into(), reason, involved }
    }
}

/// How much of a box an entry matches.
enum Overlap {
    Nothing,
    /// Not all of it: the entry begins or ends behind this class of this dimension.
    Part(usize, u32),
    Whole,
}

fn overlap(problem: &Problem, entry: &Entry, area: &[(u32, u32)]) -> Overlap {
    let mut found = Overlap::Whole;
    for (dimension, set) in &entry.sets {
        let at = dimension.0 as usize;
        let Some(part) = slice(&problem.sets[set.0 as usize], area[at]) else {
            return Overlap::Nothing;
        };
        let ((low, high), (from, to)) = (area[at], part.first);
        if low < from {
            found = Overlap::Part(at, from - 1);
        } else if to < high {
            found = Overlap::Part(at, to);
        }
    }
    found
}
