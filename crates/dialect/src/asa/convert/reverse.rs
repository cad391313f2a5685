//! What a translation refuses: the layer in front of the access lists that rule on translations.
//!
//! The device looks up the reverse flow of a connection as well. Where that would be translated,
//! and the connection itself was addressed to the real side, it is refused: "Asymmetric NAT rules
//! matched for forward and reverse flows … denied due to NAT reverse path failure" (message
//! 305013).

use parefeu_policy::{
    Action, At, Firewall, Layer, Match, Names, Rule, RuleBase, Sees, Span, Translation,
    ZoneRelation,
};

use super::halves::Arrival;

/// Rules of the layer, in the order they are asked.
#[derive(Default)]
pub(super) struct Refusals {
    /// What may be refused whatever translates it.
    perhaps: Vec<Rule>,
    /// What the reverse flow of untranslated destinations meets, in the order of the `nat` rules.
    reverse: Vec<Rule>,
}

/// A `nat` rule as its rules of the layer cite it.
#[derive(Clone, Copy)]
pub(super) struct Cited<'a> {
    pub(super) name: &'a str,
    pub(super) at: Span,
    pub(super) disabled: bool,
}

impl Cited<'_> {
    fn rule(self, matches: Match, action: Action) -> Rule {
        let (name, at, disabled) = (self.name.to_owned(), self.at, self.disabled);
        Rule { name, at, disabled, implied: true, matches, action, ..Rule::default() }
    }

    fn perhaps(self, text: String, matches: Match) -> Rule {
        let unknown = vec![At::new(text, self.at)];
        self.rule(Match { unknown, ..matches }, Action::Deny)
    }
}

impl Refusals {
    /// Packets about which it is not known what becomes of them.
    pub(super) fn perhaps(&mut self, cited: Cited<'_>, text: String, matches: Match) {
        self.perhaps.push(cited.perhaps(text, matches));
    }

    /// Packets whose reverse flow perhaps meets a rule.
    pub(super) fn perhaps_reverse(&mut self, cited: Cited<'_>, text: String, matches: Match) {
        self.reverse.push(cited.perhaps(text, matches));
    }

    /// Packets whose reverse flow meets a rule that keeps it as it is.
    pub(super) fn keep(&mut self, cited: Cited<'_>, matches: Match) {
        self.reverse.push(cited.rule(matches, Action::Allow));
    }

    /// Packets whose reverse flow meets a rule that translates it.
    ///
    /// Between which interfaces is stated only in part where the rule says `any`; whether packets
    /// that leave by the interface they came by are refused then is not known.
    pub(super) fn refuse(&mut self, cited: Cited<'_>, matches: Match) {
        if matches.ingress != Names::Any && matches.egress != Names::Any {
            self.reverse.push(cited.rule(matches, Action::Deny));
            return;
        }
        let relation = |relation| Match { relation, ..matches.clone() };
        let text = format!("asa: reverse path of {} back out of an interface", cited.name);
        let inner = relation(ZoneRelation::Intrazone);
        self.reverse.push(cited.rule(relation(ZoneRelation::Interzone), Action::Deny));
        self.reverse.push(cited.perhaps(text, inner));
    }

    /// Adds the layer, in front of the one whose rules are cited.
    pub(super) fn apply(self, arrivals: &[Arrival], firewall: &mut Firewall) {
        let refuses = |rule: &Rule| rule.action == Action::Deny && !rule.disabled;
        let can_refuse = |rules: &[Rule]| rules.iter().any(refuses);
        let mut rules = self.perhaps;
        let mut bases = Vec::new();
        if can_refuse(&self.reverse) {
            let name = unused(firewall, "reverse-paths");
            rules.extend(untranslated(arrivals, &name));
            bases.push(rule_base(name, self.reverse));
        }
        if !can_refuse(&rules) && bases.is_empty() || firewall.interfaces.is_empty() {
            return;
        }
        let name = unused(firewall, "translation-paths");
        bases.push(rule_base(name.clone(), rules));
        let Some(last) = firewall.layers.len().checked_sub(1) else { return };
        let layer = Layer {
            name: "translation".to_owned(),
            rule_base: At::new(name, bases.last().map_or_else(Span::default, |base| base.at)),
            default: Action::Deny,
            sees_src: Sees::Original,
            sees_dst: Sees::Original,
            before_sessions: false,
        };
        firewall.layers.insert(last, layer);
        firewall.rule_bases.extend(bases);
    }
}

/// Lets packets go on to the rules on reverse paths whose destination nothing translates.
fn untranslated(arrivals: &[Arrival], next: &str) -> Vec<Rule> {
    let known = |arrival: &&Arrival| arrival.rule.matches.unknown.is_empty();
    let keeps = |arrival: &Arrival| arrival.rule.translation == Translation::Keep;
    let arrivals: Vec<&Arrival> = arrivals.iter().filter(known).collect();
    let last = arrivals.iter().rposition(|arrival| !keeps(arrival));
    let arrivals = arrivals.into_iter().take(last.map_or(0, |last| last + 1));
    let goto = || Action::Goto(next.to_owned());
    let mut rules: Vec<Rule> = arrivals
        .map(|arrival| {
            let rule = &arrival.rule;
            let cited = Cited { name: &rule.name, at: rule.at, disabled: rule.disabled };
            let action = if keeps(arrival) { goto() } else { Action::Allow };
            cited.rule(rule.matches.clone(), action)
        })
        .collect();
    let at = rules.first().map_or_else(Span::default, |rule| rule.at);
    let all = Cited { name: "reverse paths", at, disabled: false };
    rules.push(all.rule(Match::default(), goto()));
    rules
}

/// A rule base that lets through what no rule refuses.
fn rule_base(name: String, rules: Vec<Rule>) -> RuleBase {
    let at = rules.first().map_or_else(Span::default, |rule| rule.at);
    RuleBase { name, rules, default: Some(Action::Allow), at }
}

/// A name no access list has.
fn unused(firewall: &Firewall, wanted: &str) -> String {
    let mut name = wanted.to_owned();
    while firewall.rule_bases.iter().any(|rule_base| rule_base.name == name) {
        name.push('\'');
    }
    name
}
