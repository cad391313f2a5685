//! One `nat` rule → rules of the destination and of the source table.

use std::collections::HashMap;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parefeu_net::PortRange;
use parefeu_policy::set::PortSet;
use parefeu_policy::{
    AddressItem, AddressMatch, At, Diagnostics, Match, Names, NatRule, PortTranslation,
    ServiceItem, ServiceTerm, Translation,
};

use super::super::config::{Config, Mapped, NatKind, any_term};
use super::mapping::{self, Objects, Run};
use super::nat::{Rule, Service};

/// Why a rule is not modelled.
type Refused = &'static str;

/// Collects the rules of both tables.
pub(super) struct Translator<'a> {
    config: &'a Config,
    objects: &'a Objects<'a>,
    /// Service objects that hold one term, by name.
    services: HashMap<&'a str, &'a ServiceTerm>,
    /// The destination table.
    pub(super) dst: Vec<NatRule>,
    /// The source table.
    pub(super) src: Vec<NatRule>,
    problems: &'a mut Diagnostics,
}

/// Addresses of one side of a static rule.
struct Fixed {
    real: AddressMatch,
    /// Real and mapped prefixes.
    pairs: Vec<(IpNet, IpNet)>,
    /// Whether every address stays what it is.
    identity: bool,
}

/// Protocol and ports as on the real and as on the mapped side, and how the first become the
/// second.
struct Ports {
    real: ServiceTerm,
    mapped: ServiceTerm,
    src: PortTranslation,
    dst: PortTranslation,
}

/// The address a table translates.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Field {
    Src,
    Dst,
}

impl<'a> Translator<'a> {
    pub(super) fn new(
        config: &'a Config,
        objects: &'a Objects<'a>,
        problems: &'a mut Diagnostics,
    ) -> Self {
        let services = config.services.iter().filter_map(|object| match object.items.as_slice() {
            [At { value: ServiceItem::Term(term), .. }] => Some((object.name.as_str(), term)),
            _ => None,
        });
        let services = services.collect();
        Self { config, objects, services, dst: Vec::new(), src: Vec::new(), problems }
    }

    /// Adds what a rule translates. What is not modelled is reported, and kept as a rule that
    /// matches perhaps.
    pub(super) fn add(&mut self, rule: &Rule<'_>) {
        if let Some(text) = rule.unknown {
            self.add_unknown(rule, text.to_owned());
            return;
        }
        if rule.fallback {
            let message = "what sessions get once the pool is used up is not modelled";
            self.problems.unsupported("not-modelled", rule.at, message);
        }
        if let Err(message) = self.add_modelled(rule) {
            self.problems.unsupported("not-modelled", rule.at, message);
            self.problems.help("the translation is kept as one that matches perhaps");
            let said = self.config.nat_atoms.get(&rule.at.start).cloned();
            self.add_unknown(rule, said.unwrap_or_else(|| format!("asa: {}", rule.name)));
        }
    }

    fn add_unknown(&mut self, rule: &Rule<'_>, text: String) {
        let unknown = vec![At::new(text.clone(), rule.at)];
        let src = one(&rule.real);
        let matches = Match { unknown: unknown.clone(), ..Match::default() };
        self.dst.push(nat_rule(rule, matches, Translation::Keep));
        let matches = Match { unknown, src, ..Match::default() };
        // What the line makes of a source is a matter of what it says.
        let to = vec![At::new(AddressItem::Unknown(text), rule.at)];
        let translation = Translation::Pool { to, port: PortTranslation::Keep };
        self.src.push(nat_rule(rule, matches, translation));
    }

    fn add_modelled(&mut self, rule: &Rule<'_>) -> Result<(), Refused> {
        let ports = self.ports(&rule.service)?;
        let peer = self.peer(rule)?;
        if rule.kind == NatKind::Dynamic {
            let (real, translation) = self.dynamic(rule)?;
            self.add_forward_dst(rule, &ports, &real, &peer)?;
            let matches = outbound(rule, &ports, &real, &peer);
            self.src.push(nat_rule(rule, matches, translation));
            return Ok(());
        }
        let own = self.fixed(&rule.real, rule.mapped, rule.interfaces.mapped.as_ref())?;
        self.add_forward_dst(rule, &ports, &own.real, &peer)?;
        let base = outbound(rule, &ports, &own.real, &peer);
        let new = translated(rule, &base, Field::Src, &own.pairs_if(&ports.src), &ports.src)?;
        self.src.extend(new);
        if !rule.unidirectional {
            self.add_reverse(rule, &ports, &own, &peer)?;
        }
        Ok(())
    }

