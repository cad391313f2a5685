//! `replay`: captures through one firewall.

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Decision, EngineConfig, Reason, SessionSummary, Verdict};
use parefeu_identify::Application;
use parefeu_net::{Packet, Timestamp, decode};
use parefeu_policy::{InterfaceId, LinkedFirewall};
use parefeu_replay::{Batch, Decided, Side, Threads};
use parefeu_report::{
    PACKET_COLUMNS, SESSION_COLUMNS, SessionDocument, csv_header, csv_row, rule_line, session_table,
};
use parefeu_session::EndReason;
use serde_json::{Map, Value, json};

use crate::Status;
use crate::args::{Format, Replay};
use crate::draw::{Drawer, terminal_width};
use crate::load::load;
use crate::output::Sink;
use crate::verb::trace::{Judged, packet_phases, write_phases};
use crate::verb::traffic::{Frames, Numbered, ReadSummary, engine_config, ingress_choice};

#[expect(
    clippy::disallowed_types,
    reason = "the command says how long it took; no verdict uses it"
)]
type Clock = std::time::Instant;

/// More sessions than this are not put into a table; NDJSON has no such limit.
const MOST_IN_TABLE: usize = 10_000;

pub(crate) fn run(args: &Replay, drawer: &Drawer) -> anyhow::Result<Status> {
    let written = [Format::Table, Format::Ndjson, Format::Json, Format::Csv];
    let by_packet = [Format::Ndjson, Format::Table, Format::Json, Format::Csv];
    let format = args.output.format(if args.packets { &by_packet } else { &written })?;
    replay(args, format, false, drawer)
}

/// `trace -r`: every packet, and phase by phase where rules judged it.
pub(crate) fn trace(args: &Replay, drawer: &Drawer) -> anyhow::Result<Status> {
    let format = args.output.format(&[Format::Table, Format::Ndjson, Format::Json])?;
    replay(args, format, true, drawer)
}

fn replay(
    args: &Replay,
    format: Format,
    with_phases: bool,
    drawer: &Drawer,
) -> anyhow::Result<Status> {
    anyhow::ensure!(
        !args.traffic.captures.is_empty(),
        "replay needs traffic: give captures with -r"
    );
    anyhow::ensure!(
        args.snapshot.as_deref() != Some(Path::new("-")),
        "a snapshot is written to a file, not among the results"
    );
    let begun = Clock::now();
    let loaded = load(&args.config, &args.reading, drawer)?;
    let shards = args.threads;
    let config = EngineConfig { shards, ..engine_config(&args.traffic, &args.reading, true) };
    let limits = config.decode;
    let mut output = Printer::new(args, format, &loaded.firewall)?;
    let hashed = format != Format::Table;
    let mut frames = Frames::open(&args.traffic.captures, drawer, hashed)?;
    let choice = ingress_choice(&args.traffic)?;
    let mut side = Side::new(Arc::clone(&loaded.firewall), &choice, config)?;
    if let Some(path) = &args.resume {
        resume(&mut side, path)?;
    }
    let files = args.traffic.captures.iter().map(|path| path.display().to_string());
    let mut teller = Teller {
        files: files.collect(),
        judge: with_phases.then(|| Judge::new(Arc::clone(&loaded.firewall))),
        next: side.engine().counters().frames(),
    };
    let mut batch = Batch::default();
    let mut places = Vec::new();
    frames.for_each(|frame| {
        let Numbered { file, number, time, replay } = frame;
        if shards == NonZeroUsize::MIN {
            let packet = decode(replay.link_type, replay.data, replay.wire_len as usize, &limits);
            let ingress = side.ingress(replay.captured, &packet);
            let decision = side.decide(replay.now, replay.captured, &packet, replay.wire_len);
            let decided = Decided { at: 0, packet: &packet, ingress, decision };
            return teller.tell(&mut output, &mut side, (file, number, time), replay.now, decided);
        }
        batch.push(replay);
        places.push(((file, number, time), replay.now));
        if batch.len() >= BATCH {
            decide_together(&mut side, (&mut batch, &mut places), args, &mut teller, &mut output)?;
        }
        Ok(())
    })?;
    decide_together(&mut side, (&mut batch, &mut places), args, &mut teller, &mut output)?;
    match &args.snapshot {
        Some(path) => {
            let inputs = std::iter::once(&args.config).chain(&args.traffic.captures);
            let mut sink = Sink::open(Some(path), inputs)?;
            sink.write_all(&side.engine_mut().snapshot())?;
            sink.finish()?;
        }
        None => side.engine_mut().close_all(EndReason::CaptureEnd),
    }
    output.sessions(&mut side, u64::MAX)?;
    let read = frames.finish(drawer)?;
    output.finish(&side, &read, begun.elapsed())?;
    Ok(status(&side, &read))
}

