//! Interfaces, what is met before any access list, and the lines of a pasted text.

use parefeu_net::Timestamp;
use parefeu_policy::link;

use super::{DEVICE, check, check_at, check_problems, read};

const ALL: &str = "\
access-list ALL extended permit ip any any
access-group ALL global
";

/// `text` reads as [`DEVICE`] does.
#[track_caller]
fn check_as_device(text: &str) {
    let (found, problems) = read(text);
    let (expected, _) = read(DEVICE);
    let names = |firewall: &parefeu_policy::Firewall| {
        let interfaces = firewall.interfaces.iter();
        interfaces.map(|it| (it.name.clone(), it.addresses.clone(), it.vlan)).collect::<Vec<_>>()
    };
    assert_eq!(names(&found), names(&expected), "{text}\n{problems:?}");
    assert_eq!(found.routes.len(), expected.routes.len(), "{text}");
    assert_eq!(found.behaviour, expected.behaviour, "{text}");
}

#[test]
fn a_text_may_be_indented_as_a_whole_or_but_for_its_first_line() {
    let shifted = |text: &str| format!("    {}\n", text.trim_end().replace('\n', "\n    "));
    check_as_device(&shifted(DEVICE));
    check_as_device(shifted(DEVICE).trim_start());
    let (_, interfaces) = DEVICE.split_once('\n').unwrap();
    check_as_device(shifted(interfaces).trim_start());
    check_as_device(&format!("fw# show running-config\n{}", shifted(DEVICE)));
    check_as_device(&format!("enable password x\n{}", shifted(interfaces)));
}

#[test]
fn a_text_without_a_statement_is_refused() {
    check_problems("", &["error no-statement 0"]);
    check_problems(": Saved\n!\n", &["error no-statement 0"]);
    check_problems("  hostname fw\n", &[]);
}

#[test]
fn what_the_pager_asked_is_no_part_of_a_line() {
    let wiped = " ".repeat(14);
    for residue in [
        format!("<--- More --->\r{wiped}\r"),
        format!("<--- More --->{wiped}"),
        format!("<--- More --->{0}{wiped}{0}", "\u{8}".repeat(14)),
        "<--- More --->\n".to_owned(),
    ] {
        let lines = format!(
            "access-list in extended permit tcp any any eq 22\n\
             {residue}access-list in extended permit tcp any any eq 80\n"
        );
        check_ports(&lines, 80);
        let (firewall, problems) = read(&DEVICE.replace(" vlan 20", &format!("{residue} vlan 20")));
        assert_eq!(firewall.interfaces[1].vlan, Some(20), "{residue:?} {problems:?}");
    }
}

#[test]
fn prompts_of_a_recorded_session_say_nothing() {
    for (prompt, unknown) in [
        ("fw1# show running-config\n", false),
        ("fw1/ctx/act> sh run\n", false),
        ("fw1#\n", false),
        ("fw1(config)# no access-list in\n", true),
        ("fw1# clear configure access-list\n", true),
        ("> show\n", true),
    ] {
        let rule = "access-list in extended permit tcp any any eq 22\n";
        let again = rule.replace("22", "80");
        let (_, problems) = read(&format!("{prompt}{DEVICE}{rule}{prompt}{again}"));
        let told = problems.iter().any(|it| it.code == "unknown-statement");
        assert_eq!(told, unknown, "{prompt:?} {problems:?}");
    }
}

/// The last rule of the only list is about this port.
#[track_caller]
fn check_ports(lines: &str, port: u16) {
    let (firewall, mut problems) = read(lines);
    let linked = link(&firewall, &mut problems).unwrap();
    let list = linked.rules.iter().filter(|rule| !rule.implied);
    let ports = list.map(|rule| rule.matches.services.terms[0].dst_ports.to_string());
    assert_eq!(ports.collect::<Vec<_>>(), ["22".to_owned(), port.to_string()], "{problems:?}");
}

#[test]
fn an_interface_that_is_shut_takes_and_sends_nothing() {
    let lines = format!("interface GigabitEthernet0/1.20\n shutdown\n{ALL}");
    check(&lines, "dmz tcp 10.0.50.5 9 198.51.100.1 80", "deny 0");
    // What led there follows the default route, and is not sent back out.
    check(&lines, "inside tcp 10.0.100.5 9 10.0.50.5 80", "allow 3");
    check(&lines, "inside tcp 10.0.100.5 9 198.51.100.1 80", "allow 3");
    let again = format!("{lines}interface gi0/1.20\n no shutdown\n");
    check(&again, "dmz tcp 10.0.50.5 9 198.51.100.1 80", "allow 3");
}

