//! Comma-separated values (RFC 4180) out of JSON documents, for spreadsheets.

use serde_json::Value;

/// A column: its name in the header, and where its value stands in the document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CsvColumn {
    /// The name in the header.
    pub name: &'static str,
    /// The value's place (RFC 6901).
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

/// The header line, with its line end.
pub fn csv_header(columns: &[CsvColumn]) -> String {
    line(columns.iter().map(|column| column.name.to_owned()))
}

/// The line of a document, with its line end; what it lacks is empty.
pub fn csv_row(columns: &[CsvColumn], document: &Value) -> String {
    line(columns.iter().map(|column| document.pointer(column.pointer).map_or(String::new(), cell)))
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
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
}