/// Frames decided together, where that is asked for.
const BATCH: usize = 8192;

/// File, number and time of a frame as the capture has them.
type Place = (u32, u64, Timestamp);

fn resume(side: &mut Side, path: &Path) -> anyhow::Result<()> {
    let snapshot =
        std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let restored = side.engine_mut().restore(&snapshot);
    restored.with_context(|| format!("cannot go on from `{}`", path.display()))
}

/// Decides the frames of a batch, tells of them and empties it.
fn decide_together(
    side: &mut Side,
    (batch, places): (&mut Batch, &mut Vec<(Place, Timestamp)>),
    args: &Replay,
    teller: &mut Teller,
    output: &mut Printer<'_>,
) -> anyhow::Result<()> {
    let limits = side.engine().decode_limits();
    side.decide_batch(batch, limits, Threads(args.threads), |side, decided| {
        let (place, now) = places[decided.at];
        teller.tell(output, side, place, now, decided)
    })?;
    batch.clear();
    places.clear();
    Ok(())
}

/// Tells of frames in their order.
struct Teller {
    files: Vec<String>,
    judge: Option<Judge>,
    /// The number of the next frame, from 0.
    next: u64,
}

impl Teller {
    fn tell(
        &mut self,
        output: &mut Printer<'_>,
        side: &mut Side,
        (file, number, time): Place,
        now: Timestamp,
        decided: Decided<'_>,
    ) -> anyhow::Result<()> {
        let Decided { packet, ingress, decision, .. } = decided;
        if output.with_packets {
            let file = self.files.get(file as usize).map_or("", String::as_str);
            let judged = self.judge.as_mut();
            let phases = judged.and_then(|it| it.phases(now, ingress, packet, &decision));
            output.packet((file, number, time), packet, &decision, phases)?;
        }
        self.next += 1;
        output.sessions(side, self.next - 1)
    }
}

/// A capture cut short, a rule that is not modelled or a limit leaves the answer open.
fn status(side: &Side, read: &ReadSummary) -> Status {
    let open = |(verdict, reason, _): (Verdict, Reason, u64)| {
        verdict == Verdict::Unknown || reason == Reason::TableFull
    };
    let undecided = read.is_truncated() || side.engine().counters().iter().any(open);
    if undecided { Status::Undecided } else { Status::Clean }
}

/// Judges frames again to tell how, phase by phase.
struct Judge {
    policy: CompiledPolicy,
    /// The highest session number seen: sessions are numbered in order.
    sessions: u64,
}

impl Judge {
    fn new(firewall: Arc<LinkedFirewall>) -> Self {
        let policy = CompiledPolicy::compile(firewall, &CompileLimits::default());
        Self { policy, sessions: 0 }
    }

