//! How two firewalls' treatment of one flow differs, and what such flows have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use parefeu_engine::{Counters, Reason, Verdict};
use parefeu_identify::Application;
use parefeu_net::{FiveTuple, MalformedReason, Timestamp};
use parefeu_policy::{Hit, InterfaceId};

use crate::hazard::{TimerHazard, Waiting};
use crate::side::RuleHits;

/// How the treatment of a flow differs (`docs/semantics.md` S11).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DifferenceClass {
    /// Allowed from its first packet by the old firewall, refused by the new one.
    NewlyDenied,
    /// Refused from its first packet by the old firewall, allowed by the new one.
    NewlyAllowed,
    /// Both begin to let it pass; the new one refuses it once it is identified.
    DeniedAfterIdentification,
    /// Both begin to let it pass; only the old one refuses it once it is identified.
    AllowedAfterIdentification,
    /// Both begin to let it pass; the new one's session ends too early, so that later packets die.
    SessionLost,
    /// Both begin to let it pass; only the old one's session ends too early.
    SessionKept,
    /// Both let it pass, translated differently.
    Translation,
    /// Both let all of it pass, but one side's session ended in between and another went on.
    EndReason,
    /// On one side a rule or translation that is not modelled decides.
    Undecided,
    /// Both let it pass, but identification never came to an end on one side.
    NeverDecided,
    /// Treated alike, by rules that do not stand for each other.
    OtherRule,
    /// Treated alike.
    Same,
}

impl DifferenceClass {
    /// Every class, gravest first.
    pub const ALL: [Self; 12] = [
        Self::NewlyDenied,
        Self::NewlyAllowed,
        Self::DeniedAfterIdentification,
        Self::AllowedAfterIdentification,
        Self::SessionLost,
        Self::SessionKept,
        Self::Translation,
        Self::EndReason,
        Self::Undecided,
        Self::NeverDecided,
        Self::OtherRule,
        Self::Same,
    ];

    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newly-denied",
            Self::NewlyAllowed => "newly-allowed",
            Self::DeniedAfterIdentification => "denied-after-identification",
            Self::AllowedAfterIdentification => "allowed-after-identification",
            Self::SessionLost => "session-lost",
            Self::SessionKept => "session-kept",
            Self::Translation => "translation",
            Self::EndReason => "end-reason",
            Self::Undecided => "undecided",
            Self::NeverDecided => "never-decided",
            Self::OtherRule => "other-rule",
            Self::Same => "same",
        }
    }

    /// Whether flows of the class are treated differently.
    pub const fn is_difference(self) -> bool {
        !self.is_alike() && !self.is_unjudged()
    }

    /// Whether flows of the class are treated alike.
    pub const fn is_alike(self) -> bool {
        matches!(self, Self::Same | Self::OtherRule)
    }

    /// Whether nothing can be said of flows of the class.
    pub const fn is_unjudged(self) -> bool {
        matches!(self, Self::Undecided | Self::NeverDecided)
    }

    /// Whether flows of the class lose service.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::NewlyDenied | Self::DeniedAfterIdentification | Self::SessionLost)
    }
}

/// What one firewall did with a flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Track {
    /// The decision on the first packet.
    pub(crate) first: Option<(Verdict, Reason)>,
    /// The last rule or default that decided.
    pub(crate) decided: Option<Hit>,
    pub(crate) application: Option<Application>,
    pub(crate) translated: Option<FiveTuple>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) passed_packets: u64,
    pub(crate) passed_bytes: u64,
    pub(crate) refused_packets: u64,
    pub(crate) refused_bytes: u64,
    pub(crate) bytes_before_refusal: u64,
    pub(crate) unknown: bool,
    pub(crate) tentative: bool,
    /// Sessions that carried the flow until it was closed, and the latest of them.
    pub(crate) sessions: u32,
    pub(crate) session: Option<u64>,
}

/// The first packet of a flow that was refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// Its number in the flow, from 1.
    pub(crate) packet: u64,
    pub(crate) when: Timestamp,
    pub(crate) verdict: Verdict,
    pub(crate) reason: Reason,
    pub(crate) hit: Option<Hit>,
}

