//! A firewall whose names are resolved: what the reference evaluation reads and lookups compile.
//!
//! A [`LinkedFirewall`] is valid by construction: every identifier names something, jumps form no
//! cycle and nest no deeper than the limit, and sets are in normal form.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use parefeu_net::{MacAddress, PortRange, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{IcmpMatch, Profile, ResetSide, Sees, StateSet, TcpFlagMatch, ZoneRelation};
use crate::nat::EmbeddingPrefix;
use crate::set::{AddressSet, IdSet, PortSet, ProtocolSet};
use crate::{At, Behaviour, RouteTable, Sources, Span, UrlPattern};

/// Declares a typed index.
macro_rules! ids {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub struct $name(pub u32);

        impl $name {
            /// The identifier as an index.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    )+};
}

ids! {
    /// Index into [`LinkedFirewall::zones`].
    ZoneId,
    /// Index into [`LinkedFirewall::interfaces`].
    InterfaceId,
    /// Index into [`LinkedFirewall::rules`].
    RuleId,
    /// Index into [`LinkedFirewall::rule_bases`].
    RuleBaseId,
    /// Index into [`LinkedFirewall::applications`]: a name identification can give.
    ApplicationId,
    /// Index into [`LinkedFirewall::url_categories`].
    CategoryId,
    /// Index into [`LinkedFirewall::users`].
    UserId,
    /// Index into [`LinkedFirewall::atoms`].
    AtomId,
    /// Index into [`LinkedFirewall::schedules`].
    ScheduleId,
}

/// A firewall ready to be evaluated.
#[derive(Clone, Debug)]
pub struct LinkedFirewall {
    /// The device's name.
    pub name: Box<str>,
    /// The dialect it was read from.
    pub dialect: &'static str,
    /// The texts spans point into.
    pub sources: Sources,
    /// Zone names.
    pub zones: Vec<Box<str>>,
    /// Interfaces.
    pub interfaces: Vec<LinkedInterface>,
    /// Routing tables by name; the first is the default one.
    pub routes: RouteTable,
    /// Names identification can give, as far as rules mention them.
    pub applications: Vec<LinkedApplication>,
    /// Every application name a configuration or a question may use, with what identification calls
    /// it.
    pub application_names: BTreeMap<Box<str>, Vec<ApplicationId>>,
    /// URL categories rules mention.
    pub url_categories: Vec<LinkedCategory>,
    /// Users and groups rules mention.
    pub users: Vec<Box<str>>,
    /// Schedules rules mention.
    pub schedules: Vec<LinkedSchedule>,
    /// Security profiles, as far as what they do is known.
    pub profiles: Vec<Profile>,
    /// What has no value at analysis time.
    pub atoms: Vec<Atom>,
    /// The rules of every rule base, one after the other.
    pub rules: Vec<LinkedRule>,
    /// Rule bases, each a range of [`LinkedFirewall::rules`].
    pub rule_bases: Vec<LinkedRuleBase>,
    /// Filter layers in order; every one must accept.
    pub layers: Vec<LinkedLayer>,
    /// Destination translation.
    pub destination_nat: LinkedNatTable,
    /// Source translation.
    pub source_nat: LinkedNatTable,
    /// Timers and state policy.
    pub behaviour: Behaviour,
    /// What the text says of packets to and from the firewall itself, which are not judged.
    pub own_traffic: Vec<At<String>>,
}

impl LinkedFirewall {
    /// The rules of a rule base.
    pub fn rules_of(&self, rule_base: RuleBaseId) -> &[LinkedRule] {
        let LinkedRuleBase { first, count, .. } = self.rule_bases[rule_base.index()];
        &self.rules[first.index()..first.index() + count as usize]
    }

    /// A rule.
    pub fn rule(&self, id: RuleId) -> &LinkedRule {
        &self.rules[id.index()]
    }

    /// The rule base a rule stands in. `O(rule bases)`.
    pub fn rule_base_of(&self, id: RuleId) -> Option<&LinkedRuleBase> {
        self.rule_bases.iter().find(|rb| id >= rb.first && id.0 < rb.first.0 + rb.count)
    }

    /// The line a rule starts on, from 1; 0 for a rule without text.
    pub fn line_of(&self, id: RuleId) -> u32 {
        self.sources.line_number(self.rule(id).at)
    }

    /// The interface called `name`, by name or alias.
    pub fn interface_named(&self, name: &str) -> Option<InterfaceId> {
        let named = |interface: &LinkedInterface| {
            &*interface.name == name || interface.aliases.iter().any(|alias| &**alias == name)
        };
        self.interfaces.iter().position(named).map(|at| InterfaceId(at as u32))
    }

    /// The zone called `name`.
    pub fn zone_named(&self, name: &str) -> Option<ZoneId> {
        self.zones.iter().position(|zone| &**zone == name).map(|at| ZoneId(at as u32))
    }

    /// The rule base called `name`.
    pub fn rule_base_named(&self, name: &str) -> Option<RuleBaseId> {
        let at = self.rule_bases.iter().position(|rb| &*rb.name == name)?;
        Some(RuleBaseId(at as u32))
    }

    /// The zone of an interface.
    pub fn zone_of(&self, interface: InterfaceId) -> Option<ZoneId> {
        self.interfaces.get(interface.index())?.zone
    }

    /// The interface's own address of the family of `like`.
    pub fn address_of(&self, interface: Option<InterfaceId>, like: IpAddr) -> Option<IpAddr> {
        let addresses = &self.interfaces.get(interface?.index())?.addresses;
        addresses.iter().map(IpNet::addr).find(|own| own.is_ipv4() == like.is_ipv4())
    }

    /// The interface a packet to `address` leaves by when it entered by `ingress`.
    pub fn route(&self, ingress: Option<InterfaceId>, address: IpAddr) -> Option<InterfaceId> {
        let router = ingress.and_then(|id| self.interfaces.get(id.index())).map_or(0, |i| i.router);
        self.routes.lookup(router, address)
    }

    /// The interface a packet from `address` is expected to enter by: connected networks, then
    /// routes, of every routing table in order.
    pub fn interface_towards(&self, address: IpAddr) -> Option<InterfaceId> {
        self.routes.lookup_any(address)
    }
}

/// An interface.
#[derive(Clone, Debug)]
pub struct LinkedInterface {
    /// The name rules use.
    pub name: Box<str>,
    /// Other names of it.
    pub aliases: Vec<Box<str>>,
    /// Its zone.
    pub zone: Option<ZoneId>,
    /// Its own addresses with their prefix lengths.
    pub addresses: Vec<IpNet>,
    /// VLAN identifier of a sub-interface.
    pub vlan: Option<u16>,
    /// Its routing table in [`LinkedFirewall::routes`].
    pub router: u32,
}

/// A name identification can give.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkedApplication {
    /// The name.
    pub name: Box<str>,
    /// The ports `application-default` allows for it.
    pub default_services: Vec<LinkedService>,
}

