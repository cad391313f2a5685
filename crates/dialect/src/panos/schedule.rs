//! Schedules: daily, weekly, or from one date to another.

use parefeu_net::Timestamp;
use parefeu_policy::Schedule;

use super::convert::Converter;
use super::profile::written;
use super::scope::Kind;
use super::tree::Element;

const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const DAY_SECS: u32 = 86_400;

impl Converter<'_> {
    pub(super) fn convert_schedules(&mut self) {
        for object in self.scopes.all(Kind::Schedule).to_vec() {
            let at = object.element.at();
            let mut schedule = Schedule { name: object.name, at, ..Schedule::default() };
            let Some(kind) = object.element.child("schedule-type") else {
                let message = "a schedule without times is never on";
                self.problems.suspicious("empty-schedule", at, message);
                self.firewall.schedules.push(schedule);
                continue;
            };
            if let Some(range) = ranges_of_days(kind).into_iter().find(|it| runs_past_midnight(*it))
            {
                let message = "whether times run past midnight is not documented";
                self.problems.unsupported("overnight", range.at(), message);
                let times = format!("schedule {}", written(kind, "times"));
                self.untold_schedules.insert(schedule.name, times);
                continue;
            }
            for range in kind.child("recurring").into_iter().flat_map(|it| it.under("daily")) {
                match weekly(range) {
                    Some((first, last)) => {
                        let days = (0..7).map(|day| day * DAY_SECS);
                        schedule.weekly.extend(days.map(|day| (day + first, day + last)));
                    }
                    None => self.bad_time(range),
                }
            }
            let week = kind.child("recurring").and_then(|it| it.child("weekly"));
            for day in week.into_iter().flat_map(Element::children) {
                let number = DAYS.iter().position(|name| *name == day.name());
                for range in day.children() {
                    match number.zip(weekly(range)) {
                        Some((number, (first, last))) => {
                            let start = number as u32 * DAY_SECS;
                            schedule.weekly.push((start + first, start + last));
                        }
                        None => self.bad_time(range),
                    }
                }
            }
            for range in kind.under("non-recurring") {
                match absolute(range.name()) {
                    Some(range) => schedule.absolute.push(range),
                    None => self.bad_time(range),
                }
            }
            schedule.weekly.sort_unstable();
            self.firewall.schedules.push(schedule);
        }
    }

    fn bad_time(&mut self, range: Element<'_>) {
        let message = format!("`{}` is no range of times", range.name());
        self.problems.error("bad-time", range.at(), message);
    }
}

/// The ranges of hours, of every day or of one.
fn ranges_of_days(kind: Element<'_>) -> Vec<Element<'_>> {
    let Some(recurring) = kind.child("recurring") else { return Vec::new() };
    let weekly = recurring.under("weekly").flat_map(Element::children);
    recurring.under("daily").chain(weekly).collect()
}

/// Whether a range ends before it begins, or where it does.
fn runs_past_midnight(range: Element<'_>) -> bool {
    let Some((first, last)) = range.name().split_once('-') else { return false };
    clock(first).zip(clock(last)).is_some_and(|(first, last)| first >= last)
}

/// `HH:MM-HH:MM` as seconds of a day.
fn weekly(range: Element<'_>) -> Option<(u32, u32)> {
    let (first, last) = range.name().split_once('-')?;
    let (first, last) = (clock(first)?, clock(last)?);
    (first < last).then_some((first, last))
}

fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let secs = hours.checked_mul(3600)?.checked_add(minutes.checked_mul(60)?)?;
    (minutes < 60 && secs <= DAY_SECS).then_some(secs)
}

/// `YYYY/MM/DD@HH:MM-YYYY/MM/DD@HH:MM`, in the time zone of the device, read as UTC.
fn absolute(text: &str) -> Option<(Timestamp, Timestamp)> {
    let (first, last) = text.split_once('-')?;
    let moment = |text: &str| {
        let (date, time) = text.trim().split_once('@')?;
        let date = date.replace('/', "-");
        Timestamp::parse_rfc3339(&format!("{date}T{time}:00Z")).ok()
    };
    let (first, last) = (moment(first)?, moment(last)?);
    (first < last).then_some((first, last))
}
