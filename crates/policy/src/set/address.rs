//! Sets of IPv4 and IPv6 addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A set of addresses of both families: sorted, disjoint, non-adjacent inclusive ranges, and IPv4
/// patterns whose mask is not contiguous.
///
/// Ranges stay ranges: nothing is expanded to prefixes.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct AddressSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
    masked: Vec<MaskedAddress>,
}

/// Addresses equal to `value` in the bits set in `mask`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MaskedAddress {
    /// The bits compared against; zero outside `mask`.
    pub value: u32,
    /// The bits compared.
    pub mask: u32,
}

impl MaskedAddress {
    /// The pattern; bits of `value` outside `mask` are cleared.
    pub const fn new(value: Ipv4Addr, mask: Ipv4Addr) -> Self {
        let mask = mask.to_bits();
        Self { value: value.to_bits() & mask, mask }
    }

    /// Whether the pattern covers `address`.
    pub const fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask == self.value
    }
}

/// An address range that runs backwards or mixes families.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("address range {first}-{last} is inverted or mixes IPv4 and IPv6")]
pub struct InvertedAddressRange {
    /// The address written first.
    pub first: IpAddr,
    /// The address written last.
    pub last: IpAddr,
}

impl AddressSet {
    /// Every address of both families.
    pub fn all() -> Self {
        Self { v4: vec![(0, u32::MAX)], v6: vec![(0, u128::MAX)], masked: Vec::new() }
    }

    /// Every IPv4 address.
    pub fn all_v4() -> Self {
        Self { v4: vec![(0, u32::MAX)], ..Self::default() }
    }

    /// Every IPv6 address.
    pub fn all_v6() -> Self {
        Self { v6: vec![(0, u128::MAX)], ..Self::default() }
    }

    /// Adds one prefix.
    pub fn insert_network(&mut self, network: IpNet) {
        match network {
            IpNet::V4(v4) => {
                self.v4.push((v4.network().to_bits(), v4.broadcast().to_bits()));
                merge(&mut self.v4, |end| end.checked_add(1));
            }
            IpNet::V6(v6) => {
                self.v6.push((v6.network().to_bits(), v6.broadcast().to_bits()));
                merge(&mut self.v6, |end| end.checked_add(1));
            }
        }
    }

    /// Adds the inclusive range `first..=last`.
    ///
    /// # Errors
    /// [`InvertedAddressRange`] when the range runs backwards or mixes families.
    pub fn insert_range(
        &mut self,
        first: IpAddr,
        last: IpAddr,
    ) -> Result<(), InvertedAddressRange> {
        match (first, last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => {
                self.v4.push((a.to_bits(), b.to_bits()));
                merge(&mut self.v4, |end| end.checked_add(1));
            }
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => {
                self.v6.push((a.to_bits(), b.to_bits()));
                merge(&mut self.v6, |end| end.checked_add(1));
            }
            _ => return Err(InvertedAddressRange { first, last }),
        }
        Ok(())
    }

    /// Adds a pattern; one with a contiguous mask becomes a range.
    pub fn insert_masked(&mut self, pattern: MaskedAddress) {
        if pattern.mask.leading_ones() + pattern.mask.trailing_zeros() >= 32 {
            self.v4.push((pattern.value, pattern.value | !pattern.mask));
            merge(&mut self.v4, |end| end.checked_add(1));
        } else {
            self.masked.push(pattern);
            self.masked.sort_unstable();
            self.masked.dedup();
        }
    }

    /// Adds everything in `other`. `O(n log n)` in the ranges of both.
    pub fn insert_set(&mut self, other: &Self) {
        self.v4.extend_from_slice(&other.v4);
        self.v6.extend_from_slice(&other.v6);
        merge(&mut self.v4, |end| end.checked_add(1));
        merge(&mut self.v6, |end| end.checked_add(1));
        self.masked.extend_from_slice(&other.masked);
        self.masked.sort_unstable();
        self.masked.dedup();
    }

    /// Whether `address` is in the set. `O(log ranges + patterns)`.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                holds(&self.v4, v4.to_bits())
                    || self.masked.iter().any(|pattern| pattern.contains(v4))
            }
            IpAddr::V6(v6) => holds(&self.v6, v6.to_bits()),
        }
    }

    /// The complement over both families; `None` when the set holds discontiguous patterns.
    #[must_use]
    pub fn complement(&self) -> Option<Self> {
        if !self.masked.is_empty() {
            return None;
        }
        let v4 = gaps(&self.v4, 0, u32::MAX, |x| x.checked_sub(1), |x| x.checked_add(1));
        let v6 = gaps(&self.v6, 0, u128::MAX, |x| x.checked_sub(1), |x| x.checked_add(1));
        Some(Self { v4, v6, masked: Vec::new() })
    }

    /// What is in both sets; patterns are kept only against ranges that cover all of IPv4.
    /// `None` when a discontiguous pattern would have to be cut.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let full_v4 = |set: &Self| set.v4 == [(0, u32::MAX)];
        let masked = match (self.masked.is_empty(), other.masked.is_empty()) {
            (true, true) => Vec::new(),
            _ if full_v4(other) => self.masked.clone(),
            _ if full_v4(self) => other.masked.clone(),
            _ => return None,
        };
        Some(Self { v4: overlap(&self.v4, &other.v4), v6: overlap(&self.v6, &other.v6), masked })
    }

    /// Whether every address of both families is in the set.
    pub fn is_all(&self) -> bool {
        self.v4 == [(0, u32::MAX)] && self.v6 == [(0, u128::MAX)]
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty() && self.masked.is_empty()
    }

    /// IPv4 ranges, ascending, disjoint, inclusive.
    pub fn v4_ranges(&self) -> &[(u32, u32)] {
        &self.v4
    }

    /// IPv6 ranges, ascending, disjoint, inclusive.
    pub fn v6_ranges(&self) -> &[(u128, u128)] {
        &self.v6
    }

    /// IPv4 patterns whose mask is not contiguous.
    pub fn masked(&self) -> &[MaskedAddress] {
        &self.masked
    }

    /// The ranges of both families as addresses, IPv4 first.
    pub fn ranges(&self) -> impl Iterator<Item = (IpAddr, IpAddr)> + '_ {
        let v4 = self.v4.iter().map(|&(first, last)| {
            (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(last).into())
        });
        let v6 = self.v6.iter().map(|&(first, last)| {
            (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(last).into())
        });
        v4.chain(v6)
    }
}

