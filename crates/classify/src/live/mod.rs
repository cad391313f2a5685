//! A rule base that changes while others look up in it.
//!
//! Rules that were there when it was compiled are looked up in tables; what was added since is
//! found by hash, what was removed is struck out. Both are versions that share nearly everything
//! with the one before, so that a change copies a few hundred bytes and publishes one pointer: a
//! lookup sees the rules before or after a change, never a mix, and waits for nobody.

mod added;
mod order;
mod trie;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use foldhash::fast::FixedState;
use parefeu_policy::{LinkedMatch, LinkedSchedule, PacketKey, Truth};

use crate::CompileLimits;
use crate::list::RuleList;
use crate::rows::Dimensions;
use crate::tables::Listed;
use added::{Added, AddedRules};
use order::{Order, Places};
use trie::Trie;

pub use order::Place;

/// A rule of a [`LiveRules`]; keeps its value until the rule is removed, wherever it moves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleHandle(pub(crate) u32);

/// A rule base under change. One owner changes it; any number of [`LiveReader`]s look up.
///
/// Matches name interfaces, zones and schedules by the identifiers of one linked firewall.
#[derive(Debug)]
pub struct LiveRules {
    shared: Arc<ArcSwap<Version>>,
    rules: HashMap<RuleHandle, Standing, FixedState>,
    places: Places,
    next_handle: u32,
    limits: CompileLimits,
    dimensions: Dimensions,
    /// Changes since rules were last compiled.
    pending: usize,
}

/// Looks up in the newest version of a rule base. Cheap to clone, one for each thread.
#[derive(Clone, Debug)]
pub struct LiveReader(Arc<ArcSwap<Version>>);

/// A change that cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The rule named does not exist.
    #[error("no rule has the handle {0:?}")]
    UnknownRule(RuleHandle),
}

/// Where a rule stands.
#[derive(Clone, Debug)]
struct Standing {
    order: Order,
    matches: Arc<LinkedMatch>,
    /// Its position among the compiled rules; `None` for one that came later.
    compiled: Option<u32>,
}

/// What lookups see.
#[derive(Clone, Debug)]
struct Version {
    compiled: Arc<Compiled>,
    /// Compiled rules that were removed, 64 to a word.
    removed: Trie<u64>,
    added: AddedRules,
}

/// Rules in tables.
#[derive(Debug)]
struct Compiled {
    list: RuleList,
    rules: Vec<(Order, RuleHandle, Arc<LinkedMatch>)>,
    schedules: Arc<[LinkedSchedule]>,
}

impl LiveRules {
    /// Compiles rules, given in order. Their handles count from 0 in that order.
    ///
    /// `interfaces` and `zones` are how many the firewall has.
    pub fn new(
        rules: Vec<LinkedMatch>,
        (interfaces, zones): (u32, u32),
        schedules: Arc<[LinkedSchedule]>,
        limits: CompileLimits,
    ) -> Self {
        let count = rules.len() as u32;
        let places = Places::of((0..count).map(RuleHandle));
        let dimensions = Dimensions { interfaces, zones };
        let standing = places.rules().zip(rules).map(|((order, rule), matches)| {
            (rule, Standing { order, matches: Arc::new(matches), compiled: None })
        });
        let mut rules: HashMap<_, _, FixedState> = standing.collect();
        let compiled = compile(&places, &mut rules, schedules, (dimensions, &limits));
        let shared = Arc::new(ArcSwap::from_pointee(Version::of(compiled)));
        Self { shared, rules, places, next_handle: count, limits, dimensions, pending: 0 }
    }

