//! Full tables, clashing flows, ICMP errors, zones.

use std::net::IpAddr;
use std::time::Duration;

use parefeu_net::{Direction, FiveTuple, Protocol, Quoted, Timestamp};
use parefeu_policy::{Behaviour, ConnectionState, Preset};
use parefeu_session::{
    Aging, EndReason, OpenError, Opening, SessionId, SessionTable, Sought, Step, TableLimits,
    WhenFull,
};

use crate::script::{datagram, packet, query, segment};

const NOW: Timestamp = Timestamp::from_secs(1);
const LATER: Timestamp = Timestamp::from_secs(4);

fn table(max_sessions: usize, when_full: WhenFull) -> SessionTable<u32> {
    let limits = TableLimits { max_sessions, when_full };
    SessionTable::new(limits, Behaviour::preset(Preset::Linux), 7)
}

/// A UDP flow of the client with this port.
fn client(port: u16) -> FiveTuple {
    FiveTuple {
        src: IpAddr::from([192, 0, 2, 7]),
        dst: IpAddr::from([198, 51, 100, 9]),
        src_port: port,
        dst_port: 53,
        protocol: Protocol::UDP,
    }
}

fn open(
    table: &mut SessionTable<u32>,
    tag: u32,
    original: FiveTuple,
    translated: FiveTuple,
) -> Result<SessionId, OpenError> {
    let data = u32::from(original.src_port);
    let opening = Opening { tag, original, translated, data, bytes: 40, refused: false };
    table.open(NOW, &packet(&original, datagram(&original)), opening)
}

fn answer(table: &mut SessionTable<u32>, id: SessionId) {
    let reply = table.session(id).unwrap().reply;
    let step = table.advance(NOW, id, Direction::Reply, &packet(&reply, datagram(&reply)), 40);
    assert_eq!(step, Step::Accept(ConnectionState::Established));
}

#[test]
fn a_full_table_refuses_the_next_session() {
    let mut table = table(3, WhenFull::DropNew);
    for port in 1..=3 {
        open(&mut table, 0, client(port), client(port)).unwrap();
    }
    assert_eq!(open(&mut table, 0, client(4), client(4)), Err(OpenError::TableFull));
    assert_eq!(table.len(), 3);
}

#[test]
fn a_full_table_may_give_up_sessions_that_are_not_assured() {
    let mut table = table(4, WhenFull::DropUnanswered);
    let [question, lasting] = [1, 2].map(|port| {
        let id = open(&mut table, 0, client(port), client(port)).unwrap();
        answer(&mut table, id);
        id
    });
    // What goes both ways for more than two seconds is no question any more.
    let there = packet(&client(2), datagram(&client(2)));
    let step = table.advance(LATER, lasting, Direction::Original, &there, 40);
    assert_eq!(step, Step::Accept(ConnectionState::Established));
    let [half_open, whole] = [3, 4].map(|port| connect(&mut table, port));
    let last = segment(&connection(4), "A", 1, 1, 0);
    let last = packet(&connection(4), last);
    table.advance(LATER, whole, Direction::Original, &last, 40);
    for (newcomer, given_up) in [(5, question), (6, half_open)] {
        let id = open(&mut table, 0, client(newcomer), client(newcomer)).unwrap();
        assert_eq!(table.session(given_up).map(|it| it.data), None);
        assert_eq!(table.poll_ended().unwrap().reason, EndReason::ResourcesUnavailable);
        answer(&mut table, id);
        let there = packet(&client(newcomer), datagram(&client(newcomer)));
        table.advance(LATER, id, Direction::Original, &there, 40);
    }
    assert_eq!(open(&mut table, 0, client(7), client(7)), Err(OpenError::TableFull));
    assert!([lasting, whole].iter().all(|id| table.session(*id).is_some()));
}

/// A TCP flow of the client with this port.
fn connection(port: u16) -> FiveTuple {
    FiveTuple { protocol: Protocol::TCP, ..client(port) }
}

