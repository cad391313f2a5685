//! Which inspection profiles of two firewalls are one.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{LinkedFirewall, LinkedRule};

use crate::Side;

/// What a profile is: one that is defined what it does, whatever it is called.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Defined(String),
    /// Its vendor alone can tell; by the name.
    Vendor(Box<str>),
}

/// The profiles of two firewalls: what each name stands for on either side.
pub(crate) struct Profiles<'a>([BTreeMap<&'a str, Box<str>>; 2]);

impl<'a> Profiles<'a> {
    /// `O(n log n)` in what rules and definitions say of profiles.
    pub(crate) fn of(old: &'a LinkedFirewall, new: &'a LinkedFirewall) -> Self {
        let mut labels: BTreeMap<Kind, Box<str>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        Self([old, new].map(|side| {
            let defined = side.profiles.iter().map(|it| (&*it.name, it.definition.as_str()));
            let defined: BTreeMap<&str, &str> = defined.collect();
            let applied = side.rules.iter().flat_map(|rule| &rule.profiles);
            let names: BTreeSet<&str> = applied.map(|name| &**name).collect();
            let label = |name: &'a str| {
                let kind = match defined.get(name) {
                    Some(definition) => Kind::Defined((*definition).to_owned()),
                    None => Kind::Vendor(name.into()),
                };
                let label = labels.entry(kind.clone()).or_insert_with(|| {
                    let mut label = match kind {
                        Kind::Defined(_) => name.to_owned(),
                        Kind::Vendor(name) => name.into(),
                    };
                    while !taken.insert(label.clone()) {
                        label.push_str(" (another)");
                    }
                    label.into()
                });
                (name, label.clone())
            };
            names.into_iter().map(label).collect()
        }))
    }

    /// The profiles a rule of one side applies, ascending, each called alike on both sides.
    pub(crate) fn of_rule(&self, side: Side, rule: &LinkedRule) -> Vec<Box<str>> {
        let labels = &self.0[usize::from(side == Side::New)];
        let applied = rule.profiles.iter();
        let found: BTreeSet<Box<str>> =
            applied.map(|name| labels.get(&**name).unwrap_or(name).clone()).collect();
        found.into_iter().collect()
    }
}
