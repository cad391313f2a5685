//! What `set` lines leave behind: values that replace, alternatives, and lines that say much.

use parefeu_policy::{LinkedFirewall, Source};
use proptest::prelude::{Just, Strategy, prop};
use proptest::{prop_assert_eq, proptest};

use super::{check, check_problems, codes, judge, linked, rule, with_network};
use crate::panos;

/// What a configuration answers, and the problems it has.
#[track_caller]
fn answers(config: &str, flow: &str) -> (String, Vec<String>) {
    let (firewall, problems) = linked(config);
    let firewall = firewall.unwrap_or_else(|| panic!("{problems:#?}"));
    (judge(&firewall, flow), codes(&problems))
}

const WEB: &str = "trust 10.0.0.5 192.0.2.1 tcp 80";
const REPLACED: &str = "unsupported replaced-alternative";

#[test]
fn the_last_value_set_holds_though_it_was_set_before() {
    for (fields, expected) in [
        (["action allow", "action deny", "action allow"], "allow x"),
        (["action deny", "action allow", "action deny"], "deny x"),
        (["action allow disabled yes", "disabled no", "disabled yes"], "deny interzone-default"),
        (["action allow disabled no", "disabled yes", "disabled no"], "allow x"),
        (["action allow schedule s", "schedule t", "schedule s"], "deny interzone-default"),
        (
            ["action allow rule-type interzone", "rule-type intrazone", "rule-type interzone"],
            "allow x",
        ),
    ] {
        let first = rule("x", fields[0]);
        let then = fields[1..].iter().map(|it| format!("set rulebase security rules x {it}\n"));
        let schedules = "set schedule s schedule-type non-recurring \
                         2020/01/01@00:00-2020/01/02@00:00\n\
                         set schedule t schedule-type non-recurring \
                         1970/01/01@00:00-2030/01/01@00:00\n";
        let config = with_network(&(first + &then.collect::<String>() + schedules));
        check(&config, &[(WEB, expected)]);
    }
}

#[test]
fn values_that_are_not_listed_are_replaced_as_well() {
    let session = |values: &[&str]| {
        let lines =
            values.iter().map(|it| format!("set deviceconfig setting session timeout-tcp {it}\n"));
        linked(&with_network(&lines.collect::<String>())).0.unwrap().behaviour
    };
    let timers = session(&["1800", "900", "1800"]).timers;
    assert_eq!(timers.tcp_established.as_secs(), 1800);
}

#[test]
fn an_alternative_takes_the_place_of_another() {
    let to = |object: &str| rule("x", &format!("destination {object} action allow"));
    let address = "set address srv ip-netmask 192.0.2.1\nset address srv ip-netmask 192.0.2.2\n\
                   set address srv fqdn x.example.com\nset address srv ip-netmask 192.0.2.1\n";
    let config = with_network(&(to("srv") + address));
    assert_eq!(answers(&config, WEB).0, "allow x");
    let other = "trust 10.0.0.5 192.0.2.2 tcp 80";
    let expected = vec![REPLACED.to_owned(); 2];
    assert_eq!(answers(&config, other), ("deny interzone-default".to_owned(), expected));

    let group = "set address a ip-netmask 192.0.2.1\nset address-group g static a\n\
                 set address-group g dynamic filter \"'t'\"\n";
    let config = with_network(&(to("g") + group));
    assert_eq!(answers(&config, WEB), ("unknown x".to_owned(), vec![REPLACED.to_owned()]));

    let service = "set service s protocol tcp port 80\nset service s protocol udp port 53\n";
    let config = with_network(&(rule("x", "service s action allow") + service));
    assert_eq!(answers(&config, WEB).0, "deny interzone-default");
    assert_eq!(answers(&config, "trust 10.0.0.5 192.0.2.1 udp 53").0, "allow x");
}

