//! Directory and file services: LDAP (RFC 4511), Kerberos (RFC 4120), SMB, NetBIOS, Sun RPC, NFS.

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, Probe, Role, Step};
use crate::reader::{Reader, u16_at, u32_at};
use crate::record::Record;

/// Object identifier of the StartTLS operation (RFC 4511 §4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// A BER element's tag, and how many bytes its tag and length take, and its content's length.
fn ber(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return Some((tag, 2, first.into()));
    }
    let count = usize::from(first & 0x7f);
    let digits = rest.get(..count).filter(|_| (1..=4).contains(&count))?;
    let length = digits.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    Some((tag, 2 + count, length))
}

/// Recognises an LDAP message: a sequence of message number and operation. The same over UDP is
/// CLDAP.
pub(crate) fn probe_ldap(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.first().is_some_and(|tag| *tag != 0x30) {
        return Probe::No;
    }
    if matches!(own.get(1), Some(0..=6 | 0x80 | 0x85..)) {
        return Probe::No;
    }
    let Some((_, head, _)) = ber(own) else { return Probe::Maybe };
    let message = own.get(head..).unwrap_or_default();
    let Some(&[tag, size]) = message.get(..2) else {
        return Probe::when(message.first().is_none_or(|tag| *tag == 2), Probe::Maybe);
    };
    if tag != 2 || !(1..=4).contains(&size) {
        return Probe::No;
    }
    match message.get(2 + usize::from(size)) {
        None => Probe::Maybe,
        Some(0x42 | 0x4a | 0x50 | 0x60 | 0x63 | 0x66 | 0x68 | 0x6c | 0x6e | 0x77) => Probe::Client,
        Some(0x61 | 0x64 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x73 | 0x78) => Probe::Server,
        Some(_) => Probe::No,
    }
}

/// Waits for StartTLS as the first operation.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Ldap {
    asked: bool,
}

impl Ldap {
    pub(crate) fn start() -> Decoder {
        Decoder::Ldap(Self::default())
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        if (role == Role::Client) == self.asked {
            return Step::Used(0);
        }
        let Some((_, head, length)) = ber(bytes) else { return Step::Used(0) };
        let Some(message) = bytes.get(head..head.saturating_add(length)) else {
            return if length > 1024 { Step::Done } else { Step::Used(0) };
        };
        if role == Role::Client {
            self.asked = memchr::memmem::find(message, START_TLS).is_some();
            return if self.asked { Step::Used(head + length) } else { Step::Done };
        }
        // The result code follows the operation's head: ENUMERATED, one byte, success.
        if memchr::memmem::find(message, b"\x0a\x01\x00").is_none() {
            return Step::Done;
        }
        record.secure();
        Step::Switch(head + length, Tls::start_secured())
    }
}

/// Kerberos over UDP: an application tag, and version 5 as the first field.
pub(crate) fn probe_kerberos(context: &Context<'_>) -> Probe {
    judge_kerberos(context.own)
}

/// Kerberos over TCP: the same, led by its length (RFC 4120 §7.2.2).
pub(crate) fn probe_kerberos_tcp(context: &Context<'_>) -> Probe {
    let own = context.own;
    if own.iter().take(2).any(|byte| *byte != 0) || own.get(4).is_some_and(|tag| tag & 0xe0 != 0x60)
    {
        return Probe::No;
    }
    match own.get(4..40.min(own.len())) {
        Some(message) if message.len() >= 24 => judge_kerberos(message),
        _ => Probe::Maybe,
    }
}

fn judge_kerberos(message: &[u8]) -> Probe {
    let Some((tag, head, _)) = ber(message) else { return Probe::No };
    let body = message.get(head..).unwrap_or_default();
    let Some((sequence, inner, _)) = ber(body) else { return Probe::No };
    let fields = body.get(inner..).unwrap_or_default();
    // Requests count the version from field 1, replies and tickets from field 0.
    let versioned = matches!(fields.get(..5), Some([0xa0 | 0xa1, 3, 2, 1, 5]));
    match tag {
        0x6a | 0x6c | 0x6e if versioned && sequence == 0x30 => Probe::Client,
        0x6b | 0x6d | 0x6f | 0x7e if versioned && sequence == 0x30 => Probe::Server,
        _ => Probe::No,
    }
}

/// SMB of any version, in a NetBIOS session (RFC 1002 §4.3) or directly on TCP.
pub(crate) fn probe_smb(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        // A session request or its positive answer comes first on port 139.
        [0x81, 0, 0, 0x44, 0x20, ..] => return judge_smb(own.get(72..).unwrap_or_default()),
        [0x82, 0, 0, 0, rest @ ..] => return judge_smb(rest),
        [0x81, ..] if own.len() < 5 => return Probe::Maybe,
        [0x82, ..] if own.len() < 4 => return Probe::Maybe,
        _ => {}
    }
    judge_smb(own)
}

