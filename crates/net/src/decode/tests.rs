use std::net::{IpAddr, Ipv4Addr};

use etherparse::{PacketBuilder, VlanId};
use proptest::prelude::*;

use super::*;
use crate::{FragmentHeader, MacAddress, TcpFlags};

const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 7]);
const V6: ([u8; 16], [u8; 16]) = (
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
);

/// Every link type decoded, and one that is not.
const LINKS: [LinkType; 21] = [
    LinkType::NULL,
    LinkType::ETHERNET,
    LinkType::PPP,
    LinkType::RAW_BSD,
    LinkType::RAW_OPENBSD,
    LinkType::PPP_HDLC,
    LinkType::PPP_ETHER,
    LinkType::RAW,
    LinkType::ATM_RFC1483,
    LinkType::C_HDLC,
    LinkType::IEEE802_11,
    LinkType::FRAME_RELAY,
    LinkType::IEEE802_11_RADIOTAP,
    LinkType::LOOP,
    LinkType::LINUX_SLL,
    LinkType::PFLOG,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::LINUX_SLL2,
    LinkType::NFLOG,
    LinkType(147),
];

const ALL: DecodeLimits =
    DecodeLimits { decapsulate: Decapsulate::ALL, max_tunnel_depth: 4, max_extension_headers: 8 };

/// One line that says what a packet says.
fn text(packet: &Packet<'_>) -> String {
    let mut words = Vec::new();
    words.extend(packet.link.vlans.as_slice().iter().map(|id| format!("vlan {id}")));
    words.extend(packet.tunnels.iter().map(|kind| kind.to_string()));
    words.push(packet.five_tuple().map_or("no ip".to_owned(), |flow| flow.to_string()));
    words.push(match &packet.transport {
        Transport::Tcp(tcp) => {
            format!("flags {:02x} len {}/{}", tcp.flags.0, tcp.payload.len(), tcp.payload_len)
        }
        Transport::Udp(udp) => format!("len {}", udp.payload.len()),
        Transport::Sctp(sctp) => format!("chunk {:?}", sctp.first_chunk),
        Transport::Icmp(icmp) => {
            format!("type {} code {} id {:?}", icmp.kind, icmp.code, icmp.id)
        }
        Transport::Other(bytes) => format!("other {}", bytes.len()),
        Transport::Absent => "absent".to_owned(),
    });
    if let Some(fragment) = packet.network.and_then(|network| network.fragment) {
        let FragmentHeader { id, offset_bytes, more, next } = fragment;
        words.push(format!("fragment {id} {offset_bytes} {more} {next}"));
    }
    words.extend(packet.truncated.then(|| "truncated".to_owned()));
    words.extend(packet.malformed.map(|reason| reason.to_string()));
    words.join(" ")
}

#[track_caller]
fn check_limits(link: LinkType, frame: &[u8], limits: DecodeLimits, expected: &str) {
    let packet = decode(link, frame, frame.len(), &limits);
    assert_eq!(text(&packet), expected, "\nframe: {frame:02x?}");
}

#[track_caller]
fn check(link: LinkType, frame: &[u8], expected: &str) {
    check_limits(link, frame, DecodeLimits::default(), expected);
}

fn tcp4() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64)
        .tcp(40_000, 443, 7, 1024)
        .syn()
        .write(&mut frame, b"hello")
        .unwrap();
    frame
}

fn udp4(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv4(V4.0, V4.1, 64).udp(src_port, dst_port).write(&mut frame, payload).unwrap();
    frame
}

fn udp6() -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ipv6(V6.0, V6.1, 64).udp(5000, 53).write(&mut frame, b"query").unwrap();
    frame
}

/// An IPv4 packet of any protocol.
fn ip4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut frame =
        vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7];
    frame[2..4].copy_from_slice(&len.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv6 packet of any first header.
fn ip6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x60, 0, 0, 0];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next, 64]);
    frame.extend(V6.0);
    frame.extend(V6.1);
    frame.extend(payload);
    frame
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const TCP4: &str = "tcp 192.0.2.1:40000 > 198.51.100.7:443 flags 02 len 5/5";
const UDP6: &str = "udp [2001:db8::1]:5000 > [2001:db8::2]:53 len 5";

