//! The steps of a chunk of IPv6 packets that differ from those of IPv4: addresses, and tuples of
//! four words a side.

use super::chunk::{CHUNK, Chunk, Queue};
use super::lanes::Lanes;
use super::lookup::{Entry, enqueue, probe, requeue, take, vectors};
use crate::tables::{AddressesV6, Conditions, RUN_BITS, SPREAD, Tables, Tuple, Tuples};

/// A side of the packets: first words, the other words, classes.
type Side<'a> = (&'a [u32; CHUNK], &'a [[u32; CHUNK]; 3], &'a mut [u32; CHUNK]);

/// Addresses → address classes, and which tuples may hold the packet.
#[inline(always)]
pub(super) fn classes<L: Lanes>(lanes: L, tables: &Tables, chunk: &mut Chunk) {
    let Chunk { count, src, dst, src_rest, dst_rest, src_class, dst_class, .. } = chunk;
    let (index, queue) = (&mut chunk.index, &mut chunk.queue);
    search(lanes, &tables.src.v6, *count, (src, src_rest, src_class), (index, queue));
    search(lanes, &tables.dst.v6, *count, (dst, dst_rest, dst_class), (index, queue));
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
        let src = hash(lanes.load(&chunk.src, at), lanes.load(&chunk.src_rest[0], at));
        let dst = hash(lanes.load(&chunk.dst, at), lanes.load(&chunk.dst_rest[0], at));
        let both = lanes.and(lanes.gather16(&bits.src, src), lanes.gather16(&bits.dst, dst));
        let class = lanes.gather16(&bits.classes, lanes.load(&chunk.class, at));
        lanes.store(lanes.and(class, both), &mut chunk.tuples, at);
    }
}

/// One side's addresses → classes, one level of the search at a time: the packets of a level do not
/// wait for one another.
#[inline(always)]
fn search<L: Lanes>(
    lanes: L,
    addresses: &AddressesV6,
    count: usize,
    (first, rest, class): Side<'_>,
    (index, queue): (&mut [u32; CHUNK], &mut Queue),
) {
    let half = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let mut uppers = [0; CHUNK];
    for (upper, (high, low)) in uppers.iter_mut().zip(first.iter().zip(&rest[0])) {
        *upper = half(*high, *low);
    }
    index[..count].fill(0);
    for level in addresses.levels() {
        for (at, upper) in index[..count].iter_mut().zip(uppers) {
            *at = level.descend(*at, |node| lanes.not_above(node, upper));
        }
    }
    // Whether a packet is a host's is hard to foresee: those that are wait until all are known.
    let mut length = 0;
    for (packet, (class, (at, upper))) in
        (0u32..).zip(class.iter_mut().zip(index[..count].iter().zip(uppers)))
    {
        let network = addresses.network(*at);
        *class = network.class.into();
        queue.packet[length] = packet;
        length += usize::from(network.has_hosts(upper));
    }
    for packet in queue.packet[..length].iter().map(|packet| *packet as usize) {
        let lower = half(rest[1][packet], rest[2][packet]);
        let network = addresses.network(index[packet]);
        let known = addresses.host_class(network, lower, |node| lanes.not_above(node, lower));
        class[packet] = known.into();
    }
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

/// The words of one side, and a packet's place in them.
type Words<'a> = [&'a [u32; CHUNK]; 4];

fn words<'a>(first: &'a [u32; CHUNK], rest: &'a [[u32; CHUNK]; 3]) -> Words<'a> {
    [first, &rest[0], &rest[1], &rest[2]]
}

#[inline(always)]
fn rotate<L: Lanes>(lanes: L, value: L::Vector, by: u32) -> L::Vector {
    lanes.xor(lanes.shift_left(value, by), lanes.shift_right(value, 32 - by))
}

/// The masked words of a side as one.
#[inline(always)]
fn fold<L: Lanes>(
    lanes: L,
    words: Words<'_>,
    packet: L::Vector,
    (masks, spread): (&[u32; 4], u32),
) -> L::Vector {
    let mut sum = lanes.splat(0);
    for (words, mask) in words.into_iter().zip(masks) {
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
        let src = words(&chunk.src, &chunk.src_rest);
        let src = fold(lanes, src, packet, (&tuple.src_mask, SPREAD[0]));
        let dst = words(&chunk.dst, &chunk.dst_rest);
        let dst = fold(lanes, dst, packet, (&tuple.dst_mask, SPREAD[1]));
        let run = probe(lanes, tuples, tuple, (src, dst));
        let filled = lanes.without(live, lanes.is_zero(run));
        lanes.compress(filled, packet, &mut chunk.queue.packet, waiting);
        waiting += lanes.compress(filled, run, &mut chunk.queue.at, waiting);
    }
    chunk.queue.length = waiting;
}

/// Whether each packet lies outside the prefix of `length` bits whose four words are at `from`.
#[inline(always)]
fn outside<L: Lanes>(
    lanes: L,
    tuples: &Tuples,
    words: Words<'_>,
    packet: L::Vector,
    (from, length): (L::Vector, L::Vector),
) -> L::Vector {
    let mut differing = lanes.splat(0);
    for (number, words) in (0u32..).zip(words) {
        let before = lanes.splat(32 * number);
        let left = lanes.add(length, lanes.splat((32 * number).wrapping_neg()));
        let reaches = lanes.less(before, length);
        let bits = lanes.select(reaches, lanes.min(left, lanes.splat(32)), lanes.splat(0));
        let host_bits = lanes.add(lanes.xor(bits, lanes.splat(u32::MAX)), lanes.splat(33));
        let prefix = lanes.gather32(&tuples.entries, lanes.add(from, lanes.splat(number)));
        let other = lanes.xor(prefix, lanes.pick(words, packet));
        let other = lanes.shift_right_each(other, host_bits);
        differing = lanes.select(lanes.is_zero(other), differing, lanes.splat(1));
    }
    differing
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
        let src = words(&chunk.src, &chunk.src_rest);
        let length = lanes.shift_right(lengths, 24);
        let src = outside(lanes, tuples, src, packet, (word, length));
        let dst = words(&chunk.dst, &chunk.dst_rest);
        let length = lanes.and(lanes.shift_right(lengths, 16), byte);
        let behind = lanes.add(word, lanes.splat(4));
        let dst = outside(lanes, tuples, dst, packet, (behind, length));
        let same = lanes.both(lanes.is_zero(src), lanes.is_zero(dst));
        let rule = lanes.gather32(&tuples.entries, lanes.add(word, lanes.splat(9)));
        let more =
            take(lanes, conditions, chunk, (packet, live, run), Entry { same, lengths, rule });
        waiting += requeue(lanes, chunk, more, (packet, run), waiting);
    }
    chunk.queue.length = waiting;
}
