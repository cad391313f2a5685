//! Packets as hosts rarely send them: IPv6 extension headers, lengths and offsets that are wrong,
//! options of TCP that end too soon, errors of every type.

use parefeu_engine::{Engine, EngineConfig, Verdict};
use parefeu_net::Timestamp;
use parefeu_testkit::Random;
use parefeu_testkit::frames::frame;
use parefeu_testkit::kernel::Side;

use crate::contest::decide;
use crate::firewall::Firewall;
use crate::start;

/// What is done to a frame once it is written.
#[derive(Clone, Debug)]
pub(crate) enum Odd {
    /// These extension headers stand before what an IPv6 packet carries.
    Extensions(Vec<u8>),
    /// A UDP length that is so much off.
    UdpLength(i16),
    /// A TCP header of so many words, whatever there is.
    TcpWords(u8),
    /// Reserved bits and an urgent pointer.
    Urgent(u8, u16),
    /// Other options of TCP.
    TcpOptions(Vec<u8>),
}

impl Odd {
    /// Something odd for a packet of an IP protocol.
    pub(crate) fn random(random: &mut Random, protocol: u8, is_v6: bool) -> Option<Self> {
        if is_v6 && random.percent(50) {
            let count = 1 + random.below(3);
            let mut one = || EXTENSIONS[random.below(EXTENSIONS.len())];
            return Some(Self::Extensions((0..count).map(|_| one()).collect()));
        }
        match (protocol, random.below(3)) {
            (UDP, _) => {
                Some(Self::UdpLength([-1, 1, -8, 8, -2000, i16::MAX, -9, 100][random.below(8)]))
            }
            (TCP, 0) => Some(Self::TcpWords(random.below(16) as u8)),
            (TCP, 1) => Some(Self::Urgent(random.below(16) as u8, random.next_u64() as u16)),
            (TCP, _) => {
                let words = 1 + random.below(4);
                let bytes = (0..words * 4).map(|_| OPTIONS[random.below(OPTIONS.len())]);
                Some(Self::TcpOptions(bytes.collect()))
            }
            _ => None,
        }
    }

