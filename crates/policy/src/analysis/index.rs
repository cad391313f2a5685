//! Which cells of a list overlap or cover a given one: bitmaps, found for each set once.
//!
//! Cells are products, so two of them overlap (or one covers the other) exactly when their sets do
//! in every field. For each distinct set of a field a row of bits says which cells of the list have
//! a set there that overlaps it, and which have one that covers it; the answer for a cell is the
//! conjunction of its rows. Sets are found by the bounds of their ranges, in order, with blocks of
//! them skipped at once.

use std::collections::HashMap;
use std::rc::Rc;

use super::cell::{Cell, Field};
use super::ranges::Ranges;

/// A set of cells of the list, a bit each.
pub(super) type Bits = Vec<u64>;

/// The cells of a list in order, indexed.
pub(super) struct Index {
    cells: Vec<Cell>,
    columns: Vec<Column>,
    kept_words: usize,
}

/// Rows are kept while they take less than this many words (64 MB) together, else found again.
const MOST_KEPT_WORDS: usize = 8 << 20;

/// What a row says of the cells of the list.
struct Row {
    overlapping: Bits,
    covering: Bits,
}

/// Cells that overlap a cell, and those among them that cover it.
pub(super) struct Found {
    pub(super) overlapping: Bits,
    pub(super) covering: Bits,
}

impl Index {
    pub(super) fn new(cells: Vec<Cell>) -> Self {
        let columns = (0..Field::COUNT).map(|field| Column::new(&cells, field)).collect();
        Self { cells, columns, kept_words: 0 }
    }

    pub(super) fn cell(&self, id: usize) -> &Cell {
        &self.cells[id]
    }

    /// The cells among `within` that overlap `cell`, and those that cover it.
    pub(super) fn find(&mut self, cell: &Cell, within: &Bits) -> Found {
        let mut found = Found { overlapping: within.clone(), covering: within.clone() };
        for (field, set) in cell.0.iter().enumerate() {
            if self.columns[field].sets.len() == 1 && Rc::ptr_eq(set, &self.columns[field].sets[0])
            {
                continue;
            }
            let row = self.row(field, set);
            and(&mut found.overlapping, &row.overlapping);
            and(&mut found.covering, &row.covering);
        }
        found
    }

    fn row(&mut self, field: usize, set: &Rc<Ranges>) -> Rc<Row> {
        let words = self.cells.len().div_ceil(64);
        let column = &mut self.columns[field];
        let id = column.ids.get(set).copied();
        if let Some(row) = id.and_then(|id| column.rows[id].clone()) {
            return row;
        }
        let row = Rc::new(column.find(set, words));
        if let Some(id) = id
            && self.kept_words + 2 * words <= MOST_KEPT_WORDS
        {
            self.kept_words += 2 * words;
            column.rows[id] = Some(Rc::clone(&row));
        }
        row
    }
}

/// The distinct sets of one field, ordered by their least number.
struct Column {
    ids: HashMap<Rc<Ranges>, usize>,
    sets: Vec<Rc<Ranges>>,
    bounds: Vec<(u128, u128)>,
    /// The greatest number of each block of sets.
    block_ends: Vec<u128>,
    /// The cells that have each set.
    cells: Vec<Vec<u32>>,
    rows: Vec<Option<Rc<Row>>>,
}

/// How many sets are skipped at once.
const BLOCK: usize = 32;

impl Column {
    fn new(cells: &[Cell], field: usize) -> Self {
        let mut users: HashMap<Rc<Ranges>, Vec<u32>> = HashMap::new();
        for (id, cell) in cells.iter().enumerate() {
            users.entry(Rc::clone(&cell.0[field])).or_default().push(id as u32);
        }
        let mut entries: Vec<_> = users.into_iter().collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        let (sets, cells): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let bounds: Vec<_> = sets.iter().map(|set| set.hull().unwrap_or((1, 0))).collect();
        let ends = bounds.chunks(BLOCK).map(|block| block.iter().map(|it| it.1).max());
        Self {
            ids: sets.iter().enumerate().map(|(id, set)| (Rc::clone(set), id)).collect(),
            block_ends: ends.map(Option::unwrap_or_default).collect(),
            rows: sets.iter().map(|_| None).collect(),
            sets,
            bounds,
            cells,
        }
    }

    fn find(&self, set: &Ranges, words: usize) -> Row {
        let mut row = Row { overlapping: vec![0; words], covering: vec![0; words] };
        let Some((first, last)) = set.hull() else { return row };
        for (block, end) in self.block_ends.iter().enumerate() {
            if self.bounds[block * BLOCK].0 > last {
                break;
            }
            if *end < first {
                continue;
            }
            for id in block * BLOCK..self.sets.len().min((block + 1) * BLOCK) {
                let (least, greatest) = self.bounds[id];
                if least > last || greatest < first || !self.sets[id].overlaps(set) {
                    continue;
                }
                mark(&mut row.overlapping, &self.cells[id]);
                if least <= first && greatest >= last && self.sets[id].covers(set) {
                    mark(&mut row.covering, &self.cells[id]);
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
    use super::*;

    /// A cell that leaves all fields but two at one value.
    fn cell(dst: (u128, u128), port: (u128, u128)) -> Cell {
        let mut sets: [Ranges; Field::COUNT] = std::array::from_fn(|_| Ranges::one(0u8));
        sets[Field::Dst as usize] = Ranges::span(dst.0, dst.1);
        sets[Field::DstPort as usize] = Ranges::span(port.0, port.1);
        Cell(sets.map(Rc::new))
    }

    #[test]
    fn the_index_agrees_with_comparing_cell_by_cell() {
        let many: Vec<Cell> = (0..200u128)
            .map(|n| cell((n * 7 % 50, n * 7 % 50 + n % 9), (n % 5, n % 5 + n % 3)))
            .collect();
        let mut index = Index::new(many.clone());
        let within: Bits = vec![u64::MAX, u64::MAX, u64::MAX >> 3, 0];
        for asked in &many {
            let found = index.find(asked, &within);
            let expected = |holds: &dyn Fn(&Cell) -> bool| -> Vec<usize> {
                (0..189).filter(|id| holds(&many[*id])).collect()
            };
            let overlapping: Vec<usize> = positions(&found.overlapping).collect();
            assert_eq!(overlapping, expected(&|it| it.overlaps(asked)));
            let covering: Vec<usize> = positions(&found.covering).collect();
            assert_eq!(covering, expected(&|it| it.fields_covering(asked) == Field::COUNT));
        }
    }
}
