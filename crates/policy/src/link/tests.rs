use std::fmt::Write as _;

use super::*;
use crate::{Severity, Source, native};

/// Links native text, with a layer over its first rule base where it has none, and compares every
/// problem, each as `line code: message`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let layer = match text.split_once("[[rule_base]]\nname = ") {
        Some((_, rest)) if !text.contains("[[layer]]") => {
            format!("\n[[layer]]\nrule_base = {}\n", rest.lines().next().unwrap_or_default())
        }
        _ => String::new(),
    };
    check_as_written(&format!("{text}{layer}"), expected);
}

#[track_caller]
fn check_as_written(text: &str, expected: &[&str]) {
    let source = Source::new("t", text);
    let (firewall, mut problems) = native::read(source.clone());
    assert!(problems.is_empty(), "{problems:?}\n{text}");
    let firewall = firewall.unwrap();
    let linked = link(&firewall, &mut problems);
    problems.sort();
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            let (line, _) = source.position(problem.at.unwrap_or_default().start);
            format!("{line} {}: {}", problem.code, problem.message)
        })
        .collect();
    assert_eq!(shown, expected, "\n{text}");
    assert_eq!(linked.is_none(), problems.has_errors());
}

/// A rule base of one rule; its match begins on line 4.
fn rule(matches: &str) -> String {
    format!("[[rule_base]]\nname = \"r\"\n[[rule_base.rule]]\n{matches}\naction = \"allow\"\n")
}

#[test]
fn a_good_firewall_has_no_problems() {
    check(&rule("destination = \"192.0.2.1\"\nservice = \"tcp/443\""), &[]);
}

#[test]
fn every_kind_of_name_has_to_exist() {
    for (matches, expected) in [
        ("source = \"web\"", "4 unknown-object: unknown address object `web`"),
        ("destination = \"web\"", "4 unknown-object: unknown address object `web`"),
        ("service = \"web\"", "4 unknown-service: unknown service object `web`"),
        ("application = \"web\"", "4 unknown-application: unknown application `web`"),
        ("from = \"web\"", "4 unknown-zone: unknown zone `web`"),
        ("to = \"!web\"", "4 unknown-zone: unknown zone `web`"),
        ("ingress = \"web\"", "4 unknown-interface: unknown interface `web`"),
        ("egress = \"web\"", "4 unknown-interface: unknown interface `web`"),
        ("schedule = \"web\"", "4 unknown-schedule: unknown schedule `web`"),
    ] {
        check(&rule(matches), &[expected]);
    }
    for (text, expected) in [
        ("[[interface]]\nname = \"a\"\nzone = \"z\"", "3 unknown-zone: unknown zone `z`"),
        (
            "[[route]]\ndestination = \"0.0.0.0/0\"\ninterface = \"a\"",
            "3 unknown-interface: unknown interface `a`",
        ),
        ("[[layer]]\nrule_base = \"r\"", "2 unknown-rule-base: unknown rule base `r`"),
        (
            "[[rule_base]]\nname = \"r\"\n[[layer]]\nrule_base = \"r\"\n\
             [[layer]]\nrule_base = \"r\"\nname = \"l\"\nbefore_sessions = true",
            "6 layer-order: layer `l` is asked before sessions, and stands after one that is not",
        ),
        (
            "[[rule_base]]\nname = \"r\"\ndefault = \"goto:x\"",
            "1 unknown-rule-base: unknown rule base `x`",
        ),
        (
            "[[rule_base]]\nname = \"r\"\n[[rule_base.rule]]\naction = \"jump:x\"",
            "3 unknown-rule-base: unknown rule base `x`",
        ),
    ] {
        check(text, &[expected]);
    }
}

#[test]
fn every_kind_of_name_is_unique() {
    for (key, kind, more) in [
        ("zone", "zone", ""),
        ("interface", "interface", ""),
        ("address", "address object", "items = \"192.0.2.1\"\n"),
        ("service", "service object", "items = \"tcp/443\"\n"),
        ("application", "application", ""),
        ("url_category", "URL category", ""),
        ("schedule", "schedule", ""),
        ("profile", "profile", "definition = \"\"\n"),
        ("rule_base", "rule base", ""),
    ] {
        let one = format!("[[{key}]]\nname = \"a\"\n{more}");
        let line = 3 + more.lines().count();
        let expected = format!("{line} duplicate-name: {kind} `a` is defined twice");
        check(&format!("{one}{one}"), &[&expected]);
    }
}