#[test]
fn every_link_type_leads_to_ip() {
    let (v4, v6) = (tcp4(), udp6());
    for (link, header, packet, expected) in [
        (LinkType::ETHERNET, join(&[&MACS, &[8, 0]]), &v4, TCP4),
        (LinkType::ETHERNET, join(&[&MACS, &[0x86, 0xdd]]), &v6, UDP6),
        (LinkType::NULL, vec![2, 0, 0, 0], &v4, TCP4),
        (LinkType::NULL, vec![0, 0, 0, 2], &v4, TCP4),
        (LinkType::NULL, vec![30, 0, 0, 0], &v6, UDP6),
        (LinkType::NULL, vec![0, 0, 0, 28], &v6, UDP6),
        (LinkType::LOOP, vec![0, 0, 0, 24], &v6, UDP6),
        (LinkType::LOOP, vec![10, 0, 0, 0], &v6, UDP6),
        (LinkType::RAW, vec![], &v6, UDP6),
        (LinkType::RAW_BSD, vec![], &v4, TCP4),
        (LinkType::IPV4, vec![], &v4, TCP4),
        (LinkType::IPV6, vec![], &v6, UDP6),
        (LinkType::PPP, vec![0xff, 3, 0, 0x21], &v4, TCP4),
        (LinkType::PPP, vec![0x21], &v4, TCP4),
        (LinkType::PPP_HDLC, vec![0xff, 3, 0, 0x57], &v6, UDP6),
        (LinkType::C_HDLC, vec![0x0f, 0, 8, 0], &v4, TCP4),
        (LinkType::LINUX_SLL, vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], &v4, TCP4),
        (
            LinkType::LINUX_SLL2,
            vec![0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
            &v6,
            UDP6,
        ),
        (LinkType::NFLOG, vec![2, 0, 0, 5, 5, 0, 10, 0, 0, 0, 0, 0, 49, 0, 9, 0], &v4, TCP4),
        (LinkType::NFLOG, vec![10, 0, 0, 5, 0, 57, 0, 9], &v6, UDP6),
        (LinkType::PFLOG, join(&[&[61, 2], &[0; 62]]), &v4, TCP4),
        (LinkType::ATM_RFC1483, join(&[&SNAP, &[8, 0]]), &v4, TCP4),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 0xcc], &v4, TCP4),
        (LinkType::FRAME_RELAY, vec![0x18, 0x41, 3, 0x8e], &v6, UDP6),
        (LinkType::FRAME_RELAY, join(&[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0], &[8, 0]]), &v4, TCP4),
        (LinkType::FRAME_RELAY, vec![0x18, 0x40, 0x40, 0x41, 0x86, 0xdd], &v6, UDP6),
    ] {
        check(link, &join(&[&header, packet]), expected);
    }
    check(LinkType(147), &v4, "no ip absent unknown-link-type");
    check(LinkType::IPV4, &v6, "no ip absent bad-ip-version");
}

const SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

/// A frame of IEEE 802.11 with its two bytes of control: four addresses that end in 1 to 4.
fn wireless(control: [u8; 2]) -> Vec<u8> {
    let address = |last: u8| [2, 0, 0, 0, 0, last];
    let mut frame = join(&[&control, &[0; 2], &address(1), &address(2), &address(3), &[0; 2]]);
    if control[1] & 3 == 3 {
        frame.extend(address(4));
    }
    if control[0] & 0x80 != 0 {
        frame.extend([0, 0]);
        if control[1] & 0x80 != 0 {
            frame.extend([0; 4]);
        }
    }
    join(&[&frame, &SNAP, &[8, 0], &tcp4()])
}

#[test]
fn wireless_data_in_clear_leads_to_ip_and_tells_its_sender() {
    for (control, sender) in [
        ([0x08, 0x00], 2),
        ([0x08, 0x01], 2), // to the access point
        ([0x08, 0x02], 3), // from it
        ([0x08, 0x03], 4), // between two of them
        ([0x88, 0x01], 2), // with quality of service
        ([0x88, 0x82], 3), // and high-throughput control
    ] {
        let frame = wireless(control);
        check(LinkType::IEEE802_11, &frame, TCP4);
        let packet = decode(LinkType::IEEE802_11, &frame, frame.len(), &ALL);
        assert_eq!(packet.link.src, Some(MacAddress([2, 0, 0, 0, 0, sender])), "{control:?}");
        let radiotap = join(&[&[0, 0, 12, 0, 0, 0, 0, 0, 1, 2, 3, 4], &frame]);
        check(LinkType::IEEE802_11_RADIOTAP, &radiotap, TCP4);
    }
    // Management, control, no data, protected: nothing to read, and nothing wrong.
    for control in [[0x80, 0], [0xb4, 0], [0x48, 0], [0xc8, 0], [0x08, 0x41]] {
        check(LinkType::IEEE802_11, &wireless(control), "no ip absent");
    }
    let mut aggregate = wireless([0x88, 0x01]);
    aggregate[24] = 0x80;
    check(LinkType::IEEE802_11, &aggregate, "no ip absent");
}

#[test]
fn wireless_headers_that_are_too_short_are_named() {
    check(LinkType::IEEE802_11, &[0x08], "no ip absent short-link");
    check(LinkType::IEEE802_11, &wireless([0x08, 0])[..23], "no ip absent short-link");
    check(LinkType::IEEE802_11_RADIOTAP, &[0, 0, 7, 0, 0, 0, 0, 0], "no ip absent short-link");
    check(LinkType::IEEE802_11_RADIOTAP, &[0, 0, 9, 0, 0, 0, 0, 0], "no ip absent short-link");
    check(LinkType::FRAME_RELAY, &[0x18], "no ip absent short-link");
    check(LinkType::FRAME_RELAY, &[0x18, 0x41], "no ip absent short-link");
}

