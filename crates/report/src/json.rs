//! JSON documents, with the fields scripts rely on.

use parefeu_equivalence::{Pairing, Weighed};
use parefeu_policy::LinkedFirewall;
use parefeu_replay::{DifferenceClass, Group, GroupSide, RuleHits};
use serde_json::{Map, Value, json};

use crate::asked::asked_document;
use crate::behaviour::setting_documents;
use crate::explained::{idle_document, mapping_documents};
use crate::gap::{gap_document, gaps, untold};
use crate::intent::intent_documents;
use crate::region::{apart_document, place, region_document};
use crate::rule::rule_line;
use crate::session::FlowDocument;
use crate::timer::timer_documents;
use crate::waiver::waiver_documents;
use crate::{DiffReport, Exact, FirewallInfo, Following, Remark};

/// `parefeu/diff/1`.
pub fn diff_document(report: &DiffReport<'_>) -> Value {
    let captures: Vec<Value> = report
        .captures
        .iter()
        .map(|capture| {
            json!({
                "file": capture.file,
                "sha256": capture.sha256,
                "frames": capture.frames,
                "ended_early": capture.ended_early,
            })
        })
        .collect();
    let exact = report.exact.as_ref();
    let findings = exact.map_or(&[][..], |exact| exact.findings);
    let regions = (1..)
        .zip(findings)
        .filter_map(|(id, finding)| Some(region_document(id, finding, exact?, report)));
    let gaps = exact.map_or_else(Vec::new, |exact| gaps(exact, report));
    let intents = exact.and_then(|exact| exact.intents.as_ref());
    let mut document = json!({
        "schema": "parefeu/diff/1",
        "verdict": report.verdict.name(),
        "old": firewall_document(&report.old),
        "new": firewall_document(&report.new),
        "assumptions": exact.map_or_else(Vec::new, |exact| assumptions(exact, report)),
        "told_by_neither": exact.map_or_else(Vec::new, |exact| untold_documents(exact, report)),
        "not_modelled": remark_documents(report.not_modelled),
        "suspicious": remark_documents(report.suspicious),
        "asked": exact.map_or(Value::Null, |exact| asked_document(exact.asked)),
        "pairing": exact.map_or_else(Vec::new, pairing),
        "captures": captures,
        "clock_held": report.clock_held,
        "regions": regions.collect::<Vec<Value>>(),
        "waivers": exact.map_or_else(Vec::new, waiver_documents),
        "intents": intents.map_or_else(Vec::new, |intents| intent_documents(intents, report)),
        "return_traffic": exact.map_or(Value::Null, |it| apart(it, it.following, report)),
        "packets_by_state": exact.map_or(Value::Null, |it| apart(it, it.by_state, report)),
        "logging_compared": exact.is_some_and(|exact| exact.records.is_some()),
        "undecided": gaps.iter().map(gap_document).collect::<Vec<Value>>(),
        "timers": timer_documents(report),
        "session_settings": setting_documents(report),
        "traffic": traffic(report),
        "certificate": exact.and_then(|exact| exact.certificate),
    });
    if let Some(explained) = exact.and_then(|exact| exact.explained) {
        document["rule_mapping"] = mapping_documents(explained, report).into();
        document["idle_rules"] = idle_document(explained, report);
    }
    document
}

fn remark_documents(remarks: &[Remark]) -> Vec<Value> {
    let document = |it: &Remark| json!({ "file": it.file, "line": it.line, "text": it.text });
    remarks.iter().map(document).collect()
}

/// What differs beside first packets; `null` where nothing had to be compared.
fn apart(exact: &Exact<'_>, found: Option<Following<'_>>, report: &DiffReport<'_>) -> Value {
    let Some(Following { answer, findings }) = found else { return Value::Null };
    let documents = (1..).zip(findings);
    let documents = documents.map(|(id, it)| apart_document(id, it, (exact, answer), report));
    json!({ "regions": documents.collect::<Vec<Value>>() })
}

fn assumptions(exact: &Exact<'_>, report: &DiffReport<'_>) -> Vec<Value> {
    let documents = exact.conclusion.assumptions.iter().map(|it| {
        let lines: Vec<String> = place(it.side, it.at, report).into_iter().collect();
        let accepted = exact.accepted.contains(&it.id);
        json!({ "id": it.id, "text": it.text, "lines": lines, "accepted": accepted })
    });
    documents.collect()
}

fn untold_documents(exact: &Exact<'_>, report: &DiffReport<'_>) -> Vec<Value> {
    let documents = untold(exact, report).into_iter();
    documents.map(|(text, lines)| json!({ "text": text, "lines": lines })).collect()
}

