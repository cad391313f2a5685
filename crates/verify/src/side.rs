//! What one firewall does with the packets of a box.

use std::collections::BTreeMap;

use parefeu_policy::{LinkedAction, LinkedFirewall, LinkedNatTable, RuleId, Sees, Span};

use crate::change::{self, Agreement, Change, Function, Rewrite};
use crate::course::{self, Act, Course};
use crate::place::Passage;
use crate::ranges::{Range, Ranges, both, covers, joined};
use crate::rule::{Doubt, Reader, Seen};
use crate::space::{
    DST, DST_PORT, Dim, Fit, NEW_DST, NEW_DST_PORT, NEW_SRC, NEW_SRC_PORT, Product, Region, SRC,
    SRC_PORT, Space,
};

/// One firewall, written out for a case.
#[derive(Clone)]
pub(crate) struct Side<'a> {
    /// `old` or `new`.
    pub(crate) name: &'static str,
    pub(crate) firewall: &'a LinkedFirewall,
    /// Source translation, destination translation; `None` where there is none.
    changes: [Option<Course<Change>>; 2],
    filter: Course<LinkedAction>,
    /// The filter's steps of each rule, and of all defaults.
    of_rule: BTreeMap<Option<RuleId>, Vec<u32>>,
    /// The greatest values of address and port.
    last: [u128; 2],
}

/// The steps of a side that may matter for a box.
#[derive(Clone, Debug)]
pub(crate) struct View {
    changes: [Vec<u32>; 2],
    filter: Vec<u32>,
}

impl View {
    /// How many steps there are.
    pub(crate) fn len(&self) -> usize {
        self.changes.iter().map(Vec::len).sum::<usize>() + self.filter.len()
    }
}

/// What a side does with a box, as far as it can be told without cutting it.
pub(crate) struct Sight<'s, 'a> {
    side: &'s Side<'a>,
    /// The steps that may matter for it.
    pub(crate) view: View,
    /// The box, with the addresses and ports its packets may have as they leave.
    region: Region,
    /// The same, as the last step of each table leaves them.
    last: Region,
    /// What becomes of address and port, of the source and of the destination; `None` while it is
    /// not the same for all packets, or not known to be.
    functions: [Option<[Function; 2]>; 2],
    /// What becomes of all packets in the filter.
    pub(crate) verdict: Option<LinkedAction>,
    /// Where a rewriting of bits has to be cut to be one function.
    cut: Option<(Dim, u128)>,
}

/// Steps as they matter for a box: what they narrow, and what they do. To go on is to go on at a
/// place of this list.
type Steps<D> = Vec<(Product, Act<D>)>;

/// The fields one table changes: as packets arrive, and as they leave.
const CHANGED: [[(Dim, Dim); 2]; 2] =
    [[(SRC, NEW_SRC), (SRC_PORT, NEW_SRC_PORT)], [(DST, NEW_DST), (DST_PORT, NEW_DST_PORT)]];

const SOURCE: usize = 0;
const DESTINATION: usize = 1;

