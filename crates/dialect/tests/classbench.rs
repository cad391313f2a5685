//! ClassBench filter sets with the traces that state the right rule.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]
#![expect(clippy::panic, reason = "helpers of tests may stop them")]

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use parefeu_dialect::{Dialect, read};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::reference::judge;
use parefeu_policy::{ConnectionState, Knowledge, PacketKey, Source, link};
use proptest::prelude::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

fn unpacked(path: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

/// Judges the first headers of a trace against the set it belongs to.
fn check(set: &str, headers: usize) {
    let folder = PathBuf::from(DATA);
    if !folder.exists() {
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    let text = unpacked(&folder.join(format!("{set}.rules.gz")));
    let mut import = read(Source::new(set, &text), None);
    assert_eq!(import.dialect, Some(Dialect::Classbench));
    let linked = link(&import.firewall.unwrap(), &mut import.problems).unwrap();
    assert!(import.problems.is_empty(), "{:?}", import.problems.iter().next());
    assert_eq!(linked.rules.len(), text.lines().count());
    let trace = unpacked(&folder.join(format!("{set}.uniform.trace.gz")));
    for line in trace.lines().take(headers) {
        let fields: Vec<i64> = line.split('\t').map(|field| field.parse().unwrap()).collect();
        let [src, dst, src_port, dst_port, protocol, expected] = fields[..] else {
            panic!("{line}")
        };
        let address = |bits| IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(bits).unwrap()));
        let protocol = Protocol(u8::try_from(protocol).unwrap());
        let key = PacketKey {
            ingress: None,
            egress: None,
            from: None,
            to: None,
            src: address(src),
            dst: address(dst),
            protocol,
            src_port: u16::try_from(src_port).unwrap(),
            dst_port: u16::try_from(dst_port).unwrap(),
            icmp: None,
            tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
            state: ConnectionState::New,
            device: None,
            time: Timestamp::from_secs(0),
        };
        let decided = judge(&linked, &key, &Knowledge::NOTHING).evaluation.decided;
        let found = decided.rule.map_or("-1", |id| linked.rule(id).name.as_ref());
        assert_eq!(found, expected.to_string(), "{set}: {line}");
    }
}

#[test]
fn traces_hit_the_rule_they_state() {
    for set in ["acl1_1k", "fw1_1k", "ipc1_1k"] {
        check(set, 5_000);
    }
}

#[test]
fn large_sets_are_read() {
    check("fw1_100k", 20);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "(@?[0-9a-fx:./ \t\n]{0,40}){0,8}") {
        let _ = read(Source::new("f", &text), Some(Dialect::Classbench));
    }
}
