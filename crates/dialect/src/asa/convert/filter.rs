//! Access lists become rule bases.

use std::collections::{BTreeSet, HashMap, HashSet};

use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    AddressMatch, At, Diagnostics, IcmpMatch, Match, Names, Rule, RuleBase, ServiceItem,
    ServiceTerm, Span,
};

use super::super::config::{
    AccessList, Ace, AceService, Config, Entry, IcmpType, IcmpTypes, Member, Ports, Protocols,
    ServiceSpec,
};
use super::super::definition::Definitions;
use super::group::Groups;

/// Turns access lists into rule bases, flattening each group once.
pub(super) struct Filter<'a, 't> {
    ports: Groups<'a, PortRange>,
    port_protocols: HashMap<&'a str, ProtocolSet>,
    protocols: Groups<'a, Protocol>,
    icmp: Groups<'a, IcmpType>,
    users: Groups<'a, String>,
    /// Time ranges that are not modelled.
    opaque_times: &'a BTreeSet<String>,
    definitions: &'a Definitions<'t>,
}

/// Ports of one side of an entry.
struct SidePorts {
    /// The protocols the ports are stated for.
    protocols: ProtocolSet,
    ports: PortSet,
    unknown: Vec<At<String>>,
}

impl<'a, 't> Filter<'a, 't> {
    pub(super) fn new(
        config: &'a Config,
        opaque_times: &'a BTreeSet<String>,
        definitions: &'a Definitions<'t>,
    ) -> Self {
        let port_protocols =
            config.port_groups.iter().map(|group| (group.ports.name.as_str(), group.protocols));
        Self {
            ports: Groups::new(config.port_groups.iter().map(|group| &group.ports)),
            port_protocols: port_protocols.collect(),
            protocols: Groups::new(&config.protocol_groups),
            icmp: Groups::new(&config.icmp_groups),
            users: Groups::new(&config.user_groups),
            opaque_times,
            definitions,
        }
    }

    /// The rule base of an access list. Rules are called by list and line number; as on the device,
    /// remarks count as lines. A remark describes the rule below it.
    pub(super) fn rule_base(&mut self, list: &AccessList, problems: &mut Diagnostics) -> RuleBase {
        let mut rules = Vec::new();
        let mut remarks: Vec<&str> = Vec::new();
        for (index, entry) in list.entries.iter().enumerate() {
            match entry {
                Entry::Remark(text) => remarks.push(text),
                Entry::Rule(ace) => {
                    let name = format!("{} line {}", list.name, index + 1);
                    let description = std::mem::take(&mut remarks).join(" ");
                    rules.push(Rule { name, description, ..self.rule(ace, problems) });
                }
            }
        }
        RuleBase { name: list.name.clone(), rules, default: None, at: list.at }
    }

    fn rule(&mut self, ace: &Ace, problems: &mut Diagnostics) -> Rule {
        let mut unknown = ace.atoms.clone();
        let mut schedule = None;
        if let Some(time) = &ace.time_range {
            if self.opaque_times.contains(&time.value) {
                let text = format!("time-range {}", time.value);
                unknown.push(At::new(self.definitions.qualified(text, &time.value), time.at));
            } else {
                schedule = Some(time.clone());
            }
        }
        let users = self.user_names(&ace.users, &mut unknown, problems);
        let side = |item: &At<_>| AddressMatch { items: vec![item.clone()], negated: false };
        let matches = Match {
            src: side(&ace.src),
            dst: side(&ace.dst),
            services: self.services(ace, problems),
            users,
            schedule,
            unknown,
            ..Match::default()
        };
        Rule {
            at: ace.at,
            disabled: ace.inactive,
            matches,
            action: ace.action.clone(),
            log: ace.log,
            ..Rule::default()
        }
    }

    fn user_names(
        &mut self,
        members: &[At<Member<String>>],
        unknown: &mut Vec<At<String>>,
        problems: &mut Diagnostics,
    ) -> Names {
        let mut names = Vec::new();
        for At { value, at } in members {
            match value {
                Member::Value(name) => names.push(At::new(name.clone(), *at)),
                Member::Unknown(text) => unknown.push(At::new(text.clone(), *at)),
                Member::Group(group) => {
                    let flat = self.users.flatten(&At::new(group.clone(), *at), problems);
                    names.extend(flat.values.iter().map(|name| At::new(name.clone(), *at)));
                    unknown.extend_from_slice(&flat.unknown);
                }
            }
        }
        if members.is_empty() { Names::Any } else { Names::OneOf(names) }
    }

