//! Linking: names become identifiers, groups become sets, and every problem is reported at once.

mod address;
mod application;
mod cycle;
mod discard;
mod network;
mod objects;
mod rule;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use objects::{Objects, Resolved};

use crate::linked::{
    ApplicationId, Atom, AtomId, CategoryId, LinkedCategory, LinkedFirewall, LinkedSchedule,
    ScheduleId, UserId,
};
use crate::model::{Firewall, UrlCategory};
use crate::{Diagnostics, Span, UrlPattern};

/// Groups inside groups, or jumps inside jumps, deeper than this are an error.
pub const MAX_NESTING: usize = 64;

/// The atom of an object that linking refuses.
const UNRESOLVED: &str = "an object that cannot be resolved";

/// Resolves every name of `firewall`. Problems are added to `problems`; the result is `None` when
/// one of them is an error.
///
/// Error codes: `duplicate-name`, `unknown-object`, `unknown-service`, `unknown-application`,
/// `unknown-zone`, `unknown-interface`, `unknown-rule-base`, `unknown-schedule`, `cycle`,
/// `nesting-too-deep`, `layer-order`, `bad-default`, `bad-range`, `bad-pattern`, `empty-pool`.
/// Suspicious: `empty-group`, `empty-match`, `no-layer`, `route-without-interface`.
///
/// `O(n log n)` in the size of the configuration with groups expanded; a group is expanded once.
pub fn link(firewall: &Firewall, problems: &mut Diagnostics) -> Option<LinkedFirewall> {
    let mut found = Diagnostics::default();
    let mut linker = Linker::new(firewall, &mut found);
    linker.refuse_duplicates();
    let (zones, interfaces, routes) = linker.link_network();
    let rule_bases = linker.link_rule_bases();
    let layers = linker.link_layers();
    let destination_nat = linker.link_nat(&firewall.destination_nat);
    let source_nat = linker.link_nat(&firewall.source_nat);
    linker.refuse_jump_cycles(&rule_bases.0);
    linker.point_out_missing_layers();
    let (applications, application_names) = linker.applications.finish(firewall);
    let Linker { atoms, categories, users, schedules, .. } = linker;
    cycle::refuse_cycles(firewall, problems, &mut found);
    let failed = found.has_errors();
    problems.append(found);
    let mut linked = LinkedFirewall {
        name: firewall.name.as_str().into(),
        dialect: firewall.dialect,
        sources: firewall.sources.clone(),
        zones,
        interfaces,
        routes,
        applications,
        application_names,
        url_categories: categories.list,
        users: users.list,
        schedules: schedules.list,
        profiles: firewall.profiles.clone(),
        atoms: atoms.list,
        rules: rule_bases.1,
        rule_bases: rule_bases.0,
        layers,
        destination_nat,
        source_nat,
        behaviour: firewall.behaviour.clone(),
        own_traffic: firewall.own_traffic.clone(),
    };
    discard::add(&mut linked, firewall);
    (!failed).then_some(linked)
}

struct Linker<'a> {
    firewall: &'a Firewall,
    problems: &'a mut Diagnostics,
    zones: BTreeMap<&'a str, u32>,
    interfaces: BTreeMap<&'a str, u32>,
    rule_base_ids: BTreeMap<&'a str, u32>,
    addresses: address::AddressResolver<'a>,
    services: service::ServiceResolver<'a>,
    applications: application::ApplicationResolver<'a>,
    atoms: Interner<Atom>,
    categories: Interner<LinkedCategory>,
    users: Interner<Box<str>>,
    schedules: Interner<LinkedSchedule>,
}

