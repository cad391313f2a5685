//! `test`: one flow, one answer; or one answer a line for a list of flows.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

use anyhow::Context;
use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::judge;
use parefeu_policy::reference::Judgement;
use parefeu_policy::{Answer, Hit, LinkedFirewall, Source, Span};
use parefeu_report::{ANSWER_COLUMNS, csv_header, csv_row, plain};
use serde_json::{Value, json};

use crate::Status;
use crate::args::{Flow, Format, Test};
use crate::draw::Drawer;
use crate::flow::{Question, interface_name};
use crate::load::load;
use crate::output::Sink;

/// What a list of flows is answered in; one flow is answered in words unless asked otherwise.
const OF_A_LIST: [Format; 4] = [Format::Ndjson, Format::Json, Format::Csv, Format::Table];
const OF_ONE: [Format; 4] = [Format::Table, Format::Json, Format::Ndjson, Format::Csv];

pub(crate) fn run(args: &Test, drawer: &Drawer) -> anyhow::Result<Status> {
    let written = if args.flows.is_some() { OF_A_LIST } else { OF_ONE };
    let format = args.output.format(&written)?;
    let loaded = load(&args.config, &args.reading, drawer)?;
    let policy = CompiledPolicy::compile(loaded.firewall, &CompileLimits::default());
    let inputs = std::iter::once(&args.config).chain(&args.flows);
    let mut sink = Sink::open(args.output.output.as_deref(), inputs)?;
    if format == Format::Csv {
        write!(sink, "{}", csv_header(ANSWER_COLUMNS))?;
    }
    let status = if let Some(path) = &args.flows {
        test_list(path, format, &policy, &mut sink)?
    } else {
        let answer = Reply::new(0, &args.flow, &policy)?;
        match format {
            Format::Table => write!(sink, "{}", answer.text)?,
            Format::Csv => write!(sink, "{}", csv_row(ANSWER_COLUMNS, &answer.json))?,
            Format::Json => writeln!(sink, "{}", serde_json::to_string_pretty(&answer.json)?)?,
            _ => writeln!(sink, "{}", answer.json)?,
        }
        answer.status
    };
    sink.finish()?;
    Ok(status)
}

/// Answers every flow of a file. Undecided answers make the whole undecided; a flow that cannot be
/// read is an error with its line.
fn test_list(
    path: &Path,
    format: Format,
    policy: &CompiledPolicy,
    sink: &mut Sink,
) -> anyhow::Result<Status> {
    let mut status = Status::Clean;
    let mut answers = Vec::new();
    for (index, entry) in Flows::open(path)?.enumerate() {
        let (place, flow) = entry?;
        let answer = Reply::new(index, &flow, policy).context(place)?;
        status = status.max(answer.status);
        match format {
            Format::Json => answers.push(answer.json),
            Format::Table => write!(sink, "{index:>6}  {}", answer.text)?,
            Format::Csv => write!(sink, "{}", csv_row(ANSWER_COLUMNS, &answer.json))?,
            _ => writeln!(sink, "{}", answer.json)?,
        }
    }
    if format == Format::Json {
        let all = json!({ "schema": "parefeu/answers/1", "flows": answers });
        writeln!(sink, "{}", serde_json::to_string_pretty(&all)?)?;
    }
    Ok(status)
}

/// An answer in each form it is printed in.
struct Reply {
    json: Value,
    text: String,
    status: Status,
}

impl Reply {
    fn new(index: usize, flow: &Flow, policy: &CompiledPolicy) -> anyhow::Result<Self> {
        let firewall = policy.firewall();
        let question = Question::new(flow, firewall)?;
        let judgement = judge(policy, &question.key, &question.knowledge());
        let answer = judgement.evaluation.answer();
        let (hit, mut verdict, mut reason) = match answer {
            Answer::Certain(hit) => (hit, hit.action.verdict_name(), "rule"),
            Answer::Depends(hit) => (hit, "depends", "identification"),
            Answer::Unknown(hit) => (hit, "unknown", "not-modelled"),
        };
        if hit.rule.is_none() && matches!(answer, Answer::Certain(_)) {
            reason = "default";
        }
        if judgement.doubtful_nat.is_some() {
            (verdict, reason) = ("unknown", "translation-not-modelled");
        }
        let status = match verdict {
            "depends" | "unknown" => Status::Undecided,
            _ => Status::Clean,
        };
        let json = json!({
            "schema": "parefeu/test/1",
            "index": index,
            "verdict": verdict,
            "rule": rule_name(firewall, hit),
            "line": line(firewall, hit),
            "reason": reason,
            "from": side(judgement.key.from.map(|id| &*firewall.zones[id.index()]),
                judgement.key.ingress.map(|id| interface_name(firewall, id))),
            "to": side(judgement.key.to.map(|id| &*firewall.zones[id.index()]),
                judgement.key.egress.map(|id| interface_name(firewall, id))),
            "translated": leaves_as(verdict, &judgement),
            "assumptions": assumptions(firewall, &judgement),
        });
        let text = plain(text(&json, firewall, hit));
        Ok(Self { json, text, status })
    }
}

