use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{
    Answer, ConnectionState, Diagnostics, Knowledge, LinkedFirewall, PacketKey, Severity, Source,
    link, reference,
};

use super::read;

mod state;

/// What a text is reported for, each as `line severity code: message`.
fn problems_of(source: &Source, problems: &Diagnostics) -> Vec<String> {
    let shown = problems.iter().map(|problem| {
        let (line, _) = source.position(problem.at.unwrap_or_default().start);
        format!("{line} {} {}: {}", problem.severity.name(), problem.code, problem.message)
    });
    shown.collect()
}

/// Reads and links; the second part are the problems.
fn import(text: &str) -> (Option<LinkedFirewall>, Vec<String>) {
    let source = Source::new("t", text);
    let (firewall, mut problems) = read(source.clone());
    let linked = firewall.and_then(|firewall| link(&firewall, &mut problems));
    problems.sort();
    (linked, problems_of(&source, &problems))
}

/// A packet such as `tcp 192.0.2.1:1000 > 198.51.100.1:80 new eth0>eth1 S`. State `new`, flag SYN
/// and no interfaces are understood; an ICMP type stands for the ports.
fn packet(firewall: &LinkedFirewall, text: &str) -> PacketKey {
    let mut words = text.split_whitespace();
    let protocol = Protocol::from_name(words.next().unwrap()).unwrap();
    let mut endpoint = || {
        let word = words.next().unwrap();
        let (address, port) = word.rsplit_once('@').unwrap_or((word, "0"));
        (address.parse().unwrap(), port.parse().unwrap())
    };
    let ((src, src_port), (dst, dst_port)) = (endpoint(), endpoint());
    let tcp = protocol == Protocol::TCP;
    let mut key = PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src,
        dst,
        protocol,
        src_port,
        dst_port,
        icmp: protocol.is_icmp().then_some((dst_port as u8, 0)),
        tcp_flags: tcp.then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    };
    for word in words {
        if let Some((ingress, egress)) = word.split_once('>') {
            key.ingress = firewall.interface_named(ingress);
            key.egress = firewall.interface_named(egress);
        } else if let Some(flags) = word.strip_prefix("flags=") {
            key.tcp_flags = Some(TcpFlags(flags.parse().unwrap()));
        } else {
            let state = ConnectionState::ALL.into_iter().find(|state| state.name() == word);
            key.state = state.unwrap();
        }
    }
    key
}

/// The verdict on a packet, the line it comes from, and where the packet goes after translation.
fn verdict(firewall: &LinkedFirewall, text: &str) -> String {
    let judgement = reference::judge(firewall, &packet(firewall, text), &Knowledge::NOTHING);
    let line = |at| firewall.sources.line_number(at);
    match judgement.evaluation.answer() {
        Answer::Certain(hit) => format!("{} {}", hit.action, line(hit.at)),
        Answer::Depends(hit) => format!("depends {}", line(hit.at)),
        Answer::Unknown(hit) => format!("unknown {}", line(hit.at)),
    }
}

#[track_caller]
fn check(rules: &str, packets: &[(&str, &str)]) {
    let (firewall, problems) = import(rules);
    let firewall = firewall.unwrap_or_else(|| panic!("{problems:#?}\n{rules}"));
    for (packet, expected) in packets {
        assert_eq!(verdict(&firewall, packet), *expected, "{packet}\n{rules}\n{problems:#?}");
    }
}

#[track_caller]
fn check_problems(rules: &str, expected: &[&str]) {
    let problems = import(rules).1;
    let problems: Vec<&str> = problems.iter().map(|text| without_digest(text)).collect();
    assert_eq!(problems, expected, "{rules}");
}

/// A message without what tells lines apart by the way to them.
fn without_digest(text: &str) -> &str {
    let told = text.strip_suffix(']').and_then(|text| text.rsplit_once(" ["));
    told.filter(|(_, digest)| digest.len() == 16).map_or(text, |(message, _)| message)
}

/// A dump whose FORWARD chain drops by policy (line 2) and begins on line 3.
fn dump(rules: &str) -> String {
    format!("*filter\n:FORWARD DROP [0:0]\n{rules}\nCOMMIT\n")
}

