//! `bench`: what lookups cost on a rule base, on a trace or on headers drawn from the rules.

mod batch;
mod draw;
mod measure;
mod trace;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use parefeu_policy::{LinkedFirewall, RuleBaseId, RuleId};
use serde_json::{Map, Value, json};

use self::measure::{Building, Looking, Lookup, Spread, changes, clock};
use self::trace::Headers;
use crate::Status;
use crate::args::{Bench, Flow, Format};
use crate::draw::Drawer;
use crate::flow::Question;
use crate::load::load;
use crate::output::Sink;

pub(crate) fn run(args: &Bench, drawer: &Drawer) -> anyhow::Result<Status> {
    let format = args.output.format(&[Format::Table, Format::Json, Format::Ndjson])?;
    let loaded = load(&args.config, &args.reading, drawer)?;
    let firewall = loaded.firewall;
    let rule_base = measured_rule_base(args, &firewall).context("the firewall has no rule base")?;
    let headers = headers(args, &firewall, rule_base)?;

    let building = Building::measure(&firewall, args.repetitions.into());
    let lookup = Lookup {
        policy: &building.policy,
        rule_base,
        keys: &headers.keys,
        batch: args.batch.into(),
    };
    let looking = lookup.measure(args.repetitions.into());
    let change = changes(&firewall, rule_base, args.seed);
    let result =
        Measured { loaded: &loaded.file, rule_base, headers: &headers, building, looking, change };
    let inputs = || std::iter::once(&args.config).chain(&args.trace);
    if let Some(path) = &args.print_matches {
        write_matches(path, inputs(), &result.indices())?;
    }
    let mut sink = Sink::open(args.output.output.as_deref(), inputs())?;
    let document = result.document(args);
    match format {
        Format::Table => write!(sink, "{}", table(&document))?,
        Format::Ndjson => writeln!(sink, "{document}")?,
        _ => writeln!(sink, "{}", serde_json::to_string_pretty(&document)?)?,
    }
    sink.finish()?;
    if result.looking.disagreements > 0 {
        drawer.say("parefeu: lookups of one header gave different answers\n");
    }
    let wrong = result.mismatches().unwrap_or(0) + result.looking.disagreements;
    Ok(if wrong == 0 { Status::Clean } else { Status::Findings })
}

/// The rule base named, else the one with most rules, whether layers begin with it or jump to it.
fn measured_rule_base(args: &Bench, firewall: &LinkedFirewall) -> Option<RuleBaseId> {
    if let Some(name) = &args.reading.rulebase {
        return firewall.rule_base_named(name);
    }
    let count = |id: &RuleBaseId| firewall.rule_bases[id.index()].count;
    // Of equals `max_by_key` takes the last one it meets: the first of the file.
    (0..firewall.rule_bases.len() as u32).rev().map(RuleBaseId).max_by_key(count)
}

/// The headers of the trace, or drawn from the rules; `--from` and `--to` hold for all of them.
fn headers(
    args: &Bench,
    firewall: &LinkedFirewall,
    rule_base: RuleBaseId,
) -> anyhow::Result<Headers> {
    let mut headers = match &args.trace {
        Some(path) => Headers::read(path)?,
        None => Headers {
            keys: draw::headers(firewall, rule_base, args.headers as usize, args.seed),
            expected: None,
        },
    };
    let flow = Flow { from: args.from.clone(), to: args.to.clone(), ..Flow::default() };
    let sides = Question::new(&flow, firewall)?.key;
    for key in &mut headers.keys {
        if args.from.is_some() {
            (key.ingress, key.from) = (sides.ingress, sides.from);
        }
        if args.to.is_some() {
            (key.egress, key.to) = (sides.egress, sides.to);
        }
    }
    Ok(headers)
}

/// The index of the rule each header hit, a line each; −1 for none.
fn write_matches<'a>(
    path: &Path,
    inputs: impl Iterator<Item = &'a PathBuf>,
    indices: &[Option<u32>],
) -> anyhow::Result<()> {
    let mut sink = Sink::open(Some(path), inputs)?;
    for index in indices {
        writeln!(sink, "{}", index.map_or(-1, i64::from))?;
    }
    sink.finish()
}

/// Everything that was measured.
struct Measured<'a> {
    loaded: &'a str,
    rule_base: RuleBaseId,
    headers: &'a Headers,
    building: Building,
    looking: Looking,
    /// Nanoseconds a change of the rule base takes.
    change: Spread,
}

