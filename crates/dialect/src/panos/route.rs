//! Virtual and logical routers: static routes, and what is known of those learnt at run time.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Subnets};
use parefeu_policy::{Action, AddressItem, At, Interface, Match, Names, Route, Span, Zone};

use super::convert::{Converter, implied};
use super::definition::digest_of;
use super::either::{Either, NOT_KNOWN, Way};
use super::literal;
use super::network::{NOT_ROUTED, Routers, is_no};
use super::scope::ScopeId;
use super::tree::Element;

/// The administrative distance of a static route, and its metric, where none is written (*Static
/// Routes*, PAN-OS Web Interface Help).
const STATIC_DISTANCE: u32 = 10;

/// What the device gives its routes to the addresses of GlobalProtect clients (*Why does the IP
/// address range assigned from GlobalProtect gets subdivided*, Palo Alto Networks Knowledge Base).
const POOL_METRIC: u32 = (STATIC_DISTANCE << 16) + STATIC_DISTANCE;

/// More ways out that are not known than this are not told apart: each may add as many rules as
/// there are.
const MAX_EITHER: usize = 16;

/// A default route that an interface is given at run time.
pub(super) struct Lease<'t> {
    interface: &'t str,
    metric: u32,
    at: Span,
}

/// A route that may be the one in use.
struct Candidate {
    route: Route,
    /// Whether it is there at run time only.
    is_leased: bool,
}

impl Candidate {
    /// What tells its place among the others.
    fn words(&self, target: &str) -> String {
        let (distance, metric) = (self.route.metric >> 16, self.route.metric & 0xffff);
        let when = if self.is_leased { " at run time" } else { "" };
        format!("{target}{when}, distance {distance}, metric {metric}")
    }
}

impl<'t> Converter<'t> {
    /// Whether an interface is given its address at run time. A default route comes with it unless
    /// it is switched off (*Layer 3 Interface*, PAN-OS Web Interface Help).
    pub(super) fn find_lease(
        &mut self,
        named: Element<'t>,
        settings: Element<'t>,
        routers: &mut Routers<'t>,
    ) -> bool {
        let on = |it: &Element<'t>| !it.value("enable").is_some_and(is_no);
        let v4 = ["dhcp-client", "pppoe"].into_iter().filter_map(|kind| settings.child(kind));
        let v4: Vec<Element<'t>> = v4.filter(on).collect();
        for lease in &v4 {
            if lease.value("create-default-route").is_some_and(is_no) {
                continue;
            }
            let metric = lease.value("default-route-metric").and_then(|it| it.name().parse().ok());
            let metric = metric.unwrap_or(STATIC_DISTANCE).min(65_535);
            routers.leases.push(Lease { interface: named.name(), metric, at: lease.at() });
        }
        let v6 = ["dhcp-client", "inherited"].into_iter();
        let v6 = v6.filter_map(|kind| settings.path(&["ipv6", kind])).filter(on);
        let all: Vec<Element<'t>> = v4.into_iter().chain(v6).collect();
        for lease in &all {
            let message = format!(
                "the address that {} is given at run time, and what is connected there, is not known",
                named.name()
            );
            self.problems.unsupported("run-time-address", lease.at(), message);
        }
        !all.is_empty()
    }

