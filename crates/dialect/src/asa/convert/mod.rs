//! What a configuration means: the vendor-neutral firewall.

mod filter;
mod forward;
mod group;
mod halves;
mod inspection;
mod mapping;
mod nat;
mod pipeline;
mod reverse;
mod route;
mod schedule;
mod translate;

use std::collections::HashSet;

use parefeu_policy::{
    At, Behaviour, Diagnostics, Firewall, Interface, Preset, RuleBase, ServiceItem, ServiceObject,
    ServiceTerm, Zone,
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
    interfaces(&config, &mut firewall);
    let mut lists = filter::Filter::new(&config, &schedules.opaque, definitions);
    let rule_bases = config.access_lists.iter().map(|list| lists.rule_base(list, problems));
    firewall.rule_bases = rule_bases.collect::<Vec<RuleBase>>();
    pipeline::layers(&config, &mut firewall, problems);
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
fn interfaces(config: &Config, firewall: &mut Firewall) {
    let mut down = HashSet::new();
    for block in &config.interfaces {
        let Some(name) = &block.nameif else { continue };
        firewall.zones.push(Zone { name: name.value.clone(), at: name.at });
        if block.shutdown {
            down.insert(name.value.as_str());
        }
        firewall.interfaces.push(Interface {
            name: name.value.clone(),
            aliases: vec![block.hardware.clone()],
            zone: Some(name.clone()),
            addresses: if block.shutdown { Vec::new() } else { block.addresses.clone() },
            vlan: block.vlan,
            router: String::new(),
            at: block.at,
        });
    }
    let up = config.routes.iter().filter(|route| {
        route.interface.as_ref().is_none_or(|interface| !down.contains(interface.value.as_str()))
    });
    firewall.routes = up.cloned().collect();
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
