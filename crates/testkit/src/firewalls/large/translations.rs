//! Address translation around a large rule base.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::PortRange;
use parefeu_policy::{AddressItem, At, NatRule, NatTable, PortTranslation, Sees, Translation};

use super::Family;
use crate::firewalls::{Filter, NEVER_AT};

/// For every hundredth filter, where its destination is a host: a published address that is
/// translated to it.
pub(super) fn published(family: Family, filters: &[Filter]) -> NatTable {
    let stated = (0..).zip(filters.iter().step_by(100)).filter_map(|(number, filter)| {
        let to = filter.dst.filter(|dst| dst.prefix_len() == family.bits())?;
        let published = family.choose(
            IpAddr::V4(Ipv4Addr::from_bits(PUBLISHED_V4.to_bits() + number)),
            IpAddr::V6(Ipv6Addr::from_bits(PUBLISHED_V6.to_bits() + u128::from(number))),
        );
        let matches = Filter { dst: Some(published.into()), ..Filter::ANY };
        let translation = Translation::Prefix { to, port: PortTranslation::Keep };
        Some(rule(format!("publish-{number}"), &matches, translation))
    });
    NatTable { rules: stated.collect(), sees: Sees::Original }
}

/// The lower half of all addresses behind sixteen addresses and the ports from 1024 on.
pub(super) fn hidden(family: Family) -> NatTable {
    let everywhere = family.everywhere();
    let half = IpNet::new(everywhere.addr(), everywhere.prefix_len() + 1).ok();
    let pool = family.choose(
        IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 28),
        IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), 124),
    );
    let ports = PortRange::new(1024, u16::MAX).into_iter().collect();
    let translation = Translation::Pool {
        to: vec![At::new(AddressItem::Network(pool), NEVER_AT)],
        port: PortTranslation::Allocate(ports),
    };
    let matches = Filter { src: half, ..Filter::ANY };
    NatTable { rules: vec![rule("hide".to_owned(), &matches, translation)], sees: Sees::Original }
}

fn rule(name: String, matches: &Filter, translation: Translation) -> NatRule {
    NatRule { name, matches: matches.to_match(), translation, ..NatRule::default() }
}

/// Published addresses begin here, in a network for measurements (RFC 2544 appendix C.2.2).
const PUBLISHED_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);

/// The same (RFC 5180 §8).
const PUBLISHED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0);
