//! Which rules of the new firewall carry the traffic of each old rule, and which rules of either
//! side decide nothing.
//!
//! The two lists of a case are laid over one another with the deciding rule as the outcome: every
//! box of the search is then the traffic one old rule decides and one new rule decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parefeu_policy::{LinkedFirewall, RuleId};

use crate::align::{alike, merge};
use crate::compare::{Answer, Compared, Undecided, Unproved};
use crate::lines::Lines;
use crate::outcome::Outcomes;
use crate::problem::{Field, List, Outcome, OutcomeId, Problem, Step};
use crate::solve::Stop;
use crate::tree::{Ends, Lists, Node};

/// What becomes of rules from one firewall to the other, in the cases that were compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explanation {
    /// For each old rule that decides anything, and for the default, the new rules in its place.
    pub mapping: Vec<Mapping>,
    /// The rules of either side, old and new, that are no packet's first match: of those that
    /// decide, are switched on and stand in the text.
    pub idle: [Vec<RuleId>; 2],
    /// Rules that were not seen to decide anything and may do so: the work did not suffice, or a
    /// case has no answer.
    pub open: [Vec<RuleId>; 2],
}

/// The new rules that decide the traffic of an old one.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The old rule; `None` for the default.
    pub old: Option<RuleId>,
    /// The new rules, the one with the largest share first.
    pub new: Vec<Carrier>,
    /// Whether all of the traffic was followed; if not, shares are the least they can be.
    pub whole: bool,
}

/// A rule and its share of another's traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carrier {
    /// The rule; `None` for the default.
    pub rule: Option<RuleId>,
    /// Its share, from 0 to 1.
    pub share: f64,
}

/// Entries looked at in all cases together, unless the caller says otherwise.
pub const EXPLAIN_WORK: u64 = 200_000_000;

/// Explains an answer by rules.
///
/// Traffic is measured by the values of the fields: addresses as a part of all addresses of their
/// family, so that IPv6 does not drown IPv4, every other field by the number of its values, and
/// each way through the firewalls alike. Shares are as precise as the sum of their parts in double
/// precision. `work` bounds the entries looked at; where it is used up, or the sign to stop is
/// given, what is left open is shared among the parts of the space, and results are marked.
pub fn explain(
    firewalls: [&LinkedFirewall; 2],
    answer: &Answer,
    (work, stop): (u64, Stop),
) -> Explanation {
    let without = |it: &Undecided| !matches!(it.because, Unproved::Open { .. });
    let partial = answer.undecided.iter().any(without);
    let mut tally = Tally { partial, ..Tally::default() };
    // What short lists leave, long ones may use.
    let mut cases: Vec<&Compared> = answer.compared.iter().collect();
    cases.sort_by_key(|case| case.problem.old.entries.len() + case.problem.new.entries.len());
    let mut left = work;
    for (at, case) in cases.iter().enumerate() {
        if stop.is_given() {
            tally.partial = true;
            break;
        }
        let budget = left / (cases.len() - at) as u64;
        left -= budget - overlay(case, (budget, stop), &mut tally);
    }
    tally.finish(firewalls)
}

/// A rule of one side, or its default; what is not asked about has none.
type Decider = Option<RuleId>;

/// Traffic by what decides it on both sides.
#[derive(Debug, Default)]
struct Tally {
    known: BTreeMap<(Decider, Decider), f64>,
    /// Whether some case was not compared: any rule may decide there.
    partial: bool,
    /// What each rule may decide beside what is known, old and new.
    open: [BTreeMap<Decider, f64>; 2],
}

impl Tally {
    fn finish(self, firewalls: [&LinkedFirewall; 2]) -> Explanation {
        let mut seen = [BTreeSet::new(), BTreeSet::new()];
        let mut by_old: BTreeMap<Decider, Vec<(Decider, f64)>> = BTreeMap::new();
        for (&(old, new), &volume) in &self.known {
            seen[0].insert(old);
            seen[1].insert(new);
            by_old.entry(old).or_default().push((new, volume));
        }
        let mapping = by_old.into_iter().map(|(old, carriers)| {
            let open = self.open[0].get(&old).copied();
            let all = carriers.iter().map(|(_, volume)| volume).sum::<f64>() + open.unwrap_or(0.0);
            let new =
                carriers.into_iter().map(|(rule, volume)| Carrier { rule, share: volume / all });
            let mut new: Vec<Carrier> = new.collect();
            new.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.rule.cmp(&b.rule)));
            Mapping { old, new, whole: open.is_none() && !self.partial }
        });
        let mapping = mapping.collect();
        let [old, new] = [0, 1].map(|side| {
            let unseen = stated(firewalls[side]).filter(|id| !seen[side].contains(&Some(*id)));
            let is_open = |id: &RuleId| self.partial || self.open[side].contains_key(&Some(*id));
            unseen.partition::<Vec<RuleId>, _>(is_open)
        });
        Explanation { mapping, idle: [old.1, new.1], open: [old.0, new.0] }
    }
}

