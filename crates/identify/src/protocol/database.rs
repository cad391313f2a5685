//! Databases and their caches: MySQL, Redis, MongoDB, Cassandra, Microsoft SQL Server, Oracle.

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, Probe, Role, Step};
use crate::reader::{Reader, contains_ignore_case, is_printable, line, u16_at, u32_at};
use crate::record::Record;

/// Longest first packet waited for; every one of these is far shorter.
const PACKET_BYTES: usize = 4096;

/// Recognises MySQL by the server's greeting (MySQL Internals, "Protocol::HandshakeV10").
pub(crate) fn probe_mysql(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        [_, _, third, ..] if *third != 0 => return Probe::No,
        [_, _, _, sequence, ..] if *sequence != 0 => return Probe::No,
        [_, _, _, _, version, ..] if *version != 10 => return Probe::No,
        _ => {}
    }
    let mut reader = Reader::new(own);
    let Some(head) = reader.take(5) else { return Probe::Maybe };
    let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
    let text = reader.rest();
    let window = text.get(..text.len().min(64)).unwrap_or_default();
    match memchr::memchr(0, window) {
        Some(end) => {
            let version = window.get(..end).unwrap_or_default();
            let valid = end > 0 && is_printable(version) && (end + 14..=1024).contains(&length);
            Probe::when(valid, Probe::Server)
        }
        None => Probe::when(window.len() < 64 && is_printable(window), Probe::Maybe),
    }
}

/// Waits for the client's choice between plain text and TLS.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Mysql;

impl Mysql {
    pub(crate) fn start() -> Decoder {
        Decoder::Mysql(Self)
    }

    #[expect(clippy::unused_self, reason = "all decoders are fed alike")]
    pub(crate) fn feed(&self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        let Some((head, body)) = bytes.split_at_checked(4) else { return Step::Used(0) };
        let length = usize::from(u16::from_le_bytes([head[0], head[1]]));
        if role == Role::Server {
            // Passes over the greeting, so that a server's TLS starts at its first record.
            return if body.len() < length { Step::Used(0) } else { Step::Used(4 + length) };
        }
        let Some(low) = body.first_chunk::<2>() else { return Step::Used(0) };
        if length == 32 && u16::from_le_bytes(*low) & CLIENT_SSL != 0 {
            if body.len() < length {
                return Step::Used(0);
            }
            record.secure();
            return Step::Switch(4 + length, Tls::start_secured());
        }
        Step::Done
    }
}

/// The capability flag by which a client asks for TLS.
const CLIENT_SSL: u16 = 0x0800;

/// Redis serialisation protocol: an array of bulk strings.
pub(crate) fn probe_redis(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some((count, length)) = line(own) else {
        return Probe::when(
            own.len() < 12
                && own.iter().skip(1).all(|byte| byte.is_ascii_digit() || *byte == b'\r'),
            Probe::Maybe,
        );
    };
    let digits = count.strip_prefix(b"*").unwrap_or_default();
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Probe::No;
    }
    let rest = own.get(length..).unwrap_or_default();
    match rest {
        [] | [b'$'] => Probe::Maybe,
        [b'$', digit, ..] => Probe::when(digit.is_ascii_digit(), Probe::Client),
        _ => Probe::No,
    }
}

/// MongoDB wire protocol: the four little-endian numbers of its header.
pub(crate) fn probe_mongodb(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.get(13).is_some_and(|byte| !matches!(byte, 0x00 | 0x03 | 0x07)) {
        return Probe::No;
    }
    let mut reader = Reader::new(own);
    let fields = (reader.u32_le(), reader.u32_le(), reader.u32_le(), reader.u32_le());
    let (Some(length), Some(_), Some(answers), Some(opcode)) = fields else {
        return Probe::when(context.uses_port(27017), Probe::Maybe);
    };
    if !(26..=48_000_000).contains(&length) {
        return Probe::No;
    }
    match opcode {
        2004 | 2010 | 2012 | 2013 if answers == 0 => Probe::Client,
        1 | 2011..=2013 => Probe::Server,
        _ => Probe::No,
    }
}

