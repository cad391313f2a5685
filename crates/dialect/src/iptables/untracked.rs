//! The packets the raw table takes out of tracking (`NOTRACK`, `CT --notrack`).

use std::collections::BTreeMap;
use std::rc::Rc;

use parefeu_policy::ConnectionState;

use super::condition::{Condition, Family, Kind, Rule};
use super::convert::in_state;
use super::memory;
use super::nat::{avoiding, extended};
use super::script::{Chain, Ruleset};
use super::target::goes_on;

/// More ways than this to come to rules of raw are not told apart.
const MAX_WAYS: usize = 64;

/// Jumps deeper than this are a cycle, or refused like one.
const MAX_DEPTH: usize = 64;

/// More rules than this, counted each time one is reached, are not followed.
const MAX_WORK: usize = 100_000;

/// How a packet comes to be taken out, and the rule that does it.
pub(super) type Way = (Rc<Rule>, Vec<Condition>);

/// The ways in which packets of each family are taken out of tracking, in no order that matters.
pub(super) fn ways(ruleset: &Ruleset) -> BTreeMap<Family, Vec<Way>> {
    let mut all = BTreeMap::new();
    for family in Family::BOTH {
        let Some(chain) = ruleset.chain(family, "raw", "PREROUTING") else { continue };
        let takes_out = |rule: &&Rc<Rule>| rule.target.as_ref().is_some_and(is_taking_out);
        let raw = ruleset.chains.iter().filter(|it| it.family == family && it.table == "raw");
        let Some(first) = raw.flat_map(|chain| &chain.rules).find(takes_out) else { continue };
        let mut found = Found { ruleset, ways: Vec::new(), work: 0, is_sure: true };
        found.chain(chain, vec![Vec::new()], 0);
        let ways = if found.is_sure && found.ways.len() <= MAX_WAYS {
            let untold = |way: Way| Some((way.0, in_state(&way.1, ConnectionState::Invalid)?));
            found.ways.into_iter().filter_map(untold).collect()
        } else {
            let digests = memory::digests(ruleset, family);
            let digests: Vec<String> = digests.into_values().collect();
            let text = format!("taken out of tracking [{}]", digests.join(" "));
            let at = first.at;
            let condition = Condition { kind: Kind::Atom(text), negated: false, at };
            vec![(Rc::clone(first), vec![condition])]
        };
        all.insert(family, ways);
    }
    all
}

/// A way as it looks where destinations may have been translated. What is taken out of tracking is
/// not, so a destination it names has to be the one the packet arrived with.
pub(super) fn after_translation(way: &[Condition], translates: bool) -> Vec<Condition> {
    let mut way = way.to_vec();
    let compared = |it: &&Condition| {
        matches!(it.kind, Kind::Dst(_) | Kind::DstPorts(_) | Kind::EitherPorts(_))
    };
    if let Some(at) = way.iter().find(compared).map(|it| it.at).filter(|_| translates) {
        let kind = Kind::Atom("the destination is the one of the packet as it arrived".to_owned());
        way.push(Condition { kind, negated: false, at });
    }
    way
}

fn is_taking_out(target: &super::condition::Target) -> bool {
    target.name == "NOTRACK" || target.name == "CT" && target.option("--notrack").is_some()
}

struct Found<'a> {
    ruleset: &'a Ruleset,
    ways: Vec<Way>,
    work: usize,
    is_sure: bool,
}

impl Found<'_> {
    /// Follows a chain that is reached in one of `ways`; the answer are those that come back.
    fn chain(
        &mut self,
        chain: &Chain,
        mut ways: Vec<Vec<Condition>>,
        depth: usize,
    ) -> Vec<Vec<Condition>> {
        let mut back = Vec::new();
        for rule in &chain.rules {
            self.work += ways.len() + 1;
            if depth > MAX_DEPTH || ways.len() > MAX_WAYS || self.work > MAX_WORK {
                self.is_sure = false;
                return Vec::new();
            }
            let Some(target) = &rule.target else { continue };
            let inner: Vec<_> = ways.iter().map(|way| extended(way, &rule.conditions)).collect();
            let called = self.ruleset.chain(chain.family, "raw", &target.name);
            let mut on = Vec::new();
            if let Some(called) = called.filter(|called| called.policy.is_none()) {
                let returned = self.chain(called, inner.clone(), depth + 1);
                if returned == inner && !target.goto {
                    continue;
                }
                let to = if target.goto { &mut back } else { &mut on };
                to.extend(returned);
            } else {
                match target.name.as_str() {
                    "RETURN" => back.extend(inner),
                    "ACCEPT" => {}
                    // These never get where their state is asked.
                    "DROP" | "REJECT" => continue,
                    _ if is_taking_out(target) => {
                        self.ways.extend(inner.into_iter().map(|way| (Rc::clone(rule), way)));
                    }
                    // What already has a template keeps it (`xt_ct_target`).
                    "CT" => {}
                    name if goes_on(name) => continue,
                    _ => self.is_sure = false,
                }
            }
            ways = ways.iter().flat_map(|way| avoiding(way, &rule.conditions)).chain(on).collect();
        }
        back.extend(ways);
        back
    }
}
