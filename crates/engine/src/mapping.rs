//! The ports that client endpoints keep for several connections (RFC 4787 §4.1).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use parefeu_net::{FiveTuple, PortRange, Protocol};
use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{
    Behaviour, LinkedFirewall, LinkedNatRule, LinkedPortTranslation, LinkedService,
    LinkedTranslation, NatMapping,
};
use parefeu_session::{NoPort, Sought, allocate_port};

use crate::decision::Reason;
use crate::pipeline::OpenRoute;

/// A connection as it leaves.
pub(crate) struct Leaving {
    pub(crate) flow: FiveTuple,
    /// For which connections of its client its port was chosen.
    pub(crate) mapping: NatMapping,
}

/// Who a port is for: an endpoint behind the translation, as it is translated, and the host it is
/// known to by that port where others may know it by another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Client {
    /// Where its packets enter.
    tag: u32,
    src: IpAddr,
    src_port: u16,
    protocol: Protocol,
    new_src: IpAddr,
    remote: Option<IpAddr>,
}

impl Client {
    /// Whose connection from `original` to `translated` is, the port of which does not count.
    /// `None` where every connection has a port of its own.
    pub(crate) const fn of(
        mapping: NatMapping,
        tag: u32,
        original: &FiveTuple,
        translated: &FiveTuple,
    ) -> Option<Self> {
        let remote = match mapping {
            NatMapping::AddressAndPortDependent => return None,
            NatMapping::AddressDependent => Some(translated.dst),
            NatMapping::EndpointIndependent => None,
        };
        let FiveTuple { src, src_port, protocol, .. } = *original;
        Some(Self { tag, src, src_port, protocol, new_src: translated.src, remote })
    }
}

/// A port in front of the translation, taken towards one host or towards everybody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Outside {
    src: IpAddr,
    src_port: u16,
    protocol: Protocol,
    remote: Option<IpAddr>,
}

/// A port given out, and how many sessions have it.
#[derive(Clone, Copy, Debug)]
struct Held {
    port: u16,
    sessions: usize,
}

/// Ports in use. Each lives as long as a session that has it, so there are at most as many.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    by_client: HashMap<Client, Held>,
    taken: HashSet<Outside>,
}

impl Mappings {
    /// A new connection as it leaves: with the port its client has or a free one, where the
    /// translation leaves the port to be chosen.
    pub(crate) fn leaving(
        &self,
        firewall: &LinkedFirewall,
        sought: &Sought,
        route: &OpenRoute,
        seed: u64,
        has_reply: impl Fn(&FiveTuple) -> bool,
    ) -> Result<Leaving, Reason> {
        let flow = sought.flow;
        let mut wished = route.translated;
        let has_ports = flow.protocol.has_ports();
        if !has_ports {
            (wished.src_port, wished.dst_port) = (flow.src_port, flow.dst_port);
        }
        let rule = route.source_nat.and_then(|at| firewall.source_nat.rules.get(at));
        let ranges = rule.and_then(|rule| ports_to_choose_from(&rule.translation));
        let Some(ranges) = ranges.filter(|_| has_ports || flow.protocol.is_icmp()) else {
            let flow = match ports_on_clash(firewall, &wished) {
                Some(ranges) if has_reply(&wished) => {
                    allocate_port(wished, seed, ranges, has_reply).map_err(refused)?
                }
                _ => wished,
            };
            return Ok(Leaving { flow, mapping: NatMapping::default() });
        };
        let is_for_pings = rule.is_some_and(is_for_icmp) && *ranges != EVERY_PORT;
        let ranges = if has_ports || is_for_pings { ranges } else { &ANY_PORT };
        let Behaviour { nat_mapping: mapping, nat_port_parity, .. } = firewall.behaviour;
        let client = Client::of(mapping, sought.tag, &flow, &wished);
        if let Some(held) = client.and_then(|client| self.by_client.get(&client)) {
            return Ok(Leaving { flow: wished.with_src_port(held.port), mapping });
        }
        let is_paired = nat_port_parity && flow.protocol == Protocol::UDP;
        let is_taken = |leaves: &FiveTuple| {
            is_paired && (leaves.src_port ^ flow.src_port) & 1 == 1
                || self.is_taken(leaves)
                || has_reply(leaves)
        };
        let flow = allocate_port(wished, seed, ranges, is_taken).map_err(refused)?;
        Ok(Leaving { flow, mapping })
    }

