//! QUIC Initial packets (RFC 9000, RFC 9001; version 2, RFC 9369): the ClientHello within.
//!
//! The keys of Initial packets follow from the client's first connection ID, so anyone on the path
//! can read them; the authentication tag proves that the packet is what it seems. Drafts 22 to 34
//! and Google's versions, which old clients still speak, are read as well.

use aes::cipher::BlockCipherEncrypt as _;
use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::{Context, Decoder, Probe, Role, Step, tls};
use crate::LimitReached;
use crate::reader::{Reader, u32_at};
use crate::record::Record;
use crate::stream::Stream;

const V2: u32 = 0x6b33_43cf;

/// Recognises a long header with a known version and a consistent length (RFC 9000 §17.2), and
/// the public header of Google's older versions.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    let own = context.own;
    if Initial::parse(own).is_some_and(|initial| salt(initial.version).is_some()) {
        return match (context.own_port, context.other_port) {
            (443, _) => Probe::Server,
            (_, 443) => Probe::Client,
            _ => Probe::Either,
        };
    }
    if google_hello(own).is_some() {
        return Probe::Client;
    }
    let long_header = own.first().is_some_and(|first| first & 0xc0 == 0xc0);
    let known = u32_at(own, 1).is_some_and(|version| {
        salt(version).is_some() || matches!(&version.to_be_bytes(), [b'Q', b'0', b'4', _])
    });
    let lengths_fit = own.get(5).is_some_and(|length| *length <= 20);
    if long_header && known && lengths_fit {
        return Probe::Either;
    }
    Probe::when(is_google_public(own), Probe::Either)
}

/// The CRYPTO stream of a client's Initial packets.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Quic {
    keys: Option<Keys>,
    crypto: Stream,
    datagrams: u8,
}

/// Client datagrams after which the hello is no longer waited for.
const DATAGRAMS: u8 = 32;

impl Quic {
    pub(crate) fn start() -> Decoder {
        Decoder::Quic(Box::default())
    }

    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        if role == Role::Server {
            return Step::Used(bytes.len());
        }
        self.datagrams += 1;
        if let Some(hello) = google_hello(bytes) {
            read_google_hello(hello, record);
            return Step::Done;
        }
        // Several packets may share a datagram (RFC 9000 §12.2).
        let mut rest = bytes;
        while let Some(initial) = Initial::parse(rest) {
            rest = initial.after;
            match self.read_initial(&initial, record) {
                Ok(true) => return Step::Done,
                Ok(false) => {}
                Err(limit) => return Step::Limit(limit),
            }
        }
        if self.datagrams >= DATAGRAMS { Step::Done } else { Step::Used(bytes.len()) }
    }

    /// Whether the hello was read.
    fn read_initial(
        &mut self,
        initial: &Initial<'_>,
        record: &mut Record<'_>,
    ) -> Result<bool, LimitReached> {
        let plain = match self.keys.as_ref().and_then(|keys| keys.open(initial)) {
            Some(plain) => plain,
            // After a Retry the client starts again under another connection ID.
            None => match Keys::derive(initial.version, initial.destination) {
                Some(keys) => {
                    let Some(plain) = keys.open(initial) else { return Ok(false) };
                    self.keys = Some(keys);
                    self.crypto = Stream::default();
                    plain
                }
                None => return Ok(false),
            },
        };
        if initial.version.to_be_bytes() == *b"Q050" {
            let Some(hello) = find_google_hello(&plain) else { return Ok(false) };
            read_google_hello(hello, record);
            return Ok(true);
        }
        let mut frames = Reader::new(&plain);
        while let Some((offset, data)) = next_crypto(&mut frames) {
            self.crypto.push(offset, data, record.limits, &mut |_| 0)?;
        }
        Ok(read_crypto(self.crypto.held(), record))
    }
}

/// Reads the hello at the start of a CRYPTO stream; `false` while it is not whole.
fn read_crypto(bytes: &[u8], record: &mut Record<'_>) -> bool {
    let mut reader = Reader::new(bytes);
    let (Some(kind), Some(length)) = (reader.u8(), reader.u24()) else { return false };
    if kind != 1 {
        return true;
    }
    let Some(body) = reader.take(length) else { return false };
    tls::read_client_hello(body, true, record);
    true
}

