//! What a configuration means: the vendor-neutral firewall.

mod fence;
mod filter;
mod forward;
mod group;
mod halves;
mod inspection;
mod mapping;
mod nat;
mod pipeline;
mod port;
mod reverse;
mod route;
mod schedule;
mod translate;

use std::collections::HashSet;

use parefeu_policy::{
    At, Behaviour, Diagnostics, Firewall, Interface, Preset, Route, RuleBase, ServiceItem,
    ServiceObject, ServiceTerm, Zone,
};

use super::config::{Config, Member};
use super::definition::Definitions;
use super::names;

/// Converts a configuration; what it cannot model is reported.
pub(super) fn convert(
    config: Config,
    definitions: &Definitions<'_>,
    problems: &mut Diagnostics,
) -> Firewall {
    report_whole(&config, problems);
    let schedules = schedule::schedules(&config, problems);
    let mut firewall = Firewall {
        name: config.hostname.clone(),
        dialect: "asa",
        schedules: schedules.modelled,
        behaviour: behaviour(&config, problems),
        ..Firewall::default()
    };
    interfaces(&config, &mut firewall, problems);
    let mut lists = filter::Filter::new(&config, &schedules.opaque, definitions);
    let rule_bases = config.access_lists.iter().map(|list| lists.rule_base(list, problems));
    firewall.rule_bases = rule_bases.collect::<Vec<RuleBase>>();
    pipeline::layers(&config, definitions, &mut firewall, problems);
    forward::refuse(&config, &mut firewall);
    nat::tables(&config, &mut firewall, problems);
    firewall.services = services(&config);
    firewall.addresses = config.addresses;
    firewall
}

/// What concerns the device as a whole.
fn report_whole(config: &Config, problems: &mut Diagnostics) {
    if let Some(version) = config.version.as_ref().filter(|version| version.value < (8, 3)) {
        let message = "releases before 8.3 translate and filter in another order";
        problems.unsupported("before-8.3", version.at, message);
    }
}

/// Timers and state policy.
fn behaviour(config: &Config, problems: &mut Diagnostics) -> Behaviour {
    let mut behaviour = Behaviour::preset(Preset::Asa);
    for At { value: (timer, duration), at } in &config.timers {
        if let Err(error) = behaviour.set(timer, &duration.as_secs().to_string()) {
            problems.unsupported("not-understood", *at, error.to_string());
        }
    }
    inspection::apply(config, &mut behaviour, problems);
    behaviour
}

/// Interfaces with a `nameif`, and the routes through those that are up.
///
/// The device knows no zones: each interface makes one of its own name, so that questions asked by
/// zone work on both sides of a comparison.
fn interfaces(config: &Config, firewall: &mut Firewall, problems: &mut Diagnostics) {
    let down = port::down(config);
    let apart = management_interfaces(config);
    let router = |name: &str| if apart.contains(name) { MANAGEMENT } else { "" }.to_owned();
    for block in &config.interfaces {
        let Some(name) = &block.nameif else { continue };
        let is_down = down.contains(name.value.as_str());
        firewall.zones.push(Zone { name: name.value.clone(), at: name.at });
        firewall.interfaces.push(Interface {
            name: name.value.clone(),
            aliases: vec![block.hardware.clone()],
            zone: Some(name.clone()),
            addresses: if is_down { Vec::new() } else { block.addresses.clone() },
            vlan: block.vlan,
            router: router(&name.value),
            at: block.at,
        });
    }
    for route in &config.routes {
        let Some(interface) = &route.interface else {
            firewall.routes.push(route.clone());
            continue;
        };
        if down.contains(interface.value.as_str()) {
            continue;
        }
        let router = router(&interface.value);
        if !router.is_empty() && config.version.is_none() {
            let message = "the version is not stated: the route is taken to be one for management \
                           alone, as it is since 9.5";
            problems.suspicious("management-route", route.at, message);
        }
        firewall.routes.push(Route { router, ..route.clone() });
    }
}

/// The routing table of interfaces for management.
const MANAGEMENT: &str = "management-only";

/// Names of interfaces for management whose networks and routes lead no other traffic: since
/// 9.5(1) they have a table of their own (CLI book 1, "Routing Overview", "Routing Table for
/// Management Traffic"). Before, there was one table, and what it led there was refused.
fn management_interfaces(config: &Config) -> HashSet<&str> {
    let is_apart = config.version.as_ref().is_none_or(|version| version.value >= (9, 5));
    let blocks = config.interfaces.iter().filter(|block| is_apart && block.management_only);
    blocks.filter_map(|block| Some(block.nameif.as_ref()?.value.as_str())).collect()
}

/// Service objects, service groups and groups of ports: one name space.
fn services(config: &Config) -> Vec<ServiceObject> {
    let defined: HashSet<&str> = config
        .services
        .iter()
        .map(|service| service.name.as_str())
        .chain(config.port_groups.iter().map(|group| group.ports.name.as_str()))
        .collect();
    let mut services = config.services.clone();
    for item in services.iter_mut().flat_map(|service| &mut service.items) {
        // The device predefines objects named for protocols.
        if let ServiceItem::Object(name) = &item.value {
            let predefined = names::protocol(name).filter(|_| !defined.contains(name.as_str()));
            if let Some(protocol) = predefined {
                let protocols = parefeu_policy::set::ProtocolSet::single(protocol);
                item.value = ServiceItem::Term(ServiceTerm::protocols(protocols));
            }
        }
    }
    services.extend(config.port_groups.iter().map(|group| {
        let items = group.ports.members.iter().map(|member| {
            let item = match &member.value {
                Member::Value(range) => {
                    let term = ServiceTerm::to_ports(group.protocols, (*range).into());
                    ServiceItem::Term(term)
                }
                Member::Group(name) => ServiceItem::Object(name.clone()),
                Member::Unknown(text) => ServiceItem::Unknown(text.clone()),
            };
            At::new(item, member.at)
        });
        ServiceObject { name: group.ports.name.clone(), items: items.collect(), at: group.ports.at }
    }));
    services
}
