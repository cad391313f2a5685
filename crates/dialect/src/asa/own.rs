//! What a configuration says of packets to the firewall itself. It is not judged, and kept to be
//! told.

use std::net::Ipv4Addr;

use parefeu_policy::{At, Span};

use super::definition::Definitions;

/// Who may manage the device, what it serves, ICMP to it, and the access lists that guard it, in
/// order.
pub(super) fn traffic(text: &str, definitions: &Definitions<'_>) -> Vec<At<String>> {
    let mut found = Vec::new();
    let mut guards = Vec::new();
    let mut in_webvpn = false;
    for (line, at) in lines(text) {
        if !line.starts_with([' ', '\t']) {
            in_webvpn = line == "webvpn";
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_mask = |word: &&str| word.parse::<Ipv4Addr>().is_ok();
        match words[..] {
            ["ssh" | "telnet" | "http", address, ref more @ ..]
                if address.contains(':') || more.first().is_some_and(is_mask) => {}
            ["icmp", "permit" | "deny", ..]
            | ["ipv6", "icmp", "permit" | "deny", ..]
            | ["http", "server", "enable", ..]
            | ["snmp-server", "host", ..]
            | ["crypto", "ikev1" | "ikev2" | "isakmp", "enable", ..]
            | ["dhcpd" | "dhcprelay", "enable", ..]
            | ["management-access", ..] => {}
            ["enable", _, ..] if in_webvpn => {}
            ["access-group", list, .., "control-plane"] => guards.push(list),
            _ => continue,
        }
        found.push(At::new(words.join(" "), at));
    }
    for (line, at) in lines(text).filter(|_| !guards.is_empty()) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let ["access-list", name, ref more @ ..] = words[..]
            && guards.contains(&name)
            && more.first() != Some(&"remark")
        {
            found.push(At::new(definitions.qualified(words.join(" "), &more.join(" ")), at));
        }
    }
    found
}

/// The lines of a text, and where they stand.
fn lines(text: &str) -> impl Iterator<Item = (&str, Span)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |whole| {
        let line = whole.trim_end();
        let at = Span { source: 0, start, end: start + line.len() as u32 };
        start += whole.len() as u32;
        (line, at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_manage_the_device_is_kept() {
        let text = "ssh timeout 5\nssh 192.0.2.0 255.255.255.0 inside \nhttp server enable\r\n\
                    http 2001:db8::/64 inside\nicmp unreachable rate-limit 1 burst-size 1\n\
                    icmp deny any outside\naccess-list IN extended permit ip any any\n\
                    access-list CP remark guard\naccess-list CP extended deny ip any any\n\
                    access-group IN in interface outside\n\
                    access-group CP in interface outside control-plane\n";
        let found = traffic(text, &Definitions::new(text));
        let expected = [
            "ssh 192.0.2.0 255.255.255.0 inside",
            "http server enable",
            "http 2001:db8::/64 inside",
            "icmp deny any outside",
            "access-group CP in interface outside control-plane",
            "access-list CP extended deny ip any any",
        ];
        assert!(found.iter().map(|line| &*line.value).eq(expected), "{found:#?}");
        let at = found[0].at;
        assert_eq!(&text[at.start as usize..at.end as usize], expected[0]);
    }
}
