//! Packets through firewalls as the reference evaluation judges them.

use std::net::IpAddr;

use parefeu_equivalence::{Compared, Family, Field, Finding, Passage, ProtocolClass, Witness};
use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::{
    Answer, ConnectionState, Evaluation, Firewall, Identified, Knowledge, LinkedFirewall, Names,
    NatTable, PacketKey, UserKnowledge, reference,
};
use parefeu_testkit::{Random, keys};

/// What a firewall makes of a connection on its way.
pub(crate) fn judged(
    firewall: &LinkedFirewall,
    passage: Passage,
    key: &PacketKey,
    application: Option<&str>,
) -> Evaluation {
    let (enters, leaves) = (passage.ingress, passage.egress.unwrap_or_default());
    let (ingress, from) = (enters.interface, enters.zone);
    let (egress, to) = (leaves.interface, leaves.zone);
    let key = PacketKey { ingress, from, egress, to, ..*key };
    let named = |name: &str| firewall.applications.iter().position(|known| &*known.name == name);
    let id = application.and_then(named).map(|id| parefeu_policy::ApplicationId(id as u32));
    let known = Knowledge {
        application: Identified::Finally(id),
        users: UserKnowledge::NotStated,
        ..Knowledge::NOTHING
    };
    reference::judge(firewall, &key, &known).evaluation
}

/// Whether it lets the connection through; `None` where that depends on what is not modelled.
pub(crate) fn lets_through(
    firewall: &LinkedFirewall,
    passage: Passage,
    key: &PacketKey,
    application: Option<&str>,
) -> Option<bool> {
    match judged(firewall, passage, key, application).answer() {
        Answer::Certain(hit) => Some(hit.allows()),
        _ => None,
    }
}

pub(crate) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The value of a field; `None` for what the packet does not say.
fn value(field: &Field, key: &PacketKey, application: u128) -> Option<u128> {
    let second = key.icmp.map_or(key.dst_port.into(), |(_, code)| code.into());
    Some(match field {
        Field::Src => bits(key.src),
        Field::Dst => bits(key.dst),
        Field::Protocol => key.protocol.0.into(),
        Field::SrcPort => key.icmp.map_or(key.src_port.into(), |(kind, _)| kind.into()),
        Field::DstPort => second,
        Field::Application => application,
        Field::Flags => key.tcp_flags?.0.into(),
        _ => return None,
    })
}

/// Whether the finding holds the packet on the first way of the case.
pub(crate) fn holds(
    finding: &Finding,
    case: &Compared,
    key: &PacketKey,
    application: u128,
) -> bool {
    let way = &case.crossings[0];
    finding.from.contains(&way.from)
        && way.to.as_ref().map_or(finding.to.is_empty(), |to| finding.to.contains(to))
        && finding.family.is_none_or(|family| family == case.case.family)
        && finding.protocols.is_none_or(|protocols| protocols == case.case.protocols)
        && lies_in(finding, key, application)
}

/// Whether the fields of a packet have values of the finding.
pub(crate) fn lies_in(finding: &Finding, key: &PacketKey, application: u128) -> bool {
    let mut fields = finding.sets.iter();
    fields.all(|(field, set)| value(field, key, application).is_none_or(|it| set.contains(it)))
}

/// The packet of a witness, and the number of its application.
pub(crate) fn opening_of(witness: &Witness) -> (PacketKey, u128) {
    let (src_port, dst_port) = witness.ports.unwrap_or_default();
    let key = PacketKey {
        src: witness.src,
        dst: witness.dst,
        protocol: witness.protocol,
        src_port,
        dst_port,
        icmp: witness.icmp,
        tcp_flags: (witness.protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        ..PacketKey::UNSTATED
    };
    let application = witness.others.iter().find(|(field, _)| *field == Field::Application);
    (key, application.map_or(0, |(_, value)| *value))
}

/// The first packet of a connection of the case, to one of the destinations it is about.
pub(crate) fn opening(key: &PacketKey, case: &Compared, random: &mut Random) -> Option<PacketKey> {
    let class = case.case.protocols;
    let is_v4 = case.case.family == Family::V4;
    let fits = class.contains(key.protocol);
    let fits = fits && key.src.is_ipv4() == is_v4 && key.dst.is_ipv4() == is_v4;
    let mut within = case.case.within.iter().filter(|(field, _)| *field == Field::Dst);
    let fits = fits && within.all(|(_, destinations)| destinations.contains(bits(key.dst)));
    let kind = (random.next_u64() as u8, random.below(4) as u8);
    fits.then_some(PacketKey {
        icmp: (class == ProtocolClass::Icmp).then(|| key.icmp.unwrap_or(kind)),
        tcp_flags: (key.protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        ..*key
    })
}

/// A first packet of the case near the corners of one of the firewalls' rules, and an application:
/// its number and its name.
pub(crate) fn draw<'a>(
    sides: [&LinkedFirewall; 2],
    case: &'a Compared,
    random: &mut Random,
) -> Option<(PacketKey, u128, Option<&'a str>)> {
    let key = keys::corner(sides[random.below(2)], random);
    let key = opening(&key, case, random)?;
    let names = &case.problem.applications;
    let application = random.below(names.len() + 1);
    let name = application.checked_sub(1).map(|at| &*names[at]);
    Some((key, application as u128, name))
}

/// Only what lists are written out for.
pub(crate) fn supported(mut firewall: Firewall) -> Firewall {
    firewall.destination_nat = NatTable::default();
    firewall.source_nat = NatTable::default();
    for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
        rule.matches.users = Names::Any;
        rule.matches.devices.clear();
        rule.matches.schedule = None;
        rule.matches.url_categories = Names::Any;
    }
    firewall
}
