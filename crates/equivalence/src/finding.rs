//! The differences of all cases together: the same region seen on several ways, in both families
//! or for all protocols is told once.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use parefeu_policy::set::Ranges;
use parefeu_policy::{AtomId, LinkedFirewall};

use crate::accept::{Piece, Sorting, Terms};
use crate::certain::Certainty;
use crate::compare::{Answer, Compared};
use crate::confirm::{self, Opinion};
use crate::crossing::{Crossing, Names};
use crate::flatten::{Family, ProtocolClass, atom_field};
use crate::gate::Gates;
use crate::merge::{Merger, Product};
use crate::pairing::Pairing;
use crate::problem::{Field, List, Origin, Outcome, Problem, Side, Step};
use crate::region::{Fate, Region};
use crate::solve::Stop;
use crate::witness::Witness;

/// A set of packets, on every one of which two firewalls differ in the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What changes.
    pub change: Change,
    /// Whether the change is to what is recognised as the application only: for other applications
    /// the same headers are let through by both.
    pub by_application: bool,
    /// Whether the sides differ on these headers whichever conditions hold that the configurations
    /// do not tell; perhaps not in the same way.
    pub certain: bool,
    /// Where the packets enter.
    pub from: Vec<Names>,
    /// Where they leave; empty where that follows from the destination.
    pub to: Vec<Names>,
    /// Their family; `None` for both.
    pub family: Option<Family>,
    /// Their class of protocols; `None` for all.
    pub protocols: Option<ProtocolClass>,
    /// The values of each field; a field not listed has every value.
    pub sets: BTreeMap<Field, Ranges>,
    /// What the old firewall does.
    pub old: Decision,
    /// What the new firewall does.
    pub new: Decision,
    /// The conditions that stand for what a configuration does not hold, and on which the finding
    /// rests: with the other side's rules for them, it may be none.
    pub rests_on: Vec<Missing>,
    /// One of the packets.
    pub witness: Witness,
    /// Where the witness enters and leaves.
    pub witness_way: Crossing,
    /// Why the finding is meant, if it is.
    pub accepted: Option<Acceptance>,
    /// What the reference evaluation says of the witness on either side; nothing for findings
    /// beyond the first [`Finding::CONFIRMED`].
    pub opinions: [Opinion; 2],
    /// Logarithm to base 2 of how many packet headers there are: addresses, protocols, and ports or
    /// ICMP types, on one way.
    pub packets_log2: f64,
}

impl Finding {
    /// This many witnesses are shown to the reference evaluation.
    pub const CONFIRMED: usize = 1000;

    /// Whether the reference evaluation contradicts the finding.
    pub fn is_contradicted(&self) -> bool {
        self.opinions.iter().any(|it| it.agrees == Some(false))
    }
}

/// A condition that only implied rules compare: it stands for something the text does not hold,
/// such as the rules of the other address family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Missing {
    /// The firewall that lacks it.
    pub side: Side,
    /// The condition.
    pub atom: AtomId,
}

impl Missing {
    /// What a firewall lacks.
    pub(crate) fn of(firewall: &LinkedFirewall, side: Side) -> Vec<Self> {
        let atoms = |implied: bool| {
            let rules = firewall.rules.iter().filter(move |rule| rule.implied == implied);
            rules.flat_map(|rule| &rule.matches.atoms).copied().collect::<BTreeSet<AtomId>>()
        };
        atoms(true).difference(&atoms(false)).map(|&atom| Self { side, atom }).collect()
    }
}

/// What changes for the packets of a finding.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Change {
    /// Refused before, let through now.
    Opened,
    /// Let through before, refused now.
    Closed,
    /// Let through by both, translated differently.
    Translation,
    /// Refused by both, in different ways.
    Refusal,
    /// Treated alike, and recorded or inspected differently.
    Logging,
}

