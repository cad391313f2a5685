//! Each finding in an example.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

use parefeu_net::Timestamp;
use parefeu_policy::analysis::{Finding, LintOptions, RuleReference, lint};
use parefeu_policy::{ServiceObject, Source, Span, link, native};

/// Rules of the rule base `main`, each a line `name: keys`, and the layer over it. Lines that start
/// with `= ` begin another rule base, lines with `[` stand for themselves.
fn firewall(lines: &str) -> String {
    let mut text = "[[layer]]\nrule_base = \"main\"\n".to_owned();
    let mut rules = "[[rule_base]]\nname = \"main\"\n".to_owned();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            writeln!(text, "{}", line.replace("; ", "\n")).unwrap();
        } else if let Some(name) = line.strip_prefix("= ") {
            writeln!(rules, "[[rule_base]]\nname = \"{name}\"").unwrap();
        } else {
            let (name, keys) = line.split_once(": ").unwrap();
            let keys = keys.replace("; ", "\n");
            writeln!(rules, "[[rule_base.rule]]\nname = \"{name}\"\n{keys}").unwrap();
        }
    }
    text + &rules
}

fn found(text: &str, options: &LintOptions) -> Vec<Finding> {
    let (written, mut problems) = native::read(Source::new("t", text));
    let written = written.unwrap_or_else(|| panic!("{problems:?}\n{text}"));
    let linked = link(&written, &mut problems).unwrap_or_else(|| panic!("{problems:?}\n{text}"));
    lint(&written, &linked, options)
}

/// `weight kind: rules or subject < rules responsible`
fn brief(finding: &Finding) -> String {
    let names = |rules: &[RuleReference]| {
        rules.iter().map(|rule| &*rule.name).collect::<Vec<_>>().join(" ")
    };
    let Finding { kind, weight, rules, by, subject, .. } = finding;
    let about = if rules.is_empty() { subject.clone() } else { names(rules) };
    let by = if by.is_empty() { String::new() } else { format!(" < {}", names(by)) };
    format!("{} {}: {about}{by}", weight.name(), kind.name())
}

#[track_caller]
fn check(lines: &str, expected: &[&str]) {
    let text = firewall(lines);
    let brief: Vec<String> = found(&text, &LintOptions::default()).iter().map(brief).collect();
    assert_eq!(brief, expected, "\n{text}");
}

/// S12.3, S12.4
#[test]
fn a_rule_behind_a_wider_one_is_shadowed_or_redundant() {
    check(
        r#"
        no-guests: source = "10.0.9.0/24"; action = "drop"
        net: source = "10.0.0.0/8"; service = "tcp/1-1023"; action = "allow"
        guest: source = "10.0.9.7"; service = "tcp/80"; action = "allow"
        web: source = "10.1.0.0/16"; service = ["tcp/80", "tcp/443"]; action = "allow"
        refused: source = "10.2.0.0/16"; service = "tcp/22"; action = "reset"
        v6: source = "2001:db8::/32"; service = "tcp/80"; action = "allow"
        "#,
        &[
            "information partly-shadowed: net < no-guests",
            "serious shadowed: guest < no-guests",
            "warning redundant: web < net",
            "serious shadowed: refused < net",
        ],
    );
}

/// S12.3: one rule may hold another one with several of its services only.
#[test]
fn the_services_of_one_rule_count_together() {
    check(
        r#"
        a: service = ["tcp/80", "tcp/443", "tcp/81-90"]; action = "allow"
        b: service = ["tcp/80-90", "tcp/443"]; action = "deny"
        "#,
        &["serious shadowed: b < a"],
    );
}

#[test]
fn several_rules_together_shadow_one() {
    check(
        r#"
        low: destination = "192.0.2.0/25"; action = "allow"
        other: destination = "198.51.100.0/24"; action = "allow"
        high: destination = "192.0.2.128/25"; action = "deny"
        both: destination = "192.0.2.0/24"; action = "deny"
        more: destination = "192.0.2.0/23"; action = "drop"
        "#,
        &["serious shadowed-together: both < low high", "information partly-shadowed: more < low"],
    );
}

