//! Services, ports and TCP flags as the native format writes them.

use std::fmt;

use parefeu_net::{PortRange, Protocol};

use crate::set::{PortSet, ProtocolSet};
use crate::{IcmpMatch, ServiceItem, ServiceTerm, TcpFlagMatch};

/// Why text that names a protocol is no service.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum ServiceError {
    /// The ports cannot be read.
    #[error("ports are written `443`, `53,5353`, `1024-65535`, `any` or `none`")]
    Ports,
    /// The ICMP type cannot be read.
    #[error("an ICMP type is written `icmp/8`, with a code `icmp/3/4`")]
    Icmp,
    /// The protocol has neither.
    #[error("only tcp, udp, sctp, dccp and udplite have ports, only icmp and icmpv6 have types")]
    NoPorts,
}

/// Reads one service item. Text that is nothing else names an object; a leading `=` makes the rest
/// a name whatever it looks like, a leading `literal:` makes it a value even where an object has
/// that name.
pub(super) fn read_service(text: &str) -> Result<ServiceItem, ServiceError> {
    if let Some(name) = text.strip_prefix('=') {
        return Ok(ServiceItem::Object(name.to_owned()));
    }
    if let Some(literal) = text.strip_prefix("literal:") {
        return read_service(literal);
    }
    if let Some(atom) = text.strip_prefix("unknown:") {
        return Ok(ServiceItem::Unknown(atom.to_owned()));
    }
    match text {
        "any" => return Ok(ServiceItem::Any),
        "application-default" => return Ok(ServiceItem::ApplicationDefault),
        _ => {}
    }
    let (name, rest) = match text.split_once('/') {
        Some((name, rest)) => (name, Some(rest)),
        None => (text, None),
    };
    let Some(protocol) = Protocol::from_name(name) else {
        return Ok(ServiceItem::Object(text.to_owned()));
    };
    let mut term = ServiceTerm::protocols(ProtocolSet::single(protocol));
    match rest {
        None => {}
        Some(ports) if protocol.has_ports() => {
            let (src, dst) = ports.split_once('>').unwrap_or(("any", ports));
            term.src_ports = read_ports(src).ok_or(ServiceError::Ports)?;
            term.dst_ports = read_ports(dst).ok_or(ServiceError::Ports)?;
        }
        Some(kind) if protocol.is_icmp() => {
            let (kind, code) = match kind.split_once('/') {
                Some((kind, code)) => (kind, Some(code)),
                None => (kind, None),
            };
            let code = code.map(str::parse).transpose().map_err(|_| ServiceError::Icmp)?;
            let kind = kind.parse().map_err(|_| ServiceError::Icmp)?;
            term.icmp = Some(IcmpMatch { kind, code });
        }
        Some(_) => return Err(ServiceError::NoPorts),
    }
    Ok(ServiceItem::Term(term))
}

/// `80,443,8000-8080`, `any` or `none`.
pub(super) fn read_ports(text: &str) -> Option<PortSet> {
    match text.trim() {
        "any" => return Some(PortSet::all()),
        "none" => return Some(PortSet::none()),
        _ => {}
    }
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        PortRange::new(first.trim().parse().ok()?, last.trim().parse().ok()?).ok()
    };
    text.split(',').map(range).collect()
}

/// The text of a service item, `None` for a term only a table can express.
pub(super) fn show_service(item: &ServiceItem) -> Option<String> {
    Some(match item {
        ServiceItem::Any => "any".to_owned(),
        ServiceItem::ApplicationDefault => "application-default".to_owned(),
        ServiceItem::Unknown(text) => format!("unknown:{text}"),
        ServiceItem::Object(name) => {
            let plain = !name.starts_with('=') && read_service(name).as_ref() == Ok(item);
            format!("{}{name}", if plain { "" } else { "=" })
        }
        ServiceItem::Term(term) => return show_term(term),
    })
}

fn show_term(term: &ServiceTerm) -> Option<String> {
    let ServiceTerm { protocols, src_ports, dst_ports, icmp } = term;
    let all_ports = src_ports.is_all() && dst_ports.is_all();
    if protocols.is_all() && all_ports && icmp.is_none() {
        return Some("any".to_owned());
    }
    let mut members = protocols.iter();
    let (Some(protocol), None) = (members.next(), members.next()) else { return None };
    match icmp {
        None if all_ports => Some(protocol.to_string()),
        None if !protocol.has_ports() => None,
        None if src_ports.is_all() => Some(format!("{protocol}/{dst_ports}")),
        None => Some(format!("{protocol}/{src_ports}>{dst_ports}")),
        Some(IcmpMatch { kind, code }) if protocol.is_icmp() && all_ports => Some(match code {
            Some(code) => format!("{protocol}/{kind}/{code}"),
            None => format!("{protocol}/{kind}"),
        }),
        Some(_) => None,
    }
}

/// TCP flags by name, in the order of their bits.
const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

/// `syn`, or `MASK=VALUE` such as `syn,ack,rst=syn`; a leading `!` turns the condition round.
pub(super) fn read_flags(text: &str) -> Option<TcpFlagMatch> {
    let (negated, rest) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
    let (mask, value) = rest.split_once('=').unwrap_or((rest, rest));
    let (mask, value) = (read_flag_list(mask)?, read_flag_list(value)?);
    (value & !mask == 0).then_some(TcpFlagMatch { mask, value, negated })
}

fn read_flag_list(text: &str) -> Option<u8> {
    match text {
        "all" => return Some(u8::MAX),
        "none" => return Some(0),
        _ => {}
    }
    text.split(',').try_fold(0, |bits, name| {
        FLAGS.iter().position(|flag| *flag == name.trim()).map(|bit| bits | 1 << bit)
    })
}

/// Prints a condition on TCP flags so that [`read_flags`] reads it back.
pub(super) struct ShowFlags(pub(super) TcpFlagMatch);

impl fmt::Display for ShowFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |bits: u8| match bits {
            0 => "none".to_owned(),
            u8::MAX => "all".to_owned(),
            _ => {
                let names = FLAGS.iter().enumerate();
                let names = names.filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name);
                names.collect::<Vec<_>>().join(",")
            }
        };
        let TcpFlagMatch { mask, value, negated } = self.0;
        let not = if negated { "!" } else { "" };
        if mask == value {
            write!(f, "{not}{}", list(mask))
        } else {
            write!(f, "{not}{}={}", list(mask), list(value))
        }
    }
}
