//! A linked firewall with a lookup structure for each of its lists.

#![expect(
    clippy::inline_always,
    reason = "loops become wide instructions only inside a function that enables them"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use parefeu_policy::set::IdSet;
use parefeu_policy::{
    Evaluation, Knowledge, LinkedFirewall, LinkedMatch, LinkedNatRule, LinkedNatTable,
    LinkedService, PacketKey, RuleBaseId, RuleId, Span, Truth,
};

use crate::batch::{CHUNK, Chunk, Instructions, Lanes, Task, look_up, run};
use crate::first_match::FirstMatch;
use crate::headers::{BatchScratch, Headers, HeadersV4, HeadersV6};
use crate::list::{RuleList, Structure};
use crate::rows::Dimensions;
use crate::tables::{Listed, NONE, Tables};
use crate::walk::Walk;
use crate::wanted;

/// Bounds and choices of compilation. Whatever they are, answers are the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CompileLimits {
    /// Bytes the structures of one rule base may take, about. Tables that would take more are
    /// replaced by rows of bits, which become coarser where they would: lookups then check more
    /// candidates.
    pub max_bytes_per_rule_base: usize,
    /// Rules from which a rule base is compiled to tables, which take a megabyte at least; smaller
    /// ones are rows of bits.
    pub min_table_rules: usize,
    /// Rules up to which a table of address pairs is tried for all of them; past it narrow rules
    /// are hashed.
    pub max_paired_rules: usize,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { max_bytes_per_rule_base: 64 << 20, min_table_rules: 64, max_paired_rules: 12_000 }
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
        let build = |rules: Vec<Listed<'_>>| RuleList::build(&rules, dimensions, limits);
        let nat = |table: &LinkedNatTable| {
            // Packets of a family that a pool has no address of go on to the rules below.
            let all = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
            let ends = |rule: &LinkedNatRule| all.iter().all(|it| rule.translation.applies_to(*it));
            let rules = table.rules.iter();
            build(rules.map(|rule| listed(&rule.matches, rule.disabled, ends(rule))).collect())
        };
        let rule_bases = (0..firewall.rule_bases.len() as u32).map(|id| {
            let rules = firewall.rules_of(RuleBaseId(id)).iter();
            let rules = rules.map(|it| listed(&it.matches, it.disabled, it.action.is_final()));
            build(rules.collect())
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
        self.nat(&self.destination_nat, &self.firewall.destination_nat, (key, key.dst))
    }

    /// The source translation that applies to a packet; its destination leaves as one of the
    /// family of `like`.
    pub fn source_nat(&self, key: &PacketKey, like: IpAddr) -> NatLookup {
        self.nat(&self.source_nat, &self.firewall.source_nat, (key, like))
    }

    fn nat(
        &self,
        list: &RuleList,
        table: &LinkedNatTable,
        (key, like): (&PacketKey, IpAddr),
    ) -> NatLookup {
        let mut lookup = NatLookup::default();
        let selected = list.select(key);
        let mut from = 0;
        while let Some(index) = list.next(&selected, from) {
            let rule = &table.rules[index];
            match rule.matches.header_truth(key, &self.firewall.schedules) {
                _ if !rule.translation.applies_to(like) => {}
                Truth::No => {}
                Truth::Maybe(_) => lookup.doubtful = lookup.doubtful.or(Some(rule.at)),
                Truth::Yes => return NatLookup { rule: Some(index), ..lookup },
            }
            from = index + 1;
        }
        lookup
    }

    /// What a rule base is compiled to: whether it fits the tables that are fastest.
    pub fn structure(&self, rule_base: RuleBaseId) -> Structure {
        self.rule_bases[rule_base.index()].structure()
    }

    /// The first rule of a rule base whose headers surely match, whatever it does.
    pub fn first_match(&self, rule_base: RuleBaseId, key: &PacketKey) -> Option<RuleId> {
        let list = &self.rule_bases[rule_base.index()];
        let selected = list.select(key);
        let mut from = 0;
        while let Some(index) = list.next(&selected, from) {
            if let Some(id) = self.surely(rule_base, index, key) {
                return Some(id);
            }
            from = index + 1;
        }
        None
    }

    /// A candidate, if it surely matches.
    #[inline]
    fn surely(&self, rule_base: RuleBaseId, index: usize, key: &PacketKey) -> Option<RuleId> {
        let first = self.firewall.rule_bases[rule_base.index()].first;
        let id = RuleId(first.0 + index as u32);
        let is_sure = self.rule_bases[rule_base.index()].is_certain(index, key) || {
            let matches = &self.firewall.rule(id).matches;
            matches.header_truth(key, &self.firewall.schedules) == Truth::Yes
        };
        is_sure.then_some(id)
    }

    /// [`CompiledPolicy::first_match`] of several packets; answers stand in the order of the keys,
    /// as many as the shorter slice has.
    ///
    /// Packets are looked up side by side, 256 at a time; batches below some 32 gain nothing. No
    /// allocation.
    pub fn first_match_batch(
        &self,
        rule_base: RuleBaseId,
        keys: &[PacketKey],
        found: &mut [FirstMatch],
    ) {
        self.first_match_batch_with(Instructions::best(), rule_base, keys, found);
    }

    /// [`CompiledPolicy::first_match_batch`] with instructions of choice, for tests and benches.
    /// Those the processor lacks are replaced by portable ones.
    pub fn first_match_batch_with(
        &self,
        instructions: Instructions,
        rule_base: RuleBaseId,
        keys: &[PacketKey],
        found: &mut [FirstMatch],
    ) {
        if self.rule_bases[rule_base.index()].tables().is_none() {
            for (key, slot) in keys.iter().zip(found) {
                *slot = self.first_match(rule_base, key).into();
            }
            return;
        }
        let mut chunk = Chunk::EMPTY;
        for (keys, found) in keys.chunks(CHUNK).zip(found.chunks_mut(CHUNK)) {
            let keys = &keys[..keys.len().min(found.len())];
            let mut left = keys.len();
            for is_v6 in [false, true] {
                if left > 0 {
                    left -=
                        self.family(rule_base, is_v6, (keys, found), (instructions, &mut chunk));
                }
            }
            // Packets of both families, behind a translation.
            let is_mixed = |key: &PacketKey| key.src.is_ipv4() != key.dst.is_ipv4();
            if left > 0 {
                for (key, slot) in keys.iter().zip(found).filter(|(key, _)| is_mixed(key)) {
                    *slot = self.first_match(rule_base, key).into();
                }
            }
        }
    }

    /// Looks up the packets of one family among at most a chunk, and says how many there are.
    fn family(
        &self,
        rule_base: RuleBaseId,
        is_v6: bool,
        (keys, found): (&[PacketKey], &mut [FirstMatch]),
        (instructions, chunk): (Instructions, &mut Chunk),
    ) -> usize {
        let list = &self.rule_bases[rule_base.index()];
        let Some(tables) = list.tables() else { return 0 };
        let mut places = [0u8; CHUNK];
        chunk.start(is_v6, 0);
        for (at, key) in keys.iter().enumerate() {
            if chunk.push(key, tables.conditions.context(key)) {
                places[chunk.count - 1] = at as u8;
            }
        }
        run(instructions, OneChunk { tables, chunk });
        for (&at, &candidate) in places[..chunk.count].iter().zip(&chunk.found) {
            let at = usize::from(at);
            found[at] = self.settle(rule_base, candidate, || keys[at]).into();
        }
        chunk.count
    }

    /// [`CompiledPolicy::first_match`] of IPv4 packets given field by field: the fastest way to
    /// look up many. Answers stand in order, as many as `found` has room for.
    ///
    /// About a dozen reads a packet from tables of a few hundred kilobytes in rule bases of a
    /// thousand rules, of some megabytes in those of a hundred thousand (`DESIGN.md`). No
    /// allocation.
    pub fn first_match_headers(
        &self,
        rule_base: RuleBaseId,
        headers: &HeadersV4<'_>,
        found: &mut [FirstMatch],
        scratch: &mut BatchScratch,
    ) {
        self.first_match_of(rule_base, headers, found, scratch);
    }

    /// The same of IPv6 packets.
    ///
    /// Addresses cost two or three more reads on each side.
    pub fn first_match_headers_v6(
        &self,
        rule_base: RuleBaseId,
        headers: &HeadersV6<'_>,
        found: &mut [FirstMatch],
        scratch: &mut BatchScratch,
    ) {
        self.first_match_of(rule_base, headers, found, scratch);
    }

    fn first_match_of<H: Headers>(
        &self,
        rule_base: RuleBaseId,
        headers: &H,
        found: &mut [FirstMatch],
        scratch: &mut BatchScratch,
    ) {
        let list = &self.rule_bases[rule_base.index()];
        let count = headers.count().min(found.len());
        let Some(tables) = list.tables() else {
            for (at, slot) in found[..count].iter_mut().enumerate() {
                *slot = self.first_match(rule_base, &headers.key(at)).into();
            }
            return;
        };
        let task = Fields {
            policy: self,
            rule_base,
            tables,
            headers,
            found: &mut found[..count],
            chunk: &mut scratch.chunk,
        };
        run(scratch.instructions, task);
    }

    /// The first match, given the first candidate.
    fn settle(
        &self,
        rule_base: RuleBaseId,
        candidate: u32,
        key: impl Fn() -> PacketKey,
    ) -> Option<RuleId> {
        if candidate == NONE {
            return None;
        }
        let key = key();
        // Only what the first candidate leaves open is worth a lookup of its own.
        self.surely(rule_base, candidate as usize, &key)
            .or_else(|| self.first_match(rule_base, &key))
    }

    pub(crate) fn rule_list(&self, rule_base: RuleBaseId) -> &RuleList {
        &self.rule_bases[rule_base.index()]
    }
}

