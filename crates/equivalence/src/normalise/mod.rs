//! Lists written alike before they are compared.
//!
//! Rules split, joined, moved past one another or never reached are no difference, but they leave
//! entries without a like on the other side, and every point of such an entry has to be looked at.
//! Here both lists are brought together, each step one that leaves every point its outcome:
//!
//! - neighbours with one outcome that are equal in all dimensions but one are joined;
//! - neighbours that share no point, or have one outcome, change places;
//! - an entry every point of which an earlier one matches is dropped.
//!
//! Steps stay between the skips, and between the places skips lead to: of such a stretch every
//! point meets all entries or none. Entries that have their like are never joined or dropped, so
//! that two lists that are alike already are left as they are.

mod index;
mod plan;

use std::collections::HashMap;

use crate::lines::{Line, LineStep, Lines};
use crate::problem::{Dimension, Problem, Set};
use crate::solve::Stop;
use index::Index;
use plan::{Rivals, connected, union};

/// Brings the lists together. `pairs` are the lines that are alike, each line in one pair at most;
/// they ascend on the old side, and so do those returned. Looks at `work` pairs of lines at most,
/// at none once the sign to stop is given, and returns how many are left.
pub(crate) fn normalise(
    lines: &mut Lines,
    problem: &Problem,
    pairs: Vec<(u32, u32)>,
    (work, stop): (u64, Stop),
) -> (Vec<(u32, u32)>, u64) {
    let states = [0, 1].map(|side| State::new(&lines.sides[side]));
    let classes = problem.dimensions.iter().map(Dimension::classes).collect();
    let looks = Looks { left: work, stop };
    let mut both = Both { lines, states, classes, known: None, looks };
    for &(old, new) in &pairs {
        both.pair(old, new);
    }
    let odd = both.odd(0).len() + both.odd(1).len();
    let moved = pairs.windows(2).any(|pair| pair[0].1 > pair[1].1);
    if odd == 0 && !moved {
        return (pairs, work);
    }
    // A few changed rules are looked at anyway, in less time than it takes to search for what
    // covers them.
    let many = odd > (both.states[0].partner.len() + both.states[1].partner.len()) / FEW;
    while !both.looks.are_over() && both.round(many) {}
    both.keep(0, &both.alive(0));
    both.keep(1, &both.alive(1));
    let partners = (0..).zip(&both.states[0].partner);
    let pairs = partners.filter(|pair| *pair.1 != NONE).map(|(old, new)| (old, *new)).collect();
    (pairs, both.looks.left)
}

/// The looks at pairs of lines that are left; none once the sign to stop is given.
struct Looks {
    left: u64,
    stop: Stop,
}

impl Looks {
    fn are_over(&self) -> bool {
        self.left == 0 || self.stop.is_given()
    }

    fn spend(&mut self, looks: u64) {
        self.left = self.left.saturating_sub(looks);
    }
}

/// One line in so many without its like is few.
const FEW: usize = 64;

/// Nothing.
const NONE: u32 = u32::MAX;

/// What is known about the lines of a side, by index.
struct State {
    /// The line of the other side that is alike.
    partner: Vec<u32>,
    /// The line of the other side that it is to be part of.
    planned: Vec<u32>,
    /// Whether the line is still there.
    alive: Vec<bool>,
    /// The stretch it stands in.
    stretch: Vec<u32>,
}

impl State {
    fn new(lines: &[Line]) -> Self {
        let mut begins = vec![false; lines.len() + 2];
        for (at, line) in lines.iter().enumerate() {
            if let LineStep::Skip(to) = line.step {
                for begin in [at, at + 1, to as usize] {
                    begins[begin] = true;
                }
            }
        }
        let mut stretch = 0;
        let stretches = begins[..lines.len()].iter().map(|begins| {
            stretch += u32::from(*begins);
            stretch
        });
        Self {
            partner: vec![NONE; lines.len()],
            planned: vec![NONE; lines.len()],
            alive: vec![true; lines.len()],
            stretch: stretches.collect(),
        }
    }
}

