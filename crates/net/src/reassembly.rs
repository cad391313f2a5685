//! Bounded reassembly of fragmented datagrams.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decode::{MAX_DATAGRAM_LEN, decode_datagram};
use crate::{
    DecodeLimits, FragmentHeader, Link, Network, Packet, Protocol, Timestamp, TunnelStack, VlanTags,
};

/// How much a [`Reassembler`] may hold, and for how long.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FragmentLimits {
    /// Incomplete datagrams held at most.
    pub max_datagrams: usize,
    /// Bytes held at most: fragments, their headers and the bookkeeping for them. The datagram last
    /// completed and the buffers of a few before it, at most 64 KiB and a header each, come on top.
    pub max_bytes: usize,
    /// Fragments of one datagram at most; a 64 KiB datagram needs 47 on Ethernet.
    pub max_fragments_per_datagram: usize,
    /// How long an incomplete IPv4 datagram is held after its first fragment (Linux: 30 s).
    pub timeout_v4: Duration,
    /// How long an incomplete IPv6 datagram is held after its first fragment (RFC 8200 §4.5: 60 s).
    pub timeout_v6: Duration,
}

impl Default for FragmentLimits {
    fn default() -> Self {
        Self {
            max_datagrams: 4096,
            max_bytes: 4 << 20,
            max_fragments_per_datagram: 256,
            timeout_v4: Duration::from_secs(30),
            timeout_v6: Duration::from_secs(60),
        }
    }
}

/// What became of a packet given to [`Reassembler::handle_fragment`].
#[derive(Clone, Debug)]
pub enum Reassembly<'r> {
    /// The packet is no fragment: judge it as it is.
    Whole,
    /// The fragment is held until the rest arrives.
    Hold,
    /// Every byte of the fragment was held already. It is dropped; the first data stands.
    Duplicate,
    /// The fragment completed its datagram, which is no longer held.
    Complete(Datagram<'r>),
    /// The fragment is dropped, and with it all that was held of its datagram.
    Discard(DiscardReason),
}

/// Why a fragment and its datagram were discarded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum DiscardReason {
    /// The fragment overlaps others without lying wholly inside them (RFC 5722 §3), or moves the
    /// end of the datagram.
    Overlap,
    /// More fragments than [`FragmentLimits::max_fragments_per_datagram`].
    TooManyFragments,
    /// The datagram would be longer than 65,535 bytes.
    DatagramTooLong,
    /// [`FragmentLimits::max_datagrams`] are held already; those are kept.
    TooManyDatagrams,
    /// The fragment would exceed [`FragmentLimits::max_bytes`]; other datagrams are kept.
    MemoryLimit,
    /// An empty fragment, or one before the last whose length is no multiple of 8.
    BadSize,
    /// The first fragment ends before the transport header does (RFC 8200 §4.5). What was held of
    /// the datagram stays.
    IncompleteHeader,
    /// The capture does not hold the whole fragment.
    Truncated,
}

impl DiscardReason {
    /// Every variant, in the order counters are printed.
    pub const ALL: [Self; 8] = [
        Self::Overlap,
        Self::TooManyFragments,
        Self::DatagramTooLong,
        Self::TooManyDatagrams,
        Self::MemoryLimit,
        Self::BadSize,
        Self::IncompleteHeader,
        Self::Truncated,
    ];

    /// The name that appears in reports and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overlap => "fragment-overlap",
            Self::TooManyFragments => "fragment-count",
            Self::DatagramTooLong => "datagram-too-long",
            Self::TooManyDatagrams => "fragmented-datagram-limit",
            Self::MemoryLimit => "fragment-memory-limit",
            Self::BadSize => "fragment-bad-size",
            Self::IncompleteHeader => "fragment-incomplete-header",
            Self::Truncated => "fragment-truncated",
        }
    }
}

/// A whole datagram, borrowed from the reassembler until its next call.
#[derive(Clone, Debug)]
pub struct Datagram<'r> {
    network: Network<'r>,
    link: Link,
    tunnels: TunnelStack,
    fragment_count: usize,
}

