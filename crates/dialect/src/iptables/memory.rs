//! What rules write and the matches of others read: marks, lists of `recent`, sets, counters.
//!
//! Such a match is an atom, and equal texts are the same atom. So the text tells what decides the
//! answer beside itself: a digest of the rules that write what is read, in the order packets pass
//! them, with the conditions on the way to them; which of them a packet has passed; on which side
//! of a translation an address is read; and which counter counts.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use parefeu_policy::{Diagnostics, Span};

use crate::digest::Digest;

use super::condition::{Condition, Family, Rule};
use super::script::{Chain, Policy, Ruleset};
use super::store::{self, Store};
use super::target::{self, written};

/// The chains a forwarded packet passes (`NF_IP_PRI_*` in `linux/netfilter_ipv4.h`).
const FORWARD_PATH: [(&str, &str); 8] = [
    ("raw", "PREROUTING"),
    ("mangle", "PREROUTING"),
    ("nat", "PREROUTING"),
    ("mangle", "FORWARD"),
    ("filter", "FORWARD"),
    ("security", "FORWARD"),
    ("mangle", "POSTROUTING"),
    ("nat", "POSTROUTING"),
];

/// The chains other packets pass, which leave behind what lasts longer than a packet.
const OTHER_CHAINS: [&str; 2] = ["INPUT", "OUTPUT"];

/// More rules and conditions than this, counted each time one is reached, are not followed.
const MAX_WORK: usize = 500_000;

/// More pairs of rules than this are not looked at.
const MAX_PAIRS: usize = 5_000_000;

/// Jumps deeper than this are a cycle, or refused like one.
const MAX_DEPTH: usize = 64;

/// The rule set with atoms named by what they read. A chain that reads different things each time
/// it is reached becomes several.
pub(super) fn named(ruleset: &Ruleset, problems: &mut Diagnostics) -> Ruleset {
    let mut named = ruleset.clone();
    for family in Family::BOTH {
        let chains = ruleset.chains.iter().filter(|chain| chain.family == family);
        if !chains.flat_map(|chain| &chain.rules).any(|rule| reads(rule)) {
            continue;
        }
        let touching = touching(ruleset, family);
        let mut first = Walk::new(ruleset, family, &touching, None);
        first.forward();
        first.elsewhere();
        let known = Known::of(first.events, translates(ruleset, family));
        let mut second = Walk::new(ruleset, family, &touching, Some(&known));
        second.forward();
        if first.at_limit || second.at_limit {
            name_by_everything(&mut named, family, problems);
            continue;
        }
        for chain in second.made.into_values().flatten() {
            named.put(chain.chain);
        }
    }
    named
}

/// A digest of what a rule with a target does and when: the chains that lead to it, and the rules
/// before it that keep packets away.
pub(super) fn digests(ruleset: &Ruleset, family: Family) -> BTreeMap<Span, String> {
    let touching = ruleset.chains.iter().map(|chain| (chain.table, chain.name.as_str())).collect();
    let mut walk = Walk::new(ruleset, family, &touching, None);
    walk.hook("raw", "PREROUTING");
    if walk.at_limit {
        let raw = ruleset.chains.iter().filter(|it| it.family == family && it.table == "raw");
        let mut digest = Digest::default();
        for chain in raw.clone() {
            digest.add(&digest_below(ruleset, chain));
        }
        return raw
            .flat_map(|chain| &chain.rules)
            .map(|rule| (rule.at, digest.clone().hex()))
            .collect();
    }
    let mut found: BTreeMap<Span, Digest> = BTreeMap::new();
    for event in &walk.events {
        found.entry(event.at).or_default().add(&event.digest);
    }
    found.into_iter().map(|(at, digest)| (at, digest.hex())).collect()
}

/// A digest of a chain and all it leads to.
pub(super) fn digest_below(ruleset: &Ruleset, chain: &Chain) -> String {
    let (mut digest, mut met) = (Digest::default(), BTreeSet::new());
    let mut left = vec![chain];
    while let Some(chain) = left.pop() {
        if !met.insert(&chain.name) {
            continue;
        }
        digest.add(&chain.name);
        for rule in &chain.rules {
            digest.add(&canonical(&rule.conditions));
            let Some(target) = &rule.target else { continue };
            digest.add(&written(target));
            left.extend(ruleset.chain(chain.family, chain.table, &target.name));
        }
    }
    digest.hex()
}