/// The rules somebody wrote that are switched on and decide.
fn stated(firewall: &LinkedFirewall) -> impl Iterator<Item = RuleId> {
    let rules = (0..).map(RuleId).zip(&firewall.rules);
    let stated = rules.filter(|(_, rule)| !rule.disabled && !rule.implied);
    stated.filter(|(_, rule)| rule.action.is_final()).map(|(id, _)| id)
}

/// A problem whose outcomes are the rules that decide.
#[derive(Default)]
struct Labels {
    deciders: Vec<Option<Decider>>,
    outcomes: Vec<Outcome>,
    known: HashMap<(usize, Option<Decider>), OutcomeId>,
}

impl Labels {
    fn list(&mut self, side: usize, problem: &Problem, list: &List) -> List {
        let mut list = list.clone();
        for entry in &mut list.entries {
            if let Step::Decide(outcome) = &mut entry.step {
                let outside = problem.outcomes[outcome.0 as usize] == Outcome::Outside;
                *outcome = self.outcome(side, (!outside).then_some(entry.origin.rule));
            }
        }
        list
    }

    fn outcome(&mut self, side: usize, decider: Option<Decider>) -> OutcomeId {
        let next = OutcomeId(self.outcomes.len() as u32);
        // Both sides leave out the same packets, and that is one outcome.
        let side = decider.map_or(0, |_| side);
        *self.known.entry((side, decider)).or_insert_with(|| {
            let text = format!("{side} {decider:?}").into();
            self.outcomes.push(decider.map_or(Outcome::Outside, |_| Outcome::Deny(text)));
            self.deciders.push(decider);
            next
        })
    }
}

/// Lays the lists of a case over one another; returns what was not used of the budget.
fn overlay(case: &Compared, (budget, stop): (u64, Stop), tally: &mut Tally) -> u64 {
    let mut labels = Labels::default();
    let old = labels.list(0, &case.problem, &case.problem.old);
    let new = labels.list(1, &case.problem, &case.problem.new);
    let outcomes = std::mem::take(&mut labels.outcomes);
    let problem = Problem { outcomes, old, new, ..case.problem.clone() };
    let outcomes = Outcomes::new(&problem, true);
    let lines = Lines::new(&problem, &outcomes);
    let merged = merge(&lines, &alike(&problem, &outcomes));
    let lists = Lists::new(&problem, outcomes, lines, merged);
    let measure = Measure { problem: &problem, ways: case.crossings.len() as f64 };
    let decider = |place: u32, side: usize| -> Option<Decider> {
        labels.deciders[lists.outcome(place, side)? as usize]
    };
    let mut room = Ends::default();
    let (mut pending, mut unspent) = (vec![(Node::root(&lists), budget)], 0);
    while let Some((mut node, budget)) = pending.pop() {
        // What one part did not need, the next may use.
        let budget = budget + unspent;
        let cost = node.items.len() as u64;
        unspent = budget.saturating_sub(cost);
        let closing = node.settle(&lists);
        node.trim(&lists, closing);
        let volume = measure.volume(&node.area);
        if let ([Some(old), Some(new)], [1, 1]) = (closing, [0, 1].map(|side| node.left_on(side))) {
            if let (Some(old), Some(new)) = (decider(old, 0), decider(new, 1)) {
                *tally.known.entry((old, new)).or_default() += volume;
            }
            continue;
        }
        let goes_on = cost < budget && !stop.is_given();
        match goes_on.then(|| node.cut(&lists, &mut room)).flatten() {
            Some(cut) => {
                let mut parts = [node.split(&lists, cut), node];
                parts.sort_by_key(|part| std::cmp::Reverse(part.items.len()));
                let [most, least] = parts.each_ref().map(|part| part.items.len() as u128 + 1);
                let few = (u128::from(unspent) * least / (most + least)) as u64;
                let [more, less] = parts;
                // The smaller part comes first: what it does not need is there for the larger.
                pending.extend([(more, unspent - few), (less, few)]);
                unspent = 0;
            }
            None => {
                for (side, open) in tally.open.iter_mut().enumerate() {
                    let items = node.items.iter().filter(|item| item.on[side]);
                    let found: BTreeSet<Decider> =
                        items.filter_map(|item| decider(item.place, side)).collect();
                    for decider in found {
                        *open.entry(decider).or_default() += volume;
                    }
                }
            }
        }
    }
    unspent
}

/// How much traffic a box is.
struct Measure<'a> {
    problem: &'a Problem,
    ways: f64,
}

impl Measure<'_> {
    fn volume(&self, area: &[(u32, u32)]) -> f64 {
        let sizes = area.iter().zip(&self.problem.dimensions).map(|(&(low, high), dimension)| {
            let values = (dimension.values(high).1 - dimension.values(low).0) as f64 + 1.0;
            match dimension.field {
                Field::Src | Field::Dst => values / (dimension.last as f64 + 1.0),
                _ => values,
            }
        });
        sizes.product::<f64>() * self.ways
    }
}
