//! The entry point: payload in, facts out.

use parefeu_net::{Direction, FiveTuple, Protocol};

use crate::flow::{Phase, State, Transport, Work};
use crate::nomination::{Candidates, Nominator};
use crate::protocol::{Context, Decoder, Probe, Step, TCP, UDP};
use crate::record::{Identity, Record, Sender};
use crate::stream::Stream;
use crate::{Application, Changes, FlowState, LimitReached, Limits, Progress, Status};

/// Recognises applications; immutable, and shared by all sessions of all threads.
///
/// Holds the compiled signatures. Everything that changes lives in each session's [`FlowState`].
pub struct Identifier {
    limits: Limits,
    tcp: Nominator,
    udp: Nominator,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identifier").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Default for Identifier {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Identifier {
    /// Compiles the signatures. Cost: some tens of kilobytes and well under a millisecond.
    pub fn new(limits: Limits) -> Self {
        Self { limits, tcp: Nominator::new(TCP), udp: Nominator::new(UDP) }
    }

    /// The bounds that hold for each flow.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Reads one packet's payload.
    ///
    /// `tuple` is the session's in its original direction, and `direction` says which way this
    /// packet went. `stream_offset` is the position of its first byte in that direction's TCP
    /// stream, 0 for the first byte after the SYN (or the first seen, where no SYN was); `None`
    /// for a datagram. Segments may come repeated, overlapping or out of order, and the way a
    /// stream is cut does not change what is learned from it.
    ///
    /// A packet without payload changes nothing. Once [`Progress::Finished`] was returned, it
    /// always is. Cost: linear in the payload while undecided or decoding, constant afterwards.
    /// No allocation once a flow is finished, nor for an HTTP request whose host and path fit
    /// what earlier ones took.
    pub fn inspect(
        &self,
        flow: &mut FlowState,
        tuple: &FiveTuple,
        direction: Direction,
        stream_offset: Option<u64>,
        payload: &[u8],
    ) -> Progress {
        if flow.finished || payload.is_empty() {
            return flow.standing();
        }
        if flow.status == Status::Incomplete {
            flow.status = Status::InsufficientData;
            flow.transport = if stream_offset.is_some() { Transport::Tcp } else { Transport::Udp };
        }
        let mut work = flow.work.take().unwrap_or_default();
        let mut identity = flow.identity.take().unwrap_or_default();
        let (client, server) = match &work.state.phase {
            Phase::Decoding { client: Direction::Reply, .. } => (tuple.dst, tuple.src),
            _ => (tuple.src, tuple.dst),
        };
        let mut record = Record {
            identity: &mut identity,
            limits: &self.limits,
            changes: Changes::NONE,
            server,
            client,
            sender: Sender::of(tuple, direction),
            is_datagram: stream_offset.is_none(),
        };
        let Work { streams, state } = &mut *work;
        state.packets = state.packets.saturating_add(1);
        state.bytes = state.bytes.saturating_add(payload.len() as u64);
        let mut inspection = Inspection { identifier: self, tuple, state, record: &mut record };
        match stream_offset {
            Some(offset) => inspection.segment(streams, direction, offset, payload),
            None => inspection.datagram(direction, payload),
        }
        inspection.give_up_if_due(stream_offset.is_some());
        let changes = record.changes;
        settle(flow, work, identity, changes)
    }

    /// The application of a protocol that is recognised without payload: ICMP by its type, the
    /// rest by number. `None` for TCP, UDP and their kin, whose payload decides.
    ///
    /// `icmp_type` is the type of an ICMP or ICMPv6 message; echo and its reply are `ping`.
    pub fn classify_without_payload(
        protocol: Protocol,
        icmp_type: Option<u8>,
    ) -> Option<Application> {
        Some(match (protocol.0, icmp_type) {
            (6 | 17 | 33 | 136, _) => return None,
            (1, Some(0 | 8)) | (58, Some(128 | 129)) => Application::PING,
            (1, _) => Application::ICMP,
            (58, _) => Application::ICMPV6,
            (2, _) => Application::IGMP,
            (4, _) => Application::IPIP,
            (8, _) => Application::EGP,
            (41, _) => Application::IPV6_IN_IPV4,
            (46, _) => Application::RSVP,
            (47, _) => Application::GRE,
            (50, _) => Application::ESP,
            (51, _) => Application::AH,
            (88, _) => Application::EIGRP,
            (89, _) => Application::OSPF,
            (97, _) => Application::ETHERIP,
            (103, _) => Application::PIM,
            (112, _) => Application::VRRP,
            (113, _) => Application::PGM,
            (115, _) => Application::L2TP,
            (132, _) => Application::SCTP,
            _ => Application::UNKNOWN_IP,
        })
    }

