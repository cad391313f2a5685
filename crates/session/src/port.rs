//! Ports for source translation.

use parefeu_net::{FiveTuple, PortRange};

/// Finds a free port for a translated flow: the wished one where it is free, else the next free one
/// of the ranges, starting at a place that `seed` chooses.
///
/// The seed should be a hash of the flow before translation ([`crate::SessionTable::hash`]):
/// clients that share a source port then start apart, and the search is short until ports become
/// scarce.
/// A port is free when `is_taken` denies that a live session expects replies to it. `None` when the
/// first [`MAX_PORT_PROBES`] ports tried are all taken: exhaustion, a named reason of its own.
pub fn allocate_port(
    wished: FiveTuple,
    seed: u64,
    ranges: &[PortRange],
    is_taken: impl Fn(&FiveTuple) -> bool,
) -> Option<FiveTuple> {
    let with_port = |port| {
        // An ICMP identifier stands in both ports.
        let dst_port = if wished.protocol.is_icmp() { port } else { wished.dst_port };
        FiveTuple { src_port: port, dst_port, ..wished }
    };
    let allowed = ranges.iter().any(|range| range.contains(wished.src_port));
    if (allowed || wished.protocol.is_icmp()) && !is_taken(&wished) {
        return Some(wished);
    }
    let size: u32 = ranges.iter().map(|r| u32::from(r.last() - r.first()) + 1).sum();
    let start = seed.checked_rem(u64::from(size))? as u32;
    (0..size.min(MAX_PORT_PROBES))
        .filter_map(|step| port_at(ranges, (start + step) % size))
        .map(with_port)
        .find(|flow| !is_taken(flow))
}

/// How many ports are tried before translation counts as exhausted; all of them.
pub const MAX_PORT_PROBES: u32 = 65_536;

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
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use parefeu_net::Protocol;

    use super::*;

    #[test]
    fn a_port_is_kept_where_free_and_every_port_is_used_before_exhaustion() {
        let wished = FiveTuple {
            src: [203, 0, 113, 1].into(),
            dst: [192, 0, 2, 1].into(),
            src_port: 2001,
            dst_port: 443,
            protocol: Protocol::TCP,
        };
        let ranges = [PortRange::new(2000, 2003).unwrap(), PortRange::single(3000)];
        let mut taken = HashSet::new();
        let mut given = Vec::new();
        while let Some(flow) = allocate_port(wished, 17, &ranges, |flow| taken.contains(flow)) {
            taken.insert(flow);
            given.push(flow.src_port);
        }
        assert_eq!(given[0], 2001);
        given.sort_unstable();
        assert_eq!(given, [2000, 2001, 2002, 2003, 3000]);
    }
    #[test]
    fn clients_of_one_port_are_told_apart_in_few_steps() {
        let ranges = [PortRange::new(1024, u16::MAX).unwrap()];
        let wished = FiveTuple {
            src: [203, 0, 113, 1].into(),
            dst: [192, 0, 2, 1].into(),
            src_port: 4000,
            dst_port: 443,
            protocol: Protocol::TCP,
        };
        let (mut taken, mut probes) = (HashSet::new(), 0u64);
        for client in 0..32_000u64 {
            let seed = BuildHasherDefault::<DefaultHasher>::default().hash_one(client);
            let counted = Cell::new(0);
            let flow = allocate_port(wished, seed, &ranges, |flow| {
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
