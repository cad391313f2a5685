//! Groups that contain themselves, used by a rule or not.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{AddressItem, Firewall, ServiceItem};
use crate::{At, Diagnostics, Span};

/// The groups of a kind, each with the objects it names and where.
type Groups<'a> = BTreeMap<&'a str, Vec<(&'a str, Span)>>;

/// Reports every group of addresses, services or applications that contains itself, but for those
/// that `problems` or what was found `before` linking tell of.
pub(super) fn refuse_cycles(firewall: &Firewall, before: &Diagnostics, problems: &mut Diagnostics) {
    let known = before.iter().chain(problems.iter()).filter(|known| known.code == "cycle");
    let known: BTreeSet<Span> = known.filter_map(|known| known.at).collect();
    let addresses = firewall.addresses.iter().map(|group| {
        let items = group.items.iter().chain(&group.except);
        let named = items.filter_map(|At { value, at }| match value {
            AddressItem::Object(name) => Some((name.as_str(), *at)),
            _ => None,
        });
        (group.name.as_str(), named.collect())
    });
    refuse("address group", &addresses.collect(), &known, problems);
    let services = firewall.services.iter().map(|group| {
        let named = group.items.iter().filter_map(|At { value, at }| match value {
            ServiceItem::Object(name) => Some((name.as_str(), *at)),
            _ => None,
        });
        (group.name.as_str(), named.collect())
    });
    refuse("service group", &services.collect(), &known, problems);
    let applications = firewall.applications.iter().map(|group| {
        let named = group.members.iter().map(|At { value, at }| (value.as_str(), *at));
        (group.name.as_str(), named.collect())
    });
    refuse("application group", &applications.collect(), &known, problems);
}

/// Reports each cycle once, at the member that closes it, unless a member on it is `known` to. A
/// walk in depth without recursion: how deep groups nest is judged elsewhere.
fn refuse(kind: &str, groups: &Groups<'_>, known: &BTreeSet<Span>, problems: &mut Diagnostics) {
    // True while the group is on the path, false once all below it is seen.
    let mut is_open: BTreeMap<&str, bool> = BTreeMap::new();
    for (start, members) in groups {
        if is_open.contains_key(start) {
            continue;
        }
        is_open.insert(start, true);
        let mut path = vec![(*start, Span::default(), members.iter())];
        while let Some((group, _, members)) = path.last_mut() {
            let Some((member, at)) = members.next() else {
                is_open.insert(group, false);
                path.pop();
                continue;
            };
            match (is_open.get(member), groups.get(member)) {
                (Some(true), _) => {
                    let on_cycle = path.iter().rev().take_while(|(group, ..)| group != member);
                    let mut places = on_cycle.map(|(_, at, _)| at).chain([at]);
                    if !places.any(|at| known.contains(at)) {
                        problems.error("cycle", *at, format!("{kind} `{member}` contains itself"));
                    }
                }
                (None, Some(members)) => {
                    is_open.insert(member, true);
                    path.push((member, *at, members.iter()));
                }
                _ => {}
            }
        }
    }
}
