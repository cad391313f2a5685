//! A chunk of packets through the tables, step by step; the steps that only IPv6 packets take are
//! in `lookup_v6`.
//!
//! Each step is a loop of its own over the chunk: its reads do not wait for one another, so that
//! memory answers many at once. Between steps the chunk, which fits the first cache, holds what was
//! found. A queue is compressed in place: what is written never passes what was read.

use super::chunk::{CHUNK, Chunk, Halves};
use super::lanes::Lanes;
use super::lookup_v6;
use crate::tables::{Blocked, Conditions, Directory, Divided, LAST, NONE, Pairs, RUN_BITS, SPREAD};
use crate::tables::{Table, Tables, Tuple, Tuples};

/// Finds the first candidate of every packet; [`NONE`] where there is none.
#[inline(always)]
pub(crate) fn look_up<L: Lanes>(lanes: L, tables: &Tables, chunk: &mut Chunk) {
    conditions(lanes, &tables.conditions, chunk);
    if chunk.is_v6 {
        lookup_v6::classes(lanes, tables, chunk);
    } else {
        roots(lanes, tables, chunk);
        directory(lanes, &tables.src.v4, chunk, |chunk| (&chunk.src[0], &mut chunk.src_class));
        directory(lanes, &tables.dst.v4, chunk, |chunk| (&chunk.dst[0], &mut chunk.dst_class));
    }
    chunk.found[..padded::<L>(chunk.count)].fill(NONE);
    divide(lanes, &tables.src_groups, chunk, |it| (&it.src_class, &mut it.src_groups));
    divide(lanes, &tables.dst_groups, chunk, |it| (&it.dst_class, &mut it.dst_groups));
    for (at, group) in tables.groups.iter().enumerate() {
        lists(lanes, group, (at, tables.groups.len()), chunk);
        match &group.first {
            Some(first) => first_rules(lanes, group, first, chunk),
            None => read_lists(lanes, group, &tables.conditions, chunk),
        }
    }
    if chunk.is_v6 {
        return lookup_v6::tuples(lanes, tables, chunk);
    }
    for (at, tuple) in tables.v4.all.iter().enumerate() {
        enqueue(lanes, at, tuple, chunk);
        find_runs(lanes, &tables.v4, tuple, chunk);
        while chunk.queue.length > 0 {
            compare_entries(lanes, &tables.v4, &tables.conditions, chunk);
        }
    }
}

/// Packets rounded up to whole vectors.
const fn padded<L: Lanes>(count: usize) -> usize {
    count.next_multiple_of(L::WIDTH)
}

/// The starts of the vectors of a chunk.
#[inline(always)]
pub(super) fn vectors<L: Lanes>(count: usize) -> impl Iterator<Item = usize> {
    (0..count).step_by(L::WIDTH)
}

/// Protocol, ports and context → condition class.
#[inline(always)]
fn conditions<L: Lanes>(lanes: L, conditions: &Conditions, chunk: &mut Chunk) {
    let count = chunk.count;
    let (src_ports, dst_ports) =
        (lanes.splat(conditions.src_ports), lanes.splat(conditions.dst_ports));
    let mut protocols = [conditions.protocols.others; CHUNK];
    for &(protocol, class) in &conditions.protocols.named {
        for (slot, of_packet) in protocols.iter_mut().zip(&chunk.protocol) {
            *slot = if *of_packet == protocol { class } else { *slot };
        }
    }
    for at in vectors::<L>(count) {
        let mut index = lanes.load_bytes(&protocols, at);
        // A side with one class adds nothing.
        if conditions.src_ports > 1 {
            let class = lanes.gather(&conditions.src_port, lanes.load(&chunk.src_port, at));
            index = lanes.add(lanes.multiply(index, src_ports), class);
        }
        if conditions.dst_ports > 1 {
            let class = lanes.gather(&conditions.dst_port, lanes.load(&chunk.dst_port, at));
            index = lanes.add(lanes.multiply(index, dst_ports), class);
        }
        lanes.store(index, &mut chunk.index, at);
    }
    for at in vectors::<L>(count) {
        let class = lanes.gather(&conditions.services, lanes.load(&chunk.index, at));
        lanes.store(class, &mut chunk.class, at);
    }
    if conditions.joined.is_empty() {
        return;
    }
    let services = lanes.splat(conditions.service_count);
    for at in vectors::<L>(count) {
        let row = lanes.multiply(lanes.load(&chunk.context, at), services);
        let index = lanes.add(row, lanes.load(&chunk.class, at));
        lanes.store(lanes.gather(&conditions.joined, index), &mut chunk.class, at);
    }
}

