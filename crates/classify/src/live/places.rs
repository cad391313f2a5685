//! Where rules stand: a list in order, and numbers with room between them.

use super::{ChangeError, RuleHandle};

/// A rule's number; the lower one comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Order(pub(super) u128);

impl Order {
    /// After every rule.
    pub(super) const LAST: Self = Self(u128::MAX);
}

/// Where to put a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Place {
    /// Before every other.
    First,
    /// After every other.
    Last,
    /// Just before this one.
    Before(RuleHandle),
    /// Just after this one.
    After(RuleHandle),
}

/// Where lookups find a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// At this position among the compiled rules.
    Compiled(u32),
    /// At this one among those added since.
    Added(u32),
}

/// Two neighbours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gap {
    before: u32,
    after: u32,
}

/// Every rule, in slots that are used again. A slot's generation tells the rule that has it from
/// those that had it.
#[derive(Debug)]
pub(super) struct Places {
    slots: Vec<Slot>,
    /// The first free slot, which names the next in `after`.
    free: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Slot {
    order: Order,
    before: u32,
    after: u32,
    generation: u32,
    standing: Packed,
}

/// A [`Standing`] in 32 bits, so that a slot takes half a cache line.
#[derive(Clone, Copy, Debug)]
struct Packed(u32);

/// The slot before the first rule and after the last; as the next free one, none.
const ENDS: u32 = 0;

/// Numbers of a list that is numbered anew are from here on, spread over [`SPAN`]; there is as much
/// room before and after as half of them take.
const START: u128 = 1 << 126;
const SPAN: u128 = 1 << 127;

/// Room between a rule and one that is put before the first or after the last.
const STEP: u128 = 1 << 104;

/// Beside a rule that came lately, a new one takes one part in so many of the room: what comes next
/// will stand between the same rule and another, as lists are written one after the other or
/// backwards. So some 25,000 rules in a row fit between two of 100,000.
const PARTS: u128 = 4096;

/// Where there is less room than this it is halved, so that about 100 rules fit between two in
/// whatever order they come.
const AMPLE: u128 = 1 << 100;

/// A range of numbers is crowded by more than two rules for so many bits of its size, by more than
/// four for twice as many, and so on.
const SPREAD_BITS: u32 = 4;

/// The most rules that are given other numbers at once.
const CROWD: usize = 4096;

/// How many changes ago is lately.
const LATELY: u32 = 16;

impl Places {
    /// As many rules in order, compiled.
    pub(super) fn of(count: u32) -> Self {
        let slot = |at: u32| Slot {
            before: at.checked_sub(1).unwrap_or(count),
            after: if at == count { ENDS } else { at + 1 },
            ..Slot::EMPTY
        };
        let slots = (0..=count).map(slot).collect();
        let mut places = Self { slots, free: ENDS, len: count as usize };
        places.renumber();
        places
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Numbers the rules anew, as compiled ones.
    pub(super) fn renumber(&mut self) {
        let room = SPAN / self.len.next_power_of_two() as u128;
        let mut at = self.slots[ENDS as usize].after;
        for position in 0..self.len as u32 {
            let slot = &mut self.slots[at as usize];
            slot.order = Order(START + u128::from(position) * room);
            slot.standing = Packed::of(Standing::Compiled(position));
            at = slot.after;
        }
    }

    /// The rules in order.
    pub(super) fn rules(&self) -> impl Iterator<Item = (RuleHandle, Order, Standing)> + '_ {
        let after = |at: u32| Some(self.slots[at as usize].after).filter(|at| *at != ENDS);
        std::iter::successors(after(ENDS), move |at| after(*at)).map(|at| {
            let slot = &self.slots[at as usize];
            (self.handle(at), slot.order, slot.standing.unpacked())
        })
    }

    /// Fails where there is no such rule.
    pub(super) fn check(&self, rule: RuleHandle) -> Result<(), ChangeError> {
        self.slot(rule).map(drop)
    }

    /// The number of a rule that is there, and where lookups find it.
    pub(super) fn at(&self, rule: RuleHandle) -> (Order, Standing) {
        let slot = &self.slots[rule.slot as usize];
        (slot.order, slot.standing.unpacked())
    }

    /// The neighbours at a place.
    pub(super) fn gap(&self, place: Place) -> Result<Gap, ChangeError> {
        Ok(match place {
            Place::First => Gap { before: ENDS, after: self.slots[ENDS as usize].after },
            Place::Last => Gap { before: self.slots[ENDS as usize].before, after: ENDS },
            Place::Before(rule) => {
                let after = self.slot(rule)?;
                Gap { before: self.slots[after as usize].before, after }
            }
            Place::After(rule) => {
                let before = self.slot(rule)?;
                Gap { before, after: self.slots[before as usize].after }
            }
        })
    }

    /// A free number between two neighbours; `None` where there is no room left.
    /// `added` is how many rules were added so far.
    pub(super) fn free(&self, gap: Gap, added: u32) -> Option<Order> {
        let (low, high) = (self.number(gap.before), self.number(gap.after));
        let age = |at: u32| self.slots[at as usize].standing.age(added);
        match (gap.before, gap.after) {
            (ENDS, ENDS) => Some(START),
            (ENDS, _) => high.checked_sub(STEP),
            (_, ENDS) => low.checked_add(STEP),
            _ => {
                let room = high - low;
                let close = (room / PARTS).max(1);
                let number = match (age(gap.before), age(gap.after)) {
                    (age, other) if age.min(other) > LATELY || room < AMPLE => low + room / 2,
                    (age, other) if age < other => low + close,
                    _ => high - close,
                };
                (room > 1).then_some(number)
            }
        }
        .map(Order)
    }

