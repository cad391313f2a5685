//! IPv6 addresses → classes: a trie that goes by the bits at which intervals part, and one
//! comparison where it ends.
//!
//! A node is for the longest prefix outside of which nothing changes: whatever bits lie between it
//! and the node above are passed over, unread. Its next few bits, more where more intervals are
//! below, name a place that continues in another node or ends at a *leaf*. A leaf has one address
//! of the prefix the way led to, and what the class is by how many bits an address shares with it:
//! all that was passed over is compared at once. So there are two or three reads, wherever prefixes
//! are and however long they are.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use crate::tables::classes::Intervals;
use crate::tables::table::Table32;

/// Classes over all addresses.
#[derive(Debug)]
pub(crate) struct AddressesV6 {
    /// The place where every search begins.
    pub(crate) root: u32,
    /// Places: a node if the bit [`NODE`] is set, else where a leaf is among
    /// [`AddressesV6::leaves`].
    pub(crate) places: Table32,
    /// Leaves of [`LEAF_WORDS`] words.
    pub(crate) leaves: Table32,
    /// Whether any leaf is an [`EDGE`].
    pub(crate) has_edges: bool,
}

/// Marks a place that is a node. Then follow which of the four words of an address it reads (two
/// bits), how far right the bits are shifted (five), how many there are, less one (four), and where
/// the places they choose from begin, in twos.
pub(crate) const NODE: u32 = 1 << 31;

/// Marks a place that is a leaf where one interval ends and the next begins, with an address that
/// no prefix ends at: the second class is that of addresses before the leaf's own.
pub(crate) const EDGE: u32 = 1 << 30;

/// Where a node has the number of its word, the shift, and the number of its bits.
pub(crate) const WORD_SHIFT: u32 = 29;
pub(crate) const SHIFT_SHIFT: u32 = 24;
pub(crate) const BITS_SHIFT: u32 = 20;

/// Words of a leaf: the four of its address, [`LINKS`] lengths as bytes, as many classes as halves
/// of words, and the leaf with the links that follow where a class is [`FOLLOWED`].
///
/// The first length that an address shares with the first leaf tells its class; the last one is
/// zero.
pub(crate) const LEAF_WORDS: u32 = 8;
pub(crate) const LINKS: u32 = 4;
pub(crate) const LENGTHS_AT: u32 = 4;
pub(crate) const CLASSES_AT: u32 = 5;
pub(crate) const NEXT_AT: u32 = 7;

/// No class: the next leaf tells.
pub(crate) const FOLLOWED: u16 = u16::MAX;

/// The most bits a node reads.
const MOST_BITS: [u32; 3] = [16, 8, 1];

/// Places for each interval below a node, as bits.
const SPARE_BITS: u32 = 1;

/// The most bits read to tell the two sides of an edge.
const MOST_EDGE_BITS: u32 = 4;

/// Places of a trie: as many as a node can name.
const MOST_PLACES: usize = 2 << BITS_SHIFT;

/// Words that places and leaves may take.
const MOST_WORDS: usize = 4 << 20;

impl AddressesV6 {
    /// `None` where there would be too many places.
    pub(super) fn build(field: &Intervals<u128>) -> Option<Self> {
        MOST_BITS.iter().find_map(|most_bits| {
            let mut builder = Builder::new(field, *most_bits);
            let all = Prefix { first: 0, length: 0 };
            let links = Links::default();
            let way =
                Way { prefix: all, inside: (1, field.starts.len()), around: all, links: &links };
            let root = builder.place(way)?;
            let Builder { places, leaves, has_edges, .. } = builder;
            let (places, leaves) = (Table32::new(places), Table32::new(leaves));
            Some(Self { root, places, leaves, has_edges })
        })
    }