impl Track {
    /// Whether any packet has passed.
    pub(crate) const fn has_passed(&self) -> bool {
        self.passed_packets > 0
    }

    fn begins_allowed(&self) -> bool {
        self.first.is_some_and(|(verdict, _)| verdict.passes())
    }

    /// Whether identification refused the flow after it had begun to pass.
    fn identified_refusal(&self) -> bool {
        self.begins_allowed()
            && self.refusal.is_some_and(|refusal| {
                matches!(refusal.reason, Reason::Identified | Reason::PolicyChange | Reason::Rule)
            })
    }

    /// Whether packets died after the flow had begun to pass, for want of a session.
    fn lost(&self) -> bool {
        self.begins_allowed() && self.refused_packets > 0 && !self.identified_refusal()
    }

    pub(crate) fn hit(&self) -> Option<Hit> {
        if self.identified_refusal() || !self.begins_allowed() {
            self.refusal.and_then(|refusal| refusal.hit).or(self.decided)
        } else {
            self.decided
        }
    }

    /// The verdict on the flow as a whole.
    fn verdict(&self) -> Verdict {
        if self.unknown {
            return Verdict::Unknown;
        }
        match (self.refusal, self.first) {
            (Some(refusal), _) if !self.lost() => refusal.verdict,
            (_, Some((first, _))) => first,
            _ => Verdict::Drop,
        }
    }

    /// The reason that speaks for the flow as a whole.
    fn reason(&self) -> Reason {
        let first = self.first.map_or(Reason::NotIp, |(_, reason)| reason);
        self.refusal.map_or(first, |refusal| refusal.reason)
    }
}

/// A flow under observation.
#[derive(Clone, Debug)]
pub(crate) struct FlowRecord {
    pub(crate) start: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) flow: FiveTuple,
    pub(crate) icmp: Option<(u8, u8)>,
    /// Where the first packet entered either side, where somebody asks.
    pub(crate) ingress: [Option<InterfaceId>; 2],
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) closed: bool,
    /// Idle for longer, and neither firewall knows it any more.
    pub(crate) patience: Duration,
    /// It began with a SYN.
    pub(crate) opened: bool,
    /// The other end spoke, other than by refusing: something had let the flow pass.
    pub(crate) answered: bool,
    /// What it waits for when it is silent.
    pub(crate) waiting: Waiting,
    /// Old, then new.
    pub(crate) tracks: [Track; 2],
}

impl FlowRecord {
    pub(crate) fn new(
        now: Timestamp,
        flow: FiveTuple,
        icmp: Option<(u8, u8)>,
        patience: Duration,
    ) -> Self {
        Self {
            start: now,
            last: now,
            flow,
            icmp,
            ingress: [None; 2],
            packets: 0,
            bytes: 0,
            closed: false,
            patience,
            opened: false,
            answered: false,
            waiting: Waiting::default(),
            tracks: [Track::default(), Track::default()],
        }
    }

    pub(crate) fn class(&self) -> DifferenceClass {
        let [old, new] = &self.tracks;
        if old.unknown || new.unknown {
            return DifferenceClass::Undecided;
        }
        match (old.begins_allowed(), new.begins_allowed()) {
            (true, false) => return DifferenceClass::NewlyDenied,
            (false, true) => return DifferenceClass::NewlyAllowed,
            (false, false) => return DifferenceClass::Same,
            (true, true) => {}
        }
        match (old.identified_refusal(), new.identified_refusal()) {
            (false, true) => return DifferenceClass::DeniedAfterIdentification,
            (true, false) => return DifferenceClass::AllowedAfterIdentification,
            (true, true) => return DifferenceClass::Same,
            (false, false) => {}
        }
        match (old.lost(), new.lost()) {
            (false, true) => DifferenceClass::SessionLost,
            (true, false) => DifferenceClass::SessionKept,
            _ if !same_translation(old.translated, new.translated) => DifferenceClass::Translation,
            (false, false) if old.sessions != new.sessions => DifferenceClass::EndReason,
            _ if old.tentative || new.tentative => DifferenceClass::NeverDecided,
            _ => DifferenceClass::Same,
        }
    }
}

