//! What one firewall does: the flows it lets through, or refuses, in a part of the space.

use std::collections::BTreeMap;
use std::sync::Arc;

use parefeu_policy::LinkedFirewall;
use parefeu_policy::set::Ranges;

use crate::accept::Terms;
use crate::certain::certain;
use crate::compare::{Answer, Compared, Unproved};
use crate::confirm::Opinion;
use crate::crossing::{Crossing, crossings, grouped, router, stated};
use crate::finding::{Finding, findings_apart};
use crate::flatten::{Case, Family, NotFlattened, Passage, ProtocolClass, flatten_until};
use crate::gate::Gates;
use crate::leaving::leaving;
use crate::pairing::Pairing;
use crate::problem::{
    Entry, Field, List, Origin, Outcome, OutcomeId, Problem, Side, Step, Translate,
};
use crate::region::regions_until;
use crate::scope::Scope;
use crate::solve::{SolveLimits, solve};

/// What becomes of flows that are looked for, expected or waived.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Wanted {
    /// They are let through, translated or not.
    Allow,
    /// They are refused, in whichever way.
    Deny,
}

impl Wanted {
    /// The name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Allow => Self::Deny,
            Self::Deny => Self::Allow,
        }
    }

    pub(crate) const fn fits(self, outcome: &Outcome) -> bool {
        match self {
            Self::Allow => outcome.allows(),
            Self::Deny => outcome.refuses(),
        }
    }
}

/// A question about one firewall.
#[derive(Clone, Debug)]
pub struct Search {
    /// The packets. Names of places are the firewall's own. Those that leave by a place are those
    /// routes lead there, those no route leads anywhere, and those to destinations that a
    /// translation may change: of both latter it is asked what if they left there.
    pub scope: Scope,
    /// What is looked for.
    pub wanted: Wanted,
    /// How far to look in one case.
    pub limits: SolveLimits,
    /// Whether flows that are translated differently are one.
    pub any_translation: bool,
}

/// The flows found, and the parts of the question that have no answer.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where the answer comes from; names the applications.
    pub answer: Answer,
    /// The flows, as findings whose old side is the firewall; their new side means nothing.
    /// Disjoint, and together all there are outside of what is undecided.
    pub flows: Vec<Finding>,
}

impl Found {
    /// The flows that do not depend on a condition without a value at analysis time.
    pub fn certain(&self) -> impl Iterator<Item = &Finding> {
        self.flows.iter().filter(|it| is_certain(it))
    }

    /// Whether the flows are those found, whatever the configuration does not tell.
    pub fn is_complete(&self) -> bool {
        self.answer.undecided.is_empty() && self.flows.iter().all(is_certain)
    }
}

fn is_certain(flow: &Finding) -> bool {
    !flow.is_contradicted() && !flow.sets.keys().any(|field| matches!(field, Field::Atom(_)))
}

/// Looks for flows through one firewall.
///
/// Cost: that of [`flatten`](fn@crate::flatten) and [`solve`] for each family, class of protocols
/// and group of ways that some rule tells apart.
pub fn search(firewall: &LinkedFirewall, search: &Search) -> Found {
    let gates = Gates::of(firewall);
    let named = |names: &[Box<str>]| {
        let found = names.iter().filter_map(|name| gates.named(firewall, name));
        (!names.is_empty()).then(|| found.collect())
    };
    let ends = [named(&search.scope.from), named(&search.scope.to)];
    search_between(firewall, search, &ends)
}

/// The gates at either end of the ways that are meant; `None` for all.
pub(crate) type Ends = [Option<Vec<usize>>; 2];

/// The same between these gates, whatever the scope names.
pub(crate) fn search_between(firewall: &LinkedFirewall, search: &Search, ends: &Ends) -> Found {
    let pairing = Pairing::of(firewall, firewall, &BTreeMap::new());
    let stop = search.limits.stop;
    let written = |case: &Case| flatten_until(firewall, firewall, case, stop);
    let answer = cases(firewall, &pairing, (search, ends), &written);
    let terms = Terms { stop, ..Terms::default() };
    let mut flows = findings_apart(firewall, firewall, &answer, &pairing, &terms);
    for flow in &mut flows {
        flow.opinions[1] = Opinion::default();
    }
    Found { answer, flows }
}

/// How the lists of a case are written out.
pub(crate) type Writing<'a> = dyn Fn(&Case) -> Result<Problem, NotFlattened> + 'a;

/// Searches every case that is asked about, of lists that are written out so.
pub(crate) fn cases(
    firewall: &LinkedFirewall,
    pairing: &Pairing,
    (search, ends): (&Search, &Ends),
    written: &Writing<'_>,
) -> Answer {
    let mut answer = Answer::default();
    for family in [Family::V4, Family::V6] {
        let stop = search.limits.stop;
        let asked =
            (!stop.is_given()).then(|| ways(firewall, pairing, ends, (family, &search.limits)));
        let mut groups = asked.unwrap_or_default();
        if stop.is_given() {
            // Perhaps they are not all there are: no way is answered for.
            groups = vec![groups.concat()];
        }
        for group in groups.into_iter().map(Arc::from) {
            for protocols in ProtocolClass::ALL {
                let class = (family, protocols);
                one_case(firewall, (search, written), class, &group, &mut answer);
            }
        }
    }
    answer
}

