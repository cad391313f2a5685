//! Values as PAN-OS writes them: addresses, ranges, port lists.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{MaskedAddress, PortSet, ProtocolSet};
use parefeu_policy::{AddressItem, IcmpMatch, ServiceTerm};

/// An address with or without prefix length; without, a host.
pub(super) fn network(text: &str) -> Option<IpNet> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network);
    }
    text.parse::<IpAddr>().ok().map(IpNet::from)
}

/// `first-last`, which must not run backwards.
pub(super) fn range(text: &str) -> Option<AddressItem> {
    let (first, last) = text.split_once('-')?;
    let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(AddressItem::Range(first, last))
}

/// `address/wildcard`, where set bits of the wildcard are not compared (PAN-OS Administrator's
/// Guide, "Use an Address Object to Represent IP Addresses").
pub(super) fn wildcard(text: &str) -> Option<AddressItem> {
    let (value, wildcard) = text.split_once('/')?;
    let wildcard: Ipv4Addr = wildcard.parse().ok()?;
    let mask = Ipv4Addr::from_bits(!wildcard.to_bits());
    Some(AddressItem::Masked(MaskedAddress::new(value.parse().ok()?, mask)))
}

/// An address, prefix or range written directly in a rule.
pub(super) fn address(text: &str) -> Option<AddressItem> {
    network(text).map(AddressItem::Network).or_else(|| range(text))
}

/// `80,443,8000-8100`; `None` when a piece is no port.
pub(super) fn ports(text: &str) -> Option<PortSet> {
    text.split(',').map(|piece| port_range(piece.trim())).collect()
}

fn port_range(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    PortRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?).ok()
}

/// The default ports of an application: `tcp/80,443`, `udp/dynamic`, `icmp/8`, `icmp6/128`,
/// `ip/47`. Dynamic means any port.
pub(super) fn default_service(text: &str) -> Option<ServiceTerm> {
    let (protocol, rest) = text.split_once('/')?;
    let icmp = |protocol: Protocol| {
        let kind = rest.parse().ok()?;
        let mut term = ServiceTerm::protocols(ProtocolSet::single(protocol));
        term.icmp = Some(IcmpMatch { kind, code: None });
        Some(term)
    };
    let transport = match protocol {
        "tcp" => Protocol::TCP,
        "udp" => Protocol::UDP,
        "sctp" => Protocol::SCTP,
        "icmp" => return icmp(Protocol::ICMP),
        "icmp6" => return icmp(Protocol::ICMPV6),
        "ip" => {
            let protocol = ProtocolSet::single(Protocol(rest.parse().ok()?));
            return Some(ServiceTerm::protocols(protocol));
        }
        _ => return None,
    };
    // `dynamic` may stand beside numbers, and covers them.
    let dynamic = rest.split(',').any(|piece| piece.trim() == "dynamic");
    let ports = if dynamic { PortSet::all() } else { ports(rest)? };
    Some(ServiceTerm::to_ports(ProtocolSet::single(transport), ports))
}

/// Whether a name can only be a region: PAN-OS predefines the two-letter country codes of ISO 3166.
pub(super) fn is_country(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_services_name_a_protocol_and_what_it_holds() {
        let check = |text: &str, expected: Option<ServiceTerm>| {
            assert_eq!(default_service(text), expected, "{text}");
        };
        let tcp = ProtocolSet::single(Protocol::TCP);
        let web: PortSet = [PortRange::single(80), PortRange::single(443)].into_iter().collect();
        check("tcp/80,443", Some(ServiceTerm::to_ports(tcp, web)));
        check("tcp/dynamic", Some(ServiceTerm::protocols(tcp)));
        check("ip/47", Some(ServiceTerm::protocols(ProtocolSet::single(Protocol::GRE))));
        let echo = Some(IcmpMatch { kind: 8, code: None });
        let ping = ServiceTerm::protocols(ProtocolSet::single(Protocol::ICMP));
        check("icmp/8", Some(ServiceTerm { icmp: echo, ..ping }));
        for bad in ["", "tcp", "tcp/", "tcp/70000", "tcp/9-8", "ip/300", "xtp/1"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_set_bits_of_a_wildcard_are_not_compared() {
        let value = Ipv4Addr::new(10, 20, 1, 0);
        let mask = Ipv4Addr::new(255, 255, 7, 0);
        let expected = AddressItem::Masked(MaskedAddress::new(value, mask));
        assert_eq!(wildcard("10.20.1.0/0.0.248.255"), Some(expected));
        assert_eq!(wildcard("10.20.1.0/24"), None);
    }
}
