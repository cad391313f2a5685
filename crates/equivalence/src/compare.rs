//! The comparison of two firewalls: every family, class of protocols and way through both.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parefeu_net::Timestamp;
use parefeu_policy::set::Ranges;
use parefeu_policy::{LinkedFirewall, Span};

use crate::crossing::{Crossing, Granted, crossings};
use crate::flatten::{Case, Family, NotFlattened, Obstacle, ProtocolClass, flatten_until};
use crate::pairing::Pairing;
use crate::parallel::map_each;
use crate::problem::{Field, Origin, Problem, Side};
use crate::region::{Region, regions_until};
use crate::solve::{OpenReason, Solution, SolveLimits, solve};

/// What is asked about two firewalls.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which places stand for each other.
    pub pairing: Pairing,
    /// How far the comparison of one case goes.
    pub limits: SolveLimits,
    /// Only packets with these values of the fields.
    pub within: Vec<(Field, Ranges)>,
    /// Only packets of these families.
    pub families: Vec<Family>,
    /// Only packets of these classes of protocols. [`Field::SrcPort`] and [`Field::DstPort`] of
    /// `within` are ports in one class and type and code in another: who limits them says which.
    pub protocols: Vec<ProtocolClass>,
    /// Only packets that enter by a place of this name, on either side.
    pub from: Option<Box<str>>,
    /// Only packets that leave by a place of this name, on either side, where routes or the
    /// question tell; those that may be translated first are kept.
    pub to: Option<Box<str>>,
    /// How many parts of the question are answered at once; the answer is the same.
    pub threads: NonZeroUsize,
}

impl Request {
    /// Everything, as far as the usual limits reach, on one thread.
    pub fn all(pairing: Pairing) -> Self {
        Self {
            pairing,
            limits: SolveLimits::default(),
            within: Vec::new(),
            families: vec![Family::V4, Family::V6],
            protocols: ProtocolClass::ALL.to_vec(),
            from: None,
            to: None,
            threads: NonZeroUsize::MIN,
        }
    }
}

/// One case compared: the ways through both firewalls that no rule tells apart.
#[derive(Clone, Debug)]
pub struct Compared {
    /// What was compared; its passages are those of the first crossing.
    pub case: Case,
    /// The ways.
    pub crossings: Arc<[Crossing]>,
    /// The lists.
    pub problem: Problem,
    /// Where they differ.
    pub solution: Solution,
    /// The same, for reading.
    pub regions: Vec<Region>,
}

/// A part of the question that has no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Undecided {
    /// The family.
    pub family: Family,
    /// The class of protocols.
    pub protocols: ProtocolClass,
    /// The ways.
    pub crossings: Arc<[Crossing]>,
    /// Why.
    pub because: Unproved,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unproved {
    /// A firewall cannot be written out as a list.
    NotWrittenOut {
        /// The firewall.
        side: Side,
        /// The lines.
        at: Span,
        /// What stands there.
        obstacle: Obstacle,
    },
    /// The sign to stop was given before anything was compared.
    Stopped,
    /// Part of the space is left open.
    Open {
        /// Why.
        reason: OpenReason,
        /// How many boxes.
        boxes: usize,
        /// The rules that may make the sides differ there, each once.
        involved: Vec<(Side, Origin)>,
    },
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The cases that were compared.
    pub compared: Vec<Compared>,
    /// What has no answer.
    pub undecided: Vec<Undecided>,
    /// What an equal answer rests on.
    pub assumed: Vec<Assumed>,
}

/// Something that is not compared, and assumed not to matter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Assumed {
    /// The firewall concerned.
    pub side: Side,
    /// The lines.
    pub at: Span,
    /// What its name is made of.
    pub code: &'static str,
    /// What is assumed.
    pub text: &'static str,
}

impl Answer {
    /// Adds what a case came to, and what of it is open.
    pub(crate) fn add(
        &mut self,
        case: &Case,
        crossings: &Arc<[Crossing]>,
        found: Result<Compared, Unproved>,
    ) {
        match found {
            Ok(compared) => {
                self.leave_open(case, crossings, open(&compared.solution));
                self.compared.push(compared);
            }
            Err(because) => self.leave_open(case, crossings, vec![because]),
        }
    }

    /// Adds what of a case has no answer.
    pub(crate) fn leave_open(
        &mut self,
        case: &Case,
        crossings: &Arc<[Crossing]>,
        open: Vec<Unproved>,
    ) {
        let Case { family, protocols, .. } = *case;
        let undecided =
            |because| Undecided { family, protocols, crossings: Arc::clone(crossings), because };
        self.undecided.extend(open.into_iter().map(undecided));
    }

    /// Whether some packet is known to be treated differently.
    pub fn is_different(&self) -> bool {
        self.compared.iter().any(|case| !case.solution.differences.is_empty())
    }

    /// What the values of [`Field::Application`] stand for, from 1.
    pub fn applications(&self) -> &[Box<str>] {
        self.compared.first().map_or(&[], |case| &case.problem.applications)
    }

    /// What the values of [`Field::Time`] stand for.
    pub fn moments(&self) -> &[Timestamp] {
        self.compared.first().map_or(&[], |case| &case.problem.moments)
    }

    /// Whether all packets asked about are known to be treated alike.
    pub fn is_equal(&self) -> bool {
        self.undecided.is_empty() && !self.is_different()
    }
}

