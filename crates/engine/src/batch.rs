//! Many frames at once, by shards.

use parefeu_identify::DataEndpoint;
use parefeu_net::{Packet, Timestamp, Transport};
use parefeu_policy::InterfaceId;
use parefeu_session::SessionId;

use crate::Engine;
use crate::core::{Arrival, Core};
use crate::decision::Decision;
use crate::engine::{home, undecodable};
use crate::event::Event;
use crate::expect::Expectations;
use crate::kept::Settled;

/// A decoded frame, when and where it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// When; never earlier than the frame before.
    pub now: Timestamp,
    /// The interface it entered by; `None` for a firewall without interfaces.
    pub ingress: Option<InterfaceId>,
    /// The frame.
    pub packet: &'a Packet<'a>,
    /// Its length on the wire in bytes.
    pub wire_len: u32,
}

/// Whoever works on several tasks at once: the engine starts no threads by itself.
pub trait Workers {
    /// Does `work` on every task once, in any order, on any threads, and returns when all is done.
    fn run<T: Send>(&self, tasks: &mut [T], work: impl Fn(&mut T) + Sync);
}

/// Works on one task after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneByOne;

impl Workers for OneByOne {
    fn run<T: Send>(&self, tasks: &mut [T], work: impl Fn(&mut T) + Sync) {
        tasks.iter_mut().for_each(work);
    }
}

/// Marks the number of a session that was opened while others were at work: the rest is the
/// position of its first frame.
const PROVISIONAL: u64 = 1 << 63;

/// Fewer frames are decided one by one.
const FEW: usize = 64;

impl Engine {
    /// Decides many frames, each as [`Engine::handle_packet`] would in its turn, and adds the
    /// decisions to `decisions`. Events come in the same order, too.
    ///
    /// Sessions between different hosts have nothing to do with each other, so that the
    /// [shards](crate::EngineConfig::shards) are worked on at once. Frames that concern several of
    /// them are waited for: fragments, and ICMP errors; and all of them while the table of sessions
    /// is nearly full.
    pub fn handle_batch(
        &mut self,
        frames: &[Arrived<'_>],
        decisions: &mut Vec<Decision>,
        workers: &impl Workers,
    ) {
        let mut rest = frames;
        while !rest.is_empty() {
            let most = if self.cores.len() == 1 { 0 } else { self.most_at_once().min(rest.len()) };
            let apart = rest[..most].iter().position(concerns_several).unwrap_or(most);
            if apart >= FEW {
                let (run, after) = rest.split_at(apart);
                self.handle_together(run, decisions, workers);
                rest = after;
                continue;
            }
            // Few of them, and the one that is to be decided by itself.
            let (few, after) = rest.split_at((apart + 1).min(rest.len()));
            for &Arrived { now, ingress, packet, wire_len } in few {
                decisions.push(self.handle_packet(now, ingress, packet, wire_len));
            }
            rest = after;
        }
    }

    /// How many frames may be decided before a common bound can be reached.
    fn most_at_once(&self) -> usize {
        let sessions = self.config.sessions.max_sessions.saturating_sub(self.session_count());
        let expected: usize = self.cores.iter().map(Core::expected_count).sum();
        sessions.min(Expectations::MAX.saturating_sub(expected) / DataEndpoint::MOST_AT_ONCE)
    }

    fn handle_together(
        &mut self,
        frames: &[Arrived<'_>],
        decisions: &mut Vec<Decision>,
        workers: &impl Workers,
    ) {
        // What is due now is due before any of them.
        if let Some(first) = frames.first() {
            self.handle_timeout(first.now);
        }
        let mut own: Vec<Vec<u32>> = vec![Vec::new(); self.cores.len()];
        for (at, frame) in frames.iter().enumerate() {
            let flow = frame.packet.five_tuple();
            own[flow.map_or(0, |flow| home(&self.cores, &flow))].push(at as u32);
        }
        let mut tasks: Vec<Task<'_>> = self
            .cores
            .iter_mut()
            .zip(own)
            .map(|(core, own)| Task { core, own, frames, done: Done::default() })
            .collect();
        workers.run(&mut tasks, Task::work);
        let done: Vec<Done> = tasks.into_iter().map(|task| task.done).collect();
        self.put_together(frames.len(), done, decisions);
    }

    /// Numbers sessions in the order of their first frames, and puts decisions and ended sessions
    /// into the order of frames.
    fn put_together(&mut self, count: usize, done: Vec<Done>, decisions: &mut Vec<Decision>) {
        let mut serials = vec![0; count];
        let mut ordered: Vec<Option<Decision>> = vec![None; count];
        let mut settled = Vec::new();
        let mut opened: Vec<(u32, usize, SessionId)> = Vec::new();
        for (core, done) in done.into_iter().enumerate() {
            for (at, decision) in done.decisions {
                ordered[at as usize] = Some(decision);
            }
            opened.extend(done.opened.into_iter().map(|(at, id)| (at, core, id)));
            settled.extend(done.settled);
        }
        opened.sort_unstable_by_key(|(at, ..)| *at);
        for (at, core, id) in opened {
            serials[at as usize] = self.next_serial;
            self.cores[core].renumber(id, self.next_serial);
            self.next_serial += 1;
        }
        let before = self.counters.frames();
        let known = |serial: u64| {
            if serial & PROVISIONAL == 0 {
                serial
            } else {
                serials[(serial ^ PROVISIONAL) as usize]
            }
        };
        for mut decision in ordered.into_iter().flatten() {
            decision.session = decision.session.map(known);
            self.counters.count(&decision);
            decisions.push(decision);
        }
        for (_, ended) in &mut settled {
            ended.summary.id = known(ended.summary.id);
        }
        settled.sort_by_key(|(at, ended)| (*at, ended.order()));
        let events = settled.into_iter().map(|(at, it)| (at, Event::SessionEnded(it.summary)));
        self.events.extend(events.map(|(at, event)| (before + u64::from(at), event)));
    }
}

/// Whether a frame cannot be decided by the shard of its hosts alone.
fn concerns_several(frame: &Arrived<'_>) -> bool {
    let is_fragment = frame.packet.network.as_ref().is_some_and(|it| it.fragment.is_some());
    let quotes = matches!(&frame.packet.transport, Transport::Icmp(it) if it.quoted.is_some());
    is_fragment || quotes
}

/// The frames of one shard.
struct Task<'a> {
    core: &'a mut Core,
    /// Positions of its frames among all.
    own: Vec<u32>,
    frames: &'a [Arrived<'a>],
    done: Done,
}

