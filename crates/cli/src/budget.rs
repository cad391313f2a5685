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
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED);
        }
    })
    .context("cannot listen for an interrupt")?;
    match budget.max_time.map(Duration::from_secs) {
        None => {}
        Some(Duration::ZERO) => STOP.store(true, Ordering::Relaxed),
        Some(time) => {
            std::thread::spawn(move || {
                std::thread::sleep(time);
                STOP.store(true, Ordering::Relaxed);
            });
        }
    }
    let standard = SolveLimits::default();
    Ok(SolveLimits {
        work: budget.max_work.unwrap_or(standard.work),
        boxes: budget.max_boxes.unwrap_or(standard.boxes),
        stop: Stop::when(&STOP),
        ..standard
    })
}
