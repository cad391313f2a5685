//! One ordered list of guarded rules: what takes the packets of each rule from it.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cell::Cell;
use super::cover::{Covered, cover};
use super::index::{Bits, Index, positions};
use super::space::{Extent, Space};
use crate::Span;
use crate::linked::{LinkedAction, LinkedMatch, LinkedTranslation};
use crate::model::{StateSet, ZoneRelation};

/// A rule of a list, whatever the list decides.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) name: &'a str,
    pub(super) at: Span,
    pub(super) disabled: bool,
    pub(super) implied: bool,
    pub(super) matches: &'a LinkedMatch,
    pub(super) outcome: Outcome<'a>,
    /// Whether no later rule of the list sees a packet that surely matches.
    pub(super) is_exit: bool,
}

/// What a rule does; of equal outcomes nothing tells the two apart.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub(super) enum Outcome<'a> {
    Filter { action: LinkedAction, log: bool, profiles: &'a [Box<str>] },
    Translate(&'a LinkedTranslation),
}

impl Outcome<'_> {
    /// Whether packets are treated alike, logs and profiles aside.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter { action: a, .. }, Self::Filter { action: b, .. }) => a == b,
            (Self::Translate(a), Self::Translate(b)) => a == b,
            _ => false,
        }
    }

    /// Whether one allows what the other refuses, or both translate, to different things.
    pub(super) fn opposes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Filter { action: a, .. }, Self::Filter { action: b, .. }) => {
                let allows = |action: &LinkedAction| matches!(action, LinkedAction::Allow);
                a.is_final() && b.is_final() && allows(a) != allows(b)
            }
            (Self::Translate(a), Self::Translate(b)) => a != b,
            _ => false,
        }
    }

    /// Whether the rule decides what becomes of a packet.
    fn decides(&self) -> bool {
        match self {
            Self::Filter { action, .. } => action.is_final(),
            Self::Translate(_) => true,
        }
    }

    /// Whether the rule has no effect on any verdict.
    fn is_idle(&self) -> bool {
        matches!(self, Self::Filter { action: LinkedAction::Continue, .. })
    }
}

/// What is above a rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Above {
    /// Some packet reaches it.
    #[default]
    Open,
    /// These rules together take every packet; one of them alone where one suffices.
    Closed(Vec<usize>),
    NotDecided,
}

/// What would decide if a rule were not there.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Below {
    /// Something else, for some packet.
    #[default]
    Differs,
    /// These rules, alike.
    Rules(Vec<usize>),
    /// What follows the last rule of the list, perhaps after rules below, alike.
    End,
    NotDecided,
}

/// What was found about one rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Examined {
    /// Whether it can match no packet.
    pub(super) never: bool,
    pub(super) above: Above,
    /// Rules above with the opposite verdict that match a part of it, and decide some packets.
    pub(super) taken_by: Vec<usize>,
    pub(super) below: Below,
    /// Whether the sign to stop was given before all was looked at.
    pub(super) stopped: bool,
    /// Whether another rule of the same line speaks for it.
    pub(super) is_told: bool,
}

/// Work that may still be done.
pub(super) struct Budget {
    pub(super) each: u64,
    pub(super) left: u64,
    pub(super) stop: Option<&'static AtomicBool>,
}

impl Budget {
    /// Whether nothing more is to be found out.
    fn is_over(&self) -> bool {
        self.stop.is_some_and(|sign| sign.load(Ordering::Relaxed))
    }

    /// Runs a task with what one rule may cost.
    fn spend<T>(&mut self, task: impl FnOnce(&mut u64) -> T) -> T {
        let granted = self.each.min(self.left);
        let mut rest = granted;
        let answer = task(&mut rest);
        self.left -= granted - rest;
        answer
    }
}

