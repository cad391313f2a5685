//! Certificates through the command: written by `diff`, checked by `verify`.

#![expect(clippy::unwrap_used, reason = "a test stops where what it states does not hold")]

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

const OLD: &str = "rulesets/web-hosting/old.asa.cfg";
const NEW: &str = "rulesets/web-hosting/new.panos.xml";

fn parefeu(args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(args).current_dir(root).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn check(args: &[&str], status: i32, expected: &str) {
    let output = parefeu(args);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
    assert!(text.contains(expected), "{args:?}\n{text}");
}

#[test]
fn a_certificate_is_accepted_for_its_own_firewalls_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("migration.certificate");
    let name = file.to_str().unwrap();
    let compared = parefeu(&["diff", OLD, NEW, "--certificate", name]);
    let found = fs::read_to_string(&file).unwrap();
    let verdict = found.lines().find_map(|line| line.strip_prefix("verdict ")).unwrap();
    assert_eq!(compared.status.code(), Some(if verdict == "different" { 1 } else { 3 }));
    check(&["verify", name, OLD, NEW], 0, &format!("accepted: {verdict}\n"));
    check(&["verify", name, NEW, OLD], 1, "the old firewall is another file");
    check(&["verify", OLD, OLD, NEW], 2, "this is no certificate");
    fs::write(&file, found.replace(&format!("verdict {verdict}"), "verdict equivalent")).unwrap();
    check(&["verify", name, OLD, NEW], 1, "rejected: ");
    fs::write(&file, &found[..found.len() / 2]).unwrap();
    check(&["verify", name, OLD, NEW], 1, "was cut off or changed");
    check(&["verify", "no-such-file", OLD, NEW], 2, "cannot read `no-such-file`");
}

#[test]
fn a_firewall_is_equivalent_to_itself_and_that_can_be_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("same.certificate");
    let name = file.to_str().unwrap();
    check(&["diff", OLD, OLD, "--certificate", name], 0, "equivalent");
    check(&["verify", name, OLD, OLD], 0, "accepted: equivalent");
}

#[test]
fn a_part_of_the_question_has_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.certificate");
    let name = file.to_str().unwrap();
    let args = ["diff", OLD, NEW, "--protocol", "tcp", "--certificate", name];
    check(&args, 2, "a certificate is about all packets");
    assert!(!file.exists());
}

/// A certificate with one line left out or written otherwise, and the digest it then has.
fn tampered(text: &str, change: impl Fn(&str) -> Option<String>) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("sha256 "));
    let mut text = String::new();
    for line in lines {
        if let Some(line) = change(line) {
            text = text + &line + "\n";
        }
    }
    let mut digest = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        write!(digest, "{byte:02x}").unwrap();
    }
    format!("{text}sha256 {digest}\n")
}

#[test]
fn what_has_to_be_assumed_cannot_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let rules = "access-list web extended permit tcp any4 any4 eq 443\n";
    let old = path("old.cfg");
    fs::write(&old, format!("ASA Version 8.2(5)\nhostname one\n{rules}")).unwrap();
    let new = path("new.cfg");
    fs::write(&new, format!("ASA Version 9.1(5)\nhostname one\n{rules}")).unwrap();
    let file = path("certificate");
    let args = ["diff", &old, &new, "--logging", "never", "--certificate", &file];
    check(&args, 3, "equivalent under the assumptions");
    check(&["verify", &file, &old, &new], 0, "assumed, old-before-8.3-1");
    let found = fs::read_to_string(&file).unwrap();
    let claim = tampered(&found, |line| match line {
        "verdict equivalent-under-assumptions" => Some("verdict equivalent".to_owned()),
        line if line.starts_with("assume ") => None,
        line => Some(line.to_owned()),
    });
    fs::write(&file, claim).unwrap();
    check(&["verify", &file, &old, &new], 1, "it has to assume `old-before-8.3-1`");
}

#[test]
fn a_difference_cannot_be_assumed_away_by_what_it_does_not_rest_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let asa = path("old.cfg");
    let list = "access-list web extended permit tcp any4 any4 eq ";
    fs::write(&asa, format!("hostname one\n{list}443\n{list}80\n")).unwrap();
    let iptables = path("new.rules");
    let head = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT DROP [0:0]\n";
    let rule = "-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT\n";
    fs::write(&iptables, format!("{head}{rule}COMMIT\n")).unwrap();
    let file = path("certificate");
    let more = ["--new-rulebase", "FORWARD"];
    let args = [&["diff", &asa, &iptables, "--certificate", &file], &more[..]].concat();
    check(&args, 1, "different");
    let verify = [&["verify", &file, &asa, &iptables], &more[..]].concat();
    check(&verify, 0, "accepted: different");
    let found = fs::read_to_string(&file).unwrap();
    assert!(found.contains("\nassume \"new-missing-2\""), "{found}");
    let claim = tampered(&found, |line| {
        let line = line.replace("verdict different", "verdict equivalent-under-assumptions");
        let differs = line.starts_with("differ ");
        Some(if differs { "assumed \"new-missing-2\"".to_owned() } else { line })
    });
    fs::write(&file, claim).unwrap();
    check(&verify, 1, "`new-missing-2` is not about the packets of this box");
}
