//! Rules: from what an examination found to sentences.

use std::collections::BTreeMap;

use super::LintOptions;
use super::finding::{Finding, FindingKind, RuleList, RuleReference, Weight};
use super::list::{
    Above, Below, Budget, Entry, Examined, Outcome, examine, is_any_to_any, is_everything,
};
use super::part::{Examination, reconcile};
use super::reach::{deciding, ends};
use super::space::Space;
use crate::linked::{
    LinkedAction, LinkedFirewall, LinkedMatch, LinkedNatRule, LinkedNatTable, LinkedRule,
    LinkedTranslation, RuleBaseId,
};
use crate::model::{Sees, ZoneRelation};
use crate::set::AddressSet;
use crate::{LinkedAddresses, Sources};

/// What is to be said about the rules of every list of a firewall.
pub(super) fn findings(firewall: &LinkedFirewall, options: &LintOptions) -> Vec<Finding> {
    let mut lists = examine_all(firewall, options);
    reconcile(&mut lists);
    let mut findings = Vec::new();
    for Examination { list, entries, found } in &lists {
        Speaker { firewall, options, list: *list, entries }.say(found, &mut findings);
    }
    findings
}

fn examine_all<'a>(firewall: &'a LinkedFirewall, options: &LintOptions) -> Vec<Examination<'a>> {
    let mut space = Space::new(firewall);
    let LintOptions { work_per_rule: each, work: left, stop, .. } = *options;
    let mut budget = Budget { each, left, stop };
    let deciding = deciding(firewall);
    let (dst_mixes, src_mixes) =
        (may_mix(&firewall.destination_nat, true), may_mix(&firewall.source_nat, false));
    space.mixes_families = firewall.layers.iter().any(|layer| {
        layer.sees_dst == Sees::Translated && dst_mixes
            || layer.sees_src == Sees::Translated && src_mixes
    });
    let mut lists = Vec::new();
    for (id, end) in ends(firewall).into_iter().enumerate() {
        let id = RuleBaseId(id as u32);
        let rules = firewall.rules_of(id).iter();
        let entries: Vec<Entry<'_>> = rules.map(|rule| filter_entry(rule, &deciding)).collect();
        let end = end.map(|action| Outcome::Filter { action, log: false, profiles: &[] });
        let found = examine(&entries, end, &mut space, &mut budget);
        lists.push(Examination { list: RuleList::RuleBase(id), entries, found });
    }
    space.identifies = false;
    let tables = [
        (RuleList::DestinationNat, &firewall.destination_nat, false),
        (RuleList::SourceNat, &firewall.source_nat, dst_mixes),
    ];
    for (list, table, mixes) in tables {
        space.mixes_families = mixes && table.sees == Sees::Translated;
        let entries: Vec<Entry<'_>> = nat_entries(table, mixes).collect();
        // What no rule translates stays as it is.
        let end = Some(Outcome::Translate(&LinkedTranslation::Keep));
        let found = examine(&entries, end, &mut space, &mut budget);
        lists.push(Examination { list, entries, found });
    }
    lists
}

fn filter_entry<'a>(rule: &'a LinkedRule, deciding: &[bool]) -> Entry<'a> {
    let LinkedRule { action, log, .. } = *rule;
    Entry {
        name: &rule.name,
        at: rule.at,
        disabled: rule.disabled,
        implied: rule.implied,
        matches: &rule.matches,
        outcome: Outcome::Filter { action, log, profiles: &rule.profiles },
        is_exit: match action {
            LinkedAction::Jump(to) => deciding[to.index()],
            LinkedAction::Continue => false,
            _ => true,
        },
    }
}

/// The rules of a table; `mixes` says whether destinations may change their family before it.
fn nat_entries(table: &LinkedNatTable, mixes: bool) -> impl Iterator<Item = Entry<'_>> {
    table.rules.iter().map(move |rule| Entry {
        name: &rule.name,
        at: rule.at,
        disabled: rule.disabled,
        implied: false,
        matches: &rule.matches,
        outcome: Outcome::Translate(&rule.translation),
        is_exit: translates_all(rule, mixes),
    })
}

