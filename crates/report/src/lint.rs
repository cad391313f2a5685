//! What an analysis of rules found: a table for reading, JSON for scripts, SARIF for code scanning.

use std::collections::BTreeMap;
use std::fmt::Write;

use parefeu_policy::Span;
use parefeu_policy::analysis::{Finding, FindingKind, RuleList, RuleReference, Weight};
use serde_json::{Value, json};

use crate::FirewallInfo;
use crate::table::bare_table;

/// The findings about one firewall, in the order of its text.
#[derive(Clone, Debug)]
pub struct LintReport<'a> {
    /// The firewall.
    pub info: FirewallInfo<'a>,
    /// The findings to report.
    pub findings: &'a [Finding],
}

impl LintReport<'_> {
    /// File, line and column of a place; the file as the user named it where nothing is written.
    fn place(&self, at: Span) -> (String, Option<(u32, u32)>) {
        match self.info.firewall.sources.of(at) {
            Some(source) => (source.name().to_owned(), Some(source.position(at.start))),
            None => (self.info.file.to_owned(), None),
        }
    }

    /// How many rules stand in the text; translations are not counted.
    fn rules(&self) -> usize {
        self.info.firewall.rules.iter().filter(|rule| !rule.implied).count()
    }

    fn list_name(&self, list: RuleList) -> &str {
        match list {
            RuleList::RuleBase(id) => &self.info.firewall.rule_bases[id.index()].name,
            RuleList::DestinationNat => "destination translation",
            RuleList::SourceNat => "source translation",
        }
    }
}

/// The findings as a table, the gravest first, at most `width` columns wide. Of each kind of
/// information `most` rows are shown; the rest is counted.
pub fn lint_table(report: &LintReport<'_>, width: u16, most: usize) -> String {
    let mut text = String::new();
    let FirewallInfo { file, dialect, firewall, .. } = &report.info;
    let count = |weight| report.findings.iter().filter(|it| it.weight == weight).count();
    let _ = writeln!(
        text,
        "{file}: {dialect}, {} rules; {} serious, {} warnings, {} for information",
        report.rules(),
        count(Weight::Serious),
        count(Weight::Warning),
        count(Weight::Information)
    );
    if report.findings.is_empty() {
        return text;
    }
    let mut ordered: Vec<&Finding> = report.findings.iter().collect();
    ordered.sort_by_key(|finding| std::cmp::Reverse(finding.weight));
    let mut shown: BTreeMap<FindingKind, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for finding in ordered {
        let shown = shown.entry(finding.kind).or_default();
        *shown += 1;
        if *shown > most && finding.weight == Weight::Information {
            continue;
        }
        let line = report.place(finding.at).1.map_or_else(|| "-".to_owned(), |it| it.0.to_string());
        let mut what = finding.message.clone();
        if let Some(list) = finding.rules.first().map(|rule| report.list_name(rule.list))
            && !what.contains(list)
            && firewall.rule_bases.len() > 1
        {
            let _ = write!(what, " [{list}]");
        }
        // What to do about a kind of finding is said once.
        if !finding.help.is_empty() && *shown == 1 {
            let _ = write!(what, "\n→ {}", finding.help);
        }
        rows.push([finding.weight.name().to_owned(), line, finding.kind.name().to_owned(), what]);
    }
    let mut table = bare_table(&["severity", "line", "finding", "what, and what to do"], width);
    table.add_rows(rows);
    let _ = writeln!(text, "\n{}", table.trim_fmt());
    for (kind, count) in shown {
        let informative = |it: &&Finding| it.kind == kind && it.weight == Weight::Information;
        let hidden = report.findings.iter().filter(informative).count();
        if count > most && hidden > 0 {
            let _ = writeln!(text, "{count} {} in all; -v shows every one", kind.name());
        }
    }
    text
}

/// `parefeu/lint/1`: the findings about each firewall.
pub fn lint_document(reports: &[LintReport<'_>]) -> Value {
    let files: Vec<Value> = reports
        .iter()
        .map(|report| {
            let FirewallInfo { file, sha256, dialect, .. } = &report.info;
            let findings: Vec<Value> =
                report.findings.iter().map(|finding| finding_document(report, finding)).collect();
            json!({
                "file": file,
                "sha256": sha256,
                "dialect": dialect,
                "rules": report.rules(),
                "findings": findings,
            })
        })
        .collect();
    json!({ "schema": "parefeu/lint/1", "files": files })
}

/// One finding, as in [`lint_document`].
pub fn finding_document(report: &LintReport<'_>, finding: &Finding) -> Value {
    let (file, position) = report.place(finding.at);
    let first = finding.rules.first();
    let references = |rules: &[RuleReference]| -> Vec<Value> {
        rules.iter().map(|rule| reference_document(report, rule)).collect()
    };
    json!({
        "code": finding.kind.name(),
        "severity": finding.weight.name(),
        "file": file,
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
        "rule": first.map(|rule| &*rule.name),
        "rule_base": first.map(|rule| report.list_name(rule.list)),
        "subject": Some(&finding.subject).filter(|subject| !subject.is_empty()),
        "shadowed": finding.shadowed(),
        "rules": references(&finding.rules),
        "by": references(&finding.by),
        "message": finding.message,
        "help": finding.help,
    })
}

fn reference_document(report: &LintReport<'_>, rule: &RuleReference) -> Value {
    let position = report.place(rule.at).1;
    json!({
        "name": rule.name,
        "rule_base": report.list_name(rule.list),
        "position": rule.position + 1,
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
    })
}

/// SARIF 2.1.0, one run for all firewalls.
pub fn lint_sarif(reports: &[LintReport<'_>]) -> Value {
    let rules: Vec<Value> = FindingKind::ALL
        .iter()
        .map(|kind| json!({ "id": kind.name(), "shortDescription": { "text": kind.about() } }))
        .collect();
    let results: Vec<Value> = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(move |finding| sarif_result(report, finding)))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "parefeu",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn sarif_result(report: &LintReport<'_>, finding: &Finding) -> Value {
    let level = match finding.weight {
        Weight::Information => "note",
        Weight::Warning => "warning",
        Weight::Serious => "error",
    };
    let rule_index = FindingKind::ALL.iter().position(|kind| *kind == finding.kind);
    let related: Vec<Value> = finding
        .by
        .iter()
        .map(|rule| {
            let mut location = sarif_location(report, rule.at);
            location["message"] = json!({ "text": rule.to_string() });
            location
        })
        .collect();
    let text = if finding.help.is_empty() {
        format!("{}.", finding.message)
    } else {
        format!("{}; {}.", finding.message, finding.help)
    };
    json!({
        "ruleId": finding.kind.name(),
        "ruleIndex": rule_index,
        "level": level,
        "message": { "text": text },
        "locations": [sarif_location(report, finding.at)],
        "relatedLocations": related,
    })
}

fn sarif_location(report: &LintReport<'_>, at: Span) -> Value {
    let (file, position) = report.place(at);
    let mut place = json!({ "artifactLocation": { "uri": uri(&file) } });
    if let Some((line, column)) = position {
        place["region"] = json!({ "startLine": line, "startColumn": column });
    }
    json!({ "physicalLocation": place })
}

/// A path as a URI reference (RFC 3986 §2.1).
fn uri(path: &str) -> String {
    let mut text = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_becomes_a_uri_reference() {
        assert_eq!(uri("old/fw 1.cfg"), "old/fw%201.cfg");
        assert_eq!(uri("/etc/été"), "file:///etc/%C3%A9t%C3%A9");
    }
}
