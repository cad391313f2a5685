//! Security rules.

use std::collections::BTreeSet;

use parefeu_policy::{Action, AddressMatch, At, Match, Names, ResetSide, Rule, ZoneRelation};

use super::convert::{Converter, Place};
use super::scope::Kind;
use super::tree::Element;

impl<'t> Converter<'t> {
    /// The security rules of a rule base, and what its other policies leave unsaid.
    pub(super) fn security_rules(&mut self, rule_base: Element<'t>, place: Place) -> Vec<Rule> {
        self.report_policies(rule_base);
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
            if !FIELDS.contains(&name) && !IRRELEVANT.contains(&name) {
                self.unknown_element(field, "security rule");
                unknown.push(At::new(format!("security rule field {name}"), field.at()));
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
            _ => self.zones_of(rule, "to", place, &mut unknown),
        };
        let src = self.addresses_of(rule, "source", place, &mut unknown);
        let dst = self.addresses_of(rule, "destination", place, &mut unknown);
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
        self.conditions_of(rule, &mut unknown);
        let schedule = rule.value("schedule").map(|it| self.schedule_named(it, place));
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
            profiles: self.profiles_of(rule, place),
            description: rule.value("description").map_or("", Element::name).to_owned(),
        }
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
        // A URL in several categories at once cannot be told beside a plain list.
        let mut all: Vec<String> = names.into_iter().map(|name| name.value).collect();
        all.sort_unstable();
        let text = format!("{} ({})", all.join(", "), conjunctions.join("; "));
        let message = "a category that is a match of several categories is not evaluated";
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
    fn conditions_of(&mut self, rule: Element<'t>, unknown: &mut Vec<At<String>>) {
        for field in ["hip-profiles", "source-hip", "destination-hip"] {
            let members: Vec<Element<'t>> = rule.under(field).collect();
            if members.is_empty() || members.iter().any(|member| member.name() == "any") {
                continue;
            }
            let mut listed: Vec<&str> = members.iter().map(|member| member.name()).collect();
            listed.sort_unstable();
            let message = "host information profiles are not evaluated";
            self.problems.unsupported("host-information", rule.at(), message);
            unknown.push(At::new(format!("{field} {}", listed.join(", ")), rule.at()));
        }
        let Some(target) = rule.child("target") else { return };
        let mut listed: Vec<&str> = target.under("devices").map(Element::name).collect();
        listed.sort_unstable();
        if !listed.is_empty() {
            let except = if target.says_yes("negate") { "all devices but " } else { "" };
            let message = "which device the rule is for is not evaluated";
            self.problems.unsupported("rule-target", target.at(), message);
            unknown.push(At::new(format!("target {except}{}", listed.join(", ")), target.at()));
        }
    }

    fn schedule_named(&mut self, name: Element<'t>, place: Place) -> At<String> {
        let found = self.scopes.find(Kind::Schedule, place.scope, name.name());
        At::new(found.map_or(name.name(), |object| &object.name).to_owned(), name.at())
    }

    fn action_of(&mut self, rule: Element<'t>) -> Action {
        let Some(action) = rule.value("action") else {
            let message = "the rule has no action: it is read as deny";
            self.problems.suspicious("missing-action", rule.at(), message);
            return Action::Deny;
        };
        action_named(action.name()).unwrap_or_else(|| {
            let message = format!("`{}` is no action", action.name());
            self.problems.error("bad-action", action.at(), message);
            Action::Deny
        })
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

    /// Policies beside the security rules that change what happens to traffic.
    fn report_policies(&mut self, rule_base: Element<'t>) {
        for section in rule_base.children() {
            let (code, message) = match section.name() {
                "pbf" => ("policy-based-forwarding", "policy-based forwarding is not modelled"),
                "application-override" => {
                    ("application-override", "application override is not modelled")
                }
                "decryption" => ("decryption", "decryption is not modelled"),
                "dos" => ("dos-protection", "rules that deny for DoS protection are not modelled"),
                "authentication" | "captive-portal" => {
                    ("authentication-policy", "authentication before access is not modelled")
                }
                "security"
                | "nat"
                | "default-security-rules"
                | "qos"
                | "tunnel-inspect"
                | "sdwan"
                | "network-packet-broker" => continue,
                _ => {
                    self.unknown_element(section, "rule base");
                    continue;
                }
            };
            let rules = section.under("rules").filter(|rule| !rule.says_yes("disabled"));
            for rule in rules.filter(|rule| changes_verdicts(section.name(), *rule)) {
                self.problems.unsupported(code, rule.at(), message);
            }
        }
    }
}

/// Whether a rule of another policy can change a verdict.
fn changes_verdicts(policy: &str, rule: Element<'_>) -> bool {
    let action = rule.value("action").map_or("", Element::name);
    match policy {
        "decryption" => action != "no-decrypt",
        // The action of DoS rules is an element: `deny`, `allow` or `protect`.
        "dos" => action == "deny" || rule.path(&["action", "deny"]).is_some(),
        _ => true,
    }
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
