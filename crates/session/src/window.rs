//! One side of a TCP connection in sequence space, and the four bounds its segments have to keep.

use parefeu_net::{Direction, TcpFlags, TcpSegment};
use serde::{Deserialize, Serialize};

use crate::step::InvalidReason;
use crate::tcp::{SequenceSpan, after, before};

/// One side of a connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Side {
    /// Highest sequence number sent, plus one.
    end: u32,
    /// Highest sequence number the other side's window allows, plus one.
    max_end: u32,
    /// Largest window this side has announced, scaled; 0 until it was heard.
    max_window: u32,
    /// Highest acknowledgement number sent; meaningful with [`Side::ACKNOWLEDGED`].
    max_ack: u32,
    /// Window scale shift (RFC 7323 §2).
    scale: u8,
    flags: u8,
}

/// How a segment lies to the window.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Window {
    Fits,
    /// It passes and does not count: data or an acknowledgement from long ago, or a sender that
    /// sends somewhat more than it may.
    Uncounted,
    Beyond(InvalidReason),
}

/// The least window assumed when an acknowledgement is judged, in bytes: Rooij's 66,000, above any
/// unscaled window.
const MIN_ACK_WINDOW: u32 = 66_000;

impl Side {
    const SCALES: u8 = 1;
    const SELECTIVE: u8 = 2;
    const LIBERAL: u8 = 4;
    const ACKNOWLEDGED: u8 = 8;
    const OUTSTANDING: u8 = 16;

    /// Whether a segment of this side was seen.
    pub(crate) const fn is_known(&self) -> bool {
        self.max_window != 0
    }

    /// Highest sequence number sent, plus one.
    pub(crate) const fn end(&self) -> u32 {
        self.end
    }

    /// Whether this side's segments may miss the window, because its scale is unknown.
    pub(crate) const fn is_liberal(&self) -> bool {
        self.flags & Self::LIBERAL != 0
    }

    /// Highest acknowledgement number sent, if any.
    pub(crate) fn max_ack(&self) -> Option<u32> {
        (self.flags & Self::ACKNOWLEDGED != 0).then_some(self.max_ack)
    }

    /// Whether the other side has yet to acknowledge data of this one.
    pub(crate) const fn is_outstanding(&self) -> bool {
        self.flags & Self::OUTSTANDING != 0
    }

    /// Begins with a SYN: its options hold for the connection. One without options, as Linux has
    /// it, leaves those of an earlier one.
    pub(crate) fn hear_syn(&mut self, segment: &TcpSegment<'_>) {
        if has_no_options(segment) {
            (self.end, self.max_end) = (segment.end(), segment.end());
            self.max_window = u32::from(segment.window).max(1);
            return;
        }
        self.restart(segment.end(), segment.window, segment.window_scale);
        self.set_selective(segment.sack_permitted);
    }

    /// Begins at a known place; only the license to be liberal stays.
    pub(crate) fn restart(&mut self, end: u32, window: u16, scale: Option<u8>) {
        (self.end, self.max_end) = (end, end);
        self.max_window = u32::from(window).max(1);
        self.flags &= Self::LIBERAL;
        // Larger shifts count as 14 (RFC 7323 §2.3).
        self.scale = scale.unwrap_or(0).min(14);
        self.flags |= if scale.is_some() { Self::SCALES } else { 0 };
    }

    /// As if nothing of this side had been seen; only the license to be liberal stays.
    pub(crate) fn forget(&mut self) {
        *self = Self { flags: self.flags & Self::LIBERAL, ..Self::default() };
    }

    /// Whether selective acknowledgements towards this side count (RFC 2018 §2).
    pub(crate) fn set_selective(&mut self, selective: bool) {
        self.flags |= if selective { Self::SELECTIVE } else { 0 };
    }

    /// Begins in the middle of a connection, whose options nobody saw.
    pub(crate) fn pick_up(&mut self, segment: &TcpSegment<'_>) {
        self.end = segment.end();
        self.max_window = u32::from(segment.window).max(1);
        self.max_end = self.end.wrapping_add(self.max_window);
        self.assume_options();
    }

    /// Takes the options for granted that allow most.
    pub(crate) fn assume_options(&mut self) {
        self.flags = Self::SELECTIVE | Self::LIBERAL;
    }

    /// Begins with this side's first segment, or with a SYN that replaces an earlier one.
    pub(crate) fn hear_first(
        &mut self,
        receiver: &mut Self,
        segment: &TcpSegment<'_>,
        direction: Direction,
    ) {
        if segment.flags.contains(TcpFlags::SYN) {
            self.hear_syn(segment);
            let both_scale = self.flags & receiver.flags & Self::SCALES != 0;
            if direction == Direction::Reply && !both_scale {
                // Scaling needs the option on both SYNs (RFC 7323 §2.2).
                (self.scale, receiver.scale) = (0, 0);
            }
            return;
        }
        self.end = segment.end();
        self.max_window = (u32::from(segment.window) << self.scale).max(1);
        self.max_end = self.end.wrapping_add(self.max_window);
        let (_, selective) = receiver.acknowledged_by(segment, false);
        if !receiver.is_known() {
            (receiver.end, receiver.max_end) = (selective, selective);
        } else if selective == receiver.end.wrapping_add(1) {
            // The answer to a keep-alive whose one byte was not counted (RFC 9293 §3.8.4).
            receiver.end = selective;
        }
    }

