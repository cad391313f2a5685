//! `diff`: every packet, and the same traffic, through the old and the new firewall.

mod exact;

use std::collections::BTreeMap;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context;
use parefeu_equivalence::{
    Answer, Certified, Conclusion, Pairing, Request, Sighting, Verdict, Weighed, Weights,
    certificate,
};
use parefeu_identify::Application;
use parefeu_net::FiveTuple;
use parefeu_policy::{LinkedFirewall, Severity};
use parefeu_replay::{
    Comparison, DifferenceClass, IngressChoice, Lockstep, LockstepLimits, Side, timer_hazards,
};
use parefeu_report::{
    DiffReport, FirewallInfo, GROUP_COLUMNS, REGION_COLUMNS, Remark, csv_header, csv_row,
    diff_document, diff_markdown, diff_page, diff_table,
};
use serde_json::Value;

use crate::Status;
use crate::args::{Diff, Format, Global, Language, Reading};
use crate::draw::{Drawer, terminal_width};
use crate::load::{Loaded, load, read_once};
use crate::output::Sink;
use crate::space::request;
use crate::verb::assumed::known_assumptions;
use crate::verb::diff::exact::{Answered, Lists};
use crate::verb::traffic::{Frames, engine_config, ingress_choice};
use crate::witnesses::WitnessFile;

const FORMATS: [Format; 6] =
    [Format::Table, Format::Json, Format::Ndjson, Format::Csv, Format::Md, Format::Html];

pub(crate) fn run(args: &Diff, global: &Global, drawer: &Drawer) -> anyhow::Result<Status> {
    let format = args.output.format(&FORMATS)?;
    let [old_reading, new_reading] = args.readings();
    read_once([&args.old, &args.new].into_iter().chain(&args.traffic.captures))?;
    let old = load(&args.old, &old_reading, drawer)?;
    let new = load(&args.new, &new_reading, drawer)?;
    let pairs = match &args.zone_map {
        Some(path) => read_zone_map(path, &old, &new)?,
        None => BTreeMap::new(),
    };
    let pairing = pair(&old.firewall, &new.firewall, &pairs);
    let inputs = [&args.old, &args.new].into_iter().chain(&args.zone_map);
    let inputs = inputs.chain(&args.waivers).chain(&args.intent).chain(&args.traffic.captures);
    let report_file = args.output.output.as_deref();
    let witnesses = args.witnesses.as_deref();
    let witnesses = witnesses.map(|path| WitnessFile::open(path, inputs.clone(), report_file));
    let witnesses = witnesses.transpose()?;
    let sink = Sink::open(report_file, inputs)?;
    let paired = Pairing::of(&old.firewall, &new.firewall, &pairs);
    let lists = Lists::read(args, [&old, &new], &paired, drawer)?;
    let mut asked = request(&args.headers, &args.budget, (paired, [&old.firewall, &new.firewall]))?;
    asked.limits.record = args.certificate.is_some();
    asked.threads = args.threads.or(available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);

    let traffic = &args.traffic;
    let hashed = !matches!(format, Format::Table | Format::Csv);
    let mut frames = Frames::open(&traffic.captures, drawer, hashed)?;
    // Lookups are compiled for traffic alone.
    let seen = !traffic.captures.is_empty();
    let lockstep = seen.then(|| lockstep(args, [&old, &new], &pairing)).transpose()?;

    let answered = Answered::new([&old, &new], args, &lists, &asked);
    // One that is not known may belong to what was left.
    if !asked.limits.stop.is_given() {
        known_assumptions(&args.assume, answered.assumptions())?;
    }
    if let Some(file) = witnesses {
        file.write(&answered.findings, answered.answer.applications())?;
    }
    if let Some(path) = &args.certificate {
        let sink = Sink::open(Some(path), [&args.old, &args.new])?;
        write_certificate(sink, &asked, (&answered.answer, &answered.certified), [&old, &new])?;
    }
    let weights = Weights::new(&answered.answer, &answered.findings, &asked.pairing);
    let replayed = lockstep.map(|lockstep| replay(&mut frames, lockstep, weights)).transpose()?;
    let read = frames.finish(drawer)?;
    let (traffic, weighed) = replayed.as_ref().map(|(seen, weighed)| (seen, weighed)).unzip();
    let behaviours = [&old, &new].map(|it| &it.firewall.behaviour);
    let timers = traffic
        .map_or_else(|| timer_hazards(behaviours[0], behaviours[1]), |it| it.hazards.clone());
    let not_modelled = remarks(&[&old, &new], Severity::Unsupported);
    let suspicious = remarks(&[&old, &new], Severity::Suspicious);
    let report = DiffReport {
        old: info(&old, &old_reading),
        new: info(&new, &new_reading),
        captures: &read.captures,
        comparison: traffic,
        exact: Some(answered.exact(args, &lists, &asked, weighed)),
        timers: &timers,
        not_modelled: &not_modelled,
        suspicious: &suspicious,
        clock_held: read.clock_held,
        verdict: verdict(&answered.conclusion, traffic),
    };
    write(sink, format, global.lang, &report)?;
    if read.is_truncated() {
        return Ok(Status::Undecided);
    }
    Ok(answered.status(&report, args))
}