#[test]
fn the_first_terminating_rule_decides_and_the_policy_comes_last() {
    let rules = dump(
        ":web - [0:0]\n-A FORWARD -p tcp -m tcp --dport 80 -j web\n-A FORWARD -p udp -g web\n\
         -A FORWARD -p tcp --dport 80:81 -j REJECT --reject-with tcp-reset\n\
         -A web -s 192.0.2.1/32 -j RETURN\n-A web -d 198.51.100.0/24 -j ACCEPT",
    );
    check(
        &rules,
        &[
            ("tcp 192.0.2.2@9 198.51.100.1@80", "allow 8"),
            ("tcp 192.0.2.1@9 198.51.100.1@80", "reset 6"),
            ("tcp 192.0.2.2@9 203.0.113.1@80", "reset 6"),
            ("tcp 192.0.2.2@9 198.51.100.1@81", "reset 6"),
            ("udp 192.0.2.2@9 198.51.100.1@53", "allow 8"),
            ("udp 192.0.2.1@9 198.51.100.1@53", "drop 2"),
            ("icmp 192.0.2.1@0 198.51.100.1@8", "drop 2"),
        ],
    );
    assert_eq!(import(&rules).1, Vec::<String>::new());
}

#[test]
fn every_match_can_be_turned_round() {
    for (matches, yes, no) in [
        ("! -s 192.0.2.0/24", "tcp 192.0.3.1@1 10.0.0.1@1", "tcp 192.0.2.1@1 10.0.0.1@1"),
        ("-s ! 192.0.2.0/24", "tcp 192.0.3.1@1 10.0.0.1@1", "tcp 192.0.2.1@1 10.0.0.1@1"),
        ("! -d 10.0.0.1", "tcp 192.0.2.1@1 10.0.0.2@1", "tcp 192.0.2.1@1 10.0.0.1@1"),
        ("! -p tcp", "udp 192.0.2.1@1 10.0.0.1@1", "tcp 192.0.2.1@1 10.0.0.1@1"),
        ("-p tcp ! --dport 80:90", "tcp 192.0.2.1@1 10.0.0.1@91", "tcp 192.0.2.1@1 10.0.0.1@80"),
        ("-p tcp ! --sport 80", "tcp 192.0.2.1@1 10.0.0.1@80", "tcp 192.0.2.1@80 10.0.0.1@1"),
        (
            "-p udp -m multiport ! --ports 1,2",
            "udp 192.0.2.1@3 10.0.0.1@3",
            "udp 192.0.2.1@3 10.0.0.1@2",
        ),
        (
            "-p udp -m multiport --ports 1,2:3",
            "udp 192.0.2.1@3 10.0.0.1@9",
            "udp 192.0.2.1@4 10.0.0.1@9",
        ),
        ("-p icmp ! --icmp-type 8", "icmp 192.0.2.1 10.0.0.1@0", "icmp 192.0.2.1 10.0.0.1@8"),
        ("-p tcp ! --syn", "tcp 10.0.0.1@1 10.0.0.1@1 flags=16", "tcp 10.0.0.1@1 10.0.0.1@1"),
        (
            "-p tcp --tcp-flags SYN,RST SYN --tcp-flags ACK NONE",
            "tcp 10.0.0.1@1 10.0.0.1@1 flags=2",
            "tcp 10.0.0.1@1 10.0.0.1@1 flags=18",
        ),
        (
            "-m state --state RELATED,ESTABLISHED",
            "tcp 10.0.0.1@1 10.0.0.1@1 established",
            "tcp 10.0.0.1@1 10.0.0.1@1 invalid",
        ),
        (
            "-m conntrack ! --ctstate NEW",
            "tcp 10.0.0.1@1 10.0.0.1@1 related",
            "tcp 10.0.0.1@1 10.0.0.1@1 new",
        ),
        (
            "-m iprange --src-range 10.0.0.1-10.0.0.9 ! -s 10.0.0.4/31",
            "tcp 10.0.0.9@1 10.0.0.1@1",
            "tcp 10.0.0.5@1 10.0.0.1@1",
        ),
        ("-i eth0", "tcp 10.0.0.1@1 10.0.0.1@1 eth0>+", "tcp 10.0.0.1@1 10.0.0.1@1 +>eth0"),
        ("! -i eth0", "tcp 10.0.0.1@1 10.0.0.1@1 +>eth0", "tcp 10.0.0.1@1 10.0.0.1@1 eth0>+"),
        ("-o tun+", "tcp 10.0.0.1@1 10.0.0.1@1 +>tun+", "tcp 10.0.0.1@1 10.0.0.1@1 tun+>+"),
        ("! -i +", "-", "tcp 10.0.0.1@1 10.0.0.1@1"),
        ("-s 10.0.0.1,10.0.0.3", "tcp 10.0.0.3@1 10.0.0.1@1", "tcp 10.0.0.2@1 10.0.0.1@1"),
    ] {
        let rules = dump(&format!("-A FORWARD {matches} -j ACCEPT"));
        check(&rules, &[(no, "drop 2")]);
        if yes != "-" {
            check(&rules, &[(yes, "allow 3")]);
        }
    }
}

