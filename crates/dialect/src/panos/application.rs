//! Applications, their groups and filters, as rules name them.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_net::Protocol;
use parefeu_policy::set::ProtocolSet;
use parefeu_policy::{ApplicationObject, At, IcmpMatch, Names, ServiceItem, ServiceTerm, Span};

use super::convert::Converter;
use super::literal;
use super::predefined::Predefined;
use super::scope::{Kind, Object, ScopeId};
use super::tree::Element;

/// Groups nested deeper than this are left to linking, which refuses them.
const MAX_NESTING: usize = 64;

/// What importing has found out about the applications named so far, by unique name.
#[derive(Default)]
pub(super) struct Applications {
    facts: BTreeMap<String, Facts>,
    /// A rule leaves the application open and asks for default ports: every one matters.
    pub(super) all_matter: bool,
}

#[derive(Default)]
struct Facts {
    /// The headers that alone make the application, for one that is not told by payload.
    headers: Option<Vec<ServiceTerm>>,
    /// Whether the default ports are known.
    ports_known: bool,
    /// Whether which applications it stands for is not known: a filter over attributes.
    is_filter: bool,
    /// Members of a group.
    members: Vec<String>,
}

/// The applications and services of a rule, which depend on each other.
pub(super) struct ApplicationMatch {
    pub(super) applications: Names,
    pub(super) services: Vec<At<ServiceItem>>,
    /// A condition that is not modelled.
    pub(super) unknown: Option<At<String>>,
}

impl<'t> Converter<'t> {
    /// Reads the custom applications, groups and filters.
    pub(super) fn convert_applications(&mut self) {
        let objects = self.scopes.all(Kind::Application).to_vec();
        for filter in objects.iter().filter(|it| it.section == "application-filter") {
            let facts = Facts { is_filter: true, ..Facts::default() };
            self.applications.facts.insert(filter.name.clone(), facts);
        }
        for object in &objects {
            match object.section {
                "application" => self.convert_custom(object),
                "application-group" => self.convert_group(object),
                _ => {}
            }
        }
    }

    fn convert_custom(&mut self, object: &Object<'t>) {
        let element = object.element;
        let signed = element.under("signature").next().is_some();
        let mut headers = Vec::new();
        let mut default_services = Vec::new();
        let mut ports_known = true;
        for kind in element.under("default") {
            match kind.name() {
                "port" => {
                    for port in kind.children() {
                        let service = literal::default_service(port.name());
                        ports_known &= service.is_some();
                        default_services.extend(service);
                    }
                }
                "ident-by-ip-protocol" => {
                    let numbers = kind.children().filter_map(|it| it.name().parse().ok());
                    headers.extend(numbers.map(|number| {
                        ServiceTerm::protocols(ProtocolSet::single(Protocol(number)))
                    }));
                }
                "ident-by-icmp-type" => headers.extend(icmp(kind, Protocol::ICMP)),
                "ident-by-icmp6-type" => headers.extend(icmp(kind, Protocol::ICMPV6)),
                _ => ports_known = false,
            }
        }
        let parent = element.value("parent-app").map(|parent| parent.name().to_owned());
        if signed {
            let message = "signatures of custom applications are not evaluated";
            self.problems.unsupported("application-signature", element.at(), message);
            self.problems.defined(self.scopes.digest(object.scope, element));
        }
        let told_by_headers = !headers.is_empty() && default_services.is_empty() && !signed;
        default_services.extend_from_slice(&headers);
        ports_known &= !default_services.is_empty();
        let facts =
            Facts { headers: told_by_headers.then_some(headers), ports_known, ..Facts::default() };
        self.applications.facts.insert(object.name.clone(), facts);
        let implicit: Vec<String> = parent
            .map(|parent| self.resolve_name(object.scope, &parent, element.at()))
            .into_iter()
            .collect();
        self.firewall.applications.push(ApplicationObject {
            name: object.name.clone(),
            default_services,
            implicit,
            at: element.at(),
            ..ApplicationObject::default()
        });
    }

