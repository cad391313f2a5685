//! Frames through the whole pipeline, clause by clause of `docs/semantics.md`.
#![expect(clippy::unwrap_used, reason = "a test whose firewall does not link has failed")]

mod announced;
mod full;
mod mapping;
mod odd;

use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Engine, EngineConfig, Event, Frame, judge};
use parefeu_net::{LinkType, Timestamp};
use parefeu_policy::{Source, link, native, reference};
use parefeu_session::EndReason;
use parefeu_testkit::{Random, firewalls, frames, keys};
use proptest::prelude::*;

const NETWORK: &str = r#"
[[zone]]
name = "outside"
[[zone]]
name = "inside"
[[interface]]
name = "wan"
zone = "outside"
address = ["203.0.113.1/24"]
[[interface]]
name = "lan"
zone = "inside"
address = ["10.0.0.1/24"]
[[route]]
destination = "0.0.0.0/0"
next_hop = "203.0.113.254"
[[layer]]
rule_base = "policy"
"#;

fn engine(text: &str) -> Engine {
    engine_with(text, EngineConfig::default())
}

fn engine_with(text: &str, config: EngineConfig) -> Engine {
    Engine::new(policy(text), config)
}

fn policy(text: &str) -> Arc<CompiledPolicy> {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
    Arc::new(CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default()))
}

/// Feeds lines of `SECONDS INTERFACE FRAME => DECISION` and compares each decision.
#[track_caller]
fn check(engine: &mut Engine, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (question, expected) = line.split_once(" => ").unwrap();
        let mut words = question.splitn(3, ' ');
        let seconds: u64 = words.next().unwrap().parse().unwrap();
        let ingress = engine.firewall().interface_named(words.next().unwrap());
        let data = frames::frame(words.next().unwrap());
        let now = Timestamp::from_secs(seconds);
        let wire_len = data.len() as u32;
        let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
        let decision = engine.handle_frame(now, ingress, frame);
        assert_eq!(decision.to_string(), expected, "\n{line}");
    }
}

const WEB: &str = r#"
behaviour = "panos"
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "web"
from = ["inside"]
to = ["outside"]
service = ["tcp/443"]
action = "allow"
"#;

#[test]
fn s1_the_first_packet_is_judged_and_the_session_follows() {
    check(
        &mut engine(&format!("{WEB}{NETWORK}")),
        "1 lan 10.0.0.7:4000 > 192.0.2.9:443 S seq=1 => allow rule rule=0
         1 wan 192.0.2.9:443 > 10.0.0.7:4000 S. seq=9 ack=2 => allow session rule=0
         1 lan 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10 => allow session rule=0
         2 lan 10.0.0.7:4001 > 192.0.2.9:80 S => deny default
         3 wan 192.0.2.9:443 > 10.0.0.8:4000 S => deny default",
    );
}

#[test]
fn s5_1_a_connection_begins_with_a_syn() {
    check(
        &mut engine(&format!("{WEB}{NETWORK}")),
        "1 lan 10.0.0.7:4000 > 192.0.2.9:443 . seq=5 ack=5 => drop invalid-first-packet
         1 lan 10.0.0.7:4000 > 192.0.2.9:443 SF => drop invalid-first-packet",
    );
}

#[test]
fn s6_an_idle_session_dies_with_its_timer() {
    let text = format!("{WEB}{NETWORK}");
    let text = text.replace("behaviour = \"panos\"", "behaviour = \"panos\"\n");
    let mut engine = engine(&text);
    check(
        &mut engine,
        "0 lan 10.0.0.7:4000 > 192.0.2.9:443 S seq=1 => allow rule rule=0
         1 wan 192.0.2.9:443 > 10.0.0.7:4000 S. seq=9 ack=2 => allow session rule=0
         2 lan 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10 => allow session rule=0
         3601 lan 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10 => allow session rule=0
         7202 lan 10.0.0.7:4000 > 192.0.2.9:443 . seq=2 ack=10 => drop invalid-first-packet",
    );
    let Some(Event::SessionEnded(summary)) = engine.poll_event() else {
        unreachable!("no session ended")
    };
    assert_eq!((summary.end_reason.name(), summary.packets), ("aged-out", [3, 1]));
}

