//! The files the answer rests on.

use super::Context;
use super::html::Html;
use super::locale::Noun;
use super::words::fill;

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
            content.push_str("; ");
            content.push_str(&fill(words.ended_early, &[why]));
        }
        let sha256 = capture.sha256.as_deref().unwrap_or_default();
        row(html, [words.capture, &capture.file, words.traffic, &content, sha256]);
    }
    if report.captures.is_empty() {
        row(html, [words.capture, words.no_captures, "", "", ""]);
    }
    html.close_table();
    if !report.pairing().is_empty() {
        html.raw("<details>").element("summary", words.pairing);
        html.element("p", words.pairing_lead);
        html.open_table("pairing", words.pairing, &[words.old, words.new]);
        for (old, new) in report.pairing() {
            html.raw("<tr>").element("td", old).element("td", new).raw("</tr>\n");
        }
        html.close_table().raw("</details>\n");
    }
    html.raw("</section>\n");
}

fn row(html: &mut Html, [role, file, kind, content, sha256]: [&str; 5]) {
    html.raw("<tr>").element("th scope=\"row\"", role).raw("<td>").element("code", file);
    html.raw("</td>").element("td", kind).element("td", content);
    html.raw("<td class=\"hash\">").element("code", sha256).raw("</td></tr>\n");
}
