//! Rules, translations and what they match.

use parefeu_net::{MacAddress, PortRange};
use parefeu_policy::set::PortSet;
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, ConnectionState, Match, Names, NatRule, NatTable,
    PortTranslation, ResetSide, Rule, RuleBase, Sees, ServiceItem, StateSet, TcpFlagMatch,
    Translation, ZoneRelation,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::objects::{self, OBJECTS, placed};
use super::{INTERFACES, NEVER_AT, ZONES};

/// The rule bases of a small firewall, the one evaluation starts in first.
pub(super) const RULE_BASES: &[&str] = &["main", "branch", "shared", "leaf"];

/// How often things are left open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weights {
    /// Jumps, gotos and returns, against 10 final actions.
    pub(super) flow: u32,
    /// Conditions that are not modelled, against 30 others.
    pub(super) unknown: u32,
    /// The most rules of a rule base.
    pub(super) most_rules: usize,
}

/// The rule base at `level` of [`RULE_BASES`]; it jumps to later ones only.
pub(super) fn rule_base(level: usize, weights: Weights) -> impl Strategy<Value = RuleBase> {
    let rules = vec(rule(level, weights), 0..weights.most_rules);
    let default = prop_oneof![4 => Just(None), 1 => final_action().prop_map(Some)];
    (rules, default).prop_map(move |(rules, default)| RuleBase {
        name: RULE_BASES[level].to_owned(),
        rules,
        default,
        at: NEVER_AT,
    })
}

fn rule(level: usize, weights: Weights) -> impl Strategy<Value = Rule> {
    let disabled = prop_oneof![9 => Just(false), 1 => Just(true)];
    (matches(weights), action(level, weights), disabled).prop_map(|(matches, action, disabled)| {
        Rule { matches, action, disabled, ..Rule::default() }
    })
}

fn action(level: usize, weights: Weights) -> BoxedStrategy<Action> {
    let later = &RULE_BASES[level + 1..];
    let stay = prop_oneof![
        10 => final_action(),
        1 => Just(Action::Continue),
        weights.flow => Just(Action::Return),
    ];
    if later.is_empty() {
        return stay.boxed();
    }
    let jump = select(later).prop_map(|name| Action::Jump(name.to_owned()));
    let goto = select(later).prop_map(|name| Action::Goto(name.to_owned()));
    prop_oneof![10 => stay, 2 * weights.flow => jump, weights.flow => goto].boxed()
}

pub(super) fn final_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => Just(Action::Allow),
        2 => Just(Action::Deny),
        1 => Just(Action::Drop),
        1 => select(ResetSide::ALL.as_slice()).prop_map(Action::Reset),
    ]
}

/// One condition of a rule; a rule has few of them, so that many packets reach far down.
#[derive(Clone, Debug)]
enum Condition {
    Ingress(Names),
    Egress(Names),
    From(Names),
    To(Names),
    Relation(ZoneRelation),
    Src(AddressMatch),
    Dst(AddressMatch),
    Services(Vec<At<ServiceItem>>),
    States(StateSet),
    TcpFlags(Vec<TcpFlagMatch>),
    Applications(Names),
    Categories(Names),
    Users(Names),
    Devices(Vec<MacAddress>),
    Schedule(At<String>),
    Unknown(At<String>),
}

fn matches(weights: Weights) -> impl Strategy<Value = Match> {
    vec(condition(weights), 0..4).prop_map(|conditions| {
        let mut matches = Match::default();
        for condition in conditions {
            match condition {
                Condition::Ingress(names) => matches.ingress = names,
                Condition::Egress(names) => matches.egress = names,
                Condition::From(names) => matches.from = names,
                Condition::To(names) => matches.to = names,
                Condition::Relation(relation) => matches.relation = relation,
                Condition::Src(addresses) => matches.src = addresses,
                Condition::Dst(addresses) => matches.dst = addresses,
                Condition::Services(services) => matches.services = services,
                Condition::States(states) => matches.states = states,
                Condition::TcpFlags(flags) => matches.tcp_flags = flags,
                Condition::Applications(names) => matches.applications = names,
                Condition::Categories(names) => matches.url_categories = names,
                Condition::Users(names) => matches.users = names,
                Condition::Devices(devices) => matches.devices = devices,
                Condition::Schedule(name) => matches.schedule = Some(name),
                Condition::Unknown(text) => matches.unknown.push(text),
            }
        }
        matches
    })
}