/// A connection of which the server has answered the first segment.
fn connect(table: &mut SessionTable<u32>, port: u16) -> SessionId {
    let [flow, reply] = [connection(port), connection(port).reverse()];
    let data = u32::from(port);
    let opening =
        Opening { tag: 0, original: flow, translated: flow, data, bytes: 40, refused: false };
    let syn = packet(&flow, segment(&flow, "S", 0, 0, 0));
    let id = table.open(NOW, &syn, opening).unwrap();
    let answer = packet(&reply, segment(&reply, "SA", 0, 1, 0));
    let step = table.advance(NOW, id, Direction::Reply, &answer, 40);
    assert_eq!(step, Step::Accept(ConnectionState::Established));
    id
}

#[test]
fn ended_sessions_nobody_collects_are_bounded() {
    let mut table = table(4, WhenFull::DropNew);
    let mut opened = 0;
    for port in 1..100 {
        let Ok(id) = open(&mut table, 0, client(port), client(port)) else { continue };
        opened += 1;
        table.close(id, EndReason::AgedOut);
    }
    assert_eq!(opened, 4);
    while table.poll_ended().is_some() {}
    assert!(open(&mut table, 0, client(1), client(1)).is_ok());
}

#[test]
fn no_two_sessions_share_a_reply() {
    let mut table = table(10, WhenFull::DropNew);
    let public = FiveTuple { src: IpAddr::from([203, 0, 113, 1]), ..client(1000) };
    let first = open(&mut table, 0, client(1000), public).unwrap();
    assert_eq!(open(&mut table, 0, client(1001), public), Err(OpenError::Clash));
    assert_eq!(open(&mut table, 0, client(1000), client(1000)), Err(OpenError::Clash));
    assert!(table.has_reply(&Sought::new(0, public.reverse())));
    assert_eq!(table.find(&Sought::new(9, public.reverse())), Some((first, Direction::Reply)));
    table.close(first, EndReason::AgedOut);
    assert!(open(&mut table, 0, client(1001), public).is_ok());
}

#[test]
fn a_flow_belongs_to_the_tag_it_entered_by() {
    let mut table = table(10, WhenFull::DropNew);
    let elsewhere = FiveTuple { src: IpAddr::from([203, 0, 113, 1]), ..client(1) };
    let first = open(&mut table, 1, client(1), client(1)).unwrap();
    let second = open(&mut table, 2, client(1), elsewhere).unwrap();
    let found = [1, 2, 3].map(|tag| table.find(&Sought::new(tag, client(1))));
    let original = Direction::Original;
    assert_eq!(found, [Some((first, original)), Some((second, original)), None]);
}

#[test]
fn a_flow_is_rather_the_original_of_a_session_than_the_reply_of_another() {
    let mut table = table(100, WhenFull::DropNew);
    let others: Vec<SessionId> =
        (2000..2040).map(|port| open(&mut table, 0, client(port), client(port)).unwrap()).collect();
    let public = FiveTuple { src: IpAddr::from([203, 0, 113, 1]), ..client(1) };
    let translated = open(&mut table, 0, client(1), public).unwrap();
    // Places before that of the translated session are free again.
    for id in others {
        table.close(id, EndReason::AgedOut);
    }
    let plain = open(&mut table, 0, client(1).reverse(), client(1).reverse()).unwrap();
    assert_eq!(table.find(&Sought::new(0, client(1))), Some((translated, Direction::Original)));
    table.close(translated, EndReason::AgedOut);
    assert_eq!(table.find(&Sought::new(0, client(1))), Some((plain, Direction::Reply)));
}

#[test]
fn a_session_may_end_sooner_than_the_one_whose_place_it_takes() {
    let mut table = table(10, WhenFull::DropNew);
    let flow = FiveTuple { protocol: Protocol::TCP, ..client(1) };
    let opening =
        Opening { tag: 0, original: flow, translated: flow, data: 1, bytes: 40, refused: false };
    let syn = packet(&flow, segment(&flow, "S", 1, 0, 0));
    let long = table.open(NOW, &syn, opening).unwrap();
    assert!(table.poll_timeout().is_some());
    table.close(long, EndReason::AgedOut);
    assert_eq!(table.poll_timeout(), None);
    open(&mut table, 0, client(2), client(2)).unwrap();
    while table.poll_ended().is_some() {}
    // Linux gives a lone datagram 30 seconds, a lone SYN 120.
    table.handle_timeout(NOW + Duration::from_secs(31));
    assert_eq!(table.poll_ended().map(|ended| ended.session.data), Some(2));
}

