//! What was typed: the verbs and their options.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use parefeu_engine::EngineConfig;
use parefeu_session::{Aging, WhenFull};

/// Replays traffic through firewalls, and shows where two of them differ.
#[derive(Debug, Parser)]
#[command(name = "parefeu", version, max_term_width = 100)]
#[command(after_help = "Exit status: 0 clean or equivalent, 1 findings or differences, \
    2 usage or input error, 3 undecided.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Args, Debug)]
pub(crate) struct Global {
    /// When to colour messages; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub(crate) color: When,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Say more: unsupported and suspicious lines in full
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Language of reports
    #[arg(long, global = true, value_enum, default_value_t = Language::En)]
    pub(crate) lang: Language,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Language {
    En,
    Fr,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Parse and link configurations; report every problem with file, line and column
    Check(Check),
    /// Find rules that never decide, change nothing or match nothing, and unused objects
    Lint(crate::verb::lint::Lint),
    /// Ask what a firewall does with a flow, or with each flow of a list
    Test(Test),
    /// The same, phase by phase; or every decision on a capture
    #[command(alias = "explain")]
    Trace(Trace),
    /// Replay captures through one firewall: its sessions and decisions
    Replay(Replay),
    /// Compare two firewalls, with the same traffic through both
    Diff(Diff),
    /// Find the flows a firewall lets through, or refuses
    Search(Search),
    /// Check a certificate of `diff` against both firewalls: accepted 0, rejected 1, unusable 2
    Verify(crate::verb::verify::Verify),
    /// Measure building and lookup on a rule base, with a header trace or headers drawn from it
    Bench(Bench),
    /// Decide on the packets of a queue of the Linux kernel, or count what would become of them
    #[cfg(all(feature = "live", target_os = "linux"))]
    Run(crate::verb::live::Run),
    /// Print the JSON Schema of a document this command writes
    Schema(Schema),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, of the command or of one verb
    Man(Man),
}

#[derive(Args, Debug)]
pub(crate) struct Check {
    /// Configurations in any dialect; `-` is standard input
    #[arg(required = true)]
    pub(crate) configs: Vec<PathBuf>,
    /// Take the files for this dialect instead of recognising it
    #[arg(long)]
    pub(crate) dialect: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Test {
    /// A configuration in any dialect
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) flow: Flow,
    /// Ask about every flow of a file (NDJSON or CSV; `-` is standard input)
    #[arg(long, value_name = "FILE")]
    pub(crate) flows: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Trace {
    /// A configuration in any dialect
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) flow: Flow,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// A configuration in any dialect
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    /// Also print a line for every packet
    #[arg(long)]
    pub(crate) packets: bool,
    /// Work on so many threads, up to 256; what comes out is the same
    #[arg(long, value_name = "N", default_value = "1", value_parser = threads)]
    pub(crate) threads: NonZeroUsize,
    /// Go on from a snapshot that another run wrote of the same firewall; the summary counts its
    /// frames and verdicts as well
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Write the sessions that are open in the end to FILE, to go on from with later captures
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Reads a number of threads.
fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let most = EngineConfig::MOST_SHARDS;
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= most);
    number.ok_or_else(|| format!("expected a number from 1 to {most}"))
}

