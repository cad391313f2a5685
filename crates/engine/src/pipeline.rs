//! The stages a new connection passes, over compiled lookups.

use std::net::IpAddr;

use parefeu_classify::{CompiledPolicy, NatLookup};
use parefeu_net::FiveTuple;
use parefeu_policy::reference::Judgement;
use parefeu_policy::{
    Circumstances, Endpoint, Evaluation, Hit, Knowledge, LinkedAction, LinkedFirewall,
    LinkedNatTable, PacketKey, Sees, Span, Translated, flow_as_it_leaves,
};
use serde::{Deserialize, Serialize};

/// Judges a new connection: destination translation, route, filter layers, source translation. What
/// belongs to no connection is not translated.
///
/// The same answer as [`parefeu_policy::reference::judge`], at the speed of compiled lookups and
/// without allocation. Egress interface and zones are filled in from routes where `key` leaves them
/// open.
pub fn judge(policy: &CompiledPolicy, key: &PacketKey, known: &Knowledge<'_>) -> Judgement {
    let is_alone = policy.firewall().behaviour.judges_alone(key.state);
    let route = if is_alone { route_alone(policy, key) } else { open_route(policy, key) };
    let evaluation = evaluate(policy, &route, known);
    Judgement {
        key: route.key,
        destination_nat: route.destination_nat,
        source_nat: route.source_nat,
        translated: route.translated,
        session_chooses: route.session_chooses,
        doubtful_nat: route.doubtful_nat,
        evaluation,
    }
}

/// Everything about a new connection that does not depend on filter rules.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct OpenRoute {
    pub(crate) key: PacketKey,
    pub(crate) destination_nat: Option<usize>,
    pub(crate) source_nat: Option<usize>,
    pub(crate) translated: FiveTuple,
    pub(crate) session_chooses: bool,
    pub(crate) doubtful_nat: Option<Span>,
}

pub(crate) fn open_route(policy: &CompiledPolicy, key: &PacketKey) -> OpenRoute {
    let firewall = policy.firewall();
    let arrived =
        PacketKey { from: key.from.or(key.ingress.and_then(|id| firewall.zone_of(id))), ..*key };
    let before = towards(firewall, arrived, arrived.dst);
    let dst = Endpoint { address: key.dst, port: key.dst_port };
    let src = Endpoint { address: key.src, port: key.src_port };

    let dst_lookup = policy.destination_nat(&before);
    let given = Circumstances { client: key.src, like: key.dst, egress: None };
    let new_dst =
        dst_lookup.rule.map(|at| firewall.destination_nat.rules[at].translation.apply(dst, given));
    let dst_chosen = new_dst.flatten().map_or(dst, |new| new.endpoint);

    let routed = towards(firewall, arrived, dst_chosen.address);
    let compared = match firewall.source_nat.sees {
        Sees::Original => before,
        Sees::Translated => {
            PacketKey { dst: dst_chosen.address, dst_port: dst_chosen.port, ..routed }
        }
    };
    let src_lookup = policy.source_nat(&compared, dst_chosen.address);
    let egress = firewall.address_of(routed.egress, dst_chosen.address);
    let given = Circumstances { client: key.src, like: dst_chosen.address, egress };
    let new_src =
        src_lookup.rule.map(|at| firewall.source_nat.rules[at].translation.apply(src, given));
    let src_chosen = new_src.flatten().map_or(src, |new| new.endpoint);

    let leaves = flow_as_it_leaves(&routed, src_chosen, dst_chosen);
    let is_open = |new: Option<Translated>| new.is_none_or(|new| new.port_is_allocated);
    OpenRoute {
        key: routed,
        destination_nat: dst_lookup.rule,
        source_nat: src_lookup.rule,
        translated: leaves.unwrap_or(FiveTuple {
            src: src_chosen.address,
            dst: dst_chosen.address,
            src_port: src_chosen.port,
            dst_port: dst_chosen.port,
            protocol: key.protocol,
        }),
        session_chooses: [new_dst, new_src].into_iter().flatten().any(is_open),
        doubtful_nat: doubtful(
            firewall,
            (dst_lookup, new_dst.flatten()),
            (src_lookup, new_src.flatten()),
            leaves.is_some(),
        ),
    }
}

