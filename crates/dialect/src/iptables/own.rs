//! What a text says of packets to and from the host itself. It is not judged, and kept to be told.

use std::collections::BTreeSet;

use parefeu_policy::At;

use super::condition::Rule;
use super::script::{Chain, Policy, Ruleset};

/// The chains such packets pass, beside those all packets pass.
const HOOKS: [&str; 2] = ["INPUT", "OUTPUT"];

/// The policies that drop, and every rule of the chains such packets can come to, in order.
pub(super) fn traffic(ruleset: &Ruleset, text: &str) -> Vec<At<String>> {
    let mut found = Vec::new();
    let mut met = BTreeSet::new();
    let chains = ruleset.chains.iter();
    let mut left: Vec<&Chain> =
        chains.filter(|chain| HOOKS.contains(&chain.name.as_str())).rev().collect();
    while let Some(chain) = left.pop() {
        let Chain { family, table, name, policy, .. } = chain;
        if !met.insert((*family, *table, name)) {
            continue;
        }
        let chain_name = format!("{} {table} {name}", family.name());
        if *policy == Some(Policy::Drop) {
            found.push(At::new(format!("{chain_name} drops"), chain.at));
        }
        for rule in &chain.rules {
            found.push(At::new(format!("{chain_name} {}", written(rule, text)), rule.at));
            let target = rule.target.as_ref();
            let target = target.and_then(|it| ruleset.chain(*family, table, &it.name));
            left.extend(target.filter(|chain| chain.policy.is_none()));
        }
    }
    found
}

/// The line of a rule without the packets it has counted, `[12:3456]` before it.
fn written<'t>(rule: &Rule, text: &'t str) -> &'t str {
    let line = text.get(rule.at.start as usize..rule.at.end as usize).unwrap_or_default().trim();
    match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((_, rest)) => rest.trim_start(),
        None => line,
    }
}
