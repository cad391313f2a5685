//! What a configuration means, by name: the vendor-neutral firewall before linking.
//!
//! Importers and the native format produce a [`Firewall`]; [`crate::link`] resolves its names.
//! Every value that a diagnostic or a verdict may cite carries its place.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv6Net};
use parefeu_net::Timestamp;
use serde::{Deserialize, Serialize};

use crate::set::{MaskedAddress, PortSet, ProtocolSet};
use crate::{At, Behaviour, Sources, Span};

/// A whole firewall, names unresolved.
///
/// The pipeline is: [`Firewall::destination_nat`] → route → every one of [`Firewall::layers`] →
/// [`Firewall::source_nat`].
#[derive(Clone, Debug, Default)]
pub struct Firewall {
    /// The device's name, when the configuration states it.
    pub name: String,
    /// The dialect it was read from: `asa`, `panos`, `iptables`, `classbench`, `parefeu`.
    pub dialect: &'static str,
    /// The texts every span points into.
    pub sources: Sources,
    /// Zones.
    pub zones: Vec<Zone>,
    /// Interfaces.
    pub interfaces: Vec<Interface>,
    /// Static and connected routes; networks of [`Interface::addresses`] are connected without one.
    pub routes: Vec<Route>,
    /// Address objects and groups: one name space.
    pub addresses: Vec<AddressObject>,
    /// Service objects and groups: one name space.
    pub services: Vec<ServiceObject>,
    /// Applications and application groups: one name space.
    pub applications: Vec<ApplicationObject>,
    /// URL categories whose patterns are known.
    pub url_categories: Vec<UrlCategory>,
    /// Schedules.
    pub schedules: Vec<Schedule>,
    /// Security profiles, as far as what they do is known.
    pub profiles: Vec<Profile>,
    /// Ordered lists of rules: access lists, chains, security policies.
    pub rule_bases: Vec<RuleBase>,
    /// Filter layers, in order; every one must accept.
    pub layers: Vec<Layer>,
    /// Destination translation, looked up before routing.
    pub destination_nat: NatTable,
    /// Source translation, looked up after the filter.
    pub source_nat: NatTable,
    /// Timers and state policy.
    pub behaviour: Behaviour,
    /// What the text says of packets to and from the firewall itself, which are not judged: in
    /// order, each as it counts where two texts are compared.
    pub own_traffic: Vec<At<String>>,
}

/// A security zone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Zone {
    /// Unique name.
    pub name: String,
    /// Where it is defined.
    pub at: Span,
}

/// A network interface.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interface {
    /// Unique name, the one rules use (ASA `nameif`, PAN-OS `ethernet1/1.10`).
    pub name: String,
    /// Other names of the same interface, such as the hardware port.
    pub aliases: Vec<String>,
    /// The zone it belongs to.
    pub zone: Option<At<String>>,
    /// Its own addresses, each with its prefix length; the networks are connected routes.
    pub addresses: Vec<IpNet>,
    /// VLAN identifier of a sub-interface.
    pub vlan: Option<u16>,
    /// The routing table it uses; the empty name is the default one.
    pub router: String,
    /// Where it is defined.
    pub at: Span,
}

/// A static route.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    /// The prefix it covers.
    pub destination: IpNet,
    /// The egress interface, when stated; else the one whose network holds the next hop.
    pub interface: Option<At<String>>,
    /// The gateway.
    pub next_hop: Option<IpAddr>,
    /// Look the destination up in this other routing table instead.
    pub next_router: Option<String>,
    /// Lower wins among equal prefixes.
    pub metric: u32,
    /// The routing table it belongs to; the empty name is the default one.
    pub router: String,
    /// Where it is defined.
    pub at: Span,
}

/// A named address object or group: everything in `items` that is not in `except`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressObject {
    /// Unique name.
    pub name: String,
    /// Members; a group names other objects. An object without members matches nothing.
    pub items: Vec<At<AddressItem>>,
    /// Members taken out again.
    pub except: Vec<At<AddressItem>>,
    /// Where it is defined.
    pub at: Span,
}

/// One member of an address object or of a rule's source or destination.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AddressItem {
    /// Every address of both families.
    Any,
    /// Every IPv4 address.
    AnyV4,
    /// Every IPv6 address.
    AnyV6,
    /// A prefix; a host is a /32 or /128.
    Network(IpNet),
    /// An inclusive range.
    Range(IpAddr, IpAddr),
    /// An IPv4 pattern whose mask may have holes.
    Masked(MaskedAddress),
    /// The addresses of an interface.
    Interface(String),
    /// A named object or group.
    Object(String),
    /// Something without a value at analysis time: a domain name, a dynamic list, a region. The
    /// text names the symbolic atom; equal texts are the same atom.
    Unknown(String),
}