    pub(crate) fn apply(&self, frame: &mut Vec<u8>) {
        match self {
            Self::Extensions(kinds) => extend(frame, kinds),
            Self::UdpLength(off) => {
                let at = transport(frame) + 4;
                let length = u16::from_be_bytes([frame[at], frame[at + 1]]);
                let length = length.wrapping_add_signed(*off);
                frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
                checksum(frame, UDP, 6, usize::from(length));
            }
            Self::TcpWords(words) => {
                let at = transport(frame) + 12;
                frame[at] = words << 4;
                checksum(frame, TCP, 16, usize::MAX);
            }
            Self::Urgent(reserved, pointer) => {
                let at = transport(frame);
                frame[at + 12] |= reserved;
                frame[at + 18..at + 20].copy_from_slice(&pointer.to_be_bytes());
                checksum(frame, TCP, 16, usize::MAX);
            }
            Self::TcpOptions(options) => {
                let at = transport(frame);
                let old = usize::from(frame[at + 12] >> 4) * 4;
                frame.splice(at + 20..at + old, options.iter().copied());
                let words = (5 + options.len() / 4) as u8;
                frame[at + 12] = (words << 4) | (frame[at + 12] & 15);
                lengthen(frame, old, 20 + options.len());
                checksum(frame, TCP, 16, usize::MAX);
            }
        }
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Hop-by-hop options, routing (of type 0 and 4, with nothing left of the way), destination
/// options; authentication, of which nothing is known but how long it is; none, and mobility.
const EXTENSIONS: [u8; 12] = [0, 0, 43, 43, 60, 60, 60, 51, 0, 59, 135, 43];

/// Kinds of options and their lengths, which meet by chance.
const OPTIONS: [u8; 12] = [0, 1, 1, 2, 3, 4, 5, 8, 10, 2, 4, 3];

/// Where what the packet carries begins, in a frame without extension headers.
fn transport(frame: &[u8]) -> usize {
    if frame[14] >> 4 == 4 { 14 + usize::from(frame[14] & 15) * 4 } else { 54 }
}

/// Puts extension headers into an IPv6 packet.
fn extend(frame: &mut Vec<u8>, kinds: &[u8]) {
    let carried = frame[20];
    let mut headers = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let next = kinds.get(at + 1).copied().unwrap_or(carried);
        headers.extend(match kind {
            // Two words of it: four bytes less than the length field of the others says.
            51 => vec![next, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7, 7, 7],
            43 => vec![next, 0, 4, 0, 0, 0, 0, 0],
            // Padding (RFC 8200 §4.2).
            _ => vec![next, 0, 1, 4, 0, 0, 0, 0],
        });
    }
    frame[20] = kinds[0];
    lengthen(frame, 0, headers.len());
    frame.splice(54..54, headers);
}

/// Changes the length an IP header states, as a part of the packet has become longer.
fn lengthen(frame: &mut [u8], old: usize, new: usize) {
    let at = if frame[14] >> 4 == 4 { 16 } else { 18 };
    let length = u16::from_be_bytes([frame[at], frame[at + 1]]);
    let length = length.wrapping_add(new as u16).wrapping_sub(old as u16);
    frame[at..at + 2].copy_from_slice(&length.to_be_bytes());
    if at == 16 {
        let end = transport(frame);
        frame[24..26].fill(0);
        let sum = folded(&frame[14..end], 0);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Makes the checksum right, which stands `at` so many bytes into a transport header, over as much
/// as there is of `length` bytes (RFC 1071, RFC 8200 §8.1).
fn checksum(frame: &mut [u8], protocol: u8, at: usize, length: usize) {
    let start = transport(frame);
    let end = start.saturating_add(length).min(frame.len());
    let addresses = if frame[14] >> 4 == 4 { 26..34 } else { 22..54 };
    if end < start + at + 2 {
        return;
    }
    frame[start + at..start + at + 2].fill(0);
    let pseudo = u32::from(protocol) + (length.min(frame.len() - start)) as u32;
    let addresses: u32 = words(&frame[addresses]);
    let sum = folded(&frame[start..end], pseudo + addresses);
    let sum = if sum == 0 { u16::MAX } else { sum };
    frame[start + at..start + at + 2].copy_from_slice(&sum.to_be_bytes());
}

fn words(bytes: &[u8]) -> u32 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    bytes.chunks(2).map(word).sum()
}

fn folded(bytes: &[u8], more: u32) -> u16 {
    let mut sum = words(bytes) + more;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !sum as u16
}

/// An ICMP error of any type and code.
pub(crate) fn error(random: &mut Random, is_v6: bool) -> String {
    let kinds: &[u8] =
        if is_v6 { &[1, 1, 2, 3, 4, 4, 5, 100] } else { &[3, 3, 3, 4, 5, 11, 12, 1] };
    let code = if random.percent(80) { random.below(17) } else { random.below(256) };
    format!("icmp={}/{code}", kinds[random.below(kinds.len())])
}

/// What a router drops of its own accord, or takes for itself, never comes to the kernel's rules
/// for what it forwards. Ours judge it as
/// any other packet: `docs/semantics.md` S10.5.
#[test]
fn what_a_router_drops_of_its_own_accord_is_judged_all_the_same() {
    let firewall = Firewall::plain();
    let Some(mut kernel) = start() else { return };
    kernel.load(&firewall.nft).unwrap();
    let mut engine = Engine::new(firewall.policy(), EngineConfig::default());
    for text in [
        "10.1.0.5:4000 > 198.51.100.9:80 S ttl=1",
        "10.1.0.5:4001 > 198.51.100.9:80 S ttl=0",
        "10.1.0.5:4002 > 198.51.100.9:53 udp options=8307040a01000500",
        "127.0.0.1:4000 > 198.51.100.9:53 udp",
        "0.0.0.0:4000 > 198.51.100.9:53 udp",
        "224.0.0.1:4000 > 198.51.100.9:53 udp",
        "10.1.0.5:4000 > 127.0.0.1:53 udp",
        "10.1.0.5:4000 > 224.0.0.5:53 udp",
        "10.1.0.5:4000 > 255.255.255.255:53 udp",
        "10.1.0.5:4000 > 0.0.0.0:53 udp",
        "[2001:db8:1::1]:4000 > [2001:db8:2::9]:80 S ttl=1",
        "[::1]:4000 > [2001:db8:2::9]:53 udp",
        "[ff02::1]:4000 > [2001:db8:2::9]:53 udp",
        "[2001:db8:1::1]:4000 > [::1]:53 udp",
        "[2001:db8:1::1]:4000 > [ff02::1]:53 udp",
    ] {
        let frame = frame(text);
        let seen = kernel.step(Side::Client, &frame).unwrap();
        assert_eq!((seen.forwarded.len(), seen.rule()), (0, None), "{text}");
        let now = Timestamp::from_secs(1_700_000_000);
        let decision = decide(&mut engine, now, Side::Client, &frame);
        assert_eq!(decision.verdict, Verdict::Allow, "{text}");
    }
}
