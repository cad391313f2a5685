//! From two firewalls to two lists.
//!
//! What `parefeu_policy::reference::judge` answers for new connections of one [`Case`], once their
//! application is finally identified, is written out as one first-match list for each side: jumps
//! are put in place by conjunction, returns and layers that accept become skips. A condition
//! without a value at analysis time becomes a dimension of its own, so that a list says what is
//! decided whichever way it turns out. Whatever cannot be written out exactly is refused by name.

mod classes;
mod rule;
mod values;
mod walk;

use std::collections::BTreeSet;

use parefeu_net::Protocol;
use parefeu_policy::{InterfaceId, LinkedFirewall, Span, ZoneId};

use crate::{Field, Problem, Side};
use values::Values;

/// The connections that are compared: new ones, of one address family, a class of protocols and a
/// place where they enter.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Case {
    /// The family of both addresses.
    pub family: Family,
    /// The protocols.
    pub protocols: ProtocolClass,
    /// Where they enter the old firewall.
    pub old: Place,
    /// Where they enter the new firewall.
    pub new: Place,
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

/// Where a packet enters a firewall. Without a zone it is that of the interface, if it has one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
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
    /// An address translation.
    #[error("addresses are translated")]
    Translation,
    /// A condition on an ingress interface or zone, where the case states none.
    #[error("where the packet enters is not stated")]
    Ingress,
    /// A condition on an egress interface or zone, for addresses no route gives one.
    #[error("where the packet leaves is not known for every address")]
    Egress,
    /// A condition on the URL.
    #[error("URL categories are compared")]
    Category,
    /// A condition on the user.
    #[error("users are compared")]
    User,
    /// A condition on the MAC address.
    #[error("devices are compared")]
    Device,
    /// A schedule.
    #[error("a schedule applies")]
    Schedule,
    /// The service has to be the application's default one.
    #[error("the service depends on the application")]
    ApplicationDefault,
    /// Masks with holes that stand for more than [`MAX_MASKED_RANGES`] ranges.
    #[error("address masks have too many holes")]
    Masked,
    /// More than [`MAX_STEPS`] steps.
    #[error("the rules unfold into too long a list")]
    TooLong,
}

/// Masks with holes are written out as ranges up to this number for one address set.
pub const MAX_MASKED_RANGES: usize = 1024;

/// Rules read and entries written for one side, at most: rules reached by several jumps are
/// written out each time.
pub const MAX_STEPS: u32 = 1 << 22;

/// Writes two firewalls out as lists over one space.
///
/// # Errors
/// [`NotFlattened`] for the first thing met that cannot be written out exactly.
pub fn flatten(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    case: &Case,
) -> Result<Problem, NotFlattened> {
    let applications = [old, new].into_iter().flat_map(|side| &side.applications);
    let space = Space {
        family: case.family,
        protocols: case.protocols,
        applications: applications.map(|known| &*known.name).collect(),
        one_dialect: old.dialect == new.dialect,
    };
    let old = walk::write_out(old, Side::Old, case.old, &space)?;
    let new = walk::write_out(new, Side::New, case.new, &space)?;
    Ok(classes::problem(&space, &old, &new))
}

/// The values fields may have.
struct Space<'a> {
    family: Family,
    protocols: ProtocolClass,
    /// The names either side knows; the values of [`Field::Application`] count them from 1.
    applications: BTreeSet<&'a str>,
    /// Whether equal texts of the two sides name the same atom.
    one_dialect: bool,
}

impl Space<'_> {
    /// The greatest value of a field.
    fn last(&self, field: &Field) -> u128 {
        match (field, self.protocols) {
            (Field::Src | Field::Dst, _) => match self.family {
                Family::V4 => u32::MAX.into(),
                Family::V6 => u128::MAX,
            },
            (Field::SrcPort | Field::DstPort, ProtocolClass::WithPorts) => u16::MAX.into(),
            (Field::Application, _) => self.applications.len() as u128,
            (Field::Atom(_), _) => 1,
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

    /// The protocols outside the case.
    fn other_protocols(&self) -> Values {
        protocols((0..=u8::MAX).map(Protocol).filter(|it| !self.protocols.contains(*it)))
    }
}

impl ProtocolClass {
    /// Whether the protocol belongs to the class.
    pub const fn contains(self, protocol: Protocol) -> bool {
        match self {
            Self::WithPorts => protocol.has_ports(),
            Self::Icmp => protocol.is_icmp(),
            Self::Other => !protocol.has_ports() && !protocol.is_icmp(),
        }
    }
}

fn protocols(protocols: impl Iterator<Item = Protocol>) -> Values {
    Values::of(protocols.map(|protocol| (protocol.0.into(), protocol.0.into())))
}
