//! Findings in the words of objects: what sets are called, and which edited object accounts for one.

#![expect(clippy::panic, reason = "a test stops where what it states does not hold")]

use std::collections::BTreeMap;

use parefeu_equivalence::{
    Change, Edits, Family, Field, Finding, ObjectNames, Pairing, Request, WithObjects, compare,
    findings,
};
use parefeu_policy::set::Ranges;
use parefeu_policy::{Firewall, LinkedFirewall, Objects, Source, link, native};

#[track_caller]
fn read(text: &str) -> (Firewall, LinkedFirewall) {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.as_ref().and_then(|firewall| link(firewall, &mut problems));
    let (Some(firewall), Some(linked)) = (firewall, linked) else { panic!("{problems:#?}") };
    (firewall, linked)
}

/// Where two firewalls differ, with the names of both sides.
fn named(old: &str, new: &str) -> Vec<(Finding, [String; 2])> {
    let [(written_old, old), (written_new, new)] = [old, new].map(read);
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let found = findings(&old, &new, &answer, &pairing);
    let mut sides = [written_old, written_new].map(|it| ObjectNames::of(&Objects::of(&it)));
    let named = found.into_iter().map(|finding| {
        let names = sides.each_mut().map(|side| {
            let names = side.name(&finding);
            let [source, destination, service] =
                [names.source, names.destination, names.service].map(|it| it.join("+"));
            format!("{source} > {destination} {service}")
        });
        (finding, names)
    });
    named.collect()
}

#[test]
fn a_region_has_the_names_of_both_sides() {
    let objects = |names: [&str; 4]| {
        let [clients, servers, a, b] = names;
        format!(
            r#"
            [[address]]
            name = "{clients}"
            items = ["10.1.0.0/16", "2001:db8:1::/64"]
            [[address]]
            name = "{a}"
            items = ["192.0.2.1/32"]
            [[address]]
            name = "{b}"
            items = ["192.0.2.9/32", "192.0.2.11/32"]
            [[address]]
            name = "{servers}"
            items = ["{a}", "{b}"]
            [[service]]
            name = "web"
            items = ["tcp/80", "tcp/443"]
            "#
        )
    };
    let end = "[[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n";
    let old = objects(["clients", "servers", "one", "two"])
        + "[[rule_base]]\nname = \"main\"\n[[rule_base.rule]]\nname = \"web\"\n\
           source = [\"clients\"]\ndestination = [\"servers\"]\nservice = [\"web\"]\n\
           action = \"allow\"\n"
        + end;
    // The new side has no group for the servers, and no service.
    let new = "[[address]]\nname = \"H-1\"\nitems = [\"192.0.2.1/32\"]\n\
               [[address]]\nname = \"H-9-11\"\nitems = [\"192.0.2.9/32\", \"192.0.2.11/32\"]\n\
               [[address]]\nname = \"N-clients\"\nitems = [\"10.1.0.0/16\"]\n\
               [[rule_base]]\nname = \"main\"\n"
        .to_owned()
        + end;
    let found = named(&old, &new);
    let [(finding, names)] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(finding.family, Some(Family::V4), "no server has an address of the other family");
    assert_eq!(names, &["clients > servers web", "N-clients > H-1+H-9-11 "]);
}

/// An edit: the object, and how many ranges were added to it and taken away.
type Told = (String, usize, usize);

/// The edits that account for each finding.
fn because(old: &str, new: &str) -> Vec<(Finding, Vec<Told>)> {
    let [(written_old, old), (written_new, new)] = [old, new].map(read);
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let found = findings(&old, &new, &answer, &pairing);
    let objects = [&written_old, &written_new].map(Objects::of);
    let [old, new] = [(&written_old, &old, &objects[0]), (&written_new, &new, &objects[1])]
        .map(|(written, linked, objects)| WithObjects { written, linked, objects });
    let edits = Edits::between(old, new);
    let told = found.into_iter().map(|finding| {
        let edits = edits.because(&finding).into_iter();
        let edits = edits.map(|it| (it.object.to_string(), it.added.len(), it.removed.len()));
        (finding, edits.collect())
    });
    told.collect()
}

