//! Eight packets at a time with AVX2.
#![expect(unsafe_code, reason = "vector instructions; the portable lanes are the safe twin")]

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadl_epi64, _mm256_add_epi32, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_blendv_epi8, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpeq_epi32, _mm256_cmpgt_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi32, _mm256_extracti128_si256, _mm256_i32gather_epi32, _mm256_i32gather_epi64,
    _mm256_loadu_si256, _mm256_loadu2_m128i, _mm256_min_epu32, _mm256_movemask_ps,
    _mm256_mullo_epi32, _mm256_permute4x64_epi64, _mm256_permutevar8x32_epi32, _mm256_set_epi32,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_ps, _mm256_sll_epi32, _mm256_srl_epi32,
    _mm256_srli_epi32, _mm256_srlv_epi32, _mm256_storeu_si256, _mm256_sub_epi32, _mm256_subs_epu16,
    _mm256_testz_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::Task;
use super::chunk::CHUNK;
use super::lanes::Lanes;
use crate::tables::{Numbers, Table, Table32};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }

    pub(crate) fn run(self, task: impl Task) {
        #[target_feature(enable = "avx2,popcnt")]
        fn enabled(lanes: Avx2, task: impl Task) {
            task.run(lanes);
        }
        // SAFETY: `self` proves that the processor has the feature.
        unsafe { enabled(self, task) }
    }
}

/// For each set of lanes which of them come first, second and so on.
static SIDE_BY_SIDE: [[u8; 8]; 256] = {
    let mut orders = [[0; 8]; 256];
    let mut bits = 0;
    while bits < orders.len() {
        let (mut lane, mut count) = (0u8, 0);
        while lane < 8 {
            if bits >> lane & 1 == 1 {
                orders[bits][count] = lane;
                count += 1;
            }
            lane += 1;
        }
        bits += 1;
    }
    orders
};

/// Wraps an intrinsic that touches no memory.
macro_rules! arithmetic {
    ($call:expr) => {
        // SAFETY: `self` proves that the processor has AVX2; the operation touches no memory.
        unsafe { $call }
    };
}

impl Avx2 {
    /// The values of a vector.
    #[inline(always)]
    fn values(self, a: __m256i) -> [u32; 8] {
        let mut values = [0; 8];
        self.store(a, &mut values, 0);
        values
    }

    /// Four words of two packets each, those four packets apart → the words of all, by number.
    #[inline(always)]
    fn turned([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
        let ab = arithmetic!((_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b)));
        let cd = arithmetic!((_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d)));
        [
            arithmetic!(_mm256_unpacklo_epi64(ab.0, cd.0)),
            arithmetic!(_mm256_unpackhi_epi64(ab.0, cd.0)),
            arithmetic!(_mm256_unpacklo_epi64(ab.1, cd.1)),
            arithmetic!(_mm256_unpackhi_epi64(ab.1, cd.1)),
        ]
    }

    /// One bit for each lane whose bits are set.
    #[inline(always)]
    fn bits(mask: __m256i) -> u8 {
        arithmetic!(_mm256_movemask_ps(_mm256_castsi256_ps(mask))).cast_unsigned() as u8
    }
}

impl Lanes for Avx2 {
    type Vector = __m256i;
    /// All bits of each lane, or none.
    type Mask = __m256i;
    const WIDTH: usize = 8;

    #[inline(always)]
    fn splat(self, value: u32) -> Self::Vector {
        arithmetic!(_mm256_set1_epi32(value.cast_signed()))
    }

