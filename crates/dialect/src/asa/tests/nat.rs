//! What two halves of a `nat` rule, routes and reverse flows make of a packet.

use super::{DEVICE, check, check_problems, read};

/// Objects to translate.
const OBJECTS: &str = "\
object network A
 host 10.0.100.5
object network A1
 host 203.0.113.1
object network A2
 host 203.0.113.3
object network D1
 host 10.77.0.1
object network D2
 host 10.77.0.2
object network DR
 host 172.16.0.1
object network WEB
 host 10.0.50.10
object network WEBP
 host 203.0.113.10
object service P80
 service tcp destination eq 80
object service P81
 service tcp destination eq 81
access-list ALL extended permit ip any any
";

/// As [`check`], with [`OBJECTS`]; `+1` is the first line after them, `+0` the access list.
#[track_caller]
fn check_nat(lines: &str, packet: &str, expected: &str) {
    let before = OBJECTS.lines().count();
    let expected: Vec<String> = expected
        .split(' ')
        .map(|word| match word.strip_prefix('+').and_then(|line| line.parse::<usize>().ok()) {
            Some(line) => (before + line).to_string(),
            None => word.to_owned(),
        })
        .collect();
    check(&format!("{OBJECTS}{lines}"), packet, &expected.join(" "));
}

#[test]
fn both_ends_are_translated_by_one_rule() {
    let lines = "\
nat (inside,outside) source static A A1 destination static D1 DR
nat (inside,outside) source static A A2 destination static D2 DR
access-group ALL global
";
    for (packet, expected) in [
        ("inside tcp 10.0.100.5 9 10.77.0.1 443", "from 203.0.113.1:9 to 172.16.0.1:443"),
        ("inside tcp 10.0.100.5 9 10.77.0.2 443", "from 203.0.113.3:9 to 172.16.0.1:443"),
        ("outside tcp 172.16.0.1 9 203.0.113.3 443", "from 10.77.0.2:9 to 10.0.100.5:443"),
    ] {
        check_nat(lines, packet, &format!("allow +0 {expected}"));
    }
    // Addressed to the real destination, the packet is none that a rule is about.
    check_nat(lines, "inside tcp 10.0.100.5 9 172.16.0.1 443", "allow +0");
}

#[test]
fn a_service_tells_rules_apart_for_both_ends() {
    let lines = "\
nat (inside,outside) source static A A1 destination static D1 DR service P81 P80
nat (inside,outside) source static A A2 destination static D1 DR service P80 P80
access-group ALL global
";
    for (port, expected) in [
        (81, " from 203.0.113.1:9 to 172.16.0.1:80"),
        (80, " from 203.0.113.3:9 to 172.16.0.1:80"),
        (82, ""),
    ] {
        let packet = format!("inside tcp 10.0.100.5 9 10.77.0.1 {port}");
        check_nat(lines, &packet, &format!("allow +0{expected}"));
    }
}

#[test]
fn a_source_is_hidden_only_where_the_destination_of_the_rule_is_meant() {
    let lines = "\
nat (outside,dmz) source dynamic any interface destination static WEBP WEB
access-group ALL global
";
    check_nat(
        lines,
        "outside tcp 198.51.100.1 9 203.0.113.10 443",
        "allow +0 new to 10.0.50.10:443",
    );
    check_nat(lines, "outside tcp 198.51.100.1 9 10.0.50.10 443", "allow +0");
}

#[test]
fn a_rule_above_without_destination_ends_the_search() {
    let lines = "\
nat (inside,outside) source static A A1
nat (inside,outside) source static A A2 destination static D1 DR
access-group ALL global
";
    check_nat(lines, "inside tcp 10.0.100.5 9 10.77.0.1 443", "allow +0 from 203.0.113.1:9");
    check_nat(lines, "inside tcp 10.0.100.6 9 10.77.0.1 443", "allow +0");
}