#[test]
fn s3_4_a_tentative_session_is_cut_once_it_is_identified() {
    let text = r#"
behaviour = "panos"
[[application]]
name = "ssh"
identified_as = ["ssh"]
[[application]]
name = "web-browsing"
identified_as = ["http"]
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "ssh"
application = ["ssh"]
action = "allow"
"#;
    let mut engine = engine(&format!("{text}{NETWORK}"));
    check(
        &mut engine,
        r#"1 lan 10.0.0.7:4000 > 192.0.2.9:443 S seq=1 => allow tentative rule=0
           1 wan 192.0.2.9:443 > 10.0.0.7:4000 S. seq=9 ack=2 => allow tentative rule=0
           1 lan 10.0.0.7:4000 > 192.0.2.9:443 P. seq=2 ack=10 "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n" => deny identified
           2 wan 192.0.2.9:443 > 10.0.0.7:4000 . seq=10 ack=40 => deny session
           3 lan 10.0.0.7:5000 > 192.0.2.9:22 S seq=1 => allow tentative rule=0
           3 wan 192.0.2.9:22 > 10.0.0.7:5000 S. seq=9 ack=2 => allow tentative rule=0
           3 wan 192.0.2.9:22 > 10.0.0.7:5000 P. seq=10 ack=2 "SSH-2.0-OpenSSH_9.2\r\n" => allow identified rule=0"#,
    );
    // What passed of the first one is its handshake, two packets of 54 bytes.
    engine.close_all(EndReason::CaptureEnd);
    let Some(Event::SessionEnded(summary)) = engine.poll_event() else {
        unreachable!("no session ended")
    };
    let found = (summary.id, summary.bytes_before_refusal, summary.verdict_packet);
    assert_eq!(found, (1, 2 * 54, 3));
}

#[test]
fn s4_translation_is_undone_for_replies() {
    let text = r#"
behaviour = "asa"
[[rule_base]]
name = "policy"
default = "allow"
[[source_nat]]
name = "out"
egress = ["wan"]
translation = "egress-interface"
"#;
    let mut engine = engine(&format!("{text}{NETWORK}"));
    let data = frames::frame("10.0.0.7:4000 > 192.0.2.9:53 udp \"x\"");
    let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len: data.len() as u32 };
    let lan = engine.firewall().interface_named("lan");
    let decision = engine.handle_frame(Timestamp::from_secs(1), lan, frame);
    let translated = decision.translated.unwrap().to_string();
    assert_eq!(translated, "udp 203.0.113.1:4000 > 192.0.2.9:53");
    check(&mut engine, "2 wan 192.0.2.9:53 > 203.0.113.1:4000 udp \"y\" => allow session");
}

/// A server published under 203.0.113.80, and clients that leave as the firewall.
const PUBLISHED: &str = r#"
behaviour = "asa"
[[rule_base]]
name = "policy"
default = "allow"
[[destination_nat]]
name = "publish"
ingress = ["wan"]
destination = "203.0.113.80"
translation = { prefix = "10.0.0.80" }
[[source_nat]]
name = "out"
egress = ["wan"]
ingress = ["lan"]
translation = "egress-interface"
"#;

