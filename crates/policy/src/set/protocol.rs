//! Sets of IP protocols.

use parefeu_net::Protocol;

/// A set of IP protocol numbers, one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ProtocolSet([u64; 4]);

impl ProtocolSet {
    /// Every protocol.
    pub const ALL: Self = Self([u64::MAX; 4]);
    /// No protocol.
    pub const NONE: Self = Self([0; 4]);

    /// One protocol.
    pub const fn single(protocol: Protocol) -> Self {
        let mut words = [0; 4];
        words[(protocol.0 >> 6) as usize] = 1 << (protocol.0 & 63);
        Self(words)
    }

    /// Whether `protocol` is in the set.
    pub const fn contains(&self, protocol: Protocol) -> bool {
        self.0[(protocol.0 >> 6) as usize] >> (protocol.0 & 63) & 1 == 1
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Every protocol that is not in the set.
    #[must_use]
    pub fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    /// Whether every protocol is in the set.
    pub fn is_all(&self) -> bool {
        *self == Self::ALL
    }

    /// Whether no protocol is in the set.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// The protocols, ascending.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        (0..=u8::MAX).map(Protocol).filter(move |protocol| self.contains(*protocol))
    }
}

impl FromIterator<Protocol> for ProtocolSet {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        protocols.into_iter().fold(Self::NONE, |set, one| set.union(Self::single(one)))
    }
}
