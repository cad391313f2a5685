//! `run`: a firewall that decides on the packets of a queue of the Linux kernel (NFQUEUE).

mod answer;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use nfq::{Message, Queue};
use parefeu_engine::EngineConfig;
use parefeu_net::{LinkType, Rewrite, Timestamp, decode, rewrite};
use parefeu_policy::{Hit, LinkedFirewall};
use parefeu_replay::{CapturedAt, IngressChoice, Side};
use parefeu_report::{SessionDocument, rule_line};
use parefeu_session::{EndReason, TableLimits};
use serde_json::{Value, json};

use crate::Status;
use crate::args::{Format, Full, Output, Reading};
use crate::budget::stop_at_interrupt;
use crate::draw::Drawer;
use crate::load::load;
use crate::output::Sink;
use answer::Answers;

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// A configuration in any dialect
    config: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// The queue, as rules of the kernel name it (`queue num 0` of nftables, `-j NFQUEUE`)
    #[arg(long, value_name = "N")]
    nfqueue: u16,
    /// Let every packet pass, and count what would have become of it
    #[arg(long)]
    monitor: bool,
    /// An interface of this machine, and what CONFIG calls it; several times for several
    #[arg(long, value_name = "HERE=FIREWALL")]
    map_interface: Vec<String>,
    /// Where packets enter whose interface CONFIG does not know
    #[arg(long, value_name = "NAME")]
    ingress: Option<String>,
    /// Sessions kept at once
    #[arg(long, value_name = "N", default_value_t = TableLimits::default().max_sessions)]
    max_sessions: usize,
    /// What becomes of further ones
    #[arg(long, value_enum, default_value_t = Full::DropUnanswered)]
    when_full: Full,
    /// End after so many packets
    #[arg(long, value_name = "N")]
    max_packets: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS")]
    max_time: Option<u64>,
    #[command(flatten)]
    output: Output,
}

#[expect(clippy::disallowed_types, reason = "packets of a queue come when they come")]
type Clock = std::time::SystemTime;

/// How long a queue without packets is left alone.
const REST: Duration = Duration::from_micros(500);

pub(crate) fn run(args: &Run, drawer: &Drawer) -> anyhow::Result<Status> {
    let format = args.output.format(&[Format::Table, Format::Ndjson])?;
    let loaded = load(&args.config, &args.reading, drawer)?;
    let firewall = &loaded.firewall;
    let choice = IngressChoice {
        mapped: crate::verb::traffic::interface_pairs(&args.map_interface)?,
        fallback: args.ingress.clone(),
    };
    let config = EngineConfig {
        sessions: TableLimits { max_sessions: args.max_sessions, when_full: args.when_full.into() },
        ..EngineConfig::default()
    };
    let side = Side::new(Arc::clone(firewall), &choice, config)?;
    let sink = Sink::open(args.output.output.as_deref(), [&args.config])?;
    let mut live = Live {
        side,
        firewall,
        monitor: args.monitor,
        sink,
        format,
        names: Names::new()?,
        now: Timestamp::default(),
        packets: 0,
        passed: 0,
        lost: 0,
        answers: if args.monitor { None } else { Answers::open(firewall)? },
        sessions: 0,
        rules: BTreeMap::new(),
    };
    let stop = stop_at_interrupt()?;
    let mut queue = open(args.nfqueue)?;
    drawer.note(&format!("deciding on queue {}; an interrupt ends it\n", args.nfqueue));
    let begun = now();
    while !stop.load(Ordering::Relaxed)
        && args.max_packets.is_none_or(|most| live.packets < most)
        && args.max_time.is_none_or(|most| now().since(begun) < Duration::from_secs(most))
    {
        match queue.recv() {
            Ok(mut message) => {
                let passes = live.judge(&mut message)?;
                message.set_verdict(if passes { nfq::Verdict::Accept } else { nfq::Verdict::Drop });
                queue.verdict(message).context("cannot answer the kernel")?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                live.rest()?;
                std::thread::sleep(REST);
            }
            // The kernel had no room for some packets and has dropped them.
            Err(error) if error.raw_os_error() == Some(NO_BUFFER) => live.lost += 1,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read the queue"),
        }
    }
    queue.unbind(args.nfqueue).context("cannot leave the queue")?;
    live.finish()
}

/// `ENOBUFS`.
const NO_BUFFER: i32 = 105;

fn open(number: u16) -> anyhow::Result<Queue> {
    let mut queue = Queue::open().context("cannot talk to the kernel (root is needed)")?;
    queue.bind(number).with_context(|| format!("cannot take queue {number}"))?;
    // The kernel fills checksums in and cuts what it has put together before it hands packets out.
    // Translation mends checksums by what changes, so that they have to be there.
    queue.set_recv_gso(number, false).context("cannot ask for whole packets")?;
    queue.set_nonblocking(true);
    Ok(queue)
}

