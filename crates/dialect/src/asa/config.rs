//! What a configuration says, in the vendor's words.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use parefeu_net::Protocol;
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressObject, At, IcmpMatch, Route, ServiceObject, ServiceTerm, Span,
};

use super::definition::Definitions;

/// A whole configuration. Lists keep the order of the text.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) hostname: String,
    /// Major and minor version, where stated.
    pub(super) version: Option<At<(u32, u32)>>,
    pub(super) interfaces: Vec<InterfaceBlock>,
    pub(super) routes: Vec<Route>,
    /// `object network` and `object-group network`.
    pub(super) addresses: Vec<AddressObject>,
    /// `object service` and `object-group service` without a protocol.
    pub(super) services: Vec<ServiceObject>,
    /// `object-group service` for a protocol.
    pub(super) port_groups: Vec<PortGroup>,
    pub(super) protocol_groups: Vec<Group<Protocol>>,
    pub(super) icmp_groups: Vec<Group<IcmpType>>,
    pub(super) user_groups: Vec<Group<String>>,
    pub(super) access_lists: Vec<AccessList>,
    pub(super) access_groups: Vec<AccessGroup>,
    /// Names of access lists for frames (`ethertype`), and whether one denies those of IP.
    pub(super) frame_lists: HashMap<String, bool>,
    /// Names of `ipv6 access-list`, as written before release 9.0.
    pub(super) v6_lists: HashSet<String>,
    pub(super) shuns: Vec<Shun>,
    /// Whether connections that pass are authenticated (`aaa authentication match`).
    pub(super) authenticates: bool,
    /// `same-security-traffic permit inter-interface`.
    pub(super) inter_interface: Option<Span>,
    /// `same-security-traffic permit intra-interface`.
    pub(super) intra_interface: Option<Span>,
    /// What each `nat` line says, as the name of an atom, by where it begins.
    pub(super) nat_atoms: HashMap<u32, String>,
    /// `no forward interface PORT`: the port whose block it is, and the one named.
    pub(super) no_forward: Vec<(String, At<String>)>,
    /// Twice NAT, in the order of the text.
    pub(super) manual_nat: Vec<ManualNat>,
    /// Object NAT, in the order of the text.
    pub(super) object_nat: Vec<ObjectNat>,
    pub(super) time_ranges: Vec<TimeRange>,
    /// Idle timers by the name [`parefeu_policy::Timers`] gives them.
    pub(super) timers: Vec<At<(&'static str, Duration)>>,
    /// Seconds local time is ahead of UTC.
    pub(super) utc_offset_secs: i64,
    /// `clock summer-time`.
    pub(super) summer_time: Option<Span>,
    /// `policy-map NAME`, not those of a type.
    pub(super) policy_maps: Vec<PolicyMap>,
    pub(super) service_policies: Vec<ServicePolicy>,
}

impl Config {
    /// Whether a list is bound that is not one for IPv4, or since 9.0 for both families.
    pub(super) fn is_of_another_type(&self, group: &AccessGroup) -> bool {
        let name = group.list.value.as_str();
        let is_named = |list: &AccessList| list.name == name;
        (self.frame_lists.contains_key(name) || self.v6_lists.contains(name))
            && !self.access_lists.iter().any(is_named)
    }
}

/// `shun ADDRESS …`.
#[derive(Debug)]
pub(super) struct Shun {
    pub(super) src: IpAddr,
    /// Where the host is; anywhere without both.
    pub(super) interface: Option<At<String>>,
    pub(super) vlan: Option<u16>,
    pub(super) at: Span,
}

/// The inspections of a policy map that bear on what passes.
#[derive(Debug)]
pub(super) struct PolicyMap {
    pub(super) name: String,
    pub(super) at: Span,
    /// Whether the lines that follow are about the traffic an inspection is meant for, and not
    /// about a class the configuration picks out of it.
    pub(super) in_whole_class: bool,
    pub(super) inspections: Vec<At<Inspection>>,
}

/// `inspect …` in a class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Inspection {
    pub(super) of: Inspected,
    pub(super) in_whole_class: bool,
}

