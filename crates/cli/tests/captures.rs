//! The captures of `pcaps/`: what the description beside each promises, a reader of it finds.
#![expect(clippy::unwrap_used, reason = "a test whose files are unreadable has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml::Table;

/// A firewall that lets everything pass, so that every session is seen to its end.
const OPEN: &str = "[[rule_base]]\nname = \"open\"\n[[rule_base.rule]]\nname = \"all\"\n\
                    action = \"allow\"\n[[layer]]\nrule_base = \"open\"\n";

fn pcaps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pcaps").canonicalize().unwrap()
}

/// The sessions of a capture, in the order they began, and the summary.
fn replay(capture: &Path) -> (Vec<Value>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open.toml");
    fs::write(&open, OPEN).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.arg("replay").arg(open).arg("-r").arg(capture).args(["--format", "ndjson"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", capture.display());
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap();
    lines.sort_by_key(|session| session["id"].as_u64());
    (lines, summary)
}

/// Whether an end of a session is the one described: an address, with or without a port.
fn is_end(session: &Value, name: &str, described: &str) -> bool {
    let address = session[name].as_str().unwrap();
    let port = session[format!("{name}_port")].as_u64().unwrap();
    let colon = if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    };
    described == address || described == colon
}

#[test]
fn every_session_described_is_found_and_no_other() {
    let mut described = 0;
    for entry in fs::read_dir(pcaps()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        let text: Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        let file = text["file"].as_str().unwrap();
        let (sessions, summary) = replay(&pcaps().join(file));
        assert_eq!(summary["undecodable"], serde_json::json!({}), "{file}");
        if let Some(frames) = text.get("frames") {
            assert_eq!(summary["frames"].as_i64(), frames.as_integer(), "{file}");
        }
        let Some(expected) = text.get("session").and_then(toml::Value::as_array) else { continue };
        assert_eq!(sessions.len(), expected.len(), "{file}: {sessions:#?}");
        for (session, expected) in sessions.iter().zip(expected) {
            let word = |name: &str| expected.get(name).and_then(toml::Value::as_str);
            assert!(is_end(session, "source", word("client").unwrap()), "{file}: {session}");
            assert!(is_end(session, "destination", word("server").unwrap()), "{file}: {session}");
            for name in ["protocol", "application", "hostname", "certificate_issuer"] {
                if let Some(expected) = word(name) {
                    assert_eq!(session[name], expected, "{file}: {name}");
                }
            }
            described += 1;
        }
    }
    assert!(described >= 18, "{described}");
}
