//! Results written as tables for reading, JSON and CSV for scripts and spreadsheets, Markdown and
//! self-contained HTML for the change ticket. The crate computes nothing: it names, orders and lays
//! out what a replay found.

mod asked;
mod behaviour;
mod csv;
mod explained;
mod gap;
mod intent;
mod json;
mod lint;
mod markdown;
mod packets;
mod page;
mod region;
mod rule;
mod search;
mod session;
mod table;
mod timer;
mod waiver;
mod witness;
mod witnesses;

pub use csv::{
    ANSWER_COLUMNS, CsvColumn, GROUP_COLUMNS, PACKET_COLUMNS, REGION_COLUMNS, SESSION_COLUMNS,
    csv_header, csv_row,
};
pub use intent::Intents;
pub use json::diff_document;
pub use lint::{LintReport, finding_document, lint_document, lint_sarif, lint_table};
pub use markdown::diff_markdown;
pub use page::{Language, diff_page};
pub use rule::{RuleLine, rule_line};
pub use search::{FLOW_COLUMNS, SearchReport, search_document, search_table};
pub use session::SessionDocument;
pub use table::{diff_table, plain, session_table};
pub use witnesses::{APART, Application, WitnessFormat, witness_frame, write_witnesses};

use parefeu_equivalence::{
    Acceptance, Answer, Conclusion, Edit, Explanation, Finding, Pairing, RegionNames, Request,
    Reviewed, Verdict, Waiver, Weighed, Weight,
};
use parefeu_net::Timestamp;
use parefeu_policy::LinkedFirewall;
use parefeu_replay::{Comparison, TimerHazard};

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
    /// What the user decided about reading it.
    pub reading: Reading<'a>,
}

/// What a user decided about reading a firewall, as the options of every verb that reads one: the
/// file alone says less.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading<'a> {
    /// `--dialect`.
    pub dialect: Option<&'a str>,
    /// `--rulebase`.
    pub rulebase: Option<&'a str>,
    /// `--behaviour`.
    pub behaviour: Option<&'a str>,
    /// `--set`, in order.
    pub settings: &'a [String],
}

impl<'a> Reading<'a> {
    /// The options by their names, in the order they take effect.
    fn options(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let single =
            [("dialect", self.dialect), ("rulebase", self.rulebase), ("behaviour", self.behaviour)];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value?)));
        single.chain(self.settings.iter().map(|setting| ("set", &**setting)))
    }
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

/// The exact comparison of two firewalls, with what it comes to.
#[derive(Clone, Copy, Debug)]
pub struct Exact<'a> {
    /// What was compared, and what has no answer.
    pub answer: &'a Answer,
    /// Where the firewalls differ.
    pub findings: &'a [Finding],
    /// The same of what follows first packets, where that had to be compared.
    pub following: Option<Following<'a>>,
    /// The same of packets that are not first ones, by their state, where that had to be compared.
    pub by_state: Option<Following<'a>>,
    /// What was found of logging and inspection, where that was compared: its findings are the last
    /// of all.
    pub records: Option<&'a Answer>,
    /// What else is known of each finding; nothing of those past the end.
    pub details: &'a [Detail],
    /// Which rules stand for each other, where that was asked for.
    pub explained: Option<&'a Explanation>,
    /// The traffic of each finding, where there was any.
    pub weighed: Option<&'a Weighed>,
    /// What was asked, with the places that stand for each other.
    pub asked: &'a Request,
    /// What it comes to.
    pub conclusion: &'a Conclusion,
    /// The assumptions the user accepts, by name.
    pub accepted: &'a [String],
    /// The file its certificate was written to.
    pub certificate: Option<&'a str>,
    /// The waivers, where there are any.
    pub waivers: Option<Waivers<'a>>,
    /// The intents, where there are any.
    pub intents: Option<Intents<'a>>,
}

/// What differs beside what becomes of first packets: connections both firewalls let in and one of
/// them does not serve, or packets by their state.
#[derive(Clone, Copy, Debug)]
pub struct Following<'a> {
    /// What was compared, and what has no answer.
    pub answer: &'a Answer,
    /// The connections or packets.
    pub findings: &'a [Finding],
}

/// What is known of a finding beside the finding itself.
#[derive(Clone, Debug, Default)]
pub struct Detail {
    /// What its sets are called on the old and on the new side.
    pub names: [RegionNames; 2],
    /// The edited objects that account for it.
    pub because: Vec<Edit>,
}

/// Waivers, with what became of them.
#[derive(Clone, Copy, Debug)]
pub struct Waivers<'a> {
    /// The file they come from, as the user named it.
    pub file: &'a str,
    /// The waivers, in order.
    pub waivers: &'a [Waiver],
    /// What is known of each.
    pub reviewed: &'a [Reviewed],
}

impl<'a> Exact<'a> {
    /// The traffic of a finding, by index.
    fn weight_of(&self, finding: usize) -> Option<&'a Weight> {
        self.weighed?.findings.get(finding)
    }

    /// The findings with their numbers, from 1, in the order they have: those that traffic touches,
    /// then those that none does. Where there was no traffic, none stands apart.
    fn by_traffic(&self) -> [Vec<(usize, &'a Finding)>; 2] {
        let numbered = (1..).zip(self.findings);
        let (touched, others) = numbered
            .partition(|(number, _)| self.weight_of(number - 1).is_none_or(|it| it.sessions > 0));
        [touched, others]
    }

    /// What differs beside what becomes of first packets.
    fn apart(&self) -> impl Iterator<Item = &'a Finding> + use<'a> {
        let answers = self.following.into_iter().chain(self.by_state);
        answers.flat_map(|it| it.findings)
    }

    /// The ticket of the waiver that holds a finding.
    fn ticket_of(&self, finding: &Finding) -> Option<&'a str> {
        let Some(Acceptance::Waiver(at)) = finding.accepted else { return None };
        Some(&*self.waivers?.waivers.get(at)?.ticket)
    }

    /// What the values of [`Field::Time`](parefeu_equivalence::Field::Time) stand for.
    fn moments(&self) -> &[Timestamp] {
        self.answer.moments()
    }

    /// The names of the assumptions a finding rests on.
    fn ids_of(&self, finding: &Finding) -> Vec<&str> {
        let assumptions = self.conclusion.assumptions.iter();
        let rests = assumptions
            .filter(|it| finding.rests_on.iter().any(|missing| it.missing == Some(*missing)));
        rests.map(|it| &*it.id).collect()
    }
}

/// A line of a configuration, and what is said of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remark {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// What is not modelled, or suspicious.
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
    /// The comparison of every packet; `None` where it was not asked for.
    pub exact: Option<Exact<'a>>,
    /// The timers that differ; of the traffic they say nothing where there was none.
    pub timers: &'a [TimerHazard],
    /// Lines that are not modelled.
    pub not_modelled: &'a [Remark],
    /// Lines that are read as their text says, and look as if another was meant.
    pub suspicious: &'a [Remark],
    /// Frames whose time ran backwards and were replayed with the clock held.
    pub clock_held: u64,
    /// The answer.
    pub verdict: Verdict,
}

impl DiffReport<'_> {
    /// The names of places of both sides that stand for each other: old, new.
    fn pairing(&self) -> Vec<(&str, &str)> {
        let Some(Pairing { old, new, pairs }) = self.exact.map(|exact| &exact.asked.pairing) else {
            return Vec::new();
        };
        let named = pairs.iter().filter_map(|pair| {
            let names = (&old.gates[pair.old].name, &new.gates[pair.new].name);
            names.0.as_deref().zip(names.1.as_deref())
        });
        named.collect()
    }
}
