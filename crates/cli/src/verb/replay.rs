//! `replay`: captures through one firewall.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use parefeu_engine::{Decision, SessionSummary};
use parefeu_net::{Timestamp, decode};
use parefeu_policy::LinkedFirewall;
use parefeu_replay::Side;
use parefeu_report::{SessionDocument, rule_line, session_table};
use parefeu_session::EndReason;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::Status;
use crate::args::{Format, Replay};
use crate::draw::{Drawer, terminal_width};
use crate::load::load;
use crate::output::Sink;
use crate::verb::traffic::{Frames, Numbered, ReadSummary, engine_config, ingress_choice};

#[expect(
    clippy::disallowed_types,
    reason = "the command says how long it took; no verdict uses it"
)]
type Clock = std::time::Instant;

/// More sessions than this are not put into a table; NDJSON has no such limit.
const MOST_IN_TABLE: usize = 10_000;

pub(crate) fn run(args: &Replay, drawer: &Drawer) -> anyhow::Result<Status> {
    anyhow::ensure!(
        !args.traffic.captures.is_empty(),
        "replay needs traffic: give captures with -r"
    );
    let begun = Clock::now();
    let loaded = load(&args.config, &args.reading, drawer)?;
    let mut config = engine_config(&args.traffic, true);
    config.verify_checksums = args.reading.settings.iter().any(|it| it.starts_with("checksum="));
    let limits = config.decode;
    let mut output = Printer::new(args, &loaded.firewall)?;
    let hashed = output.format != Format::Table;
    let mut frames = Frames::open(&args.traffic.captures, drawer, hashed)?;
    let choice = ingress_choice(&args.traffic)?;
    let mut side = Side::new(Arc::clone(&loaded.firewall), &choice, config)?;
    let files = args.traffic.captures.iter().map(|path| path.display().to_string());
    let files: Vec<String> = files.collect();

    frames.for_each(|frame| {
        let Numbered { file, number, time, replay } = frame;
        let packet = decode(replay.link_type, replay.data, replay.wire_len as usize, &limits);
        let decision = side.decide(replay.now, replay.captured, &packet, replay.wire_len);
        if args.packets {
            let file = files.get(file as usize).map_or("", String::as_str);
            output.packet(file, number, time, &decision)?;
        }
        output.sessions(&mut side)
    })?;
    side.engine_mut().close_all(EndReason::CaptureEnd);
    output.sessions(&mut side)?;
    let read = frames.finish(drawer)?;
    output.finish(&side, &read, begun.elapsed())?;
    Ok(if read.is_truncated() { Status::Undecided } else { Status::Clean })
}

/// Prints sessions as they end.
struct Printer<'a> {
    sink: Sink,
    format: Format,
    firewall: &'a LinkedFirewall,
    kept: Vec<SessionSummary>,
    count: u64,
    bytes: u64,
    documents: Vec<Value>,
}

impl<'a> Printer<'a> {
    fn new(args: &Replay, firewall: &'a LinkedFirewall) -> anyhow::Result<Self> {
        let default = if args.packets { Format::Ndjson } else { Format::Table };
        let format = args.output.format.unwrap_or(default);
        anyhow::ensure!(format != Format::Html, "replay writes table, json or ndjson");
        let inputs = std::iter::once(&args.config).chain(&args.traffic.captures);
        let sink = Sink::open(args.output.output.as_deref(), inputs)?;
        let (kept, documents) = (Vec::new(), Vec::new());
        Ok(Self { sink, format, firewall, kept, count: 0, bytes: 0, documents })
    }

    fn line(&mut self, document: &impl Serialize) -> anyhow::Result<()> {
        match self.format {
            Format::Json => self.documents.push(serde_json::to_value(document)?),
            Format::Ndjson => {
                // The error of the sink itself, not wrapped: a closed pipe is no failure.
                serde_json::to_writer(&mut self.sink, document).map_err(std::io::Error::from)?;
                writeln!(self.sink)?;
            }
            Format::Table | Format::Html => {}
        }
        Ok(self.sink.ensure_reader()?)
    }

    fn packet(
        &mut self,
        file: &str,
        number: u64,
        time: Timestamp,
        decision: &Decision,
    ) -> anyhow::Result<()> {
        let rule = rule_line(self.firewall, decision.hit);
        if self.format == Format::Table {
            let Decision { verdict, reason, .. } = decision;
            writeln!(self.sink, "{file}:{number} {time} {verdict} {reason} {}", rule.label())?;
            return Ok(self.sink.ensure_reader()?);
        }
        let document = json!({
            "type": "packet",
            "file": file,
            "number": number,
            "time": time.to_string(),
            "verdict": decision.verdict.name(),
            "reason": decision.reason.name(),
            "rule": decision.hit.map(|_| rule.name),
            "session": decision.session,
            "translated": decision.translated.map(|flow| json!({
                "source": flow.src.to_string(),
                "destination": flow.dst.to_string(),
                "source_port": flow.src_port,
                "destination_port": flow.dst_port,
            })),
        });
        self.line(&document)
    }

    fn sessions(&mut self, side: &mut Side) -> anyhow::Result<()> {
        while let Some(session) = side.poll_session() {
            self.count += 1;
            self.bytes += session.bytes.iter().sum::<u64>();
            match self.format {
                Format::Table if self.kept.len() < MOST_IN_TABLE => self.kept.push(session),
                Format::Table | Format::Html => {}
                _ => self.line(&SessionDocument::new(&session, self.firewall))?,
            }
        }
        Ok(())
    }

    fn finish(mut self, side: &Side, read: &ReadSummary, wall: Duration) -> anyhow::Result<()> {
        let mut summary = summary(side, read, (self.count, self.bytes));
        summary["wall_time_seconds"] = json!(wall.as_secs_f64());
        match self.format {
            Format::Table => {
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
            }
            Format::Json => {
                let all = json!({
                    "schema": "parefeu/replay/1",
                    "sessions": self.documents,
                    "summary": summary,
                });
                writeln!(self.sink, "{}", serde_json::to_string_pretty(&all)?)?;
            }
            _ => writeln!(self.sink, "{summary}")?,
        }
        self.sink.finish()
    }
}

fn summary(side: &Side, read: &ReadSummary, (sessions, bytes): (u64, u64)) -> Value {
    let counters = side.engine().counters();
    let mut verdicts = Map::new();
    let mut undecodable = Map::new();
    for (verdict, reason, count) in counters.iter() {
        let entry = verdicts.entry(verdict.name()).or_insert(json!(0));
        *entry = json!(entry.as_u64().unwrap_or(0) + count);
        if let parefeu_engine::Reason::Malformed(why) = reason {
            undecodable.insert(why.name().to_owned(), count.into());
        }
    }
    json!({
        "type": "summary",
        "frames": counters.frames(),
        "undecodable": undecodable,
        "verdicts": verdicts,
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