#[test]
fn addresses_and_tags_of_the_link() {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .double_vlan(VlanId::try_new(7).unwrap(), VlanId::try_new(42).unwrap())
        .ipv4(V4.0, V4.1, 64)
        .tcp(40_000, 443, 7, 1024)
        .syn()
        .write(&mut frame, b"hello")
        .unwrap();
    check(LinkType::ETHERNET, &frame, &format!("vlan 7 vlan 42 {TCP4}"));
    let link = decode(LinkType::ETHERNET, &frame, frame.len(), &ALL).link;
    assert_eq!(link.src, Some(MacAddress([2, 0, 0, 0, 0, 1])));
    assert_eq!(link.dst.unwrap().to_string(), "02:00:00:00:00:02");

    let priority = join(&[&MACS, &[0x81, 0, 0xe0, 0, 8, 0], &tcp4()]);
    check(LinkType::ETHERNET, &priority, TCP4);
    let tag = [0x81, 0, 0, 1];
    let deep = join(&[&MACS, &tag, &tag, &tag, &tag, &tag, &[8, 0], &tcp4()]);
    check(LinkType::ETHERNET, &deep, "vlan 1 vlan 1 vlan 1 vlan 1 no ip absent too-many-tags");
}

#[test]
fn ieee_802_3_frames() {
    let v4 = tcp4();
    let len = ((v4.len() + 8) as u16).to_be_bytes();
    let snap = join(&[&MACS, &len, &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4, &[0; 6]]);
    check(LinkType::ETHERNET, &snap, TCP4);
    let spanning_tree = join(&[&MACS, &[0, 38, 0x42, 0x42, 3], &[0; 43]]);
    check(LinkType::ETHERNET, &spanning_tree, "no ip absent");
    check(LinkType::ETHERNET, &join(&[&MACS, &[8, 6], &[0; 46]]), "no ip absent");
}

#[test]
fn link_like_tunnels_are_always_entered() {
    let v4 = tcp4();
    let len = ((v4.len() + 2) as u16).to_be_bytes();
    let pppoe = join(&[&MACS, &[0x88, 0x64, 0x11, 0, 0, 9], &len, &[0, 0x21], &v4, &[0; 9]]);
    check(LinkType::ETHERNET, &pppoe, &format!("pppoe {TCP4}"));
    check(LinkType::PPP_ETHER, &pppoe[14..], &format!("pppoe {TCP4}"));
    let labels = [0, 1, 0, 64, 0, 2, 1, 64];
    let mpls = join(&[&MACS, &[0x88, 0x47], &labels, &v4]);
    check(LinkType::ETHERNET, &mpls, &format!("mpls {TCP4}"));
    let pseudowire = join(&[&MACS, &[0x88, 0x47], &labels, &[0; 4], &MACS, &[8, 0], &v4]);
    check(LinkType::ETHERNET, &pseudowire, &format!("mpls {TCP4}"));
    let limits = DecodeLimits { max_tunnel_depth: 0, ..DecodeLimits::default() };
    check_limits(LinkType::ETHERNET, &mpls, limits, "no ip absent tunnel-too-deep");
    let mut wrong = pppoe;
    wrong[18] = 0xff;
    check(LinkType::ETHERNET, &wrong, "no ip absent bad-tunnel");
}

