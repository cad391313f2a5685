//! The result of `diff` in Markdown, for a ticket or a merge request.

mod stated;

use std::fmt::Write;

use parefeu_equivalence::{Acceptance, Decision, Finding, Origin, Verdict};
use parefeu_policy::{LinkedFirewall, RuleId};
use parefeu_replay::{Comparison, DifferenceClass, Group, GroupSide, RuleHits};

use crate::asked::asked;
use crate::behaviour::{Setting, meaning, settings};
use crate::gap::{gaps, untold};
use crate::json::rules_hit;
use crate::packets::{Size, few, in_words, parts_of};
use crate::region::{Kind, apart_kind, place, record_text, verdict};
use crate::rule::{origin_line, rule_line};
use crate::table::{bytes, conclusion, packets, plural, tally, traffic as traffic_text};
use crate::timer::{effect, seconds};
use crate::witness::flow;
use crate::{DiffReport, Exact, Following, Remark};

/// More groups than this are counted; JSON and CSV have them all.
const MOST_GROUPS: usize = 200;
/// More regions than this are counted; JSON and CSV have them all.
const MOST_REGIONS: usize = 200;
/// More rules of a side that nothing hit are counted.
const MOST_NAMES: usize = 100;
/// More assumptions, or reasons why there is no answer, are counted; JSON has them all.
const MOST_LINES: usize = 200;

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
    if let Some(exact) = &report.exact {
        write_exact(&mut text, exact, report);
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
        write_coverage(&mut text, report, comparison);
    }
    write_timers(&mut text, report);
    write_settings(&mut text, report);
    write_remarks(&mut text, "Not modelled", report.not_modelled);
    write_remarks(&mut text, "Suspicious", report.suspicious);
    let _ = writeln!(text, "\n{}", escape(&conclusion(report)));
    text
}

fn write_remarks(text: &mut String, title: &str, remarks: &[Remark]) {
    if remarks.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {title}\n");
    for it in remarks {
        let place = code(&format!("{}:{}", it.file, it.line));
        let _ = writeln!(text, "- {place}: {}", escape(&it.text));
    }
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
    write_more(text, shown.len(), MOST_GROUPS, "groups");
}

/// The timers that differ, with what the traffic shows of them.
fn write_timers(text: &mut String, report: &DiffReport<'_>) {
    if report.timers.is_empty() {
        return;
    }
    let seen = report.comparison.is_some();
    let (name, line) = if seen { (" sessions of the traffic |", "---|") } else { ("", "") };
    let _ = writeln!(text, "\n## Timers that differ\n");
    let _ = writeln!(text, "| timer | old | new |{name}\n|---|--:|--:|{line}");
    for it in report.timers {
        let cell = if seen { format!(" {} |", escape(&effect(it))) } else { String::new() };
        let _ =
            writeln!(text, "| {} | {} | {} |{cell}", it.timer, seconds(it.old), seconds(it.new));
    }
}

/// The settings of session keeping that differ.
fn write_settings(text: &mut String, report: &DiffReport<'_>) {
    for (at, Setting { name, old, new }) in settings(report).into_iter().enumerate() {
        if at == 0 {
            let _ = writeln!(text, "\n## How sessions are kept\n");
            let _ = writeln!(text, "| setting | old | new | what it does |\n|---|---|---|---|");
        }
        let meaning = escape(meaning(name));
        let _ = writeln!(text, "| {} | {old} | {new} | {meaning} |", code(name));
    }
}

/// Which rules of each side the traffic hit, and when it was observed.
fn write_coverage(text: &mut String, report: &DiffReport<'_>, comparison: &Comparison) {
    let Some((first, last)) = comparison.differences.span else { return };
    let _ = writeln!(text, "\n## Rules the traffic hit\n");
    let _ = writeln!(text, "Observed from {first} to {last}.\n");
    let _ = writeln!(text, "| | rules | hit | never hit |\n|---|--:|--:|---|");
    let sides = [
        ("old", report.old.firewall, &comparison.old_hits),
        ("new", report.new.firewall, &comparison.new_hits),
    ];
    for (side, firewall, hits) in sides {
        let (rules, hit) = rules_hit(firewall, hits);
        let never = never_hit(firewall, hits);
        let names = never.iter().take(MOST_NAMES).map(|id| {
            let origin = Origin { rule: Some(*id), ..Origin::default() };
            code(&origin_line(firewall, origin).label())
        });
        let names = names.collect::<Vec<_>>().join(", ");
        let more = match never.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let _ = writeln!(text, "| {side} | {rules} | {hit} | {names}{more} |");
    }
}