    /// `O(depth)`: a read for each node, and one leaf.
    pub(crate) fn class(&self, address: u128) -> u16 {
        let place = self.leaf(self.root, address);
        let leaf = |at: u32| &self.leaves.values()[at as usize..][..LEAF_WORDS as usize];
        let mut here = leaf(place & !EDGE);
        let key = here[..4].iter().fold(0, |key, word| key << 32 | u128::from(*word));
        let shared = (key ^ address).leading_zeros();
        let mut is_before = place & EDGE != 0 && address < key;
        loop {
            let longer = |link: &u32| here[LENGTHS_AT as usize] >> (8 * link) & 0xff > shared;
            let link = (0..LINKS).take_while(longer).count() as u32;
            let link = link + u32::from(is_before && link == 0);
            let class = (here[(CLASSES_AT + link / 2) as usize] >> (16 * (link % 2))) as u16;
            if class != FOLLOWED {
                return class;
            }
            is_before = false;
            here = leaf(here[NEXT_AT as usize]);
        }
    }

    /// The leaf that a place leads to.
    pub(crate) fn leaf(&self, mut place: u32, address: u128) -> u32 {
        while place & NODE != 0 {
            let word = (address >> (96 - 32 * (place >> WORD_SHIFT & 3))) as u32;
            let bits = word >> (place >> SHIFT_SHIFT & 31);
            let mask = u32::MAX >> (31 - (place >> BITS_SHIFT & 15));
            let first = (place & ((1 << BITS_SHIFT) - 1)) * 2;
            place = self.places.at((first + (bits & mask)) as usize);
        }
        place
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.places.memory_bytes() + self.leaves.memory_bytes()
    }
}

/// All addresses that share their first bits.
#[derive(Clone, Copy)]
struct Prefix {
    first: u128,
    length: u32,
}

impl Prefix {
    fn last(self) -> u128 {
        self.first | u128::MAX.checked_shr(self.length).unwrap_or(0)
    }

    /// The longest one with both addresses.
    fn around(one: u128, other: u128) -> Self {
        let length = (one ^ other).leading_zeros();
        Self { first: one & !u128::MAX.checked_shr(length).unwrap_or(0), length }
    }
}

/// From how many shared bits on an address has a class.
#[derive(Clone, Copy)]
struct Link {
    length: u32,
    class: u16,
}

/// The links of a way, each for more bits than the one before.
#[derive(Clone, Default)]
struct Links {
    /// The last ones: with one more they fit a leaf.
    near: Vec<Link>,
    /// The leaf that has those before.
    far: Option<u32>,
}

struct Builder<'a> {
    field: &'a Intervals<u128>,
    most_bits: u32,
    places: Vec<u32>,
    leaves: Vec<u32>,
    has_edges: bool,
}

/// What a place is for: the addresses of a prefix, the bits behind those that [`Way::around`] has.
#[derive(Clone, Copy)]
struct Way<'a> {
    prefix: Prefix,
    /// The intervals that start in it, one that starts with it not counted.
    inside: (usize, usize),
    /// The prefix of the node above.
    around: Prefix,
    /// The classes of addresses outside of that one which are led here, the shortest link first.
    links: &'a Links,
}

impl<'a> Builder<'a> {
    fn new(field: &'a Intervals<u128>, most_bits: u32) -> Self {
        Self { field, most_bits, places: Vec::new(), leaves: Vec::new(), has_edges: false }
    }