    /// Whether some client has the source port of a translated flow, towards its destination.
    fn is_taken(&self, translated: &FiveTuple) -> bool {
        let FiveTuple { src, src_port, protocol, dst, .. } = *translated;
        let outside = |remote| Outside { src, src_port, protocol, remote };
        [None, Some(dst)].into_iter().any(|remote| self.taken.contains(&outside(remote)))
    }

    /// Notes a session that has the port.
    pub(crate) fn hold(&mut self, client: Client, port: u16) {
        let held = self.by_client.entry(client).or_insert(Held { port, sessions: 0 });
        held.sessions += 1;
        self.taken.insert(outside(&client, held.port));
    }

    /// One of the sessions that have the port has ended.
    pub(crate) fn release(&mut self, client: &Client) {
        let Some(held) = self.by_client.get_mut(client) else { return };
        held.sessions -= 1;
        if held.sessions == 0 {
            self.taken.remove(&outside(client, held.port));
            self.by_client.remove(client);
        }
    }
}

const fn outside(client: &Client, port: u16) -> Outside {
    let Client { new_src, protocol, remote, .. } = *client;
    Outside { src: new_src, src_port: port, protocol, remote }
}

/// The ports a translation chooses from, where it does.
fn ports_to_choose_from(translation: &LinkedTranslation) -> Option<&[PortRange]> {
    match translation {
        LinkedTranslation::EgressInterface => Some(&DYNAMIC_PORTS),
        LinkedTranslation::Pool { port, .. } | LinkedTranslation::Prefix { port, .. } => match port
        {
            LinkedPortTranslation::Allocate(ranges) => Some(ranges),
            LinkedPortTranslation::Keep
            | LinkedPortTranslation::Shift { .. }
            | LinkedPortTranslation::To(_) => None,
        },
        _ => None,
    }
}

/// Whether a rule translates ICMP alone, so that its ports are identifiers (Linux, measured).
fn is_for_icmp(rule: &LinkedNatRule) -> bool {
    let terms = &rule.matches.services.terms;
    let icmp = ProtocolSet::single(Protocol::ICMP).union(ProtocolSet::single(Protocol::ICMPV6));
    let is_icmp = |term: &LinkedService| term.protocols.intersection(icmp.complement()).is_empty();
    !terms.is_empty() && terms.iter().all(is_icmp)
}

/// The ports of which a connection gets another one that would be answered as another is, where the
/// behaviour gives it one (Linux, `nf_nat_l4proto_unique_tuple` under a null binding, from memory).
fn ports_on_clash(firewall: &LinkedFirewall, wished: &FiveTuple) -> Option<&'static [PortRange]> {
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    let translates = || tables.iter().any(|table| !table.rules.is_empty());
    if !firewall.behaviour.nat_port_on_clash || !translates() {
        return None;
    }
    match wished.src_port {
        _ if wished.protocol.is_icmp() => Some(&ANY_PORT),
        _ if !wished.protocol.has_ports() => None,
        ..=511 => Some(&LOWEST_PORTS),
        512..=1023 => Some(&LOW_PORTS),
        _ => Some(&DYNAMIC_PORTS),
    }
}

const fn refused(why: NoPort) -> Reason {
    match why {
        NoPort::Exhausted => Reason::PortsExhausted,
        NoPort::NotFound => Reason::PortNotFound,
    }
}

/// Ports for those that come from ports below 512, and below 1024.
const LOWEST_PORTS: [PortRange; 1] = range(1, 511);
const LOW_PORTS: [PortRange; 1] = range(600, 1023);

/// Ports given out where the configuration names no range.
const DYNAMIC_PORTS: [PortRange; 1] = range(1024, u16::MAX);

const fn range(first: u16, last: u16) -> [PortRange; 1] {
    match PortRange::new(first, last) {
        Ok(range) => [range],
        Err(_) => [PortRange::ALL],
    }
}

/// Every port there is: the range of a rule that states none.
const EVERY_PORT: [PortRange; 1] = range(1, u16::MAX);

/// Identifiers of ICMP queries.
const ANY_PORT: [PortRange; 1] = [PortRange::ALL];