#[test]
fn kinds_of_translation_replace_each_other() {
    let nat = "set rulebase nat rules n from trust to untrust source any destination any service \
               any source-translation";
    let again = "set rulebase nat rules n source-translation";
    let hide = "dynamic-ip-and-port interface-address interface ethernet1/2";
    let pool = "dynamic-ip-and-port translated-address 203.0.113.7";
    let fixed = "static-ip translated-address 203.0.113.9";
    for (first, second, expected) in [
        (hide, fixed, "203.0.113.9"),
        (fixed, hide, "203.0.113.1"),
        (hide, pool, "203.0.113.7"),
        (pool, hide, "203.0.113.1"),
    ] {
        let lines = format!("{nat} {first}\n{again} {second}\n");
        let config = with_network(&(rule("x", "action allow") + &lines));
        let expected = format!("allow x as {expected} > 192.0.2.1:80");
        assert_eq!(answers(&config, WEB), (expected, vec![REPLACED.to_owned()]));
    }
    let once = format!("{nat} {hide}\n{again} {hide}\n");
    let config = with_network(&(rule("x", "action allow") + &once));
    check(&config, &[(WEB, "allow x as 203.0.113.1 > 192.0.2.1:80")]);
}

#[test]
fn alternatives_of_other_elements_replace_each_other() {
    for lines in [
        "set zone dmz network tap ethernet1/9\n",
        "set network interface ethernet ethernet1/3 layer2\n",
        "set network virtual-router default routing-table ip static-route d nexthop discard\n",
        "set schedule s schedule-type recurring daily 08:00-10:00\n\
         set schedule s schedule-type recurring weekly monday 08:00-10:00\n",
        "set schedule s schedule-type recurring daily 08:00-10:00\n\
         set schedule s schedule-type non-recurring 2020/01/01@00:00-2020/01/02@00:00\n",
        "set rulebase pbf rules p action no-pbf disabled yes\n\
         set rulebase pbf rules p action discard\n",
        "set rulebase nat rules n destination-translation translated-address 10.0.0.9\n\
         set rulebase nat rules n dynamic-destination-translation translated-address 10.0.0.8\n",
    ] {
        let found = linked(&with_network(lines)).1;
        assert!(codes(&found).contains(&REPLACED.to_owned()), "{lines} {found:#?}");
    }
}

/// Whether two texts are read as the same firewall, places apart.
#[track_caller]
fn check_same(one: &str, other: &str, flows: &[&str]) {
    let read = |text: &str| -> LinkedFirewall {
        let (firewall, problems) = linked(&with_network(text));
        assert!(problems.is_empty(), "{text}\n{problems:#?}");
        firewall.unwrap()
    };
    let (first, second) = (read(one), read(other));
    for flow in flows {
        assert_eq!(judge(&first, flow), judge(&second, flow), "{flow}");
    }
}

#[test]
fn a_line_goes_on_after_something_nested() {
    let nested = rule("x", "action allow profile-setting group default disabled yes");
    check(&with_network(&nested), &[(WEB, "deny interzone-default")]);
    for middle in [
        "profile-setting group default",
        "profile-setting profiles virus default spyware strict",
        "option disable-server-response-inspection yes",
        "qos marking ip-dscp af11",
        "qos marking follow-c2s-flow",
        "tag [ a b ]",
        "description \"a b\"",
    ] {
        let line = rule("x", &format!("{middle} action allow log-start yes"));
        check(&with_network(&line), &[(WEB, "allow x")]);
    }
    let mut nat = "set rulebase nat rules n source-translation dynamic-ip-and-port \
                   interface-address interface ethernet1/2 ip 203.0.113.9/24 from trust to untrust \
                   source any destination any service any\n"
        .to_owned();
    nat += &rule("x", "action allow");
    check(&with_network(&nat), &[(WEB, "allow x as 203.0.113.9 > 192.0.2.1:80")]);
    let both = "set rulebase nat rules n from untrust to untrust source any destination 203.0.113.10 \
                service any source-translation static-ip translated-address 203.0.113.9 \
                bi-directional no destination-translation translated-address 10.0.0.9 \
                translated-port 8080 disabled no\n";
    let both = with_network(&(rule("x", "action allow") + both));
    let expected = "allow x as 203.0.113.9 > 10.0.0.9:8080";
    check(&both, &[("untrust 192.0.2.7 203.0.113.10 tcp 80", expected)]);
}

