//! Differences somebody answers for: parts of regions that are listed as waived and no longer
//! count.

use crate::accept::Terms;
use crate::compare::{Answer, Compared, Undecided, Unproved};
use crate::finding::{Acceptance, Finding};
use crate::flatten::Family;
use crate::flows::Wanted;
use crate::problem::{Field, Outcome};
use crate::scope::{Scope, Sets, split, volume};
use crate::solve::OpenReason;

/// A difference somebody answers for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waiver {
    /// The packets.
    pub scope: Scope,
    /// What the old firewall is expected to do with them.
    pub old: Wanted,
    /// What the new firewall is expected to do with them.
    pub new: Wanted,
    /// What reports call it by.
    pub ticket: Box<str>,
    /// Who answers for it.
    pub owner: Box<str>,
    /// Why it is meant.
    pub reason: Box<str>,
    /// The last day on which it holds.
    pub expires: Date,
    /// Its line in its file.
    pub line: u32,
}

/// A day of the calendar; days compare as they follow each other.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Date {
    /// The year.
    pub year: u16,
    /// The month, from 1.
    pub month: u8,
    /// The day of the month, from 1.
    pub day: u8,
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { year, month, day } = self;
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// What is known of a waiver once a comparison is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Reviewed {
    /// What is wrong with it; it waives something and nothing more if nothing is.
    pub problem: Option<WaiverProblem>,
    /// How many findings it waives.
    pub findings: usize,
}

/// What is wrong with a waiver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WaiverProblem {
    /// Its last day has passed: it waives nothing.
    Expired,
    /// Nothing is left for it to waive.
    Unused,
    /// Less than half of its packets are the difference it waives.
    OverBroad {
        /// The part that is.
        share: f64,
    },
}

impl WaiverProblem {
    /// The name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unused => "unused",
            Self::OverBroad { .. } => "over-broad",
        }
    }
}

impl Waiver {
    /// Whether it still holds.
    pub fn holds_on(&self, today: Date) -> bool {
        today <= self.expires
    }

    /// The part of a product of a case that it waives, if both sides do as it expects, and the
    /// rest.
    pub(crate) fn split(
        &self,
        case: &Compared,
        sets: &Sets,
        outcomes: [&Outcome; 2],
    ) -> (Option<Sets>, Vec<Sets>) {
        let by = self.asked(case).filter(|_| self.expects(outcomes));
        by.map_or_else(|| (None, vec![sets.clone()]), |by| split(case, sets, &by))
    }

    fn asked(&self, case: &Compared) -> Option<Sets> {
        self.scope.sets(case.case.family, case.case.protocols, &case.problem.applications)
    }

    fn expects(&self, [old, new]: [&Outcome; 2]) -> bool {
        self.old.fits(old) && self.new.fits(new)
    }

    /// How many packets it is about, and on how many of these the sides differ as it expects, in a
    /// family.
    fn measure(&self, answer: &Answer, family: Family) -> (f64, f64) {
        let (mut meant, mut different) = (0.0, 0.0);
        for case in answer.compared.iter().filter(|case| case.case.family == family) {
            let ways = case.crossings.iter().filter(|way| self.scope.holds_way(way)).count() as f64;
            let Some(by) = self.asked(case).filter(|_| ways > 0.0) else { continue };
            let space: Sets = [(Field::Protocol, case.case.protocols.values())].into();
            let asked = case.case.within.iter().try_fold(space, |space, (field, set)| {
                split(case, &space, &[(field.clone(), set.clone())].into()).0
            });
            let Some(asked) = asked.and_then(|space| split(case, &space, &by).0) else { continue };
            meant += ways * volume(case, &asked);
            for region in &case.regions {
                let outcomes = [&region.old, &region.new]
                    .map(|fate| &case.problem.outcomes[fate.outcome.0 as usize]);
                let inside = self.split(case, &region.sets, outcomes).0;
                different += ways * inside.map_or(0.0, |inside| volume(case, &inside));
            }
        }
        (meant, different)
    }

    /// Whether differences it waives may be in a part of the question that was not looked at, or
    /// not to its end.
    fn may_hold(&self, it: &Undecided, applications: &[Box<str>]) -> bool {
        use OpenReason::{Boxes, Stopped, Work};
        let cut_short = match it.because {
            Unproved::Stopped => true,
            Unproved::Open { reason, .. } => matches!(reason, Boxes | Stopped | Work),
            Unproved::NotWrittenOut { .. } => false,
        };
        cut_short
            && it.crossings.iter().any(|way| self.scope.holds_way(way))
            && self.scope.sets(it.family, it.protocols, applications).is_some()
    }

    /// The part of its packets on which the sides differ as it expects, in the families where they
    /// do on any.
    ///
    /// What one answer finds, another one does not: their parts add up.
    fn share(&self, answers: &[&Answer]) -> f64 {
        let families = [Family::V4, Family::V6];
        let measured = families.map(|family| {
            let found = answers.iter().map(|answer| self.measure(answer, family));
            let meant = answers.first().map_or(0.0, |answer| self.measure(answer, family).0);
            let parts = found.filter(|(meant, _)| *meant > 0.0).map(|it| it.1 / it.0);
            (meant, meant * parts.sum::<f64>())
        });
        let used = measured.iter().filter(|(_, different)| *different > 0.0);
        let (meant, different) = used.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        if meant > 0.0 { different / meant } else { 0.0 }
    }
}

/// What is known of each waiver after comparisons whose findings were told apart on these terms,
/// that of first packets before the others. Where a comparison did not get to the end of what a
/// waiver is about, or the sign to stop is given, it is neither unused nor over-broad.
///
/// A waiver is over-broad when more than half of its packets are no difference it waives: packets
/// of the ways, families, protocols, addresses, ports and applications it names, as far as the
/// comparison was asked about them, each header on each way counted once for every combination of
/// the conditions that rules compare. A family without any such difference is left out of the
/// count; a difference that earlier waivers took is counted for each.
pub fn review(answers: &[&Answer], findings: &[&[Finding]], terms: &Terms<'_>) -> Vec<Reviewed> {
    let applications = answers.first().map_or(&[][..], |answer| answer.applications());
    let undecided = || answers.iter().flat_map(|answer| &answer.undecided);
    let reviewed = terms.waivers.iter().enumerate().map(|(at, waiver)| {
        let taken = |it: &&Finding| it.accepted == Some(Acceptance::Waiver(at));
        let findings = findings.iter().copied().flatten().filter(taken).count();
        let is_open =
            terms.stop.is_given() || undecided().any(|it| waiver.may_hold(it, applications));
        let problem = if !waiver.holds_on(terms.today) {
            Some(WaiverProblem::Expired)
        } else if is_open {
            None
        } else if findings == 0 {
            Some(WaiverProblem::Unused)
        } else {
            let share = waiver.share(answers);
            (share < 0.5).then_some(WaiverProblem::OverBroad { share })
        };
        Reviewed { problem, findings }
    });
    reviewed.collect()
}
