//! A box of the space with the entries of both lists that matter on it.

use crate::align::Merged;
use crate::lines::{Cell, Line, LineStep, Lines};
use crate::outcome::Outcomes;
use crate::problem::Problem;

/// Both lists, merged, with what is needed to look an entry up.
#[derive(Debug)]
pub(crate) struct Lists<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) outcomes: Outcomes,
    pub(crate) lines: Lines,
    pub(crate) merged: Vec<Merged>,
    spots: Vec<Spot>,
}

/// What is looked at again and again of a line of the merged list.
#[derive(Debug)]
struct Spot {
    cells: (u32, u32),
    /// On each side the outcome, by number, or none.
    outcome: [Option<u32>; 2],
}

impl<'a> Lists<'a> {
    pub(crate) fn new(
        problem: &'a Problem,
        outcomes: Outcomes,
        lines: Lines,
        merged: Vec<Merged>,
    ) -> Self {
        let spots = merged.iter().map(|merged| {
            let on = |side: usize| merged.index[side].map(|at| &lines.sides[side][at as usize]);
            let outcome = [0, 1].map(|side| match on(side)?.step {
                LineStep::Decide(outcome) => Some(outcome),
                LineStep::Skip(_) => None,
            });
            // The sets of either side are the same.
            let cells = on(0).or_else(|| on(1)).map_or((0, 0), |line| line.cells);
            Spot { cells, outcome }
        });
        let spots = spots.collect();
        Self { problem, outcomes, lines, merged, spots }
    }

    /// The line of a side at a place of the merged list.
    pub(crate) fn line(&self, place: u32, side: usize) -> Option<&Line> {
        let index = self.merged[place as usize].index[side];
        index.map(|at| &self.lines.sides[side][at as usize])
    }

    /// The outcome, by number, of a line that decides.
    pub(crate) fn outcome(&self, place: u32, side: usize) -> Option<u32> {
        self.spots[place as usize].outcome[side]
    }

    /// The sets of a line of the merged list.
    fn cells(&self, place: u32) -> &[Cell] {
        self.lines.cells_at(self.spots[place as usize].cells)
    }

    /// The set of an item in a dimension; absent if it does not narrow it.
    fn cell(&self, item: &Item, dimension: usize) -> Option<&Cell> {
        self.cells(item.place).iter().find(|cell| cell.dimension as usize == dimension)
    }

    /// The ranges of an item in a dimension, clipped to an interval that it meets.
    pub(crate) fn ranges<'s>(
        &'s self,
        item: &Item,
        dimension: usize,
        area: (u32, u32),
    ) -> impl Iterator<Item = (u32, u32)> + use<'s, 'a> {
        let cell = self.cell(item, dimension);
        let ranges = cell.map_or(&[(0, u32::MAX)][..], |cell| self.lines.ranges(cell));
        let from = ranges.partition_point(|range| range.1 < area.0);
        let met = ranges[from..].iter().take_while(move |range| range.0 <= area.1);
        met.map(move |range| (range.0.max(area.0), range.1.min(area.1)))
    }

    /// What a set matches of an interval.
    fn slice(&self, cell: &Cell, area: (u32, u32)) -> Option<Slice> {
        if cell.gaps {
            return slice(self.lines.ranges(cell), area);
        }
        let only = (cell.hull.0.max(area.0), cell.hull.1.min(area.1));
        (only.0 <= only.1).then_some(Slice { first: only, middle: only, last: only })
    }
}

/// An entry that meets the box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// Where it stands in the merged list.
    pub(crate) place: u32,
    /// The sides on which it still matters, old and new.
    pub(crate) on: [bool; 2],
    /// Whether it stands for one entry on both sides. It stays so if it stops mattering on a side
    /// because whatever is left there does the same: such an entry may as well be kept.
    paired: bool,
    /// How many of its sets do not hold the whole box.
    narrow: u32,
}

impl Item {
    /// Whether it stands for one entry on both sides.
    pub(crate) fn is_paired(&self) -> bool {
        self.paired
    }

    /// The box narrows in a dimension; whether the item still meets it.
    fn restrict(
        &mut self,
        lists: &Lists<'_>,
        dimension: usize,
        (from, to): ((u32, u32), (u32, u32)),
    ) -> bool {
        let Some(cell) = lists.cell(self, dimension) else { return true };
        let Some(part) = lists.slice(cell, to) else { return false };
        let covered = || lists.slice(cell, from).is_some_and(|part| part.first == from);
        if part.first == to && !covered() {
            self.narrow -= 1;
        }
        true
    }