#[test]
fn a_route_is_read_in_one_line() {
    let route = "set network virtual-router default routing-table ip static-route r";
    let allow = rule("x", "to dmz action allow");
    for fields in [
        "destination 198.51.100.0/24 interface ethernet1/3.7 nexthop ip-address 10.7.0.9",
        "interface ethernet1/3.7 destination 198.51.100.0/24 nexthop ip-address 10.7.0.9 metric 5",
        "nexthop ip-address 10.7.0.9 interface ethernet1/3.7 metric 5 destination 198.51.100.0/24",
        "path-monitor enable no hold-time 2 bfd profile None route-table unicast nexthop \
         ip-address 10.7.0.9 destination 198.51.100.0/24 admin-dist 20",
    ] {
        let config = with_network(&format!("{route} {fields}\n{allow}"));
        let firewall = linked(&config).0.unwrap();
        let ingress = firewall.interface_named("ethernet1/1");
        let egress = firewall.route(ingress, "198.51.100.1".parse().unwrap());
        assert_eq!(egress, firewall.interface_named("ethernet1/3.7"), "{fields}");
        check(&config, &[("trust 10.0.0.5 198.51.100.1 tcp 80", "allow x")]);
    }
}

#[test]
fn interfaces_and_objects_are_read_in_one_line() {
    let lines = "set network interface ethernet ethernet1/4 link-state up layer3 mtu 1500 ip \
                 10.4.0.1/24 interface-management-profile admin comment c\n\
                 set network interface ethernet ethernet1/5 layer3 dhcp-client enable no \
                 create-default-route no\n\
                 set network virtual-router default interface ethernet1/4 routing-table ip \
                 static-route s destination 198.51.100.0/24 nexthop ip-address 10.4.0.9\n\
                 set zone lab network layer3 ethernet1/4 enable-user-identification yes\n\
                 set address a description d ip-netmask 198.51.100.7 tag [ t u ]\n\
                 set service s protocol tcp port 80 source-port 1-65535 override no tag t\n";
    let allow = rule("x", "to lab destination a service s action allow");
    check(
        &with_network(&(lines.to_owned() + &allow)),
        &[
            ("trust 10.0.0.5 198.51.100.7 tcp 80", "allow x"),
            ("trust 10.0.0.5 198.51.100.8 tcp 80", "deny interzone-default"),
            ("trust 10.0.0.5 198.51.100.7 tcp 81", "deny interzone-default"),
        ],
    );
}

#[test]
fn keywords_of_what_is_not_read_do_not_reach_what_is() {
    let peer = "set network virtual-router default protocol bgp peer-group g peer p enable no\n";
    let bgp = "set network virtual-router default protocol bgp enable yes\n".to_owned() + peer;
    check_problems(&with_network(&bgp), &["unsupported dynamic-routing"]);
    let rip = "set network virtual-router default protocol rip interface ethernet1/9 enable yes\n";
    let service = "set deviceconfig system service disable-telnet yes disable-http yes\n";
    let tag = "set mgt-config users admin tag web address a zone b\n";
    check_same(&[rip, service, tag].concat(), "", &[WEB]);
}

#[test]
fn what_follows_a_value_is_named_when_nobody_knows_it() {
    let unknown = "unsupported unknown-element";
    for (line, code) in [
        (rule("x", "action allow gizmo on"), unknown),
        (rule("x", "profile-setting group default gizmo on action allow"), unknown),
        (rule("x", "action allow source 10.0.0.5 10.0.0.6"), unknown),
        ("set service s protocol tcp port 80 gizmo on\n".to_owned(), unknown),
        ("set address a ip-netmask 192.0.2.1 gizmo on\n".to_owned(), unknown),
        ("set zone trust network layer3 ethernet1/1 gizmo on\n".to_owned(), unknown),
        (rule("x", "action [ allow deny ]"), "unsupported unexpected-list"),
        (rule("x", "action allow source [ 10.0.0.5"), "unsupported unclosed-list"),
    ] {
        check_problems(&with_network(&line), &[code]);
    }
    let config = with_network(&rule("x", "profile-setting group default gizmo on action allow"));
    assert_eq!(answers(&config, WEB).0, "unknown x");
}

#[test]
fn a_delete_that_finds_nothing_is_not_passed_over() {
    let all = rule("x", "source [ 10.0.0.5 10.0.0.6 ] action allow");
    let path = "delete rulebase security rules x source";
    check_problems(
        &with_network(&format!("{all}{path} 10.0.0.7\n")),
        &["unsupported nothing-to-delete"],
    );
    let list = with_network(&format!("{all}{path} [ 10.0.0.5 10.0.0.6 ]\n"));
    let (answer, mut problems) = answers(&list, WEB);
    problems.sort();
    assert_eq!(answer, "unknown x");
    assert_eq!(problems, ["unsupported delete-list", "unsupported unknown-element"]);
    let objects = rule("x", "destination g action allow")
        + "set address a ip-netmask 192.0.2.1\nset address b ip-netmask 192.0.2.2\n\
           set address-group g static [ a b ]\ndelete address-group g static [ a ]\n";
    assert_eq!(answers(&with_network(&objects), "trust 10.0.0.5 192.0.2.9 tcp 80").0, "unknown x");
    let lines = format!("{all}{path} 10.0.0.5\n");
    check(&with_network(&lines), &[(WEB, "deny interzone-default")]);
}