    fn place(&mut self, way: Way<'_>) -> Option<u32> {
        let Way { prefix, inside: (first, last), around, links } = way;
        let (class, last_class) = (self.field.classes[first - 1], self.field.classes[last - 1]);
        if first == last {
            let link = Link { length: around.length, class };
            return Some(self.leaf(around.first, links.clone(), link));
        }
        // All of another class lies between two addresses: outside of both there is one class.
        let start = self.field.starts[first];
        let end = self.field.starts[last - 1] - 1;
        let same = class == last_class;
        let behind = Prefix::around(start, if same { end } else { prefix.last() });
        let before = Prefix::around(if same { start } else { prefix.first }, end);
        let (inner, outside) =
            if behind.length < before.length { (before, last_class) } else { (behind, class) };
        let mut links = links.clone();
        if inner.length > prefix.length {
            self.push(&mut links, Link { length: around.length, class: outside });
        }
        let starts = &self.field.starts[first..last];
        let first_inside = first + starts.partition_point(|start| *start <= inner.first);
        let behind_inside = first + starts.partition_point(|start| *start <= inner.last());
        if first_inside == behind_inside {
            let class = self.field.classes[first_inside - 1];
            return Some(self.leaf(inner.first, links, Link { length: inner.length, class }));
        }
        if first_inside + 1 == behind_inside {
            let start = self.field.starts[first_inside];
            if 128 - start.trailing_zeros() > inner.length + MOST_EDGE_BITS {
                return Some(self.edge(inner, first_inside, links));
            }
        }
        self.node(inner, (first_inside, behind_inside), &links)
    }

    /// A leaf for the address where an interval starts, the only one in a prefix.
    fn edge(&mut self, prefix: Prefix, interval: usize, mut links: Links) -> u32 {
        self.has_edges = true;
        self.leave_room(&mut links, 2);
        let link = |class| Link { length: prefix.length, class };
        let classes = &self.field.classes;
        links.near.extend([link(classes[interval - 1]), link(classes[interval])]);
        EDGE | self.write(self.field.starts[interval], &links)
    }

    fn node(&mut self, prefix: Prefix, inside: (usize, usize), links: &Links) -> Option<u32> {
        let wanted = usize::BITS - (inside.1 - inside.0).leading_zeros() + SPARE_BITS;
        let bits = wanted.min(self.most_bits).min(32 - prefix.length % 32);
        let first_place = self.places.len();
        self.places.resize(first_place + (1 << bits), 0);
        let words = self.places.len() + self.leaves.len();
        if self.places.len() > MOST_PLACES || words > MOST_WORDS {
            return None;
        }
        let length = prefix.length + bits;
        let mut known: HashMap<u16, u32, FixedState> = HashMap::default();
        let mut first = inside.0;
        for number in 0..1usize << bits {
            let below = prefix.first | (number as u128) << (128 - length);
            let below = Prefix { first: below, length };
            first += usize::from(self.field.starts.get(first) == Some(&below.first));
            let starts = &self.field.starts[first..inside.1];
            let last = first + starts.iter().take_while(|start| **start <= below.last()).count();
            let way = Way { prefix: below, inside: (first, last), around: prefix, links };
            let class = self.field.classes[first - 1];
            let place = match known.get(&class) {
                Some(place) if first == last => *place,
                _ => self.place(way)?,
            };
            if first == last {
                known.insert(class, place);
            }
            self.places[first_place + number] = place;
            first = last;
        }
        let (word, shift) = (prefix.length / 32, 32 - prefix.length % 32 - bits);
        let read = word << WORD_SHIFT | shift << SHIFT_SHIFT | (bits - 1) << BITS_SHIFT;
        Some(NODE | read | (first_place / 2) as u32)
    }

    /// Adds a link, unless it says what the one before says. Links that would be too many for one
    /// leaf go to a leaf of their own, which all that is below shares.
    fn push(&mut self, links: &mut Links, link: Link) {
        if links.near.last().is_some_and(|last| last.class == link.class) {
            return;
        }
        self.leave_room(links, 2);
        links.near.push(link);
    }

    /// Makes room in a leaf for some more links.
    fn leave_room(&mut self, links: &mut Links, more: usize) {
        if links.near.len() + usize::from(links.far.is_some()) + more > LINKS as usize {
            let far = self.write(0, links);
            *links = Links { near: Vec::new(), far: Some(far) };
        }
    }

    /// A leaf whose address has a class of its own from `link` on.
    fn leaf(&mut self, address: u128, mut links: Links, link: Link) -> u32 {
        if links.near.last().is_none_or(|last| last.class != link.class) {
            links.near.push(link);
        }
        self.write(address, &links)
    }

