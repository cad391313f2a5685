//! Certificates of random pairs of firewalls are accepted, and what is made of them is not.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test stops where what it states does not hold"
)]

mod oracle;
mod places;
mod tampered;

use std::cell::Cell;
use std::collections::BTreeMap;

use parefeu_equivalence::{
    Certified, Pairing, Request, SolveLimits, Stated, certificate, compare, conclude, findings,
};
use parefeu_policy::{Diagnostics, Firewall, LinkedFirewall, Names, NatTable};
use parefeu_testkit::{Random, firewalls};
use parefeu_verify::{Accepted, Input, Limits, Rejection, Verdict, verify};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const OLD: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const NEW: &str = "0000000000000000000000000000000000000000000000000000000000000002";

/// Leaves out translations, and what [`supported`] does.
fn untranslated(firewall: Firewall) -> Firewall {
    let (destination_nat, source_nat) = (NatTable::default(), NatTable::default());
    supported(Firewall { destination_nat, source_nat, ..firewall })
}

/// Leaves out what the checker does not check: its statements would be rejected as such.
fn supported(mut firewall: Firewall) -> Firewall {
    let rules = firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules);
    let tables = [&mut firewall.destination_nat, &mut firewall.source_nat];
    let translations = tables.into_iter().flat_map(|table| &mut table.rules);
    let filter = rules.map(|rule| &mut rule.matches);
    for matches in filter.chain(translations.map(|rule| &mut rule.matches)) {
        matches.users = Names::Any;
        matches.devices.clear();
        matches.schedule = None;
        matches.url_categories = Names::Any;
    }
    firewall
}

fn written(old: &LinkedFirewall, new: &LinkedFirewall, limits: SolveLimits) -> String {
    written_as(old, new, limits, &BTreeMap::new())
}

/// The certificate of two firewalls some of whose places stand for each other as `mapped` says.
fn written_as(
    old: &LinkedFirewall,
    new: &LinkedFirewall,
    limits: SolveLimits,
    mapped: &BTreeMap<String, String>,
) -> String {
    let mut request = Request::all(Pairing::of(old, new, mapped));
    request.limits = SolveLimits { record: true, work: 100_000, boxes: 500, ..limits };
    let answer = compare(old, new, &request);
    let findings = findings(old, new, &answer, &request.pairing);
    let problems = Diagnostics::default();
    let stated = [old, new].map(|firewall| Stated { firewall, problems: &problems });
    let conclusion = conclude(stated, &[&answer], &findings, &request.pairing);
    let side =
        |firewall, sha256| Certified { firewall, file: "a file", sha256, dialect: "parefeu" };
    certificate(&request, (&answer, &conclusion), [&side(old, OLD), &side(new, NEW)], "a test")
        .unwrap()
}

fn checked(text: &str, old: &LinkedFirewall, new: &LinkedFirewall) -> Result<Accepted, Rejection> {
    let problems = &Diagnostics::default();
    let side = |firewall, sha256| Input { firewall, problems, sha256, dialect: "parefeu" };
    verify(text.as_bytes(), [&side(old, OLD), &side(new, NEW)], &Limits::default())
}

#[track_caller]
fn check_accepted(text: &str, old: &LinkedFirewall, new: &LinkedFirewall) -> Accepted {
    checked(text, old, new).unwrap_or_else(|rejection| {
        let line = text.lines().nth(rejection.line.saturating_sub(1) as usize);
        panic!("{rejection}\n{}\n\n{text}", line.unwrap_or_default())
    })
}

#[test]
fn every_certificate_is_accepted() {
    let counts = Cell::new([0; 3]);
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let run = TestRunner::new(Config::default()).run(&pairs, |(old, new, seed)| {
        let mut random = Random::new(seed);
        let old = supported(old);
        // Half of the pairs are alike but for a few rules.
        let new = if random.percent(50) { supported(new) } else { edited(&old, &mut random) };
        let (old, new) = (firewalls::linked(&old), firewalls::linked(&new));
        let text = written(&old, &new, SolveLimits::default());
        let accepted = check_accepted(&text, &old, &new);
        let [mut different, mut same, mut open] = counts.get();
        different += accepted.leaves.different;
        same += accepted.leaves.same;
        open += accepted.leaves.open;
        counts.set([different, same, open]);
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let [different, same, open] = counts.get();
    assert!(different > 100 && same > 100, "{different} {same} {open}");
}

/// The same firewall with one rule taken out, or two changed places.
fn edited(firewall: &Firewall, random: &mut Random) -> Firewall {
    let mut edited = firewall.clone();
    let at = random.below(edited.rule_bases.len());
    let rules = &mut edited.rule_bases[at].rules;
    if rules.len() > 1 {
        let at = random.below(rules.len() - 1);
        if random.percent(50) {
            rules.remove(at);
        } else {
            rules.swap(at, at + 1);
        }
    }
    edited
}

#[test]
fn a_firewall_is_equivalent_to_itself() {
    let run = TestRunner::new(Config::default()).run(&firewalls::small(), |firewall| {
        let firewall = firewalls::linked(&supported(firewall));
        let text = written(&firewall, &firewall, SolveLimits::default());
        let accepted = check_accepted(&text, &firewall, &firewall);
        prop_assert_ne!(accepted.verdict, Verdict::Different);
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
}
