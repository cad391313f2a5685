//! The engine: one owner of sessions, fed frame by frame.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parefeu_classify::CompiledPolicy;
use parefeu_identify::{Identifier, Limits as IdentifyLimits};
use parefeu_net::{
    DecodeLimits, FiveTuple, FragmentLimits, LinkType, Packet, Reassembler, Reassembly,
    SavedFragments, Timestamp, Transport, decode,
};
use parefeu_policy::{InterfaceId, LinkedFirewall};
use parefeu_session::{EndReason, OpenError, Room, SavedSession, TableLimits, WhenFull};

use crate::core::{Arrival, Core};
use crate::decision::{Counters, Decision, Reason, Verdict};
use crate::event::Event;
use crate::expect::Announced;
use crate::kept::{Kept, Settled};
use crate::knowledge::UserTable;

/// Bounds and choices of an engine.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// What decoding enters, and how deep.
    pub decode: DecodeLimits,
    /// Bounds of defragmentation.
    pub fragments: FragmentLimits,
    /// Bounds of the session table.
    pub sessions: TableLimits,
    /// Bounds of identification; `None` leaves payloads alone.
    pub identify: Option<IdentifyLimits>,
    /// Judge checksums where the behaviour says so. Captures taken on a sending host carry
    /// unfinished ones, so replays leave this off unless asked.
    pub verify_checksums: bool,
    /// Key of the session table's hash. Live deployments draw it at random.
    pub hash_key: u64,
    /// Keep a summary of every ended session for [`Engine::poll_event`].
    pub events: bool,
    /// Take an answer that shows the address the client asked for the answer of a translated
    /// session. A capture taken on the client's side of the firewall shows answers so, after they
    /// were translated back; a live firewall never receives them.
    pub answers_seen_translated: bool,
    /// Into how many parts sessions are divided, by the two hosts they are between, for
    /// [`Engine::handle_batch`] to work on at once; what is decided does not depend on it. One
    /// where the firewall translates, or sessions age by their number: free ports, who an answer is
    /// for, and how many there are, is everybody's business. At most [`EngineConfig::MOST_SHARDS`].
    pub shards: NonZeroUsize,
}

impl EngineConfig {
    /// More shards than this are not made: each has tables of its own.
    pub const MOST_SHARDS: usize = 256;
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            decode: DecodeLimits::default(),
            fragments: FragmentLimits::default(),
            sessions: TableLimits::default(),
            identify: Some(IdentifyLimits::default()),
            verify_checksums: true,
            hash_key: 0,
            events: true,
            answers_seen_translated: false,
            shards: NonZeroUsize::MIN,
        }
    }
}

/// A frame as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What the bytes begin with.
    pub link_type: LinkType,
    /// The bytes captured.
    pub data: &'a [u8],
    /// Bytes on the wire; more than `data` holds when the capture was cut.
    pub wire_len: u32,
}

/// A firewall at work.
pub struct Engine {
    pub(crate) config: EngineConfig,
    reassembler: Reassembler,
    /// Sessions, by the hosts they are between.
    pub(crate) cores: Vec<Core>,
    pub(crate) counters: Counters,
    /// With how many frames had been decided before each was told.
    pub(crate) events: VecDeque<(u64, Event)>,
    pub(crate) next_serial: u64,
    /// Sessions that ended, on their way to [`Engine::events`].
    settled: Vec<Settled>,
}

impl Engine {
    /// An engine without sessions.
    pub fn new(policy: Arc<CompiledPolicy>, config: EngineConfig) -> Self {
        let ages = matches!(config.sessions.when_full, WhenFull::Age(_));
        let is_one = ages || translates(policy.firewall());
        let asked = config.shards.get().min(EngineConfig::MOST_SHARDS);
        let shards = if is_one { 1 } else { asked };
        let identifier = config.identify.map(|limits| Arc::new(Identifier::new(limits)));
        let users = Arc::<UserTable>::default();
        let cores = std::iter::repeat_n(policy, shards);
        let cores = cores.map(|policy| Core::new(policy, identifier.clone(), &users, &config));
        Self {
            reassembler: Reassembler::new(config.fragments),
            cores: cores.collect(),
            counters: Counters::default(),
            events: VecDeque::new(),
            next_serial: 1,
            settled: Vec::new(),
            config,
        }
    }

    /// Decides one frame. `now` must not run backwards between calls; `ingress` is the interface it
    /// entered by, `None` for a firewall without interfaces.
    ///
    /// Cost: one decoding, one hash lookup, and for the first packet of a connection the policy
    /// lookups. Allocates when a session opens and while its payload is being identified, not
    /// after.
    pub fn handle_frame(
        &mut self,
        now: Timestamp,
        ingress: Option<InterfaceId>,
        frame: Frame<'_>,
    ) -> Decision {
        let Frame { link_type, data, wire_len } = frame;
        let packet = decode(link_type, data, wire_len as usize, &self.config.decode);
        self.handle_packet(now, ingress, &packet, wire_len)
    }

