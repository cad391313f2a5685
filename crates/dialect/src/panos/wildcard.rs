//! Which of several rules with overlapping wildcard addresses applies.
//!
//! Unless *wildcard top-down match mode* is on, an address that several wildcards cover matches
//! the rule whose mask has the longest prefix, wherever it stands ("Security Policy Rule Top-Down
//! Order When Wildcard Masks Overlap", PAN-OS 10.2 New Features; knowledge base, "When Wildcard
//! Objects are used, the traffic does not match the correct policy"). What the longest prefix is
//! compared among is not documented: there a rule with a shorter one matches perhaps.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use parefeu_policy::set::MaskedAddress;
use parefeu_policy::{Action, AddressItem, AddressMatch, AddressObject, At, Match, Rule, RuleBase};

use super::convert::Converter;
use super::section::Sections;
use super::tree::Element;

/// The wildcards of one side of a rule, by prefix length.
type Wildcards = BTreeSet<(u32, u32, u32)>;

impl<'t> Converter<'t> {
    /// Reads whether rules with wildcards are taken in order.
    pub(super) fn note_wildcard_mode(&mut self, sections: &Sections<'t>) {
        let configs = sections.templates.iter().filter_map(|it| it.child("config"));
        let devices = configs.flat_map(|it| it.under("devices"));
        let pushed = devices.filter_map(|it| it.child("deviceconfig"));
        let is_on = |it: Element<'t>| {
            let setting = it.path(&["setting", "management"]);
            setting.is_some_and(|it| it.says_yes("wildcard-topdown-match-mode"))
        };
        self.wildcards_in_order = sections.deviceconfig.iter().copied().chain(pushed).any(is_on);
    }

    /// Makes the match of rules unknown where another one's wildcard has a longer prefix. `name`
    /// calls the rule base.
    pub(super) fn order_wildcards(&mut self, name: &str, rules: &mut [Rule]) {
        let is_wildcard = |it: &At<AddressItem>| matches!(it.value, AddressItem::Masked(_));
        let any = self.firewall.addresses.iter().any(|it| it.items.iter().any(is_wildcard));
        if self.wildcards_in_order || !any {
            return;
        }
        let objects: HashMap<&str, &AddressObject> =
            self.firewall.addresses.iter().map(|it| (it.name.as_str(), it)).collect();
        let of = |side: fn(&Match) -> &AddressMatch| -> Vec<Wildcards> {
            let of = |rule: &Rule| {
                let used = Some(rule).filter(|rule| !rule.disabled);
                used.map(|rule| wildcards(side(&rule.matches), &objects)).unwrap_or_default()
            };
            rules.iter().map(of).collect()
        };
        let (sources, destinations) = (of(|it| &it.src), of(|it| &it.dst));
        let [longer_sources, longer_destinations] = [&sources, &destinations].map(|it| longer(it));
        drop(objects);
        for (number, rule) in rules.iter_mut().enumerate() {
            let sides = [(&longer_sources, "source"), (&longer_destinations, "destination")];
            let mut passed = Vec::new();
            for (longer, side) in sides {
                let longer = longer.get(number).map(Vec::as_slice).unwrap_or_default();
                passed.extend(longer.iter().map(|it| passing(rule, *it, side)));
            }
            if passed.is_empty() {
                continue;
            }
            let message = "where a wildcard address of another rule has a longer prefix, whether \
                           this rule is examined is not told";
            self.problems.unsupported("wildcard-order", rule.at, message);
            // Parentheses cannot be part of a virtual system's name.
            let base = format!("(rule {number} of {name})");
            let (at, rule_name) = (rule.at, rule.name.clone());
            let whole = std::mem::take(rule);
            *rule = Rule {
                name: rule_name,
                at,
                implied: true,
                action: Action::Jump(base.clone()),
                ..Rule::default()
            };
            passed.push(whole);
            let rule_base = RuleBase { name: base, rules: passed, default: None, at };
            self.inner.push(rule_base);
        }
    }
}

/// Perhaps passes `rule` over for the addresses of a wildcard with a longer prefix than its own.
fn passing(rule: &Rule, (_, value, mask): (u32, u32, u32), side: &str) -> Rule {
    let wildcard = MaskedAddress { value, mask };
    let addresses = AddressMatch::one(AddressItem::Masked(wildcard), rule.at);
    let (address, mask) = (Ipv4Addr::from_bits(value), Ipv4Addr::from_bits(!mask));
    let text = format!("only rules with {side} {address}/{mask} are examined");
    let unknown = vec![At::new(text, rule.at)];
    let matches = match side {
        "source" => Match { src: addresses, unknown, ..Match::default() },
        _ => Match { dst: addresses, unknown, ..Match::default() },
    };
    let (name, at) = (rule.name.clone(), rule.at);
    Rule { name, at, matches, action: Action::Return, ..Rule::default() }
}

/// For each rule, the wildcards of other rules that overlap one of its own and have a longer
/// prefix.
fn longer(of_rules: &[Wildcards]) -> Vec<Vec<(u32, u32, u32)>> {
    let all: Wildcards = of_rules.iter().flatten().copied().collect();
    let overlap = |(_, value, mask): (u32, u32, u32), (_, other, other_mask): (u32, u32, u32)| {
        (value ^ other) & mask & other_mask == 0
    };
    let of = |own: &Wildcards| {
        let exceeds = |it: &(u32, u32, u32)| {
            own.iter().any(|own| own.0 < it.0 && overlap(*own, *it)) && !own.contains(it)
        };
        if own.is_empty() { Vec::new() } else { all.iter().copied().filter(exceeds).collect() }
    };
    of_rules.iter().map(of).collect()
}

/// The wildcards a list of addresses names, through groups.
fn wildcards(addresses: &AddressMatch, objects: &HashMap<&str, &AddressObject>) -> Wildcards {
    let mut found = Wildcards::new();
    let mut entered = HashSet::new();
    let mut open: Vec<&AddressItem> = addresses.items.iter().map(|it| &it.value).collect();
    while let Some(item) = open.pop() {
        match item {
            AddressItem::Masked(it) => {
                found.insert((it.mask.leading_ones(), it.value, it.mask));
            }
            AddressItem::Object(name) if entered.insert(name) => {
                let members = objects.get(name.as_str()).map(|it| it.items.as_slice());
                open.extend(members.unwrap_or_default().iter().map(|it| &it.value));
            }
            _ => {}
        }
    }
    found
}