/// A named service object or group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServiceObject {
    /// Unique name.
    pub name: String,
    /// Members; one of them has to match.
    pub items: Vec<At<ServiceItem>>,
    /// Where it is defined.
    pub at: Span,
}

/// One member of a service object or of a rule's services.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ServiceItem {
    /// Every protocol and port.
    Any,
    /// A protocol with its ports or ICMP types.
    Term(ServiceTerm),
    /// A named object or group.
    Object(String),
    /// The default ports of the rule's applications, or of the application recognised.
    ApplicationDefault,
    /// Something not modelled; the text names the symbolic atom.
    Unknown(String),
}

/// Protocol, ports and ICMP type together: every part has to match.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceTerm {
    /// IP protocols.
    pub protocols: ProtocolSet,
    /// Source ports; compared only for protocols that have ports.
    pub src_ports: PortSet,
    /// Destination ports; compared only for protocols that have ports.
    pub dst_ports: PortSet,
    /// ICMP type and code; compared only for ICMP of either family.
    pub icmp: Option<IcmpMatch>,
}

impl ServiceTerm {
    /// Every packet of the given protocols.
    pub fn protocols(protocols: ProtocolSet) -> Self {
        let (src_ports, dst_ports) = (PortSet::all(), PortSet::all());
        Self { protocols, src_ports, dst_ports, icmp: None }
    }

    /// Packets of the given protocols to the given ports.
    pub fn to_ports(protocols: ProtocolSet, dst_ports: PortSet) -> Self {
        Self { dst_ports, ..Self::protocols(protocols) }
    }
}

/// An ICMP type, with one code or any.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct IcmpMatch {
    /// Message type.
    pub kind: u8,
    /// Message code; `None` for any.
    pub code: Option<u8>,
}

/// A named application or application group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ApplicationObject {
    /// Unique name.
    pub name: String,
    /// The names identification gives this application (`tls`, `http`, …). Empty for a group, and
    /// for an application no signature recognises.
    pub identified_as: Vec<String>,
    /// The ports `application-default` allows.
    pub default_services: Vec<ServiceTerm>,
    /// Applications let through for a session until this one is recognised in it.
    pub implicit: Vec<String>,
    /// Members of a group.
    pub members: Vec<At<String>>,
    /// Where it is defined; the default place for an application the vendor predefines.
    pub at: Span,
}

/// A URL category defined by patterns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UrlCategory {
    /// Unique name.
    pub name: String,
    /// Patterns in the grammar of [`crate::UrlPattern`].
    pub patterns: Vec<At<String>>,
    /// Where it is defined.
    pub at: Span,
}

/// A security profile: what looks into allowed traffic. What it does is kept as text: parefeu does
/// not do it, but tells whether two profiles do the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    /// Unique name, by which rules apply it.
    pub name: String,
    /// What it does, in the dialect's words; two of one definition do the same.
    pub definition: String,
    /// Where it is defined.
    pub at: Span,
}

/// When a rule applies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Schedule {
    /// Unique name.
    pub name: String,
    /// Half-open ranges of seconds since Monday 00:00, repeated every week.
    pub weekly: Vec<(u32, u32)>,
    /// Half-open ranges of absolute time.
    pub absolute: Vec<(Timestamp, Timestamp)>,
    /// Where it is defined.
    pub at: Span,
}

/// An ordered list of rules.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RuleBase {
    /// Unique name: an access list's, a chain's, a vsys's.
    pub name: String,
    /// First match wins.
    pub rules: Vec<Rule>,
    /// What happens after the last rule; `None` returns to the caller, or to [`Layer::default`].
    pub default: Option<Action>,
    /// Where it is defined.
    pub at: Span,
}

/// One rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rule {
    /// What reports call it; unique names help but are not required.
    pub name: String,
    /// The line or lines that state it.
    pub at: Span,
    /// A disabled rule never matches, and is kept for reports.
    pub disabled: bool,
    /// Added by the importer for behaviour the vendor implies.
    pub implied: bool,
    /// What it matches: every part has to.
    pub matches: Match,
    /// What it does.
    pub action: Action,
    /// Whether matches are logged.
    pub log: bool,
    /// Names of security profiles applied to allowed traffic, whether [`Firewall::profiles`] has
    /// them or not.
    pub profiles: Vec<String>,
    /// Free text.
    pub description: String,
}

