//! IPv4 addresses → classes.

use crate::tables::classes::Intervals;
use crate::tables::table::Table;

/// A directory of IPv4 addresses: 65,536 entries by the upper half, then blocks where an entry is
/// divided.
///
/// An entry is a class, or [`Directory::first_block`] and the number of a block, of which each has
/// 256 entries. There are two layouts of blocks:
///
/// - In *steps* of a byte: [`Directory::second`] by the third, [`Directory::third`] by the fourth.
/// - With *keys*: few of the 256 networks of an entry are divided, most often one or two. Their
///   classes stand in the same block, behind those of networks that are whole, and the entry in the
///   root says which third bytes they have. Where there are more, the block is *wide*: it has a
///   class for each address. One read then tells the class, and there is no third step.
#[derive(Debug)]
pub(crate) struct Directory {
    /// In the lower half entries. In the upper half the keys of a block, or, where the rules have
    /// tuples, one bit for each that has rules there.
    pub(crate) root: Table,
    pub(crate) second: Table,
    /// Empty where blocks have keys.
    pub(crate) third: Table,
    /// The entry of the first block; those below are classes. So few classes and blocks are bytes.
    pub(crate) first_block: u32,
    /// The entry of the first wide block, past all others; `None` where there are no keys.
    pub(crate) first_wide: Option<u32>,
}

/// Entries of a block.
const ENTRIES: usize = 256;

/// Bytes the blocks of one directory may take.
const MOST_BLOCK_BYTES: usize = 6 << 20;

/// Bytes its wide blocks may take.
const MOST_WIDE_BYTES: usize = 2 << 20;

/// Keys of a block.
const MOST_KEYS: usize = 2;

impl Directory {
    /// `None` where blocks would be too many.
    pub(super) fn build(field: &Intervals<u32>, tuple_bits: &[u16]) -> Option<Self> {
        let first_block = field.classes.iter().max().map_or(0, |class| u32::from(*class) + 1);
        let mut root = vec![0u32; 1 << 16];
        let ends = field.starts.iter().skip(1).map(|start| start - 1).chain([u32::MAX]);
        for ((&first, last), &class) in field.starts.iter().zip(ends).zip(&field.classes) {
            root[(first >> 16) as usize..=(last >> 16) as usize].fill(class.into());
        }
        // An interval that starts inside an entry divides it.
        let mut divided: Vec<u32> =
            field.starts.iter().filter(|start| *start & 0xffff != 0).map(|it| it >> 16).collect();
        divided.dedup();
        let mut blocks = Blocks { field, first_block, second: Vec::new(), third: Vec::new() };
        // Keys stand where tuples have their bits.
        let keyed = if tuple_bits.is_empty() { blocks.with_keys(&divided) } else { None };
        let (entries, first_wide) = match keyed {
            Some((entries, first_wide)) => (entries, Some(first_wide)),
            None => (blocks.in_steps(&divided)?, None),
        };
        for (upper, entry) in divided.into_iter().zip(entries) {
            root[upper as usize] = entry;
        }
        for (entry, bits) in root.iter_mut().zip(tuple_bits) {
            *entry |= u32::from(*bits) << 16;
        }
        Some(Self {
            root: Table::new(&root),
            second: Table::new(&blocks.second),
            third: Table::new(&blocks.third),
            first_block,
            first_wide,
        })
    }

    #[inline]
    pub(crate) fn class(&self, address: u32) -> u16 {
        let (third, fourth) = (address >> 8 & 0xff, address & 0xff);
        let root = self.root.at((address >> 16) as usize);
        let entry = root & 0xffff;
        let Some(block) = entry.checked_sub(self.first_block) else { return entry as u16 };
        let within = match self.first_wide {
            Some(first_wide) if entry >= first_wide => address & 0xffff,
            Some(_) if third == root >> 24 => 0x100 | fourth,
            Some(_) if third == root >> 16 & 0xff => 0x200 | fourth,
            _ => third,
        };
        let entry = self.second.at(((block << 8) + within) as usize);
        let Some(block) = entry.checked_sub(self.first_block) else { return entry as u16 };
        self.third.at((block << 8 | fourth) as usize) as u16
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.root.memory_bytes() + self.second.memory_bytes() + self.third.memory_bytes()
    }
}

struct Blocks<'a> {
    field: &'a Intervals<u32>,
    first_block: u32,
    second: Vec<u16>,
    third: Vec<u16>,
}

