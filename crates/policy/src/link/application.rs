//! Application objects and groups become sets of the names identification gives.

use std::collections::{BTreeMap, BTreeSet};

use super::service::{dedup_in_order, linked};
use super::{ApplicationNames, Linker, MAX_NESTING};
use crate::linked::{ApplicationId, LinkedApplication, LinkedService};
use crate::model::{ApplicationObject, Firewall, Names};
use crate::set::IdSet;
use crate::{At, Span};

pub(super) struct ApplicationResolver<'a> {
    objects: BTreeMap<&'a str, &'a ApplicationObject>,
    ids: BTreeMap<&'a str, ApplicationId>,
    names: Vec<&'a str>,
}

impl<'a> ApplicationResolver<'a> {
    /// Numbers every name identification can give, in the order of the objects.
    pub(super) fn new(firewall: &'a Firewall) -> Self {
        let objects = firewall.applications.iter().map(|object| (object.name.as_str(), object));
        let mut resolver =
            Self { objects: objects.collect(), ids: BTreeMap::new(), names: Vec::new() };
        for object in &firewall.applications {
            for name in identified_names(object) {
                resolver.ids.entry(name).or_insert_with(|| {
                    resolver.names.push(name);
                    ApplicationId(resolver.names.len() as u32 - 1)
                });
            }
        }
        resolver
    }

    /// The applications with their default services, and every name with what it stands for.
    pub(super) fn finish(self, firewall: &Firewall) -> (Vec<LinkedApplication>, ApplicationNames) {
        let mut applications: Vec<LinkedApplication> = self
            .names
            .iter()
            .map(|name| LinkedApplication { name: (*name).into(), default_services: Vec::new() })
            .collect();
        let mut names = ApplicationNames::new();
        for object in &firewall.applications {
            for name in identified_names(object) {
                let Some(id) = self.ids.get(name) else { continue };
                let defaults = object.default_services.iter().map(linked);
                applications[id.index()].default_services.extend(defaults);
                names.entry(object.name.as_str().into()).or_default().push(*id);
                names.entry(name.into()).or_default().push(*id);
            }
        }
        for application in &mut applications {
            dedup_in_order(&mut application.default_services);
        }
        for ids in names.values_mut() {
            ids.sort_unstable();
            ids.dedup();
        }
        (applications, names)
    }
}

/// What identification calls an application; one it cannot recognise goes by its own name, so that
/// a question may state it.
fn identified_names(object: &ApplicationObject) -> impl Iterator<Item = &str> {
    let own = object.identified_as.is_empty() && object.members.is_empty();
    let own = own.then_some(object.name.as_str());
    object.identified_as.iter().map(String::as_str).chain(own)
}

/// The applications of a rule.
pub(super) struct Applications {
    pub(super) named: IdSet,
    pub(super) implicit: IdSet,
    /// The default services of all of them together; none where they cannot be listed.
    pub(super) default_services: Vec<LinkedService>,
}

impl Applications {
    /// Applications that nothing is let through for.
    fn of(named: IdSet) -> Self {
        Self { named, implicit: IdSet::only([]), default_services: Vec::new() }
    }
}

impl Linker<'_> {
    pub(super) fn link_applications(&mut self, names: &Names) -> Applications {
        let mut walk = Walk::default();
        for At { value, at } in names.listed() {
            self.collect_application(value, *at, &mut walk, 0);
        }
        let ids = |set: &BTreeSet<ApplicationId>| IdSet::only(set.iter().map(|id| id.0));
        let Walk { named, implicit, default_services, .. } = walk;
        match names {
            Names::Any => Applications::of(IdSet::Any),
            Names::OneOf(_) => {
                Applications { named: ids(&named), implicit: ids(&implicit), default_services }
            }
            Names::NoneOf(_) => Applications::of(IdSet::all_but(named.iter().map(|id| id.0))),
        }
    }

    fn collect_application(&mut self, name: &str, at: Span, walk: &mut Walk, depth: usize) {
        if depth > MAX_NESTING {
            let message = format!("application groups nest deeper than {MAX_NESTING}");
            self.problems.error("nesting-too-deep", at, message);
            return;
        }
        let Some(&object) = self.applications.objects.get(name) else {
            self.problems.error("unknown-application", at, format!("unknown application `{name}`"));
            return;
        };
        if !walk.visited.insert(name.to_owned()) {
            return;
        }
        walk.default_services.extend(object.default_services.iter().map(linked));
        walk.named
            .extend(identified_names(object).filter_map(|name| self.applications.ids.get(name)));
        for implicit in &object.implicit {
            if let Some(&parent) = self.applications.objects.get(implicit.as_str()) {
                let ids = identified_names(parent);
                walk.implicit.extend(ids.filter_map(|name| self.applications.ids.get(name)));
                walk.default_services.extend(parent.default_services.iter().map(linked));
            }
        }
        for member in &object.members {
            self.collect_application(&member.value, member.at, walk, depth + 1);
        }
    }
}

#[derive(Default)]
struct Walk {
    visited: BTreeSet<String>,
    named: BTreeSet<ApplicationId>,
    implicit: BTreeSet<ApplicationId>,
    default_services: Vec<LinkedService>,
}
