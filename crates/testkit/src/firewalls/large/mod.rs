//! Large rule bases with stated statistics, from a seed.

mod pool;
mod statistics;
mod translations;
mod worst;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::{Action, Firewall, Sees};

use self::pool::{Ports, Prefixes, drawn};
use self::statistics::{Order, Statistics};
use super::{Filter, filtering, numbered};
use crate::Random;

pub(crate) use self::pool::Ranked;

/// What a large rule base is like: two parameter sets for each kind of rule base people write, and
/// the worst cases of ways to look rules up.
///
/// Percentages are of rules. *Pool* is how many prefixes a side chooses from for a hundred rules,
/// *depth* in how many others of its side a prefix lies on average, *pairs* how many pairs of
/// addresses a hundred rules have: the others repeat a pair with another service. Ports are of TCP
/// and UDP rules; the rest of these state any.
///
/// | | access-list | branch-access-list | perimeter | nested-perimeter | chain | coarse-chain |
/// |---|---|---|---|---|---|---|
/// | both addresses stated | 96 | 70 | 15 | 42 | 88 | 75 |
/// | source only | 3 | 10 | 24 | 26 | 5 | 10 |
/// | destination only | 1 | 18 | 59 | 30 | 7 | 13 |
/// | neither | 0 | 2 | 2 | 2 | 0 | 2 |
/// | hosts, of stated sources | 88 | 40 | 66 | 30 | 42 | 0 |
/// | hosts, of stated destinations | 84 | 55 | 92 | 30 | 49 | 30 |
/// | pool of sources | 100 | 20 | 400 | 30 | 16 | 5 |
/// | pool of destinations | 8 | 40 | 500 | 30 | 30 | 60 |
/// | depth of sources | 0.6 | 1.4 | 0 | 1.9 | 1.7 | 1.2 |
/// | depth of destinations | 1.9 | 1.0 | 0 | 1.9 | 1.2 | 0.7 |
/// | pairs | 72 | 49 | 94 | 63 | 77 | 39 |
/// | TCP, UDP | 87, 1 | 65, 22 | 59, 31 | 55, 25 | 29, 39 | 48, 40 |
/// | ICMP, GRE, any | 3, 0, 9 | 4, 0, 9 | 4, 5, 1 | 5, 2, 13 | 1, 1, 30 | 4, 3, 5 |
/// | source: one port | 0 | 2 | 16 | 10 | 23 | 35 |
/// | source: a range | 0 | 0 | 0 | 2 | 3 | 5 |
/// | source: 1024 and above | 0 | 8 | 9 | 18 | 1 | 10 |
/// | destination: one port | 67 | 55 | 69 | 50 | 56 | 45 |
/// | destination: a range | 13 | 20 | 0 | 15 | 4 | 15 |
/// | destination: 1024 and above | 0 | 10 | 9 | 12 | 9 | 15 |
/// | single ports in use | 80 | 400 | 40 | 200 | 45 | 120 |
/// | order | narrow first | sections | narrow first | sections | narrow first | narrow first |
///
/// The first set of each kind follows what is published of real filter sets (D. E. Taylor and J. S.
/// Turner, "ClassBench: A Packet Classification Benchmark", 2005); the second departs from it on
/// purpose, so that nothing is tuned to one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// An access list in front of servers: pairs of hosts, few destinations.
    AccessList,
    /// An access list of a branch: networks, many services, wide rules above narrow ones.
    BranchAccessList,
    /// A perimeter policy: most rules state one address only.
    Perimeter,
    /// A perimeter policy over networks within networks within networks.
    NestedPerimeter,
    /// A packet-filter chain between networks and hosts.
    Chain,
    /// A packet-filter chain from few wide sources, many services for each pair.
    CoarseChain,
    /// Rules that differ in one destination host each; only the last one, which matches everything,
    /// matches any other packet. The worst case of a linear scan.
    LastRuleHits,
    /// Rules that all hold for one packet, in random order, prefixes of every length and ranges of
    /// ports on both sides: every two of them overlap. The worst case of decision trees.
    AllOverlap,
    /// Any addresses, different services. The worst case of what selects by address.
    ServicesOnly,
    /// Rules that compare the destination alone, prefixes of every length within one another.
    OneField,
    /// One value for every field of every rule. The worst case of tables over all combinations.
    ExactMatches,
    /// Any addresses, source and destination ports each between any two ports, smaller first: up to
    /// 65,536 intervals a side. The worst case of rows of bits and of tables over ports.
    PortRanges,
}

impl Shape {
    /// The kinds of rule base people write.
    pub const REALISTIC: [Self; 6] = [
        Self::AccessList,
        Self::BranchAccessList,
        Self::Perimeter,
        Self::NestedPerimeter,
        Self::Chain,
        Self::CoarseChain,
    ];

    /// The worst cases.
    pub const WORST: [Self; 6] = [
        Self::LastRuleHits,
        Self::AllOverlap,
        Self::ServicesOnly,
        Self::OneField,
        Self::ExactMatches,
        Self::PortRanges,
    ];

    /// Every shape in the order of declaration.
    pub const ALL: [Self; 12] = {
        let [a, b, c, d, e, f] = Self::REALISTIC;
        let [g, h, i, j, k, l] = Self::WORST;
        [a, b, c, d, e, f, g, h, i, j, k, l]
    };

