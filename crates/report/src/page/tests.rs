//! The structure of a page, checked on parsed markup.

mod exact;
mod language;

use std::collections::BTreeSet;
use std::sync::Arc;

use parefeu_engine::EngineConfig;
use parefeu_equivalence::Verdict;
use parefeu_net::{DecodeLimits, LinkType, MalformedReason, Timestamp};
use parefeu_policy::LinkedFirewall;
use parefeu_replay::{
    CapturedAt, Comparison, DifferenceClass, IngressChoice, Lockstep, LockstepLimits, ReplayFrame,
    Side,
};
use parefeu_testkit::firewalls::stated;
use roxmltree::{Document, Node, ParsingOptions};

use super::html::{cut, escape};
use crate::{CaptureInfo, DiffReport, FirewallInfo, Language, Reading, Remark, diff_page};

const OLD: &str = r#"
[[rule_base]]
name = "inbound"
[[rule_base.rule]]
name = "web <script>alert(1)</script> & more"
destination = ["192.0.2.10/32"]
action = "allow"
[[rule_base.rule]]
name = "unused"
source = ["203.0.113.1/32"]
action = "allow"
[[rule_base.rule]]
name = "switched-off"
disabled = true
action = "allow"
[[rule_base.rule]]
name = "built-in"
implied = true
action = "drop"
[[layer]]
rule_base = "inbound"
default = "deny"
"#;

const NEW: &str = r#"
[[rule_base]]
name = "inbound"
[[rule_base.rule]]
name = "too-wide"
destination = ["192.0.2.11/32"]
action = "allow"
[[layer]]
rule_base = "inbound"
default = "drop"
"#;

fn firewall(text: &str) -> Arc<LinkedFirewall> {
    Arc::new(stated(text))
}

