//! Every signature: what nominates it, what confirms it, and what reads on.

use super::{
    Context, Decoder, Probe, database, directory, dns, dtls, ftp, http, industrial, infrastructure,
    mail, messaging, postgresql, quic, rdp, remote, sip, tls, tunnel, voice,
};
use crate::Application as App;

/// How one protocol is recognised on one transport.
pub(crate) struct Signature {
    pub(crate) application: App,
    /// Beginnings, ASCII letters of either case, one of which must be there before `probe` is
    /// asked; empty for a protocol that begins with no fixed bytes.
    pub(crate) prefixes: &'static [&'static [u8]],
    /// Confirms.
    pub(crate) probe: fn(&Context<'_>) -> Probe,
    /// Makes what reads the flow once confirmed.
    pub(crate) start: fn() -> Decoder,
}

const fn named(
    application: App,
    prefixes: &'static [&'static [u8]],
    probe: fn(&Context<'_>) -> Probe,
) -> Signature {
    Signature { application, prefixes, probe, start: Decoder::default }
}

const fn read(
    application: App,
    prefixes: &'static [&'static [u8]],
    probe: fn(&Context<'_>) -> Probe,
    start: fn() -> Decoder,
) -> Signature {
    Signature { application, prefixes, probe, start }
}

/// Signatures of TCP streams; an earlier one wins over a later one.
pub(crate) static TCP: &[Signature] = &[
    read(
        App::TLS,
        &[b"\x14\x03", b"\x15\x03", b"\x16\x03", b"\x17\x03"],
        tls::probe,
        tls::Tls::start,
    ),
    read(App::HTTP, http::PREFIXES, http::probe, http::Http::start),
    named(App::HTTP2, &[b"PRI * HTTP/2.0"], http::probe_http2),
    named(App::SSH, &[b"SSH-"], remote::probe_ssh),
    read(App::SMTP, &[b"220", b"EHLO ", b"HELO "], mail::probe_smtp, mail::Mail::start_smtp),
    read(
        App::FTP,
        &[
            b"220",
            b"USER ",
            b"FEAT",
            b"SYST",
            b"PASV",
            b"EPSV",
            b"PORT ",
            b"EPRT ",
            b"AUTH TLS",
            b"AUTH SSL",
        ],
        ftp::probe,
        ftp::Ftp::start,
    ),
    read(
        App::POP3,
        &[b"+OK", b"USER ", b"CAPA", b"APOP ", b"AUTH", b"STLS", b"QUIT"],
        mail::probe_pop3,
        mail::Mail::start_pop3,
    ),
    read(App::IMAP, &[], mail::probe_imap, mail::Mail::start_imap),
    named(App::RTSP, &[], voice::probe_rtsp),
    read(App::SIP, &[], sip::probe, sip::Sip::start),
    read(App::HTTP, &[], http::probe_any_method, http::Http::start),
    named(App::BITTORRENT, &[b"\x13BitTorrent protocol"], messaging::probe_bittorrent),
    named(App::VNC, &[b"RFB "], remote::probe_vnc),
    named(App::RSYNC, &[b"@RSYNCD: "], remote::probe_rsync),
    named(App::TELNET, &[b"\xff"], remote::probe_telnet),
    named(App::BGP, &[b"\xff\xff\xff\xff"], infrastructure::probe_bgp),
    named(App::XMPP, &[b"<?xml", b"<stream:stream"], messaging::probe_xmpp),
    named(
        App::IRC,
        &[b"NICK ", b"USER ", b"PASS ", b"CAP LS", b"NOTICE AUTH", b":"],
        messaging::probe_irc,
    ),
    named(App::NNTP, &[b"200 ", b"201 "], messaging::probe_nntp),
    named(App::AMQP, &[b"AMQP"], messaging::probe_amqp),
    named(App::REDIS, &[b"*"], database::probe_redis),
    named(App::SYSLOG, &[b"<"], infrastructure::probe_syslog),
    named(App::GIT, &[b"0"], remote::probe_git),
    read(App::RDP, &[b"\x03\x00"], rdp::probe, rdp::Rdp::start),
    named(App::SMB, &[b"\x00", b"\x81\x00\x00\x44", b"\x82\x00\x00\x00"], directory::probe_smb),
    read(App::POSTGRESQL, &[b"\x00\x00"], postgresql::probe, postgresql::Postgresql::start),
    read(App::MYSQL, &[], database::probe_mysql, database::Mysql::start),
    named(App::MSSQL, &[b"\x12\x01", b"\x01", b"\x03"], database::probe_mssql),
    named(App::ORACLE, &[], database::probe_oracle),
    named(
        App::CASSANDRA,
        &[b"\x03\x00", b"\x04\x00", b"\x05\x00", b"\x05\x10"],
        database::probe_cassandra,
    ),
    named(App::MONGODB, &[], database::probe_mongodb),
    read(App::LDAP, &[b"\x30"], directory::probe_ldap, directory::Ldap::start),
    named(App::KERBEROS, &[b"\x00\x00"], directory::probe_kerberos_tcp),
    named(App::MQTT, &[b"\x10"], messaging::probe_mqtt),
    named(App::DCERPC, &[b"\x05\x00", b"\x05\x01"], directory::probe_dcerpc),
    named(App::NFS, &[b"\x80"], directory::probe_nfs_tcp),
    named(App::SUNRPC, &[b"\x80"], directory::probe_sunrpc_tcp),
    named(App::AFP, &[b"\x00"], directory::probe_afp),
    named(App::DNP3, &[b"\x05\x64"], industrial::probe_dnp3),
    named(App::MODBUS, &[], industrial::probe_modbus),
    named(App::DIAMETER, &[b"\x01"], infrastructure::probe_diameter),
    named(App::STUN, &[b"\x00", b"\x01"], voice::probe_stun_tcp),
    named(App::RTMP, &[b"\x03"], remote::probe_rtmp),
    named(App::SOCKS, &[b"\x04", b"\x05"], tunnel::probe_socks),
    named(App::OPENVPN, &[b"\x00", b"\x01"], tunnel::probe_openvpn_tcp),
    read(App::TLS, &[], tls::probe_sslv2, tls::Tls::start_sslv2),
    named(App::KAFKA, &[b"\x00"], database::probe_kafka),
    read(App::DNS, &[], dns::probe_tcp, dns::Dns::start_tcp),
    named(App::WHOIS, &[], remote::probe_whois),
];