/// Tunnels as (outer packet, what a default decode says, what decapsulation says).
fn tunnels() -> Vec<(Vec<u8>, &'static str, String)> {
    let (v4, v6) = (tcp4(), udp6());
    let ethernet = join(&[&MACS, &[0x81, 0, 0, 5, 8, 0], &v4]);
    let gre = |flags: u8, options: &[u8], ether_type: [u8; 2], inner: &[u8]| {
        ip4(47, &join(&[&[flags, 0], &ether_type, options, inner]))
    };
    let geneve = join(&[&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 0, 0, 0], &ethernet]);
    vec![
        (gre(0, &[], [8, 0], &v4), "gre 192.0.2.1 > 198.51.100.7 other 49", format!("gre {TCP4}")),
        (
            gre(0xb0, &[0; 12], [0x86, 0xdd], &v6),
            "gre 192.0.2.1 > 198.51.100.7 other 69",
            format!("gre {UDP6}"),
        ),
        (
            gre(0x20, &[0; 4], [0x65, 0x58], &ethernet),
            "gre 192.0.2.1 > 198.51.100.7 other 71",
            format!("gre {TCP4}"),
        ),
        (ip4(4, &v4), "ipv4 192.0.2.1 > 198.51.100.7 other 45", format!("ip-in-ip {TCP4}")),
        (ip4(41, &v6), "ipv6 192.0.2.1 > 198.51.100.7 other 53", format!("6in4 {UDP6}")),
        (ip6(41, &v6), "ipv6 2001:db8::1 > 2001:db8::2 other 53", format!("ip-in-ip {UDP6}")),
        (
            udp4(9, 4789, &join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet])),
            "udp 192.0.2.1:9 > 198.51.100.7:4789 len 71",
            format!("vxlan {TCP4}"),
        ),
        (
            udp4(9, 6081, &geneve),
            "udp 192.0.2.1:9 > 198.51.100.7:6081 len 75",
            format!("geneve {TCP4}"),
        ),
        (
            udp4(9, 4754, &join(&[&[0, 0, 8, 0], &v4])),
            "udp 192.0.2.1:9 > 198.51.100.7:4754 len 49",
            format!("gre {TCP4}"),
        ),
        (
            gre(0, &[], [0x88, 0xbe], &ethernet),
            "gre 192.0.2.1 > 198.51.100.7 other 67",
            format!("gre {TCP4}"),
        ),
        (
            gre(0x10, &[0; 12], [0x88, 0xbe], &ethernet),
            "gre 192.0.2.1 > 198.51.100.7 other 79",
            format!("gre {TCP4}"),
        ),
        (
            gre(0x10, &join(&[&[0; 15], &[1], &[0; 8]]), [0x22, 0xeb], &ethernet),
            "gre 192.0.2.1 > 198.51.100.7 other 91",
            format!("gre {TCP4}"),
        ),
        (
            ip4(47, &join(&[&[0x30, 0x81, 0x88, 0x0b, 0, 47, 0, 7], &[0; 8], &[0, 0x21], &v4])),
            "gre 192.0.2.1 > 198.51.100.7 other 63",
            format!("gre {TCP4}"),
        ),
        (
            udp4(9, 2152, &join(&[&[0x30, 255, 0, 0, 0, 0, 0, 1], &v6])),
            "udp 192.0.2.1:9 > 198.51.100.7:2152 len 61",
            format!("gtp-u {UDP6}"),
        ),
        (
            // A sequence number, and two extension headers of 4 and 8 bytes.
            udp4(
                9,
                2152,
                &join(&[
                    &[0x36, 255, 0, 0, 0, 0, 0, 1],
                    &[0, 9, 0, 0x85],
                    &[1, 0, 0, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0],
                    &v4,
                ]),
            ),
            "udp 192.0.2.1:9 > 198.51.100.7:2152 len 69",
            format!("gtp-u {TCP4}"),
        ),
        (
            udp4(3544, 9, &join(&[&[0, 1, 2, 1], &[7; 12], &[0, 0, 1, 2, 3, 4, 5, 6], &v6])),
            "udp 192.0.2.1:3544 > 198.51.100.7:9 len 77",
            format!("teredo {UDP6}"),
        ),
        (
            udp4(9, 5072, &join(&[&[0x21, 0x52, 0x11, 41], &[0; 4], &[1; 4], &[2; 20], &v6])),
            "udp 192.0.2.1:9 > 198.51.100.7:5072 len 85",
            format!("ayiya {UDP6}"),
        ),
    ]
}

#[test]
fn tunnels_are_entered_only_where_configured() {
    for (frame, outer, inner) in tunnels() {
        check(LinkType::RAW, &frame, outer);
        check_limits(LinkType::RAW, &frame, ALL, &inner);
        let kind = decode(LinkType::RAW, &frame, frame.len(), &ALL).tunnels.iter().next().unwrap();
        let only = DecodeLimits { decapsulate: Decapsulate::NONE.with(kind), ..ALL };
        check_limits(LinkType::RAW, &frame, only, &inner);
        let others = TunnelKind::ALL.into_iter().filter(|other| *other != kind).collect();
        check_limits(LinkType::RAW, &frame, DecodeLimits { decapsulate: others, ..ALL }, outer);
    }
}

#[test]
fn a_tunnel_without_ip_leaves_the_outer_packet_judged() {
    let arp = join(&[&[8, 0, 0, 0, 0, 0, 1, 0], &MACS, &[8, 6], &[0; 28]]);
    let outer = "udp 192.0.2.1:9 > 198.51.100.7:4789 len 50";
    check_limits(LinkType::RAW, &udp4(9, 4789, &arp), ALL, outer);
    // An acknowledgement of PPTP carries nothing.
    let pptp = ip4(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 7, 0, 0, 0, 1]);
    check_limits(LinkType::RAW, &pptp, ALL, "gre 192.0.2.1 > 198.51.100.7 other 12");
    let cut = ip4(47, &[0x80, 0, 8, 0]);
    let expected = "gre 192.0.2.1 > 198.51.100.7 other 4 bad-tunnel";
    check_limits(LinkType::RAW, &cut, ALL, expected);
    // An echo of GTP-U, and a user packet whose extension headers have no end.
    let echo = udp4(9, 2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0]);
    check_limits(LinkType::RAW, &echo, ALL, "udp 192.0.2.1:9 > 198.51.100.7:2152 len 12");
    let endless =
        join(&[&[0x34, 255, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0x85], &[1, 0, 0, 0x85].repeat(9)]);
    let expected = "udp 192.0.2.1:9 > 198.51.100.7:2152 len 48 bad-tunnel";
    check_limits(LinkType::RAW, &udp4(9, 2152, &endless), ALL, expected);
}

