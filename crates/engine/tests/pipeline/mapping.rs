//! Ports that clients keep (`docs/semantics.md` S4.6).

use std::collections::{BTreeMap, BTreeSet};

use parefeu_engine::{Decision, Engine, EngineConfig, Event, Frame, Reason};
use parefeu_net::{FiveTuple, LinkType, Timestamp};
use parefeu_session::EndReason;
use parefeu_testkit::{Random, frames};

use super::{NETWORK, engine, policy};

/// Clients that leave by one address and few ports.
fn few_ports(ports: &str, behaviour: &str) -> String {
    format!(
        r#"
[behaviour]
preset = "asa"
udp = 30
{behaviour}
[[rule_base]]
name = "policy"
default = "allow"
[[source_nat]]
name = "few"
ingress = ["lan"]
translation = {{ pool = "203.0.113.9", port = "allocate {ports}" }}
{NETWORK}"#
    )
}

/// What becomes of a frame.
fn decide(engine: &mut Engine, seconds: u64, interface: &str, text: &str) -> Decision {
    let data = frames::frame(text);
    let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len: data.len() as u32 };
    let ingress = engine.firewall().interface_named(interface);
    engine.handle_frame(Timestamp::from_secs(seconds), ingress, frame)
}

/// What a frame leaves as, or why it does not.
fn leaves(
    engine: &mut Engine,
    seconds: u64,
    interface: &str,
    text: &str,
) -> Result<String, Reason> {
    let decision = decide(engine, seconds, interface, text);
    match decision.translated {
        Some(flow) if decision.verdict.passes() => Ok(flow.to_string()),
        _ => Err(decision.reason),
    }
}

#[track_caller]
fn check(behaviour: &str, ports: &str, script: &[(u64, &str, &str)]) {
    let mut engine = engine(&few_ports(ports, behaviour));
    for &(seconds, frame, expected) in script {
        let left = leaves(&mut engine, seconds, "lan", frame);
        let left = left.unwrap_or_else(|reason| format!("{reason:?}"));
        assert_eq!(left, expected, "{seconds} {frame}");
    }
}

#[test]
fn s4_6_a_port_is_an_endpoints_wherever_it_goes() {
    check(
        "nat-mapping = \"endpoint-independent\"",
        "2000-2001",
        &[
            (1, "10.0.0.7:2000 > 192.0.2.1:53 udp", "udp 203.0.113.9:2000 > 192.0.2.1:53"),
            (1, "10.0.0.8:2000 > 192.0.2.2:53 udp", "udp 203.0.113.9:2001 > 192.0.2.2:53"),
            (2, "10.0.0.8:2000 > 192.0.2.3:99 udp", "udp 203.0.113.9:2001 > 192.0.2.3:99"),
            (2, "10.0.0.9:2000 > 192.0.2.4:53 udp", "PortsExhausted"),
            (2, "10.0.0.9:2000 > 192.0.2.4:53 S", "tcp 203.0.113.9:2000 > 192.0.2.4:53"),
            // The second client's first session has ended, the one it opened later has not.
            (31, "10.0.0.9:2000 > 192.0.2.4:53 udp", "udp 203.0.113.9:2000 > 192.0.2.4:53"),
            (31, "10.0.0.8:2000 > 192.0.2.2:53 udp", "udp 203.0.113.9:2001 > 192.0.2.2:53"),
        ],
    );
}

#[test]
fn s4_6_a_port_is_an_endpoints_towards_one_host() {
    check(
        "nat-mapping = \"address-dependent\"",
        "2000-2001",
        &[
            (1, "10.0.0.7:2001 > 192.0.2.1:53 udp", "udp 203.0.113.9:2001 > 192.0.2.1:53"),
            (1, "10.0.0.8:2001 > 192.0.2.1:53 udp", "udp 203.0.113.9:2000 > 192.0.2.1:53"),
            (1, "10.0.0.8:2001 > 192.0.2.1:99 udp", "udp 203.0.113.9:2000 > 192.0.2.1:99"),
            (1, "10.0.0.8:2001 > 192.0.2.2:53 udp", "udp 203.0.113.9:2001 > 192.0.2.2:53"),
            (1, "10.0.0.9:2001 > 192.0.2.1:77 udp", "PortsExhausted"),
        ],
    );
}

