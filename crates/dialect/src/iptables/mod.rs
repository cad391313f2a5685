//! Not read yet.

use parefeu_policy::{Diagnostic, Diagnostics, Firewall, Severity, Source};

/// Refuses the text.
pub(crate) fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    let mut problems = Diagnostics::default();
    problems.push(Diagnostic {
        severity: Severity::Error,
        code: "unsupported-dialect",
        message: format!("{} is in a dialect that is not read yet", source.name()),
        at: None,
        help: None,
    });
    (None, problems)
}