/// The zone's name, else the interface's.
pub(crate) fn side(zone: Option<&str>, interface: Option<&str>) -> Value {
    zone.or(interface).map_or(Value::Null, Value::from)
}

fn rule_name(firewall: &LinkedFirewall, hit: Hit) -> Value {
    hit.rule.map_or(Value::Null, |id| (*firewall.rule(id).name).into())
}

fn line(firewall: &LinkedFirewall, hit: Hit) -> Value {
    let line = firewall.sources.line_number(hit.at);
    if line == 0 { Value::Null } else { line.into() }
}

/// The flow as it leaves; one that is refused leaves as nothing.
pub(crate) fn leaves_as(verdict: &str, judgement: &Judgement) -> Value {
    match verdict {
        "deny" | "drop" | "reset" => Value::Null,
        _ => translated(judgement),
    }
}

/// The flow as it leaves, when that differs from how it came.
fn translated(judgement: &Judgement) -> Value {
    let (key, new) = (&judgement.key, &judgement.translated);
    let arrived = (key.src, key.dst, key.src_port, key.dst_port);
    if !judgement.session_chooses && arrived == (new.src, new.dst, new.src_port, new.dst_port) {
        return Value::Null;
    }
    json!({
        "source": new.src.to_string(),
        "destination": new.dst.to_string(),
        "source_port": new.src_port,
        "destination_port": new.dst_port,
    })
}

/// What the answer rests on besides the rule named: the lines that may decide otherwise.
fn assumptions(firewall: &LinkedFirewall, judgement: &Judgement) -> Vec<String> {
    let evaluation = &judgement.evaluation;
    let doubtful = [evaluation.possible_allow, evaluation.possible_deny];
    let stated = |at: Span, on_line: &str, what: &str| match firewall.sources.line_number(at) {
        0 => {
            let file = firewall.sources.iter().next().map(Source::name);
            format!("{what} of `{}` is not modelled", file.unwrap_or(&firewall.name))
        }
        line => format!("{on_line} {line} is not modelled"),
    };
    let filter = doubtful.into_iter().flatten();
    let mut lines: Vec<String> = filter.map(|hit| stated(hit.at, "line", "a rule")).collect();
    let translation = judgement.doubtful_nat;
    lines.extend(translation.map(|at| stated(at, "translation on line", "a translation")));
    lines
}

/// A translated flow in words: `192.0.2.1:40000 > 192.0.2.2:443`, without ports that are none.
pub(crate) fn translated_text(new: &Value) -> Option<String> {
    let end = |address: &str, port: &str| {
        let (address, port) = (new[address].as_str()?, new[port].as_u64()?);
        Some(match port {
            0 => address.to_owned(),
            _ if address.contains(':') => format!("[{address}]:{port}"),
            _ => format!("{address}:{port}"),
        })
    };
    let (src, dst) = (end("source", "source_port")?, end("destination", "destination_port")?);
    Some(format!("{src} > {dst}"))
}

fn text(json: &Value, firewall: &LinkedFirewall, hit: Hit) -> String {
    use std::fmt::Write;

    let word = |name: &str| json[name].as_str().unwrap_or("-").to_owned();
    let mut text = format!("{}  {} > {}", word("verdict"), word("from"), word("to"));
    let rule =
        json["rule"].as_str().map_or_else(|| "default".to_owned(), |rule| format!("`{rule}`"));
    let _ = write!(text, "  {rule}");
    let place = firewall.sources.place(hit.at);
    if !place.is_empty() {
        let _ = write!(text, "  ({place})");
    }
    if let Some(flow) = translated_text(&json["translated"]) {
        let _ = write!(text, "  leaves as {flow}");
    }
    text.push('\n');
    let line = firewall.sources.line_text(hit.at).trim();
    if !line.is_empty() {
        let _ = writeln!(text, "    {line}");
    }
    for assumption in json["assumptions"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "    {}", assumption.as_str().unwrap_or_default());
    }
    text
}

/// The flows of a file, one a line; an entry that cannot be read names its line.
struct Flows {
    reader: Box<dyn BufRead>,
    file: String,
    line: usize,
    /// Names of the columns of a CSV file; `None` for NDJSON.
    header: Option<Vec<String>>,
}

/// No flow needs more.
const MOST_LINE_BYTES: u64 = 1 << 20;