/// The port a flow leaves by is one a session table may choose freely, as is the identifier of an
/// ICMP query, and no difference. The port it goes to is what a rule says.
fn same_translation(old: Option<FiveTuple>, new: Option<FiveTuple>) -> bool {
    let fixed = |flow: FiveTuple| {
        let dst_port = if flow.protocol.is_icmp() { 0 } else { flow.dst_port };
        (flow.src, flow.dst, dst_port, flow.protocol)
    };
    old.map(fixed) == new.map(fixed)
}

/// One firewall's part in a group of flows.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSide {
    /// The verdict on the flows.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The rule or default.
    pub hit: Option<Hit>,
    /// What identification took the first flow for.
    pub application: Option<Application>,
    /// How the first flow was translated.
    pub translated: Option<FiveTuple>,
    /// Sessions that carried the first flow, one after the other.
    pub sessions: u32,
    /// Whether it refused a packet of the first flow.
    pub refused: bool,
    /// Bytes that passed before the flows were refused.
    pub bytes_before_refusal: u64,
}

/// Flows that differ in the same way under the same pair of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// How they differ.
    pub class: DifferenceClass,
    /// The old firewall's part.
    pub old: GroupSide,
    /// The new firewall's part.
    pub new: GroupSide,
    /// How many flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Distinct client addresses; counted up to [`Group::MAX_SOURCES`].
    pub sources: usize,
    /// The first of them, as a witness.
    pub witness: FiveTuple,
    /// ICMP type and code of the witness.
    pub witness_icmp: Option<(u8, u8)>,
    /// When the first flow began.
    pub first_seen: Timestamp,
    /// When the last packet came.
    pub last_seen: Timestamp,
    /// Which packet of the witness was the first to be refused, from 1.
    pub packet_of_refusal: Option<u64>,
}

impl Group {
    /// Distinct sources past this number are not told apart.
    pub const MAX_SOURCES: usize = 10_000;
}

type RulePair = (DifferenceClass, SideKey, SideKey);
type SideKey = (Verdict, Reason, Option<u32>, u32);

/// Differences of a replay, gathered while it runs.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    groups: BTreeMap<RulePair, (Group, BTreeSet<IpAddr>)>,
    totals: BTreeMap<DifferenceClass, Totals>,
    verdict_bytes: BTreeMap<(Verdict, Verdict), u64>,
    malformed: BTreeMap<MalformedReason, u64>,
    timeline: Timeline,
    span: Option<(Timestamp, Timestamp)>,
    answered: u64,
    answered_and_allowed: u64,
}

/// Flows and bytes of a class.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Flows.
    pub flows: u64,
    /// Bytes on the wire.
    pub bytes: u64,
}

impl Differences {
    pub(crate) fn count_frame(&mut self, now: Timestamp, malformed: Option<MalformedReason>) {
        let (first, _) = self.span.unwrap_or((now, now));
        self.span = Some((first, now));
        if let Some(reason) = malformed {
            *self.malformed.entry(reason).or_default() += 1;
        }
    }

    pub(crate) fn add(&mut self, record: &FlowRecord, class: DifferenceClass) {
        let [old, new] = &record.tracks;
        let refusal = new.refusal.as_ref().or(old.refusal.as_ref());
        let totals = self.totals.entry(class).or_default();
        totals.flows += 1;
        totals.bytes += record.bytes;
        self.answered += u64::from(record.answered);
        self.answered_and_allowed += u64::from(record.answered && old.begins_allowed());
        *self.verdict_bytes.entry((old.verdict(), new.verdict())).or_default() += record.bytes;
        if class.is_loss() {
            let when = new.refusal.map_or(record.start, |refusal| refusal.when);
            self.timeline.count(when, new.refused_bytes);
        }
        if class == DifferenceClass::Same {
            return;
        }
        let key = (class, side_key(old), side_key(new));
        let (group, sources) = self.groups.entry(key).or_insert_with(|| {
            let group = Group {
                class,
                old: group_side(old),
                new: group_side(new),
                flows: 0,
                packets: 0,
                bytes: 0,
                sources: 0,
                witness: record.flow,
                witness_icmp: record.icmp,
                first_seen: record.start,
                last_seen: record.last,
                packet_of_refusal: refusal.map(|refusal| refusal.packet),
            };
            (group, BTreeSet::new())
        });
        group.flows += 1;
        group.packets += record.packets;
        group.bytes += record.bytes;
        group.first_seen = group.first_seen.min(record.start);
        group.last_seen = group.last_seen.max(record.last);
        if group.flows > 1 {
            group.old.bytes_before_refusal += old.bytes_before_refusal;
            group.new.bytes_before_refusal += new.bytes_before_refusal;
        }
        if sources.len() < Group::MAX_SOURCES {
            sources.insert(record.flow.src);
        }
        group.sources = sources.len();
    }

