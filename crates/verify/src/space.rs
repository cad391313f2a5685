//! The packets of a case: the fields they have, and products of sets of values.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use parefeu_net::Protocol;

use crate::ranges::{Ranges, both, covers, joined, meets};
use crate::rejection::{Rejection, Why};
use crate::text::Words;

/// An address family.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Family {
    V4,
    V6,
}

/// Protocols whose packets have the same fields.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Class {
    /// Those with ports.
    Ports,
    /// ICMP of either family: its type stands in the place of the source port, its code in that of
    /// the destination port.
    Icmp,
    /// All others.
    Other,
}

impl Family {
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }

    pub(crate) const fn last(self) -> u128 {
        match self {
            Self::V4 => u32::MAX as u128,
            Self::V6 => u128::MAX,
        }
    }
}

impl Class {
    pub(crate) const ALL: [Self; 3] = [Self::Ports, Self::Icmp, Self::Other];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ports => "ports",
            Self::Icmp => "icmp",
            Self::Other => "other",
        }
    }

    pub(crate) const fn contains(self, protocol: Protocol) -> bool {
        match self {
            Self::Ports => protocol.has_ports(),
            Self::Icmp => protocol.is_icmp(),
            Self::Other => !protocol.has_ports() && !protocol.is_icmp(),
        }
    }

    /// The numbers of its protocols.
    pub(crate) fn protocols(self) -> Ranges {
        let all = (0..=u8::MAX).filter(|number| self.contains(Protocol(*number)));
        joined(all.map(|number| (number.into(), number.into())))
    }
}

/// A field of a packet, or a condition that holds for it or does not.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Field {
    Src,
    Dst,
    Protocol,
    SrcPort,
    DstPort,
    /// The source address as the packet leaves; never part of a certificate, nor the next three.
    NewSrc,
    NewDst,
    NewSrcPort,
    NewDstPort,
    /// A number for each name either side knows, from 1 in their order; 0 for all others.
    Application,
    /// Whether a condition without a value at analysis time holds.
    Atom(Box<str>),
}

/// Index of a field in [`Space::fields`]; those below are always the same.
pub(crate) type Dim = usize;

pub(crate) const SRC: Dim = 0;
pub(crate) const DST: Dim = 1;
pub(crate) const PROTOCOL: Dim = 2;
pub(crate) const SRC_PORT: Dim = 3;
pub(crate) const DST_PORT: Dim = 4;
pub(crate) const NEW_SRC: Dim = 5;
pub(crate) const NEW_DST: Dim = 6;
pub(crate) const NEW_SRC_PORT: Dim = 7;
pub(crate) const NEW_DST_PORT: Dim = 8;
pub(crate) const APPLICATION: Dim = 9;

const ALWAYS: [Field; 10] = [
    Field::Src,
    Field::Dst,
    Field::Protocol,
    Field::SrcPort,
    Field::DstPort,
    Field::NewSrc,
    Field::NewDst,
    Field::NewSrcPort,
    Field::NewDstPort,
    Field::Application,
];

/// The fields of a case.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) family: Family,
    pub(crate) class: Class,
    /// The application names either side knows, in order.
    pub(crate) applications: Vec<Box<str>>,
    fields: Vec<Field>,
    numbers: BTreeMap<Field, Dim>,
}

impl Space {
    pub(crate) fn new(family: Family, class: Class, applications: Vec<Box<str>>) -> Self {
        let numbers = ALWAYS.into_iter().zip(0..).collect();
        Self { family, class, applications, fields: ALWAYS.to_vec(), numbers }
    }

    /// The number of a field, which becomes part of the space.
    pub(crate) fn number(&mut self, field: Field) -> Dim {
        let next = self.fields.len();
        let number = *self.numbers.entry(field.clone()).or_insert(next);
        if number == next {
            self.fields.push(field);
        }
        number
    }

    /// A field, if the case has it.
    pub(crate) fn known(&self, field: &Field) -> Option<Dim> {
        self.numbers.get(field).copied()
    }

    /// The greatest value of a field.
    pub(crate) fn last(&self, dim: Dim) -> u128 {
        match self.fields[dim] {
            Field::Src | Field::Dst | Field::NewSrc | Field::NewDst => self.family.last(),
            Field::SrcPort | Field::DstPort | Field::NewSrcPort | Field::NewDstPort => {
                if self.class == Class::Ports { u16::MAX.into() } else { u8::MAX.into() }
            }
            Field::Protocol => u8::MAX.into(),
            Field::Application => self.applications.len() as u128,
            Field::Atom(_) => 1,
        }
    }