#[test]
fn wildcards_cover_the_names_the_text_mentions() {
    let rules = dump("-A FORWARD -i ppp+ -j ACCEPT\n-A FORWARD -i ppp0 -o eth0 -j DROP");
    check(
        &rules,
        &[
            ("tcp 10.0.0.1@1 10.0.0.1@1 ppp0>eth0", "allow 3"),
            ("tcp 10.0.0.1@1 10.0.0.1@1 ppp+>eth0", "allow 3"),
            ("tcp 10.0.0.1@1 10.0.0.1@1 +>eth0", "drop 2"),
            ("tcp 10.0.0.1@1 10.0.0.1@1", "unknown 3"),
        ],
    );
}

#[test]
fn what_is_not_modelled_is_unknown_and_named() {
    let rules = dump(
        "-A FORWARD -p tcp -m limit --limit 5/min -m comment --comment \"a b\" -j ACCEPT\n\
         -A FORWARD -m limit --limit 5/min -j LOG --log-prefix \"x y\"\n\
         -A FORWARD -p udp -j NFQUEUE --queue-num 1\n-A FORWARD -p icmp -j TARPIT",
    );
    check(
        &rules,
        &[
            ("tcp 10.0.0.1@1 10.0.0.1@1", "unknown 3"),
            ("udp 10.0.0.1@1 10.0.0.1@1", "unknown 5"),
            ("icmp 10.0.0.1@1 10.0.0.1@1", "unknown 6"),
            ("sctp 10.0.0.1@1 10.0.0.1@1", "drop 2"),
        ],
    );
    check_problems(
        &rules,
        &[
            "3 unsupported unknown-match: match `-m limit --limit 5/min` is not modelled",
            "5 unsupported unknown-target: `-j NFQUEUE --queue-num 1` leaves the decision to a \
             program",
            "6 unsupported unknown-target: target `-j TARPIT` is not modelled: it may accept or drop",
        ],
    );
}

#[test]
fn a_state_beside_an_atom_stays_exact() {
    let rules = dump("-A FORWARD -m conntrack --ctstate ESTABLISHED,DNAT -j ACCEPT");
    check(
        &rules,
        &[
            ("tcp 10.0.0.1@1 10.0.0.1@1 established", "allow 3"),
            ("tcp 10.0.0.1@1 10.0.0.1@1 new", "unknown 3"),
        ],
    );
}

