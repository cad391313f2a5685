//! Statements that cannot change what is forwarded, and those that can but are not modelled.

/// First words of statements about managing the device, logging, high availability, VPN
/// termination, traffic to the device itself, and the shape of the running configuration.
///
/// `service resetinbound` and its kin decide whether a refusal is answered, not whether it is one.
/// The lines inside such a statement are passed over with it.
const IGNORED: &[&str] = &[
    "aaa-server",
    "anyconnect",
    "app-agent",
    "arp",
    "asdm",
    "asp",
    "auth-prompt",
    "auto-update",
    "banner",
    "boot",
    "ca",
    "call-home",
    "checkheaps",
    "class-map",
    "cluster",
    "community-list",
    "compression",
    "config-register",
    "configure",
    "console",
    "coredump",
    "crashinfo",
    "crypto",
    "ctl-file",
    "ctl-provider",
    "cts",
    "ddns",
    "dhcp-client",
    "dhcpd",
    "dhcprelay",
    "dns",
    "dns-group",
    "dns-group-map",
    "dns-guard",
    "domain-name",
    "dp-tcp-proxy",
    "dynamic-access-policy-record",
    "eject",
    "enable",
    "end",
    "event",
    "exit",
    "failover",
    "feature",
    "fips",
    "flow-export",
    "flow-offload",
    "fragment",
    "ftp",
    "gdb",
    "group-policy",
    "hpm",
    "http",
    "hw-module",
    "icmp",
    "igmp",
    "imap4s",
    "interface-policy",
    "ip-client",
    "isakmp",
    "jumbo-frame",
    "kerberos",
    "key",
    "l2tp",
    "lacp",
    "ldap",
    "lisp",
    "locale",
    "logging",
    "login-history",
    "mac-address",
    "management-access",
    "media-termination",
    "memberof",
    "memory",
    "migration",
    "monitor-interface",
    "mroute",
    "mtu",
    "multicast",
    "multicast-routing",
    "name",
    "names",
    "ntp",
    "nve",
    "object-group-search",
    "page",
    "pager",
    "passwd",
    "password",
    "password-policy",
    "phone-proxy",
    "pim",
    "pop3s",
    "prefix-list",
    "privilege",
    "process",
    "prompt",
    "quit",
    "quota",
    "radius",
    "regex",
    "remark",
    "resource",
    "rest-api",
    "route-map",
    "saml",
    "scansafe",
    "security-group",
    "service",
    "service-module",
    "sla",
    "smart-tunnel",
    "smtp-server",
    "smtps",
    "snmp",
    "snmp-map",
    "snmp-server",
    "software",
    "ssh",
    "ssl",
    "sysopt",
    "tcp-map",
    "telnet",
    "terminal",
    "terminal-width",
    "tftp-server",
    "threat-detection",
    "tls-proxy",
    "track",
    "tunnel-group",
    "tunnel-group-map",
    "umbrella-global",
    "user-identity",
    "user-statistics",
    "username",
    "virtual",
    "vpdn",
    "vpn",
    "vpn-addr-assign",
    "vpn-load-balancing",
    "vpn-sessiondb",
    "vpn-simultaneous-logins",
    "vpnclient",
    "vpnsetup",
    "wccp",
    "webvpn",
    "write",
    "xlate",
];

/// Whether a statement with this first word is passed over.
pub(super) fn is_ignored(first: &str) -> bool {
    IGNORED.binary_search(&first).is_ok() || first.starts_with("Cryptochecksum:")
}

/// Whether a line is of a recorded session: a prompt, such as `fw/act#`, alone or with a command
/// that shows something. One of the configuration mode may change what the text says.
pub(super) fn is_prompt(first: &str, second: &str) -> bool {
    let name = first.strip_suffix(['#', '>']);
    let shows = ["", "enable", "exit", "more", "pager", "sh", "show", "terminal"].contains(&second);
    shows && name.is_some_and(|name| !name.is_empty() && !name.ends_with(')'))
}

/// Whether `no` before these words takes away what decides on packets.
pub(super) fn takes_away(first: &str, second: &str) -> bool {
    match first {
        "access-list"
        | "access-group"
        | "class-map"
        | "interface"
        | "name"
        | "nat"
        | "object"
        | "object-group"
        | "policy-map"
        | "route"
        | "route-map"
        | "same-security-traffic"
        | "service-policy"
        | "shun"
        | "time-range" => true,
        "crypto" => matches!(second, "map" | "dynamic-map"),
        "ipv6" if second == "route" => true,
        _ => not_modelled(first, second, "").is_some(),
    }
}

/// Why a statement that changes what is forwarded is not modelled: a stable code and a message.
pub(super) fn not_modelled(
    first: &str,
    second: &str,
    third: &str,
) -> Option<(&'static str, &'static str)> {
    Some(match (first, second) {
        ("static" | "global" | "nat-control" | "alias" | "conduit" | "outbound" | "fixup", _) => {
            ("before-8.3", "translation and filters as written before release 8.3 are not modelled")
        }
        ("router", _) => ("dynamic-routing", "routes learnt by a routing protocol are not known"),
        ("established", _) => {
            ("not-modelled", "return connections by `established` are not modelled")
        }
        ("firewall", "transparent") => ("not-modelled", "transparent mode is not modelled"),
        ("mode" | "context" | "admin-context" | "allocate-interface" | "config-url", _) => {
            ("not-modelled", "security contexts are not modelled")
        }
        ("ip", "verify") => ("not-modelled", "reverse path verification is not modelled"),
        ("ip", "audit") => ("not-modelled", "intrusion signatures of `ip audit` are not modelled"),
        ("ipv6", "access-list") => {
            ("before-9.0", "IPv6 access lists as written before release 9.0 are not modelled")
        }
        ("aaa", "authentication" | "authorization" | "accounting")
            if matches!(third, "match" | "include" | "exclude") =>
        {
            ("not-modelled", "authentication of passing traffic is not modelled")
        }
        ("url-server" | "url-block" | "url-cache" | "filter", _) => {
            ("not-modelled", "URL filtering by a server is not modelled")
        }
        ("fragment", "chain") => {
            ("not-modelled", "how many fragments a datagram may have is not modelled")
        }
        ("wccp", _) if third == "redirect" || second == "interface" => {
            ("not-modelled", "redirection to a web cache is not modelled")
        }
        ("scansafe", _) => ("not-modelled", "filtering by a web proxy is not modelled"),
        ("dynamic-filter", _) => ("not-modelled", "the botnet traffic filter is not modelled"),
        ("zone", _) => ("not-modelled", "traffic zones are not modelled"),
        ("arp-inspection" | "mac-learn" | "mac-address-table" | "mac-list", _) => {
            ("not-modelled", "filters on frames are not modelled")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ignored_words_are_sorted() {
        assert!(IGNORED.is_sorted());
    }
}
