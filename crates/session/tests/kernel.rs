//! The session table against the verdicts of the Linux kernel, packet by packet.
//!
//! The recordings lie beside the checkout and are not part of the project; without them the test
//! says so and ends. Their rule set is small and fixed, so it is written here as a function.

#![expect(clippy::print_stderr, reason = "the share of equal verdicts is reported")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parefeu_net::{
    ChecksumVerdict, DecodeLimits, FiveTuple, FragmentLimits, LinkType, Packet, PortRange,
    Protocol, Reassembler, Reassembly, Timestamp, Transport, decode, ip_header_checksum,
    transport_checksum,
};
use parefeu_policy::{Behaviour, ConnectionState, Preset};
use parefeu_session::{EndReason, Opening, SessionTable, Sought, Step, TableLimits, allocate_port};
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/kernel-oracle");
const MODES: [&str; 5] = ["base", "strict", "liberal", "nat", "nocsum"];
const CLIENT: u32 = 0;
const SERVER: u32 = 1;

#[test]
fn directed_scenarios_are_judged_as_the_kernel_does() {
    check("scenario", 100.0);
}

#[test]
fn recorded_connections_are_judged_as_the_kernel_does() {
    check("packetdrill", 100.0);
}

/// Replays every case of a folder in every mode; `floor` is the least share of equal verdicts, in
/// percent.
#[track_caller]
fn check(folder: &str, floor: f64) {
    let cases = cases(folder);
    if cases.is_empty() {
        eprintln!("skipped: no recordings of the kernel in {DATA}/{folder}");
        return;
    }
    let (mut same, mut total, mut same_rule) = (0u32, 0u32, 0u32);
    let mut differences = Vec::new();
    for case in &cases {
        let text = std::fs::read_to_string(case).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        let frames = frames(&case.with_extension("pcap"));
        for mode in MODES {
            let mut firewall = Firewall::new(mode, recording["rules"] == "OPEN");
            let rows = recording["modes"][mode].as_array().unwrap();
            assert_eq!(rows.len(), frames.len(), "{}", case.display());
            for (index, (row, frame)) in rows.iter().zip(&frames).enumerate() {
                firewall.age(recording["clock_advance_s"][index].as_u64().unwrap_or(0));
                let side = if row["dir"] == "c" { CLIENT } else { SERVER };
                let (verdict, rule) = firewall.judge(side, frame);
                let why = row["why"].as_str().unwrap_or("");
                let expected_rule = why.rsplit("rule: ").next().unwrap_or("");
                total += 1;
                same += u32::from(row["verdict"] == verdict);
                same_rule += u32::from(rule == expected_rule);
                if row["verdict"] != verdict || rule != expected_rule {
                    let case = case.file_stem().unwrap().display();
                    let kernel = row["verdict"].as_str().unwrap_or("");
                    differences.push(format!(
                        "{case} {mode} packet {index}: {verdict} {rule}, kernel {kernel} ({why})"
                    ));
                }
            }
        }
    }
    let share = f64::from(same) * 100.0 / f64::from(total);
    eprintln!(
        "{folder}: {same} of {total} verdicts agree ({share:.2} %), {same_rule} rules\n{}",
        differences.join("\n")
    );
    assert!(share >= floor, "{share:.2} % of verdicts agree, expected {floor} %");
}

/// The firewall of the recordings: two interfaces, a few ports open towards the server.
struct Firewall {
    now: Timestamp,
    table: SessionTable<()>,
    behaviour: Behaviour,
    translate: bool,
    /// Whether every TCP and UDP port is open.
    open: bool,
    reassembler: Reassembler,
    /// Translated flows by their original: the recorded server answers to the original client.
    learnt: BTreeMap<FiveTuple, FiveTuple>,
}

type Judgement = (&'static str, &'static str);