#[test]
fn the_first_definition_is_pointed_out() {
    let text = "[[zone]]\nname = \"a\"\n[[zone]]\nname = \"b\"\n[[zone]]\nname = \"a\"\n";
    let (firewall, mut problems) = native::read(Source::new("t", text));
    link(&firewall.unwrap(), &mut problems);
    let found: Vec<_> = problems.iter().map(|it| (it.severity, it.help.clone())).collect();
    let help = "the first definition is on line 1".to_owned();
    assert_eq!(found, [(Severity::Error, Some(help))]);
}

/// Groups `g0` … that each hold the next; the last holds `end`.
fn nested(key: &str, members: &str, count: usize, end: &str) -> String {
    let mut text = String::new();
    for index in 0..count {
        let next = if index + 1 == count { end.to_owned() } else { format!("g{}", index + 1) };
        writeln!(text, "[[{key}]]\nname = \"g{index}\"\n{members} = [\"{next}\"]").unwrap();
    }
    text
}

#[test]
fn groups_may_neither_hold_themselves_nor_nest_without_end() {
    let within = MAX_NESTING;
    let last = 3 * within + 3;
    for (key, members, end, field, cycle, deep) in [
        (
            "address",
            "items",
            "192.0.2.1",
            "source",
            "cycle: address group `g0` contains itself",
            "nesting-too-deep: address groups nest deeper than 64",
        ),
        (
            "service",
            "items",
            "tcp/443",
            "service",
            "cycle: service group `g0` contains itself",
            "nesting-too-deep: service groups nest deeper than 64",
        ),
    ] {
        let used = rule(&format!("{field} = \"g0\""));
        check(&format!("{}{used}", nested(key, members, within, end)), &[]);
        let cyclic = nested(key, members, 2, "g0");
        check(&format!("{cyclic}{used}"), &[&format!("6 {cycle}")]);
        check(&cyclic, &[&format!("6 {cycle}")]);
        let too_deep = format!("{}{used}", nested(key, members, within + 1, end));
        check(&too_deep, &[&format!("{} {deep}", last - 3)]);
    }
    let used = rule("application = \"g0\"");
    let flat = "[[application]]\nname = \"end\"\n";
    check(&format!("{}{flat}{used}", nested("application", "members", within, "end")), &[]);
    let cyclic = nested("application", "members", 3, "g1");
    let cycle = "9 cycle: application group `g1` contains itself";
    check(&format!("{cyclic}{used}"), &[cycle]);
    check(&cyclic, &[cycle]);
    let too_deep = nested("application", "members", within + 1, "end");
    check(
        &format!("{too_deep}{flat}{used}"),
        &[&format!("{last} nesting-too-deep: application groups nest deeper than 64")],
    );
}

/// Rules that name the group that nests deepest first, last, or in between.
#[test]
fn nesting_is_refused_in_whatever_order_groups_are_named() {
    let count = MAX_NESTING + 1;
    for (key, members, end, field) in
        [("address", "items", "192.0.2.1", "source"), ("service", "items", "tcp/443", "service")]
    {
        let groups = nested(key, members, count, end);
        let deep = format!("nesting-too-deep: {key} groups nest deeper than 64");
        // Named from the inside out, all but the outermost are known when that one is reached.
        let inside_out: Vec<usize> = (0..count).rev().collect();
        for order in [inside_out, vec![MAX_NESTING / 2, 0]] {
            let used = |group: &usize| {
                format!("[[rule_base.rule]]\n{field} = \"g{group}\"\naction = \"allow\"\n")
            };
            let rules: String = order.iter().map(used).collect();
            let text = format!("{groups}[[rule_base]]\nname = \"r\"\n{rules}");
            let line = if order.len() == count { 3 } else { 3 * (MAX_NESTING / 2) };
            check(&text, &[&format!("{line} {deep}")]);
        }
    }
}

