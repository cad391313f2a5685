//! The predefined applications: what identification calls them, their default ports, and what they
//! are seen as before they are recognised.
//!
//! Names and ports are public knowledge of Applipedia, written from memory and not from its content
//! packages. Where the ports could not be vouched for they are left open (`?`):
//! `application-default` with such an application is an unknown condition, never a guess.

/// A predefined application.
#[derive(Clone, Copy, Debug)]
pub(super) struct Predefined {
    pub(super) name: &'static str,
    identified_as: &'static str,
    default_ports: &'static str,
    implicit: &'static str,
}

impl Predefined {
    /// The application called `name`.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        let at = ALL.binary_search_by(|row| row.name.cmp(name)).ok()?;
        ALL.get(at)
    }

    /// Every predefined application, ordered by name.
    pub(super) const fn all() -> &'static [Self] {
        ALL
    }

    /// What identification calls it; nothing when no signature tells it from its parent.
    pub(super) fn identified_as(&self) -> impl Iterator<Item = &'static str> {
        self.identified_as.split_ascii_whitespace()
    }

    /// Its default ports in the notation of custom applications; `None` when they are not known.
    pub(super) fn default_ports(&self) -> Option<impl Iterator<Item = &'static str>> {
        (self.default_ports != "?").then(|| self.default_ports.split_ascii_whitespace())
    }

    /// The applications let through until this one is recognised.
    pub(super) fn implicit(&self) -> impl Iterator<Item = &'static str> {
        self.implicit.split_ascii_whitespace()
    }
}

const fn row(
    name: &'static str,
    identified_as: &'static str,
    default_ports: &'static str,
    implicit: &'static str,
) -> Predefined {
    Predefined { name, identified_as, default_ports, implicit }
}

