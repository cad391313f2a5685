use super::lanes::{Lanes, Portable};
use super::{CHUNK, Instructions};
use crate::tables::{Table, Table32};

/// Values at the corners of 32 bits and between, as many as the widest vector holds.
const VALUES: [u32; 16] = [
    0,
    1,
    2,
    3,
    31,
    32,
    33,
    255,
    256,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_0000,
    0x0001_0001,
    u32::MAX - 1,
    u32::MAX,
];

/// The greatest numbers of a table of bytes, of halves and of words.
const WIDEST: [u32; 3] = [u8::MAX as u32, u16::MAX as u32, u32::MAX];

const BYTES: [u8; 16] = [0, 255, 1, 128, 127, 2, 254, 3, 64, 65, 66, 67, 68, 69, 70, 71];

/// The numbers of a table up to `widest`.
fn number(widest: u32) -> impl Fn(u32) -> u32 {
    move |at| (at.wrapping_mul(0x9e37_79b1) ^ u32::MAX) & widest
}

/// The words of addresses, in order.
fn words_of<L: Lanes>(lanes: L, addresses: &[u128]) -> Vec<Vec<u32>> {
    let mut words = vec![Vec::new(); 4];
    for addresses in addresses.chunks(L::WIDTH) {
        for (vector, words) in lanes.words(addresses).into_iter().zip(&mut words) {
            let mut values = vec![0; L::WIDTH];
            lanes.store(vector, &mut values, 0);
            words.extend(values);
        }
    }
    words
}

#[test]
fn addresses_become_words_the_first_bits_first() {
    let number = |at: usize, word: usize| (at * 4 + word) as u32;
    let address = |at| (0..4).fold(0, |bits, word| bits << 32 | u128::from(number(at, word)));
    let addresses: Vec<u128> = (0..32).map(address).collect();
    let expected: Vec<Vec<u32>> =
        (0..4).map(|word| (0..32).map(|at| number(at, word)).collect()).collect();
    assert_eq!(words_of(Portable, &addresses), expected);
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = super::avx2::Avx2::detect().map(|lanes| words_of(lanes, &addresses));
        assert!(avx2.is_none_or(|words| words == expected));
        let avx512 = super::avx512::Avx512::detect().map(|lanes| words_of(lanes, &addresses));
        assert!(avx512.is_none_or(|words| words == expected));
    }
}

/// What every operation gives, over as many vectors as it takes.
fn transcript<L: Lanes>(lanes: L) -> Vec<Vec<u32>> {
    let tables = WIDEST.map(|widest| Table::new(&(0..40).map(number(widest)).collect::<Vec<_>>()));
    let table32 = Table32::new((0..40u32).map(|value| value.wrapping_mul(0x9e37_79b1)).collect());
    let mut chunk = [0u32; CHUNK];
    chunk.iter_mut().zip(0u32..).for_each(|(slot, value)| *slot = value.wrapping_mul(0x85eb_ca77));
    let mut results = Vec::new();
    for shift in 0..VALUES.len() {
        let mut other = VALUES;
        other.rotate_left(shift);
        let mut outcome: [Vec<u32>; 25] = Default::default();
        let mut compressed = vec![0u32; 2 * VALUES.len()];
        let mut put = [0u32; CHUNK];
        let mut length = 0;
        for at in (0..VALUES.len()).step_by(L::WIDTH) {
            let (a, b) = (lanes.load(&VALUES, at), lanes.load(&other, at));
            let zero = lanes.is_zero(lanes.and(a, lanes.splat(1)));
            let less = lanes.less(a, b);
            let masked = |mask| lanes.select(mask, lanes.splat(1), lanes.splat(0));
            let own = lanes.count_from(at as u32);
            let pair = lanes.gather_pair(&table32, b);
            let words = lanes.gather_words(&table32, b);
            let vectors = [
                lanes.and(a, b),
                lanes.xor(a, b),
                lanes.add(a, b),
                lanes.multiply(a, b),
                lanes.min(a, b),
                lanes.shift_left(a, shift as u32),
                lanes.shift_right(a, shift as u32),
                lanes.shift_right_each(a, b),
                lanes.leading_zeros(lanes.shift_right(a, shift as u32)),
                masked(zero),
                masked(less),
                masked(lanes.both(zero, less)),
                masked(lanes.without(zero, less)),
                lanes.load_bytes(&BYTES, at),
                lanes.gather(&tables[0], a),
                lanes.gather(&tables[1], a),
                lanes.gather(&tables[2], a),
                lanes.gather32(&table32, b),
                lanes.pick(&chunk, a),
                pair[0],
                pair[1],
                words[0],
                words[1],
                words[2],
                words[3],
            ];
            for (vector, outcome) in vectors.into_iter().zip(&mut outcome) {
                let mut values = vec![0; L::WIDTH];
                lanes.store(vector, &mut values, 0);
                outcome.extend(values);
            }
            let first = lanes.both(lanes.first(shift.saturating_sub(at)), less);
            length += lanes.compress(first, a, &mut compressed, length);
            lanes.put(less, b, &mut put, own);
        }
        compressed.truncate(length);
        results.extend(outcome);
        results.push(compressed);
        results.push(put.to_vec());
    }
    results
}