/// Both firewalls, ready for the frames of the captures.
fn lockstep(
    args: &Diff,
    [old, new]: [&Loaded; 2],
    pairing: &[(String, String)],
) -> anyhow::Result<Lockstep> {
    let traffic = &args.traffic;
    let [old_config, new_config] =
        args.readings().map(|reading| engine_config(traffic, &reading, false));
    let decode = old_config.decode;
    let choice = ingress_choice(traffic)?;
    let old_side = Side::new(Arc::clone(&old.firewall), &choice, old_config)
        .with_context(|| old.file.clone())?;
    let new_choice = translated_choice(&choice, pairing, &new.firewall);
    let new_side = Side::new(Arc::clone(&new.firewall), &new_choice, new_config)
        .with_context(|| new.file.clone())?;
    let limits = LockstepLimits { max_flows: traffic.max_sessions, ..LockstepLimits::default() };
    let mut lockstep = Lockstep::new(old_side, new_side, decode, limits);
    lockstep.report_flows();
    Ok(lockstep)
}

/// Shows both firewalls every frame, and weighs the findings with the flows.
fn replay(
    frames: &mut Frames,
    mut lockstep: Lockstep,
    mut weights: Weights<'_>,
) -> anyhow::Result<(Comparison, Weighed)> {
    frames.for_each(|frame| {
        lockstep.handle_frame(frame.replay);
        weigh(&mut lockstep, &mut weights);
        Ok(())
    })?;
    lockstep.end_flows();
    weigh(&mut lockstep, &mut weights);
    Ok((lockstep.finish(), weights.finish()))
}

/// Puts the flows that are over on the scales.
fn weigh(lockstep: &mut Lockstep, weights: &mut Weights<'_>) {
    while let Some(settled) = lockstep.poll_flow() {
        let FiveTuple { src, dst, src_port, dst_port, protocol } = settled.flow;
        weights.add(&Sighting {
            ingress: settled.ingress,
            src,
            dst,
            protocol,
            ports: (src_port, dst_port),
            icmp: settled.icmp,
            application: settled.application.map(Application::name),
            bytes: settled.bytes,
            first: settled.first,
            last: settled.last,
        });
    }
}

/// Writes down what the comparison of all packets found.
fn write_certificate(
    mut sink: Sink,
    asked: &Request,
    found: (&Answer, &Conclusion),
    sides: [&Loaded; 2],
) -> anyhow::Result<()> {
    let [old, new] = sides.map(|it| Certified {
        firewall: &it.firewall,
        file: &it.file,
        sha256: &it.sha256,
        dialect: it.dialect,
    });
    let program = concat!("parefeu ", env!("CARGO_PKG_VERSION"));
    let text = certificate(asked, found, [&old, &new], program);
    write!(sink, "{}", text.context("cannot write a certificate")?)?;
    sink.finish()
}

/// What both comparisons come to together: traffic that is treated differently is a difference,
/// even where rules decide alike.
fn verdict(conclusion: &Conclusion, traffic: Option<&Comparison>) -> Verdict {
    match traffic {
        Some(it) if it.differences.different() > 0 => Verdict::Different,
        Some(it)
            if it.differences.count(DifferenceClass::is_unjudged) > 0
                && conclusion.verdict != Verdict::Different =>
        {
            Verdict::Undecided
        }
        _ => conclusion.verdict,
    }
}

fn write(
    mut sink: Sink,
    format: Format,
    language: Language,
    report: &DiffReport<'_>,
) -> anyhow::Result<()> {
    match format {
        Format::Json => {
            writeln!(sink, "{}", serde_json::to_string_pretty(&diff_document(report))?)?;
        }
        Format::Ndjson => writeln!(sink, "{}", diff_document(report))?,
        Format::Csv => {
            let document = diff_document(report);
            // Lines of one kind make a sheet: sessions where there was traffic, else regions.
            let (columns, rows) = match report.comparison {
                Some(_) => (GROUP_COLUMNS, document.pointer("/traffic/groups")),
                None => (REGION_COLUMNS, document.get("regions")),
            };
            write!(sink, "{}", csv_header(columns))?;
            for row in rows.and_then(Value::as_array).into_iter().flatten() {
                write!(sink, "{}", csv_row(columns, row))?;
            }
        }
        Format::Md => write!(sink, "{}", diff_markdown(report))?,
        Format::Table => write!(sink, "{}", diff_table(report, terminal_width()))?,
        Format::Html => {
            let language = match language {
                Language::En => parefeu_report::Language::En,
                Language::Fr => parefeu_report::Language::Fr,
            };
            write!(sink, "{}", diff_page(report, language))?;
        }
    }
    sink.finish()
}

