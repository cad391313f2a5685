//! Traffic played again comes from other hosts, and is as valid as it was.

use std::convert::Infallible;
use std::time::Duration;

use parefeu_net::{
    ChecksumVerdict, DecodeLimits, FiveTuple, LinkType, Packet, Timestamp, Transport, decode,
    ip_header_checksum, transport_checksum,
};
use parefeu_testkit::frames::{frame, frame_with};
use parefeu_testkit::traffic::{Traffic, readdress};

fn decoded(frame: &[u8]) -> Packet<'_> {
    decode(LinkType::ETHERNET, frame, frame.len(), &DecodeLimits::default())
}

#[expect(clippy::expect_used, reason = "a frame without IP fails the test")]
fn flow(frame: &[u8]) -> FiveTuple {
    let packet = decoded(frame);
    let network = packet.network.as_ref().expect("the frame carries IP");
    let checksums = [ip_header_checksum(network), transport_checksum(network)];
    assert!(!checksums.contains(&ChecksumVerdict::Invalid), "{packet:?}");
    packet.five_tuple().expect("the frame carries IP")
}

#[track_caller]
fn moved(frame: &[u8], round: u16) -> FiveTuple {
    let mut moved = frame.to_vec();
    readdress(&mut moved, round);
    flow(&moved)
}

#[test]
fn hosts_move_with_their_replies_and_ports() {
    for (there, back) in [
        ("198.51.100.7:4000 > 192.0.2.1:443 S", "192.0.2.1:443 > 198.51.100.7:4000 S."),
        (
            "[2001:db8::7]:4000 > [2001:db8::1]:53 udp \"x\"",
            "[2001:db8::1]:53 > [2001:db8::7]:4000 udp",
        ),
        ("198.51.100.7 > 192.0.2.1 echo id=7 vlan=5", "192.0.2.1 > 198.51.100.7 echo-reply id=7"),
    ] {
        let (there, back) = (frame(there), frame(back));
        assert_eq!(moved(&there, 0), flow(&there));
        let mut seen = vec![flow(&there)];
        for round in 1..100 {
            let elsewhere = moved(&there, round);
            assert_eq!(moved(&back, round), elsewhere.reverse());
            assert_eq!(
                (elsewhere.src_port, elsewhere.dst_port),
                (seen[0].src_port, seen[0].dst_port)
            );
            assert!(!seen.contains(&elsewhere), "{elsewhere}");
            seen.push(elsewhere);
        }
    }
}

#[test]
fn the_packet_an_error_quotes_moves_with_it() {
    for (query, error) in [
        ("198.51.100.7:4000 > 192.0.2.1:53 udp \"x\"", "203.0.113.1 > 198.51.100.7 icmp=3/1"),
        ("[2001:db8::7]:4000 > [2001:db8::1]:53 udp \"x\"", "2001:db8:9::1 > 2001:db8::7 icmp=1/4"),
    ] {
        let query = frame(query);
        let mut error = frame_with(error, &query[14..]);
        readdress(&mut error, 7);
        let Transport::Icmp(message) = decoded(&error).transport else {
            unreachable!("the error is one")
        };
        assert_eq!(message.quoted.map(|quoted| quoted.flow), Some(moved(&query, 7)));
        assert_eq!(flow(&error).dst, moved(&query, 7).src);
    }
}

#[test]
fn addresses_of_nobody_in_particular_stay() {
    for text in ["0.0.0.0:68 > 255.255.255.255:67 udp", "[::]:1 > [ff02::1]:2 udp"] {
        let frame = frame(text);
        assert_eq!(moved(&frame, 3), flow(&frame));
    }
}

#[test]
fn whatever_is_no_whole_ip_packet_stays_as_it_is() {
    let whole = frame("198.51.100.7:4000 > 192.0.2.1:443 S");
    for len in 0..26 {
        let mut cut = whole[..len].to_vec();
        readdress(&mut cut, 3);
        assert_eq!(cut, whole[..len]);
    }
}

#[test]
fn captures_are_played_side_by_side_with_pauses_cut_short() {
    let mut traffic = Traffic::default();
    let at = Timestamp::from_secs;
    traffic.add([(at(100), vec![1]), (at(100_000), vec![2])]);
    traffic.add([(at(7), vec![3]), (at(8), vec![4])]);
    let mut played = Vec::new();
    let done: Result<(), Infallible> = traffic.play(2, |time, frame| {
        played.push((time.since(Traffic::BEGINNING), frame[0]));
        Ok(())
    });
    assert_eq!(done, Ok(()));
    let secs = Duration::from_secs;
    let round = [(0, 1), (0, 3), (1, 4), (2, 2)];
    let expected = [0, 3].map(|later| round.map(|(time, id)| (secs(later + time), id)));
    assert_eq!(played, expected.concat());
}
