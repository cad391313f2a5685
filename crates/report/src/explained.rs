//! Rules explained by one another, and findings by the objects that were edited.

use std::fmt::Write;

use parefeu_equivalence::{Edit, Edited, Explanation, Mapping, Origin};
use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, RuleId};
use serde_json::{Value, json};

use crate::packets::{Part, Term, networks, range_text};
use crate::rule::origin_name;
use crate::{Detail, DiffReport};

/// Changes of an object written out; more are counted.
const MOST_CHANGES: usize = 16;

/// `rule_mapping` of `parefeu/diff/1`.
pub(crate) fn mapping_documents(explained: &Explanation, report: &DiffReport<'_>) -> Vec<Value> {
    let documents = explained.mapping.iter().map(|Mapping { old, new, whole }| {
        let new = new.iter().map(|carrier| {
            let mut document = rule_document(carrier.rule, report.new.firewall);
            document["share"] = carrier.share.into();
            document
        });
        let new: Vec<Value> = new.collect();
        json!({ "old": rule_document(*old, report.old.firewall), "new": new, "at_least": !whole })
    });
    documents.collect()
}

/// `idle_rules` of `parefeu/diff/1`; rules of which it is not known stand apart.
pub(crate) fn idle_document(explained: &Explanation, report: &DiffReport<'_>) -> Value {
    let firewalls = [report.old.firewall, report.new.firewall];
    let list = |rules: &[Vec<RuleId>; 2], side: usize| -> Vec<Value> {
        rules[side].iter().map(|id| rule_document(Some(*id), firewalls[side])).collect()
    };
    let Explanation { idle, open, .. } = explained;
    json!({
        "old": list(idle, 0),
        "new": list(idle, 1),
        "undecided": { "old": list(open, 0), "new": list(open, 1) },
    })
}

fn rule_document(rule: Option<RuleId>, firewall: &LinkedFirewall) -> Value {
    let line = rule.map(|id| firewall.line_of(id)).filter(|line| *line > 0);
    let rule_base = rule.and_then(|id| firewall.rule_base_of(id)).map(|base| &*base.name);
    json!({ "name": called(rule, firewall), "line": line, "rule_base": rule_base })
}

fn called(rule: Option<RuleId>, firewall: &LinkedFirewall) -> String {
    origin_name(Origin { rule, ..Origin::default() }, firewall)
}

/// Puts the names either side has for addresses in the place of longer lists.
pub(crate) fn by_name(parts: &mut [Part], detail: &Detail) {
    let [old, new] = &detail.names;
    for Part { term, values } in parts {
        let names = match term {
            Term::Source => [&old.source, &new.source],
            Term::Destination => [&old.destination, &new.destination],
            _ => continue,
        };
        let shorter = |names: &&Vec<Box<str>>| !names.is_empty() && names.len() < values.len();
        if let Some(names) = names.into_iter().find(shorter) {
            *values = names.iter().map(ToString::to_string).collect();
        }
    }
}

