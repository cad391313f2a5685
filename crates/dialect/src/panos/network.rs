//! Interfaces and virtual wires.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parefeu_policy::{Action, AddressItem, AddressMatch, At, Interface, Match, Names, Route};

use super::convert::{Converter, implied};
use super::literal;
use super::route::{Lease, router_elements};
use super::scope::{Kind, ScopeId};
use super::tree::Element;
use super::zone::NO_ZONE;

/// The routing table of interfaces that are in no virtual router: nothing leaves through it.
pub(super) const NOT_ROUTED: &str = "(no virtual router)";

/// Multicast addresses (RFC 5771, RFC 4291 §2.7).
const MULTICAST: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// How an interface forwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Routed,
    VirtualWire,
    /// The egress interface depends on learned MAC addresses, or nothing is forwarded at all.
    Unrouted,
}

/// The routing table of every interface that has one, and what else routes depend on.
#[derive(Default)]
pub(super) struct Routers<'t> {
    of_interface: BTreeMap<&'t str, String>,
    any: bool,
    /// Interfaces that are switched off.
    pub(super) down: BTreeSet<&'t str>,
    /// The networks of these: no next hop is reached through them.
    pub(super) down_networks: Vec<IpNet>,
    /// Default routes that interfaces are given at run time.
    pub(super) leases: Vec<Lease<'t>>,
}

