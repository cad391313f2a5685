//! The places where packets enter and leave a firewall, by the names people give them.

use std::collections::BTreeSet;

use ipnet::IpNet;
use parefeu_policy::{InterfaceId, LinkedFirewall, LinkedMatch, ZoneId, ZoneRelation};

use crate::flatten::Place;

/// The places of a firewall that share a name: a zone with its interfaces, or one interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gate {
    /// The zone's name, or the interface's, or [`Gate::OTHERS`]; `None` for a firewall that names
    /// no place.
    pub name: Option<Box<str>>,
    /// The places; never empty.
    pub places: Vec<Place>,
    /// The networks connected to them.
    pub networks: BTreeSet<IpNet>,
}

/// The gates of a firewall.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gates {
    /// All of them; never empty.
    pub gates: Vec<Gate>,
    /// Whether the last one stands for interfaces the configuration does not name.
    pub open: bool,
}

impl Gates {
    /// The gates of a firewall.
    ///
    /// With zones, these are the gates, and so are interfaces outside of them that have an address
    /// or that a rule names. Without, every interface is one; where none has an address they are
    /// known from rules only, and one more gate stands for all others. A firewall without places
    /// has one gate, or two where rules ask whether packets stay in their zone.
    pub fn of(firewall: &LinkedFirewall) -> Self {
        let zones = (0..firewall.zones.len() as u32).map(ZoneId);
        let mut gates: Vec<Gate> = zones.map(|zone| Gate::of_zone(firewall, zone)).collect();
        let named = named_interfaces(firewall);
        for (id, interface) in interfaces(firewall) {
            let used = !interface.addresses.is_empty() || named.contains(&id);
            if interface.zone.is_none() && (used || firewall.zones.is_empty()) {
                let place = Place { interface: Some(id), zone: None };
                gates.push(Gate::new(firewall, &interface.name, vec![place]));
            }
        }
        let bare = firewall.interfaces.iter().all(|interface| interface.addresses.is_empty());
        let open = firewall.zones.is_empty() && bare && !gates.is_empty();
        let unnamed = |interface, zone| {
            let places = vec![Place { interface, zone }];
            Gate { name: None, places, networks: BTreeSet::new() }
        };
        if open {
            let others = unnamed(Some(InterfaceId(firewall.interfaces.len() as u32)), None);
            gates.push(Gate { name: Some(Gate::OTHERS.into()), ..others });
        } else if gates.is_empty() && matches(firewall).any(|it| it.relation != ZoneRelation::Any) {
            // To tell traffic within a zone from traffic between zones, two are enough.
            gates.extend((0..2).map(|zone| unnamed(None, Some(ZoneId(zone)))));
        } else if gates.is_empty() {
            gates.push(unnamed(None, None));
        }
        Self { gates, open }
    }

    /// Whether the firewall names no place at all.
    pub fn is_bare(&self) -> bool {
        !self.open && self.gates.iter().all(|gate| gate.name.is_none())
    }

    /// The gate called so, or one of whose interfaces is.
    pub fn named(&self, firewall: &LinkedFirewall, name: &str) -> Option<usize> {
        let called = |gate: &Gate| gate.name.as_deref() == Some(name);
        let by_interface = || self.of_interface(firewall.interface_named(name)?);
        self.gates.iter().position(called).or_else(by_interface)
    }

    /// Whether a gate stands for the interfaces the configuration does not name.
    pub(crate) fn is_others(&self, at: usize) -> bool {
        self.open && at + 1 == self.gates.len()
    }

    /// The gate an interface belongs to.
    pub fn of_interface(&self, id: InterfaceId) -> Option<usize> {
        let holds = |gate: &Gate| gate.places.iter().any(|place| place.interface == Some(id));
        self.gates.iter().position(holds)
    }
}

impl Gate {
    /// The name of the gate of all interfaces that the configuration does not name.
    pub const OTHERS: &str = "(other)";

    fn of_zone(firewall: &LinkedFirewall, zone: ZoneId) -> Self {
        let members = interfaces(firewall).filter(|(_, interface)| interface.zone == Some(zone));
        let place = |interface| Place { interface, zone: Some(zone) };
        let mut places: Vec<Place> = members.map(|(id, _)| place(Some(id))).collect();
        if places.is_empty() {
            places.push(place(None));
        }
        Self::new(firewall, &firewall.zones[zone.index()], places)
    }

    fn new(firewall: &LinkedFirewall, name: &str, places: Vec<Place>) -> Self {
        let interfaces = places.iter().filter_map(|place| place.interface);
        let addresses = interfaces.flat_map(|id| &firewall.interfaces[id.index()].addresses);
        let networks = addresses.map(IpNet::trunc).collect();
        Self { name: Some(name.into()), places, networks }
    }
}

fn interfaces(
    firewall: &LinkedFirewall,
) -> impl Iterator<Item = (InterfaceId, &parefeu_policy::LinkedInterface)> {
    (0..).map(InterfaceId).zip(&firewall.interfaces)
}

/// The interfaces a rule names.
fn named_interfaces(firewall: &LinkedFirewall) -> BTreeSet<InterfaceId> {
    let sets = matches(firewall).flat_map(|it| [&it.ingress, &it.egress]);
    let listed = sets.filter(|set| !set.is_any());
    let named = listed.flat_map(|set| {
        let ids = interfaces(firewall).map(|(id, _)| id);
        ids.filter(|id| set.contains(id.0) != set.holds_unnamed())
    });
    named.collect()
}

/// What the rules match that are switched on, translations included.
pub(crate) fn matches(firewall: &LinkedFirewall) -> impl Iterator<Item = &LinkedMatch> {
    let filter = firewall.rules.iter().filter(|rule| !rule.disabled).map(|rule| &rule.matches);
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    let translations = tables.into_iter().flat_map(|table| &table.rules);
    filter.chain(translations.filter(|rule| !rule.disabled).map(|rule| &rule.matches))
}
