//! Header traces: packets in the order a lookup meets them.

use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::PortSet;
use parefeu_policy::{LinkedAddresses, LinkedFirewall, LinkedMatch, PacketKey};

use crate::firewalls::{Family, Ranked};
use crate::{Random, keys};

/// Where the packets of a trace come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Each a uniform point of a uniformly drawn rule. Most hit a rule, no two need be alike.
    Uniform,
    /// As many such points as the trace has packets are flows, and each packet belongs to one:
    /// the n-th flow has n times fewer packets than the first (Zipf's law with exponent 1).
    Zipf,
    /// A point of a rule moved just outside it in one field the rule states: an address or a port
    /// beside its range, or another protocol. Another rule may still match.
    NearMiss,
    /// Anything: where rules are narrow, next to none is hit.
    Random,
}

impl Kind {
    /// Every kind in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Uniform, Self::Zipf, Self::NearMiss, Self::Random];

    /// The name benches print.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
            Self::NearMiss => "near-miss",
            Self::Random => "random",
        }
    }
}

/// A trace: the same value draws the same packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trace {
    /// Where packets come from.
    pub kind: Kind,
    /// The family of their addresses.
    pub family: Family,
    /// How many.
    pub packets: usize,
    /// Where the numbers come from.
    pub seed: u64,
}

impl Trace {
    /// Draws the packets against all rules of a firewall; interfaces and zones are not stated.
    ///
    /// # Panics
    /// When no rule holds for any packet of the family.
    pub fn draw(&self, firewall: &LinkedFirewall) -> Vec<PacketKey> {
        let mut random = Random::new(self.seed);
        let family = self.family;
        let points = (0..self.packets).map(|_| {
            let (rule, key) = point(firewall, family, &mut random);
            match self.kind {
                Kind::Uniform | Kind::Zipf => key,
                Kind::NearMiss => beside(rule, key, &mut random),
                Kind::Random => keys::anything(family, &mut random),
            }
        });
        let points: Vec<PacketKey> = points.collect();
        if self.kind != Kind::Zipf {
            return points;
        }
        let flows = Ranked::new(points);
        (0..self.packets).filter_map(|_| flows.pick(&mut random)).collect()
    }
}

/// A uniform point of a uniformly drawn rule, with the rule.
#[expect(clippy::panic, reason = "a rule base that no packet can hit is a mistake of the test")]
fn point<'a>(
    firewall: &'a LinkedFirewall,
    family: Family,
    random: &mut Random,
) -> (&'a LinkedMatch, PacketKey) {
    for _ in 0..1_000 {
        let Some(rule) = random.pick(&firewall.rules) else { break };
        if let Some(key) = keys::inside(&rule.matches, family, random) {
            return (&rule.matches, key);
        }
    }
    panic!("no rule of `{}` holds for a packet of {family:?}", firewall.name);
}

/// Moves a packet out of a rule in one of the fields the rule states; out of none when it states
/// none.
fn beside(rule: &LinkedMatch, key: PacketKey, random: &mut Random) -> PacketKey {
    let service = rule.services.terms.first();
    let is_v4 = key.src.is_ipv4();
    let moved = [
        next_address(&rule.src, is_v4, random).map(|src| PacketKey { src, ..key }),
        next_address(&rule.dst, is_v4, random).map(|dst| PacketKey { dst, ..key }),
        service
            .and_then(|service| next_port(&service.src_ports, random))
            .map(|src_port| PacketKey { src_port, ..key }),
        service
            .and_then(|service| next_port(&service.dst_ports, random))
            .map(|dst_port| PacketKey { dst_port, ..key }),
        service.filter(|service| !service.protocols.is_all()).map(|_| other_protocol(key)),
    ];
    let moved: Vec<PacketKey> = moved.into_iter().flatten().collect();
    random.pick(&moved).copied().unwrap_or(key)
}

/// The address beside a range of the rule; `None` when the rule states none of the family.
fn next_address(
    addresses: &LinkedAddresses,
    is_v4: bool,
    random: &mut Random,
) -> Option<std::net::IpAddr> {
    if addresses.is_any() {
        return None;
    }
    let set = &addresses.set;
    if is_v4 {
        let &(first, last) = random.pick(set.v4_ranges())?;
        let beside = next(first.into(), last.into(), u32::MAX.into(), random)?;
        return Some(std::net::Ipv4Addr::from_bits(beside as u32).into());
    }
    let &(first, last) = random.pick(set.v6_ranges())?;
    next(first, last, u128::MAX, random).map(|bits| std::net::Ipv6Addr::from_bits(bits).into())
}

fn next_port(ports: &PortSet, random: &mut Random) -> Option<u16> {
    let range: &PortRange = random.pick(ports.ranges())?;
    next(range.first().into(), range.last().into(), u16::MAX.into(), random).map(|port| port as u16)
}

/// The value before or after a range; `None` where the range is everything up to `most`.
fn next(first: u128, last: u128, most: u128, random: &mut Random) -> Option<u128> {
    let before = first.checked_sub(1);
    let after = (last < most).then_some(last.wrapping_add(1));
    if random.percent(50) { before.or(after) } else { after.or(before) }
}

/// UDP instead of TCP, TCP instead of anything else; ports stay where the protocol has them.
fn other_protocol(key: PacketKey) -> PacketKey {
    let protocol = if key.protocol == Protocol::TCP { Protocol::UDP } else { Protocol::TCP };
    let tcp_flags = (protocol == Protocol::TCP).then_some(parefeu_net::TcpFlags::SYN);
    PacketKey { protocol, tcp_flags, icmp: None, ..key }
}
