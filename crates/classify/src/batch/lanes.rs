//! The operations a batch lookup is made of, on as many packets as a register holds.

use crate::tables::{Numbers, Table, Table32};

/// A set of instructions, and the proof that the processor has it.
///
/// Lookups are written once, over this trait. [`Portable`] is plain Rust and the twin of the
/// others: all must give the same values. Indices past the end of a table read the value that ends
/// it, so that no index can read outside.
pub(crate) trait Lanes: Copy {
    /// One 32-bit value for each packet.
    type Vector: Copy;
    /// One bit for each packet.
    type Mask: Copy;
    /// Packets a vector holds; divides [`super::CHUNK`].
    const WIDTH: usize;

    fn splat(self, value: u32) -> Self::Vector;
    /// The values from `at` on.
    fn load(self, from: &[u32], at: usize) -> Self::Vector;
    /// The bytes from `at` on.
    fn load_bytes(self, from: &[u8], at: usize) -> Self::Vector;
    fn store(self, vector: Self::Vector, to: &mut [u32], at: usize);
    /// The four words of as many addresses, the first bits first.
    fn words(self, addresses: &[u128]) -> [Self::Vector; 4];
    /// `at`, `at + 1`, …
    fn count_from(self, at: u32) -> Self::Vector;

    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Wraps around below zero.
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The lower half of the product.
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// All by the same count below 32.
    fn shift_left(self, a: Self::Vector, count: u32) -> Self::Vector;
    /// All by the same count below 32.
    fn shift_right(self, a: Self::Vector, count: u32) -> Self::Vector;
    /// Each by its own count; 32 and more leave nothing.
    fn shift_right_each(self, a: Self::Vector, counts: Self::Vector) -> Self::Vector;

    /// How many zeros each begins with; 32 where there is nothing else.
    fn leading_zeros(self, a: Self::Vector) -> Self::Vector;

    fn is_zero(self, a: Self::Vector) -> Self::Mask;
    fn same(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// What is in the first and not in the second.
    fn without(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// The first `count` packets.
    fn first(self, count: usize) -> Self::Mask;
    fn is_empty(self, mask: Self::Mask) -> bool;
    /// `a` where the mask is set, else `b`.
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Writes the values whose bit is set side by side from `at` on, and says how many.
    ///
    /// Up to [`Lanes::WIDTH`] values from `at` on are overwritten.
    fn compress(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32], at: usize) -> usize;

    fn gather(self, table: &Table, index: Self::Vector) -> Self::Vector;
    fn gather32(self, table: &Table32, index: Self::Vector) -> Self::Vector;
    /// Two words from each index on, the last two where there are fewer.
    #[inline(always)]
    fn gather_pair(self, table: &Table32, index: Self::Vector) -> [Self::Vector; 2] {
        let index = self.min(index, self.splat(table.last() as u32 - 1));
        [self.gather32(table, index), self.gather32(table, self.add(index, self.splat(1)))]
    }
    /// Four words from each index on, the last four where there are fewer.
    #[inline(always)]
    fn gather_words(self, table: &Table32, index: Self::Vector) -> [Self::Vector; 4] {
        let index = self.min(index, self.splat(table.last() as u32 - 3));
        let [first, second] = self.gather_pair(table, index);
        let [third, fourth] = self.gather_pair(table, self.add(index, self.splat(2)));
        [first, second, third, fourth]
    }
    /// From an array of one chunk.
    fn pick(self, from: &[u32; super::CHUNK], index: Self::Vector) -> Self::Vector;
    /// Into an array of one chunk, where the mask is set; indices differ from one another.
    fn put(
        self,
        mask: Self::Mask,
        a: Self::Vector,
        to: &mut [u32; super::CHUNK],
        index: Self::Vector,
    );
}

/// Plain Rust, eight packets at a time.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const WIDTH: usize = 8;

#[inline(always)]
fn each(value: impl Fn(usize) -> u32) -> [u32; WIDTH] {
    std::array::from_fn(value)
}

#[inline(always)]
fn which(holds: impl Fn(usize) -> bool) -> u8 {
    (0..WIDTH).fold(0, |mask, lane| mask | u8::from(holds(lane)) << lane)
}

impl Lanes for Portable {
    type Vector = [u32; WIDTH];
    type Mask = u8;
    const WIDTH: usize = WIDTH;

