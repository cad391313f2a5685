//! The options of `-m time`.

use parefeu_net::Timestamp;
use parefeu_policy::Span;

use super::condition::{Condition, Kind};

const DAY: u32 = 86_400;
/// A name is told by its first two letters.
const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

/// The end of a rule that is given none, 2038-01-19T03:14:07; `iptables-save` 1.8 prints it
/// (`libxt_time`).
const NO_END: u64 = 0x7fff_ffff;

/// What a rule says about time, gathered from several options.
#[derive(Default)]
pub(super) struct TimeOptions {
    start: Option<u32>,
    stop: Option<u32>,
    days: Option<[bool; 7]>,
    from: Option<u64>,
    to: Option<u64>,
    /// Whether something has no equivalent.
    odd: bool,
    text: String,
    at: Option<Span>,
}

impl TimeOptions {
    /// Takes one option; `false` when its value cannot be read.
    pub(super) fn option(&mut self, name: &str, value: &str, negated: bool, at: Span) -> bool {
        self.at = Some(self.at.map_or(at, |first| first.to(at)));
        let not = if negated { "! " } else { "" };
        let space = if self.text.is_empty() { "" } else { " " };
        let gap = if value.is_empty() { "" } else { " " };
        self.text = format!("{}{space}{not}{name}{gap}{value}", self.text);
        self.odd |= negated && name != "--weekdays";
        match name {
            "--timestart" => read_time(value).map(|time| self.start = Some(time)).is_some(),
            "--timestop" => read_time(value).map(|time| self.stop = Some(time)).is_some(),
            "--weekdays" => read_days(value, negated).map(|days| self.days = Some(days)).is_some(),
            "--datestart" => {
                read_date(value).map(|date| self.from = (date != 0).then_some(date)).is_some()
            }
            "--datestop" => {
                let date = read_date(value);
                date.map(|date| self.to = (date != NO_END).then_some(date)).is_some()
            }
            _ => {
                self.odd = true;
                true
            }
        }
    }

    /// The condition all options make together. Times are UTC and both ends belong to the range, as
    /// in the kernel (`xt_time`).
    pub(super) fn condition(self) -> Option<Condition> {
        let at = self.at?;
        let daily = self.start.is_some() || self.stop.is_some() || self.days.is_some();
        let dated = self.from.is_some() || self.to.is_some();
        let kind = if self.odd || (daily && dated) {
            Kind::Atom(format!("-m time {}", self.text))
        } else {
            let absolute = if dated {
                let end = self.to.map_or(u64::MAX, |to| to.saturating_add(1));
                vec![(self.from.unwrap_or(0), end)]
            } else {
                Vec::new()
            };
            let weekly = if dated { Vec::new() } else { self.weekly() };
            Kind::Time { text: self.text, weekly, absolute }
        };
        Some(Condition { kind, negated: false, at })
    }

    /// A start after the stop leaves out what lies between them, on each day by itself.
    fn weekly(&self) -> Vec<(u32, u32)> {
        let start = self.start.unwrap_or(0);
        let end = self.stop.unwrap_or(DAY - 1) + 1;
        let parts = if start < end { vec![(start, end)] } else { vec![(0, end), (start, DAY)] };
        let days = self.days.unwrap_or([true; 7]).into_iter().zip(0u32..);
        days.filter(|(on, _)| *on)
            .flat_map(|(_, day)| parts.iter().map(move |(a, b)| (day * DAY + a, day * DAY + b)))
            .filter(|(from, to)| from < to)
            .collect()
    }
}

/// `08:00` or `08:00:30`.
fn read_time(text: &str) -> Option<u32> {
    let parts: Vec<u32> = text.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (*hours, *minutes, 0),
        [hours, minutes, seconds] => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let fits = hours < 24 && minutes < 60 && seconds < 60;
    fits.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// `Mon,Tue` or `1,2`; Monday is 1.
fn read_days(text: &str, negated: bool) -> Option<[bool; 7]> {
    let mut days = [negated; 7];
    for part in text.split(',') {
        let lower = part.to_ascii_lowercase();
        let named = lower.get(..2).and_then(|short| DAYS.iter().position(|day| *day == short));
        let numbered = part.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        *days.get_mut(named.or(numbered)?)? = !negated;
    }
    Some(days)
}

/// `2026-12-24T18:00:00`, of which the end may be left out, in seconds since the epoch.
fn read_date(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T').unwrap_or((text, "0"));
    let time = if time.contains(':') { time.to_owned() } else { format!("{time}:00") };
    let time = read_time(&time)?;
    let date: Vec<&str> = date.split('-').collect();
    let (year, month, day) = match *date.as_slice() {
        [year] => (year, "1", "1"),
        [year, month] => (year, month, "1"),
        [year, month, day] => (year, month, day),
        _ => return None,
    };
    let (hours, minutes, seconds) = (time / 3600, time / 60 % 60, time % 60);
    let full = format!("{year:0>4}-{month:0>2}-{day:0>2}T{hours:02}:{minutes:02}:{seconds:02}Z");
    Timestamp::parse_rfc3339(&full).ok().map(|time| time.as_nanos() / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(options: &[(&str, &str, bool)], expected: &Kind) {
        let mut time = TimeOptions::default();
        for (name, value, negated) in options {
            assert!(time.option(name, value, *negated, Span::new(0, 1)), "{name} {value}");
        }
        assert_eq!(time.condition().map(|condition| condition.kind).as_ref(), Some(expected));
    }

    #[test]
    fn times_of_the_week_and_dates_become_ranges() {
        check(
            &[
                ("--timestart", "08:00", false),
                ("--timestop", "17:59:59", false),
                ("--weekdays", "Mon,2", false),
            ],
            &Kind::Time {
                text: "--timestart 08:00 --timestop 17:59:59 --weekdays Mon,2".to_owned(),
                weekly: vec![(28_800, 64_800), (115_200, 151_200)],
                absolute: vec![],
            },
        );
        check(
            &[
                ("--timestart", "22:00", false),
                ("--timestop", "06:00", false),
                ("--weekdays", "Mon,Tue,Wed,Thu,Fri,Sat", true),
            ],
            &Kind::Time {
                text: "--timestart 22:00 --timestop 06:00 ! --weekdays Mon,Tue,Wed,Thu,Fri,Sat"
                    .to_owned(),
                weekly: vec![(518_400, 540_001), (597_600, 604_800)],
                absolute: vec![],
            },
        );
        check(
            &[("--datestart", "1970-01-02", false), ("--datestop", "1970-01-02T00:00:09", false)],
            &Kind::Time {
                text: "--datestart 1970-01-02 --datestop 1970-01-02T00:00:09".to_owned(),
                weekly: vec![],
                absolute: vec![(86_400, 86_410)],
            },
        );
        check(&[("--monthdays", "1", false)], &Kind::Atom("-m time --monthdays 1".to_owned()));
    }
}