    /// Decides one frame that is decoded already, as when two engines judge the same traffic.
    /// `wire_len` is the frame's length on the wire in bytes.
    pub fn handle_packet(
        &mut self,
        now: Timestamp,
        ingress: Option<InterfaceId>,
        packet: &Packet<'_>,
        wire_len: u32,
    ) -> Decision {
        self.handle_timeout(now);
        let decision = self.decide(Arrival { now, ingress, wire_len }, packet);
        self.counters.count(&decision);
        decision
    }

    fn decide(&mut self, arrival: Arrival, packet: &Packet<'_>) -> Decision {
        if let Some(decision) = undecodable(packet) {
            return decision;
        }
        let Self { reassembler, cores, next_serial, config, .. } = self;
        // What is no fragment is whole, and changes nothing there.
        let datagram = match reassembler.handle_fragment(arrival.now, packet) {
            Reassembly::Whole => {
                return judge_in_order(cores, next_serial, config, arrival, packet);
            }
            Reassembly::Hold | Reassembly::Duplicate => {
                return Decision::refuse(Verdict::Hold, Reason::FragmentHeld);
            }
            Reassembly::Discard(reason) => {
                return Decision::refuse(Verdict::Drop, Reason::Fragment(reason));
            }
            Reassembly::Complete(datagram) => datagram,
        };
        let whole = datagram.decode(&config.decode);
        if let Some(reason) = whole.malformed {
            return Decision::refuse(Verdict::Drop, Reason::Malformed(reason));
        }
        judge_in_order(cores, next_serial, config, arrival, &whole)
    }

    /// Ends every session and datagram whose deadline is at or before `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.reassembler.handle_timeout(now);
        for core in &mut self.cores {
            core.handle_timeout(now);
        }
        self.tell_settled(|settled| settled.sort_by_key(Settled::order));
    }

    /// Turns sessions that a frame has put an end to into events.
    pub(crate) fn collect_ended(&mut self) {
        self.cores.iter_mut().for_each(Core::collect_ended);
        self.tell_settled(|settled| settled.sort_by_key(Settled::order));
    }

    pub(crate) fn saved_fragments(&self) -> SavedFragments {
        self.reassembler.saved()
    }

    pub(crate) fn restore_fragments(&mut self, saved: SavedFragments) {
        self.reassembler.restore(saved);
    }

    /// Turns sessions that ended into events, once they are in order.
    fn tell_settled(&mut self, put_in_order: impl FnOnce(&mut [Settled])) {
        for core in self.cores.iter_mut().filter(|core| !core.settled.is_empty()) {
            self.settled.extend(core.settled.drain(..));
        }
        if !self.settled.is_empty() {
            put_in_order(&mut self.settled);
            let told = self.counters.frames();
            let events = self.settled.drain(..).map(|it| Event::SessionEnded(it.summary));
            self.events.extend(events.map(|event| (told, event)));
        }
    }

    /// When [`Engine::handle_timeout`] next has work; `None` while nothing is live.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let sessions = self.cores.iter().filter_map(Core::poll_timeout);
        self.reassembler.poll_timeout().into_iter().chain(sessions).min()
    }

    /// The oldest event not yet collected.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().map(|(_, event)| event)
    }

    /// The oldest event not yet collected, if it was known when frame number `frame`, counted from
    /// 0, was decided: with it events and decisions of a batch are told in their order.
    pub fn poll_event_by(&mut self, frame: u64) -> Option<Event> {
        let is_known = self.events.front().is_some_and(|(told, _)| *told <= frame);
        if is_known { self.poll_event() } else { None }
    }

    /// Swaps the rule base. Live sessions are judged again on their next frame, not here.
    ///
    /// The shards are made one, for good, when a policy comes that translates.
    pub fn install_policy(&mut self, policy: Arc<CompiledPolicy>) {
        if translates(policy.firewall()) && self.cores.len() > 1 {
            self.make_one();
        }
        let policies = std::iter::repeat_n(policy, self.cores.len());
        for (core, policy) in self.cores.iter_mut().zip(policies) {
            core.install_policy(policy);
        }
    }

    /// Puts the sessions of every shard into the first one.
    fn make_one(&mut self) {
        self.collect_ended();
        let (mut sessions, mut announced) = (Vec::new(), Vec::new());
        for core in &mut self.cores {
            let (own, expected) = core.take_saved();
            sessions.extend(own);
            announced.extend(expected);
        }
        for core in self.cores.split_off(1) {
            self.cores[0].add_invalid(core.invalid_counts());
        }
        Announced::put_in_order(&mut announced);
        let taken_up = self.take_up(sessions, announced);
        debug_assert_eq!(taken_up, Ok(()), "they were open side by side");
    }

    /// Puts sessions and announcements where they belong, the sessions opened first at first.
    pub(crate) fn take_up(
        &mut self,
        mut sessions: Vec<SavedSession<Kept>>,
        announced: Vec<Announced>,
    ) -> Result<(), OpenError> {
        sessions.sort_unstable_by_key(|saved| saved.data.serial);
        for saved in sessions {
            let at = home(&self.cores, &saved.original());
            self.cores[at].restore(saved)?;
        }
        for announced in announced {
            let at = home(&self.cores, &announced.flow());
            self.cores[at].expectations_mut().restore(announced);
        }
        Ok(())
    }

    /// Ends every session with `reason`, so that [`Engine::poll_event`] tells of all of them.
    pub fn close_all(&mut self, reason: EndReason) {
        for core in &mut self.cores {
            core.close_all(reason);
        }
        self.tell_settled(|settled| settled.sort_by_key(|it| it.summary.id));
    }

    /// The firewall in force.
    pub fn firewall(&self) -> &LinkedFirewall {
        self.cores[0].policy.firewall()
    }

    /// Users by address; may be fed from another thread.
    pub fn users(&self) -> &Arc<UserTable> {
        &self.cores[0].users
    }

    /// What decoding enters, and how deep.
    pub const fn decode_limits(&self) -> DecodeLimits {
        self.config.decode
    }

    /// How many frames met each verdict and reason.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many sessions are live.
    pub fn session_count(&self) -> usize {
        self.cores.iter().map(Core::session_count).sum()
    }

    /// Bytes sessions and held fragments take, about.
    pub fn memory_bytes(&self) -> usize {
        let sessions: usize = self.cores.iter().map(Core::memory_bytes).sum();
        sessions + self.reassembler.held_bytes()
    }
}

