//! Security rules.

use std::collections::BTreeSet;

use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Match, Names, ResetSide, Rule, ZoneRelation,
};

use super::convert::{Converter, Place};
use super::literal;
use super::profile::written;
use super::scope::Kind;
use super::tree::Element;

impl<'t> Converter<'t> {
    /// The security rules of a rule base, and what its other policies leave unsaid.
    pub(super) fn security_rules(&mut self, rule_base: Element<'t>, place: Place) -> Vec<Rule> {
        self.report_policies(rule_base, place);
        let Some(rules) = rule_base.path(&["security", "rules"]) else { return Vec::new() };
        self.refuse_twice("security rule", rules);
        rules.children().map(|rule| self.convert_rule(rule, place)).collect()
    }

    /// PAN-OS has no two rules of one name in a rule base.
    pub(super) fn refuse_twice(&mut self, kind: &str, rules: Element<'t>) {
        let mut seen = BTreeSet::new();
        for rule in rules.children().filter(|rule| !seen.insert(rule.name())) {
            let message = format!("{kind} `{}` is defined twice", rule.name());
            self.problems.error("duplicate-name", rule.at(), message);
        }
    }

    fn convert_rule(&mut self, rule: Element<'t>, place: Place) -> Rule {
        let mut unknown = Vec::new();
        for field in rule.children() {
            let name = field.name();
            if !FIELDS.contains(&name) && !IRRELEVANT.contains(&name) && !is_idle(field) {
                self.unknown_element(field, "security rule");
                let text = format!("security rule field {}", written(field, name));
                let text = self.scopes.qualified(text, place.scope, [field]);
                unknown.push(At::new(text, field.at()));
            }
        }
        let relation = match rule.value("rule-type").map(Element::name) {
            None | Some("universal") => ZoneRelation::Any,
            Some("intrazone") => ZoneRelation::Intrazone,
            Some("interzone") => ZoneRelation::Interzone,
            Some(other) => {
                unknown.push(At::new(format!("rule type {other}"), rule.at()));
                ZoneRelation::Any
            }
        };
        let from = self.zones_of(rule, "from", place, &mut unknown);
        let to = match relation {
            // An intrazone rule has no destination zone of its own.
            ZoneRelation::Intrazone => Names::Any,
            _ => self.zones_to(rule, place, &mut unknown),
        };
        let src = self.addresses_of(rule, "source", place, &mut unknown);
        let mut dst = self.addresses_of(rule, "destination", place, &mut unknown);
        if self.is_for_groups(rule, place) {
            keep_to_groups(&mut dst);
        }
        let services: Vec<_> = self
            .required(rule, "service", &mut unknown)
            .into_iter()
            .map(|member| self.resolve_service(place.scope, member))
            .collect();
        let members = self.required(rule, "application", &mut unknown);
        let applied = self.match_applications(place.scope, &members, services);
        unknown.extend(applied.unknown);
        let url_categories = self.categories_of(rule, place, &mut unknown);
        let users = self.users_of(rule, &mut unknown);
        let from = self.zones_with_users(rule, from, place, &mut unknown);
        self.conditions_of(rule, place, &mut unknown);
        let schedule = self.schedule_of(rule, place, &mut unknown);
        Rule {
            name: rule.name().to_owned(),
            at: rule.at(),
            disabled: rule.says_yes("disabled"),
            implied: false,
            matches: Match {
                from,
                to,
                relation,
                src,
                dst,
                services: applied.services,
                applications: applied.applications,
                url_categories,
                users,
                schedule,
                unknown,
                ..Match::default()
            },
            action: self.action_of(rule),
            log: logs(rule),
            profiles: self.inspection_of(rule, place),
            description: rule.value("description").map_or("", Element::name).to_owned(),
        }
    }

    /// What inspects the traffic of a rule, and whether it leaves answers out.
    fn inspection_of(&mut self, rule: Element<'t>, place: Place) -> Vec<String> {
        let mut profiles = self.profiles_of(rule, place);
        let option = "disable-server-response-inspection";
        let option = rule.child("option").filter(|it| it.says_yes(option)).map(|_| option);
        if !profiles.is_empty() {
            profiles.extend(option.map(str::to_owned));
        }
        profiles
    }