/// A UDP datagram of eight bytes to `192.0.2.host`, without link header.
fn datagram(client: u8, host: u8) -> Vec<u8> {
    let mut frame = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0];
    frame.extend([198, 51, 100, client, 192, 0, 2, host]);
    frame.extend([0x9c, 0x40, 0x1f, 0x90, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let sum: u32 = frame[..20].chunks(2).map(|it| u32::from(it[0]) << 8 | u32::from(it[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    frame[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    frame
}

/// Replays datagrams given as second, client and host.
fn compare(datagrams: &[(u64, u8, u8)]) -> (Arc<LinkedFirewall>, Arc<LinkedFirewall>, Comparison) {
    let (old, new) = (firewall(OLD), firewall(NEW));
    let side = |firewall: &Arc<LinkedFirewall>| {
        let config = EngineConfig::default();
        Side::new(Arc::clone(firewall), &IngressChoice::default(), config).unwrap()
    };
    let mut lockstep =
        Lockstep::new(side(&old), side(&new), DecodeLimits::default(), LockstepLimits::default());
    for (second, client, host) in datagrams {
        let data = datagram(*client, *host);
        lockstep.handle_frame(ReplayFrame {
            now: Timestamp::from_secs(1_764_000_000 + second),
            captured: CapturedAt { file: 0, interface: 0, name: None },
            link_type: LinkType::RAW,
            data: &data,
            wire_len: data.len() as u32,
        });
    }
    (old, new, lockstep.finish())
}

const DATAGRAMS: [(u64, u8, u8); 6] =
    [(0, 1, 10), (0, 2, 10), (9, 3, 10), (20, 1, 11), (30, 1, 12), (40, 2, 12)];

/// Renders a comparison of [`DATAGRAMS`] after `change`.
fn page(language: Language, change: impl FnOnce(&mut Comparison)) -> String {
    let (old, new, mut comparison) = compare(&DATAGRAMS);
    change(&mut comparison);
    let captures = [CaptureInfo {
        file: "a\"b<c>.pcap".to_owned(),
        sha256: Some("ab".repeat(32)),
        frames: 12_345,
        ended_early: Some("cut short".to_owned()),
    }];
    let not_modelled = [Remark { file: "new".to_owned(), line: 7, text: "x < y && z".repeat(100) }];
    let info = |firewall| FirewallInfo {
        file: "f'w",
        sha256: "cd",
        dialect: "parefeu",
        firewall,
        reading: Reading::default(),
    };
    let verdict = match comparison.differences.different() {
        0 => Verdict::Undecided,
        _ => Verdict::Different,
    };
    let report = DiffReport {
        old: info(&old),
        new: info(&new),
        captures: &captures,
        comparison: Some(&comparison),
        exact: None,
        timers: &[],
        not_modelled: &not_modelled,
        suspicious: &not_modelled,
        clock_held: 3,
        verdict,
    };
    let page = diff_page(&report, language);
    assert_eq!(page, diff_page(&report, language), "the same report gives the same bytes");
    page
}

/// Turns one group into a session lost and another into a translation, with frames undecodable.
fn enrich(comparison: &mut Comparison) {
    let differences = &mut comparison.differences;
    differences.malformed.insert(MalformedReason::BadIpHeader, 4);
    let mut lost = differences.groups[0].clone();
    let mut translated = lost.clone();
    lost.class = DifferenceClass::SessionLost;
    lost.packet_of_refusal = Some(5);
    lost.new.bytes_before_refusal = 1_234_567;
    translated.class = DifferenceClass::Translation;
    translated.new.verdict = translated.old.verdict;
    translated.new.translated = Some(translated.witness.reverse());
    differences.groups.extend([translated, lost]);
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap()
}

fn all<'a, 'i>(document: &'a Document<'i>, name: &'static str) -> Vec<Node<'a, 'i>> {
    document.descendants().filter(|node| node.has_tag_name(name)).collect()
}

/// The text of a node with blanks collapsed.
fn text(node: Node<'_, '_>) -> String {
    let pieces = node.descendants().filter(Node::is_text).filter_map(|node| node.text());
    pieces.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

fn texts(document: &Document<'_>, name: &'static str) -> Vec<String> {
    all(document, name).into_iter().map(text).collect()
}

/// Fails unless a page fetches nothing, is well-formed and can be read aloud.
#[track_caller]
fn check_markup(page: &str) {
    let document = parse(page);
    let language = document.root_element().attribute("lang");
    assert!(matches!(language, Some("en" | "fr")), "{language:?}");
    for name in ["script", "link", "img", "iframe", "object"] {
        assert_eq!(all(&document, name).len(), 0, "{name}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
    let mut ids = BTreeSet::new();
    for node in document.descendants() {
        if let Some(id) = node.attribute("id") {
            assert!(ids.insert(id), "{id} twice");
        }
        assert!(node.attributes().all(|it| !it.name().starts_with("on") && it.name() != "src"));
    }
    for node in document.descendants() {
        let labels = node.attribute("aria-labelledby").unwrap_or_default().split(' ');
        let target = node.attribute("href").and_then(|href| href.strip_prefix('#'));
        for id in labels.filter(|id| !id.is_empty()).chain(target) {
            assert!(ids.contains(id), "#{id} leads nowhere");
        }
    }
    let mut depth = 0;
    for node in document.descendants().filter(Node::is_element) {
        let level = node.tag_name().name().strip_prefix('h').and_then(|it| it.parse().ok());
        if let Some(level) = level {
            assert!(level <= depth + 1, "h{level} after h{depth}");
            depth = level;
        }
    }
    assert_eq!(all(&document, "h1").len(), 1);
    assert!(all(&document, "th").iter().all(|it| it.attribute("scope").is_some()));
    assert!(
        all(&document, "table").iter().all(|it| {
            it.first_element_child().is_some_and(|first| first.has_tag_name("caption"))
        })
    );
    for svg in all(&document, "svg") {
        let named = svg.children().any(|it| it.has_tag_name("title"))
            && svg.children().any(|it| it.has_tag_name("desc"));
        assert!(named || svg.attribute("aria-hidden") == Some("true"));
    }
}

/// The names of a page's elements in order.
fn shape(page: &str) -> Vec<String> {
    let document = parse(page);
    let elements = document.descendants().filter(Node::is_element);
    elements.map(|node| node.tag_name().name().to_owned()).collect()
}

#[test]
fn a_page_is_self_contained_well_formed_and_accessible() {
    for language in [Language::En, Language::Fr] {
        check_markup(&page(language, enrich));
    }
}

#[test]
fn both_languages_have_the_same_structure() {
    let shape = |language| shape(&page(language, enrich));
    assert_eq!(shape(Language::En), shape(Language::Fr));
}

#[test]
fn losses_of_service_come_first() {
    let page = page(Language::En, enrich);
    let document = parse(&page);
    let classes: Vec<String> = all(&document, "section")
        .into_iter()
        .filter(|it| it.attribute("class").is_some_and(|class| class.starts_with("class ")))
        .filter_map(|it| it.first_element_child().map(text))
        .collect();
    let expected = ["Newly denied", "Session lost", "Newly allowed", "Translated differently"];
    assert_eq!(classes, expected);
    let heads = texts(&document, "h4");
    assert_eq!(heads[0], "1 web <script>alert(1)</script> & more → default");
    assert_eq!(heads[2], "3 built-in → too-wide");
}

#[test]
fn a_difference_shows_both_sides_with_lines_and_figures() {
    let page = page(Language::Fr, enrich);
    let document = parse(&page);
    let articles = all(&document, "article");
    let denied = text(articles[0]);
    for part in [
        "3 sessions, 3 paquets, 108 o, depuis 3 sources",
        "2025-11-24 16:00:00 – 2025-11-24 16:00:09",
        "udp 198.51.100.1:40000 > 192.0.2.10:8080",
        "Base de règles inbound Ligne 4 Motif une règle s’applique",
        "5 name = \"web <script>alert(1)</script> & more\"",
        "Motif aucune règle ne s’applique",
    ] {
        assert!(denied.replace('\u{a0}', " ").contains(part), "{part}\n{denied}");
    }
    let lost = text(articles[1]).replace('\u{a0}', " ");
    for part in ["autorisé, puis perdu", "paquet 5 de l’exemple", "Passé avant le refus 1,2 Mo"]
    {
        assert!(lost.contains(part), "{part}\n{lost}");
    }
}

#[test]
fn the_verdict_states_its_scope_and_limits() {
    let page = page(Language::En, enrich);
    let banner = text(all(&parse(&page), "header")[0]).replace('\u{a0}', " ");
    for part in [
        "Different 4 of 6 sessions treated differently, 3 losing service.",
        "6 sessions in 6 frames of 1 capture",
        "Traffic from 2025-11-24 16:00:00 to 2025-11-24 16:00:40 UTC (40 s).",
        "for all other traffic the answer is undecided",
        "Frames that could not be decoded: 4.",
        "A capture ended early: a\"b<c>.pcap.",
        "Configuration lines not modelled: 1",
    ] {
        assert!(banner.contains(part), "{part}\n{banner}");
    }
}

#[test]
fn traffic_treated_alike_is_undecided() {
    let page = page(Language::En, |comparison| {
        comparison.differences.groups.clear();
        comparison.differences.totals.retain(|class, _| *class == DifferenceClass::Same);
    });
    let document = parse(&page);
    let banner = text(all(&document, "header")[0]).replace('\u{a0}', " ");
    assert!(banner.contains("Undecided No difference in 2 sessions. This does not prove"));
    assert_eq!(all(&document, "article").len(), 0);
    assert!(page.contains("No session of this traffic is treated differently."));
}

#[test]
fn without_traffic_nothing_is_claimed() {
    let (old, new, _) = compare(&[]);
    let info = |firewall| FirewallInfo {
        file: "fw",
        sha256: "cd",
        dialect: "parefeu",
        firewall,
        reading: Reading::default(),
    };
    let report = DiffReport {
        old: info(&old),
        new: info(&new),
        captures: &[],
        comparison: None,
        exact: None,
        timers: &[],
        not_modelled: &[],
        suspicious: &[],
        clock_held: 0,
        verdict: Verdict::Undecided,
    };
    let page = diff_page(&report, Language::En);
    let document = parse(&page);
    let expected = ["Undecided", "Inputs", "What could not be judged"];
    assert_eq!(texts(&document, "h2"), expected);
    assert_eq!(texts(&document, "a"), ["Inputs", "What could not be judged"]);
}

#[test]
fn coverage_leaves_out_implied_and_disabled_rules() {
    let page = page(Language::En, |_| {});
    let document = parse(&page);
    let shares: Vec<String> = all(&document, "p")
        .into_iter()
        .filter(|it| it.attribute("class") == Some("share"))
        .map(|it| text(it).replace('\u{a0}', " "))
        .collect();
    assert_eq!(shares, ["1 of 2 rules hit (50.0%)", "1 of 1 rule hit (100.0%)"]);
    assert!(page.contains("Rules switched off: 1."));
    let window = "Observed from 2025-11-24 16:00:00 to 2025-11-24 16:00:40 UTC (40\u{a0}s)";
    assert!(page.contains(window), "{page}");
    let unused = all(&document, "table").into_iter();
    let unused = unused.filter(|it| it.attribute("class") == Some("unused")).map(text);
    let expected = ["Rules never hit: 1 Rule Rule base unused line 8 inbound"];
    assert_eq!(unused.collect::<Vec<_>>(), expected);
}

#[test]
fn the_timeline_shows_when_sessions_would_be_lost() {
    let page = page(Language::En, |_| {});
    let document = parse(&page);
    let titles: Vec<String> = all(&document, "rect")
        .into_iter()
        .filter(|it| it.attribute("class") == Some("drop"))
        .map(|it| text(it).replace('\u{a0}', " "))
        .collect();
    let expected =
        ["2025-11-24 16:00:00: 2 sessions, 72 B", "2025-11-24 16:00:09: 1 session, 36 B"];
    assert_eq!(titles, expected);
}

#[test]
fn text_from_files_is_escaped_and_cut() {
    let escaped = escape("<script>&\"'\u{202e}\0\u{1b}\tx");
    assert_eq!(escaped, "&lt;script&gt;&amp;&quot;&#39;[U+202E]\u{fffd}\u{fffd}\tx");
    assert_eq!(cut("pare-feu", 4), "pare…");
    assert_eq!(cut("été", 3), "été");
    let page = page(Language::En, |_| {});
    assert!(page.contains(&format!("{}…</td>", escape(&"x < y && z".repeat(40)))));
}
