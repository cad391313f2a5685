//! Firewalls written by hand, each for one thing.

use parefeu_equivalence::{
    Case, Family, Field, Obstacle, Passage, Place, ProtocolClass, Side, SolveLimits, flatten,
    solve, ways,
};
use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::PacketKey;
use parefeu_policy::set::Ranges;
use parefeu_testkit::firewalls::stated;

use crate::oracle::{Flow, check_flow, check_form, decide};

const ANY_WAY: Passage = Passage { ingress: Place { interface: None, zone: None }, egress: None };

pub(crate) const TCP_V4: Case = Case {
    family: Family::V4,
    protocols: ProtocolClass::WithPorts,
    old: ANY_WAY,
    new: ANY_WAY,
    within: Vec::new(),
};

/// Asks both the list and the reference about a TCP packet to port 80, and expects the name of the
/// rule that decides.
#[track_caller]
fn check(text: &str, src: &str, holding: &[&str], expected: Option<&str>) {
    let firewall = stated(text);
    let problem = flatten(&firewall, &firewall, &TCP_V4).unwrap();
    let held = holding.iter().map(|text| Field::Atom((*text).into()));
    let key = PacketKey {
        src: src.parse().unwrap(),
        protocol: Protocol::TCP,
        dst_port: 80,
        tcp_flags: Some(TcpFlags::SYN),
        ..PacketKey::UNSTATED
    };
    let flow = Flow { key, application: None, holding: held.collect(), moment: 0 };
    check_form(&problem);
    let solution = solve(&problem, &SolveLimits::default());
    assert!(solution.open.is_empty());
    check_flow([&firewall, &firewall], &TCP_V4, (&problem, &solution), &flow);
    let (_, origin) = decide(&problem, &problem.old, &flow);
    assert_eq!(origin.rule.map(|rule| &*firewall.rule(rule).name), expected, "{src} {holding:?}");
}

const CHAINS: &str = r#"
    [[rule_base]]
    name = "main"
    [[rule_base.rule]]
    name = "to servers"
    source = ["10.0.0.0/8"]
    action = "jump:servers"
    [[rule_base.rule]]
    name = "to leaf"
    source = ["10.0.0.0/15"]
    action = "goto:leaf"
    [[rule_base.rule]]
    name = "rest"
    action = "drop"
    [[rule_base]]
    name = "servers"
    [[rule_base.rule]]
    name = "back"
    source = ["10.1.0.0/16", "10.3.0.0/16"]
    action = "return"
    [[rule_base.rule]]
    name = "out"
    source = ["10.4.0.0/16"]
    action = "goto:leaf"
    [[rule_base.rule]]
    name = "served"
    source = ["10.1.0.0/16", "10.2.0.0/16"]
    action = "allow"
    [[rule_base]]
    name = "leaf"
    [[rule_base.rule]]
    name = "one"
    source = ["10.0.0.1"]
    action = "deny"
    [[layer]]
    rule_base = "main"
    default = "deny"
"#;

#[test]
fn jumps_come_back_and_gotos_do_not() {
    for (src, expected) in [
        ("10.2.0.1", Some("served")),
        ("10.3.0.1", Some("rest")), // returned, and no longer met by "served"
        ("10.4.0.1", Some("rest")), // gone from "servers", back to "main"
        ("10.0.0.1", Some("one")),
        ("10.1.0.1", None), // returned, then gone from "main" for good: the default
        ("192.0.2.1", Some("rest")),
    ] {
        check(CHAINS, src, &[], expected);
    }
}

/// One rule with these lines, above one that drops the rest.
pub(crate) fn one_rule(lines: &str) -> String {
    format!(
        r#"
        [[rule_base]]
        name = "main"
        [[rule_base.rule]]
        name = "it"
        action = "allow"
        {lines}
        [[rule_base.rule]]
        name = "rest"
        action = "drop"
        [[layer]]
        rule_base = "main"
        "#
    )
}

#[test]
fn an_atom_adds_to_a_list_and_takes_from_its_opposite() {
    let list = r#"source = ["10.0.0.0/8", "unknown:fqdn a"]"#;
    let rest = format!("{list}\nnegate_source = true");
    let holds = &["source fqdn a"][..];
    for (src, holding, listed) in [
        ("10.0.0.1", &[][..], true),
        ("10.0.0.1", holds, true),
        ("192.0.2.1", &[], false),
        ("192.0.2.1", holds, true),
    ] {
        let [it, rest_of] = if listed { ["it", "rest"] } else { ["rest", "it"] };
        check(&one_rule(list), src, holding, Some(it));
        check(&one_rule(&rest), src, holding, Some(rest_of));
    }
    let condition = "unknown = [\"-m limit\"]";
    check(&one_rule(condition), "192.0.2.1", &[], Some("rest"));
    check(&one_rule(condition), "192.0.2.1", &["condition -m limit"], Some("it"));
}

#[test]
fn a_list_holds_sources_and_destinations_apart() {
    let [old, new] = ["source", "destination"]
        .map(|field| stated(&one_rule(&format!("{field} = [\"unknown:fqdn a\"]"))));
    let problem = flatten(&old, &new, &TCP_V4).unwrap();
    assert_ne!(problem.old, problem.new);
}

