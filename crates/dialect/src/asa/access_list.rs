//! `access-list` and `access-group` lines.

use parefeu_policy::{Action, AddressItem, At, Span};

use super::config::{
    AccessGroup, AccessPlace, Ace, AceService, Member, Names, Protocols, ServiceSpec,
};
use super::line::{Parsed, Refusal, Words, normalised};
use super::term;

/// What an `access-list NAME` line adds.
#[derive(Debug)]
pub(super) enum Addition {
    /// A comment.
    Remark(String),
    /// A rule.
    Rule(Box<Ace>),
    /// Nothing that filters packets: a list for web pages, a logging limit.
    Nothing,
    /// A line of a list for frames, and whether it denies those of IP.
    Frames(bool),
    /// A rule that is not understood: it matches perhaps.
    Unknown(Box<Ace>, Refusal),
    /// Neither a rule nor understood.
    Refused(Refusal),
}

/// The place a line asks for (`line N`), and what it adds. `words` begins after the list's name.
pub(super) fn access_list(names: &Names<'_>, words: &mut Words<'_>) -> (Option<u32>, Addition) {
    let mut position = None;
    if words.accept("line") {
        position = words.next().and_then(|word| word.text.parse().ok());
        if position.is_none() {
            let at = words.line().at;
            let message = "a line number is expected after `line`".to_owned();
            return (None, Addition::Refused(Refusal { at, message }));
        }
    }
    let addition = match words.peek_text() {
        "remark" => {
            words.next();
            Addition::Remark(words.rest().to_owned())
        }
        "webtype" => Addition::Nothing,
        "ethertype" => {
            words.next();
            Addition::Frames(denies_ip(words))
        }
        "standard" => {
            words.next();
            rule(names, words, |words| standard(names, words))
        }
        "extended" | "permit" | "deny" => {
            words.accept("extended");
            rule(names, words, |words| extended(names, words))
        }
        _ => {
            let message = "this kind of access list is not understood".to_owned();
            Addition::Refused(Refusal { at: words.line().at, message })
        }
    };
    (position, addition)
}

/// Whether a line for frames denies those of IP: "if you explicitly deny all traffic with an
/// EtherType ACE, then IP and ARP traffic is denied", which the implicit deny at the end does not
/// do (CLI guide, "EtherType ACLs").
fn denies_ip(words: &mut Words<'_>) -> bool {
    let types = ["any", "arp", "0800", "800", "0806", "806", "86dd"];
    let is_denied = words.accept("deny");
    let kind = words.peek_text().to_ascii_lowercase();
    is_denied && types.contains(&kind.strip_prefix("0x").unwrap_or(&kind))
}

fn rule<'a>(
    names: &Names<'_>,
    words: &mut Words<'a>,
    parse: impl FnOnce(&mut Words<'a>) -> Parsed<Ace>,
) -> Addition {
    let at = words.line().at;
    let said = words.rest();
    let action = match words.next().map(|word| word.text) {
        Some("permit") => Action::Allow,
        Some("deny") => Action::Deny,
        _ => {
            let message = "`permit` or `deny` is expected".to_owned();
            return Addition::Refused(Refusal { at, message });
        }
    };
    match parse(words) {
        Ok(ace) => Addition::Rule(Box::new(Ace { action, ..ace })),
        Err(refusal) => {
            let atom = format!("asa: {}", normalised(words.line().text));
            let atoms = vec![At::new(names.definitions.qualified(atom, said), at)];
            Addition::Unknown(Box::new(Ace { action, atoms, ..blank(at) }), refusal)
        }
    }
}

/// An entry that matches everything.
fn blank(at: Span) -> Ace {
    let any = At::new(AddressItem::Any, at);
    let (src, dst, icmp) =
        (super::config::Ports::Any, super::config::Ports::Any, super::config::IcmpTypes::Any);
    let spec = ServiceSpec { protocols: Protocols::Any, src, dst, icmp };
    Ace {
        at,
        action: Action::Deny,
        service: AceService::Spec(spec),
        src: any.clone(),
        dst: any,
        users: Vec::new(),
        atoms: Vec::new(),
        log: false,
        inactive: false,
        time_range: None,
    }
}

