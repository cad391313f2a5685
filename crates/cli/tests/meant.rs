//! What is stated about a comparison: waivers, intents, accepted narrowing; and searches.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

mod schema;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with firewalls and lists; the command runs in it.
struct Folder(TempDir);

impl Folder {
    /// `old.toml` with these rules, `new.toml` with those: `ACTION SERVICE [LINE]` each.
    fn new(old: &[&str], new: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("old.toml", &firewall(old)).write("new.toml", &firewall(new))
    }

    fn write(self, name: &str, text: &str) -> Self {
        fs::write(self.0.path().join(name), text).unwrap();
        self
    }

    /// Makes both firewalls keep sessions: answers need no rule.
    fn keeping_sessions(self) -> Self {
        ["old.toml", "new.toml"].into_iter().fold(self, |folder, name| {
            let text = fs::read_to_string(folder.0.path().join(name)).unwrap();
            folder.write(name, &format!("behaviour = \"asa\"\n{text}"))
        })
    }

    /// Runs the command; gives what it printed, on either stream.
    #[track_caller]
    fn check(&self, args: &[&str], status: i32) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        let output = command.env("NO_COLOR", "1").output().unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}\n{text}");
        text.into_owned()
    }

    /// The comparison as JSON, which is as its schema says.
    #[track_caller]
    fn diff(&self, more: &[&str], status: i32) -> Value {
        let args = [&["diff", "old.toml", "new.toml", "--format", "json"], more].concat();
        let document = serde_json::from_str(&self.check(&args, status)).unwrap();
        schema::check("diff", &document);
        document
    }
}

fn firewall(rules: &[&str]) -> String {
    let mut text = String::from(
        "[[application]]\nname = \"tls\"\nidentified_as = [\"tls\"]\n\
         [[zone]]\nname = \"in\"\n[[zone]]\nname = \"out\"\n\
         [[interface]]\nname = \"eth1\"\nzone = \"in\"\naddress = [\"10.0.0.1/8\"]\n\
         [[interface]]\nname = \"eth2\"\nzone = \"out\"\naddress = [\"192.0.2.1/24\"]\n\
         [[route]]\ndestination = \"0.0.0.0/0\"\nnext_hop = \"192.0.2.254\"\n\
         [[rule_base]]\nname = \"main\"\n",
    );
    for (number, rule) in rules.iter().enumerate() {
        let mut words = rule.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default();
        let _ = writeln!(
            text,
            "[[rule_base.rule]]\nname = \"rule {number}\"\nfrom = \"in\"\naction = \"{}\"\n\
             service = \"{}\"\n{}",
            word(),
            word(),
            word()
        );
    }
    text + "[[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n"
}

/// A waiver of TCP to a port from 10.0.0.0/24.
fn waiver(port: u16, more: &str) -> String {
    format!(
        "[[waiver]]\nfrom = \"in\"\nsource = \"10.0.0.0/24\"\nprotocol = \"tcp\"\n\
         destination_port = {port}\nold = \"allow\"\nnew = \"deny\"\nticket = \"CHG-{port}\"\n\
         owner = \"net\"\nreason = \"retired\"\n{more}\n"
    )
}

const VALID: &str = "expires = 2026-12-31";
const NEAR: &str = "source = \"10.0.0.0/24\"";
const WAIVERS: [&str; 4] = ["--waivers", "waivers.toml", "--today", "2026-11-26"];

#[test]
fn an_answer_that_was_stopped_is_undecided_and_says_so() {
    let folder = Folder::new(&["allow tcp/443"], &["allow tcp/443", "allow tcp/80"]);
    assert_eq!(folder.diff(&[], 1)["verdict"], "different");
    let document = folder.diff(&["--max-time", "0"], 3);
    assert_eq!(document["verdict"], "undecided");
    assert_eq!(document["regions"], Value::Array(Vec::new()));
    let gaps = document["undecided"].as_array().unwrap();
    assert!(gaps.iter().all(|it| it["text"].as_str().unwrap().contains("stopped")), "{gaps:#?}");
    let searched = folder.check(&["search", "old.toml", "--max-time", "0"], 3);
    assert!(searched.contains("stopped"), "{searched}");
    let boxes = folder.diff(&["--max-boxes", "0"], 3);
    assert_eq!(boxes["verdict"], "undecided");
    let args = ["--max-time", "0", "--certificate", "proof"];
    folder.diff(&args, 3);
    let text = folder.check(&["verify", "proof", "old.toml", "new.toml"], 0);
    assert!(text.contains("undecided"), "{text}");
}

