//! Lines of a configuration that became several rules.
//!
//! One line may state what becomes of source and destination, and stand in both translation tables,
//! often as a rule that does nothing in one of them. What is said of such a line has to hold for
//! all of it, and is said once.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::RuleList;
use super::list::{Above, Below, Entry, Examined};
use crate::Span;

/// A list with what was found about its rules.
pub(super) struct Examination<'a> {
    pub(super) list: RuleList,
    pub(super) entries: Vec<Entry<'a>>,
    pub(super) found: Vec<Examined>,
}

impl Examination<'_> {
    /// Whether the rule could go without any packet being treated otherwise.
    fn is_needless(&self, rule: usize) -> bool {
        let Examined { never, above, below, .. } = &self.found[rule];
        *never
            || matches!(above, Above::Closed(_))
            || matches!(below, Below::Rules(_) | Below::End)
            || self.entries[rule].disabled
    }

    /// Whether rules above take every packet of the rule and treat some of them otherwise.
    fn is_overruled(&self, rule: usize) -> bool {
        let differs = |by: &usize| !self.entries[*by].outcome.agrees(&self.entries[rule].outcome);
        matches!(&self.found[rule].above, Above::Closed(by) if by.iter().any(differs))
    }
}

/// Takes back what holds for a part of a line only, and leaves one part to speak for the others.
///
/// A part that others overrule is worth saying even where the rest of the line lives on in another
/// list; in the list where some of it lives on it would be wrong.
pub(super) fn reconcile(lists: &mut [Examination<'_>]) {
    let mut lines: BTreeMap<Span, Vec<(usize, usize)>> = BTreeMap::new();
    for (list, examination) in lists.iter().enumerate() {
        for (rule, entry) in examination.entries.iter().enumerate() {
            if entry.at.start < entry.at.end {
                lines.entry(entry.at).or_default().push((list, rule));
            }
        }
    }
    for parts in lines.into_values().filter(|parts| parts.len() > 1) {
        let is_needed = |&&(list, rule): &&(usize, usize)| !lists[list].is_needless(rule);
        let needed_in: BTreeSet<usize> =
            parts.iter().filter(is_needed).map(|&(list, _)| list).collect();
        let overruled = parts.iter().position(|&(list, rule)| lists[list].is_overruled(rule));
        for (at, (list, rule)) in parts.into_iter().enumerate() {
            let lives_here = needed_in.contains(&list);
            let list = &mut lists[list];
            if needed_in.is_empty() {
                list.found[rule].is_told = at != overruled.unwrap_or(0);
            } else if list.is_needless(rule) && (lives_here || !list.is_overruled(rule)) {
                list.found[rule] = Examined::default();
            }
        }
    }
}
