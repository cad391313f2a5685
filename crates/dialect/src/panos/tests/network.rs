//! Where parts of a configuration stand, networks and device settings.

use super::{check, check_problems, codes, judge, link, linked, panos, rule, with_network};
use parefeu_policy::{LinkedFirewall, Source, Span};

/// The firewall of one device group of a Panorama.
fn linked_group(config: &str, group: &str) -> LinkedFirewall {
    let (firewall, mut problems) = panos::read_group(Source::new("fw", config), Some(group));
    let firewall = firewall.and_then(|firewall| link(&firewall, &mut problems));
    assert!(problems.is_empty(), "{problems:#?}");
    firewall.unwrap()
}

fn problems(config: &str) -> Vec<String> {
    codes(&linked(config).1)
}

/// The answer of a firewall that may have problems.
fn answer(config: &str, flow: &str) -> String {
    judge(&linked(config).0.unwrap(), flow)
}

/// A text without the lines that hold a word.
fn without_lines(text: &str, word: &str) -> String {
    let kept: Vec<&str> = text.split_inclusive('\n').filter(|line| !line.contains(word)).collect();
    kept.concat()
}

#[test]
fn what_panorama_pushed_to_a_system_surrounds_its_rules() {
    let pushed = |section: &str, name: &str, fields: &str| {
        rule(name, fields)
            .replace("set rulebase", &format!("set panorama vsys vsys1 {section}-rulebase"))
    };
    let nat = "set panorama vsys vsys1 pre-rulebase nat rules hide from any to untrust source any \
               destination any service any\n\
               set panorama vsys vsys1 pre-rulebase nat rules hide source-translation \
               dynamic-ip-and-port translated-address pool\n\
               set panorama vsys vsys1 address pool ip-netmask 203.0.113.9\n\
               set panorama vsys vsys1 address web ip-netmask 192.0.2.1\n";
    let config = with_network(
        &[
            &pushed("post", "last", "to untrust action allow"),
            &rule("own", "destination web action deny"),
            &pushed("pre", "first", "destination web service service-https action allow"),
            nat,
        ]
        .concat(),
    );
    check(
        &config,
        &[
            ("trust 10.0.0.5 192.0.2.1 tcp 443", "allow first as 203.0.113.9 > 192.0.2.1:443"),
            ("trust 10.0.0.5 192.0.2.1 tcp 22", "deny own as 203.0.113.9 > 192.0.2.1:22"),
            ("trust 10.0.0.5 192.0.2.2 tcp 22", "allow last as 203.0.113.9 > 192.0.2.2:22"),
        ],
    );
    check_problems("set panorama log-settings x\n", &[]);
    check_problems("set panorama gizmo x\n", &["unsupported unknown-section"]);
}

#[test]
fn what_panorama_pushed_to_one_system_stays_there() {
    let config = "
set network interface ethernet ethernet1/1 layer3 ip 10.1.0.1/24
set network interface ethernet ethernet1/2 layer3 ip 10.2.0.1/24
set network virtual-router r interface [ ethernet1/1 ethernet1/2 ]
set vsys vsys1 zone one network layer3 ethernet1/1
set vsys vsys2 zone two network layer3 ethernet1/2
"
    .to_owned()
        + &rule("stop", "action deny")
            .replace("set rulebase", "set panorama vsys vsys2 pre-rulebase");
    check(
        &config,
        &[
            ("one 10.1.0.5 10.1.0.6 tcp 80", "allow within-vsys1"),
            ("two 10.2.0.5 10.2.0.6 tcp 80", "deny stop"),
        ],
    );
}