#[test]
fn nothing_is_said_of_rules_waivers_and_assumptions_that_were_not_looked_at() {
    let folder = Folder::new(&["allow tcp/443", "allow tcp/80"], &["allow tcp/443"]);
    let stopped = ["--max-time", "0"];
    let document = folder.diff(&[&stopped[..], &["--explain"]].concat(), 3);
    let idle = &document["idle_rules"];
    assert_eq!([&idle["old"], &idle["new"]], [&serde_json::json!([]); 2]);
    let open = |side: &str| idle["undecided"][side].as_array().unwrap().len();
    assert_eq!([open("old"), open("new")], [2, 1]);
    let assumed = [&stopped[..], &["--assume", "new-route-1"]].concat();
    assert_eq!(folder.diff(&assumed, 3)["verdict"], "undecided");
    let folder = folder.write("waivers.toml", &waiver(443, VALID));
    folder.diff(&WAIVERS, 1);
    let document = folder.diff(&[&stopped[..], &WAIVERS].concat(), 3);
    assert_eq!(document["waivers"][0]["regions"], serde_json::json!([]));
}

/// Two rules that depend on conditions without a value: a packet of one does not say what the
/// other's turns out to be.
#[test]
fn a_witness_says_of_conditions_what_its_region_rests_on() {
    let sometimes = |port: u16| format!("allow tcp/{port} unknown = \"sometimes {port}\"");
    let folder = Folder::new(&[&sometimes(22), &sometimes(80)], &[]).keeping_sessions();
    let document = folder.diff(&[], 1);
    let regions = document["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 2);
    for region in regions {
        let condition = format!("condition sometimes {}", region["destination_port"][0]);
        let condition = condition.replace('"', "");
        let rests_on = serde_json::json!([{ "text": condition, "holds": true }]);
        assert_eq!([&region["conditions"], &region["witness"]["conditions"]], [&rests_on; 2]);
    }
}

#[test]
fn return_traffic_is_told_apart_and_counts() {
    let folder = Folder::new(&["allow tcp/443"], &["allow tcp/443"]);
    let old = format!("behaviour = \"asa\"\n{}", firewall(&["allow tcp/443"]));
    let folder = folder.write("old.toml", &old);
    let document = folder.diff(&[], 1);
    assert_eq!(document["verdict"], "different");
    assert_eq!(document["regions"], Value::Array(Vec::new()), "first packets pass alike");
    let found = document["return_traffic"]["regions"].as_array().unwrap();
    assert!(!found.is_empty());
    for region in found {
        assert_eq!(region["direction"], "closed", "{region}");
        assert_eq!(region["refused"], "answers", "{region}");
        assert_eq!(region["new"]["verdict"], "deny", "as the default refuses first packets");
        assert_eq!(region["destination_port"], serde_json::json!(["443"]), "{region}");
    }
    let text = folder.check(&["diff", "old.toml", "new.toml"], 1);
    assert!(text.contains("return traffic") && text.contains("answers"), "{text}");
    let document = folder.write("new.toml", &old).diff(&[], 0);
    assert_eq!(document["return_traffic"], Value::Null, "nothing to ask");
}

#[test]
fn packets_are_told_by_their_state_and_count() {
    let states = "state = [\"new\", \"established\"]";
    let web = format!("allow tcp/443 {states}");
    let folder = Folder::new(&[&web], &["allow tcp/443"]);
    let document = folder.diff(&[], 1);
    assert_eq!(document["regions"], Value::Array(Vec::new()), "first packets pass alike");
    let found = document["packets_by_state"]["regions"].as_array().unwrap();
    let states: Vec<&Value> = found.iter().map(|region| &region["state"]).collect();
    assert_eq!(states, ["related", "invalid"]);
    for region in found {
        assert_eq!(region["direction"], "opened", "{region}");
        assert_eq!(region["old"]["verdict"], "deny", "as the default refuses first packets");
        assert_eq!(region["destination_port"], serde_json::json!(["443"]), "{region}");
    }
    let text = folder.check(&["diff", "old.toml", "new.toml"], 1);
    assert!(text.contains("packets by their state") && text.contains("invalid"), "{text}");
    let text = folder.check(&["diff", "old.toml", "new.toml", "--format", "md"], 1);
    assert!(text.contains("## Packets by their state") && text.contains("| invalid |"), "{text}");
    let page = folder.check(&["diff", "old.toml", "new.toml", "--format", "html"], 1);
    assert!(page.contains("<h2 id=\"states\">") && page.contains("href=\"#states\""), "{page}");

    let waivers = waiver(443, VALID)
        .replace("old = \"allow\"\nnew = \"deny\"", "old = \"deny\"\nnew = \"allow\"");
    let waivers = waivers.replace("source = \"10.0.0.0/24\"\n", "");
    let document = folder.write("waivers.toml", &waivers).diff(&WAIVERS, 0);
    assert_eq!(document["waivers"][0]["packets_by_state"], serde_json::json!([1, 2]));
}

#[test]
fn names_that_stand_for_nothing_are_refused() {
    let folder = Folder::new(&["allow tcp/22"], &["allow tcp/22"]);
    let diff = ["diff", "old.toml", "new.toml"];
    let unknown = folder.check(&[&diff[..], &["--assume", "old-own-1"]].concat(), 2);
    assert!(unknown.contains("no assumption `old-own-1`: nothing has to be"), "{unknown}");
    let asa = format!("behaviour = \"asa\"\n{}", firewall(&["allow tcp/22"]));
    let folder = folder.write("asa.toml", &asa);
    let mixed = ["diff", "asa.toml", "new.toml", "--assume", "nonsense"];
    let unknown = folder.check(&mixed, 2);
    assert!(unknown.contains("no assumption `nonsense` (there are: "), "{unknown}");
    let unknown = folder.check(&["search", "old.toml", "--assume", "nonsense"], 2);
    assert!(unknown.contains("no assumption `nonsense`"), "{unknown}");

    let inside = folder.check(&[&diff[..], &["--from", "eth1"]].concat(), 2);
    assert!(inside.contains("--from: interface `eth1` lies in zone `in`"), "{inside}");
    let other = folder.check(&[&diff[..], &["--to", "eth9"]].concat(), 2);
    assert!(other.contains("--to: neither side has a zone or interface `eth9`"), "{other}");
    let waivers = waiver(22, VALID).replace("from = \"in\"", "from = \"eth1\"");
    let folder = folder.write("waivers.toml", &waivers);
    let inside = folder.check(&[&diff[..], &WAIVERS].concat(), 2);
    assert!(inside.contains("interface `eth1` lies in zone `in`"), "{inside}");
}

#[test]
fn standard_input_is_read_once() {
    let folder = Folder::new(&[], &[]);
    let told = "standard input, which can be read once";
    assert!(folder.check(&["diff", "-", "-"], 2).contains(told));
    assert!(folder.check(&["diff", "-", "new.toml", "-r", "-"], 2).contains(told));
    assert!(folder.check(&["verify", "-", "old.toml", "-"], 2).contains(told));
}

#[test]
fn flags_of_segments_in_mid_stream_are_named() {
    let flags = "tcp_flags = [\"syn,ack,fin,rst=syn\"]";
    let folder = Folder::new(&["allow tcp/443"], &[&format!("allow tcp/443 {flags}")]);
    let document = folder.diff(&[], 1);
    let found = document["packets_by_state"]["regions"].as_array().unwrap();
    let named = found.iter().find(|it| it["state"] == "mid-stream").unwrap();
    let flags = serde_json::json!([{ "field": "flags", "values": ["!SYN ACK !FIN !RST"] }]);
    assert_eq!((&named["conditions"], &named["witness"]["tcp_flags"]), (&flags, &["ACK"].into()));
}

#[test]
fn differences_somebody_answers_for_do_not_fail_a_comparison() {
    let folder = Folder::new(&[&format!("allow tcp/22 {NEAR}")], &[]);
    folder.diff(&[], 1);
    let folder = folder.write("waivers.toml", &waiver(22, VALID));
    let document = folder.diff(&WAIVERS, 0);
    assert_eq!(document["verdict"], "different");
    assert_eq!(document["regions"][0]["waived_by"], "CHG-22");
    let waiver = &document["waivers"][0];
    assert_eq!((&waiver["state"], &waiver["line"]), (&"used".into(), &1.into()));
    assert_eq!(waiver["regions"], serde_json::json!([1]));
    let args = [&["diff", "old.toml", "new.toml"], &WAIVERS[..]].concat();
    let table = folder.check(&args, 0);
    assert!(table.contains("waived: CHG-22"), "{table}");
    assert!(table.contains("different: 1 region, 1 of them waived"), "{table}");
}

#[test]
fn return_traffic_somebody_answers_for_does_not_fail_a_comparison() {
    let rule = format!("allow tcp/22 {NEAR}");
    let old = format!("behaviour = \"asa\"\n{}", firewall(&[&rule]));
    let folder = Folder::new(&[], &[&rule]).write("old.toml", &old);
    let document = folder.diff(&[], 1);
    assert_eq!(document["return_traffic"]["regions"][0]["waived_by"], Value::Null);
    let folder = folder.write("waivers.toml", &waiver(22, VALID));
    // What belongs to no connection is still assumed not to matter.
    let assumed = folder.diff(&WAIVERS, 3)["assumptions"].clone();
    let assumed = assumed.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap());
    let accepted: Vec<&str> = assumed.flat_map(|id| ["--assume", id]).collect();
    assert_eq!(accepted.len(), 4, "related and invalid packets: {accepted:?}");
    let document = folder.diff(&[&WAIVERS[..], &accepted].concat(), 0);
    assert_eq!(document["verdict"], "different");
    let regions = document["return_traffic"]["regions"].as_array().unwrap();
    assert!(regions.iter().all(|it| it["waived_by"] == "CHG-22"), "{regions:#?}");
    let waiver = &document["waivers"][0];
    assert_eq!(waiver["state"], "used", "{waiver}");
    assert_eq!(waiver["return_traffic"].as_array().map(Vec::len), Some(regions.len()));
}

