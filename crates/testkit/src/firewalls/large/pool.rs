//! What rules choose from: prefixes that lie within one another, and ports that recur.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::PortRange;

use super::Family;
use super::statistics::Side;
use crate::Random;

/// The prefixes of one side, widest first.
pub(super) struct Prefixes(Vec<IpNet>);

impl Prefixes {
    /// Lengths are as stated to within one prefix, not left to chance: a small pool has every one.
    pub(super) fn draw(side: &Side, family: Family, rules: usize, random: &mut Random) -> Self {
        let count = (rules * side.prefixes).div_ceil(100).max(1);
        let mut prefixes: Vec<IpNet> = Vec::with_capacity(count);
        let mut wider = 0;
        for number in 0..count {
            let length = length(side.lengths, family, (2 * number + 1) * 50 / count);
            if prefixes.last().is_some_and(|last| last.prefix_len() < length) {
                wider = prefixes.len();
            }
            let around = random.pick(&prefixes[..wider]).copied();
            let around = around.filter(|_| random.percent(side.nested));
            prefixes.push(within(around.unwrap_or(family.everywhere()), length, random));
        }
        Self(prefixes)
    }

    /// One of them, each as often as any other.
    pub(super) fn pick(&self, random: &mut Random) -> Option<IpNet> {
        random.pick(&self.0).copied()
    }
}

/// The length at a position out of 100.
fn length(lengths: &[(usize, u8, u8)], family: Family, position: usize) -> u8 {
    let mut left = position;
    for (weight, v4, v6) in lengths {
        match left.checked_sub(*weight) {
            Some(rest) => left = rest,
            None => return family.choose(*v4, *v6),
        }
    }
    family.bits()
}

/// A prefix of `length` somewhere in `around`.
pub(super) fn within(around: IpNet, length: u8, random: &mut Random) -> IpNet {
    let length = length.max(around.prefix_len());
    let address = match around.network() {
        IpAddr::V4(network) => {
            let host = u32::MAX.checked_shr(around.prefix_len().into()).unwrap_or(0);
            IpAddr::from(Ipv4Addr::from_bits(network.to_bits() | random.next_u64() as u32 & host))
        }
        IpAddr::V6(network) => {
            let host = u128::MAX.checked_shr(around.prefix_len().into()).unwrap_or(0);
            // Half of the hosts have small numbers, as addresses given by hand do.
            let host = if length > 64 && random.percent(50) {
                host & (u128::from(u64::MAX) << 64 | 0xfff)
            } else {
                host
            };
            Ipv6Addr::from_bits(network.to_bits() | random.next_u128() & host).into()
        }
    };
    IpNet::new(address, length).map_or(around, |network| network.trunc())
}

/// Single ports and ranges; the n-th of each list is n times rarer than the first.
pub(super) struct Ports {
    single: Ranked<u16>,
    ranges: Ranked<PortRange>,
}

impl Ports {
    pub(super) fn draw(count: usize, random: &mut Random) -> Self {
        let known = SERVICES.iter().copied().take(count);
        let more = count.saturating_sub(SERVICES.len());
        let drawn: Vec<u16> = (0..more).map(|_| 1 + random.below(65_535) as u16).collect();
        let ranges = (0..count.div_ceil(3)).map(|_| {
            let first = 1 + random.below(65_000) as u16;
            let width = [2, 10, 50, 100, 500][random.below(5)];
            range(first, first + 1 + random.below(width) as u16)
        });
        let ranges = ranges.collect();
        Self { single: Ranked::new(known.chain(drawn).collect()), ranges: Ranked::new(ranges) }
    }

    /// One port, a range, 1024 and above, or any, by weight.
    pub(super) fn pick(&self, weights: [usize; 4], random: &mut Random) -> PortRange {
        match drawn(weights, random) {
            0 => self.single.pick(random).map_or(PortRange::ALL, |port| range(port, port)),
            1 => self.ranges.pick(random).unwrap_or(PortRange::ALL),
            2 => range(1024, u16::MAX),
            _ => PortRange::ALL,
        }
    }
}

/// The range between two ports, whichever comes first.
pub(super) fn range(one: u16, other: u16) -> PortRange {
    PortRange::new(one.min(other), one.max(other)).unwrap_or(PortRange::ALL)
}

/// The position of a weight, drawn in proportion.
pub(super) fn drawn<const N: usize>(weights: [usize; N], random: &mut Random) -> usize {
    let mut left = random.below(weights.iter().sum());
    let found = weights.iter().position(|weight| match left.checked_sub(*weight) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    found.unwrap_or(N - 1)
}

/// Values of which the n-th is drawn n times more rarely than the first: Zipf's law, exponent 1.
pub(crate) struct Ranked<T> {
    values: Vec<T>,
    /// The sum of the weights up to each value.
    sums: Vec<u64>,
}

impl<T: Copy> Ranked<T> {
    pub(crate) fn new(values: Vec<T>) -> Self {
        let weights = (1..=values.len() as u64).map(|rank| (1 << 32) / rank);
        let sums = weights.scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self { sums: sums.collect(), values }
    }

    pub(crate) fn pick(&self, random: &mut Random) -> Option<T> {
        let at = random.below(*self.sums.last()? as usize) as u64;
        self.values.get(self.sums.partition_point(|sum| *sum <= at)).copied()
    }
}

/// Well-known ports, the commonest in rule bases first.
const SERVICES: &[u16] = &[
    443, 80, 53, 22, 25, 123, 445, 3389, 389, 1433, 3306, 8080, 161, 514, 636, 993, 5432, 1521, 88,
    135, 139, 21, 5060, 8443,
];