    fn services(&mut self, ace: &Ace, problems: &mut Diagnostics) -> Vec<At<ServiceItem>> {
        match &ace.service {
            AceService::Object(name) => {
                vec![At::new(ServiceItem::Object(name.value.clone()), name.at)]
            }
            AceService::Spec(spec) => {
                let items = self.spec(spec, ace.at, problems);
                items.into_iter().map(|item| At::new(item, ace.at)).collect()
            }
        }
    }

    fn spec(
        &mut self,
        spec: &ServiceSpec,
        at: Span,
        problems: &mut Diagnostics,
    ) -> Vec<ServiceItem> {
        let mut items = Vec::new();
        let protocols = match &spec.protocols {
            Protocols::Any => return vec![ServiceItem::Any],
            Protocols::Of(set) => *set,
            Protocols::Group(name) => {
                let flat = self.protocols.flatten(name, problems);
                let texts = flat.unknown.iter().map(|text| text.value.clone());
                items.extend(texts.map(ServiceItem::Unknown));
                flat.values.iter().copied().collect()
            }
        };
        if let Some(name) = self.as_object(spec, protocols) {
            return vec![ServiceItem::Object(name)];
        }
        self.icmp_items(spec, protocols, &mut items, problems);
        if !matches!(spec.icmp, IcmpTypes::Any) {
            return items;
        }
        let src = self.side(&spec.src, at, problems);
        let dst = self.side(&spec.dst, at, problems);
        let unknown = src.unknown.iter().chain(&dst.unknown);
        items.extend(unknown.map(|text| ServiceItem::Unknown(text.value.clone())));
        let mut protocols = protocols.intersection(src.protocols).intersection(dst.protocols);
        if !(src.ports.is_all() && dst.ports.is_all()) {
            // Ports say nothing about protocols that have none.
            protocols = protocols.iter().filter(|protocol| protocol.has_ports()).collect();
        }
        let (src_ports, dst_ports) = (src.ports, dst.ports);
        if items.is_empty() || !(src_ports.is_empty() || dst_ports.is_empty()) {
            items.push(ServiceItem::Term(ServiceTerm {
                protocols,
                src_ports,
                dst_ports,
                icmp: None,
            }));
        }
        items
    }

    /// The group of ports that says everything about the service, so that reports can name it.
    fn as_object(&self, spec: &ServiceSpec, protocols: ProtocolSet) -> Option<String> {
        let Ports::Group(name) = &spec.dst else { return None };
        let stated = self.port_protocols.get(name.value.as_str())?;
        let plain = matches!(spec.src, Ports::Any) && *stated == protocols;
        plain.then(|| name.value.clone())
    }

    fn icmp_items(
        &mut self,
        spec: &ServiceSpec,
        protocols: ProtocolSet,
        items: &mut Vec<ServiceItem>,
        problems: &mut Diagnostics,
    ) {
        let term = |kind: IcmpType| {
            let icmp = Some(IcmpMatch::from(kind));
            ServiceItem::Term(ServiceTerm { icmp, ..ServiceTerm::protocols(protocols) })
        };
        match &spec.icmp {
            IcmpTypes::Any => {}
            IcmpTypes::Of(kind) => items.push(term(*kind)),
            IcmpTypes::Group(name) => {
                let flat = self.icmp.flatten(name, problems);
                items.extend(flat.values.iter().copied().map(term));
                let texts = flat.unknown.iter().map(|text| text.value.clone());
                items.extend(texts.map(ServiceItem::Unknown));
            }
        }
    }

    fn side(&mut self, ports: &Ports, at: Span, problems: &mut Diagnostics) -> SidePorts {
        let of = |ports| SidePorts { protocols: ProtocolSet::ALL, ports, unknown: Vec::new() };
        match ports {
            Ports::Any => of(PortSet::all()),
            Ports::Of(ports) => of(ports.clone()),
            Ports::Group(name) => {
                let Some(protocols) = self.port_protocols.get(name.value.as_str()).copied() else {
                    let message = "a group of services stands where only ports can";
                    problems.unsupported("not-understood", name.at, message);
                    let text = format!("ports of {}", name.value);
                    let text = self.definitions.qualified(text, &name.value);
                    return SidePorts { unknown: vec![At::new(text, at)], ..of(PortSet::none()) };
                };
                let flat = self.ports.flatten(name, problems);
                SidePorts {
                    protocols,
                    ports: flat.values.iter().copied().collect(),
                    unknown: flat.unknown.clone(),
                }
            }
        }
    }
}

/// Names of access lists that hold a rule.
pub(super) fn with_rules(config: &Config) -> HashSet<&str> {
    let holds = |list: &&AccessList| list.entries.iter().any(|it| matches!(it, Entry::Rule(_)));
    config.access_lists.iter().filter(holds).map(|list| list.name.as_str()).collect()
}
