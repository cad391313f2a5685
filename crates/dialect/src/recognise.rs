//! Which dialect a text is written in, by its content.

use std::fmt;

/// The configuration languages that can be read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dialect {
    /// Cisco ASA 8.3 or later, `show running-config`.
    Asa,
    /// ClassBench filter sets, one rule a line.
    Classbench,
    /// `iptables-save` and `ip6tables-save`.
    Iptables,
    /// Palo Alto Networks PAN-OS: XML, `set` commands or the bracketed form.
    Panos,
    /// The native TOML format.
    Parefeu,
}

impl Dialect {
    /// Every dialect, in the order help lists them.
    pub const ALL: [Self; 5] =
        [Self::Asa, Self::Classbench, Self::Iptables, Self::Panos, Self::Parefeu];

    /// The name options use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asa => "asa",
            Self::Classbench => "classbench",
            Self::Iptables => "iptables",
            Self::Panos => "panos",
            Self::Parefeu => "parefeu",
        }
    }

    /// The dialect called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The dialect of a text; `None` when nothing in it is decisive.
///
/// The first line that only one dialect writes decides. Related languages that are not read (Cisco
/// IOS, Junos, FortiOS, pf, nftables) are told apart rather than guessed at. Linear in the length.
pub fn recognise(text: &str) -> Option<Dialect> {
    let start = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    if start.starts_with('<') {
        return is_panos_xml(start).then_some(Dialect::Panos);
    }
    for line in text.lines() {
        match judge_line(line) {
            Sign::Nothing => {}
            Sign::Is(dialect) => return Some(dialect),
            Sign::Foreign => return None,
        }
    }
    None
}

/// What one line tells.
enum Sign {
    /// Nothing: comments, or words several languages share.
    Nothing,
    /// Only this dialect writes such a line.
    Is(Dialect),
    /// Only a language that is not read writes such a line.
    Foreign,
}

fn judge_line(line: &str) -> Sign {
    let indented = line.starts_with([' ', '\t']);
    let mut words = line.trim_start_matches('\u{feff}').split_ascii_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let words = [word(), word(), word(), word()];
    let [first, second, ..] = words;
    if first.starts_with("[[") && first.ends_with("]]") {
        return Sign::Is(Dialect::Parefeu);
    }
    if first.starts_with('@') && first.contains('/') && second.contains('/') {
        return Sign::Is(Dialect::Classbench);
    }
    if is_iptables(first, second) {
        return Sign::Is(Dialect::Iptables);
    }
    if is_asa(words) {
        return Sign::Is(Dialect::Asa);
    }
    if is_panos_bracketed(first, second) || (!indented && is_panos_set(words)) {
        return Sign::Is(Dialect::Panos);
    }
    if is_foreign(words) { Sign::Foreign } else { Sign::Nothing }
}

fn is_iptables(first: &str, second: &str) -> bool {
    match first {
        "*filter" | "*nat" | "*mangle" | "*raw" | "*security" => second.is_empty(),
        "-A" | "-P" | "-N" | "-I" => !second.is_empty(),
        "iptables" | "ip6tables" => second.starts_with('-'),
        _ => false,
    }
}

fn is_asa([first, second, third, fourth]: [&str; 4]) -> bool {
    match first {
        "ASA" | "PIX" | "NGFW" => second == "Version",
        "access-list" => {
            // IOS writes numbers only, and neither of these keywords.
            let named = second.parse::<u32>().is_err();
            match third {
                "extended" | "standard" | "webtype" | "ethertype" => true,
                "remark" | "line" | "permit" | "deny" => named,
                _ => false,
            }
        }
        "clear" => second == "configure" && third == "access-list",
        "object" => matches!(second, "network" | "service") && !third.is_empty(),
        "access-group" => {
            matches!(third, "in" | "out") && fourth == "interface" || third == "global"
        }
        "same-security-traffic" => second == "permit",
        "security-level" => second.parse::<u8>().is_ok(),
        "nameif" => !second.is_empty() && third.is_empty(),
        _ => false,
    }
}

fn is_panos_set([first, second, third, fourth]: [&str; 4]) -> bool {
    if first != "set" {
        return false;
    }
    match second {
        "deviceconfig" | "mgt-config" | "rulebase" | "pre-rulebase" | "post-rulebase" => true,
        "vsys" | "shared" | "device-group" | "template" | "template-stack" => !third.is_empty(),
        "address" | "address-group" | "service-group" | "application-group" | "external-list" => {
            !fourth.is_empty()
        }
        "network" => matches!(
            third,
            "interface"
                | "virtual-router"
                | "profiles"
                | "ike"
                | "tunnel"
                | "virtual-wire"
                | "vlan"
        ),
        "zone" => fourth == "network",
        "service" => matches!(fourth, "protocol" | "description" | "tag"),
        _ => false,
    }
}

