//! Small configurations, one idea each.

mod elsewhere;
mod named;
mod nat;

use std::fmt::Write as _;
use std::net::IpAddr;

use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::reference::judge;
use parefeu_policy::{
    Answer, Behaviour, ConnectionState, Diagnostics, Firewall, Hit, Knowledge, PacketKey, Preset,
    Severity, Source, link,
};

mod interfaces;

/// Three interfaces, so that rules and translations have somewhere to stand.
const DEVICE: &str = "\
hostname fw
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 192.0.2.1 255.255.255.0
 ipv6 address 2001:db8:0:1::1/64
interface GigabitEthernet0/1.20
 vlan 20
 nameif dmz
 security-level 50
 ip address 10.0.50.1 255.255.255.0 standby 10.0.50.2
interface GigabitEthernet0/2
 nameif inside
 ip address 10.0.100.1 255.255.255.0
route outside 0.0.0.0 0.0.0.0 192.0.2.254 1
ipv6 route outside ::/0 2001:db8:0:1::ff
policy-map global_policy
 class inspection_default
  inspect icmp
service-policy global_policy global
";

fn read(text: &str) -> (Firewall, Diagnostics) {
    let (firewall, problems) = super::read(Source::new("fw", text));
    (firewall.unwrap(), problems)
}

/// The problems of a text, one a line: severity, code, line number.
#[track_caller]
fn check_problems(text: &str, expected: &[&str]) {
    let (firewall, mut problems) = read(text);
    link(&firewall, &mut problems);
    problems.sort();
    let found: Vec<String> = problems
        .iter()
        .map(|problem| {
            let line = problem.at.map_or(0, |at| firewall.sources.line_number(at));
            format!("{} {} {line}", problem.severity.name(), problem.code)
        })
        .collect();
    assert_eq!(found, expected, "\n{text}\n{problems:?}");
}

/// `INTERFACE PROTOCOL SRC SRC_PORT DST DST_PORT`, asked of [`DEVICE`] with `lines` after it: the
/// verdict, the line that decides, counted in `lines`, and the addresses after translation where
/// they change. For ICMP the ports are type and code.
#[track_caller]
fn check(lines: &str, packet: &str, expected: &str) {
    check_at(lines, packet, Timestamp::from_secs(0), expected);
}

