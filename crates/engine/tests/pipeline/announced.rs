//! Connections that another one announces (`docs/semantics.md` S5.7).

use parefeu_net::{LinkType, Timestamp};
use parefeu_testkit::frames;

use super::{NETWORK, check, engine};
use parefeu_engine::{Frame, Verdict};

/// Lets control connections out, and in to a published host, and nothing else.
const CONTROL: &str = r#"
behaviour = "panos"
[[rule_base]]
name = "policy"
default = "deny"
[[rule_base.rule]]
name = "control"
service = ["tcp/21", "udp/69", "udp/5060", "tcp/5060"]
action = "allow"
[[destination_nat]]
name = "publish"
ingress = ["wan"]
destination = "203.0.113.80"
translation = { prefix = "10.0.0.80" }
[[source_nat]]
name = "out"
egress = ["wan"]
ingress = ["lan"]
translation = { pool = "203.0.113.9", port = "allocate 2000-2009" }
"#;

#[test]
fn s5_7_ftp_announces_where_data_goes() {
    check(
        &mut engine(&format!("{CONTROL}{NETWORK}")),
        r#"1 wan 192.0.2.9:4000 > 203.0.113.80:21 S seq=1 => allow rule rule=0
           1 lan 10.0.0.80:21 > 192.0.2.9:4000 S. seq=1 ack=2 => allow session rule=0
           1 wan 192.0.2.9:4000 > 203.0.113.80:21 . seq=2 ack=2 "PASV\r\n" => allow session rule=0
           1 lan 10.0.0.80:21 > 192.0.2.9:4000 P. seq=2 ack=8 "227 Go (10,0,0,80,8,1)\r\n" => allow session rule=0
           1 wan 192.0.2.8:4001 > 203.0.113.80:2049 S => deny default
           1 wan 192.0.2.9:4001 > 203.0.113.80:2050 S => deny default
           2 wan 192.0.2.9:4001 > 203.0.113.80:2049 S => allow predicted rule=0
           2 lan 10.0.0.80:2049 > 192.0.2.9:4001 S. seq=1 ack=1 => allow session rule=0
           3 wan 192.0.2.9:4002 > 203.0.113.80:2049 S => deny default"#,
    );
}

#[test]
fn s5_7_what_names_another_host_announces_nothing() {
    check(
        &mut engine(&format!("{CONTROL}{NETWORK}")),
        r#"1 wan 192.0.2.9:4000 > 203.0.113.80:21 S seq=1 => allow rule rule=0
           1 lan 10.0.0.80:21 > 192.0.2.9:4000 S. seq=1 ack=2 => allow session rule=0
           1 wan 192.0.2.9:4000 > 203.0.113.80:21 . seq=2 ack=2 "PORT 10,0,0,9,8,1\r\n" => allow session rule=0
           2 lan 10.0.0.80:20 > 10.0.0.9:2049 S => deny default
           2 lan 10.0.0.80:20 > 192.0.2.9:2049 S => deny default"#,
    );
}

/// The server answers from a port of its own, to the port the request left from.
#[test]
fn s5_7_tftp_answers_from_another_port() {
    let mut engine = engine(&format!("{CONTROL}{NETWORK}"));
    check(
        &mut engine,
        r#"1 lan 10.0.0.7:4000 > 192.0.2.9:69 udp "\x00\x01a.cfg\x00octet\x00" => allow rule rule=0
           1 wan 192.0.2.9:3445 > 203.0.113.9:4000 udp "\x00\x03\x00\x01" => deny default
           1 wan 192.0.2.8:3445 > 203.0.113.9:2000 udp "\x00\x03\x00\x01" => deny default"#,
    );
    // The port was chosen: it is one of ten.
    let answered: Vec<_> = (2000..2010)
        .filter_map(|port| {
            let text = format!("192.0.2.9:3446 > 203.0.113.9:{port} udp \"\\x00\\x03\\x00\\x01\"");
            let data = frames::frame(&text);
            let wire_len = data.len() as u32;
            let wan = engine.firewall().interface_named("wan");
            let frame = Frame { link_type: LinkType::ETHERNET, data: &data, wire_len };
            let decision = engine.handle_frame(Timestamp::from_secs(2), wan, frame);
            (decision.verdict == Verdict::Allow).then(|| decision.translated.unwrap().to_string())
        })
        .collect();
    assert_eq!(answered, ["udp 192.0.2.9:3446 > 10.0.0.7:4000"]);
}

const OFFER: &str = r"INVITE sip:b@example.com SIP/2.0\r\nContent-Type: application/sdp\r\nContent-Length: 72\r\n\r\nv=0\r\nc=IN IP4 10.0.0.7\r\nm=audio 4004 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n";

#[test]
fn s5_7_sip_announces_media_and_their_reports() {
    let script = [
        &format!("1 lan 10.0.0.7:5060 > 192.0.2.9:5060 udp \"{OFFER}\" => allow rule rule=0"),
        "1 wan 192.0.2.9:7000 > 203.0.113.9:4003 udp => deny default",
        "1 wan 192.0.2.8:7000 > 203.0.113.9:4004 udp => deny default",
        "2 wan 192.0.2.9:7000 > 203.0.113.9:4004 udp => allow predicted rule=0",
        "2 lan 10.0.0.7:4004 > 192.0.2.9:7000 udp => allow session rule=0",
        "2 wan 192.0.2.9:7001 > 203.0.113.9:4005 udp => allow predicted rule=0",
        "3 wan 192.0.2.9:7002 > 203.0.113.9:4006 udp => deny default",
        "99 wan 192.0.2.9:7003 > 203.0.113.9:4004 udp => deny default",
    ];
    check(&mut engine(&format!("{CONTROL}{NETWORK}")), &script.join("\n"));
}

#[test]
fn s5_7_nothing_is_announced_unless_the_behaviour_predicts() {
    let text = CONTROL.replace("behaviour = \"panos\"", "");
    let text = format!("{text}{NETWORK}\n[behaviour]\npreset = \"panos\"\nexpect-sip = false\n");
    let script = [
        &format!("1 lan 10.0.0.7:5060 > 192.0.2.9:5060 udp \"{OFFER}\" => allow rule rule=0"),
        "2 wan 192.0.2.9:7000 > 203.0.113.9:4004 udp => deny default",
    ];
    check(&mut engine(&text), &script.join("\n"));
}