/// The rules that are written and switched on, and that no traffic hit.
fn never_hit(firewall: &LinkedFirewall, hits: &RuleHits) -> Vec<RuleId> {
    let rules = (0..).map(RuleId).zip(firewall.rules.iter().zip(&hits.packets));
    let never =
        rules.filter(|(_, (rule, packets))| !rule.implied && !rule.disabled && **packets == 0);
    never.map(|(id, _)| id).collect()
}

fn side(side: &GroupSide, firewall: &LinkedFirewall) -> String {
    let rule = rule_line(firewall, side.hit);
    let name = if side.hit.is_some() { code(&rule.name) } else { side.reason.to_string() };
    let line = if rule.line > 0 { format!(", line {}", rule.line) } else { String::new() };
    format!("{} {name}{line}", side.verdict)
}

/// The exact comparison: regions, then what has no answer, then what the answer rests on.
fn write_exact(text: &mut String, exact: &Exact<'_>, report: &DiffReport<'_>) {
    if let limits @ [_, ..] = &asked(exact.asked)[..] {
        let _ = writeln!(text, "\nCompared: only {}.", escape(&in_words(limits, ", ")));
    }
    if !exact.findings.is_empty() {
        write_regions(text, exact, report);
    }
    for (found, title, lead, what) in [
        (
            exact.following,
            "Return traffic",
            "Both sides let these connections in, and one refuses what follows.",
            "refused | connections",
        ),
        (
            exact.by_state,
            "Packets by their state",
            "Connections open alike; these packets do not open one in order, and one side refuses \
             them.",
            "state | packets",
        ),
    ] {
        if let Some(found @ Following { findings: [_, ..], .. }) = found {
            let _ = writeln!(text, "\n## {title}\n\n{lead}\n");
            let _ = writeln!(text, "| {what} | old rule | new rule | example |");
            write_apart(text, found, exact, report);
        }
    }
    stated::write(text, exact, report);
    let gaps = gaps(exact, report);
    if !gaps.is_empty() {
        let _ = writeln!(text, "\n## Undecided\n");
        for gap in gaps.iter().take(MOST_LINES) {
            let lines: Vec<String> = gap.lines.iter().map(|line| code(line)).collect();
            let lines = if lines.is_empty() { lines.concat() } else { few(lines) + ": " };
            let from: Vec<String> = gap.from.iter().map(|name| code(name)).collect();
            let from =
                if from.is_empty() { from.concat() } else { format!(" (from {})", few(from)) };
            let _ = writeln!(text, "- {lines}{}{from}", escape(&gap.why.to_string()));
        }
        write_more(text, gaps.len(), MOST_LINES, "reasons");
    }
    let assumptions = &exact.conclusion.assumptions;
    if !assumptions.is_empty() {
        let _ = writeln!(text, "\n## Assumptions\n");
        let _ = writeln!(text, "| `--assume` | accepted | line | assumed |\n|---|---|---|---|");
        for it in assumptions.iter().take(MOST_LINES) {
            let accepted = if exact.accepted.contains(&it.id) { "yes" } else { "no" };
            let place = place(it.side, it.at, report).map(|place| code(&place));
            let (place, words) = (place.unwrap_or_default(), escape(&it.text));
            let _ = writeln!(text, "| {} | {accepted} | {place} | {words} |", code(&it.id));
        }
        write_more(text, assumptions.len(), MOST_LINES, "assumptions");
    }
    for (at, (what, lines)) in untold(exact, report).into_iter().enumerate() {
        if at == 0 {
            let _ = writeln!(text, "\n## Told by neither side\n");
        }
        let lines: Vec<String> = lines.iter().map(|line| code(line)).collect();
        let _ = writeln!(text, "- {}: {}", few(lines), escape(what));
    }
}

