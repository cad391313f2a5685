//! A linked firewall with a lookup structure for each of its lists.

use std::sync::Arc;

use parefeu_policy::{
    Evaluation, Knowledge, LinkedFirewall, LinkedMatch, LinkedNatTable, PacketKey, RuleBaseId,
    RuleId, Span, Truth,
};

use crate::rule_list::{Dimensions, RuleList};
use crate::walk::Walk;

/// Bounds of compilation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompileLimits {
    /// Bytes the rows of one rule base may take, about. Past it rows become coarser and lookups
    /// check more candidates; answers stay exact.
    pub max_bytes_per_rule_base: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { max_bytes_per_rule_base: 64 << 20 }
    }
}

/// A firewall compiled for lookup; immutable and shared between threads.
#[derive(Debug)]
pub struct CompiledPolicy {
    firewall: Arc<LinkedFirewall>,
    rule_bases: Vec<RuleList>,
    destination_nat: RuleList,
    source_nat: RuleList,
}

/// What a translation table answers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NatLookup {
    /// Index of the first rule whose headers surely match.
    pub rule: Option<usize>,
    /// The first rule above it whose match is not modelled.
    pub doubtful: Option<Span>,
}

impl CompiledPolicy {
    /// Compiles every rule base and translation table.
    ///
    /// `O(rules × log rules + intervals × rules / 64)` time; memory is bounded by `limits`.
    pub fn compile(firewall: Arc<LinkedFirewall>, limits: &CompileLimits) -> Self {
        let dimensions = Dimensions {
            interfaces: firewall.interfaces.len() as u32,
            zones: firewall.zones.len() as u32,
        };
        let build = |rules: Vec<(&LinkedMatch, bool)>| {
            RuleList::build(&rules, dimensions, limits.max_bytes_per_rule_base)
        };
        let nat = |table: &LinkedNatTable| {
            build(table.rules.iter().map(|rule| (&rule.matches, rule.disabled)).collect())
        };
        let rule_bases = (0..firewall.rule_bases.len() as u32).map(|id| {
            let rules = firewall.rules_of(RuleBaseId(id)).iter();
            build(rules.map(|rule| (&rule.matches, rule.disabled)).collect())
        });
        Self {
            rule_bases: rule_bases.collect(),
            destination_nat: nat(&firewall.destination_nat),
            source_nat: nat(&firewall.source_nat),
            firewall,
        }
    }

    /// The firewall that was compiled.
    pub fn firewall(&self) -> &Arc<LinkedFirewall> {
        &self.firewall
    }

    /// Bytes the lookup structures take, the firewall itself not counted.
    pub fn memory_bytes(&self) -> usize {
        let lists = self.rule_bases.iter().chain([&self.destination_nat, &self.source_nat]);
        lists.map(RuleList::memory_bytes).sum()
    }

    /// What one filter layer answers: the same as [`parefeu_policy::reference::evaluate_layer`].
    ///
    /// Each path reads a rule once; beside the one surely taken there are at most
    /// [`MAX_FORKS`](parefeu_policy::reference::MAX_FORKS) of them. Allocates nothing, unless one
    /// path comes to more than 64 rule bases.
    pub fn evaluate_layer(
        &self,
        layer: usize,
        key: &PacketKey,
        known: &Knowledge<'_>,
    ) -> Option<Evaluation> {
        let layer = self.firewall.layers.get(layer)?;
        Some(Walk::new(self, key, known, layer).evaluate(layer.rule_base))
    }

    /// The destination translation that applies to a packet.
    pub fn destination_nat(&self, key: &PacketKey) -> NatLookup {
        self.nat(&self.destination_nat, &self.firewall.destination_nat, key)
    }

    /// The source translation that applies to a packet.
    pub fn source_nat(&self, key: &PacketKey) -> NatLookup {
        self.nat(&self.source_nat, &self.firewall.source_nat, key)
    }

    fn nat(&self, list: &RuleList, table: &LinkedNatTable, key: &PacketKey) -> NatLookup {
        let mut lookup = NatLookup::default();
        let selected = list.select(key);
        let mut from = 0;
        while let Some(index) = list.next(&selected, from) {
            let rule = &table.rules[index];
            match rule.matches.header_truth(key, &self.firewall.schedules) {
                Truth::No => {}
                Truth::Maybe(_) => lookup.doubtful = lookup.doubtful.or(Some(rule.at)),
                Truth::Yes => return NatLookup { rule: Some(index), ..lookup },
            }
            from = index + 1;
        }
        lookup
    }

    /// The first rule of a rule base whose headers surely match, whatever it does.
    pub fn first_match(&self, rule_base: RuleBaseId, key: &PacketKey) -> Option<RuleId> {
        let list = &self.rule_bases[rule_base.index()];
        let first = self.firewall.rule_bases[rule_base.index()].first;
        let selected = list.select(key);
        let mut from = 0;
        while let Some(index) = list.next(&selected, from) {
            let id = RuleId(first.0 + index as u32);
            let matches = &self.firewall.rule(id).matches;
            if matches.header_truth(key, &self.firewall.schedules) == Truth::Yes {
                return Some(id);
            }
            from = index + 1;
        }
        None
    }

    /// [`CompiledPolicy::first_match`] of several packets; answers stand in the order of the keys,
    /// as many as the shorter slice has.
    pub fn first_match_batch(
        &self,
        rule_base: RuleBaseId,
        keys: &[PacketKey],
        found: &mut [Option<RuleId>],
    ) {
        for (key, slot) in keys.iter().zip(found) {
            *slot = self.first_match(rule_base, key);
        }
    }

    pub(crate) fn rule_list(&self, rule_base: RuleBaseId) -> &RuleList {
        &self.rule_bases[rule_base.index()]
    }
}