/// What is refused, and the text that states it.
#[track_caller]
pub(crate) fn check_refused(text: &str, expected: Obstacle, place: &str) {
    let (old, new) = (stated(&one_rule("")), stated(text));
    let refused = flatten(&old, &new, &TCP_V4).unwrap_err();
    assert_eq!((refused.reason, refused.side), (expected, Side::New));
    let at = refused.at;
    let found = &text[at.start as usize..at.end as usize];
    assert!(found.contains(place), "{found}");
}

#[test]
fn what_is_not_exact_is_refused_by_name() {
    let zone = "[[zone]]\nname = \"inside\"\n";
    for (lines, expected) in [
        ("from = [\"inside\"]", Obstacle::Ingress),
        ("to = [\"inside\"]", Obstacle::Egress),
        ("destination = [\"10.0.0.1/255.0.0.255\"]", Obstacle::Masked),
    ] {
        check_refused(&format!("{zone}{}", one_rule(lines)), expected, "it");
    }
}

#[test]
fn a_rule_that_unfolds_without_bound_is_refused() {
    let atoms = |key: &str| {
        let texts: Vec<String> = (0..170).map(|at| format!("\"unknown:{at}\"")).collect();
        format!("{key} = [{}]\n", texts.join(", "))
    };
    let lines: String = ["source", "destination", "service"].map(atoms).concat();
    check_refused(&one_rule(&lines), Obstacle::TooLong, "it");
}

#[test]
fn a_mask_with_holes_becomes_its_ranges() {
    let text = one_rule(r#"source = ["10.0.0.0/255.250.255.0"]"#);
    for (src, expected) in [
        ("10.0.0.0", "it"),
        ("10.1.0.255", "it"),
        ("10.5.0.7", "it"),
        ("10.4.1.0", "rest"),
        ("10.2.0.7", "rest"),
        ("11.0.0.7", "rest"),
    ] {
        check(&text, src, &[], Some(expected));
    }
}

const TWO_WAYS: &str = r#"
    [[zone]]
    name = "inside"
    [[zone]]
    name = "outside"
    [[interface]]
    name = "lan"
    zone = "inside"
    address = ["10.0.0.1/8"]
    [[interface]]
    name = "wan"
    zone = "outside"
    address = ["192.0.2.1/24"]
    [[rule_base]]
    name = "main"
    [[rule_base.rule]]
    name = "out"
    to = ["outside"]
    action = "allow"
    [[layer]]
    rule_base = "main"
    default = "deny"
"#;

#[test]
fn a_stated_way_out_counts_for_every_destination() {
    let firewall = stated(TWO_WAYS);
    assert_eq!(flatten(&firewall, &firewall, &TCP_V4).unwrap_err().reason, Obstacle::Egress);
    let to = |name: &str| {
        let egress = Place { interface: firewall.interface_named(name), zone: None };
        Passage { egress: Some(egress), ..ANY_WAY }
    };
    let within = vec![(Field::Protocol, Ranges::one(Protocol::TCP.0))];
    let case = Case { old: to("lan"), new: to("wan"), within, ..TCP_V4 };
    let problem = flatten(&firewall, &firewall, &case).unwrap();
    let solution = solve(&problem, &SolveLimits::default());
    assert!(solution.open.is_empty());
    let [difference] = &*solution.differences else { panic!("{:?}", solution.differences) };
    for (dimension, set) in problem.dimensions.iter().zip(&difference.sets) {
        let [(first, last)] = **set else { panic!("{set:?}") };
        let values = (dimension.values(first).0, dimension.values(last).1);
        match dimension.field {
            Field::Protocol => assert_eq!(values, (6, 6)),
            _ => assert_eq!(values, (0, dimension.last)),
        }
    }
}

#[test]
fn ways_are_every_address_by_the_interface_it_is_routed_to() {
    let firewall = stated(TWO_WAYS);
    let found = ways(&firewall, None, Family::V4);
    let [lan, wan] = ["lan", "wan"].map(|name| firewall.interface_named(name));
    let names: Vec<_> = found.iter().map(|(egress, _)| *egress).collect();
    assert_eq!(names, [None, lan, wan]);
    assert_eq!(found[1].1, Ranges::span(0x0a00_0000, 0x0aff_ffff));
    assert_eq!(found[2].1, Ranges::span(0xc000_0200, 0xc000_02ff));
    let all = found.iter().fold(Ranges::default(), |all, (_, part)| all.union(part));
    assert_eq!(all, Ranges::span(0, u32::MAX.into()));
    assert!(found[0].1.intersection(&found[1].1.union(&found[2].1)).is_empty());
}

#[test]
fn applications_are_numbered_by_name() {
    let application = |name: &str| format!("[[application]]\nname = \"{name}\"\n");
    let rule = |name: &str| {
        let lines = format!("application = [\"{name}\"]");
        stated(&format!("{}{}", application(name), one_rule(&lines)))
    };
    let problem = flatten(&rule("web"), &rule("dns"), &TCP_V4).unwrap();
    assert_eq!(problem.applications, ["dns".into(), "web".into()]);
    let known = problem.dimensions.iter().find(|it| it.field == Field::Application).unwrap();
    assert_eq!(known.last, 2);
}