impl<'t> Converter<'t> {
    /// Reads interfaces and routes; the zones are known. `scope` gives the names in addresses
    /// meaning, `systems` are the virtual systems.
    pub(super) fn convert_network(
        &mut self,
        networks: &[Element<'t>],
        systems: &[Element<'t>],
        scope: ScopeId,
    ) {
        let mut routers = Routers::default();
        for network in networks {
            for section in network.children() {
                if !SECTIONS.contains(&section.name()) {
                    self.unknown_element(section, "network");
                }
            }
            Self::find_routers(*network, &mut routers);
            find_down(*network, &mut routers);
        }
        for network in networks {
            for wire in network.under("virtual-wire") {
                self.convert_virtual_wire(wire, &mut routers);
            }
        }
        for network in networks {
            for kind in network.under("interface") {
                match kind.name() {
                    "ethernet" | "aggregate-ethernet" => {
                        for interface in kind.children() {
                            self.convert_port(interface, scope, &mut routers);
                        }
                    }
                    // The section is itself the interface of that name.
                    "loopback" | "tunnel" | "vlan" | "sdwan" => {
                        if kind.has("ip") || kind.has("ipv6") {
                            self.add_interface(kind, kind, (Mode::Routed, scope), &mut routers);
                        }
                        for unit in kind.under("units") {
                            self.add_interface(unit, unit, (Mode::Routed, scope), &mut routers);
                        }
                    }
                    _ => self.unknown_element(kind, "interface"),
                }
            }
        }
        self.drop_zones_that_are_down(&routers);
        self.convert_routes(networks, systems, &routers, scope);
        self.keep_interface_management(networks);
    }

    /// A virtual wire forwards multicast without asking the rules, unless it is told to ask them
    /// (*Virtual Wires*, PAN-OS Web Interface Help).
    fn pass_multicast(&mut self, wire: Element<'t>, sides: [Element<'t>; 2]) {
        let items = MULTICAST.map(|it| At::new(AddressItem::Network(it), wire.at()));
        let matches = Match {
            ingress: Names::OneOf(sides.iter().map(|side| side.named()).collect()),
            dst: AddressMatch { items: items.into(), negated: false },
            ..Match::default()
        };
        let name = format!("multicast-across-{}", wire.name());
        self.first_rules.push(implied(&name, matches, Action::Allow));
    }

    fn find_routers(network: Element<'t>, routers: &mut Routers<'t>) {
        for router in router_elements(network) {
            routers.any = true;
            for interface in router.element.under("interface") {
                let name = interface.name();
                routers.of_interface.entry(name).or_insert_with(|| router.name.clone());
            }
        }
    }

    fn convert_port(&mut self, port: Element<'t>, scope: ScopeId, routers: &mut Routers<'t>) {
        for field in port.children() {
            let mode = match field.name() {
                "layer3" => Mode::Routed,
                "virtual-wire" => Mode::VirtualWire,
                "layer2" | "tap" => Mode::Unrouted,
                "comment" | "link-speed" | "link-duplex" | "link-state" | "lldp" | "lacp"
                | "ha" | "aggregate-group" | "log-card" | "decrypt-mirror" | "poe" => continue,
                _ => {
                    self.unknown_element(field, "interface");
                    continue;
                }
            };
            self.add_interface(port, field, (mode, scope), routers);
            for unit in field.under("units") {
                if mode == Mode::VirtualWire {
                    let message = "sub-interfaces of a virtual wire are not modelled";
                    self.problems.unsupported("virtual-wire-unit", unit.at(), message);
                }
                let mode = if mode == Mode::Routed { mode } else { Mode::Unrouted };
                self.add_interface(unit, unit, (mode, scope), routers);
            }
        }
    }

    /// Adds the interface `named`, whose addresses are under `settings`.
    fn add_interface(
        &mut self,
        named: Element<'t>,
        settings: Element<'t>,
        (mode, scope): (Mode, ScopeId),
        routers: &mut Routers<'t>,
    ) {
        let name = named.name();
        let known = self.templates_overlap
            && self.firewall.interfaces.iter().any(|interface| interface.name == name);
        if known {
            return;
        }
        let router = routers.of_interface.get(name).cloned();
        let router = router.unwrap_or_else(|| match (mode, routers.any) {
            (Mode::Routed, false) => String::new(),
            _ => NOT_ROUTED.to_owned(),
        });
        self.report_fields(settings, INTERFACE_FIELDS, "interface");
        let untagged = settings.value("untagged-sub-interface");
        if let Some(untagged) = untagged.filter(|it| it.name() == "yes") {
            let message = "which sub-interface traffic without a VLAN tag enters is not modelled";
            self.problems.unsupported("untagged-sub-interface", untagged.at(), message);
        }
        let v6 = self.enabled_v6(settings);
        let written = settings.under("ip").chain(v6);
        let is_routed = mode == Mode::Routed && router != NOT_ROUTED;
        let written = written.filter(|_| is_routed);
        let mut addresses: Vec<IpNet> =
            written.filter_map(|address| self.interface_address(address, scope)).collect();
        let is_down = routers.down.contains(name);
        if is_down {
            routers.down_networks.append(&mut addresses);
        }
        let is_leased = is_routed && !is_down && self.find_lease(named, settings, routers);
        let mut zone = self.zones.of_interface(name).filter(|_| !is_down).cloned();
        let has_address = !addresses.is_empty() || is_leased;
        if zone.is_none() && has_address && !self.zones.implicit {
            self.add_zone_of_absence();
            zone = Some(At::new(NO_ZONE.to_owned(), named.at()));
        }
        let tag = settings.value("tag").map(|tag| tag.name().parse());
        let vlan = tag.and_then(Result::ok);
        let (name, aliases, at) = (name.to_owned(), Vec::new(), named.at());
        self.firewall.interfaces.push(Interface {
            name,
            aliases,
            zone,
            addresses,
            vlan,
            router,
            at,
        });
    }

    /// The IPv6 addresses of an interface, which has them only where IPv6 is switched on for it
    /// (*Layer 3 Interface*, PAN-OS Web Interface Help).
    fn enabled_v6(&mut self, settings: Element<'t>) -> Vec<Element<'t>> {
        let Some(v6) = settings.child("ipv6") else { return Vec::new() };
        let is_used = |it: &Element<'t>| !it.value("enable-on-interface").is_some_and(is_no);
        let addresses: Vec<Element<'t>> = v6.under("address").filter(is_used).collect();
        match v6.value("enabled") {
            Some(enabled) if enabled.name() == "yes" => addresses,
            Some(_) => Vec::new(),
            None => {
                if let Some(first) = addresses.first() {
                    let message = "IPv6 is not switched on for the interface: it is without \
                                   these addresses";
                    self.problems.unsupported("ipv6-not-enabled", first.at(), message);
                }
                Vec::new()
            }
        }
    }

    /// Traffic of a zone none of whose interfaces is up is none.
    fn drop_zones_that_are_down(&mut self, routers: &Routers<'t>) {
        let zone_of = |name: &str| Some(&self.zones.of_interface(name)?.value);
        let up: BTreeSet<&String> = self
            .firewall
            .interfaces
            .iter()
            .filter_map(|it| Some(&it.zone.as_ref()?.value))
            .collect();
        let all: BTreeSet<&String> = routers
            .down
            .iter()
            .filter_map(|name| zone_of(name))
            .filter(|it| !up.contains(it))
            .collect();
        let names = || {
            let named = all.iter().map(|zone| At::new((*zone).clone(), super::IMPLIED));
            Names::OneOf(named.collect())
        };
        if all.is_empty() {
            return;
        }
        let from = Match { from: names(), ..Match::default() };
        let to = Match { to: names(), ..Match::default() };
        let rules = [("ingress-is-down", from), ("egress-is-down", to)];
        self.first_rules.extend(rules.map(|(name, matches)| implied(name, matches, Action::Drop)));
    }

    /// Announces the fields of an element that are neither read nor known to change nothing.
    pub(super) fn report_fields(&mut self, element: Element<'t>, known: &[&str], kind: &str) {
        for field in element.children().filter(|field| !known.contains(&field.name())) {
            self.unknown_element(field, kind);
        }
    }

    /// An address of an interface: a literal, or an address object that holds exactly one.
    pub(super) fn interface_address(
        &mut self,
        address: Element<'t>,
        scope: ScopeId,
    ) -> Option<IpNet> {
        let name = address.name();
        let object = self.scopes.find(Kind::Address, scope, name).map(|object| object.element);
        let network = match object {
            Some(object) => {
                object.value("ip-netmask").and_then(|value| literal::network(value.name()))
            }
            None => literal::network(self.variable(name).unwrap_or(name)),
        };
        if network.is_none() {
            let message = format!("`{name}` is no address an interface can have");
            self.problems.unsupported("interface-address", address.at(), message);
            self.problems.defined(self.digest_of_variable(name));
        }
        network
    }

    /// Both sides of a virtual wire forward to each other whatever the destination.
    fn convert_virtual_wire(&mut self, wire: Element<'t>, routers: &mut Routers<'t>) {
        self.report_fields(wire, WIRE_FIELDS, "virtual wire");
        let sides = wire.value("interface1").zip(wire.value("interface2"));
        let Some((first, second)) = sides else { return };
        if let Some(tags) = wire.value("tag-allowed").filter(|it| it.name() != "0") {
            let message = "which VLAN tags a virtual wire lets through is not compared";
            self.problems.unsupported("virtual-wire-tags", tags.at(), message);
        }
        if !wire.child("multicast-firewalling").is_some_and(|it| it.says_yes("enable")) {
            self.pass_multicast(wire, [first, second]);
        }
        for side in [first, second] {
            self.wired.push(side.named());
        }
        if [first, second].iter().any(|side| routers.down.contains(side.name())) {
            for side in [first, second] {
                routers.of_interface.insert(side.name(), NOT_ROUTED.to_owned());
            }
            return;
        }
        for (side, peer) in [(first, second), (second, first)] {
            let router = format!("virtual wire {} from {}", wire.name(), side.name());
            routers.of_interface.insert(side.name(), router.clone());
            for destination in [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())] {
                self.firewall.routes.push(Route {
                    destination,
                    interface: Some(peer.named()),
                    next_hop: None,
                    next_router: None,
                    metric: 1,
                    router: router.clone(),
                    at: wire.at(),
                });
            }
        }
    }
}

/// Ports that are switched off, with their sub-interfaces.
fn find_down<'t>(network: Element<'t>, routers: &mut Routers<'t>) {
    let kinds = ["ethernet", "aggregate-ethernet"];
    let sections = network.under("interface").filter(|it| kinds.contains(&it.name()));
    let is_down =
        |port: &Element<'_>| port.value("link-state").is_some_and(|it| it.name() == "down");
    for port in sections.flat_map(Element::children).filter(is_down) {
        routers.down.insert(port.name());
        let units = port.children().flat_map(|mode| mode.under("units"));
        routers.down.extend(units.map(Element::name));
    }
}