/// Name, names of identification, default ports, implicitly used applications; ordered by name.
const ALL: &[Predefined] = &[
    row("afp", "afp", "tcp/548", ""),
    row("ajp", "", "tcp/8009", ""),
    row("amazon-cloud-drive-base", "", "tcp/80,443", "ssl web-browsing"),
    row("amazon-music-base", "", "tcp/80,443", "ssl web-browsing"),
    row("amqp", "amqp", "tcp/5672", ""),
    row("anydesk", "anydesk", "?", "ssl"),
    row("apple-appstore", "apple", "tcp/80,443", "ssl web-browsing"),
    row("apple-update", "apple", "tcp/80,443", "ssl web-browsing"),
    row("azure-storage-accounts-base", "azure", "tcp/80,443", "ssl web-browsing"),
    row("bacnet-base", "bacnet", "udp/47808", ""),
    row("bgp", "bgp", "tcp/179", ""),
    row("bittorrent", "bittorrent", "tcp/dynamic udp/dynamic", ""),
    row("boxnet-base", "box", "tcp/80,443", "ssl web-browsing"),
    row("citrix", "", "?", ""),
    row("citrix-jedi", "", "?", ""),
    row("coap", "", "udp/5683", ""),
    row("concur-base", "", "tcp/80,443", "ssl web-browsing"),
    row("cotp", "", "tcp/102", ""),
    row("db2", "", "?", ""),
    row("dhcp", "dhcp", "udp/67,68", ""),
    row("dhcpv6", "dhcpv6", "udp/546,547", ""),
    row("diameter-over-tcp", "diameter", "tcp/3868", ""),
    row("discord-base", "discord", "?", "ssl web-browsing"),
    row("disneyplus", "disney-plus", "tcp/80,443", "ssl web-browsing"),
    row("dnp3", "dnp3", "tcp/20000 udp/20000", ""),
    row("dns", "dns", "tcp/53 udp/53", ""),
    row("dns-base", "dns", "tcp/53 udp/53", ""),
    row("dns-over-https", "", "tcp/443", "ssl web-browsing"),
    row("dns-over-tls", "", "tcp/853", "ssl"),
    row("docusign-base", "", "tcp/80,443", "ssl web-browsing"),
    row("dropbox-base", "dropbox", "tcp/80,443", "ssl web-browsing"),
    row("dropbox-downloading", "", "tcp/80,443", "ssl web-browsing"),
    row("dropbox-uploading", "", "tcp/80,443", "ssl web-browsing"),
    row("dtls", "dtls", "?", ""),
    row("ebay-base", "ebay", "tcp/80,443", "ssl web-browsing"),
    row("egp", "egp", "ip/8", ""),
    row("eigrp", "eigrp", "ip/88", ""),
    row("etherip", "etherip", "ip/97", ""),
    row("ethernet-ip-base", "", "?", ""),
    row("evernote-base", "", "tcp/80,443", "ssl web-browsing"),
    row("facebook-apps", "", "tcp/80,443", "ssl web-browsing"),
    row("facebook-base", "facebook", "tcp/80,443", "ssl web-browsing"),
    row("facebook-chat", "", "tcp/80,443", "ssl web-browsing"),
    row("facebook-mail", "", "tcp/80,443", "ssl web-browsing"),
    row("facebook-posting", "", "tcp/80,443", "ssl web-browsing"),
    row("facebook-video", "", "tcp/80,443", "ssl web-browsing"),
    row("ftp", "ftp ftp-data ftps", "tcp/21", ""),
    row("git-base", "git", "?", ""),
    row("github-base", "github", "?", "ssl web-browsing"),
    row("github-downloading", "", "?", "ssl web-browsing"),
    row("gitlab-base", "gitlab", "?", "ssl web-browsing"),
    row("gmail-base", "gmail", "tcp/80,443", "ssl web-browsing"),
    row("google-app-engine", "google-cloud", "tcp/80,443", "ssl web-browsing"),
    row("google-base", "google google-services", "tcp/80,443", "ssl web-browsing"),
    row("google-calendar-base", "", "tcp/80,443", "ssl web-browsing"),
    row("google-cloud-storage-base", "google-cloud", "tcp/80,443", "ssl web-browsing"),
    row("google-docs-base", "google-docs", "tcp/80,443", "ssl web-browsing"),
    row("google-drive-web", "google-drive", "tcp/80,443", "ssl web-browsing"),
    row("google-hangouts-base", "", "?", "ssl web-browsing"),
    row("google-maps", "google-maps", "tcp/80,443", "ssl web-browsing"),
    row("google-meet", "google-meet", "?", "ssl web-browsing"),
    row("google-play", "google-play", "tcp/80,443", "ssl web-browsing"),
    row("google-translate-base", "", "tcp/80,443", "ssl web-browsing"),
    row("google-update", "", "tcp/80,443", "ssl web-browsing"),
    row("gre", "gre", "ip/47", ""),
    row("gtp-u", "", "udp/2152", ""),
    row("gtpv1-c", "", "udp/2123", ""),
    row("gtpv2-c", "", "udp/2123", ""),
    row("h.225", "", "tcp/1720", ""),
    row("h.245", "", "?", ""),
    row("h.323", "", "?", ""),
    row("hsrp", "", "udp/1985", ""),
    row("http-audio", "", "tcp/80", "web-browsing"),
    row("http-proxy", "http-proxy", "?", "web-browsing"),
    row("http-video", "", "tcp/80", "web-browsing"),
    row("hulu-base", "hulu", "tcp/80,443", "ssl web-browsing"),
    row("icloud-base", "icloud", "tcp/80,443", "ssl web-browsing"),
    row("icmp", "icmp", "ip/1", ""),
    row("iec-60870-5-104-base", "", "tcp/2404", ""),
    row("igmp", "igmp", "ip/2", ""),
    row("ike", "ike", "udp/500,4500", ""),
    row("imap", "imap imaps", "tcp/143", ""),
    row("instagram-base", "instagram", "tcp/80,443", "ssl web-browsing"),
    row("ip-in-ip", "ipip", "ip/4", ""),
    row("ipsec-ah", "ah", "ip/51", ""),
    row("ipsec-esp", "esp", "ip/50", ""),
    row("ipsec-esp-udp", "ipsec-nat-t", "udp/4500", ""),
    row("ipv6-icmp", "icmpv6", "ip/58", ""),
    row("irc-base", "irc", "?", ""),
    row("itunes-base", "apple", "tcp/80,443", "ssl web-browsing"),
    row("jabber", "xmpp", "?", ""),
    row("jira-base", "atlassian", "tcp/80,443", "ssl web-browsing"),
    row("kerberos", "kerberos", "tcp/88 udp/88", ""),
    row("l2tp", "l2tp", "udp/1701", ""),
    row("ldap", "ldap ldaps", "tcp/389,636,3268,3269 udp/389,3268", ""),
    row("linkedin-base", "linkedin", "tcp/80,443", "ssl web-browsing"),
    row("llmnr", "llmnr", "tcp/5355 udp/5355", ""),
    row("lpd", "", "tcp/515", ""),
    row("mdns", "mdns", "udp/5353", ""),
    row("memcache", "", "tcp/11211 udp/11211", ""),
    row("mgcp", "", "udp/2427,2727", ""),
    row("modbus-base", "modbus", "tcp/502", ""),
    row("modbus-read-holding-registers", "", "tcp/502", "modbus-base"),
    row("modbus-write-single-register", "", "tcp/502", "modbus-base"),
    row("mongodb", "mongodb", "tcp/27017", ""),
    row("mqtt-base", "mqtt", "tcp/1883", ""),
    row("ms-ds-smb", "smb", "tcp/139,445", ""),
    row("ms-ds-smb-base", "smb", "tcp/139,445", ""),
    row("ms-ds-smbv1", "", "tcp/139,445", "ms-ds-smb-base"),
    row("ms-ds-smbv2", "", "tcp/445", "ms-ds-smb-base"),
    row("ms-ds-smbv3", "", "tcp/445", "ms-ds-smb-base"),
    row("ms-exchange", "", "?", ""),
    row("ms-netlogon", "", "?", ""),
    row("ms-office365-base", "microsoft365", "tcp/80,443", "ssl web-browsing"),
    row("ms-onedrive-base", "onedrive", "tcp/80,443", "ssl web-browsing"),
    row("ms-rdp", "rdp", "tcp/3389 udp/3389", ""),
    row("ms-sms", "", "?", ""),
    row("ms-teams", "microsoft-teams", "?", "ssl web-browsing"),
    row("ms-teams-audio-video", "", "?", ""),
    row("ms-update", "windows-update", "tcp/80,443", "ssl web-browsing"),
    row("msrpc", "dcerpc", "tcp/dynamic udp/dynamic", ""),
    row("msrpc-base", "dcerpc", "tcp/dynamic udp/dynamic", ""),
    row("mssql-db", "mssql", "tcp/1433", ""),
    row("mssql-db-base", "mssql", "tcp/1433", ""),
    row("mssql-mon", "", "udp/1434", ""),
    row("mysql", "mysql", "tcp/3306", ""),
    row("netbios-dg", "netbios-datagram", "udp/138", ""),
    row("netbios-ns", "netbios-name", "udp/137", ""),
    row("netbios-ss", "", "tcp/139", ""),
    row("netflix-base", "netflix", "tcp/80,443", "ssl web-browsing"),
    row("netflix-streaming", "", "tcp/80,443", "ssl web-browsing"),
    row("netflow", "netflow", "?", ""),
    row("nfs", "nfs", "tcp/2049 udp/2049", ""),
    row("nntp", "nntp", "tcp/119", ""),
    row("ntp", "ntp", "udp/123", ""),
    row("ntp-base", "ntp", "udp/123", ""),
    row("ocsp", "", "tcp/80", "web-browsing"),
    row("office365-consumer-access", "", "tcp/80,443", "ssl web-browsing"),
    row("office365-enterprise-access", "", "tcp/80,443", "ssl web-browsing"),
    row("okta", "okta", "tcp/80,443", "ssl web-browsing"),
    row("onedrive-base", "", "tcp/80,443", "ssl web-browsing"),
    row("open-vpn", "openvpn", "tcp/443,1194 udp/1194", ""),
    row("openai-base", "openai", "tcp/80,443", "ssl web-browsing"),
    row("openai-chatgpt", "", "tcp/80,443", "ssl web-browsing"),
    row("oracle", "oracle", "tcp/1521", ""),
    row("ospf", "ospf", "ip/89", ""),
    row("ospfigp", "ospf", "ip/89", ""),
    row("outlook-web-online", "outlook", "tcp/80,443", "ssl web-browsing"),
    row("paloalto-updates", "", "tcp/443", "ssl"),
    row("pan-db-cloud", "", "tcp/443", "ssl"),
    row("panorama", "", "tcp/3978", "ssl"),
    row("paypal", "paypal", "tcp/80,443", "ssl web-browsing"),
    row("pgm", "pgm", "ip/113", ""),
    row("pim", "pim", "ip/103", ""),
    row("ping", "ping", "icmp/8", ""),
    row("ping6", "", "icmp6/128", ""),
    row("pinterest-base", "pinterest", "tcp/80,443", "ssl web-browsing"),
    row("pop3", "pop3 pop3s", "tcp/110", ""),
    row("portmapper", "sunrpc", "tcp/111 udp/111", ""),
    row("postgres", "postgresql", "tcp/5432", ""),
    row("pptp", "", "tcp/1723", ""),
    row("quic", "quic", "udp/443", ""),
    row("quic-base", "quic", "udp/443", ""),
    row("radius", "radius", "udp/1645,1646,1812,1813", ""),
    row("reddit-base", "reddit", "tcp/80,443", "ssl web-browsing"),
    row("redis", "redis", "tcp/6379", ""),
    row("rip", "", "udp/520", ""),
    row("rpc-over-http", "", "tcp/80,443", "ssl web-browsing"),
    row("rsh", "", "tcp/514", ""),
    row("rsvp", "rsvp", "ip/46", ""),
    row("rsync", "rsync", "tcp/873", ""),
    row("rtcp", "", "?", ""),
    row("rtmp", "rtmp", "tcp/1935", ""),
    row("rtp", "", "udp/dynamic", ""),
    row("rtp-base", "", "udp/dynamic", ""),
    row("rtsp", "rtsp", "tcp/554", ""),
    row("salesforce-base", "salesforce", "tcp/80,443", "ssl web-browsing"),
    row("sap", "", "?", ""),
    row("sccp", "", "tcp/2000", ""),
    row("sctp", "sctp", "ip/132", ""),
    row("service-now-base", "servicenow", "tcp/80,443", "ssl web-browsing"),
    row("sflow", "sflow", "udp/6343", ""),
    row("sharepoint-base", "", "tcp/80,443", "ssl web-browsing"),
    row("sharepoint-online", "", "tcp/80,443", "ssl web-browsing"),
    row("sip", "sip", "tcp/5060,5061 udp/5060", ""),
    row("skype", "skype", "?", "ssl web-browsing"),
    row("slack-base", "slack", "tcp/80,443", "ssl web-browsing"),
    row("slp", "slp", "tcp/427 udp/427", ""),
    row("smtp", "smtp smtps", "tcp/25,587", ""),
    row("smtp-base", "smtp smtps", "tcp/25,587", ""),
    row("snapchat", "snapchat", "tcp/80,443", "ssl web-browsing"),
    row("snmp", "snmp", "udp/161", ""),
    row("snmp-base", "snmp", "udp/161", ""),
    row("snmp-trap", "", "udp/162", ""),
    row("snmpv1", "", "udp/161", "snmp-base"),
    row("snmpv2", "", "udp/161", "snmp-base"),
    row("snmpv3", "", "udp/161", "snmp-base"),
    row("soap", "", "tcp/80", "web-browsing"),
    row("socks", "socks", "tcp/1080", ""),
    row("soundcloud-base", "soundcloud", "tcp/80,443", "ssl web-browsing"),
    row("spotify", "spotify", "?", "ssl web-browsing"),
    row("ssdp", "ssdp", "udp/1900", ""),
    row("ssh", "ssh", "tcp/22", ""),
    row("ssh-tunnel", "", "tcp/22", "ssh"),
    row("ssl", "tls", "tcp/443", ""),
    row("steam", "steam", "?", "ssl web-browsing"),
    row("stripe", "stripe", "tcp/80,443", "ssl web-browsing"),
    row("stun", "stun", "?", ""),
    row("subversion", "", "?", ""),
    row("syslog", "syslog", "?", ""),
    row("tacacs", "", "tcp/49 udp/49", ""),
    row("tacacs-plus", "", "tcp/49", ""),
    row("teamviewer-base", "teamviewer", "tcp/80,443,5938 udp/5938", "ssl web-browsing"),
    row(
        "teamviewer-remote-control",
        "",
        "tcp/80,443,5938 udp/5938",
        "ssl teamviewer-base web-browsing",
    ),
    row("telegram-base", "telegram", "?", "ssl web-browsing"),
    row("telnet", "telnet", "tcp/23", ""),
    row("tftp", "tftp", "udp/69", ""),
    row("tiktok-base", "tiktok", "tcp/80,443", "ssl web-browsing"),
    row("tor", "", "?", "ssl"),
    row("traceroute", "", "?", ""),
    row("twitch", "twitch", "tcp/80,443", "ssl web-browsing"),
    row("twitter-base", "twitter", "tcp/80,443", "ssl web-browsing"),
    row("twitter-posting", "", "tcp/80,443", "ssl web-browsing"),
    row("unknown-p2p", "", "tcp/dynamic udp/dynamic", ""),
    row("unknown-tcp", "unknown-tcp", "tcp/dynamic", ""),
    row("unknown-udp", "unknown-udp", "udp/dynamic", ""),
    row("vimeo-base", "vimeo", "tcp/80,443", "ssl web-browsing"),
    row("vmware", "", "?", ""),
    row("vnc", "vnc", "?", ""),
    row("vnc-base", "vnc", "?", ""),
    row("vrrp", "vrrp", "ip/112", ""),
    row("vxlan", "", "udp/4789", ""),
    row("web-browsing", "http http2", "tcp/80", ""),
    row("webdav", "", "tcp/80", "web-browsing"),
    row("webex-base", "webex", "?", "ssl web-browsing"),
    row("websocket", "websocket", "tcp/80,443", "web-browsing"),
    row("wechat-base", "wechat", "?", "ssl web-browsing"),
    row("whatsapp-base", "whatsapp", "?", "ssl web-browsing"),
    row("whois", "whois", "tcp/43", ""),
    row("windows-azure-base", "azure", "tcp/80,443", "ssl web-browsing"),
    row("windows-push-notifications", "", "tcp/80,443", "ssl web-browsing"),
    row("windows-remote-management", "", "tcp/5985,5986", "web-browsing"),
    row("wireguard", "wireguard", "udp/51820", ""),
    row("xbox-live", "xbox", "?", "ssl web-browsing"),
    row("yahoo-web-analytics", "", "tcp/80,443", "ssl web-browsing"),
    row("yandex-base", "yandex", "tcp/80,443", "ssl web-browsing"),
    row("youtube-base", "youtube", "tcp/80,443", "ssl web-browsing"),
    row("youtube-streaming", "", "tcp/80,443", "ssl web-browsing"),
    row("zabbix", "", "tcp/10050,10051", ""),
    row("zoom-base", "zoom", "?", "ssl web-browsing"),
    row("zoom-meeting", "", "?", "ssl web-browsing zoom-base"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panos::literal;

    #[test]
    fn the_table_is_ordered_and_every_row_can_be_read() {
        assert!(ALL.is_sorted_by(|a, b| a.name < b.name));
        for row in ALL {
            assert_eq!(Predefined::named(row.name).map(|row| row.name), Some(row.name));
            for ports in row.default_ports().into_iter().flatten() {
                assert!(literal::default_service(ports).is_some(), "{}: {ports}", row.name);
            }
            for parent in row.implicit() {
                assert!(Predefined::named(parent).is_some(), "{}: {parent}", row.name);
            }
        }
    }
}
