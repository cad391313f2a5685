//! Which rule bases evaluation can come to, and which of them let no packet back.

use super::finding::{Finding, FindingKind, Weight};
use super::list::is_everything;
use crate::linked::{LinkedAction, LinkedFirewall, LinkedRule, RuleBaseId};

/// Rule bases no layer and no rule leads to. Where a configuration binds none at all, nothing is
/// known of their use, and none is reported.
pub(super) fn findings(firewall: &LinkedFirewall) -> Vec<Finding> {
    if firewall.layers.is_empty() {
        return Vec::new();
    }
    let reached = reached(firewall);
    let lost = firewall.rule_bases.iter().zip(reached).filter(|(_, reached)| !reached);
    lost.map(|(rule_base, _)| Finding {
        kind: FindingKind::UnreachableRuleBase,
        weight: Weight::Warning,
        at: rule_base.at,
        rules: Vec::new(),
        by: Vec::new(),
        subject: rule_base.name.to_string(),
        message: format!("no layer and no rule leads to rule base `{}`", rule_base.name),
        help: "remove it, or bind it where it was meant to apply".to_owned(),
    })
    .collect()
}

/// For each rule base whether a layer, or a rule that is switched on, leads to it. One with a
/// default of its own needs neither: the device starts there for traffic that no layer here models,
/// as Linux does in `INPUT`.
fn reached(firewall: &LinkedFirewall) -> Vec<bool> {
    let mut reached = vec![false; firewall.rule_bases.len()];
    let layers = firewall.layers.iter().map(|layer| layer.rule_base);
    let ids = (0..firewall.rule_bases.len() as u32).map(RuleBaseId);
    let own = ids.filter(|id| firewall.rule_bases[id.index()].default.is_some());
    let mut open: Vec<RuleBaseId> = layers.chain(own).collect();
    while let Some(next) = open.pop() {
        if std::mem::replace(&mut reached[next.index()], true) {
            continue;
        }
        open.extend(live(firewall, next).filter_map(|rule| target(rule.action)));
    }
    reached
}

/// For each rule base whether every packet that enters it is decided there.
pub(super) fn deciding(firewall: &LinkedFirewall) -> Vec<bool> {
    let mut known: Vec<Option<bool>> = vec![None; firewall.rule_bases.len()];
    for id in 0..known.len() as u32 {
        decides(firewall, RuleBaseId(id), &mut known);
    }
    known.into_iter().map(|it| it == Some(true)).collect()
}

/// Jumps nest 64 deep at most, and form no cycle: a linked firewall promises both.
fn decides(firewall: &LinkedFirewall, id: RuleBaseId, known: &mut [Option<bool>]) -> bool {
    if let Some(known) = known[id.index()] {
        return known;
    }
    let mut decided = firewall.rule_bases[id.index()].default.is_some();
    let mut escapes = false;
    for rule in live(firewall, id) {
        let target_decides = target(rule.action).map(|to| decides(firewall, to, known));
        escapes |= rule.action == LinkedAction::Return
            || matches!(rule.action, LinkedAction::Goto(_)) && target_decides == Some(false);
        decided |= is_everything(&rule.matches)
            && rule.matches.src.is_any()
            && rule.matches.dst.is_any()
            && (rule.action.is_final() || target_decides == Some(true));
    }
    let answer = decided && !escapes;
    known[id.index()] = Some(answer);
    answer
}

/// What decides after the last rule of each rule base, where one answer holds for all who come to
/// it: its own default, or that of the layers that start in it, if no rule leads there.
pub(super) fn ends(firewall: &LinkedFirewall) -> Vec<Option<LinkedAction>> {
    let mut jumped_to = vec![false; firewall.rule_bases.len()];
    for to in firewall.rules.iter().filter_map(|rule| target(rule.action)) {
        jumped_to[to.index()] = true;
    }
    let of = |(id, jumped_to): (usize, bool)| {
        if let Some(own) = firewall.rule_bases[id].default {
            return Some(own);
        }
        let layers = firewall.layers.iter().filter(|layer| layer.rule_base.index() == id);
        let mut defaults = layers.map(|layer| layer.default);
        let first = defaults.next().filter(|_| !jumped_to)?;
        defaults.all(|other| other == first).then_some(first)
    };
    jumped_to.iter().copied().enumerate().map(of).collect()
}

fn live(firewall: &LinkedFirewall, id: RuleBaseId) -> impl Iterator<Item = &LinkedRule> {
    firewall.rules_of(id).iter().filter(|rule| !rule.disabled)
}

const fn target(action: LinkedAction) -> Option<RuleBaseId> {
    match action {
        LinkedAction::Jump(to) | LinkedAction::Goto(to) => Some(to),
        _ => None,
    }
}
