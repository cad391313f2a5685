//! The steps of a chunk of IPv6 packets that differ from those of IPv4: addresses, and tuples of
//! four words a side.

use super::chunk::{CHUNK, Chunk, Words};
use super::lanes::Lanes;
use super::lookup::{Entry, enqueue, probe, requeue, take, vectors};
use crate::tables::{AddressesV6, Conditions, RUN_BITS, SPREAD, Tables, Tuple, Tuples, v6};

/// Nodes read side by side: the few packets that are not at a leaf then go on one by one.
const MOST_DEPTH: usize = 6;

/// Addresses → address classes, and which tuples may hold the packet.
#[inline(always)]
pub(super) fn classes<L: Lanes>(lanes: L, tables: &Tables, chunk: &mut Chunk) {
    let count = chunk.count;
    search(lanes, &tables.src.v6, (count, &chunk.src), &mut chunk.src_class);
    search(lanes, &tables.dst.v6, (count, &chunk.dst), &mut chunk.dst_class);
    let bits = &tables.tuple_bits_v6;
    if bits.classes.is_empty() {
        return;
    }
    for at in vectors::<L>(chunk.count) {
        let hash = |first, second| {
            let first = lanes.multiply(first, lanes.splat(SPREAD[0]));
            let second = lanes.multiply(lanes.shift_right(second, 16), lanes.splat(SPREAD[1]));
            lanes.shift_right(lanes.xor(first, second), 16)
        };
        let src = hash(lanes.load(&chunk.src[0], at), lanes.load(&chunk.src[1], at));
        let dst = hash(lanes.load(&chunk.dst[0], at), lanes.load(&chunk.dst[1], at));
        let both = lanes.and(lanes.gather(&bits.src, src), lanes.gather(&bits.dst, dst));
        let class = lanes.gather(&bits.classes, lanes.load(&chunk.class, at));
        lanes.store(lanes.and(class, both), &mut chunk.tuples, at);
    }
}

/// One side's addresses → classes. The nodes of a depth are read for all packets before the next
/// ones are, then leaves: packets do not wait for one another.
#[inline(always)]
fn search<L: Lanes>(
    lanes: L,
    addresses: &AddressesV6,
    (count, words): (usize, &Words),
    class: &mut [u32; CHUNK],
) {
    class.fill(addresses.root);
    let mut is_open = addresses.root & v6::NODE != 0;
    for _ in 0..MOST_DEPTH {
        if !is_open {
            break;
        }
        is_open = false;
        for at in vectors::<L>(count) {
            let here = lanes.load(class, at);
            let words = load(lanes, words, at);
            let is_leaf = lanes.is_zero(lanes.and(here, lanes.splat(v6::NODE)));
            let next = lanes.gather32(&addresses.places, below(lanes, here, words));
            let next = lanes.select(is_leaf, here, next);
            lanes.store(next, class, at);
            let leaves = lanes.is_zero(lanes.and(next, lanes.splat(v6::NODE)));
            is_open |= !lanes.is_empty(lanes.without(lanes.first(L::WIDTH), leaves));
        }
    }
    if is_open {
        for (at, place) in class[..count].iter_mut().enumerate() {
            let address = words.iter().fold(0, |bits, words| bits << 32 | u128::from(words[at]));
            *place = addresses.leaf(*place, address);
        }
        // What stands behind the last packet is read as places too.
        class[count..].fill(0);
    }
    for at in vectors::<L>(count) {
        let words = load(lanes, words, at);
        let found = class_of(lanes, addresses, lanes.load(class, at), words);
        lanes.store(found, class, at);
    }
}

/// The words of the addresses from `at` on.
#[inline(always)]
fn load<L: Lanes>(lanes: L, [a, b, c, d]: &Words, at: usize) -> [L::Vector; 4] {
    [lanes.load(a, at), lanes.load(b, at), lanes.load(c, at), lanes.load(d, at)]
}

/// Nodes and the words of addresses → places.
#[inline(always)]
fn below<L: Lanes>(lanes: L, node: L::Vector, words: [L::Vector; 4]) -> L::Vector {
    let field =
        |shift: u32, mask: u32| lanes.and(lanes.shift_right(node, shift), lanes.splat(mask));
    let is_even = lanes.is_zero(field(v6::WORD_SHIFT, 1));
    let is_upper = lanes.is_zero(field(v6::WORD_SHIFT, 2));
    let [first, second, third, last] = words;
    let upper = lanes.select(is_even, first, second);
    let lower = lanes.select(is_even, third, last);
    let word = lanes.select(is_upper, upper, lower);
    let bits = lanes.shift_right_each(word, field(v6::SHIFT_SHIFT, 31));
    let unused = lanes.xor(field(v6::BITS_SHIFT, 15), lanes.splat(31));
    let mask = lanes.shift_right_each(lanes.splat(u32::MAX), unused);
    let first = lanes.shift_left(field(0, (1 << v6::BITS_SHIFT) - 1), 1);
    lanes.add(first, lanes.and(bits, mask))
}

