//! Rules, zones, translations and objects, and the policies that come before the rules.

use parefeu_policy::{Names, Source};

use crate::panos;

use super::{check, check_problems, judge, linked, rule, with_network};

const WEB: &str = "trust 10.0.0.5 192.0.2.1 tcp 443";

fn allowing(rest: &str) -> String {
    with_network(&format!("{}{rest}", rule("x", "from trust action allow")))
}

/// The problems of a configuration, and what it makes of flows.
#[track_caller]
fn check_both(config: &str, problems: &[&str], flows: &[(&str, &str)]) {
    check_problems(config, problems);
    let firewall = linked(config).0.unwrap();
    for (flow, expected) in flows {
        assert_eq!(judge(&firewall, flow), *expected, "{flow}\n{config}");
    }
}

/// The conditions that are not modelled, by their texts.
fn conditions(config: &str) -> Vec<String> {
    let firewall = linked(config).0.unwrap();
    firewall.atoms.iter().map(|atom| atom.text.to_string()).collect()
}

#[test]
fn forwarding_and_protection_that_discard_come_before_the_rules() {
    let config = allowing(
        "set rulebase pbf rules spared from zone trust\n\
         set rulebase pbf rules spared source 10.0.0.7\n\
         set rulebase pbf rules spared action no-pbf\n\
         set rulebase pbf rules hole from zone trust\n\
         set rulebase pbf rules hole destination 192.0.2.0/24\n\
         set rulebase pbf rules hole service any\n\
         set rulebase pbf rules hole action discard\n\
         set rulebase dos rules mail from zone any\n\
         set rulebase dos rules mail to zone untrust\n\
         set rulebase dos rules mail service smtp action deny\n\
         set service smtp protocol tcp port 25\n",
    );
    check(
        &config,
        &[
            (WEB, "deny policy-based forwarding hole"),
            ("trust 10.0.0.7 192.0.2.1 tcp 443", "allow x"),
            ("trust 10.0.0.5 198.51.100.1 tcp 443", "allow x"),
            ("trust 10.0.0.7 192.0.2.1 tcp 25", "deny DoS protection mail"),
        ],
    );
}

#[test]
fn a_discard_is_doubtful_where_destinations_are_translated() {
    let config = allowing(
        "set rulebase pbf rules hole from zone trust\n\
         set rulebase pbf rules hole destination 192.0.2.0/24\n\
         set rulebase pbf rules hole action discard\n\
         set rulebase nat rules in from untrust to untrust source any destination 203.0.113.9\n\
         set rulebase nat rules in service any\n\
         set rulebase nat rules in destination-translation translated-address 10.7.0.10\n",
    );
    let expected = "unknown policy-based forwarding hole";
    check_both(&config, &["unsupported policy-based-forwarding"], &[(WEB, expected)]);
}

#[test]
fn what_a_policy_before_the_rules_leads_to_is_unknown() {
    for (policy, code, found, untouched) in [
        (
            "set rulebase pbf rules p from zone trust\n\
             set rulebase pbf rules p destination 192.0.2.0/24\n\
             set rulebase pbf rules p action forward egress-interface ethernet1/3.7\n",
            "policy-based-forwarding",
            "unknown policy-based forwarding p",
            "trust 10.0.0.5 198.51.100.1 tcp 443",
        ),
        (
            "set rulebase authentication rules p from trust to any source any destination any\n\
             set rulebase authentication rules p service service-https\n\
             set rulebase authentication rules p authentication-enforcement default-web-form\n",
            "authentication-policy",
            "unknown authentication p",
            "trust 10.0.0.5 192.0.2.1 tcp 80",
        ),
        (
            "set rulebase application-override rules p from any to any source any\n\
             set rulebase application-override rules p destination any protocol tcp port 443\n\
             set rulebase application-override rules p application web-browsing\n",
            "application-override",
            "unknown application override p",
            "trust 10.0.0.5 192.0.2.1 udp 443",
        ),
        (
            "set rulebase tunnel-inspect rules p from trust to any source any destination any\n\
             set rulebase tunnel-inspect rules p application vxlan\n\
             set rulebase tunnel-inspect rules p inspect-options drop-over-max yes\n\
             set rulebase application-override rules o disabled yes\n",
            "tunnel-inspection",
            "unknown tunnel inspection p",
            "trust 10.0.0.5 192.0.2.1 tcp 4789",
        ),
    ] {
        let config = allowing(policy);
        let port = if code == "tunnel-inspection" { "udp 4789" } else { "tcp 443" };
        let touched = format!("trust 10.0.0.5 192.0.2.1 {port}");
        let flows = [(touched.as_str(), found), (untouched, "allow x")];
        check_both(&config, &[&format!("unsupported {code}")], &flows);
        let disabled = format!(
            "{policy}{} disabled yes\n",
            policy.split_once(" p ").unwrap().0.to_owned() + " p"
        );
        check(&allowing(&disabled), &[(touched.as_str(), "allow x")]);
    }
}

