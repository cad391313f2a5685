//! Small firewalls of every kind of field: what is reported holds for packets at their corners.

use parefeu_net::{Protocol, TcpFlags};
use parefeu_policy::analysis::{FindingKind, RuleList};
use parefeu_policy::set::IdSet;
use parefeu_policy::{
    Answer, ApplicationId, Firewall, Identified, InterfaceId, Knowledge, LinkedFirewall, PacketKey,
    UserId, UserKnowledge, ZoneId, reference,
};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::prelude::*;

use super::{Turn, findings, rules_of, says_never};

const KEYS: usize = 300;

/// Everything that can be known about a session.
struct Known {
    application: Identified,
    categories: IdSet,
    users: Vec<UserId>,
}

impl Known {
    fn everything(firewall: &LinkedFirewall, random: &mut Random) -> Self {
        let count = firewall.applications.len();
        let id = ApplicationId(random.below(count) as u32);
        let mut some = |count: usize| -> Vec<u32> {
            (0..count as u32).filter(|_| random.percent(40)).collect()
        };
        let categories = IdSet::only(some(firewall.url_categories.len()));
        let users = some(firewall.users.len()).into_iter().map(UserId).collect();
        let application = Identified::Finally((count > 0 && random.percent(75)).then_some(id));
        Self { application, categories, users }
    }

    fn knowledge(&self) -> Knowledge<'_> {
        Knowledge {
            application: self.application,
            url_categories: Some(&self.categories),
            categories_stated: true,
            users: UserKnowledge::Mapped(&self.users),
        }
    }
}

/// A packet at the corners of the rules, of one address family, with what every packet has.
fn packet(firewall: &LinkedFirewall, random: &mut Random) -> PacketKey {
    loop {
        let mut key = keys::corner(firewall, random);
        if key.src.is_ipv4() != key.dst.is_ipv4() {
            continue;
        }
        if key.protocol == Protocol::TCP {
            key.tcp_flags = key.tcp_flags.or(Some(TcpFlags::SYN));
        }
        if key.protocol.is_icmp() {
            key.icmp = key.icmp.or(Some((8, 0)));
        }
        return key;
    }
}

/// The same with interfaces, zones and the sender's hardware stated.
fn complete(firewall: &LinkedFirewall, random: &mut Random) -> PacketKey {
    let key = packet(firewall, random);
    let interface =
        |random: &mut Random| Some(InterfaceId(random.below(firewall.interfaces.len()) as u32));
    let zone = |random: &mut Random| Some(ZoneId(random.below(firewall.zones.len()) as u32));
    PacketKey {
        ingress: key.ingress.or(interface(random)),
        egress: key.egress.or(interface(random)),
        from: key.from.or(zone(random)),
        to: key.to.or(zone(random)),
        device: key.device.or(Some(parefeu_net::MacAddress([2; 6]))),
        ..key
    }
}

fn a_rule_said_never_to_decide_never_does(firewall: &Firewall, seed: u64) {
    let found = findings(firewall);
    let mut random = Random::new(seed);
    for rule_base in 0..firewall.rule_bases.len() {
        for rule in rules_of(&found, rule_base, says_never) {
            let turn = Turn::of(firewall, rule_base, rule);
            for _ in 0..KEYS {
                let linked = &turn.firewall;
                let known = keys::Known::about(linked, &mut random);
                let key = packet(linked, &mut random);
                let (surely, _) = turn.comes(&key, &known.knowledge());
                assert!(
                    !surely,
                    "rule {rule} of {rule_base} decides {key:#?} {known:?}\n{found:#?}"
                );

                let known = Known::everything(linked, &mut random);
                let key = complete(linked, &mut random);
                let (_, perhaps) = turn.comes(&key, &known.knowledge());
                assert!(!perhaps, "rule {rule} of {rule_base} may decide {key:#?}\n{found:#?}");
            }
        }
    }
}

/// What a verdict comes to, whichever rule gives it, and whether a translation is not modelled.
fn verdict(firewall: &LinkedFirewall, key: &PacketKey, known: &Knowledge<'_>) -> (String, bool) {
    let judgement = reference::judge(firewall, key, known);
    let verdict = match judgement.evaluation.answer() {
        Answer::Certain(hit) => hit.action.verdict_name(),
        Answer::Depends(_) => "depends",
        Answer::Unknown(_) => "unknown",
    };
    (format!("{verdict} {}", judgement.translated), judgement.doubtful_nat.is_some())
}

fn a_needless_rule_can_be_switched_off(firewall: &Firewall, seed: u64) {
    let found = findings(firewall);
    let mut random = Random::new(seed);
    let with = firewalls::linked(firewall);
    let needless = |it: &&parefeu_policy::analysis::Finding| {
        says_never(it) || it.kind == FindingKind::Redundant
    };
    for finding in found.iter().filter(needless) {
        for rule in &finding.rules {
            let mut without = firewall.clone();
            match rule.list {
                RuleList::RuleBase(id) => {
                    without.rule_bases[id.index()].rules[rule.position].disabled = true;
                }
                RuleList::DestinationNat => {
                    without.destination_nat.rules[rule.position].disabled = true;
                }
                RuleList::SourceNat => without.source_nat.rules[rule.position].disabled = true,
            }
            let without = firewalls::linked(&without);
            for _ in 0..KEYS {
                let known = Known::everything(&with, &mut random);
                let known = known.knowledge();
                let key = complete(&with, &mut random);
                let (before, after) =
                    (verdict(&with, &key, &known), verdict(&without, &key, &known));
                assert_eq!(before.0, after.0, "{finding:#?}\n{key:#?}\n{known:?}");
                // A rule that is not modelled and changes nothing takes its doubt along.
                assert!(before.1 || !after.1, "{finding:#?}\n{key:#?}\n{known:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rules_said_never_to_decide_never_do(firewall in firewalls::small(), seed: u64) {
        a_rule_said_never_to_decide_never_does(&firewall, seed);
    }

    #[test]
    fn rules_said_to_change_nothing_change_nothing(firewall in firewalls::small(), seed: u64) {
        a_needless_rule_can_be_switched_off(&firewall, seed);
    }

    #[test]
    fn so_they_do_where_little_is_certain(firewall in firewalls::doubtful(), seed: u64) {
        a_rule_said_never_to_decide_never_does(&firewall, seed);
    }
}
