use std::collections::HashSet;

use super::*;

/// Rules and the same in a plain list, each inserted as a rule that was added.
struct Both {
    places: Places,
    list: Vec<RuleHandle>,
    added: u32,
    seed: u32,
}

impl Both {
    fn of(count: u32) -> Self {
        let places = Places::of(count);
        let list = places.rules().map(|(rule, ..)| rule).collect();
        Self { places, list, added: 0, seed: 1 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed = self.seed.wrapping_mul(0x915f_77f5).wrapping_add(1);
        (self.seed >> 8) as usize % below
    }

    fn stand(&mut self, rule: RuleHandle, order: Order) {
        self.places.set(rule, order, Standing::Added(self.added));
        self.added += 1;
    }

    /// Inserts a rule and returns it; `None` where there is no room.
    fn insert(&mut self, place: Place) -> Option<RuleHandle> {
        let at = match place {
            Place::First => 0,
            Place::Last => self.list.len(),
            Place::Before(rule) => self.index(rule),
            Place::After(rule) => self.index(rule) + 1,
        };
        let gap = self.places.gap(place).expect("the rule is there");
        let order = self.places.free(gap, self.added)?;
        let rule = self.places.insert(gap);
        self.stand(rule, order);
        self.list.insert(at, rule);
        Some(rule)
    }

    fn index(&self, rule: RuleHandle) -> usize {
        self.list.iter().position(|it| *it == rule).expect("the rule is there")
    }

    #[track_caller]
    fn check(&self) {
        let rules: Vec<_> = self.places.rules().collect();
        assert_eq!(rules.iter().map(|it| it.0).collect::<Vec<_>>(), self.list);
        assert!(rules.is_sorted_by(|one, other| one.1 < other.1), "numbers ascend");
        assert_eq!(self.places.len(), self.list.len());
    }
}

#[test]
fn changes_leave_what_a_plain_list_has() {
    let mut both = Both::of(3);
    let mut gone = HashSet::new();
    for step in 0..3000 {
        let dice = both.random(7);
        if both.list.is_empty() || dice == 0 {
            both.insert(if dice == 0 { Place::First } else { Place::Last }).expect("room");
            continue;
        }
        let at = both.random(both.list.len());
        let rule = both.list[at];
        match dice {
            1 => drop(both.insert(Place::Before(rule)).expect("room")),
            2 => drop(both.insert(Place::After(rule)).expect("room")),
            3 => {
                let other = both.random(both.list.len());
                let other = both.list[other];
                let gap = both.places.gap(Place::After(other)).expect("the rule is there");
                if !gap.is_beside(rule) {
                    let order = both.places.free(gap, both.added).expect("room");
                    both.places.shift(rule, gap);
                    both.stand(rule, order);
                    both.list.remove(at);
                    both.list.insert(both.index(other) + 1, rule);
                }
            }
            _ => {
                both.places.remove(rule);
                both.list.remove(at);
                gone.insert(rule);
            }
        }
        if step % 100 == 0 {
            both.check();
            assert!(gone.iter().all(|rule| both.places.check(*rule).is_err()));
            assert!(both.list.iter().all(|rule| both.places.check(*rule).is_ok()));
        }
    }
    assert!(gone.len() > 500 && both.places.slots.len() < 300, "slots are used again");
}

/// Lists are written forwards, backwards, from both sides of one rule, and at several places by
/// turns.
#[test]
fn many_rules_in_a_row_find_room() {
    let next: [fn(RuleHandle, RuleHandle) -> Place; 6] = [
        |_, last| Place::After(last),
        |_, last| Place::Before(last),
        |fixed, _| Place::After(fixed),
        |fixed, _| Place::Before(fixed),
        |_, _| Place::First,
        |_, _| Place::Last,
    ];
    for (pattern, next) in next.into_iter().enumerate() {
        let mut both = Both::of(10);
        let mut runs: Vec<(RuleHandle, RuleHandle)> =
            [2, 5, 8].map(|at| (both.list[at], both.list[at])).into();
        for step in 0..3000 {
            let (fixed, last) = &mut runs[step % 3];
            let place = next(*fixed, *last);
            *last = both.insert(place).unwrap_or_else(|| panic!("pattern {pattern}, step {step}"));
        }
        both.check();
    }
}

/// Each insertion goes between the two before it.
#[test]
fn rules_in_any_order_find_room_or_are_moved_apart() {
    for pattern in 0..4 {
        let mut both = Both::of(100_000);
        let (mut low, mut high) = (both.list[500], both.list[501]);
        let (mut moved, mut first) = (0, None);
        for step in 0..3000 {
            let place = if step % 3 == 0 { Place::After(low) } else { Place::Before(high) };
            let gap = both.places.gap(place).expect("the rule is there");
            if both.places.free(gap, both.added).is_none() {
                first = first.or(Some(step));
                let crowd = both.places.spread(gap).expect("the crowd is small");
                moved += crowd.len();
                for (rule, order) in crowd {
                    both.stand(rule, order);
                }
            }
            let new = both.insert(place).expect("rules that were moved apart have room");
            let up = [step % 2 == 0, both.random(2) == 0, step % 5 == 0, step % 5 != 0][pattern];
            *(if up { &mut low } else { &mut high }) = new;
        }
        both.check();
        assert!(first.is_some_and(|first| first >= 98), "{first:?} of pattern {pattern}");
        assert!(moved < 5 * 3000, "{moved} rules of pattern {pattern}");
    }
}

#[test]
fn a_crowd_too_large_is_not_moved() {
    let mut both = Both::of(CROWD as u32 + 10);
    // As dense as numbers are.
    for at in 0..both.list.len() {
        both.stand(both.list[at], Order(START + at as u128));
    }
    let gap = both.places.gap(Place::After(both.list[7])).expect("the rule is there");
    assert_eq!(both.places.free(gap, both.added), None);
    assert_eq!(both.places.spread(gap), None);
}

#[test]
fn where_numbers_end_nothing_is_moved() {
    let mut both = Both::of(2);
    both.stand(both.list[0], Order(STEP - 1));
    both.stand(both.list[1], Order(u128::MAX - STEP + 1));
    for place in [Place::First, Place::Last] {
        let gap = both.places.gap(place).expect("no rule is named");
        assert_eq!(both.places.free(gap, both.added), None);
        assert_eq!(both.places.spread(gap), None);
    }
    both.places.renumber();
    assert!(both.insert(Place::First).is_some() && both.insert(Place::Last).is_some());
    both.check();
}

#[test]
fn a_slot_whose_generations_are_used_up_is_left_alone() {
    let mut places = Places::of(1);
    let (mut rule, ..) = places.rules().next().expect("there is a rule");
    places.slots[rule.slot as usize].generation = u32::MAX - 1;
    rule.generation = u32::MAX - 1;
    assert_eq!(places.check(rule), Ok(()));
    places.remove(rule);
    assert_eq!(places.check(rule), Err(ChangeError::UnknownRule(rule)));
    let gap = places.gap(Place::First).expect("no rule is named");
    assert_ne!(places.insert(gap).slot, rule.slot);
}
