//! Output that cannot be written, is not read, or would destroy what is there.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::folder::{Folder, PERMISSIVE, RAW, SYN, pcap, text_of};

/// A folder with a firewall, one that refuses everything, and a capture of many sessions.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("good.toml", PERMISSIVE);
    folder.write("shut.toml", PERMISSIVE.replace("allow", "deny"));
    folder.write("flows", "{\"protocol\":\"tcp\"}\n".repeat(2000));
    let frames: Vec<Vec<u8>> = (0..2000u16)
        .map(|port| {
            let mut frame = SYN.to_vec();
            frame[20..22].copy_from_slice(&port.to_be_bytes());
            frame
        })
        .collect();
    let frames: Vec<(u32, &[u8])> = frames.iter().map(|frame| (1, frame.as_slice())).collect();
    folder.write("many.pcap", pcap(RAW, &frames));
    folder
}

/// Runs that write a lot, and their status when all is well.
const RUNS: [(&[&str], i32); 7] = [
    (&["check", "good.toml"], 0),
    (&["test", "good.toml", "--flows", "flows"], 0),
    (&["trace", "good.toml", "--protocol", "tcp"], 0),
    (&["replay", "good.toml", "-r", "many.pcap"], 0),
    (&["replay", "good.toml", "-r", "many.pcap", "--packets"], 0),
    (&["diff", "good.toml", "shut.toml", "-r", "many.pcap"], 1),
    (&["diff", "good.toml", "shut.toml", "-r", "many.pcap", "--format", "html"], 1),
];

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_standard_output() {
    let folder = folder();
    let documents = [&["man"][..], &["schema", "diff"], &["completions", "zsh"]];
    for args in RUNS.iter().map(|(args, _)| *args).chain(documents) {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = folder.command(args).stdout(full).output().unwrap();
        let text = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}\n{text}");
        let says = "parefeu: cannot write standard output: No space left on device";
        assert!(text.contains(says), "{args:?}\n{text}");
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = folder.command(&["--help"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
#[cfg(target_os = "linux")]
fn a_device_is_written_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;

    let folder = folder();
    for (args, status) in RUNS {
        let to = |device| [args, &["-o", device]].concat();
        folder.check(&to("/dev/null"), status, "");
        folder.check(&to("/dev/full"), 2, "cannot write `/dev/full`: No space left on device");
    }
    for device in ["/dev/null", "/dev/full"] {
        assert!(fs::metadata(device).unwrap().file_type().is_char_device(), "{device}");
    }
}

/// A file system of 64 KiB, gone with the value; `None` where mounting is not permitted.
#[cfg(target_os = "linux")]
struct SmallDisk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&at).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(Self(at))
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_fills_up_keeps_the_old_file() {
    let folder = folder();
    let Some(disk) = SmallDisk::mount(folder.path("disk")) else {
        eprintln!("skipped: mounting a small file system is not permitted here");
        return;
    };
    let result = disk.0.join("result");
    fs::write(&result, "what was there").unwrap();
    let args = ["replay", "good.toml", "-r", "many.pcap", "--packets", "-o", "disk/result"];
    folder.check(&args, 2, "cannot write `disk/result`: No space left on device");
    assert_eq!(fs::read(&result).unwrap(), b"what was there");
    assert_eq!(fs::read_dir(&disk.0).unwrap().count(), 1, "a part of the result is left");
    // What fits is written.
    folder.check(&["check", "good.toml", "-o", "disk/result"], 0, "");
    assert!(fs::read_to_string(&result).unwrap().contains("1 rules"));
}

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    let folder = folder();
    for (args, status) in RUNS {
        let mut command = folder.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut talk = String::new();
        child.stderr.take().unwrap().read_to_string(&mut talk).unwrap();
        assert_eq!(talk, "", "{args:?}");
        assert_eq!(child.wait().unwrap().code(), Some(status), "{args:?}");
        assert!(line.ends_with('\n'), "{args:?} writes no line");
    }
}

#[test]
fn an_input_is_not_overwritten() {
    let folder = folder();
    let files = ["good.toml", "shut.toml", "many.pcap", "flows"];
    let before: Vec<Vec<u8>> = files.iter().map(|file| folder.read(file)).collect();
    for (args, inputs) in [
        (RUNS[0].0, &["good.toml"][..]),
        (RUNS[1].0, &["good.toml", "flows"]),
        (RUNS[2].0, &["good.toml"]),
        (RUNS[3].0, &["good.toml", "many.pcap"]),
        (RUNS[5].0, &["good.toml", "shut.toml", "many.pcap"]),
    ] {
        for input in inputs {
            let says = format!("cannot write `{input}`: it is an input of this run");
            folder.check(&[args, &["-o", input]].concat(), 2, &says);
            let other_way = format!("./{input}");
            folder.check(&[args, &["-o", &other_way]].concat(), 2, "it is an input of this run");
        }
    }
    let after: Vec<Vec<u8>> = files.iter().map(|file| folder.read(file)).collect();
    assert_eq!(after, before);
}

#[test]
#[cfg(unix)]
fn a_replaced_file_keeps_its_link_and_its_permissions() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = folder();
    folder.write("result", "what was there");
    fs::set_permissions(folder.path("result"), fs::Permissions::from_mode(0o600)).unwrap();
    symlink("result", folder.path("link")).unwrap();
    symlink("good.toml", folder.path("input")).unwrap();
    folder.check(&["check", "good.toml", "-o", "link"], 0, "");
    assert!(fs::symlink_metadata(folder.path("link")).unwrap().is_symlink());
    assert!(String::from_utf8(folder.read("result")).unwrap().contains("1 rules"));
    let mode = fs::metadata(folder.path("result")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    folder.check(&["check", "good.toml", "-o", "input"], 2, "it is an input of this run");
    assert_eq!(folder.read("good.toml"), PERMISSIVE.as_bytes());
}

#[test]
fn a_place_where_nothing_can_be_written() {
    let folder = folder();
    fs::create_dir(folder.path("taken")).unwrap();
    for (args, _) in RUNS {
        folder.check(&[args, &["-o", "taken"]].concat(), 2, "cannot write `taken`");
        folder.check(&[args, &["-o", "none/x"]].concat(), 2, "cannot write `none/x`");
        folder.check(&[args, &["-o", "flows/x"]].concat(), 2, "cannot write `flows/x`");
    }
    folder.check(&["diff", "good.toml", "nothing", "-o", "flows"], 2, "cannot read `nothing`");
    assert!(folder.read("flows").starts_with(b"{"));
}
