//! Against Zeek's logs.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;

use parefeu_net::{FiveTuple, Protocol};
use serde_json::Value;

use crate::capture::{self, Session, Sessions};
use parefeu_testkit::peers::{Agreement, data};

fn field<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

fn tuple(row: &Value, protocol: Protocol) -> Option<FiveTuple> {
    let address = |name| field(row, name).and_then(|text| text.parse::<IpAddr>().ok());
    let port = |name| field(row, name).and_then(|text| text.parse().ok());
    let tuple = FiveTuple {
        src: address("id.orig_h")?,
        dst: address("id.resp_h")?,
        src_port: port("id.orig_p")?,
        dst_port: port("id.resp_p")?,
        protocol,
    };
    Some(tuple.direction_free())
}

/// The logs whose rows name a flow and are compared.
const LOGS: [&str; 7] = ["ssl", "quic", "dns", "http", "ssh", "smtp", "ftp"];

#[derive(Default)]
struct Measures {
    server_names: Agreement,
    subjects: Agreement,
    queries: Agreement,
    hosts: Agreement,
    ssh: Agreement,
    smtp: Agreement,
    ftp: Agreement,
    /// Rows of flows that the capture does not hold: Zeek was told to alter addresses, or entered
    /// a tunnel that is not entered here.
    missing: usize,
}

impl Measures {
    fn compare(&mut self, capture: &str, log: &str, rows: &[Value], sessions: &Sessions) {
        let mut seen = std::collections::HashSet::new();
        for row in rows {
            let held = |session: &Session| {
                [Protocol::TCP, Protocol::UDP]
                    .iter()
                    .any(|protocol| tuple(row, *protocol) == Some(session.tuple.direction_free()))
            };
            if LOGS.contains(&log) && !sessions.all.iter().any(held) {
                self.missing += 1;
                continue;
            }
            match log {
                "ssl" | "quic" => self.server_name(capture, row, sessions),
                "x509" => self.certificate(capture, row, sessions),
                "dns" if seen.insert(row.get("uid").cloned()) => self.query(capture, row, sessions),
                "http" => self.host(capture, row, sessions),
                "ssh" | "smtp" | "ftp" if seen.insert(row.get("uid").cloned()) => {
                    self.named(capture, log, row, sessions);
                }
                _ => {}
            }
        }
    }

    fn server_name(&mut self, capture: &str, row: &Value, sessions: &Sessions) {
        let Some(expected) = field(row, "server_name") else { return };
        if tuple(row, Protocol::TCP).is_none() {
            return;
        }
        let found = [Protocol::TCP, Protocol::UDP].iter().any(|protocol| {
            let wanted = tuple(row, *protocol);
            sessions.all.iter().any(|session| {
                Some(session.tuple.direction_free()) == wanted
                    && session.flow.facts().hostname == Some(expected)
            })
        });
        self.server_names.note(found, || format!("{capture}: {expected}"));
    }

    fn certificate(&mut self, capture: &str, row: &Value, sessions: &Sessions) {
        // Only the server's own certificate is read, not its chain nor the client's.
        let (Some("T"), Some(subject), Some(issuer)) = (
            field(row, "host_cert"),
            field(row, "certificate.subject"),
            field(row, "certificate.issuer"),
        ) else {
            return;
        };
        let found = sessions.all.iter().any(|session| {
            let facts = session.flow.facts();
            facts.certificate_subject == Some(subject) && facts.certificate_issuer == Some(issuer)
        });
        self.subjects.note(found, || format!("{capture}: {subject} by {issuer}"));
    }

    fn query(&mut self, capture: &str, row: &Value, sessions: &Sessions) {
        let Some(expected) = field(row, "query") else { return };
        let protocol =
            if field(row, "proto") == Some("tcp") { Protocol::TCP } else { Protocol::UDP };
        let Some(wanted) = tuple(row, protocol) else { return };
        let found = sessions.all.iter().any(|session| {
            session.tuple.direction_free() == wanted
                && session.flow.facts().hostname == Some(&*expected.to_ascii_lowercase())
        });
        self.queries.note(found, || format!("{capture}: {expected}"));
    }

    /// Zeek logs every request; the crate tells each host as it comes.
    fn host(&mut self, capture: &str, row: &Value, sessions: &Sessions) {
        let Some(expected) = field(row, "host") else { return };
        let expected = expected.to_ascii_lowercase();
        let name = expected.split(':').next().unwrap_or_default();
        let Some(wanted) = tuple(row, Protocol::TCP) else { return };
        let found = sessions.all.iter().any(|session| {
            session.tuple.direction_free() == wanted
                && session.hostnames.iter().any(|host| host == name)
        });
        self.hosts.note(found, || format!("{capture}: {expected}"));
    }

    fn named(&mut self, capture: &str, log: &str, row: &Value, sessions: &Sessions) {
        let Some(wanted) = tuple(row, Protocol::TCP) else { return };
        let session = sessions.all.iter().find(|session| session.tuple.direction_free() == wanted);
        let path = session.map(|session| session.flow.facts().application_path.to_string());
        let path = path.unwrap_or_default();
        let measure = match log {
            "ssh" => &mut self.ssh,
            "smtp" => &mut self.smtp,
            _ => &mut self.ftp,
        };
        measure.note(path.contains(log), || format!("{capture}: {path}"));
    }
}

#[test]
fn agrees_with_zeek() {
    let Some(folder) = data("zeek") else { return };
    let logs = fs::read_to_string(folder.join("expected_logs.jsonl")).unwrap();
    let mut captures: HashMap<String, Sessions> = HashMap::new();
    let mut measures = Measures::default();
    for line in logs.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let (Some(capture), Some(log)) = (field(&entry, "pcap"), field(&entry, "log")) else {
            continue;
        };
        let Some(rows) = entry.get("rows").and_then(Value::as_array) else { continue };
        let sessions = captures
            .entry(capture.to_owned())
            .or_insert_with(|| capture::read(&folder.join(capture)));
        measures.compare(capture, log, rows, sessions);
    }
    eprintln!("{} rows have no session here", measures.missing);
    measures.server_names.check("server names", 1000);
    measures.subjects.check("certificates", 750);
    measures.queries.check("DNS queries", 1000);
    measures.hosts.check("HTTP hosts", 970);
    measures.ssh.check("SSH", 1000);
    measures.smtp.check("SMTP", 1000);
    measures.ftp.check("FTP", 1000);
}