/// A URL category.
#[derive(Clone, Debug)]
pub struct LinkedCategory {
    /// The name.
    pub name: Box<str>,
    /// Its patterns; `None` for a category only the vendor can tell.
    pub patterns: Option<Vec<UrlPattern>>,
}

/// A schedule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkedSchedule {
    /// The name.
    pub name: Box<str>,
    /// Half-open ranges of seconds since Monday 00:00.
    pub weekly: Vec<(u32, u32)>,
    /// Half-open ranges of absolute time.
    pub absolute: Vec<(Timestamp, Timestamp)>,
}

impl LinkedSchedule {
    /// Whether the schedule is on at `time` (UTC).
    pub fn is_on(&self, time: Timestamp) -> bool {
        let second = time.second_of_week();
        self.weekly.iter().any(|&(from, to)| (from..to).contains(&second))
            || self.absolute.iter().any(|&(from, to)| (from..to).contains(&time))
    }
}

/// Something a rule compares that has no value at analysis time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Atom {
    /// The text that names it; equal texts of one dialect are the same atom.
    pub text: Box<str>,
    /// Where it is first mentioned.
    pub at: Span,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct LinkedRule {
    /// What reports call it.
    pub name: Box<str>,
    /// The lines that state it.
    pub at: Span,
    /// Whether it is switched off.
    pub disabled: bool,
    /// Whether the importer added it for behaviour the vendor implies.
    pub implied: bool,
    /// What it matches.
    pub matches: LinkedMatch,
    /// What it does.
    pub action: LinkedAction,
    /// Whether matches are logged.
    pub log: bool,
    /// Names of security profiles applied to allowed traffic.
    pub profiles: Vec<Box<str>>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum LinkedAction {
    /// Let it through this layer.
    Allow,
    /// Refuse it.
    Deny,
    /// Discard it silently.
    Drop,
    /// Refuse it with an answer.
    Reset(ResetSide),
    /// Continue there, and come back.
    Jump(RuleBaseId),
    /// Continue there, and do not come back.
    Goto(RuleBaseId),
    /// Go back.
    Return,
    /// Go on with the next rule.
    Continue,
}

impl LinkedAction {
    /// Whether evaluation of the layer ends here.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Allow | Self::Deny | Self::Drop | Self::Reset(_))
    }

    /// The verdict's name in reports and JSON; empty for an action that decides nothing.
    pub const fn verdict_name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Drop => "drop",
            Self::Reset(_) => "reset",
            Self::Jump(_) | Self::Goto(_) | Self::Return | Self::Continue => "",
        }
    }
}

