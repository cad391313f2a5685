//! From what was written to the vendor-neutral firewall.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{
    Action, At, Diagnostics, Firewall, Layer, Match, Names, Rule, RuleBase, Sees, Source, Sources,
    Span,
};

use super::application::Applications;
use super::scope::{ScopeId, Scopes};
use super::section::{DeviceGroup, Sections};
use super::tree::{Element, Tree, all_at};
use super::zone::{DomainId, NO_ZONE, Zones};

/// What is gathered while converting.
pub(super) struct Converter<'t> {
    pub(super) firewall: Firewall,
    pub(super) problems: Diagnostics,
    pub(super) scopes: Scopes<'t>,
    pub(super) zones: Zones,
    pub(super) applications: Applications,
    pub(super) predefined_services: BTreeSet<String>,
    /// URL categories that mean several at once, with the text of the condition.
    pub(super) category_matches: BTreeMap<String, String>,
    /// Several templates may define an interface; the first one counts.
    pub(super) templates_overlap: bool,
}

/// Where a rule stands: what its names mean.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) scope: ScopeId,
    pub(super) domain: DomainId,
    /// Whether the firewall has other virtual systems: `any` then means any zone of this one.
    pub(super) several: bool,
}

/// Converts a configuration. The second part holds everything that could not be carried.
pub(super) fn convert(tree: &Tree, source: Source) -> (Firewall, Diagnostics) {
    let mut problems = Diagnostics::default();
    let sections = Sections::find(tree.root(), &mut problems);
    let firewall =
        Firewall { dialect: "panos", sources: Sources::one(source), ..Firewall::default() };
    let mut converter = Converter {
        firewall,
        problems,
        scopes: Scopes::default(),
        zones: Zones::default(),
        applications: Applications::default(),
        predefined_services: BTreeSet::new(),
        category_matches: BTreeMap::new(),
        templates_overlap: false,
    };
    let local = sections.vsys.iter().flat_map(|vsys| &vsys.parts).any(|part| part.has("rulebase"));
    converter.convert_settings(&sections.deviceconfig);
    if sections.device_groups.is_empty() || local {
        converter.convert_device(&sections);
    } else {
        converter.convert_panorama(&sections);
    }
    converter.complete_applications();
    (converter.firewall, converter.problems)
}