/// Examines every rule of a list. `end` is what decides after the last one, where that is known.
pub(super) fn examine(
    entries: &[Entry<'_>],
    end: Option<Outcome<'_>>,
    space: &mut Space<'_>,
    budget: &mut Budget,
) -> Vec<Examined> {
    let mut list = List::new(entries, space);
    let mut found: Vec<Examined> = Vec::with_capacity(entries.len());
    for rule in 0..entries.len() {
        found.push(list.look_up(rule, space, budget));
    }
    // A rule that never decides cannot stand in for another one.
    let decides = |it: &Examined| !it.never && !matches!(it.above, Above::Closed(_));
    let deciding: Vec<bool> = found.iter().map(decides).collect();
    list.classify(&deciding);
    for (rule, found) in found.iter_mut().enumerate() {
        if found.above == Above::Open && !found.never && !budget.is_over() {
            found.taken_by = list.takers(rule, &deciding);
        }
        if decides(found) {
            found.below = list.look_down(rule, end, budget);
            found.stopped |= found.below == Below::NotDecided && budget.is_over();
        }
    }
    found
}

struct List<'e, 'a> {
    entries: &'e [Entry<'a>],
    index: Index,
    /// The rule of each cell.
    rule_of: Vec<usize>,
    /// The cells of each rule.
    cells_of: Vec<Range<usize>>,
    /// Cells that no later rule sees.
    sure: Bits,
    /// Cells in which a rule may do something.
    reach: Bits,
    /// Where each rule surely or perhaps matches.
    possible: Vec<Vec<Cell>>,
    /// Where each rule surely matches.
    certain: Vec<Vec<Cell>>,
    /// Rules whose extent is only approximated.
    blurred: Vec<bool>,
    /// For each rule the number of its outcome: equal outcomes have equal numbers.
    class_of: Vec<usize>,
    /// For each outcome the cells of the rules that have it and decide something.
    classes: Vec<Bits>,
}

