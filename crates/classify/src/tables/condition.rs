//! Protocol, ports, zones and interfaces → one class that says which conditions of rules hold.

use std::borrow::Cow;
use std::collections::HashMap;

use foldhash::fast::FixedState;
use parefeu_net::Protocol;
use parefeu_policy::set::{IdSet, PortSet};
use parefeu_policy::{InterfaceId, LinkedMatch, LinkedService, PacketKey, ZoneId};

use super::classes::Classes;
use super::table::{Table, Table32};
use crate::bits::BitSet;
use crate::rows::Dimensions;
use crate::wanted::{self, Wanted};

/// What rules want beside addresses. A *condition* is one distinct combination of services, zones
/// and interfaces that some rule wants.
#[derive(Debug)]
pub(crate) struct Conditions {
    pub(crate) src_port: Table,
    pub(crate) dst_port: Table,
    pub(crate) protocols: Protocols,
    /// How many classes the ports of each side have.
    pub(crate) src_ports: u32,
    pub(crate) dst_ports: u32,
    /// By protocol, source port and destination port class → service class.
    pub(crate) services: Table,
    pub(crate) service_count: u32,
    context: Context,
    /// By context and service class → class; empty where no rule names a zone or an interface.
    pub(crate) joined: Table,
    /// By class: one bit for each condition that holds.
    pub(crate) holds: Table32,
    /// 32-bit words of a row of [`Conditions::holds`].
    pub(crate) words: u32,
    /// The classes in which each condition holds.
    pub(crate) classes_of: Vec<BitSet>,
    /// A condition that holds in no class.
    pub(crate) never: u32,
    /// How many classes there are.
    pub(crate) count: usize,
}

/// Protocol → class. Rules name few protocols, all others are of one class: packets are compared
/// side by side with each that is named, not looked up one by one.
#[derive(Debug)]
pub(crate) struct Protocols {
    pub(crate) others: u8,
    /// Those of another class, and their class.
    pub(crate) named: Box<[(u8, u8)]>,
}

impl Protocols {
    /// Given the class of each protocol.
    fn new(classes: &[u8]) -> Self {
        let mut counts = [0usize; 256];
        for class in classes {
            counts[usize::from(*class)] += 1;
        }
        let most = (0..=u8::MAX).max_by_key(|class| counts[usize::from(*class)]);
        let others = most.unwrap_or(0);
        let named = (0..=u8::MAX).zip(classes.iter().copied()).filter(|it| it.1 != others);
        Self { others, named: named.collect() }
    }

    #[inline]
    fn class(&self, protocol: u8) -> u8 {
        let named = self.named.iter().find(|it| it.0 == protocol);
        named.map_or(self.others, |it| it.1)
    }
}

/// How much of services conditions say. What is left out, whoever asks checks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Precision {
    /// Everything.
    Whole,
    /// Source ports are left out.
    NoSourcePorts,
    /// All ports are left out.
    NoPorts,
}

impl Precision {
    /// The finest first.
    pub(crate) const ALL: [Self; 3] = [Self::Whole, Self::NoSourcePorts, Self::NoPorts];

    /// Whether conditions say all there is to the services of a rule.
    pub(crate) fn is_whole_for(self, rule: &LinkedMatch) -> bool {
        rule.services.terms.iter().all(|term| {
            let src = self == Self::Whole || term.src_ports.is_all();
            src && (self != Self::NoPorts || term.dst_ports.is_all())
        })
    }

    fn of(self, terms: &[LinkedService]) -> Cow<'_, [LinkedService]> {
        if self == Self::Whole {
            return Cow::Borrowed(terms);
        }
        let coarse = |term: &LinkedService| LinkedService {
            src_ports: PortSet::all(),
            dst_ports: if self == Self::NoPorts { PortSet::all() } else { term.dst_ports.clone() },
            ..term.clone()
        };
        Cow::Owned(terms.iter().map(coarse).collect())
    }
}

/// Classes of zones and interfaces.
#[derive(Debug)]
struct Context {
    /// By value, the last for *not stated*: ingress zone, egress zone, ingress, egress interface.
    fields: [Box<[u16]>; 4],
    zones: Box<[u16]>,
    zone_columns: usize,
    interfaces: Box<[u16]>,
    interface_columns: usize,
    both: Box<[u16]>,
    both_columns: usize,
}

