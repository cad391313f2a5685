//! Zones, the virtual systems they belong to, and what an external zone stands for.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parefeu_policy::{At, Names, Span, Zone};

use super::convert::Converter;
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

    /// The zones of a domain as a match.
    pub(super) fn all_of(&self, domain: DomainId, at: Span) -> Names {
        Names::OneOf(self.zones(domain).iter().map(|zone| At::new(zone.clone(), at)).collect())
    }
}

impl<'t> Converter<'t> {
    /// Reads the zones of each domain, given with its parts.
    pub(super) fn convert_zones(&mut self, domains: &[(String, Vec<Element<'t>>)]) {
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
                "zone-protection-profile"
                | "enable-packet-buffer-protection"
                | "log-setting"
                | "tunnel"
                | "net-inspection" => None,
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

    /// Declares the zone of interfaces that are in none.
    pub(super) fn add_zone_of_absence(&mut self) {
        if self.firewall.zones.iter().all(|zone| zone.name != NO_ZONE) {
            self.firewall.zones.push(Zone { name: NO_ZONE.to_owned(), at: super::IMPLIED });
        }
    }
}
