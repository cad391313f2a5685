//! Sets of values a rule can match: addresses, ports, protocols, identifiers.

mod address;
mod id;
mod port;
mod protocol;
mod ranges;

pub use address::{AddressSet, InvertedAddressRange, MaskedAddress};
pub use id::IdSet;
pub use port::PortSet;
pub use protocol::ProtocolSet;
pub use ranges::Ranges;
