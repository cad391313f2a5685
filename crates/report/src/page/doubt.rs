//! What the comparison could not judge: frames, time order, configuration lines.

use super::Context;
use super::html::{Html, cut};
use super::vocabulary::malformed;
use super::words::fill;
use crate::Remark;

/// A table lists so many lines of the configurations; the JSON document has them all.
const MAX_LINES: usize = 500;
/// Longer texts are cut.
const MAX_TEXT: usize = 400;

/// Writes what a reader has to look at by hand.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let words = context.words;
    html.raw("<section aria-labelledby=\"doubts\">\n").element("h2 id=\"doubts\"", words.doubts);
    if let Some(comparison) = context.report.comparison {
        html.element("h3", words.undecodable);
        let malformed_frames = &comparison.differences.malformed;
        if malformed_frames.is_empty() {
            html.element("p", words.undecodable_none);
        } else {
            let frames = format!("#{}", words.frames);
            html.open_table("undecodable", words.undecodable, &[words.reason, &frames]);
            for (reason, frames) in malformed_frames {
                html.raw("<tr>");
                html.element("th scope=\"row\"", malformed(context.language, *reason));
                html.element("td class=\"num\"", &context.locale.integer(*frames));
                html.raw("</tr>\n");
            }
            html.close_table();
        }
        html.element("h3", words.clock);
        let held = context.report.clock_held;
        let text = match held {
            0 => words.clock_kept.to_owned(),
            held => fill(words.clock_held, &[&context.locale.integer(held)]),
        };
        html.element("p", &text);
    }
    let report = context.report;
    html.element("h3", words.not_modelled);
    if report.not_modelled.is_empty() {
        html.element("p", words.not_modelled_none);
    }
    let captions = ["unmodelled", words.not_modelled, words.problem];
    remarks(html, context, captions, report.not_modelled);
    if !report.suspicious.is_empty() {
        html.element("h3", words.suspicious);
        let captions = ["suspicious", words.suspicious, words.suspicion];
        remarks(html, context, captions, report.suspicious);
    }
    html.raw("</section>\n");
}

/// A table of lines, with its name, its caption and the title of what is said.
fn remarks(
    html: &mut Html,
    context: &Context<'_>,
    [name, caption, said]: [&str; 3],
    lines: &[Remark],
) {
    if lines.is_empty() {
        return;
    }
    let words = context.words;
    let line = format!("#{}", words.line_label);
    html.open_table(name, caption, &[words.file, &line, said]);
    for it in lines.iter().take(MAX_LINES) {
        html.raw("<tr><td>").element("code", &it.file).raw("</td>");
        let line = if it.line > 0 { it.line.to_string() } else { String::new() };
        html.element("td class=\"num\"", &line);
        // What importers say of a line has no translation.
        html.element("td lang=\"en\"", &cut(&it.text, MAX_TEXT)).raw("</tr>\n");
    }
    html.close_table();
    if let more @ 1.. = lines.len().saturating_sub(MAX_LINES) {
        html.element("p", &fill(words.differences_more, &[&context.locale.integer(more as u64)]));
    }
}