/// Two device groups with rules, translations and networks of their own.
fn two_groups() -> String {
    let group = |name: &str, serial: &str, out: &str| {
        let group = format!("set device-group {name}");
        let stack = format!("set template-stack S{name}");
        let template = format!("set template T{name} config");
        let rule = rule("out", "to untrust action allow")
            .replace("set rulebase", &format!("{group} pre-rulebase"));
        format!(
            "{group} devices {serial}\n{rule}\
             {group} pre-rulebase nat rules hide from trust to any source any destination any \
             service any\n\
             {group} pre-rulebase nat rules hide source-translation dynamic-ip-and-port \
             translated-address 203.0.113.{serial}\n\
             {stack} devices {serial}\n{stack} templates T{name}\n\
             {template} network interface ethernet ethernet1/1 layer3 ip 10.0.0.1/24\n\
             {template} network interface ethernet ethernet1/2 layer3 ip 203.0.113.1/24\n\
             {template} network virtual-router r interface [ ethernet1/1 ethernet1/2 ]\n\
             {template} network virtual-router r routing-table ip static-route d destination \
             0.0.0.0/0\n\
             {template} network virtual-router r routing-table ip static-route d nexthop \
             ip-address {out}\n\
             {template} vsys vsys1 zone trust network layer3 ethernet1/1\n\
             {template} vsys vsys1 zone untrust network layer3 ethernet1/2\n"
        )
    };
    group("A", "1", "203.0.113.254") + &group("B", "2", "10.0.0.254")
}

#[test]
fn a_device_group_has_its_own_translations_and_network() {
    let config = two_groups();
    let flow = "trust 10.0.0.5 192.0.2.1 tcp 80";
    let of_a = judge(&linked_group(&config, "A"), flow);
    let of_b = judge(&linked_group(&config, "B"), flow);
    assert_eq!(of_a, "allow out as 203.0.113.1 > 192.0.2.1:80");
    assert_eq!(of_b, "allow intrazone-default as 203.0.113.2 > 192.0.2.1:80");
    assert_eq!(answer(&config, flow), of_a);
    assert_eq!(problems(&config), ["unsupported several-device-groups"]);
}

#[test]
fn every_group_that_is_not_judged_is_told() {
    let group = |name: &str| {
        format!(
            "set device-group {name} pre-rulebase security rules r from any to any source any \
             destination any application any service any action allow\n\
             set device-group {name} devices {name}\n"
        )
    };
    let config = ["A", "B", "C"].map(group).concat();
    let (_, found) = linked(&config);
    let text = |at: Span| config.get(at.start as usize..at.end as usize).unwrap().to_owned();
    let places: Vec<String> = found.iter().filter_map(|it| it.at.map(text)).collect();
    assert_eq!(problems(&config), ["unsupported several-device-groups"; 2]);
    assert_eq!(places, ["B", "C"].map(|name| group(name).trim_end().to_owned()));
}

#[test]
fn sessions_are_kept_as_the_templates_set() {
    let setting = |owner: &str, rest: &str| {
        format!("set {owner} config deviceconfig setting session {rest}\n")
    };
    let config = two_groups()
        + &setting("template TA", "timeout-tcp 900")
        + &setting("template TA", "timeout-udp 90")
        + &setting("template-stack SA", "timeout-udp 45")
        + &setting("template TB", "timeout-tcp 600")
        + "set deviceconfig setting session timeout-tcp 300\n";
    let timers = |group: &str| {
        let timers = linked_group(&config, group).behaviour.timers;
        (timers.tcp_established.as_secs(), timers.udp_stream.as_secs())
    };
    assert_eq!([timers("A"), timers("B")], [(900, 45), (600, 30)]);

    let v6 = "set template TA config network interface ethernet ethernet1/N layer3 ipv6";
    let v6 = |number: &str| {
        let v6 = v6.replace('N', number);
        format!("{v6} enabled yes\n{v6} address 2001:db8:{number}::1/64\n")
    };
    let config = two_groups() + &v6("1") + &v6("2");
    let flow = "trust 2001:db8:1::5 2001:db8:2::5 tcp 80";
    let answer = |config: &str| judge(&linked_group(config, "A"), flow);
    assert_eq!(answer(&config), "allow out");
    let off = setting("template TA", "ipv6-firewalling no");
    assert_eq!(answer(&format!("{config}{off}")), "deny ipv6-is-off");
}

