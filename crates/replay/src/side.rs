//! One firewall of a replay: its engine, and where frames enter it.

use std::sync::Arc;

use parefeu_classify::{CompileLimits, CompiledPolicy};
use parefeu_engine::{Decision, Engine, EngineConfig, Event, SessionSummary};
use parefeu_net::{Packet, Timestamp};
use parefeu_policy::{Hit, InterfaceId, LinkedFirewall};

use crate::ingress::{CapturedAt, IngressChoice, IngressMap, UnknownInterface};

/// A firewall at work on captured frames, with how often its rules decided.
pub struct Side {
    engine: Engine,
    ingress: IngressMap,
    hits: RuleHits,
}

/// How much traffic each rule decided, by [`parefeu_policy::RuleId`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleHits {
    /// Packets whose verdict rests on it.
    pub packets: Vec<u64>,
    /// Flows it decided last.
    pub flows: Vec<u64>,
    /// Bytes of these on the wire.
    pub bytes: Vec<u64>,
    /// Flows the default decided last.
    pub default_flows: u64,
}

impl RuleHits {
    fn new(firewall: &LinkedFirewall) -> Self {
        let rules = firewall.rules.len();
        let none = || vec![0; rules];
        Self { packets: none(), flows: none(), bytes: none(), default_flows: 0 }
    }

    /// Counts a flow for the rule that decided it last.
    pub(crate) fn count(&mut self, hit: Hit, bytes: u64) {
        match hit.rule {
            Some(rule) => {
                self.flows[rule.index()] += 1;
                self.bytes[rule.index()] += bytes;
            }
            None => self.default_flows += 1,
        }
    }
}

impl Side {
    /// Compiles `firewall` and resolves the user's choice of interfaces.
    ///
    /// # Errors
    /// [`UnknownInterface`] when the choice names what the firewall does not have.
    pub fn new(
        firewall: Arc<LinkedFirewall>,
        choice: &IngressChoice,
        config: EngineConfig,
    ) -> Result<Self, UnknownInterface> {
        let ingress = IngressMap::new(choice, &firewall)?;
        let hits = RuleHits::new(&firewall);
        let policy = CompiledPolicy::compile(firewall, &CompileLimits::default());
        Ok(Self { engine: Engine::new(Arc::new(policy), config), ingress, hits })
    }

    /// The interface a frame enters by, as [`Side::decide`] places it.
    pub fn ingress(
        &mut self,
        captured: CapturedAt<'_>,
        packet: &Packet<'_>,
    ) -> Option<InterfaceId> {
        self.ingress.ingress(self.engine.firewall(), captured, packet)
    }

    /// Decides a frame that is decoded.
    pub fn decide(
        &mut self,
        now: Timestamp,
        captured: CapturedAt<'_>,
        packet: &Packet<'_>,
        wire_len: u32,
    ) -> Decision {
        let ingress = self.ingress(captured, packet);
        let decision = self.engine.handle_packet(now, ingress, packet, wire_len);
        if let Some(rule) = decision.hit.and_then(|hit| hit.rule) {
            self.hits.packets[rule.index()] += 1;
        }
        decision
    }

    /// The oldest ended session not yet collected.
    pub fn poll_session(&mut self) -> Option<SessionSummary> {
        match self.engine.poll_event()? {
            Event::SessionEnded(summary) => Some(summary),
            _ => None,
        }
    }

    /// The oldest ended session not yet collected, if it had ended when frame number `frame`,
    /// counted from 0, was decided.
    pub fn poll_session_by(&mut self, frame: u64) -> Option<SessionSummary> {
        match self.engine.poll_event_by(frame)? {
            Event::SessionEnded(summary) => Some(summary),
            _ => None,
        }
    }

    /// The engine.
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to be changed.
    pub const fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// How often rules decided, as far as the replay has counted flows.
    pub const fn hits(&self) -> &RuleHits {
        &self.hits
    }

    pub(crate) const fn hits_mut(&mut self) -> &mut RuleHits {
        &mut self.hits
    }
}