impl<'e, 'a> List<'e, 'a> {
    fn new(entries: &'e [Entry<'a>], space: &mut Space<'_>) -> Self {
        let mut list = Self {
            entries,
            index: Index::new(Vec::new()),
            rule_of: Vec::new(),
            cells_of: Vec::new(),
            sure: Bits::new(),
            reach: Bits::new(),
            possible: Vec::new(),
            certain: Vec::new(),
            blurred: Vec::new(),
            class_of: Vec::new(),
            classes: Vec::new(),
        };
        let mut all = Vec::new();
        for (rule, entry) in entries.iter().enumerate() {
            let first = all.len();
            let of = |extent, space: &mut Space<'_>| {
                if entry.disabled { Vec::new() } else { space.cells(entry.matches, extent) }
            };
            let (certain, possible) = (of(Extent::Sure, space), of(Extent::Possible, space));
            let reach =
                if entry.outcome.is_idle() { Vec::new() } else { of(Extent::Tentative, space) };
            if entry.is_exit {
                list.add(&mut all, &certain, rule, reach == certain);
            }
            if !entry.is_exit || reach != certain {
                list.add_reach(&mut all, &reach, rule);
            }
            list.cells_of.push(first..all.len());
            list.blurred.push(!entry.disabled && !space.is_exact(entry.matches));
            list.possible.push(possible);
            list.certain.push(certain);
        }
        list.index = Index::new(all);
        list
    }

    fn add(&mut self, all: &mut Vec<Cell>, cells: &[Cell], rule: usize, reaches: bool) {
        for cell in cells {
            set(&mut self.sure, all.len(), true);
            set(&mut self.reach, all.len(), reaches);
            self.rule_of.push(rule);
            all.push(cell.clone());
        }
    }

    fn add_reach(&mut self, all: &mut Vec<Cell>, cells: &[Cell], rule: usize) {
        for cell in cells {
            set(&mut self.sure, all.len(), false);
            set(&mut self.reach, all.len(), true);
            self.rule_of.push(rule);
            all.push(cell.clone());
        }
    }

    /// What is above a rule.
    fn look_up(&mut self, rule: usize, space: &mut Space<'_>, budget: &mut Budget) -> Examined {
        let entry = &self.entries[rule];
        if entry.disabled {
            return Examined::default();
        }
        let cells = std::mem::take(&mut self.possible[rule]);
        if cells.is_empty() {
            return Examined { never: true, ..Examined::default() };
        }
        if budget.is_over() {
            self.possible[rule] = cells;
            let above = Above::NotDecided;
            return Examined { above, stopped: true, ..Examined::default() };
        }
        let earlier = below(&self.sure, 0..self.cells_of[rule].start);
        let mut above = match self.single(&cells, &earlier) {
            Some(one) => Above::Closed(vec![one]),
            None => match budget.spend(|left| self.together(&cells, &earlier, left)) {
                Covered::By(rules) => Above::Closed(rules),
                Covered::No => Above::Open,
                Covered::NotDecided => Above::NotDecided,
            },
        };
        if above == Above::Open && budget.spend(|left| self.may_be_closed(rule, space, left)) {
            above = Above::NotDecided;
        }
        self.possible[rule] = cells;
        Examined { above, ..Examined::default() }
    }

    /// The rules above with the opposite verdict that surely match some packets the rule surely
    /// matches too. One that never decides takes nothing from any.
    fn takers(&mut self, rule: usize, deciding: &[bool]) -> Vec<usize> {
        let entry = &self.entries[rule];
        if entry.implied || entry.disabled || is_everything(entry.matches) {
            return Vec::new();
        }
        let earlier = below(&self.sure, 0..self.cells_of[rule].start);
        let certain = std::mem::take(&mut self.certain[rule]);
        let mut takers = Vec::new();
        for cell in &certain {
            let found = self.index.find(cell, &earlier);
            let others = positions(&found.overlapping).map(|id| self.rule_of[id]);
            takers.extend(others.filter(|other| {
                deciding[*other] && self.entries[*other].outcome.opposes(&entry.outcome)
            }));
        }
        self.certain[rule] = certain;
        takers.sort_unstable();
        takers.dedup();
        takers.shrink_to_fit();
        takers
    }

    /// Sorts the rules that decide something by what they do. A list of translations, each to an
    /// address of its own, has as many outcomes as rules: bits are as long as their rules need.
    fn classify(&mut self, decides: &[bool]) {
        let mut numbers: HashMap<Outcome<'_>, usize> = HashMap::new();
        for (rule, entry) in self.entries.iter().enumerate() {
            let next = numbers.len();
            let class = *numbers.entry(entry.outcome).or_insert(next);
            if class == next {
                self.classes.push(Bits::new());
            }
            self.class_of.push(class);
            for cell in self.cells_of[rule].clone().filter(|_| decides[rule]) {
                if self.sure[cell / 64] >> (cell % 64) & 1 == 1 {
                    set(&mut self.classes[class], cell, true);
                }
            }
        }
    }

    /// What would decide without the rule.
    fn look_down(&mut self, rule: usize, end: Option<Outcome<'_>>, budget: &mut Budget) -> Below {
        let entry = self.entries[rule];
        if entry.disabled || entry.implied || !entry.outcome.decides() {
            return Below::Differs;
        }
        if budget.is_over() {
            return Below::NotDecided;
        }
        let cells = std::mem::take(&mut self.possible[rule]);
        let count = self.rule_of.len();
        let different = self.first_different(rule, &cells);
        let until = different.map_or(count, |other| self.cells_of[other].start);
        let mut alike = below(&self.classes[self.class_of[rule]], self.cells_of[rule].end..until);
        alike.resize(count.div_ceil(64), 0);
        let ends_alike = different.is_none() && end == Some(entry.outcome);
        let found = match self.single(&cells, &alike) {
            Some(one) => Below::Rules(vec![one]),
            None if ends_alike => Below::End,
            None => match budget.spend(|left| self.together(&cells, &alike, left)) {
                Covered::By(rules) => Below::Rules(rules),
                Covered::No => Below::Differs,
                Covered::NotDecided => Below::NotDecided,
            },
        };
        self.possible[rule] = cells;
        found
    }

    /// The first rule below another one, whose extent is `cells`, that does something else to a
    /// packet of it.
    fn first_different(&mut self, rule: usize, cells: &[Cell]) -> Option<usize> {
        let later = below(&self.reach, self.cells_of[rule].end..self.rule_of.len());
        let translates = matches!(self.entries[rule].outcome, Outcome::Translate(_));
        let mut first = None;
        for cell in cells {
            let found = self.index.find(cell, &later);
            let differs = |other: &usize| {
                // A translation that is not modelled leaves the answer open, whatever it does
                // (S4.1).
                self.class_of[*other] != self.class_of[rule]
                    || translates && self.possible[*other] != self.certain[*other]
            };
            let mut rules = positions(&found.overlapping).map(|id| self.rule_of[id]);
            first = rules.find(differs).into_iter().chain(first).min();
        }
        first
    }

    /// The first rule that alone has a cell, among `within`, over each of `cells`.
    fn single(&mut self, cells: &[Cell], within: &Bits) -> Option<usize> {
        let mut common: Option<Vec<usize>> = None;
        for cell in cells {
            let found = self.index.find(cell, within);
            let mut rules: Vec<usize> =
                positions(&found.covering).map(|id| self.rule_of[id]).collect();
            rules.dedup();
            if let Some(common) = &common {
                rules.retain(|rule| common.binary_search(rule).is_ok());
            }
            if rules.is_empty() {
                return None;
            }
            common = Some(rules);
        }
        common?.first().copied()
    }

    /// Whether the cells among `within` hold all of `cells`; then the rules that do, none to spare
    /// where they are few.
    fn together(&mut self, cells: &[Cell], within: &Bits, budget: &mut u64) -> Covered {
        let mut questions = Vec::with_capacity(cells.len());
        for cell in cells {
            let ids: Vec<usize> = positions(&self.index.find(cell, within).overlapping).collect();
            questions.push((cell, ids));
        }
        let mut ask = |left_out: &BTreeSet<usize>| -> Covered {
            let mut rules = BTreeSet::new();
            for (cell, ids) in &questions {
                let ids: Vec<usize> = ids
                    .iter()
                    .copied()
                    .filter(|id| !left_out.contains(&self.rule_of[*id]))
                    .collect();
                let candidates: Vec<&Cell> = ids.iter().map(|id| self.index.cell(*id)).collect();
                match cover(cell, &candidates, budget) {
                    Covered::By(used) => rules.extend(used.iter().map(|at| self.rule_of[ids[*at]])),
                    other => return other,
                }
            }
            Covered::By(rules.into_iter().collect())
        };
        let mut answer = ask(&BTreeSet::new());
        // Leave out what is not needed: the fewer rules are named, the more an answer helps.
        let mut left_out: BTreeSet<usize> = BTreeSet::new();
        if let Covered::By(rules) = &mut answer
            && rules.len() <= MOST_MINIMISED
        {
            let everyone: BTreeSet<usize> = questions
                .iter()
                .flat_map(|(_, ids)| ids.iter().map(|id| self.rule_of[*id]))
                .collect();
            left_out.extend(everyone.iter().filter(|rule| rules.binary_search(rule).is_err()));
            for rule in rules.clone().into_iter().rev() {
                left_out.insert(rule);
                match ask(&left_out) {
                    Covered::By(fewer) => *rules = fewer,
                    _ => {
                        left_out.remove(&rule);
                    }
                }
            }
        }
        answer
    }

    /// Whether approximations alone keep a rule from being shadowed.
    fn may_be_closed(&mut self, rule: usize, space: &mut Space<'_>, budget: &mut u64) -> bool {
        if !self.blurred[..=rule].contains(&true) {
            return false;
        }
        let cells = space.cells(self.entries[rule].matches, Extent::PossibleOrLess);
        let mut above = Vec::new();
        let mut matters = self.blurred[rule];
        for (other, entry) in self.entries[..rule].iter().enumerate() {
            if !entry.is_exit || entry.disabled {
                continue;
            }
            let outer = space.cells(entry.matches, Extent::SureOrMore);
            let meets = outer.iter().any(|it| cells.iter().any(|cell| cell.overlaps(it)));
            matters |= meets && self.blurred[other];
            above.extend(outer);
        }
        matters
            && cells.iter().all(|cell| {
                let candidates: Vec<&Cell> = above.iter().filter(|it| it.overlaps(cell)).collect();
                cover(cell, &candidates, budget) != Covered::No
            })
    }
}