    fn nominator(&self, protocol: Transport) -> &Nominator {
        if protocol == Transport::Udp { &self.udp } else { &self.tcp }
    }
}

/// Puts back what the packet left, and says what it changed.
fn settle(
    flow: &mut FlowState,
    work: Box<Work>,
    identity: Box<Identity>,
    changes: Changes,
) -> Progress {
    if let Phase::Over(limit) = work.state.phase {
        flow.finished = true;
        flow.limit = limit;
    } else {
        flow.work = Some(work);
    }
    flow.status = match identity.protocol {
        None => flow.status,
        Some(Application::UNKNOWN_TCP) => Status::UnknownTcp,
        Some(Application::UNKNOWN_UDP) => Status::UnknownUdp,
        Some(_) => Status::Identified,
    };
    flow.identity = Some(identity);
    if changes.is_empty() { flow.standing() } else { Progress::Changed(changes) }
}

/// One packet being inspected.
struct Inspection<'a, 'r> {
    identifier: &'a Identifier,
    tuple: &'a FiveTuple,
    state: &'a mut State,
    record: &'a mut Record<'r>,
}

/// Times one packet may hand a flow from one protocol to the next (a tunnel, then TLS).
const HANDOVERS: usize = 4;

impl Inspection<'_, '_> {
    fn segment(
        &mut self,
        streams: &mut [Stream; 2],
        direction: Direction,
        offset: u64,
        payload: &[u8],
    ) {
        self.mark_spoken(direction);
        if self.is_deaf(direction) {
            return;
        }
        let limits = &self.identifier.limits;
        let [original, reply] = streams;
        let (own, other) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let result = own
            .push(offset, payload, limits, &mut |bytes| self.hear(direction, bytes, other.held()));
        if let Err(limit) = result {
            self.stop_hearing(direction, limit);
        }
        if matches!(self.state.phase, Phase::Undecided) && !other.held().is_empty() {
            // What this side said may settle what the other side's first bytes meant.
            self.judge(direction.reverse(), other.held(), own.held());
            if matches!(self.state.phase, Phase::Decoding { .. }) {
                own.replay(&mut |bytes| self.feed(direction, bytes));
            }
        }
        // A decoder that has just taken over sees what each direction holds, until none is new.
        for _ in 0..HANDOVERS {
            let Phase::Decoding { fresh: fresh @ true, .. } = &mut self.state.phase else { return };
            *fresh = false;
            other.replay(&mut |bytes| self.feed(direction.reverse(), bytes));
            own.replay(&mut |bytes| self.feed(direction, bytes));
        }
    }

    fn datagram(&mut self, direction: Direction, payload: &[u8]) {
        self.mark_spoken(direction);
        if matches!(self.state.phase, Phase::Undecided) {
            self.judge_datagram(direction, payload);
        }
        self.feed(direction, payload);
    }

    fn mark_spoken(&mut self, direction: Direction) {
        if let Some(spoken) = self.state.spoken.get_mut(direction.index()) {
            *spoken = true;
        }
    }

    fn is_deaf(&self, direction: Direction) -> bool {
        self.state.deaf.get(direction.index()).copied().unwrap_or(true)
    }

    /// Takes new contiguous bytes, with what the other direction holds, and says how many of
    /// them are done with.
    fn hear(&mut self, direction: Direction, bytes: &[u8], other: &[u8]) -> usize {
        if matches!(self.state.phase, Phase::Undecided) {
            self.judge(direction, bytes, other);
        }
        self.feed(direction, bytes)
    }

    /// Shows bytes to the decoder, and to the one it hands over to.
    fn feed(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let mut used = 0;
        self.record.sender = Sender::of(self.tuple, direction);
        for _ in 0..=HANDOVERS {
            let rest = bytes.get(used..).unwrap_or_default();
            let Phase::Decoding { decoder, client, fresh } = &mut self.state.phase else {
                return used;
            };
            let role = State::role(direction, *client);
            if !decoder.wants(role) {
                return bytes.len();
            }
            match decoder.feed(role, rest, self.record) {
                Step::Used(count) => return used + count.min(rest.len()),
                Step::Done => {
                    self.state.phase = Phase::Over(None);
                    return bytes.len();
                }
                Step::Limit(limit) => {
                    self.state.phase = Phase::Over(Some(limit));
                    return bytes.len();
                }
                Step::Switch(count, next) => {
                    used += count.min(rest.len());
                    *decoder = next;
                    *fresh = true;
                }
            }
        }
        self.state.phase = Phase::Over(None);
        bytes.len()
    }