impl<'t> Converter<'t> {
    /// A firewall: its virtual systems, with what Panorama pushed around their rules.
    fn convert_device(&mut self, sections: &Sections<'t>) {
        for group in &sections.device_groups {
            let message = "device groups are not read beside a rule base of the device";
            self.problems.unsupported("device-group", group.element.at(), message);
        }
        let shared = self.scopes.add("shared", None, sections.shared.clone());
        let above = match sections.pushed.is_empty() {
            true => shared,
            false => self.scopes.add("panorama", Some(shared), sections.pushed.clone()),
        };
        let mut systems: Vec<(String, Vec<Element<'t>>)> =
            sections.vsys.iter().map(|it| (it.name.clone(), it.parts.clone())).collect();
        if systems.is_empty() {
            systems.push(("vsys1".to_owned(), Vec::new()));
        }
        let scopes: Vec<ScopeId> = systems
            .iter()
            .map(|(name, parts)| self.scopes.add(name, Some(above), parts.clone()))
            .collect();
        self.convert_names();

        let mut domains = systems.clone();
        let gateways = all_at(&sections.network, &["shared-gateway"]);
        for gateway in gateways.into_iter().flat_map(Element::children) {
            domains.push((gateway.name().to_owned(), vec![gateway]));
        }
        self.zones.implicit = !sections.has_network();
        self.convert_zones(&domains);
        let first = scopes.first().copied().unwrap_or(shared);
        self.convert_network(&sections.network, first);

        let several = domains.len() > 1;
        let mut rule_bases = Vec::new();
        for (number, ((name, parts), scope)) in systems.iter().zip(&scopes).enumerate() {
            let own = Place { scope: *scope, domain: DomainId(number), several };
            let pushed = Place { scope: above, ..own };
            let written = [
                (all_at(&sections.pushed, &["pre-rulebase"]), pushed),
                (all_at(parts, &["pre-rulebase"]), own),
                (all_at(parts, &["rulebase"]), own),
                (all_at(parts, &["post-rulebase"]), own),
                (all_at(&sections.pushed, &["post-rulebase"]), pushed),
            ];
            let mut rules = Vec::new();
            let mut defaults = Vec::new();
            for (rule_base, place) in written.iter().flat_map(|(list, place)| {
                list.iter().map(|rule_base| (*rule_base, *place))
            }) {
                rules.extend(self.security_rules(rule_base, place));
                self.convert_nat(rule_base, place);
                defaults.push(rule_base);
            }
            rules.extend(self.default_rules(&defaults));
            let at = parts.first().map_or(super::IMPLIED, |part| part.at());
            rule_bases.push(RuleBase { name: name.clone(), rules, default: None, at });
        }
        self.firewall.rule_bases = rule_bases;
        self.add_layers(systems.len());
    }

    /// Panorama: a rule base for each device group. Templates that serve the group give the network.
    fn convert_panorama(&mut self, sections: &Sections<'t>) {
        let shared = self.scopes.add("shared", None, sections.shared.clone());
        let mut scopes: BTreeMap<&str, ScopeId> = BTreeMap::new();
        let mut open: Vec<&DeviceGroup<'t>> = sections.device_groups.iter().collect();
        // Parents first; a group whose parent never comes hangs below the shared objects.
        open.sort_by_key(|group| sections.ancestors(group).len());
        for group in open {
            let parent = group.parent.as_deref().and_then(|name| scopes.get(name).copied());
            let parts = vec![group.element];
            let scope = self.scopes.add(&group.name, Some(parent.unwrap_or(shared)), parts);
            scopes.insert(&group.name, scope);
        }
        self.convert_names();
        let Some(chosen) = sections.first_leaf() else { return };
        if let [_, second, ..] = sections.device_groups.as_slice() {
            let message = format!("there are several device groups; `{}` is taken", chosen.name);
            self.problems.unsupported("several-device-groups", second.element.at(), message);
            self.problems.help("name the device group's rule base to judge another one");
        }

        let templates = sections.templates_of(chosen);
        self.zones.implicit = templates.is_empty();
        self.templates_overlap = templates.len() > 1;
        let systems = templates.iter().flat_map(|it| [it.child("vsys"), device_of(*it, "vsys")]);
        let systems = systems.flatten().flat_map(Element::children).collect();
        self.convert_zones(&[(chosen.name.clone(), systems)]);
        let networks = templates.iter().flat_map(|it| {
            [it.child("network"), device_of(*it, "network")].into_iter().flatten()
        });
        let networks: Vec<Element<'t>> = networks.collect();
        self.convert_network(&networks, shared);
        // Rules may name zones that only other templates define.
        self.zones.implicit = true;

        let mut read: BTreeMap<(ScopeId, &str), Vec<Rule>> = BTreeMap::new();
        for group in &sections.device_groups {
            let chain = sections.chain(group);
            let mut rules = Vec::new();
            let mut defaults = Vec::new();
            let before = chain.iter().map(|owner| (*owner, "pre-rulebase"));
            let after = chain.iter().rev().map(|owner| (*owner, "post-rulebase"));
            for (owner, section) in before.chain(after) {
                let scope = owner.and_then(|owner| scopes.get(owner.name.as_str()).copied());
                let scope = scope.unwrap_or(shared);
                let place = Place { scope, domain: DomainId(0), several: false };
                let parts = match owner {
                    Some(owner) => vec![owner.element],
                    None => sections.shared.clone(),
                };
                let rule_bases = all_at(&parts, &[section]);
                if !read.contains_key(&(scope, section)) {
                    let all = rule_bases.iter().flat_map(|it| self.security_rules(*it, place));
                    let all = all.collect();
                    read.insert((scope, section), all);
                }
                rules.extend(read.get(&(scope, section)).into_iter().flatten().cloned());
                if group.name == chosen.name {
                    rule_bases.iter().for_each(|it| self.convert_nat(*it, place));
                }
                defaults.extend(rule_bases);
            }
            rules.extend(self.default_rules(&defaults));
            let (name, at) = (group.name.clone(), group.element.at());
            self.firewall.rule_bases.push(RuleBase { name, rules, default: None, at });
        }
        let rule_base = At::new(chosen.name.clone(), chosen.element.at());
        self.firewall.layers = vec![layer("security", rule_base)];
    }

    fn convert_names(&mut self) {
        self.scopes.index();
        self.convert_objects();
        self.convert_applications();
        self.convert_schedules();
    }

    /// One virtual system is one layer. Several are two: traffic is judged where it enters and, when it
    /// goes on to another system, there as well.
    fn add_layers(&mut self, systems: usize) {
        let names: Vec<(String, Span)> =
            self.firewall.rule_bases.iter().map(|it| (it.name.clone(), it.at)).collect();
        let unzoned = self.firewall.zones.iter().any(|zone| zone.name == NO_ZONE);
        let no_zone = || Names::one(NO_ZONE, super::IMPLIED);
        let drop = |name: &str, matches| implied(name, matches, Action::Drop);
        let mut refused = Vec::new();
        if unzoned {
            refused.push(drop("no-ingress-zone", Match { from: no_zone(), ..Match::default() }));
            refused.push(drop("no-egress-zone", Match { to: no_zone(), ..Match::default() }));
        }
        if self.zones.domains().count() < 2 {
            for rule_base in &mut self.firewall.rule_bases {
                rule_base.rules.splice(0..0, refused.iter().cloned());
            }
            let layers = names.into_iter().map(|(name, at)| layer("security", At::new(name, at)));
            self.firewall.layers = layers.collect();
            return;
        }
        let (mut entering, mut leaving) = (refused, Vec::new());
        for domain in self.zones.domains().filter(|it| !self.zones.zones(*it).is_empty()) {
            let name = self.zones.name(domain).to_owned();
            let zones = self.zones.all_of(domain, super::IMPLIED);
            let judged = match domain.0 < systems {
                true => Action::Goto(name.clone()),
                // A shared gateway has no security rules of its own.
                false => Action::Allow,
            };
            let unreached: Vec<At<String>> = self
                .zones
                .domains()
                .filter(|to| *to != domain && !self.zones.reaches(domain, *to))
                .flat_map(|to| self.zones.all_of(to, super::IMPLIED).listed().to_vec())
                .collect();
            if !unreached.is_empty() && domain.0 < systems {
                let to = Names::OneOf(unreached);
                let matches = Match { from: zones.clone(), to, ..Match::default() };
                entering.push(drop(&format!("not-visible-from-{name}"), matches));
            }
            let from = Match { from: zones.clone(), ..Match::default() };
            entering.push(implied(&format!("from-{name}"), from, judged.clone()));
            let inside =
                Match { from: zones.clone(), to: zones.clone(), ..Match::default() };
            leaving.push(implied(&format!("within-{name}"), inside, Action::Allow));
            let to = Match { to: zones, ..Match::default() };
            leaving.push(implied(&format!("to-{name}"), to, judged));
        }
        for (name, rules) in [("(entering)", entering), ("(leaving)", leaving)] {
            let default = Some(Action::Deny);
            let at = super::IMPLIED;
            self.firewall.rule_bases.push(RuleBase { name: name.to_owned(), rules, default, at });
            self.firewall.layers.push(layer(name, At::new(name.to_owned(), at)));
        }
    }

    /// Names an element that may matter and is not read.
    pub(super) fn unknown_element(&mut self, element: Element<'t>, parent: &str) {
        let message = format!("`{}` in a {parent} is not read", element.name());
        self.problems.unsupported("unknown-element", element.at(), message);
    }
}

fn implied(name: &str, matches: Match, action: Action) -> Rule {
    Rule {
        name: name.to_owned(),
        at: super::IMPLIED,
        implied: true,
        matches,
        action,
        ..Rule::default()
    }
}

/// The filter compares addresses and ports as they arrived, and zones after destination translation.
fn layer(name: &str, rule_base: At<String>) -> Layer {
    let (sees_src, sees_dst) = (Sees::Original, Sees::Original);
    Layer { name: name.to_owned(), rule_base, default: Action::Deny, sees_src, sees_dst }
}

/// A section below `devices` of a template.
fn device_of<'t>(template: Element<'t>, section: &str) -> Option<Element<'t>> {
    template.under("devices").find_map(|device| device.child(section))
}
