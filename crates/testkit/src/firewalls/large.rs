//! Large rule bases with stated statistics, from a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Firewall, Match, Rule, RuleBase, Sees, ServiceItem,
    ServiceTerm,
};

use super::{NEVER_AT, layer, numbered};
use crate::Random;

/// What a large rule base is like. Each shape puts weight on other fields; percentages are of rules
/// and drawn independently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// An access list in front of servers. Source: 20 any, 45 host, 25 network, 10 site.
    /// Destination: 5 any, 65 host, 22 network, 8 site. Protocol: 78 TCP, 15 UDP, 4 ICMP, 3 any.
    /// Source port: any. Destination port: 70 one service, 12 a range of up to 64 ports, 18 any.
    AccessList,
    /// A perimeter policy of wide, overlapping rules. Source: 40 any, 20 host, 25 network, 15 site.
    /// Destination: 30 any, 30 host, 25 network, 15 site. Protocol: 60 TCP, 22 UDP, 5 ICMP, 13 any.
    /// Source port: 70 any, 20 ports from 1024, 10 one service. Destination port: 55 one service,
    /// 15 a range, 10 ports from 1024, 20 any.
    Perimeter,
    /// A packet-filter chain between pairs of hosts. Source and destination: 3 any, 75 host, 17
    /// network, 5 site. Protocol: 55 TCP, 35 UDP, 5 ICMP, 5 any. Source port: 60 any, 30 one
    /// service, 10 ports from 1024. Destination port: 75 one service, 10 a range, 15 any.
    Chain,
    /// The worst case of a linear scan: the rules differ in one destination host each, and only the
    /// last one, which matches everything, matches any other packet.
    LastRuleHits,
}

impl Shape {
    /// The shapes in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::AccessList, Self::Perimeter, Self::Chain, Self::LastRuleHits];

    /// The name benches print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessList => "access-list",
            Self::Perimeter => "perimeter",
            Self::Chain => "chain",
            Self::LastRuleHits => "last-rule",
        }
    }

    const fn statistics(self) -> Statistics {
        match self {
            Self::AccessList | Self::LastRuleHits => Statistics {
                src: [20, 45, 25, 10],
                dst: [5, 65, 22, 8],
                protocols: [78, 15, 4, 3],
                src_ports: [0, 0, 0, 100],
                dst_ports: [70, 12, 0, 18],
            },
            Self::Perimeter => Statistics {
                src: [40, 20, 25, 15],
                dst: [30, 30, 25, 15],
                protocols: [60, 22, 5, 13],
                src_ports: [10, 0, 20, 70],
                dst_ports: [55, 15, 10, 20],
            },
            Self::Chain => Statistics {
                src: [3, 75, 17, 5],
                dst: [3, 75, 17, 5],
                protocols: [55, 35, 5, 5],
                src_ports: [30, 0, 10, 60],
                dst_ports: [75, 10, 0, 15],
            },
        }
    }
}

/// The address family of a large rule base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Family {
    /// Sites are /16, networks /20 to /28.
    V4,
    /// Sites are /48, networks /52 to /64.
    V6,
}

/// A large rule base: the same value generates the same rules.
///
/// Addresses form a tree, as in a real network: about one site per 400 rules, 32 networks a site,
/// and hosts that cluster in networks. Services are Zipf-like over 24 well-known ports: the n-th is
/// n times rarer than the first. Rules between few addresses come first, as people order them, or
/// the rules below an early wide one could never be hit. Copies of a rule may occur.
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

/// Weights out of 100.
#[derive(Clone, Copy)]
struct Statistics {
    /// Any, host, network, site.
    src: [usize; 4],
    /// Any, host, network, site.
    dst: [usize; 4],
    /// TCP, UDP, ICMP, any.
    protocols: [usize; 4],
    /// One service, a range, 1024 and above, any.
    src_ports: [usize; 4],
    /// One service, a range, 1024 and above, any.
    dst_ports: [usize; 4],
}

impl Large {
    /// The firewall: one rule base, `main`, and one layer that denies by default. One rule in four
    /// denies. `O(rules × log rules)`.
    pub fn generate(&self) -> Firewall {
        let mut random = Random::new(self.seed);
        let sites = (self.rules / 400).max(1);
        let mut matches: Vec<Match> = match self.shape {
            Shape::LastRuleHits => (0..self.rules).map(|number| self.only(number)).collect(),
            _ => (0..self.rules).map(|_| self.matches(sites, &mut random)).collect(),
        };
        if self.shape != Shape::LastRuleHits {
            matches
                .sort_by_key(|one| u16::from(openness(&one.src)) + u16::from(openness(&one.dst)));
        }
        let rules = matches.into_iter().map(|matches| {
            let action = if random.percent(75) { Action::Allow } else { Action::Deny };
            Rule { matches, action, ..Rule::default() }
        });
        let rule_base =
            RuleBase { name: "main".to_owned(), rules: rules.collect(), ..RuleBase::default() };
        numbered(Firewall {
            name: format!("{} {}", self.shape.name(), self.rules),
            dialect: "parefeu",
            rule_bases: vec![rule_base],
            layers: vec![layer("main", Action::Deny, Sees::Original, Sees::Original)],
            ..Firewall::default()
        })
    }

