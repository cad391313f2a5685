//! The leaves of the grammar: addresses, ports, protocols, ICMP types.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{MaskedAddress, PortSet, ProtocolSet};
use parefeu_policy::{AddressItem, At, IcmpMatch, ServiceItem, ServiceTerm};

use super::config::{
    AceService, GroupKind, IcmpType, IcmpTypes, Names, Ports, Protocols, ServiceSpec, any_term,
};
use super::line::{Parsed, Refusal, Word, Words};
use super::names;

/// An address, by number or by `name`.
pub(super) fn ip(names: &Names<'_>, word: Word<'_>) -> Parsed<IpAddr> {
    let named = || names.addresses.get(word.text).copied();
    word.text.parse().ok().or_else(named).ok_or_else(|| Refusal::is_no(word, "address"))
}

/// An address followed by a netmask, or an IPv6 prefix.
pub(super) fn network(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<IpNet> {
    let word = words.expect("an address")?;
    if word.text.contains('/') {
        let network: IpNet = word.text.parse().map_err(|_| Refusal::is_no(word, "prefix"))?;
        return Ok(network.trunc());
    }
    match ip(names, word)? {
        IpAddr::V4(address) => {
            let length = netmask(words)?;
            let network = Ipv4Net::new(address, length);
            let network = network.map_err(|_| Refusal::is_no(word, "network"))?;
            Ok(IpNet::V4(network.trunc()))
        }
        IpAddr::V6(_) => Err(Refusal::is_no(word, "prefix")),
    }
}

/// An address with a netmask that has holes; `None`, and nothing read, when none follows.
///
/// Devices refuse an address with bits outside of its mask, and so the inverted masks of IOS
/// (memory, not verified on a device).
fn masked(names: &Names<'_>, words: &mut Words<'_>) -> Option<MaskedAddress> {
    let mut ahead = words.clone();
    let IpAddr::V4(address) = ip(names, ahead.next()?).ok()? else { return None };
    let mask: Ipv4Addr = ahead.next()?.text.parse().ok()?;
    let pairs = address & mask == address;
    if !pairs || ipnet::ipv4_mask_to_prefix(mask).is_ok() {
        return None;
    }
    *words = ahead;
    Some(MaskedAddress::new(address, mask))
}

/// The length of a netmask.
pub(super) fn netmask(words: &mut Words<'_>) -> Parsed<u8> {
    let word = words.expect("a netmask")?;
    let mask: Ipv4Addr = word.text.parse().map_err(|_| Refusal::is_no(word, "netmask"))?;
    ipnet::ipv4_mask_to_prefix(mask).map_err(|_| Refusal::is_no(word, "netmask"))
}

/// `host ADDRESS`, the word `host` already read.
pub(super) fn host(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<AddressItem> {
    let word = words.expect("an address")?;
    ip(names, word).map(|address| AddressItem::Network(IpNet::from(address)))
}

/// `FIRST LAST` of an inclusive range.
pub(super) fn range(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<AddressItem> {
    let (first, last) = (words.expect("an address")?, words.expect("an address")?);
    let (from, to) = (ip(names, first)?, ip(names, last)?);
    if from.is_ipv4() != to.is_ipv4() || from > to {
        return Err(Refusal::is_no(last, "end of this range"));
    }
    Ok(AddressItem::Range(from, to))
}

/// Source or destination of an access control entry.
pub(super) fn address(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<At<AddressItem>> {
    let Some(word) = words.peek() else {
        return words.expect("an address").map(|word| At::new(AddressItem::Any, word.at));
    };
    let keyword = matches!(
        word.text,
        "any" | "any4" | "any6" | "host" | "object" | "object-group" | "interface"
    );
    if !keyword {
        let item = match masked(names, words) {
            Some(pattern) => AddressItem::Masked(pattern),
            None => AddressItem::Network(network(names, words)?),
        };
        return Ok(At::new(item, word.at));
    }
    words.next();
    let item = match word.text {
        "any" if names.any_is_v4 => AddressItem::AnyV4,
        "any" => AddressItem::Any,
        "any4" => AddressItem::AnyV4,
        "any6" => AddressItem::AnyV6,
        "host" => host(names, words)?,
        "interface" => AddressItem::Interface(words.expect("an interface")?.text.to_owned()),
        _ => {
            let name = words.expect("an object")?;
            return Ok(At::new(AddressItem::Object(name.text.to_owned()), name.at));
        }
    };
    Ok(At::new(item, word.at))
}

/// A port by name or number.
pub(super) fn port(words: &mut Words<'_>) -> Parsed<u16> {
    let word = words.expect("a port")?;
    names::port(word.text).ok_or_else(|| Refusal::is_no(word, "port"))
}

/// `eq PORT`, `neq PORT`, `lt PORT`, `gt PORT` or `range FIRST LAST`; `None` when none follows.
pub(super) fn port_operator(words: &mut Words<'_>) -> Parsed<Option<PortSet>> {
    let Some(word) = words.peek() else { return Ok(None) };
    if !matches!(word.text, "eq" | "neq" | "lt" | "gt" | "range") {
        return Ok(None);
    }
    words.next();
    let first = port(words)?;
    let range = match word.text {
        "eq" => PortRange::new(first, first),
        "neq" => return Ok(Some(PortSet::single(first).complement())),
        "lt" if first > 0 => PortRange::new(0, first - 1),
        "gt" if first < u16::MAX => PortRange::new(first + 1, u16::MAX),
        "range" => PortRange::new(first, port(words)?),
        _ => return Err(Refusal::is_no(word, "operator that leaves a port")),
    };
    let range = range.map_err(|_| Refusal::is_no(word, "range that runs forwards"))?;
    Ok(Some(PortSet::from(range)))
}

/// Ports of an access control entry: an operator, a group of ports, or nothing.
pub(super) fn ports(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Ports> {
    if words.peek_text() == "object-group" {
        let mut ahead = words.clone();
        ahead.next();
        let name = ahead.expect("a group")?;
        // A service group without protocols may not stand here; that is reported when it is
        // resolved.
        let kind = names.groups.get(name.text);
        if matches!(kind, Some(GroupKind::Ports | GroupKind::Services)) {
            *words = ahead;
            return Ok(Ports::Group(At::new(name.text.to_owned(), name.at)));
        }
    }
    Ok(port_operator(words)?.map_or(Ports::Any, Ports::Of))
}

/// ICMP type, code or group of an access control entry, or nothing.
pub(super) fn icmp_types(
    names: &Names<'_>,
    protocol: Protocol,
    words: &mut Words<'_>,
) -> Parsed<IcmpTypes> {
    let Some(word) = words.peek() else { return Ok(IcmpTypes::Any) };
    if word.text == "object-group" {
        let mut ahead = words.clone();
        ahead.next();
        let name = ahead.expect("a group")?;
        if names.groups.get(name.text) == Some(&GroupKind::IcmpType) {
            *words = ahead;
            return Ok(IcmpTypes::Group(At::new(name.text.to_owned(), name.at)));
        }
        return Ok(IcmpTypes::Any);
    }
    let found = icmp_type(protocol, words);
    Ok(found.map_or(IcmpTypes::Any, IcmpTypes::Of))
}

/// An ICMP type with or without a code; `None`, and nothing read, when none follows.
pub(super) fn icmp_type(protocol: Protocol, words: &mut Words<'_>) -> Option<IcmpType> {
    let kind = names::icmp_type(protocol, words.peek_text())?;
    words.next();
    let code = words.peek_text().parse().ok();
    if code.is_some() {
        words.next();
    }
    Some(IcmpType { kind, code })
}

/// The protocol that begins an access control entry; its ports are read later.
pub(super) fn protocols(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<AceService> {
    let word = words.expect("a protocol")?;
    let spec = |protocols| {
        let (src, dst, icmp) = (Ports::Any, Ports::Any, IcmpTypes::Any);
        AceService::Spec(ServiceSpec { protocols, src, dst, icmp })
    };
    match word.text {
        "object" => {
            let name = words.expect("a service object")?;
            Ok(AceService::Object(At::new(name.text.to_owned(), name.at)))
        }
        "object-group" => {
            let name = words.expect("a group")?;
            let at = At::new(name.text.to_owned(), name.at);
            Ok(match names.groups.get(name.text) {
                Some(GroupKind::Protocol) => spec(Protocols::Group(at)),
                _ => AceService::Object(at),
            })
        }
        // Number 0 is how the device stores `ip` (memory, not verified on a device).
        "ip" | "0" => Ok(spec(Protocols::Any)),
        text => {
            let protocol = names::protocol(text).ok_or_else(|| Refusal::is_no(word, "protocol"))?;
            Ok(spec(Protocols::Of(ProtocolSet::single(protocol))))
        }
    }
}

/// The protocols `tcp`, `udp`, `tcp-udp` or another name stands for; `ip` is all of them.
pub(super) fn protocol_set(word: Word<'_>) -> Parsed<ProtocolSet> {
    match word.text {
        "tcp-udp" => Ok([Protocol::TCP, Protocol::UDP].into_iter().collect()),
        "ip" | "0" => Ok(ProtocolSet::ALL),
        text => {
            let protocol = names::protocol(text).ok_or_else(|| Refusal::is_no(word, "protocol"))?;
            Ok(ProtocolSet::single(protocol))
        }
    }
}

/// `PROTOCOL [source PORTS] [[destination] PORTS]` or `icmp [TYPE [CODE]]`, to the end of the line.
pub(super) fn service(words: &mut Words<'_>) -> Parsed<ServiceItem> {
    let word = words.expect("a protocol")?;
    let protocols = protocol_set(word)?;
    if protocols.is_all() {
        words.finish()?;
        return Ok(ServiceItem::Term(any_term()));
    }
    let mut term = ServiceTerm::protocols(protocols);
    if matches!(word.text, "icmp" | "icmp6" | "1" | "58") {
        let protocol = if matches!(word.text, "icmp6" | "58") { 58 } else { 1 };
        term.icmp = icmp_type(Protocol(protocol), words).map(IcmpMatch::from);
    } else if protocols.iter().all(Protocol::has_ports) {
        if words.accept("source") {
            let ports = port_operator(words)?;
            term.src_ports = ports.ok_or_else(|| operator_missing(words))?;
        }
        if words.accept("destination") {
            let ports = port_operator(words)?;
            term.dst_ports = ports.ok_or_else(|| operator_missing(words))?;
        } else if let Some(ports) = port_operator(words)? {
            term.dst_ports = ports;
        }
    }
    words.finish()?;
    Ok(ServiceItem::Term(term))
}

fn operator_missing(words: &Words<'_>) -> Refusal {
    let at = words.peek().map_or(words.line().at, |word| word.at);
    Refusal { at, message: "a port operator is expected here".to_owned() }
}

/// `hh:mm[:ss]` in seconds; `0` alone stands for *never*.
pub(super) fn duration_secs(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut parts = text.split(':').map(|part| part.parse::<u32>().ok().map(u64::from));
    let (hours, minutes) = (parts.next()??, parts.next()??);
    let secs = parts.next().unwrap_or(Some(0))?;
    (parts.next().is_none() && minutes < 60 && secs < 60)
        .then_some(hours * 3600 + minutes * 60 + secs)
}
