//! The same frames through the old and the new firewall, side by side.

use std::collections::HashMap;
use std::time::Duration;

use parefeu_engine::{Decision, Reason, Verdict};
use parefeu_net::{
    DecodeLimits, FiveTuple, LinkType, Packet, TcpFlags, Timestamp, Transport, decode,
};

use crate::counterpart::Counterparts;
use crate::difference::{Comparison, DifferenceClass, Differences, FlowRecord, Track};
use crate::ingress::CapturedAt;
use crate::side::Side;

/// Bounds of a lockstep replay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LockstepLimits {
    /// The most flows followed at once; past it the flow idle longest is judged as it stands.
    pub max_flows: usize,
    /// A flow idle for this long is over.
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
/// from its first packet to its end, whatever either firewall makes of it. Memory grows with the
/// flows live at once, not with the length of the capture.
pub struct Lockstep {
    old: Side,
    new: Side,
    decode: DecodeLimits,
    limits: LockstepLimits,
    flows: HashMap<FiveTuple, FlowRecord>,
    /// Replies as the capture shows them, translated by the old firewall → the flow they answer.
    replies: HashMap<FiveTuple, FiveTuple>,
    counterparts: Counterparts,
    differences: Differences,
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

/// A frame of a flow.
#[derive(Clone, Copy)]
struct Seen<'a> {
    now: Timestamp,
    flow: FiveTuple,
    key: FiveTuple,
    packet: &'a Packet<'a>,
    wire_len: u32,
}

/// Flows are swept for old ones each time this many frames have passed.
const SWEEP_EVERY: u64 = 65_536;

impl Lockstep {
    /// A comparison that has seen nothing.
    pub fn new(old: Side, new: Side, decode: DecodeLimits, limits: LockstepLimits) -> Self {
        Self {
            counterparts: Counterparts::new(old.engine().firewall(), new.engine().firewall()),
            old,
            new,
            decode,
            limits,
            flows: HashMap::new(),
            replies: HashMap::new(),
            differences: Differences::default(),
            next_sweep: SWEEP_EVERY,
            frames: 0,
        }
    }

    /// Shows both firewalls one frame, and returns what each did.
    pub fn handle_frame(&mut self, frame: ReplayFrame<'_>) -> (Decision, Decision) {
        let ReplayFrame { now, captured, link_type, data, wire_len } = frame;
        let packet = decode(link_type, data, wire_len as usize, &self.decode);
        let key = packet.five_tuple().map(|flow| self.flow_key(flow, &packet));
        let old = self.old.decide(now, captured, &packet, wire_len);
        let answered = key.and_then(|key| self.as_new_side_sees(key, &packet));
        let seen = answered.as_ref().unwrap_or(&packet);
        let new = self.new.decide(now, captured, seen, wire_len);
        // Sessions are reported by flow here; the engines' own log lines are not needed.
        while self.old.poll_session().is_some() {}
        while self.new.poll_session().is_some() {}
        self.frames += 1;
        self.differences.count_frame(now, packet.malformed);
        if let (Some(flow), Some(key), None) = (packet.five_tuple(), key, packet.malformed) {
            let seen = Seen { now, flow, key, packet: &packet, wire_len };
            self.follow(seen, [old, new]);
        }
        if self.frames >= self.next_sweep {
            self.next_sweep = self.frames + SWEEP_EVERY;
            self.sweep(now);
        }
        (old, new)
    }

    /// Both directions share a key, also where the reply comes to a translated address. An ICMP
    /// error counts with the flow it quotes.
    fn flow_key(&self, flow: FiveTuple, packet: &Packet<'_>) -> FiveTuple {
        let flow = match &packet.transport {
            Transport::Icmp(message) => {
                message.quoted.as_ref().map_or(flow, |it| it.flow.reverse())
            }
            _ => flow,
        };
        self.replies.get(&flow).copied().unwrap_or_else(|| flow.direction_free())
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
        // The checksum in these bytes counts the addresses they came with.
        network.payload = &[];
        match &mut rewritten.transport {
            Transport::Tcp(tcp) => (tcp.src_port, tcp.dst_port) = (new.src_port, new.dst_port),
            Transport::Udp(udp) => (udp.src_port, udp.dst_port) = (new.src_port, new.dst_port),
            Transport::Sctp(sctp) => (sctp.src_port, sctp.dst_port) = (new.src_port, new.dst_port),
            Transport::Icmp(message) => message.id = message.id.map(|_| new.src_port),
            Transport::Other(_) | Transport::Absent => {}
        }
        Some(rewritten)
    }

