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
use super::halves::{Arrival, Source, WayOut, meet};
use super::mapping::{self, Objects, Run};
use super::nat::{Rule, Service};
use super::reverse::{Cited, Refusals};
use super::route::Routes;

/// Why a rule is not modelled.
type Refused = &'static str;

/// Collects the rules of both tables.
pub(super) struct Translator<'a> {
    config: &'a Config,
    objects: &'a Objects<'a>,
    /// Service objects that hold one term, by name.
    services: HashMap<&'a str, &'a ServiceTerm>,
    routes: &'a Routes,
    /// The destination table, with what becomes of the sources of what it matches.
    pub(super) arrivals: Vec<Arrival>,
    /// Rules that translate the source alone.
    pub(super) src: Vec<NatRule>,
    /// What is refused on account of translations.
    pub(super) refusals: Refusals,
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
        (objects, routes): (&'a Objects<'a>, &'a Routes),
        problems: &'a mut Diagnostics,
    ) -> Self {
        let services = config.services.iter().filter_map(|object| match object.items.as_slice() {
            [At { value: ServiceItem::Term(term), .. }] => Some((object.name.as_str(), term)),
            _ => None,
        });
        let services = services.collect();
        Self {
            config,
            objects,
            services,
            routes,
            arrivals: Vec::new(),
            src: Vec::new(),
            refusals: Refusals::default(),
            problems,
        }
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
        let of = |matches: Match| Match { unknown: unknown.clone(), ..matches };
        if rule.kind == NatKind::Dynamic && rule.dst.is_none() {
            let matches = Match { dst: one(&rule.real), ..turned(rule, Match::default()) };
            self.refusals.perhaps_reverse(rule.cited(), text.clone(), matches);
        } else {
            let matches = of(Match::default());
            let rule_of_dst = nat_rule(rule, matches, Translation::Keep);
            self.arrivals.push(Arrival { rule: rule_of_dst, source: Source::Open });
            self.refusals.perhaps(rule.cited(), text.clone(), Match::default());
        }
        let matches = of(Match {
            ingress: names(rule.interfaces.real.as_ref()),
            egress: names(rule.interfaces.mapped.as_ref()),
            src: one(&rule.real),
            ..Match::default()
        });
        let to = vec![At::new(AddressItem::Unknown(text), rule.at)];
        let translation = Translation::Pool { to, port: PortTranslation::Keep };
        self.src.push(nat_rule(rule, matches, translation));
    }

    fn add_modelled(&mut self, rule: &Rule<'_>) -> Result<(), Refused> {
        let ports = self.ports(&rule.service)?;
        let peer = self.peer(rule)?;
        if rule.kind == NatKind::Dynamic {
            let (real, translation) = self.dynamic(rule)?;
            let base = outbound(rule, &ports, &real, &peer);
            let sources = vec![nat_rule(rule, base.clone(), translation)];
            self.add_forward(rule, &ports, (base, sources), &peer)?;
            self.add_reverse_path(rule, &ports, (&real, false), &peer);
            return Ok(());
        }
        let own = self.fixed(&rule.real, rule.mapped, rule.interfaces.mapped.as_ref())?;
        let base = outbound(rule, &ports, &own.real, &peer);
        let pairs = own.pairs_if(&ports.src);
        let sources = translated(rule, &base, Field::Src, &pairs, &ports.src)?;
        self.add_forward(rule, &ports, (base, sources), &peer)?;
        self.add_reverse_path(rule, &ports, (&own.real, pairs.is_empty()), &peer);
        if !rule.unidirectional {
            self.add_reverse(rule, &ports, &own, &peer)?;
        }
        Ok(())
    }

    /// Connections from the real side. Where the rule says something of their destination too, both
    /// halves hold together.
    fn add_forward(
        &mut self,
        rule: &Rule<'_>,
        ports: &Ports,
        (base, sources): (Match, Vec<NatRule>),
        peer: &Fixed,
    ) -> Result<(), Refused> {
        if rule.is_one_sided(ports) {
            self.src.extend(sources);
            return Ok(());
        }
        let pairs = swapped(peer.pairs_if(&ports.dst));
        let rules = translated(rule, &base, Field::Dst, &pairs, &ports.dst)?;
        self.add_earlier(rule, &base);
        self.arrive(rules, Source::Tied(sources));
        if rule.dst.is_some() && rule.diverts(peer) {
            self.add_way_out(rule, rule.interfaces.mapped.as_ref(), base, (&peer.real, true));
        }
        Ok(())
    }

    /// A packet that a rule above matches, which says nothing of its destination, is not asked
    /// about further (CLI guide, "NAT Rule Order").
    fn add_earlier(&mut self, rule: &Rule<'_>, base: &Match) {
        let real = self.objects.runs(&rule.real.value);
        let mut found = Vec::new();
        for earlier in &self.src {
            let runs = earlier.matches.src.items.iter().map(|item| self.objects.runs(&item.value));
            let runs: Option<Vec<Run>> = runs.collect::<Option<Vec<_>>>().map(|it| it.concat());
            let may_meet = runs.zip(real.as_ref()).is_none_or(|(runs, real)| {
                runs.iter().any(|run| real.iter().any(|other| run.overlaps(*other)))
            });
            if let Some(matches) = meet(base, &earlier.matches).filter(|_| may_meet) {
                let kept = NatRule { matches, ..earlier.clone() };
                let source = Source::Tied(vec![kept.clone()]);
                let rule = NatRule { translation: Translation::Keep, ..kept };
                found.push(Arrival { rule, source });
            }
        }
        self.arrivals.extend(found);
    }

    /// Rules of the destination table that together have one say about sources.
    fn arrive(&mut self, rules: Vec<NatRule>, source: Source) {
        let sources = std::iter::once(source).chain(std::iter::repeat_with(|| Source::AsBefore));
        let arrivals = rules.into_iter().zip(sources);
        self.arrivals.extend(arrivals.map(|(rule, source)| Arrival { rule, source }));
    }

    /// The device sends what it untranslates out of the interface the rule names (CLI guide,
    /// "Determining the Egress Interface"); here routes decide. Where these differ, nothing is
    /// known of what becomes of the packet.
    fn add_way_out(
        &mut self,
        rule: &Rule<'_>,
        interface: Option<&At<String>>,
        matches: Match,
        (real, is_tied): (&AddressMatch, bool),
    ) {
        let Some(interface) = interface.filter(|_| !rule.interfaces.route_lookup || is_tied) else {
            return;
        };
        let every = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let runs = real.items.iter().flat_map(|item| match &item.value {
            AddressItem::Any => every.map(Run::of).into(),
            item => self.objects.runs(item).unwrap_or_else(|| every.map(Run::of).into()),
        });
        if self.routes.lead_elsewhere(&runs.collect::<Vec<_>>(), &interface.value) {
            let text = format!("asa: packets leave by {}, not as routes say", interface.value);
            let egress = Names::NoneOf(vec![interface.clone()]);
            self.refusals.perhaps(rule.cited(), text, Match { egress, ..matches });
        }
    }

    /// Connections to the real side that nothing translated, by what their reverse flow meets.
    fn add_reverse_path(
        &mut self,
        rule: &Rule<'_>,
        ports: &Ports,
        (real, keeps): (&AddressMatch, bool),
        peer: &Fixed,
    ) {
        let (src_ports, dst_ports) = (&ports.mapped.dst_ports, &ports.real.src_ports);
        let (src_ports, dst_ports) = (src_ports.clone(), dst_ports.clone());
        let term = ServiceTerm { src_ports, dst_ports, ..ports.real.clone() };
        let (src, dst) = (peer.real.clone(), real.clone());
        let services = service(rule, term);
        let matches = turned(rule, Match { src, dst, services, ..Match::default() });
        match (keeps, rule.unidirectional) {
            (true, false) => self.refusals.keep(rule.cited(), matches),
            (true, true) => {
                let text = format!("asa: reverse path of {}", rule.name);
                self.refusals.perhaps_reverse(rule.cited(), text, matches);
            }
            (false, _) => self.refusals.refuse(rule.cited(), matches),
        }
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
        let src_ports = ports.mapped.dst_ports.clone();
        let dst_ports = ports.mapped.src_ports.clone();
        let services = service(rule, ServiceTerm { src_ports, dst_ports, ..ports.mapped.clone() });
        let real = rule.interfaces.real.as_ref();
        let base = Match {
            ingress: names(rule.interfaces.mapped.as_ref()),
            egress: if rule.diverts(own) { Names::Any } else { names(real) },
            src: peer.real.clone(),
            dst: own.shown(),
            services,
            ..Match::default()
        };
        let port = reversed(&ports.src);
        let pairs = swapped(own.pairs_if(&port));
        let rules = translated(rule, &base, Field::Dst, &pairs, &port)?;
        let is_tied = !rule.is_one_sided(ports);
        if is_tied {
            let port = reversed(&ports.dst);
            let pairs = peer.pairs_if(&port);
            let sources = translated(rule, &base, Field::Src, &pairs, &port)?;
            self.arrive(rules, Source::Tied(sources));
        } else {
            self.arrive_alone(rule, rules, own, &base);
        }
        if rule.diverts(own) {
            self.add_way_out(rule, real, base, (&own.real, is_tied));
        }
        Ok(())
    }

    /// Rules that translate the destination alone.
    fn arrive_alone(&mut self, rule: &Rule<'_>, rules: Vec<NatRule>, own: &Fixed, base: &Match) {
        let named = rule.interfaces.real.as_ref().filter(|_| !rule.interfaces.route_lookup);
        let by = |name: &str| WayOut::By(name.to_owned());
        let way_to = |real: &[Run]| match named {
            Some(name) => WayOut::By(name.value.clone()),
            None => self.routes.way_out(real).map_or(WayOut::Unknown, by),
        };
        let keeps = |it: &NatRule| it.translation == Translation::Keep;
        if named.is_none() && rules.iter().all(keeps) {
            self.arrive(rules, Source::Other(WayOut::AsArrived, Box::new(base.clone())));
            return;
        }
        let reals: Vec<Run> = own.pairs.iter().map(|(real, _)| Run::of(*real)).collect();
        match way_to(&reals) {
            WayOut::Unknown => {
                let ways: Vec<WayOut> = reals.iter().map(|real| way_to(&[*real])).collect();
                let arrivals = rules.into_iter().zip(ways).map(|(rule, way)| {
                    let source = Source::Other(way, Box::new(rule.matches.clone()));
                    Arrival { rule, source }
                });
                self.arrivals.extend(arrivals);
            }
            way => self.arrive(rules, Source::Other(way, Box::new(base.clone()))),
        }
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

    /// The addresses as the other side sees them.
    fn shown(&self) -> AddressMatch {
        if self.identity || self.pairs.is_empty() {
            return self.real.clone();
        }
        let at = self.real.items.first().map(|item| item.at).unwrap_or_default();
        let item = |(_, mapped): &(IpNet, IpNet)| At::new(AddressItem::Network(*mapped), at);
        AddressMatch { items: self.pairs.iter().map(item).collect(), negated: false }
    }
}

