//! `schema`: the shape of each document the command writes, as JSON Schema (2020-12).

use std::io::Write;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::Status;
use crate::args::Schema;
use crate::output::Sink;

/// Documents by name. One that is made of others refers to them as `#/$defs/NAME`.
const DOCUMENTS: [(&str, &str); 13] = [
    ("answers", include_str!("../../schemas/answers.json")),
    ("bench", include_str!("../../schemas/bench.json")),
    ("check", include_str!("../../schemas/check.json")),
    ("check-file", include_str!("../../schemas/check-file.json")),
    ("diff", include_str!("../../schemas/diff.json")),
    ("lint", include_str!("../../schemas/lint.json")),
    ("packet", include_str!("../../schemas/packet.json")),
    ("replay", include_str!("../../schemas/replay.json")),
    ("search", include_str!("../../schemas/search.json")),
    ("session", include_str!("../../schemas/session.json")),
    ("summary", include_str!("../../schemas/summary.json")),
    ("test", include_str!("../../schemas/test.json")),
    ("trace", include_str!("../../schemas/trace.json")),
];

pub(crate) fn run(args: &Schema) -> anyhow::Result<Status> {
    let mut sink = Sink::open(None, [])?;
    match &args.name {
        None => {
            for (name, _) in DOCUMENTS {
                writeln!(sink, "{name}")?;
            }
        }
        Some(name) => {
            let name = name.trim_start_matches("parefeu/").trim_end_matches("/1");
            writeln!(sink, "{}", serde_json::to_string_pretty(&bundle(name)?)?)?;
        }
    }
    sink.finish()?;
    Ok(Status::Clean)
}

fn document(name: &str) -> anyhow::Result<Map<String, Value>> {
    let found = DOCUMENTS.iter().find(|(known, _)| *known == name);
    let (_, text) = found.with_context(|| {
        let known = DOCUMENTS.map(|(name, _)| name).join(", ");
        format!("no document is called `{name}` (there are: {known})")
    })?;
    Ok(serde_json::from_str(text)?)
}

/// A schema that stands alone: the documents it is made of are among its definitions.
fn bundle(name: &str) -> anyhow::Result<Value> {
    let mut root = document(name)?;
    let mut definitions = Map::new();
    let mut wanted = Vec::new();
    references(&Value::Object(root.clone()), &mut wanted);
    if let Some(Value::Object(own)) = root.remove("$defs") {
        definitions.extend(own);
    }
    for part in wanted {
        if definitions.contains_key(&part) {
            continue;
        }
        let mut part_document = document(&part)?;
        part_document.remove("$schema");
        if let Some(Value::Object(own)) = part_document.remove("$defs") {
            definitions.extend(own);
        }
        definitions.insert(part, Value::Object(part_document));
    }
    if !definitions.is_empty() {
        root.insert("$defs".to_owned(), Value::Object(definitions));
    }
    Ok(Value::Object(root))
}

/// Adds the names that `value` refers to.
fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            names.extend(name.and_then(|it| it.strip_prefix("#/$defs/")).map(str::to_owned));
            fields.values().for_each(|field| references(field, names));
        }
        _ => {}
    }
}
