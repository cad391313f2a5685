//! Fragments against a map of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parefeu::net::{DecodeLimits, FragmentLimits, LinkType, Reassembler, Reassembly, Timestamp};

/// What arrived of one datagram: each byte, and the number of the run it arrived in. Fragments that
/// each begin where all before them end are one run.
#[derive(Default)]
struct Arrived {
    began: Timestamp,
    bytes: BTreeMap<usize, (u8, usize)>,
    fragments: usize,
    end: Option<usize>,
}

/// What becomes of a fragment.
#[derive(Debug, Eq, PartialEq)]
enum Fate {
    Hold,
    Duplicate,
    Overlap,
    Complete(Vec<u8>),
}

impl Arrived {
    fn take(&mut self, start: usize, more: bool, payload: &[u8]) -> Fate {
        let end = start + payload.len();
        let behind = self.bytes.last_key_value().map_or(0, |(last, _)| last + 1);
        let is_end_right = match self.end {
            Some(known) if more => end <= known,
            Some(known) => end == known,
            None => more || end >= behind,
        };
        let held: Vec<usize> = self.bytes.range(start..end).map(|(_, (_, run))| *run).collect();
        let is_repeated = held.len() == payload.len() && BTreeSet::from_iter(&held).len() == 1;
        if !is_end_right || !(held.is_empty() || is_repeated) {
            return Fate::Overlap;
        }
        self.end = if more { self.end } else { Some(end) };
        if is_repeated {
            return Fate::Duplicate;
        }
        self.fragments += 1;
        let before = self.bytes.last_key_value().map(|(_, (_, run))| *run);
        let run = before.filter(|_| start == behind).unwrap_or(self.fragments);
        self.bytes.extend((start..end).zip(payload.iter().map(|byte| (*byte, run))));
        if self.end == Some(self.bytes.len()) {
            return Fate::Complete(self.bytes.values().map(|(byte, _)| *byte).collect());
        }
        Fate::Hold
    }
}

/// Fragments of a few datagrams of both families are held, joined, refused and forgotten as a map
/// of bytes says. Four bytes a fragment: which datagram and what may follow, its place, its length,
/// its bytes; time goes on with some.
pub fn fragments(data: &[u8]) {
    let mut reassembler = Reassembler::new(FragmentLimits::default());
    let mut arrived: BTreeMap<(bool, u8), Arrived> = BTreeMap::new();
    let mut now = Timestamp::from_secs(1000);
    // As many as one datagram may have.
    for &[control, place, length, byte] in data.as_chunks::<4>().0.iter().take(250) {
        let (is_v6, datagram, more) = (control & 1 == 1, control >> 1 & 3, control & 8 != 0);
        if control >> 4 == 15 {
            now = now + Duration::from_secs(u64::from(byte) / 8);
        }
        let start = usize::from(place & 31) * 8;
        let length =
            if more { (usize::from(length & 7) + 1) * 8 } else { usize::from(length & 63) + 1 };
        let payload = vec![byte; length];
        reassembler.handle_timeout(now);
        let patience = |is_v6| Duration::from_secs(if is_v6 { 60 } else { 30 });
        arrived.retain(|(is_v6, _), it| it.began + patience(*is_v6) > now);
        let frame = frame(is_v6, datagram, (start, more), &payload);
        let limits = DecodeLimits::default();
        let packet = parefeu::net::decode(LinkType::RAW, &frame, frame.len(), &limits);
        let found = match reassembler.handle_fragment(now, &packet) {
            Reassembly::Whole => {
                assert!(start == 0 && !more);
                continue;
            }
            Reassembly::Hold => Fate::Hold,
            Reassembly::Duplicate => Fate::Duplicate,
            Reassembly::Complete(whole) => Fate::Complete(whole.network().payload.to_vec()),
            Reassembly::Discard(reason) => {
                assert_eq!(reason.name(), "fragment-overlap");
                Fate::Overlap
            }
        };
        let key = (is_v6, datagram);
        let model = arrived.entry(key).or_insert(Arrived { began: now, ..Arrived::default() });
        let expected = model.take(start, more, &payload);
        if matches!(expected, Fate::Overlap | Fate::Complete(_)) {
            arrived.remove(&key);
        }
        assert_eq!(found, expected);
        assert_eq!(reassembler.datagram_count(), arrived.len());
    }
    reassembler.handle_timeout(now + Duration::from_secs(60));
    assert_eq!((reassembler.held_bytes(), reassembler.datagram_count()), (0, 0));
}

/// A fragment of a protocol without a header anybody would miss (RFC 3692).
fn frame(is_v6: bool, datagram: u8, (start, more): (usize, bool), payload: &[u8]) -> Vec<u8> {
    const EXPERIMENT: u8 = 253;
    let place = start as u16;
    if is_v6 {
        let [high, low] = (payload.len() as u16 + 8).to_be_bytes();
        let header = [0x60, 0, 0, 0, high, low, 44, 64];
        let [high, low] = (place | u16::from(more)).to_be_bytes();
        let fragment = [EXPERIMENT, 0, high, low, 0, 0, 0, datagram];
        return [&header[..], &[0x20; 16], &[0x21; 16], &fragment, payload].concat();
    }
    let [high, low] = (payload.len() as u16 + 20).to_be_bytes();
    let header = [0x45, 0, high, low, 0, datagram];
    let [high, low] = (place / 8 | u16::from(more) << 13).to_be_bytes();
    let rest = [high, low, 64, EXPERIMENT, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7];
    [&header[..], &rest, payload].concat()
}
