//! Implicit changes: a rule that reads the same on both sides and means something else, because an
//! object it names was edited.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parefeu_policy::set::{AddressSet, Ranges};
use parefeu_policy::{
    AddressItem, At, Firewall, LinkedFirewall, LinkedServices, Objects, Resolved, Rule, RuleId,
    ServiceItem,
};

use crate::finding::{Decision, Finding};
use crate::flatten::Family;
use crate::naming::{address_ranges, service_ranges, services_of};
use crate::problem::Field;

/// A firewall in every form that says something of its objects.
#[derive(Clone, Copy, Debug)]
pub struct WithObjects<'a> {
    /// As it was read.
    pub written: &'a Firewall,
    /// As it is compared.
    pub linked: &'a LinkedFirewall,
    /// Its objects.
    pub objects: &'a Objects,
}

/// An object whose edit accounts for a finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// The name it has on both sides.
    pub object: Box<str>,
    /// What the numbers are.
    pub of: Edited,
    /// What it holds on the new side only, of the values of the finding.
    pub added: Ranges,
    /// What it holds on the old side only, of the values of the finding.
    pub removed: Ranges,
}

/// What an edited object holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Edited {
    /// Addresses of this family.
    Addresses(Family),
    /// Services: the protocol, then 16 bits for the destination port, or for type and code of ICMP.
    Services,
}

/// The objects of two firewalls of one dialect that have one name and stand for different sets.
#[derive(Debug)]
pub struct Edits<'a> {
    addresses: BTreeMap<&'a str, [&'a AddressSet; 2]>,
    services: BTreeMap<&'a str, [&'a LinkedServices; 2]>,
    sides: [Reading<'a>; 2],
}

impl<'a> Edits<'a> {
    /// What was edited from one firewall to the other; nothing between two dialects, whose texts
    /// do not say the same when they are the same.
    pub fn between(old: WithObjects<'a>, new: WithObjects<'a>) -> Self {
        let sides = [old, new].map(Reading::of);
        if old.linked.dialect != new.linked.dialect {
            return Self { addresses: BTreeMap::new(), services: BTreeMap::new(), sides };
        }
        let mut addresses = in_common(&old.objects.addresses, &new.objects.addresses);
        // One that lists the same on both sides only names another one that was edited.
        let [a, b] = &sides;
        addresses.retain(|name, [old, new]| {
            old != new && a.addresses.0.get(name) != b.addresses.0.get(name)
        });
        let mut services = in_common(&old.objects.services, &new.objects.services);
        services.retain(|name, [old, new]| {
            let [old, new] = [old, new].map(|it| service_ranges(&it.terms));
            old != new && a.services.0.get(name) != b.services.0.get(name)
        });
        Self { addresses, services, sides }
    }

    /// The edits that account for a finding: rules that read the same on both sides decide it on
    /// one, would have decided it on the other, where all that decides stands below, and do not
    /// match there because of these objects alone.
    pub fn because(&self, finding: &Finding) -> Vec<Edit> {
        if self.addresses.is_empty() && self.services.is_empty() {
            return Vec::new();
        }
        let mut found = self.of_rules(0, finding, [&finding.old, &finding.new]);
        if found.is_empty() {
            found = self.of_rules(1, finding, [&finding.new, &finding.old]);
        }
        found
    }

    /// The edits by which the rules of a side match what their counterparts do not.
    fn of_rules(&self, side: usize, finding: &Finding, decided: [&Decision; 2]) -> Vec<Edit> {
        let [here, there] = decided.map(|it| it.deciders.iter().map(|origin| origin.rule));
        let there: Vec<Option<RuleId>> = there.collect();
        let (mine, other) = (&self.sides[side], &self.sides[1 - side]);
        let mut found: Option<Vec<Edit>> = None;
        for rule in here {
            let counterpart = rule.and_then(|id| other.alike(mine, id));
            let (Some(id), Some(counterpart)) = (rule, counterpart) else { return Vec::new() };
            let below = |it: &Option<RuleId>| {
                it.is_none_or(|it| it > counterpart && other.base(it) == other.base(counterpart))
            };
            let Some(rule) = mine.rules.get(id.index()).filter(|_| there.iter().all(below)) else {
                return Vec::new();
            };
            let edits = self.of_rule(mine, rule, finding);
            match &mut found {
                _ if edits.is_empty() => return Vec::new(),
                None => found = Some(edits),
                Some(known) => {
                    let more = edits.into_iter().filter(|it| !known.contains(it));
                    let more: Vec<Edit> = more.collect();
                    known.extend(more);
                }
            }
        }
        found.unwrap_or_default()
    }

    /// The edits of objects a rule names that hold all values of the finding in some field.
    fn of_rule(&self, side: &Reading<'a>, rule: &'a Rule, finding: &Finding) -> Vec<Edit> {
        let mut found = Vec::new();
        if let Some(family) = finding.family {
            for (field, addresses) in
                [(Field::Src, &rule.matches.src), (Field::Dst, &rule.matches.dst)]
            {
                let Some(wanted) = finding.sets.get(&field) else { continue };
                let names = addresses.items.iter().filter_map(|item| address_name(&item.value));
                let names = side.addresses.reached(names);
                let edited = names.into_iter().filter_map(|name| {
                    let sets = self.addresses.get(name)?.map(|set| address_ranges(set, family));
                    Some((name, sets))
                });
                found.extend(accounting(wanted, Edited::Addresses(family), edited));
            }
        }
        if let Some((src_ports, wanted)) = services_of(finding) {
            let names = rule.matches.services.iter().filter_map(|item| service_name(&item.value));
            let names = side.services.reached(names);
            let edited = names.into_iter().filter_map(|name| {
                let [old, new] = self.services.get(name)?.map(|it| service_ranges(&it.terms));
                let (old, new) = old.zip(new)?;
                (old.0 == src_ports && new.0 == src_ports).then_some((name, [old.1, new.1]))
            });
            found.extend(accounting(&wanted, Edited::Services, edited));
        }
        found
    }
}

