//! Products of sets made few and large: two that are equal in all fields but one become one.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use parefeu_policy::set::Ranges;

/// A product of sets: for each field, the number of a set in a [`Merger`].
pub(crate) type Product = Box<[u32]>;

/// Sets, each once, and their unions.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    sets: Vec<Ranges>,
    numbers: HashMap<Ranges, u32, FixedState>,
}

/// Up to this many products are merged in every order of fields, and the best order is kept.
const FEW: usize = 4096;

impl Merger {
    /// The number of a set.
    pub(crate) fn number(&mut self, set: Ranges) -> u32 {
        let next = self.sets.len() as u32;
        *self.numbers.entry(set).or_insert_with_key(|set| {
            self.sets.push(set.clone());
            next
        })
    }

    /// The set a number stands for.
    pub(crate) fn set(&self, number: u32) -> &Ranges {
        &self.sets[number as usize]
    }

    /// Disjoint products, merged until no two are equal in all fields but one. Together they hold
    /// the same points as before. `O(products × fields)` a pass, and the sorting.
    pub(crate) fn merge(&mut self, products: Vec<Product>) -> Vec<Product> {
        let Some(first) = products.first() else { return products };
        // Along fields in which all are alike there is nothing to merge.
        let differs = |field: &usize| products.iter().any(|it| it[*field] != first[*field]);
        let fields: Vec<usize> = (0..first.len()).filter(differs).collect();
        let orders = if products.len() <= FEW { fields.len() } else { fields.len().min(1) };
        let merged = (0..orders).map(|turn| {
            let (behind, before) = (&fields[turn..], &fields[..turn]);
            self.merge_along(products.clone(), &[behind, before].concat())
        });
        merged.min_by_key(Vec::len).unwrap_or(products)
    }

    /// Merges along the fields in turn.
    fn merge_along(&mut self, mut products: Vec<Product>, fields: &[usize]) -> Vec<Product> {
        loop {
            let before = products.len();
            for field in fields {
                self.unite(&mut products, *field);
            }
            if products.len() == before {
                return products;
            }
        }
    }

    /// Products that are equal in all fields but this one become one.
    fn unite(&mut self, products: &mut Vec<Product>, field: usize) {
        products.sort_unstable_by(|one, other| {
            let parts =
                [(&one[..field], &other[..field]), (&one[field + 1..], &other[field + 1..])];
            parts[0].0.cmp(parts[0].1).then_with(|| parts[1].0.cmp(parts[1].1))
        });
        let alike = |one: &Product, other: &Product| {
            one[..field] == other[..field] && one[field + 1..] == other[field + 1..]
        };
        let mut kept = 0;
        let mut at = 0;
        while at < products.len() {
            let group = products[at..].chunk_by(alike).next().map_or(1, <[Product]>::len);
            if group > 1 {
                let parts = products[at..at + group].iter();
                let parts = parts.flat_map(|it| self.set(it[field]).as_slice());
                let union = parts.copied().collect();
                products[at][field] = self.number(union);
            }
            products.swap(kept, at);
            (kept, at) = (kept + 1, at + group);
        }
        products.truncate(kept);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn points(merger: &Merger, products: &[Product]) -> Vec<(u128, u128)> {
        let values = |number: u32| {
            let ranges = merger.set(number).as_slice().iter();
            ranges.flat_map(|&(first, last)| first..=last).collect::<Vec<_>>()
        };
        let points = products.iter().flat_map(|product| {
            let (xs, ys) = (values(product[0]), values(product[1]));
            xs.into_iter().flat_map(move |x| ys.clone().into_iter().map(move |y| (x, y)))
        });
        points.collect()
    }

    proptest! {
        /// Single points, merged: the same points, each once, and no two products left that differ
        /// in one field only.
        #[test]
        fn merging_keeps_every_point_once(cells in vec((0u128..6, 0u128..6), 0..30)) {
            let cells: BTreeSet<_> = cells.into_iter().collect();
            let mut merger = Merger::default();
            let single = |merger: &mut Merger, &(x, y): &(u128, u128)| -> Product {
                [x, y].map(|value| merger.number(Ranges::one(value))).into()
            };
            let products = cells.iter().map(|cell| single(&mut merger, cell)).collect();
            let merged = merger.merge(products);
            let mut found = points(&merger, &merged);
            found.sort_unstable();
            prop_assert_eq!(found, cells.into_iter().collect::<Vec<_>>());
            for (at, one) in merged.iter().enumerate() {
                for other in &merged[at + 1..] {
                    let alike = one.iter().zip(other.iter()).filter(|(a, b)| a == b).count();
                    prop_assert!(alike + 1 < one.len(), "{one:?} and {other:?} are one");
                }
            }
        }
    }
}
