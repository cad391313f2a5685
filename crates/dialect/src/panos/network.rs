//! Interfaces, virtual wires, virtual routers and their static routes.

use std::collections::BTreeMap;

use ipnet::IpNet;
use parefeu_policy::{At, Interface, Route};

use super::convert::Converter;
use super::literal;
use super::scope::{Kind, ScopeId};
use super::tree::Element;
use super::zone::NO_ZONE;

/// The routing table of interfaces that are in no virtual router: nothing leaves through it.
const NOT_ROUTED: &str = "(no virtual router)";

/// The administrative distance of a static route where none is written.
const STATIC_DISTANCE: u32 = 10;

/// How an interface forwards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    Routed,
    VirtualWire,
    /// The egress interface depends on learned MAC addresses, or nothing is forwarded at all.
    Unrouted,
}

/// The routing table of every interface that has one.
#[derive(Default)]
struct Routers<'t> {
    of_interface: BTreeMap<&'t str, String>,
    any: bool,
}

impl<'t> Converter<'t> {
    /// Reads interfaces and routes; the zones are known. `scope` gives the names in addresses
    /// meaning.
    pub(super) fn convert_network(&mut self, networks: &[Element<'t>], scope: ScopeId) {
        let mut routers = Routers::default();
        for network in networks {
            for section in network.children() {
                if !SECTIONS.contains(&section.name()) {
                    self.unknown_element(section, "network");
                }
            }
            Self::find_routers(*network, &mut routers);
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
                            self.convert_port(interface, scope, &routers);
                        }
                    }
                    // The section is itself the interface of that name.
                    "loopback" | "tunnel" | "vlan" | "sdwan" => {
                        if kind.has("ip") || kind.has("ipv6") {
                            self.add_interface(kind, kind, (Mode::Routed, scope), &routers);
                        }
                        for unit in kind.under("units") {
                            self.add_interface(unit, unit, (Mode::Routed, scope), &routers);
                        }
                    }
                    _ => self.unknown_element(kind, "interface"),
                }
            }
        }
        for network in networks {
            self.convert_routers(*network, scope);
        }
        self.keep_interface_management(networks);
    }

    fn find_routers(network: Element<'t>, routers: &mut Routers<'t>) {
        for router in router_elements(network) {
            routers.any = true;
            for interface in router.element.under("interface") {
                routers.of_interface.insert(interface.name(), router.name.clone());
            }
        }
    }

    fn convert_port(&mut self, port: Element<'t>, scope: ScopeId, routers: &Routers<'t>) {
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
        routers: &Routers<'t>,
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
        let v6 = settings.child("ipv6").filter(|v6| !v6.value("enabled").is_some_and(is_no));
        let written = settings.under("ip").chain(v6.into_iter().flat_map(|v6| v6.under("address")));
        let addresses: Vec<IpNet> = match mode {
            Mode::Routed if router != NOT_ROUTED => {
                written.filter_map(|address| self.interface_address(address, scope)).collect()
            }
            _ => Vec::new(),
        };
        let mut zone = self.zones.of_interface(name).cloned();
        if zone.is_none() && !addresses.is_empty() && !self.zones.implicit {
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

    /// An address of an interface: a literal, or an address object that holds exactly one.
    fn interface_address(&mut self, address: Element<'t>, scope: ScopeId) -> Option<IpNet> {
        let name = address.name();
        let object = self.scopes.find(Kind::Address, scope, name).map(|object| object.element);
        let network = match object {
            Some(object) => {
                object.value("ip-netmask").and_then(|value| literal::network(value.name()))
            }
            None => literal::network(name),
        };
        if network.is_none() {
            let message = format!("`{name}` is no address an interface can have");
            self.problems.unsupported("interface-address", address.at(), message);
        }
        network
    }

    /// Both sides of a virtual wire forward to each other whatever the destination.
    fn convert_virtual_wire(&mut self, wire: Element<'t>, routers: &mut Routers<'t>) {
        let sides = wire.value("interface1").zip(wire.value("interface2"));
        let Some((first, second)) = sides else { return };
        for (side, peer) in [(first, second), (second, first)] {
            let router = format!("virtual wire {} from {}", wire.name(), side.name());
            routers.of_interface.insert(side.name(), router.clone());
            for destination in
                [IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())]
            {
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

    fn convert_routers(&mut self, network: Element<'t>, scope: ScopeId) {
        for router in router_elements(network) {
            for protocol in router.element.under("protocol").filter(|it| it.says_yes("enable")) {
                let message = format!(
                    "{} learns routes at run time: egress zones are those of the static routes",
                    protocol.name()
                );
                self.problems.unsupported("dynamic-routing", protocol.at(), message);
            }
            for family in router.element.under("routing-table") {
                for route in family.under("static-route") {
                    self.convert_route(route, &router.name, scope);
                }
            }
        }
    }

    fn convert_route(&mut self, route: Element<'t>, router: &str, scope: ScopeId) {
        let at = route.at();
        let destination = route.value("destination");
        let Some(destination) = destination.and_then(|it| self.interface_address(it, scope)) else {
            self.problems.unsupported("route", at, "the destination of the route is not known");
            return;
        };
        let number = |name| route.value(name).and_then(|value| value.name().parse::<u32>().ok());
        let distance = number("admin-dist").unwrap_or(STATIC_DISTANCE).min(255);
        let metric = number("metric").unwrap_or(STATIC_DISTANCE).min(65_535);
        let interface = route.value("interface").filter(|it| it.name() != "None");
        let next = route.child("nexthop");
        let hop = |name| next.and_then(|next| next.value(name));
        let address = hop("ip-address").or_else(|| hop("ipv6-address"));
        let next_router = hop("next-vr").or_else(|| hop("next-lr"));
        let discard = next.is_some_and(|next| next.has("discard"));
        let next_hop = address.and_then(|address| self.interface_address(address, scope));
        let leads = next_hop.is_some() || next_router.is_some() || interface.is_some() || discard;
        if !leads {
            self.problems.unsupported("route", at, "where the route leads is not known");
            return;
        }
        self.firewall.routes.push(Route {
            destination,
            interface: interface.filter(|_| !discard).map(Element::named),
            next_hop: next_hop.filter(|_| !discard).map(|network| network.addr()),
            next_router: next_router.map(|next| next.name().to_owned()),
            metric: distance << 16 | metric,
            router: router.to_owned(),
            at,
        });
    }
}

/// A virtual router, or a routing instance of a logical router, by the name other routes use.
struct Router<'t> {
    name: String,
    element: Element<'t>,
}

fn router_elements(network: Element<'_>) -> impl Iterator<Item = Router<'_>> {
    let named = |element: Element<'_>| element.name().to_owned();
    let virtual_routers = network.under("virtual-router");
    let logical_routers = network.under("logical-router").flat_map(move |router| {
        router.under("vrf").map(move |vrf| {
            let name = match vrf.name() {
                "default" => named(router),
                other => format!("{}/{other}", router.name()),
            };
            Router { name, element: vrf }
        })
    });
    virtual_routers.map(move |it| Router { name: named(it), element: it }).chain(logical_routers)
}

fn is_no(value: Element<'_>) -> bool {
    value.name() == "no"
}

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
