//! What the definitions say that something names which is not modelled.
//!
//! What is not modelled counts as what it says, so that two texts which say it alike treat packets
//! alike. What it says is more than its words: an object, a list or a profile it names, as it is
//! known where it stands, and whatever that names in turn. A digest of all that goes beside the
//! words.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::digest::Digest;

use super::convert::Converter;
use super::profile::written;
use super::scope::{ScopeId, Scopes};
use super::tree::Element;

/// The definitions of a text. They are looked for when something asks first.
#[derive(Default)]
pub(super) struct Definitions<'t> {
    index: OnceCell<Index<'t>>,
    /// What each name means with all it names.
    closures: RefCell<HashMap<(ScopeId, &'t str), u64>>,
    /// How much was read again to follow names.
    followed_bytes: Cell<usize>,
    whole: OnceCell<u64>,
}

/// Definitions by the scope they stand in and their name, with their sections.
type Index<'t> = HashMap<(ScopeId, &'t str), Vec<(&'t str, Element<'t>)>>;

/// Following names reads this much again; what is past it counts as the whole text.
const MAX_FOLLOWED_BYTES: usize = 64 << 20;

impl<'t> Scopes<'t> {
    /// `text`, with the digest of what `elements` name in `scope`, if they name anything.
    pub(super) fn qualified(
        &self,
        text: String,
        scope: ScopeId,
        elements: impl IntoIterator<Item = Element<'t>>,
    ) -> String {
        let mut names = BTreeSet::new();
        for element in elements {
            names_in(element, &mut names);
        }
        names.retain(|name| self.meanings(scope, name).next().is_some());
        if names.is_empty() {
            return text;
        }
        let mut digest = Digest::default();
        for name in names {
            digest.add(&format!("{name} = {:016x}", self.closure(scope, name)));
        }
        format!("{text} (definitions {})", digest.hex())
    }

    /// The digest of what an element says, wherever its lines stand, and of what it names.
    pub(super) fn digest(&self, scope: ScopeId, element: Element<'t>) -> String {
        let text = written(element, element.name());
        Digest::of(&self.qualified(text, scope, [element])).hex()
    }

    /// What a name means in a scope: of each section the definition that is nearest, with the scope
    /// it stands in.
    fn meanings(
        &self,
        scope: ScopeId,
        name: &str,
    ) -> impl Iterator<Item = (ScopeId, &'t str, Element<'t>)> {
        let index = self.definitions.index.get_or_init(|| self.all_definitions());
        let mut found: BTreeMap<&'t str, (ScopeId, Element<'t>)> = BTreeMap::new();
        for scope in self.upwards(scope) {
            for (section, element) in index.get(&(scope, name)).into_iter().flatten() {
                found.entry(*section).or_insert((scope, *element));
            }
        }
        found.into_iter().map(|(section, (scope, element))| (scope, section, element))
    }

    fn all_definitions(&self) -> Index<'t> {
        let mut index = Index::new();
        for (scope, part) in self.parts_by_scope() {
            let sections = part.children().filter(|it| !WITHOUT_NAMES.contains(&it.name()));
            let (nested, plain): (Vec<Element<'t>>, _) =
                sections.partition(|it| it.name() == "profiles");
            let nested = nested.into_iter().flat_map(Element::children);
            for section in plain.into_iter().chain(nested) {
                for entry in section.children() {
                    let all = index.entry((scope, entry.name())).or_default();
                    all.push((section.name(), entry));
                }
            }
        }
        index
    }

    /// What a name means, with all that it names. A name met again adds nothing.
    fn closure(&self, scope: ScopeId, name: &'t str) -> u64 {
        let definitions = &self.definitions;
        if let Some(known) = definitions.closures.borrow().get(&(scope, name)) {
            return *known;
        }
        let mut open = vec![(scope, name)];
        let mut met = HashSet::from([(scope, name)]);
        let mut said = BTreeSet::new();
        while let Some((scope, name)) = open.pop() {
            for (scope, section, element) in self.meanings(scope, name) {
                let text = format!("{section} {name} {}", written(element, section));
                let followed = definitions.followed_bytes.get().saturating_add(text.len());
                definitions.followed_bytes.set(followed);
                if followed > MAX_FOLLOWED_BYTES {
                    return self.whole();
                }
                if said.insert(text) {
                    let mut names = BTreeSet::new();
                    element.children().for_each(|it| names_in(it, &mut names));
                    let new = names.into_iter().filter(|name| met.insert((scope, name)));
                    open.extend(new.map(|name| (scope, name)));
                }
            }
        }
        let mut digest = Digest::default();
        for text in &said {
            digest.add(text);
        }
        let number = digest.number();
        definitions.closures.borrow_mut().insert((scope, name), number);
        number
    }

    /// What every part of the text comes to.
    fn whole(&self) -> u64 {
        *self.definitions.whole.get_or_init(|| {
            let mut digest = Digest::default();
            self.parts().for_each(|part| digest.add(&written(part, "")));
            digest.number()
        })
    }
}

impl<'t> Converter<'t> {
    /// The value of a variable: of a template, of a stack, or of a device in one. None where they
    /// are not all the same.
    pub(super) fn variable(&self, name: &str) -> Option<&'t str> {
        let mut values = self.variables_named(name).map(|it| {
            let value = it.child("type").and_then(|it| it.children().next());
            value.and_then(|it| it.children().last()).map(Element::name)
        });
        let first = values.next()??;
        values.all(|it| it == Some(first)).then_some(first)
    }

    /// The digest of what is said of a variable.
    pub(super) fn digest_of_variable(&self, name: &str) -> String {
        let said: BTreeSet<String> =
            self.variables_named(name).map(|it| written(it, name)).collect();
        let mut digest = Digest::default();
        for text in &said {
            digest.add(text);
        }
        digest.hex()
    }

    fn variables_named(&self, name: &str) -> impl Iterator<Item = Element<'t>> {
        self.variables.iter().filter_map(move |it| it.child(name))
    }
}

/// The digest of what an element says, wherever its lines stand.
pub(super) fn digest_of(element: Element<'_>) -> String {
    Digest::of(&written(element, element.name())).hex()
}

/// The words of an element that may be names: whole, and as an expression has them.
fn names_in<'t>(element: Element<'t>, names: &mut BTreeSet<&'t str>) {
    if element.name() == "description" {
        return;
    }
    names.insert(element.name());
    let apart = |c: char| c.is_whitespace() || "'\"()".contains(c);
    names.extend(element.name().split(apart).filter(|word| !word.is_empty()));
    element.children().for_each(|child| names_in(child, names));
}

/// Sections that hold no definitions others name, or such as change nothing about which packets are
/// meant: the colour of a tag, a certificate that was renewed.
const WITHOUT_NAMES: &[&str] = &[
    "rulebase",
    "pre-rulebase",
    "post-rulebase",
    "zone",
    "import",
    "log-settings",
    "reports",
    "tag",
    "certificate",
];
