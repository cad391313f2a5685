//! The self-contained page for the change ticket.

/// The language of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

/// `diff` as one HTML page.
pub fn diff_page(report: &crate::DiffReport<'_>, _language: Language) -> String {
    crate::diff_document(report).to_string()
}
