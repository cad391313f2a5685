//! Which cells of a list overlap or cover a given one: bitmaps, found for each set once.
//!
//! Cells are products, so two of them overlap (or one covers the other) exactly when their sets do
//! in every field. For each distinct set of a field a row of bits says which cells of the list have
//! a set there that overlaps it, and which have one that covers it; the answer for a cell is the
//! conjunction of its rows. Sets are found by the bounds of their ranges, in order, with blocks of
//! them skipped at once.
//!
//! A row is as long as the list, and large lists have as many distinct addresses as cells: all rows
//! together would take the square of it. So a row is cheap to find again. What makes one dear are
//! the few sets that many cells have, such as the whole address space; the cells of these are bits
//! that a row takes over by the word.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::cell::{Cell, Field};
use crate::set::Ranges;

/// A set of cells of the list, a bit each.
pub(super) type Bits = Vec<u64>;

/// The cells of a list in order, indexed.
pub(super) struct Index {
    cells: Vec<Cell>,
    columns: Vec<Column>,
    limits: Limits,
    kept_words: usize,
    /// Cells asked about last, with what was found: the same is asked several times in a row.
    recent: VecDeque<(Cell, Found)>,
}

/// What is remembered; the answers are the same whatever it is.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A set that so many cells have, for each word of a row, has them as bits.
    many_per_word: usize,
    /// Rows of other sets are kept while all kept take less than this many words together.
    most_kept_words: usize,
    /// How many answers are kept.
    most_recent: usize,
}

/// Rows take 64 MB, beside those of sets that many cells have: of these no field has over 64.
const LIMITS: Limits = Limits { many_per_word: 1, most_kept_words: 8 << 20, most_recent: 8 };

/// Cells that overlap a cell or set, and those that cover it.
pub(super) struct Found {
    pub(super) overlapping: Bits,
    pub(super) covering: Bits,
}

impl Index {
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        Self::with(cells, LIMITS)
    }

    fn with(cells: Vec<Cell>, limits: Limits) -> Self {
        let many = (cells.len().div_ceil(64) * limits.many_per_word).max(1);
        let columns = (0..Field::COUNT).map(|field| Column::new(&cells, field, many)).collect();
        Self { cells, columns, limits, kept_words: 0, recent: VecDeque::new() }
    }

    pub(super) fn cell(&self, id: usize) -> &Cell {
        &self.cells[id]
    }

    /// The cells among `within` that overlap `cell`, and those that cover it.
    pub(super) fn find(&mut self, cell: &Cell, within: &Bits) -> Found {
        let known = self.recent.iter().position(|(asked, _)| asked == cell);
        let (asked, whole) = match known.and_then(|at| self.recent.remove(at)) {
            Some(known) => known,
            None => (cell.clone(), self.find_all(cell)),
        };
        let found = Found {
            overlapping: both(within, &whole.overlapping),
            covering: both(within, &whole.covering),
        };
        self.recent.push_front((asked, whole));
        self.recent.truncate(self.limits.most_recent);
        found
    }

    /// All cells that overlap `cell`, and those that cover it.
    fn find_all(&mut self, cell: &Cell) -> Found {
        let words = self.cells.len().div_ceil(64);
        let mut found =
            Found { overlapping: vec![u64::MAX; words], covering: vec![u64::MAX; words] };
        for (field, set) in cell.0.iter().enumerate() {
            if let [(only, _)] = &*self.columns[field].sets
                && Rc::ptr_eq(set, only)
            {
                continue;
            }
            let row = self.row(field, set);
            and(&mut found.overlapping, &row.overlapping);
            and(&mut found.covering, &row.covering);
        }
        found
    }

    fn row(&mut self, field: usize, set: &Rc<Ranges>) -> Rc<Found> {
        let words = self.cells.len().div_ceil(64);
        let column = &mut self.columns[field];
        let id = column.ids.get(set).copied();
        if let Some(row) = id.and_then(|id| column.rows[id].clone()) {
            return row;
        }
        let row = Rc::new(column.find(set, words));
        let Some(id) = id else { return row };
        if matches!(column.sets[id].1, Users::Many(_)) {
            column.rows[id] = Some(Rc::clone(&row));
        } else if self.kept_words + 2 * words <= self.limits.most_kept_words {
            self.kept_words += 2 * words;
            column.rows[id] = Some(Rc::clone(&row));
        }
        row
    }
}

/// The distinct sets of one field, ordered by their least number.
struct Column {
    ids: HashMap<Rc<Ranges>, usize>,
    /// Each set, and the cells that have it.
    sets: Vec<(Rc<Ranges>, Users)>,
    bounds: Vec<(u128, u128)>,
    /// The greatest number of each block of sets.
    block_ends: Vec<u128>,
    rows: Vec<Option<Rc<Found>>>,
}

/// The cells that have a set.
enum Users {
    Few(Vec<u32>),
    Many(Bits),
}

impl Users {
    fn new(cells: Vec<u32>, many: usize) -> Self {
        let Some(last) = cells.last().filter(|_| cells.len() >= many) else {
            return Self::Few(cells);
        };
        let mut bits = vec![0; *last as usize / 64 + 1];
        mark(&mut bits, &cells);
        Self::Many(bits)
    }