impl<'r> Datagram<'r> {
    /// The IP layer: the first fragment's header, the whole payload, no fragment.
    ///
    /// In IPv6 the protocol may be an extension header; [`Datagram::decode`] follows it.
    pub const fn network(&self) -> &Network<'r> {
        &self.network
    }

    /// How many fragments it arrived in, duplicates not counted.
    pub const fn fragment_count(&self) -> usize {
        self.fragment_count
    }

    /// The packet that the sender had before it was fragmented, with the link layer of the fragment
    /// that completed it.
    pub fn decode(&self, limits: &DecodeLimits) -> Packet<'r> {
        decode_datagram((self.link, self.tunnels), self.network, *limits)
    }
}

/// Puts fragmented IPv4 and IPv6 datagrams together, within bounds.
///
/// Overlaps are judged as the Linux kernel does: a fragment inside a contiguous run of earlier ones
/// is ignored, so that the first data stands; any other overlap discards the datagram (RFC 5722
/// for IPv6, the same for IPv4). Nothing is remembered of a discarded datagram: what arrives of it
/// later never completes unless all of it is sent again. Reaching a limit discards the datagram
/// that reaches it, never another. Deterministic: the same calls give the same answers.
///
/// Datagrams are told apart by addresses, identification, VLAN tags and entered tunnels, and in
/// IPv4 by protocol.
#[derive(Debug)]
pub struct Reassembler {
    limits: FragmentLimits,
    partials: BTreeMap<Key, Partial>,
    /// When each partial datagram expires; the serial number keeps equal deadlines apart.
    deadlines: BTreeMap<(Timestamp, u64), Key>,
    next_serial: u64,
    held_bytes: usize,
    /// The datagram last completed, lent to the caller: its header and its payload.
    completed: (Vec<u8>, Vec<u8>),
    /// Completed datagrams, emptied, whose buffers the next ones take: at most [`MAX_SPARE`].
    spare: Vec<Partial>,
}

impl Reassembler {
    /// A reassembler that holds nothing.
    pub fn new(limits: FragmentLimits) -> Self {
        Self {
            limits,
            partials: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            next_serial: 0,
            held_bytes: 0,
            completed: (Vec::new(), Vec::new()),
            spare: Vec::new(),
        }
    }

    /// Takes one decoded packet. `now` must not run backwards between calls.
    ///
    /// A packet that is no fragment is [`Reassembly::Whole`] and changes nothing. Logarithmic in
    /// the number of datagrams held, linear in the bytes of a datagram that completes. Allocates
    /// while more datagrams are held, or longer ones, than before.
    pub fn handle_fragment(&mut self, now: Timestamp, packet: &Packet<'_>) -> Reassembly<'_> {
        let Some(network) = &packet.network else { return Reassembly::Whole };
        let Some(fragment) = &network.fragment else { return Reassembly::Whole };
        if network.src.is_ipv6() && fragment.offset_bytes == 0 && lacks_transport(network, fragment)
        {
            return Reassembly::Discard(DiscardReason::IncompleteHeader);
        }
        let key = Key::new(packet, network, fragment);
        if self.partials.get(&key).is_some_and(|partial| partial.deadline.0 <= now) {
            self.remove(&key);
        }
        match self.add(now, key, network, fragment) {
            Ok(Insertion::Hold) => Reassembly::Hold,
            Ok(Insertion::Duplicate) => Reassembly::Duplicate,
            Ok(Insertion::Complete) => self.complete(key, packet, network),
            Err(reason) => {
                self.remove(&key);
                Reassembly::Discard(reason)
            }
        }
    }

    /// Discards every datagram whose deadline is at or before `now`, and says how many.
    pub fn handle_timeout(&mut self, now: Timestamp) -> usize {
        let mut expired = 0;
        while let Some((&(deadline, _), &key)) = self.deadlines.first_key_value() {
            if deadline > now {
                break;
            }
            self.remove(&key);
            expired += 1;
        }
        expired
    }

    /// When [`Reassembler::handle_timeout`] next has work; `None` while nothing is held.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadlines.first_key_value().map(|(&(deadline, _), _)| deadline)
    }

