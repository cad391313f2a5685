//! Objects nothing uses, objects that say the same, and empty groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

use super::finding::{Finding, FindingKind, Weight};
use crate::model::{
    AddressItem, AddressObject, Firewall, Match, ServiceItem, ServiceObject, Translation,
};
use crate::set::AddressSet;
use crate::{At, Sources, Span};

/// What is to be said about the objects of a firewall. Objects the vendor predefines have no place
/// in the text, and nothing is said about them.
pub(super) fn findings(firewall: &Firewall) -> Vec<Finding> {
    let mut findings = Vec::new();
    for kind in kinds(firewall) {
        kind.report_unused(&mut findings);
        kind.report_empty(&mut findings);
    }
    let addresses = firewall.addresses.iter().filter(|it| is_written(it.at, &firewall.sources));
    let values = addresses.filter_map(|it| Some((address_value(it)?, (&*it.name, it.at))));
    report_duplicates("address object", values, &mut findings);
    let services = firewall.services.iter().filter(|it| is_written(it.at, &firewall.sources));
    let values = services.filter_map(|it| Some((service_value(it)?, (&*it.name, it.at))));
    report_duplicates("service object", values, &mut findings);
    findings
}

/// The objects of one name space and who names them.
struct Kind<'a> {
    what: &'static str,
    /// Name, place, the names it holds, and whether it holds nothing.
    objects: Vec<(&'a str, Span, Vec<&'a str>, bool)>,
    /// The names rules and translations mention.
    roots: Vec<&'a str>,
    sources: &'a Sources,
}

impl Kind<'_> {
    fn report_unused(&self, findings: &mut Vec<Finding>) {
        let members: BTreeMap<&str, &[&str]> =
            self.objects.iter().map(|(name, _, members, _)| (*name, &**members)).collect();
        let mut used = BTreeSet::new();
        let mut open = self.roots.clone();
        while let Some(name) = open.pop() {
            if used.insert(name) {
                open.extend(members.get(name).copied().unwrap_or_default());
            }
        }
        let grouped: BTreeSet<&str> = members.values().copied().flatten().copied().collect();
        for (name, at, ..) in self.written().filter(|(name, ..)| !used.contains(name)) {
            let what = self.what;
            let message = if grouped.contains(name) {
                format!("{what} `{name}` is named only by groups that are unused themselves")
            } else {
                format!("no rule, translation or group names {what} `{name}`")
            };
            findings.push(about(FindingKind::UnusedObject, name, *at, message, "remove it"));
        }
    }

    fn report_empty(&self, findings: &mut Vec<Finding>) {
        for (name, at, ..) in self.written().filter(|(.., empty)| *empty) {
            let message = format!("{} `{name}` holds nothing", self.what);
            let help = "a rule that names nothing else matches no packet";
            let weight = Weight::Warning;
            let finding = about(FindingKind::EmptyGroup, name, *at, message, help);
            findings.push(Finding { weight, ..finding });
        }
    }

    fn written(&self) -> impl Iterator<Item = &(&str, Span, Vec<&str>, bool)> {
        self.objects.iter().filter(|(_, at, ..)| is_written(*at, self.sources))
    }
}

/// Whether an object has a place in the text: what a vendor predefines has none.
fn is_written(at: Span, sources: &Sources) -> bool {
    at.start < at.end && sources.of(at).is_some()
}

