use parefeu_policy::{Behaviour, Preset};

use super::*;

/// Chunks by number, flags, and what follows their header.
fn chunks(parts: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, flags, value) in parts {
        let [high, low] = (4 + value.len() as u16).to_be_bytes();
        bytes.extend([*kind, *flags, high, low]);
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// `chunk[+chunk…] tag`, a chunk being its number, with `/1` the T bit, with `@` an initiate tag.
fn read(text: &str) -> (Vec<u8>, u32) {
    let (parts, tag) = text.split_once(' ').unwrap();
    let mut bytes = Vec::new();
    for part in parts.split('+') {
        let (part, initiate) = part.split_once('@').map_or((part, None), |(a, b)| (a, Some(b)));
        let (kind, flags) = part.split_once('/').unwrap_or((part, "0"));
        let initiate = initiate.map(|tag| tag.parse::<u32>().unwrap().to_be_bytes());
        let value = initiate.map_or(vec![], |tag| [&tag[..], &[0; 12]].concat());
        bytes.extend(chunks(&[(kind.parse().unwrap(), flags.parse().unwrap(), &value)]));
    }
    (bytes, tag.parse().unwrap())
}

/// Plays packets, `>` from the original side and `<` from the other, and says how long each leaves
/// the association to live, in seconds on Linux: `=` before it where the timer is not renewed.
#[track_caller]
fn check(lines: &[(&str, &str)]) {
    let timers = Behaviour::preset(Preset::Linux).timers;
    let mut association: Option<Association> = None;
    for (line, expected) in lines {
        let (chunks, verification_tag) = read(&line[1..]);
        let packet = SctpPacket { verification_tag, chunks: &chunks, is_cut: false };
        let direction = if line.starts_with('>') { Direction::Original } else { Direction::Reply };
        let said = match &mut association {
            None => match Association::open(packet) {
                Err(reason) => reason.to_string(),
                Ok(new) => association.insert(new).timeout(&timers).as_secs().to_string(),
            },
            Some(association) => match association.step(direction, packet) {
                SctpStep::Accept => association.timeout(&timers).as_secs().to_string(),
                SctpStep::Ignore => format!("={}", association.timeout(&timers).as_secs()),
                SctpStep::Invalid(reason) => reason.to_string(),
            },
        };
        assert_eq!(said, *expected, "{line}");
    }
}

const WRONG: &str = "wrong-verification-tag";

#[test]
fn an_association_lives_from_init_to_shutdown_complete() {
    check(&[
        (">1@77 0", "10"),
        (">1@77 0", "=10"),
        ("<2@88 77", "3"),
        (">10+0 88", "3"),
        ("<11+3 77", "210"),
        (">0 88", "210"),
        ("<0 78", WRONG),
        (">7 88", "3"),
        ("<8 77", "3"),
        (">14 88", "10"),
        (">1@5 0", "=10"),
        ("<2@6 5", "3"),
    ]);
}

#[test]
fn a_packet_out_of_the_blue_opens_an_association_where_it_is_to_be_answered() {
    for (packet, expected) in [
        (">1@7 9", WRONG),
        (">0 0", "not-opening"),
        (">3 7", "not-opening"),
        (">6 7", "not-opening"),
        (">11 7", "not-opening"),
        (">14 7", "not-opening"),
        (">4+0 7", "not-opening"),
        (">4 7", "30"),
        (">5 7", "10"),
        (">8 7", "3"),
        (">4+8 7", "3"),
        (">7 0", "10"),
        (">7 7", WRONG),
        (">10+4 7", "10"),
        (">2@7 0", "10"),
    ] {
        check(&[(packet, expected)]);
    }
}

#[test]
fn chunks_have_their_place() {
    let opened = [(">1@1 0", "10"), ("<2@2 1", "3"), (">10 2", "3"), ("<11 1", "210")];
    for bad in [">1@1+0 0", ">0+1@1 0", ">0+10 2", ">0+11 2", ">8+14 2", ">0+2@2 2"] {
        check(&[&opened[..], &[(bad, "bad-chunks")]].concat());
    }
    check(&[&opened[..], &[(">0+3+9 2", "210"), (">0+6 2", "10")]].concat());
}

#[test]
fn the_t_bit_stands_for_the_tag_of_the_other_direction() {
    let opened = [(">1@1 0", "10"), ("<2@2 1", "3"), (">10 2", "3"), ("<11 1", "210")];
    for (packet, expected) in [
        (">6 1", WRONG),
        (">6/1 2", WRONG),
        (">6/1 1", "10"),
        ("<6 1", "10"),
        ("<6/1 2", "10"),
        ("<6/2 1", "10"),
        ("<6/3 1", WRONG),
        (">14 1", WRONG),
        (">14/1 1", "210"),
        // What comes before the chunk that is wrong was followed.
        (">7+6 9", WRONG),
    ] {
        check(&[&opened[..], &[(packet, expected)]].concat());
    }
    check(&[&opened[..], &[(">7+6 9", WRONG), (">0 2", "3")]].concat());
}

#[test]
fn both_sides_may_open() {
    check(&[
        (">1@77 0", "10"),
        ("<1@88 0", "=10"),
        ("<2@89 77", WRONG),
        ("<2@88 77", "3"),
        (">2@77 88", "3"),
        (">10 88", "3"),
        ("<10 77", "3"),
        ("<11 77", "210"),
    ]);
}

#[test]
fn an_init_begins_an_association_anew() {
    let opened = [(">1@1 0", "10"), ("<2@2 1", "3"), (">10 2", "3"), ("<11 1", "210")];
    let anew = [
        (">1@5 0", "210"),
        ("<0 1", WRONG),
        ("<2@6 5", "210"),
        ("<2@7 5", "210"),
        (">2@5 7", "210"),
        (">2@4 7", WRONG),
        (">10 7", "210"),
        ("<11 5", "210"),
        ("<2@8 5", WRONG),
    ];
    check(&[&opened[..], &anew].concat());
    // The third INIT is another one: the second is forgotten.
    let thrice = [(">1@5 0", "210"), ("<1@6 0", "210"), (">1@8 0", "210"), ("<2@9 8", "210")];
    check(&[&opened[..], &thrice].concat());
    let repeated = [(">1@5 0", "210"), ("<1@6 0", "210"), (">1@5 0", "210"), ("<2@9 5", WRONG)];
    check(&[&opened[..], &repeated].concat());
}

#[test]
fn an_init_that_asks_for_the_tag_known_is_not_another_one() {
    check(&[(">5 3", "10"), (">1@0 0", "=10"), ("<2@2 0", WRONG)]);
    check(&[(">1@0 0", "10"), ("<2@2 0", "3"), ("<2@3 0", "3")]);
}

#[test]
fn a_heartbeat_opens_a_further_path() {
    check(&[
        (">4 7", "30"),
        ("<0 0", "30"),
        ("<7 0", "unexpected-flags"),
        ("<4 9", "30"),
        ("<5 9", "210"),
        (">0 7", "210"),
        ("<0 9", "210"),
    ]);
    check(&[(">4 7", "30"), (">1@5 0", "3")]);
    check(&[(">4 7", "30"), (">7 7", "10")]);
}

#[test]
fn a_heartbeat_with_another_tag_waits_for_its_answer() {
    let opened = [(">1@1 0", "10"), ("<2@2 1", "3"), (">10 2", "3"), ("<11 1", "210")];
    for then in [
        &[(">4 9", "=210"), ("<5 8", "210"), ("<0 8", "210"), (">4 3", "210"), (">0 3", "210")][..],
        &[(">4 9", "=210"), (">5 8", WRONG), (">4 2", "210"), ("<5 8", WRONG)],
        &[(">4 9", "=210"), (">0 2", "210"), ("<5+0 8", WRONG), ("<5+3 8", "210")],
        &[(">4+0 9", WRONG), (">4+4 9", WRONG), (">4+7 9", "=3")],
        &[("<5 8", WRONG)],
    ] {
        check(&[&opened[..], then].concat());
    }
}

#[test]
fn lengths_that_are_wrong_end_the_walk_or_the_packet() {
    let data = chunks(&[(0, 0, b"data")]);
    let with_length = |length: u8| [&[0, 0, 0, length][..], &data[4..], &data].concat();
    let abort = chunks(&[(6, 0, b"")]);
    let beyond = [&[0, 0, 0xff, 0xff][..], &abort].concat();
    let padded = [&[0, 0, 0, 5, 1, 0, 0, 0][..], &abort].concat();
    let cases: [(&[u8], Result<usize, InvalidReason>); 8] = [
        (&[], Err(InvalidReason::BadChunks)),
        (&[0, 0, 0], Err(InvalidReason::BadChunks)),
        (&with_length(0), Err(InvalidReason::BadChunks)),
        (&with_length(8), Ok(2)),
        (&with_length(12), Ok(2)),
        (&beyond, Ok(1)),
        (&padded, Ok(2)),
        (&[&data[..], &[6, 0, 0]].concat(), Ok(1)),
    ];
    for (chunks, expected) in cases {
        let packet = SctpPacket { verification_tag: 0, chunks, is_cut: false };
        let found = packet.kinds().map(|_| packet.chunks().count());
        assert_eq!(found, expected, "{chunks:?}");
    }
    let short = chunks(&[(1, 0, &[0; 15])]);
    let packet = SctpPacket { verification_tag: 0, chunks: &short[..19], is_cut: false };
    assert_eq!(Association::open(packet).err(), Some(InvalidReason::BadChunks));
}

#[test]
fn a_packet_that_was_cut_is_judged_by_what_is_there() {
    let init = chunks(&[(1, 0, &[0; 16])]);
    for cut in 0..init.len() {
        let packet = SctpPacket { verification_tag: 0, chunks: &init[..cut], is_cut: true };
        let mut association = Association::open(packet).unwrap();
        // Where the tag was not captured, every one is right.
        let data = SctpPacket { verification_tag: 9, chunks: &[0, 0, 0, 16], is_cut: true };
        let step = association.step(Direction::Reply, data);
        let wrong = SctpStep::Invalid(InvalidReason::WrongVerificationTag);
        assert_eq!(step, if cut < 8 { SctpStep::Accept } else { wrong }, "{cut}");
    }
    let (opening, _) = read("1@7 0");
    let opening = SctpPacket { verification_tag: 0, chunks: &opening, is_cut: false };
    let mut association = Association::open(opening).unwrap();
    let nothing = SctpPacket { verification_tag: 7, chunks: &[0, 0], is_cut: true };
    assert_eq!(association.step(Direction::Reply, nothing), SctpStep::Accept);
    assert!(association.answered);
}
