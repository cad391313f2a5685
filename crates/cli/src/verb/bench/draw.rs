//! Headers drawn from a rule base, for when there is no trace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::set::{AddressSet, IdSet, PortSet};
use parefeu_policy::{
    ConnectionState, InterfaceId, LinkedAddresses, LinkedFirewall, LinkedMatch, LinkedRule,
    LinkedService, PacketKey, RuleBaseId, ZoneId, ZoneRelation,
};

/// So many headers, each a uniform point of a uniformly drawn rule that is not disabled, as far as
/// a header can meet what the rule states. The same seed draws the same headers.
pub(super) fn headers(
    firewall: &LinkedFirewall,
    rule_base: RuleBaseId,
    count: usize,
    seed: u64,
) -> Vec<PacketKey> {
    let rules = firewall.rules_of(rule_base).iter().filter(|rule| !rule.disabled);
    let rules: Vec<&LinkedRule> = rules.collect();
    let mut random = Random::new(seed);
    let header = |_| match random.pick(&rules) {
        Some(rule) => inside(firewall, &rule.matches, &mut random),
        None => anything(&mut random),
    };
    (0..count).map(header).collect()
}

fn inside(firewall: &LinkedFirewall, rule: &LinkedMatch, random: &mut Random) -> PacketKey {
    let key = anything(random);
    let service = random.pick(&rule.services.terms);
    let protocol = service.map_or(key.protocol, |service| protocol(service, random));
    let port = |set: fn(&LinkedService) -> &PortSet, random: &mut Random| {
        let ranges = service.map(|service| set(service).ranges()).unwrap_or_default();
        let range = random.pick(ranges).map_or((0, u16::MAX), |it| (it.first(), it.last()));
        random.between(range.0.into(), range.1.into()) as u16
    };
    let ports = (port(|it| &it.src_ports, random), port(|it| &it.dst_ports, random));
    let (src_port, dst_port) = if protocol.has_ports() { ports } else { (0, 0) };
    let wanted = service.and_then(|service| service.icmp);
    let icmp = wanted.map_or((8, 0), |wanted| (wanted.kind, wanted.code.unwrap_or(0)));
    let flags = random.pick(&rule.tcp_flags).filter(|flags| !flags.negated);
    let flags = flags.map_or(TcpFlags::SYN, |flags| TcpFlags(flags.value));
    let state = ConnectionState::ALL.into_iter().find(|state| rule.states.contains(*state));
    let is_v4 = random.is_v4(has_v4(rule), has_v6(rule));
    let key = PacketKey {
        src: address(&rule.src, is_v4, random),
        dst: address(&rule.dst, is_v4, random),
        protocol,
        src_port,
        dst_port,
        icmp: protocol.is_icmp().then_some(icmp),
        tcp_flags: (protocol == Protocol::TCP).then_some(flags),
        state: state.unwrap_or(ConnectionState::New),
        device: random.pick(&rule.devices).copied(),
        ..key
    };
    between_zones(firewall, rule, key, random)
}

/// Puts a header where the rule wants it to come from and go to; anywhere, if the rule leaves that
/// open and the firewall has such places.
fn between_zones(
    firewall: &LinkedFirewall,
    rule: &LinkedMatch,
    key: PacketKey,
    random: &mut Random,
) -> PacketKey {
    let (ingress, from) = place(firewall, &rule.ingress, &rule.from, random);
    let (egress, to) = match rule.relation {
        ZoneRelation::Intrazone => (ingress, from),
        _ => place(firewall, &rule.egress, &rule.to, random),
    };
    PacketKey { ingress, egress, from, to, ..key }
}

fn place(
    firewall: &LinkedFirewall,
    interfaces: &IdSet,
    zones: &IdSet,
    random: &mut Random,
) -> (Option<InterfaceId>, Option<ZoneId>) {
    let all = (0..firewall.interfaces.len() as u32).map(InterfaceId);
    let fits = |id: &InterfaceId| {
        let zone = firewall.zone_of(*id);
        interfaces.contains(id.0)
            && (zones.is_any() || zone.is_some_and(|zone| zones.contains(zone.0)))
    };
    let fitting: Vec<InterfaceId> = all.filter(fits).collect();
    if let Some(&interface) = random.pick(&fitting) {
        return (Some(interface), firewall.zone_of(interface));
    }
    let zones: Vec<u32> =
        (0..firewall.zones.len() as u32).filter(|id| zones.contains(*id)).collect();
    (None, random.pick(&zones).copied().map(ZoneId))
}