    fn follow(&mut self, seen: Seen<'_>, decisions: [Decision; 2]) {
        let Seen { now, flow, key, packet, wire_len } = seen;
        let starts_anew = self.flows.get(&key).is_some_and(|record| {
            let idle = now.since(record.last);
            let limit = if record.closed { self.limits.closed_idle } else { self.limits.idle };
            ((record.closed || !record.opened) && opens(packet)) || idle > limit
        });
        if starts_anew && let Some(record) = self.flows.remove(&key) {
            self.settle(&record);
        }
        if !self.flows.contains_key(&key) && self.flows.len() >= self.limits.max_flows {
            self.drop_idlest();
        }
        let icmp = match &packet.transport {
            Transport::Icmp(message) => Some((message.kind, message.code)),
            _ => None,
        };
        let record = self.flows.entry(key).or_insert_with(|| FlowRecord::new(now, flow, icmp));
        record.opened |= record.packets == 0 && opens(packet);
        record.last = now;
        record.packets += 1;
        record.bytes += u64::from(wire_len);
        let forwards = record.flow == flow;
        for (track, decision) in record.tracks.iter_mut().zip(decisions) {
            // What a reply leaves as is the flow as it arrived: no news.
            let translated = decision.translated.filter(|_| forwards);
            let decision = Decision { translated, ..decision };
            // Stragglers of a connection that was closed find no session: that is no loss.
            let straggler = record.closed && track.has_passed() && decision.hit.is_none();
            if !straggler {
                track.note(&decision, record.packets, wire_len, now);
            }
            if !record.closed {
                track.count_session(&decision);
            }
        }
        record.answered |= !forwards && answers(packet);
        record.closed |= closes(packet);
        if forwards && let Some(translated) = record.tracks[0].translated {
            self.replies.insert(translated.reverse(), key);
        }
    }

    fn settle(&mut self, record: &FlowRecord) {
        let [old, new] = &record.tracks;
        for (side, track) in [(&mut self.old, old), (&mut self.new, new)] {
            if let Some(last) = &track.decided {
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
    }

    fn sweep(&mut self, now: Timestamp) {
        let limits = self.limits;
        let is_over = |record: &FlowRecord| {
            let limit = if record.closed { limits.closed_idle } else { limits.idle };
            now.since(record.last) > limit
        };
        let mut over: Vec<FlowRecord> =
            self.flows.extract_if(|_, record| is_over(record)).map(|(_, record)| record).collect();
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
        let mut early: Vec<FlowRecord> = early.map(|(_, record)| record).collect();
        in_order(&mut early);
        for record in early {
            self.settle(&record);
        }
    }

    /// Judges the flows still live, and gives the result with both sides.
    pub fn finish(mut self) -> Comparison {
        let mut rest: Vec<FlowRecord> = self.flows.drain().map(|(_, record)| record).collect();
        in_order(&mut rest);
        for record in rest {
            self.settle(&record);
        }
        Comparison {
            frames: self.frames,
            differences: self.differences.finish(),
            old_hits: self.old.hits().clone(),
            new_hits: self.new.hits().clone(),
            old_counters: self.old.engine().counters().clone(),
            new_counters: self.new.engine().counters().clone(),
        }
    }
}

/// Flows settle in the order they began, so that the same input gives the same result.
fn in_order(records: &mut [FlowRecord]) {
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
        let passes = decision.verdict.passes();
        self.first.get_or_insert(*decision);
        if decision.hit.is_some() {
            self.decided = Some(*decision);
        }
        self.application = decision.application.or(self.application);
        self.translated = self.translated.or(decision.translated);
        self.unknown |= decision.verdict == Verdict::Unknown;
        self.tentative = decision.reason == Reason::Tentative;
        if passes {
            self.passed_packets += 1;
            self.passed_bytes += u64::from(wire_len);
        } else {
            self.refused_packets += 1;
            self.refused_bytes += u64::from(wire_len);
            if self.refusal.is_none() {
                self.refusal = Some((packet, now, *decision));
                self.bytes_before_refusal = self.passed_bytes;
            }
        }
    }
}
