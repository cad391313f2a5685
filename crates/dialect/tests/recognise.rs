//! Every published configuration is recognised for what it is, and no other is mistaken for one.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::path::{Path, PathBuf};

use parefeu_dialect::{Dialect, read, read_bytes, recognise};
use parefeu_policy::Source;
use proptest::prelude::*;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
const RULESETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../rulesets");

/// Every file below a folder, with its path below it.
fn files(root: &Path) -> Vec<(String, PathBuf)> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                found.push((name, path));
            }
        }
    }
    found.sort();
    found
}

/// What a file of the published data is, by where it lies and what it is called.
fn truth(name: &str) -> Option<Dialect> {
    let (folder, rest) = name.split_once('/')?;
    let extension = rest.rsplit_once('.').map_or("", |(_, extension)| extension);
    let kind = rest.split('/').next().unwrap_or_default();
    match (folder, kind, extension) {
        ("aerleon-multivendor", _, "asa")
        | ("aerleon-regression-refs", "ciscoasa", _)
        | ("batfish-testconfigs", "cisco_asa", _) => Some(Dialect::Asa),
        ("aerleon-multivendor", _, "xml")
        | ("aerleon-regression-refs", "paloaltofw", _)
        | ("batfish-testconfigs", "palo_alto", _)
        | ("pan-os-php", ..) => Some(Dialect::Panos),
        ("batfish-lab-validation", ..) => rest.ends_with("/pa").then_some(Dialect::Panos),
        ("aerleon-multivendor", _, "ipt" | "iptables-save")
        | ("aerleon-regression-refs" | "batfish-testconfigs", "iptables", _) => {
            Some(Dialect::Iptables)
        }
        ("iptables-semantics", ..) => {
            let other = rest.ends_with("uname_a") || rest.ends_with("Ln_tuned");
            (!other).then_some(Dialect::Iptables)
        }
        _ => None,
    }
}

#[test]
fn published_configurations_are_told_apart() {
    let root = Path::new(DATA);
    if !root.exists() {
        eprintln!("skipped: {DATA} is not here");
        return;
    }
    let folders = [
        "aerleon-multivendor",
        "aerleon-regression-refs",
        "batfish-testconfigs",
        "batfish-lab-validation",
        "iptables-semantics",
        "opnsense-pfsense-configxml",
        "pan-os-php",
    ];
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for folder in folders {
        for (name, path) in files(&root.join(folder)) {
            let name = format!("{folder}/{name}");
            // Beside the configurations of the labs lie answers of other commands.
            if folder == "batfish-lab-validation" && !name.contains("/configs/") {
                continue;
            }
            let expected = truth(&name);
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            seen += 1;
            let found = recognise(&text);
            if found != expected {
                wrong.push(format!("{name}: {found:?}, not {expected:?}"));
            }
        }
    }
    eprintln!("{seen} files");
    assert!(wrong.is_empty() && seen > 300, "{seen} files\n{}", wrong.join("\n"));
}

#[test]
fn the_rulesets_of_the_project_are_recognised() {
    for (name, path) in files(Path::new(RULESETS)) {
        let expected = match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("cfg") => Dialect::Asa,
            Some("xml") => Dialect::Panos,
            Some("toml") => Dialect::Parefeu,
            _ => continue,
        };
        assert_eq!(recognise(&std::fs::read_to_string(path).unwrap()), Some(expected), "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_with_a_reason() {
    for (bytes, message) in [
        (&b""[..], "the dialect of fw is not recognised"),
        (b"hello", "the dialect of fw is not recognised"),
        (b"access-list a\n\xff", "fw: line 2: byte 14 (0xff) is not UTF-8"),
    ] {
        let import = read_bytes("fw", bytes, None);
        let messages: Vec<_> = import.problems.iter().map(|it| it.message.as_str()).collect();
        assert_eq!((messages, import.firewall.is_some()), (vec![message], false));
    }
    let import = read_bytes("fw", b"\xff\xfen\0a\0m\0e\0i\0f\0 \0a\0", None);
    assert_eq!(import.dialect, Some(Dialect::Asa));
}

#[test]
fn a_listing_of_rules_is_refused_with_the_way_out() {
    let listing = "\nChain INPUT (policy ACCEPT)\ntarget     prot opt source      destination\n";
    let import = read_bytes("fw", listing.as_bytes(), None);
    let [problem] = import.problems.iter().as_slice() else { unreachable!("one problem") };
    assert_eq!(problem.code, "rule-listing");
    assert!(problem.help.as_ref().is_some_and(|help| help.contains("iptables-save")));
}

#[test]
fn one_endless_line_is_read() {
    let line = "access-list a extended permit ip any any ".repeat(100_000);
    for dialect in [Dialect::Asa, Dialect::Classbench] {
        let import = read(Source::new("fw", &line), Some(dialect));
        assert!(!import.problems.is_empty(), "{dialect}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL.map(Some).into_iter().chain([None]) {
            let _ = read_bytes("fw", &bytes, dialect);
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        for dialect in Dialect::ALL {
            let _ = read(Source::new("fw", &text), Some(dialect));
        }
    }
}