/// Leaves and the words of addresses → classes.
#[inline(always)]
fn class_of<L: Lanes>(
    lanes: L,
    addresses: &AddressesV6,
    place: L::Vector,
    words: [L::Vector; 4],
) -> L::Vector {
    let part = |leaf, at: u32| lanes.gather32(&addresses.leaves, lanes.add(leaf, lanes.splat(at)));
    let mut leaf = lanes.and(place, lanes.splat(!v6::EDGE));
    let key = lanes.gather_words(&addresses.leaves, leaf);
    let shared = shared_bits(lanes, key, words);
    const { assert!(v6::CLASSES_AT == v6::LENGTHS_AT + 1, "lengths and classes are read as one") };
    let from = lanes.add(leaf, lanes.splat(v6::LENGTHS_AT));
    let [lengths, mut near] = lanes.gather_pair(&addresses.leaves, from);
    let mut link = links_passed(lanes, lengths, shared);
    if addresses.has_edges {
        let is_leaf = lanes.is_zero(lanes.and(place, lanes.splat(v6::EDGE)));
        let is_first = lanes.without(lanes.is_zero(link), is_leaf);
        let is_before = lanes.both(is_first, before(lanes, words, key));
        link = lanes.select(is_before, lanes.splat(1), link);
    }
    loop {
        // Most links are the first or the second, whose classes have been read with the lengths.
        let is_near = lanes.less(link, lanes.splat(2));
        let classes = if lanes.is_empty(lanes.without(lanes.first(L::WIDTH), is_near)) {
            near
        } else {
            lanes.select(is_near, near, part(leaf, v6::CLASSES_AT + 1))
        };
        let half = lanes.shift_left(lanes.and(link, lanes.splat(1)), 4);
        let class = lanes.and(lanes.shift_right_each(classes, half), lanes.splat(0xffff));
        let is_final = lanes.less(class, lanes.splat(v6::FOLLOWED.into()));
        let open = lanes.without(lanes.first(L::WIDTH), is_final);
        if lanes.is_empty(open) {
            return class;
        }
        leaf = lanes.select(open, part(leaf, v6::NEXT_AT), leaf);
        let from = lanes.add(leaf, lanes.splat(v6::LENGTHS_AT));
        let lengths;
        [lengths, near] = lanes.gather_pair(&addresses.leaves, from);
        link = lanes.select(open, links_passed(lanes, lengths, shared), link);
    }
}

/// How many bits addresses share with others, from the first on.
#[inline(always)]
fn shared_bits<L: Lanes>(lanes: L, words: [L::Vector; 4], others: [L::Vector; 4]) -> L::Vector {
    let mut shared = lanes.splat(0);
    for word in [3, 2, 1, 0] {
        let differing = lanes.xor(words[word], others[word]);
        let more = lanes.add(shared, lanes.splat(32));
        shared = lanes.select(lanes.is_zero(differing), more, lanes.leading_zeros(differing));
    }
    shared
}

/// How many links of a leaf are for more bits than are shared.
#[inline(always)]
fn links_passed<L: Lanes>(lanes: L, lengths: L::Vector, shared: L::Vector) -> L::Vector {
    let mut passed = lanes.splat(0);
    for link in 0..v6::LINKS - 1 {
        let length = lanes.and(lanes.shift_right(lengths, 8 * link), lanes.splat(0xff));
        let more = lanes.add(passed, lanes.splat(1));
        passed = lanes.select(lanes.less(shared, length), more, passed);
    }
    passed
}

/// Which addresses are before others.
#[inline(always)]
fn before<L: Lanes>(lanes: L, words: [L::Vector; 4], others: [L::Vector; 4]) -> L::Mask {
    let mut before = lanes.splat(0);
    for word in [3, 2, 1, 0] {
        let is_same = lanes.is_zero(lanes.xor(words[word], others[word]));
        let is_less = lanes.less(words[word], others[word]);
        let here = lanes.select(is_less, lanes.splat(1), lanes.splat(0));
        before = lanes.select(is_same, before, here);
    }
    lanes.less(lanes.splat(0), before)
}

