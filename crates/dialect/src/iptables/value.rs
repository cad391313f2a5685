//! Values of match options: addresses, ports, types, flags.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::{MacAddress, PortRange};
use parefeu_policy::set::{MaskedAddress, PortSet};
use parefeu_policy::{AddressItem, IcmpMatch};

use super::condition::IcmpType;
use super::names::{ICMP_TYPES, ICMPV6_TYPES, SERVICES};

/// An address with an optional mask: `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, `10/8`,
/// `2001:db8::/32`, or a host name. `None` for text that is neither.
pub(super) fn read_address(text: &str) -> Option<AddressItem> {
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (text, None),
    };
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        return read_v6(address, mask);
    }
    if let Some(address) = read_v4(address) {
        return read_masked(address, mask);
    }
    // The kernel never holds names: iptables resolves them once, when the rule is loaded.
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plausible = !address.is_empty() && address.chars().all(name);
    let numeric = address.chars().all(|c| c.is_ascii_digit() || c == '.');
    let plausible = plausible && !numeric && mask.is_none();
    plausible.then(|| AddressItem::Unknown(format!("fqdn {}", address.to_ascii_lowercase())))
}

fn read_v6(address: Ipv6Addr, mask: Option<&str>) -> Option<AddressItem> {
    let length = match mask {
        None => 128,
        Some(mask) => match mask.parse::<Ipv6Addr>() {
            Ok(mask) => {
                let bits = mask.to_bits();
                // The model has patterns with holes for IPv4 only.
                let Some(length) = contiguous(bits.leading_ones(), bits.count_ones()) else {
                    let masked = Ipv6Addr::from_bits(address.to_bits() & bits);
                    return Some(AddressItem::Unknown(format!("{MASKED_V6}{masked}/{mask}")));
                };
                length
            }
            Err(_) => decimal(mask)?,
        },
    };
    let network = IpNet::new(address.into(), length).ok()?;
    Some(if length == 0 { AddressItem::AnyV6 } else { AddressItem::Network(network.trunc()) })
}

fn read_masked(address: Ipv4Addr, mask: Option<&str>) -> Option<AddressItem> {
    let length = match mask {
        None => 32,
        Some(mask) if mask.contains('.') => {
            let mask: Ipv4Addr = mask.parse().ok()?;
            let bits = mask.to_bits();
            match contiguous(bits.leading_ones(), bits.count_ones()) {
                Some(length) => length,
                None => return Some(AddressItem::Masked(MaskedAddress::new(address, mask))),
            }
        }
        Some(length) => decimal(length)?,
    };
    let network = IpNet::new(address.into(), length).ok()?;
    Some(if length == 0 { AddressItem::AnyV4 } else { AddressItem::Network(network.trunc()) })
}

/// How the text of an IPv6 pattern whose mask has holes begins.
pub(super) const MASKED_V6: &str = "IPv6 addresses ";

/// A decimal number. iptables takes a leading zero for an octal number, which nobody who writes one
/// means, so there is no such number here.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let octal = text.len() > 1 && text.starts_with('0');
    (digits && !octal).then(|| text.parse().ok())?
}

fn contiguous(leading: u32, count: u32) -> Option<u8> {
    (leading == count).then_some(leading as u8)
}

