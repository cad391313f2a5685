//! Ethernet frames from a line of text, as a reader of tcpdump would write them.
//!
//! ```
//! use parefeu_testkit::frames::frame;
//!
//! let syn = frame("198.51.100.7:40000 > 192.0.2.1:443 S seq=1000 mss=1460 wscale=7");
//! let query = frame(r#"[2001:db8::7]:40000 > [2001:db8::1]:53 udp "\x00\x01""#);
//! let ping = frame("198.51.100.7 > 192.0.2.1 echo id=7 seq=1");
//! let init = frame("198.51.100.7:2905 > 192.0.2.1:2905 sctp tag=0 chunks=init@7");
//! assert_eq!((syn.len(), query.len(), ping.len(), init.len()), (62, 64, 42, 66));
//! ```

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use etherparse::{
    IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6Header,
    PacketBuilder, PacketBuilderStep, TcpHeader, TcpOptionElement, VlanId,
};

/// The Ethernet frame a line describes: `SOURCE > DESTINATION KIND [OPTION…] ["PAYLOAD"]`.
///
/// - `SOURCE` and `DESTINATION`: `192.0.2.1:443`, `[2001:db8::1]:443`, or the bare address where
///   the protocol has no ports.
/// - `KIND`: TCP flags as tcpdump prints them (`S`, `S.`, `.`, `P.`, `F.`, `R`; also `U`, `E`, `W`,
///   and `none`); `udp`; `sctp`; `echo`, `echo-reply`; `icmp=TYPE/CODE`; `ip=NUMBER` for another
///   protocol.
/// - `OPTION`: `seq=`, `ack=`, `win=`, `mss=`, `wscale=`, `sack` (permitted), `block=LEFT-RIGHT`
///   (selectively acknowledged) and `time=` (timestamp value) for TCP; `id=`, `seq=` for ICMP;
///   `tag=` and `chunks=` for SCTP; `vlan=`, `ttl=`, `options=` for those of IPv4 as hexadecimal
///   digits; `len=` for that many bytes `x`.
/// - `chunks=`: `none`, or chunks with commas between them. Each is the name of its type
///   (`init-ack`) or its number, then as needed `/FLAGS`, `@TAG` (INIT and INIT ACK: the initiate
///   tag, with the other fields of their header), `+BYTES` of value, `~LENGTH` where that is to be
///   wrong.
/// - `PAYLOAD`: text with the escapes `\r \n \t \\ \" \xHH`; it follows the bytes of `len=`.
///
/// ICMP and ICMPv6 are told apart by the addresses. Lengths and checksums are right. Unless stated,
/// the sequence number, the acknowledgement and the identifier are 0, the window is 65,535, the TTL
/// or hop limit 64. MAC addresses are `02:00:00:00:00:01` to `02:00:00:00:00:02`.
///
/// # Panics
/// When the line is not of this form.
pub fn frame(text: &str) -> Vec<u8> {
    frame_with(text, &[])
}

/// [`frame`] with more payload than text can hold conveniently; it comes after what the line
/// states.
///
/// # Panics
/// When the line is not of the form [`frame`] reads.
pub fn frame_with(text: &str, payload: &[u8]) -> Vec<u8> {
    let (head, quoted) = text.split_once('"').unwrap_or((text, "\""));
    let words: Vec<&str> = head.split_whitespace().collect();
    let [src, ">", dst, kind, options @ ..] = words.as_slice() else { refuse(text, head) };
    let line = Line { text, src: endpoint(src, text), dst: endpoint(dst, text), options };
    let mut body = vec![b'x'; line.number("len", 0)];
    match quoted.trim_end().strip_suffix('"') {
        Some(quoted) => unescape(quoted, text, &mut body),
        None => refuse(text, quoted),
    }
    body.extend_from_slice(payload);
    line.write(kind, &body)
}

/// A line under way.
struct Line<'a> {
    text: &'a str,
    src: SocketAddr,
    dst: SocketAddr,
    options: &'a [&'a str],
}

