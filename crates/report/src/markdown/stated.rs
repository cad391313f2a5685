//! Waivers, intents and rules explained by rules, as tables.

use std::fmt::Write;

use parefeu_equivalence::{Acceptance, Explanation, Mapping, Waiver};
use parefeu_policy::{LinkedFirewall, RuleId};

use super::{MOST_LINES, MOST_NAMES, code, escape, write_more};
use crate::explained::{called, percent};
use crate::intent::outcome;
use crate::waiver::complaint;
use crate::{DiffReport, Exact, Intents, Waivers};

/// Writes those there are.
pub(super) fn write(text: &mut String, exact: &Exact<'_>, report: &DiffReport<'_>) {
    if let Some(waivers) = &exact.waivers {
        write_waivers(text, exact, waivers);
    }
    if let Some(intents) = &exact.intents {
        write_intents(text, intents, report);
    }
    if let Some(explained) = exact.explained {
        write_mapping(text, explained, report);
        write_idle(text, explained, report);
    }
}

fn write_waivers(text: &mut String, exact: &Exact<'_>, waivers: &Waivers<'_>) {
    let _ = writeln!(text, "\n## Waivers\n");
    let _ = writeln!(text, "| ticket | owner | last day | reason | state | regions | line |");
    let _ = writeln!(text, "|---|---|---|---|---|--:|---|");
    let all = waivers.waivers.iter().zip(waivers.reviewed).enumerate();
    for (at, (waiver, reviewed)) in all.take(MOST_LINES) {
        let Waiver { ticket, owner, reason, expires, line, .. } = waiver;
        let state = match reviewed.problem {
            None => "in use".to_owned(),
            Some(problem) => format!("{}: {}", problem.name(), complaint(waiver, problem)),
        };
        let held = exact.findings.iter().chain(exact.apart());
        let held = held.filter(|it| it.accepted == Some(Acceptance::Waiver(at)));
        let _ = writeln!(
            text,
            "| {} | {} | {expires} | {} | {} | {} | {} |",
            code(ticket),
            escape(owner),
            escape(reason),
            escape(&state),
            held.count(),
            code(&format!("{}:{line}", waivers.file)),
        );
    }
    write_more(text, waivers.waivers.len(), MOST_LINES, "waivers");
}

fn write_intents(text: &mut String, intents: &Intents<'_>, report: &DiffReport<'_>) {
    let _ = writeln!(text, "\n## Intents\n");
    let _ = writeln!(text, "| intent | expected | old | new | line |\n|---|---|---|---|---|");
    for (intent, proved) in intents.intents.iter().zip(intents.proved).take(MOST_LINES) {
        let [old, new] = [0, 1].map(|side| escape(&outcome(intents, (proved, side), report)));
        let place = code(&format!("{}:{}", intents.file, intent.line));
        let (name, expected) = (escape(&intent.name), intent.expect.name());
        let _ = writeln!(text, "| {name} | {expected} | {old} | {new} | {place} |");
    }
    write_more(text, intents.intents.len(), MOST_LINES, "intents");
}

/// Old rules whose traffic several new ones decide.
fn write_mapping(text: &mut String, explained: &Explanation, report: &DiffReport<'_>) {
    let split: Vec<&Mapping> = explained.mapping.iter().filter(|it| it.new.len() > 1).collect();
    if split.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## Old rules carried by several new ones\n");
    let _ = writeln!(text, "| old rule | new rules, with their shares |\n|---|---|");
    for Mapping { old, new, whole } in split.iter().take(MOST_LINES) {
        let bound = if *whole { "" } else { "at least " };
        let shares = new.iter().map(|carrier| {
            let name = code(&called(carrier.rule, report.new.firewall));
            format!("{name} {bound}{}", percent(carrier.share))
        });
        let old = code(&called(*old, report.old.firewall));
        let _ = writeln!(text, "| {old} | {} |", first_of(shares.collect()));
    }
    write_more(text, split.len(), MOST_LINES, "rules");
}

fn write_idle(text: &mut String, explained: &Explanation, report: &DiffReport<'_>) {
    let Explanation { idle, open, .. } = explained;
    if [idle, open].into_iter().flatten().all(Vec::is_empty) {
        return;
    }
    let _ = writeln!(text, "\n## Rules that decide nothing\n");
    let _ = writeln!(text, "| | decide nothing | may decide nothing |\n|---|---|---|");
    for (at, (side, info)) in [("old", &report.old), ("new", &report.new)].into_iter().enumerate() {
        let [idle, open] = [idle, open].map(|rules| rule_names(&rules[at], info.firewall));
        let _ = writeln!(text, "| {side} | {idle} | {open} |");
    }
}

fn rule_names(rules: &[RuleId], firewall: &LinkedFirewall) -> String {
    first_of(rules.iter().map(|id| code(&called(Some(*id), firewall))).collect())
}

/// The first of many, and how many more there are.
fn first_of(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    names.truncate(MOST_NAMES);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
