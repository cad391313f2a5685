//! `lint` as its users meet it: what it prints in each format, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Output, Stdio};

use parefeu_policy::analysis::FindingKind;
use serde_json::{Value, json};
use tempfile::TempDir;

fn lint(folder: &TempDir, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.arg("lint").args(args).current_dir(folder).stdin(Stdio::null());
    command.env("NO_COLOR", "1").output().unwrap()
}

/// Runs the command; it has to end with `status`, and what it prints is the answer.
#[track_caller]
fn check(folder: &TempDir, args: &[&str], status: i32) -> String {
    let Output { status: ended, stdout, stderr } = lint(folder, args);
    let (text, talk) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
    assert_eq!(ended.code(), Some(status), "{args:?}\n{text}\n{talk}");
    text
}

/// A folder with one file of each sort.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rule = |name: &str, source: &str, action: &str| {
        format!(
            "[[rule_base.rule]]\nname = \"{name}\"\nsource = \"{source}\"\naction = \"{action}\"\n"
        )
    };
    let head = "[[layer]]\nrule_base = \"main\"\n[[rule_base]]\nname = \"main\"\n";
    let clean = head.to_owned() + &rule("net", "192.0.2.0/24", "allow");
    let shadowed = clean.clone() + &rule("host", "192.0.2.7", "drop");
    let halves = head.to_owned()
        + &rule("low", "192.0.2.0/25", "allow")
        + &rule("high", "192.0.2.128/25", "allow")
        + &rule("both", "192.0.2.0/24", "drop");
    let files = [
        ("clean.toml", &clean),
        ("shadowed.toml", &shadowed),
        ("halves.toml", &halves),
        ("broken.toml", &clean.replace("192.0.2.0", "no-such-object")),
        ("large.rules", &large()),
        ("odd.rules", &ODD.to_owned()),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// A chain of the kernel with a match that is not modelled, and nothing to find.
const ODD: &str = "*filter\n:FORWARD DROP [0:0]\n\
    -A FORWARD -s 192.0.2.1/32 -m nonsense --x 1 -j ACCEPT\nCOMMIT\n";

/// 9,999 hosts in the form of ClassBench, and a rule that shares packets with each of them.
fn large() -> String {
    let rest = "0 : 65535\t0 : 65535\t0x06/0xFF\n";
    let mut text = String::new();
    for host in 0..9_999 {
        writeln!(text, "@10.0.{}.{}/32\t0.0.0.0/0\t{}", host / 256, host % 256, rest.trim())
            .unwrap();
    }
    text + "@0.0.0.0/0\t192.0.2.1/32\t" + rest
}

#[test]
fn the_exit_status_tells_what_was_found() {
    let folder = folder();
    check(&folder, &["clean.toml"], 0);
    check(&folder, &["shadowed.toml"], 1);
    check(&folder, &["broken.toml"], 2);
    check(&folder, &["no-such-file"], 2);
    check(&folder, &["halves.toml", "--work-per-rule", "0"], 3);
    check(&folder, &["odd.rules"], 3);
    // Of several files the gravest answer counts, and doubt is no reason to hide a finding.
    check(&folder, &["clean.toml", "shadowed.toml"], 1);
    check(&folder, &["halves.toml", "shadowed.toml", "--work", "0"], 1);
    check(&folder, &["broken.toml", "shadowed.toml"], 2);
}

#[test]
fn the_table_says_what_takes_the_packets_and_where() {
    let folder = folder();
    assert_eq!(
        check(&folder, &["clean.toml"], 0),
        "clean.toml: parefeu, 1 rules; 0 serious, 0 warnings, 0 for information\n"
    );
    let text = check(&folder, &["shadowed.toml"], 1);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words,
        "shadowed.toml: parefeu, 2 rules; 1 serious, 0 warnings, 0 for information \
         severity line finding what, and what to do \
         serious 9 shadowed `host`, which would drop, never decides: `net` (line 5) above takes all \
         its packets and allows them → move it up if it is meant to apply, else remove it"
    );
}

fn host_shadowed() -> Value {
    let reference = |name: &str, position: u32, line: u32| {
        json!({
            "name": name, "rule_base": "main", "position": position, "line": line, "column": 1,
        })
    };
    json!({
        "code": "shadowed",
        "severity": "serious",
        "file": "shadowed.toml",
        "line": 9,
        "column": 1,
        "rule": "host",
        "rule_base": "main",
        "subject": null,
        "shadowed": "fully",
        "rules": [reference("host", 2, 9)],
        "by": [reference("net", 1, 5)],
        "message": "`host`, which would drop, never decides: `net` (line 5) above takes all its \
                    packets and allows them",
        "help": "move it up if it is meant to apply, else remove it",
    })
}