    #[inline(always)]
    fn load(self, from: &[u32], at: usize) -> Self::Vector {
        let from = &from[at..at + Self::WIDTH];
        // SAFETY: the slice holds the eight values read; the load needs no alignment.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_bytes(self, from: &[u8], at: usize) -> Self::Vector {
        let from = &from[at..at + Self::WIDTH];
        // SAFETY: the slice holds the eight bytes read; the load needs no alignment.
        let bytes = unsafe { _mm_loadl_epi64(from.as_ptr().cast()) };
        arithmetic!(_mm256_cvtepu8_epi32(bytes))
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [u32], at: usize) {
        let to = &mut to[at..at + Self::WIDTH];
        // SAFETY: the slice holds the eight values written; the store needs no alignment.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn words(self, addresses: &[u128]) -> [Self::Vector; 4] {
        let addresses = &addresses[..Self::WIDTH];
        // Addresses that end up in the two halves of a register.
        let pair = |at: usize| {
            // SAFETY: the slice holds eight addresses; the loads need no alignment.
            unsafe {
                let (low, high) = (&raw const addresses[at], &raw const addresses[at + 4]);
                _mm256_loadu2_m128i(high.cast(), low.cast())
            }
        };
        let [last, third, second, first] = Self::turned([pair(0), pair(1), pair(2), pair(3)]);
        [first, second, third, last]
    }

