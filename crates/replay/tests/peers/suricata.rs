//! Against the flow records that Suricata's own tests expect: packets, bytes and how flows ended.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use parefeu_engine::SessionSummary;
use parefeu_session::EndReason;
use serde_json::{Map, Value};

use parefeu_testkit::peers::{Agreement, data};

use crate::{Look, sessions};

/// Suricata's flow timeouts, as its documentation has them (`flow-timeouts`): new, established,
/// closed. Connections that were closed are kept longer here, for what comes after them.
const TIMERS: &str = "tcp-syn = 60\ntcp-handshake = 60\ntcp-established = 600\n\
                      tcp-half-closed = 600\ntcp-time-wait = 600\nudp = 30\nudp-stream = 300\n\
                      icmp = 30\n";

/// What Suricata does in every test.
const ALWAYS: &str = "icmp-errors-counted = true\nipsec-by-spi = true\n";

/// What it does besides where flows are told apart by tunnels.
const TUNNELS_APART: &str =
    "icmp-errors-counted = true\nipsec-by-spi = true\ntunnels-apart = true\n";

/// What is compared, by the fields that say it, and how many of a thousand records have to agree.
///
/// What differs: one record is of a rule that drops a packet.
const COMPARED: [(&str, [&str; 2], usize); 3] = [
    ("packets", ["flow.pkts_toserver", "flow.pkts_toclient"], 980),
    ("bytes", ["flow.bytes_toserver", "flow.bytes_toclient"], 1000),
    ("end reasons", ["flow.reason", "flow.reason"], 1000),
];

/// Fields that tell which flow is meant.
const NAMING: [&str; 6] = ["event_type", "proto", "src_ip", "dest_ip", "src_port", "dest_port"];

/// Whether a session is one that a record describes by its name and these fields, its originator
/// being its end `origin`.
fn fits(
    record: &Map<String, Value>,
    fields: [&str; 2],
    session: &SessionSummary,
    origin: usize,
) -> bool {
    let flow = if origin == 0 { session.flow } else { session.flow.reverse() };
    let (packets, bytes) = (session.packets, session.bytes);
    let response = 1 - origin;
    let protocol = flow.protocol.to_string().replace("icmpv6", "ipv6-icmp");
    record.iter().all(|(field, value)| {
        if !NAMING.contains(&&**field) && !fields.contains(&&**field) {
            return true;
        }
        let address = || value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
        let number = value.as_u64();
        match field.as_str() {
            "proto" => value.as_str().is_some_and(|name| name.eq_ignore_ascii_case(&protocol)),
            "src_ip" => address() == Some(flow.src),
            "dest_ip" => address() == Some(flow.dst),
            "src_port" => number == Some(flow.src_port.into()),
            "dest_port" => number == Some(flow.dst_port.into()),
            "flow.pkts_toserver" => number == Some(packets[origin]),
            "flow.pkts_toclient" => number == Some(packets[response]),
            "flow.bytes_toserver" => number == Some(bytes[origin]),
            "flow.bytes_toclient" => number == Some(bytes[response]),
            "flow.reason" => value == reason(session),
            _ => true,
        }
    })
}

/// Suricata keeps a closed connection until it is told to stop.
const fn reason(session: &SessionSummary) -> &'static str {
    match session.end_reason {
        EndReason::TcpReuse => "tcp_reuse",
        EndReason::AgedOut => "timeout",
        EndReason::ResourcesUnavailable => "forced",
        _ => "shutdown",
    }
}

/// The record a check is about, and how many flows have to fit it.
fn record(check: &Value) -> Option<(&Map<String, Value>, u64)> {
    let filter = check.get("filter")?;
    // Older versions had other records.
    let is_old = filter.pointer("/requires/lt-version").is_some();
    let record = filter.get("match")?.as_object()?;
    let count = filter.get("count")?.as_u64()?;
    (record.get("event_type")? == "flow" && !is_old).then_some((record, count))
}

#[test]
fn flows_agree_with_suricata() {
    let Some(folder) = data("suricata-verify") else { return };
    let tests = fs::read_to_string(folder.join("tests.jsonl")).expect("the table");
    let mut agreements = COMPARED.map(|_| Agreement::default());
    for line in tests.lines() {
        let test: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |name| test.get(name).and_then(Value::as_str).unwrap_or_default();
        let checks = test.get("checks").and_then(Value::as_array).into_iter().flatten();
        let checks: Vec<_> = checks.filter_map(record).collect();
        if checks.is_empty() {
            continue;
        }
        let capture: PathBuf = folder.join(text("pcap"));
        // The depth of tunnels is a setting that some tests make.
        let looks = [(false, ALWAYS), (true, ALWAYS), (true, TUNNELS_APART)];
        let looks = looks.map(|(inside, behaviour)| {
            sessions(&capture, Look { timers: TIMERS, checksums: false, inside, behaviour })
        });
        for (record, count) in checks {
            for ((_, fields, _), agreement) in COMPARED.iter().zip(&mut agreements) {
                if !fields.iter().any(|field| record.contains_key(*field)) {
                    continue;
                }
                let named =
                    |field: &&String| NAMING.contains(&&***field) || fields.contains(&&***field);
                // What is not compared may tell flows apart.
                let whole = record.keys().all(|field| named(&field));
                let agrees = looks.iter().any(|sessions| {
                    let found = sessions.iter().filter(|session| {
                        // Suricata turns a flow it did not see begin, by its ports or its answers.
                        let turned = session.tcp_flags.is_some();
                        fits(record, *fields, session, 0)
                            || (turned && fits(record, *fields, session, 1))
                    });
                    let found = found.count() as u64;
                    if whole { found == count } else { found >= count.max(1) }
                });
                agreement.note(agrees, || {
                    let wanted = serde_json::to_string(record).unwrap_or_default();
                    format!("{}: {count} of {wanted}", text("test"))
                });
            }
        }
    }
    for ((what, _, floor), agreement) in COMPARED.iter().zip(&agreements) {
        agreement.check(&format!("Suricata's {what}"), *floor);
    }
}
