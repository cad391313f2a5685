//! Against nDPI's table of flows.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::net::IpAddr;

use parefeu_identify::Application;
use parefeu_net::{FiveTuple, Protocol};

use crate::capture::{self, Session};
use parefeu_testkit::peers::{Agreement, data};

/// A flow as nDPI reports it.
struct Row {
    capture: String,
    tuple: FiveTuple,
    /// Protocol, then the service above it.
    application: (String, Option<String>),
    hostname: String,
    issuer: Option<String>,
    subject: Option<String>,
}

fn parse(line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [capture, _, transport, src, src_port, dst, dst_port, application, ..] = cells[..] else {
        return None;
    };
    // A verdict by port or address alone says nothing about payload.
    if !cells.get(10)?.starts_with("DPI") {
        return None;
    }
    let protocol = match transport {
        "TCP" => Protocol::TCP,
        "UDP" => Protocol::UDP,
        _ => return None,
    };
    let tuple = FiveTuple {
        src: src.parse::<IpAddr>().ok()?,
        dst: dst.parse().ok()?,
        src_port: src_port.parse().ok()?,
        dst_port: dst_port.parse().ok()?,
        protocol,
    };
    let mut names = application.split('.').map(str::to_owned);
    let extra: serde_json::Value = serde_json::from_str(cells.get(19)?).ok()?;
    let text = |key: &str| extra.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    Some(Row {
        capture: capture.to_owned(),
        tuple: tuple.direction_free(),
        application: (names.next()?, names.next()),
        hostname: (*cells.get(17)?).to_owned(),
        issuer: text("Issuer"),
        subject: text("Subject"),
    })
}

/// nDPI's name of a protocol, and the path elements that say the same here. Where nDPI names a
/// protocol by its port (TLS on port 993 is its IMAPS), the bytes' own name says the same.
const PROTOCOLS: &[(&str, &[&str])] = &[
    ("AFP", &["afp"]),
    ("BACnet", &["bacnet"]),
    ("BGP", &["bgp"]),
    ("BitTorrent", &["bittorrent"]),
    ("Cassandra", &["cassandra"]),
    ("DCERPC", &["dcerpc"]),
    ("DHCP", &["dhcp"]),
    ("DHCPV6", &["dhcpv6"]),
    ("DNP3", &["dnp3"]),
    ("DNS", &["dns"]),
    ("DTLS", &["dtls"]),
    ("Diameter", &["diameter"]),
    ("FTP_CONTROL", &["ftp", "ftps"]),
    ("Git", &["git"]),
    ("HTTP", &["http", "http-proxy", "websocket"]),
    ("HTTP2", &["http2"]),
    ("HTTP_Proxy", &["http-proxy"]),
    ("IMAP", &["imap"]),
    ("IMAPS", &["imaps", "tls"]),
    ("IPSec", &["ike", "ipsec-nat-t"]),
    ("IRC", &["irc"]),
    ("Jabber", &["xmpp"]),
    ("Kafka", &["kafka"]),
    ("Kerberos", &["kerberos"]),
    ("LDAP", &["ldap"]),
    ("LLMNR", &["llmnr"]),
    ("MDNS", &["mdns"]),
    ("MQTT", &["mqtt"]),
    ("Modbus", &["modbus"]),
    ("MsSQL-TDS", &["mssql"]),
    ("MySQL", &["mysql"]),
    ("NFS", &["nfs", "sunrpc"]),
    ("NTP", &["ntp"]),
    ("NetBIOS", &["netbios-name", "netbios-datagram", "smb"]),
    ("NetFlow", &["netflow"]),
    ("OpenVPN", &["openvpn"]),
    ("Oracle", &["oracle"]),
    ("POP3", &["pop3"]),
    ("POPS", &["pop3s", "tls"]),
    ("PostgreSQL", &["postgresql"]),
    ("QUIC", &["quic"]),
    ("RDP", &["rdp"]),
    ("RSYNC", &["rsync"]),
    ("RTMP", &["rtmp"]),
    ("RTSP", &["rtsp"]),
    ("Radius", &["radius"]),
    ("SIP", &["sip"]),
    ("SMBv1", &["smb"]),
    ("SMBv23", &["smb"]),
    ("SMTP", &["smtp", "smtps"]),
    ("SMTPS", &["smtps", "tls"]),
    ("SNMP", &["snmp"]),
    ("SOCKS", &["socks"]),
    ("SSDP", &["ssdp"]),
    ("SSH", &["ssh"]),
    ("STUN", &["stun"]),
    ("Service_Location_Protocol", &["slp"]),
    ("Syslog", &["syslog"]),
    ("TFTP", &["tftp"]),
    ("TLS", &["tls"]),
    ("Telnet", &["telnet"]),
    ("Usenet", &["nntp"]),
    ("VNC", &["vnc"]),
    ("WebSocket", &["websocket"]),
    ("Whois-DAS", &["whois"]),
    ("WireGuard", &["wireguard"]),
    ("sFlow", &["sflow"]),
];