#[test]
fn another_rule_translates_the_source_by_the_way_out_of_the_real_destination() {
    let lines = "\
object network WEB
 nat (dmz,any) static 203.0.113.10
object network INSIDE
 subnet 10.0.100.0 255.255.255.0
 nat (inside,dmz) dynamic interface
nat (any,outside) after-auto source static A A1
access-group ALL global
";
    let to = "to 10.0.50.10:443";
    // The route to the mapped address leads outside.
    check_nat(lines, "inside tcp 10.0.100.5 9 203.0.113.10 443", &format!("allow +0 new {to}"));
    check_nat(lines, "inside tcp 10.0.100.5 9 198.51.100.1 443", "allow +0 from 203.0.113.1:9");
    check_nat(lines, "outside tcp 198.51.100.1 9 203.0.113.10 443", &format!("allow +0 {to}"));
}

#[test]
fn the_real_side_is_no_way_around_a_translation() {
    let object = "\
object network WEB
 nat (dmz,outside) static 203.0.113.10
access-group ALL global
";
    let allowed = "allow +0 to 10.0.50.10:443";
    check_nat(object, "outside tcp 198.51.100.1 9 203.0.113.10 443", allowed);
    check_nat(object, "outside tcp 198.51.100.1 9 10.0.50.10 443", "deny +2");
    check_nat(object, "inside tcp 10.0.100.5 9 10.0.50.10 443", "allow +0");
    check_nat(object, "outside tcp 198.51.100.1 9 10.0.50.11 443", "allow +0");
    let hidden = "\
nat (inside,outside) source static A A destination static DR DR
nat (any,outside) after-auto source dynamic any interface
access-group ALL global
same-security-traffic permit intra-interface
";
    check_nat(hidden, "outside tcp 198.51.100.1 9 10.0.100.5 443", "deny +2");
    check_nat(hidden, "outside tcp 172.16.0.1 9 10.0.100.5 443", "allow +0");
    check_nat(hidden, "outside tcp 172.16.0.1 9 10.0.100.6 443", "deny +2");
    check_nat(hidden, "dmz tcp 10.0.50.10 9 10.0.100.5 443", "allow +0");
    check_nat(hidden, "outside tcp 198.51.100.1 9 198.51.100.2 443", "allow +0 perhaps +2 new");
}

#[test]
fn one_port_of_a_host_is_no_way_around_its_translation() {
    let lines = "\
object network WEB
 nat (dmz,outside) static interface service tcp 8443 443
access-group ALL global
";
    let allowed = "allow +0 to 10.0.50.10:8443";
    check_nat(lines, "outside tcp 198.51.100.1 9 192.0.2.1 443", allowed);
    check_nat(lines, "outside tcp 198.51.100.1 9 10.0.50.10 8443", "deny +2");
    check_nat(lines, "outside tcp 198.51.100.1 9 10.0.50.10 443", "allow +0");
}

#[test]
fn unidirectional_exemptions_leave_the_way_back_unknown() {
    let lines = "\
nat (inside,outside) source static A A destination static DR DR unidirectional
nat (inside,outside) after-auto source dynamic any interface
access-group ALL global
";
    check_nat(lines, "outside tcp 172.16.0.1 9 10.0.100.5 443", "deny +2");
    let lines = "\
nat (inside,outside) source static A A destination static DR DR unidirectional
access-group ALL global
";
    check_nat(lines, "outside tcp 172.16.0.1 9 10.0.100.5 443", "allow +0 perhaps +1");
}

#[test]
fn a_rule_decides_where_packets_leave_unless_it_asks_routes() {
    let routes = "\
object network NET
 subnet 10.0.100.0 255.255.255.0
object network PARTNER
 subnet 172.16.0.0 255.255.0.0
route dmz 172.16.0.0 255.255.0.0 10.0.50.254
access-group ALL global
nat (inside,outside) source static NET NET destination static PARTNER PARTNER";
    let (there, back) =
        ("inside tcp 10.0.100.5 9 172.16.1.1 443", "outside tcp 172.16.1.1 9 10.0.100.5 443");
    check_nat(routes, there, "allow +0 perhaps +7");
    check_nat(routes, back, "allow +0");
    check_nat(routes, "inside tcp 10.0.101.5 9 172.16.1.1 443", "allow +0");
    let asked = format!("{routes} no-proxy-arp route-lookup\n");
    check_nat(&asked, there, "allow +0");
    // Where routes lead to the interface that is named, there is nothing to ask.
    let agreed = routes.replace("route dmz 172", "route outside 172");
    check_nat(&agreed, there, "allow +0");
}

