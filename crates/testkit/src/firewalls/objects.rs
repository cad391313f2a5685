//! Named objects and the members rules refer to.
//!
//! Values come from a universe so small that rules overlap, touch and shadow one another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use parefeu_net::{PortRange, Protocol, Timestamp};
use parefeu_policy::set::{MaskedAddress, PortSet, ProtocolSet};
use parefeu_policy::{
    AddressItem, AddressObject, ApplicationObject, At, IcmpMatch, Schedule, ServiceItem,
    ServiceObject, ServiceTerm, Span, UrlCategory,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{INTERFACES, NEVER_AT};

/// Address objects, the later ones groups of earlier ones.
pub(super) fn addresses() -> impl Strategy<Value = Vec<AddressObject>> {
    let object = |number: usize| {
        let members = vec(placed(address_item(number)), 0..4);
        let except = prop_oneof![4 => Just(Vec::new()), 1 => vec(placed(address_item(0)), 1..3)];
        (members, except).prop_map(move |(items, except)| AddressObject {
            name: address_name(number),
            items,
            except,
            at: NEVER_AT,
        })
    };
    (object(0), object(1), object(2), object(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

/// How many objects [`addresses`] and [`services`] define.
pub(super) const OBJECTS: usize = 4;

fn address_name(number: usize) -> String {
    format!("net-{number}")
}

/// A member that may name the objects below `objects`.
pub(super) fn address_item(objects: usize) -> BoxedStrategy<AddressItem> {
    let plain = prop_oneof![
        1 => Just(AddressItem::Any),
        1 => Just(AddressItem::AnyV4),
        1 => Just(AddressItem::AnyV6),
        8 => network().prop_map(AddressItem::Network),
        4 => (v4(), v4()).prop_map(|(a, b)| AddressItem::Range(a.min(b).into(), a.max(b).into())),
        2 => (v6(), v6()).prop_map(|(a, b)| AddressItem::Range(a.min(b).into(), a.max(b).into())),
        2 => (v4(), select(MASKS)).prop_map(|(value, mask)| {
            AddressItem::Masked(MaskedAddress::new(value, Ipv4Addr::from_bits(mask)))
        }),
        1 => select(INTERFACES).prop_map(|name| AddressItem::Interface(name.to_owned())),
        2 => select(["fqdn a.example.com", "list b"].as_slice())
            .prop_map(|text| AddressItem::Unknown(text.to_owned())),
    ];
    if objects == 0 {
        return plain.boxed();
    }
    let named = (0..objects).prop_map(|number| AddressItem::Object(address_name(number)));
    prop_oneof![4 => plain, 1 => named].boxed()
}

/// Masks with and without holes.
const MASKS: &[u32] = &[0xff00_00ff, 0xffff_00ff, 0x0000_0001, 0xffff_ff00, 0xff00_0100];

pub(super) fn network() -> impl Strategy<Value = IpNet> {
    let v4_lengths = select([0u8, 1, 8, 16, 22, 23, 24, 25, 30, 31, 32].as_slice());
    let v6_lengths = select([0u8, 32, 64, 112, 120, 127, 128].as_slice());
    let v4 = (v4(), v4_lengths)
        .prop_filter_map("length", |(address, length)| Ipv4Net::new(address, length).ok())
        .prop_map(|network| IpNet::V4(network.trunc()));
    let v6 = (v6(), v6_lengths)
        .prop_filter_map("length", |(address, length)| Ipv6Net::new(address, length).ok())
        .prop_map(|network| IpNet::V6(network.trunc()));
    prop_oneof![2 => v4, 1 => v6]
}

/// A prefix behind which IPv4 addresses are embedded (RFC 6052 §2.2).
pub(super) fn embedding_prefix() -> impl Strategy<Value = Ipv6Net> {
    let lengths = select([32u8, 40, 48, 56, 64, 96].as_slice());
    (v6(), lengths)
        .prop_filter_map("length", |(address, length)| Ipv6Net::new(address, length).ok())
        .prop_map(|network| network.trunc())
}

fn v4() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        12 => (0u8..4, 0u8..16).prop_map(|(net, host)| Ipv4Addr::new(10, 0, net, host)),
        4 => (0u8..4, any::<u8>()).prop_map(|(net, host)| Ipv4Addr::new(10, 0, net, host)),
        1 => select(V4_EDGES),
    ]
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    prop_oneof![
        12 => (0u16..3, 0u16..16).prop_map(|(net, host)| doc_v6(net, host)),
        4 => (0u16..3, any::<u16>()).prop_map(|(net, host)| doc_v6(net, host)),
        1 => select(V6_EDGES),
    ]
}

/// Where arithmetic on addresses goes wrong first.
const V4_EDGES: &[Ipv4Addr] =
    &[Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST, Ipv4Addr::new(128, 0, 0, 0)];
const V6_EDGES: &[Ipv6Addr] = &[Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX)];

const fn doc_v6(net: u16, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host)
}