#[track_caller]
fn check_at(lines: &str, packet: &str, time: Timestamp, expected: &str) {
    let (firewall, mut problems) = read(&format!("{DEVICE}{lines}"));
    let linked = link(&firewall, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let words: Vec<&str> = packet.split(' ').collect();
    let [interface, protocol, src, src_port, dst, dst_port] = words[..] else { panic!("{packet}") };
    let ingress = linked.interface_named(interface);
    assert!(ingress.is_some(), "{interface}");
    let protocol = Protocol::from_name(protocol).unwrap();
    let numbers: [u16; 2] = [src_port, dst_port].map(|port| port.parse().unwrap());
    let icmp = protocol.is_icmp().then_some((numbers[0] as u8, numbers[1] as u8));
    let ports = if icmp.is_some() { [0, 0] } else { numbers };
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let key = PacketKey {
        ingress,
        egress: None,
        from: None,
        to: None,
        src: address(src),
        dst: address(dst),
        protocol,
        src_port: ports[0],
        dst_port: ports[1],
        icmp,
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time,
    };
    let judged = judge(&linked, &key, &Knowledge::NOTHING);
    let offset = DEVICE.lines().count() as u32;
    let verdict = |hit: Hit| if hit.allows() { "allow" } else { "deny" };
    let line = |hit: Hit| linked.sources.line_number(hit.at).saturating_sub(offset);
    let mut found = match judged.evaluation.answer() {
        Answer::Certain(hit) => format!("{} {}", verdict(hit), line(hit)),
        Answer::Depends(hit) => format!("depends {}", line(hit)),
        Answer::Unknown(hit) => {
            let decided = judged.evaluation.decided;
            format!("{} {} perhaps {}", verdict(decided), line(decided), line(hit))
        }
    };
    let after = judged.translated;
    if judged.session_chooses {
        found.push_str(" new");
    } else if (after.src, after.src_port) != (key.src, key.src_port) {
        write!(found, " from {}:{}", after.src, after.src_port).unwrap();
    }
    if (after.dst, after.dst_port) != (key.dst, key.dst_port) {
        write!(found, " to {}:{}", after.dst, after.dst_port).unwrap();
    }
    if judged.doubtful_nat.is_some() {
        found.push_str(" doubtful");
    }
    assert_eq!(found, expected, "\n{lines}\n{packet}\n{problems:?}");
}

/// The services of the only rule of an access list.
#[track_caller]
fn check_service(lines: &str, expected: &str) {
    let (firewall, mut problems) = read(lines);
    let linked = link(&firewall, &mut problems).unwrap_or_else(|| panic!("{problems:?}"));
    let rule = linked.rules.last().unwrap();
    let mut found: Vec<String> = rule
        .matches
        .services
        .terms
        .iter()
        .map(|term| {
            let protocols: Vec<String> =
                term.protocols.iter().map(|protocol| protocol.to_string()).collect();
            let protocols =
                if term.protocols.is_all() { "any".to_owned() } else { protocols.join("+") };
            let icmp = term
                .icmp
                .map_or(String::new(), |icmp| format!(" type {} code {:?}", icmp.kind, icmp.code));
            format!("{protocols} {}>{}{icmp}", term.src_ports, term.dst_ports)
        })
        .collect();
    found.extend(
        rule.matches
            .services
            .atoms
            .iter()
            .map(|atom| &*linked.atoms[atom.index()].text)
            .map(|text| format!("unknown {}", text.split(" (definitions").next().unwrap())),
    );
    assert_eq!(found.join("; "), expected, "\n{lines}\n{problems:?}");
}

#[test]
fn ports_follow_the_address_they_belong_to() {
    for (service, expected) in [
        ("permit tcp any eq www any", "tcp 80>any"),
        ("permit tcp any any neq 22", "tcp any>0-21,23-65535"),
        ("permit udp any gt 1023 any lt 512", "udp 1024-65535>0-511"),
        ("permit tcp any range 1 2 any range ftp-data ftp", "tcp 1-2>20-21"),
        ("permit icmp any any echo", "icmp any>any type 8 code None"),
        ("permit icmp any any unreachable 3 log", "icmp any>any type 3 code Some(3)"),
        ("permit icmp6 any any 128", "icmpv6 any>any type 128 code None"),
        ("permit ip any any", "any any>any"),
        ("permit 47 any any", "gre any>any"),
        ("permit esp any any log 6 interval 30", "esp any>any"),
    ] {
        check_service(&format!("access-list a extended {service}"), expected);
    }
}

#[test]
fn groups_stand_for_ports_protocols_and_types() {
    let groups = "\
object-group service WEB tcp
 port-object eq www
 port-object range 8000 8080
object-group service ALL-WEB tcp
 group-object WEB
 port-object eq https
object-group service BOTH tcp-udp
 port-object eq domain
object-group protocol TCPUDP
 protocol-object udp
 protocol-object tcp
object-group icmp-type PING
 icmp-object echo
 icmp-object echo-reply
object service NODE
 service tcp source gt 1023 destination eq 9100
object-group service MIXED
 service-object object NODE
 service-object udp destination eq syslog
 service-object icmp echo
 service-object gre
 service-object object icmp6
object-group network NETS
 network-object host 10.0.0.1
";
    for (service, expected) in [
        ("permit tcp any any object-group ALL-WEB", "tcp any>80; tcp any>8000-8080; tcp any>443"),
        ("permit tcp any object-group WEB any", "tcp 80,8000-8080>any"),
        (
            "permit tcp any object-group WEB any object-group ALL-WEB",
            "tcp 80,8000-8080>80,443,8000-8080",
        ),
        ("permit tcp object-group NETS object-group NETS eq 1", "tcp any>1"),
        ("permit udp any any object-group BOTH", "udp any>53"),
        ("permit object-group TCPUDP any any object-group BOTH", "tcp+udp any>53"),
        ("permit object-group TCPUDP any any eq 53", "tcp+udp any>53"),
        (
            "permit icmp any any object-group PING",
            "icmp any>any type 0 code None; icmp any>any type 8 code None",
        ),
        ("permit object NODE any any", "tcp 1024-65535>9100"),
        (
            "permit object-group MIXED any any",
            "tcp 1024-65535>9100; udp any>514; icmp any>any type 8 code None; gre any>any; icmpv6 any>any",
        ),
        ("permit tcp any any object-group MIXED", "unknown ports of MIXED"),
    ] {
        let lines = format!("{groups}access-list a extended {service}");
        check_service(&lines, expected);
    }
}

#[test]
fn the_first_line_that_matches_decides() {
    let lines = "\
object network WEB
 host 10.0.50.10
access-list out_in extended deny ip host 198.51.100.9 any
access-list out_in remark the shop
access-list out_in extended permit tcp any object WEB eq https
access-list out_in extended permit tcp any object WEB eq www inactive
access-group out_in in interface outside
";
    check(lines, "outside tcp 198.51.100.1 999 10.0.50.10 443", "allow 5");
    check(lines, "outside tcp 198.51.100.9 999 10.0.50.10 443", "deny 3");
    check(lines, "outside tcp 198.51.100.1 999 10.0.50.10 80", "deny 7");
}

#[test]
fn rules_are_called_by_list_and_line() {
    let (firewall, _) = read(
        "access-list a remark one\naccess-list a remark two\naccess-list a extended permit ip any any log\n\
         access-list a line 1 extended deny tcp any any\n",
    );
    let rules = &firewall.rule_bases[0].rules;
    let told: Vec<_> = rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.description.as_str(), rule.log))
        .collect();
    assert_eq!(told, [("a line 1", "", false), ("a line 4", "one two", true)]);
}

