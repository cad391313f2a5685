//! Order of evaluation, matching and three-valued truth, each case with its clause of
//! `docs/semantics.md`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may stop them")]

use std::fmt::Write as _;

use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::set::IdSet;
use parefeu_policy::{
    Answer, ConnectionState, Hit, Identified, Knowledge, LinkedFirewall, PacketKey, Source,
    UserKnowledge, link, native, reference,
};

fn firewall(text: &str) -> LinkedFirewall {
    let (firewall, mut problems) = native::read(Source::new("t", text));
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    linked.unwrap_or_else(|| panic!("{problems:?}\n{text}"))
}

/// A packet such as `tcp 192.0.2.1@1000 10.0.0.1@80`, with words for what else is known: `app=tls`,
/// or `perhaps=tls` while it may still shift, `user=staff`, `url=games,shops` for all categories or
/// `found=` for those with patterns, `in=eth0`, `state=invalid`, `at=7200` (seconds since the
/// epoch).
fn packet(firewall: &LinkedFirewall, words: &[&str]) -> PacketKey {
    let protocol = Protocol::from_name(words[0]).unwrap();
    let endpoint = |word: &str| {
        let (address, port) = word.rsplit_once('@').unwrap_or((word, "0"));
        (address.parse().unwrap(), port.parse::<u16>().unwrap())
    };
    let ((src, src_port), (dst, dst_port)) = (endpoint(words[1]), endpoint(words[2]));
    let stated =
        |name: &str| words[3..].iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let state = |name: &str| ConnectionState::ALL.into_iter().find(|it| it.name() == name);
    let icmp = protocol.is_icmp().then_some(((dst_port >> 8) as u8, dst_port as u8));
    PacketKey {
        ingress: stated("in").and_then(|name| firewall.interface_named(name)),
        egress: None,
        from: None,
        to: None,
        src,
        dst,
        protocol,
        src_port,
        dst_port,
        icmp,
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: stated("state").and_then(state).unwrap_or(ConnectionState::New),
        device: None,
        time: Timestamp::from_secs(stated("at").map_or(0, |secs| secs.parse().unwrap())),
    }
}

/// The answer with the name of the rule it rests on, `default` without one.
fn answer(firewall: &LinkedFirewall, packet_text: &str) -> String {
    let words: Vec<&str> = packet_text.split_whitespace().collect();
    let key = packet(firewall, &words);
    let stated = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
    let application = |name: &str| {
        let ids = firewall.application_names.get(name);
        ids.and_then(|ids| ids.first().copied())
    };
    let users: Vec<_> = words
        .iter()
        .filter_map(|word| word.strip_prefix("user="))
        .filter_map(|name| firewall.users.iter().position(|user| &**user == name))
        .map(|at| parefeu_policy::UserId(at as u32))
        .collect();
    let categories = stated("url=").or(stated("found=")).map(|names| {
        let listed = |name: &str| names.split(',').any(|it| it == name);
        let categories = (0..).zip(&firewall.url_categories);
        IdSet::only(categories.filter(|(_, it)| listed(&it.name)).map(|(id, _)| id))
    });
    let known = Knowledge {
        application: match (stated("app="), stated("perhaps=")) {
            (Some(name), _) => Identified::Finally(application(name)),
            (None, Some(name)) => Identified::Tentatively(application(name)),
            (None, None) => Identified::NotYet,
        },
        url_categories: categories.as_ref(),
        categories_stated: stated("url=").is_some(),
        users: UserKnowledge::Mapped(&users),
    };
    let evaluation = reference::judge(firewall, &key, &known).evaluation;
    let rule = |hit: Hit| hit.rule.map_or("default", |id| &*firewall.rule(id).name);
    match evaluation.answer() {
        Answer::Certain(hit) => format!("{} {}", hit.action, rule(hit)),
        Answer::Depends(hit) => format!("depends {}", rule(hit)),
        Answer::Unknown(hit) => format!("unknown {}", rule(hit)),
    }
}

#[track_caller]
fn check(text: &str, cases: &[(&str, &str)]) {
    let firewall = firewall(text);
    for (packet, expected) in cases {
        assert_eq!(answer(&firewall, packet), *expected, "{packet}\n{text}");
    }
}

