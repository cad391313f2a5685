//! The differences one by one, each with both configurations side by side.

use std::collections::BTreeMap;

use parefeu_identify::Application;
use parefeu_net::Timestamp;
use parefeu_replay::{DifferenceClass, Group, GroupSide};

use super::Context;
use super::html::{Html, cut};
use super::locale::{Noun, moment};
use super::summary::{ORDER, tone};
use super::vocabulary::{class_meaning, class_name, reason, verdict};
use super::words::fill;
use crate::FirewallInfo;
use crate::rule::RuleLine;

/// A page with more groups helps nobody; the JSON document has them all.
const MAX_GROUPS: usize = 200;
/// Lines of a rule that a page repeats wherever the rule decides; longer rules are shown once.
const SHORT: usize = 4;
/// Longer lines of a configuration are cut.
const MAX_LINE: usize = 400;

/// Writes the groups of differing sessions, losses of service first.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(comparison) = context.report.comparison else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"differences\">\n");
    html.element("h2 id=\"differences\"", words.differences);
    let mut number = 0;
    let mut left_out = 0;
    let mut shown_at = ShownAt::default();
    for class in ORDER.into_iter().filter(|class| *class != DifferenceClass::Same) {
        let of_class = |group: &&Group| group.class == class;
        let mut groups: Vec<&Group> =
            comparison.differences.groups.iter().filter(of_class).collect();
        if groups.is_empty() {
            continue;
        }
        if number == 0 {
            html.element("p", words.differences_lead);
        }
        groups.sort_by_key(|group| std::cmp::Reverse((group.flows, group.bytes)));
        let shown = groups.len().min(MAX_GROUPS - number);
        left_out += groups.len() - shown;
        if shown > 0 {
            html.raw("<section class=\"class ").raw(tone(class)).raw("\">\n");
            html.element("h3", class_name(context.language, class));
            html.element("p", class_meaning(context.language, class));
            for group in groups.into_iter().take(shown) {
                number += 1;
                write_group(html, context, group, (number, &mut shown_at));
            }
            html.raw("</section>\n");
        }
    }
    if number == 0 {
        html.element("p", words.differences_none);
    }
    if left_out > 0 {
        let count = context.locale.count(left_out as u64, Noun::Difference);
        html.element("p", &fill(words.differences_more, &[&count]));
    }
    html.raw("</section>\n");
}

/// Under which number each side's lines are shown, by first line; later groups refer to it.
type ShownAt = BTreeMap<(usize, u32), usize>;

fn write_group(
    html: &mut Html,
    context: &Context<'_>,
    group: &Group,
    (number, shown_at): (usize, &mut ShownAt),
) {
    let rules = [(&group.old, &context.report.old), (&group.new, &context.report.new)]
        .map(|(side, info)| context.rule(info.firewall, side.hit));
    let [old, new] = &rules;
    html.raw(&format!("<article class=\"group\" aria-labelledby=\"d{number}\">\n"));
    html.raw(&format!("<h4 id=\"d{number}\"><span class=\"number\">{number}</span> "));
    html.element("code", &old.name).raw("<span class=\"arrow\" aria-hidden=\"true\">→</span> ");
    html.element("code", &new.name).raw("</h4>\n");
    write_facts(html, context, group);
    html.raw("<div class=\"sides\">\n");
    let is_translated = group.old.translated.is_some() || group.new.translated.is_some();
    let sides = context.sides().into_iter().zip([&group.old, &group.new]);
    for (at, (((label, info), side), rule)) in sides.zip(&rules).enumerate() {
        html.raw("<section class=\"side\">\n").open("h5").text(label).raw(" <span class=\"badge ");
        let is_lost = matches!(
            (group.class, at),
            (DifferenceClass::SessionKept, 0) | (DifferenceClass::SessionLost, 1)
        );
        html.raw(if side.verdict.passes() && !is_lost { "passes" } else { "refuses" }).raw("\">");
        let verdict = verdict(context.language, side.verdict);
        html.text(if is_lost { context.words.then_lost } else { verdict });
        html.raw("</span>").close("h5");
        write_side(html, context, side, rule, is_translated);
        if group.class == DifferenceClass::EndReason {
            let sessions = context.locale.count(side.sessions.into(), Noun::Session);
            html.raw("<dl>");
            fact(html, context.words.carried_by, &sessions);
            html.raw("</dl>\n");
        }
        match shown_at.get(&(at, rule.line)) {
            Some(shown) if rule.excerpt.len() > SHORT => write_reference(html, context, *shown),
            _ => write_excerpt(html, context, info, rule),
        }
        shown_at.entry((at, rule.line)).or_insert(number);
        html.raw("</section>\n");
    }
    html.raw("</div>\n</article>\n");
}

