use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::set::{MaskedAddress, PortSet, ProtocolSet};
use crate::{
    Action, AddressItem, AddressMatch, AddressObject, At, ConnectionState, IcmpMatch, Layer, Match,
    Names, NatMapping, NatRule, NatTable, PortTranslation, Profile, Rule, RuleBase, Schedule, Sees,
    ServiceItem, ServiceObject, ServiceTerm, StateSet, TcpFlagMatch, Translation, Zone,
    ZoneRelation, link,
};

/// Reads `text` and compares what is reported, each problem as `line:column code: message`, with
/// its help behind ` / `.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let source = Source::new("t", text);
    let (firewall, problems) = read(source.clone());
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            let (line, column) = source.position(problem.at.unwrap_or_default().start);
            let help = problem.help.as_ref().map_or(String::new(), |help| format!(" / {help}"));
            format!("{line}:{column} {}: {}{help}", problem.code, problem.message)
        })
        .collect();
    assert_eq!(shown, expected, "\n{text}");
    assert_eq!(firewall.is_none(), problems.has_errors());
}

/// A firewall's debug form without places.
fn shape(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let mut parts = text.split("Span {");
    let mut shape = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        shape.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
    }
    shape
}

#[test]
fn every_problem_is_reported_with_its_place() {
    check("name = \"a", &["1:10 syntax: invalid basic string, expected `\"`"]);
    let text = r#"
[behaviour]
preset = "linx"
tcp-establised = 3600
[[zone]]
nam = "inside"
[[rule_base]]
name = "r"
[[rule_base.rule]]
souce = ["192.0.2.0/24"]
destination = 7
service = ["tcp/99999", "gre/1"]
state = "ne"
action = "alow"
"#;
    check(
        text,
        &[
            "3:10 bad-value: unknown preset `linx` / did you mean `linux`?",
            "4:1 unknown-key: unknown setting `tcp-establised` / did you mean `tcp-established`?",
            "5:1 missing-key: a zone needs `name`",
            "6:1 unknown-key: unknown key `nam` in a zone / did you mean `name`?",
            "10:1 unknown-key: unknown key `souce` in a rule / did you mean `source`?",
            "11:15 wrong-type: `destination` has type integer: expected a string or a list of strings",
            "12:12 bad-value: `tcp/99999` is not a service / ports are written `443`, `53,5353`, \
             `1024-65535`, `any` or `none`",
            "12:25 bad-value: `gre/1` is not a service / only tcp, udp, sctp, dccp and udplite have \
             ports, only icmp and icmpv6 have types",
            "13:9 bad-value: unknown state `ne` / did you mean `new`?",
            "14:10 bad-value: unknown action `alow` / did you mean `allow`?",
        ],
    );
}

#[test]
fn a_name_that_looks_like_a_value_has_to_be_marked() {
    let text = |service: &str| {
        format!(
            "[[service]]\nname = \"rdp\"\nitems = [\"tcp/3389\"]\n[[rule_base]]\nname = \"r\"\n\
             [[rule_base.rule]]\nservice = \"{service}\"\naction = \"allow\"\n"
        )
    };
    check(
        &text("rdp"),
        &["7:11 ambiguous-name: `rdp` is a value of its own and the name of an object / write \
           `=rdp` for the object, `literal:rdp` for the value"],
    );
    for (service, expected) in [
        ("=rdp", ServiceItem::Object("rdp".to_owned())),
        ("literal:rdp", ServiceItem::Term(ServiceTerm::protocols(protocols(&[27])))),
    ] {
        let (firewall, problems) = read(Source::new("t", &text(service)));
        assert!(problems.is_empty(), "{problems:?}");
        let items = &firewall.unwrap().rule_bases[0].rules[0].matches.services;
        assert_eq!(items[0].value, expected);
    }
}

#[test]
fn host_bits_are_named() {
    check(
        "[[address]]\nname = \"a\"\nitems = \"192.0.2.1/24\"",
        &["3:9 host-bits: `192.0.2.1/24` has bits outside its prefix: read as `192.0.2.0/24`"],
    );
}