/// A layer over the rule base `main`, whose rules are each `name: keys`; rules of other rule bases
/// follow a line `= NAME`.
fn rules(lines: &str) -> String {
    let mut text = "[[layer]]\nrule_base = \"main\"\n[[rule_base]]\nname = \"main\"\n".to_owned();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("= ") {
            writeln!(text, "[[rule_base]]\nname = \"{name}\"").unwrap();
        } else {
            let (name, keys) = line.split_once(": ").unwrap();
            let keys = keys.replace("; ", "\n");
            writeln!(text, "[[rule_base.rule]]\nname = \"{name}\"\n{keys}").unwrap();
        }
    }
    text
}

const WEB: &str = "tcp 192.0.2.1@1000 10.0.0.1@80";
const DNS: &str = "udp 192.0.2.1@1000 10.0.0.1@53";

/// S1.3, S4: zones and the destination layers compare.
#[test]
fn the_pipeline_translates_then_routes_then_filters() {
    let text = |sees: &str| {
        format!(
            r#"
            [[zone]]
            name = "out"
            [[zone]]
            name = "dmz"
            [[interface]]
            name = "eth0"
            zone = "out"
            address = "203.0.113.254/24"
            [[interface]]
            name = "eth1"
            zone = "dmz"
            address = "10.0.0.254/24"
            [[destination_nat]]
            destination = "203.0.113.1"
            service = "tcp/80"
            to = "out"
            translation = {{ prefix = "10.0.0.1", port = "80>8080" }}
            [[rule_base]]
            name = "main"
            [[rule_base.rule]]
            name = "arrived"
            destination = "203.0.113.1"
            service = "tcp/80"
            from = "out"
            to = "dmz"
            action = "allow"
            [[rule_base.rule]]
            name = "real"
            destination = "10.0.0.1"
            service = "tcp/8080"
            from = "out"
            to = "dmz"
            action = "drop"
            [[layer]]
            rule_base = "main"
            sees_destination = "{sees}"
            "#
        )
    };
    let packet = "tcp 203.0.113.9@1 203.0.113.1@80 in=eth0";
    check(&text("original"), &[(packet, "allow arrived")]);
    check(&text("translated"), &[(packet, "drop real")]);
    let firewall = firewall(&text("original"));
    let words: Vec<&str> = packet.split_whitespace().collect();
    let key = crate::packet(&firewall, &words);
    let judged = reference::judge(&firewall, &key, &Knowledge::NOTHING);
    assert_eq!(judged.translated.to_string(), "tcp 203.0.113.9:1 > 10.0.0.1:8080");
    assert_eq!((judged.destination_nat, judged.source_nat), (Some(0), None));
    assert!(!judged.session_chooses);
}

/// S1.4, S1.7
#[test]
fn the_first_match_wins_and_defaults_come_last() {
    let text = rules(
        r#"
        off: service = "tcp"; action = "reset"; disabled = true
        web: service = "tcp/80"; action = "allow"
        tcp: service = "tcp"; action = "drop"
        "#,
    );
    check(
        &text,
        &[(WEB, "allow web"), ("tcp 192.0.2.1@1 10.0.0.1@81", "drop tcp"), (DNS, "deny default")],
    );
    let own = text.replace("name = \"main\"\n", "name = \"main\"\ndefault = \"allow\"\n");
    check(&own, &[(DNS, "allow default")]);
}

/// S1.5
#[test]
fn jump_comes_back_goto_does_not_and_return_goes_back() {
    check(
        &rules(
            r#"
            j: service = "tcp"; action = "jump:sub"
            g: service = "udp"; action = "goto:sub"
            c: action = "continue"
            all: action = "allow"
            = sub
            back: destination = "10.0.0.1"; action = "return"
            deep: source = "192.0.2.2"; action = "jump:low"
            no: source = "192.0.2.0/24"; action = "drop"
            = low
            low: source = "192.0.2.2"; action = "return"
            "#,
        ),
        &[
            (WEB, "allow all"),
            ("tcp 192.0.2.1@1 10.0.0.2@80", "drop no"),
            ("tcp 192.0.2.2@1 10.0.0.2@80", "drop no"),
            ("tcp 192.0.3.1@1 10.0.0.2@80", "allow all"),
            (DNS, "deny default"),
            ("udp 192.0.2.1@1 10.0.0.2@53", "drop no"),
            ("udp 192.0.3.1@1 10.0.0.2@53", "deny default"),
            ("icmp 192.0.2.1 10.0.0.2", "allow all"),
        ],
    );
}

