//! `lint`: rules that never decide, change nothing or match nothing, and objects nothing uses.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use parefeu_net::Timestamp;
use parefeu_policy::analysis::{Finding, FindingKind, LintOptions, Weight, lint};
use parefeu_policy::{LinkedFirewall, Severity};
use parefeu_report::{
    FirewallInfo, LintReport, finding_document, lint_document, lint_sarif, lint_table,
};
use serde_json::json;

use crate::Status;
use crate::args::{Global, Reading};
use crate::budget::stop_after;
use crate::draw::{Drawer, terminal_width};
use crate::load::attempt;
use crate::output::Sink;

#[derive(Args, Debug)]
pub(crate) struct Lint {
    /// Configurations in any dialect; `-` is standard input
    #[arg(required = true)]
    configs: Vec<PathBuf>,
    /// Take the files for this dialect instead of recognising it
    #[arg(long)]
    dialect: Option<String>,
    /// Leave out lesser findings; what was not decided is always said
    #[arg(long, value_enum, default_value_t = Least::Information, value_name = "SEVERITY")]
    min_severity: Least,
    /// Report schedules that are over by then (RFC 3339)
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Work that telling about one rule may cost, in sets of packets compared
    #[arg(long, value_name = "N", default_value_t = LintOptions::default().work_per_rule)]
    work_per_rule: u64,
    /// Work that telling about all rules of a file may cost
    #[arg(long, value_name = "N", default_value_t = LintOptions::default().work)]
    work: u64,
    /// For how many seconds to go on; what was not looked at then is not decided
    #[arg(long, value_name = "SECONDS")]
    max_time: Option<u64>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Write to a file instead of standard output; it is replaced only when complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Least {
    Information,
    Warning,
    Serious,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// A table for reading
    Table,
    /// One JSON document
    Json,
    /// A finding a line, then a summary
    Ndjson,
    /// SARIF 2.1.0
    Sarif,
}

/// Of each kind of information this many rows are shown without `-v`.
const MOST_ROWS: usize = 20;

/// A file with what was found.
struct Linted {
    file: String,
    sha256: String,
    dialect: &'static str,
    firewall: LinkedFirewall,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &Lint, global: &Global, drawer: &Drawer) -> anyhow::Result<Status> {
    let at = args.at.as_deref().map(Timestamp::parse_rfc3339).transpose()?;
    let stop = Some(stop_after(args.max_time)?);
    let options = LintOptions { at, work_per_rule: args.work_per_rule, work: args.work, stop };
    let mut sink = Sink::open(args.output.as_deref(), &args.configs)?;
    let mut status = Status::Clean;
    let mut linted = Vec::new();
    for path in &args.configs {
        let reading = Reading { dialect: args.dialect.clone(), ..Reading::default() };
        let attempt = attempt(path, &reading)?;
        drawer.draw(&attempt.problems, &attempt.sources, Severity::Error);
        let (Some(written), Some(firewall)) = (attempt.written, attempt.firewall) else {
            drawer.say(&format!("parefeu: `{}` is no usable firewall\n", attempt.file));
            status = Status::Error;
            continue;
        };
        let mut findings = lint(&written, &firewall, &options);
        findings.retain(|it| it.weight >= weight(args.min_severity) || is_undecided(it));
        let is_modelled = attempt.problems.worst() != Some(Severity::Unsupported);
        status = worse(status, &findings, is_modelled);
        let dialect = attempt.dialect.unwrap_or("unknown");
        let (file, sha256) = (attempt.file, attempt.sha256);
        linted.push(Linted { file, sha256, dialect, firewall, findings });
    }
    let reports: Vec<LintReport<'_>> = linted.iter().map(Linted::report).collect();
    print(&reports, args.format, global, &mut sink)?;
    sink.finish()?;
    Ok(status)
}

fn print(
    reports: &[LintReport<'_>],
    format: Format,
    global: &Global,
    sink: &mut Sink,
) -> anyhow::Result<()> {
    match format {
        Format::Table => {
            let most = if global.verbose > 0 { usize::MAX } else { MOST_ROWS };
            for report in reports {
                write!(sink, "{}", lint_table(report, terminal_width(), most))?;
            }
        }
        Format::Json => {
            writeln!(sink, "{}", serde_json::to_string_pretty(&lint_document(reports))?)?;
        }
        Format::Sarif => {
            writeln!(sink, "{}", serde_json::to_string_pretty(&lint_sarif(reports))?)?;
        }
        Format::Ndjson => {
            for report in reports {
                for finding in report.findings {
                    let mut line = json!({ "type": "finding" });
                    if let (Some(line), Some(fields)) =
                        (line.as_object_mut(), finding_document(report, finding).as_object_mut())
                    {
                        line.append(fields);
                    }
                    writeln!(sink, "{line}")?;
                }
            }
            let findings: usize = reports.iter().map(|report| report.findings.len()).sum();
            let summary =
                json!({ "type": "summary", "files": reports.len(), "findings": findings });
            writeln!(sink, "{summary}")?;
        }
    }
    Ok(())
}

impl Linted {
    fn report(&self) -> LintReport<'_> {
        let Self { file, sha256, dialect, firewall, findings } = self;
        let reading = parefeu_report::Reading::default();
        LintReport { info: FirewallInfo { file, sha256, dialect, firewall, reading }, findings }
    }
}

const fn weight(least: Least) -> Weight {
    match least {
        Least::Information => Weight::Information,
        Least::Warning => Weight::Warning,
        Least::Serious => Weight::Serious,
    }
}

fn is_undecided(finding: &Finding) -> bool {
    finding.kind == FindingKind::NotDecided
}

/// Findings are findings, whatever else was not decided; with nothing found but doubt, about a rule
/// or a line that is not modelled, the answer is undecided.
fn worse(status: Status, findings: &[Finding], is_modelled: bool) -> Status {
    let found = findings.iter().any(|it| !is_undecided(it));
    match status {
        Status::Error => Status::Error,
        _ if found || status == Status::Findings => Status::Findings,
        _ if !findings.is_empty() || !is_modelled => Status::Undecided,
        _ => status,
    }
}
