//! What one rule matches, as products of sets.

use std::collections::{BTreeMap, HashMap};

use parefeu_net::{MacAddress, Protocol, TcpFlags};
use parefeu_policy::set::{AddressSet, IdSet, MaskedAddress, PortSet, Ranges};
use parefeu_policy::{
    AtomId, ConnectionState, LinkedAddresses, LinkedFirewall, LinkedMatch, LinkedNatRule,
    LinkedService, Span, ZoneRelation,
};

use super::values::{Region, Values};
use super::way::{self, Way};
use super::{
    Family, MAX_MASKED_RANGES, MAX_STEPS, NotFlattened, Obstacle, Passage, Place, ProtocolClass,
    Space, dialect_text,
};
use crate::{Field, Side};

/// What a rule matches, in the fields its stage sees.
pub(super) struct Conditions {
    /// The products that together hold what headers and identification leave; none names a full
    /// set.
    pub(super) regions: Vec<Region>,
    /// What conditions on the way out leave; `None` for all.
    pub(super) leaving: Option<Leaving>,
}

/// A condition on the way out, in the destinations that are routed.
pub(super) struct Leaving {
    /// Those that surely match.
    pub(super) sure: Values,
    /// Those of which nobody can tell.
    pub(super) open: Values,
    /// Why not.
    pub(super) reason: Obstacle,
    /// The packets that are asked about: of others it does not matter.
    pub(super) asked: Region,
}