/// S1.6
#[test]
fn every_layer_has_to_accept() {
    let text = r#"
        [[layer]]
        rule_base = "one"
        default = "allow"
        [[layer]]
        rule_base = "two"
        default = "allow"
        [[rule_base]]
        name = "one"
        [[rule_base.rule]]
        name = "no tcp"
        service = "tcp"
        action = "drop"
        [[rule_base]]
        name = "two"
        [[rule_base.rule]]
        name = "no web"
        service = ["tcp/80", "udp/53"]
        action = "reset"
        [[rule_base.rule]]
        name = "rest"
        action = "allow"
    "#;
    check(
        text,
        &[(WEB, "drop no tcp"), (DNS, "reset no web"), ("icmp 192.0.2.1 10.0.0.1", "allow rest")],
    );
    check("", &[(WEB, "allow default")]);
}

/// S2.1 to S2.4
#[test]
fn parts_all_hold_members_are_alternatives_and_empty_lists_match_nothing() {
    check(
        &rules(
            r#"
            empty: source = []; action = "reset"
            none: service = []; action = "reset"
            two: source = ["192.0.2.1", "192.0.2.3"]; service = ["tcp/80", "udp/53"]; action = "allow"
            not: source = ["192.0.2.4", "192.0.2.5"]; negate_source = true; action = "drop"
            ping: service = "icmp/8"; action = "allow"
            ports: service = { protocol = ["tcp", "gre"], port = "22" }; action = "allow"
            "#,
        ),
        &[
            (WEB, "allow two"),
            (DNS, "allow two"),
            ("udp 192.0.2.3@1 10.0.0.1@80", "drop not"),
            ("tcp 192.0.2.4@1 10.0.0.1@80", "deny default"),
            ("tcp 192.0.2.5@1 10.0.0.1@22", "allow ports"),
            ("gre 192.0.2.5 10.0.0.1", "allow ports"),
            ("icmp 192.0.2.5 10.0.0.1@2048", "allow ping"),
            ("icmp 192.0.2.5 10.0.0.1@0", "deny default"),
            ("icmpv6 2001:db8::1 2001:db8::2", "drop not"),
        ],
    );
}

/// S2.5
#[test]
fn a_field_that_is_not_stated_leaves_its_rule_undecided() {
    let text = format!(
        "{}[[interface]]\nname = \"eth0\"\n[[interface]]\nname = \"eth1\"\n",
        rules("in: ingress = \"eth0\"; action = \"allow\"\nall: action = \"drop\"")
    );
    check(
        &text,
        &[
            (WEB, "unknown in"),
            (&format!("{WEB} in=eth0"), "allow in"),
            (&format!("{WEB} in=eth1"), "drop all"),
        ],
    );
}

/// S2.1: states, flags and schedules are parts like any other.
#[test]
fn states_flags_and_schedules_are_compared() {
    let text = format!(
        "{}[[schedule]]\nname = \"night\"\nweekly = \"thu 00:00-06:00\"\n",
        rules(
            r#"
            est: state = ["established", "related"]; action = "allow"
            ack: tcp_flags = "ack"; action = "reset"
            syn: tcp_flags = "syn,ack=syn"; schedule = "night"; action = "drop"
            "#
        )
    );
    check(
        &text,
        &[
            (&format!("{WEB} state=related"), "allow est"),
            (WEB, "drop syn"),
            (&format!("{WEB} at=21599"), "drop syn"),
            (&format!("{WEB} at=21600"), "deny default"),
            (DNS, "deny default"),
        ],
    );
}

