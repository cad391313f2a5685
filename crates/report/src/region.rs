//! Regions and witnesses of an exact comparison as JSON, and what the words of all formats need of
//! their decisions.

use std::fmt::Write;

use parefeu_equivalence::{
    Acceptance, Answer, Change, Decision, Family, Field, Finding, Function, Names, Origin, Outcome,
    PacketState, ProtocolClass, Record, RegionNames, Side, Translate, Weight, Witness,
};
use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, LinkedNatRule, Span};
use serde_json::{Map, Value, json};

use crate::explained::edit_text;
use crate::packets::{
    address, address_texts, application_names, few, field_name, flag_texts, flags_set, icmp_texts,
    names, protocol_names, range_texts,
};
use crate::rule::origin_name;
use crate::{Detail, DiffReport, Exact, FirewallInfo};

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
    put("change", Kind::of(finding).name().into());
    put("direction", finding.change.name().into());
    put("certain", finding.certain.into());
    put("old", decision_document(&finding.old, report.old.firewall));
    put("new", decision_document(&finding.new, report.new.firewall));
    document.extend(space_document(finding, exact.answer));
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    let rests_on = exact.ids_of(finding);
    if !rests_on.is_empty() {
        put("assumptions", rests_on.into());
    }
    if let Some(detail) = exact.details.get(id - 1) {
        put_detail(detail, &mut put);
    }
    put("witness", witness_document(finding, exact.answer));
    put("packets_log2", finding.packets_log2.into());
    put_traffic(exact.weight_of(id - 1), &mut put);
    put("waived_by", exact.ticket_of(finding).into());
    put("narrowing", (finding.accepted == Some(Acceptance::Narrowing)).into());
    Value::Object(document)
}

/// Connections of which one firewall refuses what follows, or packets by their state, told as a
/// region is.
pub(crate) fn apart_document(
    id: usize,
    finding: &Finding,
    (exact, answer): (&Exact<'_>, &Answer),
    report: &DiffReport<'_>,
) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
    put("id", id.into());
    put("direction", finding.change.name().into());
    put("certain", finding.certain.into());
    put("old", decision_document(&finding.old, report.old.firewall));
    put("new", decision_document(&finding.new, report.new.firewall));
    match PacketState::of(finding) {
        Some(state) => put("state", state.name().into()),
        None => put("refused", refused(finding).into()),
    };
    document.extend(space_document(finding, answer));
    document.insert("witness".to_owned(), witness_document(finding, answer));
    document.insert("packets_log2".to_owned(), finding.packets_log2.into());
    document.insert("waived_by".to_owned(), exact.ticket_of(finding).into());
    Value::Object(document)
}

/// What is refused of connections that open: `later packets`, `answers`.
pub(crate) fn refused(finding: &Finding) -> &str {
    let outcomes = [&finding.old.outcome, &finding.new.outcome];
    let refusal = outcomes.into_iter().find_map(|outcome| match outcome {
        Outcome::Deny(how) => how.split_once(' '),
        _ => None,
    });
    refusal.map_or("", |(_, what)| what)
}

/// What tells differences apart that are not of first packets: what is refused, or the state.
pub(crate) fn apart_kind(finding: &Finding) -> &str {
    match PacketState::of(finding) {
        Some(state) => state.name(),
        None => refused(finding),
    }
}

/// What is refused of connections a firewall lets in, where it is not their first packets.
pub(crate) fn refused_later(flow: &Finding) -> Option<&str> {
    Some(refused(flow)).filter(|what| ["later packets", "answers"].contains(what))
}

/// Flows through one firewall, told as a region is.
pub(crate) fn flow_document(
    id: usize,
    flow: &Finding,
    answer: &Answer,
    firewall: &LinkedFirewall,
) -> Value {
    let mut document = Map::new();
    document.insert("id".to_owned(), id.into());
    if let Value::Object(decision) = decision_document(&flow.old, firewall) {
        document.extend(decision);
    }
    if let Some(what) = refused_later(flow) {
        document.insert("refused".to_owned(), what.into());
    }
    document.extend(space_document(flow, answer));
    document.insert("witness".to_owned(), witness_document(flow, answer));
    document.insert("packets_log2".to_owned(), flow.packets_log2.into());
    Value::Object(document)
}

