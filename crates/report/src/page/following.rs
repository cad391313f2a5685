//! What differs beside first packets: connections both firewalls let in and of which one refuses
//! what follows, and packets by their state.

use parefeu_equivalence::{Finding, PacketState};

use super::Context;
use super::html::Html;
use super::locale::Noun;
use super::region::{space, write_names};
use super::words::fill;
use crate::Following;
use crate::region::refused;
use crate::witness::flow;

/// A page with more rows helps nobody; the JSON document has them all.
const MAX_ROWS: usize = 200;

/// Writes them; nothing where there are none.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(exact) = context.report.exact else { return };
    let words = context.words;
    for (found, id, title, explained, [kind, what], noun) in [
        (
            exact.following,
            "return",
            words.return_traffic,
            words.return_explained,
            [words.refused_part, words.connections],
            Noun::Connection,
        ),
        (
            exact.by_state,
            "states",
            words.by_state,
            words.by_state_explained,
            [words.state, words.packets_set],
            Noun::Region,
        ),
    ] {
        let Some(found) = found.filter(|it| !it.findings.is_empty()) else { continue };
        html.raw(&format!("<section aria-labelledby=\"{id}\">\n"));
        html.element(&format!("h2 id=\"{id}\""), title);
        html.element("p", explained);
        html.open_table(id, title, &[kind, what, words.old, words.new, words.example]);
        write_rows(html, context, found, noun);
    }
}

/// What is refused, or the state of packets.
fn kind(finding: &Finding, context: &Context<'_>) -> &'static str {
    let words = context.words;
    match PacketState::of(finding) {
        Some(PacketState::Related) => words.related,
        Some(PacketState::Invalid) => words.invalid,
        Some(PacketState::Untracked) => words.untracked,
        Some(PacketState::FlaggedSyn) => words.flagged_syn,
        Some(PacketState::MidStream) => words.mid_stream,
        None if refused(finding) == "answers" => words.answers,
        None => words.later_packets,
    }
}

/// Writes the rows of a table, and ends it with its section.
fn write_rows(html: &mut Html, context: &Context<'_>, found: Following<'_>, noun: Noun) {
    let words = context.words;
    for finding in found.findings.iter().take(MAX_ROWS) {
        html.raw("<tr><td>").text(kind(finding, context));
        let ticket = context.report.exact.and_then(|exact| exact.ticket_of(finding));
        if let Some(ticket) = ticket {
            html.raw("<br/>").text(words.waived).raw(" ").element("code", ticket);
        }
        if !finding.certain {
            html.raw("<br/>").text(words.possible_only);
        }
        html.raw("</td><td>");
        for (at, fact) in space(context, found.answer, finding).iter().enumerate() {
            html.raw(if at == 0 { "" } else { "<br/>" }).text(fact.label).raw(" ");
            if fact.is_code {
                html.element("code", &fact.text)
            } else {
                html.text(&fact.text)
            };
        }
        html.raw("</td>");
        let sides = [
            (&finding.old, context.report.old.firewall),
            (&finding.new, context.report.new.firewall),
        ];
        for (decision, firewall) in sides {
            html.raw("<td>");
            write_names(html, context, decision, firewall);
            html.raw("</td>");
        }
        html.raw("<td>").element("code", &flow(&finding.witness)).raw("</td></tr>\n");
    }
    html.close_table();
    if let more @ 1.. = found.findings.len().saturating_sub(MAX_ROWS) {
        let count = context.locale.count(more as u64, noun);
        html.element("p", &fill(words.differences_more, &[&count]));
    }
    html.raw("</section>\n");
}
