//! What scripts rely on: documents as their schemas say, formats, options that override a
//! configuration, streams.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

mod schema;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Runs the command in the repository with `input` on its standard input.
fn parefeu(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.args(args).current_dir(root()).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A command that refuses its arguments reads nothing: a broken pipe is no failure.
    let _ = writer.join();
    output
}

/// Standard output of a run that has to end with `status`.
#[track_caller]
fn stdout(args: &[&str], status: i32) -> String {
    let output = parefeu(args, b"");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}\n{talk}");
    String::from_utf8(output.stdout).unwrap()
}

const OLD: &str = "rulesets/web-hosting/old.asa.cfg";
const NEW: &str = "rulesets/web-hosting/new.panos.xml";
const TRAFFIC: &str = "pcaps/web-hosting.pcapng";
const FLOW: [&str; 8] = [
    "--from",
    "outside",
    "--source",
    "198.51.100.7",
    "--destination",
    "203.0.113.12",
    "--destination-port",
    "443",
];

/// Arguments that ask about the flow.
fn asked<'a>(before: &[&'a str]) -> Vec<&'a str> {
    [before, &FLOW].concat()
}

#[test]
fn every_document_is_as_its_schema_says() {
    for (name, args, status) in [
        ("diff", vec!["diff", OLD, NEW, "-r", TRAFFIC], 1),
        ("diff", vec!["diff", OLD, NEW], 1),
        ("diff", vec!["diff", OLD, NEW, "--explain"], 1),
        ("search", vec!["search", OLD, "--from", "mon", "--to", "data"], 0),
        ("check", vec!["check", OLD, NEW], 0),
        ("lint", vec!["lint", OLD, NEW], 1),
        ("bench", vec!["bench", OLD, "--headers", "1000", "--repetitions", "1"], 0),
        ("test", asked(&["test", OLD]), 0),
        ("trace", asked(&["trace", OLD]), 0),
        ("replay", vec!["replay", NEW, "-r", TRAFFIC, "--packets"], 0),
    ] {
        let document = stdout(&[&args[..], &["--format", "json"]].concat(), status);
        schema::check(name, &serde_json::from_str(&document).unwrap());
    }
}

#[test]
fn every_line_is_as_the_schema_it_names_says() {
    for (args, names) in [
        (vec!["check", OLD, NEW], "check-file"),
        (asked(&["test", OLD]), "test"),
        (asked(&["trace", OLD]), "trace"),
        (vec!["replay", OLD, "-r", "pcaps/ping.pcap"], "session summary"),
        (vec!["replay", NEW, "-r", TRAFFIC, "--packets"], "packet session summary"),
        (vec!["trace", NEW, "-r", "pcaps/ssh-2222.pcap"], "packet session summary"),
    ] {
        let mut seen = BTreeSet::new();
        for line in stdout(&[&args[..], &["--format", "ndjson"]].concat(), 0).lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            let name = document["schema"].as_str().unwrap();
            schema::check(name, &document);
            seen.insert(name.trim_start_matches("parefeu/").trim_end_matches("/1").to_owned());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>().join(" "), names, "{args:?}");
    }
}

#[test]
fn a_document_with_a_fault_is_not_as_its_schema_says() {
    let answer: Value =
        serde_json::from_str(&stdout(&asked(&["test", OLD, "--format", "json"]), 0)).unwrap();
    for (field, value) in [
        ("verdict", json!("perhaps")),
        ("line", json!(0)),
        ("translated", json!({ "source": 4 })),
        ("schema", json!("parefeu/test/2")),
    ] {
        let mut changed = answer.clone();
        changed[field] = value;
        assert_ne!(schema::faults("test", &changed), Vec::<String>::new(), "{field}");
    }
    let mut lacking = answer;
    lacking.as_object_mut().unwrap().remove("reason");
    assert_eq!(schema::faults("test", &lacking).len(), 1);
}

#[test]
fn a_comparison_with_a_fault_is_not_as_its_schema_says() {
    let document: Value =
        serde_json::from_str(&stdout(&["diff", OLD, NEW, "--format", "json"], 1)).unwrap();
    for (place, value) in [
        ("/regions/0/change", json!("renamed")),
        ("/regions/0/direction", json!("application")),
        ("/regions/0/id", json!(0)),
        ("/regions/0/source", json!([])),
        ("/regions/0/source", json!("192.0.2.0/24")),
        ("/regions/0/packets_log2", json!(-1.0)),
        ("/regions/0/old/verdict", json!("unknown")),
        ("/regions/0/old/rules", json!([])),
        ("/regions/0/old/rules/0/line", json!(0)),
        ("/regions/0/witness/source_port", json!(65536)),
        ("/regions/0/witness/port", json!(1)),
        ("/regions/0/ports", json!(["1"])),
        ("/pairing/0/by", json!("guess")),
        ("/pairing/0/old", json!(1)),
        ("/asked", json!({ "vlan": ["1"] })),
        ("/undecided", json!([{ "text": "why", "lines": [], "families": ["ip"], "from": [] }])),
        ("/assumptions", json!([{ "id": "a", "text": "why", "lines": [] }])),
    ] {
        let mut changed = document.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        match changed.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
            fields => fields[name] = value,
        }
        assert_eq!(schema::faults("diff", &changed).len(), 1, "{place}");
    }
}