impl Change {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Translation => "translation",
            Self::Refusal => "refusal",
            Self::Logging => "logging",
        }
    }

    fn of(old: &Outcome, new: &Outcome) -> Self {
        match (old.allows(), new.allows()) {
            _ if matches!((old, new), (Outcome::Recorded(_), Outcome::Recorded(_))) => {
                Self::Logging
            }
            (true, true) => Self::Translation,
            (true, false) => Self::Closed,
            (false, true) => Self::Opened,
            (false, false) => Self::Refusal,
        }
    }
}

/// Why a difference is meant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Acceptance {
    /// The waiver of this index says so.
    Waiver(usize),
    /// A rule for ports became one for applications, and such narrowing is accepted.
    Narrowing,
}

/// What one firewall does with the packets of a finding.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Decision {
    /// What becomes of them.
    pub outcome: Outcome,
    /// What may decide one of them, in order.
    pub deciders: Vec<Origin>,
}

/// The differences an answer found: first those that rest on nothing, the largest first.
pub fn findings(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
) -> Vec<Finding> {
    findings_apart(old, new, answer, pairing, &Terms::default())
}

/// The same, those parts of them told apart that are accepted: together they hold the same packets,
/// and each is accepted as a whole or not at all.
pub fn findings_apart(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
    terms: &Terms<'_>,
) -> Vec<Finding> {
    let mut found = told(old, new, answer, pairing, terms);
    let applications = answer.applications();
    for it in terms.confirmed(&mut found) {
        let ask = |firewall, passage, decision: &Decision| {
            confirm::ask(firewall, passage, &it.witness, applications, &decision.outcome)
        };
        let way = &it.witness_way;
        it.opinions = [ask(old, way.old, &it.old), ask(new, way.new, &it.new)];
    }
    found
}

/// The findings, without a second opinion on any.
pub(crate) fn told(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
    terms: &Terms<'_>,
) -> Vec<Finding> {
    let one_dialect = old.dialect == new.dialect;
    let missing = [(old, Side::Old), (new, Side::New)].into_iter().flat_map(|(firewall, side)| {
        let missing = Missing::of(firewall, side).into_iter();
        missing.map(move |it| (atom_field(firewall, "condition", it.atom, one_dialect), it))
    });
    let missing: Vec<(Field, Missing)> = missing.collect();
    let mut found = Vec::new();
    for case in &answer.compared {
        let ways = ways(&case.crossings);
        let sorting = Sorting::new(case, terms);
        let certainty = Certainty::of(case, terms.stop);
        for region in &case.regions {
            for (from, to) in &ways {
                for piece in sorting.pieces(region, (from, to)) {
                    let certain = certainty.holds(&piece.region.sets);
                    let finding = finding(case, &piece, pairing, terms.stop);
                    found.extend(finding.map(|it| Finding { certain, ..it }));
                }
            }
        }
    }
    for it in &mut found {
        let rests_on = missing.iter().filter(|(field, _)| it.sets.contains_key(field));
        it.rests_on = rests_on.map(|(_, missing)| *missing).collect();
    }
    let found = united(found, Shape::without_protocols, all_protocols);
    let mut found = united(found, Shape::without_family, both_families);
    let order = |it: &Finding| (!it.rests_on.is_empty(), -it.packets_log2);
    found.sort_by(|a, b| order(a).partial_cmp(&order(b)).unwrap_or(Ordering::Equal));
    found
}

/// Where packets enter and leave: products that together are all crossings.
fn ways(crossings: &[Crossing]) -> Vec<(Vec<Names>, Vec<Names>)> {
    let mut names: Vec<&Names> = Vec::new();
    let mut known: HashMap<&Names, u128> = HashMap::new();
    let mut number = |of| {
        *known.entry(of).or_insert_with(|| {
            names.push(of);
            names.len() as u128
        })
    };
    let mut merger = Merger::default();
    let mut products: Vec<Product> = crossings
        .iter()
        .map(|crossing| {
            let pair = [number(&crossing.from), crossing.to.as_ref().map_or(0, &mut number)];
            pair.map(|value| merger.number(Ranges::one(value))).into()
        })
        .collect();
    products.sort_unstable();
    products.dedup();
    let products = merger.merge(products, Stop::default());
    let named = |set: u32| {
        let ranges = merger.set(set).as_slice().iter();
        let values = ranges.flat_map(|&(first, last)| first..=last).filter(|value| *value > 0);
        let named = values.filter_map(|value| names.get(value as usize - 1));
        named.map(|names| (*names).clone()).collect::<Vec<_>>()
    };
    products.iter().map(|product| (named(product[0]), named(product[1]))).collect()
}

