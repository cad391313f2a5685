//! From two firewalls to two lists.
//!
//! What `parefeu_policy::reference::judge` answers for new connections of one [`Case`], once
//! application, URL categories and user are known for good, is written out as one first-match list
//! for each side: jumps are put in place by conjunction, returns and layers that accept become
//! skips. Packets that are translated in one way are written out together, each condition as the
//! values that become what it compares. A condition without a value at analysis time becomes a
//! dimension of its own, so that a list says what is decided whichever way it turns out. Whatever
//! cannot be written out exactly is refused by name.

mod categories;
mod classes;
mod moments;
mod profiles;
mod rule;
mod translate;
mod values;
mod view;
mod walk;
mod way;

use std::collections::BTreeSet;

use parefeu_net::Protocol;
use parefeu_policy::set::Ranges;
use parefeu_policy::{AtomId, InterfaceId, LinkedFirewall, Span, ZoneId};

use crate::scope::Sets;
use crate::{Field, Problem, Side, Stop};
use categories::Categories;
use moments::Moments;
pub(crate) use profiles::Profiles;
pub(crate) use rule::possible;
use values::{Region, Values};
pub(crate) use walk::refusal;

pub use way::ways;

/// The connections that are compared: new ones, of one address family, a class of protocols and a
/// way through either firewall.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Case {
    /// The family of both addresses.
    pub family: Family,
    /// The protocols.
    pub protocols: ProtocolClass,
    /// How they pass the old firewall.
    pub old: Passage,
    /// How they pass the new firewall.
    pub new: Passage,
    /// The values of fields that are asked about; all others are [`Outcome::Outside`]. Of a field
    /// named twice, those in both sets.
    ///
    /// [`Outcome::Outside`]: crate::Outcome::Outside
    pub within: Vec<(Field, Ranges)>,
}

/// Where a packet enters a firewall, and where it leaves.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Passage {
    /// Where it enters.
    pub ingress: Place,
    /// Where it leaves, whatever its destination; what the place does not state, and all without a
    /// place, is as routes say.
    pub egress: Option<Place>,
}

/// An address family.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Protocols whose packets rules compare in the same fields.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProtocolClass {
    /// Those with ports. A connection over TCP begins with a SYN and no other flag.
    WithPorts,
    /// ICMP of either family, with a type and a code.
    Icmp,
    /// All others.
    Other,
}

/// An end of a passage. Without a zone it is that of the interface, if it has one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The interface; `None` if not stated.
    pub interface: Option<InterfaceId>,
    /// The zone.
    pub zone: Option<ZoneId>,
}

/// What of a firewall cannot be written out exactly, and where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct NotFlattened {
    /// The firewall.
    pub side: Side,
    /// The lines that state it.
    pub at: Span,
    /// What it is.
    pub reason: Obstacle,
}

/// What cannot be written out exactly.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// A translation to what has no value at analysis time, where a route or a rule depends on it.
    #[error("what an address becomes is not known, and matters")]
    Translation,
    /// A pool, where a route or a rule tells its addresses apart.
    #[error("which address of a pool is chosen matters")]
    Choice,
    /// A translation between IPv4 and IPv6.
    #[error("addresses are translated into the other family")]
    OtherFamily,
    /// A condition on an ingress interface or zone, where the case states none.
    #[error("where the packet enters is not stated")]
    Ingress,
    /// A condition on an egress interface or zone that is not stated and no route gives.
    #[error("where the packet leaves is not known for every address")]
    Egress,
    /// A schedule, where there are too many to find the moments they tell apart.
    #[error("schedules are too many")]
    Schedule,
    /// Masks with holes that stand for more than [`MAX_MASKED_RANGES`] ranges.
    #[error("address masks have too many holes")]
    Masked,
    /// A prefix that replaces more than [`MAX_REPLACED_PREFIXES`] others.
    #[error("one prefix replaces too many")]
    ManyPrefixes,
    /// Layers that compare packets before a translation and after it, where they are asked about
    /// packets of connections nobody knows.
    #[error(
        "layers compare packets before translation and after, which others than first have had"
    )]
    Views,
    /// A condition on users, devices or default ports, where rules are asked about answers.
    #[error("rules compare users, devices or default ports, and are asked about answers")]
    Answers,
    /// More than [`MAX_STEPS`] steps.
    #[error("the rules unfold into too long a list")]
    TooLong,
    /// The sign to stop was given before all was written out.
    #[error("writing the rules out was stopped")]
    Stopped,
}

