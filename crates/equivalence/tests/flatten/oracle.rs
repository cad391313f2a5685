//! What the reference evaluation says of one flow, to hold lists and differences against.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_equivalence::{
    Case, Field, Function, List, Origin, Outcome, Passage, Problem, ProtocolClass, Solution, Step,
};
use parefeu_net::{PortRange, Protocol, Timestamp};
use parefeu_policy::set::{AddressSet, IdSet, PortSet, ProtocolSet, Ranges};
use parefeu_policy::{
    ApplicationId, AtomId, Evaluation, Identified, Knowledge, LinkedAction, LinkedAddresses,
    LinkedCategory, LinkedFirewall, LinkedMatch, LinkedNatTable, LinkedPortTranslation,
    LinkedService, LinkedTranslation, PacketKey, ResetSide, UserId, UserKnowledge, reference,
};

/// A point of the space in values: the packet, the application, and what turns out to be so.
pub(crate) struct Flow {
    pub(crate) key: PacketKey,
    pub(crate) application: Option<Box<str>>,
    /// Conditions, URL categories and users; what is not listed does not hold.
    pub(crate) holding: BTreeSet<Field>,
    /// The value of [`Field::Time`].
    pub(crate) moment: u128,
}

impl Flow {
    pub(crate) fn value(&self, field: &Field, names: &[Box<str>]) -> u128 {
        let icmp = self.key.icmp;
        match field {
            Field::Src => bits(self.key.src),
            Field::Dst => bits(self.key.dst),
            Field::Protocol => self.key.protocol.0.into(),
            Field::SrcPort => icmp.map_or(self.key.src_port.into(), |(kind, _)| kind.into()),
            Field::DstPort => icmp.map_or(self.key.dst_port.into(), |(_, code)| code.into()),
            Field::Application => self.application.as_ref().map_or(0, |name| {
                names.iter().position(|known| **known == **name).unwrap() as u128 + 1
            }),
            Field::Category(_) | Field::User(_) | Field::Atom(_) => {
                self.holding.contains(field).into()
            }
            Field::Device => {
                let octets = self.key.device.unwrap_or_default().0;
                octets.iter().fold(0, |all, octet| all * 256 + u128::from(*octet))
            }
            Field::Time => self.moment,
            other => panic!("{other:?} is no field of a flow"),
        }
    }

    fn class(&self, problem: &Problem, dimension: usize) -> u32 {
        let dimension = &problem.dimensions[dimension];
        let value = self.value(&dimension.field, &problem.applications);
        assert!(value <= dimension.last);
        dimension.starts.partition_point(|start| *start <= value) as u32 - 1
    }
}

/// What becomes of a flow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Outside,
    Refused(Box<str>),
    /// Source address and port, destination address and port.
    Passed([End; 4]),
}

/// What becomes of an address or port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Is(u128),
    Chosen(String),
}

const ENDS: [Field; 4] = [Field::Src, Field::SrcPort, Field::Dst, Field::DstPort];

impl Fate {
    /// Whether an address or port of the flow becomes another one.
    pub(crate) fn is_translated(&self, flow: &Flow) -> bool {
        let kept = ENDS.iter().map(|field| End::Is(flow.value(field, &[])));
        matches!(self, Self::Passed(ends) if !kept.eq(ends.iter().cloned()))
    }

    /// Whether the two differ, as far as it is compared.
    fn differs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused(_), Self::Refused(_)) => false,
            (one, other) => one != other,
        }
    }

    /// Whether it is the same but for the names of choices.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Passed(one), Self::Passed(other)) => {
                one.iter().zip(other).all(|pair| match pair {
                    (End::Chosen(_), End::Chosen(_)) => true,
                    (one, other) => one == other,
                })
            }
            (one, other) => one == other,
        }
    }
}

/// The first match, by definition.
pub(crate) fn decide(problem: &Problem, list: &List, flow: &Flow) -> (Fate, Origin) {
    let mut at = 0;
    loop {
        let entry = &list.entries[at];
        let matches = entry.sets.iter().all(|(dimension, set)| {
            let class = flow.class(problem, dimension.0 as usize);
            problem.sets[set.0 as usize].iter().any(|&(a, b)| a <= class && class <= b)
        });
        match entry.step {
            Step::Decide(outcome) if matches => {
                let outcome = &problem.outcomes[outcome.0 as usize];
                return (fate(outcome, flow), entry.origin);
            }
            Step::Skip(next) if matches => at = next as usize,
            _ => at += 1,
        }
    }
}

