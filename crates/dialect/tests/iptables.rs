//! Rule sets nobody here wrote: what aerleon generates, with its own expectations, and dumps of a
//! storage appliance.

#![expect(clippy::unwrap_used, reason = "a test stops where its data is not usable")]
#![expect(clippy::print_stderr, reason = "a test that skips says so")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use parefeu_dialect::{Dialect, Import, read};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{
    Answer, ConnectionState, Knowledge, LinkedFirewall, PacketKey, Source, link, native, reference,
};
use proptest::prelude::*;

/// The shared test data; `None`, said aloud, where it is absent.
fn data(folder: &str) -> Option<PathBuf> {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data"));
    let folder = shared.join(folder);
    if folder.exists() {
        return Some(folder);
    }
    eprintln!("skipped: {} is absent", folder.display());
    None
}

/// Every file below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn import(path: &Path) -> (Import, Option<LinkedFirewall>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut import = read(Source::new("t", &text), Some(Dialect::Iptables));
    let linked = import.firewall.as_ref().and_then(|it| link(it, &mut import.problems));
    (import, linked)
}

fn packet(row: &serde_json::Value) -> PacketKey {
    let number = |key: &str| row[key].as_u64().unwrap_or(0);
    let protocol = Protocol(number("protonum") as u8);
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: row["src"].as_str().unwrap().parse().unwrap(),
        dst: row["dst"].as_str().unwrap().parse().unwrap(),
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

/// Every row whose expectation depends on nothing but its addresses, protocol and ports.
#[test]
fn generated_rules_decide_as_their_generator_expects() {
    let Some(folder) = data("aerleon-multivendor") else { return };
    let (mut rows, mut differing) = (0, Vec::new());
    for path in files(&folder) {
        let name = path.file_name().unwrap().to_string_lossy();
        let ours = name.ends_with(".ipt") || name.ends_with(".iptables-save");
        let expected = path.with_file_name("expected.jsonl");
        let Ok(expected) = std::fs::read_to_string(expected) else { continue };
        if !ours {
            continue;
        }
        let (import, firewall) = import(&path);
        assert!(import.problems.is_empty(), "{}: {:?}", path.display(), import.problems);
        let firewall = firewall.unwrap();
        for row in expected.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            if row["conditional"].as_array().is_none_or(|conditions| !conditions.is_empty()) {
                continue;
            }
            let judgement = reference::judge(&firewall, &packet(&row), &Knowledge::NOTHING);
            let Answer::Certain(hit) = judgement.evaluation.answer() else {
                panic!("{}: {row}", path.display());
            };
            rows += 1;
            if hit.allows() != (row["expect"] == "allow") {
                let line = firewall.sources.line_text(hit.at);
                differing.push(format!("{}: {row}\n    {line}", path.display()));
            }
        }
    }
    assert!(rows > 1000, "{rows}");
    eprintln!("{rows} rows, {} differ\n{}", differing.len(), differing.join("\n"));
    assert!(differing.len() * 100 <= rows, "{}", differing.join("\n"));
}

#[test]
fn dumps_and_generated_files_are_read_without_errors() {
    let mut read = 0;
    for folder in ["aerleon-regression-refs/iptables", "iptables-semantics"] {
        let Some(folder) = data(folder) else { return };
        for path in files(&folder) {
            let name = path.file_name().unwrap().to_string_lossy();
            // The appliance's `uname`.
            if name == "uname_a" {
                continue;
            }
            // A listing, which lacks the interfaces, and what another program printed after it had
            // parsed a dump.
            let refused = ["iptables_Ln_tuned", "synology_iptables-save_jun_2015_cleanup"];
            let refused = refused.contains(&&*name);
            let (import, linked) = import(&path);
            assert_eq!(linked.is_none(), refused, "{}: {:?}", path.display(), import.problems);
            assert_eq!(import.problems.has_errors(), refused);
            read += 1;
        }
    }
    assert!(read >= 15, "{read}");
}

#[test]
fn what_is_read_can_be_written_in_the_native_format() {
    let text = include_str!("iptables.rules");
    let mut import = read(Source::new("t", text), Some(Dialect::Iptables));
    let firewall = import.firewall.unwrap();
    let linked = link(&firewall, &mut import.problems).unwrap();
    let (again, mut problems) = native::read(Source::new("again", &native::write(&firewall)));
    assert!(problems.is_empty(), "{problems:?}");
    let again = link(&again.unwrap(), &mut problems).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    let shape = |firewall: &LinkedFirewall| {
        let rules: Vec<_> =
            firewall.rules.iter().map(|rule| (rule.name.clone(), rule.action)).collect();
        let services: Vec<_> =
            firewall.rules.iter().map(|rule| rule.matches.services.clone()).collect();
        let sources: Vec<_> = firewall.rules.iter().map(|rule| rule.matches.src.clone()).collect();
        let nat: Vec<_> = [&firewall.destination_nat, &firewall.source_nat]
            .into_iter()
            .flat_map(|table| table.rules.iter().map(|rule| rule.translation.clone()))
            .collect();
        let atoms: Vec<_> = firewall.atoms.iter().map(|atom| atom.text.clone()).collect();
        (rules, services, sources, nat, atoms)
    };
    assert_eq!(shape(&again), shape(&linked));
}