#[test]
fn a_rule_is_cited_from_its_header_to_its_last_value() {
    let text = "[[rule_base]]\nname = \"r\"\n[[rule_base.rule]]\naction = \"allow\"\nlog = true\n";
    let (firewall, _) = read(Source::new("t", text));
    let rule = &firewall.unwrap().rule_bases[0].rules[0];
    assert_eq!(
        &text[rule.at.start as usize..rule.at.end as usize],
        "[[rule_base.rule]]\naction = \"allow\"\nlog = true"
    );
}

#[test]
fn schedules_wrap_over_midnight_and_the_end_of_the_week() {
    for (text, expected) in [
        ("mon 08:00-18:00", vec![(28_800, 64_800)]),
        ("sun 22:00-06:00", vec![(597_600, 604_800), (0, 21_600)]),
        ("sat,sun 00:00-24:00", vec![(432_000, 518_400), (518_400, 604_800)]),
        ("fri 18:00 - mon 08:00:30", vec![(410_400, 604_800), (0, 28_830)]),
        ("sun-mon 00:00-00:01", vec![(518_400, 518_460), (0, 60)]),
    ] {
        assert_eq!(schedule::read_weekly(text), Some(expected), "{text}");
    }
    for text in ["", "mon", "mon 08:00", "mon 25:00-26:00", "xyz 08:00-09:00", "mon 8-9-10"] {
        assert_eq!(schedule::read_weekly(text), None, "{text}");
    }
}

fn protocols(numbers: &[u8]) -> ProtocolSet {
    numbers.iter().map(|number| parefeu_net::Protocol(*number)).collect()
}

const NAMES: [&str; 6] = ["web", "192.0.2.1", "rdp", "any", "=x", "literal:any"];

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

fn at<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = At<T>> {
    value.prop_map(|value| At::new(value, Span::default()))
}

fn network() -> impl Strategy<Value = ipnet::IpNet> {
    prop_oneof![
        (any::<u32>(), 0u8..=32).prop_map(|(bits, length)| {
            let net = ipnet::Ipv4Net::new(bits.into(), length).expect("a length up to 32");
            ipnet::IpNet::V4(net.trunc())
        }),
        (any::<u128>(), 0u8..=128).prop_map(|(bits, length)| {
            let net = ipnet::Ipv6Net::new(bits.into(), length).expect("a length up to 128");
            ipnet::IpNet::V6(net.trunc())
        }),
    ]
}

fn address() -> impl Strategy<Value = AddressItem> {
    prop_oneof![
        Just(AddressItem::Any),
        Just(AddressItem::AnyV4),
        Just(AddressItem::AnyV6),
        Just(AddressItem::Network("192.0.2.1/32".parse().expect("a host"))),
        network().prop_map(AddressItem::Network),
        (1u32..99, 99u32..).prop_map(|(a, b)| {
            let host = |bits| std::net::IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
            AddressItem::Range(host(a), host(b))
        }),
        (any::<u32>(), any::<u32>()).prop_map(|(value, mask)| {
            AddressItem::Masked(MaskedAddress { value: value & mask, mask })
        }),
        name().prop_map(AddressItem::Interface),
        name().prop_map(AddressItem::Object),
        "\\PC{0,12}".prop_map(AddressItem::Unknown),
    ]
}

fn ports() -> impl Strategy<Value = PortSet> {
    prop_oneof![
        2 => Just(PortSet::all()),
        1 => Just(PortSet::none()),
        2 => proptest::collection::vec((0u16..99, 99u16..), 1..3).prop_map(|ranges| {
            let range = |(a, b)| parefeu_net::PortRange::new(a, b).expect("a is below b");
            ranges.into_iter().map(range).collect()
        }),
    ]
}