/// What a rule matches; every part has to.
#[derive(Clone, Debug)]
pub struct LinkedMatch {
    /// Ingress interfaces.
    pub ingress: IdSet,
    /// Egress interfaces.
    pub egress: IdSet,
    /// Ingress zones.
    pub from: IdSet,
    /// Egress zones.
    pub to: IdSet,
    /// How the two zones relate.
    pub relation: ZoneRelation,
    /// Source addresses.
    pub src: LinkedAddresses,
    /// Destination addresses.
    pub dst: LinkedAddresses,
    /// Services.
    pub services: LinkedServices,
    /// Connection states.
    pub states: StateSet,
    /// TCP flags; one has to hold, empty for any.
    pub tcp_flags: Vec<TcpFlagMatch>,
    /// Applications, by the names identification gives.
    pub applications: IdSet,
    /// Applications let through until one of [`LinkedMatch::applications`] is recognised.
    pub implicit_applications: IdSet,
    /// URL categories.
    pub url_categories: IdSet,
    /// Whether one of the categories [`LinkedMatch::url_categories`] lists, or excludes, has no
    /// patterns: only the vendor can tell it.
    pub opaque_category: bool,
    /// Users and groups.
    pub users: IdSet,
    /// Source MAC addresses; empty for any.
    pub devices: Vec<MacAddress>,
    /// Schedule.
    pub schedule: Option<ScheduleId>,
    /// Conditions without a value at analysis time.
    pub atoms: Vec<AtomId>,
}

impl LinkedMatch {
    /// A match of every packet.
    pub fn anything() -> Self {
        let any = LinkedAddresses { set: AddressSet::all(), ..LinkedAddresses::default() };
        let every = LinkedService {
            protocols: ProtocolSet::ALL,
            src_ports: PortSet::all(),
            dst_ports: PortSet::all(),
            icmp: None,
        };
        Self {
            ingress: IdSet::Any,
            egress: IdSet::Any,
            from: IdSet::Any,
            to: IdSet::Any,
            relation: ZoneRelation::Any,
            src: any.clone(),
            dst: any,
            services: LinkedServices { terms: vec![every], ..LinkedServices::default() },
            states: StateSet::ALL,
            tcp_flags: Vec::new(),
            applications: IdSet::Any,
            implicit_applications: IdSet::Any,
            url_categories: IdSet::Any,
            opaque_category: false,
            users: IdSet::Any,
            devices: Vec::new(),
            schedule: None,
            atoms: Vec::new(),
        }
    }
}

/// Addresses a rule matches.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkedAddresses {
    /// The addresses that surely belong, before negation.
    pub set: AddressSet,
    /// Members without a value at analysis time, before negation.
    pub atoms: Vec<AtomId>,
    /// Whether everything else matches. Only kept where the set cannot be complemented or has
    /// atoms.
    pub negated: bool,
}

impl LinkedAddresses {
    /// Whether every address surely matches.
    pub fn is_any(&self) -> bool {
        !self.negated && self.set.is_all()
    }
}

