//! Waivers, intents and searches, against the reference evaluation of single packets.

#![expect(clippy::panic, reason = "a test stops where what it states does not hold")]

mod packets;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;

use parefeu_equivalence::{
    Acceptance, Addresses, Change, Crossing, Date, Field, Finding, Intent, Pairing, Request, Scope,
    Search, Side, SolveLimits, Standing, Terms, Waiver, WaiverProblem, Wanted, compare,
    findings_apart, prove, review, search,
};
use parefeu_policy::set::Ranges;
use parefeu_policy::{
    Behaviour, Firewall, LinkedFirewall, Names, PacketKey, Preset, Source, Span, link, native,
};
use parefeu_testkit::{Random, firewalls, keys};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use packets::{bits, draw, holds, lets_through, lies_in, opening, opening_of, supported};

const TODAY: Date = Date { year: 2026, month: 11, day: 26 };
const YESTERDAY: Date = Date { day: 25, ..TODAY };

/// A scope some packets near the corners of the firewalls' rules are in.
fn scope(sides: [&LinkedFirewall; 2], names: &[Box<str>], random: &mut Random) -> Scope {
    let side = sides[random.below(2)];
    let key = keys::corner(side, random);
    let mut asks = || random.below(3) == 0;
    let [src, dst, protocol, port, application] = std::array::from_fn(|_| asks());
    let addresses = |address, wide: bool| {
        let bits = bits(address);
        let span = Ranges::span(bits & !0xff, if wide { bits | 0xffff } else { bits | 0xff });
        if key.src.is_ipv4() {
            Addresses { v4: span, v6: Ranges::default() }
        } else {
            Addresses { v4: Ranges::default(), v6: span }
        }
    };
    let wide = random.below(2) == 0;
    let ports = Ranges::span(
        key.dst_port.saturating_sub(100).into(),
        key.dst_port.saturating_add(100).into(),
    );
    let named = names.get(random.below(names.len().max(1))).cloned();
    let other = [Scope::OTHER.into()];
    Scope {
        src: (src && key.src.is_ipv4() == key.dst.is_ipv4()).then(|| addresses(key.src, wide)),
        dst: (dst && key.src.is_ipv4() == key.dst.is_ipv4()).then(|| addresses(key.dst, wide)),
        protocols: protocol.then(|| Ranges::one(key.protocol.0)),
        dst_ports: (port && key.protocol.has_ports()).then_some(ports),
        applications: application.then(|| named.into_iter().chain(other).collect()),
        ..Scope::default()
    }
}

/// Whether a packet is in a scope, said of its fields one by one.
fn is_in(scope: &Scope, way: &Crossing, key: &PacketKey, application: Option<&str>) -> bool {
    let holds =
        |set: &Option<Ranges>, value: u128| set.as_ref().is_none_or(|it| it.contains(value));
    let address = |set: &Option<Addresses>, address: std::net::IpAddr| {
        let of = |it: &Addresses| if address.is_ipv4() { it.v4.clone() } else { it.v6.clone() };
        set.as_ref().is_none_or(|it| of(it).contains(bits(address)))
    };
    let place = |wanted: &[Box<str>], names: Option<&parefeu_equivalence::Names>| {
        let named = |names: &parefeu_equivalence::Names| {
            names.iter().flatten().any(|name| wanted.contains(name))
        };
        wanted.is_empty() || names.is_some_and(named)
    };
    let has_ports = key.protocol.has_ports();
    let ports = [(&scope.src_ports, key.src_port), (&scope.dst_ports, key.dst_port)];
    let ports =
        ports.into_iter().all(|(set, port)| set.is_none() || has_ports && holds(set, port.into()));
    let name = application.unwrap_or(Scope::OTHER);
    place(&scope.from, Some(&way.from))
        && place(&scope.to, way.to.as_ref())
        && address(&scope.src, key.src)
        && address(&scope.dst, key.dst)
        && holds(&scope.protocols, key.protocol.0.into())
        && ports
        && scope.applications.as_ref().is_none_or(|names| names.iter().any(|it| **it == *name))
}