fn condition(weights: Weights) -> impl Strategy<Value = Condition> {
    let schedule = select(objects::SCHEDULES).prop_map(str::to_owned);
    let unknown = select(["-m limit", "-m string"].as_slice()).prop_map(str::to_owned);
    let devices = vec(select([1u8, 2].as_slice()), 1..3);
    prop_oneof![
        6 => address_match().prop_map(Condition::Src),
        6 => address_match().prop_map(Condition::Dst),
        6 => vec(placed(objects::service_item(OBJECTS)), 0..3).prop_map(Condition::Services),
        1 => names(INTERFACES).prop_map(Condition::Ingress),
        1 => names(INTERFACES).prop_map(Condition::Egress),
        2 => names(ZONES).prop_map(Condition::From),
        2 => names(ZONES).prop_map(Condition::To),
        1 => select([ZoneRelation::Intrazone, ZoneRelation::Interzone].as_slice())
            .prop_map(Condition::Relation),
        1 => states().prop_map(Condition::States),
        1 => tcp_flags().prop_map(Condition::TcpFlags),
        3 => names(objects::APPLICATIONS).prop_map(Condition::Applications),
        2 => names(objects::CATEGORIES).prop_map(Condition::Categories),
        1 => names(&["alice", "accounting"]).prop_map(Condition::Users),
        1 => devices.prop_map(|last| {
            Condition::Devices(last.into_iter().map(super::device).collect())
        }),
        1 => placed(schedule).prop_map(Condition::Schedule),
        weights.unknown => placed(unknown).prop_map(Condition::Unknown),
    ]
}

fn address_match() -> impl Strategy<Value = AddressMatch> {
    let negated = prop_oneof![4 => Just(false), 1 => Just(true)];
    (vec(placed(objects::address_item(OBJECTS)), 0..4), negated)
        .prop_map(|(items, negated)| AddressMatch { items, negated })
}

fn names(known: &'static [&'static str]) -> impl Strategy<Value = Names> {
    let listed = vec(placed(select(known).prop_map(str::to_owned)), 0..3);
    let none = prop_oneof![3 => Just(false), 1 => Just(true)];
    (listed, none)
        .prop_map(|(listed, none)| if none { Names::NoneOf(listed) } else { Names::OneOf(listed) })
}

fn states() -> impl Strategy<Value = StateSet> {
    vec(select(ConnectionState::ALL.as_slice()), 0..4)
        .prop_map(|states| states.into_iter().fold(StateSet::NONE, StateSet::with))
}

fn tcp_flags() -> impl Strategy<Value = Vec<TcpFlagMatch>> {
    let one = (select([0x02u8, 0x12, 0x17, 0xff].as_slice()), any::<u8>(), any::<bool>())
        .prop_map(|(mask, value, negated)| TcpFlagMatch { mask, value: value & mask, negated });
    vec(one, 1..3)
}

/// A translation table; destination translations are chosen before routing, so their rules may
/// still name an egress zone: the one of the route to the address as it arrived.
pub(super) fn nat_table(weights: Weights) -> impl Strategy<Value = NatTable> {
    let rule = (matches(weights), translation(), prop_oneof![9 => Just(false), 1 => Just(true)])
        .prop_map(|(matches, translation, disabled)| NatRule {
            matches,
            translation,
            disabled,
            ..NatRule::default()
        });
    (vec(rule, 0..6), sees()).prop_map(|(rules, sees)| NatTable { rules, sees })
}

pub(super) fn sees() -> impl Strategy<Value = Sees> {
    select([Sees::Original, Sees::Translated].as_slice())
}

fn translation() -> impl Strategy<Value = Translation> {
    let port = || {
        prop_oneof![
            3 => Just(PortTranslation::Keep),
            1 => (any::<u16>(), any::<u16>())
                .prop_map(|(from, to)| PortTranslation::Shift { from, to }),
            1 => any::<u16>().prop_map(PortTranslation::To),
            1 => Just(PortTranslation::Allocate(PortSet::from(PortRange::ALL))),
        ]
    };
    let target = prop_oneof![
        3 => objects::network().prop_map(AddressItem::Network),
        2 => objects::address().prop_map(|address| AddressItem::Network(address.into())),
        1 => Just(AddressItem::Unknown("pool of the provider".to_owned())),
    ];
    prop_oneof![
        1 => Just(Translation::Keep),
        2 => (objects::network(), port()).prop_map(|(to, port)| Translation::Prefix { to, port }),
        2 => (vec(placed(target), 1..3), port())
            .prop_map(|(to, port)| Translation::Pool { to, port }),
        1 => Just(Translation::EgressInterface),
        1 => objects::embedding_prefix().prop_map(|prefix| Translation::Embedded { prefix }),
    ]
}