/// Addresses → entries of the directories' roots, and which tuples may hold the packet.
#[inline(always)]
fn roots<L: Lanes>(lanes: L, tables: &Tables, chunk: &mut Chunk) {
    for at in vectors::<L>(chunk.count) {
        let upper = lanes.shift_right(lanes.load(&chunk.src[0], at), 16);
        let src = lanes.gather(&tables.src.v4.root, upper);
        let upper = lanes.shift_right(lanes.load(&chunk.dst[0], at), 16);
        let dst = lanes.gather(&tables.dst.v4.root, upper);
        lanes.store(src, &mut chunk.src_class, at);
        lanes.store(dst, &mut chunk.dst_class, at);
        if !tables.tuple_bits.is_empty() {
            let bits = lanes.gather(&tables.tuple_bits, lanes.load(&chunk.class, at));
            let both = lanes.shift_right(lanes.and(src, dst), 16);
            lanes.store(lanes.and(bits, both), &mut chunk.tuples, at);
        }
    }
}

/// Entries of a root → address classes.
#[inline(always)]
fn directory<L: Lanes>(
    lanes: L,
    directory: &Directory,
    chunk: &mut Chunk,
    side: impl Fn(&mut Chunk) -> (&[u32; CHUNK], &mut [u32; CHUNK]),
) {
    let count = chunk.count;
    let (address, class) = side(chunk);
    let (second, third) = (&directory.second, &directory.third);
    let (byte, half) = (lanes.splat(0xff), lanes.splat(0xffff));
    let first_block = lanes.splat(directory.first_block);
    for at in vectors::<L>(count) {
        let address = lanes.load(address, at);
        let third_byte = lanes.and(lanes.shift_right(address, 8), byte);
        let last_byte = lanes.and(address, byte);
        let whole = lanes.load(class, at);
        let mut entry = lanes.and(whole, half);
        if !second.is_empty() {
            let mut within = third_byte;
            if let Some(first_wide) = directory.first_wide {
                let second_key = lanes.and(lanes.shift_right(whole, 16), byte);
                let behind = lanes.add(last_byte, lanes.splat(0x200));
                within = lanes.select(lanes.same(third_byte, second_key), behind, within);
                let first_key = lanes.shift_right(whole, 24);
                let behind = lanes.add(last_byte, lanes.splat(0x100));
                within = lanes.select(lanes.same(third_byte, first_key), behind, within);
                let is_narrow = lanes.less(entry, lanes.splat(first_wide));
                within = lanes.select(is_narrow, within, lanes.and(address, half));
            }
            entry = block(lanes, second, first_block, (entry, within));
        }
        if !third.is_empty() {
            entry = block(lanes, third, first_block, (entry, last_byte));
        }
        lanes.store(entry, class, at);
    }
}

/// Entries → those in blocks of `table`, or themselves where they are classes.
#[inline(always)]
fn block<L: Lanes>(
    lanes: L,
    table: &Table,
    first_block: L::Vector,
    (entry, within): (L::Vector, L::Vector),
) -> L::Vector {
    let index = lanes.add(lanes.shift_left(lanes.subtract(entry, first_block), 8), within);
    // Of a class the index is past the end: one place is read for all of them.
    lanes.select(lanes.less(entry, first_block), entry, lanes.gather(table, index))
}

/// Where in a blocked table the cell of a row and a column is: a block, to be looked up in the
/// table's index, and the place in it. Whole tables have the cell itself and no place.
#[inline(always)]
fn cell<L: Lanes, T>(
    lanes: L,
    table: &Blocked<T>,
    row: L::Vector,
    column: L::Vector,
) -> (L::Vector, L::Vector) {
    let row = lanes.multiply(row, lanes.splat(table.columns));
    let block = lanes.add(row, lanes.shift_right(column, table.block_bits));
    (block, lanes.and(column, lanes.splat((1 << table.block_bits) - 1)))
}

/// What [`cell`] left in `index` and `rest` → where the value is.
#[inline(always)]
fn through_blocks<L: Lanes, T>(lanes: L, table: &Blocked<T>, chunk: &mut Chunk) {
    if table.block_bits == 0 {
        return;
    }
    for at in vectors::<L>(chunk.count) {
        let block = lanes.gather(&table.index, lanes.load(&chunk.index, at));
        let first = lanes.shift_left(block, table.block_bits);
        lanes.store(lanes.add(first, lanes.load(&chunk.rest, at)), &mut chunk.index, at);
    }
}