    pub(crate) fn finish(self) -> DifferenceReport {
        DifferenceReport {
            groups: self.groups.into_values().map(|(group, _)| group).collect(),
            totals: self.totals,
            verdict_bytes: self.verdict_bytes,
            malformed: self.malformed,
            timeline: self.timeline,
            span: self.span,
            answered: self.answered,
            answered_and_allowed: self.answered_and_allowed,
        }
    }
}

fn side_key(track: &Track) -> SideKey {
    let hit = track.hit();
    let rule = hit.and_then(|hit| hit.rule).map(|rule| rule.0);
    let at = hit.map_or(u32::MAX, |hit| hit.at.start);
    (track.verdict(), track.reason(), rule, at)
}

fn group_side(track: &Track) -> GroupSide {
    GroupSide {
        verdict: track.verdict(),
        reason: track.reason(),
        hit: track.hit(),
        application: track.application,
        translated: track.translated,
        sessions: track.sessions,
        refused: track.refusal.is_some(),
        bytes_before_refusal: track.bytes_before_refusal,
    }
}

/// What a replay of two firewalls found.
#[derive(Clone, Debug)]
pub struct DifferenceReport {
    /// Groups of flows not treated alike, gravest class first, then by rule.
    pub groups: Vec<Group>,
    /// Flows and bytes by class.
    pub totals: BTreeMap<DifferenceClass, Totals>,
    /// Bytes by the verdicts of the old and the new firewall.
    pub verdict_bytes: BTreeMap<(Verdict, Verdict), u64>,
    /// Frames that could not be decoded, by reason.
    pub malformed: BTreeMap<MalformedReason, u64>,
    /// When the new firewall would drop what the old one lets pass.
    pub timeline: Timeline,
    /// Time of the first and the last frame.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Flows the capture shows answered: something had let them pass.
    pub answered: u64,
    /// Those of them the old firewall, as modelled, lets pass.
    pub answered_and_allowed: u64,
}

impl DifferenceReport {
    /// The share of answered flows the old firewall lets pass, from 0 to 1; `None` when nothing was
    /// answered. Where the capture was taken behind the old firewall, less than 1 says that its
    /// model, or the placing of frames, is wrong.
    pub fn model_agreement(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.answered_and_allowed as f64 / self.answered as f64)
    }

    /// Flows of every class.
    pub fn flows(&self) -> u64 {
        self.totals.values().map(|totals| totals.flows).sum()
    }

    /// Flows that are treated differently.
    pub fn different(&self) -> u64 {
        self.count(DifferenceClass::is_difference)
    }

    /// Flows of the classes for which `wanted` holds.
    pub fn count(&self, wanted: fn(DifferenceClass) -> bool) -> u64 {
        let totals = self.totals.iter().filter(|(class, _)| wanted(**class));
        totals.map(|(_, totals)| totals.flows).sum()
    }
}

/// A replay of two firewalls over the same frames.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Frames replayed.
    pub frames: u64,
    /// What differs.
    pub differences: DifferenceReport,
    /// The timers that differ, and the sessions that paused in between.
    pub hazards: Vec<TimerHazard>,
    /// How often the old firewall's rules decided.
    pub old_hits: RuleHits,
    /// How often the new firewall's rules decided.
    pub new_hits: RuleHits,
    /// Verdicts and reasons of the old firewall, by frame.
    pub old_counters: Counters,
    /// Verdicts and reasons of the new firewall, by frame.
    pub new_counters: Counters,
}