impl Line<'_> {
    fn write(&self, kind: &str, body: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let (src, dst) = (self.src.port(), self.dst.port());
        let is_v4 = self.src.is_ipv4();
        let written = match kind.split_once('=').unwrap_or((kind, "")) {
            ("udp", "") => self.addressed().udp(src, dst).write(&mut frame, body),
            ("ip", number) => {
                self.addressed().write(&mut frame, IpNumber(self.parsed(number)), body)
            }
            ("sctp", "") => {
                let packet = self.sctp(body);
                self.addressed().write(&mut frame, IpNumber(132), &packet)
            }
            ("echo", "") => return self.icmp(if is_v4 { 8 } else { 128 }, 0, body),
            ("echo-reply", "") => return self.icmp(if is_v4 { 0 } else { 129 }, 0, body),
            ("icmp", kind_and_code) => {
                let Some((kind, code)) = kind_and_code.split_once('/') else {
                    refuse(self.text, kind)
                };
                return self.icmp(self.parsed(kind), self.parsed(code), body);
            }
            (flags, "") => self.addressed().tcp_header(self.tcp(flags)).write(&mut frame, body),
            _ => refuse(self.text, kind),
        };
        self.whole(frame, written.is_ok())
    }

    fn icmp(&self, kind: u8, code: u8, body: &[u8]) -> Vec<u8> {
        let ([a, b], [c, d]) =
            (self.number("id", 0u16).to_be_bytes(), self.number("seq", 0u16).to_be_bytes());
        let mut frame = Vec::new();
        let addressed = self.addressed();
        let written = if self.src.is_ipv4() {
            addressed.icmpv4_raw(kind, code, [a, b, c, d]).write(&mut frame, body)
        } else {
            addressed.icmpv6_raw(kind, code, [a, b, c, d]).write(&mut frame, body)
        };
        self.whole(frame, written.is_ok())
    }

    fn tcp(&self, flags: &str) -> TcpHeader {
        let has = |flag| flags != "none" && flags.contains(flag);
        if flags != "none" && !flags.chars().all(|flag| "SFRPUEW.".contains(flag)) {
            refuse(self.text, flags);
        }
        let mut header = TcpHeader {
            acknowledgment_number: self.number("ack", 0),
            fin: has('F'),
            syn: has('S'),
            rst: has('R'),
            psh: has('P'),
            ack: has('.'),
            urg: has('U'),
            ece: has('E'),
            cwr: has('W'),
            ..TcpHeader::new(
                self.src.port(),
                self.dst.port(),
                self.number("seq", 0),
                self.number("win", u16::MAX),
            )
        };
        let mss = self.option("mss").map(|text| self.parsed(text));
        let scale = self.option("wscale").map(|text| self.parsed(text));
        let time = self.option("time").map(|text| self.parsed(text));
        let block = self.option("block").map(|text| {
            let (left, right) = text.split_once('-').unwrap_or_else(|| refuse(self.text, text));
            let edges = (self.parsed(left), self.parsed(right));
            TcpOptionElement::SelectiveAcknowledgement(edges, [None; 3])
        });
        let options: Vec<TcpOptionElement> = [
            mss.map(TcpOptionElement::MaximumSegmentSize),
            self.option("sack").map(|_| TcpOptionElement::SelectiveAcknowledgementPermitted),
            time.map(|value| TcpOptionElement::Timestamp(value, 0)),
            scale.map(TcpOptionElement::WindowScale),
            block,
        ]
        .into_iter()
        .flatten()
        .collect();
        if header.set_options(&options).is_err() {
            refuse(self.text, "options");
        }
        header
    }

    /// An SCTP packet with the right CRC32c (RFC 9260 §3.1, §6.8).
    fn sctp(&self, body: &[u8]) -> Vec<u8> {
        let ports = [self.src.port().to_be_bytes(), self.dst.port().to_be_bytes()].concat();
        let tag = self.number("tag", 0u32).to_be_bytes();
        let mut packet = [&ports[..], &tag, &[0; 4]].concat();
        let chunks = self.option("chunks").filter(|chunks| *chunks != "none").unwrap_or_default();
        for chunk in chunks.split(',').filter(|chunk| !chunk.is_empty()) {
            self.chunk(chunk, &mut packet);
        }
        packet.extend_from_slice(body);
        let checksum = crc32c(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&checksum);
        packet
    }

    /// Appends a chunk, padded to four bytes (RFC 9260 §3.2).
    fn chunk(&self, text: &str, packet: &mut Vec<u8>) {
        let parts = text.split_inclusive(['/', '@', '+', '~']);
        let mut parts = parts.map(|part| part.trim_end_matches(['/', '@', '+', '~']));
        let name = parts.next().unwrap_or_default();
        let known = CHUNKS.iter().find(|(known, _)| *known == name);
        let kind: u8 = known.map_or_else(|| self.parsed(name), |(_, kind)| *kind);
        let (mut flags, mut value, mut length) = (0u8, Vec::new(), None);
        for (mark, part) in text.matches(['/', '@', '+', '~']).zip(parts) {
            match mark {
                "/" => flags = self.parsed(part),
                "@" => {
                    value.extend(self.parsed::<u32>(part).to_be_bytes());
                    // Receiver window, streams out and in, first sequence number.
                    value.extend([0, 1, 0, 0, 0, 10, 0, 10, 0, 0, 0, 1]);
                }
                "+" => value.resize(value.len() + self.parsed::<usize>(part), b'x'),
                _ => length = Some(self.parsed(part)),
            }
        }
        let length: u16 = length.unwrap_or(4 + value.len() as u16);
        let [high, low] = length.to_be_bytes();
        packet.extend([kind, flags, high, low]);
        packet.extend(value);
        packet.resize(packet.len().next_multiple_of(4), 0);
    }

    fn addressed(&self) -> PacketBuilderStep<IpHeaders> {
        let ttl = self.number("ttl", 64);
        let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let headers = match (self.src.ip(), self.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                // Length and protocol are filled in as the frame is written.
                Ipv4Header::new(0, ttl, IpNumber(0), src.octets(), dst.octets()).map(|header| {
                    let header = Ipv4Header { options: self.ip_options(), ..header };
                    IpHeaders::Ipv4(header, Ipv4Extensions::default())
                })
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let header = Ipv6Header {
                    hop_limit: ttl,
                    source: src.octets(),
                    destination: dst.octets(),
                    ..Ipv6Header::default()
                };
                Ok(IpHeaders::Ipv6(header, Ipv6Extensions::default()))
            }
            _ => refuse(self.text, "addresses of two families"),
        };
        let Ok(headers) = headers else { refuse(self.text, "addresses") };
        match self.option("vlan").map(|id| VlanId::try_new(self.parsed(id))) {
            None => ethernet.ip(headers),
            Some(Ok(vlan)) => ethernet.single_vlan(vlan).ip(headers),
            Some(Err(_)) => refuse(self.text, "vlan"),
        }
    }

    fn ip_options(&self) -> Ipv4Options {
        let digits = self.option("options").unwrap_or_default();
        let pairs = (0..digits.len()).step_by(2).map(|at| digits.get(at..at + 2));
        let bytes = pairs.map(|pair| u8::from_str_radix(pair.unwrap_or_default(), 16));
        let bytes =
            bytes.collect::<Result<Vec<u8>, _>>().unwrap_or_else(|_| refuse(self.text, digits));
        Ipv4Options::try_from(bytes.as_slice()).unwrap_or_else(|_| refuse(self.text, digits))
    }

    fn whole(&self, frame: Vec<u8>, is_written: bool) -> Vec<u8> {
        if !is_written {
            refuse(self.text, "more payload than fits");
        }
        frame
    }

    /// What follows `name=`, or nothing where the bare name stands.
    fn option(&self, name: &str) -> Option<&str> {
        let mut split = self.options.iter().map(|word| word.split_once('=').unwrap_or((word, "")));
        split.find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn number<T: FromStr>(&self, name: &str, default: T) -> T {
        self.option(name).map_or(default, |text| self.parsed(text))
    }

    fn parsed<T: FromStr>(&self, text: &str) -> T {
        text.parse().unwrap_or_else(|_| refuse(self.text, text))
    }
}