impl<'a> Side<'a> {
    pub(crate) fn new(
        name: &'static str,
        (firewall, passage): (&'a LinkedFirewall, Passage),
        (dialect, refusals_differ): (&'a str, bool),
        space: &mut Space,
    ) -> Self {
        let reader = Reader::new(firewall, passage, dialect, space);
        let tables = [&firewall.source_nat, &firewall.destination_nat];
        let is_used = |table: &LinkedNatTable| table.rules.iter().any(|rule| !rule.disabled);
        let used = tables.map(is_used);
        let routed = if used[DESTINATION] { NEW_DST } else { DST };
        let sees_new = firewall.source_nat.sees == Sees::Translated && used[DESTINATION];
        // What a destination translation compares is the packet before it, whatever it says it
        // sees; a source translation may see the new destination, and never the new source.
        let seen = [Seen::new(false, sees_new, sees_new), Seen::new(false, false, false)];
        let mut written = [SOURCE, DESTINATION].map(|which| {
            let way = (which == SOURCE).then_some(routed);
            let table = tables[which];
            used[which].then(|| change::table(&reader, table, (&seen[which], way), space))
        });
        let filter = course::filter(&reader, firewall, (used, refusals_differ), space);
        let mut of_rule: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (at, step) in (0..).zip(&filter.0) {
            of_rule.entry(step.rule).or_default().push(at);
        }
        let last = [space.last(SRC), space.last(SRC_PORT)];
        let changes = [written[SOURCE].take(), written[DESTINATION].take()];
        Self { name, firewall, changes, filter, of_rule, last }
    }

    /// All steps.
    pub(crate) fn view(&self) -> View {
        let changes =
            [SOURCE, DESTINATION].map(|which| self.changes[which].as_ref().map(Course::all));
        View { changes: changes.map(Option::unwrap_or_default), filter: self.filter.all() }
    }

    /// Whether another way through the firewall is written out the same.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        self.changes == other.changes && self.filter == other.filter
    }

    /// Looks at a box, of whose steps none but those of the view matter.
    pub(crate) fn look(&self, view: &View, region: &Region) -> Sight<'_, 'a> {
        let mut sight = Sight {
            side: self,
            view: View { changes: [vec![], vec![]], filter: vec![] },
            region: region.clone(),
            last: region.clone(),
            functions: [SOURCE, DESTINATION].map(|_| Some(UNCHANGED)),
            verdict: None,
            cut: None,
        };
        // The destination first: where packets leave, and with it the source, depends on it.
        for which in [DESTINATION, SOURCE] {
            if let Some(course) = &self.changes[which] {
                sight.translate(which, course, &view.changes[which]);
            }
        }
        let listed = sight.possible(&self.filter, &view.filter);
        let filter = self.filter.live(&listed, &sight.region);
        sight.verdict = self.filter.only(&filter).copied();
        sight.view.filter = filter;
        sight
    }

    /// Whether a rule matches every packet of a box that comes to it, and does this with them;
    /// without a rule, whether a default does.
    pub(crate) fn states(
        &self,
        rule: Option<RuleId>,
        action: LinkedAction,
        sight: &Sight<'_, '_>,
    ) -> bool {
        let steps = self.of_rule.get(&rule).map(Vec::as_slice).unwrap_or_default();
        steps.iter().map(|at| self.filter.step(*at)).any(|step| {
            step.act == Act::Decide(action) && step.product.fit(&sight.last) == Fit::Covers
        })
    }
}

impl Sight<'_, '_> {
    /// Follows the box through a table of translations.
    fn translate(&mut self, which: usize, course: &Course<Change>, listed: &[u32]) {
        let live = course.live(&self.possible(course, listed), &self.region);
        self.functions[which] = course.only(&live).and_then(|change| {
            let [(address, _), (port, _)] = CHANGED[which];
            let mut on = |rewrite: &Rewrite, dim: Dim| {
                let function = rewrite.on(&self.region.0[dim]);
                function.map_err(|value| self.cut = self.cut.or(Some((dim, value)))).ok()
            };
            Some([on(&change.address, address)?, on(&change.port, port)?])
        });
        let [(_, address), (_, port)] = CHANGED[which];
        let [addresses, ports] = self.images(which, course, &live);
        let [last_addresses, last_ports] =
            self.images(which, course, live.last().map_or(&[], std::slice::from_ref));
        self.region = self.region.with(address, addresses).with(port, ports);
        self.last = self.last.with(address, last_addresses).with(port, last_ports);
        self.view.changes[which] = live;
    }

    /// The steps some packet may match, where what is compared as it arrives and as it leaves are
    /// looked at together.
    fn possible<D: PartialEq>(&self, course: &Course<D>, listed: &[u32]) -> Vec<u32> {
        if self.side.changes.iter().all(Option::is_none) {
            return listed.to_vec();
        }
        let can_match = |at: &u32| self.as_arrived(&course.step(*at).product).is_some();
        listed.iter().copied().filter(can_match).collect()
    }

    /// The addresses and the ports that steps of a table may yield.
    fn images(&self, which: usize, course: &Course<Change>, live: &[u32]) -> [Ranges; 2] {
        let mut found: [Vec<Range>; 2] = [vec![], vec![]];
        for step in live.iter().map(|at| course.step(*at)) {
            let Some(part) = self.region.within(&step.product) else { continue };
            for (field, found) in found.iter_mut().enumerate() {
                let (dim, last) = (CHANGED[which][field].0, self.side.last[field]);
                match &step.act {
                    Act::Decide(change) => {
                        let rewrite = [&change.address, &change.port][field];
                        // What a session chooses of ports, the filter sees as it was.
                        let kept = field == 1 && matches!(rewrite, Rewrite::Choose(_));
                        let rewrite = if kept { &Rewrite::Add(0) } else { rewrite };
                        found.extend_from_slice(&rewrite.image(&part.0[dim], last));
                    }
                    Act::GoOn(_) | Act::Doubt(_) => found.push((0, last)),
                }
            }
        }
        found.map(joined)
    }

    /// What becomes of address and port of the source, then of the destination.
    pub(crate) fn functions(&self) -> Option<[&Function; 4]> {
        let [Some([src, src_port]), Some([dst, dst_port])] = &self.functions else { return None };
        Some([src, src_port, dst, dst_port])
    }

    /// What stands in the way of telling what becomes of the box: a step that is not modelled.
    pub(crate) fn doubt(&self) -> Option<(Doubt, Span)> {
        let courses = self.side.changes.iter().zip(&self.view.changes);
        let changes = courses.filter_map(|(course, live)| Some(course.as_ref()?.doubt(live)));
        changes.flatten().next().or_else(|| self.side.filter.doubt(&self.view.filter))
    }