fn is_panos_bracketed(first: &str, second: &str) -> bool {
    let opens = second == "{" || (second.is_empty() && first.ends_with('{'));
    let words = ["config", "deviceconfig", "mgt-config", "rulebase", "localhost.localdomain"];
    opens && words.contains(&first.trim_end_matches('{'))
}

fn is_foreign([first, second, third, _]: [&str; 4]) -> bool {
    match first {
        // FortiOS.
        "config" => !matches!(second, "" | "{"),
        // IOS, NX-OS, EOS, IOS-XR.
        "ip" | "ipv4" | "ipv6" => second == "access-list",
        "no" => matches!(second, "ip" | "ipv4" | "ipv6") && third == "access-list",
        // Junos.
        "set" => matches!(second, "security" | "interfaces" | "firewall" | "routing-options"),
        "security" | "firewall" | "routing-options" => second == "{",
        // nftables, pf.
        "table" => matches!(second, "ip" | "ip6" | "inet") || second.starts_with('<'),
        "netsh" => second == "advfirewall",
        _ => false,
    }
}

/// Whether XML is PAN-OS: a `config` root with what only PAN-OS puts there, or an API answer with
/// it.
fn is_panos_xml(text: &str) -> bool {
    let Some((name, tag)) = root_element(text) else { return false };
    match name {
        "config" => {
            let known = ["urldb=", "detail-version="];
            known.iter().any(|word| tag.contains(word)) || has_panos_element(text)
        }
        "response" => text.contains("<config") && has_panos_element(text),
        _ => false,
    }
}

fn has_panos_element(text: &str) -> bool {
    ["<vsys>", "<rulebase>", "<deviceconfig>", "<mgt-config>", "localhost.localdomain"]
        .iter()
        .any(|element| text.contains(element))
}

/// Name and whole opening tag of the root element.
fn root_element(text: &str) -> Option<(&str, &str)> {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let after = if let Some(body) = rest.strip_prefix("<!--") {
            body.split_once("-->")
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            rest.split_once('>')
        } else {
            break;
        };
        rest = after?.1;
    }
    let (tag, _) = rest.strip_prefix('<')?.split_once('>')?;
    let name = tag.split(|c: char| c.is_ascii_whitespace() || c == '/').next()?;
    Some((name, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(recognise(text).map(Dialect::name), expected, "{text}");
    }

    #[test]
    fn each_dialect_is_known_by_one_line() {
        for (text, expected) in [
            ("! made by hand\naccess-list 101 extended permit ip any any", "asa"),
            (": Saved\n:\nASA Version 9.14(4)24\n", "asa"),
            ("interface Vlan1\n nameif inside\n", "asa"),
            ("clear configure access-list x\nfoo", "asa"),
            ("object network A\r\n host 192.0.2.1\r\n", "asa"),
            ("@192.0.2.0/24\t198.51.100.0/24\t0 : 65535\t80 : 80\t0x06/0xFF\t", "classbench"),
            ("# Generated by iptables-save\n*filter\n", "iptables"),
            ("-P FORWARD DROP\n", "iptables"),
            ("<?xml version=\"1.0\"?>\n<!-- > -->\n<config version=\"10\" urldb=\"x\">", "panos"),
            ("<response status=\"success\"><result><config><mgt-config>", "panos"),
            ("# by hand\nset address web ip-netmask 192.0.2.1\n", "panos"),
            ("!RANCID\nset network interface ethernet ethernet1/1\n", "panos"),
            ("config {\n  mgt-config {\n", "panos"),
            ("[[rule_base]]\nname = \"a\"\n", "parefeu"),
        ] {
            check(text, Some(expected));
        }
    }

    #[test]
    fn related_languages_are_not_mistaken() {
        for text in [
            "",
            "\u{feff}",
            "hello\nworld",
            "<pfsense>\n<version>1</version>",
            "<opnsense>",
            "<config>\n<system/>",
            "<",
            "<!--",
            "access-list 101 permit ip any any",
            "no ip access-list extended a\nip access-list extended a\n permit ip any any",
            "config firewall policy\n    edit 1\n        set service \"ALL\"\n",
            "set security policies from-zone a to-zone b policy c match source-address any",
            "security {\n    zones {",
            "table ip filter {\n",
            "table <a> {10.0.0.0/8}\npass in",
            "Chain INPUT (policy ACCEPT)\n",
            "[edit]\nfoo@bar#\n",
            "{\"rules\": []}",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn names_round_trip() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::from_name(&dialect.to_string()), Some(dialect));
        }
        assert_eq!(Dialect::from_name("ASA"), None);
    }
}
