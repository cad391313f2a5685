//! Packets against sessions, and new connections against the policy.

use std::collections::VecDeque;
use std::sync::Arc;

use parefeu_classify::CompiledPolicy;
use parefeu_identify::{Changes, FlowState, Identifier, Progress};
use parefeu_net::{
    ChecksumVerdict, Direction, FiveTuple, IcmpMessage, Network, Packet, Protocol, TcpFlags,
    TcpSegment, Timestamp, Transport, icmp_across, ip_header_checksum, transport_checksum,
};
use parefeu_policy::{
    ConnectionState, Hit, InterfaceId, Knowledge, LinkedAction, NatMapping, PacketKey, ResetSide,
    UserKnowledge,
};
use parefeu_session::{
    Carried, EndReason, EndedSession, InvalidReason, OpenError, Opening, Room, SavedSession,
    Session, SessionId, SessionTable, Sought, Step,
};

use crate::decision::{Decision, Reason, Verdict};
use crate::engine::EngineConfig;
use crate::event::SessionSummary;
use crate::expect::{Announced, Expectations, Expected, Parent};
use crate::kept::{
    Kept, Settled, Standing, decision_of, is_followed, matters, note_stream_start, standing_of,
    stream_offset, tcp_flags,
};
use crate::knowledge::{ApplicationTable, UserTable, url_categories};
use crate::mapping::{Client, Leaving, Mappings};
use crate::pipeline::{OpenRoute, evaluate, evaluate_before_sessions, open_route, route_alone};
use crate::translated::{error_translated, is_translatable, translated, way};

/// When, where and how long a frame was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) now: Timestamp,
    pub(crate) ingress: Option<InterfaceId>,
    pub(crate) wire_len: u32,
}

pub(crate) struct Core {
    pub(crate) policy: Arc<CompiledPolicy>,
    pub(crate) users: Arc<UserTable>,
    /// Sessions that ended and were not collected.
    pub(crate) settled: VecDeque<Settled>,
    /// The session opened last.
    pub(crate) opened: Option<SessionId>,
    /// Whether the last packet would have opened a session, had there been room.
    pub(crate) lacked_room: bool,
    pub(crate) next_serial: u64,
    applications: ApplicationTable,
    identifier: Option<Arc<Identifier>>,
    sessions: SessionTable<Kept>,
    expectations: Expectations,
    mappings: Mappings,
    /// How many policies there have been before this one.
    pub(crate) epoch: u32,
    config: EngineConfig,
}

impl Core {
    pub(crate) fn new(
        policy: Arc<CompiledPolicy>,
        identifier: Option<Arc<Identifier>>,
        users: &Arc<UserTable>,
        config: &EngineConfig,
    ) -> Self {
        let behaviour = policy.firewall().behaviour.clone();
        Self {
            applications: ApplicationTable::new(policy.firewall()),
            sessions: SessionTable::new(config.sessions, behaviour, config.hash_key),
            users: Arc::clone(users),
            expectations: Expectations::default(),
            mappings: Mappings::default(),
            settled: VecDeque::new(),
            opened: None,
            lacked_room: false,
            identifier,
            epoch: 0,
            next_serial: 1,
            config: config.clone(),
            policy,
        }
    }

    pub(crate) fn handle_packet(&mut self, arrival: Arrival, packet: &Packet<'_>) -> Decision {
        self.lacked_room = false;
        let Some(sought) = self.sessions.sought(tag(arrival.ingress), packet) else {
            return Decision::refuse(Verdict::Drop, Reason::NotIp);
        };
        if matches!(packet.transport, Transport::Absent) && sought.flow.protocol.has_ports() {
            return Decision::refuse(Verdict::Drop, Reason::Truncated);
        }
        let verify = self.config.verify_checksums && self.policy.firewall().behaviour.checksum;
        if verify && has_bad_checksum(packet) {
            return self.handle_bad_checksum(arrival, packet, &sought);
        }
        if let Some(decision) = self.handle_error_message(arrival, packet, &sought) {
            return decision;
        }
        let found = self.sessions.find(&sought);
        match found.or_else(|| self.answer_seen_translated(arrival.ingress, sought)) {
            Some(found) => self
                .refused_before_session(arrival, packet, found)
                .unwrap_or_else(|| self.continue_session(arrival, packet, sought, found)),
            None => self
                .refused_without_room(arrival, packet)
                .unwrap_or_else(|| self.open_session(arrival, packet, sought)),
        }
    }

    /// The refusal of a packet of no session for which there is no room, where rules see every
    /// packet: it comes before all layers but those that are asked before sessions, also for what
    /// then would have opened none. Linux makes the entry first.
    fn refused_without_room(&mut self, arrival: Arrival, packet: &Packet<'_>) -> Option<Decision> {
        if !self.policy.firewall().behaviour.filter_every_packet || self.sessions.has_room() {
            return None;
        }
        let is_tracked = self.sessions.state_without_session(packet) != ConnectionState::Untracked;
        // What has no answer gets no entry.
        let may_pair =
            !matches!(&packet.transport, Transport::Icmp(message) if message.id.is_none());
        let is_refused_before = || {
            self.policy.firewall().layers.first().is_some_and(|it| it.before_sessions)
                && self.standing_before_sessions(arrival, packet).is_some()
        };
        if !is_tracked || !may_pair || is_refused_before() {
            return None;
        }
        self.lacked_room = true;
        Some(Decision::refuse(Verdict::Drop, Reason::TableFull))
    }