/// Signatures of UDP datagrams; an earlier one wins over a later one.
pub(crate) static UDP: &[Signature] = &[
    read(App::QUIC, &[], quic::probe, quic::Quic::start),
    read(App::STUN, &[b"\x00", b"\x01"], voice::probe_stun, voice::Stun::start),
    read(App::DTLS, &[], dtls::probe, dtls::Dtls::start),
    named(App::SSDP, &[b"M-SEARCH ", b"NOTIFY *", b"HTTP/1.1 200"], voice::probe_ssdp),
    read(App::SIP, &[], sip::probe, sip::Sip::start),
    named(App::BITTORRENT, &[b"d"], messaging::probe_bittorrent_dht),
    named(App::SYSLOG, &[b"<"], infrastructure::probe_syslog),
    named(App::DHCP, &[b"\x01", b"\x02"], infrastructure::probe_dhcp),
    named(App::DHCPV6, &[], infrastructure::probe_dhcpv6),
    named(App::NTP, &[], infrastructure::probe_ntp),
    read(App::MDNS, &[], dns::probe_mdns, dns::Dns::start),
    read(App::LLMNR, &[], dns::probe_llmnr, dns::Dns::start),
    read(App::NETBIOS_NAME, &[], dns::probe_netbios, dns::Dns::start_netbios),
    named(App::NETBIOS_DATAGRAM, &[], directory::probe_netbios_datagram),
    named(App::SNMP, &[b"\x30"], infrastructure::probe_snmp),
    named(App::LDAP, &[b"\x30"], directory::probe_ldap),
    named(App::KERBEROS, &[], directory::probe_kerberos),
    named(App::WIREGUARD, &[], tunnel::probe_wireguard),
    named(App::IKE, &[], tunnel::probe_ike),
    named(App::L2TP, &[], tunnel::probe_l2tp),
    named(App::RADIUS, &[], infrastructure::probe_radius),
    read(
        App::TFTP,
        &[b"\x00\x01", b"\x00\x02"],
        infrastructure::probe_tftp,
        infrastructure::Tftp::start,
    ),
    named(App::SLP, &[], infrastructure::probe_slp),
    named(App::BACNET, &[b"\x81"], industrial::probe_bacnet),
    named(App::NFS, &[], directory::probe_nfs),
    named(App::SUNRPC, &[], directory::probe_sunrpc),
    named(App::OPENVPN, &[], tunnel::probe_openvpn),
    named(App::SFLOW, &[b"\x00\x00\x00\x05"], infrastructure::probe_sflow),
    named(App::NETFLOW, &[b"\x00"], infrastructure::probe_netflow),
    named(App::DNP3, &[b"\x05\x64"], industrial::probe_dnp3),
    read(App::DNS, &[], dns::probe, dns::Dns::start),
    named(App::IPSEC_NAT_T, &[], tunnel::probe_ipsec_nat_t),
];