fn waiver(scope: Scope, old: Wanted, new: Wanted, expires: Date) -> Waiver {
    let (ticket, owner, reason) = ("CHG-1".into(), "net".into(), "meant".into());
    Waiver { scope, old, new, ticket, owner, reason, expires, line: 1 }
}

/// Random packets through every case: a difference is accepted if and only if some waiver that
/// holds today has it, and then by the first; says how many were accepted, and how many not.
fn check_waivers(old: Firewall, new: Firewall, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let [old, new] = [old, new].map(|side| firewalls::linked(&supported(side)));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let gates = pairing.old.gates.iter().filter_map(|gate| gate.name.clone());
    let gates: Vec<Box<str>> = gates.collect();
    let both = [(Wanted::Allow, Wanted::Deny), (Wanted::Deny, Wanted::Allow)];
    let waivers: Vec<Waiver> = (0..4)
        .map(|number| {
            let mut scope = scope([&old, &new], answer.applications(), &mut random);
            let gate = gates.get(random.below(2 * gates.len().max(1)));
            scope.from = gate.into_iter().cloned().collect();
            let (old, new) = both[random.below(2)];
            waiver(scope, old, new, if number == 0 { YESTERDAY } else { TODAY })
        })
        .collect();
    let terms = Terms { waivers: &waivers, today: TODAY, ..Terms::default() };
    let found = findings_apart(&old, &new, &answer, &pairing, &terms);
    let (mut accepted, mut left) = (0, 0);
    for case in &answer.compared {
        for _ in 0..20 {
            let drawn = draw([&old, &new], case, &mut random);
            let Some((key, application, name)) = drawn else { continue };
            let sides = [(&old, case.case.old), (&new, case.case.new)];
            let answers = sides.map(|(side, passage)| lets_through(side, passage, &key, name));
            let [Some(through_old), Some(through_new)] = answers else { continue };
            let held = found.iter().filter(|it| holds(it, case, &key, application));
            let held: Vec<&Finding> = held.collect();
            assert_eq!(!held.is_empty(), through_old != through_new, "{key:?} {name:?}");
            let meant = waivers.iter().position(|it| {
                let expects = (it.old == Wanted::Allow, it.new == Wanted::Allow);
                it.expires == TODAY
                    && expects == (through_old, through_new)
                    && is_in(&it.scope, &case.crossings[0], &key, name)
            });
            for finding in &held {
                assert_eq!(finding.accepted, meant.map(Acceptance::Waiver), "{key:?} {waivers:#?}");
            }
            accepted += usize::from(!held.is_empty() && meant.is_some());
            left += usize::from(!held.is_empty() && meant.is_none());
        }
    }
    for finding in &found {
        let (key, application) = opening_of(&finding.witness);
        assert!(lies_in(finding, &key, application), "{finding:?}");
        assert!(!finding.is_contradicted(), "{finding:?}");
    }
    (accepted, left)
}

