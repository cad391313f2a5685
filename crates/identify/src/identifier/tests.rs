//! Behaviour of the identifier as its callers see it.

use parefeu_net::{Direction, FiveTuple, Protocol};
use proptest::prelude::*;

use super::*;
use crate::{DataEndpoint, Facts};

const C2S: Direction = Direction::Original;
const S2C: Direction = Direction::Reply;

fn tuple(protocol: Protocol, dst_port: u16) -> FiveTuple {
    FiveTuple {
        src: [198, 51, 100, 7].into(),
        dst: [192, 0, 2, 1].into(),
        src_port: 40_000,
        dst_port,
        protocol,
    }
}

/// Feeds a dialogue in pieces of at most `piece` bytes.
fn converse(port: u16, dialogue: &[(Direction, Vec<u8>)], piece: usize) -> FlowState {
    let limits = Limits { undecided_packets: u32::MAX, ..Limits::default() };
    let identifier = Identifier::new(limits);
    let mut flow = FlowState::default();
    let mut offsets = [0_u64; 2];
    for (direction, bytes) in dialogue {
        for part in bytes.chunks(piece) {
            let offset = &mut offsets[direction.index()];
            identifier.inspect(
                &mut flow,
                &tuple(Protocol::TCP, port),
                *direction,
                Some(*offset),
                part,
            );
            *offset += part.len() as u64;
        }
    }
    flow
}

/// What a dialogue shows: path, host, URL, issuer; the same however it is cut.
#[track_caller]
fn check(port: u16, dialogue: &[(Direction, Vec<u8>)], expected: [&str; 3]) {
    for piece in [1, 2, 3, 7, 100, usize::MAX] {
        let flow = converse(port, dialogue, piece);
        let facts = flow.facts();
        let found = [
            &facts.application_path.to_string(),
            facts.hostname.unwrap_or_default(),
            facts.url.unwrap_or_default(),
        ];
        assert_eq!(found, expected, "in pieces of {piece}");
    }
}

fn text(direction: Direction, text: &str) -> (Direction, Vec<u8>) {
    (direction, text.as_bytes().to_vec())
}

fn vec16(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u16).to_be_bytes()[..], body].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0][..], &vec16(body)].concat()
}

fn client_hello(name: &str) -> Vec<u8> {
    let list = vec16(&[&[0][..], &vec16(name.as_bytes())].concat());
    let alpn = vec16(&vec16(b"\x02h2\x08http/1.1"));
    let extensions = [&[0, 0][..], &vec16(&list), &[0, 16], &alpn].concat();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2f, 1, 0], &vec16(&extensions)].concat();
    handshake(1, &body)
}

/// Handshake bytes in records of at most `size` bytes.
fn records(bytes: &[u8], size: usize) -> Vec<u8> {
    let chunks = bytes.chunks(size);
    chunks.flat_map(|chunk| [&[22, 3, 1][..], &vec16(chunk)].concat()).collect()
}

fn server_hello(version_extension: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0, 0xc0, 0x2f, 0], &vec16(version_extension)].concat();
    handshake(2, &body)
}

#[test]
fn tls_is_read_across_records_and_segments() {
    let hello = records(&client_hello("www.YouTube.com"), 13);
    let answer = records(&server_hello(&[0, 43, 0, 2, 3, 4]), 1000);
    let dialogue = [(C2S, hello), (S2C, answer)];
    check(8443, &dialogue, ["tcp.tls.youtube", "www.youtube.com", ""]);
    let flow = converse(443, &dialogue, 50);
    assert_eq!(flow.facts().alpn, Some("h2"));
    assert!(flow.facts().finished, "TLS 1.3 hides the rest");
}

#[test]
fn http_tells_the_url_of_each_request() {
    let requests = "GET /a?b=1 HTTP/1.1\r\nHost: WWW.Example.com:8080\r\n\r\n\
         POST /form HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 5\r\n\r\nHost:\
         POST /part HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\
         3;x\r\nGET\r\n0\r\n\r\n\
         GET /last HTTP/1.1\r\nX: y\r\nhost:www.github.com\r\n\r\n";
    check(80, &[text(C2S, requests)], ["tcp.http.github", "www.github.com", "www.github.com/last"]);
    let bare = "GET /x HTTP/1.0\r\n\r\n";
    check(80, &[text(C2S, bare)], ["tcp.http", "", "192.0.2.1/x"]);
}

