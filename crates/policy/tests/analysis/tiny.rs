//! A universe so small that every packet in it can be tried: a rule never decides, or shares packets
//! with one of the opposite verdict above it, exactly when that is reported.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::{PortRange, Protocol, TcpFlags, Timestamp};
use parefeu_policy::analysis::{FindingKind, RuleReference};
use parefeu_policy::set::{IdSet, MaskedAddress, PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressMatch, ApplicationId, ApplicationObject, At, ConnectionState,
    Firewall, IcmpMatch, Identified, Knowledge, LinkedFirewall, Match, Names, PacketKey, Rule,
    RuleBase, Schedule, ServiceItem, ServiceTerm, Span, StateSet, TcpFlagMatch, UserId,
    UserKnowledge, Zone, ZoneId, ZoneRelation,
};
use parefeu_testkit::firewalls;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Turn, findings, rules_of, says_never};

fn at<T>(value: T) -> At<T> {
    At::new(value, Span::default())
}

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, last).into()
}

/// Items that tell at most the addresses of [`ADDRESSES`] apart.
fn addresses() -> impl Strategy<Value = AddressMatch> {
    let network = |text: &str| text.parse().map_or(AddressItem::Any, AddressItem::Network);
    let odd = MaskedAddress::new(Ipv4Addr::new(0, 0, 0, 1), Ipv4Addr::new(0, 0, 0, 1));
    let ten_odd = MaskedAddress::new(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(255, 255, 255, 1));
    let items = vec![
        AddressItem::Any,
        AddressItem::AnyV4,
        AddressItem::AnyV6,
        network("10.0.0.0/31"),
        network("10.0.0.2/31"),
        network("10.0.0.0/8"),
        AddressItem::Range(host(1), host(2)),
        AddressItem::Range(host(3), Ipv4Addr::BROADCAST.into()),
        AddressItem::Range(Ipv4Addr::UNSPECIFIED.into(), host(2)),
        AddressItem::Masked(odd),
        AddressItem::Masked(ten_odd),
        AddressItem::Unknown("fqdn a.example.com".to_owned()),
    ];
    let item = select(items).prop_map(at);
    let negated = prop_oneof![4 => Just(false), 1 => Just(true)];
    (vec(item, 0..3), negated).prop_map(|(items, negated)| AddressMatch { items, negated })
}

/// One address of each kind that rules can tell apart.
fn every_address() -> Vec<IpAddr> {
    let v4 = [
        [9, 9, 9, 8],
        [9, 9, 9, 9],
        [10, 0, 0, 0],
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        [10, 0, 0, 3],
        [10, 0, 0, 4],
        [10, 0, 0, 5],
        [10, 0, 1, 0],
        [10, 0, 1, 1],
        [11, 0, 0, 0],
        [11, 0, 0, 1],
    ];
    v4.map(IpAddr::from).into_iter().chain([Ipv6Addr::LOCALHOST.into()]).collect()
}

fn services() -> impl Strategy<Value = Vec<At<ServiceItem>>> {
    let (tcp, udp) = (ProtocolSet::single(Protocol::TCP), ProtocolSet::single(Protocol::UDP));
    let icmp = ProtocolSet::single(Protocol::ICMP);
    let range = |first, last| PortRange::new(first, last).map_or(PortSet::none(), PortSet::from);
    let to = |protocols, first, last| {
        ServiceItem::Term(ServiceTerm::to_ports(protocols, range(first, last)))
    };
    let echo = |code| {
        let icmp_match = Some(IcmpMatch { kind: 8, code });
        ServiceItem::Term(ServiceTerm { icmp: icmp_match, ..ServiceTerm::protocols(icmp) })
    };
    let items = vec![
        ServiceItem::Any,
        ServiceItem::ApplicationDefault,
        ServiceItem::Unknown("tcp/dynamic".to_owned()),
        ServiceItem::Term(ServiceTerm::protocols(tcp)),
        ServiceItem::Term(ServiceTerm::protocols(tcp.complement())),
        to(tcp, 80, 80),
        to(tcp, 0, 80),
        to(tcp, 81, 65_535),
        to(tcp.union(udp), 80, 81),
        to(udp, 0, 81),
        echo(None),
        echo(Some(0)),
        ServiceItem::Term(ServiceTerm::protocols(icmp)),
    ];
    vec(select(items).prop_map(at), 0..3)
}

/// Protocol, destination port, ICMP type and code, TCP flags.
type Transport = (Protocol, u16, Option<(u8, u8)>, Option<TcpFlags>);

