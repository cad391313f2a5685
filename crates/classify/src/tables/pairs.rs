//! Source class × destination class → the rules both addresses match, in order, and the first of
//! them whose condition holds.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::condition::Conditions;
use super::table::{Table, Table32};
use crate::bits::BitSet;

/// Lists of rules for every pair of address classes, over a group of the rules.
///
/// Rows of the pair table are cut into blocks and equal blocks stored once: most rows differ in a
/// few columns only. Small tables stay whole, which saves a step.
#[derive(Debug)]
pub(crate) struct Pairs {
    /// By pair: the list, or where it starts in [`Pairs::members`], counted in members, where lists
    /// are read.
    pub(crate) lists: Blocked<Table>,
    /// By list where that is; empty where lists are read.
    offsets: Table,
    /// Two words a member: the rule, with [`LAST`] at the end of a list, and its condition.
    pub(crate) members: Table32,
    /// By list and condition class, one more than the first rule, zero for none; `None` where that
    /// would be too large and lists are read instead.
    pub(crate) first: Option<Blocked<Table>>,
}

/// A table of rows, cut into blocks of `1 << block_bits` columns where that saves memory.
#[derive(Debug)]
pub(crate) struct Blocked<T> {
    /// Blocks of a row, or its columns where the table is whole.
    pub(crate) columns: u32,
    /// 0 where the table is whole: [`Blocked::index`] is then empty.
    pub(crate) block_bits: u32,
    pub(crate) index: Table,
    pub(crate) values: T,
}

/// What a group is made of.
pub(crate) struct Group<'a> {
    /// By address class of the group, its rules that match there.
    pub(crate) src_rows: &'a [BitSet],
    pub(crate) dst_rows: &'a [BitSet],
    pub(crate) conditions: &'a Conditions,
    /// By rule, its condition.
    pub(crate) condition_of: &'a [u32],
    /// By rule, whether no later rule is ever asked about where it matches.
    pub(crate) ends: &'a BitSet,
    /// The rules whose condition leaves something out.
    pub(crate) open: &'a BitSet,
    /// By rule, its position in the whole list.
    pub(crate) positions: &'a [u32],
}

/// Marks the last member of a list.
pub(crate) const LAST: u32 = 1 << 31;

/// No rule.
pub(crate) const NONE: u32 = u32::MAX;

/// Steps one pair table may take to build.
const MOST_STEPS: usize = 16 << 20;

/// Links of the lists of a pair table, those of their beginnings included.
const MOST_LINKS: usize = 1 << 20;

/// Columns of a block, as bits.
const BLOCK_BITS: u32 = 4;

/// Bytes up to which a table stays whole.
const WHOLE_BYTES: usize = 256 << 10;

/// Bytes of a table of first rules, whole or in blocks; past it lists are read.
const MOST_FIRST_BYTES: usize = 2 << 20;

/// Rules of one list whose conditions leave something out: so many may have to be checked in turn.
const MOST_OPEN: usize = 256;

/// Bytes of lists beyond which reading them waits for memory.
const MOST_LIGHT_BYTES: usize = 512 << 10;

