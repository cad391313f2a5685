//! Several parts of a question at once.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What `answer` makes of each part, in their order, on up to so many threads: the same as on one.
pub(crate) fn map_each<T: Sync, R: Send>(
    parts: &[T],
    threads: NonZeroUsize,
    answer: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(part) = parts.get(at)
        {
            found.push((at, answer(part)));
        }
        found
    };
    let others = threads.get().min(parts.len()).saturating_sub(1);
    let mut found = thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
        let mut found = work();
        for other in others {
            found.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        found
    });
    found.sort_unstable_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, found)| found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_their_parts() {
        let parts: Vec<usize> = (0..100).collect();
        let squares: Vec<usize> = parts.iter().map(|it| it * it).collect();
        for threads in [1, 2, 7, 200] {
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            assert_eq!(map_each(&parts, threads, |it| it * it), squares);
            assert_eq!(map_each(&[], threads, |it: &usize| *it), Vec::<usize>::new());
        }
    }

    #[test]
    #[should_panic(expected = "the ninth")]
    fn a_part_that_panics_is_heard() {
        let parts: Vec<usize> = (0..20).collect();
        map_each(&parts, NonZeroUsize::MAX, |it| assert!(*it != 9, "the ninth"));
    }
}