#[test]
fn a_rule_is_renamed_where_it_stands_and_nothing_else_is() {
    let config = [
        rule("a b", "action allow").replace("rules a b", "rules \"a b\""),
        rule("z", "action deny"),
        "rename rulebase security rules \"a b\" to c\nset rulebase security rules c to untrust\n"
            .to_owned(),
    ];
    check(&with_network(&config.concat()), &[(WEB, "allow c")]);
    for line in [
        "rename rulebase security rules x to z",
        "rename rulebase security rules none to y",
        "rename rulebase security rules x",
        "rename address a to b",
    ] {
        let config = [
            rule("x", "action allow"),
            rule("z", "action deny"),
            format!("set address a ip-netmask 192.0.2.1\n{line}\n"),
        ];
        check_problems(&with_network(&config.concat()), &["unsupported unknown-rename"]);
    }
    let copy = rule("x", "action allow") + "copy rulebase security rules x to y\n";
    check_problems(&with_network(&copy), &["unsupported unknown-line"]);
}

#[test]
fn commands_after_a_prompt_are_read() {
    let recorded = "admin@fw> configure\nEntering configuration mode\nadmin@fw# set address a ip-netmask 192.0.2.1\n\n[edit]\n\
                    admin@fw# set address-group \"g h\" static a\nadmin@fw# commit\n\
                    admin@fw> set cli pager off\nadmin@fw#\n";
    let allow = rule("x", "destination \"g h\" action allow");
    check(
        &with_network(&(recorded.to_owned() + &allow)),
        &[(WEB, "allow x"), ("trust 10.0.0.5 192.0.2.2 tcp 80", "deny interzone-default")],
    );
}

#[test]
fn names_in_quotes_may_hold_blanks_and_brackets() {
    let config =
        "set address \"a [1]\" ip-netmask 192.0.2.1\nset address 'b c' ip-netmask 192.0.2.2\n\
                  set address-group \"all of them\" static [ \"a [1]\" 'b c' ]\n"
            .to_owned()
            + &rule("x", "destination [ \"all of them\" ] description \"to [ all ]\" action allow");
    check(
        &with_network(&config),
        &[
            (WEB, "allow x"),
            ("trust 10.0.0.5 192.0.2.2 tcp 80", "allow x"),
            ("trust 10.0.0.5 192.0.2.3 tcp 80", "deny interzone-default"),
        ],
    );
}

#[test]
fn members_outside_a_list_are_not_passed_over() {
    for group in ["set address-group g a\n", "set address-group g [ a b ]\n"] {
        let config = with_network(
            &(rule("x", "destination g action allow")
                + "set address a ip-netmask 192.0.2.1\nset address b ip-netmask 192.0.2.2\n"
                + group),
        );
        let (answer, problems) = answers(&config, WEB);
        assert_eq!(answer, "unknown x");
        assert!(problems.contains(&"unsupported unknown-element".to_owned()), "{problems:?}");
    }
    let config = with_network(&(rule("x", "service g action allow") + "set service-group g s\n"));
    assert_eq!(
        answers(&config, WEB),
        ("unknown x".to_owned(), vec!["unsupported unknown-element".to_owned()])
    );
}

#[test]
fn profiles_keep_the_last_action() {
    let profile = |actions: &[&str]| {
        let lines = actions.iter().map(|it| {
            format!(
                "set profiles virus av decoder http action {it}\n\
                 set profiles spyware s rules r severity [ high critical ] action {it}\n"
            )
        });
        let listed = rule("x", "action allow profile-setting profiles virus av spyware s");
        let (firewall, _) = linked(&with_network(&(listed + &lines.collect::<String>())));
        let profiles = firewall.unwrap().profiles;
        profiles.into_iter().map(|it| it.definition).collect::<Vec<_>>()
    };
    assert_eq!(profile(&["alert", "drop"]), profile(&["drop"]));
    assert_eq!(profile(&["drop", "alert", "drop"]), profile(&["drop"]));
    assert_ne!(profile(&["drop"]), profile(&["alert"]));
}