#[test]
fn filter_sees_the_translated_destination_and_the_original_source() {
    let rules = "*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:pub - [0:0]\n\
        -A PREROUTING -d 203.0.113.1/32 -j pub\n\
        -A pub -s 192.0.2.9/32 -j RETURN\n\
        -A pub -p tcp -m multiport --dports 80,443 -j DNAT --to-destination 10.0.0.5:8080\n\
        -A pub -p udp -j DNAT --to-destination 10.0.0.6\n\
        -A pub -p sctp -j DNAT --to-destination 10.0.0.6:36412\n\
        -A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n\
        *filter\n:FORWARD DROP [0:0]\n\
        -A FORWARD -s 192.0.2.0/24 -d 10.0.0.5/32 -p tcp --dport 8080 -j ACCEPT\n\
        -A FORWARD -d 10.0.0.6/32 -p udp -j ACCEPT\n\
        -A FORWARD -d 10.0.0.6/32 -p sctp --dport 36412 -j ACCEPT\nCOMMIT\n";
    check(
        rules,
        &[
            ("tcp 192.0.2.1@1 203.0.113.1@80", "allow 14"),
            ("tcp 192.0.2.1@1 203.0.113.1@443", "allow 14"),
            ("tcp 192.0.2.1@1 203.0.113.1@22", "drop 13"),
            ("tcp 192.0.2.9@1 203.0.113.1@80", "drop 13"),
            ("tcp 192.0.2.1@1 10.0.0.5@8080", "allow 14"),
            ("udp 192.0.2.1@1 203.0.113.1@53", "allow 15"),
            ("sctp 192.0.2.1@1 203.0.113.1@1", "allow 16"),
            ("sctp 192.0.2.1@1 203.0.113.1@36412", "allow 16"),
            ("sctp 192.0.2.1@1 10.0.0.6@1", "drop 13"),
        ],
    );
    let (firewall, problems) = import(rules);
    assert_eq!(problems, Vec::<String>::new());
    let names: Vec<_> =
        firewall.unwrap().destination_nat.rules.iter().map(|r| r.at.start).collect();
    assert_eq!(names.len(), 3);
}

#[test]
fn no_packet_has_a_state_in_raw() {
    let raw = |state: &str| {
        let rule = format!("-A PREROUTING -m conntrack {state} -j DROP");
        let (firewall, problems) = import(&format!(
            "*raw\n:PREROUTING ACCEPT [0:0]\n{rule}\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
        ));
        let firewall = firewall.unwrap_or_else(|| unreachable!("{problems:?}"));
        assert!(firewall.layers[0].before_sessions && !firewall.layers[1].before_sessions);
        verdict(&firewall, "udp 192.0.2.1@1000 198.51.100.1@53")
    };
    for never in ["--ctstate NEW", "--ctstate NEW,ESTABLISHED,RELATED", "! --ctstate INVALID"] {
        assert_eq!(raw(never), "allow 6", "{never}");
    }
    for always in ["--ctstate INVALID,UNTRACKED", "! --ctstate NEW", "! --ctstate ESTABLISHED"] {
        assert_eq!(raw(always), "drop 3", "{always}");
    }
}

#[test]
fn mangle_and_raw_count_where_they_refuse() {
    let mangle = "*mangle\n:PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n\
        -A PREROUTING -d 203.0.113.1/32 -m mark --mark 0x1 -j MARK --set-xmark 0x2/0xff\n{}COMMIT\n\
        *nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 203.0.113.1/32 -j DNAT --to 10.0.0.5\n\
        COMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n";
    let quiet = mangle.replace("{}", "").replace("--to ", "--to-destination ");
    let (firewall, problems) = import(&quiet);
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!(firewall.unwrap().layers.len(), 1);
    let loud = quiet.replace("0xff\n", "0xff\n-A PREROUTING -d 203.0.113.1/32 -p tcp -j DROP\n");
    check(
        &loud,
        &[
            ("tcp 192.0.2.1@1 203.0.113.1@80", "drop 5"),
            ("tcp 192.0.2.1@1 10.0.0.5@80", "allow 12"),
            ("udp 192.0.2.1@1 203.0.113.1@80", "allow 12"),
        ],
    );
    let names: Vec<_> = import(&loud).0.unwrap().layers.iter().map(|l| l.name.clone()).collect();
    assert_eq!(names, ["mangle/PREROUTING".into(), "mangle/FORWARD".into(), Box::from("FORWARD")]);
}

#[test]
fn layers_stand_in_the_order_packets_pass_them() {
    let text = ["raw", "mangle", "security", "filter"].map(|table| {
        format!(
            "*{table}\n:PREROUTING ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:POSTROUTING ACCEPT [0:0]\n\
             -A PREROUTING -j DROP\nCOMMIT\n"
        )
    });
    let layers = import(&text.concat()).0.unwrap().layers;
    let names: Vec<&str> = layers.iter().map(|layer| &*layer.name).collect();
    let expected = [
        "raw/PREROUTING",
        "mangle/PREROUTING",
        "mangle/FORWARD",
        "FORWARD",
        "security/FORWARD",
        "mangle/POSTROUTING",
    ];
    assert_eq!(names, expected);
}

