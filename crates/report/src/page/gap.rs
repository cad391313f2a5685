//! What the exact comparison leaves open, and what its answer rests on.

use parefeu_equivalence::Family;

use super::Context;
use super::html::{Html, cut};
use super::vocabulary::gap;
use super::words::fill;
use crate::Exact;
use crate::gap::{gaps, untold};
use crate::region::place;

/// A page lists so many open questions, and so many assumptions; the JSON document has them all.
const MAX_ROWS: usize = 500;
/// So many lines and places are listed for one question.
const MAX_VALUES: usize = 12;
/// Longer texts are cut.
const MAX_TEXT: usize = 400;

/// Writes what has no answer, with its lines, and the assumptions; nothing without an exact
/// comparison.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(exact) = &context.report.exact else { return };
    write_open(html, context, exact);
    write_basis(html, context, exact);
}

fn write_open(html: &mut Html, context: &Context<'_>, exact: &Exact<'_>) {
    let words = context.words;
    html.raw("<section aria-labelledby=\"open\">\n").element("h2 id=\"open\"", words.open);
    let gaps = gaps(exact, context.report);
    if gaps.is_empty() {
        html.element("p", words.open_none).raw("</section>\n");
        return;
    }
    html.element("p", words.open_lead);
    let columns = [words.line_label, words.why, words.enters_by, words.family];
    html.open_table("open", words.open_caption, &columns);
    for gap in gaps.iter().take(MAX_ROWS) {
        html.raw("<tr><td>");
        write_list(html, context, &gap.lines);
        html.raw("</td>").element("td", &self::gap(context.language, &gap.why)).raw("<td>");
        write_list(html, context, &gap.from);
        let families = gap.families.iter().map(|family| match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        });
        let families = families.collect::<Vec<_>>().join(", ");
        html.raw("</td>").element("td class=\"num\"", &families).raw("</tr>\n");
    }
    html.close_table();
    write_more(html, context, gaps.len());
    html.raw("</section>\n");
}

fn write_basis(html: &mut Html, context: &Context<'_>, exact: &Exact<'_>) {
    let words = context.words;
    html.raw("<section aria-labelledby=\"basis\">\n").element("h2 id=\"basis\"", words.basis);
    let assumptions = &exact.conclusion.assumptions;
    if exact.conclusion.identical {
        html.element("p", words.basis_identical).raw("</section>\n");
        return;
    }
    let untold = untold(exact, context.report);
    if !untold.is_empty() {
        html.element("p", words.untold_lead).raw("<ul>\n");
        for (text, lines) in untold.iter().take(MAX_ROWS) {
            html.raw("<li>").element("code", &lines.join(", "));
            html.raw(" <span lang=\"en\">").text(&cut(text, MAX_TEXT)).raw("</span></li>\n");
        }
        html.raw("</ul>\n");
    }
    if assumptions.is_empty() {
        let none = if untold.is_empty() { words.basis_none } else { words.basis_as_told };
        html.element("p", none).raw("</section>\n");
        return;
    }
    html.element("p", words.basis_lead);
    let columns = [words.assumption, words.accepted, words.line_label, words.assumed];
    html.open_table("basis", words.basis_caption, &columns);
    for it in assumptions.iter().take(MAX_ROWS) {
        let is_accepted = exact.accepted.contains(&it.id);
        let (class, accepted) =
            if is_accepted { ("passes", words.yes) } else { ("refuses", words.no) };
        html.raw("<tr><th scope=\"row\">").element("code", &it.id).raw("</th><td>");
        html.raw("<span class=\"badge ").raw(class).raw("\">").text(accepted).raw("</span></td>");
        let place = place(it.side, it.at, context.report);
        html.raw("<td>").element("code", place.as_deref().unwrap_or_default()).raw("</td>");
        html.element("td lang=\"en\"", &cut(&it.text, MAX_TEXT)).raw("</tr>\n");
    }
    html.close_table();
    write_more(html, context, assumptions.len());
    html.raw("</section>\n");
}

/// Names or places, one a line; of many the first, and how many more there are.
fn write_list(html: &mut Html, context: &Context<'_>, values: &[String]) {
    for (at, value) in values.iter().take(MAX_VALUES).enumerate() {
        html.raw(if at == 0 { "" } else { "<br/>" }).element("code", &cut(value, MAX_TEXT));
    }
    if let more @ 1.. = values.len().saturating_sub(MAX_VALUES) {
        let more = context.locale.integer(more as u64);
        html.raw("<br/>").text(&fill(context.words.rules_more, &[&more]));
    }
}

fn write_more(html: &mut Html, context: &Context<'_>, count: usize) {
    if let more @ 1.. = count.saturating_sub(MAX_ROWS) {
        let more = context.locale.integer(more as u64);
        html.element("p", &fill(context.words.differences_more, &[&more]));
    }
}
