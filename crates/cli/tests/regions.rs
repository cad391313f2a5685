//! What is said of regions: in the words of objects and rules, and by the traffic that was seen.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use parefeu_engine::EngineConfig;
use parefeu_equivalence::{Pairing, Request, Sighting, Weights, Whereabouts, compare, findings};
use parefeu_policy::{LinkedFirewall, link};
use parefeu_replay::{
    Capture, CaptureLimits, CapturedAt, DifferenceClass, IngressChoice, Lockstep, LockstepLimits,
    MergedCaptures, ReplayFrame, SettledFlow, Side,
};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn firewall(file: &str) -> Arc<LinkedFirewall> {
    let bytes = fs::read(root().join("rulesets/web-hosting").join(file)).unwrap();
    let mut import = parefeu_dialect::read_bytes(file, &bytes, None);
    Arc::new(link(&import.firewall.unwrap(), &mut import.problems).unwrap())
}

/// Every flow of the capture as both firewalls treat it.
fn flows(old: &Arc<LinkedFirewall>, new: &Arc<LinkedFirewall>) -> Vec<SettledFlow> {
    let side = |firewall: &Arc<LinkedFirewall>, mapped: &[(&str, &str)]| {
        let mapped = mapped.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let choice = IngressChoice { mapped, fallback: None };
        let config = EngineConfig {
            answers_seen_translated: true,
            events: false,
            ..EngineConfig::default()
        };
        Side::new(Arc::clone(firewall), &choice, config).unwrap()
    };
    let (old, new) = (side(old, &[]), side(new, &[("outside", "untrust")]));
    let decode = EngineConfig::default().decode;
    let mut lockstep = Lockstep::new(old, new, decode, LockstepLimits::default());
    lockstep.report_flows();
    let file = fs::File::open(root().join("pcaps/web-hosting.pcapng")).unwrap();
    let capture = Capture::open(file, "web-hosting", CaptureLimits::default()).unwrap();
    let mut frames = MergedCaptures::new(vec![capture]);
    let mut flows = Vec::new();
    while let Some(merged) = frames.next_frame().unwrap() {
        let frame = merged.frame;
        lockstep.handle_frame(ReplayFrame {
            now: merged.clock,
            captured: CapturedAt {
                file: merged.file.0,
                interface: frame.interface.0,
                name: merged.interface_name,
            },
            link_type: frame.link_type,
            data: frame.data,
            wire_len: frame.wire_len,
        });
        flows.extend(std::iter::from_fn(|| lockstep.poll_flow()));
    }
    lockstep.end_flows();
    flows.extend(std::iter::from_fn(|| lockstep.poll_flow()));
    assert_eq!(lockstep.finish().differences.flows(), flows.len() as u64);
    flows
}

/// Whether a flow differs by its first packets: what is left are the sessions a side forgets or
/// opens anew, which no comparison of new connections tells.
const fn differs_by_rules(class: DifferenceClass) -> bool {
    use DifferenceClass as Class;
    class.is_difference()
        && !matches!(class, Class::SessionLost | Class::SessionKept | Class::EndReason)
}

/// Whether a flow is the data connection of an FTP session before it, which both firewalls follow:
/// no rule is asked (S5.7). The server's address is translated: its client tells the session.
fn is_announced(data: &SettledFlow, flows: &[SettledFlow]) -> bool {
    data.flow.src_port == 20
        && flows.iter().any(|control| {
            let is_ftp = control.application.is_some_and(|it| it.name() == "ftp");
            is_ftp && control.first < data.first && control.flow.src == data.flow.dst
        })
}

/// Whether a flow differs from its first packet on.
const fn differs_by_headers(class: DifferenceClass) -> bool {
    use DifferenceClass as Class;
    matches!(class, Class::NewlyDenied | Class::NewlyAllowed | Class::Translation)
}

