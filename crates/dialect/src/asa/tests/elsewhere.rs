//! Lists that other statements than `access-group` use.

use parefeu_policy::analysis::{FindingKind, LintOptions, lint};
use parefeu_policy::link;

use super::{DEVICE, read};

#[test]
fn lists_that_other_statements_use_are_not_unreachable() {
    let users = [
        ("filter", "group-policy staff attributes\n vpn-filter value filter\n"),
        ("tunnel", "crypto map m 10 match address tunnel\n"),
        ("routes", "route-map out permit 10\n match ip address routes\n"),
        ("class", "class-map bulk\n match access-list class\n"),
        ("exempt", "nat (inside) 0 access-list exempt\n"),
        ("own", "access-group own in interface outside control-plane\n"),
    ];
    let mut text = DEVICE.to_owned();
    for name in users.iter().map(|(name, _)| *name).chain(["idle"]) {
        text = text + "access-list " + name + " extended permit tcp any any eq 443\n";
    }
    text.extend(users.map(|(_, lines)| lines));
    let (firewall, mut problems) = read(&text);
    let linked = link(&firewall, &mut problems).unwrap();
    let found = lint(&firewall, &linked, &LintOptions::default());
    let found = found.iter().filter(|it| it.kind == FindingKind::UnreachableRuleBase);
    let subjects: Vec<&str> = found.map(|it| &*it.subject).collect();
    assert_eq!(subjects, ["idle"]);
}

#[test]
fn a_list_that_is_applied_goes_on_as_before() {
    let lines = "access-list both extended permit tcp any any eq 443\n\
                 access-group both in interface outside\n\
                 crypto map m 10 match address both\n";
    let (firewall, _) = read(&format!("{DEVICE}{lines}"));
    let both = firewall.rule_bases.iter().find(|rule_base| rule_base.name == "both").unwrap();
    assert_eq!(both.default, None);
}
