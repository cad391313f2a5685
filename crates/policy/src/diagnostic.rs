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
}

/// Every problem found, in the order of the text once [`Diagnostics::sort`] was called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Diagnostics {
    entries: Vec<Diagnostic>,
    dropped: usize,
}

impl Diagnostics {
    /// More entries than this are counted, not kept.
    pub const MAX: usize = 10_000;

    /// Adds a problem; past [`Diagnostics::MAX`] it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.entries.len() < Self::MAX {
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
            last.help = Some(text.into());
        }
    }

    fn add(&mut self, severity: Severity, code: &'static str, at: Span, message: String) {
        self.push(Diagnostic { severity, code, message, at: Some(at), help: None });
    }

    /// Takes over every entry of `other`.
    pub fn append(&mut self, other: Self) {
        self.dropped += other.dropped;
        for entry in other.entries {
            self.push(entry);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