/// S3.1, S3.2
#[test]
fn identification_makes_an_answer_depend_and_an_atom_makes_it_unknown() {
    let text = format!(
        "{}[[application]]\nname = \"tls\"\n[[application]]\nname = \"ssh\"\n",
        rules(
            r#"
            tls: service = "tcp"; application = "tls"; action = "allow"
            staff: service = "tcp"; user = "staff"; action = "allow"
            games: service = "tcp"; url_category = "games"; action = "reset"
            same: service = "udp"; unknown = "atom"; action = "deny"
            atom: service = "icmp"; application = "ssh"; unknown = "atom"; action = "allow"
            "#
        )
    );
    check(
        &text,
        &[
            (WEB, "depends tls"),
            (&format!("{WEB} app=tls"), "allow tls"),
            (&format!("{WEB} app=ssh"), "deny default"),
            (&format!("{WEB} app=ssh user=staff"), "allow staff"),
            (&format!("{WEB} app=ssh url=games"), "reset games"),
            // The doubtful rule would refuse as the default does: the answer is certain.
            (DNS, "deny default"),
            ("icmp 192.0.2.1 10.0.0.1", "unknown atom"),
            ("icmp 192.0.2.1 10.0.0.1 app=tls", "deny default"),
        ],
    );
}

/// S2.4: what no rule names, and what belongs to several members.
#[test]
fn a_negated_list_matches_whatever_belongs_to_no_member() {
    let defined = "[[application]]\nname = \"tls\"\ndefault_service = \"tcp/443\"\n\
        [[application]]\nname = \"web\"\nimplicit = [\"tls\"]\n\
        [[url_category]]\nname = \"games\"\npatterns = [\"games.example/\"]\n\
        [[url_category]]\nname = \"shops\"\npatterns = [\"shop.example/\"]\n";
    let mention = "s: disabled = true; url_category = \"shops\"; action = \"allow\"";
    let text = |keys: &str| {
        format!("{}{defined}", rules(&format!("r: {keys}; action = \"allow\"\n{mention}")))
    };
    let of = |more: &str| format!("{WEB} {more}");
    check(
        &text("application = \"!web\""),
        &[
            (WEB, "depends r"),
            (&of("app=web"), "deny default"),
            (&of("app=tls"), "allow r"),
            (&of("app=dns"), "allow r"),
            (&of("perhaps=dns"), "allow r"),
            (&of("perhaps=tls"), "allow r"),
        ],
    );
    check(
        &text("application = \"!tls\"; service = \"application-default\""),
        &[(WEB, "depends r"), (&of("app=tls"), "deny default"), (&of("app=dns"), "unknown r")],
    );
    check(
        &text("url_category = [\"!games\"]"),
        &[
            (WEB, "depends r"),
            (&of("url=none"), "allow r"),
            (&of("url=shops"), "allow r"),
            (&of("url=games"), "deny default"),
            (&of("url=games,shops"), "deny default"),
        ],
    );
    // Nobody is in the list who is not known at all.
    check(
        &text("user = [\"!staff\", \"!guests\"]"),
        &[
            (WEB, "allow r"),
            (&of("user=staff"), "deny default"),
            (&of("user=guests"), "deny default"),
        ],
    );
    // A category only the vendor can tell may be one more that the URL is in.
    check(
        &text("url_category = \"!gambling\""),
        &[(&of("found=shops"), "unknown r"), (&of("url=shops"), "allow r")],
    );
}

/// S3.3
#[test]
fn a_doubtful_jump_is_followed_and_the_rest_stays_in_question() {
    let text = |action: &str, inner: &str| {
        rules(&format!(
            "j: unknown = \"atom\"; action = \"{action}:sub\"\nall: action = \"allow\"\n\
             = sub\nin: service = \"tcp\"; action = \"{inner}\""
        ))
    };
    check(&text("jump", "drop"), &[(WEB, "unknown in"), (DNS, "allow all")]);
    check(&text("jump", "allow"), &[(WEB, "allow all")]);
    check(&text("goto", "allow"), &[(WEB, "allow all"), (DNS, "unknown default")]);
    let many = "j: unknown = \"atom\"; action = \"jump:sub\"\n".repeat(65);
    let text = rules(&format!("{many}all: action = \"allow\"\n= sub\nx: action = \"continue\""));
    check(&text, &[(WEB, "unknown default")]);
}