#[test]
fn a_proxy_tunnel_shows_what_it_carries() {
    let dialogue = [
        text(C2S, "CONNECT github.com:443 HTTP/1.1\r\nHost: github.com\r\n\r\n"),
        text(S2C, "HTTP/1.1 200 OK\r\n\r\n"),
        (C2S, records(&client_hello("api.github.com"), 5000)),
    ];
    check(3128, &dialogue, ["tcp.http-proxy.tls.github", "api.github.com", "github.com"]);
}

#[test]
fn a_websocket_is_named_once_the_server_agrees() {
    let dialogue = [
        text(C2S, "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\r\n"),
        text(S2C, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ];
    check(80, &dialogue, ["tcp.websocket", "example.com", "example.com/chat"]);
}

#[test]
fn starttls_makes_mail_secure() {
    let dialogue = [
        text(S2C, "220 mail.example.com ESMTP\r\n"),
        text(C2S, "EHLO client.example.net\r\n"),
        text(S2C, "250-mail.example.com\r\n250 STARTTLS\r\n"),
        text(C2S, "STARTTLS\r\n"),
        text(S2C, "220 go ahead\r\n"),
        (C2S, records(&client_hello("smtp.google.com"), 5000)),
    ];
    check(2526, &dialogue, ["tcp.tls.smtps", "smtp.google.com", ""]);
}

#[test]
fn postgresql_carries_tls_after_its_request() {
    let dialogue = [
        (C2S, vec![0, 0, 0, 8, 4, 210, 22, 47]),
        text(S2C, "S"),
        (C2S, records(&client_hello("db.example.com"), 5000)),
    ];
    check(5432, &dialogue, ["tcp.tls.postgresql", "db.example.com", ""]);
    let plain = [
        (C2S, vec![0, 0, 0, 8, 4, 210, 22, 47]),
        text(S2C, "N"),
        (C2S, b"\0\0\0\x13\0\x03\0\0user\0bob\0\0\0".to_vec()),
    ];
    check(6000, &plain, ["tcp.postgresql", "", ""]);
}

#[test]
fn ftp_announces_its_data_endpoints() {
    let dialogue = [
        text(S2C, "220 FTP server ready\r\n"),
        text(C2S, "USER anonymous\r\nEPSV\r\n"),
        text(S2C, "229 Entering Extended Passive Mode (|||6446|)\r\n"),
    ];
    for piece in [1, 9, 1000] {
        let flow = converse(2121, &dialogue, piece);
        let (address, protocol) = ([192, 0, 2, 1].into(), Protocol::TCP);
        let endpoint = DataEndpoint { address, port: 6446, protocol, listener: S2C };
        assert_eq!(flow.facts().data_endpoints, [endpoint]);
        assert_eq!(flow.facts().application, Some(Application::FTP));
    }
}

/// Where media were announced, in an offer that comes in pieces of a stream.
fn offered(body: &str, headers: &str) -> Vec<String> {
    let message =
        format!("\r\n\r\nSIP/2.0 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut told = Vec::new();
    for piece in [1, 7, 4000] {
        let dialogue =
            [text(C2S, "OPTIONS sip:a@example.com SIP/2.0\r\nl: 0\r\n\r\n"), text(S2C, &message)];
        let flow = converse(5060, &dialogue, piece);
        let facts = flow.facts();
        assert_eq!(facts.application, Some(Application::SIP));
        let endpoints = facts.data_endpoints.iter().map(|it| {
            assert_eq!(it.listener, S2C);
            format!("{} {} {}", it.protocol, it.address, it.port)
        });
        told.push(endpoints.collect::<Vec<_>>());
    }
    assert!(told.windows(2).all(|pair| pair[0] == pair[1]), "{told:?}");
    told.swap_remove(0)
}

#[test]
fn sip_announces_the_media_of_session_descriptions() {
    let typed = "Content-Type: application/sdp\r\n";
    let session = "v=0\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\n";
    let two = "m=audio 5004/2 RTP/AVP 0\r\nm=video 5100 RTP/SAVP 31\r\nc=IN IP6 2001:db8::1\r\n";
    let udp = |port: u16| format!("udp 192.0.2.1 {port}");
    assert_eq!(
        offered(&format!("{session}{two}"), typed),
        [udp(5004), udp(5005), "udp 2001:db8::1 5100".into(), "udp 2001:db8::1 5101".into()]
    );
    let reports = "m=audio 5004 RTP/AVP 0\r\na=rtcp:6000 IN IP4 192.0.2.2\r\n";
    assert_eq!(
        offered(&format!("{session}{reports}"), "c: application/sdp;q=1\r\n"),
        [udp(5004), "udp 192.0.2.2 6000".into()]
    );
    let others = "m=audio 5004 UDP/TLS/RTP/SAVPF 0\na=rtcp-mux\nm=image 5200 udptl t38\n\
                  m=message 5300 TCP/MSRP *\nm=video 0 RTP/AVP 31\n";
    assert_eq!(
        offered(&format!("{session}{others}"), "Content-Type: multipart/mixed\r\n"),
        [udp(5004), udp(5200), "tcp 192.0.2.1 5300".into()]
    );
    // No address, no description, no number.
    assert!(offered("m=audio 5004 RTP/AVP 0\r\n", typed).is_empty());
    assert!(offered(&format!("{session}{two}"), "Content-Type: text/plain\r\n").is_empty());
    assert!(
        offered(&format!("{session}m=audio 70000 RTP/AVP 0\r\nm=x\r\nc=\r\n"), typed).is_empty()
    );
}

#[test]
fn roles_are_known_when_the_server_is_seen_first() {
    let banner = [text(C2S, "220 mail.example.com ESMTP\r\n"), text(S2C, "EHLO x\r\n")];
    check(40_001, &banner, ["tcp.smtp", "mail.example.com", ""]);
}

#[test]
fn segments_out_of_order_and_repeated_say_the_same() {
    let hello = records(&client_hello("example.com"), 20);
    let identifier = Identifier::default();
    let mut flow = FlowState::default();
    for start in [60, 30, 0, 30, 90, 80] {
        let end = (start + 40).min(hello.len());
        let part = &hello[start..end];
        let port = tuple(Protocol::TCP, 443);
        identifier.inspect(&mut flow, &port, C2S, Some(start as u64), part);
    }
    assert_eq!(flow.facts().hostname, Some("example.com"));
}

#[test]
fn dns_names_the_query() {
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
    let mut flow = FlowState::default();
    let tuple = tuple(Protocol::UDP, 5300);
    Identifier::default().inspect(&mut flow, &tuple, C2S, None, query);
    let facts = flow.facts();
    assert_eq!(
        (facts.application, facts.hostname),
        (Some(Application::DNS), Some("www.example.com"))
    );
    let framed = [&[0, query.len() as u8][..], query].concat();
    check(53, &[(C2S, framed)], ["tcp.dns", "www.example.com", ""]);
}

#[test]
fn statuses_say_how_far_it_came() {
    let identifier = Identifier::default();
    let tcp = tuple(Protocol::TCP, 9);
    let mut flow = FlowState::default();
    assert_eq!(flow.facts(), Facts::default());
    assert_eq!(identifier.inspect(&mut flow, &tcp, C2S, Some(0), b""), Progress::Undecided);
    assert_eq!(flow.facts().status, Status::Incomplete);
    let noise = [0xee; 10];
    assert_eq!(identifier.inspect(&mut flow, &tcp, C2S, Some(0), &noise), Progress::Undecided);
    assert_eq!(flow.facts().status, Status::InsufficientData);
    let progress = identifier.inspect(&mut flow, &tcp, S2C, Some(0), &noise);
    assert_eq!(progress, Progress::Changed(Changes::APPLICATION));
    let facts = flow.facts();
    assert_eq!(facts.application, Some(Application::UNKNOWN_TCP));
    assert_eq!((facts.status, facts.limit, facts.finished), (Status::UnknownTcp, None, true));
    assert_eq!(identifier.inspect(&mut flow, &tcp, S2C, Some(10), &noise), Progress::Finished);
}

#[test]
fn one_silent_side_is_waited_for_within_the_limit() {
    let identifier = Identifier::default();
    for (protocol, status) in
        [(Protocol::TCP, Status::UnknownTcp), (Protocol::UDP, Status::UnknownUdp)]
    {
        let tuple = tuple(protocol, 9);
        let mut flow = FlowState::default();
        for packet in 1..=identifier.limits().undecided_packets {
            assert!(!flow.facts().finished, "packet {packet}");
            let offset = (protocol == Protocol::TCP).then_some(u64::from(packet - 1) * 4);
            identifier.inspect(&mut flow, &tuple, C2S, offset, &[0xee; 4]);
        }
        let facts = flow.facts();
        assert_eq!((facts.status, facts.limit), (status, Some(LimitReached::Undecided)));
        assert!(flow.work.is_none(), "buffers are given back");
    }
}

/// Segments by their offsets.
type Parts<'a> = Vec<(u64, &'a [u8])>;

#[test]
fn each_bound_is_named() {
    let held = Limits { held_bytes: 64, ..Limits::default() };
    let handshake = Limits { handshake_bytes: 64, ..Limits::default() };
    let segments = Limits { held_segments: 1, ..Limits::default() };
    let begun = b"GET /".repeat(20);
    let hello = records(&client_hello(&"x".repeat(200)), 90);
    let cases: [(Limits, Parts<'_>, LimitReached); 3] = [
        (held, vec![(0, &begun)], LimitReached::HeldBytes),
        (handshake, vec![(0, &hello[..90]), (90, &hello[90..120])], LimitReached::HandshakeBytes),
        (segments, vec![(5, b"a"), (9, b"a")], LimitReached::HeldSegments),
    ];
    for (limits, parts, expected) in cases {
        let identifier = Identifier::new(limits);
        let tuple = tuple(Protocol::TCP, 80);
        let mut flow = FlowState::default();
        for direction in [C2S, S2C] {
            for (offset, part) in &parts {
                identifier.inspect(&mut flow, &tuple, direction, Some(*offset), part);
            }
        }
        assert_eq!(flow.facts().limit, Some(expected));
        assert!(flow.facts().finished);
    }
}

#[test]
fn protocols_without_payload_are_named_by_number() {
    for (number, icmp_type, expected) in [
        (1, Some(8), Some(Application::PING)),
        (1, Some(3), Some(Application::ICMP)),
        (58, Some(129), Some(Application::PING)),
        (58, Some(135), Some(Application::ICMPV6)),
        (47, None, Some(Application::GRE)),
        (253, None, Some(Application::UNKNOWN_IP)),
        (6, None, None),
        (17, None, None),
    ] {
        let found = Identifier::classify_without_payload(Protocol(number), icmp_type);
        assert_eq!(found, expected, "{number}");
    }
}

#[test]
fn a_decided_flow_is_small() {
    assert!(size_of::<FlowState>() <= 64);
}

/// Dialogues whose beginnings every signature and decoder meets in the properties below.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = TCP
        .iter()
        .chain(UDP)
        .flat_map(|signature| signature.prefixes)
        .map(|prefix| prefix.to_vec())
        .collect();
    seeds.push(records(&client_hello("a.example"), 30));
    seeds.push(records(&server_hello(&[]), 30));
    seeds.push(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n".to_vec());
    seeds.push(b"220 x FTP\r\n227 (1,2,3,4,5,6)\r\n".to_vec());
    seeds.push(Vec::new());
    seeds
}

proptest! {
    /// Any bytes after any beginning, cut anywhere, are tolerated and say the same.
    #[test]
    fn cutting_changes_nothing(
        seed in proptest::sample::select(seeds()),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        answer in proptest::sample::select(seeds()),
        piece in 1_usize..80,
        port in proptest::sample::select(vec![21, 53, 80, 110, 143, 443, 1433, 3389, 9999]),
    ) {
        let dialogue = [(C2S, [seed, noise].concat()), (S2C, answer)];
        let whole = converse(port, &dialogue, usize::MAX);
        let cut = converse(port, &dialogue, piece);
        prop_assert_eq!(whole.facts(), cut.facts());
    }

    /// Any datagram is tolerated.
    #[test]
    fn datagrams_are_tolerated(
        seed in proptest::sample::select(seeds()),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        port in any::<u16>(),
    ) {
        let identifier = Identifier::default();
        let mut flow = FlowState::default();
        let datagram = [seed, noise].concat();
        for direction in [C2S, S2C, C2S] {
            let tuple = tuple(Protocol::UDP, port);
            identifier.inspect(&mut flow, &tuple, direction, None, &datagram);
        }
        prop_assert_eq!(flow.facts().status != Status::Incomplete, !datagram.is_empty());
    }
}