#[test]
fn a_port_that_is_shut_takes_what_is_built_on_it_along() {
    let packet = "dmz tcp 10.0.50.5 9 198.51.100.1 80";
    let parent = |line: &str| format!("{ALL}interface GigabitEthernet0/1\n {line}\n");
    check(&parent("shutdown"), packet, "deny 0");
    check(&parent("no shutdown"), packet, "allow 1");
    let channel = |second: &str| {
        format!(
            "{ALL}interface Port-channel1.7\n vlan 7\n nameif lab\n security-level 50\n \
             ip address 10.0.7.1 255.255.255.0\ninterface Port-channel1\n \
             lacp max-bundle 8\ninterface GigabitEthernet0/6\n channel-group 1 mode active\n \
             shutdown\ninterface GigabitEthernet0/7\n channel-group 1 mode active\n {second}\n"
        )
    };
    check(&channel("shutdown"), "lab tcp 10.0.7.5 9 198.51.100.1 80", "deny 5");
    check(&channel("no shutdown"), "lab tcp 10.0.7.5 9 198.51.100.1 80", "allow 1");
    let redundant = |second: &str| {
        format!(
            "{ALL}interface Redundant1\n member-interface GigabitEthernet0/6\n \
             member-interface GigabitEthernet0/7\n nameif lab\n security-level 50\n \
             ip address 10.0.7.1 255.255.255.0\ninterface GigabitEthernet0/6\n shutdown\n\
             interface GigabitEthernet0/7\n {second}\n"
        )
    };
    check(&redundant("shutdown"), "lab tcp 10.0.7.5 9 198.51.100.1 80", "deny 6");
    check(&redundant("no shutdown"), "lab tcp 10.0.7.5 9 198.51.100.1 80", "allow 1");
}

#[test]
fn a_block_opened_again_takes_the_place_of_what_it_states() {
    let (firewall, problems) = read(&format!(
        "{DEVICE}interface GigabitEthernet0/2\n ip address 10.0.101.1 255.255.255.0\n \
         security-level 90\n"
    ));
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(firewall.interfaces.len(), 3);
    let inside = &firewall.interfaces[2];
    assert_eq!(inside.addresses, ["10.0.101.1/24".parse().unwrap()]);
}

