//! TCP connection tracking: states and windows.
//!
//! The states and their exceptions follow Linux connection tracking, observed packet by packet; the
//! window is judged by the four bounds of Rooij, "Real Stateful TCP Packet Filtering in IP Filter"
//! (2001).

use parefeu_net::{Direction, TcpFlags, TcpSegment};
use serde::{Deserialize, Serialize};

use crate::step::InvalidReason;
use crate::window::{Side, Window};

/// Where a connection stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub(crate) enum TcpState {
    /// The original side has sent SYN.
    SynSent,
    /// Both sides have sent SYN (simultaneous open).
    SynCrossed,
    /// SYN and ACK were sent in answer.
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

impl TcpConnection {
    /// The connection is over, as if a reset had ended it; whether it was not.
    pub(crate) fn end(&mut self) -> bool {
        std::mem::replace(&mut self.state, TcpState::Closed) != TcpState::Closed
    }
}

impl TcpState {
    /// Whether a side has sent FIN or a reset.
    const fn is_closing(self) -> bool {
        matches!(
            self,
            Self::FinWait | Self::CloseWait | Self::LastAck | Self::TimeWait | Self::Closed
        )
    }
}

/// What the behaviour lets pass.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of a device")]
pub(crate) struct Rules {
    /// A connection may begin with any ACK.
    pub(crate) loose: bool,
    /// Segments that miss the window pass.
    pub(crate) liberal: bool,
    /// Windows are judged at all.
    pub(crate) windows: bool,
    /// The other direction may take another path: what it would have said is not missed.
    pub(crate) asymmetric: bool,
    /// A SYN on a connection that ended opens another, whoever ended it. Linux waits for the answer
    /// unless the client did.
    pub(crate) eager_reopen: bool,
}

/// What a segment does to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TcpStep {
    /// It belongs; the connection has moved.
    Accept,
    /// It passes and does not count: the timer runs on (an old duplicate, a SYN inside a live
    /// connection, a repeated SYN).
    Ignore,
    /// It would open the connection anew.
    Reopen,
    /// It does not belong.
    Invalid(InvalidReason),
    /// It does not belong, and answers another such attempt to part: the connection may be over.
    Parting(InvalidReason),
}

/// A tracked connection.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the connection's history")]
pub(crate) struct TcpConnection {
    sides: [Side; 2],
    noted: Noted,
    pub(crate) state: TcpState,
    /// The direction that sent the first reset.
    pub(crate) reset_by: Option<Direction>,
    /// Whether the reply direction was heard.
    pub(crate) answered: bool,
    /// Whether the handshake was completed in sight.
    pub(crate) confirmed: bool,
    /// Whether both sides sent a SYN of their own.
    crossed: bool,
    /// Whether one side began to close while the connection was open.
    closing: bool,
    /// Whether a SYN inside LAST-ACK may draw a challenge ACK (RFC 5961 §4.2).
    challenge: bool,
}

/// The last segment that counted, or that passed without: what later ones may answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Noted {
    sequence: u32,
    end: u32,
    acknowledgement: u32,
    window: u16,
    scale: Option<u8>,
    selective: bool,
    kind: Kind,
    direction: Direction,
    /// How often the acknowledgement came again, the same in everything.
    repeated: u8,
}

/// A segment by the flag that decides what it is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    None,
}

/// How often the same acknowledgement may come again, as of Linux (`nf_conntrack_tcp_max_retrans`).
const MAX_REPEATED: u8 = 3;

/// Where the state table sends a segment.
enum Next {
    To(TcpState),
    Ignore,
    Invalid,
}