impl<'a> Linker<'a> {
    fn new(firewall: &'a Firewall, problems: &'a mut Diagnostics) -> Self {
        let index = |names: &mut dyn Iterator<Item = &'a str>| {
            let mut ids = BTreeMap::new();
            for (id, name) in names.enumerate() {
                ids.entry(name).or_insert(id as u32);
            }
            ids
        };
        let mut interfaces =
            index(&mut firewall.interfaces.iter().map(|interface| interface.name.as_str()));
        for (id, interface) in firewall.interfaces.iter().enumerate() {
            for alias in &interface.aliases {
                interfaces.entry(alias).or_insert(id as u32);
            }
        }
        Self {
            firewall,
            problems,
            zones: index(&mut firewall.zones.iter().map(|zone| zone.name.as_str())),
            interfaces,
            rule_base_ids: index(&mut firewall.rule_bases.iter().map(|rb| rb.name.as_str())),
            addresses: address::AddressResolver::new(firewall),
            services: service::ServiceResolver::new(firewall),
            applications: application::ApplicationResolver::new(firewall),
            atoms: Interner::default(),
            categories: Interner::default(),
            users: Interner::default(),
            schedules: Interner::default(),
        }
    }

    fn refuse_duplicates(&mut self) {
        let Firewall { zones, interfaces, addresses, services, .. } = self.firewall;
        let Firewall { applications, url_categories, schedules, rule_bases, .. } = self.firewall;
        self.refuse_twice("zone", &mut zones.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("interface", &mut interfaces.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("address object", &mut addresses.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("service object", &mut services.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("application", &mut applications.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("URL category", &mut url_categories.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("schedule", &mut schedules.iter().map(|it| (&*it.name, it.at)));
        let profiles = &self.firewall.profiles;
        self.refuse_twice("profile", &mut profiles.iter().map(|it| (&*it.name, it.at)));
        self.refuse_twice("rule base", &mut rule_bases.iter().map(|it| (&*it.name, it.at)));
    }

    fn refuse_twice(&mut self, kind: &str, names: &mut dyn Iterator<Item = (&'a str, Span)>) {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, at) in names {
            let Some(first) = seen.get(name) else {
                seen.insert(name, at);
                continue;
            };
            let line = self.firewall.sources.line_number(*first);
            let message = format!("{kind} `{name}` is defined twice");
            self.problems.error("duplicate-name", at, message);
            self.problems.help(format!("the first definition is on line {line}"));
        }
    }

    fn category(&mut self, name: &str) -> CategoryId {
        if let Some(id) = self.categories.find(name) {
            return CategoryId(id);
        }
        let defined = self.firewall.url_categories.iter().find(|category| category.name == name);
        let patterns = defined.map(|category| self.patterns(category));
        let category = LinkedCategory { name: name.into(), patterns };
        CategoryId(self.categories.add(name, category))
    }

    fn patterns(&mut self, category: &UrlCategory) -> Vec<UrlPattern> {
        let mut patterns = Vec::with_capacity(category.patterns.len());
        for pattern in &category.patterns {
            match UrlPattern::parse(&pattern.value) {
                Ok(parsed) => patterns.push(parsed),
                Err(error) => {
                    let message = format!("URL pattern `{}` is unusable: {error}", pattern.value);
                    self.problems.error("bad-pattern", pattern.at, message);
                }
            }
        }
        patterns
    }

    fn user(&mut self, name: &str) -> UserId {
        UserId(self.users.find(name).unwrap_or_else(|| self.users.add(name, name.into())))
    }

    fn schedule(&mut self, name: &str, at: Span) -> Option<ScheduleId> {
        if let Some(id) = self.schedules.find(name) {
            return Some(ScheduleId(id));
        }
        let Some(defined) = self.firewall.schedules.iter().find(|it| it.name == name) else {
            self.problems.error("unknown-schedule", at, format!("unknown schedule `{name}`"));
            return None;
        };
        let (weekly, absolute) = (defined.weekly.clone(), defined.absolute.clone());
        let schedule = LinkedSchedule { name: name.into(), weekly, absolute };
        Some(ScheduleId(self.schedules.add(name, schedule)))
    }

    fn atom(&mut self, text: &str, at: Span) -> AtomId {
        self.atoms.atom(text, at)
    }
}

/// Names and the values they stand for, in order of first mention.
struct Interner<T> {
    ids: BTreeMap<Box<str>, u32>,
    list: Vec<T>,
}

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self { ids: BTreeMap::new(), list: Vec::new() }
    }
}

impl<T> Interner<T> {
    fn find(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    fn add(&mut self, name: &str, value: T) -> u32 {
        let id = self.list.len() as u32;
        self.ids.insert(name.into(), id);
        self.list.push(value);
        id
    }
}

impl Interner<Atom> {
    fn atom(&mut self, text: &str, at: Span) -> AtomId {
        let found = self.find(text);
        AtomId(found.unwrap_or_else(|| self.add(text, Atom { text: text.into(), at })))
    }
}

/// Application names with what identification calls them.
type ApplicationNames = BTreeMap<Box<str>, Vec<ApplicationId>>;
