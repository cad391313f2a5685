//! Connections both firewalls let in, and of which one refuses what follows.

use super::Context;
use super::html::Html;
use super::locale::Noun;
use super::region::{space, write_names};
use super::words::fill;
use crate::region::refused;
use crate::witness::flow;

/// A page with more rows helps nobody; the JSON document has them all.
const MAX_ROWS: usize = 200;

/// Writes the connections; nothing where there are none.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let following = context.report.exact.and_then(|exact| exact.following);
    let Some(following) = following.filter(|it| !it.findings.is_empty()) else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"return\">\n");
    html.element("h2 id=\"return\"", words.return_traffic);
    html.element("p", words.return_explained);
    let columns = [words.refused_part, words.connections, words.old, words.new, words.example];
    html.open_table("return", words.return_traffic, &columns);
    for finding in following.findings.iter().take(MAX_ROWS) {
        let what = match refused(finding) {
            "answers" => words.answers,
            _ => words.later_packets,
        };
        html.raw("<tr>").element("td", what).raw("<td>");
        for (at, fact) in space(context, following.answer, finding).iter().enumerate() {
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
    if let more @ 1.. = following.findings.len().saturating_sub(MAX_ROWS) {
        let count = context.locale.count(more as u64, Noun::Connection);
        html.element("p", &fill(words.differences_more, &[&count]));
    }
    html.raw("</section>\n");
}
