//! The same rules written differently, and rules changed here and there.

use std::net::IpAddr;

use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{AddressSet, PortSet};
use parefeu_policy::{LinkedAction, LinkedFirewall, LinkedMatch, LinkedRule, LinkedService};

use crate::Random;

/// How much of a rule base is written differently; percentages are of rules.
///
/// What the rules decide stays the same. Regrouping joins neighbours that do the same and differ in
/// one field; splitting writes a rule as two to four that differ in one field, at any address or
/// port; a shadowed rule is covered by one above it; rules move past others that they share no
/// packet with, or that do the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rewriting {
    /// Neighbours joined, of those that can be.
    pub regrouped: usize,
    /// Rules split, of those that can be.
    pub split: usize,
    /// Rules added that can never hold.
    pub shadowed: usize,
    /// Rules moved, one in ten of them by up to 2,000 places, the others by up to eight.
    pub moved: usize,
}

impl Rewriting {
    /// What a change of vendor does to a rule base.
    pub const STRUCTURAL: Self = Self { regrouped: 50, split: 60, shadowed: 3, moved: 100 };

    /// The rule base written differently.
    ///
    /// # Panics
    /// When the firewall does not have exactly one rule base, or one of its rules decides nothing
    /// or compares more than addresses and services.
    pub fn apply(&self, firewall: &LinkedFirewall, seed: u64) -> LinkedFirewall {
        let mut random = Random::new(seed);
        let mut rules = Vec::with_capacity(2 * firewall.rules.len());
        for rule in plain_rules(firewall) {
            match rules.last_mut().and_then(|last| joined(last, rule)) {
                Some((last, both)) if random.percent(self.regrouped) => last.matches = both,
                _ => rules.push(rule.clone()),
            }
        }
        let mut rules: Vec<LinkedRule> = rules
            .into_iter()
            .flat_map(|rule| {
                if random.percent(self.split) { split(&rule, &mut random) } else { vec![rule] }
            })
            .collect();
        for _ in 0..rules.len() * self.shadowed / 100 {
            let above = random.below(rules.len());
            let Some(mut rule) = split(&rules[above], &mut random).pop() else { continue };
            rule.action =
                *random.pick(&[LinkedAction::Allow, LinkedAction::Deny]).unwrap_or(&rule.action);
            let at = above + 1 + random.below(rules.len() - above);
            rules.insert(at, rule);
        }
        for _ in 0..rules.len() * self.moved / 100 {
            let far = random.percent(10);
            let from = random.below(rules.len());
            let places = 1 + random.below(if far { 2_000 } else { 8 });
            if random.percent(50) {
                sink(&mut rules, from, places);
            } else {
                rise(&mut rules, from, places);
            }
        }
        with_rules(firewall, rules)
    }
}

/// The rule base with so many edits: a rule left out, added, moved, or another action, source or
/// service for it. An edit need not change what is decided.
///
/// # Panics
/// As [`Rewriting::apply`] does.
pub fn edited(firewall: &LinkedFirewall, edits: usize, seed: u64) -> LinkedFirewall {
    let mut random = Random::new(seed);
    let mut rules = plain_rules(firewall).to_vec();
    for _ in 0..edits {
        let (at, other) = (random.below(rules.len()), random.below(rules.len()));
        let mut rule = rules[at].clone();
        match random.below(6) {
            0 => {
                rules.remove(at);
            }
            1 => {
                rule.matches.dst = rules[other].matches.dst.clone();
                rules.insert(other, rule);
            }
            2 => {
                rules.remove(at);
                rules.insert(other.min(rules.len()), rule);
            }
            3 => rules[at].matches.src = rules[other].matches.src.clone(),
            4 => rules[at].matches.services = rules[other].matches.services.clone(),
            _ => {
                rules[at].action = match rule.action {
                    LinkedAction::Allow => LinkedAction::Deny,
                    _ => LinkedAction::Allow,
                }
            }
        }
    }
    with_rules(firewall, rules)
}

fn plain_rules(firewall: &LinkedFirewall) -> &[LinkedRule] {
    assert_eq!(firewall.rule_bases.len(), 1, "one rule base is written differently");
    let plain = |rule: &LinkedRule| {
        let LinkedMatch { src, dst, services, .. } = &rule.matches;
        let atoms = [&src.atoms, &dst.atoms, &services.atoms, &rule.matches.atoms];
        rule.action.is_final()
            && !(src.negated || dst.negated || services.application_default)
            && atoms.iter().all(|atoms| atoms.is_empty())
            && [src, dst].iter().all(|side| side.set.masked().is_empty())
    };
    assert!(firewall.rules.iter().all(plain), "a rule that cannot be written differently");
    &firewall.rules
}

fn with_rules(firewall: &LinkedFirewall, rules: Vec<LinkedRule>) -> LinkedFirewall {
    let mut firewall = firewall.clone();
    firewall.rule_bases[0].count = rules.len() as u32;
    firewall.rules = rules;
    firewall
}

/// One match for both rules, where they do the same and differ in one field at most.
fn joined<'a>(
    last: &'a mut LinkedRule,
    rule: &LinkedRule,
) -> Option<(&'a mut LinkedRule, LinkedMatch)> {
    let (one, other) = (&last.matches, &rule.matches);
    let same = [one.src == other.src, one.dst == other.dst, one.services == other.services];
    if last.action != rule.action {
        return None;
    }
    let mut both = one.clone();
    match same {
        [_, true, true] => both.src.set.insert_set(&other.src.set),
        [true, _, true] => both.dst.set.insert_set(&other.dst.set),
        [true, true, _] => both.services.terms.extend(other.services.terms.iter().cloned()),
        _ => return None,
    }
    Some((last, both))
}

