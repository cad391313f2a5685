//! Security profiles: which ones a rule applies, and what they say.
//!
//! A group stands for its members. What a profile does is kept as written, in an order of its own,
//! with the URL categories and external lists it names: two firewalls apply the same profile where
//! it says the same. Profiles that are defined nowhere are known by name alone: those PAN-OS brings
//! along, such as `default` and `strict`.

use std::collections::HashMap;

use parefeu_policy::Profile;

use super::convert::{Converter, Place};
use super::scope::{Kind, ScopeId};
use super::tree::Element;

/// The kinds of profiles a rule, or a group, may list.
pub(super) const KINDS: &[&str] = &[
    "virus",
    "spyware",
    "vulnerability",
    "url-filtering",
    "file-blocking",
    "wildfire-analysis",
    "data-filtering",
    "gtp",
    "sctp",
    "ai-security",
    "mobile-network-protection",
];

/// The names under which profiles went into the firewall.
#[derive(Default)]
pub(super) struct Profiles<'t>(HashMap<(ScopeId, &'t str, &'t str), String>);

impl<'t> Converter<'t> {
    /// The profiles a rule applies, a group as its members.
    pub(super) fn profiles_of(&mut self, rule: Element<'t>, place: Place) -> Vec<String> {
        let Some(setting) = rule.child("profile-setting") else { return Vec::new() };
        let mut names = self.listed_profiles(setting.child("profiles"), place.scope);
        for group in setting.under("group").filter(|it| it.name() != "none") {
            match self.scopes.element(place.scope, &["profile-group", group.name()]) {
                Some((members, _)) => {
                    names.extend(self.listed_profiles(Some(members), place.scope));
                }
                None => names.push(group.name().to_owned()),
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The profiles that are listed by kind.
    fn listed_profiles(&mut self, lists: Option<Element<'t>>, scope: ScopeId) -> Vec<String> {
        let lists: Vec<Element<'t>> = lists.into_iter().flat_map(Element::children).collect();
        let mut names = Vec::new();
        for list in lists {
            for member in list.children().filter(|it| it.name() != "none") {
                names.push(self.profile_named(list.name(), member.name(), scope));
            }
        }
        names
    }

    /// The name in the firewall of a profile as `scope` knows it, `KIND/NAME` with the scope before
    /// it where another profile is called so; a defined one is added when it is first met.
    fn profile_named(&mut self, kind: &'t str, name: &'t str, scope: ScopeId) -> String {
        let plain = format!("{kind}/{name}");
        let path = ["profiles", kind, name];
        let found = self.scopes.element(scope, &path).filter(|_| KINDS.contains(&kind));
        let Some((element, defined_in)) = found else { return plain };
        if let Some(known) = self.profiles.0.get(&(defined_in, kind, name)) {
            return known.clone();
        }
        let mut said = vec![written(element, kind)];
        said.extend(self.named_lists(element, defined_in));
        let definition = said.join("\n");
        let is_taken = self.firewall.profiles.iter().any(|it| it.name == plain);
        let label = self.scopes.label(defined_in);
        let name_here = if is_taken { format!("{label}/{plain}") } else { plain };
        let at = element.at();
        self.firewall.profiles.push(Profile { name: name_here.clone(), definition, at });
        self.profiles.0.insert((defined_in, kind, name), name_here.clone());
        name_here
    }

    /// The URL categories and external lists of the configuration that a profile names, as written.
    fn named_lists(&self, element: Element<'t>, scope: ScopeId) -> Vec<String> {
        let mut found = Vec::new();
        let mut left: Vec<Element<'t>> = element.children().collect();
        while let Some(next) = left.pop() {
            left.extend(next.children());
            let kinds = [Kind::UrlCategory, Kind::ExternalList].into_iter();
            let meant = kinds.filter_map(|kind| self.scopes.find(kind, scope, next.name()));
            let lists = meant.map(|it| written(it.element, it.section));
            found.extend(lists.map(|list| format!("{:?} is {list}", next.name())));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// What an element says below its own name, the same whatever the order of what has none: of all
/// but rules. Descriptions do nothing and are left out.
pub(super) fn written(element: Element<'_>, name: &str) -> String {
    let children = element.children().filter(|it| it.name() != "description");
    let mut parts: Vec<String> = children.map(|it| written(it, it.name())).collect();
    if name != "rules" {
        parts.sort_unstable();
    }
    if parts.is_empty() { format!("{name:?}") } else { format!("{name:?} {{{}}}", parts.join(" ")) }
}
