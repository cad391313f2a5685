//! Small configurations, one idea each.

use std::net::IpAddr;

use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{
    Answer, ApplicationId, ConnectionState, Diagnostics, Identified, Knowledge, LinkedFirewall,
    NatMapping, PacketKey, Source, link, reference,
};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, proptest};

use crate::panos;

mod definitions;
mod network;
mod rules;
mod set;

fn linked(config: &str) -> (Option<LinkedFirewall>, Diagnostics) {
    let (firewall, mut problems) = panos::read(Source::new("fw", config));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    problems.sort();
    (linked, problems)
}

fn codes(problems: &Diagnostics) -> Vec<String> {
    problems.iter().map(|it| format!("{} {}", it.severity.name(), it.code)).collect()
}

/// `zone source destination protocol port [application]`, the first two words of the answer with
/// the rule that gives it.
fn judge(firewall: &LinkedFirewall, flow: &str) -> String {
    let words: Vec<&str> = flow.split(' ').collect();
    let [from, src, dst, protocol, port, rest @ ..] = words.as_slice() else { panic!("{flow}") };
    let (from, to) = from.split_once('>').map_or((*from, None), |(from, to)| (from, Some(to)));
    let src: IpAddr = src.parse().unwrap();
    let protocol = Protocol::from_name(protocol).unwrap();
    let zone = |name| Some(firewall.zone_named(name).unwrap_or_else(|| panic!("zone {name}")));
    let ingress = firewall.interface_towards(src);
    let key = PacketKey {
        ingress: ingress.filter(|id| firewall.zone_of(*id) == zone(from)),
        egress: None,
        from: zone(from),
        to: to.and_then(zone),
        src,
        dst: dst.parse().unwrap(),
        protocol,
        src_port: 40_000,
        dst_port: port.parse().unwrap(),
        icmp: protocol.is_icmp().then_some((8, 0)),
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags(2)),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    };
    let named = |name: &str| {
        let names = firewall.applications.iter().position(|it| *it.name == *name);
        Identified::Finally(names.map(|id| ApplicationId(id as u32)))
    };
    let application = rest.first().map_or(Identified::NotYet, |name| named(name));
    let known = Knowledge { application, ..Knowledge::NOTHING };
    let judgement = reference::judge(firewall, &key, &known);
    let (word, hit) = match judgement.evaluation.answer() {
        Answer::Certain(hit) if hit.allows() => ("allow", hit),
        Answer::Certain(hit) => ("deny", hit),
        Answer::Depends(hit) => ("depends", hit),
        Answer::Unknown(hit) => ("unknown", hit),
    };
    let rule = hit.rule.map_or("default", |id| &firewall.rule(id).name);
    let five = judgement.translated;
    let translated = (five.src, five.dst, five.dst_port) != (key.src, key.dst, key.dst_port);
    if translated {
        format!("{word} {rule} as {} > {}:{}", five.src, five.dst, five.dst_port)
    } else {
        format!("{word} {rule}")
    }
}

#[track_caller]
fn check(config: &str, flows: &[(&str, &str)]) {
    let (firewall, problems) = linked(config);
    assert!(problems.is_empty(), "{problems:#?}");
    let firewall = firewall.unwrap();
    for (flow, expected) in flows {
        assert_eq!(judge(&firewall, flow), *expected, "{flow}");
    }
}

/// Problems by severity and code, in the order of the text; none of them stops the import.
#[track_caller]
fn check_problems(config: &str, expected: &[&str]) {
    let (_, problems) = linked(config);
    assert_eq!(codes(&problems), expected, "{problems:#?}");
}

const NETWORK: &str = "
set deviceconfig system hostname fw1
set network interface ethernet ethernet1/1 layer3 ip 10.0.0.1/24
set network interface ethernet ethernet1/2 layer3 ip 203.0.113.1/24
set network interface ethernet ethernet1/3 layer3 units ethernet1/3.7 tag 7
set network interface ethernet ethernet1/3 layer3 units ethernet1/3.7 ip 10.7.0.1/24
set network virtual-router default interface [ ethernet1/1 ethernet1/2 ethernet1/3.7 ]
set network virtual-router default routing-table ip static-route d destination 0.0.0.0/0
set network virtual-router default routing-table ip static-route d nexthop ip-address 203.0.113.254
set zone trust network layer3 ethernet1/1
set zone untrust network layer3 ethernet1/2
set zone dmz network layer3 ethernet1/3.7
";

fn with_network(rest: &str) -> String {
    format!("{NETWORK}{rest}")
}