/// Rule bases `r0` to `r<depth>`, each leading to the next twice by `lead`, with `last` at the end.
fn twice_into_the_next(depth: usize, lead: &str, last: &str) -> String {
    let mut text = "start: action = \"jump:r0\"\nall: action = \"allow\"\n".to_owned();
    for level in 0..depth {
        let next = level + 1;
        writeln!(text, "= r{level}").unwrap();
        for way in ["a", "b"] {
            match lead {
                "jump" => writeln!(text, "{way}: action = \"jump:r{next}\"").unwrap(),
                _ => writeln!(text, "{way}: action = \"jump:{way}{level}\"").unwrap(),
            }
        }
        for way in ["a", "b"].into_iter().filter(|_| lead == "goto") {
            writeln!(text, "= {way}{level}\nx: action = \"goto:r{next}\"").unwrap();
        }
    }
    rules(&format!("{text}= r{depth}\n{last}\n"))
}

/// S1.8. Read twice each time, sixty rule bases would be read 2⁶⁰ times.
#[test]
fn a_rule_base_that_went_back_is_not_read_again() {
    let none = "x: service = \"udp\"; action = \"drop\"";
    for (depth, lead) in [(60, "jump"), (30, "goto")] {
        check(&twice_into_the_next(depth, lead, none), &[(WEB, "allow all"), (DNS, "drop x")]);
    }
    // What is noted on the first reading stands, and doubtful paths are counted once.
    let sub = "= sub\nd: unknown = \"atom\"; action = \"jump:low\"\n= low\nx: service = \"udp\"; \
        action = \"drop\"";
    let many = "j: action = \"jump:sub\"\n".repeat(100);
    let text = rules(&format!("{many}all: action = \"allow\"\n{sub}"));
    check(&text, &[(WEB, "allow all"), (DNS, "unknown x")]);
}

/// S1.8 on a path that is only perhaps taken: it reads again what the sure path has read, once.
#[test]
fn a_doubtful_path_keeps_its_own_account() {
    let text = rules(
        r#"
        j: action = "jump:sub"
        d: unknown = "atom"; action = "goto:far"
        all: action = "allow"
        = far
        again: action = "jump:sub"
        back: action = "jump:sub"
        = sub
        t: application = "tls"; action = "drop"
        "#,
    );
    let text = format!("{text}[[application]]\nname = \"tls\"\n");
    check(&text, &[(WEB, "unknown t"), (&format!("{WEB} app=ssh"), "unknown default")]);
}

/// S3.5
#[test]
fn application_default_holds_an_application_to_its_ports() {
    let text = |application: &str| {
        format!(
            "{}[[application]]\nname = \"tls\"\ndefault_service = \"tcp/443\"\n\
             [[application]]\nname = \"dns\"\ndefault_service = [\"udp/53\", \"tcp/53\"]\n",
            rules(&format!(
                "d: service = \"application-default\"{application}; action = \"allow\""
            ))
        )
    };
    check(
        &text(""),
        &[
            (WEB, "depends d"),
            (&format!("{WEB} app=tls"), "deny default"),
            (&format!("{DNS} app=dns"), "allow d"),
            (&format!("{DNS} app=tls"), "deny default"),
        ],
    );
    check(
        &text("; application = \"tls\""),
        &[
            (WEB, "deny default"),
            ("tcp 192.0.2.1@1 10.0.0.1@443", "depends d"),
            ("tcp 192.0.2.1@1 10.0.0.1@443 app=tls", "allow d"),
        ],
    );
}

/// S4.1, S4.2
#[test]
fn the_first_translation_wins_and_a_doubtful_one_is_named() {
    let text = r#"
        source_nat_sees = "translated"
        [[destination_nat]]
        name = "doubt"
        destination = "203.0.113.9"
        unknown = "atom"
        translation = { prefix = "10.9.9.9" }
        [[destination_nat]]
        name = "keep"
        destination = "203.0.113.0/28"
        translation = "keep"
        [[destination_nat]]
        name = "net"
        destination = "203.0.113.0/24"
        translation = { prefix = "10.0.5.0/24", port = "8000>9000" }
        [[source_nat]]
        name = "pool"
        destination = "10.0.5.0/24"
        translation = { pool = ["198.51.100.7"], port = "allocate" }
    "#;
    let firewall = firewall(text);
    for (destination, dst, src, doubtful, chooses) in [
        ("203.0.113.5@8000", "203.0.113.5:8000", "192.0.2.1:9", false, false),
        ("203.0.113.77@8001", "10.0.5.77:9001", "198.51.100.7:9", false, true),
        ("203.0.113.9@80", "203.0.113.9:80", "192.0.2.1:9", true, false),
        ("192.0.2.9@80", "192.0.2.9:80", "192.0.2.1:9", false, false),
    ] {
        let key = packet(&firewall, &["tcp", "192.0.2.1@9", destination]);
        let judged = reference::judge(&firewall, &key, &Knowledge::NOTHING);
        let expected = format!("tcp {src} > {dst}");
        assert_eq!(judged.translated.to_string(), expected);
        assert_eq!((judged.doubtful_nat.is_some(), judged.session_chooses), (doubtful, chooses));
    }
}

