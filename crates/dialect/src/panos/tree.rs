//! The tree all three syntaxes are read into: what was written, before it means anything.
//!
//! An XML `<entry name="X">`, `<member>X</member>` or `<X>` is a node called `X`; so is a word of a
//! `set` command and a statement of the curly form. A value is a node without children.

use std::collections::HashMap;

use parefeu_policy::{At, Span};

/// Elements nested deeper than this are refused: real configurations stay below 25.
pub(super) const MAX_DEPTH: usize = 64;

/// A configuration as nested names.
pub(super) struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    name: Box<str>,
    at: Span,
    children: Vec<u32>,
    removed: bool,
}

impl Tree {
    /// The nameless node that holds everything.
    pub(super) fn root(&self) -> Element<'_> {
        Element { tree: self, id: ROOT }
    }
}

/// A node with the tree it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Element<'t> {
    tree: &'t Tree,
    id: u32,
}

impl<'t> Element<'t> {
    fn node(self) -> &'t Node {
        &self.tree.nodes[self.id as usize]
    }

    pub(super) fn name(self) -> &'t str {
        &self.node().name
    }

    pub(super) fn at(self) -> Span {
        self.node().at
    }

    /// The name together with its place.
    pub(super) fn named(self) -> At<String> {
        At::new(self.name().to_owned(), self.at())
    }

    pub(super) fn children(self) -> impl Iterator<Item = Self> {
        let tree = self.tree;
        let all = self.node().children.iter().map(move |id| Self { tree, id: *id });
        all.filter(|child| !child.node().removed)
    }

    pub(super) fn child(self, name: &str) -> Option<Self> {
        self.children().find(|child| child.name() == name)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.child(name).is_some()
    }

    /// The node at the end of a path of names.
    pub(super) fn path(self, names: &[&str]) -> Option<Self> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The children of the child called `name`; none when it is absent.
    pub(super) fn under(self, name: &str) -> impl Iterator<Item = Self> {
        self.child(name).into_iter().flat_map(Self::children)
    }

    /// The value of the child called `name`: the last one written, as a later `set` replaces.
    pub(super) fn value(self, name: &str) -> Option<Self> {
        self.child(name).and_then(|child| child.children().last())
    }

    /// Whether the child called `name` says `yes`.
    pub(super) fn says_yes(self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.name() == "yes")
    }
}

/// The elements at the end of a path below each of `parts`.
pub(super) fn all_at<'t>(parts: &[Element<'t>], names: &[&str]) -> Vec<Element<'t>> {
    parts.iter().filter_map(|part| part.path(names)).collect()
}

/// Grows a [`Tree`].
pub(super) struct TreeBuilder {
    nodes: Vec<Node>,
    index: HashMap<(u32, Box<str>), u32>,
    reorderings: usize,
}

/// The node every tree begins with.
pub(super) const ROOT: u32 = 0;

/// More `move` commands than this are refused: each costs time in the number of rules.
const MAX_REORDERINGS: usize = 10_000;

/// Where a moved entry goes among its siblings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Destination<'a> {
    Top,
    Bottom,
    Before(&'a str),
    After(&'a str),
}

impl TreeBuilder {
    pub(super) fn new(at: Span) -> Self {
        let root = Node { name: "".into(), at, children: Vec::new(), removed: false };
        Self { nodes: vec![root], index: HashMap::new(), reorderings: 0 }
    }

    pub(super) fn finish(self) -> Tree {
        Tree { nodes: self.nodes }
    }

    /// Adds a child even where one of that name exists; [`TreeBuilder::find`] does not see it.
    pub(super) fn append(&mut self, parent: u32, name: &str, at: Span) -> u32 {
        let id = self.nodes.len() as u32;
        self.nodes.push(Node { name: name.into(), at, children: Vec::new(), removed: false });
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.children.push(id);
        }
        id
    }

    /// The child of that name, added where there is none.
    pub(super) fn enter(&mut self, parent: u32, name: &str, at: Span) -> u32 {
        if let Some(known) = self.find(parent, name) {
            return known;
        }
        let id = self.append(parent, name, at);
        self.index.insert((parent, name.into()), id);
        id
    }

    pub(super) fn find(&self, parent: u32, name: &str) -> Option<u32> {
        self.index.get(&(parent, Box::from(name))).copied()
    }

    pub(super) fn at(&self, id: u32) -> Span {
        self.nodes.get(id as usize).map(|node| node.at).unwrap_or_default()
    }

    /// Widens the place of a node.
    pub(super) fn extend(&mut self, id: u32, at: Span) {
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.at = node.at.to(at);
        }
    }

    /// Takes a child away with all it holds.
    pub(super) fn remove(&mut self, parent: u32, name: &str) -> bool {
        let removed = self.index.remove(&(parent, Box::from(name)));
        if let Some(node) = removed.and_then(|id| self.nodes.get_mut(id as usize)) {
            node.removed = true;
        }
        removed.is_some()
    }

    /// Takes every child away but the one called `name`; says whether there were any.
    pub(super) fn keep_only(&mut self, parent: u32, name: &str) -> bool {
        let kept = self.find(parent, name);
        let Some(node) = self.nodes.get_mut(parent as usize) else { return false };
        let others = std::mem::replace(&mut node.children, kept.into_iter().collect());
        let mut any = false;
        for id in others.into_iter().filter(|id| Some(*id) != kept) {
            let Some(node) = self.nodes.get_mut(id as usize).filter(|node| !node.removed) else {
                continue;
            };
            node.removed = true;
            any = true;
            let name = node.name.clone();
            self.index.remove(&(parent, name));
        }
        any
    }

    /// Takes a child without children away, so that it comes last when it is entered again.
    pub(super) fn renew(&mut self, parent: u32, name: &str) {
        let known = self.find(parent, name).and_then(|id| self.nodes.get(id as usize));
        if known.is_some_and(|node| node.children.is_empty()) {
            self.remove(parent, name);
        }
    }

    /// Gives a child another name; `false` when it does not exist, or one of that name does.
    pub(super) fn rename(&mut self, parent: u32, name: &str, new: &str) -> bool {
        if self.find(parent, new).is_some() {
            return false;
        }
        let Some(id) = self.index.remove(&(parent, Box::from(name))) else { return false };
        self.index.insert((parent, new.into()), id);
        if let Some(node) = self.nodes.get_mut(id as usize) {
            node.name = new.into();
        }
        true
    }

    /// Moves a child among its siblings; `false` when it, or the sibling named, does not exist, or
    /// [`MAX_REORDERINGS`] is reached.
    pub(super) fn reorder(&mut self, parent: u32, name: &str, to: Destination<'_>) -> bool {
        let Some(id) = self.find(parent, name) else { return false };
        let sibling = match to {
            Destination::Before(other) | Destination::After(other) => {
                match self.find(parent, other) {
                    Some(found) if found != id => Some(found),
                    _ => return false,
                }
            }
            Destination::Top | Destination::Bottom => None,
        };
        self.reorderings += 1;
        if self.reorderings > MAX_REORDERINGS {
            return false;
        }
        let Some(node) = self.nodes.get_mut(parent as usize) else { return false };
        node.children.retain(|child| *child != id);
        let place = |id| node.children.iter().position(|child| Some(*child) == id);
        let at = match to {
            Destination::Top => 0,
            Destination::Bottom => node.children.len(),
            Destination::Before(_) => place(sibling).unwrap_or(0),
            Destination::After(_) => place(sibling).map_or(node.children.len(), |at| at + 1),
        };
        node.children.insert(at.min(node.children.len()), id);
        true
    }
}
