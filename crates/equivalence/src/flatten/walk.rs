//! The layers and rule bases of one side, written out in order.

use std::collections::BTreeMap;
use std::rc::Rc;

use parefeu_policy::{
    LinkedAction, LinkedFirewall, LinkedLayer, LinkedRule, ResetSide, RuleBaseId, RuleId, Sees,
    Span,
};

use super::rule::{Conditions, Reader};
use super::translate::{Table, Turn};
use super::values::Region;
use super::view::View;
use super::{MAX_STEPS, NotFlattened, Obstacle, Passage, RULES_A_STEP, Space};
use crate::{Origin, Outcome, Side, Translate};

/// An entry whose values are not classes yet.
pub(super) struct Draft {
    pub(super) region: Region,
    pub(super) step: DraftStep,
    pub(super) origin: Origin,
}

/// What it does.
pub(super) enum DraftStep {
    Decide(Outcome),
    GoTo(Label),
}

/// A place in the list that may not be known yet.
#[derive(Clone, Copy)]
pub(super) struct Label(usize);

/// One side written out.
#[derive(Default)]
pub(super) struct Drafts {
    pub(super) entries: Vec<Draft>,
    labels: Vec<u32>,
}

impl Drafts {
    /// The index a label stands for.
    pub(super) fn position(&self, label: Label) -> u32 {
        self.labels[label.0]
    }

    fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() - 1)
    }

    /// Puts a label before the next entry.
    fn put(&mut self, label: Label) {
        self.labels[label.0] = self.entries.len() as u32;
    }
}

/// Writes one side out.
pub(super) fn write_out(
    firewall: &LinkedFirewall,
    side: Side,
    passage: Passage,
    space: &Space<'_>,
) -> Result<Drafts, NotFlattened> {
    let reader = Reader::new(firewall, side, passage, space);
    let source_nat = Table::read(&reader, &firewall.source_nat)?;
    let destinations = Table::read(&reader, &firewall.destination_nat)?.destinations(&reader)?;
    let (list, read) = (Drafts::default(), BTreeMap::new());
    let left = u64::from(MAX_STEPS) * u64::from(RULES_A_STEP);
    let reaching = Region::EVERYTHING;
    let mut writer = Writer { reader, source_nat, list, read, reaching, left };
    for region in space.outside() {
        let step = DraftStep::Decide(Outcome::Outside);
        writer.list.entries.push(Draft { region, step, origin: Origin::default() });
    }
    for destination in &destinations {
        writer.destination(destination)?;
        writer.reaching = writer.reaching.without(&destination.region);
    }
    Ok(writer.list)
}

struct Writer<'a> {
    reader: Reader<'a>,
    source_nat: Table<'a>,
    list: Drafts,
    /// What rules match, as far as they have been read.
    read: BTreeMap<RuleId, Rc<Conditions>>,
    /// The packets no earlier destination translation takes, and perhaps others.
    reaching: Region,
    /// The rules that may still be read; an entry written counts as [`RULES_A_STEP`].
    left: u64,
}

/// One layer for packets that are translated alike.
struct Block<'b> {
    /// What the layer sees.
    view: View,
    /// What becomes of the destination.
    destination: &'b Turn,
    /// What becomes of the sources.
    sources: &'b [Turn],
    /// Where packets go on that the layer accepts; `None` in the last one.
    accepted: Option<Label>,
}

