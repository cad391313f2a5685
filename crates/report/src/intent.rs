//! Intents held against both firewalls, as JSON and in words.

use std::fmt::Write;

use parefeu_equivalence::{Assumption, Finding, Intent, Proved, Side, Standing};
use serde_json::{Value, json};

use crate::gap::{gap_document, unanswered};
use crate::region::{flow_document, place};
use crate::rule::origin_name;
use crate::{DiffReport, FirewallInfo};

/// Intents, with what either firewall makes of them.
#[derive(Clone, Copy, Debug)]
pub struct Intents<'a> {
    /// The file they come from, as the user named it.
    pub file: &'a str,
    /// The intents, in order.
    pub intents: &'a [Intent],
    /// What the old and the new firewall make of each.
    pub proved: &'a [[Proved; 2]],
    /// The lines of the old and the new firewall that decide nothing here and might, without those
    /// the user accepts: with any, nothing is held.
    pub doubts: &'a [Vec<Assumption>; 2],
}

impl Intents<'_> {
    /// What becomes of an intent on a side, these lines considered.
    pub(crate) fn standing(&self, proved: &Proved, side: usize) -> Standing {
        match proved.standing {
            Standing::Held if !self.doubts[side].is_empty() => Standing::Undecided,
            standing => standing,
        }
    }

    /// How often an intent comes to this on either side.
    pub fn count(&self, standing: Standing) -> usize {
        let sides = self.proved.iter().flat_map(|proved| proved.iter().zip([0, 1]));
        sides.filter(|(proved, side)| self.standing(proved, *side) == standing).count()
    }
}

/// Every intent of a comparison.
pub(crate) fn intent_documents(intents: &Intents<'_>, report: &DiffReport<'_>) -> Vec<Value> {
    let documents = intents.intents.iter().zip(intents.proved).map(|(intent, proved)| {
        let side = |at: usize, info| side_document(intents, (&proved[at], at), info, report);
        json!({
            "name": &*intent.name,
            "expect": intent.expect.name(),
            "file": intents.file,
            "line": intent.line,
            "old": side(0, report.old),
            "new": side(1, report.new),
        })
    });
    documents.collect()
}

fn side_document(
    intents: &Intents<'_>,
    (proved, side): (&Proved, usize),
    info: FirewallInfo<'_>,
    report: &DiffReport<'_>,
) -> Value {
    let mut undecided: Vec<Value> = Vec::new();
    let mut regions = Vec::new();
    if let Some(found) = &proved.against {
        let documents = (1..).zip(&found.flows);
        let documents =
            documents.map(|(id, flow)| flow_document(id, flow, &found.answer, info.firewall));
        regions.extend(documents);
        undecided.extend(unanswered(&found.answer.undecided, [info; 2]).iter().map(gap_document));
    } else {
        let text = "a place it names has no partner on this side (--zone-map)";
        undecided.push(json!({ "text": text, "lines": [], "families": [], "from": [] }));
    }
    for doubt in &intents.doubts[side] {
        let lines: Vec<String> = place(doubt.side, doubt.at, report).into_iter().collect();
        let text = format!("{} (--assume {})", doubt.text, doubt.id);
        undecided.push(json!({ "text": text, "lines": lines, "families": [], "from": [] }));
    }
    json!({
        "standing": intents.standing(proved, side).name(),
        "regions": regions,
        "undecided": undecided,
    })
}

/// A line for each intent and firewall.
pub(crate) fn write_intents(text: &mut String, intents: &Intents<'_>, report: &DiffReport<'_>) {
    let _ = writeln!(text, "intents:");
    for (intent, proved) in intents.intents.iter().zip(intents.proved) {
        let place = format!("{}:{}", intents.file, intent.line);
        let _ = writeln!(text, "  {place}: {}: {} expected", intent.name, intent.expect.name());
        let sides = [("old", Side::Old, report.old), ("new", Side::New, report.new)];
        for (at, (name, side, info)) in sides.into_iter().enumerate() {
            let standing = intents.standing(&proved[at], at);
            let mut why = String::new();
            if standing == Standing::Broken {
                let found = proved[at].against.as_ref();
                why = found
                    .and_then(|found| found.certain().next())
                    .map(|flow| format!(": {}", example(flow, side, info, report)))
                    .unwrap_or_default();
            } else if standing == Standing::Undecided {
                let document = side_document(intents, (&proved[at], at), info, report);
                why = doubt(&document);
            }
            let _ = writeln!(text, "    {name} {}{why}", standing.name());
        }
    }
}

/// One packet that is not treated as expected, and what decides on it.
fn example(flow: &Finding, side: Side, info: FirewallInfo<'_>, report: &DiffReport<'_>) -> String {
    let mut text = crate::witness::flow(&flow.witness);
    if let Some(origin) = flow.old.deciders.first() {
        let rule = origin.rule.map(|id| info.firewall.rule(id).at);
        let line = rule.and_then(|at| place(side, at, report));
        let line = line.map(|line| format!(" ({line})")).unwrap_or_default();
        let _ = write!(text, ", by {}{line}", origin_name(*origin, info.firewall));
    }
    text
}

/// The first reason why something is not known.
fn doubt(document: &Value) -> String {
    let first = document["undecided"].get(0);
    let Some(first) = first else { return ": it rests on what the text does not tell".to_owned() };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = first["lines"].get(0).map(|line| format!("{}: ", word(line))).unwrap_or_default();
    format!(": {line}{}", word(&first["text"]))
}
