//! Comma-separated values (RFC 4180) out of JSON documents, for spreadsheets.

use serde_json::Value;

/// A column: its name in the header, and where its value stands in the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CsvColumn {
    /// The name in the header.
    pub name: &'static str,
    /// The value's place (RFC 6901); a part `*` stands for every item of a list.
    pub pointer: &'static str,
}

/// Columns of the same name as the document's fields, and of fields further in.
macro_rules! columns {
    ($($name:literal $(in $pointer:literal)?),+ $(,)?) => {
        &[$(CsvColumn { name: $name, pointer: columns!(@ $name $($pointer)?) }),+]
    };
    (@ $name:literal) => { concat!("/", $name) };
    (@ $name:literal $pointer:literal) => { $pointer };
}

/// The columns of a session (`replay`).
pub const SESSION_COLUMNS: &[CsvColumn] = columns![
    "id",
    "start",
    "end",
    "protocol",
    "source",
    "source_port",
    "destination",
    "destination_port",
    "icmp_type",
    "icmp_code",
    "from",
    "to",
    "application",
    "hostname",
    "url",
    "category",
    "rule",
    "line",
    "verdict",
    "verdict_packet",
    "translated_source" in "/translated/source",
    "translated_source_port" in "/translated/source_port",
    "translated_destination" in "/translated/destination",
    "translated_destination_port" in "/translated/destination_port",
    "packets_to_server" in "/packets/0",
    "packets_to_client" in "/packets/1",
    "bytes_to_server" in "/bytes/0",
    "bytes_to_client" in "/bytes/1",
    "tcp_flags_to_server" in "/tcp_flags/0",
    "tcp_flags_to_client" in "/tcp_flags/1",
    "bytes_before_refusal",
    "end_reason",
];

/// The columns of a packet (`replay --packets`).
pub const PACKET_COLUMNS: &[CsvColumn] = columns![
    "file",
    "number",
    "time",
    "verdict",
    "reason",
    "rule",
    "line",
    "session",
    "translated_source" in "/translated/source",
    "translated_source_port" in "/translated/source_port",
    "translated_destination" in "/translated/destination",
    "translated_destination_port" in "/translated/destination_port",
];

/// The columns of an answer (`test`).
pub const ANSWER_COLUMNS: &[CsvColumn] = columns![
    "index",
    "verdict",
    "rule",
    "line",
    "reason",
    "from",
    "to",
    "translated_source" in "/translated/source",
    "translated_source_port" in "/translated/source_port",
    "translated_destination" in "/translated/destination",
    "translated_destination_port" in "/translated/destination_port",
    "assumptions",
];

/// The columns of a group of sessions not treated alike (`diff`).
pub const GROUP_COLUMNS: &[CsvColumn] = columns![
    "change",
    "sessions",
    "packets",
    "bytes",
    "sources",
    "old_verdict" in "/old/verdict",
    "old_rule" in "/old/rule",
    "old_line" in "/old/line",
    "old_reason" in "/old/reason",
    "new_verdict" in "/new/verdict",
    "new_rule" in "/new/rule",
    "new_line" in "/new/line",
    "new_reason" in "/new/reason",
    "refused_at_packet",
    "bytes_before_refusal" in "/new/bytes_before_refusal",
    "first_seen",
    "last_seen",
    "protocol" in "/witness/protocol",
    "source" in "/witness/source",
    "source_port" in "/witness/source_port",
    "destination" in "/witness/destination",
    "destination_port" in "/witness/destination_port",
];

/// The columns of a region of packets not treated alike (`diff` without traffic).
pub const REGION_COLUMNS: &[CsvColumn] = columns![
    "id",
    "change",
    "direction",
    "old_verdict" in "/old/verdict",
    "old_rules" in "/old/rules/*/name",
    "old_lines" in "/old/rules/*/line",
    "new_verdict" in "/new/verdict",
    "new_rules" in "/new/rules/*/name",
    "new_lines" in "/new/rules/*/line",
    "from",
    "new_from",
    "to",
    "new_to",
    "source",
    "destination",
    "protocol",
    "source_port",
    "destination_port",
    "icmp",
    "application",
    "conditions",
    "old_translated" in "/old/translated",
    "new_translated" in "/new/translated",
    "assumptions",
    "packets_log2",
    "witness_from" in "/witness/from",
    "witness_to" in "/witness/to",
    "witness_protocol" in "/witness/protocol",
    "witness_source" in "/witness/source",
    "witness_source_port" in "/witness/source_port",
    "witness_destination" in "/witness/destination",
    "witness_destination_port" in "/witness/destination_port",
    "witness_icmp_type" in "/witness/icmp_type",
    "witness_icmp_code" in "/witness/icmp_code",
    "old_source_names" in "/old_names/source",
    "old_destination_names" in "/old_names/destination",
    "old_service_names" in "/old_names/service",
    "new_source_names" in "/new_names/source",
    "new_destination_names" in "/new_names/destination",
    "new_service_names" in "/new_names/service",
    "because",
    "waived_by",
    "narrowing",
    "witness_application" in "/witness/application",
    "certain",
];

/// The header line, with its line end.
pub fn csv_header(columns: &[CsvColumn]) -> String {
    line(columns.iter().map(|column| column.name.to_owned()))
}

/// The line of a document, with its line end; what it lacks is empty.
///
/// Items of a list stand in one cell with `; ` in between, the fields of an object as `name value`.
/// A text that a spreadsheet would take for a formula gets an apostrophe in front: names come from
/// configurations, and nothing they hold is to be run.
pub fn csv_row(columns: &[CsvColumn], document: &Value) -> String {
    line(columns.iter().map(|column| inert(value(document, column.pointer))))
}

fn value(document: &Value, pointer: &str) -> String {
    let Some((list, rest)) = pointer.split_once("/*") else {
        return document.pointer(pointer).map_or(String::new(), cell);
    };
    let items = document.pointer(list).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| value(item, rest)).collect::<Vec<_>>().join("; ")
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name} {}", cell(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// `text` as a spreadsheet shows it and does not compute it.
fn inert(text: String) -> String {
    let computed = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let obeyed = |it: char| it.is_control() && !matches!(it, '\t' | '\r' | '\n');
    let text = if text.contains(obeyed) { text.replace(obeyed, " ") } else { text };
    if computed { format!("'{text}") } else { text }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.map(|cell| quote(&cell)).collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

fn quote(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        let columns: &[CsvColumn] = columns!["rule", "port" in "/a/0", "missing", "none"];
        let document = json!({ "rule": "a, \"b\"\n", "a": [443, 8], "none": null });
        assert_eq!(csv_header(columns), "rule,port,missing,none\r\n");
        assert_eq!(csv_row(columns, &document), "\"a, \"\"b\"\"\n\",443,,\r\n");
    }

    #[test]
    fn every_item_of_a_list_stands_in_one_cell() {
        let columns: &[CsvColumn] = columns!["names" in "/rules/*/name", "rules", "none" in "/x/*"];
        let document = json!({ "rules": [{ "name": "a" }, { "name": "b", "line": 4 }] });
        assert_eq!(csv_row(columns, &document), "a; b,\"name a; name b, line 4\",\r\n");
    }

    #[test]
    fn no_cell_is_a_formula() {
        let columns: &[CsvColumn] = columns!["rule", "items"];
        for text in ["=1+1", "+1", "-1", "@sum(a1)", "\tx"] {
            let document = json!({ "rule": text, "items": [text, "b"] });
            assert_eq!(csv_row(columns, &document), format!("'{text},'{text}; b\r\n"));
        }
    }
}
