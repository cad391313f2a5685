//! The moments schedules tell apart.

use std::collections::{BTreeMap, BTreeSet};

use parefeu_net::Timestamp;
use parefeu_policy::{LinkedFirewall, LinkedSchedule};

use super::values::Values;

/// The moments of two firewalls.
pub(super) struct Moments {
    /// One of each kind: at any other moment the same schedules are on as at one of these. Never
    /// empty, and no two have the same schedules on.
    pub(super) moments: Vec<Timestamp>,
    /// When the schedules of either firewall are on, by the index of a moment.
    pub(super) on: [Vec<Values>; 2],
}

impl Moments {
    /// `None` when it takes more than [`MAX_LOOKS`] looks at a schedule to find them.
    pub(super) fn of(old: &LinkedFirewall, new: &LinkedFirewall) -> Option<Self> {
        let schedules = || old.schedules.iter().chain(&new.schedules);
        let candidates = candidates(schedules)?;
        let mut kinds: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
        let mut moments = Vec::new();
        for moment in candidates {
            let on = schedules().map(|schedule| schedule.is_on(moment)).collect();
            kinds.entry(on).or_insert_with(|| {
                moments.push(moment);
                moments.len() - 1
            });
        }
        let on = [old, new].map(|side| {
            let on = |schedule: &LinkedSchedule| {
                let on = (0u128..).zip(&moments).filter(|(_, moment)| schedule.is_on(**moment));
                Values::of(on.map(|(at, _)| (at, at)))
            };
            side.schedules.iter().map(on).collect()
        });
        Some(Self { moments, on })
    }
}

/// Moments of every kind there is, ascending. Between bounds of absolute ranges the seconds of the
/// week alone decide, and between bounds of weekly ranges those decide alike.
fn candidates<'a, I>(schedules: impl Fn() -> I) -> Option<BTreeSet<Timestamp>>
where
    I: Iterator<Item = &'a LinkedSchedule>,
{
    let absolute = schedules().flat_map(|it| &it.absolute).flat_map(|&(from, to)| [from, to]);
    let bounds: BTreeSet<Timestamp> = absolute.chain([Timestamp::EPOCH]).collect();
    let weekly = schedules().flat_map(|it| &it.weekly).flat_map(|&(from, to)| [from, to]);
    let seconds: BTreeSet<u32> = weekly.filter(|second| *second < WEEK_SECS).collect();
    let looks = bounds.len().checked_mul(seconds.len() + 1)?.checked_mul(schedules().count())?;
    if looks > MAX_LOOKS {
        return None;
    }
    let mut found = bounds.clone();
    for &from in &bounds {
        let after = bounds.range(from..).nth(1);
        let next = seconds.iter().filter_map(|second| next_at(from, *second));
        found.extend(next.filter(|moment| after.is_none_or(|after| moment < after)));
    }
    Some(found)
}

/// The first moment from `from` on that begins this second of the week.
fn next_at(from: Timestamp, second: u32) -> Option<Timestamp> {
    let start = from.as_nanos().div_ceil(NANOS);
    let ahead = second + WEEK_SECS - Timestamp::from_secs(start).second_of_week();
    let nanos = (start + u64::from(ahead % WEEK_SECS)).checked_mul(NANOS)?;
    Some(Timestamp::from_nanos(nanos))
}

const NANOS: u64 = 1_000_000_000;
const WEEK_SECS: u32 = 7 * 86_400;

/// Looks at schedules, at most.
const MAX_LOOKS: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from_nanos: u64, second: u32, expected: Option<u64>) {
        let found = next_at(Timestamp::from_nanos(from_nanos), second);
        assert_eq!(found.map(Timestamp::as_nanos), expected);
    }

    #[test]
    fn the_next_second_of_the_week_is_never_before() {
        let thursday = 3 * 86_400;
        check(0, thursday, Some(0));
        check(1, thursday, Some(u64::from(WEEK_SECS) * NANOS));
        check(1, thursday + 1, Some(NANOS));
        check(NANOS, thursday, Some(u64::from(WEEK_SECS) * NANOS));
        check(0, 0, Some(4 * 86_400 * NANOS));
        check(u64::MAX - 1, thursday, None);
    }
}
