//! What two firewalls record of the packets they treat alike: whether they log them, and which
//! inspection profiles those pass that are let through.

use std::collections::BTreeSet;
use std::sync::Arc;

use parefeu_policy::{LinkedAction, LinkedFirewall, ResetSide};

use crate::accept::Terms;
use crate::compare::{Answer, Compared, Request, Unproved};
use crate::confirm;
use crate::finding::{Finding, told};
use crate::flatten::{Profiles, flatten_records};
use crate::pairing::Pairing;
use crate::parallel::map_each;
use crate::problem::{Outcome, OutcomeId, Problem, Side};
use crate::region::regions_until;
use crate::scope::Sets;
use crate::solve::{SolveLimits, solve};

/// Compares what is recorded of packets, of those that `answer` finds treated alike: for each of
/// its cases, outside its regions. What it leaves open is compared as far as both sides let a
/// packet through or both refuse it. Nothing is looked at where all that is let through, and all
/// that is refused, is recorded in one way on both sides.
///
/// A packet is logged where the rule that decides it logs, or one it met before that only logs.
/// Profiles are one where their definitions are, whatever they are called; those that a
/// configuration does not define, where their names are.
///
/// Cost: that of [`compare`](crate::compare()) for lists that hold its regions besides.
pub fn compare_records(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    request: &Request,
    answer: &Answer,
) -> Answer {
    let mut found = Answer::default();
    if is_uniform([old, new]) {
        return found;
    }
    let parts = &answer.compared;
    let recorded = map_each(parts, request.threads, |part| one_case([old, new], request, part));
    for (alike, recorded) in parts.iter().zip(recorded) {
        found.add(&alike.case, &alike.crossings, recorded);
    }
    found
}

/// The findings of what is recorded, those parts of them told apart that are accepted.
pub fn findings_of_records(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    answer: &Answer,
    pairing: &Pairing,
    terms: &Terms<'_>,
) -> Vec<Finding> {
    let mut found = told(old, new, answer, pairing, terms);
    let applications = answer.applications();
    let sides = [old, new].map(|firewall| (firewall, logging(firewall)));
    for it in terms.confirmed(&mut found) {
        let way = &it.witness_way;
        let asked = [(&sides[0], way.old, &it.old), (&sides[1], way.new, &it.new)];
        it.opinions = asked.map(|((firewall, logging), passage, decision)| {
            let log = matches!(&decision.outcome, Outcome::Recorded(record) if record.log);
            let outcome = &decision.outcome;
            let mut opinion = confirm::ask(firewall, passage, &it.witness, applications, outcome);
            let logs = confirm::action(logging, passage, &it.witness, applications);
            opinion.agrees = opinion
                .agrees
                .zip(logs)
                .map(|(agrees, action)| agrees && (action == LinkedAction::Deny) == log);
            opinion
        });
    }
    found
}

fn one_case(
    [old, new]: [&LinkedFirewall; 2],
    request: &Request,
    alike: &Compared,
) -> Result<Compared, Unproved> {
    if request.limits.stop.is_given() {
        return Err(Unproved::Stopped);
    }
    let different: Vec<&Sets> = alike.regions.iter().map(|region| &region.sets).collect();
    let stop = request.limits.stop;
    let problem = flatten_records(old, new, &alike.case, (&different, stop))?;
    let limits = SolveLimits { record: false, ..request.limits };
    let mut solution = solve(&problem, &limits);
    solution.differences.retain(|it| are_alike(&problem, it.old.outcome, it.new.outcome));
    let regions = regions_until(&problem, &mut solution, stop);
    let (case, crossings) = (alike.case.clone(), Arc::clone(&alike.crossings));
    Ok(Compared { case, crossings, problem, solution, regions })
}

/// Whether both let packets through, or both refuse them: what is open may hold others.
fn are_alike(problem: &Problem, old: OutcomeId, new: OutcomeId) -> bool {
    let [old, new] = [old, new].map(|id| &problem.outcomes[id.0 as usize]);
    old.allows() == new.allows() && old.refuses() == new.refuses()
}

/// Whether rules that accept, and those that refuse, all record alike, so that there is nothing to
/// compare.
fn is_uniform(sides: [&LinkedFirewall; 2]) -> bool {
    let mut accepting = BTreeSet::new();
    let mut refusing = BTreeSet::new();
    let profiles = Profiles::of(sides[0], sides[1]);
    for (side, firewall) in [Side::Old, Side::New].into_iter().zip(sides) {
        for rule in firewall.rules.iter().filter(|rule| !rule.disabled) {
            if rule.action == LinkedAction::Allow {
                accepting.insert((rule.log, profiles.of_rule(side, rule)));
            } else if is_refusal(rule.action) {
                refusing.insert(rule.log);
            } else if rule.log {
                return false;
            }
        }
        let ends = firewall.rule_bases.iter().filter_map(|it| it.default);
        for action in firewall.layers.iter().map(|layer| layer.default).chain(ends) {
            if action == LinkedAction::Allow {
                accepting.insert((false, Vec::new()));
            } else {
                refusing.insert(false);
            }
        }
    }
    accepting.len() <= 1 && refusing.len() <= 1
}

/// A firewall that denies what another one logs, and resets what that refuses without.
fn logging(firewall: &LinkedFirewall) -> LinkedFirewall {
    let mut found = firewall.clone();
    let silent = LinkedAction::Reset(ResetSide::Both);
    let quiet = |action: LinkedAction| if is_refusal(action) { silent } else { action };
    for rule in &mut found.rules {
        let decides = is_refusal(rule.action) || rule.action == LinkedAction::Allow;
        let notes = rule.log && (decides || rule.action == LinkedAction::Continue);
        rule.action = if notes { LinkedAction::Deny } else { quiet(rule.action) };
    }
    let defaults = found.layers.iter_mut().map(|layer| &mut layer.default);
    let ends = found.rule_bases.iter_mut().filter_map(|it| it.default.as_mut());
    for action in defaults.chain(ends) {
        *action = quiet(*action);
    }
    found
}

const fn is_refusal(action: LinkedAction) -> bool {
    matches!(action, LinkedAction::Deny | LinkedAction::Drop | LinkedAction::Reset(_))
}