struct Both<'a> {
    lines: &'a mut Lines,
    states: [State; 2],
    /// How many classes each dimension has.
    classes: Vec<u32>,
    /// The ids of sets, once they are needed.
    known: Option<HashMap<Set, u32>>,
    looks: Looks,
}

/// Lines of either side with one outcome that are equal in all dimensions but one.
type Group = [Vec<u32>; 2];

/// Lines of either side that together match the same points.
struct Plan {
    dimension: u32,
    parts: Group,
    /// What they match in that dimension.
    union: Vec<(u32, u32)>,
}

impl Both<'_> {
    fn pair(&mut self, old: u32, new: u32) {
        self.states[0].partner[old as usize] = new;
        self.states[1].partner[new as usize] = old;
    }

    fn line(&self, side: usize, index: u32) -> &Line {
        &self.lines.sides[side][index as usize]
    }

    /// The lines of a side that decide, have no like and no plan.
    fn odd(&self, side: usize) -> Vec<u32> {
        let state = &self.states[side];
        let odd = |index: &u32| {
            let at = *index as usize;
            state.alive[at]
                && state.partner[at] == NONE
                && state.planned[at] == NONE
                && matches!(self.lines.sides[side][at].step, LineStep::Decide(_))
        };
        (0..state.alive.len() as u32).filter(odd).collect()
    }

    /// Odd lines in groups, in a fixed order.
    fn groups(&self, dimension: u32) -> Vec<Group> {
        let mut places = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for side in 0..2 {
            for index in self.odd(side) {
                let line = self.line(side, index);
                let LineStep::Decide(outcome) = line.step else { continue };
                let others = self.lines.cells(line).iter();
                let others = others.filter(|cell| cell.dimension != dimension);
                let key: Vec<_> = others.map(|cell| (cell.dimension, cell.set)).collect();
                let at = *places.entry((key, outcome)).or_insert(groups.len());
                if at == groups.len() {
                    groups.push(Group::default());
                }
                groups[at][side].push(index);
            }
        }
        groups
    }

    /// Plans, puts lines in order, carries the plans out. Returns whether another round may bring
    /// more.
    fn round(&mut self, many: bool) -> bool {
        let mut plans = self.plans();
        let dropped = if many { self.drop_covered() } else { 0 };
        let now = self.sort();
        let mut carried_out = 0;
        for Plan { dimension, parts, union } in &mut plans {
            for index in &mut parts[1] {
                *index = now[*index as usize];
            }
            parts[1].sort_unstable();
            if let [Some(old), Some(new)] = [0, 1].map(|side| self.anchor(side, &parts[side])) {
                self.join(0, &parts[0], old, (*dimension, union));
                self.join(1, &parts[1], new, (*dimension, union));
                self.pair(old, new);
                carried_out += 1;
            }
        }
        for state in &mut self.states {
            state.planned.fill(NONE);
        }
        let joined = if many { self.join_neighbours() } else { 0 };
        dropped + carried_out + joined > 0
    }

    /// Finds lines of either side that match the same points together.
    fn plans(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for dimension in 0..self.classes.len() as u32 {
            // There may be a dimension for each line: a condition without a value is one.
            if self.looks.are_over() {
                return plans;
            }
            for group in self.groups(dimension) {
                if group.iter().any(Vec::is_empty) {
                    continue;
                }
                if self.looks.are_over() {
                    return plans;
                }
                let mut rivals = self.rivals(&group, dimension);
                for (parts, union) in rivals.matched(&mut self.looks) {
                    for side in 0..2 {
                        for index in &parts[side] {
                            self.states[side].planned[*index as usize] = parts[1 - side][0];
                        }
                    }
                    plans.push(Plan { dimension, parts, union });
                }
            }
        }
        plans
    }

    /// The ranges of the lines of a group in the dimension in which they differ.
    fn rivals(&self, group: &Group, dimension: u32) -> Rivals {
        let sides = [0, 1].map(|side| {
            let lines = group[side].iter();
            lines.map(|index| (*index, self.ranges(side, *index, dimension))).collect()
        });
        Rivals { sides }
    }

    /// Joins lines of one side that touch, so that they may become alike in another dimension.
    fn join_neighbours(&mut self) -> usize {
        let mut joined = 0;
        for dimension in 0..self.classes.len() as u32 {
            if self.looks.are_over() {
                return joined;
            }
            for mut group in self.groups(dimension) {
                if self.looks.are_over() {
                    return joined;
                }
                for side in 0..2 {
                    let mut alone = Group::default();
                    alone[side] = std::mem::take(&mut group[side]);
                    let Rivals { sides } = self.rivals(&alone, dimension);
                    for members in connected(&sides, 1) {
                        let members = members[side].iter().map(|at| &sides[side][*at]);
                        let parts: Vec<u32> = members.clone().map(|member| member.0).collect();
                        if parts.len() < 2 {
                            continue;
                        }
                        if let Some(anchor) = self.anchor(side, &parts) {
                            let union = union(members.map(|member| &member.1));
                            self.join(side, &parts, anchor, (dimension, &union));
                            joined += 1;
                        }
                    }
                }
            }
        }
        joined
    }

    /// The ranges of a line in a dimension.
    fn ranges(&self, side: usize, index: u32, dimension: u32) -> Vec<(u32, u32)> {
        let cells = self.lines.cells(self.line(side, index));
        match cells.iter().find(|cell| cell.dimension == dimension) {
            Some(cell) => self.lines.ranges(cell).to_vec(),
            None => vec![(0, self.classes[dimension as usize] - 1)],
        }
    }

    /// One of the lines to which all others can move by changes of place; they have one outcome and
    /// ascend.
    fn anchor(&mut self, side: usize, parts: &[u32]) -> Option<u32> {
        let (&first, &last) = (parts.first()?, parts.last()?);
        let stretch = &self.states[side].stretch;
        if stretch[first as usize] != stretch[last as usize] {
            return None;
        }
        // How far up and how far down each line gets.
        let mut reach = Vec::with_capacity(parts.len());
        for &part in parts {
            let up = self.stopped(side, part, (first..part).rev());
            let down = self.stopped(side, part, part + 1..last);
            reach.push((part, up, down));
        }
        parts.iter().copied().find(|anchor| {
            reach.iter().all(|(part, up, down)| match part.cmp(anchor) {
                std::cmp::Ordering::Less => down.is_none_or(|stop| stop > *anchor),
                std::cmp::Ordering::Equal => true,
                std::cmp::Ordering::Greater => up.is_none_or(|stop| stop < *anchor),
            })
        })
    }

    /// The first of some lines with which a line cannot change places.
    fn stopped(
        &mut self,
        side: usize,
        line: u32,
        mut past: impl Iterator<Item = u32>,
    ) -> Option<u32> {
        let mut looked = 0;
        let most = if self.looks.stop.is_given() { 0 } else { self.looks.left };
        let stop = past.find(|&other| {
            looked += 1;
            // With no work left nothing moves.
            looked > most
                || (self.states[side].alive[other as usize]
                    && !self.lines.commute(self.line(side, line), self.line(side, other)))
        });
        self.looks.spend(looked);
        stop
    }

    /// Joins lines into one of them.
    fn join(
        &mut self,
        side: usize,
        parts: &[u32],
        anchor: u32,
        (dimension, union): (u32, &[(u32, u32)]),
    ) {
        if parts.len() == 1 {
            return;
        }
        let set = (*union != [(0, self.classes[dimension as usize] - 1)]).then(|| self.set(union));
        let others = parts.iter().copied().filter(|part| *part != anchor);
        self.lines.join((side, anchor), others.clone(), (dimension, set));
        for other in others {
            self.states[side].alive[other as usize] = false;
        }
    }

    fn set(&mut self, ranges: &[(u32, u32)]) -> u32 {
        let sets = &mut self.lines.sets;
        let known = self.known.get_or_insert_with(|| sets.iter().cloned().zip(0..).collect());
        *known.entry(ranges.into()).or_insert_with_key(|set| {
            sets.push(set.clone());
            sets.len() as u32 - 1
        })
    }

    /// Drops odd lines that an earlier one covers.
    fn drop_covered(&mut self) -> usize {
        let mut dropped = 0;
        for side in 0..2 {
            let odd = self.odd(side);
            let index = Index::new(self.lines, side, &self.states[side].alive, &self.classes);
            for line in odd {
                let state = &self.states[side];
                let stretch = state.stretch[line as usize];
                let start = state.stretch.partition_point(|other| *other < stretch) as u32;
                let mut looked = 0;
                let covered = index.covering(self.lines, (side, line), start).any(|other| {
                    looked += 1;
                    state.alive[other as usize]
                        && self.lines.covers(self.line(side, other), self.line(side, line))
                });
                if covered {
                    self.states[side].alive[line as usize] = false;
                    dropped += 1;
                }
                self.looks.spend(looked);
                if self.looks.are_over() {
                    return 0;
                }
            }
        }
        dropped
    }

    /// Moves lines of the new side up, to where their likes of the old side stand. Returns where
    /// each line is now.
    fn sort(&mut self) -> Vec<u32> {
        let state = &self.states[1];
        let rank = |index: u32| match state.partner[index as usize] {
            NONE => state.planned[index as usize],
            partner => partner,
        };
        let mut order: Vec<u32> = Vec::with_capacity(state.alive.len());
        let (mut start, mut stretch) = (0, 0);
        for index in self.alive(1) {
            if state.stretch[index as usize] != stretch {
                (start, stretch) = (order.len(), state.stretch[index as usize]);
            }
            let mut best = order.len();
            let to = rank(index);
            if to != NONE && !self.looks.are_over() {
                for at in (start..order.len()).rev() {
                    let before = rank(order[at]);
                    if before != NONE && before <= to
                        || !self.lines.commute(self.line(1, index), self.line(1, order[at]))
                    {
                        break;
                    }
                    self.looks.spend(1);
                    if before != NONE {
                        best = at;
                    }
                }
            }
            order.insert(best, index);
        }
        self.keep(1, &order)
    }

    /// The lines that are still there.
    fn alive(&self, side: usize) -> Vec<u32> {
        let alive = (0..).zip(&self.states[side].alive);
        alive.filter(|(_, alive)| **alive).map(|(index, _)| index).collect()
    }

    /// Keeps these lines of a side, in this order. Returns where each line is now.
    fn keep(&mut self, side: usize, order: &[u32]) -> Vec<u32> {
        let state = &self.states[side];
        let mut now = vec![NONE; state.alive.len()];
        for (at, index) in (0..).zip(order) {
            now[*index as usize] = at;
        }
        // Nothing leaves its stretch, and every place a skip leads to begins one.
        let mut before = vec![0; state.alive.len() + 1];
        for (at, alive) in state.alive.iter().enumerate() {
            before[at + 1] = before[at] + u32::from(*alive);
        }
        let lines = &mut self.lines.sides[side];
        let kept = order.iter().map(|index| {
            let mut line = lines[*index as usize].clone();
            if let LineStep::Skip(to) = &mut line.step {
                *to = before[*to as usize];
            }
            line
        });
        *lines = kept.collect();
        let kept = |of: &[u32]| order.iter().map(|index| of[*index as usize]).collect();
        self.states[side] = State {
            partner: kept(&state.partner),
            planned: kept(&state.planned),
            alive: vec![true; order.len()],
            stretch: kept(&state.stretch),
        };
        let State { partner, planned, .. } = &mut self.states[1 - side];
        for other in partner.iter_mut().chain(planned).filter(|other| **other != NONE) {
            *other = now[*other as usize];
        }
        now
    }
}