    /// The refusal of a packet that layers refuse which are asked before its session is looked up:
    /// the session stays as it was. One that is refused itself is judged as a whole.
    fn refused_before_session(
        &self,
        arrival: Arrival,
        packet: &Packet<'_>,
        (id, direction): (SessionId, Direction),
    ) -> Option<Decision> {
        if !self.policy.firewall().layers.first()?.before_sessions || self.sessions.is_refused(id) {
            return None;
        }
        let Standing { verdict, reason, hit } = self.standing_before_sessions(arrival, packet)?;
        let session = self.sessions.data(id).map(|kept| kept.serial);
        Some(Decision { hit, session, direction, ..Decision::refuse(verdict, reason) })
    }

    /// What layers say that are asked before any connection is looked up, where they refuse.
    fn standing_before_sessions(&self, arrival: Arrival, packet: &Packet<'_>) -> Option<Standing> {
        let route = route_alone(&self.policy, &self.key(arrival, packet, ConnectionState::New)?);
        let kept = self.keep(packet, route);
        let evaluation = evaluate_before_sessions(&self.policy, &route, &known(&kept));
        let standing = standing_of(&evaluation, self.policy.firewall().behaviour.pending);
        let refuses = matches!(standing.verdict, Verdict::Deny | Verdict::Drop | Verdict::Reset);
        refuses.then_some(standing)
    }

    /// A packet with a wrong checksum is no part of any session. Where rules are offered the state
    /// of every packet, they decide on it as on any invalid one.
    fn handle_bad_checksum(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        sought: &Sought,
    ) -> Decision {
        let refused = Decision::refuse(Verdict::Drop, Reason::BadChecksum);
        if !self.policy.firewall().behaviour.filter_every_packet {
            return refused;
        }
        let is_icmp = matches!(packet.transport, Transport::Icmp(_));
        if !is_icmp
            && self.sessions.find(sought).is_none()
            && let Some(decision) = self.refused_without_room(arrival, packet)
        {
            return decision;
        }
        self.judge_alone(arrival, packet, ConnectionState::Invalid).unwrap_or(refused)
    }

    /// What the rules say of a packet of no connection: it is judged as it arrives, leaves so where
    /// it passes, and is forgotten.
    fn judge_alone(
        &self,
        arrival: Arrival,
        packet: &Packet<'_>,
        state: ConnectionState,
    ) -> Option<Decision> {
        let route = route_alone(&self.policy, &self.key(arrival, packet, state)?);
        if route.key.egress.is_none() && !self.policy.firewall().routes.is_empty() {
            return Some(Decision::refuse(Verdict::Drop, Reason::NoRoute));
        }
        let mut kept = self.keep(packet, route);
        kept.standing = self.judge(&kept, &route);
        Some(decision_of(&kept, None))
    }

    /// The session whose answer the client sees as `answer`, where the capture shows the client's
    /// side (`docs/semantics.md` S10.3). The frame may be placed on either interface.
    fn answer_seen_translated(
        &self,
        ingress: Option<InterfaceId>,
        answer: Sought,
    ) -> Option<(SessionId, Direction)> {
        if !self.config.answers_seen_translated {
            return None;
        }
        let towards = self.policy.firewall().interface_towards(answer.flow.dst);
        let asked = answer.reverse();
        let found = [ingress, towards].into_iter().find_map(|interface| {
            let asked = Sought { tag: tag(interface), ..asked };
            let (id, direction) = self.sessions.find(&asked)?;
            (direction == Direction::Original).then_some(id)
        })?;
        let (_, reply) = self.sessions.flows(found)?;
        let is_translated = reply != answer.flow && !self.sessions.is_refused(found);
        is_translated.then_some((found, Direction::Reply))
    }