/// Address classes → those in each group of rules.
#[inline(always)]
fn divide<L: Lanes>(
    lanes: L,
    divided: &Divided,
    chunk: &mut Chunk,
    side: impl Fn(&mut Chunk) -> (&[u32; CHUNK], &mut Halves),
) {
    let count = chunk.count;
    let (class, [first, second]) = side(chunk);
    for at in vectors::<L>(count) {
        let class = lanes.load(class, at);
        match divided.words {
            0 => return,
            1 => lanes.store(lanes.gather32(&divided.halves, class), first, at),
            _ => {
                let halves = lanes.gather_pair(&divided.halves, lanes.shift_left(class, 1));
                lanes.store(halves[0], first, at);
                lanes.store(halves[1], second, at);
            }
        }
    }
}

/// Address classes → where the pair's list is named, for one of so many groups.
#[inline(always)]
fn lists<L: Lanes>(lanes: L, group: &Pairs, (at, groups): (usize, usize), chunk: &mut Chunk) {
    let (of_group, shift) = (at / 2, at as u32 % 2 * 16);
    let (src, dst) = if groups == 1 {
        (&chunk.src_class, &chunk.dst_class)
    } else {
        (&chunk.src_groups[of_group], &chunk.dst_groups[of_group])
    };
    let half = lanes.splat(0xffff);
    for at in vectors::<L>(chunk.count) {
        let src = lanes.and(lanes.shift_right(lanes.load(src, at), shift), half);
        let dst = lanes.and(lanes.shift_right(lanes.load(dst, at), shift), half);
        let (block, rest) = cell(lanes, &group.lists, src, dst);
        lanes.store(block, &mut chunk.index, at);
        lanes.store(rest, &mut chunk.rest, at);
    }
    through_blocks(lanes, &group.lists, chunk);
}

/// Lists and condition classes → first rules, from a table.
#[inline(always)]
fn first_rules<L: Lanes>(lanes: L, group: &Pairs, first: &Blocked<Table>, chunk: &mut Chunk) {
    for at in vectors::<L>(chunk.count) {
        let list = lanes.gather(&group.lists.values, lanes.load(&chunk.index, at));
        let (block, rest) = cell(lanes, first, list, lanes.load(&chunk.class, at));
        lanes.store(block, &mut chunk.index, at);
        lanes.store(rest, &mut chunk.rest, at);
    }
    through_blocks(lanes, first, chunk);
    for at in vectors::<L>(chunk.count) {
        let next = lanes.gather(&first.values, lanes.load(&chunk.index, at));
        // No rule is zero: one less is the greatest number.
        let rule = lanes.add(next, lanes.splat(NONE));
        let best = lanes.min(rule, lanes.load(&chunk.found, at));
        lanes.store(best, &mut chunk.found, at);
    }
}

/// Whether the condition of each packet's member or entry holds.
#[inline(always)]
fn fails<L: Lanes>(
    lanes: L,
    conditions: &Conditions,
    class: L::Vector,
    condition: L::Vector,
) -> L::Mask {
    let row = lanes.multiply(class, lanes.splat(conditions.words));
    let word = lanes.add(row, lanes.shift_right(condition, 5));
    let bits = lanes.gather32(&conditions.holds, word);
    let bit = lanes.shift_right_each(bits, lanes.and(condition, lanes.splat(31)));
    lanes.is_zero(lanes.and(bit, lanes.splat(1)))
}