/// Chunk types by name (RFC 9260 §3.2).
const CHUNKS: [(&str, u8); 13] = [
    ("data", 0),
    ("init", 1),
    ("init-ack", 2),
    ("sack", 3),
    ("heartbeat", 4),
    ("heartbeat-ack", 5),
    ("abort", 6),
    ("shutdown", 7),
    ("shutdown-ack", 8),
    ("error", 9),
    ("cookie-echo", 10),
    ("cookie-ack", 11),
    ("shutdown-complete", 14),
];

/// CRC32c (RFC 9260 appendix A), bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

/// `192.0.2.1:443`, `[2001:db8::1]:443`, or a bare address, whose port is 0.
fn endpoint(text: &str, line: &str) -> SocketAddr {
    let bare = || text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 0));
    text.parse().or_else(|_| bare()).unwrap_or_else(|_| refuse(line, text))
}

/// Appends the bytes that text with escapes stands for.
fn unescape(quoted: &str, line: &str, bytes: &mut Vec<u8>) {
    let mut rest = quoted;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (byte, length) = match escaped.as_bytes() {
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b't', ..] => (b'\t', 1),
            [byte @ (b'\\' | b'"'), ..] => (*byte, 1),
            [b'x', ..] => {
                let digits = escaped.get(1..3).unwrap_or_default();
                let Ok(byte) = u8::from_str_radix(digits, 16) else { refuse(line, escaped) };
                (byte, 3)
            }
            _ => refuse(line, escaped),
        };
        bytes.push(byte);
        rest = escaped.get(length..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest.as_bytes());
}

#[expect(clippy::panic, reason = "a test that describes no frame must stop")]
fn refuse(line: &str, what: &str) -> ! {
    panic!("`{what}` makes no sense in the frame `{line}`");
}