/// Would-be drops over time, in at most [`Timeline::BUCKETS`] buckets that widen as time goes on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Timeline {
    start: Option<Timestamp>,
    width_secs: u64,
    buckets: Vec<Totals>,
}

impl Timeline {
    /// The most buckets.
    pub const BUCKETS: usize = 120;

    fn count(&mut self, when: Timestamp, bytes: u64) {
        let second = Timestamp::from_secs(when.as_nanos() / 1_000_000_000);
        let start = *self.start.get_or_insert(second);
        self.width_secs = self.width_secs.max(1);
        // Flows settle in the order they began, not in the order they were refused.
        let start = if second < start { self.reach_back(start, second) } else { start };
        let mut index = second.since(start).as_secs() / self.width_secs;
        while index >= Self::BUCKETS as u64 {
            self.widen();
            index = second.since(start).as_secs() / self.width_secs;
        }
        let index = index as usize;
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Totals::default());
        }
        self.buckets[index].flows += 1;
        self.buckets[index].bytes += bytes;
    }

    /// Puts empty buckets in front, so that the first one holds `second`; returns its begin.
    fn reach_back(&mut self, start: Timestamp, second: Timestamp) -> Timestamp {
        loop {
            let missing = start.since(second).as_secs().div_ceil(self.width_secs);
            if missing <= (Self::BUCKETS - self.buckets.len()) as u64 {
                let empty = std::iter::repeat_n(Totals::default(), missing as usize);
                self.buckets.splice(0..0, empty);
                let back = Duration::from_secs(missing * self.width_secs);
                let back = u64::try_from(back.as_nanos()).unwrap_or(u64::MAX);
                let start = Timestamp::from_nanos(start.as_nanos().saturating_sub(back));
                self.start = Some(start);
                return start;
            }
            self.widen();
        }
    }

    fn widen(&mut self) {
        self.width_secs *= 2;
        let pairs = self.buckets.chunks(2).map(|pair| Totals {
            flows: pair.iter().map(|totals| totals.flows).sum(),
            bytes: pair.iter().map(|totals| totals.bytes).sum(),
        });
        self.buckets = pairs.collect();
    }

    /// The buckets in order: when each begins, and what was dropped in it.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, Totals)> + '_ {
        let start = self.start.unwrap_or_default();
        self.buckets.iter().enumerate().map(move |(at, totals)| {
            (start + Duration::from_secs(at as u64 * self.width_secs), *totals)
        })
    }

    /// How long a bucket lasts.
    pub const fn width(&self) -> Duration {
        Duration::from_secs(self.width_secs)
    }
}

#[cfg(test)]
mod tests {
    use parefeu_net::Protocol;

    use super::*;

    #[test]
    fn a_chosen_port_is_no_difference_and_a_stated_one_is() {
        let flow = |protocol, src_port, dst_port| {
            let (src, dst) = ([203, 0, 113, 1].into(), [10, 0, 0, 80].into());
            Some(FiveTuple { src, dst, src_port, dst_port, protocol })
        };
        let (tcp, icmp) = (Protocol::TCP, Protocol::ICMP);
        for (old, new, same) in [
            (flow(tcp, 4000, 80), flow(tcp, 61_000, 80), true),
            (flow(tcp, 4000, 80), flow(tcp, 4000, 8080), false),
            (flow(icmp, 7, 7), flow(icmp, 9, 9), true),
            (flow(tcp, 4000, 80), None, false),
            (None, None, true),
        ] {
            assert_eq!(same_translation(old, new), same, "{old:?} {new:?}");
        }
    }

    #[test]
    fn the_timeline_holds_refusals_in_any_order() {
        let mut timeline = Timeline::default();
        for second in [1_001_000, 1_000_990, 1_000_991, 1_001_000, 1_000_010] {
            timeline.count(Timestamp::from_secs(second), 7);
        }
        let filled: Vec<_> = timeline.iter().filter(|(_, totals)| totals.flows > 0).collect();
        let totals = |flows| Totals { flows, bytes: 7 * flows };
        let [first, last] = [999_998, 1_000_990].map(Timestamp::from_secs);
        assert_eq!(timeline.width(), Duration::from_secs(16));
        assert_eq!(filled, [(first, totals(1)), (last, totals(4))]);
    }
}
