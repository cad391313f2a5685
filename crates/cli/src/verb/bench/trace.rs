//! Header traces in ClassBench form.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::{ConnectionState, PacketKey};

use crate::load::{plain_bytes, read_file};

/// Headers to look up.
#[derive(Debug)]
pub(super) struct Headers {
    pub(super) keys: Vec<PacketKey>,
    /// The index of the rule each should hit, where a trace says so; `None` for no rule.
    pub(super) expected: Option<Vec<Option<u32>>>,
}

impl Headers {
    /// Reads a trace; gzip is recognised, `-` is standard input.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let bytes = read_file(path).with_context(|| format!("cannot read `{name}`"))?;
        let bytes = plain_bytes(&bytes).with_context(|| format!("cannot read `{name}`"))?;
        let text = std::str::from_utf8(&bytes).with_context(|| format!("`{name}` is no text"))?;
        Self::parse(text).with_context(|| format!("`{name}` is no header trace"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
        let (mut keys, mut expected) = (Vec::new(), Vec::new());
        for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            let place = || format!("line {number}");
            let (key, rule) = header(line).with_context(place)?;
            keys.push(key);
            expected.extend(rule.map(rule_index).transpose().with_context(place)?);
            anyhow::ensure!(
                expected.is_empty() || expected.len() == keys.len(),
                "line {number}: either every line names the expected rule, or none does"
            );
        }
        anyhow::ensure!(!keys.is_empty(), "it holds no header");
        Ok(Self { expected: (!expected.is_empty()).then_some(expected), keys })
    }
}

/// Source, destination, source port, destination port, protocol, and perhaps the expected rule (−1
/// for none). Addresses are decimal numbers, as `trace_generator` writes them, or in their usual
/// form; numbers past 32 bits are IPv6. Columns after the sixth are ignored: some generators add
/// flags.
fn header(line: &str) -> anyhow::Result<(PacketKey, Option<&str>)> {
    let mut words = line.split_ascii_whitespace();
    let mut word = |what: &str| words.next().with_context(|| format!("{what} is missing"));
    let (src, dst) = (address(word("the source")?)?, address(word("the destination")?)?);
    anyhow::ensure!(
        src.is_ipv4() == dst.is_ipv4(),
        "source {src} and destination {dst} are of different families"
    );
    let src_port = number(word("the source port")?)?;
    let dst_port = number(word("the destination port")?)?;
    let protocol = Protocol(number(word("the protocol")?)?);
    let expected = words.next();
    let ports = if protocol.has_ports() { (src_port, dst_port) } else { (0, 0) };
    let key = PacketKey {
        ingress: None,
        egress: None,
        from: None,
        to: None,
        src,
        dst,
        protocol,
        src_port: ports.0,
        dst_port: ports.1,
        icmp: None,
        tcp_flags: (protocol == Protocol::TCP).then_some(TcpFlags::SYN),
        state: ConnectionState::New,
        device: None,
        time: Timestamp::EPOCH,
    };
    Ok((key, expected))
}

fn address(text: &str) -> anyhow::Result<IpAddr> {
    if let Ok(bits) = text.parse::<u128>() {
        let v4 = u32::try_from(bits).map(|bits| Ipv4Addr::from_bits(bits).into());
        return Ok(v4.unwrap_or_else(|_| Ipv6Addr::from_bits(bits).into()));
    }
    text.parse().with_context(|| format!("`{text}` is no address"))
}

fn rule_index(text: &str) -> anyhow::Result<Option<u32>> {
    match number::<i64>(text)? {
        -1 => Ok(None),
        index => {
            let index = u32::try_from(index).with_context(|| format!("`{text}` is no rule"))?;
            Ok(Some(index))
        }
    }
}

fn number<T: FromStr>(text: &str) -> anyhow::Result<T> {
    text.parse().ok().with_context(|| format!("`{text}` does not fit its column"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match Headers::parse(text) {
            Ok(Headers { keys, expected }) => {
                let key = |key: &PacketKey| {
                    let (src, dst) = (key.src, key.dst);
                    format!("{src}:{}>{dst}:{}/{}", key.src_port, key.dst_port, key.protocol.0)
                };
                let keys: Vec<String> = keys.iter().map(key).collect();
                format!("{} {expected:?}", keys.join(" "))
            }
            Err(error) => format!("{error:#}"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_is_a_header() {
        check(
            "3221225985\t3325256705\t1024\t80\t6\t0\n\n3221225985 3325256705 7 8 1 -1 0x0000\r\n",
            "192.0.2.1:1024>198.51.100.1:80/6 192.0.2.1:0>198.51.100.1:0/1 \
             Some([Some(0), None])",
        );
        check("192.0.2.1 198.51.100.1 1 2 17", "192.0.2.1:1>198.51.100.1:2/17 None");
        check(
            "42540766411282592856903984951653826561 2001:db8::2 1 2 17",
            "2001:db8::1:1>2001:db8::2:2/17 None",
        );
    }

    #[test]
    fn what_is_no_header_is_named_with_its_line() {
        for (text, expected) in [
            ("", "it holds no header"),
            ("1 2 3 4", "line 1: the protocol is missing"),
            ("1 2 3 4 5 6\n1 2 3 65536 5 6", "line 2: `65536` does not fit its column"),
            ("1 2 3 4 256", "line 1: `256` does not fit its column"),
            (
                "1 2 3 4 5 -2",
                "line 1: `-2` is no rule: out of range integral type conversion attempted",
            ),
            (
                "1 2::3 3 4 5",
                "line 1: source 0.0.0.1 and destination 2::3 are of different families",
            ),
            ("x 2 3 4 5", "line 1: `x` is no address: invalid IP address syntax"),
            (
                "1 2 3 4 5 6\n1 2 3 4 5",
                "line 2: either every line names the expected rule, or none does",
            ),
        ] {
            check(text, expected);
        }
    }
}
