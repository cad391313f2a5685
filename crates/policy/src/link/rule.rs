//! Rule bases, layers and translation tables.

use std::collections::BTreeMap;

use super::{Linker, MAX_NESTING};
use crate::Span;
use crate::linked::{
    LinkedAction, LinkedLayer, LinkedMatch, LinkedNatRule, LinkedNatTable, LinkedPortTranslation,
    LinkedRule, LinkedRuleBase, LinkedTranslation, RuleBaseId, RuleId,
};
use crate::model::{Action, Match, Names, NatRule, NatTable, PortTranslation, Rule, Translation};
use crate::nat::EmbeddingPrefix;
use crate::set::IdSet;

impl Linker<'_> {
    pub(super) fn link_rule_bases(&mut self) -> (Vec<LinkedRuleBase>, Vec<LinkedRule>) {
        let mut rules = Vec::new();
        let mut rule_bases = Vec::new();
        for rule_base in &self.firewall.rule_bases {
            let first = RuleId(rules.len() as u32);
            for rule in &rule_base.rules {
                let rule = self.link_rule(rule);
                rules.push(rule);
            }
            let default = rule_base
                .default
                .as_ref()
                .and_then(|action| self.link_default(action, rule_base.at));
            rule_bases.push(LinkedRuleBase {
                name: rule_base.name.as_str().into(),
                first,
                count: rule_base.rules.len() as u32,
                default,
                at: rule_base.at,
            });
        }
        (rule_bases, rules)
    }

    fn link_rule(&mut self, rule: &Rule) -> LinkedRule {
        let matches = self.link_match(&rule.matches, rule.at);
        let action = self.link_action(&rule.action, rule.at).unwrap_or(LinkedAction::Deny);
        LinkedRule {
            name: rule.name.as_str().into(),
            at: rule.at,
            disabled: rule.disabled,
            implied: rule.implied,
            matches,
            action,
            log: rule.log,
            profiles: rule.profiles.iter().map(|profile| profile.as_str().into()).collect(),
        }
    }

    fn link_match(&mut self, written: &Match, at: Span) -> LinkedMatch {
        let before = self.problems.len();
        let applications = self.link_applications(&written.applications);
        let mut services = self.link_services(&written.services);
        if services.application_default {
            if applications.named.holds_unnamed() {
                services.terms = vec![super::service::any_service()];
            } else {
                services.terms.extend(applications.default_services);
                super::service::dedup_in_order(&mut services.terms);
            }
        }
        let src = self.link_addresses(&written.src);
        let dst = self.link_addresses(&written.dst);
        let matches_nothing = (services.terms.is_empty() && services.atoms.is_empty())
            || [&src, &dst]
                .iter()
                .any(|it| it.set.is_empty() && it.atoms.is_empty() && !it.negated);
        // A name without a meaning leaves nothing to match as well, but that was reported already.
        if matches_nothing && self.problems.len() == before {
            self.problems.suspicious("empty-match", at, "the rule can match no packet");
        }
        let atoms = written.unknown.iter().map(|text| self.atom(&text.value, text.at)).collect();
        let categories = ids(&written.url_categories, |name| self.category(name).0);
        let opaque = |id: &u32| self.categories.list[*id as usize].patterns.is_none();
        let opaque_category = categories.iter().any(opaque);
        let users = ids(&written.users, |name| self.user(name).0);
        LinkedMatch {
            ingress: self.link_interfaces(&written.ingress),
            egress: self.link_interfaces(&written.egress),
            from: self.link_zones(&written.from),
            to: self.link_zones(&written.to),
            relation: written.relation,
            src,
            dst,
            services,
            states: written.states,
            tcp_flags: written.tcp_flags.clone(),
            applications: applications.named,
            implicit_applications: applications.implicit,
            url_categories: listed_or_rest(&written.url_categories, categories),
            opaque_category,
            users: listed_or_rest(&written.users, users),
            devices: written.devices.clone(),
            schedule: written.schedule.as_ref().and_then(|it| self.schedule(&it.value, it.at)),
            atoms,
        }
    }

    fn link_interfaces(&mut self, names: &Names) -> IdSet {
        let ids = self.look_up(names, "unknown-interface", "interface");
        listed_or_rest(names, ids)
    }

    fn link_zones(&mut self, names: &Names) -> IdSet {
        let ids = self.look_up(names, "unknown-zone", "zone");
        listed_or_rest(names, ids)
    }

    fn look_up(&mut self, names: &Names, code: &'static str, kind: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for name in names.listed() {
            let table = if kind == "zone" { &self.zones } else { &self.interfaces };
            if let Some(id) = table.get(name.value.as_str()) {
                ids.push(*id);
            } else {
                let message = format!("unknown {kind} `{}`", name.value);
                self.problems.error(code, name.at, message);
            }
        }
        ids
    }

    fn link_action(&mut self, action: &Action, at: Span) -> Option<LinkedAction> {
        Some(match action {
            Action::Allow => LinkedAction::Allow,
            Action::Deny => LinkedAction::Deny,
            Action::Drop => LinkedAction::Drop,
            Action::Reset(side) => LinkedAction::Reset(*side),
            Action::Return => LinkedAction::Return,
            Action::Continue => LinkedAction::Continue,
            Action::Jump(name) => LinkedAction::Jump(self.rule_base_id(name, at)?),
            Action::Goto(name) => LinkedAction::Goto(self.rule_base_id(name, at)?),
        })
    }

    /// A default is the end of evaluation: it has to decide.
    fn link_default(&mut self, action: &Action, at: Span) -> Option<LinkedAction> {
        let linked = self.link_action(action, at)?;
        if !linked.is_final() {
            let what = match action {
                Action::Jump(to) => format!("jump to `{to}`"),
                Action::Goto(to) => format!("go to `{to}`"),
                Action::Return => "return".to_owned(),
                _ => "continue".to_owned(),
            };
            self.problems.error("bad-default", at, format!("a default cannot {what}"));
            self.problems
                .help("a default decides; a last rule that matches everything may lead on");
            return None;
        }
        Some(linked)
    }

    fn rule_base_id(&mut self, name: &str, at: Span) -> Option<RuleBaseId> {
        let id = self.rule_base_ids.get(name).copied();
        if id.is_none() {
            self.problems.error("unknown-rule-base", at, format!("unknown rule base `{name}`"));
        }
        id.map(RuleBaseId)
    }

    pub(super) fn link_layers(&mut self) -> Vec<LinkedLayer> {
        let firewall = self.firewall;
        let mut layers = Vec::with_capacity(firewall.layers.len());
        for layer in &firewall.layers {
            let rule_base = self.rule_base_id(&layer.rule_base.value, layer.rule_base.at);
            let default = self.link_default(&layer.default, layer.rule_base.at);
            let is_late = layers.last().is_some_and(|last: &LinkedLayer| !last.before_sessions);
            if layer.before_sessions && is_late {
                let message = format!(
                    "layer `{}` is asked before sessions, and stands after one that is not",
                    layer.name
                );
                self.problems.error("layer-order", layer.rule_base.at, message);
            }
            if let (Some(rule_base), Some(default)) = (rule_base, default) {
                layers.push(LinkedLayer {
                    name: layer.name.as_str().into(),
                    rule_base,
                    default,
                    sees_src: layer.sees_src,
                    sees_dst: layer.sees_dst,
                    before_sessions: layer.before_sessions,
                });
            }
        }
        layers
    }

    /// A file of bare access lists says which rules there are, not where they apply.
    pub(super) fn point_out_missing_layers(&mut self) {
        if let (Some(first), []) = (self.firewall.rule_bases.first(), &*self.firewall.layers) {
            let message = "no layer says which rule base filters packets";
            self.problems.suspicious("no-layer", first.at, message);
            let help = "choose one, as with `--rulebase NAME`: a firewall without a layer accepts \
                everything";
            self.problems.help(help);
        }
    }

    pub(super) fn link_nat(&mut self, table: &NatTable) -> LinkedNatTable {
        let rules = table.rules.iter().map(|rule| self.link_nat_rule(rule)).collect();
        LinkedNatTable { rules, sees: table.sees }
    }

    fn link_nat_rule(&mut self, rule: &NatRule) -> LinkedNatRule {
        let translation = match &rule.translation {
            Translation::Keep => LinkedTranslation::Keep,
            Translation::EgressInterface => LinkedTranslation::EgressInterface,
            Translation::Embedded { prefix } => match EmbeddingPrefix::new(*prefix) {
                Ok(prefix) => LinkedTranslation::Embedded(prefix),
                Err(error) => {
                    self.problems.error("bad-prefix", rule.at, error.to_string());
                    LinkedTranslation::Keep
                }
            },
            Translation::Prefix { to, port } => {
                LinkedTranslation::Prefix { to: *to, port: linked_port(port) }
            }
            Translation::Pool { to, port } => match self.link_pool(to) {
                (_, Some(atom)) => LinkedTranslation::Unknown(atom),
                (set, None) if set.is_empty() => {
                    let message = format!("translation pool of `{}` is empty", rule.name);
                    self.problems.error("empty-pool", rule.at, message);
                    LinkedTranslation::Keep
                }
                (set, None) => LinkedTranslation::Pool { to: set, port: linked_port(port) },
            },
        };
        LinkedNatRule {
            name: rule.name.as_str().into(),
            at: rule.at,
            disabled: rule.disabled,
            matches: self.link_match(&rule.matches, rule.at),
            translation,
        }
    }

    /// Jumps may neither form a cycle nor nest deeper than [`MAX_NESTING`].
    pub(super) fn refuse_jump_cycles(&mut self, rule_bases: &[LinkedRuleBase]) {
        let edges: Vec<Vec<(usize, Span)>> = self
            .firewall
            .rule_bases
            .iter()
            .map(|rule_base| {
                let jumps = rule_base.rules.iter().filter_map(|rule| match &rule.action {
                    Action::Jump(to) | Action::Goto(to) => {
                        Some((*self.rule_base_ids.get(to.as_str())? as usize, rule.at))
                    }
                    _ => None,
                });
                jumps.collect()
            })
            .collect();
        // Depth of the longest chain of jumps below each rule base, found once each.
        let mut depths: BTreeMap<usize, usize> = BTreeMap::new();
        let mut on_path = vec![false; rule_bases.len()];
        for start in 0..rule_bases.len() {
            let mut open: Vec<(usize, usize)> = vec![(start, 0)];
            on_path[start] = true;
            while let Some((current, next)) = open.pop() {
                let Some(&(to, at)) = edges[current].get(next) else {
                    let below = edges[current].iter().filter_map(|(to, _)| depths.get(to)).max();
                    depths.insert(current, below.map_or(0, |depth| depth + 1));
                    on_path[current] = false;
                    continue;
                };
                open.push((current, next + 1));
                if on_path[to] {
                    let message = format!("rule base `{}` jumps to itself", rule_bases[to].name);
                    self.problems.error("cycle", at, message);
                } else if !depths.contains_key(&to) {
                    on_path[to] = true;
                    open.push((to, 0));
                }
            }
            // Whatever leads to one that is too deep is deeper still: one report is enough.
            if depths.get(&start).is_some_and(|depth| *depth == MAX_NESTING + 1) {
                let message = format!("jumps nest deeper than {MAX_NESTING}");
                self.problems.error("nesting-too-deep", rule_bases[start].at, message);
            }
        }
    }
}

fn linked_port(port: &PortTranslation) -> LinkedPortTranslation {
    match port {
        PortTranslation::Keep => LinkedPortTranslation::Keep,
        PortTranslation::Shift { from, to } => {
            LinkedPortTranslation::Shift { from: *from, to: *to }
        }
        PortTranslation::To(port) => LinkedPortTranslation::To(*port),
        PortTranslation::Allocate(ports) => {
            LinkedPortTranslation::Allocate(ports.ranges().to_vec())
        }
    }
}

fn ids(names: &Names, id: impl FnMut(&str) -> u32) -> Vec<u32> {
    names.listed().iter().map(|name| name.value.as_str()).map(id).collect()
}

fn listed_or_rest(names: &Names, ids: impl IntoIterator<Item = u32>) -> IdSet {
    match names {
        Names::Any => IdSet::Any,
        Names::OneOf(_) => IdSet::only(ids),
        Names::NoneOf(_) => IdSet::all_but(ids),
    }
}