/// S4.1: what nobody can tell makes doubtful what is compared after it.
#[test]
fn a_translation_to_something_unknown_is_doubtful_where_it_is_compared() {
    let text = |table: &str, sees: &str| {
        format!(
            "[[{table}]]\nname = \"n\"\ntranslation = {{ pool = [\"unknown:of the provider\"] }}\n\
             [[rule_base]]\nname = \"main\"\n[[layer]]\nrule_base = \"main\"\n{sees}\n"
        )
    };
    for (table, sees, doubtful) in [
        ("destination_nat", "", true),
        ("source_nat", "", false),
        ("source_nat", "sees_destination = \"translated\"", false),
        ("source_nat", "sees_source = \"translated\"", true),
    ] {
        let firewall = firewall(&text(table, sees));
        let key = packet(&firewall, &["tcp", "192.0.2.1@9", "10.0.0.1@80"]);
        let judged = reference::judge(&firewall, &key, &Knowledge::NOTHING);
        assert_eq!(judged.doubtful_nat.is_some(), doubtful, "{table} {sees}");
    }
}

/// S4.1: a pool translates packets of the families it has addresses of, and no others.
#[test]
fn a_pool_without_an_address_of_the_family_is_no_translation() {
    let tables = |table: &str| {
        format!(
            "[[{table}]]\nname = \"four\"\ntranslation = {{ pool = [\"192.0.2.7\"] }}\n\
             [[{table}]]\nname = \"six\"\ntranslation = {{ pool = [\"2001:db8:7::7\"] }}\n"
        )
    };
    let (source, destination) = (tables("source_nat"), tables("destination_nat"));
    for (text, src, dst, expected) in [
        (&source, "10.0.0.1", "10.0.1.1", "tcp 192.0.2.7:9 > 10.0.1.1:80"),
        (&source, "2001:db8::1", "2001:db8::2", "tcp [2001:db8:7::7]:9 > [2001:db8::2]:80"),
        (&destination, "10.0.0.1", "10.0.1.1", "tcp 10.0.0.1:9 > 192.0.2.7:80"),
        (&destination, "2001:db8::1", "2001:db8::2", "tcp [2001:db8::1]:9 > [2001:db8:7::7]:80"),
    ] {
        let firewall = firewall(text);
        let key = packet(&firewall, &["tcp", &format!("{src}@9"), &format!("{dst}@80")]);
        let judged = reference::judge(&firewall, &key, &Knowledge::NOTHING);
        assert_eq!(judged.translated.to_string(), expected);
        assert!(judged.doubtful_nat.is_none() && !judged.session_chooses, "{text}");
    }
}

/// S4.3
#[test]
fn a_client_has_one_address_of_a_pool_wherever_it_goes() {
    let firewall =
        firewall("[[source_nat]]\nname = \"n\"\ntranslation = { pool = [\"203.0.113.0/24\"] }\n");
    let leaves_as = |client: u8, server: u8| {
        let (src, dst) = (format!("192.0.2.{client}@9"), format!("10.0.0.{server}@80"));
        let key = packet(&firewall, &["tcp", &src, &dst]);
        reference::judge(&firewall, &key, &Knowledge::NOTHING).translated.src
    };
    for client in 0..20 {
        let own = leaves_as(client, 0);
        assert!((1..20).all(|server| leaves_as(client, server) == own), "client {client}");
    }
    assert!((1..20).any(|client| leaves_as(client, 0) != leaves_as(0, 0)));
}
