//! Firewalls written by hand that translate: what becomes of addresses, and where two differ.

use parefeu_equivalence::{Case, Field, Obstacle, Problem, SolveLimits, flatten, solve};
use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_testkit::firewalls::stated;

use crate::oracle::{address, check_form};
use crate::written::{TCP_V4, check_refused};

/// A firewall that lets everything through, with these translations.
fn open(translations: &str) -> String {
    format!("{translations}\n[[rule_base]]\nname = \"main\"\ndefault = \"allow\"\n{LAYER}")
}

const LAYER: &str = "[[layer]]\nrule_base = \"main\"\n";

/// A source translation of these sources.
fn source(source: &str, translation: &str) -> String {
    format!("[[source_nat]]\nsource = [\"{source}\"]\ntranslation = {translation}\n")
}

/// A destination translation of these destinations.
fn destination(destination: &str, translation: &str) -> String {
    format!("[[destination_nat]]\ndestination = [\"{destination}\"]\ntranslation = {translation}\n")
}

fn problem(old: &str, new: &str) -> Problem {
    let within = vec![(Field::Protocol, Ranges::one(Protocol::TCP.0))];
    let case = Case { within, ..TCP_V4 };
    let problem = flatten(&stated(old), &stated(new), &case).unwrap();
    check_form(&problem);
    problem
}

/// The values of a field on which two firewalls differ, whatever the other fields are.
#[track_caller]
fn check(old: &str, new: &str, field: &Field, expected: &[(&str, &str)]) {
    let problem = problem(old, new);
    let solution = solve(&problem, &SolveLimits::default());
    assert!(solution.open.is_empty());
    assert!(solution.open.is_empty());
    let mut found = Vec::new();
    for difference in &solution.differences {
        for (dimension, set) in problem.dimensions.iter().zip(&difference.sets) {
            let values = |&(first, last): &_| (dimension.values(first).0, dimension.values(last).1);
            let values: Vec<_> = set.iter().map(values).collect();
            if dimension.field == *field {
                found.extend(values);
            } else if dimension.field != Field::Protocol {
                assert_eq!(values, [(0, dimension.last)], "{:?}", dimension.field);
            }
        }
    }
    let found: Ranges = found.into_iter().collect();
    let text = |value: u128| match field {
        Field::Src | Field::Dst => address(value, true).to_string(),
        _ => value.to_string(),
    };
    let found: Vec<(String, String)> =
        found.as_slice().iter().map(|&(a, b)| (text(a), text(b))).collect();
    let expected: Vec<(String, String)> =
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(found, expected, "\n{old}\n{new}");
}

const INSIDE: &str = "10.0.0.0/30";
const ALL_INSIDE: &[(&str, &str)] = &[("10.0.0.0", "10.0.0.3")];

/// Two translations of the sources of a network, and the sources on which they differ.
#[track_caller]
fn check_sources(old: &str, new: &str, expected: &[(&str, &str)]) {
    let [old, new] = [old, new].map(|translation| open(&source(INSIDE, translation)));
    check(&old, &new, &Field::Src, expected);
    check(&new, &old, &Field::Src, expected);
}

#[test]
fn a_prefix_and_an_address_meet_on_one_source() {
    let but_the_third = &[("10.0.0.0", "10.0.0.1"), ("10.0.0.3", "10.0.0.3")];
    let prefix = "{ prefix = \"192.0.2.0/30\" }";
    check_sources(prefix, "{ pool = [\"192.0.2.2\"] }", but_the_third);
    check_sources("\"keep\"", "{ prefix = \"10.0.0.2/32\" }", but_the_third);
    check_sources(prefix, "{ pool = [\"192.0.2.4\"] }", ALL_INSIDE);
    check_sources(prefix, "{ prefix = \"192.0.2.0/31\" }", &[("10.0.0.2", "10.0.0.3")]);
}

#[test]
fn pools_are_alike_when_they_hold_the_same() {
    let pool = "{ pool = [\"192.0.2.0/31\", \"192.0.2.7\"] }";
    check_sources(pool, "{ pool = [\"192.0.2.7\", \"192.0.2.0\", \"192.0.2.1\"] }", &[]);
    check_sources(pool, "{ pool = [\"192.0.2.0/31\"] }", ALL_INSIDE);
    check_sources(pool, "{ pool = [\"unknown:a provider's\"] }", ALL_INSIDE);
    let unknown = "{ pool = [\"unknown:a provider's\"] }";
    check_sources(unknown, unknown, &[]);
    check_sources(unknown, "{ pool = [\"unknown:another's\"] }", ALL_INSIDE);
}

#[test]
fn a_pool_of_the_other_family_is_no_translation() {
    let other = "{ pool = [\"2001:db8::1-2001:db8::9\"] }";
    check_sources(other, "\"keep\"", &[]);
    check_sources(other, "{ pool = [\"192.0.2.1\"] }", ALL_INSIDE);
}

