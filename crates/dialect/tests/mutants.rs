//! One change against a policy, in three dialects: the packets that tell the two apart are answered
//! as the generator says, and a change without effect has none.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

use std::fs;
use std::path::Path;

use parefeu_dialect::{Dialect, read};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{
    Answer, ConnectionState, Knowledge, LinkedFirewall, PacketKey, Source, link, reference,
};
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/aerleon-multivendor");

/// The file of each dialect, and the zones its questions are asked between.
const FILES: [(Dialect, &str, Option<[&str; 2]>); 3] = [
    (Dialect::Asa, "ciscoasa.asa", None),
    (Dialect::Iptables, "iptables_forward.ipt", None),
    (Dialect::Panos, "paloalto.xml", Some(["trust", "untrust"])),
];

fn linked(path: &Path, dialect: Dialect) -> LinkedFirewall {
    let text = fs::read_to_string(path).unwrap();
    let mut import = read(Source::new("fw", &text), Some(dialect));
    let firewall = import.firewall.unwrap();
    let linked = link(&firewall, &mut import.problems);
    linked.unwrap_or_else(|| panic!("{}: {:?}", path.display(), import.problems))
}

fn packet(row: &Value) -> PacketKey {
    let number = |name: &str| row[name].as_u64().unwrap_or(0);
    let address = |name: &str| row[name].as_str().unwrap().parse().unwrap();
    let protocol = Protocol(number("protonum") as u8);
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: address("src"),
        dst: address("dst"),
        protocol,
        src_port: number("sport") as u16,
        dst_port: number("dport") as u16,
        icmp: None,
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    }
}

fn answer(firewall: &LinkedFirewall, row: &Value, zones: Option<[&str; 2]>) -> &'static str {
    let mut key = packet(row);
    if let Some([from, to]) = zones {
        (key.from, key.to) = (firewall.zone_named(from), firewall.zone_named(to));
    }
    match reference::judge(firewall, &key, &Knowledge::NOTHING).evaluation.answer() {
        Answer::Certain(hit) if hit.allows() => "allow",
        Answer::Certain(_) => "deny",
        Answer::Depends(_) => "depends",
        Answer::Unknown(_) => "unknown",
    }
}

/// Every witness packet, but where the generator lost a condition before the changed term: its ASA
/// files let every TCP packet to the inside pass there (`docs/findings.md`), so that old and new
/// both allow it.
#[test]
fn witnesses_of_a_change_are_answered_on_both_sides() {
    let mutants = Path::new(DATA).join("mutants");
    if !mutants.exists() {
        eprintln!("skipped: {} is absent", mutants.display());
        return;
    }
    let (mut rows, mut lost) = (0, 0);
    for entry in fs::read_dir(mutants).unwrap() {
        let mutant = entry.unwrap().path();
        let name = mutant.file_name().unwrap().to_string_lossy().into_owned();
        let original = Path::new(DATA).join(name.rsplit_once("__").unwrap().0);
        let expected = fs::read_to_string(mutant.join("expected_diff.json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        for (dialect, file, zones) in FILES {
            let (old, new) =
                (linked(&original.join(file), dialect), linked(&mutant.join(file), dialect));
            for row in expected["diffs"].as_array().unwrap() {
                let found = [&old, &new].map(|side| answer(side, row, zones));
                rows += 1;
                if dialect == Dialect::Asa && row["proto"] == "tcp" && found == ["allow"; 2] {
                    lost += 1;
                    continue;
                }
                let wanted = ["old", "new"].map(|side| row[side].as_str().unwrap());
                assert_eq!(found, wanted, "{name}/{file}: {row}");
            }
        }
    }
    eprintln!("{rows} answers of each side, {lost} behind a condition the generator lost");
    assert!(rows > 1_000 && lost * 4 < rows);
}
