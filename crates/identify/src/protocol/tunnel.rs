//! Tunnels: IKE and IPsec over UDP, WireGuard, OpenVPN, L2TP, SOCKS.

use super::{Context, Probe};
use crate::reader::{u16_at, u32_at};

/// IKE (RFC 7296 §3.1, RFC 2408 §3.1): version 1 or 2, a known exchange, the datagram's length.
pub(crate) fn probe_ike(context: &Context<'_>) -> Probe {
    let own = context.own;
    // On port 4500 four zero bytes tell IKE from ESP (RFC 3948 §2.2).
    let message = own.strip_prefix(&[0; 4]).unwrap_or(own);
    if message.get(..8).is_none_or(|cookie| cookie == [0; 8]) {
        return Probe::No;
    }
    let known = matches!(message.get(17..19), Some([0x10, 1..=34] | [0x20, 34..=37]));
    let length = u32_at(message, 24).is_some_and(|length| {
        length >= 28 && usize::try_from(length).is_ok_and(|length| length <= message.len())
    });
    let flags = message.get(19).copied().unwrap_or_default();
    let from_initiator = message.get(8..16) == Some(&[0; 8]) || flags & 0x08 != 0;
    Probe::when(known && length, if from_initiator { Probe::Client } else { Probe::Either })
}

/// ESP in UDP (RFC 3948): a security parameter index on port 4500, or the one-byte keep-alive.
pub(crate) fn probe_ipsec_nat_t(context: &Context<'_>) -> Probe {
    let own = context.own;
    if !context.uses_port(4500) {
        return Probe::No;
    }
    match own {
        [0xff] => Probe::Maybe,
        _ => Probe::when(
            u32_at(own, 0).is_some_and(|spi| spi > 255) && own.len() >= 24,
            Probe::Maybe,
        ),
    }
}

/// WireGuard (whitepaper §5.4): message types of fixed sizes.
pub(crate) fn probe_wireguard(context: &Context<'_>) -> Probe {
    let own = context.own;
    match (own.get(..4), own.len()) {
        (Some([1, 0, 0, 0]), 148) => Probe::Client,
        (Some([2, 0, 0, 0]), 92) | (Some([3, 0, 0, 0]), 64) => Probe::Server,
        // Data: whole blocks after a 16-byte header, with a 16-byte tag.
        (Some([4, 0, 0, 0]), length) if length >= 32 && length % 16 == 0 => Probe::Maybe,
        _ => Probe::No,
    }
}

/// OpenVPN over UDP: a hard reset of either side with nothing acknowledged yet.
pub(crate) fn probe_openvpn(context: &Context<'_>) -> Probe {
    judge_openvpn(context.own, context)
}

/// OpenVPN over TCP: the same, led by its length.
pub(crate) fn probe_openvpn_tcp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(length) = u16_at(own, 0).map(usize::from) else {
        return Probe::when(own.first().is_none_or(|byte| *byte == 0), Probe::Maybe);
    };
    if !(14..=512).contains(&length) || own.get(2).is_some_and(|byte| !is_reset(*byte)) {
        return Probe::No;
    }
    match own.get(2..2 + length) {
        Some(packet) => judge_openvpn(packet, context),
        None => Probe::Maybe,
    }
}

/// Whether the opcode is a hard reset of the client (1, 7, 10) or the server (2, 8), key 0.
fn is_reset(first: u8) -> bool {
    matches!(first, 0x08 | 0x10 | 0x38 | 0x40 | 0x50)
}

fn judge_openvpn(packet: &[u8], context: &Context<'_>) -> Probe {
    let Some(&first) = packet.first().filter(|first| is_reset(**first)) else { return Probe::No };
    let is_client = !matches!(first >> 3, 2 | 8);
    let role = if is_client { Probe::Client } else { Probe::Server };
    // Opcode and session, then: nothing acknowledged, packet number 0; or one acknowledged.
    let tail = packet.get(9..).unwrap_or_default();
    let encrypted = packet.len() >= 54 && context.uses_port(1194);
    Probe::when(is_opening(tail, is_client) || is_keyed(tail, is_client) || encrypted, role)
}

fn is_opening(tail: &[u8], is_client: bool) -> bool {
    if is_client {
        return *tail == [0; 5];
    }
    tail.len() == 17 && tail.starts_with(&[1, 0, 0, 0, 0]) && tail.ends_with(&[0; 4])
}

/// With a control channel key, a digest and a replay counter that starts at 1, with its time,
/// come before.
fn is_keyed(tail: &[u8], is_client: bool) -> bool {
    const DIGESTS: [usize; 6] = [16, 20, 28, 32, 48, 64];
    DIGESTS.iter().any(|digest| {
        tail.get(*digest..digest + 4) == Some(&[0, 0, 0, 1])
            && tail.get(digest + 8..).is_some_and(|rest| is_opening(rest, is_client))
    })
}

/// L2TP (RFC 2661 §3.1): a control message with length and sequence, or data, on its port.
pub(crate) fn probe_l2tp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(flags) = u16_at(own, 0).filter(|_| context.uses_port(1701)) else { return Probe::No };
    let is_control = flags & 0xc800 == 0xc800;
    let length = u16_at(own, 2).map(usize::from);
    let fits = !is_control || length.is_some_and(|length| (12..=own.len()).contains(&length));
    Probe::when(flags & 0x000f == 2 && fits, Probe::Client)
}

/// SOCKS 5 (RFC 1928 §3) by greeting and answer; SOCKS 4 by a whole request.
pub(crate) fn probe_socks(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        [5, count @ 1..=8, methods @ ..] if methods.len() >= usize::from(*count) => {
            let offered = methods.get(..usize::from(*count)).unwrap_or_default();
            let plausible = offered.iter().all(|method| matches!(method, 0..=9 | 0x80..=0xfe));
            match context.other {
                [5, 0 | 1 | 2 | 0x80, ..] => Probe::when(plausible, Probe::Client),
                [] | [5] => Probe::when(plausible, Probe::Maybe),
                _ => Probe::No,
            }
        }
        [4, 1 | 2, _, _, _, _, _, _, user @ ..] => {
            let user = user.get(..user.len().min(64)).unwrap_or_default();
            match memchr::memchr(0, user) {
                Some(end) => {
                    let name = user.get(..end).unwrap_or_default();
                    Probe::when(crate::reader::is_printable(name), Probe::Client)
                }
                None => Probe::when(user.len() < 64, Probe::Maybe),
            }
        }
        [] | [5] | [5, 1..=8] => Probe::Maybe,
        [5, 1..=8, ..] | [4, 1 | 2, ..] | [4] if own.len() < 10 => Probe::Maybe,
        _ => Probe::No,
    }
}