    fn add_to(&self, row: &mut Bits) {
        match self {
            Self::Few(cells) => mark(row, cells),
            Self::Many(bits) => row.iter_mut().zip(bits).for_each(|(word, more)| *word |= more),
        }
    }
}

/// How many sets are skipped at once.
const BLOCK: usize = 32;

impl Column {
    fn new(cells: &[Cell], field: usize, many: usize) -> Self {
        let mut users: HashMap<Rc<Ranges>, Vec<u32>> = HashMap::new();
        for (id, cell) in cells.iter().enumerate() {
            users.entry(Rc::clone(&cell.0[field])).or_default().push(id as u32);
        }
        let mut entries: Vec<_> = users.into_iter().collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let sets: Vec<_> =
            entries.into_iter().map(|(set, cells)| (set, Users::new(cells, many))).collect();
        let bounds: Vec<_> = sets.iter().map(|(set, _)| set.hull().unwrap_or_default()).collect();
        let ends = bounds.chunks(BLOCK).map(|block| block.iter().map(|it| it.1).max());
        Self {
            ids: sets.iter().enumerate().map(|(id, (set, _))| (Rc::clone(set), id)).collect(),
            block_ends: ends.map(Option::unwrap_or_default).collect(),
            rows: sets.iter().map(|_| None).collect(),
            sets,
            bounds,
        }
    }

    fn find(&self, set: &Ranges, words: usize) -> Found {
        let mut row = Found { overlapping: vec![0; words], covering: vec![0; words] };
        let Some((first, last)) = set.hull() else { return row };
        let until = self.bounds.partition_point(|(least, _)| *least <= last);
        for (block, end) in self.block_ends[..until.div_ceil(BLOCK)].iter().enumerate() {
            if *end < first {
                continue;
            }
            for id in block * BLOCK..until.min((block + 1) * BLOCK) {
                let (least, greatest) = self.bounds[id];
                let (other, users) = &self.sets[id];
                if greatest < first || !other.overlaps(set) {
                    continue;
                }
                users.add_to(&mut row.overlapping);
                if least <= first && greatest >= last && other.covers(set) {
                    users.add_to(&mut row.covering);
                }
            }
        }
        row
    }
}

fn mark(bits: &mut Bits, cells: &[u32]) {
    for &cell in cells {
        bits[cell as usize / 64] |= 1 << (cell % 64);
    }
}

fn and(bits: &mut Bits, other: &Bits) {
    for (word, other) in bits.iter_mut().zip(other) {
        *word &= other;
    }
}

fn both(bits: &Bits, other: &Bits) -> Bits {
    bits.iter().zip(other).map(|(word, other)| word & other).collect()
}

/// The positions of the bits set, ascending.
pub(super) fn positions(bits: &[u64]) -> impl Iterator<Item = usize> + '_ {
    bits.iter().enumerate().flat_map(|(at, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bit = rest.checked_ilog2().map(|_| rest.trailing_zeros())?;
            rest &= rest - 1;
            Some(at * 64 + bit as usize)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A cell that leaves all fields but two at one value.
    fn cell(dst: (u128, u128), port: (u128, u128)) -> Cell {
        let mut sets: [Ranges; Field::COUNT] = std::array::from_fn(|_| Ranges::one(0u8));
        sets[Field::Dst as usize] = Ranges::span(dst.0, dst.1);
        sets[Field::DstPort as usize] = Ranges::span(port.0, port.1);
        Cell(sets.map(Rc::new))
    }

    fn cells(most: usize) -> impl Strategy<Value = Vec<Cell>> {
        let span = |most: u128| (0..most, 0..most / 4).prop_map(|(at, more)| (at, at + more));
        vec((span(50), span(9)).prop_map(|(dst, port)| cell(dst, port)), 1..most)
    }

    proptest! {
        /// Whatever is kept as bits or remembered; cells outside the list are asked about too.
        #[test]
        fn the_index_agrees_with_comparing_cell_by_cell(
            many in cells(200),
            others in cells(9),
            many_per_word in 0..9usize,
            most_kept_words in 0..40usize,
            most_recent in 0..4usize,
            mask in any::<[u64; 4]>(),
        ) {
            let limits = Limits { many_per_word, most_kept_words, most_recent };
            let mut index = Index::with(many.clone(), limits);
            let everything: Bits =
                many.chunks(64).map(|chunk| u64::MAX >> (64 - chunk.len())).collect();
            let some = both(&everything, &mask.to_vec());
            let questions = others.iter().chain(&many);
            for (asked, within) in questions.flat_map(|it| [(it, &everything), (it, &some)]) {
                let found = index.find(asked, within);
                let expected = |holds: &dyn Fn(&Cell) -> bool| -> Vec<usize> {
                    let inside = |id: &usize| within[id / 64] >> (id % 64) & 1 == 1;
                    (0..many.len()).filter(|id| inside(id) && holds(&many[*id])).collect()
                };
                let overlapping: Vec<usize> = positions(&found.overlapping).collect();
                prop_assert_eq!(overlapping, expected(&|it| it.overlaps(asked)));
                let covering: Vec<usize> = positions(&found.covering).collect();
                let covers = |it: &Cell| it.fields_covering(asked) == Field::COUNT;
                prop_assert_eq!(covering, expected(&covers));
            }
        }
    }
}
