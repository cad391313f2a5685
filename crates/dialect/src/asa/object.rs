//! The lines inside `object` and `object-group`.

use parefeu_net::{PortRange, Protocol};
use parefeu_policy::{AddressItem, At, ServiceItem};

use super::config::{IcmpType, Member, Names};
use super::line::{Parsed, Refusal, Words};
use super::{names, term};

/// A line of `object network`, without `nat`; `None` for a description.
pub(super) fn network_object(
    names: &Names<'_>,
    words: &mut Words<'_>,
) -> Parsed<Option<At<AddressItem>>> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    let item = match word.text {
        "description" => return Ok(None),
        "host" => term::host(names, words)?,
        "subnet" => AddressItem::Network(term::network(names, words)?),
        "range" => term::range(names, words)?,
        "fqdn" => {
            // `v4` or `v6` narrows which records are used; the atom keeps it.
            let mut text = "fqdn".to_owned();
            let mut name = words.expect("a domain name")?;
            if matches!(name.text, "v4" | "v6") {
                text = format!("fqdn {}", name.text);
                name = words.expect("a domain name")?;
            }
            AddressItem::Unknown(format!("{text} {}", name.text.to_ascii_lowercase()))
        }
        _ => return Err(Refusal::unexpected(word)),
    };
    words.finish()?;
    Ok(Some(At::new(item, at)))
}

/// A line of `object-group network`; `None` for a description.
pub(super) fn network_member(
    names: &Names<'_>,
    words: &mut Words<'_>,
) -> Parsed<Option<At<AddressItem>>> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    let item = match word.text {
        "description" => return Ok(None),
        "group-object" => AddressItem::Object(words.expect("a group")?.text.to_owned()),
        "network-object" => match words.peek_text() {
            "host" => {
                words.next();
                term::host(names, words)?
            }
            "object" => {
                words.next();
                AddressItem::Object(words.expect("an object")?.text.to_owned())
            }
            _ => AddressItem::Network(term::network(names, words)?),
        },
        _ => return Err(Refusal::unexpected(word)),
    };
    words.finish()?;
    Ok(Some(At::new(item, at)))
}

/// A line of `object service`; `None` for a description.
pub(super) fn service_object(words: &mut Words<'_>) -> Parsed<Option<At<ServiceItem>>> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    match word.text {
        "description" => Ok(None),
        "service" => Ok(Some(At::new(term::service(words)?, at))),
        _ => Err(Refusal::unexpected(word)),
    }
}

/// A line of `object-group service` without a protocol; `None` for a description.
pub(super) fn service_member(words: &mut Words<'_>) -> Parsed<Option<At<ServiceItem>>> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    let item = match word.text {
        "description" => return Ok(None),
        "group-object" => ServiceItem::Object(words.expect("a group")?.text.to_owned()),
        "service-object" if words.peek_text() == "object" => {
            words.next();
            ServiceItem::Object(words.expect("an object")?.text.to_owned())
        }
        "service-object" => return Ok(Some(At::new(term::service(words)?, at))),
        _ => return Err(Refusal::unexpected(word)),
    };
    words.finish()?;
    Ok(Some(At::new(item, at)))
}

/// The members one line of a simple group adds: a line with a set of ports adds one a range.
pub(super) type Members<T> = Parsed<Vec<At<Member<T>>>>;

/// A line of `object-group service` with a protocol.
pub(super) fn port_members(words: &mut Words<'_>) -> Members<PortRange> {
    let at = words.line().at;
    simple(words, "port-object", |words| {
        let ports = term::port_operator(words)?;
        let Some(ports) = ports else { return Err(Refusal::unexpected(words.expect("ports")?)) };
        Ok(ports.ranges().iter().map(|range| At::new(Member::Value(*range), at)).collect())
    })
}

/// A line of `object-group protocol`.
pub(super) fn protocol_members(words: &mut Words<'_>) -> Members<Protocol> {
    let at = words.line().at;
    simple(words, "protocol-object", |words| {
        let word = words.expect("a protocol")?;
        let set = term::protocol_set(word)?;
        Ok(set.iter().map(|protocol| At::new(Member::Value(protocol), at)).collect())
    })
}

/// A line of `object-group icmp-type`.
pub(super) fn icmp_members(words: &mut Words<'_>) -> Members<IcmpType> {
    let at = words.line().at;
    simple(words, "icmp-object", |words| {
        let word = words.expect("an ICMP type")?;
        let kind = names::icmp_type(Protocol::ICMP, word.text);
        let kind = kind.ok_or_else(|| Refusal::is_no(word, "ICMP type"))?;
        Ok(vec![At::new(Member::Value(IcmpType { kind, code: None }), at)])
    })
}

/// A line of `object-group user`.
pub(super) fn user_members(words: &mut Words<'_>) -> Members<String> {
    let at = words.line().at;
    let keyword = if words.peek_text() == "user-group" { "user-group" } else { "user" };
    simple(words, keyword, |words| {
        let name = words.expect("a user")?.text.to_owned();
        Ok(vec![At::new(Member::Value(name), at)])
    })
}

/// `description`, `group-object` or the keyword of the group.
fn simple<'a, T>(
    words: &mut Words<'a>,
    keyword: &str,
    parse: impl FnOnce(&mut Words<'a>) -> Members<T>,
) -> Members<T> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    let members = match word.text {
        "description" => return Ok(Vec::new()),
        "group-object" => {
            vec![At::new(Member::Group(words.expect("a group")?.text.to_owned()), at)]
        }
        text if text == keyword => parse(words)?,
        _ => return Err(Refusal::unexpected(word)),
    };
    words.finish()?;
    Ok(members)
}
