//! The same captures on one thread or several, whole or cut in time: the same bytes come out.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use parefeu_net::LinkType;
use parefeu_replay::{Capture, CaptureInterfaceId, CaptureLimits, CaptureWriter, MergedCaptures};

const OLD: &str = "rulesets/web-hosting/old.asa.cfg";
const NEW: &str = "rulesets/web-hosting/new.panos.xml";

/// Follows sessions, identifies applications and translates nothing.
const OPEN: &str = r#"
[behaviour]
preset = "panos"
tcp-loose = true
[[application]]
name = "web-browsing"
identified_as = ["http"]
[[rule_base]]
name = "all"
default = "allow"
[[rule_base.rule]]
name = "no clear text"
application = ["web-browsing"]
action = "deny"
[[layer]]
rule_base = "all"
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// What `replay` prints of sessions and packets, without the summary, which tells the time it took.
fn replay(config: &str, captures: &[&str], options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(["replay", config, "--packets", "--format", "ndjson"]).args(options);
    command.args(captures.iter().flat_map(|capture| ["-r", *capture]));
    let output = command.current_dir(root()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let says = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{options:?}: {says}");
    let lines = text.lines().filter(|line| !line.contains("\"type\":\"summary\""));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Every capture of the repository with Ethernet frames, in one file each of some frames.
fn slices(folder: &Path, frames: usize) -> Vec<String> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("pcaps")).unwrap().map(|it| it.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "pcap" || it == "pcapng"));
    paths.sort();
    let open = |path: &PathBuf| {
        let source = Cursor::new(fs::read(path).unwrap());
        Capture::open(source, "test", CaptureLimits::default()).unwrap()
    };
    let mut merged = MergedCaptures::new(paths.iter().map(open).collect());
    let mut written = Vec::new();
    let mut writer = None;
    let mut count = 0;
    while let Some(frame) = merged.next_frame().unwrap() {
        if frame.frame.link_type != LinkType::ETHERNET {
            continue;
        }
        if count % frames == 0 {
            let path = folder.join(format!("{:06}.pcap", count / frames));
            writer = Some(
                CaptureWriter::pcap(File::create(&path).unwrap(), LinkType::ETHERNET).unwrap(),
            );
            written.push(path.display().to_string());
        }
        count += 1;
        let interface = CaptureInterfaceId(0);
        let writer = writer.as_mut().unwrap();
        writer.write_frame(interface, frame.clock, frame.frame.data).unwrap();
    }
    written
}

#[test]
fn threads_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open.toml");
    fs::write(&open, OPEN).unwrap();
    let captures = slices(folder.path(), usize::MAX);
    let captures: Vec<&str> = captures.iter().map(String::as_str).collect();
    for config in [&*open.display().to_string(), OLD, NEW] {
        let expected = replay(config, &captures, &[]);
        assert!(expected.lines().count() > 1000);
        for threads in ["2", "8"] {
            let threaded = replay(config, &captures, &["--threads", threads]);
            assert!(threaded == expected, "{threads} threads, {config}");
        }
    }
}

#[test]
fn slices_of_time_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open.toml");
    fs::write(&open, OPEN).unwrap();
    let snapshot = folder.path().join("snapshot").display().to_string();
    let captures = slices(folder.path(), 700);
    assert!(captures.len() > 2);
    let all: Vec<&str> = captures.iter().map(String::as_str).collect();
    for config in [&*open.display().to_string(), OLD, NEW] {
        let expected = replay(config, &all, &[]);
        let mut told = String::new();
        for (at, capture) in all.iter().enumerate() {
            let mut options = vec!["--threads", if at % 2 == 0 { "1" } else { "3" }];
            if at > 0 {
                options.extend(["--resume", &snapshot]);
            }
            if at + 1 < all.len() {
                options.extend(["--snapshot", &snapshot]);
            }
            told += &replay(config, &[capture], &options);
        }
        assert!(told == expected, "{config}");
    }
}

#[test]
fn what_is_no_snapshot_of_this_firewall_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("snapshot").display().to_string();
    let run = |config: &str, option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
        command.args(["replay", config, "-r", "pcaps/ping.pcap", option, &snapshot]);
        let output = command.current_dir(root()).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(run(OLD, "--resume").1.contains("cannot read"));
    assert_eq!(run(OLD, "--snapshot").0, Some(0));
    let (status, says) = run(NEW, "--resume");
    assert_eq!(status, Some(2));
    assert!(says.contains("taken of another firewall"), "{says}");
    for bad in [["--threads", "0"], ["--threads", "257"], ["--snapshot", "-"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
        let run = command.args(["replay", OLD, "-r", "pcaps/ping.pcap"]).args(bad);
        let status = run.current_dir(root()).stdin(Stdio::null()).output().unwrap().status;
        assert_eq!(status.code(), Some(2), "{bad:?}");
    }
    fs::write(&snapshot, "nothing").unwrap();
    assert!(run(OLD, "--resume").1.contains("no snapshot"));
}