/// Every address, as it is.
fn everything(real: AddressMatch) -> Fixed {
    let (v4, v6) = (IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default()));
    Fixed { real, pairs: vec![(v4, v4), (v6, v6)], identity: true }
}

impl Rule<'_> {
    /// Whether the rule says nothing of the other end.
    fn is_one_sided(&self, ports: &Ports) -> bool {
        self.dst.is_none() && matches!(ports.dst, PortTranslation::Keep)
    }

    /// Whether the rule decides where packets leave that are addressed to `end`: identity NAT can
    /// leave that to routes (CLI guide, "Determining the Egress Interface").
    const fn diverts(&self, end: &Fixed) -> bool {
        !(end.identity && self.interfaces.route_lookup)
    }

    fn cited(&self) -> Cited<'_> {
        Cited { name: &self.name, at: self.at, disabled: self.inactive }
    }
}

/// Connections from the real side, as they arrive.
fn outbound(rule: &Rule<'_>, ports: &Ports, real: &AddressMatch, peer: &Fixed) -> Match {
    let diverts = rule.dst.is_some() && rule.diverts(peer);
    let mapped = rule.interfaces.mapped.as_ref();
    Match {
        ingress: names(rule.interfaces.real.as_ref()),
        egress: if diverts { Names::Any } else { names(mapped) },
        src: real.clone(),
        dst: peer.shown(),
        services: service(rule, ports.real.clone()),
        ..Match::default()
    }
}

/// What is matched from the mapped to the real side.
fn turned(rule: &Rule<'_>, matches: Match) -> Match {
    let (real, mapped) = (rule.interfaces.real.as_ref(), rule.interfaces.mapped.as_ref());
    Match { ingress: names(mapped), egress: names(real), ..matches }
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
