//! What lookups of many packets write.

use parefeu_policy::RuleId;

/// The first rule that matches a packet, or none: half as wide as an [`Option`] and written by wide
/// instructions, which is a sixth of what a lookup among many takes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FirstMatch(u32);

impl FirstMatch {
    /// No rule matches.
    pub const NONE: Self = Self(u32::MAX);

    /// The rule.
    pub const fn rule(self) -> Option<RuleId> {
        if self.0 == Self::NONE.0 { None } else { Some(RuleId(self.0)) }
    }

    /// The rule `candidate` behind the first of its rule base; [`crate::tables::NONE`] is none.
    #[inline]
    pub(crate) const fn behind(first: RuleId, candidate: u32) -> Self {
        Self(candidate.saturating_add(first.0))
    }
}

impl From<Option<RuleId>> for FirstMatch {
    fn from(rule: Option<RuleId>) -> Self {
        rule.map_or(Self::NONE, |rule| Self(rule.0))
    }
}

impl Default for FirstMatch {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::NONE;

    #[test]
    fn none_stays_none_behind_any_rule() {
        for first in [0, 1, u32::MAX - 7] {
            assert_eq!(FirstMatch::behind(RuleId(first), NONE).rule(), None);
            assert_eq!(FirstMatch::behind(RuleId(first), 5).rule(), Some(RuleId(first + 5)));
        }
        assert_eq!(FirstMatch::from(None), FirstMatch::NONE);
        assert_eq!(FirstMatch::from(Some(RuleId(3))).rule(), Some(RuleId(3)));
    }
}
