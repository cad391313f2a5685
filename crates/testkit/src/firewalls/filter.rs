//! What a rule of a large rule base compares, and a plain scan that tells which one comes first.

use std::net::IpAddr;

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Firewall, Match, PacketKey, Rule, RuleBase, Sees,
    ServiceItem, ServiceTerm,
};

use super::{NEVER_AT, layer, numbered};

/// Five fields. Ports are compared for protocols that have ports and say nothing of others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Filter {
    /// Source; `None` for any.
    pub src: Option<IpNet>,
    /// Destination; `None` for any.
    pub dst: Option<IpNet>,
    /// Protocol; `None` for any.
    pub protocol: Option<Protocol>,
    /// Source ports.
    pub src_ports: PortRange,
    /// Destination ports.
    pub dst_ports: PortRange,
}

impl Filter {
    /// Holds for every packet.
    pub const ANY: Self = Self {
        src: None,
        dst: None,
        protocol: None,
        src_ports: PortRange::ALL,
        dst_ports: PortRange::ALL,
    };

    /// The same as a rule states it.
    pub fn to_match(&self) -> Match {
        let side = |network: Option<IpNet>| {
            network.map_or_else(AddressMatch::any, |network| {
                AddressMatch::one(AddressItem::Network(network), NEVER_AT)
            })
        };
        let protocols = self.protocol.map_or(ProtocolSet::ALL, ProtocolSet::single);
        let term = ServiceTerm {
            src_ports: PortSet::from(self.src_ports),
            ..ServiceTerm::to_ports(protocols, PortSet::from(self.dst_ports))
        };
        let any = term == ServiceTerm::protocols(ProtocolSet::ALL);
        let service = if any { ServiceItem::Any } else { ServiceItem::Term(term) };
        Match {
            src: side(self.src),
            dst: side(self.dst),
            services: vec![At::new(service, NEVER_AT)],
            ..Match::default()
        }
    }

    /// How many bits of the two addresses are left open, out of `bits` each.
    pub(super) fn openness(&self, bits: u8) -> u16 {
        let open = |side: Option<IpNet>| bits - side.map_or(0, |network| network.prefix_len());
        u16::from(open(self.src)) + u16::from(open(self.dst))
    }
}

/// A firewall of one rule base, `main`, whose rules allow what the filters hold for, in their
/// order; everything else is denied.
pub fn filtering(name: &str, filters: &[Filter]) -> Firewall {
    let allow = |filter: &Filter| {
        let matches = filter.to_match();
        Rule { matches, action: Action::Allow, ..Rule::default() }
    };
    let rules = filters.iter().map(allow).collect();
    numbered(Firewall {
        name: name.to_owned(),
        dialect: "parefeu",
        rule_bases: vec![RuleBase { name: "main".to_owned(), rules, ..RuleBase::default() }],
        layers: vec![layer("main", Action::Deny, Sees::Original, Sees::Original)],
        ..Firewall::default()
    })
}

/// Filters in order, read one by one: the plain definition of first match, and fast enough to
/// answer long traces.
#[derive(Clone, Debug)]
pub struct Scan(Vec<Plain>);

/// A filter in numbers.
#[derive(Clone, Copy, Debug)]
struct Plain {
    src: Masked,
    dst: Masked,
    protocol: Option<u8>,
    src_ports: (u16, u16),
    dst_ports: (u16, u16),
}

/// Bits under a mask; `is_v4` says which family has them, `None` that both do.
#[derive(Clone, Copy, Debug)]
struct Masked {
    value: u128,
    mask: u128,
    is_v4: Option<bool>,
}

impl Scan {
    /// The filters, highest priority first.
    pub fn new(filters: &[Filter]) -> Self {
        let plain = |filter: &Filter| Plain {
            src: Masked::new(filter.src),
            dst: Masked::new(filter.dst),
            protocol: filter.protocol.map(|protocol| protocol.0),
            src_ports: (filter.src_ports.first(), filter.src_ports.last()),
            dst_ports: (filter.dst_ports.first(), filter.dst_ports.last()),
        };
        Self(filters.iter().map(plain).collect())
    }

    /// The index of the first filter that holds for a packet. `O(filters)`.
    pub fn first(&self, key: &PacketKey) -> Option<usize> {
        let (src, dst) = (bits(key.src), bits(key.dst));
        let within = |port: u16, (first, last): (u16, u16)| first <= port && port <= last;
        let has_ports = key.protocol.has_ports();
        self.0.iter().position(|it| {
            it.src.holds(src, key.src.is_ipv4())
                && it.dst.holds(dst, key.dst.is_ipv4())
                && it.protocol.is_none_or(|protocol| protocol == key.protocol.0)
                && (!has_ports
                    || (within(key.src_port, it.src_ports) && within(key.dst_port, it.dst_ports)))
        })
    }
}

impl Masked {
    fn new(network: Option<IpNet>) -> Self {
        let Some(network) = network else {
            return Self { value: 0, mask: 0, is_v4: None };
        };
        let mask = bits(network.netmask());
        Self { value: bits(network.network()), mask, is_v4: Some(network.addr().is_ipv4()) }
    }

    fn holds(&self, bits: u128, is_v4: bool) -> bool {
        (bits ^ self.value) & self.mask == 0 && self.is_v4.is_none_or(|family| family == is_v4)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}