/// A rule with everything PAN-OS requires, in one line.
fn rule(name: &str, fields: &str) -> String {
    let mut line = format!("set rulebase security rules {name}");
    for field in ["from", "to", "source", "destination", "application", "service"] {
        if !format!(" {fields}").contains(&format!(" {field} ")) {
            line.push_str(&[" ", field, " any"].concat());
        }
    }
    format!("{line} {fields}\n")
}

#[test]
fn after_the_last_rule_a_zone_reaches_itself_and_no_other() {
    let config = with_network("");
    check(
        &config,
        &[
            ("trust 10.0.0.5 10.0.0.6 tcp 22", "allow intrazone-default"),
            ("trust 10.0.0.5 192.0.2.1 tcp 443", "deny interzone-default"),
        ],
    );
    let overridden = with_network(
        "set rulebase default-security-rules rules intrazone-default action deny\n\
         set rulebase default-security-rules rules interzone-default action allow\n",
    );
    check(
        &overridden,
        &[
            ("trust 10.0.0.5 10.0.0.6 tcp 22", "deny intrazone-default"),
            ("trust 10.0.0.5 192.0.2.1 tcp 443", "allow interzone-default"),
        ],
    );
}

#[test]
fn the_three_syntaxes_say_the_same() {
    let commands = with_network(&rule("web", "to untrust source N service tcp-8080 action allow"))
        + "set address N ip-netmask 10.0.0.0/28\nset service tcp-8080 protocol tcp port 8080\n";
    let curly = "
        config { devices { localhost.localdomain {
          network {
            interface { ethernet {
              ethernet1/1 { layer3 { ip { 10.0.0.1/24; } } }
              ethernet1/2 { layer3 { ip { 203.0.113.1/24; } } }
            } }
            virtual-router { default {
              interface [ ethernet1/1 ethernet1/2];
              routing-table { ip { static-route { d {
                destination 0.0.0.0/0; nexthop { ip-address 203.0.113.254; } } } } }
            } }
          }
          vsys { vsys1 {
            zone {
              trust { network { layer3 ethernet1/1; } }
              untrust { network { layer3 [ ethernet1/2 ]; } }
            }
            address { N { ip-netmask 10.0.0.0/28; } }
            service { tcp-8080 { protocol { tcp { port 8080; } } } }
            rulebase { security { rules { web {
              from any; to untrust; source N; destination any; application any;
              service tcp-8080; action allow; description \"a } b\";
            } } } }
          } }
        } } }";
    let entry = |name: &str, inside: &str| format!("<entry name=\"{name}\">{inside}</entry>");
    let ethernet = |name: &str, address: &str| {
        entry(name, &format!("<layer3><ip><entry name=\"{address}\"/></ip></layer3>"))
    };
    let zone = |name: &str, interface: &str| {
        let member = format!("<member>{interface}</member>");
        entry(name, &format!("<network><layer3>{member}</layer3></network>"))
    };
    let field = |name: &str, value: &str| format!("<{name}><member>{value}</member></{name}>");
    let xml = format!(
        "<?xml version=\"1.0\"?>\n<config><devices>{}</devices></config>",
        entry(
            "localhost.localdomain",
            &format!(
                "<network><interface><ethernet>{}{}</ethernet></interface><virtual-router>{}\
                 </virtual-router></network><vsys>{}</vsys>",
                ethernet("ethernet1/1", "10.0.0.1/24"),
                ethernet("ethernet1/2", "203.0.113.1/24"),
                entry(
                    "default",
                    &format!(
                        "<interface><member>ethernet1/1</member><member>ethernet1/2</member>\
                         </interface><routing-table><ip><static-route>{}</static-route></ip>\
                         </routing-table>",
                        entry(
                            "d",
                            "<nexthop><ip-address>203.0.113.254</ip-address></nexthop>\
                             <destination>0.0.0.0/0</destination>"
                        )
                    )
                ),
                entry(
                    "vsys1",
                    &format!(
                        "<zone>{}{}</zone><address>{}</address><service>{}</service>\
                         <rulebase><security><rules>{}</rules></security></rulebase>",
                        zone("trust", "ethernet1/1"),
                        zone("untrust", "ethernet1/2"),
                        entry("N", "<ip-netmask>10.0.0.0/28</ip-netmask>"),
                        entry("tcp-8080", "<protocol><tcp><port>8080</port></tcp></protocol>"),
                        entry(
                            "web",
                            &[
                                field("from", "any"),
                                field("to", "untrust"),
                                field("source", "N"),
                                field("destination", "any"),
                                field("application", "any"),
                                field("service", "tcp-8080"),
                                "<action>allow</action>".to_owned(),
                            ]
                            .concat()
                        )
                    )
                )
            )
        )
    );
    for config in [commands.as_str(), curly, xml.as_str()] {
        check(
            config,
            &[
                ("trust 10.0.0.5 192.0.2.1 tcp 8080", "allow web"),
                ("trust 10.0.0.50 192.0.2.1 tcp 8080", "deny interzone-default"),
                ("trust 10.0.0.5 192.0.2.1 tcp 8081", "deny interzone-default"),
            ],
        );
    }
}

