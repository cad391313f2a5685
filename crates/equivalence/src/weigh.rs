//! How much traffic each finding is about: sessions that were seen, held against the findings.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use parefeu_net::{Protocol, Timestamp};
use parefeu_policy::InterfaceId;

use crate::compare::Answer;
use crate::finding::Finding;
use crate::flatten::{Family, ProtocolClass};
use crate::gate::Gates;
use crate::pairing::Pairing;
use crate::problem::Field;

/// A session that was seen, by its first packet and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// Where it entered either firewall.
    pub ingress: [Option<InterfaceId>; 2],
    /// Source address, as it arrived.
    pub src: IpAddr,
    /// Destination address, as it arrived.
    pub dst: IpAddr,
    /// IP protocol.
    pub protocol: Protocol,
    /// Source and destination port; not looked at for protocols without.
    pub ports: (u16, u16),
    /// Type and code, for ICMP.
    pub icmp: Option<(u8, u8)>,
    /// What it was identified as in the end.
    pub application: Option<&'a str>,
    /// Bytes on the wire, both ways.
    pub bytes: u64,
    /// When it began.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
}

/// Where a session lies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whereabouts {
    /// In this finding, by index.
    In(usize),
    /// In no finding: both firewalls decide alike on its first packet, or it was not asked about.
    Outside,
    /// Nobody can say: it entered by places that are not compared or not known, or what it would
    /// have to be asked for no capture shows.
    Untold,
    /// In a part of the question that has no answer.
    Undecided,
}

/// The traffic of a finding.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// Sessions.
    pub sessions: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Distinct sources, counted up to [`Weights::MAX_SOURCES`].
    pub sources: usize,
    /// When the first of them began, and when the last was seen; `None` without sessions.
    pub seen: Option<(Timestamp, Timestamp)>,
}

/// What all sessions come to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Weighed {
    /// The traffic of each finding.
    pub findings: Vec<Weight>,
    /// Sessions in no finding.
    pub outside: u64,
    /// Sessions of which nobody can say.
    pub untold: u64,
    /// Sessions in a part of the question that has no answer.
    pub undecided: u64,
}

/// Findings on the scales. Memory grows with the findings and [`Weights::ALL_SOURCES`], never with
/// the sessions.
#[derive(Debug)]
pub struct Weights<'a> {
    answer: &'a Answer,
    findings: &'a [Finding],
    pairing: &'a Pairing,
    /// The findings on a way in, of a family and class.
    on_way: HashMap<(usize, Family, ProtocolClass), Vec<usize>>,
    sources: Vec<HashSet<IpAddr>>,
    all_sources: usize,
    weighed: Weighed,
}

impl<'a> Weights<'a> {
    /// Distinct sources of one finding past this number are not told apart.
    pub const MAX_SOURCES: usize = 10_000;

    /// Distinct sources of all findings together past this number are not told apart.
    pub const ALL_SOURCES: usize = 1_000_000;

    /// The findings of an answer, without traffic.
    pub fn new(answer: &'a Answer, findings: &'a [Finding], pairing: &'a Pairing) -> Self {
        let mut on_way: HashMap<_, Vec<usize>> = HashMap::new();
        for (at, finding) in findings.iter().enumerate() {
            let families = [Family::V4, Family::V6];
            let families = families.iter().filter(|it| finding.family.is_none_or(|of| of == **it));
            for &family in families {
                let classes = ProtocolClass::ALL;
                for class in
                    classes.iter().filter(|it| finding.protocols.is_none_or(|of| of == **it))
                {
                    for pair in ways_in(pairing, finding) {
                        on_way.entry((pair, family, *class)).or_default().push(at);
                    }
                }
            }
        }
        Self {
            answer,
            findings,
            pairing,
            on_way,
            sources: findings.iter().map(|_| HashSet::new()).collect(),
            all_sources: 0,
            weighed: Weighed {
                findings: findings.iter().map(|_| Weight::default()).collect(),
                ..Weighed::default()
            },
        }
    }

    /// Adds a session, and says where it lies. `O(findings on its way in)`.
    pub fn add(&mut self, session: &Sighting<'_>) -> Whereabouts {
        let place = self.find(session);
        match place {
            Whereabouts::In(at) => self.count(at, session),
            Whereabouts::Outside => self.weighed.outside += 1,
            Whereabouts::Untold => self.weighed.untold += 1,
            Whereabouts::Undecided => self.weighed.undecided += 1,
        }
        place
    }

    /// What was added.
    pub fn finish(self) -> Weighed {
        self.weighed
    }

