//! What a rule matches, as products of sets of values.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::set::{AddressSet, IdSet};
use parefeu_policy::{
    AtomId, ConnectionState, InterfaceId, LinkedAddresses, LinkedFirewall, LinkedMatch,
    LinkedService, ZoneId, ZoneRelation,
};

use crate::place::{Passage, Place};
use crate::ranges::{Range, Ranges, joined, others};
use crate::space::{
    APPLICATION, Class, DST, DST_PORT, Dim, Family, Field, NEW_DST, NEW_DST_PORT, NEW_SRC,
    NEW_SRC_PORT, PROTOCOL, Product, SRC, SRC_PORT, Space,
};

/// What a rule asks that is not modelled here.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub(crate) enum Doubt {
    #[error("where packets enter, which the case does not state")]
    Ingress,
    #[error("where packets leave, which neither the case nor a route tells")]
    Egress,
    #[error("a URL category")]
    Category,
    #[error("a user")]
    User,
    #[error("a MAC address")]
    Device,
    #[error("a schedule")]
    Schedule,
    #[error("an address mask with too many holes")]
    Mask,
    #[error("a translation into the other address family")]
    OtherFamily,
    #[error("more combinations of conditions than are unfolded")]
    TooLong,
}

/// Packets a rule matches; with a doubt, perhaps.
pub(crate) type Piece = (Product, Option<Doubt>);

/// Which fields of a packet a list of rules compares: as it arrived, or as it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) src: Dim,
    pub(crate) dst: Dim,
    pub(crate) src_port: Dim,
    pub(crate) dst_port: Dim,
    /// The destination whose route tells where the packet leaves.
    pub(crate) routed: Dim,
}

impl Seen {
    /// What is compared when source, destination and route are those after translation.
    pub(crate) const fn new(src: bool, dst: bool, routed: bool) -> Self {
        Self {
            src: if src { NEW_SRC } else { SRC },
            src_port: if src { NEW_SRC_PORT } else { SRC_PORT },
            dst: if dst { NEW_DST } else { DST },
            dst_port: if dst { NEW_DST_PORT } else { DST_PORT },
            routed: if routed { NEW_DST } else { DST },
        }
    }
}

/// Reads the rules of one firewall for the packets of one case.
pub(crate) struct Reader<'a> {
    firewall: &'a LinkedFirewall,
    enters: Place,
    /// The destinations of each way out.
    ways: BTreeMap<(Option<InterfaceId>, Option<ZoneId>), Ranges>,
    /// What the firewall calls each application of the space.
    applications: Vec<Option<u32>>,
    /// Goes before the text of an atom that is not the other side's, whatever that one is called.
    dialect: &'a str,
}

impl<'a> Reader<'a> {
    /// `dialect` is empty when both sides have the same one.
    pub(crate) fn new(
        firewall: &'a LinkedFirewall,
        passage: Passage,
        dialect: &'a str,
        space: &Space,
    ) -> Self {
        let known: BTreeMap<&str, u32> =
            firewall.applications.iter().map(|known| &*known.name).zip(0..).collect();
        let applications = space.applications.iter().map(|name| known.get(&**name).copied());
        let applications = applications.collect();
        let ways = ways(firewall, passage, space.family);
        Self { firewall, enters: passage.enters.with_zone(firewall), ways, applications, dialect }
    }

