//! The result of `diff` in Markdown, for a ticket or a merge request.

use std::fmt::Write;

use parefeu_equivalence::Verdict;
use parefeu_policy::LinkedFirewall;
use parefeu_replay::{DifferenceClass, Group, GroupSide};

use crate::DiffReport;
use crate::rule::rule_line;
use crate::table::{bytes, conclusion, tally};

/// More groups than this are counted; JSON and CSV have them all.
const MOST_GROUPS: usize = 200;

/// The result of `diff`, as Markdown with tables.
pub fn diff_markdown(report: &DiffReport<'_>) -> String {
    let mut text = String::new();
    let verdict = match report.verdict {
        Verdict::Different => "Different",
        Verdict::Undecided => "Undecided",
        Verdict::Equivalent => "Equivalent",
        Verdict::EquivalentUnderAssumptions => "Equivalent under assumptions",
    };
    let _ = writeln!(text, "# {verdict}\n");
    let _ = writeln!(text, "| | file | SHA-256 |\n|---|---|---|");
    for (side, info) in [("old", &report.old), ("new", &report.new)] {
        let _ = writeln!(
            text,
            "| {side} | {} ({}) | `{}` |",
            code(info.file),
            info.dialect,
            info.sha256
        );
    }
    for capture in report.captures {
        let early = capture.ended_early.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
        let (file, sha256) = (code(&capture.file), capture.sha256.as_deref());
        let sha256 = sha256.map(|sum| format!("`{sum}`")).unwrap_or_default();
        let _ =
            writeln!(text, "| traffic | {file} ({} frames{early}) | {sha256} |", capture.frames);
    }
    if let Some(comparison) = report.comparison {
        let differences = &comparison.differences;
        let _ = writeln!(text, "\n{}.\n", tally(differences));
        let _ = writeln!(text, "| change | sessions | bytes |\n|---|--:|--:|");
        for (class, totals) in &differences.totals {
            let _ =
                writeln!(text, "| {} | {} | {} |", class.name(), totals.flows, bytes(totals.bytes));
        }
        write_groups(&mut text, report, &differences.groups);
    }
    if !report.not_modelled.is_empty() {
        let _ = writeln!(text, "\n## Not modelled\n");
        for it in report.not_modelled {
            let _ = writeln!(
                text,
                "- {}: {}",
                code(&format!("{}:{}", it.file, it.line)),
                escape(&it.text)
            );
        }
    }
    let _ = writeln!(text, "\n{}", escape(&conclusion(report)));
    text
}

fn write_groups(text: &mut String, report: &DiffReport<'_>, groups: &[Group]) {
    let shown: Vec<&Group> =
        groups.iter().filter(|group| group.class != DifferenceClass::Same).collect();
    if shown.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Differences\n");
    let _ = writeln!(text, "| change | old rule | new rule | sessions | bytes | example |");
    let _ = writeln!(text, "|---|---|---|--:|--:|---|");
    for group in shown.iter().take(MOST_GROUPS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            group.class.name(),
            side(&group.old, report.old.firewall),
            side(&group.new, report.new.firewall),
            group.flows,
            bytes(group.bytes),
            code(&group.witness.to_string()),
        );
    }
    if let more @ 1.. = shown.len().saturating_sub(MOST_GROUPS) {
        let _ = writeln!(text, "\nand {more} more groups");
    }
}

fn side(side: &GroupSide, firewall: &LinkedFirewall) -> String {
    let rule = rule_line(firewall, side.hit);
    let name = if side.hit.is_some() { code(&rule.name) } else { side.reason.to_string() };
    let line = if rule.line > 0 { format!(", line {}", rule.line) } else { String::new() };
    format!("{} {name}{line}", side.verdict)
}

/// Text in which nothing is markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#') {
            escaped.push('\\');
        }
        escaped.push(if character.is_control() { ' ' } else { character });
    }
    escaped
}

/// A name or flow as code, also inside a table.
fn code(text: &str) -> String {
    let plain: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if plain.contains('`') || plain.contains('|') {
        return escape(&plain);
    }
    format!("`{plain}`")
}
