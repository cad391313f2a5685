//! Which real address becomes which mapped one: static translation, block by block.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_policy::{AddressItem, AddressObject, MAX_NESTING};

/// A static translation that needs more prefixes than this is not modelled.
const MAX_PAIRS: usize = 256;

/// Objects and addresses visited to gather those of one object; groups named twice in each other
/// would else double at every level.
const MAX_STEPS: usize = 4_096;

/// Consecutive addresses of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Run {
    v6: bool,
    first: u128,
    last: u128,
}

impl Run {
    fn new(first: IpAddr, last: IpAddr) -> Self {
        Self { v6: first.is_ipv6(), first: bits(first), last: bits(last) }
    }

    /// The run of a prefix.
    pub(super) fn of(network: IpNet) -> Self {
        Self::new(network.network(), network.broadcast())
    }

    /// Whether the run is IPv6.
    pub(super) const fn is_v6(self) -> bool {
        self.v6
    }

    /// The lowest address, as a number.
    pub(super) const fn first(self) -> u128 {
        self.first
    }

    /// How many addresses follow the first one.
    pub(super) const fn span(self) -> u128 {
        self.last - self.first
    }

    /// Whether every address of another run belongs.
    pub(super) const fn covers(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first <= other.first && other.last <= self.last
    }

    /// Whether the runs share an address.
    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.v6 == other.v6 && self.first <= other.last && other.first <= self.last
    }
}

/// How many addresses runs hold; saturates.
pub(super) fn count(runs: &[Run]) -> u128 {
    runs.iter().fold(0, |sum: u128, run| sum.saturating_add(run.span()).saturating_add(1))
}

/// The addresses of objects, in the order they are written.
pub(super) struct Objects<'a> {
    objects: HashMap<&'a str, &'a AddressObject>,
}

impl<'a> Objects<'a> {
    pub(super) fn new(objects: &'a [AddressObject]) -> Self {
        Self { objects: objects.iter().map(|object| (object.name.as_str(), object)).collect() }
    }

    /// The addresses of an item; `None` when they are not known, not finite in the plain sense
    /// (*any*) or take more than [`MAX_STEPS`] to gather.
    pub(super) fn runs(&self, item: &AddressItem) -> Option<Vec<Run>> {
        let mut runs = Vec::new();
        self.collect(item, &mut Budget { depth: MAX_NESTING, steps: MAX_STEPS }, &mut runs)?;
        Some(runs)
    }

    fn collect(&self, item: &AddressItem, budget: &mut Budget, runs: &mut Vec<Run>) -> Option<()> {
        budget.steps = budget.steps.checked_sub(1)?;
        match item {
            AddressItem::Network(network) => runs.push(Run::of(*network)),
            AddressItem::Range(first, last) => runs.push(Run::new(*first, *last)),
            AddressItem::Object(name) => {
                budget.depth = budget.depth.checked_sub(1)?;
                let object = self.objects.get(name.as_str())?;
                for item in &object.items {
                    self.collect(&item.value, budget, runs)?;
                }
                budget.depth += 1;
            }
            _ => return None,
        }
        Some(())
    }
}

/// What gathering the addresses of an object may still take.
struct Budget {
    depth: usize,
    steps: usize,
}

/// The runs that `mapped`, written as a plain address, gives `real`: a prefix keeps its length, a
/// range its size (CLI guide, "Static NAT", inline addresses).
pub(super) fn inline(mapped: IpAddr, real: &[Run]) -> Option<Vec<Run>> {
    let [run] = real else { return None };
    let host_bits = run.span().checked_add(1)?;
    let is_prefix = host_bits.is_power_of_two() && run.first & run.span() == 0;
    let first = if is_prefix { bits(mapped) & !run.span() } else { bits(mapped) };
    let last = first.checked_add(run.span())?;
    let most = if mapped.is_ipv4() { u128::from(u32::MAX) } else { u128::MAX };
    (last <= most).then(|| vec![Run { v6: mapped.is_ipv6(), first, last }])
}

/// Pairs of prefixes of equal length, which together map `real` to `mapped` in order. `None` when
/// the two differ in family or size, or the pairs would be too many.
pub(super) fn pairs(real: &[Run], mapped: &[Run]) -> Option<Vec<(IpNet, IpNet)>> {
    let mut found = Vec::new();
    let (mut reals, mut mappeds) = (real.iter().copied(), mapped.iter().copied());
    let (mut left, mut right) = (reals.next(), mappeds.next());
    while let (Some(from), Some(to)) = (left, right) {
        if from.v6 != to.v6 || found.len() == MAX_PAIRS {
            return None;
        }
        let host_bits = block_bits(from).min(block_bits(to));
        found.push((prefix(from, host_bits)?, prefix(to, host_bits)?));
        left = after(from, host_bits).or_else(|| reals.next());
        right = after(to, host_bits).or_else(|| mappeds.next());
    }
    (left.is_none() && right.is_none() && !found.is_empty()).then_some(found)
}