    /// What conditions on headers match; `identified` adds those on what later packets tell.
    pub(crate) fn pieces(
        &self,
        matches: &LinkedMatch,
        identified: bool,
        seen: &Seen,
        space: &mut Space,
    ) -> Vec<Piece> {
        let enters = [
            listed(&matches.ingress, self.enters.interface.map(|id| id.0)),
            listed(&matches.from, self.enters.zone.map(|id| id.0)),
        ];
        if enters.contains(&Some(false)) || !matches.states.contains(ConnectionState::New) {
            return Vec::new();
        }
        let doubts = [
            (enters.contains(&None), Doubt::Ingress),
            (!matches.devices.is_empty(), Doubt::Device),
            (matches.schedule.is_some(), Doubt::Schedule),
            (identified && !matches.url_categories.is_any(), Doubt::Category),
            (identified && !matches.users.is_any(), Doubt::User),
        ];
        let mut doubt = doubts.into_iter().find(|(met, _)| *met).map(|(_, doubt)| doubt);
        let mut common = vec![Product::default()];
        if identified && !matches.applications.is_any() {
            common = product(&common, &[self.applications(matches)]);
        }
        for atom in &matches.atoms {
            common = product(&common, &[self.atom("condition", *atom, true, space)]);
        }
        if !matches.tcp_flags.is_empty() {
            let opens = matches.tcp_flags.iter().any(|wanted| wanted.holds(TcpFlags::SYN.0));
            let tcp = joined(opens.then_some((Protocol::TCP.0.into(), Protocol::TCP.0.into())));
            common = product(&common, &[Product::of(PROTOCOL, tcp)]);
        }
        let services = self.services(matches, seen, space);
        let (src, dst) = (&matches.src, &matches.dst);
        let sides = [(seen.src, "source", src), (seen.dst, "destination", dst)];
        let sides = sides.map(|(dim, role, wanted)| self.addresses(dim, role, wanted, space));
        let held = identified && matches.services.application_default;
        let defaults = held.then(|| Some(self.default_services(seen, space)));
        for side in std::iter::once(Some(services)).chain(defaults).chain(sides) {
            match side {
                Some(side) if common.len().saturating_mul(side.len()) > MAX_PIECES => {
                    doubt = doubt.or(Some(Doubt::TooLong));
                }
                Some(side) => common = product(&common, &side),
                None => doubt = doubt.or(Some(Doubt::Mask)),
            }
        }
        self.leaving(matches, &common, doubt, seen)
    }

    fn applications(&self, matches: &LinkedMatch) -> Product {
        let set = &matches.applications;
        let holds = |id: Option<u32>| id.map_or(set.holds_unnamed(), |id| set.contains(id));
        let known = (1..).zip(&self.applications).map(|(value, id)| (value, *id));
        let all = std::iter::once((0, None)).chain(known);
        let held = all.filter(|(_, id)| holds(*id)).map(|(value, _)| (value, value));
        Product::of(APPLICATION, joined(held))
    }

