//! Chains become rule bases and layers.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, ConnectionState, Diagnostics, Firewall, Interface,
    Layer, Match, Rule, RuleBase, Sees, Span,
};

use super::condition::{self, Condition, Family, Kind};
use super::matching::{Context, Interfaces, Matches};
use super::memory;
use super::nat;
use super::script::{Chain, Policy, Ruleset};
use super::store;
use super::target::{Effect, effect, policy_action};
use super::untracked::{self, Way};

/// The chains a forwarded packet passes, in order, with the destination they see; the source is the
/// original one everywhere, because it is translated last (`NF_IP_PRI_*` in
/// `linux/netfilter_ipv4.h`).
const FORWARD_PATH: [(&str, &str, Sees); 6] = [
    ("raw", "PREROUTING", Sees::Original),
    ("mangle", "PREROUTING", Sees::Original),
    ("mangle", "FORWARD", Sees::Translated),
    ("filter", "FORWARD", Sees::Translated),
    ("security", "FORWARD", Sees::Translated),
    ("mangle", "POSTROUTING", Sees::Translated),
];

/// Converts everything that bears on forwarding.
pub(super) fn convert(ruleset: &Ruleset, problems: &mut Diagnostics) -> Firewall {
    let ruleset = &memory::named(ruleset, problems);
    let mut interfaces = Interfaces::default();
    for rule in ruleset.chains.iter().flat_map(|chain| &chain.rules) {
        interfaces.mention(&rule.conditions);
    }
    let mut firewall = Firewall { dialect: "iptables", ..Firewall::default() };
    firewall.interfaces = interfaces.finish().iter().map(interface).collect();
    let mut schedules = BTreeMap::new();
    let untracked = untracked::ways(ruleset);
    let mut converter = Converter {
        ruleset,
        untracked: &untracked,
        is_copy: false,
        digests: Family::BOTH.map(|family| memory::digests(ruleset, family)),
        context: Context { interfaces: &interfaces, schedules: &mut schedules },
        problems,
        reported: BTreeSet::new(),
    };
    for table in ["raw", "mangle", "filter", "security"] {
        if table == "filter" || converter.refuses(table) {
            converter.table(table, &mut firewall);
        } else {
            converter.helpers(table);
        }
    }
    let place = |layer: &Layer| {
        FORWARD_PATH.iter().position(|(table, hook, _)| base_name(table, hook) == layer.name)
    };
    firewall.layers.sort_by_key(place);
    nat::convert(ruleset, &untracked, &mut converter.context, &mut firewall, converter.problems);
    firewall.schedules = schedules.into_values().collect();
    firewall
}

fn interface(name: &At<String>) -> Interface {
    Interface { name: name.value.clone(), at: name.at, ..Interface::default() }
}

struct Converter<'a> {
    ruleset: &'a Ruleset,
    /// The packets that are not tracked.
    untracked: &'a BTreeMap<Family, Vec<Way>>,
    /// Whether what is converted is asked about these.
    is_copy: bool,
    /// What decides when rules of raw set something, by family.
    digests: [BTreeMap<Span, String>; 2],
    context: Context<'a>,
    problems: &'a mut Diagnostics,
    /// Lines whose problems were told already: a line may belong to both families.
    reported: BTreeSet<Span>,
}