/// The host bits of the largest aligned block a run begins with.
fn block_bits(run: Run) -> u32 {
    let width = if run.v6 { 128 } else { 32 };
    let aligned = run.first.trailing_zeros().min(width);
    // The largest n with 2^n - 1 <= span.
    let fitting = match run.span().checked_add(1) {
        Some(count) => count.ilog2(),
        None => 128,
    };
    aligned.min(fitting)
}

fn prefix(run: Run, host_bits: u32) -> Option<IpNet> {
    let (address, width) = if run.v6 {
        (IpAddr::V6(Ipv6Addr::from_bits(run.first)), 128)
    } else {
        (IpAddr::V4(Ipv4Addr::from_bits(run.first as u32)), 32)
    };
    IpNet::new(address, (width - host_bits) as u8).ok()
}

/// What is left of a run after its first block.
fn after(run: Run, host_bits: u32) -> Option<Run> {
    let size = 1_u128.checked_shl(host_bits)?;
    let first = run.first.checked_add(size)?;
    (first <= run.last).then_some(Run { first, ..run })
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use parefeu_policy::{At, Span};

    use super::*;

    fn run(text: &str) -> Run {
        match text.split_once('-') {
            Some((first, last)) => Run::new(first.parse().unwrap(), last.parse().unwrap()),
            None => Run::of(text.parse().unwrap()),
        }
    }

    #[track_caller]
    fn check(real: &[&str], mapped: &[&str], expected: Option<&str>) {
        let [real, mapped] =
            [real, mapped].map(|texts| texts.iter().map(|text| run(text)).collect::<Vec<_>>());
        let found = pairs(&real, &mapped).map(|pairs| {
            let pairs: Vec<_> = pairs.iter().map(|(a, b)| format!("{a}>{b}")).collect();
            pairs.join(" ")
        });
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn blocks_are_as_large_as_both_sides_allow() {
        check(&["192.0.2.0/24"], &["198.51.100.0/24"], Some("192.0.2.0/24>198.51.100.0/24"));
        check(
            &["192.0.2.1-192.0.2.4"],
            &["198.51.100.1-198.51.100.4"],
            Some(
                "192.0.2.1/32>198.51.100.1/32 192.0.2.2/31>198.51.100.2/31 \
                 192.0.2.4/32>198.51.100.4/32",
            ),
        );
        check(&["::/0"], &["::/0"], Some("::/0>::/0"));
        check(&["0.0.0.0/0"], &["0.0.0.0/0"], Some("0.0.0.0/0>0.0.0.0/0"));
        check(
            &["192.0.2.1/32", "192.0.2.9/32"],
            &["198.51.100.2/31"],
            Some("192.0.2.1/32>198.51.100.2/32 192.0.2.9/32>198.51.100.3/32"),
        );
    }

    #[test]
    fn groups_that_double_at_every_level_are_given_up() {
        let mut groups: Vec<_> = (0..40)
            .map(|level| {
                let inner = AddressItem::Object(format!("g{}", level + 1));
                let item = At::new(inner, Span::default());
                let items = vec![item.clone(), item];
                AddressObject { name: format!("g{level}"), items, ..AddressObject::default() }
            })
            .collect();
        groups.push(AddressObject { name: "g40".to_owned(), ..AddressObject::default() });
        let objects = Objects::new(&groups);
        let runs = |name: &str| objects.runs(&AddressItem::Object(name.to_owned()));
        assert_eq!((runs("g0"), runs("g38")), (None, Some(Vec::new())));
    }

    #[test]
    fn unequal_sides_are_refused() {
        check(&["192.0.2.0/24"], &["198.51.100.1/32"], None);
        check(&["192.0.2.1/32"], &["2001:db8::1/128"], None);
        check(&[], &[], None);
        check(&["10.0.0.1-10.0.255.1"], &["10.1.0.0-10.1.255.0"], None);
    }

    #[test]
    fn an_inline_address_takes_the_size_of_the_real_side() {
        for (real, mapped, expected) in [
            ("192.0.2.0/24", "198.51.100.111", "198.51.100.0/24"),
            ("192.0.2.5/32", "198.51.100.111", "198.51.100.111/32"),
            ("192.0.2.1-192.0.2.6", "198.51.100.1", "198.51.100.1-198.51.100.6"),
        ] {
            let found = inline(mapped.parse().unwrap(), &[run(real)]);
            assert_eq!(found, Some(vec![run(expected)]), "{real}");
        }
        assert_eq!(inline("255.255.255.255".parse().unwrap(), &[run("10.0.0.1-10.0.0.3")]), None);
    }
}
