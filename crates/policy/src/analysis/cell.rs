//! Products of sets, one for each field a rule compares: what a match is made of.

use std::rc::Rc;

use crate::set::Ranges;

/// The fields of a packet, in the order in which comparing them tells most.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Field {
    /// Address families of source and destination: one number for each pair.
    Family,
    Dst,
    Src,
    /// Destination port; the code of ICMP, 256 numbers each.
    DstPort,
    Protocol,
    /// Source port; the type of ICMP, 256 numbers each.
    SrcPort,
    From,
    To,
    Ingress,
    Egress,
    Application,
    Category,
    User,
    State,
    Flags,
    Device,
    /// Moments that no schedule tells apart.
    Time,
}

impl Field {
    pub(super) const COUNT: usize = 17;
}

/// A packet: a number for each field.
pub(super) type Point = [u128; Field::COUNT];

/// The packets whose every field is in a set. None of the sets is empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cell(pub(super) [Rc<Ranges>; Field::COUNT]);

impl Cell {
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, its)| Rc::ptr_eq(mine, its) || mine.overlaps(its))
    }

    pub(super) fn contains(&self, point: &Point) -> bool {
        self.0.iter().zip(point).all(|(set, value)| set.contains(*value))
    }

    /// In how many fields this cell holds all of `other`.
    pub(super) fn fields_covering(&self, other: &Self) -> usize {
        let pairs = self.0.iter().zip(&other.0);
        pairs.filter(|(mine, its)| Rc::ptr_eq(mine, its) || mine.covers(its)).count()
    }

    /// Some packet of the cell, another one for each seed.
    pub(super) fn pick(&self, seed: u64) -> Point {
        let mut seed = seed;
        std::array::from_fn(|field| {
            seed = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
            self.0[field].pick(seed).unwrap_or(0)
        })
    }

    /// Adds the parts of this cell outside `other`, which it overlaps, to `pieces`: disjoint cells.
    /// The answer is what that cost, in ranges written.
    pub(super) fn subtract(&self, other: &Self, pieces: &mut Vec<Self>) -> u64 {
        let mut rest = self.clone();
        let mut cost = 0;
        for field in 0..Field::COUNT {
            let (mine, its) = (&rest.0[field], &other.0[field]);
            if Rc::ptr_eq(mine, its) {
                continue;
            }
            let outside = mine.difference(its);
            if outside.is_empty() {
                continue;
            }
            let inside = mine.intersection(its);
            cost += (outside.len() + inside.len()) as u64;
            let mut piece = rest.clone();
            piece.0[field] = Rc::new(outside);
            pieces.push(piece);
            rest.0[field] = Rc::new(inside);
        }
        cost
    }
}

/// The finaliser of SplitMix64: spreads seeds, nothing secret rests on it.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
