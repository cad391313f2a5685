//! What rules write and others read; what is not tracked; counters; sides of a translation.

use super::{check, import};

/// The atoms rules hang on, in order of first mention; the other family's are left out.
#[track_caller]
fn atoms(rules: &str) -> Vec<String> {
    let (firewall, problems) = import(rules);
    let firewall = firewall.unwrap_or_else(|| panic!("{problems:#?}\n{rules}"));
    let texts = firewall.atoms.iter().map(|atom| atom.text.to_string());
    texts.filter(|text| !text.contains("which the text does not hold")).collect()
}

/// The first atom of a text.
#[track_caller]
fn atom(rules: &str) -> String {
    atoms(rules).remove(0)
}

fn marked(mangle: &str, filter: &str) -> String {
    format!(
        "*mangle\n:PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:x - [0:0]\n{mangle}\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n{filter}\nCOMMIT\n"
    )
}

#[test]
fn a_mark_is_named_by_the_rules_that_set_it() {
    let read = "-A FORWARD -m mark --mark 0x1 -j ACCEPT";
    let base = "-A PREROUTING -s 10.0.0.0/8 -j MARK --set-xmark 0x1/0xffffffff";
    let name = atom(&marked(base, read));
    assert!(name.starts_with("iptables: -m mark --mark 0x1 [set by 1 rule, "), "{name}");
    assert_eq!(atom(&marked("", read)), "iptables: -m mark --mark 0x1");
    // What the rules that set it do not hang on does not count.
    for (same, filter) in [
        (format!("{base} -m comment --comment x"), read.to_owned()),
        (format!("-A FORWARD -s 10.0.0.1 -j ACCEPT\n{base}"), read.to_owned()),
        (format!("-A PREROUTING -s 192.0.2.0/24 -j ACCEPT\n{base}"), read.to_owned()),
        (format!("-A PREROUTING -s 10.0.0.0/9 -j DROP\n{base}"), read.to_owned()),
        (format!("{base}\n-A PREROUTING -j TTL --ttl-set 9"), read.to_owned()),
        (base.to_owned(), format!("-A FORWARD -p udp -j ACCEPT\n{read}")),
    ] {
        assert!(atoms(&marked(&same, &filter)).contains(&name), "{same}\n{filter}");
    }
    let mut names = std::collections::BTreeSet::from([name]);
    for other in [
        "-A PREROUTING -s 192.168.0.0/16 -j MARK --set-xmark 0x1/0xffffffff".to_owned(),
        "-A PREROUTING -s 10.0.0.0/8 -j MARK --set-xmark 0x2/0xffffffff".to_owned(),
        format!("-A PREROUTING -s 10.1.0.0/16 -j RETURN\n{base}"),
        format!("-A PREROUTING -s 10.2.0.0/16 -j ACCEPT\n{base}"),
        format!("-A PREROUTING -p udp -j x\n-A x -j ACCEPT\n{base}"),
        format!("-A PREROUTING -p tcp -j x\n-A x -s 10.9.0.0/16 -j ACCEPT\n{base}"),
        format!("-A PREROUTING -p tcp -j x\n-A x -s 10.8.0.0/16 -j ACCEPT\n{base}"),
        format!("{base}\n{base}"),
        "-A PREROUTING -p tcp -j x\n-A x -s 10.0.0.0/8 -j MARK --set-xmark 0x1/0xffffffff".into(),
        format!("{base}\n-A FORWARD -j CONNMARK --restore-mark"),
    ] {
        assert!(names.insert(atom(&marked(&other, read))), "{other}");
    }
}

#[test]
fn a_mark_that_is_restored_hangs_on_what_sets_the_connections() {
    let restore = |value: &str| {
        format!(
            "-A PREROUTING -j CONNMARK --restore-mark\n\
             -A FORWARD -j CONNMARK --set-xmark {value}/0xffffffff"
        )
    };
    let read = "-A FORWARD -m mark --mark 0x1 -j ACCEPT";
    assert_ne!(atom(&marked(&restore("0x1"), read)), atom(&marked(&restore("0x2"), read)));
}

#[test]
fn before_and_after_a_rule_that_sets_it_a_mark_is_another() {
    let set = "-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff";
    let drop = "-A PREROUTING -m mark --mark 0x1 -j DROP";
    let read = "-A FORWARD -m mark --mark 0x1 -j ACCEPT";
    let both = atoms(&marked(&format!("{drop}\n{set}"), read));
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(atoms(&marked(&format!("{set}\n{drop}"), read)).len(), 1);
    // A chain that is reached on both sides becomes two.
    let twice = marked(
        "-A PREROUTING -j x\n-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff\n\
         -A PREROUTING -j x\n-A FORWARD -j x\n-A x -m mark --mark 0x1 -p tcp -j DROP",
        "-A FORWARD -j ACCEPT",
    );
    let (firewall, problems) = import(&twice);
    let firewall = firewall.unwrap_or_else(|| panic!("{problems:#?}"));
    let names: Vec<&str> = firewall.rule_bases.iter().map(|it| &*it.name).collect();
    assert_eq!(
        names,
        ["mangle/PREROUTING", "mangle/FORWARD", "mangle/x", "mangle/x (2)", "FORWARD"]
    );
    assert_eq!(atoms(&twice).len(), 2);
}