fn kinds(firewall: &Firewall) -> [Kind<'_>; 5] {
    let nat = [&firewall.destination_nat, &firewall.source_nat];
    let nat = || nat.iter().flat_map(|table| &table.rules);
    let rules = firewall.rule_bases.iter().flat_map(|rule_base| &rule_base.rules);
    let matches: Vec<&Match> =
        rules.map(|rule| &rule.matches).chain(nat().map(|rule| &rule.matches)).collect();
    let pools = nat().filter_map(|rule| match &rule.translation {
        Translation::Pool { to, .. } => Some(&**to),
        _ => None,
    });
    let named = |names: fn(&Match) -> &[At<String>]| {
        matches.iter().flat_map(|it| names(it)).map(|name| &*name.value).collect()
    };
    let sides = matches.iter().flat_map(|it| [&*it.src.items, &*it.dst.items]);
    let services = matches.iter().map(|it| &*it.services);
    [
        Kind {
            what: "address object",
            objects: firewall
                .addresses
                .iter()
                .map(|it| {
                    let members = address_names(&it.items).chain(address_names(&it.except));
                    (&*it.name, it.at, members.collect(), it.items.is_empty())
                })
                .collect(),
            roots: sides.chain(pools).flat_map(address_names).collect(),
            sources: &firewall.sources,
        },
        Kind {
            what: "service object",
            objects: firewall
                .services
                .iter()
                .map(|it| {
                    (&*it.name, it.at, service_names(&it.items).collect(), it.items.is_empty())
                })
                .collect(),
            roots: services.flat_map(service_names).collect(),
            sources: &firewall.sources,
        },
        Kind {
            what: "application",
            objects: firewall
                .applications
                .iter()
                .map(|it| {
                    let members = it.members.iter().map(|member| &*member.value);
                    let members = members.chain(it.implicit.iter().map(|name| &**name)).collect();
                    (&*it.name, it.at, members, false)
                })
                .collect(),
            roots: named(|it| it.applications.listed()),
            sources: &firewall.sources,
        },
        Kind {
            what: "URL category",
            objects: firewall
                .url_categories
                .iter()
                .map(|it| (&*it.name, it.at, Vec::new(), false))
                .collect(),
            roots: named(|it| it.url_categories.listed()),
            sources: &firewall.sources,
        },
        Kind {
            what: "schedule",
            objects: firewall
                .schedules
                .iter()
                .map(|it| (&*it.name, it.at, Vec::new(), false))
                .collect(),
            roots: named(|it| it.schedule.as_slice()),
            sources: &firewall.sources,
        },
    ]
}

fn address_names(items: &[At<AddressItem>]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(|item| match &item.value {
        AddressItem::Object(name) => Some(&**name),
        _ => None,
    })
}

fn service_names(items: &[At<ServiceItem>]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(|item| match &item.value {
        ServiceItem::Object(name) => Some(&**name),
        _ => None,
    })
}

/// What an object stands for, as far as that can be compared: values, or the names of a group.
#[derive(Eq, Hash, PartialEq)]
enum Value<'a, T> {
    Of(T),
    Names(BTreeSet<&'a str>),
}

fn address_value(object: &AddressObject) -> Option<Value<'_, AddressSet>> {
    if object.items.is_empty() || !object.except.is_empty() {
        return None;
    }
    let names: BTreeSet<&str> = address_names(&object.items).collect();
    if names.len() == object.items.len() {
        return Some(Value::Names(names));
    }
    let mut set = AddressSet::default();
    for item in &object.items {
        match &item.value {
            AddressItem::Any => set.insert_set(&AddressSet::all()),
            AddressItem::AnyV4 => set.insert_set(&AddressSet::all_v4()),
            AddressItem::AnyV6 => set.insert_set(&AddressSet::all_v6()),
            AddressItem::Network(network) => set.insert_network(*network),
            AddressItem::Range(first, last) => set.insert_range(*first, *last).ok()?,
            AddressItem::Masked(pattern) => set.insert_masked(*pattern),
            AddressItem::Interface(_) | AddressItem::Object(_) | AddressItem::Unknown(_) => {
                return None;
            }
        }
    }
    Some(Value::Of(set))
}

fn service_value(object: &ServiceObject) -> Option<Value<'_, Vec<&crate::ServiceTerm>>> {
    let names: BTreeSet<&str> = service_names(&object.items).collect();
    if !names.is_empty() && names.len() == object.items.len() {
        return Some(Value::Names(names));
    }
    let terms = object.items.iter().map(|item| match &item.value {
        ServiceItem::Term(term) => Some(term),
        _ => None,
    });
    terms.collect::<Option<Vec<_>>>().filter(|terms| !terms.is_empty()).map(Value::Of)
}

fn report_duplicates<'a, T: Eq + Hash>(
    what: &str,
    values: impl Iterator<Item = (T, (&'a str, Span))>,
    findings: &mut Vec<Finding>,
) {
    let mut first_with: HashMap<T, &str> = HashMap::new();
    for (value, (name, at)) in values {
        let Some(first) = first_with.get(&value) else {
            first_with.insert(value, name);
            continue;
        };
        let message = format!("{what} `{name}` has the same value as `{first}`");
        let help = "one name for one thing is easier to keep right";
        findings.push(about(FindingKind::DuplicateObject, name, at, message, help));
    }
}

fn about(kind: FindingKind, subject: &str, at: Span, message: String, help: &str) -> Finding {
    Finding {
        kind,
        weight: Weight::Information,
        at,
        rules: Vec::new(),
        by: Vec::new(),
        subject: subject.to_owned(),
        message,
        help: help.to_owned(),
    }
}