    /// What a segment acknowledges of this side: in order, and selectively.
    ///
    /// Without ACK, or with a reset that acknowledges 0 as some stacks send it, it counts as
    /// acknowledging all.
    fn acknowledged_by(&self, segment: &TcpSegment<'_>, lenient: bool) -> (u32, u32) {
        let ack = segment.acknowledgement;
        let none = !segment.flags.contains(TcpFlags::ACK);
        let broken = segment.flags.contains(TcpFlags::RST) && ack == 0;
        if lenient && (none || broken) {
            return (self.end, self.end);
        }
        if self.flags & Self::SELECTIVE == 0 {
            return (ack, ack);
        }
        let edges = segment.sack.as_slice().iter().map(|(_, right)| *right);
        (ack, edges.fold(ack, |most, right| if after(right, most) { right } else { most }))
    }

    /// Judges a segment of this side by the four bounds and, where it fits, moves the windows.
    ///
    /// One that overshoots the window by no more than the window passes uncounted, yet what it
    /// carried counts as sent: the receiver may take it.
    pub(crate) fn judge(
        &mut self,
        receiver: &mut Self,
        segment: &TcpSegment<'_>,
        unanswered: bool,
    ) -> Window {
        let (ack, sack) = receiver.acknowledged_by(segment, true);
        let (mut sequence, mut end) = (segment.sequence, segment.end());
        let reset = segment.flags.contains(TcpFlags::RST);
        if reset && sequence == 0 && unanswered {
            (sequence, end) = (self.end, self.end); // the answer to a SYN
        }
        let lowest_ack = receiver.end.wrapping_sub(self.max_window.max(MIN_ACK_WINDOW));
        let not_too_old = after(end, self.end.wrapping_sub(receiver.max_window).wrapping_sub(1));
        let ack_not_too_old = after(sack, lowest_ack.wrapping_sub(1));
        let ack_seen = before(sack, receiver.end.wrapping_add(1));
        if !before(sequence, self.max_end.wrapping_add(1)) {
            let overshot = end.wrapping_sub(self.max_end).wrapping_add(1);
            let fits = receiver.is_known() && not_too_old && ack_not_too_old && ack_seen;
            if fits && overshot <= receiver.max_window {
                self.end = end;
                self.flags |= Self::OUTSTANDING;
                return Window::Uncounted;
            }
            return Window::Beyond(InvalidReason::SequenceBeyondWindow);
        }
        if !ack_seen {
            return Window::Beyond(InvalidReason::AcknowledgesUnsent);
        }
        if (receiver.is_known() && !not_too_old) || !ack_not_too_old {
            return Window::Uncounted;
        }
        self.slide(receiver, segment, (end, ack, sack));
        Window::Fits
    }

    /// Moves the windows for a segment that fits.
    fn slide(
        &mut self,
        receiver: &mut Self,
        segment: &TcpSegment<'_>,
        (end, ack, sack): (u32, u32, u32),
    ) {
        let shift = if segment.flags.contains(TcpFlags::SYN) { 0 } else { self.scale };
        let window = u32::from(segment.window) << shift;
        self.max_window = self.max_window.max(window.wrapping_add(sack.wrapping_sub(ack)));
        if after(end, self.end) {
            self.end = end;
            self.flags |= Self::OUTSTANDING;
        }
        if segment.flags.contains(TcpFlags::ACK) {
            let highest = self.max_ack().is_none_or(|highest| after(ack, highest));
            self.max_ack = if highest { ack } else { self.max_ack };
            self.flags |= Self::ACKNOWLEDGED;
        }
        if receiver.is_known() && after(end, self.max_end) {
            let over = end.wrapping_sub(self.max_end);
            receiver.max_window = receiver.max_window.saturating_add(over);
        }
        let edge = sack.wrapping_add(window);
        if after(edge, receiver.max_end.wrapping_sub(1)) {
            receiver.max_end = edge.wrapping_add(u32::from(window == 0));
        }
        if ack == receiver.end {
            receiver.flags &= !Self::OUTSTANDING;
        }
    }
}

/// Whether a segment has none of the options that are read; any other is rare beside a SYN.
const fn has_no_options(segment: &TcpSegment<'_>) -> bool {
    let (selective, scales) = (segment.sack_permitted, segment.window_scale.is_some());
    !selective && !scales && segment.mss.is_none() && !segment.timestamps
}