#[test]
fn two_families_of_one_text_do_not_mix() {
    let rules = "# Generated by iptables-save v1.8.9\n*filter\n:FORWARD DROP [0:0]\n\
        -A FORWARD -p tcp -j ACCEPT\nCOMMIT\n\
        # Generated by ip6tables-save v1.8.9\n*filter\n:FORWARD ACCEPT [0:0]\n:x - [0:0]\n\
        -A FORWARD -p tcp -j x\n-A FORWARD -p udp -j DROP\n-A x -s 2001:db8::/32 -j DROP\nCOMMIT\n";
    check(
        rules,
        &[
            ("tcp 192.0.2.1@1 10.0.0.1@80", "allow 4"),
            ("udp 192.0.2.1@1 10.0.0.1@80", "drop 3"),
            ("tcp 2001:db8::1@1 2001:db9::1@80", "drop 12"),
            ("tcp 2001:db9::1@1 2001:db9::1@80", "allow 8"),
            ("udp 2001:db9::1@1 2001:db9::1@80", "drop 11"),
        ],
    );
    let (firewall, problems) = import(rules);
    assert_eq!(problems, Vec::<String>::new());
    // Only a chain that the kernel starts in has a default, whatever the families say.
    let firewall = firewall.unwrap();
    let defaults = firewall.rule_bases.iter().map(|it| (&*it.name, it.default.is_some()));
    assert_eq!(defaults.collect::<Vec<_>>(), [("FORWARD", true), ("x", false)]);
}

#[test]
fn a_family_the_text_does_not_hold_is_unknown() {
    for policy in ["ACCEPT", "DROP"] {
        let rules =
            format!("*filter\n:FORWARD {policy} [0:0]\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n");
        check(
            &rules,
            &[
                ("tcp 2001:db8::1@1 2001:db8::2@80", "unknown 2"),
                ("tcp 192.0.2.1@1 10.0.0.1@80", "allow 3"),
            ],
        );
    }
    let v6 = dump("-A FORWARD -s 2001:db8::/32 -p ipv6-icmp --icmpv6-type echo-request -j ACCEPT");
    check(
        &v6,
        &[
            ("icmpv6 2001:db8::1@0 2001:db8::2@128", "allow 3"),
            ("icmpv6 2001:db8::1@0 2001:db8::2@129", "drop 2"),
            ("tcp 192.0.2.1@1 10.0.0.1@80", "unknown 2"),
        ],
    );
}

#[test]
fn a_comment_announces_the_family_of_a_filter() {
    let filter = |family: &str, rule: &str| {
        format!("# Iptables FORWARD Policy\n# {family}\n-P FORWARD DROP\n-A FORWARD {rule}\n")
    };
    let (old, new) = ("tcp 192.0.2.1@1 10.0.0.1@80", "tcp 2001:db8::1@1 2001:db8::2@80");
    let rule = "-p tcp -j ACCEPT";
    check(&filter("inet6", rule), &[(new, "allow 4"), (old, "unknown 3")]);
    check(&filter("inet", rule), &[(old, "allow 4"), (new, "unknown 3")]);
    let icmp = filter("inet6", "-p ipv6-icmp -j ACCEPT");
    check(&icmp, &[("icmpv6 2001:db8::1@0 2001:db8::2@128", "allow 4")]);
    assert_eq!(import(&icmp).1, Vec::<String>::new());
    // What a rule itself tells counts for more, and one filter may follow the other.
    let addressed = filter("inet6", "-s 192.0.2.0/24 -j ACCEPT");
    check(&addressed, &[(old, "allow 4"), (new, "drop 3")]);
    let both = filter("inet", rule) + &filter("inet6", "-p tcp -j DROP");
    check(&both, &[(old, "allow 4"), (new, "drop 8")]);
    // The next table is announced anew.
    let tables = "*raw\n# inet6\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\nCOMMIT\n";
    check(tables, &[(old, "drop 5"), (new, "unknown 5")]);
}