/// What a rule does with a packet it matches.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum Action {
    /// Let it through this layer.
    Allow,
    /// Refuse it; silent unless the vendor says otherwise.
    #[default]
    Deny,
    /// Discard it silently.
    Drop,
    /// Refuse it with an answer.
    Reset(ResetSide),
    /// Continue in another rule base; come back after its last rule.
    Jump(String),
    /// Continue in another rule base; do not come back to this one.
    Goto(String),
    /// Go back to the rule base that jumped here.
    Return,
    /// Count or log, and go on with the next rule.
    Continue,
}

/// Who is told of a refusal: by TCP RST, else by an ICMP error.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum ResetSide {
    /// The sender of the first packet.
    Client,
    /// The side that answers.
    Server,
    /// Both.
    Both,
    /// Whoever sent the packet.
    Sender,
    /// Whoever sent the packet, by an ICMP error over TCP as well.
    SenderByIcmp,
}

impl ResetSide {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::Client, Self::Server, Self::Both, Self::Sender, Self::SenderByIcmp];
}

/// What a rule matches; every part has to. The default matches everything.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Match {
    /// Ingress interfaces; empty for any.
    pub ingress: Names,
    /// Egress interfaces; empty for any.
    pub egress: Names,
    /// Zones of the ingress interface.
    pub from: Names,
    /// Zones of the egress interface.
    pub to: Names,
    /// How the two zones relate.
    pub relation: ZoneRelation,
    /// Source addresses.
    pub src: AddressMatch,
    /// Destination addresses.
    pub dst: AddressMatch,
    /// Services; one of them has to match. None matches nothing.
    pub services: Vec<At<ServiceItem>>,
    /// Connection states.
    pub states: StateSet,
    /// TCP flags; one of them has to match, empty for any. Never matches another protocol.
    pub tcp_flags: Vec<TcpFlagMatch>,
    /// Applications.
    pub applications: Names,
    /// URL categories.
    pub url_categories: Names,
    /// Users and groups; empty for any.
    pub users: Names,
    /// Source MAC addresses; empty for any.
    pub devices: Vec<parefeu_net::MacAddress>,
    /// Schedule.
    pub schedule: Option<At<String>>,
    /// Further conditions that are not modelled; each text names a symbolic atom.
    pub unknown: Vec<At<String>>,
}

impl Default for Match {
    fn default() -> Self {
        Self {
            ingress: Names::Any,
            egress: Names::Any,
            from: Names::Any,
            to: Names::Any,
            relation: ZoneRelation::Any,
            src: AddressMatch::any(),
            dst: AddressMatch::any(),
            services: vec![At::new(ServiceItem::Any, Span::default())],
            states: StateSet::ALL,
            tcp_flags: Vec::new(),
            applications: Names::Any,
            url_categories: Names::Any,
            users: Names::Any,
            devices: Vec::new(),
            schedule: None,
            unknown: Vec::new(),
        }
    }
}

/// A list of names, or any.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Names {
    /// Everything, named or not.
    #[default]
    Any,
    /// One of these.
    OneOf(Vec<At<String>>),
    /// None of these.
    NoneOf(Vec<At<String>>),
}

impl Names {
    /// One name.
    pub fn one(name: impl Into<String>, at: Span) -> Self {
        Self::OneOf(vec![At::new(name.into(), at)])
    }

    /// The names listed, whichever way they count.
    pub fn listed(&self) -> &[At<String>] {
        match self {
            Self::Any => &[],
            Self::OneOf(names) | Self::NoneOf(names) => names,
        }
    }
}

/// How the ingress and the egress zone relate.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum ZoneRelation {
    /// In any way.
    #[default]
    Any,
    /// They are the same zone.
    Intrazone,
    /// They are different zones.
    Interzone,
}

/// Source or destination of a rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AddressMatch {
    /// Members; none matches nothing.
    pub items: Vec<At<AddressItem>>,
    /// Whether everything but the members matches.
    pub negated: bool,
}

impl AddressMatch {
    /// Every address.
    pub fn any() -> Self {
        Self::one(AddressItem::Any, Span::default())
    }

