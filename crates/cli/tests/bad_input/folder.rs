//! A folder to run the command in, and the files it is given.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for the files of one test; the command runs in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Every file, so that one left behind shows.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        command
    }

    /// Runs the command: it may not panic, and leaves the folder as it was.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let before = self.names();
        let output = self.command(args).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(!talk.contains("panicked"), "{args:?}\n{talk}");
        assert_eq!(self.names(), before, "{args:?} leaves files behind");
        output
    }

    /// Runs the command; the last parts are how it has to end and what it has to say.
    #[track_caller]
    pub(crate) fn check(&self, args: &[&str], status: i32, says: &str) {
        let output = self.run(args);
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
        assert!(text.contains(says), "{args:?} does not say `{says}`:\n{text}");
        assert!(text.len() < 20_000, "{args:?} says {} bytes", text.len());
    }

    /// A configuration that no verb can use, whatever is asked.
    #[track_caller]
    pub(crate) fn refuses(&self, config: &str, says: &str) {
        self.write("good.toml", PERMISSIVE);
        self.write("good.pcap", pcap(RAW, &[(1, SYN), (2, SYN)]));
        self.check(&["check", config], 2, says);
        self.check(&["test", config, "--protocol", "tcp"], 2, says);
        self.check(&["trace", config, "--protocol", "tcp"], 2, says);
        self.check(&["replay", config, "-r", "good.pcap"], 2, says);
        self.check(&["diff", config, "good.toml", "-r", "good.pcap"], 2, says);
        self.check(&["diff", "good.toml", config, "-r", "good.pcap"], 2, says);
    }

    /// A capture that no verb can use.
    #[track_caller]
    pub(crate) fn refuses_capture(&self, capture: &str, says: &str) {
        self.write("good.toml", PERMISSIVE);
        self.write("result", "what was there");
        self.check(&["replay", "good.toml", "-r", capture], 2, says);
        self.check(&["trace", "good.toml", "-r", capture], 2, says);
        self.check(&["diff", "good.toml", "good.toml", "-r", capture], 2, says);
        let to_file = ["--format", "ndjson", "-o", "result"];
        self.check(&[&["replay", "good.toml", "-r", capture][..], &to_file].concat(), 2, says);
        assert_eq!(self.read("result"), b"what was there");
    }

    /// The summary of a replay that has to end with `status`.
    #[track_caller]
    pub(crate) fn summary(&self, capture: &str, status: i32, says: &str) -> Value {
        self.write("good.toml", PERMISSIVE);
        let output = self.run(&["replay", "good.toml", "-r", capture, "--format", "ndjson"]);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{capture}\n{}", text_of(&output));
        assert!(talk.contains(says), "{capture} does not say `{says}`:\n{talk}");
        let data = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(data.lines().last().unwrap()).unwrap()
    }
}

/// All that a run said, data first.
pub(crate) fn text_of(output: &Output) -> String {
    let data = String::from_utf8_lossy(&output.stdout).into_owned();
    data + &String::from_utf8_lossy(&output.stderr)
}

/// A firewall that lets everything pass.
pub(crate) const PERMISSIVE: &str = "\
[[rule_base]]
name = \"all\"
[[rule_base.rule]]
name = \"all\"
action = \"allow\"
[[layer]]
rule_base = \"all\"
";

/// The link type of frames that are IP packets.
pub(crate) const RAW: u16 = 101;

/// A TCP SYN from 192.0.2.1 to 198.51.100.1, as an IPv4 packet.
pub(crate) const SYN: &[u8] = &[
    0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1, // IPv4
    0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0, // TCP
];

/// A classic capture of frames with the second each was taken.
pub(crate) fn pcap(link_type: u16, frames: &[(u32, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    bytes.extend_from_slice(&u32::from(link_type).to_le_bytes());
    for (second, frame) in frames {
        for field in [*second, 0, frame.len() as u32, frame.len() as u32] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(frame);
    }
    bytes
}

/// A pcapng capture of one section and interface; frames are of a multiple of four bytes.
pub(crate) fn pcapng(link_type: u16, frames: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        bytes.extend_from_slice(&[&kind.to_le_bytes(), &length, body, &length].concat());
    };
    block(
        0x0a0d_0d0a,
        &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    );
    block(1, &[&link_type.to_le_bytes()[..], &[0, 0, 0, 0, 4, 0]].concat());
    for frame in frames {
        let length = (frame.len() as u32).to_le_bytes();
        block(6, &[&[0; 12][..], &length, &length, frame].concat());
    }
    bytes
}