/// The packets of a region, by field.
fn space_document(finding: &Finding, answer: &Answer) -> Map<String, Value> {
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
        put("application", application_names(set, answer.applications()).into());
    }
    let conditions = conditions(finding);
    if !conditions.is_empty() {
        put("conditions", conditions.into());
    }
    document
}

/// What its sets are called, and which edited objects account for it.
fn put_detail(detail: &Detail, mut put: impl FnMut(&str, Value) -> Option<Value>) {
    for (name, names) in ["old_names", "new_names"].into_iter().zip(&detail.names) {
        if !names.is_empty() {
            put(name, names_document(names));
        }
    }
    if !detail.because.is_empty() {
        put("because", detail.because.iter().map(edit_text).collect());
    }
}

/// What was seen of a region; without a capture, nothing but zeros.
fn put_traffic(weight: Option<&Weight>, mut put: impl FnMut(&str, Value) -> Option<Value>) {
    put("sessions", weight.map_or(0, |it| it.sessions).into());
    put("bytes", weight.map_or(0, |it| it.bytes).into());
    let Some(weight) = weight else { return };
    let (first, last) = weight.seen.unzip();
    put("sources", weight.sources.into());
    put("first_seen", first.map(|it| it.to_string()).into());
    put("last_seen", last.map(|it| it.to_string()).into());
}

/// What one side calls the sets of a region; a set without a name is not listed.
fn names_document(names: &RegionNames) -> Value {
    let RegionNames { source, destination, service } = names;
    let fields = [("source", source), ("destination", destination), ("service", service)];
    let named = fields.into_iter().filter(|(_, names)| !names.is_empty());
    named.map(|(field, names)| (field.to_owned(), json!(names))).collect::<Map<_, _>>().into()
}

/// The kind of change: what happens to the packets, or *application* where only what they are
/// recognised as makes the difference.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    Closed,
    Opened,
    Application,
    Translation,
    Refusal,
    Logging,
}

impl Kind {
    /// As a reader wants them: what loses service, what opens, then what else changes.
    pub(crate) const ALL: [Self; 6] = [
        Self::Closed,
        Self::Opened,
        Self::Application,
        Self::Translation,
        Self::Refusal,
        Self::Logging,
    ];

    /// The kind of a region.
    pub(crate) const fn of(finding: &Finding) -> Self {
        match finding.change {
            _ if finding.by_application => Self::Application,
            Change::Closed => Self::Closed,
            Change::Opened => Self::Opened,
            Change::Translation => Self::Translation,
            Change::Refusal => Self::Refusal,
            Change::Logging => Self::Logging,
        }
    }

    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Opened => "opened",
            Self::Application => "application",
            Self::Translation => "translation",
            Self::Refusal => "refusal",
            Self::Logging => "logging",
        }
    }
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
    if let Outcome::Recorded(Record { log, profiles, .. }) = &decision.outcome {
        document["log"] = (*log).into();
        document["profiles"] = json!(profiles);
    }
    document
}

/// The verdict of an outcome, as `test` names it.
pub(crate) fn verdict(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Outside => "outside",
        Outcome::Allow(_) | Outcome::Recorded(Record { refusal: None, .. }) => "allow",
        Outcome::Deny(how) | Outcome::Recorded(Record { refusal: Some(how), .. }) => {
            match how.split(' ').next() {
                // By an ICMP error.
                Some("reject") => "reset",
                verdict => verdict.unwrap_or("deny"),
            }
        }
    }
}

/// What is recorded of packets, where that is compared: `not logged`, `logged, profiles strict`.
pub(crate) fn record_text(outcome: &Outcome) -> Option<String> {
    let Outcome::Recorded(record) = outcome else { return None };
    let logged = if record.log { "logged" } else { "not logged" };
    Some(match &record.profiles[..] {
        [] => logged.to_owned(),
        profiles => format!("{logged}, profiles {}", profiles.join(", ")),
    })
}

/// The verdict and the first of the rules that may decide: `allow web-in, mail-in`.
pub(crate) fn decision_text(decision: &Decision, firewall: &LinkedFirewall) -> String {
    let names = decision.deciders.iter().map(|origin| origin_name(*origin, firewall));
    let mut text = format!("{} {}", verdict(&decision.outcome), few(names.collect()));
    if let Some(record) = record_text(&decision.outcome) {
        let _ = write!(text, " ({record})");
    }
    text
}

