//! TCP, UDP and SCTP headers.

use crate::{
    FragmentHeader, MalformedReason, Network, Protocol, SackBlocks, SctpHeader, TcpFlags,
    TcpSegment, Transport, UdpDatagram,
};

use super::{FragmentedPart, View, icmp};

/// Reads the transport layer of an IP packet: what [`decode`](crate::decode()) does last.
///
/// Later fragments give [`Transport::Absent`]. The reason, if any, is what the transport header
/// contradicts. Allocates nothing.
pub fn decode_transport<'a>(network: &Network<'a>) -> (Transport<'a>, Option<MalformedReason>) {
    let part = match network.fragment {
        None => FragmentedPart::Whole,
        // Extension headers between the Fragment header and the transport are not followed here.
        Some(FragmentHeader { offset_bytes: 0, next, .. }) if next == network.protocol => {
            FragmentedPart::First
        }
        Some(_) => return (Transport::Absent, None),
    };
    let mut transport = Transport::Absent;
    let view = View::new(network.payload, network.payload_len as usize);
    let malformed = read(network.protocol, view, part, &mut transport);
    (transport, malformed)
}

/// Reads a transport header into `transport`, in place: copies are what decoding would spend most
/// of its time on. What cannot be read leaves it alone.
pub(super) fn read<'a>(
    protocol: Protocol,
    view: View<'a>,
    part: FragmentedPart,
    transport: &mut Transport<'a>,
) -> Option<MalformedReason> {
    let read = match protocol {
        Protocol::TCP => tcp(view, transport),
        Protocol::UDP => udp(view, part, transport),
        Protocol::SCTP => sctp(view, transport),
        Protocol::ICMP => icmp::v4(view, transport),
        Protocol::ICMPV6 => icmp::v6(view, transport),
        _ => {
            *transport = Transport::Other(view.bytes());
            Ok(())
        }
    };
    match read {
        Ok(()) => None,
        // The rest of the header may be in the next fragment.
        Err(Refusal::Short(_)) if part == FragmentedPart::First => None,
        Err(Refusal::Short(needed)) if needed <= view.wire_len() => None,
        Err(Refusal::Short(_) | Refusal::Contradiction) => Some(MalformedReason::BadTransport),
    }
}

/// Why a transport header was not read.
pub(super) enum Refusal {
    /// Fewer bytes were captured than the header needs.
    Short(usize),
    /// A field contradicts the rest.
    Contradiction,
}

/// TCP (RFC 9293 §3.1). The first 16 bytes, up to the window, are enough.
fn tcp<'a>(view: View<'a>, transport: &mut Transport<'a>) -> Result<(), Refusal> {
    let Some(&[p0, p1, p2, p3, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1]) =
        view.header()
    else {
        return Err(Refusal::Short(20));
    };
    let header_len = usize::from(offset >> 4) * 4;
    if header_len < 20 {
        return Err(Refusal::Contradiction);
    }
    if header_len > view.wire_len() {
        return Err(Refusal::Short(header_len));
    }
    let payload = view.skip(header_len);
    *transport = Transport::Tcp(TcpSegment {
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        sequence: u32::from_be_bytes([s0, s1, s2, s3]),
        acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        mss: None,
        window_scale: None,
        sack_permitted: false,
        sack: SackBlocks::default(),
        timestamps: false,
        payload: payload.bytes(),
        payload_len: payload.wire_len() as u32,
    });
    if let (Transport::Tcp(segment), Some(options)) = (transport, view.bytes().get(20..header_len))
    {
        read_options(options, segment);
    }
    Ok(())
}

/// TCP options; reading ends at the first one that contradicts its length, as hosts do.
fn read_options(options: &[u8], segment: &mut TcpSegment<'_>) {
    // Nearly every segment of an established session: padding and timestamps.
    if let [1, 1, 8, 10, _, _, _, _, _, _, _, _] = options {
        segment.timestamps = true;
        return;
    }
    let mut rest = options;
    loop {
        rest = match *rest {
            [] | [0, ..] => return,
            [1, ref after @ ..] => after,
            [kind, len, ..] => {
                let Some(value) = rest.get(2..usize::from(len)) else { return };
                read_option(kind, value, segment);
                rest.get(usize::from(len)..).unwrap_or_default()
            }
            [_] => return,
        }
    }
}

fn read_option(kind: u8, value: &[u8], segment: &mut TcpSegment<'_>) {
    match (kind, value) {
        (2, &[high, low]) => segment.mss = Some(u16::from_be_bytes([high, low])),
        (3, &[shift]) => segment.window_scale = Some(shift.min(MAX_WINDOW_SCALE)),
        (4, []) => segment.sack_permitted = true,
        (5, blocks) => {
            for &[l0, l1, l2, l3, r0, r1, r2, r3] in blocks.as_chunks::<8>().0 {
                segment.sack.push(
                    u32::from_be_bytes([l0, l1, l2, l3]),
                    u32::from_be_bytes([r0, r1, r2, r3]),
                );
            }
        }
        (8, [_, _, _, _, _, _, _, _]) => segment.timestamps = true,
        _ => {}
    }
}

/// The largest shift count that has a meaning (RFC 7323 §2.3).
const MAX_WINDOW_SCALE: u8 = 14;

/// UDP (RFC 768). A length of 0 stands for the rest of a jumbogram (RFC 2675 §4).
fn udp<'a>(
    view: View<'a>,
    part: FragmentedPart,
    transport: &mut Transport<'a>,
) -> Result<(), Refusal> {
    let Some(&[p0, p1, p2, p3, l0, l1, _, _]) = view.header() else {
        return Err(Refusal::Short(8));
    };
    let len = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 if view.wire_len() > usize::from(u16::MAX) => view.wire_len(),
        len => len,
    };
    if len < 8 || part == FragmentedPart::Whole && len > view.wire_len() {
        return Err(Refusal::Contradiction);
    }
    *transport = Transport::Udp(UdpDatagram {
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        payload: view.up_to(len).skip(8).bytes(),
    });
    Ok(())
}

/// SCTP's common header and the type of the first chunk (RFC 9260 §3).
fn sctp<'a>(view: View<'a>, transport: &mut Transport<'a>) -> Result<(), Refusal> {
    let Some(&[p0, p1, p2, p3, t0, t1, t2, t3]) = view.header() else {
        return Err(Refusal::Short(12));
    };
    if view.wire_len() < 12 {
        return Err(Refusal::Short(12));
    }
    let chunks = view.skip(12);
    *transport = Transport::Sctp(SctpHeader {
        src_port: u16::from_be_bytes([p0, p1]),
        dst_port: u16::from_be_bytes([p2, p3]),
        verification_tag: u32::from_be_bytes([t0, t1, t2, t3]),
        first_chunk: chunks.bytes().first().copied(),
        payload: chunks.bytes(),
    });
    Ok(())
}