#[test]
fn interfaces_without_a_list_go_by_security_level() {
    check("", "inside tcp 10.0.100.5 999 10.0.50.10 443", "allow 0");
    check("", "dmz tcp 10.0.50.10 999 198.51.100.1 443", "allow 0");
    check("", "dmz tcp 10.0.50.10 999 10.0.100.5 443", "deny 0");
    check("", "outside tcp 198.51.100.1 999 10.0.50.10 443", "deny 0");
}

#[test]
fn interfaces_of_one_level_need_leave_whatever_the_list_says() {
    let lines = "\
interface GigabitEthernet0/3
 nameif lab
 security-level 50
 ip address 10.0.51.1 255.255.255.0
access-list all extended permit ip any any
access-group all in interface dmz
";
    check(lines, "dmz tcp 10.0.50.10 999 10.0.51.10 443", "deny 0");
    check(lines, "dmz tcp 10.0.50.10 999 10.0.50.11 443", "deny 0");
    check(lines, "dmz tcp 10.0.50.10 999 10.0.100.5 443", "allow 5");
    let lines = format!("{lines}same-security-traffic permit inter-interface\n");
    check(&lines, "dmz tcp 10.0.50.10 999 10.0.51.10 443", "allow 5");
    check(&lines, "dmz tcp 10.0.50.10 999 10.0.50.11 443", "deny 0");
    check(&lines, "lab tcp 10.0.51.10 999 10.0.50.11 443", "allow 3");
    let lines = format!("{lines}same-security-traffic permit intra-interface\n");
    check(&lines, "dmz tcp 10.0.50.10 999 10.0.50.11 443", "allow 5");
}

#[test]
fn the_global_list_follows_the_interface_list_and_replaces_levels() {
    let lines = "\
access-list in extended permit tcp any any eq 22
access-list all extended deny tcp any any eq 22
access-list all extended permit tcp any any eq 80
access-group in in interface dmz
access-group all global
";
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.1 22", "allow 1");
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.1 80", "allow 3");
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.1 81", "deny 5");
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 22", "deny 2");
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 81", "deny 5");
}

#[test]
fn an_outbound_list_has_to_permit_too() {
    let lines = "\
access-list out extended permit tcp any any eq 443
access-group out out interface outside
";
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 443", "allow 0");
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 80", "deny 2");
    check(lines, "inside tcp 10.0.100.5 999 10.0.50.10 80", "allow 0");
}

#[test]
fn a_static_object_works_both_ways_and_rules_see_real_addresses() {
    let lines = "\
object network WEB
 host 10.0.50.10
 nat (dmz,outside) static 203.0.113.10
access-list in extended permit tcp any host 10.0.50.10
access-group in in interface outside
";
    check(lines, "outside tcp 198.51.100.1 999 203.0.113.10 443", "allow 4 to 10.0.50.10:443");
    check(lines, "outside tcp 198.51.100.1 999 10.0.50.10 443", "deny 3");
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.1 443", "allow 0 from 203.0.113.10:999");
    check(lines, "dmz tcp 10.0.50.11 999 198.51.100.1 443", "allow 0");
}

