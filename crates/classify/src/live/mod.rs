//! A rule base that changes while others look up in it.
//!
//! Rules that were there when it was compiled are looked up in tables, those that came since by
//! hash. A change writes what it adds and marks what it removes, each with the number of the
//! version it makes, and then publishes that number: a lookup sees the rules before or after a
//! change, never a mix, and waits for nobody.

mod chain;
mod places;
mod shape;
mod state;
mod store;
mod version;

use std::sync::Arc;

use arc_swap::ArcSwap;
use parefeu_policy::{LinkedMatch, LinkedSchedule, PacketKey};

use crate::CompileLimits;
use crate::rows::Dimensions;
use places::{Gap, Order, Places, Standing};
use shape::Hashed;
use state::{Compiled, State};
use store::Record;
use version::{Newest, Version};

pub use places::Place;

/// A rule of a [`LiveRules`]; keeps its value until the rule is removed, wherever it moves.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RuleHandle {
    slot: u32,
    /// How many rules had the slot before.
    generation: u32,
}

/// A rule base under change. One owner changes it; any number of [`LiveReader`]s look up.
///
/// Matches name interfaces, zones and schedules by the identifiers of one linked firewall.
#[derive(Debug)]
pub struct LiveRules {
    shared: Arc<ArcSwap<State>>,
    /// What is shared now.
    state: Arc<State>,
    places: Places,
    version: Version,
    limits: CompileLimits,
    dimensions: Dimensions,
    /// Changes since rules were last compiled.
    pending: usize,
}

/// Looks up in the newest version of a rule base. Cheap to clone, one for each thread.
#[derive(Clone, Debug)]
pub struct LiveReader(Arc<ArcSwap<State>>);

/// A change that cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The rule named does not exist.
    #[error("no rule has the handle {0:?}")]
    UnknownRule(RuleHandle),
}

impl LiveRules {
    /// Compiles rules, given in order. Their handles ascend in that order.
    ///
    /// `interfaces` and `zones` are how many the firewall has.
    pub fn new(
        rules: Vec<LinkedMatch>,
        (interfaces, zones): (u32, u32),
        schedules: Arc<[LinkedSchedule]>,
        limits: CompileLimits,
    ) -> Self {
        let places = Places::of(rules.len() as u32);
        let dimensions = Dimensions { interfaces, zones };
        let rules = places.rules().zip(rules);
        let rules =
            rules.map(|((rule, order, _), matches)| (rule, order, Hashed::of(Arc::new(matches))));
        let state = Arc::new(State::of(Compiled::of(rules, schedules, dimensions, &limits)));
        let shared = Arc::new(ArcSwap::new(Arc::clone(&state)));
        let version = Version::FIRST;
        Self { shared, state, places, version, limits, dimensions, pending: 0 }
    }

    /// Something to look up with.
    pub fn reader(&self) -> LiveReader {
        LiveReader(Arc::clone(&self.shared))
    }

    /// How many rules there are.
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Changes since rules were last compiled: what [`LiveRules::compile`] would put in tables.
    pub const fn pending(&self) -> usize {
        self.pending
    }

    /// Adds a rule and gives its handle. Less than a microsecond, whatever the number of rules, but
    /// for these.
    /// - Once in about as many changes as there are rules added since the last compilation, and not
    ///   before 500, a change takes some 100 ns for each of these: what is left of what was added
    ///   and removed is copied, so that memory is bounded by the rules there are.
    /// - Where no number is left between two rules, some around them are given others. Two of
    ///   100,000 rules have numbers between them for 25,000 rules that come one beside the other,
    ///   and for a hundred in any order; from then on each moves less than five, on average.
    /// - Where more than 4,096 would be given other numbers at once, and once in four billion
    ///   changes, when versions have no more numbers, it compiles.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`] where `place` names none.
    pub fn insert(
        &mut self,
        place: Place,
        matches: LinkedMatch,
    ) -> Result<RuleHandle, ChangeError> {
        let gap = self.places.gap(place)?;
        let (version, order) = self.room(gap);
        // The rule is known by its slot, which it has before it stands anywhere.
        let rule = self.places.insert(gap);
        self.put(Record::new(rule, order, Hashed::of(Arc::new(matches))), version, 0);
        self.publish(version);
        self.pending += 1;
        Ok(rule)
    }

    /// Removes a rule. Costs what [`LiveRules::insert`] does, but needs no room.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`].
    pub fn remove(&mut self, rule: RuleHandle) -> Result<(), ChangeError> {
        self.places.check(rule)?;
        let version = self.next_version();
        let (_, standing) = self.places.at(rule);
        self.state.remove(standing, version);
        self.places.remove(rule);
        self.publish(version);
        self.pending += 1;
        Ok(())
    }

    /// Gives a rule another match, at once and in its place. Costs what [`LiveRules::insert`] does,
    /// but needs no room.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`].
    pub fn replace(&mut self, rule: RuleHandle, matches: LinkedMatch) -> Result<(), ChangeError> {
        self.places.check(rule)?;
        let version = self.next_version();
        let (order, standing) = self.places.at(rule);
        self.state.remove(standing, version);
        self.put(Record::new(rule, order, Hashed::of(Arc::new(matches))), version, 0);
        self.publish(version);
        self.pending += 1;
        Ok(())
    }

