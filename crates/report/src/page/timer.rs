//! Timers on which the two firewalls do not agree.

use super::Context;
use super::html::Html;
use super::locale::Noun;
use super::words::fill;
use crate::timer::seconds;

/// Writes the table; nothing where all timers agree.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let (words, locale, report) = (context.words, context.locale, context.report);
    if report.timers.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"timers\">\n");
    html.element("h2 id=\"timers\"", words.timers);
    html.element("p", words.timers_lead);
    let mut columns = vec![words.timer, words.old, words.new];
    if report.comparison.is_some() {
        columns.extend([words.timer_cut, words.timer_kept, words.timer_longest]);
    }
    html.open_table("timers-table", words.timers, &columns);
    for it in report.timers {
        html.raw("<tr><th scope=\"row\">").element("code", it.timer).raw("</th>");
        html.element("td class=\"num\"", &seconds(it.old));
        html.element("td class=\"num\"", &seconds(it.new));
        if report.comparison.is_some() {
            for count in [it.cut, it.kept] {
                let of = locale.count(it.sessions, Noun::Session);
                let text = fill(words.timer_count, &[&locale.integer(count), &of]);
                html.element("td class=\"num\"", &text);
            }
            html.raw("<td>");
            if let Some(pause) = it.longest {
                html.text(&seconds(pause.length)).raw(" ");
                html.element("code", &pause.flow.to_string());
            }
            if it.cut > 0 && it.picked_up {
                html.raw("<br/>").text(words.timer_picked_up);
            }
            html.raw("</td>");
        }
        html.raw("</tr>\n");
    }
    html.close_table();
    html.raw("</section>\n");
}