    fn count(&mut self, at: usize, session: &Sighting<'_>) {
        let (weight, sources) = (&mut self.weighed.findings[at], &mut self.sources[at]);
        weight.sessions += 1;
        weight.bytes += session.bytes;
        let (first, last) = weight.seen.unwrap_or((session.first, session.last));
        weight.seen = Some((first.min(session.first), last.max(session.last)));
        if sources.len() < Self::MAX_SOURCES && self.all_sources < Self::ALL_SOURCES {
            self.all_sources += usize::from(sources.insert(session.src));
        }
        weight.sources = sources.len();
    }

    fn find(&self, session: &Sighting<'_>) -> Whereabouts {
        let family = if session.dst.is_ipv4() { Family::V4 } else { Family::V6 };
        let class = ProtocolClass::ALL.into_iter().find(|class| class.contains(session.protocol));
        let gates = [
            gate(&self.pairing.old, session.ingress[0]),
            gate(&self.pairing.new, session.ingress[1]),
        ];
        let ([Some(old), Some(new)], Some(class)) = (gates, class) else {
            return Whereabouts::Untold;
        };
        let mut pairs = self.pairing.pairs.iter();
        let Some(pair) = pairs.position(|pair| (pair.old, pair.new) == (old, new)) else {
            return Whereabouts::Untold;
        };
        let application = self.application(session);
        let mut doubtful = false;
        for &at in self.on_way.get(&(pair, family, class)).into_iter().flatten() {
            match holds(&self.findings[at], session, application) {
                Some(true) => return Whereabouts::In(at),
                Some(false) => {}
                None => doubtful = true,
            }
        }
        match doubtful {
            _ if self.is_undecided(session, (pair, family, class)) => Whereabouts::Undecided,
            true => Whereabouts::Untold,
            false => Whereabouts::Outside,
        }
    }

    /// The number of what a session was identified as.
    fn application(&self, session: &Sighting<'_>) -> u128 {
        let Some(name) = session.application else { return 0 };
        let known = self.answer.applications().iter().position(|known| **known == *name);
        known.map_or(0, |at| at as u128 + 1)
    }

    /// Whether part of what has no answer is on the session's way.
    fn is_undecided(
        &self,
        session: &Sighting<'_>,
        (pair, family, class): (usize, Family, ProtocolClass),
    ) -> bool {
        let pair = &self.pairing.pairs[pair];
        let names =
            [&self.pairing.old.gates[pair.old].name, &self.pairing.new.gates[pair.new].name];
        self.answer.undecided.iter().any(|it| {
            let mut ways = it.crossings.iter();
            let on_way = ways.any(|way| {
                let goes = |to: &parefeu_policy::set::Ranges| to.contains(bits(session.dst));
                way.from.each_ref() == names && way.destinations.as_ref().is_none_or(goes)
            });
            it.family == family && it.protocols == class && on_way
        })
    }
}

/// The pairs of places by which packets of a finding enter.
fn ways_in(pairing: &Pairing, finding: &Finding) -> Vec<usize> {
    let pairs = pairing.pairs.iter().enumerate().filter(|(_, pair)| {
        let names = [&pairing.old.gates[pair.old].name, &pairing.new.gates[pair.new].name];
        finding.from.iter().any(|from| from.each_ref() == names)
    });
    pairs.map(|(at, _)| at).collect()
}

/// The gate an interface belongs to. A firewall that names no place has one for all, unless zones
/// that nobody names matter; an interface no rule names belongs to the gate that stands for those.
fn gate(gates: &Gates, interface: Option<InterfaceId>) -> Option<usize> {
    if gates.is_bare() {
        return (gates.gates.len() == 1).then_some(0);
    }
    let others = gates.gates.len().checked_sub(1).filter(|_| gates.open);
    gates.of_interface(interface?).or(others)
}

/// Whether a finding holds a session; `None` where that depends on what no capture shows.
fn holds(finding: &Finding, session: &Sighting<'_>, application: u128) -> Option<bool> {
    let (first, second) = match session.icmp {
        Some((kind, code)) => (kind.into(), code.into()),
        None => (session.ports.0.into(), session.ports.1.into()),
    };
    // Where packets leave is stated only where no route tells.
    let mut told = finding.to.is_empty();
    for (field, set) in &finding.sets {
        let value: u128 = match field {
            Field::Src => bits(session.src),
            Field::Dst => bits(session.dst),
            Field::Protocol => session.protocol.0.into(),
            Field::SrcPort => first,
            Field::DstPort => second,
            Field::Application => application,
            _ => {
                told = false;
                continue;
            }
        };
        if !set.contains(value) {
            return Some(false);
        }
    }
    told.then_some(true)
}

const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => it.to_bits() as u128,
        IpAddr::V6(it) => it.to_bits(),
    }
}
