//! What an analysis reports.

use std::fmt;

use crate::{RuleBaseId, Span};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Worth knowing when tidying up.
    Information,
    /// Probably not what was meant, or needless.
    Warning,
    /// The rule base does something else than it says, or lets everything through.
    Serious,
}

impl Weight {
    /// `information`, `warning` or `serious`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Serious => "serious",
        }
    }
}

/// Declares the kinds of findings with their names and a sentence on each.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal: $about:literal,)+) => {
        /// The kind of a finding; scripts match on its name.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum FindingKind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What findings of the kind are about, in one sentence.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$variant => $about,)+
                }
            }
        }
    };
}

kinds! {
    /// One rule above takes every packet of the rule and treats it differently.
    Shadowed = "shadowed": "One rule above takes every packet of the rule and treats it differently.",
    /// Several rules above together take every packet, and not all treat it as the rule would.
    ShadowedTogether = "shadowed-together":
        "Several rules above together take every packet of the rule and treat some differently.",
    /// The rule changes nothing: rules above or below it do the same.
    Redundant = "redundant": "Without the rule every packet would be treated the same.",
    /// Rules above with the opposite verdict match a part of the rule's packets.
    PartlyShadowed = "partly-shadowed":
        "Rules above with the opposite verdict match a part of the rule's packets.",
    /// No packet gets past a rule above.
    Unreachable = "unreachable": "A rule above lets no packet past.",
    /// No layer and no rule leads to the rule base.
    UnreachableRuleBase = "unreachable-rule-base": "No layer and no rule leads to the rule base.",
    /// The rule can match no packet.
    NeverMatches = "never-matches": "The conditions of the rule exclude one another or are empty.",
    /// The schedule of the rule is over.
    Expired = "expired": "The schedule of the rule is over.",
    /// The rule is switched off.
    Disabled = "disabled": "The rule is switched off.",
    /// The rule allows everything.
    AnyAnyAllow = "any-any-allow": "The rule allows every source, destination, service and application.",
    /// The group holds nothing, so what names it matches nothing.
    EmptyGroup = "empty-group": "The group holds nothing.",
    /// Nothing names the object.
    UnusedObject = "unused-object": "No rule, translation or group in use names the object.",
    /// The object says the same as another one.
    DuplicateObject = "duplicate-object": "Another object has the same value.",
    /// The work allowed was not enough to tell.
    NotDecided = "not-decided": "The work allowed did not suffice to tell whether the rule decides.",
}

/// An ordered list of guarded rules.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RuleList {
    /// A rule base.
    RuleBase(RuleBaseId),
    /// The table of destination translations.
    DestinationNat,
    /// The table of source translations.
    SourceNat,
}

/// A rule a finding is about, or one responsible for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RuleReference {
    /// The list it stands in.
    pub list: RuleList,
    /// Its position there, from 0.
    pub position: usize,
    /// Its name.
    pub name: Box<str>,
    /// The lines that state it.
    pub at: Span,
}

impl fmt::Display for RuleReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.name {
            "" => write!(f, "rule {}", self.position + 1),
            name => write!(f, "`{name}`"),
        }
    }
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What kind it is.
    pub kind: FindingKind,
    /// How much it matters.
    pub weight: Weight,
    /// Where to look; the first rule's place where it is about rules.
    pub at: Span,
    /// The rules it is about; none when it is about something else.
    pub rules: Vec<RuleReference>,
    /// The rules responsible: those that take the packets, or would decide instead.
    pub by: Vec<RuleReference>,
    /// The rule base or object it is about; empty when it is about rules.
    pub subject: String,
    /// What was found, as a sentence without its full stop.
    pub message: String,
    /// What to do about it; empty where nothing is to be done.
    pub help: String,
}

impl Finding {
    /// How far the rules are shadowed: `fully`, `partly`, or not.
    pub fn shadowed(&self) -> Option<&'static str> {
        match self.kind {
            FindingKind::Shadowed | FindingKind::ShadowedTogether | FindingKind::Unreachable => {
                Some("fully")
            }
            FindingKind::Redundant => {
                let first = |rules: &[RuleReference]| rules.first().map(|it| it.position);
                let above = first(&self.by).zip(first(&self.rules)).is_some_and(|(by, it)| by < it);
                above.then_some("fully")
            }
            FindingKind::PartlyShadowed => Some("partly"),
            _ => None,
        }
    }
}