/// Reads the rules of one side.
pub(super) struct Reader<'a> {
    pub(super) firewall: &'a LinkedFirewall,
    pub(super) side: Side,
    pub(super) space: &'a Space<'a>,
    /// Where packets enter, the zone filled in.
    ingress: Place,
    /// What the firewall calls each name of [`Space::applications`].
    applications: Vec<Option<u32>>,
    users: Vec<Field>,
    /// What [`Reader::default_services`] found.
    defaults: Vec<Region>,
    /// The destinations of each way out.
    pub(super) ways: BTreeMap<Way, Values>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        firewall: &'a LinkedFirewall,
        side: Side,
        passage: Passage,
        space: &'a Space<'a>,
    ) -> Self {
        let ingress = passage.ingress.with_zone(firewall);
        let ways = way::out(firewall, passage, space.family);
        let known = &firewall.applications;
        let known: BTreeMap<&str, u32> = known.iter().map(|it| &*it.name).zip(0..).collect();
        let applications = space.applications.iter().map(|name| known.get(name).copied()).collect();
        let users = firewall.users.iter().map(|name| Field::User(name.clone())).collect();
        let defaults = Vec::new();
        let mut reader =
            Self { firewall, side, space, ingress, applications, users, defaults, ways };
        reader.defaults = reader.default_services();
        reader
    }

    /// An obstacle of this side.
    pub(super) fn refuse(&self, reason: Obstacle, at: Span) -> NotFlattened {
        NotFlattened { side: self.side, at, reason }
    }

    /// An obstacle where the sign to stop is given.
    pub(super) fn go_on(&self, at: Span) -> Result<(), NotFlattened> {
        if self.space.stop.is_given() { Err(self.refuse(Obstacle::Stopped, at)) } else { Ok(()) }
    }

    /// What a rule matches.
    pub(super) fn conditions(
        &self,
        matches: &LinkedMatch,
        at: Span,
    ) -> Result<Conditions, NotFlattened> {
        let never = Conditions { regions: Vec::new(), leaving: None };
        let here = [
            stated(&matches.ingress, self.ingress.interface.map(|id| id.0)),
            stated(&matches.from, self.ingress.zone.map(|id| id.0)),
        ];
        if !matches.states.contains(ConnectionState::New) || here.contains(&Some(false)) {
            return Ok(never);
        }
        let found = self.products(matches, at)?;
        if found.is_empty() {
            return Ok(never);
        }
        if here.contains(&None) {
            return Err(self.refuse(Obstacle::Ingress, at));
        }
        let simple = |region: Region| region.without_full(|field| self.space.last(field));
        let regions = found.into_iter().map(simple).collect();
        Ok(Conditions { regions, leaving: self.leaving(matches) })
    }

    /// The same of a translation rule, which compares no more than headers.
    pub(super) fn header_conditions(
        &self,
        rule: &LinkedNatRule,
    ) -> Result<Conditions, NotFlattened> {
        let mut headers = rule.matches.clone();
        headers.applications = IdSet::Any;
        headers.url_categories = IdSet::Any;
        headers.users = IdSet::Any;
        headers.services.application_default = false;
        self.conditions(&headers, rule.at)
    }

    /// What all but the ways in and out leave.
    fn products(&self, matches: &LinkedMatch, at: Span) -> Result<Vec<Region>, NotFlattened> {
        let all = self.single_sets(matches, at)?;
        let all = all
            .into_iter()
            .try_fold(Region::default(), |all, (field, values)| all.narrowed(field, &values));
        let categories = &self.space.categories.fields[self.side as usize];
        let any = [Region::default()];
        let defaults = matches.services.application_default;
        let factors = [
            if defaults { self.defaults.clone() } else { any.into() },
            self.services(matches),
            memberships(&matches.url_categories, categories),
            memberships(&matches.users, &self.users),
            self.addresses(Field::Src, "source", &matches.src, at)?,
            self.addresses(Field::Dst, "destination", &matches.dst, at)?,
        ];
        let count = factors.iter().map(Vec::len).fold(1, usize::saturating_mul);
        if count > MAX_STEPS as usize {
            return Err(self.refuse(Obstacle::TooLong, at));
        }
        factors.iter().try_fold(Vec::from_iter(all), |found, factor| {
            let mut products = Vec::new();
            for one in &found {
                self.go_on(at)?;
                products.extend(factor.iter().filter_map(|other| one.intersection(other)));
            }
            Ok(products)
        })
    }

    /// The conditions that narrow one field each.
    fn single_sets(
        &self,
        matches: &LinkedMatch,
        at: Span,
    ) -> Result<Vec<(Field, Values)>, NotFlattened> {
        let mut found = Vec::new();
        if !matches.applications.is_any() {
            found.push((Field::Application, self.named(matches)));
        }
        let holds = |atom: &AtomId| (self.atom("condition", *atom), Values::single(1));
        found.extend(matches.atoms.iter().map(holds));
        if !matches.tcp_flags.is_empty() && self.space.flags {
            let tcp = Values::single(Protocol::TCP.0.into());
            let fits = |flags: &u8| matches.tcp_flags.iter().any(|wanted| wanted.holds(*flags));
            let flags = (0..=u8::MAX).filter(fits).map(|flags| (flags.into(), flags.into()));
            found.extend([(Field::Protocol, tcp), (Field::Flags, Values::of(flags))]);
        } else if !matches.tcp_flags.is_empty() {
            let opens = matches.tcp_flags.iter().any(|wanted| wanted.holds(TcpFlags::SYN.0));
            let tcp = opens.then_some((Protocol::TCP.0.into(), Protocol::TCP.0.into()));
            found.push((Field::Protocol, Values::of(tcp)));
        }
        if !matches.devices.is_empty() {
            let number =
                |device: &MacAddress| device.0.iter().fold(0, |all, it| all << 8 | u128::from(*it));
            let numbers = matches.devices.iter().map(number);
            found.push((Field::Device, Values::of(numbers.map(|number| (number, number)))));
        }
        if let Some(schedule) = matches.schedule {
            let moments = self.space.moments.as_ref();
            let moments = moments.ok_or_else(|| self.refuse(Obstacle::Schedule, at))?;
            found.push((Field::Time, moments.on[self.side as usize][schedule.index()].clone()));
        }
        Ok(found)
    }

    /// Where the service is a default one of the application: a region for each service, with the
    /// applications it is one of. Of an application the firewall does not name nobody can tell.
    fn default_services(&self) -> Vec<Region> {
        let mut services: Vec<(&LinkedService, Vec<u128>)> = Vec::new();
        let mut known: HashMap<&LinkedService, usize> = HashMap::new();
        let mut unknown = vec![0];
        for (value, id) in (1u128..).zip(&self.applications) {
            let Some(id) = *id else {
                unknown.push(value);
                continue;
            };
            for service in &self.firewall.applications[id as usize].default_services {
                let at = *known.entry(service).or_insert_with(|| {
                    services.push((service, Vec::new()));
                    services.len() - 1
                });
                services[at].1.push(value);
            }
        }
        let of = |region: Region, values: &[u128]| {
            let values = Values::of(values.iter().map(|value| (*value, *value)));
            region.narrowed(Field::Application, &values)
        };
        let told =
            services.iter().filter_map(|(service, of_them)| of(self.service(service)?, of_them));
        let atom = Field::Atom(self.dialect_text("application-default"));
        let untold = Region::default().narrowed(atom, &Values::single(1));
        told.chain(untold.and_then(|region| of(region, &unknown))).collect()
    }

    /// The values of [`Field::Application`] a rule matches with.
    fn named(&self, matches: &LinkedMatch) -> Values {
        let set = &matches.applications;
        let unnamed = set.holds_unnamed().then_some(0);
        let names = (1u128..)
            .zip(&self.applications)
            .filter(|(_, id)| id.map_or(set.holds_unnamed(), |id| set.contains(id)));
        let values = unnamed.into_iter().chain(names.map(|(value, _)| value));
        Values::of(values.map(|value| (value, value)))
    }

    fn atom(&self, role: &str, id: AtomId) -> Field {
        super::atom_field(self.firewall, role, id, self.space.one_dialect)
    }

    /// A text that means the same on both sides, if it is the same.
    pub(super) fn dialect_text(&self, text: &str) -> Box<str> {
        dialect_text(text, self.firewall.dialect, self.space.one_dialect)
    }

    fn services(&self, matches: &LinkedMatch) -> Vec<Region> {
        let services = &matches.services;
        let terms = services.terms.iter().filter_map(|term| self.service(term));
        let atoms = services.atoms.iter().filter_map(|atom| {
            Region::default().narrowed(self.atom("service", *atom), &Values::single(1))
        });
        terms.chain(atoms).collect()
    }

    fn service(&self, term: &LinkedService) -> Option<Region> {
        let class = self.space.protocols;
        let mut wanted = super::protocols(term.protocols.iter().filter(|it| class.contains(*it)));
        if !wanted.is_empty() && wanted == self.space.other_protocols().complement(u8::MAX.into()) {
            wanted = Values::of([(0, u8::MAX.into())]);
        }
        let region = Region::default().narrowed(Field::Protocol, &wanted)?;
        match (class, term.icmp) {
            (ProtocolClass::WithPorts, _) => region
                .narrowed(Field::SrcPort, &ports(&term.src_ports))?
                .narrowed(Field::DstPort, &ports(&term.dst_ports)),
            (ProtocolClass::Icmp, Some(icmp)) => {
                let region = region.narrowed(Field::SrcPort, &Values::single(icmp.kind.into()))?;
                match icmp.code {
                    Some(code) => region.narrowed(Field::DstPort, &Values::single(code.into())),
                    None => Some(region),
                }
            }
            (ProtocolClass::Icmp, None) | (ProtocolClass::Other, _) => Some(region),
        }
    }

    fn addresses(
        &self,
        field: Field,
        role: &str,
        wanted: &LinkedAddresses,
        at: Span,
    ) -> Result<Vec<Region>, NotFlattened> {
        let values = values(&wanted.set, self.space.family)
            .ok_or_else(|| self.refuse(Obstacle::Masked, at))?;
        let last = self.space.last(&field);
        if wanted.negated {
            let rest = Region::default().narrowed(field, &values.complement(last));
            let mut atoms = wanted.atoms.iter();
            let none = Values::single(0);
            let found = rest.and_then(|rest| {
                atoms.try_fold(rest, |rest, atom| rest.narrowed(self.atom(role, *atom), &none))
            });
            return Ok(Vec::from_iter(found));
        }
        // What a full set already holds, no atom adds to.
        let atoms = if values.is_full(last) { &[][..] } else { &wanted.atoms };
        let holds = Values::single(1);
        let atoms = atoms.iter().map(|atom| (self.atom(role, *atom), &holds));
        let choices = std::iter::once((field, &values)).chain(atoms);
        Ok(choices.filter_map(|(it, values)| Region::default().narrowed(it, values)).collect())
    }

    /// What the case asks about.
    fn asked(&self) -> Region {
        let within = self.space.within.iter();
        let sets =
            within.map(|(field, set)| (field.clone(), Values::of(set.as_slice().iter().copied())));
        let whole = Region::default();
        sets.fold(whole, |asked, (field, set)| asked.clone().narrowed(field, &set).unwrap_or(asked))
    }

    /// What conditions on the way out leave; `None` for everything.
    fn leaving(&self, matches: &LinkedMatch) -> Option<Leaving> {
        let (mut sure, mut open) = (Vec::new(), Vec::new());
        for (way, values) in &self.ways {
            match self.leaves(matches, *way) {
                Some(true) => sure.extend(values.ranges()),
                Some(false) => {}
                None => open.extend(values.ranges()),
            }
        }
        let (sure, open) = (Values::of(sure), Values::of(open));
        let enters = matches.relation == ZoneRelation::Any || self.ingress.zone.is_some();
        let reason = if enters { Obstacle::Egress } else { Obstacle::Ingress };
        let everything = sure.is_full(self.space.last(&Field::Dst));
        (!everything).then(|| Leaving { sure, open, reason, asked: self.asked() })
    }

    /// Whether a packet that leaves there matches; `None` when nobody can tell.
    fn leaves(&self, matches: &LinkedMatch, Way { egress, to }: Way) -> Option<bool> {
        let same = self.ingress.zone.zip(to).map(|(from, to)| from == to);
        let conditions = [
            stated(&matches.egress, egress.map(|id| id.0)),
            stated(&matches.to, to.map(|id| id.0)),
            match matches.relation {
                ZoneRelation::Any => Some(true),
                ZoneRelation::Intrazone => same,
                ZoneRelation::Interzone => same.map(|same| !same),
            },
        ];
        if conditions.contains(&Some(false)) {
            return Some(false);
        }
        (!conditions.contains(&None)).then_some(true)
    }
}