    /// Connections from the real side, whose destination is shown under another address or port.
    fn add_forward_dst(
        &mut self,
        rule: &Rule<'_>,
        ports: &Ports,
        real: &AddressMatch,
        peer: &Fixed,
    ) -> Result<(), Refused> {
        if rule.dst.is_none() && matches!(ports.dst, PortTranslation::Keep) {
            return Ok(());
        }
        let base = Match {
            ingress: names(rule.interfaces.real.as_ref()),
            src: real.clone(),
            dst: peer.real.clone(),
            services: service(rule, ports.real.clone()),
            ..Match::default()
        };
        let pairs = swapped(peer.pairs_if(&ports.dst));
        let new = translated(rule, &base, Field::Dst, &pairs, &ports.dst)?;
        self.dst.extend(new);
        Ok(())
    }

    /// Connections from the mapped side of a static rule: their destination is the mapped source,
    /// and their source the real destination.
    fn add_reverse(
        &mut self,
        rule: &Rule<'_>,
        ports: &Ports,
        own: &Fixed,
        peer: &Fixed,
    ) -> Result<(), Refused> {
        let turned = |dst_ports: &PortSet| {
            let (src_ports, dst_ports) = (ports.mapped.dst_ports.clone(), dst_ports.clone());
            service(rule, ServiceTerm { src_ports, dst_ports, ..ports.mapped.clone() })
        };
        let base = Match {
            ingress: names(rule.interfaces.mapped.as_ref()),
            src: peer.real.clone(),
            dst: own.real.clone(),
            services: turned(&ports.mapped.src_ports),
            ..Match::default()
        };
        let port = reversed(&ports.src);
        let pairs = swapped(own.pairs_if(&port));
        let new = translated(rule, &base, Field::Dst, &pairs, &port)?;
        self.dst.extend(new);
        if rule.dst.is_none() && matches!(ports.dst, PortTranslation::Keep) {
            return Ok(());
        }
        let base = Match {
            egress: names(rule.interfaces.real.as_ref()),
            services: turned(&ports.real.src_ports),
            ..base
        };
        let port = reversed(&ports.dst);
        let new = translated(rule, &base, Field::Src, &peer.pairs_if(&port), &port)?;
        self.src.extend(new);
        Ok(())
    }

    /// The other end of the connection; any address without a `destination`.
    fn peer(&self, rule: &Rule<'_>) -> Result<Fixed, Refused> {
        match rule.dst {
            // `destination static interface` is the address of the interface it arrives by.
            Some((mapped, real)) => self.fixed(real, mapped, rule.interfaces.real.as_ref()),
            None => Ok(everything(AddressMatch::any())),
        }
    }

    fn fixed(
        &self,
        real: &At<AddressItem>,
        mapped: &Mapped,
        interface: Option<&At<String>>,
    ) -> Result<Fixed, Refused> {
        let matched = one(real);
        let same = matches!(mapped, Mapped::To(to) if to.value == real.value);
        let Some(runs) = self.objects.runs(&real.value) else {
            let any = matches!(real.value, AddressItem::Any);
            return match (same, any) {
                (true, true) => Ok(everything(matched)),
                (true, false) => Ok(Fixed { real: matched, pairs: Vec::new(), identity: true }),
                _ => Err("the addresses of the real side are not known"),
            };
        };
        let to = match mapped {
            Mapped::PatPool(_) => return Err("a static rule has no pool"),
            Mapped::Interface => vec![self.interface_address(interface, &runs)?],
            Mapped::To(At { value: AddressItem::Network(network), .. })
                if network.prefix_len() == network.max_prefix_len() =>
            {
                let to = mapping::inline(network.addr(), &runs);
                to.ok_or("the mapped addresses cannot be told from one address")?
            }
            Mapped::To(item) => {
                let to = self.objects.runs(&item.value);
                to.ok_or("the addresses of the mapped side are not known")?
            }
        };
        let identity = same || to == runs;
        let pairs = mapping::pairs(&runs, &to).ok_or(
            "real and mapped addresses differ in number or family, or pair off too finely",
        )?;
        Ok(Fixed { real: matched, pairs, identity })
    }

