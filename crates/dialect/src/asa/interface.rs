//! `interface` blocks and routes.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use parefeu_policy::{At, Route};

use super::config::{InterfaceBlock, Names};
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
        "policy-route" | "zone-member" | "bridge-group" => return Err(Refusal::unexpected(word)),
        // `no nameif`, `no ip address`, `no shutdown`: how the blank block begins.
        _ => {}
    }
    Ok(())
}

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
    let network = Ipv4Net::new(address, length);
    block.addresses.push(network.map_err(|_| Refusal::is_no(word, "address"))?.into());
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

fn finish(
    names: &Names<'_>,
    words: &mut Words<'_>,
    interface: At<String>,
    destination: IpNet,
) -> Parsed<Route> {
    let gateway = words.expect("a gateway")?;
    let next_hop = term::ip(names, gateway)?;
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
            interface: Some(interface),
            next_hop: Some(next_hop),
            next_router: None,
            metric,
            router: String::new(),
            at: words.line().at,
        }),
    }
}
