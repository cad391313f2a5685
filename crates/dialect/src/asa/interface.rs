//! `interface` blocks and routes.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use parefeu_policy::{At, Route};

use super::config::{InterfaceBlock, Names, Shun};
use super::line::{Parsed, Refusal, Words};
use super::term;

/// A line inside `interface`. Lines about the link itself, routing protocols and the like are
/// passed over.
pub(super) fn interface_line(
    names: &Names<'_>,
    block: &mut InterfaceBlock,
    words: &mut Words<'_>,
) -> Parsed<()> {
    let at = words.line().at;
    let word = words.expect("a keyword")?;
    match word.text {
        "nameif" => {
            let name = words.expect("a name")?;
            block.nameif = Some(At::new(name.text.to_owned(), at));
        }
        "security-level" => {
            let level = words.expect("a level")?;
            let parsed = level.text.parse::<u8>().ok().filter(|level| *level <= 100);
            let parsed = parsed.ok_or_else(|| Refusal::is_no(level, "security level"))?;
            block.security_level = Some(At::new(parsed, at));
        }
        "ip" if words.accept("address") => address_v4(names, block, words)?,
        "ipv6" if words.accept("address") => address_v6(block, words)?,
        "vlan" => block.vlan = words.expect("a VLAN")?.text.parse().ok(),
        "shutdown" => block.shutdown = true,
        "management-only" => block.management_only = true,
        "channel-group" => block.channel = words.expect("a channel")?.text.parse().ok(),
        "member-interface" => block.members.push(canonical(&words.rest().replace(' ', ""))),
        "no" => take_away(block, words),
        "bridge-group" => {
            block.bridge_group = words.peek_text().parse().ok();
            return Err(Refusal::unexpected(word));
        }
        "policy-route" | "zone-member" => return Err(Refusal::unexpected(word)),
        _ => {}
    }
    Ok(())
}

/// `no …`: how a blank block begins, and how one that is opened again takes back.
fn take_away(block: &mut InterfaceBlock, words: &mut Words<'_>) {
    match words.next().map_or("", |word| word.text) {
        "nameif" => block.nameif = None,
        "security-level" => block.security_level = None,
        "ip" if words.accept("address") => block.addresses.retain(|it| it.addr().is_ipv6()),
        "ipv6" if words.accept("address") => block.addresses.retain(|it| it.addr().is_ipv4()),
        "vlan" => block.vlan = None,
        "shutdown" => block.shutdown = false,
        "management-only" => block.management_only = false,
        "channel-group" => block.channel = None,
        "bridge-group" => block.bridge_group = None,
        _ => {}
    }
}

/// One name for a port however it is written: `GigabitEthernet0/1`, `gi0/1`. The device takes a
/// kind that is cut short.
pub(super) fn canonical(hardware: &str) -> String {
    let at = hardware.find(|c: char| c.is_ascii_digit()).unwrap_or(hardware.len());
    let (kind, number) = hardware.split_at(at);
    let begins = |whole: &&&str| {
        whole.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
    };
    let whole = KINDS.iter().find(begins).filter(|_| !kind.is_empty() && !number.is_empty());
    format!("{}{number}", whole.copied().unwrap_or(kind)).to_ascii_lowercase()
}

const KINDS: &[&str] = &[
    "GigabitEthernet",
    "TenGigabitEthernet",
    "Ethernet",
    "FastEthernet",
    "Management",
    "Port-channel",
    "Redundant",
    "Tunnel",
    "Vlan",
    "BVI",
];

fn address_v4(names: &Names<'_>, block: &mut InterfaceBlock, words: &mut Words<'_>) -> Parsed<()> {
    let word = words.expect("an address")?;
    if matches!(word.text, "dhcp" | "pppoe") {
        let message = format!("the address comes by {}, so its network is not known", word.text);
        return Err(Refusal { at: word.at, message });
    }
    let IpAddr::V4(address) = term::ip(names, word)? else {
        return Err(Refusal::is_no(word, "IPv4 address"));
    };
    let length = term::netmask(words)?;
    let network = Ipv4Net::new(address, length).map_err(|_| Refusal::is_no(word, "address"))?;
    // There is one: a later line takes the place of the earlier one.
    block.addresses.retain(|it| it.addr().is_ipv6());
    block.addresses.push(network.into());
    Ok(())
}

