//! Packets to ask a rule base about: at the corners of its rules, inside them, or anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::set::{IdSet, PortSet};
use parefeu_policy::{
    ApplicationId, ConnectionState, Identified, InterfaceId, Knowledge, LinkedAddresses,
    LinkedFirewall, LinkedMatch, LinkedService, PacketKey, UserId, UserKnowledge, ZoneId,
};

use crate::Random;
use crate::firewalls::{Family, device};

/// A packet at the corners of the rules: each field is the first or last value of a range some rule
/// names, one beside it, or now and then any value.
///
/// Most fields come from one rule, so that the packet often matches it or misses it in one field.
/// Filter rules and translations are drawn alike. Interfaces, zones, flags and the like are
/// sometimes not stated. One packet in fifty mixes the address families, as a translation between
/// them can.
pub fn corner(firewall: &LinkedFirewall, random: &mut Random) -> PacketKey {
    let nat = [&firewall.destination_nat, &firewall.source_nat];
    let nat = nat.into_iter().flat_map(|table| table.rules.iter().map(|rule| &rule.matches));
    let rules: Vec<&LinkedMatch> =
        firewall.rules.iter().map(|rule| &rule.matches).chain(nat).collect();
    let Some(&main) = random.pick(&rules) else { return uniform(random) };
    let choose = |random: &mut Random| {
        if random.percent(85) { main } else { random.pick(&rules).copied().unwrap_or(main) }
    };
    let any = uniform(random);
    let is_v4 = match (main.src.set.v6_ranges(), main.src.set.v4_ranges()) {
        ([], [_, ..]) => true,
        ([_, ..], []) => false,
        _ => random.percent(50),
    };
    let dst_is_v4 = is_v4 != random.percent(2);
    let (src_of, dst_of, service_of) = (choose(random), choose(random), choose(random));
    let service = random.pick(&service_of.services.terms);
    let protocol = service.filter(|_| random.percent(90)).map_or(any.protocol, |service| {
        let protocols: Vec<Protocol> = service.protocols.iter().take(200).collect();
        random.pick(&protocols).copied().unwrap_or(any.protocol)
    });
    let ports = |side: fn(&LinkedService) -> &PortSet, random: &mut Random| {
        let range = service.and_then(|service| random.pick(side(service).ranges()));
        let (first, last) = range.map_or((0, u16::MAX), |range| (range.first(), range.last()));
        edge(u128::from(first), u128::from(last), random) as u16
    };
    let (src_port, dst_port) = if protocol.has_ports() {
        (ports(|it| &it.src_ports, random), ports(|it| &it.dst_ports, random))
    } else {
        (0, 0)
    };
    PacketKey {
        src: address_corner(&src_of.src, is_v4, random),
        dst: address_corner(&dst_of.dst, dst_is_v4, random),
        protocol,
        src_port,
        dst_port,
        icmp: icmp(service, protocol, random),
        tcp_flags: flags(main, protocol, random),
        ..circumstances(firewall, any, random)
    }
}

/// A packet of a family that a rule matches in addresses, protocol and ports, each drawn uniformly
/// from what the rule states. `None` when the rule leaves no choice, as one without services does.
pub fn inside(rule: &LinkedMatch, family: Family, random: &mut Random) -> Option<PacketKey> {
    let term = random.pick(&rule.services.terms)?;
    let is_v4 = family == Family::V4;
    let protocol = if term.protocols.is_all() {
        anything(family, random).protocol
    } else {
        let protocols: Vec<Protocol> = term.protocols.iter().collect();
        *random.pick(&protocols)?
    };
    let port = |set: &PortSet, random: &mut Random| {
        let range = random.pick(set.ranges())?;
        Some(random.between(range.first().into(), range.last().into()) as u16)
    };
    let (src_port, dst_port) = if protocol.has_ports() {
        (port(&term.src_ports, random)?, port(&term.dst_ports, random)?)
    } else {
        (0, 0)
    };
    Some(PacketKey {
        src: address_inside(&rule.src, is_v4, random)?,
        dst: address_inside(&rule.dst, is_v4, random)?,
        protocol,
        src_port,
        dst_port,
        icmp: protocol.is_icmp().then_some((8, 0)),
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        ..anything(family, random)
    })
}

