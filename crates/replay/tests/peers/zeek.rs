//! Against Zeek's connection logs: the packets of each direction, and the connection's state.

use std::fs;
use std::net::IpAddr;

use parefeu_engine::SessionSummary;
use parefeu_net::{Protocol, TcpFlags};
use serde_json::Value;

use parefeu_testkit::peers::{Agreement, data};

use crate::{Look, sessions};

/// What Zeek calls the inactivity of a connection, and longer than it waits for one that was
/// closed, since it counts what comes after.
const TIMERS: &str = "tcp-syn = 300\ntcp-handshake = 300\ntcp-half-closed = 300\n\
                      tcp-time-wait = 300\nudp = 60\nudp-stream = 60\nicmp = 60\n";

/// A row of a connection log.
struct Row<'a> {
    protocol: &'a str,
    /// Addresses and ports of originator and responder; types, in a row of ICMP.
    ends: [(IpAddr, u16); 2],
    packets: Option<[u64; 2]>,
    state: &'a str,
    /// Zeek took the sender of the first packet for the responder, by its port or its flags.
    turned: bool,
}

impl<'a> Row<'a> {
    fn new(row: &'a Value) -> Option<Self> {
        let field =
            |names: &[&str]| names.iter().find_map(|name| row.get(name).and_then(Value::as_str));
        let address = |names: &[&str]| field(names)?.parse().ok();
        let port = |names: &[&str]| field(names).and_then(|text| text.parse().ok()).unwrap_or(0);
        let count = |name: &str| field(&[name])?.parse().ok();
        let origin = address(&["id.orig_h", "id_orig_h", "src_ip", "src"])?;
        let response = address(&["id.resp_h", "id_resp_h", "dst_ip", "dst"])?;
        let counts = count("orig_pkts").zip(count("resp_pkts"));
        Some(Self {
            protocol: field(&["proto"])?,
            ends: [
                (origin, port(&["id.orig_p", "id_orig_p", "src_port"])),
                (response, port(&["id.resp_p", "id_resp_p", "dst_port"])),
            ],
            packets: counts.map(|(origin, response)| [origin, response]),
            state: field(&["conn_state"])?,
            turned: field(&["history"]).is_some_and(|history| history.contains('^')),
        })
    }

    /// The index of the originator among the ends of a session, if the session may be the row's.
    fn origin_in(&self, session: &SessionSummary) -> Option<usize> {
        let flow = &session.flow;
        let same_protocol = match self.protocol {
            "tcp" => flow.protocol == Protocol::TCP,
            "udp" => flow.protocol == Protocol::UDP,
            "icmp" => flow.protocol.is_icmp(),
            _ => !flow.protocol.has_ports() || flow.protocol == Protocol::SCTP,
        };
        let with_ports = matches!(self.protocol, "tcp" | "udp");
        let port = |port| if with_ports { port } else { 0 };
        let ends = self.ends.map(|(address, number)| (address, port(number)));
        let ours = [(flow.src, port(flow.src_port)), (flow.dst, port(flow.dst_port))];
        let kinds = self.ends.map(|(_, number)| Some(number));
        let same_kind = !flow.protocol.is_icmp()
            || kinds.contains(&session.icmp.map(|(kind, _)| u16::from(kind)));
        if !same_protocol || !same_kind {
            return None;
        }
        let straight = ours == ends && (!self.turned || self.protocol == "icmp");
        let [origin, response] = ours;
        let turned = [response, origin] == ends && (self.turned || self.protocol == "icmp");
        if straight { Some(0) } else { turned.then_some(1) }
    }
}

