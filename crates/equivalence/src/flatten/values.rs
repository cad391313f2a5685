//! Sets of numbers, and products of them: what an entry matches before values become classes.

use std::collections::BTreeMap;
use std::sync::Arc;

use parefeu_policy::set::Ranges;

use crate::Field;

/// A set of numbers that many entries share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Values(Arc<Ranges>);

impl Values {
    /// One number.
    pub(super) fn single(value: u128) -> Self {
        Self(Arc::new(Ranges::one(value)))
    }

    /// The numbers of all ranges; they may overlap and come in any order.
    pub(super) fn of(ranges: impl IntoIterator<Item = (u128, u128)>) -> Self {
        Self(Arc::new(ranges.into_iter().collect()))
    }

    /// The ranges, ascending.
    pub(super) fn ranges(&self) -> &[(u128, u128)] {
        self.0.as_slice()
    }

    /// Whether no number is in the set.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every number of `0..=last` is in the set.
    pub(super) fn is_full(&self, last: u128) -> bool {
        *self.ranges() == [(0, last)]
    }

    /// The numbers of `0..=last` that are not in the set.
    pub(super) fn complement(&self, last: u128) -> Self {
        Self(Arc::new(Ranges::span(0, last).difference(&self.0)))
    }

    /// Whether some number is in both sets.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.overlaps(&other.0)
    }

    /// Whether every number of `other` is in this set.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.0.covers(&other.0)
    }

    /// The numbers in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        Self(Arc::new(self.0.intersection(&other.0)))
    }
}

/// A product of sets, none of them empty; a field not listed may have every value.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Region(BTreeMap<Field, Values>);

impl Region {
    /// The sets, by ascending field.
    pub(super) fn sets(&self) -> &BTreeMap<Field, Values> {
        &self.0
    }

    /// Every packet.
    pub(super) const EVERYTHING: Self = Self(BTreeMap::new());

    /// What is left without `other`, where that is a product too: where `other` holds this one in
    /// all fields but one. Else all of it.
    pub(super) fn without(&self, other: &Self) -> Self {
        let narrower = |(field, values): &(&Field, &Values)| {
            self.0.get(*field).is_none_or(|own| !values.covers(own))
        };
        let mut fields = other.0.iter().filter(narrower);
        match (fields.next(), fields.next()) {
            (Some((field, values)), None) => {
                let rest = values.complement(u128::MAX);
                self.clone().narrowed(field.clone(), &rest).unwrap_or_else(|| self.clone())
            }
            _ => self.clone(),
        }
    }

    /// The part in which `field` has one of the values; `None` when there is none.
    pub(super) fn narrowed(mut self, field: Field, values: &Values) -> Option<Self> {
        let both = match self.0.get(&field) {
            Some(known) => known.intersection(values),
            None => values.clone(),
        };
        if both.is_empty() {
            return None;
        }
        self.0.insert(field, both);
        Some(self)
    }

    /// What is in both; `None` when nothing is.
    pub(super) fn intersection(&self, other: &Self) -> Option<Self> {
        // Most pairs share nothing, and are told apart before anything is copied.
        let apart = |(field, values): (&Field, &Values)| {
            self.0.get(field).is_some_and(|known| !known.overlaps(values))
        };
        let mut sets = other.0.iter();
        if sets.clone().any(apart) {
            return None;
        }
        sets.try_fold(self.clone(), |both, (field, values)| both.narrowed(field.clone(), values))
    }

    /// Forgets sets that hold every value of their field.
    pub(super) fn without_full(mut self, last: impl Fn(&Field) -> u128) -> Self {
        self.0.retain(|field, values| !values.is_full(last(field)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complement_and_intersection_are_exact_at_the_ends() {
        let set = Values::of([(8, 9), (0, 2), (3, 3), (15, 15)]);
        assert_eq!(set.ranges(), [(0, 3), (8, 9), (15, 15)]);
        assert_eq!(set.complement(15).ranges(), [(4, 7), (10, 14)]);
        assert_eq!(set.complement(15).complement(15), set);
        assert!(set.intersection(&set.complement(15)).is_empty());
        assert!(Values::of([]).complement(u128::MAX).is_full(u128::MAX));
        assert!(Values::of([(0, u128::MAX)]).complement(u128::MAX).is_empty());
        assert_eq!(set.intersection(&Values::of([(2, 8)])).ranges(), [(2, 3), (8, 8)]);
    }

    #[test]
    fn a_product_with_an_empty_side_is_nothing() {
        let low = Values::of([(0, 9)]);
        let region = Region::default().narrowed(Field::Src, &low).unwrap();
        assert_eq!(region.clone().narrowed(Field::Src, &Values::single(10)), None);
        assert_eq!(region.clone().without_full(|_| 9), Region::default());
        assert_eq!(region.intersection(&Region::default()), Some(region));
    }
}
