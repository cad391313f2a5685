//! Building and looking up against the clock. Answers are kept and compared, so that no work can be
//! optimised away and none of it be wrong unnoticed.

use std::hint::black_box;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_policy::{LinkedFirewall, PacketKey, RuleBaseId, RuleId};

/// A repetition has at least so many lookups: short traces are walked several times.
const LEAST_LOOKUPS: usize = 100_000;

/// Builds stop when they have taken so long together; there are at least two.
const ENOUGH_BUILDING: Duration = Duration::from_secs(2);

/// What a repeated measurement gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Zeros when nothing was measured; of an even number the lower median.
    pub(super) fn of(mut measured: Vec<f64>) -> Self {
        measured.sort_by(f64::total_cmp);
        let at = |index: usize| measured.get(index).copied().unwrap_or(0.0);
        let last = measured.len().saturating_sub(1);
        Self { least: at(0), median: at(last / 2), most: at(last) }
    }
}

/// A compiled policy and what compiling costs.
pub(super) struct Building {
    pub(super) policy: Arc<CompiledPolicy>,
    pub(super) build_ms: Spread,
    /// How often a second the whole policy can be compiled and put in place of the old one: without
    /// finer updates, the rate of changes that take effect at once.
    pub(super) updates_per_second: f64,
}

impl Building {
    /// Compiles up to `repetitions` times, at least twice.
    pub(super) fn measure(firewall: &Arc<LinkedFirewall>, repetitions: usize) -> Self {
        let compile = || {
            let firewall = Arc::clone(black_box(firewall));
            Arc::new(CompiledPolicy::compile(firewall, &CompileLimits::default()))
        };
        let (first, policy) = timed(compile);
        let mut build_ms = vec![milliseconds(first)];
        let mut update_ms = Vec::new();
        let in_use = RwLock::new(policy);
        let mut spent = first;
        for round in 0..repetitions.max(1) {
            if round > 0 && spent > ENOUGH_BUILDING {
                break;
            }
            let (built, policy) = timed(compile);
            let (swapped, old) = timed(|| {
                let mut in_use = in_use.write().unwrap_or_else(PoisonError::into_inner);
                std::mem::replace(&mut *in_use, policy)
            });
            // Freeing the old policy is the last reader's work, not the update's.
            drop(old);
            build_ms.push(milliseconds(built));
            update_ms.push(milliseconds(built + swapped));
            spent += built + swapped;
        }
        Self {
            policy: in_use.into_inner().unwrap_or_else(PoisonError::into_inner),
            build_ms: Spread::of(build_ms),
            updates_per_second: 1000.0 / Spread::of(update_ms).median.max(f64::MIN_POSITIVE),
        }
    }
}

/// What lookups cost and find.
pub(super) struct Looking {
    /// Lookups timed in each repetition, one by one and again in batches.
    pub(super) lookups: usize,
    pub(super) single: Spread,
    pub(super) batch: Spread,
    /// The first match of each header.
    pub(super) found: Vec<Option<RuleId>>,
    /// Answers, of any pass, that differ from those of the first one.
    pub(super) disagreements: usize,
}

/// Headers and where to look them up.
pub(super) struct Lookup<'a> {
    pub(super) policy: &'a CompiledPolicy,
    pub(super) rule_base: RuleBaseId,
    pub(super) keys: &'a [PacketKey],
    /// Headers in a batch.
    pub(super) batch: usize,
}

/// One way to look all headers up.
type Pass<'a> = fn(&Lookup<'a>, &mut [Option<RuleId>]);

impl<'a> Lookup<'a> {
    /// Walks the headers once unmeasured, then `repetitions` times one by one and in batches, in
    /// turns, so that a machine that becomes slower slows both.
    pub(super) fn measure(&self, repetitions: usize) -> Looking {
        let mut found = vec![None; self.keys.len()];
        self.one_by_one(&mut found);
        let walks = LEAST_LOOKUPS.div_ceil(self.keys.len().max(1));
        let lookups = walks * self.keys.len();
        let mut again = found.clone();
        let passes: [Pass<'a>; 2] = [Self::one_by_one, Self::in_batches];
        let mut times = [Vec::new(), Vec::new()];
        let mut disagreements = 0;
        for _ in 0..repetitions {
            for (pass, times) in passes.iter().zip(&mut times) {
                // What an earlier pass left must not pass for an answer of this one.
                again.fill(Some(RuleId(u32::MAX)));
                let (took, ()) = timed(|| (0..walks).for_each(|_| pass(self, &mut again)));
                times.push(took.as_secs_f64() * 1e9 / lookups as f64);
                disagreements += found.iter().zip(&again).filter(|(a, b)| a != b).count();
            }
        }
        let [single, batch] = times.map(Spread::of);
        Looking { lookups, single, batch, found, disagreements }
    }

    fn one_by_one(&self, found: &mut [Option<RuleId>]) {
        for (key, slot) in black_box(self.keys).iter().zip(black_box(found)) {
            *slot = self.policy.first_match(self.rule_base, key);
        }
    }

    fn in_batches(&self, found: &mut [Option<RuleId>]) {
        let found = black_box(found).chunks_mut(self.batch.max(1));
        for (keys, found) in black_box(self.keys).chunks(self.batch.max(1)).zip(found) {
            self.policy.first_match_batch(self.rule_base, keys, found);
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = clock::now();
    let done = black_box(work());
    (clock::now().saturating_sub(begun), done)
}

/// Processor time of the command, all threads together: other programs that share the machine do
/// not count.
#[cfg(target_os = "linux")]
pub(super) mod clock {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    pub(crate) const NAME: &str = "processor";

    pub(crate) fn now() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }
}

/// Time on the wall: there is no portable clock that counts this command only.
#[cfg(not(target_os = "linux"))]
pub(super) mod clock {
    use std::sync::LazyLock;
    use std::time::Duration;

    #[expect(clippy::disallowed_types, reason = "what is measured is time; no verdict uses it")]
    static BEGUN: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

    pub(crate) const NAME: &str = "wall";

    pub(crate) fn now() -> Duration {
        BEGUN.elapsed()
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_middle_in_the_middle() {
        let spread = |least, median, most| Spread { least, median, most };
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]), spread(1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 1.0]), spread(1.0, 1.0, 4.0));
        assert_eq!(Spread::of(Vec::new()), spread(0.0, 0.0, 0.0));
    }
}