fn reads(rule: &Rule) -> bool {
    rule.conditions.iter().any(|condition| !store::read(&condition.kind).is_nothing())
}

/// Whether anything in the family may change an address on its way.
pub(super) fn translates(ruleset: &Ruleset, family: Family) -> bool {
    let chains = ruleset.chains.iter();
    let rules =
        chains.filter(|it| it.family == family && it.table == "nat").flat_map(|it| &it.rules);
    let mut targets = rules.filter_map(|rule| rule.target.as_ref());
    targets.any(|target| {
        let is_chain = ruleset.chain(family, "nat", &target.name).is_some();
        !is_chain && !matches!(&*target.name, "ACCEPT" | "RETURN") && !target::goes_on(&target.name)
    })
}

/// The chains that hold a rule that writes or reads, or lead to one.
fn touching(ruleset: &Ruleset, family: Family) -> BTreeSet<(&'static str, &str)> {
    let mut found: BTreeSet<(&'static str, &str)> = BTreeSet::new();
    let mut callers: BTreeMap<(&'static str, &str), Vec<&Chain>> = BTreeMap::new();
    let mut left = Vec::new();
    for chain in ruleset.chains.iter().filter(|chain| chain.family == family) {
        for rule in &chain.rules {
            if let Some(target) = &rule.target {
                callers.entry((chain.table, &target.name)).or_default().push(chain);
            }
        }
        if chain.rules.iter().any(|rule| reads(rule) || !store::write(rule).is_empty()) {
            left.push(chain);
        }
    }
    while let Some(chain) = left.pop() {
        if found.insert((chain.table, &chain.name)) {
            left.extend(callers.get(&(chain.table, chain.name.as_str())).into_iter().flatten());
        }
    }
    found
}

/// What is left where chains are too many to follow: every atom hangs on every rule.
fn name_by_everything(named: &mut Ruleset, family: Family, problems: &mut Diagnostics) {
    let mut digest = Digest::default();
    for chain in named.chains.iter().filter(|chain| chain.family == family) {
        digest.add(&format!("{} {}", chain.table, chain.name));
        for rule in &chain.rules {
            digest.add(&canonical(&rule.conditions));
            digest.add(&rule.target.as_ref().map(written).unwrap_or_default());
        }
    }
    let suffix = format!(" [among all rules, {}]", digest.hex());
    for chain in named.chains.iter_mut().filter(|chain| chain.family == family) {
        let mut place = None;
        for rule in chain.rules.iter_mut().filter(|rule| reads(rule)) {
            place = place.or(Some(rule.at));
            let mut changed = Rule::clone(rule);
            for condition in &mut changed.conditions {
                if !store::read(&condition.kind).is_nothing() {
                    store::rename(&mut condition.kind, &suffix);
                }
            }
            *rule = Rc::new(changed);
        }
        if place.is_some() {
            let message = format!(
                "too many jumps lead to chain `{}` to tell what its matches read there{suffix}",
                chain.name
            );
            problems.unsupported("order-too-large", chain.at, message);
        }
    }
}

/// A rule that writes, met on the way.
struct Event {
    at: Span,
    store: Store,
    /// What the conditions on the way to it read.
    reads: BTreeSet<Store>,
    digest: String,
    /// Whether a forwarded packet meets it.
    forwarded: bool,
}

/// The rules that write, with what each store hangs on beside its own.
struct Known {
    events: Vec<Event>,
    closures: BTreeMap<Store, BTreeSet<Store>>,
    translates: bool,
}

impl Known {
    fn of(events: Vec<Event>, translates: bool) -> Self {
        let mut next: BTreeMap<&Store, BTreeSet<&Store>> = BTreeMap::new();
        for event in &events {
            next.entry(&event.store).or_default().extend(&event.reads);
        }
        let mut closures = BTreeMap::new();
        for store in next.keys() {
            let (mut found, mut left) = (BTreeSet::new(), vec![*store]);
            while let Some(store) = left.pop() {
                if found.insert(store.clone()) {
                    left.extend(next.get(store).into_iter().flatten());
                }
            }
            closures.insert((*store).clone(), found);
        }
        Self { events, closures, translates }
    }

    fn are_written(&self, stores: &BTreeSet<Store>) -> bool {
        stores.iter().any(|store| self.closures.contains_key(store))
    }

    /// What stands behind the text of a match on these stores, where `passed` of the events that
    /// forwarded packets meet have been met.
    fn told(&self, stores: &BTreeSet<Store>, passed: usize) -> Option<String> {
        if !self.are_written(stores) {
            return None;
        }
        let mut all = stores.clone();
        for store in stores {
            all.extend(self.closures.get(store).into_iter().flatten().cloned());
        }
        let lasting = all.iter().any(Store::lasts);
        let (mut count, mut before, mut digest) = (0_usize, 0_usize, Digest::default());
        for (index, event) in self.events.iter().enumerate() {
            let is_before = event.forwarded && index < passed;
            if all.contains(&event.store) && (is_before || lasting) {
                count += 1;
                before += usize::from(is_before);
                digest.add(&event.digest);
            }
        }
        digest.add(&before.to_string());
        let rules = if count == 1 { "rule" } else { "rules" };
        (count > 0).then(|| format!("set by {count} {rules}, {}", digest.hex()))
    }
}

/// A rule that keeps packets away from those after it.
struct Escape {
    conditions: Vec<Condition>,
    reads: BTreeSet<Store>,
    scope: Scope,
    /// Its conditions, and a digest of the chain that does it.
    line: String,
    hook: (&'static str, &'static str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    /// They leave the chain at this depth of jumps.
    Chain(usize),
    /// They leave the table's chains.
    Hook,
    /// They are refused, which matters for what outlasts them.
    End,
}

/// A chain as it reads at one place.
struct Made {
    signature: String,
    chain: Chain,
}

struct Walk<'a> {
    ruleset: &'a Ruleset,
    family: Family,
    touching: &'a BTreeSet<(&'static str, &'a str)>,
    /// The second time round: what the first one found.
    known: Option<&'a Known>,
    events: Vec<Event>,
    passed: usize,
    escapes: Vec<Escape>,
    hook: (&'static str, &'static str),
    /// How often a counter was asked.
    counters: BTreeMap<String, usize>,
    made: BTreeMap<(&'static str, String), Vec<Made>>,
    digests: BTreeMap<(&'static str, String), String>,
    forwarded: bool,
    work: usize,
    pairs: usize,
    at_limit: bool,
}

impl<'a> Walk<'a> {
    fn new(
        ruleset: &'a Ruleset,
        family: Family,
        touching: &'a BTreeSet<(&'static str, &'a str)>,
        known: Option<&'a Known>,
    ) -> Self {
        Self {
            ruleset,
            family,
            touching,
            known,
            events: Vec::new(),
            passed: 0,
            escapes: Vec::new(),
            hook: ("", ""),
            counters: BTreeMap::new(),
            made: BTreeMap::new(),
            digests: BTreeMap::new(),
            forwarded: true,
            work: 0,
            pairs: 0,
            at_limit: false,
        }
    }

    fn forward(&mut self) {
        for (table, name) in FORWARD_PATH {
            self.hook(table, name);
        }
    }

    fn elsewhere(&mut self) {
        self.forwarded = false;
        self.escapes.clear();
        for name in OTHER_CHAINS {
            for table in ["raw", "mangle", "nat", "filter", "security"] {
                self.hook(table, name);
            }
        }
    }

    fn hook(&mut self, table: &'static str, name: &'static str) {
        self.hook = (table, name);
        let Some(chain) = self.ruleset.chain(self.family, table, name) else { return };
        if self.touching.contains(&(table, name)) {
            self.chain(chain, &[], 0);
        }
        self.escapes.retain(|escape| escape.scope == Scope::End);
    }

    /// Follows a chain; the answer is what it is called, as it reads here.
    fn chain(&mut self, chain: &Chain, path: &[Condition], depth: usize) -> String {
        let entry = self.escapes.len();
        let mut rules = Vec::with_capacity(chain.rules.len());
        let mut signature = String::new();
        for rule in &chain.rules {
            self.work += 1 + path.len() + rule.conditions.len();
            if depth > MAX_DEPTH || self.work > MAX_WORK || self.pairs > MAX_PAIRS {
                self.at_limit = true;
                return chain.name.clone();
            }
            let conditions: Vec<Condition> = path.iter().chain(&rule.conditions).cloned().collect();
            let mut changed = self.renamed(rule, &conditions);
            let already = self.events.len();
            for (store, what) in store::write(rule) {
                self.write(store, rule.at, &conditions, &what);
            }
            for event in self.events.iter_mut().skip(already) {
                event.reads.extend(store::read_by_target(rule));
            }
            if let Some(called) = self.follow(chain, rule, conditions, depth) {
                let mut new = changed.take().unwrap_or_else(|| Rule::clone(rule));
                if let Some(target) = &mut new.target {
                    target.name = called;
                }
                changed = Some(new);
            }
            if let Some(new) = &changed {
                let atoms = new.conditions.iter().map(|condition| format!("{:?}", condition.kind));
                let atoms: Vec<String> = atoms.collect();
                let target = new.target.as_ref().map_or("", |target| &target.name);
                for word in [&*atoms.join(" "), " ", target, "\n"] {
                    signature.push_str(word);
                }
            } else {
                signature.push('\n');
            }
            rules.push(changed.map_or_else(|| Rc::clone(rule), Rc::new));
        }
        let mut later = self.escapes.split_off(entry.min(self.escapes.len()));
        later.retain(|escape| escape.scope != Scope::Chain(depth));
        self.escapes.append(&mut later);
        self.keep(chain, rules, signature)
    }

    /// The name of the chain with these rules.
    fn keep(&mut self, chain: &Chain, rules: Vec<Rc<Rule>>, signature: String) -> String {
        if self.known.is_none() || !self.forwarded {
            return chain.name.clone();
        }
        let ways = self.made.entry((chain.table, chain.name.clone())).or_default();
        if let Some(same) = ways.iter().find(|made| made.signature == signature) {
            return same.chain.name.clone();
        }
        let name = match ways.len() {
            0 => chain.name.clone(),
            count => format!("{} ({})", chain.name, count + 1),
        };
        self.work += rules.len();
        let mut chain = chain.clone();
        (chain.name, chain.rules) = (name.clone(), rules);
        ways.push(Made { signature, chain });
        name
    }

    /// Goes where a target leads; the answer is the name of a chain that was followed.
    fn follow(
        &mut self,
        chain: &Chain,
        rule: &Rule,
        conditions: Vec<Condition>,
        depth: usize,
    ) -> Option<String> {
        let target = rule.target.as_ref()?;
        let called = self.ruleset.chain(self.family, chain.table, &target.name);
        if let Some(called) = called.filter(|called| called.policy.is_none()) {
            let mut name = None;
            if self.touching.contains(&(chain.table, &called.name)) {
                name = Some(self.chain(called, &conditions, depth + 1));
            } else if self.escapes_from(called, depth + 1) {
                self.escape(conditions.clone(), Scope::Hook);
                // Which packets, its rules tell.
                let below = self.below(called);
                if let Some(escape) = self.escapes.last_mut() {
                    escape.line.push_str(&below);
                }
            }
            if target.goto {
                self.escape(conditions, Scope::Chain(depth));
            }
            return name;
        }
        let scope = match target.name.as_str() {
            "RETURN" if chain.policy.is_none() => Scope::Chain(depth),
            "RETURN" if chain.policy == Some(Policy::Drop) => Scope::End,
            "DROP" | "REJECT" => Scope::End,
            name if target::goes_on(name) => return None,
            _ => Scope::Hook,
        };
        self.escape(conditions, scope);
        None
    }

    /// Whether a chain that writes and reads nothing may end the way of a packet.
    fn escapes_from(&mut self, chain: &Chain, depth: usize) -> bool {
        chain.rules.iter().any(|rule| {
            self.work += 1;
            let Some(target) = &rule.target else { return false };
            let called = self.ruleset.chain(self.family, chain.table, &target.name);
            match called.filter(|called| called.policy.is_none()) {
                Some(_) if depth > MAX_DEPTH || self.work > MAX_WORK => {
                    self.at_limit = true;
                    false
                }
                Some(called) => self.escapes_from(called, depth + 1),
                None => target.name != "RETURN" && !target::goes_on(&target.name),
            }
        })
    }

    /// A digest of a chain that neither writes nor reads anything.
    fn below(&mut self, chain: &Chain) -> String {
        let key = (chain.table, chain.name.clone());
        let below = self.digests.entry(key);
        below.or_insert_with(|| digest_below(self.ruleset, chain)).clone()
    }

    fn escape(&mut self, conditions: Vec<Condition>, scope: Scope) {
        // Only the first time round it matters who gets to the rules that write.
        if self.known.is_some() {
            return;
        }
        let reads = stores_of(&conditions);
        let line = canonical(&conditions);
        self.escapes.push(Escape { conditions, reads, scope, line, hook: self.hook });
    }

    fn write(&mut self, store: Store, at: Span, conditions: &[Condition], what: &str) {
        self.passed += usize::from(self.forwarded);
        if self.known.is_some() {
            return;
        }
        let mut reads = stores_of(conditions);
        let (table, hook) = self.hook;
        let mut lines = BTreeSet::new();
        self.pairs += self.escapes.len();
        for escape in &self.escapes {
            let counts = escape.scope != Scope::End || store.lasts();
            // Elsewhere the same words may compare another address.
            let apart = escape.hook == self.hook && store::disjoint(&escape.conditions, conditions);
            if counts && !apart {
                reads.extend(escape.reads.clone());
                lines.insert(escape.line.as_str());
            }
        }
        let mut digest = Digest::default();
        digest.add(&format!("{table} {hook} {what} {}", canonical(conditions)));
        for line in lines {
            digest.add(line);
        }
        let (digest, forwarded) = (digest.hex(), self.forwarded);
        self.events.push(Event { at, store, reads, digest, forwarded });
    }

    /// The rule with its atoms named, where any changes its name.
    fn renamed(&mut self, rule: &Rule, conditions: &[Condition]) -> Option<Rule> {
        let known = self.known?;
        let counted = rule.target.as_ref().is_some_and(|it| !target::goes_on(&it.name));
        let mut changed: Option<Rule> = None;
        for (index, condition) in rule.conditions.iter().enumerate() {
            let read = store::read(&condition.kind);
            if read.is_nothing() {
                continue;
            }
            self.pairs += usize::from(known.are_written(&read.stores)) * known.events.len();
            let mut notes = Vec::new();
            notes.extend(known.told(&read.stores, self.passed));
            if let Some(text) = read.counter.filter(|_| counted) {
                let mut digest = Digest::default();
                digest.add(&canonical(conditions));
                let own = format!("counter {}", digest.hex());
                let asked = self.counters.entry(format!("{text} {own}")).or_default();
                *asked += 1;
                notes.push(if *asked == 1 { own } else { format!("{own}, number {asked}") });
            }
            let (table, hook) = self.hook;
            if read.tracking && table == "raw" {
                notes.push("before tracking".to_owned());
            }
            if read.destination && hook == "PREROUTING" && known.translates {
                notes.push("before translation".to_owned());
            }
            // Routing takes one off the time to live (`ip_forward`, `ip6_forward`).
            if read.stores.contains(&Store::TimeToLive) && hook == "PREROUTING" {
                notes.push("before routing".to_owned());
            }
            if notes.is_empty() {
                continue;
            }
            let new = changed.get_or_insert_with(|| rule.clone());
            if let Some(condition) = new.conditions.get_mut(index) {
                store::rename(&mut condition.kind, &format!(" [{}]", notes.join("; ")));
            }
        }
        changed
    }
}

fn stores_of(conditions: &[Condition]) -> BTreeSet<Store> {
    conditions.iter().flat_map(|condition| store::read(&condition.kind).stores).collect()
}

/// Conditions without their places and their order.
fn canonical(conditions: &[Condition]) -> String {
    let text = |it: &Condition| format!("{}{:?}", if it.negated { "! " } else { "" }, it.kind);
    let texts: BTreeSet<String> = conditions.iter().map(text).collect();
    texts.into_iter().collect::<Vec<_>>().join(" and ")
}