#[test]
fn a_lone_chain_is_the_layer_and_several_are_left_to_choose() {
    let lone = "-N web\n-N log\n-A web -p tcp -j log\n-A log -s 192.0.2.1 -j ACCEPT\n";
    check(
        lone,
        &[("tcp 192.0.2.1@1 10.0.0.1@80", "allow 4"), ("udp 192.0.2.1@1 10.0.0.1@80", "deny 1")],
    );
    let message = "1 suspicious bare-chain: no chain the kernel starts in leads to `web`: \
        it is judged as if it stood alone";
    assert_eq!(import(lone).1, [message]);
    let (firewall, problems) = import(&format!("{lone}-N mail\n"));
    assert!(firewall.unwrap().layers.is_empty());
    assert!(problems[0].contains("no-layer"), "{problems:?}");
    // With a chain of the kernel's the text says what happens.
    let (firewall, _) = import(&format!("{lone}-P INPUT DROP\n"));
    assert_eq!(firewall.unwrap().layers.len(), 1);
    check(&format!("{lone}-P FORWARD DROP\n"), &[("tcp 192.0.2.1@1 10.0.0.1@80", "drop 5")]);
}

#[test]
fn commands_build_the_same_chains() {
    let rules = "#!/bin/sh\niptables -F\niptables -P FORWARD ACCEPT\nsudo /sbin/iptables -t filter -N x\n\
        iptables -A FORWARD -j x\niptables -A x -p tcp \\\n  --dport=80 -j DROP\n\
        iptables -I FORWARD -s 192.0.2.1 -j ACCEPT\n[1:2] -I FORWARD 2 -s 192.0.2.2 -j ACCEPT\n\
        ip6tables -P FORWARD DROP\n";
    check(
        rules,
        &[
            ("tcp 192.0.2.1@1 10.0.0.1@80", "allow 8"),
            ("tcp 192.0.2.2@1 10.0.0.1@80", "allow 9"),
            ("tcp 192.0.2.3@1 10.0.0.1@80", "drop 6"),
            ("tcp 192.0.2.3@1 10.0.0.1@81", "allow 3"),
            ("tcp 2001:db8::1@1 2001:db8::2@81", "drop 10"),
        ],
    );
}

#[test]
fn a_schedule_is_time_and_weekday() {
    let rules =
        dump("-A FORWARD -m time --timestart 08:00 --timestop 17:59:59 --weekdays Thu -j ACCEPT");
    let (firewall, problems) = import(&rules);
    let (firewall, none) = (firewall.unwrap(), Vec::<String>::new());
    assert_eq!(problems, none);
    // The epoch is a Thursday, 00:00.
    for (hour, expected) in [(0, "drop"), (8, "allow"), (17, "allow"), (18, "drop"), (32, "drop")] {
        let mut key = packet(&firewall, "tcp 192.0.2.1@1 10.0.0.1@80");
        key.time = Timestamp::from_secs(hour * 3600);
        let judgement = reference::judge(&firewall, &key, &Knowledge::NOTHING);
        assert_eq!(judgement.evaluation.decided.action.verdict_name(), expected, "{hour}");
    }
}

