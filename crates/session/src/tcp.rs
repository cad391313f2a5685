//! TCP connection tracking: states and windows (RFC 9293, and the four bounds of Rooij).

use parefeu_net::{Direction, TcpFlags, TcpSegment};

use crate::step::InvalidReason;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum TcpState {
    /// The original side has sent SYN.
    SynSent,
    /// Both sides have sent SYN (simultaneous open).
    SynCrossed,
    /// The reply side has answered with SYN and ACK.
    SynReceived,
    /// The handshake is complete.
    Established,
    /// One side has sent FIN.
    FinWait,
    /// That FIN was acknowledged.
    CloseWait,
    /// Both sides have sent FIN.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// A reset ended the connection.
    Closed,
}

/// What the behaviour lets pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) loose: bool,
    pub(crate) liberal: bool,
    pub(crate) windows: bool,
}

/// What a segment does to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TcpStep {
    /// It belongs; the connection has moved.
    Accept,
    /// It passes and changes nothing (an old duplicate, a SYN inside a live connection).
    Ignore,
    /// It would open the connection anew.
    Reopen,
    /// It does not belong.
    Invalid(InvalidReason),
}

/// One side of a connection, in sequence space.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// Highest sequence number sent, plus one.
    end: u32,
    /// Highest sequence number the other side's window allows.
    max_end: u32,
    /// Largest window this side has announced, scaled; 0 until it was heard.
    max_window: u32,
    /// Highest acknowledgement number sent.
    max_ack: Option<u32>,
    /// Window scale shift.
    scale: u8,
    /// Whether the SYN carried a window scale option.
    scales: bool,
    /// Whether this side has sent FIN.
    fin: bool,
}

/// A tracked connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpConnection {
    pub(crate) state: TcpState,
    sides: [Side; 2],
    /// The direction that sent the reset.
    pub(crate) reset_by: Option<Direction>,
}

/// The least window assumed when an acknowledgement is judged (`MAXACKWINDOW` of Linux conntrack).
const MIN_ACK_WINDOW: u32 = 66_000;

impl TcpConnection {
    /// Opens a connection with its first segment; the error says why it may not.
    pub(crate) fn open(segment: &TcpSegment<'_>, rules: Rules) -> Result<Self, InvalidReason> {
        refuse_flags(segment.flags)?;
        let syn = segment.flags.contains(TcpFlags::SYN);
        let refused = segment.flags.intersects(TcpFlags::RST) || (!syn && !rules.loose);
        if refused || (syn && segment.flags.contains(TcpFlags::ACK)) {
            return Err(InvalidReason::NotOpening);
        }
        let mut connection = Self {
            state: if syn { TcpState::SynSent } else { TcpState::Established },
            sides: [Side::default(); 2],
            reset_by: None,
        };
        if segment.flags.contains(TcpFlags::FIN) {
            connection.state = TcpState::FinWait;
            connection.sides[0].fin = true;
        }
        if syn {
            connection.sides[0].hear_syn(segment);
        } else {
            connection.pick_up(Direction::Original, segment);
        }
        Ok(connection)
    }

    /// Whether packets of both directions were seen.
    pub(crate) fn is_answered(&self) -> bool {
        self.sides.iter().all(|side| side.max_window != 0)
    }

    /// Advances by one segment. Constant time, no allocation.
    pub(crate) fn step(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        rules: Rules,
    ) -> TcpStep {
        if let Err(reason) = refuse_flags(segment.flags) {
            return TcpStep::Invalid(reason);
        }
        let next = match self.next_state(direction, segment.flags) {
            Ok(next) => next,
            Err(step) => return step,
        };
        if segment.flags.contains(TcpFlags::RST) {
            return self.reset(direction, segment, rules);
        }
        if rules.windows {
            let before = self.sides;
            match self.judge_window(direction, segment) {
                Window::Fits => {}
                Window::Old => {
                    self.sides = before;
                    return TcpStep::Ignore;
                }
                Window::Beyond(_) if rules.liberal => {}
                Window::Beyond(reason) => {
                    self.sides = before;
                    return TcpStep::Invalid(reason);
                }
            }
        }
        if segment.flags.contains(TcpFlags::FIN) {
            self.sides[direction.index()].fin = true;
        }
        self.state = next;
        TcpStep::Accept
    }

