//! Random calls against a plain list of sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use parefeu_net::{Direction, FiveTuple, Protocol, Timestamp};
use parefeu_policy::{Behaviour, Preset};
use parefeu_session::{
    EndReason, InvalidReason, OpenError, Opening, SessionId, SessionTable, Sought, Step,
    TableLimits,
};
use proptest::prelude::*;

use crate::script::{packet, segment};

/// A random segment, and how many seconds pass before it.
#[derive(Clone, Debug)]
struct Call {
    host: u8,
    reply: bool,
    flags: &'static str,
    sequence: u32,
    acknowledgement: u32,
    length: u32,
    secs: u64,
}

fn call() -> impl Strategy<Value = Call> {
    let flags = prop::sample::select(vec!["S", "SA", "A", "PA", "FA", "R", "RA", "SF", "-", "F"]);
    let number = prop_oneof![Just(0u32), Just(1000), Just(1001), 900..1100u32, any::<u32>()];
    let secs = prop_oneof![8 => Just(0u64), 1 => 0..200u64, 1 => 0..4000u64];
    (0..6u8, any::<bool>(), flags, number.clone(), number, 0..1500u32, secs).prop_map(
        |(host, reply, flags, sequence, acknowledgement, length, secs)| Call {
            host,
            reply,
            flags,
            sequence,
            acknowledgement,
            length,
            secs,
        },
    )
}

fn flow(host: u8) -> FiveTuple {
    FiveTuple {
        src: IpAddr::from([192, 0, 2, host]),
        dst: IpAddr::from([198, 51, 100, 9]),
        src_port: 1000 + u16::from(host),
        dst_port: 80,
        protocol: Protocol::TCP,
    }
}

fn presets() -> impl Strategy<Value = Preset> {
    prop::sample::select(Preset::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_table_agrees_with_a_plain_list(
        preset in presets(),
        calls in prop::collection::vec(call(), 1..120),
    ) {
        const LIMIT: usize = 4;
        let limits = TableLimits { max_sessions: LIMIT, ..TableLimits::default() };
        let mut table = SessionTable::new(limits, Behaviour::preset(preset), 7);
        let mut now = Timestamp::from_secs(1);
        let mut live: BTreeMap<u8, SessionId> = BTreeMap::new();
        let (mut opened, mut closed) = (0, 0);
        let (mut accepted, mut invalid) = (0u64, 0u64);
        let mut counted = 0u64;
        for call in calls {
            now = now + Duration::from_secs(call.secs);
            table.handle_timeout(now);
            let due = table.poll_timeout();
            prop_assert!(due.is_none_or(|due| due > now));
            while let Some(ended) = table.poll_ended() {
                let host = ended.session.original.src_port - 1000;
                prop_assert!(live.remove(&(host as u8)).is_some());
                counted += ended.session.packets.iter().sum::<u64>();
                closed += 1;
            }
            let (original, host) = (flow(call.host), call.host);
            let arrived = if call.reply { original.reverse() } else { original };
            let Call { flags, sequence, acknowledgement, length, .. } = call;
            let transport = segment(&arrived, flags, sequence, acknowledgement, length);
            let packet = packet(&arrived, transport);
            let direction = if call.reply { Direction::Reply } else { Direction::Original };
            let expected = live.get(&host).map(|id| (*id, direction));
            prop_assert_eq!(table.find(&Sought::new(0, arrived)), expected);
            let mut opens = expected.is_none() && !call.reply;
            if let Some((id, direction)) = expected {
                match table.advance(now, id, direction, &packet, 40) {
                    Step::Accept(_) => accepted += 1,
                    Step::Invalid(_) => invalid += 1,
                    Step::Gone => prop_assert!(false, "the session is live"),
                    Step::Reopen => {
                        table.close(id, EndReason::TcpReuse);
                        let ended = table.poll_ended().unwrap();
                        counted += ended.session.packets.iter().sum::<u64>();
                        live.remove(&host);
                        closed += 1;
                        opens = !call.reply;
                    }
                }
            }
            if opens {
                let opening = Opening {
                    tag: 0,
                    original,
                    translated: original,
                    data: (),
                    bytes: 40,
                    refused: false,
                };
                match table.open(now, &packet, opening) {
                    Ok(id) => {
                        live.insert(host, id);
                        opened += 1;
                        accepted += 1;
                    }
                    Err(error) => {
                        let full = error == OpenError::TableFull;
                        prop_assert!(!full || live.len() == LIMIT, "{}", error);
                        prop_assert!(error != OpenError::Clash);
                    }
                }
            }
            prop_assert_eq!(table.len(), live.len());
            prop_assert_eq!(opened - closed, live.len());
        }
        table.close_all(EndReason::CaptureEnd);
        while let Some(ended) = table.poll_ended() {
            counted += ended.session.packets.iter().sum::<u64>();
        }
        prop_assert_eq!(counted, accepted);
        let refused: u64 = InvalidReason::ALL.iter().map(|it| table.invalid_count(*it)).sum();
        prop_assert_eq!(refused, invalid);
        prop_assert!(table.is_empty());
    }
}
