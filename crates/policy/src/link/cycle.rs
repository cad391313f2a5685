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
    let known: BTreeSet<(Span, String)> =
        known.map(|known| key(known.at.unwrap_or_default(), &known.message)).collect();
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

/// What tells one report of a cycle from another: its place, and what it says where there is none,
/// as of a firewall that no text was read for.
fn key(at: Span, message: &str) -> (Span, String) {
    (at, if at == Span::default() { message.to_owned() } else { String::new() })
}

/// Reports each cycle once, at the member that closes it, unless a member on it is `known` to. A
/// walk in depth without recursion: how deep groups nest is judged elsewhere.
fn refuse(
    kind: &str,
    groups: &Groups<'_>,
    known: &BTreeSet<(Span, String)>,
    problems: &mut Diagnostics,
) {
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
                    let mut members =
                        on_cycle.map(|(name, at, _)| (name, at)).chain([(member, at)]);
                    let message = |name: &str| format!("{kind} `{name}` contains itself");
                    if !members.any(|(name, at)| known.contains(&key(*at, &message(name)))) {
                        problems.error("cycle", *at, message(member));
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