fn address_v6(block: &mut InterfaceBlock, words: &mut Words<'_>) -> Parsed<()> {
    let word = words.expect("an address")?;
    if word.text == "autoconfig" || words.peek_text() == "link-local" {
        return Ok(());
    }
    let network: IpNet = word.text.parse().map_err(|_| Refusal::is_no(word, "prefix"))?;
    block.addresses.push(network);
    Ok(())
}

/// `shun ADDRESS [DESTINATION PORT PORT [PROTOCOL]] [vlan ID | interface NAME]`, and with
/// `(INTERFACE)` first as `show shun` prints it; the word `shun` already read.
pub(super) fn shun(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Shun> {
    let at = words.line().at;
    let shown = words.peek().and_then(|word| {
        let name = word.text.strip_prefix('(')?.strip_suffix(')')?;
        Some(At::new(name.to_owned(), word.at))
    });
    if shown.is_some() {
        words.next();
    }
    let src = term::ip(names, words.expect("an address")?)?;
    let mut shun = Shun { src, interface: shown, vlan: None, at };
    while let Some(word) = words.next() {
        match word.text {
            "interface" => {
                let name = words.expect("an interface")?;
                shun.interface = Some(At::new(name.text.to_owned(), name.at));
            }
            "vlan" => {
                let vlan = words.expect("a VLAN")?;
                let number = vlan.text.parse().map_err(|_| Refusal::is_no(vlan, "VLAN"))?;
                shun.vlan = Some(number);
            }
            _ => {}
        }
    }
    Ok(shun)
}

/// `route INTERFACE NETWORK MASK GATEWAY [METRIC]`; the word `route` already read.
pub(super) fn route(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Route> {
    let interface = words.expect("an interface")?;
    // The device accepts 0 for 0.0.0.0, in address and mask.
    let default = words.peek_text() == "0";
    let destination = if default {
        words.next();
        words.expect("a netmask")?;
        IpNet::V4(Ipv4Net::default())
    } else {
        term::network(names, words)?
    };
    finish(names, words, At::new(interface.text.to_owned(), interface.at), destination)
}

/// `ipv6 route INTERFACE PREFIX GATEWAY [METRIC]`; the words `ipv6 route` already read.
pub(super) fn route_v6(names: &Names<'_>, words: &mut Words<'_>) -> Parsed<Route> {
    let interface = words.expect("an interface")?;
    let prefix = words.expect("a prefix")?;
    let destination: IpNet = prefix.text.parse().map_err(|_| Refusal::is_no(prefix, "prefix"))?;
    finish(names, words, At::new(interface.text.to_owned(), interface.at), destination.trunc())
}

/// The interface that discards (CLI book 1, "Static and Default Routes", "Route to null0 Interface
/// to Drop Unwanted Traffic").
const NULL: &str = "Null0";

/// The rest of a route. One to [`NULL`] has neither interface nor gateway.
fn finish(
    names: &Names<'_>,
    words: &mut Words<'_>,
    interface: At<String>,
    destination: IpNet,
) -> Parsed<Route> {
    let leads_nowhere = interface.value.eq_ignore_ascii_case(NULL);
    // What leads nowhere needs no gateway.
    let has_gateway = !leads_nowhere || words.peek_text().contains(['.', ':']);
    let gateway = if has_gateway { Some(words.expect("a gateway")?) } else { None };
    let gateway = gateway.map(|word| term::ip(names, word)).transpose()?;
    let mut metric = 1;
    if let Ok(number) = words.peek_text().parse() {
        metric = number;
        words.next();
    }
    // `track` withdraws the route when a probe fails; `tunneled` serves traffic out of VPN tunnels.
    match words.peek() {
        Some(word) if word.text == "tunneled" => Err(Refusal::unexpected(word)),
        _ => Ok(Route {
            destination,
            interface: (!leads_nowhere).then_some(interface),
            next_hop: gateway.filter(|_| !leads_nowhere),
            next_router: None,
            metric,
            router: String::new(),
            at: words.line().at,
        }),
    }
}
