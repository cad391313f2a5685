//! ASA configurations nobody here wrote, and the demonstration's own.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use parefeu_dialect::{Dialect, Import, read};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::reference::judge;
use parefeu_policy::{
    Answer, ConnectionState, Hit, Knowledge, LinkedFirewall, PacketKey, Severity, Source, link,
};
use proptest::prelude::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
const DEMONSTRATION: &str = include_str!("../../../rulesets/web-hosting/old.asa.cfg");

/// The folder of published data, or nothing, said aloud.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(DATA).join(folder);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}

/// The files below a folder, sorted, for which `wanted` holds.
fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn import(text: &str) -> (Import, Option<LinkedFirewall>) {
    let mut import = read(Source::new("fw", text), Some(Dialect::Asa));
    let firewall = import.firewall.take().unwrap();
    let linked = link(&firewall, &mut import.problems);
    import.problems.sort();
    import.firewall = Some(firewall);
    (import, linked)
}

#[test]
fn the_demonstration_is_understood_to_the_last_line() {
    let (import, linked) = import(DEMONSTRATION);
    let problems: Vec<_> = import.problems.iter().map(|problem| &problem.message).collect();
    assert!(problems.is_empty(), "{problems:?}");
    let (linked, firewall) = (linked.unwrap(), import.firewall.unwrap());
    let nat = [&firewall.destination_nat, &firewall.source_nat].map(|table| table.rules.len());
    let layers: Vec<_> = linked.layers.iter().map(|layer| layer.name.as_ref()).collect();
    assert_eq!(
        (firewall.name.as_str(), nat, layers),
        ("fw-web-01", [13, 17], vec!["translation", "ingress"])
    );
    for (packet, expected) in [
        // The public address of a shop, by its static translation.
        (
            "outside tcp 198.51.100.7 40000 203.0.113.11 443",
            "allow access-list outside_access_in extended permit tcp any object SRV-RP-ATLAS \
             object-group SVC-WEB",
        ),
        ("outside tcp 198.51.100.7 40000 203.0.113.11 8080", DENY_OUTSIDE),
        // The abuse desk's list comes first.
        (
            "outside tcp 198.51.100.241 40000 203.0.113.11 443",
            "deny access-list outside_access_in extended deny ip object-group BLOCKLIST any log",
        ),
        (
            "app tcp 10.20.20.31 40000 10.20.30.11 5432",
            "allow access-list app_access_in extended permit tcp object-group PG-CLIENTS \
             object-group PG-SERVERS eq 5432",
        ),
    ] {
        assert_eq!(verdict(&linked, packet), expected, "{packet}");
    }
}

const DENY_OUTSIDE: &str = "deny access-list outside_access_in extended deny ip any any log";

/// Asks `INTERFACE PROTOCOL SRC PORT DST PORT`: the verdict and the line that decides.
fn verdict(linked: &LinkedFirewall, packet: &str) -> String {
    let words: Vec<&str> = packet.split(' ').collect();
    let mut key = key(words[2], words[4], Protocol::from_name(words[1]).unwrap());
    key.ingress = linked.interface_named(words[0]);
    (key.src_port, key.dst_port) = (words[3].parse().unwrap(), words[5].parse().unwrap());
    match judge(linked, &key, &Knowledge::NOTHING).evaluation.answer() {
        Answer::Certain(hit) => format!("{} {}", word(hit), linked.sources.line_text(hit.at)),
        other => format!("{other:?}"),
    }
}

fn word(hit: Hit) -> &'static str {
    if hit.allows() { "allow" } else { "deny" }
}

fn key(src: &str, dst: &str, protocol: Protocol) -> PacketKey {
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        protocol,
        src_port: 0,
        dst_port: 0,
        icmp: None,
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::from_secs(0),
    }
}

/// Every row without a condition has to agree, but for one defect of the generator: it writes a
/// term with `tcp-established` as a plain `permit tcp`, without the condition, which this platform
/// cannot express. Read as written, such a line lets a SYN through, and the device would.
#[test]
fn generated_policies_answer_as_their_generator_says() {
    let Some(folder) = data("aerleon-multivendor") else { return };
    let lists = files(&folder, &|path| path.extension().is_some_and(|it| it == "asa"));
    let (mut rows, mut wrong, mut explained, mut judged) = (0_u32, String::new(), 0_u32, 0);
    for list in lists {
        let beside = |name| std::fs::read_to_string(list.with_file_name(name));
        let (Ok(expected), Ok(policy)) = (beside("expected.jsonl"), beside("policy.pol")) else {
            continue;
        };
        let (import, linked) = import(&std::fs::read_to_string(&list).unwrap());
        assert!(import.problems.is_empty(), "{}: {:?}", list.display(), import.problems);
        let linked = linked.unwrap();
        judged += 1;
        for row in expected.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            if row["conditional"].as_array().is_some_and(|list| !list.is_empty()) {
                continue;
            }
            rows += 1;
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            let number = |name: &str| row[name].as_u64().unwrap_or(0);
            let protocol = Protocol(u8::try_from(number("protonum")).unwrap());
            let mut key = key(text("src"), text("dst"), protocol);
            key.src_port = u16::try_from(number("sport")).unwrap();
            key.dst_port = u16::try_from(number("dport")).unwrap();
            match judge(&linked, &key, &Knowledge::NOTHING).evaluation.answer() {
                Answer::Certain(hit) if word(hit) == text("expect") => {}
                Answer::Certain(hit) if lost_established(&linked, hit, &policy) => explained += 1,
                answer => writeln!(wrong, "{} {row} {answer:?}", list.display()).unwrap(),
            }
        }
    }
    eprintln!("{judged} policies, {rows} rows, {explained} hit a term that lost its condition");
    assert!(judged > 0 && wrong.is_empty(), "{wrong}");
}

