//! Packets of known sessions, and first packets that are refused, allocate nothing.
#![expect(clippy::unwrap_used, reason = "a test whose firewall does not link has failed")]

use std::sync::Arc;
use std::time::Duration;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Decision, Engine, EngineConfig, Frame};
use parefeu_net::{LinkType, Timestamp};
use parefeu_policy::{InterfaceId, Source, link, native};
use parefeu_testkit::allocation::{Counting, allocations_of};
use parefeu_testkit::frames;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the packets of a steady state are repeated, a second apart.
const ROUNDS: u64 = 300;

const NETWORK: &str = r#"
[[zone]]
name = "outside"
[[zone]]
name = "inside"
[[interface]]
name = "wan"
zone = "outside"
address = ["203.0.113.1/24", "2001:db8:ffff::1/64"]
[[interface]]
name = "lan"
zone = "inside"
address = ["10.0.0.1/24", "2001:db8::1/64"]
[[route]]
destination = "0.0.0.0/0"
next_hop = "203.0.113.254"
[[route]]
destination = "::/0"
next_hop = "2001:db8:ffff::fe"
[[layer]]
rule_base = "policy"
"#;

/// Identification, URL categories and users all have a say.
const POLICY: &str = r#"
[[application]]
name = "ssh"
identified_as = ["ssh"]
[[application]]
name = "web-browsing"
identified_as = ["http"]
[[application]]
name = "dns"
identified_as = ["dns"]
[[application]]
name = "ping"
identified_as = ["ping"]
[[url_category]]
name = "games"
patterns = ["games.example/"]
[[url_category]]
name = "shops"
patterns = ["shop.example/"]
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "no-telnet"
service = ["tcp/23"]
user = ["ann", "unknown"]
action = "deny"
[[rule_base.rule]]
name = "no-games"
url_category = ["games"]
action = "deny"
[[rule_base.rule]]
name = "known"
from = ["inside"]
application = ["ssh", "web-browsing", "dns", "ping"]
action = "allow"
"#;

/// The same connections are let through by their state, packet by packet.
const STATEFUL: &str = r#"
[[url_category]]
name = "games"
patterns = ["games.example/"]
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "no-games"
url_category = ["games"]
action = "deny"
[[rule_base.rule]]
name = "known"
state = ["established", "related"]
action = "allow"
[[rule_base.rule]]
name = "no-telnet"
service = ["tcp/23"]
action = "deny"
[[rule_base.rule]]
name = "new"
from = ["inside"]
state = ["new"]
action = "allow"
"#;

const NAT: &str = r#"
[[source_nat]]
name = "out"
source = ["10.0.0.0/8"]
egress = ["wan"]
translation = "egress-interface"
"#;

/// SSH, DNS, ping and the web over both families, as far as they are identified.
const OPENING: &str = r#"
lan 10.0.0.7:4000 > 192.0.2.9:22 S seq=1
wan 192.0.2.9:22 > CLIENT:4000 S. seq=9 ack=2
wan 192.0.2.9:22 > CLIENT:4000 P. seq=10 ack=2 "SSH-2.0-OpenSSH_9.2\r\n"
lan 10.0.0.7:4000 > 192.0.2.9:22 P. seq=2 ack=31 "SSH-2.0-OpenSSH_9.2\r\n"
lan [2001:db8::7]:4000 > [2001:db8:9::9]:22 S seq=1
wan [2001:db8:9::9]:22 > [2001:db8::7]:4000 S. seq=9 ack=2
wan [2001:db8:9::9]:22 > [2001:db8::7]:4000 P. seq=10 ack=2 "SSH-2.0-OpenSSH_9.2\r\n"
lan [2001:db8::7]:4000 > [2001:db8:9::9]:22 P. seq=2 ack=31 "SSH-2.0-OpenSSH_9.2\r\n"
lan 10.0.0.7:5000 > 192.0.2.9:80 S seq=1
wan 192.0.2.9:80 > CLIENT:5000 S. seq=9 ack=2
lan 10.0.0.7:5000 > 192.0.2.9:80 P. seq=2 ack=10 "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
wan 192.0.2.9:80 > CLIENT:5000 P. seq=10 ack=40 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
lan 10.0.0.7:6000 > 192.0.2.9:53 udp "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
wan 192.0.2.9:53 > CLIENT:6000 udp "\x00\x01\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
lan [2001:db8::7]:6000 > [2001:db8:9::9]:53 udp "\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"
lan 10.0.0.7 > 192.0.2.9 echo id=7 seq=1
wan 192.0.2.9 > CLIENT echo-reply id=7 seq=1
lan 2001:db8::7 > 2001:db8:9::9 echo id=7 seq=1
wan 2001:db8:9::9 > 2001:db8::7 echo-reply id=7 seq=1
"#;

