//! What translations make of addresses and ports.

use parefeu_net::PortRange;
use parefeu_policy::set::AddressSet;
use parefeu_policy::{LinkedFirewall, LinkedNatTable, LinkedPortTranslation, LinkedTranslation};

use crate::course::{Act, Course, Step};
use crate::place::Passage;
use crate::ranges::{Range, Ranges, joined};
use crate::rule::{Doubt, Reader, Seen, bits, ways};
use crate::space::{Class, Dim, Family, Product, Space};

/// What a translation rule does with the address and the port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Change {
    pub(crate) address: Rewrite,
    pub(crate) port: Rewrite,
}

/// What a translation rule does with one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Rewrite {
    /// The bits that are not `kept` become those of `to`.
    Bits { to: u128, kept: u128 },
    /// The number is added, and what exceeds the field is lost.
    Add(u128),
    /// One value of these is chosen when a session opens, an address by the client's; of none, any
    /// that is free.
    Choose(Ranges),
}

/// What becomes of a field of every packet of a box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    /// The number is added, modulo the size of the field.
    Add(u128),
    /// It becomes this value.
    Constant(u128),
    /// One value of these is chosen.
    Choose(Ranges),
}

/// How two functions relate on a set of values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Agreement {
    Everywhere,
    Nowhere,
    /// On this value, and no other of the set.
    Only(u128),
}

impl Change {
    pub(crate) const NONE: Self = Self { address: Rewrite::Add(0), port: Rewrite::Add(0) };
}

impl Rewrite {
    /// What it does with every one of the values; else a value to cut behind.
    pub(crate) fn on(&self, values: &[Range]) -> Result<Function, u128> {
        match self {
            Self::Add(number) => Ok(Function::Add(*number)),
            Self::Choose(from) => Ok(Function::Choose(from.clone())),
            Self::Bits { to, kept: 0 } => Ok(Function::Constant(*to)),
            Self::Bits { to, kept } => {
                let (Some(first), Some(last)) = (values.first(), values.last()) else {
                    return Ok(Function::Constant(*to));
                };
                let block = first.0 & !kept;
                if last.1 & !kept == block {
                    Ok(Function::Add(to.wrapping_sub(block)))
                } else {
                    Err(first.0 | kept)
                }
            }
        }
    }

    /// The values it may yield.
    pub(crate) fn image(&self, values: &[Range], last: u128) -> Ranges {
        match self.on(values) {
            Ok(function) => function.image(values, last),
            // Cut finer, it will be told better.
            Err(_) => match self {
                Self::Bits { to, kept } => joined([(*to, to | kept)]),
                Self::Add(_) | Self::Choose(_) => joined([(0, last)]),
            },
        }
    }
}

impl Function {
    /// The values it may yield, of a field whose greatest value is `last`.
    pub(crate) fn image(&self, values: &[Range], last: u128) -> Ranges {
        match self {
            Self::Add(number) => moved(values, *number, last),
            Self::Constant(value) => joined([(*value, *value)]),
            Self::Choose(from) if from.is_empty() => joined([(0, last)]),
            Self::Choose(from) => from.clone(),
        }
    }

    /// How it relates to another one on a set of values.
    pub(crate) fn agreement(&self, other: &Self, values: &[Range], last: u128) -> Agreement {
        let value = match (self, other) {
            (Self::Add(a), Self::Add(b)) if a & last == b & last => return Agreement::Everywhere,
            (Self::Constant(to), Self::Add(by)) | (Self::Add(by), Self::Constant(to)) => {
                to.wrapping_sub(*by) & last
            }
            (one, other) if one == other => return Agreement::Everywhere,
            _ => return Agreement::Nowhere,
        };
        if *values == [(value, value)] {
            Agreement::Everywhere
        } else if values.iter().any(|&(low, high)| low <= value && value <= high) {
            Agreement::Only(value)
        } else {
            Agreement::Nowhere
        }
    }
}

/// The values plus a number, in a field whose greatest value is `last`.
pub(crate) fn moved(values: &[Range], number: u128, last: u128) -> Ranges {
    joined(values.iter().flat_map(|&(low, high)| {
        let (low, high) = (low.wrapping_add(number) & last, high.wrapping_add(number) & last);
        if low <= high { [(low, high), (low, high)] } else { [(low, last), (0, high)] }
    }))
}