/// A client inside asks for the address by which a host beside it is published: the answers have to
/// come back through the firewall, so that its own address stands for the client's.
#[test]
fn s4_a_published_host_is_reached_from_its_own_side() {
    let text = format!(
        r#"
behaviour = "panos"
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "published"
destination = "203.0.113.80"
service = ["tcp/443"]
action = "allow"
[[destination_nat]]
name = "publish"
destination = "203.0.113.80"
translation = {{ prefix = "10.0.0.80" }}
[[source_nat]]
name = "turned"
ingress = ["lan"]
destination = "203.0.113.80"
translation = "egress-interface"
{NETWORK}"#
    );
    let mut engine = engine(&text);
    let lan = engine.firewall().interface_named("lan");
    let mut leaves = |text: &str| {
        let data = frames::frame(text);
        let wire_len = data.len() as u32;
        let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
        let decision = engine.handle_frame(Timestamp::from_secs(1), lan, frame);
        assert!(decision.verdict.passes(), "{text}: {decision}");
        decision.translated.unwrap().to_string()
    };
    let asked = leaves("10.0.0.7:4000 > 203.0.113.80:443 S seq=1");
    assert_eq!(asked, "tcp 10.0.0.1:4000 > 10.0.0.80:443");
    let answered = leaves("10.0.0.80:443 > 10.0.0.1:4000 S. seq=9 ack=2");
    assert_eq!(answered, "tcp 203.0.113.80:443 > 10.0.0.7:4000");
}

/// The answers a capture of the client's side shows, on either interface it may be placed on.
const TRANSLATED_ANSWERS: &str = "\
    1 wan 192.0.2.9:4000 > 203.0.113.80:443 S seq=1 => allow default
    1 wan 203.0.113.80:443 > 192.0.2.9:4000 S. seq=9 ack=2 => allow session
    1 lan 203.0.113.80:443 > 192.0.2.9:4000 . seq=10 ack=2 => allow session
    2 wan 192.0.2.9:4000 > 203.0.113.80:443 . seq=2 ack=10 => allow session
    3 lan 10.0.0.7 > 192.0.2.9 echo id=7 => allow default
    3 wan 192.0.2.9 > 10.0.0.7 echo-reply id=7 => allow session
    3 lan 10.0.0.7:4001 > 192.0.2.9:53 udp => allow default
    3 lan 192.0.2.9:53 > 10.0.0.7:4001 udp => allow session";

#[test]
fn s10_3_a_capture_of_one_side_shows_answers_translated() {
    let config = EngineConfig { answers_seen_translated: true, ..EngineConfig::default() };
    let mut engine = engine_with(&format!("{PUBLISHED}{NETWORK}"), config);
    check(&mut engine, TRANSLATED_ANSWERS);
    assert_eq!(engine.session_count(), 3);
}

#[test]
fn s10_3_a_live_firewall_takes_no_such_frame_for_an_answer() {
    check(
        &mut engine(&format!("{PUBLISHED}{NETWORK}")),
        "1 wan 192.0.2.9:4000 > 203.0.113.80:443 S seq=1 => allow default
         1 wan 203.0.113.80:443 > 192.0.2.9:4000 S. seq=9 ack=2 => drop invalid-first-packet",
    );
}

#[test]
fn s4_3_a_small_range_of_ports_is_used_whole_and_then_exhausted() {
    let text = format!(
        r#"
behaviour = "panos"
[[rule_base]]
name = "policy"
default = "allow"
[[source_nat]]
name = "two ports"
translation = {{ pool = "203.0.113.9", port = "allocate 2000-2001" }}
{NETWORK}"#
    );
    check(
        &mut engine(&text),
        "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow default
         1 lan 10.0.0.8:4000 > 192.0.2.9:53 udp => allow default
         1 lan 10.0.0.9:4000 > 192.0.2.9:53 udp => drop ports-exhausted
         1 lan 10.0.0.9:4000 > 192.0.2.10:53 udp => allow default",
    );
}