/// Compares two firewalls.
///
/// Cost: that of [`flatten`](fn@crate::flatten) and [`solve`] for each family, class of protocols
/// and group of crossings that some rule tells apart.
pub fn compare(old: &LinkedFirewall, new: &LinkedFirewall, request: &Request) -> Answer {
    let parts = parts([old, new], request, |_| true);
    let found = map_each(&parts, request.threads, |part| one_case([old, new], request, part));
    let mut answer: Answer = parts.iter().zip(found).collect();
    let crossings = parts.iter().flat_map(|(_, crossings)| crossings.iter());
    let mut granted: Vec<Granted> = crossings.filter_map(|it| it.granted).collect();
    granted.sort_unstable();
    granted.dedup();
    answer.assumed = granted.into_iter().map(to_assume).collect();
    answer
}

/// What an equal answer rests on where something is taken for granted of the way out.
fn to_assume(granted: Granted) -> Assumed {
    let (side, code, text) = match granted {
        Granted::Route(side) => {
            let text = "destinations this text has no route to leave where the other firewall \
                        sends them";
            (side, "route", text)
        }
        Granted::Egress => {
            let text = "where packets leave does not matter: routes of the two firewalls send \
                        some to places that are no partners";
            (Side::New, "egress", text)
        }
    };
    Assumed { side, at: Span::default(), code, text }
}

/// A case, and the ways through both firewalls it is about.
pub(crate) type Part = (Case, Arc<[Crossing]>);

/// Every part of the question that is about a family asked for.
pub(crate) fn parts(
    [old, new]: [&LinkedFirewall; 2],
    request: &Request,
    wanted: impl Fn(Family) -> bool,
) -> Vec<Part> {
    let mut parts = Vec::new();
    for family in request.families.iter().copied().filter(|family| wanted(*family)) {
        let to = request.to.as_deref();
        let groups = crossings([old, new], &request.pairing, (family, to), &request.limits);
        for group in groups.into_iter().filter_map(|group| asked(group, request)) {
            let Some(first) = group.first() else { continue };
            let mut within = request.within.clone();
            within.extend(first.destinations.clone().map(|set| (Field::Dst, set)));
            let case = |protocols| {
                let within = within.clone();
                Case { family, protocols, old: first.old, new: first.new, within }
            };
            parts.extend(request.protocols.iter().map(|class| (case(*class), Arc::clone(&group))));
        }
    }
    parts
}

impl<'a> FromIterator<(&'a Part, Result<Compared, Unproved>)> for Answer {
    fn from_iter<I>(found: I) -> Self
    where
        I: IntoIterator<Item = (&'a Part, Result<Compared, Unproved>)>,
    {
        let mut answer = Self::default();
        found.into_iter().for_each(|((case, crossings), it)| answer.add(case, crossings, it));
        answer
    }
}

/// The crossings of a group that the request asks about.
pub(crate) fn asked(group: Vec<Crossing>, request: &Request) -> Option<Arc<[Crossing]>> {
    let fits = |names: &crate::crossing::Names, wanted: &Option<Box<str>>| {
        wanted.is_none() || names.iter().any(|name| name == wanted)
    };
    let kept = group.into_iter().filter(|crossing| {
        let leaves = crossing.to.as_ref().is_none_or(|to| fits(to, &request.to));
        fits(&crossing.from, &request.from) && leaves
    });
    Some(kept.collect::<Arc<[_]>>()).filter(|kept| !kept.is_empty())
}

fn one_case(
    [old, new]: [&LinkedFirewall; 2],
    request: &Request,
    (case, crossings): &Part,
) -> Result<Compared, Unproved> {
    if request.limits.stop.is_given() {
        return Err(Unproved::Stopped);
    }
    let stop = request.limits.stop;
    let problem = flatten_until(old, new, case, stop)?;
    let mut solution = solve(&problem, &request.limits);
    let regions = regions_until(&problem, &mut solution, stop);
    let (case, crossings) = (case.clone(), Arc::clone(crossings));
    Ok(Compared { case, crossings, problem, solution, regions })
}

impl Unproved {
    /// Whether it was time to stop.
    pub(crate) const fn is_stop(&self) -> bool {
        matches!(self, Self::Stopped | Self::Open { reason: OpenReason::Stopped, .. })
    }
}

impl From<NotFlattened> for Unproved {
    fn from(refused: NotFlattened) -> Self {
        match refused {
            NotFlattened { reason: Obstacle::Stopped, .. } => Self::Stopped,
            NotFlattened { side, at, reason: obstacle } => {
                Self::NotWrittenOut { side, at, obstacle }
            }
        }
    }
}

/// What a solution leaves open, by reason.
pub(crate) fn open(solution: &Solution) -> Vec<Unproved> {
    let mut found: BTreeMap<OpenReason, (usize, Vec<(Side, Origin)>)> = BTreeMap::new();
    for it in &solution.open {
        let (boxes, involved) = found.entry(it.reason).or_default();
        *boxes += 1;
        involved.extend(&it.involved);
    }
    let found = found.into_iter().map(|(reason, (boxes, mut involved))| {
        involved.sort_unstable();
        involved.dedup();
        Unproved::Open { reason, boxes, involved }
    });
    found.collect()
}