/// Whether a rule translates every packet it matches: a pool is a translation for packets of the
/// families it has addresses of.
fn translates_all(rule: &LinkedNatRule, mixes: bool) -> bool {
    let LinkedTranslation::Pool { to, .. } = &rule.translation else { return true };
    let served = families(to);
    let matched = [&rule.matches.src, &rule.matches.dst].map(possible_families);
    let misses = |family: usize| !matched.iter().all(|possible| possible[family]);
    (0..served.len()).all(|family| served[family] || !mixes && misses(family))
}

/// Whether a set has addresses of IPv4, and of IPv6.
fn families(set: &AddressSet) -> [bool; 2] {
    [!set.v4_ranges().is_empty() || !set.masked().is_empty(), !set.v6_ranges().is_empty()]
}

/// The families addresses may be of that fulfil a condition.
fn possible_families(wanted: &LinkedAddresses) -> [bool; 2] {
    let is_told = !wanted.negated && wanted.atoms.is_empty();
    if is_told { families(&wanted.set) } else { [true; 2] }
}

/// Whether a table may turn an address of one family into one of the other.
fn may_mix(table: &LinkedNatTable, is_dst: bool) -> bool {
    table.rules.iter().any(|rule| {
        let from = if is_dst { &rule.matches.dst } else { &rule.matches.src };
        let from = possible_families(from);
        let to = match &rule.translation {
            LinkedTranslation::Prefix { to, .. } => families(&AddressSet::from(*to)),
            LinkedTranslation::Pool { to, .. } => families(to),
            LinkedTranslation::Embedded(_) => return true,
            // The address of an interface is one of the packet's own family; an unknown one leaves
            // the packet as it was in every answer that can be given.
            LinkedTranslation::Keep
            | LinkedTranslation::EgressInterface
            | LinkedTranslation::Unknown(_) => return false,
        };
        from[0] && to[1] || from[1] && to[0]
    })
}

/// Says what was found about the rules of one list.
struct Speaker<'s, 'a> {
    firewall: &'s LinkedFirewall,
    options: &'s LintOptions,
    list: RuleList,
    entries: &'s [Entry<'a>],
}

impl Speaker<'_, '_> {
    fn say(&self, found: &[Examined], findings: &mut Vec<Finding>) {
        // Rules of which the same is to be said for the same reason are one finding: those behind
        // one that matches everything, those needless because of what decides the rest, and those
        // of which the same rules match a part.
        let (mut behind, mut before) = (BTreeMap::new(), BTreeMap::new());
        let (mut taken, mut at_the_end, mut left) = (BTreeMap::new(), Vec::new(), Vec::new());
        let told = |rule: &usize| self.entries[*rule].implied || found[*rule].is_told;
        for rule in (0..found.len()).filter(|rule| !told(rule)) {
            let examined = &found[rule];
            if self.entries[rule].disabled {
                findings.push(self.disabled(rule));
                continue;
            }
            if examined.stopped {
                left.push(rule);
            }
            match &examined.above {
                _ if examined.never => findings.push(self.never(rule)),
                Above::Closed(by) => match self.wall(by) {
                    Some(one) => behind.entry(one).or_insert_with(Vec::new).push(rule),
                    None => findings.push(self.shadowed(rule, by)),
                },
                Above::NotDecided if examined.stopped => {}
                Above::NotDecided => findings.push(self.not_decided(rule, "a rule above it")),
                Above::Open => findings.extend(self.any_any_allow(rule)),
            }
            if !examined.taken_by.is_empty() {
                taken.entry(&*examined.taken_by).or_insert_with(Vec::new).push(rule);
            }
            match &examined.below {
                Below::Differs => {}
                Below::NotDecided if examined.stopped => {}
                Below::NotDecided => findings.push(self.not_decided(rule, "rules below it")),
                Below::End => at_the_end.push(rule),
                Below::Rules(by) => match self.wall(by) {
                    Some(one) => before.entry(one).or_insert_with(Vec::new).push(rule),
                    None => findings.push(self.needless(&[rule], by, Weight::Warning)),
                },
            }
            findings.extend(self.expired(rule));
        }
        findings.extend(behind.iter().map(|(one, rules)| self.unreachable(*one, rules)));
        findings.extend(taken.iter().map(|(by, rules)| self.partly(rules, by)));
        let information = Weight::Information;
        findings
            .extend(before.iter().map(|(one, rules)| self.needless(rules, &[*one], information)));
        if !at_the_end.is_empty() {
            findings.push(self.needless(&at_the_end, &[], information));
        }
        if !left.is_empty() {
            findings.push(self.left(&left));
        }
    }

