//! Routing tables: longest prefix, then lowest metric.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::InterfaceId;
use crate::set::AddressSet;

/// Routing tables by number; table 0 is the default one.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    tables: Vec<Table>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    /// Longest prefixes first; within one length sorted by network.
    v4: Vec<(u8, Vec<(u128, Entry)>)>,
    v6: Vec<(u8, Vec<(u128, Entry)>)>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Entry {
    metric: u32,
    target: RouteTarget,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum RouteTarget {
    /// Out of an interface.
    Interface(InterfaceId),
    /// Into another routing table.
    Table(u32),
    /// Nowhere: the packet is discarded.
    Discard,
}

impl RouteTable {
    /// How often a lookup may change tables before the packet counts as not routed.
    pub const MAX_TABLE_HOPS: usize = 8;

    /// Adds a route to a table. Among equal prefixes the lowest metric wins, then the lowest
    /// target.
    pub fn insert(&mut self, table: u32, prefix: IpNet, metric: u32, target: RouteTarget) {
        let index = table as usize;
        if self.tables.len() <= index {
            self.tables.resize(index + 1, Table::default());
        }
        let table = &mut self.tables[index];
        let family = if prefix.addr().is_ipv4() { &mut table.v4 } else { &mut table.v6 };
        let length = prefix.prefix_len();
        let at = family.partition_point(|(other, _)| *other > length);
        if family.get(at).is_none_or(|(other, _)| *other != length) {
            family.insert(at, (length, Vec::new()));
        }
        let (network, entry) = (bits(prefix.network()), Entry { metric, target });
        let routes = &mut family[at].1;
        match routes.binary_search_by_key(&network, |(network, _)| *network) {
            Ok(found) => routes[found].1 = routes[found].1.min(entry),
            Err(free) => routes.insert(free, (network, entry)),
        }
    }

    /// The egress interface for `address`, following routes that lead to other tables.
    ///
    /// `O(distinct prefix lengths × log routes)`.
    pub fn lookup(&self, table: u32, address: IpAddr) -> Option<InterfaceId> {
        match self.end(table, address)? {
            RouteTarget::Interface(interface) => Some(interface),
            RouteTarget::Table(_) | RouteTarget::Discard => None,
        }
    }

    /// Where routes lead in the end.
    fn end(&self, table: u32, address: IpAddr) -> Option<RouteTarget> {
        let mut table = table;
        for _ in 0..Self::MAX_TABLE_HOPS {
            match self.tables.get(table as usize)?.longest(address)? {
                RouteTarget::Table(next) => table = next,
                end => return Some(end),
            }
        }
        None
    }

    /// The addresses that routes discard, for packets routed by this table.
    pub fn discarded(&self, table: u32) -> AddressSet {
        let mut found = AddressSet::default();
        for is_v4 in [true, false] {
            let last = if is_v4 { u128::from(u32::MAX) } else { u128::MAX };
            let mut starts = vec![0];
            for (first, end) in self.ranges(is_v4) {
                starts.push(bits(first));
                starts.extend(bits(end).checked_add(1).filter(|next| *next <= last));
            }
            starts.sort_unstable();
            starts.dedup();
            let ends = starts.iter().skip(1).map(|next| next - 1).chain([last]);
            for (start, end) in starts.iter().zip(ends) {
                let [start, end] = [*start, end].map(|bits| address(bits, is_v4));
                if self.end(table, start) == Some(RouteTarget::Discard) {
                    // They are in order, and of one family.
                    let _ = found.insert_range(start, end);
                }
            }
        }
        found
    }

    /// The interface of the first table that routes `address`.
    pub fn lookup_any(&self, address: IpAddr) -> Option<InterfaceId> {
        (0..self.tables.len() as u32).find_map(|table| self.lookup(table, address))
    }

    /// The first and the last address of the prefix of each route of one family, table by table.
    /// Between two neighbouring bounds every lookup answers alike.
    pub fn ranges(&self, is_v4: bool) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        self.tables.iter().flat_map(move |table| {
            let (family, width) = if is_v4 { (&table.v4, 32) } else { (&table.v6, 128) };
            family.iter().flat_map(move |(length, routes)| {
                let hosts = u128::MAX.checked_shr(128 - width + u32::from(*length)).unwrap_or(0);
                let ends =
                    move |network: u128| (address(network, is_v4), address(network | hosts, is_v4));
                routes.iter().map(move |(network, _)| ends(*network))
            })
        })
    }

    /// Whether no route exists.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.v4.is_empty() && table.v6.is_empty())
    }
}

impl Table {
    fn longest(&self, address: IpAddr) -> Option<RouteTarget> {
        let (family, width) = if address.is_ipv4() { (&self.v4, 32) } else { (&self.v6, 128) };
        let value = bits(address);
        family.iter().find_map(|(length, routes)| {
            let host_bits = width - u32::from(*length);
            let network = value.checked_shr(host_bits).unwrap_or(0);
            let network = network.checked_shl(host_bits).unwrap_or(0);
            let at = routes.binary_search_by_key(&network, |(network, _)| *network).ok()?;
            Some(routes[at].1.target)
        })
    }
}

/// The address of one family with these bits.
const fn address(bits: u128, is_v4: bool) -> IpAddr {
    if is_v4 {
        IpAddr::V4(Ipv4Addr::from_bits(bits as u32))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits(bits))
    }
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_then_the_lowest_metric_wins() {
        let mut routes = RouteTable::default();
        for (table, prefix, metric, target) in [
            (0, "0.0.0.0/0", 1, RouteTarget::Interface(InterfaceId(0))),
            (0, "10.0.0.0/8", 5, RouteTarget::Interface(InterfaceId(1))),
            (0, "10.0.0.0/8", 2, RouteTarget::Interface(InterfaceId(2))),
            (0, "10.1.0.0/16", 9, RouteTarget::Table(1)),
            (0, "::/0", 1, RouteTarget::Discard),
            (1, "0.0.0.0/0", 1, RouteTarget::Table(0)),
        ] {
            routes.insert(table, prefix.parse().unwrap(), metric, target);
        }
        for (address, expected) in [
            ("192.0.2.1", Some(InterfaceId(0))),
            ("10.2.0.1", Some(InterfaceId(2))),
            ("10.1.0.1", None), // the two tables send it back and forth
            ("2001:db8::1", None),
        ] {
            assert_eq!(routes.lookup(0, address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn the_ranges_of_a_family_are_those_of_its_prefixes() {
        let mut routes = RouteTable::default();
        for (table, prefix) in
            [(0, "0.0.0.0/0"), (0, "10.1.0.0/16"), (0, "::/0"), (1, "10.0.0.1/32")]
        {
            routes.insert(table, prefix.parse().unwrap(), 1, RouteTarget::Discard);
        }
        let found: Vec<String> =
            routes.ranges(true).map(|(first, last)| format!("{first}-{last}")).collect();
        let expected = ["10.1.0.0-10.1.255.255", "0.0.0.0-255.255.255.255", "10.0.0.1-10.0.0.1"];
        assert_eq!(found, expected);
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        let first = "::".parse().unwrap();
        assert_eq!(routes.ranges(false).collect::<Vec<_>>(), [(first, last)]);
    }
}