#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// The firewall in service
    pub(crate) old: PathBuf,
    /// The firewall that is to replace it
    pub(crate) new: PathBuf,
    #[command(flatten)]
    pub(crate) traffic: Traffic,
    /// Dialect of OLD, instead of recognising it
    #[arg(long)]
    pub(crate) old_dialect: Option<String>,
    /// Dialect of NEW, instead of recognising it
    #[arg(long)]
    pub(crate) new_dialect: Option<String>,
    /// The rule base of OLD to compare, where it has several without interfaces
    #[arg(long, value_name = "NAME")]
    pub(crate) old_rulebase: Option<String>,
    /// The rule base of NEW to compare, where it has several without interfaces
    #[arg(long, value_name = "NAME")]
    pub(crate) new_rulebase: Option<String>,
    #[command(flatten)]
    pub(crate) state: StatePolicy,
    /// Pairs of zones or interfaces, `old = "new"` (TOML)
    #[arg(long, value_name = "FILE")]
    pub(crate) zone_map: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) headers: Headers,
    #[command(flatten)]
    pub(crate) budget: Budget,
    /// Answer so many parts of the question at once, up to 256: as many as there are processors
    /// where it is not said. What comes out is the same
    #[arg(long, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Say which new rules carry the traffic of each old rule, and which rules decide nothing
    #[arg(long)]
    pub(crate) explain: bool,
    /// Write down what was found so that `verify` can check it; for comparisons of all packets
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Accept an assumption of the answer by its name; several times for several
    #[arg(long, value_name = "ID")]
    pub(crate) assume: Vec<String>,
    /// Differences somebody answers for (TOML, `[[waiver]]`): those inside do not count for the
    /// exit status; one that expired, is unused or over-broad does
    #[arg(long, value_name = "FILE")]
    pub(crate) waivers: Option<PathBuf>,
    /// Take this day (YYYY-MM-DD) for today: waivers expire
    #[arg(long, value_name = "DATE", requires = "waivers")]
    pub(crate) today: Option<String>,
    /// Flows that must be allowed or denied (TOML, `[[intent]]`), proved of both firewalls; a
    /// broken one is a finding
    #[arg(long, value_name = "FILE")]
    pub(crate) intent: Option<PathBuf>,
    /// Accept rules for ports that became rules for applications: where OLD lets a header through
    /// whatever its application and NEW with some, the rest does not count for the exit status
    #[arg(long)]
    pub(crate) narrowing_ok: bool,
    /// Whether to compare what is logged, and which profiles inspect what is let through
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Logging::Auto)]
    pub(crate) logging: Logging,
    /// Write a capture whose packet N is the witness of region N, to be sent through real devices
    /// or replayed (pcapng where the name ends so, else pcap)
    #[arg(long, value_name = "FILE")]
    pub(crate) witnesses: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// When logging and inspection are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Logging {
    /// Where both configurations are of one dialect
    Auto,
    /// Across dialects too: whether rules log, and profiles that are not defined by their names
    Always,
    /// Never
    Never,
}

#[derive(Args, Debug)]
pub(crate) struct Search {
    /// A configuration in any dialect
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Which flows to find
    #[arg(long, value_enum, default_value_t = Action::Allow)]
    pub(crate) action: Action,
    #[command(flatten)]
    pub(crate) headers: Headers,
    /// Only these applications; `other` stands for all the configuration does not name
    #[arg(long, value_name = "NAMES")]
    pub(crate) application: Option<String>,
    #[command(flatten)]
    pub(crate) budget: Budget,
    /// Accept an assumption of the answer by its name; several times for several
    #[arg(long, value_name = "ID")]
    pub(crate) assume: Vec<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// What becomes of flows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Action {
    /// They are let through
    Allow,
    /// They are refused
    Deny,
}

/// Which packets an exact answer is asked about, by their headers; without any of these, all.
#[derive(Args, Debug, Default)]
pub(crate) struct Headers {
    /// Only packets that enter by this zone or interface (`search`: one of several, commas in
    /// between)
    #[arg(long, value_name = "NAME")]
    pub(crate) from: Option<String>,
    /// Only packets that leave by this zone or interface (`diff`: where no route tells; `search`:
    /// one of several, or would if no route or translation tells)
    #[arg(long, value_name = "NAME")]
    pub(crate) to: Option<String>,
    /// Only packets from these addresses (networks, hosts, ranges; commas in between)
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) source: Option<String>,
    /// Only packets to these addresses
    #[arg(long, value_name = "ADDRESSES")]
    pub(crate) destination: Option<String>,
    /// Only these protocols
    #[arg(long, value_name = "PROTOCOLS")]
    pub(crate) protocol: Option<String>,
    /// Only packets from these ports, of protocols that have ports
    #[arg(long, value_name = "PORTS")]
    pub(crate) source_port: Option<String>,
    /// Only packets to these ports, of protocols that have ports
    #[arg(long, value_name = "PORTS")]
    pub(crate) destination_port: Option<String>,
}