#[test]
fn policies_that_spare_packets_change_nothing() {
    let config = allowing(
        "set rulebase authentication rules a from any to any source any destination any\n\
         set rulebase authentication rules a service any\n\
         set rulebase authentication rules a authentication-enforcement default-no-captive-portal\n\
         set rulebase dos rules d from zone any\n\
         set rulebase dos rules d action protect\n\
         set rulebase tunnel-inspect rules t application gre\n\
         set rulebase tunnel-inspect rules t inspect-options drop-over-max no\n",
    );
    check(&config, &[(WEB, "allow x")]);
}

#[test]
fn where_forwarding_leads_depends_on_all_rules() {
    let forwarding = "set rulebase pbf rules p from zone trust\n\
                      set rulebase pbf rules p action forward egress-interface ethernet1/3.7\n";
    let one = conditions(&allowing(forwarding));
    assert_eq!(one.len(), 2, "{one:?}");
    assert_eq!(conditions(&allowing(forwarding)), one);
    let guarded = rule("guard", "to dmz action deny");
    let other = conditions(&allowing(&format!("{forwarding}{guarded}")));
    assert!(one.iter().all(|text| !other.contains(text)), "{one:?} {other:?}");
    let renamed = forwarding.replace("rules p", "rules q");
    let elsewhere = conditions(&allowing(&renamed.replace("ethernet1/3.7", "ethernet1/2")));
    assert!(one.iter().all(|text| !elsewhere.contains(text)), "{one:?} {elsewhere:?}");
}

/// The three rules of the knowledge base article the module cites, the last one refusing.
fn wildcards(rest: &str) -> String {
    let rules = [
        rule("a", "from trust source wa action allow"),
        rule("b", "from trust source wb action allow"),
        rule("c", "from trust source wc action deny"),
    ];
    with_network(&format!(
        "{}set address wa ip-wildcard 10.128.0.1/0.127.0.0\n\
         set address wb ip-wildcard 10.128.0.1/0.127.255.0\n\
         set address wc ip-wildcard 10.128.0.1/0.15.255.0\n{rest}",
        rules.concat()
    ))
}

#[test]
fn a_longer_wildcard_elsewhere_makes_a_match_unknown() {
    let flows = [
        // The device takes rule `c`; that it looks at no other one is not told of every case.
        ("trust 10.128.0.1 192.0.2.1 tcp 80", "unknown c"),
        ("trust 10.128.9.1 192.0.2.1 tcp 80", "unknown c"),
        // Outside of the longer one the order is as written.
        ("trust 10.200.0.1 192.0.2.1 tcp 80", "allow a"),
        ("trust 10.200.9.1 192.0.2.1 tcp 80", "allow b"),
        ("trust 10.0.0.5 192.0.2.1 tcp 80", "deny interzone-default"),
    ];
    check_both(&wildcards(""), &["unsupported wildcard-order"; 2], &flows);
}

#[test]
fn the_setting_takes_rules_with_wildcards_in_order() {
    let setting = "set deviceconfig setting management wildcard-topdown-match-mode yes\n";
    let config = wildcards(setting);
    check(&config, &[("trust 10.128.0.1 192.0.2.1 tcp 80", "allow a")]);
}

