//! Access lists that other statements than `access-group` use.
//!
//! VPN filters, crypto maps, route maps, class maps, translations and the control plane begin in
//! lists of their own. What they do there is not modelled, but such a list is not out of use: it
//! gets the refusal at its end as a default of its own, as traffic no layer models starts there.

use std::collections::BTreeSet;

use parefeu_policy::{Action, Firewall};

use super::line::{Line, lines};

/// Gives lists that nothing else leads to, and that other statements name, a default of their own.
pub(super) fn mark(text: &str, firewall: &mut Firewall) {
    let layers = firewall.layers.iter().map(|layer| layer.rule_base.value.clone());
    let rules = firewall.rule_bases.iter().flat_map(|rule_base| &rule_base.rules);
    let jumps = rules.filter_map(|rule| match &rule.action {
        Action::Jump(to) | Action::Goto(to) => Some(to.clone()),
        _ => None,
    });
    let reached: BTreeSet<String> = layers.chain(jumps).collect();
    let named: BTreeSet<&str> = lines(text).flat_map(names).collect();
    for rule_base in &mut firewall.rule_bases {
        let is_used = named.contains(&*rule_base.name) && !reached.contains(&rule_base.name);
        if is_used && rule_base.default.is_none() {
            rule_base.default = Some(Action::Deny);
        }
    }
}

/// The words of a statement that may be the name of a list, behind the one that says what it does.
fn names(line: Line<'_>) -> impl Iterator<Item = &str> {
    let mut words = line.words().map(|word| word.text);
    let first = words.next().unwrap_or_default();
    let second = words.clone().next().unwrap_or_default();
    let applies = !matches!(first, "access-list" | "description" | "remark" | "no" | "clear")
        && (first, second) != ("ipv6", "access-list")
        && (first != "access-group" || line.has("control-plane"));
    words.filter(move |_| applies)
}
