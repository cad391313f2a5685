//! `search`: the flows one firewall lets through, or refuses.

use std::io::Write;

use anyhow::Context;
use parefeu_equivalence::{
    Addresses, Family, Gates, Scope, Search, Side, Stated, Wanted, search, unread,
};
use parefeu_policy::LinkedFirewall;
use parefeu_report::{
    FLOW_COLUMNS, FirewallInfo, SearchReport, csv_header, csv_row, search_document, search_table,
};

use crate::Status;
use crate::args::{self, Action, Format};
use crate::budget::limits;
use crate::draw::{Drawer, terminal_width};
use crate::load::load;
use crate::output::Sink;
use crate::space::{addresses, ports, protocols};
use crate::verb::assumed::known_assumptions;

pub(crate) fn run(args: &args::Search, drawer: &Drawer) -> anyhow::Result<Status> {
    let format = args.output.format(&[Format::Table, Format::Json, Format::Ndjson, Format::Csv])?;
    let loaded = load(&args.config, &args.reading, drawer)?;
    let question = question(args, &loaded.firewall)?;
    let mut sink = Sink::open(args.output.output.as_deref(), [&args.config])?;
    let found = search(&loaded.firewall, &question);
    let stated = Stated { firewall: &loaded.firewall, problems: &loaded.problems };
    let mut unread = unread(stated, Side::Old);
    for it in &mut unread {
        // There is one firewall here, and no side to tell.
        it.id = it.id.trim_start_matches("old-").to_owned();
    }
    let names = unread.iter().map(|it| it.id.clone()).collect();
    known_assumptions(&args.assume, &names)?;
    let report = SearchReport {
        firewall: FirewallInfo {
            file: &loaded.file,
            sha256: &loaded.sha256,
            dialect: loaded.dialect,
            firewall: &loaded.firewall,
            reading: args.reading.stated(),
        },
        wanted: question.wanted,
        found: &found,
        unread: &unread,
        accepted: &args.assume,
    };
    match format {
        Format::Json => {
            writeln!(sink, "{}", serde_json::to_string_pretty(&search_document(&report))?)?;
        }
        Format::Ndjson => writeln!(sink, "{}", search_document(&report))?,
        Format::Csv => {
            write!(sink, "{}", csv_header(FLOW_COLUMNS))?;
            for flow in search_document(&report)["flows"].as_array().into_iter().flatten() {
                write!(sink, "{}", csv_row(FLOW_COLUMNS, flow))?;
            }
        }
        _ => write!(sink, "{}", search_table(&report, terminal_width()))?,
    }
    sink.finish()?;
    Ok(match (report.is_complete(), found.flows.is_empty()) {
        (false, _) => Status::Undecided,
        (true, true) => Status::Findings,
        (true, false) => Status::Clean,
    })
}

/// The question the options stand for.
fn question(args: &args::Search, firewall: &LinkedFirewall) -> anyhow::Result<Search> {
    let gates = Gates::of(firewall);
    let place = |name: &str| gates.named(firewall, name).is_some();
    let application = |name: &str| {
        name == Scope::OTHER || firewall.applications.iter().any(|known| *known.name == *name)
    };
    let places = "the firewall has no zone or interface";
    let headers = &args.headers;
    let scope = Scope {
        from: names(headers.from.as_deref(), place, places).context("--from")?.unwrap_or_default(),
        to: names(headers.to.as_deref(), place, places).context("--to")?.unwrap_or_default(),
        src: headers.source.as_deref().map(one_family).transpose().context("--source")?,
        dst: headers.destination.as_deref().map(one_family).transpose().context("--destination")?,
        protocols: headers.protocol.as_deref().map(protocols).transpose().context("--protocol")?,
        src_ports: headers
            .source_port
            .as_deref()
            .map(ports)
            .transpose()
            .context("--source-port")?,
        dst_ports: headers
            .destination_port
            .as_deref()
            .map(ports)
            .transpose()
            .context("--destination-port")?,
        applications: names(
            args.application.as_deref(),
            application,
            "the configuration names no application",
        )
        .context("--application")?,
        ..Scope::default()
    };
    let wanted = match args.action {
        Action::Allow => Wanted::Allow,
        Action::Deny => Wanted::Deny,
    };
    let limits = limits(&args.budget)?;
    Ok(Search { scope, wanted, limits, any_translation: false })
}

/// Names with commas in between, each of them known.
fn names(
    text: Option<&str>,
    is_known: impl Fn(&str) -> bool,
    otherwise: &str,
) -> anyhow::Result<Option<Vec<Box<str>>>> {
    let Some(text) = text else { return Ok(None) };
    let names = text.split(',').map(|name| {
        let name = name.trim();
        anyhow::ensure!(is_known(name), "{otherwise} `{name}`");
        Ok(name.into())
    });
    names.collect::<anyhow::Result<_>>().map(Some)
}

fn one_family(text: &str) -> anyhow::Result<Addresses> {
    let (family, set) = addresses(text)?;
    Ok(match family {
        Family::V4 => Addresses { v4: set, ..Addresses::default() },
        Family::V6 => Addresses { v6: set, ..Addresses::default() },
    })
}
