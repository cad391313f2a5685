//! Random scenes: a few flows, and what their ends send.

use std::net::{IpAddr, SocketAddr};

use parefeu_testkit::Random;

use crate::fragments::Cut;
use crate::odd::{self, Odd};
use crate::{sctp, tcp};

/// What scenes are made of.
#[derive(Clone, Copy, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent trait of scenes")]
pub(crate) struct Kinds {
    fragments: bool,
    /// Most flows are of SCTP or GRE.
    sctp: bool,
    /// There are many flows, of many hosts.
    crowd: bool,
    /// Many packets are as hosts rarely send them.
    odd: bool,
}

impl Kinds {
    pub(crate) const WHOLE: Self = Self { fragments: false, sctp: false, crowd: false, odd: false };
    pub(crate) const FRAGMENTS: Self = Self { fragments: true, ..Self::WHOLE };
    pub(crate) const SCTP: Self = Self { sctp: true, ..Self::WHOLE };
    pub(crate) const CROWD: Self = Self { crowd: true, ..Self::WHOLE };
    pub(crate) const ODD: Self = Self { odd: true, ..Self::WHOLE };
    pub(crate) const SCTP_CROWD: Self = Self { crowd: true, ..Self::SCTP };
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Sctp,
    /// Version 0 (RFC 2784), with and without a key (RFC 2890).
    Gre,
    Other,
}

/// What the ends of a flow have said, where that matters.
struct Talk {
    tcp: tcp::Talk,
    sctp: sctp::Talk,
}

/// Two ends; the first one opens the flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) protocol: Protocol,
    pub(crate) ends: [SocketAddr; 2],
    /// Whether the client's side opens it.
    pub(crate) by_client: bool,
    /// Whether it asks for timestamps, where it is one of ICMP, and not for echoes.
    stamps: bool,
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// So many seconds go by.
    Wait(u64),
    Send(Packet),
}

/// A packet of a flow, without the addresses, which translation may have changed.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) flow: usize,
    /// Whether the end that opened the flow sends it.
    pub(crate) forth: bool,
    /// What follows the addresses in a line of `testkit::frames`.
    pub(crate) text: String,
    /// The packet an ICMP error quotes, and how much of it.
    pub(crate) quotes: Option<(Box<Self>, usize)>,
    /// Whether the error goes to somebody else than the quoted sender.
    pub(crate) astray: bool,
    pub(crate) wrong_checksum: bool,
    pub(crate) cut: Cut,
    pub(crate) odd: Option<Odd>,
}

impl Packet {
    fn make_odd(&mut self, random: &mut Random, flow: &Flow) {
        let is_v6 = flow.ends[0].is_ipv6();
        if self.quotes.is_some() {
            self.text = odd::error(random, is_v6);
        }
        let protocol = match flow.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            _ => 0,
        };
        let protocol = if self.quotes.is_some() { 58 } else { protocol };
        self.odd = Odd::random(random, protocol, is_v6);
    }
}

pub(crate) struct Scene {
    pub(crate) flows: Vec<Flow>,
    pub(crate) steps: Vec<Step>,
}

impl Scene {
    pub(crate) fn random(seed: u64, kinds: Kinds) -> Self {
        let mut random = Random::new(seed);
        let count = if kinds.crowd { 8 + random.below(24) } else { random.below(5) };
        let flows: Vec<Flow> = (0..=count).map(|_| flow(&mut random, kinds)).collect();
        let talk =
            |_| Talk { tcp: tcp::Talk::new(&mut random), sctp: sctp::Talk::new(&mut random) };
        let mut talks: Vec<Talk> = flows.iter().map(talk).collect();
        let mut steps = Vec::new();
        let mut sent: Vec<Packet> = Vec::new();
        for _ in 0..20 + random.below(140) {
            // Held fragments do not age with the rest.
            if random.percent(if kinds.sctp { 5 } else { 2 }) && !kinds.fragments {
                let waits = if kinds.sctp { &SCTP_WAITS[..] } else { &WAITS };
                steps.push(Step::Wait(waits[random.below(waits.len())]));
                continue;
            }
            let at = random.below(flows.len());
            let mut packet = packet(&mut random, (at, &flows[at], &mut talks[at]), &sent);
            packet.wrong_checksum = random.percent(1);
            if packet.quotes.is_none() && !kinds.fragments && flows[at].ends[0].is_ipv4() {
                packet.text = with_options(&mut random, packet.text);
            }
            if kinds.fragments && random.percent(60) {
                packet.cut = Cut::random(&mut random, steps.len() as u32);
            }
            if kinds.odd && random.percent(30) {
                packet.make_odd(&mut random, &flows[at]);
            }
            if packet.quotes.is_none() {
                sent.push(packet.clone());
            }
            steps.push(Step::Send(packet));
        }
        Self { flows, steps }
    }
}

