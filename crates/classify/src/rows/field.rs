//! One field of the key → the row of rules that may match it.

use super::bitmap::{RowId, Rows, RowsBuilder};
use crate::bits::BitSet;
use crate::wanted::Wanted;

/// Intervals of an ordered field. Where there are more intervals than the limit, neighbours share a
/// row: it then holds every rule that may match anywhere in it, and the exact check sorts them out.
#[derive(Debug)]
pub(crate) struct Intervals<T> {
    /// First value of each interval; the first one is the field's minimum.
    starts: Vec<T>,
    rows: Vec<RowId>,
}

impl<T: Copy + Ord> Intervals<T> {
    /// `None` when no rule restricts the field.
    pub(crate) fn build(
        wanted: &[Wanted<T>],
        min: T,
        after: impl Fn(T) -> Option<T>,
        most: usize,
        rows: &mut RowsBuilder,
    ) -> Option<Self> {
        let mut current = rows.blank();
        let mut edges: Vec<(T, u32, bool)> = Vec::new();
        for (rule, wanted) in wanted.iter().enumerate() {
            match wanted {
                Wanted::Anything => current.set(rule),
                Wanted::Ranges(ranges) => {
                    for &(first, last) in ranges {
                        edges.push((first, rule as u32, true));
                        edges.extend(after(last).map(|next| (next, rule as u32, false)));
                    }
                }
            }
        }
        if wanted.iter().all(|wanted| matches!(wanted, Wanted::Anything)) {
            return None;
        }
        // At one value ranges end before others begin, so that touching ranges of a rule stay set.
        edges.sort_unstable_by_key(|&(value, rule, begins)| (value, begins, rule));
        let distinct = 1 + edges.chunk_by(|a, b| a.0 == b.0).count();
        let share = distinct.div_ceil(most.max(1));

        let mut built = Self { starts: vec![min], rows: Vec::new() };
        let mut held = current.clone();
        let mut in_interval = 1;
        for group in edges.chunk_by(|a, b| a.0 == b.0) {
            let value = group[0].0;
            apply(group, &mut current);
            if value == min {
                held.clone_from(&current);
            } else if in_interval < share {
                in_interval += 1;
                group.iter().filter(|edge| edge.2).for_each(|edge| held.set(edge.1 as usize));
            } else {
                built.rows.push(rows.add(&held));
                built.starts.push(value);
                held.clone_from(&current);
                in_interval = 1;
            }
        }
        built.rows.push(rows.add(&held));
        Some(built)
    }

    pub(crate) fn row(&self, value: T) -> RowId {
        let at = self.starts.partition_point(|start| *start <= value);
        self.rows[at.saturating_sub(1)]
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<T>() + self.rows.capacity() * size_of::<RowId>()
    }
}

fn apply<T>(edges: &[(T, u32, bool)], current: &mut BitSet) {
    for (_, rule, begins) in edges {
        if *begins {
            current.set(*rule as usize);
        } else {
            current.clear(*rule as usize);
        }
    }
}

/// A field of few values, each with its own row; the last row stands for *not stated*.
#[derive(Debug)]
pub(crate) struct Table(Vec<RowId>);

impl Table {
    /// `None` when no rule restricts the field.
    pub(crate) fn build(
        rules: usize,
        values: u32,
        may_match: impl Fn(usize, Option<u32>) -> bool,
        rows: &mut RowsBuilder,
    ) -> Option<Self> {
        let restricted = |rule| (0..values).any(|value| !may_match(rule, Some(value)));
        if !(0..rules).any(restricted) {
            return None;
        }
        let ids = (0..values).map(Some).chain([None]).map(|value| {
            let mut set = rows.blank();
            (0..rules).filter(|rule| may_match(*rule, value)).for_each(|rule| set.set(rule));
            rows.add(&set)
        });
        Some(Self(ids.collect()))
    }

    pub(crate) fn row(&self, value: Option<u32>) -> Option<RowId> {
        let unknown = self.0.last();
        value.and_then(|value| self.0.get(value as usize)).or(unknown).copied()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<RowId>()
    }
}

/// The rows of one packet's fields.
#[derive(Clone, Copy)]
pub(crate) struct Selected {
    ids: [RowId; Self::MOST],
    count: usize,
}

impl Selected {
    const MOST: usize = 10;

    pub(crate) fn new(placeholder: RowId) -> Self {
        Self { ids: [placeholder; Self::MOST], count: 0 }
    }

    pub(crate) fn push(&mut self, row: Option<RowId>) {
        if let (Some(row), Some(slot)) = (row, self.ids.get_mut(self.count)) {
            *slot = row;
            self.count += 1;
        }
    }

    pub(crate) fn first_common(&self, rows: &Rows, from: usize) -> Option<usize> {
        rows.first_common(&self.ids[..self.count], from)
    }
}
