//! Tables made for reading in a terminal.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use parefeu_engine::SessionSummary;
use parefeu_equivalence::{Acceptance, Answer, Change, Finding, Verdict, Waiver, Weight};
use parefeu_policy::LinkedFirewall;
use parefeu_replay::{Comparison, DifferenceClass, DifferenceReport, Group, GroupSide};

use crate::asked::asked;
use crate::behaviour::write_settings;
use crate::explained::{by_name, edit_text, explanation_text};
use crate::gap::{Gap, gaps, untold};
use crate::intent::write_intents;
use crate::json::rules_hit;
use crate::packets::{few, in_words, parts, parts_of};
use crate::region::{Kind, apart_kind, decision_text, place};
use crate::rule::rule_line;
use crate::timer::write_timers;
use crate::waiver::complaint;
use crate::{DiffReport, Exact, Following, Remark, Waivers};

/// The result of `diff`, at most `width` columns wide.
pub fn diff_table(report: &DiffReport<'_>, width: u16) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "old  {}  ({})", report.old.file, report.old.dialect);
    let _ = writeln!(text, "new  {}  ({})", report.new.file, report.new.dialect);
    for capture in report.captures {
        let early = capture.ended_early.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
        let _ = writeln!(text, "with {}  ({} frames{early})", capture.file, capture.frames);
    }
    let pairs: Vec<String> =
        report.pairing().iter().map(|(old, new)| format!("{old} = {new}")).collect();
    if !pairs.is_empty() {
        let _ = writeln!(text, "paired {}", pairs.join(", "));
    }
    if let Some(exact) = &report.exact {
        if let limits @ [_, ..] = &asked(exact.asked)[..] {
            let _ = writeln!(text, "only {}", in_words(limits, ", "));
        }
        write_exact(&mut text, exact, report, width);
    }
    if let Some(comparison) = report.comparison {
        write_traffic(&mut text, comparison, report, width);
        write_timers(&mut text, report);
    }
    write_settings(&mut text, report);
    if report.clock_held > 0 {
        let _ =
            writeln!(text, "{} frames out of time order; the clock was held", report.clock_held);
    }
    write_remarks(&mut text, "not modelled", report.not_modelled);
    write_remarks(&mut text, "suspicious", report.suspicious);
    let _ = writeln!(text, "{}", conclusion(report));
    plain(text)
}

fn write_remarks(text: &mut String, title: &str, remarks: &[Remark]) {
    if remarks.is_empty() {
        return;
    }
    let _ = writeln!(text, "{title}:");
    for it in remarks.iter().take(20) {
        let line = if it.line > 0 { format!(":{}", it.line) } else { String::new() };
        let _ = writeln!(text, "  {}{line}: {}", it.file, it.text);
    }
    if let more @ 1.. = remarks.len().saturating_sub(20) {
        let _ = writeln!(text, "  and {more} more");
    }
}

/// What a replay found: sessions by class, then groups of those not treated alike.
fn write_traffic(text: &mut String, comparison: &Comparison, report: &DiffReport<'_>, width: u16) {
    let differences = &comparison.differences;
    let _ = writeln!(text, "\n{}", tally(differences));
    if differences.answered > 0 {
        let _ = writeln!(
            text,
            "of {} with an answer in the capture, the old firewall's model lets {} pass",
            differences.answered, differences.answered_and_allowed
        );
    }
    if let Some((first, last)) = differences.span {
        let hit = |firewall, hits| {
            let (rules, hit) = rules_hit(firewall, hits);
            format!("{hit} of {rules}")
        };
        let old = hit(report.old.firewall, &comparison.old_hits);
        let new = hit(report.new.firewall, &comparison.new_hits);
        let _ = writeln!(text, "rules hit from {first} to {last}: old {old}, new {new}");
    }
    let _ = writeln!(text);
    let mut classes = bare_table(&["change", "sessions", "bytes"], width);
    for (class, totals) in &differences.totals {
        classes.add_row([class.name().to_owned(), totals.flows.to_string(), bytes(totals.bytes)]);
    }
    right(&mut classes, &[1, 2]);
    let _ = writeln!(text, "{classes}\n");
    if !differences.groups.is_empty() {
        let _ = writeln!(text, "{}\n", group_table(&differences.groups, report, width));
    }
    for (reason, frames) in &differences.malformed {
        let _ = writeln!(text, "{frames} frames undecodable: {reason}");
    }
}

