//! `trace`: what a firewall does with a flow, phase by phase; or with each frame of a capture.

use std::io::Write;
use std::num::NonZeroUsize;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::judge;
use parefeu_net::{Packet, Timestamp, Transport};
use parefeu_policy::reference::Judgement;
use parefeu_policy::{
    Answer, ConnectionState, Hit, Identified, InterfaceId, Knowledge, LinkedFirewall,
    LinkedNatTable, LinkedTranslation, PacketKey, ZoneId,
};
use serde_json::{Value, json};

use crate::Status;
use crate::args::{Format, Replay, Trace};
use crate::draw::Drawer;
use crate::flow::{Question, interface_name};
use crate::load::{excerpt, load};
use crate::output::Sink;

pub(crate) fn run(args: Trace, drawer: &Drawer) -> anyhow::Result<Status> {
    if !args.traffic.captures.is_empty() {
        let Trace { config, reading, traffic, output, .. } = args;
        let replay = Replay {
            config,
            reading,
            traffic,
            packets: true,
            threads: NonZeroUsize::MIN,
            resume: None,
            snapshot: None,
            output,
        };
        return super::replay::trace(&replay, drawer);
    }
    let format = args.output.format(&[Format::Table, Format::Json, Format::Ndjson])?;
    let loaded = load(&args.config, &args.reading, drawer)?;
    let policy = CompiledPolicy::compile(loaded.firewall, &CompileLimits::default());
    let firewall = policy.firewall();
    let question = Question::new(&args.flow, firewall)?;
    let judgement = judge(&policy, &question.key, &question.knowledge());
    let phases = phases(firewall, &judgement);
    let mut sink = Sink::open(args.output.output.as_deref(), [&args.config])?;
    let document = json!({ "schema": "parefeu/trace/1", "phases": phases });
    match format {
        Format::Json => writeln!(sink, "{}", serde_json::to_string_pretty(&document)?)?,
        Format::Ndjson => writeln!(sink, "{document}")?,
        _ => write_phases(&mut sink, &phases)?,
    }
    sink.finish()?;
    Ok(match judgement.evaluation.answer() {
        Answer::Certain(_) if judgement.doubtful_nat.is_none() => Status::Clean,
        _ => Status::Undecided,
    })
}

/// A frame of a capture that rules judged.
pub(crate) struct Judged<'a> {
    pub(crate) now: Timestamp,
    pub(crate) ingress: Option<InterfaceId>,
    pub(crate) packet: &'a Packet<'a>,
    /// It opens a session, or belongs to none.
    pub(crate) is_new: bool,
    /// What it is identified as, when that is what it was judged for.
    pub(crate) application: Option<&'static str>,
}

/// How the rules judge a frame, phase by phase; nothing for one that is not IP.
pub(crate) fn packet_phases(policy: &CompiledPolicy, judged: &Judged<'_>) -> Vec<Value> {
    let firewall = policy.firewall();
    let Judged { now, ingress, packet, is_new, application } = *judged;
    let Some(flow) = packet.five_tuple() else { return Vec::new() };
    let (icmp, tcp_flags) = match &packet.transport {
        Transport::Icmp(message) => (Some((message.kind, message.code)), None),
        Transport::Tcp(segment) => (None, Some(segment.flags)),
        _ => (None, None),
    };
    let ports = flow.protocol.has_ports();
    let key = PacketKey {
        ingress,
        egress: None,
        from: ingress.and_then(|id| firewall.zone_of(id)),
        to: None,
        src: flow.src,
        dst: flow.dst,
        protocol: flow.protocol,
        src_port: if ports { flow.src_port } else { 0 },
        dst_port: if ports { flow.dst_port } else { 0 },
        icmp,
        tcp_flags,
        state: if is_new { ConnectionState::New } else { ConnectionState::Established },
        device: packet.link.src,
        time: now,
    };
    let identified = application.map_or(Identified::NotYet, |name| {
        let ids = firewall.application_names.get(name);
        Identified::Finally(ids.and_then(|ids| ids.first()).copied())
    });
    let known = Knowledge { application: identified, ..Knowledge::NOTHING };
    phases(firewall, &judge(policy, &key, &known))
}