    /// Incomplete datagrams held.
    pub fn datagram_count(&self) -> usize {
        self.partials.len()
    }

    /// Bytes held for incomplete datagrams, as [`FragmentLimits::max_bytes`] counts them.
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// What is held, to be written down and taken up again by this version of the crate.
    pub fn saved(&self) -> SavedFragments {
        let partials = self.partials.iter().map(|(key, partial)| (*key, partial.clone()));
        SavedFragments { partials: partials.collect(), next_serial: self.next_serial }
    }

    /// Takes up what was held, in place of what is.
    pub fn restore(&mut self, saved: SavedFragments) {
        let SavedFragments { partials, next_serial } = saved;
        self.held_bytes = partials.iter().map(|(_, it)| DATAGRAM_COST + it.cost).sum();
        self.deadlines = partials.iter().map(|(key, it)| (it.deadline, *key)).collect();
        self.partials = partials.into_iter().collect();
        self.next_serial = next_serial;
    }

    fn add(
        &mut self,
        now: Timestamp,
        key: Key,
        network: &Network<'_>,
        fragment: &FragmentHeader,
    ) -> Result<Insertion, DiscardReason> {
        let piece = Piece::new(network, fragment)?;
        let is_new = !self.partials.contains_key(&key);
        if is_new && self.partials.len() >= self.limits.max_datagrams {
            return Err(DiscardReason::TooManyDatagrams);
        }
        let spare = &mut self.spare;
        let partial = self.partials.entry(key).or_insert_with(|| spare.pop().unwrap_or_default());
        if is_new {
            let is_ipv6 = network.src.is_ipv6();
            let timeout = if is_ipv6 { self.limits.timeout_v6 } else { self.limits.timeout_v4 };
            partial.deadline = (now + timeout, self.next_serial);
            self.deadlines.insert(partial.deadline, key);
            self.next_serial += 1;
            self.held_bytes += DATAGRAM_COST;
        }
        let Some(place) = partial.place(piece, fragment.more)? else {
            return Ok(Insertion::Duplicate);
        };
        if partial.pieces.len() >= self.limits.max_fragments_per_datagram {
            return Err(DiscardReason::TooManyFragments);
        }
        let header = if piece.start == 0 { network.header } else { &[] };
        let cost = partial.growth(network.payload.len(), header.len());
        self.held_bytes += cost;
        if self.held_bytes > self.limits.max_bytes {
            return Err(DiscardReason::MemoryLimit);
        }
        partial.insert(place, piece, network.payload);
        if piece.start == 0 {
            partial.first = First::new(network, fragment);
            partial.header.extend_from_slice(header);
        }
        Ok(if partial.is_complete() { Insertion::Complete } else { Insertion::Hold })
    }

    fn complete(&mut self, key: Key, packet: &Packet<'_>, network: &Network<'_>) -> Reassembly<'_> {
        let Some(mut partial) = self.remove(&key) else { return Reassembly::Hold };
        let (header, payload) = &mut self.completed;
        payload.clear();
        for piece in &partial.pieces {
            payload.extend_from_slice(partial.bytes_of(piece));
        }
        let fragment_count = partial.pieces.len();
        let first = partial.first;
        std::mem::swap(header, &mut partial.header);
        if self.spare.len() < MAX_SPARE {
            partial.empty();
            self.spare.push(partial);
        }
        Reassembly::Complete(Datagram {
            network: Network {
                src: network.src,
                dst: network.dst,
                protocol: first.protocol,
                ttl: first.ttl,
                fragment: None,
                source_routed: first.source_routed,
                header,
                payload,
                payload_len: payload.len() as u32,
            },
            link: packet.link,
            tunnels: packet.tunnels,
            fragment_count,
        })
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let partial = self.partials.remove(key)?;
        self.deadlines.remove(&partial.deadline);
        self.held_bytes = self.held_bytes.saturating_sub(DATAGRAM_COST + partial.cost);
        Some(partial)
    }
}

