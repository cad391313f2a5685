//! ICMP of both families, and the packet that an error message quotes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{FiveTuple, IcmpMessage, Protocol, Quoted, Transport};

use super::View;
use super::ip::Chain;
use super::transport::Refusal;

/// Bytes of every ICMP header: type, code, checksum and four that the type defines.
const HEADER_LEN: usize = 8;
/// Extension headers followed in a quoted IPv6 packet: enough for every lawful order, and bounded.
const QUOTED_EXTENSION_HEADERS: u8 = 8;

pub(super) fn v4<'a>(view: View<'a>, transport: &mut Transport<'a>) -> Result<(), Refusal> {
    *transport = Transport::Icmp(read(view, query_v4, |kind| matches!(kind, 3 | 4 | 5 | 11 | 12))?);
    Ok(())
}

/// Types below 128 are errors, be they known or not (RFC 4443 §2.1).
pub(super) fn v6<'a>(view: View<'a>, transport: &mut Transport<'a>) -> Result<(), Refusal> {
    *transport = Transport::Icmp(read(view, query_v6, |kind| kind < 128)?);
    Ok(())
}

fn read(
    view: View<'_>,
    query: fn(u8) -> Option<bool>,
    is_error: fn(u8) -> bool,
) -> Result<IcmpMessage<'_>, Refusal> {
    let Some(&[kind, code, _, _, i0, i1, _, _]) = view.header::<HEADER_LEN>() else {
        return Err(Refusal::Short(HEADER_LEN));
    };
    let payload = view.bytes().get(HEADER_LEN..).unwrap_or_default();
    let request = query(kind);
    Ok(IcmpMessage {
        kind,
        code,
        id: request.map(|_| u16::from_be_bytes([i0, i1])),
        request: request.unwrap_or(false),
        quoted: if is_error(kind) { quoted(payload) } else { None },
        payload,
    })
}

/// Whether a type with an identifier asks or answers (RFC 792, RFC 950); `None` for the others.
const fn query_v4(kind: u8) -> Option<bool> {
    match kind {
        8 | 13 | 15 | 17 => Some(true),
        0 | 14 | 16 | 18 => Some(false),
        _ => None,
    }
}

/// The same for ICMPv6: echo (RFC 4443 §4) and node information, whose kind of question stands in
/// the place of an identifier (RFC 4620 §4), as Linux has it.
const fn query_v6(kind: u8) -> Option<bool> {
    match kind {
        128 | 139 => Some(true),
        129 | 140 => Some(false),
        _ => None,
    }
}

fn quoted(bytes: &[u8]) -> Option<Quoted> {
    match bytes.first()? >> 4 {
        4 => quoted_v4(bytes),
        6 => quoted_v6(bytes),
        _ => None,
    }
}

/// At least the IPv4 header and eight bytes are quoted (RFC 792).
fn quoted_v4(bytes: &[u8]) -> Option<Quoted> {
    let &[first, _, _, _, _, _, o0, o1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] =
        bytes.first_chunk()?;
    let header_len = usize::from(first & 0x0f) * 4;
    if header_len < 20 {
        return None;
    }
    let is_later_fragment = u16::from_be_bytes([o0, o1]) & 0x1fff != 0;
    // A quote that ends within the options of its header tells nothing of what follows.
    let transport = bytes.get(header_len..).filter(|_| !is_later_fragment);
    let src = IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3));
    let dst = IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3));
    Some(quoted_flow(src, dst, Protocol(protocol), transport))
}

fn quoted_v6(bytes: &[u8]) -> Option<Quoted> {
    let header = bytes.first_chunk::<40>()?;
    let (before, dst) = header.split_last_chunk::<16>()?;
    let (_, src) = before.split_last_chunk::<16>()?;
    let rest = bytes.get(40..).unwrap_or_default();
    let chain = Chain::follow(header[6], View::new(rest, rest.len()), QUOTED_EXTENSION_HEADERS);
    let transport = chain.readable().map(View::bytes);
    let (src, dst) = (IpAddr::V6(Ipv6Addr::from(*src)), IpAddr::V6(Ipv6Addr::from(*dst)));
    Some(quoted_flow(src, dst, chain.protocol, transport))
}

/// Completes the flow with what the quoted transport bytes tell; `None` when they cannot be found.
fn quoted_flow(src: IpAddr, dst: IpAddr, protocol: Protocol, transport: Option<&[u8]>) -> Quoted {
    let ports = match (protocol, transport) {
        (_, None) => None,
        (Protocol::ICMP, Some(bytes)) => identifier(bytes, query_v4),
        (Protocol::ICMPV6, Some(bytes)) => identifier(bytes, query_v6),
        (_, Some(bytes)) if protocol.has_ports() => bytes
            .first_chunk()
            .map(|&[a, b, c, d]| (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
        (_, Some(_)) => Some((0, 0)),
    };
    let tcp_sequence = transport
        .filter(|_| protocol == Protocol::TCP)
        .and_then(|bytes| bytes.first_chunk())
        .map(|&[_, _, _, _, a, b, c, d]| u32::from_be_bytes([a, b, c, d]));
    let (src_port, dst_port) = ports.unwrap_or((0, 0));
    let flow = FiveTuple { src, dst, src_port, dst_port, protocol };
    let kind = transport.and_then(|bytes| bytes.first().copied());
    let icmp_kind = kind.filter(|_| protocol.is_icmp() && ports.is_some());
    Quoted { flow, ports_known: ports.is_some(), tcp_sequence, icmp_kind }
}

/// The identifier of a quoted ICMP query, as both ports.
fn identifier(bytes: &[u8], query: fn(u8) -> Option<bool>) -> Option<(u16, u16)> {
    let &[kind, _, _, _, i0, i1] = bytes.first_chunk()?;
    let id = u16::from_be_bytes([i0, i1]);
    query(kind).map(|_| (id, id))
}
