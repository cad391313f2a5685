//! The same frames through the old and the new firewall, side by side.

use std::collections::VecDeque;
use std::time::Duration;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parefeu_engine::{Decision, Reason, Verdict};
use parefeu_identify::{Application, Identifier};
use parefeu_net::{
    DecodeLimits, FiveTuple, IcmpMessage, LinkType, Packet, Protocol, TcpFlags, Timestamp,
    Transport, decode, icmp_query_of,
};
use parefeu_policy::{InterfaceId, Timers};

use crate::counterpart::Counterparts;
use crate::difference::{Comparison, DifferenceClass, Differences, FlowRecord, Refusal, Track};
use crate::hazard::Hazards;
use crate::ingress::CapturedAt;
use crate::side::Side;

/// Bounds of a lockstep replay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LockstepLimits {
    /// The most flows followed at once; past it the flow idle longest is judged as it stands.
    pub max_flows: usize,
    /// A flow idle for this long is over, and so is one that both firewalls have forgotten: idle
    /// for longer than any timer of its protocol on either side.
    pub idle: Duration,
    /// A flow idle for this long after both sides closed it is over.
    pub closed_idle: Duration,
}

impl Default for LockstepLimits {
    fn default() -> Self {
        Self {
            max_flows: 1_000_000,
            idle: Duration::from_secs(24 * 3600),
            closed_idle: Duration::from_secs(60),
        }
    }
}

/// Two firewalls fed the same frames.
///
/// What is compared is the *flow as observed*: every packet of one five-tuple in both directions
/// from its first packet to its end, whatever either firewall makes of it. It ends when both have
/// forgotten it. Memory grows with the
/// flows live at once, not with the length of the capture.
pub struct Lockstep {
    old: Side,
    new: Side,
    decode: DecodeLimits,
    limits: LockstepLimits,
    flows: HashMap<FiveTuple, Box<FlowRecord>, RandomState>,
    /// Replies as the capture shows them, translated by the old firewall → the flow they answer.
    replies: HashMap<FiveTuple, FiveTuple, RandomState>,
    /// Whether a side has translation rules at all.
    translates: bool,
    counterparts: Counterparts,
    differences: Differences,
    hazards: Hazards,
    /// Flows that are over and not yet collected, where somebody asks for them.
    settled: Option<VecDeque<SettledFlow>>,
    next_sweep: u64,
    frames: u64,
}

/// A frame to replay.
#[derive(Clone, Copy, Debug)]
pub struct ReplayFrame<'a> {
    /// When; never earlier than the frame before.
    pub now: Timestamp,
    /// Where the capture saw it.
    pub captured: CapturedAt<'a>,
    /// What the bytes begin with.
    pub link_type: LinkType,
    /// The bytes captured.
    pub data: &'a [u8],
    /// Bytes on the wire.
    pub wire_len: u32,
}

/// A flow that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SettledFlow {
    /// The flow as its first packet shows it.
    pub flow: FiveTuple,
    /// ICMP type and code of the first packet.
    pub icmp: Option<(u8, u8)>,
    /// Where the first packet entered the old and the new firewall.
    pub ingress: [Option<InterfaceId>; 2],
    /// What it was identified as in the end: by the old firewall, else by the new one.
    pub application: Option<Application>,
    /// How its treatment differs.
    pub class: DifferenceClass,
    /// Its bytes on the wire.
    pub bytes: u64,
    /// When it began.
    pub first: Timestamp,
    /// When its last packet came.
    pub last: Timestamp,
}

impl SettledFlow {
    fn new(record: &FlowRecord, class: DifferenceClass) -> Self {
        let &FlowRecord { flow, icmp, ingress, bytes, start, last, .. } = record;
        let kind = icmp.map(|(kind, _)| kind);
        // What has no payload to look at is known by its headers.
        let plain = Identifier::classify_without_payload(flow.protocol, kind);
        let [old, new] = record.tracks.each_ref().map(|track| track.application);
        let application = plain.or(old).or(new);
        Self { flow, icmp, ingress, application, class, bytes, first: start, last }
    }
}

