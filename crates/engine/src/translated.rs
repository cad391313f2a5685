//! Packets of sessions that are translated, and of errors about them.

use parefeu_net::{Direction, FiveTuple, IcmpMessage, Packet, Protocol, Quoted};
use parefeu_session::Session;

/// The flow of a session's packet as it arrives, and as it leaves.
pub(crate) fn way(
    (original, reply): (FiveTuple, FiveTuple),
    direction: Direction,
) -> [FiveTuple; 2] {
    match direction {
        Direction::Original => [original, reply.reverse()],
        Direction::Reply => [reply, original.reverse()],
    }
}

/// The flow of a packet as it leaves, when the session translates it.
pub(crate) fn translated(flows: (FiveTuple, FiveTuple), direction: Direction) -> Option<FiveTuple> {
    let [arrives, leaves] = way(flows, direction);
    (arrives != leaves).then_some(leaves)
}

/// The flow of an ICMP error about a translated session, as it leaves: to the sender of what it
/// quotes, and from where that session's packets come where their sources are translated, be the
/// error a router's or the host's own (Linux, `nf_nat_icmp_reply_translation`, from memory).
pub(crate) fn error_translated<T>(
    session: &Session<T>,
    direction: Direction,
    packet: &Packet<'_>,
) -> Option<FiveTuple> {
    let (arrives, leaves) = match direction {
        Direction::Original => (session.original, session.translated()),
        Direction::Reply => (session.reply, session.original.reverse()),
    };
    let flow = packet.five_tuple()?;
    let src = if arrives.src == leaves.src { flow.src } else { leaves.src };
    let protocol = if leaves.dst.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
    Some(FiveTuple { src, dst: leaves.dst, protocol, ..flow })
}

/// Whether an error message about a translated session can be translated with it: the quote has to
/// hold eight bytes of GRE or of a transport with ports or an identifier, and nobody is redirected
/// to an address he does not know (`docs/semantics.md` S5.8).
pub(crate) fn is_translatable(message: &IcmpMessage<'_>, quoted: &Quoted) -> bool {
    let protocol = quoted.flow.protocol;
    let is_read = protocol.has_ports() || protocol.is_icmp() || protocol == Protocol::GRE;
    let transport = if is_read { 8 } else { 0 };
    let is_v4 = quoted.flow.src.is_ipv4();
    let length = message.payload.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    let header = if is_v4 { length } else { 40 };
    message.payload.len() >= header + transport && !(is_v4 && message.kind == 5)
}
