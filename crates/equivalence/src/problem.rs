//! What is compared: two ordered lists over one space of packets.
//!
//! A space has a dimension for each field some rule compares. The values of a field are numbers,
//! cut into *classes* at every value where a set of either list begins or ends, so that addresses
//! of both families and ports alike are small ranks from 0. A point is a class for each dimension;
//! no set tells apart the packets of one point, and no two outcomes do.

use std::sync::Arc;

use parefeu_net::Timestamp;
use parefeu_policy::RuleId;

/// Index into [`Problem::dimensions`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DimensionId(pub u32);

/// Index into [`Problem::sets`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SetId(pub u32);

/// Index into [`Problem::outcomes`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OutcomeId(pub u32);

/// One of the two firewalls.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Side {
    /// The one in service.
    Old,
    /// The one that is to replace it.
    New,
}

/// What a dimension stands for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Field {
    /// Where the packet enters: a number for each pair of places.
    Ingress,
    /// Where it leaves, where no side can tell by routes.
    Egress,
    /// Source address as it arrives.
    Src,
    /// Destination address as it arrives.
    Dst,
    /// IP protocol number.
    Protocol,
    /// Source port; the type of ICMP.
    SrcPort,
    /// Destination port; the code of ICMP.
    DstPort,
    /// Connection state, a number for each of `ConnectionState::ALL`.
    State,
    /// TCP flags.
    Flags,
    /// Application: its place in [`Problem::applications`], from 1; 0 for one not listed there.
    Application,
    /// Whether the URL is in this category. Those with the same patterns are one, by the name met
    /// first.
    Category(Box<str>),
    /// Whether the user is this one, or in this group.
    User(Box<str>),
    /// Source MAC address, its six bytes as one number.
    Device,
    /// When it arrives: the index in [`Problem::moments`] of a moment that no schedule tells apart
    /// from it.
    Time,
    /// Whether this condition, which has no value at analysis time, holds.
    Atom(Box<str>),
}

/// One field, its values cut into classes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dimension {
    /// What it stands for.
    pub field: Field,
    /// The first value of each class, ascending; the first is the least value of all.
    pub starts: Vec<u128>,
    /// The greatest value of the last class.
    pub last: u128,
}

impl Dimension {
    /// How many classes there are; at least one.
    pub fn classes(&self) -> u32 {
        self.starts.len() as u32
    }

    /// The values of a class, both bounds inclusive.
    pub fn values(&self, class: u32) -> (u128, u128) {
        let at = class as usize;
        let last = self.starts.get(at + 1).map_or(self.last, |next| next - 1);
        (self.starts[at], last)
    }

    /// The values from the first of one class to the last of another.
    pub(crate) fn span(&self, low: u32, high: u32) -> (u128, u128) {
        (self.values(low).0, self.values(high).1)
    }
}

/// A set of classes: sorted, disjoint, non-adjacent inclusive ranges; never empty.
pub type Set = Arc<[(u32, u32)]>;

/// An entry of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What it matches: a set for each dimension it narrows, by ascending dimension. A dimension
    /// not listed matches with every class.
    pub sets: Box<[(DimensionId, SetId)]>,
    /// What it does.
    pub step: Step,
    /// The rules it comes from.
    pub origin: Origin,
}

/// What an entry does with the points it matches first.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Step {
    /// This is what becomes of them.
    Decide(OutcomeId),
    /// They go on at this index of the list, which is greater than the entry's own: a return from a
    /// chain.
    Skip(u32),
}

/// The rules whose conditions an entry stands for; a default has none of its own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin {
    /// The rule that decides.
    pub rule: Option<RuleId>,
    /// Index of the destination translation.
    pub destination_nat: Option<u32>,
    /// Index of the source translation.
    pub source_nat: Option<u32>,
}

/// An ordered list; the first entry that matches a point decides. The last entry matches all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct List {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// What becomes of a packet.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// Such packets do not exist, or are no part of what is asked.
    Outside,
    /// It is let through, translated so.
    Allow(Translate),
    /// It is refused. The kind of refusal is compared only where asked for.
    Deny(Box<str>),
    /// Where records are compared: what is recorded of it, whatever it becomes.
    Recorded(Record),
}

impl Outcome {
    /// Whether the packet is let through.
    pub const fn allows(&self) -> bool {
        match self {
            Self::Allow(_) => true,
            Self::Recorded(record) => record.refusal.is_none(),
            Self::Outside | Self::Deny(_) => false,
        }
    }

    /// Whether the packet is refused.
    pub const fn refuses(&self) -> bool {
        match self {
            Self::Deny(_) => true,
            Self::Recorded(record) => record.refusal.is_some(),
            Self::Outside | Self::Allow(_) => false,
        }
    }
}

/// What a firewall writes down of a connection, and what looks into it.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Record {
    /// How the connection is refused; `None` where it is let through.
    pub refusal: Option<Box<str>>,
    /// Whether it is logged.
    pub log: bool,
    /// The names of the inspection profiles it passes, ascending; of a refused one none.
    pub profiles: Vec<Box<str>>,
}

/// What becomes of the four translated fields.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Translate {
    /// Source address.
    pub src: Function,
    /// Source port.
    pub src_port: Function,
    /// Destination address.
    pub dst: Function,
    /// Destination port.
    pub dst_port: Function,
}

/// What a translation makes of one field.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Function {
    /// Nothing.
    #[default]
    Keep,
    /// Always this value.
    Constant(u128),
    /// The value plus this number, modulo 2¹²⁸; the sum is in the field's range wherever an entry
    /// with this outcome matches.
    Shift(u128),
    /// A value chosen when the session opens; equal texts choose alike.
    Chosen(Box<str>),
}

/// Two lists over one space.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problem {
    /// The fields.
    pub dimensions: Vec<Dimension>,
    /// The sets entries name, each once.
    pub sets: Vec<Set>,
    /// What becomes of packets, each once. Of two outcomes, as functions, it holds that on the
    /// points of any product of classes they agree everywhere or nowhere, once each class of the
    /// addresses and ports they meet on is a class of its own.
    pub outcomes: Vec<Outcome>,
    /// The old firewall's list.
    pub old: List,
    /// The new firewall's list.
    pub new: List,
    /// The applications either side names. Value `k` of [`Field::Application`] is the one at
    /// `k - 1`.
    pub applications: Vec<Box<str>>,
    /// A moment of each kind that schedules tell apart, by the values of [`Field::Time`].
    pub moments: Vec<Timestamp>,
}