    /// The phases, where rules judged this frame and not an earlier one of its session.
    fn phases(
        &mut self,
        now: Timestamp,
        ingress: Option<InterfaceId>,
        packet: &Packet<'_>,
        decision: &Decision,
    ) -> Option<Vec<Value>> {
        let is_new = decision.session.is_none_or(|session| session > self.sessions);
        self.sessions = self.sessions.max(decision.session.unwrap_or(0));
        let by_rules = matches!(
            decision.reason,
            Reason::Rule
                | Reason::DefaultRule
                | Reason::Tentative
                | Reason::NotModelled
                | Reason::TranslationNotModelled
        );
        let again = decision.reason == Reason::Identified;
        if !(again || by_rules && is_new) {
            return None;
        }
        let application = decision.application.filter(|_| again).map(Application::name);
        let judged = Judged { now, ingress, packet, is_new: true, application };
        Some(packet_phases(&self.policy, &judged))
    }
}

/// Prints sessions as they end.
struct Printer<'a> {
    sink: Sink,
    format: Format,
    with_packets: bool,
    firewall: &'a LinkedFirewall,
    kept: Vec<SessionSummary>,
    count: u64,
    bytes: u64,
    sessions: Vec<Value>,
    packets: Vec<Value>,
}

impl<'a> Printer<'a> {
    fn new(args: &Replay, format: Format, firewall: &'a LinkedFirewall) -> anyhow::Result<Self> {
        let inputs = std::iter::once(&args.config).chain(&args.traffic.captures);
        let mut sink = Sink::open(args.output.output.as_deref(), inputs)?;
        if format == Format::Csv {
            let columns = if args.packets { PACKET_COLUMNS } else { SESSION_COLUMNS };
            write!(sink, "{}", csv_header(columns))?;
        }
        let (kept, sessions, packets) = (Vec::new(), Vec::new(), Vec::new());
        let with_packets = args.packets;
        let (count, bytes) = (0, 0);
        Ok(Self { sink, format, with_packets, firewall, kept, count, bytes, sessions, packets })
    }

    fn packet(
        &mut self,
        (file, number, time): (&str, u64, Timestamp),
        packet: &Packet<'_>,
        decision: &Decision,
        phases: Option<Vec<Value>>,
    ) -> anyhow::Result<()> {
        let rule = rule_line(self.firewall, decision.hit);
        if self.format == Format::Table {
            let Decision { verdict, reason, translated, .. } = decision;
            let flow = packet.five_tuple().map_or("-".to_owned(), |flow| flow.to_string());
            write!(self.sink, "{file}:{number} {time}  {flow}  {verdict} {reason}")?;
            if decision.hit.is_some() {
                write!(self.sink, "  {}", rule.label())?;
            }
            if let Some(flow) = translated {
                write!(self.sink, "  leaves as {flow}")?;
            }
            writeln!(self.sink)?;
            write_phases(&mut self.sink, &phases.unwrap_or_default())?;
            return Ok(self.sink.ensure_reader()?);
        }
        let mut document = json!({
            "schema": "parefeu/packet/1",
            "type": "packet",
            "file": file,
            "number": number,
            "time": time.to_string(),
            "verdict": decision.verdict.name(),
            "reason": decision.reason.name(),
            "rule": decision.hit.map(|_| rule.name),
            "line": (rule.line > 0).then_some(rule.line),
            "session": decision.session,
            "translated": decision.translated.map(|flow| json!({
                "source": flow.src.to_string(),
                "destination": flow.dst.to_string(),
                "source_port": flow.src_port,
                "destination_port": flow.dst_port,
            })),
        });
        if let Some(phases) = phases {
            document["phases"] = phases.into();
        }
        match self.format {
            Format::Json => self.packets.push(document),
            Format::Csv => write!(self.sink, "{}", csv_row(PACKET_COLUMNS, &document))?,
            _ => writeln!(self.sink, "{document}")?,
        }
        Ok(self.sink.ensure_reader()?)
    }