/// A frame of a flow.
#[derive(Clone, Copy)]
struct Seen<'a> {
    now: Timestamp,
    captured: CapturedAt<'a>,
    flow: FiveTuple,
    key: FiveTuple,
    packet: &'a Packet<'a>,
    wire_len: u32,
}

/// Flows are swept for old ones each time this many frames have passed, or as many as there are
/// flows where those are more: a sweep costs each frame less than a look at one flow.
const SWEEP_EVERY: usize = 65_536;

impl Lockstep {
    /// A comparison that has seen nothing.
    pub fn new(old: Side, new: Side, decode: DecodeLimits, limits: LockstepLimits) -> Self {
        let translates = [&old, &new].iter().any(|side| {
            let firewall = side.engine().firewall();
            !firewall.source_nat.rules.is_empty() || !firewall.destination_nat.rules.is_empty()
        });
        Self {
            hazards: Hazards::new(
                &old.engine().firewall().behaviour,
                &new.engine().firewall().behaviour,
            ),
            counterparts: Counterparts::new(old.engine().firewall(), new.engine().firewall()),
            old,
            new,
            decode,
            limits,
            translates,
            flows: HashMap::default(),
            replies: HashMap::default(),
            differences: Differences::default(),
            settled: None,
            next_sweep: SWEEP_EVERY as u64,
            frames: 0,
        }
    }

    /// From now on every flow that is over is kept for [`Lockstep::poll_flow`].
    pub fn report_flows(&mut self) {
        self.settled.get_or_insert_default();
    }

    /// The oldest flow that is over and not yet collected. Collected after every frame, no more
    /// wait than flows end at once.
    pub fn poll_flow(&mut self) -> Option<SettledFlow> {
        self.settled.as_mut()?.pop_front()
    }

    /// Shows both firewalls one frame, and returns what each did.
    pub fn handle_frame(&mut self, frame: ReplayFrame<'_>) -> (Decision, Decision) {
        let ReplayFrame { now, captured, link_type, data, wire_len } = frame;
        let packet = decode(link_type, data, wire_len as usize, &self.decode);
        let key = packet.five_tuple().map(|flow| self.flow_key(flow, &packet));
        let old = self.old.decide(now, captured, &packet, wire_len);
        let answered =
            key.filter(|_| self.translates).and_then(|key| self.as_new_side_sees(key, &packet));
        let seen = answered.as_ref().unwrap_or(&packet);
        let new = self.new.decide(now, captured, seen, wire_len);
        // Sessions are reported by flow here; the engines' own log lines are not needed.
        while self.old.poll_session().is_some() {}
        while self.new.poll_session().is_some() {}
        self.frames += 1;
        self.differences.count_frame(now, packet.malformed);
        if let (Some(flow), Some(key), None) = (packet.five_tuple(), key, packet.malformed) {
            let seen = Seen { now, captured, flow, key, packet: &packet, wire_len };
            self.follow(seen, &[old, new]);
        }
        if self.frames >= self.next_sweep {
            self.sweep(now);
            self.next_sweep = self.frames + SWEEP_EVERY.max(self.flows.len()) as u64;
        }
        (old, new)
    }

