//! A list of steps, of which the first that matches a packet says what becomes of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use parefeu_policy::{LinkedAction, LinkedFirewall, RuleBaseId, RuleId, Sees, Span};

use crate::rule::{Doubt, Piece, Reader, Seen};
use crate::space::{Fit, Product, Region, Space};

/// What a step does with the packets that come to it and that it matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Act<D> {
    /// This becomes of them.
    Decide(D),
    /// They go on at this place, further down.
    GoOn(u32),
    /// Nobody here can tell what becomes of them, nor whether they match.
    Doubt(Doubt),
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step<D> {
    pub(crate) product: Product,
    pub(crate) act: Act<D>,
    /// The rule it comes from; `None` for a default.
    pub(crate) rule: Option<RuleId>,
    pub(crate) at: Span,
}

/// The steps; the last one decides about every packet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course<D>(pub(crate) Vec<Step<D>>);

impl<D: PartialEq> Course<D> {
    /// All steps.
    pub(crate) fn all(&self) -> Vec<u32> {
        (0..self.0.len() as u32).collect()
    }

    pub(crate) fn step(&self, at: u32) -> &Step<D> {
        &self.0[at as usize]
    }

    /// Of the steps listed, those that matter for a region, and whether the last of them decides
    /// about all packets that come to it.
    ///
    /// Left out is what matches none of the packets, what none of them comes to, and what does the
    /// same as the last step and has nothing else between.
    pub(crate) fn live(&self, listed: &[u32], region: &Region) -> Vec<u32> {
        let mut found = self.reached(listed, region);
        let Some(last) = found.pop() else { return found };
        // Nothing that is reached goes on past the last step.
        let does_the_same = |at: &u32| match &self.step(*at).act {
            Act::GoOn(_) => true,
            act @ Act::Decide(_) => *act == self.step(last).act,
            Act::Doubt(_) => false,
        };
        while found.last().is_some_and(does_the_same) {
            found.pop();
        }
        found.push(last);
        found
    }

    fn reached(&self, listed: &[u32], region: &Region) -> Vec<u32> {
        let mut found = Vec::new();
        // Every packet that gets this far goes on at `resume`; some may have gone on at `passed`.
        let (mut resume, mut passed) = (0, 0);
        for &at in listed {
            let step = self.step(at);
            let fit = if at < resume { Fit::Misses } else { step.product.fit(region) };
            let takes_all = fit == Fit::Covers && passed <= at;
            match step.act {
                _ if fit == Fit::Misses => {}
                Act::GoOn(to) if takes_all => resume = to,
                Act::GoOn(to) => {
                    passed = passed.max(to);
                    found.push(at);
                }
                Act::Decide(_) if takes_all => {
                    found.push(at);
                    break;
                }
                Act::Decide(_) | Act::Doubt(_) => found.push(at),
            }
        }
        found
    }

    /// The first step that is not modelled.
    pub(crate) fn doubt(&self, live: &[u32]) -> Option<(Doubt, Span)> {
        live.iter().map(|at| self.step(*at)).find_map(|step| match step.act {
            Act::Doubt(doubt) => Some((doubt, step.at)),
            Act::Decide(_) | Act::GoOn(_) => None,
        })
    }

    /// What becomes of every packet, if one step is left and decides it.
    pub(crate) fn only(&self, live: &[u32]) -> Option<&D> {
        match (live, live.first().map(|at| &self.step(*at).act)) {
            ([_], Some(Act::Decide(decision))) => Some(decision),
            _ => None,
        }
    }
}

/// The filter layers of a firewall as one course.
///
/// `changes` says whether the source and the destination are translated at all: where they are not,
/// the fields of the packet as it leaves are those as it arrives. Where `refusals_differ` is not
/// set, every refusal is a denial.
pub(crate) fn filter(
    reader: &Reader<'_>,
    firewall: &LinkedFirewall,
    (changes, refusals_differ): ([bool; 2], bool),
    space: &mut Space,
) -> Course<LinkedAction> {
    let mut writer = Writer {
        reader,
        firewall,
        space,
        seen: Seen::new(false, false, false),
        steps: Vec::new(),
        labels: Vec::new(),
        read: BTreeMap::new(),
        accepted: None,
        refusals_differ,
    };
    let is_whole = writer.layers(changes).is_some();
    let Writer { steps, labels, .. } = writer;
    if !is_whole {
        let act = Act::Doubt(Doubt::TooLong);
        let step = Step { product: Product::default(), act, rule: None, at: NOWHERE };
        return Course(vec![step]);
    }
    let placed = steps.into_iter().map(|step| match step.act {
        Act::GoOn(label) => Step { act: Act::GoOn(labels[label as usize]), ..step },
        _ => step,
    });
    Course(placed.collect())
}

