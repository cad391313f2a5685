//! One direction of a TCP stream (or of a QUIC CRYPTO stream), put back in order.

use serde::{Deserialize, Serialize};

use crate::{LimitReached, Limits};

/// The bytes of one direction that no parser has consumed yet.
///
/// Segments may arrive in any order, twice, or overlapping; the byte seen first at an offset wins,
/// whether or not it was contiguous. Holds at most [`Limits::held_bytes`] and
/// [`Limits::held_segments`]; nothing is copied while segments arrive in order and the parser
/// consumes them whole.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Stream {
    /// Offset of the first byte not yet contiguous: everything before was delivered or is `held`.
    end: u64,
    /// Contiguous bytes before `end` that were not consumed.
    held: Vec<u8>,
    /// Segments past a hole, ordered, disjoint, none touching `end`.
    ahead: Vec<Ahead>,
    ahead_bytes: usize,
}

#[derive(Debug, Deserialize, Serialize)]
struct Ahead {
    offset: u64,
    bytes: Box<[u8]>,
}

impl Ahead {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

impl Stream {
    /// Contiguous bytes not consumed so far.
    pub(crate) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Offers a segment. `sink` sees all unconsumed contiguous bytes and says how many it is done
    /// with; it runs at most once more for each segment that a filled hole releases.
    ///
    /// # Errors
    /// The bound that was reached; the stream should then be given up.
    pub(crate) fn push(
        &mut self,
        offset: u64,
        bytes: &[u8],
        limits: &Limits,
        sink: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), LimitReached> {
        if offset > self.end {
            return self.keep_ahead(offset, bytes, limits);
        }
        let seen = usize::try_from(self.end - offset).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(seen..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(());
        };
        if self.ahead.is_empty() {
            return self.deliver(fresh, limits, sink);
        }
        self.keep_gaps(self.end, fresh);
        while self.ahead.first().is_some_and(|next| next.offset == self.end) {
            let next = self.ahead.remove(0);
            self.ahead_bytes -= next.bytes.len();
            self.deliver(&next.bytes, limits, sink)?;
        }
        self.check(limits)
    }

    /// Shows the held bytes to `sink` again, for a parser that took over.
    pub(crate) fn replay(&mut self, sink: &mut dyn FnMut(&[u8]) -> usize) {
        if self.held.is_empty() {
            return;
        }
        let used = sink(&self.held).min(self.held.len());
        self.held.drain(..used);
        self.shrink();
    }

    fn deliver(
        &mut self,
        fresh: &[u8],
        limits: &Limits,
        sink: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), LimitReached> {
        self.end = self.end.saturating_add(fresh.len() as u64);
        if self.held.is_empty() {
            let used = sink(fresh).min(fresh.len());
            let rest = fresh.get(used..).unwrap_or_default();
            let room = limits.held_bytes.saturating_sub(self.ahead_bytes);
            if rest.len() > room {
                return Err(LimitReached::HeldBytes);
            }
            self.held.extend_from_slice(rest);
            return Ok(());
        }
        self.held.extend_from_slice(fresh);
        self.replay(sink);
        self.check(limits)
    }

    fn keep_ahead(
        &mut self,
        offset: u64,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<(), LimitReached> {
        if bytes.is_empty() || offset.checked_add(bytes.len() as u64).is_none() {
            return Ok(());
        }
        self.keep_gaps(offset, bytes);
        self.check(limits)
    }

    /// Inserts the parts of a segment that no earlier segment covers.
    fn keep_gaps(&mut self, mut offset: u64, mut bytes: &[u8]) {
        let mut at = self.ahead.partition_point(|next| next.end() <= offset);
        while !bytes.is_empty() {
            let (start, end) =
                self.ahead.get(at).map_or((u64::MAX, u64::MAX), |next| (next.offset, next.end()));
            let before = usize::try_from(start.saturating_sub(offset)).unwrap_or(usize::MAX);
            let (gap, covered) = bytes.split_at(before.min(bytes.len()));
            if !gap.is_empty() {
                self.ahead.insert(at, Ahead { offset, bytes: gap.into() });
                self.ahead_bytes += gap.len();
                at += 1;
            }
            let resume = end.max(offset.saturating_add(gap.len() as u64));
            let skip = usize::try_from(resume - offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes = if covered.is_empty() { &[] } else { bytes.get(skip..).unwrap_or_default() };
            offset = resume;
            at += 1;
        }
    }

    fn check(&self, limits: &Limits) -> Result<(), LimitReached> {
        if self.ahead.len() > limits.held_segments {
            return Err(LimitReached::HeldSegments);
        }
        if self.held.len() + self.ahead_bytes > limits.held_bytes {
            return Err(LimitReached::HeldBytes);
        }
        Ok(())
    }

    /// Gives back a large buffer once it is empty: an idle flow keeps nothing.
    fn shrink(&mut self) {
        if self.held.is_empty() && self.held.capacity() > 4096 {
            self.held = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(segments: &[(u64, &[u8])], expected: &[u8]) {
        let mut stream = Stream::default();
        let mut seen = Vec::new();
        for &(offset, bytes) in segments {
            let result = stream.push(offset, bytes, &Limits::default(), &mut |data| {
                seen.extend_from_slice(data);
                data.len()
            });
            assert_eq!(result, Ok(()));
        }
        assert_eq!(seen, expected, "{segments:?}");
    }

    #[test]
    fn first_byte_seen_at_an_offset_wins() {
        check(&[(0, b"abc"), (3, b"def")], b"abcdef");
        check(&[(3, b"def"), (0, b"abc")], b"abcdef");
        check(&[(0, b"abc"), (0, b"XYZdef")], b"abcdef");
        check(&[(2, b"cd"), (5, b"f"), (0, b"abXXeXg")], b"abcdefg");
        check(&[(4, b"e"), (2, b"cXX"), (3, b"ZZf"), (0, b"ab")], b"abcXef");
    }

    #[test]
    fn limits_are_named() {
        let limits = Limits { held_segments: 2, held_bytes: 8, ..Limits::default() };
        let mut stream = Stream::default();
        let mut none = |_: &[u8]| 0;
        for offset in [2, 4] {
            assert_eq!(stream.push(offset, b"x", &limits, &mut none), Ok(()));
        }
        let outcome = stream.push(6, b"x", &limits, &mut none);
        assert_eq!(outcome, Err(LimitReached::HeldSegments));
        let mut stream = Stream::default();
        assert_eq!(stream.push(0, b"12345678", &limits, &mut none), Ok(()));
        assert_eq!(stream.push(8, b"9", &limits, &mut none), Err(LimitReached::HeldBytes));
    }

    proptest! {
        #[test]
        fn any_order_of_segments_gives_the_same_bytes(
            cuts in proptest::collection::vec((0_usize..200, 1_usize..60), 1..30),
        ) {
            let text: Vec<u8> = (0..=255).collect();
            let mut stream = Stream::default();
            let mut seen = Vec::new();
            let mut feed = |offset: usize, bytes: &[u8]| {
                let limits = Limits::default();
                stream.push(offset as u64, bytes, &limits, &mut |data| {
                    seen.extend_from_slice(data);
                    data.len()
                })
            };
            for (start, length) in cuts {
                let end = (start + length).min(text.len());
                prop_assert_eq!(feed(start, &text[start..end]), Ok(()));
            }
            prop_assert_eq!(feed(0, &text), Ok(()));
            prop_assert_eq!(seen, text);
        }
    }
}