fn protocol(service: &LinkedService, random: &mut Random) -> Protocol {
    if service.protocols.is_all() {
        return anything(random).protocol;
    }
    let protocols: Vec<Protocol> = service.protocols.iter().collect();
    random.pick(&protocols).copied().unwrap_or(Protocol::TCP)
}

fn has_v4(rule: &LinkedMatch) -> bool {
    let has = |side: &LinkedAddresses| {
        side.negated || !side.set.v4_ranges().is_empty() || !side.set.masked().is_empty()
    };
    has(&rule.src) && has(&rule.dst)
}

fn has_v6(rule: &LinkedMatch) -> bool {
    let has = |side: &LinkedAddresses| side.negated || !side.set.v6_ranges().is_empty();
    has(&rule.src) && has(&rule.dst)
}

fn address(side: &LinkedAddresses, is_v4: bool, random: &mut Random) -> IpAddr {
    if !side.negated {
        return member(&side.set, is_v4, random);
    }
    // What is left of a family by exceptions is nearly all of it.
    let drawn: Vec<IpAddr> = (0..16).map(|_| random.address(is_v4)).collect();
    let outside = drawn.iter().find(|address| !side.set.contains(**address));
    outside.or(drawn.first()).copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into())
}

fn member(set: &AddressSet, is_v4: bool, random: &mut Random) -> IpAddr {
    if !is_v4 {
        let &(first, last) = random.pick(set.v6_ranges()).unwrap_or(&(0, u128::MAX));
        return Ipv6Addr::from_bits(random.between(first, last)).into();
    }
    if let Some(range) = random.pick(set.v4_ranges()) {
        let bits = random.between(range.0.into(), range.1.into());
        return Ipv4Addr::from_bits(bits as u32).into();
    }
    match random.pick(set.masked()) {
        Some(pattern) => {
            let free = random.next() as u32 & !pattern.mask;
            Ipv4Addr::from_bits(pattern.value | free).into()
        }
        None => random.address(true),
    }
}

/// A header of which only the protocol has been chosen, one that rules name.
fn anything(random: &mut Random) -> PacketKey {
    let protocols = [Protocol::TCP, Protocol::UDP, Protocol::ICMP];
    let protocol = random.pick(&protocols).copied().unwrap_or(Protocol::TCP);
    let ports = (random.next() as u16, random.next() as u16);
    let (src_port, dst_port) = if protocol.has_ports() { ports } else { (0, 0) };
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: random.address(true),
        dst: random.address(true),
        protocol,
        src_port,
        dst_port,
        icmp: protocol.is_icmp().then_some((8, 0)),
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    }
}

/// Numbers from a seed (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014).
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A place in a list of `count` elements.
    pub(super) const fn place(&mut self, count: usize) -> usize {
        (self.next() % if count == 0 { 1 } else { count as u64 }) as usize
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    const fn wide(&mut self) -> u128 {
        (self.next() as u128) << 64 | self.next() as u128
    }

    /// A number of `first..=last`.
    const fn between(&mut self, first: u128, last: u128) -> u128 {
        match last.saturating_sub(first).checked_add(1) {
            Some(count) => first + self.wide() % count,
            None => self.wide(),
        }
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.wide() % (from.len().max(1) as u128);
        from.get(at as usize)
    }

    const fn address(&mut self, is_v4: bool) -> IpAddr {
        let bits = self.wide();
        if is_v4 {
            IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
    }

    /// A family out of those possible; IPv4 where neither is.
    const fn is_v4(&mut self, v4: bool, v6: bool) -> bool {
        match (v4, v6) {
            (true, true) => self.next() & 1 == 0,
            (_, v6) => !v6,
        }
    }
}