impl Pairs {
    /// `None` where the group's tables would outgrow their bounds.
    pub(crate) fn build(group: &Group<'_>) -> Option<Self> {
        let (src_rows, dst_rows) = (group.src_rows, group.dst_rows);
        let mut columns_of: Vec<Vec<u32>> = vec![Vec::new(); group.positions.len()];
        for (column, row) in dst_rows.iter().enumerate() {
            row.iter().for_each(|rule| columns_of[rule].push(column as u32));
        }
        let mut chains = Chains::new(group.ends);
        let whole = src_rows.len() * dst_rows.len() * 2 <= WHOLE_BYTES;
        let block_bits = if whole { 0 } else { BLOCK_BITS };
        let columns = dst_rows.len().div_ceil(1 << block_bits);
        let mut cutter = Cutter::new(block_bits);
        let mut row = vec![0u32; columns << block_bits];
        let mut steps = 0;
        for rules in src_rows {
            row.fill(0);
            for rule in rules.iter() {
                steps += columns_of[rule].len();
                if steps > MOST_STEPS {
                    return None;
                }
                for &column in &columns_of[rule] {
                    let chain = &mut row[column as usize];
                    *chain = chains.append(*chain, rule as u32);
                }
                if chains.links.len() > MOST_LINKS {
                    return None;
                }
            }
            cutter.add(&row)?;
        }
        let (index, mut values) = cutter.finish();
        let lists = chains.into_lists(&mut values)?;
        let open =
            |list: &Vec<u32>| list.iter().filter(|it| group.open.contains(**it as usize)).count();
        if lists.iter().any(|list| open(list) > MOST_OPEN) {
            return None;
        }
        let first = first_rules(group, &lists);
        let (mut offsets, members) = flatten(group, &lists);
        if first.is_none() {
            for list in &mut values {
                *list = offsets[*list as usize];
            }
            offsets.clear();
        }
        Some(Self {
            lists: Blocked {
                columns: columns as u32,
                block_bits,
                index: Table::new(&index),
                values: Table::new(&values),
            },
            offsets: Table::new(&offsets),
            members,
            first,
        })
    }

    /// Whether lookups stay near: first rules stand in a table, or lists are few and short.
    pub(crate) fn is_light(&self) -> bool {
        self.first.is_some() || self.members.memory_bytes() <= MOST_LIGHT_BYTES
    }

    /// The first rule at or after `from` that addresses of two classes of the group match and whose
    /// condition holds.
    #[inline]
    pub(crate) fn next(
        &self,
        (src, dst): (u16, u16),
        conditions: &Conditions,
        class: u16,
        from: u32,
    ) -> Option<u32> {
        let list = self.lists.values.at(self.lists.position(src.into(), dst.into()));
        let mut at = list as usize;
        if let Some(first) = &self.first {
            if from == 0 {
                let rule = first.values.at(first.position(at, class.into()));
                return rule.checked_sub(1);
            }
            at = self.offsets.at(at) as usize;
        }
        loop {
            let member = self.members.at(at * 2);
            let rule = member & !LAST;
            if rule >= from && conditions.holds(class, self.members.at(at * 2 + 1)) {
                return Some(rule);
            }
            if member & LAST != 0 {
                return None;
            }
            at += 1;
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let first = self.first.as_ref();
        self.lists.index.memory_bytes()
            + self.lists.values.memory_bytes()
            + self.offsets.memory_bytes()
            + self.members.memory_bytes()
            + first.map_or(0, |it| it.index.memory_bytes() + it.values.memory_bytes())
    }
}

impl<T> Blocked<T> {
    /// Where in the values the cell of a row and a column is.
    #[inline]
    fn position(&self, row: usize, column: usize) -> usize {
        let columns = self.columns as usize;
        if self.block_bits == 0 {
            return row * columns + column;
        }
        let block = self.index.at(row * columns + (column >> self.block_bits));
        (block as usize) << self.block_bits | column & ((1 << self.block_bits) - 1)
    }
}

/// Lists of rules that share their beginnings: equal lists are the same number.
struct Chains<'a> {
    known: HashMap<(u32, u32), u32, FixedState>,
    /// What the chain appends a rule to, and the rule.
    links: Vec<(u32, u32)>,
    ends: &'a BitSet,
}

impl<'a> Chains<'a> {
    /// Chain 0 is the empty one.
    fn new(ends: &'a BitSet) -> Self {
        Self { known: HashMap::default(), links: vec![(0, NONE)], ends }
    }

    fn append(&mut self, chain: u32, rule: u32) -> u32 {
        let last = self.links[chain as usize].1;
        if last != NONE && self.ends.contains(last as usize) {
            return chain;
        }
        let next = self.links.len() as u32;
        let appended = *self.known.entry((chain, rule)).or_insert(next);
        if appended == next {
            self.links.push((chain, rule));
        }
        appended
    }

