//! Regions, witnesses and assumptions of an exact comparison, as JSON and in words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Subnets, Ipv6Subnets};
use parefeu_equivalence::{
    Acceptance, Decision, Family, Field, Finding, Function, Names, OpenReason, Origin, Outcome,
    ProtocolClass, Side, Translate, Undecided, Unproved, Witness,
};
use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, Span};
use serde_json::{Map, Value, json};

use crate::{DiffReport, Exact, FirewallInfo};

/// Rules named for one side of a region; more are counted.
const MOST_RULES: usize = 64;

/// One region of `parefeu/diff/1`.
pub(crate) fn region_document(
    id: usize,
    finding: &Finding,
    exact: &Exact<'_>,
    report: &DiffReport<'_>,
) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("id", id.into());
    put("change", change(finding).into());
    put("direction", finding.change.name().into());
    put("old", decision_document(&finding.old, report.old.firewall));
    put("new", decision_document(&finding.new, report.new.firewall));
    let applications = exact.answer.applications();
    document.extend(space_document(finding, applications));
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    let rests_on = exact.ids_of(finding);
    if !rests_on.is_empty() {
        put("assumptions", rests_on.into());
    }
    put("witness", witness_document(finding, applications));
    put("packets_log2", finding.packets_log2.into());
    put("sessions", 0.into());
    put("bytes", 0.into());
    put("waived_by", exact.ticket_of(finding).into());
    put("narrowing", (finding.accepted == Some(Acceptance::Narrowing)).into());
    Value::Object(document)
}

/// Flows through one firewall, told as a region is.
pub(crate) fn flow_document(
    id: usize,
    flow: &Finding,
    applications: &[Box<str>],
    firewall: &LinkedFirewall,
) -> Value {
    let mut document = Map::new();
    document.insert("id".to_owned(), id.into());
    if let Value::Object(decision) = decision_document(&flow.old, firewall) {
        document.extend(decision);
    }
    document.extend(space_document(flow, applications));
    document.insert("witness".to_owned(), witness_document(flow, applications));
    document.insert("packets_log2".to_owned(), flow.packets_log2.into());
    Value::Object(document)
}

/// The packets of a region, by field.
fn space_document(finding: &Finding, applications: &[Box<str>]) -> Map<String, Value> {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    for (name, places) in [("from", &finding.from), ("to", &finding.to)] {
        for (prefix, side) in [("", 0), ("new_", 1)] {
            let names = names(places, side);
            if !names.is_empty() && (side == 0 || names != self::names(places, 0)) {
                put(&format!("{prefix}{name}"), names.into());
            }
        }
    }
    for (name, field) in [("source", Field::Src), ("destination", Field::Dst)] {
        if let Some(addresses) = address_texts(finding, &field) {
            put(name, addresses.into());
        }
    }
    if let Some(protocols) = protocol_names(finding) {
        put("protocol", protocols.into());
    }
    let (first, second) = (finding.sets.get(&Field::SrcPort), finding.sets.get(&Field::DstPort));
    if finding.protocols == Some(ProtocolClass::Icmp) {
        if first.is_some() || second.is_some() {
            put("icmp", icmp_texts(first, second).into());
        }
    } else {
        for (name, ports) in [("source_port", first), ("destination_port", second)] {
            if let Some(ports) = ports {
                put(name, range_texts(ports).into());
            }
        }
    }
    if let Some(set) = finding.sets.get(&Field::Application) {
        put("application", application_names(set, applications).into());
    }
    let conditions = conditions(finding);
    if !conditions.is_empty() {
        put("conditions", conditions.into());
    }
    document
}

/// The kind of change: what happens to the packets, or *application* where only what they are
/// recognised as makes the difference.
pub(crate) fn change(finding: &Finding) -> &'static str {
    if finding.by_application { "application" } else { finding.change.name() }
}

fn decision_document(decision: &Decision, firewall: &LinkedFirewall) -> Value {
    let rules = decision.deciders.iter().take(MOST_RULES);
    let rules: Vec<Value> = rules.map(|origin| origin_document(*origin, firewall)).collect();
    let mut document = json!({ "verdict": verdict(&decision.outcome), "rules": rules });
    if let Some(more @ 1..) = decision.deciders.len().checked_sub(MOST_RULES) {
        document["rules_omitted"] = more.into();
    }
    if let Outcome::Allow(translate) = &decision.outcome
        && *translate != Translate::default()
    {
        document["translated"] = translate_document(translate);
    }
    document
}

