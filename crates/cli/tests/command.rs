//! The command as its users meet it: output, exit status, bad input.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn parefeu(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(args).current_dir(root()).stdin(Stdio::null()).env("NO_COLOR", "1");
    command.output().unwrap()
}

/// Runs the command; the last part is how it has to end.
#[track_caller]
fn check(args: &[&str], status: i32, says: &str) {
    let output = parefeu(args);
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
    assert!(text.contains(says), "{args:?} does not say `{says}`:\n{text}");
}

const OLD: &str = "rulesets/web-hosting/old.asa.cfg";
const NEW: &str = "rulesets/web-hosting/new.panos.xml";
const TRAFFIC: &str = "pcaps/web-hosting.pcapng";

fn diff() -> Value {
    let output = parefeu(&["diff", OLD, NEW, "-r", TRAFFIC, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_main_command_shows_every_planted_mistake_the_traffic_exercises() {
    let document = diff();
    assert_eq!(document["schema"], "parefeu/diff/1");
    assert_eq!(document["verdict"], "different");
    let groups = document["traffic"]["groups"].as_array().unwrap();
    let sessions = |change: &str, line: u64| -> u64 {
        let is_it = |group: &&Value| group["change"] == change && group["old"]["line"] == line;
        groups.iter().filter(is_it).map(|group| group["sessions"].as_u64().unwrap()).sum()
    };
    // The table of rulesets/web-hosting/README.md, by the line of the old rule.
    for (change, line, expected) in [
        ("newly-denied", 343, 3),  // the policy names the post-NAT address
        ("newly-denied", 400, 2),  // the exception for active FTPS is lost
        ("newly-denied", 414, 2),  // a group member was dropped
        ("newly-denied", 499, 1),  // the same, seen by monitoring
        ("newly-denied", 501, 2),  // a service with the wrong source port
        ("newly-denied", 502, 2),  // the same
        ("newly-denied", 356, 2),  // application-default on an unusual port
        ("session-lost", 414, 1),  // a timer too short for an idle session
        ("newly-allowed", 519, 2), // too wide
        ("denied-after-identification", 441, 1), // the URL category misses a host
        ("translation", 404, 2),   // static translation below the dynamic one
    ] {
        assert_eq!(sessions(change, line), expected, "{change} of line {line}");
    }
    assert_eq!(document["traffic"]["different"], 20);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let run = || parefeu(&["diff", OLD, NEW, "-r", TRAFFIC, "--format", "html"]).stdout;
    let page = run();
    assert!(page.starts_with(b"<!DOCTYPE html>") || page.starts_with(b"<?xml"));
    assert_eq!(page, run());
}

#[test]
fn a_firewall_compared_with_itself_is_equivalent() {
    check(&["diff", OLD, OLD, "-r", TRAFFIC], 0, "0 differently");
    check(&["diff", OLD, OLD], 0, "equivalent: every new connection is treated alike");
    check(&["diff", NEW, NEW, "-r", TRAFFIC], 0, "0 differently");
    check(&["diff", OLD, NEW], 1, "different");
}

#[test]
fn one_flow_has_one_answer_with_its_line() {
    let flow = [
        "--from",
        "outside",
        "--source",
        "198.51.100.7",
        "--destination",
        "203.0.113.12",
        "--destination-port",
        "443",
    ];
    let mut args = vec!["test", OLD];
    args.extend(flow);
    check(&args, 0, "old.asa.cfg:343:1");
    args[0] = "trace";
    check(&args, 0, "destination-translation");
}

#[test]
fn bad_input_is_named_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let empty = file("empty", b"");
    let noise = file("noise", &[0xff, 0xfe, 0x00, 0xd8, 0x01]);
    let cyclic = file(
        "cyclic.toml",
        b"[[address]]\nname = \"a\"\nmembers = [\"b\"]\n[[address]]\nname = \"b\"\nmembers = [\"a\"]\n",
    );
    let capture = fs::read(root().join("pcaps/ping.pcap")).unwrap();
    let cut = file("cut.pcap", &capture[..capture.len() - 10]);
    check(&["check", "/no/such/file"], 2, "cannot read");
    check(&["check", &empty], 2, "error");
    check(&["check", &noise], 2, "error");
    check(&["check", &cyclic], 2, "error");
    check(&["replay", OLD, "-r", &empty], 2, "cannot replay");
    check(&["replay", OLD, "-r", "/no/such/file"], 2, "cannot read");
    check(
        &["replay", OLD, "-r", "pcaps/ping.pcap", "--set", "expect=on"],
        2,
        "(there are: tcp-syn, ",
    );
    check(&["replay", OLD, "-r", "pcaps/ping.pcap", "--set", "expect=on"], 2, " expect-ftp, ");
    check(&["replay", OLD, "-r", &cut], 3, "ends early");
    check(&["test", OLD, "--protocol", "nonsense"], 2, "no IP protocol");
    check(&["nonsense"], 2, "unrecognized");
    check(&["diff", OLD, NEW, "-r", TRAFFIC, "-o", "/no/such/folder/x"], 2, "cannot write");
    assert!(!Path::new("/no/such/folder").exists());
}

#[test]
fn every_document_has_a_schema_and_every_verb_a_manual() {
    let names = String::from_utf8(parefeu(&["schema"]).stdout).unwrap();
    assert_eq!(names.lines().count(), 14);
    for name in names.lines() {
        check(&["schema", name], 0, "json-schema.org");
    }
    check(&["schema", "nonsense"], 2, "no document is called");
    let verbs = ["check", "lint", "test", "trace", "replay", "diff", "search", "verify", "bench"];
    for verb in verbs {
        check(&["man", verb], 0, ".TH");
    }
    check(&["completions", "bash"], 0, "parefeu");
}

#[test]
fn a_question_about_ports_is_about_protocols_that_have_ports() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, rule: &str| {
        let path = folder.path().join(name);
        let layer = "[[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n";
        fs::write(&path, format!("[[rule_base]]\nname = \"main\"\n{rule}{layer}")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ping = "[[rule_base.rule]]\nname = \"ping\"\nservice = [\"icmp\"]\naction = \"allow\"\n";
    let (old, new) = (write("old.toml", ping), write("new.toml", ""));
    check(&["diff", &old, &new], 1, "icmp");
    check(&["diff", &old, &new, "--destination-port", "0-443"], 0, "equivalent");
}