/// A firewall with what no demonstration has: a condition, a schedule and a line that is unknown.
const CONDITIONS: &str = r#"
[[zone]]
name = "in"
[[zone]]
name = "out"
[[rule_base]]
name = "all"
[[rule_base.rule]]
name = "by condition"
source = ["192.0.2.1/32"]
unknown = ["a vendor's own match"]
action = "allow"
[[rule_base.rule]]
name = "by user"
source = ["192.0.2.2/32"]
user = ["anna"]
action = "allow"
[[rule_base.rule]]
name = "by device"
source = ["192.0.2.3/32"]
device = ["02:00:5e:10:00:01"]
action = "allow"
[[layer]]
rule_base = "all"
default = "deny"
"#;

#[test]
fn comparisons_of_conditions_places_and_parts_are_as_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let conditions = file("conditions.toml", CONDITIONS);
    let nothing = "[[layer]]\nrule_base = \"r\"\ndefault = \"drop\"\n[[rule_base]]\nname = \"r\"\n";
    let bare = file("bare.toml", nothing);
    let other = file("other.toml", &CONDITIONS.replace("name = \"out\"", "name = \"away\""));
    let mut seen = BTreeSet::new();
    for args in [
        vec![&*conditions, &*bare],
        vec![&*bare, &*conditions, "--destination", "198.51.100.0/24", "--destination-port", "1-9"],
        vec![&*conditions, &*other],
        vec![OLD, NEW, "--from", "dmz", "--protocol", "tcp,icmp"],
        vec![OLD, NEW, "--max-work", "10"],
        vec![&*conditions, &*conditions],
    ] {
        let args = [&["diff"], &args[..], &["--format", "json"]].concat();
        let document: Value = serde_json::from_slice(&parefeu(&args, b"").stdout).unwrap();
        schema::check("diff", &document);
        for region in document["regions"].as_array().unwrap() {
            let conditions = region["conditions"].as_array().into_iter().flatten();
            seen.extend(conditions.flat_map(|it| it.as_object().unwrap().keys().cloned()));
        }
        for (place, name) in [("/asked/destination", "asked"), ("/undecided/0", "undecided")] {
            seen.extend(document.pointer(place).map(|_| name.to_owned()));
        }
        let pairing = document["pairing"].as_array().unwrap().iter();
        seen.extend(pairing.map(|pair| pair["by"].as_str().unwrap().to_owned()));
    }
    let expected =
        ["asked", "device", "everywhere", "holds", "name", "network", "text", "undecided", "user"];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

/// The words of a command as a POSIX shell splits them.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for (at, piece) in command.split('\'').enumerate() {
        for (place, part) in piece.split(if at % 2 == 0 { ' ' } else { '\0' }).enumerate() {
            if place > 0 {
                words.push(String::new());
            }
            words.last_mut().unwrap().push_str(part);
        }
    }
    words
}

#[test]
fn the_commands_of_a_page_answer_what_it_says() {
    let page = stdout(&["diff", OLD, NEW, "--format", "html"], 1);
    let commands: Vec<(&str, &str)> = page
        .split("<p><span class=\"badge ")
        .skip(1)
        .map(|it| {
            let (verdict, rest) = it.split_once('>').unwrap().1.split_once('<').unwrap();
            let command = rest.split_once("<code>").unwrap().1.split_once('<').unwrap().0;
            (verdict, command)
        })
        .collect();
    assert!(commands.len() > 100, "{}", commands.len());
    for (verdict, command) in commands {
        assert!(!command.contains('&'), "nothing of the demonstration is escaped: {command}");
        let words = words(command);
        assert_eq!(words[0], "parefeu");
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = parefeu(&[&words[..], &["--format", "json"]].concat(), b"");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["verdict"], verdict, "{command}");
    }
}