#[test]
fn tags_of_port_extenders_are_passed_over() {
    let vn_tag = join(&[&MACS, &[0x89, 0x26, 0, 1, 0, 2, 8, 0], &tcp4()]);
    check(LinkType::ETHERNET, &vn_tag, TCP4);
    let e_tag = join(&[&MACS, &[0x89, 0x3f, 0, 1, 0, 2, 0, 0, 8, 0], &tcp4()]);
    check(LinkType::ETHERNET, &e_tag, TCP4);
    let tags = [0x89, 0x26, 0, 1, 0, 2].repeat(5);
    check(
        LinkType::ETHERNET,
        &join(&[&MACS, &tags, &[8, 0], &tcp4()]),
        "no ip absent too-many-tags",
    );
}

#[test]
fn nesting_ends_at_the_limit() {
    let mut frame = tcp4();
    for _ in 0..5 {
        frame = ip4(4, &frame);
    }
    let expected = "ip-in-ip ip-in-ip ip-in-ip ip-in-ip ipv4 192.0.2.1 > 198.51.100.7 other 45 \
                    tunnel-too-deep";
    check_limits(LinkType::RAW, &frame, ALL, expected);
}

#[test]
fn ipv4_headers() {
    let mut options = ip4(17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    options.splice(20..20, [131, 3, 4, 0]);
    (options[0], options[3]) = (0x46, 32);
    let packet = decode(LinkType::RAW, &options, options.len(), &ALL);
    assert!(packet.network.unwrap().source_routed);
    assert_eq!(text(&packet), "udp 192.0.2.1:1 > 198.51.100.7:2 len 0");
    options[21] = 9;
    check(LinkType::RAW, &options, "udp 192.0.2.1:1 > 198.51.100.7:2 len 0 bad-ip-header");

    let v4 = tcp4();
    let padded = join(&[&v4, &[0; 6]]);
    check(LinkType::RAW, &padded, TCP4);
    let mut offloaded = v4.clone();
    offloaded[2..4].fill(0);
    check(LinkType::RAW, &offloaded, TCP4);
    let mut long = v4.clone();
    long[3] += 10;
    let expected = "tcp 192.0.2.1:40000 > 198.51.100.7:443 flags 02 len 5/15 length-beyond-frame";
    check(LinkType::RAW, &long, expected);
    for (at, value, expected) in [
        (0, 0x44, "no ip absent bad-ip-header"),
        (0, 0x75, "no ip absent bad-ip-version"),
        (3, 12, "tcp 192.0.2.1 > 198.51.100.7 absent bad-ip-header"),
    ] {
        let mut wrong = v4.clone();
        wrong[at] = value;
        let expected = expected.replace("192.0.2.1 > 198.51.100.7", "192.0.2.1:0 > 198.51.100.7:0");
        check(LinkType::RAW, &wrong, &expected);
    }
}

const UDP: [u8; 8] = [0, 1, 0, 2, 0, 8, 0, 0];
const UDP6_EMPTY: &str = "udp [2001:db8::1]:1 > [2001:db8::2]:2 len 0";

/// An extension header of eight bytes.
fn extension(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

#[test]
fn ipv6_extension_headers() {
    let chain = join(&[
        &extension(43),
        &[60, 0, 0, 0, 0, 0, 0, 0],
        &extension(51),
        &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &UDP,
    ]);
    let frame = ip6(0, &chain);
    check(LinkType::RAW, &frame, UDP6_EMPTY);
    let network = decode(LinkType::RAW, &frame, frame.len(), &ALL).network.unwrap();
    assert!(network.source_routed);
    assert_eq!((network.header.len(), network.payload, network.payload_len), (76, &UDP[..], 8));

    let eight = [extension(60); 7].concat();
    check(LinkType::RAW, &ip6(60, &join(&[&eight, &extension(17), &UDP])), UDP6_EMPTY);
    let nine = join(&[&eight, &extension(60), &extension(17), &UDP]);
    let expected = "udp [2001:db8::1]:0 > [2001:db8::2]:0 absent bad-extension-header";
    check(LinkType::RAW, &ip6(60, &nine), expected);
    let expected = "ipv6-opts 2001:db8::1 > 2001:db8::2 absent bad-extension-header";
    check(LinkType::RAW, &ip6(60, &[17, 1, 0, 0, 0, 0, 0, 0]), expected);
    check(LinkType::RAW, &ip6(59, &[]), "ipv6-nonxt 2001:db8::1 > 2001:db8::2 other 0");
    // In IPv4 the Authentication Header is the protocol.
    let v4 = ip4(51, &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    check(LinkType::RAW, &v4, "ah 192.0.2.1 > 198.51.100.7 other 12");
}

#[test]
fn ipv6_without_a_payload_length() {
    let mut jumbo = ip6(0, &join(&[&[17, 0, 0xc2, 4, 0, 1, 0, 16], &[0, 1, 0, 2, 0, 0, 0, 0]]));
    jumbo.resize(40 + 65_552, 0);
    jumbo[4..6].fill(0);
    check(LinkType::RAW, &jumbo, "udp [2001:db8::1]:1 > [2001:db8::2]:2 len 65536");
    jumbo[45] = 0;
    let expected = "udp [2001:db8::1]:1 > [2001:db8::2]:2 len 65536 bad-extension-header";
    check(LinkType::RAW, &jumbo, expected);
    let mut offloaded = udp6();
    offloaded[4..6].fill(0);
    check(LinkType::RAW, &offloaded, UDP6);
}

#[test]
fn fragments() {
    let fragment4 = |flags_and_offset: u16, payload: &[u8]| {
        let mut frame = ip4(17, payload);
        frame[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
        frame
    };
    let long_udp = [0, 1, 0, 2, 0xff, 0, 0, 0];
    for (frame, expected) in [
        (fragment4(0x2000, &long_udp), "192.0.2.1:1 > 198.51.100.7:2 len 0 fragment 1 0 true udp"),
        (fragment4(0x0001, &[9]), "192.0.2.1:0 > 198.51.100.7:0 absent fragment 1 8 false udp"),
        (
            fragment4(0x2001, &[9]),
            "192.0.2.1:0 > 198.51.100.7:0 absent fragment 1 8 true udp bad-fragment",
        ),
        (
            fragment4(0x1fff, &[9; 8]),
            "192.0.2.1:0 > 198.51.100.7:0 absent fragment 1 65528 false udp bad-fragment",
        ),
    ] {
        check(LinkType::RAW, &frame, &format!("udp {expected}"));
    }
    let fragment6 = |next: u8, offset_and_more: u16, payload: &[u8]| {
        let [high, low] = offset_and_more.to_be_bytes();
        ip6(44, &join(&[&[next, 0, high, low, 0, 0, 0, 9], payload]))
    };
    for (frame, expected) in [
        (
            fragment6(17, 1, &long_udp),
            "udp [2001:db8::1]:1 > [2001:db8::2]:2 len 0 fragment 9 0 true udp",
        ),
        (
            fragment6(60, 1, &join(&[&extension(17), &long_udp])),
            "udp [2001:db8::1]:1 > [2001:db8::2]:2 len 0 fragment 9 0 true ipv6-opts",
        ),
        (
            fragment6(60, 1, &[17, 1, 0, 0, 0, 0, 0, 0]),
            "ipv6-opts 2001:db8::1 > 2001:db8::2 absent fragment 9 0 true ipv6-opts",
        ),
        (
            fragment6(60, 8, &[9; 5]),
            "ipv6-opts 2001:db8::1 > 2001:db8::2 absent fragment 9 8 false ipv6-opts",
        ),
        // An atomic fragment is a whole packet.
        (fragment6(17, 0, &UDP), UDP6_EMPTY),
    ] {
        check(LinkType::RAW, &frame, expected);
    }
}

#[test]
fn tcp_options() {
    let options = [
        2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 15, 5, 18, 0, 0, 0, 1, 0, 0,
        0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0,
    ];
    let mut frame = Vec::new();
    let header =
        PacketBuilder::ipv4(V4.0, V4.1, 64).tcp(1, 2, 3, 4).syn().options_raw(&options).unwrap();
    header.write(&mut frame, &[]).unwrap();
    let packet = decode(LinkType::RAW, &frame, frame.len(), &ALL);
    let Transport::Tcp(tcp) = packet.transport else { panic!("{packet:?}") };
    assert_eq!((tcp.src_port, tcp.dst_port, tcp.sequence, tcp.window), (1, 2, 3, 4));
    assert_eq!((tcp.flags, tcp.mss, tcp.window_scale), (TcpFlags::SYN, Some(1460), Some(14)));
    assert!(tcp.sack_permitted && tcp.timestamps);
    assert_eq!(tcp.sack.as_slice(), [(1, 2), (3, 4)]);
    // The option before a contradiction counts, what follows it does not.
    frame[41] = 0;
    let packet = decode(LinkType::RAW, &frame, frame.len(), &ALL);
    assert!(
        matches!(packet.transport, Transport::Tcp(tcp) if tcp.mss.is_none() && !tcp.timestamps)
    );
    assert_eq!(packet.malformed, None);
}

#[test]
fn transport_headers_that_contradict_themselves() {
    let mut offset = tcp4();
    offset[32] = 0x40;
    let tcp = "tcp 192.0.2.1:0 > 198.51.100.7:0 absent bad-transport";
    check(LinkType::RAW, &offset, tcp);
    offset[32] = 0xf0;
    check(LinkType::RAW, &offset, tcp);
    check(LinkType::RAW, &ip4(6, &[0; 19]), tcp);
    let udp = "udp 192.0.2.1:0 > 198.51.100.7:0 absent bad-transport";
    for bytes in [&[0, 1, 0, 2, 0, 9, 0, 0][..], &[0, 1, 0, 2, 0, 7, 0, 0], &[0; 8], &[0; 7]] {
        check(LinkType::RAW, &ip4(17, bytes), udp);
    }
    let sctp = "sctp 192.0.2.1:0 > 198.51.100.7:0 absent bad-transport";
    check(LinkType::RAW, &ip4(132, &[0; 11]), sctp);
    let icmp = "icmp 192.0.2.1 > 198.51.100.7 absent bad-transport";
    check(LinkType::RAW, &ip4(1, &[8, 0, 0, 0, 0, 1, 0]), icmp);
}

#[test]
fn other_transports() {
    let init = [0, 1, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 1, 0, 0, 4];
    check(LinkType::RAW, &ip4(132, &init), "sctp 192.0.2.1:1 > 198.51.100.7:2 chunk Some(1)");
    check(LinkType::RAW, &ip4(50, &[7; 20]), "esp 192.0.2.1 > 198.51.100.7 other 20");
    check(LinkType::RAW, &ip4(2, &[0x16, 0, 0, 0]), "igmp 192.0.2.1 > 198.51.100.7 other 4");
    check(LinkType::RAW, &ip4(136, &[0, 1, 0, 2]), "udplite 192.0.2.1:1 > 198.51.100.7:2 other 4");
}

#[test]
fn icmpv6_types_below_128_quote_whatever_they_mean() {
    for (kind, quotes) in [(0, true), (4, true), (5, true), (100, true), (127, true), (128, false)]
    {
        let message = ip6(58, &join(&[&[kind, 0, 0, 0, 0, 0, 0, 0], &udp6()]));
        let packet = decode(LinkType::RAW, &message, message.len(), &DecodeLimits::default());
        let Transport::Icmp(message) = packet.transport else { unreachable!("it is ICMP") };
        assert_eq!(message.quoted.is_some(), quotes, "type {kind}");
    }
}

#[test]
fn an_authentication_header_is_found_among_extension_headers() {
    let padded = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let authentication = |next: u8| [next, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 7, 7, 7, 7];
    for (frame, expected) in [
        (ip6(17, &UDP), false),
        (ip6(51, &join(&[&authentication(17), &UDP])), true),
        (ip6(0, &join(&[&padded(51), &authentication(60), &padded(17), &UDP])), true),
        (ip6(60, &join(&[&padded(0), &padded(17), &UDP])), false),
        (ip4(51, &join(&[&authentication(17), &UDP])), false),
    ] {
        let packet = decode(LinkType::RAW, &frame, frame.len(), &DecodeLimits::default());
        let network = packet.network.expect("it has an IP header");
        assert_eq!(network.is_authenticated(), expected, "{frame:02x?}");
    }
}

#[test]
fn icmp_queries_and_errors() {
    let echo = [8, 0, 0, 0, 0x12, 0x34, 0, 1];
    let expected = "icmp 192.0.2.1 > 198.51.100.7 type 8 code 0 id Some(4660)";
    check(LinkType::RAW, &ip4(1, &echo), expected);
    let reply = [129, 0, 0, 0, 0, 7, 0, 1];
    let packet = ip6(58, &reply);
    check(LinkType::RAW, &packet, "icmpv6 2001:db8::1 > 2001:db8::2 type 129 code 0 id Some(7)");
    let asked = ip6(58, &[139, 0, 0, 0, 0, 2, 0, 0]);
    check(LinkType::RAW, &asked, "icmpv6 2001:db8::1 > 2001:db8::2 type 139 code 0 id Some(2)");

    let error = |kind: u8, quote: &[u8]| ip4(1, &join(&[&[kind, 1, 0, 0, 0, 0, 0, 0], quote]));
    let echo_quote = ip4(1, &echo);
    let esp = ip4(50, &[1]);
    let (v4, v6) = (tcp4(), udp6());
    let mut later = ip4(17, &UDP);
    later[7] = 1;
    let v6_error = ip6(58, &join(&[&[3, 0, 0, 0, 0, 0, 0, 0], &v6]));
    for (frame, expected) in [
        (error(3, &v4[..28]), "tcp 192.0.2.1:40000 > 198.51.100.7:443 true Some(7)"),
        (error(11, &v4[..24]), "tcp 192.0.2.1:40000 > 198.51.100.7:443 true None"),
        (error(5, &v4[..20]), "tcp 192.0.2.1:0 > 198.51.100.7:0 false None"),
        (error(12, &later), "udp 192.0.2.1:0 > 198.51.100.7:0 false None"),
        (error(3, &esp), "esp 192.0.2.1 > 198.51.100.7 true None"),
        (error(3, &echo_quote), "icmp 192.0.2.1 > 198.51.100.7 true None"),
        (error(3, &error(3, &v4)), "icmp 192.0.2.1 > 198.51.100.7 false None"),
        (v6_error, "udp [2001:db8::1]:5000 > [2001:db8::2]:53 true None"),
        (error(3, &v4[..19]), "nothing"),
        (error(8, &v4), "nothing"),
    ] {
        let packet = decode(LinkType::RAW, &frame, frame.len(), &ALL);
        let Transport::Icmp(icmp) = packet.transport else { panic!("{packet:?}") };
        let quoted = icmp.quoted.map_or("nothing".to_owned(), |quoted| {
            format!("{} {} {:?}", quoted.flow, quoted.ports_known, quoted.tcp_sequence)
        });
        assert_eq!(quoted, expected);
    }
}

#[test]
fn a_cut_capture_is_not_held_against_the_sender() {
    let frame = join(&[&MACS, &[8, 0], &tcp4()]);
    for (captured, expected) in [
        (0, "no ip absent truncated"),
        (13, "no ip absent truncated"),
        (33, "no ip absent truncated"),
        (34, "tcp 192.0.2.1:0 > 198.51.100.7:0 absent truncated"),
        (49, "tcp 192.0.2.1:0 > 198.51.100.7:0 absent truncated"),
        (50, "tcp 192.0.2.1:40000 > 198.51.100.7:443 flags 02 len 0/5 truncated"),
        (56, "tcp 192.0.2.1:40000 > 198.51.100.7:443 flags 02 len 2/5 truncated"),
        (59, TCP4),
    ] {
        let packet = decode(LinkType::ETHERNET, &frame[..captured], frame.len(), &ALL);
        assert_eq!(text(&packet), expected, "{captured} bytes");
        // The same bytes are malformed when nothing more was on the wire.
        let whole = decode(LinkType::ETHERNET, &frame[..captured], captured, &ALL);
        assert_eq!(whole.malformed.is_some(), captured < frame.len(), "{captured} bytes");
    }
}

#[test]
fn transport_alone_reads_as_within_the_frame() {
    for frame in [tcp4(), udp6(), ip4(1, &[8, 0, 0, 0, 0, 9, 0, 0]), ip4(6, &[0; 19])] {
        let packet = decode(LinkType::RAW, &frame, frame.len(), &ALL);
        let network = packet.network.unwrap();
        assert_eq!(decode_transport(&network), (packet.transport, packet.malformed));
    }
    let network = decode(LinkType::RAW, &tcp4(), 45, &ALL).network.map(|network| network.src);
    assert_eq!(network, Some(IpAddr::V4(Ipv4Addr::from(V4.0))));
}

/// What holds for every decoded packet, whatever its bytes.
fn check_invariants(frame: &[u8], wire_len: usize, packet: &Packet<'_>) {
    assert_eq!(packet.truncated, frame.len() < wire_len);
    assert!(packet.tunnels.depth() <= 4);
    let Some(network) = packet.network else {
        assert_eq!(packet.transport, Transport::Absent);
        return;
    };
    assert!(network.payload.len() <= network.payload_len as usize);
    assert!(packet.transport.payload().len() <= network.payload.len());
    assert_eq!(network.src.is_ipv4(), network.dst.is_ipv4());
    let lost = network.payload.len() < network.payload_len as usize;
    assert!(!lost || packet.truncated || packet.malformed.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_decode(
        bytes in proptest::collection::vec(any::<u8>(), 0..200), lost in 0usize..3,
    ) {
        for link in LINKS {
            let wire_len = bytes.len() + lost * 700;
            check_invariants(&bytes, wire_len, &decode(link, &bytes, wire_len, &ALL));
        }
    }

    /// Sensible packets with a few bytes changed reach deeper than random ones.
    #[test]
    fn damaged_packets_decode_at_every_truncation(
        sample in 0usize..10, at in 0usize..60, value: u8, at2 in 0usize..100, value2: u8,
    ) {
        let mut frame = match sample {
            0 => tcp4(),
            1 => {
                let chain = [extension(43), extension(44), extension(60), extension(17), UDP];
                ip6(0, &chain.concat())
            }
            _ => tunnels().swap_remove(sample - 2).0,
        };
        for (at, value) in [(at, value), (at2, value2)] {
            let at = at % frame.len();
            frame[at] = value;
        }
        for captured in 0..=frame.len() {
            let bytes = &frame[..captured];
            for wire_len in [captured, frame.len()] {
                check_invariants(bytes, wire_len, &decode(LinkType::RAW, bytes, wire_len, &ALL));
            }
        }
    }
}
