//! ClassBench filter sets and header traces, read where somebody has put them beside the checkout,
//! and written for other classifiers to read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use flate2::read::GzDecoder;
use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol, Timestamp};
use parefeu_policy::{ConnectionState, LinkedFirewall, PacketKey};

use crate::firewalls::{self, Family, Filter};

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

/// A header with the index of the first rule that holds for it.
pub type Expected = (PacketKey, Option<u32>);

/// A filter set with headers and the rule each of them hits first.
#[derive(Clone, Debug)]
pub struct FilterSet {
    /// One rule base, whose rules all allow, in the order of the file.
    pub firewall: Arc<LinkedFirewall>,
    /// Headers, each with the index of the first rule that matches it.
    pub trace: Vec<Expected>,
}

impl FilterSet {
    /// Reads `NAME.rules.gz` and `NAME.uniform.trace.gz`, the trace up to `most_headers` spread
    /// evenly over it. `None` where the files are absent.
    ///
    /// # Panics
    /// When a line is not in the form `db_generator` and `trace_generator` write.
    pub fn open(directory: &Path, name: &str, most_headers: usize) -> Option<Self> {
        let open = |kind: &str| {
            let file = File::open(directory.join(format!("{name}.{kind}.gz"))).ok()?;
            Some(BufReader::new(GzDecoder::new(file)))
        };
        let filters = read_rules(open("rules")?);
        let trace = read_trace(open("uniform.trace")?);
        let step = trace.len().div_ceil(most_headers.max(1)).max(1);
        Some(Self {
            firewall: firewalls::linked(&firewalls::filtering(name, &filters)),
            trace: trace.into_iter().step_by(step).collect(),
        })
    }
}

/// Reads a filter set. The last column of a rule, IP flags under a mask, is not read: headers of a
/// trace carry none.
///
/// # Panics
/// When a line is no rule.
pub fn read_rules(from: impl BufRead) -> Vec<Filter> {
    lines(from).map(|line| rule(&line)).collect()
}

/// Reads a header trace that ends each line with the rule expected.
///
/// # Panics
/// When a line is no such header.
pub fn read_trace(from: impl BufRead) -> Vec<Expected> {
    lines(from).map(|line| header(&line)).collect()
}

/// Writes a filter set; any address is the prefix of length 0 of `family`.
///
/// # Errors
/// When `to` takes no more.
pub fn write_rules(filters: &[Filter], family: Family, to: &mut impl Write) -> io::Result<()> {
    let any = match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    };
    let side = |side: Option<IpNet>| side.map_or_else(|| any.to_owned(), |net| net.to_string());
    for Filter { src, dst, protocol, src_ports, dst_ports } in filters {
        write!(to, "@{}\t{}\t", side(*src), side(*dst))?;
        for ports in [src_ports, dst_ports] {
            write!(to, "{} : {}\t", ports.first(), ports.last())?;
        }
        let (value, mask) = protocol.map_or((0, 0), |protocol| (protocol.0, 0xff));
        writeln!(to, "0x{value:02x}/0x{mask:02X}\t0x0000/0x0000\t")?;
    }
    Ok(())
}

/// Writes a header trace. IPv4 addresses are decimal numbers, as `trace_generator` writes them;
/// IPv6 addresses, which it does not know, are in their usual form.
///
/// # Errors
/// When `to` takes no more.
pub fn write_trace(trace: &[Expected], to: &mut impl Write) -> io::Result<()> {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_bits().to_string(),
        IpAddr::V6(address) => address.to_string(),
    };
    for (key, expected) in trace {
        let (src, dst) = (address(key.src), address(key.dst));
        let (src_port, dst_port, protocol) = (key.src_port, key.dst_port, key.protocol.0);
        let rule = expected.map_or(-1, i64::from);
        writeln!(to, "{src}\t{dst}\t{src_port}\t{dst_port}\t{protocol}\t{rule}")?;
    }
    Ok(())
}

fn lines(from: impl BufRead) -> impl Iterator<Item = String> {
    from.lines().map_while(Result::ok).filter(|line| !line.trim().is_empty())
}

/// `@SRC/LEN DST/LEN LOW : HIGH LOW : HIGH PROTOCOL/MASK FLAGS/MASK`
fn rule(line: &str) -> Filter {
    let words: Vec<&str> =
        line.trim_start_matches('@').split([' ', '\t']).filter(|w| !w.is_empty()).collect();
    let [src, dst, src_low, ":", src_high, dst_low, ":", dst_high, protocol, ..] = words[..] else {
        panic_at(line)
    };
    let network = |text: &str| Some(parsed::<IpNet>(text, line).trunc());
    let ports = |low: &str, high: &str| {
        let range = PortRange::new(parsed(low, line), parsed(high, line));
        range.unwrap_or_else(|_| panic_at(line))
    };
    let hexadecimal = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16);
    let protocol = match protocol.split_once('/').map(|(a, b)| (hexadecimal(a), hexadecimal(b))) {
        Some((Ok(_), Ok(0))) => None,
        Some((Ok(number), Ok(0xff))) => Some(Protocol(number)),
        _ => panic_at(line),
    };
    Filter {
        src: network(src),
        dst: network(dst),
        protocol,
        src_ports: ports(src_low, src_high),
        dst_ports: ports(dst_low, dst_high),
    }
}

/// `SRC DST SOURCE-PORT DESTINATION-PORT PROTOCOL RULE`, decimal; rule −1 for none.
fn header(line: &str) -> Expected {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [src, dst, src_port, dst_port, protocol, rule, ..] = words[..] else { panic_at(line) };
    let address = |text: &str| match text.parse() {
        Ok(bits) => IpAddr::from(Ipv4Addr::from_bits(bits)),
        Err(_) => parsed::<Ipv6Addr>(text, line).into(),
    };
    let key = PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src: address(src),
        dst: address(dst),
        protocol: Protocol(parsed(protocol, line)),
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
