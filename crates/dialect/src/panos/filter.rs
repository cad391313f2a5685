//! Tag expressions of dynamic address groups: `'web' and ('prod' or 'test')`.

use std::collections::BTreeSet;

/// An expression nested deeper than this is refused.
const MAX_DEPTH: usize = 32;

/// A tag expression. `and` binds tighter than `or`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TagFilter {
    Tag(String),
    All(Vec<Self>),
    AnyOf(Vec<Self>),
}

impl TagFilter {
    /// Reads an expression; `None` when it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { rest: text, depth: 0 };
        let filter = parser.any_of()?;
        parser.rest.trim().is_empty().then_some(filter)
    }

    /// Every tag it names.
    pub(super) fn tags(&self) -> Vec<&str> {
        match self {
            Self::Tag(tag) => vec![tag],
            Self::All(parts) | Self::AnyOf(parts) => parts.iter().flat_map(Self::tags).collect(),
        }
    }

    /// Whether something with these tags matches.
    pub(super) fn matches(&self, tags: &BTreeSet<&str>) -> bool {
        match self {
            Self::Tag(tag) => tags.contains(tag.as_str()),
            Self::All(parts) => parts.iter().all(|part| part.matches(tags)),
            Self::AnyOf(parts) => parts.iter().any(|part| part.matches(tags)),
        }
    }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn any_of(&mut self) -> Option<TagFilter> {
        let mut parts = vec![self.all()?];
        while self.keyword("or") {
            parts.push(self.all()?);
        }
        Some(if parts.len() == 1 { parts.swap_remove(0) } else { TagFilter::AnyOf(parts) })
    }

    fn all(&mut self) -> Option<TagFilter> {
        let mut parts = vec![self.term()?];
        while self.keyword("and") {
            parts.push(self.term()?);
        }
        Some(if parts.len() == 1 { parts.swap_remove(0) } else { TagFilter::All(parts) })
    }

    fn term(&mut self) -> Option<TagFilter> {
        self.rest = self.rest.trim_start();
        if let Some(inside) = self.rest.strip_prefix('(') {
            self.depth += 1;
            self.rest = inside;
            let filter = if self.depth > MAX_DEPTH { None } else { self.any_of() }?;
            self.rest = self.rest.trim_start().strip_prefix(')')?;
            self.depth -= 1;
            return Some(filter);
        }
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'));
        let (tag, rest) = if let Some(quote) = quote {
            self.rest.get(1..)?.split_once(quote)?
        } else {
            let end = self.rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
            self.rest.split_at(end.unwrap_or(self.rest.len()))
        };
        let keyword = quote.is_none() && ["and", "or", "not"].contains(&tag);
        if tag.is_empty() || keyword {
            return None;
        }
        self.rest = rest;
        Some(TagFilter::Tag(tag.to_owned()))
    }

    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let after = rest.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word));
        let after = after.and_then(|_| rest.get(word.len()..));
        let ends = after.filter(|after| after.starts_with([' ', '\t', '\n', '(', '\'', '"']));
        self.rest = ends.unwrap_or(self.rest);
        ends.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, tags: &[&str], expected: Option<bool>) {
        let tags = tags.iter().copied().collect();
        let found = TagFilter::parse(filter).map(|filter| filter.matches(&tags));
        assert_eq!(found, expected, "{filter}");
    }

    #[test]
    fn and_binds_tighter_than_or() {
        let filter = "'a' or 'b' and 'c'";
        check(filter, &["a"], Some(true));
        check(filter, &["b"], Some(false));
        check("('a' or 'b') and 'c d'", &["a"], Some(false));
        check("('a' or b) AND \"c d\"", &["b", "c d"], Some(true));
        check("oracle or android", &["android"], Some(true));
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in ["", "'a", "'a' and", "('a'", "'a' 'b'", "not 'a'"] {
            check(bad, &[], None);
        }
        check(&"(".repeat(100_000), &[], None);
    }
}