    fn matches(&self, sites: usize, random: &mut Random) -> Match {
        let statistics = self.shape.statistics();
        let kinds = [Protocol::TCP, Protocol::UDP, self.icmp()].map(ProtocolSet::single);
        let protocols = match kinds.get(drawn(statistics.protocols, random)) {
            Some(protocols) => *protocols,
            None => ProtocolSet::ALL,
        };
        let term = ServiceTerm {
            src_ports: ports(statistics.src_ports, random),
            ..ServiceTerm::to_ports(protocols, ports(statistics.dst_ports, random))
        };
        let services = if term == ServiceTerm::protocols(ProtocolSet::ALL) {
            ServiceItem::Any
        } else {
            ServiceItem::Term(term)
        };
        Match {
            src: self.addresses(statistics.src, sites, random),
            dst: self.addresses(statistics.dst, sites, random),
            services: vec![At::new(services, NEVER_AT)],
            ..Match::default()
        }
    }

    const fn icmp(&self) -> Protocol {
        match self.family {
            Family::V4 => Protocol::ICMP,
            Family::V6 => Protocol::ICMPV6,
        }
    }

    fn addresses(&self, weights: [usize; 4], sites: usize, random: &mut Random) -> AddressMatch {
        let (site, network) = (random.below(sites), random.below(32));
        let host = random.below(1 << 12);
        let lengths = match self.family {
            Family::V4 => [32, 20 + 2 * random.below(5), 16],
            Family::V6 => [128, 52 + 4 * random.below(4), 48],
        };
        let length = match lengths.get(drawn(weights, random).wrapping_sub(1)) {
            Some(length) => *length as u8,
            None => return AddressMatch::any(),
        };
        let address = self.address(site, network, host);
        let network = IpNet::new(address, length).unwrap_or(address.into());
        AddressMatch::one(AddressItem::Network(network.trunc()), NEVER_AT)
    }

    /// Host `host` of a network of a site: networks are 2¹¹ IPv4 addresses apart, or a /53 of IPv6.
    fn address(&self, site: usize, network: usize, host: usize) -> IpAddr {
        match self.family {
            Family::V4 => {
                let bits = (10 << 24) + ((site as u32) << 16);
                Ipv4Addr::from_bits(bits | (network as u32) << 11 | (host as u32 & 0x7ff)).into()
            }
            Family::V6 => {
                let bits = 0x2001_0db8_u128 << 96 | (site as u128) << 80 | (network as u128) << 75;
                Ipv6Addr::from_bits(bits | (host as u128 >> 4) << 64 | host as u128).into()
            }
        }
    }

    /// Rule `number` of [`Shape::LastRuleHits`].
    fn only(&self, number: usize) -> Match {
        if number + 1 == self.rules {
            return Match::default();
        }
        // Even host numbers, so that neighbours never merge.
        let host = self.address(0, 0, 0);
        let host = match host {
            IpAddr::V4(host) => {
                IpAddr::from(Ipv4Addr::from_bits(host.to_bits() + 2 * number as u32))
            }
            IpAddr::V6(host) => Ipv6Addr::from_bits(host.to_bits() + 2 * number as u128).into(),
        };
        let dst = AddressMatch::one(AddressItem::Network(host.into()), NEVER_AT);
        Match { dst, ..Match::default() }
    }
}

/// How far from one address a rule's side is, in bits of prefix; the whole family for any.
fn openness(addresses: &AddressMatch) -> u8 {
    let open = |item: &At<AddressItem>| match &item.value {
        AddressItem::Network(network) => network.max_prefix_len() - network.prefix_len(),
        _ => 128,
    };
    addresses.items.iter().map(open).max().unwrap_or(0)
}

/// The position of a weight, drawn in proportion.
fn drawn(weights: [usize; 4], random: &mut Random) -> usize {
    let [a, b, c, d] = weights;
    random.weighted(&[(a, 0), (b, 1), (c, 2), (d, 3)]).unwrap_or(3)
}

/// One service, a range of up to 64 ports, the ports from 1024 on, or any.
fn ports(weights: [usize; 4], random: &mut Random) -> PortSet {
    match drawn(weights, random) {
        0 => PortSet::single(service(random)),
        1 => {
            let first = random.below(64_000) as u16;
            let last = first + 1 + random.below(64) as u16;
            PortRange::new(first, last).map_or_else(|_| PortSet::single(first), PortSet::from)
        }
        2 => PortRange::new(1024, u16::MAX).map_or_else(|_| PortSet::all(), PortSet::from),
        _ => PortSet::all(),
    }
}

/// A well-known port; the n-th of the list has weight 1/n.
fn service(random: &mut Random) -> u16 {
    let weighted: Vec<(usize, u16)> =
        (1..).zip(SERVICES).map(|(rank, port)| (10_000 / rank, *port)).collect();
    random.weighted(&weighted).unwrap_or(443)
}

/// Well-known ports, the commonest in rule bases first.
const SERVICES: &[u16] = &[
    443, 80, 53, 22, 25, 123, 445, 3389, 389, 1433, 3306, 8080, 161, 514, 636, 993, 5432, 1521, 88,
    135, 139, 21, 5060, 8443,
];