    /// An ICMP error is judged with the session whose packet it quotes.
    fn handle_error_message(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        error: &Sought,
    ) -> Option<Decision> {
        let Transport::Icmp(message) = &packet.transport else { return None };
        let quoted = message.quoted.as_ref()?;
        let behaviour = &self.policy.firewall().behaviour;
        let found = self.sessions.related(error, quoted).or_else(|| {
            let about_sender = quoted.ports_known && quoted.flow.src == error.flow.dst;
            let carried = quoted.icmp_kind.map(|kind| Carried { kind, against: true });
            let answer = Sought { flow: quoted.flow.reverse(), carried, ..*error };
            about_sender.then(|| self.answer_seen_translated(arrival.ingress, answer)).flatten()
        });
        if behaviour.icmp_errors_counted
            && let Some((id, direction)) = found
        {
            self.sessions.count(id, direction, arrival.wire_len.into());
        }
        let behaviour = &self.policy.firewall().behaviour;
        let found = found.and_then(|(id, direction)| Some((self.sessions.session(id)?, direction)));
        let judged_by_rules = behaviour.filter_every_packet || !behaviour.icmp_errors_related;
        let Some((session, direction)) = found.filter(|(session, _)| !session.is_refused) else {
            // Without a session the rules decide, where they judge such messages at all.
            let refused = Decision::refuse(Verdict::Drop, Reason::UnrelatedError);
            return (!judged_by_rules).then_some(refused);
        };
        if behaviour.filter_every_packet
            && session.is_translated()
            && !is_translatable(message, quoted)
        {
            return Some(Decision::refuse(Verdict::Drop, Reason::UntranslatableError));
        }
        let standing = session.data.standing;
        let mut decision = Decision {
            verdict: standing.verdict,
            reason: Reason::RelatedError,
            hit: standing.hit,
            session: Some(session.data.serial),
            direction,
            application: session.data.flow.application(),
            translated: None,
            quoted: None,
        };
        if session.is_translated() {
            decision.translated = error_translated(&session, direction, packet);
            decision.quoted = Some(session.quoted_beyond(direction));
        }
        if judged_by_rules {
            let key = self.key(arrival, packet, ConnectionState::Related)?;
            let arrives = packet.five_tuple()?;
            let leaves = decision.translated.unwrap_or(arrives);
            let opening = &session.data.route;
            let route = self.route_within(opening, key, direction, [arrives, leaves]);
            let answer = evaluate(&self.policy, &route, &Knowledge::NOTHING);
            let standing = standing_of(&answer, behaviour.pending);
            (decision.verdict, decision.hit) = (standing.verdict, standing.hit);
        }
        Some(decision)
    }

    fn key(
        &self,
        arrival: Arrival,
        packet: &Packet<'_>,
        state: ConnectionState,
    ) -> Option<PacketKey> {
        let flow = packet.five_tuple()?;
        let (icmp, tcp_flags) = match &packet.transport {
            Transport::Icmp(message) => (Some((message.kind, message.code)), None),
            Transport::Tcp(segment) => (None, Some(segment.flags)),
            _ => (None, None),
        };
        let protocol = self.protocol_for_rules(packet, flow.protocol);
        let (icmp, tcp_flags) =
            if protocol == flow.protocol { (icmp, tcp_flags) } else { (None, None) };
        let no_ports = !protocol.has_ports();
        Some(PacketKey {
            ingress: arrival.ingress,
            egress: None,
            from: arrival.ingress.and_then(|id| self.policy.firewall().zone_of(id)),
            to: None,
            src: flow.src,
            dst: flow.dst,
            protocol,
            src_port: if no_ports { 0 } else { flow.src_port },
            dst_port: if no_ports { 0 } else { flow.dst_port },
            icmp,
            tcp_flags,
            state,
            device: packet.link.src,
            time: arrival.now,
        })
    }

    /// The protocol rules compare. What is behind an Authentication Header in IPv6 is tracked by
    /// Linux, but its rules see that header (`ipv6_find_hdr` with `IP6_FH_F_AUTH`; measured).
    fn protocol_for_rules(&self, packet: &Packet<'_>, carried: Protocol) -> Protocol {
        let sees_header = self.policy.firewall().behaviour.filter_every_packet;
        let network = packet.network.as_ref().filter(|_| sees_header);
        if network.is_some_and(Network::is_authenticated) { Protocol::AH } else { carried }
    }