impl TcpConnection {
    /// Opens a connection with its first segment; the error says why it may not.
    pub(crate) fn open(segment: &TcpSegment<'_>, rules: Rules) -> Result<Self, InvalidReason> {
        refuse_flags(segment.flags)?;
        let mut client = Side::default();
        let mut server = Side::default();
        let state = match Kind::of(segment.flags) {
            Kind::Syn => {
                client.hear_syn(segment);
                TcpState::SynSent
            }
            Kind::Ack if rules.loose => {
                client.pick_up(segment);
                server.assume_options();
                TcpState::Established
            }
            Kind::SynAck if rules.loose && rules.asymmetric => {
                client.hear_syn(segment);
                server.assume_options();
                TcpState::SynReceived
            }
            Kind::Fin if rules.loose && rules.asymmetric => {
                client.pick_up(segment);
                server.assume_options();
                TcpState::FinWait
            }
            _ => return Err(InvalidReason::NotOpening),
        };
        let noted = Noted {
            sequence: 0,
            end: 0,
            acknowledgement: 0,
            window: 0,
            scale: None,
            selective: false,
            kind: Kind::None,
            direction: Direction::Original,
            repeated: 0,
        };
        let mut connection = Self {
            sides: [client, server],
            noted,
            state,
            reset_by: None,
            answered: false,
            confirmed: false,
            crossed: false,
            closing: false,
            challenge: false,
        };
        let kind = Kind::of(segment.flags);
        let window = connection.judge(Direction::Original, segment);
        if window == Window::Fits {
            connection.note_acknowledgement(kind, Direction::Original, segment);
        }
        connection.note(kind, Direction::Original);
        Ok(connection)
    }

    /// Whether a connection that this segment opens may have the port of this one, which is over,
    /// or of which both sides have sent nothing but SYN.
    pub(crate) fn gives_port_up(&self, opening: &TcpSegment<'_>) -> bool {
        use TcpState::{Closed, SynCrossed, TimeWait};
        let last = self.sides[Direction::Original.index()].end();
        Kind::of(opening.flags) == Kind::Syn
            && matches!(self.state, TimeWait | Closed | SynCrossed)
            && after(opening.end(), last)
    }

    /// Whether a reset came that did not end the connection, or nobody answered before it.
    pub(crate) fn is_doubted(&self) -> bool {
        self.noted.kind == Kind::Rst
    }

    /// Whether the last acknowledgement keeps coming.
    pub(crate) const fn is_repeating(&self) -> bool {
        self.noted.repeated >= MAX_REPEATED
    }

    /// Whether an established connection is not sure to go on: one side has to answer first. The
    /// first answer to a connection picked up in the middle does not count yet.
    pub(crate) fn awaits_answer(&self) -> bool {
        let [original, reply] = &self.sides;
        let unanswered = self.state == TcpState::Established && !self.confirmed;
        let closed = self.noted.window == 0;
        original.is_outstanding() || reply.is_outstanding() || closed || unanswered
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
        let before = self.state;
        let kind = Kind::of(segment.flags);
        let usual = next_state(before, direction, kind);
        let unseen = next_beside_unseen(before, kind).filter(|_| rules.asymmetric);
        let next = match unseen.map_or(usual, Next::To) {
            Next::To(TcpState::SynSent) if before != TcpState::SynSent => {
                if self.may_reopen(direction, rules) {
                    return TcpStep::Reopen;
                }
                None
            }
            Next::To(next) => Some(next),
            Next::Ignore => None,
            Next::Invalid => return TcpStep::Invalid(InvalidReason::UnexpectedFlags),
        };
        let step = match next {
            Some(next) => self.follow(direction, kind, segment, (next, rules)),
            None if self.answers_ignored_syn(direction, kind, segment) => {
                self.adopt_ignored_syn();
                self.commit(direction, kind, segment, (TcpState::SynReceived, rules))
            }
            None => self.ignore(direction, kind, segment),
        };
        let heard = matches!(step, TcpStep::Accept | TcpStep::Ignore);
        let refused_opening = step == TcpStep::Accept && kind == Kind::Rst && !self.answered;
        // Neither a repeated SYN nor the first one that crosses it.
        let repeats_syn = kind == Kind::Syn && before == TcpState::SynSent && !self.answered;
        self.answered |= heard && direction == Direction::Reply && !refused_opening;
        if step == TcpStep::Accept && repeats_syn { TcpStep::Ignore } else { step }
    }

    /// A SYN on a connection that has ended: whether it opens another (RFC 9293 §3.6.1).
    fn may_reopen(&self, direction: Direction, rules: Rules) -> bool {
        let aborted = self.noted.kind == Kind::Rst && self.noted.direction == direction;
        rules.eager_reopen || self.closing || aborted
    }