    /// The lists that `chains` name, numbered from 0 in place.
    fn into_lists(self, chains: &mut [u32]) -> Option<Vec<Vec<u32>>> {
        let mut numbers: HashMap<u32, u32, FixedState> = HashMap::default();
        let mut lists = Vec::new();
        for chain in chains {
            let next = lists.len() as u32;
            let number = *numbers.entry(*chain).or_insert(next);
            if number == next {
                let mut list = Vec::new();
                let mut at = *chain;
                while at != 0 {
                    let (before, rule) = self.links[at as usize];
                    list.push(rule);
                    at = before;
                }
                list.reverse();
                lists.push(list);
            }
            *chain = number;
        }
        u16::try_from(lists.len()).is_ok().then_some(lists)
    }
}

/// Cuts rows into blocks and stores equal ones once.
struct Cutter {
    block_bits: u32,
    known: HashMap<Box<[u32]>, u16, FixedState>,
    index: Vec<u16>,
    values: Vec<u32>,
}

impl Cutter {
    fn new(block_bits: u32) -> Self {
        let (index, values) = (Vec::new(), Vec::new());
        Self { block_bits, known: HashMap::default(), index, values }
    }

    /// `None` where there would be too many blocks.
    fn add(&mut self, row: &[u32]) -> Option<()> {
        if self.block_bits == 0 {
            self.values.extend_from_slice(row);
            return Some(());
        }
        for block in row.chunks(1 << self.block_bits) {
            let id = if let Some(id) = self.known.get(block) {
                *id
            } else {
                let id = u16::try_from(self.known.len()).ok()?;
                self.known.insert(block.into(), id);
                self.values.extend_from_slice(block);
                id
            };
            self.index.push(id);
        }
        Some(())
    }

    fn finish(self) -> (Vec<u16>, Vec<u32>) {
        (self.index, self.values)
    }
}

/// By list and condition class, one more than the position of the first rule; `None` where it would
/// be large.
fn first_rules(group: &Group<'_>, lists: &[Vec<u32>]) -> Option<Blocked<Table>> {
    let classes = group.conditions.count;
    let whole = lists.len() * classes * 4 <= WHOLE_BYTES;
    let block_bits = if whole { 0 } else { BLOCK_BITS };
    let columns = classes.div_ceil(1 << block_bits);
    if lists.len() * columns * 2 > MOST_FIRST_BYTES / 2 && !whole {
        return None;
    }
    let every = BitSet::of(classes, 0..classes);
    let mut cutter = Cutter::new(block_bits);
    let mut row = vec![0; columns << block_bits];
    for list in lists {
        row.fill(0);
        let mut left = every.clone();
        for &rule in list {
            let condition = group.condition_of[rule as usize] as usize;
            let taken = left.take(&group.conditions.classes_of[condition]);
            taken.iter().for_each(|class| row[class] = group.positions[rule as usize] + 1);
            if left.is_empty() {
                break;
            }
        }
        cutter.add(&row)?;
        if cutter.values.len() * 4 > MOST_FIRST_BYTES {
            return None;
        }
    }
    let (index, values) = cutter.finish();
    Some(Blocked {
        columns: columns as u32,
        block_bits,
        index: Table::new(&index),
        values: Table::new(&values),
    })
}

/// Where each list starts, counted in members, and the members.
fn flatten(group: &Group<'_>, lists: &[Vec<u32>]) -> (Vec<u32>, Table32) {
    // A list without rules has one member whose condition never holds.
    let (mut offsets, mut members) = (Vec::with_capacity(lists.len()), Vec::new());
    for list in lists {
        offsets.push((members.len() / 2) as u32);
        for &rule in list {
            let (rule, condition) = (rule as usize, group.condition_of[rule as usize]);
            members.extend([group.positions[rule], condition]);
        }
        if list.is_empty() {
            members.extend([LAST - 1, group.conditions.never]);
        }
        let last = members.len() - 2;
        members[last] |= LAST;
    }
    (offsets, Table32::new(members))
}
