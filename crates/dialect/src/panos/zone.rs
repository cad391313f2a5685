//! Zones, the virtual systems they belong to, and what an external zone stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parefeu_policy::{At, Names, Span, Zone};

use super::convert::{Converter, Place};
use super::profile::written;
use super::scope::ScopeId;
use super::tree::Element;

/// A virtual system or shared gateway: what has zones of its own.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct DomainId(pub(super) usize);

/// Every zone by domain and written name.
#[derive(Default)]
pub(super) struct Zones {
    domains: Vec<Domain>,
    /// The unique names a written name stands for; several for an external zone.
    meanings: HashMap<(DomainId, String), Vec<String>>,
    /// The zone of an interface, with the place that says so.
    of_interface: BTreeMap<String, At<String>>,
    /// Domains that reach another one through an external zone.
    reaches: BTreeSet<(DomainId, DomainId)>,
    /// Whether names that are not defined become zones: the text says nothing about the network.
    pub(super) implicit: bool,
    /// Zones already declared because a rule names them.
    declared: BTreeSet<String>,
    /// For which addresses of a zone users are known.
    users: BTreeMap<String, Users>,
    /// Zone protection profiles by the zone they protect.
    pub(super) protection: Vec<(String, At<String>)>,
    /// The zones that have a rule base for what protects them.
    pub(super) protecting: Vec<At<String>>,
}

/// For which addresses of a zone the firewall applies what it knows of users.
enum Users {
    None,
    All,
    /// Not all; the text names which.
    Some(String),
}

struct Domain {
    name: String,
    zones: Vec<String>,
}

/// Traffic of an interface without zone is dropped; this zone stands for its absence.
pub(super) const NO_ZONE: &str = "(no-zone)";

impl Zones {
    pub(super) fn domains(&self) -> impl Iterator<Item = DomainId> + use<> {
        (0..self.domains.len()).map(DomainId)
    }

    pub(super) fn name(&self, domain: DomainId) -> &str {
        self.domains.get(domain.0).map_or("", |domain| &domain.name)
    }

    /// The zones of a domain, external ones left out.
    pub(super) fn zones(&self, domain: DomainId) -> &[String] {
        self.domains.get(domain.0).map(|domain| domain.zones.as_slice()).unwrap_or_default()
    }

    pub(super) fn reaches(&self, from: DomainId, to: DomainId) -> bool {
        self.reaches.contains(&(from, to))
    }

    pub(super) fn of_interface(&self, interface: &str) -> Option<&At<String>> {
        self.of_interface.get(interface)
    }

    /// Whether a domain defines a zone of that name.
    pub(super) fn knows(&self, domain: DomainId, name: &str) -> bool {
        self.meanings.contains_key(&(domain, name.to_owned()))
    }

    /// The zones of a domain as a match.
    pub(super) fn all_of(&self, domain: DomainId, at: Span) -> Names {
        Names::OneOf(self.zones(domain).iter().map(|zone| At::new(zone.clone(), at)).collect())
    }
}

