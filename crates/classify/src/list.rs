//! One ordered list of matches, compiled: the candidates for a packet, in order.

use parefeu_policy::{LinkedMatch, PacketKey};

use crate::CompileLimits;
use crate::bits::BitSet;
use crate::rows::{self, BitRows, Dimensions};
use crate::tables::{self, Listed, Precision, Tables};
use crate::wanted;

/// A compiled list.
///
/// A candidate may match; no rule that matches, surely or perhaps, is left out. Whoever asks checks
/// candidates exactly, unless [`RuleList::is_certain`] says that nothing is left to check.
#[derive(Debug)]
pub(crate) struct RuleList {
    structure: Built,
    /// The rules of which the structure compares everything headers have to match.
    compared: BitSet,
    /// Whether that is so of every rule that is not switched off.
    is_compared_throughout: bool,
    /// Which fields some rule names: ingress and egress zone, ingress and egress interface.
    named: [bool; 4],
}

#[derive(Debug)]
enum Built {
    Tables(Box<Tables>),
    Rows(Box<BitRows>),
}

/// What a rule base is compiled to. Answers are the same; lookups are the slower the further down.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Structure {
    /// Tables for all fields.
    Tables,
    /// Tables for all but source ports, which are checked rule by rule.
    TablesWithoutSourcePorts,
    /// Tables for all but ports, which are checked rule by rule.
    TablesWithoutPorts,
    /// Rows of bits: the rules are few, or tables would outgrow their bounds.
    BitRows,
}

impl Structure {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tables => "tables",
            Self::TablesWithoutSourcePorts => "tables-without-source-ports",
            Self::TablesWithoutPorts => "tables-without-ports",
            Self::BitRows => "bit-rows",
        }
    }
}

/// What of one packet the structure compares; kept while candidates are asked for one by one.
#[derive(Clone, Copy)]
pub(crate) enum Selected {
    Tables(tables::Selected),
    Rows(rows::Selected),
}

impl RuleList {
    /// Compiles a list: tables, or rows of bits where tables would outgrow their bounds. Rows are
    /// bounded by `max_bytes`, and become coarser.
    pub(crate) fn build(
        rules: &[Listed<'_>],
        dimensions: Dimensions,
        limits: &CompileLimits,
    ) -> Self {
        let max_bytes = limits.max_bytes_per_rule_base;
        let tables = (rules.len() >= limits.min_table_rules)
            .then(|| Tables::build(rules, dimensions, limits.max_paired_rules))
            .flatten();
        let tables = tables.filter(|tables| tables.memory_bytes() <= max_bytes);
        let structure = if let Some(tables) = tables {
            Built::Tables(Box::new(tables))
        } else {
            let rules: Vec<(&LinkedMatch, bool)> =
                rules.iter().map(|rule| (rule.matches, rule.disabled)).collect();
            Built::Rows(Box::new(BitRows::build(&rules, dimensions, max_bytes)))
        };
        let is_compared = |matches: &LinkedMatch| match &structure {
            Built::Tables(tables) => {
                tables.precision.is_whole_for(matches) && wanted::is_all_compared(matches)
            }
            Built::Rows(_) => false,
        };
        let certain = rules.iter().enumerate().filter(|it| is_compared(it.1.matches));
        let certain = certain.map(|(at, _)| at);
        let compared = BitSet::of(rules.len(), certain);
        let named = |field: fn(&LinkedMatch) -> bool| rules.iter().any(|rule| field(rule.matches));
        let mut live = rules.iter().enumerate().filter(|(_, rule)| !rule.disabled);
        Self {
            structure,
            is_compared_throughout: live.all(|(at, _)| compared.contains(at)),
            compared,
            named: [
                named(|it| !it.from.is_any()),
                named(|it| !it.to.is_any()),
                named(|it| !it.ingress.is_any()),
                named(|it| !it.egress.is_any()),
            ],
        }
    }

    pub(crate) fn structure(&self) -> Structure {
        match &self.structure {
            Built::Tables(tables) => match tables.precision {
                Precision::Whole => Structure::Tables,
                Precision::NoSourcePorts => Structure::TablesWithoutSourcePorts,
                Precision::NoPorts => Structure::TablesWithoutPorts,
            },
            Built::Rows(_) => Structure::BitRows,
        }
    }

    #[inline]
    pub(crate) fn select(&self, key: &PacketKey) -> Selected {
        match &self.structure {
            Built::Tables(tables) => Selected::Tables(tables.select(key)),
            Built::Rows(rows) => Selected::Rows(rows.select(key)),
        }
    }

    /// The first candidate at or after `from`.
    #[inline]
    pub(crate) fn next(&self, selected: &Selected, from: usize) -> Option<usize> {
        match (&self.structure, selected) {
            (Built::Tables(tables), Selected::Tables(selected)) => {
                tables.next(selected, from as u32).map(|rule| rule as usize)
            }
            (Built::Rows(rows), Selected::Rows(selected)) => rows.next(selected, from),
            _ => unreachable!("what a list selected is given back to it"),
        }
    }

    /// Whether a candidate surely matches, without a look at the rule.
    #[inline]
    pub(crate) fn is_certain(&self, rule: usize, key: &PacketKey) -> bool {
        let stated =
            [key.from.is_some(), key.to.is_some(), key.ingress.is_some(), key.egress.is_some()];
        self.compared.contains(rule)
            && key.src.is_ipv4() == key.dst.is_ipv4()
            && self.named.iter().zip(stated).all(|(named, stated)| stated || !named)
    }

    /// Whether every candidate surely matches packets of one family that state no interface and no
    /// zone.
    pub(crate) fn is_certain_throughout(&self) -> bool {
        self.is_compared_throughout && self.named == [false; 4]
    }

    /// The tables, where the list has them.
    pub(crate) fn tables(&self) -> Option<&Tables> {
        match &self.structure {
            Built::Tables(tables) => Some(tables),
            Built::Rows(_) => None,
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        match &self.structure {
            Built::Tables(tables) => tables.memory_bytes(),
            Built::Rows(rows) => rows.memory_bytes(),
        }
    }
}