    /// The state a segment leads to.
    fn next_state(&self, direction: Direction, flags: TcpFlags) -> Result<TcpState, TcpStep> {
        use TcpState as S;
        let not_expected = Err(TcpStep::Invalid(InvalidReason::UnexpectedFlags));
        let original = direction == Direction::Original;
        let (syn, ack) = (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::ACK));
        if flags.contains(TcpFlags::RST) {
            return Ok(S::Closed);
        }
        if syn && ack {
            return match (self.state, original) {
                (S::SynCrossed | S::SynReceived, _) | (S::SynSent, false) => Ok(S::SynReceived),
                (S::SynSent, true) => not_expected,
                _ => Err(TcpStep::Ignore),
            };
        }
        if syn {
            return match (self.state, original) {
                (S::SynSent, true) => Ok(S::SynSent),
                (S::SynCrossed, _) | (S::SynSent, false) => Ok(S::SynCrossed),
                (S::TimeWait | S::Closed, true) => Err(TcpStep::Reopen),
                (S::TimeWait | S::Closed, false) => not_expected,
                _ => Err(TcpStep::Ignore),
            };
        }
        if flags.contains(TcpFlags::FIN) {
            let other_fin = self.sides[direction.reverse().index()].fin;
            return match self.state {
                S::SynSent | S::SynCrossed => not_expected,
                S::SynReceived | S::Established => Ok(S::FinWait),
                S::FinWait | S::CloseWait if other_fin => Ok(S::LastAck),
                state => Ok(state),
            };
        }
        if !ack {
            return not_expected;
        }
        match (self.state, original) {
            (S::SynSent, true) => not_expected,
            // The answer to a SYN with data of a server that split its handshake.
            (S::SynSent, false) => Err(TcpStep::Ignore),
            (S::SynCrossed, _) => Ok(S::SynReceived),
            (S::SynReceived, true) => Ok(S::Established),
            (S::FinWait, _) if self.sides[direction.reverse().index()].fin => Ok(S::CloseWait),
            (S::LastAck, _) => Ok(S::TimeWait),
            (state, _) => Ok(state),
        }
    }

    /// A reset has to hit the sequence number the other side expects, once that is known
    /// (RFC 5961 §3.2, as Linux applies it).
    fn reset(&mut self, direction: Direction, segment: &TcpSegment<'_>, rules: Rules) -> TcpStep {
        let expected = self.sides[direction.reverse().index()].max_ack;
        let answers_syn = self.state == TcpState::SynSent;
        let exact = expected.is_none_or(|expected| expected == segment.sequence);
        if rules.windows && !rules.liberal && !answers_syn && !exact {
            return TcpStep::Invalid(InvalidReason::InexactReset);
        }
        self.state = TcpState::Closed;
        self.reset_by.get_or_insert(direction);
        TcpStep::Accept
    }

    fn pick_up(&mut self, direction: Direction, segment: &TcpSegment<'_>) {
        let side = &mut self.sides[direction.index()];
        side.end = end_of(segment);
        side.max_window = (u32::from(segment.window) << side.scale).max(1);
        side.max_end = side.end.wrapping_add(side.max_window);
        let other = &mut self.sides[direction.reverse().index()];
        let ack = segment.acknowledgement;
        if other.max_window == 0 {
            (other.end, other.max_end) = (ack, ack);
        } else if ack == other.end.wrapping_add(1) {
            other.end = ack; // the answer to a keep-alive
        }
    }

    fn judge_window(&mut self, direction: Direction, segment: &TcpSegment<'_>) -> Window {
        let syn = segment.flags.contains(TcpFlags::SYN);
        let (this, that) = (direction.index(), direction.reverse().index());
        let end = end_of(segment);
        let first = self.sides[this].max_window == 0;
        let repeats_opening = matches!(
            (self.state, direction),
            (TcpState::SynSent, Direction::Original) | (TcpState::SynReceived, Direction::Reply)
        );
        if first && !syn {
            self.pick_up(direction, segment);
        } else if syn && (first || (repeats_opening && after(end, self.sides[this].end))) {
            self.sides[this].hear_syn(segment);
            if !(self.sides[this].scales && self.sides[that].scales) && first {
                // Scaling needs the option on both SYNs (RFC 7323 §2.2); the other may be under way.
                if self.sides[that].max_window != 0 {
                    (self.sides[this].scale, self.sides[that].scale) = (0, 0);
                }
            }
            if !segment.flags.contains(TcpFlags::ACK) {
                return Window::Fits;
            }
        }
        let (sender, receiver) = (self.sides[this], self.sides[that]);
        let acknowledges = segment.flags.contains(TcpFlags::ACK);
        let ack = if acknowledges { segment.acknowledgement } else { receiver.end };
        let edges = segment.sack.as_slice().iter().map(|(_, right)| *right);
        let sack = edges.fold(ack, |most, right| if after(right, most) { right } else { most });
        if after(segment.sequence, sender.max_end) && receiver.max_window != 0 {
            return Window::Beyond(InvalidReason::SequenceBeyondWindow);
        }
        if after(sack, receiver.end) {
            return Window::Beyond(InvalidReason::AcknowledgesUnsent);
        }
        let lowest_end = sender.end.wrapping_sub(receiver.max_window);
        if receiver.max_window != 0 && after(lowest_end, end) {
            return Window::Old;
        }
        let lowest_ack = receiver.end.wrapping_sub(sender.max_window.max(MIN_ACK_WINDOW));
        if after(lowest_ack, sack) {
            return Window::Old;
        }
        self.slide(direction, segment, (end, ack, sack));
        Window::Fits
    }

    /// Moves the windows for a segment that fits.
    fn slide(
        &mut self,
        direction: Direction,
        segment: &TcpSegment<'_>,
        (end, ack, sack): (u32, u32, u32),
    ) {
        let syn = segment.flags.contains(TcpFlags::SYN);
        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let shift = if syn { 0 } else { sender.scale };
        let window = u32::from(segment.window) << shift;
        let reach = window.wrapping_add(sack.wrapping_sub(ack));
        sender.max_window = sender.max_window.max(reach);
        if after(end, sender.end) {
            sender.end = end;
        }
        if segment.flags.contains(TcpFlags::ACK) {
            let highest = sender.max_ack.is_none_or(|highest| after(ack, highest));
            sender.max_ack = if highest { Some(ack) } else { sender.max_ack };
        }
        if receiver.max_window != 0 && after(end, sender.max_end) {
            let over = end.wrapping_sub(sender.max_end);
            receiver.max_window = receiver.max_window.saturating_add(over);
        }
        let edge = sack.wrapping_add(window);
        if !after(receiver.max_end, edge) {
            receiver.max_end = edge.wrapping_add(u32::from(window == 0));
        }
    }
}