#[test]
fn the_filter_sees_original_addresses_and_the_zone_after_translation() {
    let nat = "set rulebase nat rules in from untrust to untrust source any destination 203.0.113.10 \
               service tcp-80 destination-translation translated-address 10.7.0.10 \
               translated-port 8080\n\
               set service tcp-80 protocol tcp port 80\n";
    let original = rule("original", "to dmz destination 203.0.113.10 action allow");
    let inside = rule("translated", "destination 10.7.0.10 action allow");
    let config = with_network(&(nat.to_owned() + &inside + &original));
    check(
        &config,
        &[
            (
                "untrust 192.0.2.7 203.0.113.10 tcp 80",
                "allow original as 192.0.2.7 > 10.7.0.10:8080",
            ),
            ("untrust 192.0.2.7 203.0.113.10 tcp 81", "allow intrazone-default"),
        ],
    );
}

#[test]
fn every_port_of_a_service_becomes_the_translated_one() {
    let nat = "set rulebase nat rules in from untrust to untrust source any destination 203.0.113.10 \
               service web destination-translation translated-address 10.7.0.10 \
               translated-port 8080\n\
               set service web protocol tcp port 80,443,8000-8999\n";
    let inside = rule("inside", "to dmz action allow");
    check(
        &with_network(&(nat.to_owned() + &inside)),
        &[
            ("untrust 192.0.2.7 203.0.113.10 tcp 80", "allow inside as 192.0.2.7 > 10.7.0.10:8080"),
            (
                "untrust 192.0.2.7 203.0.113.10 tcp 8999",
                "allow inside as 192.0.2.7 > 10.7.0.10:8080",
            ),
            ("untrust 192.0.2.7 203.0.113.10 tcp 81", "allow intrazone-default"),
        ],
    );
}

