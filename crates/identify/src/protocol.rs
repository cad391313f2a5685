//! The protocols: how each is recognised, and what each tells.

mod certificate;
mod database;
mod directory;
mod dns;
mod dtls;
mod ftp;
mod http;
mod industrial;
mod infrastructure;
mod mail;
mod messaging;
mod postgresql;
mod quic;
mod rdp;
mod remote;
mod signatures;
mod sip;
mod tls;
mod tunnel;
mod voice;

pub(crate) use signatures::{Signature, TCP, UDP};

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use crate::LimitReached;
use crate::record::Record;

/// What a signature looks at: the bytes of one side, from the start of its stream or datagram.
pub(crate) struct Context<'a> {
    /// The bytes of the side being judged.
    pub(crate) own: &'a [u8],
    /// What the other side sent so far; always empty for datagrams.
    pub(crate) other: &'a [u8],
    /// The port of the side being judged.
    pub(crate) own_port: u16,
    /// The port of the other side.
    pub(crate) other_port: u16,
    /// TCP or UDP.
    pub(crate) protocol: Protocol,
}

impl Context<'_> {
    /// Whether either side uses this port.
    pub(crate) fn uses_port(&self, port: u16) -> bool {
        self.own_port == port || self.other_port == port
    }
}

/// What a signature says of one side's first bytes.
///
/// Signatures are monotone: `No` stays `No` and a recognition stays one as more bytes arrive, so
/// the way a stream is cut into segments cannot change the outcome.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Probe {
    /// Whatever follows, this is not the protocol.
    No,
    /// More bytes, or the other side, must tell. For a datagram: a second one like it will do.
    Maybe,
    /// This is the protocol's client speaking.
    Client,
    /// This is the protocol's server speaking.
    Server,
    /// This is the protocol; both sides look alike.
    Either,
}

impl Probe {
    /// `yes` when the condition holds, else [`Probe::No`].
    pub(crate) const fn when(condition: bool, yes: Self) -> Self {
        if condition { yes } else { Self::No }
    }
}

/// Which side of the protocol speaks; not always the side that sent the first packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What a decoder did with the bytes it was shown.
pub(crate) enum Step {
    /// It is done with this many bytes and wants more; the rest is shown again.
    Used(usize),
    /// Nothing further can be learned from the flow.
    Done,
    /// After this many bytes another protocol begins, on both sides.
    Switch(usize, Decoder),
    /// It gave up for this reason.
    Limit(LimitReached),
}

/// The state of one flow's protocol; the variants are one per protocol that tells more than its
/// name.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) enum Decoder {
    /// The name is all there is.
    #[default]
    Name,
    Http(Box<http::Http>),
    Tls(Box<tls::Tls>),
    Dtls(dtls::Dtls),
    Quic(Box<quic::Quic>),
    Dns(dns::Dns),
    Mail(mail::Mail),
    Ftp(ftp::Ftp),
    Ldap(directory::Ldap),
    Mysql(database::Mysql),
    Postgresql(postgresql::Postgresql),
    Rdp(rdp::Rdp),
    Stun(voice::Stun),
    Sip(sip::Sip),
    Tftp(infrastructure::Tftp),
}

impl Decoder {
    /// Reads what `role` said. For a stream, `bytes` is all that is contiguous and unconsumed.
    pub(crate) fn feed(&mut self, role: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        match self {
            Self::Name => Step::Done,
            Self::Http(http) => http.feed(role, bytes, record),
            Self::Tls(tls) => tls.feed(role, bytes, record),
            Self::Dtls(dtls) => dtls.feed(role, bytes, record),
            Self::Quic(quic) => quic.feed(role, bytes, record),
            Self::Dns(dns) => dns.feed(role, bytes, record),
            Self::Mail(mail) => mail.feed(role, bytes, record),
            Self::Ftp(ftp) => ftp.feed(role, bytes, record),
            Self::Ldap(ldap) => ldap.feed(role, bytes, record),
            Self::Mysql(mysql) => mysql.feed(role, bytes, record),
            Self::Postgresql(postgresql) => postgresql.feed(role, bytes, record),
            Self::Rdp(rdp) => rdp.feed(role, bytes, record),
            Self::Stun(stun) => stun.feed(bytes, record),
            Self::Sip(_) => sip::Sip::feed(bytes, record),
            Self::Tftp(_) => infrastructure::Tftp::feed(bytes, record),
        }
    }

