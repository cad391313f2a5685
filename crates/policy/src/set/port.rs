//! Sets of ports.

use std::fmt;

use parefeu_net::PortRange;

/// A set of ports: sorted, disjoint, non-adjacent ranges.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// Every port, 0 included.
    pub fn all() -> Self {
        Self(vec![PortRange::ALL])
    }

    /// No port.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// One port.
    pub fn single(port: u16) -> Self {
        Self(vec![PortRange::single(port)])
    }

    /// Whether `port` is in the set. `O(log ranges)`.
    pub fn contains(&self, port: u16) -> bool {
        let at = self.0.partition_point(|range| range.last() < port);
        self.0.get(at).is_some_and(|range| range.contains(port))
    }

    /// Whether the set holds every port.
    pub fn is_all(&self) -> bool {
        self.0 == [PortRange::ALL]
    }

    /// Whether the set holds no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }

    /// Every port that is not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0u16);
        for range in &self.0 {
            if let Some(start) = next
                && let Some(end) = range.first().checked_sub(1)
                && let Ok(gap) = PortRange::new(start, end)
            {
                gaps.push(gap);
            }
            next = range.last().checked_add(1);
        }
        if let Some(start) = next
            && let Ok(gap) = PortRange::new(start, u16::MAX)
        {
            gaps.push(gap);
        }
        Self(gaps)
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut ranges: Vec<PortRange> = ranges.into_iter().collect();
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if u32::from(range.first()) <= u32::from(last.last()) + 1 => {
                    let end = last.last().max(range.last());
                    *last = PortRange::new(last.first(), end).unwrap_or(*last);
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }
}

impl From<PortRange> for PortSet {
    fn from(range: PortRange) -> Self {
        Self(vec![range])
    }
}

/// `80,443,8000-8080`; `any` for every port, `none` for no port.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("any");
        }
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{range}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u16, u16)]) -> PortSet {
        ranges.iter().map(|&(first, last)| PortRange::new(first, last).unwrap()).collect()
    }

    #[test]
    fn ranges_are_merged_and_complemented() {
        let ports = set(&[(443, 443), (80, 90), (91, 100), (85, 95)]);
        assert_eq!(ports.to_string(), "80-100,443");
        assert_eq!(ports.complement().to_string(), "0-79,101-442,444-65535");
        assert_eq!(ports.complement().complement(), ports);
        assert!(PortSet::none().complement().is_all());
        assert!(PortSet::all().complement().is_empty());
        for port in [79, 80, 100, 101, 443, 444] {
            assert_ne!(ports.contains(port), ports.complement().contains(port), "{port}");
        }
    }
}
