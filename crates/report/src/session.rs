//! A session as a JSON document, written without a tree in between: a replay prints millions.

use std::fmt::Display;
use std::net::IpAddr;

use parefeu_engine::SessionSummary;
use parefeu_identify::Application;
use parefeu_net::{FiveTuple, Protocol, TcpFlags, Timestamp};
use parefeu_policy::{InterfaceId, LinkedFirewall, ZoneId};
use serde::{Serialize, Serializer};

/// A line of `replay --format ndjson` for a session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionDocument<'a> {
    schema: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    id: u64,
    #[serde(serialize_with = "as_text")]
    start: Timestamp,
    #[serde(serialize_with = "as_text")]
    end: Timestamp,
    #[serde(flatten)]
    flow: FlowDocument,
    from: Option<&'a str>,
    to: Option<&'a str>,
    application: Option<&'static str>,
    application_path: &'a [&'static str],
    hostname: Option<&'a str>,
    url: Option<&'a str>,
    category: Option<&'a str>,
    certificate_issuer: Option<&'a str>,
    certificate_subject: Option<&'a str>,
    ja4: Option<&'a str>,
    user: Option<&'a str>,
    rule: Option<&'a str>,
    line: Option<u32>,
    verdict: &'static str,
    verdict_packet: u64,
    translated: Option<FlowDocument>,
    packets: [u64; 2],
    bytes: [u64; 2],
    tcp_flags: Option<[FlagsText; 2]>,
    bytes_before_refusal: u64,
    threats: [(); 0],
    end_reason: &'static str,
}

impl<'a> SessionDocument<'a> {
    /// The document of a session of `firewall`.
    pub fn new(session: &'a SessionSummary, firewall: &'a LinkedFirewall) -> Self {
        let rule = session.hit.and_then(|hit| hit.rule);
        let line = session.hit.map(|hit| firewall.sources.line_number(hit.at));
        Self {
            schema: "parefeu/session/1",
            kind: "session",
            id: session.id,
            start: session.start,
            end: session.end,
            flow: FlowDocument::new(&session.flow, session.icmp),
            from: place(firewall, session.from, session.ingress),
            to: place(firewall, session.to, session.egress),
            application: session.application.map(Application::name),
            application_path: &session.application_path,
            hostname: session.hostname.as_deref(),
            url: session.url.as_deref(),
            category: session.category.as_deref(),
            certificate_issuer: session.certificate_issuer.as_deref(),
            certificate_subject: session.certificate_subject.as_deref(),
            ja4: None,
            user: None,
            rule: rule.map(|id| &*firewall.rule(id).name),
            line: line.filter(|line| *line > 0),
            verdict: session.verdict.name(),
            verdict_packet: session.verdict_packet,
            translated: session.translated.map(|flow| FlowDocument::new(&flow, None)),
            packets: session.packets,
            bytes: session.bytes,
            tcp_flags: session.tcp_flags.map(|both| both.map(FlagsText)),
            bytes_before_refusal: session.bytes_before_refusal,
            threats: [],
            end_reason: session.end_reason.name(),
        }
    }
}

/// A flow by the names a question uses.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct FlowDocument {
    #[serde(serialize_with = "as_text")]
    protocol: Protocol,
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    destination_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icmp_id: Option<u16>,
}

impl FlowDocument {
    pub(crate) fn new(flow: &FiveTuple, icmp: Option<(u8, u8)>) -> Self {
        let ports = flow.protocol.has_ports();
        Self {
            protocol: flow.protocol,
            source: flow.src,
            source_port: if ports { flow.src_port } else { 0 },
            destination: flow.dst,
            destination_port: if ports { flow.dst_port } else { 0 },
            icmp_type: icmp.map(|(kind, _)| kind),
            icmp_code: icmp.map(|(_, code)| code),
            icmp_id: icmp.map(|_| flow.src_port),
        }
    }
}

fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Flags as text, such as `syn|ack`.
#[derive(Clone, Copy, Debug)]
struct FlagsText(TcpFlags);

impl Serialize for FlagsText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

fn place(
    firewall: &LinkedFirewall,
    zone: Option<ZoneId>,
    interface: Option<InterfaceId>,
) -> Option<&str> {
    let zone = zone.and_then(|id| firewall.zones.get(id.index()));
    zone.map(|name| &**name).or_else(|| Some(&*firewall.interfaces.get(interface?.index())?.name))
}
