//! The table of applications.

use parefeu_net::{PortRange, Protocol};

use crate::application::Entry;

/// An application of the static catalogue.
///
/// The number is a position in this build's catalogue: keep the name, not the number, in a file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Application(u16);

impl Application {
    /// The position in [`crate::Catalogue::all`]; below the catalogue's length.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The application at a position known to be in the catalogue.
    pub(crate) const fn from_index(index: u16) -> Self {
        Self(index)
    }
}

/// Writes, from one list ordered by name, the constants and the rows.
macro_rules! catalogue {
    (@entry $name:literal { web }) => {
        Entry { name: $name, ports: WEB_PORTS, parents: WEB_PARENTS }
    };
    (@entry $name:literal
        { [$($protocol:ident $first:literal..=$last:literal),*] [$($parent:ident),*] }) => {
        Entry {
            name: $name,
            ports: &[$((Protocol::$protocol, ports($first, $last))),*],
            parents: &[$(Application::$parent),*],
        }
    };
    ($($constant:ident $name:literal $row:tt;)*) => {
        #[expect(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "named as the constants"
        )]
        enum Position { $($constant),* }

        impl Application {
            $(
                #[doc = concat!("The application `", $name, "`.")]
                pub const $constant: Self = Self(Position::$constant as u16);
            )*
        }

        /// Every application, ordered by name.
        pub(crate) static ENTRIES: &[Entry] = &[$(catalogue!(@entry $name $row)),*];
    };
}

const WEB_PORTS: &[(Protocol, PortRange)] = &[
    (Protocol::TCP, PortRange::single(80)),
    (Protocol::TCP, PortRange::single(443)),
    (Protocol::UDP, PortRange::single(443)),
];
const WEB_PARENTS: &[Application] = &[Application::TLS, Application::QUIC, Application::HTTP];

const fn ports(first: u16, last: u16) -> PortRange {
    match PortRange::new(first, last) {
        Ok(range) => range,
        Err(_) => PortRange::single(first),
    }
}