#[test]
fn what_must_be_allowed_has_to_be_served() {
    let rule = format!("allow tcp/22 {NEAR}");
    let old = format!("behaviour = \"asa\"\n{}", firewall(&[&rule]));
    let intent = "[[intent]]\nname = \"ssh\"\nfrom = \"in\"\nsource = \"10.0.0.0/24\"\n\
                  protocol = \"tcp\"\ndestination_port = 22\nexpect = \"allow\"\n";
    let folder = Folder::new(&[], &[&rule]).write("old.toml", &old).write("intents.toml", intent);
    let document = folder.diff(&["--intent", "intents.toml"], 1);
    let intent = &document["intents"][0];
    assert_eq!(intent["old"]["standing"], "held", "{intent:#}");
    assert_eq!(intent["new"]["standing"], "broken", "its answers have no rule");
    let flow = &intent["new"]["regions"][0];
    assert_eq!((&flow["refused"], &flow["verdict"]), (&"answers".into(), &"deny".into()));
    let text = folder.check(&["diff", "old.toml", "new.toml", "--intent", "intents.toml"], 1);
    assert!(text.contains("answers refused"), "{text}");
}

#[test]
fn what_is_logged_and_inspected_is_compared_and_can_be_waived() {
    let rules = ["allow tcp/443 log = true", "allow tcp/22 profiles = [\"strict\"]"];
    let folder = Folder::new(&rules, &["allow tcp/443 log = true", "allow tcp/22"]);
    let document = folder.diff(&[], 1);
    assert_eq!(document["logging_compared"], true);
    let [region] = &document["regions"].as_array().unwrap()[..] else { panic!("{document:#}") };
    assert_eq!(region["change"], "logging");
    assert_eq!(region["destination_port"], serde_json::json!(["22"]));
    assert_eq!(region["old"]["profiles"], serde_json::json!(["strict"]));
    assert_eq!(region["new"]["profiles"], serde_json::json!([]));
    assert_eq!((&region["old"]["log"], &region["new"]["log"]), (&false.into(), &false.into()));
    let text = folder.check(&["diff", "old.toml", "new.toml"], 1);
    assert!(text.contains("1 region, in logging or inspection alone"), "{text}");
    let document = folder.diff(&["--logging", "never"], 0);
    assert_eq!(
        (&document["verdict"], &document["logging_compared"]),
        (&"equivalent".into(), &false.into())
    );
    let list = waiver(22, VALID).replace("\"deny\"", "\"allow\"").replace(NEAR, "");
    let document = folder.write("waivers.toml", &list).diff(&WAIVERS, 0);
    assert_eq!(document["regions"][0]["waived_by"], "CHG-22");
    assert_eq!(document["waivers"][0]["state"], "used");
}

