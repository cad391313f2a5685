//! The packets of a region, field by field, in words that tables, Markdown and pages share.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Subnets, Ipv6Subnets};
use parefeu_equivalence::{Answer, Family, Field, Finding, Names, ProtocolClass};
use parefeu_net::{Protocol, TcpFlags, Timestamp};
use parefeu_policy::set::Ranges;

use crate::Exact;

/// What a part of a region's description is about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Term {
    /// Where packets enter.
    From,
    /// Where they leave.
    To,
    /// Source addresses.
    Source,
    /// Destination addresses.
    Destination,
    /// The address family, where no address tells it.
    Family,
    /// Protocols by name.
    Protocol,
    /// Every protocol; has no values.
    EveryProtocol,
    /// Every protocol that has neither ports nor ICMP types; has no values.
    Portless,
    /// Source ports.
    SourcePort,
    /// Destination ports.
    Port,
    /// ICMP types and codes.
    Icmp,
    /// Applications as finally identified.
    Application,
    /// A condition that holds.
    If,
    /// A condition that does not hold.
    Unless,
    /// Moments that stand for all that no schedule tells apart from them.
    Time,
    /// Source MAC addresses.
    Device,
    /// TCP flags, each value those that are set and those that are not.
    Flags,
    /// Anything else that is compared, by the name it has in JSON.
    Other,
}

impl Term {
    /// What tables and Markdown call it, in front of the values.
    const fn label(self) -> &'static str {
        match self {
            Self::From => "from ",
            Self::To => "to ",
            Self::Source => "source ",
            Self::Destination => "destination ",
            Self::Family | Self::Protocol | Self::Other => "",
            Self::EveryProtocol => "any protocol",
            Self::Portless => "protocols without ports",
            Self::SourcePort => "source port ",
            Self::Port => "port ",
            Self::Icmp => "type ",
            Self::Application => "application ",
            Self::Time => "at times like ",
            Self::Device => "device ",
            Self::Flags => "flags ",
            Self::If => "if ",
            Self::Unless => "unless ",
        }
    }

    /// The name in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::From => "from",
            Self::To => "to",
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Family => "family",
            Self::Protocol | Self::EveryProtocol | Self::Portless => "protocol",
            Self::SourcePort => "source_port",
            Self::Port => "destination_port",
            Self::Icmp => "icmp",
            Self::Application => "application",
            Self::If | Self::Unless | Self::Time | Self::Device | Self::Flags | Self::Other => {
                "conditions"
            }
        }
    }

    /// Whether the next part goes on in the same line.
    const fn leads(self, next: Option<Self>) -> bool {
        matches!((self, next), (Self::From, Some(Self::To)) | (Self::Family, Some(_)))
    }
}

/// One property of a region's packets, with the values it may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    pub(crate) term: Term,
    pub(crate) values: Vec<String>,
}

/// Everything that tells a region's packets from others; what is not listed is any.
pub(crate) fn parts(finding: &Finding, exact: &Exact<'_>) -> Vec<Part> {
    parts_of(finding, exact.answer)
}

