//! Every input that once broke a property, and a few that a fuzzer starts from.

use std::fs;
use std::path::Path;

fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        property(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "{} holds no input", folder.display());
    // A few hundred inputs of fixed pseudo-random bytes: the property itself still runs.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..300usize {
        let bytes: Vec<u8> = (0..round)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        property(&bytes);
    }
}

#[test]
fn decode() {
    replay("decode", parefeu_fuzz::decode);
}

#[test]
fn capture() {
    replay("capture", parefeu_fuzz::capture);
}

#[test]
fn dialect() {
    replay("dialect", parefeu_fuzz::dialect);
}

#[test]
fn native() {
    replay("native", parefeu_fuzz::native);
}

#[test]
fn certificate() {
    replay("certificate", parefeu_fuzz::certificate);
}

#[test]
fn lookup() {
    replay("lookup", parefeu_fuzz::lookup);
}

#[test]
fn engine() {
    replay("engine", parefeu_fuzz::engine);
}

#[test]
fn live() {
    replay("live", parefeu_fuzz::live);
}

#[test]
fn rewrite() {
    replay("rewrite", parefeu_fuzz::rewrite);
}

#[test]
fn sessions() {
    replay("sessions", parefeu_fuzz::sessions);
}

#[test]
fn fragments() {
    replay("fragments", parefeu_fuzz::fragments);
}

#[test]
fn announced() {
    replay("announced", parefeu_fuzz::announced);
}

#[test]
fn what_the_two_announce_to_one_another_opens_a_way() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions/announced");
    let opened = |name: &str| parefeu_fuzz::ways_opened(&fs::read(folder.join(name)).unwrap());
    assert_eq!(["ftp", "tftp", "sip", "sip-to-another-host"].map(opened), [3, 1, 2, 0]);
}