fn judge_smb(own: &[u8]) -> Probe {
    if own.first().is_some_and(|kind| *kind != 0) {
        return Probe::No;
    }
    let Some(magic) = own.get(4..8) else {
        return Probe::when(own.get(4).is_none_or(|byte| *byte >= 0xfc), Probe::Maybe);
    };
    let reply = match magic {
        b"\xffSMB" => own.get(13).map(|flags| flags & 0x80),
        b"\xfeSMB" => own.get(20).map(|flags| flags & 1),
        b"\xfdSMB" | b"\xfcSMB" => return Probe::Either,
        _ => return Probe::No,
    };
    match reply {
        None => Probe::Maybe,
        Some(0) => Probe::Client,
        Some(_) => Probe::Server,
    }
}

/// NetBIOS datagrams (RFC 1002 §4.4).
pub(crate) fn probe_netbios_datagram(context: &Context<'_>) -> Probe {
    let known = matches!(context.own, [0x10..=0x16, _, _, _, _, _, _, _, _, _, ..]);
    Probe::when(known && context.uses_port(138), Probe::Either)
}

/// Sun RPC over UDP (RFC 5531 §9).
pub(crate) fn probe_sunrpc(context: &Context<'_>) -> Probe {
    judge_rpc(context.own, |program| program != NFS)
}

/// NFS over UDP: Sun RPC of program 100003 (RFC 1813 §2).
pub(crate) fn probe_nfs(context: &Context<'_>) -> Probe {
    judge_rpc(context.own, |program| program == NFS)
}

/// Sun RPC over TCP: the same after a record mark (RFC 5531 §11).
pub(crate) fn probe_sunrpc_tcp(context: &Context<'_>) -> Probe {
    judge_marked_rpc(context, |program| program != NFS)
}

/// NFS over TCP.
pub(crate) fn probe_nfs_tcp(context: &Context<'_>) -> Probe {
    judge_marked_rpc(context, |program| program == NFS)
}

const NFS: u32 = 100_003;

fn judge_marked_rpc(context: &Context<'_>, wanted: impl Fn(u32) -> bool) -> Probe {
    let own = context.own;
    if own.first().is_some_and(|mark| *mark != 0x80) {
        return Probe::No;
    }
    if own.get(8..12).is_some_and(|kind| kind != [0; 4]) {
        return Probe::No;
    }
    let Some(call) = own.get(4..24) else { return Probe::Maybe };
    judge_rpc(call, wanted)
}

/// A call states RPC version 2 and its program; a reply alone says too little.
fn judge_rpc(own: &[u8], wanted: impl Fn(u32) -> bool) -> Probe {
    let (Some(0), Some(2)) = (u32_at(own, 4), u32_at(own, 8)) else { return Probe::No };
    let (Some(program), Some(version)) = (u32_at(own, 12), u32_at(own, 16)) else {
        return Probe::No;
    };
    let known = (100_000..=100_500).contains(&program) && (1..=10).contains(&version);
    Probe::when(known && wanted(program), Probe::Client)
}

/// Apple Filing Protocol in its TCP session layer: a request's header, on its port.
pub(crate) fn probe_afp(context: &Context<'_>) -> Probe {
    let own = context.own;
    let known = match own {
        [0, command, ..] if !(1..=8).contains(command) => return Probe::No,
        [0 | 1, ..] if own.len() < 16 => return Probe::Maybe,
        [0, _, _, _, 0, 0, 0, _, ..] => {
            u32_at(own, 8).is_some_and(|length| length < 4096) && u32_at(own, 12) == Some(0)
        }
        _ => false,
    };
    Probe::when(known && context.other_port == 548, Probe::Client)
}

/// DCE/RPC over TCP: version 5, a bind, and its consistent length (C706 §12.6).
pub(crate) fn probe_dcerpc(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        [version, ..] if *version != 5 => return Probe::No,
        [_, minor, ..] if *minor > 1 => return Probe::No,
        [_, _, kind, ..] if !matches!(kind, 11 | 12 | 14 | 15) => return Probe::No,
        _ => {}
    }
    let mut reader = Reader::new(own);
    let Some(head) = reader.take(10) else { return Probe::Maybe };
    let length = u16_at(head, 8).map_or(0, u16::swap_bytes);
    let little_endian = head.get(4) == Some(&0x10);
    let valid = little_endian && (24..=8192).contains(&length);
    let is_client = head.get(2).is_some_and(|kind| matches!(kind, 11 | 14));
    Probe::when(valid, if is_client { Probe::Client } else { Probe::Server })
}
