//! What routes discard, as a layer in front of the others: nothing gets there, whatever rules say.

use crate::linked::{
    LinkedAction, LinkedAddresses, LinkedFirewall, LinkedLayer, LinkedMatch, LinkedRule,
    LinkedRuleBase, RuleBaseId, RuleId,
};
use crate::model::{Firewall, Route, Sees};
use crate::set::{AddressSet, IdSet};

/// Adds the layer, where a route discards anything: a rule for each such route and routing table.
pub(super) fn add(linked: &mut LinkedFirewall, written: &Firewall) {
    let discards = |route: &&Route| {
        route.interface.is_none() && route.next_hop.is_none() && route.next_router.is_none()
    };
    let routes: Vec<&Route> = written.routes.iter().filter(discards).collect();
    let Some(at) = routes.first().map(|route| route.at) else { return };
    let mut tables: Vec<u32> = linked.interfaces.iter().map(|it| it.router).collect();
    tables.push(0);
    tables.sort_unstable();
    tables.dedup();
    let first = RuleId(linked.rules.len() as u32);
    for &table in &tables {
        let discarded = linked.routes.discarded(table);
        for route in &routes {
            let mut prefix = AddressSet::default();
            prefix.insert_network(route.destination.trunc());
            let set = discarded.intersection(&prefix).unwrap_or_default();
            if set.is_empty() {
                continue;
            }
            // The default table also serves interfaces that are not named.
            let of = |own: bool| {
                let interfaces = (0..).zip(&linked.interfaces);
                interfaces.filter(move |(_, it)| (it.router == table) == own).map(|(id, _)| id)
            };
            let ingress = match (tables.len(), table) {
                (1, _) => IdSet::Any,
                (_, 0) => IdSet::all_but(of(false)),
                _ => IdSet::only(of(true)),
            };
            let dst = LinkedAddresses { set, ..LinkedAddresses::default() };
            linked.rules.push(LinkedRule {
                name: format!("route {}", route.destination.trunc()).into(),
                at: route.at,
                disabled: false,
                implied: true,
                matches: LinkedMatch { ingress, dst, ..LinkedMatch::anything() },
                action: LinkedAction::Drop,
                log: false,
                profiles: Vec::new(),
            });
        }
    }
    let count = linked.rules.len() as u32 - first.0;
    if count == 0 {
        return;
    }
    let rule_base = RuleBaseId(linked.rule_bases.len() as u32);
    let name = "routes that discard".into();
    linked.rule_bases.push(LinkedRuleBase { name, first, count, default: None, at });
    let layer = LinkedLayer {
        name: "routes".into(),
        rule_base,
        default: LinkedAction::Allow,
        sees_src: Sees::Original,
        sees_dst: Sees::Translated,
        before_sessions: false,
    };
    // Of layers that all let a packet through the last one is cited: that is to be one of rules.
    let place = linked.layers.iter().take_while(|layer| layer.before_sessions).count();
    linked.layers.insert(place, layer);
}
