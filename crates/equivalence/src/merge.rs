//! Products of sets made few and large: two that are equal in all fields but one become one.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use parefeu_policy::set::Ranges;

use crate::solve::Stop;

/// A product of sets: for each field, the number of a set in a [`Merger`].
pub(crate) type Product = Box<[u32]>;

/// Sets, each once, and their unions.
#[derive(Debug, Default)]
pub(crate) struct Merger {
    sets: Vec<Ranges>,
    numbers: HashMap<Ranges, u32, FixedState>,
}

/// Up to this many products are merged in several orders of fields, and the best order is kept.
const FEW: usize = 4096;

/// How many products, times their fields, are looked at for that: where fields are few, in every
/// order.
const LOOKS: usize = 1 << 24;

/// A product and a number that is the sum of one for each field: of two that are equal in all
/// fields but one, the sums without that field are equal.
#[derive(Clone, Debug)]
struct Summed {
    product: Product,
    sum: u64,
}

impl Summed {
    fn new(product: Product) -> Self {
        let sum = product.iter().enumerate().map(|(field, set)| part(field, *set));
        Self { sum: sum.fold(0, u64::wrapping_add), product }
    }

    fn sum_without(&self, field: usize) -> u64 {
        self.sum.wrapping_sub(part(field, self.product[field]))
    }

    fn replace(&mut self, field: usize, set: u32) {
        self.sum = self.sum_without(field).wrapping_add(part(field, set));
        self.product[field] = set;
    }

    /// All fields but one.
    fn without(&self, field: usize) -> (&[u32], &[u32]) {
        (&self.product[..field], &self.product[field + 1..])
    }
}

/// What a field adds to the sum (splitmix64, Steele, Lea and Flood 2014).
const fn part(field: usize, set: u32) -> u64 {
    let word = ((field as u64) << 32 | set as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

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

    /// Disjoint products, merged until no two are equal in all fields but one, or until the sign to
    /// stop is given. Together they hold the same points as before. `O(products × fields)` a pass,
    /// and the sorting.
    pub(crate) fn merge(&mut self, products: Vec<Product>, stop: Stop) -> Vec<Product> {
        let Some(first) = products.first() else { return products };
        // Along fields in which all are alike there is nothing to merge.
        let differs = |field: &usize| products.iter().any(|it| it[*field] != first[*field]);
        let fields: Vec<usize> = (0..first.len()).filter(differs).collect();
        if fields.is_empty() {
            return products;
        }
        let few = if products.len() <= FEW { LOOKS / products.len() / fields.len() } else { 1 };
        let products: Vec<Summed> = products.into_iter().map(Summed::new).collect();
        let merged = (0..fields.len().min(few.max(1))).map(|turn| {
            let (behind, before) = (&fields[turn..], &fields[..turn]);
            self.merge_along(products.clone(), &[behind, before].concat(), stop)
        });
        let least = merged.min_by_key(Vec::len).unwrap_or_default();
        least.into_iter().map(|it| it.product).collect()
    }

    /// Merges along the fields in turn.
    fn merge_along(
        &mut self,
        mut products: Vec<Summed>,
        fields: &[usize],
        stop: Stop,
    ) -> Vec<Summed> {
        loop {
            let before = products.len();
            for field in fields.iter().take_while(|_| !stop.is_given()) {
                self.unite(&mut products, *field);
            }
            if products.len() == before {
                let last = fields.last().copied().unwrap_or_default();
                products.sort_unstable_by(|one, other| one.without(last).cmp(&other.without(last)));
                return products;
            }
        }
    }

    /// Products that are equal in all fields but this one become one.
    fn unite(&mut self, products: &mut Vec<Summed>, field: usize) {
        let mut sums: Vec<u64> = products.iter().map(|it| it.sum_without(field)).collect();
        sums.sort_unstable();
        if sums.windows(2).all(|pair| pair[0] != pair[1]) {
            return;
        }
        products.sort_unstable_by(|one, other| one.without(field).cmp(&other.without(field)));
        let alike = |one: &Summed, other: &Summed| {
            one.sum_without(field) == other.sum_without(field)
                && one.without(field) == other.without(field)
        };
        let mut kept = 0;
        let mut at = 0;
        while at < products.len() {
            let group = products[at..].chunk_by(alike).next().map_or(1, <[Summed]>::len);
            if group > 1 {
                let parts = products[at..at + group].iter();
                let parts = parts.flat_map(|it| self.set(it.product[field]).as_slice());
                let union = parts.copied().collect();
                let number = self.number(union);
                products[at].replace(field, number);
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
            let merged = merger.merge(products, Stop::default());
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
