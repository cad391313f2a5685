//! Boxes on which few entries are left, searched over sets of classes instead of intervals.
//!
//! In each dimension, classes that the same entries meet are one group, wherever they lie: what is
//! below a port and what is above it are looked at once. An entry is a bit, so that what a box
//! still meets is a word, and settling and trimming it (see [`crate::tree`]) a few operations.

use crate::outcome::Agreement;
use crate::problem::Set;
use crate::tree::{Item, Lists, Node};

/// Entries of a box, the first in the lowest bit.
type Bits = u64;

/// A box with more entries than this is not small.
pub(crate) const MOST: usize = Bits::BITS as usize;

/// Ends of ranges in one dimension, beyond which a box is not small.
const MOST_ENDS: usize = 2048;

/// Entries looked at before a box is given up: it was not as small as it seemed.
pub(crate) const MOST_WORK: u64 = 1 << 18;

/// A product of sets on which the sides differ, with the places of what closes either side.
pub(crate) struct Found {
    pub(crate) sets: Box<[Set]>,
    pub(crate) closing: (u32, u32),
}

/// The search of one small box.
pub(crate) struct Small {
    /// The box.
    area: Vec<(u32, u32)>,
    /// The same as sets, once a difference is found.
    sets: Box<[Set]>,
    axes: Vec<Axis>,
    /// Where each entry stands in the merged list.
    places: Vec<u32>,
    unpaired: Bits,
    /// For each entry, on each side, what has the same outcome.
    same: Vec<[Bits; 2]>,
    /// For each old entry, the new ones whose outcome agrees with its own.
    agrees: Vec<Bits>,
    /// The spans of the boxes being searched, each with as many as there are axes.
    spans: Vec<Span>,
    /// Entries looked at, and how many may be.
    pub(crate) work: u64,
    most_work: u64,
    pub(crate) found: Vec<Found>,
}

/// A dimension in which some entry does not hold the whole box.
struct Axis {
    dimension: usize,
    groups: Vec<Group>,
}

/// The classes that the same entries meet.
struct Group {
    meets: Bits,
    ranges: Vec<(u32, u32)>,
}

/// Some groups of an axis, next to one another; which of them stands where may change.
#[derive(Clone, Copy)]
struct Span {
    from: usize,
    to: usize,
    /// The entries that meet one of the groups.
    any: Bits,
    /// The entries that meet all of them.
    all: Bits,
}

impl Small {
    /// Lays a box out, unless it has too many entries, skips, or outcomes that agree on part of it.
    pub(crate) fn new(lists: &Lists<'_>, node: &Node) -> Option<Self> {
        let items = &node.items;
        if items.len() > MOST {
            return None;
        }
        let plain = items.iter().all(|item| {
            let sides = [0, 1].into_iter().filter(|side| item.on[*side]);
            sides.clone().all(|side| lists.outcome(item.place, side).is_some())
                && sides.filter_map(|side| lists.line(item.place, side)).all(|it| !it.is_joined())
        });
        if !plain {
            return None;
        }
        let narrowed = node.narrowed(lists, &mut Vec::new()).into_iter();
        let axes = narrowed.map(|at| Axis::new(lists, node, at)).collect::<Option<Vec<_>>>()?;
        let where_ = |test: &dyn Fn(&Item) -> bool| {
            (0..).zip(items).filter(|it| test(it.1)).fold(0, |bits, (at, _)| bits | bit(at))
        };
        let alike = |side: usize, item: &Item| {
            let own = item.on[side].then(|| lists.outcome(item.place, side));
            own.map_or(0, |own| where_(&|it| it.on[side] && lists.outcome(it.place, side) == own))
        };
        Some(Self {
            area: node.area.clone(),
            sets: Box::default(),
            places: items.iter().map(|item| item.place).collect(),
            unpaired: where_(&|item| !item.is_paired()),
            same: items.iter().map(|item| [0, 1].map(|side| alike(side, item))).collect(),
            agrees: agreements(lists, node)?,
            spans: axes.iter().map(Axis::whole).collect(),
            axes,
            work: 0,
            most_work: 0,
            found: vec![],
        })
    }

