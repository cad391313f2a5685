//! Which access list a packet meets: the filter layers.
//!
//! Cisco ASA firewall CLI guide, "Access Rules": interface rules, then global rules, then the
//! implicit deny. Where neither applies to the interface a connection enters by, security levels
//! decide. Access lists compare real addresses (8.3 and later): the destination after, the source
//! before translation.

use std::collections::{HashMap, HashSet};

use parefeu_policy::{
    Action, At, Diagnostics, Firewall, Layer, Match, Names, Rule, RuleBase, Sees, Span,
};

use super::super::config::{AccessPlace, Config};
use super::super::definition::Definitions;
use super::{fence, filter};

/// Adds the rule bases that apply access lists to interfaces, and the layers.
///
/// Without any interface a file is a collection of lists; a single one that holds rules becomes the
/// layer, more are left for the caller to choose from.
pub(super) fn layers(
    config: &Config,
    definitions: &Definitions<'_>,
    firewall: &mut Firewall,
    problems: &mut Diagnostics,
) {
    let applied = Applied::new(config, problems);
    let ports = ports(config);
    if let Some(port) = ports.get(MAX_INTERFACES) {
        let message = format!("more than {MAX_INTERFACES} interfaces have a name");
        problems.error("too-many-interfaces", port.at, message);
        return;
    }
    if ports.is_empty() && config.access_groups.is_empty() {
        let lists = filter::with_rules(config);
        let single = config.access_lists.iter().find(|list| lists.contains(list.name.as_str()));
        if let (1, Some(list)) = (lists.len(), single) {
            firewall.layers.push(layer("access list", At::new(list.name.clone(), list.at)));
        }
        return;
    }
    // Both layers have to allow, and of two that do the later is cited: that is to be the one that
    // every connection meets.
    if !applied.egress.is_empty() {
        add_layer(firewall, "egress", "interface-acls-out", egress_rules(&applied));
        if let Some(rule_base) = firewall.rule_bases.last_mut() {
            rule_base.default = Some(Action::Allow);
        }
    }
    let mut ingress = fence::ingress(config, definitions);
    ingress.extend(ingress_rules(config, &ports, &applied));
    add_layer(firewall, "ingress", "interface-acls", ingress);
}

/// More named interfaces than this are refused: rules between them grow with their square. The
/// largest device carries 1,024 VLANs.
const MAX_INTERFACES: usize = 1_100;

/// Where access lists are applied.
struct Applied<'a> {
    /// In the order of the text; a later one for the same interface takes the earlier one's place.
    ingress: Vec<(&'a At<String>, &'a At<String>, Span)>,
    egress: Vec<(&'a At<String>, &'a At<String>, Span)>,
    global: Option<(&'a At<String>, Span)>,
}

impl<'a> Applied<'a> {
    fn new(config: &'a Config, problems: &mut Diagnostics) -> Self {
        let mut found = Self { ingress: Vec::new(), egress: Vec::new(), global: None };
        let mut places = HashMap::new();
        for group in &config.access_groups {
            if group.per_user && config.authenticates {
                let message = "access lists that a server sends for a user are not modelled";
                problems.unsupported("not-modelled", group.at, message);
            }
            if config.is_of_another_type(group) {
                if config.frame_lists.contains_key(&group.list.value) {
                    let message = "filters on frames are not modelled";
                    problems.unsupported("not-modelled", group.at, message);
                }
                continue;
            }
            let (interface, list) = match &group.place {
                AccessPlace::Global => {
                    found.global = Some((&group.list, group.at));
                    continue;
                }
                AccessPlace::In(interface) => (interface, &mut found.ingress),
                AccessPlace::Out(interface) => (interface, &mut found.egress),
            };
            let key = (matches!(group.place, AccessPlace::In(_)), interface.value.as_str());
            let entry = (interface, &group.list, group.at);
            if let Some(&index) = places.get(&key) {
                let message = "another access list is applied to this interface above";
                problems.suspicious("duplicate-access-group", group.at, message);
                list[index] = entry;
            } else {
                places.insert(key, list.len());
                list.push(entry);
            }
        }
        found
    }
}

/// An interface that forwards.
struct Port<'a> {
    name: &'a At<String>,
    level: u8,
    /// The line that decides the level.
    at: Span,
    management_only: bool,
}