#[test]
fn an_icmp_error_finds_its_session_on_both_sides_of_translation() {
    let mut table = table(10, WhenFull::DropNew);
    let public = FiveTuple { src: IpAddr::from([203, 0, 113, 1]), src_port: 4000, ..client(1000) };
    let id = open(&mut table, 0, client(1000), public).unwrap();
    let related = |flow: FiveTuple, dst, ports_known| {
        let quoted = Quoted { flow, ports_known, tcp_sequence: None, icmp_kind: None };
        table.related(&Sought::new(0, FiveTuple { dst, ..client(0) }), &quoted)
    };
    // From beyond, about the client's packet as it left.
    assert_eq!(related(public, public.src, true), Some((id, Direction::Reply)));
    // From the client's side, about the answer as it arrived there.
    let answer = client(1000).reverse();
    assert_eq!(related(answer, answer.src, true), Some((id, Direction::Original)));
    let session = table.session(id).unwrap();
    assert_eq!(session.quoted_beyond(Direction::Reply), client(1000));
    assert_eq!(session.quoted_beyond(Direction::Original), public.reverse());
    // Not to the quoted sender, too short, or about nothing known.
    assert_eq!(related(public, IpAddr::from([192, 0, 2, 99]), true), None);
    assert_eq!(related(public, public.src, false), None);
    assert_eq!(related(client(9), client(9).src, true), None);
}

#[test]
fn an_icmp_error_quotes_the_query_or_its_answer_as_it_was_sent() {
    let mut table = table(10, WhenFull::DropNew);
    let asked = FiveTuple { src_port: 7, dst_port: 7, protocol: Protocol::ICMP, ..client(0) };
    let opening =
        Opening { tag: 0, original: asked, translated: asked, data: 0, bytes: 40, refused: false };
    let id = table.open(NOW, &packet(&asked, query(7, 8, true)), opening).unwrap();
    let related = |flow: FiveTuple, kind| {
        let quoted = Quoted { flow, ports_known: true, tcp_sequence: None, icmp_kind: Some(kind) };
        table.related(&Sought::new(0, flow.reverse()), &quoted)
    };
    assert_eq!(related(asked, 8), Some((id, Direction::Reply)));
    assert_eq!(related(asked.reverse(), 0), Some((id, Direction::Original)));
    for (flow, kind) in [(asked, 0), (asked.reverse(), 8), (asked.reverse(), 14)] {
        assert_eq!(related(flow, kind), None);
    }
}

#[test]
fn an_id_never_names_a_later_session() {
    let mut table = table(1, WhenFull::DropNew);
    let first = open(&mut table, 0, client(1), client(1)).unwrap();
    table.close(first, EndReason::Threat);
    assert_eq!(table.poll_ended().map(|ended| ended.reason), Some(EndReason::Threat));
    let second = open(&mut table, 0, client(1), client(1)).unwrap();
    assert!(table.session(first).is_none() && table.session(second).is_some());
    table.close(first, EndReason::Threat);
    assert_eq!(table.len(), 1);
}

#[test]
fn memory_grows_with_the_sessions_and_no_further() {
    let mut table = table(1 << 16, WhenFull::DropNew);
    for n in 0..1u32 << 16 {
        let flow = FiveTuple { src: IpAddr::V4(n.into()), ..client(1) };
        open(&mut table, 0, flow, flow).unwrap();
    }
    let full = table.memory_bytes();
    assert!(full <= 110 * table.len(), "{} bytes a session", full / table.len());
    assert_eq!(open(&mut table, 0, client(1), client(1)), Err(OpenError::TableFull));
    assert_eq!(table.memory_bytes(), full);
}

#[test]
fn what_takes_more_memory_takes_no_more_than_it_has_to() {
    let bytes = |open: &dyn Fn(&mut SessionTable<u32>, u32)| {
        let mut table = table(1 << 15, WhenFull::DropNew);
        (0..1 << 15).for_each(|n| open(&mut table, n));
        assert_eq!(table.len(), 1 << 15);
        table.memory_bytes() / table.len()
    };
    let opening = |flow: FiveTuple, translated: FiveTuple| Opening {
        tag: 0,
        original: flow,
        translated,
        data: 0,
        bytes: 40,
        refused: false,
    };
    let tcp = bytes(&|table, n| {
        let flow = FiveTuple { src: IpAddr::V4(n.into()), protocol: Protocol::TCP, ..client(1) };
        let packet = packet(&flow, segment(&flow, "S", n, 0, 0));
        table.open(NOW, &packet, opening(flow, flow)).unwrap();
    });
    assert!(tcp <= 190, "{tcp} bytes a TCP session");
    let translated = bytes(&|table, n| {
        let flow = FiveTuple { src: IpAddr::V4(n.into()), ..client(1) };
        let new = FiveTuple { src: IpAddr::V4((n | 1 << 24).into()), ..flow };
        table.open(NOW, &packet(&flow, datagram(&flow)), opening(flow, new)).unwrap();
    });
    assert!(translated <= 200, "{translated} bytes a translated session");
}

