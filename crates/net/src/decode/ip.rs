//! IPv4 and IPv6, down to the transport header.

use std::net::IpAddr;

use etherparse::err::ipv4::HeaderSliceError as Ipv4Error;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::{FragmentHeader, MalformedReason, Network, Protocol};

use super::{Decoder, Next, View};

/// How much of the datagram's transport a packet can show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FragmentedPart {
    /// All of it: the packet is no fragment.
    Whole,
    /// The beginning: the first fragment.
    First,
    /// None: a later fragment, or a chain of extension headers that could not be followed.
    Unreadable,
}

/// Length of the fixed IPv6 header, in bytes.
const IPV6_HEADER_LEN: usize = 40;
/// The longest datagram IPv4 can express, and the longest payload of IPv6 without a jumbo option.
pub(crate) const MAX_DATAGRAM_LEN: u32 = 65_535;

impl<'a> Decoder<'a, '_> {
    pub(super) fn ip(&mut self, view: View<'a>) -> Next<'a> {
        match view.bytes().first().map(|first| first >> 4) {
            Some(4) => self.ipv4(view),
            Some(6) => self.ipv6(view),
            Some(_) => self.fail(MalformedReason::BadIpVersion),
            None => self.short(view, 1, MalformedReason::BadIpHeader),
        }
    }

    fn ipv4(&mut self, view: View<'a>) -> Next<'a> {
        let header = match Ipv4HeaderSlice::from_slice(view.bytes()) {
            Ok(header) => header,
            Err(Ipv4Error::Len(error)) => {
                return self.short(view, error.required_len, MalformedReason::BadIpHeader);
            }
            Err(Ipv4Error::Content(_)) => return self.fail(MalformedReason::BadIpHeader),
        };
        let header_len = header.slice().len();
        let datagram = self.declared(view, usize::from(header.total_len()));
        if datagram.wire_len() < header_len {
            self.note(MalformedReason::BadIpHeader);
        }
        let payload = datagram.skip(header_len);
        let protocol = Protocol(header.protocol().0);
        let offset_bytes = u32::from(header.fragments_offset().byte_offset());
        let more = header.more_fragments();
        let id = u32::from(header.identification());
        let is_fragment = more || offset_bytes != 0;
        let fragment =
            is_fragment.then_some(FragmentHeader { id, offset_bytes, more, next: protocol });
        let part = match fragment {
            None => FragmentedPart::Whole,
            Some(_) if offset_bytes == 0 => FragmentedPart::First,
            Some(_) => FragmentedPart::Unreadable,
        };
        if let Some(fragment) = &fragment {
            self.check_fragment(fragment, header_len, payload);
        }
        let source_routed = header_len > 20 && self.ipv4_options(header.options());
        self.packet.network = Some(Network {
            src: IpAddr::V4(header.source_addr()),
            dst: IpAddr::V4(header.destination_addr()),
            protocol,
            ttl: header.ttl(),
            fragment,
            source_routed,
            header: header.slice(),
            payload: payload.bytes(),
            payload_len: payload.wire_len() as u32,
        });
        self.upper(protocol, payload, part)
    }

    /// Reads IPv4 options (RFC 791 §3.1): whether a source route is among them.
    fn ipv4_options(&mut self, options: &[u8]) -> bool {
        let mut rest = options;
        let mut source_routed = false;
        loop {
            rest = match *rest {
                [] | [0, ..] => return source_routed,
                [1, ref after @ ..] => after,
                [kind, len, ..] if len >= 2 && usize::from(len) <= rest.len() => {
                    source_routed |= matches!(kind, 131 | 137);
                    rest.get(usize::from(len)..).unwrap_or_default()
                }
                _ => {
                    self.note(MalformedReason::BadIpHeader);
                    return source_routed;
                }
            }
        }
    }

    fn ipv6(&mut self, view: View<'a>) -> Next<'a> {
        // The first nibble was read, so length is the only thing that can be wrong.
        let Ok(header) = Ipv6HeaderSlice::from_slice(view.bytes()) else {
            return self.short(view, IPV6_HEADER_LEN, MalformedReason::BadIpHeader);
        };
        let next_header = header.next_header().0;
        let rest = view.skip(IPV6_HEADER_LEN);
        let rest = match header.payload_length() {
            0 if next_header == HOP_BY_HOP => self.jumbo(rest),
            0 if next_header == NO_NEXT_HEADER => rest.declare(0),
            len => self.declared(rest, usize::from(len)),
        };
        let chain = Chain::follow(next_header, rest, self.limits.max_extension_headers);
        if let Some(reason) = chain.malformed {
            self.note(reason);
        }
        let payload = chain.fragmentable.unwrap_or(chain.rest);
        let header_len = IPV6_HEADER_LEN + rest.bytes().len() - payload.bytes().len();
        if let Some(fragment) = &chain.fragment {
            self.check_fragment(fragment, 0, payload);
        }
        self.packet.network = Some(Network {
            src: IpAddr::V6(header.source_addr()),
            dst: IpAddr::V6(header.destination_addr()),
            protocol: chain.protocol,
            ttl: header.hop_limit(),
            fragment: chain.fragment,
            source_routed: chain.source_routed,
            header: view.bytes().get(..header_len).unwrap_or_default(),
            payload: payload.bytes(),
            payload_len: payload.wire_len() as u32,
        });
        self.upper(chain.protocol, chain.rest, chain.part())
    }

    /// The layer of the length its header declares; 0 stands for the rest of the frame, as
    /// segmentation offload leaves it.
    fn declared(&mut self, view: View<'a>, len: usize) -> View<'a> {
        if len == 0 {
            return view;
        }
        if len > view.wire_len() {
            self.note(MalformedReason::LengthBeyondFrame);
        }
        view.declare(len)
    }

    /// The payload of an IPv6 packet whose length is in its jumbo payload option (RFC 2675 §2), or
    /// the rest of the frame without one.
    fn jumbo(&mut self, view: View<'a>) -> View<'a> {
        let Some(len) = jumbo_option(view) else { return view };
        if len <= MAX_DATAGRAM_LEN {
            self.note(MalformedReason::BadExtensionHeader);
            return view;
        }
        self.declared(view, len as usize)
    }

    /// Notes a fragment that fits no datagram (RFC 791 §3.2, RFC 8200 §4.5). `header_len` is what
    /// the datagram's length counts beside the fragmentable part.
    fn check_fragment(&mut self, fragment: &FragmentHeader, header_len: usize, payload: View<'a>) {
        let len = payload.wire_len() as u32;
        let end = u64::from(fragment.offset_bytes) + u64::from(len) + header_len as u64;
        if len == 0 || fragment.more && !len.is_multiple_of(8) || end > u64::from(MAX_DATAGRAM_LEN)
        {
            self.note(MalformedReason::BadFragment);
        }
    }

    /// Reads on after reassembly: `network` has the datagram's whole payload and no fragment.
    pub(super) fn reassembled(&mut self, mut network: Network<'a>) -> Next<'a> {
        let payload = View::new(network.payload, network.payload.len());
        if network.src.is_ipv4() {
            self.packet.network = Some(network);
            return self.upper(network.protocol, payload, FragmentedPart::Whole);
        }
        let limit = self.limits.max_extension_headers;
        let chain = Chain::follow(network.protocol.0, payload, limit);
        if let Some(reason) = chain.malformed {
            self.note(reason);
        }
        if chain.fragment.is_some() {
            // A fragment of a fragment: reassembling again would allow nesting without end.
            self.note(MalformedReason::BadFragment);
        }
        let rest = chain.fragmentable.unwrap_or(chain.rest);
        network.protocol = chain.protocol;
        network.source_routed |= chain.source_routed;
        network.fragment = chain.fragment;
        network.payload = rest.bytes();
        network.payload_len = rest.wire_len() as u32;
        self.packet.network = Some(network);
        self.upper(chain.protocol, chain.rest, chain.part())
    }
}

/// A chain of IPv6 extension headers (RFC 8200 §4), followed as far as possible.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    /// The upper-layer protocol, or the header at which following ended.
    pub(super) protocol: Protocol,
    /// What follows the headers read.
    rest: View<'a>,
    fragment: Option<FragmentHeader>,
    /// What follows the Fragment header.
    fragmentable: Option<View<'a>>,
    source_routed: bool,
    /// Whether `protocol` is the upper layer's.
    complete: bool,
    malformed: Option<MalformedReason>,
}

impl<'a> Chain<'a> {
    /// Follows at most `limit` headers. An atomic fragment (RFC 6946) is no fragment.
    pub(super) fn follow(first: u8, view: View<'a>, limit: u8) -> Self {
        let mut chain = Self {
            protocol: Protocol(first),
            rest: view,
            fragment: None,
            fragmentable: None,
            source_routed: false,
            complete: false,
            malformed: None,
        };
        for _ in 0..=limit {
            let protocol = chain.protocol.0;
            if !is_extension(protocol) {
                chain.complete = true;
                return chain;
            }
            if chain.is_later_fragment() || !chain.step(protocol) {
                return chain;
            }
        }
        chain.malformed = Some(MalformedReason::BadExtensionHeader);
        chain
    }

    /// Reads one extension header; `false` when it cannot be.
    fn step(&mut self, protocol: u8) -> bool {
        let Some(&[next, len, b2, b3, i0, i1, i2, i3]) = self.rest.header() else {
            return self.short(8);
        };
        let len = match protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(len) + 2) * 4,
            _ => (usize::from(len) + 1) * 8,
        };
        if len > self.rest.bytes().len() {
            return self.short(len);
        }
        self.source_routed |= protocol == ROUTING && b2 == 0;
        self.protocol = Protocol(next);
        self.rest = self.rest.skip(len);
        if protocol == FRAGMENT {
            return self.read_fragment([b2, b3], [i0, i1, i2, i3]);
        }
        true
    }

    fn read_fragment(&mut self, offset: [u8; 2], id: [u8; 4]) -> bool {
        let offset = u16::from_be_bytes(offset);
        let header = FragmentHeader {
            id: u32::from_be_bytes(id),
            offset_bytes: u32::from(offset & 0xfff8),
            more: offset & 1 == 1,
            next: self.protocol,
        };
        if header.offset_bytes == 0 && !header.more {
            return true;
        }
        if self.fragment.is_some() {
            self.malformed = Some(MalformedReason::BadExtensionHeader);
            return false;
        }
        self.fragment = Some(header);
        self.fragmentable = Some(self.rest);
        true
    }

    /// Ends at a header of `needed` bytes that was not captured whole. In a fragment the rest of
    /// the chain may be in the next one; elsewhere the sender left it out, unless the capture did.
    fn short(&mut self, needed: usize) -> bool {
        if self.fragment.is_none() && needed > self.rest.wire_len() {
            self.malformed = Some(MalformedReason::BadExtensionHeader);
        }
        false
    }

    fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset_bytes != 0)
    }

    /// The upper layer's bytes; `None` in a later fragment or a chain not followed to its end.
    pub(super) fn readable(&self) -> Option<View<'a>> {
        (self.part() != FragmentedPart::Unreadable).then_some(self.rest)
    }

    fn part(&self) -> FragmentedPart {
        match self.fragment {
            _ if !self.complete || self.is_later_fragment() => FragmentedPart::Unreadable,
            Some(_) => FragmentedPart::First,
            None => FragmentedPart::Whole,
        }
    }
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;

/// The headers that are followed. Mobility, HIP and Shim6 count as upper layers, as packet filters
/// have it.
const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// The jumbo payload length in a hop-by-hop options header at the start of `view`.
fn jumbo_option(view: View<'_>) -> Option<u32> {
    let &[_, len] = view.header()?;
    let options = view.bytes().get(2..(usize::from(len) + 1) * 8)?;
    let mut rest = options;
    loop {
        rest = match *rest {
            [] | [_] => return None,
            [0xc2, 4, a, b, c, d, ..] => return Some(u32::from_be_bytes([a, b, c, d])),
            [0, ref after @ ..] => after,
            [_, len, ref after @ ..] => after.get(usize::from(len)..)?,
        }
    }
}
