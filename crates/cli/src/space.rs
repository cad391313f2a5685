//! Which packets an exact comparison is asked about: options as sets of values.

use std::net::IpAddr;

use anyhow::Context;
use ipnet::IpNet;
use parefeu_equivalence::{Family, Field, Pairing, ProtocolClass, Request};
use parefeu_net::Protocol;
use parefeu_policy::LinkedFirewall;
use parefeu_policy::set::Ranges;

use crate::args::{Budget, Headers};
use crate::budget::limits;

/// The zone an interface of either side lies in, by the interface's name.
pub(crate) fn zone_of<'a>(sides: [&'a LinkedFirewall; 2], name: &str) -> Option<&'a str> {
    let mut zones = sides.into_iter().filter_map(|side| {
        let interface = &side.interfaces[side.interface_named(name)?.index()];
        interface.zone.map(|zone| &*side.zones[zone.index()])
    });
    zones.next()
}

/// Why a place that has no name of its own in a comparison is none, and what to name instead.
pub(crate) fn no_place(sides: [&LinkedFirewall; 2], name: &str) -> String {
    match zone_of(sides, name) {
        Some(zone) => format!(
            "interface `{name}` lies in zone `{zone}`, and zones are compared as a whole: name \
             `{zone}`"
        ),
        None => format!("neither side has a zone or interface `{name}`"),
    }
}

/// The request the options stand for.
pub(crate) fn request(
    headers: &Headers,
    budget: &Budget,
    (pairing, sides): (Pairing, [&LinkedFirewall; 2]),
) -> anyhow::Result<Request> {
    let mut request = Request::all(pairing);
    let name = |name: &Option<String>| name.as_deref().map(Box::from);
    (request.from, request.to) = (name(&headers.from), name(&headers.to));
    for (option, name) in [(&headers.from, "from"), (&headers.to, "to")] {
        if let Some(wanted) = option {
            let gates = [&request.pairing.old, &request.pairing.new];
            let mut names = gates.into_iter().flat_map(|side| &side.gates);
            let known = names.any(|gate| gate.name.as_deref() == Some(wanted));
            anyhow::ensure!(known, "--{name}: {}", no_place(sides, wanted));
        }
    }
    for (field, option, name) in
        [(Field::Src, &headers.source, "source"), (Field::Dst, &headers.destination, "destination")]
    {
        let Some(text) = option else { continue };
        let (family, set) = addresses(text).with_context(|| format!("--{name}"))?;
        request.families.retain(|known| *known == family);
        request.within.push((field, set));
    }
    anyhow::ensure!(
        !request.families.is_empty(),
        "--source and --destination are of different families"
    );
    if let Some(text) = &headers.protocol {
        let set = protocols(text).context("--protocol")?;
        let asks = headers.source_port.is_some() || headers.destination_port.is_some();
        let have = !set.intersection(&ProtocolClass::WithPorts.values()).is_empty();
        anyhow::ensure!(have || !asks, "--protocol: `{text}` has no ports");
        request.within.push((Field::Protocol, set));
    }
    for (field, option, name) in [
        (Field::SrcPort, &headers.source_port, "source-port"),
        (Field::DstPort, &headers.destination_port, "destination-port"),
    ] {
        let Some(text) = option else { continue };
        let set = ports(text).with_context(|| format!("--{name}"))?;
        request.within.push((field, set));
        // ICMP has types and codes in their place, and other protocols have none.
        request.protocols = vec![ProtocolClass::WithPorts];
    }
    request.limits = limits(budget)?;
    Ok(request)
}

/// Protocols by name or number, with commas in between.
pub(crate) fn protocols(text: &str) -> anyhow::Result<Ranges> {
    let protocols = text.split(',').map(|word| {
        let protocol = Protocol::from_name(word.trim());
        let protocol = protocol.with_context(|| format!("`{word}` is no IP protocol"))?;
        Ok((protocol.0.into(), protocol.0.into()))
    });
    protocols.collect()
}

/// Networks, hosts and ranges of one family, with commas in between.
pub(crate) fn addresses(text: &str) -> anyhow::Result<(Family, Ranges)> {
    let mut found: Option<(Family, Vec<(u128, u128)>)> = None;
    for word in text.split(',').map(str::trim) {
        let (first, last) = address_range(word)
            .with_context(|| format!("`{word}` is no address, network or range"))?;
        let family = if first.is_ipv4() { Family::V4 } else { Family::V6 };
        let (known, ranges) = found.get_or_insert_with(|| (family, Vec::new()));
        anyhow::ensure!(*known == family, "`{word}` is of the other family");
        anyhow::ensure!(first.is_ipv4() == last.is_ipv4(), "`{word}` mixes the families");
        anyhow::ensure!(first <= last, "`{word}` runs backwards");
        ranges.push((bits(first), bits(last)));
    }
    let (family, ranges) = found.context("it names no address")?;
    Ok((family, ranges.into_iter().collect()))
}

pub(crate) fn address_range(word: &str) -> Option<(IpAddr, IpAddr)> {
    if let Ok(network) = word.parse::<IpNet>() {
        return Some((network.network(), network.broadcast()));
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

pub(crate) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_bits() as u128,
        IpAddr::V6(it) => it.to_bits(),
    }
}

pub(crate) fn ports(text: &str) -> anyhow::Result<Ranges> {
    let ranges = text.split(',').map(|word| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let port = |text: &str| text.trim().parse::<u16>().ok();
        let range = port(first).zip(port(last)).filter(|(first, last)| first <= last);
        let (first, last) = range.with_context(|| format!("`{word}` is no port or range"))?;
        Ok((first.into(), last.into()))
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_networks_hosts_and_ranges_of_one_family() {
        let (family, set) = addresses("10.0.0.0/31, 10.0.0.2,10.0.1.0-10.0.1.9").unwrap();
        assert_eq!(family, Family::V4);
        assert_eq!(set.as_slice(), [(0x0a00_0000, 0x0a00_0002), (0x0a00_0100, 0x0a00_0109)]);
        let (family, set) = addresses("2001:db8::/127").unwrap();
        assert_eq!((family, set.as_slice().len()), (Family::V6, 1));
        for wrong in ["", "10.0.0.0/33", "10.0.0.9-10.0.0.1", "10.0.0.1,::1", "10.0.0.1-::1", "x"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ports_are_numbers_and_ranges() {
        assert_eq!(
            ports("80, 443,1000-1002").unwrap().as_slice(),
            [(80, 80), (443, 443), (1000, 1002)]
        );
        for wrong in ["", "65536", "9-1", "http"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
    }
}