    /// Searches the box; whether that came to an end with so much work.
    pub(crate) fn run(&mut self, node: &Node, most_work: u64) -> bool {
        self.most_work = most_work;
        let on = [0, 1].map(|side| {
            let on = (0..).zip(&node.items).filter(|(_, item)| item.on[side]);
            on.fold(0, |bits, (at, _)| bits | bit(at))
        });
        self.visit(0, on).is_some()
    }

    /// Searches the box whose spans begin at `base`; nothing if the work is used up, or a side
    /// decides nothing somewhere.
    fn visit(&mut self, base: usize, mut on: [Bits; 2]) -> Option<()> {
        let closing = loop {
            let closing = self.settle(base, &mut on)?;
            let unpaired = (on[0] | on[1]) & self.unpaired;
            self.work += u64::from((on[0] | on[1]).count_ones());
            if unpaired == 0 {
                return Some(());
            }
            if !self.shrink(base, unpaired) {
                break closing;
            }
        };
        if on == closing.map(bit) {
            if self.agrees[closing[0] as usize] & on[1] == 0 {
                self.keep(base, closing);
            }
            return Some(());
        }
        if self.work > self.most_work {
            return None;
        }
        let (at, item) = self.cut(base, on[0] | on[1])?;
        let span = self.spans[base + at];
        let middle = self.axes[at].part(span.from..span.to, bit(item));
        let next = self.spans.len();
        for range in [span.from..middle, middle..span.to] {
            self.spans.extend_from_within(base..base + self.axes.len());
            self.spans[next + at] = self.axes[at].span(range);
            self.visit(next, on)?;
            self.spans.truncate(next);
        }
        Some(())
    }

    /// Takes away what misses the box, what no point of it reaches, and what does the same as the
    /// entry that closes its side. Returns the entries that do.
    fn settle(&self, base: usize, on: &mut [Bits; 2]) -> Option<[u32; 2]> {
        let spans = &self.spans[base..base + self.axes.len()];
        let any = spans.iter().fold(Bits::MAX, |any, span| any & span.any);
        let all = spans.iter().fold(Bits::MAX, |all, span| all & span.all);
        let mut closing = [0; 2];
        for (side, (on, closing)) in on.iter_mut().zip(&mut closing).enumerate() {
            *on &= any;
            *closing = (*on & all).trailing_zeros();
            let same = self.same.get(*closing as usize)?[side];
            let before = *on & (bit(*closing) - 1);
            let other = before & !same;
            let reached =
                other.checked_ilog2().map_or(0, |last| Bits::MAX >> (MOST as u32 - 1 - last));
            *on = before & reached | bit(*closing);
        }
        Some(closing)
    }

    /// Takes away the groups that no unpaired entry meets; whether there were any.
    fn shrink(&mut self, base: usize, unpaired: Bits) -> bool {
        let mut shrunk = false;
        for (axis, span) in self.axes.iter_mut().zip(&mut self.spans[base..]) {
            if span.all & unpaired != 0 {
                continue;
            }
            let to = axis.part(span.from..span.to, unpaired);
            if to < span.to {
                *span = axis.span(span.from..to);
                shrunk = true;
            }
        }
        shrunk
    }

    /// Where to cut: the axis, and the entry whose groups are one part. Of all, the one that leaves
    /// the least, by the sum of the squares of what either part still meets.
    fn cut(&self, base: usize, live: Bits) -> Option<(usize, u32)> {
        let mut best = None;
        for (at, (axis, span)) in self.axes.iter().zip(&self.spans[base..]).enumerate() {
            let mut narrow = live & span.any & !span.all;
            while narrow != 0 {
                let item = narrow.trailing_zeros();
                narrow &= narrow - 1;
                let (mut inside, mut outside) = (0, 0);
                for group in &axis.groups[span.from..span.to] {
                    if group.meets & bit(item) == 0 {
                        outside |= group.meets;
                    } else {
                        inside |= group.meets;
                    }
                }
                let [inside, outside] = [inside, outside].map(|met| (met & live).count_ones());
                let cost = (inside * inside + outside * outside, at, item);
                best = Some(best.map_or(cost, |best| cost.min(best)));
            }
        }
        best.map(|(_, at, item)| (at, item))
    }