fn fate(outcome: &Outcome, flow: &Flow) -> Fate {
    let translate = match outcome {
        Outcome::Outside => return Fate::Outside,
        Outcome::Deny(kind) => return Fate::Refused(kind.clone()),
        Outcome::Recorded(_) => panic!("records are no fate"),
        Outcome::Allow(translate) => translate,
    };
    let functions = [&translate.src, &translate.src_port, &translate.dst, &translate.dst_port];
    let mut ends = ENDS.iter().zip(functions).map(|(field, function)| {
        let value = flow.value(field, &[]);
        match function {
            Function::Keep => End::Is(value),
            Function::Constant(to) => End::Is(*to),
            Function::Shift(by) => End::Is(value.wrapping_add(*by)),
            Function::Chosen(text) => End::Chosen(text.to_string()),
        }
    });
    Fate::Passed(std::array::from_fn(|_| ends.next().unwrap()))
}

/// The firewall in the world in which the atoms turn out so: nothing is left open.
fn settled(firewall: &LinkedFirewall, flow: &Flow) -> LinkedFirewall {
    let mut settled = firewall.clone();
    for rule in &mut settled.rules {
        // Of an application the firewall does not name, nobody can tell the default services.
        let services = &mut rule.matches.services;
        if services.application_default && application(firewall, flow).is_none() {
            services.application_default = false;
            let default = Field::Atom("application-default".into());
            rule.disabled |= !flow.holding.contains(&default);
        }
        rule.disabled |= !settle(&mut rule.matches, firewall, flow);
    }
    let tables = [&mut settled.destination_nat, &mut settled.source_nat];
    for rule in tables.into_iter().flat_map(|table| &mut table.rules) {
        rule.disabled |= !settle(&mut rule.matches, firewall, flow);
    }
    settled
}

/// Puts into a match what its atoms turn out to be; says whether it can hold at all.
fn settle(matches: &mut LinkedMatch, firewall: &LinkedFirewall, flow: &Flow) -> bool {
    let holds = |role: &str, id: &AtomId| {
        let name = format!("{role} {}", firewall.atoms[id.index()].text);
        flow.holding.contains(&Field::Atom(name.into()))
    };
    let addresses = |list: &mut LinkedAddresses, role: &str| {
        if list.atoms.iter().any(|id| holds(role, id)) {
            list.set = AddressSet::all();
        }
        list.atoms.clear();
    };
    let can_hold = matches.atoms.iter().all(|id| holds("condition", id));
    matches.atoms.clear();
    addresses(&mut matches.src, "source");
    addresses(&mut matches.dst, "destination");
    if matches.services.atoms.iter().any(|id| holds("service", id)) {
        matches.services.terms.push(LinkedService {
            protocols: ProtocolSet::ALL,
            src_ports: PortSet::all(),
            dst_ports: PortSet::all(),
            icmp: None,
        });
    }
    matches.services.atoms.clear();
    can_hold
}

/// What the firewall calls the application of a flow.
fn application(firewall: &LinkedFirewall, flow: &Flow) -> Option<ApplicationId> {
    let name = flow.application.as_ref()?;
    let at = firewall.applications.iter().position(|known| known.name == *name)?;
    Some(ApplicationId(at as u32))
}

/// The fields of the URL categories of two firewalls: one that has not the patterns of the old one
/// of its name is another.
fn categories(sides: [&LinkedFirewall; 2]) -> [Vec<Field>; 2] {
    sides.map(|side| {
        let field = |category: &LinkedCategory| {
            let name = &category.name;
            let old = sides[0].url_categories.iter().find(|old| old.name == *name);
            let is_other = old.is_some_and(|old| old.patterns != category.patterns);
            let text = if is_other { format!("{name} (another)").into() } else { name.clone() };
            Field::Category(text)
        };
        side.url_categories.iter().map(field).collect()
    })
}

/// Whether a URL would be in a category and not in one that has all its patterns.
fn is_contradiction(sides: [&LinkedFirewall; 2], flow: &Flow) -> bool {
    let fields = categories(sides);
    let with_fields = || {
        sides.iter().zip(&fields).flat_map(|(side, fields)| {
            side.url_categories.iter().map(|it| it.patterns.as_ref()).zip(fields)
        })
    };
    with_fields().any(|(some, part)| {
        with_fields().any(|(all, whole)| {
            let held = some
                .zip(all)
                .is_some_and(|(some, all)| some.iter().all(|pattern| all.contains(pattern)));
            held && flow.holding.contains(part) && !flow.holding.contains(whole)
        })
    })
}

/// The value of a moment: that of the only one at which the same schedules are on.
pub(crate) fn moment(sides: [&LinkedFirewall; 2], problem: &Problem, time: Timestamp) -> u128 {
    let on = |time: Timestamp| -> Vec<bool> {
        let schedules = sides.iter().flat_map(|side| &side.schedules);
        schedules.map(|schedule| schedule.is_on(time)).collect()
    };
    let alike = (0..).zip(&problem.moments).filter(|(_, known)| on(**known) == on(time));
    let alike: Vec<u128> = alike.map(|(at, _)| at).collect();
    let [only] = *alike else { panic!("{time:?} is like {alike:?}") };
    only
}

