//! A French page is French: what it shares with the English one is names, figures and words that
//! both languages have.

use std::collections::BTreeSet;

use parefeu_policy::Behaviour;
use roxmltree::Node;

use super::exact::{self, Compared};
use super::{enrich, page, parse};
use crate::Language;

/// Words of both languages, protocols, abbreviations and options.
const BOTH: [&str; 43] = [
    "application",
    "applications",
    "assume",
    "base",
    "capture",
    "captures",
    "configuration",
    "configurations",
    "dccp",
    "destination",
    "gre",
    "icmp",
    "icmpv",
    "identification",
    "interfaces",
    "ipv",
    "nat",
    "page",
    "parefeu",
    "port",
    "ports",
    "question",
    "sctp",
    "segments",
    "service",
    "session",
    "sessions",
    "sha",
    "source",
    "sources",
    "syn",
    "tcp",
    "ticket",
    "type",
    "types",
    "udp",
    "udplite",
    "url",
    "utc",
    "verdict",
    "verdicts",
    "zone",
    "zones",
];

/// The words of a text, with their apostrophes taken for blanks.
fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !it.is_alphabetic()).filter(|word| word.len() > 2);
    words.map(str::to_lowercase).collect()
}

/// The texts of a page in order, without the lines of configurations, commands, and what is marked
/// as English.
fn visible(page: &str) -> Vec<String> {
    let document = parse(page);
    let is_left_out = |node: Node<'_, '_>| {
        node.has_tag_name("style")
            || node.has_tag_name("pre")
            || node.attribute("lang") == Some("en")
    };
    let texts = document.root_element().descendants().filter(Node::is_text).filter(|node| {
        let above = node.ancestors().take_while(|it| !it.has_tag_name("html"));
        !above.into_iter().any(is_left_out)
    });
    let texts = texts.filter_map(|node| node.text()).filter(|it| !it.starts_with("parefeu test "));
    texts.map(str::to_owned).collect()
}

/// Fails where a text of the French page has a word of the English text in its place.
#[track_caller]
fn check(page: impl Fn(Language) -> String, names: &str) {
    let [english, french] = [Language::En, Language::Fr].map(|language| visible(&page(language)));
    assert_eq!(english.len(), french.len());
    assert!(french.len() > 50, "{french:?}");
    let known = words(names);
    let mut left = BTreeSet::new();
    for (english, french) in english.iter().zip(&french) {
        let (english, french) = (words(english), words(french));
        let shared = english.intersection(&french);
        left.extend(
            shared.filter(|it| !known.contains(*it) && !BOTH.contains(&it.as_str())).cloned(),
        );
    }
    assert!(left.is_empty(), "{left:?}");
}

/// The names that configurations give.
fn names(configurations: &[&str]) -> String {
    let lines = configurations.iter().flat_map(|text| text.lines());
    lines.filter(|line| line.starts_with("name = ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_page_of_traffic_is_in_one_language() {
    let hash = "ab".repeat(32);
    let names = names(&[super::OLD, super::NEW]) + " a\"b<c>.pcap cut short new " + &hash;
    check(|language| page(language, enrich), &names);
}

#[test]
fn a_page_of_regions_is_in_one_language() {
    let names = names(&[exact::OLD, exact::NEW])
        + " net <team> retired | moved clients waivers.toml \
                 intents.toml ssh <in> no ssh old fw.toml new.toml CHG (other)";
    check(|language| Compared::of(exact::OLD, exact::NEW).told().page(language), &names);
    let asa = format!("behaviour = \"asa\"\n{}", exact::OLD);
    let settings = format!("{names} {}", Behaviour::SWITCHES.join(" "));
    check(|language| Compared::of(&asa, exact::OLD).told().page(language), &settings);
    let stateful = exact::OLD
        .replace("action = \"allow\"", "action = \"allow\"\nstate = [\"new\", \"untracked\"]");
    check(|language| Compared::of(&stateful, exact::OLD).told().page(language), &names);
}

/// A firewall that lets an application out, its source translated.
fn translating(application: &str, translation: &str) -> String {
    format!(
        r#"
[[application]]
name = "tls"
identified_as = ["tls"]
[[interface]]
name = "inside"
address = ["10.0.0.1/8"]
[[interface]]
name = "outside"
address = ["203.0.113.1/24"]
[[route]]
destination = "0.0.0.0/0"
next_hop = "203.0.113.254"
[[source_nat]]
name = "hidden"
egress = ["outside"]
translation = {translation}
[[rule_base]]
name = "all"
[[rule_base.rule]]
name = "out"
application = {application}
action = "allow"
[[layer]]
rule_base = "all"
"#
    )
}

#[test]
fn applications_and_translations_are_named_in_one_language() {
    const POOL: &str = r#"{ pool = ["203.0.113.10-203.0.113.19"], port = "allocate 1024-65535" }"#;
    let old = translating("\"any\"", POOL);
    for (application, translation, parts) in [
        ("[\"tls\"]", POOL, &["autre"][..]),
        (
            "\"any\"",
            "\"egress-interface\"",
            &["un port libre parmi 1024-65535", "l’une de 203.0.113.10-203.0.113.19"],
        ),
    ] {
        let compared = Compared::of(&old, &translating(application, translation));
        check(|language| compared.page(language), &(names(&[&old]) + " old fw.toml new.toml"));
        let french = compared.page(Language::Fr);
        for part in parts {
            assert!(french.contains(&format!("<code>{part}</code>")), "{part}\n{french}");
        }
    }
}
