//! How far an exact answer goes: work, memory, time, and an interrupt.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use parefeu_equivalence::{SolveLimits, Stop};

use crate::args::Budget;

/// Whether the answer is to end with what is known.
static STOP: AtomicBool = AtomicBool::new(false);

/// What a shell expects of a command that an interrupt ended.
const INTERRUPTED: i32 = 130;

/// The limits the options stand for. From now on the first interrupt ends the answer, and the next
/// one the command.
pub(crate) fn limits(budget: &Budget) -> anyhow::Result<SolveLimits> {
    stop_after(budget.max_time)?;
    let standard = SolveLimits::default();
    Ok(SolveLimits {
        work: budget.max_work.unwrap_or(standard.work),
        boxes: budget.max_boxes.unwrap_or(standard.boxes),
        stop: Stop::when(&STOP),
        ..standard
    })
}

/// A sign that an interrupt sets, and the time in seconds; the next interrupt ends the command.
pub(crate) fn stop_after(max_time: Option<u64>) -> anyhow::Result<&'static AtomicBool> {
    let sign = stop_at_interrupt()?;
    match max_time.map(Duration::from_secs) {
        None => {}
        Some(Duration::ZERO) => sign.store(true, Ordering::Relaxed),
        Some(time) => {
            std::thread::spawn(move || {
                std::thread::sleep(time);
                sign.store(true, Ordering::Relaxed);
            });
        }
    }
    Ok(sign)
}

/// A sign that an interrupt sets; the next one ends the command.
pub(crate) fn stop_at_interrupt() -> anyhow::Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    })
    .context("cannot listen for an interrupt")?;
    Ok(&STOP)
}