/// The same, for what an answer found.
pub(crate) fn parts_of(finding: &Finding, answer: &Answer) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut put = |term: Term, values: Vec<String>| parts.push(Part { term, values });
    for (term, places) in [(Term::From, &finding.from), (Term::To, &finding.to)] {
        let names = names_of_both(places);
        if !names.is_empty() {
            put(term, names);
        }
    }
    for (term, field) in [(Term::Source, Field::Src), (Term::Destination, Field::Dst)] {
        let every = |texts: &Vec<String>| texts.len() != 1 || !texts[0].ends_with("/0");
        if let Some(texts) = address_texts(finding, &field).filter(every) {
            put(term, texts);
        }
    }
    match finding.family {
        Some(Family::V4) => put(Term::Family, vec!["IPv4".to_owned()]),
        Some(Family::V6) => put(Term::Family, vec!["IPv6".to_owned()]),
        None => {}
    }
    let is_whole = |class: ProtocolClass| {
        finding.sets.get(&Field::Protocol).is_none_or(|set| *set == class.values())
    };
    match finding.protocols {
        None => put(Term::EveryProtocol, Vec::new()),
        Some(class @ ProtocolClass::Other) if is_whole(class) => put(Term::Portless, Vec::new()),
        Some(_) => put(Term::Protocol, protocol_names(finding).unwrap_or_default()),
    }
    let (first, second) = (finding.sets.get(&Field::SrcPort), finding.sets.get(&Field::DstPort));
    if finding.protocols == Some(ProtocolClass::Icmp) {
        if first.is_some() || second.is_some() {
            put(Term::Icmp, icmp_texts(first, second));
        }
    } else {
        for (term, set) in [(Term::SourcePort, first), (Term::Port, second)] {
            if let Some(set) = set {
                put(term, range_texts(set));
            }
        }
    }
    for (field, set) in &finding.sets {
        let holds = if set.contains(1) { Term::If } else { Term::Unless };
        match field {
            Field::Application => {
                put(Term::Application, application_names(set, answer.applications()));
            }
            Field::Category(text) | Field::User(text) | Field::Atom(text) => {
                put(holds, vec![text.to_string()]);
            }
            Field::Time => put(Term::Time, moments(set, answer.moments())),
            Field::Device => put(Term::Device, devices(set)),
            Field::Flags => put(Term::Flags, flag_texts(set)),
            Field::Ingress | Field::Egress | Field::State => {
                let values = range_texts(set).join(" ");
                put(Term::Other, vec![format!("{} {values}", field_name(field))]);
            }
            Field::Src | Field::Dst | Field::Protocol | Field::SrcPort | Field::DstPort => {}
        }
    }
    parts
}

/// The packets of a region in words, a property a line or with another separator in between.
pub(crate) fn in_words(parts: &[Part], separator: &str) -> String {
    let mut text = String::new();
    for (at, part) in parts.iter().enumerate() {
        text.push_str(part.term.label());
        text.push_str(&few(part.values.clone()));
        match parts.get(at + 1).map(|next| next.term) {
            None => {}
            next if part.term.leads(next) => text.push(' '),
            Some(_) => text.push_str(separator),
        }
    }
    text
}