/// Each of 63 groups holds the next one twice: written out, 2⁶³ terms.
#[test]
fn groups_that_repeat_one_another_do_not_grow() {
    for (key, field, end) in
        [("service", "service", "tcp/443"), ("address", "source", "unknown:fqdn a")]
    {
        let last = MAX_NESTING - 1;
        let mut text = String::new();
        for index in 0..last {
            let next = index + 1;
            let items = format!("items = [\"g{next}\", \"g{next}\"]");
            writeln!(text, "[[{key}]]\nname = \"g{index}\"\n{items}").unwrap();
        }
        writeln!(text, "[[{key}]]\nname = \"g{last}\"\nitems = [\"{end}\"]").unwrap();
        check(&format!("{text}{}", rule(&format!("{field} = \"g0\""))), &[]);
    }
}

/// Rule bases `r0` … that each jump to the next.
fn jumping(count: usize, to: Option<usize>) -> String {
    let mut text = String::new();
    for index in 0..count {
        writeln!(text, "[[rule_base]]\nname = \"r{index}\"").unwrap();
        if let Some(next) = if index + 1 == count { to } else { Some(index + 1) } {
            writeln!(text, "[[rule_base.rule]]\naction = \"jump:r{next}\"").unwrap();
        }
    }
    text
}

#[test]
fn jumps_may_neither_come_back_nor_nest_without_end() {
    check(&jumping(MAX_NESTING + 1, None), &[]);
    check(&jumping(MAX_NESTING + 2, None), &["1 nesting-too-deep: jumps nest deeper than 64"]);
    let last_too_deep = 4 * 9 + 1;
    check(
        &jumping(MAX_NESTING + 11, None),
        &[&format!("{last_too_deep} nesting-too-deep: jumps nest deeper than 64")],
    );
    check(&jumping(1, Some(0)), &["3 cycle: rule base `r0` jumps to itself"]);
    check(&jumping(3, Some(1)), &["11 cycle: rule base `r1` jumps to itself"]);
    // Two ways to the same rule base are no cycle.
    let twice = "[[rule_base]]\nname = \"a\"\n[[rule_base.rule]]\naction = \"jump:b\"\n\
        [[rule_base.rule]]\naction = \"jump:b\"\n[[rule_base]]\nname = \"b\"\n";
    check(twice, &[]);
}