#[test]
fn what_else_is_written_names_what_reads_it() {
    let filter = |rules: &str| format!("*filter\n:FORWARD ACCEPT [0:0]\n{rules}\nCOMMIT\n");
    let recent = "-A FORWARD -p tcp --dport 22 -m recent --update --seconds 60 --name SSH -j DROP";
    let listed = format!("-A FORWARD -p tcp --dport 22 -m recent --set --name SSH\n{recent}");
    assert_ne!(atom(&filter(recent)), atom(&filter(&listed)));
    let set = "-A FORWARD -m set --match-set bad src -j DROP";
    let added = |name: &str| format!("-A FORWARD -j SET --add-set {name} src\n{set}");
    assert_eq!(atom(&filter(set)), "iptables: -m set --match-set bad src");
    assert_eq!(atom(&filter(&added("good"))), atom(&filter(set)));
    assert_ne!(atom(&filter(&added("bad"))), atom(&filter(set)));
    let (dscp, read) = ("-A PREROUTING -j DSCP --set-dscp 0x2e", "-A FORWARD -m dscp --dscp 0x2e");
    let read = format!("{read} -j DROP");
    assert_ne!(atom(&marked(dscp, &read)), atom(&marked("", &read)));
}

#[test]
fn the_time_to_live_is_another_before_routing() {
    let filter = "-A FORWARD -m ttl --ttl-eq 1 -j DROP";
    let both = atoms(&marked("-A PREROUTING -m ttl --ttl-eq 1 -j DROP", filter));
    let plain = "iptables: -m ttl --ttl-eq 1";
    assert_eq!(both, [format!("{plain} [before routing]"), plain.to_owned()]);
}

#[test]
fn jumps_without_end_are_named_by_everything() {
    let chains: Vec<String> = (0..40).map(|n| format!(":c{n} - [0:0]")).collect();
    let jumps: Vec<String> =
        (0..39).map(|n| format!("-A c{n} -j c{0}\n-A c{n} -j c{0}", n + 1)).collect();
    let text = format!(
        "*filter\n:FORWARD DROP [0:0]\n{}\n-A FORWARD -j c0\n{}\n\
         -A c39 -m recent --update --name a -j DROP\nCOMMIT\n",
        chains.join("\n"),
        jumps.join("\n")
    );
    let (_, problems) = import(&text);
    assert!(problems.iter().any(|it| it.contains("unsupported order-too-large")), "{problems:?}");
    assert!(atom(&text).contains("[among all rules, "));
}

#[test]
fn a_translation_by_mark_hangs_on_what_marks() {
    let text = |mangle: &str| {
        format!(
            "*mangle\n:POSTROUTING ACCEPT [0:0]\n{mangle}\nCOMMIT\n*nat\n:POSTROUTING ACCEPT [0:0]\n\
             -A POSTROUTING -m mark --mark 0x1 -j SNAT --to-source 203.0.113.7\nCOMMIT\n\
             *filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
        )
    };
    let set = "-A POSTROUTING -s 10.0.0.0/8 -j MARK --set-xmark 0x1/0xffffffff";
    assert_ne!(atoms(&text(set)), atoms(&text("")));
    let kube = |svc: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:KUBE-SVC - [0:0]\n\
             :KUBE-MARK-MASQ - [0:0]\n-A PREROUTING -j KUBE-SVC\n-A KUBE-SVC {svc} -j KUBE-MARK-MASQ\n\
             -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n\
             -A POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n\
             -A POSTROUTING -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
        )
    };
    assert_ne!(atoms(&kube("-d 10.96.0.1/32")), atoms(&kube("-d 10.96.0.2/32")));
}

#[test]
fn the_destination_before_a_translation_is_another_than_after() {
    let text = |nat: &str| {
        format!(
            "*mangle\n:PREROUTING ACCEPT [0:0]\n\
             -A PREROUTING -m addrtype --dst-type LOCAL -j ACCEPT\n-A PREROUTING -j DROP\nCOMMIT\n\
             {nat}*filter\n:FORWARD ACCEPT [0:0]\n\
             -A FORWARD -m addrtype --dst-type LOCAL -j DROP\nCOMMIT\n"
        )
    };
    let nat = "*nat\n:PREROUTING ACCEPT [0:0]\n\
               -A PREROUTING -d 203.0.113.1/32 -j DNAT --to-destination 10.0.0.5\nCOMMIT\n";
    let plain = "iptables: -m addrtype --dst-type LOCAL";
    let before = format!("{plain} [before translation]");
    assert_eq!(atoms(&text(nat)), [before, plain.to_owned()]);
    assert_eq!(atoms(&text("")), [plain]);
}