/// A standard list names destinations only (command reference, `access-list standard`).
fn standard(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Ace> {
    let at = words.line().at;
    let dst = term::address(names, words)?;
    words.finish()?;
    Ok(Ace { dst, ..blank(at) })
}

fn extended(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Ace> {
    let mut ace = blank(words.line().at);
    ace.service = term::protocols(names, words)?;
    users(words, &mut ace)?;
    security_group(names, "source", words, &mut ace)?;
    ace.src = term::address(names, words)?;
    if let AceService::Spec(spec) = &mut ace.service
        && has_ports(spec)
    {
        spec.src = term::ports(names, words)?;
    }
    security_group(names, "destination", words, &mut ace)?;
    ace.dst = term::address(names, words)?;
    if let AceService::Spec(spec) = &mut ace.service {
        if has_ports(spec) {
            spec.dst = term::ports(names, words)?;
        }
        if let Protocols::Of(protocols) = spec.protocols
            && let Some(protocol) = protocols.iter().next().filter(|it| it.is_icmp())
        {
            spec.icmp = term::icmp_types(names, protocol, words)?;
        }
    }
    options(words, &mut ace)?;
    words.finish()?;
    Ok(ace)
}

/// Whether ports may follow an address of the entry.
fn has_ports(spec: &ServiceSpec) -> bool {
    match &spec.protocols {
        Protocols::Any => false,
        Protocols::Of(protocols) => protocols.iter().all(parefeu_net::Protocol::has_ports),
        Protocols::Group(_) => true,
    }
}

/// `user`, `user-group` and `object-group-user` conditions.
fn users(words: &mut Words<'_>, ace: &mut Ace) -> Parsed<()> {
    while let Some(word) = words.peek() {
        let group = match word.text {
            "user" | "user-group" => false,
            "object-group-user" => true,
            _ => return Ok(()),
        };
        words.next();
        let name = words.expect("a user")?;
        // Not users of that name: "any to match all users with user credentials, or none to match
        // addresses that are not mapped to usernames" (firewall CLI guide, "Access Control Lists").
        let text = match (word.text, name.text) {
            ("user", "any") => "known-user",
            ("user", "none") => "unknown",
            (_, text) => text,
        };
        let text = text.to_owned();
        let member = if group { Member::Group(text) } else { Member::Value(text) };
        ace.users.push(At::new(member, name.at));
    }
    Ok(())
}

/// `security-group {name N | tag N}` and `object-group-security N`: tags of Cisco TrustSec.
fn security_group(
    names: &Names<'_>,
    side: &str,
    words: &mut Words<'_>,
    ace: &mut Ace,
) -> Parsed<()> {
    while let Some(word) = words.peek() {
        let text = match word.text {
            "security-group" => {
                words.next();
                let kind = words.expect("`name` or `tag`")?;
                format!("{} {}", kind.text, words.expect("a security group")?.text)
            }
            "object-group-security" => {
                words.next();
                format!("group {}", words.expect("a security group")?.text)
            }
            _ => return Ok(()),
        };
        let text = format!("{side} security-group {text}");
        ace.atoms.push(At::new(names.definitions.qualified(text.clone(), &text), word.at));
    }
    Ok(())
}

/// `log …`, `inactive` and `time-range NAME`, in any order.
fn options(words: &mut Words<'_>, ace: &mut Ace) -> Parsed<()> {
    loop {
        match words.peek_text() {
            "log" => {
                words.next();
                ace.log = true;
                while let Some(word) = words.peek() {
                    match word.text {
                        "disable" => ace.log = false,
                        "inactive" | "time-range" => break,
                        "interval" => {
                            words.next();
                        }
                        "default" => {}
                        level if is_log_level(level) => {}
                        _ => return Err(Refusal::unexpected(word)),
                    }
                    words.next();
                }
            }
            "inactive" => {
                words.next();
                ace.inactive = true;
            }
            "time-range" => {
                words.next();
                let name = words.expect("a time range")?;
                ace.time_range = Some(At::new(name.text.to_owned(), name.at));
            }
            _ => return Ok(()),
        }
    }
}

fn is_log_level(text: &str) -> bool {
    let names = [
        "emergencies",
        "alerts",
        "critical",
        "errors",
        "warnings",
        "notifications",
        "informational",
        "debugging",
    ];
    names.contains(&text) || matches!(text.as_bytes(), [b'0'..=b'7'])
}

/// `access-group`; `None` for a list that guards the device itself.
pub(super) fn access_group(words: &mut Words<'_>) -> Parsed<Option<AccessGroup>> {
    let at = words.line().at;
    let name = words.expect("an access list")?;
    let list = At::new(name.text.to_owned(), name.at);
    let direction = words.expect("`in`, `out` or `global`")?;
    let place = match direction.text {
        "global" => AccessPlace::Global,
        "in" | "out" => {
            if !words.accept("interface") {
                return Err(Refusal::unexpected(words.expect("`interface`")?));
            }
            let interface = words.expect("an interface")?;
            let interface = At::new(interface.text.to_owned(), interface.at);
            if direction.text == "in" {
                AccessPlace::In(interface)
            } else {
                AccessPlace::Out(interface)
            }
        }
        _ => return Err(Refusal::unexpected(direction)),
    };
    if words.accept("control-plane") {
        return Ok(None);
    }
    let per_user = words.accept("per-user-override");
    words.finish()?;
    Ok(Some(AccessGroup { list, place, per_user, at }))
}
