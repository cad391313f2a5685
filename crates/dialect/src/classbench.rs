//! ClassBench filter sets: `@src/len dst/len lo : hi lo : hi protocol/mask flags/mask`, one rule a
//! line.
//!
//! D. E. Taylor and J. S. Turner, "ClassBench: A Packet Classification Benchmark", 2005. Every rule
//! allows and what none matches is denied. Rules are called by their index from 0, which header
//! traces cite. The tool compares ports whatever the protocol; here ports say nothing about
//! protocols that have none, so a rule for any protocol with ports covers protocols with ports
//! only.

use ipnet::IpNet;
use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    Action, AddressItem, AddressMatch, At, Diagnostics, Firewall, Layer, Match, Rule, RuleBase,
    Sees, ServiceItem, ServiceTerm, Source, Sources, Span,
};

/// Reads a filter set. A line that is no rule is an error.
pub(crate) fn read(source: Source) -> (Option<Firewall>, Diagnostics) {
    let mut problems = Diagnostics::default();
    let mut rules = Vec::new();
    let mut offset = 0;
    for raw in source.text().split_inclusive('\n') {
        let line = raw.trim();
        let start = offset + (raw.len() - raw.trim_start().len());
        let at = Span::new(start, start + line.len());
        offset += raw.len();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match rule(line, at, &mut problems) {
            Ok(rule) => rules.push(Rule { name: rules.len().to_string(), ..rule }),
            Err(message) => problems.error("syntax", at, message),
        }
    }
    let at = rules.first().map_or_else(Span::default, |rule: &Rule| rule.at);
    let rule_base = RuleBase { name: NAME.to_owned(), rules, default: None, at };
    let layer = Layer {
        name: NAME.to_owned(),
        rule_base: At::new(NAME.to_owned(), at),
        default: Action::Deny,
        sees_src: Sees::Original,
        sees_dst: Sees::Original,
        before_sessions: false,
    };
    let firewall = Firewall {
        dialect: "classbench",
        sources: Sources::one(source),
        rule_bases: vec![rule_base],
        layers: vec![layer],
        ..Firewall::default()
    };
    (Some(firewall), problems)
}

const NAME: &str = "filters";

fn rule(line: &str, at: Span, problems: &mut Diagnostics) -> Result<Rule, String> {
    let mut words = line.split_ascii_whitespace();
    let mut word = |what: &str| words.next().ok_or_else(|| format!("the line ends before {what}"));
    let src = word("the source")?;
    let src = src.strip_prefix('@').ok_or_else(|| format!("`{src}` does not begin with @"))?;
    let (src, dst) = (network(src)?, network(word("the destination")?)?);
    let mut ports = |side: &str| {
        let (low, colon, high) = (word(side)?, word(side)?, word(side)?);
        let (first, last) = (number(low)?, number(high)?);
        let range = (colon == ":").then(|| PortRange::new(first, last).ok()).flatten();
        range.ok_or_else(|| format!("`{low} {colon} {high}` is no range of ports"))
    };
    let (src_ports, dst_ports) = (ports("the source ports")?, ports("the destination ports")?);
    let (value, mask) = masked(word("the protocol")?)?;
    let mut protocols: ProtocolSet = (0..=u8::MAX)
        .filter(|number| u16::from(*number) & mask == value & mask)
        .map(Protocol)
        .collect();
    let has_ports = src_ports != PortRange::ALL || dst_ports != PortRange::ALL;
    let mut service = None;
    if has_ports {
        protocols = protocols.iter().filter(|protocol| protocol.has_ports()).collect();
        if protocols.is_empty() {
            problems.unsupported("not-modelled", at, "ports of a protocol that has none");
            service = Some(ServiceItem::Unknown(format!("classbench: {line}")));
        }
    }
    let (src_ports, dst_ports) = (PortSet::from(src_ports), PortSet::from(dst_ports));
    let term = ServiceTerm { protocols, src_ports, dst_ports, icmp: None };
    let mut unknown = Vec::new();
    if let Some(flags) = words.next() {
        let (_, mask) = masked(flags)?;
        if mask != 0 {
            // The generator copies these bits from its seed; no document says which header they
            // are.
            problems.unsupported("not-modelled", at, "flag bits are not modelled");
            unknown.push(At::new(format!("flags {flags}"), at));
        }
    }
    if let Some(extra) = words.next() {
        return Err(format!("`{extra}` follows a complete rule"));
    }
    let network = |network| AddressMatch::one(AddressItem::Network(network), at);
    let matches = Match {
        src: network(src),
        dst: network(dst),
        services: vec![At::new(service.unwrap_or(ServiceItem::Term(term)), at)],
        unknown,
        ..Match::default()
    };
    Ok(Rule { at, matches, action: Action::Allow, ..Rule::default() })
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse::<IpNet>().map(|net| net.trunc()).map_err(|_| format!("`{text}` is no prefix"))
}

