//! Packets given field by field find the rule that is found for them one by one, with instructions
//! of every kind and in structures of every kind.

use std::net::IpAddr;
use std::sync::Arc;

use parefeu_classify::{
    BatchScratch, CompileLimits, CompiledPolicy, HeadersV4, HeadersV6, Instructions,
};
use parefeu_policy::{PacketKey, RuleBaseId, RuleId};
use parefeu_testkit::firewalls::{self, Family, Large, Shape};
use parefeu_testkit::traces::{Kind, Trace};

fn v4(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(_) => unreachable!("traces are of one family"),
    }
}

fn v6(address: IpAddr) -> u128 {
    match address {
        IpAddr::V6(address) => address.to_bits(),
        IpAddr::V4(_) => unreachable!("traces are of one family"),
    }
}

fn by_headers(
    policy: &CompiledPolicy,
    family: Family,
    keys: &[PacketKey],
    scratch: &mut BatchScratch,
) -> Vec<Option<RuleId>> {
    let src_port: Vec<u16> = keys.iter().map(|key| key.src_port).collect();
    let dst_port: Vec<u16> = keys.iter().map(|key| key.dst_port).collect();
    let protocol: Vec<u8> = keys.iter().map(|key| key.protocol.0).collect();
    let (src_port, dst_port, protocol) = (&*src_port, &*dst_port, &*protocol);
    let mut found = vec![Some(RuleId(u32::MAX)); keys.len()];
    if family == Family::V4 {
        let src: Vec<u32> = keys.iter().map(|key| v4(key.src)).collect();
        let dst: Vec<u32> = keys.iter().map(|key| v4(key.dst)).collect();
        let headers = HeadersV4 { src: &src, dst: &dst, src_port, dst_port, protocol };
        policy.first_match_headers(RuleBaseId(0), &headers, &mut found, scratch);
    } else {
        let src: Vec<u128> = keys.iter().map(|key| v6(key.src)).collect();
        let dst: Vec<u128> = keys.iter().map(|key| v6(key.dst)).collect();
        let headers = HeadersV6 { src: &src, dst: &dst, src_port, dst_port, protocol };
        policy.first_match_headers_v6(RuleBaseId(0), &headers, &mut found, scratch);
    }
    found
}

#[test]
fn headers_find_what_packets_find() {
    let user = CompileLimits::default();
    let tuples = CompileLimits { max_paired_rules: 0, ..user };
    for shape in Shape::ALL {
        for family in Family::ALL {
            let large = Large { shape, family, rules: 400, seed: 11 }.generate();
            let firewall = firewalls::linked(&large);
            // Not a whole number of chunks or vectors.
            let trace = |kind| Trace { kind, family, packets: 601, seed: 5 }.draw(&firewall);
            let keys = [trace(Kind::Uniform), trace(Kind::NearMiss), trace(Kind::Random)].concat();
            for limits in [user, tuples] {
                let policy = CompiledPolicy::compile(Arc::clone(&firewall), &limits);
                let one_by_one = keys.iter().map(|key| policy.first_match(RuleBaseId(0), key));
                let expected: Vec<Option<RuleId>> = one_by_one.collect();
                for instructions in Instructions::ALL {
                    let mut scratch = BatchScratch::with(instructions);
                    let found = by_headers(&policy, family, &keys, &mut scratch);
                    let (shape, family) = (shape.name(), family.name());
                    assert_eq!(found, expected, "{shape} {family} {}", instructions.name());
                }
            }
        }
    }
}