#[test]
fn panorama_lines_are_read_as_those_of_a_firewall() {
    let config = "set template t config network interface ethernet ethernet1/1 layer3 ip 10.0.0.1/24\n\
        set template t config network interface ethernet ethernet1/2 layer3 ip 203.0.113.1/24\n\
        set template t config network virtual-router r interface [ ethernet1/1 ethernet1/2 ]\n\
        set template t config network virtual-router r routing-table ip static-route d \
        destination 0.0.0.0/0 interface ethernet1/2 nexthop ip-address 203.0.113.254\n\
        set template t config vsys vsys1 zone trust network layer3 ethernet1/1\n\
        set template t config devices localhost.localdomain vsys vsys1 zone untrust network layer3 \
        ethernet1/2\n\
        set shared address srv ip-netmask 192.0.2.9\nset shared address srv ip-netmask 192.0.2.1\n\
        set device-group dg address-group \"all of them\" static [ srv ]\n\
        set readonly devices localhost.localdomain device-group dg id 11\n\
        set device-group dg post-rulebase nat rules n from trust to untrust source any destination \
        any service any source-translation dynamic-ip-and-port interface-address interface \
        ethernet1/2 ip 203.0.113.1/24 disabled no\n\
        set device-group dg pre-rulebase security rules x from trust to untrust source any \
        destination \"all of them\" application any service any profile-setting group g action allow\n";
    check(
        config,
        &[
            (WEB, "allow x as 203.0.113.1 > 192.0.2.1:80"),
            (
                "trust 10.0.0.5 192.0.2.9 tcp 80",
                "deny interzone-default as 203.0.113.1 > 192.0.2.9:80",
            ),
        ],
    );
}

#[test]
fn white_space_may_stand_before_an_xml_declaration() {
    let document = "<?xml version=\"1.0\"\n?>\n<config><shared/><gizmo><a/></gizmo></config>\n";
    let read = |text: &str| {
        let (firewall, problems) = panos::read(Source::new("fw", text));
        assert!(firewall.is_some(), "{problems:#?}");
        let at = problems.iter().next().and_then(|it| it.at).unwrap();
        let said = text.get(at.start as usize..at.end as usize).unwrap();
        (codes(&problems), said.to_owned())
    };
    let expected = read(document);
    for before in ["\n", " \r\n\t", "\u{feff}", "\u{feff}\n"] {
        assert_eq!(read(&format!("{before}{document}")), expected, "{before:?}");
    }
    let (found, _) = read(&format!("\n{document}{document}"));
    assert_eq!(found, ["unsupported second-document", "unsupported unknown-section"]);
}

/// Two texts are compared by what their problems say of which text: here of all that is not read.
#[test]
fn what_follows_the_first_document_is_all_of_the_problem() {
    let document = "<?xml version=\"1.0\"?>\n<config><shared/></config>\n";
    let text = format!("{document}{document}");
    let (_, problems) = panos::read(Source::new("fw", &text));
    let at = problems.iter().next().and_then(|it| it.at).unwrap();
    assert_eq!(text.get(at.start as usize..at.end as usize), Some(document));
}

proptest! {
    /// However a rule is cut into lines, it is the same rule.
    #[test]
    fn fields_of_a_rule_may_stand_on_any_number_of_lines(
        order in Just((0..8).collect::<Vec<usize>>()).prop_shuffle(),
        breaks in prop::collection::vec(prop::bool::ANY, 8),
    ) {
        let fields = [
            "from trust", "to untrust", "source [ 10.0.0.5 10.0.0.6 ]", "destination any",
            "application any", "service any", "profile-setting group g", "action allow",
        ];
        let path = "set rulebase security rules x";
        let said = order.iter().zip(&breaks).map(|(at, breaks)| {
            let end = if *breaks { ["\n", path] } else { ["", ""] };
            [" ", fields[*at], end[0], end[1]].concat()
        });
        let text = path.to_owned() + &said.collect::<String>();
        let (answer, problems) = answers(&with_network(&format!("{text}\n")), WEB);
        prop_assert_eq!(answer, "allow x");
        prop_assert_eq!(problems, Vec::<String>::new());
    }
}
