//! Random scenes: a few flows, and what their ends send.

use std::net::{IpAddr, SocketAddr};

use parefeu_testkit::Random;

use crate::fragments::Cut;
use crate::tcp::Talk;

/// What scenes are made of.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Kinds {
    fragments: bool,
}

impl Kinds {
    pub(crate) const WHOLE: Self = Self { fragments: false };
    pub(crate) const FRAGMENTS: Self = Self { fragments: true };
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other,
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
}

pub(crate) struct Scene {
    pub(crate) flows: Vec<Flow>,
    pub(crate) steps: Vec<Step>,
}

impl Scene {
    pub(crate) fn random(seed: u64, kinds: Kinds) -> Self {
        let mut random = Random::new(seed);
        let flows: Vec<Flow> = (0..=random.below(5)).map(|_| flow(&mut random)).collect();
        let mut talks: Vec<Talk> = flows.iter().map(|_| Talk::new(&mut random)).collect();
        let mut steps = Vec::new();
        let mut sent: Vec<Packet> = Vec::new();
        for _ in 0..20 + random.below(140) {
            // Held fragments do not age with the rest.
            if random.percent(2) && !kinds.fragments {
                steps.push(Step::Wait(WAITS[random.below(WAITS.len())]));
                continue;
            }
            let at = random.below(flows.len());
            let mut packet = packet(&mut random, (at, &flows[at], &mut talks[at]), &sent);
            packet.wrong_checksum = random.percent(1);
            if kinds.fragments && random.percent(60) {
                packet.cut = Cut::random(&mut random, steps.len() as u32);
            }
            if packet.quotes.is_none() {
                sent.push(packet.clone());
            }
            steps.push(Step::Send(packet));
        }
        Self { flows, steps }
    }
}

/// Around the timers of the kernel.
const WAITS: [u64; 23] = [
    1, 2, 5, 9, 10, 11, 29, 30, 31, 59, 60, 61, 119, 120, 121, 299, 300, 301, 599, 600, 601, 3600,
    432_000,
];

fn flow(random: &mut Random) -> Flow {
    let by_client = random.percent(80);
    let is_v6 = random.percent(40);
    let protocol =
        [(60, Protocol::Tcp), (18, Protocol::Udp), (18, Protocol::Icmp), (4, Protocol::Other)];
    let protocol = random.weighted(&protocol).unwrap();
    let (client, server) = (1 + random.below(2) as u16, 9 + random.below(2) as u16);
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
        Protocol::Icmp | Protocol::Other => [(1, 0); 4],
    };
    let opened = random.weighted(&opened).unwrap();
    // Few ports, so that flows meet.
    let opener = 4000 + random.below(4) as u16;
    let [opener, opened] = match protocol {
        Protocol::Icmp => [opener; 2],
        Protocol::Other => [0; 2],
        Protocol::Tcp | Protocol::Udp => [opener, opened],
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
            let (forth, text) = talk.segment(random);
            plain(forth, text)
        }
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
