//! Remote Desktop: the X.224 connection (MS-RDPBCGR §2.2.1.1), then usually TLS.

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, Probe, Role, Step};
use crate::reader::u16_at;
use crate::record::Record;

const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;

/// Longest X.224 connection packet: the header, a routing token or cookie, the negotiation.
const PACKET_BYTES: usize = 512;

/// Recognises TPKT and X.224 with a Remote Desktop cookie or negotiation, or on its port; other
/// users of TPKT (telephony, controllers) have neither.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    let valid_start = own.first().is_none_or(|byte| *byte == 3)
        && own.get(1).is_none_or(|byte| *byte == 0)
        && own.get(5).is_none_or(|kind| matches!(*kind, CONNECTION_REQUEST | CONNECTION_CONFIRM));
    let length = u16_at(own, 2).map(usize::from);
    if !valid_start || length.is_some_and(|length| !(11..=PACKET_BYTES).contains(&length)) {
        return Probe::No;
    }
    let Some(packet) = length.and_then(|length| own.get(..length)) else { return Probe::Maybe };
    let body = packet.get(11..).unwrap_or_default();
    let negotiation = body.len().checked_sub(8).and_then(|at| body.get(at..));
    let negotiates = matches!(negotiation, Some([1..=3, _, 8, 0, ..]));
    let has_cookie = body.starts_with(b"Cookie: mstshash=") || body.starts_with(b"Cookie: msts=");
    let on_port = context.uses_port(3389);
    let client = packet.get(5) == Some(&CONNECTION_REQUEST);
    let role = if client { Probe::Client } else { Probe::Server };
    Probe::when(negotiates || has_cookie || on_port, role)
}

/// Waits for the server's choice of security.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Rdp {
    requested: bool,
}

impl Rdp {
    pub(crate) fn start() -> Decoder {
        Decoder::Rdp(Self::default())
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        if role == Role::Client && self.requested {
            return Step::Used(0);
        }
        let Some(length) = u16_at(bytes, 2).map(usize::from) else { return Step::Used(0) };
        if length < 5 {
            return Step::Done;
        }
        let Some(packet) = bytes.get(..length) else { return Step::Used(0) };
        if role == Role::Client {
            self.requested = true;
            return Step::Used(length);
        }
        // A negotiation response that selects anything but plain RDP starts TLS.
        match packet.len().checked_sub(8).and_then(|at| packet.get(at..)) {
            Some([2, _, 8, 0, selected, ..]) if selected & 0x0b != 0 => {
                record.secure();
                Step::Switch(length, Tls::start_secured())
            }
            _ => Step::Done,
        }
    }
}