/// The first few of many.
pub(crate) fn few(mut texts: Vec<String>) -> String {
    let more = texts.len().saturating_sub(FEW);
    texts.truncate(FEW);
    match more {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

/// This many addresses, ports or rules are listed in a table.
const FEW: usize = 4;

/// How many packet headers a region holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Size {
    /// Exactly so many.
    Exact(u64),
    /// About this number, at least 1 and less than 10, times ten to this power.
    About(f64, u32),
}

impl Size {
    /// The size of which this is the logarithm to base 2.
    #[expect(clippy::cast_sign_loss, reason = "there is at least one packet: no sign is there")]
    pub(crate) fn of(packets_log2: f64) -> Self {
        if packets_log2 < 20.0 {
            return Self::Exact(packets_log2.exp2().round() as u64);
        }
        let power = packets_log2 * std::f64::consts::LOG10_2;
        let mut exponent = power.floor();
        let mut lead = 10.0_f64.powf(power - exponent);
        // 9.96 would be written with two digits before the point.
        if lead >= 9.95 {
            (lead, exponent) = (1.0, exponent + 1.0);
        }
        Self::About(lead, exponent as u32)
    }
}

/// The names of places on one side; where that side has none, the other one's.
pub(crate) fn names(places: &[Names], side: usize) -> Vec<String> {
    unique(places.iter().filter_map(|names| {
        let name = names[side].as_ref().or(names[0].as_ref()).or(names[1].as_ref());
        name.map(ToString::to_string)
    }))
}

/// The names of places; `old = new` where the sides call one differently.
fn names_of_both(places: &[Names]) -> Vec<String> {
    unique(places.iter().filter_map(|names| match names {
        [Some(old), Some(new)] if old != new => Some(format!("{old} = {new}")),
        [Some(name), _] | [None, Some(name)] => Some(name.to_string()),
        [None, None] => None,
    }))
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// The addresses of a field, as networks and ranges; `None` for every address of both families.
pub(crate) fn address_texts(finding: &Finding, field: &Field) -> Option<Vec<String>> {
    let family = finding.family?;
    let Some(set) = finding.sets.get(field) else {
        let all = if family == Family::V4 { "0.0.0.0/0" } else { "::/0" };
        return Some(vec![all.to_owned()]);
    };
    Some(address_set(set, family))
}

/// Addresses as networks and ranges.
pub(crate) fn address_set(set: &Ranges, family: Family) -> Vec<String> {
    set.as_slice().iter().flat_map(|&(first, last)| networks(first, last, family)).collect()
}

/// A range of addresses: as networks where two are enough.
pub(crate) fn networks(first: u128, last: u128, family: Family) -> Vec<String> {
    let ends = [first, last].map(|bits| address(bits, family));
    let networks: Vec<String> = match ends {
        [IpAddr::V4(first), IpAddr::V4(last)] => {
            Ipv4Subnets::new(first, last, 0).take(3).map(|it| it.to_string()).collect()
        }
        [IpAddr::V6(first), IpAddr::V6(last)] => {
            Ipv6Subnets::new(first, last, 0).take(3).map(|it| it.to_string()).collect()
        }
        _ => Vec::new(),
    };
    if networks.len() <= 2 {
        return networks;
    }
    let [first, last] = ends;
    vec![format!("{first}-{last}")]
}

/// An address from its bits.
pub(crate) fn address(bits: u128, family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(bits as u32).into(),
        Family::V6 => Ipv6Addr::from_bits(bits).into(),
    }
}

/// The protocols; `None` for all of them.
pub(crate) fn protocol_names(finding: &Finding) -> Option<Vec<String>> {
    let all = finding.protocols?.values();
    let set = finding.sets.get(&Field::Protocol).unwrap_or(&all);
    Some(protocol_set(&set.intersection(&all)))
}

/// Protocols by name.
pub(crate) fn protocol_set(set: &Ranges) -> Vec<String> {
    let numbers = set.as_slice().iter().flat_map(|&(first, last)| first..=last);
    numbers.map(|number| Protocol(number as u8).to_string()).collect()
}

/// Numbers as single values and ranges.
pub(crate) fn range_texts(set: &Ranges) -> Vec<String> {
    set.as_slice().iter().map(|&(first, last)| range_text(first, last)).collect()
}

pub(crate) fn range_text(first: u128, last: u128) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Types, each with its codes where not all are meant: `8`, `3/1`, `0-7/0`.
pub(crate) fn icmp_texts(types: Option<&Ranges>, codes: Option<&Ranges>) -> Vec<String> {
    let all = Ranges::span(0, u8::MAX.into());
    let types = range_texts(types.unwrap_or(&all));
    let Some(codes) = codes else { return types };
    let codes = range_texts(codes);
    types.iter().flat_map(|kind| codes.iter().map(move |code| format!("{kind}/{code}"))).collect()
}

/// Applications by name; *other* stands for all that neither side names.
pub(crate) fn application_names(set: &Ranges, names: &[Box<str>]) -> Vec<String> {
    let values = set.as_slice().iter().flat_map(|&(first, last)| first..=last);
    let named = values.filter_map(|value| match value.checked_sub(1) {
        None => Some(OTHER.to_owned()),
        Some(at) => names.get(at as usize).map(ToString::to_string),
    });
    named.collect()
}

/// Moments by their places in a list of them.
fn moments(set: &Ranges, moments: &[Timestamp]) -> Vec<String> {
    let places = set.as_slice().iter().flat_map(|&(first, last)| first..=last);
    places.filter_map(|at| Some(moments.get(at as usize)?.to_string())).collect()
}

/// MAC addresses, and ranges of them.
fn devices(set: &Ranges) -> Vec<String> {
    let device = |bits: u128| {
        let bytes = (bits as u64).to_be_bytes().map(|byte| format!("{byte:02x}"));
        bytes[2..].join(":")
    };
    let text = |&(first, last): &(u128, u128)| {
        if first == last {
            return device(first);
        }
        format!("{}-{}", device(first), device(last))
    };
    set.as_slice().iter().map(text).collect()
}

/// What stands for everything that neither side names.
pub(crate) const OTHER: &str = "other";

/// The flags of RFC 9293 and RFC 3168, those rules ask about most first.
const FLAGS: [(&str, TcpFlags); 8] = [
    ("SYN", TcpFlags::SYN),
    ("ACK", TcpFlags::ACK),
    ("FIN", TcpFlags::FIN),
    ("RST", TcpFlags::RST),
    ("PSH", TcpFlags::PSH),
    ("URG", TcpFlags::URG),
    ("ECE", TcpFlags::ECE),
    ("CWR", TcpFlags::CWR),
];

/// The flags of a segment, by name.
pub(crate) fn flags_set(flags: u8) -> Vec<&'static str> {
    let set = FLAGS.iter().filter(|(_, flag)| TcpFlags(flags).contains(*flag));
    set.map(|(name, _)| *name).collect()
}

