//! `time-range`, `timeout` and `clock` lines.

use std::time::Duration;

use parefeu_policy::At;

use super::config::TimeRange;
use super::line::{Parsed, Refusal, Word, Words};
use super::term;

const DAY_SECS: u32 = 86_400;
const WEEK_SECS: u32 = 7 * DAY_SECS;
/// `timeout conn 0:00:00` keeps a connection for ever: the longest time a timer takes.
const NEVER_SECS: u64 = 4_000_000_000;

/// The idle timers of a `timeout` line by the names of the model; the word `timeout` already read.
///
/// Timers of translations, proxies and signalling protocols are passed over.
pub(super) fn timeouts(words: &mut Words<'_>) -> Parsed<Vec<At<(&'static str, Duration)>>> {
    let mut found = Vec::new();
    while let Some(name) = words.next() {
        let Some(value) = words.peek() else { break };
        let secs = term::duration_secs(value.text);
        if secs.is_some() {
            words.next();
        }
        let timers: &[&'static str] = match name.text {
            "conn" => &["tcp-established"],
            "half-closed" => &["tcp-half-closed"],
            "udp" => &["udp", "udp-stream"],
            "icmp" => &["icmp"],
            "sctp" => &["sctp-established"],
            _ => &[],
        };
        if timers.is_empty() {
            continue;
        }
        let secs = secs.ok_or_else(|| Refusal::is_no(value, "time"))?;
        let secs = if secs == 0 { NEVER_SECS } else { secs };
        let duration = Duration::from_secs(secs);
        found.extend(timers.iter().map(|timer| At::new((*timer, duration), value.at)));
    }
    Ok(found)
}

/// `clock timezone NAME HOURS [MINUTES]`: seconds ahead of UTC; `clock timezone` already read.
pub(super) fn timezone(words: &mut Words<'_>) -> Parsed<i64> {
    words.expect("a name")?;
    let word = words.expect("hours")?;
    let hours = word.text.parse::<i64>().ok().filter(|hours| (-23..=23).contains(hours));
    let hours = hours.ok_or_else(|| Refusal::is_no(word, "number of hours"))?;
    let minutes = words.next().and_then(|word| word.text.parse::<i64>().ok()).unwrap_or(0);
    let sign = if hours < 0 { -1 } else { 1 };
    Ok(hours * 3600 + sign * minutes.clamp(0, 59) * 60)
}

/// A line inside `time-range`.
pub(super) fn time_range_line(range: &mut TimeRange, words: &mut Words<'_>) -> Parsed<()> {
    let word = words.expect("a keyword")?;
    match word.text {
        "absolute" => {
            let (mut start, mut end) = (None, None);
            while let Some(word) = words.next() {
                match word.text {
                    "start" => start = Some(date(words)?),
                    "end" => end = Some(date(words)? + i64::from(END_SECS)),
                    _ => return Err(Refusal::unexpected(word)),
                }
            }
            range.absolute = Some((start, end));
        }
        "periodic" => periodic(range, words)?,
        _ => return Err(Refusal::unexpected(word)),
    }
    Ok(())
}

/// `hh:mm day month year` in local seconds since 1970.
fn date(words: &mut Words<'_>) -> Parsed<i64> {
    let secs = clock_time(words)?;
    let (day, month, year) =
        (words.expect("a day")?, words.expect("a month")?, words.expect("a year")?);
    let parse =
        |word: Word<'_>| word.text.parse::<i64>().map_err(|_| Refusal::is_no(word, "number"));
    let (day_number, year_number) = (parse(day)?, parse(year)?);
    let names =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let prefix = month.text.to_ascii_lowercase();
    let number = (1..).zip(names).find(|(_, name)| prefix.starts_with(name));
    let (month_number, _) = number.ok_or_else(|| Refusal::is_no(month, "month"))?;
    if !(1..=31).contains(&day_number) || !(1970..=9999).contains(&year_number) {
        return Err(Refusal::is_no(day, "date"));
    }
    Ok(days_since_1970(year_number, month_number, day_number) * i64::from(DAY_SECS)
        + i64::from(secs))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; years begin in March, so that the leap
/// day comes last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

/// `hh:mm` in seconds since midnight.
fn clock_time(words: &mut Words<'_>) -> Parsed<u32> {
    let word = words.expect("a time")?;
    let secs = term::duration_secs(word.text).and_then(|secs| u32::try_from(secs).ok());
    secs.filter(|secs| *secs <= DAY_SECS).ok_or_else(|| Refusal::is_no(word, "time of day"))
}

/// The minute a range ends with is part of it: "if the specified end time is 3:50, because the end
/// time is inclusive", the range ends at 3:51 (firewall CLI guide, "Configure Time Ranges").
const END_SECS: u32 = 60;

/// `periodic DAYS hh:mm to [DAY] hh:mm`.
fn periodic(range: &mut TimeRange, words: &mut Words<'_>) -> Parsed<()> {
    let mut days = Vec::new();
    while let Some(word) = words.peek() {
        let Some(named) = day_names(word.text) else { break };
        words.next();
        days.extend(named);
    }
    if days.is_empty() {
        return Err(Refusal::unexpected(words.expect("days")?));
    }
    let start = clock_time(words)?;
    if !words.accept("to") {
        return Err(Refusal::unexpected(words.expect("`to`")?));
    }
    let end_day =
        words.peek().and_then(|word| day_names(word.text)).and_then(|days| match days[..] {
            [day] => Some(day),
            _ => None,
        });
    if end_day.is_some() {
        words.next();
    }
    let end = clock_time(words)?;
    words.finish()?;
    for day in days {
        let from = day * DAY_SECS + start;
        let to = end_day.unwrap_or(day) * DAY_SECS + end;
        // An end before its start lies in the next week, or the next day without a day of its own.
        let to = match end_day {
            _ if to > from => to,
            Some(_) => to + WEEK_SECS,
            None => to + DAY_SECS,
        };
        range.weekly.push((from, to + END_SECS));
    }
    Ok(())
}

/// Days from Monday, 0 to 6.
fn day_names(text: &str) -> Option<Vec<u32>> {
    let lower = text.to_ascii_lowercase();
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    match lower.as_str() {
        "daily" => Some((0..7).collect()),
        "weekdays" => Some((0..5).collect()),
        "weekend" => Some(vec![5, 6]),
        day => {
            let index = names.iter().position(|name| *name == day)?;
            Some(vec![index as u32])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_days_of_the_gregorian_calendar() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 24), 20_781),
        ] {
            assert_eq!(days_since_1970(date.0, date.1, date.2), days, "{date:?}");
        }
    }
}