/// The rule as two to four that differ in one field, in any order; as itself where no field of it
/// can be cut.
fn split(rule: &LinkedRule, random: &mut Random) -> Vec<LinkedRule> {
    let mut parts = vec![rule.clone()];
    for field in [0, 1, 2].map(|_| random.below(3)) {
        for _ in 0..=random.below(3) {
            let at = random.below(parts.len());
            let cut = match field {
                0 => cut_addresses(&parts[at].matches.src.set, random).map(|halves| {
                    halves.map(|half| with(&parts[at], |it| it.src.set = half.clone()))
                }),
                1 => cut_addresses(&parts[at].matches.dst.set, random).map(|halves| {
                    halves.map(|half| with(&parts[at], |it| it.dst.set = half.clone()))
                }),
                _ => cut_services(&parts[at].matches.services.terms, random).map(|halves| {
                    halves.map(|half| with(&parts[at], |it| it.services.terms.clone_from(&half)))
                }),
            };
            if let Some([one, other]) = cut {
                parts[at] = one;
                parts.insert(random.below(parts.len() + 1), other);
            }
        }
        if parts.len() > 1 {
            break;
        }
    }
    parts
}

fn with(rule: &LinkedRule, change: impl FnOnce(&mut LinkedMatch)) -> LinkedRule {
    let mut rule = rule.clone();
    change(&mut rule.matches);
    rule
}

/// Cuts one of the ranges in two, half of the times in the middle.
fn cut_addresses(set: &AddressSet, random: &mut Random) -> Option<[AddressSet; 2]> {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let wide: Vec<(IpAddr, IpAddr)> = set.ranges().filter(|range| range.0 < range.1).collect();
    let (first, last) = *random.pick(&wide)?;
    let cut = cut(bits(first), bits(last), random);
    let (mut lower, mut upper) = (AddressSet::default(), AddressSet::default());
    let address = |bits: u128| match first {
        IpAddr::V4(_) => IpAddr::V4((bits as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(bits.into()),
    };
    for range in set.ranges() {
        if range == (first, last) {
            lower.insert_range(first, address(cut)).ok()?;
            upper.insert_range(address(cut + 1), last).ok()?;
        } else {
            let half = if range < (first, last) { &mut lower } else { &mut upper };
            half.insert_range(range.0, range.1).ok()?;
        }
    }
    Some([lower, upper])
}

/// Gives the terms to two rules, or cuts the destination ports of the only one.
fn cut_services(terms: &[LinkedService], random: &mut Random) -> Option<[Vec<LinkedService>; 2]> {
    let [term] = terms else {
        let at = 1 + random.below(terms.len().checked_sub(1)?);
        return Some([terms[..at].to_vec(), terms[at..].to_vec()]);
    };
    let [range] = *term.dst_ports.ranges() else { return None };
    if range.first() == range.last() {
        return None;
    }
    let cut = cut(range.first().into(), range.last().into(), random) as u16;
    let halves = [(range.first(), cut), (cut + 1, range.last())].map(|(first, last)| {
        let ports = PortRange::new(first, last).ok()?;
        Some(vec![LinkedService { dst_ports: PortSet::from(ports), ..term.clone() }])
    });
    let [Some(lower), Some(upper)] = halves else { return None };
    Some([lower, upper])
}

fn cut(first: u128, last: u128, random: &mut Random) -> u128 {
    if random.percent(50) { first + (last - first) / 2 } else { random.between(first, last - 1) }
}

fn sink(rules: &mut [LinkedRule], from: usize, places: usize) {
    let free = rules[from + 1..].iter().take(places);
    let free = free.take_while(|other| commute(&rules[from], other)).count();
    rules[from..=from + free].rotate_left(1);
}

fn rise(rules: &mut [LinkedRule], from: usize, places: usize) {
    let free = rules[..from].iter().rev().take(places);
    let free = free.take_while(|other| commute(&rules[from], other)).count();
    rules[from - free..=from].rotate_right(1);
}

/// Whether the order of two neighbours does not matter.
fn commute(one: &LinkedRule, other: &LinkedRule) -> bool {
    let ((a, b), same) = ((&one.matches, &other.matches), one.action == other.action);
    let services = || {
        let pairs =
            a.services.terms.iter().flat_map(|a| b.services.terms.iter().map(move |b| (a, b)));
        pairs.into_iter().all(|(a, b)| {
            let common = a.protocols.intersection(b.protocols);
            common.is_empty()
                || (common.iter().all(Protocol::has_ports)
                    && [(&a.src_ports, &b.src_ports), (&a.dst_ports, &b.dst_ports)]
                        .iter()
                        .any(|(a, b)| ports_apart(a, b)))
        })
    };
    same || addresses_apart(&a.src.set, &b.src.set)
        || addresses_apart(&a.dst.set, &b.dst.set)
        || services()
}

fn addresses_apart(one: &AddressSet, other: &AddressSet) -> bool {
    apart(one.v4_ranges().iter().copied(), other.v4_ranges())
        && apart(one.v6_ranges().iter().copied(), other.v6_ranges())
}

fn ports_apart(one: &PortSet, other: &PortSet) -> bool {
    let bounds = |range: &PortRange| (range.first(), range.last());
    let other: Vec<_> = other.ranges().iter().map(bounds).collect();
    apart(one.ranges().iter().map(bounds), &other)
}

fn apart<T: Copy + Ord>(mut one: impl Iterator<Item = (T, T)>, other: &[(T, T)]) -> bool {
    one.all(|range| {
        let next = other.partition_point(|other| other.1 < range.0);
        other.get(next).is_none_or(|other| range.1 < other.0)
    })
}