/// A set of values of all flags, as those that have some flags and lack others: `ACK !SYN`.
pub(crate) fn flag_texts(set: &Ranges) -> Vec<String> {
    let mut texts = Vec::new();
    put_flags(set, String::new(), (&FLAGS, 0, 0), &mut texts);
    texts
}

/// Those of the values whose flags under the mask are `value`; the flags left may be any.
fn put_flags(
    set: &Ranges,
    text: String,
    (left, mask, value): (&[(&str, TcpFlags)], u8, u8),
    texts: &mut Vec<String>,
) {
    let mut inside = (0..=u8::MAX).filter(|flags| flags & mask == value);
    let first = inside.next().is_some_and(|flags| set.contains(flags.into()));
    let is_uniform = inside.all(|flags| set.contains(flags.into()) == first);
    match left {
        _ if is_uniform && first => texts.push(text),
        [(name, flag), rest @ ..] if !is_uniform => {
            for (sign, set_too) in [("", flag.0), ("!", 0)] {
                let space = if text.is_empty() { "" } else { " " };
                let longer = format!("{text}{space}{sign}{name}");
                put_flags(set, longer, (rest, mask | flag.0, value | set_too), texts);
            }
        }
        _ => {}
    }
}

/// What JSON calls a field without a name of its own.
pub(crate) fn field_name(field: &Field) -> String {
    format!("{field:?}").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_exact_while_it_can_be_read_at_a_glance() {
        for (log2, expected) in [
            (0.0, Size::Exact(1)),
            (3.0_f64.log2(), Size::Exact(3)),
            (19.0, Size::Exact(524_288)),
            (9.96e6_f64.log2(), Size::About(1.0, 7)),
        ] {
            assert_eq!(Size::of(log2), expected);
        }
        let Size::About(lead, power) = Size::of(296.0) else { panic!("it is large") };
        assert_eq!((format!("{lead:.1}"), power), ("1.3".to_owned(), 89));
    }

    #[test]
    fn devices_read_as_mac_addresses() {
        let set = [(0x0002_a5ff_0001, 0x0002_a5ff_0001), (0x0a00_0000_0000, 0x0aff_ffff_ffff)];
        let texts = devices(&set.into_iter().collect());
        assert_eq!(texts, ["00:02:a5:ff:00:01", "0a:00:00:00:00:00-0a:ff:ff:ff:ff:ff"]);
    }

    #[test]
    fn few_values_stand_for_many() {
        let texts = |count: u32| (1..=count).map(|it| it.to_string()).collect::<Vec<_>>();
        assert_eq!(few(texts(4)), "1, 2, 3, 4");
        assert_eq!(few(texts(6)), "1, 2, 3, 4 and 2 more");
    }

    #[test]
    fn words_stand_in_lines_that_belong_together() {
        let part = |term, values: &[&str]| Part {
            term,
            values: values.iter().map(ToString::to_string).collect(),
        };
        let parts = [
            part(Term::From, &["dmz"]),
            part(Term::To, &["outside = untrust"]),
            part(Term::Family, &["IPv4"]),
            part(Term::EveryProtocol, &[]),
            part(Term::Unless, &["a schedule"]),
        ];
        let expected = "from dmz to outside = untrust\nIPv4 any protocol\nunless a schedule";
        assert_eq!(in_words(&parts, "\n"), expected);
    }
}