fn term() -> impl Strategy<Value = ServiceTerm> {
    let set = prop_oneof![
        4 => proptest::sample::select(vec![1u8, 6, 17, 27, 58, 132, 253])
            .prop_map(|number| protocols(&[number])),
        1 => Just(ProtocolSet::ALL),
        1 => Just(protocols(&[6, 17])),
        1 => Just(protocols(&[6]).complement()),
        1 => Just(ProtocolSet::NONE),
    ];
    let icmp = (any::<u8>(), any::<Option<u8>>()).prop_map(|(kind, code)| IcmpMatch { kind, code });
    let icmp = proptest::option::of(icmp);
    (set, ports(), ports(), icmp).prop_map(|(protocols, src_ports, dst_ports, icmp)| ServiceTerm {
        protocols,
        src_ports,
        dst_ports,
        icmp,
    })
}

fn service() -> impl Strategy<Value = ServiceItem> {
    prop_oneof![
        1 => Just(ServiceItem::Any),
        4 => term().prop_map(|term| {
            // The term that is every packet is written, and read, as `any`.
            let every = term == ServiceTerm::protocols(ProtocolSet::ALL);
            if every { ServiceItem::Any } else { ServiceItem::Term(term) }
        }),
        1 => name().prop_map(ServiceItem::Object),
        1 => Just(ServiceItem::ApplicationDefault),
        1 => "\\PC{0,12}".prop_map(ServiceItem::Unknown),
    ]
}

fn names() -> impl Strategy<Value = Names> {
    let listed = || proptest::collection::vec(at("[a-z!=]{0,3}[a-z]"), 0..3);
    prop_oneof![
        2 => Just(Names::Any),
        1 => listed().prop_map(Names::OneOf),
        1 => listed().prop_map(Names::NoneOf),
    ]
}

fn addresses() -> impl Strategy<Value = AddressMatch> {
    (proptest::collection::vec(at(address()), 0..3), any::<bool>())
        .prop_map(|(items, negated)| AddressMatch { items, negated })
}

fn matches() -> impl Strategy<Value = Match> {
    let states = proptest::collection::vec(0usize..5, 0..5).prop_map(|states| {
        states.iter().fold(StateSet::NONE, |set, state| set.with(ConnectionState::ALL[*state]))
    });
    let flags = (any::<u8>(), any::<u8>(), any::<bool>())
        .prop_map(|(mask, value, negated)| TcpFlagMatch { mask, value: value & mask, negated });
    let relation = proptest::sample::select(vec![
        ZoneRelation::Any,
        ZoneRelation::Intrazone,
        ZoneRelation::Interzone,
    ]);
    let list = 0..3usize;
    (
        (names(), names(), names(), names(), names(), names(), names(), relation),
        (addresses(), addresses(), proptest::collection::vec(at(service()), list.clone())),
        (states, proptest::collection::vec(flags, list.clone())),
        proptest::option::of(at(name())),
        proptest::collection::vec(at("\\PC{0,9}"), list.clone()),
        proptest::collection::vec(any::<[u8; 6]>().prop_map(parefeu_net::MacAddress), list),
    )
        .prop_map(
            |(names, (src, dst, services), (states, tcp_flags), schedule, unknown, devices)| {
                let (ingress, egress, from, to, applications, url_categories, users, relation) =
                    names;
                Match {
                    ingress,
                    egress,
                    from,
                    to,
                    relation,
                    src,
                    dst,
                    services,
                    states,
                    tcp_flags,
                    applications,
                    url_categories,
                    users,
                    devices,
                    schedule,
                    unknown,
                }
            },
        )
}

fn action() -> impl Strategy<Value = Action> {
    let mut actions = rule::ACTIONS.map(|(_, action)| action).to_vec();
    actions.extend([Action::Jump("any".to_owned()), Action::Goto("=x".to_owned())]);
    proptest::sample::select(actions)
}

fn rule() -> impl Strategy<Value = Rule> {
    (name(), matches(), action(), any::<[bool; 3]>(), "\\PC{0,12}").prop_map(
        |(name, matches, action, [disabled, implied, log], description)| Rule {
            name,
            disabled,
            implied,
            matches,
            action,
            log,
            profiles: vec!["strict \"A\"".to_owned()],
            description,
            ..Rule::default()
        },
    )
}