/// More of the same connections.
const STEADY: &str = "
lan 10.0.0.7:4000 > 192.0.2.9:22 P. seq=23 ack=31 len=100
wan 192.0.2.9:22 > CLIENT:4000 P. seq=31 ack=23 len=1000
lan [2001:db8::7]:4000 > [2001:db8:9::9]:22 P. seq=23 ack=31 len=100
wan [2001:db8:9::9]:22 > [2001:db8::7]:4000 P. seq=31 ack=23 len=1000
wan 192.0.2.9:80 > CLIENT:5000 . seq=49 ack=40 len=100
lan 10.0.0.7:6000 > 192.0.2.9:53 udp len=30
wan 192.0.2.9:53 > CLIENT:6000 udp len=300
lan [2001:db8::7]:6000 > [2001:db8:9::9]:53 udp len=30
lan 10.0.0.7 > 192.0.2.9 echo id=7 seq=2
wan 192.0.2.9 > CLIENT echo-reply id=7 seq=2
lan 2001:db8::7 > 2001:db8:9::9 echo id=7 seq=2
wan 2001:db8:9::9 > 2001:db8::7 echo-reply id=7 seq=2
";

struct Firewall {
    engine: Engine,
    now: Timestamp,
}

impl Firewall {
    fn new(parts: &[&str]) -> Self {
        let (firewall, mut problems) = native::read(Source::new("test.toml", &parts.concat()));
        let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
        let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
        let policy = CompiledPolicy::compile(Arc::new(linked), &CompileLimits::default());
        let engine = Engine::new(Arc::new(policy), EngineConfig::default());
        Self { engine, now: Timestamp::from_secs(1) }
    }

    /// Frames of lines of `INTERFACE FRAME`; those longer than a link carries come in fragments.
    fn frames(&self, lines: &str) -> Vec<(Option<InterfaceId>, Vec<u8>)> {
        let lines = lines.lines().filter(|line| !line.is_empty());
        let read = |line: &str| {
            let (interface, frame) = line.split_once(' ').unwrap();
            let ingress = self.engine.firewall().interface_named(interface);
            fragments(frames::frame(frame)).into_iter().map(move |frame| (ingress, frame))
        };
        lines.flat_map(read).collect()
    }

    fn feed(&mut self, frames: &[(Option<InterfaceId>, Vec<u8>)], decisions: &mut Vec<Decision>) {
        for (ingress, data) in frames {
            let wire_len = data.len() as u32;
            let frame = Frame { link_type: LinkType::ETHERNET, data, wire_len };
            decisions.push(self.engine.handle_frame(self.now, *ingress, frame));
            while self.engine.poll_event().is_some() {}
        }
    }
}

/// Feeds `opening` once and `steady` again and again; every packet of the latter has to be decided
/// as `expected`, in order and cyclically, without an allocation.
#[track_caller]
fn check(parts: &[&str], opening: &str, steady: &str, expected: &[&str]) {
    let mut firewall = Firewall::new(parts);
    let (opening, steady) = (firewall.frames(opening), firewall.frames(steady));
    let mut decisions = Vec::new();
    firewall.feed(&opening, &mut decisions);
    // What grows once, such as tables and counters, has grown after the first round.
    firewall.feed(&steady, &mut decisions);
    decisions.clear();
    decisions.reserve(steady.len() * ROUNDS as usize);
    let allocations = allocations_of(|| {
        for _ in 0..ROUNDS {
            firewall.now = firewall.now + Duration::from_secs(1);
            firewall.feed(&steady, &mut decisions);
        }
    });
    for (decision, expected) in decisions.iter().zip(expected.iter().cycle()) {
        assert_eq!(decision.to_string(), *expected);
    }
    assert_eq!(allocations, 0, "in {} packets", decisions.len());
}