    /// No point of the box gets here on this side, which is not so on the other.
    fn skipped_on(&mut self, side: usize) {
        self.on[side] = false;
        self.paired = false;
    }
}

/// A box, and what is left of both lists on it.
#[derive(Debug)]
pub(crate) struct Node {
    /// For each dimension, the classes from and to.
    pub(crate) area: Vec<(u32, u32)>,
    /// What is left of the lists, in order.
    pub(crate) items: Vec<Item>,
}

/// The parts of a set within an interval: the first and the last range, clipped, and one between.
pub(crate) struct Slice {
    pub(crate) first: (u32, u32),
    middle: (u32, u32),
    last: (u32, u32),
}

pub(crate) fn slice(ranges: &[(u32, u32)], (low, high): (u32, u32)) -> Option<Slice> {
    let from = ranges.partition_point(|range| range.1 < low);
    let to = ranges.partition_point(|range| range.0 <= high);
    let ranges = ranges.get(from..to)?;
    let clip = |range: &(u32, u32)| (range.0.max(low), range.1.min(high));
    let (first, last) = (clip(ranges.first()?), clip(ranges.last()?));
    Some(Slice { first, middle: clip(&ranges[ranges.len() / 2]), last })
}

impl Node {
    /// The whole space.
    pub(crate) fn root(lists: &Lists<'_>) -> Self {
        let dimensions = &lists.problem.dimensions;
        let items = (0..).zip(&lists.merged).map(|(place, merged)| {
            let narrow = lists.cells(place).len() as u32;
            let on = merged.index.map(|index| index.is_some());
            Item { place, on, paired: on == [true; 2], narrow }
        });
        let mut root = Self { area: vec![(0, u32::MAX); dimensions.len()], items: items.collect() };
        for (at, dimension) in dimensions.iter().enumerate() {
            root.restrict(lists, at, (0, dimension.classes() - 1));
        }
        root
    }

    /// Narrows the box in one dimension, and drops what misses it.
    pub(crate) fn restrict(&mut self, lists: &Lists<'_>, dimension: usize, to: (u32, u32)) {
        let from = std::mem::replace(&mut self.area[dimension], to);
        self.items.retain_mut(|item| item.restrict(lists, dimension, (from, to)));
    }

    /// Takes away what no point of the box reaches. Returns for each side the place of the entry
    /// that holds the whole box and that no skip goes past, if there is one: its last.
    pub(crate) fn settle(&mut self, lists: &Lists<'_>) -> [Option<u32>; 2] {
        let mut closing = [None; 2];
        for (side, closing) in closing.iter_mut().enumerate() {
            // Where every point goes on, and up to where some point may have gone on.
            let (mut resume, mut bypass) = (0, 0);
            for item in self.items.iter_mut().filter(|item| item.on[side]) {
                let certain = item.narrow == 0 && item.place >= bypass;
                if closing.is_some() {
                    item.on[side] = false;
                } else if item.place < resume {
                    item.skipped_on(side);
                } else if lists.outcome(item.place, side).is_none() {
                    let target = lists.merged[item.place as usize].target[side];
                    if certain {
                        resume = target;
                        item.skipped_on(side);
                    } else {
                        bypass = bypass.max(target);
                    }
                } else if certain {
                    *closing = Some(item.place);
                }
            }
        }
        self.drop_done();
        closing
    }

    /// Takes away, from behind, what does the same as the item that closes the side.
    pub(crate) fn trim(&mut self, lists: &Lists<'_>, closing: [Option<u32>; 2]) {
        for (side, closing) in closing.into_iter().enumerate() {
            let Some(closing) = closing else { continue };
            let decided = lists.outcome(closing, side);
            for item in self.items.iter_mut().rev() {
                if !item.on[side] || item.place == closing {
                    continue;
                }
                // No skip goes past the closing item, so that one with nothing else behind it
                // leads to the same outcome as what it skips.
                let outcome = lists.outcome(item.place, side);
                if outcome.is_some() && outcome != decided {
                    break;
                }
                item.on[side] = false;
            }
        }
        self.drop_done();
    }

    fn drop_done(&mut self) {
        self.items.retain(|item| item.on != [false; 2]);
    }

