//! Ports for source translation.

use parefeu_net::{FiveTuple, PortRange};

/// Finds a free port for a translated flow: the wished one where it is free, else the next free one
/// of the ranges, starting at a place that depends on the flow.
///
/// A port is free when `is_taken` denies that a live session expects replies to it. `None` when the
/// first [`MAX_PORT_PROBES`] ports tried are all taken: exhaustion, a named reason of its own.
pub fn allocate_port(
    wished: FiveTuple,
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
    let spread = u32::from(wished.src_port).wrapping_mul(0x9e37_79b1) ^ u32::from(wished.dst_port);
    let start = spread.checked_rem(size)?;
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
    use std::collections::HashSet;

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
        while let Some(flow) = allocate_port(wished, &ranges, |flow| taken.contains(flow)) {
            taken.insert(flow);
            given.push(flow.src_port);
        }
        assert_eq!(given[0], 2001);
        given.sort_unstable();
        assert_eq!(given, [2000, 2001, 2002, 2003, 3000]);
    }
}
