//! Schedules as the native format writes them.

use std::fmt;

use parefeu_net::Timestamp;

/// Seconds of a day and of a week.
const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads `mon 08:00-18:00`, `mon-fri 08:00-18:00`, `daily 22:00-06:00` or `fri 18:00 - mon 08:00`
/// into half-open ranges of seconds since Monday 00:00. A range that ends before it begins goes on
/// over midnight, or over the end of the week.
pub(super) fn read_weekly(text: &str) -> Option<Vec<(u32, u32)>> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut ranges = Vec::new();
    match words.as_slice() {
        [days, times] => {
            let (from, to) = times.split_once('-')?;
            let (from, to) = (read_time(from)?, read_time(to)?);
            let to = if to <= from { to + DAY } else { to };
            for day in read_days(days)? {
                push_wrapped(&mut ranges, day * DAY + from, day * DAY + to);
            }
        }
        [first, from, "-", last, to] => {
            let from = read_day(first)? * DAY + read_time(from)?;
            let to = read_day(last)? * DAY + read_time(to)?;
            push_wrapped(&mut ranges, from, if to <= from { to + WEEK } else { to });
        }
        _ => return None,
    }
    Some(ranges)
}

/// Adds a range that may reach into the next week.
fn push_wrapped(ranges: &mut Vec<(u32, u32)>, from: u32, to: u32) {
    ranges.push((from, to.min(WEEK)));
    if to > WEEK {
        ranges.push((0, to - WEEK));
    }
}

fn read_day(text: &str) -> Option<u32> {
    DAYS.iter().position(|day| *day == text).map(|day| day as u32)
}

/// `mon`, `mon-fri`, `sat,sun` or `daily`.
fn read_days(text: &str) -> Option<Vec<u32>> {
    if text == "daily" {
        return Some((0..7).collect());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (read_day(first)?, read_day(last)?);
        let count = (last + 7 - first) % 7;
        days.extend((0..=count).map(|offset| (first + offset) % 7));
    }
    Some(days)
}

/// `08:00` or `08:00:30` as seconds since midnight; `24:00` is the end of the day.
fn read_time(text: &str) -> Option<u32> {
    let mut parts = text.split(':');
    let mut part = |most: u32| parts.next()?.parse::<u32>().ok().filter(|value| *value <= most);
    let (hours, minutes) = (part(24)?, part(59)?);
    let seconds = match parts.next() {
        Some(seconds) => seconds.parse::<u32>().ok().filter(|value| *value <= 59)?,
        None => 0,
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (parts.next().is_none() && total <= DAY).then_some(total)
}

/// Reads `2026-12-24T18:00:00Z/2026-12-27T06:00:00Z`, a half-open range.
pub(super) fn read_absolute(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (from, to) = text.split_once('/')?;
    let from = Timestamp::parse_rfc3339(from.trim()).ok()?;
    let to = Timestamp::parse_rfc3339(to.trim()).ok()?;
    (from < to).then_some((from, to))
}

/// Prints a weekly range that is not empty so that [`read_weekly`] reads it back.
pub(super) struct ShowWeekly(pub(super) u32, pub(super) u32);

impl fmt::Display for ShowWeekly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |f: &mut fmt::Formatter<'_>, second: u32| {
            let (hours, minutes) = (second / 3600, second / 60 % 60);
            write!(f, "{hours:02}:{minutes:02}")?;
            if second.is_multiple_of(60) { Ok(()) } else { write!(f, ":{:02}", second % 60) }
        };
        let (from, to) = (self.0.min(WEEK - 1), self.1.min(WEEK));
        // The end belongs to the day of the last second, so that midnight is written 24:00.
        let (first, last) = (from / DAY, to.saturating_sub(1) / DAY);
        let name = |day: u32| DAYS.get(day as usize).copied().unwrap_or("sun");
        write!(f, "{} ", name(first))?;
        time(f, from - first * DAY)?;
        f.write_str(if first == last { "-" } else { " - " })?;
        if first != last {
            write!(f, "{} ", name(last))?;
        }
        time(f, to - last * DAY)
    }
}