#[test]
fn regions_are_taken_apart_exactly_along_waivers() {
    let counts = Cell::new((0, 0));
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let config = Config { cases: 100, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed)| {
        let (accepted, left) = check_waivers(old, new, seed);
        counts.set((counts.get().0 + accepted, counts.get().1 + left));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (accepted, left) = counts.get();
    assert!(accepted > 50 && left > 50, "{accepted} accepted, {left} not");
}

/// Links a firewall written in the native syntax.
#[track_caller]
fn linked(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// A firewall between two zones with these rules: `ACTION SERVICE [MORE]`, where `more` are lines.
fn zoned(rules: &[(&str, &str, &str)]) -> LinkedFirewall {
    linked(&written(rules))
}

/// The text of such a firewall.
fn written(rules: &[(&str, &str, &str)]) -> String {
    let mut text = String::from(
        "[[application]]\nname = \"tls\"\nidentified_as = [\"tls\"]\n\
         [[application]]\nname = \"ssh\"\nidentified_as = [\"ssh\"]\n\
         [[zone]]\nname = \"inside\"\n[[zone]]\nname = \"outside\"\n\
         [[interface]]\nname = \"eth1\"\nzone = \"inside\"\naddress = [\"10.0.0.1/8\"]\n\
         [[interface]]\nname = \"eth2\"\nzone = \"outside\"\naddress = [\"192.0.2.1/24\"]\n\
         [[route]]\ndestination = \"0.0.0.0/0\"\nnext_hop = \"192.0.2.254\"\n\
         [[rule_base]]\nname = \"main\"\n",
    );
    for (action, service, more) in rules {
        let _ = writeln!(
            text,
            "[[rule_base.rule]]\nname = \"{action} {service}\"\naction = \"{action}\"\n\
             service = \"{service}\"\nfrom = \"inside\"\n{more}"
        );
    }
    text + "[[layer]]\nrule_base = \"main\"\ndefault = \"deny\"\n"
}

/// The findings between two firewalls, with what is known of each waiver.
fn waived(
    [old, new]: [&LinkedFirewall; 2],
    waivers: &[Waiver],
) -> (Vec<Finding>, Vec<Option<WaiverProblem>>) {
    let pairing = Pairing::of(old, new, &BTreeMap::new());
    let answer = compare(old, new, &Request::all(pairing.clone()));
    assert_eq!(answer.undecided, []);
    let terms = Terms { waivers, today: TODAY, ..Terms::default() };
    let found = findings_apart(old, new, &answer, &pairing, &terms);
    let reviewed = review(&[&answer], &[&found], &terms);
    (found, reviewed.into_iter().map(|it| it.problem).collect())
}

fn v4(first: [u8; 4], last: [u8; 4]) -> Addresses {
    let [first, last] = [first, last].map(|it| u128::from(u32::from_be_bytes(it)));
    Addresses { v4: Ranges::span(first, last), v6: Ranges::default() }
}

/// TCP to port 22 from the first 256 hosts: half of a difference over 512.
fn half() -> Scope {
    Scope {
        from: vec!["inside".into()],
        src: Some(v4([10, 0, 0, 0], [10, 0, 0, 255])),
        protocols: Some(Ranges::one(6u8)),
        dst_ports: Some(Ranges::one(22u8)),
        ..Scope::default()
    }
}

#[test]
fn a_region_partly_inside_a_waiver_is_split_and_both_parts_are_shown() {
    let old = zoned(&[("allow", "tcp/22", "source = \"10.0.0.0/23\"")]);
    let new = zoned(&[]);
    let (found, problems) =
        waived([&old, &new], &[waiver(half(), Wanted::Allow, Wanted::Deny, TODAY)]);
    assert_eq!(problems, [None]);
    let [left, accepted] = &found[..] else { panic!("{found:#?}") };
    let (left, accepted) =
        if left.accepted.is_none() { (left, accepted) } else { (accepted, left) };
    assert_eq!((left.accepted, accepted.accepted), (None, Some(Acceptance::Waiver(0))));
    assert_eq!(accepted.sets[&Field::Src].as_slice(), [(0x0a00_0000, 0x0a00_00ff)]);
    assert_eq!(left.sets[&Field::Src].as_slice(), [(0x0a00_0100, 0x0a00_01ff)]);
    assert!((left.packets_log2 - accepted.packets_log2).abs() < 1e-9);
    assert!(left.sets[&Field::Src].contains(bits(left.witness.src)), "{left:?}");
}

#[test]
fn a_waiver_holds_only_until_its_last_day_and_for_the_change_it_names() {
    let old = zoned(&[("allow", "tcp/22", "")]);
    let new = zoned(&[("drop", "tcp/22", "")]);
    let sides = [&old, &new];
    let one = |old, new, expires| {
        let (found, problems) = waived(sides, &[waiver(half(), old, new, expires)]);
        (found.iter().any(|it| it.accepted.is_some()), problems[0])
    };
    let (allow, deny) = (Wanted::Allow, Wanted::Deny);
    assert_eq!(one(allow, deny, TODAY), (true, None));
    assert_eq!(one(allow, deny, YESTERDAY), (false, Some(WaiverProblem::Expired)));
    assert_eq!(one(allow, allow, TODAY), (false, Some(WaiverProblem::Unused)));
    assert_eq!(one(deny, allow, TODAY), (false, Some(WaiverProblem::Unused)));
}

#[test]
fn the_first_waiver_takes_a_difference_and_one_too_wide_is_named() {
    let old = zoned(&[("allow", "tcp/22", "source = \"10.0.0.0/24\"")]);
    let new = zoned(&[]);
    let wide = |last: u8| Scope { src: Some(v4([10, 0, 0, 0], [10, 0, last, 255])), ..half() };
    let problem = |scopes: &[Scope]| {
        let waivers = scopes.iter().cloned();
        let waivers: Vec<Waiver> =
            waivers.map(|scope| waiver(scope, Wanted::Allow, Wanted::Deny, TODAY)).collect();
        waived([&old, &new], &waivers).1
    };
    assert_eq!(problem(&[half(), half()]), [None, Some(WaiverProblem::Unused)]);
    assert_eq!(problem(&[wide(1)]), [None], "half of it is a difference");
    let [Some(WaiverProblem::OverBroad { share })] = problem(&[wide(3)])[..] else {
        panic!("three quarters of it are none");
    };
    assert!((share - 0.25).abs() < 1e-9, "{share}");
    let everywhere = Scope { src: None, ..half() };
    assert!(matches!(problem(&[everywhere])[..], [Some(WaiverProblem::OverBroad { .. })]));
    let leaving = Scope { to: vec!["outside".into()], ..half() };
    let unused = [Some(WaiverProblem::Unused)];
    assert_eq!(problem(&[leaving]), unused, "routes tell where it leaves, not the region");
}

/// Random packets through every case of a search, and the intent it would break; says how many were
/// in a flow found, and how many in none.
fn check_search(firewall: Firewall, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let behaviour = Behaviour::preset(Preset::Panos);
    let firewall = firewalls::linked(&Firewall { behaviour, ..supported(firewall) });
    let pairing = Pairing::of(&firewall, &firewall, &BTreeMap::new());
    let gates = pairing.old.gates.iter().filter_map(|gate| gate.name.clone());
    let gates: Vec<Box<str>> = gates.collect();
    let names = firewall.applications.iter().map(|it| it.name.clone());
    let mut scope = scope([&firewall; 2], &names.collect::<Vec<_>>(), &mut random);
    let mut place = || {
        let gate = gates.get(random.below(3 * gates.len().max(1)));
        gate.into_iter().cloned().collect::<Vec<_>>()
    };
    (scope.from, scope.to) = (place(), place());
    let wanted = [Wanted::Allow, Wanted::Deny][random.below(2)];
    let limits = SolveLimits::default();
    let any_translation = random.below(2) == 0;
    let question = Search { scope: scope.clone(), wanted, limits, any_translation };
    let found = search(&firewall, &question);
    let intent = Intent { name: "it".into(), scope, expect: wanted.opposite(), line: 1 };
    let proved = prove(&firewall, (&pairing, Side::Old), &intent, limits);
    let (mut inside, mut outside) = (0, 0);
    for case in &found.answer.compared {
        for _ in 0..20 {
            let drawn = draw([&firewall; 2], case, &mut random);
            let Some((key, application, name)) = drawn else { continue };
            let Some(through) = lets_through(&firewall, case.case.old, &key, name) else {
                continue;
            };
            let meant = is_in(&intent.scope, &case.crossings[0], &key, name);
            let expected = meant && through == (wanted == Wanted::Allow);
            let flows = found.flows.iter();
            let held = flows.filter(|it| holds(it, case, &key, application));
            let held: Vec<&Finding> = held.collect();
            assert_eq!(
                !held.is_empty(),
                expected,
                "{key:?} {name:?} {wanted:?} {:?}",
                intent.scope
            );
            if expected {
                let certain =
                    |it: &&Finding| !it.sets.keys().any(|field| matches!(field, Field::Atom(_)));
                let certain = held.iter().filter(|it| certain(it)).count();
                assert_eq!(certain, 1, "no condition makes a difference: {key:?} {held:#?}");
                assert_ne!(proved.standing, Standing::Held, "{key:?}");
                inside += 1;
            } else {
                outside += 1;
            }
        }
    }
    let certain = found.certain().next().is_some();
    assert_eq!(proved.standing == Standing::Broken, certain, "{:?}", proved.standing);
    assert_eq!(proved.standing == Standing::Held, found.flows.is_empty() && found.is_complete());
    (inside, outside)
}

#[test]
fn searches_and_intents_hold_exactly_what_the_reference_does() {
    let counts = Cell::new((0, 0));
    let config = Config { cases: 200, ..Config::default() };
    let run = TestRunner::new(config).run(&(firewalls::small(), any::<u64>()), |(it, seed)| {
        let (inside, outside) = check_search(it, seed);
        counts.set((counts.get().0 + inside, counts.get().1 + outside));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let (inside, outside) = counts.get();
    assert!(inside > 200 && outside > 200, "{inside} inside, {outside} outside");
}

#[test]
fn what_leaves_by_a_place_is_what_routes_lead_there_or_a_translation_may() {
    let rules = [("allow", "tcp/22", "")];
    let text = |translation: &str| linked(&format!("{}{translation}", written(&rules)));
    let to = |firewall: &LinkedFirewall, to: &str| -> Vec<(u128, u128)> {
        let scope = Scope { to: vec![to.into()], src: half().src, ..Scope::default() };
        let limits = SolveLimits::default();
        let question = Search { scope, wanted: Wanted::Allow, limits, any_translation: true };
        let found = search(firewall, &question);
        let sets = found.flows.iter().flat_map(|flow| flow.sets[&Field::Dst].as_slice().to_vec());
        sets.collect::<Ranges>().as_slice().to_vec()
    };
    let (ten, public) = ((0x0a00_0000, 0x0aff_ffff), (0xcb00_7100, 0xcb00_71ff));
    let rest = [(0, ten.0 - 1), (ten.1 + 1, u128::from(u32::MAX))];
    let plain = text("");
    assert_eq!(to(&plain, "inside"), [ten]);
    assert_eq!(to(&plain, "outside"), rest);
    let publish = "[[destination_nat]]\nname = \"publish\"\ndestination = \"203.0.113.0/24\"\n\
                   translation = { prefix = \"10.0.5.0/24\" }\n";
    let publishing = text(publish);
    assert_eq!(to(&publishing, "inside"), [ten, public], "it may be sent there");
    assert_eq!(to(&publishing, "outside"), rest);
}

fn standing(firewall: &LinkedFirewall, scope: Scope, expect: Wanted) -> Standing {
    let pairing = Pairing::of(firewall, firewall, &BTreeMap::new());
    let intent = Intent { name: "it".into(), scope, expect, line: 1 };
    let firewall =
        LinkedFirewall { behaviour: Behaviour::preset(Preset::Panos), ..firewall.clone() };
    prove(&firewall, (&pairing, Side::New), &intent, SolveLimits::default()).standing
}

#[test]
fn an_intent_is_held_broken_or_undecided_where_the_text_does_not_tell() {
    let scope = half;
    let open = zoned(&[("allow", "tcp/22", "")]);
    assert_eq!(standing(&open, scope(), Wanted::Allow), Standing::Held);
    assert_eq!(standing(&open, scope(), Wanted::Deny), Standing::Broken);
    let most = zoned(&[("deny", "tcp/22", "source = \"10.0.0.9\""), ("allow", "tcp/22", "")]);
    assert_eq!(standing(&most, scope(), Wanted::Allow), Standing::Broken);
    let perhaps =
        zoned(&[("deny", "tcp/22", "source = \"unknown:a list\""), ("allow", "tcp/22", "")]);
    assert_eq!(standing(&perhaps, scope(), Wanted::Allow), Standing::Undecided);
    let either =
        zoned(&[("allow", "tcp/22", "source = \"unknown:a list\""), ("allow", "tcp/22", "")]);
    assert_eq!(standing(&either, scope(), Wanted::Allow), Standing::Held, "it makes no difference");
    let listed = "source = [\"unknown:a list\", \"10.0.0.1\"]";
    let listed = zoned(&[("allow", "tcp/22", listed)]);
    assert_eq!(standing(&listed, scope(), Wanted::Deny), Standing::Broken, "10.0.0.1 is listed");
    let rest = Scope { src: Some(v4([10, 0, 0, 2], [10, 0, 0, 255])), ..scope() };
    assert_eq!(standing(&listed, rest, Wanted::Deny), Standing::Undecided);
    let outbound = Scope { to: vec!["outside".into()], ..scope() };
    assert_eq!(standing(&open, outbound, Wanted::Allow), Standing::Held);
    let nowhere = Scope { from: vec!["nowhere".into()], ..scope() };
    assert_eq!(standing(&open, nowhere, Wanted::Allow), Standing::Undecided);
}

/// Of each difference whether it is certain.
fn certainties(old: &[(&str, &str, &str)], new: &[(&str, &str, &str)]) -> Vec<bool> {
    let [old, new] = [old, new].map(zoned);
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let found = findings_apart(&old, &new, &answer, &pairing, &Terms::default());
    found.iter().map(|it| it.certain).collect()
}

#[test]
fn a_difference_is_certain_if_no_condition_takes_it_away() {
    let open = ("allow", "tcp/22", "");
    let if_listed = "source = \"unknown:a list\"";
    assert_eq!(certainties(&[open], &[]), [true]);
    assert_eq!(certainties(&[open], &[("allow", "tcp/22", if_listed)]), [false]);
    assert_eq!(certainties(&[("allow", "tcp/22", if_listed)], &[]), [false]);
    assert_eq!(certainties(&[open], &[("drop", "tcp/22", if_listed)]), [true]);
    let either_way =
        certainties(&[("allow", "tcp/22", if_listed)], &[("drop", "tcp/22", if_listed), open]);
    assert_eq!(either_way, [true, true], "closed where listed, opened elsewhere");
}

/// The same firewall, about half of its rules for every application limited to one.
fn migrated(mut firewall: Firewall, random: &mut Random) -> Firewall {
    let names = firewall.applications.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
    for rule in firewall.rule_bases.iter_mut().flat_map(|rule_base| &mut rule_base.rules) {
        if rule.matches.applications == Names::Any && random.below(2) == 0 && !names.is_empty() {
            let name = names[random.below(names.len())].clone();
            rule.matches.applications = Names::one(name, Span::default());
        }
    }
    firewall
}

/// Random packets through every case: a difference is accepted as narrowing if and only if the old
/// firewall lets its header through with every application, and the new one with some. How many
/// were accepted, were not, and should have been: what comes to too many parts is not taken for
/// narrowing.
fn check_narrowing(old: Firewall, new: Firewall, seed: u64) -> [usize; 3] {
    let mut random = Random::new(seed);
    let new = if random.below(2) == 0 { migrated(old.clone(), &mut random) } else { new };
    let [old, new] = [old, new].map(|side| firewalls::linked(&supported(side)));
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let answer = compare(&old, &new, &Request::all(pairing.clone()));
    let terms = Terms { narrowing: Some(SolveLimits::default()), ..Terms::default() };
    let found = findings_apart(&old, &new, &answer, &pairing, &terms);
    let [mut accepted, mut left, mut missed] = [0; 3];
    for case in &answer.compared {
        for number in 0..20 {
            let side = if number % 2 == 0 { &old } else { &new };
            let key = keys::corner(side, &mut random);
            let Some(key) = opening(&key, case, &mut random) else { continue };
            let names = &case.problem.applications;
            let ask = |side, passage| -> Option<Vec<bool>> {
                let names = std::iter::once(None).chain(names.iter().map(|name| Some(&**name)));
                names.map(|name| lets_through(side, passage, &key, name)).collect()
            };
            let asked = ask(&old, case.case.old).zip(ask(&new, case.case.new));
            let Some((through_old, through_new)) = asked else { continue };
            let meant = through_old.iter().all(|it| *it) && through_new.iter().any(|it| *it);
            for application in 0..=names.len() {
                let held = found.iter().filter(|it| holds(it, case, &key, application as u128));
                for finding in held {
                    let narrowed = finding.accepted == Some(Acceptance::Narrowing);
                    assert!(meant || !narrowed, "{key:?} {application}");
                    assert!(!meant || finding.change == Change::Closed);
                    accepted += usize::from(narrowed);
                    left += usize::from(!meant);
                    missed += usize::from(meant && !narrowed);
                }
            }
        }
    }
    [accepted, left, missed]
}

#[test]
fn narrowing_is_what_it_says_and_nothing_else() {
    let counts = Cell::new([0; 3]);
    let pairs = (firewalls::small(), firewalls::small(), any::<u64>());
    let config = Config { cases: 200, ..Config::default() };
    let run = TestRunner::new(config).run(&pairs, |(old, new, seed)| {
        let (more, sum) = (check_narrowing(old, new, seed), counts.get());
        counts.set([0, 1, 2].map(|at| sum[at] + more[at]));
        Ok(())
    });
    assert!(run.is_ok(), "{}", run.unwrap_err());
    let [accepted, left, missed] = counts.get();
    assert!(accepted > 20 && left > 100, "{accepted} accepted, {left} not");
    // One firewall may come to many parts, with all of its packets.
    assert!(missed <= accepted + 50, "{missed} missed, {accepted} accepted");
}

#[test]
fn a_port_rule_that_became_an_application_rule_is_narrowing_and_no_other_closing_is() {
    let narrowing = |old: &LinkedFirewall, new: &LinkedFirewall| {
        let pairing = Pairing::of(old, new, &BTreeMap::new());
        let answer = compare(old, new, &Request::all(pairing.clone()));
        let terms = Terms { narrowing: Some(SolveLimits::default()), ..Terms::default() };
        let found = findings_apart(old, new, &answer, &pairing, &terms);
        assert!(!found.is_empty());
        found.iter().map(|it| it.accepted.is_some()).collect::<Vec<_>>()
    };
    let (tls, ssh) = ("application = [\"tls\"]", "application = [\"ssh\"]");
    let any = zoned(&[("allow", "tcp/443", "")]);
    let only_tls = zoned(&[("allow", "tcp/443", tls)]);
    let both = zoned(&[("allow", "tcp/443", tls), ("allow", "tcp/443", ssh)]);
    assert_eq!(narrowing(&any, &only_tls), [true]);
    assert_eq!(narrowing(&only_tls, &any), [false], "widened");
    assert_eq!(narrowing(&both, &only_tls), [false], "it was no port rule");
    assert_eq!(narrowing(&any, &zoned(&[])), [false], "nothing is left");
    let elsewhere = zoned(&[("allow", "tcp/8443", tls)]);
    assert!(narrowing(&any, &elsewhere).iter().all(|accepted| !accepted));
}
