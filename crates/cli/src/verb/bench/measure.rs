//! Building and looking up against the clock. Answers are kept and compared, so that no work can be
//! optimised away and none of it be wrong unnoticed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use parefeu_classify::{CompileLimits, CompiledPolicy, FirstMatch, LiveRules, Place, RuleHandle};
use parefeu_policy::{LinkedFirewall, LinkedMatch, PacketKey, RuleBaseId, RuleId};

use super::batch::Batches;
use super::draw::Random;

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
}

impl Building {
    /// Compiles up to `repetitions` times, at least twice.
    pub(super) fn measure(firewall: &Arc<LinkedFirewall>, repetitions: usize) -> Self {
        let compile = || {
            let firewall = Arc::clone(black_box(firewall));
            Arc::new(CompiledPolicy::compile(firewall, &CompileLimits::default()))
        };
        let (mut spent, mut policy) = timed(compile);
        let mut build_ms = vec![milliseconds(spent)];
        for round in 0..repetitions.max(1) {
            if round > 0 && spent > ENOUGH_BUILDING {
                break;
            }
            let (built, again) = timed(compile);
            policy = again;
            build_ms.push(milliseconds(built));
            spent += built;
        }
        Self { policy, build_ms: Spread::of(build_ms) }
    }
}

/// Changes that are measured.
const CHANGES: usize = 4000;

/// How long one change of a live rule base takes, in nanoseconds: rules are inserted before others,
/// replaced, moved and removed in turn, each change in force when the clock is read again. Nothing
/// for a rule base without rules.
pub(super) fn changes(firewall: &LinkedFirewall, rule_base: RuleBaseId, seed: u64) -> Spread {
    let live = firewall.rules_of(rule_base).iter().filter(|rule| !rule.disabled);
    let rules: Vec<LinkedMatch> = live.map(|rule| rule.matches.clone()).collect();
    if rules.is_empty() {
        return Spread::of(Vec::new());
    }
    let dimensions = (firewall.interfaces.len() as u32, firewall.zones.len() as u32);
    let schedules = firewall.schedules.clone().into();
    let mut live = LiveRules::new(rules.clone(), dimensions, schedules, CompileLimits::default());
    let mut handles: Vec<RuleHandle> = live.rules().map(|(rule, _)| rule).collect();
    let mut random = Random::new(seed);
    let mut took = Vec::with_capacity(CHANGES);
    for change in 0..CHANGES {
        let at = random.place(handles.len());
        let (rule, beside) = (handles[at], handles[random.place(handles.len())]);
        let matches = rules[random.place(rules.len())].clone();
        let (time, changed) = timed(|| match change % 4 {
            0 => live.insert(Place::Before(rule), matches).map(Some),
            1 => live.replace(rule, matches).map(|()| None),
            2 => live.reorder(rule, Place::After(beside)).map(|()| None),
            _ => live.remove(rule).map(|()| None),
        });
        took.push(time.as_secs_f64() * 1e9);
        match changed {
            Ok(Some(new)) => handles.push(new),
            Ok(None) if change % 4 == 3 => drop(handles.swap_remove(at)),
            // Every handle is that of a rule that stands: there is nothing to fail.
            Ok(None) | Err(_) => {}
        }
    }
    Spread::of(took)
}

/// What lookups cost and find.
pub(super) struct Looking {
    /// Lookups timed in each repetition, one by one and again in batches.
    pub(super) lookups: usize,
    pub(super) single: Spread,
    pub(super) batch: Spread,
    /// Whether batches were given field by field, the fastest form.
    pub(super) by_field: bool,
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

/// What no lookup answers.
const NOT_A_RULE: RuleId = RuleId(u32::MAX - 1);

/// One way to look all headers up.
type Pass<'a> = fn(&Lookup<'a>, &Batches<'a>, &mut [FirstMatch]);

impl<'a> Lookup<'a> {
    /// Walks the headers once unmeasured, then `repetitions` times one by one and in batches, in
    /// turns, so that a machine that becomes slower slows both.
    pub(super) fn measure(&self, repetitions: usize) -> Looking {
        let mut found = vec![FirstMatch::NONE; self.keys.len()];
        let mut batches = Batches::new(self.keys);
        self.one_by_one(&batches, &mut found);
        let mut again = found.clone();
        self.in_batches(&batches, &mut again);
        if again != found {
            batches = batches.into_packets();
        }
        let walks = LEAST_LOOKUPS.div_ceil(self.keys.len().max(1));
        let lookups = walks * self.keys.len();
        let passes: [Pass<'a>; 2] = [Self::one_by_one, Self::in_batches];
        let mut times = [Vec::new(), Vec::new()];
        let mut disagreements = 0;
        for _ in 0..repetitions {
            for (pass, times) in passes.iter().zip(&mut times) {
                // What an earlier pass left must not pass for an answer of this one.
                again.fill(Some(NOT_A_RULE).into());
                let (took, ()) =
                    timed(|| (0..walks).for_each(|_| pass(self, &batches, &mut again)));
                times.push(took.as_secs_f64() * 1e9 / lookups as f64);
                disagreements += found.iter().zip(&again).filter(|(a, b)| a != b).count();
            }
        }
        let [single, batch] = times.map(Spread::of);
        let by_field = batches.are_by_field();
        let found = found.into_iter().map(FirstMatch::rule).collect();
        Looking { lookups, single, batch, by_field, found, disagreements }
    }

    fn one_by_one(&self, _: &Batches<'a>, found: &mut [FirstMatch]) {
        for (key, slot) in black_box(self.keys).iter().zip(black_box(found)) {
            *slot = self.policy.first_match(self.rule_base, key).into();
        }
    }

    fn in_batches(&self, batches: &Batches<'a>, found: &mut [FirstMatch]) {
        black_box(batches).look_up(
            self.policy,
            self.rule_base,
            self.batch.max(1),
            black_box(found),
        );
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