    /// The items that stand for an entry of one side only.
    pub(crate) fn unpaired(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| !item.paired)
    }

    /// The dimensions in which some item does not hold all of the box, ascending. There may be
    /// hundreds that nothing left here narrows: a condition without a value is one each.
    pub(crate) fn narrowed(&self, lists: &Lists<'_>, room: &mut Vec<bool>) -> Vec<usize> {
        room.clear();
        room.resize(self.area.len(), false);
        for item in self.items.iter().filter(|item| item.narrow > 0) {
            for cell in lists.cells(item.place) {
                let (at, area) = (cell.dimension as usize, self.area[cell.dimension as usize]);
                room[at] |= lists.slice(cell, area).is_none_or(|part| part.first != area);
            }
        }
        let narrowed = room.iter().enumerate().filter(|(_, narrowed)| **narrowed);
        narrowed.map(|(at, _)| at).collect()
    }

    /// How many items are left on a side.
    pub(crate) fn left_on(&self, side: usize) -> usize {
        self.items.iter().filter(|item| item.on[side]).count()
    }

    /// Narrows the box to the hull of the unpaired items, outside of which both sides agree.
    /// Returns the box as it was, if that took anything away.
    pub(crate) fn shrink(&mut self, lists: &Lists<'_>) -> Option<Vec<(u32, u32)>> {
        if self.unpaired().any(|item| item.narrow == 0) {
            return None;
        }
        let mut hulls: Vec<Option<(u32, u32)>> = vec![None; self.area.len()];
        for item in self.unpaired() {
            for (hull, (at, area)) in hulls.iter_mut().zip(self.area.iter().enumerate()) {
                let part = lists.cell(item, at).and_then(|cell| lists.slice(cell, *area));
                let (low, high) = part.map_or(*area, |part| (part.first.0, part.last.1));
                let (from, to) = hull.unwrap_or((low, high));
                *hull = Some((from.min(low), to.max(high)));
            }
        }
        let from = self.area.clone();
        for (at, hull) in hulls.into_iter().enumerate() {
            if let Some(hull) = hull.filter(|hull| *hull != self.area[at]) {
                self.restrict(lists, at, hull);
            }
        }
        (from != self.area).then_some(from)
    }

    /// Where to cut: the dimension, and the class behind which. Of the ends of the sets, the one
    /// that leaves the least, by the sum of the squares of what either part still meets.
    pub(crate) fn cut(&self, lists: &Lists<'_>, room: &mut Ends) -> Option<(usize, u32)> {
        let mut best = None;
        let all = self.items.len() as u64;
        for at in self.narrowed(lists, &mut room.narrowed) {
            let (low, high) = self.area[at];
            let Ends { first: starts, last: ends, cuts: candidates, .. } = &mut *room;
            for list in [&mut *starts, ends, candidates] {
                list.clear();
            }
            for item in self.items.iter().filter(|item| item.narrow > 0) {
                let cell = lists.cell(item, at);
                let Some(cell) =
                    cell.filter(|cell| cell.gaps || cell.hull.0 > low || cell.hull.1 < high)
                else {
                    continue;
                };
                let Some(part) = lists.slice(cell, (low, high)) else { continue };
                starts.push(part.first.0);
                ends.push(part.last.1);
                // The ends of three ranges bound what an item costs here, and still halve a set of
                // many ranges.
                let parts = [part.first, part.middle, part.last];
                for (from, to) in parts.into_iter().take(if cell.gaps { 3 } else { 1 }) {
                    candidates.extend(from.checked_sub(1).filter(|cut| *cut >= low));
                    candidates.extend(Some(to).filter(|cut| *cut < high));
                }
            }
            for list in [&mut *starts, ends, candidates] {
                list.sort_unstable();
            }
            candidates.dedup();
            let (mut started, mut ended) = (0, 0);
            for &cut in &*candidates {
                started += starts[started..].iter().take_while(|start| **start <= cut).count();
                ended += ends[ended..].iter().take_while(|end| **end <= cut).count();
                let lower = all - (starts.len() - started) as u64;
                let upper = all - ended as u64;
                let wider = (cut - low).max(high - cut);
                let cost = (lower * lower + upper * upper, wider, at, cut);
                best = Some(best.map_or(cost, |best| cost.min(best)));
            }
        }
        best.map(|(_, _, at, cut)| (at, cut))
    }

    /// Cuts the box behind a class; what is left is the lower part, and the upper is returned.
    pub(crate) fn split(&mut self, lists: &Lists<'_>, (at, cut): (usize, u32)) -> Self {
        let (low, high) = self.area[at];
        let above = ((low, high), (cut + 1, high));
        let meet = |item: &Item| {
            let mut item = *item;
            item.restrict(lists, at, above).then_some(item)
        };
        let mut upper =
            Self { area: self.area.clone(), items: self.items.iter().filter_map(meet).collect() };
        upper.area[at] = above.1;
        self.restrict(lists, at, (low, cut));
        upper
    }
}

/// Room for the ends of sets, kept from one box to the next.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    first: Vec<u32>,
    last: Vec<u32>,
    cuts: Vec<u32>,
    narrowed: Vec<bool>,
}