#[test]
fn static_ports_shift_with_the_address() {
    let lines = "\
object network WEB
 host 10.0.50.10
 nat (dmz,outside) static interface service tcp 8443 443
access-list in extended permit tcp any host 10.0.50.10 eq 8443
access-group in in interface outside
";
    check(lines, "outside tcp 198.51.100.1 999 192.0.2.1 443", "allow 4 to 10.0.50.10:8443");
    check(lines, "outside tcp 198.51.100.1 999 192.0.2.1 444", "deny 0");
    check(lines, "dmz tcp 10.0.50.10 8443 198.51.100.1 9", "allow 0 from 192.0.2.1:443");
}

#[test]
fn dynamic_rules_hide_and_static_ones_come_first() {
    let lines = "\
object network NET
 subnet 10.0.50.0 255.255.255.0
 nat (dmz,outside) dynamic interface
object network POOL
 range 203.0.113.100 203.0.113.101
object network SHARED
 host 203.0.113.99
object network INSIDE
 subnet 10.0.100.0 255.255.255.0
 nat (inside,outside) dynamic SHARED
object network WEB
 host 10.0.50.10
 nat (dmz,outside) static 203.0.113.10
";
    check(lines, "dmz tcp 10.0.50.11 999 198.51.100.1 443", "allow 0 new");
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.1 443", "allow 0 from 203.0.113.10:999");
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 443", "allow 0 new");
    check(lines, "inside tcp 10.0.100.5 999 10.0.50.11 443", "allow 0");
}

#[test]
fn twice_nat_precedes_object_nat_and_translates_both_ends() {
    let lines = "\
object network REAL
 host 10.0.50.10
 nat (dmz,outside) static 203.0.113.10
object network SHOWN
 host 203.0.113.77
object network PEER
 host 198.51.100.1
object network PEER-SHOWN
 host 10.9.9.9
object service HTTP
 service tcp destination eq 80
object service ALT
 service tcp destination eq 8080
nat (dmz,outside) source static REAL SHOWN destination static PEER-SHOWN PEER service HTTP ALT
access-list in extended permit ip any any
access-group in in interface outside
access-group in in interface dmz
";
    check(
        lines,
        "dmz tcp 10.0.50.10 999 10.9.9.9 80",
        "allow 15 from 203.0.113.77:999 to 198.51.100.1:8080",
    );
    check(lines, "dmz tcp 10.0.50.10 999 198.51.100.2 80", "allow 15 from 203.0.113.10:999");
    check(
        lines,
        "outside tcp 198.51.100.1 8080 203.0.113.77 5",
        "allow 15 from 10.9.9.9:80 to 10.0.50.10:5",
    );
    check(lines, "outside tcp 198.51.100.2 8080 203.0.113.10 5", "allow 15 to 10.0.50.10:5");
}

#[test]
fn identity_rules_exempt_in_their_order() {
    let lines = "\
object network NET
 subnet 10.0.100.0 255.255.255.0
object network PARTNER
 subnet 198.51.100.0 255.255.255.128
nat (inside,outside) source static NET NET destination static PARTNER PARTNER no-proxy-arp route-lookup
nat (inside,outside) after-auto source dynamic any interface
";
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.1 443", "allow 0");
    check(lines, "inside tcp 10.0.100.5 999 198.51.100.200 443", "allow 0 new");
}

#[test]
fn section_two_orders_by_kind_size_address_and_name() {
    let lines = "\
object network big
 subnet 10.0.50.0 255.255.255.0
 nat (dmz,outside) static 203.0.113.0
object network b
 host 10.0.50.7
 nat (dmz,outside) static 198.18.0.2
object network a
 host 10.0.50.7
 nat (dmz,outside) static 198.18.0.1
object network low
 host 10.0.50.6
 nat (dmz,outside) dynamic 198.18.0.3
nat (dmz,outside) after-auto source static b low
nat (dmz,outside) source static low b
nat (dmz,outside) 1 source static b b
";
    let (firewall, _) = read(&format!("{DEVICE}{lines}"));
    let names: Vec<_> = firewall.source_nat.rules.iter().map(|rule| rule.name.as_str()).collect();
    let expected =
        ["nat 1", "nat 2", "object a", "object b", "object big", "object low", "nat after-auto 1"];
    assert_eq!(names, expected);
}

