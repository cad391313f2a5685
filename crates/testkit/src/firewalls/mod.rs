//! Firewalls to test against: small ones of every kind of field, and large rule bases.

mod filter;
mod large;
mod objects;
mod rewrite;
mod rules;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use parefeu_net::MacAddress;
use parefeu_policy::{
    Action, At, Diagnostics, Firewall, Interface, Layer, LinkedFirewall, Route, RuleBase, Sees,
    Source, Span, Zone, link, native,
};
use proptest::prelude::*;

pub use filter::{Filter, Scan, filtering};
pub(crate) use large::Ranked;
pub use large::{Family, Large, Shape};
pub use rewrite::{Rewriting, edited};
use rules::{RULE_BASES, Weights};

/// Small firewalls, of every kind of field a rule can compare.
///
/// Zones, interfaces and routes are always the same; objects, groups (with exceptions), four rule
/// bases of up to seven rules that jump to one another, one or two layers and both translation
/// tables vary. Addresses and ports come from a small universe, so that rules overlap. Every rule
/// has a span of its own. Such a firewall always links.
pub fn small() -> impl Strategy<Value = Firewall> {
    with(Weights { flow: 2, unknown: 1, most_rules: 8 })
}

/// Small firewalls whose rules mostly change the flow of evaluation and whose match is mostly not
/// modelled: answers hang together from many paths that are only perhaps taken.
pub fn doubtful() -> impl Strategy<Value = Firewall> {
    with(Weights { flow: 20, unknown: 200, most_rules: 16 })
}

/// The linked firewall, shared.
///
/// # Panics
/// When it does not link: the generators promise that it does.
#[expect(clippy::panic, reason = "a generator that breaks its promise must stop the test")]
pub fn linked(firewall: &Firewall) -> Arc<LinkedFirewall> {
    let mut problems = Diagnostics::default();
    let Some(linked) = link(firewall, &mut problems) else {
        panic!("the firewall does not link: {problems:#?}");
    };
    Arc::new(linked)
}

/// The linked firewall a text in the native syntax states.
///
/// # Panics
/// When the text does not read or link.
#[expect(clippy::panic, reason = "a test stops where its own text is wrong")]
#[track_caller]
pub fn stated(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// A firewall between 10.0.0.0/24 and the rest, with these rules in the native syntax, refusing all
/// else; `behaviour` is a preset's name.
///
/// # Panics
/// When the rules do not read or link.
#[track_caller]
pub fn between(behaviour: &str, rules: &str) -> LinkedFirewall {
    stated(&format!(
        r#"
        [behaviour]
        preset = "{behaviour}"

        [[interface]]
        name = "inside"
        address = "10.0.0.1/24"

        [[interface]]
        name = "outside"
        address = "192.0.2.1/24"

        [[route]]
        destination = "0.0.0.0/0"
        interface = "outside"

        [[layer]]
        name = "filter"
        rule_base = "rules"
        default = "drop"

        [[rule_base]]
        name = "rules"
        {rules}
        "#
    ))
}

fn with(weights: Weights) -> impl Strategy<Value = Firewall> {
    let rule_bases = (
        rules::rule_base(0, weights),
        rules::rule_base(1, weights),
        rules::rule_base(2, weights),
        rules::rule_base(3, weights),
    );
    let layer = |rule_base: &'static str| {
        (rules::final_action(), rules::sees(), rules::sees())
            .prop_map(move |(default, src, dst)| layer(rule_base, default, src, dst))
    };
    let layers = prop_oneof![
        2 => layer(RULE_BASES[0]).prop_map(|only| vec![only]),
        1 => (layer(RULE_BASES[1]), layer(RULE_BASES[0])).prop_map(|(a, b)| vec![a, b]),
    ];
    let nat = (rules::nat_table(weights), rules::nat_table(weights));
    (objects::addresses(), objects::services(), rule_bases, layers, nat).prop_map(
        |(addresses, services, (a, b, c, d), layers, (destination_nat, source_nat))| {
            numbered(Firewall {
                name: "small".to_owned(),
                dialect: "parefeu",
                zones: ZONES.iter().map(|name| zone(name)).collect(),
                interfaces: interfaces(),
                routes: routes(),
                addresses,
                services,
                applications: objects::applications(),
                url_categories: objects::url_categories(),
                schedules: objects::schedules(),
                rule_bases: vec![a, b, c, d],
                layers,
                destination_nat,
                source_nat,
                ..Firewall::default()
            })
        },
    )
}

/// Zones of a small firewall; no interface is in the last one.
const ZONES: &[&str] = &["inside", "outside", "nowhere"];

/// Interfaces of a small firewall; the last one has neither zone nor address.
const INTERFACES: &[&str] = &["eth0", "eth1", "eth2"];

/// Where nothing is written.
const NEVER_AT: Span = Span { source: 0, start: 0, end: 0 };

fn zone(name: &str) -> Zone {
    Zone { name: name.to_owned(), at: NEVER_AT }
}

fn layer(rule_base: &str, default: Action, sees_src: Sees, sees_dst: Sees) -> Layer {
    let rule_base = At::new(rule_base.to_owned(), NEVER_AT);
    Layer {
        name: "filter".to_owned(),
        rule_base,
        default,
        sees_src,
        sees_dst,
        before_sessions: false,
    }
}

fn interfaces() -> Vec<Interface> {
    let interface = |number: u8, name: &str| Interface {
        name: name.to_owned(),
        zone: ZONES[..2].get(usize::from(number)).map(|z| At::new((*z).to_owned(), NEVER_AT)),
        addresses: if number < 2 { objects::interface_networks(number) } else { Vec::new() },
        ..Interface::default()
    };
    (0u8..).zip(INTERFACES).map(|(number, name)| interface(number, name)).collect()
}

/// A default route out of the second interface, and a network that is reached nowhere.
fn routes() -> Vec<Route> {
    let route = |destination: IpAddr, length, interface: Option<&str>| {
        let destination = IpNet::new(destination, length).unwrap_or(destination.into());
        let interface = interface.map(|name| At::new(name.to_owned(), NEVER_AT));
        Route {
            destination,
            interface,
            next_hop: None,
            next_router: None,
            metric: 1,
            router: String::new(),
            at: NEVER_AT,
        }
    };
    vec![
        route(Ipv4Addr::UNSPECIFIED.into(), 0, Some(INTERFACES[1])),
        route(Ipv6Addr::UNSPECIFIED.into(), 0, Some(INTERFACES[1])),
        route(Ipv4Addr::new(10, 0, 3, 0).into(), 24, None),
    ]
}

/// The source MAC addresses rules and keys use.
pub(crate) const fn device(last: u8) -> MacAddress {
    MacAddress([2, 0, 0, 0, 0, last])
}

/// Gives every rule base, rule and translation a name and a span of its own.
fn numbered(mut firewall: Firewall) -> Firewall {
    let mut next = 1;
    let mut place = move || {
        next += 1;
        Span::new(next - 1, next)
    };
    for RuleBase { name: base, rules, at, .. } in &mut firewall.rule_bases {
        *at = place();
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("{base}/{number}");
            rule.at = place();
        }
    }
    let tables = [&mut firewall.destination_nat, &mut firewall.source_nat];
    for (number, rule) in tables.into_iter().flat_map(|table| &mut table.rules).enumerate() {
        rule.name = format!("nat/{number}");
        rule.at = place();
    }
    firewall
}
