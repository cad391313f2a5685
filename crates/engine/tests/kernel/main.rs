//! The engine against the Linux kernel, packet by packet.
//!
//! Random scenes are played to both at once: the flows of either side, well-behaved and not, and
//! now and then time goes by. Rule and translation have to be the same for every packet, and with
//! the rule the state of its connection. A scene that is judged differently is made as short as it
//! stays different, and printed.
//!
//! `PAREFEU_KERNEL_PACKETS` is how many packets each test sends, `PAREFEU_KERNEL_SEED` the seed of
//! the first scene; the next ones count on from there.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "what is missing, and what was compared, is said aloud")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

use std::process::{Command, Stdio};

use parefeu_testkit::kernel::{Kernel, StartError};

use crate::contest::Contest;
use crate::firewall::Firewall;
use crate::iptables::Rules;
use crate::scene::{Kinds, Scene};

mod contest;
mod firewall;
mod fragments;
mod full;
mod iptables;
mod odd;
mod scene;
mod sctp;
mod tcp;

const PACKETS: u64 = 5_000;
const SEED: u64 = 1;

/// So many scenes that a busy host keeps from being played are enough.
const SKIPPED: u64 = 3;

/// Plays scenes until enough packets were compared.
#[track_caller]
fn check(firewall: &Firewall, kinds: Kinds) {
    let Some(contest) = contest(firewall) else { return };
    play(contest, kinds, PACKETS);
}

/// The same, with so many packets where nobody says how many.
#[track_caller]
fn play(mut contest: Contest, kinds: Kinds, usual: u64) {
    let packets = setting("PAREFEU_KERNEL_PACKETS", usual);
    let first = setting("PAREFEU_KERNEL_SEED", SEED);
    let mut seed = first;
    while contest.compared < packets && contest.skipped < SKIPPED {
        let difference = contest.shortest_difference(&Scene::random(seed, kinds));
        assert!(difference.is_none(), "\nseed {seed}\n{}", difference.unwrap_or_default());
        seed += 1;
    }
    eprintln!("{} packets of the seeds {first} to {}", contest.compared, seed - 1);
    eprint!("{}", contest.tally());
}

/// The firewall before both judges, where the host can run the kernel's.
fn contest(firewall: &Firewall) -> Option<Contest> {
    Some(Contest::new(start()?, firewall))
}