#[test]
fn wildcards_that_do_not_meet_are_taken_in_order() {
    let config = wildcards("").replace("wc ip-wildcard 10.128", "wc ip-wildcard 10.64");
    check(&config, &[("trust 10.128.0.1 192.0.2.1 tcp 80", "allow a")]);
}

#[test]
fn zone_protection_names_what_it_drops_and_doubts_spoofed_sources() {
    let config = allowing(
        "set zone trust network zone-protection-profile zp\n\
         set network profiles zone-protection-profile zp discard-ip-spoof yes\n\
         set network profiles zone-protection-profile zp discard-ip-frag no\n\
         set network profiles zone-protection-profile zp remove-tcp-timestamp yes\n\
         set network profiles zone-protection-profile zp flood udp enable yes\n",
    );
    let (_, problems) = linked(&config);
    let said: Vec<&str> = problems.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(said, ["what protects zone trust is not modelled: discard-ip-spoof, flood udp"]);
    let firewall = linked(&config).0.unwrap();
    assert_eq!(judge(&firewall, WEB), "allow x");
    let mut key = String::from("trust 10.7.0.5 192.0.2.1 tcp 443");
    assert_eq!(judge(&firewall, &key), "unknown spoofed source");
    key.replace_range(6..8, "11");
    assert_eq!(judge(&firewall, &key), "unknown spoofed source");
}

#[test]
fn a_target_is_a_device_a_virtual_system_or_a_tag() {
    let with = |target: &str| allowing(&format!("set rulebase security rules x target {target}\n"));
    for target in ["devices 001 vsys vsys1", "devices 001 vsys vsys2", "devices 001", "tags t"] {
        let config = with(target);
        check_both(&config, &["unsupported rule-target"], &[(WEB, "unknown x")]);
        for other in ["devices 001 vsys vsys3", "devices 002", "tags u", "negate yes"] {
            assert_ne!(conditions(&config), conditions(&with(other)), "{target} {other}");
        }
    }
    check(&with("negate no"), &[(WEB, "allow x")]);
}

#[test]
fn a_translation_for_some_devices_only_is_doubtful() {
    let nat = "set rulebase nat rules n from trust to untrust source any destination any\n\
               set rulebase nat rules n service any source-translation dynamic-ip \
               translated-address 203.0.113.9\n";
    let translated = "allow x as 203.0.113.9 > 192.0.2.1:443";
    for (field, code) in [
        ("target devices 001", "unsupported rule-target"),
        ("active-active-device-binding 0", "unsupported device-binding"),
    ] {
        let config = allowing(&format!("{nat}set rulebase nat rules n {field}\n"));
        check_problems(&config, &[code]);
        assert_eq!(conditions(&config).len(), 1);
    }
    for field in ["active-active-device-binding both", "target negate no"] {
        let config = allowing(&format!("{nat}set rulebase nat rules n {field}\n"));
        check(&config, &[(WEB, translated)]);
    }
}

#[test]
fn what_a_translation_says_besides_is_named() {
    for (translation, problems) in [
        ("source-translation dynamic-ip translated-address 203.0.113.9", &[][..]),
        (
            "source-translation dynamic-ip fallback interface-address interface ethernet1/2",
            &["unsupported nat-fallback", "unsupported translation"],
        ),
        (
            "source-translation dynamic-ip colour blue",
            &["unsupported unknown-element", "unsupported translation"],
        ),
        (
            "destination-translation dns-rewrite direction reverse",
            &["unsupported dns-rewrite", "unsupported translation"],
        ),
        (
            "destination-translation translated-address 10.7.0.10/24",
            &["unsupported static-translation"],
        ),
        ("destination-translation translated-address 10.7.0.0/24", &[]),
    ] {
        let config = allowing(&format!(
            "set rulebase nat rules n from trust to untrust source any destination any service any\n\
             set rulebase nat rules n {translation}\n"
        ));
        let (_, found) = linked(&config);
        let mut found = super::codes(&found);
        let mut expected = problems.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{translation}");
    }
}

