//! Ports for source translation.

use parefeu_net::{FiveTuple, PortRange};

/// Finds a free port for a translated flow: the wished one where it is free, else a free one of the
/// ranges.
///
/// A port is free when `is_taken` denies it: that a live session expects replies to it, or
/// that it must not be for another reason. Ranges of up to
/// [`MAX_PORT_PROBES`] ports are searched whole; in larger ones, as on Linux, ever shorter runs of
/// neighbours are tried from places that `seed` chooses. The seed should be a hash of the flow
/// before translation ([`crate::SessionTable::hash`]), so that clients that share a source port
/// start apart, and of the time, so that one that was refused is sent to other places.
///
/// # Errors
/// [`NoPort`], a named reason for either way of not finding one.
pub fn allocate_port(
    wished: FiveTuple,
    seed: u64,
    ranges: &[PortRange],
    is_taken: impl Fn(&FiveTuple) -> bool,
) -> Result<FiveTuple, NoPort> {
    let allowed = ranges.iter().any(|range| range.contains(wished.src_port));
    if allowed && !is_taken(&wished) {
        return Ok(wished);
    }
    let size: u32 = ranges.iter().map(|r| u32::from(r.last() - r.first()) + 1).sum();
    let run = |(number, length): (u64, u32)| {
        let start = (seed.rotate_left(24) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (0..length).map(move |step| (start as u32 % size.max(1) + step) % size.max(1))
    };
    let is_searched_whole = size <= MAX_PORT_PROBES;
    let runs: &[u32] = if is_searched_whole { &[size] } else { &PROBE_RUNS };
    (0..)
        .zip(runs.iter().copied())
        .flat_map(run)
        .filter_map(|index| port_at(ranges, index))
        .map(|port| wished.with_src_port(port))
        .find(|flow| !is_taken(flow))
        .ok_or(if is_searched_whole { NoPort::Exhausted } else { NoPort::NotFound })
}

/// Why no port was given out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum NoPort {
    /// Every port of the ranges is taken.
    #[error("every port is taken")]
    Exhausted,
    /// Of a large range, [`MAX_PORT_PROBES`] ports were tried and all were taken.
    #[error("none of {MAX_PORT_PROBES} ports tried is free")]
    NotFound,
}

/// How many ports are tried for one connection, the one it wishes for not counted.
pub const MAX_PORT_PROBES: u32 = {
    let [a, b, c, d] = PROBE_RUNS;
    a + b + c + d
};

/// Ports tried one after the other from each of four places; Linux searches so
/// (`nf_nat_l4proto_unique_tuple`, net/netfilter/nf_nat_core.c, read from memory).
const PROBE_RUNS: [u32; 4] = [128, 64, 32, 16];

fn port_at(ranges: &[PortRange], index: u32) -> Option<u16> {
    let mut index = index;
    for range in ranges {
        let count = u32::from(range.last() - range.first()) + 1;
        if index < count {
            return Some(range.first() + index as u16);
        }
        index -= count;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    use std::net::{IpAddr, Ipv4Addr};

    use parefeu_net::Protocol;

    use super::*;

    const WISHED: FiveTuple = FiveTuple {
        src: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
        dst: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        src_port: 2001,
        dst_port: 443,
        protocol: Protocol::TCP,
    };

    #[test]
    fn a_port_is_kept_where_free_and_every_port_is_used_before_exhaustion() {
        let ranges = [PortRange::new(2000, 2003).unwrap(), PortRange::single(3000)];
        let mut taken = HashSet::new();
        let mut given = Vec::new();
        let end = loop {
            match allocate_port(WISHED, given.len() as u64, &ranges, |it| taken.contains(it)) {
                Ok(flow) => {
                    taken.insert(flow);
                    given.push(flow.src_port);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(end, NoPort::Exhausted);
        assert_eq!(given[0], 2001);
        given.sort_unstable();
        assert_eq!(given, [2000, 2001, 2002, 2003, 3000]);
        assert_eq!(allocate_port(WISHED, 0, &[], |_| false), Err(NoPort::Exhausted));
    }

    #[test]
    fn the_search_in_a_large_range_ends_and_another_seed_looks_elsewhere() {
        let probed = |seed| {
            let ports = RefCell::new(Vec::new());
            let found = allocate_port(WISHED, seed, &[PortRange::ALL], |flow| {
                ports.borrow_mut().push(flow.src_port);
                true
            });
            assert_eq!(found, Err(NoPort::NotFound));
            ports.into_inner()
        };
        let (first, second) = (probed(1_000_000_000), probed(1_000_000_001));
        assert_eq!(first.len(), 1 + MAX_PORT_PROBES as usize);
        assert_eq!(first, probed(1_000_000_000));
        let again = second.iter().filter(|port| first.contains(port)).count();
        assert!(again < first.len() / 2, "{again} ports are tried again");
        // One free port among those tried is found.
        let free = first[100];
        let found =
            allocate_port(WISHED, 1_000_000_000, &[PortRange::ALL], |it| it.src_port != free);
        assert_eq!(found.map(|flow| flow.src_port), Ok(free));
    }
    #[test]
    fn clients_of_one_port_are_told_apart_in_few_steps() {
        let ranges = [PortRange::new(1024, u16::MAX).unwrap()];
        let (mut taken, mut probes) = (HashSet::new(), 0u64);
        for client in 0..32_000u64 {
            let seed = BuildHasherDefault::<DefaultHasher>::default().hash_one(client);
            let counted = Cell::new(0);
            let flow = allocate_port(WISHED, seed, &ranges, |flow| {
                counted.set(counted.get() + 1);
                taken.contains(flow)
            });
            probes += counted.get();
            taken.insert(flow.unwrap());
        }
        // The wished port is taken by the first of them; half the ports are taken at the end.
        assert!(probes < 3 * 32_000, "{probes} probes");
    }
}
