//! Lines that became several rules: what is said holds for all of them, and is said once (S12.7).

use parefeu_policy::analysis::FindingKind;
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Firewall, Layer, Match, NatRule, PortTranslation, Rule,
    RuleBase, Sees, Span, Translation,
};

use super::findings;

/// The place of a line: its number will do.
fn line(number: u32) -> Span {
    Span { source: 0, start: number * 10, end: number * 10 + 9 }
}

fn from(network: &str) -> Match {
    let item = network.parse().map_or(AddressItem::Any, AddressItem::Network);
    let src = AddressMatch { items: vec![At::new(item, Span::default())], negated: false };
    Match { src, ..Match::default() }
}

#[track_caller]
fn check(firewall: &Firewall, expected: &[(FindingKind, u32)]) {
    let said: Vec<_> = findings(firewall).iter().map(|it| (it.kind, it.at.start / 10)).collect();
    assert_eq!(said, expected);
}

/// A firewall whose only rule base has these rules: line, source, action.
fn filter(rules: &[(u32, &str, Action)]) -> Firewall {
    let rules = rules.iter().map(|(number, network, action)| Rule {
        matches: from(network),
        action: action.clone(),
        at: line(*number),
        ..Rule::default()
    });
    let name = "main".to_owned();
    let rule_base = RuleBase { name: name.clone(), rules: rules.collect(), ..RuleBase::default() };
    let layer = Layer {
        name: name.clone(),
        rule_base: At::new(name, Span::default()),
        default: Action::Drop,
        sees_src: Sees::Original,
        sees_dst: Sees::Original,
        before_sessions: false,
    };
    Firewall { rule_bases: vec![rule_base], layers: vec![layer], ..Firewall::default() }
}

/// A firewall with these rules of translation tables: line, source, and what becomes of the
/// destination and of the source: nothing (`=`), an address, or no rule at all.
fn nat(rules: &[(u32, &str, [&str; 2])]) -> Firewall {
    let table = |side: usize| {
        let stated = rules.iter().filter(|(.., to)| !to[side].is_empty());
        let rules = stated.map(|(number, network, to)| NatRule {
            matches: from(network),
            translation: to[side].parse().map_or(Translation::Keep, |to| Translation::Prefix {
                to,
                port: PortTranslation::default(),
            }),
            at: line(*number),
            ..NatRule::default()
        });
        rules.collect()
    };
    let mut firewall = Firewall::default();
    firewall.destination_nat.rules = table(0);
    firewall.source_nat.rules = table(1);
    firewall
}

#[test]
fn half_a_line_shadowed_is_no_line_shadowed() {
    let deny = (1, "192.0.2.0/24", Action::Deny);
    let half = (2, "192.0.2.7/32", Action::Allow);
    let alive = (2, "198.51.100.7/32", Action::Allow);
    check(&filter(&[deny.clone(), half.clone(), alive]), &[]);
    check(&filter(&[deny, half.clone(), half]), &[(FindingKind::Shadowed, 2)]);
}

#[test]
fn the_half_that_does_nothing_is_no_finding() {
    check(&nat(&[(1, "10.0.0.7/32", ["=", "203.0.113.7/32"])]), &[]);
    check(&nat(&[(1, "10.0.0.7/32", ["=", "="])]), &[(FindingKind::Redundant, 1)]);
}

#[test]
fn the_half_that_is_overruled_speaks_for_the_line() {
    let exempt = (1, "10.0.0.0/8", ["=", "="]);
    let host = (2, "10.0.0.7/32", ["=", "203.0.113.7/32"]);
    check(&nat(&[exempt, host]), &[(FindingKind::Shadowed, 2)]);
    let other = (1, "10.0.0.0/8", ["192.0.2.1/32", ""]);
    let both = (2, "10.0.0.7/32", ["192.0.2.2/32", "203.0.113.7/32"]);
    check(&nat(&[other, both]), &[(FindingKind::Shadowed, 2)]);
}