#[test]
fn the_part_outside_of_a_waiver_still_counts() {
    let folder = Folder::new(&["allow tcp/22 source = \"10.0.0.0/23\""], &[]);
    let document = folder.write("waivers.toml", &waiver(22, VALID)).diff(&WAIVERS, 1);
    let parts = document["regions"].as_array().unwrap().iter();
    let mut parts: Vec<(&str, &str)> = parts
        .map(|it| (it["source"][0].as_str().unwrap(), it["waived_by"].as_str().unwrap_or("-")))
        .collect();
    parts.sort_unstable();
    assert_eq!(parts, [("10.0.0.0/24", "CHG-22"), ("10.0.1.0/24", "-")]);
}

#[test]
fn what_is_wrong_with_a_waiver_is_a_finding_with_its_line() {
    let folder = Folder::new(&[&format!("allow tcp/22 {NEAR}")], &[]);
    let list = |lists: &[String]| lists.concat();
    for (lists, says) in [
        (list(&[waiver(22, VALID), waiver(23, VALID)]), "waivers.toml:12: unused: CHG-23 (net)"),
        (list(&[waiver(22, "expires = 2026-11-25")]), "waivers.toml:1: expired: CHG-22"),
        (
            list(&[waiver(22, VALID).replace("10.0.0.0/24", "10.0.0.0/16")]),
            "waivers.toml:1: over-broad: CHG-22 (net): only 0.4 %",
        ),
    ] {
        fs::write(folder.0.path().join("waivers.toml"), lists).unwrap();
        let args = [&["diff", "old.toml", "new.toml"], &WAIVERS[..]].concat();
        let text = folder.check(&args, 1);
        assert!(text.contains(says), "{says}\n{text}");
    }
    let folder = folder.write("waivers.toml", &waiver(22, "expires = 2026-11-26"));
    folder.diff(&WAIVERS, 0);
}

