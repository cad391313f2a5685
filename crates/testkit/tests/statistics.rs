//! Whether large rule bases and traces are what their documentation says: the numbers stated there,
//! measured on 20,000 rules.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::{PacketKey, Sees, Translation};
use parefeu_testkit::classbench::{read_rules, read_trace, write_rules, write_trace};
use parefeu_testkit::firewalls::{self, Family, Filter, Large, Scan, Shape};
use parefeu_testkit::traces::{Kind, Trace};

const RULES: usize = 20_000;

fn large(shape: Shape, family: Family, rules: usize) -> Large {
    Large { shape, family, rules, seed: 0x5eed }
}

/// A column of the table in the documentation of [`Shape`].
#[derive(Debug)]
struct Stated {
    shape: Shape,
    /// Both addresses, source only, destination only, neither.
    sides: [usize; 4],
    /// Hosts among stated sources and destinations.
    hosts: [usize; 2],
    /// Depth of sources and destinations, in tenths.
    depth: [usize; 2],
    pairs: usize,
    /// TCP, UDP, ICMP, GRE, any.
    protocols: [usize; 5],
    /// One, range, 1024 and above, any.
    src_ports: [usize; 4],
    dst_ports: [usize; 4],
    single_ports: usize,
}

const STATED: [Stated; 6] = [
    Stated {
        shape: Shape::AccessList,
        sides: [96, 3, 1, 0],
        hosts: [88, 84],
        depth: [6, 19],
        pairs: 72,
        protocols: [87, 1, 3, 0, 9],
        src_ports: [0, 0, 0, 100],
        dst_ports: [67, 13, 0, 20],
        single_ports: 80,
    },
    Stated {
        shape: Shape::BranchAccessList,
        sides: [70, 10, 18, 2],
        hosts: [40, 55],
        depth: [14, 10],
        pairs: 49,
        protocols: [65, 22, 4, 0, 9],
        src_ports: [2, 0, 8, 90],
        dst_ports: [55, 20, 10, 15],
        single_ports: 400,
    },
    Stated {
        shape: Shape::Perimeter,
        sides: [15, 24, 59, 2],
        hosts: [66, 92],
        depth: [0, 0],
        pairs: 94,
        protocols: [59, 31, 4, 5, 1],
        src_ports: [16, 0, 9, 75],
        dst_ports: [69, 0, 9, 22],
        single_ports: 40,
    },
    Stated {
        shape: Shape::NestedPerimeter,
        sides: [42, 26, 30, 2],
        hosts: [30, 30],
        depth: [19, 19],
        pairs: 63,
        protocols: [55, 25, 5, 2, 13],
        src_ports: [10, 2, 18, 70],
        dst_ports: [50, 15, 12, 23],
        single_ports: 200,
    },
    Stated {
        shape: Shape::Chain,
        sides: [88, 5, 7, 0],
        hosts: [42, 49],
        depth: [17, 12],
        pairs: 77,
        protocols: [29, 39, 1, 1, 30],
        src_ports: [23, 3, 1, 73],
        dst_ports: [56, 4, 9, 31],
        single_ports: 45,
    },
    Stated {
        shape: Shape::CoarseChain,
        sides: [75, 10, 13, 2],
        hosts: [0, 30],
        depth: [12, 7],
        pairs: 39,
        protocols: [48, 40, 4, 3, 5],
        src_ports: [35, 5, 10, 50],
        dst_ports: [45, 15, 15, 25],
        single_ports: 120,
    },
];

/// Of those filters that have a class, how many of a hundred fall into each.
fn shares<const N: usize>(
    filters: &[Filter],
    class: impl Fn(&Filter) -> Option<usize>,
) -> [f64; N] {
    let mut counts = [0usize; N];
    for at in filters.iter().filter_map(class) {
        counts[at] += 1;
    }
    let all = counts.iter().sum::<usize>() as f64;
    counts.map(|count| count as f64 * 100.0 / all)
}

fn port_class(ports: PortRange) -> usize {
    match (ports.first(), ports.last()) {
        (0, u16::MAX) => 3,
        (1024, u16::MAX) => 2,
        (first, last) if first == last => 0,
        _ => 1,
    }
}

