//! Whether rules written differently decide what they did, and edited ones do not.

use parefeu_policy::{Knowledge, LinkedAction, LinkedFirewall, PacketKey, reference};
use parefeu_testkit::firewalls::{self, Family, Large, Rewriting, Shape};
use parefeu_testkit::{Random, keys};

/// What is decided; which rule does is what changes.
fn decide(firewall: &LinkedFirewall, key: &PacketKey) -> LinkedAction {
    reference::judge(firewall, key, &Knowledge::NOTHING).evaluation.decided.action
}

/// How many of 2,000 packets the two decide differently.
fn differing(one: &LinkedFirewall, other: &LinkedFirewall, family: Family) -> usize {
    let mut random = Random::new(11);
    let packets = (0..2_000).filter(|number| {
        let from = if number % 2 == 0 { one } else { other };
        let key = if number % 4 < 2 {
            keys::corner(from, &mut random)
        } else {
            let rule = random.pick(&from.rules).map(|rule| &rule.matches);
            let inside = rule.and_then(|rule| keys::inside(rule, family, &mut random));
            inside.unwrap_or_else(|| keys::corner(from, &mut random))
        };
        decide(one, &key) != decide(other, &key)
    });
    packets.count()
}

#[test]
fn rules_written_differently_decide_the_same_and_edits_show() {
    for (seed, shape) in (0..).zip(Shape::REALISTIC) {
        for family in Family::ALL {
            let large = Large { shape, family, rules: 300, seed };
            let firewall = firewalls::linked(&large.generate());
            let rewritten = Rewriting::STRUCTURAL.apply(&firewall, seed);
            assert_eq!(differing(&firewall, &rewritten, family), 0, "{large:?}");
            let edited = firewalls::edited(&rewritten, 30, seed);
            assert_ne!(differing(&firewall, &edited, family), 0, "{large:?}");
            let (before, after) = (firewall.rules.len(), rewritten.rules.len());
            assert!(after > before * 5 / 4, "{large:?}: {before} rules became {after}");
            let kept = firewall.rules.iter().zip(&rewritten.rules);
            let kept = kept.filter(|(one, other)| one.name == other.name).count();
            assert!(kept < before / 4, "{large:?}: {kept} rules are where they were");
        }
    }
}