/// A rule as its list compiles it. Lookups stop at a final rule that surely matches: what is listed
/// behind one that leaves nothing open is never asked for.
fn listed(matches: &LinkedMatch, disabled: bool, is_final: bool) -> Listed<'_> {
    let ends = is_final
        && !matches.needs_identification()
        && wanted::is_all_compared(matches)
        && matches.services.terms.iter().any(LinkedService::is_any)
        && [&matches.from, &matches.to, &matches.ingress, &matches.egress]
            .into_iter()
            .all(IdSet::is_any);
    Listed { matches, disabled, ends }
}

/// A lookup of a chunk that has been filled.
struct OneChunk<'a> {
    tables: &'a Tables,
    chunk: &'a mut Chunk,
}

impl Task for OneChunk<'_> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        look_up(lanes, self.tables, self.chunk);
    }
}

/// A lookup of packets given field by field: filling chunks and writing answers is a fifth of the
/// time, and done with wide instructions too.
struct Fields<'a, H> {
    policy: &'a CompiledPolicy,
    rule_base: RuleBaseId,
    tables: &'a Tables,
    headers: &'a H,
    /// A place for each packet.
    found: &'a mut [FirstMatch],
    chunk: &'a mut Chunk,
}

impl<H: Headers> Task for Fields<'_, H> {
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { policy, rule_base, tables, headers, found, chunk } = self;
        let context = tables.conditions.context(&PacketKey::UNSTATED);
        let certain = policy.rule_bases[rule_base.index()].is_certain_throughout();
        let first = policy.firewall.rule_bases[rule_base.index()].first;
        for (number, found) in found.chunks_mut(CHUNK).enumerate() {
            let start = number * CHUNK;
            headers.fill(lanes, chunk, start..start + found.len(), context);
            look_up(lanes, tables, chunk);
            if certain {
                for (slot, &candidate) in found.iter_mut().zip(&chunk.found) {
                    *slot = FirstMatch::behind(first, candidate);
                }
                continue;
            }
            for (at, slot) in found.iter_mut().enumerate() {
                let key = || headers.key(start + at);
                *slot = policy.settle(rule_base, chunk.found[at], key).into();
            }
        }
    }
}