#[test]
fn variables_are_what_the_template_says() {
    let address = "set template TA config network interface ethernet ethernet1/1 layer3 ip";
    let plain = two_groups();
    let varied = plain.replace(&format!("{address} 10.0.0.1/24"), &format!("{address} $inside"));
    let flow = "trust 10.0.0.5 192.0.2.1 tcp 80";
    let variable = "set template TA variable $inside type ip-netmask";
    let config = format!("{varied}{variable} 10.0.0.1/24\n");
    let of_a = judge(&linked_group(&plain, "A"), flow);
    assert_eq!(judge(&linked_group(&config, "A"), flow), of_a);
    assert_eq!(problems(&config), problems(&plain));

    // One a device of the stack has of its own leaves it open what the group is given.
    let own = "set template-stack SA devices 1 variable $inside type ip-netmask 10.9.0.1/24\n";
    let config = format!("{config}{own}");
    let found = |config: &str| -> Vec<_> {
        let found = linked(config).1;
        let found = found.iter().filter(|it| it.code == "interface-address");
        found.map(|it| it.definitions.clone()).collect()
    };
    assert_eq!(found(&config).len(), 1);
    assert_ne!(found(&config), found(&config.replace("10.9.0.1", "10.8.0.1")));
}

#[test]
fn a_template_stack_comes_before_its_templates() {
    let route =
        "set template-stack SA config network virtual-router r routing-table ip static-route";
    let more = format!(
        "{route} own destination 198.51.100.0/24\n\
         {route} own nexthop ip-address 10.0.0.9\n\
         {route} d destination 0.0.0.0/0\n\
         {route} d nexthop ip-address 10.0.0.9\n\
         set template-stack SA config vsys vsys1 zone trust network layer3 ethernet1/1\n"
    );
    let flow = |address: &str| format!("trust 10.0.0.5 {address} tcp 80");
    let asked = |config: &str, address: &str| judge(&linked_group(config, "A"), &flow(address));
    let inside = "allow intrazone-default as 203.0.113.1 >";
    let config = two_groups() + &more;
    assert_eq!(asked(&config, "198.51.100.1"), format!("{inside} 198.51.100.1:80"));
    assert_eq!(asked(&config, "192.0.2.1"), format!("{inside} 192.0.2.1:80"));
    let one = without_lines(&config, "B");
    check(&one, &[(&flow("198.51.100.1"), &format!("{inside} 198.51.100.1:80"))]);
    let both = config + "set template-stack SB devices 1\n";
    assert!(problems(&both).contains(&"unsupported several-template-stacks".to_owned()));
    // The other stack and what it names, so that texts which differ there are told apart.
    let told = |config: &str| {
        let all = problems(config);
        all.iter().filter(|it| it.ends_with("several-template-stacks")).count()
    };
    let template = "set template T9 config deviceconfig system hostname other\n";
    let naming = format!("{both}{template}set template-stack SB templates T9\n");
    assert_eq!(told(&naming), told(&both) + 1);
}

#[test]
fn names_in_rules_of_an_ancestor_mean_what_they_mean_in_the_group() {
    let config = "
set device-group parent address web ip-netmask 10.0.0.1
set device-group parent address-group g static [ web other ]
set device-group child address web ip-netmask 10.0.0.2
set device-group sibling address else ip-netmask 10.0.0.9
set shared address other ip-netmask 10.0.0.3
set readonly devices localhost.localdomain device-group child parent-dg parent
set readonly devices localhost.localdomain device-group sibling parent-dg parent
"
    .to_owned()
        + &rule("web", "from a to b source web service service-http action allow")
            .replace("set rulebase", "set device-group parent pre-rulebase")
        + &rule("group", "from a to b source g action allow")
            .replace("set rulebase", "set device-group parent pre-rulebase");
    for (group, flow, expected) in [
        ("child", "a>b 10.0.0.2 192.0.2.1 tcp 80", "allow web"),
        ("child", "a>b 10.0.0.1 192.0.2.1 tcp 80", "deny interzone-default"),
        ("child", "a>b 10.0.0.2 192.0.2.1 tcp 22", "allow group"),
        ("child", "a>b 10.0.0.3 192.0.2.1 tcp 22", "allow group"),
        ("sibling", "a>b 10.0.0.1 192.0.2.1 tcp 80", "allow web"),
        ("sibling", "a>b 10.0.0.2 192.0.2.1 tcp 22", "deny interzone-default"),
    ] {
        assert_eq!(judge(&linked_group(&config, group), flow), expected, "{group}: {flow}");
    }
}

