//! Which object a name means: the objects of a virtual system or device group hide shared ones.

use std::collections::{BTreeMap, HashMap};

use super::tree::Element;

/// A place objects are defined in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct ScopeId(usize);

/// Name spaces; objects and groups of a kind share one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Address,
    Service,
    Application,
    ExternalList,
    Region,
    UrlCategory,
    Schedule,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Address,
        Self::Service,
        Self::Application,
        Self::ExternalList,
        Self::Region,
        Self::UrlCategory,
        Self::Schedule,
    ];

    /// Where the kind is written, as paths below a scope.
    fn paths(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Address => &[&["address"], &["address-group"]],
            Self::Service => &[&["service"], &["service-group"]],
            Self::Application => {
                &[&["application"], &["application-group"], &["application-filter"]]
            }
            Self::ExternalList => &[&["external-list"]],
            Self::Region => &[&["region"]],
            Self::UrlCategory => &[&["profiles", "custom-url-category"]],
            Self::Schedule => &[&["schedule"]],
        }
    }
}

/// One definition.
#[derive(Clone)]
pub(super) struct Object<'t> {
    /// The name that is unique in the firewall: `scope/NAME` where another scope has the same one.
    pub(super) name: String,
    pub(super) element: Element<'t>,
    /// The section it stands in, such as `address-group`.
    pub(super) section: &'static str,
    pub(super) scope: ScopeId,
}

struct Scope<'t> {
    label: String,
    parent: Option<ScopeId>,
    parts: Vec<Element<'t>>,
}

/// Every scope with its definitions.
#[derive(Default)]
pub(super) struct Scopes<'t> {
    list: Vec<Scope<'t>>,
    objects: BTreeMap<Kind, Vec<Object<'t>>>,
    index: HashMap<(Kind, ScopeId, &'t str), usize>,
}

impl<'t> Scopes<'t> {
    /// Adds a scope whose names hide those of `parent`.
    pub(super) fn add(
        &mut self,
        label: &str,
        parent: Option<ScopeId>,
        parts: Vec<Element<'t>>,
    ) -> ScopeId {
        self.list.push(Scope { label: label.to_owned(), parent, parts });
        ScopeId(self.list.len() - 1)
    }

    /// Collects the definitions of every scope; called once, after the last [`Scopes::add`].
    pub(super) fn index(&mut self) {
        for kind in Kind::ALL {
            let mut found: Vec<Object<'t>> = Vec::new();
            for (number, scope) in self.list.iter().enumerate() {
                for path in kind.paths() {
                    let Some(section) = path.last() else { continue };
                    let sections = scope.parts.iter().filter_map(|part| part.path(path));
                    for element in sections.flat_map(Element::children) {
                        let name = element.name().to_owned();
                        found.push(Object { name, element, section, scope: ScopeId(number) });
                    }
                }
            }
            let mut scopes_of: HashMap<&str, Vec<ScopeId>> = HashMap::new();
            for object in &found {
                let scopes = scopes_of.entry(object.element.name()).or_default();
                if scopes.last() != Some(&object.scope) && !scopes.contains(&object.scope) {
                    scopes.push(object.scope);
                }
            }
            for (at, object) in found.iter_mut().enumerate() {
                let written = object.element.name();
                self.index.entry((kind, object.scope, written)).or_insert(at);
                let several = scopes_of.get(written).is_some_and(|scopes| scopes.len() > 1);
                let Scope { label, parent, .. } = &self.list[object.scope.0];
                if several && parent.is_some() {
                    object.name = format!("{label}/{written}");
                }
            }
            self.objects.insert(kind, found);
        }
    }

    /// The elements that hold the definitions.
    pub(super) fn parts(&self) -> impl Iterator<Item = Element<'t>> {
        self.list.iter().flat_map(|scope| scope.parts.iter().copied())
    }

    /// Every definition of a kind.
    pub(super) fn all(&self, kind: Kind) -> &[Object<'t>] {
        self.objects.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// What `name` means in `scope`.
    pub(super) fn find(&self, kind: Kind, scope: ScopeId, name: &str) -> Option<&Object<'t>> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let Some(found) = self.index.get(&(kind, scope, name)) {
                return self.all(kind).get(*found);
            }
            at = self.list.get(scope.0).and_then(|scope| scope.parent);
        }
        None
    }

    /// What stands at the end of a path of names in `scope`, or in one it sees, and where that is.
    pub(super) fn element(&self, scope: ScopeId, path: &[&str]) -> Option<(Element<'t>, ScopeId)> {
        let mut at = Some(scope);
        while let Some(id) = at {
            let scope = self.list.get(id.0)?;
            if let Some(found) = scope.parts.iter().find_map(|part| part.path(path)) {
                return Some((found, id));
            }
            at = scope.parent;
        }
        None
    }

    /// The name of a scope.
    pub(super) fn label(&self, scope: ScopeId) -> &str {
        self.list.get(scope.0).map_or("", |scope| &scope.label)
    }

    /// Whether `object` is what its own name means in `scope`.
    pub(super) fn is_visible(&self, kind: Kind, scope: ScopeId, object: &Object<'t>) -> bool {
        let meant = self.find(kind, scope, object.element.name());
        meant.is_some_and(|meant| meant.scope == object.scope)
    }
}
