//! How deep decoding goes, and into which tunnels.

use crate::{TunnelKind, TunnelStack};

/// How deep decoding goes, and into which tunnels.
///
/// Reaching a limit is named: [`TunnelTooDeep`](crate::MalformedReason::TunnelTooDeep),
/// [`BadExtensionHeader`](crate::MalformedReason::BadExtensionHeader).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DecodeLimits {
    /// The tunnels entered on the way to the IP layer that is judged; none by default, since a
    /// firewall judges the outer packet.
    pub decapsulate: Decapsulate,
    /// Tunnels entered at most, PPPoE and MPLS included; at most [`TunnelStack::MAX`] take effect.
    pub max_tunnel_depth: u8,
    /// IPv6 extension headers followed at most. RFC 8200 §4.1 has a sender need seven.
    pub max_extension_headers: u8,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { decapsulate: Decapsulate::NONE, max_tunnel_depth: 4, max_extension_headers: 8 }
    }
}

impl DecodeLimits {
    /// Whether one more tunnel than `stack` holds may be entered.
    pub(crate) fn admits_tunnel(self, stack: TunnelStack) -> bool {
        stack.depth() < usize::from(self.max_tunnel_depth)
    }
}

/// A set of tunnel kinds.
///
/// PPPoE and MPLS are entered whether or not they are in the set: they are part of the link.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Decapsulate(u16);

impl Decapsulate {
    /// No tunnel: the outer packet is judged.
    pub const NONE: Self = Self(0);
    /// Every kind of [`TunnelKind::ALL`].
    pub const ALL: Self = Self((1 << TunnelKind::ALL.len()) - 1);

    /// The set with `kind` added.
    #[must_use]
    pub const fn with(self, kind: TunnelKind) -> Self {
        Self(self.0 | 1 << kind as u8)
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: TunnelKind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

impl FromIterator<TunnelKind> for Decapsulate {
    fn from_iter<I: IntoIterator<Item = TunnelKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, Self::with)
    }
}