/// A translation table as a course. Where a packet leaves is told by the route to `routed`; not yet,
/// without.
pub(crate) fn table(
    reader: &Reader<'_>,
    (firewall, passage): (&LinkedFirewall, Passage),
    table: &LinkedNatTable,
    (seen, routed): (&Seen, Option<Dim>),
    space: &mut Space,
) -> Course<Change> {
    let mut steps = Vec::new();
    for rule in table.rules.iter().filter(|rule| !rule.disabled) {
        let changes = changes(firewall, passage, &rule.translation, routed, space);
        for (product, doubt) in reader.pieces(&rule.matches, false, seen, space) {
            for (way, change) in &changes {
                let Some(product) = product.and(way) else { continue };
                let act = match (doubt, change) {
                    (None, Some(change)) => Act::Decide(change.clone()),
                    (doubt, _) => Act::Doubt(doubt.unwrap_or(Doubt::Translation)),
                };
                steps.push(Step { product, act, rule: None, at: rule.at });
            }
        }
    }
    let at = parefeu_policy::Span { source: u16::MAX, start: 0, end: 0 };
    let act = Act::Decide(Change::NONE);
    steps.push(Step { product: Product::default(), act, rule: None, at });
    Course(steps)
}

/// What a translation does, for the packets of each product; `None` where that is not known.
fn changes(
    firewall: &LinkedFirewall,
    passage: Passage,
    translation: &LinkedTranslation,
    routed: Option<Dim>,
    space: &Space,
) -> Vec<(Product, Option<Change>)> {
    let everywhere = |change| vec![(Product::default(), change)];
    let family = space.family;
    match translation {
        LinkedTranslation::Keep => everywhere(Some(Change::NONE)),
        LinkedTranslation::Unknown(_) => everywhere(None),
        LinkedTranslation::Prefix { to, port } => {
            if to.addr().is_ipv4() != (family == Family::V4) {
                return everywhere(None);
            }
            let (to, kept) = (bits(to.network()), bits(to.hostmask()));
            let address = Rewrite::Bits { to, kept };
            everywhere(Some(Change { address, port: port_change(port, space.class) }))
        }
        LinkedTranslation::Pool { to, port } => {
            let port = port_change(port, space.class);
            everywhere(pool(to, family).map(|address| Change { address, port }))
        }
        LinkedTranslation::EgressInterface => {
            let Some(routed) = routed else { return everywhere(None) };
            let port = port_change(&LinkedPortTranslation::Allocate(Vec::new()), space.class);
            let ways = ways(firewall, passage, family).into_iter();
            let of_way = ways.map(|((egress, _), destinations)| {
                let like = crate::rule::address(0, family);
                let address = firewall.address_of(egress, like).map(bits);
                let address = address.map(|to| Rewrite::Bits { to, kept: 0 });
                let change = address.map(|address| Change { address, port: port.clone() });
                (Product::of(routed, destinations), change)
            });
            of_way.collect()
        }
    }
}

/// A choice from a pool; `None` from one that has no address of the family.
fn pool(to: &AddressSet, family: Family) -> Option<Rewrite> {
    let from: Vec<Range> = match family {
        Family::V4 => to.v4_ranges().iter().map(|&(low, high)| (low.into(), high.into())).collect(),
        // Of IPv6 pools only the first range is used.
        Family::V6 => to.v6_ranges().first().copied().into_iter().collect(),
    };
    match from[..] {
        [] => None,
        [(low, high)] if low == high => Some(Rewrite::Bits { to: low, kept: 0 }),
        _ => Some(Rewrite::Choose(joined(from))),
    }
}

fn port_change(port: &LinkedPortTranslation, class: Class) -> Rewrite {
    if class != Class::Ports {
        return Rewrite::Add(0);
    }
    match port {
        LinkedPortTranslation::Keep => Rewrite::Add(0),
        LinkedPortTranslation::Shift { from, to } => Rewrite::Add(to.wrapping_sub(*from).into()),
        LinkedPortTranslation::Allocate(ranges) => {
            let range = |range: &PortRange| (range.first().into(), range.last().into());
            Rewrite::Choose(joined(ranges.iter().map(range)))
        }
    }
}