#[test]
fn s4_6_an_even_port_is_translated_to_an_even_one() {
    check(
        "nat-port-parity = true",
        "2000-2003",
        &[
            (1, "10.0.0.7:4000 > 192.0.2.1:53 udp", "udp 203.0.113.9:2000 > 192.0.2.1:53"),
            (1, "10.0.0.7:4002 > 192.0.2.1:53 udp", "udp 203.0.113.9:2002 > 192.0.2.1:53"),
            (1, "10.0.0.7:4004 > 192.0.2.1:53 udp", "PortsExhausted"),
            (1, "10.0.0.7:2003 > 192.0.2.1:53 udp", "udp 203.0.113.9:2003 > 192.0.2.1:53"),
        ],
    );
}

#[test]
fn s4_6_connections_answered_alike_leave_from_different_ports() {
    let text = |behaviour: &str| {
        format!(
            r#"
{behaviour}
[[rule_base]]
name = "policy"
default = "allow"
[[destination_nat]]
destination = "203.0.113.5"
translation = {{ prefix = "192.0.2.1", port = "80" }}
{NETWORK}"#
        )
    };
    let frames = [
        "10.0.0.7:4000 > 203.0.113.5:443 S",
        "10.0.0.7:4000 > 192.0.2.1:80 S",
        "10.0.0.7:999 > 203.0.113.5:443 S",
        "10.0.0.7:999 > 203.0.113.5:8443 S",
        "10.0.0.7 > 203.0.113.5 echo id=7",
        "10.0.0.7 > 192.0.2.1 echo id=7",
    ];
    let all = |behaviour: &str| {
        let mut engine = engine(&text(behaviour));
        frames.map(|frame| {
            let decision = decide(&mut engine, 1, "lan", frame);
            decision.verdict.passes().then_some(decision.translated).ok_or(decision.reason)
        })
    };
    let clash = Err(Reason::TranslationClash);
    let kept = all("[behaviour]\npreset = \"asa\"");
    assert!(kept[0].is_ok() && kept[2].is_ok() && kept[4].is_ok(), "{kept:?}");
    assert_eq!([&kept[1], &kept[3], &kept[5]], [&clash; 3]);

    let given = all("[behaviour]\npreset = \"linux\"").map(|it| it.unwrap().unwrap());
    let ends = |flow: &FiveTuple| (flow.src.to_string(), flow.dst.to_string());
    for flow in &given {
        assert_eq!(ends(flow), ("10.0.0.7".to_owned(), "192.0.2.1".to_owned()));
    }
    let ports = given.map(|flow| (flow.src_port, flow.dst_port));
    assert_eq!((ports[0], ports[2]), ((4000, 80), (999, 80)));
    assert!(ports[1].0 >= 1024 && ports[1] != ports[0], "{ports:?}");
    assert!((600..1024).contains(&ports[3].0) && ports[3] != ports[2], "{ports:?}");
    assert_ne!(ports[5], ports[4]);
}

#[test]
fn s4_6_an_answer_from_elsewhere_is_a_new_connection() {
    let text = few_ports("2000-2001", "nat-mapping = \"endpoint-independent\"");
    let mut engine = engine(&text);
    let asked = leaves(&mut engine, 1, "lan", "10.0.0.7:2000 > 192.0.2.1:53 udp");
    assert_eq!(asked.unwrap(), "udp 203.0.113.9:2000 > 192.0.2.1:53");
    let answered = leaves(&mut engine, 1, "wan", "192.0.2.1:53 > 203.0.113.9:2000 udp");
    assert_eq!(answered.unwrap(), "udp 192.0.2.1:53 > 10.0.0.7:2000");
    let elsewhere = leaves(&mut engine, 1, "wan", "192.0.2.2:53 > 203.0.113.9:2000 udp");
    assert_eq!(elsewhere, Err(Reason::DefaultRule));
}