/// A dotted address of which trailing octets may be left out: `10/8` is `10.0.0.0/8`.
fn read_v4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    let mut parts = text.split('.');
    for (octet, part) in octets.iter_mut().zip(&mut parts) {
        *octet = decimal(part)?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// `a-b` of one family, or a single address.
pub(super) fn read_range(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (IpAddr, IpAddr) = (first.parse().ok()?, last.parse().ok()?);
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}

/// `80`, `http`, `1024:65535`, `:1023` or `1024:`, or several with commas. `-` separates ranges in
/// translation targets.
pub(super) fn read_ports(text: &str, dash: char) -> Option<PortSet> {
    let range = |part: &str| {
        // A service name may hold a dash, so names come first.
        if let Some(port) = read_port(part) {
            return Some(PortRange::single(port));
        }
        let (first, last) = part.split_once(dash)?;
        let first = if first.is_empty() { 0 } else { read_port(first)? };
        let last = if last.is_empty() { u16::MAX } else { read_port(last)? };
        PortRange::new(first, last).ok()
    };
    text.split(',').map(range).collect()
}

fn read_port(text: &str) -> Option<u16> {
    let named = || SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
    decimal(text).or_else(named)
}

/// An ICMP type by number or name.
pub(super) fn read_icmp(text: &str, v6: bool) -> Option<IcmpType> {
    let lower = text.to_ascii_lowercase();
    if lower == "any" {
        return Some(IcmpType::Any);
    }
    let names = if v6 { ICMPV6_TYPES } else { ICMP_TYPES };
    if let Some((_, kind, code)) = names.iter().find(|(name, ..)| *name == lower) {
        return Some(IcmpType::Is(IcmpMatch { kind: *kind, code: *code }));
    }
    let (kind, code) = match text.split_once('/') {
        Some((kind, code)) => (kind, Some(decimal(code)?)),
        None => (text, None),
    };
    // 255 stands for any type of IPv4, whatever the code (`icmp_type_code_match` in the kernel).
    match decimal(kind)? {
        255 if !v6 => Some(IcmpType::Any),
        kind => Some(IcmpType::Is(IcmpMatch { kind, code })),
    }
}

/// TCP flags separated by commas, `ALL` or `NONE`.
pub(super) fn read_flags(text: &str) -> Option<u8> {
    text.split(',').try_fold(0, |flags, name| {
        let bit = match name.to_ascii_uppercase().as_str() {
            "FIN" => 0x01,
            "SYN" => 0x02,
            "RST" => 0x04,
            "PSH" => 0x08,
            "ACK" => 0x10,
            "URG" => 0x20,
            "ALL" => 0x3f,
            "NONE" => 0,
            _ => return None,
        };
        Some(flags | bit)
    })
}

pub(super) fn read_mac(text: &str) -> Option<MacAddress> {
    let mut parts = text.split([':', '-']);
    let mut octets = [0; 6];
    for octet in &mut octets {
        *octet = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddress(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Option<AddressItem> {
        text.parse().ok().map(AddressItem::Network)
    }

    #[test]
    fn addresses_come_in_many_spellings() {
        let masked = MaskedAddress::new([10, 0, 0, 1].into(), [255, 0, 0, 255].into());
        for (text, expected) in [
            ("192.0.2.7", net("192.0.2.7/32")),
            ("192.0.2.7/24", net("192.0.2.0/24")),
            ("192.0.2.0/255.255.254.0", net("192.0.2.0/23")),
            ("10/8", net("10.0.0.0/8")),
            ("0/0", Some(AddressItem::AnyV4)),
            ("10.9.9.1/255.0.0.255", Some(AddressItem::Masked(masked))),
            ("2001:db8::7/ffff:ffff::", net("2001:db8::/32")),
            ("::/0", Some(AddressItem::AnyV6)),
            ("WWW.example.com", Some(AddressItem::Unknown("fqdn www.example.com".to_owned()))),
            ("192.0.2.300", None),
            ("010.1.1.2", None),
            ("10.0.0.0/08", None),
            (
                "::2/::ffff:ffff:ffff:ffff",
                Some(AddressItem::Unknown("IPv6 addresses ::2/::ffff:ffff:ffff:ffff".to_owned())),
            ),
            ("192.0.2.0/33", None),
            ("$LAN", None),
            ("", None),
        ] {
            assert_eq!(read_address(text), expected, "{text}");
        }
    }

    #[test]
    fn ports_ranges_and_names() {
        for (text, expected) in [
            ("80", Some("80")),
            ("ssh,http-alt,1000:1001", Some("22,1000-1001,8080")),
            (":1023", Some("0-1023")),
            ("1024:", Some("1024-65535")),
            ("9:8", None),
            ("010", None),
            ("65536", None),
            ("", None),
        ] {
            let found = read_ports(text, ':').map(|ports| ports.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn icmp_types_by_name_and_number() {
        let kind = |kind, code| Some(IcmpType::Is(IcmpMatch { kind, code }));
        assert_eq!(read_icmp("echo-request", false), kind(8, None));
        assert_eq!(read_icmp("echo-request", true), kind(128, None));
        assert_eq!(read_icmp("3/4", false), kind(3, Some(4)));
        assert_eq!(read_icmp("any", true), Some(IcmpType::Any));
        assert_eq!(read_icmp("255", false), Some(IcmpType::Any));
        assert_eq!(read_icmp("255/0", false), Some(IcmpType::Any));
        assert_eq!(read_icmp("255/0", true), kind(255, Some(0)));
        assert_eq!(read_icmp("300", false), None);
    }
}