/// A policy for the same device may list its zones and rules in another order.
#[test]
fn s5_4_a_live_session_is_judged_in_the_terms_of_the_new_policy() {
    let rule = |name: &str, zones: &str, action: &str| {
        format!("[[rule_base.rule]]\nname = \"{name}\"\n{zones}\naction = \"{action}\"\n")
    };
    let out = |action: &str| rule("out", "from = \"inside\"\nto = \"outside\"", action);
    let text = |network: &str, rules: &[String]| {
        format!(
            "behaviour = \"panos\"\n[[rule_base]]\nname = \"policy\"\ndefault = \"deny\"\n{}{network}",
            rules.concat()
        )
    };
    let zones = "[[zone]]\nname = \"outside\"\n[[zone]]\nname = \"inside\"\n";
    let turned =
        NETWORK.replace(zones, "[[zone]]\nname = \"inside\"\n[[zone]]\nname = \"outside\"\n");
    assert_ne!(NETWORK, turned);
    let back = rule("back", "from = \"outside\"\nto = \"inside\"", "drop");
    let mut engine = engine(&text(NETWORK, &[out("allow")]));
    let packet = "lan 10.0.0.7:4000 > 192.0.2.9:53 udp";
    check(&mut engine, &format!("1 {packet} => allow rule rule=0"));
    engine.install_policy(policy(&text(&turned, &[back.clone(), out("allow")])));
    check(&mut engine, &format!("2 {packet} => allow session rule=1"));
    engine.install_policy(policy(&text(&turned, &[back, out("reset")])));
    check(&mut engine, &format!("3 {packet} => reset session rule=1"));
}

#[test]
fn s5_9_a_wrong_checksum_is_dropped_or_left_to_rules_that_see_every_packet() {
    let mut data = frames::frame("10.0.0.7:4000 > 192.0.2.9:53 udp \"question\"");
    *data.last_mut().unwrap() ^= 1;
    let invalid =
        "[[rule_base.rule]]\nname = \"invalid\"\nstate = [\"invalid\"]\naction = \"deny\"\n";
    for (behaviour, rules, expected) in [
        ("panos", "", "drop bad-checksum"),
        ("linux", "", "allow default"),
        ("linux", invalid, "deny rule rule=0"),
        ("asa", "", "allow default"),
    ] {
        let base = "[[rule_base]]\nname = \"policy\"\ndefault = \"allow\"\n";
        let mut engine = engine(&format!("behaviour = \"{behaviour}\"\n{base}{rules}{NETWORK}"));
        let lan = engine.firewall().interface_named("lan");
        let wire_len = data.len() as u32;
        let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
        let decision = engine.handle_frame(Timestamp::from_secs(1), lan, frame);
        assert_eq!(decision.to_string(), expected, "{behaviour} {rules}");
        // Only a device that does not look has made a session of it.
        assert_eq!(engine.session_count(), usize::from(behaviour == "asa"), "{behaviour}");
    }
}

/// A packet of no connection leaves as it came, where rules let it pass.
#[test]
fn s5_9_what_is_invalid_is_not_translated() {
    let base = "[[rule_base]]\nname = \"policy\"\ndefault = \"allow\"\n";
    let mut engine = engine(&format!("behaviour = \"linux\"\n{base}{HIDDEN}{NETWORK}"));
    let lan = engine.firewall().interface_named("lan");
    let mut decide = |segment: &str| {
        let data = frames::frame(&format!("10.0.0.7:4000 > 192.0.2.9:443 {segment}"));
        let wire_len = data.len() as u32;
        let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
        let decision = engine.handle_frame(Timestamp::from_secs(1), lan, frame);
        (decision.to_string(), decision.session.is_some(), decision.translated.is_some())
    };
    let allowed = || "allow default".to_owned();
    assert_eq!(decide("S seq=1"), (allowed(), true, true));
    // Out of the window.
    assert_eq!(decide("R seq=99999999"), (allowed(), false, false));
    assert_eq!(decide("S seq=1"), (allowed(), true, true));
}