impl Blocks<'_> {
    /// Blocks with keys for what each upper half has; their entries in the root, and the entry of
    /// the first wide one. `None`, and nothing added, where wide ones would take too much.
    fn with_keys(&mut self, divided: &[u32]) -> Option<(Vec<u32>, u32)> {
        let keys: Vec<_> = divided.iter().map(|upper| self.keys(*upper)).collect();
        let wide = keys.iter().filter(|keys| keys.is_none()).count();
        let width = if self.first_block <= 1 << u8::BITS { 1 } else { 2 };
        let narrow = (keys.len() - wide) * (1 + MOST_KEYS) * ENTRIES;
        let bytes = [wide << 16, narrow].map(|entries| entries * width);
        let blocks = self.first_block as usize + wide * ENTRIES + (1 + MOST_KEYS) * keys.len();
        if bytes[0] > MOST_WIDE_BYTES
            || bytes[0] + bytes[1] > MOST_BLOCK_BYTES
            || blocks > usize::from(u16::MAX)
        {
            return None;
        }
        let mut entries = vec![0; divided.len()];
        for (at, keys) in keys.iter().enumerate() {
            let Some(keys) = *keys else { continue };
            let first = divided[at] << 16;
            entries[at] = keys[0] << 24 | keys[1] << 16 | self.next(&self.second);
            self.add((0..256).map(|byte| first | byte << 8));
            let count = if keys[0] == keys[1] { 1 } else { MOST_KEYS };
            for key in &keys[..count] {
                self.add((0..256).map(|byte| first | key << 8 | byte));
            }
        }
        let first_wide = self.next(&self.second);
        for (at, _) in keys.iter().enumerate().filter(|(_, keys)| keys.is_none()) {
            entries[at] = self.next(&self.second);
            self.add((0..1 << 16).map(|lower| divided[at] << 16 | lower));
        }
        Some((entries, first_wide))
    }

    /// The classes of more addresses, in the second step.
    fn add(&mut self, addresses: impl Iterator<Item = u32>) {
        self.second.extend(addresses.map(|address| self.field.class(address)));
    }

    /// Which networks of an upper half are divided, as third bytes; the first twice where it is
    /// alone, and `None` where there are too many.
    fn keys(&self, upper: u32) -> Option<[u32; MOST_KEYS]> {
        let first = upper << 16;
        let mut divided = (0..256).filter(|byte| self.is_divided(first | byte << 8));
        let first = divided.next().unwrap_or(0);
        let second = divided.next().unwrap_or(first);
        divided.next().is_none().then_some([first, second])
    }

    /// Blocks in steps of a byte; their entries in the root.
    fn in_steps(&mut self, divided: &[u32]) -> Option<Vec<u32>> {
        let mut entries = Vec::with_capacity(divided.len());
        for upper in divided {
            entries.push(self.next(&self.second));
            for byte in 0..256 {
                let first = upper << 16 | byte << 8;
                let entry = if self.is_divided(first) {
                    let block = self.next(&self.third);
                    self.third.extend((0..256).map(|byte| self.field.class(first | byte)));
                    block
                } else {
                    self.field.class(first).into()
                };
                self.second.push(u16::try_from(entry).ok()?);
            }
            if (self.second.len() + self.third.len()) * 2 > MOST_BLOCK_BYTES {
                return None;
            }
        }
        Some(entries)
    }

    /// Whether the 256 addresses from `first` on differ.
    fn is_divided(&self, first: u32) -> bool {
        self.field.is_divided(first, first | 0xff)
    }

    /// The entry of the block that comes next.
    fn next(&self, blocks: &[u16]) -> u32 {
        self.first_block + (blocks.len() / ENTRIES) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host in each of some parts of some networks, all of one class, and what was built.
    fn hosts(networks: u32, parts: u32) -> (Intervals<u32>, Directory) {
        let mut field = Intervals { starts: vec![0], classes: vec![0] };
        for network in 1..=networks {
            for part in 0..parts {
                let host = network << 16 | part << 9 | 7;
                field.starts.extend([host, host + 1]);
                field.classes.extend([1, 0]);
            }
        }
        let directory = Directory::build(&field, &[]).unwrap();
        (field, directory)
    }

    #[test]
    fn every_address_of_either_layout_has_its_class() {
        for (networks, parts, is_keyed) in
            [(3, 1, true), (3, 2, true), (3, 9, true), (90, 9, false)]
        {
            let (field, directory) = hosts(networks, parts);
            assert_eq!(directory.first_wide.is_some(), is_keyed, "{networks} of {parts}");
            assert_eq!(directory.third.is_empty(), is_keyed, "{networks} of {parts}");
            for address in 0..(networks + 2) << 16 {
                assert_eq!(directory.class(address), field.class(address), "{address:#x}");
            }
        }
    }
}
