//! Typed access to one TOML table, with the place of everything and every problem at once.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::{At, Diagnostics, Span};

/// A TOML value with its byte range.
pub(super) type Value<'i> = toml::Spanned<DeValue<'i>>;

/// One table being read. Keys asked for are known; [`Table::finish`] reports the others.
pub(super) struct Table<'a, 'i> {
    entries: &'a DeTable<'i>,
    /// The table's header with everything in it.
    pub(super) at: Span,
    /// The header alone.
    header: Span,
    /// What messages call the table.
    kind: &'static str,
    known: Vec<&'static str>,
}

impl<'a, 'i> Table<'a, 'i> {
    /// `header` is the span TOML gives the table: its header line, or all of an inline table.
    pub(super) fn new(entries: &'a DeTable<'i>, header: Span, kind: &'static str) -> Self {
        Self { entries, at: header.to(extent(entries, header)), header, kind, known: Vec::new() }
    }

    /// The header with the value of `name`, for tables that hold much more than themselves.
    pub(super) fn head(&self) -> Span {
        self.entries.get("name").map_or(self.header, |name| self.header.to(span(name.span())))
    }

    /// The value of a key; asking makes the key a known one.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Value<'i>> {
        self.known.push(key);
        self.entries.get(key)
    }

    /// Whether a key is present.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some()
    }

    /// A string.
    pub(super) fn string(
        &mut self,
        key: &'static str,
        problems: &mut Diagnostics,
    ) -> Option<At<String>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At::new(text.to_string(), span(value.span()))),
            _ => wrong_type(key, value, "a string", problems),
        }
    }

    /// A string that has to be there; empty where it is not.
    pub(super) fn required(&mut self, key: &'static str, problems: &mut Diagnostics) -> At<String> {
        if !self.has(key) {
            let message = format!("{} needs `{key}`", self.kind);
            problems.error("missing-key", self.header, message);
        }
        self.string(key, problems).unwrap_or_else(|| At::new(String::new(), self.header))
    }

    /// A switch; `false` where it is absent.
    pub(super) fn switch(&mut self, key: &'static str, problems: &mut Diagnostics) -> bool {
        let Some(value) = self.value(key) else { return false };
        match value.get_ref() {
            DeValue::Boolean(on) => *on,
            _ => wrong_type(key, value, "true or false", problems).unwrap_or(false),
        }
    }

    /// A whole number from 0 to `most`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        most: u32,
        problems: &mut Diagnostics,
    ) -> Option<u32> {
        let value = self.value(key)?;
        let DeValue::Integer(integer) = value.get_ref() else {
            return wrong_type(key, value, "a whole number", problems);
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            let message = format!("`{key}` is `{}`: expected 0 to {most}", integer.as_str());
            problems.error("bad-value", span(value.span()), message);
        }
        number
    }

    /// A string, or a list of strings; `None` where the key is absent.
    pub(super) fn strings(
        &mut self,
        key: &'static str,
        problems: &mut Diagnostics,
    ) -> Option<Vec<At<String>>> {
        let mut strings = Vec::new();
        for item in list(self.value(key)?) {
            match item.get_ref() {
                DeValue::String(text) => {
                    strings.push(At::new(text.to_string(), span(item.span())));
                }
                _ => {
                    let _: Option<()> =
                        wrong_type(key, item, "a string or a list of strings", problems);
                }
            }
        }
        Some(strings)
    }

    /// The tables of a `[[key]]`, each called `kind` in messages.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        kind: &'static str,
        problems: &mut Diagnostics,
    ) -> Vec<Self> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let mut tables = Vec::new();
        for item in list(value) {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    tables.push(Self::new(entries, span(item.span()), kind));
                }
                _ => {
                    let _: Option<()> = wrong_type(key, item, "a list of tables", problems);
                }
            }
        }
        tables
    }

    /// Every key with its value, for tables whose keys are data; no key is unknown then.
    pub(super) fn entries(&self) -> impl Iterator<Item = (At<&'a str>, &'a Value<'i>)> {
        self.entries.iter().map(|(key, value)| (At::new(&**key.get_ref(), span(key.span())), value))
    }

    /// Reports the keys nothing asked for.
    pub(super) fn finish(self, problems: &mut Diagnostics) {
        for (key, _) in self.entries() {
            if self.known.contains(&key.value) {
                continue;
            }
            let message = format!("unknown key `{}` in {}", key.value, self.kind);
            problems.error("unknown-key", key.at, message);
            match closest(key.value, &self.known) {
                Some(known) => problems.help(format!("did you mean `{known}`?")),
                None => problems.help(format!("known keys: {}", self.known.join(", "))),
            }
        }
    }
}

/// A byte range of the text.
pub(super) fn span(range: Range<usize>) -> Span {
    Span::new(range.start, range.end)
}

/// The items of a list; a single value counts as a list of one.
pub(super) fn list<'a, 'i>(value: &'a Value<'i>) -> &'a [Value<'i>] {
    match value.get_ref() {
        DeValue::Array(items) => items,
        _ => std::slice::from_ref(value),
    }
}

/// Reports a value of the wrong type.
pub(super) fn wrong_type<T>(
    key: &str,
    value: &Value<'_>,
    expected: &str,
    problems: &mut Diagnostics,
) -> Option<T> {
    let found = value.get_ref().type_str();
    let message = format!("`{key}` has type {found}: expected {expected}");
    problems.error("wrong-type", span(value.span()), message);
    None
}

/// The known word that is spelled most like `word`, when one is near enough to be meant.
pub(super) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A word longer than any known one by more than the distance allowed cannot be near.
    if word.len() > 40 {
        return None;
    }
    let best = known.iter().map(|known| (distance(word, known), *known)).min()?;
    (best.0 <= 1 + best.1.len() / 5).then_some(best.1)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (above, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let here = (diagonal + usize::from(x != y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// `header` with everything its table holds.
fn extent(entries: &DeTable<'_>, header: Span) -> Span {
    entries.values().fold(header, |all, value| {
        let all = all.to(span(value.span()));
        match value.get_ref() {
            // The parser refuses nesting deeper than 80, so the recursion is bounded.
            DeValue::Table(inner) => extent(inner, all),
            _ => all,
        }
    })
}
