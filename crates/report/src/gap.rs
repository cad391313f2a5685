//! What a comparison leaves open, with the lines that cause it.

use std::collections::{HashMap, HashSet};
use std::fmt;

use parefeu_equivalence::{Family, Names, Obstacle, OpenReason, Side, Undecided, Unproved};
use serde_json::{Value, json};

use crate::packets::names;
use crate::region::{place, place_in};
use crate::{DiffReport, Exact, FirewallInfo};

/// A part of the question without an answer.
#[derive(Clone, Debug)]
pub(crate) struct Gap {
    pub(crate) why: Why,
    /// `file:line`, each once.
    pub(crate) lines: Vec<String>,
    /// The families concerned; none where that does not matter.
    pub(crate) families: Vec<Family>,
    /// Where the packets enter.
    pub(crate) from: Vec<String>,
}

/// Why there is no answer. Displays as tables and JSON say it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Why {
    /// Something cannot be written out exactly.
    Obstacle(Obstacle),
    /// It was stopped before.
    Stopped,
    /// So many boxes are left open.
    Open(OpenReason, usize),
    /// A place of one side that has no partner on the other.
    Unpaired(Side, Box<str>),
    /// So many regions contradict the reference evaluation.
    Contradicted(usize),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(obstacle) => obstacle.fmt(f),
            Self::Stopped => f.write_str("the comparison was stopped before"),
            Self::Open(reason, boxes) => {
                let reason = match reason {
                    OpenReason::Work => "the work limit was reached",
                    OpenReason::Boxes => "the limit of boxes was reached",
                    OpenReason::Stopped => "the comparison was stopped",
                    OpenReason::WithinClass => "the sides agree on part of a class",
                    OpenReason::NoDecision => "a list decides nothing",
                };
                write!(f, "{reason}: {boxes} boxes are open")
            }
            Self::Unpaired(side, name) => {
                let side = if *side == Side::Old { "old" } else { "new" };
                write!(f, "`{name}` of the {side} firewall has no partner (--zone-map)")
            }
            Self::Contradicted(regions) => {
                write!(f, "{regions} regions contradict the reference evaluation: a defect")
            }
        }
    }
}

/// What neither text says, each with its lines of both sides.
pub(crate) fn untold<'a>(
    exact: &'a Exact<'_>,
    report: &DiffReport<'_>,
) -> Vec<(&'a str, Vec<String>)> {
    let mut found: Vec<(&str, Vec<String>)> = Vec::new();
    for it in &exact.conclusion.untold {
        let lines = place(it.side, it.at, report);
        match found.iter_mut().find(|(text, _)| *text == &*it.text) {
            Some((_, others)) => others.extend(lines),
            None => found.push((&it.text, lines.into_iter().collect())),
        }
    }
    found
}

/// Everything that has no answer. The same line is often in the way of every protocol, family and
/// place: it is told once.
pub(crate) fn gaps(exact: &Exact<'_>, report: &DiffReport<'_>) -> Vec<Gap> {
    if exact.conclusion.identical {
        return Vec::new();
    }
    let apart = exact.following.into_iter().chain(exact.by_state).map(|it| it.answer);
    let answers = std::iter::once(exact.answer).chain(apart).chain(exact.records);
    let undecided = answers.flat_map(|answer| &answer.undecided);
    let mut found = unanswered(undecided, [report.old, report.new]);
    let bare = |why: Why, from: Vec<String>| {
        let (lines, families) = (Vec::new(), Vec::new());
        Gap { why, lines, families, from }
    };
    for (names, side) in exact.conclusion.unpaired.iter().zip([Side::Old, Side::New]) {
        let alone = names.iter().map(|name| {
            let why = Why::Unpaired(side, name.clone());
            bare(why, vec![name.to_string()])
        });
        found.extend(alone);
    }
    let findings = exact.findings.iter().chain(exact.apart());
    let contradicted = findings.filter(|it| it.is_contradicted()).count();
    if contradicted > 0 {
        found.push(bare(Why::Contradicted(contradicted), Vec::new()));
    }
    found
}

/// The parts of a question about these firewalls that have no answer.
pub(crate) fn unanswered<'a>(
    undecided: impl IntoIterator<Item = &'a Undecided>,
    firewalls: [FirewallInfo<'_>; 2],
) -> Vec<Gap> {
    let mut found: Vec<Gap> = Vec::new();
    let mut known: HashMap<(Why, Vec<String>), usize> = HashMap::new();
    let mut told: Vec<HashSet<&Names>> = Vec::new();
    for it in undecided {
        let (why, lines) = because(&it.because, firewalls);
        let at = *known.entry((why.clone(), lines.clone())).or_insert(found.len());
        if at == found.len() {
            found.push(Gap { why, lines, families: Vec::new(), from: Vec::new() });
            told.push(HashSet::new());
        }
        let gap = &mut found[at];
        add(&mut gap.families, [it.family]);
        // The same place is in many ways.
        let from = it.crossings.iter().map(|way| &way.from).filter(|from| told[at].insert(from));
        let from: Vec<Names> = from.cloned().collect();
        add(&mut gap.from, names(&from, 0));
    }
    found
}

/// `undecided` of `parefeu/diff/1`.
pub(crate) fn gap_document(gap: &Gap) -> Value {
    let families = gap.families.iter().map(|family| match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    });
    json!({
        "text": gap.why.to_string(),
        "lines": gap.lines,
        "families": families.collect::<Vec<_>>(),
        "from": gap.from,
    })
}

fn add<T: PartialEq>(list: &mut Vec<T>, values: impl IntoIterator<Item = T>) {
    for value in values {
        if !list.contains(&value) {
            list.push(value);
        }
    }
}

fn because(because: &Unproved, firewalls: [FirewallInfo<'_>; 2]) -> (Why, Vec<String>) {
    match because {
        Unproved::NotWrittenOut { side, at, obstacle } => {
            (Why::Obstacle(*obstacle), place_in(*side, *at, firewalls).into_iter().collect())
        }
        Unproved::Stopped => (Why::Stopped, Vec::new()),
        Unproved::Open { reason, boxes, involved } => {
            let lines = involved.iter().filter_map(|(side, origin)| {
                let firewall = firewalls[*side as usize].firewall;
                place_in(*side, firewall.rule(origin.rule?).at, firewalls)
            });
            (Why::Open(*reason, *boxes), lines.collect())
        }
    }
}
