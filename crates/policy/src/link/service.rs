//! Service objects and groups become lists of terms.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Linker, MAX_NESTING, UNRESOLVED};
use crate::linked::{AtomId, LinkedService, LinkedServices};
use crate::model::{Firewall, ServiceItem, ServiceObject, ServiceTerm};
use crate::set::{PortSet, ProtocolSet};
use crate::{At, Span};

/// Expands each object once.
pub(super) struct ServiceResolver<'a> {
    objects: BTreeMap<&'a str, &'a ServiceObject>,
    done: BTreeMap<&'a str, Rc<Resolved>>,
    open: Vec<&'a str>,
}

/// What a service object holds.
#[derive(Clone, Debug, Default)]
struct Resolved {
    terms: Vec<LinkedService>,
    atoms: Vec<AtomId>,
    application_default: bool,
    /// How deep objects nest below: 0 for a rule's own list, 1 for an object without groups.
    height: usize,
}

impl<'a> ServiceResolver<'a> {
    pub(super) fn new(firewall: &'a Firewall) -> Self {
        let objects = firewall.services.iter().map(|object| (object.name.as_str(), object));
        Self { objects: objects.collect(), done: BTreeMap::new(), open: Vec::new() }
    }
}

impl Linker<'_> {
    /// Resolves the services of a rule.
    pub(super) fn link_services(&mut self, items: &[At<ServiceItem>]) -> LinkedServices {
        let Resolved { mut terms, atoms, application_default, .. } = self.service_items(items);
        if terms.iter().any(LinkedService::is_any) {
            terms = vec![any_service()];
        }
        LinkedServices { terms, atoms, application_default }
    }

    /// Resolves a service object.
    pub(super) fn link_service_object(&mut self, name: &str, at: Span) -> LinkedServices {
        let Resolved { terms, atoms, application_default, .. } = &*self.service_object(name, at);
        let (terms, atoms) = (terms.clone(), atoms.clone());
        LinkedServices { terms, atoms, application_default: *application_default }
    }

    fn service_items(&mut self, items: &[At<ServiceItem>]) -> Resolved {
        let mut all = Resolved::default();
        for At { value, at } in items {
            match value {
                ServiceItem::Any => all.terms.push(any_service()),
                ServiceItem::Term(term) => all.terms.push(linked(term)),
                ServiceItem::ApplicationDefault => all.application_default = true,
                ServiceItem::Unknown(text) => {
                    let atom = self.atom(text, *at);
                    all.atoms.push(atom);
                }
                ServiceItem::Object(name) => {
                    let object = self.service_object(name, *at);
                    all.terms.extend_from_slice(&object.terms);
                    all.atoms.extend_from_slice(&object.atoms);
                    all.application_default |= object.application_default;
                    all.height = all.height.max(object.height);
                }
            }
        }
        // Groups that hold one another several times would double their terms at every level.
        dedup_in_order(&mut all.terms);
        all.atoms.sort_unstable();
        all.atoms.dedup();
        all
    }

    /// What stands for an object that cannot be resolved: nobody can say what it holds.
    fn unresolved(&mut self, code: &'static str, at: Span, message: String) -> Rc<Resolved> {
        self.problems.error(code, at, message);
        let atoms = vec![self.atom(UNRESOLVED, at)];
        Rc::new(Resolved { atoms, ..Resolved::default() })
    }

    fn service_object(&mut self, name: &str, at: Span) -> Rc<Resolved> {
        let above = self.services.open.len();
        let done = self.services.done.get(name);
        if let Some(done) = done.filter(|done| above + done.height <= MAX_NESTING) {
            return Rc::clone(done);
        }
        if done.is_some() || above >= MAX_NESTING {
            let message = format!("service groups nest deeper than {MAX_NESTING}");
            return self.unresolved("nesting-too-deep", at, message);
        }
        let Some((&name, &object)) = self.services.objects.get_key_value(name) else {
            let message = format!("unknown service object `{name}`");
            return self.unresolved("unknown-service", at, message);
        };
        if self.services.open.contains(&name) {
            return self.unresolved("cycle", at, format!("service group `{name}` contains itself"));
        }
        self.services.open.push(name);
        let mut resolved = self.service_items(&object.items);
        self.services.open.pop();
        resolved.height += 1;
        let resolved = Rc::new(resolved);
        if object.items.is_empty() {
            let message = format!("service object `{name}` is empty and matches nothing");
            self.problems.suspicious("empty-group", object.at, message);
        }
        self.services.done.insert(name, Rc::clone(&resolved));
        resolved
    }
}

pub(super) fn linked(term: &ServiceTerm) -> LinkedService {
    let ServiceTerm { protocols, src_ports, dst_ports, icmp } = term.clone();
    LinkedService { protocols, src_ports, dst_ports, icmp }
}

pub(super) fn any_service() -> LinkedService {
    let (src_ports, dst_ports) = (PortSet::all(), PortSet::all());
    LinkedService { protocols: ProtocolSet::ALL, src_ports, dst_ports, icmp: None }
}

/// Drops later copies of equal terms.
pub(super) fn dedup_in_order(terms: &mut Vec<LinkedService>) {
    if terms.len() < 2 {
        return;
    }
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
}