/// Lists and condition classes → first rules, by reading the lists.
#[inline(always)]
fn read_lists<L: Lanes>(lanes: L, group: &Pairs, conditions: &Conditions, chunk: &mut Chunk) {
    // First members packet by packet, in place: most lists end there.
    let mut waiting = 0;
    for at in vectors::<L>(chunk.count) {
        let place = lanes.gather(&group.lists.values, lanes.load(&chunk.index, at));
        let (class, best) = (lanes.load(&chunk.class, at), lanes.load(&chunk.found, at));
        let member = read_member(lanes, group, conditions, (place, class, best));
        lanes.store(lanes.select(member.matches, member.rule, best), &mut chunk.found, at);
        let more = lanes.both(member.more, lanes.first(chunk.count - at));
        let packet = lanes.count_from(at as u32);
        lanes.compress(more, packet, &mut chunk.queue.packet, waiting);
        waiting += lanes.compress(more, member.next, &mut chunk.queue.at, waiting);
    }
    chunk.queue.length = waiting;
    while chunk.queue.length > 0 {
        let mut waiting = 0;
        for at in vectors::<L>(chunk.queue.length) {
            let live = lanes.first(chunk.queue.length - at);
            let packet = lanes.load(&chunk.queue.packet, at);
            let place = lanes.load(&chunk.queue.at, at);
            let (class, best) =
                (lanes.pick(&chunk.class, packet), lanes.pick(&chunk.found, packet));
            let member = read_member(lanes, group, conditions, (place, class, best));
            lanes.put(lanes.both(member.matches, live), member.rule, &mut chunk.found, packet);
            let more = lanes.both(member.more, live);
            lanes.compress(more, packet, &mut chunk.queue.packet, waiting);
            waiting += lanes.compress(more, member.next, &mut chunk.queue.at, waiting);
        }
        chunk.queue.length = waiting;
    }
}

/// A member of each packet's list.
struct Member<L: Lanes> {
    rule: L::Vector,
    /// Whether it is better than what was found, and its condition holds.
    matches: L::Mask,
    /// Whether a later member may be.
    more: L::Mask,
    /// Where that is.
    next: L::Vector,
}

/// The member at `place` for packets of a condition class that have found `best`.
#[inline(always)]
fn read_member<L: Lanes>(
    lanes: L,
    group: &Pairs,
    conditions: &Conditions,
    (place, class, best): (L::Vector, L::Vector, L::Vector),
) -> Member<L> {
    let [member, condition] = lanes.gather_pair(&group.members, lanes.shift_left(place, 1));
    let fails = fails(lanes, conditions, class, condition);
    let rule = lanes.and(member, lanes.splat(!LAST));
    // Rules come in order: past a better one, and at the end, nothing is left to find.
    let better = lanes.less(rule, best);
    let goes_on = lanes.is_zero(lanes.and(member, lanes.splat(LAST)));
    Member {
        rule,
        matches: lanes.without(better, fails),
        more: lanes.both(lanes.both(better, fails), goes_on),
        next: lanes.add(place, lanes.splat(1)),
    }
}

/// The packets a tuple may hold a better rule for.
#[inline(always)]
pub(super) fn enqueue<L: Lanes>(lanes: L, at: usize, tuple: &Tuple, chunk: &mut Chunk) {
    let (bit, first_rule) = (lanes.splat(1 << at), lanes.splat(tuple.first_rule));
    let mut length = 0;
    for at in vectors::<L>(chunk.count) {
        let absent = lanes.is_zero(lanes.and(lanes.load(&chunk.tuples, at), bit));
        let better = lanes.less(first_rule, lanes.load(&chunk.found, at));
        let live = lanes.both(lanes.without(better, absent), lanes.first(chunk.count - at));
        length +=
            lanes.compress(live, lanes.count_from(at as u32), &mut chunk.queue.packet, length);
    }
    chunk.queue.length = length;
}

/// Queued packets → the runs of entries found by their masked addresses.
#[inline(always)]
fn find_runs<L: Lanes>(lanes: L, tuples: &Tuples, tuple: &Tuple, chunk: &mut Chunk) {
    let (src_mask, dst_mask) = (lanes.splat(tuple.src_mask[0]), lanes.splat(tuple.dst_mask[0]));
    let spread = SPREAD.map(|value| lanes.splat(value));
    let mut waiting = 0;
    for at in vectors::<L>(chunk.queue.length) {
        let live = lanes.first(chunk.queue.length - at);
        let packet = lanes.load(&chunk.queue.packet, at);
        let src = lanes.and(lanes.pick(&chunk.src[0], packet), src_mask);
        let dst = lanes.and(lanes.pick(&chunk.dst[0], packet), dst_mask);
        let (src, dst) = (lanes.multiply(src, spread[0]), lanes.multiply(dst, spread[1]));
        let run = probe(lanes, tuples, tuple, (src, dst));
        let filled = lanes.without(live, lanes.is_zero(run));
        lanes.compress(filled, packet, &mut chunk.queue.packet, waiting);
        waiting += lanes.compress(filled, run, &mut chunk.queue.at, waiting);
    }
    chunk.queue.length = waiting;
}