    fn open_session(&mut self, arrival: Arrival, packet: &Packet<'_>, sought: Sought) -> Decision {
        let flow = sought.flow;
        let behaviour = &self.policy.firewall().behaviour;
        let state = self.sessions.state_without_session(packet);
        if state == ConnectionState::Invalid && !behaviour.filter_every_packet {
            return Decision::refuse(Verdict::Drop, Reason::InvalidFirstPacket);
        }
        if behaviour.judges_alone(state) {
            let decision = self.judge_alone(arrival, packet, state);
            return decision.unwrap_or(Decision::refuse(Verdict::Drop, Reason::NotIp));
        }
        let Some(key) = self.key(arrival, packet, state) else {
            return Decision::refuse(Verdict::Drop, Reason::NotIp);
        };
        let mut route = open_route(&self.policy, &key);
        if route.key.egress.is_none() && !self.policy.firewall().routes.is_empty() {
            return Decision::refuse(Verdict::Drop, Reason::NoRoute);
        }
        let mut kept = self.keep(packet, route);
        let announced = match state {
            ConnectionState::New => self.expectations.expected(&flow, arrival.now),
            _ => None,
        };
        // An expected connection is not looked up, but what comes before that is.
        let announced =
            announced.filter(|_| self.standing_before_sessions(arrival, packet).is_none());
        kept.standing = match announced {
            Some(Expected { src, dst, dst_port, hit, .. }) => {
                route.translated = FiveTuple { src, dst, dst_port, ..flow };
                (route.source_nat, route.destination_nat) = (None, None);
                kept.predicted = true;
                Standing { verdict: Verdict::Allow, reason: Reason::Predicted, hit }
            }
            None => self.judge(&kept, &route),
        };
        let Standing { verdict, hit, .. } = kept.standing;
        route.translated = if verdict.passes() {
            match self.translate(arrival.now, packet, &route, sought) {
                Ok(leaving) => {
                    kept.mapping = leaving.mapping;
                    leaving.flow
                }
                Err(reason) => return Decision { hit, ..Decision::refuse(Verdict::Drop, reason) },
            }
        } else {
            flow
        };
        let client = Client::of(kept.mapping, tag(arrival.ingress), &flow, &route.translated);
        kept.route = route;
        kept.serial = self.next_serial;
        let new = (route.translated != flow).then_some(route.translated);
        let mut decision = decision_of(&kept, new);
        decision.session = Some(kept.serial);
        let opening = Opening {
            tag: tag(arrival.ingress),
            original: flow,
            translated: route.translated,
            data: kept,
            bytes: arrival.wire_len.into(),
            refused: !verdict.passes(),
        };
        let opened = self.sessions.open(arrival.now, packet, opening);
        self.lacked_room = opened == Err(OpenError::TableFull);
        match opened {
            Ok(id) => {
                if announced.is_some() {
                    self.expectations.answered(&flow);
                }
                if let Some(client) = client {
                    self.mappings.hold(client, route.translated.src_port);
                }
                self.opened = Some(id);
                self.next_serial += 1;
                self.identify(arrival, packet, id, Direction::Original, decision)
            }
            // A refused flow that is not kept is refused all the same.
            Err(_) if !verdict.passes() => Decision { session: None, ..decision },
            Err(error) => {
                let reason = match error {
                    OpenError::TableFull => Reason::TableFull,
                    OpenError::Clash => Reason::TranslationClash,
                    _ => Reason::InvalidFirstPacket,
                };
                Decision { hit, ..Decision::refuse(Verdict::Drop, reason) }
            }
        }
    }

    fn keep(&self, packet: &Packet<'_>, route: OpenRoute) -> Kept {
        let Decision { verdict, reason, hit, .. } =
            Decision::refuse(Verdict::Drop, Reason::DefaultRule);
        let flow = FlowState::default();
        let mut kept = Kept {
            serial: 0,
            epoch: self.epoch,
            route,
            standing: Standing { verdict, reason, hit },
            identified: self.applications.identified(&route.key, &flow),
            flow,
            stream_start: [None; 2],
            users: self.users.users_of(route.key.src, self.policy.firewall()),
            url_categories: None,
            tcp_flags: [tcp_flags(packet), TcpFlags::default()],
            packets: 1,
            verdict_packet: 1,
            bytes_passed: 0,
            bytes_before_refusal: 0,
            predicted: false,
            mapping: NatMapping::default(),
        };
        note_stream_start(&mut kept.stream_start, packet, Direction::Original);
        kept
    }

    /// What the policy says of a connection with what is known of it.
    fn judge(&self, kept: &Kept, route: &OpenRoute) -> Standing {
        let firewall = self.policy.firewall();
        if route.doubtful_nat.is_some() {
            let (verdict, reason) = (Verdict::Unknown, Reason::TranslationNotModelled);
            return Standing { verdict, reason, hit: None };
        }
        let known = known(kept);
        standing_of(&evaluate(&self.policy, route, &known), firewall.behaviour.pending)
    }

    /// The flow as it leaves, with a free port where one has to be chosen; where none is, perhaps
    /// with that of a connection that gives it up, and so ends.
    fn translate(
        &mut self,
        now: Timestamp,
        packet: &Packet<'_>,
        route: &OpenRoute,
        sought: Sought,
    ) -> Result<Leaving, Reason> {
        // The ports of sessions that have ended are free.
        self.collect_ended();
        let seed = self.sessions.hash(&sought.flow) ^ now.as_nanos();
        let firewall = self.policy.firewall();
        let reply = |leaves: &FiveTuple| sought.leaving_as(*leaves).reverse();
        let is_taken = |leaves: &FiveTuple| self.sessions.is_taken(&reply(leaves));
        let found = self.mappings.leaving(firewall, &sought, route, seed, is_taken);
        let Transport::Tcp(segment) = &packet.transport else { return found };
        if found.is_ok() || !firewall.behaviour.nat_port_on_clash {
            return found;
        }
        let holder = |leaves: &FiveTuple| self.sessions.gives_port_up(&reply(leaves), segment);
        let is_held = |leaves: &FiveTuple| is_taken(leaves) && holder(leaves).is_none();
        let leaving = self.mappings.leaving(firewall, &sought, route, seed, is_held)?;
        if let Some(id) = holder(&leaving.flow) {
            self.sessions.close(id, EndReason::TcpReuse);
            self.collect_ended();
        }
        Ok(leaving)
    }