impl Flows {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let file = path.display().to_string();
        let unreadable = || format!("cannot read `{file}`");
        let mut reader: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            Box::new(BufReader::new(std::fs::File::open(path).with_context(unreadable)?))
        };
        let start = reader.fill_buf().with_context(unreadable)?;
        let first = start.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        let mut flows = Self { reader, file, line: 0, header: None };
        if !matches!(first, None | Some(b'{')) {
            let header = flows.next_line().with_context(|| flows.place())?.unwrap_or_default();
            let names = csv_cells(&header).into_iter().map(|name| name.trim().to_owned());
            flows.header = Some(names.collect());
        }
        Ok(flows)
    }

    /// The next line that is not blank; `None` at the end of the file.
    fn next_line(&mut self) -> anyhow::Result<Option<String>> {
        loop {
            self.line += 1;
            let mut bytes = Vec::new();
            self.reader.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', &mut bytes)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            let is_whole = (bytes.len() as u64) < MOST_LINE_BYTES || bytes.ends_with(b"\n");
            anyhow::ensure!(is_whole, "the line is longer than {MOST_LINE_BYTES} bytes");
            let text = String::from_utf8(bytes).context("the line is not UTF-8")?;
            let text = text.trim_matches(['\u{feff}', '\r', '\n']);
            if !text.trim().is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }

    fn next_flow(&mut self) -> anyhow::Result<Option<Flow>> {
        let Some(text) = self.next_line()? else { return Ok(None) };
        match &self.header {
            None => from_json(&text),
            Some(header) => from_csv(header, &text),
        }
        .map(Some)
    }

    /// `file:line` of the entry read last.
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

impl Iterator for Flows {
    type Item = anyhow::Result<(String, Flow)>;

    fn next(&mut self) -> Option<Self::Item> {
        let flow = self.next_flow().transpose()?;
        let place = self.place();
        Some(match flow {
            Ok(flow) => Ok((place, flow)),
            Err(error) => Err(error.context(place)),
        })
    }
}

fn from_json(text: &str) -> anyhow::Result<Flow> {
    let value: Value = serde_json::from_str(text)?;
    let object = value.as_object().context("a flow is a JSON object")?;
    let mut flow = Flow::default();
    for (name, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => anyhow::bail!("`{name}`: expected a string or a number"),
        };
        set(&mut flow, name, text)?;
    }
    Ok(flow)
}

fn from_csv(header: &[String], text: &str) -> anyhow::Result<Flow> {
    let cells = csv_cells(text);
    anyhow::ensure!(
        cells.len() <= header.len(),
        "{} cells, but the header names {}",
        cells.len(),
        header.len()
    );
    let mut flow = Flow::default();
    for (name, cell) in header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
        set(&mut flow, name, cell)?;
    }
    Ok(flow)
}

fn set(flow: &mut Flow, name: &str, value: String) -> anyhow::Result<()> {
    let field = match name {
        "from" => &mut flow.from,
        "to" => &mut flow.to,
        "source" => &mut flow.source,
        "destination" => &mut flow.destination,
        "source_port" => &mut flow.source_port,
        "destination_port" => &mut flow.destination_port,
        "protocol" => &mut flow.protocol,
        "icmp_type" => &mut flow.icmp_type,
        "icmp_code" => &mut flow.icmp_code,
        "tcp_flags" => &mut flow.tcp_flags,
        "state" => &mut flow.state,
        "application" => &mut flow.application,
        "category" => &mut flow.category,
        "url" => &mut flow.url,
        "source_user" => &mut flow.source_user,
        "at" => &mut flow.at,
        _ => anyhow::bail!("`{name}` is no field of a flow"),
    };
    *field = Some(value);
    Ok(())
}

/// The cells of a CSV line (RFC 4180 §2); a quoted cell may hold commas and doubled quotes.
fn csv_cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut();
        match (character, cell) {
            ('"', Some(cell)) if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (other, Some(cell)) => cell.push(other),
            (_, None) => {}
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use parefeu_policy::reference::judge;
    use parefeu_policy::{Diagnostics, Knowledge, PacketKey, Sources, link, native};

    use super::*;

    #[test]
    fn what_no_line_states_is_told_by_its_firewall() {
        let text = "name = \"edge\"\n[[layer]]\nrule_base = \"r\"\n[[rule_base]]\nname = \"r\"\n\
                    [[rule_base.rule]]\nunknown = \"a condition\"\naction = \"allow\"\n\
                    [[source_nat]]\nunknown = \"another\"\ntranslation = \"egress-interface\"\n";
        let (written, _) = native::read(Source::new("f.toml", text));
        let mut firewall = link(&written.unwrap(), &mut Diagnostics::default()).unwrap();
        let [src, dst] = ["10.0.0.1", "10.0.0.2"].map(|it| it.parse().unwrap());
        let key = PacketKey { src, dst, ..PacketKey::UNSTATED };
        let told = |firewall: &LinkedFirewall| {
            assumptions(firewall, &judge(firewall, &key, &Knowledge::NOTHING))
        };
        assert_eq!(
            told(&firewall),
            ["line 6 is not modelled", "translation on line 9 is not modelled"]
        );
        firewall.sources = Sources::default();
        assert_eq!(
            told(&firewall),
            ["a rule of `edge` is not modelled", "a translation of `edge` is not modelled"]
        );
    }
}