fn origin_document(origin: Origin, firewall: &LinkedFirewall) -> Value {
    let Some(id) = origin.rule else { return json!({ "name": "default", "line": null }) };
    let rule_base = firewall.rule_base_of(id).map(|rule_base| &*rule_base.name);
    let mut document = json!({
        "name": origin_name(origin, firewall),
        "line": line(firewall, firewall.rule(id).at),
        "rule_base": rule_base,
    });
    for (name, rule) in translations(origin, firewall) {
        document[name] = json!({ "name": &*rule.name, "line": line(firewall, rule.at) });
    }
    document
}

/// The translations that apply before a rule decides or after it has let the packet through, by
/// their names in JSON.
pub(crate) fn translations(
    origin: Origin,
    firewall: &LinkedFirewall,
) -> impl Iterator<Item = (&'static str, &LinkedNatRule)> {
    let tables = [
        ("destination_nat", origin.destination_nat, &firewall.destination_nat),
        ("source_nat", origin.source_nat, &firewall.source_nat),
    ];
    let found = tables.into_iter();
    found.filter_map(|(name, at, table)| Some((name, table.rules.get(at? as usize)?)))
}

fn line(firewall: &LinkedFirewall, at: Span) -> Value {
    match firewall.sources.line_number(at) {
        0 => Value::Null,
        line => line.into(),
    }
}

fn translate_document(translate: &Translate) -> Value {
    let texts = translate_texts(translate);
    texts
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect::<Map<_, _>>()
        .into()
}

/// What becomes of the fields a translation changes, by their names in JSON.
pub(crate) fn translate_texts(translate: &Translate) -> Vec<(&'static str, String)> {
    let fields = [
        ("source", &translate.src, true),
        ("source_port", &translate.src_port, false),
        ("destination", &translate.dst, true),
        ("destination_port", &translate.dst_port, false),
    ];
    let texts = fields.into_iter().filter_map(|(name, function, is_address)| {
        let text = match function {
            Function::Keep => return None,
            Function::Constant(value) if is_address => address(*value, guess(*value)).to_string(),
            Function::Constant(value) => value.to_string(),
            Function::Shift(by) => format!("shifted by {}", by.cast_signed()),
            Function::Chosen(from) => from.to_string(),
        };
        Some((name, text))
    });
    texts.collect()
}

/// The family of an address known by its bits only.
const fn guess(bits: u128) -> Family {
    if bits <= u32::MAX as u128 { Family::V4 } else { Family::V6 }
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
            Field::Flags => json!({ "field": field_name(field), "values": flag_texts(set) }),
            Field::State | Field::Ingress | Field::Egress => {
                json!({ "field": field_name(field), "values": range_texts(set) })
            }
            _ => return None,
        })
    });
    conditions.collect()
}

fn witness_document(finding: &Finding, answer: &Answer) -> Value {
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
                let names = application_names(&Ranges::one(*value), answer.applications());
                document["application"] = names.first().cloned().into();
            }
            Field::User(name) if *value == 1 => document["source_user"] = (&**name).into(),
            Field::Category(name) if *value == 1 => document["category"] = (&**name).into(),
            Field::Atom(text) => holding.push(json!({ "text": text, "holds": *value == 1 })),
            Field::Flags if *protocol == Protocol::TCP => {
                document["tcp_flags"] = flags_set(*value as u8).into();
            }
            _ => {}
        }
    }
    if !holding.is_empty() {
        document["conditions"] = holding.into();
    }
    document
}

/// The firewall of a side.
pub(crate) const fn side_of<'a>(side: Side, report: &DiffReport<'a>) -> FirewallInfo<'a> {
    match side {
        Side::Old => report.old,
        Side::New => report.new,
    }
}

/// `file:line`; `None` for what no line states.
pub(crate) fn place(side: Side, at: Span, report: &DiffReport<'_>) -> Option<String> {
    place_in(side, at, [report.old, report.new])
}

/// The same, of these firewalls.
pub(crate) fn place_in(side: Side, at: Span, firewalls: [FirewallInfo<'_>; 2]) -> Option<String> {
    let info = firewalls[side as usize];
    let line = info.firewall.sources.line_number(at);
    (line > 0).then(|| format!("{}:{line}", info.file))
}
