//! Addresses → classes.

mod v4;
pub(crate) mod v6;

use std::net::IpAddr;

pub(crate) use v4::Directory;
pub(crate) use v6::AddressesV6;

use super::classes::Classes;
use crate::wanted::Wanted;

/// Classes of one side's addresses, those of both families numbered together.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) v4: Directory,
    pub(crate) v6: AddressesV6,
}

impl Addresses {
    /// `None` where classes or blocks would be too many. `tuple_bits` are those of IPv4.
    pub(crate) fn build(
        v4: &[Wanted<u32>],
        v6: &[Wanted<u128>],
        tuple_bits: &[u16],
        classes: &mut Classes,
    ) -> Option<Self> {
        let v4 = classes.divide(v4, 0, |address| address.checked_add(1))?;
        let v6 = classes.divide(v6, 0, |address| address.checked_add(1))?;
        Some(Self { v4: Directory::build(&v4, tuple_bits)?, v6: AddressesV6::build(&v6)? })
    }

    #[inline]
    pub(crate) fn class(&self, address: IpAddr) -> u16 {
        match address {
            IpAddr::V4(address) => self.v4.class(address.to_bits()),
            IpAddr::V6(address) => self.v6.class(address.to_bits()),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.v4.memory_bytes() + self.v6.memory_bytes()
    }
}
