//! The self-contained page for the change ticket.
//!
//! One HTML file with its style inside, no script, nothing fetched. It is well-formed XML too, and
//! a content security policy forbids what an escaped name could never cause anyway.

mod banner;
mod behaviour;
mod chart;
mod coverage;
mod difference;
mod doubt;
mod excerpt;
mod explained;
mod following;
mod gap;
mod html;
mod input;
mod locale;
mod region;
mod stated;
mod summary;
#[cfg(test)]
mod tests;
mod timer;
mod vocabulary;
mod words;

use parefeu_equivalence::Origin;
use parefeu_policy::{Hit, LinkedFirewall, RuleId};

use self::html::Html;
use self::locale::Locale;
use self::words::{Words, fill};
use crate::rule::{RuleLine, origin_line, rule_line};
use crate::{DiffReport, FirewallInfo};

/// The language of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

/// `diff` as one self-contained HTML page, readable without JavaScript and fit for A4.
///
/// Same report, same bytes. Linear in the report; what would make a page unreadable is cut, and
/// the page says by how much: groups and regions past 200, unused rules past 2,000 a side,
/// unmodelled lines, open questions and assumptions past 500, lines past 400 characters, values of
/// one property of a region past 16.
pub fn diff_page(report: &DiffReport<'_>, language: Language) -> String {
    let context = Context::new(report, language);
    let Context { words, .. } = context;
    let mut html = Html::default();
    html.raw("<!DOCTYPE html>\n<html lang=\"").raw(words.code).raw("\">\n<head>\n");
    html.raw("<meta charset=\"utf-8\"/>\n");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" ");
    html.raw("content=\"default-src 'none'; style-src 'unsafe-inline'\"/>\n");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\"/>\n");
    html.open("title").text(words.title).text(" – ").text(report.old.file).text(" → ");
    html.text(report.new.file).close("title");
    html.wrap("style", STYLE).close("head").raw("<body>\n");
    banner::write(&mut html, &context);
    html.raw("<main>\n");
    input::write(&mut html, &context);
    region::write(&mut html, &context);
    following::write(&mut html, &context);
    stated::write(&mut html, &context);
    explained::write(&mut html, &context);
    gap::write(&mut html, &context);
    summary::write(&mut html, &context);
    difference::write(&mut html, &context);
    timer::write(&mut html, &context);
    behaviour::write(&mut html, &context);
    coverage::write(&mut html, &context);
    doubt::write(&mut html, &context);
    html.raw("</main>\n");
    html.element("footer", &fill(words.written_by, &[env!("CARGO_PKG_VERSION")]));
    html.raw("</body>\n</html>\n");
    html.finish()
}

/// The whole style of a page.
const STYLE: &str = include_str!("../assets/page.css");

/// What every part of a page reads.
#[derive(Clone, Copy)]
struct Context<'a> {
    report: &'a DiffReport<'a>,
    language: Language,
    locale: Locale,
    words: &'static Words,
}

impl<'a> Context<'a> {
    fn new(report: &'a DiffReport<'a>, language: Language) -> Self {
        Self { report, language, locale: Locale::new(language), words: Words::of(language) }
    }

    /// Both firewalls with what the page calls them.
    fn sides(&self) -> [(&'static str, &'a FirewallInfo<'a>); 2] {
        [(self.words.old, &self.report.old), (self.words.new, &self.report.new)]
    }

    /// The rule a decision rests on, named in the page's language.
    fn rule(&self, firewall: &LinkedFirewall, hit: Option<Hit>) -> RuleLine {
        let mut rule = rule_line(firewall, hit);
        rule.name = match hit.map(|hit| hit.rule) {
            None => self.words.no_rule.to_owned(),
            Some(None) => self.words.default_rule.to_owned(),
            Some(Some(id)) => self.rule_name(firewall, id),
        };
        rule
    }

    /// The rule that decides for a region, named in the page's language.
    fn origin(&self, firewall: &LinkedFirewall, origin: Origin) -> RuleLine {
        let mut rule = origin_line(firewall, origin);
        rule.name = match origin.rule {
            None => self.words.default_rule.to_owned(),
            Some(id) => self.rule_name(firewall, id),
        };
        rule
    }

    /// What a rule is called, cut where it would fill the page.
    fn rule_name(&self, firewall: &LinkedFirewall, id: RuleId) -> String {
        match &*firewall.rule(id).name {
            "" => fill(self.words.unnamed_rule, &[&id.0.to_string()]),
            name => html::cut(name, MAX_NAME),
        }
    }
}

/// Longer rule names are cut.
const MAX_NAME: usize = 120;
