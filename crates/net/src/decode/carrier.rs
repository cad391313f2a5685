//! Link layers that carry IP behind LLC or a protocol number of their own: IEEE 802.11 and frame
//! relay.

use crate::{MacAddress, MalformedReason};

use super::link::ether_type;
use super::{Decoder, Next, View};

impl<'a> Decoder<'a, '_> {
    /// Radiotap: version 0, padding, and its own length in little-endian order, whatever the host.
    pub(super) fn radiotap(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[0, _, l0, l1]) = view.header() else {
            return self.short(view, 4, MalformedReason::ShortLink);
        };
        let len = usize::from(u16::from_le_bytes([l0, l1]));
        if len < 8 || len > view.wire_len() {
            return self.fail(MalformedReason::ShortLink);
        }
        self.wireless(view.skip(len))
    }

    /// IEEE 802.11 §9.2: of data frames that carry something in clear, what LLC says.
    ///
    /// Management and control frames, frames without a body, protected ones and aggregates
    /// (A-MSDU) hold no IP that could be read here.
    pub(super) fn wireless(&mut self, view: View<'a>) -> Next<'a> {
        let Some(&[control, flags]) = view.header() else {
            return self.short(view, 2, MalformedReason::ShortLink);
        };
        let is_data = control & 0b1100 == 0b1000;
        let (has_quality, is_empty) = (control & 0x80 != 0, control & 0x40 != 0);
        let (to_ds, from_ds) = (flags & 0x01 != 0, flags & 0x02 != 0);
        let (is_protected, has_more_control) = (flags & 0x40 != 0, flags & 0x80 != 0);
        if !is_data || is_empty || is_protected {
            return Next::Stop;
        }
        let addresses = if to_ds && from_ds { 30 } else { 24 };
        let quality = if has_quality { 2 } else { 0 };
        let len = addresses + quality + if has_quality && has_more_control { 4 } else { 0 };
        let Some(header) = view.bytes().get(..len) else {
            return self.short(view, len, MalformedReason::ShortLink);
        };
        // The sender is the second address, the third behind an access point, the fourth between
        // two of them.
        let sender = match (to_ds, from_ds) {
            (true, true) => 24,
            (false, true) => 16,
            _ => 10,
        };
        self.packet.link.src = header[sender..].first_chunk().copied().map(MacAddress);
        let is_aggregate = has_quality && header[addresses] & 0x80 != 0;
        if is_aggregate { Next::Stop } else { Next::Llc(view.skip(len)) }
    }

    /// Frame relay (RFC 2427 §3, §4): an address that ends with an odd byte, then control 3 and a
    /// protocol identifier, or an EtherType as Cisco writes it.
    pub(super) fn frame_relay(&mut self, view: View<'a>) -> Next<'a> {
        let address = view.bytes().iter().take(4).position(|byte| byte & 1 == 1);
        let Some(last) = address else {
            return self.short(view, 4, MalformedReason::ShortLink);
        };
        let view = view.skip(last + 1);
        match *view.bytes() {
            [0x03, 0xcc, ..] => Next::EtherType(ether_type::IPV4, view.skip(2)),
            [0x03, 0x8e, ..] => Next::EtherType(ether_type::IPV6, view.skip(2)),
            [0x03, 0x00, 0x80, 0, 0, 0, t0, t1, ..] => {
                Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(8))
            }
            [0x03, ..] => Next::Stop,
            [t0, t1, ..] => Next::EtherType(u16::from_be_bytes([t0, t1]), view.skip(2)),
            _ => self.short(view, 2, MalformedReason::ShortLink),
        }
    }
}