/// The next CRYPTO frame among the frames an Initial may hold (RFC 9000 §12.4).
fn next_crypto<'a>(frames: &mut Reader<'a>) -> Option<(u64, &'a [u8])> {
    loop {
        match frames.u8()? {
            0 | 1 => {}
            kind @ (2 | 3) => {
                frames.varint()?;
                frames.varint()?;
                let ranges = frames.varint()?;
                frames.varint()?;
                // Each range takes two bytes at least, so the frame's end bounds the loop.
                for _ in 0..ranges {
                    frames.varint()?;
                    frames.varint()?;
                }
                if kind == 3 {
                    for _ in 0..3 {
                        frames.varint()?;
                    }
                }
            }
            6 => {
                let offset = frames.varint()?;
                let length = frames.varint()?;
                return Some((offset, frames.take(usize::try_from(length).ok()?)?));
            }
            _ => return None,
        }
    }
}

impl Reader<'_> {
    /// A variable-length integer (RFC 9000 §16).
    fn varint(&mut self) -> Option<u64> {
        let first = self.u8()?;
        let more = (1_usize << (first >> 6)) - 1;
        let high = u64::from(first & 0x3f);
        Some(self.take(more)?.iter().fold(high, |value, byte| value << 8 | u64::from(*byte)))
    }
}

/// An Initial packet, still protected.
struct Initial<'a> {
    version: u32,
    destination: &'a [u8],
    /// Everything before the packet number.
    header: &'a [u8],
    /// Packet number and payload.
    protected: &'a [u8],
    /// What follows the packet in its datagram.
    after: &'a [u8],
}

impl<'a> Initial<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let first = reader.u8()?;
        let version = reader.u32()?;
        let initial_kind = u8::from(version == V2);
        if first & 0xc0 != 0xc0 {
            return None;
        }
        let destination = reader.vec8()?.rest();
        let source = reader.vec8()?.rest();
        if destination.len() > 20 || source.len() > 20 {
            return None;
        }
        let is_initial = (first >> 4) & 3 == initial_kind;
        if is_initial {
            let token = reader.varint()?;
            reader.take(usize::try_from(token).ok()?)?;
        }
        let length = usize::try_from(reader.varint()?).ok()?;
        let header = bytes.get(..bytes.len() - reader.rest().len())?;
        let protected = reader.take(length)?;
        let initial = Self { version, destination, header, protected, after: reader.rest() };
        Some(initial).filter(|_| is_initial)
    }
}

/// What protects a client's Initial packets (RFC 9001 §5).
#[derive(Clone, Deserialize, Serialize)]
#[serde(from = "Secrets", into = "Secrets")]
struct Keys {
    payload: Aes128Gcm,
    header: aes::Aes128,
    secrets: Secrets,
}

/// What [`Keys`] are made of.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Secrets {
    payload: [u8; 16],
    header: [u8; 16],
    iv: [u8; 12],
}

impl From<Keys> for Secrets {
    fn from(keys: Keys) -> Self {
        keys.secrets
    }
}