/// S12.2: what only perhaps matches takes nothing.
#[test]
fn what_only_perhaps_matches_shadows_nothing() {
    check(
        r#"
        limited: unknown = "-m limit"; action = "deny"
        named: destination = "unknown:fqdn a.example.com"; action = "deny"
        not-named: destination = "unknown:fqdn a.example.com"; negate_destination = true; action = "drop"
        dynamic: service = "unknown:tcp/dynamic"; action = "drop"
        rest: source = "192.0.2.0/24"; action = "allow"
        "#,
        &[],
    );
    check(
        r#"
        all: source = "192.0.2.0/24"; action = "allow"
        limited: source = "192.0.2.0/25"; unknown = "-m limit"; action = "drop"
        "#,
        &["serious shadowed: limited < all"],
    );
}

#[test]
fn an_application_shadows_itself_and_any_application_all_of_them() {
    let applications = r#"
        [[application]]; name = "dns"; identified_as = "dns"; default_service = "udp/53"
        [[application]]; name = "ssh"; identified_as = "ssh"; default_service = "tcp/22"
        "#;
    let with = |rules: &str| format!("{applications}{rules}");
    check(
        &with(
            r#"
            ssh: application = "ssh"; action = "allow"
            dns: application = "dns"; action = "drop"
            again: application = "ssh"; source = "192.0.2.1"; action = "drop"
            "#,
        ),
        &["serious shadowed: again < ssh"],
    );
    check(
        &with(
            r#"
            any: source = "192.0.2.0/24"; action = "allow"
            ssh: application = "ssh"; source = "192.0.2.1"; action = "drop"
            dns: application = "dns"; action = "drop"
            "#,
        ),
        &["serious shadowed: ssh < any", "information partly-shadowed: dns < any"],
    );
    check(
        &with(
            r#"
            port: service = "tcp/22"; action = "drop"
            ssh: application = "ssh"; service = "application-default"; action = "allow"
            dns: application = "dns"; service = "application-default"; action = "allow"
            "#,
        ),
        &["serious shadowed: ssh < port"],
    );
}

#[test]
fn zones_of_one_rule_are_held_by_a_list_that_names_them() {
    let zones = "[[zone]]; name = \"in\"\n[[zone]]; name = \"out\"\n";
    let with = |rules: &str| format!("{zones}{rules}");
    check(
        &with(
            r#"
            some: from = ["in", "out"]; service = "tcp/22"; action = "allow"
            in: from = "in"; service = "tcp/22"; action = "deny"
            not-in: from = "!in"; service = "tcp/22"; action = "deny"
            any: service = "tcp/22"; action = "deny"
            "#,
        ),
        // A packet of an interface without a zone comes to the last one.
        &[
            "serious shadowed: in < some",
            "serious shadowed: not-in < some",
            "information redundant: any",
            "information partly-shadowed: any < some",
        ],
    );
    check(
        &with(
            r#"
            within: relation = "intrazone"; service = "tcp/22"; action = "allow"
            in-in: from = "in"; to = "in"; service = "tcp/22"; action = "deny"
            in-out: from = "in"; to = "out"; service = "tcp/22"; action = "allow"
            out-out: relation = "interzone"; from = "out"; to = "out"; action = "allow"
            "#,
        ),
        &["serious shadowed: in-in < within", "warning never-matches: out-out"],
    );
}

/// S12.4: what is below may do the same.
#[test]
fn a_rule_that_another_one_below_makes_needless_is_redundant() {
    check(
        r#"
        host: source = "192.0.2.1"; action = "allow"
        logged: source = "192.0.2.2"; action = "allow"; log = true
        guarded: source = "192.0.2.3"; action = "allow"
        refused: source = "192.0.2.3"; service = "tcp/23"; action = "deny"
        net: source = "192.0.2.0/24"; action = "allow"
        "#,
        &["warning redundant: host < net", "serious shadowed: refused < guarded"],
    );
    check(
        r#"
        guard: source = "192.0.2.3"; service = "tcp/80"; action = "allow"
        refused: source = "192.0.2.0/28"; service = "tcp/1-1023"; action = "deny"
        net: source = "192.0.2.0/24"; action = "allow"
        "#,
        &[
            "information partly-shadowed: refused < guard",
            "information partly-shadowed: net < refused",
        ],
    );
    check(
        r#"
        last: source = "192.0.2.3"; action = "deny"
        = other
        "#,
        &["information redundant: last", "warning unreachable-rule-base: other"],
    );
}

#[test]
fn of_two_equal_rules_one_is_redundant() {
    check(
        r#"
        a: source = "192.0.2.1"; action = "allow"
        b: source = "192.0.2.1"; action = "allow"
        "#,
        &["warning redundant: b < a"],
    );
}

