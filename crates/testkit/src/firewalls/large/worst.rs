//! Rule bases that no one writes on purpose, each the worst case of some way to look rules up.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};

use super::pool::{range, within};
use super::{Family, Large, Shape};
use crate::Random;
use crate::firewalls::Filter;

/// The filters of a shape without statistics.
pub(super) fn filters(large: &Large, random: &mut Random) -> Vec<Filter> {
    let family = large.family;
    match large.shape {
        Shape::LastRuleHits => (0..large.rules).map(|number| last_rule(large, number)).collect(),
        Shape::AllOverlap => distinct(large.rules, || overlapping(family, random)),
        Shape::ServicesOnly => distinct(large.rules, || services_only(random)),
        Shape::OneField => {
            let mut filters = distinct(large.rules, || one_field(family, random));
            filters.sort_by_key(|filter| filter.openness(family.bits()));
            filters
        }
        Shape::PortRanges => {
            let mut filters = distinct(large.rules, || port_ranges(random));
            filters.sort_by_key(area);
            filters
        }
        _ => distinct(large.rules, || exact(family, random)),
    }
}

/// Draws until there are `count` different filters.
fn distinct(count: usize, mut draw: impl FnMut() -> Filter) -> Vec<Filter> {
    let mut seen = HashSet::with_capacity(count);
    std::iter::from_fn(|| Some(draw())).filter(|it| seen.insert(*it)).take(count).collect()
}

/// Destination host `number`; the last filter holds for everything.
fn last_rule(large: &Large, number: usize) -> Filter {
    if number + 1 == large.rules {
        return Filter::ANY;
    }
    // Even host numbers, so that neighbours never merge.
    let number = 2 * number;
    let host = match large.family {
        Family::V4 => IpAddr::from(Ipv4Addr::from_bits((10 << 24) + number as u32)),
        Family::V6 => Ipv6Addr::from_bits((0x2001_0db8 << 96) + number as u128).into(),
    };
    Filter { dst: Some(host.into()), ..Filter::ANY }
}

/// Each field holds a value that it shares with every other such filter.
fn overlapping(family: Family, random: &mut Random) -> Filter {
    let (src, dst) = family.choose(
        (IpAddr::from(Ipv4Addr::new(10, 1, 2, 3)), IpAddr::from(Ipv4Addr::new(192, 0, 2, 1))),
        (
            Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 3, 4, 5, 6).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 9, 8, 7, 6, 5, 4).into(),
        ),
    );
    let around = |address: IpAddr, random: &mut Random| {
        let length = 1 + random.below(family.bits().into()) as u8;
        IpNet::new(address, length).ok().map(|network| network.trunc())
    };
    let ports = |port: u16, random: &mut Random| {
        let first = random.below(usize::from(port) + 1) as u16;
        range(first, port + random.below(65_536 - usize::from(port)) as u16)
    };
    Filter {
        src: around(src, random),
        dst: around(dst, random),
        protocol: Some(Protocol::TCP),
        src_ports: ports(40_000, random),
        dst_ports: ports(443, random),
    }
}

/// Any addresses: TCP or UDP between two ports, or between a port and the ports above one.
fn services_only(random: &mut Random) -> Filter {
    let port = |random: &mut Random| random.next_u64() as u16;
    let protocol = Some(if random.percent(60) { Protocol::TCP } else { Protocol::UDP });
    let (first, service) = (port(random), port(random));
    let src_ports = match random.below(3) {
        0 => PortRange::ALL,
        1 => range(first, first),
        _ => range(first, u16::MAX),
    };
    Filter { protocol, src_ports, dst_ports: range(service, service), ..Filter::ANY }
}

/// A destination prefix of any length from 8 on, half of them in one /8 or /32.
fn one_field(family: Family, random: &mut Random) -> Filter {
    let lengths = family.choose((8, 32), (32, 128));
    let length = random.between(lengths.0, lengths.1) as u8;
    let crowded = family.choose(CROWDED_V4, CROWDED_V6);
    let around = if random.percent(50) { crowded } else { family.everywhere() };
    Filter { dst: Some(within(around, length, random)), ..Filter::ANY }
}

const CROWDED_V4: IpNet = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 0)), 8);
const CROWDED_V6: IpNet =
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 32);

/// A range of source ports and one of destination ports, each between any two ports.
fn port_ranges(random: &mut Random) -> Filter {
    let mut ports = || range(random.next_u64() as u16, random.next_u64() as u16);
    let (src_ports, dst_ports) = (ports(), ports());
    Filter { protocol: Some(Protocol::TCP), src_ports, dst_ports, ..Filter::ANY }
}

/// Pairs of ports a filter of [`port_ranges`] holds for.
fn area(filter: &Filter) -> u64 {
    let width = |ports: PortRange| u64::from(ports.last() - ports.first()) + 1;
    width(filter.src_ports) * width(filter.dst_ports)
}

/// One value for every field.
fn exact(family: Family, random: &mut Random) -> Filter {
    let mut host = || Some(within(family.everywhere(), family.bits(), random));
    let (src, dst) = (host(), host());
    let mut port = || {
        let port = random.next_u64() as u16;
        range(port, port)
    };
    let (src_ports, dst_ports) = (port(), port());
    let protocol = Some(if random.percent(70) { Protocol::TCP } else { Protocol::UDP });
    Filter { src, dst, protocol, src_ports, dst_ports }
}