impl From<Secrets> for Keys {
    fn from(secrets: Secrets) -> Self {
        let payload = Aes128Gcm::new(&secrets.payload.into());
        Self { payload, header: aes::Aes128::new(&secrets.header.into()), secrets }
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    fn derive(version: u32, connection_id: &[u8]) -> Option<Self> {
        let (_, initial) = Hkdf::<Sha256>::extract(Some(salt(version)?), connection_id);
        let secret: [u8; 32] = expand_label(&initial, b"client in")?;
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let [key, iv, header]: [&[u8]; 3] = if version == V2 {
            [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"]
        } else {
            [b"quic key", b"quic iv", b"quic hp"]
        };
        let (payload, header) = (expand_label(&secret, key)?, expand_label(&secret, header)?);
        Some(Secrets { payload, header, iv: expand_label(&secret, iv)? }.into())
    }

    /// The packet's frames; `None` when the tag does not prove them.
    fn open(&self, initial: &Initial<'_>) -> Option<Vec<u8>> {
        let sample: [u8; 16] = initial.protected.get(4..20)?.try_into().ok()?;
        let mut mask = sample.into();
        self.header.encrypt_block(&mut mask);
        let mut header = initial.header.to_vec();
        let first = header.first_mut()?;
        *first ^= mask.first()? & 0x0f;
        let number_bytes = usize::from(*first & 3) + 1;
        let (number, rest) = initial.protected.split_at_checked(number_bytes)?;
        let mut nonce = self.secrets.iv;
        let tail = nonce.len() - number_bytes;
        for (at, (byte, mask)) in number.iter().zip(mask.iter().skip(1)).enumerate() {
            header.push(byte ^ mask);
            *nonce.get_mut(tail + at)? ^= byte ^ mask;
        }
        let (cipher, tag) = rest.split_at_checked(rest.len().checked_sub(16)?)?;
        let tag: [u8; 16] = tag.try_into().ok()?;
        let mut plain = cipher.to_vec();
        let buffer = plain.as_mut_slice().into();
        self.payload.decrypt_inout_detached(&nonce.into(), &header, buffer, &tag.into()).ok()?;
        Some(plain)
    }
}

/// HKDF-Expand-Label of TLS 1.3 with an empty context (RFC 8446 §7.1).
fn expand_label<const N: usize>(secret: &Hkdf<Sha256>, label: &[u8]) -> Option<[u8; N]> {
    let mut output = [0; N];
    let length = (N as u16).to_be_bytes();
    let label_length = [label.len() as u8 + 6];
    let info: [&[u8]; 5] = [&length, &label_length, b"tls13 ", label, &[0]];
    secret.expand_multi_info(&info, &mut output).ok()?;
    Some(output)
}

/// The salt of a version's Initial secrets; `None` for a version this crate cannot read.
fn salt(version: u32) -> Option<&'static [u8]> {
    Some(match version {
        1 | 0xff00_0021..=0xff00_0022 => {
            b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a"
        }
        V2 => b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9",
        0xff00_001d..=0xff00_0020 => {
            b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99"
        }
        0xff00_0017..=0xff00_001c | 0xface_b002..=0xface_b013 => {
            b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02"
        }
        0xff00_0015..=0xff00_0016 | 0xface_b001 => {
            b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a"
        }
        _ => match &version.to_be_bytes() {
            b"Q050" => {
                b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45"
            }
            b"T050" => {
                b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10"
            }
            b"T051" => {
                b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d"
            }
            _ => return None,
        },
    })
}

/// The hello in a packet of Google's versions up to Q046, which did not protect it.
fn google_hello(datagram: &[u8]) -> Option<&[u8]> {
    let version = match datagram.first()? {
        // Public header with connection ID and version.
        first if first & 0x89 == 0x09 => datagram.get(9..13)?,
        first if first & 0xc0 == 0xc0 => datagram.get(1..5)?,
        _ => return None,
    };
    let is_google = matches!(version, [b'Q', b'0', b'2'..=b'4', b'0'..=b'9']);
    if is_google { find_google_hello(datagram.get(13..)?) } else { None }
}

/// Whether this is a packet of Google's versions up to Q043 that states its version.
fn is_google_public(datagram: &[u8]) -> bool {
    let first = datagram.first().copied().unwrap_or_default();
    first & 0x89 == 0x09
        && matches!(datagram.get(9..13), Some([b'Q', b'0', b'2'..=b'4', b'0'..=b'9']))
}

fn find_google_hello(bytes: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::find(bytes, b"CHLO")?;
    bytes.get(at + 4..)
}

/// Reads the tag-value map of Google's hello: the count, then tag and end offset of each value.
fn read_google_hello(hello: &[u8], record: &mut Record<'_>) -> Option<()> {
    let mut reader = Reader::new(hello);
    let count = usize::from(u16::from_le_bytes(reader.take(2)?.try_into().ok()?));
    reader.take(2)?;
    let mut values = reader;
    values.take(count * 8)?;
    let mut start = 0;
    for _ in 0..count {
        let tag = reader.take(4)?;
        let end = usize::try_from(reader.u32_le()?).ok()?;
        if tag == b"SNI\0" {
            record.set_hostname(values.rest().get(start..end)?);
            record.set_service();
            return Some(());
        }
        start = end;
    }
    None
}

#[cfg(test)]
mod tests;
