//! Packets as hosts rarely send them.

use std::fmt::Write;

use parefeu_engine::EngineConfig;
use parefeu_testkit::frames;

use crate::{check, engine_with};

const RULES: &str = r#"
[[interface]]
name = "lan"
[[interface]]
name = "wan"
[[route]]
destination = "::/0"
interface = "wan"
[[route]]
destination = "2001:db8:1::/48"
interface = "lan"
[[layer]]
rule_base = "policy"
[[rule_base]]
name = "policy"
default = "drop"
[[rule_base.rule]]
name = "related"
state = "related"
action = "allow"
[[rule_base.rule]]
name = "strange"
state = "invalid"
action = "deny"
[[rule_base.rule]]
name = "web"
service = "tcp/80"
action = "allow"
[[rule_base.rule]]
name = "authenticated"
service = "51"
action = "allow"
[[rule_base.rule]]
name = "nothing"
service = "59"
action = "allow"
"#;

/// A script under the behaviour of a preset; checksums are left alone.
#[track_caller]
fn check_under(preset: &str, script: &str) {
    let config = EngineConfig { verify_checksums: false, ..EngineConfig::default() };
    check(&mut engine_with(&format!("behaviour = \"{preset}\"\n{RULES}"), config), script);
}

/// Bytes as text that a line of a frame may hold.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "\\x{byte:02x}").unwrap();
        text
    })
}

/// Where rules see every packet they see an Authentication Header, although what is behind it is
/// tracked in IPv6.
#[test]
fn s2_2_rules_see_an_authentication_header() {
    let header = [6, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7, 7, 7];
    let syn = frames::frame("[2001:db8:1::7]:4000 > [2001:db8::9]:80 S seq=1");
    let packet = escaped(&[&header[..], &syn[54..]].concat());
    for (preset, expected) in [("linux", "allow rule rule=3"), ("panos", "allow rule rule=2")] {
        let line = format!("1 lan 2001:db8:1::7 > 2001:db8::9 ip=51 \"{packet}\" => {expected}");
        check_under(preset, &line);
    }
}

/// In IPv6 there is nothing to track behind *no next header* (RFC 8200 §4.7), for Linux.
#[test]
fn s5_2_what_carries_no_upper_layer_is_invalid() {
    let line = "1 lan 2001:db8:1::7 > 2001:db8::9 ip=59 len=8 => ";
    check_under("linux", &format!("{line}deny rule rule=1"));
    check_under("panos", &format!("{line}allow rule rule=4"));
}

/// ICMPv6 types below 128 are errors, be they known or not (RFC 4443 §2.1).
#[test]
fn s5_8_an_error_of_a_type_not_known_is_related() {
    let syn = frames::frame("[2001:db8:1::7]:4000 > [2001:db8::9]:80 S seq=1");
    let quote = escaped(&syn[14..]);
    check_under(
        "linux",
        &format!(
            "1 lan [2001:db8:1::7]:4000 > [2001:db8::9]:80 S seq=1 => allow rule rule=2
             1 wan 2001:db8::5 > 2001:db8:1::7 icmp=100/0 \"{quote}\" => allow related-error rule=0
             1 wan 2001:db8::5 > 2001:db8:1::8 icmp=100/0 \"{quote}\" => deny rule rule=1"
        ),
    );
}