impl Writer<'_> {
    /// Writes out what becomes of the packets whose destinations are translated alike.
    fn destination(&mut self, destination: &Turn) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let view = match firewall.source_nat.sees {
            Sees::Original => View { left: self.reaching.clone(), ..View::ARRIVED },
            Sees::Translated => View {
                left: self.reaching.clone(),
                dst: destination.address.image.clone(),
                dst_port: destination.port.image.clone(),
                routed: destination.address.image.clone(),
                ..View::ARRIVED
            },
        };
        let routed = &destination.address.image;
        let sources =
            self.source_nat.sources(&self.reader, &destination.region, (&view, routed))?;
        let compared = firewall.layers.iter().any(|layer| layer.sees_src == Sees::Translated);
        if !compared {
            return self.layers(&destination.region, destination, &sources);
        }
        for source in &sources {
            self.layers(&source.region, destination, std::slice::from_ref(source))?;
        }
        Ok(())
    }

    /// Writes all layers out for the packets of `guard`.
    fn layers(
        &mut self,
        guard: &Region,
        destination: &Turn,
        sources: &[Turn],
    ) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let mut block = Block { view: View::ARRIVED, destination, sources, accepted: None };
        for (index, layer) in firewall.layers.iter().enumerate() {
            let (undecided, next) = (self.list.label(), self.list.label());
            block.accepted = (index + 1 < firewall.layers.len()).then_some(next);
            block.view = View { left: self.reaching.clone(), ..seen(layer, destination, sources) };
            self.rule_base(&block, layer.rule_base, guard, undecided)?;
            self.list.put(undecided);
            let at = firewall.rule_bases[layer.rule_base.index()].at;
            self.settle(&block, guard.clone(), layer.default, (None, at))?;
            self.list.put(next);
        }
        if firewall.layers.is_empty() {
            let at = Span { source: u16::MAX, start: 0, end: 0 };
            self.settle(&block, guard.clone(), LinkedAction::Allow, (None, at))?;
        }
        Ok(())
    }

    /// Writes a rule base out for the packets of `guard`; those it sends back go on at `end`, and
    /// those that come to its end go on behind what is written.
    fn rule_base(
        &mut self,
        block: &Block<'_>,
        id: RuleBaseId,
        guard: &Region,
        end: Label,
    ) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let rule_base = &firewall.rule_bases[id.index()];
        for (rule, id) in firewall.rules_of(id).iter().zip(rule_base.first.0..).map(numbered) {
            self.spend(1, rule.at)?;
            if rule.disabled || rule.action == LinkedAction::Continue {
                continue;
            }
            let conditions = self.conditions(id, rule)?;
            let found = block.view.matching(guard, &conditions);
            for region in found.map_err(|reason| self.reader.refuse(reason, rule.at))? {
                let all = region == *guard;
                match rule.action {
                    LinkedAction::Jump(to) => {
                        let back = self.list.label();
                        self.rule_base(block, to, &region, back)?;
                        self.list.put(back);
                        continue;
                    }
                    LinkedAction::Goto(to) => {
                        self.rule_base(block, to, &region, end)?;
                        self.push(region, DraftStep::GoTo(end), origin(block, id), rule.at)?;
                    }
                    LinkedAction::Return => {
                        self.push(region, DraftStep::GoTo(end), origin(block, id), rule.at)?;
                    }
                    action => self.settle(block, region, action, (Some(id), rule.at))?,
                }
                // Nothing of the guard comes past this rule.
                if all {
                    return Ok(());
                }
            }
        }
        match rule_base.default {
            Some(action) => self.settle(block, guard.clone(), action, (None, rule_base.at)),
            None => Ok(()),
        }
    }

    fn conditions(
        &mut self,
        id: RuleId,
        rule: &LinkedRule,
    ) -> Result<Rc<Conditions>, NotFlattened> {
        if let Some(known) = self.read.get(&id) {
            return Ok(Rc::clone(known));
        }
        let conditions = Rc::new(self.reader.conditions(&rule.matches, rule.at)?);
        self.read.insert(id, Rc::clone(&conditions));
        Ok(conditions)
    }

    /// A final action, of a rule or a default.
    fn settle(
        &mut self,
        block: &Block<'_>,
        region: Region,
        action: LinkedAction,
        (rule, at): (Option<RuleId>, Span),
    ) -> Result<(), NotFlattened> {
        let origin = Origin { rule, destination_nat: block.destination.rule, source_nat: None };
        match (action, block.accepted) {
            (LinkedAction::Allow, Some(next)) => {
                self.push(region, DraftStep::GoTo(next), origin, at)
            }
            (LinkedAction::Allow, None) => self.allow(block, &region, origin, at),
            (action, _) => self.push(region, DraftStep::Decide(refusal(action)), origin, at),
        }
    }

    /// Lets packets through, each with what becomes of its source.
    fn allow(
        &mut self,
        block: &Block<'_>,
        region: &Region,
        origin: Origin,
        at: Span,
    ) -> Result<(), NotFlattened> {
        for source in block.sources {
            let Some(part) = region.intersection(&source.region) else { continue };
            let all = part == *region;
            let translate = Translate {
                src: source.address.function.clone(),
                src_port: source.port.function.clone(),
                dst: block.destination.address.function.clone(),
                dst_port: block.destination.port.function.clone(),
            };
            let step = DraftStep::Decide(Outcome::Allow(translate));
            self.push(part, step, Origin { source_nat: source.rule, ..origin }, at)?;
            if all {
                break;
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        region: Region,
        step: DraftStep,
        origin: Origin,
        at: Span,
    ) -> Result<(), NotFlattened> {
        self.spend(RULES_A_STEP.into(), at)?;
        self.list.entries.push(Draft { region, step, origin });
        Ok(())
    }

    fn spend(&mut self, rules: u64, at: Span) -> Result<(), NotFlattened> {
        let left = self.left.checked_sub(rules);
        self.left = left.ok_or_else(|| self.reader.refuse(Obstacle::TooLong, at))?;
        Ok(())
    }
}

/// What a layer sees of packets that are translated so.
fn seen(layer: &LinkedLayer, destination: &Turn, sources: &[Turn]) -> View {
    let mut view = View { routed: destination.address.image.clone(), ..View::ARRIVED };
    if layer.sees_dst == Sees::Translated {
        view.dst = destination.address.image.clone();
        view.dst_port = destination.port.image.clone();
    }
    if let (Sees::Translated, [source]) = (layer.sees_src, sources) {
        view.src = source.address.image.clone();
        view.src_port = source.port.image.clone();
    }
    view
}

fn origin(block: &Block<'_>, rule: RuleId) -> Origin {
    Origin { rule: Some(rule), destination_nat: block.destination.rule, source_nat: None }
}

fn numbered((rule, id): (&LinkedRule, u32)) -> (&LinkedRule, RuleId) {
    (rule, RuleId(id))
}

/// What becomes of a packet that is not let through; an action that decides nothing lets none.
fn refusal(action: LinkedAction) -> Outcome {
    match action {
        LinkedAction::Reset(side) => {
            let side = match side {
                ResetSide::Client => "client",
                ResetSide::Server => "server",
                ResetSide::Both => "both",
            };
            Outcome::Deny(format!("reset {side}").into())
        }
        other => Outcome::Deny(other.verdict_name().into()),
    }
}