impl Measured<'_> {
    fn firewall(&self) -> &Arc<LinkedFirewall> {
        self.building.policy.firewall()
    }

    /// The matched rule of each header, counted from the first of its rule base.
    fn indices(&self) -> Vec<Option<u32>> {
        let first = self.firewall().rule_bases[self.rule_base.index()].first;
        let index = |id: &Option<RuleId>| id.map(|id| id.0 - first.0);
        self.looking.found.iter().map(index).collect()
    }

    /// How many headers hit another rule than the trace says; `None` when it does not say.
    fn mismatches(&self) -> Option<usize> {
        let expected = self.headers.expected.as_ref()?;
        let found = self.indices();
        Some(found.iter().zip(expected).filter(|(found, expected)| found != expected).count())
    }

    fn document(&self, args: &Bench) -> Value {
        let firewall = self.firewall();
        let rule_base = &firewall.rule_bases[self.rule_base.index()];
        let Looking { lookups, single, batch, .. } = &self.looking;
        let hits = self.looking.found.iter().flatten().count();
        let mut document = json!({
            "schema": "parefeu/bench/1",
            "file": self.loaded,
            "rule_base": &*rule_base.name,
            "rules": rule_base.count,
            "build_ms": rounded(self.building.build_ms.median),
            "structure": self.building.policy.structure(self.rule_base).name(),
            "memory_bytes": self.building.policy.memory_bytes(),
            "lookups": lookups,
            "ns_per_lookup": rounded(single.median),
            "ns_per_lookup_batch": rounded(batch.median),
            "updates_per_second": per_second(self.change.median),
            "ns_per_update": rounded(self.change.median),
            "clock": clock::NAME,
            "headers": self.headers.keys.len(),
            "hits": hits,
            "batch": args.batch,
            "batch_form": if self.looking.by_field { "fields" } else { "packets" },
            "repetitions": args.repetitions,
            "seed": if args.trace.is_none() { args.seed.into() } else { Value::Null },
            "spread": {
                "build_ms": spread(&self.building.build_ms),
                "ns_per_lookup": spread(single),
                "ns_per_lookup_batch": spread(batch),
                "ns_per_update": spread(&self.change),
            },
        });
        if let (Some(count), Some(fields)) = (self.mismatches(), document.as_object_mut()) {
            fields.insert("mismatches".to_owned(), count.into());
        }
        document
    }
}

/// The least and the most that was measured.
fn spread(of: &Spread) -> Value {
    json!([rounded(of.least), rounded(of.most)])
}

/// How many fit into a second; none of what takes no time, because there is none of it.
fn per_second(nanoseconds: f64) -> f64 {
    if nanoseconds > 0.0 { (1e9 / nanoseconds).round() } else { 0.0 }
}

/// To a thousandth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// The document for reading.
fn table(document: &Value) -> String {
    let empty = Map::new();
    let fields = document.as_object().unwrap_or(&empty);
    let plain = |name: &str| fields.get(name).map(ToString::to_string).unwrap_or_default();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let with_spread = |name: &str| {
        let range = &document["spread"][name];
        format!("{} ({} to {})", plain(name), range[0], range[1])
    };
    let mut rows = vec![
        ("file", text("file")),
        ("rule base", format!("{} ({} rules)", text("rule_base"), plain("rules"))),
        ("build, ms", with_spread("build_ms")),
        ("compiled to", text("structure")),
        ("memory, bytes", plain("memory_bytes")),
        ("headers", format!("{} ({} hit a rule)", plain("headers"), plain("hits"))),
        (
            "lookups timed",
            format!("{} in each of {} repetitions", plain("lookups"), plain("repetitions")),
        ),
        ("ns per lookup", with_spread("ns_per_lookup")),
        (
            "ns per lookup, batch",
            format!(
                "{}, batches of {} by {}",
                with_spread("ns_per_lookup_batch"),
                plain("batch"),
                text("batch_form")
            ),
        ),
        ("ns per update", with_spread("ns_per_update")),
        ("updates per second", plain("updates_per_second")),
    ];
    rows.push(("clock", text("clock")));
    if fields.contains_key("mismatches") {
        rows.push(("mismatches", plain("mismatches")));
    }
    rows.iter().fold(String::new(), |text, (name, value)| format!("{text}{name:<22}{value}\n"))
}