#[test]
fn each_rule_counts_for_itself() {
    let limit = "-A FORWARD -p udp -m limit --limit 1/min --limit-burst 5 -j ACCEPT";
    let text = |rules: &str| format!("*filter\n:FORWARD DROP [0:0]\n{rules}\nCOMMIT\n");
    let one = atoms(&text(limit));
    assert_eq!(one.len(), 1);
    let two = atoms(&text(&format!("{limit}\n{limit}")));
    assert_eq!((two.len(), &two[0]), (2, &one[0]));
    // Neither what is only logged nor another rule with the same limit changes its name.
    let log = "-A FORWARD -m limit --limit 1/min --limit-burst 5 -j LOG";
    let tcp = limit.replace("udp", "tcp");
    assert!(atoms(&text(&format!("{log}\n{tcp}\n{limit}"))).contains(&one[0]));
}

/// UDP to port 80 is not tracked, but from 192.0.2.9.
fn untracked(rest: &str) -> String {
    format!(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -s 192.0.2.9/32 -j ACCEPT\n\
         -A PREROUTING -p udp -m udp --dport 80 -j CT --notrack\nCOMMIT\n{rest}"
    )
}

#[test]
fn what_is_not_tracked_has_no_other_state() {
    let text = |states: &str| {
        untracked(&format!(
            "*filter\n:FORWARD ACCEPT [0:0]\n:x - [0:0]\n-A FORWARD -j x\n-A FORWARD -j DROP\n\
             -A x -m conntrack --ctstate {states} -j ACCEPT\nCOMMIT\n"
        ))
    };
    check(
        &text("RELATED,ESTABLISHED,NEW"),
        &[
            ("udp 192.0.2.1@1 198.51.100.1@80", "drop 10"),
            ("udp 192.0.2.1@1 198.51.100.1@80 established", "drop 10"),
            ("udp 192.0.2.9@1 198.51.100.1@80", "allow 11"),
            ("udp 192.0.2.1@1 198.51.100.1@81", "allow 11"),
            ("tcp 192.0.2.1@1 198.51.100.1@80", "allow 11"),
        ],
    );
    check(&text("NEW,UNTRACKED"), &[("udp 192.0.2.1@1 198.51.100.1@80", "allow 11")]);
    check(&text("UNTRACKED"), &[("udp 192.0.2.1@1 198.51.100.1@81", "drop 10")]);
}

#[test]
fn what_is_not_tracked_is_not_translated() {
    let text = untracked(
        "*nat\n:PREROUTING ACCEPT [0:0]\n\
         -A PREROUTING -d 203.0.113.1/32 -p udp -j DNAT --to-destination 10.0.0.5:80\nCOMMIT\n\
         *filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
    );
    check(
        &text,
        &[
            // Where the destination may be a new one, nobody can tell what was not tracked.
            ("udp 192.0.2.1@1 203.0.113.1@81", "unknown 11"),
            ("udp 192.0.2.1@1 203.0.113.1@80", "unknown 11"),
            ("tcp 192.0.2.1@1 203.0.113.1@80", "allow 12"),
        ],
    );
}

#[test]
fn lines_that_are_announced_are_told_apart_by_their_conditions() {
    for option in ["--helper ftp", "--zone 5", "--notrack"] {
        let told = |conditions: &str| {
            let text = format!(
                "*raw\n:PREROUTING ACCEPT [0:0]\n:x - [0:0]\n-A PREROUTING -p tcp -j x\n\
                 -A x {conditions} -j CT {option}\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"
            );
            import(&text).1
        };
        let one = told("-s 10.0.0.0/8");
        assert_eq!(one.len(), 1, "{one:?}");
        assert_ne!(one, told("-s 10.0.0.0/9"));
        assert_eq!(one, told("-m comment --comment x -s 10.0.0.0/8"));
    }
}

#[test]
fn a_translation_that_is_given_up_is_unknown_for_all_that_comes_to_it() {
    let returns: Vec<String> = (0..8)
        .map(|n| format!("-A A -s 10.{}.0.0/16 -p tcp -m tcp --dport {} -j RETURN", n + 2, n + 100))
        .collect();
    let text = |to: &str| {
        format!(
            "*nat\n:PREROUTING ACCEPT [0:0]\n:A - [0:0]\n-A PREROUTING -s 10.0.0.0/8 -j A\n{}\n\
             -A A -d 203.0.113.1 -j DNAT --to-destination {to}\nCOMMIT\n\
             *filter\n:FORWARD DROP [0:0]\n-A FORWARD -d 198.51.100.1 -j ACCEPT\nCOMMIT\n",
            returns.join("\n")
        )
    };
    let told = |packet: &str| {
        let (firewall, problems) = import(&text("198.51.100.1"));
        let firewall = firewall.unwrap_or_else(|| panic!("{problems:#?}"));
        let key = super::packet(&firewall, packet);
        let judged = super::reference::judge(&firewall, &key, &super::Knowledge::NOTHING);
        judged.doubtful_nat.is_some()
    };
    assert!(told("tcp 10.1.0.1@1 203.0.113.1@80"));
    assert!(told("udp 10.4.0.1@1 203.0.113.1@80"));
    assert!(!told("tcp 192.0.2.1@1 203.0.113.1@80"));
    assert_ne!(atoms(&text("198.51.100.1")), atoms(&text("198.51.100.2")));
}