    /// Every packet of the case.
    pub(crate) fn whole(&self) -> Region {
        let mut parts: Vec<Ranges> =
            (0..self.fields.len()).map(|dim| joined([(0, self.last(dim))])).collect();
        parts[PROTOCOL] = self.class.protocols();
        Region(parts)
    }

    /// The field a line names next.
    pub(crate) fn read_field(&self, words: &mut Words<'_>) -> Result<Dim, Rejection> {
        let ports = matches!(self.class, Class::Ports);
        let icmp = matches!(self.class, Class::Icmp);
        let field = match words.word() {
            "source" => return Ok(SRC),
            "destination" => return Ok(DST),
            "protocol" => return Ok(PROTOCOL),
            "source-port" if ports => return Ok(SRC_PORT),
            "destination-port" if ports => return Ok(DST_PORT),
            "icmp-type" if icmp => return Ok(SRC_PORT),
            "icmp-code" if icmp => return Ok(DST_PORT),
            "application" => return Ok(APPLICATION),
            "atom" => Field::Atom(words.quoted()?.into()),
            _ => return Err(words.wrong("a field of the case")),
        };
        let known = self.numbers.get(&field).copied();
        known.ok_or_else(|| words.reject(Why::Unknown(format!("rule that compares {field:?}"))))
    }

    /// The value of a field a line states next.
    pub(crate) fn read_value(&self, dim: Dim, words: &mut Words<'_>) -> Result<u128, Rejection> {
        let value = match (self.fields[dim] == Field::Src || dim == DST, self.family) {
            (true, Family::V4) => u128::from(words.number::<Ipv4Addr>()?.to_bits()),
            (true, Family::V6) => words.number::<Ipv6Addr>()?.to_bits(),
            _ => words.number()?,
        };
        if value > self.last(dim) {
            return Err(words.wrong("a value the field may have"));
        }
        Ok(value)
    }

    /// A value as certificates write it.
    pub(crate) fn value_text(&self, dim: Dim, value: u128) -> String {
        match (dim == SRC || dim == DST, self.family) {
            (true, Family::V4) => Ipv4Addr::from_bits(value as u32).to_string(),
            (true, Family::V6) => Ipv6Addr::from_bits(value).to_string(),
            _ => value.to_string(),
        }
    }
}

/// A set of values for each field: packets that have one of them in each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Region(pub(crate) Vec<Ranges>);

impl Region {
    /// The part of the packets with these values of a field.
    pub(crate) fn with(&self, dim: Dim, values: Ranges) -> Self {
        let mut parts = self.0.clone();
        parts[dim] = values;
        Self(parts)
    }

    /// The part of the packets that are in the product; `None` when there are none.
    pub(crate) fn within(&self, product: &Product) -> Option<Self> {
        let mut parts = self.0.clone();
        for (dim, set) in &product.0 {
            let part = both(&parts[*dim], set);
            if part.is_empty() {
                return None;
            }
            parts[*dim] = part.into();
        }
        Some(Self(parts))
    }

    /// The packets whose value of a field is at most this one, and the others.
    pub(crate) fn cut(&self, dim: Dim, value: u128) -> [Self; 2] {
        let part = |low, high| self.with(dim, both(&self.0[dim], &joined([(low, high)])).into());
        let upper =
            value.checked_add(1).map_or_else(|| joined([]), |low| joined([(low, u128::MAX)]));
        [part(0, value), self.with(dim, both(&self.0[dim], &upper).into())]
    }

    /// Whether no packet is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().any(|part| part.is_empty())
    }
}

/// Packets told by some of their fields; a field not listed may have every value.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Product(pub(crate) BTreeMap<Dim, Ranges>);

/// How a product lies to a region.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fit {
    /// No packet of the region is in it.
    Misses,
    /// Some may be.
    Meets,
    /// All are.
    Covers,
}

impl Product {
    /// The packets with one of these values of a field.
    pub(crate) fn of(dim: Dim, values: Ranges) -> Self {
        Self(BTreeMap::from([(dim, values)]))
    }

    /// The packets in both; `None` when there are none.
    pub(crate) fn and(&self, other: &Self) -> Option<Self> {
        let mut sets = self.0.clone();
        for (dim, set) in &other.0 {
            let common = match sets.get(dim) {
                Some(known) => both(known, set).into(),
                None => Rc::clone(set),
            };
            if common.is_empty() {
                return None;
            }
            sets.insert(*dim, common);
        }
        Some(Self(sets))
    }

    /// How it lies to a region.
    pub(crate) fn fit(&self, region: &Region) -> Fit {
        let mut fit = Fit::Covers;
        for (dim, set) in &self.0 {
            let part = &region.0[*dim];
            if !meets(set, part) {
                return Fit::Misses;
            }
            if fit == Fit::Covers && !covers(set, part) {
                fit = Fit::Meets;
            }
        }
        fit
    }
}
