//! What the session table does, told in short scripts of packets.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop them")]

mod flows;
mod limits;
mod model;
mod script;

use parefeu_policy::{Behaviour, Preset};
use parefeu_session::Sought;
use script::{Script, flow};

/// Runs a script and compares what every packet was taken for, then why sessions ended.
#[track_caller]
fn check(preset: Preset, script: &[(&str, &str)], ended: &[&str]) {
    let mut behaviour = Behaviour::preset(preset);
    behaviour.checksum = false;
    check_behaviour(behaviour, script, ended);
}

#[track_caller]
fn check_behaviour(behaviour: Behaviour, lines: &[(&str, &str)], ended: &[&str]) {
    let mut script = Script::new(behaviour);
    let judged: Vec<_> = lines.iter().map(|(line, _)| (*line, script.play(line))).collect();
    let expected: Vec<_> = lines.iter().map(|(line, is)| (*line, (*is).to_string())).collect();
    assert_eq!(judged, expected);
    assert_eq!(script.finish(), ended);
}

const HANDSHAKE: [(&str, &str); 3] =
    [("c S 1000 0", "new"), ("s SA 5000 1001", "established"), ("c A 1001 5001", "established")];

fn after_handshake<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&HANDSHAKE, more].concat()
}

#[test]
fn a_connection_that_both_sides_close_ends_with_tcp_fin() {
    let lines = after_handshake(&[
        ("c PA 1001 5001 100", "established"),
        ("s FA 5001 1101", "established"),
        ("c A 1101 5002", "established"),
        ("c FA 1101 5002", "established"),
        ("s A 5002 1102", "established"),
    ]);
    check(Preset::Linux, &lines, &["tcp-fin packets [5, 3]"]);
    check(Preset::Panos, &lines, &["tcp-fin packets [5, 3]"]);
}

#[test]
fn a_reset_ends_a_connection_only_where_it_is_exact() {
    let inexact = after_handshake(&[
        ("s R 4000 0", "invalid inexact-reset"),
        ("s R 50005001 0", "invalid sequence-beyond-window"),
        ("s R 5101 0", "established"),
    ]);
    check(Preset::Linux, &inexact, &["aged-out packets [2, 2]"]);
    let exact =
        after_handshake(&[("s R 5001 0", "established"), ("c PA 1001 5001", "established")]);
    check(Preset::Linux, &exact, &["tcp-rst-from-server packets [3, 2]"]);
    let client = after_handshake(&[("c R 1001 0", "established")]);
    check(Preset::Asa, &client, &["tcp-rst-from-client packets [3, 1]"]);
}

#[test]
fn a_refused_opening_is_over_at_once() {
    let lines = [("c S 1000 0", "new"), ("s RA 0 1001", "established"), ("c S 1000 0", "new")];
    let ended = ["tcp-rst-from-server packets [1, 1]", "aged-out packets [1, 0]"];
    check(Preset::Linux, &lines, &ended);
}

#[test]
fn data_has_to_lie_in_the_window() {
    let lines = after_handshake(&[
        ("c PA 50001003 5001 3", "invalid sequence-beyond-window"),
        ("c A 1001 100005001", "invalid acknowledges-unsent"),
        ("c PA 2415919104 5001 3", "established"),
        ("c PA 1001 5001 3", "established"),
    ]);
    check(Preset::Linux, &lines, &["aged-out packets [4, 1]"]);
    let mut liberal = Behaviour::preset(Preset::Linux);
    liberal.tcp_be_liberal = true;
    let lines = lines.iter().map(|&(line, _)| (line, "established")).collect::<Vec<_>>();
    let lines = [&HANDSHAKE, &lines[3..]].concat();
    check_behaviour(liberal, &lines, &["aged-out packets [6, 1]"]);
}

#[test]
fn both_sides_may_open_at_once_or_in_pieces() {
    let crossing = [
        ("c S 1000 0", "new"),
        ("s S 5000 0", "established"),
        ("c SA 1000 5001", "established"),
        ("s SA 5000 1001", "established"),
        ("c A 1001 5001", "established"),
    ];
    check(Preset::Linux, &crossing, &["aged-out packets [3, 2]"]);
    let split = [
        ("c S 1000 0", "new"),
        ("s A 5000 1001", "established"),
        ("s S 5000 0", "established"),
        ("c SA 1000 5001", "established"),
        ("s A 5001 1001", "established"),
    ];
    check(Preset::Linux, &split, &["aged-out packets [2, 3]"]);
}

