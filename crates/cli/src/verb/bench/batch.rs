//! Headers as batch lookups read them: field by field where all are of one family and rules compare
//! nothing else of them, as they are otherwise.

use std::net::IpAddr;

use parefeu_classify::{BatchScratch, CompiledPolicy, FirstMatch, HeadersV4, HeadersV6};
use parefeu_policy::{PacketKey, RuleBaseId};

/// All headers of a measurement.
pub(super) struct Batches<'a> {
    keys: &'a [PacketKey],
    src_port: Vec<u16>,
    dst_port: Vec<u16>,
    protocol: Vec<u8>,
    addresses: Addresses,
}

enum Addresses {
    V4(Vec<u32>, Vec<u32>),
    V6(Vec<u128>, Vec<u128>),
    /// Of both families, or with zones and the like that rules compare.
    OfKeys,
}

impl<'a> Batches<'a> {
    pub(super) fn new(keys: &'a [PacketKey]) -> Self {
        Self {
            keys,
            src_port: keys.iter().map(|key| key.src_port).collect(),
            dst_port: keys.iter().map(|key| key.dst_port).collect(),
            protocol: keys.iter().map(|key| key.protocol.0).collect(),
            addresses: Addresses::of(keys),
        }
    }

    /// The same headers with everything they state: where rules compare zones, flags or the like,
    /// fields alone do not tell what matches.
    pub(super) fn into_packets(self) -> Self {
        Self { addresses: Addresses::OfKeys, ..self }
    }

    pub(super) const fn are_by_field(&self) -> bool {
        !matches!(self.addresses, Addresses::OfKeys)
    }

    /// Looks all of them up, `batch` at a time.
    pub(super) fn look_up(
        &self,
        policy: &CompiledPolicy,
        rule_base: RuleBaseId,
        batch: usize,
        found: &mut [FirstMatch],
    ) {
        let mut scratch = BatchScratch::default();
        let Self { src_port, dst_port, protocol, .. } = self;
        for (number, found) in found.chunks_mut(batch).enumerate() {
            let all = number * batch..(number * batch + found.len());
            let (src_port, dst_port) = (&src_port[all.clone()], &dst_port[all.clone()]);
            let protocol = &protocol[all.clone()];
            match &self.addresses {
                Addresses::V4(src, dst) => {
                    let (src, dst) = (&src[all.clone()], &dst[all]);
                    let headers = HeadersV4 { src, dst, src_port, dst_port, protocol };
                    policy.first_match_headers(rule_base, &headers, found, &mut scratch);
                }
                Addresses::V6(src, dst) => {
                    let (src, dst) = (&src[all.clone()], &dst[all]);
                    let headers = HeadersV6 { src, dst, src_port, dst_port, protocol };
                    policy.first_match_headers_v6(rule_base, &headers, found, &mut scratch);
                }
                Addresses::OfKeys => {
                    policy.first_match_batch(rule_base, &self.keys[all], found);
                }
            }
        }
    }
}

impl Addresses {
    fn of(keys: &[PacketKey]) -> Self {
        let v4 = |address: IpAddr| match address {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => None,
        };
        let v6 = |address: IpAddr| match address {
            IpAddr::V6(address) => Some(address.to_bits()),
            IpAddr::V4(_) => None,
        };
        let of_v4 = (
            keys.iter().map(|key| v4(key.src)).collect(),
            keys.iter().map(|key| v4(key.dst)).collect(),
        );
        let of_v6 = (
            keys.iter().map(|key| v6(key.src)).collect(),
            keys.iter().map(|key| v6(key.dst)).collect(),
        );
        match (of_v4, of_v6) {
            ((Some(src), Some(dst)), _) => Self::V4(src, dst),
            (_, (Some(src), Some(dst))) => Self::V6(src, dst),
            _ => Self::OfKeys,
        }
    }
}
