//! Why a certificate is not accepted.

use std::fmt;

/// Where a certificate stops being believed, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// The line of the certificate, from 1; 0 for the whole of it.
    pub line: u32,
    /// Why.
    pub why: Why,
}

impl Rejection {
    /// The whole of it.
    pub(crate) const fn whole(why: Why) -> Self {
        Self { line: 0, why }
    }

    /// Whether this is no certificate, rather than one that is not true.
    pub const fn is_unusable(&self) -> bool {
        matches!(self.why, Why::NoCertificate | Why::Syntax { .. })
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.why),
            line => write!(f, "line {line}: {}", self.why),
        }
    }
}

impl std::error::Error for Rejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.why)
    }
}

/// Why a certificate is not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// It does not begin as certificates of this version do.
    #[error("this is no certificate of a version this checker knows")]
    NoCertificate,
    /// A line does not follow the grammar.
    #[error("expected {expected}")]
    Syntax {
        /// What was expected.
        expected: &'static str,
    },
    /// The last line is not the SHA-256 of all before it.
    #[error("it does not end with the SHA-256 of what precedes: it was cut off or changed")]
    Digest,
    /// A file it speaks of is not the one at hand.
    #[error("the {side} firewall is another file: its SHA-256 is {found}, not {stated}")]
    File {
        /// `old` or `new`.
        side: &'static str,
        /// What the certificate states.
        stated: String,
        /// What the file has.
        found: String,
    },
    /// A file was read otherwise than for the certificate.
    #[error("the {side} firewall was read otherwise: {what}")]
    Reading {
        /// `old` or `new`.
        side: &'static str,
        /// What differs.
        what: String,
    },
    /// A place, a rule or a field that is not there.
    #[error("there is no {0}")]
    Unknown(String),
    /// The same thing twice.
    #[error("{0} is stated twice")]
    Twice(&'static str),
    /// Packets the claim is about and no case covers.
    #[error("no case covers {0}")]
    NotCovered(String),
    /// The rules treat the packets of two ways of a case differently.
    #[error("a rule tells this way from the first one of the case")]
    OtherWay,
    /// A cut that leaves one of its parts empty.
    #[error("the cut is outside the box, which goes from {low} to {high} here")]
    CutOutside {
        /// The least value of the box.
        low: String,
        /// The greatest value of the box.
        high: String,
    },
    /// The tree is nested too deeply.
    #[error("cuts are nested too deeply to be checked")]
    TooDeep,
    /// On some packets of a box called the same the sides differ.
    #[error("the two firewalls differ on packets of a box that is called the same")]
    NotSame,
    /// On some packets of a box called different the sides agree.
    #[error("the two firewalls agree on packets of a box that is called different")]
    NotDifferent,
    /// A side does something else with packets of a box than is stated.
    #[error("the {side} firewall does not do with every packet of the box what is stated")]
    Decision {
        /// `old` or `new`.
        side: &'static str,
    },
    /// The rule that is named does not match all of a box and do what is stated.
    #[error(
        "the rule named of the {side} firewall does not match every packet of the box and do so"
    )]
    Rule {
        /// `old` or `new`.
        side: &'static str,
    },
    /// No packet of the case is in a box called different.
    #[error("no packet of the case is in the box that is called different")]
    Empty,
    /// The checker's own work on a box was not enough.
    #[error("the statement about this box could not be confirmed with the work allowed")]
    NotConfirmed,
    /// The statement rests on something that is not modelled here.
    #[error("the statement rests on something this checker cannot check: {what}")]
    NotModelled {
        /// What, and where.
        what: String,
    },
    /// The leaves do not add up to the verdict.
    #[error("the verdict is not what the cases come to: {0}")]
    Verdict(&'static str),
    /// Something it rests on and does not assume.
    #[error("it has to assume `{name}`: {because}")]
    NotAssumed {
        /// What the assumption is called.
        name: String,
        /// Why it has to be assumed.
        because: &'static str,
    },
    /// An equality is assumed where the packets do not rest on what is missing.
    #[error("`{0}` is not about the packets of this box")]
    NotExcused(String),
    /// An equality that is assumed names no assumption.
    #[error("no assumption is called `{0}`")]
    Assumption(String),
}