    fn continue_session(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        sought: Sought,
        (id, direction): (SessionId, Direction),
    ) -> Decision {
        let Arrival { now, wire_len, .. } = arrival;
        let reopened = |core: &mut Self| {
            core.sessions.close(id, EndReason::TcpReuse);
            core.open_session(arrival, packet, sought)
        };
        let is_refused = self.sessions.is_refused(id);
        let Some(kept) = self.sessions.data_mut(id) else { return reopened(self) };
        let behaviour = &self.policy.firewall().behaviour;
        if is_refused && !behaviour.keep_denied {
            return self.judge_refused_again(arrival, packet, sought, id);
        }
        note_stream_start(&mut kept.stream_start, packet, direction);
        let state = match self.sessions.advance(now, id, direction, packet, wire_len.into()) {
            Step::Accept(state) => state,
            Step::Reopen => return reopened(self),
            Step::Gone => return Decision::refuse(Verdict::Drop, Reason::InvalidForSession),
            Step::Invalid(_) => {
                let refused = Decision::refuse(Verdict::Drop, Reason::InvalidForSession);
                if !behaviour.filter_every_packet {
                    return refused;
                }
                let decision = self.judge_alone(arrival, packet, ConnectionState::Invalid);
                return decision.unwrap_or(refused);
            }
        };
        let gone = Decision::refuse(Verdict::Drop, Reason::InvalidForSession);
        let Some(kept) = self.sessions.data_mut(id) else { return gone };
        let seen = &mut kept.tcp_flags[direction.index()];
        *seen = seen.union(tcp_flags(packet));
        kept.packets += 1;
        let is_new_policy = kept.epoch != self.epoch;
        let (every_packet, rematch) = (behaviour.filter_every_packet, behaviour.rematch);
        let is_icmp = matches!(packet.transport, Transport::Icmp(_));
        let unpaired = is_icmp && direction == Direction::Reply && !behaviour.icmp_sessions;
        if is_new_policy {
            self.meet_policy(id);
        }
        if every_packet || unpaired {
            return self.filter_packet(arrival, packet, (id, direction), state);
        }
        if is_new_policy && rematch {
            self.judge_session(now, id, Reason::PolicyChange);
        }
        let Some(kept) = self.sessions.data(id) else { return gone };
        let Standing { verdict, hit, reason } = kept.standing;
        let reason = if reason == Reason::Tentative { reason } else { Reason::Session };
        let flows = self.sessions.flows_translated(id);
        let mut decision = decision_of(kept, flows.and_then(|it| translated(it, direction)));
        decision.direction = direction;
        (decision.verdict, decision.hit, decision.reason) = (verdict, hit, reason);
        self.identify(arrival, packet, id, direction, decision)
    }

    /// Puts what is known of a session in the terms of a policy that is new to it.
    fn meet_policy(&mut self, id: SessionId) {
        let Some(kept) = self.sessions.data_mut(id) else { return };
        let firewall = self.policy.firewall();
        kept.epoch = self.epoch;
        kept.users = self.users.users_of(kept.route.key.src, firewall);
        kept.url_categories = url_categories(firewall, &kept.flow);
        kept.identified = self.applications.identified(&kept.route.key, &kept.flow);
    }

    /// A refused flow that the device does not keep: the rules decide on each of its packets.
    fn judge_refused_again(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        sought: Sought,
        id: SessionId,
    ) -> Decision {
        let Some(session) = self.sessions.session(id) else {
            return Decision::refuse(Verdict::Drop, Reason::InvalidForSession);
        };
        let same_direction = session.original == sought.flow;
        if same_direction && session.data.epoch == self.epoch {
            let state = self.sessions.state_without_session(packet);
            if state == ConnectionState::Invalid
                && !self.policy.firewall().behaviour.filter_every_packet
            {
                return Decision::refuse(Verdict::Drop, Reason::InvalidFirstPacket);
            }
            let key = self.key(arrival, packet, state);
            let standing = key.map(|key| {
                let route = open_route(&self.policy, &key);
                self.judge(session.data, &route)
            });
            if let Some(standing) = standing.filter(|standing| !standing.verdict.passes()) {
                self.sessions.advance(
                    arrival.now,
                    id,
                    Direction::Original,
                    packet,
                    arrival.wire_len.into(),
                );
                let serial = self.sessions.data_mut(id).map(|kept| {
                    kept.packets += 1;
                    kept.serial
                });
                let Standing { verdict, reason, hit } = standing;
                let decision = Decision::refuse(verdict, reason);
                return Decision { hit, session: serial, ..decision };
            }
        }
        self.sessions.close(id, EndReason::PolicyDeny);
        self.open_session(arrival, packet, sought)
    }