fn number(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is no port"))
}

/// `0xVALUE/0xMASK`.
fn masked(text: &str) -> Result<(u16, u16), String> {
    let half = |part: &str| {
        let digits = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let halves = text.split_once('/').and_then(|(value, mask)| Some((half(value)?, half(mask)?)));
    halves.ok_or_else(|| format!("`{text}` is no value with a mask"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let (firewall, problems) = read(Source::new("f", line));
        let mut found: Vec<String> = problems
            .iter()
            .map(|problem| format!("{} {}", problem.severity.name(), problem.message))
            .collect();
        for rule in &firewall.unwrap().rule_bases[0].rules {
            let side = |side: &AddressMatch| format!("{:?}", side.items[0].value);
            let service = match &rule.matches.services[0].value {
                ServiceItem::Term(term) => {
                    let count = term.protocols.iter().count();
                    format!("{count} protocols {} {}", term.src_ports, term.dst_ports)
                }
                other => format!("{other:?}"),
            };
            let (src, dst) = (side(&rule.matches.src), side(&rule.matches.dst));
            found.push(format!("{} {src} {dst} {service}", rule.name));
        }
        assert_eq!(found.join("\n"), expected);
    }

    #[test]
    fn a_line_is_a_rule() {
        check(
            "@192.0.2.0/24\t198.51.100.1/32\t0 : 65535\t80 : 90\t0x06/0xFF\t0x0000/0x0000\t\r\n",
            "0 Network(192.0.2.0/24) Network(198.51.100.1/32) 1 protocols any 80-90",
        );
        check(
            "@0.0.0.0/0 0.0.0.0/0 0 : 65535 0 : 65535 0x00/0x00\n\
             @2001:db8::/32 ::/0 1 : 1 0 : 65535 0x00/0x00\n",
            "0 Network(0.0.0.0/0) Network(0.0.0.0/0) 256 protocols any any\n\
             1 Network(2001:db8::/32) Network(::/0) 5 protocols 1 any",
        );
    }

    #[test]
    fn what_is_no_rule_is_an_error() {
        for (line, expected) in [
            ("192.0.2.0/24", "error `192.0.2.0/24` does not begin with @"),
            ("@192.0.2.0/33 ", "error `192.0.2.0/33` is no prefix"),
            ("@192.0.2.0/24", "error the line ends before the destination"),
            ("@::/0 ::/0 2 : 1 ", "error `2 : 1` is no range of ports"),
            ("@::/0 ::/0 0 - 1 ", "error `0 - 1` is no range of ports"),
            ("@::/0 ::/0 0 : 1 0 : 65536", "error `65536` is no port"),
            ("@::/0 ::/0 0 : 1 0 : 1 6", "error `6` is no value with a mask"),
        ] {
            check(line, expected);
        }
    }

    #[test]
    fn what_is_not_modelled_is_reported() {
        check(
            "@::/0 ::/0 0 : 65535 0 : 65535 0x06/0xFF 0x1000/0x1000",
            "unsupported flag bits are not modelled\n\
             0 Network(::/0) Network(::/0) 1 protocols any any",
        );
        check(
            "@::/0 ::/0 0 : 65535 9 : 9 0x2f/0xFF",
            "unsupported ports of a protocol that has none\n\
             0 Network(::/0) Network(::/0) \
             Unknown(\"classbench: @::/0 ::/0 0 : 65535 9 : 9 0x2f/0xFF\")",
        );
    }
}
