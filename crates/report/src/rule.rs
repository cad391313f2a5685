//! How a rule is named in reports.

use parefeu_equivalence::Origin;
use parefeu_policy::{Hit, LinkedFirewall, LinkedNatRule, Span};

/// A rule with its place and its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleLine {
    /// The rule's name; *default* for the default of a rule base or layer.
    pub name: String,
    /// The rule base it stands in.
    pub rule_base: Option<String>,
    /// The line it starts on, from 1; 0 without text.
    pub line: u32,
    /// The lines that state it, at most [`RuleLine::MAX_LINES`].
    pub excerpt: Vec<String>,
}

impl RuleLine {
    /// Longer rules are cut.
    pub const MAX_LINES: usize = 40;

    /// `name (line 12)`, as far as known.
    pub fn label(&self) -> String {
        if self.line == 0 {
            self.name.clone()
        } else {
            format!("{} (line {})", self.name, self.line)
        }
    }
}

/// Names the rule a decision rests on.
pub fn rule_line(firewall: &LinkedFirewall, hit: Option<Hit>) -> RuleLine {
    let Some(hit) = hit else {
        let (name, excerpt) = ("no rule".to_owned(), Vec::new());
        return RuleLine { name, rule_base: None, line: 0, excerpt };
    };
    let origin = Origin { rule: hit.rule, ..Origin::default() };
    // The default of a rule base points at the whole of it: its first line is enough.
    let most = if hit.rule.is_some() { RuleLine::MAX_LINES } else { 1 };
    let (line, excerpt) = excerpt(firewall, hit.at, most);
    RuleLine { line, excerpt, ..origin_line(firewall, origin) }
}

/// Names the rule that decides for a region.
pub(crate) fn origin_line(firewall: &LinkedFirewall, origin: Origin) -> RuleLine {
    let Some(id) = origin.rule else {
        let (name, excerpt) = (origin_name(origin, firewall), Vec::new());
        return RuleLine { name, rule_base: None, line: 0, excerpt };
    };
    let rule = firewall.rule(id);
    let name = origin_name(origin, firewall);
    let rule_base = firewall.rule_base_of(id).map(|rule_base| rule_base.name.to_string());
    let (line, excerpt) = excerpt(firewall, rule.at, RuleLine::MAX_LINES);
    RuleLine { name, rule_base, line, excerpt }
}

/// What reports call the rule that decides.
pub(crate) fn origin_name(origin: Origin, firewall: &LinkedFirewall) -> String {
    match origin.rule {
        None => "default".to_owned(),
        Some(id) if firewall.rule(id).name.is_empty() => format!("rule {}", id.0),
        Some(id) => firewall.rule(id).name.to_string(),
    }
}

/// Names a translation.
pub(crate) fn translation_line(firewall: &LinkedFirewall, rule: &LinkedNatRule) -> RuleLine {
    let (line, excerpt) = excerpt(firewall, rule.at, RuleLine::MAX_LINES);
    RuleLine { name: rule.name.to_string(), rule_base: None, line, excerpt }
}

/// The first line of a span, and the text of at most so many.
fn excerpt(firewall: &LinkedFirewall, at: Span, most: usize) -> (u32, Vec<String>) {
    let Some(source) = firewall.sources.of(at) else { return (0, Vec::new()) };
    let first = source.line_number(at.start);
    let last = source.line_number(at.end.saturating_sub(1).max(at.start));
    let lines = (first..=last).take(most);
    (first, lines.map(|number| source.line(number).to_owned()).collect())
}
