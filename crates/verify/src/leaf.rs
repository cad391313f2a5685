//! Whether what a leaf states of its box is true.

use parefeu_policy::LinkedAction;

use crate::assumed::Missing;
use crate::change::{Agreement, Function};
use crate::rejection::Why;
use crate::side::{Side, Sight, View};
use crate::space::{DST, DST_PORT, Dim, Region, SRC, SRC_PORT, Space};
use crate::statement::Stated;

/// How much may be looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Steps of rules looked at in all.
    pub work: u64,
    /// Steps of rules looked at for one box that has to be cut to be told.
    pub work_per_leaf: u64,
    /// How deep cuts may nest.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { work: 20_000_000_000, work_per_leaf: 50_000_000, depth: 4096 }
    }
}

/// What checks leaves.
pub(crate) struct Judge<'s, 'a> {
    pub(crate) sides: &'s [Side<'a>; 2],
    pub(crate) space: &'s Space,
    pub(crate) missing: &'s [Missing],
    pub(crate) limits: Limits,
    /// Steps that may still be looked at.
    pub(crate) left: u64,
}

/// What is found out about a box.
enum Finding {
    /// Both sides do the same with every packet.
    Same,
    /// They do the same with none.
    Different,
    /// It has to be cut behind this value to be told.
    Cut(Dim, u128),
    /// It cannot be told.
    Untold(Why),
}

impl<'s, 'a> Judge<'s, 'a> {
    /// Looks at a box from both sides.
    pub(crate) fn look(
        &mut self,
        views: &[View; 2],
        region: &Region,
    ) -> Result<[Sight<'s, 'a>; 2], Why> {
        let work: usize = views.iter().map(View::len).sum();
        self.left = self.left.checked_sub(work as u64 + 1).ok_or(Why::NotConfirmed)?;
        let [old, new] = self.sides;
        Ok([old.look(&views[0], region), new.look(&views[1], region)])
    }

    /// Both sides do the same with every packet of the box.
    pub(crate) fn same(&mut self, views: &[View; 2], region: &Region) -> Result<(), Why> {
        self.every_part(views, region, None)
    }

    /// Each side does with every packet of the box what is stated of it, and that is not the same.
    pub(crate) fn different(
        &mut self,
        views: &[View; 2],
        region: &Region,
        stated: &[Stated; 2],
    ) -> Result<(), Why> {
        if region.is_empty() {
            return Err(Why::Empty);
        }
        let sights = self.look(views, region)?;
        for ((side, stated), sight) in self.sides.iter().zip(stated).zip(&sights) {
            if !side.states(stated.rule, stated.action, sight) {
                return Err(Why::Rule { side: side.name });
            }
        }
        self.every_part(views, region, Some(stated))
    }

    /// Cuts a box until of every part can be told that it is the same, or different as stated.
    fn every_part(
        &mut self,
        views: &[View; 2],
        region: &Region,
        stated: Option<&[Stated; 2]>,
    ) -> Result<(), Why> {
        let end = self.left.saturating_sub(self.limits.work_per_leaf);
        let mut pending = vec![(views.clone(), region.clone())];
        while let Some((views, region)) = pending.pop() {
            if region.is_empty() {
                continue;
            }
            if self.left < end {
                return Err(Why::NotConfirmed);
            }
            let sights = self.look(&views, &region)?;
            let finding = match (self.find(&sights, &region), stated) {
                (Finding::Same, None) => continue,
                (Finding::Same, Some(_)) => return Err(Why::NotDifferent),
                (Finding::Different, None) => return Err(Why::NotSame),
                (Finding::Different, Some(stated)) => {
                    if self.all_hold(stated, &sights, &region)? {
                        continue;
                    }
                    self.cut(&sights, None)
                }
                (finding, _) => finding,
            };
            match finding {
                Finding::Cut(dim, value) => {
                    let views = sights.map(|sight| sight.view);
                    let [lower, upper] = region.cut(dim, value);
                    pending.extend([(views.clone(), upper), (views, lower)]);
                }
                Finding::Untold(why) => return Err(why),
                Finding::Same | Finding::Different => {}
            }
        }
        Ok(())
    }

    /// Whether both sides do what is stated of them, as far as verdicts are known.
    fn all_hold(
        &self,
        stated: &[Stated; 2],
        sights: &[Sight<'_, '_>; 2],
        region: &Region,
    ) -> Result<bool, Why> {
        let mut all = true;
        for ((side, stated), sight) in self.sides.iter().zip(stated).zip(sights) {
            let held = stated.holds(sight, region, self.space);
            all &= held.ok_or(Why::Decision { side: side.name })?;
        }
        Ok(all)
    }

    fn find(&self, sights: &[Sight<'_, '_>; 2], region: &Region) -> Finding {
        let [old, new] = sights;
        if let (Some(before), Some(after)) = (old.verdict, new.verdict) {
            if before != after {
                return Finding::Different;
            }
            if before != LinkedAction::Allow {
                return Finding::Same;
            }
            if let (Some(before), Some(after)) = (old.functions(), new.functions()) {
                return self.functions(before, after, region);
            }
            if old.translates_as(new) {
                return Finding::Same;
            }
            return self.cut(sights, None);
        }
        let (before, after) = (old.filtering(), new.filtering());
        let is_modelled = sights.iter().all(|sight| sight.doubt().is_none());
        if is_modelled && before == after && old.translates_as(new) {
            return Finding::Same;
        }
        let at = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
        let unlike = [(old, before.get(at)), (new, after.get(at))];
        let boundary = |(sight, step): (&Sight<'_, '_>, Option<&(_, _)>)| {
            step.and_then(|(product, _)| sight.boundary(product))
        };
        let unlike = unlike.into_iter().find_map(boundary);
        let any = || {
            let steps = [(old, &before), (new, &after)].into_iter();
            steps
                .flat_map(|(sight, steps)| steps.iter().map(move |step| (sight, Some(step))))
                .find_map(boundary)
        };
        self.cut(sights, unlike.or_else(any))
    }

    fn functions(&self, old: [&Function; 4], new: [&Function; 4], region: &Region) -> Finding {
        let mut found = Finding::Same;
        for (at, dim) in [SRC, SRC_PORT, DST, DST_PORT].into_iter().enumerate() {
            let (values, last) = (&region.0[dim], self.space.last(dim));
            match old[at].agreement(new[at], values, last) {
                Agreement::Everywhere => {}
                Agreement::Nowhere => return Finding::Different,
                Agreement::Only(value) => {
                    let is_first = values.first().is_some_and(|first| first.0 == value);
                    found = Finding::Cut(dim, if is_first { value } else { value - 1 });
                }
            }
        }
        found
    }

    /// A cut that tells more, of translations first.
    fn cut(&self, sights: &[Sight<'_, '_>; 2], filter: Option<(Dim, u128)>) -> Finding {
        if let Some((dim, value)) = sights.iter().find_map(Sight::cut).or(filter) {
            return Finding::Cut(dim, value);
        }
        let mut doubts = self.sides.iter().zip(sights);
        let doubt = doubts.find_map(|(side, sight)| Some((side, sight.doubt()?)));
        Finding::Untold(doubt.map_or(Why::NotConfirmed, |(side, (doubt, at))| {
            let place = side.firewall.sources.place(at);
            Why::NotModelled { what: format!("{doubt} ({place})") }
        }))
    }
}