    /// The sessions that had ended by a frame.
    fn sessions(&mut self, side: &mut Side, frame: u64) -> anyhow::Result<()> {
        while let Some(session) = side.poll_session_by(frame) {
            self.count += 1;
            self.bytes += session.bytes.iter().sum::<u64>();
            match self.format {
                Format::Table if self.kept.len() < MOST_IN_TABLE => self.kept.push(session),
                Format::Table => {}
                // One file, one kind of row.
                Format::Csv if self.with_packets => {}
                _ => self.session(&SessionDocument::new(&session, self.firewall))?,
            }
        }
        Ok(())
    }

    fn session(&mut self, document: &SessionDocument<'_>) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.sessions.push(serde_json::to_value(document)?),
            Format::Csv => {
                let document = serde_json::to_value(document)?;
                write!(self.sink, "{}", csv_row(SESSION_COLUMNS, &document))?;
            }
            _ => {
                // The error of the sink itself, not wrapped: a closed pipe is no failure.
                serde_json::to_writer(&mut self.sink, document).map_err(std::io::Error::from)?;
                writeln!(self.sink)?;
            }
        }
        Ok(self.sink.ensure_reader()?)
    }

    fn finish(mut self, side: &Side, read: &ReadSummary, wall: Duration) -> anyhow::Result<()> {
        let mut summary = summary(side, read, (self.count, self.bytes));
        summary["wall_time_seconds"] = json!(wall.as_secs_f64());
        match self.format {
            Format::Table => self.write_table(side, read)?,
            Format::Csv => {}
            Format::Json => {
                let all = json!({
                    "schema": "parefeu/replay/1",
                    "sessions": self.sessions,
                    "packets": self.packets,
                    "summary": summary,
                });
                writeln!(self.sink, "{}", serde_json::to_string_pretty(&all)?)?;
            }
            _ => writeln!(self.sink, "{summary}")?,
        }
        self.sink.finish()
    }

    fn write_table(&mut self, side: &Side, read: &ReadSummary) -> anyhow::Result<()> {
        self.kept.sort_by_key(|session| session.id);
        let table = session_table(&self.kept, self.firewall, terminal_width());
        write!(self.sink, "{table}")?;
        if self.count > self.kept.len() as u64 {
            let more = self.count - self.kept.len() as u64;
            writeln!(self.sink, "and {more} more sessions (--format ndjson prints all)")?;
        }
        let frames = side.engine().counters().frames();
        writeln!(self.sink, "{frames} frames, {} sessions", self.count)?;
        for (verdict, reason, count) in side.engine().counters().iter() {
            writeln!(self.sink, "{count:>10}  {verdict} {reason}")?;
        }
        for capture in &read.captures {
            if let Some(why) = &capture.ended_early {
                writeln!(self.sink, "{}: {why}", capture.file)?;
            }
        }
        if let held @ 1.. = read.clock_held {
            writeln!(self.sink, "{held} frames out of time order; the clock was held")?;
        }
        Ok(())
    }
}

fn summary(side: &Side, read: &ReadSummary, (sessions, bytes): (u64, u64)) -> Value {
    let counters = side.engine().counters();
    let (mut verdicts, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    let mut undecodable = Map::new();
    for (verdict, reason, count) in counters.iter() {
        *verdicts.entry(verdict.name()).or_insert(0) += count;
        *reasons.entry(reason.name()).or_insert(0) += count;
        if let Reason::Malformed(why) = reason {
            undecodable.insert(why.name().to_owned(), count.into());
        }
    }
    json!({
        "schema": "parefeu/summary/1",
        "type": "summary",
        "frames": counters.frames(),
        "undecodable": undecodable,
        "verdicts": verdicts,
        "reasons": reasons,
        "sessions": sessions,
        "bytes": bytes,
        "clock_held": read.clock_held,
        "peak_memory": peak_memory(),
        "captures": read.captures.iter().map(|capture| json!({
            "file": capture.file,
            "sha256": capture.sha256,
            "frames": capture.frames,
            "ended_early": capture.ended_early,
        })).collect::<Vec<_>>(),
    })
}

/// The most memory this process has held, in bytes, where the system tells (Linux).
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