#[test]
fn flags_no_connection_produces_open_nothing() {
    let lines = [
        ("c - 1 0", "invalid illegal-flags"),
        ("c FPU 1 0", "invalid illegal-flags"),
        ("c SF 1 0", "invalid illegal-flags"),
        ("c SR 1 0", "invalid illegal-flags"),
        ("c SA 1 0", "invalid not-opening"),
        ("c R 1 0", "invalid not-opening"),
        ("c FA 1 0", "invalid not-opening"),
        ("c SP 1 0", "new"),
    ];
    check(Preset::Linux, &lines, &["aged-out packets [1, 0]"]);
}

#[test]
fn one_direction_is_enough_where_paths_are_asymmetric() {
    let client = [
        ("c S 1000 0", "new"),
        ("c A 1001 5001", "new"),
        ("c PA 1001 5001 40", "new"),
        ("c PA 2415919104 100005001 3", "new"),
        ("c FA 1041 5900", "new"),
    ];
    let server = [
        ("c SA 5000 1001", "new"),
        ("c PA 5001 1041 900", "new"),
        ("c FA 5901 1042", "new"),
        ("c A 5902 1042", "new"),
    ];
    let late = [
        ("c SA 5000 1001", "new"),
        ("s S 1000 0", "established"),
        ("s A 1001 5001", "established"),
        ("s FA 1001 5001", "established"),
        ("c FA 5001 1002", "established"),
        ("s A 1002 5002", "established"),
    ];
    let mut asymmetric = Behaviour::preset(Preset::Panos);
    (asymmetric.tcp_loose, asymmetric.tcp_asymmetric) = (true, true);
    for (lines, end) in [
        (&client[..], "aged-out packets [5, 0]"),
        (&server, "aged-out packets [4, 0]"),
        (&late, "tcp-fin packets [2, 4]"),
    ] {
        check_behaviour(asymmetric.clone(), lines, &[end]);
    }
    asymmetric.tcp_loose = false;
    check_behaviour(asymmetric, &[("c SA 5000 1001", "invalid not-opening")], &[]);
    let strict = [("c S 1000 0", "new"), ("c A 1001 5001", "invalid unexpected-flags")];
    check(Preset::Panos, &strict, &["aged-out packets [1, 0]"]);
}

#[test]
fn mid_stream_pickup_is_a_switch() {
    let loose = [("c A 1001 5001", "new"), ("s PA 5001 1001 4", "established")];
    check(Preset::Linux, &loose, &["aged-out packets [1, 1]"]);
    let strict = [("c A 1001 5001", "invalid not-opening"), ("s A 1 1", "invalid not-opening")];
    check(Preset::Panos, &strict, &[]);
}

#[test]
fn a_syn_opens_a_connection_that_has_ended_anew() {
    let mut lines = after_handshake(&[
        ("s FA 5001 1001", "established"),
        ("c FA 1001 5002", "established"),
        ("s A 5002 1002", "established"),
        ("c S 900000 0", "reopen new"),
    ]);
    let ended = ["tcp-reuse packets [3, 3]", "aged-out packets [1, 0]"];
    check(Preset::Linux, &lines, &ended);
    lines.truncate(3);
    lines.extend([("s R 5001 0", "established"), ("c S 77777 0", "reopen new")]);
    let ended = ["tcp-reuse packets [2, 2]", "aged-out packets [1, 0]"];
    check(Preset::Panos, &lines, &ended);
    // Linux lets the SYN pass and believes the answer.
    lines.pop();
    lines.extend([("c S 77777 0", "established"), ("s SA 1 77778", "established")]);
    check(Preset::Linux, &lines, &["aged-out packets [3, 3]"]);
}

#[test]
fn tcp_timers_follow_the_state() {
    let lines = [("c S 1000 0", "new"), ("+4", ""), ("c S 1000 0", "new"), ("+2", "1 ended")];
    check(Preset::Panos, &lines, &["aged-out packets [2, 0]"]);
    let idle = after_handshake(&[
        ("+3599", ""),
        ("c PA 1001 5001 1", "established"),
        ("+3601", "1 ended"),
        ("c PA 1002 5001 1", "invalid not-opening"),
    ]);
    check(Preset::Panos, &idle, &["aged-out packets [3, 1]"]);
    let half_closed =
        after_handshake(&[("c FA 1001 5001", "established"), ("+119", ""), ("+2", "1 ended")]);
    check(Preset::Panos, &half_closed, &["aged-out packets [3, 1]"]);
}