#[test]
fn json_is_one_document_of_all_files() {
    let folder = folder();
    let args = ["clean.toml", "shadowed.toml", "--format", "json"];
    let document: Value = serde_json::from_str(&check(&folder, &args, 1)).unwrap();
    assert_eq!(document["schema"], "parefeu/lint/1");
    let files = document["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files[0]["findings"], json!([]));
    assert_eq!(files[1]["file"], "shadowed.toml");
    assert_eq!(files[1]["dialect"], "parefeu");
    assert_eq!(files[1]["rules"], 2);
    assert_eq!(files[1]["findings"], json!([host_shadowed()]));
}

#[test]
fn the_schema_requires_what_a_finding_has() {
    let output = Command::new(env!("CARGO_BIN_EXE_parefeu")).args(["schema", "lint"]).output();
    let schema: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let finding = &schema["$defs"]["finding"];
    let codes = FindingKind::ALL.iter().map(|kind| json!(kind.name()));
    assert_eq!(finding["properties"]["code"]["enum"], codes.collect::<Value>());
    let required = finding["required"].as_array().unwrap();
    let required: BTreeSet<&str> = required.iter().map(|key| key.as_str().unwrap()).collect();
    let found = host_shadowed();
    assert_eq!(required, found.as_object().unwrap().keys().map(String::as_str).collect());
}

#[test]
fn ndjson_is_a_finding_a_line_and_a_summary() {
    let folder = folder();
    let summary = |files: u32, findings: u32| json!({ "type": "summary", "files": files, "findings": findings });
    let lines = |args: &[&str], status| -> Vec<Value> {
        let text = check(&folder, args, status);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(lines(&["clean.toml", "--format", "ndjson"], 0), [summary(1, 0)]);
    let mut finding = host_shadowed();
    finding["type"] = json!("finding");
    assert_eq!(lines(&["shadowed.toml", "--format", "ndjson"], 1), [finding, summary(1, 1)]);
}

#[test]
fn sarif_names_the_rule_and_both_places() {
    let folder = folder();
    let text = check(&folder, &["shadowed.toml", "--format", "sarif"], 1);
    let document: Value = serde_json::from_str(&text).unwrap();
    let run = &document["runs"][0];
    let result = &run["results"][0];
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "shadowed");
    assert_eq!(result["ruleId"], "shadowed");
    assert_eq!(result["level"], "error");
    let line = |location: &Value| location["physicalLocation"]["region"]["startLine"].clone();
    assert_eq!(line(&result["locations"][0]), 9);
    assert_eq!(line(&result["relatedLocations"][0]), 5);
}

#[test]
fn lesser_findings_are_left_out_on_request_but_doubt_is_not() {
    let folder = folder();
    check(&folder, &["shadowed.toml", "--min-severity", "serious"], 1);
    check(&folder, &["halves.toml", "--min-severity", "serious"], 1);
    let args = ["halves.toml", "--min-severity", "serious", "--work", "0"];
    assert!(check(&folder, &args, 3).contains("not-decided"));
}

#[test]
fn the_work_on_ten_thousand_rules_is_bounded_and_its_bound_is_said() {
    let folder = folder();
    let answer = |work: &str, status| -> Value {
        let args = ["large.rules", "--format", "json", "--work-per-rule", work];
        let text = check(&folder, &args, status);
        serde_json::from_str::<Value>(&text).unwrap()["files"][0].clone()
    };
    let decided = answer("20000", 0);
    assert_eq!(decided["rules"], 10_000);
    assert_eq!(decided["findings"], json!([]));
    // 9,999 rules cannot be compared with one in fewer steps.
    let undecided = answer("9998", 3);
    let findings = undecided["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0]["code"], "not-decided");
    assert_eq!(findings[0]["rules"][0]["position"], 10_000);
}

#[test]
fn an_output_file_holds_what_would_be_printed() {
    let folder = folder();
    let printed = check(&folder, &["shadowed.toml", "--format", "json"], 1);
    let args = ["shadowed.toml", "--format", "json", "-o", "findings.json"];
    assert_eq!(check(&folder, &args, 1), "");
    assert_eq!(fs::read_to_string(folder.path().join("findings.json")).unwrap(), printed);
}

#[test]
fn an_analysis_that_was_stopped_is_undecided_and_says_so() {
    let folder = folder();
    let text = check(&folder, &["shadowed.toml", "--max-time", "0", "--format", "json"], 3);
    let document: Value = serde_json::from_str(&text).unwrap();
    let findings = document["files"][0]["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{document:#}");
    let left = &findings[0];
    assert_eq!(left["code"], "not-decided");
    assert!(left["message"].as_str().unwrap().contains("stopped"), "{left}");
    check(&folder, &["shadowed.toml", "--max-time", "3600"], 1);
}
