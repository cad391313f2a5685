//! Tables of connections that are full.

use parefeu_engine::{Engine, EngineConfig, Verdict};
use parefeu_net::Timestamp;
use parefeu_session::{TableLimits, WhenFull};
use parefeu_testkit::frames::frame;
use parefeu_testkit::kernel::{Kernel, Side, StartError};

use crate::contest::{Contest, decide};
use crate::firewall::Firewall;
use crate::scene::Kinds;
use crate::{PACKETS, contest, play, start};

/// What a contest costs more that has to look at every place of a full table.
const DEAR: u64 = 5;

/// A contest in which either judge has room for so many connections.
fn narrow(firewall: &Firewall, room: u32) -> Option<Contest> {
    let mut contest = contest(firewall)?;
    there_is(contest.leave_room(room)).then_some(contest)
}

/// Whether the host could do it; that it lacks something is said aloud.
fn there_is(done: Result<(), StartError>) -> bool {
    match done {
        Ok(()) => true,
        Err(missing @ StartError::Missing(_)) => {
            eprintln!("skipped: {missing}");
            false
        }
        Err(failed) => unreachable!("{failed}"),
    }
}

#[test]
fn a_full_table_refuses_as_the_kernel_does() {
    let Some(contest) = narrow(&Firewall::plain(), 6) else { return };
    play(contest, Kinds::CROWD, PACKETS / DEAR);
}

#[test]
fn a_full_table_refuses_what_is_translated_as_well() {
    let Some(contest) = narrow(&Firewall::translating(), 12) else { return };
    play(contest, Kinds::CROWD, PACKETS / DEAR);
}

/// Both judges, with room for [`ROOM`] connections; ours gives some up for others.
struct Flooded {
    kernel: Kernel,
    engine: Engine,
}

const ROOM: u32 = 2_000;
const ASSURED: u16 = 40;
const FLOOD: u16 = 6_000;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

impl Flooded {
    fn start() -> Option<Self> {
        let firewall = Firewall::plain();
        let mut kernel = start()?;
        kernel.load(&firewall.nft).unwrap();
        let limits =
            TableLimits { max_sessions: ROOM as usize, when_full: WhenFull::DropUnanswered };
        let config = EngineConfig { sessions: limits, ..EngineConfig::default() };
        let engine = Engine::new(firewall.policy(), config);
        there_is(kernel.fill(ROOM)).then_some(Self { kernel, engine })
    }

    /// Whether the kernel and the engine let a segment pass between a client's port and the server.
    fn pass(&mut self, side: Side, client: &str, segment: &str) -> [bool; 2] {
        let ends = [client, "198.51.100.9:80"];
        let [src, dst] = if side == Side::Client { ends } else { [ends[1], ends[0]] };
        let frame = frame(&format!("{src} > {dst} {segment}"));
        let theirs = !self.kernel.step(side, &frame).unwrap().forwarded.is_empty();
        [theirs, decide(&mut self.engine, NOW, side, &frame).verdict == Verdict::Allow]
    }
}

/// Who floods a table with openings, of which the server answers every other one, drives out no
/// connection whose handshake was seen; ours goes on to serve, where the kernel serves some.
#[test]
fn a_flood_drives_out_no_assured_connection() {
    let Some(mut both) = Flooded::start() else { return };
    for port in 0..ASSURED {
        let client = format!("10.1.0.5:{}", 4000 + port);
        for (side, segment) in [
            (Side::Client, "S seq=0 wscale=7"),
            (Side::Server, "S. seq=0 ack=1 wscale=7"),
            (Side::Client, ". seq=1 ack=1"),
        ] {
            assert_eq!(both.pass(side, &client, segment), [true; 2], "{client} {segment}");
        }
    }
    let mut served = [0; 2];
    for number in 0..FLOOD {
        let client = format!("10.1.7.{}:{}", number % 8, 10_000 + number);
        let passes = both.pass(Side::Client, &client, "S seq=0");
        if number % 2 == 0 && passes == [true; 2] {
            both.pass(Side::Server, &client, "S. seq=0 ack=1");
        }
        for (count, passes) in served.iter_mut().zip(passes) {
            *count += u64::from(passes);
        }
    }
    assert_eq!(served[1], u64::from(FLOOD));
    assert!((u64::from(ROOM) - u64::from(ASSURED)..u64::from(FLOOD)).contains(&served[0]));
    let [refused, given_up] = both.kernel.lost().unwrap();
    assert_eq!(refused + served[0], u64::from(FLOOD));
    eprintln!("{refused} were refused, {given_up} given up");
    for port in 0..ASSURED {
        let client = format!("10.1.0.5:{}", 4000 + port);
        for (side, segment) in
            [(Side::Client, "P. seq=1 ack=1 len=10"), (Side::Server, ". seq=1 ack=11")]
        {
            assert_eq!(both.pass(side, &client, segment), [true; 2], "{client} {segment}");
        }
    }
}
