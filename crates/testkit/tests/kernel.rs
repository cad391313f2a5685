//! The oracle itself: each fate a frame can meet, and the reason the kernel gives.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "what is missing is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::time::Duration;

use parefeu_testkit::frames::frame;
use parefeu_testkit::kernel::{Fate, Kernel, Side, StartError};

const RULES: &str = r#"
table inet filter {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state invalid log group 7 prefix "invalid" drop
    ct state established log group 7 prefix "established" accept
    ct state related log group 7 prefix "related" accept
    tcp dport 8888 log group 7 prefix "rst" reject with tcp reset
    udp dport 8888 log group 7 prefix "icmp" reject
    iifname "fc" tcp dport 80 log group 7 prefix "web" accept
    iifname "fc" udp dport 53 log group 7 prefix "dns" accept
    log group 7 prefix "default" drop
  }
}
"#;

const NAT: &str = r#"
table ip nat {
  chain before { type nat hook prerouting priority -100; iifname "fc" tcp dport 443 dnat to 192.0.2.2:80; }
  chain after { type nat hook postrouting priority 100; iifname "fc" snat to 203.0.113.7; }
}
"#;

/// The oracle with a ruleset, where the host can run it.
fn kernel(rules: &str) -> Option<Kernel> {
    match Kernel::start() {
        Ok(mut kernel) => {
            kernel.load(rules).unwrap();
            Some(kernel)
        }
        Err(missing @ StartError::Missing(_)) => {
            eprintln!("skipped: {missing}");
            None
        }
        Err(failed) => unreachable!("{failed}"),
    }
}

/// Feeds lines of `SIDE FRAME => FATE RULE`, or `+SECONDS`, and returns the last reason given.
#[track_caller]
fn check(rules: &str, script: &str) -> Option<String> {
    let mut kernel = kernel(rules)?;
    let mut reason = String::new();
    for line in script.lines().map(str::trim) {
        if let Some(secs) = line.strip_prefix('+') {
            kernel.advance(Duration::from_secs(secs.parse().unwrap())).unwrap();
            continue;
        }
        let (question, expected) = line.split_once(" => ").unwrap();
        let (side, text) = question.split_once(' ').unwrap();
        let side = if side == "client" { Side::Client } else { Side::Server };
        let frame = frame(text);
        let seen = kernel.step(side, &frame).unwrap();
        let found = format!("{:?} {}", seen.fate(&frame), seen.rule().unwrap_or("-"));
        assert_eq!(found, expected, "\n{line}\n{seen:?}");
        seen.invalid().unwrap_or_default().clone_into(&mut reason);
    }
    Some(reason)
}

#[test]
fn frames_pass_and_are_dropped() {
    check(
        RULES,
        "client 10.1.0.5:4000 > 198.51.100.9:80 S seq=1 => Passed web
         server 198.51.100.9:80 > 10.1.0.5:4000 S. seq=9 ack=2 => Passed established
         client 10.1.0.5:4000 > 198.51.100.9:80 . seq=2 ack=10 => Passed established
         client 10.1.0.5:4000 > 198.51.100.9:81 S seq=1 => Dropped default
         client [2001:db8:1::5]:4000 > [2001:db8:2::9]:80 S seq=1 => Passed web
         server [2001:db8:2::9]:80 > [2001:db8:1::5]:4001 S seq=1 => Dropped default",
    );
}

#[test]
fn frames_are_rejected() {
    check(
        RULES,
        "client 10.1.0.5:4000 > 198.51.100.9:8888 S seq=1 => Rejected rst
         server 198.51.100.9:4000 > 10.1.0.5:8888 udp => Rejected icmp
         client [2001:db8:1::5]:4000 > [2001:db8:2::9]:8888 S seq=1 => Rejected rst
         client [2001:db8:1::5]:4000 > [2001:db8:2::9]:8888 udp => Rejected icmp",
    );
}

#[test]
fn a_rejection_is_a_reset_or_an_error_message() {
    let Some(mut kernel) = kernel(RULES) else { return };
    for (text, protocol, kind) in [
        ("10.1.0.5:4000 > 198.51.100.9:8888 S seq=1", 6, None),
        ("10.1.0.5:4000 > 198.51.100.9:8888 udp", 1, Some(3)),
    ] {
        let seen = kernel.step(Side::Client, &frame(text)).unwrap();
        assert_eq!(seen.fate(&frame(text)), Fate::Rejected);
        let answer = &seen.answers[0];
        assert_eq!(answer[14 + 9], protocol);
        match kind {
            Some(kind) => assert_eq!(answer[34], kind),
            // RST and ACK, of the SYN.
            None => assert_eq!((answer[34 + 13], &answer[42..46]), (0x14, &[0, 0, 0, 2][..])),
        }
    }
}

#[test]
fn addresses_are_translated_and_back() {
    check(
        &format!("{RULES}{NAT}"),
        "client 10.1.0.5:4000 > 198.51.100.9:443 S seq=1 => Translated web
         server 192.0.2.2:80 > 203.0.113.7:4000 S. seq=9 ack=2 => Translated established
         client 10.1.0.5:4000 > 198.51.100.9:443 . seq=2 ack=10 => Translated established",
    );
}

#[test]
fn an_invalid_packet_has_its_reason() {
    let reason = check(
        RULES,
        "client 10.1.0.5:4000 > 198.51.100.9:80 S seq=1 => Passed web
         server 198.51.100.9:80 > 10.1.0.5:4000 S. seq=9 ack=2 => Passed established
         client 10.1.0.5:4000 > 198.51.100.9:80 . seq=2 ack=10 => Passed established
         client 10.1.0.5:4000 > 198.51.100.9:80 . seq=9000000 ack=10 len=9 => Dropped invalid",
    );
    assert!(reason.is_none_or(|reason| reason.contains("SEQ is over upper bound")));
}

#[test]
fn time_ends_connections_and_a_reset_ends_all() {
    let script = "client 10.1.0.5:4000 > 198.51.100.9:53 udp => Passed dns
         +29
         server 198.51.100.9:53 > 10.1.0.5:4000 udp => Passed established
         +31
         server 198.51.100.9:53 > 10.1.0.5:4000 udp => Dropped default";
    check(RULES, script);
    let Some(mut kernel) = kernel(RULES) else { return };
    let query = frame("10.1.0.5:4000 > 198.51.100.9:53 udp");
    let answer = frame("198.51.100.9:53 > 10.1.0.5:4000 udp");
    kernel.step(Side::Client, &query).unwrap();
    assert_eq!(kernel.step(Side::Server, &answer).unwrap().fate(&answer), Fate::Passed);
    kernel.reset().unwrap();
    assert_eq!(kernel.step(Side::Server, &answer).unwrap().fate(&answer), Fate::Dropped);
}
