//! What a rule says, in the words of iptables.

use parefeu_net::MacAddress;
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{AddressItem, IcmpMatch, Span, StateSet};

/// The address family a rule set filters: one table each in the kernel.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an item; `None` for one that has none.
    pub(super) fn of(item: &AddressItem) -> Option<Self> {
        let v4 = match item {
            AddressItem::AnyV4 | AddressItem::Masked(_) => true,
            AddressItem::AnyV6 => false,
            AddressItem::Network(network) => network.addr().is_ipv4(),
            AddressItem::Range(first, _) => first.is_ipv4(),
            _ => return None,
        };
        Some(if v4 { Self::V4 } else { Self::V6 })
    }

    /// Every address of the family.
    pub(super) const fn every(self) -> AddressItem {
        match self {
            Self::V4 => AddressItem::AnyV4,
            Self::V6 => AddressItem::AnyV6,
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// One line `-A CHAIN …`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// The whole line.
    pub(super) at: Span,
    /// Every condition has to hold.
    pub(super) conditions: Vec<Condition>,
    /// What to do; `None` only counts.
    pub(super) target: Option<Target>,
    /// The text of `-m comment`.
    pub(super) comment: String,
    /// `-4` or `-6`.
    pub(super) family: Option<Family>,
}

impl Rule {
    /// Whether two rules have the same conditions, target and comment.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let within = |a: &Self, b: &Self| {
            a.conditions.iter().all(|condition| {
                let same =
                    |it: &Condition| it.kind == condition.kind && it.negated == condition.negated;
                b.conditions.iter().any(same)
            })
        };
        let target = |rule: &Self| {
            let target = rule.target.as_ref();
            target.map(|target| (target.name.clone(), target.goto, target.options.clone()))
        };
        within(self, other)
            && within(other, self)
            && target(self) == target(other)
            && self.comment == other.comment
    }
}

/// A single match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Condition {
    pub(super) kind: Kind,
    /// Whether a `!` turns it round.
    pub(super) negated: bool,
    /// The option and its value.
    pub(super) at: Span,
}

impl Condition {
    pub(super) fn turned_round(&self) -> Self {
        Self { negated: !self.negated, ..self.clone() }
    }
}

/// What a single match compares.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Protocol(ProtocolSet),
    /// One of these source addresses.
    Src(Vec<AddressItem>),
    /// One of these destination addresses.
    Dst(Vec<AddressItem>),
    /// An interface name; a `+` at its end stands for any continuation.
    Ingress(String),
    Egress(String),
    SrcPorts(PortSet),
    DstPorts(PortSet),
    /// Source or destination port.
    EitherPorts(PortSet),
    Icmp {
        v6: bool,
        wanted: IcmpType,
    },
    Flags {
        mask: u8,
        value: u8,
    },
    /// One of the states, or the atom (`SNAT`, `DNAT`) where there is one.
    States {
        states: StateSet,
        or: Option<String>,
    },
    Device(MacAddress),
    /// Half-open ranges of seconds of the week, and of absolute time; `text` is what was written.
    Time {
        text: String,
        weekly: Vec<(u32, u32)>,
        absolute: Vec<(u64, u64)>,
    },
    /// A match that is not modelled, as written.
    Atom(String),
}

/// What `--icmp-type` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IcmpType {
    Any,
    Is(IcmpMatch),
}

/// What `-j` or `-g` says.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: String,
    /// `-g`: do not come back.
    pub(super) goto: bool,
    /// Options with their values, both as written.
    pub(super) options: Vec<(String, String)>,
    /// The place from the target's name to its last option.
    pub(super) at: Span,
}

impl Target {
    /// The value of an option; empty for a switch.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }
}