impl FromIterator<IpNet> for AddressSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut set = Self::default();
        for network in networks {
            match network {
                IpNet::V4(v4) => set.v4.push((v4.network().to_bits(), v4.broadcast().to_bits())),
                IpNet::V6(v6) => set.v6.push((v6.network().to_bits(), v6.broadcast().to_bits())),
            }
        }
        merge(&mut set.v4, |end| end.checked_add(1));
        merge(&mut set.v6, |end| end.checked_add(1));
        set
    }
}

impl From<IpNet> for AddressSet {
    fn from(network: IpNet) -> Self {
        std::iter::once(network).collect()
    }
}

/// Sorts ranges and joins those that overlap or touch. `after` is the successor of a bound.
fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>, after: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    let mut kept = 0;
    for index in 1..ranges.len() {
        let (first, last) = ranges[index];
        let touches = after(ranges[kept].1).is_none_or(|next| first <= next);
        if touches {
            ranges[kept].1 = ranges[kept].1.max(last);
        } else {
            kept += 1;
            ranges[kept] = (first, last);
        }
    }
    ranges.truncate(kept + 1);
}

fn holds<T: Copy + Ord>(ranges: &[(T, T)], value: T) -> bool {
    let at = ranges.partition_point(|range| range.1 < value);
    ranges.get(at).is_some_and(|range| range.0 <= value)
}

fn gaps<T: Copy + Ord>(
    ranges: &[(T, T)],
    min: T,
    max: T,
    before: impl Fn(T) -> Option<T>,
    after: impl Fn(T) -> Option<T>,
) -> Vec<(T, T)> {
    let mut found = Vec::with_capacity(ranges.len() + 1);
    let mut next = Some(min);
    for &(first, last) in ranges {
        if let (Some(start), Some(end)) = (next, before(first))
            && start <= end
        {
            found.push((start, end));
        }
        next = after(last);
    }
    if let Some(start) = next
        && start <= max
    {
        found.push((start, max));
    }
    found
}

fn overlap<T: Copy + Ord>(a: &[(T, T)], b: &[(T, T)]) -> Vec<(T, T)> {
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        let (first, last) = (x.0.max(y.0), x.1.min(y.1));
        if first <= last {
            found.push((first, last));
        }
        if x.1 < y.1 {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> AddressSet {
        networks.iter().map(|text| text.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn touching_networks_merge_and_complement_is_exact() {
        let halves = set(&["10.0.0.0/25", "10.0.0.128/25", "2001:db8::/32"]);
        assert_eq!(halves, set(&["10.0.0.0/24", "2001:db8::/32"]));
        let rest = halves.complement().unwrap();
        for text in ["9.255.255.255", "10.0.0.0", "10.0.0.255", "10.0.1.0", "2001:db8::1", "::"] {
            let address: IpAddr = text.parse().unwrap();
            assert_ne!(halves.contains(address), rest.contains(address), "{text}");
        }
        assert_eq!(rest.complement().unwrap(), halves);
        assert!(AddressSet::default().complement().unwrap().is_all());
        assert!(halves.intersection(&rest).unwrap().is_empty());
    }

    #[test]
    fn a_discontiguous_mask_matches_every_third_octet() {
        let mut pattern = AddressSet::default();
        let (value, mask) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(255, 0, 255, 255));
        pattern.insert_masked(MaskedAddress::new(value, mask));
        assert!(pattern.contains("10.77.0.1".parse().unwrap()));
        assert!(!pattern.contains("10.77.1.1".parse().unwrap()));
        assert_eq!(pattern.complement(), None);
        assert_eq!(pattern.intersection(&AddressSet::all()), Some(pattern.clone()));
    }

    #[test]
    fn an_inverted_range_is_refused() {
        let (first, last) = ("10.0.0.2".parse().unwrap(), "10.0.0.1".parse().unwrap());
        let refused = AddressSet::default().insert_range(first, last);
        assert_eq!(refused, Err(InvertedAddressRange { first, last }));
    }
}