#[test]
fn systems_reach_each_other_when_both_have_an_external_zone() {
    let config = "
set network interface ethernet ethernet1/1 layer3 ip 10.1.0.1/24
set network interface ethernet ethernet1/2 layer3 ip 10.2.0.1/24
set network virtual-router r interface [ ethernet1/1 ethernet1/2 ]
set vsys vsys1 zone in network layer3 ethernet1/1
set vsys vsys1 zone to-2 network external vsys2
set vsys vsys2 zone there network layer3 ethernet1/2
"
    .to_owned()
        + &rule("out", "action allow").replace("set rulebase", "set vsys vsys1 rulebase")
        + &rule("into", "action allow").replace("set rulebase", "set vsys vsys2 rulebase");
    let flow = "in 10.1.0.5 10.2.0.5 tcp 80";
    check(&config, &[(flow, "deny not-visible-from-vsys1")]);
    let both = config + "set vsys vsys2 zone from-1 network external vsys1\n";
    check(&both, &[(flow, "allow into")]);
    let imports = both + "set vsys vsys1 import network interface ethernet1/1\n";
    check_problems(&imports, &["unsupported visible-vsys"]);
    check_problems(&(imports + "set vsys vsys1 import visible-vsys vsys2\n"), &[]);
}

const MORE: &str = "set network virtual-router default routing-table ip static-route";

/// A second route, to 198.51.100.0/24 by the zone `dmz`, with more of its fields.
fn second_route(fields: &[&str]) -> String {
    let fields =
        ["destination 198.51.100.0/24", "nexthop ip-address 10.7.0.9"].iter().chain(fields);
    let route: Vec<String> = fields.map(|field| format!("{MORE} r2 {field}\n")).collect();
    with_network(&(route.concat() + &rule("out", "to untrust action allow")))
}

#[test]
fn routes_that_are_not_installed_lead_nowhere() {
    let flow = "trust 10.0.0.5 198.51.100.1 tcp 80";
    for (field, expected) in [
        ("metric 10", "deny interzone-default"),
        ("route-table unicast", "deny interzone-default"),
        ("route-table both", "deny interzone-default"),
        ("route-table multicast", "allow out"),
        ("route-table no-install", "allow out"),
        ("option no-install", "allow out"),
    ] {
        check(&second_route(&[field]), &[(flow, expected)]);
    }
    check_problems(&second_route(&["gizmo on"]), &["unsupported unknown-element"]);
}

#[test]
fn routes_that_are_monitored_are_named() {
    for fields in [["path-monitor enable yes", "bfd profile None"], ["metric 5", "bfd profile b"]] {
        check_problems(&second_route(&fields), &["unsupported monitored-route"]);
    }
    check_problems(&second_route(&["path-monitor enable no"]), &[]);
}

#[test]
fn a_router_has_a_distance_for_routes_without_one() {
    let routes = |router: &str| {
        with_network(&format!(
            "{MORE} d admin-dist 50\n{MORE} other destination 0.0.0.0/0\n\
             {MORE} other nexthop ip-address 10.7.0.9\n{router}{}",
            rule("out", "to untrust action allow")
        ))
    };
    let flow = "trust 10.0.0.5 192.0.2.1 tcp 80";
    check(&routes(""), &[(flow, "deny interzone-default")]);
    let router = "set network virtual-router default admin-dists static 100\n";
    check(&routes(router), &[(flow, "allow out")]);
    check(&routes(&router.replace("static", "static-ipv6")), &[(flow, "deny interzone-default")]);
}