fn now() -> Timestamp {
    let since = Clock::now().duration_since(Clock::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(since.as_nanos() as u64)
}

/// The names of this machine's interfaces.
struct Names {
    socket: UdpSocket,
    known: BTreeMap<u32, Option<String>>,
}

impl Names {
    /// More names than this are asked for again.
    const MOST: usize = 4096;

    fn new() -> anyhow::Result<Self> {
        // Whatever socket it is, the kernel tells names through it.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("cannot open a socket")?;
        Ok(Self { socket, known: BTreeMap::new() })
    }

    fn of(&mut self, index: u32) -> Option<&str> {
        let socket = &self.socket;
        // Interfaces that come and go leave their numbers behind.
        if self.known.len() > Self::MOST {
            self.known.clear();
        }
        let name = self.known.entry(index);
        let name =
            name.or_insert_with(|| rustix::net::netdevice::index_to_name(socket, index).ok());
        name.as_deref()
    }
}

/// A firewall at work on a queue.
struct Live<'a> {
    side: Side,
    firewall: &'a LinkedFirewall,
    monitor: bool,
    sink: Sink,
    format: Format,
    names: Names,
    /// The time of the last packet: a clock that is set back is held.
    now: Timestamp,
    packets: u64,
    passed: u64,
    /// How often the kernel has dropped packets for want of room.
    lost: u64,
    answers: Option<Answers>,
    sessions: u64,
    /// Packets by what decided, and whether they pass.
    rules: BTreeMap<(String, bool), u64>,
}

impl Live<'_> {
    /// Decides on a packet, and translates it; says whether it goes on.
    fn judge(&mut self, message: &mut Message) -> anyhow::Result<bool> {
        self.now = self.now.max(now());
        let data = message.get_payload();
        let limits = EngineConfig::default().decode;
        let packet = decode(LinkType::RAW, data, message.get_original_len(), &limits);
        let interface = message.get_indev();
        let name = self.names.of(interface);
        let captured = CapturedAt { file: 0, interface, name };
        let wire_len = message.get_original_len() as u32;
        let decision = self.side.decide(self.now, captured, &packet, wire_len);
        let mut passes = decision.verdict.passes();
        if let Some(answers) = self.answers.as_mut().filter(|_| !passes) {
            answers.tell(self.firewall, self.now, &packet, &decision);
        }
        let mut by = self.decider(decision.hit).unwrap_or_else(|| decision.reason.to_string());
        if let Some(flow) = decision.translated.filter(|_| passes && !self.monitor) {
            let mut translated = data.to_vec();
            match rewrite(&mut translated, &Rewrite { flow, quoted: decision.quoted }) {
                Ok(()) => message.set_payload(translated),
                Err(why) => (passes, by) = (false, format!("no translation: {why}")),
            }
        }
        self.packets += 1;
        self.passed += u64::from(passes);
        *self.rules.entry((by, passes)).or_default() += 1;
        self.tell_sessions()?;
        Ok(passes || self.monitor)
    }

    /// What decided, as far as it is a rule or a default; there are no more than these.
    fn decider(&self, hit: Option<Hit>) -> Option<String> {
        hit.map(|hit| rule_line(self.firewall, Some(hit)).label())
    }

    /// Ends what is over while no packet comes.
    fn rest(&mut self) -> anyhow::Result<()> {
        self.now = self.now.max(now());
        self.side.engine_mut().handle_timeout(self.now);
        self.tell_sessions()
    }

    fn tell_sessions(&mut self) -> anyhow::Result<()> {
        while let Some(session) = self.side.poll_session() {
            self.sessions += 1;
            if self.format == Format::Ndjson {
                let document = SessionDocument::new(&session, self.firewall);
                serde_json::to_writer(&mut self.sink, &document).map_err(std::io::Error::from)?;
                writeln!(self.sink)?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Status> {
        self.side.engine_mut().close_all(EndReason::CaptureEnd);
        self.tell_sessions()?;
        if self.format == Format::Ndjson {
            let document = self.summary();
            writeln!(self.sink, "{document}")?;
        } else {
            self.write_table()?;
        }
        self.sink.finish()?;
        Ok(if self.lost > 0 { Status::Undecided } else { Status::Clean })
    }

    fn summary(&self) -> Value {
        let rules = self.rules.iter().map(
            |((by, passes), packets)| json!({ "by": by, "passes": passes, "packets": packets }),
        );
        json!({
            "schema": "parefeu/live/1",
            "type": "summary",
            "monitor": self.monitor,
            "packets": self.packets,
            "passed": self.passed,
            "dropped": self.packets - self.passed,
            "lost": self.lost,
            "answers": self.answers.as_ref().map_or(0, |answers| answers.sent),
            "sessions": self.sessions,
            "rules": rules.collect::<Vec<_>>(),
        })
    }

    fn write_table(&mut self) -> anyhow::Result<()> {
        let would = if self.monitor { "would be " } else { "" };
        let (passed, dropped) = (self.passed, self.packets - self.passed);
        writeln!(
            self.sink,
            "{} packets, {} sessions: {passed} passed, {dropped} {would}dropped",
            self.packets, self.sessions
        )?;
        if let Some(Answers { sent, .. }) = &self.answers {
            writeln!(self.sink, "{sent:>10}  answers to refused ones")?;
        }
        for ((by, passes), packets) in &self.rules {
            let what = if *passes { "passed" } else { "dropped" };
            writeln!(self.sink, "{packets:>10}  {what} by {by}")?;
        }
        if self.lost > 0 {
            let lost = self.lost;
            writeln!(self.sink, "the kernel dropped packets {lost} times for want of room")?;
        }
        Ok(())
    }
}