/// Clients with IPv6 addresses reach IPv4 servers, whose addresses the asked ones embed.
const NAT64: &str = r#"
[[destination_nat]]
name = "embedded"
destination = "64:ff9b::/96"
translation = { embedded = "64:ff9b::/96" }
[[destination_nat]]
name = "published"
destination = "203.0.113.80"
translation = { prefix = "2001:db8::80" }
[[source_nat]]
name = "out"
ingress = ["lan"]
destination = "64:ff9b::/96"
translation = { pool = "203.0.113.9", port = "allocate 2000-2001" }
[[source_nat]]
name = "in"
ingress = ["wan"]
destination = "203.0.113.80"
translation = { embedded = "64:ff9b::/96" }
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "web"
to = ["outside"]
service = ["tcp/443", "udp/53", "icmpv6"]
action = "allow"
[[rule_base.rule]]
name = "published"
to = ["inside"]
service = ["tcp/80", "icmp"]
action = "allow"
"#;

fn nat64(behaviour: &str) -> String {
    let network = NETWORK.replace("10.0.0.1/24", "2001:db8::1/64");
    format!("behaviour = \"{behaviour}\"\n{network}{NAT64}")
}

#[test]
fn s4_7_a_connection_goes_on_in_the_other_family() {
    for behaviour in ["panos", "linux"] {
        let mut text = nat64(behaviour);
        if behaviour == "linux" {
            // Rules see answers too.
            text += "[[rule_base.rule]]\nname = \"back\"\nsource = [\"64:ff9b::/96\", \
                     \"203.0.113.80\"]\nstate = \"established\"\naction = \"allow\"\n";
        }
        let mut engine = engine(&text);
        for (interface, frame, expected) in [
            (
                "lan",
                "[2001:db8::7]:2000 > [64:ff9b::c000:201]:443 S seq=1",
                "tcp 203.0.113.9:2000 > 192.0.2.1:443",
            ),
            (
                "wan",
                "192.0.2.1:443 > 203.0.113.9:2000 S. seq=9 ack=2",
                "tcp [64:ff9b::c000:201]:443 > [2001:db8::7]:2000",
            ),
            (
                "lan",
                "[2001:db8::8]:2000 > [64:ff9b::c000:201]:443 S seq=1",
                "tcp 203.0.113.9:2001 > 192.0.2.1:443",
            ),
            ("lan", "2001:db8::7 > 64:ff9b::c000:201 echo id=7", "icmp 203.0.113.9 > 192.0.2.1"),
            (
                "wan",
                "192.0.2.1 > 203.0.113.9 echo-reply id=7",
                "icmpv6 64:ff9b::c000:201 > 2001:db8::7",
            ),
            // The identifier is taken: this client gets another one.
            ("lan", "2001:db8::8 > 64:ff9b::c000:201 echo id=7", "icmp 203.0.113.9 > 192.0.2.1"),
            (
                "wan",
                "192.0.2.1 > 203.0.113.9 echo-reply id=7",
                "icmpv6 64:ff9b::c000:201 > 2001:db8::7",
            ),
            (
                "wan",
                "192.0.2.9:4000 > 203.0.113.80:80 S seq=1",
                "tcp [64:ff9b::c000:209]:4000 > [2001:db8::80]:80",
            ),
            (
                "lan",
                "[2001:db8::80]:80 > [64:ff9b::c000:209]:4000 S. seq=9 ack=2",
                "tcp 203.0.113.80:80 > 192.0.2.9:4000",
            ),
        ] {
            let left = leaves(&mut engine, 1, interface, frame);
            let left = left.unwrap_or_else(|reason| format!("{reason:?}"));
            assert_eq!(left, expected, "{behaviour}: {frame}");
        }
        assert_eq!(engine.session_count(), 5);
        let identifiers = |engine: &mut Engine| {
            engine.close_all(EndReason::CaptureEnd);
            let ended = std::iter::from_fn(|| engine.poll_event());
            let pings = ended.filter_map(|event| match event {
                Event::SessionEnded(it) if it.flow.protocol.is_icmp() => it.translated,
                _ => None,
            });
            pings.map(|flow| flow.src_port).collect::<BTreeSet<u16>>()
        };
        let snapshot = engine.snapshot();
        let mut again = super::engine(&text);
        again.restore(&snapshot).unwrap();
        assert_eq!(again.session_count(), 5);
        assert_eq!(identifiers(&mut again).len(), 2);
        assert_eq!(identifiers(&mut engine).len(), 2);
    }
}