#[test]
fn a_floating_address_takes_the_place_of_the_interfaces_own() {
    let config = allowing(
        "set rulebase nat rules n from trust to untrust source any destination any service any\n\
         set rulebase nat rules n source-translation dynamic-ip-and-port interface-address \
         interface ethernet1/2\n\
         set rulebase nat rules n source-translation dynamic-ip-and-port interface-address \
         floating-ip 203.0.113.77\n",
    );
    check(&config, &[(WEB, "allow x as 203.0.113.77 > 192.0.2.1:443")]);
}

/// The zones the rule `u` is for.
fn zones_of_rule(config: &str) -> Names {
    let firewall = panos::read(Source::new("fw", config)).0.unwrap();
    let rules = firewall.rule_bases.iter().flat_map(|it| &it.rules);
    let mut from = rules.filter(|rule| rule.name == "u").map(|rule| rule.matches.from.clone());
    from.next().unwrap()
}

#[test]
fn users_are_known_where_a_zone_identifies_them() {
    let listed = |config: &str| -> Vec<String> {
        zones_of_rule(config).listed().iter().map(|zone| zone.value.clone()).collect()
    };
    let on = "set zone trust enable-user-identification yes\n";
    let limited = "set zone trust user-acl exclude-list 10.0.0.0/24\n";
    let with = |fields: &str, rest: &str| {
        with_network(&format!("{}{rest}", rule("u", &format!("{fields} action allow"))))
    };
    let by_name = "from trust source-user anna";
    assert_eq!(listed(&with(by_name, on)), ["trust"]);
    check_problems(&with(by_name, on), &[]);
    assert_eq!(zones_of_rule(&with(by_name, "")), Names::OneOf(Vec::new()));
    check_problems(&with(by_name, ""), &["suspicious no-user-identification"]);
    // Of any zone, those that identify users.
    assert_eq!(listed(&with("source-user anna", on)), ["trust"]);
    assert_eq!(zones_of_rule(&with("from any", on)), Names::Any);
    let partly = with(by_name, &format!("{on}{limited}"));
    check_problems(&partly, &["unsupported user-acl"]);
    assert_eq!(conditions(&partly).len(), 1);
    // Nobody is known there, so the rule for those who are not known may match.
    let unknown = with("from trust source-user unknown", "");
    check_both(&unknown, &["unsupported source-user"], &[(WEB, "unknown u")]);
}

#[test]
fn a_drop_that_answers_is_a_reset() {
    use parefeu_policy::{LinkedAction, ResetSide};
    let action = |fields: &str| {
        let firewall = linked(&with_network(&rule("x", fields))).0.unwrap();
        firewall.rules.iter().find(|rule| &*rule.name == "x").unwrap().action
    };
    let answered = LinkedAction::Reset(ResetSide::SenderByIcmp);
    assert_eq!(action("action drop icmp-unreachable yes"), answered);
    assert_eq!(action("action drop icmp-unreachable no"), LinkedAction::Drop);
    assert_eq!(
        action("action reset-both icmp-unreachable yes"),
        LinkedAction::Reset(ResetSide::Both)
    );
}

#[test]
fn answers_left_out_of_inspection_are_told() {
    let applied = |option: &str| {
        let fields = format!("action allow profile-setting profiles virus av\n{option}");
        super::profiles(&with_network(&rule("x", &fields)))
    };
    let option = "set rulebase security rules x option disable-server-response-inspection";
    let names = |said: &str| -> Vec<String> {
        applied(&format!("{option} {said}")).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("no"), ["virus/av"]);
    assert_eq!(names("yes"), ["virus/av", "disable-server-response-inspection"]);
}

#[test]
fn timers_of_a_service_are_named() {
    let with = |said: &str| {
        with_network(&format!(
            "set service db protocol tcp port 5432\nset service db protocol tcp {said}\n"
        ))
    };
    check_problems(&with("override no"), &[]);
    check_problems(&with("override yes timeout 86400"), &["unsupported service-timers"]);
    check_problems(&with("colour blue"), &["unsupported unknown-element"]);
}

