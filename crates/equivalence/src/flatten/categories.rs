//! Which URL categories of two firewalls are one.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_policy::{LinkedCategory, LinkedFirewall};

use super::dialect_text;
use super::values::{Region, Values};
use crate::Field;

/// What a category is: one with patterns those, whatever it is called.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Kind {
    Patterns(BTreeSet<String>),
    /// Its vendor alone can tell; by the name in its dialect.
    Vendor(Box<str>),
}

/// The categories of two firewalls.
pub(super) struct Categories {
    /// The fields of either firewall's categories, in its order.
    pub(super) fields: [Vec<Field>; 2],
    kinds: BTreeMap<Kind, Field>,
}

impl Categories {
    pub(super) fn of(old: &LinkedFirewall, new: &LinkedFirewall) -> Self {
        let one_dialect = old.dialect == new.dialect;
        let mut kinds: BTreeMap<Kind, Field> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let fields = [old, new].map(|side| {
            let field = |category: &LinkedCategory| {
                let kind = kind(category, side.dialect, one_dialect);
                let field = kinds.entry(kind.clone()).or_insert_with(|| {
                    let mut name = match kind {
                        Kind::Patterns(_) => category.name.to_string(),
                        Kind::Vendor(name) => name.into(),
                    };
                    while !taken.insert(name.clone()) {
                        name.push_str(" (another)");
                    }
                    Field::Category(name.into())
                });
                field.clone()
            };
            side.url_categories.iter().map(field).collect()
        });
        Self { fields, kinds }
    }

    /// Where a URL would be in a category and not in one that has all its patterns.
    pub(super) fn contradictions(&self) -> Vec<Region> {
        let patterns = self.kinds.iter().filter_map(|(kind, field)| match kind {
            Kind::Patterns(patterns) => Some((patterns, field)),
            Kind::Vendor(_) => None,
        });
        let patterns: Vec<_> = patterns.collect();
        let in_it = |field: &Field| Region::default().narrowed(field.clone(), &Values::single(1));
        let empty = patterns.iter().filter(|(patterns, _)| patterns.is_empty());
        let mut found: Vec<Region> = empty.filter_map(|(_, field)| in_it(field)).collect();
        for (some, part) in patterns.iter().filter(|(patterns, _)| !patterns.is_empty()) {
            for (all, whole) in &patterns {
                if some.len() < all.len() && some.is_subset(all) {
                    let in_part = in_it(part);
                    let region =
                        in_part.and_then(|it| it.narrowed((*whole).clone(), &Values::single(0)));
                    found.extend(region);
                }
            }
        }
        found
    }
}

fn kind(category: &LinkedCategory, dialect: &str, one_dialect: bool) -> Kind {
    match &category.patterns {
        Some(patterns) => {
            let texts = patterns.iter().map(|pattern| pattern.to_string().to_ascii_lowercase());
            Kind::Patterns(texts.collect())
        }
        None => Kind::Vendor(dialect_text(&category.name, dialect, one_dialect)),
    }
}