/// Table entries one step may have.
const MOST_ENTRIES: usize = 1 << 20;

/// Bytes of the rows that say which conditions hold.
const MOST_HOLDS_BYTES: usize = 6 << 20;

impl Conditions {
    /// The conditions of rules, and which one each rule has. `None` where tables would outgrow
    /// their bounds.
    pub(crate) fn build(
        rules: &[&LinkedMatch],
        dimensions: Dimensions,
        precision: Precision,
    ) -> Option<(Self, Vec<u32>)> {
        let mut contexts = Numbering::default();
        let mut services = Numbering::default();
        let mut conditions = Numbering::default();
        let of_rule: Vec<u32> = rules
            .iter()
            .map(|rule| {
                let context = contexts.of([&rule.from, &rule.to, &rule.ingress, &rule.egress]);
                let terms = precision.of(&rule.services.terms);
                let service = services.of((terms, rule.services.atoms.is_empty()));
                conditions.of((context, service))
            })
            .collect();
        let ports = Ports::build(&services.values)?;
        let (context, context_rows) = Context::build(&contexts.values, dimensions)?;

        let condition_count = conditions.values.len();
        let project = |row: &BitSet, part: fn(&(u32, u32)) -> u32| {
            let holds = |pair| row.contains(part(pair) as usize);
            let held = conditions.values.iter().enumerate().filter(|(_, pair)| holds(pair));
            BitSet::of(condition_count, held.map(|(condition, _)| condition))
        };
        if (context_rows.len() + ports.rows.len()) * condition_count > 64 * MOST_ENTRIES
            || context_rows.len() * ports.rows.len() > MOST_ENTRIES
        {
            return None;
        }
        let by_service: Vec<_> = ports.rows.iter().map(|row| project(row, |it| it.1)).collect();
        // One more bit than there are conditions: the one that never holds.
        let words = (condition_count + 1).div_ceil(32);
        let mut classes = Classes::new(MOST_HOLDS_BYTES / 4 / words);
        let mut joined = Vec::with_capacity(context_rows.len() * ports.rows.len());
        for row in &context_rows {
            let by_context = project(row, |it| it.0);
            for by_service in &by_service {
                joined.push(classes.of(&by_service.intersection(&by_context))?);
            }
        }
        let count = classes.rows().len();
        let mut classes_of = vec![BitSet::empty(count); condition_count];
        let mut holds = vec![0u32; count * words];
        for (class, row) in classes.rows().iter().enumerate() {
            for condition in row.iter() {
                classes_of[condition].set(class);
                holds[class * words + condition / 32] |= 1 << (condition % 32);
            }
        }
        let service_count = ports.rows.len() as u32;
        // Without contexts the service class is the class: both are numbered as they are met.
        let joined = if context_rows.len() > 1 { joined } else { Vec::new() };
        let built = Self {
            src_port: Table::new(&ports.src),
            dst_port: Table::new(&ports.dst),
            protocols: Protocols::new(&ports.protocol),
            src_ports: ports.src_count,
            dst_ports: ports.dst_count,
            services: Table::new(&ports.services),
            service_count,
            context,
            joined: Table::new(&joined),
            holds: Table32::new(holds),
            words: words as u32,
            classes_of,
            never: condition_count as u32,
            count,
        };
        Some((built, of_rule))
    }

    /// The class of a packet's zones and interfaces.
    #[inline]
    pub(crate) fn context(&self, key: &PacketKey) -> u32 {
        if self.joined.is_empty() { 0 } else { self.context.class(key) }
    }

    #[inline]
    pub(crate) fn class(&self, key: &PacketKey) -> u16 {
        let at = u32::from(self.protocols.class(key.protocol.0));
        let at = at * self.src_ports + self.src_port.at(key.src_port.into());
        let at = at * self.dst_ports + self.dst_port.at(key.dst_port.into());
        let service = self.services.at(at as usize);
        if self.joined.is_empty() {
            return service as u16;
        }
        let at = self.context.class(key) * self.service_count + service;
        self.joined.at(at as usize) as u16
    }

