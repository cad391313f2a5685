//! One packet of a region, picked so that it looks like traffic, and what is to be known of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;

use crate::flatten::{Family, ProtocolClass};
use crate::problem::{Field, Problem};
use crate::region::Region;

/// A new connection on which two firewalls differ.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Witness {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Source and destination port, for protocols that have ports.
    pub ports: Option<(u16, u16)>,
    /// Type and code, for ICMP.
    pub icmp: Option<(u8, u8)>,
    /// The value of every other field that is compared, in the order of [`Problem::dimensions`],
    /// and the application where the region names it. Of conditions without a value at analysis
    /// time those the region names: whatever the others turn out to be, it holds the packet.
    pub others: Vec<(Field, u128)>,
}

impl Witness {
    /// A packet of a region; `None` for a region without one.
    pub(crate) fn of(
        problem: &Problem,
        region: &Region,
        (family, protocols): (Family, ProtocolClass),
        networks: [&[Ranges]; 2],
    ) -> Option<Self> {
        let value = |field: &Field, wishes: &[Ranges], last: u128| {
            pick(region.sets.get(field), wishes, last)
        };
        let most = family.last();
        let [sources, destinations] = networks;
        let src = value(&Field::Src, &hosts(sources, family, 0), most)?;
        let dst = value(&Field::Dst, &hosts(destinations, family, 1), most)?;
        let protocol = match (protocols, family) {
            (ProtocolClass::WithPorts, _) => vec![Protocol::TCP, Protocol::UDP],
            (ProtocolClass::Icmp, Family::V4) => vec![Protocol::ICMP],
            (ProtocolClass::Icmp, Family::V6) => vec![Protocol::ICMPV6],
            (ProtocolClass::Other, _) => vec![Protocol(47), Protocol(50)],
        };
        let wishes: Vec<Ranges> = protocol.iter().map(|it| Ranges::one(it.0)).collect();
        let protocol = value(&Field::Protocol, &wishes, u8::MAX.into())?;
        let number = |field: &Field, wishes: &[(u128, u128)], last: u128| {
            let wishes: Vec<_> = wishes.iter().map(|&(from, to)| Ranges::span(from, to)).collect();
            value(field, &wishes, last)
        };
        let (mut ports, mut icmp) = (None, None);
        match protocols {
            ProtocolClass::WithPorts => {
                let last = u16::MAX.into();
                let src = number(&Field::SrcPort, EPHEMERAL, last)?;
                ports = Some((src as u16, number(&Field::DstPort, COMMON, last)? as u16));
            }
            ProtocolClass::Icmp => {
                let echo = if family == Family::V4 { 8 } else { 128 };
                let kind = number(&Field::SrcPort, &[(echo, echo)], u8::MAX.into())?;
                icmp =
                    Some((kind as u8, number(&Field::DstPort, &[(0, 0)], u8::MAX.into())? as u8));
            }
            ProtocolClass::Other => {}
        }
        let mut others = Vec::new();
        for dimension in &problem.dimensions {
            // A named application says more than one that nobody names.
            let wishes: &[(u128, u128)] = match dimension.field {
                Field::Src | Field::Dst | Field::Protocol | Field::SrcPort | Field::DstPort => {
                    continue;
                }
                Field::Application => &[(1, u128::MAX)],
                Field::Atom(_) if !region.sets.contains_key(&dimension.field) => continue,
                _ => &[],
            };
            let value = number(&dimension.field, wishes, dimension.last)?;
            others.push((dimension.field.clone(), value));
        }
        // Who asks may tell applications apart that no rule does.
        let asked = region.sets.get(&Field::Application).filter(|_| {
            !problem.dimensions.iter().any(|dimension| dimension.field == Field::Application)
        });
        if let Some(set) = asked {
            let last = problem.applications.len() as u128;
            others.push((
                Field::Application,
                pick(Some(set), &[Ranges::span(1, last.max(1))], last)?,
            ));
        }
        let protocol = Protocol(protocol as u8);
        let [src, dst] = [src, dst].map(|bits| address(bits, family));
        Some(Self { src, dst, protocol, ports, icmp, others })
    }