    /// Both directions share a key, also where the reply comes to a translated address. An ICMP
    /// error counts with the flow it quotes. Queries of either side, and of each type, are flows of
    /// their own: their key goes from who asks, and has the type of the query for a port.
    fn flow_key(&self, flow: FiveTuple, packet: &Packet<'_>) -> FiveTuple {
        let (flow, query) = match &packet.transport {
            Transport::Icmp(IcmpMessage { quoted: Some(quoted), .. }) => {
                let sent = quoted.icmp_kind.map(|kind| (kind, icmp_query_of(kind)));
                let query = sent.map(|(kind, asked)| (asked.is_none(), asked.unwrap_or(kind)));
                (quoted.flow.reverse(), query)
            }
            Transport::Icmp(IcmpMessage { id: Some(_), kind, .. }) => {
                let asked = icmp_query_of(*kind);
                (flow, Some((asked.is_some(), asked.unwrap_or(*kind))))
            }
            _ => (flow, None),
        };
        if query.is_none_or(|(is_answer, _)| is_answer)
            && !self.replies.is_empty()
            && let Some(asked) = self.replies.get(&flow)
        {
            return *asked;
        }
        match query {
            None => flow.direction_free(),
            Some((is_answer, kind)) => {
                let asking = if is_answer { flow.reverse() } else { flow };
                FiveTuple { dst_port: kind.into(), ..asking }
            }
        }
    }

    /// A reply as it would have come to the new firewall: the capture shows it addressed to what
    /// the old one made of the flow. `None` when nothing has to be changed.
    fn as_new_side_sees<'a>(&self, key: FiveTuple, packet: &Packet<'a>) -> Option<Packet<'a>> {
        let record = self.flows.get(&key)?;
        let [old, new] =
            record.tracks.each_ref().map(|track| track.translated.unwrap_or(record.flow).reverse());
        if old == new || !record.tracks[1].has_passed() || packet.five_tuple()? != old {
            return None;
        }
        let mut rewritten = packet.clone();
        let network = rewritten.network.as_mut().filter(|network| network.fragment.is_none())?;
        (network.src, network.dst) = (new.src, new.dst);
        match &mut rewritten.transport {
            Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port) = (new.src_port, new.dst_port),
            Transport::Udp(udp) => (udp.src_port, udp.dst_port) = (new.src_port, new.dst_port),
            Transport::Sctp(sctp) => (sctp.src_port, sctp.dst_port) = (new.src_port, new.dst_port),
            Transport::Icmp(message) => message.id = message.id.map(|_| new.src_port),
            Transport::Other(_) | Transport::Absent => {}
        }
        Some(rewritten)
    }

    fn follow(&mut self, seen: Seen<'_>, decisions: &[Decision; 2]) {
        let closed_idle = self.limits.closed_idle;
        if let Some(record) = self.flows.get_mut(&seen.key)
            && !record.is_over(seen.now, closed_idle)
            && !((record.closed || !record.opened) && opens(seen.packet))
        {
            if record.tracks.iter().all(Track::has_passed) {
                let pause = (record.last, seen.now);
                self.hazards.pause(record.flow, &mut record.waiting, pause);
            }
            if let Some(reply) = record.note(&seen, decisions) {
                self.replies.insert(reply, seen.key);
            }
            return;
        }
        if let Some(record) = self.flows.remove(&seen.key) {
            self.settle(&record);
        }
        if self.flows.len() >= self.limits.max_flows {
            self.drop_idlest();
        }
        let icmp = match &seen.packet.transport {
            Transport::Icmp(message) => Some((message.kind, message.code)),
            _ => None,
        };
        let patience = self.patience(seen.key.protocol);
        let mut record = Box::new(FlowRecord::new(seen.now, seen.flow, icmp, patience));
        if self.settled.is_some() {
            let sides = [&mut self.old, &mut self.new];
            record.ingress = sides.map(|side| side.ingress(seen.captured, seen.packet));
        }
        if let Some(reply) = record.note(&seen, decisions) {
            self.replies.insert(reply, seen.key);
        }
        self.flows.insert(seen.key, record);
    }

    /// For how long a flow of this protocol may be idle until neither firewall knows it any more.
    fn patience(&self, protocol: Protocol) -> Duration {
        let sides = [&self.old, &self.new].map(|side| &side.engine().firewall().behaviour);
        let timers = sides.map(|behaviour| match protocol {
            // Whoever picks up connections in their middle never forgets one for good.
            Protocol::TCP if behaviour.tcp_loose => self.limits.idle,
            _ => longest_timer(&behaviour.timers, protocol),
        });
        timers[0].max(timers[1]).min(self.limits.idle)
    }

    fn settle(&mut self, record: &FlowRecord) {
        let [old, new] = &record.tracks;
        for (side, track) in [(&mut self.old, old), (&mut self.new, new)] {
            if let Some(last) = track.decided {
                side.hits_mut().count(last, record.bytes);
            }
        }
        if let Some(translated) = old.translated {
            self.replies.remove(&translated.reverse());
        }
        let mut class = record.class();
        if class == DifferenceClass::Same && self.counterparts.differ(old.hit(), new.hit()) {
            class = DifferenceClass::OtherRule;
        }
        self.differences.add(record, class);
        if let Some(settled) = &mut self.settled {
            settled.push_back(SettledFlow::new(record, class));
        }
    }

    fn sweep(&mut self, now: Timestamp) {
        let closed_idle = self.limits.closed_idle;
        let over = self.flows.extract_if(|_, record| record.is_over(now, closed_idle));
        let mut over: Vec<Box<FlowRecord>> = over.map(|(_, record)| record).collect();
        in_order(&mut over);
        for record in over {
            self.settle(&record);
        }
    }

    /// Makes room: judges the tenth of the flows that was idle longest as it stands.
    fn drop_idlest(&mut self) {
        let mut last: Vec<Timestamp> = self.flows.values().map(|record| record.last).collect();
        let tenth = last.len() / 10;
        let (_, &mut limit, _) = last.select_nth_unstable(tenth);
        let early = self.flows.extract_if(|_, record| record.last <= limit);
        let mut early: Vec<Box<FlowRecord>> = early.map(|(_, record)| record).collect();
        in_order(&mut early);
        for record in early {
            self.settle(&record);
        }
    }

    /// Judges the flows still live as they stand.
    pub fn end_flows(&mut self) {
        let mut rest: Vec<Box<FlowRecord>> = self.flows.drain().map(|(_, record)| record).collect();
        in_order(&mut rest);
        for record in rest {
            self.settle(&record);
        }
    }

    /// Judges the flows still live, and gives the result with both sides.
    pub fn finish(mut self) -> Comparison {
        self.end_flows();
        Comparison {
            frames: self.frames,
            differences: self.differences.finish(),
            hazards: self.hazards.finish(),
            old_hits: self.old.hits().clone(),
            new_hits: self.new.hits().clone(),
            old_counters: self.old.engine().counters().clone(),
            new_counters: self.new.engine().counters().clone(),
        }
    }
}