#[test]
fn a_reset_that_is_not_exact_has_a_timer_of_its_own() {
    let exact = after_handshake(&[("s R 5001 0", "established"), ("+14", ""), ("+2", "1 ended")]);
    check(Preset::Panos, &exact, &["tcp-rst-from-server packets [2, 2]"]);
    let inexact = after_handshake(&[("s R 5101 0", "established"), ("+29", ""), ("+2", "1 ended")]);
    check(Preset::Panos, &inexact, &["aged-out packets [2, 2]"]);
    // The connection goes on all the same: a later segment renews its own timer.
    let goes_on = after_handshake(&[
        ("s R 5101 0", "established"),
        ("c PA 1001 5001 1", "established"),
        ("+3599", ""),
    ]);
    check(Preset::Panos, &goes_on, &["aged-out packets [3, 2]"]);
}

#[test]
fn a_connection_with_something_outstanding_is_kept_for_less() {
    let one = ["aged-out packets [3, 1]"];
    let sent = after_handshake(&[
        ("c PA 1001 5001 100", "established"),
        ("+299", ""),
        ("c PA 1001 5001 100", "established"),
        ("+301", "1 ended"),
    ]);
    check(Preset::Linux, &sent, &["aged-out packets [4, 1]"]);
    let acknowledged = after_handshake(&[
        ("c PA 1001 5001 100", "established"),
        ("s A 5001 1101", "established"),
        ("+431999", ""),
        ("+2", "1 ended"),
    ]);
    check(Preset::Linux, &acknowledged, &["aged-out packets [3, 2]"]);
    let kept = after_handshake(&[("c PA 1001 5001 100", "established"), ("+3599", "")]);
    check(Preset::Panos, &kept, &one);
    let repeated = ("c A 1001 5001", "established");
    let repeated = [repeated, repeated, repeated, ("+301", "1 ended")];
    check(Preset::Linux, &after_handshake(&repeated), &["aged-out packets [5, 1]"]);
    check(
        Preset::Linux,
        &after_handshake(&[repeated[0], repeated[0], ("+301", "")]),
        &["aged-out packets [4, 1]"],
    );
}

#[test]
fn a_connection_picked_up_lasts_once_its_answer_was_answered() {
    let alone = [("c A 1001 5001", "new"), ("s A 5001 1001", "established"), ("+301", "1 ended")];
    check(Preset::Linux, &alone, &["aged-out packets [1, 1]"]);
    let lasting = [
        ("c A 1001 5001", "new"),
        ("s A 5001 1001", "established"),
        ("c A 1001 5001", "established"),
        ("+301", ""),
    ];
    check(Preset::Linux, &lasting, &["aged-out packets [2, 1]"]);
}

#[test]
fn closing_goes_through_shorter_timers() {
    let closed = [("s FA 5001 1001", "established"), ("c A 1001 5002", "established")];
    let wait = [&closed[..], &[("+59", ""), ("+2", "1 ended")]].concat();
    check(Preset::Linux, &after_handshake(&wait), &["aged-out packets [3, 2]"]);
    let wait = [&closed[..], &[("+119", ""), ("+2", "1 ended")]].concat();
    check(Preset::Panos, &after_handshake(&wait), &["aged-out packets [3, 2]"]);
    let last = [&closed[..], &[("c FA 1001 5002", "established"), ("+31", "1 ended")]].concat();
    check(Preset::Linux, &after_handshake(&last), &["tcp-fin packets [4, 2]"]);
}

#[test]
fn a_connection_whose_sides_part_out_of_sight_is_kept_for_less() {
    let parting = [
        ("c FA 1001 9000001", "invalid acknowledges-unsent"),
        ("s FA 5001 9000001", "invalid acknowledges-unsent"),
    ];
    let lines = [&parting[..], &[("+299", ""), ("+2", "1 ended")]].concat();
    check(Preset::Linux, &after_handshake(&lines), &["aged-out packets [2, 1]"]);
    let lines = [&parting[..1], &parting[..1], &[("+301", "")]].concat();
    check(Preset::Linux, &after_handshake(&lines), &["aged-out packets [2, 1]"]);
    let lines = [&parting[..], &[("+301", "")]].concat();
    check(Preset::Panos, &after_handshake(&lines), &["aged-out packets [2, 1]"]);
}

