//! The files the answer rests on.

use parefeu_equivalence::{Gate, PairedBy, Pairing};

use super::html::{Html, cut};
use super::locale::Noun;
use super::vocabulary::paired_by;
use super::words::fill;
use super::{Context, MAX_NAME};

/// A page lists so many pairs; the JSON document has them all.
const MAX_PAIRS: usize = 500;

/// Writes the table of files with their fingerprints, and the pairing of interfaces.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let (words, locale, report) = (context.words, context.locale, context.report);
    html.raw("<section aria-labelledby=\"inputs\">\n").element("h2 id=\"inputs\"", words.inputs);
    let columns = [words.role, words.file, words.kind, words.content, "SHA-256"];
    html.open_table("inputs", words.inputs_caption, &columns);
    for (role, info) in context.sides() {
        let written = info.firewall.rules.iter().filter(|rule| !rule.implied).count() as u64;
        let rules = locale.count(written, Noun::Rule);
        row(html, [role, info.file, info.dialect, &rules, info.sha256]);
    }
    for capture in report.captures {
        let mut content = locale.count(capture.frames, Noun::Frame);
        if let Some(why) = &capture.ended_early {
            content.push_str(words.semicolon);
            content.push_str(&fill(words.ended_early, &[why]));
        }
        let sha256 = capture.sha256.as_deref().unwrap_or_default();
        row(html, [words.capture, &capture.file, words.traffic, &content, sha256]);
    }
    if report.captures.is_empty() {
        row(html, [words.capture, words.no_captures, "", "", ""]);
    }
    html.close_table();
    if let Some(exact) = &report.exact {
        write_pairing(html, context, &exact.asked.pairing);
    }
    html.raw("</section>\n");
}

/// Which zones and interfaces stand for each other, and why.
fn write_pairing(html: &mut Html, context: &Context<'_>, pairing: &Pairing) {
    let (words, Pairing { old, new, pairs }) = (context.words, pairing);
    html.element("h3", words.pairing).element("p", words.pairing_lead);
    let columns = [words.old, words.new, words.paired_because];
    html.open_table("pairing", words.pairing, &columns);
    for pair in pairs.iter().take(MAX_PAIRS) {
        let unnamed = match pair.by {
            PairedBy::Everywhere => words.every_place,
            _ => words.unnamed_places,
        };
        html.raw("<tr>");
        for gate in [&old.gates[pair.old], &new.gates[pair.new]] {
            match gate.name.as_ref().filter(|name| ***name != *Gate::OTHERS) {
                Some(name) => html.raw("<td>").element("code", &cut(name, MAX_NAME)).raw("</td>"),
                None => html.element("td", unnamed),
            };
        }
        html.element("td", paired_by(context.language, pair.by)).raw("</tr>\n");
    }
    html.close_table();
    if let more @ 1.. = pairs.len().saturating_sub(MAX_PAIRS) {
        let more = context.locale.integer(more as u64);
        html.element("p", &fill(words.differences_more, &[&more]));
    }
}

fn row(html: &mut Html, [role, file, kind, content, sha256]: [&str; 5]) {
    html.raw("<tr>").element("th scope=\"row\"", role).raw("<td>").element("code", file);
    html.raw("</td>").element("td", kind).element("td", content);
    html.raw("<td class=\"hash\">").element("code", sha256).raw("</td></tr>\n");
}