#[test]
fn csv_has_a_line_for_each_region_or_with_traffic_for_each_group_of_sessions() {
    let document: Value =
        serde_json::from_str(&stdout(&["diff", OLD, NEW, "--format", "json"], 1)).unwrap();
    let regions = stdout(&["diff", OLD, NEW, "--format", "csv"], 1);
    let mut lines = regions.split_terminator("\r\n");
    assert!(lines.next().unwrap().starts_with("id,change,direction,old_verdict,old_rules,"));
    let numbers: Vec<&str> = lines.map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(numbers.len(), document["regions"].as_array().unwrap().len());
    assert_eq!(numbers[..2], ["1", "2"]);
    let planted = "opened,opened,deny,mon_access_in line 22,519,allow,mon-exporters-data,4882,mon,";
    assert!(regions.contains(planted), "{regions}");
    let groups = stdout(&["diff", OLD, NEW, "-r", TRAFFIC, "--format", "csv"], 1);
    assert!(groups.starts_with("change,sessions,packets,"), "{groups}");
}

#[test]
fn a_format_that_a_verb_does_not_write_is_refused() {
    for (args, format) in [
        (vec!["check", OLD], "html"),
        (asked(&["test", OLD]), "md"),
        (asked(&["trace", OLD]), "csv"),
        (vec!["trace", OLD, "-r", TRAFFIC], "csv"),
        (vec!["replay", OLD, "-r", TRAFFIC], "html"),
    ] {
        let output = parefeu(&[&args[..], &["--format", format]].concat(), b"");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("--format is one of table"));
    }
}

#[test]
fn flows_are_asked_in_either_form_and_answered_in_order() {
    let ndjson = br#"{"source":"198.51.100.7","destination":"203.0.113.12","destination_port":443}

{"from":"mon","source":"10.20.50.10","destination":"10.20.30.11","destination_port":5432}
"#;
    let csv = b"source,from,destination,destination_port\r\n198.51.100.7,,\"203.0.113.12\",443\r\n\
                10.20.50.10,mon,10.20.30.11,5432\r\n";
    let expected = "index,verdict,rule,line,reason,from,to,translated_source,\
        translated_source_port,translated_destination,translated_destination_port,assumptions\r\n\
        0,allow,outside_access_in line 6,343,rule,outside,dmz,198.51.100.7,0,10.20.10.12,443,\r\n\
        1,deny,mon_access_in line 22,519,rule,mon,data,,,,,\r\n";
    for input in [&ndjson[..], csv] {
        let output = parefeu(&["test", OLD, "--flows", "-", "--format", "csv"], input);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert_eq!(output.status.code(), Some(0));
    }
    let output =
        parefeu(&["test", OLD, "--flows", "-"], b"{\"source\":\"10.20.50.10\"}\n{\"src\":1}\n");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(talk.contains("-:2:") && talk.contains("`src` is no field of a flow"), "{talk}");
}

/// Sessions of a class in a comparison of the demonstration, with more arguments.
fn sessions(class: &str, more: &[&str]) -> u64 {
    let args = ["diff", OLD, NEW, "-r", TRAFFIC, "--format", "json"];
    let document: Value = serde_json::from_str(&stdout(&[&args[..], more].concat(), 1)).unwrap();
    let place = format!("/traffic/classes/{class}/sessions");
    document.pointer(&place).and_then(Value::as_u64).unwrap_or(0)
}

#[test]
fn the_state_policy_of_either_side_can_be_overridden() {
    // Sixty seconds on the new side kill a database session that is silent for 75.
    for (more, lost, kept) in [
        (&[][..], 1, 0),
        (&["--new-set", "tcp-established=3600"], 0, 0),
        (&["--set", "tcp-established=60"], 0, 0),
        (&["--set", "tcp-established=60", "--new-set", "tcp-established=76"], 0, 1),
        (&["--new-behaviour", "linux"], 0, 0),
    ] {
        assert_eq!(
            (sessions("session-lost", more), sessions("session-kept", more)),
            (lost, kept),
            "{more:?}"
        );
    }
    for wrong in [["--set", "tcp"], ["--old-set", "tcp-eternal=1"], ["--behaviour", "ciscos"]] {
        let args = [&["diff", OLD, NEW][..], &wrong].concat();
        stdout(&args, 2);
    }
}