/// Spread addresses → the run of a tuple's slot, as `Tuple::slot` finds it.
#[inline(always)]
pub(super) fn probe<L: Lanes>(
    lanes: L,
    tuples: &Tuples,
    tuple: &Tuple,
    (src, dst): (L::Vector, L::Vector),
) -> L::Vector {
    let turned = lanes.xor(lanes.shift_left(dst, 15), lanes.shift_right(dst, 17));
    let mixed = lanes.xor(src, turned);
    let mixed = lanes.xor(mixed, lanes.shift_right(mixed, 15));
    let mixed = lanes.multiply(mixed, lanes.splat(SPREAD[2]));
    let slot = lanes.add(lanes.shift_right(mixed, tuple.shift), lanes.splat(tuple.base));
    lanes.gather32(&tuples.index, slot)
}

/// The first entry of each queued run against its packet; packets with more to compare stay queued.
#[inline(always)]
fn compare_entries<L: Lanes>(
    lanes: L,
    tuples: &Tuples,
    conditions: &Conditions,
    chunk: &mut Chunk,
) {
    let byte = lanes.splat(0xff);
    let mut waiting = 0;
    for at in vectors::<L>(chunk.queue.length) {
        let live = lanes.first(chunk.queue.length - at);
        let packet = lanes.load(&chunk.queue.packet, at);
        let run = lanes.load(&chunk.queue.at, at);
        // Four words an entry: source, destination, condition with lengths, rule.
        let word = lanes.shift_left(lanes.shift_right(run, RUN_BITS), 2);
        let [src_prefix, dst_prefix, lengths, rule] = lanes.gather_words(&tuples.entries, word);
        let differs = |prefix, address, length| {
            let differing = lanes.xor(prefix, address);
            let host_bits = lanes.add(lanes.xor(length, lanes.splat(u32::MAX)), lanes.splat(33));
            lanes.shift_right_each(differing, host_bits)
        };
        let src =
            differs(src_prefix, lanes.pick(&chunk.src[0], packet), lanes.shift_right(lengths, 24));
        let dst = differs(
            dst_prefix,
            lanes.pick(&chunk.dst[0], packet),
            lanes.and(lanes.shift_right(lengths, 16), byte),
        );
        let same = lanes.both(lanes.is_zero(src), lanes.is_zero(dst));
        let entry = Entry { same, lengths, rule };
        let more = take(lanes, conditions, chunk, (packet, live, run), entry);
        waiting += requeue(lanes, chunk, more, (packet, run), waiting);
    }
    chunk.queue.length = waiting;
}

/// An entry of each packet's run.
pub(super) struct Entry<L: Lanes> {
    /// Whether both addresses lie in its prefixes.
    pub(super) same: L::Mask,
    /// Its condition in the lower half.
    pub(super) lengths: L::Vector,
    pub(super) rule: L::Vector,
}

/// Notes the rules of entries that match, and says which packets have more to compare.
#[inline(always)]
pub(super) fn take<L: Lanes>(
    lanes: L,
    conditions: &Conditions,
    chunk: &mut Chunk,
    (packet, live, run): (L::Vector, L::Mask, L::Vector),
    Entry { same, lengths, rule }: Entry<L>,
) -> L::Mask {
    let condition = lanes.and(lengths, lanes.splat(0xffff));
    let class = lanes.pick(&chunk.class, packet);
    let matches = lanes.without(same, fails(lanes, conditions, class, condition));
    let better = lanes.both(lanes.less(rule, lanes.pick(&chunk.found, packet)), live);
    lanes.put(lanes.both(better, matches), rule, &mut chunk.found, packet);
    // Rules of a run come in order: past a better one nothing is left to find.
    let count = lanes.splat((1 << RUN_BITS) - 1);
    let is_last = lanes.is_zero(lanes.and(lanes.add(run, count), count));
    lanes.without(lanes.without(better, matches), is_last)
}

/// Queues packets again for the next entry of their run: one entry on, one fewer to come.
#[inline(always)]
pub(super) fn requeue<L: Lanes>(
    lanes: L,
    chunk: &mut Chunk,
    more: L::Mask,
    (packet, run): (L::Vector, L::Vector),
    waiting: usize,
) -> usize {
    let next = lanes.add(run, lanes.splat((1 << RUN_BITS) - 1));
    lanes.compress(more, packet, &mut chunk.queue.packet, waiting);
    lanes.compress(more, next, &mut chunk.queue.at, waiting)
}
