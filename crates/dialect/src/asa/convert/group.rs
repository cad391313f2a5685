//! Groups of ports, protocols, ICMP types and users, flattened.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use parefeu_policy::{At, Diagnostics, MAX_NESTING};

use super::super::config::{Group, Member};

/// Flattens each group once.
pub(super) struct Groups<'a, T> {
    by_name: HashMap<&'a str, &'a Group<T>>,
    done: HashMap<&'a str, Rc<Flat<T>>>,
    open: Vec<&'a str>,
    /// Values that may still be handed out.
    left: usize,
}

/// All uses of groups together hand out this many values: a group is copied into each rule and
/// group that names it, so that their product has to be bounded.
const MAX_VALUES: usize = 8_000_000;

/// What a group holds, directly or by its members.
#[derive(Clone, Debug)]
pub(super) struct Flat<T> {
    /// Each value once, ascending.
    pub(super) values: Vec<T>,
    /// Members that are not understood, each text once.
    pub(super) unknown: Vec<At<String>>,
}

impl<T> Default for Flat<T> {
    fn default() -> Self {
        Self { values: Vec::new(), unknown: Vec::new() }
    }
}

impl<'a, T: Clone + Ord> Groups<'a, T> {
    pub(super) fn new(groups: impl IntoIterator<Item = &'a Group<T>>) -> Self {
        let by_name = groups.into_iter().map(|group| (group.name.as_str(), group)).collect();
        Self { by_name, done: HashMap::new(), open: Vec::new(), left: MAX_VALUES }
    }

    /// The content of the group called `name`. An unknown name, a group within itself, nesting
    /// deeper than [`MAX_NESTING`] and more than [`MAX_VALUES`] in all are errors, and empty.
    pub(super) fn flatten(&mut self, name: &At<String>, problems: &mut Diagnostics) -> Rc<Flat<T>> {
        if let Some(done) = self.done.get(name.value.as_str()).cloned() {
            return self.hand_out(done, name, problems);
        }
        let Some((&key, &group)) = self.by_name.get_key_value(name.value.as_str()) else {
            problems.error("unknown-group", name.at, format!("unknown group `{}`", name.value));
            return Rc::default();
        };
        if self.open.contains(&key) {
            problems.error("cycle", name.at, format!("group `{key}` contains itself"));
            return Rc::default();
        }
        if self.open.len() >= MAX_NESTING {
            let message = format!("groups nest deeper than {MAX_NESTING}");
            problems.error("nesting-too-deep", name.at, message);
            return Rc::default();
        }
        self.open.push(key);
        let mut flat = Flat::default();
        for At { value, at } in &group.members {
            match value {
                Member::Value(value) => flat.values.push(value.clone()),
                Member::Unknown(text) => flat.unknown.push(At::new(text.clone(), *at)),
                Member::Group(name) => {
                    let inner = self.flatten(&At::new(name.clone(), *at), problems);
                    flat.values.extend_from_slice(&inner.values);
                    flat.unknown.extend_from_slice(&inner.unknown);
                }
            }
        }
        self.open.pop();
        flat.values.sort_unstable();
        flat.values.dedup();
        let mut seen = HashSet::new();
        flat.unknown.retain(|text| seen.insert(text.value.clone()));
        let flat = Rc::new(flat);
        self.done.insert(key, Rc::clone(&flat));
        self.hand_out(flat, name, problems)
    }

    /// The content, while [`MAX_VALUES`] are not used up.
    fn hand_out(
        &mut self,
        flat: Rc<Flat<T>>,
        name: &At<String>,
        problems: &mut Diagnostics,
    ) -> Rc<Flat<T>> {
        let Some(left) = self.left.checked_sub(flat.values.len() + flat.unknown.len()) else {
            let message = format!("groups hold more than {MAX_VALUES} values where they are used");
            problems.error("groups-too-large", name.at, message);
            return Rc::default();
        };
        self.left = left;
        flat
    }
}

#[cfg(test)]
mod tests {
    use parefeu_policy::Span;

    use super::*;

    #[test]
    fn what_all_uses_hand_out_is_bounded() {
        let values = (0..100_000_u32).map(|value| At::new(Member::Value(value), Span::default()));
        let group = Group { name: "g".to_owned(), at: Span::default(), members: values.collect() };
        let (mut groups, mut problems) = (Groups::new([&group]), Diagnostics::default());
        let name = At::new("g".to_owned(), Span::default());
        let full = (0..90).filter(|_| !groups.flatten(&name, &mut problems).values.is_empty());
        assert_eq!((full.count(), problems.len()), (80, 10));
        assert!(problems.iter().all(|problem| problem.code == "groups-too-large"));
    }
}