#[test]
fn the_first_nat_rule_that_matches_ends_both_lookups() {
    let allow = rule("all", "action allow");
    let exempt =
        "set rulebase nat rules keep from any to untrust source 10.0.0.9 destination any\n";
    let hide = "set rulebase nat rules hide from trust to untrust source any destination any \
                source-translation dynamic-ip-and-port interface-address interface ethernet1/2\n";
    check(
        &with_network(&[allow.as_str(), exempt, hide].concat()),
        &[
            ("trust 10.0.0.9 192.0.2.1 tcp 80", "allow all"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80", "allow all as 203.0.113.1 > 192.0.2.1:80"),
        ],
    );
}

#[test]
fn a_bi_directional_rule_works_both_ways() {
    let config = with_network(
        &(rule("all", "action allow")
            + "set address inside ip-netmask 10.7.0.10\n\
               set rulebase nat rules both from dmz to untrust source inside destination any \
               source-translation static-ip translated-address 203.0.113.10\n\
               set rulebase nat rules both source-translation static-ip bi-directional yes\n"),
    );
    check(
        &config,
        &[
            ("dmz 10.7.0.10 192.0.2.1 tcp 80", "allow all as 203.0.113.10 > 192.0.2.1:80"),
            ("untrust 192.0.2.1 203.0.113.10 tcp 80", "allow all as 192.0.2.1 > 10.7.0.10:80"),
        ],
    );
}

#[test]
fn persistent_translation_keeps_ports_for_all_rules_or_none() {
    let rule = |name: &str, kind: &str| {
        format!(
            "set rulebase nat rules {name} from trust to untrust source any destination any \
             service any\n\
             set rulebase nat rules {name} source-translation {kind} translated-address \
             203.0.113.9\n"
        )
    };
    let (plain, kept) = ("dynamic-ip-and-port", "persistent-dynamic-ip-and-port");
    let mapping = |rules: &str, expected: &[&str]| {
        let (firewall, problems) = linked(&with_network(rules));
        assert_eq!(codes(&problems), expected);
        firewall.unwrap().behaviour.nat_mapping
    };
    let each = NatMapping::AddressAndPortDependent;
    assert_eq!(mapping(&rule("a", plain), &[]), each);
    assert_eq!(mapping(&rule("a", kept), &[]), NatMapping::EndpointIndependent);
    let both = rule("a", plain) + &rule("b", kept);
    assert_eq!(mapping(&both, &["unsupported nat-mapping"]), each);
}

const NAT64: &str = "\
set network interface ethernet ethernet1/1 layer3 ipv6 enabled yes
set network interface ethernet ethernet1/1 layer3 ipv6 address 2001:db8:1::1/64
set network interface ethernet ethernet1/2 layer3 ipv6 enabled yes
set network interface ethernet ethernet1/2 layer3 ipv6 address 2001:db8:2::1/64
set network virtual-router default routing-table ipv6 static-route d destination ::/0
set network virtual-router default routing-table ipv6 static-route d nexthop ipv6-address 2001:db8:2::2
set rulebase nat rules out nat-type nat64 from trust to untrust service any
set rulebase nat rules out source any destination 64:ff9b::/96
set rulebase nat rules out source-translation dynamic-ip-and-port translated-address 203.0.113.9
set rulebase nat rules in nat-type nat64 from untrust to untrust service any
set rulebase nat rules in source any destination 203.0.113.80
set rulebase nat rules in source-translation static-ip translated-address 64:ff9b::/96
set rulebase nat rules in destination-translation translated-address 2001:db8:1::80
set rulebase nat rules plain from any to any source any destination any service any
set rulebase nat rules plain source-translation static-ip translated-address 203.0.113.7
";

#[test]
fn nat64_translates_between_the_families_and_other_rules_leave_ipv6_alone() {
    let config = with_network(&(NAT64.to_owned() + &rule("all", "action allow")));
    check(
        &config,
        &[
            (
                "trust 2001:db8:1::5 64:ff9b::c000:201 tcp 443",
                "allow all as 203.0.113.9 > 192.0.2.1:443",
            ),
            (
                "untrust 192.0.2.1 203.0.113.80 tcp 80",
                "allow all as 64:ff9b::c000:201 > 2001:db8:1::80:80",
            ),
            ("trust 2001:db8:1::5 2001:db8:3::1 tcp 443", "allow all"),
            ("trust 10.0.0.5 192.0.2.1 tcp 443", "allow all as 203.0.113.7 > 192.0.2.1:443"),
        ],
    );
    let other = config.replace("64:ff9b::/96\nset", "64:ff9b::/95\nset");
    let (_, problems) = linked(&other);
    assert_eq!(codes(&problems), ["unsupported nat64-prefix"]);
    let other = config.replace("nat-type nat64 from trust", "nat-type nptv6 from trust");
    let (_, problems) = linked(&other);
    assert_eq!(codes(&problems), ["unsupported nat-type"]);
}

#[test]
fn application_default_holds_each_application_to_its_own_ports() {
    let config = with_network(&rule(
        "apps",
        "to untrust application [ ssh web-browsing ] service application-default action allow",
    ));
    check(
        &config,
        &[
            ("trust 10.0.0.5 192.0.2.1 tcp 22", "depends apps"),
            ("trust 10.0.0.5 192.0.2.1 tcp 22 ssh", "allow apps"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80 ssh", "deny interzone-default"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80 http", "allow apps"),
            ("trust 10.0.0.5 192.0.2.1 tcp 443", "deny interzone-default"),
        ],
    );
}

#[test]
fn an_application_that_is_a_protocol_is_told_by_the_header() {
    let custom = "set application echo default ident-by-icmp-type type 8\n";
    let config = with_network(
        &(custom.to_owned()
            + &rule("tunnel", "application [ gre echo ] service application-default action allow")),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.5 192.0.2.1 gre 0", "allow tunnel"),
            ("trust 10.0.0.5 192.0.2.1 icmp 0", "allow tunnel"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80", "deny interzone-default"),
        ],
    );
}

#[test]
fn the_ports_of_an_application_nobody_knows_are_not_guessed() {
    let config =
        with_network(&rule("x", "application acme-sync service application-default action allow"));
    check_problems(&config, &["unsupported application-not-known"]);
    let firewall = linked(&config).0.unwrap();
    assert_eq!(judge(&firewall, "trust 10.0.0.5 192.0.2.1 tcp 80"), "unknown x");
    assert_eq!(judge(&firewall, "trust 10.0.0.5 192.0.2.1 tcp 80 ssh"), "deny interzone-default");
}

#[test]
fn objects_of_a_system_hide_shared_ones() {
    let config = with_network(
        &("set shared address web ip-netmask 192.0.2.1\n\
           set shared address-group g static web\n\
           set address web ip-netmask 192.0.2.2\n"
            .to_owned()
            + &rule("own", "destination web service service-http action allow")
            + &rule("through-group", "destination g action allow")),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.5 192.0.2.2 tcp 8080", "allow own"),
            ("trust 10.0.0.5 192.0.2.1 tcp 8080", "allow through-group"),
            ("trust 10.0.0.5 192.0.2.2 tcp 443", "deny interzone-default"),
        ],
    );
}

