//! The translations of one side: which packets are translated alike, and what becomes of them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use parefeu_net::PortRange;
use parefeu_policy::set::AddressSet;
use parefeu_policy::{LinkedNatRule, LinkedNatTable, LinkedPortTranslation, LinkedTranslation};

use super::rule::{Conditions, Reader};
use super::values::{Region, Values};
use super::view::{Image, View};
use super::way::Way;
use super::{Family, MAX_REPLACED_PREFIXES, NotFlattened, Obstacle, ProtocolClass};
use crate::{Field, Function};

/// What becomes of one field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Change {
    /// As an outcome says it.
    pub(super) function: Function,
    /// As later stages see it.
    pub(super) image: Image,
}

impl Change {
    const NONE: Self = Self { function: Function::Keep, image: Image::Same };

    fn to(value: u128) -> Self {
        let image = Image::OneOf(Values::single(value));
        Self { function: Function::Constant(value), image }
    }

    fn shift(first: u128, last: u128, by: u128) -> Self {
        if by == 0 {
            return Self::NONE;
        }
        Self { function: Function::Shift(by), image: Image::Shift { first, last, by } }
    }

    /// What nobody can tell.
    fn untold(text: &str) -> Self {
        Self::chosen(text, Image::Untold(text.into()))
    }

    fn chosen(text: &str, image: Image) -> Self {
        Self { function: Function::Chosen(text.into()), image }
    }
}

/// Packets whose address and port on one side are translated alike.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// The packets, as they arrive.
    pub(super) region: Region,
    /// What becomes of the address.
    pub(super) address: Change,
    /// What becomes of the port.
    pub(super) port: Change,
    /// The rule, as an index of its table; `None` where none matches.
    pub(super) rule: Option<u32>,
}

impl Turn {
    /// Nothing is translated.
    pub(super) const fn none(region: Region) -> Self {
        Self { region, address: Change::NONE, port: Change::NONE, rule: None }
    }
}

/// A table of translations, its rules read.
pub(super) struct Table<'a> {
    rules: Vec<(u32, &'a LinkedNatRule, Conditions)>,
}

impl<'a> Table<'a> {
    pub(super) fn read(
        reader: &Reader<'_>,
        table: &'a LinkedNatTable,
    ) -> Result<Self, NotFlattened> {
        let rules = (0..).zip(&table.rules).filter(|(_, rule)| !rule.disabled);
        let rules = rules.map(|(at, rule)| {
            reader.go_on(rule.at)?;
            Ok((at, rule, reader.header_conditions(rule)?))
        });
        Ok(Self { rules: rules.collect::<Result<_, _>>()? })
    }

    /// What becomes of the destinations of all packets. Of two turns that hold a packet the first
    /// counts; the last one holds all.
    pub(super) fn destinations(&self, reader: &Reader<'_>) -> Result<Vec<Turn>, NotFlattened> {
        let mut found = Vec::new();
        for (at, rule, conditions) in &self.rules {
            let refuse = |reason| reader.refuse(reason, rule.at);
            let whole = Region::default();
            let regions = View::ARRIVED.matching(&whole, conditions, reader.space.stop);
            for region in regions.map_err(refuse)? {
                let turns = turns(reader, rule, &region, (Field::Dst, Field::DstPort));
                found.extend(turns.map_err(refuse)?.into_iter().map(|turn| (turn, *at, rule.at)));
            }
        }
        let told = |(turn, at, lines): (Turn, u32, _)| match turn.address.image {
            Image::Untold(_) => Err(reader.refuse(Obstacle::Translation, lines)),
            _ => Ok(Turn { rule: Some(at), ..turn }),
        };
        let mut found: Vec<Turn> = found.into_iter().map(told).collect::<Result<_, _>>()?;
        found.push(Turn::none(Region::default()));
        Ok(found)
    }