/// Writes phases one under the other, numbered.
pub(crate) fn write_phases(sink: &mut Sink, phases: &[Value]) -> anyhow::Result<()> {
    for (number, phase) in phases.iter().enumerate() {
        write_phase(sink, number + 1, phase)?;
    }
    Ok(())
}

fn phases(firewall: &LinkedFirewall, judgement: &Judgement) -> Vec<Value> {
    let key = &judgement.key;
    let mut phases = vec![json!({
        "phase": "ingress",
        "result": place(firewall, key.ingress, key.from),
    })];
    let nat = |phase: &str, table: &LinkedNatTable, rule: Option<usize>| {
        let rule = rule.and_then(|at| table.rules.get(at));
        // A rule of the other table stands here only to end the search.
        rule.filter(|rule| rule.translation != LinkedTranslation::Keep).map(|rule| {
            let (line, text) = excerpt(firewall, rule.at, 8);
            json!({ "phase": phase, "result": "translate", "rule": &*rule.name, "line": line,
                "configuration": text })
        })
    };
    phases.extend(nat(
        "destination-translation",
        &firewall.destination_nat,
        judgement.destination_nat,
    ));
    phases.push(json!({
        "phase": "route",
        "result": place(firewall, key.egress, key.to),
        "destination": judgement.translated.dst.to_string(),
    }));
    let evaluation = &judgement.evaluation;
    let before = [
        (evaluation.tentative_allow, "waits for identification"),
        (evaluation.tentative_deny, "waits for identification"),
        (evaluation.possible_allow, "not modelled"),
        (evaluation.possible_deny, "not modelled"),
    ];
    for (hit, why) in before {
        phases.extend(hit.map(|hit| filter_phase(firewall, hit, why)));
    }
    phases.push(filter_phase(firewall, evaluation.decided, "decides"));
    phases.extend(nat("source-translation", &firewall.source_nat, judgement.source_nat));
    let verdict = match evaluation.answer() {
        _ if judgement.doubtful_nat.is_some() => "unknown",
        Answer::Certain(hit) => hit.action.verdict_name(),
        Answer::Depends(_) => "depends",
        Answer::Unknown(_) => "unknown",
    };
    phases.push(json!({
        "phase": "verdict",
        "result": verdict,
        "translated": super::test::leaves_as(verdict, judgement),
    }));
    phases
}

fn filter_phase(firewall: &LinkedFirewall, hit: Hit, why: &str) -> Value {
    let (line, text) = excerpt(firewall, hit.at, 12);
    let name = hit.rule.map_or("default", |id| &*firewall.rule(id).name);
    let rule_base = hit.rule.and_then(|id| firewall.rule_base_of(id)).map(|rb| &*rb.name);
    json!({
        "phase": "filter",
        "result": hit.action.verdict_name(),
        "why": why,
        "rule": name,
        "rule_base": rule_base,
        "line": line,
        "configuration": text,
    })
}

fn place(firewall: &LinkedFirewall, interface: Option<InterfaceId>, zone: Option<ZoneId>) -> Value {
    let interface = interface.map(|id| interface_name(firewall, id).to_owned());
    let zone = zone.map(|id| firewall.zones[id.index()].to_string());
    match (interface, zone) {
        (Some(interface), Some(zone)) if interface != zone => {
            format!("{interface} (zone {zone})").into()
        }
        (Some(name), _) | (None, Some(name)) => name.into(),
        (None, None) => "not stated".into(),
    }
}

fn write_phase(sink: &mut Sink, number: usize, phase: &Value) -> anyhow::Result<()> {
    let word = |name: &str| phase[name].as_str().unwrap_or_default().to_owned();
    write!(sink, "{number}. {:<24} {}", word("phase"), word("result"))?;
    for name in ["why", "rule", "rule_base", "destination"] {
        let word = word(name);
        if !word.is_empty() {
            write!(sink, "  {word}")?;
        }
    }
    if let Some(line @ 1..) = phase["line"].as_u64() {
        write!(sink, "  line {line}")?;
    }
    if let Some(flow) = super::test::translated_text(&phase["translated"]) {
        write!(sink, "  leaves as {flow}")?;
    }
    writeln!(sink)?;
    for text in phase["configuration"].as_array().into_iter().flatten() {
        writeln!(sink, "     | {}", text.as_str().unwrap_or_default())?;
    }
    Ok(())
}