/// Fragments a [`Reassembler`] holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct SavedFragments {
    partials: Vec<(Key, Partial)>,
    next_serial: u64,
}

/// What tells datagrams apart.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
struct Key {
    id: u32,
    src: IpAddr,
    dst: IpAddr,
    /// The protocol in IPv4; IPv6 does not count it (RFC 8200 §4.5).
    protocol: Option<Protocol>,
    vlans: VlanTags,
    tunnels: TunnelStack,
}

impl Key {
    fn new(packet: &Packet<'_>, network: &Network<'_>, fragment: &FragmentHeader) -> Self {
        Self {
            id: fragment.id,
            src: network.src,
            dst: network.dst,
            protocol: network.src.is_ipv4().then_some(fragment.next),
            vlans: packet.link.vlans,
            tunnels: packet.tunnels,
        }
    }
}

/// What adding a fragment led to.
enum Insertion {
    Hold,
    Duplicate,
    Complete,
}

/// Where a fragment's bytes belong in the datagram, and where they are held.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Piece {
    start: u32,
    end: u32,
    held_at: u32,
}

impl Piece {
    /// Refuses a fragment that fits no datagram.
    fn new(network: &Network<'_>, fragment: &FragmentHeader) -> Result<Self, DiscardReason> {
        let len = network.payload_len;
        if network.payload.len() != len as usize {
            return Err(DiscardReason::Truncated);
        }
        if len == 0 || fragment.more && !len.is_multiple_of(8) {
            return Err(DiscardReason::BadSize);
        }
        // IPv4 counts its header in the datagram's length; IPv6 does not.
        let header_len = if network.src.is_ipv4() { network.header.len() as u32 } else { 0 };
        let start = fragment.offset_bytes;
        match start.checked_add(len) {
            Some(end) if end <= MAX_DATAGRAM_LEN.saturating_sub(header_len) => {
                Ok(Self { start, end, held_at: 0 })
            }
            _ => Err(DiscardReason::DatagramTooLong),
        }
    }
}

/// Whether the payload of a first fragment of IPv6 ends before its transport header does.
fn lacks_transport(network: &Network<'_>, fragment: &FragmentHeader) -> bool {
    let (mut next, mut at) = (fragment.next, 0);
    // Hop-by-hop, routing and destination options (RFC 8200 §4).
    while let Protocol(0 | 43 | 60) = next {
        let Some(&[protocol, units, ..]) = network.payload.get(at..) else { return true };
        (next, at) = (Protocol(protocol), at + 8 * (usize::from(units) + 1));
    }
    let header = match next {
        Protocol::TCP => 20,
        Protocol::UDP | Protocol::ICMPV6 => 8,
        _ => 1,
    };
    at + header > network.payload_len as usize
}

/// What the first fragment says of the whole datagram.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct First {
    protocol: Protocol,
    ttl: u8,
    source_routed: bool,
}

impl First {
    fn new(network: &Network<'_>, fragment: &FragmentHeader) -> Self {
        let Network { ttl, source_routed, .. } = *network;
        Self { protocol: fragment.next, ttl, source_routed }
    }
}

/// A datagram of which fragments are missing.
///
/// Invariants: `pieces` are in order and disjoint; `runs` are in order and disjoint and cover the
/// same bytes; no piece ends after `len` once it is known.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Partial {
    deadline: (Timestamp, u64),
    /// Fragment bytes in the order of arrival.
    held: Vec<u8>,
    pieces: Vec<Piece>,
    /// Spans that arrived in one go, each fragment continuing the one before.
    runs: Vec<(u32, u32)>,
    /// The first fragment's header.
    header: Vec<u8>,
    first: First,
    /// The length, once the last fragment was seen.
    len: Option<u32>,
    /// Bytes counted for it beside [`DATAGRAM_COST`].
    cost: usize,
}