/// What the reference says of a flow on its way through.
fn judged(
    firewall: &LinkedFirewall,
    passage: Passage,
    categories: &[Field],
    flow: &Flow,
) -> (Fate, Origin) {
    let firewall = settled(firewall, flow);
    let named = firewall.users.iter().zip(0..);
    let users = named.filter(|(name, _)| flow.holding.contains(&Field::User((*name).clone())));
    let users: Vec<UserId> = users.map(|(_, id)| UserId(id)).collect();
    let categories = IdSet::only(
        (0..).zip(categories).filter_map(|(id, field)| flow.holding.contains(field).then_some(id)),
    );
    let known = Knowledge {
        application: Identified::Finally(application(&firewall, flow)),
        url_categories: Some(&categories),
        categories_stated: true,
        users: UserKnowledge::Mapped(&users),
    };
    let (enters, leaves) = (passage.ingress, passage.egress.unwrap_or_default());
    let (ingress, from) = (enters.interface, enters.zone);
    let (egress, to) = (leaves.interface, leaves.zone);
    let key = PacketKey { ingress, from, egress, to, ..flow.key };
    let judgement = reference::judge(&firewall, &key, &known);
    let hit = judgement.evaluation.decided;
    assert_eq!(judgement.evaluation, Evaluation::certain(hit), "nothing is left open");
    let number = |at: Option<usize>| at.map(|at| at as u32);
    let origin = Origin {
        rule: hit.rule,
        destination_nat: number(judgement.destination_nat),
        source_nat: number(judgement.source_nat),
    };
    if let Some(kind) = refusal(hit.action) {
        return (Fate::Refused(kind.into()), origin);
    }
    let translated = judgement.translated;
    let rule = |table: &LinkedNatTable, at: Option<usize>| {
        at.map_or(LinkedTranslation::Keep, |at| table.rules[at].translation.clone())
    };
    let own = firewall.address_of(judgement.key.egress, key.dst);
    let interface = judgement.key.egress.map(|id| &*firewall.interfaces[id.index()].name);
    let nameless = own.is_none().then(|| format!("{interface:?}"));
    let ends = |translation: LinkedTranslation, at: [u128; 2], port: Field| {
        let port = if key.protocol.has_ports() { at[1] } else { flow.value(&port, &[]) };
        ends(&firewall, &translation, [at[0], port], &key, nameless.as_deref())
    };
    let (src, dst) = (translated.src, translated.dst);
    let src_by = rule(&firewall.source_nat, judgement.source_nat);
    let [src, src_port] = ends(src_by, [bits(src), translated.src_port.into()], Field::SrcPort);
    let dst_by = rule(&firewall.destination_nat, judgement.destination_nat);
    let [dst, dst_port] = ends(dst_by, [bits(dst), translated.dst_port.into()], Field::DstPort);
    (Fate::Passed([src, src_port, dst, dst_port]), origin)
}

/// What a translation makes of address and port, which become these two as far as nobody chooses.
/// The way out is called `nameless` if its address is not known.
fn ends(
    firewall: &LinkedFirewall,
    translation: &LinkedTranslation,
    [address, port]: [u128; 2],
    key: &PacketKey,
    nameless: Option<&str>,
) -> [End; 2] {
    let chosen = |text: &str| End::Chosen(text.to_owned());
    let allocated = |ranges: &[PortRange]| match class_of(key.protocol) {
        ProtocolClass::WithPorts => End::Chosen(format!("{ranges:?}")),
        ProtocolClass::Icmp => chosen("identifier"),
        ProtocolClass::Other => End::Is(port),
    };
    let port_of = |translation: &LinkedPortTranslation| match translation {
        LinkedPortTranslation::Allocate(ranges) => allocated(ranges),
        _ => End::Is(port),
    };
    match translation {
        LinkedTranslation::Keep => [address, port].map(End::Is),
        LinkedTranslation::Prefix { port, .. } => [End::Is(address), port_of(port)],
        LinkedTranslation::Pool { to, port } => {
            let v4 = to.v4_ranges().iter().map(|&(a, b)| (a.into(), b.into()));
            let v6 = to.v6_ranges().iter().copied();
            let ranges: Vec<(u128, u128)> =
                if key.src.is_ipv4() { v4.collect() } else { v6.collect() };
            match *ranges {
                [] => [chosen("nothing"), chosen("nothing")],
                [(first, last)] if first == last => [End::Is(address), port_of(port)],
                _ => [End::Chosen(format!("{ranges:?}")), port_of(port)],
            }
        }
        LinkedTranslation::Embedded(_) => unreachable!("none is drawn"),
        LinkedTranslation::EgressInterface => {
            let dynamic = PortRange::new(1024, u16::MAX).unwrap();
            [nameless.map_or(End::Is(address), chosen), allocated(&[dynamic])]
        }
        LinkedTranslation::Unknown(atom) => {
            let text = &firewall.atoms[atom.index()].text;
            [chosen(text), chosen(text)]
        }
    }
}

