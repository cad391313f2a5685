//! From what was written to the vendor-neutral firewall.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{
    Action, At, Behaviour, Diagnostics, Firewall, Layer, Match, Names, NatMapping, Preset, Rule,
    RuleBase, Sees, Source, Sources, Span,
};

use super::application::Applications;
use super::definition::digest_of;
use super::either::Either;
use super::profile::Profiles;
use super::scope::{ScopeId, Scopes};
use super::section::{DeviceGroup, Sections, Vsys};
use super::tree::{Element, Tree, all_at};
use super::zone::{DomainId, NO_ZONE, Zones};

/// What is gathered while converting.
pub(super) struct Converter<'t> {
    pub(super) firewall: Firewall,
    pub(super) problems: Diagnostics,
    pub(super) scopes: Scopes<'t>,
    pub(super) zones: Zones,
    pub(super) applications: Applications,
    pub(super) profiles: Profiles<'t>,
    pub(super) predefined_services: BTreeSet<String>,
    /// URL categories that mean several at once, with the text of the condition.
    pub(super) category_matches: BTreeMap<String, String>,
    /// Several templates may define an interface; the first one counts.
    pub(super) templates_overlap: bool,
    /// For which connections the first rule that chooses ports does.
    pub(super) nat_mapping: Option<NatMapping>,
    /// What the device decides before any rule.
    pub(super) first_rules: Vec<Rule>,
    /// Interfaces that stand for one of several.
    pub(super) either: Vec<Either>,
    /// Interfaces in a virtual wire.
    pub(super) wired: Vec<At<String>>,
    /// Rule bases that rules jump to, and no layer begins with.
    pub(super) inner: Vec<RuleBase>,
    /// Rules of other policies that are told already.
    pub(super) told: BTreeSet<Span>,
    /// Schedules whose times are not understood, with what they say.
    pub(super) untold_schedules: BTreeMap<String, String>,
    /// Whether overlapping wildcard addresses leave the order of rules as it is.
    pub(super) wildcards_in_order: bool,
    /// Where templates and stacks define variables.
    pub(super) variables: Vec<Element<'t>>,
}

/// Where a rule stands: what its names mean.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) scope: ScopeId,
    pub(super) domain: DomainId,
    /// Whether the firewall has other virtual systems: `any` then means any zone of this one.
    pub(super) several: bool,
}