    /// Takes a segment to the state the table names, with the table's exceptions.
    fn follow(
        &mut self,
        direction: Direction,
        kind: Kind,
        segment: &TcpSegment<'_>,
        (mut next, rules): (TcpState, Rules),
    ) -> TcpStep {
        match next {
            TcpState::TimeWait if self.state == TcpState::LastAck => {
                let after_syn = self.noted.kind == Kind::Syn && self.noted.direction != direction;
                if kind == Kind::Ack && after_syn && self.challenge {
                    self.challenge = false;
                    return TcpStep::Ignore;
                }
            }
            TcpState::SynCrossed => self.crossed = true,
            TcpState::SynReceived
                if direction == Direction::Reply && kind == Kind::Ack && self.crossed =>
            {
                next = TcpState::Established;
            }
            TcpState::Closed if kind == Kind::Rst && rules.windows => {
                let reset = self.judge_reset(direction, segment);
                let Some(Reset { ends, skips_window }) = reset else {
                    return TcpStep::Invalid(InvalidReason::InexactReset);
                };
                next = if ends { next } else { self.state };
                if skips_window {
                    self.arrive(direction, kind, next);
                    return TcpStep::Accept;
                }
            }
            _ => {}
        }
        self.commit(direction, kind, segment, (next, rules))
    }

    /// Judges the window and, where the segment fits, moves on.
    fn commit(
        &mut self,
        direction: Direction,
        kind: Kind,
        segment: &TcpSegment<'_>,
        (next, rules): (TcpState, Rules),
    ) -> TcpStep {
        let window = if rules.windows { self.judge(direction, segment) } else { Window::Fits };
        let lenient = rules.liberal || rules.asymmetric;
        let liberal = lenient || self.sides[direction.index()].is_liberal();
        match window {
            Window::Fits => self.note_acknowledgement(kind, direction, segment),
            Window::Uncounted | Window::Beyond(_) if liberal => {}
            Window::Uncounted => return TcpStep::Ignore,
            Window::Beyond(reason) => {
                let answered_close = self.noted.direction != direction
                    && matches!(self.noted.kind, Kind::Fin | Kind::Rst);
                if !self.confirmed || !matches!(kind, Kind::Fin | Kind::Rst) {
                    return TcpStep::Invalid(reason);
                }
                if answered_close {
                    return TcpStep::Parting(reason);
                }
                self.note(kind, direction);
                return TcpStep::Invalid(reason);
            }
        }
        self.arrive(direction, kind, next);
        TcpStep::Accept
    }

    fn arrive(&mut self, direction: Direction, kind: Kind, next: TcpState) {
        let was_open = matches!(self.state, TcpState::SynReceived | TcpState::Established);
        self.confirmed |= self.answered && was_open && next == TcpState::Established;
        self.closing |= next == TcpState::FinWait && self.state != next;
        self.note(kind, direction);
        self.state = next;
        if next == TcpState::Closed && kind == Kind::Rst {
            self.reset_by.get_or_insert(direction);
        }
    }

    fn note(&mut self, kind: Kind, direction: Direction) {
        (self.noted.kind, self.noted.direction) = (kind, direction);
    }

    /// Remembers an acknowledgement that fits: a reset right behind it is believed.
    fn note_acknowledgement(&mut self, kind: Kind, direction: Direction, segment: &TcpSegment<'_>) {
        if kind != Kind::Ack {
            return;
        }
        let (before, noted) = (self.noted, &mut self.noted);
        noted.direction = direction;
        noted.sequence = segment.sequence;
        noted.end = segment.end();
        noted.acknowledgement = segment.acknowledgement;
        noted.window = segment.window;
        let again = (noted.direction, noted.sequence, noted.end)
            == (before.direction, before.sequence, before.end)
            && (noted.acknowledgement, noted.window) == (before.acknowledgement, before.window);
        noted.repeated = if again { before.repeated.saturating_add(1) } else { 0 };
    }

    /// Lets a segment through uncounted: the firewall may be the one that is out of step, and the
    /// answer will tell.
    fn ignore(&mut self, direction: Direction, kind: Kind, segment: &TcpSegment<'_>) -> TcpStep {
        self.note(kind, direction);
        self.noted.sequence = segment.sequence;
        self.noted.end = segment.end();
        self.noted.window = segment.window;
        if kind == Kind::Syn && direction == Direction::Original {
            self.noted.scale = segment.window_scale;
            self.noted.selective = segment.sack_permitted;
            self.challenge = self.state == TcpState::LastAck;
            self.crossed = false;
        }
        let challenge = kind == Kind::Ack && direction == Direction::Reply;
        if self.state == TcpState::SynSent && challenge {
            self.noted.acknowledgement = segment.acknowledgement;
        }
        TcpStep::Ignore
    }