/// What is inspected, as far as it decides what passes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Inspected {
    Ftp,
    Tftp,
    Sip,
    Icmp,
}

/// `service-policy NAME {global | interface INTERFACE}`.
#[derive(Debug)]
pub(super) struct ServicePolicy {
    pub(super) map: At<String>,
    pub(super) is_global: bool,
}

/// A member of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Member<T> {
    Value(T),
    /// Another group of the same kind.
    Group(String),
    /// A line that is not understood; it names an atom.
    Unknown(String),
}

/// `object-group protocol`, `icmp-type` or `user`.
#[derive(Clone, Debug)]
pub(super) struct Group<T> {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) members: Vec<At<Member<T>>>,
}

/// `object-group service NAME {tcp | udp | tcp-udp}`.
#[derive(Clone, Debug)]
pub(super) struct PortGroup {
    pub(super) protocols: ProtocolSet,
    pub(super) ports: Group<parefeu_net::PortRange>,
}

/// An ICMP type and code as groups hold it; ordered so that copies can be dropped.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct IcmpType {
    pub(super) kind: u8,
    pub(super) code: Option<u8>,
}

impl From<IcmpType> for IcmpMatch {
    fn from(IcmpType { kind, code }: IcmpType) -> Self {
        Self { kind, code }
    }
}

/// An `interface` block that names a security zone's worth of traffic.
#[derive(Debug, Default)]
pub(super) struct InterfaceBlock {
    /// `GigabitEthernet0/1.20`.
    pub(super) hardware: String,
    pub(super) nameif: Option<At<String>>,
    pub(super) security_level: Option<At<u8>>,
    pub(super) addresses: Vec<IpNet>,
    pub(super) vlan: Option<u16>,
    pub(super) shutdown: bool,
    pub(super) management_only: bool,
    /// The EtherChannel it is a member of.
    pub(super) channel: Option<u32>,
    pub(super) bridge_group: Option<u32>,
    /// Ports of a redundant interface, by [`super::interface::canonical`] name.
    pub(super) members: Vec<String>,
    pub(super) at: Span,
}

/// `access-list NAME …`, every line of it.
#[derive(Debug)]
pub(super) struct AccessList {
    pub(super) name: String,
    pub(super) at: Span,
    pub(super) entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) enum Entry {
    Remark(String),
    Rule(Box<Ace>),
}

/// One access control entry.
#[derive(Debug)]
pub(super) struct Ace {
    pub(super) at: Span,
    pub(super) action: Action,
    pub(super) service: AceService,
    pub(super) src: At<AddressItem>,
    pub(super) dst: At<AddressItem>,
    pub(super) users: Vec<At<Member<String>>>,
    /// Conditions that are not modelled.
    pub(super) atoms: Vec<At<String>>,
    pub(super) log: bool,
    pub(super) inactive: bool,
    pub(super) time_range: Option<At<String>>,
}

/// What stands where an entry names its protocol, with the ports that follow.
#[derive(Clone, Debug)]
pub(super) enum AceService {
    /// A protocol, or a group of them, with ports and ICMP types.
    Spec(ServiceSpec),
    /// A service object or a service group without a protocol.
    Object(At<String>),
}

#[derive(Clone, Debug)]
pub(super) struct ServiceSpec {
    pub(super) protocols: Protocols,
    pub(super) src: Ports,
    pub(super) dst: Ports,
    pub(super) icmp: IcmpTypes,
}

#[derive(Clone, Debug)]
pub(super) enum Protocols {
    /// `ip`.
    Any,
    Of(ProtocolSet),
    Group(At<String>),
}

#[derive(Clone, Debug)]
pub(super) enum Ports {
    Any,
    Of(PortSet),
    Group(At<String>),
}

#[derive(Clone, Debug)]
pub(super) enum IcmpTypes {
    Any,
    Of(IcmpType),
    Group(At<String>),
}

