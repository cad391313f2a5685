//! The entries of both lists laid out for looking at them often, and how two of them relate.

use crate::outcome::Outcomes;
use crate::problem::{Problem, Set, Step};

/// A set of an entry: the dimension it narrows, and where in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) dimension: u32,
    pub(crate) set: u32,
    /// From its first class to its last.
    pub(crate) hull: (u32, u32),
    /// Whether it has gaps.
    pub(crate) gaps: bool,
}

/// An entry, or several that were joined.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its cells, for [`Lines::cells_at`].
    pub(crate) cells: (u32, u32),
    pub(crate) step: LineStep,
    /// Index of the entry in the list it comes from.
    entry: u32,
    /// Further entries it stands for.
    more: Vec<u32>,
}

/// What a line does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LineStep {
    /// The outcome, by number.
    Decide(u32),
    /// Index of the line of the same side at which to go on.
    Skip(u32),
}

impl Line {
    /// Whether it stands for several entries.
    pub(crate) fn is_joined(&self) -> bool {
        !self.more.is_empty()
    }

    /// The entries it stands for: their sets together are its own.
    pub(crate) fn entries(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.entry).chain(self.more.iter().copied())
    }
}

/// Both lists.
#[derive(Debug)]
pub(crate) struct Lines {
    cells: Vec<Cell>,
    pub(crate) sets: Vec<Set>,
    /// Old and new.
    pub(crate) sides: [Vec<Line>; 2],
}

impl Lines {
    pub(crate) fn new(problem: &Problem, outcomes: &Outcomes) -> Self {
        let mut lines = Self { cells: vec![], sets: problem.sets.clone(), sides: [vec![], vec![]] };
        for (side, list) in [&problem.old, &problem.new].into_iter().enumerate() {
            lines.sides[side].reserve_exact(list.entries.len());
            for (index, entry) in (0..).zip(&list.entries) {
                let step = match entry.step {
                    Step::Decide(outcome) => LineStep::Decide(outcomes.number(outcome)),
                    Step::Skip(to) => LineStep::Skip(to.min(list.entries.len() as u32)),
                };
                let sets = entry.sets.iter().map(|(dimension, set)| (dimension.0, set.0));
                let cells = lines.push_cells(sets);
                lines.sides[side].push(Line { cells, step, entry: index, more: vec![] });
            }
        }
        lines
    }

    fn push_cells(&mut self, sets: impl Iterator<Item = (u32, u32)>) -> (u32, u32) {
        let start = self.cells.len() as u32;
        for (dimension, set) in sets {
            let ranges = &self.sets[set as usize];
            let hull = ranges.first().zip(ranges.last()).map_or((1, 0), |(a, b)| (a.0, b.1));
            self.cells.push(Cell { dimension, set, hull, gaps: ranges.len() > 1 });
        }
        (start, self.cells.len() as u32)
    }

    /// The cells of a line, by ascending dimension.
    pub(crate) fn cells(&self, line: &Line) -> &[Cell] {
        self.cells_at(line.cells)
    }

    /// The cells that stand there.
    pub(crate) fn cells_at(&self, (from, to): (u32, u32)) -> &[Cell] {
        &self.cells[from as usize..to as usize]
    }

    /// The ranges of a cell.
    pub(crate) fn ranges<'a>(&'a self, cell: &'a Cell) -> &'a [(u32, u32)] {
        if cell.gaps { &self.sets[cell.set as usize] } else { std::slice::from_ref(&cell.hull) }
    }

    /// Makes a line stand for others too; its set in a dimension becomes `set`, which is every
    /// class if absent.
    pub(crate) fn join(
        &mut self,
        (side, line): (usize, u32),
        others: impl Iterator<Item = u32>,
        (dimension, set): (u32, Option<u32>),
    ) {
        let line = line as usize;
        let mut sets: Vec<(u32, u32)> = self
            .cells(&self.sides[side][line])
            .iter()
            .filter(|cell| cell.dimension != dimension)
            .map(|cell| (cell.dimension, cell.set))
            .collect();
        sets.extend(set.map(|set| (dimension, set)));
        sets.sort_unstable();
        let cells = self.push_cells(sets.into_iter());
        let more: Vec<u32> =
            others.flat_map(|other| self.sides[side][other as usize].entries()).collect();
        let line = &mut self.sides[side][line];
        line.cells = cells;
        line.more.extend(more);
    }

    /// Whether the order of two neighbours does not matter.
    pub(crate) fn commute(&self, one: &Line, other: &Line) -> bool {
        match (one.step, other.step) {
            (LineStep::Decide(a), LineStep::Decide(b)) => a == b || self.apart(one, other),
            _ => false,
        }
    }

    /// Whether no point matches both.
    fn apart(&self, one: &Line, other: &Line) -> bool {
        let mut others = self.cells(other);
        self.cells(one).iter().any(|cell| {
            while let Some((first, rest)) = others.split_first()
                && first.dimension < cell.dimension
            {
                others = rest;
            }
            let same = others.first().filter(|other| other.dimension == cell.dimension);
            same.is_some_and(|other| {
                let ((a, b), (c, d)) = (cell.hull, other.hull);
                b < c
                    || d < a
                    || ((cell.gaps || other.gaps)
                        && cell.set != other.set
                        && !overlap(self.ranges(cell), self.ranges(other)))
            })
        })
    }

    /// Whether every point that matches `inner` matches `outer`.
    pub(crate) fn covers(&self, outer: &Line, inner: &Line) -> bool {
        let mut inners = self.cells(inner);
        self.cells(outer).iter().all(|cell| {
            while let Some((first, rest)) = inners.split_first()
                && first.dimension < cell.dimension
            {
                inners = rest;
            }
            let same = inners.first().filter(|inner| inner.dimension == cell.dimension);
            same.is_some_and(|inner| {
                let ((a, b), (c, d)) = (cell.hull, inner.hull);
                a <= c
                    && d <= b
                    && (!cell.gaps
                        || cell.set == inner.set
                        || within(self.ranges(inner), self.ranges(cell)))
            })
        })
    }
}

fn overlap(one: &[(u32, u32)], other: &[(u32, u32)]) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    few.iter().any(|range| {
        let at = many.partition_point(|other| other.1 < range.0);
        many.get(at).is_some_and(|other| other.0 <= range.1)
    })
}

/// Whether all of a set is in another.
pub(crate) fn within(inner: &[(u32, u32)], outer: &[(u32, u32)]) -> bool {
    inner.iter().all(|range| {
        let at = outer.partition_point(|outer| outer.1 < range.1);
        outer.get(at).is_some_and(|outer| outer.0 <= range.0)
    })
}