    /// Whether a condition holds in a class.
    #[inline]
    pub(crate) fn holds(&self, class: u16, condition: u32) -> bool {
        let word = u32::from(class) * self.words + condition / 32;
        self.holds.at(word as usize) >> (condition % 32) & 1 == 1
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let tables = [&self.src_port, &self.dst_port, &self.services, &self.joined];
        let classes_of: usize = self.classes_of.iter().map(|set| set.words().len() * 8).sum();
        tables.into_iter().map(Table::memory_bytes).sum::<usize>()
            + self.holds.memory_bytes()
            + classes_of
            + self.context.memory_bytes()
    }
}

/// Numbers distinct values in the order they are met.
struct Numbering<T> {
    known: HashMap<T, u32, FixedState>,
    values: Vec<T>,
}

impl<T> Default for Numbering<T> {
    fn default() -> Self {
        Self { known: HashMap::default(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbering<T> {
    fn of(&mut self, value: T) -> u32 {
        let next = self.values.len() as u32;
        let id = *self.known.entry(value.clone()).or_insert(next);
        if id == next {
            self.values.push(value);
        }
        id
    }
}

/// Services as a rule lists them; whether every member is modelled.
type ServiceList<'a> = (Cow<'a, [LinkedService]>, bool);

/// Classes of ports and protocols, and of services by them.
struct Ports {
    src: Vec<u16>,
    dst: Vec<u16>,
    protocol: Vec<u8>,
    src_count: u32,
    dst_count: u32,
    services: Vec<u16>,
    /// By service class: the service lists that match.
    rows: Vec<BitSet>,
}

impl Ports {
    fn build(lists: &[ServiceList<'_>]) -> Option<Self> {
        let mut numbering = Numbering::default();
        let mut lists_of_term: Vec<Vec<usize>> = Vec::new();
        for (list, (terms, _)) in lists.iter().enumerate() {
            for term in &**terms {
                let id = numbering.of(term) as usize;
                lists_of_term.resize(lists_of_term.len().max(id + 1), Vec::new());
                lists_of_term[id].push(list);
            }
        }
        let terms = numbering.values;
        let unmodelled: Vec<usize> = lists
            .iter()
            .enumerate()
            .filter(|(_, (_, modelled))| !modelled)
            .map(|it| it.0)
            .collect();
        let side = |ports: fn(&LinkedService) -> Wanted<u16>| {
            let has_ports = |term: &LinkedService| term.protocols.iter().any(Protocol::has_ports);
            let wanted = |term: &&LinkedService| {
                if has_ports(term) { ports(term) } else { Wanted::Anything }
            };
            let wanted: Vec<Wanted<u16>> = terms.iter().map(wanted).collect();
            let mut classes = Classes::new(MOST_ENTRIES);
            let field = classes.divide(&wanted, 0, |port| port.checked_add(1))?;
            let table: Vec<u16> = (0..=u16::MAX).map(|port| field.class(port)).collect();
            Some((table, classes))
        };
        let (src, src_classes) = side(|term| wanted::ranges(&term.src_ports))?;
        let (dst, dst_classes) = side(|term| wanted::ranges(&term.dst_ports))?;
        let (protocol, protocol_rows) = protocols(&terms);

        let (src_count, dst_count) = (src_classes.rows().len(), dst_classes.rows().len());
        let entries = protocol_rows.len().checked_mul(src_count)?.checked_mul(dst_count)?;
        let words = terms.len().div_ceil(64).max(1);
        if entries > MOST_ENTRIES || entries * words > 64 * MOST_ENTRIES {
            return None;
        }
        let mut service_classes = Classes::new(usize::from(u16::MAX));
        let mut known: HashMap<BitSet, u16, FixedState> = HashMap::default();
        let mut services = Vec::with_capacity(entries);
        for (row, has_ports) in &protocol_rows {
            for src in src_classes.rows() {
                let of_src = if *has_ports { row.intersection(src) } else { row.clone() };
                for dst in dst_classes.rows() {
                    let matching =
                        if *has_ports { of_src.intersection(dst) } else { of_src.clone() };
                    let class = if let Some(class) = known.get(&matching) {
                        *class
                    } else {
                        let of_terms = matching.iter().flat_map(|term| &lists_of_term[term]);
                        let matching_lists = of_terms.chain(&unmodelled).copied();
                        let class = service_classes.of(&BitSet::of(lists.len(), matching_lists))?;
                        known.insert(matching, class);
                        class
                    };
                    services.push(class);
                }
            }
        }
        Some(Self {
            src,
            dst,
            protocol,
            src_count: src_count as u32,
            dst_count: dst_count as u32,
            services,
            rows: service_classes.rows().to_vec(),
        })
    }
}

/// The class of each protocol, and by class the terms that name it and whether it has ports.
fn protocols(terms: &[&LinkedService]) -> (Vec<u8>, Vec<(BitSet, bool)>) {
    let mut rows = Numbering::default();
    let class = |protocol: Protocol| {
        let naming = terms.iter().enumerate().filter(|(_, it)| it.protocols.contains(protocol));
        let row = BitSet::of(terms.len(), naming.map(|(term, _)| term));
        rows.of((row, protocol.has_ports())) as u8
    };
    ((0..=u8::MAX).map(Protocol).map(class).collect(), rows.values)
}

impl Context {
    /// With the rows of contexts that hold in each class.
    fn build(contexts: &[[&IdSet; 4]], dimensions: Dimensions) -> Option<(Self, Vec<BitSet>)> {
        let Dimensions { zones, interfaces } = dimensions;
        let field = |field: usize, values: u32| {
            let mut classes = Classes::new(MOST_ENTRIES);
            let row = |value: Option<u32>| {
                let may = |set: &IdSet| value.is_none_or(|value| set.contains(value));
                let holding = contexts.iter().enumerate().filter(|(_, sets)| may(sets[field]));
                BitSet::of(contexts.len(), holding.map(|(context, _)| context))
            };
            let values = (0..values).map(Some).chain([None]);
            let table: Option<Box<[u16]>> = values.map(|value| classes.of(&row(value))).collect();
            Some((table?, classes))
        };
        let (from, from_classes) = field(0, zones)?;
        let (to, to_classes) = field(1, zones)?;
        let (ingress, ingress_classes) = field(2, interfaces)?;
        let (egress, egress_classes) = field(3, interfaces)?;
        let (zone_table, zone_classes) = join(&from_classes, &to_classes)?;
        let (interface_table, interface_classes) = join(&ingress_classes, &egress_classes)?;
        let (both, both_classes) = join(&zone_classes, &interface_classes)?;
        let built = Self {
            fields: [from, to, ingress, egress],
            zones: zone_table,
            zone_columns: to_classes.rows().len(),
            interfaces: interface_table,
            interface_columns: egress_classes.rows().len(),
            both,
            both_columns: interface_classes.rows().len(),
        };
        Some((built, both_classes.rows().to_vec()))
    }

    fn class(&self, key: &PacketKey) -> u32 {
        let values = [
            key.from.map(ZoneId::index),
            key.to.map(ZoneId::index),
            key.ingress.map(InterfaceId::index),
            key.egress.map(InterfaceId::index),
        ];
        let [from, to, ingress, egress] = std::array::from_fn(|field| {
            let table = &self.fields[field];
            let not_stated = table.len() - 1;
            usize::from(table[values[field].map_or(not_stated, |value| value.min(not_stated))])
        });
        let zones = usize::from(self.zones[from * self.zone_columns + to]);
        let interfaces = usize::from(self.interfaces[ingress * self.interface_columns + egress]);
        self.both[zones * self.both_columns + interfaces].into()
    }

    fn memory_bytes(&self) -> usize {
        let tables = [&self.zones, &self.interfaces, &self.both];
        let entries = self.fields.iter().chain(tables).map(|table| table.len()).sum::<usize>();
        entries * 2
    }
}

/// Every pair of classes of two fields → the class of what holds in both.
fn join(rows: &Classes, columns: &Classes) -> Option<(Box<[u16]>, Classes)> {
    if rows.rows().len() * columns.rows().len() > MOST_ENTRIES {
        return None;
    }
    let mut classes = Classes::new(MOST_ENTRIES);
    let pairs = rows.rows().iter().flat_map(|row| columns.rows().iter().map(move |it| (row, it)));
    let table: Option<Box<[u16]>> =
        pairs.map(|(row, column)| classes.of(&row.intersection(column))).collect();
    Some((table?, classes))
}
