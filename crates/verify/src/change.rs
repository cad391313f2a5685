//! What translations make of addresses and ports.

use parefeu_net::PortRange;
use parefeu_policy::set::AddressSet;
use parefeu_policy::{LinkedNatTable, LinkedPortTranslation, LinkedTranslation};

use crate::course::{Act, Course, NOWHERE, Step};
use crate::ranges::{Range, Ranges, joined};
use crate::rule::{Doubt, Reader, Seen, bits};
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
    /// A value is chosen when a session opens.
    Choose(Choice),
}

/// What a value is chosen from. Two choices are one function if they are equal, and differ from
/// every other function.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Choice {
    /// One of these: an address by that of the client, or a port that is free.
    OneOf(Ranges),
    /// What this text says, which has no value at analysis time.
    Named(String),
}

/// What becomes of a field of every packet of a box.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Function {
    /// The number is added, modulo the size of the field.
    Add(u128),
    /// It becomes this value.
    Constant(u128),
    /// A value is chosen.
    Choose(Choice),
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
            Self::Choose(Choice::OneOf(from)) => from.clone(),
            Self::Choose(Choice::Named(_)) => joined([(0, last)]),
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

/// A translation table as a course. Where a packet leaves is told by the route to `routed`; not
/// yet, without.
pub(crate) fn table(
    reader: &Reader<'_>,
    table: &LinkedNatTable,
    (seen, routed): (&Seen, Option<Dim>),
    space: &mut Space,
) -> Course<Change> {
    let mut steps = Vec::new();
    for rule in table.rules.iter().filter(|rule| !rule.disabled) {
        let changes = changes(reader, &rule.translation, routed, space);
        for (product, doubt) in reader.pieces(&rule.matches, false, seen, space) {
            for (way, change) in &changes {
                let Some(product) = product.and(way) else { continue };
                let act = match (doubt, change) {
                    (None, Some(change)) => Act::Decide(change.clone()),
                    (doubt, _) => Act::Doubt(doubt.unwrap_or(Doubt::OtherFamily)),
                };
                steps.push(Step { product, act, rule: None, at: rule.at });
            }
        }
    }
    let act = Act::Decide(Change::NONE);
    steps.push(Step { product: Product::default(), act, rule: None, at: NOWHERE });
    Course(steps)
}

/// What a translation does, for the packets of each product; `None` where it leads to the other
/// family.
fn changes(
    reader: &Reader<'_>,
    translation: &LinkedTranslation,
    routed: Option<Dim>,
    space: &Space,
) -> Vec<(Product, Option<Change>)> {
    let family = space.family;
    let everywhere = |change| vec![(Product::default(), change)];
    let untold = |text: &str| {
        let choice = || Rewrite::Choose(Choice::Named(reader.text(text)));
        everywhere(Some(Change { address: choice(), port: choice() }))
    };
    match (translation, routed) {
        (LinkedTranslation::Keep, _) => everywhere(Some(Change::NONE)),
        (LinkedTranslation::Unknown(atom), _) => untold(reader.atom_text(*atom)),
        (LinkedTranslation::Prefix { to, port }, _) => {
            let is_same = to.addr().is_ipv4() == (family == Family::V4);
            let (to, kept) = (bits(to.network()), bits(to.hostmask()));
            let change = || Change {
                address: Rewrite::Bits { to, kept },
                port: port_change(port, space.class),
            };
            everywhere(is_same.then(change))
        }
        (LinkedTranslation::Pool { to, port }, _) => match pool(to, family) {
            Some(address) => {
                let port = port_change(port, space.class);
                everywhere(Some(Change { address, port }))
            }
            // Such a rule translates no packet of the family.
            None => Vec::new(),
        },
        (LinkedTranslation::Embedded(_), _) => everywhere(None),
        (LinkedTranslation::EgressInterface, None) => untold("the address of the way out"),
        (LinkedTranslation::EgressInterface, Some(routed)) => {
            let port = port_change(&LinkedPortTranslation::Allocate(vec![DYNAMIC]), space.class);
            let of_way = reader.own_addresses(family).into_iter().map(|(way, own)| {
                let named = |name| Rewrite::Choose(Choice::Named(reader.text(name)));
                let address = match own {
                    Ok(own) => Rewrite::Bits { to: bits(own), kept: 0 },
                    Err(name) => named(&format!("the address of {name}")),
                };
                let change = Change { address, port: port.clone() };
                (Product::of(routed, way), Some(change))
            });
            of_way.collect()
        }
    }
}

/// A choice from a pool; `None` from one that has no address of the family.
fn pool(to: &AddressSet, family: Family) -> Option<Rewrite> {
    let from: Vec<Range> = match family {
        Family::V4 => to.v4_ranges().iter().map(|&(low, high)| (low.into(), high.into())).collect(),
        Family::V6 => to.v6_ranges().to_vec(),
    };
    match from[..] {
        [] => None,
        [(low, high)] if low == high => Some(Rewrite::Bits { to: low, kept: 0 }),
        _ => Some(Rewrite::Choose(Choice::OneOf(joined(from)))),
    }
}

/// What becomes of the port; of ICMP, an identifier may be chosen, which no rule compares.
fn port_change(port: &LinkedPortTranslation, class: Class) -> Rewrite {
    match (port, class) {
        (LinkedPortTranslation::Shift { from, to }, Class::Ports) => {
            Rewrite::Add(to.wrapping_sub(*from).into())
        }
        (LinkedPortTranslation::To(port), Class::Ports) => {
            Rewrite::Bits { to: (*port).into(), kept: 0 }
        }
        (LinkedPortTranslation::Allocate(ranges), Class::Ports) => {
            let range = |range: &PortRange| (range.first().into(), range.last().into());
            Rewrite::Choose(Choice::OneOf(joined(ranges.iter().map(range))))
        }
        (LinkedPortTranslation::Allocate(_), Class::Icmp) => {
            Rewrite::Choose(Choice::Named("a free identifier".to_owned()))
        }
        _ => Rewrite::Add(0),
    }
}

/// The ports one is chosen from where a client's address becomes that of an interface.
const DYNAMIC: PortRange = match PortRange::new(1024, u16::MAX) {
    Ok(range) => range,
    Err(_) => PortRange::ALL,
};
