//! Captured traffic made long: played again and again between other hosts.

use std::net::Ipv4Addr;
use std::time::Duration;

use parefeu_net::Timestamp;

/// Ethernet frames to be played in rounds, each round between hosts of its own.
///
/// The captures given begin together, as if one link had carried all of them, and pauses are
/// shortened to [`Traffic::LONGEST_PAUSE`]. What is played has the connections, sizes and order of
/// real traffic at any length, without a large file to keep.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// Each frame with its time from the beginning of its capture.
    frames: Vec<(Duration, Vec<u8>)>,
}

impl Traffic {
    /// A pause between two frames of a round is no longer than this.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

    /// When the first round begins; an arbitrary day on which pcap's 32 bits of seconds agree.
    pub const BEGINNING: Timestamp = Timestamp::from_secs(1_700_000_000);

    /// Adds a capture: its frames, in the order of the file.
    pub fn add(&mut self, frames: impl IntoIterator<Item = (Timestamp, Vec<u8>)>) {
        let mut frames = frames.into_iter().peekable();
        let Some(beginning) = frames.peek().map(|(time, _)| *time) else { return };
        self.frames.extend(frames.map(|(time, data)| (time.since(beginning), data)));
    }

    /// How many frames a round has.
    pub const fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is nothing to play.
    pub const fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Shows `handle` every frame of `rounds` rounds with its time, in the order of time.
    ///
    /// # Errors
    /// The first error of `handle`, which ends the play.
    pub fn play<E>(
        &self,
        rounds: u16,
        mut handle: impl FnMut(Timestamp, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<&(Duration, Vec<u8>)> = self.frames.iter().collect();
        order.sort_by_key(|(time, _)| *time);
        let mut now = Self::BEGINNING;
        let mut frame = Vec::new();
        for round in 0..rounds {
            let mut before = Duration::ZERO;
            for (time, data) in &order {
                now = now + time.saturating_sub(before).min(Self::LONGEST_PAUSE);
                before = *time;
                frame.clone_from(data);
                readdress(&mut frame, round);
                handle(now, &frame)?;
            }
            now = now + Self::LONGEST_PAUSE;
        }
        Ok(())
    }
}

/// Moves the hosts of an Ethernet frame elsewhere, the same host always to the same place; round 0
/// leaves them where they are.
///
/// Both addresses change, and those that an ICMP error quotes. The change leaves the checksums of
/// every layer right (it is neutral to them, as in RFC 6296 §3.1), so nothing else of the frame has
/// to. Multicast, broadcast and unspecified addresses stay, and so does what is inside tunnels.
pub fn readdress(frame: &mut [u8], round: u16) {
    let mut at = 12;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(at..at + 2) {
        at += 4;
    }
    match frame.get(at..at + 2) {
        Some([0x08, 0x00]) => readdress_v4(&mut frame[at + 2..], round),
        Some([0x86, 0xdd]) => readdress_v6(&mut frame[at + 2..], round),
        _ => {}
    }
}

fn readdress_v4(packet: &mut [u8], round: u16) {
    for at in [12, 16] {
        let Some(address) = packet.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) else {
            return;
        };
        let host = Ipv4Addr::from(*address);
        if !host.is_multicast() && !host.is_broadcast() && !host.is_unspecified() {
            shift(address, round);
        }
    }
    let (header_len, protocol) = (usize::from(packet[0] & 15) * 4, packet[9]);
    let offset = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff;
    if protocol == 1
        && offset == 0
        && let Some((3 | 4 | 5 | 11 | 12, quoted)) = message(packet, header_len)
    {
        readdress_v4(quoted, round);
    }
}

fn readdress_v6(packet: &mut [u8], round: u16) {
    for at in [8, 24] {
        let Some(address) = packet.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<16>())
        else {
            return;
        };
        if *address == [0; 16] || address[0] == 0xff {
            continue;
        }
        if let Some(host) = address.last_chunk_mut() {
            shift(host, round);
        }
    }
    if packet[6] == 58
        && let Some((0..128, quoted)) = message(packet, 40)
    {
        readdress_v6(quoted, round);
    }
}

/// The type of the ICMP message at `at`, and what follows its header.
fn message(packet: &mut [u8], at: usize) -> Option<(u8, &mut [u8])> {
    let (header, quoted) = packet.get_mut(at..)?.split_at_mut_checked(8)?;
    Some((header[0], quoted))
}

/// Adds to one half what it takes from the other, in ones' complement: the sum of both, all that a
/// checksum sees of them, stays.
fn shift([a, b, c, d]: &mut [u8; 4], round: u16) {
    let add = |high: &mut u8, low: &mut u8, term: u16| {
        let (sum, carry) = u16::from_be_bytes([*high, *low]).overflowing_add(term);
        [*high, *low] = (sum + u16::from(carry)).to_be_bytes();
    };
    if round > 0 {
        add(a, b, round);
        add(c, d, !round);
    }
}