/// One of each kind that rules can tell apart.
fn transports() -> Vec<Transport> {
    let mut found = vec![(Protocol::GRE, 0, None, None)];
    for port in [79, 80, 81, 82] {
        let flags = [TcpFlags::SYN, TcpFlags::ACK];
        found.extend(flags.map(|flags| (Protocol::TCP, port, None, Some(flags))));
        found.push((Protocol::UDP, port, None, None));
    }
    found.extend([(8, 0), (8, 1), (0, 0)].map(|icmp| (Protocol::ICMP, 0, Some(icmp), None)));
    found
}

/// A condition besides addresses and services.
#[derive(Clone, Debug)]
enum Condition {
    Nothing,
    Zones(Names, Names, ZoneRelation),
    Applications(Names),
    Users(Names),
    States(StateSet),
    Flags(bool),
    Schedule(&'static str),
    Unknown,
}

fn condition() -> impl Strategy<Value = Condition> {
    let names = |known: &'static [&'static str]| {
        let listed = vec(select(known).prop_map(|name| at(name.to_owned())), 0..3);
        prop_oneof![
            1 => Just(Names::Any),
            3 => listed.clone().prop_map(Names::OneOf),
            1 => listed.prop_map(Names::NoneOf),
        ]
    };
    let relation =
        select([ZoneRelation::Any, ZoneRelation::Intrazone, ZoneRelation::Interzone].as_slice());
    let new = StateSet::NONE.with(ConnectionState::New);
    let states = select(vec![new, new.complement(), StateSet::NONE]);
    prop_oneof![
        4 => Just(Condition::Nothing),
        2 => (names(&["inside", "outside"]), names(&["inside", "outside"]), relation)
            .prop_map(|(from, to, relation)| Condition::Zones(from, to, relation)),
        2 => names(&["web", "dns"]).prop_map(Condition::Applications),
        1 => names(&["alice", "bob"]).prop_map(Condition::Users),
        1 => states.prop_map(Condition::States),
        1 => any::<bool>().prop_map(Condition::Flags),
        1 => select(["work", "rest", "once", "never"].as_slice()).prop_map(Condition::Schedule),
        1 => Just(Condition::Unknown),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let any_address = || prop_oneof![1 => Just(AddressMatch::any()), 2 => addresses()];
    let any_service = prop_oneof![1 => Just(vec![at(ServiceItem::Any)]), 2 => services()];
    let actions = [Action::Allow, Action::Deny, Action::Drop, Action::Return, Action::Continue];
    (any_address(), any_address(), any_service, condition(), select(actions.to_vec())).prop_map(
        |(src, dst, services, condition, action)| {
            let mut matches = Match { src, dst, services, ..Match::default() };
            match condition {
                Condition::Nothing => {}
                Condition::Zones(from, to, relation) => {
                    (matches.from, matches.to, matches.relation) = (from, to, relation);
                }
                Condition::Applications(names) => matches.applications = names,
                Condition::Users(names) => matches.users = names,
                Condition::States(states) => matches.states = states,
                Condition::Flags(negated) => {
                    let (mask, value) = (TcpFlags::SYN.0, TcpFlags::SYN.0);
                    matches.tcp_flags = vec![TcpFlagMatch { mask, value, negated }];
                }
                Condition::Schedule(name) => matches.schedule = Some(at(name.to_owned())),
                Condition::Unknown => matches.unknown = vec![at("-m limit".to_owned())],
            }
            Rule { matches, action, ..Rule::default() }
        },
    )
}

/// A rule that allows or refuses whatever goes to any destination: many of them share packets.
fn wide_rule() -> impl Strategy<Value = Rule> {
    let actions = select([Action::Allow, Action::Deny, Action::Drop].as_slice());
    (rule(), any::<bool>(), actions).prop_map(|(mut rule, any_service, action)| {
        rule.matches.dst = AddressMatch::any();
        if any_service {
            rule.matches.services = vec![at(ServiceItem::Any)];
        }
        Rule { action, ..rule }
    })
}

fn firewall(rules: Vec<Rule>) -> Firewall {
    let zone = |name: &str| Zone { name: name.to_owned(), at: Span::default() };
    let application = |name: &str, protocol, port| ApplicationObject {
        name: name.to_owned(),
        identified_as: vec![name.to_owned()],
        default_services: vec![ServiceTerm::to_ports(
            ProtocolSet::single(protocol),
            PortSet::single(port),
        )],
        ..ApplicationObject::default()
    };
    let schedule = |name: &str, weekly: &[(u32, u32)], absolute: &[(u64, u64)]| Schedule {
        name: name.to_owned(),
        weekly: weekly.to_vec(),
        absolute: absolute
            .iter()
            .map(|&(from, to)| (Timestamp::from_secs(from), Timestamp::from_secs(to)))
            .collect(),
        at: Span::default(),
    };
    Firewall {
        zones: vec![zone("inside"), zone("outside")],
        applications: vec![
            application("web", Protocol::TCP, 80),
            application("dns", Protocol::UDP, 81),
        ],
        schedules: vec![
            schedule("work", &[(0, 432_000)], &[]),
            schedule("rest", &[(432_000, 604_800)], &[]),
            schedule("once", &[], &[(0, 86_400)]),
            schedule("never", &[], &[]),
        ],
        rule_bases: vec![RuleBase { name: "main".to_owned(), rules, ..RuleBase::default() }],
        ..Firewall::default()
    }
}

/// The packets that tell the rules of a firewall apart, and all that can be known about them: a
/// field that no rule compares has one value.
struct Universe {
    addresses: Vec<(IpAddr, IpAddr)>,
    zones: Vec<(Option<ZoneId>, Option<ZoneId>)>,
    times: Vec<Timestamp>,
    states: Vec<ConnectionState>,
    applications: Vec<Option<ApplicationId>>,
    users: Vec<Option<UserId>>,
}

impl Universe {
    fn of(firewall: &LinkedFirewall) -> Self {
        let all = every_address();
        let rules =
            || firewall.rules.iter().filter(|rule| !rule.disabled).map(|rule| &rule.matches);
        let addresses = pairs(&all, &all).filter(|(a, b)| a.is_ipv4() == b.is_ipv4());
        let zone = if rules()
            .any(|it| it.relation != ZoneRelation::Any || !it.from.is_any() || !it.to.is_any())
        {
            vec![None, Some(ZoneId(0)), Some(ZoneId(1))]
        } else {
            vec![Some(ZoneId(0))]
        };
        // The epoch is a Thursday: within `once` and `work`; then `rest`; then `work` alone.
        let days: &[u64] = if rules().any(|it| it.schedule.is_some()) { &[0, 3, 5] } else { &[0] };
        let states: &[ConnectionState] = if rules().any(|it| it.states != StateSet::ALL) {
            &[ConnectionState::New, ConnectionState::Established]
        } else {
            &[ConnectionState::New]
        };
        let named = rules().any(parefeu_policy::LinkedMatch::needs_identification);
        let ids = if named { vec![None, Some(0), Some(1)] } else { vec![None] };
        let users = (0..firewall.users.len() as u32).map(|id| Some(UserId(id)));
        Self {
            addresses: addresses.map(|(a, b)| (*a, *b)).collect(),
            zones: pairs(&zone, &zone).map(|(a, b)| (*a, *b)).collect(),
            times: days.iter().map(|day| Timestamp::from_secs(day * 86_400)).collect(),
            states: states.to_vec(),
            applications: ids.iter().map(|id| id.map(ApplicationId)).collect(),
            users: std::iter::once(None).chain(users).collect(),
        }
    }

