//! Which rules the traffic reached, on both sides.

use parefeu_policy::{LinkedFirewall, LinkedRule, RuleId};
use parefeu_replay::RuleHits;

use super::Context;
use super::chart;
use super::html::Html;
use super::locale::{Noun, moment};
use super::words::fill;
use crate::FirewallInfo;

/// The chart shows so many rules a side.
const TOP: usize = 15;
/// A page lists so many unused rules a side; longer lists are the business of a rule audit.
const MAX_NEVER_HIT: usize = 2000;

/// One side's rules by use.
struct Usage {
    /// Rules with their sessions and bytes, most sessions first.
    hit: Vec<(RuleId, u64, u64)>,
    never_hit: Vec<RuleId>,
    disabled: u64,
    default_flows: u64,
}

impl Usage {
    fn new(firewall: &LinkedFirewall, hits: &RuleHits) -> Self {
        let (mut hit, mut never_hit, mut disabled) = (Vec::new(), Vec::new(), 0);
        for (at, rule) in firewall.rules.iter().enumerate() {
            let LinkedRule { implied, disabled: is_off, .. } = *rule;
            let [packets, flows, bytes] = [&hits.packets, &hits.flows, &hits.bytes]
                .map(|counts| counts.get(at).copied().unwrap_or_default());
            let id = RuleId(at as u32);
            match packets {
                _ if implied => {}
                0 if is_off => disabled += 1,
                0 => never_hit.push(id),
                _ => hit.push((id, flows, bytes)),
            }
        }
        hit.sort_by_key(|(id, flows, bytes)| (std::cmp::Reverse((*flows, *bytes)), *id));
        Self { hit, never_hit, disabled, default_flows: hits.default_flows }
    }

    fn written(&self) -> u64 {
        (self.hit.len() + self.never_hit.len()) as u64
    }
}

/// Writes both sides' use of their rules; nothing without traffic.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let Some(comparison) = context.report.comparison else { return };
    let words = context.words;
    html.raw("<section aria-labelledby=\"coverage\">\n");
    html.element("h2 id=\"coverage\"", words.coverage).element("p", words.coverage_lead);
    if let Some((first, last)) = comparison.differences.span {
        let length = context.locale.duration(last.since(first));
        let window = [&*moment(first), &moment(last), &length];
        html.element("p", &fill(words.coverage_window, &window));
    }
    let hits = [&comparison.old_hits, &comparison.new_hits];
    let sides = context.sides().into_iter().zip(hits);
    let sides: Vec<_> =
        sides.map(|((label, info), hits)| (label, info, Usage::new(info.firewall, hits))).collect();
    let first = sides.iter().filter_map(|(.., usage)| usage.hit.first());
    let most = first.map(|(_, flows, _)| *flows).max().unwrap_or(1);
    html.raw("<div class=\"pair\">\n");
    for (at, (label, info, usage)) in sides.iter().enumerate() {
        html.raw("<section>\n").element("h3", label);
        write_share(html, context, usage, at);
        write_top(html, context, info, usage, most);
        write_never_hit(html, context, info, usage);
        html.raw("</section>\n");
    }
    html.raw("</div>\n</section>\n");
}

fn write_share(html: &mut Html, context: &Context<'_>, usage: &Usage, at: usize) {
    let (words, locale) = (context.words, context.locale);
    let (hit, written) = (usage.hit.len() as u64, usage.written());
    let share = locale.percent(hit, written);
    let rules = locale.count(written, Noun::Rule);
    let text = fill(words.rules_hit, &[&locale.integer(hit), &rules, &share]);
    html.element("p class=\"share\"", &text);
    let id = format!("share{at}");
    chart::share(html, (&id, &text, words.coverage_desc), hit, written);
    let mut notes = Vec::new();
    if usage.default_flows > 0 {
        let flows = locale.count(usage.default_flows, Noun::Session);
        notes.push(fill(words.default_hits, &[&flows]));
    }
    if usage.disabled > 0 {
        notes.push(fill(words.disabled_rules, &[&locale.integer(usage.disabled)]));
    }
    if !notes.is_empty() {
        html.element("p", &notes.join(" "));
    }
}

fn write_top(
    html: &mut Html,
    context: &Context<'_>,
    info: &FirewallInfo<'_>,
    usage: &Usage,
    most: u64,
) {
    let (words, locale) = (context.words, context.locale);
    if usage.hit.is_empty() {
        html.element("p", words.no_hits);
        return;
    }
    let numbers = [words.sessions, words.bytes].map(|label| format!("#{label}"));
    let [sessions, bytes] = numbers.each_ref().map(String::as_str);
    html.open_table("hits", words.top_rules, &[words.rule, sessions, bytes]);
    for (id, flows, bytes) in usage.hit.iter().take(TOP) {
        html.raw("<tr><th scope=\"row\">");
        write_rule(html, context, info.firewall, *id);
        chart::bar(html, *flows, most);
        html.raw("</th>").element("td class=\"num\"", &locale.integer(*flows));
        html.element("td class=\"num\"", &locale.bytes(*bytes)).raw("</tr>\n");
    }
    html.close_table();
}

fn write_never_hit(html: &mut Html, context: &Context<'_>, info: &FirewallInfo<'_>, usage: &Usage) {
    let (words, locale) = (context.words, context.locale);
    if usage.never_hit.is_empty() {
        html.element("p", words.never_hit_none);
        return;
    }
    let count = locale.integer(usage.never_hit.len() as u64);
    let title = fill(words.never_hit, &[&count]);
    html.raw("<details>").element("summary", &title);
    html.open_table("unused", &title, &[words.rule, words.rule_base]);
    for id in usage.never_hit.iter().take(MAX_NEVER_HIT) {
        html.raw("<tr><th scope=\"row\">");
        write_rule(html, context, info.firewall, *id);
        let base = info.firewall.rule_base_of(*id).map_or("", |base| &base.name);
        html.raw("</th>").element("td", base).raw("</tr>\n");
    }
    html.close_table();
    if let more @ 1.. = usage.never_hit.len().saturating_sub(MAX_NEVER_HIT) {
        html.element("p", &fill(words.rules_more, &[&locale.integer(more as u64)]));
    }
    html.raw("</details>\n");
}

fn write_rule(html: &mut Html, context: &Context<'_>, firewall: &LinkedFirewall, id: RuleId) {
    html.element("code", &context.rule_name(firewall, id));
    let line = firewall.line_of(id);
    if line > 0 {
        html.element("span class=\"where\"", &fill(context.words.line, &[&line.to_string()]));
    }
}