/// The frame, or the fragments it has to travel in.
fn fragments(frame: Vec<u8>) -> Vec<Vec<u8>> {
    let is_v4 = frame[12..14] == [0x08, 0x00];
    let (head, payload) = frame.split_at(if is_v4 { 34 } else { 54 });
    let count = payload.len().div_ceil(1400);
    if count < 2 {
        return vec![frame];
    }
    let fragment = |(index, piece): (usize, &[u8])| {
        let mut fragment = head.to_vec();
        let more = u16::from(index + 1 < count);
        let offset = (index * 1400 / 8) as u16;
        if is_v4 {
            fragment[16..18].copy_from_slice(&(20 + piece.len() as u16).to_be_bytes());
            fragment[20..22].copy_from_slice(&(more << 13 | offset).to_be_bytes());
            fragment[24..26].fill(0);
            let words = fragment[14..].chunks_exact(2);
            let sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            fragment[24..26].copy_from_slice(&(!(folded as u16)).to_be_bytes());
        } else {
            fragment[18..20].copy_from_slice(&(8 + piece.len() as u16).to_be_bytes());
            let next = std::mem::replace(&mut fragment[20], 44);
            fragment.extend([next, 0]);
            fragment.extend((offset << 3 | more).to_be_bytes());
            fragment.extend([0, 0, 0, 1]);
        }
        fragment.extend_from_slice(piece);
        fragment
    };
    payload.chunks(1400).enumerate().map(fragment).collect()
}

fn as_seen_inside(lines: &str) -> String {
    lines.replace("CLIENT", "10.0.0.7")
}

/// The lines of [`OPENING`] about the connection of one client port.
fn opening_of(client: &str) -> String {
    let lines = OPENING.lines().filter(|line| line.contains(client));
    as_seen_inside(&lines.collect::<Vec<_>>().join("\n"))
}

fn as_seen_translated(lines: &str) -> String {
    lines.replace("CLIENT", "203.0.113.1")
}

#[test]
fn the_counter_sees_allocations() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn packets_of_identified_sessions_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK];
    let expected = ["allow session rule=2"];
    check(&firewall, &as_seen_inside(OPENING), &as_seen_inside(STEADY), &expected);
}

#[test]
fn translated_packets_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK, NAT];
    let expected = ["allow session rule=2"];
    check(&firewall, &as_seen_translated(OPENING), &as_seen_translated(STEADY), &expected);
}

#[test]
fn packets_that_the_rules_compare_one_by_one_allocate_nothing() {
    let firewall = ["behaviour = \"linux\"", STATEFUL, NETWORK];
    // Nobody has answered the DNS query over IPv6.
    let expected: Vec<&str> =
        (0..12).map(|at| if at == 7 { "allow rule rule=3" } else { "allow rule rule=1" }).collect();
    check(&firewall, &as_seen_inside(OPENING), &as_seen_inside(STEADY), &expected);
}

#[test]
fn requests_for_a_page_already_seen_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK];
    let request = r#"lan 10.0.0.7:5000 > 192.0.2.9:80 P. seq=40 ack=49 "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n""#;
    check(&firewall, &opening_of(":5000"), request, &["allow session rule=2"]);
}

#[test]
fn refused_flows_that_are_kept_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK];
    let telnet = "lan 10.0.0.7:4000 > 192.0.2.9:23 S\n\
                  lan [2001:db8::7]:4000 > [2001:db8:9::9]:23 S";
    check(&firewall, "", telnet, &["deny session rule=0"]);
}

#[test]
fn first_packets_that_are_refused_allocate_nothing() {
    let telnet = "lan 10.0.0.7:4000 > 192.0.2.9:23 S\n\
                  lan [2001:db8::7]:4000 > [2001:db8:9::9]:23 S";
    check(&["behaviour = \"asa\"", POLICY, NETWORK, NAT], "", telnet, &["deny rule rule=0"]);
    check(&["behaviour = \"linux\"", STATEFUL, NETWORK, NAT], "", telnet, &["deny rule rule=2"]);
}

#[test]
fn packets_that_fit_nothing_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK];
    let steady = "lan 10.0.0.7:4000 > 192.0.2.9:22 P. seq=90000000 ack=31 len=100\n\
                  lan 10.0.0.7:4444 > 192.0.2.9:22 . seq=5 ack=5\n\
                  wan 192.0.2.9 > 10.0.0.7 echo-reply id=9 seq=1";
    let expected =
        ["drop invalid-for-session", "drop invalid-first-packet", "drop invalid-first-packet"];
    check(&firewall, &opening_of(":4000"), steady, &expected);
}

#[test]
fn fragments_allocate_nothing() {
    let firewall = ["behaviour = \"panos\"", POLICY, NETWORK];
    let steady = "lan 10.0.0.7:6000 > 192.0.2.9:53 udp len=4000\n\
                  lan [2001:db8::7]:6000 > [2001:db8:9::9]:53 udp len=4000";
    let expected = ["hold fragment-held", "hold fragment-held", "allow session rule=2"];
    check(&firewall, &opening_of(":6000"), steady, &expected);
}