#[test]
fn options_that_are_not_supported_are_named() {
    let Some(folder) = data("batfish-testconfigs/iptables") else { return };
    let (import, linked) = import(&folder.join("unsupported_rule_spec_options"));
    let sources = linked.unwrap().sources;
    let lines: Vec<_> = import
        .problems
        .iter()
        .map(|problem| (problem.code, sources.line_text(problem.at.unwrap())))
        .collect();
    let expected =
        [("no-forward-chain", "*filter"), ("unknown-match", "-A INPUT -m tcp -j ACCEPT")];
    assert_eq!(lines, expected);
}

#[test]
fn a_text_cut_anywhere_is_read_or_refused() {
    let Some(folder) = data("iptables-semantics/Synology_Diskstation_DS414") else { return };
    let text = std::fs::read_to_string(folder.join("ip6tables-save_jul_2016")).unwrap();
    for end in 0..text.len() {
        let cut = text.get(..end).unwrap_or_default();
        let import = read(Source::new("t", cut), Some(Dialect::Iptables));
        assert!(!import.problems.is_empty(), "{end}");
    }
}

/// Words rules are made of, so that random text gets past the first word.
const WORDS: &str = "(-A|-I|-P|-N|-F|-X|-t|-j|-g|-m|-p|-s|-d|-i|-o|!|:x|x|-|nat|\\*filter|\\*nat\
    |FORWARD|PREROUTING|POSTROUTING|ACCEPT|RETURN|DNAT|SNAT|DROP|COMMIT|tcp|80|0|1:2|eth\\+|\\+\
    |10\\.0\\.0\\.1|::1|--dport|--ports|--to-destination|--to-source|:8|multiport|set|--icmp-type\
    |--state|NEW,DNAT|--tcp-flags|SYN|time|--weekdays|Mon|\"|'|\\\\|\n|\n|\n-A FORWARD|\\[0:0\\])";

proptest! {
    #[test]
    fn no_text_panics(words in proptest::collection::vec(WORDS, 0..60), noise in "\\PC{0,20}") {
        let text = format!("{}{noise}", words.join(" "));
        let import = read(Source::new("t", &text), Some(Dialect::Iptables));
        let mut problems = import.problems;
        if let Some(firewall) = &import.firewall {
            link(firewall, &mut problems);
        }
        prop_assert!(import.firewall.is_some() || problems.has_errors());
    }

    #[test]
    fn changed_dumps_do_not_panic(at in 0usize..4000, change in "\\PC{0,4}", cut in 0usize..8) {
        let text = include_str!("iptables.rules");
        let at = (0..=at % text.len()).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let rest = text.get(at + cut..).unwrap_or_default();
        let text = format!("{}{change}{rest}", &text[..at]);
        let import = read(Source::new("t", &text), Some(Dialect::Iptables));
        let mut problems = import.problems;
        if let Some(firewall) = &import.firewall {
            link(firewall, &mut problems);
        }
        prop_assert!(import.firewall.is_some() || problems.has_errors());
    }
}

/// Many rules of every kind take time in proportion: nothing is followed twice without a limit.
#[test]
fn jumps_that_multiply_are_bounded() {
    let mut text = String::from("*nat\n:PREROUTING ACCEPT [0:0]\n");
    for level in 0..40 {
        writeln!(text, ":c{level} - [0:0]").unwrap();
    }
    for level in 0..39 {
        for port in 1..5 {
            writeln!(text, "-A c{level} -p tcp --dport {port} -j c{}", level + 1).unwrap();
            writeln!(text, "-A c{level} -s 10.0.0.{port} -i e{port} -j RETURN").unwrap();
        }
    }
    text.push_str("-A PREROUTING -j c0\n-A c39 -p tcp -j DNAT --to-destination 10.0.0.1\nCOMMIT\n");
    let import = read(Source::new("t", &text), Some(Dialect::Iptables));
    assert!(import.problems.iter().any(|problem| problem.code == "nat-too-large"));
    assert!(import.firewall.unwrap().destination_nat.rules.len() <= 20_000);
}

/// Texts whose lines each touch everything before them.
#[test]
fn long_scripts_are_read_in_reasonable_time() {
    let lines = 20_000;
    let scripts: [fn(usize) -> String; 5] = [
        |n| format!("-I FORWARD -s 10.0.{}.{}", n / 256 % 256, n % 256),
        |n| format!("-N c{n}\n-F c{n}\n-A FORWARD -j c{n}"),
        |n| format!("-A FORWARD ! -i e{n} -j ACCEPT"),
        |n| format!("-A FORWARD -m time --datestart 2026-01-01T00:00:{:02} -j DROP", n % 60),
        |n| format!("-A FORWARD -m comment --comment \"{n}\" -m x{n} -j LOG"),
    ];
    for script in scripts {
        let text: String = (0..lines).map(|n| script(n) + "\n").collect();
        let import = read(Source::new("t", &text), Some(Dialect::Iptables));
        assert!(import.firewall.is_some(), "{:?}", import.problems.iter().next());
    }
}
