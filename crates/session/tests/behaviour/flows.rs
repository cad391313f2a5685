//! Random calls with tags, translation and both families, against a list searched from its start.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use parefeu_net::{Direction, FiveTuple, Protocol, Timestamp};
use parefeu_policy::{Behaviour, Preset};
use parefeu_session::{
    EndReason, EndedSession, OpenError, Opening, SessionId, SessionTable, Sought, Step,
    TableLimits, WhenFull,
};
use proptest::prelude::*;

use crate::script::{datagram, packet};

/// What PAN-OS gives a UDP session, answered or not, and a refused one.
const IDLE: Duration = Duration::from_secs(30);
const REFUSED: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Call {
    Open { tag: u32, original: FiveTuple, translated: FiveTuple, refused: bool },
    Arrive { tag: u32, flow: FiveTuple },
    Close { pick: usize },
    Refuse { pick: usize },
    Wait { millis: u64 },
}

/// Few ends, so that flows meet: two of each family.
fn flow() -> impl Strategy<Value = FiveTuple> {
    (any::<bool>(), 0..2u8, 0..2u8, 1..3u16, 1..3u16).prop_map(|(v6, src, dst, src_port, to)| {
        let address = |last: u8| {
            if v6 {
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()))
            } else {
                IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
            }
        };
        let (src, dst) = (address(src), address(dst));
        FiveTuple { src, dst, src_port, dst_port: to, protocol: Protocol::UDP }
    })
}

fn call() -> impl Strategy<Value = Call> {
    let open = (0..2u32, flow(), flow(), any::<bool>(), 0..8u8).prop_map(
        |(tag, original, other, is_translated, refused)| {
            let same_family = original.is_ipv6() == other.is_ipv6();
            let translated = if is_translated && same_family { other } else { original };
            Call::Open { tag, original, translated, refused: refused == 0 }
        },
    );
    prop_oneof![
        4 => open,
        6 => (0..2u32, flow()).prop_map(|(tag, flow)| Call::Arrive { tag, flow }),
        1 => any::<usize>().prop_map(|pick| Call::Close { pick }),
        1 => any::<usize>().prop_map(|pick| Call::Refuse { pick }),
        2 => prop_oneof![0..500u64, 1000..40_000u64, 500_000..900_000u64]
            .prop_map(|millis| Call::Wait { millis }),
    ]
}

#[derive(Clone, Debug)]
struct Known {
    id: SessionId,
    number: u32,
    tag: u32,
    original: FiveTuple,
    reply: FiveTuple,
    deadline: Timestamp,
    packets: [u64; 2],
    refused: bool,
}

struct Pair {
    table: SessionTable<u32>,
    known: Vec<Known>,
    now: Timestamp,
    next: u32,
}

const LIMIT: usize = 6;

impl Pair {
    fn new() -> Self {
        let limits = TableLimits { max_sessions: LIMIT, when_full: WhenFull::DropNew };
        Self {
            table: SessionTable::new(limits, Behaviour::preset(Preset::Panos), 7),
            known: Vec::new(),
            now: Timestamp::from_secs(1_700_000_000),
            next: 0,
        }
    }

    fn find(&self, tag: u32, flow: &FiveTuple) -> Option<(usize, Direction)> {
        let original = self.known.iter().position(|it| it.tag == tag && it.original == *flow);
        let reply = || {
            let is_it = |it: &Known| it.reply == *flow && it.reply != it.original;
            self.known.iter().position(is_it)
        };
        let original = original.map(|at| (at, Direction::Original));
        original.or_else(|| reply().map(|at| (at, Direction::Reply)))
    }