/// `access-group NAME …`.
#[derive(Clone, Debug)]
pub(super) struct AccessGroup {
    pub(super) list: At<String>,
    pub(super) place: AccessPlace,
    /// `per-user-override`: lists a server sends for a user come first.
    pub(super) per_user: bool,
    pub(super) at: Span,
}

#[derive(Clone, Debug)]
pub(super) enum AccessPlace {
    In(At<String>),
    Out(At<String>),
    Global,
}

/// The two interfaces of a translation; `None` is `any`.
#[derive(Clone, Debug, Default)]
pub(super) struct InterfacePair {
    pub(super) real: Option<At<String>>,
    pub(super) mapped: Option<At<String>>,
    /// Whether routes decide where untranslated packets leave, whatever interfaces are named.
    pub(super) route_lookup: bool,
}

/// Whether addresses are mapped one to one or hidden.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum NatKind {
    Static,
    Dynamic,
}

/// Which side of object NAT a twice NAT rule stands on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    BeforeObjects,
    AfterObjects,
}

/// What an address becomes.
#[derive(Clone, Debug)]
pub(super) enum Mapped {
    /// The address of the mapped interface.
    Interface,
    /// Addresses, one to one or as a pool.
    To(At<AddressItem>),
    /// Addresses whose ports are shared (`pat-pool`).
    PatPool(At<AddressItem>),
}

/// `nat` inside `object network`.
#[derive(Clone, Debug)]
pub(super) struct ObjectNat {
    pub(super) object: String,
    pub(super) interfaces: InterfacePair,
    pub(super) kind: NatKind,
    pub(super) mapped: Mapped,
    /// Whether the interface address is used once the pool is used up.
    pub(super) fallback: bool,
    /// `service tcp REAL MAPPED`.
    pub(super) service: Option<(Protocol, u16, u16)>,
    pub(super) at: Span,
}

/// Twice NAT.
#[derive(Clone, Debug)]
pub(super) struct ManualNat {
    pub(super) interfaces: InterfacePair,
    pub(super) section: Section,
    /// The place among the rules of its section, from 1, where stated.
    pub(super) position: Option<u32>,
    pub(super) kind: NatKind,
    pub(super) real_src: At<AddressItem>,
    pub(super) mapped_src: Mapped,
    /// Whether the interface address is used once the pool is used up.
    pub(super) fallback: bool,
    /// Mapped and real destination.
    pub(super) dst: Option<(Mapped, At<AddressItem>)>,
    /// The service on the real and on the mapped side.
    pub(super) service: Option<(At<String>, At<String>)>,
    pub(super) unidirectional: bool,
    pub(super) inactive: bool,
    /// Set when the line is not understood; it then names an atom.
    pub(super) unknown: Option<String>,
    pub(super) at: Span,
}

/// `time-range NAME`.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeRange {
    pub(super) name: String,
    pub(super) at: Span,
    /// Local seconds since Monday 00:00, half-open; an end before its start runs past Sunday.
    pub(super) weekly: Vec<(u32, u32)>,
    /// Local seconds since 1970, half-open.
    pub(super) absolute: Option<(Option<i64>, Option<i64>)>,
    /// Lines that are not understood.
    pub(super) unknown: bool,
}

/// What a name of `object-group` refers to: where a group may stand depends on its kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GroupKind {
    Network,
    /// With a protocol: a list of ports.
    Ports,
    /// Without one: a list of services.
    Services,
    Protocol,
    IcmpType,
    User,
    Security,
}

/// Everything about a configuration that reading a single line needs to know.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    /// `name ADDRESS TEXT`.
    pub(super) addresses: HashMap<&'a str, IpAddr>,
    pub(super) groups: HashMap<&'a str, GroupKind>,
    /// `object network NAME`.
    pub(super) objects: HashSet<&'a str>,
    /// Before 9.0 `any` in an access list means IPv4 only.
    pub(super) any_is_v4: bool,
    /// What a line that is not modelled says by the names in it.
    pub(super) definitions: Definitions<'a>,
}

/// A service term of no particular kind: every packet.
pub(super) fn any_term() -> ServiceTerm {
    ServiceTerm::protocols(ProtocolSet::ALL)
}
