//! What a batch lookup knows of the packets it looks up side by side.

/// Packets looked up side by side; a power of two.
pub(crate) const CHUNK: usize = 256;

/// The widest vector: queues may be written that far past their end.
const MOST_WIDTH: usize = 16;

/// One array a field, one element a packet.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Chunk {
    /// How many packets there are.
    pub(crate) count: usize,
    pub(crate) src: [u32; CHUNK],
    pub(crate) dst: [u32; CHUNK],
    pub(crate) src_port: [u32; CHUNK],
    pub(crate) dst_port: [u32; CHUNK],
    pub(crate) protocol: [u32; CHUNK],
    /// Class of zones and interfaces.
    pub(crate) context: [u32; CHUNK],
    /// Address classes, then what the directories say of tuples in the upper half.
    pub(crate) src_class: [u32; CHUNK],
    pub(crate) dst_class: [u32; CHUNK],
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
}

/// Packets that wait for a step, and what they have come to.
#[derive(Debug)]
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
        count: 0,
        src: [0; CHUNK],
        dst: [0; CHUNK],
        src_port: [0; CHUNK],
        dst_port: [0; CHUNK],
        protocol: [0; CHUNK],
        context: [0; CHUNK],
        src_class: [0; CHUNK],
        dst_class: [0; CHUNK],
        class: [0; CHUNK],
        tuples: [0; CHUNK],
        found: [0; CHUNK],
        index: [0; CHUNK],
        rest: [0; CHUNK],
        queue: Queue::EMPTY,
    };
}