/// `object web: +192.0.2.9/32, -192.0.2.8/32`.
pub(crate) fn edit_text(edit: &Edit) -> String {
    let mut changes = edit_changes(edit);
    let more = changes.len().saturating_sub(MOST_CHANGES);
    changes.truncate(MOST_CHANGES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("object {}: {}{more}", edit.object, changes.join(", "))
}

/// What was put into an object, and what was taken out: `+192.0.2.9/32`, `-192.0.2.8/32`.
pub(crate) fn edit_changes(edit: &Edit) -> Vec<String> {
    let texts = |set: &Ranges, sign: char| -> Vec<String> {
        let ranges = set.as_slice().iter();
        let texts = ranges.flat_map(|&(first, last)| match edit.of {
            Edited::Addresses(family) => networks(first, last, family),
            Edited::Services => service_texts(first, last),
        });
        texts.map(|text| format!("{sign}{text}")).collect()
    };
    [texts(&edit.added, '+'), texts(&edit.removed, '-')].concat()
}

/// A range of services: each a protocol, then its ports, or type and code.
fn service_texts(first: u128, last: u128) -> Vec<String> {
    let numbers = |protocol: u128| {
        let (from, to) = (first.max(protocol << 16), last.min(protocol << 16 | 0xffff));
        (from & 0xffff, to & 0xffff)
    };
    let texts = (first >> 16..=last >> 16).map(|protocol| {
        let (name, (from, to)) = (Protocol(protocol as u8), numbers(protocol));
        match (from, to) {
            (0, 0xffff) => name.to_string(),
            _ if !name.is_icmp() => format!("{name}/{}", range_text(from, to)),
            _ if from == to => format!("{name}/{}/{}", from >> 8, from & 0xff),
            _ => format!("{name}/{}", range_text(from >> 8, to >> 8)),
        }
    });
    texts.collect()
}

/// Old rules whose traffic several new ones decide, and rules that decide nothing, in words.
pub(crate) fn explanation_text(explained: &Explanation, report: &DiffReport<'_>) -> String {
    let mut text = String::new();
    let split: Vec<&Mapping> = explained.mapping.iter().filter(|it| it.new.len() > 1).collect();
    if !split.is_empty() {
        let _ = writeln!(text, "old rules carried by several new ones:");
    }
    for Mapping { old, new, whole } in split.iter().take(MOST_LINES) {
        let bound = if *whole { "" } else { "at least " };
        let shares = new.iter().take(MOST_CARRIERS).map(|carrier| {
            let name = called(carrier.rule, report.new.firewall);
            format!("{name} {bound}{}", percent(carrier.share))
        });
        let mut shares: Vec<String> = shares.collect();
        if let more @ 1.. = new.len().saturating_sub(MOST_CARRIERS) {
            shares.push(format!("{more} more"));
        }
        let _ = writeln!(text, "  {}: {}", called(*old, report.old.firewall), shares.join(", "));
    }
    if let more @ 1.. = split.len().saturating_sub(MOST_LINES) {
        let _ = writeln!(text, "  and {more} more (--format json has them all)");
    }
    for (side, info) in [(0, &report.old), (1, &report.new)] {
        for (rules, what) in
            [(&explained.idle, "decide nothing"), (&explained.open, "may decide nothing")]
        {
            let names = rules[side].iter().take(MOST_LINES);
            let names: Vec<String> = names.map(|id| called(Some(*id), info.firewall)).collect();
            if !names.is_empty() {
                let all = rules[side].len();
                let names = names.join(", ");
                let _ = writeln!(text, "{all} rules of {} {what}: {names}", info.file);
            }
        }
    }
    text
}

/// Lines of a list, or names in one, at most.
const MOST_LINES: usize = 50;

/// New rules named for one old rule, at most.
const MOST_CARRIERS: usize = 4;

/// A share in words that never says *all* or *nothing* of a part.
fn percent(share: f64) -> String {
    match share * 100.0 {
        it if share < 1.0 && it > 99.9 => "over 99.9%".to_owned(),
        it if it < 0.1 => "under 0.1%".to_owned(),
        it => format!("{it:.1}%"),
    }
}

#[cfg(test)]
mod tests {
    use parefeu_equivalence::{Family, RegionNames};

    use super::*;

    #[test]
    fn names_stand_where_they_are_the_shorter_list() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let names = |destination: &[&str]| RegionNames {
            destination: destination.iter().map(|name| Box::from(*name)).collect(),
            ..RegionNames::default()
        };
        for (old, new, expected) in [
            (names(&["servers"]), names(&["H-1", "H-2"]), &["servers"][..]),
            (names(&[]), names(&["G-servers"]), &["G-servers"]),
            (names(&["a", "b"]), names(&[]), &["192.0.2.1/32", "192.0.2.9/32"]),
        ] {
            let values = texts(&["192.0.2.1/32", "192.0.2.9/32"]);
            let source = Part { term: Term::Source, values: values.clone() };
            let mut parts = [source.clone(), Part { term: Term::Destination, values }];
            by_name(&mut parts, &Detail { names: [old, new], because: Vec::new() });
            assert_eq!(parts[1].values, texts(expected));
            assert_eq!(parts[0], source);
        }
    }

    #[test]
    fn edits_are_written_as_configurations_write_values() {
        let edit = |of, added: &[(u128, u128)], removed: &[(u128, u128)]| Edit {
            object: "web".into(),
            of,
            added: added.iter().copied().collect(),
            removed: removed.iter().copied().collect(),
        };
        let v4 = Edited::Addresses(Family::V4);
        for (edit, text) in [
            (edit(v4, &[(0x0a00_0009, 0x0a00_0009)], &[]), "object web: +10.0.0.9/32"),
            (
                edit(v4, &[], &[(0x0a00_0000, 0x0a00_00ff), (0x0a01_0001, 0x0a01_0009)]),
                "object web: -10.0.0.0/24, -10.1.0.1-10.1.0.9",
            ),
            (
                edit(
                    Edited::Services,
                    &[((6 << 16) + 80, (6 << 16) + 81)],
                    &[(17 << 16, 18 << 16 | 0xffff)],
                ),
                "object web: +tcp/80-81, -udp, -18",
            ),
            (
                edit(
                    Edited::Services,
                    &[(1 << 16 | 0x300, 1 << 16 | 0x4ff), (1 << 16 | 0x801, 1 << 16 | 0x801)],
                    &[],
                ),
                "object web: +icmp/3-4, +icmp/8/1",
            ),
        ] {
            assert_eq!(edit_text(&edit), text);
        }
    }

    #[test]
    fn a_part_is_never_called_all_or_nothing() {
        let texts = [1.0, 0.999_999, 0.5, 1e-12].map(percent);
        assert_eq!(texts, ["100.0%", "over 99.9%", "50.0%", "under 0.1%"]);
    }
}