    /// The value of a field.
    pub(crate) fn value(&self, field: &Field) -> Option<u128> {
        let bits = |address| match address {
            IpAddr::V4(it) => u128::from(it.to_bits()),
            IpAddr::V6(it) => it.to_bits(),
        };
        let icmp = self.icmp.map(|(kind, code)| (kind.into(), code.into()));
        let (first, second) = icmp.or(self.ports).unzip();
        match field {
            Field::Src => Some(bits(self.src)),
            Field::Dst => Some(bits(self.dst)),
            Field::Protocol => Some(self.protocol.0.into()),
            Field::SrcPort => first.map(u128::from),
            Field::DstPort => second.map(u128::from),
            other => self.others.iter().find(|(field, _)| field == other).map(|(_, value)| *value),
        }
    }

    /// A point of the space the witness lies in, with no condition it does not name; `None` when it
    /// lacks another field.
    pub(crate) fn point(&self, problem: &Problem) -> Option<Vec<u32>> {
        let classes = problem.dimensions.iter().map(|dimension| {
            let unnamed = || matches!(dimension.field, Field::Atom(_)).then_some(0);
            let value = self.value(&dimension.field).or_else(unnamed)?;
            Some(dimension.starts.partition_point(|start| *start <= value) as u32 - 1)
        });
        classes.collect()
    }
}

/// Ports clients choose by themselves (RFC 6335).
const EPHEMERAL: &[(u128, u128)] = &[(49_152, 65_535), (1024, 49_151)];

/// Ports people know, then any that may be used.
const COMMON: &[(u128, u128)] = &[(443, 443), (80, 80), (22, 22), (53, 53), (25, 25), (1, 65_535)];

/// A value of a set: of the first wish that meets it, else its least.
fn pick(set: Option<&Ranges>, wishes: &[Ranges], last: u128) -> Option<u128> {
    let all = Ranges::span(0, last);
    let set = set.unwrap_or(&all);
    let met = wishes.iter().find_map(|wish| wish.intersection(set).hull());
    met.or(set.hull()).map(|(first, _)| first)
}

/// The addresses a witness had best have: hosts of the networks connected there, then addresses
/// for documentation (RFC 5737, RFC 3849), then any but those no host has.
fn hosts(networks: &[Ranges], family: Family, which: u32) -> Vec<Ranges> {
    let mut wishes: Vec<Ranges> = networks.iter().map(without_ends).collect();
    match family {
        Family::V4 => {
            let documentation = [[198, 51, 100, 10], [203, 0, 113, 10]][which as usize & 1];
            wishes.push(Ranges::one(Ipv4Addr::from(documentation).to_bits()));
            // Not this network, loopback, multicast or reserved (RFC 6890).
            let ordinary =
                [([1, 0, 0, 1], [126, 255, 255, 254]), ([128, 0, 0, 1], [223, 255, 255, 254])];
            let bits = |octets: [u8; 4]| u128::from(Ipv4Addr::from(octets).to_bits());
            wishes.extend(ordinary.map(|(from, to)| Ranges::span(bits(from), bits(to))));
        }
        Family::V6 => {
            let documentation = Ipv6Addr::new(0x2001, 0xdb8, 0, which as u16, 0, 0, 0, 10);
            wishes.push(Ranges::one(documentation.to_bits()));
            let from = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1).to_bits();
            let to = Ipv6Addr::new(0xfdff, 0xffff, 0xffff, 0xffff, 0, 0, 0, 0).to_bits();
            wishes.push(Ranges::span(from, to));
        }
    }
    wishes
}

/// A network without its first and last address, which are no host's, and without the second,
/// which is often the firewall's own.
fn without_ends(network: &Ranges) -> Ranges {
    let inner = network.as_slice().iter().map(|&(first, last)| {
        if last - first >= 7 { (first + 2, last - 1) } else { (first, last) }
    });
    inner.collect()
}

fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(bits as u32).into(),
        Family::V6 => Ipv6Addr::from_bits(bits).into(),
    }
}