fn refusal(action: LinkedAction) -> Option<&'static str> {
    Some(match action {
        LinkedAction::Allow => return None,
        LinkedAction::Deny => "deny",
        LinkedAction::Drop => "drop",
        LinkedAction::Reset(ResetSide::Client) => "reset client",
        LinkedAction::Reset(ResetSide::Server) => "reset server",
        LinkedAction::Reset(ResetSide::Both) => "reset both",
        LinkedAction::Reset(ResetSide::Sender) => "reset sender",
        LinkedAction::Reset(ResetSide::SenderByIcmp) => "reject",
        other => panic!("{other:?} decides nothing"),
    })
}

/// Holds what lists and differences say of a flow against the reference; says what becomes of it
/// on the old side.
#[track_caller]
pub(crate) fn check_flow(
    sides: [&LinkedFirewall; 2],
    case: &Case,
    (problem, solution): (&Problem, &Solution),
    flow: &Flow,
) -> Fate {
    let names = &problem.applications;
    let asked = |(field, asked): &(Field, Ranges)| asked.contains(flow.value(field, names));
    let asked = case.protocols == class_of(flow.key.protocol)
        && case.within.iter().all(asked)
        && !is_contradiction(sides, flow);
    let [old, new] = categories(sides);
    let sides = [(sides[0], case.old, old), (sides[1], case.new, new)];
    let expected = sides.map(|(firewall, passage, categories)| {
        if asked {
            judged(firewall, passage, &categories, flow)
        } else {
            (Fate::Outside, Origin::default())
        }
    });
    for (list, (fate, origin)) in [&problem.old, &problem.new].into_iter().zip(&expected) {
        let (found, mut by) = decide(problem, list, flow);
        let told = || format!("{:?} {:?}", flow.key, flow.holding);
        assert!(found.is_like(fate), "{found:?}, not {fate:?}: {}", told());
        // A refusal has no translation of the source.
        if !matches!(fate, Fate::Passed(_)) {
            by.source_nat = origin.source_nat;
        }
        assert_eq!(by, *origin, "{}", told());
    }
    let [(old, _), (new, _)] = expected;
    // What the work did not reach is neither.
    let is_open = solution.open.iter().any(|it| {
        it.area.iter().enumerate().all(|(dimension, (first, last))| {
            (*first..=*last).contains(&flow.class(problem, dimension))
        })
    });
    if is_open {
        return old;
    }
    let inside = solution.differences.iter().any(|difference| {
        difference.sets.iter().enumerate().all(|(dimension, set)| {
            let class = flow.class(problem, dimension);
            set.iter().any(|it| (it.0..=it.1).contains(&class))
        })
    });
    assert_eq!(inside, old.differs(&new), "{old:?} {new:?}: {:?} {:?}", flow.key, flow.holding);
    old
}

/// What the types of a problem promise.
pub(crate) fn check_form(problem: &Problem) {
    for set in &problem.sets {
        assert!(!set.is_empty() && set.iter().all(|(first, last)| first <= last));
        assert!(set.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{set:?}");
    }
    for list in [&problem.old, &problem.new] {
        for (at, entry) in list.entries.iter().enumerate() {
            assert!(entry.sets.is_sorted_by(|a, b| a.0 < b.0));
            for (dimension, set) in &entry.sets {
                let classes = problem.dimensions[dimension.0 as usize].classes();
                let set = &problem.sets[set.0 as usize];
                assert!(set.last().is_some_and(|(_, last)| *last < classes));
                assert_ne!(**set, [(0, classes - 1)], "a full set narrows nothing");
            }
            if let Step::Skip(next) = entry.step {
                assert!(next as usize > at && (next as usize) < list.entries.len());
            }
        }
        assert!(list.entries.last().is_some_and(|last| last.sets.is_empty()));
    }
}

pub(crate) const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits() as u128,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

pub(crate) fn address(bits: u128, is_v4: bool) -> IpAddr {
    if is_v4 { Ipv4Addr::from_bits(bits as u32).into() } else { Ipv6Addr::from_bits(bits).into() }
}

pub(crate) fn class_of(protocol: Protocol) -> ProtocolClass {
    match protocol {
        _ if protocol.has_ports() => ProtocolClass::WithPorts,
        _ if protocol.is_icmp() => ProtocolClass::Icmp,
        _ => ProtocolClass::Other,
    }
}
