//! Services every network runs: addresses, time, management, logs, accounting, boot, routing.

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use super::{Context, Decoder, Probe, Step};
use crate::reader::{Reader, is_printable, u16_at, u32_at};
use crate::record::{Record, Sender};

/// DHCP for IPv4 (RFC 2131): the fixed header and its cookie.
pub(crate) fn probe_dhcp(context: &Context<'_>) -> Probe {
    let cookie = u32_at(context.own, 236) == Some(0x6382_5363);
    match context.own {
        [1, 1..=32, 0..=16, ..] if cookie => Probe::Client,
        [2, 1..=32, 0..=16, ..] if cookie => Probe::Server,
        _ => Probe::No,
    }
}

/// DHCP for IPv6 (RFC 8415): a known message on its ports.
pub(crate) fn probe_dhcpv6(context: &Context<'_>) -> Probe {
    let on_ports = context.uses_port(546) || context.uses_port(547);
    let known = matches!(context.own, [1..=13, _, _, _, ..]);
    Probe::when(
        on_ports && known,
        if context.own_port == 547 { Probe::Server } else { Probe::Client },
    )
}

/// NTP (RFC 5905 §7.3): version, mode and length on its port.
pub(crate) fn probe_ntp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(&first) = own.first().filter(|_| context.uses_port(123)) else { return Probe::No };
    let (version, mode) = ((first >> 3) & 7, first & 7);
    let long_enough = own.len() >= if mode >= 6 { 8 } else { 48 };
    if !(1..=4).contains(&version) || mode == 0 || !long_enough {
        return Probe::No;
    }
    if matches!(mode, 2 | 4 | 5) { Probe::Server } else { Probe::Client }
}

/// SNMP (RFC 3417 §2): a sequence of version, community or header, and a known operation.
pub(crate) fn probe_snmp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let head = match own {
        [0x30, 0..=0x7f, ..] => 2,
        [0x30, 0x81, ..] => 3,
        [0x30, 0x82, ..] => 4,
        [0x30, 0x83, ..] => 5,
        _ => return Probe::No,
    };
    let mut fields = Reader::new(own.get(head..).unwrap_or_default());
    let (Some([2, 1, version]), Some(next)) = (fields.take(3), fields.u8()) else {
        return Probe::No;
    };
    let from_agent = context.own_port == 161;
    let role = if from_agent { Probe::Server } else { Probe::Client };
    match (version, next) {
        (0 | 1, 4) => {
            let operation = fields.vec8().and_then(|_| fields.u8());
            Probe::when(operation.is_some_and(|tag| (0xa0..=0xa8).contains(&tag)), role)
        }
        (3, 0x30) => role,
        _ => Probe::No,
    }
}

/// Syslog (RFC 5424 §6.2.1, RFC 3164 §4.1.1): a priority in angle brackets, then text.
pub(crate) fn probe_syslog(context: &Context<'_>) -> Probe {
    let own = context.own;
    let digits = own.iter().skip(1).take(3).take_while(|byte| byte.is_ascii_digit()).count();
    if own.first().is_some_and(|first| *first != b'<') {
        return Probe::No;
    }
    let rest = own.get(1 + digits..).unwrap_or_default();
    let Some((&close, text)) = rest.split_first() else {
        return Probe::when(own.len() < 5, Probe::Maybe);
    };
    let priority = own.get(1..1 + digits).and_then(|word| str::from_utf8(word).ok());
    let in_range = priority.and_then(|word| word.parse::<u16>().ok()).is_some_and(|p| p <= 191);
    if close != b'>' || !in_range {
        return Probe::No;
    }
    match text.get(..4) {
        Some(begin) => {
            let readable = begin.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte >= 0x80);
            Probe::when(readable, Probe::Client)
        }
        None => Probe::Maybe,
    }
}

/// RADIUS (RFC 2865 §3): a known code, the length of the datagram, and whole attributes.
pub(crate) fn probe_radius(context: &Context<'_>) -> Probe {
    let own = context.own;
    let role = match own.first() {
        Some(1 | 4 | 12 | 40 | 43) => Probe::Client,
        Some(2 | 3 | 5 | 11 | 13 | 41 | 42 | 44 | 45) => Probe::Server,
        _ => return Probe::No,
    };
    let Some(length) = u16_at(own, 2).map(usize::from) else { return Probe::No };
    if !(20..=4096).contains(&length) || length > own.len() {
        return Probe::No;
    }
    let mut rest = own.get(20..length).unwrap_or_default();
    let mut attributes = 0;
    while let [kind, size, ..] = rest {
        if *kind == 0 || *size < 2 {
            return Probe::No;
        }
        let Some(next) = rest.get(usize::from(*size)..) else { return Probe::No };
        rest = next;
        attributes += 1;
    }
    let usual_port = [1812, 1813, 1645, 1646, 3799].iter().any(|port| context.uses_port(*port));
    Probe::when(rest.is_empty() && (attributes >= 2 || usual_port), role)
}