#[test]
fn s4_7_an_error_message_goes_back_to_the_first_family() {
    let mut engine = engine(&nat64("panos"));
    let asked = "[2001:db8::7]:2000 > [64:ff9b::c000:201]:53 udp \"x\"";
    leaves(&mut engine, 1, "lan", asked).unwrap();
    let left = frames::frame("203.0.113.9:2000 > 192.0.2.1:53 udp \"x\"");
    let error = frames::frame_with("192.0.2.254 > 203.0.113.9 icmp=3/1", &left[14..]);
    let frame = Frame { link_type: LinkType::ETHERNET, data: &error, wire_len: 100 };
    let wan = engine.firewall().interface_named("wan");
    let decision = engine.handle_frame(Timestamp::from_secs(1), wan, frame);
    assert_eq!(decision.reason, Reason::RelatedError);
    // As the server's: whom a router's address would embed nobody says.
    let error = decision.translated.unwrap().to_string();
    assert_eq!(error, "icmpv6 64:ff9b::c000:201 > 2001:db8::7");
    let quoted = decision.quoted.unwrap().to_string();
    assert_eq!(quoted, "udp [2001:db8::7]:2000 > [64:ff9b::c000:201]:53");
}

#[test]
fn s4_7_what_has_ends_of_both_families_is_not_told() {
    let text = nat64("panos");
    let mut engine = engine(&text.replace("name = \"in\"", "name = \"in\"\ndisabled = true"));
    super::check(
        &mut engine,
        "1 wan 192.0.2.9:4000 > 203.0.113.80:80 S => unknown translation-not-modelled",
    );
}

/// Which connections may share a port: the definition, over all pairs of live sessions.
#[test]
fn s4_6_ports_are_shared_as_the_mapping_says_and_refused_when_all_are_taken() {
    const PORTS: std::ops::Range<u16> = 2000..2006;
    for (mapping, parity) in [
        ("address-and-port-dependent", false),
        ("address-and-port-dependent", true),
        ("address-dependent", false),
        ("address-dependent", true),
        ("endpoint-independent", false),
        ("endpoint-independent", true),
    ] {
        let behaviour = format!("nat-mapping = \"{mapping}\"\nnat-port-parity = {parity}");
        let policy = policy(&few_ports("2000-2005", &behaviour));
        let mut engine = Engine::new(policy.clone(), EngineConfig::default());
        let mut random = Random::new(7);
        let mut live: BTreeMap<u64, (FiveTuple, FiveTuple)> = BTreeMap::new();
        let (mut refused, mut shared) = (0, 0);
        let reach = |flow: &FiveTuple| match mapping {
            "endpoint-independent" => None,
            "address-dependent" => Some((flow.dst, None)),
            _ => Some((flow.dst, Some(flow.dst_port))),
        };
        for step in 0..2_000u64 {
            if random.below(50) == 0 {
                let snapshot = engine.snapshot();
                engine = Engine::new(policy.clone(), EngineConfig::default());
                engine.restore(&snapshot).unwrap();
            }
            let [client, port, server, service] = [4, 3, 3, 2].map(|below| random.below(below));
            let (port, service) = (4000 + port, 50 + service);
            let text = format!("10.0.0.{client}:{port} > 192.0.2.{server}:{service} udp");
            let data = frames::frame(&text);
            let wire_len = data.len() as u32;
            let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
            let lan = engine.firewall().interface_named("lan");
            let decision = engine.handle_frame(Timestamp::from_secs(step), lan, frame);
            while let Some(event) = engine.poll_event() {
                let Event::SessionEnded(summary) = event else { continue };
                live.remove(&summary.id);
            }
            let packet = parefeu_net::decode(
                LinkType::ETHERNET,
                &data,
                data.len(),
                &parefeu_net::DecodeLimits::default(),
            );
            let flow = packet.five_tuple().unwrap();
            let endpoint = |flow: &FiveTuple| (flow.src, flow.src_port);
            if let Some(new) = decision.translated {
                live.insert(decision.session.unwrap(), (flow, new));
                assert!(PORTS.contains(&new.src_port), "{text}");
                assert!(!parity || new.src_port % 2 == flow.src_port % 2, "{text}");
                for (other, other_new) in live.values().filter(|(other, _)| *other != flow) {
                    let is_same = endpoint(other) == endpoint(&flow);
                    if reach(other) == reach(&flow) {
                        let is_same_port = other_new.src_port == new.src_port;
                        assert_eq!(is_same, is_same_port, "{mapping}: {text}, {other}");
                        shared += usize::from(is_same);
                    }
                }
            } else {
                refused += 1;
                assert_eq!(decision.reason, Reason::PortsExhausted, "{text}");
                let there = live.values().filter(|(other, _)| reach(other) == reach(&flow));
                let taken: BTreeSet<u16> = there.clone().map(|(_, new)| new.src_port).collect();
                let fits = |port: &u16| !parity || port % 2 == flow.src_port % 2;
                assert!(PORTS.filter(fits).all(|port| taken.contains(&port)), "{text}");
                assert!(there.into_iter().all(|(it, _)| endpoint(it) != endpoint(&flow)), "{text}");
            }
        }
        assert!(refused > 0, "{mapping}, {parity}");
        assert_eq!(shared > 0, mapping != "address-and-port-dependent");
    }
}

