//! `nat` rules become the two translation tables.
//!
//! Cisco ASA firewall CLI guide, "NAT Rule Order": twice NAT in the order written (section 1),
//! object NAT in an order of its own (section 2), twice NAT after it (section 3); first match wins.
//! A static rule works both ways: it gives the destination table a rule for connections from the
//! mapped side. The device picks the egress interface of a translated packet from the rule; here
//! the route to the real address does, and where the two differ the answer is not known.

use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{AddressItem, At, Diagnostics, Firewall, NatTable, Sees, ServiceTerm, Span};

use super::super::config::{Config, InterfacePair, ManualNat, Mapped, NatKind, ObjectNat, Section};
use super::halves;
use super::mapping::{self, Objects};
use super::route::Routes;
use super::translate::Translator;

/// Adds both tables.
pub(super) fn tables(config: &Config, firewall: &mut Firewall, problems: &mut Diagnostics) {
    let objects = Objects::new(&config.addresses);
    let routes = Routes::new(firewall);
    let (before, after) = (
        section(config, Section::BeforeObjects, problems),
        section(config, Section::AfterObjects, problems),
    );
    let mut tables = Translator::new(config, (&objects, &routes), problems);
    for (index, nat) in before.into_iter().enumerate() {
        tables.add(&Rule::manual(nat, format!("nat {}", index + 1)));
    }
    for nat in by_automatic_order(&config.object_nat, &objects) {
        tables.add(&Rule::object(nat));
    }
    for (index, nat) in after.into_iter().enumerate() {
        tables.add(&Rule::manual(nat, format!("nat after-auto {}", index + 1)));
    }
    let Translator { arrivals, src, refusals, .. } = tables;
    let Some(sources) = halves::sources(&arrivals, src) else {
        let at = config.manual_nat.first().map(|nat| nat.at);
        let at = at.or(config.object_nat.first().map(|nat| nat.at)).unwrap_or_default();
        let message = "rules that translate one packet together are too many";
        problems.error("too-many-translations", at, message);
        return;
    };
    refusals.apply(&arrivals, firewall);
    let rules = arrivals.into_iter().map(|arrival| arrival.rule).collect();
    firewall.destination_nat = NatTable { rules, sees: Sees::Original };
    firewall.source_nat = NatTable { rules: sources, sees: Sees::Original };
}

/// A section takes this many rules that ask for a place before others; each moves what follows.
const MAX_INSERTIONS: usize = 1_000;

/// Twice NAT of one section, in order.
fn section<'a>(
    config: &'a Config,
    wanted_section: Section,
    problems: &mut Diagnostics,
) -> Vec<&'a ManualNat> {
    let mut rules = Vec::new();
    let mut insertions = 0;
    for nat in config.manual_nat.iter().filter(|nat| nat.section == wanted_section) {
        let wanted = nat.position.map_or(usize::MAX, |place| (place as usize).saturating_sub(1));
        if wanted >= rules.len() {
            rules.push(nat);
        } else if insertions < MAX_INSERTIONS {
            insertions += 1;
            rules.insert(wanted, nat);
        } else {
            let message = format!("more than {MAX_INSERTIONS} rules are inserted before others");
            problems.error("too-many-insertions", nat.at, message);
        }
    }
    rules
}

/// Object NAT in the device's order: static before dynamic, then fewer real addresses, then the
/// lowest address, then the name of the object.
fn by_automatic_order<'a>(rules: &'a [ObjectNat], objects: &Objects<'_>) -> Vec<&'a ObjectNat> {
    let mut keyed: Vec<_> = rules
        .iter()
        .map(|nat| {
            let runs = objects.runs(&AddressItem::Object(nat.object.clone())).unwrap_or_default();
            let first = runs.iter().map(|run| (run.is_v6(), run.first())).min();
            ((nat.kind, mapping::count(&runs), first, nat.object.as_str()), nat)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, nat)| nat).collect()
}

/// A rule of any section.
pub(super) struct Rule<'a> {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) interfaces: &'a InterfacePair,
    pub(super) kind: NatKind,
    pub(super) real: At<AddressItem>,
    pub(super) mapped: &'a Mapped,
    pub(super) fallback: bool,
    pub(super) dst: Option<&'a (Mapped, At<AddressItem>)>,
    pub(super) service: Service<'a>,
    pub(super) unidirectional: bool,
    pub(super) inactive: bool,
    pub(super) unknown: Option<&'a str>,
}

/// What a rule says about protocol and ports.
pub(super) enum Service<'a> {
    Any,
    /// Of the source of an object: real and mapped port.
    Source(ServiceTerm, ServiceTerm),
    /// Named objects: as on the real and as on the mapped side.
    Named(&'a At<String>, &'a At<String>),
}

impl<'a> Rule<'a> {
    fn manual(nat: &'a ManualNat, name: String) -> Self {
        Self {
            name,
            at: nat.at,
            interfaces: &nat.interfaces,
            kind: nat.kind,
            real: nat.real_src.clone(),
            mapped: &nat.mapped_src,
            fallback: nat.fallback,
            dst: nat.dst.as_ref(),
            service: match &nat.service {
                None => Service::Any,
                Some((real, mapped)) => Service::Named(real, mapped),
            },
            unidirectional: nat.unidirectional,
            inactive: nat.inactive,
            unknown: nat.unknown.as_deref(),
        }
    }

    fn object(nat: &'a ObjectNat) -> Self {
        let service = nat.service.map_or(Service::Any, |(protocol, real, mapped)| {
            let term = |port| ServiceTerm {
                src_ports: PortSet::single(port),
                ..ServiceTerm::protocols(ProtocolSet::single(protocol))
            };
            Service::Source(term(real), term(mapped))
        });
        Self {
            name: format!("object {}", nat.object),
            at: nat.at,
            interfaces: &nat.interfaces,
            kind: nat.kind,
            real: At::new(AddressItem::Object(nat.object.clone()), nat.at),
            mapped: &nat.mapped,
            fallback: nat.fallback,
            dst: None,
            service,
            unidirectional: false,
            inactive: false,
            unknown: None,
        }
    }
}
