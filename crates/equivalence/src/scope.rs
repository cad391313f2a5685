//! Packets told by the fields people name: what a waiver, an intent or a search is about.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::set::Ranges;

use crate::compare::Compared;
use crate::crossing::{Crossing, Names};
use crate::flatten::{Family, ProtocolClass};
use crate::problem::{Field, Problem, Set};
use crate::solve::Solution;

/// Addresses of both families.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addresses {
    /// Those of IPv4.
    pub v4: Ranges,
    /// Those of IPv6.
    pub v6: Ranges,
}

impl Addresses {
    fn of(&self, family: Family) -> &Ranges {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

/// A product of sets of packets. A field that is `None`, or names no place, is not restricted.
///
/// Ports restrict to protocols that have them, types and codes to ICMP.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Scope {
    /// Where they enter: names of places of either side.
    pub from: Vec<Box<str>>,
    /// Where they leave.
    pub to: Vec<Box<str>>,
    /// Source addresses.
    pub src: Option<Addresses>,
    /// Destination addresses.
    pub dst: Option<Addresses>,
    /// IP protocol numbers.
    pub protocols: Option<Ranges>,
    /// Source ports.
    pub src_ports: Option<Ranges>,
    /// Destination ports.
    pub dst_ports: Option<Ranges>,
    /// ICMP types.
    pub icmp_types: Option<Ranges>,
    /// ICMP codes.
    pub icmp_codes: Option<Ranges>,
    /// Applications by name; [`Scope::OTHER`] stands for all that no configuration names.
    pub applications: Option<Vec<Box<str>>>,
}

/// The values of each field; a field not listed has every value.
pub(crate) type Sets = BTreeMap<Field, Ranges>;

impl Scope {
    /// What stands for all applications that no configuration names.
    pub const OTHER: &'static str = "other";

    /// Whether packets of a crossing are meant. A place where they leave is compared only where the
    /// crossing states one: where routes tell, a scope that names one holds nothing.
    pub(crate) fn holds_way(&self, crossing: &Crossing) -> bool {
        self.holds_names(&crossing.from, crossing.to.as_ref())
    }

    pub(crate) fn holds_names(&self, from: &Names, to: Option<&Names>) -> bool {
        let fits = |wanted: &[Box<str>], names: &Names| {
            names.iter().flatten().any(|name| wanted.contains(name))
        };
        let enters = self.from.is_empty() || fits(&self.from, from);
        enters && (self.to.is_empty() || to.is_some_and(|to| fits(&self.to, to)))
    }

    /// The values of packets of a family and a class of protocols; `None` where none is meant.
    pub(crate) fn sets(
        &self,
        family: Family,
        class: ProtocolClass,
        applications: &[Box<str>],
    ) -> Option<Sets> {
        let (ports, icmp) =
            ([&self.src_ports, &self.dst_ports], [&self.icmp_types, &self.icmp_codes]);
        let named = |sets: [&Option<Ranges>; 2]| sets.into_iter().any(Option::is_some);
        let [first, second] = match class {
            ProtocolClass::WithPorts if !named(icmp) => ports,
            ProtocolClass::Icmp if !named(ports) => icmp,
            ProtocolClass::Other if !named(ports) && !named(icmp) => [&None, &None],
            _ => return None,
        };
        let protocols = self.protocols.as_ref().map(|set| set.intersection(&class.values()));
        let numbers = self.applications.as_ref().map(|names| numbers(names, applications));
        let fields = [
            (Field::Src, self.src.as_ref().map(|set| set.of(family).clone())),
            (Field::Dst, self.dst.as_ref().map(|set| set.of(family).clone())),
            (Field::Protocol, protocols),
            (Field::SrcPort, first.clone()),
            (Field::DstPort, second.clone()),
            (Field::Application, numbers),
        ];
        let named = fields.into_iter().filter_map(|(field, set)| Some((field, set?)));
        let sets: Sets = named.collect();
        sets.values().all(|set| !set.is_empty()).then_some(sets)
    }
}

/// The values of [`Field::Application`] that names stand for.
fn numbers(names: &[Box<str>], applications: &[Box<str>]) -> Ranges {
    let all = std::iter::once(Scope::OTHER).chain(applications.iter().map(|name| &**name));
    let named = (0..).zip(all).filter(|(_, known)| names.iter().any(|name| **name == **known));
    named.map(|(value, _)| (value, value)).collect()
}

/// Whether two products have nothing in common.
pub(crate) fn are_apart(one: &Sets, other: &Sets) -> bool {
    let mut fields = one.iter();
    fields.any(|(field, set)| other.get(field).is_some_and(|other| !set.overlaps(other)))
}

/// The part of a product of sets inside of another one, and the rest as disjoint products.
pub(crate) fn split(case: &Compared, sets: &Sets, by: &Sets) -> (Option<Sets>, Vec<Sets>) {
    let (mut inside, mut rest) = (sets.clone(), Vec::new());
    for (field, wanted) in by {
        let known = inside.get(field).cloned().unwrap_or_else(|| every(case, field));
        let (within, without) = (known.intersection(wanted), known.difference(wanted));
        if within.is_empty() {
            return (None, vec![sets.clone()]);
        }
        if !without.is_empty() {
            let mut part = inside.clone();
            part.insert(field.clone(), without);
            rest.push(part);
            inside.insert(field.clone(), within);
        }
    }
    (Some(inside), rest)
}

/// The values of each box of a solution, different or, if these are wanted, open.
pub(crate) fn boxes(problem: &Problem, solution: &Solution, with_open: bool) -> Vec<Sets> {
    let different = solution.differences.iter().map(|it| it.sets.to_vec());
    let open = solution.open.iter().filter(|_| with_open);
    let open = open.map(|it| it.area.iter().map(|range| Set::from([*range])).collect());
    different.chain(open).map(|sets: Vec<Set>| values(problem, &sets)).collect()
}

/// The values of a product of classes.
fn values(problem: &Problem, product: &[Set]) -> Sets {
    let fields = problem.dimensions.iter().zip(product);
    let narrowed = fields.filter(|(dimension, set)| set[..] != [(0, dimension.classes() - 1)]);
    let sets = narrowed.map(|(dimension, set)| {
        let values =
            |&(low, high): &(u32, u32)| (dimension.values(low).0, dimension.values(high).1);
        let values = set.iter().map(values);
        (dimension.field.clone(), values.collect())
    });
    sets.collect()
}

/// Every value of a field in a case.
pub(crate) fn every(case: &Compared, field: &Field) -> Ranges {
    let known = case.problem.dimensions.iter().find(|dimension| dimension.field == *field);
    let last = known.map_or_else(
        || match (field, case.case.protocols) {
            (Field::Src | Field::Dst, _) => case.case.family.last(),
            (Field::SrcPort | Field::DstPort, ProtocolClass::WithPorts) => u16::MAX.into(),
            (Field::Application, _) => case.problem.applications.len() as u128,
            _ => u8::MAX.into(),
        },
        |dimension| dimension.last,
    );
    Ranges::span(0, last)
}

/// How many packets a product holds in a case, counted over every field the case compares.
pub(crate) fn volume(case: &Compared, sets: &Sets) -> f64 {
    let compared = case.problem.dimensions.iter().map(|dimension| &dimension.field);
    let application = [Field::Application];
    let fields: BTreeSet<&Field> = compared.chain(&application).collect();
    let sizes = fields.into_iter().map(|field| {
        let set = sets.get(field).cloned().unwrap_or_else(|| every(case, field));
        set.as_slice().iter().map(|&(first, last)| (last - first) as f64 + 1.0).sum::<f64>()
    });
    sizes.product()
}
