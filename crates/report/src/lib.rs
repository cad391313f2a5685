//! Results written as tables for reading, JSON and CSV for scripts and spreadsheets, Markdown and
//! self-contained HTML for the change ticket. The crate computes nothing: it names, orders and lays
//! out what a replay found.

mod csv;
mod json;
mod lint;
mod markdown;
mod page;
mod rule;
mod session;
mod table;

pub use csv::{
    ANSWER_COLUMNS, CsvColumn, GROUP_COLUMNS, PACKET_COLUMNS, SESSION_COLUMNS, csv_header, csv_row,
};
pub use json::diff_document;
pub use lint::{LintReport, finding_document, lint_document, lint_sarif, lint_table};
pub use markdown::diff_markdown;
pub use page::{Language, diff_page};
pub use rule::{RuleLine, rule_line};
pub use session::SessionDocument;
pub use table::{diff_table, session_table};

use parefeu_policy::LinkedFirewall;
use parefeu_replay::Comparison;

/// One firewall of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct FirewallInfo<'a> {
    /// The file it was read from, as the user named it.
    pub file: &'a str,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'a str,
    /// Its dialect.
    pub dialect: &'a str,
    /// The firewall.
    pub firewall: &'a LinkedFirewall,
}

/// A capture that was replayed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaptureInfo {
    /// The file, as the user named it.
    pub file: String,
    /// SHA-256 of what was read of it, in hexadecimal; `None` where it was not asked for.
    pub sha256: Option<String>,
    /// Frames read.
    pub frames: u64,
    /// Why it ended early, if it did.
    pub ended_early: Option<String>,
}

/// The answer of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiffVerdict {
    /// Some traffic is treated differently.
    Different,
    /// Nothing seen is treated differently, which proves nothing about what was not seen.
    Undecided,
}

impl DiffVerdict {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Different => "different",
            Self::Undecided => "undecided",
        }
    }
}

/// A line of a configuration that is not modelled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NotModelled {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is not modelled.
    pub text: String,
}

/// A comparison of two firewalls, with everything its report says.
#[derive(Clone, Debug)]
pub struct DiffReport<'a> {
    /// The firewall in service.
    pub old: FirewallInfo<'a>,
    /// The firewall that is to replace it.
    pub new: FirewallInfo<'a>,
    /// The captures replayed.
    pub captures: &'a [CaptureInfo],
    /// What the replay found; `None` when there was no traffic.
    pub comparison: Option<&'a Comparison>,
    /// Interfaces of both sides where the capture's frames entered: old, new.
    pub pairing: &'a [(String, String)],
    /// Lines that are not modelled.
    pub not_modelled: &'a [NotModelled],
    /// Frames whose time ran backwards and were replayed with the clock held.
    pub clock_held: u64,
    /// The answer.
    pub verdict: DiffVerdict,
}
