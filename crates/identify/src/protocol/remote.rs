//! Remote access and transfer tools that open with a fixed text or option.

use super::{Context, Probe};
use crate::reader::{is_printable, line, u32_at};

/// SSH's identification string (RFC 4253 §4.2); a server may send other lines before it.
pub(crate) fn probe_ssh(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own.get(..6) {
        Some(b"SSH-1." | b"SSH-2.") => match (context.own_port, context.other_port) {
            (22, _) => Probe::Server,
            (_, 22) => Probe::Client,
            _ => Probe::Either,
        },
        Some(_) => Probe::No,
        None => Probe::Maybe,
    }
}

/// Telnet: option negotiation as the first bytes (RFC 854).
pub(crate) fn probe_telnet(context: &Context<'_>) -> Probe {
    match context.own {
        [0xff, 0xfa..=0xfe, _, ..] => match (context.own_port, context.other_port) {
            (_, 23) => Probe::Client,
            _ => Probe::Server,
        },
        [0xff] | [0xff, 0xfa..=0xfe] => Probe::Maybe,
        _ => Probe::No,
    }
}

/// VNC: the protocol version that both sides send (RFC 6143 §7.1.1).
pub(crate) fn probe_vnc(context: &Context<'_>) -> Probe {
    match context.own.get(..7) {
        Some(version) => {
            let known =
                version.starts_with(b"RFB ") && version.iter().skip(4).all(u8::is_ascii_digit);
            Probe::when(known, if context.other.is_empty() { Probe::Server } else { Probe::Client })
        }
        None => Probe::Maybe,
    }
}

/// rsync's daemon greeting, which both sides send.
pub(crate) fn probe_rsync(context: &Context<'_>) -> Probe {
    if context.own.len() < 9 { Probe::Maybe } else { Probe::Either }
}

/// Git's own transport: a packet line that asks for a service.
pub(crate) fn probe_git(context: &Context<'_>) -> Probe {
    let own = context.own;
    if !own.iter().take(4).all(u8::is_ascii_hexdigit) {
        return Probe::No;
    }
    let Some(command) = own.get(4..12) else {
        let begun = own.get(4..8.min(own.len())).unwrap_or_default();
        return Probe::when(b"git-".starts_with(begun), Probe::Maybe);
    };
    Probe::when(command == b"git-uplo" || command == b"git-rece", Probe::Client)
}

/// RTMP: version 3 and the first handshake block (Adobe RTMP 1.0 §5.2).
pub(crate) fn probe_rtmp(context: &Context<'_>) -> Probe {
    match context.own {
        [] | [3] => Probe::Maybe,
        // Each side sends 1 + 1,536 bytes at least; the second field of a client is zero.
        [3, ..] if context.own.len() >= 1537 => {
            let zero = u32_at(context.own, 5) == Some(0);
            Probe::when(zero || context.uses_port(1935), Probe::Client)
        }
        [3, ..] if context.uses_port(1935) => Probe::Maybe,
        _ => Probe::No,
    }
}

/// Whois: one short printable line to port 43 (RFC 3912).
pub(crate) fn probe_whois(context: &Context<'_>) -> Probe {
    if context.other_port != 43 {
        return Probe::No;
    }
    match line(context.own) {
        Some((query, _)) => Probe::when(
            !query.is_empty() && query.len() < 256 && is_printable(query),
            Probe::Client,
        ),
        None => Probe::when(context.own.len() < 256, Probe::Maybe),
    }
}