/// The state Zeek gives a connection, from the flags seen of its two sides
/// (<https://docs.zeek.org/en/master/scripts/base/protocols/conn/main.zeek.html>).
fn state(session: &SessionSummary, origin: usize) -> &'static str {
    let heard = [session.packets[origin] > 0, session.packets[1 - origin] > 0];
    let Some(flags) = session.tcp_flags else {
        return match (session.flow.protocol, heard) {
            (Protocol::UDP, [true, true]) => "SF",
            (Protocol::UDP, [true, false]) => "S0",
            (Protocol::UDP, [false, true]) => "SHR",
            _ => "OTH",
        };
    };
    let [from_origin, from_response] = [flags[origin], flags[1 - origin]];
    let has = |flags: TcpFlags| move |wanted: TcpFlags| flags.contains(wanted);
    let (o, r) = (has(from_origin), has(from_response));
    // One lone SYN and ACK is an answer, whoever Zeek takes for the originator.
    let lone_answer = session.packets[origin] == 1 && o(TcpFlags::SYN) && o(TcpFlags::ACK);
    let asked = o(TcpFlags::SYN) && !lone_answer;
    let opened = r(TcpFlags::SYN) && heard[0];
    let closed = [o(TcpFlags::FIN), r(TcpFlags::FIN)];
    match (asked, heard[1]) {
        // A connection that both sides close is complete wherever it was picked up.
        _ if closed == [true, true] => "SF",
        _ if opened && o(TcpFlags::RST) => "RSTO",
        _ if opened && r(TcpFlags::RST) => "RSTR",
        _ if opened && closed[0] => "S2",
        _ if opened && closed[1] => "S3",
        _ if opened => "S1",
        (true, true) if r(TcpFlags::RST) => "REJ",
        (true, false) if o(TcpFlags::RST) => "RSTOS0",
        (true, false) if closed[0] => "SH",
        (true, false) => "S0",
        (false, true) if r(TcpFlags::SYN) && r(TcpFlags::RST) => "RSTRH",
        (false, true) if r(TcpFlags::SYN) && closed[1] => "SHR",
        _ => "OTH",
    }
}

/// Compares the rows of one log with the sessions of its capture, each of which is one row's.
fn compare(name: &str, rows: &[Row<'_>], all: &[SessionSummary]) -> Agreement {
    let mut agreement = Agreement::default();
    let mut left: Vec<&SessionSummary> = all.iter().collect();
    for row in rows {
        let found = if row.protocol == "icmp" {
            // Zeek has one row for all queries of two hosts, whatever their identifiers.
            let mut packets = [0; 2];
            for session in &left {
                let Some(origin) = row.origin_in(session) else { continue };
                packets[0] += session.packets[origin];
                packets[1] += session.packets[1 - origin];
            }
            row.state == "OTH" && row.packets.is_none_or(|expected| packets == expected)
        } else {
            let at = left.iter().position(|session| {
                row.origin_in(session).is_some_and(|origin| {
                    let packets = [session.packets[origin], session.packets[1 - origin]];
                    let counted = row.packets.is_none_or(|expected| packets == expected);
                    counted && state(session, origin) == row.state
                })
            });
            at.map(|at| left.swap_remove(at)).is_some()
        };
        agreement.note(found, || {
            let ours = all.iter().filter_map(|session| {
                let origin = row.origin_in(session)?;
                let [a, b] = [session.packets[origin], session.packets[1 - origin]];
                Some(format!(" {}/{a}/{b}", state(session, origin)))
            });
            let [(origin, port), (response, to)] = row.ends;
            let ours: String = ours.collect();
            format!(
                "{name}: {} {origin}:{port} > {response}:{to} {} {:?}, ours{ours}",
                row.protocol, row.state, row.packets
            )
        });
    }
    agreement
}

/// What differs: tests in which Zeek's scripts drop packets, filter them or stop following a
/// connection, or its timers are cut; a row for a packet with a wrong checksum; a tunnel inside
/// another that is itself a row; frames of a wireless controller inside GRE.
#[test]
fn connections_agree_with_zeek() {
    let Some(folder) = data("zeek") else { return };
    let logs = fs::read_to_string(folder.join("expected_logs.jsonl")).expect("the table");
    let mut all = Agreement::default();
    for line in logs.lines() {
        let log: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |name| log.get(name).and_then(Value::as_str).unwrap_or_default();
        if !text("log").starts_with("conn") {
            continue;
        }
        let rows = log.get("rows").and_then(Value::as_array).expect("rows");
        let rows: Vec<_> = rows.iter().filter_map(Row::new).collect();
        // The table does not say whether Zeek was told to ignore checksums: each log is taken the
        // way that fits it better. Zeek logs a tunnel and what is inside.
        let ways = [false, true].map(|checksums| {
            let look = |inside| {
                let behaviour = "";
                let look = Look { timers: TIMERS, checksums, inside, behaviour };
                sessions(&folder.join(text("pcap")), look)
            };
            let (mut seen, inner) = (look(false), look(true));
            let inner = inner.into_iter().filter(|session| {
                seen.iter().all(|outer| {
                    (outer.flow, outer.start, outer.packets)
                        != (session.flow, session.start, session.packets)
                })
            });
            let inner: Vec<_> = inner.collect();
            seen.extend(inner);
            compare(text("test"), &rows, &seen)
        });
        let [ignored, verified] = ways;
        all.add(if verified.agreed > ignored.agreed { &verified } else { &ignored }, "");
    }
    all.check("Zeek's connections", 980);
}
