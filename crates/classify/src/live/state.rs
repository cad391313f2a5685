//! What lookups read.

use std::sync::Arc;

use parefeu_policy::{LinkedSchedule, PacketKey, Truth};

use super::RuleHandle;
use super::places::{Order, Standing};
use super::shape::Hashed;
use super::store::Store;
use super::version::{End, Newest, Version};
use crate::CompileLimits;
use crate::list::RuleList;
use crate::rows::Dimensions;
use crate::tables::Listed;

/// A rule base in every version since it was compiled, or since its store was renewed.
#[derive(Debug)]
pub(super) struct State {
    pub(super) compiled: Arc<Compiled>,
    pub(super) added: Store,
    pub(super) newest: Newest,
}

/// Rules in tables.
#[derive(Debug)]
pub(super) struct Compiled {
    list: RuleList,
    rules: Vec<CompiledRule>,
    pub(super) schedules: Arc<[LinkedSchedule]>,
}

/// A rule with its place, as it was compiled.
#[derive(Debug)]
pub(super) struct CompiledRule {
    order: Order,
    rule: RuleHandle,
    hashed: Hashed,
    removed: End,
}

impl State {
    pub(super) fn of(compiled: Compiled) -> Self {
        Self {
            compiled: Arc::new(compiled),
            added: Store::new(),
            newest: Newest::new(Version::FIRST),
        }
    }

    /// What a rule that stands there matches.
    pub(super) fn matches(&self, standing: Standing) -> &Hashed {
        match standing {
            Standing::Compiled(position) => &self.compiled.rules[position as usize].hashed,
            Standing::Added(number) => &self.added.record(number).hashed,
        }
    }

    /// Ends a rule that stands there, for lookups of a version and later ones.
    pub(super) fn remove(&self, standing: Standing, version: Version) {
        match standing {
            Standing::Compiled(position) => &self.compiled.rules[position as usize].removed,
            Standing::Added(number) => &self.added.record(number).removed,
        }
        .set(version);
    }

    /// The first rule that surely matches, as of a version.
    pub(super) fn first_match(&self, key: &PacketKey, version: Version) -> Option<RuleHandle> {
        let schedules = &self.compiled.schedules;
        let compiled = self.compiled.first(key, version);
        let added = self.added.first(key, schedules, version, compiled.map(|it| it.order));
        added.or(compiled.map(|it| it.rule))
    }
}

impl Compiled {
    /// Compiles rules, given in order.
    pub(super) fn of(
        rules: impl Iterator<Item = (RuleHandle, Order, Hashed)>,
        schedules: Arc<[LinkedSchedule]>,
        dimensions: Dimensions,
        limits: &CompileLimits,
    ) -> Self {
        let rules: Vec<CompiledRule> = rules
            .map(|(rule, order, hashed)| CompiledRule {
                order,
                rule,
                hashed,
                removed: End::never(),
            })
            .collect();
        // A rule that is removed later uncovers those behind it: none ends a list.
        let listed: Vec<Listed<'_>> = rules
            .iter()
            .map(|it| Listed { matches: &it.hashed.matches, disabled: false, ends: false })
            .collect();
        let list = RuleList::build(&listed, dimensions, limits);
        Self { list, rules, schedules }
    }

    fn first(&self, key: &PacketKey, version: Version) -> Option<&CompiledRule> {
        let selected = self.list.select(key);
        let mut from = 0;
        loop {
            let position = self.list.next(&selected, from)?;
            let rule = &self.rules[position];
            let surely = || {
                self.list.is_certain(position, key)
                    || rule.hashed.matches.header_truth(key, &self.schedules) == Truth::Yes
            };
            if !rule.removed.is_by(version) && surely() {
                return Some(rule);
            }
            from = position + 1;
        }
    }
}
