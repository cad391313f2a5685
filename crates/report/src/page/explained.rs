//! Old rules by the new ones that carry their traffic, and rules that decide nothing.

use parefeu_equivalence::{Mapping, Origin};
use parefeu_policy::{LinkedFirewall, RuleId};

use super::Context;
use super::html::Html;
use super::words::fill;

/// A page lists so many old rules; the JSON document has them all.
const MAX_ROWS: usize = 500;
/// New rules named for one old rule, and rules in one list, at most.
const MAX_RULES: usize = 50;

/// Writes both; nothing where it was not asked for.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(explained) = context.report.exact.and_then(|exact| exact.explained) else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"rules\">\n");
    html.element("h2 id=\"rules\"", words.mapping);
    html.open_table("mapping", words.mapping, &[words.old, words.new]);
    for mapping in explained.mapping.iter().take(MAX_ROWS) {
        write_mapping(html, context, mapping);
    }
    html.close_table();
    if let more @ 1.. = explained.mapping.len().saturating_sub(MAX_ROWS) {
        let more = context.locale.integer(more as u64);
        html.element("p", &fill(words.differences_more, &[&more]));
    }
    for (label, rules) in [(words.idle, &explained.idle), (words.idle_perhaps, &explained.open)] {
        html.element("h3", label).raw("<dl class=\"facts\">");
        for ((side, info), rules) in context.sides().into_iter().zip(rules) {
            html.raw("<div>").element("dt", side).raw("<dd>");
            if rules.is_empty() {
                html.text(words.idle_none);
            }
            for (at, id) in rules.iter().take(MAX_RULES).enumerate() {
                html.raw(if at == 0 { "" } else { ", " });
                write_rule(html, context, info.firewall, Some(*id));
            }
            if let more @ 1.. = rules.len().saturating_sub(MAX_RULES) {
                let more = context.locale.integer(more as u64);
                html.raw(" ").text(&fill(words.rules_more, &[&more]));
            }
            html.raw("</dd></div>");
        }
        html.raw("</dl>\n");
    }
    html.raw("</section>\n");
}

fn write_mapping(html: &mut Html, context: &Context<'_>, Mapping { old, new, whole }: &Mapping) {
    let words = context.words;
    html.raw("<tr><th scope=\"row\">");
    write_rule(html, context, context.report.old.firewall, *old);
    html.raw("</th><td>");
    for (at, carrier) in new.iter().take(MAX_RULES).enumerate() {
        html.raw(if at == 0 { "" } else { "<br/>" });
        write_rule(html, context, context.report.new.firewall, carrier.rule);
        let share = context.locale.share(carrier.share);
        let share = if *whole { share } else { fill(words.mapping_at_least, &[&share]) };
        html.element("span class=\"where\"", &share);
    }
    if let more @ 1.. = new.len().saturating_sub(MAX_RULES) {
        let more = context.locale.integer(more as u64);
        html.raw("<br/>").text(&fill(words.rules_more, &[&more]));
    }
    html.raw("</td></tr>\n");
}

/// A rule with its line.
fn write_rule(
    html: &mut Html,
    context: &Context<'_>,
    firewall: &LinkedFirewall,
    rule: Option<RuleId>,
) {
    let line = context.origin(firewall, Origin { rule, ..Origin::default() });
    html.element("code", &line.name);
    if line.line > 0 {
        let line = fill(context.words.line, &[&line.line.to_string()]);
        html.element("span class=\"where\"", &line);
    }
}
