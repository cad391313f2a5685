//! Messaging, chat, news and peer-to-peer.

use super::{Context, FirstLine, Probe};
use crate::reader::{line, starts_with_ignore_case};

/// MQTT: a CONNECT packet with its protocol name (MQTT 3.1.1 §3.1).
pub(crate) fn probe_mqtt(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.first().is_some_and(|kind| *kind != 0x10) {
        return Probe::No;
    }
    let Some(size) = own.iter().skip(1).take(4).position(|byte| byte & 0x80 == 0) else {
        return Probe::when(own.len() < 5, Probe::Maybe);
    };
    match own.get(2 + size..2 + size + 6) {
        Some([0, 4, b'M', b'Q', b'T', b'T'] | [0, 6, b'M', b'Q', b'I', b's']) => Probe::Client,
        Some(_) => Probe::No,
        None => Probe::Maybe,
    }
}

/// AMQP: the protocol header, which both sides may send (AMQP 0-9-1 §4.2.2, 1.0 §2.2).
pub(crate) fn probe_amqp(context: &Context<'_>) -> Probe {
    match context.own.get(..5) {
        Some([b'A', b'M', b'Q', b'P', 0..=3]) => Probe::Client,
        Some(_) => Probe::No,
        None => Probe::Maybe,
    }
}

/// BitTorrent's handshake over TCP (BEP 3).
pub(crate) fn probe_bittorrent(context: &Context<'_>) -> Probe {
    if context.own.len() < 20 { Probe::Maybe } else { Probe::Either }
}

/// BitTorrent's distributed hash table over UDP (BEP 5): a bencoded query or answer.
pub(crate) fn probe_bittorrent_dht(context: &Context<'_>) -> Probe {
    let own = context.own;
    let marks: [&[u8]; 4] = [b"d1:ad2:id20:", b"d1:rd2:id20:", b"d2:ip", b"d1:eli20"];
    let known = marks.iter().any(|mark| own.starts_with(mark)) && own.ends_with(b"e");
    Probe::when(known, Probe::Either)
}

/// IRC: a registration by the client, or the server's notice before it (RFC 2812 §3.1).
pub(crate) fn probe_irc(context: &Context<'_>) -> Probe {
    let own = context.own;
    let (first, rest) = match FirstLine::of(own) {
        FirstLine::Whole(first, rest) => (first, rest),
        FirstLine::Begun => return Probe::Maybe,
        FirstLine::NotText => return Probe::No,
    };
    if starts_with_ignore_case(first, b"NICK ") || starts_with_ignore_case(first, b"CAP LS") {
        return Probe::Client;
    }
    if starts_with_ignore_case(first, b"NOTICE AUTH ") || first.starts_with(b":") {
        let words = first.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let reply = matches!(words, b"NOTICE" | b"AUTH" | b"001" | b"020");
        return Probe::when(reply, Probe::Server);
    }
    let user = starts_with_ignore_case(first, b"USER ") || starts_with_ignore_case(first, b"PASS ");
    if !user {
        return Probe::No;
    }
    match line(rest) {
        Some((second, _)) => Probe::when(starts_with_ignore_case(second, b"NICK "), Probe::Client),
        None => Probe::when(context.uses_port(6667), Probe::Maybe),
    }
}

/// XMPP: the opening of a stream (RFC 6120 §4.2).
pub(crate) fn probe_xmpp(context: &Context<'_>) -> Probe {
    const WINDOW: usize = 512;
    let window = context.own.get(..context.own.len().min(WINDOW)).unwrap_or_default();
    if memchr::memmem::find(window, b"<stream:stream").is_some() {
        return if context.own_port == 5222 { Probe::Server } else { Probe::Client };
    }
    Probe::when(window.len() < WINDOW, Probe::Maybe)
}

/// NNTP: a server's greeting (RFC 3977 §5.1) that names news, or stands on the news port.
pub(crate) fn probe_nntp(context: &Context<'_>) -> Probe {
    let first = match FirstLine::whole(context.own) {
        Ok(first) => first,
        Err(verdict) => return verdict,
    };
    let names_news =
        [&b"NNTP"[..], b"News"].iter().any(|word| crate::reader::contains_ignore_case(first, word));
    Probe::when(names_news || context.own_port == 119, Probe::Server)
}