    /// Compares one packet of a known connection with the rules, as netfilter does.
    fn filter_packet(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        (id, direction): (SessionId, Direction),
        state: ConnectionState,
    ) -> Decision {
        let gone = Decision::refuse(Verdict::Drop, Reason::InvalidForSession);
        let (Some(flows), Some(kept)) = (self.sessions.flows(id), self.sessions.data(id)) else {
            return gone;
        };
        let Some(key) = self.key(arrival, packet, state) else { return gone };
        let route = self.route_within(&kept.route, key, direction, way(flows, direction));
        let standing = self.judge(kept, &route);
        let mut decision = decision_of(kept, translated(flows, direction));
        decision.direction = direction;
        let Standing { verdict, reason, hit } = standing;
        (decision.verdict, decision.reason, decision.hit) = (verdict, reason, hit);
        if resets(hit, packet) {
            self.sessions.end_connection(arrival.now, id);
        }
        if !verdict.passes() {
            return decision;
        }
        self.identify(arrival, packet, id, direction, decision)
    }

    /// What rules compare of a later packet of a connection, or of an ICMP error about it: layers
    /// in front of a translation see the flow as it arrives, those behind it as it leaves.
    fn route_within(
        &self,
        opening: &OpenRoute,
        key: PacketKey,
        direction: Direction,
        [arrives, leaves]: [FiveTuple; 2],
    ) -> OpenRoute {
        let mut key = key;
        // Rules see one family, that of the first packet.
        let crosses = arrives.src.is_ipv4() != opening.key.src.is_ipv4();
        let arrives = if crosses { leaves } else { arrives };
        if crosses {
            key.protocol = opening.key.protocol;
            key.icmp = key.icmp.and_then(|(kind, code)| Some((icmp_across(kind)?, code)));
        }
        let [mut arrives, mut translated] = [arrives, leaves];
        if !key.protocol.has_ports() {
            for flow in [&mut arrives, &mut translated] {
                (flow.src_port, flow.dst_port) = (0, 0);
            }
        }
        (key.src, key.src_port) = (arrives.src, arrives.src_port);
        (key.dst, key.dst_port) = (arrives.dst, arrives.dst_port);
        key.egress = match direction {
            Direction::Original => opening.key.egress,
            Direction::Reply => opening.key.ingress,
        };
        key.to = key.egress.and_then(|id| self.policy.firewall().zone_of(id));
        OpenRoute { key, translated, ..*opening }
    }

    /// Shows the packet's payload to identification, and counts the packet where it passes.
    fn identify(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        id: SessionId,
        direction: Direction,
        decision: Decision,
    ) -> Decision {
        let decision = self.inspect(arrival, packet, id, direction, decision);
        if decision.verdict.passes()
            && let Some(kept) = self.sessions.data_mut(id)
        {
            kept.bytes_passed += u64::from(arrival.wire_len);
        }
        decision
    }

    /// Judges the session again when the payload tells something new. The packet that tells it is
    /// the first to meet the new verdict.
    fn inspect(
        &mut self,
        arrival: Arrival,
        packet: &Packet<'_>,
        id: SessionId,
        direction: Direction,
        decision: Decision,
    ) -> Decision {
        let passes = decision.verdict.passes();
        let payload = packet.transport.payload();
        let looks = matches!(packet.transport, Transport::Tcp(_) | Transport::Udp(_));
        let identifier = self.identifier.as_ref();
        let identifier = identifier.filter(|_| passes && looks && !payload.is_empty());
        let shown = identifier.and_then(|it| Some((it, self.sessions.flows(id)?)));
        let Some(kept) = self.sessions.data_mut(id) else { return decision };
        let progress = shown.map_or(Progress::Unchanged, |(identifier, (original, _))| {
            let offset = stream_offset(&kept.stream_start, packet, direction);
            identifier.inspect(&mut kept.flow, &original, direction, offset, payload)
        });
        if let Progress::Changed(what) = progress
            && what.contains(Changes::DATA_ENDPOINTS)
            && is_followed(&kept.flow, &self.policy.firewall().behaviour)
            && let Some((_, (original, reply))) = shown
        {
            let hit = kept.standing.hit;
            let parent = Parent { original, translated: reply.reverse(), hit };
            let lifetime = self.policy.firewall().behaviour.timers.predict;
            for endpoint in kept.flow.facts().data_endpoints {
                self.expectations.announce(&parent, *endpoint, arrival.now + lifetime);
            }
        }
        let before = kept.identified;
        let changed = matches!(progress, Progress::Changed(what) if matters(what));
        if looks {
            kept.identified = self.applications.identified(&kept.route.key, &kept.flow);
        }
        if changed {
            kept.url_categories = url_categories(self.policy.firewall(), &kept.flow);
        }
        let application = kept.flow.application();
        if kept.predicted || (!changed && before == kept.identified) {
            return Decision { application, ..decision };
        }
        let standing = self.judge_session(arrival.now, id, Reason::Identified);
        match standing {
            Some(Standing { verdict, reason, hit }) => {
                Decision { verdict, reason, hit, application, ..decision }
            }
            None => Decision { application, ..decision },
        }
    }

