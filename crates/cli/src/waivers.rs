//! `--waivers FILE`: the differences somebody answers for.

use std::path::Path;

use anyhow::Context;
use parefeu_equivalence::{Date, Waiver};

use crate::draw::Drawer;
use crate::written::{Known, Table, read_list, wanted};

/// The waivers of a file, in order.
pub(crate) fn read_waivers(
    path: &Path,
    known: &Known<'_>,
    drawer: &Drawer,
) -> anyhow::Result<Vec<Waiver>> {
    read_list(path, "waiver", drawer, |table| waiver(table, known))
}

fn waiver(table: &mut Table<'_, '_>, known: &Known<'_>) -> Option<Waiver> {
    let scope = table.scope(known);
    let (old, new) = (table.required("old", wanted), table.required("new", wanted));
    let (ticket, owner) = (table.text("ticket"), table.text("owner"));
    let (reason, expires) = (table.text("reason"), table.required("expires", date));
    let line = table.line;
    let (old, new, ticket, owner) = (old?, new?, ticket?, owner?);
    Some(Waiver { scope, old, new, ticket, owner, reason: reason?, expires: expires?, line })
}

/// A day such as `2026-12-31`.
pub(crate) fn date(word: &str) -> anyhow::Result<Date> {
    let parts: Vec<&str> = word.split('-').collect();
    let [year, month, day] = parts[..] else { anyhow::bail!("expected a date, YYYY-MM-DD") };
    // A moment on that day exists if and only if the day does.
    let moment = format!("{word}T00:00:00Z");
    parefeu_net::Timestamp::parse_rfc3339(&moment).context("there is no such day")?;
    Ok(Date { year: year.parse()?, month: month.parse()?, day: day.parse()? })
}

/// The day it is, in UTC.
pub(crate) fn today() -> anyhow::Result<Date> {
    #[expect(clippy::disallowed_types, reason = "waivers expire; the day is passed on as a value")]
    let now = std::time::SystemTime::now();
    #[expect(clippy::disallowed_types, reason = "the same")]
    let since = now.duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    let moment = parefeu_net::Timestamp::from_secs(since.as_secs()).to_string();
    date(moment.split('T').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_days_of_the_calendar() {
        assert_eq!(date("2028-02-29").unwrap(), Date { year: 2028, month: 2, day: 29 });
        for wrong in ["2027-02-29", "2026-13-01", "2026-1-1", "26-01-01", "tomorrow", ""] {
            assert!(date(wrong).is_err(), "{wrong}");
        }
    }
}