catalogue! {
    AFP "afp" { [TCP 548..=548] [] };
    AH "ah" { [] [] };
    AMAZON "amazon" { web };
    AMAZON_AWS "amazon-aws" { web };
    AMAZON_VIDEO "amazon-video" { web };
    AMQP "amqp" { [TCP 5671..=5672] [] };
    ANYDESK "anydesk" { web };
    APPLE "apple" { web };
    ATLASSIAN "atlassian" { web };
    AZURE "azure" { web };
    BACNET "bacnet" { [UDP 47808..=47808] [] };
    BGP "bgp" { [TCP 179..=179] [] };
    BITTORRENT "bittorrent" { [] [] };
    BLUESKY "bluesky" { web };
    BOX "box" { web };
    CASSANDRA "cassandra" { [TCP 9042..=9042] [] };
    CITRIX_CLOUD "citrix-cloud" { web };
    CLOUDFLARE "cloudflare" { web };
    DCERPC "dcerpc" { [TCP 135..=135] [] };
    DHCP "dhcp" { [UDP 67..=68] [] };
    DHCPV6 "dhcpv6" { [UDP 546..=547] [] };
    DIAMETER "diameter" { [TCP 3868..=3868] [] };
    DISCORD "discord" { web };
    DISNEY_PLUS "disney-plus" { web };
    DNP3 "dnp3" { [TCP 20000..=20000, UDP 20000..=20000] [] };
    DNS "dns" { [UDP 53..=53, TCP 53..=53] [] };
    DROPBOX "dropbox" { web };
    DTLS "dtls" { [UDP 443..=443, UDP 4433..=4433] [] };
    EBAY "ebay" { web };
    EGP "egp" { [] [] };
    EIGRP "eigrp" { [] [] };
    ELASTICSEARCH "elasticsearch" { [TCP 9200..=9200, TCP 9300..=9300] [] };
    ESP "esp" { [] [] };
    ETHERIP "etherip" { [] [] };
    FACEBOOK "facebook" { web };
    FASTLY "fastly" { web };
    FTP "ftp" { [TCP 21..=21] [] };
    FTP_DATA "ftp-data" { [TCP 20..=20] [] };
    FTPS "ftps" { [TCP 990..=990] [TLS, FTP] };
    GIT "git" { [TCP 9418..=9418] [] };
    GITHUB "github" { web };
    GITLAB "gitlab" { web };
    GMAIL "gmail" { web };
    GOOGLE "google" { web };
    GOOGLE_ADS "google-ads" { web };
    GOOGLE_CLOUD "google-cloud" { web };
    GOOGLE_DOCS "google-docs" { web };
    GOOGLE_DRIVE "google-drive" { web };
    GOOGLE_MAPS "google-maps" { web };
    GOOGLE_MEET "google-meet" { web };
    GOOGLE_PLAY "google-play" { web };
    GOOGLE_SERVICES "google-services" { web };
    GRE "gre" { [] [] };
    HTTP "http" { [TCP 80..=80, TCP 8080..=8080] [] };
    HTTP_PROXY "http-proxy" { [TCP 3128..=3128, TCP 8080..=8080] [HTTP] };
    HTTP2 "http2" { [TCP 80..=80, TCP 443..=443] [HTTP] };
    HULU "hulu" { web };
    ICLOUD "icloud" { web };
    ICMP "icmp" { [] [] };
    ICMPV6 "icmpv6" { [] [] };
    IGMP "igmp" { [] [] };
    IKE "ike" { [UDP 500..=500, UDP 4500..=4500] [] };
    IMAP "imap" { [TCP 143..=143] [] };
    IMAPS "imaps" { [TCP 993..=993] [TLS, IMAP] };
    INSTAGRAM "instagram" { web };
    IPIP "ipip" { [] [] };
    IPSEC_NAT_T "ipsec-nat-t" { [UDP 4500..=4500] [] };
    IPV6_IN_IPV4 "ipv6-in-ipv4" { [] [] };
    IRC "irc" { [TCP 6667..=6667] [] };
    KAFKA "kafka" { [TCP 9092..=9092] [] };
    KERBEROS "kerberos" { [TCP 88..=88, UDP 88..=88] [] };
    L2TP "l2tp" { [UDP 1701..=1701] [] };
    LDAP "ldap" { [TCP 389..=389, UDP 389..=389] [] };
    LDAPS "ldaps" { [TCP 636..=636] [TLS, LDAP] };
    LETS_ENCRYPT "lets-encrypt" { web };
    LINKEDIN "linkedin" { web };
    LLMNR "llmnr" { [UDP 5355..=5355] [] };
    MASTODON "mastodon" { web };
    MDNS "mdns" { [UDP 5353..=5353] [] };
    MICROSOFT "microsoft" { web };
    MICROSOFT_TEAMS "microsoft-teams" { web };
    MICROSOFT365 "microsoft365" { web };
    MODBUS "modbus" { [TCP 502..=502] [] };
    MONGODB "mongodb" { [TCP 27017..=27017] [] };
    MQTT "mqtt" { [TCP 1883..=1883] [] };
    MSSQL "mssql" { [TCP 1433..=1433] [] };
    MYSQL "mysql" { [TCP 3306..=3306] [] };
    NETBIOS_DATAGRAM "netbios-datagram" { [UDP 138..=138] [] };
    NETBIOS_NAME "netbios-name" { [UDP 137..=137] [] };
    NETFLIX "netflix" { web };
    NETFLOW "netflow" { [UDP 2055..=2055, UDP 9995..=9995] [] };
    NFS "nfs" { [TCP 2049..=2049, UDP 2049..=2049] [] };
    NNTP "nntp" { [TCP 119..=119] [] };
    NTP "ntp" { [UDP 123..=123] [] };
    OKTA "okta" { web };
    ONEDRIVE "onedrive" { web };
    OPENAI "openai" { web };
    OPENVPN "openvpn" { [UDP 1194..=1194, TCP 1194..=1194] [] };
    ORACLE "oracle" { [TCP 1521..=1521] [] };
    OSPF "ospf" { [] [] };
    OUTLOOK "outlook" { web };
    PAYPAL "paypal" { web };
    PGM "pgm" { [] [] };
    PIM "pim" { [] [] };
    PING "ping" { [] [ICMP, ICMPV6] };
    PINTEREST "pinterest" { web };
    PLAYSTATION "playstation" { web };
    POP3 "pop3" { [TCP 110..=110] [] };
    POP3S "pop3s" { [TCP 995..=995] [TLS, POP3] };
    POSTGRESQL "postgresql" { [TCP 5432..=5432] [] };
    QUIC "quic" { [UDP 443..=443] [] };
    RADIUS "radius" { [UDP 1812..=1813] [] };
    RDP "rdp" { [TCP 3389..=3389] [] };
    REDDIT "reddit" { web };
    REDIS "redis" { [TCP 6379..=6379] [] };
    RSVP "rsvp" { [] [] };
    RSYNC "rsync" { [TCP 873..=873] [] };
    RTMP "rtmp" { [TCP 1935..=1935] [] };
    RTSP "rtsp" { [TCP 554..=554] [] };
    SALESFORCE "salesforce" { web };
    SCTP "sctp" { [] [] };
    SERVICENOW "servicenow" { web };
    SFLOW "sflow" { [UDP 6343..=6343] [] };
    SIGNAL "signal" { web };
    SIP "sip" { [UDP 5060..=5060, TCP 5060..=5060] [] };
    SKYPE "skype" { web };
    SLACK "slack" { web };
    SLP "slp" { [UDP 427..=427, TCP 427..=427] [] };
    SMB "smb" { [TCP 445..=445, TCP 139..=139] [] };
    SMTP "smtp" { [TCP 25..=25, TCP 587..=587] [] };
    SMTPS "smtps" { [TCP 465..=465] [TLS, SMTP] };
    SNAPCHAT "snapchat" { web };
    SNMP "snmp" { [UDP 161..=162] [] };
    SOCKS "socks" { [TCP 1080..=1080] [] };
    SOUNDCLOUD "soundcloud" { web };
    SPOTIFY "spotify" { web };
    SSDP "ssdp" { [UDP 1900..=1900] [] };
    SSH "ssh" { [TCP 22..=22] [] };
    STEAM "steam" { web };
    STRIPE "stripe" { web };
    STUN "stun" { [UDP 3478..=3478, TCP 3478..=3478] [] };
    SUNRPC "sunrpc" { [TCP 111..=111, UDP 111..=111] [] };
    SYSLOG "syslog" { [UDP 514..=514, TCP 514..=514] [] };
    TEAMVIEWER "teamviewer" { web };
    TELEGRAM "telegram" { web };
    TELNET "telnet" { [TCP 23..=23] [] };
    TFTP "tftp" { [UDP 69..=69] [] };
    TIKTOK "tiktok" { web };
    TLS "tls" { [TCP 443..=443] [] };
    TWITCH "twitch" { web };
    TWITTER "twitter" { web };
    UNKNOWN_IP "unknown-ip" { [] [] };
    UNKNOWN_TCP "unknown-tcp" { [] [] };
    UNKNOWN_UDP "unknown-udp" { [] [] };
    VIMEO "vimeo" { web };
    VNC "vnc" { [TCP 5900..=5909] [] };
    VRRP "vrrp" { [] [] };
    WEBEX "webex" { web };
    WEBSOCKET "websocket" { [TCP 80..=80, TCP 443..=443] [HTTP] };
    WECHAT "wechat" { web };
    WHATSAPP "whatsapp" { web };
    WHOIS "whois" { [TCP 43..=43] [] };
    WIKIPEDIA "wikipedia" { web };
    WINDOWS_UPDATE "windows-update" { web };
    WIREGUARD "wireguard" { [UDP 51820..=51820] [] };
    XBOX "xbox" { web };
    XMPP "xmpp" { [TCP 5222..=5222] [] };
    YAHOO "yahoo" { web };
    YANDEX "yandex" { web };
    YOUTUBE "youtube" { web };
    ZOOM "zoom" { web };
}