/// What became of them, by positions.
#[derive(Default)]
struct Done {
    decisions: Vec<(u32, Decision)>,
    opened: Vec<(u32, SessionId)>,
    /// With the position of the frame by which they are known to have ended.
    settled: Vec<(u32, Settled)>,
}

impl Task<'_> {
    fn work(&mut self) {
        let own = std::mem::take(&mut self.own);
        for at in own {
            let Arrived { now, ingress, packet, wire_len } = self.frames[at as usize];
            self.expire(now, None);
            let serial = PROVISIONAL | u64::from(at);
            self.core.next_serial = serial;
            let arrival = Arrival { now, ingress, wire_len };
            let decision = match undecodable(packet) {
                Some(decision) => decision,
                None => self.core.handle_packet(arrival, packet),
            };
            self.done.decisions.push((at, decision));
            if self.core.next_serial != serial
                && let Some(id) = self.core.opened
            {
                self.done.opened.push((at, id));
            }
            // What it has put an end to is told with the next one.
            self.core.collect_ended();
            self.done.settled.extend(self.core.settled.drain(..).map(|it| (at + 1, it)));
            // So is what is over at once, whosever that one is.
            if at as usize + 1 == self.frames.len() {
                return;
            }
            self.expire(now, Some(at + 1));
        }
        if let Some(last) = self.frames.last() {
            self.expire(last.now, None);
        }
    }

    /// Ends the sessions that are due: at the frame `at`, or else at the first one after their
    /// deadline.
    fn expire(&mut self, now: Timestamp, at: Option<u32>) {
        self.core.handle_timeout(now);
        let Self { core, frames, done, .. } = self;
        let settled = core.settled.drain(..).map(|it| {
            let first = |due| frames.partition_point(|frame| frame.now < due) as u32;
            (at.or_else(|| it.due.map(first)).unwrap_or_default(), it)
        });
        done.settled.extend(settled);
    }
}
