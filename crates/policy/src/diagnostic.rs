//! What is wrong with a configuration, as data.

use crate::Span;

/// How grave a problem is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// No usable firewall results: syntax, unknown object, cycle, duplicate name.
    Error,
    /// Understood to matter but not modelled: an affected answer reads *unknown* or *undecided*.
    Unsupported,
    /// Modelled, but probably not what was meant.
    Suspicious,
}

impl Severity {
    /// `error`, `unsupported` or `suspicious`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Unsupported => "unsupported",
            Self::Suspicious => "suspicious",
        }
    }
}

/// One problem found in a configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// A stable identifier such as `unknown-object`; scripts match on it.
    pub code: &'static str,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Where; `None` when the whole file is meant.
    pub at: Option<Span>,
    /// What to do about it.
    pub help: Option<String>,
    /// A digest of what the place says beyond its own words, in definitions it names and in the
    /// block around it, where a reader gathers that: two problems of texts that are compared are
    /// one only where it is the same.
    pub definitions: Option<Box<str>>,
    /// Whether no condition of the rule it is told of stands for it: what the rule does besides,
    /// not when.
    pub stands_alone: bool,
}

/// Every problem found, in the order of the text once [`Diagnostics::sort`] was called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
    /// What is told only where another text does not say the same.
    compared: Vec<Diagnostic>,
    dropped: usize,
}

impl Diagnostics {
    /// More entries than this are counted, not kept.
    pub const MAX: usize = 10_000;

    /// More bytes than this of a message or a help line are cut out of its middle: both quote the
    /// text, and the text may be one word of a hundred megabytes.
    pub const MAX_TEXT_BYTES: usize = 1000;

    /// Adds a problem; past [`Diagnostics::MAX`] it is only counted.
    pub fn push(&mut self, mut diagnostic: Diagnostic) {
        if self.entries.len() < Self::MAX {
            shorten(&mut diagnostic.message);
            diagnostic.help.as_mut().map(shorten);
            self.entries.push(diagnostic);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds an error at a place.
    pub fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.add(Severity::Error, code, at, message.into());
    }

    /// Adds something understood to matter but not modelled.
    pub fn unsupported(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.add(Severity::Unsupported, code, at, message.into());
    }

    /// Adds something that is probably not what was meant.
    pub fn suspicious(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        self.add(Severity::Suspicious, code, at, message.into());
    }

    /// Gives the latest entry a help line.
    pub fn help(&mut self, text: impl Into<String>) {
        if let Some(last) = self.entries.last_mut() {
            shorten(last.help.insert(text.into()));
        }
    }

    /// Adds something that is not modelled and that every configuration has, such as what a device
    /// is delivered with: it is not listed, and counts where two texts of one dialect are compared.
    pub fn compared(&mut self, code: &'static str, at: Span, message: impl Into<String>) {
        if self.compared.len() < Self::MAX {
            let mut message = message.into();
            shorten(&mut message);
            let (severity, at) = (Severity::Unsupported, Some(at));
            let help = None;
            let (definitions, stands_alone) = (None, false);
            let it = Diagnostic { severity, code, message, at, help, definitions, stands_alone };
            self.compared.push(it);
        } else {
            self.dropped += 1;
        }
    }

    /// Gives whatever is not modelled the digest of what its place says beyond its own words.
    pub fn define(&mut self, of: impl Fn(Span) -> Option<Box<str>>) {
        let listed = self.entries.iter_mut().chain(&mut self.compared);
        for entry in listed.filter(|entry| entry.severity == Severity::Unsupported) {
            entry.definitions = entry.at.and_then(&of);
        }
    }

    /// Gives the latest entry that digest.
    pub fn defined(&mut self, definitions: impl Into<Box<str>>) {
        if let Some(last) = self.entries.last_mut() {
            last.definitions = Some(definitions.into());
        }
    }

    /// Says of the latest entry that no condition stands for it.
    pub fn stands_alone(&mut self) {
        if let Some(last) = self.entries.last_mut() {
            last.stands_alone = true;
        }
    }

    fn add(&mut self, severity: Severity, code: &'static str, at: Span, message: String) {
        let at = Some(at);
        let (help, definitions, stands_alone) = (None, None, false);
        self.push(Diagnostic { severity, code, message, at, help, definitions, stands_alone });
    }

    /// Takes over every entry of `other`.
    pub fn append(&mut self, other: Self) {
        self.dropped += other.dropped;
        for entry in other.entries {
            self.push(entry);
        }
        let room = Self::MAX.saturating_sub(self.compared.len());
        self.dropped += other.compared.len().saturating_sub(room);
        self.compared.extend(other.compared.into_iter().take(room));
    }

    /// Orders the entries by place, then severity and code, and keeps one of several that say the
    /// same of the same place: a rule that stands in two tables has its faults once.
    pub fn sort(&mut self) {
        self.entries.sort_by(|a, b| {
            (a.at, a.severity, a.code, &a.message).cmp(&(b.at, b.severity, b.code, &b.message))
        });
        self.entries.dedup();
    }

    /// The gravest severity present.
    pub fn worst(&self) -> Option<Severity> {
        self.entries.iter().map(|entry| entry.severity).min()
    }

    /// Whether any entry is an error.
    pub fn has_errors(&self) -> bool {
        self.worst() == Some(Severity::Error)
    }

    /// The entries kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.entries.iter()
    }

    /// What is told only where another text does not say the same: [`Diagnostics::compared`].
    pub fn only_compared(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.compared.iter()
    }

    /// How many problems were found, kept or not.
    pub fn len(&self) -> usize {
        self.entries.len() + self.dropped
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Cuts the middle out of a text longer than [`Diagnostics::MAX_TEXT_BYTES`].
fn shorten(text: &mut String) {
    let Some(spare) = text.len().checked_sub(Diagnostics::MAX_TEXT_BYTES).filter(|it| *it > 0)
    else {
        return;
    };
    let mut from = Diagnostics::MAX_TEXT_BYTES * 3 / 4;
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = from + spare + '…'.len_utf8();
    while !text.is_char_boundary(to) {
        to += 1;
    }
    text.replace_range(from..to, "…");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_quotes_too_much_keeps_both_its_ends() {
        let mut problems = Diagnostics::default();
        problems.error("syntax", Span::default(), format!("`{}` is no address", "é".repeat(999)));
        problems.help("x".repeat(1001));
        let Some(problem) = problems.iter().next() else { unreachable!("one was added") };
        assert!(
            problem.message.starts_with("`éé") && problem.message.ends_with("é` is no address")
        );
        assert!((990..=1000).contains(&problem.message.len()), "{}", problem.message.len());
        let help = problem.help.as_deref().map(|help| (help.len(), help.contains('…')));
        assert_eq!(help, Some((1000, true)));

        problems.error("syntax", Span::default(), "é".repeat(500));
        assert_eq!(problems.iter().next_back().map(|last| last.message.chars().count()), Some(500));
    }

    #[test]
    fn a_problem_found_twice_is_reported_once() {
        let mut problems = Diagnostics::default();
        let [first, second] = [Span::new(4, 9), Span::new(10, 12)];
        for at in [second, first, second] {
            problems.error("unknown-object", at, "unknown address object `a`");
        }
        problems.error("unknown-object", first, "unknown address object `b`");
        problems.sort();
        let found: Vec<_> = problems.iter().map(|it| (it.at, &*it.message)).collect();
        let (a, b) = ("unknown address object `a`", "unknown address object `b`");
        assert_eq!(found, [(Some(first), a), (Some(first), b), (Some(second), a)]);
    }
}