fn finding(case: &Compared, piece: &Piece, pairing: &Pairing, stop: Stop) -> Option<Finding> {
    let Piece { region, from, to, accepted } = piece;
    let Compared { problem, case: asked, crossings, .. } = case;
    let goes = |names: &Option<Names>| names.as_ref().map_or(to.is_empty(), |it| to.contains(it));
    let way = crossings.iter().find(|way| from.contains(&way.from) && goes(&way.to))?.clone();
    let ends = [&way.from, way.to.as_ref().unwrap_or(&[None, None])];
    let networks = ends.map(|names| networks(pairing, names, asked.family));
    let class = (asked.family, asked.protocols);
    let witness = Witness::of(problem, region, class, networks.each_ref().map(Vec::as_slice))?;
    let decision = |fate: &Fate| Decision {
        outcome: problem.outcomes[fate.outcome.0 as usize].clone(),
        deciders: fate.deciders.clone(),
    };
    let (old, new) = (decision(&region.old), decision(&region.new));
    let change = Change::of(&old.outcome, &new.outcome);
    Some(Finding {
        change,
        by_application: change != Change::Logging
            && !stop.is_given()
            && by_application(problem, region, &witness),
        certain: true,
        from: from.clone(),
        to: to.clone(),
        family: Some(asked.family),
        protocols: Some(asked.protocols),
        sets: region.sets.clone(),
        old,
        new,
        rests_on: Vec::new(),
        accepted: *accepted,
        opinions: [Opinion::default(), Opinion::default()],
        packets_log2: packets_log2(problem, region),
        witness,
        witness_way: way,
    })
}

/// The networks connected to a place of either side, of a family.
fn networks(pairing: &Pairing, names: &Names, family: Family) -> Vec<Ranges> {
    let of = |gates: &Gates, name: &Option<Box<str>>| {
        let gates = gates.gates.iter().filter(|gate| name.is_some() && gate.name == *name);
        let networks = gates.flat_map(|gate| &gate.networks);
        let wanted = networks.filter_map(|network| match (network, family) {
            (ipnet::IpNet::V4(it), Family::V4) => {
                Some(Ranges::span(it.network().to_bits().into(), it.broadcast().to_bits().into()))
            }
            (ipnet::IpNet::V6(it), Family::V6) => {
                Some(Ranges::span(it.network().to_bits(), it.broadcast().to_bits()))
            }
            _ => None,
        });
        wanted.collect::<Vec<_>>()
    };
    [of(&pairing.old, &names[0]), of(&pairing.new, &names[1])].concat()
}

/// Whether the region is told from packets both firewalls let through by its application alone.
fn by_application(problem: &Problem, region: &Region, witness: &Witness) -> bool {
    let field = problem.dimensions.iter().position(|it| it.field == Field::Application);
    let (Some(at), true) = (field, region.sets.contains_key(&Field::Application)) else {
        return false;
    };
    let Some(point) = witness.point(problem) else { return false };
    (0..problem.dimensions[at].classes()).any(|class| {
        let mut other = point.clone();
        other[at] = class;
        let allowed = |list: &List| decided(problem, list, &other).is_some_and(Outcome::allows);
        allowed(&problem.old) && allowed(&problem.new)
    })
}

/// What a list decides for a point.
fn decided<'a>(problem: &'a Problem, list: &List, point: &[u32]) -> Option<&'a Outcome> {
    let mut at = 0;
    loop {
        let entry = list.entries.get(at)?;
        let matches = entry.sets.iter().all(|(dimension, set)| {
            let class = point[dimension.0 as usize];
            let ranges = &problem.sets[set.0 as usize];
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&class))
        });
        match entry.step {
            _ if !matches => at += 1,
            Step::Skip(to) => at = to as usize,
            Step::Decide(outcome) => return Some(&problem.outcomes[outcome.0 as usize]),
        }
    }
}