/// What membership in a set of groups, one field each, leaves: being in one of those listed or,
/// where the list is negated, in none.
fn memberships(set: &IdSet, fields: &[Field]) -> Vec<Region> {
    let fields = (0..).zip(fields);
    let region =
        |field: &Field, value| Region::default().narrowed(field.clone(), &Values::single(value));
    match set {
        IdSet::Any => vec![Region::default()],
        IdSet::Only(_) => {
            let listed = fields.filter(|(id, _)| set.contains(*id));
            listed.filter_map(|(_, field)| region(field, 1)).collect()
        }
        IdSet::AllBut(_) => {
            let mut listed = fields.filter(|(id, _)| !set.contains(*id));
            let none = Values::single(0);
            let rest = listed.try_fold(Region::default(), |rest, (_, field)| {
                rest.narrowed(field.clone(), &none)
            });
            Vec::from_iter(rest)
        }
    }
}

/// Whether an identifier is in the set; `None` when it is not stated and matters.
fn stated(set: &IdSet, id: Option<u32>) -> Option<bool> {
    if set.is_any() { Some(true) } else { id.map(|id| set.contains(id)) }
}

fn ports(set: &PortSet) -> Values {
    Values::of(set.ranges().iter().map(|range| (range.first().into(), range.last().into())))
}