/// Cassandra's native protocol: OPTIONS or STARTUP from the client.
pub(crate) fn probe_cassandra(context: &Context<'_>) -> Probe {
    match context.own {
        [3..=5, 0..=0x1f, _, _, 5, 0, 0, 0, 0, ..] => Probe::Client,
        [3..=5, 0..=0x1f, _, _, 1, 0, 0, 0, 4..=255, rest @ ..] => {
            let expected = b"\x00\x0bCQL_VERSION";
            match rest.get(2..2 + expected.len()) {
                Some(name) => Probe::when(name == expected, Probe::Client),
                None => Probe::when(rest.len() < 32, Probe::Maybe),
            }
        }
        [3..=5, rest @ ..] if rest.len() < 8 => Probe::Maybe,
        _ => Probe::No,
    }
}

/// Tabular Data Stream: the client's PRELOGIN packet (MS-TDS §2.2.6.5), or a batch or procedure
/// call of a session under way, by the transaction header that leads it (§2.2.5.3.2).
pub(crate) fn probe_mssql(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        [] | [0x12 | 1 | 3] => return Probe::Maybe,
        [0x12, 1, ..] => {}
        [1 | 3, 0..=0x1f, ..] => {
            let Some(headers) = own.get(6..18) else { return Probe::Maybe };
            let transacts = matches!(headers, [_, 0, 0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0]);
            // Before version 7.2 nothing leads a batch but the packet header.
            let plain = context.other_port == 1433 && headers.starts_with(&[1, 0]);
            return Probe::when(transacts || plain, Probe::Client);
        }
        _ => return Probe::No,
    }
    let (Some(length), Some(option)) = (u16_at(own, 2), own.get(8..13)) else {
        return Probe::Maybe;
    };
    // The first option is the version; the offsets begin after the option list.
    let valid = (20..=PACKET_BYTES).contains(&usize::from(length))
        && matches!(option, [0, 0, 6..=64, 0, 6])
        && own.get(4..6) == Some(&[0, 0]);
    Probe::when(valid, Probe::Client)
}

/// Oracle's transparent network substrate: a CONNECT packet and its descriptor.
pub(crate) fn probe_oracle(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(length) = u16_at(own, 0).map(usize::from) else { return Probe::Maybe };
    let head_matches = matches!(own.get(2..4), None | Some([0, 0]))
        && own.get(4).is_none_or(|kind| *kind == 1)
        && own.get(5).is_none_or(|reserved| *reserved == 0)
        && own.get(8).is_none_or(|version| *version == 1);
    if !head_matches || !(58..=PACKET_BYTES).contains(&length) {
        return Probe::No;
    }
    let Some(packet) = own.get(..length) else { return Probe::Maybe };
    Probe::when(contains_ignore_case(packet, b"(CONNECT_DATA"), Probe::Client)
}

/// Kafka: the client's first request names a known API, and itself in printable letters.
pub(crate) fn probe_kafka(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(size) = u32_at(own, 0) else {
        return Probe::when(own.iter().take(2).all(|byte| *byte == 0), Probe::Maybe);
    };
    let header = (u16_at(own, 4), u16_at(own, 6), u16_at(own, 12));
    if !(14..=1 << 20).contains(&size)
        || header.0.is_some_and(|api| api > 90)
        || header.1.is_some_and(|version| version > 20)
    {
        return Probe::No;
    }
    let (Some(_), Some(_), Some(name)) = header else { return Probe::Maybe };
    let name = usize::from(name);
    if !(3..=128).contains(&name) || name + 10 > size as usize {
        return Probe::No;
    }
    match own.get(14..14 + name) {
        Some(client) => Probe::when(is_printable(client), Probe::Client),
        None => Probe::when(is_printable(own.get(14..).unwrap_or_default()), Probe::Maybe),
    }
}