/// Services a rule matches: one of the terms has to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LinkedServices {
    /// The terms. For `application-default` with named applications: their default services.
    pub terms: Vec<LinkedService>,
    /// Members that are not modelled.
    pub atoms: Vec<AtomId>,
    /// Whether the service has to be a default one of the application recognised.
    pub application_default: bool,
}

/// Protocol, ports and ICMP type together.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct LinkedService {
    /// IP protocols.
    pub protocols: ProtocolSet,
    /// Source ports, for protocols that have ports.
    pub src_ports: PortSet,
    /// Destination ports, for protocols that have ports.
    pub dst_ports: PortSet,
    /// ICMP type and code, for ICMP of either family.
    pub icmp: Option<IcmpMatch>,
}

impl LinkedService {
    /// Whether every packet matches.
    pub fn is_any(&self) -> bool {
        let Self { protocols, src_ports, dst_ports, icmp } = self;
        protocols.is_all() && src_ports.is_all() && dst_ports.is_all() && icmp.is_none()
    }
}

/// A rule base: a range of rules.
#[derive(Clone, Debug)]
pub struct LinkedRuleBase {
    /// Its name.
    pub name: Box<str>,
    /// Its first rule.
    pub first: RuleId,
    /// How many rules it has.
    pub count: u32,
    /// What happens after its last rule; `None` goes back to the caller or to the layer's default.
    pub default: Option<LinkedAction>,
    /// Where it is defined.
    pub at: Span,
}

/// A filter layer.
#[derive(Clone, Debug)]
pub struct LinkedLayer {
    /// What reports call it.
    pub name: Box<str>,
    /// Where evaluation starts.
    pub rule_base: RuleBaseId,
    /// What happens when no rule decides.
    pub default: LinkedAction,
    /// Which source the filter compares.
    pub sees_src: Sees,
    /// Which destination the filter compares.
    pub sees_dst: Sees,
    /// Whether it is asked before the packet's connection is looked up.
    pub before_sessions: bool,
}

/// A list of translations.
#[derive(Clone, Debug, Default)]
pub struct LinkedNatTable {
    /// The rules; first match wins.
    pub rules: Vec<LinkedNatRule>,
    /// Whether the table compares the packet before or after destination translation.
    pub sees: Sees,
}

/// A translation rule.
#[derive(Clone, Debug)]
pub struct LinkedNatRule {
    /// What reports call it.
    pub name: Box<str>,
    /// The lines that state it.
    pub at: Span,
    /// Whether it is switched off.
    pub disabled: bool,
    /// What it matches.
    pub matches: LinkedMatch,
    /// What it does.
    pub translation: LinkedTranslation,
}

/// What a translation rule does.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum LinkedTranslation {
    /// Nothing.
    Keep,
    /// The prefix is replaced, host bits are kept.
    Prefix {
        /// The new prefix.
        to: IpNet,
        /// The port.
        port: LinkedPortTranslation,
    },
    /// One of several addresses, chosen when the session opens.
    Pool {
        /// The addresses to choose from; never empty.
        to: AddressSet,
        /// The port.
        port: LinkedPortTranslation,
    },
    /// The address of the egress interface, with a port chosen when the session opens.
    EgressInterface,
    /// The IPv4 address that an IPv6 one embeds, or the other way round.
    Embedded(EmbeddingPrefix),
    /// The target has no value at analysis time.
    Unknown(AtomId),
}

/// What a translation does to the port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum LinkedPortTranslation {
    /// The port stays.
    Keep,
    /// Ports `from..` map to `to..`, keeping the distance.
    Shift {
        /// First port before translation.
        from: u16,
        /// First port after it.
        to: u16,
    },
    /// Every port becomes this one.
    To(u16),
    /// A free port of the ranges, the original one where possible.
    Allocate(Vec<PortRange>),
}

impl fmt::Display for LinkedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Jump(to) => write!(f, "jump {}", to.0),
            Self::Goto(to) => write!(f, "goto {}", to.0),
            Self::Return => f.write_str("return"),
            Self::Continue => f.write_str("continue"),
            verdict => f.write_str(verdict.verdict_name()),
        }
    }
}