/// Whether the deciding line was generated from a term with `tcp-established`: the remark above it
/// names the term.
fn lost_established(linked: &LinkedFirewall, hit: Hit, policy: &str) -> bool {
    let source = linked.sources.of(hit.at).unwrap();
    let (line, _) = source.position(hit.at.start);
    let remark = (1..line).rev().find_map(|line| source.line(line).split_once(" remark "));
    let Some((_, term)) = remark else { return false };
    let body = policy.split_once(&format!("term {term} {{")).map_or("", |(_, rest)| rest);
    hit.allows() && body.split('}').next().unwrap().contains("tcp-established")
}

/// The files parse; what is not modelled is named, line by line. None of these is an error of the
/// reader: two excerpts name interfaces they do not define.
#[test]
fn published_examples_are_read_and_unknown_lines_named() {
    let Some(folder) = data("batfish-testconfigs/cisco_asa") else { return };
    let mut report = String::new();
    for path in files(&folder, &|_| true) {
        let (import, _) = import(&std::fs::read_to_string(&path).unwrap());
        let firewall = import.firewall.unwrap();
        for problem in &import.problems {
            let line = problem.at.map_or("", |at| firewall.sources.line_text(at)).trim();
            let name = path.file_name().unwrap().to_string_lossy();
            let grade = problem.severity.name();
            writeln!(report, "{name}: {grade} {} {line}", problem.code).unwrap();
        }
    }
    let errors: Vec<_> = report.lines().filter(|line| line.contains(": error ")).collect();
    let excerpt = |line: &&str| {
        line.contains("unknown-interface")
            && (line.starts_with("asa-nat-mixed") || line.starts_with("asa-static-gh-5729"))
    };
    assert!(errors.iter().all(excerpt), "{report}");
    for line in [
        "asa-advertise-inactive: unsupported dynamic-routing router bgp 1",
        "asaOspfCost: unsupported dynamic-routing router ospf 1",
        "asa-nested-icmp-type-object-group: unsupported not-understood object-group group icmp-type \
         services",
        "asa-nested-service-object-group: unsupported not-understood port-object eq 4444",
    ] {
        assert!(report.contains(line), "{line}\nis not in\n{report}");
    }
}

#[test]
fn words_that_are_no_statement_are_named() {
    let Some(folder) = data("aerleon-regression-refs/ciscoasa") else { return };
    for path in files(&folder, &|_| true) {
        let (import, linked) = import(&std::fs::read_to_string(&path).unwrap());
        let codes: Vec<_> = import.problems.iter().map(|it| (it.severity, it.code)).collect();
        let unknown = (Severity::Unsupported, "unknown-statement");
        // The one list is remarks alone: it is no filter.
        let expected = [(Severity::Suspicious, "no-layer"), unknown, unknown];
        assert_eq!(codes, expected, "{}", path.display());
        assert!(linked.is_some());
    }
}

#[test]
fn a_configuration_cut_anywhere_is_read() {
    // A window of whole statements of every kind, cut at every byte.
    for window in ["interface GigabitEthernet0/5", "object-group service SVC-FEED", "timeout conn"]
    {
        let start = DEMONSTRATION.find(window).unwrap();
        let end = (start + 1_500).min(DEMONSTRATION.len());
        for cut in start..end {
            if let Some(text) = DEMONSTRATION.get(start..cut) {
                import(text);
            }
        }
    }
}

/// Words of the language, so that random lines reach deep into the grammar.
fn any_line() -> impl Strategy<Value = String> {
    let words = [
        "access-list",
        "a",
        "b",
        "extended",
        "permit",
        "deny",
        "tcp",
        "udp",
        "icmp",
        "ip",
        "any",
        "host",
        "10.0.0.1",
        "10.0.0.0",
        "255.0.0.0",
        "2001:db8::/32",
        "eq",
        "range",
        "80",
        "65535",
        "0",
        "object",
        "object-group",
        "network",
        "service",
        "source",
        "destination",
        "static",
        "dynamic",
        "nat",
        "(inside,outside)",
        "(any,any)",
        "interface",
        "after-auto",
        "1",
        "line",
        "group-object",
        "network-object",
        "port-object",
        "subnet",
        "nameif",
        "inside",
        "security-level",
        "access-group",
        "in",
        "out",
        "global",
        "log",
        "inactive",
        "time-range",
        "periodic",
        "daily",
        "23:59",
        "to",
        "absolute",
        "start",
        "route",
        "timeout",
        "conn",
        "1:00:00",
        "\t",
        " ",
        "!",
        "é",
        "pat-pool",
        "unidirectional",
        "ip",
        "address",
        "remark",
        "clear",
        "configure",
        "protocol",
        "icmp-type",
        "user",
        "gt",
        "lt",
        "neq",
        "name",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..10).prop_map(|w| w.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*") {
        let _ = import(&text);
    }

    #[test]
    fn any_lines_are_read_without_a_panic(
        lines in prop::collection::vec((any::<bool>(), any_line()), 0..30)
    ) {
        let lines = lines.iter().map(|(inner, line)| format!("{}{line}", if *inner { " " } else { "" }));
        let _ = import(&lines.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_configuration_with_bytes_changed_is_read(
        at in 0..DEMONSTRATION.len(), length in 0_usize..40, new in "[ -~\n]{0,20}"
    ) {
        let end = (at + length).min(DEMONSTRATION.len());
        if let (Some(before), Some(after)) = (DEMONSTRATION.get(..at), DEMONSTRATION.get(end..)) {
            let _ = import(&format!("{before}{new}{after}"));
        }
    }
}