impl Converter<'_> {
    /// Whether anything in a table can refuse a packet or hide its state.
    fn refuses(&self, table: &str) -> bool {
        chains_of(self.ruleset, table).any(|chain| {
            let refuses = |rule: &condition::Rule| {
                !matches!(
                    self.effect(chain, rule),
                    Effect::Log
                        | Effect::Helper(_)
                        | Effect::Zone(_)
                        | Effect::Timeout(_)
                        | Effect::Act(
                            Action::Allow
                                | Action::Continue
                                | Action::Return
                                | Action::Jump(_)
                                | Action::Goto(_)
                        )
                )
            };
            chain.policy == Some(Policy::Drop) || chain.rules.iter().any(|rule| refuses(rule))
        })
    }

    /// Reports the helpers a table sets of which nothing else is read.
    fn helpers(&mut self, table: &str) {
        let ruleset = self.ruleset;
        for chain in chains_of(ruleset, table) {
            for rule in &chain.rules {
                let effect = self.effect(chain, rule);
                if effect.is_of_connections() && self.reported.insert(rule.at) {
                    let matches = self.context.matches(&rule.conditions, chain.family);
                    self.report(&effect, rule, &matches);
                }
            }
        }
    }

    fn effect(&self, chain: &Chain, rule: &condition::Rule) -> Effect {
        let is_chain = |name: &str| {
            let target = self.ruleset.chain(chain.family, chain.table, name);
            target.is_some_and(|target| target.policy.is_none())
        };
        effect(rule.target.as_ref(), chain.policy, is_chain, |name| self.name(chain.table, name))
    }

    /// What the rule base of a chain is called.
    fn name(&self, table: &str, chain: &str) -> String {
        let name = base_name(table, chain);
        if self.is_copy { format!("{name} (untracked)") } else { name }
    }

    /// Whether rules of a table ask for states that packets may not have for want of tracking.
    fn asks_for_states(&self, table: &str) -> bool {
        let rules = chains_of(self.ruleset, table).flat_map(|chain| &chain.rules);
        let mut conditions = rules.flat_map(|rule| &rule.conditions);
        let is_asked = conditions.any(|it| matches!(it.kind, Kind::States { .. }));
        is_asked && table != "raw" && !self.untracked.is_empty()
    }

    fn table(&mut self, table: &'static str, firewall: &mut Firewall) {
        let ruleset = self.ruleset;
        for (of_table, hook, sees_dst) in FORWARD_PATH {
            if of_table != table {
                continue;
            }
            let chains = Family::BOTH.map(|family| ruleset.chain(family, table, hook));
            if chains.iter().all(Option::is_none) && table != "filter" {
                continue;
            }
            let at = chains.iter().flatten().next().map_or_else(Span::default, |chain| chain.at);
            let name = base_name(table, hook);
            if chains.iter().all(Option::is_none) {
                if is_bare(ruleset) {
                    firewall.layers.extend(self.bare_layer());
                    continue;
                }
                firewall.rule_bases.push(self.silent_forward(&name));
            }
            firewall.layers.push(Layer {
                name: name.clone(),
                rule_base: At::new(name, at),
                default: policies(&chains).map_or(Action::Allow, policy_action),
                sees_src: Sees::Original,
                sees_dst,
                before_sessions: table == "raw",
            });
        }
        let copies: &[bool] = if self.asks_for_states(table) { &[false, true] } else { &[false] };
        for is_copy in copies {
            self.is_copy = *is_copy;
            let mut done = BTreeSet::new();
            for chain in chains_of(ruleset, table) {
                if done.insert(&chain.name) {
                    let name = &chain.name;
                    let chains = Family::BOTH.map(|family| ruleset.chain(family, table, name));
                    firewall.rule_bases.push(self.rule_base(self.name(table, name), &chains));
                }
            }
        }
        self.is_copy = false;
    }

    /// Sends what is not tracked to the chain that knows it.
    fn divert(&mut self, chain: &Chain, rules: &mut Vec<Rule>) {
        let hook = FORWARD_PATH.iter().find(|(table, name, _)| {
            (*table, *name) == (chain.table, chain.name.as_str()) && !self.is_copy
        });
        let Some((_, _, sees)) = hook.filter(|_| self.asks_for_states(chain.table)) else { return };
        let translates =
            *sees == Sees::Translated && memory::translates(self.ruleset, chain.family);
        for (rule, way) in self.untracked.get(&chain.family).into_iter().flatten() {
            let way = untracked::after_translation(way, translates);
            for matches in self.context.matches(&way, chain.family).alternatives {
                let to = format!("{} (untracked)", base_name(chain.table, &chain.name));
                rules.push(Rule {
                    name: format!("{} untracked", chain.family.name()),
                    at: rule.at,
                    implied: true,
                    matches,
                    action: Action::Goto(to),
                    ..Rule::default()
                });
            }
        }
    }

    /// The layer of a text that names no chain the kernel starts in: the one chain that nothing
    /// leads to. Several are left for the caller to choose from.
    fn bare_layer(&mut self) -> Option<Layer> {
        let chains = || chains_of(self.ruleset, "filter");
        let targets: BTreeSet<&str> = chains()
            .flat_map(|chain| &chain.rules)
            .filter_map(|rule| Some(rule.target.as_ref()?.name.as_str()))
            .collect();
        let mut heads = chains().filter(|chain| !targets.contains(chain.name.as_str()));
        let head = heads.next()?;
        if heads.any(|other| other.name != head.name) {
            return None;
        }
        let message = format!(
            "no chain the kernel starts in leads to `{}`: it is judged as if it stood alone",
            head.name
        );
        self.problems.suspicious("bare-chain", head.at, message);
        Some(Layer {
            name: head.name.clone(),
            rule_base: At::new(head.name.clone(), head.at),
            default: Action::Deny,
            sees_src: Sees::Original,
            sees_dst: Sees::Translated,
            before_sessions: false,
        })
    }

    /// What a text without the chain FORWARD says about forwarding: the kernel's default, accept.
    fn silent_forward(&mut self, name: &str) -> RuleBase {
        let message = "the text has no chain FORWARD: forwarded packets are accepted";
        self.problems.suspicious("no-forward-chain", Span::default(), message);
        RuleBase { name: name.to_owned(), default: Some(Action::Allow), ..RuleBase::default() }
    }

    fn rule_base(&mut self, name: String, chains: &[Option<&Chain>; 2]) -> RuleBase {
        let mut rule_base = RuleBase { name, ..RuleBase::default() };
        let several = chains.iter().flatten().count() > 1;
        let differ =
            policies(chains).is_none() && chains.iter().flatten().any(|c| c.policy.is_some());
        for chain in chains.iter().flatten() {
            rule_base.at = chain.at;
            self.guard(chain, &mut rule_base.rules);
            self.divert(chain, &mut rule_base.rules);
            for (index, rule) in chain.rules.iter().enumerate() {
                let mut name = format!("{} {}", rule_base.name, index + 1);
                if several {
                    name = format!("{name} {}", chain.family.name());
                }
                self.rule(chain, rule, &name, differ, &mut rule_base.rules);
            }
            if let Some(policy) = chain.policy.filter(|_| differ) {
                rule_base.rules.push(of_family(chain, policy_action(policy), "policy"));
            }
        }
        // Where the policies differ the rules above leave nothing over, but a chain that the kernel
        // starts in has a default: other chains have none.
        let last = chains.iter().flatten().filter_map(|chain| chain.policy).next_back();
        rule_base.default = policies(chains).or(last).map(policy_action);
        rule_base
    }

    /// Where the text holds one family only, whether the other passes is not known; where it holds
    /// both but this chain for one, the kernel's default stands for the other.
    fn guard(&self, chain: &Chain, rules: &mut Vec<Rule>) {
        let other = chain.family.other();
        if chain.policy.is_none() {
            return;
        }
        if self.ruleset.has(other) {
            if self.ruleset.chain(other, chain.table, &chain.name).is_none() {
                let mut rule = of_family(chain, Action::Allow, "policy");
                rule.name = format!("{} policy", other.name());
                rule.matches.src = AddressMatch::one(other.every(), chain.at);
                rules.push(rule);
            }
            return;
        }
        let mut not_given = |action, atom| {
            let mut rule = of_family(chain, action, "not given");
            rule.name = format!("{} not given", other.name());
            rule.matches.src = AddressMatch::one(other.every(), chain.at);
            rule.matches.unknown.extend(atom);
            rules.push(rule);
        };
        // One condition for all tables, which means the same whatever the text says of its own
        // family.
        if chain.table == "filter" {
            let text =
                format!("iptables: rules for {}, which the text does not hold", other.name());
            not_given(Action::Allow, Some(At::new(text, chain.at)));
            not_given(Action::Drop, None);
        } else {
            not_given(Action::Allow, None);
        }
    }

    fn rule(
        &mut self,
        chain: &Chain,
        rule: &condition::Rule,
        name: &str,
        policies_differ: bool,
        rules: &mut Vec<Rule>,
    ) {
        let effect = self.effect(chain, rule);
        let matches = match chain.table {
            // There no packet has a state yet, which is to be `INVALID` (`xt_conntrack`, measured).
            "raw" => in_state(&rule.conditions, ConnectionState::Invalid)
                .map(|conditions| self.context.matches(&conditions, chain.family)),
            _ if self.is_copy => in_state(&rule.conditions, ConnectionState::Untracked)
                .map(|conditions| self.context.matches(&conditions, chain.family)),
            _ => Some(self.context.matches(&rule.conditions, chain.family)),
        };
        let matches = matches.unwrap_or_default();
        if self.reported.insert(rule.at) {
            self.report(&effect, rule, &matches);
        }
        if effect.is_of_connections() {
            return;
        }
        let acts = actions(&effect, chain, rule, policies_differ);
        for matches in matches.alternatives {
            for (action, atom) in &acts {
                let mut matches = matches.clone();
                matches.unknown.extend(atom.clone());
                rules.push(Rule {
                    name: name.to_owned(),
                    at: rule.at,
                    matches,
                    action: action.clone(),
                    log: effect == Effect::Log,
                    description: rule.comment.clone(),
                    ..Rule::default()
                });
            }
        }
    }

    fn report(&mut self, effect: &Effect, rule: &condition::Rule, matches: &Matches) {
        if *effect != Effect::Log && *effect != Effect::Act(Action::Continue) {
            report_unmodelled(matches, &rule.conditions, self.problems);
        }
        if matches.alternatives.is_empty() && !self.is_copy {
            let message = "the conditions contradict each other: the rule matches nothing";
            self.problems.suspicious("empty-match", rule.at, message);
        }
        let (code, message) = match effect {
            Effect::Act(_) | Effect::Log => return,
            Effect::Outside(text) => {
                ("unknown-target", format!("`{text}` leaves the decision to a program"))
            }
            Effect::Unknown(text) => (
                "unknown-target",
                format!("target `{text}` is not modelled: it may accept or drop"),
            ),
            Effect::Helper(name) => {
                let message = format!(
                    "connections that `{name}` announces are not followed: they are RELATED"
                );
                ("helper", message)
            }
            Effect::Zone(zone) => {
                let message = format!("connections of zone `{zone}` are not told from others");
                ("zone", message)
            }
            Effect::Timeout(policy) => {
                let message = format!("how long `{policy}` keeps connections is not told here");
                ("timeout", message)
            }
            Effect::Untracked => {
                let message = "answers to packets taken out of tracking are judged as if those \
                               were tracked";
                ("untracked", message.to_owned())
            }
        };
        // What leads there counts as well, where two texts are compared.
        let digests = self.digests.iter().filter_map(|of_family| of_family.get(&rule.at));
        let digests: Vec<&str> = digests.map(String::as_str).collect();
        let is_side_effect = effect.is_of_connections() || *effect == Effect::Untracked;
        let message = if is_side_effect && !digests.is_empty() {
            format!("{message} [{}]", digests.join(" "))
        } else {
            message
        };
        self.problems.unsupported(code, target_place(rule), message);
        if is_side_effect {
            self.problems.stands_alone();
        }
    }
}