/// What a layer refuses that is asked before sessions leaves the session as it was; a flow it
/// refuses from the start is told like any other.
#[test]
fn s5_9_a_layer_before_sessions_refuses_without_a_step() {
    let text = r#"
behaviour = "linux"
[[rule_base]]
name = "raw"
default = "allow"
[[rule_base.rule]]
name = "no answers"
ingress = ["wan"]
source = "192.0.2.9"
action = "drop"
[[rule_base]]
name = "policy"
default = "drop"
[[rule_base.rule]]
name = "opens"
state = ["new"]
action = "allow"
[[layer]]
rule_base = "raw"
before_sessions = true
"#;
    // Only where the answer was not seen is the third packet a new connection still.
    let script = "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow rule rule=1
         1 wan 192.0.2.9:53 > 10.0.0.7:4000 udp => drop rule rule=0
         1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow rule rule=1
         2 lan 10.0.0.7:4000 > 192.0.2.8:53 udp => allow rule rule=1
         2 wan 192.0.2.8:53 > 10.0.0.7:4000 udp => drop default
         2 lan 10.0.0.7:4000 > 192.0.2.8:53 udp => drop default";
    let mut unanswered = engine(&format!("{text}{NETWORK}"));
    check(&mut unanswered, script);
    check(&mut unanswered, "3 wan 192.0.2.9:9 > 10.0.0.7:9 udp => drop rule rule=0");
    unanswered.handle_timeout(Timestamp::from_secs(1_000));
    let mut told: Vec<(u16, EndReason)> = std::iter::from_fn(|| unanswered.poll_event())
        .filter_map(|event| match event {
            Event::SessionEnded(summary) => Some((summary.flow.src_port, summary.end_reason)),
            _ => None,
        })
        .collect();
    told.sort_unstable_by_key(|(port, _)| *port);
    assert_eq!(told[0], (9, EndReason::PolicyDeny));
    assert_eq!(told[1..].iter().map(|(port, _)| *port).collect::<Vec<_>>(), [4000, 4000]);
}

/// Neighbour discovery belongs to no connection where rules see every packet: they alone decide.
#[test]
fn s5_10_untracked_packets_are_judged_one_by_one() {
    let untracked =
        "[[rule_base.rule]]\nname = \"nd\"\nstate = [\"untracked\"]\naction = \"allow\"\n";
    let layer = "[[layer]]\nrule_base = \"policy\"\n";
    for (behaviour, default, rules, expected, sessions) in [
        ("linux", "allow", "", "allow default", 0),
        ("linux", "deny", "", "deny default", 0),
        ("linux", "deny", untracked, "allow rule rule=0", 0),
        ("panos", "allow", "", "allow default", 1),
    ] {
        let base = format!("[[rule_base]]\nname = \"policy\"\ndefault = \"{default}\"\n");
        let mut engine = engine(&format!("behaviour = \"{behaviour}\"\n{base}{rules}{layer}"));
        let question = "1 - [fe80::7]:0 > [ff02::1:ff00:1]:0 icmp=135/0";
        check(&mut engine, &format!("{question} => {expected}"));
        assert_eq!(engine.session_count(), sessions, "{behaviour} {rules}");
    }
}

/// What an ICMP error quotes of a UDP datagram: header and ports, as the payload of a frame's line.
fn quote(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> String {
    let mut bytes = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 63, 17, 0, 0];
    bytes.extend(src.into_iter().chain(dst));
    bytes.extend(src_port.to_be_bytes().into_iter().chain(dst_port.to_be_bytes()));
    bytes.extend([0, 8, 0, 0]);
    bytes.iter().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"))
}

const HIDDEN: &str = r#"
[[source_nat]]
name = "out"
egress = ["wan"]
translation = { pool = "203.0.113.9", port = "allocate 2000-2001" }
"#;

