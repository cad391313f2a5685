//! IPv6 addresses → classes: a search among 64-bit halves.
//!
//! The upper halves at which some interval starts are the leaves of a tree of 16 keys a node; what
//! starts within one upper half, a /64, is a short list of lower halves. Nothing depends on how
//! prefixes are spread: 100,000 of them are five nodes deep, wherever they are.

#![expect(
    clippy::inline_always,
    reason = "counting keys becomes instructions only inside a function that enables them"
)]

use crate::tables::classes::Intervals;

/// Keys of a node: two registers of the widest kind.
pub(crate) const KEYS: usize = 16;

/// Ascending keys; unused ones are the highest value.
pub(crate) type Node = [u64; KEYS];

/// Classes over all addresses.
#[derive(Debug)]
pub(crate) struct AddressesV6 {
    /// Where inner nodes of each level are among [`AddressesV6::nodes`], the root first, the leaves
    /// last; and how many nodes it has.
    levels: Vec<(u32, u32)>,
    nodes: Box<[Node]>,
    /// By upper half, in the order of the leaves.
    networks: Box<[Network]>,
    /// Lower halves where intervals start, by network; the last node of each is filled up.
    hosts: Box<[Node]>,
    /// By network and, within it, by how many of its lower halves are not above the address.
    host_classes: Box<[u16]>,
}

/// What follows from an upper half up to the next one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    upper: u64,
    /// The class of addresses whose upper half is higher, or is this one where no host is.
    pub(crate) class: u16,
    /// How many nodes of [`AddressesV6::hosts`] it has; most have none.
    host_nodes: u16,
    first_host_node: u32,
    first_host_class: u32,
}

impl Network {
    /// Whether the class depends on the lower half of an address with this upper half.
    #[inline(always)]
    pub(crate) const fn has_hosts(&self, upper: u64) -> bool {
        self.upper == upper && self.host_nodes > 0
    }
}

/// The nodes of one depth.
#[derive(Clone, Copy)]
pub(crate) struct Level<'a> {
    nodes: &'a [Node],
    /// What lies below a node: nodes of the next level, or keys of a leaf.
    children: u32,
}

impl Level<'_> {
    /// From a node to one of the next level, and from a leaf to a rank among the upper halves.
    /// `count` says how many keys of a node are not above the address.
    #[inline(always)]
    pub(crate) fn descend(self, at: u32, count: impl FnOnce(&Node) -> usize) -> u32 {
        // Unused keys count where the address is the highest.
        let at = (at as usize).min(self.nodes.len() - 1);
        at as u32 * self.children + count(&self.nodes[at]) as u32
    }
}

impl AddressesV6 {
    pub(super) fn build(field: &Intervals<u128>) -> Self {
        let upper = |at: usize| (field.starts[at] >> 64) as u64;
        let (mut networks, mut hosts, mut host_classes) = (Vec::new(), Vec::new(), Vec::new());
        let mut at = 0;
        while at < field.starts.len() {
            let first = at;
            while at < field.starts.len() && upper(at) == upper(first) {
                at += 1;
            }
            let lower: Vec<u64> = field.starts[first..at].iter().map(|it| *it as u64).collect();
            let is_whole = lower == [0];
            let network = Network {
                upper: upper(first),
                class: field.classes[at - 1],
                host_nodes: if is_whole { 0 } else { lower.len().div_ceil(KEYS) as u16 },
                first_host_node: hosts.len() as u32,
                first_host_class: host_classes.len() as u32,
            };
            networks.push(network);
            if !is_whole {
                hosts.extend(filled(&lower));
                // Below the first of them the network before goes on.
                host_classes.push(field.classes[first.saturating_sub(1)]);
                host_classes.extend_from_slice(&field.classes[first..at]);
            }
        }
        let keys: Vec<u64> = networks.iter().map(|network| network.upper).collect();
        let (levels, nodes) = tree(&keys);
        Self {
            levels,
            nodes: nodes.into(),
            networks: networks.into(),
            hosts: hosts.into(),
            host_classes: host_classes.into(),
        }
    }

    /// `O(log intervals)`.
    pub(crate) fn class(&self, address: u128) -> u16 {
        let count = |node: &Node, value: u64| node.partition_point(|key| *key <= value);
        let (upper, lower) = ((address >> 64) as u64, address as u64);
        let mut at = 0;
        for level in self.levels() {
            at = level.descend(at, |node| count(node, upper));
        }
        let network = self.network(at);
        if network.has_hosts(upper) {
            self.host_class(network, lower, |node| count(node, lower))
        } else {
            network.class
        }
    }

    /// The levels of the search, from the root to the leaves.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Level<'_>> {
        let leaves = self.levels.len() - 1;
        self.levels.iter().enumerate().map(move |(at, (first, count))| {
            let nodes = &self.nodes[*first as usize..][..*count as usize];
            Level { nodes, children: KEYS as u32 + u32::from(at < leaves) }
        })
    }

    /// The network of a rank.
    #[inline(always)]
    pub(crate) fn network(&self, rank: u32) -> &Network {
        // The first upper half is zero, so that no address is below all of them.
        &self.networks[(rank as usize).clamp(1, self.networks.len()) - 1]
    }

    /// The class of an address whose network has hosts.
    #[inline(always)]
    pub(crate) fn host_class(
        &self,
        network: &Network,
        lower: u64,
        count: impl Fn(&Node) -> usize,
    ) -> u16 {
        // Unused keys are not above the highest address.
        if lower == u64::MAX {
            return network.class;
        }
        let first = network.first_host_node as usize;
        let nodes = &self.hosts[first..first + usize::from(network.host_nodes)];
        let rank: usize = nodes.iter().map(count).sum();
        self.host_classes[network.first_host_class as usize + rank]
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.levels)
            + size_of_val(&*self.nodes)
            + size_of_val(&*self.networks)
            + size_of_val(&*self.hosts)
            + size_of_val(&*self.host_classes)
    }
}

/// Keys as nodes; the last one is filled up.
fn filled(keys: &[u64]) -> impl Iterator<Item = Node> + '_ {
    keys.chunks(KEYS).map(|keys| {
        let mut node = [u64::MAX; KEYS];
        node[..keys.len()].copy_from_slice(keys);
        node
    })
}

/// Where the nodes of each level start and how many there are, the root first; and all nodes.
/// A key of an inner node is the lowest that is found below its right side.
fn tree(keys: &[u64]) -> (Vec<(u32, u32)>, Vec<Node>) {
    let mut levels = vec![filled(keys).collect::<Vec<Node>>()];
    let mut lowest: Vec<u64> = keys.iter().copied().step_by(KEYS).collect();
    while lowest.len() > 1 {
        let inner = lowest.chunks(KEYS + 1).flat_map(|below| {
            let mut node = [u64::MAX; KEYS];
            node[..below.len() - 1].copy_from_slice(&below[1..]);
            [node]
        });
        levels.push(inner.collect());
        lowest = lowest.into_iter().step_by(KEYS + 1).collect();
    }
    let mut first = 0;
    let places = levels.iter().rev().map(|level| {
        let place = (first, level.len() as u32);
        first += place.1;
        place
    });
    (places.collect(), levels.iter().rev().flatten().copied().collect())
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
            let classes = (0..starts.len()).map(|at| at as u16).collect();
            let field = Intervals { starts, classes };
            let built = AddressesV6::build(&field);
            for &start in &field.starts {
                for address in [start, start.wrapping_sub(1), start.wrapping_add(1)] {
                    let expected = field.class(address);
                    assert_eq!(built.class(address), expected, "{networks}: {address:#x}");
                }
            }
        }
    }
}
