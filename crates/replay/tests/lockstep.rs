//! Two firewalls over the same frames: every class of `docs/semantics.md` S11, each by the traffic
//! that shows it.

#![expect(clippy::unwrap_used, reason = "a test whose firewall does not link has failed")]

use std::sync::Arc;

use parefeu_engine::EngineConfig;
use parefeu_net::{DecodeLimits, LinkType, Timestamp};
use parefeu_policy::{LinkedFirewall, Source, link, native};
use parefeu_replay::{
    CapturedAt, Comparison, DifferenceClass, IngressChoice, Lockstep, LockstepLimits, ReplayFrame,
    Side,
};
use parefeu_testkit::frames;

const NETWORK: &str = r#"
[[interface]]
name = "wan"
address = ["203.0.113.1/24"]
[[interface]]
name = "lan"
address = ["10.0.0.1/24"]
[[route]]
destination = "0.0.0.0/0"
next_hop = "203.0.113.254"
[[layer]]
rule_base = "policy"
[[rule_base]]
name = "policy"
default = "deny"
"#;

fn firewall(text: &str) -> Arc<LinkedFirewall> {
    let (written, mut problems) = native::read(Source::new("fw.toml", text));
    let linked = written.and_then(|written| link(&written, &mut problems));
    Arc::new(linked.unwrap_or_else(|| unreachable!("{problems:?}")))
}

fn side(text: &str) -> Side {
    let config =
        EngineConfig { answers_seen_translated: true, events: false, ..EngineConfig::default() };
    Side::new(firewall(text), &IngressChoice::default(), config).unwrap()
}

/// Replays lines of `SECONDS FRAME` through two firewalls; each is a behaviour and its rules.
fn replay(old: (&str, &str), new: (&str, &str), script: &str) -> Comparison {
    let [old, new] = [old, new]
        .map(|(behaviour, rules)| side(&format!("behaviour = \"{behaviour}\"\n{NETWORK}{rules}")));
    let (decode, limits) = (DecodeLimits::default(), LockstepLimits::default());
    let mut lockstep = Lockstep::new(old, new, decode, limits);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (seconds, frame) = line.split_once(' ').unwrap();
        let data = frames::frame(frame);
        lockstep.handle_frame(ReplayFrame {
            now: Timestamp::from_secs(seconds.parse().unwrap()),
            captured: CapturedAt { file: 0, interface: 0, name: None },
            link_type: LinkType::ETHERNET,
            data: &data,
            wire_len: data.len() as u32,
        });
    }
    lockstep.finish()
}

/// The classes that occur, each with its number of flows.
#[track_caller]
fn check(old: (&str, &str), new: (&str, &str), script: &str, expected: &str) {
    let comparison = replay(old, new, script);
    let totals = comparison.differences.totals.iter();
    let classes: Vec<String> =
        totals.map(|(class, totals)| format!("{} {}", totals.flows, class.name())).collect();
    assert_eq!(classes.join(", "), expected, "\n{script}");
}

const ALLOW: &str = "[[rule_base.rule]]\nname = \"all\"\naction = \"allow\"\n";
const DENY: &str = "[[rule_base.rule]]\nname = \"none\"\naction = \"deny\"\n";

const HANDSHAKE: &str = "
    1 10.0.0.7:4000 > 192.0.2.9:443 S seq=1
    1 192.0.2.9:443 > 10.0.0.7:4000 S. seq=9 ack=2
    1 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10";

#[test]
fn s11_1_the_first_packet_decides_the_gravest_classes() {
    check(("panos", ALLOW), ("panos", ALLOW), HANDSHAKE, "1 same");
    check(("panos", ALLOW), ("panos", DENY), HANDSHAKE, "1 newly-denied");
    check(("panos", DENY), ("panos", ALLOW), HANDSHAKE, "1 newly-allowed");
    check(("panos", DENY), ("panos", DENY), HANDSHAKE, "1 same");
}

