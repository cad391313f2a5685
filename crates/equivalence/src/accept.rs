//! Which parts of the differences are meant: regions taken apart exactly along waivers and along
//! what narrowing is accepted for.

use crate::compare::Compared;
use crate::crossing::Names;
use crate::finding::{Acceptance, Finding};
use crate::narrowing::Narrowing;
use crate::problem::Outcome;
use crate::region::{Region, part};
use crate::scope::Sets;
use crate::solve::{SolveLimits, Stop};
use crate::waiver::{Date, Waiver};

/// What is accepted of a comparison; by itself nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// The waivers, the first that holds a packet first.
    pub waivers: &'a [Waiver],
    /// The day: waivers that expired before hold nothing.
    pub today: Date,
    /// How far to look for rules for ports that became rules for applications; `None` where this is
    /// not accepted.
    pub narrowing: Option<SolveLimits>,
    /// A sign after which differences are told as they were found: none is accepted, none shown to
    /// the reference evaluation, and none found to be of applications alone or for certain.
    pub stop: Stop,
}

impl Terms<'_> {
    /// The findings that are shown to the reference evaluation.
    pub(crate) fn confirmed<'f>(
        &self,
        found: &'f mut [Finding],
    ) -> impl Iterator<Item = &'f mut Finding> {
        let stop = self.stop;
        found.iter_mut().take(Finding::CONFIRMED).take_while(move |_| !stop.is_given())
    }
}

/// A part of a region on some of its ways, accepted or not.
pub(crate) struct Piece {
    pub(crate) region: Region,
    pub(crate) from: Vec<Names>,
    pub(crate) to: Vec<Names>,
    pub(crate) accepted: Option<Acceptance>,
}

/// The same before it is known what decides there.
#[derive(Clone)]
struct Draft {
    sets: Sets,
    from: Vec<Names>,
    to: Vec<Names>,
    accepted: Option<Acceptance>,
}

/// Takes the regions of a case apart.
pub(crate) struct Sorting<'a> {
    case: &'a Compared,
    /// With their indices, those that hold today.
    waivers: Vec<(usize, &'a Waiver)>,
    narrowing: Option<Narrowing>,
    stop: Stop,
}

impl<'a> Sorting<'a> {
    pub(crate) fn new(case: &'a Compared, terms: &Terms<'a>) -> Self {
        let waivers = terms.waivers.iter().enumerate();
        let waivers = waivers.filter(|(_, waiver)| waiver.holds_on(terms.today)).collect();
        let narrowing = terms.narrowing.as_ref().and_then(|limits| Narrowing::of(case, limits));
        Self { case, waivers, narrowing, stop: terms.stop }
    }

    /// The pieces of a region on these ways: disjoint, and together all of it.
    pub(crate) fn pieces(&self, region: &Region, (from, to): (&[Names], &[Names])) -> Vec<Piece> {
        let outcomes = [&region.old, &region.new]
            .map(|fate| &self.case.problem.outcomes[fate.outcome.0 as usize]);
        let (from, to) = (from.to_vec(), to.to_vec());
        let whole = Draft { sets: region.sets.clone(), from, to, accepted: None };
        let mut drafts = vec![whole];
        for &(at, waiver) in self.waivers.iter().take_while(|_| !self.stop.is_given()) {
            drafts = each(drafts, |draft| self.waive(draft, (at, waiver), outcomes));
        }
        if let (Some(narrowing), [Outcome::Allow(_), Outcome::Deny(_)]) =
            (&self.narrowing, outcomes)
            && !self.stop.is_given()
        {
            drafts = each(drafts, |draft| {
                let (accepted, rest) = narrowing.split(self.case, &draft.sets);
                let with = |accepted, sets| Draft { sets, accepted, ..draft.clone() };
                let accepted = accepted.into_iter();
                let accepted = accepted.map(|sets| with(Some(Acceptance::Narrowing), sets));
                accepted.chain(rest.into_iter().map(|sets| with(None, sets))).collect()
            });
        }
        let pieces = drafts.into_iter().map(|draft| {
            let Draft { sets, from, to, accepted } = draft;
            let region = if sets == region.sets {
                region.clone()
            } else {
                part(&self.case.problem, region, sets)
            };
            Piece { region, from, to, accepted }
        });
        pieces.collect()
    }

    fn waive(
        &self,
        draft: Draft,
        (at, waiver): (usize, &Waiver),
        outcomes: [&Outcome; 2],
    ) -> Vec<Draft> {
        let scope = &waiver.scope;
        let places = |names: &[Names], wanted: &[Box<str>]| -> (Vec<Names>, Vec<Names>) {
            let fits = |names: &Names| names.iter().flatten().any(|name| wanted.contains(name));
            names.iter().cloned().partition(|names| wanted.is_empty() || fits(names))
        };
        let (from, from_elsewhere) = places(&draft.from, &scope.from);
        let (to, to_elsewhere) = places(&draft.to, &scope.to);
        let stated = scope.to.is_empty() || !to.is_empty();
        let (inside, rest) = waiver.split(self.case, &draft.sets, outcomes);
        let Some(inside) = inside.filter(|_| !from.is_empty() && stated) else {
            return vec![draft];
        };
        let here = Draft { sets: inside, from, to, accepted: Some(Acceptance::Waiver(at)) };
        let mut found: Vec<Draft> =
            rest.into_iter().map(|sets| Draft { sets, accepted: None, ..here.clone() }).collect();
        if !to_elsewhere.is_empty() {
            found.push(Draft { from: here.from.clone(), to: to_elsewhere, ..draft.clone() });
        }
        if !from_elsewhere.is_empty() {
            found.push(Draft { from: from_elsewhere, ..draft });
        }
        found.push(here);
        found
    }
}

/// What becomes of the drafts that are not accepted yet, among the others.
fn each(drafts: Vec<Draft>, split: impl Fn(Draft) -> Vec<Draft>) -> Vec<Draft> {
    let split = |draft: Draft| if draft.accepted.is_some() { vec![draft] } else { split(draft) };
    drafts.into_iter().flat_map(split).collect()
}