/// Linux gives a SYN the port of a connection that is over, if none is free.
#[test]
fn s4_6_a_connection_that_is_over_gives_its_port_up() {
    let script = [
        ("lan", "10.0.0.7:4000 > 192.0.2.9:80 S seq=100"),
        ("wan", "192.0.2.9:80 > 203.0.113.9:2000 S. seq=5 ack=101"),
        ("lan", "10.0.0.7:4000 > 192.0.2.9:80 . seq=101 ack=6"),
        ("lan", "10.0.0.8:4000 > 192.0.2.9:80 S seq=9000"),
        ("lan", "10.0.0.7:4000 > 192.0.2.9:80 R seq=101"),
        // Segments of the old connection could be taken for some of this one.
        ("lan", "10.0.0.8:4000 > 192.0.2.9:80 S seq=50"),
        ("lan", "10.0.0.8:4000 > 192.0.2.9:80 S seq=9000"),
        ("wan", "192.0.2.9:80 > 203.0.113.9:2000 S. seq=7 ack=9001"),
    ];
    let (mine, others) = ("tcp 203.0.113.9:2000 > 192.0.2.9:80", "PortsExhausted");
    for (preset, newer, answer) in [
        ("linux", mine, "tcp 192.0.2.9:80 > 10.0.0.8:4000"),
        ("linux\"\nnat-port-on-clash = false #", others, "tcp 192.0.2.9:80 > 10.0.0.7:4000"),
    ] {
        let text = few_ports("2000", "").replace("\"asa\"", &format!("\"{preset}\""));
        let mut engine = engine(&text);
        let left = script.map(|(interface, frame)| {
            let left = leaves(&mut engine, 1, interface, frame);
            left.unwrap_or_else(|reason| format!("{reason:?}"))
        });
        let told = engine.poll_event().and_then(|event| match event {
            Event::SessionEnded(summary) => Some(summary.end_reason),
            _ => None,
        });
        let [_, _, _, early, reset, older, found, answered] = left;
        assert_eq!([&*early, &*reset, &*older], [others, mine, others]);
        assert_eq!([&*found, &*answered], [newer, answer]);
        assert_eq!(told, (newer == mine).then_some(EndReason::TcpReuse));
    }
}

/// The range of a rule that translates ICMP alone is one of identifiers.
#[test]
fn s4_6_identifiers_are_used_up_where_a_rule_is_for_icmp_alone() {
    let few = few_ports("2000-2001", "");
    let pings = few.replace("ingress = [\"lan\"]", "ingress = [\"lan\"]\nservice = \"icmp\"");
    for (text, third) in [(few, Ok(7)), (pings, Err(Reason::PortsExhausted))] {
        let mut engine = engine(&text);
        let mut ids = [1, 2, 3].map(|host| {
            let ping = format!("10.0.0.{host} > 192.0.2.9 echo id=7");
            let decision = decide(&mut engine, 1, "lan", &ping);
            decision.translated.map(|flow| flow.src_port).ok_or(decision.reason)
        });
        assert_eq!(ids[2].is_ok(), third.is_ok());
        if third.is_err() {
            ids[..2].sort_unstable();
            assert_eq!(ids, [Ok(2000), Ok(2001), third]);
        } else {
            assert_eq!(ids[0], third);
        }
    }
}
