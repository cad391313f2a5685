//! Evaluation of a filter layer over compiled rule bases, jumps included, without allocation.

use parefeu_policy::{
    Cause, Evaluation, Hit, Knowledge, LinkedAction, LinkedLayer, MAX_NESTING, PacketKey,
    RuleBaseId, RuleId, Truth, reference::MAX_FORKS,
};

use crate::CompiledPolicy;

pub(crate) struct Walk<'a> {
    policy: &'a CompiledPolicy,
    key: &'a PacketKey,
    known: &'a Knowledge<'a>,
    default: Hit,
    found: Evaluation,
    /// Paths that are only perhaps taken and may still be followed.
    forks_left: u32,
}

#[derive(Clone, Copy)]
struct Position {
    rule_base: RuleBaseId,
    next: usize,
}

/// Return addresses; linking refuses jumps that nest deeper.
#[derive(Clone, Copy)]
struct Stack {
    positions: [Position; MAX_NESTING + 1],
    depth: usize,
}

impl Stack {
    const fn empty() -> Self {
        let unused = Position { rule_base: RuleBaseId(0), next: 0 };
        Self { positions: [unused; MAX_NESTING + 1], depth: 0 }
    }

    fn push(&mut self, position: Position) {
        if let Some(slot) = self.positions.get_mut(self.depth) {
            *slot = position;
            self.depth += 1;
        }
    }

    fn pop(&mut self) -> Option<Position> {
        self.depth = self.depth.checked_sub(1)?;
        Some(self.positions[self.depth])
    }
}

/// The rule bases one path has come to from their first rule.
struct Entered {
    few: [RuleBaseId; Self::FEW],
    count: usize,
    /// Bits of the further ones, by rule base.
    rest: Vec<u64>,
}

impl Entered {
    /// Paths that come to more of them than this allocate.
    const FEW: usize = 64;

    const fn nothing() -> Self {
        Self { few: [RuleBaseId(0); Self::FEW], count: 0, rest: Vec::new() }
    }

    /// Notes a rule base; `false` when it was noted before.
    fn insert(&mut self, id: RuleBaseId) -> bool {
        let (word, bit) = (id.index() / 64, 1 << (id.index() % 64));
        let known = self.few[..self.count].contains(&id)
            || self.rest.get(word).is_some_and(|bits| bits & bit != 0);
        if known {
            return false;
        }
        if let Some(slot) = self.few.get_mut(self.count) {
            *slot = id;
            self.count += 1;
            return true;
        }
        if self.rest.len() <= word {
            self.rest.resize(word + 1, 0);
        }
        self.rest[word] |= bit;
        true
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        policy: &'a CompiledPolicy,
        key: &'a PacketKey,
        known: &'a Knowledge<'a>,
        layer: &LinkedLayer,
    ) -> Self {
        let at = policy.firewall().rule_bases[layer.rule_base.index()].at;
        let default = Hit { rule: None, at, action: layer.default };
        let found = Evaluation::certain(default);
        Self { policy, key, known, default, found, forks_left: MAX_FORKS }
    }

    pub(crate) fn evaluate(mut self, rule_base: RuleBaseId) -> Evaluation {
        let start = Position { rule_base, next: 0 };
        if let Some(hit) = self.follow(start, &mut Stack::empty(), None) {
            self.found.decided = hit;
        }
        self.found
    }

    /// The final action reached from `at`; `None` when the layer's default applies.
    fn follow(&mut self, at: Position, stack: &mut Stack, doubt: Option<Cause>) -> Option<Hit> {
        let mut at = at;
        let mut entered = Entered::nothing();
        if at.next == 0 {
            entered.insert(at.rule_base);
        }
        'rule_base: loop {
            let firewall = self.policy.firewall();
            let list = self.policy.rule_list(at.rule_base);
            let rule_base = &firewall.rule_bases[at.rule_base.index()];
            let selected = list.select(self.key);
            while let Some(index) = list.next(&selected, at.next) {
                at.next = index + 1;
                let id = RuleId(rule_base.first.0 + index as u32);
                let rule = firewall.rule(id);
                let truth = rule.matches.header_truth(self.key, &firewall.schedules).and(
                    rule.matches.identified_truth(self.key, self.known, &firewall.applications),
                );
                if truth == Truth::No || rule.action == LinkedAction::Continue {
                    continue;
                }
                let hit = Hit { rule: Some(id), at: rule.at, action: rule.action };
                if let Truth::Maybe(cause) = truth {
                    self.consider(hit, doubt.map_or(cause, |doubt| doubt.min(cause)), stack);
                    continue;
                }
                match rule.action {
                    LinkedAction::Jump(to) if entered.insert(to) => {
                        stack.push(at);
                        at = Position { rule_base: to, next: 0 };
                    }
                    // It went back before, and would again.
                    LinkedAction::Jump(_) => continue,
                    LinkedAction::Goto(to) if entered.insert(to) => {
                        at = Position { rule_base: to, next: 0 };
                    }
                    LinkedAction::Goto(_) | LinkedAction::Return => at = stack.pop()?,
                    _ => return Some(self.conclude(hit, doubt)),
                }
                continue 'rule_base;
            }
            if let Some(action) = rule_base.default {
                return Some(self.conclude(Hit { rule: None, at: rule_base.at, action }, doubt));
            }
            at = stack.pop()?;
        }
    }

    fn conclude(&mut self, hit: Hit, doubt: Option<Cause>) -> Hit {
        if let Some(cause) = doubt {
            self.found.note(cause, hit);
        }
        hit
    }

    /// A rule that perhaps matches: what it would do is noted, and the path that goes on continues.
    fn consider(&mut self, hit: Hit, cause: Cause, stack: &Stack) {
        let mut stack = *stack;
        let start = match hit.action {
            LinkedAction::Jump(to) => {
                stack = Stack::empty();
                Some(Position { rule_base: to, next: 0 })
            }
            LinkedAction::Goto(to) => Some(Position { rule_base: to, next: 0 }),
            LinkedAction::Return => stack.pop(),
            _ => {
                self.found.note(cause, hit);
                return;
            }
        };
        let Some(start) = start else {
            self.found.note(cause, self.default);
            return;
        };
        let Some(left) = self.forks_left.checked_sub(1) else {
            for action in [LinkedAction::Allow, LinkedAction::Deny] {
                self.found.note(Cause::NotModelled, Hit { action, ..self.default });
            }
            return;
        };
        self.forks_left = left;
        let end = self.follow(start, &mut stack, Some(cause));
        if end.is_none() && !matches!(hit.action, LinkedAction::Jump(_)) {
            self.found.note(cause, self.default);
        }
    }
}
