//! ClassBench filter sets and header traces, where somebody has put them beside the checkout.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use flate2::read::GzDecoder;
use ipnet::Ipv4Net;
use parefeu_net::{PortRange, Protocol, Timestamp};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, ConnectionState, Firewall, Layer, LinkedFirewall, Match,
    PacketKey, Rule, RuleBase, Sees, ServiceItem, ServiceTerm, Span,
};

use crate::firewalls;

/// The filter sets: parameters acl1, fw1 and ipc1, each at three sizes.
pub const SETS: [&str; 9] = [
    "acl1_1k",
    "acl1_10k",
    "acl1_100k",
    "fw1_1k",
    "fw1_10k",
    "fw1_100k",
    "ipc1_1k",
    "ipc1_10k",
    "ipc1_100k",
];

/// A filter set with headers and the rule each of them hits first.
#[derive(Clone, Debug)]
pub struct FilterSet {
    /// One rule base, whose rules all allow, in the order of the file.
    pub firewall: Arc<LinkedFirewall>,
    /// Headers, each with the index of the first rule that matches it.
    pub trace: Vec<(PacketKey, Option<u32>)>,
}

impl FilterSet {
    /// Reads `NAME.rules.gz` and `NAME.uniform.trace.gz`, the trace up to `most_headers` spread
    /// evenly over it. `None` where the files are absent.
    ///
    /// The last column of a rule, IP flags under a mask, is not read: headers of a trace carry
    /// none.
    ///
    /// # Panics
    /// When a line is not in the form `db_generator` and `trace_generator` write.
    pub fn open(directory: &Path, name: &str, most_headers: usize) -> Option<Self> {
        let rules: Vec<Rule> =
            lines(&directory.join(format!("{name}.rules.gz")))?.map(|line| rule(&line)).collect();
        let trace: Vec<String> =
            lines(&directory.join(format!("{name}.uniform.trace.gz")))?.collect();
        let step = trace.len().div_ceil(most_headers.max(1)).max(1);
        let rule_base = RuleBase { name: name.to_owned(), rules, ..RuleBase::default() };
        let firewall = Firewall {
            name: name.to_owned(),
            dialect: "classbench",
            rule_bases: vec![rule_base],
            layers: vec![Layer {
                name: name.to_owned(),
                rule_base: At::new(name.to_owned(), Span::default()),
                default: Action::Deny,
                sees_src: Sees::Original,
                sees_dst: Sees::Original,
            }],
            ..Firewall::default()
        };
        Some(Self {
            firewall: firewalls::linked(&firewall),
            trace: trace.iter().step_by(step).map(|line| header(line)).collect(),
        })
    }
}

/// The lines of a gzip file; `None` where it cannot be opened.
fn lines(path: &Path) -> Option<impl Iterator<Item = String>> {
    let reader = BufReader::new(GzDecoder::new(File::open(path).ok()?));
    Some(reader.lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()))
}

/// `@SRC/LEN DST/LEN LOW : HIGH LOW : HIGH PROTOCOL/MASK FLAGS/MASK`
fn rule(line: &str) -> Rule {
    let words: Vec<&str> =
        line.trim_start_matches('@').split([' ', '\t', ':']).filter(|w| !w.is_empty()).collect();
    let [src, dst, src_low, src_high, dst_low, dst_high, protocol, ..] = words[..] else {
        panic_at(line)
    };
    let network = |text: &str| {
        let network: Ipv4Net = parsed(text, line);
        AddressMatch::one(AddressItem::Network(network.trunc().into()), Span::default())
    };
    let ports = |low: &str, high: &str| {
        let range = PortRange::new(parsed(low, line), parsed(high, line));
        range.map_or_else(|_| panic_at(line), PortSet::from)
    };
    let hexadecimal = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16);
    let protocols = match protocol.split_once('/').map(|(a, b)| (hexadecimal(a), hexadecimal(b))) {
        Some((Ok(_), Ok(0))) => ProtocolSet::ALL,
        Some((Ok(number), Ok(0xff))) => ProtocolSet::single(Protocol(number)),
        _ => panic_at(line),
    };
    let term = ServiceTerm {
        src_ports: ports(src_low, src_high),
        ..ServiceTerm::to_ports(protocols, ports(dst_low, dst_high))
    };
    let matches = Match {
        src: network(src),
        dst: network(dst),
        services: vec![At::new(ServiceItem::Term(term), Span::default())],
        ..Match::default()
    };
    Rule { matches, action: Action::Allow, ..Rule::default() }
}

/// `SRC DST SOURCE-PORT DESTINATION-PORT PROTOCOL RULE`, decimal; rule −1 for none.
fn header(line: &str) -> (PacketKey, Option<u32>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [src, dst, src_port, dst_port, protocol, rule, ..] = words[..] else { panic_at(line) };
    let protocol = Protocol(parsed(protocol, line));
    let key = PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: Ipv4Addr::from_bits(parsed(src, line)).into(),
        dst: Ipv4Addr::from_bits(parsed(dst, line)).into(),
        protocol,
        src_port: parsed(src_port, line),
        dst_port: parsed(dst_port, line),
        icmp: None,
        tcp_flags: None,
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    };
    (key, u32::try_from(parsed::<i64>(rule, line)).ok())
}

fn parsed<T: FromStr>(text: &str, line: &str) -> T {
    text.parse().unwrap_or_else(|_| panic_at(line))
}

#[expect(clippy::panic, reason = "a benchmark file in another form must stop whoever reads it")]
fn panic_at(line: &str) -> ! {
    panic!("not a ClassBench line: {line}");
}
