//! Whole firewalls compared: every finding and every packet outside of them, against the reference
//! evaluation.

mod packets;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use parefeu_equivalence::{
    Change, Family, Field, Finding, PairedBy, Pairing, ProtocolClass, Request, Side, Stated,
    Verdict, compare, conclude, findings,
};
use parefeu_policy::set::Ranges;
use parefeu_policy::{Diagnostics, Firewall, LinkedFirewall};
use parefeu_testkit::Random;
use parefeu_testkit::firewalls::{self, stated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use packets::{draw, holds, lets_through, lies_in, opening_of, supported};

/// Random packets through every case of a pair of firewalls, and the witness of every finding;
/// says how many packets were inside a finding, and how many outside of all.
fn check_pair(old: Firewall, new: Firewall, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let [old, new] = [old, new].map(|side| firewalls::linked(&supported(side)));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let found = findings(&old, &new, &answer, &pairing);
    let (mut inside, mut outside) = (0, 0);
    for case in &answer.compared {
        for _ in 0..10 {
            let drawn = draw([&old, &new], case, &mut random);
            let Some((key, application, name)) = drawn else { continue };
            let sides = [(&old, case.case.old), (&new, case.case.new)];
            let answers = sides.map(|(side, passage)| lets_through(side, passage, &key, name));
            let [Some(through_old), Some(through_new)] = answers else { continue };
            let held = found.iter().filter(|it| holds(it, case, &key, application));
            let held = held.collect::<Vec<_>>();
            assert_eq!(!held.is_empty(), through_old != through_new, "{key:?} {name:?}");
            for finding in held {
                let expected = if through_new { Change::Opened } else { Change::Closed };
                assert_eq!(finding.change, expected);
                inside += 1;
            }
            outside += usize::from(through_old == through_new);
        }
    }
    for finding in &found {
        check_witness([&old, &new], finding, &answer.compared[0].problem.applications);
    }
    (inside, outside)
}

/// A witness lies in its finding, and the reference never answers otherwise than it says.
#[track_caller]
fn check_witness(sides: [&LinkedFirewall; 2], finding: &Finding, names: &[Box<str>]) {
    let witness = &finding.witness;
    let (key, application) = opening_of(witness);
    assert!(lies_in(finding, &key, application), "{finding:?}");
    let name = application.checked_sub(1).map(|at| &*names[at as usize]);
    let way = &finding.witness_way;
    for (side, passage, through) in [
        (sides[0], way.old, finding.change == Change::Closed),
        (sides[1], way.new, finding.change == Change::Opened),
    ] {
        let answer = lets_through(side, passage, &key, name);
        assert!(answer.is_none_or(|answer| answer == through), "{finding:?}");
    }
}

#[test]
fn findings_hold_exactly_what_the_reference_tells_apart() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let config = Config { cases: 100, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed)| {
        let (inside, outside) = check_pair(old, new, seed);
        counts.set((counts.get().0 + inside, counts.get().1 + outside));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (inside, outside) = counts.get();
    assert!(inside > 100 && outside > 100, "{inside} inside, {outside} outside");
}

fn pairs(old: &str, new: &str, mapped: &[(&str, &str)]) -> Vec<(String, String, PairedBy)> {
    let mapped = mapped.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let pairing = Pairing::of(&stated(old), &stated(new), &mapped);
    let name = |name: &Option<Box<str>>| name.as_deref().unwrap_or("-").to_owned();
    let pairs = pairing.pairs.iter().map(|pair| {
        let [old, new] = [&pairing.old.gates[pair.old].name, &pairing.new.gates[pair.new].name];
        (name(old), name(new), pair.by)
    });
    pairs.collect()
}

/// Interfaces with an address each.
fn interfaces(of: &[(&str, &str)]) -> String {
    let text = of.iter().map(|(name, address)| {
        format!("[[interface]]\nname = \"{name}\"\naddress = [\"{address}\"]\n")
    });
    text.collect()
}

#[test]
fn places_are_paired_as_mapped_then_by_name_then_by_network() {
    let old = interfaces(&[
        ("outside", "192.0.2.1/24"),
        ("inside", "10.0.0.1/24"),
        ("dmz", "10.1.0.1/24"),
        ("lab", "10.2.0.1/24"),
    ]);
    let new = interfaces(&[
        ("outside", "198.51.100.1/24"),
        ("trust", "10.0.0.254/24"),
        ("servers", "10.1.0.254/24"),
        ("guests", "10.3.0.254/24"),
    ]);
    let pair = |old: &str, new: &str, by| (old.to_owned(), new.to_owned(), by);
    let by_name = pair("outside", "outside", PairedBy::Name);
    let by_network =
        [pair("inside", "trust", PairedBy::Network), pair("dmz", "servers", PairedBy::Network)];
    let [inside, dmz] = by_network.clone();
    assert_eq!(pairs(&old, &new, &[]), [by_name.clone(), inside.clone(), dmz]);
    let mapped = pairs(&old, &new, &[("lab", "guests"), ("dmz", "outside")]);
    let by_map = [pair("dmz", "outside", PairedBy::Map), pair("lab", "guests", PairedBy::Map)];
    let [to_outside, to_guests] = by_map;
    assert_eq!(mapped, [inside, to_outside, to_guests], "the caller's word goes first");
    let pairing = Pairing::of(&stated(&old), &stated(&new), &BTreeMap::new());
    assert_eq!(pairing.unpaired(), [vec!["lab"], vec!["guests"]]);
}

#[test]
fn a_shared_network_with_a_choice_pairs_nothing() {
    let old = interfaces(&[("a", "10.0.0.1/24")]);
    let new = interfaces(&[("b", "10.0.0.2/24"), ("c", "10.0.0.3/24")]);
    assert_eq!(pairs(&old, &new, &[]), []);
}

#[test]
fn a_side_without_places_stands_against_every_place() {
    let new = interfaces(&[("b", "10.0.0.2/24"), ("c", "10.0.1.3/24")]);
    let found = pairs("", &new, &[]);
    let every = ["b", "c"].map(|name| ("-".to_owned(), name.to_owned(), PairedBy::Everywhere));
    assert_eq!(found, every);
}

/// A firewall of two zones, `inside` and `outside`, with routes, and rules.
fn zoned(rules: &str) -> LinkedFirewall {
    stated(&format!(
        r#"
        [[application]]
        name = "tls"
        identified_as = ["tls"]
        [[zone]]
        name = "inside"
        [[zone]]
        name = "outside"
        [[interface]]
        name = "eth1"
        zone = "inside"
        address = ["10.0.0.1/8"]
        [[interface]]
        name = "eth2"
        zone = "outside"
        address = ["192.0.2.1/24"]
        [[route]]
        destination = "198.51.100.0/24"
        next_hop = "192.0.2.254"
        [[rule_base]]
        name = "main"
        {rules}
        [[layer]]
        rule_base = "main"
        default = "deny"
        "#
    ))
}

fn found(old: &LinkedFirewall, new: &LinkedFirewall) -> Vec<Finding> {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let answer = compare(old, new, &Request::all(pairing.clone()));
    assert_eq!(answer.undecided, []);
    findings(old, new, &answer, &pairing)
}

#[test]
fn the_same_packets_in_both_families_and_all_protocols_are_told_once() {
    let open = "[[rule_base.rule]]\nname = \"all\"\nfrom = [\"inside\"]\naction = \"allow\"\n";
    let (old, new) = (zoned(open), zoned(""));
    let found = found(&old, &new);
    let [only] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((only.change, only.family, only.protocols), (Change::Closed, None, None));
    assert_eq!(only.from, [[Some("inside".into()), Some("inside".into())]]);
    assert_eq!(only.sets, BTreeMap::new());
    assert!((only.packets_log2 - 290.3).abs() < 0.1, "{}", only.packets_log2);
    assert_eq!(only.witness.src, "10.0.0.2".parse::<IpAddr>().unwrap(), "a host that is there");
}

#[test]
fn an_application_rule_in_place_of_a_port_rule_is_a_change_of_application() {
    let rule = |condition: &str| {
        zoned(&format!(
            "[[rule_base.rule]]\nname = \"web\"\nfrom = [\"inside\"]\n\
             service = [\"tcp/443\"]\naction = \"allow\"\n{condition}\n"
        ))
    };
    let (any, tls) = (rule(""), rule("application = [\"tls\"]"));
    for (old, new, change) in [(&any, &tls, Change::Closed), (&tls, &any, Change::Opened)] {
        let found = found(old, new);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!((found[0].change, found[0].by_application), (change, true));
        assert!(!found[0].sets[&Field::Application].contains(1));
    }
    let [removed] = &found(&tls, &zoned(""))[..] else { panic!("one difference") };
    assert_eq!((removed.change, removed.by_application), (Change::Closed, false));
}

#[test]
fn where_no_route_leads_every_way_out_is_looked_at() {
    let rule = |to: &str| {
        zoned(&format!(
            "[[rule_base.rule]]\nname = \"it\"\nfrom = [\"inside\"]\nto = [{to}]\n\
             action = \"allow\"\n"
        ))
    };
    let (out, anywhere) = (rule("\"outside\""), rule("\"outside\", \"inside\""));
    let found = found(&out, &anywhere);
    let inside = [Some("inside".into()), Some("inside".into())];
    let [v6, v4, routed] = &found[..] else { panic!("{found:#?}") };
    for (it, family) in [(v6, Family::V6), (v4, Family::V4)] {
        assert_eq!((it.family, it.change), (Some(family), Change::Opened));
        assert_eq!(it.to, std::slice::from_ref(&inside), "no route: it is stated");
    }
    assert!(!v4.sets[&Field::Dst].contains(0x0a00_0001), "a route leads there");
    assert_eq!((routed.family, routed.change), (Some(Family::V4), Change::Opened));
    assert!(routed.to.is_empty(), "the destination tells");
    assert_eq!(routed.sets[&Field::Dst].as_slice(), [(0x0a00_0000, 0x0aff_ffff)]);
}

#[test]
fn what_one_side_has_no_route_for_and_another_way_out_are_taken_for_granted_and_said() {
    let routed = |next_hop: Option<&str>| {
        let rule = "[[rule_base.rule]]\nname = \"it\"\nfrom = [\"inside\"]\n\
                    to = [\"outside\", \"inside\"]\naction = \"allow\"\n";
        let route = next_hop.map(|next_hop| {
            format!("[[route]]\ndestination = \"203.0.113.0/24\"\nnext_hop = \"{next_hop}\"\n")
        });
        zoned(&format!("{rule}{}", route.unwrap_or_default()))
    };
    let (none, out, back) = (routed(None), routed(Some("192.0.2.254")), routed(Some("10.0.0.2")));
    for (old, new, expected) in [
        (&none, &none, None),
        (&out, &out, None),
        (&none, &out, Some((Side::Old, "route"))),
        (&out, &none, Some((Side::New, "route"))),
        (&out, &back, Some((Side::New, "egress"))),
    ] {
        let pairing = Pairing::of(old, new, &BTreeMap::new());
        let answer = compare(old, new, &Request::all(pairing));
        assert!(answer.is_equal(), "{:?}", answer.undecided);
        let assumed: Vec<_> = answer.assumed.iter().map(|it| (it.side, it.code)).collect();
        assert_eq!(assumed, Vec::from_iter(expected));
    }
}

#[test]
fn what_a_route_discards_is_refused_whatever_rules_say() {
    let discard = "[[route]]\ndestination = \"192.0.2.128/25\"\n";
    let rule = "[[rule_base.rule]]\nname = \"it\"\naction = \"allow\"\n";
    for to in ["", "to = [\"outside\"]\n"] {
        let [old, new] = [discard, ""].map(|route| zoned(&format!("{rule}{to}{route}")));
        let found = found(&old, &new);
        let [only] = &found[..] else { panic!("{found:#?}") };
        assert_eq!((only.change, only.certain), (Change::Opened, true));
        assert_eq!(only.sets[&Field::Dst].as_slice(), [(0xc000_0280, 0xc000_02ff)]);
        assert!(!only.is_contradicted(), "{only:#?}");
    }
}

#[test]
fn a_question_about_a_way_out_leaves_out_what_routes_send_elsewhere() {
    let rule = |port: u16| {
        let rule = "[[rule_base.rule]]\nname = \"it\"\nto = [\"inside\", \"outside\"]\n\
                    action = \"allow\"\n";
        zoned(&format!("{rule}service = [\"tcp/{port}\"]\n"))
    };
    let (old, new) = (rule(80), rule(81));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let to = |name: &str| Request {
        to: Some(name.into()),
        families: vec![Family::V4],
        ..Request::all(pairing.clone())
    };
    let (inside, outside) = (0x0a00_0009, 0xc633_6409);
    for (name, asked, not_asked) in [("inside", inside, outside), ("outside", outside, inside)] {
        let answer = compare(&old, &new, &to(name));
        let found = findings(&old, &new, &answer, &pairing);
        let holds = |address: u128| {
            found.iter().any(|it| it.sets.get(&Field::Dst).is_none_or(|set| set.contains(address)))
        };
        assert!(holds(asked) && !holds(not_asked), "{name}: {found:#?}");
    }
}

#[test]
fn an_interface_without_a_zone_is_not_in_the_first_one() {
    let within =
        "[[rule_base.rule]]\nname = \"it\"\nrelation = \"intrazone\"\naction = \"allow\"\n";
    let other = "[[interface]]\nname = \"eth3\"\naddress = [\"10.9.0.1/24\"]\n";
    let firewall = zoned(&format!("{within}{other}"));
    let pairing = Pairing::of(&firewall, &firewall, &BTreeMap::new());
    let answer = compare(&firewall, &firewall, &Request::all(pairing));
    let names = |from: &[Option<Box<str>>; 2]| from[0].clone().unwrap_or_default();
    let groups = answer.undecided.iter().map(|it| &it.crossings);
    for ways in groups.chain(answer.compared.iter().map(|it| &it.crossings)) {
        let mut from: Vec<_> = ways.iter().map(|way| names(&way.from)).collect();
        from.sort_unstable();
        assert_ne!(*from, ["eth3".into(), "inside".into()]);
    }
}

#[test]
fn a_translated_destination_leaves_where_it_is_sent_after_translation() {
    // The public address has no route of its own; what it becomes lies inside.
    let old = zoned(
        r#"
        [[rule_base.rule]]
        name = "it"
        to = ["inside"]
        destination = ["203.0.113.10"]
        action = "allow"
        [[destination_nat]]
        name = "server"
        destination = ["203.0.113.10"]
        translation = { prefix = "10.0.0.10" }
        "#,
    );
    let answer = |new: &LinkedFirewall| {
        let pairing = Pairing::of(&old, new, &BTreeMap::new());
        compare(&old, new, &Request::all(pairing))
    };
    assert_eq!(answer(&old).undecided, []);
    assert!(answer(&old).is_equal());
    let none = zoned("");
    let found = found(&old, &none);
    assert!(!found.is_empty() && found.iter().all(|it| it.change == Change::Closed));
    assert!(found.iter().all(|it| it.to.is_empty()), "routes tell: {found:#?}");
}

#[test]
fn ports_of_protocols_that_have_ports_and_a_question_no_packet_fits() {
    let open = "[[rule_base.rule]]\nname = \"all\"\naction = \"allow\"\n";
    let (old, new) = (zoned(open), zoned(""));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let mut request = Request::all(pairing.clone());
    request.within.push((Field::DstPort, Ranges::span(0, 443)));
    request.protocols = vec![ProtocolClass::WithPorts];
    let answer = compare(&old, &new, &request);
    let found = findings(&old, &new, &answer, &pairing);
    assert!(!found.is_empty());
    for it in &found {
        assert_eq!(it.protocols, Some(ProtocolClass::WithPorts), "no type, no code: {it:#?}");
        assert_eq!(it.sets[&Field::DstPort].as_slice(), [(0, 443)]);
    }

    request.protocols.clear();
    let answer = compare(&old, &new, &request);
    let problems = Diagnostics::default();
    let sides = [&old, &new].map(|firewall| Stated { firewall, problems: &problems });
    assert_eq!(conclude(sides, &[&answer], &[], &pairing).verdict, Verdict::Undecided);
}
