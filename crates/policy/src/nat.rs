//! What a translation makes of an address and port, as far as it does not depend on sessions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use parefeu_net::{FiveTuple, Protocol, icmp_across, icmp_query_of};

use crate::PacketKey;
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

/// What a translation depends on besides the endpoint.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Circumstances {
    /// The sender of the first packet.
    pub client: IpAddr,
    /// An address of the family that is wanted: of a source, that of the destination as it leaves.
    pub like: IpAddr,
    /// The address of the interface by which the packet leaves, if it is known.
    pub egress: Option<IpAddr>,
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
    /// family, embeds none, or is the egress interface's and that is not known.
    ///
    /// A pool gives the address [`LinkedTranslation::pool_address`] chooses for the client.
    pub fn apply(&self, from: Endpoint, given: Circumstances) -> Option<Translated> {
        let Circumstances { client, like, egress } = given;
        let (address, port) = match self {
            Self::Keep => (from.address, &LinkedPortTranslation::Keep),
            Self::Prefix { to, port } => (replace_prefix(*to, from.address), port),
            Self::Pool { to, port } => (Self::pool_address(to, like, client)?, port),
            Self::Embedded(prefix) => {
                let address = match from.address {
                    IpAddr::V4(address) => prefix.embed(address).into(),
                    IpAddr::V6(address) => prefix.extract(address)?.into(),
                };
                (address, &LinkedPortTranslation::Keep)
            }
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
            LinkedPortTranslation::To(port) => (*port, false),
            LinkedPortTranslation::Allocate(_) => (from.port, true),
        };
        Some(Translated { endpoint: Endpoint { address, port }, port_is_allocated })
    }

    /// Whether it is a translation for packets of the family of `like`, which the translated
    /// address is to have: a pool without any such address is none.
    pub fn applies_to(&self, like: IpAddr) -> bool {
        match self {
            Self::Pool { to, .. } if like.is_ipv4() => !to.v4_ranges().is_empty(),
            Self::Pool { to, .. } => !to.v6_ranges().is_empty(),
            _ => true,
        }
    }

    /// The pool address a session uses: the same one for the same client, wherever it goes
    /// ("paired" pooling, RFC 4787 REQ-2), spread by a fixed hash. `None` for a pool without an
    /// address of the family of `like`.
    pub fn pool_address(pool: &AddressSet, like: IpAddr, client: IpAddr) -> Option<IpAddr> {
        let spread = mix(bits(client));
        if like.is_ipv4() {
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

/// The flow of a first packet as it leaves between two ends; of a ping, as that of the other family
/// where both ends are of it.
///
/// `None` where no packet can leave so: the ends are of different families, or an ICMP message that
/// is no echo request (RFC 7915 §4.2, §5.2) goes to the other one.
pub fn flow_as_it_leaves(key: &PacketKey, src: Endpoint, dst: Endpoint) -> Option<FiveTuple> {
    let is_v4 = dst.address.is_ipv4();
    if src.address.is_ipv4() != is_v4 {
        return None;
    }
    let crosses = key.src.is_ipv4() != is_v4;
    let protocol = match key.icmp {
        Some((kind, _)) if crosses && key.protocol.is_icmp() => {
            icmp_across(kind).filter(|other| icmp_query_of(*other).is_none())?;
            if is_v4 { Protocol::ICMP } else { Protocol::ICMPV6 }
        }
        _ => key.protocol,
    };
    let (src, src_port, dst, dst_port) = (src.address, src.port, dst.address, dst.port);
    Some(FiveTuple { src, dst, src_port, dst_port, protocol })
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

/// A prefix behind which IPv6 addresses embed IPv4 ones (RFC 6052 §2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EmbeddingPrefix(Ipv6Net);

/// A prefix of another length than RFC 6052 knows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[error("`{0}` embeds no IPv4 addresses: prefixes of 32, 40, 48, 56, 64 and 96 bits do (RFC 6052)")]
pub struct EmbeddingPrefixError(Ipv6Net);

impl EmbeddingPrefix {
    /// Bits 64 to 71 of an address that embeds one are zero.
    const ZERO_BITS: u128 = 0xff << 56;

    /// # Errors
    /// [`EmbeddingPrefixError`] when the prefix has another length than 32, 40, 48, 56, 64 or 96.
    pub fn new(prefix: Ipv6Net) -> Result<Self, EmbeddingPrefixError> {
        match prefix.prefix_len() {
            32 | 40 | 48 | 56 | 64 | 96 => Ok(Self(prefix.trunc())),
            _ => Err(EmbeddingPrefixError(prefix)),
        }
    }

    /// The prefix.
    pub const fn network(self) -> Ipv6Net {
        self.0
    }

    /// The IPv6 address that embeds an IPv4 one.
    pub fn embed(self, address: Ipv4Addr) -> Ipv6Addr {
        let behind = u128::from(address.to_bits()) << 96 >> self.0.prefix_len();
        let (upper, lower) = (behind >> 64 << 64, behind & u128::from(u64::MAX));
        let lower = if self.is_split() { lower >> 8 } else { lower };
        Ipv6Addr::from_bits(self.0.network().to_bits() | upper | lower)
    }

    /// The IPv4 address that an IPv6 one embeds; `None` where it has another prefix, or bits 64 to
    /// 71 are not zero. What stands behind the embedded address is not read.
    pub fn extract(self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = address.to_bits();
        if !self.0.contains(&address) || self.is_split() && bits & Self::ZERO_BITS != 0 {
            return None;
        }
        let (upper, lower) = (bits >> 64 << 64, bits & u128::from(u64::MAX));
        let lower = if self.is_split() { lower << 8 & u128::from(u64::MAX) } else { lower };
        let behind = (upper | lower) << self.0.prefix_len() >> 96;
        Some(Ipv4Addr::from_bits(behind as u32))
    }

    /// Whether bits 64 to 71, which are passed over, stand behind the prefix.
    const fn is_split(self) -> bool {
        self.0.prefix_len() <= 64
    }
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
        let given = Circumstances { client: peer, like: from.address, egress: None };
        assert_eq!(prefix.apply(from, given), Some(expected));

        let pool: AddressSet =
            std::iter::once("203.0.113.0/30".parse::<IpNet>().unwrap()).collect();
        let of = |from: Endpoint, client: &str| {
            let port = LinkedPortTranslation::Keep;
            let pool = LinkedTranslation::Pool { to: pool.clone(), port };
            let client = client.parse().unwrap();
            let given = Circumstances { client, like: from.address, egress: None };
            pool.apply(from, given).unwrap().endpoint.address
        };
        // The client is what a source translation replaces, and whom a destination one serves.
        let chosen = of(from, "192.0.2.77");
        assert!(pool.contains(chosen));
        assert_eq!(of(Endpoint { address: peer, port: 443 }, "192.0.2.77"), chosen);
        let clients = ["192.0.2.78", "192.0.2.79", "192.0.2.80", "192.0.2.81", "192.0.2.82"];
        assert!(clients.iter().any(|client| of(from, client) != chosen), "clients are spread");
    }

    /// The table of RFC 6052 §2.4.
    #[test]
    fn an_address_stands_behind_a_prefix_of_every_length() {
        for (prefix, embedding) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ] {
            let prefix = EmbeddingPrefix::new(prefix.parse().unwrap()).unwrap();
            let address = Ipv4Addr::new(192, 0, 2, 33);
            let embedding: Ipv6Addr = embedding.parse().unwrap();
            assert_eq!(prefix.embed(address), embedding, "{prefix:?}");
            assert_eq!(prefix.extract(embedding), Some(address), "{prefix:?}");
            let elsewhere = Ipv6Addr::from_bits(embedding.to_bits() ^ 1 << 127);
            assert_eq!(prefix.extract(elsewhere), None);
        }
        let reserved = "2001:db8:122:344:1c0:2:2100:0".parse().unwrap();
        let prefix = EmbeddingPrefix::new("2001:db8:122:344::/64".parse().unwrap()).unwrap();
        assert_eq!(prefix.extract(reserved), None);
        EmbeddingPrefix::new("2001:db8::/95".parse().unwrap()).unwrap_err();
    }
}