/// A packet whose addresses, ports and protocol may be anything; interfaces and zones not stated.
pub fn uniform(random: &mut Random) -> PacketKey {
    let family = if random.percent(60) { Family::V4 } else { Family::V6 };
    anything(family, random)
}

/// The same in one family.
pub fn anything(family: Family, random: &mut Random) -> PacketKey {
    let is_v4 = family == Family::V4;
    let protocols = [
        Protocol::TCP,
        Protocol::UDP,
        Protocol::ICMP,
        Protocol::ICMPV6,
        Protocol(random.next_u64() as u8),
    ];
    let protocol = random.pick(&protocols).copied().unwrap_or(Protocol::TCP);
    let (src_port, dst_port) = if protocol.has_ports() {
        (random.next_u64() as u16, random.next_u64() as u16)
    } else {
        (0, 0)
    };
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: address(random.next_u128(), is_v4),
        dst: address(random.next_u128(), is_v4),
        protocol,
        src_port,
        dst_port,
        icmp: protocol.is_icmp().then(|| (random.below(256) as u8, random.below(4) as u8)),
        tcp_flags: (protocol == Protocol::TCP).then(|| TcpFlags(random.next_u64() as u8)),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    }
}

/// What is known about a session: application, URL categories and user, each perhaps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Known {
    application: Identified,
    url_categories: Option<IdSet>,
    categories_stated: bool,
    /// The user and its groups; `None` while the question is open.
    users: Option<Vec<UserId>>,
}

impl Known {
    /// Something that `firewall` could be told about a session.
    pub fn about(firewall: &LinkedFirewall, random: &mut Random) -> Self {
        let count = firewall.applications.len();
        let id = ApplicationId(random.below(count) as u32);
        let id = (count > 0 && random.percent(75)).then_some(id);
        let application = random.weighted(&[
            (2, Identified::NotYet),
            (1, Identified::Tentatively(id)),
            (2, Identified::Finally(id)),
        ]);
        let some = |count: usize, random: &mut Random| -> Vec<u32> {
            (0..count as u32).filter(|_| random.percent(40)).collect()
        };
        let categories = IdSet::only(some(firewall.url_categories.len(), random));
        let users = some(firewall.users.len(), random).into_iter().map(UserId).collect();
        Self {
            application: application.unwrap_or(Identified::NotYet),
            url_categories: random.percent(60).then_some(categories),
            categories_stated: random.percent(30),
            users: random.percent(70).then_some(users),
        }
    }

    /// The same, as evaluation takes it.
    pub fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            application: self.application,
            url_categories: self.url_categories.as_ref(),
            categories_stated: self.categories_stated,
            users: self.users.as_deref().map_or(UserKnowledge::NotStated, UserKnowledge::Mapped),
        }
    }
}

/// Fills in where and when a packet was seen.
fn circumstances(firewall: &LinkedFirewall, key: PacketKey, random: &mut Random) -> PacketKey {
    let id = |count: usize, random: &mut Random| {
        let id = random.below(count) as u32;
        (count > 0 && random.percent(75)).then_some(id)
    };
    let ingress = id(firewall.interfaces.len(), random).map(InterfaceId);
    let egress = id(firewall.interfaces.len(), random).map(InterfaceId);
    let (from, to) = if random.percent(50) {
        (ingress.and_then(|id| firewall.zone_of(id)), egress.and_then(|id| firewall.zone_of(id)))
    } else {
        let count = firewall.zones.len();
        (id(count, random).map(ZoneId), id(count, random).map(ZoneId))
    };
    let state = random.pick(&ConnectionState::ALL).copied();
    let device = random.percent(50).then(|| device(1 + random.below(3) as u8));
    let state = state.filter(|_| random.percent(40)).unwrap_or(ConnectionState::New);
    PacketKey { ingress, egress, from, to, state, device, time: moment(firewall, random), ..key }
}