/// Only SSH passes, which nothing knows before the first payload.
const SSH: &str = "
[[application]]
name = \"ssh\"
identified_as = [\"ssh\"]
[[application]]
name = \"web-browsing\"
identified_as = [\"http\"]
[[rule_base.rule]]
name = \"ssh\"
application = [\"ssh\"]
action = \"allow\"
";

#[test]
fn s11_1_what_identification_refuses_is_refused_after_bytes_have_passed() {
    let request = format!(
        "{HANDSHAKE}
         2 10.0.0.7:4000 > 192.0.2.9:443 P. seq=2 ack=10 \"GET / HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n\""
    );
    let (all, only_ssh) = (("panos", ALLOW), ("panos", SSH));
    check(all, only_ssh, &request, "1 denied-after-identification");
    check(only_ssh, all, &request, "1 allowed-after-identification");
    check(only_ssh, only_ssh, &request, "1 same");
    // Without a payload the rule never learns what it waits for.
    check(all, only_ssh, HANDSHAKE, "1 never-decided");
    let comparison = replay(all, only_ssh, &request);
    let [group] = &comparison.differences.groups[..] else { unreachable!("one group") };
    let handshake: usize = HANDSHAKE
        .trim()
        .lines()
        .map(|line| frames::frame(line.trim().split_once(' ').unwrap().1).len())
        .sum();
    assert_eq!(
        (group.packet_of_refusal, group.new.bytes_before_refusal),
        (Some(4), handshake as u64)
    );
}

#[test]
fn s11_1_a_session_forgotten_in_use_is_lost_or_kept() {
    let idle = format!("{HANDSHAKE}\n3000 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10");
    check(("asa", ALLOW), ("srx", ALLOW), &idle, "1 session-lost");
    check(("srx", ALLOW), ("asa", ALLOW), &idle, "1 session-kept");
}

/// Of the timers that differ: how many sessions waited, were cut and were kept, and the longest
/// pause in seconds.
fn hazards(old: &str, new: &str, script: &str) -> Vec<(&'static str, [u64; 3], Option<u64>)> {
    let found = replay((old, ALLOW), (new, ALLOW), script).hazards;
    let found = found.into_iter().map(|it| {
        let longest = it.longest.map(|pause| pause.length.as_secs());
        (it.timer, [it.sessions, it.cut, it.kept], longest)
    });
    found.filter(|(_, [sessions, ..], _)| *sessions > 0).collect()
}

#[test]
fn pauses_between_two_timers_are_counted_once_a_session() {
    // Established TCP: an hour on the one, half an hour on the other.
    let idle = format!(
        "{HANDSHAKE}
         3000 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10
         5900 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10"
    );
    let established = |counts| ("tcp-established", counts, Some(2999));
    assert!(hazards("asa", "srx", &idle).contains(&established([1, 1, 0])));
    assert!(hazards("srx", "asa", &idle).contains(&established([1, 0, 1])));
    assert_eq!(hazards("asa", "asa", &idle), []);
    let short = format!("{HANDSHAKE}\n1700 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10");
    let found = hazards("asa", "srx", &short);
    assert!(found.contains(&("tcp-established", [1, 0, 0], Some(1699))), "{found:?}");
    // Longer than either waits: no difference.
    let long = format!("{HANDSHAKE}\n9000 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10");
    let found = hazards("asa", "srx", &long);
    assert!(!found.iter().any(|it| it.1[1] + it.1[2] > 0), "{found:?}");
}

#[test]
fn s11_1_a_session_that_ends_in_between_without_loss_is_named() {
    // UDP both ways: 120 s on the one, 30 s on the other; the rules admit it again.
    let gap = "
        1 10.0.0.7:4000 > 192.0.2.9:53 udp
        1 192.0.2.9:53 > 10.0.0.7:4000 udp
        61 10.0.0.7:4000 > 192.0.2.9:53 udp
        61 192.0.2.9:53 > 10.0.0.7:4000 udp";
    check(("asa", ALLOW), ("panos", ALLOW), gap, "1 end-reason");
    check(("panos", ALLOW), ("panos", ALLOW), gap, "1 same");
}

#[test]
fn s11_1_other_addresses_after_translation_are_a_difference() {
    let hidden = format!(
        "{ALLOW}[[source_nat]]\nname = \"out\"\negress = [\"wan\"]\ntranslation = \"egress-interface\"\n"
    );
    check(("panos", ALLOW), ("panos", &hidden), HANDSHAKE, "1 translation");
    check(("panos", &hidden), ("panos", &hidden), HANDSHAKE, "1 same");
}

/// Either side asks, for two things, and somebody on the way complains.
#[test]
fn s11_1_icmp_queries_of_either_side_are_flows_of_their_own() {
    let script = "
        1 10.0.0.7 > 192.0.2.9 echo id=7
        1 192.0.2.9 > 10.0.0.7 echo-reply id=7
        2 192.0.2.9 > 10.0.0.7 echo id=7
        2 10.0.0.7 > 192.0.2.9 echo-reply id=7
        3 10.0.0.7 > 192.0.2.9 icmp=13/0 id=7
        3 192.0.2.9 > 10.0.0.7 icmp=14/0 id=7";
    let inside =
        "[[rule_base.rule]]\nname = \"out\"\nsource = \"10.0.0.0/8\"\naction = \"allow\"\n";
    let hidden = format!(
        "{ALLOW}[[source_nat]]\nname = \"out\"\negress = [\"wan\"]\ntranslation = \"egress-interface\"\n"
    );
    check(("panos", ALLOW), ("panos", ALLOW), script, "3 same");
    check(("panos", ALLOW), ("panos", inside), script, "1 newly-denied, 2 same");
    check(("panos", &hidden), ("panos", &hidden), script, "3 same");
}

#[test]
fn s11_1_what_is_not_modelled_is_no_difference() {
    let doubtful =
        "[[rule_base.rule]]\nname = \"odd\"\nunknown = [\"connlimit 3\"]\naction = \"deny\"\n";
    let doubtful = format!("{doubtful}{ALLOW}");
    check(("panos", ALLOW), ("panos", &doubtful), HANDSHAKE, "1 undecided");
}

#[test]
fn s11_3_another_rule_decides_where_the_rules_stand_for_each_other() {
    let rule = |name: &str, port: &str| {
        format!(
            "[[rule_base.rule]]\nname = \"{name}\"\nservice = [\"{port}\"]\naction = \"allow\"\n"
        )
    };
    let (web, wide) = (rule("web", "tcp/443"), rule("wide", "tcp/1-1023"));
    let (old, new) = (format!("{web}{wide}"), format!("{wide}{web}"));
    check(("panos", &old), ("panos", &old), HANDSHAKE, "1 same");
    check(("panos", &old), ("panos", &new), HANDSHAKE, "1 other-rule");
    // No rule of the one is a rule of the other: nothing can be said to be another one.
    check(("panos", &old), ("panos", ALLOW), HANDSHAKE, "1 same");
    // One side's rule is gone, and a rule both have does its work.
    check(("panos", &old), ("panos", &wide), HANDSHAKE, "1 other-rule");
}

#[test]
fn s11_2_a_flow_begins_with_its_syn_and_ends_when_it_is_closed() {
    // What is left of an older connection says nothing of the one that follows.
    let reuse = format!("0 10.0.0.7:4000 > 192.0.2.9:443 . seq=700 ack=900 {HANDSHAKE}");
    check(("panos", ALLOW), ("panos", DENY), &reuse, "1 newly-denied, 1 same");
    let twice = format!(
        "{HANDSHAKE}
         2 10.0.0.7:4000 > 192.0.2.9:443 R seq=2
         3 10.0.0.7:4000 > 192.0.2.9:443 S seq=100"
    );
    check(("panos", ALLOW), ("panos", DENY), &twice, "2 newly-denied");
}

#[test]
fn s11_4_an_answer_shows_whether_the_model_of_the_old_firewall_agrees() {
    let agreement = |old: &str, script: &str| {
        replay(("panos", old), ("panos", ALLOW), script).differences.model_agreement()
    };
    assert_eq!(agreement(ALLOW, HANDSHAKE), Some(1.0));
    assert_eq!(agreement(DENY, HANDSHAKE), Some(0.0));
    let refused = "
        1 10.0.0.7:4000 > 192.0.2.9:443 S seq=1
        1 192.0.2.9:443 > 10.0.0.7:4000 R. ack=2";
    assert_eq!(agreement(DENY, refused), None);
}

#[test]
fn s10_3_a_capture_of_the_clients_side_compares_whole_sessions() {
    // Both publish the server; only the new one refuses what is no SSH.
    let publish = "[[destination_nat]]\nname = \"publish\"\ndestination = [\"203.0.113.80/32\"]\n\
                   translation = { prefix = \"10.0.0.80/32\" }\n";
    let script = "
        1 192.0.2.9:4000 > 203.0.113.80:443 S seq=1
        1 203.0.113.80:443 > 192.0.2.9:4000 S. seq=9 ack=2
        1 192.0.2.9:4000 > 203.0.113.80:443 P. seq=2 ack=10 \"GET / HTTP/1.1\\r\\nHost: a.example\\r\\n\\r\\n\"";
    let (old, new) = (format!("{ALLOW}{publish}"), format!("{SSH}{publish}"));
    check(("panos", &old), ("panos", &new), script, "1 denied-after-identification");
}

#[test]
fn s11_2_a_flow_is_over_when_both_firewalls_have_forgotten_it() {
    // S6: UDP lives 120 s on ASA and 30 s on PAN-OS, which remembers a refused flow for 60 s.
    let pause = |seconds: u32| {
        format!("0 10.0.0.7:4000 > 192.0.2.9:53 udp\n{seconds} 10.0.0.7:4000 > 192.0.2.9:53 udp")
    };
    let (asa, panos) = (("asa", ALLOW), ("panos", ALLOW));
    check(panos, panos, &pause(60), "1 same");
    check(panos, panos, &pause(61), "2 same");
    check(asa, panos, &pause(100), "1 end-reason");
    check(asa, panos, &pause(120), "1 same");
    check(panos, asa, &pause(121), "2 same");
}

#[test]
fn a_rule_that_refused_a_question_is_hit_where_its_answer_was_captured() {
    let rules = "[[rule_base.rule]]\nname = \"clients\"\nsource = \"10.0.0.0/24\"\n\
                 action = \"drop\"\n";
    let script = "
        1 10.0.0.7:4000 > 192.0.2.9:53 udp
        1 192.0.2.9:53 > 10.0.0.7:4000 udp";
    let hits = replay(("asa", rules), ("asa", ALLOW), script).old_hits;
    assert_eq!((&hits.packets[..], &hits.flows[..], hits.default_flows), (&[1][..], &[0][..], 1));
}

#[test]
fn every_class_has_a_name_and_stands_once() {
    let mut names = DifferenceClass::ALL.map(DifferenceClass::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 12);
}