/// The exact comparison: regions, then what has no answer, then what the answer rests on.
fn write_exact(text: &mut String, exact: &Exact<'_>, report: &DiffReport<'_>, width: u16) {
    let [mut touched, mut others] = exact.by_traffic();
    touched.truncate(MOST_REGIONS);
    others.truncate(MOST_REGIONS - touched.len());
    if !touched.is_empty() {
        let _ = writeln!(text, "\n{}", region_table(&touched, exact, report, width));
    }
    if !others.is_empty() {
        let _ = writeln!(text, "\nalso different, though the captures hold none of it:");
        let _ = writeln!(text, "{}", region_table(&others, exact, report, width));
    }
    if !exact.findings.is_empty() {
        text.push('\n');
    }
    if let more @ 1.. = exact.findings.len().saturating_sub(MOST_REGIONS) {
        let _ = writeln!(text, "and {more} more regions (--format json has them all)\n");
    }
    for (found, lead, what) in [
        (
            exact.following,
            "return traffic: both let these connections in, one refuses",
            ["refused", "connections"],
        ),
        (
            exact.by_state,
            "packets by their state: connections open alike, and of others one refuses",
            ["state", "packets"],
        ),
    ] {
        if let Some(Following { answer, findings: findings @ [_, ..] }) = found {
            let table = apart_table(findings, what, (exact, answer), report, width);
            let _ = writeln!(text, "{lead}\n{table}\n");
        }
    }
    if let Some(explained) = exact.explained {
        let _ = writeln!(text, "{}", explanation_text(explained, report));
    }
    write_gaps(text, &gaps(exact, report));
    for (at, it) in exact.conclusion.assumptions.iter().enumerate() {
        if at == 0 {
            let _ = writeln!(text, "assumed:");
        }
        let accepted = if exact.accepted.contains(&it.id) { " (accepted)" } else { "" };
        let place = place(it.side, it.at, report).map(|place| format!("{place}: "));
        let _ = writeln!(text, "  {}{accepted}  {}{}", it.id, place.unwrap_or_default(), it.text);
    }
    for (what, lines) in untold(exact, report) {
        let _ = writeln!(text, "told by neither side: {what} ({})", lines.join(", "));
    }
    if let Some(waivers) = &exact.waivers {
        write_waivers(text, waivers);
    }
    if let Some(intents) = &exact.intents {
        write_intents(text, intents, report);
    }
}

/// What is wrong with waivers, by file and line.
pub(crate) fn write_waivers(text: &mut String, waivers: &Waivers<'_>) {
    let mut begun = false;
    for (waiver, reviewed) in waivers.waivers.iter().zip(waivers.reviewed) {
        let Some(problem) = reviewed.problem else { continue };
        if !std::mem::replace(&mut begun, true) {
            let _ = writeln!(text, "waivers:");
        }
        let (name, why) = (problem.name(), complaint(waiver, problem));
        let Waiver { ticket, owner, line, .. } = waiver;
        let _ = writeln!(text, "  {}:{line}: {name}: {ticket} ({owner}): {why}", waivers.file);
    }
}

/// What has no answer, a line each.
pub(crate) fn write_gaps(text: &mut String, gaps: &[Gap]) {
    for (at, gap) in gaps.iter().enumerate() {
        if at == 0 {
            let _ = writeln!(text, "undecided:");
        }
        let lines = match &gap.lines[..] {
            [] => String::new(),
            lines => format!("{}: ", few(lines.to_vec())),
        };
        let from = match &gap.from[..] {
            [] => String::new(),
            from => format!(" (from {})", from.join(", ")),
        };
        let _ = writeln!(text, "  {lines}{}{from}", gap.why);
    }
}

/// More regions than this are counted.
const MOST_REGIONS: usize = 100;

/// Regions with their numbers; what was seen of them where something was.
fn region_table(
    regions: &[(usize, &Finding)],
    exact: &Exact<'_>,
    report: &DiffReport<'_>,
    width: u16,
) -> Table {
    let seen = |number: usize| exact.weight_of(number - 1).filter(|it| it.sessions > 0);
    let mut header = vec!["change", "packets", "old rule", "new rule"];
    header.extend(regions.iter().any(|(number, _)| seen(*number).is_some()).then_some("traffic"));
    let mut table = plain_table(&header, width);
    for (number, finding) in regions {
        let mut change = Kind::of(finding).name().to_owned();
        if let Some(ticket) = exact.ticket_of(finding) {
            let _ = write!(change, "\nwaived: {ticket}");
        }
        if finding.accepted == Some(Acceptance::Narrowing) {
            change += "\nnarrowing";
        }
        if !finding.certain {
            change += "\npossible";
        }
        let mut row = vec![
            change,
            packets(number - 1, finding, exact),
            decision_text(&finding.old, report.old.firewall),
            decision_text(&finding.new, report.new.firewall),
        ];
        row.extend(seen(*number).map(traffic));
        table.add_row(row);
    }
    table
}

