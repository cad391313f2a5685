//! TLS 1.0 to 1.3 (RFC 8446, RFC 5246): server name, ALPN, and the server's certificate while it
//! still travels in the clear.

use serde::{Deserialize, Serialize};

use super::{Context, Decoder, Probe, Role, Step, certificate};
use crate::reader::{Reader, u16_at};
use crate::record::Record;
use crate::{Application, LimitReached};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

/// Longest record: 2^14 bytes of plaintext and 2,048 of expansion (RFC 5246 §6.2.3).
const RECORD_BYTES: usize = (1 << 14) + 2048;

/// Recognises a handshake by its first record's header and message type; records of a session
/// already under way by the header of the record that follows.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    let valid_start = match own {
        [] => true,
        [kind] | [kind, 3] | [kind, 3, 0..=4, ..] => {
            (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind)
        }
        _ => false,
    };
    if !valid_start {
        return Probe::No;
    }
    let Some(length) = u16_at(own, 3).map(usize::from) else { return Probe::Maybe };
    if length == 0 || length > RECORD_BYTES {
        return Probe::No;
    }
    if own.first() == Some(&HANDSHAKE) {
        return match own.get(5) {
            None => Probe::Maybe,
            Some(&(CLIENT_HELLO | 15 | 16)) => Probe::Client,
            Some(0 | 2 | 4 | 8 | 11 | 12 | 13 | 14 | 22) => Probe::Server,
            Some(20) => Probe::Either,
            Some(_) => Probe::No,
        };
    }
    match own.get(5 + length..) {
        Some([kind, 3, 0..=4, ..]) => {
            Probe::when((CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(kind), Probe::Either)
        }
        Some([_, _, _, ..]) => Probe::No,
        _ => Probe::Maybe,
    }
}

/// Recognises a ClientHello in the record format of SSL 2.0 (RFC 5246 appendix E.2).
pub(crate) fn probe_sslv2(context: &Context<'_>) -> Probe {
    let own = context.own;
    match own {
        [] => return Probe::Maybe,
        [first, ..] if first & 0x80 == 0 => return Probe::No,
        [_, _, kind, ..] if *kind != CLIENT_HELLO => return Probe::No,
        _ => {}
    }
    let (Some(head), Some(version)) = (u16_at(own, 0), u16_at(own, 3)) else { return Probe::Maybe };
    let fields = (u16_at(own, 5), u16_at(own, 7), u16_at(own, 9));
    let (Some(ciphers), Some(session), Some(challenge)) = fields else { return Probe::Maybe };
    let sum = 9 + u32::from(ciphers) + u32::from(session) + u32::from(challenge);
    let valid = matches!(version, 2 | 0x300..=0x303)
        && ciphers.is_multiple_of(3)
        && matches!(session, 0 | 16)
        && (16..=32).contains(&challenge)
        && u32::from(head & 0x7fff) == sum;
    Probe::when(valid, Probe::Client)
}

/// Both sides of one TLS handshake.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Tls {
    mode: Mode,
    client: Side,
    server: Side,
}

/// How TLS came to be spoken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
enum Mode {
    /// From the first byte: the server's name says which service this is.
    #[default]
    Direct,
    /// Inside a proxy's tunnel, if the tunnel carries TLS at all.
    Tunnelled,
    /// After STARTTLS or the like: the application is the one already known.
    Secured,
}

/// One side's records, reassembled into handshake messages.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Side {
    /// Bytes left of the record being read, and what it holds.
    record_left: usize,
    record_kind: u8,
    /// The handshake message that is not whole yet.
    message: Vec<u8>,
    /// Whether nothing more is to be learned from this side.
    done: bool,
}

impl Tls {
    pub(crate) fn start() -> Decoder {
        Decoder::Tls(Box::default())
    }

    /// For a client that began with an SSL 2.0 hello, which names no server.
    pub(crate) fn start_sslv2() -> Decoder {
        let client = Side { done: true, ..Side::default() };
        Decoder::Tls(Box::new(Self { client, ..Self::default() }))
    }

    pub(crate) fn start_tunnelled() -> Decoder {
        Decoder::Tls(Box::new(Self { mode: Mode::Tunnelled, ..Self::default() }))
    }

    pub(crate) fn start_secured() -> Decoder {
        Decoder::Tls(Box::new(Self { mode: Mode::Secured, ..Self::default() }))
    }

    pub(crate) fn wants(&self, role: Role) -> bool {
        match role {
            Role::Client => !self.client.done,
            Role::Server => !self.server.done,
        }
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        let mut used = 0;
        loop {
            let side = self.side(role);
            let rest = bytes.get(used..).unwrap_or_default();
            if side.done {
                return if self.is_over() { Step::Done } else { Step::Used(bytes.len()) };
            }
            if side.record_left > 0 {
                let (fragment, _) = rest.split_at(side.record_left.min(rest.len()));
                if fragment.is_empty() {
                    return Step::Used(used);
                }
                side.record_left -= fragment.len();
                used += fragment.len();
                if side.record_kind == HANDSHAKE
                    && let Some(limit) = self.read_fragment(role, fragment, record)
                {
                    return Step::Limit(limit);
                }
                continue;
            }
            let &[kind, major, minor, high, low, ..] = rest else { return Step::Used(used) };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let is_record = (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&kind)
                && major == 3
                && minor <= 4
                && length <= RECORD_BYTES;
            if !is_record {
                side.done = true;
                continue;
            }
            used += 5;
            side.record_left = length;
            side.record_kind = kind;
            // What follows is encrypted; an alert is only a warning while the handshake goes on.
            side.done = matches!(kind, CHANGE_CIPHER_SPEC | APPLICATION_DATA);
            debug_assert!(side.done || matches!(kind, ALERT | HANDSHAKE));
        }
    }

    fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    fn is_over(&self) -> bool {
        self.client.done && self.server.done
    }

    /// Adds handshake bytes and reads every message they complete.
    fn read_fragment(
        &mut self,
        role: Role,
        fragment: &[u8],
        record: &mut Record<'_>,
    ) -> Option<LimitReached> {
        let mut message = std::mem::take(&mut self.side(role).message);
        if message.is_empty() {
            let used = self.read_messages(role, fragment, record);
            message.extend_from_slice(fragment.get(used..).unwrap_or_default());
        } else {
            message.extend_from_slice(fragment);
            let used = self.read_messages(role, &message, record);
            message.drain(..used.min(message.len()));
        }
        let side = self.side(role);
        if side.done {
            return None;
        }
        side.message = message;
        (side.message.len() > record.limits.handshake_bytes).then_some(LimitReached::HandshakeBytes)
    }

    /// Reads whole messages and says how many bytes they took. A certificate list is read as soon
    /// as its first certificate is whole, which is all that is kept of it.
    fn read_messages(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> usize {
        let mut reader = Reader::new(bytes);
        loop {
            let before = reader;
            let (Some(kind), Some(length)) = (reader.u8(), reader.u24()) else {
                return bytes.len() - before.rest().len();
            };
            if kind == CERTIFICATE
                && role == Role::Server
                && let Some(leaf) = first_certificate(reader.rest())
            {
                self.read_certificate(leaf, record);
                self.server.done = true;
                return bytes.len();
            }
            let Some(body) = reader.take(length) else {
                return bytes.len() - before.rest().len();
            };
            self.read_message(role, kind, body, record);
            if self.side(role).done {
                return bytes.len();
            }
        }
    }

    fn read_message(&mut self, role: Role, kind: u8, body: &[u8], record: &mut Record<'_>) {
        match (role, kind) {
            (Role::Client, CLIENT_HELLO) => {
                self.enter(record);
                read_client_hello(body, self.mode != Mode::Secured, record);
                self.client.done = true;
            }
            (Role::Server, SERVER_HELLO) => {
                self.enter(record);
                self.server.done = read_server_hello(body, record) == Some(Certificates::Hidden);
            }
            // HelloRequest, CertificateStatus and the like come around the certificate.
            (Role::Server, 0 | 4 | 22) => {}
            _ => self.side(role).done = true,
        }
    }

    fn enter(&self, record: &mut Record<'_>) {
        if self.mode == Mode::Tunnelled {
            record.enter(Application::TLS);
        }
    }

    fn read_certificate(&self, leaf: &[u8], record: &mut Record<'_>) {
        let Some(names) = certificate::Names::parse(leaf) else { return };
        record.set_certificate(&names.issuer, &names.subject);
        if self.mode != Mode::Secured {
            record.set_service_by_common_name(&names.common_name);
        }
    }
}

/// Whether a server's certificate travels in the clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Certificates {
    Visible,
    Hidden,
}

/// The first certificate of a TLS 1.2 list, once it is whole (RFC 5246 §7.4.2). An empty list
/// gives an empty certificate.
fn first_certificate(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    if reader.u24()? == 0 {
        return Some(&[]);
    }
    let length = reader.u24()?;
    reader.take(length)
}

/// Reads a ClientHello's body (RFC 8446 §4.1.2): server name (RFC 6066 §3) and ALPN (RFC 7301).
/// With an encrypted hello, these are the outer ones.
pub(crate) fn read_client_hello(body: &[u8], names_service: bool, record: &mut Record<'_>) {
    let mut reader = Reader::new(body);
    let skipped = (reader.take(34), reader.vec8());
    if let (Some(_), Some(_)) = skipped {
        read_hello_tail(reader, names_service, record);
    }
}

/// Reads a ClientHello from its cipher suites on; DTLS has a cookie before them.
pub(crate) fn read_hello_tail(
    mut reader: Reader<'_>,
    names_service: bool,
    record: &mut Record<'_>,
) -> Option<()> {
    reader.vec16()?;
    reader.vec8()?;
    let mut extensions = reader.vec16()?;
    while let (Some(kind), Some(mut body)) = (extensions.u16(), extensions.vec16()) {
        match kind {
            0 => {
                let mut names = body.vec16()?;
                if names.u8()? == 0 {
                    record.set_hostname(names.vec16()?.rest());
                    if names_service {
                        record.set_service();
                    }
                }
            }
            16 => record.set_alpn(body.vec16()?.vec8()?.rest()),
            _ => {}
        }
    }
    Some(())
}

/// Reads a ServerHello's body: the selected ALPN, and whether the version hides certificates.
fn read_server_hello(body: &[u8], record: &mut Record<'_>) -> Option<Certificates> {
    let mut reader = Reader::new(body);
    let mut certificates = Certificates::Visible;
    reader.take(34)?;
    reader.vec8()?;
    reader.take(3)?;
    let mut extensions = reader.vec16()?;
    while let (Some(kind), Some(mut body)) = (extensions.u16(), extensions.vec16()) {
        match kind {
            // supported_versions (RFC 8446 §4.2.1), drafts included.
            43 if matches!(body.u16()?, 0x0304 | 0x7f00..=0x7fff) => {
                certificates = Certificates::Hidden;
            }
            16 => record.set_alpn(body.vec16()?.vec8()?.rest()),
            _ => {}
        }
    }
    Some(certificates)
}