    /// Rules that were not looked at before the sign to stop, or not to the end.
    fn left(&self, rules: &[usize]) -> Finding {
        let message = format!(
            "whether other rules make {} needless was not decided: the analysis was stopped",
            self.names(rules)
        );
        let help = "allow more time".to_owned();
        self.finding((FindingKind::NotDecided, Weight::Warning), rules, &[], message, help)
    }

    fn disabled(&self, rule: usize) -> Finding {
        let message = format!("{} is switched off", self.name(rule));
        let help = "remove it when it is no longer needed".to_owned();
        self.finding((FindingKind::Disabled, Weight::Information), &[rule], &[], message, help)
    }

    /// Rules that others below them, or the end of the list, make needless.
    fn needless(&self, rules: &[usize], by: &[usize], weight: Weight) -> Finding {
        let names = self.names(rules);
        let message = match by {
            [] => {
                format!(
                    "without {names} nothing would change: what no rule matches is treated alike"
                )
            }
            [first, ..] => {
                let (others, does) = (self.names(by), self.does(*first, by.len() == 1));
                format!(
                    "without {names} nothing would change: {others} below {does} the same packets"
                )
            }
        };
        let help = match weight {
            Weight::Information => "keep it if it is there for clarity or for its hit count",
            _ => "remove it",
        };
        self.finding((FindingKind::Redundant, weight), rules, by, message, help.to_owned())
    }

    /// The only one of some rules, if it matches everything.
    fn wall(&self, rules: &[usize]) -> Option<usize> {
        match *rules {
            [one] if is_everything(self.entries[one].matches) => Some(one),
            _ => None,
        }
    }

    /// Rules of which the same rules above match a part.
    fn partly(&self, rules: &[usize], by: &[usize]) -> Finding {
        let matches = if by.len() == 1 { "matches" } else { "match" };
        let other = match self.entries[rules[0]].outcome {
            Outcome::Filter { .. } => "with the opposite verdict",
            Outcome::Translate(_) => "with another translation",
        };
        let (above, names) = (self.names(by), self.names(rules));
        let message = format!("{above} {matches} some packets of {names} below {other}");
        let help = "right for exceptions from a wider rule; otherwise look at the order".to_owned();
        self.finding((FindingKind::PartlyShadowed, Weight::Information), rules, by, message, help)
    }

    fn any_any_allow(&self, rule: usize) -> Option<Finding> {
        let Entry { outcome, matches, .. } = self.entries[rule];
        let allows = matches!(outcome, Outcome::Filter { action: LinkedAction::Allow, .. });
        if !allows || !is_any_to_any(matches) {
            return None;
        }
        let (weight, bounds) = if is_everything(matches) {
            (Weight::Serious, "")
        } else {
            (Weight::Warning, " between its zones or interfaces")
        };
        let message = format!(
            "{} allows every source, destination, service and application{bounds}",
            self.name(rule)
        );
        let help = "name what is needed".to_owned();
        Some(self.finding((FindingKind::AnyAnyAllow, weight), &[rule], &[], message, help))
    }