impl Firewall {
    fn new(mode: &str, open: bool) -> Self {
        let mut behaviour = Behaviour::preset(Preset::Linux);
        behaviour.tcp_loose = mode != "strict";
        behaviour.tcp_be_liberal = mode == "liberal";
        behaviour.checksum = mode != "nocsum";
        Self {
            now: Timestamp::from_secs(1_700_000_000),
            table: SessionTable::new(TableLimits::default(), behaviour.clone(), 7),
            behaviour,
            translate: mode == "nat",
            open,
            reassembler: Reassembler::new(FragmentLimits::default()),
            learnt: BTreeMap::new(),
        }
    }

    fn age(&mut self, secs: u64) {
        self.now = self.now + Duration::from_secs(secs) + Duration::from_millis(1);
        self.table.handle_timeout(self.now);
    }

    fn judge(&mut self, side: u32, frame: &[u8]) -> Judgement {
        let limits = DecodeLimits::default();
        let packet = decode(LinkType::ETHERNET, frame, frame.len(), &limits);
        let mut reassembler =
            std::mem::replace(&mut self.reassembler, Reassembler::new(FragmentLimits::default()));
        let judgement = match reassembler.handle_fragment(self.now, &packet) {
            Reassembly::Whole => self.judge_packet(side, &packet),
            Reassembly::Complete(datagram) => {
                let (verdict, rule) = self.judge_packet(side, &datagram.decode(&limits));
                if verdict == "pass" { ("pass-reassembled-x2", rule) } else { (verdict, rule) }
            }
            Reassembly::Hold | Reassembly::Duplicate | Reassembly::Discard(_) => {
                ("held-or-drop", "")
            }
        };
        self.reassembler = reassembler;
        judgement
    }

    fn judge_packet(&mut self, side: u32, packet: &Packet<'_>) -> Judgement {
        let network = packet.network.as_ref().unwrap();
        if ip_header_checksum(network) == ChecksumVerdict::Invalid {
            return ("drop", "");
        }
        let flow = self.on_the_wire(side, packet.five_tuple().unwrap());
        let routable = is_routable(network.src, network.dst);
        let (state, found) = self.state(side, &flow, packet);
        if let Some(refusal) = refuse_to_route(network.ttl, routable, network.source_routed) {
            return refusal;
        }
        let (verdict, rule) = match state {
            ConnectionState::Invalid => ("drop", "invalid"),
            ConnectionState::Established => ("pass", "est"),
            ConnectionState::Related => ("pass", "related"),
            _ => self.new_connection(side, &flow, packet, found),
        };
        if verdict != "pass" || !self.translate || flow.is_ipv6() {
            return (verdict, rule);
        }
        ("translated", rule)
    }

    /// As the server's packets would look had it seen the translated connection.
    fn on_the_wire(&self, side: u32, flow: FiveTuple) -> FiveTuple {
        let translated = (side == SERVER).then(|| self.learnt.get(&flow.reverse())).flatten();
        translated.map_or(flow, |translated| translated.reverse())
    }

    fn state(
        &mut self,
        side: u32,
        flow: &FiveTuple,
        packet: &Packet<'_>,
    ) -> (ConnectionState, bool) {
        let network = packet.network.as_ref().unwrap();
        let wrong = transport_checksum(network) == ChecksumVerdict::Invalid;
        if (self.behaviour.checksum && wrong) || packet.malformed.is_some() {
            return (ConnectionState::Invalid, false);
        }
        if let Transport::Icmp(message) = &packet.transport
            && let Some(quoted) = &message.quoted
        {
            let mut quoted = *quoted;
            let mut dst = network.dst;
            if let Some(translated) = self.learnt.get(&quoted.flow).filter(|_| side == SERVER)
                && packet.transport.payload().len() >= 24
            {
                (quoted.flow, dst) = (*translated, translated.src);
            }
            let error = FiveTuple { dst, ..*flow };
            let related = self.table.related(&Sought::new(side, error), &quoted);
            // Translation needs eight bytes of the quoted transport, and leaves redirects alone.
            let short = packet.transport.payload().len() < 28 || message.kind == 5;
            let state = if related.is_none() || (self.translate && short) {
                ConnectionState::Invalid
            } else {
                ConnectionState::Related
            };
            return (state, false);
        }
        let Some((id, direction)) =
            self.table.find(&Sought { flow: *flow, ..self.table.sought(side, packet).unwrap() })
        else {
            return (self.table.state_without_session(packet), false);
        };
        let bytes = u64::from(network.payload_len);
        match self.table.advance(self.now, id, direction, packet, bytes) {
            Step::Accept(state) => (state, true),
            Step::Reopen => {
                self.table.close(id, EndReason::TcpReuse);
                (self.table.state_without_session(packet), false)
            }
            Step::Invalid(_) | Step::Gone => (ConnectionState::Invalid, true),
        }
    }