fn start() -> Option<Kernel> {
    match Kernel::start() {
        Ok(kernel) => Some(kernel),
        Err(missing @ StartError::Missing(_)) => {
            eprintln!("skipped: {missing}");
            None
        }
        Err(failed) => unreachable!("{failed}"),
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn tcp_udp_and_icmp_are_judged_as_the_kernel_does() {
    check(&Firewall::plain(), Kinds::WHOLE);
}

#[test]
fn without_mid_stream_pickup_as_well() {
    check(&Firewall::plain().with("tcp-loose", "nf_conntrack_tcp_loose", false), Kinds::WHOLE);
}

#[test]
fn with_liberal_windows_as_well() {
    let liberal = ("tcp-be-liberal", "nf_conntrack_tcp_be_liberal");
    check(&Firewall::plain().with(liberal.0, liberal.1, true), Kinds::WHOLE);
}

#[test]
fn without_checksums_as_well() {
    check(&Firewall::plain().with("checksum", "nf_conntrack_checksum", false), Kinds::WHOLE);
}

#[test]
fn fragments_are_joined_as_the_kernel_does() {
    check(&Firewall::plain(), Kinds::FRAGMENTS);
}

#[test]
fn translated_flows_are_judged_as_the_kernel_does() {
    check(&Firewall::translating(), Kinds::WHOLE);
}

#[test]
fn translated_fragments_are_judged_as_the_kernel_does() {
    check(&Firewall::translating(), Kinds::FRAGMENTS);
}

#[test]
fn odd_packets_are_judged_as_the_kernel_does() {
    check(&Firewall::plain(), Kinds::ODD);
}

#[test]
fn odd_packets_that_are_translated_as_well() {
    check(&Firewall::translating(), Kinds::ODD);
}

#[test]
fn ports_are_used_up_as_the_kernel_uses_them_up() {
    check(&Firewall::with_few_ports(), Kinds::CROWD);
}

#[test]
fn ports_of_sctp_are_used_up_as_well() {
    check(&Firewall::with_few_ports(), Kinds::SCTP_CROWD);
}

#[test]
fn sctp_and_gre_are_judged_as_the_kernel_does() {
    check(&Firewall::plain(), Kinds::SCTP);
}

#[test]
fn sctp_and_gre_without_mid_stream_pickup_as_well() {
    check(&Firewall::plain().with("tcp-loose", "nf_conntrack_tcp_loose", false), Kinds::SCTP);
}

#[test]
fn sctp_and_gre_without_checksums_as_well() {
    check(&Firewall::plain().with("checksum", "nf_conntrack_checksum", false), Kinds::SCTP);
}

#[test]
fn translated_sctp_and_gre_are_judged_as_the_kernel_does() {
    check(&Firewall::translating(), Kinds::SCTP);
}

#[test]
fn iptables_rules_are_read_as_the_kernel_reads_them() {
    check_rules(Rules::random);
}

#[test]
fn iptables_rules_that_translate_as_well() {
    check_rules(Rules::translating);
}

/// Plays a scene before each of many random sets of rules.
#[track_caller]
fn check_rules(random: fn(u64) -> Rules) {
    let Some(mut contest) = contest(&Firewall::plain()) else { return };
    let commands = ["iptables-restore", "ip6tables-restore"];
    if let Some(missing) = commands.into_iter().find(|command| !is_there(command)) {
        eprintln!("skipped: needs the command `{missing}`");
        return;
    }
    let packets = setting("PAREFEU_KERNEL_PACKETS", PACKETS);
    let first = setting("PAREFEU_KERNEL_SEED", SEED);
    let (mut seed, mut unknown) = (first, 0);
    while contest.compared < packets {
        let mut rules = random(seed);
        seed += 1;
        if !contest.take(&rules) {
            unknown += 1;
            continue;
        }
        let scene = Scene::random(seed, Kinds::WHOLE).without_recorded_routes();
        if let Some(mut told) = contest.shortest_difference(&scene) {
            // What the difference does not need is left out.
            let mut nth = 0;
            while let Some(less) = rules.less(nth) {
                let differs = contest.take(&less).then(|| contest.shortest_difference(&scene));
                match differs.flatten() {
                    Some(shorter) => (rules, told) = (less, shorter),
                    None => nth += 1,
                }
            }
            let [v4, v6] = rules.texts();
            unreachable!("\nseed {}\n{v4}\n{v6}\n{told}", seed - 1);
        }
    }
    eprintln!("{} packets of the seeds {first} to {}", contest.compared, seed - 1);
    assert!(unknown * 2 < seed - first, "{unknown} of {} are not known", seed - first);
}

fn is_there(command: &str) -> bool {
    let mut command = Command::new(command);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

#[test]
fn a_difference_is_found_and_told_in_few_packets() {
    let mut firewall = Firewall::plain().with("tcp-loose", "nf_conntrack_tcp_loose", false);
    firewall.parameters.pop();
    let Some(mut contest) = contest(&firewall) else { return };
    let mut scenes = (1..100).map(|seed| Scene::random(seed, Kinds::WHOLE));
    let told = scenes.find_map(|scene| contest.shortest_difference(&scene)).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    let [packet, kernel, engine] = lines[..] else { unreachable!("{told}") };
    assert!(packet.starts_with("Client ") || packet.starts_with("Server "), "{told}");
    assert!(kernel.starts_with("kernel: ") && !kernel.contains("`invalid`"), "{told}");
    assert!(engine.starts_with("engine: refuse `invalid`"), "{told}");
}
