//! What no access list can lift, and what is not modelled before one is asked: the first rules of
//! the layers.

use parefeu_policy::{Action, AddressItem, AddressMatch, At, Match, Names, Rule};

use super::super::config::{AccessPlace, Config, InterfaceBlock};
use super::super::definition::Definitions;
use super::pipeline::implied;
use super::port;

/// The rules every packet meets first, in the layer for the interface it enters by.
pub(super) fn ingress(config: &Config, definitions: &Definitions<'_>) -> Vec<Rule> {
    let mut rules = Vec::new();
    shut(config, &mut rules);
    shunned(config, &mut rules);
    bridged(config, &mut rules);
    other_lists(config, definitions, &mut rules);
    rules
}

/// An interface that is down neither takes packets nor sends any.
fn shut(config: &Config, rules: &mut Vec<Rule>) {
    let down = port::down(config);
    for name in config.interfaces.iter().filter_map(|block| block.nameif.as_ref()) {
        if down.contains(name.value.as_str()) {
            for matches in both_ways(name) {
                rules.push(implied("shutdown", name.at, matches, Action::Drop));
            }
        }
    }
}

/// Everything from a shunned host is dropped. The further words name a connection that is cut when
/// the line is entered: "the shun remains in place for all future connections from the source IP
/// address, regardless of destination parameters" (command reference, `shun`).
fn shunned(config: &Config, rules: &mut Vec<Rule>) {
    let of_vlan = |vlan: u16| {
        let block = config.interfaces.iter().find(|block| block.vlan == Some(vlan))?;
        block.nameif.clone()
    };
    for shun in &config.shuns {
        let interface = match (&shun.interface, shun.vlan) {
            (Some(name), _) => Some(name.clone()),
            (None, None) => None,
            (None, Some(vlan)) => match of_vlan(vlan) {
                Some(name) => Some(name),
                // Nothing enters by a VLAN that no interface has.
                None => continue,
            },
        };
        let ingress = interface.map_or(Names::Any, |name| Names::OneOf(vec![name]));
        let src = AddressMatch::one(AddressItem::Network(shun.src.into()), shun.at);
        let matches = Match { ingress, src, ..Match::default() };
        rules.push(implied("shun", shun.at, matches, Action::Drop));
    }
}

/// A bridge group whose bridge interface has a name has rules of its members and of its own
/// (firewall CLI guide, "Access Rules": inbound "the member access rules are evaluated first, then
/// the BVI access rules"), and which member leads to a host is not known: not modelled.
fn bridged(config: &Config, rules: &mut Vec<Rule>) {
    let bridge = |block: &InterfaceBlock| {
        let number = block.hardware.get(3..)?.parse::<u32>().ok()?;
        let is_bridge = block.hardware.get(..3)?.eq_ignore_ascii_case("bvi");
        (is_bridge && block.nameif.is_some()).then_some(number)
    };
    let groups: Vec<u32> = config.interfaces.iter().filter_map(bridge).collect();
    for block in &config.interfaces {
        let (Some(name), Some(group)) = (&block.nameif, bridge(block).or(block.bridge_group))
        else {
            continue;
        };
        if groups.contains(&group) {
            for matches in both_ways(name) {
                let text = format!("bridge-group {group}");
                perhaps("bridge group", &At::new(text, name.at), &matches, rules);
            }
        }
    }
}

/// Lists of other types, of which an interface takes one beside the one that is modelled: for
/// frames, and before 9.0 for IPv6.
fn other_lists(config: &Config, definitions: &Definitions<'_>, rules: &mut Vec<Rule>) {
    for group in config.access_groups.iter().filter(|group| config.is_of_another_type(group)) {
        let list = group.list.value.as_str();
        let matches = match &group.place {
            AccessPlace::Global => Match::default(),
            AccessPlace::In(name) => both_ways(name)[0].clone(),
            AccessPlace::Out(name) => both_ways(name)[1].clone(),
        };
        match config.frame_lists.get(list) {
            Some(true) => {
                let text = definitions.qualified(format!("asa: ethertype {list}"), list);
                let unknown = vec![At::new(text, group.at)];
                let matches = Match { unknown, ..matches };
                rules.push(implied("frames", group.at, matches, Action::Deny));
            }
            Some(false) => {}
            None => {
                let dst = AddressMatch::one(AddressItem::AnyV6, group.at);
                let text = definitions.qualified(format!("ipv6 access-list {list}"), list);
                let text = At::new(text, group.at);
                perhaps("IPv6 rules", &text, &Match { dst, ..matches }, rules);
            }
        }
    }
}

/// What enters by an interface, and what leaves by it.
fn both_ways(name: &At<String>) -> [Match; 2] {
    let names = || Names::OneOf(vec![name.clone()]);
    let enters = Match { ingress: names(), ..Match::default() };
    [enters, Match { egress: names(), ..Match::default() }]
}

/// Rules that perhaps deny and perhaps allow.
fn perhaps(name: &str, text: &At<String>, matches: &Match, rules: &mut Vec<Rule>) {
    for action in [Action::Deny, Action::Allow] {
        let unknown = vec![At::new(format!("asa: {}", text.value), text.at)];
        let matches = Match { unknown, ..matches.clone() };
        rules.push(implied(name, text.at, matches, action));
    }
}