/// The way of a packet that belongs to no connection, and that nothing translates therefore.
pub(crate) fn route_alone(policy: &CompiledPolicy, key: &PacketKey) -> OpenRoute {
    let firewall = policy.firewall();
    let arrived =
        PacketKey { from: key.from.or(key.ingress.and_then(|id| firewall.zone_of(id))), ..*key };
    let PacketKey { src, dst, src_port, dst_port, protocol, .. } = *key;
    OpenRoute {
        key: towards(firewall, arrived, dst),
        destination_nat: None,
        source_nat: None,
        translated: FiveTuple { src, dst, src_port, dst_port, protocol },
        session_chooses: false,
        doubtful_nat: None,
    }
}

/// What every filter layer together answers for a packet of a routed connection.
pub(crate) fn evaluate(
    policy: &CompiledPolicy,
    route: &OpenRoute,
    known: &Knowledge<'_>,
) -> Evaluation {
    evaluate_layers(policy, route, known, policy.firewall().layers.len())
}

/// What the layers answer that are asked before the packet's connection is looked up.
pub(crate) fn evaluate_before_sessions(
    policy: &CompiledPolicy,
    route: &OpenRoute,
    known: &Knowledge<'_>,
) -> Evaluation {
    let layers = &policy.firewall().layers;
    let first = layers.iter().take_while(|layer| layer.before_sessions).count();
    evaluate_layers(policy, route, known, first)
}

fn evaluate_layers(
    policy: &CompiledPolicy,
    route: &OpenRoute,
    known: &Knowledge<'_>,
    first: usize,
) -> Evaluation {
    let layers = policy.firewall().layers.iter().take(first).enumerate();
    let answers = layers.filter_map(|(index, layer)| {
        let mut seen = route.key;
        if layer.sees_dst == Sees::Translated {
            (seen.dst, seen.dst_port) = (route.translated.dst, route.translated.dst_port);
        }
        if layer.sees_src == Sees::Translated {
            (seen.src, seen.src_port) = (route.translated.src, route.translated.src_port);
        }
        policy.evaluate_layer(index, &seen, known)
    });
    answers.reduce(Evaluation::and).unwrap_or(ACCEPTED_WITHOUT_LAYERS)
}

/// The translation in doubt: one that perhaps matches, else the one chosen, when nobody can tell
/// what it makes of an address that a later stage compares, or no packet can leave so.
fn doubtful(
    firewall: &LinkedFirewall,
    dst: (NatLookup, Option<Translated>),
    src: (NatLookup, Option<Translated>),
    can_leave: bool,
) -> Option<Span> {
    let untold = |table: &LinkedNatTable, (lookup, new): (NatLookup, Option<Translated>)| {
        lookup.rule.filter(|_| new.is_none()).map(|at| table.rules[at].at)
    };
    let compares_src = || firewall.layers.iter().any(|layer| layer.sees_src == Sees::Translated);
    dst.0
        .doubtful
        .or_else(|| untold(&firewall.destination_nat, dst))
        .or(src.0.doubtful)
        .or_else(|| untold(&firewall.source_nat, src).filter(|_| compares_src()))
        .or_else(|| {
            let at = |table: &LinkedNatTable, rule: Option<usize>| Some(table.rules[rule?].at);
            let last = || at(&firewall.source_nat, src.0.rule);
            at(&firewall.destination_nat, dst.0.rule).or_else(last).filter(|_| !can_leave)
        })
}

fn towards(firewall: &LinkedFirewall, key: PacketKey, address: IpAddr) -> PacketKey {
    let egress = key.egress.or_else(|| firewall.route(key.ingress, address));
    PacketKey { egress, to: key.to.or(egress.and_then(|id| firewall.zone_of(id))), ..key }
}

/// A firewall without a filter layer accepts whatever reaches it (`docs/semantics.md`, "Layers").
const ACCEPTED_WITHOUT_LAYERS: Evaluation = Evaluation::certain(Hit {
    rule: None,
    at: Span { source: u16::MAX, start: 0, end: 0 },
    action: LinkedAction::Allow,
});