impl<'t> Converter<'t> {
    /// Reads the zones of each domain, given with its parts. `scopes` give their names meaning.
    pub(super) fn convert_zones(
        &mut self,
        domains: &[(String, Vec<Element<'t>>)],
        scopes: &[ScopeId],
    ) {
        let mut count: HashMap<&str, BTreeSet<usize>> = HashMap::new();
        let zones = |parts: &[Element<'t>]| -> Vec<Element<'t>> {
            parts.iter().flat_map(|part| part.under("zone")).collect()
        };
        for (number, (_, parts)) in domains.iter().enumerate() {
            for zone in zones(parts) {
                count.entry(zone.name()).or_default().insert(number);
            }
        }
        let mut external = Vec::new();
        for (number, (name, parts)) in domains.iter().enumerate() {
            let domain = DomainId(number);
            self.zones.domains.push(Domain { name: name.clone(), zones: Vec::new() });
            for zone in zones(parts) {
                if zone.path(&["network", "external"]).is_some() {
                    external.push((domain, zone));
                    continue;
                }
                let meaning = (domain, zone.name().to_owned());
                if self.templates_overlap && self.zones.meanings.contains_key(&meaning) {
                    continue;
                }
                let shared = count.get(zone.name()).is_some_and(|domains| domains.len() > 1);
                let unique =
                    if shared { format!("{name}/{}", zone.name()) } else { zone.name().to_owned() };
                let scope = scopes.get(number).or(scopes.last()).copied();
                let users = self.zone_users(zone, scope);
                self.zones.users.insert(unique.clone(), users);
                self.define_zone(domain, zone, unique);
            }
        }
        for (domain, zone) in external {
            if let Some((_, parts)) = domains.get(domain.0) {
                self.report_invisible(parts, zone);
            }
            self.define_external(domain, zone);
        }
    }

    fn define_zone(&mut self, domain: DomainId, zone: Element<'t>, unique: String) {
        for kind in zone.under("network") {
            let interfaces = match kind.name() {
                "layer3" | "layer2" | "virtual-wire" | "tap" => Some(kind),
                "zone-protection-profile" => {
                    let profile = kind.children().last().map(Element::named);
                    let protected = profile.map(|profile| (unique.clone(), profile));
                    self.zones.protection.extend(protected);
                    None
                }
                "enable-packet-buffer-protection" | "log-setting" | "tunnel" | "net-inspection" => {
                    None
                }
                _ => {
                    self.unknown_element(kind, "zone");
                    None
                }
            };
            for interface in interfaces.into_iter().flat_map(Element::children) {
                let zone = At::new(unique.clone(), interface.at());
                let name = interface.name().to_owned();
                if let Some(other) = self.zones.of_interface.insert(name, zone)
                    && other.value != unique
                {
                    let message = format!("{} is in two zones", interface.name());
                    self.problems.error("two-zones", interface.at(), message);
                }
            }
        }
        for field in zone.children().filter(|it| !FIELDS.contains(&it.name())) {
            self.unknown_element(field, "zone");
        }
        let meaning = (domain, zone.name().to_owned());
        self.zones.meanings.insert(meaning, vec![unique.clone()]);
        if let Some(domain) = self.zones.domains.get_mut(domain.0) {
            domain.zones.push(unique.clone());
        }
        self.firewall.zones.push(Zone { name: unique, at: zone.at() });
    }

    /// Names external zones to systems that the one of these parts is not said to see, where it is
    /// said what it imports at all. Shared gateways are no systems.
    fn report_invisible(&mut self, parts: &[Element<'t>], zone: Element<'t>) {
        let imports: Vec<Element<'t>> = parts.iter().filter_map(|it| it.child("import")).collect();
        let sees = |name: &str| {
            let mut seen = imports.iter().flat_map(|it| it.under("visible-vsys"));
            seen.any(|it| it.name() == name)
        };
        let targets = zone.path(&["network", "external"]);
        let targets = targets.into_iter().flat_map(Element::children);
        for target in targets.filter(|it| it.name().starts_with("vsys") && !sees(it.name())) {
            if !imports.is_empty() {
                let message = "the system is not said to be visible: it is taken to be reached";
                self.problems.unsupported("visible-vsys", target.at(), message);
            }
        }
    }

    /// An external zone stands for every zone of the systems it leads to.
    fn define_external(&mut self, domain: DomainId, zone: Element<'t>) {
        let mut meaning = Vec::new();
        let targets = zone.path(&["network", "external"]);
        for target in targets.into_iter().flat_map(Element::children) {
            let found = self.zones.domains().find(|id| self.zones.name(*id) == target.name());
            if let Some(found) = found {
                self.zones.reaches.insert((domain, found));
                meaning.extend_from_slice(self.zones.zones(found));
            }
        }
        self.zones.meanings.insert((domain, zone.name().to_owned()), meaning);
    }

    /// What the zone names of a rule mean; `any` among them means any.
    pub(super) fn resolve_zones(&mut self, domain: DomainId, members: &[Element<'t>]) -> Names {
        if members.iter().any(|member| member.name() == "any") {
            return Names::Any;
        }
        let mut names = Vec::new();
        for member in members {
            let (name, at) = (member.name(), member.at());
            let meaning = self.zones.meanings.get(&(domain, name.to_owned()));
            if let Some(meaning) = meaning {
                names.extend(meaning.iter().map(|zone| At::new(zone.clone(), at)));
                continue;
            }
            if self.zones.implicit && self.zones.declared.insert(name.to_owned()) {
                self.firewall.zones.push(Zone { name: name.to_owned(), at });
            }
            names.push(At::new(name.to_owned(), at));
        }
        Names::OneOf(names)
    }

    /// The zones from which a rule that names users can match: without user identification a zone
    /// has none ("Building Blocks of Security Zones", PAN-OS Web Interface Help).
    pub(super) fn zones_with_users(
        &mut self,
        rule: Element<'t>,
        from: Names,
        place: Place,
        unknown: &mut Vec<At<String>>,
    ) -> Names {
        let listed: Vec<&str> = rule.under("source-user").map(Element::name).collect();
        // Users who are not known are those of a zone without identification as well.
        let open = |user: &str| user == "any" || user == "unknown";
        if listed.is_empty() || listed.iter().any(|user| open(user)) {
            return from;
        }
        let at = rule.at();
        let zones = match &from {
            Names::Any if self.zones.implicit => return from,
            Names::Any => self.zones.all_of(place.domain, at),
            _ => from.clone(),
        };
        let users = |zone: &At<String>| self.zones.users.get(&zone.value);
        let without = |zone: &At<String>| matches!(users(zone), Some(Users::None));
        let some = zones.listed().iter().filter_map(|zone| match users(zone)? {
            Users::Some(text) => Some(format!("zone {} {text}", zone.value)),
            _ => None,
        });
        let mut some: Vec<String> = some.collect();
        if !some.is_empty() {
            some.sort_unstable();
            let message = "for which addresses of a zone users are known is not evaluated";
            self.problems.unsupported("user-acl", at, message);
            unknown.push(At::new(format!("users known in {}", some.join(", ")), at));
        }
        let (silent, speaking): (Vec<_>, Vec<_>) =
            zones.listed().iter().cloned().partition(|zone| without(zone));
        if silent.is_empty() {
            return from;
        }
        if from != Names::Any || speaking.is_empty() {
            let names: Vec<String> = silent.into_iter().map(|zone| zone.value).collect();
            let names = names.join(", ");
            let message = format!("no users are known in {names}: the rule does not match there");
            self.problems.suspicious("no-user-identification", at, message);
        }
        Names::OneOf(speaking)
    }

    fn zone_users(&self, zone: Element<'t>, scope: Option<ScopeId>) -> Users {
        if !zone.says_yes("enable-user-identification") {
            return Users::None;
        }
        let lists = zone.child("user-acl").filter(|acl| {
            ["include-list", "exclude-list"].iter().any(|list| acl.under(list).next().is_some())
        });
        let Some(lists) = lists else { return Users::All };
        let text = written(lists, "user-acl");
        Users::Some(match scope {
            Some(scope) => self.scopes.qualified(text, scope, [lists]),
            None => text,
        })
    }

    /// Declares the zone of interfaces that are in none.
    pub(super) fn add_zone_of_absence(&mut self) {
        if self.firewall.zones.iter().all(|zone| zone.name != NO_ZONE) {
            self.firewall.zones.push(Zone { name: NO_ZONE.to_owned(), at: super::IMPLIED });
        }
    }
}

/// The fields of a zone that are read, or that change nothing about who may talk to whom.
const FIELDS: &[&str] = &[
    "network",
    "enable-user-identification",
    "enable-device-identification",
    "user-acl",
    "device-acl",
    "description",
    "tag",
    "id",
    "loc",
    "uuid",
    "color",
];