/// Adds a term and its description.
fn fact(html: &mut Html, term: &str, description: &str) {
    html.raw("<div>").element("dt", term).element("dd", description).raw("</div>");
}

/// Adds a term and a description that is a flow or a name.
fn code_fact(html: &mut Html, term: &str, description: &str) {
    html.raw("<div>").element("dt", term).raw("<dd>").element("code", description);
    html.raw("</dd></div>");
}

fn write_facts(html: &mut Html, context: &Context<'_>, group: &Group) {
    let (words, locale) = (context.words, context.locale);
    html.raw("<dl class=\"facts\">");
    let sources = match group.sources {
        Group::MAX_SOURCES.. => format!("≥\u{a0}{}", locale.integer(group.sources as u64)),
        sources => locale.count(sources as u64, Noun::Source),
    };
    let traffic = [
        locale.count(group.flows, Noun::Session),
        locale.count(group.packets, Noun::Packet),
        locale.bytes(group.bytes),
        fill(words.from_sources, &[&sources]),
    ];
    fact(html, words.traffic, &traffic.join(", "));
    write_span(html, words.seen, group.first_seen, group.last_seen);
    let mut example = group.witness.to_string();
    if let Some((kind, code)) = group.witness_icmp {
        let icmp = fill(words.icmp, &[&kind.to_string(), &code.to_string()]);
        example = format!("{example} ({icmp})");
    }
    code_fact(html, words.example, &example);
    if let Some(packet) = group.packet_of_refusal.filter(|packet| *packet > 1) {
        fact(html, words.refused_at, &fill(words.packet_number, &[&locale.integer(packet)]));
    }
    html.raw("</dl>\n");
}

fn write_span(html: &mut Html, term: &str, first: Timestamp, last: Timestamp) {
    html.raw("<div>").element("dt", term).raw("<dd>");
    html.element(&format!("time datetime=\"{first}\""), &moment(first));
    if moment(first) != moment(last) {
        html.raw("– ").element(&format!("time datetime=\"{last}\""), &moment(last));
    }
    html.raw("</dd></div>");
}

fn write_side(
    html: &mut Html,
    context: &Context<'_>,
    side: &GroupSide,
    rule: &RuleLine,
    is_translated: bool,
) {
    let words = context.words;
    html.raw("<dl>");
    code_fact(html, words.rule, &rule.name);
    if let Some(base) = &rule.rule_base {
        fact(html, words.rule_base, base);
    }
    if rule.line > 0 {
        fact(html, words.line_label, &rule.line.to_string());
    }
    fact(html, words.reason, reason(context.language, side.reason));
    let application = side.application.map_or(words.not_identified, Application::name);
    fact(html, words.application, application);
    if side.bytes_before_refusal > 0 {
        let bytes = context.locale.bytes(side.bytes_before_refusal);
        fact(html, words.passed_before, &bytes);
    }
    if is_translated && side.verdict.passes() {
        match side.translated {
            Some(flow) => code_fact(html, words.leaves_as, &flow.to_string()),
            None => fact(html, words.leaves_as, words.untranslated),
        }
    }
    html.raw("</dl>\n");
}

fn write_reference(html: &mut Html, context: &Context<'_>, number: usize) {
    let number = number.to_string();
    html.raw("<p class=\"absent\"><a href=\"#d").raw(&number).raw("\">");
    html.text(&fill(context.words.excerpt_above, &[&number])).raw("</a></p>\n");
}

fn write_excerpt(html: &mut Html, context: &Context<'_>, info: &FirewallInfo<'_>, rule: &RuleLine) {
    let words = context.words;
    if rule.excerpt.is_empty() {
        html.element("p class=\"absent\"", words.no_text);
        return;
    }
    let label = fill(words.excerpt_caption, &[info.file]);
    html.raw("<figure class=\"excerpt\">").element("figcaption", &label).raw("<pre>");
    let indent = common_indent(&rule.excerpt);
    for (number, line) in (rule.line..).zip(&rule.excerpt) {
        let line = cut(line.get(indent..).unwrap_or_default(), MAX_LINE);
        html.raw(&format!("<span class=\"line\"><span class=\"at\">{number}</span><code>"));
        html.text(&line).raw("</code></span>");
    }
    html.raw("</pre>");
    if rule.excerpt.len() == RuleLine::MAX_LINES {
        let last = rule.line as usize + rule.excerpt.len() - 1;
        html.element("p", &fill(words.excerpt_more, &[&last.to_string()]));
    }
    html.raw("</figure>\n");
}

/// Bytes of blank space that every line begins with.
fn common_indent(lines: &[String]) -> usize {
    let blank = |line: &String| line.len() - line.trim_start_matches([' ', '\t']).len();
    lines.iter().filter(|line| !line.trim().is_empty()).map(blank).min().unwrap_or(0)
}