/// Interfaces with a name. `inside` starts at level 100, every other at 0 (command reference,
/// `security-level`).
fn ports(config: &Config) -> Vec<Port<'_>> {
    let named = config.interfaces.iter().filter_map(|block| {
        let name = block.nameif.as_ref()?;
        let level = block.security_level.as_ref();
        let default = if name.value == "inside" { 100 } else { 0 };
        Some(Port {
            name,
            level: level.map_or(default, |level| level.value),
            at: level.map_or(name.at, |level| level.at),
            management_only: block.management_only,
        })
    });
    named.collect()
}

fn ingress_rules(config: &Config, ports: &[Port<'_>], applied: &Applied<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for port in ports {
        fence(config, ports, port, &mut rules);
    }
    let mut listed = HashSet::new();
    for (interface, list, at) in &applied.ingress {
        listed.insert(interface.value.as_str());
        let from = || ingress(interface);
        rules.push(implied("interface rules", *at, from(), Action::Jump(list.value.clone())));
        if applied.global.is_none() {
            rules.push(implied("implicit deny", *at, from(), Action::Deny));
        }
    }
    if let Some((list, at)) = applied.global {
        let jump = Action::Jump(list.value.clone());
        rules.push(implied("global rules", at, Match::default(), jump));
        rules.push(implied("implicit deny", at, Match::default(), Action::Deny));
        return rules;
    }
    for port in ports.iter().filter(|port| !listed.contains(port.name.value.as_str())) {
        // Equal levels that `same-security-traffic` does not permit were fenced off above.
        let lower = ports.iter().filter(|other| other.level <= port.level);
        let lower: Vec<_> = lower.map(|other| other.name.clone()).collect();
        let matches = Match { egress: Names::OneOf(lower), ..ingress(port.name) };
        rules.push(implied("security level", port.at, matches, Action::Allow));
        let matches = ingress(port.name);
        rules.push(implied("security level", port.at, matches, Action::Deny));
    }
    rules
}

/// Refusals that no access list can lift: between interfaces of one level, back out of the same
/// interface, and through an interface for management.
fn fence(config: &Config, ports: &[Port<'_>], port: &Port<'_>, rules: &mut Vec<Rule>) {
    if port.management_only {
        let egress = Match { egress: Names::OneOf(vec![port.name.clone()]), ..Match::default() };
        rules.push(implied("management-only", port.at, ingress(port.name), Action::Deny));
        rules.push(implied("management-only", port.at, egress, Action::Deny));
        return;
    }
    let mut refused = Vec::new();
    for other in ports {
        let same = other.name.value == port.name.value;
        let permitted = if same { config.intra_interface } else { config.inter_interface };
        if permitted.is_none() && other.level == port.level {
            refused.push(other.name.clone());
        }
    }
    if !refused.is_empty() {
        let matches = Match { egress: Names::OneOf(refused), ..ingress(port.name) };
        rules.push(implied("same-security-traffic", port.at, matches, Action::Deny));
    }
}

fn egress_rules(applied: &Applied<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (interface, list, at) in &applied.egress {
        let to = || Match { egress: Names::OneOf(vec![(*interface).clone()]), ..Match::default() };
        rules.push(implied("interface rules out", *at, to(), Action::Jump(list.value.clone())));
        rules.push(implied("implicit deny out", *at, to(), Action::Deny));
    }
    rules
}

fn ingress(interface: &At<String>) -> Match {
    Match { ingress: Names::OneOf(vec![interface.clone()]), ..Match::default() }
}

pub(super) fn implied(name: &str, at: Span, matches: Match, action: Action) -> Rule {
    Rule { name: name.to_owned(), at, implied: true, matches, action, ..Rule::default() }
}

/// Adds a rule base under a name no access list has, and the layer that begins in it.
fn add_layer(firewall: &mut Firewall, layer_name: &str, wanted: &str, rules: Vec<Rule>) {
    let mut name = wanted.to_owned();
    while firewall.rule_bases.iter().any(|rule_base| rule_base.name == name) {
        name.push('\'');
    }
    let at = rules.first().map_or_else(Span::default, |rule| rule.at);
    firewall.layers.push(layer(layer_name, At::new(name.clone(), at)));
    firewall.rule_bases.push(RuleBase { name, rules, default: None, at });
}

fn layer(name: &str, rule_base: At<String>) -> Layer {
    Layer {
        name: name.to_owned(),
        rule_base,
        default: Action::Deny,
        sees_src: Sees::Original,
        sees_dst: Sees::Translated,
        before_sessions: false,
    }
}