    fn write(&mut self, address: u128, links: &Links) -> u32 {
        let mut longest_first: Vec<Link> = links.near.iter().rev().copied().collect();
        if links.far.is_some() {
            longest_first.push(Link { length: 0, class: FOLLOWED });
        }
        longest_first.resize(LINKS as usize, Link { length: 0, class: 0 });
        let place = self.leaves.len() as u32;
        self.leaves.extend([96, 64, 32, 0].map(|shift| (address >> shift) as u32));
        let lengths = longest_first.iter().rev().map(|link| link.length);
        self.leaves.push(lengths.fold(0, |bytes, length| bytes << 8 | length));
        let class = |at: usize| u32::from(longest_first[at].class);
        let classes = [class(1) << 16 | class(0), class(3) << 16 | class(2)];
        self.leaves.extend(classes);
        self.leaves.push(links.far.unwrap_or(0));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Intervals at every depth and of every size, and addresses at their edges.
    #[test]
    fn a_search_finds_the_interval_of_an_address() {
        let mut state = 7u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for networks in [0, 1, 15, 16, 17, 18, 300, 5000] {
            let mut starts = vec![0u128];
            for number in 0..networks {
                let upper = u128::from(random() >> (number % 60)) << 64;
                starts.push(upper);
                let hosts = [0, 0, 1, 3, 16, 17, 40][number % 7];
                starts.extend((0..hosts).map(|_| upper | u128::from(random() >> (number % 64))));
            }
            if networks % 2 == 1 {
                starts.extend([u128::from(u64::MAX), u128::MAX, u128::MAX - 1]);
            }
            starts.sort_unstable();
            starts.dedup();
            // Prefixes within one another: one class comes again and again.
            for classes in [2, 3, 7, u16::MAX] {
                let classes = (0..starts.len()).map(|at| at as u16 % classes).collect();
                let field = Intervals { starts: starts.clone(), classes };
                check(&field);
            }
        }
    }

    /// Networks of every length around one host: as many classes on one way as there can be.
    #[test]
    fn a_way_has_a_class_for_each_length() {
        let host = 0x2001_0db8_0123_4567_89ab_cdef_0246_8ace_u128;
        for step in [1, 5, 16] {
            let outermost = host & !(u128::MAX >> 1);
            let lengths: Vec<u32> = (0..=128).step_by(step).collect();
            let mask = |length: u32| u128::MAX.checked_shr(length).unwrap_or(0);
            let edges = lengths.iter().flat_map(|length| {
                let first = host & !mask(*length);
                [Some(first), (first | mask(*length)).checked_add(1)]
            });
            let mut starts: Vec<u128> = edges.flatten().chain([0, outermost]).collect();
            starts.sort_unstable();
            starts.dedup();
            let class = |start: &u128| {
                let holds = |length: &&u32| (start ^ host).leading_zeros() >= **length;
                lengths.iter().rposition(|length| holds(&length)).unwrap_or(0) as u16
            };
            let classes = starts.iter().map(class).collect();
            check(&distinct(starts, classes));
        }
    }

    /// Intervals of which no two neighbours have one class.
    fn distinct(starts: Vec<u128>, classes: Vec<u16>) -> Intervals<u128> {
        let mut pairs: Vec<(u128, u16)> = starts.into_iter().zip(classes).collect();
        pairs.dedup_by_key(|pair| pair.1);
        let (starts, classes) = pairs.into_iter().unzip();
        Intervals { starts, classes }
    }

    #[track_caller]
    fn check(field: &Intervals<u128>) {
        let built = AddressesV6::build(field).unwrap();
        for &start in &field.starts {
            for address in [start, start.wrapping_sub(1), start.wrapping_add(1), start ^ 1 << 90] {
                let expected = field.class(address);
                assert_eq!(built.class(address), expected, "{address:#x}");
            }
        }
    }
}
