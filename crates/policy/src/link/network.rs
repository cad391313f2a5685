//! Zones, interfaces and routes.

use ipnet::IpNet;

use super::Linker;
use crate::linked::{InterfaceId, LinkedInterface, ZoneId};
use crate::model::{Firewall, Interface, Route};
use crate::{RouteTable, RouteTarget};

impl Linker<'_> {
    pub(super) fn link_network(&mut self) -> (Vec<Box<str>>, Vec<LinkedInterface>, RouteTable) {
        let firewall = self.firewall;
        let zones = firewall.zones.iter().map(|zone| zone.name.as_str().into()).collect();
        let routers = routers(firewall);
        let router = |name: &str| routers.iter().position(|it| *it == name).unwrap_or(0) as u32;
        let interfaces: Vec<LinkedInterface> = firewall
            .interfaces
            .iter()
            .map(|interface| self.link_interface(interface, router(&interface.router)))
            .collect();

        let mut routes = RouteTable::default();
        for (id, interface) in interfaces.iter().enumerate() {
            let target = RouteTarget::Interface(InterfaceId(id as u32));
            for address in &interface.addresses {
                routes.insert(interface.router, address.trunc(), 0, target);
            }
        }
        for route in &firewall.routes {
            let table = router(&route.router);
            let before = self.problems.len();
            let target = match &route.next_router {
                Some(next) => Some(RouteTarget::Table(router(next))),
                None => self.route_target(route, table, &interfaces),
            };
            if let Some(target) = target {
                routes.insert(table, route.destination.trunc(), route.metric.max(1), target);
            } else if self.problems.len() == before {
                let message = format!("route to {} leads to no interface", route.destination);
                self.problems.suspicious("route-without-interface", route.at, message);
            }
        }
        (zones, interfaces, routes)
    }

    fn link_interface(&mut self, interface: &Interface, router: u32) -> LinkedInterface {
        let zone = interface.zone.as_ref().and_then(|zone| {
            let id = self.zones.get(zone.value.as_str()).copied();
            if id.is_none() {
                let message = format!("unknown zone `{}`", zone.value);
                self.problems.error("unknown-zone", zone.at, message);
            }
            id.map(ZoneId)
        });
        LinkedInterface {
            name: interface.name.as_str().into(),
            aliases: interface.aliases.iter().map(|alias| alias.as_str().into()).collect(),
            zone,
            addresses: interface.addresses.clone(),
            vlan: interface.vlan,
            router,
        }
    }

    fn route_target(
        &mut self,
        route: &Route,
        table: u32,
        interfaces: &[LinkedInterface],
    ) -> Option<RouteTarget> {
        if let Some(interface) = &route.interface {
            let id = self.interfaces.get(interface.value.as_str()).copied();
            if id.is_none() {
                let message = format!("unknown interface `{}`", interface.value);
                self.problems.error("unknown-interface", interface.at, message);
            }
            return id.map(|id| RouteTarget::Interface(InterfaceId(id)));
        }
        let Some(gateway) = route.next_hop else { return Some(RouteTarget::Discard) };
        let reaches = |it: &&LinkedInterface| {
            it.router == table && it.addresses.iter().any(|net: &IpNet| net.contains(&gateway))
        };
        let at = interfaces.iter().position(|interface| reaches(&interface))?;
        Some(RouteTarget::Interface(InterfaceId(at as u32)))
    }
}

/// The names of the routing tables; the first one is the default.
fn routers(firewall: &Firewall) -> Vec<&str> {
    let interfaces = firewall.interfaces.iter().map(|interface| interface.router.as_str());
    let routes = firewall.routes.iter().map(|route| route.router.as_str());
    let mut names: Vec<&str> = Vec::new();
    for name in interfaces.chain(routes) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if let Some(default) = names.iter().position(|name| name.is_empty()) {
        names[..=default].rotate_right(1);
    }
    names
}