#[test]
fn nothing_gets_past_what_takes_every_packet() {
    check(
        r#"
        jump: action = "jump:all"
        a: source = "192.0.2.1"; action = "deny"
        b: source = "192.0.2.2"; action = "allow"
        = all
        ssh: service = "tcp/22"; action = "drop"
        rest: action = "allow"; log = true
        "#,
        &["warning unreachable: a b < jump", "serious any-any-allow: rest"],
    );
    check(
        r#"
        jump: action = "jump:some"
        a: source = "192.0.2.1"; action = "allow"
        = some
        back: action = "return"
        b: action = "allow"; source = "192.0.2.0/24"
        "#,
        &["warning unreachable: b < back"],
    );
    check(
        r#"
        all: action = "deny"; log = true
        a: source = "192.0.2.1"; action = "allow"
        count: action = "continue"
        "#,
        &["serious unreachable: a count < all"],
    );
}

#[test]
fn contradictions_are_named() {
    let findings = found(
        &firewall(
            r#"
            [[schedule]]; name = "never"
            families: source = "192.0.2.1"; destination = "2001:db8::1"; action = "allow"
            flags: service = "udp/53"; tcp_flags = "syn"; action = "allow"
            empty: source = []; action = "allow"
            schedule: schedule = "never"; action = "allow"
            off: disabled = true; action = "allow"
            "#,
        ),
        &LintOptions::default(),
    );
    let messages: Vec<&str> = findings.iter().map(|it| &*it.message).collect();
    assert_eq!(
        messages,
        [
            "`families` can match no packet: its source and destination are of different address \
             families",
            "`flags` can match no packet: no TCP packet has the flags and services it names",
            "`empty` can match no packet: its source is empty",
            "`schedule` can match no packet: its schedule is never on",
            "`off` is switched off",
        ]
    );
}

#[test]
fn a_schedule_is_over_only_when_a_moment_is_given() {
    let text = firewall(
        r#"
        [[schedule]]; name = "past"; absolute = "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z"
        [[schedule]]; name = "weekly"; weekly = "mon 08:00-18:00"
        a: schedule = "past"; source = "192.0.2.1"; action = "allow"
        b: schedule = "weekly"; source = "192.0.2.1"; action = "allow"
        "#,
    );
    let at = |text: &str| LintOptions {
        at: Some(Timestamp::parse_rfc3339(text).unwrap()),
        ..LintOptions::default()
    };
    assert_eq!(found(&text, &LintOptions::default()), []);
    assert_eq!(found(&text, &at("2026-01-31T23:59:59Z")), []);
    let after = found(&text, &at("2026-02-01T00:00:00Z"));
    assert_eq!(after.iter().map(brief).collect::<Vec<_>>(), ["warning expired: a"]);
    assert_eq!(after[0].message, "the schedule `past` of `a` ended 2026-02-01T00:00:00Z");
}

#[test]
fn the_sentence_names_the_rules_with_their_lines() {
    let text = firewall(
        r#"
        a: source = "192.0.2.0/24"; action = "deny"; log = true
        b: source = "192.0.2.1"; action = "allow"
        "#,
    );
    let findings = found(&text, &LintOptions::default());
    let line = text.lines().position(|line| line == "name = \"a\"").unwrap();
    assert_eq!(
        findings[0].message,
        format!(
            "`b`, which would allow, never decides: `a` (line {line}) above takes all its packets \
             and denies them"
        )
    );
}

/// S12.6: the work is bounded, and what is not decided is said.
#[test]
fn without_work_nothing_is_decided_in_silence() {
    let text = firewall(
        r#"
        low: destination = "192.0.2.0/25"; action = "allow"
        high: destination = "192.0.2.128/25"; action = "allow"
        both: destination = "192.0.2.0/24"; action = "drop"
        "#,
    );
    let options = LintOptions { work_per_rule: 10, ..LintOptions::default() };
    let findings: Vec<String> = found(&text, &options).iter().map(brief).collect();
    assert_eq!(findings, ["warning not-decided: both"]);
}

/// S12.6: so is what was not looked at because somebody said to stop, once for all of it.
#[test]
fn rules_left_when_the_analysis_stops_are_told_once() {
    static STOP: AtomicBool = AtomicBool::new(true);
    let text = firewall(
        r#"
        wide: destination = "192.0.2.0/24"; action = "drop"
        off: destination = "192.0.2.1"; action = "allow"; disabled = true
        narrow: destination = "192.0.2.2"; action = "allow"
        "#,
    );
    let options = LintOptions { stop: Some(&STOP), ..LintOptions::default() };
    let found = found(&text, &options);
    let told: Vec<String> = found.iter().map(brief).collect();
    assert_eq!(told, ["warning not-decided: wide narrow", "information disabled: off"]);
}

