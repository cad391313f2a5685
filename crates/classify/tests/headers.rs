//! Packets given field by field find the rule that is found for them one by one, with instructions
//! of every kind and in structures of every kind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use parefeu_classify::{
    BatchScratch, CompileLimits, CompiledPolicy, FirstMatch, HeadersV4, HeadersV6, Instructions,
};
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::{
    AddressItem, AddressMatch, LinkedFirewall, PacketKey, RuleBaseId, RuleId, Span,
};
use parefeu_testkit::Random;
use parefeu_testkit::firewalls::{self, Family, Filter, Large, Shape};
use parefeu_testkit::traces::{Kind, Trace};

fn v4(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => unreachable!("traces are of one family"),
    }
}

fn v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V6(address) => address.to_bits(),
        IpAddr::V4(_) => unreachable!("traces are of one family"),
    }
}

fn by_headers(
    policy: &CompiledPolicy,
    family: Family,
    keys: &[PacketKey],
    scratch: &mut BatchScratch,
) -> Vec<Option<RuleId>> {
    let src_port: Vec<u16> = keys.iter().map(|key| key.src_port).collect();
    let dst_port: Vec<u16> = keys.iter().map(|key| key.dst_port).collect();
    let protocol: Vec<u8> = keys.iter().map(|key| key.protocol.0).collect();
    let (src_port, dst_port, protocol) = (&*src_port, &*dst_port, &*protocol);
    let mut found = vec![Some(RuleId(u32::MAX - 1)).into(); keys.len()];
    if family == Family::V4 {
        let src: Vec<u32> = keys.iter().map(|key| v4(key.src)).collect();
        let dst: Vec<u32> = keys.iter().map(|key| v4(key.dst)).collect();
        let headers = HeadersV4 { src: &src, dst: &dst, src_port, dst_port, protocol };
        policy.first_match_headers(RuleBaseId(0), &headers, &mut found, scratch);
    } else {
        let src: Vec<u128> = keys.iter().map(|key| v6(key.src)).collect();
        let dst: Vec<u128> = keys.iter().map(|key| v6(key.dst)).collect();
        let headers = HeadersV6 { src: &src, dst: &dst, src_port, dst_port, protocol };
        policy.first_match_headers_v6(RuleBaseId(0), &headers, &mut found, scratch);
    }
    found.into_iter().map(FirstMatch::rule).collect()
}

#[test]
fn headers_find_what_packets_find() {
    let user = CompileLimits::default();
    let tuples = CompileLimits { max_paired_rules: 0, ..user };
    for shape in Shape::ALL {
        for family in Family::ALL {
            let large = Large { shape, family, rules: 400, seed: 11 }.generate();
            let firewall = firewalls::linked(&large);
            // Not a whole number of chunks or vectors.
            let trace = |kind| Trace { kind, family, packets: 601, seed: 5 }.draw(&firewall);
            let keys = [trace(Kind::Uniform), trace(Kind::NearMiss), trace(Kind::Random)].concat();
            for limits in [user, tuples] {
                let policy = CompiledPolicy::compile(Arc::clone(&firewall), &limits);
                let one_by_one = keys.iter().map(|key| policy.first_match(RuleBaseId(0), key));
                let expected: Vec<Option<RuleId>> = one_by_one.collect();
                check(&policy, family, (&keys, &expected), shape.name());
            }
        }
    }
}

#[track_caller]
fn check(
    policy: &CompiledPolicy,
    family: Family,
    (keys, expected): (&[PacketKey], &[Option<RuleId>]),
    what: &str,
) {
    for instructions in Instructions::ALL {
        let mut scratch = BatchScratch::with(instructions);
        let found = by_headers(policy, family, keys, &mut scratch);
        assert_eq!(found, expected, "{what} {} {}", family.name(), instructions.name());
    }
}

/// IPv6 addresses between any two others, of which no prefix begins or ends where they do, beside
/// networks of every length around some hosts: packets at every edge.
#[test]
fn ranges_and_nested_networks_are_told_apart_at_their_edges() {
    let mut random = Random::new(23);
    let host = random.next_u128();
    let mut ranges: Vec<(u128, u128)> = (0..=128u32)
        .rev()
        .map(|length| {
            let open = u128::MAX.checked_shr(length).unwrap_or(0);
            (host & !open, host | open)
        })
        .collect();
    for number in 0..200 {
        let near = random.next_u128();
        let other = near ^ random.next_u128().checked_shr(number % 128).unwrap_or(0);
        ranges.insert(random.below(ranges.len()), (near.min(other), near.max(other)));
    }
    let edges = ranges.iter().flat_map(|&(first, last)| {
        [first, last, first.wrapping_sub(1), last.wrapping_add(1), first ^ 1 << 70]
    });
    let address = |bits| IpAddr::from(Ipv6Addr::from_bits(bits));
    let keys: Vec<PacketKey> = edges
        .map(|src| PacketKey { src: address(src), dst: address(!src), ..PacketKey::UNSTATED })
        .collect();
    let of_rule = |&(first, last): &(u128, u128)| first..=last;
    let expected: Vec<Option<RuleId>> = keys
        .iter()
        .map(|key| {
            let found = ranges.iter().position(|range| of_rule(range).contains(&v6(key.src)));
            found.map(|rule| RuleId(rule as u32))
        })
        .collect();
    let ranges = ranges.into_iter().map(|(first, last)| (address(first), address(last)));
    let policy = CompiledPolicy::compile(from_ranges(ranges), &CompileLimits::default());
    check(&policy, Family::V6, (&keys, &expected), "ranges");
}

