//! SIP (RFC 3261): where the media of its session descriptions will flow.

use std::net::IpAddr;

use parefeu_net::Protocol;
use serde::{Deserialize, Serialize};

use super::{Context, Decoder, Probe, Step, voice};
use crate::record::Record;

/// A request or status line (RFC 3261 §7).
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    voice::judge_line(context, b"SIP/2.0")
}

/// Longest header of a message that is waited for in a stream.
const HEADER_BYTES: usize = 16 * 1024;

/// Longest body of a message that is waited for in a stream.
const BODY_BYTES: usize = 64 * 1024;

/// A SIP dialogue, over datagrams or a stream; it is followed to its end, as each offer and answer
/// announces endpoints.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Sip;

impl Sip {
    pub(crate) const fn start() -> Decoder {
        Decoder::Sip(Self)
    }

    pub(crate) fn feed(bytes: &[u8], record: &mut Record<'_>) -> Step {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            // Empty lines between messages keep a stream alive (RFC 5626 §3.5.1).
            let blank = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let rest = rest.get(blank..).unwrap_or_default();
            used += blank;
            let Some(header) = Header::read(rest) else {
                return if rest.len() > HEADER_BYTES { Step::Done } else { Step::Used(used) };
            };
            // A datagram ends where it ends; in a stream the length has to be stated (§18.3).
            let body = rest.get(header.length..).unwrap_or_default();
            let length = header.body.unwrap_or(if record.is_datagram { body.len() } else { 0 });
            if length > BODY_BYTES {
                return Step::Done;
            }
            let body = match body.get(..length) {
                Some(body) => body,
                None if record.is_datagram => body,
                None => return Step::Used(used),
            };
            if header.is_description {
                read_description(body, record);
            }
            used += header.length + body.len();
        }
    }
}

/// What the header of a message says of its body.
struct Header {
    /// Bytes up to the body.
    length: usize,
    /// Bytes of the body, where they are stated.
    body: Option<usize>,
    /// Whether the body is a session description, alone or among other parts.
    is_description: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut header = Self { length: 0, body: None, is_description: false };
        let window = bytes.get(..bytes.len().min(HEADER_BYTES))?;
        loop {
            let (line, length) = crate::reader::line(window.get(header.length..)?)?;
            header.length += length;
            if line.is_empty() {
                return Some(header);
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = line.split_at(colon);
            let (name, value) = (name.trim_ascii(), value.get(1..)?.trim_ascii());
            let is = |full: &str, short: &str| {
                name.eq_ignore_ascii_case(full.as_bytes())
                    || name.eq_ignore_ascii_case(short.as_bytes())
            };
            if is("content-length", "l") {
                header.body = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            } else if is("content-type", "c") {
                header.is_description = [&b"application/sdp"[..], b"multipart/"].iter().any(|it| {
                    value.get(..it.len()).is_some_and(|start| start.eq_ignore_ascii_case(it))
                });
            }
        }
    }
}

/// Announces the media of a session description (RFC 8866 §5.7 and §5.14): a connection line holds
/// for the media after it, and one of its own for a single one. RTP is accompanied by RTCP, at the
/// port above (RFC 3550 §11), or where an attribute says (RFC 3605).
fn read_description(body: &[u8], record: &mut Record<'_>) {
    let mut session = None;
    let mut media: Option<Media> = None;
    let mut rest = body;
    while !rest.is_empty() {
        let (line, length) = crate::reader::line(rest).unwrap_or((rest, rest.len()));
        rest = rest.get(length..).unwrap_or_default();
        let Some((kind, value)) = line.split_at_checked(2) else { continue };
        match (kind, &mut media) {
            (b"c=", Some(media)) => media.address = connection(value),
            (b"c=", None) => session = connection(value),
            (b"m=", _) => {
                if let Some(media) = media.take() {
                    media.announce(record);
                }
                media = Media::read(value, session);
            }
            (b"a=", Some(media)) => media.attribute(value),
            _ => {}
        }
    }
    if let Some(media) = media {
        media.announce(record);
    }
}

/// One medium of a session description.
struct Media {
    address: Option<IpAddr>,
    port: u16,
    protocol: Protocol,
    /// Where its reports go.
    reports: Option<(Option<IpAddr>, u16)>,
}

impl Media {
    /// `audio 49170/2 RTP/AVP 0`.
    fn read(line: &[u8], address: Option<IpAddr>) -> Option<Self> {
        let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        let (_kind, port, transport) = (words.next()?, words.next()?, words.next()?);
        let port = port.split(|byte| *byte == b'/').next()?;
        let port = str::from_utf8(port).ok()?.parse().ok()?;
        let starts = |name: &[u8]| {
            transport.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        let is_tcp = starts(b"TCP");
        let protocol = if is_tcp { Protocol::TCP } else { Protocol::UDP };
        let has_reports = !is_tcp && transport.windows(3).any(|it| it.eq_ignore_ascii_case(b"RTP"));
        let above = u16::checked_add(port, 1).filter(|_| has_reports);
        Some(Self { address, port, protocol, reports: above.map(|port| (None, port)) })
    }

    /// `rtcp:53020` or `rtcp:53020 IN IP4 192.0.2.9`; `rtcp-mux`.
    fn attribute(&mut self, line: &[u8]) {
        if line == b"rtcp-mux" {
            self.reports = None;
        }
        let Some(value) = line.strip_prefix(b"rtcp:") else { return };
        let (port, address) =
            value.split_at(value.iter().position(|byte| *byte == b' ').unwrap_or(value.len()));
        if let Some(port) = str::from_utf8(port).ok().and_then(|text| text.parse().ok()) {
            self.reports = Some((connection(address.trim_ascii()), port));
        }
    }

    fn announce(self, record: &mut Record<'_>) {
        let Self { address: Some(address), port, protocol, reports } = self else { return };
        // A medium that is declined has port 0 (RFC 3264 §6).
        if port == 0 {
            return;
        }
        record.announce(protocol, address, port);
        if let Some((own, port)) = reports {
            record.announce(protocol, own.unwrap_or(address), port);
        }
    }
}

/// `IN IP4 192.0.2.9`, perhaps with a time to live.
fn connection(value: &[u8]) -> Option<IpAddr> {
    let address = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).nth(2)?;
    str::from_utf8(address.split(|byte| *byte == b'/').next()?).ok()?.parse().ok()
}
