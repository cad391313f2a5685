//! DTLS 1.0 to 1.3 (RFC 6347, RFC 9147): the ClientHello.

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use super::{Context, Decoder, Probe, Role, Step, tls};
use crate::reader::{Reader, u16_at};
use crate::record::Record;
use crate::stream::Stream;

/// Recognises a record by its header and by the record that follows it in the datagram, if any.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let &[kind @ 20..=25, major, minor, ..] = context.own else { return Probe::No };
    let version = u16::from_be_bytes([major, minor]);
    let Some(length) = u16_at(context.own, 11).map(usize::from) else { return Probe::No };
    let whole = length > 0 && context.own.len() >= 13 + length;
    if !matches!(version, 0xfeff | 0xfefd | 0xfefc | 0x0100) || !whole {
        return Probe::No;
    }
    match (kind, context.own.get(13)) {
        (22, Some(1)) => Probe::Client,
        (22, Some(0 | 2 | 3 | 11 | 12 | 14)) => Probe::Server,
        _ => Probe::Either,
    }
}

/// Whether a datagram is a DTLS record.
pub(crate) fn is_record(datagram: &[u8]) -> bool {
    let context =
        Context { own: datagram, other: &[], own_port: 0, other_port: 0, protocol: Protocol::UDP };
    probe(&context) != Probe::No
}

/// A ClientHello being put together from its fragments (RFC 6347 §4.2.3).
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Dtls {
    sequence: u16,
    hello: Stream,
    datagrams: u8,
    /// Whether either side may be the one that sends the hello.
    either: bool,
}

/// Client datagrams after which the hello is no longer waited for.
const DATAGRAMS: u8 = 16;

impl Dtls {
    pub(crate) fn start() -> Decoder {
        Decoder::Dtls(Self::default())
    }

    /// After STUN, whose client need not be that of DTLS.
    pub(crate) fn start_either() -> Decoder {
        Decoder::Dtls(Self { either: true, ..Self::default() })
    }

    pub(crate) fn wants(&self, role: Role) -> bool {
        self.either || role == Role::Client
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        if self.wants(role) {
            self.datagrams += 1;
            let mut rest = Reader::new(bytes);
            while let Some(fragment) = next_handshake(&mut rest) {
                match self.read_fragment(fragment, record) {
                    Some(true) => return Step::Done,
                    Some(false) => {}
                    None => break,
                }
            }
        }
        if self.datagrams >= DATAGRAMS { Step::Done } else { Step::Used(bytes.len()) }
    }

    /// Whether the hello is whole now; `None` when this is no hello.
    fn read_fragment(&mut self, fragment: &[u8], record: &mut Record<'_>) -> Option<bool> {
        let mut reader = Reader::new(fragment);
        if reader.u8()? != 1 {
            return None;
        }
        let length = reader.u24()?;
        let sequence = reader.u16()?;
        let (offset, size) = (reader.u24()?, reader.u24()?);
        if self.sequence != sequence {
            self.sequence = sequence;
            self.hello = Stream::default();
        }
        let body = reader.take(size)?;
        self.hello.push(offset as u64, body, record.limits, &mut |_| 0).ok()?;
        let Some(body) = self.hello.held().get(..length) else { return Some(false) };
        let mut reader = Reader::new(body);
        reader.take(34)?;
        reader.vec8()?;
        reader.vec8()?;
        tls::read_hello_tail(reader, true, record);
        Some(true)
    }
}

/// The content of the next unencrypted handshake record of a datagram.
fn next_handshake<'a>(datagram: &mut Reader<'a>) -> Option<&'a [u8]> {
    loop {
        let kind = datagram.u8()?;
        datagram.take(2)?;
        let epoch = datagram.u16()?;
        datagram.take(6)?;
        let content = datagram.vec16()?.rest();
        if kind == 22 && epoch == 0 {
            return Some(content);
        }
    }
}