    fn new_connection(
        &mut self,
        side: u32,
        flow: &FiveTuple,
        packet: &Packet<'_>,
        found: bool,
    ) -> Judgement {
        let (verdict, rule) = self.match_rules(side, flow, packet);
        if verdict != "pass" || found {
            return (verdict, rule);
        }
        let mut translated = *flow;
        if self.translate && side == CLIENT && !flow.is_ipv6() {
            translated.src = IpAddr::from([203, 0, 113, 7]);
            if flow.protocol == Protocol::TCP && flow.dst_port == 443 {
                (translated.dst, translated.dst_port) = (IpAddr::from([10, 9, 0, 2]), 8443);
            }
            let sought = self.table.sought(side, packet).unwrap();
            let taken = |flow: &FiveTuple| {
                self.table.has_reply(&Sought { flow: *flow, ..sought }.reverse())
            };
            translated = allocate_port(translated, 0, &[PortRange::ALL], taken).unwrap();
            self.learnt.insert(*flow, translated);
        }
        let opening = Opening {
            tag: side,
            original: *flow,
            translated,
            data: (),
            bytes: u64::from(packet.network.as_ref().unwrap().payload_len),
            refused: false,
        };
        self.table.open(self.now, packet, opening).unwrap();
        (verdict, rule)
    }

    fn match_rules(&self, side: u32, flow: &FiveTuple, packet: &Packet<'_>) -> Judgement {
        let default = ("drop", "default");
        if side != CLIENT {
            return default;
        }
        let echo = matches!(&packet.transport, Transport::Icmp(m) if matches!(m.kind, 8 | 128));
        match (flow.protocol, flow.dst_port) {
            (Protocol::TCP, 80 | 443 | 21 | 5001) => ("pass", "tcp-new"),
            (Protocol::UDP, 53 | 123 | 5060) => ("pass", "udp-new"),
            (Protocol::TCP, _) if self.open => ("pass", "tcp-new"),
            (Protocol::UDP, _) if self.open => ("pass", "udp-new"),
            (Protocol::ICMP, _) if echo => ("pass", "icmp-new"),
            (Protocol::ICMPV6, _) if echo => ("pass", "icmp6-new"),
            (Protocol::SCTP, _) => ("pass", "sctp-new"),
            (Protocol::TCP, 8888) => ("reject", "rej-rst"),
            (Protocol::UDP, 8888) => ("reject", "rej-icmp"),
            _ => default,
        }
    }
}

/// What a router does not forward whatever its rules say; sessions have seen the packet by then.
fn refuse_to_route(ttl: u8, routable: bool, source_routed: bool) -> Option<Judgement> {
    if !routable || source_routed {
        return Some(("drop", ""));
    }
    (ttl <= 1).then_some(("reject", ""))
}

/// Whether a router forwards between these addresses. The recording router forwards loopback
/// sources (`route_localnet`).
fn is_routable(src: IpAddr, dst: IpAddr) -> bool {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (src, dst) else { return true };
    let martian = src.octets()[0] == 0 || src.octets()[0] >= 224;
    !martian && !dst.is_multicast() && !dst.is_broadcast()
}

/// The cases of a folder, in order.
fn cases(folder: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(Path::new(DATA).join(folder)) else { return Vec::new() };
    let mut cases: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    cases.sort();
    cases
}

/// The frames of a little-endian classic pcap.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        frames.push(after[..length].to_vec());
        rest = &after[length..];
    }
    frames
}