fn write_regions(text: &mut String, exact: &Exact<'_>, report: &DiffReport<'_>) {
    let _ = writeln!(text, "\n## Packets treated differently\n");
    let counts = Kind::ALL.into_iter().filter_map(|kind| {
        let of_kind = exact.findings.iter().filter(|it| Kind::of(it) == kind);
        Some((kind, of_kind.count())).filter(|(_, count)| *count > 0)
    });
    let counts: Vec<String> =
        counts.map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    let regions = plural(exact.findings.len(), "region");
    let _ = writeln!(text, "{regions}: {}.\n", counts.join(", "));
    let [mut touched, mut others] = exact.by_traffic();
    touched.truncate(MOST_REGIONS);
    others.truncate(MOST_REGIONS - touched.len());
    if !touched.is_empty() {
        write_region_table(text, &touched, exact, report);
    }
    if !others.is_empty() {
        let _ = writeln!(text, "\nNo session of the captures lies in these:\n");
        write_region_table(text, &others, exact, report);
    }
    write_more(text, exact.findings.len(), MOST_REGIONS, "regions");
}

/// Regions with their numbers; what was seen of them where something was.
fn write_region_table(
    text: &mut String,
    regions: &[(usize, &Finding)],
    exact: &Exact<'_>,
    report: &DiffReport<'_>,
) {
    let seen = |number: usize| exact.weight_of(number - 1).filter(|it| it.sessions > 0);
    let traffic = regions.iter().any(|(number, _)| seen(*number).is_some());
    let (name, line) = if traffic { (" traffic |", "---|") } else { ("", "") };
    let _ =
        writeln!(text, "| # | change | packets | headers | old rule | new rule | example |{name}");
    let _ = writeln!(text, "|--:|---|---|--:|---|---|---|{line}");
    for (number, finding) in regions {
        let headers = match Size::of(finding.packets_log2) {
            Size::Exact(count) => count.to_string(),
            Size::About(lead, power) => format!("{lead:.1}e{power}"),
        };
        let mut change = Kind::of(finding).name().to_owned();
        if let Some(ticket) = exact.ticket_of(finding) {
            let _ = write!(change, ", waived: {}", code(ticket));
        }
        if finding.accepted == Some(Acceptance::Narrowing) {
            change += ", accepted as narrowing";
        }
        if !finding.certain {
            change += ", possible";
        }
        let weight = seen(*number);
        let weight = weight.map(|it| format!(" {} |", traffic_text(it).replace('\n', ", ")));
        let _ = writeln!(
            text,
            "| {number} | {change} | {} | {headers} | {} | {} | {} |{}",
            escape(&packets(number - 1, finding, exact).replace('\n', "; ")),
            decision(&finding.old, report.old.firewall),
            decision(&finding.new, report.new.firewall),
            code(&flow(&finding.witness)),
            weight.unwrap_or_default(),
        );
    }
}

/// The verdict of a side, and the rules that may decide.
fn decision(decision: &Decision, firewall: &LinkedFirewall) -> String {
    let names = decision.deciders.iter().map(|it| code(&origin_line(firewall, *it).label()));
    let record = record_text(&decision.outcome).map(|text| format!(" ({})", escape(&text)));
    format!("{} {}{}", verdict(&decision.outcome), few(names.collect()), record.unwrap_or_default())
}

/// The rows of what differs beside first packets.
fn write_apart(
    text: &mut String,
    Following { answer, findings }: Following<'_>,
    exact: &Exact<'_>,
    report: &DiffReport<'_>,
) {
    let _ = writeln!(text, "|---|---|---|---|---|");
    for finding in findings.iter().take(MOST_REGIONS) {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            kind_and_waived(finding, exact),
            escape(&in_words(&parts_of(finding, answer), "; ")),
            decision(&finding.old, report.old.firewall),
            decision(&finding.new, report.new.firewall),
            code(&flow(&finding.witness)),
        );
    }
    write_more(text, findings.len(), MOST_REGIONS, "sets of them");
}

fn kind_and_waived(finding: &Finding, exact: &Exact<'_>) -> String {
    let ticket = exact.ticket_of(finding).map(|ticket| format!(", waived: {}", code(ticket)));
    let possible = if finding.certain { "" } else { ", possible" };
    apart_kind(finding).to_owned() + &ticket.unwrap_or_default() + possible
}

/// How many of a list do not stand in it.
fn write_more(text: &mut String, count: usize, most: usize, what: &str) {
    if let more @ 1.. = count.saturating_sub(most) {
        let _ = writeln!(text, "\nand {more} more {what}");
    }
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