/// The rules in tuples, against what pair tables have found.
#[inline(always)]
pub(super) fn tuples<L: Lanes>(lanes: L, tables: &Tables, chunk: &mut Chunk) {
    for (at, tuple) in tables.v6.all.iter().enumerate() {
        enqueue(lanes, at, tuple, chunk);
        find_runs(lanes, &tables.v6, tuple, chunk);
        while chunk.queue.length > 0 {
            compare_entries(lanes, &tables.v6, &tables.conditions, chunk);
        }
    }
}

#[inline(always)]
fn rotate<L: Lanes>(lanes: L, value: L::Vector, by: u32) -> L::Vector {
    lanes.xor(lanes.shift_left(value, by), lanes.shift_right(value, 32 - by))
}

/// The masked words of a side as one.
#[inline(always)]
fn fold<L: Lanes>(
    lanes: L,
    words: &Words,
    packet: L::Vector,
    (masks, spread): (&[u32; 4], u32),
) -> L::Vector {
    let mut sum = lanes.splat(0);
    for (words, mask) in words.iter().zip(masks) {
        let mut mixed = rotate(lanes, sum, 11);
        // A word that no prefix reaches need not be fetched.
        if *mask != 0 {
            mixed = lanes.xor(mixed, lanes.and(lanes.pick(words, packet), lanes.splat(*mask)));
        }
        sum = lanes.multiply(mixed, lanes.splat(spread));
    }
    sum
}

/// Queued packets → the runs of entries found by their masked addresses, as `Tuple::slot` hashes.
#[inline(always)]
fn find_runs<L: Lanes>(lanes: L, tuples: &Tuples, tuple: &Tuple, chunk: &mut Chunk) {
    let mut waiting = 0;
    for at in vectors::<L>(chunk.queue.length) {
        let live = lanes.first(chunk.queue.length - at);
        let packet = lanes.load(&chunk.queue.packet, at);
        let src = fold(lanes, &chunk.src, packet, (&tuple.src_mask, SPREAD[0]));
        let dst = fold(lanes, &chunk.dst, packet, (&tuple.dst_mask, SPREAD[1]));
        let run = probe(lanes, tuples, tuple, (src, dst));
        let filled = lanes.without(live, lanes.is_zero(run));
        lanes.compress(filled, packet, &mut chunk.queue.packet, waiting);
        waiting += lanes.compress(filled, run, &mut chunk.queue.at, waiting);
    }
    chunk.queue.length = waiting;
}

/// The packets outside of the prefix of `length` bits whose four words are at `from`.
#[inline(always)]
fn outside<L: Lanes>(
    lanes: L,
    tuples: &Tuples,
    words: &Words,
    packet: L::Vector,
    (from, length): (L::Vector, L::Vector),
) -> L::Mask {
    let prefix = lanes.gather_words(&tuples.entries, from);
    let [a, b, c, d] = words;
    let words = [
        lanes.pick(a, packet),
        lanes.pick(b, packet),
        lanes.pick(c, packet),
        lanes.pick(d, packet),
    ];
    lanes.less(shared_bits(lanes, prefix, words), length)
}

/// The first entry of each queued run against its packet; packets with more to compare stay queued.
#[inline(always)]
fn compare_entries<L: Lanes>(
    lanes: L,
    tuples: &Tuples,
    conditions: &Conditions,
    chunk: &mut Chunk,
) {
    let (byte, stride) = (lanes.splat(0xff), lanes.splat(tuples.stride() as u32));
    let mut waiting = 0;
    for at in vectors::<L>(chunk.queue.length) {
        let live = lanes.first(chunk.queue.length - at);
        let packet = lanes.load(&chunk.queue.packet, at);
        let run = lanes.load(&chunk.queue.at, at);
        // Ten words an entry: source, destination, condition with lengths, rule.
        let word = lanes.multiply(lanes.shift_right(run, RUN_BITS), stride);
        let lengths = lanes.gather32(&tuples.entries, lanes.add(word, lanes.splat(8)));
        let length = lanes.shift_right(lengths, 24);
        let src = outside(lanes, tuples, &chunk.src, packet, (word, length));
        let length = lanes.and(lanes.shift_right(lengths, 16), byte);
        let behind = lanes.add(word, lanes.splat(4));
        let dst = outside(lanes, tuples, &chunk.dst, packet, (behind, length));
        let same = lanes.without(lanes.without(lanes.first(L::WIDTH), src), dst);
        let rule = lanes.gather32(&tuples.entries, lanes.add(word, lanes.splat(9)));
        let more =
            take(lanes, conditions, chunk, (packet, live, run), Entry { same, lengths, rule });
        waiting += requeue(lanes, chunk, more, (packet, run), waiting);
    }
    chunk.queue.length = waiting;
}