/// Masks with holes are written out as ranges up to this number for one address set.
pub const MAX_MASKED_RANGES: usize = 1024;

/// A translation that replaces a prefix is written out as one shift for each prefix it replaces, up
/// to this number for one rule and one product of what it matches.
pub const MAX_REPLACED_PREFIXES: u128 = 1024;

/// Entries written for one side, at most, and of rules read [`RULES_A_STEP`] times as many: rules
/// reached by several jumps, or by packets of several translations, are written out each time.
pub const MAX_STEPS: u32 = 1 << 22;

/// Rules read that count as one entry written.
pub const RULES_A_STEP: u32 = 64;

/// Writes two firewalls out as lists over one space.
///
/// # Errors
/// [`NotFlattened`] for the first thing met that cannot be written out exactly.
pub fn flatten(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
) -> Result<Problem, NotFlattened> {
    flatten_until(old, new, case, Stop::default())
}

/// The same, unless the sign to stop is given before all is written out.
pub(crate) fn flatten_until(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
    stop: Stop,
) -> Result<Problem, NotFlattened> {
    write_out(old, new, case, Extent { stop, ..Extent::default() })
}

/// Writes out what two firewalls record of the packets outside these products.
pub(crate) fn flatten_records(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
    (without, stop): (&[&Sets], Stop),
) -> Result<Problem, NotFlattened> {
    write_out(old, new, case, Extent { without, records: true, stop, ..Extent::default() })
}

/// Writes out what becomes of the packets outside these products, with TCP flags of any kind where
/// that is said.
pub(crate) fn flatten_others(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
    (without, flags, stop): (&[&Sets], bool, Stop),
) -> Result<Problem, NotFlattened> {
    write_out(old, new, case, Extent { without, flags, stop, ..Extent::default() })
}

/// Writes two firewalls out where layers may compare an address that is chosen when a session
/// opens: what is chosen is a condition then, the same on both sides where it reads the same.
pub(crate) fn flatten_supposing(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
    stop: Stop,
) -> Result<Problem, NotFlattened> {
    write_out(old, new, case, Extent { supposes: true, stop, ..Extent::default() })
}

/// What is written out beside what becomes of first packets.
#[derive(Clone, Copy, Default)]
struct Extent<'a> {
    /// Products that are not asked about.
    without: &'a [&'a Sets],
    /// Whether outcomes are what is recorded.
    records: bool,
    /// Whether packets have any TCP flags, not SYN alone.
    flags: bool,
    /// Whether what is chosen when a session opens may be a condition.
    supposes: bool,
    /// A sign at which nothing more is written out.
    stop: Stop,
}

fn write_out(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
    extent: Extent<'_>,
) -> Result<Problem, NotFlattened> {
    let applications = [old, new].into_iter().flat_map(|side| &side.applications);
    let space = Space {
        family: case.family,
        protocols: case.protocols,
        applications: applications.map(|known| &*known.name).collect(),
        categories: Categories::of(old, new),
        moments: Moments::of(old, new),
        one_dialect: old.dialect == new.dialect,
        within: &case.within,
        without: extent.without,
        profiles: extent.records.then(|| Profiles::of(old, new)),
        flags: extent.flags,
        supposes: extent.supposes,
        stop: extent.stop,
    };
    let old = walk::write_out(old, Side::Old, case.old, &space)?;
    let new = walk::write_out(new, Side::New, case.new, &space)?;
    let stopped = NotFlattened { side: Side::New, at: Span::default(), reason: Obstacle::Stopped };
    classes::problem(&space, &old, &new).ok_or(stopped)
}

/// The values fields may have.
struct Space<'a> {
    family: Family,
    protocols: ProtocolClass,
    /// The names either side knows; the values of [`Field::Application`] count them from 1.
    applications: BTreeSet<&'a str>,
    categories: Categories,
    /// The values of [`Field::Time`]; `None` when they cannot be found.
    moments: Option<Moments>,
    /// Whether equal texts of the two sides name the same atom.
    one_dialect: bool,
    /// What is asked about.
    within: &'a [(Field, Ranges)],
    /// Products that are not.
    without: &'a [&'a Sets],
    /// Where outcomes are what is recorded, not what becomes of packets: the profiles.
    profiles: Option<Profiles<'a>>,
    /// Whether TCP flags are a field; otherwise TCP packets have SYN alone.
    flags: bool,
    /// Whether what is chosen when a session opens may be a condition.
    supposes: bool,
    /// A sign at which nothing more is written out.
    stop: Stop,
}

