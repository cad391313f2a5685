//! IP protocol numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: Self = Self(1);
    /// IGMP (RFC 3376).
    pub const IGMP: Self = Self(2);
    /// IPv4 in IP (RFC 2003).
    pub const IPIP: Self = Self(4);
    /// TCP (RFC 9293).
    pub const TCP: Self = Self(6);
    /// UDP (RFC 768).
    pub const UDP: Self = Self(17);
    /// IPv6 in IPv4 (RFC 4213).
    pub const IPV6: Self = Self(41);
    /// GRE (RFC 2784).
    pub const GRE: Self = Self(47);
    /// IPsec ESP (RFC 4303).
    pub const ESP: Self = Self(50);
    /// IPsec AH (RFC 4302).
    pub const AH: Self = Self(51);
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: Self = Self(58);
    /// SCTP (RFC 9260).
    pub const SCTP: Self = Self(132);

    /// Whether the header carries source and destination ports at its start (TCP, UDP, DCCP, SCTP,
    /// UDP-Lite).
    pub const fn has_ports(self) -> bool {
        matches!(self.0, 6 | 17 | 33 | 132 | 136)
    }

    /// Whether this is ICMP of either family.
    pub const fn is_icmp(self) -> bool {
        matches!(self.0, 1 | 58)
    }

    /// The IANA keyword in lower case, where firewalls commonly name the protocol.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(number, _)| *number == self.0).map(|(_, name)| *name)
    }

    /// The protocol a configuration names, by IANA keyword (any case) or decimal number.
    pub fn from_name(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<u8>() {
            return Some(Self(number));
        }
        let lower = text.to_ascii_lowercase();
        let alias = match lower.as_str() {
            "ipv6-icmp" | "icmp6" => "icmpv6",
            "ipip" | "ipencap" => "ipv4",
            other => other,
        };
        NAMES.iter().find(|(_, name)| *name == alias).map(|(number, _)| Self(*number))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// IANA keywords (lower case), the ones firewall configurations name.
const NAMES: &[(u8, &str)] = &[
    (0, "hopopt"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipv4"),
    (6, "tcp"),
    (8, "egp"),
    (9, "igp"),
    (17, "udp"),
    (27, "rdp"),
    (33, "dccp"),
    (41, "ipv6"),
    (43, "ipv6-route"),
    (44, "ipv6-frag"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (59, "ipv6-nonxt"),
    (60, "ipv6-opts"),
    (88, "eigrp"),
    (89, "ospf"),
    (94, "nos"),
    (97, "etherip"),
    (103, "pim"),
    (108, "pcp"),
    (112, "vrrp"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
    (137, "mpls-in-ip"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_round_trip() {
        for &(number, name) in NAMES {
            assert_eq!(Protocol::from_name(name), Some(Protocol(number)), "{name}");
            assert_eq!(Protocol(number).to_string(), name);
        }
        assert_eq!(Protocol::from_name("ICMP6"), Some(Protocol::ICMPV6));
        assert_eq!(Protocol::from_name("253"), Some(Protocol(253)));
        assert_eq!(Protocol::from_name("256"), None);
        assert_eq!(Protocol(253).to_string(), "253");
    }
}