/// Rules found responsible together are tried one by one for being needed, up to this many.
const MOST_MINIMISED: usize = 32;

/// Whether a match leaves nothing of an address family out.
pub(super) fn is_everything(matches: &LinkedMatch) -> bool {
    let any = [&matches.ingress, &matches.egress, &matches.from, &matches.to]
        .iter()
        .all(|set| set.is_any());
    any && matches.relation == ZoneRelation::Any && is_any_to_any(matches)
}

/// Whether a match leaves nothing of an address family out but by interface and zone.
pub(super) fn is_any_to_any(matches: &LinkedMatch) -> bool {
    let whole = |addresses: &crate::LinkedAddresses| {
        let set = &addresses.set;
        let v4 = set.v4_ranges() == [(0, u32::MAX)];
        !addresses.negated && (v4 || set.v6_ranges() == [(0, u128::MAX)])
    };
    let identified = [&matches.applications, &matches.url_categories, &matches.users];
    whole(&matches.src)
        && whole(&matches.dst)
        && matches.services.terms.iter().any(crate::LinkedService::is_any)
        && !matches.services.application_default
        && matches.states == StateSet::ALL
        && matches.tcp_flags.is_empty()
        && identified.iter().all(|set| set.is_any())
        && matches.devices.is_empty()
        && matches.schedule.is_none()
        && matches.atoms.is_empty()
}

/// The bits of a range.
fn below(bits: &Bits, range: Range<usize>) -> Bits {
    let mut cut = vec![0; bits.len()];
    for (at, word) in cut.iter_mut().enumerate() {
        let (first, last) = (at * 64, at * 64 + 64);
        if last <= range.start || first >= range.end {
            continue;
        }
        let mut mask = u64::MAX;
        if first < range.start {
            mask &= u64::MAX << (range.start - first);
        }
        if last > range.end {
            mask &= u64::MAX >> (last - range.end);
        }
        *word = bits[at] & mask;
    }
    cut
}

fn set(bits: &mut Bits, at: usize, value: bool) {
    if bits.len() <= at / 64 {
        bits.resize(at / 64 + 1, 0);
    }
    bits[at / 64] = bits[at / 64] & !(1 << (at % 64)) | u64::from(value) << (at % 64);
}