impl Scene {
    /// The same without routes to be recorded: to a segment that asks for one Linux sends no reset.
    pub(crate) fn without_recorded_routes(mut self) -> Self {
        for step in &mut self.steps {
            if let Step::Send(packet) = step {
                packet.text = packet.text.replace(RECORD_ROUTE, "");
            }
        }
        self
    }
}

/// Around the timers of the kernel.
const WAITS: [u64; 23] = [
    1, 2, 5, 9, 10, 11, 29, 30, 31, 59, 60, 61, 119, 120, 121, 299, 300, 301, 599, 600, 601, 3600,
    432_000,
];

/// Around the timers of SCTP and GRE.
const SCTP_WAITS: [u64; 19] =
    [1, 2, 2, 3, 3, 4, 9, 10, 11, 29, 30, 31, 179, 180, 181, 209, 210, 211, 432_000];

/// A route to be recorded, with room for an address.
pub(crate) const RECORD_ROUTE: &str = "options=0707040000000000";

/// Options of IPv4 that routers take no offence at: none, router alert (RFC 2113), routes recorded.
const OPTIONS: [&str; 4] =
    ["options=01010100", "options=94040000", "options=0707080a01000100", RECORD_ROUTE];

/// Now and then a packet has options of IPv4.
fn with_options(random: &mut Random, text: String) -> String {
    if !random.percent(4) || text.contains("options=") {
        return text;
    }
    // They come before a payload in quotes.
    let options = OPTIONS[random.below(OPTIONS.len())];
    let (head, payload) = text.split_at(text.find('"').unwrap_or(text.len()));
    format!("{} {options} {payload}", head.trim_end())
}

fn flow(random: &mut Random, kinds: Kinds) -> Flow {
    let by_client = random.percent(80);
    let is_v6 = random.percent(40);
    let weights = if kinds.sctp { [4, 2, 2, 75, 15, 2] } else { [58, 17, 17, 3, 2, 3] };
    let protocols = [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::Icmp,
        Protocol::Sctp,
        Protocol::Gre,
        Protocol::Other,
    ];
    let protocols: Vec<(usize, Protocol)> = weights.into_iter().zip(protocols).collect();
    let protocol = random.weighted(&protocols).unwrap();
    let clients = if kinds.crowd { 6 } else { 2 };
    let (client, server) = (1 + random.below(clients) as u16, 9 + random.below(2) as u16);
    let host = |network: u16, host: u16| match (is_v6, network) {
        (true, _) => IpAddr::from([0x2001, 0xdb8, network, 0, 0, 0, 0, host]),
        (false, 1) => IpAddr::from([10, 1, 0, 4 + host as u8]),
        (false, _) => IpAddr::from([198, 51, 100, host as u8]),
    };
    let opened = match protocol {
        Protocol::Tcp if by_client => [(45, 80), (35, 443), (8, 8888), (12, 81)],
        Protocol::Tcp => [(80, 22), (5, 8888), (5, 80), (10, 81)],
        Protocol::Udp if by_client => [(70, 53), (10, 8888), (10, 54), (10, 53)],
        Protocol::Udp => [(70, 161), (10, 8888), (10, 53), (10, 54)],
        Protocol::Sctp if by_client => [(75, 36412), (15, 3868), (5, 2905), (5, 80)],
        Protocol::Sctp => [(85, 2905), (5, 36412), (5, 3868), (5, 22)],
        Protocol::Icmp | Protocol::Gre | Protocol::Other => [(1, 0); 4],
    };
    let opened = random.weighted(&opened).unwrap();
    // Few ports, so that flows meet.
    let opener = 4000 + random.below(4) as u16;
    let [opener, opened] = match protocol {
        Protocol::Icmp => [opener; 2],
        Protocol::Gre | Protocol::Other => [0; 2],
        Protocol::Tcp | Protocol::Udp | Protocol::Sctp => [opener, opened],
    };
    let [inside, outside] = [host(1, client), host(2, server)];
    let ends = if by_client { [inside, outside] } else { [outside, inside] };
    let ends = [SocketAddr::new(ends[0], opener), SocketAddr::new(ends[1], opened)];
    let stamps = ends[0].is_ipv4() && random.percent(20);
    Flow { protocol, ends, by_client, stamps }
}

