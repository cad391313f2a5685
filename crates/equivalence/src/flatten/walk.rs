//! The layers and rule bases of one side, written out in order.

use std::collections::BTreeMap;
use std::rc::Rc;

use parefeu_policy::{
    LinkedAction, LinkedFirewall, LinkedNatRule, LinkedRule, ResetSide, RuleBaseId, RuleId, Span,
};

use super::rule::Reader;
use super::values::Region;
use super::{MAX_STEPS, NotFlattened, Obstacle, Passage, Space};
use crate::{Outcome, Side, Translate};

/// An entry whose values are not classes yet.
pub(super) struct Draft {
    pub(super) region: Region,
    pub(super) step: DraftStep,
    pub(super) rule: Option<RuleId>,
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
    let tables = [&firewall.destination_nat, &firewall.source_nat];
    let translates = |rule: &&LinkedNatRule| !rule.disabled;
    if let Some(rule) = tables.into_iter().flat_map(|table| &table.rules).find(translates) {
        return Err(reader.refuse(Obstacle::Translation, rule.at));
    }
    let (list, read) = (Drafts::default(), BTreeMap::new());
    let mut writer = Writer { reader, list, read, accepted: None, left: MAX_STEPS };
    for region in space.outside() {
        let step = DraftStep::Decide(Outcome::Outside);
        writer.list.entries.push(Draft { region, step, rule: None });
    }
    writer.layers()?;
    Ok(writer.list)
}

struct Writer<'a> {
    reader: Reader<'a>,
    list: Drafts,
    /// What rules match, as far as they have been read.
    read: BTreeMap<RuleId, Rc<[Region]>>,
    /// Where packets go on that this layer accepts; `None` in the last one.
    accepted: Option<Label>,
    /// The steps left.
    left: u32,
}

impl Writer<'_> {
    fn layers(&mut self) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        for (index, layer) in firewall.layers.iter().enumerate() {
            let (undecided, next) = (self.list.label(), self.list.label());
            self.accepted = (index + 1 < firewall.layers.len()).then_some(next);
            self.rule_base(layer.rule_base, &Region::default(), undecided)?;
            self.list.put(undecided);
            let at = firewall.rule_bases[layer.rule_base.index()].at;
            self.settle(Region::default(), layer.default, None, at)?;
            self.list.put(next);
        }
        if firewall.layers.is_empty() {
            let at = Span { source: u16::MAX, start: 0, end: 0 };
            self.settle(Region::default(), LinkedAction::Allow, None, at)?;
        }
        Ok(())
    }

    /// Writes a rule base out for the packets of `guard`; those it sends back go on at `end`, and
    /// those that come to its end go on behind what is written.
    fn rule_base(
        &mut self,
        id: RuleBaseId,
        guard: &Region,
        end: Label,
    ) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let rule_base = &firewall.rule_bases[id.index()];
        for (rule, id) in firewall.rules_of(id).iter().zip(rule_base.first.0..).map(numbered) {
            self.spend(rule.at)?;
            if rule.action == LinkedAction::Continue {
                continue;
            }
            for region in self.regions(id, rule)?.iter() {
                let Some(region) = guard.intersection(region) else { continue };
                let all = region == *guard;
                match rule.action {
                    LinkedAction::Jump(to) => {
                        let back = self.list.label();
                        self.rule_base(to, &region, back)?;
                        self.list.put(back);
                        continue;
                    }
                    LinkedAction::Goto(to) => {
                        self.rule_base(to, &region, end)?;
                        self.push(region, DraftStep::GoTo(end), Some(id), rule.at)?;
                    }
                    LinkedAction::Return => {
                        self.push(region, DraftStep::GoTo(end), Some(id), rule.at)?;
                    }
                    action => self.settle(region, action, Some(id), rule.at)?,
                }
                // Nothing of the guard comes past this rule.
                if all {
                    return Ok(());
                }
            }
        }
        match rule_base.default {
            Some(action) => self.settle(guard.clone(), action, None, rule_base.at),
            None => Ok(()),
        }
    }

    fn regions(&mut self, id: RuleId, rule: &LinkedRule) -> Result<Rc<[Region]>, NotFlattened> {
        if let Some(known) = self.read.get(&id) {
            return Ok(Rc::clone(known));
        }
        let regions: Rc<[Region]> = self.reader.regions(rule)?.into();
        self.read.insert(id, Rc::clone(&regions));
        Ok(regions)
    }

    /// A final action.
    fn settle(
        &mut self,
        region: Region,
        action: LinkedAction,
        rule: Option<RuleId>,
        at: Span,
    ) -> Result<(), NotFlattened> {
        let step = match (action, self.accepted) {
            (LinkedAction::Allow, Some(next)) => DraftStep::GoTo(next),
            (action, _) => DraftStep::Decide(outcome(action)),
        };
        self.push(region, step, rule, at)
    }

    fn push(
        &mut self,
        region: Region,
        step: DraftStep,
        rule: Option<RuleId>,
        at: Span,
    ) -> Result<(), NotFlattened> {
        self.spend(at)?;
        self.list.entries.push(Draft { region, step, rule });
        Ok(())
    }

    fn spend(&mut self, at: Span) -> Result<(), NotFlattened> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or_else(|| self.reader.refuse(Obstacle::TooLong, at))?;
        Ok(())
    }
}

fn numbered((rule, id): (&LinkedRule, u32)) -> (&LinkedRule, RuleId) {
    (rule, RuleId(id))
}

/// What becomes of a packet; an action that decides nothing lets nothing through.
fn outcome(action: LinkedAction) -> Outcome {
    match action {
        LinkedAction::Allow => Outcome::Allow(Translate::default()),
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
