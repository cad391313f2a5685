//! What a page says of an exact comparison.

use std::collections::BTreeMap;
use std::sync::Arc;

use parefeu_equivalence::{
    Answer, Assumption, Conclusion, Date, EXPLAIN_WORK, Edit, Edited, Explanation, Family, Finding,
    Intent, Obstacle, Pairing, ProtocolClass, RegionNames, Request, Scope, Side, SolveLimits,
    Stated, Stop, Terms, Undecided, Unproved, Verdict, Waiver, Wanted, Weighed, Weight, compare,
    compare_by_state, compare_following, conclude, explain, findings, findings_apart,
    findings_by_state, findings_following, prove, review,
};
use parefeu_net::Timestamp;
use parefeu_policy::set::Ranges;
use parefeu_policy::{Diagnostics, LinkedFirewall, RuleId};
use roxmltree::Node;

use super::{all, check_markup, firewall, parse, shape, text, texts};
use crate::{
    Detail, DiffReport, Exact, FirewallInfo, Following, Intents, Language, Reading, Waivers,
    diff_markdown, diff_page, diff_table,
};

pub(super) const OLD: &str = r#"
[[interface]]
name = "in <b>side</b>"
[[interface]]
name = "outside"
[[rule_base]]
name = "all"
[[rule_base.rule]]
name = "web <script>alert('1')</script> `|` [x](y)"
ingress = ["in <b>side</b>"]
source = ["192.0.2.0/25"]
destination = ["198.51.100.10/32"]
service = ["tcp/443"]
action = "allow"
[[rule_base.rule]]
name = "mail"
destination = ["198.51.100.25/32"]
service = ["tcp/25"]
action = "allow"
[[layer]]
rule_base = "all"
default = "deny"
"#;

pub(super) const NEW: &str = r#"
[[interface]]
name = "in <b>side</b>"
[[interface]]
name = "outside"
[[rule_base]]
name = "all"
[[rule_base.rule]]
name = "mail and ssh"
destination = ["198.51.100.25/32"]
service = ["tcp/25", "tcp/22"]
action = "allow"
[[layer]]
rule_base = "all"
default = "drop"
"#;

const TODAY: Date = Date { year: 2026, month: 11, day: 26 };

/// A comparison with everything a report of it needs.
pub(super) struct Compared {
    firewalls: [Arc<LinkedFirewall>; 2],
    asked: Request,
    answer: Answer,
    findings: Vec<Finding>,
    following: Option<(Answer, Vec<Finding>)>,
    by_state: (Answer, Vec<Finding>),
    details: Vec<Detail>,
    explained: Option<Explanation>,
    weighed: Option<Weighed>,
    waivers: Vec<Waiver>,
    intents: Vec<Intent>,
    conclusion: Conclusion,
    accepted: Vec<String>,
}

impl Compared {
    pub(super) fn of(old: &str, new: &str) -> Self {
        let firewalls = [firewall(old), firewall(new)];
        let [old, new] = &firewalls;
        let asked = Request::all(Pairing::of(old, new, &BTreeMap::new()));
        let answer = compare(old, new, &asked);
        let findings = findings(old, new, &answer, &asked.pairing);
        let following = compare_following(old, new, &asked).map(|answer| {
            let findings = findings_following(old, new, &answer, &asked.pairing, &Terms::default());
            (answer, findings)
        });
        let by_state = compare_by_state(old, new, &asked, &answer);
        let others = findings_by_state(old, new, &by_state, &asked.pairing, &Terms::default());
        let problems = Diagnostics::default();
        let stated = [old, new].map(|firewall| Stated { firewall, problems: &problems });
        let conclusion = conclude(stated, &[&answer], &findings, &asked.pairing);
        Self {
            firewalls,
            asked,
            answer,
            findings,
            following,
            by_state: (by_state, others),
            details: Vec::new(),
            explained: None,
            weighed: None,
            waivers: Vec::new(),
            intents: Vec::new(),
            conclusion,
            accepted: Vec::new(),
        }
    }