    /// What becomes of the sources of the packets of `guard`, seen as `view` has them; `routed` is
    /// what their destinations become. Of two turns that hold a packet the first counts; the last
    /// one holds all of the guard.
    pub(super) fn sources(
        &self,
        reader: &Reader<'_>,
        guard: &Region,
        (view, routed): (&View, &Image),
    ) -> Result<Vec<Turn>, NotFlattened> {
        let mut found = Vec::new();
        for (at, rule, conditions) in &self.rules {
            let refuse = |reason| reader.refuse(reason, rule.at);
            let regions = view.matching(guard, conditions, reader.space.stop);
            for region in regions.map_err(refuse)? {
                let turns = match rule.translation {
                    LinkedTranslation::EgressInterface => interfaces(reader, &region, routed),
                    _ => turns(reader, rule, &region, (Field::Src, Field::SrcPort)),
                };
                let turns = turns.map_err(refuse)?.into_iter();
                found.extend(turns.map(|turn| Turn { rule: Some(*at), ..turn }));
            }
        }
        found.push(Turn::none(guard.clone()));
        Ok(found)
    }
}

/// What a rule makes of the packets of a region, part by part.
fn turns(
    reader: &Reader<'_>,
    rule: &LinkedNatRule,
    region: &Region,
    (address, port): (Field, Field),
) -> Result<Vec<Turn>, Obstacle> {
    let family = reader.space.family;
    let known = region.sets().get(&address);
    let all = (None, Change::NONE);
    let untold = |text: &str| {
        let change = Change::untold(text);
        Ok(vec![Turn { region: region.clone(), address: change.clone(), port: change, rule: None }])
    };
    let (addresses, port_translation) = match &rule.translation {
        LinkedTranslation::Keep => (vec![all], &LinkedPortTranslation::Keep),
        LinkedTranslation::Prefix { to, port } => (replaced(*to, known, family)?, port),
        LinkedTranslation::Pool { to, port } => match pool(to, family) {
            Some(change) => (vec![(None, change)], port),
            // A pool without an address of the family is no translation for it.
            None => return Ok(Vec::new()),
        },
        LinkedTranslation::Embedded(_) => return Err(Obstacle::OtherFamily),
        LinkedTranslation::EgressInterface => return untold("an address of the way out"),
        LinkedTranslation::Unknown(atom) => {
            return untold(&reader.dialect_text(&reader.firewall.atoms[atom.index()].text));
        }
    };
    let ports = ports(port_translation, reader.space.protocols);
    let pairs = addresses.iter().flat_map(|a| ports.iter().map(move |b| (a, b)));
    let turned = pairs.filter_map(|((addresses, change), (ports, port_change))| {
        let part = |region: Region, field: &Field, values: &Option<Values>| match values {
            Some(values) => region.narrowed(field.clone(), values),
            None => Some(region),
        };
        let region = part(part(region.clone(), &address, addresses)?, &port, ports)?;
        let (address, port) = (change.clone(), port_change.clone());
        Some(Turn { region, address, port, rule: None })
    });
    Ok(turned.collect())
}

