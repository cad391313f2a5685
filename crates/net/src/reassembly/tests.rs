use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{LinkType, Transport, decode};

const T0: Timestamp = Timestamp::from_secs(1000);

/// An IPv4 fragment of datagram `id`, `start` in bytes.
fn v4(id: u16, start: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let flags_and_offset = (start / 8) as u16 | u16::from(more) << 13;
    let mut frame = vec![0x45, 0];
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend(flags_and_offset.to_be_bytes());
    frame.extend([64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7]);
    frame.extend(payload);
    frame
}

/// The same for IPv6; what is fragmented starts with a header of type `next`.
fn v6(next: u8, id: u32, start: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x60, 0, 0, 0];
    frame.extend((8 + payload.len() as u16).to_be_bytes());
    frame.extend([44, 64]);
    frame.extend([0x20; 16]);
    frame.extend([0x21; 16]);
    frame.extend([next, 0]);
    frame.extend((start as u16 | u16::from(more)).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    frame
}

/// One word for what became of a frame; the payload of a completed datagram.
fn handle(reassembler: &mut Reassembler, now: Timestamp, frame: &[u8]) -> String {
    let packet = decode(LinkType::RAW, frame, frame.len(), &DecodeLimits::default());
    match reassembler.handle_fragment(now, &packet) {
        Reassembly::Whole => "whole".to_owned(),
        Reassembly::Hold => "hold".to_owned(),
        Reassembly::Duplicate => "duplicate".to_owned(),
        Reassembly::Discard(reason) => reason.name().to_owned(),
        Reassembly::Complete(datagram) => {
            let bytes = datagram.network().payload;
            format!("complete {}: {}", datagram.fragment_count(), String::from_utf8_lossy(bytes))
        }
    }
}

/// Feeds frames to a reassembler of the given limits, and checks that nothing is kept or lost.
#[track_caller]
fn check_limits(limits: FragmentLimits, frames: &[(Vec<u8>, &str)]) {
    let mut reassembler = Reassembler::new(limits);
    for (index, (frame, expected)) in frames.iter().enumerate() {
        assert_eq!(handle(&mut reassembler, T0, frame), *expected, "frame {index}");
    }
    reassembler.handle_timeout(T0 + Duration::from_secs(60));
    assert_eq!((reassembler.held_bytes(), reassembler.datagram_count()), (0, 0));
    assert_eq!(reassembler.poll_timeout(), None);
}

#[track_caller]
fn check(frames: &[(Vec<u8>, &str)]) {
    check_limits(FragmentLimits::default(), frames);
}

const A: &[u8] = b"aaaaaaaa";
const B: &[u8] = b"bbbbbbbb";
const C: &[u8] = b"cc";

#[test]
fn fragments_complete_in_any_order() {
    let whole = "complete 3: aaaaaaaabbbbbbbbcc";
    check(&[
        (v4(1, 0, true, A), "hold"),
        (v4(1, 8, true, B), "hold"),
        (v4(1, 16, false, C), whole),
    ]);
    check(&[
        (v4(1, 16, false, C), "hold"),
        (v4(1, 8, true, B), "hold"),
        (v4(1, 0, true, A), whole),
    ]);
    check(&[
        (v6(17, 1, 8, true, B), "hold"),
        (v4(1, 0, true, A), "hold"),
        (v6(17, 1, 0, true, A), "hold"),
        (v6(17, 2, 0, true, A), "hold"),
        (v6(17, 1, 16, false, C), whole),
    ]);
}

#[test]
fn a_packet_that_is_no_fragment_passes_through() {
    check(&[(v4(1, 0, false, A), "whole"), (v6(17, 1, 0, false, A), "whole")]);
}

#[test]
fn a_repeated_fragment_is_ignored_and_the_first_data_stands() {
    check(&[
        (v4(1, 0, true, A), "hold"),
        (v4(1, 0, true, B), "duplicate"),
        (v4(1, 8, true, B), "hold"),
        (v4(1, 0, true, &[b'x'; 16]), "duplicate"),
        (v4(1, 16, false, C), "complete 3: aaaaaaaabbbbbbbbcc"),
        (v4(1, 16, false, C), "hold"),
    ]);
}

#[test]
fn an_overlap_discards_the_datagram() {
    let long = [b'x'; 16];
    for make in [v4_of_one as fn(usize, bool, &[u8]) -> Vec<u8>, v6_of_one] {
        check(&[
            (make(8, true, B), "hold"),
            (make(0, true, &long), "fragment-overlap"),
            (make(0, true, A), "hold"),
            (make(16, false, C), "hold"),
        ]);
        // The end moves: a second last fragment elsewhere, data beyond the end, an end before data.
        check(&[(make(8, false, C), "hold"), (make(16, false, C), "fragment-overlap")]);
        check(&[(make(8, false, C), "hold"), (make(16, true, B), "fragment-overlap")]);
        check(&[(make(16, true, B), "hold"), (make(8, false, C), "fragment-overlap")]);
    }
}

