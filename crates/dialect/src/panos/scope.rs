//! Which object a name means: the objects of a virtual system or device group hide shared ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::definition::Definitions;
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
    /// Whether the first of its parts that defines a name counts, and hides that of the others.
    is_merged: bool,
}

/// Every scope with its definitions.
#[derive(Default)]
pub(super) struct Scopes<'t> {
    list: Vec<Scope<'t>>,
    objects: BTreeMap<Kind, Vec<Object<'t>>>,
    index: HashMap<(Kind, ScopeId, &'t str), usize>,
    pub(super) definitions: Definitions<'t>,
}

impl<'t> Scopes<'t> {
    /// Adds a scope whose names hide those of `parent`.
    pub(super) fn add(
        &mut self,
        label: &str,
        parent: Option<ScopeId>,
        parts: Vec<Element<'t>>,
    ) -> ScopeId {
        self.list.push(Scope { label: label.to_owned(), parent, parts, is_merged: false });
        ScopeId(self.list.len() - 1)
    }

    /// Adds a scope that holds all `scope` and those above it define, the nearest first: a device
    /// has one place for what it is given of a hierarchy of device groups, and everything named
    /// there means what it means in the lowest (*Manage Precedence of Inherited Objects*, Panorama
    /// Administrator's Guide).
    pub(super) fn add_merged(&mut self, scope: ScopeId) -> ScopeId {
        let label = format!("{} and above", self.label(scope));
        let parts = self.chain(scope).flat_map(|it| &it.parts).copied().collect();
        self.list.push(Scope { label, parent: None, parts, is_merged: true });
        ScopeId(self.list.len() - 1)
    }

    /// Whether `scope`, or one above it, defines what one further above defines as well.
    pub(super) fn overrides(&self, scope: ScopeId) -> bool {
        let mut seen = BTreeSet::new();
        let sections = |scope: &'_ Scope<'t>| {
            let paths =
                Kind::ALL.iter().flat_map(|kind| kind.paths().iter().map(move |it| (kind, it)));
            let found = paths.flat_map(|(kind, path)| {
                let at = scope.parts.iter().filter_map(|part| part.path(path));
                at.flat_map(Element::children).map(|it| (Some(*kind), "", it.name()))
            });
            let profiles = scope.parts.iter().flat_map(|part| part.under("profiles"));
            let groups = scope.parts.iter().filter_map(|part| part.child("profile-group"));
            let others = profiles.chain(groups);
            let others = others
                .flat_map(|it| it.children().map(move |child| (None, it.name(), child.name())));
            found.chain(others).collect::<BTreeSet<_>>()
        };
        self.chain(scope).any(|scope| {
            let defined = sections(scope);
            let again = defined.iter().any(|it| seen.contains(it));
            seen.extend(defined);
            again
        })
    }

    /// A scope and those above it, nearest first.
    fn chain(&self, scope: ScopeId) -> impl Iterator<Item = &Scope<'t>> {
        self.upwards(scope).filter_map(|id| self.list.get(id.0))
    }

    /// The same by their ids.
    pub(super) fn upwards(&self, scope: ScopeId) -> impl Iterator<Item = ScopeId> {
        std::iter::successors(Some(scope), |id| self.list.get(id.0)?.parent)
    }

    /// The elements that hold the definitions, each with its scope; of one scope the first that
    /// defines a name counts.
    pub(super) fn parts_by_scope(&self) -> impl Iterator<Item = (ScopeId, Element<'t>)> {
        let scopes = self.list.iter().enumerate();
        scopes.flat_map(|(id, scope)| scope.parts.iter().map(move |part| (ScopeId(id), *part)))
    }

    /// Collects the definitions of every scope; called once, after the last [`Scopes::add`].
    pub(super) fn index(&mut self) {
        for kind in Kind::ALL {
            let mut found: Vec<Object<'t>> = Vec::new();
            for (number, scope) in self.list.iter().enumerate() {
                let id = ScopeId(number);
                if scope.is_merged {
                    let mut hidden = BTreeSet::new();
                    for part in &scope.parts {
                        let defined = definitions(kind, std::slice::from_ref(part), id);
                        let mut defined: Vec<Object<'t>> = defined.collect();
                        defined.retain(|it| !hidden.contains(&it.name));
                        hidden.extend(defined.iter().map(|it| it.name.clone()));
                        found.extend(defined);
                    }
                } else {
                    found.extend(definitions(kind, &scope.parts, id));
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
                let Scope { label, parent, is_merged, .. } = &self.list[object.scope.0];
                if several && (parent.is_some() || *is_merged) {
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

/// What the parts of a scope define, kind by kind.
fn definitions<'t>(
    kind: Kind,
    parts: &[Element<'t>],
    scope: ScopeId,
) -> impl Iterator<Item = Object<'t>> {
    let sections = kind.paths().iter().filter_map(|path| Some((path, *path.last()?)));
    sections.flat_map(move |(path, section)| {
        let found = parts.iter().filter_map(|part| part.path(path));
        found.flat_map(Element::children).map(move |element| {
            let name = element.name().to_owned();
            Object { name, element, section, scope }
        })
    })
}