pub(super) fn is_no(value: Element<'_>) -> bool {
    value.name() == "no"
}

/// Fields of an interface or of what it is used for that are read, or change nothing about which
/// traffic passes.
const INTERFACE_FIELDS: &[&str] = &[
    "ip",
    "ipv6",
    "units",
    "tag",
    "dhcp-client",
    "pppoe",
    "comment",
    "mtu",
    "link-state",
    "link-speed",
    "link-duplex",
    "aggregate-group",
    "adjust-tcp-mss",
    "df-ignore",
    "interface-management-profile",
    "netflow-profile",
    "lldp",
    "lacp",
    "ndp-proxy",
    "arp",
    "ddns-config",
    "bonjour",
    "decrypt-forward",
    "traffic-interconnect",
    "untagged-sub-interface",
    "poe",
    "layer3",
    "layer2",
    "virtual-wire",
    "tap",
    "link-tag",
    "bandwidth",
];

/// The same of a virtual wire.
const WIRE_FIELDS: &[&str] = &[
    "interface1",
    "interface2",
    "tag-allowed",
    "multicast-firewalling",
    "link-state-pass-through",
];

/// The sections of a network; those this does not read cannot change verdicts.
const SECTIONS: &[&str] = &[
    "interface",
    "virtual-router",
    "logical-router",
    "virtual-wire",
    "shared-gateway",
    "vlan",
    "profiles",
    "ike",
    "qos",
    "tunnel",
    "dhcp",
    "dns-proxy",
    "lldp",
    "global-protect",
    "underlay-net",
    "sdwan",
    "routing-profile",
];