#[test]
fn a_list_with_a_fault_is_refused_with_its_place() {
    let folder = Folder::new(&[], &[]);
    for (list, says) in [
        (waiver(22, ""), "waivers.toml:1:1"),
        (waiver(22, "expires = 2026-02-30"), "waivers.toml:11:"),
        (waiver(22, "expires = \"soon\""), "waivers.toml:11:11"),
        (waiver(22, "expires = 2026-12-31\ncolour = \"red\""), "waivers.toml:12:1"),
        (waiver(22, VALID).replace("\"in\"", "\"inn\""), "waivers.toml:2:8"),
        (waiver(22, VALID).replace("10.0.0.0/24", "10.0.0.0/33"), "waivers.toml:3:10"),
        (waiver(22, VALID).replace("\"tcp\"", "[]"), "waivers.toml:4:12"),
        (waiver(22, VALID).replace("new = \"deny\"", "new = \"drop\""), "waivers.toml:7:7"),
        (format!("{}icmp_type = 8", waiver(22, VALID)), "waivers.toml:1:1"),
        ("[[waivers]]".to_owned(), "waivers.toml:1:3"),
        ("[[waiver]".to_owned(), "waivers.toml:1:"),
    ] {
        fs::write(folder.0.path().join("waivers.toml"), &list).unwrap();
        let args = [&["diff", "old.toml", "new.toml"], &WAIVERS[..]].concat();
        let text = folder.check(&args, 2);
        assert!(text.contains(says), "{says}\n{list}\n{text}");
    }
    folder.check(&["diff", "old.toml", "new.toml", "--waivers", "/no/such/file"], 2);
    folder.check(&["diff", "old.toml", "new.toml", "--intent", "/no/such/file"], 2);
}

#[test]
fn what_is_undecided_is_not_waived_away() {
    let folder = Folder::new(&[&format!("allow tcp/22 {NEAR}")], &[]);
    let folder = folder.write("waivers.toml", &waiver(22, VALID));
    folder.diff(&WAIVERS, 0);
    let lab = "[[zone]]\nname = \"lab\"\n[[interface]]\nname = \"eth3\"\nzone = \"lab\"\n\
               address = [\"198.51.100.1/24\"]\n";
    let folder = folder.write("new.toml", &(lab.to_owned() + &firewall(&[])));
    let document = folder.diff(&WAIVERS, 3);
    assert_eq!(
        (&document["verdict"], document["regions"].as_array().unwrap().len()),
        (&"different".into(), 1)
    );
    assert_ne!(document["undecided"], serde_json::json!([]), "a zone has no partner");
}

/// An intent about TCP to a port.
fn intent(port: u16, expect: &str) -> String {
    format!(
        "[[intent]]\nname = \"port {port}\"\nexpect = \"{expect}\"\nfrom = \"in\"\n\
         source = \"10.0.0.0/24\"\ndestination = \"192.0.2.0/24\"\nprotocol = \"tcp\"\n\
         destination_port = {port}\n"
    )
}

