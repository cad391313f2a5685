//! Values of options, and commands that change what stands before them.

use parefeu_policy::{Names, Source};

use super::{check, check_problems, dump, import, read};

#[test]
fn a_mask_with_holes_stays_beside_another_condition_on_the_address() {
    for rule in [
        "-s 10.2.0.9/255.255.0.255 -m iprange --src-range 0.0.0.0-255.255.255.255 -j ACCEPT",
        "-m iprange --src-range 0.0.0.0-255.255.255.255 -s 10.2.0.9/255.255.0.255 -j ACCEPT",
    ] {
        check(
            &dump(&format!("-A FORWARD {rule}")),
            &[
                ("tcp 10.2.77.9@1 192.0.2.1@80", "allow 3"),
                ("tcp 10.2.77.8@1 192.0.2.1@80", "drop 2"),
            ],
        );
    }
}

#[test]
fn what_is_none_of_some_interfaces_may_have_no_name() {
    let rules = dump("-A FORWARD ! -i eth+ -j ACCEPT\n-A FORWARD -i eth0 -j REJECT");
    let (firewall, _) = read(Source::new("t", &rules));
    let rule_bases = firewall.map(|firewall| firewall.rule_bases).unwrap_or_default();
    let mut rules_of = rule_bases.iter().flat_map(|rule_base| &rule_base.rules);
    let listed = rules_of.find_map(|rule| match &rule.matches.ingress {
        Names::NoneOf(names) => Some(names.iter().map(|name| &*name.value).collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(listed, Some(vec!["eth+", "eth0"]));
    check(
        &rules,
        &[
            ("tcp 192.0.2.1@1 192.0.2.2@80 +>+", "allow 3"),
            ("tcp 192.0.2.1@1 192.0.2.2@80 eth+>+", "drop 2"),
            ("tcp 192.0.2.1@1 192.0.2.2@80 eth0>+", "reset 4"),
        ],
    );
}

#[test]
fn names_of_protocols_are_those_of_the_system() {
    let rules = dump(
        "-A FORWARD -p ipip -j ACCEPT\n-A FORWARD -p ipencap -j REJECT\n\
         -A FORWARD -p icmp -m icmp --icmp-type 255/0 -j ACCEPT\n-A FORWARD -p isis -j ACCEPT\n\
         -A FORWARD -s 192.0.2.9 -p hopopt -j ACCEPT",
    );
    check(
        &rules,
        &[
            ("94 192.0.2.1 192.0.2.2", "allow 3"),
            ("4 192.0.2.1 192.0.2.2", "reset 4"),
            ("icmp 192.0.2.1@0 192.0.2.2@8", "allow 5"),
            ("124 192.0.2.1 192.0.2.2", "allow 6"),
            ("udp 192.0.2.9@1 192.0.2.2@2", "allow 7"),
            ("udp 192.0.2.1@1 192.0.2.2@2", "drop 2"),
        ],
    );
    check_problems(
        &dump("-A FORWARD -s 010.1.1.2 -j ACCEPT"),
        &["3 error bad-value: `010.1.1.2` is no value for `-s`"],
    );
    check_problems(
        &dump("-A FORWARD -p mptcp -j ACCEPT"),
        &["3 unsupported unknown-match: match `-p mptcp` is not modelled"],
    );
}

#[test]
fn an_ipv6_mask_with_holes_is_not_modelled() {
    let rules = dump("-A FORWARD -d ::2/::ffff:ffff:ffff:ffff -j ACCEPT");
    check(&rules, &[("tcp 2001:db8::1@1 2001:db8::2@80", "unknown 3")]);
    assert_eq!(import(&rules).1.len(), 1, "{:?}", import(&rules).1);
}

#[test]
fn a_time_that_is_not_that_of_a_day_is_not_modelled() {
    for option in ["--contiguous", "--kerneltz"] {
        let rules = dump(&format!(
            "-A FORWARD -m time --timestart 01:00 --timestop 02:00 {option} -j ACCEPT"
        ));
        check(&rules, &[("tcp 192.0.2.1@1 192.0.2.2@80", "unknown 3")]);
    }
}

#[test]
fn dates_that_are_printed_for_none_are_none() {
    let rules = "-A FORWARD -m time --weekdays Mo,Th --datestart 1970 \
                 --datestop 2038-01-19T03:14:07 -j ACCEPT";
    // The epoch is a Thursday.
    check(&dump(rules), &[("tcp 192.0.2.1@1 192.0.2.2@80", "allow 3")]);
    let rules = rules.replace("Th", "Fr");
    check(&dump(&rules), &[("tcp 192.0.2.1@1 192.0.2.2@80", "drop 2")]);
    let dated = rules.replace("1970", "2026-02");
    let dated = dated.replace("--weekdays Mo,Fr", "");
    check(&dump(&dated), &[("tcp 192.0.2.1@1 192.0.2.2@80", "drop 2")]);
}

#[test]
fn a_protocol_does_not_tell_the_family_of_a_table() {
    let rules = "*nat\n-A POSTROUTING -s 10.0.0.0/8 -o eth1 -j MASQUERADE\nCOMMIT\n*filter\n\
                 :FORWARD DROP [0:0]\n-A FORWARD -p ipv6-icmp -j ACCEPT\n\
                 -A FORWARD -p tcp -j ACCEPT\nCOMMIT\n";
    check(
        rules,
        &[("udp 10.0.0.1@1 192.0.2.2@80", "drop 5"), ("tcp 10.0.0.1@1 192.0.2.2@80", "allow 7")],
    );
    assert_eq!(import(rules).1, Vec::<String>::new());
    check_problems(
        &dump("-A FORWARD -p ipv6-icmp -j ACCEPT"),
        &[
            "3 suspicious family-guessed: only the protocol ICMPv6 tells that the rules are for IPv6",
        ],
    );
    check_problems(
        &format!(
            "*nat\n-A POSTROUTING -s 2001:db8::1 -j ACCEPT\nCOMMIT\n{}",
            dump("-A FORWARD -s 10.0.0.0/8 -j ACCEPT")
        ),
        &["4 suspicious mixed-families: table `filter` holds only IPv4 rules, a table before it \
           only IPv6 rules"],
    );
}

#[test]
fn a_table_that_begins_again_is_refused() {
    check_problems(
        "*filter\n:FORWARD DROP\n-A FORWARD -p tcp -j ACCEPT\nCOMMIT\n*filter\n\
         -A FORWARD -p udp -j ACCEPT\nCOMMIT\n",
        &["5 error duplicate-table: table `filter` begins a second time"],
    );
}

#[test]
fn rules_are_deleted_and_replaced_and_chains_renamed() {
    let rules = "iptables -P FORWARD DROP\niptables -N web\n\
                 iptables -A FORWARD -p tcp --dport 80 -j web\niptables -A web -j ACCEPT\n\
                 iptables -A FORWARD -p udp -j ACCEPT\niptables -A FORWARD -p sctp -j ACCEPT\n\
                 iptables -w 5 -AFORWARD -p gre -j ACCEPT\n\
                 iptables -D FORWARD -p udp -j ACCEPT 2>/dev/null || true\n\
                 iptables -R FORWARD 2 -p esp -j ACCEPT\niptables -D FORWARD 3\n\
                 iptables -E web site\n";
    check(
        rules,
        &[
            ("tcp 192.0.2.1@1 192.0.2.2@80", "allow 4"),
            ("udp 192.0.2.1@1 192.0.2.2@80", "drop 1"),
            ("sctp 192.0.2.1@1 192.0.2.2@80", "drop 1"),
            ("gre 192.0.2.1 192.0.2.2", "drop 1"),
            ("esp 192.0.2.1 192.0.2.2", "allow 9"),
        ],
    );
    assert_eq!(import(rules).1, Vec::<String>::new());
    let unlike = "-P FORWARD DROP\n-A FORWARD -p tcp -m multiport --dports 80 -j ACCEPT\n\
                  -D FORWARD -p tcp --dport 80 -j ACCEPT\n-D FORWARD -p udp -j ACCEPT\n";
    check(unlike, &[("tcp 192.0.2.1@1 192.0.2.2@80", "unknown 2")]);
    assert_eq!(
        import(unlike).1,
        [
            "3 unsupported unknown-match: match `not deleted by `-D -p tcp --dport 80 -j ACCEPT`` \
             is not modelled",
            "4 suspicious no-such-rule: chain `FORWARD` has no such rule: iptables refuses the line",
        ]
    );
}

#[test]
fn options_may_be_cut_short_and_prose_may_look_like_one() {
    let rules = "*nat\n-A PREROUTING -d 192.0.2.9 -j DNAT --to 10.0.0.1\n\
                 -A POSTROUTING -s 10.0.0.0/8 -j SNAT --to 192.0.2.9\nCOMMIT\n*filter\n\
                 :FORWARD DROP\n-A FORWARD -j LOG --log-prefix -s\n\
                 -A FORWARD -d 10.0.0.1 -m comment --comment \"!\" -j ACCEPT\nCOMMIT\n";
    check(rules, &[("tcp 192.0.2.1@1 192.0.2.9@80", "allow 8")]);
    assert_eq!(import(rules).1, Vec::<String>::new());
    check_problems(
        "-A FORWARD -i $LAN -j ACCEPT\n",
        &["1 error bad-value: `$LAN` is no value for `-i`"],
    );
}

#[test]
fn what_the_text_does_not_hold_is_said() {
    let rules = "# Generated by iptables-save v1.8.9 (nf_tables)\n*nat\n:POSTROUTING ACCEPT\nCOMMIT\n\
                 # Table `filter' is incompatible, use 'nft' tool.\n";
    check(rules, &[("tcp 192.0.2.1@1 192.0.2.2@80", "unknown 5")]);
    assert_eq!(
        import(rules).1,
        ["5 unsupported unknown-target: target `-j rules of table filter that only nft shows` is \
          not modelled: it may accept or drop"]
    );
    check_problems(
        &format!("# Warning: iptables-legacy tables present, see them\n{}", dump("")),
        &["1 unsupported other-tables: the kernel holds rules of legacy iptables that the text \
           does not hold"],
    );
    check_problems(
        &dump("-A FORWARD -s 10.0.0.0/8 --frob DROP"),
        &["3 unsupported unknown-option: option `--frob` belongs to no match and no target"],
    );
    check(
        &dump("-A FORWARD --sour 10.0.0.0/8 --jum ACCEPT"),
        &[("udp 10.0.0.1@1 192.0.2.2@80", "allow 3")],
    );
}

#[test]
fn a_packet_without_a_hop_left_is_not_forwarded() {
    let text = |option: &str| {
        format!(
            "*mangle\n-A PREROUTING -j TTL {option}\nCOMMIT\n*filter\n:FORWARD ACCEPT\nCOMMIT\n"
        )
    };
    for (option, expected) in
        [("--ttl-set 1", "unknown 2"), ("--ttl-dec 2", "unknown 2"), ("--ttl-set 64", "allow 5")]
    {
        check(&text(option), &[("tcp 192.0.2.1@1 192.0.2.2@80", expected)]);
    }
}
