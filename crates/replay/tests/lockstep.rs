//! Two firewalls over the same frames: where a flow begins and ends.
#![expect(clippy::unwrap_used, reason = "a test whose firewall does not link has failed")]

use std::sync::Arc;

use parefeu_engine::EngineConfig;
use parefeu_net::{DecodeLimits, LinkType, Timestamp};
use parefeu_policy::{Source, link, native};
use parefeu_replay::{
    CapturedAt, Comparison, DifferenceClass, IngressChoice, Lockstep, LockstepLimits, ReplayFrame,
    Side,
};
use parefeu_testkit::frames;

fn side(behaviour: &str) -> Side {
    let text = format!(
        "behaviour = \"{behaviour}\"\n\
         [[rule_base]]\nname = \"policy\"\ndefault = \"allow\"\n\
         [[layer]]\nrule_base = \"policy\"\n"
    );
    let (firewall, mut problems) = native::read(Source::new("test.toml", &text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems)).unwrap();
    Side::new(Arc::new(linked), &IngressChoice::default(), EngineConfig::default()).unwrap()
}

/// What becomes of lines of `SECONDS FRAME`.
fn compare([old, new]: [&str; 2], script: &str) -> Comparison {
    let limits = LockstepLimits::default();
    let mut lockstep = Lockstep::new(side(old), side(new), DecodeLimits::default(), limits);
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

/// `CLASS FLOWS` of every class that occurs, and all flows of `sides` over the script.
#[track_caller]
fn check(sides: [&str; 2], script: &str, expected: &[(DifferenceClass, u64)]) {
    let totals = compare(sides, script).differences.totals;
    let found: Vec<_> = totals.into_iter().map(|(class, totals)| (class, totals.flows)).collect();
    assert_eq!(found, expected, "{sides:?}\n{script}");
}

#[test]
fn a_flow_is_over_when_both_firewalls_have_forgotten_it() {
    use DifferenceClass::Same;
    // S6: UDP lives 120 s on ASA and 30 s on PAN-OS, which remembers a refused flow for 60 s.
    let pause = |seconds: u32| {
        format!("0 10.0.0.7:4000 > 192.0.2.9:53 udp\n{seconds} 10.0.0.7:4000 > 192.0.2.9:53 udp")
    };
    check(["panos", "panos"], &pause(60), &[(Same, 1)]);
    check(["panos", "panos"], &pause(61), &[(Same, 2)]);
    check(["asa", "panos"], &pause(61), &[(Same, 1)]);
    check(["panos", "asa"], &pause(120), &[(Same, 1)]);
    check(["panos", "asa"], &pause(121), &[(Same, 2)]);
}

#[test]
fn a_flow_that_one_firewall_has_forgotten_is_lost_there() {
    // S6: an established connection lives an hour on PAN-OS and half of that on SRX.
    let script = "0 10.0.0.7:4000 > 192.0.2.9:5432 S seq=1
                  0 192.0.2.9:5432 > 10.0.0.7:4000 S. seq=9 ack=2
                  0 10.0.0.7:4000 > 192.0.2.9:5432 . seq=2 ack=10
                  2000 10.0.0.7:4000 > 192.0.2.9:5432 . seq=2 ack=10 len=10";
    check(["panos", "srx"], script, &[(DifferenceClass::SessionLost, 1)]);
    check(["srx", "panos"], script, &[(DifferenceClass::SessionKept, 1)]);
    check(["panos", "panos"], script, &[(DifferenceClass::Same, 1)]);
}
