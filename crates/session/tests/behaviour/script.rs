//! Packets written as short lines, and a table that plays them.

use std::net::IpAddr;
use std::time::Duration;

use parefeu_net::{
    FiveTuple, IcmpMessage, Link, Network, Packet, Protocol, SackBlocks, SctpHeader, TcpFlags,
    TcpSegment, Timestamp, Transport, TunnelStack, UdpDatagram,
};
use parefeu_policy::Behaviour;
use parefeu_session::{EndReason, OpenError, Opening, SessionTable, Step, TableLimits};

/// The client's flow, or the server's.
pub(crate) fn flow(side: &str) -> FiveTuple {
    let client = FiveTuple {
        src: IpAddr::from([192, 0, 2, 7]),
        dst: IpAddr::from([198, 51, 100, 9]),
        src_port: 40_000,
        dst_port: 80,
        protocol: Protocol::TCP,
    };
    if side == "c" { client } else { client.reverse() }
}

/// A packet of a flow; what the flow has no place for is 0 or empty.
pub(crate) fn packet<'a>(flow: &FiveTuple, transport: Transport<'a>) -> Packet<'a> {
    Packet {
        link: Link::default(),
        tunnels: TunnelStack::default(),
        network: Some(Network {
            src: flow.src,
            dst: flow.dst,
            protocol: flow.protocol,
            ttl: 64,
            fragment: None,
            source_routed: false,
            header: &[],
            payload: &[],
            payload_len: 0,
        }),
        transport,
        malformed: None,
        truncated: false,
    }
}

pub(crate) fn datagram(flow: &FiveTuple) -> Transport<'static> {
    let FiveTuple { src_port, dst_port, .. } = *flow;
    Transport::Udp(UdpDatagram { src_port, dst_port, payload: &[] })
}

/// A segment of `length` bytes with the flags named by their first letters; a SYN has options unless
/// `-` is one of them.
pub(crate) fn segment(
    flow: &FiveTuple,
    letters: &str,
    sequence: u32,
    acknowledgement: u32,
    length: u32,
) -> Transport<'static> {
    let bit = |letter| "FSRPAUEC".find(letter).map_or(0, |at| 1 << at);
    let flags = TcpFlags(letters.chars().map(bit).fold(0, |all, bit| all | bit));
    let syn = flags.contains(TcpFlags::SYN) && !letters.contains('-');
    Transport::Tcp(TcpSegment {
        src_port: flow.src_port,
        dst_port: flow.dst_port,
        sequence,
        acknowledgement,
        flags,
        window: 64_240,
        mss: None,
        window_scale: syn.then_some(7),
        sack_permitted: syn,
        sack: SackBlocks::default(),
        timestamps: false,
        payload: &[],
        payload_len: length,
    })
}

/// A table and the time that passes in it.
pub(crate) struct Script {
    pub(crate) table: SessionTable<()>,
    now: Timestamp,
    ended: Vec<String>,
}

impl Script {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        let table = SessionTable::new(TableLimits::default(), behaviour, 7);
        Self { table, now: Timestamp::from_secs(1_000_000), ended: Vec::new() }
    }

    /// Plays one line and says what it was taken for: `side flags sequence acknowledgement length`
    /// is a segment, `side udp` a datagram, `side echo id`, `side echo-reply id` and `side
    /// timestamp-reply id` are ICMP, `side sctp chunk tag initiate-tag` SCTP; `+seconds` lets time pass.
    pub(crate) fn play(&mut self, line: &str) -> String {
        self.judge(line, false)
    }

    /// Plays a line whose session is refused.
    pub(crate) fn refuse(&mut self, line: &str) -> String {
        self.judge(line, true)
    }

    fn judge(&mut self, line: &str, refused: bool) -> String {
        self.table.handle_timeout(self.now);
        if let Some(secs) = line.strip_prefix('+') {
            let before = self.ended.len() + self.collect();
            self.now = self.now + Duration::from_secs(secs.parse().unwrap());
            self.table.handle_timeout(self.now);
            self.collect();
            let ended = self.ended.len() - before;
            return if ended == 0 { String::new() } else { format!("{ended} ended") };
        }
        let words: Vec<_> = line.split(' ').collect();
        let number = |at: usize| words.get(at).map_or(0, |word| word.parse::<u32>().unwrap());
        let mut flow = flow(words[0]);
        // A header, the initiate tag, and the rest of an INIT.
        let kind = if words[1] == "sctp" { number(2) as u8 } else { 0 };
        let chunk = [&[kind, 0, 0, 20][..], &number(4).to_be_bytes(), &[0; 12]].concat();
        let transport = match words[1] {
            "udp" => datagram(&flow),
            "echo" => query(number(2) as u16, 8, true),
            "echo-reply" => query(number(2) as u16, 0, false),
            "timestamp-reply" => query(number(2) as u16, 14, false),
            "sctp" => Transport::Sctp(SctpHeader {
                src_port: flow.src_port,
                dst_port: flow.dst_port,
                verification_tag: number(3),
                first_chunk: Some(number(2) as u8),
                payload: &chunk,
            }),
            flags => segment(&flow, flags, number(2), number(3), number(4)),
        };
        flow.protocol = match &transport {
            Transport::Udp(_) => Protocol::UDP,
            Transport::Icmp(_) => Protocol::ICMP,
            Transport::Sctp(_) => Protocol::SCTP,
            _ => Protocol::TCP,
        };
        if flow.protocol == Protocol::ICMP {
            (flow.src_port, flow.dst_port) = (number(2) as u16, number(2) as u16);
        }
        let packet = packet(&flow, transport);
        let mut prefix = "";
        if let Some((id, direction)) = self.table.find(&self.table.sought(0, &packet).unwrap()) {
            match self.table.advance(self.now, id, direction, &packet, 40) {
                Step::Accept(state) => return state.name().to_string(),
                Step::Invalid(reason) => return format!("invalid {reason}"),
                Step::Gone => return "gone".to_string(),
                Step::Reopen => {
                    self.table.close(id, EndReason::TcpReuse);
                    prefix = "reopen ";
                }
            }
        }
        let opening =
            Opening { tag: 0, original: flow, translated: flow, data: (), bytes: 40, refused };
        match self.table.open(self.now, &packet, opening) {
            Ok(_) => format!("{prefix}new"),
            Err(OpenError::Invalid(reason)) => format!("invalid {reason}"),
            Err(error) => error.to_string(),
        }
    }

    /// Takes note of the sessions that ended, and says how many.
    fn collect(&mut self) -> usize {
        let before = self.ended.len();
        while let Some(ended) = self.table.poll_ended() {
            let [original, reply] = ended.session.packets;
            self.ended.push(format!("{} packets [{original}, {reply}]", ended.reason));
        }
        self.ended.len() - before
    }

    /// Lets every timer run out; why each session ended.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.table.handle_timeout(self.now + Duration::from_secs(1_000_000));
        assert_eq!((self.table.len(), self.table.poll_timeout()), (0, None));
        self.collect();
        self.ended
    }
}

pub(crate) fn query(id: u16, kind: u8, request: bool) -> Transport<'static> {
    Transport::Icmp(IcmpMessage {
        kind,
        code: 0,
        id: Some(id),
        request,
        quoted: None,
        payload: &[],
    })
}