    /// Moves a rule, at once. Costs what [`LiveRules::insert`] does.
    ///
    /// # Errors
    /// [`ChangeError::UnknownRule`] where `rule` or `place` names none.
    pub fn reorder(&mut self, rule: RuleHandle, place: Place) -> Result<(), ChangeError> {
        self.places.check(rule)?;
        let gap = self.places.gap(place)?;
        if gap.is_beside(rule) {
            return Ok(());
        }
        let (version, order) = self.room(gap);
        let (_, standing) = self.places.at(rule);
        self.places.shift(rule, gap);
        self.state.remove(standing, version);
        let hashed = self.state.matches(standing).clone();
        self.put(Record::new(rule, order, hashed), version, 0);
        self.publish(version);
        self.pending += 1;
        Ok(())
    }

    /// Puts every rule in tables: what lookups are fastest in. As long as a compilation takes
    /// ([`crate::CompiledPolicy::compile`]); readers go on with what there was.
    pub fn compile(&mut self) {
        let hashed: Vec<Hashed> = self
            .places
            .rules()
            .map(|(.., standing)| self.state.matches(standing).clone())
            .collect();
        self.places.renumber();
        let rules = self.places.rules().zip(hashed);
        let rules = rules.map(|((rule, order, _), hashed)| (rule, order, hashed));
        let schedules = Arc::clone(&self.state.compiled.schedules);
        let compiled = Compiled::of(rules, schedules, self.dimensions, &self.limits);
        self.version = Version::FIRST;
        self.share(State::of(compiled));
        self.pending = 0;
    }

    /// The rules in order.
    pub fn rules(&self) -> impl Iterator<Item = (RuleHandle, &LinkedMatch)> {
        self.places
            .rules()
            .map(|(rule, _, standing)| (rule, &*self.state.matches(standing).matches))
    }

    /// The next version, and a free number between two rules. Where there is none the rules around
    /// are given others; where those are too many, all are compiled.
    fn room(&mut self, gap: Gap) -> (Version, Order) {
        loop {
            let version = self.next_version();
            if let Some(order) = self.places.free(gap, self.state.added.added()) {
                return (version, order);
            }
            match self.places.spread(gap) {
                Some(crowd) => self.renumber(&crowd, version),
                None => self.compile(),
            }
        }
    }

    /// Gives rules other numbers, in one version. Nothing changes for lookups.
    fn renumber(&mut self, rules: &[(RuleHandle, Order)], version: Version) {
        if !self.state.added.has_room(rules.len()) {
            self.renew(rules.len());
        }
        for (more, &(rule, order)) in (0..rules.len()).rev().zip(rules) {
            let (_, standing) = self.places.at(rule);
            let hashed = self.state.matches(standing).clone();
            self.state.remove(standing, version);
            self.put(Record::new(rule, order, hashed), version, more);
        }
        self.publish(version);
    }

    /// The version a change makes that adds at most one rule. Compiles where numbers end.
    fn next_version(&mut self) -> Version {
        loop {
            if !self.state.added.has_room(1) {
                self.renew(1);
            }
            if let Some(version) = self.version.next() {
                return version;
            }
            self.compile();
        }
    }

    /// Goes on with a store that has room for `more` rules. Nothing changes for lookups.
    fn renew(&mut self, more: usize) {
        let moved = |it: &Record, number| {
            self.places.set(it.rule, it.order, Standing::Added(number));
        };
        let added = self.state.added.renewed(self.version, more, moved);
        let compiled = Arc::clone(&self.state.compiled);
        self.share(State { compiled, added, newest: Newest::new(self.version) });
    }

    fn share(&mut self, state: State) {
        self.state = Arc::new(state);
        self.shared.store(Arc::clone(&self.state));
    }

    /// Lets a rule stand where it is found from a version on, with `more` to come in that version.
    fn put(&mut self, record: Record, version: Version, more: usize) {
        let (rule, order) = (record.rule, record.order);
        let number = self.state.added.add(record, version, more);
        self.places.set(rule, order, Standing::Added(number));
    }

    fn publish(&mut self, version: Version) {
        self.state.newest.publish(version);
        self.version = version;
    }
}

impl LiveReader {
    /// The first rule whose headers surely match, as of the newest change. Never waits.
    pub fn first_match(&self, key: &PacketKey) -> Option<RuleHandle> {
        let state = self.0.load();
        state.first_match(key, state.newest.load())
    }

    /// The first match of several packets, all as of one change. Answers stand in order, as many
    /// as the shorter slice has.
    pub fn first_match_batch(&self, keys: &[PacketKey], found: &mut [Option<RuleHandle>]) {
        let state = self.0.load();
        let version = state.newest.load();
        for (key, slot) in keys.iter().zip(found) {
            *slot = state.first_match(key, version);
        }
    }
}

#[cfg(test)]
mod tests;
