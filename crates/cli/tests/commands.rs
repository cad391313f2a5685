//! The commands a page of `diff` gives for every region answer what the region states.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_parefeu");

/// What a shell does with a line typed in `folder`, where `parefeu` is the command under test.
fn paste(line: &str, folder: &Path) -> Output {
    let bin = Path::new(BINARY).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths(std::iter::once(bin.into()).chain(std::env::split_paths(&path)));
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).env("PATH", path.unwrap()).current_dir(folder);
    shell.stdin(Stdio::null()).output().unwrap()
}

fn diff(args: &[&str], format: &str, folder: &Path) -> String {
    let mut command = Command::new(BINARY);
    command.args(["diff", "--format", format]).args(args).current_dir(folder);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}\n{talk}");
    String::from_utf8(output.stdout).unwrap()
}

/// The number of each region of a page, with its two commands.
fn commands(page: &str) -> Vec<(usize, Vec<String>)> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let document = Document::parse_with_options(page, options).unwrap();
    let of_class = |node: &Node<'_, '_>, class| node.attribute("class") == Some(class);
    let regions = document.descendants().filter(|node| of_class(node, "region"));
    let regions = regions.filter_map(|region| {
        let number = region.first_element_child()?.attribute("id")?.strip_prefix('r')?;
        let figure = region.children().find(|node| of_class(node, "check"))?;
        let lines = figure.children().filter(|node| node.has_tag_name("p"));
        let codes = lines.filter_map(|line| line.children().find(|it| it.has_tag_name("code")));
        let codes = codes.filter_map(|code| code.text().map(str::to_owned)).collect();
        Some((number.parse().ok()?, codes))
    });
    regions.collect()
}

/// Pastes every command of a page; gives them all.
#[track_caller]
fn check(args: &[&str], folder: &Path) -> Vec<String> {
    let document: Value = serde_json::from_str(&diff(args, "json", folder)).unwrap();
    let regions = document["regions"].as_array().unwrap();
    let found = commands(&diff(args, "html", folder));
    assert!(!regions.is_empty());
    assert_eq!(found.len(), regions.len());
    let mut pasted = Vec::new();
    for (number, lines) in found {
        let region = &regions[number - 1];
        assert_eq!(lines.len(), 2, "{region:#}");
        for (side, line) in ["old", "new"].into_iter().zip(lines) {
            let output = paste(&format!("{line} --format json"), folder);
            let talk = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{line}\n{talk}");
            let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
            let passes = |verdict: &Value| {
                let verdict = verdict.as_str().unwrap().to_owned();
                assert!(matches!(&*verdict, "allow" | "deny" | "drop" | "reset"), "{verdict}");
                verdict == "allow"
            };
            let stated = &region[side];
            assert_eq!(passes(&answer["verdict"]), passes(&stated["verdict"]), "{line}");
            // Several rules may decide in a region; the packet meets one of them.
            let rules = stated["rules"].as_array().unwrap();
            let rule = answer["rule"].as_str().unwrap_or("default");
            assert!(rules.iter().any(|it| it["name"] == rule), "{line}\n{stated:#}\n{answer:#}");
            pasted.push(line);
        }
    }
    pasted
}

fn folder(old: (&str, &str), new: (&str, &str)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [old, new] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn the_commands_of_the_demonstration_answer_as_its_regions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (old, new) = ("rulesets/web-hosting/old.asa.cfg", "rulesets/web-hosting/new.panos.xml");
    let pasted = check(&[old, new], &root);
    assert!(pasted.len() > 50, "{}", pasted.len());
}

/// Two rule bases that nothing binds to an interface, and that treat TCP differently.
const UNBOUND: &str = r#"
    [[rule_base]]
    name = "l'entrée"
    [[rule_base.rule]]
    name = "web"
    service = ["tcp/443"]
    action = "allow"
    [[rule_base]]
    name = "--exit"
    [[rule_base.rule]]
    name = "mail"
    service = ["tcp/25"]
    action = "allow"
"#;

/// Nothing in it tells Cisco IOS from ASA.
const NUMBERED: &str = "access-list 101 permit tcp any host 192.0.2.1 eq 443\n\
                        access-list 101 deny ip any any\n\
                        access-list 102 permit udp any any eq 53\n";

#[test]
fn a_command_chooses_the_rule_base_that_was_compared() {
    let folder = folder(("old.toml", UNBOUND), ("new.toml", UNBOUND));
    let rulebases = ["--old-rulebase", "l'entrée", "--new-rulebase=--exit"];
    let args = [&["old.toml", "new.toml"][..], &rulebases].concat();
    check(&args, folder.path());
}

#[test]
fn a_command_reads_a_file_in_the_dialect_it_was_compared_in() {
    let folder = folder(("old.txt", NUMBERED), ("new.toml", UNBOUND));
    let reading = ["--old-dialect", "asa", "--old-rulebase", "101", "--new-rulebase=--exit"];
    let args = [&["old.txt", "new.toml"][..], &reading].concat();
    let pasted = check(&args, folder.path());
    let (old, new): (Vec<_>, Vec<_>) = pasted.iter().partition(|line| line.contains("old.txt"));
    assert!(old.iter().all(|line| line.contains(" --dialect asa --rulebase 101 ")), "{old:?}");
    assert!(new.iter().all(|line| !line.contains(" --dialect")), "{new:?}");
}

#[test]
fn a_command_keeps_sessions_as_its_side_of_the_comparison_does() {
    let folder = folder(("old.toml", UNBOUND), ("new.toml", UNBOUND));
    let reading = [
        "old.toml",
        "new.toml",
        "--old-rulebase=l'entrée",
        "--new-rulebase=--exit",
        "--behaviour=panos",
        "--new-behaviour=asa",
        "--set=udp-stream=60",
        "--old-set=pending=drop",
    ];
    let pasted = check(&reading, folder.path());
    let expected = [
        "--behaviour panos --set 'udp-stream=60' --set 'pending=drop' ",
        "--behaviour asa --set 'udp-stream=60' --",
    ];
    for sides in pasted.chunks(2) {
        for (line, expected) in sides.iter().zip(expected) {
            assert!(line.contains(expected), "{line}");
        }
    }
}