    fn keep(&mut self, base: usize, closing: [u32; 2]) {
        if self.sets.is_empty() {
            self.sets = self.area.iter().map(|range| Set::from([*range])).collect();
        }
        let mut sets = self.sets.clone();
        for (axis, span) in self.axes.iter().zip(&self.spans[base..]) {
            if span.to - span.from < axis.groups.len() {
                sets[axis.dimension] = axis.set(span);
            }
        }
        let [old, new] = closing.map(|at| self.places[at as usize]);
        self.found.push(Found { sets, closing: (old, new) });
    }
}

impl Axis {
    fn new(lists: &Lists<'_>, node: &Node, dimension: usize) -> Option<Self> {
        let (low, high) = node.area[dimension];
        let ranges = |item: &Item| lists.ranges(item, dimension, (low, high));
        let mut starts = vec![low];
        for item in &node.items {
            for (from, to) in ranges(item) {
                starts.extend([from].into_iter().chain((to < high).then(|| to + 1)));
            }
            if starts.len() > MOST_ENDS {
                return None;
            }
        }
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([high]);
        let parts = starts.iter().copied().zip(ends);
        let mut parts: Vec<_> = parts.map(|range| (0, range)).collect();
        for (at, item) in (0..).zip(&node.items) {
            for (from, to) in ranges(item) {
                let first = starts.partition_point(|start| *start < from);
                for (meets, _) in parts[first..].iter_mut().take_while(|part| part.1.0 <= to) {
                    *meets |= bit(at);
                }
            }
        }
        parts.sort_unstable();
        let groups = parts.chunk_by(|one, other| one.0 == other.0).map(|group| Group {
            meets: group[0].0,
            ranges: group.iter().map(|part| part.1).collect(),
        });
        Some(Self { dimension, groups: groups.collect() })
    }

    fn whole(&self) -> Span {
        self.span(0..self.groups.len())
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        let groups = &self.groups[range.clone()];
        let any = groups.iter().fold(0, |any, group| any | group.meets);
        let all = groups.iter().fold(Bits::MAX, |all, group| all & group.meets);
        Span { from: range.start, to: range.end, any, all }
    }

    /// Brings the groups that one of the entries meets to the front; returns where the others
    /// begin.
    fn part(&mut self, range: std::ops::Range<usize>, entries: Bits) -> usize {
        let mut middle = range.start;
        for at in range {
            if self.groups[at].meets & entries != 0 {
                self.groups.swap(middle, at);
                middle += 1;
            }
        }
        middle
    }

    /// The classes of some groups.
    fn set(&self, span: &Span) -> Set {
        let groups = &self.groups[span.from..span.to];
        let mut ranges: Vec<_> = groups.iter().flat_map(|group| &group.ranges).copied().collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, before| {
            let adjacent = before.1 + 1 == next.0;
            if adjacent {
                before.1 = next.1;
            }
            adjacent
        });
        ranges.into()
    }
}

/// For each item on the old side, those on the new side whose outcome agrees with its own on the
/// whole box; nothing if some agree on part of it.
fn agreements(lists: &Lists<'_>, node: &Node) -> Option<Vec<Bits>> {
    let outcomes = |side: usize| {
        let on = move |item: &&Item| item.on[side];
        let mut numbers: Vec<_> =
            node.items.iter().filter(on).filter_map(|it| lists.outcome(it.place, side)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    let mut agree = Vec::new();
    for old in outcomes(0) {
        for new in outcomes(1) {
            match lists.outcomes.compare(lists.problem, (old, new), &node.area) {
                Agreement::Everywhere => agree.push((old, new)),
                Agreement::Nowhere => {}
                Agreement::Cut(..) | Agreement::WithinClass => return None,
            }
        }
    }
    let with = |old: &Item| {
        let old = lists.outcome(old.place, 0).filter(|_| old.on[0])?;
        let new = (0..).zip(&node.items).filter(|(_, new)| {
            let number = lists.outcome(new.place, 1).filter(|_| new.on[1]);
            number.is_some_and(|new| agree.contains(&(old, new)))
        });
        Some(new.fold(0, |bits, (at, _)| bits | bit(at)))
    };
    Some(node.items.iter().map(|old| with(old).unwrap_or(0)).collect())
}

const fn bit(at: u32) -> Bits {
    1 << at
}