#[test]
fn which_of_equal_routes_is_taken_is_not_known() {
    let second =
        format!("{MORE} other destination 0.0.0.0/0\n{MORE} other nexthop ip-address 10.7.0.9\n");
    let with = |rules: &str| with_network(&(second.clone() + rules));
    let to_one = with(&rule("out", "to untrust action allow"));
    check_problems(&to_one, &["unsupported equal-routes"]);
    for (rules, flow, expected) in [
        (rule("out", "to untrust action allow"), "trust 10.0.0.5 192.0.2.1 tcp 80", "unknown out"),
        (
            rule("out", "to untrust action allow"),
            "trust 10.0.0.5 10.7.0.5 tcp 80",
            "deny interzone-default",
        ),
        (
            rule("out", "to [ untrust dmz ] action allow"),
            "trust 10.0.0.5 192.0.2.1 tcp 80",
            "allow out",
        ),
        (rule("out", "action allow"), "trust 10.0.0.5 192.0.2.1 tcp 80", "allow out"),
        (String::new(), "trust 10.0.0.5 192.0.2.1 tcp 80", "deny interzone-default"),
        (String::new(), "dmz 10.7.0.5 192.0.2.1 tcp 80", "unknown intrazone-default"),
        (
            rule("x", "rule-type interzone action allow"),
            "trust 10.0.0.5 192.0.2.1 tcp 80",
            "allow x",
        ),
        (
            rule("x", "rule-type interzone action allow") + &rule("y", "action deny"),
            "dmz 10.7.0.5 192.0.2.1 tcp 80",
            "unknown x",
        ),
        (
            rule("x", "rule-type interzone from trust action allow") + &rule("y", "action deny"),
            "dmz 10.7.0.5 192.0.2.1 tcp 80",
            "deny y",
        ),
    ] {
        assert_eq!(answer(&with(&rules), flow), expected, "{rules}{flow}");
    }
    let alike = to_one.replace("set zone dmz network", "set zone untrust network");
    check(&alike, &[("trust 10.0.0.5 192.0.2.1 tcp 80", "allow out")]);
    let told = "set rulebase nat rules n from any to any to-interface ethernet1/2 source any \
                destination any service any\n";
    check_problems(&(alike + told), &["unsupported equal-routes"]);
}

#[test]
fn a_translation_depends_on_the_route_that_is_taken() {
    let config = with_network(
        &(format!(
            "{MORE} other destination 0.0.0.0/0\n{MORE} other nexthop ip-address 10.7.0.9\n\
             set rulebase nat rules hide from trust to untrust source any destination any service \
             any\n\
             set rulebase nat rules hide source-translation dynamic-ip-and-port \
             translated-address 203.0.113.9\n"
        ) + &rule("out", "action allow")),
    );
    let firewall = linked(&config).0.unwrap();
    let unknown = |it: &&parefeu_policy::LinkedNatRule| !it.matches.atoms.is_empty();
    assert_eq!(firewall.source_nat.rules.iter().filter(unknown).count(), 1);
    assert_eq!(firewall.source_nat.rules.len(), 2);
}

/// The first interface with an address given at run time, and a static default route elsewhere.
fn leased(lease: &str, metric: u32) -> String {
    with_network(&rule("out", "to untrust action allow"))
        .replace("layer3 ip 203.0.113.1/24", lease)
        .replace("nexthop ip-address 203.0.113.254", "nexthop ip-address 10.7.0.9")
        + &format!("{MORE} d metric {metric}\n")
}

#[test]
fn a_default_route_given_at_run_time_may_be_the_one_in_use() {
    let address = "unsupported run-time-address".to_owned();
    let equal = "unsupported equal-routes".to_owned();
    let flow = "trust 10.0.0.5 192.0.2.1 tcp 80";
    for kind in ["dhcp-client", "pppoe"] {
        let lease = |fields: &str| format!("layer3 {kind} {fields}");
        for (fields, metric, expected, doubtful) in [
            ("default-route-metric 5", 100, "unknown out", true),
            ("default-route-metric 10", 10, "unknown out", true),
            ("enable yes", 10, "unknown out", true),
            ("default-route-metric 100", 10, "deny interzone-default", false),
            ("create-default-route no", 100, "deny interzone-default", false),
        ] {
            let config = leased(&lease(fields), metric);
            assert_eq!(answer(&config, flow), expected, "{kind} {fields}");
            let found = problems(&config);
            assert!(found.contains(&address), "{kind} {fields}: {found:?}");
            assert_eq!(found.contains(&equal), doubtful, "{kind} {fields}: {found:?}");
        }
        let alone = without_lines(&leased(&lease("enable yes"), 10), "static-route");
        assert_eq!(answer(&alone, flow), "allow out");
        assert_eq!(problems(&leased(&lease("enable no"), 10)), Vec::<String>::new());
    }
}