/// Service objects, the later ones groups of earlier ones.
pub(super) fn services() -> impl Strategy<Value = Vec<ServiceObject>> {
    let object = |number: usize| {
        vec(placed(service_item(number)), 0..4).prop_map(move |items| ServiceObject {
            name: service_name(number),
            items,
            at: NEVER_AT,
        })
    };
    (object(0), object(1), object(2), object(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

fn service_name(number: usize) -> String {
    format!("service-{number}")
}

/// A member that may name the objects below `objects`.
pub(super) fn service_item(objects: usize) -> BoxedStrategy<ServiceItem> {
    let plain = prop_oneof![
        1 => Just(ServiceItem::Any),
        12 => service_term().prop_map(ServiceItem::Term),
        1 => Just(ServiceItem::ApplicationDefault),
        1 => Just(ServiceItem::Unknown("tcp/dynamic".to_owned())),
    ];
    if objects == 0 {
        return plain.boxed();
    }
    let named = (0..objects).prop_map(|number| ServiceItem::Object(service_name(number)));
    prop_oneof![4 => plain, 1 => named].boxed()
}

fn service_term() -> impl Strategy<Value = ServiceTerm> {
    let icmp = (select([0u8, 3, 8, 128].as_slice()), proptest::option::of(0u8..3))
        .prop_map(|(kind, code)| IcmpMatch { kind, code });
    let src_ports = prop_oneof![3 => Just(PortSet::all()), 1 => ports()];
    let dst_ports = prop_oneof![1 => Just(PortSet::all()), 3 => ports()];
    let icmp = prop_oneof![2 => Just(None), 1 => icmp.prop_map(Some)];
    (protocols(), src_ports, dst_ports, icmp).prop_map(|(protocols, src_ports, dst_ports, icmp)| {
        ServiceTerm { protocols, src_ports, dst_ports, icmp }
    })
}

fn protocols() -> impl Strategy<Value = ProtocolSet> {
    let one = select(
        [Protocol::TCP, Protocol::UDP, Protocol::ICMP, Protocol::ICMPV6, Protocol::GRE].as_slice(),
    );
    prop_oneof![
        8 => one.clone().prop_map(ProtocolSet::single),
        2 => vec(one, 0..3).prop_map(|several| several.into_iter().collect()),
        1 => Just(ProtocolSet::ALL),
        1 => Just(ProtocolSet::single(Protocol::TCP).complement()),
    ]
}

fn ports() -> impl Strategy<Value = PortSet> {
    let port = select([0u16, 1, 53, 79, 80, 81, 443, 1023, 1024, 65_534, 65_535].as_slice());
    let range = (port.clone(), port)
        .prop_filter_map("order", |(a, b)| PortRange::new(a.min(b), a.max(b)).ok());
    prop_oneof![
        4 => vec(range, 0..3).prop_map(|ranges| ranges.into_iter().collect()),
        1 => any::<u16>().prop_map(PortSet::single),
    ]
}

/// The applications rules may name: one that ends in another, one no signature knows, a group.
pub(super) fn applications() -> Vec<ApplicationObject> {
    let to = |protocol, port| {
        ServiceTerm::to_ports(ProtocolSet::single(protocol), PortSet::single(port))
    };
    let application = |name: &str, identified_as: &[&str], default_services| ApplicationObject {
        name: name.to_owned(),
        identified_as: identified_as.iter().map(|name| (*name).to_owned()).collect(),
        default_services,
        ..ApplicationObject::default()
    };
    let members = ["web", "dns"].map(|name| At::new(name.to_owned(), NEVER_AT)).into();
    vec![
        application("web", &["http", "tls"], vec![to(Protocol::TCP, 80), to(Protocol::TCP, 443)]),
        application("dns", &["dns"], vec![to(Protocol::UDP, 53), to(Protocol::TCP, 53)]),
        ApplicationObject {
            implicit: vec!["web".to_owned()],
            ..application("video", &["video"], vec![to(Protocol::TCP, 443)])
        },
        application("in-house", &[], Vec::new()),
        ApplicationObject { members, ..application("office", &[], Vec::new()) },
    ]
}

/// The names of [`applications`].
pub(super) const APPLICATIONS: &[&str] = &["web", "dns", "video", "in-house", "office"];

/// One category with patterns; rules name another one that has none.
pub(super) fn url_categories() -> Vec<UrlCategory> {
    let patterns = vec![At::new("*.example.com".to_owned(), NEVER_AT)];
    vec![UrlCategory { name: "intranet".to_owned(), patterns, at: NEVER_AT }]
}

/// Category names; the second is not defined, so only its vendor could tell it.
pub(super) const CATEGORIES: &[&str] = &["intranet", "gambling"];

/// A weekly schedule, an absolute one, and one that is never on.
pub(super) fn schedules() -> Vec<Schedule> {
    let schedule =
        |name: &str| Schedule { name: name.to_owned(), at: NEVER_AT, ..Schedule::default() };
    let (opens, closes) = (8 * 3600, 18 * 3600);
    let tuesday = 24 * 3600;
    vec![
        Schedule {
            weekly: vec![(opens, closes), (tuesday + opens, tuesday + closes)],
            ..schedule("office-hours")
        },
        Schedule {
            absolute: vec![(Timestamp::from_secs(1_000_000), Timestamp::from_secs(2_000_000))],
            ..schedule("migration")
        },
        schedule("never"),
    ]
}

/// The names of [`schedules`].
pub(super) const SCHEDULES: &[&str] = &["office-hours", "migration", "never"];

/// The host address of an interface, and its network.
pub(super) fn interface_networks(number: u8) -> Vec<IpNet> {
    let v4 = Ipv4Net::new(Ipv4Addr::new(10, 0, number, 1), 24).map(IpNet::V4);
    let v6 = Ipv6Net::new(doc_v6(u16::from(number), 1), 64).map(IpNet::V6);
    [v4.ok(), v6.ok()].into_iter().flatten().collect()
}

/// An address inside the universe, for pools.
pub(super) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![2 => v4().prop_map(IpAddr::V4), 1 => v6().prop_map(IpAddr::V6)]
}

/// `value` without a place of its own; spans that matter are given out when a firewall is put
/// together.
pub(super) fn placed<T: std::fmt::Debug>(
    value: impl Strategy<Value = T>,
) -> impl Strategy<Value = At<T>> {
    value.prop_map(|value| At::new(value, Span::default()))
}