#[test]
fn s5_9_a_reset_in_answer_ends_the_connection() {
    let text = r#"
behaviour = "linux"
[[rule_base]]
name = "policy"
default = "allow"
[[rule_base.rule]]
name = "pushed"
service = ["tcp"]
tcp_flags = "psh=psh"
action = "reset-sender"
"#;
    let mut engine = engine(&format!("{text}{HIDDEN}{NETWORK}"));
    check(
        &mut engine,
        "1 lan 10.0.0.7:2000 > 192.0.2.9:80 . seq=1000 ack=7000 => allow default
         1 lan 10.0.0.7:2000 > 192.0.2.9:80 P. seq=1000 ack=7000 len=1300 => reset rule rule=0
         1 lan 10.0.0.7:2000 > 192.0.2.9:80 . seq=2300 ack=7000 len=1 => allow default
         1 wan 192.0.2.9:80 > 203.0.113.9:2000 S. seq=7000 ack=2302 => allow default
         2 lan 10.0.0.7:2000 > 192.0.2.9:80 R seq=2301 => allow default",
    );
    // Over after ten seconds.
    engine.handle_timeout(Timestamp::from_secs(11));
    assert_eq!(engine.session_count(), 1);
    engine.handle_timeout(Timestamp::from_secs(12));
    assert_eq!(engine.session_count(), 0);
}

/// The layer of the network stands behind the translation of destinations.
const BEHIND: &str = "sees_destination = \"translated\"\n";

/// Without pairing, an answer and an error need rules, which see them for whom they are.
#[test]
fn s5_8_icmp_that_is_not_paired_is_judged_by_rules() {
    let text = r#"
[behaviour]
preset = "asa"
icmp-sessions = false
icmp-errors-related = false
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "out"
ingress = ["lan"]
action = "allow"
[[rule_base.rule]]
name = "answers"
destination = "10.0.0.7"
service = ["icmp/0", "icmp/3"]
action = "allow"
"#;
    let server = [192, 0, 2, 9];
    let (first, second) =
        (quote([203, 0, 113, 9], 2000, server, 53), quote([203, 0, 113, 9], 2001, server, 53));
    let script = format!(
        "1 lan 10.0.0.7 > 192.0.2.9 echo id=7 => allow rule rule=0
         1 wan 192.0.2.9 > 203.0.113.9 echo-reply id=7 => allow rule rule=1
         1 wan 192.0.2.9 > 203.0.113.9 echo-reply id=7 => allow rule rule=1
         1 lan 10.0.0.8 > 192.0.2.9 echo id=8 => allow rule rule=0
         1 wan 192.0.2.9 > 203.0.113.9 echo-reply id=8 => deny default
         2 wan 192.0.2.66 > 10.0.0.7 echo-reply id=9 => allow rule rule=1
         2 wan 192.0.2.66 > 10.0.0.7 echo-reply id=9 => allow session rule=1
         3 lan 10.0.0.7:2000 > 192.0.2.9:53 udp => allow rule rule=0
         3 lan 10.0.0.8:2001 > 192.0.2.9:53 udp => allow rule rule=0
         3 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{first}\" => allow related-error rule=1
         3 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{second}\" => deny related-error"
    );
    check(&mut engine(&format!("{text}{HIDDEN}{NETWORK}{BEHIND}")), &script);
    // Paired, both pass with their session and nothing else does.
    let paired = text.replace("false", "true");
    let script = format!(
        "1 lan 10.0.0.8 > 192.0.2.9 echo id=8 => allow rule rule=0
         1 wan 192.0.2.9 > 203.0.113.9 echo-reply id=8 => allow session rule=0
         2 wan 192.0.2.66 > 10.0.0.7 echo-reply id=9 => drop invalid-first-packet
         3 lan 10.0.0.8:2001 > 192.0.2.9:53 udp => allow rule rule=0
         3 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{second}\" => allow related-error rule=0"
    );
    check(&mut engine(&format!("{paired}{HIDDEN}{NETWORK}{BEHIND}")), &script);
}

