//! Frames through the whole pipeline, clause by clause of `docs/semantics.md`.
#![expect(clippy::unwrap_used, reason = "a test whose firewall does not link has failed")]

use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Engine, EngineConfig, Event, Frame, judge};
use parefeu_net::{LinkType, Timestamp};
use parefeu_policy::{Source, link, native, reference};
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
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
    let policy = CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default());
    Engine::new(Arc::new(policy), config)
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
    check(
        &mut engine(&format!("{text}{NETWORK}")),
        r#"1 lan 10.0.0.7:4000 > 192.0.2.9:443 S seq=1 => allow tentative rule=0
           1 wan 192.0.2.9:443 > 10.0.0.7:4000 S. seq=9 ack=2 => allow tentative rule=0
           1 lan 10.0.0.7:4000 > 192.0.2.9:443 P. seq=2 ack=10 "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n" => deny identified
           2 wan 192.0.2.9:443 > 10.0.0.7:4000 . seq=10 ack=40 => deny session
           3 lan 10.0.0.7:5000 > 192.0.2.9:22 S seq=1 => allow tentative rule=0
           3 wan 192.0.2.9:22 > 10.0.0.7:5000 S. seq=9 ack=2 => allow tentative rule=0
           3 wan 192.0.2.9:22 > 10.0.0.7:5000 P. seq=10 ack=2 "SSH-2.0-OpenSSH_9.2\r\n" => allow identified rule=0"#,
    );
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
