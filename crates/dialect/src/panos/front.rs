//! Policies that are asked before the security rules: tunnel inspection, DoS protection,
//! policy-based forwarding, authentication and application override (knowledge base, "Packet Flow
//! Sequence in PAN-OS").
//!
//! Each becomes a rule base that the security rules begin with. A rule that discards is exact where
//! the addresses it compares are those of the packet. What another one leads to is a condition of
//! its own, named by what the rule does and not by its match: rules that do the same to a packet
//! are the same condition in two configurations.

use parefeu_net::Protocol;
use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Match, Names, Rule, RuleBase, ServiceItem, ServiceTerm,
    Translation,
};

use crate::digest::Digest;

use super::convert::{Converter, Place};
use super::literal;
use super::profile::written;
use super::rule::target_of;
use super::tree::Element;

/// A policy, and the fields that say what its rules do.
struct Policy {
    section: &'static str,
    title: &'static str,
    /// What is said of rules that are not modelled.
    code: &'static str,
    message: &'static str,
    effect: &'static [&'static str],
}

const POLICIES: &[Policy] = &[
    Policy {
        section: "tunnel-inspect",
        title: "tunnel inspection",
        code: "tunnel-inspection",
        message: "tunnels whose inspection drops packets are not modelled",
        effect: &["inspect-options", "application", "tunnel-id"],
    },
    Policy {
        section: "dos",
        title: "DoS protection",
        code: "dos-protection",
        message: "this rule for DoS protection is not modelled",
        effect: &["action"],
    },
    Policy {
        section: "pbf",
        title: "policy-based forwarding",
        code: "policy-based-forwarding",
        message: "policy-based forwarding is not modelled",
        effect: &["action", "enforce-symmetric-return"],
    },
    Policy {
        section: "authentication",
        title: "authentication",
        code: "authentication-policy",
        message: "authentication before access is not modelled",
        effect: &["authentication-enforcement"],
    },
    Policy {
        section: "captive-portal",
        title: "captive portal",
        code: "authentication-policy",
        message: "authentication before access is not modelled",
        effect: &["action", "method"],
    },
    Policy {
        section: "application-override",
        title: "application override",
        code: "application-override",
        message: "application override is not modelled",
        effect: &["application"],
    },
];

/// What a rule of such a policy does.
enum Effect {
    /// It ends the policy; the packet goes on.
    Pass,
    /// It discards the packet.
    Drop,
    /// Whether it refuses the packet is a condition that is not modelled.
    MayRefuse(String),
    /// It changes what the security rules compare.
    Untold(String),
}