/// In how many others a prefix lies, on average.
fn depth(prefixes: &BTreeSet<IpNet>) -> f64 {
    let around = |prefix: &IpNet| {
        let wider = std::iter::successors(prefix.supernet(), IpNet::supernet);
        wider.filter(|wider| prefixes.contains(wider)).count()
    };
    prefixes.iter().map(around).sum::<usize>() as f64 / prefixes.len() as f64
}

#[track_caller]
fn close(what: &str, all_found: &[f64], stated: &[usize], by: f64) {
    for (found, stated) in all_found.iter().zip(stated) {
        let off = (found - *stated as f64).abs();
        assert!(off <= by, "{what}: found {found:.1}, stated {stated} (all found: {all_found:?})");
    }
}

#[test]
fn rules_have_the_statistics_their_shape_states() {
    for stated in &STATED {
        for family in Family::ALL {
            let filters = large(stated.shape, family, RULES).filters();
            assert_eq!(filters.len(), RULES);
            let what = |part: &str| format!("{} {}: {part}", stated.shape.name(), family.name());
            let sides = shares(&filters, |it| {
                Some(2 * usize::from(it.src.is_none()) + usize::from(it.dst.is_none()))
            });
            let [both, src_only, dst_only, neither]: [f64; 4] = sides;
            close(&what("sides"), &[both, src_only, dst_only, neither], &stated.sides, 1.5);
            for (at, side) in [|it: &Filter| it.src, |it: &Filter| it.dst].iter().enumerate() {
                let host = |net: IpNet| usize::from(net.prefix_len() < net.max_prefix_len());
                let hosts: [f64; 2] = shares(&filters, |it| side(it).map(host));
                close(&what("hosts"), &hosts[..1], &stated.hosts[at..], 2.0);
                let prefixes = filters.iter().filter_map(side).collect();
                let depth = depth(&prefixes) * 10.0;
                close(&what("depth in tenths"), &[depth], &stated.depth[at..], 2.0);
            }
            let pairs: BTreeSet<_> = filters.iter().map(|it| (it.src, it.dst)).collect();
            let pairs = pairs.len() as f64 * 100.0 / RULES as f64;
            close(&what("pairs"), &[pairs], &[stated.pairs], 3.0);
            let protocols: [f64; 5] = shares(&filters, |it| {
                Some(match it.protocol {
                    Some(Protocol::TCP) => 0,
                    Some(Protocol::UDP) => 1,
                    Some(Protocol::ICMP | Protocol::ICMPV6) => 2,
                    Some(Protocol::GRE) => 3,
                    Some(_) => unreachable!("a shape names these protocols only"),
                    None => 4,
                })
            });
            close(&what("protocols"), &protocols, &stated.protocols, 2.0);
            let with_ports = |it: &Filter| it.protocol.is_some_and(Protocol::has_ports);
            let src_ports: [f64; 4] =
                shares(&filters, |it| with_ports(it).then(|| port_class(it.src_ports)));
            let dst_ports: [f64; 4] =
                shares(&filters, |it| with_ports(it).then(|| port_class(it.dst_ports)));
            close(&what("source ports"), &src_ports, &stated.src_ports, 2.0);
            close(&what("destination ports"), &dst_ports, &stated.dst_ports, 2.0);
            let single: BTreeSet<PortRange> = filters
                .iter()
                .map(|it| it.dst_ports)
                .filter(|ports| ports.first() == ports.last())
                .collect();
            let single = single.len() as f64;
            close(&what("single ports"), &[single], &[stated.single_ports], 4.0);
        }
    }
}

#[test]
fn narrow_rules_come_first_or_in_sections() {
    for family in Family::ALL {
        let open = |it: &Filter| {
            let bits = u16::from(family.bits());
            let open = |net: Option<IpNet>| bits - net.map_or(0, |net| net.prefix_len().into());
            open(it.src) + open(it.dst)
        };
        for (shape, sections) in [(Shape::Chain, 1), (Shape::BranchAccessList, 10)] {
            let filters = large(shape, family, 5_000).filters();
            let falls = filters.windows(2).filter(|two| open(&two[0]) > open(&two[1])).count();
            assert_eq!(falls + 1, sections, "{shape:?} {family:?}");
        }
    }
}

