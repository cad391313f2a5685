//! Configuration text and places in it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A byte range of one source text, kept from token to compiled rule.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
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
    /// How many characters begin before each multiple of [`STEP`]: a column of a file that is one
    /// line is found without counting all of it.
    characters_before: Arc<[u32]>,
}

const STEP: usize = 4096;

impl Source {
    /// Indexes `text`; `name` is what messages call it, commonly the path as the user typed it.
    pub fn new(name: &str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(breaks.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)))
            .collect();
        let steps = text.as_bytes().chunks(STEP).scan(0, |before, step| {
            let here = *before;
            *before += count_characters(step);
            Some(here)
        });
        let characters_before = steps.collect();
        Self { name: name.into(), text: text.into(), line_starts, characters_before }
    }

    /// What messages call the text.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte, from 1. `O(log lines)`.
    pub fn line_number(&self, offset: u32) -> u32 {
        self.line_starts.partition_point(|start| *start <= offset).max(1) as u32
    }

    /// Line and column of a byte, both from 1; columns count characters, of some kilobytes at most.
    pub fn position(&self, offset: u32) -> (u32, u32) {
        let line = self.line_number(offset);
        let before = |offset| self.characters_before(offset);
        (line, before(offset) - before(self.line_starts[line as usize - 1]) + 1)
    }

    /// How many characters begin before a byte; all of them past the end.
    fn characters_before(&self, offset: u32) -> u32 {
        let offset = (offset as usize).min(self.text.len());
        let step = (offset / STEP).min(self.characters_before.len().saturating_sub(1));
        let Some(before) = self.characters_before.get(step) else { return 0 };
        before + self.text.as_bytes().get(step * STEP..offset).map_or(0, count_characters)
    }

    /// The first line that is longer than `bytes`.
    pub fn line_longer_than(&self, bytes: usize) -> Option<Span> {
        let ends = self.line_starts.iter().skip(1).map(|next| *next as usize - 1);
        let starts = self.line_starts.iter().map(|start| *start as usize);
        let mut lines = starts.zip(ends.chain([self.text.len()]));
        let (start, end) = lines.find(|(start, end)| end.saturating_sub(*start) > bytes)?;
        Some(Span::new(start, end))
    }

    /// The text of a line counted from 1, without its line break; empty past the end.
    pub fn line(&self, number: u32) -> &str {
        let index = (number as usize).saturating_sub(1);
        let Some(start) = self.line_starts.get(index) else { return "" };
        let end =
            self.line_starts.get(index + 1).map_or(self.text.len(), |next| *next as usize - 1);
        self.text.get(*start as usize..end).unwrap_or_default().trim_end_matches('\r')
    }
}

/// How many characters begin in these bytes of a text.
fn count_characters(bytes: &[u8]) -> u32 {
    let is_start = |byte: &&u8| byte.cast_signed() >= -0x40;
    bytes.iter().filter(is_start).count() as u32
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
        self.of(span).map_or(0, |source| source.line_number(span.start))
    }

    /// The whole line a span starts on.
    pub fn line_text(&self, span: Span) -> &str {
        self.of(span).map_or("", |source| source.line(source.line_number(span.start)))
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
    fn columns_of_a_long_line_are_counted_as_those_of_a_short_one() {
        let text = format!("a\n{}x\nb", "é.€".repeat(STEP));
        let source = Source::new("fw.cfg", &text);
        for (offset, _) in text.char_indices().step_by(97) {
            let (line, column) = source.position(offset as u32);
            let before = &text[..offset];
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            assert_eq!(line as usize, before.matches('\n').count() + 1);
            assert_eq!(column as usize, before[start..].chars().count() + 1);
        }
        let line = Span::new(2, 2 + 6 * STEP + 1);
        assert_eq!(source.line_longer_than(6 * STEP), Some(line));
        assert_eq!(source.line_longer_than(6 * STEP + 1), None);
        assert_eq!(source.line(2).len(), 6 * STEP + 1);
        assert_eq!((source.line(3), source.line(4)), ("b", ""));
        assert_eq!(source.position(u32::MAX), (3, 2));
    }

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
