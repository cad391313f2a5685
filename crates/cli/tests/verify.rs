//! Certificates through the command: written by `diff`, checked by `verify`.

#![expect(clippy::unwrap_used, reason = "a test stops where what it states does not hold")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
