//! The tree of a case: cuts that take its packets apart, and leaves that say what becomes of them.

use std::rc::Rc;

use crate::header::Header;
use crate::leaf::Judge;
use crate::ranges::Range;
use crate::rejection::{Rejection, Why};
use crate::side::{Side, View};
use crate::space::Region;
use crate::statement::Stated;
use crate::text::{Lines, Words};

/// Leaves, by what they say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Leaves {
    /// Both firewalls do the same.
    pub same: u64,
    /// They do not do the same with any packet.
    pub different: u64,
    /// It is assumed that they do the same.
    pub assumed: u64,
    /// Nothing is claimed.
    pub open: u64,
}

/// A box that is still to be read about.
struct Pending {
    /// The values of each field, whether packets of the case have them or not.
    bounds: Vec<Range>,
    /// The packets of the case in it.
    region: Region,
    /// The steps of both sides that may matter: those of the box it was cut from.
    views: Rc<[View; 2]>,
    depth: usize,
}

/// Reads the tree of a case and checks every leaf of it.
pub(crate) fn check(
    lines: &mut Lines<'_>,
    header: &Header,
    judge: &mut Judge<'_, '_>,
    region: Region,
    leaves: &mut Leaves,
) -> Result<(), Rejection> {
    let bounds = (0..region.0.len()).map(|dim| (0, judge.space.last(dim))).collect();
    let views = Rc::new(judge.sides.each_ref().map(Side::view));
    let mut pending = vec![Pending { bounds, region, views, depth: 0 }];
    while let Some(next) = pending.pop() {
        let mut words = lines.next()?;
        let told = match words.word() {
            "cut" => {
                let [lower, upper] = cut(&mut words, &next, judge)?;
                pending.extend([upper, lower]);
                continue;
            }
            "same" => {
                leaves.same += 1;
                words.end()?;
                judge.same(&next.views, &next.region)
            }
            "differ" => {
                leaves.different += 1;
                let stated = statements(&mut words, judge, header.refusals_differ)?;
                judge.different(&next.views, &next.region, &stated)
            }
            "assumed" => {
                leaves.assumed += 1;
                let name = words.quoted()?;
                words.end()?;
                let excused = judge.missing.iter().any(|it| it.excuses(&name, &next.region));
                match header.assumes(&name) {
                    true if excused => Ok(()),
                    true => Err(Why::NotExcused(name)),
                    false => Err(Why::Assumption(name)),
                }
            }
            "open" => {
                leaves.open += 1;
                words.quoted()?;
                words.end()?;
                Ok(())
            }
            _ => return Err(words.wrong("`cut`, `same`, `differ`, `assumed` or `open`")),
        };
        told.map_err(|why| words.reject(why))?;
    }
    Ok(())
}

/// The two parts a line cuts a box into.
fn cut(
    words: &mut Words<'_>,
    from: &Pending,
    judge: &mut Judge<'_, '_>,
) -> Result<[Pending; 2], Rejection> {
    let dim = judge.space.read_field(words)?;
    let value = judge.space.read_value(dim, words)?;
    words.end()?;
    let (low, high) = from.bounds[dim];
    if value < low || value >= high {
        let [low, high] = [low, high].map(|value| judge.space.value_text(dim, value));
        return Err(words.reject(Why::CutOutside { low, high }));
    }
    if from.depth >= judge.limits.depth {
        return Err(words.reject(Why::TooDeep));
    }
    let sights = judge.look(&from.views, &from.region).map_err(|why| words.reject(why))?;
    let views = Rc::new(sights.map(|sight| sight.view));
    let parts = from.region.cut(dim, value).into_iter().zip([(low, value), (value + 1, high)]);
    let mut parts = parts.map(|(region, bound)| {
        let mut bounds = from.bounds.clone();
        bounds[dim] = bound;
        Pending { bounds, region, views: Rc::clone(&views), depth: from.depth + 1 }
    });
    let (Some(lower), Some(upper)) = (parts.next(), parts.next()) else {
        unreachable!("a box is cut in two")
    };
    Ok([lower, upper])
}

/// What a line states of both sides.
fn statements(
    words: &mut Words<'_>,
    judge: &Judge<'_, '_>,
    refusals_differ: bool,
) -> Result<[Stated; 2], Rejection> {
    let [old, new] = judge.sides;
    words.expect(old.name)?;
    let before = Stated::read(words, old.firewall, judge.space, refusals_differ)?;
    words.expect(new.name)?;
    let after = Stated::read(words, new.firewall, judge.space, refusals_differ)?;
    words.end()?;
    Ok([before, after])
}