impl<'t> Converter<'t> {
    /// The rules that come before the security rules of the rule bases given, which `name` calls.
    pub(super) fn front_rules(
        &mut self,
        name: &str,
        written: &[(Element<'t>, Place)],
    ) -> Vec<Rule> {
        let place = written.first().map(|(_, place)| *place);
        let mut front = place.map(|it| self.protecting_rules(it)).unwrap_or_default();
        for policy in POLICIES {
            let mut rules = Vec::new();
            for (rule_base, place) in written {
                let found = rule_base.path(&[policy.section, "rules"]);
                let found = found.into_iter().flat_map(Element::children);
                for rule in found.filter(|rule| !rule.says_yes("disabled")) {
                    self.push_front_rules(policy, rule, *place, &mut rules);
                }
            }
            while rules.pop_if(|rule| rule.action == Action::Return).is_some() {}
            let (Some(first), Some((_, place))) = (rules.first(), written.first()) else {
                continue;
            };
            let at = first.at;
            // Parentheses cannot be part of a virtual system's name.
            let rule_base = format!("({} of {name})", policy.title);
            let from = if place.several { self.zones.all_of(place.domain, at) } else { Names::Any };
            front.push(Rule {
                name: policy.title.to_owned(),
                at,
                implied: true,
                matches: Match { from, ..Match::default() },
                action: Action::Jump(rule_base.clone()),
                ..Rule::default()
            });
            self.inner.push(RuleBase { name: rule_base, rules, default: None, at });
        }
        front
    }

    fn push_front_rules(
        &mut self,
        policy: &Policy,
        rule: Element<'t>,
        place: Place,
        rules: &mut Vec<Rule>,
    ) {
        let matches = self.front_match(policy, rule, place);
        let made = |action: Action, condition: Option<String>| {
            let mut matches = matches.clone();
            matches.unknown.extend(condition.map(|text| At::new(text, rule.at())));
            let name = format!("{} {}", policy.title, rule.name());
            Rule { name, at: rule.at(), matches, action, ..Rule::default() }
        };
        let effect = self.front_effect(policy, rule, place);
        let is_exact = match effect {
            Effect::Pass => true,
            Effect::Drop => matches.unknown.is_empty(),
            Effect::MayRefuse(_) | Effect::Untold(_) => false,
        };
        // A rule that several groups of Panorama share is read for each of them.
        if !is_exact && self.told.insert(rule.at()) {
            self.problems.unsupported(policy.code, rule.at(), policy.message);
        }
        match effect {
            Effect::Pass => {}
            Effect::Drop => rules.push(made(Action::Drop, None)),
            Effect::MayRefuse(text) => {
                rules.push(made(Action::Drop, Some(format!("{text} refuses"))));
            }
            Effect::Untold(text) => {
                rules.push(made(Action::Drop, Some(format!("{text} leads to refusal"))));
                rules.push(made(Action::Allow, Some(format!("{text} leads to permission"))));
            }
        }
        // The first rule that matches decides in each policy.
        rules.push(made(Action::Return, None));
    }

    fn front_effect(&mut self, policy: &Policy, rule: Element<'t>, place: Place) -> Effect {
        let fields = rule.children().filter(|it| policy.effect.contains(&it.name()));
        let fields: Vec<Element<'t>> = fields.collect();
        let mut said: Vec<String> = fields.iter().map(|it| written(*it, it.name())).collect();
        said.sort_unstable();
        let text = format!("{} {}", policy.title, said.join(" "));
        let text = self.scopes.qualified(text, place.scope, fields);
        let action = rule.value("action").map_or("", Element::name);
        match (policy.section, action) {
            ("dos", "deny") | ("pbf", "discard") if self.translates_destinations() => {
                // Which address is compared, before translation or after, is not documented.
                Effect::MayRefuse(text)
            }
            ("dos", "deny") | ("pbf", "discard") => Effect::Drop,
            ("dos", "protect") if rule.under("protection").next().is_some() => {
                if self.told.insert(rule.at()) {
                    let message = "how many connections this rule lets through is not modelled";
                    self.problems.unsupported(policy.code, rule.at(), message);
                    self.problems.defined(self.scopes.digest(place.scope, rule));
                }
                Effect::Pass
            }
            ("dos", _) | ("pbf", "no-pbf") | ("captive-portal", "no-captive-portal") => {
                Effect::Pass
            }
            // The zone it leads to is judged by rules that no other packet of these addresses
            // meets: that they are the same is part of the condition.
            ("pbf", _) => Effect::Untold(format!("{text} under rules {}", self.rules_digest())),
            ("application-override", _) => Effect::Untold(text),
            ("authentication", _) => self.authentication(rule, place, text),
            ("tunnel-inspect", _) if !drops_tunnels(rule) => Effect::Pass,
            _ => Effect::MayRefuse(text),
        }
    }

    /// What an authentication rule does, with what its enforcement says.
    fn authentication(&self, rule: Element<'t>, place: Place, text: String) -> Effect {
        let Some(enforcement) = rule.value("authentication-enforcement") else {
            return Effect::MayRefuse(text);
        };
        if enforcement.name() == "default-no-captive-portal" {
            return Effect::Pass;
        }
        let path = ["authentication-object", enforcement.name()];
        let Some((object, _)) = self.scopes.element(place.scope, &path) else {
            return Effect::MayRefuse(text);
        };
        let method = object.value("authentication-method").map_or("", Element::name);
        if method == "no-captive-portal" {
            return Effect::Pass;
        }
        let text = format!("{text} {}", written(object, "enforcement"));
        Effect::MayRefuse(self.scopes.qualified(text, place.scope, object.children()))
    }

    fn translates_destinations(&self) -> bool {
        let mut rules = self.firewall.destination_nat.rules.iter();
        rules.any(|rule| !rule.disabled && rule.translation != Translation::Keep)
    }

    /// What two configurations share when they say the same of rules, objects and zones.
    fn rules_digest(&self) -> String {
        let mut digest = Digest::default();
        self.scopes.parts().for_each(|part| digest.add(&written(part, "")));
        digest.hex()
    }

    /// The packets a rule is for. What is not compared here is a condition.
    fn front_match(&mut self, policy: &Policy, rule: Element<'t>, place: Place) -> Match {
        let mut unknown = Vec::new();
        let by_interface = matches!(policy.section, "dos" | "pbf");
        let (from, ingress) = self.ends(rule, "from", by_interface, place);
        let (to, egress) = self.ends(rule, "to", by_interface, place);
        let src = self.front_addresses(rule, "source", place);
        let mut dst = self.front_addresses(rule, "destination", place);
        let is_any = dst.items.iter().any(|it| it.value == AddressItem::Any) && !dst.negated;
        if policy.section == "pbf" && self.translates_destinations() && !is_any {
            let said =
                rule.child("destination").map(|it| written(it, "destination")).unwrap_or_default();
            let text = format!("destination that forwarding compares {said}");
            let text = self.scopes.qualified(text, place.scope, rule.child("destination"));
            unknown.push(At::new(text, rule.at()));
            dst = AddressMatch::any();
        }
        let services = self.front_services(policy, rule, place);
        target_of(rule, &mut unknown);
        let others = rule.children().filter(|it| {
            !COMPARED.contains(&it.name())
                && !HARMLESS.contains(&it.name())
                && !policy.effect.contains(&it.name())
        });
        for field in others {
            let idle = ["any", "both", "no", "none"];
            if !field.children().any(|value| idle.contains(&value.name())) {
                let text = written(field, field.name());
                let text = self.scopes.qualified(text, place.scope, [field]);
                unknown.push(At::new(text, field.at()));
            }
        }
        let schedule = self.schedule_of(rule, place, &mut unknown);
        let ends = Match { from, to, ingress, egress, ..Match::default() };
        Match { src, dst, services, schedule, unknown, ..ends }
    }

    /// The zones and the interfaces of one end of a rule.
    fn ends(
        &mut self,
        rule: Element<'t>,
        field: &str,
        by_interface: bool,
        place: Place,
    ) -> (Names, Names) {
        let Some(written) = rule.child(field) else { return (Names::Any, Names::Any) };
        if !by_interface {
            let zones: Vec<Element<'t>> = written.children().collect();
            return (self.zones_or_any(&zones, place), Names::Any);
        }
        let zones: Vec<Element<'t>> = written.under("zone").collect();
        let interfaces: Vec<Element<'t>> = written.under("interface").collect();
        let any = interfaces.is_empty() || interfaces.iter().any(|it| it.name() == "any");
        let interfaces = if any {
            Names::Any
        } else {
            Names::OneOf(interfaces.into_iter().map(Element::named).collect())
        };
        (self.zones_or_any(&zones, place), interfaces)
    }

    fn zones_or_any(&mut self, zones: &[Element<'t>], place: Place) -> Names {
        if zones.is_empty() { Names::Any } else { self.resolve_zones(place.domain, zones) }
    }

    fn front_addresses(
        &self,
        rule: Element<'t>,
        field: &'static str,
        place: Place,
    ) -> AddressMatch {
        let items: Vec<_> =
            rule.under(field).map(|it| self.resolve_address(place.scope, it)).collect();
        if items.is_empty() {
            return AddressMatch::any();
        }
        let negated = rule.says_yes(&format!("negate-{field}"));
        AddressMatch { items, negated }
    }

    fn front_services(
        &mut self,
        policy: &Policy,
        rule: Element<'t>,
        place: Place,
    ) -> Vec<At<ServiceItem>> {
        let at = rule.at();
        let any = vec![At::new(ServiceItem::Any, at)];
        let term = |term| At::new(ServiceItem::Term(term), at);
        match policy.section {
            "tunnel-inspect" => {
                let protocols = rule.under("application").map(|it| carrier(it.name()).map(term));
                let protocols: Option<Vec<_>> = protocols.collect();
                protocols.filter(|it| !it.is_empty()).unwrap_or(any)
            }
            "application-override" => {
                let protocol = match rule.value("protocol").map(Element::name) {
                    Some("udp") => Protocol::UDP,
                    _ => Protocol::TCP,
                };
                let protocol = ProtocolSet::single(protocol);
                let ports = rule.value("port").and_then(|it| literal::ports(it.name()));
                vec![term(match ports {
                    Some(ports) => ServiceTerm::to_ports(protocol, ports),
                    None => ServiceTerm::protocols(protocol),
                })]
            }
            _ => {
                let services = rule.under("service");
                let services: Vec<_> =
                    services.map(|it| self.resolve_service(place.scope, it)).collect();
                // The applications whose default ports count are not compared.
                let plain = services.iter().all(|it| it.value != ServiceItem::ApplicationDefault);
                if services.is_empty() || !plain { any } else { services }
            }
        }
    }
}

/// Whether a rule of tunnel inspection drops packets.
fn drops_tunnels(rule: Element<'_>) -> bool {
    let is_on = |it: &Element<'_>| it.children().last().is_some_and(|it| it.name() == "yes");
    rule.under("inspect-options").any(|it| it.name().starts_with("drop") && is_on(&it))
}

/// What carries the tunnels of an application.
fn carrier(application: &str) -> Option<ServiceTerm> {
    let udp = |port: u16| {
        let ports = parefeu_net::PortRange::single(port);
        ServiceTerm::to_ports(ProtocolSet::single(Protocol::UDP), [ports].into_iter().collect())
    };
    Some(match application.to_ascii_lowercase().as_str() {
        "gre" => ServiceTerm::protocols(ProtocolSet::single(Protocol::GRE)),
        "vxlan" => udp(4789),
        "gtp-u" => udp(2152),
        _ => return None,
    })
}

/// The fields that are compared.
const COMPARED: &[&str] = &[
    "from",
    "to",
    "source",
    "destination",
    "negate-source",
    "negate-destination",
    "service",
    "protocol",
    "port",
    "schedule",
    "target",
];

/// The fields that change nothing about who may talk to whom.
const HARMLESS: &[&str] = &[
    "disabled",
    "description",
    "tag",
    "group-tag",
    "uuid",
    "loc",
    "id",
    "log-setting",
    "log-authentication-timeout",
    "timeout",
];
