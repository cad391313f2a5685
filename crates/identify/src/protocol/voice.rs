//! Voice and media signalling: RTSP, STUN, SSDP.

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use super::dtls::{self, Dtls};
use super::{Context, Decoder, FirstLine, Probe, Step};
use crate::Application;
use crate::reader::{u16_at, u32_at};
use crate::record::Record;

/// RTSP (RFC 7826 §20): a request or status line.
pub(crate) fn probe_rtsp(context: &Context<'_>) -> Probe {
    judge_line(context, b"RTSP/1.0")
}

pub(super) fn judge_line(context: &Context<'_>, version: &[u8]) -> Probe {
    let own = context.own;
    let shared = own.len().min(version.len());
    if own.get(..shared) == version.get(..shared) {
        return if shared == version.len() { Probe::Server } else { Probe::Maybe };
    }
    match FirstLine::request(own) {
        Ok(first) => Probe::when(first.ends_with(version), Probe::Client),
        Err(Probe::Maybe) if context.protocol == Protocol::UDP => Probe::No,
        Err(verdict) => verdict,
    }
}

/// The magic cookie of STUN (RFC 8489 §5).
const COOKIE: u32 = 0x2112_a442;

/// STUN and TURN over UDP: the cookie and a consistent length.
pub(crate) fn probe_stun(context: &Context<'_>) -> Probe {
    judge_stun(context.own, true)
}

/// STUN over TCP.
pub(crate) fn probe_stun_tcp(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.first().is_some_and(|first| *first > 0x3f) {
        return Probe::No;
    }
    if own.len() < 20 {
        let seen = own.get(4..8).is_none_or(|cookie| *cookie == COOKIE.to_be_bytes());
        return Probe::when(seen, Probe::Maybe);
    }
    judge_stun(own, false)
}

fn judge_stun(own: &[u8], whole: bool) -> Probe {
    let fields = (u16_at(own, 0), u16_at(own, 2), u32_at(own, 4));
    let (Some(kind), Some(length), Some(COOKIE)) = fields else { return Probe::No };
    let fits = !whole || own.len() >= 20 + usize::from(length);
    if kind & 0xc000 != 0 || length % 4 != 0 || !fits {
        return Probe::No;
    }
    // The class is two bits apart: requests and indications come from the client.
    if kind & 0x0100 == 0 { Probe::Client } else { Probe::Server }
}

/// A STUN exchange over UDP, which often makes way for DTLS on the same ports (RFC 7983).
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Stun {
    datagrams: u8,
}

/// Datagrams after which nothing else is expected to follow.
const DATAGRAMS: u8 = 64;

impl Stun {
    pub(crate) fn start() -> Decoder {
        Decoder::Stun(Self::default())
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], record: &mut Record<'_>) -> Step {
        self.datagrams += 1;
        if dtls::is_record(bytes) {
            record.enter(Application::DTLS);
            return Step::Switch(0, Dtls::start_either());
        }
        if self.datagrams >= DATAGRAMS { Step::Done } else { Step::Used(bytes.len()) }
    }
}

/// SSDP: HTTP's form over multicast UDP (UPnP Device Architecture §1.2).
pub(crate) fn probe_ssdp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let known = own.starts_with(b"M-SEARCH * HTTP/1.1") || own.starts_with(b"NOTIFY * HTTP/1.1");
    if known {
        return Probe::Client;
    }
    Probe::when(own.starts_with(b"HTTP/1.1 200") && context.own_port == 1900, Probe::Server)
}
