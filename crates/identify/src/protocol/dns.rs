//! DNS over UDP and TCP (RFC 1035), multicast DNS, LLMNR and NetBIOS names: the name asked for.

use serde::{Deserialize, Serialize};

use super::{Context, Decoder, Probe, Role, Step};
use crate::reader::{Reader, u16_at};
use crate::record::Record;

/// Longest name in text form (RFC 1035 §2.3.4).
const NAME_BYTES: usize = 255;

/// Longest first message waited for over TCP; a query is far shorter.
const FRAMED_BYTES: usize = 4096;

/// Recognises a DNS message on any port by its whole header and first question.
pub(crate) fn probe(context: &Context<'_>) -> Probe {
    if [5353, 5355, 137].iter().any(|port| context.uses_port(*port)) {
        return Probe::No;
    }
    judge(context.own, context.uses_port(53))
}

/// Multicast DNS (RFC 6762).
pub(crate) fn probe_mdns(context: &Context<'_>) -> Probe {
    if context.uses_port(5353) { judge(context.own, true) } else { Probe::No }
}

/// Link-local multicast name resolution (RFC 4795).
pub(crate) fn probe_llmnr(context: &Context<'_>) -> Probe {
    if context.uses_port(5355) { judge(context.own, true) } else { Probe::No }
}

/// NetBIOS name service (RFC 1002 §4.2).
pub(crate) fn probe_netbios(context: &Context<'_>) -> Probe {
    if !context.uses_port(137) {
        return Probe::No;
    }
    let opcode = u16_at(context.own, 2).map(|flags| (flags >> 11) & 15);
    let known = matches!(opcode, Some(0 | 5..=9)) && context.own.len() >= 12;
    match context.own.get(2) {
        Some(flags) if known && flags & 0x80 != 0 => Probe::Server,
        _ => Probe::when(known, Probe::Client),
    }
}

/// DNS over TCP (RFC 7766): a message led by its length.
pub(crate) fn probe_tcp(context: &Context<'_>) -> Probe {
    let Some(length) = u16_at(context.own, 0).map(usize::from) else { return Probe::Maybe };
    // On other ports only plain queries and answers are worth waiting for.
    let plausible = context.uses_port(53) || context.own.get(4).is_none_or(|b| b & 0x78 == 0);
    if !plausible || !(17..=FRAMED_BYTES).contains(&length) {
        return Probe::No;
    }
    let Some(message) = context.own.get(2..2 + length) else { return Probe::Maybe };
    judge(message, context.uses_port(53))
}

fn judge(message: &[u8], usual_port: bool) -> Probe {
    match Message::parse(message) {
        Some(parsed) if parsed.is_plausible(usual_port) => {
            if parsed.is_response {
                Probe::Server
            } else {
                Probe::Client
            }
        }
        _ => Probe::No,
    }
}

/// Reads the first query name of either side.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Dns {
    framed: bool,
    netbios: bool,
}

impl Dns {
    pub(crate) fn start() -> Decoder {
        Decoder::Dns(Self { framed: false, netbios: false })
    }

    pub(crate) fn start_tcp() -> Decoder {
        Decoder::Dns(Self { framed: true, netbios: false })
    }

    pub(crate) fn start_netbios() -> Decoder {
        Decoder::Dns(Self { framed: false, netbios: true })
    }

    pub(crate) fn feed(&self, _: Role, bytes: &[u8], record: &mut Record<'_>) -> Step {
        let message = if self.framed {
            let length = u16_at(bytes, 0).map_or(0, usize::from);
            match bytes.get(2..2 + length) {
                Some(message) => message,
                None => return Step::Used(0),
            }
        } else {
            bytes
        };
        if let Some(Message { name, .. }) = Message::parse(message) {
            if self.netbios {
                decode_netbios(&name).inspect(|name| record.set_hostname(name));
            } else {
                record.set_hostname(&name);
            }
        }
        Step::Done
    }
}

/// The header's claims, and the first name.
struct Message {
    is_response: bool,
    opcode: u16,
    counts: [u16; 4],
    question: Option<(u16, u16)>,
    name: Vec<u8>,
    whole: bool,
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.u16()?;
        let flags = reader.u16()?;
        let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
        let mut message = Self {
            is_response: flags & 0x8000 != 0,
            opcode: (flags >> 11) & 15,
            counts,
            question: None,
            name: Vec::new(),
            whole: true,
        };
        if counts.iter().any(|count| *count > 0) {
            message.name = read_name(&mut reader)?;
            let (kind, class) = (reader.u16()?, reader.u16()?);
            message.question = Some((kind, class));
        }
        message.whole = counts.iter().skip(1).any(|count| *count > 0) || reader.is_empty();
        Some(message)
    }

    /// Whether this can be a DNS message; on an unusual port, nothing may be odd.
    fn is_plausible(&self, usual_port: bool) -> bool {
        let counts_bounded = self.counts.iter().all(|count| *count <= 256);
        if usual_port {
            return counts_bounded && self.opcode <= 6;
        }
        let [questions, answers, _, _] = self.counts;
        let class_known = self.question.is_some_and(|(kind, class)| {
            matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255) && (1..=260).contains(&kind)
        });
        let named = !self.name.is_empty() && self.name.iter().all(u8::is_ascii_graphic);
        counts_bounded
            && matches!(self.opcode, 0 | 4 | 5)
            && questions == 1
            && (self.is_response || answers == 0)
            && class_known
            && named
            && self.whole
    }
}

/// A name in text form, without its final dot. The first name of a message has no earlier one to
/// point at, so compression (RFC 1035 §4.1.4) is refused.
fn read_name(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let mut name = Vec::new();
    loop {
        let label = reader.vec8()?.rest();
        if label.is_empty() {
            return Some(name);
        }
        if label.len() > 63 || name.len() + label.len() > NAME_BYTES {
            return None;
        }
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(label);
    }
}

/// A NetBIOS name from its first-level encoding (RFC 1001 §14.1), without padding and suffix.
fn decode_netbios(label: &[u8]) -> Option<Vec<u8>> {
    let encoded = label.get(..32)?;
    let mut name = Vec::with_capacity(16);
    for pair in encoded.chunks_exact(2) {
        let &[high @ b'A'..=b'P', low @ b'A'..=b'P'] = pair else { return None };
        name.push((high - b'A') << 4 | (low - b'A'));
    }
    name.truncate(15);
    Some(name.trim_ascii_end().to_vec())
}