/// The verdict of an outcome, as `test` names it.
pub(crate) fn verdict(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Outside => "outside",
        Outcome::Allow(_) => "allow",
        Outcome::Deny(how) => how.split(' ').next().unwrap_or("deny"),
    }
}

fn origin_document(origin: Origin, firewall: &LinkedFirewall) -> Value {
    let Some(id) = origin.rule else { return json!({ "name": "default", "line": null }) };
    let rule_base = firewall.rule_base_of(id).map(|rule_base| &*rule_base.name);
    let mut document = json!({
        "name": rule_name(origin, firewall),
        "line": line(firewall, firewall.rule(id).at),
        "rule_base": rule_base,
    });
    let tables = [
        ("destination_nat", origin.destination_nat, &firewall.destination_nat),
        ("source_nat", origin.source_nat, &firewall.source_nat),
    ];
    for (name, index, table) in tables {
        if let Some(rule) = index.and_then(|at| table.rules.get(at as usize)) {
            document[name] = json!({ "name": &*rule.name, "line": line(firewall, rule.at) });
        }
    }
    document
}

/// What reports call the rule that decides.
pub(crate) fn rule_name(origin: Origin, firewall: &LinkedFirewall) -> String {
    match origin.rule {
        None => "default".to_owned(),
        Some(id) if firewall.rule(id).name.is_empty() => format!("rule {}", id.0),
        Some(id) => firewall.rule(id).name.to_string(),
    }
}

fn line(firewall: &LinkedFirewall, at: Span) -> Value {
    match firewall.sources.line_number(at) {
        0 => Value::Null,
        line => line.into(),
    }
}

fn translate_document(translate: &Translate) -> Value {
    let mut document = Map::new();
    let fields = [
        ("source", &translate.src, true),
        ("source_port", &translate.src_port, false),
        ("destination", &translate.dst, true),
        ("destination_port", &translate.dst_port, false),
    ];
    for (name, function, is_address) in fields {
        let text = match function {
            Function::Keep => continue,
            Function::Constant(value) if is_address => address(*value, guess(*value)).to_string(),
            Function::Constant(value) => value.to_string(),
            Function::Shift(by) => format!("shifted by {}", by.cast_signed()),
            Function::Chosen(from) => from.to_string(),
        };
        document.insert(name.to_owned(), text.into());
    }
    document.into()
}

/// The family of an address known by its bits only.
const fn guess(bits: u128) -> Family {
    if bits <= u32::MAX as u128 { Family::V4 } else { Family::V6 }
}

/// The names of places on one side; where that side has none, nothing.
pub(crate) fn names(places: &[Names], side: usize) -> Vec<String> {
    let mut found = Vec::new();
    for names in places {
        let name = names[side].as_ref().or_else(|| names[0].as_ref()).or(names[1].as_ref());
        if let Some(name) = name.map(ToString::to_string).filter(|name| !found.contains(name)) {
            found.push(name);
        }
    }
    found
}

/// The addresses of a field, as networks and ranges; `None` for every address of both families.
pub(crate) fn address_texts(finding: &Finding, field: &Field) -> Option<Vec<String>> {
    let family = finding.family?;
    let Some(set) = finding.sets.get(field) else {
        let all = if family == Family::V4 { "0.0.0.0/0" } else { "::/0" };
        return Some(vec![all.to_owned()]);
    };
    let texts = set.as_slice().iter().flat_map(|&(first, last)| networks(first, last, family));
    Some(texts.collect())
}

/// A range of addresses: as networks where two are enough.
fn networks(first: u128, last: u128, family: Family) -> Vec<String> {
    let ends = [first, last].map(|bits| address(bits, family));
    let networks: Vec<String> = match ends {
        [IpAddr::V4(first), IpAddr::V4(last)] => {
            Ipv4Subnets::new(first, last, 0).take(3).map(|it| it.to_string()).collect()
        }
        [IpAddr::V6(first), IpAddr::V6(last)] => {
            Ipv6Subnets::new(first, last, 0).take(3).map(|it| it.to_string()).collect()
        }
        _ => Vec::new(),
    };
    if networks.len() <= 2 {
        return networks;
    }
    let [first, last] = ends;
    vec![format!("{first}-{last}")]
}

fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(bits as u32).into(),
        Family::V6 => Ipv6Addr::from_bits(bits).into(),
    }
}

/// The protocols; `None` for all of them.
pub(crate) fn protocol_names(finding: &Finding) -> Option<Vec<String>> {
    let class = finding.protocols?;
    let all = class.values();
    let set = finding.sets.get(&Field::Protocol).unwrap_or(&all);
    let set = set.intersection(&all);
    let numbers = set.as_slice().iter().flat_map(|&(first, last)| first..=last);
    Some(numbers.map(|number| Protocol(number as u8).to_string()).collect())
}

/// Numbers as single values and ranges.
pub(crate) fn range_texts(set: &Ranges) -> Vec<String> {
    let text = |&(first, last): &(u128, u128)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    set.as_slice().iter().map(text).collect()
}

/// Types, each with its codes where not all are meant: `8`, `3/1`, `0-7/0`.
pub(crate) fn icmp_texts(types: Option<&Ranges>, codes: Option<&Ranges>) -> Vec<String> {
    let all = Ranges::span(0, u8::MAX.into());
    let types = range_texts(types.unwrap_or(&all));
    let Some(codes) = codes else { return types };
    let codes = range_texts(codes);
    types.iter().flat_map(|kind| codes.iter().map(move |code| format!("{kind}/{code}"))).collect()
}

/// Applications by name; *other* stands for all that neither side names.
pub(crate) fn application_names(set: &Ranges, names: &[Box<str>]) -> Vec<String> {
    let values = set.as_slice().iter().flat_map(|&(first, last)| first..=last);
    let named = values.filter_map(|value| match value.checked_sub(1) {
        None => Some("other".to_owned()),
        Some(at) => names.get(at as usize).map(ToString::to_string),
    });
    named.collect()
}

/// What else has to hold for a packet to be in the region.
fn conditions(finding: &Finding) -> Vec<Value> {
    let conditions = finding.sets.iter().filter_map(|(field, set)| {
        Some(match field {
            Field::Category(name) => json!({ "category": name, "holds": set.contains(1) }),
            Field::User(name) => json!({ "user": name, "holds": set.contains(1) }),
            Field::Atom(text) => json!({ "text": text, "holds": set.contains(1) }),
            Field::Device => json!({ "device": range_texts(set) }),
            Field::Time => json!({ "time": range_texts(set) }),
            Field::State | Field::Flags | Field::Ingress | Field::Egress => {
                json!({ "field": format!("{field:?}").to_lowercase(), "values": range_texts(set) })
            }
            _ => return None,
        })
    });
    conditions.collect()
}

fn witness_document(finding: &Finding, applications: &[Box<str>]) -> Value {
    let Witness { src, dst, protocol, ports, icmp, .. } = &finding.witness;
    let (src_port, dst_port) = ports.unwrap_or_default();
    let way = &finding.witness_way;
    let [old, new] = &finding.opinions;
    let name = |names: Option<&Names>, side: usize| {
        let [old, new] = names?;
        let name = if side == 0 { old.as_ref().or(new.as_ref()) } else { new.as_ref() };
        name.map(ToString::to_string)
    };
    let to = [old, new].map(|opinion| opinion.leaves.as_ref().map(ToString::to_string));
    let [to_old, to_new] = to;
    let to_old = name(way.to.as_ref(), 0).or(to_old).or_else(|| to_new.clone());
    let mut document = json!({
        "from": name(Some(&way.from), 0),
        "to": to_old,
        "source": src.to_string(),
        "destination": dst.to_string(),
        "protocol": protocol.to_string(),
        "source_port": src_port,
        "destination_port": dst_port,
    });
    let new_names =
        [("from", name(Some(&way.from), 1)), ("to", name(way.to.as_ref(), 1).or(to_new))];
    for (field, name) in new_names {
        if let Some(name) = name.filter(|name| document[field] != **name) {
            document[format!("new_{field}")] = name.into();
        }
    }
    if let Some((kind, code)) = icmp {
        document["icmp_type"] = (*kind).into();
        document["icmp_code"] = (*code).into();
    }
    let mut holding = Vec::new();
    for (field, value) in &finding.witness.others {
        match field {
            Field::Application => {
                let names = application_names(&Ranges::one(*value), applications);
                document["application"] = names.first().cloned().into();
            }
            Field::User(name) if *value == 1 => document["source_user"] = (&**name).into(),
            Field::Category(name) if *value == 1 => document["category"] = (&**name).into(),
            Field::Atom(text) => holding.push(json!({ "text": text, "holds": *value == 1 })),
            _ => {}
        }
    }
    if !holding.is_empty() {
        document["conditions"] = holding.into();
    }
    document
}

