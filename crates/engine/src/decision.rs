//! What the engine did with a frame, and why.

use std::fmt;

use parefeu_identify::Application;
use parefeu_net::{Direction, DiscardReason, FiveTuple, MalformedReason};
use parefeu_policy::{Hit, LinkedAction};
use serde::{Deserialize, Serialize};

/// What happens to a frame.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Verdict {
    /// It is forwarded.
    Allow,
    /// It is refused by a rule, in the vendor's default way: silently.
    Deny,
    /// It is discarded silently.
    Drop,
    /// It is refused with an answer: a TCP RST, or ICMP administratively prohibited.
    Reset,
    /// It waits for the rest of its datagram.
    Hold,
    /// A rule that is not modelled could decide either way; the frame is forwarded and counted.
    Unknown,
}

impl Verdict {
    /// Every verdict, in the order of counters.
    pub const ALL: [Self; 6] =
        [Self::Allow, Self::Deny, Self::Drop, Self::Reset, Self::Hold, Self::Unknown];

    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Drop => "drop",
            Self::Reset => "reset",
            Self::Hold => "hold",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the frame goes on.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Allow | Self::Unknown | Self::Hold)
    }
}

impl From<LinkedAction> for Verdict {
    fn from(action: LinkedAction) -> Self {
        match action {
            LinkedAction::Allow => Self::Allow,
            LinkedAction::Drop => Self::Drop,
            LinkedAction::Reset(_) => Self::Reset,
            _ => Self::Deny,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a frame met its verdict. Closed: one counter exists for each.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Reason {
    /// A rule matched.
    Rule,
    /// No rule matched; the default applied.
    DefaultRule,
    /// A rule admits it until the application or URL is known.
    Tentative,
    /// The session it belongs to was decided before.
    Session,
    /// The session was judged again when application, URL or certificate became known.
    Identified,
    /// The session was judged again after a change of policy.
    PolicyChange,
    /// Another session announced it: the data channel of FTP.
    Predicted,
    /// An ICMP error about a known session.
    RelatedError,
    /// Which rule applies is not modelled.
    NotModelled,
    /// Which translation applies is not modelled.
    TranslationNotModelled,
    /// No route leads to the destination.
    NoRoute,
    /// The frame carries no IP.
    NotIp,
    /// The first packet of a connection may not open one.
    InvalidFirstPacket,
    /// The packet does not fit its session: window, flags or tag.
    InvalidForSession,
    /// The checksum is wrong.
    BadChecksum,
    /// An ICMP error about no known session.
    UnrelatedError,
    /// An ICMP error about a translated session that cannot be translated itself.
    UntranslatableError,
    /// The session table is full.
    TableFull,
    /// Every port for translation is taken.
    PortsExhausted,
    /// Of the many ports for translation, those tried were taken.
    PortNotFound,
    /// The translated flow collides with a live session.
    TranslationClash,
    /// A fragment waits for the rest of its datagram.
    FragmentHeld,
    /// A fragment, or its datagram, was discarded.
    Fragment(DiscardReason),
    /// The frame could not be decoded to its transport layer.
    Malformed(MalformedReason),
    /// The capture holds too little of the frame to judge it.
    Truncated,
}

impl Reason {
    /// Every reason, in the order of counters.
    pub fn all() -> impl Iterator<Item = Self> {
        const PLAIN: [Reason; 23] = [
            Reason::Rule,
            Reason::DefaultRule,
            Reason::Tentative,
            Reason::Session,
            Reason::Identified,
            Reason::PolicyChange,
            Reason::Predicted,
            Reason::RelatedError,
            Reason::NotModelled,
            Reason::TranslationNotModelled,
            Reason::NoRoute,
            Reason::NotIp,
            Reason::InvalidFirstPacket,
            Reason::InvalidForSession,
            Reason::BadChecksum,
            Reason::UnrelatedError,
            Reason::UntranslatableError,
            Reason::TableFull,
            Reason::PortsExhausted,
            Reason::PortNotFound,
            Reason::TranslationClash,
            Reason::FragmentHeld,
            Reason::Truncated,
        ];
        let fragments = DiscardReason::ALL.into_iter().map(Self::Fragment);
        let malformed = MalformedReason::ALL.into_iter().map(Self::Malformed);
        PLAIN.into_iter().chain(fragments).chain(malformed)
    }

    /// The name in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::DefaultRule => "default",
            Self::Tentative => "tentative",
            Self::Session => "session",
            Self::Identified => "identified",
            Self::PolicyChange => "policy-change",
            Self::Predicted => "predicted",
            Self::RelatedError => "related-error",
            Self::NotModelled => "not-modelled",
            Self::TranslationNotModelled => "translation-not-modelled",
            Self::NoRoute => "no-route",
            Self::NotIp => "not-ip",
            Self::InvalidFirstPacket => "invalid-first-packet",
            Self::InvalidForSession => "invalid-for-session",
            Self::BadChecksum => "bad-checksum",
            Self::UnrelatedError => "unrelated-error",
            Self::UntranslatableError => "untranslatable-error",
            Self::TableFull => "table-full",
            Self::PortsExhausted => "ports-exhausted",
            Self::PortNotFound => "port-not-found",
            Self::TranslationClash => "translation-clash",
            Self::FragmentHeld => "fragment-held",
            Self::Fragment(reason) => reason.name(),
            Self::Malformed(reason) => reason.name(),
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The answer for one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What happens to the frame.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The rule or default the verdict rests on.
    pub hit: Option<Hit>,
    /// The session, numbered from 1 in the order sessions were first seen by this engine.
    pub session: Option<u64>,
    /// Which way the packet goes in its session; [`Direction::Original`] of one without a session.
    pub direction: Direction,
    /// What identification takes the session for, so far.
    pub application: Option<Application>,
    /// The packet's flow as it leaves, when translated.
    pub translated: Option<FiveTuple>,
    /// Of an ICMP error about a translated session, the flow of the packet it quotes, as it leaves.
    /// [`parefeu_net::rewrite()`] makes the packet of both.
    pub quoted: Option<FiveTuple>,
}

impl Decision {
    pub(crate) const fn refuse(verdict: Verdict, reason: Reason) -> Self {
        Self {
            verdict,
            reason,
            hit: None,
            session: None,
            direction: Direction::Original,
            application: None,
            translated: None,
            quoted: None,
        }
    }
}

/// `allow rule`, followed by the session number.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verdict, self.reason)?;
        if let Some(rule) = self.hit.and_then(|hit| hit.rule) {
            write!(f, " rule={}", rule.0)?;
        }
        Ok(())
    }
}

/// How many frames met each verdict and reason.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counters {
    counts: Vec<(Verdict, Reason, u64)>,
}

impl Counters {
    pub(crate) fn count(&mut self, decision: &Decision) {
        let (verdict, reason) = (decision.verdict, decision.reason);
        // Few combinations occur; the common one stays in front.
        let found = self.counts.iter_mut().find(|(v, r, _)| (*v, *r) == (verdict, reason));
        match found {
            Some((_, _, count)) => *count += 1,
            None => self.counts.push((verdict, reason, 1)),
        }
    }

    /// Every combination that occurred, ordered by verdict and reason.
    pub fn iter(&self) -> impl Iterator<Item = (Verdict, Reason, u64)> {
        let mut sorted = self.counts.clone();
        sorted.sort_unstable();
        sorted.into_iter()
    }

    /// How many frames met `reason`, whatever the verdict.
    pub fn of(&self, reason: Reason) -> u64 {
        self.counts.iter().filter(|(_, r, _)| *r == reason).map(|(_, _, count)| count).sum()
    }

    /// How many frames were decided.
    pub fn frames(&self) -> u64 {
        self.counts.iter().map(|(_, _, count)| count).sum()
    }
}