    #[inline(always)]
    fn splat(self, value: u32) -> Self::Vector {
        [value; WIDTH]
    }

    #[inline(always)]
    fn load(self, from: &[u32], at: usize) -> Self::Vector {
        each(|lane| from[at + lane])
    }

    #[inline(always)]
    fn load_bytes(self, from: &[u8], at: usize) -> Self::Vector {
        each(|lane| from[at + lane].into())
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [u32], at: usize) {
        to[at..at + WIDTH].copy_from_slice(&vector);
    }

    #[inline(always)]
    fn words(self, addresses: &[u128]) -> [Self::Vector; 4] {
        let word = |shift: u32| each(|lane| (addresses[lane] >> shift) as u32);
        [word(96), word(64), word(32), word(0)]
    }

    #[inline(always)]
    fn count_from(self, at: u32) -> Self::Vector {
        each(|lane| at + lane as u32)
    }

    #[inline(always)]
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].wrapping_sub(b[lane]))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].wrapping_mul(b[lane]))
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].min(b[lane]))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Vector, count: u32) -> Self::Vector {
        each(|lane| a[lane] << count)
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Vector, count: u32) -> Self::Vector {
        each(|lane| a[lane] >> count)
    }

    #[inline(always)]
    fn shift_right_each(self, a: Self::Vector, counts: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].checked_shr(counts[lane]).unwrap_or(0))
    }

    #[inline(always)]
    fn leading_zeros(self, a: Self::Vector) -> Self::Vector {
        each(|lane| a[lane].leading_zeros())
    }

    #[inline(always)]
    fn is_zero(self, a: Self::Vector) -> Self::Mask {
        which(|lane| a[lane] == 0)
    }

    #[inline(always)]
    fn same(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        which(|lane| a[lane] == b[lane])
    }

    #[inline(always)]
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        which(|lane| a[lane] < b[lane])
    }

    #[inline(always)]
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        a & b
    }

    #[inline(always)]
    fn without(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        a & !b
    }

    #[inline(always)]
    fn first(self, count: usize) -> Self::Mask {
        if count >= WIDTH { u8::MAX } else { (1 << count) - 1 }
    }

    #[inline(always)]
    fn is_empty(self, mask: Self::Mask) -> bool {
        mask == 0
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        each(|lane| if mask >> lane & 1 == 1 { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn compress(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32], at: usize) -> usize {
        let mut count = 0;
        for (lane, value) in a.into_iter().enumerate() {
            to[at + count] = value;
            count += usize::from(mask >> lane & 1);
        }
        count
    }

    #[inline(always)]
    fn gather(self, table: &Table, index: Self::Vector) -> Self::Vector {
        let at = |lane: usize| (index[lane] as usize).min(table.count());
        match table.numbers() {
            Numbers::Bytes(numbers) => each(|lane| numbers[at(lane)].into()),
            Numbers::Halves(numbers) => each(|lane| numbers[at(lane)].into()),
            Numbers::Words(numbers) => each(|lane| numbers[at(lane)]),
        }
    }

    #[inline(always)]
    fn gather32(self, table: &Table32, index: Self::Vector) -> Self::Vector {
        each(|lane| table.at((index[lane] as usize).min(table.last())))
    }

    #[inline(always)]
    fn pick(self, from: &[u32; super::CHUNK], index: Self::Vector) -> Self::Vector {
        each(|lane| from[index[lane] as usize % super::CHUNK])
    }

    #[inline(always)]
    fn put(
        self,
        mask: Self::Mask,
        a: Self::Vector,
        to: &mut [u32; super::CHUNK],
        index: Self::Vector,
    ) {
        for lane in 0..WIDTH {
            if mask >> lane & 1 == 1 {
                to[index[lane] as usize % super::CHUNK] = a[lane];
            }
        }
    }
}
