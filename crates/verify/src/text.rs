//! The words of a certificate, line by line.

use std::fmt;
use std::str::FromStr;

use crate::rejection::{Rejection, Why};

/// What is left of a text.
#[derive(Clone, Debug)]
pub(crate) struct Lines<'a> {
    rest: &'a str,
    number: u32,
}

/// What is left of a line.
#[derive(Clone, Debug)]
pub(crate) struct Words<'a> {
    /// Its number, from 1.
    pub(crate) line: u32,
    rest: &'a str,
}

impl<'a> Lines<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { rest: text, number: 0 }
    }

    /// The next line; an error at the end of the text, or where a line is too long to be one.
    pub(crate) fn next(&mut self) -> Result<Words<'a>, Rejection> {
        self.number = self.number.saturating_add(1);
        let end = self.rest.find('\n').filter(|end| *end <= MAX_LINE_BYTES);
        let Some(end) = end else {
            return Err(self.wrong("a line"));
        };
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        Ok(Words { line: self.number, rest: line })
    }

    /// The word the next line begins with.
    pub(crate) fn peek(&self) -> &'a str {
        let line = self.rest.lines().next().unwrap_or_default();
        line.split(' ').next().unwrap_or_default()
    }

    /// Whether nothing is left.
    pub(crate) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Something else was expected on the last line read.
    pub(crate) const fn wrong(&self, expected: &'static str) -> Rejection {
        Rejection { line: self.number, why: Why::Syntax { expected } }
    }
}

impl<'a> Words<'a> {
    /// The next word; empty at the end of the line.
    pub(crate) fn word(&mut self) -> &'a str {
        let (word, rest) = self.rest.split_once(' ').unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    /// The next word, if it is this one.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let mut after = self.clone();
        let is_next = after.word() == word;
        if is_next {
            *self = after;
        }
        is_next
    }

    /// The next word has to be this one.
    pub(crate) fn expect(&mut self, word: &'static str) -> Result<(), Rejection> {
        if self.take(word) { Ok(()) } else { Err(self.wrong(word)) }
    }

    /// A text in quotes, as JSON writes it.
    pub(crate) fn quoted(&mut self) -> Result<String, Rejection> {
        let mut texts = serde_json::Deserializer::from_str(self.rest).into_iter::<String>();
        let text =
            texts.next().and_then(Result::ok).ok_or_else(|| self.wrong("a text in quotes"))?;
        let rest = self.rest.get(texts.byte_offset()..).unwrap_or_default();
        self.rest = match rest.strip_prefix(' ') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return Err(self.wrong("a space after a text in quotes")),
        };
        Ok(text)
    }

    /// A number, or anything that is written as one word.
    pub(crate) fn number<T: FromStr>(&mut self) -> Result<T, Rejection> {
        let text = self.word();
        text.parse().map_err(|_| self.wrong("a number or an address"))
    }

    /// Whether nothing is left.
    pub(crate) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    pub(crate) const fn end(&self) -> Result<(), Rejection> {
        if self.is_done() { Ok(()) } else { Err(self.wrong("the end of the line")) }
    }

    /// Something else was expected on this line.
    pub(crate) const fn wrong(&self, expected: &'static str) -> Rejection {
        self.reject(Why::Syntax { expected })
    }

    /// This line is why.
    pub(crate) const fn reject(&self, why: Why) -> Rejection {
        Rejection { line: self.line, why }
    }
}

/// Bytes in lower-case hexadecimal.
pub(crate) struct Hexadecimal<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hexadecimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A line longer than this is none.
const MAX_LINE_BYTES: usize = 1 << 20;