/// Flows settle in the order they began, so that the same input gives the same result.
fn in_order(records: &mut [Box<FlowRecord>]) {
    records.sort_unstable_by_key(|record| (record.start, record.flow));
}

fn opens(packet: &Packet<'_>) -> bool {
    matches!(&packet.transport, Transport::Tcp(segment)
        if segment.flags.contains(TcpFlags::SYN) && !segment.flags.contains(TcpFlags::ACK))
}

fn closes(packet: &Packet<'_>) -> bool {
    matches!(&packet.transport, Transport::Tcp(segment)
        if segment.flags.intersects(TcpFlags::RST.union(TcpFlags::FIN)))
}

/// Whether a packet of the other side is more than a refusal.
fn answers(packet: &Packet<'_>) -> bool {
    match &packet.transport {
        Transport::Tcp(segment) => !segment.flags.contains(TcpFlags::RST),
        Transport::Icmp(message) => message.quoted.is_none(),
        _ => true,
    }
}

/// The longest time a firewall with these timers remembers an idle session or a refused flow.
fn longest_timer(timers: &Timers, protocol: Protocol) -> Duration {
    let of_protocol: &[Duration] = match protocol {
        Protocol::TCP => &[
            timers.tcp_syn,
            timers.tcp_handshake,
            timers.tcp_established,
            timers.tcp_half_closed,
            timers.tcp_close_wait,
            timers.tcp_last_ack,
            timers.tcp_time_wait,
            timers.tcp_reset,
            timers.tcp_unverified_reset,
            timers.discard_tcp,
        ],
        Protocol::UDP => &[timers.udp, timers.udp_stream, timers.discard_udp],
        Protocol::SCTP => &[
            timers.sctp_init,
            timers.sctp_handshake,
            timers.sctp_established,
            timers.sctp_shutdown,
            timers.sctp_closed,
            timers.sctp_heartbeat,
            timers.discard_other,
        ],
        Protocol::GRE => &[timers.gre, timers.gre_stream, timers.discard_other],
        _ if protocol.is_icmp() => &[timers.icmp, timers.discard_other],
        _ => &[timers.other, timers.discard_other],
    };
    of_protocol.iter().copied().max().unwrap_or_default()
}

