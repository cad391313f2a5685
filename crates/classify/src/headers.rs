//! Batches of packets, field by field.

#![expect(
    clippy::inline_always,
    reason = "loops become wide instructions only inside a function that enables them"
)]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use parefeu_net::Protocol;
use parefeu_policy::PacketKey;

use crate::batch::{Chunk, Instructions, Lanes, Words};

/// IPv4 packets, one slice a field: the form batch lookups read fastest.
///
/// All slices have the same length; what is longer is not read. Ports of protocols without ports
/// are not compared. Interfaces, zones, flags and the like are not stated, as in a [`PacketKey`]
/// whose fields are `None`: rules that compare them do not surely match.
#[derive(Clone, Copy, Debug)]
pub struct HeadersV4<'a> {
    /// Source addresses, in host order.
    pub src: &'a [u32],
    /// Destination addresses, in host order.
    pub dst: &'a [u32],
    /// Source ports.
    pub src_port: &'a [u16],
    /// Destination ports.
    pub dst_port: &'a [u16],
    /// IP protocol numbers.
    pub protocol: &'a [u8],
}

impl HeadersV4<'_> {
    /// How many packets there are.
    pub fn len(&self) -> usize {
        let ports = self.src_port.len().min(self.dst_port.len());
        self.src.len().min(self.dst.len()).min(ports).min(self.protocol.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// IPv6 packets, one slice a field; otherwise as [`HeadersV4`].
#[derive(Clone, Copy, Debug)]
pub struct HeadersV6<'a> {
    /// Source addresses, in host order.
    pub src: &'a [u128],
    /// Destination addresses, in host order.
    pub dst: &'a [u128],
    /// Source ports.
    pub src_port: &'a [u16],
    /// Destination ports.
    pub dst_port: &'a [u16],
    /// IP protocol numbers: the upper-layer protocol, behind extension headers.
    pub protocol: &'a [u8],
}

impl HeadersV6<'_> {
    /// How many packets there are.
    pub fn len(&self) -> usize {
        let ports = self.src_port.len().min(self.dst_port.len());
        self.src.len().min(self.dst.len()).min(ports).min(self.protocol.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Packets of one family, however they are given.
pub(crate) trait Headers {
    fn count(&self) -> usize;

    /// One of the packets.
    fn key(&self, at: usize) -> PacketKey;

    /// Copies some of the packets, with the class of what they do not state.
    fn fill<L: Lanes>(&self, lanes: L, chunk: &mut Chunk, packets: Range<usize>, context: u32);
}

impl Headers for HeadersV4<'_> {
    fn count(&self) -> usize {
        self.len()
    }

    fn key(&self, at: usize) -> PacketKey {
        PacketKey {
            src: Ipv4Addr::from_bits(self.src[at]).into(),
            dst: Ipv4Addr::from_bits(self.dst[at]).into(),
            protocol: Protocol(self.protocol[at]),
            src_port: self.src_port[at],
            dst_port: self.dst_port[at],
            ..PacketKey::UNSTATED
        }
    }

    #[inline(always)]
    fn fill<L: Lanes>(&self, _: L, chunk: &mut Chunk, packets: Range<usize>, context: u32) {
        let count = packets.len();
        chunk.start(false, count);
        chunk.src[0][..count].copy_from_slice(&self.src[packets.clone()]);
        chunk.dst[0][..count].copy_from_slice(&self.dst[packets.clone()]);
        widen(&self.src_port[packets.clone()], &mut chunk.src_port);
        widen(&self.dst_port[packets.clone()], &mut chunk.dst_port);
        chunk.protocol[..count].copy_from_slice(&self.protocol[packets]);
        chunk.context[..count].fill(context);
    }
}

impl Headers for HeadersV6<'_> {
    fn count(&self) -> usize {
        self.len()
    }

    fn key(&self, at: usize) -> PacketKey {
        PacketKey {
            src: Ipv6Addr::from_bits(self.src[at]).into(),
            dst: Ipv6Addr::from_bits(self.dst[at]).into(),
            protocol: Protocol(self.protocol[at]),
            src_port: self.src_port[at],
            dst_port: self.dst_port[at],
            ..PacketKey::UNSTATED
        }
    }

    #[inline(always)]
    fn fill<L: Lanes>(&self, lanes: L, chunk: &mut Chunk, packets: Range<usize>, context: u32) {
        let count = packets.len();
        chunk.start(true, count);
        divide(lanes, &self.src[packets.clone()], &mut chunk.src);
        divide(lanes, &self.dst[packets.clone()], &mut chunk.dst);
        widen(&self.src_port[packets.clone()], &mut chunk.src_port);
        widen(&self.dst_port[packets.clone()], &mut chunk.dst_port);
        chunk.protocol[..count].copy_from_slice(&self.protocol[packets]);
        chunk.context[..count].fill(context);
    }
}

#[inline(always)]
fn widen<T: Copy + Into<u32>>(values: &[T], to: &mut [u32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to = (*value).into());
}

/// Addresses → their four words.
#[inline(always)]
fn divide<L: Lanes>(lanes: L, addresses: &[u128], to: &mut Words) {
    let whole = addresses.len() / L::WIDTH * L::WIDTH;
    for at in (0..whole).step_by(L::WIDTH) {
        let words = lanes.words(&addresses[at..at + L::WIDTH]);
        for (words, to) in words.into_iter().zip(&mut *to) {
            lanes.store(words, to, at);
        }
    }
    for (at, address) in addresses.iter().enumerate().skip(whole) {
        for (word, to) in to.iter_mut().enumerate() {
            to[at] = (address >> (96 - 32 * word)) as u32;
        }
    }
}

/// Working memory of batch lookups, some 26 kB, and the instructions they use. Any policy and any
/// batch may use it again.
#[derive(Debug)]
pub struct BatchScratch {
    pub(crate) chunk: Box<Chunk>,
    pub(crate) instructions: Instructions,
}

impl BatchScratch {
    /// With instructions of choice, for tests and benches. Those the processor lacks are replaced
    /// by portable ones.
    pub fn with(instructions: Instructions) -> Self {
        Self { chunk: Box::new(Chunk::EMPTY), instructions }
    }
}

impl Default for BatchScratch {
    /// With the widest instructions the processor has.
    fn default() -> Self {
        Self::with(Instructions::best())
    }
}