#[test]
fn a_default_has_to_decide() {
    for (action, expected) in [
        ("jump:r", "jump to `r`"),
        ("goto:r", "go to `r`"),
        ("return", "return"),
        ("continue", "continue"),
    ] {
        let of_rule_base = format!("[[rule_base]]\nname = \"a\"\ndefault = \"{action}\"\n");
        let of_layer = format!("[[layer]]\nrule_base = \"r\"\ndefault = \"{action}\"\n");
        let last = "[[rule_base]]\nname = \"r\"\n";
        let error = |line: u32| format!("{line} bad-default: a default cannot {expected}");
        check(&format!("{of_rule_base}{last}"), &[&error(1)]);
        check(&format!("{of_layer}{last}"), &[&error(2)]);
    }
    for action in ["allow", "deny", "drop", "reset-client", "reset-server", "reset"] {
        check(&format!("[[rule_base]]\nname = \"r\"\ndefault = \"{action}\"\n"), &[]);
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    check(
        &rule("source = \"192.0.2.9-192.0.2.1\""),
        &["4 bad-range: address range 192.0.2.9-192.0.2.1 is inverted or mixes IPv4 and IPv6"],
    );
    check(
        &format!(
            "[[url_category]]\nname = \"c\"\npatterns = [\"a*.example.com\"]\n{}",
            rule("url_category = \"c\"")
        ),
        &["3 bad-pattern: URL pattern `a*.example.com` is unusable: a wildcard must stand alone \
           between separators"],
    );
    check(
        "[[source_nat]]\nname = \"n\"\ntranslation = { pool = [] }\n",
        &["1 empty-pool: translation pool of `n` is empty"],
    );
}

#[test]
fn what_matches_nothing_is_suspicious() {
    check(
        &format!("[[address]]\nname = \"a\"\nitems = []\n{}", rule("source = \"a\"")),
        &["1 empty-group: address object `a` is empty and matches nothing"],
    );
    check(
        &format!("[[service]]\nname = \"a\"\nitems = []\n{}", rule("service = \"a\"")),
        &["1 empty-group: service object `a` is empty and matches nothing"],
    );
    check(&rule("source = []"), &["3 empty-match: the rule can match no packet"]);
    check(&rule("service = []"), &["3 empty-match: the rule can match no packet"]);
    check(&rule("source = []\nnegate_source = true"), &[]);
    check(
        "[[route]]\ndestination = \"10.0.0.0/8\"\nnext_hop = \"192.0.2.1\"\n",
        &["1 route-without-interface: route to 10.0.0.0/8 leads to no interface"],
    );
}

#[test]
fn rule_bases_without_a_layer_are_suspicious() {
    let text = "[[zone]]\nname = \"z\"\n[[rule_base]]\nname = \"r\"\n[[rule_base]]\nname = \"s\"\n";
    let problem = "3 no-layer: no layer says which rule base filters packets";
    check_as_written(text, &[problem]);
    check_as_written(&format!("{text}[[layer]]\nrule_base = \"s\"\n"), &[]);
    check_as_written("[[zone]]\nname = \"z\"\n", &[]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let text = "[[zone]]\nname = \"a\"\n[[zone]]\nname = \"a\"\n[[rule_base]]\nname = \"r\"\n\
        [[rule_base.rule]]\nsource = [\"x\", \"y\"]\nservice = \"z\"\naction = \"jump:r\"\n\
        [[layer]]\nrule_base = \"q\"\n";
    check(
        text,
        &[
            "3 duplicate-name: zone `a` is defined twice",
            "7 cycle: rule base `r` jumps to itself",
            "8 unknown-object: unknown address object `x`",
            "8 unknown-object: unknown address object `y`",
            "9 unknown-service: unknown service object `z`",
            "12 unknown-rule-base: unknown rule base `q`",
        ],
    );
}

#[test]
fn groups_are_flattened_and_exceptions_taken_out() {
    let text = "[[address]]\nname = \"net\"\nitems = \"192.0.2.0/24\"\nexcept = [\"host\"]\n\
        [[address]]\nname = \"host\"\nitems = \"192.0.2.7\"\n\
        [[address]]\nname = \"all\"\nitems = [\"net\", \"192.0.4.0-192.0.4.9\", \"unknown:fqdn a\"]\n";
    let text = format!(
        "{text}{}",
        rule("source = \"all\"\ndestination = \"net\"\nnegate_destination = true")
    );
    let (firewall, mut problems) = native::read(Source::new("t", &text));
    let linked = link(&firewall.unwrap(), &mut problems).unwrap();
    let matches = &linked.rules[0].matches;
    let bits = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().to_bits();
    let range = |first, last| (bits(first), bits(last));
    assert_eq!(
        matches.src.set.v4_ranges(),
        [
            range("192.0.2.0", "192.0.2.6"),
            range("192.0.2.8", "192.0.2.255"),
            range("192.0.4.0", "192.0.4.9"),
        ]
        .as_slice()
    );
    let atoms: Vec<&str> =
        matches.src.atoms.iter().map(|id| &*linked.atoms[id.index()].text).collect();
    assert_eq!(atoms, ["fqdn a"]);
    assert!(!matches.dst.negated);
    assert!(matches.dst.set.contains("192.0.2.7".parse().unwrap()));
    assert!(!matches.dst.set.contains("192.0.2.8".parse().unwrap()));
    assert!(matches.dst.set.contains("2001:db8::1".parse().unwrap()));
}

#[test]
fn cycles_of_every_kind_are_reported_where_no_text_tells_them_apart() {
    let text = format!(
        "{}{}{}",
        nested("address", "items", 2, "g0"),
        nested("service", "items", 1, "g0"),
        rule("service = \"g0\"")
    );
    let mut firewall = native::read(Source::new("t", &text)).0.unwrap();
    for at in firewall.addresses.iter_mut().flat_map(|group| &mut group.items).map(|it| &mut it.at)
    {
        *at = Span::default();
    }
    for at in firewall.services.iter_mut().flat_map(|group| &mut group.items).map(|it| &mut it.at) {
        *at = Span::default();
    }
    for rule in firewall.rule_bases.iter_mut().flat_map(|base| &mut base.rules) {
        rule.matches.services.iter_mut().for_each(|it| it.at = Span::default());
    }
    let mut problems = Diagnostics::default();
    assert!(link(&firewall, &mut problems).is_none());
    let cycles = problems.iter().filter(|it| it.code == "cycle");
    let found: Vec<&str> = cycles.map(|it| it.message.as_str()).collect();
    assert_eq!(found, ["service group `g0` contains itself", "address group `g0` contains itself"]);
}