/// Writes steps down. While it does, a place to go on at is an index into the labels, for most
/// places are not known before they are reached.
struct Writer<'a, 'b> {
    reader: &'b Reader<'a>,
    firewall: &'a LinkedFirewall,
    space: &'b mut Space,
    seen: Seen,
    steps: Vec<Step<LinkedAction>>,
    labels: Vec<u32>,
    /// What rules of this layer match, as far as they have been read.
    read: BTreeMap<RuleId, Rc<[Piece]>>,
    /// Where packets go on that the layer lets through; `None` in the last layer.
    accepted: Option<u32>,
    refusals_differ: bool,
}

impl Writer<'_, '_> {
    /// Writes everything; `None` when it does not end within reason.
    fn layers(&mut self, changes: [bool; 2]) -> Option<()> {
        let firewall = self.firewall;
        let [src, dst] = changes;
        for (index, layer) in firewall.layers.iter().enumerate() {
            let sees = |what: Sees, changes: bool| what == Sees::Translated && changes;
            self.seen = Seen::new(sees(layer.sees_src, src), sees(layer.sees_dst, dst), dst);
            self.read.clear();
            let (undecided, next) = (self.label(), self.label());
            self.accepted = (index + 1 < firewall.layers.len()).then_some(next);
            let everything = Product::default();
            self.rule_base(layer.rule_base, &everything, undecided)?;
            self.put(undecided);
            let at = firewall.rule_bases[layer.rule_base.index()].at;
            self.decide(everything, layer.default, None, at)?;
            self.put(next);
        }
        if firewall.layers.is_empty() {
            self.decide(Product::default(), LinkedAction::Allow, None, NOWHERE)?;
        }
        Some(())
    }

    /// Writes a rule base for the packets of `guard`: those it sends back go on at `back`, those
    /// that reach its end at what is written next.
    fn rule_base(&mut self, id: RuleBaseId, guard: &Product, back: u32) -> Option<()> {
        let firewall = self.firewall;
        let rule_base = &firewall.rule_bases[id.index()];
        for (number, rule) in (rule_base.first.0..).zip(firewall.rules_of(id)) {
            if rule.disabled || rule.action == LinkedAction::Continue {
                continue;
            }
            let number = RuleId(number);
            for (product, doubt) in self.pieces(number).iter() {
                let Some(product) = guard.and(product) else { continue };
                let takes_all = doubt.is_none() && product == *guard;
                match (doubt, rule.action) {
                    (Some(doubt), _) => {
                        self.push(product, Act::Doubt(*doubt), Some(number), rule.at)?;
                    }
                    (None, LinkedAction::Jump(to)) => {
                        let after = self.label();
                        self.rule_base(to, &product, after)?;
                        self.put(after);
                        continue;
                    }
                    (None, LinkedAction::Goto(to)) => {
                        self.rule_base(to, &product, back)?;
                        self.push(product, Act::GoOn(back), Some(number), rule.at)?;
                    }
                    (None, LinkedAction::Return) => {
                        self.push(product, Act::GoOn(back), Some(number), rule.at)?;
                    }
                    (None, action) => self.decide(product, action, Some(number), rule.at)?,
                }
                if takes_all {
                    return Some(());
                }
            }
        }
        match rule_base.default {
            Some(action) => self.decide(guard.clone(), action, None, rule_base.at),
            None => Some(()),
        }
    }

    fn pieces(&mut self, id: RuleId) -> Rc<[Piece]> {
        if let Some(known) = self.read.get(&id) {
            return Rc::clone(known);
        }
        let matches = &self.firewall.rule(id).matches;
        let pieces: Rc<[Piece]> = self.reader.pieces(matches, true, &self.seen, self.space).into();
        self.read.insert(id, Rc::clone(&pieces));
        pieces
    }

    fn decide(
        &mut self,
        product: Product,
        action: LinkedAction,
        rule: Option<RuleId>,
        at: Span,
    ) -> Option<()> {
        let act = match (action, self.accepted) {
            (LinkedAction::Allow, Some(next)) => Act::GoOn(next),
            (LinkedAction::Allow, None) => Act::Decide(action),
            _ if self.refusals_differ => Act::Decide(action),
            _ => Act::Decide(LinkedAction::Deny),
        };
        self.push(product, act, rule, at)
    }

    fn push(
        &mut self,
        product: Product,
        act: Act<LinkedAction>,
        rule: Option<RuleId>,
        at: Span,
    ) -> Option<()> {
        self.steps.push(Step { product, act, rule, at });
        (self.steps.len() < MAX_STEPS).then_some(())
    }

    fn label(&mut self) -> u32 {
        self.labels.push(u32::MAX);
        self.labels.len() as u32 - 1
    }

    /// The label stands for what is written next.
    fn put(&mut self, label: u32) {
        self.labels[label as usize] = self.steps.len() as u32;
    }
}

/// Where nothing is written.
pub(crate) const NOWHERE: Span = Span { source: u16::MAX, start: 0, end: 0 };

/// The most steps one firewall is written out as.
const MAX_STEPS: usize = 1 << 22;
