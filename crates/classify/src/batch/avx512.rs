//! Sixteen packets at a time with AVX-512.
#![expect(unsafe_code, reason = "vector instructions; the portable lanes are the safe twin")]

use std::arch::x86_64::{
    __m512i, __mmask16, _mm_cvtsi32_si128, _mm_loadu_si128, _mm512_add_epi32, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_cmpeq_epi32_mask, _mm512_cmplt_epu32_mask, _mm512_cvtepu8_epi32,
    _mm512_extracti64x4_epi64, _mm512_i32gather_epi32, _mm512_i32gather_epi64, _mm512_loadu_si512,
    _mm512_lzcnt_epi32, _mm512_mask_blend_epi32, _mm512_mask_i32scatter_epi32,
    _mm512_maskz_compress_epi32, _mm512_min_epu32, _mm512_mullo_epi32, _mm512_permutex2var_epi32,
    _mm512_set_epi32, _mm512_set1_epi32, _mm512_shuffle_i64x2, _mm512_sll_epi32, _mm512_srl_epi32,
    _mm512_srlv_epi32, _mm512_storeu_si512, _mm512_sub_epi32, _mm512_testn_epi32_mask,
    _mm512_xor_si512,
};

use super::Task;
use super::chunk::CHUNK;
use super::lanes::Lanes;
use crate::tables::{Numbers, Table, Table32};

/// Proof that the processor has AVX-512 F, BW, CD, DQ and VL.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let all = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("popcnt");
        all.then_some(Self(()))
    }

    pub(crate) fn run(self, task: impl Task) {
        #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,popcnt")]
        fn enabled(lanes: Avx512, task: impl Task) {
            task.run(lanes);
        }
        // SAFETY: `self` proves that the processor has the features.
        unsafe { enabled(self, task) }
    }
}

/// Wraps an intrinsic that touches no memory.
macro_rules! arithmetic {
    ($call:expr) => {
        // SAFETY: `self` proves that the processor has AVX-512; the operation touches no memory.
        unsafe { $call }
    };
}

impl Lanes for Avx512 {
    type Vector = __m512i;
    type Mask = __mmask16;
    const WIDTH: usize = 16;

    #[inline(always)]
    fn splat(self, value: u32) -> Self::Vector {
        arithmetic!(_mm512_set1_epi32(value.cast_signed()))
    }