fn nat() -> impl Strategy<Value = NatTable> {
    let port = prop_oneof![
        Just(PortTranslation::Keep),
        (any::<u16>(), any::<u16>()).prop_map(|(from, to)| PortTranslation::Shift { from, to }),
        any::<u16>().prop_map(PortTranslation::To),
        ports().prop_map(PortTranslation::Allocate),
    ];
    let pool = proptest::collection::vec(at(address()), 0..3);
    let translation = prop_oneof![
        Just(Translation::Keep),
        Just(Translation::EgressInterface),
        (network(), port.clone()).prop_map(|(to, port)| Translation::Prefix { to, port }),
        (pool, port).prop_map(|(to, port)| Translation::Pool { to, port }),
    ];
    let rule = (name(), any::<bool>(), matches(), translation).prop_map(
        |(name, disabled, matches, translation)| NatRule {
            name,
            disabled,
            matches,
            translation,
            ..NatRule::default()
        },
    );
    let sees = proptest::sample::select(vec![Sees::Original, Sees::Translated]);
    (proptest::collection::vec(rule, 0..2), sees).prop_map(|(rules, sees)| NatTable { rules, sees })
}

prop_compose! {
    fn firewall()(
        rules in proptest::collection::vec(rule(), 0..3),
        items in proptest::collection::vec(at(address()), 0..3),
        except in proptest::collection::vec(at(address()), 0..2),
        services in proptest::collection::vec(at(service()), 0..3),
        default in proptest::option::of(action()),
        (destination_nat, source_nat) in (nat(), nat()),
        (from, length) in (0u32..604_800, 1u32..604_800),
        (millis, layer_default) in (0u64..9_000_000, action()),
    ) -> Firewall {
        let mut firewall = Firewall {
            name: "é \"x\"\u{1}".to_owned(),
            dialect: "parefeu",
            zones: vec![Zone { name: "z".to_owned(), at: Span::default() }],
            addresses: vec![AddressObject {
                name: "192.0.2.1".to_owned(), items, except, at: Span::default(),
            }],
            services: vec![
                ServiceObject { name: "rdp".to_owned(), items: services, at: Span::default() },
            ],
            profiles: vec![Profile {
                name: "strict \"A\"".to_owned(),
                definition: "\"virus\" {\n}".to_owned(),
                at: Span::default(),
            }],
            schedules: vec![Schedule {
                name: "any".to_owned(),
                weekly: vec![(from, (from + length).min(604_800))],
                ..Schedule::default()
            }],
            rule_bases: vec![RuleBase {
                name: "r".to_owned(), rules, default, at: Span::default(),
            }],
            layers: vec![Layer {
                name: "l".to_owned(),
                rule_base: At::new("r".to_owned(), Span::default()),
                default: layer_default,
                sees_src: Sees::Translated,
                sees_dst: Sees::Original,
                before_sessions: millis % 2 == 1,
            }],
            destination_nat,
            source_nat,
            ..Firewall::default()
        };
        firewall.behaviour.timers.udp = Duration::from_millis(millis);
        firewall.behaviour.nat_mapping = NatMapping::ALL[millis as usize % 3];
        firewall
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_firewall_written_reads_back_the_same(firewall in firewall()) {
        let text = write(&firewall);
        let (again, problems) = read(Source::new("t", &text));
        prop_assert!(problems.is_empty(), "{problems:?}\n{text}");
        let mut again = again.unwrap();
        again.sources = Sources::default();
        let (mut before, mut after) = (Diagnostics::default(), Diagnostics::default());
        let linked = (link(&firewall, &mut before), link(&again, &mut after));
        prop_assert_eq!(shape(&linked.0), shape(&linked.1), "{}", text);
        prop_assert_eq!(shape(&before), shape(&after), "{}", text);
        prop_assert_eq!(shape(&firewall), shape(&again), "{}", text);
    }

    #[test]
    fn no_text_panics(text in "(\\PC|[\\[\\]\"'{}=,\\n#.]|rule_base|name|action){0,60}") {
        let (firewall, problems) = read(Source::new("t", &text));
        prop_assert_eq!(firewall.is_none(), problems.has_errors());
    }
}