fn target_place(rule: &condition::Rule) -> Span {
    rule.target.as_ref().map_or(rule.at, |target| target.at)
}

/// Conditions where every packet has this state; `None` where they never hold.
pub(super) fn in_state(conditions: &[Condition], state: ConnectionState) -> Option<Vec<Condition>> {
    let mut left = Vec::with_capacity(conditions.len());
    for condition in conditions {
        match &condition.kind {
            Kind::States { states, .. } => {
                let holds = states.contains(state) != condition.negated;
                holds.then_some(())?;
            }
            _ => left.push(condition.clone()),
        }
    }
    Some(left)
}

/// The actions a rule takes one after the other, each with the atom it hangs on.
fn actions(
    effect: &Effect,
    chain: &Chain,
    rule: &condition::Rule,
    policies_differ: bool,
) -> Vec<(Action, Option<At<String>>)> {
    let atom = |text: String| Some(At::new(text, target_place(rule)));
    match effect {
        // Coming back from a goto out of a base chain ends in that chain's policy, which the layer
        // can state for one family only.
        Effect::Act(Action::Goto(to)) if policies_differ && chain.policy.is_some() => {
            let policy = chain.policy.map_or(Action::Allow, policy_action);
            vec![(Action::Jump(to.clone()), None), (policy, None)]
        }
        Effect::Act(action) => vec![(action.clone(), None)],
        Effect::Log
        | Effect::Untracked
        | Effect::Helper(_)
        | Effect::Zone(_)
        | Effect::Timeout(_) => {
            vec![(Action::Continue, None)]
        }
        Effect::Outside(text) => {
            let accepts = atom(format!("iptables: {text} accepts"));
            vec![(Action::Allow, accepts), (Action::Drop, None)]
        }
        Effect::Unknown(text) => {
            let accepts = atom(format!("iptables: {text} accepts"));
            let drops = atom(format!("iptables: {text} drops"));
            vec![(Action::Allow, accepts), (Action::Drop, drops)]
        }
    }
}