    #[inline(always)]
    fn load(self, from: &[u32], at: usize) -> Self::Vector {
        let from = &from[at..at + Self::WIDTH];
        // SAFETY: the slice holds the sixteen values read; the load needs no alignment.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_bytes(self, from: &[u8], at: usize) -> Self::Vector {
        let from = &from[at..at + Self::WIDTH];
        // SAFETY: the slice holds the sixteen bytes read; the load needs no alignment.
        let bytes = unsafe { _mm_loadu_si128(from.as_ptr().cast()) };
        arithmetic!(_mm512_cvtepu8_epi32(bytes))
    }

    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [u32], at: usize) {
        let to = &mut to[at..at + Self::WIDTH];
        // SAFETY: the slice holds the sixteen values written; the store needs no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), vector) }
    }

    #[inline(always)]
    fn words(self, addresses: &[u128]) -> [Self::Vector; 4] {
        let quarter = |from: usize| {
            let addresses = &addresses[from..from + 4];
            // SAFETY: the slice holds the four addresses read; the load needs no alignment.
            unsafe { _mm512_loadu_si512(addresses.as_ptr().cast()) }
        };
        let halves = [(quarter(0), quarter(4)), (quarter(8), quarter(12))];
        // Two words of eight addresses side by side; the last word of an address comes first.
        let pairs = |at: i32| {
            let lanes = arithmetic!(_mm512_set_epi32(
                29, 25, 21, 17, 13, 9, 5, 1, 28, 24, 20, 16, 12, 8, 4, 0
            ));
            let lanes = self.add(lanes, self.splat(at.cast_unsigned()));
            let half = |(a, b)| arithmetic!(_mm512_permutex2var_epi32(a, lanes, b));
            [half(halves[0]), half(halves[1])]
        };
        let ([low, high], [low_rest, high_rest]) = (pairs(2), pairs(0));
        [
            arithmetic!(_mm512_shuffle_i64x2::<0xee>(low, high)),
            arithmetic!(_mm512_shuffle_i64x2::<0x44>(low, high)),
            arithmetic!(_mm512_shuffle_i64x2::<0xee>(low_rest, high_rest)),
            arithmetic!(_mm512_shuffle_i64x2::<0x44>(low_rest, high_rest)),
        ]
    }

    #[inline(always)]
    fn count_from(self, at: u32) -> Self::Vector {
        let lanes =
            arithmetic!(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
        self.add(lanes, self.splat(at))
    }

    #[inline(always)]
    fn and(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn xor(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_xor_si512(a, b))
    }

    #[inline(always)]
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn subtract(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_sub_epi32(a, b))
    }

    #[inline(always)]
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_min_epu32(a, b))
    }

    #[inline(always)]
    fn shift_left(self, a: Self::Vector, count: u32) -> Self::Vector {
        arithmetic!(_mm512_sll_epi32(a, _mm_cvtsi32_si128(count.cast_signed())))
    }

    #[inline(always)]
    fn shift_right(self, a: Self::Vector, count: u32) -> Self::Vector {
        arithmetic!(_mm512_srl_epi32(a, _mm_cvtsi32_si128(count.cast_signed())))
    }

    #[inline(always)]
    fn shift_right_each(self, a: Self::Vector, counts: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_srlv_epi32(a, counts))
    }

    #[inline(always)]
    fn leading_zeros(self, a: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_lzcnt_epi32(a))
    }

    #[inline(always)]
    fn is_zero(self, a: Self::Vector) -> Self::Mask {
        arithmetic!(_mm512_testn_epi32_mask(a, a))
    }

    #[inline(always)]
    fn same(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        arithmetic!(_mm512_cmpeq_epi32_mask(a, b))
    }

    #[inline(always)]
    fn less(self, a: Self::Vector, b: Self::Vector) -> Self::Mask {
        arithmetic!(_mm512_cmplt_epu32_mask(a, b))
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
        if count >= Self::WIDTH { u16::MAX } else { (1 << count) - 1 }
    }

    #[inline(always)]
    fn is_empty(self, mask: Self::Mask) -> bool {
        mask == 0
    }

    #[inline(always)]
    fn select(self, mask: Self::Mask, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        arithmetic!(_mm512_mask_blend_epi32(mask, b, a))
    }

    #[inline(always)]
    fn compress(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32], at: usize) -> usize {
        self.store(arithmetic!(_mm512_maskz_compress_epi32(mask, a)), to, at);
        mask.count_ones() as usize
    }

    #[inline(always)]
    fn gather(self, table: &Table, index: Self::Vector) -> Self::Vector {
        let index = self.min(index, self.splat(table.count() as u32));
        // SAFETY: no index passes the first of the zeros that end the table, of which there are 32
        // bits: so many are read.
        match table.numbers() {
            Numbers::Bytes(numbers) => {
                let read = unsafe { _mm512_i32gather_epi32::<1>(index, numbers.as_ptr().cast()) };
                self.and(read, self.splat(0xff))
            }
            Numbers::Halves(numbers) => {
                let read = unsafe { _mm512_i32gather_epi32::<2>(index, numbers.as_ptr().cast()) };
                self.and(read, self.splat(0xffff))
            }
            Numbers::Words(numbers) => unsafe {
                _mm512_i32gather_epi32::<4>(index, numbers.as_ptr().cast())
            },
        }
    }

    #[inline(always)]
    fn gather32(self, table: &Table32, index: Self::Vector) -> Self::Vector {
        let index = self.min(index, self.splat(table.last() as u32));
        // SAFETY: no index passes the last value.
        unsafe { _mm512_i32gather_epi32::<4>(index, table.values().as_ptr().cast()) }
    }

    #[inline(always)]
    fn gather_pair(self, table: &Table32, index: Self::Vector) -> [Self::Vector; 2] {
        let values = table.values();
        assert!(values.len() >= 2, "a table of words in twos");
        let index = self.min(index, self.splat(values.len() as u32 - 2));
        let (low, high) =
            arithmetic!((_mm512_castsi512_si256(index), _mm512_extracti64x4_epi64::<1>(index)));
        // Two words of each packet: those of the first eight, those of the others.
        // SAFETY: no index passes the second value from the end, so that two are inside.
        let (low, high) = unsafe {
            let low = _mm512_i32gather_epi64::<4>(low, values.as_ptr().cast());
            (low, _mm512_i32gather_epi64::<4>(high, values.as_ptr().cast()))
        };
        let even = arithmetic!(_mm512_set_epi32(
            30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0
        ));
        let odd = self.add(even, self.splat(1));
        [
            arithmetic!(_mm512_permutex2var_epi32(low, even, high)),
            arithmetic!(_mm512_permutex2var_epi32(low, odd, high)),
        ]
    }

    #[inline(always)]
    fn pick(self, from: &[u32; CHUNK], index: Self::Vector) -> Self::Vector {
        let index = self.and(index, self.splat(CHUNK as u32 - 1));
        // SAFETY: the mask keeps indices below the length, a power of two.
        unsafe { _mm512_i32gather_epi32::<4>(index, from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn put(self, mask: Self::Mask, a: Self::Vector, to: &mut [u32; CHUNK], index: Self::Vector) {
        let index = self.and(index, self.splat(CHUNK as u32 - 1));
        // SAFETY: the mask keeps indices below the length, a power of two.
        unsafe { _mm512_mask_i32scatter_epi32::<4>(to.as_mut_ptr().cast(), mask, index, a) }
    }
}