fn translates(firewall: &LinkedFirewall) -> bool {
    !firewall.source_nat.rules.is_empty() || !firewall.destination_nat.rules.is_empty()
}

/// What a frame is refused for before it is looked at.
pub(crate) fn undecodable(packet: &Packet<'_>) -> Option<Decision> {
    let reason = match packet {
        Packet { malformed: Some(reason), .. } => Reason::Malformed(*reason),
        Packet { network: Some(_), .. } => return None,
        Packet { truncated: true, .. } => Reason::Truncated,
        _ => Reason::NotIp,
    };
    Some(Decision::refuse(Verdict::Drop, reason))
}

/// Which of some cores has the sessions between the hosts of a packet.
pub(crate) fn home(cores: &[Core], flow: &FiveTuple) -> usize {
    if cores.len() == 1 { 0 } else { cores[0].hash_of_hosts(flow) as usize % cores.len() }
}

/// Decides a whole packet in its turn, with every core at hand.
fn judge_in_order(
    cores: &mut [Core],
    next_serial: &mut u64,
    config: &EngineConfig,
    arrival: Arrival,
    packet: &Packet<'_>,
) -> Decision {
    if let [core] = cores {
        return judge_at(core, next_serial, arrival, packet);
    }
    let Some(flow) = packet.five_tuple() else {
        return Decision::refuse(Verdict::Drop, Reason::NotIp);
    };
    let quoted = match &packet.transport {
        Transport::Icmp(message) => message.quoted.as_ref(),
        _ => None,
    };
    // An error belongs to the session it quotes; one that quotes none, to its own hosts.
    let at = quoted.map(|quoted| home(cores, &quoted.flow));
    let at = at.filter(|at| cores[*at].holds_quoted(arrival.ingress, packet));
    let at = at.unwrap_or_else(|| home(cores, &flow));
    let makes_room = config.sessions.when_full == WhenFull::DropUnanswered;
    let shared = room(cores, config);
    cores[at].set_room(Some(shared));
    let mut decision = judge_at(&mut cores[at], next_serial, arrival, packet);
    if cores[at].lacked_room && makes_room && drop_unanswered(cores) {
        let shared = room(cores, config);
        cores[at].set_room(Some(shared));
        decision = judge_at(&mut cores[at], next_serial, arrival, packet);
    }
    cores[at].set_room(None);
    decision
}

/// The room there is for all cores together.
fn room(cores: &mut [Core], config: &EngineConfig) -> Room {
    let live: usize = cores.iter().map(Core::session_count).sum();
    let left = config.sessions.max_sessions.saturating_sub(live);
    let on_demand = left == 0
        && config.sessions.when_full == WhenFull::DropUnanswered
        && cores.iter_mut().any(|core| core.longest_unanswered().is_some());
    Room { left, on_demand }
}

fn judge_at(
    core: &mut Core,
    next_serial: &mut u64,
    arrival: Arrival,
    packet: &Packet<'_>,
) -> Decision {
    core.next_serial = *next_serial;
    let decision = core.handle_packet(arrival, packet);
    *next_serial = core.next_serial;
    decision
}

/// Ends the oldest session of any core that is not assured.
fn drop_unanswered(cores: &mut [Core]) -> bool {
    let waiting = cores.iter_mut().enumerate().filter_map(|(at, core)| {
        let (serial, id) = core.longest_unanswered()?;
        Some((serial, at, id))
    });
    let Some((_, at, id)) = waiting.min() else { return false };
    cores[at].give_up(id);
    true
}