/// nDPI's name of a service, and the catalogue's.
const SERVICES: &[(&str, &str)] = &[
    ("Amazon", "amazon"),
    ("AmazonAWS", "amazon-aws"),
    ("Apple", "apple"),
    ("Azure", "azure"),
    ("Dropbox", "dropbox"),
    ("Facebook", "facebook"),
    ("Github", "github"),
    ("GitLab", "gitlab"),
    ("Google", "google"),
    ("Instagram", "instagram"),
    ("LinkedIn", "linkedin"),
    ("Microsoft", "microsoft"),
    ("NetFlix", "netflix"),
    ("Pinterest", "pinterest"),
    ("Signal", "signal"),
    ("Snapchat", "snapchat"),
    ("Spotify", "spotify"),
    ("Steam", "steam"),
    ("Teams", "microsoft-teams"),
    ("TikTok", "tiktok"),
    ("Wikipedia", "wikipedia"),
    ("YouTube", "youtube"),
    ("Zoom", "zoom"),
];

#[derive(Default)]
struct Measures {
    protocols: BTreeMap<String, Agreement>,
    services: Agreement,
    hostnames: Agreement,
    issuers: Agreement,
    subjects: Agreement,
    missing: usize,
}

impl Measures {
    fn compare(&mut self, row: &Row, session: &Session) {
        let facts = session.flow.facts();
        let path = facts.application_path;
        let place = format!("{} {}", row.capture, session.tuple);
        let (protocol, service) = &row.application;
        if let Some((_, names)) = PROTOCOLS.iter().find(|(name, _)| name == protocol) {
            let agrees = names.iter().any(|name| path.as_slice().contains(name));
            let measure = self.protocols.entry(protocol.clone()).or_default();
            measure.note(agrees, || format!("{place}: {path} ({})", facts.status));
        }
        let carried = matches!(&**protocol, "TLS" | "QUIC" | "HTTP");
        let known = SERVICES.iter().find(|(name, _)| Some(*name) == service.as_deref());
        if let Some((_, name)) = known.filter(|_| carried && !row.hostname.is_empty()) {
            let agrees = facts.application.is_some_and(|application| application.name() == *name);
            self.services.note(agrees, || format!("{place} {}: {path}, not {name}", row.hostname));
        }
        let named = matches!(&**protocol, "TLS" | "QUIC" | "HTTP" | "DNS" | "DTLS");
        if named && !row.hostname.is_empty() {
            let ours = facts.hostname.unwrap_or_default();
            let agrees = ours == bare(&row.hostname);
            self.hostnames.note(agrees, || format!("{place}: {ours:?}, not {:?}", row.hostname));
        }
        for (theirs, ours, measure) in [
            (&row.issuer, facts.certificate_issuer, &mut self.issuers),
            (&row.subject, facts.certificate_subject, &mut self.subjects),
        ] {
            if let Some(theirs) = theirs {
                let ours = ours.unwrap_or_default();
                measure.note(same_name(ours, theirs), || format!("{place}: {ours}, not {theirs}"));
            }
        }
    }
}

/// A host without a port, in lower case.
fn bare(host: &str) -> String {
    let lower = host.to_ascii_lowercase();
    match lower.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.contains(':') => {
            name.to_owned()
        }
        _ => lower,
    }
}

/// Whether an RFC 4514 string says what nDPI prints in wire order, unescaped, with some kinds of
/// attribute left out.
fn same_name(ours: &str, theirs: &str) -> bool {
    let mut attributes = vec![String::new()];
    let mut escaped = false;
    for letter in ours.chars() {
        let Some(last) = attributes.last_mut() else { return false };
        match letter {
            '\\' if !escaped => escaped = true,
            ',' | '+' if !escaped => attributes.push(String::new()),
            _ => {
                last.push(letter);
                escaped = false;
            }
        }
    }
    let printed = |attribute: &&String| {
        ["C=", "ST=", "L=", "O=", "OU=", "CN="].iter().any(|kind| attribute.starts_with(kind))
    };
    let kept: Vec<&str> = attributes.iter().filter(printed).map(String::as_str).rev().collect();
    kept.join(", ") == theirs
}

#[test]
fn agrees_with_ndpi() {
    let Some(folder) = data("ndpi") else { return };
    let table = fs::read_to_string(folder.join("expected_flows.tsv")).unwrap();
    let mut rows: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in table.lines().filter_map(parse) {
        rows.entry(row.capture.clone()).or_default().push(row);
    }
    let mut measures = Measures::default();
    for (capture, rows) in &rows {
        let sessions = capture::read(&folder.join(capture));
        let mut by_tuple: HashMap<FiveTuple, &Session> = HashMap::new();
        for session in &sessions.all {
            by_tuple.entry(session.tuple.direction_free()).or_insert(session);
        }
        for row in rows {
            match by_tuple.get(&row.tuple) {
                Some(session) => measures.compare(row, session),
                None => measures.missing += 1,
            }
        }
    }
    eprintln!("{} rows have no session here", measures.missing);
    let mut all = Agreement::default();
    for (name, measure) in &measures.protocols {
        eprintln!("{name}: {} of {}", measure.agreed, measure.of);
        all.add(measure, &format!("{name} "));
    }
    measures.services.check("services", 900);
    measures.hostnames.check("hostnames", 945);
    measures.issuers.check("issuers", 980);
    measures.subjects.check("subjects", 970);
    all.check("protocols", 955);
    for (_, name) in SERVICES {
        assert!(Application::from_name(name).is_some(), "{name}");
    }
}
