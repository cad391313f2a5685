//! PAN-OS configurations nobody here wrote: laboratory devices, generated policies, feature files.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so, and prints its table")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use parefeu_dialect::{Dialect, read};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{
    Answer, ConnectionState, Diagnostics, Firewall, Knowledge, LinkedAction, LinkedFirewall,
    PacketKey, Severity, Source, link, reference,
};

/// A folder of the test data, or `None`, aloud, where the data is not beside the checkout.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")).join(folder);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(path)
}

fn import(path: &Path) -> (Option<Firewall>, Diagnostics) {
    let text = fs::read_to_string(path).unwrap();
    let import = read(Source::new(&path.display().to_string(), &text), Some(Dialect::Panos));
    (import.firewall, import.problems)
}

fn linked(path: &Path) -> (LinkedFirewall, Diagnostics) {
    let (firewall, mut problems) = import(path);
    let linked = link(&firewall.unwrap(), &mut problems);
    (linked.unwrap_or_else(|| panic!("{}: {problems:#?}", path.display())), problems)
}

/// A packet that opens a connection.
fn packet(src: IpAddr, dst: IpAddr, protocol: Protocol) -> PacketKey {
    PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src,
        dst,
        protocol,
        src_port: 0,
        dst_port: 0,
        icmp: protocol.is_icmp().then_some((8, 0)),
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags(2)),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    }
}

fn answer(firewall: &LinkedFirewall, key: &PacketKey) -> String {
    match reference::judge(firewall, key, &Knowledge::NOTHING).evaluation.answer() {
        Answer::Certain(hit) if hit.action == LinkedAction::Allow => "allow".to_owned(),
        Answer::Certain(_) => "deny".to_owned(),
        Answer::Depends(_) => "depends".to_owned(),
        Answer::Unknown(_) => "unknown".to_owned(),
    }
}

#[test]
fn the_laboratory_device_did_what_its_configuration_says() {
    let Some(folder) = data("batfish-lab-validation") else { return };
    let expected = fs::read_to_string(folder.join("EXPECTED.csv")).unwrap();
    let mut rows = 0;
    for row in expected.lines().skip(1) {
        let fields: Vec<&str> = row.split(',').collect();
        let [lab, _, host, "icmp", dst, _, verdict, ..] = fields[..] else {
            panic!("unexpected row {row}")
        };
        let (firewall, problems) = linked(&folder.join(lab).join("configs/pa"));
        assert!(problems.is_empty(), "{lab}: {problems:#?}");
        let src = host_address(&folder.join(lab).join("configs").join(host));
        let mut key = packet(src, dst.parse().unwrap(), Protocol::ICMP);
        key.ingress = firewall.interface_towards(src);
        assert_eq!(answer(&firewall, &key), verdict, "{row}");
        rows += 1;
    }
    assert!(rows >= 5);
}

/// The address of a laboratory host: `ip address A MASK` of its configuration.
fn host_address(path: &Path) -> IpAddr {
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("ip address ")).unwrap();
    line.split(' ').next().unwrap().parse().unwrap()
}

/// Every row without a condition has to agree but two kinds, which `docs/findings.md` explains.
#[test]
fn generated_policies_agree_with_their_witnesses() {
    let Some(folder) = data("aerleon-multivendor") else { return };
    let (mut agreed, mut rows) = (0, 0);
    let mut samples: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    samples.sort();
    for sample in samples {
        let (policy, expected) = (sample.join("paloalto.xml"), sample.join("expected.jsonl"));
        if !policy.exists() || !expected.exists() {
            continue;
        }
        let (firewall, problems) = linked(&policy);
        assert!(problems.is_empty(), "{}: {problems:#?}", sample.display());
        for row in fs::read_to_string(expected).unwrap().lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            if !row["conditional"].as_array().unwrap().is_empty() {
                continue;
            }
            let address = |name: &str| row[name].as_str().unwrap().parse().unwrap();
            let port = |name: &str| row[name].as_u64().unwrap_or(0) as u16;
            let protocol = Protocol(row["protonum"].as_u64().unwrap() as u8);
            let mut key = packet(address("src"), address("dst"), protocol);
            (key.src_port, key.dst_port) = (port("sport"), port("dport"));
            (key.from, key.to) = (firewall.zone_named("trust"), firewall.zone_named("untrust"));
            let found = answer(&firewall, &key);
            rows += 1;
            if found == row["expect"].as_str().unwrap() {
                agreed += 1;
                continue;
            }
            // A rule names `ping` or `icmp`, which only the type tells apart, and the row has none.
            let no_type = protocol == Protocol::ICMP && found == "depends";
            // The policy means 200.1.1.1 and .2, the file says .1/32 and .2/31.
            let widened = row["dst"] == "200.1.1.3"
                && found == "allow"
                && fs::read_to_string(&policy).unwrap().contains(">200.1.1.2/31<");
            assert!(no_type || widened, "{}: {found} for {row}", sample.display());
        }
    }
    eprintln!("{agreed} of {rows} rows agree");
    assert!(rows > 0 && agreed * 100 >= rows * 99, "{agreed} of {rows}");
}