/// The bits below the lowest one a pattern compares.
const fn hosts(pattern: MaskedAddress) -> u32 {
    !pattern.mask & pattern.mask.wrapping_sub(1)
}

/// The addresses of a family; `None` when masks have too many holes.
fn values(set: &AddressSet, family: Family) -> Option<Values> {
    if family == Family::V6 {
        return Some(Values::of(set.v6_ranges().iter().copied()));
    }
    let free = |pattern: &MaskedAddress| (!pattern.mask & !hosts(*pattern)).count_ones();
    let counts = set.masked().iter().map(|pattern| 1usize << free(pattern));
    if counts.sum::<usize>() > MAX_MASKED_RANGES {
        return None;
    }
    let plain = set.v4_ranges().iter().map(|&(first, last)| (first.into(), last.into()));
    Some(Values::of(plain.chain(set.masked().iter().flat_map(|pattern| unfolded(*pattern)))))
}

/// The addresses of a family some packet's may have to be for a condition to hold; all of them
/// where that cannot be told.
pub(crate) fn possible(wanted: &LinkedAddresses, family: Family) -> Ranges {
    let told = !wanted.negated && wanted.atoms.is_empty();
    let values = told.then(|| values(&wanted.set, family)).flatten();
    let ranges = values.map(|values| values.ranges().iter().copied().collect());
    ranges.unwrap_or_else(|| Ranges::span(0, family.last()))
}

/// The ranges a pattern stands for: one for each way to fill its holes.
fn unfolded(pattern: MaskedAddress) -> impl Iterator<Item = (u128, u128)> {
    let hosts = hosts(pattern);
    let holes = !pattern.mask & !hosts;
    // Subtracting all holes counts through their subsets, and ends at the empty one again.
    let next =
        move |filled: &u32| Some(filled.wrapping_sub(holes) & holes).filter(|filled| *filled != 0);
    std::iter::successors(Some(0), next).map(move |filled| {
        let first = pattern.value | filled;
        (first.into(), (first | hosts).into())
    })
}