impl Space<'_> {
    /// The greatest value of a field.
    fn last(&self, field: &Field) -> u128 {
        match (field, self.protocols) {
            (Field::Src | Field::Dst, _) => self.family.last(),
            (Field::SrcPort | Field::DstPort, ProtocolClass::WithPorts) => u16::MAX.into(),
            (Field::Application, _) => self.applications.len() as u128,
            (Field::Device, _) => MAX_DEVICE,
            (Field::Time, _) => {
                self.moments.as_ref().map_or(0, |known| known.moments.len() as u128 - 1)
            }
            (Field::Category(_) | Field::User(_) | Field::Atom(_), _) => 1,
            _ => u8::MAX.into(),
        }
    }

    /// The fields every case compares.
    fn usual_fields(&self) -> &'static [Field] {
        match self.protocols {
            ProtocolClass::WithPorts | ProtocolClass::Icmp => {
                &[Field::Src, Field::Dst, Field::Protocol, Field::SrcPort, Field::DstPort]
            }
            ProtocolClass::Other => &[Field::Src, Field::Dst, Field::Protocol],
        }
    }

    /// What is no part of the case, or cannot be.
    fn outside(&self) -> impl Iterator<Item = Region> {
        let protocols = (Field::Protocol, self.other_protocols());
        let unasked = self.within.iter().map(|(field, asked)| {
            let asked = Values::of(asked.as_slice().iter().copied());
            (field.clone(), asked.complement(self.last(field)))
        });
        let outside = std::iter::once(protocols).chain(unasked);
        let outside =
            outside.filter_map(|(field, values)| Region::default().narrowed(field, &values));
        let outside = outside.chain(self.categories.contradictions());
        let without = self.without.iter().filter_map(|sets| {
            sets.iter().try_fold(Region::default(), |region, (field, set)| {
                region.narrowed(field.clone(), &Values::of(set.as_slice().iter().copied()))
            })
        });
        let outside = outside.chain(without);
        outside.map(|region| region.without_full(|field| self.last(field)))
    }

    /// The protocols outside the case.
    fn other_protocols(&self) -> Values {
        protocols((0..=u8::MAX).map(Protocol).filter(|it| !self.protocols.contains(*it)))
    }
}

impl Family {
    /// The greatest address.
    pub(crate) const fn last(self) -> u128 {
        match self {
            Self::V4 => u32::MAX as u128,
            Self::V6 => u128::MAX,
        }
    }
}

impl ProtocolClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WithPorts, Self::Icmp, Self::Other];

    /// The protocol numbers of the class.
    pub fn values(self) -> Ranges {
        let numbers = (0..=u8::MAX).filter(|number| self.contains(Protocol(*number)));
        numbers.map(|number| (number.into(), number.into())).collect()
    }

    /// Whether the protocol belongs to the class.
    pub const fn contains(self, protocol: Protocol) -> bool {
        match self {
            Self::WithPorts => protocol.has_ports(),
            Self::Icmp => protocol.is_icmp(),
            Self::Other => !protocol.has_ports() && !protocol.is_icmp(),
        }
    }
}

/// The dimension of a condition without a value at analysis time.
///
/// What a text means is for its dialect to say; and a list of addresses may hold the source of a
/// packet and not its destination.
pub(crate) fn atom_field(
    firewall: &LinkedFirewall,
    role: &str,
    id: AtomId,
    one_dialect: bool,
) -> Field {
    let text = dialect_text(&firewall.atoms[id.index()].text, firewall.dialect, one_dialect);
    Field::Atom(format!("{role} {text}").into())
}

/// A text that means the same on both sides, if it is the same: what it means is for its dialect to
/// say.
fn dialect_text(text: &str, dialect: &str, one_dialect: bool) -> Box<str> {
    if one_dialect { text.into() } else { format!("{dialect} {text}").into() }
}

/// The greatest MAC address.
const MAX_DEVICE: u128 = (1 << 48) - 1;

fn protocols(protocols: impl Iterator<Item = Protocol>) -> Values {
    Values::of(protocols.map(|protocol| (protocol.0.into(), protocol.0.into())))
}