#[test]
fn what_is_not_modelled_matches_perhaps_and_is_reported() {
    check_problems(
        "\
access-list a extended permit tcp any any eq nonsense
access-list a extended permit tcp any any frobnicate
access-list a advanced permit ip any any
frobnicate the packets
static (inside,outside) 192.0.2.1 10.0.0.1
nat (inside) 1 0.0.0.0 0.0.0.0
object network x
 frob 1
ip verify reverse-path interface outside
router ospf 1
 network 10.0.0.0 255.0.0.0 area 0
logging enable
snmp-server host inside 192.0.2.1
fragment chain 1 outside
fragment size 200 outside
crypto map m 10 match address vpn
crypto map m 10 set peer 192.0.2.9
no sysopt connection permit-vpn
no sysopt connection tcpmss
threat-detection scanning-threat shun
threat-detection basic-threat
",
        &[
            "unsupported not-understood 1",
            "unsupported not-understood 2",
            "unsupported not-understood 3",
            "unsupported unknown-statement 4",
            "unsupported before-8.3 5",
            "unsupported before-8.3 6",
            "unsupported not-understood 8",
            "unsupported not-modelled 9",
            "unsupported dynamic-routing 10",
            "unsupported not-modelled 14",
            "unsupported vpn 16",
            "unsupported vpn 18",
            "unsupported not-modelled 20",
        ],
    );
    let lines = "\
access-list a extended permit tcp any any frobnicate
access-list a extended permit tcp any object FQDN
object network FQDN
 fqdn v4 www.example.com
access-group a in interface outside
nat (dmz,outside) source static FQDN WHAT
";
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.7 9", "deny 5 perhaps 1 doubtful");
}

#[test]
fn references_to_nothing_are_errors() {
    check_problems(
        "access-list a extended permit tcp any object NOBODY\naccess-list a extended permit object NOTHING any any\n",
        &["error unknown-object 1", "error unknown-service 2"],
    );
    check_problems(
        "\
object-group service A tcp
 group-object B
object-group service B tcp
 group-object A
access-list a extended permit tcp any object-group A any object-group A
object network X
object-group network X
",
        &["error cycle 4", "error duplicate-name 7"],
    );
}

/// Whether data of FTP, TFTP and SIP, and answers to ICMP and ICMP errors, follow their sessions on
/// a device with `lines`.
fn inspected(lines: &str) -> [bool; 5] {
    let device = "interface a\n nameif inside\n ip address 10.0.0.1 255.0.0.0\n";
    let behaviour = read(&format!("{device}{lines}")).0.behaviour;
    let Behaviour { expect_ftp, expect_tftp, expect_sip, .. } = behaviour;
    let icmp = [behaviour.icmp_sessions, behaviour.icmp_errors_related];
    [expect_ftp, expect_tftp, expect_sip, icmp[0], icmp[1]]
}

#[test]
fn inspections_decide_what_follows_a_session() {
    let policy = |inspections: &str| {
        format!(
            "policy-map global_policy\n class inspection_default\n{inspections}\
             service-policy global_policy global\n"
        )
    };
    for (inspections, expected) in [
        ("  inspect dns preset_dns_map\n", [false; 5]),
        ("  inspect ftp\n", [true, false, false, false, false]),
        ("  inspect ftp strict map\n  inspect icmp error\n", [true, false, false, false, false]),
        ("  inspect icmp\n  inspect icmp error\n", [false, false, false, true, true]),
        ("  inspect sip\n  inspect tftp\n", [false, true, true, false, false]),
        ("  inspect ftp\n  inspect tftp\n  inspect sip\n  inspect icmp\n", [true; 5]),
    ] {
        assert_eq!(inspected(&policy(inspections)), expected, "{inspections}");
        check_problems(&policy(inspections), &[]);
    }
    // As a device is delivered; a policy map alone is no policy.
    assert_eq!(inspected(""), [true, true, true, false, false]);
    assert_eq!(inspected("policy-map p\n class inspection_default\n  inspect ftp\n"), [false; 5]);
    // Without interfaces the text is a list of rules, not a device.
    let (lists, _) = read("access-list a extended permit ip any any\n");
    assert_eq!(lists.behaviour, Behaviour::preset(Preset::Asa));
}