impl Default for Partial {
    fn default() -> Self {
        Self {
            deadline: (Timestamp::EPOCH, 0),
            held: Vec::new(),
            pieces: Vec::new(),
            runs: Vec::new(),
            header: Vec::new(),
            first: First { protocol: Protocol(0), ttl: 0, source_routed: false },
            len: None,
            cost: 0,
        }
    }
}

impl Partial {
    /// The index in `pieces` where the fragment belongs; `None` for a duplicate.
    ///
    /// A fragment that ends beyond the last one held may only start there or later; one before that
    /// may fill a gap or repeat part of a run.
    fn place(&mut self, piece: Piece, more: bool) -> Result<Option<usize>, DiscardReason> {
        let held_end = self.pieces.last().map_or(0, |last| last.end);
        let moves_end = match (self.len, more) {
            (Some(len), true) => piece.end > len,
            (Some(len), false) => piece.end != len,
            (None, true) => false,
            (None, false) => piece.end < held_end,
        };
        if moves_end {
            return Err(DiscardReason::Overlap);
        }
        if !more {
            self.len = Some(piece.end);
        }
        let after = self.runs.partition_point(|&(_, end)| end <= piece.start);
        match self.runs.get(after) {
            Some(&(start, end)) if start <= piece.start && piece.end <= end => Ok(None),
            Some(&(start, _)) if start < piece.end => Err(DiscardReason::Overlap),
            _ => Ok(Some(self.pieces.partition_point(|held| held.end <= piece.start))),
        }
    }

    fn insert(&mut self, place: usize, piece: Piece, bytes: &[u8]) {
        let held_at = self.held.len() as u32;
        self.held.extend_from_slice(bytes);
        let is_tail = place == self.pieces.len();
        self.pieces.insert(place, Piece { held_at, ..piece });
        match self.runs.last_mut() {
            Some((_, end)) if is_tail && *end == piece.start => *end = piece.end,
            _ => {
                let at = self.runs.partition_point(|&(_, end)| end <= piece.start);
                self.runs.insert(at, (piece.start, piece.end));
            }
        }
    }

    /// Makes it new again but for the room it has.
    fn empty(&mut self) {
        self.held.clear();
        self.pieces.clear();
        self.runs.clear();
        self.header.clear();
        (self.len, self.cost) = (None, 0);
    }

    /// Makes room for one fragment more; returns the bytes that this adds to what is held. Room
    /// that an earlier datagram left is counted as far as this one needs it: the same fragments
    /// always count the same.
    fn growth(&mut self, len: usize, header_len: usize) -> usize {
        let needed = (self.held.len() + len).next_multiple_of(GRANULE);
        if needed > self.held.capacity() {
            self.held.reserve_exact(needed - self.held.len());
        }
        self.header.reserve_exact(header_len);
        let slots = (self.pieces.len() + 1).next_power_of_two().max(4);
        let cost = needed + self.header.len() + header_len + slots * FRAGMENT_COST;
        let growth = cost.saturating_sub(self.cost);
        self.cost += growth;
        growth
    }

    fn is_complete(&self) -> bool {
        let Some(len) = self.len else { return false };
        // Pieces are disjoint and end at `len` at most: they fill it when their lengths add up.
        self.held.len() == len as usize
    }

    fn bytes_of(&self, piece: &Piece) -> &[u8] {
        let len = (piece.end - piece.start) as usize;
        let from = piece.held_at as usize;
        self.held.get(from..from + len).unwrap_or_default()
    }
}

/// As many datagrams as are commonly in flight at once.
const MAX_SPARE: usize = 4;
/// Fragment bytes are allocated in multiples of this: most datagrams then grow a few times only.
const GRANULE: usize = 2048;
/// Bytes counted for a fragment's place in the datagram: a piece and a run.
const FRAGMENT_COST: usize = size_of::<Piece>() + size_of::<(u32, u32)>();
/// Bytes counted for an incomplete datagram before its fragments: two map entries with their share
/// of tree nodes, which are at least five elevenths full.
const DATAGRAM_COST: usize =
    2 * (2 * size_of::<Key>() + size_of::<Partial>() + size_of::<(Timestamp, u64)>());

#[cfg(test)]
mod tests;