fn packets_log2(problem: &Problem, region: &Region) -> f64 {
    let header = [Field::Src, Field::Dst, Field::Protocol, Field::SrcPort, Field::DstPort];
    let dimensions = problem.dimensions.iter().filter(|it| header.contains(&it.field));
    let sizes = dimensions.map(|dimension| {
        let set = region.sets.get(&dimension.field);
        let all = [(0, dimension.last)];
        let ranges = set.map_or(&all[..], Ranges::as_slice);
        let values: f64 = ranges.iter().map(|&(first, last)| (last - first) as f64 + 1.0).sum();
        values.log2()
    });
    sizes.sum()
}

/// Findings that are one but for a property, united where together they have all its values.
fn united(
    found: Vec<Finding>,
    shape: impl Fn(&Finding) -> Option<Shape>,
    unite: impl Fn(&[Finding]) -> Option<Finding>,
) -> Vec<Finding> {
    let mut groups: Vec<Vec<Finding>> = Vec::new();
    let mut places: HashMap<Shape, usize> = HashMap::new();
    for it in found {
        let place = match shape(&it) {
            Some(shape) => *places.entry(shape).or_insert(groups.len()),
            None => groups.len(),
        };
        match groups.get_mut(place) {
            Some(group) => group.push(it),
            None => groups.push(vec![it]),
        }
    }
    let united = groups.into_iter().map(|group| match unite(&group) {
        Some(mut one) => {
            let packets = group.iter().map(|it| it.packets_log2.exp2());
            one.packets_log2 = packets.sum::<f64>().log2();
            vec![one]
        }
        None => group,
    });
    united.flatten().collect()
}

/// What findings have in common that may be one.
#[derive(Eq, Hash, PartialEq)]
struct Shape {
    from: Vec<Names>,
    to: Vec<Names>,
    family: Option<Family>,
    protocols: Option<ProtocolClass>,
    sets: BTreeMap<Field, Ranges>,
    decisions: [Decision; 2],
    by_application: bool,
    certain: bool,
    accepted: Option<Acceptance>,
}

impl Shape {
    fn of(finding: &Finding) -> Self {
        let Finding { from, to, family, protocols, sets, old, new, .. } = finding;
        Self {
            from: from.clone(),
            to: to.clone(),
            family: *family,
            protocols: *protocols,
            sets: sets.clone(),
            decisions: [old.clone(), new.clone()],
            by_application: finding.by_application,
            certain: finding.certain,
            accepted: finding.accepted,
        }
    }

    /// Of a finding with all protocols of its class, and no port or ICMP type, what it has in
    /// common with those of other classes.
    fn without_protocols(finding: &Finding) -> Option<Self> {
        let whole = finding.protocols?.values();
        let mut shape = Self::of(finding);
        let all = shape.sets.remove(&Field::Protocol).is_none_or(|set| set == whole);
        let ports = [Field::SrcPort, Field::DstPort];
        let free = all && ports.iter().all(|field| !shape.sets.contains_key(field));
        shape.protocols = None;
        free.then_some(shape)
    }

    /// Of a finding that names no address, what it has in common with that of the other family.
    fn without_family(finding: &Finding) -> Option<Self> {
        let mut shape = Self::of(finding);
        let addresses = [Field::Src, Field::Dst];
        let free = addresses.iter().all(|field| !shape.sets.contains_key(field));
        shape.family = None;
        free.then_some(shape)
    }
}

fn all_protocols(parts: &[Finding]) -> Option<Finding> {
    let mut one = parts.first().filter(|_| parts.len() == ProtocolClass::ALL.len())?.clone();
    one.protocols = None;
    one.sets.remove(&Field::Protocol);
    Some(one)
}

fn both_families(parts: &[Finding]) -> Option<Finding> {
    let mut one = parts.first().filter(|_| parts.len() == 2)?.clone();
    one.family = None;
    Some(one)
}