#[test]
fn inspections_that_are_assumed_partial_or_idle_are_reported() {
    let device = "interface a\n nameif inside\n ip address 10.0.0.1 255.0.0.0\n";
    for (lines, expected) in [
        ("", &["suspicious inspections-assumed 0"][..]),
        (
            "policy-map p\n class inspection_default\n  inspect ftp\n",
            &["suspicious idle-policy-map 4"],
        ),
        (
            "policy-map p\n class uploads\n  inspect ftp\nservice-policy p global\n",
            &["unsupported partial-inspection 6"],
        ),
        (
            "policy-map p\n class inspection_default\n  inspect ftp\n\
             service-policy p interface inside\n",
            &["unsupported partial-inspection 6"],
        ),
        ("service-policy p global\n", &["unsupported unknown-policy-map 4"]),
    ] {
        check_problems(&format!("{device}{lines}"), expected);
    }
    // What the global policy inspects anyway is not partial.
    let both = "policy-map g\n class inspection_default\n  inspect ftp\npolicy-map p\n class c\n  \
        inspect ftp\nservice-policy p interface inside\nservice-policy g global\n";
    check_problems(&format!("{device}{both}"), &[]);
}

#[test]
fn a_lone_list_is_the_layer_and_several_are_left_to_choose() {
    let layers = |text: &str| read(text).0.layers.len();
    assert_eq!(layers("access-list a extended permit ip any any\naccess-list b remark x\n"), 1);
    let two =
        "access-list a extended permit ip any any\naccess-list b extended permit ip any any\n";
    assert_eq!(layers(two), 0);
    assert_eq!(layers(""), 0);
}

