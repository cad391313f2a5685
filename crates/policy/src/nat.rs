//! What a translation makes of an address and port, as far as it does not depend on sessions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::linked::{LinkedPortTranslation, LinkedTranslation};
use crate::set::AddressSet;

/// Address and port of one side of a flow.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port, or ICMP identifier.
    pub port: u16,
}

/// What a translation makes of an endpoint.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Translated {
    /// The new endpoint. With [`Translated::port_is_allocated`] its port is the wish: the old one.
    pub endpoint: Endpoint,
    /// Whether the session table chooses the port.
    pub port_is_allocated: bool,
}

impl LinkedTranslation {
    /// The translated endpoint; `None` when the target is not modelled, has no address of the
    /// family, or is the egress interface's and `egress` is not known.
    ///
    /// A pool gives the address [`LinkedTranslation::pool_address`] chooses for `client`, the
    /// sender of the first packet.
    pub fn apply(
        &self,
        from: Endpoint,
        client: IpAddr,
        egress: Option<IpAddr>,
    ) -> Option<Translated> {
        let (address, port) = match self {
            Self::Keep => (from.address, &LinkedPortTranslation::Keep),
            Self::Prefix { to, port } => (replace_prefix(*to, from.address), port),
            Self::Pool { to, port } => (Self::pool_address(to, from.address, client)?, port),
            Self::EgressInterface => {
                let endpoint = Endpoint { address: egress?, port: from.port };
                return Some(Translated { endpoint, port_is_allocated: true });
            }
            Self::Unknown(_) => return None,
        };
        let (port, port_is_allocated) = match port {
            LinkedPortTranslation::Keep => (from.port, false),
            LinkedPortTranslation::Shift { from: first, to } => {
                (to.wrapping_add(from.port.wrapping_sub(*first)), false)
            }
            LinkedPortTranslation::Allocate(_) => (from.port, true),
        };
        Some(Translated { endpoint: Endpoint { address, port }, port_is_allocated })
    }

    /// The pool address a session uses: the same one for the same client, wherever it goes
    /// ("paired" pooling, RFC 4787 REQ-2), spread by a fixed hash. `None` for a pool without an
    /// address of the family of `address`, the one being translated.
    pub fn pool_address(pool: &AddressSet, address: IpAddr, client: IpAddr) -> Option<IpAddr> {
        let spread = mix(bits(client));
        if address.is_ipv4() {
            let size: u64 = pool.v4_ranges().iter().map(|(a, b)| u64::from(b - a) + 1).sum();
            let mut index = spread.checked_rem(size)?;
            for &(first, last) in pool.v4_ranges() {
                let count = u64::from(last - first) + 1;
                if index < count {
                    return Some(Ipv4Addr::from_bits(first + index as u32).into());
                }
                index -= count;
            }
            return None;
        }
        let &(first, last) = pool.v6_ranges().first()?;
        let count = (last - first).saturating_add(1);
        Some(Ipv6Addr::from_bits(first + u128::from(spread) % count).into())
    }
}

/// `address` with the prefix bits of `to`; `to` itself when the families differ.
fn replace_prefix(to: IpNet, address: IpAddr) -> IpAddr {
    match (to, address) {
        (IpNet::V4(to), IpAddr::V4(address)) => {
            let host = address.to_bits() & to.hostmask().to_bits();
            Ipv4Addr::from_bits(to.network().to_bits() | host).into()
        }
        (IpNet::V6(to), IpAddr::V6(address)) => {
            let host = address.to_bits() & to.hostmask().to_bits();
            Ipv6Addr::from_bits(to.network().to_bits() | host).into()
        }
        (to, _) => to.addr(),
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A fixed 64-bit mix (the finaliser of SplitMix64); nothing secret rests on it.
const fn mix(value: u128) -> u64 {
    let mut x = (value as u64) ^ ((value >> 64) as u64).rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_keeps_host_bits_and_a_pool_is_paired() {
        let from = Endpoint { address: "192.0.2.77".parse().unwrap(), port: 80 };
        let peer = "198.51.100.1".parse().unwrap();
        let port = LinkedPortTranslation::Shift { from: 80, to: 8080 };
        let to = "10.0.0.0/24".parse().unwrap();
        let prefix = LinkedTranslation::Prefix { to, port };
        let endpoint = Endpoint { address: "10.0.0.77".parse().unwrap(), port: 8080 };
        let expected = Translated { endpoint, port_is_allocated: false };
        assert_eq!(prefix.apply(from, peer, None), Some(expected));

        let pool: AddressSet =
            std::iter::once("203.0.113.0/30".parse::<IpNet>().unwrap()).collect();
        let of = |from: Endpoint, client: &str| {
            let port = LinkedPortTranslation::Keep;
            let pool = LinkedTranslation::Pool { to: pool.clone(), port };
            pool.apply(from, client.parse().unwrap(), None).unwrap().endpoint.address
        };
        // The client is what a source translation replaces, and whom a destination one serves.
        let chosen = of(from, "192.0.2.77");
        assert!(pool.contains(chosen));
        assert_eq!(of(Endpoint { address: peer, port: 443 }, "192.0.2.77"), chosen);
        let clients = ["192.0.2.78", "192.0.2.79", "192.0.2.80", "192.0.2.81", "192.0.2.82"];
        assert!(clients.iter().any(|client| of(from, client) != chosen), "clients are spread");
    }
}