#[test]
fn two_systems_both_have_to_allow() {
    let config = "
set network interface ethernet ethernet1/1 layer3 ip 10.1.0.1/24
set network interface ethernet ethernet1/2 layer3 ip 10.2.0.1/24
set network interface ethernet ethernet1/3 layer3 ip 10.3.0.1/24
set network virtual-router r interface [ ethernet1/1 ethernet1/2 ethernet1/3 ]
set vsys vsys1 zone in network layer3 ethernet1/1
set vsys vsys1 zone to-2 network external vsys2
set vsys vsys1 rulebase security rules out from in to to-2 source any destination any \
  application any service any action allow
set vsys vsys2 zone in network layer3 ethernet1/2
set vsys vsys2 zone from-1 network external vsys1
set vsys vsys2 rulebase security rules web from from-1 to in source any destination any \
  application any service service-http action allow
set vsys vsys3 zone else network layer3 ethernet1/3
set vsys vsys3 rulebase security rules all from any to any source any destination any \
  application any service any action allow
"
    .replace("\\\n  ", "");
    check(
        &config,
        &[
            ("vsys1/in 10.1.0.5 10.2.0.5 tcp 80", "allow web"),
            ("vsys1/in 10.1.0.5 10.2.0.5 tcp 22", "deny interzone-default"),
            ("vsys2/in 10.2.0.5 10.1.0.5 tcp 80", "deny interzone-default"),
            ("else 10.3.0.5 10.1.0.5 tcp 80", "deny not-visible-from-vsys3"),
            ("else 10.3.0.5 10.3.0.6 tcp 80", "allow within-vsys3"),
        ],
    );
}

#[test]
fn panorama_rules_surround_those_of_the_groups_below() {
    let group = |path: &str, name: &str, port: u16| {
        format!(
            "set {path} security rules {name} from any to any source any destination any \
             application any service tcp-{port} action allow\n\
             set shared service tcp-{port} protocol tcp port {port}\n"
        )
    };
    let config = [
        group("device-group child pre-rulebase", "child-pre", 3),
        group("device-group parent pre-rulebase", "parent-pre", 2),
        group("shared pre-rulebase", "shared-pre", 1),
        group("shared post-rulebase", "shared-post", 6),
        group("device-group parent post-rulebase", "parent-post", 5),
        group("device-group child post-rulebase", "child-post", 4),
        "set readonly devices localhost.localdomain device-group child parent-dg parent\n".into(),
    ]
    .concat();
    let (firewall, problems) = linked(&config);
    assert_eq!(codes(&problems), ["unsupported several-device-groups"]);
    let firewall = firewall.unwrap();
    let rule_base = firewall.rule_base_named("child").unwrap();
    let names: Vec<&str> = firewall.rules_of(rule_base).iter().map(|rule| &*rule.name).collect();
    let expected = [
        "shared-pre",
        "parent-pre",
        "child-pre",
        "child-post",
        "parent-post",
        "shared-post",
        "intrazone-default",
        "interzone-default",
    ];
    assert_eq!(names, expected);
    assert_eq!(&*firewall.layers[0].name, "security");
    assert_eq!(firewall.layers[0].rule_base, rule_base);
}

#[test]
fn commands_take_effect_in_order() {
    let config = with_network(
        &[
            &rule("a", "action deny"),
            &rule("b", "source 10.0.0.5 action deny"),
            &rule("c", "action deny"),
            "delete rulebase security rules b source 10.0.0.5\n",
            "set rulebase security rules b source 10.0.0.6\n",
            "set rulebase security rules b action allow\n",
            "delete rulebase security rules a\n",
            "move rulebase security rules b top\n",
            "user@fw# \n",
        ]
        .concat(),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.6 192.0.2.1 tcp 80", "allow b"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80", "deny c"),
        ],
    );
}

#[test]
fn an_interface_without_zone_passes_nothing() {
    let config = with_network(
        &("set network interface ethernet ethernet1/4 layer3 ip 10.4.0.1/24\n\
           set network virtual-router default interface ethernet1/4\n"
            .to_owned()
            + &rule("all", "action allow")),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.5 10.4.0.5 tcp 80", "deny no-egress-zone"),
            ("(no-zone) 10.4.0.5 10.0.0.5 tcp 80", "deny no-ingress-zone"),
        ],
    );
}