#[test]
fn feature_files_are_read_and_what_a_device_would_refuse_is_said() {
    let Some(folder) = data("batfish-testconfigs/palo_alto") else { return };
    let mut refused = Vec::new();
    let files = files_of(&folder);
    for path in &files {
        let (firewall, mut problems) = import(path);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let firewall = firewall.unwrap_or_else(|| panic!("{name}: {problems:#?}"));
        let linked = link(&firewall, &mut problems);
        let unplaced = problems.iter().filter(|it| it.at.is_none()).count();
        assert_eq!(unplaced, 0, "{name}: {problems:#?}");
        for problem in problems.iter().filter(|it| it.severity == Severity::Error) {
            let known = REFUSALS.contains(&problem.code);
            assert!(known, "{name}: {problem:?}");
        }
        if linked.is_none() {
            refused.push(name);
        }
    }
    eprintln!("{} of {} files are refused: {refused:?}", refused.len(), files.len());
    assert!(refused.len() * 10 <= files.len());
}

/// What PAN-OS refuses at commit: names that nothing defines, or that two things have.
const REFUSALS: &[&str] =
    &["unknown-object", "unknown-service", "empty-pool", "duplicate-name", "bad-address"];

#[test]
fn generated_references_are_read() {
    let Some(folder) = data("aerleon-regression-refs/paloaltofw") else { return };
    for path in files_of(&folder) {
        let text = fs::read_to_string(&path).unwrap();
        // Some files hold several documents, one after the other: the first is read, and where
        // the next begins is said.
        let (firewall, problems) = import(&path);
        let further = text.match_indices("<?xml").nth(1).map(|(at, _)| at as u32);
        let said = problems.iter().find(|it| it.code == "second-document");
        assert_eq!(said.map(|it| it.at.unwrap().start), further, "{}", path.display());
        assert!(firewall.is_some() && !problems.has_errors(), "{problems:?}");
        for document in text.split_inclusive("</config>\n").filter(|it| !it.trim().is_empty()) {
            let source = Source::new(&path.display().to_string(), document.trim_start());
            let import = read(source, Some(Dialect::Panos));
            let mut problems = import.problems;
            let firewall = import.firewall.unwrap();
            let linked = link(&firewall, &mut problems);
            assert!(linked.is_some(), "{}: {problems:#?}", path.display());
        }
    }
}

#[test]
fn panorama_rules_stand_in_the_order_of_the_groups() {
    let Some(folder) = data("pan-os-php") else { return };
    let (firewall, _) = linked(&folder.join("panorama-8.1.xml"));
    let names = |group: &str| -> Vec<String> {
        let rule_base = firewall.rule_base_named(group).unwrap();
        firewall.rules_of(rule_base).iter().map(|rule| rule.name.to_string()).collect()
    };
    let (parent, child) = (names("Perimeter-FWs"), names("DE-Berlin Office"));
    let place = |name: &String| child.iter().position(|it| it == name);
    let places: Vec<_> = parent.iter().map(place).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{parent:?} in {child:?}");
    assert!(child.len() > parent.len());
    let local = child.iter().position(|name| !parent.contains(name)).unwrap();
    let before = place(&"perimeter - allow users outside".to_owned()).unwrap();
    let after = place(&"no traffic out of dc".to_owned()).unwrap();
    assert!(before < local && local < after, "{child:?}");
}

#[test]
fn the_demonstration_is_read_without_a_remark() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rulesets/web-hosting/new.panos.xml");
    let (firewall, problems) = linked(&path);
    assert!(problems.is_empty(), "{problems:#?}");
    assert_eq!(&*firewall.name, "fw-web-11");
    assert_eq!(firewall.source_nat.rules.len(), firewall.destination_nat.rules.len());
    assert!(firewall.rules.len() > 120);
}

#[test]
fn no_truncated_file_stops_the_import() {
    let Some(folder) = data("batfish-testconfigs/palo_alto") else { return };
    for path in files_of(&folder) {
        let text = fs::read_to_string(&path).unwrap();
        for end in (0..text.len().min(3_000)).filter(|end| text.is_char_boundary(*end)) {
            let import = read(Source::new("cut", &text[..end]), Some(Dialect::Panos));
            let mut problems = import.problems;
            if let Some(firewall) = import.firewall {
                link(&firewall, &mut problems);
            }
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