    /// Whether something holds for some packet and what may be known about it.
    fn any(&self, mut holds: impl FnMut(&PacketKey, &Knowledge<'_>) -> bool) -> bool {
        let no_category = IdSet::only([]);
        self.keys().any(|key| {
            pairs(&self.applications, &self.users).any(|(application, user)| {
                let known = Knowledge {
                    application: Identified::Finally(*application),
                    url_categories: Some(&no_category),
                    categories_stated: true,
                    users: UserKnowledge::Mapped(user.as_slice()),
                };
                holds(&key, &known)
            })
        })
    }

    /// Every packet.
    fn keys(&self) -> impl Iterator<Item = PacketKey> {
        let places = pairs(&self.addresses, &self.zones);
        let moments = pairs(&self.times, &self.states).collect::<Vec<_>>();
        let transports = pairs(transports(), moments).collect::<Vec<_>>();
        let all = places.flat_map(move |place| {
            transports.clone().into_iter().map(move |transport| (place, transport))
        });
        all.map(|((addresses, zones), (transport, (time, state)))| {
            let (protocol, dst_port, icmp, tcp_flags) = transport;
            PacketKey {
                ingress: None,
                egress: None,
                from: zones.0,
                to: zones.1,
                src: addresses.0,
                dst: addresses.1,
                protocol,
                src_port: 1000,
                dst_port,
                icmp,
                tcp_flags,
                state: *state,
                device: None,
                time: *time,
            }
        })
    }
}

fn pairs<A: Copy, B: Copy>(
    a: impl IntoIterator<Item = A>,
    b: impl IntoIterator<Item = B> + Clone,
) -> impl Iterator<Item = (A, B)> {
    a.into_iter().flat_map(move |a| b.clone().into_iter().map(move |b| (a, b)))
}

/// Whether a rule of the only rule base has its turn for some packet: surely, or perhaps while
/// every field it names is stated.
fn has_its_turn(firewall: &Firewall, rule: usize) -> bool {
    let turn = Turn::of(firewall, 0, rule);
    let Match { from, to, relation, .. } = &firewall.rule_bases[0].rules[rule].matches;
    let relates = *relation != ZoneRelation::Any;
    let (names_from, names_to) = (relates || *from != Names::Any, relates || *to != Names::Any);
    Universe::of(&turn.firewall).any(|key, known| {
        let (surely, perhaps) = turn.comes(key, known);
        let is_stated = (key.from.is_some() || !names_from) && (key.to.is_some() || !names_to);
        surely || perhaps && is_stated
    })
}

/// The firewall with all rules switched off but some.
fn only(firewall: &Firewall, rules: &[usize]) -> Firewall {
    let mut only = firewall.clone();
    for (position, rule) in only.rule_bases[0].rules.iter_mut().enumerate() {
        rule.disabled = !rules.contains(&position);
    }
    only
}

/// Whether some packet is surely matched by each of two rules.
fn share_a_packet(firewall: &Firewall, pair: [usize; 2]) -> bool {
    let turns = pair.map(|rule| Turn::of(&only(firewall, &[rule]), 0, rule));
    let universe = Universe::of(&firewalls::linked(&only(firewall, &pair)));
    universe.any(|key, known| turns.iter().all(|turn| turn.comes(key, known).0))
}

/// Whether one of two rules allows and the other one refuses.
fn oppose(one: &Rule, other: &Rule) -> bool {
    let refuses = |rule: &Rule| matches!(rule.action, Action::Deny | Action::Drop);
    let allows = |rule: &Rule| rule.action == Action::Allow;
    allows(one) && refuses(other) || refuses(one) && allows(other)
}

/// Whether a rule compares the last bit of an address and no other.
fn is_wild(rule: &Rule) -> bool {
    let is_last_bit = |item: &At<AddressItem>| {
        matches!(item.value, AddressItem::Masked(MaskedAddress { mask: 1, .. }))
    };
    let Match { src, dst, applications, url_categories, users, .. } = &rule.matches;
    let is_negated = |names: &&Names| matches!(names, Names::NoneOf(_));
    [src, dst].iter().any(|side| side.items.iter().any(is_last_bit))
        || [applications, url_categories, users].iter().any(is_negated)
}

/// Whether a rule surely matches every packet of an address family: of such nothing is a part.
fn is_everything(firewall: &Firewall, rule: usize) -> bool {
    let turn = Turn::of(&only(firewall, &[rule]), 0, rule);
    let universe = Universe::of(&turn.firewall);
    [true, false]
        .into_iter()
        .any(|v4| !universe.any(|key, known| key.src.is_ipv4() == v4 && !turn.comes(key, known).0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn exactly_the_rules_that_never_decide_are_reported(rules in vec(rule(), 1..6)) {
        let firewall = firewall(rules);
        let found = findings(&firewall);
        let never = rules_of(&found, 0, says_never);
        let open = rules_of(&found, 0, |it| it.kind == FindingKind::NotDecided);
        for rule in 0..firewall.rule_bases[0].rules.len() {
            let (said, expected) = (never.contains(&rule), !has_its_turn(&firewall, rule));
            let undecided = expected && open.contains(&rule);
            prop_assert!(
                said == expected || undecided,
                "rule {rule} {} never decides\n{found:#?}\n{:#?}",
                if expected { "truly" } else { "does not" },
                firewall.rule_bases[0].rules
            );
        }
    }

    #[test]
    fn exactly_the_rules_that_overlap_with_opposite_verdicts_are_reported(
        rules in vec(wide_rule(), 2..6),
    ) {
        let firewall = firewall(rules);
        let found = findings(&firewall);
        prop_assume!(found.iter().all(|it| it.kind != FindingKind::NotDecided));
        let rules = &firewall.rule_bases[0].rules;
        for below in (0..rules.len()).filter(|rule| !is_everything(&firewall, *rule)) {
            let partly = found.iter().filter(|it| {
                let about = |rule: &RuleReference| rule.position == below;
                it.kind == FindingKind::PartlyShadowed && it.rules.iter().any(about)
            });
            let mut said: Vec<usize> =
                partly.flat_map(|it| &it.by).map(|rule| rule.position).collect();
            said.sort_unstable();
            let lives = has_its_turn(&firewall, below);
            let expected: Vec<usize> = (0..below)
                .filter(|above| {
                    lives
                        && oppose(&rules[*above], &rules[below])
                        && has_its_turn(&firewall, *above)
                        && share_a_packet(&firewall, [*above, below])
                })
                .collect();
            // Of a pattern too wild to be written as ranges, and of a negated list of what a
            // session may have several of, only a part is known.
            let known = |above: &usize| {
                said.contains(above) || ![*above, below].iter().any(|it| is_wild(&rules[*it]))
            };
            let expected: Vec<usize> = expected.into_iter().filter(known).collect();
            prop_assert_eq!(&said, &expected, "of rule {}\n{:#?}\n{:#?}", below, found, rules);
        }
    }
}
