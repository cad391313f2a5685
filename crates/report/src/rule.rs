//! How a rule is named in reports.

use parefeu_policy::{Hit, LinkedFirewall};

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
    let name = match hit.rule {
        Some(id) => match &*firewall.rule(id).name {
            "" => format!("rule {}", id.0),
            name => name.to_owned(),
        },
        None => "default".to_owned(),
    };
    let rule_base = hit.rule.and_then(|id| firewall.rule_base_of(id)).map(|rb| rb.name.to_string());
    let source = firewall.sources.of(hit.at);
    let (line, excerpt) = source.map_or_else(
        || (0, Vec::new()),
        |source| {
            let first = source.position(hit.at.start).0;
            let last = source.position(hit.at.end.saturating_sub(1).max(hit.at.start)).0;
            // The default of a rule base points at the whole of it: its first line is enough.
            let most = if hit.rule.is_some() { RuleLine::MAX_LINES } else { 1 };
            let lines = (first..=last).take(most);
            (first, lines.map(|number| source.line(number).to_owned()).collect())
        },
    );
    RuleLine { name, rule_base, line, excerpt }
}
