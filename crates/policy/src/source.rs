//! Configuration text and places in it.

use std::fmt;
use std::sync::Arc;

/// A byte range of one source text, kept from token to compiled rule.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span {
    /// Which text of [`Sources`].
    pub source: u16,
    /// First byte.
    pub start: u32,
    /// Byte after the last one.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of the first source; offsets saturate at 4 GiB.
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { source: 0, start: clamp(start), end: clamp(end) }
    }

    /// The smallest range that holds both; `self` when they lie in different texts.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.source != other.source {
            return self;
        }
        Self { start: self.start.min(other.start), end: self.end.max(other.end), ..self }
    }
}

/// A value together with the place that says it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub at: Span,
}

impl<T> At<T> {
    /// `value`, written at `at`.
    pub const fn new(value: T, at: Span) -> Self {
        Self { value, at }
    }
}

/// One configuration text with the index of its lines.
#[derive(Clone)]
pub struct Source {
    name: Box<str>,
    text: Arc<str>,
    line_starts: Arc<[u32]>,
}

impl Source {
    /// Indexes `text`; `name` is what messages call it, commonly the path as the user typed it.
    pub fn new(name: &str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)))
            .collect();
        Self { name: name.into(), text: text.into(), line_starts }
    }

    /// What messages call the text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both from 1; columns count characters. `O(log lines + column)`.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1) - 1;
        let start = self.line_starts[line] as usize;
        let before = self.text.get(start..offset as usize).unwrap_or_default();
        (line as u32 + 1, before.chars().count() as u32 + 1)
    }

    /// The text of a line counted from 1, without its line break; empty past the end.
    pub fn line(&self, number: u32) -> &str {
        let index = (number as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(index) else { return "" };
        let rest = self.text.get(*start as usize..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} bytes)", self.name, self.text.len())
    }
}

/// The texts a firewall was read from; [`Span::source`] indexes them.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// A single text.
    pub fn one(source: Source) -> Self {
        Self(vec![source])
    }

    /// The text a span points into; `None` for a span of no text.
    pub fn of(&self, span: Span) -> Option<&Source> {
        self.0.get(usize::from(span.source))
    }

    /// The line a span starts on, from 1; 0 when it points into no text.
    pub fn line_number(&self, span: Span) -> u32 {
        self.of(span).map_or(0, |source| source.position(span.start).0)
    }

    /// The whole line a span starts on.
    pub fn line_text(&self, span: Span) -> &str {
        self.of(span).map_or("", |source| source.line(source.position(span.start).0))
    }

    /// `file:line:column` of a span.
    pub fn place(&self, span: Span) -> String {
        self.of(span).map_or_else(String::new, |source| {
            let (line, column) = source.position(span.start);
            format!("{}:{line}:{column}", source.name)
        })
    }

    /// Every text, in the order added.
    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let sources = Sources::one(Source::new("fw.cfg", "a\r\né b\n"));
        assert_eq!(sources.place(Span::new(0, 1)), "fw.cfg:1:1");
        assert_eq!(sources.place(Span::new(6, 7)), "fw.cfg:2:3");
        assert_eq!(sources.line_text(Span::new(0, 1)), "a");
        assert_eq!(sources.line_text(Span::new(6, 7)), "é b");
        assert_eq!(sources.line_number(Span { source: 3, ..Span::default() }), 0);
    }
}
