//! PostgreSQL's frontend protocol (PostgreSQL documentation, "Message Formats").

use serde::{Deserialize, Serialize};

use super::tls::Tls;
use super::{Context, Decoder, Probe, Role, Step};
use crate::reader::u32_at;
use crate::record::Record;

const SSL_REQUEST: u32 = 80_877_103;
const CANCEL_REQUEST: u32 = 80_877_102;
const GSSENC_REQUEST: u32 = 80_877_104;

/// Longest startup message the server accepts.
const STARTUP_BYTES: u32 = 10_000;

/// Recognises the first message by its length and request code.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    let Some(length) = u32_at(own, 0) else {
        return Probe::when(own.iter().take(2).all(|byte| *byte == 0), Probe::Maybe);
    };
    if !(8..=STARTUP_BYTES).contains(&length) {
        return Probe::No;
    }
    let Some(code) = u32_at(own, 4) else { return Probe::Maybe };
    let known = match code {
        SSL_REQUEST | GSSENC_REQUEST => length == 8,
        CANCEL_REQUEST => (12..=268).contains(&length),
        0x0002_0000 => length == 296,
        // Version 3 with its few minor numbers, then the first parameter's name.
        _ if code >> 16 == 3 && code & 0xffff <= 2 => {
            let Some(first) = own.get(8) else { return Probe::Maybe };
            first.is_ascii_lowercase() || *first == b'_'
        }
        _ => false,
    };
    Probe::when(known, Probe::Client)
}

/// Waits for the answer to a request for encryption.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Postgresql {
    asked: Option<u32>,
}

impl Postgresql {
    pub(crate) fn start() -> Decoder {
        Decoder::Postgresql(Self::default())
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        match (role, self.asked) {
            (Role::Client, None) => {
                let (Some(_), Some(code)) = (u32_at(bytes, 0), u32_at(bytes, 4)) else {
                    return Step::Used(0);
                };
                if !matches!(code, SSL_REQUEST | GSSENC_REQUEST) {
                    return Step::Done;
                }
                self.asked = Some(code);
                Step::Used(8)
            }
            (Role::Server, Some(code)) => {
                self.asked = None;
                match (bytes.first(), code) {
                    (Some(b'S'), SSL_REQUEST) => {
                        record.secure();
                        Step::Switch(1, Tls::start_secured())
                    }
                    (Some(b'N'), _) => Step::Used(1),
                    _ => Step::Done,
                }
            }
            // The client waits for the answer, and the server for the request.
            _ => Step::Used(0),
        }
    }
}