/// A flood of queries that nobody answers, for minutes, into a table that is full of them.
#[test]
fn a_flood_leaves_answered_sessions_and_memory_alone() {
    const LIMIT: usize = 4096;
    const ANSWERED: u16 = 100;
    let mut table = table(LIMIT, WhenFull::DropUnanswered);
    let kept: Vec<_> = (0..ANSWERED)
        .map(|port| {
            let id = open(&mut table, 0, client(port), client(port)).unwrap();
            answer(&mut table, id);
            (id, client(port))
        })
        .collect();
    let (mut now, mut full, mut opened) = (NOW, 0, 0);
    for n in 0..40 * LIMIT as u32 {
        now = now + Duration::from_millis(1);
        table.handle_timeout(now);
        let flow = FiveTuple { src: IpAddr::V4((n | 1 << 31).into()), ..client(1) };
        let opening = Opening {
            tag: 0,
            original: flow,
            translated: flow,
            data: n,
            bytes: 40,
            refused: false,
        };
        opened += u32::from(table.open(now, &packet(&flow, datagram(&flow)), opening).is_ok());
        while table.poll_ended().is_some() {}
        if n % 1000 == 0 {
            for (id, flow) in &kept {
                let reply = flow.reverse();
                assert_eq!(table.find(&Sought::new(0, reply)), Some((*id, Direction::Reply)));
                table.advance(now, *id, Direction::Reply, &packet(&reply, datagram(&reply)), 40);
            }
        }
        if n as usize == LIMIT {
            full = table.memory_bytes();
        }
    }
    assert_eq!(table.len(), LIMIT);
    // Where all of the few that are looked at were answered, the newcomer is refused.
    assert!(opened >= 40 * LIMIT as u32 - u32::from(ANSWERED), "{opened} were opened");
    assert!(table.memory_bytes() * 100 <= full * 105, "{} of {full}", table.memory_bytes());
}

#[test]
fn sessions_of_a_table_that_is_nearly_full_are_given_less_time() {
    let when_full = WhenFull::Age(Aging { above_percent: 80, divisor: 3 });
    let mut table = table(100, when_full);
    let ended = |table: &mut SessionTable<u32>, secs| {
        table.handle_timeout(NOW + Duration::from_secs(secs));
        std::iter::from_fn(|| table.poll_ended()).count()
    };
    for port in 1..80 {
        open(&mut table, 0, client(port), client(port)).unwrap();
    }
    // Linux: 30 seconds.
    assert_eq!(ended(&mut table, 9), 0);
    open(&mut table, 0, client(80), client(80)).unwrap();
    // With the eightieth session a third of the time is left to all of them.
    assert_eq!(ended(&mut table, 9), 0);
    assert_eq!(ended(&mut table, 10), 80);
    let late = open(&mut table, 0, client(81), client(81)).unwrap();
    assert!(table.session(late).is_some());
    assert_eq!(ended(&mut table, 29), 0, "few are left: they have as much time as ever");
    assert_eq!(ended(&mut table, 30), 1);
}

#[test]
fn a_table_that_gives_less_time_refuses_when_it_is_full() {
    let mut table = table(10, WhenFull::Age(Aging::default()));
    for port in 0..10 {
        open(&mut table, 0, client(port), client(port)).unwrap();
    }
    assert_eq!(open(&mut table, 0, client(10), client(10)), Err(OpenError::TableFull));
    table.handle_timeout(NOW + Duration::from_secs(14));
    assert_eq!(table.len(), 10);
    table.handle_timeout(NOW + Duration::from_secs(15));
    assert!(table.is_empty());
}