#[test]
fn a_repeated_syn_without_options_leaves_those_of_the_first() {
    let lines = [
        ("c S 1000 0", "new"),
        ("c S- 1500 0", "new"),
        ("s SA 5000 1501", "established"),
        ("c A 1501 5001", "established"),
        ("s PA 5005001 1501 10", "established"),
    ];
    check(Preset::Linux, &lines, &["aged-out packets [3, 2]"]);
    let mut lines = lines;
    lines[0].0 = "c S- 1000 0";
    lines[4].1 = "invalid sequence-beyond-window";
    check(Preset::Linux, &lines, &["aged-out packets [3, 1]"]);
}

#[test]
fn a_syn_that_crosses_the_first_one_does_not_renew_it() {
    let lines =
        [("c S 1000 0", "new"), ("+60", ""), ("s S 5000 0", "established"), ("+61", "1 ended")];
    check(Preset::Linux, &lines, &["aged-out packets [1, 1]"]);
}

#[test]
fn udp_lives_longer_once_it_is_answered() {
    let lines = [
        ("c udp", "new"),
        ("+59", ""),
        ("s udp", "established"),
        ("+119", ""),
        ("c udp", "established"),
        ("+121", "1 ended"),
        ("s udp", "new"),
    ];
    let ended = ["aged-out packets [2, 1]", "aged-out packets [1, 0]"];
    let mut behaviour = Behaviour::preset(Preset::Pf);
    behaviour.timers.udp_stream = std::time::Duration::from_secs(120);
    check_behaviour(behaviour, &lines, &ended);
}

#[test]
fn on_linux_udp_lives_longer_once_it_goes_on() {
    // A question and its answer, whenever it comes.
    let one = [("c udp", "new"), ("+29", ""), ("s udp", "established"), ("+31", "1 ended")];
    check(Preset::Linux, &one, &["aged-out packets [1, 1]"]);
    let quick = [
        ("c udp", "new"),
        ("s udp", "established"),
        ("+2", ""),
        ("c udp", "established"),
        ("+31", "1 ended"),
    ];
    check(Preset::Linux, &quick, &["aged-out packets [2, 1]"]);
    let stream = [
        ("c udp", "new"),
        ("s udp", "established"),
        ("+3", ""),
        ("c udp", "established"),
        ("+119", ""),
        ("+2", "1 ended"),
    ];
    check(Preset::Linux, &stream, &["aged-out packets [2, 1]"]);
}

#[test]
fn icmp_replies_need_their_query() {
    let lines = [
        ("s echo-reply 7", "invalid not-opening"),
        ("c echo 7", "new"),
        ("s echo-reply 7", "established"),
        ("s echo-reply 8", "invalid not-opening"),
        ("s echo 7", "new"),
        ("s timestamp-reply 7", "invalid not-opening"),
    ];
    check(Preset::Linux, &lines, &["aged-out packets [1, 1]", "aged-out packets [1, 0]"]);
}

#[test]
fn sctp_packets_carry_the_tag_of_their_association() {
    let lines = [
        ("c sctp 3 5", "invalid not-opening"),
        ("c sctp 1 0 11", "new"),
        ("s sctp 2 11 22", "established"),
        ("c sctp 10 22", "established"),
        ("s sctp 11 11", "established"),
        ("s sctp 0 999", "invalid wrong-verification-tag"),
        ("+61", ""),
        ("c sctp 7 22", "established"),
        ("+31", "1 ended"),
    ];
    check(Preset::Panos, &lines, &["aged-out packets [3, 2]"]);
}

#[test]
fn an_init_sent_again_does_not_hold_its_association() {
    let lines = [
        ("c sctp 1 0 11", "new"),
        ("+6", ""),
        ("c sctp 1 0 11", "new"),
        ("+3", ""),
        ("+2", "1 ended"),
        ("c sctp 4 7", "new"),
        ("+29", ""),
        ("s sctp 5 8", "established"),
        ("+209", ""),
        ("+1", "1 ended"),
    ];
    let ends = ["aged-out packets [2, 0]", "aged-out packets [1, 1]"];
    check(Preset::Linux, &lines, &ends);
}

#[test]
fn a_refused_flow_is_kept_for_its_own_time() {
    let mut script = Script::new(Behaviour::preset(Preset::Panos));
    assert_eq!(script.refuse("c S 1000 0"), "new");
    assert_eq!(script.play("+89"), "");
    assert!(script.table.find(&Sought::new(0, flow("c"))).is_some());
    assert_eq!(script.play("+2"), "1 ended");
    assert_eq!(script.finish(), ["policy-deny packets [1, 0]"]);
}