    /// Reads the routes of all routers; the interfaces are known.
    pub(super) fn convert_routes(
        &mut self,
        networks: &[Element<'t>],
        systems: &[Element<'t>],
        routers: &Routers<'t>,
        scope: ScopeId,
    ) {
        let mut candidates = Vec::new();
        let mut seen = BTreeSet::new();
        for router in networks.iter().flat_map(|network| router_elements(*network)) {
            self.report_router(&router);
            for family in router.element.under("routing-table") {
                for route in family.under("static-route") {
                    let key = (router.name.clone(), family.name(), route.name());
                    let is_new = seen.insert(key) || !self.templates_overlap;
                    if is_new && let Some(route) = self.convert_route(route, &router, scope) {
                        candidates.push(Candidate { route, is_leased: false });
                    }
                }
            }
        }
        let is_up = |route: &Route| {
            let down = |name: &At<String>| routers.down.contains(name.value.as_str());
            let lost = |hop| {
                routers.down_networks.iter().any(|net| net.contains(&hop))
                    && self.interface_of(&route.router, hop).is_none()
            };
            match &route.interface {
                Some(interface) => !down(interface),
                None => !route.next_hop.is_some_and(lost),
            }
        };
        candidates.retain(|it| is_up(&it.route));
        for lease in &routers.leases {
            let to = (IpNet::V4(Ipv4Net::default()), STATIC_DISTANCE << 16 | lease.metric);
            let route = self.route_by(&At::new(lease.interface.to_owned(), lease.at), to);
            candidates.extend(route.map(|route| Candidate { route, is_leased: true }));
        }
        for (interface, pool) in self.pools(networks, systems, scope) {
            let route = self.route_by(&interface, (pool, POOL_METRIC));
            candidates.extend(route.map(|route| Candidate { route, is_leased: false }));
        }
        let mut alike: BTreeMap<(String, IpNet), Vec<Candidate>> = BTreeMap::new();
        for it in candidates {
            let key = (it.route.router.clone(), it.route.destination.trunc());
            alike.entry(key).or_default().push(it);
        }
        for group in alike.values() {
            self.choose(group);
        }
    }

    /// A route out of an interface, by the router that has it.
    fn route_by(
        &self,
        interface: &At<String>,
        (destination, metric): (IpNet, u32),
    ) -> Option<Route> {
        let found = self.firewall.interfaces.iter().find(|it| it.name == interface.value)?;
        (found.router != NOT_ROUTED).then(|| Route {
            destination,
            interface: Some(interface.clone()),
            next_hop: None,
            next_router: None,
            metric,
            router: found.router.clone(),
            at: interface.at,
        })
    }

    /// The interface of a router that a next hop is connected to.
    fn interface_of(&self, router: &str, hop: std::net::IpAddr) -> Option<&Interface> {
        let mut interfaces = self.firewall.interfaces.iter();
        interfaces
            .find(|it| it.router == router && it.addresses.iter().any(|net| net.contains(&hop)))
    }

    /// Adds the routes to one prefix. The one of the lowest distance and metric is in use; of equal
    /// ones the first installed (*Default Route Behavior When Using an Interface Acting as DHCP
    /// Client*, Palo Alto Networks Knowledge Base), or several (*ECMP*, PAN-OS Networking
    /// Administrator's Guide), and one of a lease only while there is a lease.
    fn choose(&mut self, group: &[Candidate]) {
        let targets = group.iter().map(|it| {
            let Route { interface, next_hop, next_router, router, .. } = &it.route;
            match (interface, next_hop, next_router) {
                (_, _, Some(_)) | (None, None, None) => Some(None),
                (Some(interface), _, None) => Some(Some(interface.value.clone())),
                (None, Some(hop), None) => {
                    self.interface_of(router, *hop).map(|it| Some(it.name.clone()))
                }
            }
        });
        let found: Vec<(Option<String>, &Candidate)> =
            targets.zip(group).filter_map(|(target, it)| Some((target?, it))).collect();
        let fixed =
            found.iter().filter(|(_, it)| !it.is_leased).map(|(_, it)| it.route.metric).min();
        let may_be_used = |it: &&Candidate| match fixed {
            Some(best) if it.is_leased => it.route.metric <= best,
            Some(best) => it.route.metric == best,
            None => true,
        };
        let possible: Vec<_> = found.iter().filter(|(_, it)| may_be_used(it)).collect();
        let targets: BTreeSet<&Option<String>> = possible.iter().map(|it| &it.0).collect();
        if targets.len() > 1 {
            self.add_either(&possible);
        }
        let routes = group.iter().filter(|it| !it.is_leased || fixed.is_none());
        let routes: Vec<Route> = routes.map(|it| it.route.clone()).collect();
        self.firewall.routes.extend(routes);
    }

    /// Adds a route out of an interface that stands for those of several routes.
    fn add_either(&mut self, possible: &[&(Option<String>, &Candidate)]) {
        let Some((_, first)) = possible.first() else { return };
        let Route { destination, router, at, .. } = first.route.clone();
        let zone_of = |name: &str| {
            let found = self.firewall.interfaces.iter().find(|it| it.name == name);
            found.and_then(|it| Some(it.zone.as_ref()?.value.clone()))
        };
        let mut ways: BTreeMap<&str, Option<String>> = BTreeMap::new();
        let mut words = BTreeSet::new();
        for (target, it) in possible {
            let name = target.as_deref().unwrap_or("another router or nowhere");
            words.insert(it.words(name));
            ways.insert(name, zone_of(name));
        }
        let words: Vec<String> = words.into_iter().collect();
        let question = format!("a route of {router} ({})", words.join("; "));
        let names: Vec<&str> = ways.keys().copied().collect();
        let name = format!("{} ({router}, {destination})", names.join(" or "));
        let ways: Vec<Way> = ways.into_iter().map(|(name, zone)| (name.to_owned(), zone)).collect();
        let either = Either { name: name.clone(), question, ways, at };
        let is_plain = possible.iter().all(|(target, _)| target.is_some());
        if is_plain && !either.is_told_apart() {
            self.either.push(either);
            return;
        }
        self.problems.unsupported("equal-routes", at, NOT_KNOWN);
        let known = self.either.iter().find(|it| it.question == either.question);
        let known = known.map(|it| it.name.clone());
        if !is_plain || (known.is_none() && self.either.len() >= MAX_EITHER) {
            return;
        }
        if known.is_none() {
            self.add_made_up(&name, &router, at);
            self.either.push(either);
        }
        self.firewall.routes.push(Route {
            destination,
            interface: Some(At::new(known.unwrap_or(name), at)),
            next_hop: None,
            next_router: None,
            metric: 1,
            router,
            at,
        });
    }

    /// Adds an interface that is none, in a zone of its own that nothing enters from.
    fn add_made_up(&mut self, name: &str, router: &str, at: Span) {
        self.firewall.zones.push(Zone { name: name.to_owned(), at });
        let zone = Some(At::new(name.to_owned(), at));
        let (made_up, router) = (name.to_owned(), router.to_owned());
        let interface = Interface { name: made_up, zone, router, at, ..Interface::default() };
        self.firewall.interfaces.push(interface);
        let from = Match { from: Names::one(name, super::IMPLIED), ..Match::default() };
        self.first_rules.push(implied("no-ingress-interface", from, Action::Drop));
    }

    /// What a router does besides its static routes.
    fn report_router(&mut self, router: &Router<'t>) {
        self.report_fields(router.element, ROUTER_FIELDS, "router");
        let virtual_router = router.element.under("protocol").filter(|it| it.says_yes("enable"));
        let runs = |it: &Element<'t>| {
            PROTOCOLS.contains(&it.name())
                && it.children().next().is_some()
                && !it.value("enable").is_some_and(is_no)
        };
        let logical_router = router.element.children().filter(runs);
        for protocol in virtual_router.chain(logical_router) {
            let message = format!(
                "{} learns routes at run time: egress zones are those of the static routes",
                protocol.name()
            );
            self.problems.unsupported("dynamic-routing", protocol.at(), message);
            self.problems.defined(digest_of(protocol));
        }
        if let Some(filter) = router.element.child("rib-filter")
            && filter.children().any(|it| it.children().next().is_some())
        {
            let message = "which routes a filter keeps out of the table is not evaluated";
            self.problems.unsupported("route-filter", filter.at(), message);
            self.problems.defined(digest_of(filter));
        }
    }

    /// A static route of the table packets are forwarded by.
    fn convert_route(
        &mut self,
        route: Element<'t>,
        router: &Router<'t>,
        scope: ScopeId,
    ) -> Option<Route> {
        let at = route.at();
        self.report_fields(route, ROUTE_FIELDS, "static route");
        let table = |name| route.child("route-table").is_some_and(|table| table.has(name));
        // Routes that are not installed, or only for multicast (*Static Routes*, PAN-OS Web
        // Interface Help).
        let is_not_installed = route.child("option").is_some_and(|it| it.has("no-install"));
        if is_not_installed || table("no-install") || table("multicast") {
            return None;
        }
        self.report_monitor(route);
        let destination = route.value("destination");
        let Some(destination) = destination.and_then(|it| self.interface_address(it, scope)) else {
            self.problems.unsupported("route", at, "the destination of the route is not known");
            return None;
        };
        let number = |of: Element<'t>, name| {
            of.value(name).and_then(|value| value.name().parse::<u32>().ok())
        };
        let usual = if destination.addr().is_ipv4() { "static" } else { "static-ipv6" };
        let usual = router.element.child("admin-dists").and_then(|it| number(it, usual));
        let distance = number(route, "admin-dist").or(usual).unwrap_or(STATIC_DISTANCE).min(255);
        let metric = number(route, "metric").unwrap_or(STATIC_DISTANCE).min(65_535);
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
            return None;
        }
        Some(Route {
            destination,
            interface: interface.filter(|_| !discard).map(Element::named),
            next_hop: next_hop.filter(|_| !discard).map(|network| network.addr()),
            next_router: next_router.map(|next| next.name().to_owned()),
            metric: distance << 16 | metric,
            router: router.name.clone(),
            at,
        })
    }

    /// A route that is taken away while what it leads to does not answer.
    fn report_monitor(&mut self, route: Element<'t>) {
        let path = route.child("path-monitor").filter(|it| !it.value("enable").is_some_and(is_no));
        let path = path.filter(|it| it.children().next().is_some());
        let bfd = route
            .child("bfd")
            .filter(|it| it.value("profile").is_some_and(|profile| profile.name() != "None"));
        for monitor in [path, bfd].into_iter().flatten() {
            let message = "the route is taken to be there, whatever its monitoring finds";
            self.problems.unsupported("monitored-route", monitor.at(), message);
            self.problems.defined(digest_of(monitor));
        }
    }

    /// The addresses of GlobalProtect clients, each with the tunnel interface that leads to them:
    /// the device has routes there, for a range to the prefixes it consists of.
    fn pools(
        &mut self,
        networks: &[Element<'t>],
        systems: &[Element<'t>],
        scope: ScopeId,
    ) -> Vec<(At<String>, IpNet)> {
        let tunnels = networks.iter().filter_map(|it| it.path(&["tunnel", GATEWAY]));
        let tunnels: BTreeMap<&str, Element<'t>> =
            tunnels.flat_map(Element::children).map(|it| (it.name(), it)).collect();
        let gateways = systems.iter().filter_map(|it| it.path(&["global-protect", GATEWAY]));
        let mut written = Vec::new();
        for gateway in gateways.flat_map(Element::children) {
            let tunnel = gateway.value("remote-user-tunnel");
            let tunnel = tunnel.and_then(|it| tunnels.get(it.name()));
            let Some(interface) = tunnel.and_then(|it| it.value("tunnel-interface")) else {
                continue;
            };
            let clients = gateway.under("remote-user-tunnel-configs").chain([gateway]);
            let pools = clients.flat_map(|it| {
                let names = ["ip-pool", "authentication-server-ip-pool"].into_iter();
                names.flat_map(move |name| it.under(name))
            });
            written.extend(pools.map(|pool| (interface, pool)));
        }
        let mut found = Vec::new();
        for (interface, pool) in written {
            let interface = At::new(interface.name().to_owned(), pool.at());
            match literal::range(pool.name()) {
                Some(AddressItem::Range(
                    std::net::IpAddr::V4(first),
                    std::net::IpAddr::V4(last),
                )) => {
                    let parts = Ipv4Subnets::new(first, last, 0);
                    found.extend(parts.map(|it| (interface.clone(), IpNet::V4(it))));
                }
                Some(AddressItem::Range(
                    std::net::IpAddr::V6(first),
                    std::net::IpAddr::V6(last),
                )) => {
                    let parts = Ipv6Subnets::new(first, last, 0);
                    found.extend(parts.map(|it| (interface.clone(), IpNet::V6(it))));
                }
                _ => {
                    let prefix = self.interface_address(pool, scope);
                    found.extend(prefix.map(|prefix| (interface, prefix)));
                }
            }
        }
        found
    }
}

/// A virtual router, or a routing instance of a logical router, by the name other routes use.
pub(super) struct Router<'t> {
    pub(super) name: String,
    pub(super) element: Element<'t>,
}

pub(super) fn router_elements(network: Element<'_>) -> impl Iterator<Item = Router<'_>> {
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

/// The section of GlobalProtect gateways, of a virtual system and of tunnels.
const GATEWAY: &str = "global-protect-gateway";

/// What learns routes, as a routing instance of a logical router has it.
const PROTOCOLS: &[&str] = &["bgp", "ospf", "ospfv3", "rip", "multicast"];

/// Fields of a router that are read, or change nothing about where packets go.
const ROUTER_FIELDS: &[&str] = &[
    "interface",
    "routing-table",
    "protocol",
    "admin-dists",
    "ecmp",
    "bgp",
    "ospf",
    "ospfv3",
    "rip",
    "multicast",
    "rib-filter",
    "vrf",
    "description",
];

/// The same of a static route.
const ROUTE_FIELDS: &[&str] = &[
    "destination",
    "interface",
    "nexthop",
    "metric",
    "admin-dist",
    "option",
    "route-table",
    "path-monitor",
    "bfd",
    "description",
];
