//! Tables of sessions that are full.

use parefeu_engine::EngineConfig;

use crate::{NETWORK, check, engine_with};

const RULES: &str = r#"
[[rule_base]]
name = "raw"
default = "allow"
[[rule_base.rule]]
name = "before sessions"
service = "tcp/23"
action = "drop"
[[rule_base]]
name = "policy"
default = "allow"
[[rule_base.rule]]
name = "mail"
service = "tcp/25"
action = "reset"
[[layer]]
rule_base = "raw"
before_sessions = true
"#;

#[test]
fn s8_1_where_rules_see_every_packet_room_is_sought_before_they_are_asked() {
    let linux = "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow default
         1 lan 10.0.0.7:4001 > 192.0.2.9:25 S => drop table-full
         1 lan 10.0.0.7:4001 > 192.0.2.9:23 S => drop rule rule=0
         1 lan 10.0.0.7:4001 > 192.0.2.9:443 R => drop table-full
         1 lan 10.0.0.7 > 192.0.2.9 icmp=10/0 => allow default
         1 lan 10.0.0.7:4001 > 192.0.2.9:443 S => drop table-full
         1 wan 192.0.2.9:53 > 10.0.0.7:4000 udp => allow default";
    let panos = "1 lan 10.0.0.7:4000 > 192.0.2.9:53 udp => allow default
         1 lan 10.0.0.7:4001 > 192.0.2.9:25 S => reset rule rule=1
         1 lan 10.0.0.7:4001 > 192.0.2.9:443 R => drop invalid-first-packet
         1 lan 10.0.0.7:4001 > 192.0.2.9:443 S => drop table-full
         1 wan 192.0.2.9:53 > 10.0.0.7:4000 udp => allow session";
    let mut config = EngineConfig::default();
    config.sessions.max_sessions = 1;
    for (behaviour, script) in [("linux", linux), ("panos", panos)] {
        let text = format!("behaviour = \"{behaviour}\"\n{RULES}{NETWORK}");
        check(&mut engine_with(&text, config.clone()), script);
    }
}
