//! Which rule of the new firewall stands for which of the old one.

use std::collections::BTreeMap;

use parefeu_policy::{Hit, LinkedFirewall, LinkedRule, RuleId};

/// Rules of two firewalls that are the same rule (`docs/semantics.md` S11.3).
#[derive(Clone, Debug, Default)]
pub(crate) struct Counterparts {
    of_old: Vec<Option<RuleId>>,
    of_new: Vec<Option<RuleId>>,
}

/// What makes a rule of one firewall the rule of another: a name its text states, else the text.
/// A name like "line 12" that an importer gave says where a rule stands, not which it is.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Identity {
    Named(Box<str>),
    Written { rule_base: Box<str>, text: Box<str> },
}

impl Counterparts {
    /// Pairs the rules of two firewalls; of several that look alike, the first with the first.
    pub(crate) fn new(old: &LinkedFirewall, new: &LinkedFirewall) -> Self {
        let mut waiting: BTreeMap<(Identity, usize), RuleId> = identities(new).collect();
        let mut pairs =
            Self { of_old: vec![None; old.rules.len()], of_new: vec![None; new.rules.len()] };
        for (identity, id) in identities(old) {
            if let Some(counterpart) = waiting.remove(&identity) {
                pairs.of_old[id.index()] = Some(counterpart);
                pairs.of_new[counterpart.index()] = Some(id);
            }
        }
        pairs
    }

    /// Whether something else decided than the rule that stands for the other side's. Two rules
    /// without any counterpart cannot be told apart.
    pub(crate) fn differ(&self, old: Option<Hit>, new: Option<Hit>) -> bool {
        let (Some(old), Some(new)) = (old, new) else { return false };
        let expected = old.rule.and_then(|id| self.of_old.get(id.index()).copied().flatten());
        let back = new.rule.and_then(|id| self.of_new.get(id.index()).copied().flatten());
        match (expected, back) {
            (None, None) => false,
            (expected, _) => expected != new.rule,
        }
    }
}

/// Every rule by what it is, and which of those alike it is.
fn identities(firewall: &LinkedFirewall) -> impl Iterator<Item = ((Identity, usize), RuleId)> + '_ {
    let mut alike: BTreeMap<Identity, usize> = BTreeMap::new();
    firewall.rules.iter().enumerate().map(move |(at, rule)| {
        let id = RuleId(at as u32);
        let identity = identity(firewall, rule, id);
        let count = alike.entry(identity.clone()).or_default();
        *count += 1;
        ((identity, *count), id)
    })
}

fn identity(firewall: &LinkedFirewall, rule: &LinkedRule, id: RuleId) -> Identity {
    let text = firewall
        .sources
        .of(rule.at)
        .and_then(|source| source.text().get(rule.at.start as usize..rule.at.end as usize));
    match text {
        Some(text) if rule.name.is_empty() || !text.contains(&*rule.name) => Identity::Written {
            rule_base: firewall.rule_base_of(id).map_or("", |base| &base.name).into(),
            text: text.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        },
        _ => Identity::Named(rule.name.clone()),
    }
}