    /// What ended, in the table and in the list, has to be the same.
    fn ended(&mut self, expected: &[(Known, EndReason)]) {
        let ended: Vec<EndedSession<u32>> =
            std::iter::from_fn(|| self.table.poll_ended()).collect();
        let told = ended.iter().map(|it| {
            let session = &it.session;
            (session.data, session.original, session.reply, session.packets, it.reason)
        });
        let known = expected
            .iter()
            .map(|(it, reason)| (it.number, it.original, it.reply, it.packets, *reason));
        assert_eq!(told.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    }

    fn play(&mut self, call: &Call) {
        match *call {
            Call::Open { tag, original, translated, refused } => {
                self.open(tag, original, translated, refused);
            }
            Call::Arrive { tag, flow } => self.arrive(tag, &flow),
            Call::Close { pick } => {
                if self.known.is_empty() {
                    return;
                }
                let gone = self.known.remove(pick % self.known.len());
                self.table.close(gone.id, EndReason::Threat);
                assert!(self.table.session(gone.id).is_none());
                self.ended(&[(gone, EndReason::Threat)]);
            }
            Call::Refuse { pick } => {
                let count = self.known.len();
                let Some(it) = self.known.get_mut(pick % count.max(1)) else { return };
                self.table.refuse(self.now, it.id);
                (it.refused, it.deadline) = (true, self.now + REFUSED);
            }
            Call::Wait { millis } => self.wait(millis),
        }
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.table.handle_timeout(self.now);
        let mut gone: Vec<_> = self.known.extract_if(.., |it| it.deadline <= self.now).collect();
        gone.sort_by_key(|it| it.deadline);
        let reason =
            |it: &Known| if it.refused { EndReason::PolicyDeny } else { EndReason::AgedOut };
        // In the order of their deadlines; who is due at the same moment, in any.
        let mut told: Vec<_> = std::iter::from_fn(|| self.table.poll_ended()).collect();
        let deadline = |number| gone.iter().find(|it| it.number == number).map(|it| it.deadline);
        assert!(told.is_sorted_by_key(|ended| deadline(ended.session.data)));
        assert_eq!(told.len(), gone.len());
        for it in gone {
            let same = |other: &EndedSession<u32>| other.session.data == it.number;
            let other = told.remove(told.iter().position(same).unwrap());
            assert_eq!((other.session.packets, other.reason), (it.packets, reason(&it)));
        }
        let due = self.table.poll_timeout();
        assert!(due.is_none_or(|due| due > self.now));
        let first = self.known.iter().map(|it| it.deadline).min();
        assert!(first.is_none_or(|first| due.is_some_and(|due| due <= first)));
    }

    fn open(&mut self, tag: u32, original: FiveTuple, translated: FiveTuple, refused: bool) {
        let reply = translated.reverse();
        let is_reply = |it: &Known| it.reply == reply && it.reply != it.original;
        let clash = self.find(tag, &original).is_some() || self.known.iter().any(is_reply);
        assert_eq!(self.table.has_reply(&Sought::new(tag, reply)), self.known.iter().any(is_reply));
        let is_taken = |it: &Known| is_reply(it) || it.original == reply;
        assert_eq!(self.table.is_taken(&Sought::new(tag, reply)), self.known.iter().any(is_taken));
        let number = self.next;
        let opening = Opening { tag, original, translated, data: number, bytes: 40, refused };
        let opened = self.table.open(self.now, &packet(&original, datagram(&original)), opening);
        let id = match opened {
            Ok(id) => id,
            Err(error) => {
                let expected = if clash { OpenError::Clash } else { OpenError::TableFull };
                assert_eq!(error, expected);
                assert!(clash || self.known.len() == LIMIT);
                return;
            }
        };
        assert!(!clash && self.known.len() < LIMIT);
        let deadline = self.now + if refused { REFUSED } else { IDLE };
        let packets = [1, 0];
        self.known.push(Known { id, number, tag, original, reply, deadline, packets, refused });
        self.next += 1;
    }

    fn arrive(&mut self, tag: u32, flow: &FiveTuple) {
        let expected = self.find(tag, flow);
        let found = self.table.find(&Sought::new(tag, *flow));
        let named = expected.map(|(at, direction)| (self.known[at].id, direction));
        assert_eq!(found, named);
        let mut batch = [None; 3];
        self.table.find_batch(&[Sought::new(tag, *flow); 3], &mut batch);
        assert_eq!(batch, [named; 3]);
        let Some((at, direction)) = expected else { return };
        let (it, now) = (&mut self.known[at], self.now);
        let packet = packet(flow, datagram(flow));
        let step = self.table.advance(now, it.id, direction, &packet, 40);
        assert!(matches!(step, Step::Accept(_)), "{step:?}");
        it.packets[direction.index()] += 1;
        it.deadline = now + if it.refused { REFUSED } else { IDLE };
        let session = self.table.session(it.id).unwrap();
        assert_eq!((*session.data, session.packets, session.last), (it.number, it.packets, now));
        assert_eq!(session.bytes, it.packets.map(|packets| packets * 40));
        assert_eq!((session.original, session.reply), (it.original, it.reply));
        assert_eq!(session.is_refused, it.refused);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn flows_are_found_as_in_a_list(calls in prop::collection::vec(call(), 1..150)) {
        let mut pair = Pair::new();
        for call in &calls {
            pair.play(call);
            prop_assert_eq!(pair.table.len(), pair.known.len());
        }
    }
}