    /// Whether both sides translate every packet alike, as far as that can be told by their rules.
    pub(crate) fn translates_as(&self, other: &Self) -> bool {
        [DESTINATION, SOURCE].into_iter().all(|which| {
            match (&self.functions[which], &other.functions[which]) {
                (Some(one), Some(other)) => [0, 1].into_iter().all(|field| {
                    let (dim, last) = (CHANGED[which][field].0, self.side.last[field]);
                    let values = &self.region.0[dim];
                    one[field].agreement(&other[field], values, last) == Agreement::Everywhere
                }),
                (None, None) => {
                    let [one, other] = [self, other].map(|sight| sight.changing(which));
                    one.iter().all(|(_, act)| !matches!(act, Act::Doubt(_))) && one == other
                }
                _ => false,
            }
        })
    }

    /// The steps of a translation table.
    fn changing(&self, which: usize) -> Steps<Change> {
        let course = self.side.changes[which].as_ref();
        course.map_or_else(Vec::new, |course| self.steps(course, &self.view.changes[which]))
    }

    /// The steps of the filter.
    pub(crate) fn filtering(&self) -> Steps<LinkedAction> {
        self.steps(&self.side.filter, &self.view.filter)
    }

    /// Where to cut so that more can be told about translations.
    pub(crate) fn cut(&self) -> Option<(Dim, u128)> {
        let tables = [DESTINATION, SOURCE].into_iter();
        let open = tables.filter(|which| self.functions[*which].is_none());
        let steps = open.flat_map(|which| self.changing(which));
        self.cut.or_else(|| steps.into_iter().find_map(|(product, _)| self.boundary(&product)))
    }

    /// Where to cut so that a product holds more of one part of the box and less of the other.
    pub(crate) fn boundary(&self, product: &Product) -> Option<(Dim, u128)> {
        product.0.iter().find_map(|(&dim, part)| {
            if CHANGED.iter().flatten().any(|(_, left)| *left == dim) {
                return None;
            }
            let whole = &self.region.0[dim];
            let (low, high) = (whole.first()?.0, whole.last()?.1);
            let (first, last) = *part.get(part.len() / 2)?;
            let before = first.checked_sub(1).filter(|_| low < first);
            before.or(Some(last).filter(|_| last < high)).map(|value| (dim, value))
        })
    }

    fn steps<D: Clone + PartialEq>(&self, course: &Course<D>, live: &[u32]) -> Steps<D> {
        let place = |to: u32| live.partition_point(|at| *at < to) as u32;
        let steps = live.iter().map(|at| {
            let step = course.step(*at);
            let act = match &step.act {
                Act::GoOn(to) => Act::GoOn(place(*to)),
                act => act.clone(),
            };
            // What cannot match is not among the steps that are left.
            (self.as_arrived(&step.product).unwrap_or_default(), act)
        });
        let mut steps: Steps<D> = steps.collect();
        if !steps.iter().any(|(_, act)| matches!(act, Act::GoOn(_))) {
            // The order of steps that do the same is no matter.
            for same in steps.chunk_by_mut(|one, other| one.1 == other.1) {
                same.sort_by(|one, other| one.0.cmp(&other.0));
            }
            steps.dedup();
        }
        steps
    }

    /// What a product narrows of the box, told by packets as they arrive where that can be told;
    /// `None` where it holds none of them.
    fn as_arrived(&self, product: &Product) -> Option<Product> {
        let mut found: BTreeMap<Dim, Ranges> = BTreeMap::new();
        for (&dim, set) in &product.0 {
            let whole = &self.region.0[dim];
            if covers(set, whole) {
                continue;
            }
            let (dim, part) = self.origin(dim, both(set, whole).into());
            let whole = &self.region.0[dim];
            let part = both(found.get(&dim).unwrap_or(whole), &part);
            if part.is_empty() {
                return None;
            }
            found.insert(dim, part.into());
        }
        found.retain(|dim, part| *part != self.region.0[*dim]);
        Some(Product(found))
    }

    /// The values a field has as packets arrive that leave with these.
    fn origin(&self, dim: Dim, part: Ranges) -> (Dim, Ranges) {
        for (fields, functions) in CHANGED.iter().zip(&self.functions) {
            let Some(functions) = functions else { continue };
            for (field, (arrived, left)) in fields.iter().enumerate() {
                let number = match functions[field] {
                    Function::Add(number) => number,
                    Function::Choose(_) if field == 1 => 0,
                    Function::Constant(_) | Function::Choose(_) => continue,
                };
                if *left == dim {
                    let last = self.side.last[field];
                    return (*arrived, change::moved(&part, number.wrapping_neg(), last));
                }
            }
        }
        (dim, part)
    }
}

/// What no table changes.
const UNCHANGED: [Function; 2] = [Function::Add(0), Function::Add(0)];
