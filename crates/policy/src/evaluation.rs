//! The three-valued answer of a rule base.

use serde::{Deserialize, Serialize};

use crate::linked::{LinkedAction, RuleId};
use crate::{Cause, Span};

/// The rule, or the default, that a decision rests on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Hit {
    /// The rule; `None` for the default of a rule base or layer.
    pub rule: Option<RuleId>,
    /// The lines that state it.
    pub at: Span,
    /// Its action; always [`LinkedAction::is_final`].
    pub action: LinkedAction,
}

impl Hit {
    /// Whether it allows.
    pub const fn allows(&self) -> bool {
        matches!(self.action, LinkedAction::Allow)
    }
}

/// What the filter answers for one packet.
///
/// `decided` is the first rule that surely matches. The other fields are the first rules above it
/// whose match depends on something, and what they would do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Evaluation {
    /// What surely matching rules decide.
    pub decided: Hit,
    /// The first allow rule above it that waits for identification.
    pub tentative_allow: Option<Hit>,
    /// The first refusing rule above it that waits for identification.
    pub tentative_deny: Option<Hit>,
    /// The first allow rule above it whose match is not modelled.
    pub possible_allow: Option<Hit>,
    /// The first refusing rule above it whose match is not modelled.
    pub possible_deny: Option<Hit>,
}

/// The answer in one word, for one flow asked about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Answer {
    /// This rule decides, whatever is not known.
    Certain(Hit),
    /// Application, URL or user would have to be known.
    Depends(Hit),
    /// A rule that is not modelled could decide otherwise.
    Unknown(Hit),
}

impl Evaluation {
    /// An answer on which nothing else bears.
    pub const fn certain(decided: Hit) -> Self {
        Self {
            decided,
            tentative_allow: None,
            tentative_deny: None,
            possible_allow: None,
            possible_deny: None,
        }
    }

    /// Notes a rule above the deciding one whose match depends on `cause`; the first of each kind
    /// is kept.
    pub fn note(&mut self, cause: Cause, hit: Hit) {
        let slot = match (cause, hit.allows()) {
            (Cause::Identification, true) => &mut self.tentative_allow,
            (Cause::Identification, false) => &mut self.tentative_deny,
            (Cause::NotModelled, true) => &mut self.possible_allow,
            (Cause::NotModelled, false) => &mut self.possible_deny,
        };
        slot.get_or_insert(hit);
    }

    /// The answer in one word. Rules that depend on something but would decide alike leave it
    /// certain.
    pub fn answer(&self) -> Answer {
        let decided = self.decided;
        let (possible, tentative) = if decided.allows() {
            (self.possible_deny, self.tentative_deny)
        } else {
            (self.possible_allow, self.tentative_allow)
        };
        match (possible, tentative) {
            (Some(hit), _) => Answer::Unknown(hit),
            (None, Some(hit)) => Answer::Depends(hit),
            (None, None) => Answer::Certain(decided),
        }
    }

    /// Both layers have to accept.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let allow = |layer: &Self| Some(layer.decided).filter(Hit::allows);
        // An allow of the whole needs an allow of each layer; name the layer that makes it
        // doubtful.
        let both = |mine: Option<Hit>, theirs: Option<Hit>, kind: fn(&Self) -> Option<Hit>| {
            let doubtful = kind(&self).or(kind(&other));
            doubtful.filter(|_| mine.is_some() && theirs.is_some())
        };
        let tentative = |layer: &Self| layer.tentative_allow.or(allow(layer));
        let possible =
            |layer: &Self| layer.possible_allow.or(layer.tentative_allow).or(allow(layer));
        Self {
            decided: if self.decided.allows() { other.decided } else { self.decided },
            tentative_allow: both(tentative(&self), tentative(&other), |l| l.tentative_allow),
            tentative_deny: self.tentative_deny.or(other.tentative_deny),
            possible_allow: both(possible(&self), possible(&other), |l| l.possible_allow),
            possible_deny: self.possible_deny.or(other.possible_deny),
        }
    }
}