    fn convert_group(&mut self, object: &Object<'t>) {
        let at = object.element.at();
        let members: Vec<At<String>> = object
            .element
            .under("members")
            .map(|it| At::new(self.resolve_name(object.scope, it.name(), it.at()), it.at()))
            .collect();
        for field in object.element.children() {
            if !["members", "tag", "disable-override", "id"].contains(&field.name()) {
                self.unknown_element(field, "group");
            }
        }
        let names = members.iter().map(|member| member.value.clone()).collect();
        let facts = Facts { ports_known: true, members: names, ..Facts::default() };
        self.applications.facts.insert(object.name.clone(), facts);
        let name = object.name.clone();
        // A filter is no application object: a group that holds one is never linked by name.
        let known = |member: &At<String>| !self.is_filter_name(&member.value);
        let members = members.into_iter().filter(known).collect();
        let group = ApplicationObject { name, members, at, ..ApplicationObject::default() };
        self.firewall.applications.push(group);
    }

    fn is_filter_name(&self, name: &str) -> bool {
        self.applications.facts.get(name).is_some_and(|facts| facts.is_filter)
    }

    /// The unique name of an application; one that is predefined, or not known, is added.
    fn resolve_name(&mut self, scope: ScopeId, name: &str, at: Span) -> String {
        if let Some(object) = self.scopes.find(Kind::Application, scope, name) {
            return object.name.clone();
        }
        if !self.applications.facts.contains_key(name) {
            match Predefined::named(name) {
                Some(predefined) => self.add_predefined(predefined),
                None => self.add_unknown(name, at),
            }
        }
        name.to_owned()
    }

    fn add_predefined(&mut self, predefined: &Predefined) {
        if self.applications.facts.contains_key(predefined.name) {
            return;
        }
        let ports: Option<Vec<&str>> = predefined.default_ports().map(Iterator::collect);
        let default_services: Vec<ServiceTerm> =
            ports.iter().flatten().filter_map(|text| literal::default_service(text)).collect();
        // A protocol of its own is told by the IP header; ICMP is not: `ping` is taken out of
        // `icmp`.
        let by_protocol = ports.as_ref().is_some_and(|ports| {
            ports.iter().all(|text| text.starts_with("ip/") && !["ip/1", "ip/58"].contains(text))
        });
        let facts = Facts {
            headers: by_protocol.then(|| default_services.clone()),
            ports_known: ports.is_some(),
            ..Facts::default()
        };
        self.applications.facts.insert(predefined.name.to_owned(), facts);
        for parent in predefined.implicit().filter_map(Predefined::named) {
            self.add_predefined(parent);
        }
        self.firewall.applications.push(ApplicationObject {
            name: predefined.name.to_owned(),
            identified_as: predefined.identified_as().map(str::to_owned).collect(),
            default_services,
            implicit: predefined.implicit().map(str::to_owned).collect(),
            members: Vec::new(),
            at: super::IMPLIED,
        });
    }

    fn add_unknown(&mut self, name: &str, at: Span) {
        let message = format!("the ports and signatures of application `{name}` are not known");
        self.problems.unsupported("application-not-known", at, message);
        self.applications.facts.insert(name.to_owned(), Facts::default());
        let name = name.to_owned();
        let object = ApplicationObject { name, at: super::IMPLIED, ..ApplicationObject::default() };
        self.firewall.applications.push(object);
    }

    /// Adds every predefined application when some rule holds any application to its default ports.
    pub(super) fn complete_applications(&mut self) {
        if self.applications.all_matter {
            let written: BTreeSet<String> =
                self.scopes.all(Kind::Application).iter().map(|it| it.name.clone()).collect();
            for predefined in Predefined::all() {
                if !written.contains(predefined.name) {
                    self.add_predefined(predefined);
                }
            }
        }
    }

