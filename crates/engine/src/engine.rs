//! The engine: one owner of sessions, fed frame by frame.

use std::collections::VecDeque;
use std::sync::Arc;

use parefeu_classify::CompiledPolicy;
use parefeu_identify::{Identifier, Limits as IdentifyLimits};
use parefeu_net::{
    DecodeLimits, FragmentLimits, LinkType, Packet, Reassembler, Reassembly, Timestamp, decode,
};
use parefeu_policy::{InterfaceId, LinkedFirewall};
use parefeu_session::{EndReason, TableLimits};

use crate::core::{Arrival, Core};
use crate::decision::{Counters, Decision, Reason, Verdict};
use crate::event::Event;
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
    config: EngineConfig,
    reassembler: Reassembler,
    core: Core,
    counters: Counters,
}

impl Engine {
    /// An engine without sessions.
    pub fn new(policy: Arc<CompiledPolicy>, config: EngineConfig) -> Self {
        let identifier = config.identify.map(Identifier::new);
        Self {
            reassembler: Reassembler::new(config.fragments),
            core: Core::new(policy, identifier, &config),
            counters: Counters::default(),
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
        if let Some(reason) = packet.malformed {
            return Decision::refuse(Verdict::Drop, Reason::Malformed(reason));
        }
        let Some(network) = &packet.network else {
            let reason = if packet.truncated { Reason::Truncated } else { Reason::NotIp };
            return Decision::refuse(Verdict::Drop, reason);
        };
        if network.fragment.is_none() {
            return self.core.handle_packet(arrival, packet);
        }
        match self.reassembler.handle_fragment(arrival.now, packet) {
            Reassembly::Whole => self.core.handle_packet(arrival, packet),
            Reassembly::Hold | Reassembly::Duplicate => {
                Decision::refuse(Verdict::Hold, Reason::FragmentHeld)
            }
            Reassembly::Discard(reason) => {
                Decision::refuse(Verdict::Drop, Reason::Fragment(reason))
            }
            Reassembly::Complete(datagram) => {
                let whole = datagram.decode(&self.config.decode);
                match whole.malformed {
                    Some(reason) => Decision::refuse(Verdict::Drop, Reason::Malformed(reason)),
                    None => self.core.handle_packet(arrival, &whole),
                }
            }
        }
    }

    /// Ends every session and datagram whose deadline is at or before `now`.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.reassembler.handle_timeout(now);
        self.core.handle_timeout(now);
    }

    /// When [`Engine::handle_timeout`] next has work; `None` while nothing is live.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let (fragments, sessions) = (self.reassembler.poll_timeout(), self.core.poll_timeout());
        fragments.into_iter().chain(sessions).min()
    }

    /// The oldest event not yet collected.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// Swaps the rule base. Live sessions are judged again on their next frame, not here.
    pub fn install_policy(&mut self, policy: Arc<CompiledPolicy>) {
        self.core.install_policy(policy);
    }

    /// Ends every session with `reason`, so that [`Engine::poll_event`] tells of all of them.
    pub fn close_all(&mut self, reason: EndReason) {
        self.core.close_all(reason);
    }

    /// The firewall in force.
    pub fn firewall(&self) -> &LinkedFirewall {
        self.core.policy.firewall()
    }

    /// Users by address; may be fed from another thread.
    pub fn users(&self) -> &Arc<UserTable> {
        &self.core.users
    }

    /// How many frames met each verdict and reason.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many sessions are live.
    pub fn session_count(&self) -> usize {
        self.core.session_count()
    }

    /// Bytes sessions and held fragments take, about.
    pub fn memory_bytes(&self) -> usize {
        self.core.memory_bytes() + self.reassembler.held_bytes()
    }
}

pub(crate) type Events = VecDeque<Event>;