    /// A rule that rules above take every packet from.
    fn shadowed(&self, rule: usize, by: &[usize]) -> Finding {
        let entry = &self.entries[rule];
        let (name, above) = (self.name(rule), self.names(by));
        let others: Vec<&Outcome<'_>> = by.iter().map(|id| &self.entries[*id].outcome).collect();
        let together = if by.len() == 1 { "takes" } else { "together take" };
        if others.iter().all(|other| other.agrees(&entry.outcome)) {
            let does = self.does(rule, by.len() == 1);
            let message = format!(
                "{name} never decides: {above} above {together} all its packets and {does} them too"
            );
            let help = if others.iter().all(|other| **other == entry.outcome) {
                "remove it".to_owned()
            } else {
                "remove it; its own logging or profiles never apply".to_owned()
            };
            let about = (FindingKind::Redundant, Weight::Warning);
            return self.finding(about, &[rule], by, message, help);
        }
        let weight = if others.iter().any(|other| other.opposes(&entry.outcome)) {
            Weight::Serious
        } else {
            Weight::Warning
        };
        let kind = match by {
            [_] => FindingKind::Shadowed,
            _ => FindingKind::ShadowedTogether,
        };
        let does = self.does(rule, false);
        let instead = match by {
            [_] if matches!(entry.outcome, Outcome::Translate(_)) => {
                " and treats them otherwise".to_owned()
            }
            [one] => format!(" and {} them", self.does(*one, true)),
            _ => String::new(),
        };
        let message = format!(
            "{name}, which would {does}, never decides: {above} above {together} all its packets\
             {instead}"
        );
        let help = "move it up if it is meant to apply, else remove it".to_owned();
        self.finding((kind, weight), &[rule], by, message, help)
    }

    /// Rules behind one that matches everything.
    fn unreachable(&self, one: usize, rules: &[usize]) -> Finding {
        let wall = &self.entries[one].outcome;
        let opposed = rules.iter().any(|rule| self.entries[*rule].outcome.opposes(wall));
        let weight = if opposed { Weight::Serious } else { Weight::Warning };
        let message = format!(
            "{} never {}: {} above takes every packet",
            self.names(rules),
            if rules.len() == 1 { "decides" } else { "decide" },
            self.names(&[one]),
        );
        let help = "move what is meant to apply above it, and remove the rest".to_owned();
        self.finding((FindingKind::Unreachable, weight), rules, &[one], message, help)
    }

    fn not_decided(&self, rule: usize, whom: &str) -> Finding {
        let message = format!(
            "whether {} is made needless by {whom} was not decided within the work allowed",
            self.name(rule)
        );
        let help = "allow more work".to_owned();
        self.finding((FindingKind::NotDecided, Weight::Warning), &[rule], &[], message, help)
    }

    fn never(&self, rule: usize) -> Finding {
        let why = contradiction(self.entries[rule].matches, self.firewall);
        let message = format!("{} can match no packet: {why}", self.name(rule));
        let help = "remove it, or say what it is meant to match".to_owned();
        self.finding((FindingKind::NeverMatches, Weight::Warning), &[rule], &[], message, help)
    }

    fn expired(&self, rule: usize) -> Option<Finding> {
        let now = self.options.at?;
        let id = self.entries[rule].matches.schedule?;
        let schedule = &self.firewall.schedules[id.index()];
        let last = schedule.absolute.iter().map(|(_, end)| *end).max()?;
        if !schedule.weekly.is_empty() || last > now {
            return None;
        }
        let ended = last.to_string().replace(".000000000", "");
        let message =
            format!("the schedule `{}` of {} ended {ended}", schedule.name, self.name(rule));
        let help = "remove the rule, or give it a schedule that is on".to_owned();
        let about = (FindingKind::Expired, Weight::Warning);
        Some(self.finding(about, &[rule], &[], message, help))
    }

    fn finding(
        &self,
        (kind, weight): (FindingKind, Weight),
        rules: &[usize],
        by: &[usize],
        message: String,
        help: String,
    ) -> Finding {
        let references = |rules: &[usize]| rules.iter().map(|it| self.reference(*it)).collect();
        let at = rules.first().map(|rule| self.entries[*rule].at).unwrap_or_default();
        let (rules, by) = (references(rules), references(by));
        Finding { kind, weight, at, rules, by, subject: String::new(), message, help }
    }

    fn reference(&self, rule: usize) -> RuleReference {
        let Entry { name, at, .. } = self.entries[rule];
        RuleReference { list: self.list, position: rule, name: name.into(), at }
    }

    fn name(&self, rule: usize) -> String {
        self.reference(rule).to_string()
    }

