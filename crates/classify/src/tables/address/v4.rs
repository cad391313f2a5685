//! IPv4 addresses → classes.

use crate::tables::classes::Intervals;
use crate::tables::table::Table;

/// A directory of IPv4 addresses: 65,536 entries by the upper half, then blocks of 256 by one
/// further byte each where an entry is divided.
#[derive(Debug)]
pub(crate) struct Directory {
    /// In the lower half an entry: a class, or [`Directory::first_block`] and the number of a block
    /// of [`Directory::second`]; in the upper half one bit for each tuple that has rules there.
    pub(crate) root: Table,
    /// Entries, of which the blocks are those of [`Directory::third`].
    pub(crate) second: Table,
    pub(crate) third: Table,
    /// The entry of the first block; those below are classes. So few classes and blocks are bytes.
    pub(crate) first_block: u32,
}

/// Bytes the blocks of one directory may take.
const MOST_BLOCK_BYTES: usize = 6 << 20;

impl Directory {
    /// `None` where a class does not fit or blocks would be too many.
    pub(super) fn build(field: &Intervals<u32>, tuple_bits: &[u16]) -> Option<Self> {
        let first_block = field.classes.iter().max().map_or(0, |class| u32::from(*class) + 1);
        let mut blocks = Blocks { first_block, second: Vec::new(), third: Vec::new() };
        let mut root = vec![0u32; 1 << 16];
        let ends = field.starts.iter().skip(1).map(|start| start - 1).chain([u32::MAX]);
        for ((&first, last), &class) in field.starts.iter().zip(ends).zip(&field.classes) {
            root[(first >> 16) as usize..=(last >> 16) as usize].fill(class.into());
        }
        // An interval that starts inside an entry divides it.
        let mut divided: Vec<u32> =
            field.starts.iter().filter(|start| *start & 0xffff != 0).map(|it| it >> 16).collect();
        divided.dedup();
        for upper in divided {
            root[upper as usize] = blocks.divide_second(field, upper << 16)?.into();
        }
        for (entry, bits) in root.iter_mut().zip(tuple_bits) {
            *entry |= u32::from(*bits) << 16;
        }
        Some(Self {
            root: Table::new(&root),
            second: Table::new(&blocks.second),
            third: Table::new(&blocks.third),
            first_block,
        })
    }

    #[inline]
    pub(crate) fn class(&self, address: u32) -> u16 {
        let place = |block: u32, shift: u32| (block << 8 | address >> shift & 0xff) as usize;
        let entry = self.root.at((address >> 16) as usize) & 0xffff;
        let Some(block) = entry.checked_sub(self.first_block) else { return entry as u16 };
        let entry = self.second.at(place(block, 8));
        let Some(block) = entry.checked_sub(self.first_block) else { return entry as u16 };
        self.third.at(place(block, 0)) as u16
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.root.memory_bytes() + self.second.memory_bytes() + self.third.memory_bytes()
    }
}

struct Blocks {
    first_block: u32,
    second: Vec<u16>,
    third: Vec<u16>,
}

impl Blocks {
    /// A block for the 65,536 addresses from `first` on; its entry.
    fn divide_second(&mut self, field: &Intervals<u32>, first: u32) -> Option<u16> {
        let block = self.next(&self.second)?;
        for byte in 0..256 {
            let first = first | byte << 8;
            let entry = if field.is_divided(first, first | 0xff) {
                let block = self.next(&self.third)?;
                self.third.extend((0..256).map(|byte| field.class(first | byte)));
                block
            } else {
                field.class(first)
            };
            self.second.push(entry);
        }
        let bytes = (self.second.len() + self.third.len()) * 2;
        (bytes <= MOST_BLOCK_BYTES).then_some(block)
    }

    /// The entry of the block that comes next.
    fn next(&self, blocks: &[u16]) -> Option<u16> {
        u16::try_from(self.first_block as usize + blocks.len() / 256).ok()
    }
}