#[test]
fn zones_pair_as_the_map_says_and_the_pairing_is_printed() {
    let text = stdout(&["diff", OLD, NEW, "-r", TRAFFIC], 1);
    assert!(text.contains("paired outside = untrust, dmz = dmz"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.toml");
    let map = map.to_str().unwrap();
    std::fs::write(map, "outside = \"dmz\"\n").unwrap();
    let text = stdout(&["diff", OLD, NEW, "-r", TRAFFIC, "--zone-map", map], 1);
    assert!(text.contains("paired outside = dmz, app = app"), "{text}");
    std::fs::write(map, "outside = \"nowhere\"\n").unwrap();
    let output = parefeu(&["diff", OLD, NEW, "--zone-map", map], b"");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no zone or interface `nowhere`"));
}

#[test]
fn a_trace_of_a_capture_tells_each_judgement_phase_by_phase() {
    let text = stdout(&["trace", NEW, "-r", "pcaps/ssh-2222.pcap"], 0);
    let first: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).take(8).collect();
    let phases: Vec<&str> =
        first[1..7].iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let expected = ["ingress", "destination-translation", "route", "filter", "filter", "verdict"];
    assert_eq!(phases, expected, "{text}");
    assert!(first[0].contains("198.51.100.200:58001 > 203.0.113.22:2222  allow tentative"));
    assert!(first[6].ends_with("leaves as 198.51.100.200:58001 > 10.20.40.10:2222"));
    // The answer is of the session: no rule judges it.
    assert!(first[7].contains("203.0.113.22:2222 > 198.51.100.200:58001  allow tentative"));
}

#[test]
fn the_same_comes_out_on_one_thread_and_on_several() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let rules = |more: &str| {
        let forward = |more: &str| {
            format!(
                "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i eth0 -o eth1 -p tcp --dport 443 -j ACCEPT\n\
                 {more}-A FORWARD -p udp --sport 53 -j LOG\n-A FORWARD -o eth2 -j ACCEPT\nCOMMIT\n"
            )
        };
        let [v4, v6] = ["-s 10.0.0.0/8", "-s 2001:db8::/32"];
        let of = |source: &str| forward(&more.replace("SOURCE", source));
        format!("# Generated by iptables-save\n{}# Generated by ip6tables-save\n{}", of(v4), of(v6))
    };
    std::fs::write(path("old"), rules("")).unwrap();
    let more = "-A FORWARD -i eth1 SOURCE -j ACCEPT\n-A FORWARD -p udp -m conntrack \
                --ctstate INVALID -j ACCEPT\n";
    std::fs::write(path("new"), rules(more)).unwrap();
    for [old, new] in [[OLD.to_owned(), NEW.to_owned()], [path("old"), path("new")]] {
        for format in ["table", "json", "html"] {
            let compared = |threads: &str| {
                let args = ["diff", &old, &new, "--format", format, "--explain"];
                stdout(&[&args[..], &["--threads", threads]].concat(), 1)
            };
            assert_eq!(compared("1"), compared("5"), "{old} {format}");
        }
    }
    let refused = parefeu(&["diff", OLD, NEW, "--threads", "0"], b"");
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_limit_reached_leaves_a_replay_undecided() {
    let args = ["replay", NEW, "-r", TRAFFIC, "--max-sessions", "3", "--format", "ndjson"];
    let text = stdout(&args, 3);
    let summary: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert!(summary["reasons"]["table-full"].as_u64().unwrap() > 0);
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let broken = b"access-list a extended permit tcp any any eq nowhere\n";
    let check = ["check", "-", "--dialect", "asa"];
    let plain = parefeu(&check, broken).stdout;
    let forced = parefeu(&[&check[..], &["--color", "always"]].concat(), broken).stdout;
    assert!(!plain.is_empty() && !plain.contains(&0x1b));
    assert!(forced.contains(&0x1b));
    // A usable firewall with a line that is not understood: said on standard error, unless -q.
    let talk = |more: &[&str]| {
        let list = b"access-list a extended permit tcp any any\nfoo bar\n";
        let args = ["test", "-", "--destination-port", "80"];
        parefeu(&[&args[..], more].concat(), list).stderr
    };
    assert!(String::from_utf8_lossy(&talk(&[])).contains("1 more findings"));
    assert!(String::from_utf8_lossy(&talk(&["-v"])).contains("foo bar"));
    assert!(talk(&["-q"]).is_empty());
}

#[test]
fn reports_speak_english_and_french() {
    for (language, title) in [("en", "Old and new firewall compared"), ("fr", "Ancien et nouveau")]
    {
        let args = ["diff", OLD, NEW, "-r", TRAFFIC, "--format", "html", "--lang", language];
        let page = stdout(&args, 1);
        assert!(page.contains(&format!("lang=\"{language}\"")) && page.contains(title));
    }
    let ticket = stdout(&["diff", OLD, NEW, "-r", TRAFFIC, "--format", "md"], 1);
    assert!(ticket.starts_with("# Different\n") && ticket.contains("| newly-denied | 14 |"));
}
