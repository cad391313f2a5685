//! `bench` as scripts meet it: fields, answers, exit status, bad input. Times are not judged.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench");

/// Runs `bench`, short: two repetitions.
fn bench(args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(["bench", "--repetitions", "2"]).args(args).current_dir(root);
    command.stdin(Stdio::null()).env("NO_COLOR", "1").output().unwrap()
}

/// The document `bench` prints when it ends with `status`.
#[track_caller]
fn document(args: &[&str], status: i32) -> Value {
    let output = bench(&[args, &["--format", "json"]].concat());
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{talk}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(args: &[&str], says: &str) {
    let output = bench(args);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}\n{talk}");
    assert!(talk.contains(says), "{args:?} does not say `{says}`:\n{talk}");
}

/// A folder with files to measure.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name).display().to_string()
    }

    fn gzip(&self, name: &str, bytes: &[u8]) -> String {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        self.file(name, &encoder.finish().unwrap())
    }
}

const RULES: &[u8] =
    b"@192.0.2.0/24\t198.51.100.1/32\t0 : 65535\t443 : 443\t0x06/0xFF\t0x0000/0x0000\n\
    @192.0.2.0/24\t0.0.0.0/0\t0 : 65535\t53 : 53\t0x11/0xFF\t0x0000/0x0000\n\
    @0.0.0.0/0\t198.51.100.0/24\t0 : 65535\t0 : 65535\t0x00/0x00\t0x0000/0x0000\n";

/// Five headers; by the rules above they hit 0, 2, 1, none and 2.
const TRACE: &str = "3221225985\t3325256705\t40000\t443\t6\t0\n\
    3221225985\t3325256705\t40000\t80\t6\t2\n\
    3221225985\t134744072\t40000\t53\t17\t1\n\
    16843009\t134744072\t40000\t53\t17\t-1\n\
    16843009\t3325256961\t0\t0\t1\t2\n";

#[test]
fn a_trace_is_answered_and_compared_with_its_last_column() {
    let folder = Folder::new();
    let (rules, trace) = (folder.file("rules", RULES), folder.file("trace", TRACE.as_bytes()));
    let matches = folder.path("matches");
    let args = [&*rules, "--trace", &trace, "--print-matches", matches.to_str().unwrap()];
    // The last header goes to 198.51.101.1, which no rule names.
    let wrong = document(&args, 1);
    assert_eq!(wrong["mismatches"], 1);
    assert_eq!(fs::read_to_string(&matches).unwrap(), "0\n2\n1\n-1\n-1\n");

    folder.file("trace", TRACE.replace("3325256961", "3325256706").as_bytes());
    let right = document(&args, 0);
    assert_eq!(fs::read_to_string(&matches).unwrap(), "0\n2\n1\n-1\n2\n");
    assert_eq!(right["schema"], "parefeu/bench/1");
    assert_eq!(right["rules"], 3);
    let clock = if cfg!(target_os = "linux") { "processor" } else { "wall" };
    assert_eq!(right["clock"], clock);
    assert_eq!(right["mismatches"], 0);
    assert_eq!((&right["headers"], &right["hits"]), (&5.into(), &4.into()));
    assert_eq!(right["lookups"], 100_000, "a short trace is walked many times");
    for field in ["build_ms", "memory_bytes", "ns_per_lookup", "ns_per_lookup_batch"] {
        assert!(right[field].as_f64().unwrap() > 0.0, "{field}: {right:#}");
    }
    assert!(right["updates_per_second"].as_f64().unwrap() > 0.0);
    for (median, range) in right["spread"].as_object().unwrap() {
        let [least, most] = [&range[0], &range[1]].map(|end| end.as_f64().unwrap());
        let median = right[median].as_f64().unwrap();
        assert!(least <= median && median <= most, "{right:#}");
    }

    let without = TRACE.lines().map(|line| line.rsplit_once('\t').unwrap().0.to_owned() + "\n");
    let trace = folder.file("without", without.collect::<String>().as_bytes());
    let unchecked = document(&[&rules, "--trace", &trace], 0);
    assert_eq!(unchecked.get("mismatches"), None, "nothing was expected");
}