/// A moment at the edge of a schedule, or any within a month of the epoch.
fn moment(firewall: &LinkedFirewall, random: &mut Random) -> Timestamp {
    let any = random.between(0, 30 * 86_400) as u64;
    let Some(schedule) = random.pick(&firewall.schedules) else {
        return Timestamp::from_secs(any);
    };
    let beside = |secs: u64, random: &mut Random| secs + random.below(2) as u64;
    if let Some((from, to)) = random.pick(&schedule.absolute) {
        let bound = if random.percent(50) { from } else { to };
        let before = bound.as_nanos().saturating_sub(1_000_000_000) / 1_000_000_000;
        return Timestamp::from_secs(beside(before, random));
    }
    if let Some((from, to)) = random.pick(&schedule.weekly) {
        let bound = if random.percent(50) { *from } else { *to };
        // The epoch lies three days into a week.
        let week = 7 * 86_400;
        let secs = u64::from(bound) + week - 3 * 86_400 - 1;
        return Timestamp::from_secs(beside(secs, random));
    }
    Timestamp::from_secs(any)
}

fn icmp(
    service: Option<&LinkedService>,
    protocol: Protocol,
    random: &mut Random,
) -> Option<(u8, u8)> {
    if !protocol.is_icmp() || random.percent(10) {
        return None;
    }
    let wanted = service.and_then(|service| service.icmp);
    let any = (random.below(256) as u8, random.below(4) as u8);
    Some(wanted.filter(|_| random.percent(80)).map_or(any, |wanted| {
        let code = wanted.code.filter(|_| random.percent(70)).unwrap_or(any.1);
        (wanted.kind, code)
    }))
}

fn flags(matches: &LinkedMatch, protocol: Protocol, random: &mut Random) -> Option<TcpFlags> {
    if protocol != Protocol::TCP || random.percent(10) {
        return None;
    }
    let any = random.next_u64() as u8;
    let wanted = random.pick(&matches.tcp_flags).filter(|_| random.percent(70));
    Some(TcpFlags(wanted.map_or(any, |wanted| wanted.value | (any & !wanted.mask))))
}

fn address_corner(addresses: &LinkedAddresses, is_v4: bool, random: &mut Random) -> IpAddr {
    let set = &addresses.set;
    if is_v4 && let Some(pattern) = random.pick(set.masked()).filter(|_| random.percent(50)) {
        let bits = pattern.value | (random.next_u64() as u32 & !pattern.mask);
        let one_off = 1u32 << random.below(32);
        let bits = if random.percent(30) { bits ^ one_off } else { bits };
        return Ipv4Addr::from_bits(bits).into();
    }
    let (first, last) = if is_v4 {
        random.pick(set.v4_ranges()).map(|&(first, last)| (first.into(), last.into()))
    } else {
        random.pick(set.v6_ranges()).copied()
    }
    .unwrap_or((0, u128::MAX));
    address(edge(first, last, random), is_v4)
}

fn address_inside(addresses: &LinkedAddresses, is_v4: bool, random: &mut Random) -> Option<IpAddr> {
    let set = &addresses.set;
    let (first, last) = if is_v4 {
        random.pick(set.v4_ranges()).map(|&(first, last)| (first.into(), last.into()))?
    } else {
        random.pick(set.v6_ranges()).copied()?
    };
    Some(address(random.between(first, last), is_v4))
}

/// The first or last value of a range, a neighbour of one of them, or a value inside.
fn edge(first: u128, last: u128, random: &mut Random) -> u128 {
    match random.below(6) {
        0 => first,
        1 => last,
        2 => first.wrapping_sub(1),
        3 => last.wrapping_add(1),
        _ => random.between(first, last),
    }
}

/// An address from its bits; IPv4 takes the low ones.
const fn address(bits: u128, is_v4: bool) -> IpAddr {
    if is_v4 {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}