/// How far an exact answer goes before the rest is left undecided; an interrupt (^C) ends it too.
#[derive(Args, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "fields are the names of options")]
pub(crate) struct Budget {
    /// How many rules may be looked at in one part of the question
    #[arg(long, value_name = "N")]
    pub(crate) max_work: Option<u64>,
    /// How many sets of packets may be kept for one part of the question: a bound on memory
    #[arg(long, value_name = "N")]
    pub(crate) max_boxes: Option<usize>,
    /// For how many seconds to go on; the answer then depends on the machine
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_time: Option<u64>,
}

/// How the two sides of a comparison keep sessions, where their configurations are not to decide.
#[derive(Args, Debug)]
pub(crate) struct StatePolicy {
    /// Keep sessions as this vendor does, on both sides
    #[arg(long, value_name = "PRESET")]
    behaviour: Option<String>,
    /// Keep sessions as this vendor does, on the old side
    #[arg(long, value_name = "PRESET")]
    old_behaviour: Option<String>,
    /// Keep sessions as this vendor does, on the new side
    #[arg(long, value_name = "PRESET")]
    new_behaviour: Option<String>,
    /// Set a timer (seconds) or switch of both sides; an unknown name lists those there are
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// The same, on the old side; it wins over --set
    #[arg(long = "old-set", value_name = "KEY=VALUE")]
    old_settings: Vec<String>,
    /// The same, on the new side; it wins over --set
    #[arg(long = "new-set", value_name = "KEY=VALUE")]
    new_settings: Vec<String>,
}

impl Diff {
    /// How each side is read: the old one, then the new one.
    pub(crate) fn readings(&self) -> [Reading; 2] {
        let state = &self.state;
        let reading = |dialect: &Option<String>,
                       rulebase: &Option<String>,
                       behaviour: &Option<String>,
                       settings: &[String]| Reading {
            dialect: dialect.clone(),
            rulebase: rulebase.clone(),
            behaviour: behaviour.clone().or_else(|| state.behaviour.clone()),
            settings: [&state.settings, settings].concat(),
        };
        [
            reading(
                &self.old_dialect,
                &self.old_rulebase,
                &state.old_behaviour,
                &state.old_settings,
            ),
            reading(
                &self.new_dialect,
                &self.new_rulebase,
                &state.new_behaviour,
                &state.new_settings,
            ),
        ]
    }
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// A configuration in any dialect, also in gzip; its largest rule base is measured, or the one
    /// named
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) reading: Reading,
    /// Headers to look up, one a line: source, destination, source port, destination port,
    /// protocol and perhaps the expected rule; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Write the index of the rule each header matched, -1 for none
    #[arg(long, value_name = "FILE")]
    pub(crate) print_matches: Option<PathBuf>,
    /// Zone or interface all headers enter by
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Zone or interface all headers leave by
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// How many headers to draw from the rules when there is no trace
    #[arg(long, value_name = "N", default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub(crate) headers: u32,
    /// Seed they are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// How often to measure; the median is the result
    #[arg(long, value_name = "N", default_value_t = 7,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) repetitions: u16,
    /// Headers in a batch
    #[arg(long, value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) batch: u16,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// How a single configuration is read.
#[derive(Args, Debug, Default)]
pub(crate) struct Reading {
    /// Take the file for this dialect instead of recognising it
    #[arg(long)]
    pub(crate) dialect: Option<String>,
    /// The rule base to evaluate, where no interface decides
    #[arg(long, value_name = "NAME")]
    pub(crate) rulebase: Option<String>,
    /// Keep sessions as this vendor does
    #[arg(long, value_name = "PRESET")]
    pub(crate) behaviour: Option<String>,
    /// Set a timer (seconds) or switch of the state policy; an unknown name lists those there are
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
}

impl Reading {
    /// The options for a report to repeat.
    pub(crate) fn stated(&self) -> parefeu_report::Reading<'_> {
        parefeu_report::Reading {
            dialect: self.dialect.as_deref(),
            rulebase: self.rulebase.as_deref(),
            behaviour: self.behaviour.as_deref(),
            settings: &self.settings,
        }
    }
}