/// What has no answer, with the lines that cause it.
pub(crate) fn undecided_documents(exact: &Exact<'_>, report: &DiffReport<'_>) -> Vec<Value> {
    if exact.conclusion.identical {
        return Vec::new();
    }
    let mut found = unanswered(&exact.answer.undecided, [report.old, report.new]);
    for (names, side) in exact.conclusion.unpaired.iter().zip(["old", "new"]) {
        for name in names {
            let text = format!("`{name}` of the {side} firewall has no partner (--zone-map)");
            found.push(json!({ "text": text, "lines": [], "families": [], "from": [&**name] }));
        }
    }
    let contradicted = exact.findings.iter().filter(|it| it.is_contradicted()).count();
    if contradicted > 0 {
        let text = format!("{contradicted} regions contradict the reference evaluation: a defect");
        found.push(json!({ "text": text, "lines": [], "families": [], "from": [] }));
    }
    found
}

/// The parts of a question that have no answer, each line once.
pub(crate) fn unanswered(undecided: &[Undecided], firewalls: [FirewallInfo<'_>; 2]) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for it in undecided {
        let from: Vec<Names> = it.crossings.iter().map(|way| way.from.clone()).collect();
        let (text, lines) = because(&it.because, firewalls);
        let family = if it.family == Family::V4 { "ipv4" } else { "ipv6" };
        let same = |known: &&mut Value| known["text"] == *text && known["lines"] == json!(lines);
        let place = json!(names(&from, 0));
        match found.iter_mut().find(same) {
            // The same line is often in the way of every protocol, family and place.
            Some(known) => {
                for (field, value) in [("families", json!([family])), ("from", place)] {
                    let values = value.as_array().cloned().unwrap_or_default();
                    if let Some(list) = known[field].as_array_mut() {
                        let new = values.into_iter().filter(|value| !list.contains(value));
                        let new: Vec<Value> = new.collect();
                        list.extend(new);
                    }
                }
            }
            None => found.push(json!({
                "text": text, "lines": lines, "families": [family], "from": place,
            })),
        }
    }
    found
}

fn because(because: &Unproved, firewalls: [FirewallInfo<'_>; 2]) -> (String, Vec<String>) {
    match because {
        Unproved::NotWrittenOut { side, at, obstacle } => {
            (obstacle.to_string(), place_of(*side, *at, firewalls).into_iter().collect())
        }
        Unproved::Open { reason, boxes, involved } => {
            let lines = involved.iter().filter_map(|(side, origin)| {
                let firewall = side_of(*side, firewalls).firewall;
                place_of(*side, firewall.rule(origin.rule?).at, firewalls)
            });
            let reason = match reason {
                OpenReason::Work => "the work limit was reached",
                OpenReason::Boxes => "the limit of boxes was reached",
                OpenReason::WithinClass => "the sides agree on part of a class",
                OpenReason::NoDecision => "a list decides nothing",
            };
            (format!("{reason}: {boxes} boxes are open"), lines.collect())
        }
    }
}

const fn side_of(side: Side, [old, new]: [FirewallInfo<'_>; 2]) -> FirewallInfo<'_> {
    match side {
        Side::Old => old,
        Side::New => new,
    }
}

/// `file:line`; `None` for what no line states.
pub(crate) fn place(side: Side, at: Span, report: &DiffReport<'_>) -> Option<String> {
    place_of(side, at, [report.old, report.new])
}

fn place_of(side: Side, at: Span, firewalls: [FirewallInfo<'_>; 2]) -> Option<String> {
    let info = side_of(side, firewalls);
    let line = info.firewall.sources.line_number(at);
    (line > 0).then(|| format!("{}:{line}", info.file))
}