    /// Judges a live session with what is known now; the answer when it changed.
    fn judge_session(&mut self, now: Timestamp, id: SessionId, cause: Reason) -> Option<Standing> {
        let kept = self.sessions.data(id)?;
        let (route, old) = (kept.route, kept.standing);
        let route = if cause == Reason::PolicyChange {
            // Routes and zones are the new policy's; only where the packet entered is a fact.
            let entered = PacketKey { egress: None, from: None, to: None, ..route.key };
            OpenRoute { translated: route.translated, ..open_route(&self.policy, &entered) }
        } else {
            route
        };
        let mut new = self.judge(kept, &route);
        let kept = self.sessions.data_mut(id)?;
        kept.route = route;
        if new.reason != Reason::Tentative {
            new.reason = cause;
        }
        if (new.verdict, new.hit) == (old.verdict, old.hit) {
            let settled = old.reason == Reason::Tentative && new.reason == cause;
            kept.standing = new;
            return settled.then_some(new);
        }
        kept.standing = new;
        kept.verdict_packet = kept.packets;
        if !new.verdict.passes() {
            kept.bytes_before_refusal = kept.bytes_passed;
            self.sessions.refuse(now, id);
        }
        Some(new)
    }

    /// Ends the sessions whose deadline has come.
    pub(crate) fn handle_timeout(&mut self, now: Timestamp) {
        self.sessions.handle_timeout(now);
        self.expectations.handle_timeout(now);
        self.collect_ended();
    }

    /// Whether the session that an ICMP error quotes is here.
    pub(crate) fn holds_quoted(&self, ingress: Option<InterfaceId>, packet: &Packet<'_>) -> bool {
        let Transport::Icmp(IcmpMessage { quoted: Some(quoted), .. }) = &packet.transport else {
            return false;
        };
        let error = self.sessions.sought(tag(ingress), packet);
        error.is_some_and(|error| self.sessions.related(&error, quoted).is_some())
    }

    /// The oldest session that is not assured, and its number.
    pub(crate) fn longest_unanswered(&mut self) -> Option<(u64, SessionId)> {
        let id = self.sessions.longest_unanswered()?;
        Some((self.sessions.data(id)?.serial, id))
    }

    /// Ends a session to make room for another one.
    pub(crate) fn give_up(&mut self, id: SessionId) {
        self.sessions.close(id, EndReason::ResourcesUnavailable);
    }

    /// Shares the bound of sessions with other cores.
    pub(crate) fn set_room(&mut self, room: Option<Room>) {
        self.sessions.set_room(room);
    }

    /// Numbers a live session anew.
    pub(crate) fn renumber(&mut self, id: SessionId, serial: u64) {
        if let Some(kept) = self.sessions.data_mut(id) {
            kept.serial = serial;
        }
    }

    /// Live sessions, to be written down.
    pub(crate) fn saved(&self) -> impl Iterator<Item = SavedSession<&Kept>> {
        self.sessions.saved()
    }

    /// Live sessions, and what is waited for, taken out.
    pub(crate) fn take_saved(&mut self) -> (Vec<SavedSession<Kept>>, Vec<Announced>) {
        let behaviour = self.policy.firewall().behaviour.clone();
        let fresh = SessionTable::new(self.config.sessions, behaviour, self.config.hash_key);
        let taken = std::mem::replace(&mut self.sessions, fresh);
        self.mappings = Mappings::default();
        self.sessions.add_invalid(InvalidReason::ALL.map(|reason| taken.invalid_count(reason)));
        let announced = std::mem::take(&mut self.expectations).saved().collect();
        (taken.into_saved().collect(), announced)
    }

    /// What is waited for, to be written down.
    pub(crate) const fn expectations(&self) -> &Expectations {
        &self.expectations
    }

    /// What is waited for, to be taken up.
    pub(crate) const fn expectations_mut(&mut self) -> &mut Expectations {
        &mut self.expectations
    }

    /// Takes up a session that was written down.
    pub(crate) fn restore(&mut self, saved: SavedSession<Kept>) -> Result<(), OpenError> {
        let mut saved = saved;
        saved.data.url_categories = url_categories(self.policy.firewall(), &saved.data.flow);
        let client = client_of(&saved.original(), &saved.data);
        let port = saved.data.route.translated.src_port;
        self.sessions.restore(saved)?;
        if let Some(client) = client {
            self.mappings.hold(client, port);
        }
        Ok(())
    }

    /// How many packets were refused, by [`parefeu_session::InvalidReason`].
    pub(crate) fn invalid_counts(&self) -> impl Iterator<Item = u64> {
        InvalidReason::ALL.into_iter().map(|reason| self.sessions.invalid_count(reason))
    }

    /// Whether sessions are given less time now, because there are many.
    pub(crate) const fn is_hasty(&self) -> bool {
        self.sessions.is_hasty()
    }

    /// Takes up that sessions were given less time.
    pub(crate) fn set_hasty(&mut self, hasty: bool) {
        self.sessions.set_hasty(hasty);
    }

