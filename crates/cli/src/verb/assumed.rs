//! Assumptions accepted by name.

use std::collections::BTreeSet;

/// That there is an assumption of each name that is accepted.
pub(crate) fn known_assumptions(
    accepted: &[String],
    known: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let Some(unknown) = accepted.iter().find(|name| !known.contains(*name)) else { return Ok(()) };
    if known.is_empty() {
        anyhow::bail!("--assume: there is no assumption `{unknown}`: nothing has to be assumed");
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    anyhow::bail!("--assume: there is no assumption `{unknown}` (there are: {})", known.join(", "));
}