/// Networks of 65,536 addresses, of which one, two, three and many parts are divided once more:
/// few such networks, and so many that their blocks are laid out in another way.
#[test]
fn parts_of_networks_are_told_apart_at_their_edges() {
    for (networks, most_parts) in [(90, 1), (90, 4), (400, 12)] {
        let mut random = Random::new(29);
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for network in 0..networks {
            let first = (network * 0x51_u32) << 16;
            for part in 0..=network % most_parts {
                let part = first + part * 0x0b00 + random.below(256) as u32;
                ranges.push((part, part + random.below(300) as u32));
            }
            ranges.push((first | 0x4000, first | 0x4fff));
        }
        let edges = ranges.iter().flat_map(|&(first, last)| {
            [first, last, first.wrapping_sub(1), last.wrapping_add(1), first ^ 0x100]
        });
        let address = |bits| IpAddr::from(Ipv4Addr::from_bits(bits));
        let keys: Vec<PacketKey> = edges
            .map(|src| PacketKey { src: address(src), dst: address(!src), ..PacketKey::UNSTATED })
            .collect();
        let of_key = |key: &PacketKey| {
            let within = |&(first, last): &(u32, u32)| (first..=last).contains(&v4(key.src));
            ranges.iter().position(within).map(|rule| RuleId(rule as u32))
        };
        let expected: Vec<Option<RuleId>> = keys.iter().map(of_key).collect();
        let ranges = ranges.iter().map(|(first, last)| (address(*first), address(*last)));
        let policy = CompiledPolicy::compile(from_ranges(ranges), &CompileLimits::default());
        let one_by_one: Vec<Option<RuleId>> =
            keys.iter().map(|key| policy.first_match(RuleBaseId(0), key)).collect();
        assert_eq!(one_by_one, expected);
        check(&policy, Family::V4, (&keys, &expected), "parts");
    }
}

/// Ports at the edges of ranges: fewer than a byte tells apart, and more.
#[test]
fn many_port_ranges_are_told_apart_at_their_edges() {
    for count in [50, 255, 256, 320] {
        let first = |rule: u16| 100 + rule * 200;
        let range = |rule| PortRange::new(first(rule), first(rule) + 99).unwrap();
        let filter = |rule| Filter {
            protocol: Some(Protocol::TCP),
            dst_ports: range(rule),
            src_ports: range(count - 1 - rule),
            ..Filter::ANY
        };
        let filters: Vec<Filter> = (0..count).map(filter).collect();
        let firewall = firewalls::linked(&firewalls::filtering("ports", &filters));
        let policy = CompiledPolicy::compile(firewall, &CompileLimits::default());
        let key = |rule, dst_port| PacketKey {
            src: IpAddr::from([192, 0, 2, 1]),
            dst: IpAddr::from([198, 51, 100, 1]),
            protocol: Protocol::TCP,
            src_port: first(count - 1 - rule),
            dst_port,
            ..PacketKey::UNSTATED
        };
        let of_rule = |rule: u16| {
            let (first, hit) = (first(rule), Some(RuleId(rule.into())));
            [(first - 1, None), (first, hit), (first + 99, hit), (first + 100, None)]
                .map(|(port, expected)| (key(rule, port), expected))
        };
        let (keys, expected): (Vec<PacketKey>, Vec<Option<RuleId>>) =
            (0..count).flat_map(of_rule).unzip();
        check(&policy, Family::V4, (&keys, &expected), "ports");
    }
}

/// A rule for each range of source addresses.
fn from_ranges(ranges: impl ExactSizeIterator<Item = (IpAddr, IpAddr)>) -> Arc<LinkedFirewall> {
    let mut firewall = firewalls::filtering("ranges", &vec![Filter::ANY; ranges.len()]);
    let rules = firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules);
    for (rule, (first, last)) in rules.zip(ranges) {
        let item = AddressItem::Range(first, last);
        rule.matches.src = AddressMatch::one(item, Span { source: 0, start: 0, end: 0 });
    }
    firewalls::linked(&firewall)
}