fn v4_of_one(start: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    v4(1, start, more, payload)
}

fn v6_of_one(start: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    v6(17, 1, start, more, payload)
}

#[test]
fn impossible_fragments_are_discarded_with_their_datagram() {
    for (fragment, reason) in [
        (v4(1, 8, true, C), "fragment-bad-size"),
        (v4(1, 8, false, &[]), "fragment-bad-size"),
        (v4(1, 65_512, false, &[0; 4]), "datagram-too-long"),
    ] {
        check(&[(v4(1, 0, true, A), "hold"), (fragment, reason), (v4(1, 8, false, C), "hold")]);
    }
    check(&[(v4(1, 65_512, false, &[0; 3]), "hold")]);
    check(&[(v6(17, 1, 65_528, false, &[0; 8]), "datagram-too-long")]);
    check(&[(v6(17, 1, 65_528, false, &[0; 7]), "hold")]);
}

#[test]
fn a_first_fragment_of_ipv6_holds_the_whole_transport_header() {
    let tcp = |start, more, length| v6(6, 1, start, more, &vec![b'x'; length]);
    check(&[
        (tcp(24, false, 4), "hold"),
        (tcp(0, true, 16), "fragment-incomplete-header"),
        (tcp(0, true, 24), "complete 2: xxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ]);
    // Eight bytes of destination options before it; those of IPv4 count for nothing.
    let options = [&[6, 0, 0, 0, 0, 0, 0, 0][..], &[b'x'; 16]].concat();
    check(&[(v6(60, 1, 0, true, &options), "fragment-incomplete-header")]);
    check(&[(v6(17, 1, 0, true, &[b'x'; 8]), "hold"), (v6(58, 2, 0, true, &[b'x'; 8]), "hold")]);
    check(&[(v4(1, 0, true, &[b'x'; 8]), "hold")]);
}

#[test]
fn a_fragment_cut_by_the_capture_cannot_be_used() {
    let frame = v4(1, 0, true, A);
    let packet = decode(LinkType::RAW, &frame[..24], frame.len(), &DecodeLimits::default());
    let mut reassembler = Reassembler::new(FragmentLimits::default());
    let outcome = reassembler.handle_fragment(T0, &packet);
    assert!(matches!(outcome, Reassembly::Discard(DiscardReason::Truncated)), "{outcome:?}");
}

#[test]
fn each_limit_has_its_reason() {
    let limits = FragmentLimits { max_datagrams: 1, ..FragmentLimits::default() };
    check_limits(
        limits,
        &[
            (v4(1, 0, true, A), "hold"),
            (v4(2, 0, true, A), "fragmented-datagram-limit"),
            (v4(1, 8, false, C), "complete 2: aaaaaaaacc"),
            (v4(2, 0, true, A), "hold"),
        ],
    );
    let limits = FragmentLimits { max_fragments_per_datagram: 2, ..FragmentLimits::default() };
    check_limits(
        limits,
        &[
            (v4(1, 0, true, A), "hold"),
            (v4(1, 8, true, A), "hold"),
            (v4(1, 0, true, A), "duplicate"),
            (v4(1, 16, false, C), "fragment-count"),
        ],
    );
    let limits = FragmentLimits { max_bytes: 8000, ..FragmentLimits::default() };
    check_limits(
        limits,
        &[
            (v4(1, 0, true, A), "hold"),
            (v4(2, 0, true, &[0; 8000]), "fragment-memory-limit"),
            (v4(1, 8, false, C), "complete 2: aaaaaaaacc"),
        ],
    );
}

#[test]
fn an_incomplete_datagram_expires() {
    let mut reassembler = Reassembler::new(FragmentLimits::default());
    assert_eq!(handle(&mut reassembler, T0, &v4(1, 0, true, A)), "hold");
    assert_eq!(handle(&mut reassembler, T0, &v6(17, 1, 0, true, A)), "hold");
    let (at_30, at_60) = (T0 + Duration::from_secs(30), T0 + Duration::from_secs(60));
    assert_eq!(reassembler.poll_timeout(), Some(at_30));
    let before = Timestamp::from_nanos(at_30.as_nanos() - 1);
    assert_eq!(reassembler.handle_timeout(before), 0);
    assert_eq!(reassembler.handle_timeout(at_30), 1);
    assert_eq!(reassembler.poll_timeout(), Some(at_60));
    // Without a call to `handle_timeout`, a fragment that comes too late starts anew.
    assert_eq!(handle(&mut reassembler, at_60, &v6(17, 1, 8, false, C)), "hold");
    assert_eq!(handle(&mut reassembler, at_60, &v6(17, 1, 0, true, A)), "complete 2: aaaaaaaacc");
    assert_eq!((reassembler.held_bytes(), reassembler.poll_timeout()), (0, None));
}

#[test]
fn a_completed_datagram_decodes_as_the_packet_it_was() {
    // Destination options, then UDP.
    let first = [17, 0, 1, 4, 0, 0, 0, 0, 0x13, 0x88, 0, 53, 0, 12, 0, 0];
    let mut reassembler = Reassembler::new(FragmentLimits::default());
    assert_eq!(handle(&mut reassembler, T0, &v6(60, 1, 16, false, b"data")), "hold");
    let frame = v6(60, 1, 0, true, &first);
    let packet = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default());
    let Reassembly::Complete(datagram) = reassembler.handle_fragment(T0, &packet) else {
        panic!("incomplete")
    };
    let whole = datagram.decode(&DecodeLimits::default());
    assert_eq!(whole.five_tuple().unwrap().dst_port, 53);
    assert!(matches!(whole.transport, Transport::Udp(udp) if udp.payload == b"data"));
    assert_eq!((whole.malformed, whole.truncated), (None, false));
    assert_eq!(whole.network.unwrap().fragment, None);
}

/// The plainest reassembly there is: a byte map, and the runs in which its bytes arrived.
#[derive(Default)]
struct Model {
    bytes: BTreeMap<usize, u8>,
    run_of: BTreeMap<usize, usize>,
    runs: usize,
    len: Option<usize>,
}

impl Model {
    fn handle(&mut self, start: usize, more: bool, payload: &[u8]) -> String {
        let span = start..start + payload.len();
        let held_end = self.bytes.keys().next_back().map_or(0, |last| last + 1);
        let is_end_moved = match self.len {
            Some(len) => {
                if more {
                    span.end > len
                } else {
                    span.end != len
                }
            }
            None => !more && span.end < held_end,
        };
        let held = span.clone().filter(|at| self.bytes.contains_key(at)).count();
        let runs: std::collections::BTreeSet<_> =
            span.clone().filter_map(|at| self.run_of.get(&at)).collect();
        if is_end_moved || held != 0 && (held != payload.len() || runs.len() != 1) {
            *self = Self::default();
            return "fragment-overlap".to_owned();
        }
        if !more {
            self.len = Some(span.end);
        }
        if held != 0 {
            return "duplicate".to_owned();
        }
        let is_continuation = start != 0 && start == held_end;
        let run = if is_continuation { self.run_of[&(start - 1)] } else { self.runs };
        self.runs += 1;
        for (at, byte) in span.zip(payload) {
            self.bytes.insert(at, *byte);
            self.run_of.insert(at, run);
        }
        if self.len != Some(self.bytes.len()) {
            return "hold".to_owned();
        }
        let whole: Vec<u8> = std::mem::take(self).bytes.into_values().collect();
        String::from_utf8_lossy(&whole).into_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn agrees_with_a_byte_map(
        fragments in vec((0usize..6, 1usize..4, any::<bool>(), b'a'..=b'z'), 1..40),
        six: bool,
    ) {
        let mut reassembler = Reassembler::new(FragmentLimits::default());
        let mut model = Model::default();
        for (index, (start, len, last, byte)) in fragments.into_iter().enumerate() {
            let (start, last) = (start * 8, last && start > 2);
            let payload = vec![byte; len * 8];
            let make = if six { v6_of_one } else { v4_of_one };
            let answer = handle(&mut reassembler, T0, &make(start, !last, &payload));
            let answer = answer.split_once(": ").map_or(answer.as_str(), |(_, bytes)| bytes);
            prop_assert_eq!(answer, model.handle(start, !last, &payload), "fragment {}", index);
            prop_assert_eq!(reassembler.datagram_count() == 0, model.bytes.is_empty());
            prop_assert_eq!(reassembler.held_bytes() == 0, model.bytes.is_empty());
        }
    }

    /// Whatever arrives, the limits hold and everything expires.
    #[test]
    fn limits_hold_for_any_fragments(
        fragments in vec((0u16..20, 0usize..8192, 0usize..1500, any::<bool>()), 1..200),
    ) {
        let limits = FragmentLimits {
            max_datagrams: 8,
            max_bytes: 20_000,
            max_fragments_per_datagram: 4,
            ..FragmentLimits::default()
        };
        let mut reassembler = Reassembler::new(limits);
        for (index, (id, offset, len, more)) in fragments.into_iter().enumerate() {
            let now = T0 + Duration::from_millis(index as u64 * 400);
            handle(&mut reassembler, now, &v4(id, offset * 8, more, &vec![1; len]));
            prop_assert!(reassembler.held_bytes() <= limits.max_bytes);
            prop_assert!(reassembler.datagram_count() <= limits.max_datagrams);
        }
        reassembler.handle_timeout(T0 + Duration::from_secs(3600));
        prop_assert_eq!((reassembler.held_bytes(), reassembler.poll_timeout()), (0, None));
    }
}