/// One rule from `clients` to the group of `servers`, with whatever else.
fn filter(clients: &str, web: &str, service: &str, more: &str) -> String {
    format!(
        r#"
        [[address]]
        name = "clients"
        items = [{clients}]
        [[address]]
        name = "web"
        items = [{web}]
        [[address]]
        name = "servers"
        items = ["web", "192.0.2.200/32"]
        [[service]]
        name = "front"
        items = [{service}]
        [[rule_base]]
        name = "main"
        {more}
        [[rule_base.rule]]
        name = "in"
        source = ["clients"]
        destination = ["servers"]
        service = ["front"]
        action = "allow"
        [[layer]]
        rule_base = "main"
        default = "deny"
        "#
    )
}

#[test]
fn an_edited_object_accounts_for_what_rules_that_read_the_same_now_do() {
    let (clients, web, front) = ("\"10.0.0.0/24\"", "\"192.0.2.1/32\"", "\"tcp/443\"");
    let more_web = "\"192.0.2.1/32\", \"192.0.2.9/32\"";
    let old = filter(clients, web, front, "");
    let one = |object: &str, added, removed| vec![(object.to_owned(), added, removed)];
    for (new, expected) in [
        (filter(clients, more_web, front, ""), one("web", 1, 0)),
        (filter("\"10.0.0.0/25\"", web, front, ""), one("clients", 0, 1)),
        (filter(clients, web, "\"tcp/443\", \"tcp/8443\"", ""), one("front", 1, 0)),
    ] {
        let told = because(&old, &new);
        let [(finding, edits)] = &told[..] else { panic!("{told:#?}") };
        assert_eq!(*edits, expected, "{finding:#?}");
    }
}

#[test]
fn a_difference_with_another_cause_is_not_put_down_to_an_object() {
    let (clients, web, front) = ("\"10.0.0.0/24\"", "\"192.0.2.1/32\"", "\"tcp/443\"");
    let old = filter(clients, web, front, "");
    let block = |destination: &str| {
        format!(
            "[[rule_base.rule]]\nname = \"block\"\ndestination = [\"{destination}\"]\n\
             action = \"deny\"\n"
        )
    };
    // The object holds fewer servers, and a rule above refuses them too: both have to go.
    let both = filter(clients, "\"192.0.2.77/32\"", front, &block("192.0.2.1/32"));
    let told = because(&old, &both);
    let closed = told.iter().filter(|(it, _)| it.change == Change::Closed);
    assert_eq!(closed.map(|(_, edits)| edits.len()).collect::<Vec<_>>(), [0], "{told:#?}");
    // No object was edited.
    let blocked = filter(clients, web, front, &block("192.0.2.1/32"));
    let told = because(&old, &blocked);
    assert_eq!(told.iter().map(|(_, edits)| edits.len()).collect::<Vec<_>>(), [0]);
}

#[test]
fn an_edit_is_named_only_where_it_holds_the_whole_finding() {
    let (clients, web, front) = ("\"10.0.0.0/24\"", "\"192.0.2.1/32\"", "\"tcp/443\"");
    let old = filter(clients, web, front, "");
    let more_web = "\"192.0.2.1/32\", \"192.0.2.9/32\"";
    let new = filter(clients, more_web, "\"tcp/443\", \"tcp/8443\"", "");
    let told = because(&old, &new);
    let added = Ranges::one(0xc000_0209u32);
    let port = Ranges::one(8443u16);
    for (finding, edits) in &told {
        let names: Vec<&str> = edits.iter().map(|(name, ..)| &**name).collect();
        let by_web = finding.sets[&Field::Dst] == added;
        let by_front = finding.sets[&Field::DstPort] == port;
        assert_eq!(names.contains(&"web"), by_web, "{finding:#?}");
        assert_eq!(names.contains(&"front"), by_front, "{finding:#?}");
    }
    assert!(told.len() > 1, "{told:#?}");
}