#[test]
fn sessions_that_differ_lie_in_regions_and_others_do_not() {
    let (old, new) = (firewall("old.asa.cfg"), firewall("new.panos.xml"));
    let mapped = BTreeMap::from([("outside".to_owned(), "untrust".to_owned())]);
    let pairing = Pairing::of(&old, &new, &mapped);
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let found = findings(&old, &new, &answer, &pairing);
    let mut weights = Weights::new(&answer, &found, &pairing);
    let (mut differing, mut bytes) = (0, 0);
    let flows = flows(&old, &new);
    for it in &flows {
        let place = weights.add(&Sighting {
            ingress: it.ingress,
            src: it.flow.src,
            dst: it.flow.dst,
            protocol: it.flow.protocol,
            ports: (it.flow.src_port, it.flow.dst_port),
            icmp: it.icmp,
            application: it.application.map(parefeu_identify::Application::name),
            bytes: it.bytes,
            first: it.first,
            last: it.last,
        });
        match place {
            Whereabouts::Outside => assert!(!differs_by_rules(it.class), "{it:?}"),
            Whereabouts::In(at) => {
                bytes += it.bytes;
                let passes = it.class.is_alike() && is_announced(it, &flows);
                assert!(passes || !it.class.is_alike(), "{it:?} in {:#?}", found[at]);
            }
            // Of a URL category the headers do not tell.
            Whereabouts::Untold => assert!(!differs_by_headers(it.class), "{it:?}"),
            Whereabouts::Undecided => panic!("everything has an answer: {it:?}"),
        }
        differing += u64::from(differs_by_rules(it.class));
    }
    assert!(differing > 10, "the demonstration shows its mistakes");
    let weighed = weights.finish();
    let inside: u64 = weighed.findings.iter().map(|it| it.sessions).sum();
    let all = inside + weighed.outside + weighed.untold + weighed.undecided;
    assert_eq!(all, flows.len() as u64);
    assert_eq!(weighed.findings.iter().map(|it| it.bytes).sum::<u64>(), bytes);
}

/// A rule for web servers, another for the same that nothing reaches, and whatever stands above.
fn small(servers: &str, rule: &str) -> String {
    format!(
        r#"
        [[address]]
        name = "web"
        items = [{servers}]
        [[address]]
        name = "farm"
        items = ["10.0.0.0/30", "10.0.0.8/30"]
        [[rule_base]]
        name = "main"
        {rule}
        [[rule_base.rule]]
        name = "in"
        destination = ["web"]
        service = ["tcp/443"]
        action = "allow"
        [[rule_base.rule]]
        name = "idle"
        destination = ["web"]
        service = ["tcp/443"]
        action = "deny"
        [[layer]]
        rule_base = "main"
        default = "deny"
        "#
    )
}

fn diff(old: &str, new: &str, more: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let files = ["old.toml", "new.toml"].map(|name| folder.path().join(name));
    for (file, text) in files.iter().zip([old, new]) {
        fs::write(file, text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    command.arg("diff").args(&files).args(["--format", "json"]).args(more);
    serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
}

#[test]
fn a_region_says_its_names_and_the_object_that_was_edited() {
    let old = small("\"10.0.0.1\"", "");
    let new = small("\"10.0.0.1\", \"10.0.0.8/30\", \"10.0.0.0\", \"10.0.0.2/31\"", "");
    let document = diff(&old, &new, &[]);
    let regions = document["regions"].as_array().unwrap();
    assert_eq!(regions.len(), 1, "{document:#}");
    let added = "object web: +10.0.0.0/32, +10.0.0.2/31, +10.0.0.8/30";
    assert_eq!(regions[0]["because"], json!([added]));
    assert_eq!(regions[0]["old_names"], Value::Null, "no object is just what was added");
    let closed = diff(&new, &small("\"10.0.0.99\"", ""), &[]);
    let regions = closed["regions"].as_array().unwrap();
    let lost = regions.iter().find(|it| it["change"] == "closed").unwrap();
    assert_eq!(lost["old_names"], json!({ "destination": ["web"] }));
    assert_eq!(lost["new_names"], json!({ "destination": ["farm"] }));
    assert_eq!(lost["sessions"], 0);
    assert_eq!(lost["last_seen"], Value::Null);
}

#[test]
fn explained_rules_have_shares_and_idle_ones_are_named() {
    let rule = "[[rule_base.rule]]\nname = \"first\"\ndestination = [\"10.0.0.8/30\"]\n\
                service = [\"tcp/443\"]\naction = \"allow\"\n";
    let (old, new) = (small("\"farm\"", ""), small("\"farm\"", rule));
    assert_eq!(diff(&old, &new, &[])["rule_mapping"], Value::Null, "only where it is asked for");
    let document = diff(&old, &new, &["--explain"]);
    let rows = document["rule_mapping"].as_array().unwrap();
    let row = |old: &str| rows.iter().find(|row| row["old"]["name"] == old).unwrap();
    let shares = |old: &str| -> Vec<(String, f64)> {
        let new = row(old)["new"].as_array().unwrap().iter();
        let name = |it: &Value| it["name"].as_str().unwrap().to_owned();
        new.map(|it| (name(it), it["share"].as_f64().unwrap())).collect()
    };
    assert_eq!(shares("in"), [("first".to_owned(), 0.5), ("in".to_owned(), 0.5)]);
    assert_eq!(shares("default"), [("default".to_owned(), 1.0)]);
    assert_eq!(row("default")["old"]["line"], Value::Null);
    assert!(rows.iter().all(|row| row["at_least"] == false));
    for side in ["old", "new"] {
        let idle = document["idle_rules"][side].as_array().unwrap();
        assert_eq!(idle.len(), 1, "{document:#}");
        assert_eq!(idle[0]["name"], "idle");
    }
}