/// Where traffic comes from.
#[derive(Args, Debug)]
pub(crate) struct Traffic {
    /// A capture (pcap, pcapng; gzip, zstd, lz4); several are merged by time; `-` is standard input
    #[arg(short = 'r', long = "read", value_name = "CAPTURE")]
    pub(crate) captures: Vec<PathBuf>,
    /// Frames of this capture interface enter the firewall by that one
    #[arg(long = "map-interface", value_name = "CAPTURE=FIREWALL")]
    pub(crate) map_interface: Vec<String>,
    /// Frames whose interface nothing else tells enter here
    #[arg(long, value_name = "NAME")]
    pub(crate) ingress: Option<String>,
    /// Do not look into payloads: applications and URLs stay unknown
    #[arg(long)]
    pub(crate) no_identification: bool,
    /// Judge what travels inside tunnels (GRE, VXLAN, Geneve, GTP-U, Teredo, IP-in-IP), not them
    #[arg(long)]
    pub(crate) decapsulate: bool,
    /// The most sessions kept at once
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) max_sessions: usize,
    /// What becomes of further ones
    #[arg(long, value_enum, default_value_t = Full::DropNew)]
    pub(crate) when_full: Full,
}

/// What a full table of sessions does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Full {
    /// It refuses them
    DropNew,
    /// It gives up the oldest one of which no answer shows that both sides want it
    DropUnanswered,
    /// It refuses them, and halves idle timers from 80 per cent on, as PAN-OS does
    Age,
}

impl From<Full> for WhenFull {
    fn from(full: Full) -> Self {
        match full {
            Full::DropNew => Self::DropNew,
            Full::DropUnanswered => Self::DropUnanswered,
            Full::Age => Self::Age(Aging::default()),
        }
    }
}

/// A flow, named as PAN-OS names the arguments of `test security-policy-match`.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Flow {
    /// Zone or interface it enters by
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Zone or interface it leaves by
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// Source address
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// Destination address
    #[arg(long)]
    pub(crate) destination: Option<String>,
    /// Source port
    #[arg(long)]
    pub(crate) source_port: Option<String>,
    /// Destination port
    #[arg(long)]
    pub(crate) destination_port: Option<String>,
    /// tcp, udp, icmp, another name or a number
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// ICMP type
    #[arg(long)]
    pub(crate) icmp_type: Option<String>,
    /// ICMP code
    #[arg(long)]
    pub(crate) icmp_code: Option<String>,
    /// TCP flags, such as syn or syn,ack
    #[arg(long)]
    pub(crate) tcp_flags: Option<String>,
    /// new, established, related, invalid or untracked
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Application, once it is known
    #[arg(long)]
    pub(crate) application: Option<String>,
    /// URL category
    #[arg(long)]
    pub(crate) category: Option<String>,
    /// URL, without scheme: host and path
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// User the source address belongs to
    #[arg(long)]
    pub(crate) source_user: Option<String>,
    /// When, for schedules (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Output {
    /// How to print
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// Write to a file instead of standard output; it is replaced only when complete
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

impl Output {
    /// The format asked for, else the first of those the verb writes; another one is refused.
    pub(crate) fn format(&self, written: &[Format]) -> anyhow::Result<Format> {
        let name = |format: &Format| {
            format.to_possible_value().map_or_else(String::new, |it| it.get_name().to_owned())
        };
        match self.format {
            Some(format) if !written.contains(&format) => {
                let names: Vec<String> = written.iter().map(name).collect();
                anyhow::bail!("no {} here: --format is one of {}", name(&format), names.join(", "))
            }
            Some(format) => Ok(format),
            None => Ok(written.first().copied().unwrap_or(Format::Table)),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// A table for reading
    Table,
    /// One JSON document
    Json,
    /// One JSON document a line
    Ndjson,
    /// Comma-separated values with a header (RFC 4180)
    Csv,
    /// Markdown, for a ticket (`diff`)
    Md,
    /// A self-contained page (`diff`)
    Html,
}

#[derive(Args, Debug)]
pub(crate) struct Schema {
    /// A document's name; without one, all names are listed
    pub(crate) name: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
pub(crate) struct Man {
    /// A verb; the whole command without one
    pub(crate) verb: Option<String>,
}
