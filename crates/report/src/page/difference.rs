//! The differences one by one, each with both configurations side by side.

use parefeu_identify::Application;
use parefeu_net::Timestamp;
use parefeu_replay::{DifferenceClass, Group, GroupSide};

use super::Context;
use super::excerpt::Shown;
use super::html::Html;
use super::locale::{Noun, moment};
use super::summary::{ORDER, tone};
use super::vocabulary::{class_meaning, class_name, reason, verdict};
use super::words::fill;
use crate::rule::RuleLine;

/// A page with more groups helps nobody; the JSON document has them all.
const MAX_GROUPS: usize = 200;

/// Writes the groups of differing sessions, losses of service first.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(comparison) = context.report.comparison else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"differences\">\n");
    html.element("h2 id=\"differences\"", words.differences);
    let mut number = 0;
    let mut left_out = 0;
    let mut excerpts = Shown::new("d");
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
                write_group(html, context, group, (number, &mut excerpts));
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

fn write_group(
    html: &mut Html,
    context: &Context<'_>,
    group: &Group,
    (number, excerpts): (usize, &mut Shown),
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
    for (at, (((label, _), side), rule)) in sides.zip(&rules).enumerate() {
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
            html.fact(context.words.carried_by, &sessions);
            html.raw("</dl>\n");
        }
        excerpts.write(html, context, (at, number), rule);
        html.raw("</section>\n");
    }
    html.raw("</div>\n</article>\n");
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
    html.fact(words.traffic, &traffic.join(", "));
    write_span(html, words.seen, group.first_seen, group.last_seen);
    let mut example = group.witness.to_string();
    if let Some((kind, code)) = group.witness_icmp {
        let icmp = fill(words.icmp, &[&kind.to_string(), &code.to_string()]);
        example = format!("{example} ({icmp})");
    }
    html.code_fact(words.example, &example);
    if let Some(packet) = group.packet_of_refusal.filter(|packet| *packet > 1) {
        html.fact(words.refused_at, &fill(words.packet_number, &[&locale.integer(packet)]));
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
    html.code_fact(words.rule, &rule.name);
    if let Some(base) = &rule.rule_base {
        html.fact(words.rule_base, base);
    }
    if rule.line > 0 {
        html.fact(words.line_label, &rule.line.to_string());
    }
    html.fact(words.reason, reason(context.language, side.reason));
    let application = side.application.map_or(words.not_identified, Application::name);
    html.fact(words.application, application);
    if side.bytes_before_refusal > 0 {
        let bytes = context.locale.bytes(side.bytes_before_refusal);
        html.fact(words.passed_before, &bytes);
    }
    if is_translated && side.verdict.passes() {
        match side.translated {
            Some(flow) => html.code_fact(words.leaves_as, &flow.to_string()),
            None => html.fact(words.leaves_as, words.untranslated),
        };
    }
    html.raw("</dl>\n");
}