/// Where every packet is compared, replies and errors are compared as they go to the client.
#[test]
fn s5_2_rules_see_replies_after_their_translation_is_undone() {
    let text = r#"
behaviour = "linux"
[[rule_base]]
name = "policy"
default = "drop"
[[rule_base.rule]]
name = "out"
ingress = ["lan"]
action = "allow"
[[rule_base.rule]]
name = "answers"
egress = ["lan"]
destination = "10.0.0.7"
service = ["udp/4000"]
action = "allow"
[[rule_base.rule]]
name = "errors"
egress = ["lan"]
destination = "10.0.0.7"
service = ["icmp"]
state = ["related"]
action = "allow"
"#;
    let quoted = quote([203, 0, 113, 9], 2000, [192, 0, 2, 9], 53);
    let script = format!(
        "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow rule rule=0
         1 lan 10.0.0.8:4000 > 192.0.2.10:53 udp => allow rule rule=0
         1 wan 192.0.2.9:53 > 203.0.113.9:2000 udp => allow rule rule=1
         1 wan 192.0.2.10:53 > 203.0.113.9:2000 udp => drop default
         2 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{quoted}\" => allow related-error rule=2"
    );
    let hidden = HIDDEN.replace("2000-2001", "2000");
    check(&mut engine(&format!("{text}{hidden}{NETWORK}{BEHIND}")), &script);
    // In front of the translation they see where an answer arrives.
    let text = text.replace("10.0.0.7", "203.0.113.9").replace("udp/4000", "udp/2000");
    let script = script.replace("udp => drop default", "udp => allow rule rule=1");
    check(&mut engine(&format!("{text}{hidden}{NETWORK}")), &script);
}

#[test]
fn s8_a_full_table_refuses_by_name() {
    let mut config = EngineConfig::default();
    config.sessions.max_sessions = 1;
    check(
        &mut engine_with(&format!("{WEB}{NETWORK}"), config),
        "1 lan 10.0.0.7:4000 > 192.0.2.9:443 S => allow rule rule=0
         1 lan 10.0.0.7:4001 > 192.0.2.9:443 S => drop table-full rule=0",
    );
}

proptest! {
    /// The engine's pipeline over compiled lookups against the plain one, rule by rule.
    #[test]
    fn judging_agrees_with_the_reference(firewall in firewalls::small(), seed in any::<u64>()) {
        let firewall = firewalls::linked(&firewall);
        let policy = CompiledPolicy::compile(Arc::clone(&firewall), &CompileLimits::default());
        let mut random = Random::new(seed);
        for _ in 0..10 {
            let key = keys::corner(&firewall, &mut random);
            let known = keys::Known::about(&firewall, &mut random);
            let fast = judge(&policy, &key, &known.knowledge());
            let plain = reference::judge(&firewall, &key, &known.knowledge());
            prop_assert_eq!(fast, plain);
        }
    }
}

/// What cannot be translated stays: a redirect, and a quote too short.
#[test]
fn s5_8_an_error_about_a_translated_session_is_translated_or_dropped() {
    let text = r#"
behaviour = "linux"
[[rule_base]]
name = "policy"
default = "allow"
"#;
    let whole = quote([203, 0, 113, 9], 2000, [192, 0, 2, 9], 53);
    // Twenty bytes of header and four of eight, each written with four characters.
    let short = &whole[..4 * 24];
    let script = format!(
        "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow default
         2 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{whole}\" => allow related-error
         2 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{short}\" => drop untranslatable-error
         2 wan 192.0.2.1 > 203.0.113.9 icmp=5/1 \"{whole}\" => drop untranslatable-error"
    );
    check(&mut engine(&format!("{text}{HIDDEN}{NETWORK}")), &script);
    let script = format!(
        "1 lan 203.0.113.9:2000 > 192.0.2.9:53 udp => allow default
         2 wan 192.0.2.1 > 203.0.113.9 icmp=3/3 \"{short}\" => allow related-error
         2 wan 192.0.2.1 > 203.0.113.9 icmp=5/1 \"{whole}\" => allow related-error"
    );
    check(&mut engine(&format!("{text}{NETWORK}")), &script);
}