    /// Something to look up with.
    pub fn reader(&self) -> LiveReader {
        LiveReader(Arc::clone(&self.shared))
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Changes since rules were last compiled: what [`LiveRules::compile`] would put in tables.
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Adds a rule and gives its handle. Microseconds, whatever the number of rules; some 60,000
    /// insertions at one place use up the room there, and the next one compiles.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`] where `place` names none.
    pub fn insert(
        &mut self,
        place: Place,
        matches: LinkedMatch,
    ) -> Result<RuleHandle, ChangeError> {
        let order = self.room(place)?;
        let rule = RuleHandle(self.next_handle);
        self.next_handle += 1;
        self.put(rule, order, Arc::new(matches));
        self.publish(|version, rules| version.insert(rule, &rules[&rule]));
        Ok(rule)
    }

    /// Removes a rule. Microseconds.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`].
    pub fn remove(&mut self, rule: RuleHandle) -> Result<(), ChangeError> {
        let standing = self.rules.remove(&rule).ok_or(ChangeError::UnknownRule(rule))?;
        self.places.remove(standing.order);
        self.publish(|version, _| version.remove(&standing));
        Ok(())
    }

    /// Gives a rule another match, at once and in its place. Microseconds.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`].
    pub fn replace(&mut self, rule: RuleHandle, matches: LinkedMatch) -> Result<(), ChangeError> {
        let before = self.rules.get(&rule).cloned().ok_or(ChangeError::UnknownRule(rule))?;
        self.put(rule, before.order, Arc::new(matches));
        self.publish(|version, rules| {
            version.remove(&before);
            version.insert(rule, &rules[&rule]);
        });
        Ok(())
    }

    /// Moves a rule, at once. Microseconds.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`] where `rule` or `place` names none.
    pub fn reorder(&mut self, rule: RuleHandle, place: Place) -> Result<(), ChangeError> {
        if !self.rules.contains_key(&rule) {
            return Err(ChangeError::UnknownRule(rule));
        }
        if matches!(place, Place::Before(to) | Place::After(to) if to == rule) {
            return Ok(());
        }
        let order = self.room(place)?;
        let Some(before) = self.rules.get(&rule).cloned() else {
            return Err(ChangeError::UnknownRule(rule));
        };
        self.places.remove(before.order);
        self.put(rule, order, Arc::clone(&before.matches));
        self.publish(|version, rules| {
            version.remove(&before);
            version.insert(rule, &rules[&rule]);
        });
        Ok(())
    }

    /// Puts every rule in tables: what lookups are fastest in. As long as a compilation takes
    /// ([`crate::CompiledPolicy::compile`]); readers go on with what there was.
    pub fn compile(&mut self) {
        let in_order: Vec<RuleHandle> = self.places.rules().map(|(_, rule)| rule).collect();
        self.places = Places::of(in_order);
        for (order, rule) in self.places.rules() {
            if let Some(standing) = self.rules.get_mut(&rule) {
                standing.order = order;
            }
        }
        let schedules = Arc::clone(&self.shared.load().compiled.schedules);
        let how = (self.dimensions, &self.limits);
        let compiled = compile(&self.places, &mut self.rules, schedules, how);
        self.shared.store(Arc::new(Version::of(compiled)));
        self.pending = 0;
    }

    /// The rules in order.
    pub fn rules(&self) -> impl Iterator<Item = (RuleHandle, &LinkedMatch)> {
        self.places.rules().map(|(_, rule)| (rule, &*self.rules[&rule].matches))
    }

    /// A free place; compiles where there is no room left.
    fn room(&mut self, place: Place) -> Result<Order, ChangeError> {
        if let Place::Before(rule) | Place::After(rule) = place
            && !self.rules.contains_key(&rule)
        {
            return Err(ChangeError::UnknownRule(rule));
        }
        loop {
            let of = |rule: RuleHandle| self.rules.get(&rule).map(|standing| standing.order);
            if let Some(order) = self.places.free(place, of) {
                return Ok(order);
            }
            self.compile();
        }
    }

    fn put(&mut self, rule: RuleHandle, order: Order, matches: Arc<LinkedMatch>) {
        self.places.insert(order, rule);
        self.rules.insert(rule, Standing { order, matches, compiled: None });
    }

    fn publish(&mut self, change: impl FnOnce(&mut Version, &Standings)) {
        let mut version = Version::clone(&self.shared.load());
        change(&mut version, &self.rules);
        self.shared.store(Arc::new(version));
        self.pending += 1;
    }
}

type Standings = HashMap<RuleHandle, Standing, FixedState>;

fn compile(
    places: &Places,
    rules: &mut Standings,
    schedules: Arc<[LinkedSchedule]>,
    (dimensions, limits): (Dimensions, &CompileLimits),
) -> Compiled {
    let mut compiled = Vec::with_capacity(rules.len());
    for (order, rule) in places.rules() {
        if let Some(standing) = rules.get_mut(&rule) {
            standing.compiled = Some(compiled.len() as u32);
            compiled.push((order, rule, Arc::clone(&standing.matches)));
        }
    }
    // A rule that is removed later uncovers those behind it: none ends a list.
    let listed: Vec<Listed<'_>> = compiled
        .iter()
        .map(|(_, _, matches)| Listed { matches, disabled: false, ends: false })
        .collect();
    let list = RuleList::build(&listed, dimensions, limits);
    Compiled { list, rules: compiled, schedules }
}

impl Version {
    fn of(compiled: Compiled) -> Self {
        let (removed, added) = (Trie::default(), AddedRules::default());
        Self { compiled: Arc::new(compiled), removed, added }
    }

    fn insert(&mut self, rule: RuleHandle, standing: &Standing) {
        let Standing { order, matches, .. } = standing;
        self.added.insert(&Added { order: *order, rule, matches: Arc::clone(matches) });
    }

    fn remove(&mut self, standing: &Standing) {
        match standing.compiled {
            None => self.added.remove(&standing.matches, standing.order),
            Some(position) => self.removed.update(position / 64, |words| {
                let before = words.first().copied().unwrap_or(0);
                vec![before | 1 << (position % 64)]
            }),
        }
    }

    fn is_removed(&self, position: u32) -> bool {
        let words = self.removed.values(position / 64);
        words.first().is_some_and(|word| word >> (position % 64) & 1 == 1)
    }

    fn first_match(&self, key: &PacketKey) -> Option<RuleHandle> {
        let Compiled { list, rules, schedules } = &*self.compiled;
        let added = self.added.first(key, schedules);
        let selected = list.select(key);
        let mut from = 0;
        while let Some(position) = list.next(&selected, from) {
            let (order, rule, matches) = &rules[position];
            if added.is_some_and(|added| added.order < *order) {
                break;
            }
            let surely = || {
                list.is_certain(position, key) || matches.header_truth(key, schedules) == Truth::Yes
            };
            if !self.is_removed(position as u32) && surely() {
                return Some(*rule);
            }
            from = position + 1;
        }
        added.map(|added| added.rule)
    }
}

impl LiveReader {
    /// The first rule whose headers surely match, as of the newest change. Never waits.
    pub fn first_match(&self, key: &PacketKey) -> Option<RuleHandle> {
        self.0.load().first_match(key)
    }

    /// The first match of several packets, all as of one change. Answers stand in order, as many
    /// as the shorter slice has.
    pub fn first_match_batch(&self, keys: &[PacketKey], found: &mut [Option<RuleHandle>]) {
        let version = self.0.load();
        for (key, slot) in keys.iter().zip(found) {
            *slot = version.first_match(key);
        }
    }
}
