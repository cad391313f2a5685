//! Sessions held against findings, and what they add up to.

#![expect(clippy::panic, reason = "a test stops where what it states does not hold")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use parefeu_equivalence::{
    Answer, Change, Finding, Pairing, Request, Sighting, SolveLimits, Weighed, Weight, Weights,
    Whereabouts, compare, findings,
};
use parefeu_net::{Protocol, Timestamp};
use parefeu_policy::{InterfaceId, LinkedFirewall, Source, link, native};
use proptest::collection::vec;
use proptest::prelude::*;

#[track_caller]
fn linked(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("test.toml", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:#?}"))
}

fn compared(old: &str, new: &str) -> (Answer, Vec<Finding>, Pairing) {
    compared_with(old, new, SolveLimits::default().work)
}

fn compared_with(old: &str, new: &str, work: u64) -> (Answer, Vec<Finding>, Pairing) {
    let [old, new] = [old, new].map(linked);
    let pairing = Pairing::of(&old, &new, &BTreeMap::new());
    let mut request = Request::all(pairing.clone());
    request.limits.work = work;
    let answer = compare(&old, &new, &request);
    let found = findings(&old, &new, &answer, &pairing);
    (answer, found, pairing)
}

/// A session of 100 bytes over TCP, ten seconds long.
fn session(src: &str, dst_port: u16, second: u64) -> Sighting<'static> {
    let [Ok(src), Ok(dst)] = [src, "192.0.2.1"].map(str::parse::<IpAddr>) else { panic!("{src}") };
    Sighting {
        ingress: [None; 2],
        src,
        dst,
        protocol: Protocol::TCP,
        ports: (40_000, dst_port),
        icmp: None,
        application: None,
        bytes: 100,
        first: Timestamp::from_secs(second),
        last: Timestamp::from_secs(second + 10),
    }
}

/// Rules for a host and a port each, that allow or deny.
type Rules = Vec<(u8, u16, bool)>;

fn text(rules: &Rules) -> String {
    let rules = rules.iter().map(|(host, port, allows)| {
        let action = if *allows { "allow" } else { "deny" };
        format!(
            "[[rule_base.rule]]\nsource = [\"10.0.0.{host}\"]\nservice = [\"tcp/{port}\"]\n\
             action = \"{action}\"\n"
        )
    });
    let rules: String = rules.collect();
    format!(
        "[[rule_base]]\nname = \"m\"\n{rules}[[layer]]\nrule_base = \"m\"\ndefault = \"deny\"\n"
    )
}

proptest! {
    /// Every session lies in a finding if and only if the first rule of either side that fits it
    /// says otherwise, and the sums are those of the sessions.
    #[test]
    fn sessions_lie_where_their_first_rules_differ(
        old in vec((0u8..4, 1u16..5, any::<bool>()), 0..8),
        new in vec((0u8..4, 1u16..5, any::<bool>()), 0..8),
    ) {
        let (answer, found, pairing) = compared(&text(&old), &text(&new));
        let mut weights = Weights::new(&answer, &found, &pairing);
        let mut expected: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
        for (host, port) in (0u8..4).flat_map(|host| (1u16..5).map(move |port| (host, port))) {
            let allows = |rules: &Rules| {
                let mut fitting = rules.iter().filter(|it| (it.0, it.1) == (host, port));
                fitting.next().is_some_and(|it| it.2)
            };
            let change = match (allows(&old), allows(&new)) {
                (true, false) => Some(Change::Closed),
                (false, true) => Some(Change::Opened),
                _ => None,
            };
            let place = weights.add(&session(&format!("10.0.0.{host}"), port, u64::from(host)));
            let said = match place {
                Whereabouts::In(at) => {
                    expected.entry(at).or_default().push(host);
                    Some(found[at].change)
                }
                other => {
                    prop_assert_eq!(other, Whereabouts::Outside);
                    None
                }
            };
            prop_assert_eq!(said, change);
        }
        let weighed = weights.finish();
        for (at, weight) in weighed.findings.iter().enumerate() {
            let mut hosts = expected.remove(&at).unwrap_or_default();
            let seconds = hosts.iter().min().zip(hosts.iter().max());
            let seen = seconds.map(|(first, last)| {
                let [first, last] = [*first, *last].map(u64::from);
                (Timestamp::from_secs(first), Timestamp::from_secs(last + 10))
            });
            let sessions = hosts.len() as u64;
            hosts.dedup();
            let sources = hosts.len();
            prop_assert_eq!(*weight, Weight { sessions, bytes: sessions * 100, sources, seen });
        }
        let inside: u64 = weighed.findings.iter().map(|weight| weight.sessions).sum();
        prop_assert_eq!((inside + weighed.outside, weighed.untold, weighed.undecided), (16, 0, 0));
    }
}