#[test]
fn problems_are_named_with_their_lines() {
    for (rules, expected) in [
        ("", vec!["1 error no-rules: the text holds no iptables statement"]),
        (
            "Chain INPUT (policy ACCEPT)\ntarget     prot opt source\n",
            vec![
                "1 error listing: this is a listing of `iptables -L`, which leaves out interfaces",
            ],
        ),
        (
            "*filter\n:FORWARD DROP [0:0]\n-A FORWARD --dport 99999 -p tcp -j DROP\n\
             -A nowhere -s $LAN -j DROP\n-A FORWARD -m comment --comment \"x\n:FORWARD DROP [0:0]\n\
             :INPUT MAYBE\n*nut\n",
            vec![
                "1 suspicious no-commit: table `filter` is not ended by COMMIT: the text may be cut",
                "3 error bad-value: `99999` is no value for `--dport`",
                "4 error unknown-chain: chain `nowhere` of table `filter` is not declared",
                "4 error bad-value: `$LAN` is no value for `-s`",
                "5 error syntax: a quote never ends",
                "6 error duplicate-chain: chain `FORWARD` is declared a second time",
                "7 error bad-value: policy `MAYBE` is neither ACCEPT nor DROP",
                "8 error unknown-table: table `nut` is not one of filter, nat, mangle, raw, security",
            ],
        ),
        (
            "*filter\n:FORWARD DROP [0:0]\n",
            vec![
                "1 unsupported cut-table: table `filter` is not ended by COMMIT: rules that stood \
                 behind the last line are not read",
            ],
        ),
        (
            "-P INPUT DROP\necho done\n",
            vec![
                "1 suspicious no-forward-chain: the text has no chain FORWARD: forwarded packets \
                 are accepted",
                "2 unsupported unknown-line: `echo` is not a command that is understood",
            ],
        ),
        (
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j CT --notrack\nCOMMIT\n\
             *nat\n:PREROUTING ACCEPT [0:0]\n\
             -A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8\n\
             -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:80-90\nCOMMIT\n\
             *filter\n:FORWARD DROP [0:0]\n-A FORWARD -s www.example.com -j ACCEPT\n\
             -A FORWARD -m tcp --dport 80 -j ACCEPT\n-A FORWARD -p tcp --icmp-type 8 -j DROP\nCOMMIT\n",
            vec![
                "3 unsupported untracked: answers to packets taken out of tracking are judged as if \
                 those were tracked",
                "7 unsupported redirect: redirected packets are for the firewall itself, not \
                 forwarded",
                "8 unsupported port-range: the kernel chooses the new destination port when a \
                 session opens",
                "12 unsupported host-name: the addresses of `fqdn www.example.com` are not known",
                "13 unsupported unknown-match: match `protocol options without -p` is not modelled",
                "14 suspicious empty-match: the rule can match no packet",
            ],
        ),
        (
            "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 21 -j CT --helper ftp\n\
             COMMIT\n*filter\n:FORWARD DROP [0:0]\nCOMMIT\n",
            vec![
                "3 unsupported helper: connections that `ftp` announces are not followed: they are \
                 RELATED",
            ],
        ),
    ] {
        check_problems(rules, &expected);
    }
}

#[test]
fn a_range_of_ports_for_the_way_out_is_not_passed_over() {
    let rules = |ports: &str| {
        format!(
            "*nat\n:POSTROUTING ACCEPT [0:0]\n\
             -A POSTROUTING -o eth0 -p tcp -j MASQUERADE{ports}\nCOMMIT\n\
             *filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
        )
    };
    check_problems(&rules(" --to-ports 1024-65535"), &[]);
    check_problems(
        &rules(" --to-ports 2000-2001"),
        &["3 unsupported unknown-target: target `-j MASQUERADE --to-ports 2000-2001` is not \
             modelled in this chain of table nat"],
    );
}

#[test]
fn what_is_said_of_packets_to_the_host_itself_is_kept() {
    let text = "*filter\n:INPUT DROP [7:420]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [9:99]\n\
                :admin - [0:0]\n:web - [0:0]\n[3:180] -A INPUT -p tcp --dport 22 -j admin\n\
                -A FORWARD -j web\n-A admin -s 192.0.2.1 -j ACCEPT\n-A web -j ACCEPT\nCOMMIT\n";
    let (Some(firewall), problems) = import(text) else { unreachable!("it is a rule set") };
    assert_eq!(problems, Vec::<String>::new());
    let lines: Vec<&str> = firewall.own_traffic.iter().map(|line| &*line.value).collect();
    let expected = [
        "IPv4 filter INPUT drops",
        "IPv4 filter INPUT -A INPUT -p tcp --dport 22 -j admin",
        "IPv4 filter admin -A admin -s 192.0.2.1 -j ACCEPT",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn chains_that_cannot_be_followed_are_refused() {
    check_problems(
        "*filter\n:FORWARD DROP [0:0]\n:a - [0:0]\n-A a -j a\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n\
         :b - [0:0]\n-A PREROUTING -j b\n-A b -j b\nCOMMIT\n",
        &[
            "4 error cycle: rule base `a` jumps to itself",
            "10 unsupported nat-too-large: the jumps and returns around chain `b` are too many",
        ],
    );
}

#[test]
fn severities_are_sorted_out() {
    let (_, problems) = read(Source::new("t", &dump("-A FORWARD -m owner --uid-owner 0 -j DROP")));
    assert_eq!(problems.worst(), Some(Severity::Unsupported));
}

mod values;