    /// The address of an interface, in the family of the real addresses.
    fn interface_address(
        &self,
        interface: Option<&At<String>>,
        real: &[Run],
    ) -> Result<Run, Refused> {
        let v6 = real.first().is_some_and(|run| run.is_v6());
        let name = interface.ok_or("`interface` needs an interface with a name")?;
        let block =
            self.config.interfaces.iter().find(|block| {
                block.nameif.as_ref().is_some_and(|nameif| nameif.value == name.value)
            });
        let mut addresses = block.into_iter().flat_map(|block| &block.addresses);
        let address = addresses.find(|network| network.addr().is_ipv6() == v6);
        let address = address.ok_or("the address of the interface is not known")?;
        Ok(Run::of(IpNet::from(address.addr())))
    }

    /// Which addresses a dynamic rule hides, and behind what.
    fn dynamic(&self, rule: &Rule<'_>) -> Result<(AddressMatch, Translation), Refused> {
        let (item, shared) = match rule.mapped {
            Mapped::Interface if rule.interfaces.mapped.is_some() => {
                return Ok((self.family(rule, false)?, Translation::EgressInterface));
            }
            Mapped::Interface => return Err("`interface` needs an interface with a name"),
            Mapped::PatPool(item) => (item, true),
            Mapped::To(item) => (item, false),
        };
        let runs = self.objects.runs(&item.value);
        let runs = runs.ok_or("the addresses of the pool are not known")?;
        let v6 = runs.first().is_some_and(|run| run.is_v6());
        let hosts = runs.iter().filter(|run| mapping::count(&[**run]) == 1).count();
        if runs.iter().any(|run| run.is_v6() != v6) || (hosts > 0 && hosts < runs.len() && !shared)
        {
            return Err(
                "a pool that mixes families, or shared addresses with others, is not modelled",
            );
        }
        // Single addresses are shared by port; ranges and networks are handed out one to one.
        let port = if shared || hosts > 0 {
            let ports = PortRange::new(FIRST_SHARED_PORT, u16::MAX);
            PortTranslation::Allocate(ports.map_or_else(|_| PortSet::all(), PortSet::from))
        } else {
            PortTranslation::Keep
        };
        Ok((self.family(rule, v6)?, Translation::Pool { to: vec![item.clone()], port }))
    }

    /// The real side of a dynamic rule, held to the family of what hides it.
    fn family(&self, rule: &Rule<'_>, v6: bool) -> Result<AddressMatch, Refused> {
        if matches!(rule.real.value, AddressItem::Any) {
            let item = if v6 { AddressItem::AnyV6 } else { AddressItem::AnyV4 };
            return Ok(AddressMatch::one(item, rule.real.at));
        }
        match self.objects.runs(&rule.real.value) {
            Some(runs) if runs.iter().any(|run| run.is_v6() != v6) => {
                Err("translation from one family to the other is not modelled")
            }
            _ => Ok(one(&rule.real)),
        }
    }

    fn ports(&self, service: &Service<'_>) -> Result<Ports, Refused> {
        let (real, mapped) = match service {
            Service::Any => (any_term(), any_term()),
            Service::Source(real, mapped) => (real.clone(), mapped.clone()),
            Service::Named(real, mapped) => {
                let term = |name: &At<String>| {
                    let found = self.services.get(name.value.as_str());
                    found.ok_or("the service is no object of one protocol").map(|it| (*it).clone())
                };
                (term(real)?, term(mapped)?)
            }
        };
        if real.protocols != mapped.protocols {
            return Err("the two services differ in protocol");
        }
        let src = shift(&real.src_ports, &mapped.src_ports)?;
        let dst = shift(&real.dst_ports, &mapped.dst_ports)?;
        Ok(Ports { real, mapped, src, dst })
    }
}