#[test]
fn no_two_rules_are_alike_and_small_rule_bases_exist() {
    for shape in Shape::ALL {
        for family in Family::ALL {
            for rules in [1, 2, 100, 5_000] {
                let filters = large(shape, family, rules).filters();
                let different: std::collections::HashSet<&Filter> = filters.iter().collect();
                assert_eq!((filters.len(), different.len()), (rules, rules), "{shape:?}");
            }
        }
    }
}

/// Whether every two rules share a packet: each field of one meets that of the other.
fn all_overlap(filters: &[Filter]) -> bool {
    let sides = |one: Option<IpNet>, other: Option<IpNet>| match (one, other) {
        (Some(one), Some(other)) => one.contains(&other) || other.contains(&one),
        _ => true,
    };
    let ports = |one: PortRange, other: PortRange| {
        one.first() <= other.last() && other.first() <= one.last()
    };
    filters.iter().enumerate().all(|(at, one)| {
        filters[at + 1..].iter().all(|other| {
            sides(one.src, other.src)
                && sides(one.dst, other.dst)
                && one.protocol == other.protocol
                && ports(one.src_ports, other.src_ports)
                && ports(one.dst_ports, other.dst_ports)
        })
    })
}

#[test]
fn worst_cases_are_as_bad_as_they_say() {
    for family in Family::ALL {
        let filters = |shape: Shape| large(shape, family, 2_000).filters();
        let all = |shape: Shape, holds: fn(&Filter) -> bool| filters(shape).iter().all(holds);
        let one = |ports: PortRange| ports.first() == ports.last();
        assert!(all_overlap(&filters(Shape::AllOverlap)));
        assert!(!all_overlap(&filters(Shape::NestedPerimeter)));
        assert!(all(Shape::ServicesOnly, |it| it.src.is_none() && it.dst.is_none()));
        assert!(all(Shape::OneField, |it| Filter { dst: None, ..*it } == Filter::ANY));
        let host = |net: Option<IpNet>| net.is_some_and(|it| it.prefix_len() == family.bits());
        assert!(filters(Shape::ExactMatches).iter().all(|it| {
            host(it.src)
                && host(it.dst)
                && it.protocol.is_some()
                && one(it.src_ports)
                && one(it.dst_ports)
        }));
        let ranges = filters(Shape::PortRanges);
        let bounds: BTreeSet<u16> =
            ranges.iter().flat_map(|it| [it.src_ports.first(), it.src_ports.last()]).collect();
        assert!(bounds.len() > 3_500, "{} bounds of 4,000", bounds.len());
        let last = filters(Shape::LastRuleHits);
        assert_eq!(last.last(), Some(&Filter::ANY));
    }
}

/// The share of packets that hit a rule, in percent, and how many different packets there are.
fn survey(shape: Shape, family: Family, kind: Kind) -> (usize, usize) {
    let filters = large(shape, family, 1_000).filters();
    let firewall = firewalls::linked(&firewalls::filtering("survey", &filters));
    let trace = Trace { kind, family, packets: 10_000, seed: 3 }.draw(&firewall);
    assert!(trace.iter().all(|key| key.src.is_ipv4() == (family == Family::V4)));
    let scan = Scan::new(&filters);
    let hits = trace.iter().filter(|key| scan.first(key).is_some()).count();
    let mut flows = BTreeMap::new();
    for key in &trace {
        *flows.entry((key.src, key.dst, key.src_port, key.dst_port, key.protocol)).or_insert(0) +=
            1usize;
    }
    (hits / 100, flows.len())
}