    /// With everything that can be stated and told beside the regions.
    pub(super) fn told(mut self) -> Self {
        let scope = |port: u16| Scope {
            protocols: Some(Ranges::one(6u8)),
            dst_ports: Some(Ranges::one(port)),
            ..Scope::default()
        };
        let waiver = |port, ticket: &str, expires| Waiver {
            scope: scope(port),
            old: Wanted::Allow,
            new: Wanted::Deny,
            ticket: ticket.into(),
            owner: "net <team>".into(),
            reason: "retired | moved".into(),
            expires,
            line: 3,
        };
        self.waivers = vec![waiver(443, "CHG-<1>", TODAY), waiver(25, "CHG-2", TODAY)];
        let intent =
            |name: &str, expect| Intent { name: name.into(), expect, scope: scope(22), line: 7 };
        self.intents = vec![intent("ssh <in>", Wanted::Allow), intent("no ssh", Wanted::Deny)];
        let [old, new] = &self.firewalls;
        let terms = Terms { waivers: &self.waivers, today: TODAY, ..Terms::default() };
        self.findings = findings_apart(old, new, &self.answer, &self.asked.pairing, &terms);
        self.explained = Some(explain([old, new], &self.answer, (EXPLAIN_WORK, Stop::default())));
        self.details = self
            .findings
            .iter()
            .map(|_| Detail {
                names: [
                    RegionNames { source: vec!["clients".into()], ..RegionNames::default() },
                    RegionNames::default(),
                ],
                because: vec![Edit {
                    object: "web".into(),
                    of: Edited::Addresses(Family::V4),
                    added: Ranges::one(0xc000_0209u32),
                    removed: Ranges::default(),
                }],
            })
            .collect();
        let seen = Weight {
            sessions: 3,
            bytes: 1500,
            sources: 2,
            seen: Some((Timestamp::default(), Timestamp::default())),
        };
        let weights = self.findings.iter().enumerate();
        let findings = weights.map(|(at, _)| if at == 0 { seen } else { Weight::default() });
        self.weighed = Some(Weighed { findings: findings.collect(), ..Weighed::default() });
        self
    }

