//! `schema`: the shape of each document the command writes, as JSON Schema (2020-12).

use std::io::Write;

use parefeu_policy::analysis::FindingKind;
use serde_json::{Value, json};

use crate::Status;
use crate::args::Schema;
use crate::output::Sink;

const NAMES: [&str; 8] =
    ["check", "diff", "lint", "packet", "replay", "session", "summary", "test"];

pub(crate) fn run(args: &Schema) -> anyhow::Result<Status> {
    let mut sink = Sink::open(None)?;
    match &args.name {
        None => {
            for name in NAMES {
                writeln!(sink, "{name}")?;
            }
        }
        Some(name) => {
            let name = name.trim_start_matches("parefeu/").trim_end_matches("/1");
            let known = NAMES.contains(&name);
            anyhow::ensure!(known, "no document is called `{name}` ({})", NAMES.join(", "));
            writeln!(sink, "{}", serde_json::to_string_pretty(&schema(name))?)?;
        }
    }
    sink.finish()?;
    Ok(Status::Clean)
}

fn schema(name: &str) -> Value {
    let (required, properties) = match name {
        "test" => (
            vec![
                "index",
                "verdict",
                "rule",
                "line",
                "reason",
                "from",
                "to",
                "translated",
                "assumptions",
            ],
            json!({
                "index": count(),
                "verdict": { "enum": ["allow", "deny", "drop", "reset", "depends", "unknown"] },
                "rule": optional("string"),
                "line": optional("integer"),
                "reason": text(),
                "from": optional("string"),
                "to": optional("string"),
                "translated": translated(),
                "assumptions": list(&text()),
            }),
        ),
        "packet" => (
            vec![
                "type",
                "file",
                "number",
                "time",
                "verdict",
                "reason",
                "rule",
                "session",
                "translated",
            ],
            json!({
                "type": { "const": "packet" },
                "file": text(),
                "number": { "type": "integer", "minimum": 1 },
                "time": time(),
                "verdict": verdict(),
                "reason": text(),
                "rule": optional("string"),
                "session": optional("integer"),
                "translated": translated(),
            }),
        ),
        "session" => session(),
        "summary" => summary(),
        "replay" => (
            vec!["schema", "sessions", "summary"],
            json!({
                "schema": { "const": "parefeu/replay/1" },
                "sessions": list(&json!({ "type": "object" })),
                "summary": { "type": "object" },
            }),
        ),
        "check" => (
            vec!["schema", "files"],
            json!({
                "schema": { "const": "parefeu/check/1" },
                "files": list(&json!({
                    "type": "object",
                    "required": ["file", "sha256", "dialect", "usable", "problems"],
                    "properties": {
                        "problems": list(&json!({
                            "type": "object",
                            "required": ["severity", "code", "message", "line", "column"],
                            "properties": {
                                "severity": { "enum": ["error", "unsupported", "suspicious"] },
                            },
                        })),
                    },
                })),
            }),
        ),
        "lint" => lint(),
        _ => diff(),
    };
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("parefeu/{name}/1"),
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn session() -> (Vec<&'static str>, Value) {
    let properties = json!({
        "type": { "const": "session" },
        "id": count(),
        "start": time(),
        "end": time(),
        "protocol": text(),
        "source": text(),
        "source_port": port(),
        "destination": text(),
        "destination_port": port(),
        "icmp_type": count(),
        "icmp_code": count(),
        "icmp_id": count(),
        "from": optional("string"),
        "to": optional("string"),
        "application": optional("string"),
        "application_path": list(&text()),
        "hostname": optional("string"),
        "url": optional("string"),
        "category": optional("string"),
        "certificate_issuer": optional("string"),
        "certificate_subject": optional("string"),
        "ja4": optional("string"),
        "user": optional("string"),
        "rule": optional("string"),
        "verdict": verdict(),
        "verdict_packet": count(),
        "translated": translated(),
        "packets": pair(),
        "bytes": pair(),
        "threats": list(&json!({ "type": "object" })),
        "end_reason": text(),
    });
    let required = vec![
        "type",
        "id",
        "start",
        "end",
        "protocol",
        "source",
        "source_port",
        "destination",
        "destination_port",
        "verdict",
        "rule",
        "packets",
        "bytes",
        "end_reason",
    ];
    (required, properties)
}

fn summary() -> (Vec<&'static str>, Value) {
    (
        vec![
            "type",
            "frames",
            "undecodable",
            "sessions",
            "bytes",
            "peak_memory",
            "wall_time_seconds",
        ],
        json!({
            "type": { "const": "summary" },
            "frames": count(),
            "undecodable": { "type": "object", "additionalProperties": count() },
            "verdicts": { "type": "object", "additionalProperties": count() },
            "sessions": count(),
            "bytes": count(),
            "clock_held": count(),
            "peak_memory": optional("integer"),
            "wall_time_seconds": { "type": "number" },
        }),
    )
}

fn lint() -> (Vec<&'static str>, Value) {
    let rule = json!({
        "type": "object",
        "required": ["name", "rule_base", "position", "line", "column"],
        "properties": {
            "name": text(),
            "rule_base": text(),
            "position": { "type": "integer", "minimum": 1 },
            "line": optional("integer"),
            "column": optional("integer"),
        },
    });
    let codes: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
    let finding = json!({
        "type": "object",
        "required": [
            "code", "severity", "file", "line", "column", "rule", "rule_base", "subject",
            "shadowed", "rules", "by", "message", "help",
        ],
        "properties": {
            "code": { "enum": codes },
            "severity": { "enum": ["information", "warning", "serious"] },
            "file": text(),
            "line": optional("integer"),
            "column": optional("integer"),
            "rule": optional("string"),
            "rule_base": optional("string"),
            "subject": optional("string"),
            "shadowed": { "enum": ["fully", "partly", null] },
            "rules": list(&rule),
            "by": list(&rule),
            "message": text(),
            "help": text(),
        },
    });
    let properties = json!({
        "schema": { "const": "parefeu/lint/1" },
        "files": list(&json!({
            "type": "object",
            "required": ["file", "sha256", "dialect", "rules", "findings"],
            "properties": {
                "file": text(),
                "sha256": text(),
                "dialect": text(),
                "rules": count(),
                "findings": list(&finding),
            },
        })),
    });
    (vec!["schema", "files"], properties)
}

fn diff() -> (Vec<&'static str>, Value) {
    let firewall = json!({
        "type": "object",
        "required": ["file", "sha256", "dialect"],
    });
    let properties = json!({
        "schema": { "const": "parefeu/diff/1" },
        "verdict": {
            "enum": ["equivalent", "equivalent-under-assumptions", "different", "undecided"],
        },
        "old": firewall,
        "new": firewall,
        "assumptions": list(&json!({ "type": "object" })),
        "not_modelled": list(&json!({
            "type": "object",
            "required": ["file", "line", "text"],
        })),
        "regions": list(&json!({ "type": "object" })),
        "traffic": { "type": ["object", "null"] },
        "certificate": optional("string"),
    });
    let required = vec![
        "schema",
        "verdict",
        "old",
        "new",
        "assumptions",
        "not_modelled",
        "regions",
        "traffic",
        "certificate",
    ];
    (required, properties)
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn count() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

fn port() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 65535 })
}

fn verdict() -> Value {
    json!({ "enum": ["allow", "deny", "drop", "reset", "hold", "unknown"] })
}

fn optional(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

fn list(of: &Value) -> Value {
    json!({ "type": "array", "items": of })
}

fn pair() -> Value {
    json!({ "type": "array", "items": count(), "minItems": 2, "maxItems": 2 })
}

fn translated() -> Value {
    json!({
        "type": ["object", "null"],
        "properties": {
            "source": text(),
            "destination": text(),
            "source_port": port(),
            "destination_port": port(),
        },
    })
}