#[test]
fn a_virtual_wire_forwards_to_its_other_side() {
    let config = "
set network interface ethernet ethernet1/1 virtual-wire
set network interface ethernet ethernet1/2 virtual-wire
set network virtual-wire w interface1 ethernet1/1
set network virtual-wire w interface2 ethernet1/2
set zone left network virtual-wire ethernet1/1
set zone right network virtual-wire ethernet1/2
"
    .to_owned()
        + &rule("through", "from left to right action allow");
    let firewall = linked(&config).0.unwrap();
    let ingress = firewall.interface_named("ethernet1/1");
    let egress = firewall.route(ingress, "192.0.2.1".parse().unwrap());
    assert_eq!(egress, firewall.interface_named("ethernet1/2"));
}

#[test]
fn what_is_not_modelled_is_named_and_doubted() {
    for (fields, code) in [
        ("hip-profiles laptops action allow", "unsupported host-information"),
        ("source-user known-user action allow", "unsupported source-user"),
        ("action allow colour blue", "unsupported unknown-element"),
        ("application saas action allow", "unsupported application-filter"),
    ] {
        let config = with_network(&rule("x", fields))
            + "set application-filter saas risk 5\n\
               set zone trust enable-user-identification yes\n";
        check_problems(&config, &[code]);
        let firewall = linked(&config).0.unwrap();
        let found = judge(&firewall, "trust 10.0.0.5 192.0.2.1 tcp 80");
        assert_eq!(found, "unknown x", "{fields}");
    }
}

/// The profiles the rule `x` applies, with what they say as far as that is known.
fn profiles(config: &str) -> Vec<(String, Option<String>)> {
    let firewall = linked(config).0.unwrap();
    let rule = firewall.rules.iter().find(|rule| &*rule.name == "x").unwrap();
    let said = |name: &str| firewall.profiles.iter().find(|it| it.name == name);
    let found = rule.profiles.iter();
    found.map(|name| (name.to_string(), said(name).map(|it| it.definition.clone()))).collect()
}

#[test]
fn a_profile_is_what_it_says_and_a_group_its_members() {
    let listed = rule("x", "action allow profile-setting profiles virus av");
    let grouped =
        rule("x", "action allow profile-setting group all") + "set profile-group all virus av\n";
    let strict = "set profiles virus av decoder http action drop\n\
                  set profiles virus av decoder [ smtp imap ] action alert\n";
    let reordered = "set profiles virus av description old\n\
                     set profiles virus av decoder [ imap smtp ] action alert\n\
                     set profiles virus av decoder http action drop\n";
    let lax = strict.replace("drop", "alert");
    let of =
        |rules: &str, profiles: &str| self::profiles(&with_network(&format!("{rules}{profiles}")));
    let expected = of(&listed, strict);
    assert!(matches!(&expected[..], [(name, Some(_))] if name == "virus/av"), "{expected:?}");
    assert_eq!(of(&grouped, strict), expected);
    assert_eq!(of(&listed, reordered), expected);
    assert_ne!(of(&listed, &lax), expected);
    assert_eq!(of(&listed, ""), [("virus/av".to_owned(), None)]);
    let none = rule("x", "action allow profile-setting group none");
    assert_eq!(of(&none, strict), []);
    let unknown = rule("x", "action allow profile-setting group strict");
    assert_eq!(of(&unknown, strict), [("strict".to_owned(), None)]);
}

#[test]
fn a_profile_says_what_the_lists_it_names_hold() {
    let config =
        with_network(&rule("x", "action allow profile-setting profiles url-filtering web"))
            + "set profiles url-filtering web block [ bad gambling ]\n\
           set profiles custom-url-category bad list evil.example.com\n";
    assert_eq!(
        profiles(&config),
        profiles(&config.replace("[ bad gambling ]", "[ gambling bad ]"))
    );
    assert_ne!(profiles(&config), profiles(&config.replace("evil", "nasty")));
}

#[test]
fn the_order_of_rules_in_a_profile_counts() {
    let rules = |order: [&str; 2]| {
        let rules = order.map(|it| format!("set profiles spyware s rules {it} action {it}\n"));
        let listed = rule("x", "action allow profile-setting profiles spyware s");
        profiles(&with_network(&format!("{listed}{}", rules.concat())))
    };
    assert_ne!(rules(["drop", "alert"]), rules(["alert", "drop"]));
}

#[test]
fn profiles_of_a_system_hide_shared_ones() {
    let own = "set vsys vsys1 profiles virus av decoder http action drop\n";
    let shared = "set shared profiles virus av decoder http action alert\n";
    let applied = "set vsys vsys1 rulebase security rules x from any to any source any destination any \
                   application any service any action allow profile-setting profiles virus av\n";
    let [of_own, of_shared] = [own, shared].map(|it| profiles(&format!("{applied}{it}")));
    assert_ne!(of_own, of_shared);
    assert_eq!(profiles(&format!("{applied}{shared}{own}")), of_own);
}

