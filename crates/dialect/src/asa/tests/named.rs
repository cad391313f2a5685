//! What is not modelled says what the definitions say that it names.

use super::*;

/// All that is not modelled of [`DEVICE`] with `lines` after it, as it counts in a comparison.
fn said(lines: &str) -> Vec<String> {
    let (firewall, mut problems) = read(&format!("{DEVICE}{lines}"));
    let linked = link(&firewall, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let unsupported = problems.iter().filter(|it| it.severity == Severity::Unsupported);
    let problems = unsupported.chain(problems.only_compared()).map(|it| {
        let at = it.at.unwrap();
        let source = firewall.sources.of(at).unwrap();
        let text = &source.text()[at.start as usize..at.end as usize];
        format!("{} {} {text} {:?}", it.code, it.message, it.definitions)
    });
    let atoms = linked.atoms.iter().map(|atom| atom.text.to_string());
    let own = firewall.own_traffic.iter().map(|line| line.value.clone());
    let mut all: Vec<String> = problems.chain(atoms).chain(own).collect();
    all.sort();
    all
}

/// Two texts that differ in one word are not alike; a word of something else changes nothing.
#[track_caller]
fn check_said(lines: &str, one: &str, other: &str) {
    let with = |text: &str| said(&lines.replace("PART", text));
    assert!(!with(one).is_empty(), "{lines}");
    assert_ne!(with(one), with(other), "{lines}");
    let apart = "object network APART\n host 10.9.9.9\n description other\n\
                 access-list APART extended permit tcp any any\nlogging enable\n";
    assert_eq!(said(&format!("{apart}{}", lines.replace("PART", one))), with(one), "{lines}");
}

#[test]
fn an_entry_says_what_its_groups_hold() {
    for lines in [
        "object-group network GA\n network-object host 10.0.50.PART\n\
         access-list O extended permit tcp any object-group GA eq nonsense\n",
        "object network NS\n host 10.0.50.PART\nobject-group network GA\n network-object object NS\n\
         access-list O extended permit tcp any object-group GA eq nonsense\n",
        "object network-service A\n domain PART.example.com tcp eq 443\n\
         object-group network-service NSG\n network-service-member A\n\
         access-list O extended permit ip any object-group-network-service NSG\n",
        "object-group security SG\n security-group tag PART\n\
         access-list O extended permit tcp object-group-security SG any any\n",
        "cts role-based sgt-map 10.0.50.PART sgt 7\n\
         access-list O extended permit tcp security-group tag 7 any any\n",
        "object-group service S\n service-object udp destination eq PART\n\
         access-list O extended permit tcp any any object-group S\n",
        "object-group network GA\n network-object host 10.0.50.PART\nobject-group network GB\n \
         frob GA\naccess-list O extended permit tcp any object-group GB\n",
    ] {
        check_said(lines, "10", "20");
    }
}

#[test]
fn names_that_go_in_a_circle_end() {
    check_said(
        "object-group network-service A\n group-object B\nobject-group network-service B\n \
         group-object A\n domain PART.example.com\n\
         access-list O extended permit ip any object-group-network-service A\n",
        "a",
        "b",
    );
}

#[test]
fn the_order_of_members_and_descriptions_say_nothing() {
    let group = |members: &str| {
        said(&format!(
            "object-group network G\n{members}access-list O extended permit tcp any \
             object-group G eq nonsense\n"
        ))
    };
    let one = group(" network-object host 10.0.0.1\n network-object host 10.0.0.2\n");
    let other = " description x\n network-object  host 10.0.0.2\n network-object host 10.0.0.1\n";
    assert_eq!(one, group(other));
}

#[test]
fn other_entries_of_a_list_are_no_part_of_one() {
    let entry = "access-list O extended permit tcp any any eq nonsense\n";
    let more = format!("access-list O extended permit udp any any\n{entry}");
    assert_eq!(said(entry), said(&more));
}

#[test]
fn a_time_range_is_as_the_clock_is() {
    let lines = "clock timezone PART\nclock summer-time X recurring\ntime-range office\n \
                 periodic weekdays 8:00 to 18:00\n\
                 access-list O extended permit tcp any any time-range office\n";
    check_said(lines, "CET 1", "EST -5");
    let lines = "clock summer-time X recurring\ntime-range office\n periodic weekdays PART to \
                 18:00\naccess-list O extended permit tcp any any time-range office\n";
    check_said(lines, "8:00", "9:00");
}

#[test]
fn a_translation_says_what_its_objects_hold() {
    for lines in [
        "object network R\n range 192.0.2.100 192.0.2.120\nobject network H\n host 192.0.2.PART\n\
         object-group network POOL\n network-object object R\n network-object object H\n\
         object network NET\n subnet 10.0.100.0 255.255.255.0\n\
         object network NET\n nat (inside,outside) dynamic POOL\n",
        "object network A\n host 10.0.100.PART\nobject network B\n host 192.0.2.9\n\
         nat (inside,outside) source static A B frob\n",
        "object network A\n host 10.0.100.PART\n nat (inside,outside) static frob frob\n",
        "object network A\n host 10.0.100.5\nobject network R\n range 192.0.2.100 192.0.2.120\n\
         object-group network MIX\n network-object object R\n network-object host 203.0.113.PART\n\
         nat (inside,outside) source dynamic A MIX\n",
    ] {
        check_said(lines, "10", "99");
    }
    // A rule further down is called by what it says, not by its number.
    let rule = "object network A\n host 10.0.100.5\nnat (inside,outside) source static A B frob\n";
    let atoms = |lines: &str| read(lines).0.source_nat.rules.last().unwrap().matches.clone();
    let before = format!("nat (dmz,outside) source static A A\n{rule}");
    assert_eq!(atoms(rule).unknown[0].value, atoms(&before).unknown[0].value);
}

#[test]
fn a_class_is_what_it_matches_and_where_it_is_applied() {
    let classes = "access-list C1 extended permit ip any host 10.0.50.11\n\
                   access-list C2 extended permit ip any host 10.0.50.12\n\
                   class-map c1\n match access-list C1\nclass-map c2\n match access-list C2\n";
    let policy = |text: &str| format!("{classes}policy-map p\n{text}service-policy p interface ");
    let bypass = "  set connection advanced-options tcp-state-bypass\n";
    let one = policy(&format!(" class c1\n{bypass}"));
    check_said(&format!("{one}outside\n").replace(".11", ".PART"), "11", "13");
    check_said(&format!("{one}PART\n"), "outside", "dmz");
    check_said(&policy(&format!(" class PART\n{bypass}")), "c1", "c2");
    // The first class that fits a packet decides.
    let turned = |first: &str, second: &str| {
        let limit = "  set connection conn-max 5\n";
        said(&policy(&format!(" class {first}\n{bypass} class {second}\n{limit}")))
    };
    assert_ne!(turned("c1", "c2"), turned("c2", "c1"));
}

#[test]
fn a_line_of_an_interface_is_about_that_interface() {
    let block = |name: &str, line: &str| {
        format!("interface GigabitEthernet0/7.{name}\n nameif {name}\n security-level 1\n{line}")
    };
    for line in [" policy-route route-map PBR\n", " zone-member Z\n"] {
        let one = block("x", line) + &block("y", "");
        let other = block("x", "") + &block("y", line);
        assert_ne!(said(&one), said(&other), "{line}");
    }
    let lines = block("x", " policy-route route-map PBR\n")
        + "access-list PB extended permit ip any host 198.51.100.PART\n\
           route-map PBR permit 10\n match ip address PB\n set ip next-hop 192.0.2.9\n";
    check_said(&lines, "1", "2");
}

#[test]
fn blocks_and_tunnels_are_compared_as_a_whole() {
    for lines in [
        "router ospf 1\n network 10.0.0.0 255.0.0.0 area PART\n",
        "access-list VPN extended permit ip any host 10.8.0.PART\n\
         crypto map m 10 match address VPN\ncrypto map m 10 set peer 192.0.2.9\n",
        "crypto map m 10 match address VPN\ncrypto map m 10 set peer 192.0.2.PART\n",
        "crypto dynamic-map d 1 set reverse-route PART\ncrypto map m 9 ipsec-isakmp dynamic d\n",
        "access-list VF extended permit ip any host 10.0.100.PART\n\
         group-policy GP attributes\n vpn-filter value VF\n",
        "ip local pool RA 10.99.0.1-10.99.0.PART\n\
         tunnel-group RA general-attributes\n address-pool RA\n",
        "object-group network M\n network-object host 198.51.100.PART\n\
         access-list CP extended permit ip object-group M any\n\
         access-group CP in interface outside control-plane\n",
    ] {
        check_said(lines, "1", "2");
    }
    // Another tunnel of the map is another matter.
    let tunnel = "crypto map m 10 match address VPN\n";
    let others = format!("{tunnel}crypto map m 20 set peer 192.0.2.9\n");
    assert_eq!(said(tunnel), said(&others));
}

#[test]
fn inspections_are_compared_and_not_listed() {
    let policy = |inspections: &str| {
        format!(
            "class-map inspection_default\n match default-inspection-traffic\n\
             policy-map type inspect dns M\n parameters\n  message-length maximum 512\n\
             policy-map global_policy\n class inspection_default\n{inspections}"
        )
    };
    for inspections in
        ["  inspect PART\n", "  inspect PART\n  inspect ftp\n", "  inspect ftp PART\n"]
    {
        for (one, other) in [("pptp", "rtsp"), ("strict", "strict M")] {
            check_said(&policy(inspections), one, other);
        }
    }
    check_problems(&format!("{DEVICE}{}", policy("  inspect pptp\n  inspect dns M\n")), &[]);
    let by_map = policy("  inspect dns M\n").replace("512", "PART");
    check_said(&by_map, "512", "1024");
}

#[test]
fn a_class_is_known_by_what_it_matches_and_not_by_its_name() {
    let device = |class: &str, matches: &str| {
        format!(
            "interface a\n nameif inside\n ip address 10.0.0.1 255.0.0.0\n\
             class-map {class}\n{matches}policy-map g\n class {class}\n  inspect ftp\n\
             service-policy g global\n"
        )
    };
    for class in ["inspection_default", "mine"] {
        let whole = [" match default-inspection-traffic\n", " description x\n match any\n"];
        for matches in whole {
            check_problems(&device(class, matches), &[]);
        }
        for matches in [
            " match access-list LIM\n",
            " match default-inspection-traffic\n match access-list LIM\n",
        ] {
            let found = read(&device(class, matches)).1;
            let codes: Vec<_> = found.iter().map(|it| it.code).collect();
            assert_eq!(codes, ["partial-inspection"], "{class} {matches}");
        }
    }
}

#[test]
fn modules_proxies_and_lines_that_take_away_are_told() {
    check_problems(
        "\
policy-map p
 class class-default
  sfr fail-close
  ips inline fail-close
  no inspect ftp
wccp web-cache
wccp interface outside web-cache redirect in
scansafe general-options
 server primary ip 192.0.2.9 port 8080
no same-security-traffic permit inter-interface
no service-policy p global
no snmp-server contact
no names
interface Tunnel1
 nameif vti
 tunnel source interface outside
 tunnel protection ipsec profile P
group-policy GP attributes
 vpn-filter none
",
        &[
            "unsupported not-modelled 3",
            "unsupported not-modelled 4",
            "unsupported not-modelled 5",
            "unsupported not-modelled 7",
            "unsupported not-modelled 8",
            "unsupported not-modelled 10",
            "unsupported not-modelled 11",
            "unsupported vpn 17",
        ],
    );
}

#[test]
fn a_vlan_may_not_open_connections_to_another() {
    let lines = "\
interface Vlan 3
 no forward interface Vlan2
 nameif guests
 security-level 60
 ip address 10.0.60.1 255.255.255.0
interface Vlan2
 nameif office
 security-level 40
 ip address 10.0.40.1 255.255.255.0
access-list ALL extended permit ip any any
access-group ALL in interface guests
access-group ALL in interface office
";
    check(lines, "guests tcp 10.0.60.5 9 10.0.40.5 9", "deny 2");
    check(lines, "office tcp 10.0.40.5 9 10.0.60.5 9", "allow 10");
    check(lines, "guests tcp 10.0.60.5 9 10.0.50.5 9", "allow 10");
}

#[test]
fn what_the_device_serves_is_kept() {
    let own = |lines: &str| {
        let firewall = read(&format!("{DEVICE}{lines}")).0;
        firewall.own_traffic.into_iter().map(|line| line.value).collect::<Vec<_>>()
    };
    let lines = "webvpn\n enable outside\ncrypto ikev2 enable outside client-services port 443\n\
                 group-policy GP attributes\n enable outside\n";
    assert_eq!(
        own(lines),
        ["enable outside", "crypto ikev2 enable outside client-services port 443"]
    );
}

#[test]
fn a_word_that_is_not_understood_says_what_its_line_says() {
    for lines in [
        "interface GigabitEthernet0/7\n nameif z\n bridge-group PART\n",
        "interface GigabitEthernet0/7\n nameif z\n zone-member PART\n",
        "interface GigabitEthernet0/7\n nameif z\n policy-route route-map PART\n",
        "route outside 198.51.100.0 255.255.255.0 192.0.2.PART tunneled\n",
    ] {
        check_said(lines, "10", "20");
    }
    let leased = |rest: &str| said(&format!("interface GigabitEthernet0/7\n ip address {rest}\n"));
    assert_ne!(leased("dhcp"), leased("dhcp setroute"));
}

#[test]
fn lists_of_other_types_are_what_they_say() {
    check_said(
        "access-list E ethertype deny any\naccess-list E ethertype permit PART\n\
         access-group E in interface inside\n",
        "bpdu",
        "0x600",
    );
}

#[test]
fn words_that_matter_later_are_compared() {
    for (line, word) in [
        ("object network NATTED\n host 10.0.50.1\n nat (inside,outside) static 192.0.2.50", " dns"),
        ("route outside 198.51.100.0 255.255.255.0 192.0.2.9 1", " track 1"),
    ] {
        assert_ne!(said(&format!("{line}\n")), said(&format!("{line}{word}\n")), "{line}");
    }
}

#[test]
fn a_shun_that_is_taken_away_is_told() {
    check_problems("shun 198.51.100.1\nno shun 198.51.100.1\n", &["unsupported not-modelled 2"]);
}