#[test]
fn routes_for_management_lead_no_other_traffic_since_9_5() {
    let lines = format!(
        "interface Management0/0\n management-only\n nameif mgmt\n security-level 100\n \
         ip address 10.9.9.2 255.255.255.0\nroute mgmt 10.44.0.0 255.255.0.0 10.9.9.1\n\
         route mgmt 0.0.0.0 0.0.0.0 10.9.9.1\nroute inside 10.0.0.0 255.0.0.0 10.0.100.254\n{ALL}"
    );
    for version in ["", "ASA Version 9.5(1)\n", "ASA Version 9.14(4)24\n"] {
        let lines = format!("{lines}{version}");
        check(&lines, "outside tcp 198.51.100.1 9 10.44.0.1 80", "allow 9");
        check(&lines, "inside tcp 10.0.100.5 9 198.51.100.1 80", "allow 9");
        check(&lines, "outside tcp 198.51.100.1 9 10.9.9.7 80", "allow 9");
        check(&lines, "mgmt tcp 10.9.9.7 9 198.51.100.1 80", "deny 4");
    }
    let older = format!("{lines}ASA Version 9.4(4)\n");
    check(&older, "outside tcp 198.51.100.1 9 10.44.0.1 80", "deny 4");
    let (_, problems) = read(&format!("{DEVICE}{lines}"));
    let codes = problems.iter().map(|problem| problem.code);
    assert_eq!(codes.collect::<Vec<_>>(), ["management-route", "management-route"]);
    let (_, problems) = read(&format!("{DEVICE}{lines}ASA Version 9.8(2)\n"));
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_list_with_per_user_override_is_applied() {
    let lines = "access-list OUT extended permit tcp any host 10.0.50.10 eq 443\n\
                 access-group OUT in interface outside per-user-override\n";
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.10 443", "allow 1");
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.10 80", "deny 2");
    check_problems(&format!("{DEVICE}{lines}"), &[]);
    let aaa = "aaa authentication match WEB inside LOCAL\n";
    let expected = ["unsupported not-modelled 22", "unsupported not-modelled 23"];
    check_problems(&format!("{DEVICE}{lines}{aaa}"), &expected);
}

#[test]
fn everything_from_a_shunned_host_is_dropped() {
    let lines = format!(
        "{ALL}shun 198.51.100.1\nshun 198.51.100.2 10.0.50.5 1024 80 tcp\n\
         shun 198.51.100.3 interface dmz\nshun (outside) 198.51.100.4 0.0.0.0 0 0 0\n\
         shun 198.51.100.5 vlan 20\nshun 198.51.100.6 vlan 99\n"
    );
    for (host, expected) in [
        (1, "deny 3"),
        (2, "deny 4"),
        (3, "allow 1"),
        (4, "deny 6"),
        (5, "allow 1"),
        (6, "allow 1"),
        (7, "allow 1"),
    ] {
        check(&lines, &format!("outside tcp 198.51.100.{host} 9 10.0.50.9 443"), expected);
    }
    check(&lines, "dmz tcp 198.51.100.5 9 10.0.100.9 443", "deny 7");
    check_problems("hostname fw\nshun nobody\n", &["unsupported not-understood 2"]);
}

#[test]
fn what_a_route_to_null0_leads_is_dropped() {
    let lines = format!(
        "{ALL}route Null0 203.0.113.0 255.255.255.0\nroute null0 10.0.0.0 255.0.0.0 250\n\
         route outside 203.0.113.64 255.255.255.192 192.0.2.254\n\
         route dmz 10.0.0.0 255.0.0.0 10.0.50.254\nipv6 route Null0 2001:db8:dead::/48\n"
    );
    check(&lines, "inside tcp 10.0.100.5 9 203.0.113.1 80", "deny 3");
    check(&lines, "inside tcp 10.0.100.5 9 203.0.113.65 80", "allow 1");
    check(&lines, "inside tcp 10.0.100.5 9 10.7.7.7 80", "allow 1");
    check(&lines, "inside tcp 10.0.100.5 9 10.0.50.7 80", "allow 1");
    check(&lines, "inside tcp 2001:db8::1 9 2001:db8:dead::1 80", "deny 7");
    check_problems(&format!("{DEVICE}{lines}"), &[]);
}

#[test]
fn traffic_of_a_bridge_group_with_a_name_is_not_modelled() {
    let lines = |name: &str| {
        format!(
            "interface GigabitEthernet0/5\n bridge-group 1\n nameif in_1\n security-level 100\n\
             interface BVI1\n {name}\n security-level 100\n \
             ip address 192.168.1.1 255.255.255.0\n{ALL}"
        )
    };
    let named = lines("nameif lan");
    check(&named, "in_1 tcp 192.168.1.5 9 198.51.100.1 25", "allow 9 perhaps 3");
    check(&named, "outside tcp 198.51.100.1 9 192.168.1.5 25", "allow 9 perhaps 6");
    check(&named, "dmz tcp 10.0.50.5 9 198.51.100.1 25", "allow 9");
    // In transparent mode the bridge has no rules of its own.
    check(&lines("no nameif"), "in_1 tcp 192.168.1.5 9 198.51.100.1 25", "allow 9");
}

#[test]
fn the_last_minute_of_a_time_range_is_part_of_it() {
    let packet = "outside tcp 198.51.100.1 9 10.0.50.7 9";
    for (range, last_secs) in [
        // 1970-01-01 was a Thursday.
        ("periodic weekdays 8:00 to 18:00", 18 * 3600 + 59),
        ("periodic Thursday 8:00 to Friday 3:50", 86_400 + 3 * 3600 + 50 * 60 + 59),
        ("periodic daily 22:00 to 6:00", 6 * 3600 + 59),
        ("absolute end 3:50 2 january 1970", 86_400 + 3 * 3600 + 50 * 60 + 59),
    ] {
        let lines = format!(
            "time-range t\n {range}\naccess-list in extended permit ip any any time-range t\n\
             access-group in in interface outside\n"
        );
        check_at(&lines, packet, Timestamp::from_secs(last_secs), "allow 3");
        check_at(&lines, packet, Timestamp::from_secs(last_secs + 1), "deny 4");
    }
}

#[test]
fn any_user_is_every_user_known_and_none_those_who_are_not() {
    let (firewall, problems) = read(
        "access-list a extended permit tcp user any any any\n\
         access-list a extended permit tcp user none any any\n\
         access-list a extended permit tcp user CORP\\any any any\n",
    );
    let rules = &firewall.rule_bases[0].rules;
    let users = rules.iter().map(|rule| rule.matches.users.listed()[0].value.as_str());
    assert_eq!(users.collect::<Vec<_>>(), ["known-user", "unknown", "CORP\\any"]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn a_list_for_frames_stands_beside_the_other() {
    let lines = |frames: &str| {
        format!(
            "access-list ETH ethertype {frames}\n\
             access-list OUT extended permit tcp any any eq 80\n\
             access-group OUT in interface outside\naccess-group ETH in interface outside\n"
        )
    };
    let packet = "outside tcp 198.51.100.1 9 10.0.50.7 80";
    check(&lines("permit bpdu"), packet, "allow 2");
    check(&lines("deny bpdu"), packet, "allow 2");
    check(&lines("deny any"), packet, "allow 2 perhaps 4");
    check(&lines("deny 0x800"), packet, "allow 2 perhaps 4");
    let problems = ["unsupported not-modelled 24"];
    check_problems(&format!("{DEVICE}{}", lines("deny any")), &problems);
}

#[test]
fn a_list_for_ipv6_of_older_releases_leaves_ipv4_as_it_is() {
    let lines = "access-list OUT extended permit tcp any any eq 80\n\
                 ipv6 access-list OUT6 permit tcp any any eq 80\n\
                 access-group OUT in interface outside\naccess-group OUT6 in interface outside\n\
                 ASA Version 8.4(7)\nsame-security-traffic permit intra-interface\n";
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.7 80", "allow 1");
    check(lines, "outside tcp 2001:db8:f::1 9 2001:db8:0:1::5 80", "deny 3 perhaps 4");
    check_problems(&format!("{DEVICE}{lines}"), &["unsupported before-9.0 22"]);
}