/// The ways through the firewall that are asked about.
fn ways(
    firewall: &LinkedFirewall,
    pairing: &Pairing,
    [enter, leave]: &Ends,
    (family, limits): (Family, &SolveLimits),
) -> Vec<Vec<Crossing>> {
    let gates = &pairing.old.gates;
    let named = |gates: &Option<Vec<usize>>, at: usize| {
        gates.as_ref().is_none_or(|gates| gates.contains(&at))
    };
    if leave.is_some() {
        let all = (0..gates.len()).flat_map(|from| (0..gates.len()).map(move |to| (from, to)));
        let asked = all.filter(|&(from, to)| named(enter, from) && named(leave, to));
        let asked = asked.flat_map(|(from, to)| {
            let ways = stated(&gates[from], &gates[to]).into_iter();
            // Routes ask no more of a place than which router it belongs to.
            let mut known = BTreeMap::new();
            let ways = ways.take_while(|_| !limits.stop.is_given());
            ways.filter_map(move |way| {
                let ingress = way.old.ingress;
                let destinations = known
                    .entry(router(firewall, ingress))
                    .or_insert_with(|| leaving(firewall, &pairing.old, ingress, to, family));
                let destinations = destinations.clone();
                let whole = destinations == Ranges::span(0, family.last());
                let destinations = Some(destinations).filter(|it| !it.is_empty())?;
                Some(Crossing { destinations: Some(destinations).filter(|_| !whole), ..way })
            })
        });
        return grouped([firewall; 2], asked);
    }
    let all = crossings([firewall; 2], pairing, (family, None), limits).into_iter().flatten();
    let asked = all.filter(|way| {
        // A place stands for itself only, and not for the others of its gate.
        let at = gates.iter().position(|gate| gate.places.contains(&way.old.ingress));
        way.old == way.new && at.is_some_and(|at| named(enter, at))
    });
    grouped([firewall; 2], asked)
}

fn one_case(
    firewall: &LinkedFirewall,
    (search, written): (&Search, &Writing<'_>),
    (family, protocols): (Family, ProtocolClass),
    crossings: &Arc<[Crossing]>,
    answer: &mut Answer,
) {
    let names = firewall.applications.iter().map(|known| known.name.clone());
    let mut names: Vec<Box<str>> = names.collect();
    names.sort_unstable();
    names.dedup();
    let Some(sets) = search.scope.sets(family, protocols, &names) else { return };
    if search.limits.stop.is_given() {
        let (old, new, within) = (Passage::default(), Passage::default(), Vec::new());
        let case = Case { family, protocols, old, new, within };
        return answer.leave_open(&case, crossings, vec![Unproved::Stopped]);
    }
    let Some(first) = crossings.first() else { return };
    let mut within: Vec<(Field, Ranges)> = sets.into_iter().collect();
    within.extend(first.destinations.clone().map(|destinations| (Field::Dst, destinations)));
    let case = Case { family, protocols, old: first.old, new: first.new, within };
    let found = written(&case).map_err(Unproved::from).map(|problem| {
        let problem = one_sided(&problem, Side::Old, search.wanted, search.any_translation);
        let mut solution = solve(&problem, &search.limits);
        let regions = regions_until(&problem, &mut solution, search.limits.stop);
        let (case, crossings) = (case.clone(), Arc::clone(crossings));
        let mut compared = Compared { case, crossings, problem, solution, regions };
        compared.regions = certain(&compared, &search.limits);
        compared
    });
    answer.add(&case, crossings, found);
}

/// The problem whose difference is what one side lets through, or refuses: that side with all else
/// outside of the question, against a list with everything outside.
pub(crate) fn one_sided(
    problem: &Problem,
    side: Side,
    wanted: Wanted,
    any_translation: bool,
) -> Problem {
    let outcomes = problem.outcomes.iter().map(|outcome| match outcome {
        Outcome::Allow(_) if wanted == Wanted::Allow && any_translation => {
            Outcome::Allow(Translate::default())
        }
        outcome if wanted.fits(outcome) => outcome.clone(),
        _ => Outcome::Outside,
    });
    let nothing = OutcomeId(problem.outcomes.len() as u32);
    let all = Entry { sets: Box::new([]), step: Step::Decide(nothing), origin: Origin::default() };
    let list = if side == Side::Old { &problem.old } else { &problem.new };
    Problem {
        outcomes: outcomes.chain([Outcome::Outside]).collect(),
        old: list.clone(),
        new: List { entries: vec![all] },
        ..problem.clone()
    }
}