#[test]
fn fields_that_say_any_exclude_nothing() {
    let fields = ["source-imsi any", "source-imei any", "saas-user-list any", "disable-inspect no"];
    let lines = fields.map(|field| format!("set rulebase security rules x {field}\n"));
    let config = allowing(&lines.concat());
    check(&config, &[(WEB, "allow x")]);
    let config = allowing("set rulebase security rules x source-imsi 240080000000001\n");
    check_both(&config, &["unsupported unknown-element"], &[(WEB, "unknown x")]);
}

#[test]
fn hours_past_midnight_are_a_condition() {
    for times in ["daily 22:00-06:00", "weekly monday 22:00-06:00"] {
        let config = with_network(&rule("x", "schedule night action allow"))
            + &format!("set schedule night schedule-type recurring {times}\n");
        check_both(&config, &["unsupported overnight"], &[(WEB, "unknown x")]);
    }
}

#[test]
fn what_a_zone_says_besides_is_named() {
    check_problems(&with_network("set zone trust colour blue\n"), &["unsupported unknown-element"]);
    check_problems(&with_network("set zone trust enable-device-identification yes\n"), &[]);
}

#[test]
fn the_predefined_zone_of_groups_is_a_condition() {
    let config = with_network(&rule("m", "from trust to multicast action allow"));
    let group = "trust 10.0.0.5 239.1.1.1 udp 5000";
    let flows = [(group, "unknown m"), (WEB, "deny interzone-default")];
    check_both(&config, &["unsupported multicast"], &flows);
    let defined = config + "set zone multicast network layer3 ethernet1/9\n";
    check(&defined, &[(group, "deny interzone-default")]);
}

#[test]
fn whom_a_bi_directional_rule_translates_back_for_is_doubtful() {
    let nat = |destination: &str| {
        allowing(&format!(
            "set rulebase nat rules n from dmz to untrust source 10.7.0.5 service any\n\
             set rulebase nat rules n destination {destination}\n\
             set rulebase nat rules n source-translation static-ip translated-address 203.0.113.9\n\
             set rulebase nat rules n source-translation static-ip bi-directional yes\n"
        )) + &rule("in", "from untrust to dmz action allow")
    };
    let doubt = "bi-directional rules translate back for everyone";
    assert_eq!(conditions(&nat("198.51.100.0/24")), [doubt]);
    check_problems(&nat("198.51.100.0/24"), &["unsupported bi-directional-destination"]);
    let inwards = "untrust 192.0.2.1 203.0.113.9 tcp 80";
    check(&nat("any"), &[(inwards, "allow in as 192.0.2.1 > 10.7.0.5:80")]);
}

#[test]
fn times_of_a_schedule_are_in_the_time_zone_of_the_device() {
    let scheduled = |zone: &str, lines: &str| {
        let zone = format!("set deviceconfig system timezone {zone}\n");
        with_network(&format!("{zone}{lines}{}", rule("x", "schedule s action allow")))
    };
    for times in ["daily 08:00-17:00", "daily 22:00-06:00"] {
        let lines = format!("set schedule s schedule-type recurring {times}\n");
        let (_, utc) = linked(&scheduled("Etc/UTC", &lines));
        let (_, elsewhere) = linked(&scheduled("Europe/Paris", &lines));
        let told = |problems: &parefeu_policy::Diagnostics| {
            problems.iter().filter(|it| it.code == "time-zone").count()
        };
        assert_eq!((told(&utc), told(&elsewhere)), (0, 1), "{times}");
    }
    let unused = with_network("set deviceconfig system timezone Europe/Paris\n");
    check_problems(&unused, &[]);
}

#[test]
fn protection_that_counts_connections_is_told() {
    let dos = "set rulebase dos rules d from zone any\n\
               set rulebase dos rules d action protect\n\
               set rulebase dos rules d protection aggregate profile slow\n\
               set profiles dos-protection slow type aggregate\n";
    check_both(&allowing(dos), &["unsupported dos-protection"], &[(WEB, "allow x")]);
}