/// The addresses of the interfaces the packets of a region leave by.
fn interfaces(reader: &Reader<'_>, region: &Region, routed: &Image) -> Result<Vec<Turn>, Obstacle> {
    let (port, any) = (allocated(&[DYNAMIC_PORTS], reader.space.protocols), Ipv4Addr::UNSPECIFIED);
    let like = match reader.space.family {
        Family::V4 => any.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let last = reader.space.last(&Field::Dst);
    let mut found = Vec::new();
    for (Way { egress, .. }, destinations) in &reader.ways {
        let part = match routed.origins(destinations)? {
            Some(part) if !part.is_full(last) => region.clone().narrowed(Field::Dst, &part),
            _ => Some(region.clone()),
        };
        let own = reader.firewall.address_of(*egress, like);
        let address = own.map_or_else(
            || {
                let interface = egress.and_then(|id| reader.firewall.interfaces.get(id.index()));
                let name = interface.map_or("the way out", |interface| &interface.name);
                let text = reader.dialect_text(&format!("the address of {name}"));
                Change::untold(&text)
            },
            |own| Change::to(super::way::bits(own)),
        );
        let turn = |region| Turn { region, address, port: port.clone(), rule: None };
        found.extend(part.map(turn));
    }
    Ok(found)
}

/// What a new prefix makes of the addresses, which are all without `known`: for each prefix that is
/// replaced, its addresses.
fn replaced(
    to: IpNet,
    known: Option<&Values>,
    family: Family,
) -> Result<Vec<(Option<Values>, Change)>, Obstacle> {
    let (network, width) = match (to, family) {
        (IpNet::V4(to), Family::V4) => (to.network().to_bits().into(), 32),
        (IpNet::V6(to), Family::V6) => (to.network().to_bits(), 128),
        _ => return Err(Obstacle::OtherFamily),
    };
    let host_bits = width - u32::from(to.prefix_len());
    if host_bits == width {
        return Ok(vec![(None, Change::NONE)]);
    }
    if host_bits == 0 {
        return Ok(vec![(None, Change::to(network))]);
    }
    let every = Values::of([(0, family.last())]);
    let prefixes = known.unwrap_or(&every).ranges().iter();
    let prefixes = Values::of(prefixes.map(|(a, b)| (a >> host_bits, b >> host_bits)));
    let counts = prefixes.ranges().iter().map(|(a, b)| b - a);
    if counts.fold(0, |all: u128, count| all.saturating_add(count).saturating_add(1))
        > MAX_REPLACED_PREFIXES
    {
        return Err(Obstacle::ManyPrefixes);
    }
    let prefixes = prefixes.ranges().iter().flat_map(|&(a, b)| a..=b);
    let replaced = prefixes.map(|prefix| {
        let first = prefix << host_bits;
        let last = first | ((1 << host_bits) - 1);
        let change = Change::shift(first, last, network.wrapping_sub(first));
        (Some(Values::of([(first, last)])), change)
    });
    Ok(replaced.collect())
}

/// One address of a pool; `None` when it has none of the family.
fn pool(to: &AddressSet, family: Family) -> Option<Change> {
    let values = match family {
        Family::V4 => Values::of(to.v4_ranges().iter().map(|&(a, b)| (a.into(), b.into()))),
        Family::V6 => Values::of(to.v6_ranges().iter().copied()),
    };
    match values.ranges() {
        [] => None,
        &[(first, last)] if first == last => Some(Change::to(first)),
        ranges => {
            let mut text = String::from("one of");
            for (first, last) in ranges {
                let address = |bits| super::way::address(bits, family == Family::V4);
                let _ = write!(text, " {}-{}", address(*first), address(*last));
            }
            Some(Change::chosen(&text, Image::OneOf(values)))
        }
    }
}

/// What becomes of the ports, part by part. Packets without ports keep what they have, and of ICMP
/// an identifier may be chosen.
fn ports(port: &LinkedPortTranslation, class: ProtocolClass) -> Vec<(Option<Values>, Change)> {
    match port {
        LinkedPortTranslation::Allocate(ranges) => vec![(None, allocated(ranges, class))],
        LinkedPortTranslation::Shift { from, to }
            if from != to && class == ProtocolClass::WithPorts =>
        {
            // Ports that would go past the last one begin at 0 again.
            let by = u128::from(to.wrapping_sub(*from));
            let last = u128::from(u16::MAX);
            let parts = [(0, last - by, by), (last - by + 1, last, by.wrapping_sub(last + 1))];
            let part = |(first, last, by)| {
                (Some(Values::of([(first, last)])), Change::shift(first, last, by))
            };
            parts.map(part).into()
        }
        LinkedPortTranslation::To(port) if class == ProtocolClass::WithPorts => {
            vec![(None, Change::to((*port).into()))]
        }
        LinkedPortTranslation::Keep
        | LinkedPortTranslation::Shift { .. }
        | LinkedPortTranslation::To(_) => vec![(None, Change::NONE)],
    }
}

/// A port that is chosen when the session opens. What later stages see is the one wished for.
fn allocated(ranges: &[PortRange], class: ProtocolClass) -> Change {
    match class {
        ProtocolClass::WithPorts => {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            Change::chosen(&format!("a free port of {}", ranges.join(" ")), Image::Same)
        }
        ProtocolClass::Icmp => Change::chosen("a free identifier", Image::Same),
        ProtocolClass::Other => Change::NONE,
    }
}

/// What a port is chosen from where the address of an interface takes the place of another.
const DYNAMIC_PORTS: PortRange = match PortRange::new(1024, u16::MAX) {
    Ok(range) => range,
    Err(_) => PortRange::ALL,
};