#[test]
fn traces_hit_and_miss_as_their_kind_says() {
    for family in Family::ALL {
        for shape in [Shape::AccessList, Shape::Chain] {
            let (hits, different) = survey(shape, family, Kind::Uniform);
            assert!(hits == 100 && different > 9_000, "{shape:?}: {different} flows");
            // Of 10,000 draws from 10,000 flows by Zipf's law, 2,813 different ones are expected.
            let (hits, different) = survey(shape, family, Kind::Zipf);
            assert!(hits == 100 && (2_713..2_913).contains(&different), "{different} flows");
            let (hits, _) = survey(shape, family, Kind::NearMiss);
            assert!((5..80).contains(&hits), "{shape:?} {family:?}: {hits} % of near misses hit");
            let (hits, _) = survey(shape, family, Kind::Random);
            assert!(hits < 5, "{shape:?} {family:?}: {hits} % of random packets hit");
        }
        let (hits, _) = survey(Shape::ExactMatches, family, Kind::NearMiss);
        assert_eq!(hits, 0, "beside a point lies nothing");
    }
}

#[test]
fn a_scan_finds_what_the_rules_say() {
    for shape in Shape::ALL {
        for family in Family::ALL {
            let filters = large(shape, family, 200).filters();
            let firewall = firewalls::linked(&firewalls::filtering("scan", &filters));
            let scan = Scan::new(&filters);
            for kind in Kind::ALL {
                for key in (Trace { kind, family, packets: 200, seed: 5 }).draw(&firewall) {
                    let first = firewall.rules.iter().position(|rule| {
                        rule.matches.header_truth(&key, &[]) == parefeu_policy::Truth::Yes
                    });
                    assert_eq!(scan.first(&key), first, "{shape:?} {kind:?}: {key:?}");
                }
            }
        }
    }
}

#[test]
fn translations_publish_hosts_of_every_hundredth_rule() {
    for family in Family::ALL {
        let plain = large(Shape::Perimeter, family, 2_000);
        let (firewall, filters) = (plain.generate_translated(), plain.filters());
        assert_eq!(firewall.rule_bases, plain.generate().rule_bases, "rules stay as they are");
        assert!(firewall.layers.iter().all(|layer| layer.sees_dst == Sees::Translated));
        let hosts = filters.iter().step_by(100).filter_map(|filter| filter.dst);
        let hosts: Vec<_> = hosts.filter(|dst| dst.prefix_len() == family.bits()).collect();
        let published = firewall.destination_nat.rules.iter().map(|rule| match rule.translation {
            Translation::Prefix { to, .. } => to,
            ref other => panic!("{other:?}"),
        });
        assert_eq!(published.collect::<Vec<_>>(), hosts);
        assert!((5..20).contains(&hosts.len()), "{} of twenty rules", hosts.len());
        assert_eq!(firewall.source_nat.rules.len(), 1);
    }
}

#[test]
fn what_is_written_reads_the_same() {
    for family in Family::ALL {
        let filters = large(Shape::NestedPerimeter, family, 500).filters();
        let firewall = firewalls::linked(&firewalls::filtering("text", &filters));
        let keys = Trace { kind: Kind::NearMiss, family, packets: 500, seed: 7 }.draw(&firewall);
        let scan = Scan::new(&filters);
        let first = |key: &PacketKey| scan.first(key).map(|at| at as u32);
        let trace: Vec<_> = keys.into_iter().map(|key| (key, first(&key))).collect();
        let (mut rules, mut headers) = (Vec::new(), Vec::new());
        write_rules(&filters, family, &mut rules).unwrap();
        write_trace(&trace, &mut headers).unwrap();
        let again = Scan::new(&read_rules(&*rules));
        let read = read_trace(&*headers);
        assert_eq!(read.len(), trace.len());
        for ((key, expected), (original, _)) in read.iter().zip(&trace) {
            assert_eq!((key.src, key.dst), (original.src, original.dst));
            assert_eq!(again.first(key).map(|at| at as u32), *expected, "{key:?}");
        }
        let mut rewritten = Vec::new();
        write_rules(&read_rules(&*rules), family, &mut rewritten).unwrap();
        assert_eq!(String::from_utf8_lossy(&rewritten), String::from_utf8_lossy(&rules));
    }
}
