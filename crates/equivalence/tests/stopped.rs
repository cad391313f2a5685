//! Comparisons that are told to stop: what is told then is true, and what is not is undecided.

mod packets;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use parefeu_equivalence::{
    Answer, Certified, Change, Compared, Conclusion, Date, EXPLAIN_WORK, Family, Field, Finding,
    Intent, OpenReason, Pairing, ProtocolClass, Request, Scope, Search, Side, SolveLimits,
    Standing, Stated, Stop, Terms, Unproved, Verdict, Waiver, Wanted, certificate, compare,
    compare_by_state, compare_following, compare_records, conclude, explain, findings_apart, prove,
    review, search,
};
use parefeu_policy::set::Ranges;
use parefeu_policy::{Diagnostics, LinkedFirewall};
use parefeu_testkit::Random;
use parefeu_testkit::firewalls::{self, stated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use packets::{draw, holds, lets_through, lies_in, opening_of, supported};

/// A sign that is given once it has been asked for so often.
fn after(asked: u64) -> Stop {
    Stop::after(Box::leak(Box::new(AtomicU64::new(asked))))
}

/// What becomes of a pair of firewalls until the sign is given.
struct Stopped {
    answer: Answer,
    findings: Vec<Finding>,
    conclusion: Conclusion,
}

fn stopped([old, new]: [&LinkedFirewall; 2], stop: Stop) -> Stopped {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let mut request = Request::all(pairing.clone());
    request.limits.stop = stop;
    let terms = Terms { stop, ..Terms::default() };
    let answer = compare(old, new, &request);
    let findings = findings_apart(old, new, &answer, &pairing, &terms);
    let problems = Diagnostics::default();
    let sides = [old, new].map(|firewall| Stated { firewall, problems: &problems });
    let conclusion = conclude(sides, &[&answer], &findings, &pairing);
    Stopped { answer, findings, conclusion }
}

/// Whether a packet of a case may be in a part without an answer.
fn is_open(answer: &Answer, case: &Compared) -> bool {
    answer.undecided.iter().any(|it| {
        (it.family, it.protocols) == (case.case.family, case.case.protocols)
            && it.crossings.contains(&case.crossings[0])
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Answers that were cut short and tell differences.
    partly: usize,
    /// Packets the sides treat differently, in findings of such answers, and in what they leave.
    told: usize,
    left: usize,
}

#[test]
fn whenever_a_comparison_stops_what_it_tells_is_true_and_the_rest_is_open() {
    let counts = Cell::new(Counts::default());
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>(), 0u64..12_000);
    let config = Config { cases: 200, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed, asked)| {
        let mut random = Random::new(seed);
        let sides = [old, new].map(|side| firewalls::linked(&supported(side)));
        let sides = [&*sides[0], &*sides[1]];
        let Stopped { answer, findings, conclusion } = stopped(sides, after(asked));
        let cut_short = !answer.undecided.is_empty();
        let equal = [Verdict::Equivalent, Verdict::EquivalentUnderAssumptions];
        prop_assert!(!cut_short || !equal.contains(&conclusion.verdict));
        prop_assert_eq!(answer.is_different(), !findings.is_empty());
        for finding in &findings {
            let (key, application) = opening_of(&finding.witness);
            prop_assert!(lies_in(finding, &key, application), "{:?}", finding);
        }
        let mut seen = counts.get();
        seen.partly += usize::from(cut_short && !findings.is_empty());
        let pairing = Pairing::of(sides[0], sides[1], &BTreeMap::new());
        let whole = compare(sides[0], sides[1], &Request::all(pairing));
        for case in &whole.compared {
            for _ in 0..10 {
                let drawn = draw(sides, case, &mut random);
                let Some((key, application, name)) = drawn else { continue };
                let through = [(sides[0], case.case.old), (sides[1], case.case.new)]
                    .map(|(side, passage)| lets_through(side, passage, &key, name));
                let [Some(old), Some(new)] = through else { continue };
                let held = findings.iter().find(|it| holds(it, case, &key, application));
                let change = held.map(|it| it.change);
                let expected = match (old, new) {
                    (true, false) => Some(Change::Closed),
                    (false, true) => Some(Change::Opened),
                    _ => None,
                };
                let left = change.is_none() && is_open(&answer, case);
                prop_assert!(change == expected || left, "{:?} {:?}", key, name);
                if cut_short && old != new {
                    seen.told += usize::from(held.is_some());
                    seen.left += usize::from(held.is_none());
                }
            }
        }
        counts.set(seen);
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let Counts { partly, told, left } = counts.get();
    assert!(partly > 20 && told > 20 && left > 20, "{:?}", counts.get());
}

/// Rules that let TCP to these ports of 192.0.2.0/24 in, each in a rule of its own.
fn opening(ports: &[u16]) -> LinkedFirewall {
    let rules = ports.iter().map(|port| {
        format!(
            "[[rule_base.rule]]\nname = \"{port}\"\nsource = \"192.0.2.0/24\"\n\
             service = \"tcp/{port}\"\naction = \"allow\"\n"
        )
    });
    let rules: String = rules.collect();
    stated(&format!(
        "[[rule_base]]\nname = \"main\"\n{rules}[[layer]]\nrule_base = \"main\"\n\
         default = \"deny\"\n"
    ))
}

/// The destination ports of findings or flows, ascending.
fn ports(found: &[Finding]) -> Vec<u128> {
    let sets = found.iter().filter_map(|it| it.sets.get(&Field::DstPort));
    let mut ports: Vec<u128> =
        sets.flat_map(Ranges::as_slice).flat_map(|&(first, last)| first..=last).collect();
    ports.sort_unstable();
    ports
}

/// The first part of the question alone.
fn one_part(old: &LinkedFirewall, new: &LinkedFirewall, stop: Stop) -> Request {
    let mut request = Request::all(Pairing::of(old, new, &BTreeMap::new()));
    request.families = vec![Family::V4];
    request.protocols = vec![ProtocolClass::WithPorts];
    request.limits.stop = stop;
    request
}

/// What is told first rests on a rule of the model's own, and is assumed away; the proof holds a
/// difference besides that it was no longer time to tell.
#[test]
fn a_certificate_holds_what_was_proved_wherever_telling_stops() {
    let mut old = stated(
        "[[rule_base]]\nname = \"main\"\n\
         [[rule_base.rule]]\nname = \"perhaps\"\nservice = \"tcp/22\"\nunknown = \"atom\"\n\
         action = \"allow\"\n\
         [[rule_base.rule]]\nname = \"web\"\nservice = \"tcp/80\"\naction = \"allow\"\n\
         [[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n",
    );
    old.rules[0].implied = true;
    let new = opening(&[]);
    let mut untold = 0;
    for asked in 0.. {
        let stop = after(asked);
        let mut request = Request::all(Pairing::of(&old, &new, &BTreeMap::new()));
        request.limits = SolveLimits { stop, record: true, ..request.limits };
        let answer = compare(&old, &new, &request);
        let terms = Terms { stop, ..Terms::default() };
        let found = findings_apart(&old, &new, &answer, &request.pairing, &terms);
        let problems = Diagnostics::default();
        let sides = [&old, &new].map(|firewall| Stated { firewall, problems: &problems });
        let conclusion = conclude(sides, &[&answer], &found, &request.pairing);
        let sides = [&old, &new].map(|firewall| Certified {
            firewall,
            file: "a file",
            sha256: "00",
            dialect: "parefeu",
        });
        let sides = sides.each_ref();
        let text = certificate(&request, (&answer, &conclusion), sides, "a test").unwrap();
        let proved = text.contains("\nverdict different\n");
        let told = conclusion.verdict == Verdict::Different;
        assert!(proved || !told, "{text}");
        untold += u32::from(proved && !told);
        if answer.undecided.is_empty() {
            break;
        }
    }
    assert!(untold > 0, "telling never stopped between the two");
}

/// Every point at which the comparison of one part may stop: before it, while rules are written
/// out, while the lists are compared, and while what differs is told.
#[test]
fn one_part_stops_wherever_it_is() {
    let (old, new) = (opening(&[22, 25, 80, 443, 8080]), opening(&[80]));
    let closed = [22, 25, 443, 8080];
    let (mut writing, mut comparing, mut telling) = (0, 0, 0);
    for asked in 0.. {
        let request = one_part(&old, &new, after(asked));
        let answer = compare(&old, &new, &request);
        let terms = Terms { stop: request.limits.stop, ..Terms::default() };
        let found = findings_apart(&old, &new, &answer, &request.pairing, &terms);
        let told = ports(&found);
        assert!(told.iter().all(|port| closed.contains(port)), "{told:?}");
        assert_eq!(answer.is_different(), !told.is_empty());
        if answer.undecided.is_empty() {
            assert_eq!(told, closed);
            break;
        }
        assert!(told.len() < closed.len(), "nothing is left to tell: {:?}", answer.undecided);
        let stopped = answer.undecided.iter().all(|it| {
            let open = |reason: &OpenReason| *reason == OpenReason::Stopped;
            it.because == Unproved::Stopped
                || matches!(&it.because, Unproved::Open { reason, .. } if open(reason))
        });
        assert!(stopped, "{:?}", answer.undecided);
        let before = answer.compared.is_empty();
        writing += u32::from(before);
        comparing += u32::from(!before && told.is_empty());
        telling += u32::from(!told.is_empty());
    }
    assert!(writing > 6 && comparing > 0 && telling > 2, "{writing} {comparing} {telling}");
}

#[test]
fn what_follows_and_what_is_recorded_is_undecided_once_stopped() {
    let old = firewalls::between("linux", "");
    let new = firewalls::between(
        "linux",
        "[[rule_base.rule]]\nservice = \"tcp/22\"\naction = \"allow\"\nlog = true\n\
         [[rule_base.rule]]\nservice = \"tcp/23\"\naction = \"allow\"\nstate = \"new\"\n",
    );
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let whole = Request::all(pairing);
    let mut cut = whole.clone();
    cut.limits.stop = after(0);
    let answer = compare(&old, &new, &whole);
    for (asked, ends) in [(&whole, true), (&cut, false)] {
        let Some(following) = compare_following(&old, &new, asked) else { panic!("it is asked") };
        assert_eq!(following.undecided.is_empty(), ends);
        assert_eq!(following.compared.is_empty(), !ends);
        let records = compare_records(&old, &new, asked, &answer);
        assert_eq!(records.undecided.is_empty(), ends);
        let by_state = compare_by_state(&old, &new, asked, &answer);
        assert_eq!(by_state.undecided.is_empty(), ends);
    }
}

#[test]
fn a_search_that_stops_lists_flows_there_are_and_is_not_complete() {
    let firewall = opening(&[22, 25, 80]);
    let mut partly = 0;
    for asked in 0.. {
        let limits = SolveLimits { stop: after(asked), ..SolveLimits::default() };
        let (scope, wanted) = (Scope::default(), Wanted::Allow);
        let question = Search { scope, wanted, limits, any_translation: false };
        let found = search(&firewall, &question);
        let told = ports(&found.flows);
        if found.is_complete() {
            assert_eq!(told, [22, 25, 80]);
            break;
        }
        assert!(told.iter().all(|port| [22, 25, 80].contains(port)), "{told:?}");
        assert!(!found.answer.undecided.is_empty());
        partly += u32::from(!told.is_empty());
    }
    assert!(partly > 2, "{partly}");
}

#[test]
fn an_intent_that_is_broken_is_held_at_no_point_of_its_search() {
    let firewall = firewalls::between(
        "linux",
        "[[rule_base.rule]]\nservice = \"tcp/22\"\naction = \"allow\"\n",
    );
    let pairing = Pairing::of(&firewall, &firewall, &BTreeMap::new());
    let intent = |port: u16, expect| Intent {
        name: "one".into(),
        scope: Scope {
            dst_ports: Some([(port.into(), port.into())].into_iter().collect()),
            ..Scope::default()
        },
        expect,
        line: 1,
    };
    // What answers the rules refuse: their source port is 22.
    for (intent, truth) in [
        (intent(23, Wanted::Deny), Standing::Held),
        (intent(22, Wanted::Deny), Standing::Broken),
        (intent(22, Wanted::Allow), Standing::Broken),
    ] {
        let standing = |stop| {
            let limits = SolveLimits { stop, ..SolveLimits::default() };
            prove(&firewall, (&pairing, Side::Old), &intent, limits).standing
        };
        assert_eq!(standing(Stop::default()), truth);
        let points = (0..200).map(|asked| standing(after(asked)));
        let (undecided, told): (Vec<_>, Vec<_>) =
            points.partition(|standing| *standing == Standing::Undecided);
        assert!(undecided.len() > 5, "{undecided:?}");
        assert!(told.iter().all(|standing| *standing == truth), "{told:?}");
    }
}

#[test]
fn no_rule_is_idle_where_nothing_was_compared() {
    let (old, new) = (opening(&[22, 25]), opening(&[22]));
    let Stopped { answer, .. } = stopped([&old, &new], after(0));
    let found = explain([&old, &new], &answer, (EXPLAIN_WORK, Stop::default()));
    assert_eq!((found.idle.concat(), found.open.concat().len()), (Vec::new(), 3));
    let Stopped { answer, .. } = stopped([&old, &new], Stop::default());
    for asked in 0..4 {
        let found = explain([&old, &new], &answer, (EXPLAIN_WORK, after(asked)));
        assert_eq!(found.idle.concat(), []);
        assert!(found.mapping.iter().all(|it| !it.whole));
    }
}

#[test]
fn a_waiver_is_unused_only_where_all_it_is_about_was_compared() {
    let (old, new) = (opening(&[22, 25]), opening(&[22]));
    let waiver = |port: u16| Waiver {
        scope: Scope {
            dst_ports: Some([(port.into(), port.into())].into_iter().collect()),
            ..Scope::default()
        },
        old: Wanted::Allow,
        new: Wanted::Deny,
        ticket: "CHG-1".into(),
        owner: "net".into(),
        reason: "retired".into(),
        expires: Date { year: 2099, month: 1, day: 1 },
        line: 1,
    };
    let waivers = [waiver(25), waiver(26)];
    for (stop, unused) in [(after(0), [false, false]), (Stop::default(), [false, true])] {
        let mut request = one_part(&old, &new, stop);
        request.protocols = ProtocolClass::ALL.to_vec();
        let answer = compare(&old, &new, &request);
        let today = Date { year: 2026, month: 1, day: 1 };
        let terms = Terms { waivers: &waivers, today, ..Terms::default() };
        let found = findings_apart(&old, &new, &answer, &request.pairing, &terms);
        let reviewed = review(&[&answer], &[&found], &terms);
        let told = reviewed.iter().map(|it| it.findings == 0 && it.problem.is_some());
        assert_eq!(told.collect::<Vec<_>>(), unused);
    }
}
