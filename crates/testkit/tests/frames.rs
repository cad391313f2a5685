//! Frames from text decode to what the text says, with right checksums.

use parefeu_net::{
    ChecksumVerdict, DecodeLimits, LinkType, Packet, Protocol, Transport, decode,
    ip_header_checksum, transport_checksum,
};
use parefeu_testkit::frames::{frame, frame_with};

/// The packet in one line: VLAN, flow, transport, payload and whether both checksums are right.
#[expect(clippy::expect_used, reason = "a frame without IP fails the test")]
fn described(packet: &Packet<'_>) -> String {
    let flow = packet.five_tuple().expect("the frame carries IP");
    let network = packet.network.as_ref().expect("the frame carries IP");
    let valid = [ip_header_checksum(network), transport_checksum(network)];
    let transport = match &packet.transport {
        Transport::Tcp(tcp) => format!(
            "flags={:#04x} seq={} ack={} win={} mss={:?} wscale={:?} sack={} time={}",
            tcp.flags.0,
            tcp.sequence,
            tcp.acknowledgement,
            tcp.window,
            tcp.mss,
            tcp.window_scale,
            tcp.sack_permitted,
            tcp.timestamps,
        ),
        Transport::Icmp(icmp) => format!("{}/{} id={:?}", icmp.kind, icmp.code, icmp.id),
        _ => String::new(),
    };
    let payload = String::from_utf8_lossy(packet.transport.payload());
    format!(
        "{:?} {flow} ttl={} {transport} {payload:?} {}",
        packet.link.vlans.as_slice(),
        network.ttl,
        if valid == [ChecksumVerdict::Valid; 2] { "right" } else { "wrong" },
    )
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let bytes = frame(text);
    let packet = decode(LinkType::ETHERNET, &bytes, bytes.len(), &DecodeLimits::default());
    assert_eq!(packet.malformed, None, "{text}");
    assert_eq!(described(&packet), expected, "{text}");
}

#[test]
fn a_line_becomes_the_frame_it_describes() {
    for (text, expected) in [
        (
            "198.51.100.7:40000 > 192.0.2.1:443 S",
            "[] tcp 198.51.100.7:40000 > 192.0.2.1:443 ttl=64 flags=0x02 seq=0 ack=0 win=65535 \
             mss=None wscale=None sack=false time=false \"\" right",
        ),
        (
            "198.51.100.7:40000 > 192.0.2.1:443 S. seq=9 ack=8 win=1 mss=1460 wscale=7 sack time=5",
            "[] tcp 198.51.100.7:40000 > 192.0.2.1:443 ttl=64 flags=0x12 seq=9 ack=8 win=1 \
             mss=Some(1460) wscale=Some(7) sack=true time=true \"\" right",
        ),
        (
            r#"[2001:db8::7]:1 > [2001:db8::1]:80 P. seq=1 ack=2 vlan=42 ttl=3 "GET /\r\n\x41""#,
            "[42] tcp [2001:db8::7]:1 > [2001:db8::1]:80 ttl=3 flags=0x18 seq=1 ack=2 win=65535 \
             mss=None wscale=None sack=false time=false \"GET /\\r\\nA\" right",
        ),
        (
            "198.51.100.7:1 > 192.0.2.1:2 FUEWR",
            "[] tcp 198.51.100.7:1 > 192.0.2.1:2 ttl=64 flags=0xe5 seq=0 ack=0 win=65535 \
             mss=None wscale=None sack=false time=false \"\" right",
        ),
        (
            "198.51.100.7:1 > 192.0.2.1:2 none",
            "[] tcp 198.51.100.7:1 > 192.0.2.1:2 ttl=64 flags=0x00 seq=0 ack=0 win=65535 \
             mss=None wscale=None sack=false time=false \"\" right",
        ),
        (
            "198.51.100.7:53 > 192.0.2.1:53 udp len=5",
            "[] udp 198.51.100.7:53 > 192.0.2.1:53 ttl=64  \"xxxxx\" right",
        ),
        (
            r#"[2001:db8::7]:53 > [2001:db8::1]:53 udp len=1 "\"\\""#,
            "[] udp [2001:db8::7]:53 > [2001:db8::1]:53 ttl=64  \"x\\\"\\\\\" right",
        ),
        (
            "198.51.100.7 > 192.0.2.1 echo id=7 seq=1 len=3",
            "[] icmp 198.51.100.7 > 192.0.2.1 ttl=64 8/0 id=Some(7) \"xxx\" right",
        ),
        (
            "2001:db8::7 > 2001:db8::1 echo-reply id=7",
            "[] icmpv6 2001:db8::7 > 2001:db8::1 ttl=64 129/0 id=Some(7) \"\" right",
        ),
        (
            "198.51.100.7 > 192.0.2.1 icmp=3/13",
            "[] icmp 198.51.100.7 > 192.0.2.1 ttl=64 3/13 id=None \"\" right",
        ),
    ] {
        check(text, expected);
    }
}

#[test]
fn another_protocol_carries_the_payload_as_it_is() {
    let bytes = frame_with("198.51.100.7 > 192.0.2.1 ip=47 \"a\"", &[0, 1]);
    assert_eq!(bytes[bytes.len() - 3..], [b'a', 0, 1]);
    let packet = decode(LinkType::ETHERNET, &bytes, bytes.len(), &DecodeLimits::default());
    assert_eq!(packet.network.map(|network| network.protocol), Some(Protocol::GRE));
}

#[test]
fn lines_that_describe_no_frame_are_refused() {
    for text in [
        "",
        "192.0.2.1 192.0.2.2 udp",
        "192.0.2.1:1 > 192.0.2.2:2 syn",
        "192.0.2.1:1 > 192.0.2.2:2 udp \"open",
        "192.0.2.1:1 > 192.0.2.2:2 udp \"\\q\"",
        "192.0.2.1:1 > [2001:db8::1]:2 udp",
        "192.0.2.1:1 > 192.0.2.2:2 S seq=minus",
        "192.0.2.1:1 > 192.0.2.2:2 S vlan=5000",
    ] {
        assert!(std::panic::catch_unwind(|| frame(text)).is_err(), "{text}");
    }
}

#[test]
fn a_segment_acknowledges_selectively() {
    let bytes = frame("198.51.100.7:1 > 192.0.2.1:2 . ack=5 block=4294967295-9");
    let packet = decode(LinkType::ETHERNET, &bytes, bytes.len(), &DecodeLimits::default());
    let blocks = match packet.transport {
        Transport::Tcp(tcp) => tcp.sack.as_slice().to_vec(),
        _ => Vec::new(),
    };
    assert_eq!(blocks, [(u32::MAX, 9)]);
}
