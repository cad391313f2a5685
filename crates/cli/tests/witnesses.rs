//! `diff --witnesses`: the capture replays to what the regions state.
#![expect(clippy::unwrap_used, reason = "a test that cannot start the command has failed")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn parefeu(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(args).current_dir(root()).stdin(Stdio::null()).output().unwrap()
}

/// The regions of a comparison, whose witnesses are written to `capture`.
fn regions(old: &str, new: &str, capture: &str, more: &[&str]) -> Vec<Value> {
    let args = [&["diff", old, new, "--witnesses", capture, "--format", "json"], more].concat();
    let output = parefeu(&args);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{args:?}\n{talk}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["regions"].as_array().unwrap().clone()
}

/// What a firewall does with each packet of a capture.
fn verdicts(config: &str, capture: &str, more: &[&str]) -> Vec<String> {
    let args = ["replay", config, "-r", capture, "--packets", "--format", "ndjson"];
    let output = parefeu(&[&args, more].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let packets = lines.filter(|line| line["type"] == "packet");
    packets.map(|packet| packet["verdict"].as_str().unwrap().to_owned()).collect()
}

/// Whether the first packet shows what a region states: its application and category come later,
/// and an ICMP answer without its query (RFC 792) is refused before any rule.
fn shows_at_once(region: &Value) -> bool {
    let kind = region["witness"]["icmp_type"].as_u64();
    let is_answer = kind.is_some_and(|kind| [0, 14, 16, 18].contains(&kind));
    region.get("application").is_none() && region.get("conditions").is_none() && !is_answer
}

/// Every region of a comparison has its packet, for which both firewalls answer as it states.
/// `places` says how the new firewall calls the interfaces of the capture.
#[track_caller]
fn check(old: &str, new: &str, capture: &str, places: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join(capture).display().to_string();
    let regions = regions(old, new, &capture, &[]);
    for (side, config, more) in [("old", old, &[][..]), ("new", new, places)] {
        let verdicts = verdicts(config, &capture, more);
        let stated = regions.iter().map(|region| region[side]["verdict"].as_str().unwrap());
        // Regions do not tell kinds of refusal apart.
        let passes = |verdict: &str| {
            assert!(matches!(verdict, "allow" | "deny" | "drop" | "reset"), "{verdict}");
            verdict == "allow"
        };
        assert_eq!(verdicts.len(), regions.len());
        let mut shown = 0;
        for ((region, stated), verdict) in regions.iter().zip(stated).zip(&verdicts) {
            if shows_at_once(region) {
                assert_eq!(passes(verdict), passes(stated), "{side}: {region:#}");
                shown += 1;
            }
        }
        assert!(shown > 0, "{regions:#?}");
    }
    regions
}

#[test]
fn the_demonstration_replays_to_its_regions() {
    let (old, new) = ("rulesets/web-hosting/old.asa.cfg", "rulesets/web-hosting/new.panos.xml");
    let regions = check(old, new, "witnesses.pcap", &[]);
    let shown = regions.iter().filter(|region| shows_at_once(region)).count();
    assert!(shown >= 10, "{shown} of {}", regions.len());
    check(old, new, "witnesses.pcapng", &["--map-interface", "outside=untrust"]);
}

/// A firewall between two zones with these rules, `action SERVICE [SOURCE]` each.
fn firewall(rules: &[&str]) -> String {
    let mut text = String::from(
        "[[zone]]\nname = \"in\"\n[[zone]]\nname = \"out\"\n\
         [[interface]]\nname = \"eth1\"\nzone = \"in\"\n\
         address = [\"10.0.0.1/8\", \"2001:db8:1::1/64\"]\n\
         [[interface]]\nname = \"eth2\"\nzone = \"out\"\n\
         address = [\"192.0.2.1/24\", \"2001:db8:2::1/64\"]\n\
         [[route]]\ndestination = \"0.0.0.0/0\"\nnext_hop = \"192.0.2.254\"\n\
         [[route]]\ndestination = \"::/0\"\nnext_hop = \"2001:db8:2::fe\"\n\
         [[rule_base]]\nname = \"main\"\n",
    );
    for (number, rule) in rules.iter().enumerate() {
        let words: Vec<&str> = rule.split(' ').collect();
        let (action, service) = (words[0], words[1]);
        let _ = writeln!(
            text,
            "[[rule_base.rule]]\nname = \"{number}\"\nfrom = \"in\"\naction = \"{action}\"\n\
             service = \"{service}\""
        );
        if let Some(source) = words.get(2) {
            let _ = writeln!(text, "source = \"{source}\"");
        }
    }
    text + "[[layer]]\nrule_base = \"main\"\ndefault = \"drop\"\n"
}

#[test]
fn every_kind_of_packet_replays_to_its_region() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let old = firewall(&[
        "allow tcp/22",
        "allow udp/53",
        "reset tcp/25",
        "allow sctp/2905 10.0.0.0/8",
        "allow 33/7 10.0.0.0/8",
        "allow 136/7",
        "allow gre 10.0.0.0/8",
        "allow esp",
        "allow icmp/8",
        "allow icmp/13 10.0.0.0/8",
        "deny any",
    ]);
    let new = firewall(&["allow tcp/25", "allow icmp/3 10.0.0.0/8", "allow ospf", "deny any"]);
    let (old, new) = (file("old.toml", &old), file("new.toml", &new));
    let regions = check(&old, &new, "witnesses.pcap", &[]);
    let protocols = regions.iter().map(|it| it["witness"]["protocol"].as_str().unwrap());
    let mut protocols: Vec<&str> = protocols.collect();
    protocols.sort_unstable();
    protocols.dedup();
    for protocol in ["tcp", "udp", "sctp", "dccp", "udplite", "gre", "esp", "icmp", "ospf"] {
        assert!(protocols.contains(&protocol), "{protocol} is not among {protocols:?}");
    }
}

#[test]
fn a_source_that_lives_elsewhere_enters_where_pcapng_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, rules: &[&str]| {
        let path = folder.path().join(name);
        fs::write(&path, firewall(rules)).unwrap();
        path.display().to_string()
    };
    let (old, new) = (file("old.toml", &["allow tcp/22 192.0.2.7"]), file("new.toml", &[]));
    let regions = check(&old, &new, "witnesses.pcapng", &[]);
    assert_eq!(regions.len(), 1);
    assert_eq!(regions[0]["witness"]["source"], "192.0.2.7");
}

#[test]
fn the_same_regions_give_the_same_bytes_and_nothing_beside() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = ("rulesets/web-hosting/old.asa.cfg", "rulesets/web-hosting/new.panos.xml");
    let written = ["a.pcap", "b.pcap"].map(|name| {
        let path = folder.path().join(name);
        regions(old, new, path.to_str().unwrap(), &["-o", "/dev/stdout"]);
        fs::read(path).unwrap()
    });
    assert_eq!(written[0], written[1]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    for wrong in ["-", "/no/such/folder/x.pcap", old] {
        let output = parefeu(&["diff", old, new, "--witnesses", wrong]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong}");
    }
    let same = folder.path().join("c").display().to_string();
    let output = parefeu(&["diff", old, new, "--witnesses", &same, "-o", &same]);
    assert_eq!(output.status.code(), Some(2));
}