fn packet(
    random: &mut Random,
    (flow, shape, talk): (usize, &Flow, &mut Talk),
    sent: &[Packet],
) -> Packet {
    let plain = |forth, text| Packet {
        flow,
        forth,
        text,
        quotes: None,
        astray: false,
        wrong_checksum: false,
        cut: Cut::Whole,
        odd: None,
    };
    let own: Vec<&Packet> = sent.iter().filter(|packet| packet.flow == flow).collect();
    if random.percent(7)
        && let Some(&again) = random.pick(&own)
    {
        return again.clone();
    }
    if random.percent(6)
        && let Some(&quoted) = random.pick(&own)
    {
        let kinds: &[&str] = if shape.ends[0].is_ipv4() { &ERRORS_V4 } else { &ERRORS_V6 };
        let text = kinds[random.below(kinds.len())].to_owned();
        let header = if shape.ends[0].is_ipv4() { 20 } else { 40 };
        let length = header + [8, 20, 20, 40, 4, 0][random.below(6)];
        let mut packet = plain(!quoted.forth, text);
        packet.astray = random.percent(8);
        packet.quotes = Some((Box::new(quoted.clone()), length));
        return packet;
    }
    let forth = random.percent(55);
    match shape.protocol {
        Protocol::Tcp => {
            let (forth, text) = talk.tcp.segment(random);
            plain(forth, text)
        }
        Protocol::Sctp => {
            let (forth, text) = talk.sctp.packet(random);
            plain(forth, text)
        }
        Protocol::Gre => plain(forth, GRE[random.below(GRE.len())].to_owned()),
        Protocol::Udp => plain(forth, format!("udp len={}", random.below(1200))),
        Protocol::Other => plain(forth, format!("ip=99 len={}", random.below(1200))),
        Protocol::Icmp => {
            let forth = random.percent(if own.is_empty() { 90 } else { 50 });
            let is_query = forth && random.percent(90);
            let number = random.below(4);
            let length = random.below(1200);
            let kind = match (is_query, random.below(20), shape.ends[0].is_ipv4()) {
                // An answer to what was not asked.
                (false, 0, true) if shape.stamps => "echo-reply",
                (false, 0, true) => "icmp=14/0",
                (_, 1, true) => ["icmp=10/0", "icmp=42/0"][random.below(2)],
                (_, 1, false) => ["icmp=135/0", "icmp=127/0"][random.below(2)],
                (true, ..) if shape.stamps => "icmp=13/0",
                (false, ..) if shape.stamps => "icmp=14/0",
                (true, ..) => "echo",
                (false, ..) => "echo-reply",
            };
            plain(forth, format!("{kind} seq={number} len={length}"))
        }
    }
}

/// Bare, with a key, with a key and a sequence number; and as short as Linux translates it.
const GRE: [&str; 4] = [
    r#"ip=47 "\x00\x00\x08\x00what is inside""#,
    r#"ip=47 "\x20\x00\x08\x00\x00\x00\x00\x07what is inside""#,
    r#"ip=47 "\x30\x00\x65\x58\x00\x00\x00\x08\x00\x00\x00\x01what is inside""#,
    r#"ip=47 "\x00\x00\x86\xddxxxx""#,
];

const ERRORS_V4: [&str; 8] = [
    "icmp=3/1",
    "icmp=3/3",
    "icmp=3/4",
    "icmp=3/13",
    "icmp=11/0",
    "icmp=12/0",
    "icmp=5/1",
    "icmp=4/0",
];
const ERRORS_V6: [&str; 5] = ["icmp=1/0", "icmp=1/4", "icmp=2/0", "icmp=3/0", "icmp=4/1"];