    /// What an atom says.
    pub(crate) fn atom_text(&self, id: AtomId) -> &'a str {
        &self.firewall.atoms[id.index()].text
    }

    /// A text that means something in its dialect only.
    pub(crate) fn text(&self, text: &str) -> String {
        if self.dialect.is_empty() { text.to_owned() } else { format!("{} {text}", self.dialect) }
    }

    /// The destinations of each way out with the firewall's own address there, or else its name.
    pub(crate) fn own_addresses(&self, family: Family) -> Vec<(Ranges, Result<IpAddr, &'a str>)> {
        let ways = self.ways.iter().map(|((egress, _), destinations)| {
            let own = self.firewall.address_of(*egress, address(0, family));
            let interface = egress.and_then(|id| self.firewall.interfaces.get(id.index()));
            let name = interface.map_or("the way out", |interface| &*interface.name);
            (Ranges::clone(destinations), own.ok_or(name))
        });
        ways.collect()
    }

    /// The packets for which an atom holds, or does not.
    fn atom(&self, role: &str, id: AtomId, holds: bool, space: &mut Space) -> Product {
        let text = format!("{role} {}", self.text(self.atom_text(id)));
        let value = u128::from(holds);
        Product::of(space.number(Field::Atom(text.into())), joined([(value, value)]))
    }

    fn services(&self, matches: &LinkedMatch, seen: &Seen, space: &mut Space) -> Vec<Product> {
        let wanted = &matches.services;
        let mut found: Vec<Product> =
            wanted.terms.iter().filter_map(|term| service(term, seen, space.class)).collect();
        found.extend(wanted.atoms.iter().map(|id| self.atom("service", *id, true, space)));
        found
    }

    /// The packets of applications on the ports the firewall gives them; of those it does not name
    /// an atom tells.
    fn default_services(&self, seen: &Seen, space: &mut Space) -> Vec<Product> {
        // A service with all its applications is one product, so that one holds a whole box.
        let mut holders: Vec<(&LinkedService, Vec<Range>)> = Vec::new();
        let mut unnamed = vec![(0, 0)];
        for (value, id) in (1..).zip(&self.applications) {
            let Some(id) = id else {
                unnamed.push((value, value));
                continue;
            };
            for term in &self.firewall.applications[*id as usize].default_services {
                match holders.iter_mut().find(|(known, _)| *known == term) {
                    Some((_, values)) => values.push((value, value)),
                    None => holders.push((term, vec![(value, value)])),
                }
            }
        }
        let of = |values: Vec<Range>| Product::of(APPLICATION, joined(values));
        let terms = holders.into_iter();
        let mut found: Vec<Product> = terms
            .filter_map(|(term, values)| service(term, seen, space.class)?.and(&of(values)))
            .collect();
        let atom = Field::Atom(self.text("application-default").into());
        let holds = Product::of(space.number(atom), joined([(1, 1)]));
        found.extend(holds.and(&of(unnamed)));
        found
    }

    /// The packets whose address belongs; `None` where that cannot be written as ranges.
    fn addresses(
        &self,
        dim: Dim,
        role: &str,
        wanted: &LinkedAddresses,
        space: &mut Space,
    ) -> Option<Vec<Product>> {
        let set = addresses(&wanted.set, space.family)?;
        let last = space.last(dim);
        let atoms = &wanted.atoms;
        if wanted.negated {
            let rest = vec![Product::of(dim, others(&set, last))];
            let without = |rest: Vec<Product>, id: &AtomId| {
                product(&rest, &[self.atom(role, *id, false, space)])
            };
            return Some(atoms.iter().fold(product(&[Product::default()], &rest), without));
        }
        let is_any = *set == [(0, last)];
        let mut found = vec![Product::of(dim, set)];
        if !is_any {
            found.extend(atoms.iter().map(|id| self.atom(role, *id, true, space)));
        }
        Some(found)
    }

    /// What conditions on the way out leave of the products.
    fn leaving(
        &self,
        matches: &LinkedMatch,
        products: &[Product],
        doubt: Option<Doubt>,
        seen: &Seen,
    ) -> Vec<Piece> {
        if !compares_way(matches) {
            return products.iter().map(|product| (product.clone(), doubt)).collect();
        }
        let (mut sure, mut open) = (Vec::new(), Vec::new());
        for ((egress, to), destinations) in &self.ways {
            match self.leaves(matches, *egress, *to) {
                Some(true) => sure.extend_from_slice(destinations),
                Some(false) => {}
                None => open.extend_from_slice(destinations),
            }
        }
        let parts = [(sure, doubt), (open, doubt.or(Some(Doubt::Egress)))];
        let parts = parts.into_iter().flat_map(|(destinations, doubt)| {
            let way = Product::of(seen.routed, joined(destinations));
            product(products, &[way]).into_iter().map(move |product| (product, doubt))
        });
        parts.collect()
    }

    fn leaves(
        &self,
        matches: &LinkedMatch,
        egress: Option<InterfaceId>,
        to: Option<ZoneId>,
    ) -> Option<bool> {
        let is_same = self.enters.zone.zip(to).map(|(from, to)| from == to);
        let answers = [
            listed(&matches.egress, egress.map(|id| id.0)),
            listed(&matches.to, to.map(|id| id.0)),
            match matches.relation {
                ZoneRelation::Any => Some(true),
                ZoneRelation::Intrazone => is_same,
                ZoneRelation::Interzone => is_same.map(|same| !same),
            },
        ];
        if answers.contains(&Some(false)) {
            return Some(false);
        }
        answers.iter().all(Option::is_some).then_some(true)
    }
}

/// Whether a rule compares where packets leave.
pub(crate) fn compares_way(matches: &LinkedMatch) -> bool {
    let is_any = matches.egress.is_any() && matches.to.is_any();
    !is_any || matches.relation != ZoneRelation::Any
}

/// Every packet that is in a product of either list.
fn product(one: &[Product], other: &[Product]) -> Vec<Product> {
    let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
    let common = pairs.filter_map(|(a, b)| a.and(b));
    common.filter(|it| it.0.values().all(|set| !set.is_empty())).collect()
}