#[test]
fn ports_are_alike_when_they_are_chosen_from_the_same() {
    let to = |port: &str| format!("{{ pool = [\"192.0.2.1\"], port = \"{port}\" }}");
    check_sources(&to("allocate 1024-65535"), &to("allocate"), &[]);
    check_sources(&to("allocate"), &to("allocate 1025-65535"), ALL_INSIDE);
    check_sources(&to("allocate"), &to("keep"), ALL_INSIDE);
    check_sources(&to("80>8080"), &to("8080>16080"), &[]);
    let two =
        [to("65535>0"), to("keep")].map(|translation| open(&source("0.0.0.0/0", &translation)));
    check(&two[0], &two[1], &Field::SrcPort, &[("0", "65535")]);
}

/// Two interfaces; the first has an address only where one is given.
fn interfaces(first: &str, address: &str) -> String {
    let address =
        if address.is_empty() { String::new() } else { format!("address = [\"{address}\"]\n") };
    format!(
        "[[interface]]\nname = \"{first}\"\n{address}[[route]]\ndestination = \"0.0.0.0/0\"\n\
         interface = \"{first}\"\n"
    )
}

#[test]
fn the_way_out_lends_its_address() {
    let masquerade = source(INSIDE, "\"egress-interface\"");
    let by = |interface: &str, address: &str| {
        open(&format!("{}{masquerade}", interfaces(interface, address)))
    };
    check(&by("wan", ""), &by("wan", ""), &Field::Src, &[]);
    check(&by("wan", ""), &by("dsl", ""), &Field::Src, ALL_INSIDE);
    check(&by("wan", "192.0.2.1/24"), &by("dsl", "192.0.2.1/24"), &Field::Src, &[]);
    check(&by("wan", "192.0.2.1/24"), &by("wan", ""), &Field::Src, ALL_INSIDE);
    let pool = source(INSIDE, "{ pool = [\"192.0.2.1\"], port = \"allocate\" }");
    check(&by("wan", "192.0.2.1/24"), &open(&pool), &Field::Src, &[]);
}

/// A firewall that lets through only what the layer sees come from, or go to, an address.
fn filtering(translations: &str, field: &str, sees: &str) -> String {
    let layer = format!("{LAYER}sees_{field} = \"{sees}\"\n");
    format!(
        "{translations}\n[[rule_base]]\nname = \"main\"\n[[rule_base.rule]]\n\
         {field} = [\"192.0.2.2\"]\naction = \"allow\"\n{layer}"
    )
}

#[test]
fn a_layer_compares_what_it_sees() {
    let closed = "[[rule_base]]\nname = \"main\"\ndefault = \"deny\"\n".to_owned() + LAYER;
    let to = "{ prefix = \"192.0.2.0/30\" }";
    for (field, dimension, translation) in [
        ("source", Field::Src, source(INSIDE, to)),
        ("destination", Field::Dst, destination(INSIDE, to)),
    ] {
        let [original, translated] =
            ["original", "translated"].map(|sees| filtering(&translation, field, sees));
        let itself = ("192.0.2.2", "192.0.2.2");
        check(&closed, &original, &dimension, &[itself]);
        check(&closed, &translated, &dimension, &[("10.0.0.2", "10.0.0.2"), itself]);
    }
}

#[test]
fn what_is_refused_is_not_translated() {
    let text = open("").replace("\"allow\"", "\"deny\"");
    let [one, other] = ["192.0.2.1", "192.0.2.2"]
        .map(|to| format!("{}{text}", source(INSIDE, &format!("{{ prefix = \"{to}/32\" }}"))));
    check(&one, &other, &Field::Src, &[]);
}

#[test]
fn translations_that_are_not_exact_are_refused_by_name() {
    let unknown = "{ pool = [\"unknown:a provider's\"] }";
    check_refused(&open(&destination(INSIDE, unknown)), Obstacle::Translation, "provider");
    check_refused(
        &filtering(&source(INSIDE, unknown), "source", "translated"),
        Obstacle::Translation,
        "192.0.2.2",
    );
    let two = destination(INSIDE, "{ pool = [\"192.0.2.2\", \"192.0.2.9\"] }");
    check_refused(&filtering(&two, "destination", "translated"), Obstacle::Choice, "192.0.2.2");
    let v6 = source(INSIDE, "{ prefix = \"2001:db8::/64\" }");
    check_refused(&open(&v6), Obstacle::OtherFamily, "2001:db8");
    let many = source("10.0.0.0/8", "{ prefix = \"192.0.2.0/24\" }");
    check_refused(&open(&many), Obstacle::ManyPrefixes, "10.0.0.0/8");
}

#[test]
fn a_list_grows_with_what_meets_and_not_with_the_product() {
    let servers = |text: &dyn Fn(u32) -> String| (1..=200).map(text).collect::<Vec<_>>().concat();
    let translations = servers(&|host| {
        let to = format!("{{ prefix = \"10.0.0.{host}/32\" }}");
        destination(&format!("192.0.2.{host}"), &to)
    });
    let rules = servers(&|host| {
        format!("[[rule_base.rule]]\ndestination = [\"10.0.0.{host}\"]\naction = \"allow\"\n")
    });
    let layer = format!("{LAYER}sees_destination = \"translated\"\n");
    let text = format!("{translations}[[rule_base]]\nname = \"main\"\n{rules}{layer}");
    let list = problem(&text, &text).old;
    // For each server its rule, and what refuses the rest: for its translated packets, and once for
    // all others. What is not asked about comes first.
    assert_eq!(list.entries.len(), 2 + 200 * 2 + 201);
}
