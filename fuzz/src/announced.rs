//! Connections that FTP, TFTP and SIP announce: for whom they open a way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parefeu::classify::{CompileLimits, CompiledPolicy};
use parefeu::engine::{Engine, EngineConfig, Frame, Verdict};
use parefeu::net::{LinkType, Timestamp};
use parefeu_testkit::frames;

/// A client speaks with a server; what they say opens ways between these two alone. The first byte
/// chooses the protocol; then come a byte, of which the lowest bit says who speaks and the others
/// how much, and what is said. After each message a third host tries every port that its text
/// could mean, towards either of them and from them.
pub fn announced(data: &[u8]) {
    ways_opened(data);
}

/// How many ways between the two were open that no rule opens.
pub fn ways_opened(data: &[u8]) -> usize {
    static POLICY: LazyLock<Option<Arc<CompiledPolicy>>> = LazyLock::new(|| {
        let firewall = super::written(POLICY_TEXT.as_bytes())?;
        Some(Arc::new(CompiledPolicy::compile(firewall, &CompileLimits::default())))
    });
    let mut opened = 0;
    let Some((first, mut rest)) = data.split_first() else { return opened };
    let (is_tcp, port) =
        [(true, 21), (false, 69), (false, 5060), (true, 5060)][usize::from(first % 4)];
    let policy = POLICY.clone().expect("the policy is written below");
    let mut engine = Engine::new(policy, EngineConfig::default());
    let mut now = Timestamp::from_secs(1000);
    let mut handle = |line: &str| {
        now = now + Duration::from_millis(1);
        let data = frames::frame(line);
        let frame =
            Frame { link_type: LinkType::ETHERNET, data: &data, wire_len: data.len() as u32 };
        engine.handle_frame(now, None, frame).verdict
    };
    let ends = [(CLIENT, 4000), (SERVER, port)].map(|(host, port)| SocketAddr::new(host, port));
    let mut sequence = [1u32, 1];
    if is_tcp {
        let [client, server] = ends;
        for line in [
            format!("{client} > {server} S seq=0"),
            format!("{server} > {client} S. seq=0 ack=1"),
            format!("{client} > {server} . seq=1 ack=1"),
        ] {
            assert_eq!(handle(&line), Verdict::Allow, "{line}");
        }
    }
    while let Some((control, more)) = rest.split_first() {
        let (from, length) = (usize::from(control & 1), usize::from(control >> 1) * 8);
        let (said, more) = more.split_at(more.len().min(length));
        rest = more;
        let text: String = said.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let (src, dst) = (ends[from], ends[1 - from]);
        let kind = if is_tcp {
            format!("P. seq={} ack={}", sequence[from], sequence[1 - from])
        } else {
            "udp".to_owned()
        };
        handle(&format!("{src} > {dst} {kind} \"{text}\""));
        sequence[from] = sequence[from].wrapping_add(said.len() as u32);
        for port in ports(said) {
            let other = SocketAddr::new(OTHER, 4000);
            for (src, dst) in [
                (other, SocketAddr::new(CLIENT, port)),
                (other, SocketAddr::new(SERVER, port)),
                (ends[0], SocketAddr::new(OTHER, port)),
                (ends[1], SocketAddr::new(OTHER, port)),
            ] {
                for kind in ["S", "udp"] {
                    let line = format!("{src} > {dst} {kind}");
                    assert_ne!(handle(&line), Verdict::Allow, "{line}");
                }
            }
            for (src, dst) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
                let (src, dst) = (SocketAddr::new(src, 4001), SocketAddr::new(dst, port));
                for kind in ["S", "udp"] {
                    let verdict = handle(&format!("{src} > {dst} {kind}"));
                    opened += usize::from(verdict == Verdict::Allow);
                }
            }
        }
    }
    opened
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 66));

/// The ports that a message could mean, the greatest of them: that of the client, its numbers, two
/// of them as halves of one, and the next port, which is RTCP's.
fn ports(said: &[u8]) -> Vec<u16> {
    let digits = said.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let texts = digits.filter_map(|digits| std::str::from_utf8(digits).ok());
    let numbers: Vec<u16> = texts.filter_map(|text| text.parse().ok()).collect();
    let halves = numbers.windows(2).map(|two| two[0].wrapping_mul(256).wrapping_add(two[1]));
    let next = numbers.iter().map(|number| number.wrapping_add(1));
    let mut ports: Vec<u16> = numbers.iter().copied().chain(halves).chain(next).collect();
    ports.push(4000);
    // The ports of the rule are open to everybody.
    ports.retain(|port| ![21, 69, 5060].contains(port));
    ports.sort_unstable_by(|one, other| other.cmp(one));
    ports.dedup();
    ports.truncate(24);
    ports
}

/// The control connections of clients, and what they announce.
const POLICY_TEXT: &str = r#"
[behaviour]
preset = "fortios"
expect-ftp = true
expect-tftp = true
expect-sip = true
[[rule_base]]
name = "control"
default = "drop"
[[rule_base.rule]]
name = "control"
source = "10.0.0.0/8"
service = ["tcp/21", "udp/69", "udp/5060", "tcp/5060"]
action = "allow"
[[layer]]
rule_base = "control"
"#;