    /// Asks the signatures that are still possible for `direction` about its first bytes.
    fn judge(&mut self, direction: Direction, own: &[u8], other: &[u8]) {
        let nominator = self.identifier.nominator(Transport::Tcp);
        let context = self.context(direction, own, other);
        let Some(possible) = self.state.candidates.get_mut(direction.index()) else { return };
        *possible = possible.intersect(nominator.nominate(own));
        let mut decision = None;
        for index in possible.iter() {
            let Some(signature) = nominator.signatures.get(index) else { continue };
            match (signature.probe)(&context) {
                Probe::No => possible.remove(index),
                // An earlier signature that may still match keeps the later ones waiting.
                Probe::Maybe => break,
                verdict => {
                    decision = Some((index, verdict));
                    break;
                }
            }
        }
        if let Some((index, verdict)) = decision {
            self.decide(nominator, index, verdict, direction);
        }
    }

    fn judge_datagram(&mut self, direction: Direction, own: &[u8]) {
        let nominator = self.identifier.nominator(Transport::Udp);
        let context = self.context(direction, own, &[]);
        for index in nominator.nominate(own).iter() {
            let Some(signature) = nominator.signatures.get(index) else { continue };
            let verdict = match (signature.probe)(&context) {
                Probe::No => continue,
                Probe::Maybe if self.state.sighted.replace(index) != Some(index) => continue,
                Probe::Maybe => Probe::Either,
                verdict => verdict,
            };
            self.decide(nominator, index, verdict, direction);
            return;
        }
    }

    fn context<'b>(&self, direction: Direction, own: &'b [u8], other: &'b [u8]) -> Context<'b> {
        let FiveTuple { src_port, dst_port, protocol, .. } = *self.tuple;
        let (own_port, other_port) = match direction {
            Direction::Original => (src_port, dst_port),
            Direction::Reply => (dst_port, src_port),
        };
        Context { own, other, own_port, other_port, protocol }
    }

    /// Starts the decoder of the signature that matched; one that only names ends the flow.
    fn decide(&mut self, nominator: &Nominator, index: usize, verdict: Probe, from: Direction) {
        let Some(signature) = nominator.signatures.get(index) else { return };
        let client = match verdict {
            Probe::Client => from,
            Probe::Server => from.reverse(),
            Probe::Either | Probe::Maybe | Probe::No => Direction::Original,
        };
        if client == Direction::Reply {
            (self.record.client, self.record.server) = (self.tuple.dst, self.tuple.src);
        }
        self.record.enter(signature.application);
        self.state.phase = match (signature.start)() {
            Decoder::Name => Phase::Over(None),
            decoder => Phase::Decoding { decoder, client, fresh: true },
        };
    }

    /// Ends the reading of one direction; and of the flow, when that was all there was to read.
    fn stop_hearing(&mut self, direction: Direction, limit: LimitReached) {
        if let Some(deaf) = self.state.deaf.get_mut(direction.index()) {
            *deaf = true;
        }
        if let Some(candidates) = self.state.candidates.get_mut(direction.index()) {
            *candidates = Candidates::NONE;
        }
        let over = match &self.state.phase {
            Phase::Undecided => self.is_deaf(direction.reverse()),
            Phase::Decoding { decoder, client, .. } => {
                let other = State::role(direction.reverse(), *client);
                self.is_deaf(direction.reverse()) || !decoder.wants(other)
            }
            Phase::Over(_) => false,
        };
        if over {
            if matches!(self.state.phase, Phase::Undecided) {
                self.record.enter(Application::UNKNOWN_TCP);
            }
            self.state.phase = Phase::Over(Some(limit));
        }
    }

    /// Calls an undecided flow unknown when no signature is left, or enough was seen.
    fn give_up_if_due(&mut self, is_stream: bool) {
        if !matches!(self.state.phase, Phase::Undecided) {
            return;
        }
        let State { candidates: [original, reply], spoken, packets, bytes, .. } = &*self.state;
        let limits = &self.identifier.limits;
        let none_left = is_stream && original.is_empty() && reply.is_empty();
        let both_failed = none_left && *spoken == [true, true];
        let seen_enough = *packets >= limits.undecided_packets || *bytes >= limits.undecided_bytes;
        let spoken_failed = !is_stream
            || [original, reply].iter().zip(spoken).all(|(left, spoke)| left.is_empty() || !spoke);
        let far_beyond = u64::from(*packets) >= u64::from(limits.undecided_packets) * 8;
        let due = both_failed || far_beyond || (seen_enough && spoken_failed);
        if !due {
            return;
        }
        let application =
            if is_stream { Application::UNKNOWN_TCP } else { Application::UNKNOWN_UDP };
        self.record.enter(application);
        let limit = (!both_failed).then_some(LimitReached::Undecided);
        self.state.phase = Phase::Over(limit);
    }
}

#[cfg(test)]
mod tests;