/// Converts a configuration. Of several device groups the one called `chosen` is the firewall. The
/// second part holds everything that could not be carried.
pub(super) fn convert(
    tree: &Tree,
    source: Source,
    chosen: Option<&str>,
) -> (Firewall, Diagnostics) {
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
        profiles: Profiles::default(),
        predefined_services: BTreeSet::new(),
        category_matches: BTreeMap::new(),
        templates_overlap: false,
        nat_mapping: None,
        first_rules: Vec::new(),
        either: Vec::new(),
        wired: Vec::new(),
        inner: Vec::new(),
        told: BTreeSet::new(),
        untold_schedules: BTreeMap::new(),
        wildcards_in_order: false,
        variables: sections.variables(),
    };
    converter.note_wildcard_mode(&sections);
    let has_rules = |vsys: &Vsys<'_>| {
        !vsys.pushed.is_empty() || vsys.parts.iter().any(|part| part.has("rulebase"))
    };
    let local = sections.vsys.iter().any(has_rules);
    converter.firewall.behaviour = Behaviour::preset(Preset::Panos);
    let systems = sections.vsys.iter().flat_map(Vsys::definitions);
    converter.convert_alg_overrides(sections.shared.iter().copied().chain(systems));
    let settings = if sections.device_groups.is_empty() || local {
        converter.convert_settings(&sections.deviceconfig);
        converter.convert_device(&sections);
        sections.deviceconfig.clone()
    } else {
        sections.deviceconfig.iter().for_each(|it| converter.panorama_settings(*it));
        converter.convert_panorama(&sections, chosen)
    };
    converter.convert_ipv6(&settings);
    converter.report_time_zone(&settings);
    converter.add_first_rules();
    converter.firewall.rule_bases.append(&mut converter.inner);
    converter.split_ways();
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
        let above = if sections.pushed.is_empty() {
            shared
        } else {
            self.scopes.add("panorama", Some(shared), sections.pushed.clone())
        };
        let no_system = Vsys { name: "vsys1".to_owned(), parts: Vec::new(), pushed: Vec::new() };
        let systems = match sections.vsys.as_slice() {
            [] => std::slice::from_ref(&no_system),
            systems => systems,
        };
        let scopes: Vec<ScopeId> = systems
            .iter()
            .map(|it| self.scopes.add(&it.name, Some(above), it.definitions()))
            .collect();
        self.convert_names();

        let mut domains: Vec<(String, Vec<Element<'t>>)> =
            systems.iter().map(|it| (it.name.clone(), it.parts.clone())).collect();
        let gateways = all_at(&sections.network, &["shared-gateway"]);
        for gateway in gateways.into_iter().flat_map(Element::children) {
            domains.push((gateway.name().to_owned(), vec![gateway]));
        }
        self.zones.implicit = !sections.has_zones();
        self.convert_zones(&domains, &scopes);
        let first = scopes.first().copied().unwrap_or(shared);
        let parts: Vec<Element<'t>> = systems.iter().flat_map(|it| it.parts.clone()).collect();
        self.convert_network(&sections.network, &parts, first);
        self.convert_zone_protection(&sections.network);

        let several = domains.len() > 1;
        for (number, (Vsys { name, parts, pushed: alone }, scope)) in
            systems.iter().zip(scopes).enumerate()
        {
            let own = Place { scope, domain: DomainId(number), several };
            let pushed = Place { scope: above, ..own };
            let at = |parts: &[Element<'t>], section| all_at(parts, &[section]);
            let written = [
                (at(&sections.pushed, "pre-rulebase"), pushed),
                (at(alone, "pre-rulebase"), own),
                (at(parts, "pre-rulebase"), own),
                (at(parts, "rulebase"), own),
                (at(parts, "post-rulebase"), own),
                (at(alone, "post-rulebase"), own),
                (at(&sections.pushed, "post-rulebase"), pushed),
            ];
            let rules = self.system_rules(name, &written);
            let first = parts.iter().chain(alone).next();
            let at = first.map_or(super::IMPLIED, |part| part.at());
            let rule_base = RuleBase { name: name.clone(), rules, default: None, at };
            self.firewall.rule_bases.push(rule_base);
        }
        self.add_layers(systems.len());
    }

    /// The security rules of the rule bases given, in order, with the default rules; their NAT
    /// rules are added as well.
    fn system_rules(&mut self, name: &str, written: &[(Vec<Element<'t>>, Place)]) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut defaults = Vec::new();
        for (rule_bases, place) in written {
            for rule_base in rule_bases {
                rules.extend(self.security_rules(*rule_base, *place));
                self.convert_nat(*rule_base, *place);
                defaults.push((*rule_base, *place));
            }
        }
        rules.extend(self.default_rules(&defaults));
        self.complete_rules(name, rules, &defaults)
    }

    /// Puts what comes before the security rules in front of them, once NAT rules are read.
    fn complete_rules(
        &mut self,
        name: &str,
        mut rules: Vec<Rule>,
        written: &[(Element<'t>, Place)],
    ) -> Vec<Rule> {
        self.order_wildcards(name, &mut rules);
        let front = self.front_rules(name, written);
        rules.splice(0..0, front);
        rules
    }

    /// Panorama: a rule base for each device group. The firewall is that of the group chosen, else
    /// of the first one without groups below it: templates that serve it give the network, its
    /// rule bases the translations, and names mean what they mean in it. The settings of the
    /// templates come back.
    fn convert_panorama(
        &mut self,
        sections: &Sections<'t>,
        chosen: Option<&str>,
    ) -> Vec<Element<'t>> {
        let named =
            chosen.and_then(|name| sections.device_groups.iter().find(|it| it.name == name));
        let Some(chosen) = named.or(sections.first_leaf()) else { return Vec::new() };
        let others = sections.device_groups.iter().filter(|it| it.name != chosen.name);
        for other in others.filter(|_| named.is_none()) {
            let message = format!("there are several device groups; `{}` is taken", chosen.name);
            self.problems.unsupported("several-device-groups", other.element.at(), message);
            self.problems.help("name the device group's rule base to judge another one");
        }
        let shared = self.scopes.add("shared", None, sections.shared.clone());
        let mut scopes: BTreeMap<&str, ScopeId> = BTreeMap::new();
        let mut open: Vec<&DeviceGroup<'t>> = sections.device_groups.iter().collect();
        // Parents first; a group whose parent never comes hangs below the shared objects.
        open.sort_by_cached_key(|group| sections.ancestors(group).len());
        for group in open {
            let parent = group.parent.as_deref().and_then(|name| scopes.get(name).copied());
            let parts = vec![group.element];
            let scope = self.scopes.add(&group.name, Some(parent.unwrap_or(shared)), parts);
            scopes.insert(&group.name, scope);
        }
        let mut merged = None;
        if let Some(scope) = scopes.get(chosen.name.as_str()).copied()
            && self.scopes.overrides(scope)
        {
            merged = Some(self.scopes.add_merged(scope));
        }
        self.convert_names();
        let templates = sections.templates_of(chosen, &mut self.problems);
        // The first template that says something counts, and of settings the last that is read.
        let mut settings = in_templates(&templates, "deviceconfig");
        settings.reverse();
        self.convert_settings(&settings);
        self.convert_templates(&templates, &chosen.name, merged.unwrap_or(shared));

        let mut read = BTreeMap::new();
        for group in &sections.device_groups {
            let is_chosen = group.name == chosen.name;
            let mut rules = Vec::new();
            let mut defaults = Vec::new();
            for part in sections.parts_of(group) {
                let owner = part.owner.and_then(|owner| scopes.get(owner).copied());
                let owner = owner.unwrap_or(shared);
                let scope = merged.filter(|_| is_chosen).unwrap_or(owner);
                let place = Place { scope, domain: DomainId(0), several: false };
                // Rules of a group stand in the rule base of each group below: they are read once
                // for all of those where their names mean the same.
                let once = read.entry((scope, owner, part.section)).or_insert_with(|| {
                    let rules = part.rule_bases.iter().map(|it| self.security_rules(*it, place));
                    rules.flatten().collect::<Vec<Rule>>()
                });
                rules.extend(once.iter().cloned());
                if is_chosen {
                    for rule_base in &part.rule_bases {
                        self.convert_nat(*rule_base, place);
                    }
                }
                defaults.extend(part.rule_bases.into_iter().map(|it| (it, place)));
            }
            rules.extend(self.default_rules(&defaults));
            let rules = self.complete_rules(&group.name, rules, &defaults);
            let (name, at) = (group.name.clone(), group.element.at());
            self.firewall.rule_bases.push(RuleBase { name, rules, default: None, at });
        }
        let rule_base = At::new(chosen.name.clone(), chosen.element.at());
        self.firewall.layers = vec![layer("security", rule_base)];
        settings
    }

    /// Interfaces and zones of the templates given, the first of which counts where they overlap.
    fn convert_templates(&mut self, templates: &[Element<'t>], name: &str, shared: ScopeId) {
        self.templates_overlap = templates.len() > 1;
        let systems = in_templates(templates, "vsys");
        let systems: Vec<Element<'t>> = systems.into_iter().flat_map(Element::children).collect();
        self.zones.implicit = templates.is_empty();
        self.convert_zones(&[(name.to_owned(), systems.clone())], &[shared]);
        let networks = in_templates(templates, "network");
        self.convert_network(&networks, &systems, shared);
        self.convert_zone_protection(&networks);
        // Rules may name zones that only other templates define.
        self.zones.implicit = true;
    }

    fn convert_names(&mut self) {
        self.scopes.index();
        self.convert_objects();
        self.convert_applications();
        self.convert_schedules();
    }

    /// One virtual system is one layer. Several are two: traffic is judged where it enters and,
    /// when it goes on to another system, there as well.
    fn add_layers(&mut self, systems: usize) {
        let names: Vec<(String, Span)> =
            self.firewall.rule_bases.iter().map(|it| (it.name.clone(), it.at)).collect();
        let unzoned = self.firewall.zones.iter().any(|zone| zone.name == NO_ZONE);
        let refused = if unzoned { without_zone().to_vec() } else { Vec::new() };
        if self.zones.domains().count() < 2 {
            for rule_base in &mut self.firewall.rule_bases {
                rule_base.rules.splice(0..0, refused.iter().cloned());
            }
            let layers = names.into_iter().map(|(name, at)| layer("security", At::new(name, at)));
            self.firewall.layers = layers.collect();
            return;
        }
        if self.zones.implicit {
            self.add_undivided_layer(&names);
            return;
        }
        let (mut entering, mut leaving) = (refused, Vec::new());
        for domain in self.zones.domains().filter(|it| !self.zones.zones(*it).is_empty()) {
            let name = self.zones.name(domain);
            let zones = self.zones.all_of(domain, super::IMPLIED);
            entering.extend(self.unreached(domain, systems));
            let judged = if domain.0 < systems {
                Action::Goto(name.to_owned())
            } else {
                // A shared gateway has no security rules of its own.
                Action::Allow
            };
            let from = Match { from: zones.clone(), ..Match::default() };
            entering.push(implied(&format!("from-{name}"), from, judged.clone()));
            let inside = Match { from: zones.clone(), to: zones.clone(), ..Match::default() };
            leaving.push(implied(&format!("within-{name}"), inside, Action::Allow));
            let to = Match { to: zones, ..Match::default() };
            leaving.push(implied(&format!("to-{name}"), to, judged));
        }
        for (layer_name, rules) in [("entering", entering), ("leaving", leaving)] {
            let (default, at) = (Some(Action::Deny), super::IMPLIED);
            // Parentheses cannot be part of a virtual system's name.
            let name = format!("({layer_name})");
            self.firewall.layers.push(layer(layer_name, At::new(name.clone(), at)));
            self.firewall.rule_bases.push(RuleBase { name, rules, default, at });
        }
    }

    /// Drops what goes to systems no external zone leads to, or that have none that leads back:
    /// each system judges traffic between its own zones and an external one (*External Zone*,
    /// PAN-OS Administrator's Guide). Shared gateways, which come after the systems, need none.
    fn unreached(&self, from: DomainId, systems: usize) -> Option<Rule> {
        let leads = |one: DomainId, other| one.0 >= systems || self.zones.reaches(one, other);
        let hidden = |to: &DomainId| *to != from && !(leads(from, *to) && leads(*to, from));
        let zones = self.zones.domains().filter(hidden).flat_map(|to| self.zones.zones(to));
        let zones: Vec<At<String>> =
            zones.map(|zone| At::new(zone.clone(), super::IMPLIED)).collect();
        let matches = Match {
            from: self.zones.all_of(from, super::IMPLIED),
            to: Names::OneOf(zones),
            ..Match::default()
        };
        let name = format!("not-visible-from-{}", self.zones.name(from));
        let any = !matches.to.listed().is_empty();
        any.then(|| implied(&name, matches, Action::Drop))
    }

    /// Puts what the device decides before any rule in front of every rule base.
    fn add_first_rules(&mut self) {
        for rule_base in &mut self.firewall.rule_bases {
            rule_base.rules.splice(0..0, self.first_rules.iter().cloned());
        }
    }

    /// Several systems, none with zones: which of them judges is not known.
    fn add_undivided_layer(&mut self, names: &[(String, Span)]) {
        let at = names.get(1).map_or(super::IMPLIED, |(_, at)| *at);
        let message = "no zone tells which virtual system traffic enters";
        self.problems.unsupported("undivided-systems", at, message);
        let enters = |(name, at): &(String, Span)| {
            let unknown = vec![At::new(format!("traffic enters {name}"), *at)];
            let matches = Match { unknown, ..Match::default() };
            implied(&format!("from-{name}"), matches, Action::Goto(name.clone()))
        };
        let (name, rules) = ("(entering)".to_owned(), names.iter().map(enters).collect());
        let default = Some(Action::Deny);
        let at = super::IMPLIED;
        self.firewall.layers = vec![layer("entering", At::new(name.clone(), at))];
        self.firewall.rule_bases.push(RuleBase { name, rules, default, at });
    }

    /// Names an element that may matter and is not read.
    pub(super) fn unknown_element(&mut self, element: Element<'t>, parent: &str) {
        let message = format!("`{}` in a {parent} is not read", element.name());
        self.problems.unsupported("unknown-element", element.at(), message);
        self.problems.defined(digest_of(element));
    }
}

/// A section of each template, with a device around it or without.
fn in_templates<'t>(templates: &[Element<'t>], name: &str) -> Vec<Element<'t>> {
    let places = templates.iter().flat_map(|it| {
        let device = it.under("devices").find_map(|device| device.child(name));
        [it.child(name), device].into_iter().flatten()
    });
    places.collect()
}

pub(super) fn implied(name: &str, matches: Match, action: Action) -> Rule {
    Rule {
        name: name.to_owned(),
        at: super::IMPLIED,
        implied: true,
        matches,
        action,
        ..Rule::default()
    }
}

/// The filter compares addresses and ports as they arrived, and zones after destination
/// translation.
fn layer(name: &str, rule_base: At<String>) -> Layer {
    let (sees_src, sees_dst) = (Sees::Original, Sees::Original);
    let (name, default) = (name.to_owned(), Action::Deny);
    Layer { name, rule_base, default, sees_src, sees_dst, before_sessions: false }
}

/// Traffic of an interface without zone is dropped, whatever the rules say.
fn without_zone() -> [Rule; 2] {
    let zone = || Names::one(NO_ZONE, super::IMPLIED);
    let from = Match { from: zone(), ..Match::default() };
    let to = Match { to: zone(), ..Match::default() };
    [("no-ingress-zone", from), ("no-egress-zone", to)]
        .map(|(name, matches)| implied(name, matches, Action::Drop))
}
