//! Which signatures a payload's first bytes leave possible.

use aho_corasick::{AhoCorasick, Anchored, Input, MatchKind, StartKind};
use serde::{Deserialize, Serialize};

use crate::protocol::Signature;

/// A set of signatures of one transport, by their position in its list.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Candidates(u64);

impl Candidates {
    /// Every position; a list holds at most 64 signatures.
    pub(crate) const ALL: Self = Self(u64::MAX);
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn intersect(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn insert(&mut self, index: usize) {
        self.0 |= 1 << (index & 63);
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.0 &= !(1 << (index & 63));
    }

    /// Positions, lowest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (index < 64).then_some(index)
        })
    }
}

/// The signatures of one transport, with one automaton over all their prefixes.
pub(crate) struct Nominator {
    pub(crate) signatures: &'static [Signature],
    /// `None` should the automaton not be built: then every signature is always asked.
    automaton: Option<AhoCorasick>,
    /// For each pattern, the signatures it or a prefix of it nominates.
    nominated: Vec<Candidates>,
    /// Signatures without a prefix.
    always: Candidates,
    /// Every signature of the list.
    all: Candidates,
    longest: usize,
}

impl Nominator {
    pub(crate) fn new(signatures: &'static [Signature]) -> Self {
        debug_assert!(signatures.len() <= 64);
        let patterns: Vec<&[u8]> =
            signatures.iter().flat_map(|signature| signature.prefixes).copied().collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .start_kind(StartKind::Anchored)
            .ascii_case_insensitive(true)
            .build(&patterns)
            .ok();
        let nominated = patterns.iter().map(|pattern| matching(signatures, pattern)).collect();
        let (mut always, mut all) = (Candidates::NONE, Candidates::NONE);
        for (index, signature) in signatures.iter().enumerate() {
            all.insert(index);
            if signature.prefixes.is_empty() {
                always.insert(index);
            }
        }
        let longest = patterns.iter().map(|pattern| pattern.len()).max().unwrap_or(0);
        Self { signatures, automaton, nominated, always, all, longest }
    }

    /// The signatures that these first bytes leave possible. Cost: one walk over at most the
    /// longest prefix; over all prefixes while fewer bytes than that are there.
    pub(crate) fn nominate(&self, bytes: &[u8]) -> Candidates {
        let Some(automaton) = &self.automaton else { return self.all };
        let window = bytes.get(..bytes.len().min(self.longest)).unwrap_or_default();
        let input = Input::new(window).anchored(Anchored::Yes);
        let mut candidates = self.always;
        if let Ok(Some(found)) = automaton.try_find(input)
            && let Some(nominated) = self.nominated.get(found.pattern().as_usize())
        {
            candidates.0 |= nominated.0;
        }
        if window.len() < self.longest {
            for (index, signature) in self.signatures.iter().enumerate() {
                let begun = |prefix: &&[u8]| crate::reader::starts_with_ignore_case(prefix, window);
                if signature.prefixes.iter().any(begun) {
                    candidates.insert(index);
                }
            }
        }
        candidates
    }
}

/// The signatures with a prefix that `text` begins with.
fn matching(signatures: &[Signature], text: &[u8]) -> Candidates {
    let mut candidates = Candidates::NONE;
    for (index, signature) in signatures.iter().enumerate() {
        let begins = |prefix: &&[u8]| crate::reader::starts_with_ignore_case(text, prefix);
        if signature.prefixes.iter().any(begins) {
            candidates.insert(index);
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{TCP, UDP};

    #[test]
    fn lists_fit_the_set() {
        assert!(TCP.len() <= 64 && UDP.len() <= 64);
    }

    #[test]
    fn automaton_agrees_with_comparing_every_prefix() {
        for signatures in [TCP, UDP] {
            let nominator = Nominator::new(signatures);
            assert!(nominator.automaton.is_some());
            for signature in signatures {
                for prefix in signature.prefixes {
                    let text = [prefix, &[b'~'; 40][..]].concat();
                    let expected = Candidates(matching(signatures, &text).0 | nominator.always.0);
                    assert_eq!(nominator.nominate(&text), expected, "{text:?}");
                }
            }
        }
    }
}