impl Side {
    fn hear_syn(&mut self, segment: &TcpSegment<'_>) {
        self.end = end_of(segment);
        self.max_end = self.end;
        self.max_window = u32::from(segment.window).max(1);
        self.scales = segment.window_scale.is_some();
        // Larger shifts count as 14 (RFC 7323 §2.3).
        self.scale = segment.window_scale.unwrap_or(0).min(14);
    }
}

enum Window {
    Fits,
    Old,
    Beyond(InvalidReason),
}

/// Flag combinations no connection produces.
fn refuse_flags(flags: TcpFlags) -> Result<(), InvalidReason> {
    let core = TcpFlags::SYN.union(TcpFlags::FIN).union(TcpFlags::RST).union(TcpFlags::ACK);
    let set = TcpFlags(flags.0 & core.0);
    let legal = set == TcpFlags::SYN
        || set == TcpFlags::SYN.union(TcpFlags::ACK)
        || set == TcpFlags::RST
        || set == TcpFlags::RST.union(TcpFlags::ACK)
        || set == TcpFlags::FIN.union(TcpFlags::ACK)
        || set == TcpFlags::ACK;
    let urgent_push_syn = set == TcpFlags::SYN.union(TcpFlags::ACK)
        && flags.contains(TcpFlags::URG)
        && flags.contains(TcpFlags::PSH);
    if legal && !urgent_push_syn { Ok(()) } else { Err(InvalidReason::IllegalFlags) }
}

/// The sequence number after the segment: its payload, plus one each for SYN and FIN
/// (RFC 9293 §3.4).
fn end_of(segment: &TcpSegment<'_>) -> u32 {
    let control = u32::from(segment.flags.contains(TcpFlags::SYN))
        + u32::from(segment.flags.contains(TcpFlags::FIN));
    segment.sequence.wrapping_add(segment.payload_len).wrapping_add(control)
}

/// Whether `a` comes after `b` in sequence space.
const fn after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() < 0
}