    /// What the applications and services of a rule mean together.
    pub(super) fn match_applications(
        &mut self,
        scope: ScopeId,
        members: &[Element<'t>],
        services: Vec<At<ServiceItem>>,
    ) -> ApplicationMatch {
        let by_default = services.iter().any(|it| it.value == ServiceItem::ApplicationDefault);
        if members.iter().any(|member| member.name() == "any") {
            self.applications.all_matter |= by_default;
            return ApplicationMatch { applications: Names::Any, services, unknown: None };
        }
        let names: Vec<At<String>> = members
            .iter()
            .map(|it| At::new(self.resolve_name(scope, it.name(), it.at()), it.at()))
            .collect();
        let place = names.iter().map(|name| name.at).reduce(Span::to).unwrap_or_default();
        let leaves = self.leaves(&names);
        let listed = || {
            let mut listed: Vec<&str> = members.iter().map(|member| member.name()).collect();
            listed.sort_unstable();
            listed.join(", ")
        };
        if leaves.iter().any(|leaf| leaf.is_filter) {
            let text = format!("application {} (with a filter over attributes)", listed());
            let message = "application filters are not evaluated";
            self.problems.unsupported("application-filter", place, message);
            let text = self.scopes.qualified(text, scope, members.iter().copied());
            let unknown = Some(At::new(text, place));
            let services = without_default(services);
            return ApplicationMatch { applications: Names::Any, services, unknown };
        }
        let open = |item: &At<ServiceItem>| {
            matches!(item.value, ServiceItem::Any | ServiceItem::ApplicationDefault)
        };
        let headers: Option<Vec<_>> = leaves.iter().map(|leaf| leaf.headers.as_ref()).collect();
        if let Some(headers) = headers.filter(|it| !it.is_empty() && services.iter().all(open)) {
            let terms = headers.into_iter().flatten().cloned();
            let services = terms.map(|term| At::new(ServiceItem::Term(term), place)).collect();
            return ApplicationMatch { applications: Names::Any, services, unknown: None };
        }
        let ports_known = leaves.iter().all(|leaf| leaf.ports_known);
        let services = if by_default && !ports_known {
            let text = format!("default ports of {}", listed());
            let text = self.scopes.qualified(text, scope, members.iter().copied());
            vec![At::new(ServiceItem::Unknown(text), place)]
        } else {
            services
        };
        ApplicationMatch { applications: Names::OneOf(names), services, unknown: None }
    }

    /// What is known of the applications named, groups opened.
    fn leaves(&self, names: &[At<String>]) -> Vec<&Facts> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut open: Vec<(&str, usize)> =
            names.iter().map(|name| (name.value.as_str(), 0)).collect();
        while let Some((name, depth)) = open.pop() {
            let Some(facts) = self.applications.facts.get(name) else { continue };
            if depth > MAX_NESTING || !seen.insert(name) {
                continue;
            }
            if facts.members.is_empty() {
                found.push(facts);
            }
            open.extend(facts.members.iter().map(|member| (member.as_str(), depth + 1)));
        }
        found
    }
}

/// Default ports of applications that are not known are not known either.
fn without_default(services: Vec<At<ServiceItem>>) -> Vec<At<ServiceItem>> {
    let open = |item: At<ServiceItem>| match item.value {
        ServiceItem::ApplicationDefault => At::new(ServiceItem::Any, item.at),
        _ => item,
    };
    services.into_iter().map(open).collect()
}

/// `type` and `code` of an ICMP application.
fn icmp(element: Element<'_>, protocol: Protocol) -> Option<ServiceTerm> {
    let number = |name| element.value(name).map(|value| value.name().parse::<u8>());
    let code = match number("code") {
        None => None,
        Some(code) => Some(code.ok()?),
    };
    let kind = number("type")?.ok()?;
    let term = ServiceTerm::protocols(ProtocolSet::single(protocol));
    Some(ServiceTerm { icmp: Some(IcmpMatch { kind, code }), ..term })
}