/// Shared addresses hand out unprivileged ports (CLI guide, "Dynamic PAT").
const FIRST_SHARED_PORT: u16 = 1024;

impl Fixed {
    /// The pairs, or none where nothing changes: then the rule only ends the lookup.
    fn pairs_if(&self, port: &PortTranslation) -> Vec<(IpNet, IpNet)> {
        if self.identity && matches!(port, PortTranslation::Keep) {
            return Vec::new();
        }
        self.pairs.clone()
    }
}

/// Every address, as it is.
fn everything(real: AddressMatch) -> Fixed {
    let (v4, v6) = (IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default()));
    Fixed { real, pairs: vec![(v4, v4), (v6, v6)], identity: true }
}

/// Connections from the real side, seen with their real destination.
fn outbound(rule: &Rule<'_>, ports: &Ports, real: &AddressMatch, peer: &Fixed) -> Match {
    let dst_ports = ports.mapped.dst_ports.clone();
    Match {
        ingress: names(rule.interfaces.real.as_ref()),
        egress: names(rule.interfaces.mapped.as_ref()),
        src: real.clone(),
        dst: peer.real.clone(),
        services: service(rule, ServiceTerm { dst_ports, ..ports.real.clone() }),
        ..Match::default()
    }
}

/// One rule for each pair of prefixes; without pairs, one that keeps addresses and ports.
fn translated(
    rule: &Rule<'_>,
    base: &Match,
    field: Field,
    pairs: &[(IpNet, IpNet)],
    port: &PortTranslation,
) -> Result<Vec<NatRule>, Refused> {
    if pairs.is_empty() {
        return match port {
            PortTranslation::Keep => Ok(vec![nat_rule(rule, base.clone(), Translation::Keep)]),
            _ => Err("ports of addresses that are not known are not translated"),
        };
    }
    let rules = pairs.iter().map(|&(from, to)| {
        let matched = AddressMatch::one(AddressItem::Network(from), rule.at);
        let matches = match field {
            Field::Src => Match { src: matched, ..base.clone() },
            Field::Dst => Match { dst: matched, ..base.clone() },
        };
        nat_rule(rule, matches, Translation::Prefix { to, port: port.clone() })
    });
    Ok(rules.collect())
}

fn nat_rule(rule: &Rule<'_>, matches: Match, translation: Translation) -> NatRule {
    let (name, at, disabled) = (rule.name.clone(), rule.at, rule.inactive);
    NatRule { name, at, disabled, matches, translation }
}

fn swapped(pairs: Vec<(IpNet, IpNet)>) -> Vec<(IpNet, IpNet)> {
    pairs.into_iter().map(|(real, mapped)| (mapped, real)).collect()
}

fn reversed(port: &PortTranslation) -> PortTranslation {
    match port {
        PortTranslation::Shift { from, to } => PortTranslation::Shift { from: *to, to: *from },
        other => other.clone(),
    }
}

fn shift(from: &PortSet, to: &PortSet) -> Result<PortTranslation, Refused> {
    if from == to {
        return Ok(PortTranslation::Keep);
    }
    match (from.ranges(), to.ranges()) {
        ([a], [b]) if a.last() - a.first() == b.last() - b.first() => {
            Ok(PortTranslation::Shift { from: a.first(), to: b.first() })
        }
        _ => Err("ports that differ in number are not translated"),
    }
}

fn names(name: Option<&At<String>>) -> Names {
    name.map_or(Names::Any, |name| Names::OneOf(vec![name.clone()]))
}

fn one(item: &At<AddressItem>) -> AddressMatch {
    AddressMatch { items: vec![item.clone()], negated: false }
}

fn service(rule: &Rule<'_>, term: ServiceTerm) -> Vec<At<ServiceItem>> {
    let item = if term == any_term() { ServiceItem::Any } else { ServiceItem::Term(term) };
    vec![At::new(item, rule.at)]
}
