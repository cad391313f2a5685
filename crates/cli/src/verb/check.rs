//! `check`: parse, link, report every problem.

use std::io::Write;

use parefeu_policy::Severity;
use serde_json::json;

use crate::Status;
use crate::args::{Check, Format, Reading};
use crate::draw::Drawer;
use crate::load::{Attempt, attempt};
use crate::output::Sink;

pub(crate) fn run(args: &Check, drawer: &Drawer) -> anyhow::Result<Status> {
    let mut status = Status::Clean;
    let format = args.output.format(&[Format::Table, Format::Json, Format::Ndjson])?;
    let to_file = args.output.output.is_some();
    let mut sink = Sink::open(args.output.output.as_deref(), &args.configs)?;
    let mut documents = Vec::new();
    for path in &args.configs {
        let reading = Reading { dialect: args.dialect.clone(), ..Reading::default() };
        let attempt = attempt(path, &reading)?;
        status = status.max(match attempt.problems.worst() {
            Some(Severity::Error) => Status::Error,
            Some(Severity::Unsupported | Severity::Suspicious) => Status::Findings,
            None => Status::Clean,
        });
        if format != Format::Table {
            documents.push(document(&attempt));
            continue;
        }
        for problem in &attempt.problems {
            write!(sink, "{}", drawer.data(problem, &attempt.sources, to_file))?;
        }
        writeln!(sink, "{}", summary(&attempt))?;
    }
    if format == Format::Ndjson {
        for document in &documents {
            writeln!(sink, "{document}")?;
        }
    } else if format == Format::Json {
        let all = json!({ "schema": "parefeu/check/1", "files": documents });
        writeln!(sink, "{}", serde_json::to_string_pretty(&all)?)?;
    }
    sink.finish()?;
    Ok(status)
}

fn document(attempt: &Attempt) -> serde_json::Value {
    let Attempt { file, sha256, dialect, sources, problems, firewall, .. } = attempt;
    let problems: Vec<_> = problems
        .iter()
        .map(|problem| {
            let at = problem.at.and_then(|at| Some(sources.of(at)?.position(at.start)));
            json!({
                "severity": problem.severity.name(),
                "code": problem.code,
                "message": problem.message,
                "line": at.map(|(line, _)| line),
                "column": at.map(|(_, column)| column),
                "help": problem.help,
            })
        })
        .collect();
    json!({
        "schema": "parefeu/check-file/1",
        "file": file,
        "sha256": sha256,
        "dialect": dialect,
        "usable": firewall.is_some(),
        "rules": firewall.as_ref().map(|firewall| firewall.rules.len()),
        "problems": problems,
    })
}

fn summary(attempt: &Attempt) -> String {
    let count = |severity| attempt.problems.iter().filter(|it| it.severity == severity).count();
    let (errors, unsupported, suspicious) =
        (count(Severity::Error), count(Severity::Unsupported), count(Severity::Suspicious));
    let size = attempt.firewall.as_ref().map_or_else(
        || "no usable firewall".to_owned(),
        |firewall| {
            let written = firewall.rules.iter().filter(|rule| !rule.implied).count();
            format!(
                "{written} rules, {} translations, {} interfaces, {} zones",
                firewall.destination_nat.rules.len().max(firewall.source_nat.rules.len()),
                firewall.interfaces.len(),
                firewall.zones.len()
            )
        },
    );
    let dialect = attempt.dialect.unwrap_or("unknown dialect");
    format!(
        "{}: {dialect}, {size}; {errors} errors, {unsupported} unsupported, {suspicious} suspicious",
        attempt.file
    )
}