    /// Whether bytes of `role` can still tell something; once `false`, it stays so.
    pub(crate) fn wants(&self, role: Role) -> bool {
        match self {
            Self::Name => false,
            Self::Http(http) => http.wants(role),
            Self::Tls(tls) => tls.wants(role),
            Self::Dtls(dtls) => dtls.wants(role),
            Self::Quic(_) | Self::Tftp(_) => role == Role::Client,
            _ => true,
        }
    }
}

/// Longest text line a decoder waits for; RFC 5321 §4.5.3.1.6 allows 1,000, servers send more.
const LINE_BYTES: usize = 4096;

/// The first line of what may be a text protocol.
enum FirstLine<'a> {
    /// The line without its ending, and what follows it.
    Whole(&'a [u8], &'a [u8]),
    /// Text so far, without a line ending.
    Begun,
    /// Control characters, or more than [`LINE_BYTES`] without an ending: no text protocol.
    NotText,
}

impl<'a> FirstLine<'a> {
    /// The verdict does not change as more bytes arrive: control characters refuse a whole line
    /// just as they refuse its beginning.
    fn of(bytes: &'a [u8]) -> Self {
        let window = bytes.get(..bytes.len().min(LINE_BYTES)).unwrap_or_default();
        let line = crate::reader::line(window);
        let text = line.map_or(window, |(text, _)| text);
        let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\r');
        // No protocol begins with a word in another alphabet.
        let foreign = text.iter().take(4).any(|byte| !byte.is_ascii());
        if foreign || text.iter().any(is_control) {
            return Self::NotText;
        }
        match line {
            Some((text, length)) => Self::Whole(text, bytes.get(length..).unwrap_or_default()),
            None if bytes.len() < LINE_BYTES => Self::Begun,
            None => Self::NotText,
        }
    }

    /// As [`FirstLine::whole`], for a line that must begin with a word of capitals, hyphens and
    /// underscores (or a version), as requests do.
    fn request(bytes: &'a [u8]) -> Result<&'a [u8], Probe> {
        let word = bytes.split(|byte| matches!(byte, b' ' | b'\r' | b'\n')).next();
        let is_method = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
        if word.is_some_and(|word| word.len() <= 24 && word.iter().all(is_method)) {
            Self::whole(bytes)
        } else {
            Err(Probe::No)
        }
    }

    /// The line once it is whole, else the verdict of a protocol that waits for it.
    fn whole(bytes: &'a [u8]) -> Result<&'a [u8], Probe> {
        match Self::of(bytes) {
            Self::Whole(line, _) => Ok(line),
            Self::Begun => Err(Probe::Maybe),
            Self::NotText => Err(Probe::No),
        }
    }
}

/// Feeds whole lines to `read` until it stops or none is left. A line longer than [`LINE_BYTES`]
/// ends the inspection: it is no dialogue.
fn feed_lines(bytes: &[u8], mut read: impl FnMut(&[u8]) -> LineStep) -> Step {
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        let Some((line, length)) = crate::reader::line(rest) else {
            return if rest.len() > LINE_BYTES { Step::Done } else { Step::Used(used) };
        };
        if length > LINE_BYTES {
            return Step::Done;
        }
        match read(line) {
            LineStep::Next => used += length,
            LineStep::Hold => return Step::Used(used),
            LineStep::Pause => return Step::Used(used + length),
            LineStep::Done => return Step::Done,
            LineStep::Switch(decoder) => return Step::Switch(used + length, decoder),
        }
    }
}

/// What a line protocol does after one line.
enum LineStep {
    /// Reads the next.
    Next,
    /// Leaves this line unread until the other side has spoken.
    Hold,
    /// Consumes this line, and leaves what follows until the other side has spoken.
    Pause,
    /// Ends the flow's inspection.
    Done,
    /// Hands both streams over after this line.
    Switch(Decoder),
}
