//! `verify`: whether what a certificate claims of two firewalls is true.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use parefeu_policy::Severity;
use parefeu_verify::{Accepted, Input, Limits, Rejection, verify};

use crate::Status;
use crate::args::Reading;
use crate::draw::Drawer;
use crate::load::{Loaded, load, read_file, read_once};
use crate::output::Sink;

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The certificate; `-` is standard input
    certificate: PathBuf,
    /// The firewall in service
    old: PathBuf,
    /// The firewall that is to replace it
    new: PathBuf,
    /// Dialect of OLD, instead of recognising it
    #[arg(long)]
    old_dialect: Option<String>,
    /// Dialect of NEW, instead of recognising it
    #[arg(long)]
    new_dialect: Option<String>,
    /// The rule base of OLD that was compared, where it has several without interfaces
    #[arg(long, value_name = "NAME")]
    old_rulebase: Option<String>,
    /// The rule base of NEW that was compared, where it has several without interfaces
    #[arg(long, value_name = "NAME")]
    new_rulebase: Option<String>,
    /// How many steps of rules may be looked at before what is left counts as not confirmed
    #[arg(long, value_name = "N", default_value_t = Limits::default().work)]
    max_work: u64,
    /// Write to a file instead of standard output; it is replaced only when complete
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Verify, drawer: &Drawer) -> anyhow::Result<Status> {
    let reading = |dialect: &Option<String>, rulebase: &Option<String>| Reading {
        dialect: dialect.clone(),
        rulebase: rulebase.clone(),
        ..Reading::default()
    };
    read_once([&args.certificate, &args.old, &args.new])?;
    let old = load(&args.old, &reading(&args.old_dialect, &args.old_rulebase), drawer)?;
    let new = load(&args.new, &reading(&args.new_dialect, &args.new_rulebase), drawer)?;
    let mut sink = Sink::open(args.output.as_deref(), [&args.certificate, &args.old, &args.new])?;
    let file = args.certificate.display().to_string();
    let bytes = read_file(&args.certificate).with_context(|| format!("cannot read `{file}`"))?;
    let inputs = [&old, &new].map(|it| Input {
        firewall: &it.firewall,
        problems: &it.problems,
        sha256: &it.sha256,
        dialect: it.dialect,
    });
    let limits = Limits { work: args.max_work, ..Limits::default() };
    let status = match verify(&bytes, inputs.each_ref(), &limits) {
        Ok(accepted) => {
            write!(sink, "{}", told(&accepted, [&old, &new]))?;
            Status::Clean
        }
        Err(rejection) if rejection.is_unusable() => {
            anyhow::bail!("{}", place(&args.certificate, &rejection));
        }
        Err(rejection) => {
            writeln!(sink, "rejected: {}", place(&args.certificate, &rejection))?;
            Status::Findings
        }
    };
    sink.finish()?;
    Ok(status)
}

/// Where a certificate stops being believed, and why.
fn place(certificate: &Path, rejection: &Rejection) -> String {
    let file = certificate.display();
    match rejection.line {
        0 => format!("{file}: {}", rejection.why),
        line => format!("{file}:{line}: {}", rejection.why),
    }
}

/// What was found true, and what that rests on.
fn told(accepted: &Accepted, sides: [&Loaded; 2]) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
    };
    let leaves = accepted.leaves;
    say(format!("accepted: {}", accepted.verdict.name()));
    say(format!(
        "{} cases; boxes: {} the same, {} different, {} assumed the same, {} open",
        accepted.cases, leaves.same, leaves.different, leaves.assumed, leaves.open
    ));
    say("This relies on:".to_owned());
    for (side, (loaded, name)) in
        ["old", "new"].into_iter().zip(sides.into_iter().zip(&accepted.files))
    {
        let unsupported = loaded.problems.iter().filter(|it| it.severity == Severity::Unsupported);
        let count = unsupported.count();
        say(format!(
            "- {side} firewall: `{}` (compared as `{name}`), sha256 {}, as parefeu {} reads {}; \
             lines that are not modelled: {count}",
            loaded.file,
            loaded.sha256,
            env!("CARGO_PKG_VERSION"),
            loaded.dialect,
        ));
    }
    let refusals = if accepted.refusals_differ { "told apart" } else { "one and the same" };
    say(format!("- kinds of refusal are {refusals}"));
    for [old, new] in &accepted.pairs {
        say(format!("- old {old} stands for new {new}"));
    }
    if accepted.left_out > 0 {
        say(format!(
            "- of packets that enter at {} other places nothing is said",
            accepted.left_out
        ));
    }
    for (id, assumption) in &accepted.assumptions {
        say(format!("- assumed, {id}: {assumption}"));
    }
    say("It says nothing of return traffic, of packets by their state, nor of what is logged or \
         inspected."
        .to_owned());
    say(format!("Written by {}; {} steps of rules looked at.", accepted.program, accepted.work));
    text
}