#[test]
fn clearing_a_list_empties_it() {
    let (firewall, problems) = read(
        "access-list a extended permit ip any any\nclear configure access-list a\n\
         access-list a extended deny ip any any\n",
    );
    assert_eq!(firewall.rule_bases[0].rules.len(), 1);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn names_stand_for_addresses() {
    let lines = "\
name 198.51.100.53 DNS description ours
access-list in extended permit udp host DNS any
access-group in in interface outside
";
    check(lines, "outside udp 198.51.100.53 9 10.0.50.7 9", "allow 2");
    check(lines, "outside udp 198.51.100.54 9 10.0.50.7 9", "deny 3");
}

#[test]
fn a_netmask_may_have_holes() {
    let lines = "\
access-list in extended permit tcp 10.0.7.0 255.15.255.0 any eq www
access-list in extended permit tcp any 10.0.50.1 255.255.255.1 eq 25
access-group in in interface outside
";
    check(lines, "outside tcp 10.16.7.1 9 10.0.50.6 80", "allow 1");
    check(lines, "outside tcp 10.240.7.255 9 10.0.50.6 80", "allow 1");
    check(lines, "outside tcp 10.17.7.1 9 10.0.50.6 80", "deny 3");
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.7 25", "allow 2");
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.6 25", "deny 3");
    // What a mask does not cover stands in the address: the mask of a router, perhaps.
    let inverted = "access-list in extended permit ip 10.1.0.0 0.0.255.255 any\n";
    check_problems(inverted, &["unsupported not-understood 1"]);
}

#[test]
fn any_covers_both_families_since_9_0() {
    let lines = "access-list in extended permit ip any any\naccess-group in in interface outside\n";
    let v6 = "outside tcp 2001:db8:f::1 9 2001:db8:0:1::5 9";
    let hairpin = "same-security-traffic permit intra-interface\n";
    check(&format!("{lines}{hairpin}"), v6, "allow 1");
    check(&format!("{lines}{hairpin}ASA Version 8.4(2)\n"), v6, "deny 2");
    check(&format!("{lines}{hairpin}ASA Version 9.1(7)\n"), v6, "allow 1");
}

#[test]
fn time_ranges_hold_in_local_time() {
    let lines = "\
clock timezone CET 1
time-range office
 periodic weekdays 8:00 to 18:00
access-list in extended permit ip any any time-range office
access-group in in interface outside
";
    let packet = "outside tcp 198.51.100.1 9 10.0.50.7 9";
    // 1970-01-01 was a Thursday.
    for (secs, expected) in [
        (7 * 3600 - 1, "deny 5"),
        (7 * 3600, "allow 4"),
        (17 * 3600 + 59, "allow 4"),
        (17 * 3600 + 60, "deny 5"),
        (2 * 86_400 + 8 * 3600, "deny 5"),
    ] {
        check_at(lines, packet, Timestamp::from_secs(secs), expected);
    }
    let lines = lines.replace("weekdays 8:00 to 18:00", "Sunday 23:30 to Monday 0:30");
    // Sunday 23:30 CET is 22:30 UTC.
    check_at(&lines, packet, Timestamp::from_secs(3 * 86_400 + 22 * 3600 + 1800), "allow 4");
    check_at(&lines, packet, Timestamp::from_secs(3 * 86_400 + 23 * 3600 + 1860), "deny 5");
}

#[test]
fn a_time_range_that_is_not_modelled_holds_perhaps() {
    let lines = "\
clock summer-time CEDT recurring
time-range office
 periodic daily 8:00 to 18:00
access-list in extended permit ip any any time-range office
access-group in in interface outside
";
    check(lines, "outside tcp 198.51.100.1 9 10.0.50.7 9", "deny 5 perhaps 4");
}

#[test]
fn absolute_ranges_begin_and_end() {
    let lines = "\
time-range once
 absolute start 00:00 02 January 1970 end 12:00 3 jan 1970
access-list in extended permit ip any any time-range once
access-group in in interface outside
";
    let packet = "outside tcp 198.51.100.1 9 10.0.50.7 9";
    check_at(lines, packet, Timestamp::from_secs(86_399), "deny 4");
    check_at(lines, packet, Timestamp::from_secs(86_400), "allow 3");
    check_at(lines, packet, Timestamp::from_secs(2 * 86_400 + 43_260), "deny 4");
}

#[test]
fn timeouts_set_the_timers() {
    let (firewall, problems) = read(
        "timeout xlate 3:00:00\ntimeout conn 2:00:00 half-closed 0:05:00 udp 0:01:00 icmp 0:00:09\n\
         timeout conn 0:00:00\n",
    );
    let timers = firewall.behaviour.timers;
    let secs = [timers.tcp_established, timers.tcp_half_closed, timers.udp, timers.icmp];
    assert_eq!(secs.map(|timer| timer.as_secs()), [4_000_000_000, 300, 60, 9]);
    assert!(problems.is_empty(), "{problems:?}");
    check_problems("timeout conn soon\n", &["unsupported not-understood 1"]);
}

#[test]
fn users_and_security_groups_are_conditions() {
    let (firewall, problems) = read(
        "object-group user STAFF\n user CORP\\alice\n user-group CORP\\\\ops\n\
         access-list a extended permit tcp user CORP\\bob object-group-user STAFF any any\n\
         access-list a extended permit tcp security-group name web any any\n",
    );
    let rules = &firewall.rule_bases[0].rules;
    let users: Vec<_> =
        rules[0].matches.users.listed().iter().map(|user| user.value.as_str()).collect();
    assert_eq!(users, ["CORP\\bob", "CORP\\\\ops", "CORP\\alice"]);
    assert_eq!(rules[1].matches.unknown[0].value, "source security-group name web");
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn an_interface_that_is_shut_takes_its_routes_along() {
    let lines = "\
interface GigabitEthernet0/5
 shutdown
 nameif spare
 security-level 10
 ip address 10.0.70.1 255.255.255.0
route spare 10.8.0.0 255.255.0.0 10.0.70.2
";
    check(lines, "inside tcp 10.0.100.5 999 10.8.0.1 443", "allow 0");
    let (firewall, _) = read(&format!("{DEVICE}{lines}"));
    assert_eq!(firewall.routes.len(), 2);
}

#[test]
fn lines_without_indentation_still_belong_to_their_group() {
    check_service(
        "object-group service W tcp\nport-object eq 80\nport-object eq 81\n\
         access-list a extended permit tcp any any object-group W",
        "tcp any>80; tcp any>81",
    );
}
