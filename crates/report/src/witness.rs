//! One packet of a region.

use parefeu_equivalence::Witness;
use parefeu_net::FiveTuple;

/// The packet as a flow: `tcp 192.0.2.1:49152 > 198.51.100.10:443`.
pub(crate) fn flow(witness: &Witness) -> String {
    let Witness { src, dst, protocol, ports, icmp, .. } = witness;
    let (src_port, dst_port) = ports.unwrap_or_default();
    let tuple = FiveTuple { src: *src, dst: *dst, src_port, dst_port, protocol: *protocol };
    match icmp {
        Some((kind, code)) => format!("{tuple} type {kind}/{code}"),
        None => tuple.to_string(),
    }
}