    /// A new rule between two neighbours, still without a number.
    pub(super) fn insert(&mut self, gap: Gap) -> RuleHandle {
        let at = match self.free {
            ENDS => {
                self.slots.push(Slot::EMPTY);
                self.slots.len() as u32 - 1
            }
            at => {
                self.free = self.slots[at as usize].after;
                at
            }
        };
        self.link(at, gap);
        self.len += 1;
        self.handle(at)
    }

    /// Where there is no number left between two rules: the rules around, and numbers further apart
    /// for them; `None` where those would be more than [`CROWD`].
    ///
    /// They are spread over the smallest aligned range of numbers that is not crowded, and the
    /// larger a range is, the sparser it has to be. So an insertion moves `O(log rules)` others,
    /// amortized (M. Bender et al., Two Simplified Algorithms for Maintaining Order in a List,
    /// 2002).
    pub(super) fn spread(&self, gap: Gap) -> Option<Vec<(RuleHandle, Order)>> {
        if gap.before == ENDS || gap.after == ENDS {
            return None;
        }
        let number = self.number(gap.before);
        let (mut first, mut last, mut count) = (gap.before, gap.before, 1);
        for bits in SPREAD_BITS.. {
            let (low, high) = (number >> bits << bits, number | ((1 << bits) - 1));
            let is_near = |at: &u32| *at != ENDS && (low..=high).contains(&self.number(*at));
            while let Some(before) = Some(self.slots[first as usize].before).filter(is_near) {
                (first, count) = (before, count + 1);
            }
            while let Some(after) = Some(self.slots[last as usize].after).filter(is_near) {
                (last, count) = (after, count + 1);
            }
            if count > CROWD {
                break;
            }
            if count <= 1 << (bits / SPREAD_BITS) {
                let next = |at: &u32| Some(self.slots[*at as usize].after);
                let crowd = std::iter::successors(Some(first), next).take(count);
                let room = (1 << bits) / count as u128;
                let orders = (0..).map(|at: u128| Order(low + room / 2 + at * room));
                return Some(crowd.map(|at| self.handle(at)).zip(orders).collect());
            }
        }
        None
    }

    fn number(&self, at: u32) -> u128 {
        self.slots[at as usize].order.0
    }

    /// Moves a rule between two others.
    pub(super) fn shift(&mut self, rule: RuleHandle, gap: Gap) {
        self.unlink(rule.slot);
        self.link(rule.slot, gap);
    }

    pub(super) fn set(&mut self, rule: RuleHandle, order: Order, standing: Standing) {
        let slot = &mut self.slots[rule.slot as usize];
        slot.order = order;
        slot.standing = Packed::of(standing);
    }

    pub(super) fn remove(&mut self, rule: RuleHandle) {
        self.unlink(rule.slot);
        self.len -= 1;
        let slot = &mut self.slots[rule.slot as usize];
        slot.generation += 1;
        // A slot whose generations are used up is left alone for ever.
        if slot.generation < u32::MAX {
            slot.after = self.free;
            self.free = rule.slot;
        }
    }

    fn slot(&self, rule: RuleHandle) -> Result<u32, ChangeError> {
        let is_there =
            self.slots.get(rule.slot as usize).is_some_and(|it| it.generation == rule.generation);
        if is_there { Ok(rule.slot) } else { Err(ChangeError::UnknownRule(rule)) }
    }

    fn handle(&self, at: u32) -> RuleHandle {
        RuleHandle { slot: at, generation: self.slots[at as usize].generation }
    }

    fn link(&mut self, at: u32, gap: Gap) {
        self.slots[at as usize].before = gap.before;
        self.slots[at as usize].after = gap.after;
        self.slots[gap.before as usize].after = at;
        self.slots[gap.after as usize].before = at;
    }

    fn unlink(&mut self, at: u32) {
        let Slot { before, after, .. } = self.slots[at as usize];
        self.slots[before as usize].after = after;
        self.slots[after as usize].before = before;
    }
}

impl Gap {
    /// Whether a rule is one of the two.
    pub(super) const fn is_beside(self, rule: RuleHandle) -> bool {
        rule.slot == self.before || rule.slot == self.after
    }
}

impl Slot {
    const EMPTY: Self =
        Self { order: Order(START), before: ENDS, after: ENDS, generation: 0, standing: Packed(0) };
}

impl Packed {
    const ADDED: u32 = 1 << 31;

    const fn of(standing: Standing) -> Self {
        match standing {
            Standing::Compiled(position) => Self(position),
            Standing::Added(position) => Self(position | Self::ADDED),
        }
    }

    const fn unpacked(self) -> Standing {
        if self.0 & Self::ADDED == 0 {
            Standing::Compiled(self.0)
        } else {
            Standing::Added(self.0 & !Self::ADDED)
        }
    }

    /// How many rules were added since this one.
    fn age(self, added: u32) -> u32 {
        match self.unpacked() {
            Standing::Compiled(_) => u32::MAX,
            Standing::Added(position) => added - position,
        }
    }
}

#[cfg(test)]
mod tests;
