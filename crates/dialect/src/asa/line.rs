//! Lines and words of a configuration, with their places.

use parefeu_policy::Span;

/// One line that says something: neither empty nor a comment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// The line without surrounding blanks.
    pub(super) text: &'a str,
    /// Where [`Line::text`] lies.
    pub(super) at: Span,
    /// How far the line is indented: one further in than a statement belongs to it.
    pub(super) indent: usize,
}

impl<'a> Line<'a> {
    /// The words, from the first one.
    pub(super) fn words(&self) -> Words<'a> {
        Words { rest: self.text, offset: self.at.start as usize, line: *self }
    }

    /// Whether one of the words is this one.
    pub(super) fn has(&self, text: &str) -> bool {
        self.words().any(|word| word.text == text)
    }
}

/// The lines of a text. `!` starts a comment line, `:` a line of the transcript.
///
/// A carriage return ends a line as well: a terminal goes back with it to write over what the pager
/// asked.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut offset = 0;
    text.split_inclusive(['\n', '\r']).filter_map(move |raw| {
        offset += raw.len();
        let raw = without_pager(raw);
        let start = offset - raw.len();
        let text = raw.trim();
        if text.is_empty() || text.starts_with(['!', ':', '#']) {
            return None;
        }
        let indent = raw.len() - raw.trim_start().len();
        let start = start + indent;
        let at = Span::new(start, start + text.len());
        Some(Line { text, at, indent })
    })
}

/// What a terminal shows where a page ends.
const PAGER: &str = "<--- More --->";

/// A line without the pager's question, and without the blanks and backspaces that wipe it out.
fn without_pager(raw: &str) -> &str {
    let Some(after) = raw.trim_start().strip_prefix(PAGER) else { return raw };
    let after = after.trim_start_matches('\u{8}');
    let blanks = after.bytes().take_while(|byte| *byte == b' ').count().min(PAGER.len());
    after.split_at(blanks).1.trim_start_matches('\u{8}')
}

/// A word and its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'a> {
    /// The word.
    pub(super) text: &'a str,
    /// Where it is written.
    pub(super) at: Span,
}

/// The words of a line that are still to be read. A lone `!` ends the line.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    rest: &'a str,
    offset: usize,
    line: Line<'a>,
}

impl<'a> Words<'a> {
    /// The next word, without taking it.
    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.clone().next()
    }

    /// The text of the next word; empty at the end.
    pub(super) fn peek_text(&self) -> &'a str {
        self.peek().map_or("", |word| word.text)
    }

    /// Takes the next word when it is `text`.
    pub(super) fn accept(&mut self, text: &str) -> bool {
        let found = self.peek_text() == text;
        if found {
            self.next();
        }
        found
    }

    /// Takes the next word, which `expected` describes.
    pub(super) fn expect(&mut self, expected: &str) -> Parsed<Word<'a>> {
        self.next().ok_or_else(|| Refusal {
            at: self.line.at,
            message: format!("the line ends where {expected} is expected"),
        })
    }

    /// Refuses what is left, if anything.
    pub(super) fn finish(&mut self) -> Parsed<()> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(Refusal::unexpected(word)),
        }
    }

    /// Everything not yet read, as written.
    pub(super) fn rest(&self) -> &'a str {
        self.rest.trim()
    }

    /// The line the words belong to.
    pub(super) const fn line(&self) -> Line<'a> {
        self.line
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let trimmed = self.rest.trim_start();
        let start = self.offset + (self.rest.len() - trimmed.len());
        let length = trimmed.find(char::is_whitespace).unwrap_or(trimmed.len());
        let (text, rest) = trimmed.split_at(length);
        if text.is_empty() || text == "!" {
            self.rest = "";
            return None;
        }
        (self.rest, self.offset) = (rest, start + length);
        Some(Word { text, at: Span::new(start, start + length) })
    }
}

/// Why a statement is not understood.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// The word that does not fit, or the whole line.
    pub(super) at: Span,
    /// A lower-case fragment.
    pub(super) message: String,
}

impl Refusal {
    /// A word that nothing allows here.
    pub(super) fn unexpected(word: Word<'_>) -> Self {
        Self { at: word.at, message: format!("`{}` is not understood here", word.text) }
    }

    /// A word that is not what `expected` describes.
    pub(super) fn is_no(word: Word<'_>, expected: &str) -> Self {
        Self { at: word.at, message: format!("`{}` is no {expected}", word.text) }
    }
}

/// What a statement says, or why it is not understood.
pub(super) type Parsed<T> = Result<T, Refusal>;

/// A line with single blanks: reads the same wherever it is written, so it can name an atom.
pub(super) fn normalised(text: &str) -> String {
    let mut words = text.split_whitespace();
    let mut normal = words.next().unwrap_or_default().to_owned();
    for word in words {
        normal.push(' ');
        normal.push_str(word);
    }
    normal
}