fn apart_table(
    findings: &[Finding],
    [kind, what]: [&str; 2],
    (exact, answer): (&Exact<'_>, &Answer),
    report: &DiffReport<'_>,
    width: u16,
) -> Table {
    let mut table = plain_table(&[kind, what, "old rule", "new rule"], width);
    for finding in findings.iter().take(MOST_REGIONS) {
        let ticket = exact.ticket_of(finding).map(|ticket| format!("\nwaived: {ticket}"));
        let possible = if finding.certain { "" } else { "\npossible" };
        table.add_row([
            apart_kind(finding).to_owned() + &ticket.unwrap_or_default() + possible,
            in_words(&parts_of(finding, answer), "\n"),
            decision_text(&finding.old, report.old.firewall),
            decision_text(&finding.new, report.new.firewall),
        ]);
    }
    if let more @ 1.. = findings.len().saturating_sub(MOST_REGIONS) {
        table.add_row([format!("and {more} more"), String::new(), String::new(), String::new()]);
    }
    table
}

/// The packets of a region, a property a line, long lists of addresses by the names of objects;
/// then the edited objects that account for it.
pub(crate) fn packets(at: usize, finding: &Finding, exact: &Exact<'_>) -> String {
    let mut parts = parts(finding, exact);
    let Some(detail) = exact.details.get(at) else { return in_words(&parts, "\n") };
    by_name(&mut parts, detail);
    let edits = detail.because.iter().map(edit_text);
    std::iter::once(in_words(&parts, "\n")).chain(edits).collect::<Vec<_>>().join("\n")
}

/// What was seen of a region.
pub(crate) fn traffic(weight: &Weight) -> String {
    let Some((_, last)) = weight.seen else { return String::new() };
    let sessions = plural(weight.sessions as usize, "session");
    let sources = plural(weight.sources, "source");
    // To the second.
    let last: String = last.to_string().chars().take(19).collect();
    format!("{sessions}, {}\nof {sources}\nlast seen {last}", bytes(weight.bytes))
}

/// The answer in one line.
pub(crate) fn conclusion(report: &DiffReport<'_>) -> String {
    let unjudged = report
        .comparison
        .map_or(0, |comparison| comparison.differences.count(DifferenceClass::is_unjudged));
    let findings = report.exact.map_or(&[][..], |exact| exact.findings);
    let regions = findings.len();
    let accepted = findings.iter().filter(|it| it.accepted.is_some()).count();
    let logging = findings.iter().filter(|it| it.change == Change::Logging).count();
    let later = match report.exact.and_then(|exact| exact.following) {
        Some(Following { findings: [], .. }) | None => "",
        Some(_) => "; return traffic differs",
    };
    let others = report.exact.and_then(|exact| exact.by_state);
    let others = match others {
        Some(Following { findings: [_, ..], .. }) => "; packets by their state differ",
        _ => "",
    };
    let later = &format!("{later}{others}");
    let is_part = report.exact.is_some_and(|exact| !asked(exact.asked).is_empty());
    let is_untold = report.exact.is_some_and(|exact| !exact.conclusion.untold.is_empty());
    let as_told = if is_untold { ", as far as the texts tell" } else { "" };
    let possible = findings.iter().filter(|it| !it.certain).count();
    let later = match possible {
        0 => later.to_owned(),
        _ => format!(", {possible} of them possible: a condition that is not known decides{later}"),
    };
    match report.verdict {
        Verdict::Different if accepted > 0 => {
            let regions = plural(regions, "region");
            format!("different: {regions}, {accepted} of them waived or accepted{later}")
        }
        Verdict::Different if regions > 0 && logging == regions => {
            format!(
                "different: {}, in logging or inspection alone{later}",
                plural(regions, "region")
            )
        }
        Verdict::Different if regions > 0 => {
            format!("different: {}{later}", plural(regions, "region"))
        }
        Verdict::Different if !later.is_empty() => format!("different{later}"),
        Verdict::Different => "different: in this traffic, not in what rules decide".to_owned(),
        Verdict::Undecided if unjudged > 0 => {
            format!("undecided: {unjudged} sessions could not be judged")
        }
        Verdict::Undecided => "undecided: part of the question has no answer".to_owned(),
        Verdict::Equivalent if is_part => {
            format!("equivalent: every new connection asked about is treated alike{as_told}")
        }
        Verdict::Equivalent => {
            format!("equivalent: every new connection is treated alike{as_told}")
        }
        Verdict::EquivalentUnderAssumptions => "equivalent under the assumptions listed".to_owned(),
    }
}

/// `1 region`, `2 regions`.
pub(crate) fn plural(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// How many sessions are treated alike, differently, or cannot be judged.
pub(crate) fn tally(differences: &DifferenceReport) -> String {
    let (alike, different) =
        (differences.count(DifferenceClass::is_alike), differences.different());
    let mut tally =
        format!("{} sessions: {alike} treated alike, {different} differently", differences.flows());
    if let unjudged @ 1.. = differences.count(DifferenceClass::is_unjudged) {
        let _ = write!(tally, ", {unjudged} undecided");
    }
    tally
}

fn group_table(groups: &[Group], report: &DiffReport<'_>, width: u16) -> Table {
    let mut table =
        plain_table(&["change", "old rule", "new rule", "sessions", "bytes", "example"], width);
    for group in groups.iter().filter(|group| group.class != DifferenceClass::Same) {
        let mut example = group.witness.to_string();
        if group.class == DifferenceClass::Translation {
            for (side, name) in [(&group.old, "old"), (&group.new, "new")] {
                let leaves =
                    side.translated.map_or("as it came".to_owned(), |flow| flow.to_string());
                let _ = write!(example, "\n{name}: {leaves}");
            }
        }
        if let Some(packet) = group.packet_of_refusal.filter(|packet| *packet > 1) {
            let refusing = [&group.new, &group.old].into_iter().find(|side| side.refused);
            let passed = refusing.map_or(0, |side| side.bytes_before_refusal);
            let _ = write!(example, "\npacket {packet}, after {}", bytes(passed));
        }
        if group.class == DifferenceClass::EndReason {
            let (old, new) = (group.old.sessions, group.new.sessions);
            let _ = write!(example, "\nold: {old} sessions, new: {new}");
        }
        table.add_row([
            group.class.name().to_owned(),
            side_cell(&group.old, report.old.firewall),
            side_cell(&group.new, report.new.firewall),
            group.flows.to_string(),
            bytes(group.bytes),
            example,
        ]);
    }
    right(&mut table, &[3, 4]);
    table
}

fn side_cell(side: &GroupSide, firewall: &LinkedFirewall) -> String {
    let rule = rule_line(firewall, side.hit);
    let mut cell = format!("{} {}", side.verdict, rule.label());
    if side.hit.is_none() {
        cell = format!("{} ({})", side.verdict, side.reason);
    } else if !matches!(side.reason.name(), "rule" | "session" | "default" | "tentative") {
        let _ = write!(cell, " [{}]", side.reason);
    }
    if let Some(application) = side.application {
        let _ = write!(cell, "\n{}", application.name());
    }
    cell
}

/// The sessions of `replay`, at most `width` columns wide.
pub fn session_table(sessions: &[SessionSummary], firewall: &LinkedFirewall, width: u16) -> String {
    let header =
        ["id", "flow", "application", "host", "verdict", "rule", "packets", "bytes", "end"];
    let mut table = plain_table(&header, width);
    for session in sessions {
        let rule = rule_line(firewall, session.hit);
        let [c2s, s2c] = session.packets;
        table.add_row([
            session.id.to_string(),
            session.flow.to_string(),
            session.application.map_or("-", parefeu_identify::Application::name).to_owned(),
            session.hostname.as_deref().unwrap_or("-").to_owned(),
            session.verdict.to_string(),
            rule.label(),
            format!("{c2s}/{s2c}"),
            bytes(session.bytes.iter().sum()),
            session.end_reason.to_string(),
        ]);
    }
    right(&mut table, &[0, 6, 7]);
    plain(format!("{table}\n"))
}

/// A text as a terminal shows it and does not obey it: what names hold of escapes and the like
/// becomes blanks.
pub fn plain(text: String) -> String {
    let obeyed = |it: char| it.is_control() && it != '\n';
    if text.contains(obeyed) { text.replace(obeyed, " ") } else { text }
}

pub(crate) fn plain_table(header: &[&str], width: u16) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header.iter().copied());
    table
}

/// A table without any lines, for many rows of prose.
pub(crate) fn bare_table(header: &[&str], width: u16) -> Table {
    let mut table = plain_table(header, width);
    table.load_style(presets::NOTHING);
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for index in columns {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Bytes in the unit that keeps three digits: `15 B`, `1.5 kB`, `2.0 MB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