#[test]
fn intents_are_proved_of_both_sides() {
    let folder = Folder::new(
        &["allow tcp/22", "allow tcp/80"],
        &["deny tcp/22 source = \"10.0.0.9\"", "allow tcp/22", "allow tcp/80"],
    );
    let intents = [intent(80, "allow"), intent(22, "allow"), intent(23, "deny")].concat();
    let folder = folder.keeping_sessions().write("intents.toml", &intents);
    let document = folder.diff(&["--intent", "intents.toml"], 1);
    let standings: Vec<[&str; 2]> = document["intents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| ["old", "new"].map(|side| it[side]["standing"].as_str().unwrap()))
        .collect();
    assert_eq!(standings, [["held", "held"], ["held", "broken"], ["held", "held"]]);
    let region = &document["intents"][1]["new"]["regions"][0];
    assert_eq!(region["witness"]["source"], "10.0.0.9");
    assert_eq!(region["rules"][0]["name"], "rule 0");
    let table = folder.check(&["diff", "old.toml", "new.toml", "--intent", "intents.toml"], 1);
    assert!(table.contains("broken: tcp 10.0.0.9:49152 > 192.0.2.0:22, by rule 0"), "{table}");
}

#[test]
fn a_broken_intent_fails_even_firewalls_that_are_alike() {
    let rules = ["allow tcp/22 source = [\"unknown:a list\", \"10.0.0.1\"]"];
    let folder = Folder::new(&rules, &rules);
    folder.diff(&[], 0);
    for (port, expect, status, standing) in
        [(23, "deny", 0, "held"), (23, "allow", 1, "broken"), (22, "deny", 1, "broken")]
    {
        fs::write(folder.0.path().join("intents.toml"), intent(port, expect)).unwrap();
        let document = folder.diff(&["--intent", "intents.toml"], status);
        assert_eq!(document["intents"][0]["old"]["standing"], standing, "{port} {expect}");
    }
    let elsewhere = intent(22, "deny").replace("10.0.0.0/24", "10.1.0.0/24");
    let folder = folder.write("intents.toml", &elsewhere);
    let document = folder.diff(&["--intent", "intents.toml"], 3);
    assert_eq!(document["intents"][0]["new"]["standing"], "undecided");
}

#[test]
fn narrowing_from_ports_to_applications_is_accepted_where_asked() {
    let folder = Folder::new(&["allow tcp/443"], &["allow tcp/443 application = \"tls\""]);
    folder.diff(&[], 1);
    let document = folder.diff(&["--narrowing-ok"], 0);
    assert_eq!(document["verdict"], "different");
    let regions = document["regions"].as_array().unwrap();
    assert!(regions.iter().all(|region| region["narrowing"] == true), "{regions:#?}");
    let widened = Folder::new(&["allow tcp/443 application = \"tls\""], &["allow tcp/443"]);
    widened.diff(&["--narrowing-ok"], 1);
    let closed =
        Folder::new(&["allow tcp/443", "allow tcp/22"], &["allow tcp/443 application = \"tls\""]);
    closed.diff(&["--narrowing-ok"], 1);
}

#[test]
fn a_search_lists_flows_with_their_rules() {
    let folder = Folder::new(&["allow tcp/22", "allow udp/53 source = \"10.0.0.0/24\""], &[]);
    let found = |args: &[&str], status: i32| -> Value {
        let args = [&["search", "old.toml", "--format", "json"], args].concat();
        let document = serde_json::from_str(&folder.check(&args, status)).unwrap();
        schema::check("search", &document);
        document
    };
    let mut faulty = found(&[], 0);
    faulty["flows"][0]["verdict"] = "perhaps".into();
    assert_ne!(schema::faults("search", &faulty), Vec::<String>::new());
    let document = found(&["--protocol", "udp", "--source", "10.0.0.0/16"], 0);
    let flow = &document["flows"][0];
    assert_eq!(document["flows"].as_array().unwrap().len(), 1);
    assert_eq!(flow["source"], serde_json::json!(["10.0.0.0/24"]));
    assert_eq!(flow["rules"][0]["name"], "rule 1");
    assert_eq!(flow["destination_port"], serde_json::json!(["53"]));
    assert_eq!(flow["witness"]["destination_port"], 53);
    assert_eq!(found(&["--destination-port", "80"], 1)["flows"], serde_json::json!([]));
    found(&["--from", "out"], 1);
    found(&["--from", "in", "--to", "out", "--destination-port", "22"], 0);
    let refused = ["--action", "deny", "--from", "in", "--protocol", "tcp"];
    let refused = found(&[&refused[..], &["--destination-port", "22-23"]].concat(), 0);
    let ports = refused["flows"].as_array().unwrap().iter().map(|it| &it["destination_port"]);
    assert!(ports.clone().all(|it| *it == serde_json::json!(["23"])), "{refused:#}");
    assert!(ports.count() > 0);
    assert!(folder.check(&["search", "old.toml"], 0).contains("rule 1"));
    let csv = folder.check(&["search", "old.toml", "--format", "csv"], 0);
    assert!(csv.starts_with("id,verdict,rule,line,from"), "{csv}");
    for wrong in [["--from", "nowhere"], ["--application", "none"], ["--protocol", "x"]] {
        folder.check(&[&["search", "old.toml"][..], &wrong].concat(), 2);
    }
}

#[test]
fn a_search_is_undecided_where_the_text_does_not_tell() {
    let folder = Folder::new(&["allow tcp/22 source = \"unknown:a list\""], &[]);
    let text = folder.check(&["search", "old.toml", "--destination-port", "22"], 3);
    assert!(text.contains("a list"), "{text}");
    folder.check(&["search", "old.toml", "--destination-port", "23"], 1);
    folder.check(&["search", "old.toml", "--max-work", "1"], 3);
}

#[test]
fn the_demonstration_is_searched() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let old: PathBuf = root.join("rulesets/web-hosting/old.asa.cfg");
    let folder = Folder::new(&[], &[]);
    let args = ["search", old.to_str().unwrap(), "--from", "mon", "--to", "data"];
    let text = folder.check(&[&args[..], &["--protocol", "tcp"]].concat(), 0);
    assert!(text.contains("mon_access_in"), "{text}");
}

