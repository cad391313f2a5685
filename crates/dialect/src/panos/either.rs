//! Routes that lead out of one of several interfaces, and nobody can tell which: of equal routes,
//! or of a route learnt at run time and the one it replaces.
//!
//! Such a route leads to an interface made up for it, in a zone of its own. A rule that holds for
//! the zones of all of the interfaces holds there; one that holds for some of them is split, and
//! holds there on the condition that the packet leaves by one of these. Where the zone of all is
//! the same, any of the interfaces will do.

use parefeu_policy::{At, Match, Names, NatRule, Rule, Span, ZoneRelation};

use super::convert::Converter;

/// An interface that stands for one of several.
pub(super) struct Either {
    /// Its name, and that of its zone.
    pub(super) name: String,
    /// What is not known, the same for the same routes: which of them is in use.
    pub(super) question: String,
    /// The interfaces with their zones.
    pub(super) ways: Vec<Way>,
    /// The route.
    pub(super) at: Span,
}

/// An interface with its zone.
pub(super) type Way = (String, Option<String>);

impl Converter<'_> {
    /// Splits the rules that tell the interfaces of a way out apart; called when all are there.
    pub(super) fn split_ways(&mut self) {
        for either in std::mem::take(&mut self.either) {
            let tables = [&mut self.firewall.destination_nat, &mut self.firewall.source_nat];
            if !either.is_told_apart() {
                let listed = tables.iter().flat_map(|table| &table.rules);
                let mut listed = listed.flat_map(|rule| rule.matches.egress.listed());
                if listed.any(|it| either.ways.iter().any(|way| way.0 == it.value)) {
                    self.problems.unsupported("equal-routes", either.at, NOT_KNOWN);
                }
                continue;
            }
            for table in tables {
                let before = std::mem::take(&mut table.rules);
                table.rules = before.iter().flat_map(|rule| either.nat_rules(rule)).collect();
            }
            for rule_base in &mut self.firewall.rule_bases {
                let rules = std::mem::take(&mut rule_base.rules);
                rule_base.rules = rules.iter().flat_map(|rule| either.rules(rule)).collect();
            }
        }
    }
}

/// What is said of such a route.
pub(super) const NOT_KNOWN: &str = "which of several routes to one prefix is taken is not known";

impl Either {
    /// Whether the interfaces are in different zones.
    pub(super) fn is_told_apart(&self) -> bool {
        let mut zones = self.ways.iter().map(|way| &way.1);
        let first = zones.next();
        zones.any(|zone| Some(zone) != first)
    }

    fn rules(&self, rule: &Rule) -> Vec<Rule> {
        let parts = self.split(&rule.matches);
        parts.into_iter().map(|matches| Rule { matches, ..rule.clone() }).collect()
    }

    /// A translation that depends on the way out is put down to the route: what else is not
    /// modelled of its own lines stays theirs.
    fn nat_rules(&self, rule: &NatRule) -> Vec<NatRule> {
        let certain = rule.matches.unknown.len();
        let part = |matches: Match| {
            let at = if matches.unknown.len() > certain { self.at } else { rule.at };
            NatRule { matches, at, ..rule.clone() }
        };
        self.split(&rule.matches).into_iter().map(part).collect()
    }

    /// What a match comes to: for packets that leave here, then for all others.
    fn split(&self, matches: &Match) -> Vec<Match> {
        let mut elsewhere = matches.clone();
        if matches.relation == ZoneRelation::Interzone && !matches!(matches.to, Names::OneOf(_)) {
            let names = [matches.to.listed(), &[self.here()]].concat();
            elsewhere.to = Names::NoneOf(names);
        }
        let is_free = matches.to == Names::Any && matches.egress == Names::Any;
        if is_free && matches.relation == ZoneRelation::Any {
            return vec![elsewhere];
        }
        let leaves = |way: &&Way| {
            admits(&matches.egress, Some(&way.0)) && admits(&matches.to, way.1.as_deref())
        };
        let ways: Vec<&Way> = self.ways.iter().filter(leaves).collect();
        let mut zones: Vec<&String> = self.ways.iter().filter_map(|way| way.1.as_ref()).collect();
        zones.sort_unstable();
        zones.dedup();
        let entered = zones.iter().filter(|zone| admits(&matches.from, Some(zone.as_str())));
        let from_one = |zone: &String, is_same: bool| {
            let ways = ways.iter().filter(|way| (way.1.as_ref() == Some(zone)) == is_same);
            self.part(
                matches,
                Names::one(zone.clone(), self.at),
                &ways.copied().collect::<Vec<_>>(),
            )
        };
        let parts: Vec<Option<Match>> = match matches.relation {
            ZoneRelation::Any => vec![self.part(matches, matches.from.clone(), &ways)],
            ZoneRelation::Intrazone => entered.map(|zone| from_one(zone, true)).collect(),
            ZoneRelation::Interzone => {
                let others = self.part(matches, self.without(&matches.from, &zones), &ways);
                std::iter::once(others).chain(entered.map(|zone| from_one(zone, false))).collect()
            }
        };
        parts.into_iter().flatten().chain([elsewhere]).collect()
    }

    /// The match of packets that enter from `from` and leave here, on the condition that they leave
    /// by one of `ways`.
    fn part(&self, matches: &Match, from: Names, ways: &[&Way]) -> Option<Match> {
        if ways.is_empty() || from == Names::OneOf(Vec::new()) {
            return None;
        }
        let mut unknown = matches.unknown.clone();
        if ways.len() < self.ways.len() {
            let names: Vec<&str> = ways.iter().map(|way| way.0.as_str()).collect();
            let text = format!("{} leaves by {}", self.question, names.join(" or "));
            unknown.push(At::new(text, self.at));
        }
        let to = Names::OneOf(vec![self.here()]);
        let (egress, relation) = (Names::Any, ZoneRelation::Any);
        Some(Match { from, to, egress, relation, unknown, ..matches.clone() })
    }

    fn here(&self) -> At<String> {
        At::new(self.name.clone(), self.at)
    }

    /// Names without those of some zones.
    fn without(&self, names: &Names, zones: &[&String]) -> Names {
        let taken = zones.iter().map(|zone| At::new((*zone).clone(), self.at));
        match names {
            Names::Any => Names::NoneOf(taken.collect()),
            Names::NoneOf(names) => Names::NoneOf(names.iter().cloned().chain(taken).collect()),
            Names::OneOf(names) => {
                let kept = names.iter().filter(|name| !zones.contains(&&name.value));
                Names::OneOf(kept.cloned().collect())
            }
        }
    }
}

/// Whether names hold one; no name is in a list only if the list is one of what is left out.
fn admits(names: &Names, name: Option<&str>) -> bool {
    let is_listed = names.listed().iter().any(|it| Some(it.value.as_str()) == name);
    match names {
        Names::Any => true,
        Names::OneOf(_) => is_listed,
        Names::NoneOf(_) => !is_listed,
    }
}
