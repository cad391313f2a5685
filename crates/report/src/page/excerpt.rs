//! The lines of a configuration that state a rule.

use std::collections::BTreeMap;

use super::Context;
use super::html::{Html, cut};
use super::words::fill;
use crate::FirewallInfo;
use crate::rule::RuleLine;

/// Lines of a rule that a page repeats wherever the rule decides; longer rules are shown once.
const SHORT: usize = 4;
/// Longer lines of a configuration are cut.
const MAX_LINE: usize = 400;

/// Where a section has shown which lines, by side and first line; later places refer to it.
pub(super) struct Shown {
    /// What the ids of the numbered places begin with.
    prefix: &'static str,
    at: BTreeMap<(usize, u32), usize>,
}

impl Shown {
    /// Nothing is shown yet of a section whose ids begin so.
    pub(super) const fn new(prefix: &'static str) -> Self {
        Self { prefix, at: BTreeMap::new() }
    }

    /// Shows a rule of a side under `number`, or where it was shown before.
    pub(super) fn write(
        &mut self,
        html: &mut Html,
        context: &Context<'_>,
        (side, number): (usize, usize),
        rule: &RuleLine,
    ) {
        let [old, new] = context.sides();
        let info = if side == 0 { old.1 } else { new.1 };
        match self.at.get(&(side, rule.line)) {
            Some(shown) if rule.excerpt.len() > SHORT => {
                self.write_reference(html, context, *shown);
            }
            _ => write_excerpt(html, context, info, rule),
        }
        self.at.entry((side, rule.line)).or_insert(number);
    }

    fn write_reference(&self, html: &mut Html, context: &Context<'_>, number: usize) {
        let number = number.to_string();
        html.raw("<p class=\"absent\"><a href=\"#").raw(self.prefix).raw(&number).raw("\">");
        html.text(&fill(context.words.excerpt_above, &[&number])).raw("</a></p>\n");
    }
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