/// The chains of a table, of both families, in the order of first mention.
/// Whether a text holds chains of the filter table, and none of any table the kernel starts in.
fn is_bare(ruleset: &Ruleset) -> bool {
    let is_base = |chain: &Chain| chain.policy.is_some();
    chains_of(ruleset, "filter").next().is_some() && !ruleset.chains.iter().any(is_base)
}

fn chains_of<'r>(ruleset: &'r Ruleset, table: &str) -> impl Iterator<Item = &'r Chain> {
    ruleset.chains.iter().filter(move |chain| chain.table == table)
}

/// Reports what a rule compares that is not modelled.
pub(super) fn report_unmodelled(
    matches: &Matches,
    conditions: &[Condition],
    problems: &mut Diagnostics,
) {
    for atom in &matches.unmodelled {
        let message = format!("match `{}` is not modelled", store::plain(&atom.value));
        problems.unsupported("unknown-match", atom.at, message);
        problems.help("answers that depend on it read unknown");
    }
    for condition in conditions {
        let (Kind::Src(items) | Kind::Dst(items)) = &condition.kind else { continue };
        for item in items {
            if let AddressItem::Unknown(name) = item {
                let message = format!("the addresses of `{}` are not known", store::plain(name));
                problems.unsupported("host-name", condition.at, message);
                problems.help("`iptables-save` prints the addresses the kernel holds");
            }
        }
    }
}

/// A rule for every packet of a chain's family.
fn of_family(chain: &Chain, action: Action, what: &str) -> Rule {
    let src = AddressMatch::one(chain.family.every(), chain.at);
    Rule {
        name: format!("{} {what}", chain.family.name()),
        at: chain.at,
        implied: true,
        matches: Match { src, ..Match::default() },
        action,
        ..Rule::default()
    }
}

/// The policy of a base chain; `None` for a user chain, and where the families' policies differ.
fn policies(chains: &[Option<&Chain>; 2]) -> Option<Policy> {
    let mut policies = chains.iter().flatten().map(|chain| chain.policy);
    let first = policies.next()??;
    policies.all(|policy| policy == Some(first)).then_some(first)
}

/// What a chain is called: by its name alone in the filter table.
fn base_name(table: &str, chain: &str) -> String {
    if table == "filter" { chain.to_owned() } else { format!("{table}/{chain}") }
}
