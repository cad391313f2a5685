//! Addresses as the native format writes them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::AddressItem;
use crate::set::MaskedAddress;

/// Reads one address item. Text that is nothing else names an object; a leading `=` makes the rest
/// a name whatever it looks like, a leading `literal:` makes it a value even where an object has
/// that name.
pub(super) fn read_address(text: &str) -> AddressItem {
    if let Some(name) = text.strip_prefix('=') {
        return AddressItem::Object(name.to_owned());
    }
    if let Some(literal) = text.strip_prefix("literal:") {
        return read_address(literal);
    }
    if let Some(name) = text.strip_prefix("interface:") {
        return AddressItem::Interface(name.to_owned());
    }
    if let Some(atom) = text.strip_prefix("unknown:") {
        return AddressItem::Unknown(atom.to_owned());
    }
    match text {
        "any" => return AddressItem::Any,
        "any4" => return AddressItem::AnyV4,
        "any6" => return AddressItem::AnyV6,
        _ => {}
    }
    let parsed = read_network(text)
        .map(AddressItem::Network)
        .or_else(|| read_range(text))
        .or_else(|| read_masked(text));
    parsed.unwrap_or_else(|| AddressItem::Object(text.to_owned()))
}

/// A prefix, or a host without one.
pub(super) fn read_network(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn read_range(text: &str) -> Option<AddressItem> {
    let (first, last) = text.split_once('-')?;
    Some(AddressItem::Range(first.trim().parse().ok()?, last.trim().parse().ok()?))
}

fn read_masked(text: &str) -> Option<AddressItem> {
    let (value, mask) = text.split_once('/')?;
    let (value, mask): (Ipv4Addr, Ipv4Addr) = (value.parse().ok()?, mask.parse().ok()?);
    Some(AddressItem::Masked(MaskedAddress::new(value, mask)))
}

/// Prints an address item so that [`read_address`] reads it back.
pub(super) struct ShowAddress<'a>(pub(super) &'a AddressItem);

impl fmt::Display for ShowAddress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            AddressItem::Any => f.write_str("any"),
            AddressItem::AnyV4 => f.write_str("any4"),
            AddressItem::AnyV6 => f.write_str("any6"),
            AddressItem::Network(network) => write!(f, "{}", ShowNetwork(network.trunc())),
            AddressItem::Range(first, last) => write!(f, "{first}-{last}"),
            AddressItem::Masked(MaskedAddress { value, mask }) => {
                write!(f, "{}/{}", Ipv4Addr::from_bits(*value), Ipv4Addr::from_bits(*mask))
            }
            AddressItem::Interface(name) => write!(f, "interface:{name}"),
            AddressItem::Unknown(text) => write!(f, "unknown:{text}"),
            AddressItem::Object(name) => {
                let plain = !name.starts_with('=') && read_address(name) == *self.0;
                write!(f, "{}{name}", if plain { "" } else { "=" })
            }
        }
    }
}

/// Prints a prefix, a host without its length.
pub(super) struct ShowNetwork(pub(super) IpNet);

impl fmt::Display for ShowNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            write!(f, "{}", self.0.addr())
        } else {
            write!(f, "{}", self.0)
        }
    }
}
