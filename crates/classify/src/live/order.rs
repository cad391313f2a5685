//! Where rules stand: numbers with room between them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::RuleHandle;

/// A rule's place; the lower one comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Order(u128);

/// Every rule by its place.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_order: BTreeMap<Order, RuleHandle>,
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

/// Room between neighbours of a list that is numbered anew.
const GAP: u128 = 1 << 96;

/// A new rule takes this fraction of the room on the side that is not asked for again: inserting
/// many times at one place uses it up slowly (some 60,000 times).
const FRACTION: u128 = 1024;

impl Places {
    /// Numbers rules in order.
    pub(super) fn of(rules: impl IntoIterator<Item = RuleHandle>) -> Self {
        let orders = (1u128..).map(|at| Order(at * GAP));
        Self { by_order: orders.zip(rules).collect() }
    }

    /// A free number at a place; `None` where there is no room left.
    /// `of` tells where a rule stands.
    pub(super) fn free(
        &self,
        place: Place,
        of: impl Fn(RuleHandle) -> Option<Order>,
    ) -> Option<Order> {
        let first = self.by_order.first_key_value().map(|(order, _)| *order);
        let last = self.by_order.last_key_value().map(|(order, _)| *order);
        match place {
            Place::First => match first {
                Some(Order(first)) => towards_end(0, first),
                None => Some(Order(GAP)),
            },
            Place::Last => {
                last.map_or(Some(Order(GAP)), |Order(last)| last.checked_add(GAP).map(Order))
            }
            Place::Before(rule) => {
                let order = of(rule)?;
                let before = self.by_order.range(..order).next_back();
                towards_start(before.map_or(0, |(order, _)| order.0), order.0)
            }
            Place::After(rule) => {
                let order = of(rule)?;
                let after = self.by_order.range((Bound::Excluded(order), Bound::Unbounded)).next();
                match after {
                    Some((next, _)) => towards_end(order.0, next.0),
                    None => order.0.checked_add(GAP).map(Order),
                }
            }
        }
    }

    pub(super) fn insert(&mut self, order: Order, rule: RuleHandle) {
        self.by_order.insert(order, rule);
    }

    pub(super) fn remove(&mut self, order: Order) {
        self.by_order.remove(&order);
    }

    /// The rules in order.
    pub(super) fn rules(&self) -> impl Iterator<Item = (Order, RuleHandle)> + '_ {
        self.by_order.iter().map(|(order, rule)| (*order, *rule))
    }
}

fn towards_start(low: u128, high: u128) -> Option<Order> {
    let room = high - low;
    (room > 1).then(|| Order(low + (room / FRACTION).max(1)))
}

fn towards_end(low: u128, high: u128) -> Option<Order> {
    let room = high - low;
    (room > 1).then(|| Order(high - (room / FRACTION).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inserting_at_one_place_keeps_the_order_for_long() {
        let rule = RuleHandle;
        for place in [Place::Before(rule(1)), Place::After(rule(0)), Place::First, Place::Last] {
            let mut places = Places::of([rule(0), rule(1)]);
            let fixed: Vec<Order> = places.rules().map(|(order, _)| order).collect();
            let mut previous: Option<Order> = None;
            for number in 2..30_000 {
                let order = places.free(place, |it| fixed.get(it.0 as usize).copied()).unwrap();
                places.insert(order, rule(number));
                if let Some(previous) = previous {
                    let later = matches!(place, Place::Before(_) | Place::Last);
                    assert_eq!(order > previous, later, "{place:?}");
                }
                previous = Some(order);
            }
            assert_eq!(places.rules().count(), 30_000);
        }
    }
}