#[test]
fn object_nat_names_the_way_out_as_well() {
    let lines = "\
route inside 10.0.60.0 255.255.255.0 10.0.100.254
object network FAR
 host 10.0.60.10
 nat (dmz,outside) static 203.0.113.60
access-group ALL global
";
    check_nat(
        lines,
        "outside tcp 198.51.100.1 9 203.0.113.60 443",
        "allow +0 perhaps +4 to 10.0.60.10:443",
    );
    let lines = lines.replace("(dmz,outside)", "(any,outside)");
    check_nat(&lines, "outside tcp 198.51.100.1 9 203.0.113.60 443", "allow +0 to 10.0.60.10:443");
}

#[test]
fn names_of_objects_come_before_addresses() {
    let lines = "\
name 10.0.100.5 SERVER
object network SERVER
 host 10.0.100.6
object network 10.0.100.0
 subnet 10.0.100.0 255.255.255.0
object network 172.16.0.0
 subnet 172.16.0.0 255.255.0.0
object network 203.0.113.9
 host 203.0.113.99
nat (inside,outside) source static 10.0.100.0 10.0.100.0 destination static 172.16.0.0 172.16.0.0
nat (inside,outside) source static SERVER A1
object network LAST
 host 10.0.100.7
 nat (inside,outside) static 203.0.113.9
nat (inside,outside) after-auto source dynamic any interface
access-group ALL global
";
    for (packet, expected) in [
        ("inside tcp 10.0.100.5 9 172.16.3.3 443", ""),
        ("inside tcp 10.0.100.5 9 198.51.100.1 443", " new"),
        ("inside tcp 10.0.100.6 9 198.51.100.1 443", " from 203.0.113.1:9"),
        ("inside tcp 10.0.100.7 9 198.51.100.1 443", " from 203.0.113.99:9"),
    ] {
        check_nat(lines, packet, &format!("allow +0{expected}"));
    }
    check_problems(
        &format!("{DEVICE}nat (inside,outside) source static 10.0.100.5 203.0.113.1\n"),
        &["unsupported not-modelled 21", "error unknown-object 21"],
    );
}

#[test]
fn translations_before_8_3_leave_answers_unknown() {
    for lines in [
        "static (dmz,outside) 203.0.113.10 10.0.50.10 netmask 255.255.255.255\n",
        "nat (inside) 1 0.0.0.0 0.0.0.0\n",
        "global (outside) 1 interface\n",
    ] {
        check_nat(
            &format!("{lines}access-group ALL global\n"),
            "outside tcp 198.51.100.1 9 10.0.50.10 443",
            "allow +0 perhaps +1 doubtful",
        );
    }
}

#[test]
fn dynamic_rules_that_are_not_modelled_leave_destinations_alone() {
    let lines = "\
object network SOME
 fqdn v4 www.example.com
nat (inside,outside) source dynamic any SOME
access-group ALL global
";
    check_nat(lines, "inside tcp 10.0.100.5 9 198.51.100.1 443", "allow +0 doubtful");
    check_nat(lines, "inside tcp 10.0.100.5 9 10.0.50.10 443", "allow +0");
    check_nat(lines, "outside tcp 198.51.100.1 9 10.0.100.5 443", "allow +0 perhaps +3");
}

#[test]
fn without_a_rule_that_translates_no_layer_is_added() {
    for (lines, expected) in [
        ("nat (inside,outside) source static A A\n", 1),
        ("nat (inside,outside) source static A A1 inactive\n", 1),
        ("nat (inside,outside) source static A A1\n", 2),
    ] {
        let (firewall, _) = read(&format!("{DEVICE}{OBJECTS}{lines}"));
        assert_eq!(firewall.layers.len(), expected, "{lines}");
    }
}
