//! What a batch lookup knows of the packets it looks up side by side.

use std::net::IpAddr;

use parefeu_policy::PacketKey;

use crate::tables::MOST_GROUPS;

/// Packets looked up side by side; a power of two.
pub(crate) const CHUNK: usize = 256;

/// The widest vector: queues may be written that far past their end.
const MOST_WIDTH: usize = 16;

/// The words of one side's addresses, the first bits first; those of IPv4 have one.
pub(crate) type Words = [[u32; CHUNK]; 4];

/// The words of one side's classes in groups.
pub(crate) type Halves = [[u32; CHUNK]; MOST_GROUPS / 2];

/// One array a field, one element a packet. The arrays come first, each a multiple of 64 bytes, so
/// that no vector of theirs lies across two lines.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Chunk {
    pub(crate) src: Words,
    pub(crate) dst: Words,
    pub(crate) src_port: [u32; CHUNK],
    pub(crate) dst_port: [u32; CHUNK],
    pub(crate) protocol: [u8; CHUNK],
    /// Class of zones and interfaces.
    pub(crate) context: [u32; CHUNK],
    /// Address classes, then what the directories say of tuples in the upper half.
    pub(crate) src_class: [u32; CHUNK],
    pub(crate) dst_class: [u32; CHUNK],
    /// Address classes in each group of rules, two to a word.
    pub(crate) src_groups: Halves,
    pub(crate) dst_groups: Halves,
    /// Condition classes.
    pub(crate) class: [u32; CHUNK],
    /// Tuples that may hold the packet, one bit each.
    pub(crate) tuples: [u32; CHUNK],
    /// The answers: the first candidate of each packet.
    pub(crate) found: [u32; CHUNK],
    /// Indices between two steps.
    pub(crate) index: [u32; CHUNK],
    pub(crate) rest: [u32; CHUNK],
    pub(crate) queue: Queue,
    /// How many packets there are.
    pub(crate) count: usize,
    /// Whether they are IPv6 packets.
    pub(crate) is_v6: bool,
}

/// Packets that wait for a step, and what they have come to; laid out as [`Chunk`] is.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Queue {
    pub(crate) packet: [u32; CHUNK + MOST_WIDTH],
    pub(crate) at: [u32; CHUNK + MOST_WIDTH],
    pub(crate) length: usize,
}

impl Queue {
    const EMPTY: Self =
        Self { packet: [0; CHUNK + MOST_WIDTH], at: [0; CHUNK + MOST_WIDTH], length: 0 };
}

impl Chunk {
    pub(crate) const EMPTY: Self = Self {
        src: [[0; CHUNK]; 4],
        dst: [[0; CHUNK]; 4],
        src_port: [0; CHUNK],
        dst_port: [0; CHUNK],
        protocol: [0; CHUNK],
        context: [0; CHUNK],
        src_class: [0; CHUNK],
        dst_class: [0; CHUNK],
        src_groups: [[0; CHUNK]; MOST_GROUPS / 2],
        dst_groups: [[0; CHUNK]; MOST_GROUPS / 2],
        class: [0; CHUNK],
        tuples: [0; CHUNK],
        found: [0; CHUNK],
        index: [0; CHUNK],
        rest: [0; CHUNK],
        queue: Queue::EMPTY,
        count: 0,
        is_v6: false,
    };

    /// Makes ready for `count` packets of a family.
    pub(crate) fn start(&mut self, is_v6: bool, count: usize) {
        (self.is_v6, self.count) = (is_v6, count);
    }

    /// Adds a packet of the family the chunk is for, with the class of its zones and interfaces;
    /// `false` and nothing done for others.
    pub(crate) fn push(&mut self, key: &PacketKey, context: u32) -> bool {
        let at = self.count;
        match (key.src, key.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) if !self.is_v6 => {
                (self.src[0][at], self.dst[0][at]) = (src.to_bits(), dst.to_bits());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) if self.is_v6 => {
                for (word, shift) in [96, 64, 32, 0].into_iter().enumerate() {
                    self.src[word][at] = (src.to_bits() >> shift) as u32;
                    self.dst[word][at] = (dst.to_bits() >> shift) as u32;
                }
            }
            _ => return false,
        }
        self.src_port[at] = key.src_port.into();
        self.dst_port[at] = key.dst_port.into();
        self.protocol[at] = key.protocol.0;
        self.context[at] = context;
        self.count += 1;
        true
    }
}