    /// The rules with their lines; of many, the first ones.
    fn names(&self, rules: &[usize]) -> String {
        const MOST: usize = 3;
        let shown = if rules.len() == MOST + 1 { MOST + 1 } else { MOST };
        let sources: &Sources = &self.firewall.sources;
        let mut names: Vec<String> = rules
            .iter()
            .take(shown)
            .map(|rule| match sources.line_number(self.entries[*rule].at) {
                0 => self.name(*rule),
                line => format!("{} (line {line})", self.name(*rule)),
            })
            .collect();
        if rules.len() > shown {
            names.push(format!("{} more", rules.len() - shown));
        }
        match names.pop() {
            Some(last) if !names.is_empty() => format!("{} and {last}", names.join(", ")),
            last => last.unwrap_or_default(),
        }
    }

    /// What a rule does to its packets, as a verb after a plural or, with `one`, a singular.
    fn does(&self, rule: usize, one: bool) -> &'static str {
        let forms = match self.entries[rule].outcome {
            Outcome::Filter { action, .. } => match action {
                LinkedAction::Allow => ["allow", "allows"],
                LinkedAction::Deny => ["deny", "denies"],
                LinkedAction::Drop => ["drop", "drops"],
                LinkedAction::Reset(_) => ["reset", "resets"],
                LinkedAction::Jump(_) | LinkedAction::Goto(_) => ["hand on", "hands on"],
                LinkedAction::Return => ["return", "returns"],
                LinkedAction::Continue => ["count", "counts"],
            },
            Outcome::Translate(LinkedTranslation::Keep) => ["exempt", "exempts"],
            Outcome::Translate(_) => ["translate", "translates"],
        };
        forms[usize::from(one)]
    }
}

/// Why a match can hold for no packet.
fn contradiction(matches: &LinkedMatch, firewall: &LinkedFirewall) -> &'static str {
    let nothing = |addresses: &LinkedAddresses| {
        addresses.set.is_empty() && addresses.atoms.is_empty() && !addresses.negated
    };
    let v4_only = |addresses: &LinkedAddresses| {
        addresses.set.v6_ranges().is_empty() && addresses.atoms.is_empty() && !addresses.negated
    };
    let v6_only = |addresses: &LinkedAddresses| {
        addresses.set.v4_ranges().is_empty()
            && addresses.set.masked().is_empty()
            && addresses.atoms.is_empty()
            && !addresses.negated
    };
    let LinkedMatch { src, dst, services, .. } = matches;
    let lists = [
        (&matches.ingress, "no ingress interface is left"),
        (&matches.egress, "no egress interface is left"),
        (&matches.from, "no source zone is left"),
        (&matches.to, "no destination zone is left"),
        (&matches.applications, "its applications are none that can be recognised"),
        (&matches.url_categories, "no URL category is left"),
        (&matches.users, "it names no user"),
    ];
    let counts = [
        firewall.interfaces.len(),
        firewall.interfaces.len(),
        firewall.zones.len(),
        firewall.zones.len(),
    ];
    // Whatever has no identifier is on a negated list, but interfaces and zones that are stated all
    // have one.
    let counts = counts.map(Some).into_iter().chain([None; 3]);
    let empty_list = lists.iter().zip(counts).find(|((set, _), count)| match count {
        Some(count) => !set.is_any() && !(0..*count as u32).any(|id| set.contains(id)),
        None => !set.holds_unnamed() && set.iter().next().is_none(),
    });
    let schedule = matches.schedule.map(|id| &firewall.schedules[id.index()]);
    if nothing(src) {
        "its source is empty"
    } else if nothing(dst) {
        "its destination is empty"
    } else if services.terms.is_empty() && services.atoms.is_empty() {
        "it names no service"
    } else if let Some(((_, why), _)) = empty_list {
        why
    } else if v4_only(src) && v6_only(dst) || v6_only(src) && v4_only(dst) {
        "its source and destination are of different address families"
    } else if matches.states.bits() == 0 {
        "no connection state is left"
    } else if schedule.is_some_and(|it| it.weekly.is_empty() && it.absolute.is_empty()) {
        "its schedule is never on"
    } else if !matches.tcp_flags.is_empty() {
        "no TCP packet has the flags and services it names"
    } else if matches.relation != ZoneRelation::Any {
        "its zones do not relate as it says"
    } else {
        "its conditions exclude one another"
    }
}
