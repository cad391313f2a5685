//! Rule analysis: which rules never decide, change nothing or can match nothing, and which objects
//! nothing uses.
//!
//! Every rule base and translation table is looked at as a list of its own. What the words mean
//! exactly is `docs/semantics.md`, S12. The answers are exact where the work allowed suffices and
//! the sets of a match can be written as ranges; where not, a finding says that it is not decided.

mod cell;
mod cover;
mod finding;
mod index;
mod list;
mod object;
mod part;
mod reach;
mod rule;
mod space;

use std::sync::atomic::AtomicBool;

use parefeu_net::Timestamp;

pub use finding::{Finding, FindingKind, RuleList, RuleReference, Weight};

use crate::{Firewall, LinkedFirewall};

/// How an analysis is made.
#[derive(Clone, Copy, Debug)]
pub struct LintOptions {
    /// The moment by which a schedule may be over; without one, none is.
    pub at: Option<Timestamp>,
    /// The work that one rule may cost, in sets of packets compared or ranges written.
    pub work_per_rule: u64,
    /// The work that all rules together may cost.
    pub work: u64,
    /// Once this holds, nothing more is found out about rules: what is left was not decided.
    pub stop: Option<&'static AtomicBool>,
}

/// Enough for any rule base met so far; together they bound an analysis to some seconds.
impl Default for LintOptions {
    fn default() -> Self {
        Self { at: None, work_per_rule: 200_000, work: 50_000_000, stop: None }
    }
}

/// Analyses a firewall: `written` as it was read, `linked` as it was linked from it.
///
/// The findings come in the order of the text. Finding which rules overlap takes a step for each
/// rule and 64 others, and is not counted as work: some seconds for 100,000 rules. Where they
/// overlap much, [`LintOptions`] bounds the work and what was not decided is said.
pub fn lint(written: &Firewall, linked: &LinkedFirewall, options: &LintOptions) -> Vec<Finding> {
    let mut findings = rule::findings(linked, options);
    findings.extend(reach::findings(linked));
    findings.extend(object::findings(written));
    findings.sort_by(|a, b| (a.at, a.kind, &a.subject).cmp(&(b.at, b.kind, &b.subject)));
    findings
}