#[test]
fn compressed_files_and_ipv6_are_read() {
    let folder = Folder::new();
    let rules = folder.gzip("rules.gz", RULES);
    let trace = folder.gzip("trace.gz", TRACE.replace("3325256961", "3325256706").as_bytes());
    assert_eq!(document(&[&rules, "--trace", &trace], 0)["mismatches"], 0);

    let rules = folder.file("rules6", b"@2001:db8::/32 ::/0 0 : 65535 53 : 53 0x11/0xFF\n");
    let trace = "2001:db8::1 2001:db9::1 7 53 17 0\n2001:db9::1 2001:db8::1 7 53 17 -1\n";
    let trace = folder.file("trace6", trace.as_bytes());
    assert_eq!(document(&[&rules, "--trace", &trace], 0)["mismatches"], 0);
}

#[test]
fn without_a_trace_headers_are_drawn_inside_the_rules() {
    let folder = Folder::new();
    let rules = folder.file("rules", RULES);
    let matches = folder.path("matches");
    let run = |seed: &str| {
        let print = ["--print-matches", matches.to_str().unwrap()];
        let drawn = ["--headers", "1000", "--seed", seed];
        let found = document(&[&[&*rules][..], &drawn, &print].concat(), 0);
        assert_eq!((&found["headers"], &found["hits"]), (&1000.into(), &1000.into()));
        fs::read_to_string(&matches).unwrap()
    };
    let first = run("1");
    assert_eq!(first, run("1"), "the same seed draws the same headers");
    assert_ne!(first, run("2"));
    for rule in ["0", "1", "2"] {
        let hits = first.lines().filter(|line| *line == rule).count();
        assert!((200..500).contains(&hits), "{hits} of 1,000 hit rule {rule}");
    }
}

#[test]
fn any_dialect_is_measured_with_zones_as_its_rules_name_them() {
    for (file, rules) in
        [("rulesets/web-hosting/new.panos.xml", 20), ("rulesets/web-hosting/old.asa.cfg", 20)]
    {
        let found = document(&[file, "--headers", "2000"], 0);
        assert!(found["rules"].as_u64().unwrap() >= rules, "{found:#}");
        // Rules that wait for an object without a value never surely match.
        assert!(found["hits"].as_u64().unwrap() > 1_500, "{found:#}");
    }
    let asa = "rulesets/web-hosting/old.asa.cfg";
    let named = document(&[asa, "--rulebase", "interface-acls", "--headers", "10"], 0);
    assert_eq!(named["rule_base"], "interface-acls");
    let rulebase = ["--rulebase", "no-such", "--headers", "10"];
    refused(&[&[asa][..], &rulebase].concat(), "no rule base");
}

#[test]
fn the_table_says_what_is_measured() {
    let folder = Folder::new();
    let rules = folder.file("rules", RULES);
    let output = bench(&[&rules, "--headers", "100"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in
        ["filters (3 rules)", "100 (100 hit a rule)", "batches of 256 by fields", "ns per update"]
    {
        assert!(text.contains(part), "the table does not say `{part}`:\n{text}");
    }
}

#[test]
fn bad_input_is_refused() {
    let folder = Folder::new();
    let rules = folder.file("rules", RULES);
    let bad = folder.file("bad", b"1 2 3 4\n");
    let empty = folder.file("empty", b"");
    let cut = folder.file("cut.gz", &[0x1f, 0x8b, 8, 0, 0, 0]);
    refused(&[&rules, "--trace", &bad], "line 1: the protocol is missing");
    refused(&[&rules, "--trace", &empty], "it holds no header");
    refused(&[&rules, "--trace", "/no/such/file"], "cannot read");
    refused(&[&cut], "cannot read");
    refused(&[&rules, "--headers", "0"], "--headers");
    refused(&[&rules, "--batch", "0"], "--batch");
    refused(&[&rules, "--format", "html"], "--format is one of table, json, ndjson");
    refused(&[&rules, "--print-matches", "/no/such/folder/x"], "cannot write");
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn published_filter_sets_are_answered_as_a_scan_answers() {
    for name in ["acl1_1k", "fw1_1k", "ipc1_1k"] {
        let path = |kind: &str| format!("{DATA}/{name}.{kind}.gz");
        if !Path::new(&path("rules")).exists() {
            eprintln!("skipped: {DATA} has no filter set {name}");
            continue;
        }
        let found = document(&[&path("rules"), "--trace", &path("uniform.trace")], 0);
        assert_eq!((&found["mismatches"], &found["headers"]), (&0.into(), &100_000.into()));
        assert_eq!(found["lookups"], 100_000);
    }
}