#[test]
fn translations_are_a_list_like_others() {
    let nat = r#"
        [[source_nat]]; name = "dynamic"; source = "10.0.0.0/8"; translation = "egress-interface"
        [[source_nat]]; name = "static"; source = "10.0.0.7"; translation = { prefix = "203.0.113.7" }
        [[source_nat]]; name = "same"; source = "10.1.0.0/16"; translation = "egress-interface"
        [[source_nat]]; name = "exempt"; source = "172.16.0.0/12"; translation = "keep"
        "#;
    check(
        nat,
        &[
            "serious shadowed: static < dynamic",
            "warning redundant: same < dynamic",
            "information redundant: exempt",
        ],
    );
}

/// S12.5
#[test]
fn objects_nothing_uses_and_objects_that_say_the_same() {
    check(
        r#"
        [[address]]; name = "used"; items = ["192.0.2.1"]
        [[address]]; name = "same"; items = ["192.0.2.1/32"]
        [[address]]; name = "member"; items = ["192.0.2.3"]
        [[address]]; name = "group"; items = ["member"]
        [[address]]; name = "empty"; items = []
        [[service]]; name = "web"; items = ["tcp/80"]
        [[service]]; name = "http"; items = ["tcp/80"]
        [[schedule]]; name = "later"; weekly = "mon 08:00-18:00"
        a: source = ["used", "empty"]; service = "web"; action = "allow"
        "#,
        &[
            "information unused-object: same",
            "information duplicate-object: same",
            "information unused-object: member",
            "information unused-object: group",
            "warning empty-group: empty",
            "information unused-object: http",
            "information duplicate-object: http",
            "information unused-object: later",
        ],
    );
}

/// S12.5
#[test]
fn a_rule_base_that_nothing_leads_to_is_named_unless_the_device_starts_there() {
    let text = firewall(
        r#"
        a: source = "192.0.2.1"; action = "allow"
        = local
        jump: action = "jump:helper"; source = "192.0.2.0/24"
        = helper
        b: source = "192.0.2.1"; action = "allow"
        = lost
        c: action = "jump:further"; source = "192.0.2.0/24"
        = further
        "#,
    );
    let brief = |text: &str| -> Vec<String> {
        found(text, &LintOptions::default()).iter().map(brief).collect()
    };
    let lost = ["lost", "further"].map(|name| format!("warning unreachable-rule-base: {name}"));
    let all = ["local", "helper"].map(|name| format!("warning unreachable-rule-base: {name}"));
    assert_eq!(brief(&text), [all, lost.clone()].concat());
    let entered = text.replace("name = \"local\"", "name = \"local\"\ndefault = \"drop\"");
    assert_eq!(brief(&entered), lost);
}

/// S12.5: what a vendor predefines has no place in the text, and nothing is said of it.
#[test]
fn of_predefined_objects_nothing_is_said() {
    let text = firewall("a: source = \"192.0.2.1\"; action = \"allow\"");
    let (written, mut problems) = native::read(Source::new("t", &text));
    let mut written = written.unwrap();
    written.services.push(ServiceObject {
        name: "predefined".to_owned(),
        at: Span { source: u16::MAX, start: 0, end: 0 },
        ..ServiceObject::default()
    });
    let linked = link(&written, &mut problems).unwrap();
    assert_eq!(lint(&written, &linked, &LintOptions::default()), []);
}

/// S4.1
#[test]
fn a_pool_takes_packets_of_its_own_family_only() {
    let pool = "pool = [\"192.0.2.1\"]";
    let any = "[[source_nat]]; name = \"any\"; translation = { ";
    let net = "[[source_nat]]; name = \"net\"; source = \"10.0.0.0/8\"; translation = { ";
    let six = "[[source_nat]]; name = \"six\"; translation = { pool = [\"2001:db8::1\"] }";
    let both = "pool = [\"192.0.2.1\", \"2001:db8::9\"]";
    check(&format!("{any}{pool} }}\n{six}"), &[]);
    check(&format!("{any}{both} }}\n{six}"), &["serious unreachable: six < any"]);
    check(&format!("{net}{pool} }}\n{net}{both} }}"), &["serious shadowed: net < net"]);
}
