//! Words and strings of the command and the curly form.

use std::borrow::Cow;

use parefeu_policy::{Diagnostics, Span};

/// A word with its place; a quoted string is one word and never punctuation.
pub(super) struct Word<'t> {
    pub(super) text: Cow<'t, str>,
    pub(super) at: Span,
    quoted: bool,
}

impl Word<'_> {
    /// Whether the word is this keyword or sign, unquoted.
    pub(super) fn is(&self, sign: &str) -> bool {
        !self.quoted && self.text == sign
    }
}

/// Splits a text into words.
pub(super) struct Words<'t> {
    text: &'t str,
    at: usize,
    /// Signs that end a word besides blanks.
    signs: &'static [char],
}

impl<'t> Words<'t> {
    /// The words of commands: brackets stand alone.
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0, signs: &['[', ']'] }
    }

    /// The words of the curly form.
    pub(super) const fn curly(text: &'t str) -> Self {
        Self { text, at: 0, signs: &['[', ']', '{', '}', ';'] }
    }

    /// The words up to the end of the line, comments and blank lines passed over; `None` at the end
    /// of the text. A quoted string may hold line breaks.
    pub(super) fn next_statement(&mut self, problems: &mut Diagnostics) -> Option<Vec<Word<'t>>> {
        loop {
            self.skip(char::is_whitespace);
            match self.rest().chars().next()? {
                '#' | '!' => self.skip(|c| c != '\n'),
                '[' => {
                    // A mode line such as `[edit]`.
                    self.skip(|c| c != '\n');
                }
                _ => break,
            }
        }
        let mut words = Vec::new();
        loop {
            self.skip(|c| c.is_whitespace() && c != '\n');
            if self.rest().is_empty() || self.rest().starts_with('\n') {
                return Some(words);
            }
            let mut said = words.iter().filter(|word: &&Word<'_>| !is_prompt(&word.text));
            let command = said.next().is_none_or(|first| {
                matches!(first.text.as_ref(), "set" | "delete" | "move" | "rename" | "copy")
            });
            words.extend(self.word(command, problems));
        }
    }

    /// The next word or sign, comment lines passed over.
    pub(super) fn next_word(&mut self, problems: &mut Diagnostics) -> Option<Word<'t>> {
        loop {
            self.skip(char::is_whitespace);
            let line = self.text.get(..self.at).unwrap_or_default();
            let line_begins = line.trim_end_matches([' ', '\t']).ends_with('\n') || self.at == 0;
            match self.rest().chars().next()? {
                '#' | '!' if line_begins => self.skip(|c| c != '\n'),
                _ => return self.word(true, problems),
            }
        }
    }

    /// The word that begins here.
    fn word(&mut self, may_quote: bool, problems: &mut Diagnostics) -> Option<Word<'t>> {
        let start = self.at;
        let first = self.rest().chars().next()?;
        if may_quote && matches!(first, '"' | '\'') {
            return Some(self.quoted(first, problems));
        }
        if self.signs.contains(&first) {
            self.at += first.len_utf8();
        } else {
            let signs = self.signs;
            self.skip(|c| !c.is_whitespace() && !signs.contains(&c));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        Some(Word { text: Cow::Borrowed(text), at: Span::new(start, self.at), quoted: false })
    }

    fn quoted(&mut self, quote: char, problems: &mut Diagnostics) -> Word<'t> {
        let start = self.at;
        let inside = start + quote.len_utf8();
        let rest = self.text.get(inside..).unwrap_or_default();
        let mut escaped = false;
        let end = rest.char_indices().find(|(_, c)| {
            let ends = *c == quote && !escaped;
            escaped = *c == '\\' && !escaped;
            ends
        });
        let Some((length, _)) = end else {
            let line = rest.find('\n').unwrap_or(rest.len());
            self.at = inside + line;
            let at = Span::new(start, self.at);
            problems.error("unterminated-string", at, "a string is not closed");
            let text = rest.get(..line).unwrap_or_default();
            return Word { text: Cow::Borrowed(text), at, quoted: true };
        };
        self.at = inside + length + quote.len_utf8();
        let text = rest.get(..length).unwrap_or_default();
        let text = if text.contains("\\\"") || text.contains("\\'") {
            Cow::Owned(text.replace("\\\"", "\"").replace("\\'", "'"))
        } else {
            Cow::Borrowed(text)
        };
        Word { text, at: Span::new(start, self.at), quoted: true }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, belongs: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !belongs(c)).unwrap_or(rest.len());
    }
}

/// Whether a word is the prompt of a recorded session, such as `admin@fw#`.
pub(super) fn is_prompt(word: &str) -> bool {
    word.contains('@') && word.ends_with(['>', '#'])
}
