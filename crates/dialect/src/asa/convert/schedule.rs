//! Time ranges become schedules.

use std::collections::BTreeSet;

use parefeu_net::Timestamp;
use parefeu_policy::{Diagnostics, Schedule};

use super::super::config::{Config, TimeRange};

const WEEK_SECS: u32 = 604_800;
/// Timestamps count nanoseconds in 64 bits: the year 2540.
const LAST_SECS: u64 = 18_000_000_000;

/// The time ranges of a configuration.
pub(super) struct Schedules {
    /// Those that can be modelled.
    pub(super) modelled: Vec<Schedule>,
    /// Names of the others, all of them reported: rules that use one match perhaps.
    pub(super) opaque: BTreeSet<String>,
}

/// Converts every time range. The device keeps local time: `clock timezone` is taken off;
/// `clock summer-time` moves twice a year and is not modelled.
pub(super) fn schedules(config: &Config, problems: &mut Diagnostics) -> Schedules {
    let mut found = Schedules { modelled: Vec::new(), opaque: BTreeSet::new() };
    for range in &config.time_ranges {
        match refusal(config, range) {
            Some(message) => {
                problems.unsupported("not-modelled", range.at, message);
                found.opaque.insert(range.name.clone());
            }
            None => found.modelled.push(schedule(range, config.utc_offset_secs)),
        }
    }
    found
}

fn refusal(config: &Config, range: &TimeRange) -> Option<&'static str> {
    if config.summer_time.is_some() {
        return Some("time ranges under summer time are not modelled");
    }
    match (range.unknown, range.weekly.is_empty(), range.absolute) {
        (true, ..) => Some("a line of the time range is not understood"),
        (_, true, None) => Some("a time range without a line is not modelled"),
        (_, false, Some(_)) => Some("a time range both periodic and absolute is not modelled"),
        _ => None,
    }
}

fn schedule(range: &TimeRange, offset_secs: i64) -> Schedule {
    let mut weekly = Vec::new();
    // Local time less the offset is UTC; a week less the offset stays positive.
    let shift = (-offset_secs).rem_euclid(i64::from(WEEK_SECS)).unsigned_abs() as u32;
    for &(from, to) in &range.weekly {
        let length = to.saturating_sub(from).min(WEEK_SECS);
        let from = (from + shift) % WEEK_SECS;
        let to = from + length;
        weekly.push((from, to.min(WEEK_SECS)));
        if to > WEEK_SECS {
            weekly.push((0, to - WEEK_SECS));
        }
    }
    weekly.sort_unstable();
    let instant = |local: i64| {
        let secs = u64::try_from(local - offset_secs).unwrap_or(0);
        Timestamp::from_secs(secs.min(LAST_SECS))
    };
    let absolute = range.absolute.map(|(start, end)| {
        let start = start.map_or_else(|| Timestamp::from_secs(0), instant);
        (start, end.map_or_else(|| Timestamp::from_secs(LAST_SECS), instant))
    });
    let (name, absolute) = (range.name.clone(), absolute.into_iter().collect());
    Schedule { name, weekly, absolute, at: range.at }
}
