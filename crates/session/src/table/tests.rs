//! Flows chosen to meet in one bucket do not, where the key is not known.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use parefeu_net::Protocol;
use parefeu_policy::Preset;

use super::*;

const FLOWS: u32 = 50_000;

fn flow(src: IpAddr, dst: IpAddr, src_port: u16) -> FiveTuple {
    FiveTuple { src, dst, src_port, dst_port: 443, protocol: Protocol::UDP }
}

fn v4(src: u32, src_port: u16) -> FiveTuple {
    flow(Ipv4Addr::from(src).into(), Ipv4Addr::new(198, 51, 100, 9).into(), src_port)
}

fn v6(network: u64, identifier: u32) -> FiveTuple {
    let src = u128::from(network) << 64 | u128::from(identifier);
    let dst = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 9);
    flow(Ipv6Addr::from(src).into(), dst.into(), 4000)
}

/// Puts flows into an index as full as it gets, and compares how far searches go with what the
/// index does where hashes are random: under two buckets on average, never more than forty.
#[track_caller]
fn check(what: &str, flow: impl Fn(u32) -> FiveTuple) {
    let table =
        SessionTable::<u32>::new(TableLimits::default(), Behaviour::preset(Preset::Panos), 7);
    let hashes: Vec<u64> = (0..FLOWS).map(|n| table.hash_of(&flow(n))).collect();
    let mut index = Index::new();
    for place in 0..FLOWS {
        let held = &hashes[..place as usize];
        index.reserve(hashes.len(), |index| {
            (0..).zip(held).for_each(|(place, hash)| index.insert(*hash, place));
        });
        index.insert(hashes[place as usize], place);
    }
    let reaches: Vec<usize> = hashes.iter().map(|hash| index.reach(*hash)).collect();
    let mean = reaches.iter().sum::<usize>() as f64 / reaches.len() as f64;
    let most = reaches.iter().max();
    assert!(mean < 2.0 && most < Some(&40), "{what}: {mean} on average, at most {most:?}");
}

/// The network that cancels a key beside constants everyone knows: the first of foldhash 0.2's
/// fixed seed.
const CANCELS: u64 = 0xc0ac_29b7_c97c_50dd;

#[test]
fn chosen_flows_spread_over_the_index() {
    check("addresses in a row", |n| v4(0x0a00_0000 + n, 4000));
    check("equal low bits", |n| v4(n << 14 | 1, 4000));
    check("ports in a row", |n| v4(0x0a00_0000 + (n >> 15), 1024 + (n & 0x7fff) as u16));
    check("networks of IPv6", |n| v6(0x2001_0db8 << 32 | u64::from(n), 1));
    check("a constant of the hash", |n| v6(CANCELS, n));
}

#[test]
fn the_constant_cancels_a_key_beside_constants_everyone_knows() {
    for key in [1, 7, u64::MAX / 3] {
        let hasher = foldhash::quality::FixedState::with_seed(key);
        let hash = |n| hasher.hash_one(v6(CANCELS, n).direction_free());
        assert!((1..1000).all(|n| hash(n) == hash(0)));
    }
}
