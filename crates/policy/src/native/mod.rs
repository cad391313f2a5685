//! The native format: the whole firewall model as TOML.
//!
//! The keys are described in `docs/native-format.md`. [`read`] reports every problem it finds, each
//! with its place; [`write()`] prints a firewall so that reading the text gives the same firewall
//! again.

mod address;
mod reader;
mod rule;
mod schedule;
mod service;
mod table;
mod writer;

use toml::de::DeTable;

use crate::{Diagnostics, Firewall, Source, Sources, Span};

/// Reads a firewall from TOML text. The result is `None` when a problem is an error.
///
/// Error codes: `syntax`, `unknown-key`, `missing-key`, `wrong-type`, `bad-value`,
/// `ambiguous-name`. Suspicious: `host-bits`. `O(n log n)` in the length of the text; nesting is
/// limited to 80 levels.
pub fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let text = source.text().to_owned();
    let (root, errors) = DeTable::parse_recoverable(&text);
    for error in errors {
        let at = error.span().map_or_else(Span::default, |range| Span::new(range.start, range.end));
        problems.error("syntax", at, error.message());
    }
    if problems.has_errors() {
        return (None, problems);
    }
    let mut firewall = reader::Reader::firewall(root.get_ref(), &mut problems);
    firewall.sources = Sources::one(source);
    problems.sort();
    let failed = problems.has_errors();
    ((!failed).then_some(firewall), problems)
}

/// Prints a firewall as TOML text that [`read`] reads back to the same firewall.
///
/// The dialect a firewall was read from is not kept, nor are the bits of an address outside its
/// prefix. Linear in the size of the firewall.
pub fn write(firewall: &Firewall) -> String {
    writer::write(firewall)
}

#[cfg(test)]
mod tests;