/// The places of both sides that stand for each other; `null` for one without a name.
fn pairing(exact: &Exact<'_>) -> Vec<Value> {
    let Pairing { old, new, pairs } = &exact.asked.pairing;
    let documents = pairs.iter().map(|pair| {
        let names = (old.gates[pair.old].name.as_deref(), new.gates[pair.new].name.as_deref());
        json!({ "old": names.0, "new": names.1, "by": pair.by.name() })
    });
    documents.collect()
}

fn firewall_document(info: &FirewallInfo<'_>) -> Value {
    json!({ "file": info.file, "sha256": info.sha256, "dialect": info.dialect })
}

fn traffic(report: &DiffReport<'_>) -> Value {
    let Some(comparison) = report.comparison else { return Value::Null };
    let differences = &comparison.differences;
    let groups: Vec<Value> =
        differences.groups.iter().map(|group| group_document(group, report)).collect();
    let classes: Map<String, Value> = differences
        .totals
        .iter()
        .map(|(class, totals)| {
            let totals = json!({ "sessions": totals.flows, "bytes": totals.bytes });
            (class.name().to_owned(), totals)
        })
        .collect();
    let verdict_bytes: Vec<Value> = differences
        .verdict_bytes
        .iter()
        .map(|((old, new), bytes)| json!({ "old": old.name(), "new": new.name(), "bytes": bytes }))
        .collect();
    let undecodable: Map<String, Value> = differences
        .malformed
        .iter()
        .map(|(reason, frames)| (reason.name().to_owned(), (*frames).into()))
        .collect();
    let (first, last) = differences.span.unzip();
    json!({
        "frames": comparison.frames,
        "first_seen": first.map(|it| it.to_string()),
        "last_seen": last.map(|it| it.to_string()),
        "placed": report.exact.and_then(|exact| exact.weighed).map(placed),
        "sessions": differences.flows(),
        "same": differences.count(DifferenceClass::is_alike),
        "different": differences.different(),
        "undecided": differences.count(DifferenceClass::is_unjudged),
        "model_agreement": differences.model_agreement(),
        "classes": classes,
        "groups": groups,
        "verdict_bytes": verdict_bytes,
        "undecodable": undecodable,
        "rules_hit": {
            "old": coverage(report.old.firewall, &comparison.old_hits),
            "new": coverage(report.new.firewall, &comparison.new_hits),
        },
    })
}

/// Sessions by where their first packet lies in the comparison of every packet.
fn placed(weighed: &Weighed) -> Value {
    let sessions: u64 = weighed.findings.iter().map(|weight| weight.sessions).sum();
    let Weighed { outside, untold, undecided, .. } = weighed;
    json!({
        "in_regions": sessions, "outside": outside, "untold": untold, "undecided": undecided,
    })
}

fn group_document(group: &Group, report: &DiffReport<'_>) -> Value {
    json!({
        "change": group.class.name(),
        "old": side_document(&group.old, report.old.firewall),
        "new": side_document(&group.new, report.new.firewall),
        "sessions": group.flows,
        "packets": group.packets,
        "bytes": group.bytes,
        "sources": group.sources,
        "first_seen": group.first_seen.to_string(),
        "last_seen": group.last_seen.to_string(),
        "refused_at_packet": group.packet_of_refusal,
        "witness": FlowDocument::new(&group.witness, group.witness_icmp),
    })
}

fn side_document(side: &GroupSide, firewall: &LinkedFirewall) -> Value {
    let rule = rule_line(firewall, side.hit);
    json!({
        "verdict": side.verdict.name(),
        "reason": side.reason.name(),
        "rule": rule.name,
        "rule_base": rule.rule_base,
        "line": rule.line,
        "application": side.application.map(parefeu_identify::Application::name),
        "translated": side.translated.map(|flow| FlowDocument::new(&flow, None)),
        "sessions": side.sessions,
        "bytes_before_refusal": side.bytes_before_refusal,
    })
}

fn coverage(firewall: &LinkedFirewall, hits: &RuleHits) -> Value {
    let (rules, hit) = rules_hit(firewall, hits);
    json!({ "rules": rules, "hit": hit, "default_sessions": hits.default_flows })
}

/// How many rules are written and switched on, and how many of the written ones traffic hit.
pub(crate) fn rules_hit(firewall: &LinkedFirewall, hits: &RuleHits) -> (usize, usize) {
    let written = firewall.rules.iter().filter(|rule| !rule.implied && !rule.disabled).count();
    let rules = firewall.rules.iter().zip(&hits.packets);
    let hit = rules.filter(|(rule, packets)| !rule.implied && **packets > 0).count();
    (written, hit)
}