fn info<'a>(loaded: &'a Loaded, reading: &'a Reading) -> FirewallInfo<'a> {
    FirewallInfo {
        file: &loaded.file,
        sha256: &loaded.sha256,
        dialect: loaded.dialect,
        firewall: &loaded.firewall,
        reading: reading.stated(),
    }
}

/// The unsupported or the suspicious lines of both sides.
fn remarks(sides: &[&Loaded], severity: Severity) -> Vec<Remark> {
    let of_side = |side: &&Loaded| {
        let sources = &side.firewall.sources;
        let lines = side.problems.iter().filter(|it| it.severity == severity);
        let lines = lines.map(|it| Remark {
            file: side.file.clone(),
            line: it.at.map_or(0, |at| sources.line_number(at)),
            text: it.message.clone(),
        });
        lines.collect::<Vec<_>>()
    };
    sides.iter().flat_map(of_side).collect()
}

/// Interfaces of both sides that stand for each other: as mapped, by name or zone, by network.
fn pair(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    mapped: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let partner = |interface: &parefeu_policy::LinkedInterface| {
        let zone = interface.zone.map(|id| &*old.zones[id.index()]);
        let names = [Some(&*interface.name), zone];
        let named = names.into_iter().flatten().find_map(|name| {
            let name = mapped.get(name).map_or(name, String::as_str);
            new.interface_named(name)
                .map(|id| new.interfaces[id.index()].name.to_string())
                .or_else(|| new.zone_named(name).map(|id| new.zones[id.index()].to_string()))
        });
        named.or_else(|| {
            let networks: Vec<_> = interface.addresses.iter().map(ipnet_network).collect();
            let shares = |other: &&parefeu_policy::LinkedInterface| {
                other.addresses.iter().any(|address| networks.contains(&ipnet_network(address)))
            };
            new.interfaces.iter().find(shares).map(|other| other.name.to_string())
        })
    };
    let pairs = old.interfaces.iter();
    pairs.filter_map(|interface| Some((interface.name.to_string(), partner(interface)?))).collect()
}

fn ipnet_network(address: &ipnet::IpNet) -> ipnet::IpNet {
    address.trunc()
}

/// The user's choice, and the names of the old side's interfaces, as the new side calls them.
fn translated_choice(
    choice: &IngressChoice,
    pairing: &[(String, String)],
    new: &LinkedFirewall,
) -> IngressChoice {
    let known = |name: &str| new.interface_named(name).is_some() || new.zone_named(name).is_some();
    let translate = |name: &String| {
        if known(name) {
            return name.clone();
        }
        let partner = pairing.iter().find(|(old, _)| old == name);
        partner.map_or_else(|| name.clone(), |(_, new)| new.clone())
    };
    let mut mapped: Vec<(String, String)> =
        choice.mapped.iter().map(|(capture, name)| (capture.clone(), translate(name))).collect();
    // A capture interface named like one of the old side's enters the new one by its partner.
    let stated = |name: &String, mapped: &[(String, String)]| {
        mapped.iter().any(|(capture, _)| capture == name)
    };
    for (old, partner) in pairing {
        if !stated(old, &mapped) {
            mapped.push((old.clone(), partner.clone()));
        }
    }
    IngressChoice { mapped, fallback: choice.fallback.as_ref().map(translate) }
}

/// Pairs of names from a TOML file of `old = "new"` lines; each has to be on its side.
fn read_zone_map(
    path: &Path,
    old: &Loaded,
    new: &Loaded,
) -> anyhow::Result<BTreeMap<String, String>> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{file}`"))?;
    let pairs: BTreeMap<String, String> =
        toml::from_str(&text).with_context(|| format!("`{file}` is no zone map"))?;
    for (side, name) in pairs.iter().flat_map(|(a, b)| [(old, a), (new, b)]) {
        let firewall = &side.firewall;
        let known = firewall.interface_named(name).is_some() || firewall.zone_named(name).is_some();
        anyhow::ensure!(known, "`{file}`: `{}` has no zone or interface `{name}`", side.file);
    }
    Ok(pairs)
}
