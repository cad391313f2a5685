//! House rules that compilers do not check.
#![expect(clippy::unwrap_used, reason = "a test that cannot read the tree has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file of the project.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> =
        ["src", "crates", "tests", "benches", "fuzz"].iter().map(|name| root.join(name)).collect();
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            if path.ends_with("target") || path.ends_with("corpus") {
                continue;
            }
            let entries = fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    assert!(files.len() > 50, "the search for sources finds too little");
    files
}

/// Fails with every place that breaks a rule.
#[track_caller]
fn check(rule: &str, breaks: impl Fn(&Path, &str) -> Option<usize>) {
    let found: Vec<String> = sources()
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            breaks(path, &text).map(|line| format!("{}:{line}", path.display()))
        })
        .collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn line_with(text: &str, holds: impl Fn(&str) -> bool) -> Option<usize> {
    text.lines().position(holds).map(|at| at + 1)
}

#[test]
fn no_file_is_longer_than_a_thousand_lines() {
    check("a file past 1,000 lines is a room too full", |_, text| {
        let lines = text.lines().count();
        (lines > 1000).then_some(lines)
    });
}

#[test]
fn lines_fit_a_hundred_columns() {
    check("lines are at most 100 columns wide", |path, text| {
        // Tests quote configurations as they are.
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            return None;
        }
        // Long literals cannot be broken; formatting leaves them alone.
        line_with(text, |line| line.chars().count() > 100 && !line.contains('"'))
    });
}

#[test]
fn nothing_is_stubbed_or_ignored() {
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("#[", "ignore")];
    check("no stub and no ignored test", |_, text| {
        line_with(text, |line| words.iter().any(|word| line.contains(word)))
    });
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    let allow = [concat!("#[", "allow("), concat!("#![", "allow(")];
    check("#[expect(lint, reason = …)] instead", |_, text| {
        line_with(text, |line| allow.iter().any(|word| line.trim_start().starts_with(word)))
    });
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    check("a file starts with `//!`", |path, text| {
        let is_tests = path.file_name().is_some_and(|name| name == "tests.rs");
        (!is_tests && !text.starts_with("//!")).then_some(1)
    });
}

#[test]
fn every_small_capture_has_its_description() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("pcap" | "pcapng")) {
            assert!(path.with_extension("toml").is_file(), "{} has no .toml", path.display());
        }
    }
}