impl FlowRecord {
    /// Whether the flow was idle for too long to go on at `now`.
    fn is_over(&self, now: Timestamp, closed_idle: Duration) -> bool {
        let limit = if self.closed { closed_idle } else { self.patience };
        now.since(self.last) > limit
    }

    /// Notes a packet of the flow, and returns the reply the capture will show if the old firewall
    /// has translated the flow for the first time.
    fn note(&mut self, seen: &Seen<'_>, decisions: &[Decision; 2]) -> Option<FiveTuple> {
        self.opened |= self.packets == 0 && opens(seen.packet);
        self.last = seen.now;
        self.packets += 1;
        self.bytes += u64::from(seen.wire_len);
        let forwards = self.flow == seen.flow;
        self.waiting.note(seen.packet, forwards);
        let before = self.tracks[0].translated;
        for (track, decision) in self.tracks.iter_mut().zip(decisions) {
            // What a reply leaves as is the flow as it arrived: no news.
            let translated = decision.translated.filter(|_| forwards);
            let decision = Decision { translated, ..*decision };
            // Stragglers of a connection that was closed find no session: that is no loss.
            let straggler = self.closed && track.has_passed() && decision.hit.is_none();
            if !straggler {
                track.note(&decision, self.packets, seen.wire_len, seen.now);
            }
            if !self.closed {
                track.count_session(&decision);
            }
        }
        self.answered |= !forwards && answers(seen.packet);
        self.closed |= closes(seen.packet);
        let translated = self.tracks[0].translated.filter(|_| before.is_none());
        translated.map(FiveTuple::reverse)
    }
}

impl Track {
    /// Counts the session that lets a packet pass, when it is another one than before.
    fn count_session(&mut self, decision: &Decision) {
        if decision.verdict.passes() && decision.session.is_some() {
            self.sessions += u32::from(decision.session != self.session);
            self.session = decision.session;
        }
    }

    /// Notes what one firewall did with a packet of the flow.
    pub(crate) fn note(&mut self, decision: &Decision, packet: u64, wire_len: u32, now: Timestamp) {
        let Decision { verdict, reason, hit, .. } = *decision;
        let passes = verdict.passes();
        self.first.get_or_insert((verdict, reason));
        self.decided = hit.or(self.decided);
        self.application = decision.application.or(self.application);
        self.translated = self.translated.or(decision.translated);
        self.unknown |= verdict == Verdict::Unknown;
        self.tentative = reason == Reason::Tentative;
        if passes {
            self.passed_packets += 1;
            self.passed_bytes += u64::from(wire_len);
        } else {
            self.refused_packets += 1;
            self.refused_bytes += u64::from(wire_len);
            if self.refusal.is_none() {
                self.refusal = Some(Refusal { packet, when: now, verdict, reason, hit });
                self.bytes_before_refusal = self.passed_bytes;
            }
        }
    }
}