#[test]
fn policies_that_redirect_are_reported_and_others_are_not() {
    let config = with_network(
        "set rulebase pbf rules p action forward\n\
         set rulebase decryption rules d action decrypt\n\
         set rulebase decryption rules n action no-decrypt\n\
         set rulebase application-override rules o port 80\n\
         set rulebase qos rules q action class 1\n\
         set rulebase gizmo rules g\n",
    );
    check_problems(
        &config,
        &[
            "unsupported policy-based-forwarding",
            "unsupported decryption",
            "unsupported application-override",
            "unsupported unknown-element",
        ],
    );
}

#[test]
fn what_the_device_itself_answers_is_kept() {
    let own = |text: &str| {
        let (firewall, problems) = panos::read(Source::new("fw", text));
        assert!(!problems.has_errors(), "{problems:?}");
        let lines = firewall.unwrap().own_traffic.into_iter();
        lines.map(|line| line.value).collect::<Vec<_>>()
    };
    let text = "set network profiles interface-management-profile admin ssh yes\n\
        set network profiles interface-management-profile admin ping yes\n\
        set network profiles interface-management-profile admin http no\n\
        set network profiles interface-management-profile admin permitted-ip 10.0.0.0/8\n\
        set network interface ethernet ethernet1/1 layer3 interface-management-profile admin\n\
        set network interface ethernet ethernet1/2 layer3 units ethernet1/2.5 \
        interface-management-profile none-such\n\
        set network interface loopback interface-management-profile admin\n\
        set deviceconfig system permitted-ip 10.1.0.0/16\n\
        set deviceconfig system service disable-telnet yes\n";
    let answers = "answers \"permitted-ip\" {\"10.0.0.0/8\"} \"ping\" {\"yes\"} \"ssh\" {\"yes\"}";
    let expected = [
        format!("ethernet1/1 {answers}"),
        "ethernet1/2.5 answers none-such".to_owned(),
        format!("loopback {answers}"),
        "management \"permitted-ip\" {\"10.1.0.0/16\"}".to_owned(),
        "management \"service\" {\"disable-telnet\" {\"yes\"}}".to_owned(),
    ];
    assert_eq!(own(text), expected);
    let lines: Vec<&str> = text.lines().rev().collect();
    assert_eq!(own(&lines.join("\n")), expected, "whatever the order");
}

#[test]
fn what_a_device_would_refuse_is_an_error() {
    for (config, expected) in [
        (rule("x", "source nobody action allow"), "error unknown-object"),
        (rule("x", "from nowhere action allow"), "error unknown-zone"),
        (rule("x", "service tcp-1 action allow"), "error unknown-service"),
        ("set address a ip-range 10.0.0.2-10.0.0.1\n".to_owned(), "error bad-address"),
        ("set service s protocol tcp port 99999\n".to_owned(), "error bad-port"),
        ("set address a fqdn \"unterminated\n".to_owned(), "error unterminated-string"),
    ] {
        let (_, problems) = linked(&with_network(&config));
        assert!(codes(&problems).iter().any(|code| code == expected), "{config}: {problems:#?}");
    }
}

#[test]
fn an_entry_with_an_empty_name_is_read_and_told() {
    let config = "<config><devices><entry name=\"d\"><vsys><entry name=\"vsys1\"><address>\
        <entry name=\"\"><ip-netmask>192.0.2.0/24</ip-netmask></entry></address>\
        </entry></vsys></entry></devices></config>";
    assert_eq!(codes(&linked(config).1), ["suspicious empty-name"]);
}

#[test]
fn broken_documents_are_refused_with_their_place() {
    let deep = "<a>".repeat(100) + &"</a>".repeat(100);
    let bomb = "<!DOCTYPE x [<!ENTITY a \"b\">]>\n<config>&a;</config>";
    for (text, code, start) in [
        ("<config>\n<shared></config>", "error syntax", 17),
        (bomb, "error syntax", 0),
        (deep.as_str(), "error nesting-too-deep", 192),
        ("config {\n  shared {\n", "error unbalanced-brace", 11),
        ("config {\n} }\n", "error unbalanced-brace", 11),
        ("config {\n  address [ a\n", "error syntax", 19),
    ] {
        let (firewall, problems) = linked(text);
        assert!(firewall.is_none());
        assert_eq!(codes(&problems), [code], "{text}");
        let at = problems.iter().next().and_then(|it| it.at).unwrap();
        assert_eq!(at.start, start, "{text}");
    }
}

