//! Rule analysis against the plain evaluation, and each finding in an example (S12).

mod example;
mod line;
mod random;
mod tiny;

use parefeu_policy::analysis::{Finding, FindingKind, LintOptions, RuleList, lint};
use parefeu_policy::{
    Action, At, Firewall, Knowledge, Layer, LinkedFirewall, PacketKey, RuleBase, RuleBaseId, Sees,
    Span, reference,
};
use parefeu_testkit::firewalls;

/// The findings of a firewall with the work of the defaults.
fn findings(firewall: &Firewall) -> Vec<Finding> {
    lint(firewall, &firewalls::linked(firewall), &LintOptions::default())
}

/// Whether findings of the kind say that their rules never decide.
fn says_never(finding: &Finding) -> bool {
    finding.shadowed() == Some("fully") || finding.kind == FindingKind::NeverMatches
}

/// Positions of the rules of a rule base that findings of a sort are about.
fn rules_of(
    findings: &[Finding],
    rule_base: usize,
    holds: impl Fn(&Finding) -> bool,
) -> Vec<usize> {
    let list = RuleList::RuleBase(RuleBaseId(rule_base as u32));
    let about = findings.iter().filter(|it| holds(it)).flat_map(|it| &it.rules);
    about.filter(|rule| rule.list == list).map(|rule| rule.position).collect()
}

/// A question to the plain evaluation whether one rule of a list ever has its turn.
///
/// Its firewall starts in that list, cut behind the rule, and every rule that decides or leaves the
/// list allows, but the rule asked about, which denies. What reaches it not is allowed. So a
/// refusal, certain or possible, shows that the rule has its turn.
struct Turn {
    firewall: std::sync::Arc<LinkedFirewall>,
}

impl Turn {
    fn of(firewall: &Firewall, rule_base: usize, position: usize) -> Self {
        let mut firewall = firewall.clone();
        for (number, RuleBase { rules, default, .. }) in firewall.rule_bases.iter_mut().enumerate()
        {
            *default = default.is_some().then_some(Action::Allow);
            let asked = number == rule_base;
            for rule in rules.iter_mut() {
                let leaves = matches!(rule.action, Action::Return | Action::Goto(_));
                let stays = matches!(rule.action, Action::Jump(_) | Action::Continue);
                if asked && leaves || !leaves && !stays {
                    rule.action = Action::Allow;
                }
            }
            if asked {
                rules.truncate(position + 1);
                rules[position].action = Action::Deny;
                *default = None;
            }
        }
        let name = firewall.rule_bases[rule_base].name.clone();
        firewall.layers = vec![Layer {
            name: name.clone(),
            rule_base: At::new(name, Span::default()),
            default: Action::Allow,
            sees_src: Sees::Original,
            sees_dst: Sees::Original,
            before_sessions: false,
        }];
        Self { firewall: firewalls::linked(&firewall) }
    }

    /// Whether the rule surely has its turn, and whether it perhaps has.
    fn comes(&self, key: &PacketKey, known: &Knowledge<'_>) -> (bool, bool) {
        // What routes discard may be a layer in front.
        let layer = &self.firewall.layers[self.firewall.layers.len() - 1];
        let found = reference::evaluate_layer(&self.firewall, layer, key, known);
        let surely = !found.decided.allows();
        // A refusal by no rule stands for paths too many to follow.
        (surely, surely || found.possible_deny.is_some_and(|hit| hit.rule.is_some()))
    }
}