#[test]
fn protocols_that_learn_routes_are_named() {
    let vrf = "set network logical-router default vrf default";
    let config = |field: &str| format!("{vrf} interface ethernet1/1\n{vrf} {field}\n");
    for field in ["bgp enable yes", "ospf router-id 192.0.2.1", "rip enable yes"] {
        check_problems(&config(field), &["unsupported dynamic-routing"]);
    }
    check_problems(&config("bgp enable no"), &[]);
    check_problems(&config("rib-filter ipv4 static route-map m"), &["unsupported route-filter"]);
    check_problems(&config("gizmo on"), &["unsupported unknown-element"]);
}

#[test]
fn the_device_has_routes_to_clients_of_its_gateways() {
    let client = "set global-protect global-protect-gateway gw";
    let config = |pool: &str| {
        with_network(
            &(format!(
                "set network interface tunnel units tunnel.1\n\
                 set network virtual-router default interface tunnel.1\n\
                 set zone vpn network layer3 tunnel.1\n\
                 set network tunnel global-protect-gateway gw-N tunnel-interface tunnel.1\n\
                 {client} remote-user-tunnel gw-N\n\
                 {client} remote-user-tunnel-configs c ip-pool {pool}\n"
            ) + &rule("clients", "to vpn action allow")
                + &rule("out", "to untrust action allow")),
        )
    };
    for pool in ["10.200.0.0/24", "10.200.0.1-10.200.0.20"] {
        check(
            &config(pool),
            &[
                ("trust 10.0.0.5 10.200.0.5 tcp 80", "allow clients"),
                ("trust 10.0.0.5 10.200.1.5 tcp 80", "allow out"),
            ],
        );
    }
    check_problems(&config("$pool"), &["unsupported interface-address"]);
}

#[test]
fn an_interface_that_is_switched_off_has_neither_routes_nor_traffic() {
    let config = with_network(
        &(format!(
            "{MORE} r2 destination 198.51.100.0/24\n{MORE} r2 nexthop ip-address 10.7.0.9\n\
             {MORE} r3 destination 198.51.100.0/25\n{MORE} r3 interface ethernet1/3.7\n"
        ) + &rule("out", "to untrust action allow")
            + &rule("all", "action deny")),
    );
    let down = config.clone() + "set network interface ethernet ethernet1/3 link-state down\n";
    for address in ["10.7.0.5", "198.51.100.1", "198.51.100.200"] {
        let flow = format!("trust 10.0.0.5 {address} tcp 80");
        check(&config, &[(&flow, "deny all")]);
        check(&down, &[(&flow, "allow out")]);
    }
    check(&config, &[("dmz 10.7.0.5 192.0.2.1 tcp 80", "allow out")]);
    check(&down, &[("dmz 10.7.0.5 192.0.2.1 tcp 80", "deny ingress-is-down")]);
}

#[test]
fn an_interface_has_ipv6_addresses_where_ipv6_is_switched_on() {
    let v6 = "set network interface ethernet ethernet1/3 layer3 units ethernet1/3.7 ipv6";
    let config = |fields: &str| {
        with_network(
            &(format!("{v6} address 2001:db8:7::1/64{fields}\n")
                + &rule("in", "to dmz action allow")),
        )
    };
    let routed = |config: &str| {
        let firewall = linked(config).0.unwrap();
        firewall.route(None, "2001:db8:7::5".parse().unwrap()).is_some()
    };
    let on = format!("\n{v6} enabled yes");
    assert!(routed(&config(&on)));
    assert!(!routed(&config(&on.replace("yes", "no"))));
    assert!(!routed(&config(&format!(" enable-on-interface no{on}"))));
    assert!(!routed(&config("")));
    check_problems(&config(&on), &[]);
    check_problems(&config(""), &["unsupported ipv6-not-enabled"]);
}

#[test]
fn ipv6_that_is_switched_off_does_not_pass() {
    let off = "set deviceconfig setting session ipv6-firewalling no\n";
    let config = with_network(&(off.to_owned() + &rule("all", "action allow")));
    let v6 = "trust>untrust 2001:db8:1::5 2001:db8:2::5 tcp 80";
    check(&config, &[(v6, "deny ipv6-is-off"), ("trust 10.0.0.5 192.0.2.1 tcp 80", "allow all")]);
    check(&config.replace("firewalling no", "firewalling yes"), &[(v6, "allow all")]);
}

