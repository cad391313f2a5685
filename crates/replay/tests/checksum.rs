//! Replays that judge checksums: an answer shown to the new firewall under the address that one
//! would have given the flow keeps the verdict of the bytes captured.

use std::sync::Arc;

use parefeu_engine::EngineConfig;
use parefeu_net::{DecodeLimits, LinkType, Timestamp};
use parefeu_policy::{Source, link, native};
use parefeu_replay::{CapturedAt, IngressChoice, Lockstep, LockstepLimits, ReplayFrame, Side};
use parefeu_testkit::frames;

/// A firewall that checks checksums and lets clients leave as `address`.
fn side(address: &str, verify_checksums: bool) -> Side {
    let text = format!(
        r#"
        behaviour = "panos"
        [[interface]]
        name = "wan"
        address = "203.0.113.1/24"
        [[interface]]
        name = "lan"
        address = "10.0.0.1/24"
        [[route]]
        destination = "0.0.0.0/0"
        next_hop = "203.0.113.254"
        [[source_nat]]
        name = "out"
        egress = "wan"
        translation = {{ pool = "{address}" }}
        "#
    );
    let (firewall, mut problems) = native::read(Source::new("fw.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    let linked = linked.unwrap_or_else(|| unreachable!("{problems:?}"));
    let config = EngineConfig { verify_checksums, ..EngineConfig::default() };
    let side = Side::new(Arc::new(linked), &IngressChoice::default(), config);
    side.unwrap_or_else(|error| unreachable!("{error}"))
}

/// What both firewalls make of a connection whose answers the capture shows as the old one
/// translates it; bits of `damage` are turned over in the answer's last byte.
fn answers(verify_checksums: bool, damage: u8) -> [String; 2] {
    let sides = ["203.0.113.10", "203.0.113.20"].map(|it| side(it, verify_checksums));
    let [old, new] = sides;
    let (decode, limits) = (DecodeLimits::default(), LockstepLimits::default());
    let mut lockstep = Lockstep::new(old, new, decode, limits);
    let mut show = |line: &str, damage: u8| {
        let mut data = frames::frame(line);
        if let Some(last) = data.last_mut() {
            *last ^= damage;
        }
        lockstep.handle_frame(ReplayFrame {
            now: Timestamp::from_secs(1),
            captured: CapturedAt { file: 0, interface: 0, name: None },
            link_type: LinkType::ETHERNET,
            data: &data,
            wire_len: data.len() as u32,
        })
    };
    show("10.0.0.7:4000 > 192.0.2.9:53 udp \"question\"", 0);
    let (old, new) = show("192.0.2.9:53 > 203.0.113.10:4000 udp \"answer\"", damage);
    [old.to_string(), new.to_string()]
}

#[test]
fn an_answer_is_judged_alike_on_both_sides_whether_checksums_count_or_not() {
    for (verify, damage, expected) in [
        (true, 0, "allow session"),
        (true, 1, "drop bad-checksum"),
        (false, 0, "allow session"),
        (false, 1, "allow session"),
    ] {
        assert_eq!(answers(verify, damage), [expected; 2], "verify {verify}, damage {damage}");
    }
}