/// The operations on one packet at a time: their definition.
fn definition() -> Vec<Vec<u32>> {
    // Past the end of a table stand zeros.
    let at = |widest: u32, index: u32| if index > 39 { 0 } else { number(widest)(index) };
    let mut results = Vec::new();
    for shift in 0..VALUES.len() {
        let mut other = VALUES;
        other.rotate_left(shift);
        let each = |value: &dyn Fn(u32, u32) -> u32| -> Vec<u32> {
            VALUES.iter().zip(other).map(|(a, b)| value(*a, b)).collect()
        };
        let even = |a: u32| a & 1 == 0;
        results.extend([
            each(&|a, b| a & b),
            each(&|a, b| a ^ b),
            each(&u32::wrapping_add),
            each(&u32::wrapping_mul),
            each(&u32::min),
            each(&|a, _| a << shift),
            each(&|a, _| a >> shift),
            each(&|a, b| if b > 31 { 0 } else { a >> b }),
            each(&|a, _| (a >> shift).leading_zeros()),
            each(&|a, _| u32::from(even(a))),
            each(&|a, b| u32::from(a < b)),
            each(&|a, b| u32::from(even(a) && a < b)),
            each(&|a, b| u32::from(even(a) && a >= b)),
            BYTES.map(u32::from).to_vec(),
            each(&|a, _| at(WIDEST[0], a)),
            each(&|a, _| at(WIDEST[1], a)),
            each(&|a, _| at(WIDEST[2], a)),
            each(&|_, b| b.min(39).wrapping_mul(0x9e37_79b1)),
            each(&|a, _| (a % CHUNK as u32).wrapping_mul(0x85eb_ca77)),
            each(&|_, b| b.min(38).wrapping_mul(0x9e37_79b1)),
            each(&|_, b| (b.min(38) + 1).wrapping_mul(0x9e37_79b1)),
            each(&|_, b| b.min(36).wrapping_mul(0x9e37_79b1)),
            each(&|_, b| (b.min(36) + 1).wrapping_mul(0x9e37_79b1)),
            each(&|_, b| (b.min(36) + 2).wrapping_mul(0x9e37_79b1)),
            each(&|_, b| (b.min(36) + 3).wrapping_mul(0x9e37_79b1)),
        ]);
        let pairs = || VALUES.iter().copied().zip(other);
        results.push(pairs().take(shift).filter(|(a, b)| a < b).map(|(a, _)| a).collect());
        let mut put = vec![0; CHUNK];
        put.iter_mut().zip(pairs()).for_each(|(slot, (a, b))| *slot = if a < b { b } else { 0 });
        results.push(put);
    }
    results
}

#[track_caller]
fn check<L: Lanes>(lanes: L) {
    for (step, (found, expected)) in transcript(lanes).iter().zip(definition()).enumerate() {
        assert_eq!(*found, expected, "operation {} of round {}", step % 27, step / 27);
    }
}

#[test]
fn lanes_do_what_their_definition_says() {
    check(Portable);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(lanes) = super::avx2::Avx2::detect() {
            check(lanes);
        }
        if let Some(lanes) = super::avx512::Avx512::detect() {
            check(lanes);
        }
    }
}

#[test]
fn the_best_instructions_are_available() {
    assert!(Instructions::best().are_available());
    assert!(Instructions::Portable.are_available());
}