    /// The values of a field without which PAN-OS refuses the rule; absent, it is an unknown
    /// condition, and the list returned matches anything.
    fn required(
        &mut self,
        rule: Element<'t>,
        field: &'static str,
        unknown: &mut Vec<At<String>>,
    ) -> Vec<Element<'t>> {
        let values: Vec<Element<'t>> = rule.under(field).collect();
        if values.is_empty() {
            let message = format!("the rule has no `{field}`: PAN-OS would refuse it");
            self.problems.unsupported("missing-field", rule.at(), message);
            unknown.push(At::new(format!("{field} not stated"), rule.at()));
        }
        values
    }

    pub(super) fn zones_of(
        &mut self,
        rule: Element<'t>,
        field: &'static str,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> Names {
        let members = self.required(rule, field, unknown);
        if members.is_empty() { Names::Any } else { self.resolve_zones(place.domain, &members) }
    }

    /// The destination zones. `multicast` is one that PAN-OS predefines for traffic to groups
    /// ("Configure IP Multicast", PAN-OS Networking Administrator's Guide); which packets reach it
    /// is not told here.
    fn zones_to(
        &mut self,
        rule: Element<'t>,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> Names {
        let group = |it: &Element<'t>| it.name() == MULTICAST;
        let Some(named) = rule.under("to").find(group) else {
            return self.zones_of(rule, "to", place, unknown);
        };
        if self.zones.knows(place.domain, MULTICAST) {
            return self.zones_of(rule, "to", place, unknown);
        }
        let message = "which packets go to groups of receivers is not modelled";
        self.problems.unsupported("multicast", named.at(), message);
        let others: Vec<&str> = rule.under("to").map(Element::name).collect();
        unknown.push(At::new(format!("destination zone {}", others.join(", ")), named.at()));
        Names::Any
    }

    /// Whether the predefined zone for groups is the only one a rule leads to.
    fn is_for_groups(&self, rule: Element<'t>, place: Place) -> bool {
        let mut zones = rule.under("to").map(Element::name).peekable();
        zones.peek().is_some()
            && zones.all(|zone| zone == MULTICAST)
            && !self.zones.knows(place.domain, MULTICAST)
    }

    pub(super) fn addresses_of(
        &mut self,
        rule: Element<'t>,
        field: &'static str,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> AddressMatch {
        let members = self.required(rule, field, unknown);
        if members.is_empty() {
            return AddressMatch::any();
        }
        let items = members.into_iter().map(|it| self.resolve_address(place.scope, it)).collect();
        let negated = match field {
            "source" => rule.says_yes("negate-source"),
            _ => rule.says_yes("negate-destination"),
        };
        AddressMatch { items, negated }
    }

    fn categories_of(
        &mut self,
        rule: Element<'t>,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> Names {
        let members: Vec<Element<'t>> = rule.under("category").collect();
        if members.is_empty() || members.iter().any(|member| member.name() == "any") {
            return Names::Any;
        }
        let mut names = Vec::new();
        let mut conjunctions = Vec::new();
        for member in &members {
            let found = self.scopes.find(Kind::UrlCategory, place.scope, member.name());
            let name = found.map_or(member.name(), |object| &object.name);
            conjunctions.extend(self.category_matches.get(name).cloned());
            names.push(At::new(name.to_owned(), member.at()));
        }
        if conjunctions.is_empty() {
            return Names::OneOf(names);
        }
        // What is no plain list of URLs cannot be told beside one.
        let mut all: Vec<String> = names.into_iter().map(|name| name.value).collect();
        all.sort_unstable();
        let text = format!("{} ({})", all.join(", "), conjunctions.join("; "));
        let message = "a category that is no list of URLs which are understood is not evaluated";
        self.problems.unsupported("category-match", rule.at(), message);
        unknown.push(At::new(text, rule.at()));
        Names::Any
    }

    fn users_of(&mut self, rule: Element<'t>, unknown: &mut Vec<At<String>>) -> Names {
        let members: Vec<Element<'t>> = rule.under("source-user").collect();
        if members.is_empty() || members.iter().any(|member| member.name() == "any") {
            return Names::Any;
        }
        let states = ["known-user", "unknown", "pre-logon"];
        let Some(state) = members.iter().find(|member| states.contains(&member.name())) else {
            return Names::OneOf(members.iter().map(|member| member.named()).collect());
        };
        let mut listed: Vec<&str> = members.iter().map(|member| member.name()).collect();
        listed.sort_unstable();
        let message = format!("whether a user is `{}` is not evaluated", state.name());
        self.problems.unsupported("source-user", state.at(), message);
        unknown.push(At::new(format!("source-user {}", listed.join(", ")), state.at()));
        Names::Any
    }

    /// Conditions that are not modelled: host information profiles and target devices.
    fn conditions_of(&mut self, rule: Element<'t>, place: Place, unknown: &mut Vec<At<String>>) {
        for field in ["hip-profiles", "source-hip", "destination-hip"] {
            let members: Vec<Element<'t>> = rule.under(field).collect();
            if members.is_empty() || members.iter().any(|member| member.name() == "any") {
                continue;
            }
            let mut listed: Vec<&str> = members.iter().map(|member| member.name()).collect();
            listed.sort_unstable();
            let message = "host information profiles are not evaluated";
            self.problems.unsupported("host-information", rule.at(), message);
            let text = format!("{field} {}", listed.join(", "));
            let text = self.scopes.qualified(text, place.scope, members);
            unknown.push(At::new(text, rule.at()));
        }
        if target_of(rule, unknown) {
            let message = "which device the rule is for is not evaluated";
            self.problems.unsupported("rule-target", rule.at(), message);
        }
    }

    /// The schedule of a rule; one whose times are not understood is an unknown condition.
    pub(super) fn schedule_of(
        &mut self,
        rule: Element<'t>,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> Option<At<String>> {
        let name = rule.value("schedule")?;
        let found = self.scopes.find(Kind::Schedule, place.scope, name.name());
        let meant = found.map_or(name.name(), |object| &object.name);
        if let Some(times) = self.untold_schedules.get(meant) {
            unknown.push(At::new(times.clone(), name.at()));
            return None;
        }
        Some(At::new(meant.to_owned(), name.at()))
    }

    fn action_of(&mut self, rule: Element<'t>) -> Action {
        let Some(action) = rule.value("action") else {
            let message = "the rule has no action: it is read as deny";
            self.problems.suspicious("missing-action", rule.at(), message);
            return Action::Deny;
        };
        match action_named(action.name()) {
            // *Send ICMP Unreachable* ("Building Blocks in a Security Policy Rule", PAN-OS Web
            // Interface Help).
            Some(Action::Drop) if rule.says_yes("icmp-unreachable") => {
                Action::Reset(ResetSide::SenderByIcmp)
            }
            Some(action) => action,
            None => {
                let message = format!("`{}` is no action", action.name());
                self.problems.error("bad-action", action.at(), message);
                Action::Deny
            }
        }
    }

    /// `intrazone-default` and `interzone-default`, as the first of `rule_bases` that says so
    /// overrides them.
    pub(super) fn default_rules(&mut self, rule_bases: &[(Element<'t>, Place)]) -> [Rule; 2] {
        let implied = [
            ("intrazone-default", ZoneRelation::Intrazone, Action::Allow),
            ("interzone-default", ZoneRelation::Interzone, Action::Deny),
        ];
        implied.map(|(name, relation, action)| {
            let path = ["default-security-rules", "rules", name];
            let mut written =
                rule_bases.iter().filter_map(|(it, place)| Some((it.path(&path)?, *place)));
            let (written, place) = written.next().unzip();
            let named = written.and_then(|rule| rule.value("action"));
            let action = match named {
                Some(named) => action_named(named.name()).unwrap_or_else(|| {
                    let message = format!("`{}` is no action", named.name());
                    self.problems.error("bad-action", named.at(), message);
                    Action::Deny
                }),
                None => action,
            };
            Rule {
                name: name.to_owned(),
                at: written.map_or(super::IMPLIED, Element::at),
                implied: true,
                matches: Match { relation, ..Match::default() },
                action,
                log: written.is_some_and(|it| it.says_yes("log-start") || it.says_yes("log-end")),
                profiles: written
                    .zip(place)
                    .map(|(rule, place)| self.profiles_of(rule, place))
                    .unwrap_or_default(),
                ..Rule::default()
            }
        })
    }

    /// Policies beside the security rules that are not modelled; others come in front of them.
    fn report_policies(&mut self, rule_base: Element<'t>, place: Place) {
        for section in rule_base.children() {
            if section.name() != "decryption" {
                if !POLICIES.contains(&section.name()) {
                    self.unknown_element(section, "rule base");
                }
                continue;
            }
            let rules = section.under("rules").filter(|rule| !rule.says_yes("disabled"));
            let acts =
                |it: &Element<'_>| it.value("action").map(Element::name) != Some("no-decrypt");
            for rule in rules.filter(acts) {
                let message = "decryption is not modelled";
                self.problems.unsupported("decryption", rule.at(), message);
                self.problems.defined(self.scopes.digest(place.scope, rule));
            }
        }
    }
}

/// Whether a rule is for some devices only, and which: by serial number and virtual system, or
/// by tag.
pub(super) fn target_of(rule: Element<'_>, unknown: &mut Vec<At<String>>) -> bool {
    let Some(target) = rule.child("target") else { return false };
    let lists = ["devices", "tags"].into_iter().filter_map(|list| target.child(list));
    let lists = lists.filter(|list| list.children().next().is_some());
    let listed: Vec<String> = lists.map(|list| written(list, list.name())).collect();
    if listed.is_empty() {
        return false;
    }
    let except = if target.says_yes("negate") { "all but " } else { "" };
    unknown.push(At::new(format!("target {except}{}", listed.join(" ")), target.at()));
    true
}

/// Whether a field excludes nothing: it says any, or no.
fn is_idle(field: Element<'_>) -> bool {
    let mut values = field.children().map(Element::name).peekable();
    let Some(first) = values.peek().copied() else { return false };
    matches!(first, "any" | "no") && values.all(|value| value == first)
}

fn action_named(name: &str) -> Option<Action> {
    Some(match name {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "drop" => Action::Drop,
        "reset-client" => Action::Reset(ResetSide::Client),
        "reset-server" => Action::Reset(ResetSide::Server),
        "reset-both" => Action::Reset(ResetSide::Both),
        _ => return None,
    })
}

/// A rule logs at session end unless it says otherwise.
fn logs(rule: Element<'_>) -> bool {
    rule.says_yes("log-start") || rule.value("log-end").is_none_or(|it| it.name() != "no")
}

/// The fields of a security rule that are evaluated.
const FIELDS: &[&str] = &[
    "from",
    "to",
    "source",
    "destination",
    "negate-source",
    "negate-destination",
    "service",
    "application",
    "category",
    "source-user",
    "hip-profiles",
    "source-hip",
    "destination-hip",
    "schedule",
    "action",
    "rule-type",
    "disabled",
    "log-start",
    "log-end",
    "profile-setting",
    "description",
    "target",
];

/// The fields of a security rule that change nothing about who may talk to whom.
const IRRELEVANT: &[&str] =
    &["tag", "group-tag", "log-setting", "qos", "option", "icmp-unreachable", "uuid", "loc", "id"];

/// Makes any destination any group (RFC 5771, RFC 4291 §2.7).
fn keep_to_groups(addresses: &mut AddressMatch) {
    if addresses.negated || addresses.items.iter().all(|it| it.value != AddressItem::Any) {
        return;
    }
    let at = addresses.items.first().map(|it| it.at).unwrap_or_default();
    let groups = ["224.0.0.0/4", "ff00::/8"].into_iter().filter_map(literal::network);
    addresses.items = groups.map(|it| At::new(AddressItem::Network(it), at)).collect();
}

/// The predefined zone of traffic to groups of receivers.
const MULTICAST: &str = "multicast";

/// The policies of a rule base that are read elsewhere, or that change no verdict.
const POLICIES: &[&str] = &[
    "security",
    "nat",
    "default-security-rules",
    "qos",
    "sdwan",
    "network-packet-broker",
    "tunnel-inspect",
    "dos",
    "pbf",
    "authentication",
    "captive-portal",
    "application-override",
];
