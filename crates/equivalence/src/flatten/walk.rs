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
use crate::{Origin, Outcome, Record, Side, Translate};

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

/// What is recorded of packets on their way.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Noted {
    log: bool,
    /// The rule that logs them and does not decide.
    by: Option<RuleId>,
    /// Of rules that accept, ascending.
    profiles: Vec<Box<str>>,
}

impl Noted {
    /// Adds what a rule does that decides, and the profiles of what it lets through.
    fn add(&mut self, rule: &LinkedRule, profiles: Vec<Box<str>>) {
        self.log |= rule.log;
        self.profiles.extend(profiles);
        self.profiles.sort_unstable();
        self.profiles.dedup();
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
#[derive(Clone)]
struct Block<'b> {
    /// The index of the layer.
    layer: usize,
    /// What the layer sees.
    view: View,
    /// What becomes of the destination.
    destination: &'b Turn,
    /// What becomes of the sources.
    sources: &'b [Turn],
    /// Where packets go on that the layer accepts; `None` in the last one.
    accepted: Option<Label>,
    /// What has been recorded of them, where that is asked.
    noted: Noted,
}

/// Rules still to be read: of a rule base from one on, then those of whoever jumped here.
#[derive(Clone, Copy)]
struct Frame<'f> {
    rule_base: RuleBaseId,
    next: usize,
    caller: Option<&'f Self>,
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
            let turns = (destination, &sources[..]);
            return self.layers(0, &destination.region, turns, &Noted::default());
        }
        for source in &sources {
            let turns = (destination, std::slice::from_ref(source));
            self.layers(0, &source.region, turns, &Noted::default())?;
        }
        Ok(())
    }

    /// Writes the layers from one on out for the packets of `guard`: all of them are decided.
    fn layers(
        &mut self,
        first: usize,
        guard: &Region,
        (destination, sources): (&Turn, &[Turn]),
        noted: &Noted,
    ) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let (accepted, noted) = (None, noted.clone());
        let mut block =
            Block { layer: first, view: View::ARRIVED, destination, sources, accepted, noted };
        for (index, layer) in firewall.layers.iter().enumerate().skip(first) {
            let (undecided, next) = (self.list.label(), self.list.label());
            block.layer = index;
            block.accepted = (index + 1 < firewall.layers.len()).then_some(next);
            let space = self.reader.space;
            let supposed = space.supposes.then_some(space.family);
            let left = self.reaching.clone();
            block.view = View { left, supposed, ..seen(layer, destination, sources) };
            let frame = Frame { rule_base: layer.rule_base, next: 0, caller: None };
            self.rule_base(&block, &frame, guard, undecided)?;
            self.list.put(undecided);
            self.default_of_layer(&block, guard)?;
            self.list.put(next);
        }
        if firewall.layers.is_empty() {
            let at = Span { source: u16::MAX, start: 0, end: 0 };
            self.settle(&block, guard.clone(), LinkedAction::Allow, (None, at))?;
        }
        Ok(())
    }

    fn default_of_layer(&mut self, block: &Block<'_>, guard: &Region) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let layer = &firewall.layers[block.layer];
        let at = firewall.rule_bases[layer.rule_base.index()].at;
        self.settle(block, guard.clone(), layer.default, (None, at))
    }

    /// Writes what a frame has left of its rule base out for the packets of `guard`; those it sends
    /// back go on at `end`, and those that come to its end go on behind what is written.
    fn rule_base(
        &mut self,
        block: &Block<'_>,
        frame: &Frame<'_>,
        guard: &Region,
        end: Label,
    ) -> Result<(), NotFlattened> {
        let firewall = self.reader.firewall;
        let rule_base = &firewall.rule_bases[frame.rule_base.index()];
        let rules = firewall.rules_of(frame.rule_base).iter().enumerate().skip(frame.next);
        for (at, rule) in rules {
            let id = RuleId(rule_base.first.0 + at as u32);
            self.spend(1, rule.at)?;
            let notes = self.reader.space.profiles.is_some() && rule.log && !block.noted.log;
            if rule.disabled || rule.action == LinkedAction::Continue && !notes {
                continue;
            }
            let conditions = self.conditions(id, rule)?;
            let found = block.view.matching(guard, &conditions, self.reader.space.stop);
            for region in found.map_err(|reason| self.reader.refuse(reason, rule.at))? {
                let all = region == *guard;
                let rest = Frame { next: at + 1, ..*frame };
                match rule.action {
                    LinkedAction::Jump(to) => {
                        let back = self.list.label();
                        let inner = Frame { rule_base: to, next: 0, caller: Some(&rest) };
                        self.rule_base(block, &inner, &region, back)?;
                        self.list.put(back);
                        continue;
                    }
                    LinkedAction::Goto(to) => {
                        let inner = Frame { rule_base: to, next: 0, caller: frame.caller };
                        self.rule_base(block, &inner, &region, end)?;
                        self.push(region, DraftStep::GoTo(end), origin(block, id), rule.at)?;
                    }
                    LinkedAction::Return => {
                        self.push(region, DraftStep::GoTo(end), origin(block, id), rule.at)?;
                    }
                    LinkedAction::Continue => self.logged(block, id, &rest, &region)?,
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

    /// Writes out all that is left for packets a rule logs and does not decide.
    fn logged(
        &mut self,
        block: &Block<'_>,
        by: RuleId,
        rest: &Frame<'_>,
        guard: &Region,
    ) -> Result<(), NotFlattened> {
        let next = self.list.label();
        let noted = Noted { log: true, by: Some(by), ..block.noted.clone() };
        let block = Block { accepted: block.accepted.map(|_| next), noted, ..block.clone() };
        let mut left = Some(rest);
        while let Some(frame) = left {
            let end = self.list.label();
            self.rule_base(&block, frame, guard, end)?;
            self.list.put(end);
            left = frame.caller;
        }
        self.default_of_layer(&block, guard)?;
        self.list.put(next);
        self.layers(block.layer + 1, guard, (block.destination, block.sources), &block.noted)
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
        if self.reader.space.profiles.is_some() {
            return self.record(block, region, action, (origin, at));
        }
        match (action, block.accepted) {
            (LinkedAction::Allow, Some(next)) => {
                self.push(region, DraftStep::GoTo(next), origin, at)
            }
            (LinkedAction::Allow, None) => self.allow(block, &region, origin, at),
            (action, _) => {
                self.push(region, DraftStep::Decide(Outcome::Deny(refusal(action))), origin, at)
            }
        }
    }

    /// A final action, as what is recorded of the packets.
    fn record(
        &mut self,
        block: &Block<'_>,
        region: Region,
        action: LinkedAction,
        (origin, at): (Origin, Span),
    ) -> Result<(), NotFlattened> {
        let allows = action == LinkedAction::Allow;
        let mut noted = block.noted.clone();
        if let Some(id) = origin.rule {
            let rule = self.reader.firewall.rule(id);
            let profiles = self.reader.space.profiles.as_ref().filter(|_| allows);
            let profiles = profiles.map(|it| it.of_rule(self.reader.side, rule));
            noted.add(rule, profiles.unwrap_or_default());
        }
        if let (true, Some(next)) = (allows, block.accepted) {
            if noted == block.noted {
                return self.push(region, DraftStep::GoTo(next), origin, at);
            }
            let turns = (block.destination, block.sources);
            return self.layers(block.layer + 1, &region, turns, &noted);
        }
        let Noted { log, by, profiles } = noted;
        let record = if allows {
            Record { refusal: None, log, profiles }
        } else {
            Record { refusal: Some(refusal(action)), log, profiles: Vec::new() }
        };
        let origin = Origin { rule: by.or(origin.rule), ..origin };
        self.push(region, DraftStep::Decide(Outcome::Recorded(record)), origin, at)
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
        self.reader.go_on(at)?;
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

/// How a packet is refused; an action that decides nothing lets none through.
pub(crate) fn refusal(action: LinkedAction) -> Box<str> {
    match action {
        LinkedAction::Reset(ResetSide::SenderByIcmp) => "reject".into(),
        LinkedAction::Reset(side) => {
            let side = match side {
                ResetSide::Client => "client",
                ResetSide::Server => "server",
                ResetSide::Both => "both",
                ResetSide::Sender | ResetSide::SenderByIcmp => "sender",
            };
            format!("reset {side}").into()
        }
        other => other.verdict_name().into(),
    }
}