/// Two zones; `rule` stands for new connections from inside.
fn zoned(rule: &str) -> String {
    format!(
        r#"
        [[application]]
        name = "tls"
        identified_as = ["tls"]
        [[zone]]
        name = "inside"
        [[zone]]
        name = "outside"
        [[interface]]
        name = "eth1"
        zone = "inside"
        address = ["10.0.0.1/8"]
        [[interface]]
        name = "eth2"
        zone = "outside"
        address = ["192.0.2.254/24"]
        [[rule_base]]
        name = "main"
        [[rule_base.rule]]
        name = "it"
        from = ["inside"]
        service = ["tcp/443"]
        action = "allow"
        {rule}
        [[layer]]
        rule_base = "main"
        default = "deny"
        "#
    )
}

#[test]
fn the_place_of_entry_and_the_application_count() {
    let (answer, found, pairing) = compared(&zoned(""), &zoned("application = [\"tls\"]"));
    assert_eq!(answer.undecided, []);
    let mut weights = Weights::new(&answer, &found, &pairing);
    let from = |id: Option<u32>, application: Option<&'static str>| {
        let ingress = [id.map(InterfaceId); 2];
        Sighting { ingress, application, ..session("10.0.0.5", 443, 0) }
    };
    for (session, place) in [
        (from(Some(0), None), Whereabouts::In(0)),
        (from(Some(0), Some("ssh")), Whereabouts::In(0)),
        (from(Some(0), Some("tls")), Whereabouts::Outside),
        (from(Some(1), None), Whereabouts::Outside),
        (from(None, None), Whereabouts::Untold),
    ] {
        assert_eq!(weights.add(&session), place, "{session:?}\n{found:#?}");
    }
    let weighed = weights.finish();
    assert_eq!((weighed.findings[0].sessions, weighed.findings[0].sources), (2, 1));
    assert_eq!((weighed.outside, weighed.untold, weighed.undecided), (2, 1, 0));
}

#[test]
fn what_no_capture_shows_is_not_guessed() {
    let (answer, found, pairing) =
        compared(&zoned("unknown = [\"at full moon\"]"), &zoned("disabled = true"));
    let mut weights = Weights::new(&answer, &found, &pairing);
    let inside = Sighting { ingress: [Some(InterfaceId(0)); 2], ..session("10.0.0.5", 443, 0) };
    assert_eq!(weights.add(&inside), Whereabouts::Untold, "{found:#?}");
    let other = Sighting { ports: (40_000, 80), ..inside };
    assert_eq!(weights.add(&other), Whereabouts::Outside);
    assert_eq!(
        weights.finish(),
        Weighed { findings: vec![Weight::default()], outside: 1, untold: 1, undecided: 0 }
    );
}

#[test]
fn a_part_without_an_answer_is_told_apart() {
    let (answer, found, pairing) = compared_with(&zoned(""), &zoned("disabled = true"), 0);
    assert_ne!(answer.undecided, []);
    let mut weights = Weights::new(&answer, &found, &pairing);
    let inside = Sighting { ingress: [Some(InterfaceId(0)); 2], ..session("10.0.0.5", 443, 0) };
    assert_eq!(weights.add(&inside), Whereabouts::Undecided, "{:#?}", answer.undecided);
    assert_eq!(weights.finish().undecided, 1);
}