const WIRE: &str = "
set network interface ethernet ethernet1/1 virtual-wire
set network interface ethernet ethernet1/2 virtual-wire
set network virtual-wire w interface1 ethernet1/1
set network virtual-wire w interface2 ethernet1/2
set zone left network virtual-wire ethernet1/1
set zone right network virtual-wire ethernet1/2
";

/// The answer to a packet that enters a virtual wire on its left side.
fn through_the_wire(config: &str, dst: &str) -> String {
    let firewall = linked(config).0.unwrap();
    let ingress = firewall.interface_named("ethernet1/1");
    let dst = dst.parse().unwrap();
    let key = parefeu_policy::PacketKey {
        ingress,
        egress: None,
        from: None,
        to: None,
        src: dst,
        dst,
        protocol: parefeu_net::Protocol::UDP,
        src_port: 40_000,
        dst_port: 5000,
        icmp: None,
        tcp_flags: None,
        state: parefeu_policy::ConnectionState::New,
        device: None,
        time: parefeu_net::Timestamp::EPOCH,
    };
    let nothing = parefeu_policy::Knowledge::NOTHING;
    let judgement = parefeu_policy::reference::judge(&firewall, &key, &nothing);
    match judgement.evaluation.answer() {
        parefeu_policy::Answer::Certain(hit) => {
            hit.rule.map_or("default".to_owned(), |id| firewall.rule(id).name.to_string())
        }
        other => format!("{other:?}").split('(').next().unwrap_or_default().to_owned(),
    }
}

#[test]
fn multicast_crosses_a_virtual_wire_unless_rules_are_asked() {
    let config = WIRE.to_owned() + &rule("stop", "action deny");
    for address in ["239.1.1.1", "ff0e::1"] {
        assert_eq!(through_the_wire(&config, address), "multicast-across-w");
    }
    assert_eq!(through_the_wire(&config, "192.0.2.1"), "stop");
    let asked = config + "set network virtual-wire w multicast-firewalling enable yes\n";
    assert_eq!(through_the_wire(&asked, "239.1.1.1"), "stop");
}

#[test]
fn what_a_virtual_wire_makes_of_tags_and_of_ipv6_switched_off_is_named() {
    let tags = |tags: &str| format!("{WIRE}set network virtual-wire w tag-allowed {tags}\n");
    check_problems(&tags("0"), &[]);
    check_problems(&tags("0-4094"), &["unsupported virtual-wire-tags"]);
    let gizmo = WIRE.to_owned() + "set network virtual-wire w gizmo on\n";
    check_problems(&gizmo, &["unsupported unknown-element"]);
    let off = WIRE.to_owned() + "set deviceconfig setting session ipv6-firewalling no\n";
    check_problems(&off, &["unsupported ipv6-firewalling"]);
    assert_eq!(through_the_wire(&off, "2001:db8::1"), "Unknown");
    assert_eq!(through_the_wire(&off, "192.0.2.1"), "interzone-default");
}

#[test]
fn a_wire_with_a_side_that_is_switched_off_leads_nowhere() {
    let down = WIRE.to_owned() + "set network interface ethernet ethernet1/2 link-state down\n";
    let route = |config: &str| {
        let firewall = linked(config).0.unwrap();
        let ingress = firewall.interface_named("ethernet1/1");
        firewall.route(ingress, "192.0.2.1".parse().unwrap()).is_some()
    };
    assert!(route(WIRE));
    assert!(!route(&down));
}

#[test]
fn settings_nobody_knows_are_named() {
    for setting in
        ["session gizmo on", "tcp gizmo on", "gizmo on", "management objects-precedence yes"]
    {
        let found = problems(&format!("set deviceconfig setting {setting}\n"));
        assert_eq!(found.len(), 1, "{setting}: {found:?}");
    }
    for setting in ["session offload no", "tcp urgent-data clear", "management hostname x"] {
        check_problems(&format!("set deviceconfig setting {setting}\n"), &[]);
    }
    let interface = with_network("set network interface ethernet ethernet1/1 layer3 gizmo on\n");
    check_problems(&interface, &["unsupported unknown-element"]);
}