    /// A single member.
    pub fn one(item: AddressItem, at: Span) -> Self {
        Self { items: vec![At::new(item, at)], negated: false }
    }
}

/// The state of the connection a packet belongs to, as rules name it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum ConnectionState {
    /// The packet would open a connection.
    New,
    /// The packet belongs to a connection seen in this or the other direction.
    Established,
    /// The packet opens a connection announced by another one, or is an ICMP error about one.
    Related,
    /// The packet fits no connection and may not open one.
    Invalid,
    /// Tracking was switched off for the packet.
    Untracked,
}

impl ConnectionState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::New, Self::Established, Self::Related, Self::Invalid, Self::Untracked];

    /// The state's name in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::Untracked => "untracked",
        }
    }
}

/// A set of connection states.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct StateSet(u8);

impl StateSet {
    /// Every state: the condition is absent.
    pub const ALL: Self = Self(0b1_1111);
    /// No state.
    pub const NONE: Self = Self(0);

    /// The set with `state` added.
    #[must_use]
    pub const fn with(self, state: ConnectionState) -> Self {
        Self(self.0 | 1 << state as u8)
    }

    /// Every state that is not in the set.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// Whether `state` is in the set.
    pub const fn contains(self, state: ConnectionState) -> bool {
        self.0 >> state as u8 & 1 == 1
    }

    /// The set as bits, one for each of [`ConnectionState::ALL`] in order.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl Default for StateSet {
    fn default() -> Self {
        Self::ALL
    }
}

/// A condition on TCP flags: `flags & mask == value`, or the opposite.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TcpFlagMatch {
    /// The flags examined.
    pub mask: u8,
    /// Those of them that have to be set.
    pub value: u8,
    /// Whether the condition is turned round.
    pub negated: bool,
}

impl TcpFlagMatch {
    /// Whether `flags` fulfil the condition.
    pub const fn holds(self, flags: u8) -> bool {
        (flags & self.mask == self.value) != self.negated
    }
}

/// A filter layer: a rule base with what the vendor's pipeline shows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layer {
    /// What reports call it.
    pub name: String,
    /// The rule base evaluation starts in.
    pub rule_base: At<String>,
    /// What happens when no rule decides.
    pub default: Action,
    /// Whether the filter compares source address and port before or after translation.
    pub sees_src: Sees,
    /// Whether the filter compares destination address and port before or after translation.
    pub sees_dst: Sees,
    /// Whether it is asked before the packet's connection is looked up: what it refuses leaves that
    /// connection as it was. Such layers come first.
    pub before_sessions: bool,
}

/// Which side of a translation a stage compares.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Sees {
    /// The packet as it arrived.
    #[default]
    Original,
    /// The packet as it will leave.
    Translated,
}

/// An ordered list of translations; first match wins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NatTable {
    /// The rules.
    pub rules: Vec<NatRule>,
    /// Whether the table compares the packet before or after destination translation. Egress
    /// interface and zone are those of the route to the address compared.
    pub sees: Sees,
}

/// One translation rule.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NatRule {
    /// What reports call it.
    pub name: String,
    /// The line or lines that state it.
    pub at: Span,
    /// A disabled rule never matches.
    pub disabled: bool,
    /// What it matches.
    pub matches: Match,
    /// What it does; [`Translation::Keep`] ends the lookup without translating.
    pub translation: Translation,
}

/// What a translation rule does to the side its table translates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Translation {
    /// Nothing: an exemption.
    #[default]
    Keep,
    /// The host bits are kept, the prefix is replaced; a host is a /32 or /128. One to one.
    Prefix {
        /// The new prefix.
        to: IpNet,
        /// The new port; `None` keeps it.
        port: PortTranslation,
    },
    /// One of several addresses, chosen when the session opens and kept for it.
    Pool {
        /// The addresses to choose from.
        to: Vec<At<AddressItem>>,
        /// The ports to choose from.
        port: PortTranslation,
    },
    /// The address of the egress interface, with a port chosen when the session opens.
    EgressInterface,
    /// The IPv4 address that an IPv6 one embeds behind this prefix, or the other way round (NAT64,
    /// RFC 6052). The port stays.
    Embedded {
        /// The prefix, of 32, 40, 48, 56, 64 or 96 bits.
        prefix: Ipv6Net,
    },
}

/// What a translation does to the port.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub enum PortTranslation {
    /// The port stays.
    #[default]
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
    /// A free port of the set, the original one where possible.
    Allocate(PortSet),
}