fn service(term: &LinkedService, seen: &Seen, class: Class) -> Option<Product> {
    let number = |protocol: Protocol| (protocol.0.into(), protocol.0.into());
    let protocols = joined(term.protocols.iter().filter(|it| class.contains(*it)).map(number));
    if protocols.is_empty() {
        return None;
    }
    let mut found = Product::default();
    if protocols != class.protocols() {
        found = Product::of(PROTOCOL, protocols);
    }
    match class {
        Class::Ports => {
            for (dim, ports) in [(seen.src_port, &term.src_ports), (seen.dst_port, &term.dst_ports)]
            {
                if !ports.is_all() {
                    let ranges = ports.ranges().iter();
                    let ranges = ranges.map(|it| (it.first().into(), it.last().into()));
                    found.0.insert(dim, joined(ranges));
                }
            }
        }
        Class::Icmp => {
            if let Some(icmp) = term.icmp {
                found.0.insert(SRC_PORT, joined([(icmp.kind.into(), icmp.kind.into())]));
                let code = icmp.code.map(|code| (code.into(), code.into()));
                found.0.extend(code.map(|code| (DST_PORT, joined([code]))));
            }
        }
        Class::Other => {}
    }
    found.0.values().all(|set| !set.is_empty()).then_some(found)
}

/// Whether a list names what is at hand; `None` if that is not stated and matters.
fn listed(set: &IdSet, id: Option<u32>) -> Option<bool> {
    if set.is_any() { Some(true) } else { id.map(|id| set.contains(id)) }
}

/// The addresses of a family; `None` where masks have too many holes.
pub(crate) fn addresses(set: &AddressSet, family: Family) -> Option<Ranges> {
    if family == Family::V6 {
        return Some(joined(set.v6_ranges().iter().copied()));
    }
    let mut found: Vec<Range> =
        set.v4_ranges().iter().map(|&(low, high)| (low.into(), high.into())).collect();
    for pattern in set.masked() {
        // The bits that are free below the lowest compared one make a range; those above double it.
        let low_bits = pattern.mask.trailing_zeros();
        let mut starts = vec![pattern.value];
        for bit in (low_bits..32).map(|at| 1u32 << at).filter(|bit| pattern.mask & bit == 0) {
            if starts.len() + found.len() > MAX_MASK_RANGES {
                return None;
            }
            starts.extend_from_within(..);
            let half = starts.len() / 2;
            starts[half..].iter_mut().for_each(|start| *start |= bit);
        }
        let length = u128::from(1u64 << low_bits) - 1;
        found.extend(starts.into_iter().map(|start| (start.into(), u128::from(start) + length)));
    }
    Some(joined(found))
}

/// The destinations of each interface and zone packets leave by.
pub(crate) fn ways(
    firewall: &LinkedFirewall,
    passage: Passage,
    family: Family,
) -> BTreeMap<(Option<InterfaceId>, Option<ZoneId>), Ranges> {
    let is_v4 = family == Family::V4;
    let ends = firewall.routes.ranges(is_v4).map(|(first, last)| (bits(first), bits(last)));
    let mut starts: Vec<u128> =
        ends.flat_map(|(first, last)| [first, last.saturating_add(1)]).chain([0]).collect();
    starts.retain(|start| *start <= family.last());
    starts.sort_unstable();
    starts.dedup();
    let mut found: BTreeMap<_, Vec<Range>> = BTreeMap::new();
    for (at, &start) in starts.iter().enumerate() {
        let last = starts.get(at + 1).map_or(family.last(), |next| next - 1);
        let leaves = passage.leaves.unwrap_or_default();
        let routed = || firewall.route(passage.enters.interface, address(start, family));
        let egress = leaves.interface.or_else(routed);
        let to = leaves.zone.or_else(|| egress.and_then(|id| firewall.zone_of(id)));
        found.entry((egress, to)).or_default().push((start, last));
    }
    found.into_iter().map(|(way, ranges)| (way, joined(ranges))).collect()
}

pub(crate) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(crate) const fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// The most products one rule becomes.
const MAX_PIECES: usize = 1 << 20;

/// The most ranges the masks with holes of one list become.
const MAX_MASK_RANGES: usize = 1 << 12;
