//! The flows one firewall lets through or refuses, as JSON and as a table.

use std::fmt::Write;

use parefeu_equivalence::{Assumption, Found, Wanted};
use serde_json::{Value, json};

use crate::FirewallInfo;
use crate::csv::CsvColumn;
use crate::gap::{Gap, gap_document, unanswered};
use crate::packets::{few, in_words, parts_of};
use crate::region::{flow_document, verdict};
use crate::rule::origin_name;
use crate::table::{plain_table, write_gaps};

/// A search, with everything its report says.
#[derive(Clone, Copy, Debug)]
pub struct SearchReport<'a> {
    /// The firewall.
    pub firewall: FirewallInfo<'a>,
    /// What was looked for.
    pub wanted: Wanted,
    /// What was found.
    pub found: &'a Found,
    /// The lines that decide nothing here and might.
    pub unread: &'a [Assumption],
    /// Those the user accepts, by name.
    pub accepted: &'a [String],
}

impl SearchReport<'_> {
    /// Whether the flows are those found and no others.
    pub fn is_complete(&self) -> bool {
        self.found.is_complete() && self.unread.iter().all(|it| self.accepted.contains(&it.id))
    }
}

/// `parefeu/search/1`.
pub fn search_document(report: &SearchReport<'_>) -> Value {
    let FirewallInfo { file, sha256, dialect, firewall } = report.firewall;
    let answer = &report.found.answer;
    let flows = (1..).zip(&report.found.flows);
    let flows = flows.map(|(id, flow)| flow_document(id, flow, answer, firewall));
    let unread = report.unread.iter().map(|it| {
        let accepted = report.accepted.contains(&it.id);
        json!({ "id": it.id, "text": it.text, "lines": lines(report, it), "accepted": accepted })
    });
    json!({
        "schema": "parefeu/search/1",
        "action": report.wanted.name(),
        "firewall": { "file": file, "sha256": sha256, "dialect": dialect },
        "complete": report.is_complete(),
        "flows": flows.collect::<Vec<Value>>(),
        "undecided": gaps(report).iter().map(gap_document).collect::<Vec<Value>>(),
        "assumptions": unread.collect::<Vec<Value>>(),
    })
}

/// The columns of a flow (`search`).
pub const FLOW_COLUMNS: &[CsvColumn] = &[
    column("id", "/id"),
    column("verdict", "/verdict"),
    column("rule", "/rules/0/name"),
    column("line", "/rules/0/line"),
    column("from", "/from"),
    column("to", "/to"),
    column("source", "/source"),
    column("destination", "/destination"),
    column("protocol", "/protocol"),
    column("source_port", "/source_port"),
    column("destination_port", "/destination_port"),
    column("icmp", "/icmp"),
    column("application", "/application"),
    column("packets_log2", "/packets_log2"),
];

const fn column(name: &'static str, pointer: &'static str) -> CsvColumn {
    CsvColumn { name, pointer }
}

/// The result of `search`, at most `width` columns wide.
pub fn search_table(report: &SearchReport<'_>, width: u16) -> String {
    let flows = &report.found.flows;
    let mut text = String::new();
    if !flows.is_empty() {
        let mut table = plain_table(&["verdict", "packets", "rule", "headers"], width);
        for flow in flows.iter().take(MOST_FLOWS) {
            let rules = flow.old.deciders.iter();
            let rules = rules.map(|origin| origin_name(*origin, report.firewall.firewall));
            table.add_row([
                verdict(&flow.old.outcome).to_owned(),
                in_words(&parts_of(flow, &report.found.answer), "\n"),
                few(rules.collect()),
                format!("2^{:.1}", flow.packets_log2),
            ]);
        }
        let _ = writeln!(text, "{table}");
    }
    if let more @ 1.. = flows.len().saturating_sub(MOST_FLOWS) {
        let _ = writeln!(text, "and {more} more (--format json has them all)");
    }
    write_gaps(&mut text, &gaps(report));
    for it in report.unread {
        let accepted = if report.accepted.contains(&it.id) { " (accepted)" } else { "" };
        let line = lines(report, it).first().map(|line| format!("{line}: "));
        let (id, line, why) = (&it.id, line.unwrap_or_default(), &it.text);
        let _ = writeln!(text, "assumed: {id}{accepted}  {line}{why}");
    }
    let complete = if report.is_complete() { "" } else { "; part of the question has no answer" };
    let what = match report.wanted {
        Wanted::Allow => "allowed",
        Wanted::Deny => "refused",
    };
    let _ = writeln!(text, "{} sets of flows are {what}{complete}", flows.len());
    text
}

/// More flows than this are counted.
const MOST_FLOWS: usize = 100;

fn gaps(report: &SearchReport<'_>) -> Vec<Gap> {
    unanswered(&report.found.answer.undecided, [report.firewall; 2])
}

/// `file:line`, where a line states it.
fn lines(report: &SearchReport<'_>, it: &Assumption) -> Vec<String> {
    let line = report.firewall.firewall.sources.line_number(it.at);
    let stated = (line > 0).then(|| format!("{}:{line}", report.firewall.file));
    stated.into_iter().collect()
}