    /// The name benches print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessList => "access-list",
            Self::BranchAccessList => "branch-access-list",
            Self::Perimeter => "perimeter",
            Self::NestedPerimeter => "nested-perimeter",
            Self::Chain => "chain",
            Self::CoarseChain => "coarse-chain",
            Self::LastRuleHits => "last-rule",
            Self::AllOverlap => "all-overlap",
            Self::ServicesOnly => "services-only",
            Self::OneField => "one-field",
            Self::ExactMatches => "exact-matches",
            Self::PortRanges => "port-ranges",
        }
    }

    const fn statistics(self) -> Option<&'static Statistics> {
        match self {
            Self::AccessList => Some(&statistics::ACCESS_LIST),
            Self::BranchAccessList => Some(&statistics::BRANCH_ACCESS_LIST),
            Self::Perimeter => Some(&statistics::PERIMETER),
            Self::NestedPerimeter => Some(&statistics::NESTED_PERIMETER),
            Self::Chain => Some(&statistics::CHAIN),
            Self::CoarseChain => Some(&statistics::COARSE_CHAIN),
            _ => None,
        }
    }
}

/// The address family of a large rule base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Prefixes of 8 to 32 bits.
    V4,
    /// Prefixes of 24 to 128 bits; where IPv4 has a /24, mostly a /64.
    V6,
}

impl Family {
    /// Both families.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The name benches print.
    pub const fn name(self) -> &'static str {
        self.choose("ipv4", "ipv6")
    }

    /// How long its addresses are.
    pub const fn bits(self) -> u8 {
        self.choose(32, 128)
    }

    const fn choose<T: Copy>(self, v4: T, v6: T) -> T {
        match self {
            Self::V4 => v4,
            Self::V6 => v6,
        }
    }

    /// Where generated addresses lie: all of IPv4, 2000::/3 of IPv6.
    const fn everywhere(self) -> IpNet {
        self.choose(
            IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), 3),
        )
    }
}

/// A large rule base: the same value generates the same rules, no two of them alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Large {
    /// What the rules are like.
    pub shape: Shape,
    /// The family of every address.
    pub family: Family,
    /// How many rules.
    pub rules: usize,
    /// Where the numbers come from.
    pub seed: u64,
}

impl Large {
    /// The firewall: one rule base, `main`, and one layer that denies by default. One rule in four
    /// denies. `O(rules × log rules)`.
    pub fn generate(&self) -> Firewall {
        let mut random = Random::new(!self.seed);
        let name = format!("{} {} {}", self.shape.name(), self.family.name(), self.rules);
        let mut firewall = filtering(&name, &self.filters());
        for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
            if random.percent(25) {
                rule.action = Action::Deny;
            }
        }
        firewall
    }

    /// The same rules with addresses translated around them: for a hundred rules one published
    /// address, which leads to the destination of one of them where that is a host, and a pool
    /// with allocated ports in front of half of all sources. Rules compare destinations as
    /// translated, sources as they arrive.
    pub fn generate_translated(&self) -> Firewall {
        let mut firewall = self.generate();
        for layer in &mut firewall.layers {
            layer.sees_dst = Sees::Translated;
        }
        firewall.destination_nat = translations::published(self.family, &self.filters());
        firewall.source_nat = translations::hidden(self.family);
        numbered(firewall)
    }

    /// What the rules compare, in their order. `O(rules × log rules)`.
    pub fn filters(&self) -> Vec<Filter> {
        let mut random = Random::new(self.seed);
        match self.shape.statistics() {
            Some(statistics) => self.realistic(statistics, &mut random),
            None => worst::filters(self, &mut random),
        }
    }

    fn realistic(&self, statistics: &Statistics, random: &mut Random) -> Vec<Filter> {
        let srcs = Prefixes::draw(&statistics.src, self.family, self.rules, random);
        let dsts = Prefixes::draw(&statistics.dst, self.family, self.rules, random);
        let ports = Ports::draw(statistics.ports, random);
        let mut seen = HashSet::with_capacity(self.rules);
        let mut filters = Vec::with_capacity(self.rules);
        while filters.len() < self.rules {
            let sides = drawn(statistics.sides, random);
            let src = srcs.pick(random).filter(|_| sides < 2);
            let dst = dsts.pick(random).filter(|_| sides % 2 == 0);
            loop {
                let filter = Filter { src, dst, ..self.service(statistics, &ports, random) };
                if seen.insert(filter) {
                    filters.push(filter);
                }
                if filters.len() == self.rules || !random.percent(statistics.repeated) {
                    break;
                }
            }
        }
        self.ordered(filters, statistics.order)
    }

    /// A filter for any addresses.
    fn service(&self, statistics: &Statistics, ports: &Ports, random: &mut Random) -> Filter {
        let icmp = self.family.choose(Protocol::ICMP, Protocol::ICMPV6);
        let kinds = [Protocol::TCP, Protocol::UDP, icmp, Protocol::GRE];
        let protocol = kinds.get(drawn(statistics.protocols, random)).copied();
        let (src_ports, dst_ports) = match protocol {
            Some(protocol) if protocol.has_ports() => {
                (ports.pick(statistics.src_ports, random), ports.pick(statistics.dst_ports, random))
            }
            _ => (PortRange::ALL, PortRange::ALL),
        };
        Filter { protocol, src_ports, dst_ports, ..Filter::ANY }
    }

    fn ordered(&self, filters: Vec<Filter>, order: Order) -> Vec<Filter> {
        let bits = self.family.bits();
        let mut keyed: Vec<((usize, u16), Filter)> = filters
            .into_iter()
            .enumerate()
            .map(|(number, filter)| {
                let section = match order {
                    _ if filter.src.is_none() && filter.dst.is_none() => usize::MAX,
                    Order::NarrowFirst => 0,
                    Order::Sections => number / 500,
                };
                ((section, filter.openness(bits)), filter)
            })
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, filter)| filter).collect()
    }
}