    fn with<T>(&self, write: impl FnOnce(&DiffReport<'_>) -> T) -> T {
        let [old, new] = &self.firewalls;
        let terms = Terms { waivers: &self.waivers, today: TODAY, ..Terms::default() };
        let reviewed = review(&[&self.answer], &[&self.findings], &terms);
        let proved = self.intents.iter().map(|intent| {
            [(old, Side::Old), (new, Side::New)].map(|(firewall, side)| {
                let place = (&self.asked.pairing, side);
                prove(firewall, place, intent, SolveLimits::default())
            })
        });
        let (proved, doubts) = (proved.collect::<Vec<_>>(), [Vec::new(), Vec::new()]);
        let following = self.following.as_ref();
        let info = |file, firewall| FirewallInfo {
            file,
            sha256: "cd",
            dialect: "parefeu",
            firewall,
            reading: Reading::default(),
        };
        write(&DiffReport {
            old: info("old fw.toml", old),
            new: info("new.toml", new),
            captures: &[],
            comparison: None,
            exact: Some(Exact {
                answer: &self.answer,
                findings: &self.findings,
                following: following.map(|(answer, findings)| Following { answer, findings }),
                by_state: Some(Following { answer: &self.by_state.0, findings: &self.by_state.1 }),
                records: None,
                details: &self.details,
                explained: self.explained.as_ref(),
                weighed: self.weighed.as_ref(),
                asked: &self.asked,
                conclusion: &self.conclusion,
                certificate: None,
                accepted: &self.accepted,
                waivers: (!self.waivers.is_empty()).then_some(Waivers {
                    file: "waivers.toml",
                    waivers: &self.waivers,
                    reviewed: &reviewed,
                }),
                intents: (!self.intents.is_empty()).then_some(Intents {
                    file: "intents.toml",
                    intents: &self.intents,
                    proved: &proved,
                    doubts: &doubts,
                }),
            }),
            timers: &[],
            not_modelled: &[],
            suspicious: &[],
            clock_held: 0,
            verdict: self.conclusion.verdict,
        })
    }

    pub(super) fn page(&self, language: Language) -> String {
        self.with(|report| diff_page(report, language))
    }
}

/// The text of the head of a page.
fn banner(page: &str) -> String {
    text(all(&parse(page), "header")[0]).replace('\u{a0}', " ")
}

/// The text of the section under a heading.
fn section(page: &str, id: &str) -> String {
    let document = parse(page);
    let is_it = |node: &Node<'_, '_>| node.attribute("aria-labelledby") == Some(id);
    text(document.descendants().find(is_it).unwrap()).replace('\u{a0}', " ")
}

#[test]
fn a_page_with_regions_is_well_formed_and_alike_in_both_languages() {
    let compared = Compared::of(OLD, NEW);
    let pages = [Language::En, Language::Fr].map(|language| compared.page(language));
    for page in &pages {
        check_markup(page);
    }
    assert_eq!(shape(&pages[0]), shape(&pages[1]));
    assert_eq!(pages[0], compared.page(Language::En), "the same report gives the same bytes");
}

#[test]
fn what_was_stated_and_is_known_besides_stands_on_the_page() {
    let compared = Compared::of(OLD, NEW).told();
    let pages = [Language::En, Language::Fr].map(|language| compared.page(language));
    for page in &pages {
        check_markup(page);
    }
    assert_eq!(shape(&pages[0]), shape(&pages[1]));
    let [english, french] = pages;
    let changes = section(&english, "changes") + &section(&english, "unseen");
    for part in [
        "Waived CHG-<1> (net <team>), until 2026-11-26: retired | moved",
        "Objects of the old firewall source: clients",
        "Edited object web: +192.0.2.9/32",
        "In the traffic 3 sessions, 1.5 kB of 2 sources, last on 1970-01-01 00:00:00 UTC",
    ] {
        assert!(changes.contains(part), "{part}\n{changes}");
    }
    let stated = section(&english, "stated");
    for part in [
        "CHG-<1> net <team> 2026-11-26 retired | moved over-broad: < 0.1% of its packets are the \
         difference it waives 1 waivers.toml:3",
        "CHG-2 net <team> 2026-11-26 retired | moved unused: nothing is left to waive 0",
        "ssh <in> let through broken",
        "no ssh refuse held broken",
        "intents.toml:7",
    ] {
        assert!(stated.contains(part), "{part}\n{stated}");
    }
    let stated = section(&french, "stated");
    assert!(stated.contains("no ssh refuser tenue non tenue"), "{stated}");
    let rules = section(&english, "rules");
    assert!(rules.contains("mail line 15 mail and ssh line 8 100.0%"), "{rules}");
    assert!(banner(&english).contains("Waived or accepted: 1."), "{}", banner(&english));
    let markdown = compared.with(diff_markdown);
    assert!(markdown.contains("| closed, waived: `CHG-<1>` |"), "{markdown}");
    assert!(markdown.contains("object web: +192.0.2.9/32"), "{markdown}");
    for row in [
        "| `CHG-2` | net \\<team\\> | 2026-11-26 | retired \\| moved | unused: no difference is left \
         for it to waive | 0 | `waivers.toml:3` |",
        "| ssh \\<in\\> | allow | broken: tcp 198.51.100.10:49152 ",
        "| no ssh | deny | held | broken: tcp 198.51.100.10:49152 ",
        "| `default` | `default` over 99.9%, `mail and ssh` under 0.1% |",
    ] {
        assert!(markdown.contains(row), "{row}\n{markdown}");
    }
}

#[test]
fn regions_no_traffic_touches_stand_apart() {
    let compared = Compared::of(OLD, NEW).told();
    let page = compared.page(Language::En);
    let has = |id: &str, region: usize| section(&page, id).contains(&format!("Region {region} "));
    assert!(has("changes", 1) && !has("unseen", 1));
    for region in 2..=compared.findings.len() {
        assert!(has("unseen", region) && !has("changes", region), "{region}");
    }
    assert!(texts(&parse(&page), "a").contains(&"What changes unseen".to_owned()));
    let markdown = compared.with(diff_markdown);
    let table = compared.with(|report| diff_table(report, 200));
    for (text, apart) in [
        (&markdown, "No session of the captures lies in these:"),
        (&table, "also different, though the captures hold none of it:"),
    ] {
        let (touched, others) = text.split_once(apart).unwrap();
        let others = others.split("eturn traffic").next().unwrap();
        assert!(touched.contains("3 sessions") && !others.contains("3 sessions"), "{text}");
        assert!(touched.contains("traffic") && !others.contains("traffic"), "{text}");
        let changes = ["closed", "opened"].map(|kind| others.matches(kind).count());
        assert_eq!(changes, [1, 1], "{text}");
    }
    // Without traffic nothing tells.
    let plain = Compared::of(OLD, NEW);
    assert!(!plain.page(Language::En).contains("id=\"unseen\""));
    assert!(!plain.with(diff_markdown).contains("No session"));
    assert!(!plain.with(|report| diff_table(report, 200)).contains("hold none"));
}

#[test]
fn return_traffic_stands_apart_from_regions() {
    let compared = Compared::of(&format!("behaviour = \"asa\"\n{OLD}"), OLD);
    assert!(compared.findings.is_empty());
    let pages = [Language::En, Language::Fr].map(|language| compared.page(language));
    for page in &pages {
        check_markup(page);
    }
    assert_eq!(shape(&pages[0]), shape(&pages[1]));
    let found = section(&pages[0], "return");
    assert!(found.contains("answers Enter by"), "{found}");
    assert!(found.contains("tcp 192.0.2.0:49152 > 198.51.100.10:443"), "{found}");
    assert!(section(&pages[1], "return").contains("les réponses Entrée"));
    assert!(banner(&pages[0]).contains("Return traffic differs"), "{}", banner(&pages[0]));
    let markdown = compared.with(diff_markdown);
    assert!(markdown.contains("\n## Return traffic\n"), "{markdown}");
    assert!(markdown.contains("| answers | "), "{markdown}");
}

#[test]
fn packets_stand_apart_by_their_state() {
    let states = "action = \"allow\"\nstate = [\"new\", \"established\"]";
    let compared = Compared::of(&OLD.replace("action = \"allow\"", states), OLD);
    assert!(compared.findings.is_empty());
    let pages = [Language::En, Language::Fr].map(|language| compared.page(language));
    for page in &pages {
        check_markup(page);
    }
    assert_eq!(shape(&pages[0]), shape(&pages[1]));
    let found = section(&pages[0], "states");
    assert!(found.contains("invalid Enter by") && found.contains("related Enter by"), "{found}");
    assert!(section(&pages[1], "states").contains("invalides Entrée"));
    let lead = "Packets that open no connection in order differ";
    assert!(banner(&pages[0]).contains(lead), "{}", banner(&pages[0]));
    let markdown = compared.with(diff_markdown);
    assert!(markdown.contains("\n## Packets by their state\n"), "{markdown}");
    assert!(markdown.contains("| invalid | "), "{markdown}");
}

#[test]
fn settings_that_differ_say_what_they_do() {
    let compared = Compared::of(&format!("behaviour = \"asa\"\n{OLD}"), OLD);
    let pages = [Language::En, Language::Fr].map(|language| compared.page(language));
    assert_eq!(shape(&pages[0]), shape(&pages[1]));
    let found = section(&pages[0], "settings");
    assert!(found.contains("tcp-loose off on connections that were open before"), "{found}");
    assert!(section(&pages[1], "settings").contains("tcp-loose inactif actif reprend"));
    let text = compared.with(|report| diff_table(report, 100));
    assert!(text.contains("  tcp-loose: off, on: connections that were open"), "{text}");
    let same = Compared::of(OLD, NEW);
    assert!(!same.page(Language::En).contains("id=\"settings\""));
}

#[test]
fn regions_stand_under_the_rules_that_treat_them_differently() {
    let page = Compared::of(OLD, NEW).page(Language::En);
    let document = parse(&page);
    let expected =
        ["1 web <script>alert('1')</script> `|` [x](y) → default", "2 default → mail and ssh"];
    assert_eq!(texts(&document, "h4"), expected);
    let articles: Vec<String> = all(&document, "article")
        .into_iter()
        .map(|article| text(article).replace('\u{a0}', " "))
        .collect();
    for part in [
        "Enter by in <b>side</b>",
        "Source 192.0.2.0/25",
        "Destination 198.51.100.10/32 Protocol tcp Destination port 443",
        // 128 sources, every source port.
        "about 8.4 million headers",
        "Old firewall allow",
        "9 name = \"web <script>alert('1')</script> `|` [x](y)\"",
        "New firewall drop",
    ] {
        assert!(articles[0].contains(part), "{part}\n{}", articles[0]);
    }
    assert!(articles[1].contains("Destination 198.51.100.25/32"), "{}", articles[1]);
    let banner = banner(&page);
    assert!(banner.contains("3 regions of packets treated differently: 1 closed, 2 opened."));
}

#[test]
fn a_witness_is_asked_by_a_command_that_a_shell_reads_as_it_is_meant() {
    let page = Compared::of(OLD, NEW).page(Language::En);
    let document = parse(&page);
    let checks = all(&document, "figure").into_iter();
    let checks = checks.filter(|figure| figure.attribute("class") == Some("check"));
    let commands: Vec<String> = checks.map(text).collect();
    let expected = "Example tcp 192.0.2.0:49152 > 198.51.100.10:443 \
        allow parefeu test 'old fw.toml' --from 'in <b>side</b>' --source 192.0.2.0 \
        --destination 198.51.100.10 --protocol tcp --source-port 49152 --destination-port 443 \
        drop parefeu test new.toml --from 'in <b>side</b>' --source 192.0.2.0 \
        --destination 198.51.100.10 --protocol tcp --source-port 49152 --destination-port 443";
    assert_eq!(commands[0], expected);
}

/// A rule base that allows each of so many ports by a rule of its own.
fn ports(count: u32) -> String {
    let rules = (1..=count).map(|port| {
        let (name, service) = (format!("port-{port}"), format!("udp/{port}"));
        format!(
            "[[rule_base.rule]]\nname = \"{name}\"\nservice = [\"{service}\"]\naction = \"allow\"\n"
        )
    });
    let rules: String = rules.collect();
    format!(
        "[[layer]]\nrule_base = \"r\"\ndefault = \"drop\"\n[[rule_base]]\nname = \"r\"\n{rules}"
    )
}

#[test]
fn regions_beyond_those_a_page_has_room_for_are_counted() {
    let compared = Compared::of(&ports(203), &ports(0));
    assert_eq!(compared.findings.len(), 203);
    let page = compared.page(Language::En);
    check_markup(&page);
    let changes = section(&page, "changes");
    assert_eq!(all(&parse(&page), "article").len(), 200);
    assert!(changes.contains("3 regions more are in the JSON output."), "{changes}");
    assert!(changes.contains("203 Closed regions, 203 pairs of rules"), "the tiles count all");
    let markdown = compared.with(diff_markdown);
    assert!(markdown.contains("203 regions: 203 closed.\n"));
    assert!(markdown.contains("| 200 | closed |") && !markdown.contains("| 201 |"));
    assert!(markdown.contains("\nand 3 more regions\n"));
}

#[test]
fn values_beyond_those_a_line_has_room_for_are_counted() {
    let hosts: Vec<String> = (0..40).map(|host| format!("\"192.0.2.{}/32\"", host * 4)).collect();
    let old = format!(
        "{}source = [{}]\n",
        ports(1).trim_end_matches("action = \"allow\"\n"),
        hosts.join(", ")
    );
    let compared = Compared::of(&format!("{old}action = \"allow\"\n"), &ports(0));
    let changes = section(&compared.page(Language::En), "changes");
    assert!(changes.contains("192.0.2.60/32 and 24 more Protocol udp"), "{changes}");
}

#[test]
fn each_verdict_has_its_banner() {
    let alike = Compared::of(OLD, OLD);
    let mut assumed = Compared::of(OLD, OLD);
    assumed.conclusion.verdict = Verdict::EquivalentUnderAssumptions;
    assumed.conclusion.identical = false;
    let at = assumed.firewalls[1].rule(RuleId(1)).at;
    let ids = ["new-line-14", "new-line-<i>"];
    assumed.conclusion.assumptions = ids
        .map(|id| Assumption {
            id: id.to_owned(),
            text: "this decides nothing: <u>".to_owned(),
            side: Side::New,
            at,
            missing: None,
        })
        .into();
    assumed.accepted = vec![ids[0].to_owned()];
    let mut undecided = Compared::of(OLD, OLD);
    undecided.conclusion.verdict = Verdict::Undecided;
    undecided.conclusion.identical = false;
    let because = Unproved::NotWrittenOut { side: Side::Old, at, obstacle: Obstacle::Egress };
    for (family, protocols) in
        [(Family::V4, ProtocolClass::WithPorts), (Family::V6, ProtocolClass::Other)]
    {
        let (crossings, because) = (Vec::new(), because.clone());
        undecided.answer.undecided.push(Undecided {
            family,
            protocols,
            crossings: crossings.into(),
            because,
        });
    }
    let different = Compared::of(OLD, NEW);
    for (compared, class, english, french) in [
        (
            &alike,
            "verdict equivalent",
            "Equivalent Every new connection is treated alike: this is proved, not sampled.",
            "Équivalents Toute nouvelle connexion reçoit le même traitement",
        ),
        (
            &assumed,
            "verdict assumed",
            "Equivalent under assumptions Every new connection is treated alike if what is \
             assumed holds: 2 assumptions, of which 1 accepted.",
            "Équivalents sous hypothèses",
        ),
        (
            &undecided,
            "verdict undecided",
            "Undecided No difference is known, but part of the question has no answer: \
             1 open question.",
            "Indécis Aucun écart connu",
        ),
        (&different, "verdict different", "Different 3 regions", "Différents Traitement différent"),
    ] {
        for (language, expected) in [(Language::En, english), (Language::Fr, french)] {
            let page = compared.page(language);
            check_markup(&page);
            assert!(banner(&page).contains(expected), "{expected}\n{}", banner(&page));
            let document = parse(&page);
            assert!(document.descendants().any(|node| node.attribute("class") == Some(class)));
        }
    }
    let basis = section(&alike.page(Language::En), "basis");
    assert!(basis.ends_with("Both sides are one text read in one way: they do the same, whatever in it is not known."), "{basis}");
    let basis = section(&assumed.page(Language::En), "basis");
    let expected = "new-line-14 yes new.toml:15 this decides nothing: <u> \
        new-line-<i> no new.toml:15 this decides nothing: <u>";
    assert!(basis.ends_with(expected), "{basis}");
    for (language, expected) in [
        (
            Language::En,
            "old fw.toml:15 where the packet leaves is not known for every address IPv4, IPv6",
        ),
        (
            Language::Fr,
            "old fw.toml:15 le lieu de sortie n’est pas connu pour toute adresse IPv4, IPv6",
        ),
    ] {
        let open = section(&undecided.page(language), "open");
        assert!(open.ends_with(expected), "{open}");
    }
}

#[test]
fn the_banner_says_what_the_exact_comparison_covers_and_what_not() {
    let mut compared = Compared::of(OLD, NEW);
    let english = banner(&compared.page(Language::En));
    for part in [
        "Every new connection over IPv4 + IPv6 by 3 pairs of zones or interfaces",
        "the first packet of each connection",
        "Applications count as finally identified; users, and URL categories without patterns, by their names",
    ] {
        assert!(english.contains(part), "{part}\n{english}");
    }
    let french = banner(&compared.page(Language::Fr));
    assert!(french.contains("le premier paquet de chaque connexion"), "{french}");
    assert!(!english.contains("Of these, only"));
    compared.asked.families = vec![Family::V4];
    compared.asked.from = Some("outside".into());
    let english = banner(&compared.page(Language::En));
    assert!(english.contains("over IPv4 by 3 pairs"), "{english}");
    assert!(english.contains("Of these, only: enter by outside."), "{english}");
}

#[test]
fn the_pairing_says_why_places_stand_for_each_other() {
    let page = Compared::of(OLD, NEW).page(Language::Fr);
    let document = parse(&page);
    let table = all(&document, "table").into_iter();
    let mut table = table.filter(|it| it.attribute("class") == Some("pairing"));
    let rows: Vec<String> = table
        .next()
        .unwrap()
        .descendants()
        .filter(|node| node.has_tag_name("tr"))
        .map(text)
        .collect();
    assert_eq!(rows[1], "in <b>side</b> in <b>side</b> même nom");
}

#[test]
fn markdown_tells_regions_open_questions_and_assumptions_without_markup_of_theirs() {
    let mut compared = Compared::of(OLD, NEW);
    let at = compared.firewalls[1].rule(RuleId(0)).at;
    let because = Unproved::NotWrittenOut { side: Side::New, at, obstacle: Obstacle::Masked };
    let (family, protocols, crossings) = (Family::V4, ProtocolClass::Icmp, Vec::new());
    compared.answer.undecided.push(Undecided {
        family,
        protocols,
        crossings: crossings.into(),
        because,
    });
    compared.conclusion.assumptions.push(Assumption {
        id: "old-x-1".to_owned(),
        text: "a | b".to_owned(),
        side: Side::Old,
        at: compared.firewalls[0].rule(RuleId(1)).at,
        missing: None,
    });
    let markdown = compared.with(diff_markdown);
    let row = markdown.lines().find(|line| line.contains("| closed |")).unwrap();
    let unescaped = row.replace("\\|", "").matches('|').count();
    assert_eq!(unescaped, 8, "seven cells: {row}");
    assert!(row.contains("web \\<script\\>alert('1')\\</script\\> \\`\\|\\` \\[x\\](y) (line 8)"));
    assert!(
        markdown.contains("\n- `new.toml:8`: address masks have too many holes\n"),
        "{markdown}"
    );
    assert!(markdown.contains("| `old-x-1` | no | `old fw.toml:15` | a \\| b |"), "{markdown}");
}