    #[inline(always)]
    fn count_from(self, at: u32) -> Self::Vector {
        let lanes = arithmetic!(_mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
        self.add(lanes, self.splat(at))
    }

    #[inline(always)]
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_xor_si256(a, b))
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_add_epi32(a, b))
    }

    #[inline(always)]
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_sub_epi32(a, b))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_min_epu32(a, b))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Vector, count: u32) -> Self::Vector {
        arithmetic!(_mm256_sll_epi32(a, _mm_cvtsi32_si128(count.cast_signed())))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Vector, count: u32) -> Self::Vector {
        arithmetic!(_mm256_srl_epi32(a, _mm_cvtsi32_si128(count.cast_signed())))
    }

    #[inline(always)]
    fn shift_right_each(self, a: Self::Vector, counts: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_srlv_epi32(a, counts))
    }

    #[inline(always)]
    fn leading_zeros(self, a: Self::Vector) -> Self::Vector {
        // The exponent of the number; bits that could round it up are left out.
        let leading = arithmetic!(_mm256_andnot_si256(_mm256_srli_epi32::<8>(a), a));
        let number = arithmetic!(_mm256_castps_si256(_mm256_cvtepi32_ps(leading)));
        let exponent = arithmetic!(_mm256_srli_epi32::<23>(number));
        // Zero has none, and a number that was taken for a negative one the highest.
        let zeros = arithmetic!(_mm256_subs_epu16(_mm256_set1_epi32(158), exponent));
        self.min(zeros, self.splat(32))
    }

    #[inline(always)]
    fn is_zero(self, a: Self::Vector) -> Self::Mask {
        self.same(a, arithmetic!(_mm256_setzero_si256()))
    }

    #[inline(always)]
    fn same(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        arithmetic!(_mm256_cmpeq_epi32(a, b))
    }

    #[inline(always)]
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        // Signed comparison tells numbers below 2^31 from those above the wrong way round.
        let lowest = self.splat(1 << 31);
        arithmetic!(_mm256_cmpgt_epi32(self.xor(b, lowest), self.xor(a, lowest)))
    }

    #[inline(always)]
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        self.and(a, b)
    }

    #[inline(always)]
    fn without(self, a: Self::Mask, b: Self::Mask) -> Self::Mask {
        arithmetic!(_mm256_andnot_si256(b, a))
    }

    #[inline(always)]
    fn first(self, count: usize) -> Self::Mask {
        let count = self.splat(count.min(Self::WIDTH) as u32);
        arithmetic!(_mm256_cmpgt_epi32(count, self.count_from(0)))
    }

    #[inline(always)]
    fn is_empty(self, mask: Self::Mask) -> bool {
        arithmetic!(_mm256_testz_si256(mask, mask)) == 1
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm256_blendv_epi8(b, a, mask))
    }

    #[inline(always)]
    fn compress(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32], at: usize) -> usize {
        let bits = Self::bits(mask);
        let order = self.load_bytes(&SIDE_BY_SIDE[usize::from(bits)], 0);
        self.store(arithmetic!(_mm256_permutevar8x32_epi32(a, order)), to, at);
        bits.count_ones() as usize
    }

    #[inline(always)]
    fn gather(self, table: &Table, index: Self::Vector) -> Self::Vector {
        let index = self.min(index, self.splat(table.count() as u32));
        // SAFETY: no index passes the first of the zeros that end the table, of which there are 32
        // bits: so many are read.
        match table.numbers() {
            Numbers::Bytes(numbers) => {
                let read = unsafe { _mm256_i32gather_epi32::<1>(numbers.as_ptr().cast(), index) };
                self.and(read, self.splat(0xff))
            }
            Numbers::Halves(numbers) => {
                let read = unsafe { _mm256_i32gather_epi32::<2>(numbers.as_ptr().cast(), index) };
                self.and(read, self.splat(0xffff))
            }
            Numbers::Words(numbers) => unsafe {
                _mm256_i32gather_epi32::<4>(numbers.as_ptr().cast(), index)
            },
        }
    }

    #[inline(always)]
    fn gather32(self, table: &Table32, index: Self::Vector) -> Self::Vector {
        let index = self.min(index, self.splat(table.last() as u32));
        // SAFETY: no index passes the last value.
        unsafe { _mm256_i32gather_epi32::<4>(table.values().as_ptr().cast(), index) }
    }

    #[inline(always)]
    fn gather_pair(self, table: &Table32, index: Self::Vector) -> [Self::Vector; 2] {
        let values = table.values();
        assert!(values.len() >= 2, "a table of words in twos");
        let index = self.min(index, self.splat(values.len() as u32 - 2));
        // Lanes 0, 1, 4, 5 and 2, 3, 6, 7, so that each half of a register stays where it is.
        let halves = arithmetic!(_mm256_permute4x64_epi64::<0b11_01_10_00>(index));
        let (first, second) =
            arithmetic!((_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves)));
        // SAFETY: no index passes the second value from the end, so that two are inside.
        let (first, second) = unsafe {
            let first = _mm256_i32gather_epi64::<4>(values.as_ptr().cast(), first);
            (first, _mm256_i32gather_epi64::<4>(values.as_ptr().cast(), second))
        };
        let (first, second) =
            arithmetic!((_mm256_castsi256_ps(first), _mm256_castsi256_ps(second)));
        let even = arithmetic!(_mm256_shuffle_ps::<0b10_00_10_00>(first, second));
        let odd = arithmetic!(_mm256_shuffle_ps::<0b11_01_11_01>(first, second));
        [even, odd].map(|words| arithmetic!(_mm256_castps_si256(words)))
    }

    #[inline(always)]
    fn gather_words(self, table: &Table32, index: Self::Vector) -> [Self::Vector; 4] {
        let values = table.values();
        assert!(values.len() >= 4, "a table of words in fours");
        let index = self.values(self.min(index, self.splat(values.len() as u32 - 4)));
        // The words of packets that end up in the two halves of a register.
        let pair = |low: usize| {
            // SAFETY: no index passes the fourth value from the end, so that four are inside; the
            // loads need no alignment.
            unsafe {
                let [low, high] = [low, low + 4].map(|it| values.as_ptr().add(index[it] as usize));
                _mm256_loadu2_m128i(high.cast(), low.cast())
            }
        };
        let [first, second, third, last] = Self::turned([pair(0), pair(1), pair(2), pair(3)]);
        [first, second, third, last]
    }

    #[inline(always)]
    fn pick(self, from: &[u32; CHUNK], index: Self::Vector) -> Self::Vector {
        let index = self.and(index, self.splat(CHUNK as u32 - 1));
        // SAFETY: the mask keeps indices below the length, a power of two.
        unsafe { _mm256_i32gather_epi32::<4>(from.as_ptr().cast(), index) }
    }

    #[inline(always)]
    fn put(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32; CHUNK], index: Self::Vector) {
        let (values, index, bits) = (self.values(a), self.values(index), Self::bits(mask));
        // Without branches: which lanes are set is as good as random.
        for (lane, (value, index)) in values.into_iter().zip(index).enumerate() {
            let place = &mut to[index as usize % CHUNK];
            *place = std::hint::select_unpredictable(bits >> lane & 1 == 1, value, *place);
        }
    }
}