    /// Whether this SYN and ACK answers a SYN that passed uncounted.
    fn answers_ignored_syn(
        &self,
        direction: Direction,
        kind: Kind,
        segment: &TcpSegment<'_>,
    ) -> bool {
        kind == Kind::SynAck
            && self.noted.kind == Kind::Syn
            && self.noted.direction != direction
            && segment.acknowledgement == self.noted.end
    }

    /// Begins the connection again from the SYN that passed uncounted.
    fn adopt_ignored_syn(&mut self) {
        let noted = self.noted;
        let [asking, answering] = [noted.direction, noted.direction.reverse()];
        self.sides[asking.index()] = Side::default();
        self.sides[answering.index()].forget();
        self.sides[asking.index()].restart(noted.end, noted.window, noted.scale);
        self.sides[asking.index()].set_selective(noted.selective);
        self.state = TcpState::SynSent;
        (self.challenge, self.closing) = (false, false);
        self.reset_by = None;
    }

    /// What a reset does, or `None` where it is invalid.
    ///
    /// It ends an established connection only where it hits the sequence number the other side
    /// expects (RFC 5961 §3.2), and has to lie at or after it. Behind an ignored SYN only the
    /// window counts, and once a side has sent FIN any will do.
    fn judge_reset(&self, direction: Direction, segment: &TcpSegment<'_>) -> Option<Reset> {
        let noted = self.noted;
        let established = self.state == TcpState::Established && self.confirmed;
        let mut reset = Reset { ends: true, skips_window: self.state.is_closing() };
        if reset.skips_window {
            return Some(reset);
        }
        let after_syn = noted.kind == Kind::Syn;
        let expected = self.sides[direction.reverse().index()].max_ack();
        if let Some(expected) = expected.filter(|_| !after_syn) {
            if segment.sequence == 0 && !established {
                return Some(reset);
            }
            if before(segment.sequence, expected) {
                return None;
            }
            let behind_own_data = noted.kind == Kind::Ack
                && noted.direction == direction
                && segment.sequence == noted.end;
            if !established || segment.sequence == expected || behind_own_data {
                return Some(reset);
            }
            reset.ends = false;
        }
        let ignored = (self.answered && after_syn) || (!self.confirmed && noted.kind == Kind::Ack);
        let answers = ignored && noted.direction != direction;
        let answers_challenge = self.state == TcpState::SynSent
            && noted.kind == Kind::Ack
            && noted.direction == Direction::Reply
            && segment.sequence == noted.acknowledgement;
        reset.skips_window = (answers && segment.acknowledgement == noted.end) || answers_challenge;
        Some(reset)
    }

    fn judge(&mut self, direction: Direction, segment: &TcpSegment<'_>) -> Window {
        let opening = matches!(self.state, TcpState::SynSent | TcpState::SynReceived);
        let unanswered = self.state == TcpState::SynSent;
        let [original, reply] = &mut self.sides;
        let (sender, receiver) = match direction {
            Direction::Original => (original, reply),
            Direction::Reply => (reply, original),
        };
        let syn = segment.flags.contains(TcpFlags::SYN);
        if !sender.is_known() || (syn && opening && after(segment.end(), sender.end())) {
            let known = sender.is_known();
            sender.hear_first(receiver, segment, direction);
            let crossing = syn && !segment.flags.contains(TcpFlags::ACK);
            if crossing && (!known || direction == Direction::Reply) {
                return Window::Fits;
            }
        }
        sender.judge(receiver, segment, unanswered)
    }
}

/// What a reset does where it fits the window.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Reset {
    /// It ends the connection; otherwise the other side will challenge it.
    ends: bool,
    /// It counts whatever the window: both sides part, or it answers a segment that passed
    /// uncounted.
    skips_window: bool,
}

impl Kind {
    fn of(flags: TcpFlags) -> Self {
        if flags.contains(TcpFlags::RST) {
            Self::Rst
        } else if flags.contains(TcpFlags::SYN) {
            if flags.contains(TcpFlags::ACK) { Self::SynAck } else { Self::Syn }
        } else if flags.contains(TcpFlags::FIN) {
            Self::Fin
        } else if flags.contains(TcpFlags::ACK) {
            Self::Ack
        } else {
            Self::None
        }
    }
}