#[test]
fn dynamic_groups_hold_tagged_objects_and_what_is_registered_later() {
    let config = with_network(
        &("set address w1 ip-netmask 192.0.2.1\nset address w1 tag web\n\
           set address w2 ip-netmask 192.0.2.2\nset address w2 tag [ web old ]\n\
           set address-group g dynamic filter \"'web' and 'old'\"\n"
            .to_owned()
            + &rule("tagged", "destination g action allow")),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.5 192.0.2.2 tcp 80", "allow tagged"),
            ("trust 10.0.0.5 192.0.2.1 tcp 80", "unknown tagged"),
        ],
    );
}

#[test]
fn timers_and_state_policy_are_read() {
    let config = with_network(
        "set deviceconfig setting session timeout-tcp 1800\n\
         set deviceconfig setting session timeout-udp 60\n\
         set deviceconfig setting session tcp-reject-non-syn no\n\
         set deviceconfig setting tcp asymmetric-path bypass\n",
    );
    let behaviour = linked(&config).0.unwrap().behaviour;
    assert_eq!(behaviour.timers.tcp_established.as_secs(), 1800);
    assert_eq!(behaviour.timers.udp_stream.as_secs(), 60);
    assert!(behaviour.tcp_loose && behaviour.tcp_asymmetric);
}

#[test]
fn gateways_that_are_switched_off_expect_nothing() {
    let behaviour = |rest: &str| linked(&with_network(rest)).0.unwrap().behaviour;
    let plain = behaviour("");
    assert!(plain.expect_sip && plain.expect_ftp);
    let off = "set shared alg-override application sip alg-disabled yes\n";
    let switched = behaviour(off);
    assert!(!switched.expect_sip && switched.expect_ftp);
    assert!(behaviour(&off.replace("yes", "no")).expect_sip);
    assert!(!behaviour(&off.replace("shared ", "")).expect_sip);
}

#[test]
fn sections_that_change_what_happens_are_named_wherever_they_stand() {
    for section in [
        "threats vulnerability 41000 severity high",
        "dynamic-user-group risky filter tag",
        "application-status ssl disabled",
    ] {
        for place in ["", "shared ", "vsys vsys1 "] {
            let problems = linked(&format!("set {place}{section}\n")).1;
            let found = codes(&problems);
            assert!(
                found.contains(&"unsupported not-modelled".to_owned()),
                "{place}{section} {found:?}"
            );
        }
    }
    let unknown = codes(&linked("set shared gizmo on\n").1);
    assert!(unknown.contains(&"unsupported unknown-section".to_owned()), "{unknown:?}");
}

#[test]
fn a_rule_cites_every_line_that_states_it() {
    let text = "set rulebase security rules a from any\nset rulebase security rules a to any\n";
    let (firewall, _) = panos::read(Source::new("fw", text));
    let at = firewall.unwrap().rule_bases[0].rules[0].at;
    assert_eq!((at.start, at.end), (0, text.len() as u32 - 1));
}

proptest! {
    #[test]
    fn no_text_stops_the_import(text in any::<String>()) {
        linked(&text);
    }

    #[test]
    fn no_sequence_of_words_stops_the_import(
        form in prop::sample::select(vec!["set ", "config { ", "<config>"]),
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 0..60),
    ) {
        let text = form.to_owned() + &words.join(" ");
        let (firewall, problems) = linked(&text);
        prop_assert!(firewall.is_some() || problems.has_errors());
    }

    #[test]
    fn no_cut_of_a_configuration_stops_the_import(at in 0_usize..2000) {
        let config = with_network(&rule("web", "service service-http action allow"));
        linked(config.get(..at).unwrap_or(&config));
    }
}

const WORDS: &[&str] = &[
    "set",
    "delete",
    "move",
    "\n",
    "\nset",
    "[",
    "]",
    "{",
    "}",
    ";",
    "\"",
    "'",
    "any",
    "rulebase",
    "security",
    "nat",
    "rules",
    "r",
    "from",
    "to",
    "source",
    "destination",
    "service",
    "application",
    "address",
    "address-group",
    "static",
    "a",
    "b",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.1-10.0.0.9",
    "ip-netmask",
    "vsys",
    "vsys1",
    "shared",
    "zone",
    "network",
    "layer3",
    "external",
    "interface",
    "ethernet",
    "ethernet1/1",
    "virtual-wire",
    "device-group",
    "pre-rulebase",
    "parent-dg",
    "top",
    "before",
    "tag",
    "dynamic",
    "filter",
    "source-translation",
    "static-ip",
    "translated-address",
    "bi-directional",
    "yes",
    "protocol",
    "tcp",
    "port",
    "80",
    "schedule",
    "schedule-type",
    "daily",
    "<entry name=\"a\">",
    "</entry>",
    "<member>",
    "</member>",
    "</config>",
    "<shared>",
    "</shared>",
];
