//! Values that the same rules want belong to one class.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::bits::BitSet;
use crate::wanted::Wanted;

/// Numbers distinct rows of rules in the order they are met.
pub(crate) struct Classes {
    known: HashMap<BitSet, u16, FixedState>,
    rows: Vec<BitSet>,
    most: usize,
}

/// Classes over an ordered field: each starts where the one before ends; the first one is the
/// field's minimum.
pub(crate) struct Intervals<T> {
    pub(crate) starts: Vec<T>,
    pub(crate) classes: Vec<u16>,
}

impl Classes {
    /// Room for `most` classes.
    pub(crate) fn new(most: usize) -> Self {
        Self { known: HashMap::default(), rows: Vec::new(), most: most.min(u16::MAX.into()) }
    }

    /// The class of a row; `None` when it would be one too many.
    pub(crate) fn of(&mut self, row: &BitSet) -> Option<u16> {
        if let Some(&class) = self.known.get(row) {
            return Some(class);
        }
        if self.rows.len() >= self.most {
            return None;
        }
        let class = self.rows.len() as u16;
        self.known.insert(row.clone(), class);
        self.rows.push(row.clone());
        Some(class)
    }

    /// The rows, by class.
    pub(crate) fn rows(&self) -> &[BitSet] {
        &self.rows
    }

    /// Divides a field. `wanted` has an element for each rule; `after` is a value's successor.
    /// `None` when there would be too many classes. `O(ranges × (log ranges + rules / 64))`.
    pub(crate) fn divide<T: Copy + Ord>(
        &mut self,
        wanted: &[Wanted<T>],
        min: T,
        after: impl Fn(T) -> Option<T>,
    ) -> Option<Intervals<T>> {
        let mut row = BitSet::empty(wanted.len());
        let mut edges: Vec<(T, bool, usize)> = Vec::new();
        for (rule, wanted) in wanted.iter().enumerate() {
            match wanted {
                Wanted::Anything => row.set(rule),
                Wanted::Ranges(ranges) => {
                    for &(first, last) in ranges {
                        edges.push((first, true, rule));
                        edges.extend(after(last).map(|next| (next, false, rule)));
                    }
                }
            }
        }
        // At one value ranges end before others begin, so that touching ranges of a rule stay set.
        edges.sort_unstable();
        let mut found = Intervals { starts: Vec::new(), classes: Vec::new() };
        if edges.first().is_none_or(|edge| edge.0 > min) {
            found.starts.push(min);
            found.classes.push(self.of(&row)?);
        }
        for group in edges.chunk_by(|a, b| a.0 == b.0) {
            for &(_, begins, rule) in group {
                if begins {
                    row.set(rule);
                } else {
                    row.clear(rule);
                }
            }
            let class = self.of(&row)?;
            if found.classes.last() != Some(&class) {
                found.starts.push(group[0].0);
                found.classes.push(class);
            }
        }
        Some(found)
    }
}

impl<T: Copy + Ord> Intervals<T> {
    /// The class of a value. `O(log intervals)`.
    pub(crate) fn class(&self, value: T) -> u16 {
        let at = self.starts.partition_point(|start| *start <= value);
        self.classes[at.saturating_sub(1)]
    }

    /// Whether another interval starts between `first` and `last`, `first` itself not counted.
    pub(crate) fn is_divided(&self, first: T, last: T) -> bool {
        let at = self.starts.partition_point(|start| *start <= first);
        self.starts.get(at).is_some_and(|start| *start <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_the_same_rules_want_share_a_class() {
        let wanted = [
            Wanted::Ranges(vec![(10u16, 20), (21, 30)]),
            Wanted::Anything,
            Wanted::Ranges(vec![(15, 15), (u16::MAX, u16::MAX)]),
        ];
        let mut classes = Classes::new(100);
        let field = classes.divide(&wanted, 0, |port| port.checked_add(1)).unwrap();
        assert_eq!(field.starts, [0, 10, 15, 16, 31, u16::MAX]);
        assert_eq!(field.classes, [0, 1, 2, 1, 0, 3]);
        assert_eq!((field.class(20), field.class(0), field.class(u16::MAX)), (1, 0, 3));
        assert!(field.is_divided(10, 15) && !field.is_divided(16, 30));
        assert!(Classes::new(3).divide(&wanted, 0, |port| port.checked_add(1)).is_none());
    }
}