/// The edits, where together they change everything that is wanted; else none.
fn accounting<'a>(
    wanted: &Ranges,
    of: Edited,
    edited: impl Iterator<Item = (&'a str, [Ranges; 2])>,
) -> Vec<Edit> {
    let edits = edited.map(|(name, [old, new])| Edit {
        object: name.into(),
        of,
        added: new.difference(&old).intersection(wanted),
        removed: old.difference(&new).intersection(wanted),
    });
    let edits: Vec<Edit> =
        edits.filter(|it| !it.added.is_empty() || !it.removed.is_empty()).collect();
    let parts = edits.iter().flat_map(|it| it.added.as_slice().iter().chain(it.removed.as_slice()));
    let all: Ranges = parts.copied().collect();
    if all.covers(wanted) { edits } else { Vec::new() }
}

/// The objects both sides have, by name.
fn in_common<'a, T>(
    old: &'a [Resolved<T>],
    new: &'a [Resolved<T>],
) -> BTreeMap<&'a str, [&'a T; 2]> {
    let new: HashMap<&str, &T> = new.iter().map(|it| (&*it.name, &it.value)).collect();
    let both = old.iter().filter_map(|it| Some((&*it.name, [&it.value, *new.get(&*it.name)?])));
    both.collect()
}

/// The members of objects, by the name of the object.
#[derive(Debug, Default)]
struct Members<'a>(HashMap<&'a str, Listed<'a>>);

/// What an object lists.
#[derive(Debug, Default, Eq, PartialEq)]
struct Listed<'a> {
    /// As it is written.
    texts: Vec<String>,
    /// The objects among it.
    names: Vec<&'a str>,
}

impl<'a> Listed<'a> {
    fn add<T: std::fmt::Debug>(
        &mut self,
        prefix: &str,
        items: &'a [At<T>],
        name: fn(&'a T) -> Option<&'a str>,
    ) {
        self.texts.extend(items.iter().map(|item| format!("{prefix}{:?}", item.value)));
        self.names.extend(items.iter().filter_map(|item| name(&item.value)));
    }
}

impl<'a> Members<'a> {
    /// The objects reached from some, those included.
    fn reached(&self, first: impl Iterator<Item = &'a str>) -> BTreeSet<&'a str> {
        let (mut open, mut found): (Vec<&str>, _) = (first.collect(), BTreeSet::new());
        while let Some(name) = open.pop() {
            if found.insert(name) {
                open.extend(self.0.get(name).into_iter().flat_map(|it| &it.names));
            }
        }
        found
    }
}

/// The rules and objects of a side as its text has them.
#[derive(Debug)]
struct Reading<'a> {
    linked: &'a LinkedFirewall,
    /// By [`RuleId`].
    rules: Vec<&'a Rule>,
    /// The first rule of a text in a rule base.
    by_text: HashMap<(&'a str, &'a str), RuleId>,
    addresses: Members<'a>,
    services: Members<'a>,
}

impl<'a> Reading<'a> {
    fn of(side: WithObjects<'a>) -> Self {
        let WithObjects { written, linked, .. } = side;
        let bases = written.rule_bases.iter();
        let rules: Vec<&Rule> = bases.flat_map(|rule_base| &rule_base.rules).collect();
        let (mut addresses, mut services) = (Members::default(), Members::default());
        for object in &written.addresses {
            let listed = addresses.0.entry(&*object.name).or_default();
            listed.add("", &object.items, address_name);
            listed.add("not ", &object.except, address_name);
        }
        for object in &written.services {
            let listed = services.0.entry(&*object.name).or_default();
            listed.add("", &object.items, service_name);
        }
        let mut found = Self { linked, rules, by_text: HashMap::new(), addresses, services };
        for id in (0..linked.rules.len() as u32).map(RuleId) {
            if let Some(key) = found.key(id) {
                found.by_text.entry(key).or_insert(id);
            }
        }
        found
    }

    /// A rule's rule base and text.
    fn key(&self, id: RuleId) -> Option<(&'a str, &'a str)> {
        let at = self.linked.rules.get(id.index()).filter(|rule| !rule.implied)?.at;
        let source = self.linked.sources.of(at)?;
        let text = source.text().get(at.start as usize..at.end as usize)?;
        let base = &*self.linked.rule_base_of(id)?.name;
        (!text.is_empty()).then_some((base, text))
    }

    /// The rule of this side that reads as one of the other side does.
    fn alike(&self, other: &Self, id: RuleId) -> Option<RuleId> {
        self.by_text.get(&other.key(id)?).copied()
    }

    fn base(&self, id: RuleId) -> Option<&str> {
        self.linked.rule_base_of(id).map(|rule_base| &*rule_base.name)
    }
}

fn address_name(item: &AddressItem) -> Option<&str> {
    match item {
        AddressItem::Object(name) => Some(name),
        _ => None,
    }
}

fn service_name(item: &ServiceItem) -> Option<&str> {
    match item {
        ServiceItem::Object(name) => Some(name),
        _ => None,
    }
}