#[test]
fn rules_for_the_firewall_itself_are_named_where_they_differ() {
    let rules = |own: &str| {
        format!(
            "*filter\n:INPUT DROP [7:9]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{own}\
             -A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT\nCOMMIT\n"
        )
    };
    let ssh = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n";
    let folder = Folder::new(&[], &[]).write("old.toml", &rules(ssh));
    let folder = folder.write("new.toml", &rules(&format!("[3:180] {ssh}")).replace("7:9", "0:0"));
    assert_eq!(folder.diff(&[], 0)["verdict"], "equivalent", "counters say nothing");
    let document = folder.write("new.toml", &rules("")).diff(&[], 3);
    assert_eq!(document["verdict"], "equivalent-under-assumptions");
    let assumed = document["assumptions"].as_array().unwrap();
    let ids: Vec<&str> = assumed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["old-own-5", "new-own-2"]);
}

#[test]
fn what_neither_text_says_is_told_beside_the_verdict() {
    let rules = |raw: &str, policy: &str, more: &str| {
        format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n{raw}COMMIT\n*filter\n:FORWARD {policy} [0:0]\n\
             -A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT\n\
             {more}-A FORWARD -j DROP\nCOMMIT\n"
        )
    };
    let again = "-A FORWARD -s 10.0.0.0/8 -p tcp -m tcp --dport 443 -j ACCEPT\n";
    let folder = Folder::new(&[], &[]).write("old.toml", &rules("", "ACCEPT", ""));
    let folder = folder.write("new.toml", &rules("", "ACCEPT", ""));
    let same = folder.diff(&[], 0);
    assert_eq!(same["told_by_neither"], Value::Array(Vec::new()), "where it is one text");
    let folder = folder.write("new.toml", &rules("-A PREROUTING -j RETURN\n", "DROP", again));
    let document = folder.diff(&[], 0);
    assert_eq!(document["verdict"], "equivalent");
    let [it] = &document["told_by_neither"].as_array().unwrap()[..] else { panic!("{document}") };
    assert_eq!(it["text"], "iptables: rules for IPv6, which the text does not hold");
    assert_eq!(it["lines"], serde_json::json!(["old.toml:5", "new.toml:6"]));
    let args = ["diff", "old.toml", "new.toml"];
    let text = folder.check(&args, 0);
    assert!(text.contains("told by neither side: iptables: rules for IPv6"), "{text}");
    assert!(text.ends_with("treated alike, as far as the texts tell\n"), "{text}");
    for (format, part) in [("md", "## Told by neither side"), ("html", "Neither text says this")] {
        let text = folder.check(&[&args[..], &["--format", format]].concat(), 0);
        assert!(text.contains(part), "{text}");
    }
    // What it is about is not asked.
    let document = folder.diff(&["--source", "10.0.0.0/8"], 0);
    assert_eq!(document["told_by_neither"], Value::Array(Vec::new()));
    // One side says it.
    let both = format!(
        "# Generated by iptables-save\n{}# Generated by ip6tables-save\n*filter\n\
         :FORWARD DROP [0:0]\nCOMMIT\n",
        rules("", "DROP", "")
    );
    let document = folder.write("new.toml", &both).diff(&[], 3);
    assert_eq!(document["verdict"], "equivalent-under-assumptions");
    assert_eq!(document["told_by_neither"], Value::Array(Vec::new()));
    assert_eq!(document["assumptions"][0]["id"], "old-missing-5");
}

