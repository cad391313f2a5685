//! Zone protection: what is dropped of what enters by a zone, before any policy.
//!
//! What it drops is named and not modelled, except that packets whose source is routed elsewhere
//! are perhaps dropped: *Spoofed IP address* discards what is not routable back through the zone it
//! came from ("IP Drop", PAN-OS Web Interface Help). Routes learned at run time are not known, so
//! that it is perhaps only.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Interface, Match, Names, Route, Rule, RuleBase, Span,
};

use super::convert::{Converter, Place};
use super::definition::digest_of;
use super::tree::Element;

/// Prefixes of a routing table past which spoofed sources are only named.
const MAX_PREFIXES: usize = 1_000;

impl<'t> Converter<'t> {
    /// Names what zone protection drops; interfaces and routes are read.
    pub(super) fn convert_zone_protection(&mut self, networks: &[Element<'t>]) {
        for (zone, profile) in std::mem::take(&mut self.zones.protection) {
            let path = ["profiles", "zone-protection-profile", &profile.value];
            let defined = networks.iter().find_map(|it| it.path(&path));
            let Some(defined) = defined else {
                let message = format!("what protects zone {zone} is not in the text");
                self.problems.unsupported("zone-protection", profile.at, message);
                continue;
            };
            let drops = drops(defined);
            if !drops.is_empty() {
                let message =
                    format!("what protects zone {zone} is not modelled: {}", drops.join(", "));
                self.problems.unsupported("zone-protection", defined.at(), message);
                self.problems.defined(digest_of(defined));
            }
            let strict = defined.says_yes("strict-ip-check");
            if strict || defined.says_yes("discard-ip-spoof") {
                self.doubt_spoofed(&zone, strict, defined.at());
            }
        }
    }

    /// The jumps to what protects the zones of a place.
    pub(super) fn protecting_rules(&self, place: Place) -> Vec<Rule> {
        let own = self.zones.zones(place.domain);
        let protected = self.zones.protecting.iter().filter(|it| own.contains(&it.value));
        let jump = |zone: &At<String>| Rule {
            name: "zone protection".to_owned(),
            at: zone.at,
            implied: true,
            matches: Match { from: Names::one(zone.value.clone(), zone.at), ..Match::default() },
            action: Action::Jump(rule_base_of(&zone.value)),
            ..Rule::default()
        };
        protected.map(jump).collect()
    }

    /// Adds a rule base that perhaps drops packets from a zone whose source is routed elsewhere.
    /// The strict check wants the very interface.
    fn doubt_spoofed(&mut self, zone: &str, strict: bool, at: Span) {
        let interfaces = &self.firewall.interfaces;
        let in_zone = |it: &&Interface| it.zone.as_ref().is_some_and(|it| it.value == zone);
        let mut groups: BTreeMap<(&str, &str), Vec<At<String>>> = BTreeMap::new();
        for interface in interfaces.iter().filter(in_zone).filter(|it| !it.addresses.is_empty()) {
            let name = interface.name.as_str();
            let group = (interface.router.as_str(), if strict { name } else { "" });
            groups.entry(group).or_default().push(At::new(name.to_owned(), at));
        }
        let mut rules = Vec::new();
        for ((router, _), ingress) in groups {
            let mut own: BTreeSet<&str> = ingress.iter().map(|it| it.value.as_str()).collect();
            if !strict {
                own.extend(interfaces.iter().filter(in_zone).map(|it| it.name.as_str()));
            }
            let Some(back) = self.leads_to(router, &own) else { continue };
            let rule = |network: Option<IpNet>, leads_back: bool| {
                let item = network.map_or(AddressItem::Any, AddressItem::Network);
                let text = format!("zone {zone} refuses spoofed sources");
                let unknown = if leads_back { Vec::new() } else { vec![At::new(text, at)] };
                let ingress = Names::OneOf(ingress.clone());
                let src = AddressMatch::one(item, at);
                let action = if leads_back { Action::Return } else { Action::Drop };
                let name = "spoofed source".to_owned();
                let matches = Match { ingress, src, unknown, ..Match::default() };
                Rule { name, at, matches, action, ..Rule::default() }
            };
            rules.extend(back.into_iter().map(|(network, is_back)| rule(Some(network), is_back)));
            rules.push(rule(None, false));
        }
        if rules.is_empty() {
            return;
        }
        let name = rule_base_of(zone);
        self.inner.push(RuleBase { name, rules, default: None, at });
        self.zones.protecting.push(At::new(zone.to_owned(), at));
    }

    /// The prefixes of a routing table, longest first, with whether they lead to one of the
    /// interfaces given; those a shorter one says the same of are left out. `None` where there are
    /// too many.
    fn leads_to(&self, router: &str, interfaces: &BTreeSet<&str>) -> Option<Vec<(IpNet, bool)>> {
        let own = || self.firewall.interfaces.iter().filter(|it| it.router == router);
        let egress = |route: &Route| {
            if let Some(interface) = &route.interface {
                return Some(interface.value.clone());
            }
            let next_hop = route.next_hop?;
            let reaches =
                |it: &&Interface| it.addresses.iter().any(|network| network.contains(&next_hop));
            own().find(reaches).map(|it| it.name.clone())
        };
        // By length, then by metric, so that the route in use is met first.
        let mut all: Vec<(IpNet, u32, bool)> = Vec::new();
        for interface in own() {
            let there = interfaces.contains(interface.name.as_str());
            all.extend(interface.addresses.iter().map(|it| (it.trunc(), 0, there)));
        }
        for route in self.firewall.routes.iter().filter(|it| it.router == router) {
            let there = egress(route).is_some_and(|name| interfaces.contains(name.as_str()));
            all.push((route.destination, route.metric.max(1), there));
        }
        if all.len() > MAX_PREFIXES {
            return None;
        }
        all.sort_by_key(|(network, metric, _)| (network.prefix_len(), *network, *metric));
        all.dedup_by_key(|(network, ..)| *network);
        let mut kept: Vec<(IpNet, bool)> = Vec::new();
        for (network, _, there) in all {
            let around = kept.iter().rev().find(|(shorter, _)| shorter.contains(&network));
            if around.is_some_and(|(_, around)| *around) != there {
                kept.push((network, there));
            }
        }
        kept.reverse();
        Some(kept)
    }
}

/// Parentheses cannot be part of a virtual system's name.
fn rule_base_of(zone: &str) -> String {
    format!("(protection of {zone})")
}

/// The settings of a profile that drop packets.
fn drops(profile: Element<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for field in profile.children() {
        let name = field.name();
        let harmless =
            name == "description" || name.starts_with("remove-") || name.contains("strip");
        let is_off = |it: Element<'_>| {
            it.children().last().is_none_or(|it| ["no", "global"].contains(&it.name()))
        };
        match name {
            _ if harmless => {}
            "flood" => {
                let on = field.children().filter(|it| it.says_yes("enable"));
                found.extend(on.map(|kind| format!("flood {}", kind.name())));
            }
            "ipv6" => {
                let on = field.children().filter(|it| !is_off(*it));
                found.extend(on.map(|it| format!("ipv6 {}", it.name())));
            }
            _ if is_off(field) => {}
            _ => found.push(name.to_owned()),
        }
    }
    found.sort_unstable();
    found
}