    /// Counts packets refused elsewhere.
    pub(crate) fn add_invalid(&mut self, counts: impl IntoIterator<Item = u64>) {
        self.sessions.add_invalid(counts);
    }

    /// How many announced connections are waited for.
    pub(crate) fn expected_count(&self) -> usize {
        self.expectations.len()
    }

    /// The same number for packets between the same two hosts.
    pub(crate) fn hash_of_hosts(&self, flow: &FiveTuple) -> u64 {
        let hosts = FiveTuple { src_port: 0, dst_port: 0, protocol: Protocol(0), ..*flow };
        self.sessions.hash(&hosts.direction_free())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Timestamp> {
        self.sessions.poll_timeout()
    }

    pub(crate) fn install_policy(&mut self, policy: Arc<CompiledPolicy>) {
        self.sessions.set_behaviour(policy.firewall().behaviour.clone());
        self.applications = ApplicationTable::new(policy.firewall());
        self.policy = policy;
        self.expectations.forget_rules();
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(crate) fn close_all(&mut self, reason: EndReason) {
        self.sessions.close_all(reason);
        self.collect_ended();
    }

    pub(crate) fn session_count(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.sessions.memory_bytes()
    }

    pub(crate) fn collect_ended(&mut self) {
        while let Some(ended) = self.sessions.poll_ended() {
            let Session { original, data, .. } = &ended.session;
            if let Some(client) = client_of(original, data) {
                self.mappings.release(&client);
            }
            if self.config.events {
                let due = ended.due;
                let summary = self.summarise(ended);
                self.settled.push_back(Settled { due, summary });
            }
        }
    }

    fn summarise(&self, ended: EndedSession<Kept>) -> SessionSummary {
        let EndedSession { session, reason, .. } = ended;
        let new = session.translated();
        let Session { original, data, start, last, packets, bytes, .. } = session;
        let facts = data.flow.facts();
        let firewall = self.policy.firewall();
        let categories = url_categories(firewall, &data.flow);
        let category = categories
            .and_then(|set| set.iter().next())
            .and_then(|id| firewall.url_categories.get(id as usize))
            .map(|category| category.name.clone());
        let icmp = data.route.key.icmp.map(|(kind, _)| kind);
        let plain = Identifier::classify_without_payload(original.protocol, icmp);
        let refused = !data.standing.verdict.passes();
        SessionSummary {
            id: data.serial,
            start,
            end: last,
            flow: original,
            icmp: data.route.key.icmp,
            translated: (new != original).then_some(new),
            ingress: data.route.key.ingress,
            egress: data.route.key.egress,
            from: data.route.key.from,
            to: data.route.key.to,
            application: facts.application.or(plain),
            application_path: facts.application_path.as_slice().to_vec(),
            status: facts.status,
            hostname: facts.hostname.map(Into::into),
            url: facts.url.map(Into::into),
            category,
            certificate_issuer: facts.certificate_issuer.map(Into::into),
            certificate_subject: facts.certificate_subject.map(Into::into),
            hit: data.standing.hit,
            verdict: data.standing.verdict,
            verdict_packet: data.verdict_packet,
            packets,
            bytes,
            tcp_flags: (original.protocol == Protocol::TCP).then_some(data.tcp_flags),
            bytes_before_refusal: data.bytes_before_refusal,
            end_reason: if refused { EndReason::PolicyDeny } else { reason },
        }
    }
}

/// What rules can be told of a session.
fn known(kept: &Kept) -> Knowledge<'_> {
    Knowledge {
        application: kept.identified,
        url_categories: kept.url_categories.as_ref(),
        categories_stated: false,
        users: UserKnowledge::Mapped(kept.users.as_slice()),
    }
}

/// Sessions of different ingress interfaces are different sessions.
fn tag(ingress: Option<InterfaceId>) -> u32 {
    ingress.map_or(u32::MAX, |id| id.0)
}

/// Who keeps the port of a session for others.
fn client_of(original: &FiveTuple, kept: &Kept) -> Option<Client> {
    let Kept { mapping, route, .. } = kept;
    Client::of(*mapping, tag(route.key.ingress), original, &route.translated)
}

/// Whether a rule answers a segment with a reset, which ends the connection for Linux, too
/// (`nf_ct_set_closing`). Nobody answers a reset.
fn resets(hit: Option<Hit>, packet: &Packet<'_>) -> bool {
    let Some(LinkedAction::Reset(side)) = hit.map(|hit| hit.action) else { return false };
    let is_answered = |segment: &TcpSegment<'_>| !segment.flags.contains(TcpFlags::RST);
    side != ResetSide::SenderByIcmp
        && matches!(&packet.transport, Transport::Tcp(segment) if is_answered(segment))
}

fn has_bad_checksum(packet: &Packet<'_>) -> bool {
    let Some(network) = &packet.network else { return false };
    ip_header_checksum(network) == ChecksumVerdict::Invalid
        || transport_checksum(network) == ChecksumVerdict::Invalid
}
