//! The five-tuple and the two directions of a session.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::Protocol;

/// Which side of a session a packet comes from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Direction {
    /// From the side that sent the first packet (client to server).
    Original,
    /// From the side that answers (server to client).
    Reply,
}

impl Direction {
    /// The other direction.
    #[must_use]
    pub const fn reverse(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// 0 for [`Direction::Original`], 1 for [`Direction::Reply`]: the order of every
    /// `[c2s, s2c]` pair.
    pub const fn index(self) -> usize {
        match self {
            Self::Original => 0,
            Self::Reply => 1,
        }
    }
}

/// Addresses, ports and protocol of one direction of a session: a *flow*.
///
/// Protocols without ports hold 0 in both. ICMP queries hold their identifier in both ports, so
/// that an echo request and its reply are each other's [`FiveTuple::reverse`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct FiveTuple {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// Source port, ICMP identifier, or 0.
    pub src_port: u16,
    /// Destination port, ICMP identifier, or 0.
    pub dst_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl FiveTuple {
    /// The flow of the answer: source and destination exchanged.
    #[must_use]
    pub const fn reverse(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
            protocol: self.protocol,
        }
    }

    /// The flow with another source port; an ICMP identifier stands in both ports.
    #[must_use]
    pub const fn with_src_port(self, port: u16) -> Self {
        let dst_port = if self.protocol.is_icmp() { port } else { self.dst_port };
        Self { src_port: port, dst_port, ..self }
    }

    /// The same value for both directions of a session; shards and hash tables key on it.
    #[must_use]
    pub fn direction_free(self) -> Self {
        if (self.src, self.src_port) <= (self.dst, self.dst_port) { self } else { self.reverse() }
    }

    /// Whether both addresses are IPv6.
    pub const fn is_ipv6(&self) -> bool {
        matches!((self.src, self.dst), (IpAddr::V6(_), IpAddr::V6(_)))
    }

    /// Both addresses as 128-bit integers, IPv4 as IPv4-mapped (RFC 4291 §2.5.5.2).
    pub const fn address_bits(&self) -> (u128, u128) {
        (bits(self.src), bits(self.dst))
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => Ipv6Addr::to_bits(v4.to_ipv6_mapped()),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
    }
}

/// Few and wide writes: flows are hashed for every packet.
impl Hash for FiveTuple {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let (IpAddr::V4(src), IpAddr::V4(dst)) = (self.src, self.dst) {
            state.write_u64(u64::from(src.to_bits()) << 32 | u64::from(dst.to_bits()));
        } else {
            let (src, dst) = self.address_bits();
            state.write_u128(src);
            state.write_u128(dst);
        }
        let ports = u64::from(self.src_port) << 32 | u64::from(self.dst_port) << 8;
        state.write_u64(ports | u64::from(self.protocol.0));
    }
}

impl fmt::Display for FiveTuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { src, dst, src_port, dst_port, protocol } = self;
        if protocol.has_ports() {
            write!(f, "{protocol} {} > {}", Endpoint(*src, *src_port), Endpoint(*dst, *dst_port))
        } else {
            write!(f, "{protocol} {src} > {dst}")
        }
    }
}

/// An address and port the way people write them: `192.0.2.1:443`, `[2001:db8::1]:443`.
struct Endpoint(IpAddr, u16);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(v4) => write!(f, "{v4}:{}", self.1),
            IpAddr::V6(v6) => write!(f, "[{v6}]:{}", self.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_share_one_direction_free_value() {
        let flow = FiveTuple {
            src: IpAddr::from([198, 51, 100, 7]),
            dst: IpAddr::from([192, 0, 2, 1]),
            src_port: 40_000,
            dst_port: 443,
            protocol: Protocol::TCP,
        };
        assert_eq!(flow.direction_free(), flow.reverse().direction_free());
        assert_eq!(flow.reverse().reverse(), flow);
        assert_eq!(flow.to_string(), "tcp 198.51.100.7:40000 > 192.0.2.1:443");
    }

    #[test]
    fn every_field_of_a_flow_is_hashed() {
        let v4 = FiveTuple {
            src: IpAddr::from([198, 51, 100, 7]),
            dst: IpAddr::from([192, 0, 2, 1]),
            src_port: 40_000,
            dst_port: 443,
            protocol: Protocol::TCP,
        };
        let v6 = FiveTuple {
            src: IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]),
            dst: IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
            ..v4
        };
        for flow in [v4, v6] {
            let others = [
                FiveTuple { src: flow.dst, ..flow },
                FiveTuple { dst: flow.src, ..flow },
                FiveTuple { src_port: 40_001, ..flow },
                FiveTuple { dst_port: 444, ..flow },
                FiveTuple { protocol: Protocol::UDP, ..flow },
                flow.reverse(),
            ];
            let hasher = std::hash::BuildHasherDefault::<std::hash::DefaultHasher>::default();
            let hash = |flow: &FiveTuple| std::hash::BuildHasher::hash_one(&hasher, flow);
            assert_eq!(hash(&flow), hash(&flow.reverse().reverse()));
            assert!(others.iter().all(|other| hash(other) != hash(&flow)), "{flow}");
        }
    }
}