/// A dump that ends before its COMMIT may have lost rules; one whose lines only look wrong is
/// compared as it stands, and says so.
#[test]
fn a_text_that_looks_wrong_is_told_with_the_verdict() {
    let rules = "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -p tcp -m tcp --dport 443 -j ACCEPT\n";
    let whole = format!("{rules}COMMIT\n");
    let folder = Folder::new(&[], &[]).write("old.toml", &whole).write("new.toml", rules);
    let document = folder.diff(&["--quiet"], 3);
    assert_eq!(document["verdict"], "equivalent-under-assumptions");
    assert_eq!(document["assumptions"][0]["id"], "new-cut-table-1");
    assert_eq!(document["suspicious"], serde_json::json!([]));
    folder.write("old.toml", &format!("# before\n{rules}")).diff(&["--quiet"], 3);
    let folder = Folder::new(&[], &[]).write("old.toml", &whole);
    let folder = folder.write("new.toml", &format!("{rules}*mangle\nCOMMIT\n"));
    let document = folder.diff(&["--quiet"], 0);
    let told = serde_json::json!([{
        "file": "new.toml",
        "line": 1,
        "text": "table `filter` is not ended by COMMIT: the text may be cut",
    }]);
    assert_eq!(document["suspicious"], told);
    let args = ["diff", "old.toml", "new.toml"];
    for (format, part) in [
        ("table", "suspicious:\n  new.toml:1: table `filter`"),
        ("md", "## Suspicious\n\n- `new.toml:1`: table"),
        ("html", "Why it looks wrong"),
    ] {
        let text = folder.check(&[&args[..], &["--format", format]].concat(), 0);
        assert!(text.contains(part), "{text}");
    }
}

/// What a rule does beside deciding is told though a condition of the rule is not known: the
/// condition says when it does it, not what.
#[test]
fn no_condition_stands_for_what_a_rule_does_besides() {
    let rules = |target: &str| {
        format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n\
             -A PREROUTING -p tcp -m recent --name seen --rcheck -j {target}\nCOMMIT\n\
             *filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
        )
    };
    let beside = |new: &str| {
        Folder::new(&[], &[]).write("old.toml", &rules("CT --notrack")).write("new.toml", new)
    };
    let same = beside(&format!("# again\n{}", rules("CT --notrack")));
    assert_eq!(same.diff(&["--quiet"], 0)["verdict"], "equivalent");
    for other in ["ACCEPT", "CT --zone 3", "CT --helper ftp", "CT --timeout long"] {
        let folder = beside(&rules(other));
        let document = folder.diff(&["--quiet", "--certificate", "proof"], 3);
        assert_eq!(document["verdict"], "equivalent-under-assumptions", "{other}");
        assert_eq!(document["assumptions"][0]["id"], "old-untracked-3", "{other}");
        folder.check(&["verify", "proof", "old.toml", "new.toml"], 0);
    }
}

/// Rules in front of a translation and behind it: *raw* and the first rule of *filter*.
fn hiding(raw: &str, first: &str, web: &str) -> String {
    format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n{raw}COMMIT\n\
         *nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
         -A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n{first}\
         -A FORWARD -i eth1 -o eth0 -p tcp -m tcp --dport {web} -j ACCEPT\nCOMMIT\n"
    )
}

#[test]
fn answers_and_errors_meet_rules_in_front_of_a_translation_as_they_arrive() {
    let private = "-A PREROUTING -i eth0 -d 192.168.0.0/16 -j DROP\n";
    let passes = "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n";
    let folder = Folder::new(&[], &[]).write("old.toml", &hiding(private, passes, "443"));
    // What both say in front of the translation is no obstacle.
    let document = folder.write("new.toml", &hiding(private, passes, "8443"));
    let document = document.diff(&[], 1);
    assert_eq!(document["undecided"], Value::Array(Vec::new()));
    assert_eq!(document["return_traffic"]["regions"], Value::Array(Vec::new()));
    assert_eq!(document["packets_by_state"]["regions"], Value::Array(Vec::new()));
    // Where one says it, answers depend on the address they arrive at.
    let folder = Folder::new(&[], &[]).write("old.toml", &hiding("", passes, "443"));
    let folder = folder.write("new.toml", &hiding(private, passes, "443"));
    let document = folder.diff(&[], 1);
    assert_eq!(document["undecided"], Value::Array(Vec::new()));
    let answers = document["return_traffic"]["regions"].as_array().unwrap();
    let condition = "condition the address of eth0 is in 192.168.0.0-192.168.255.255";
    assert!(!answers.is_empty());
    for it in answers {
        assert_eq!((&it["direction"], &it["certain"]), (&"closed".into(), &false.into()), "{it}");
        assert_eq!(it["conditions"], serde_json::json!([{ "text": condition, "holds": true }]));
    }
    let by_state = document["packets_by_state"]["regions"].as_array().unwrap();
    assert!(by_state.iter().all(|it| it["state"] == "related"), "{document}");
    assert!(!by_state.is_empty());
    // Where rules behind it decide on errors as well, nobody knows which of them meets both.
    let some = "-A FORWARD -p icmp -m icmp --icmp-type 3/4 -j ACCEPT\n";
    let folder = folder.write("old.toml", &hiding("", some, "443"));
    let folder = folder.write("new.toml", &hiding(private, some, "443"));
    let document = folder.diff(&[], 1);
    let undecided = document["undecided"].as_array().unwrap();
    assert!(undecided.iter().any(|it| it.to_string().contains("before translation")), "{document}");
}
