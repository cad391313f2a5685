//! Timers that differ, with what the traffic shows of them, as JSON and in words.

use std::fmt::Write;
use std::time::Duration;

use parefeu_replay::{Pause, TimerHazard};
use serde_json::{Value, json};

use crate::DiffReport;
use crate::session::FlowDocument;
use crate::table::plural;

/// Every timer that differs; what the traffic shows is `null` without any.
pub(crate) fn timer_documents(report: &DiffReport<'_>) -> Vec<Value> {
    let seen = report.comparison.is_some();
    let count = |count: u64| if seen { count.into() } else { Value::Null };
    let documents = report.timers.iter().map(|it| {
        json!({
            "timer": it.timer,
            "old_seconds": it.old.as_secs(),
            "new_seconds": it.new.as_secs(),
            "sessions": count(it.sessions),
            "cut": count(it.cut),
            "kept": count(it.kept),
            "longest_pause": it.longest.map(|Pause { flow, length, until }| json!({
                "seconds": length.as_secs_f64(),
                "until": until.to_string(),
                "flow": FlowDocument::new(&flow, None),
            })),
            "picked_up": it.picked_up,
        })
    });
    documents.collect()
}

/// What the traffic shows of the timers that differ, a line each; nothing without traffic.
pub(crate) fn write_timers(text: &mut String, report: &DiffReport<'_>) {
    let told = |it: &&TimerHazard| it.cut + it.kept > 0;
    for (at, it) in report.timers.iter().filter(told).enumerate() {
        if at == 0 {
            let _ = writeln!(text, "timers (old, then new):");
        }
        let (old, new) = (seconds(it.old), seconds(it.new));
        let _ = writeln!(text, "  {}: {old}, {new}: {}", it.timer, effect(it));
    }
}

/// What sessions of the traffic come to under a timer: `2 sessions cut, after 40 min at most`.
pub(crate) fn effect(hazard: &TimerHazard) -> String {
    let parts = [(hazard.cut, "cut"), (hazard.kept, "kept that were cut")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts = parts.map(|(count, what)| format!("{} {what}", plural(count as usize, "session")));
    let mut text = parts.collect::<Vec<_>>().join(", ");
    if text.is_empty() {
        "none told apart".clone_into(&mut text);
    }
    if let Some(pause) = hazard.longest {
        let _ = write!(text, "; longest pause {}: {}", seconds(pause.length), pause.flow);
    }
    if hazard.cut > 0 && hazard.picked_up {
        text += "; taken up again where rules admit it (tcp-loose)";
    }
    text
}

/// `90 s`, `40 min`, `1 h 30 min`, `5 d`; parts of a second are left out.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 120 {
        return format!("{seconds} s");
    }
    let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units {
        if left >= unit {
            parts.push(format!("{} {name}", left / unit));
            left %= unit;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_say_them() {
        let cases = [
            (0, "0 s"),
            (90, "90 s"),
            (120, "2 min"),
            (2999, "49 min 59 s"),
            (3600, "1 h"),
            (5400, "1 h 30 min"),
            (432_000, "5 d"),
        ];
        for (secs, expected) in cases {
            assert_eq!(seconds(Duration::from_secs(secs)), expected);
        }
    }
}