/// The state a segment leads to, before exceptions.
fn next_state(state: TcpState, direction: Direction, kind: Kind) -> Next {
    use TcpState as S;
    let original = direction == Direction::Original;
    match (kind, state) {
        (Kind::Syn, S::SynSent | S::SynCrossed) if original => Next::To(state),
        (Kind::Syn, S::TimeWait | S::Closed) if original => Next::To(S::SynSent),
        (Kind::Syn, S::SynSent | S::SynCrossed) => Next::To(S::SynCrossed),
        (Kind::Syn, S::TimeWait) => Next::To(S::SynSent),
        (Kind::SynAck, S::SynReceived) if original => Next::To(S::SynReceived),
        (Kind::SynAck, S::SynSent) if !original => Next::To(S::SynReceived),
        (Kind::SynAck, S::SynCrossed) => Next::To(S::SynReceived),
        (Kind::Fin, S::SynReceived | S::Established) => Next::To(S::FinWait),
        (Kind::Fin, S::FinWait | S::CloseWait | S::LastAck) => Next::To(S::LastAck),
        (Kind::Ack, S::SynReceived) if original => Next::To(S::Established),
        (Kind::Ack, S::FinWait) => Next::To(S::CloseWait),
        (Kind::Ack, S::LastAck) => Next::To(S::TimeWait),
        (Kind::Rst, _) => Next::To(S::Closed),
        (Kind::Fin, S::TimeWait | S::Closed) => Next::To(state),
        // The firewall may be the one that is out of step: see `TcpConnection::ignore`.
        (Kind::Syn, _) if original => Next::Ignore,
        (Kind::SynAck, _) | (Kind::Ack, S::SynSent | S::SynCrossed) if !original => Next::Ignore,
        (Kind::Syn | Kind::SynAck | Kind::Fin | Kind::None, _)
        | (Kind::Ack, S::SynSent | S::SynCrossed) => Next::Invalid,
        (Kind::Ack, _) => Next::To(state),
    }
}

/// The state a segment leads to that follows one which took another path: an answer, or what was
/// answered.
const fn next_beside_unseen(state: TcpState, kind: Kind) -> Option<TcpState> {
    use TcpState as S;
    match (kind, state) {
        (Kind::Ack, S::SynSent | S::SynCrossed | S::SynReceived) => Some(S::Established),
        (Kind::Fin, S::SynSent | S::SynCrossed | S::SynReceived) => Some(S::FinWait),
        (Kind::Syn, S::SynReceived) => Some(S::SynReceived),
        _ => None,
    }
}

/// Flag combinations no connection produces. PSH, ECE and CWR may accompany any; URG only what can
/// carry data.
fn refuse_flags(flags: TcpFlags) -> Result<(), InvalidReason> {
    const SYN: u8 = TcpFlags::SYN.0;
    const ACK: u8 = TcpFlags::ACK.0;
    const FIN: u8 = TcpFlags::FIN.0;
    const RST: u8 = TcpFlags::RST.0;
    const URG: u8 = TcpFlags::URG.0;
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    match flags.0 & (SYN | ACK | FIN | RST | URG) {
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG => Ok(()),
        _ => Err(InvalidReason::IllegalFlags),
    }
}

/// Whether `a` comes after `b` in sequence space (RFC 9293 §3.4).
pub(crate) const fn after(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() < 0
}

/// Whether `a` comes before `b` in sequence space.
pub(crate) const fn before(a: u32, b: u32) -> bool {
    after(b, a)
}

/// The sequence space a segment takes.
pub(crate) trait SequenceSpan {
    /// The sequence number after the segment: its payload, plus one each for SYN and FIN
    /// (RFC 9293 §3.4).
    fn end(&self) -> u32;
}

impl SequenceSpan for TcpSegment<'_> {
    fn end(&self) -> u32 {
        let control = u32::from(self.flags.contains(TcpFlags::SYN))
            + u32::from(self.flags.contains(TcpFlags::FIN));
        self.sequence.wrapping_add(self.payload_len).wrapping_add(control)
    }
}