/// TFTP (RFC 1350 §5): a request with file name and mode.
pub(crate) fn probe_tftp(context: &Context<'_>) -> Probe {
    let Some([0, 1 | 2]) = context.own.get(..2) else { return Probe::No };
    let mut words = context.own.get(2..).unwrap_or_default().split(|byte| *byte == 0);
    let (Some(name), Some(mode)) = (words.next(), words.next()) else { return Probe::No };
    let known = [&b"octet"[..], b"netascii", b"mail"].iter().any(|m| mode.eq_ignore_ascii_case(m));
    Probe::when(known && !name.is_empty() && is_printable(name), Probe::Client)
}

/// TFTP requests: the server answers from another port to the one that asked (RFC 1350 §4).
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Tftp;

impl Tftp {
    pub(crate) const fn start() -> Decoder {
        Decoder::Tftp(Self)
    }

    pub(crate) fn feed(bytes: &[u8], record: &mut Record<'_>) -> Step {
        if let Some([0, 1 | 2]) = bytes.get(..2) {
            let Sender { address, port, .. } = record.sender;
            record.announce(Protocol::UDP, address, port);
        }
        Step::Used(bytes.len())
    }
}

/// Service location (RFC 2608 §8, RFC 2165): version, function and the datagram's length.
pub(crate) fn probe_slp(context: &Context<'_>) -> Probe {
    if !context.uses_port(427) {
        return Probe::No;
    }
    let mut reader = Reader::new(context.own);
    let (Some(version), Some(1..=12)) = (reader.u8(), reader.u8()) else { return Probe::No };
    let length = match version {
        1 => reader.u16().map(usize::from),
        2 => reader.u24(),
        _ => None,
    };
    Probe::when(length.is_some_and(|length| length <= context.own.len()), Probe::Client)
}

/// NetFlow 5 and 9 and IPFIX (RFC 3954, RFC 7011): the header and what it says of the length.
pub(crate) fn probe_netflow(context: &Context<'_>) -> Probe {
    let own = context.own;
    let (Some(version), Some(count)) = (u16_at(own, 0), u16_at(own, 2)) else { return Probe::No };
    let count = usize::from(count);
    let known = match version {
        5 => (1..=30).contains(&count) && own.len() == 24 + count * 48,
        9 => own.len() >= 24 && (1..=64).contains(&count) && usual_netflow(context),
        10 => own.len() >= 20 && own.len() == count,
        _ => false,
    };
    Probe::when(known, Probe::Client)
}

fn usual_netflow(context: &Context<'_>) -> bool {
    [2055, 9995, 9996, 4739, 6007].contains(&context.other_port)
}

/// sFlow 5: version, address family and agent.
pub(crate) fn probe_sflow(context: &Context<'_>) -> Probe {
    let own = context.own;
    let known = u32_at(own, 0) == Some(5) && matches!(u32_at(own, 4), Some(1 | 2));
    Probe::when(known && own.len() >= 28 && context.other_port == 6343, Probe::Client)
}

/// BGP (RFC 4271 §4.1): the marker, a sane length, and OPEN or whatever a session carries.
pub(crate) fn probe_bgp(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.iter().take(16).any(|byte| *byte != 0xff) {
        return Probe::No;
    }
    let (Some(length), Some(kind)) = (u16_at(own, 16), own.get(18)) else { return Probe::Maybe };
    let valid = (19..=4096).contains(&length) && (1..=5).contains(kind);
    Probe::when(valid, if context.own_port == 179 { Probe::Server } else { Probe::Client })
}

/// Diameter (RFC 6733 §3): version, length and a known command.
pub(crate) fn probe_diameter(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.first().is_some_and(|version| *version != 1)
        || own.get(4).is_some_and(|flags| flags & 0x0f != 0)
    {
        return Probe::No;
    }
    let mut reader = Reader::new(own);
    let fields = (reader.u8(), reader.u24(), reader.u8(), reader.u24());
    let (Some(_), Some(length), Some(flags), Some(command)) = fields else {
        return Probe::when(context.uses_port(3868), Probe::Maybe);
    };
    let known = matches!(command, 257 | 258 | 265 | 268 | 271..=275 | 280 | 282 | 300..=325);
    let valid = known && length % 4 == 0 && (20..=1 << 16).contains(&length);
    Probe::when(valid, if flags & 0x80 != 0 { Probe::Client } else { Probe::Server })
}
